"""The story of one generation as the rows, the bill and the lab's journal tell it together."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from uuid import UUID

from db.models import Asset, Event, Generation, Spend
from tests.crash.audit_money import Bill
from tests.crash.evidence import Charge, Evidence
from tests.crash.journal import LabJournal

Line = tuple[datetime, str]
AROUND = timedelta(seconds=2)
LONGEST_DATA = 160


def timeline(evidence: Evidence, bill: Bill, journal: LabJournal, generation_id: UUID) -> str:
    """One line for each thing that happened to a generation, in order."""
    generation = evidence.generations.get(generation_id)
    if generation is None:
        return f"{generation_id}: there is no such generation"
    lines = [*_of_rows(evidence, bill, generation)]
    begin, end = lines[0][0] - AROUND, max(at for at, _ in lines) + AROUND
    lines += [(deed.at, f"** {deed.what}") for deed in journal.between(begin, end)]
    scenario = next((one.scenario for one in evidence.memory.asked if one.generation_id == generation_id), "?")
    head = f"{generation_id} {generation.kind} ({scenario}) {generation.status} run {generation.run}"
    return "\n".join([head, *(f"  {at:%H:%M:%S.%f} {what}" for at, what in sorted(lines))])


def _of_rows(evidence: Evidence, bill: Bill, generation: Generation) -> Iterator[Line]:
    yield generation.created_at, "accepted"
    if generation.dispatched_at:
        yield generation.dispatched_at, "started at the engine"
    if generation.cancel_requested_at:
        yield generation.cancel_requested_at, "the client wants to stop"
    if generation.deleted_at:
        yield generation.deleted_at, "the session was deleted"
    for event in evidence.events.get(generation.id, ()):
        yield _event(event)
    for spend in evidence.spends.get(generation.id, ()):
        yield from _spend(spend)
        for charge in bill.of_spend.get(spend.id, ()):
            yield _charge(spend, charge)
    for asset in evidence.assets:
        if asset.generation_id == generation.id:
            yield from _asset(asset)


def _event(event: Event) -> Line:
    return event.created_at, f"event {event.seq} {event.type} {str(event.data)[:LONGEST_DATA]}"


def _spend(spend: Spend) -> Iterator[Line]:
    name = f"purchase {spend.step}/{spend.purchase} at {spend.provider}"
    facts = f"state={spend.state} sends={spend.sends} lease={spend.lease} duplicate={spend.possible_duplicate}"
    yield spend.created_at, f"{name} held {spend.hold_usd} USD; now {facts}"
    if spend.sent_at:
        yield spend.sent_at, f"{name} sent"
    if spend.submitted_at:
        yield spend.submitted_at, f"{name} submitted as {spend.provider_job_id or spend.raw_asset_id}"
    if spend.ended_at:
        outcome = f"{spend.state} billed={spend.billed} cost={spend.cost_usd} {spend.error_code or ''}"
        yield spend.ended_at, f"{name} {outcome}"


def _charge(spend: Spend, charge: Charge) -> Line:
    billed = {True: "billed", False: "not billed", None: "running"}[charge.billed]
    what = (
        f"$$ {charge.provider} accepted {charge.job_id} for {spend.step}/{spend.purchase}: {charge.amount_usd} {billed}"
    )
    return charge.accepted_at, what


def _asset(asset: Asset) -> Iterator[Line]:
    name = f"{asset.role} {asset.step} {asset.key.rpartition('/')[2]}"
    yield asset.created_at, f"{name} pending; now {asset.state}"
    if asset.stored_at:
        yield asset.stored_at, f"{name} stored"
    if asset.deleted_at:
        yield asset.deleted_at, f"{name} deleted"
