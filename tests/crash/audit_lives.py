"""Is every generation's end true, and does everybody tell the same story of it?"""

from collections import Counter
from collections.abc import Iterator, Mapping
from uuid import UUID

from contracts.statuses import SpendState, Status
from db.models import Generation
from errors import error_class
from tests.crash.asked import Asked, Followed
from tests.crash.breach import Breach
from tests.crash.evidence import Evidence
from tests.crash.follower import LAST_EVENTS
from tests.crash.scenarios import Scenario

# Of how many pictures a result is; `image` says so itself.
PICTURES = {"avatar_scene": 2, "avatar": 1, "scene": 1, "enhance": 1}


def audit_lives(evidence: Evidence, scenarios: Mapping[str, Scenario], *, outages: bool) -> Iterator[Breach]:
    """All that is wrong with statuses, events, followers and repeated requests.

    `outages`: the providers were away at times, so that a generation may have failed for that.
    """
    asked_for = {asked.generation_id: asked for asked in evidence.memory.asked}
    for strange in evidence.memory.strange:
        yield Breach(strange)
    for generation in evidence.generations.values():
        if generation.erasure_id is not None:
            yield from _erased(evidence, generation)
            continue
        yield from _end(evidence, generation)
        yield from _events(evidence, generation)
        asked = asked_for.get(generation.id)
        if asked is None:
            yield Breach("it was accepted, and no client was ever told so", generation.id)
        else:
            yield from _as_foreseen(evidence, generation, asked, scenarios[asked.scenario], outages=outages)
    for asked in evidence.memory.asked:
        yield from _answers(evidence, asked)
        for followed in asked.followed:
            yield from _followed(evidence, asked, followed)


def _end(evidence: Evidence, generation: Generation) -> Iterator[Breach]:
    if not generation.status.is_final:
        yield Breach(f"it is still {generation.status}: {generation.stage}", generation.id)
        return
    pictures = (generation.result or {}).get("pictures", [])
    if generation.status is Status.succeeded:
        wanted = PICTURES.get(generation.kind) or generation.request["count"]
        if len(pictures) != wanted:
            yield Breach(f"it succeeded with {len(pictures)} of {wanted} pictures", generation.id)
    elif pictures:
        yield Breach(f"it is {generation.status} and has pictures", generation.id)
    if generation.status is Status.canceled and generation.cancel_requested_at is None:
        yield Breach("it is canceled, and nobody asked for that", generation.id)
    if generation.status is Status.needs_review and not _has_unknown(evidence, generation.id):
        yield Breach("it waits for people, and there is nothing to decide", generation.id)


def _erased(evidence: Evidence, generation: Generation) -> Iterator[Breach]:
    if not generation.status.is_final:
        yield Breach(f"it was to be erased, and is still {generation.status}", generation.id)
    if generation.id in evidence.unforgotten:
        yield Breach("it was to be erased, and has words or pictures", generation.id)


def _has_unknown(evidence: Evidence, generation_id: UUID) -> bool:
    return any(spend.state is SpendState.unknown for spend in evidence.spends.get(generation_id, ()))


def _events(evidence: Evidence, generation: Generation) -> Iterator[Breach]:
    events = evidence.events.get(generation.id, ())
    numbers = [event.seq for event in events]
    if numbers != list(range(1, generation.event_seq + 1)):
        yield Breach(f"its events are {numbers}, its counter is {generation.event_seq}", generation.id)
    ends = [event.type for event in events if event.type in LAST_EVENTS]
    if generation.status.is_final and (not ends or ends[-1] != f"generation.{generation.status}"):
        yield Breach(f"it is {generation.status}, and its events tell of {ends or 'no end'}", generation.id)
    told = Counter(event.data["asset_id"] for event in events if event.type == "picture.stored")
    for spend in evidence.spends.get(generation.id, ()):
        if spend.asset_id and told[str(spend.asset_id)] != 1:
            yield Breach(f"that its {spend.step} is stored was told {told[str(spend.asset_id)]} times", generation.id)
    reopened = sum(event.type == "generation.reopened" for event in events)
    if len(ends) > reopened + 1:
        yield Breach(f"it ended {len(ends)} times, and was reopened {reopened} times", generation.id)


def _as_foreseen(
    evidence: Evidence, generation: Generation, asked: Asked, scenario: Scenario, *, outages: bool
) -> Iterator[Breach]:
    if not generation.status.is_final or generation.status in scenario.ends:
        return
    code = (generation.error or {}).get("code", "")
    if asked.session_deleted and generation.status is Status.canceled:
        return
    if generation.status is Status.needs_review and scenario.parks:
        return
    if generation.status is Status.needs_review and outages and _has_unknown(evidence, generation.id):
        return
    # What a provider, or all workers, being away for long can lead to: it says so itself.
    if generation.status is Status.failed and outages and code.startswith(("provider_", "deadline_")):
        return
    title = error_class(code).title if code else ""
    yield Breach(f"{scenario.name} ended as {generation.status} {code} {title}", generation.id)


def _answers(evidence: Evidence, asked: Asked) -> Iterator[Breach]:
    found = asked.generation_id
    if asked.answer is None:
        yield Breach(f"{asked.scenario} with key {asked.key} was never answered")
    elif found not in evidence.generations:
        yield Breach(f"{asked.scenario} was promised, and there is no such generation", found)
    elif asked.repeated != asked.answer and not asked.erased:
        yield Breach("the same request with the same key was answered otherwise", found)


def _followed(evidence: Evidence, asked: Asked, followed: Followed) -> Iterator[Breach]:
    first = followed.after_seq + 1
    if followed.seqs != list(range(first, first + len(followed.seqs))):
        yield Breach(f"a follower that began behind {followed.after_seq} saw {followed.seqs}", asked.generation_id)
    generation = evidence.generations.get(asked.generation_id) if asked.generation_id else None
    if generation is not None and generation.deleted_at is None and not followed.saw_end:
        yield Breach(f"a follower did not see the end: {followed.seqs}", asked.generation_id)
