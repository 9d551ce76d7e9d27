"""What a run says: lines for people, one object for machines."""

from collections import Counter
from typing import Any

from contracts.statuses import Status
from tests.crash.audit_money import bill_of, extra_charges
from tests.crash.audit_objects import orphans
from tests.crash.campaign import Outcome


def figures(outcome: Outcome) -> dict[str, Any]:
    """For machines. `orphans`: what is left at the end; `findings`: what the reconciler found and mended on the way."""
    evidence = outcome.evidence
    spends = [spend for group in evidence.spends.values() for spend in group]
    return {
        "boundaries": len(outcome.plan.boundaries),
        "boundaries_killed": len(outcome.plan.boundaries) - len(outcome.done.missed),
        "random_kills": sum(outcome.done.hits.values()),
        "pauses": outcome.done.pauses,
        "generations": len(evidence.generations),
        "breaches": len(outcome.breaches),
        "extra_charges": extra_charges(evidence, bill_of(evidence)),
        "orphans": orphans(evidence),
        "parked": sum(row.status is Status.needs_review for row in evidence.generations.values()),
        "seed": outcome.plan.seed,
        "charges": len(evidence.charges),
        "adopted": outcome.adopted,
        "possible_duplicates": sum(spend.possible_duplicate for spend in spends),
        "findings": dict(Counter(f"{finding.kind}: {finding.action}" for finding in evidence.findings)),
        "statuses": dict(Counter(row.status.value for row in evidence.generations.values())),
        "seconds": round(outcome.seconds),
    }


def lines(outcome: Outcome) -> list[str]:
    """For people: the breaches with their stories, then the figures."""
    told = [f"BREACH {breach.what} [{breach.generation_id}] seed {outcome.plan.seed}" for breach in outcome.breaches]
    told += outcome.stories
    told += [f"nobody came by at {boundary}" for boundary in outcome.done.missed]
    told += [f"{name:20} {value}" for name, value in figures(outcome).items()]
    return told
