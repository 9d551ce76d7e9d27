"""Decisions about purchases of unknown outcome: ledger, audit log, events and the further run, each once."""

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from temporalio.testing import WorkflowEnvironment

from contracts.names import workflow_id
from contracts.pictures import Candidate, PictureOrder
from contracts.statuses import Billed, SpendState, Step
from db import ledger
from db.ledger import PromptUsed
from db.models import Spend
from db.operation_models import Notice
from tests.integration.api.running_api import AVATAR, RunningApi, Tenant, eventually, new_tenant

PROMPT = PromptUsed(text="a captain", name="avatar", version="1", sha256="f" * 64)
UNKNOWN = {"code": "outcome_unknown", "detail": "It is not known.", "step": "avatar", "facts": {}}
REVIEWS = "/v1/operations/reviews"
ADOPT: dict[str, Any] = {"action": "adopt", "job_id": "job-1", "note": "seen in the dashboard"}
LOST = {"action": "accept_lost", "note": "nobody knows"}
RESUBMIT = {"action": "resubmit", "note": "try again"}


def adopting() -> dict[str, Any]:
    """A job that no other test adopts."""
    return ADOPT | {"job_id": f"job-{uuid4().hex}"}


@pytest.fixture
async def operator(api: RunningApi) -> AsyncIterator[Tenant]:
    async with new_tenant(api, operator=True) as operator:
        yield operator


async def unknown(tenant: Tenant, generation_id: str, purchase: int = 0, provider: str = "replicate") -> Spend:
    """A purchase whose outcome nobody knows."""
    candidate = Candidate(
        provider=provider,
        model="m",
        max_usd=Decimal("0.05"),
        likely_usd=Decimal("0.03"),
        unknown_policy="review",
    )
    order = PictureOrder(
        generation_id=UUID(generation_id),
        tenant_id=tenant.id,
        step=Step.avatar,
        purchase=purchase,
        candidate=candidate,
        reference=None,
        deadline_s=60,
    )
    async with tenant.api.database.transaction() as session:
        spend = await ledger.claim(session, order, PROMPT)
        spend = await ledger.mark_sent(session, spend, window_s=1)
        return await ledger.mark_unknown(session, spend)


async def promised(tenant: Tenant, usd: str = "1") -> str:
    """A generation for which so much was promised."""
    accepted = await tenant.accept(AVATAR)
    values = {"usd": Decimal(usd), "id": UUID(accepted["id"])}
    await tenant.api.ask("update generation set quote_max_usd = :usd, hold_usd = :usd where id = :id", **values)
    return str(accepted["id"])


async def in_review(tenant: Tenant, provider: str = "replicate", *, usd: str = "1") -> Spend:
    """The purchase of a generation that waits for an operator."""
    generation_id = await promised(tenant, usd)
    spend = await unknown(tenant, generation_id, provider=provider)
    await tenant.finish(generation_id, "needs_review", error=UNKNOWN)
    return spend


async def decide(operator: Tenant, spend: Spend, decision: dict[str, Any]) -> httpx.Response:
    return await operator.client.post(f"{REVIEWS}/{spend.id}", json=decision)


async def row(api: RunningApi, spend: Spend) -> Spend:
    async with api.database.transaction() as session:
        return await session.get_one(Spend, spend.id)


async def events_of(api: RunningApi, spend: Spend) -> list[str]:
    query = "select type from event where generation_id = :id order by seq"
    return [found.type for found in await api.ask(query, id=spend.generation_id)]


async def logged(api: RunningApi, spend: Spend) -> list[Any]:
    query = "select key_id, action, note, facts from operator_action where spend_id = :id order by id"
    return list(await api.ask(query, id=spend.id))


async def test_an_adopted_job_is_the_purchases_and_the_story_is_told_again(
    tenant: Tenant, operator: Tenant, engine: WorkflowEnvironment
) -> None:
    spend = await in_review(tenant)
    decision = adopting()
    answer = await decide(operator, spend, decision)
    adopted = await row(tenant.api, spend)
    ((key_id, action, note, facts),) = await logged(tenant.api, spend)

    assert (answer.status_code, answer.json()["status"], answer.json()["undecided"]) == (200, "queued", 0)
    assert (adopted.state, adopted.provider_job_id, adopted.submitted_at) == (
        SpendState.submitted,
        decision["job_id"],
        adopted.sent_at,
    )
    assert (adopted.billed, adopted.error_code, adopted.cost_usd) == (None, None, None)
    assert adopted.deadline_at > spend.deadline_at
    assert (key_id, action, note) == (operator.key.split("_")[1], "adopt", "seen in the dashboard")
    assert facts == {"job_id": decision["job_id"], "provider": "replicate", "step": "avatar", "purchase": 0}
    assert (await events_of(tenant.api, spend))[-2:] == ["purchase.resolved", "generation.reopened"]
    started = "select 1 from generation where id = :id and run = 2 and dispatched_at is not null"
    await eventually(lambda: tenant.api.ask(started, id=spend.generation_id))
    await engine.client.get_workflow_handle(workflow_id(spend.generation_id, 2)).describe()


@pytest.mark.parametrize(("decision", "code"), [(LOST, "purchase_lost"), (RESUBMIT, "purchase_replaced")])
@pytest.mark.parametrize("told", [{}, {"cost_usd": "0.05"}, {"cost_usd": 0}])
async def test_a_purchase_that_is_given_up_is_settled_with_what_it_may_have_cost(
    tenant: Tenant, operator: Tenant, decision: dict[str, Any], code: str, told: dict[str, Any]
) -> None:
    spend = await in_review(tenant)
    answer = await decide(operator, spend, decision | told)
    ended = await row(tenant.api, spend)

    assert (answer.status_code, answer.json()["status"]) == (200, "queued")
    assert (ended.state, ended.billed, ended.error_code) == (SpendState.settled, Billed.unknown, code)
    assert (ended.cost_usd, ended.asset_id) == (Decimal(told.get("cost_usd", "0.03")), None)


async def test_what_the_client_sees_is_that_it_goes_on(tenant: Tenant, operator: Tenant) -> None:
    spend = await in_review(tenant)
    path = f"/v1/generations/{spend.generation_id}"
    before = (await tenant.client.get(path)).json()
    await decide(operator, spend, LOST)
    after = (await tenant.client.get(path)).json()

    assert (before["status"], before["error"]["code"]) == ("needs_review", "outcome_unknown")
    assert "operator decides" in before["error"]["suggestion"]
    assert (after["status"], after["stage"], after["error"], after["finished_at"]) == (
        "queued",
        "queued again",
        None,
        None,
    )
    assert after["started_at"] == before["started_at"]


async def test_the_notes_and_jobs_of_operators_are_not_told_to_clients(tenant: Tenant, operator: Tenant) -> None:
    spend = await in_review(tenant)
    await decide(operator, spend, adopting())
    query = "select data from event where generation_id = :id and type = 'purchase.resolved'"
    ((data,),) = await tenant.api.ask(query, id=spend.generation_id)

    assert data == {"step": "avatar", "provider": "replicate", "purchase": 0, "action": "adopt"}


async def test_a_generation_goes_on_when_the_last_of_its_purchases_is_decided(tenant: Tenant, operator: Tenant) -> None:
    generation_id = await promised(tenant)
    first, second = [await unknown(tenant, generation_id, purchase) for purchase in range(2)]
    await tenant.finish(generation_id, "needs_review", error=UNKNOWN)

    one = (await decide(operator, first, RESUBMIT)).json()
    other = (await decide(operator, second, RESUBMIT)).json()

    assert (one["status"], one["undecided"]) == ("needs_review", 1)
    assert (other["status"], other["undecided"]) == ("queued", 0)


async def test_a_purchase_without_room_in_the_promise_is_not_made_once_more(tenant: Tenant, operator: Tenant) -> None:
    spend = await in_review(tenant, usd="0.06")
    refused = await decide(operator, spend, RESUBMIT)
    before = await row(tenant.api, spend)
    noted = await logged(tenant.api, spend)
    free = await decide(operator, spend, RESUBMIT | {"cost_usd": "0.01"})

    problem = refused.json()
    assert (refused.status_code, problem["code"], problem["of"]) == (409, "no_room_to_buy_again", "promise")
    assert (problem["left_usd"], problem["wanted_usd"]) == ("0.030000", "0.050000")
    assert (before.state, noted) == (SpendState.unknown, [])
    assert (await events_of(tenant.api, spend)).count("purchase.resolved") == 1
    assert (free.status_code, free.json()["status"]) == (200, "queued")


async def test_a_purchase_that_is_given_up_needs_no_room(tenant: Tenant, operator: Tenant) -> None:
    spend = await in_review(tenant, usd="0.05")

    assert (await decide(operator, spend, LOST)).status_code == 200


async def test_a_purchase_without_room_in_its_providers_budget_is_not_made_once_more(
    tenant: Tenant, operator: Tenant
) -> None:
    spend = await in_review(tenant)
    budget = {"of": "provider", "owner": "replicate", "period": "day", "limit_usd": "0", "note": "enough"}
    made = (await operator.client.post("/v1/budgets", json=budget)).json()
    refused = await decide(operator, spend, RESUBMIT)
    await operator.client.delete(f"/v1/budgets/{made['id']}")
    without = await decide(operator, spend, RESUBMIT)

    problem = refused.json()
    assert (refused.status_code, problem["code"], problem["of"]) == (409, "no_room_to_buy_again", "provider")
    assert (problem["left_usd"], without.status_code) == ("0.000000", 200)


async def test_of_two_operators_who_decide_at_once_one_wins(tenant: Tenant, operator: Tenant, api: RunningApi) -> None:
    spend = await in_review(tenant)
    async with new_tenant(api, operator=True) as colleague:
        answers = await asyncio.gather(
            *(
                decide(one, spend, decision)
                for one in (operator, colleague)
                for decision in (adopting(), LOST, RESUBMIT)
            )
        )

    codes = sorted(answer.status_code for answer in answers)
    assert codes == [200, 409, 409, 409, 409, 409]
    assert {answer.json()["code"] for answer in answers if answer.status_code == 409} == {"not_in_review"}
    assert len(await logged(api, spend)) == 1
    assert (await events_of(api, spend)).count("generation.reopened") == 1


async def test_the_same_decision_sent_again_is_answered_again_and_done_once(tenant: Tenant, operator: Tenant) -> None:
    spend = await in_review(tenant)
    answers = await asyncio.gather(*(decide(operator, spend, RESUBMIT) for _ in range(5)))

    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()["action_id"] for answer in answers}) == 1
    assert len(await logged(tenant.api, spend)) == 1


async def test_of_two_purchases_one_gets_the_job(tenant: Tenant, operator: Tenant) -> None:
    purchases = [await in_review(tenant) for _ in range(4)]
    decision = adopting()
    answers = await asyncio.gather(*(decide(operator, spend, decision) for spend in purchases))
    refused = [answer.json()["code"] for answer in answers if answer.status_code == 409]

    assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409]
    assert set(refused) == {"job_not_adoptable"}
    states = [(await row(tenant.api, spend)).state for spend in purchases]
    assert sorted(states) == [SpendState.submitted, *[SpendState.unknown] * 3]


async def test_a_job_cannot_be_adopted_where_there_are_none(tenant: Tenant, operator: Tenant) -> None:
    spend = await in_review(tenant, provider="openai")
    answer = await decide(operator, spend, ADOPT)
    ((waiting,),) = [[item for item in await listed(operator) if item["spend_id"] == str(spend.id)]]

    assert (answer.status_code, answer.json()["code"]) == (409, "job_not_adoptable")
    assert waiting["actions"] == ["accept_lost", "resubmit"]
    assert await logged(tenant.api, spend) == []


async def test_a_purchase_of_a_generation_that_still_runs_is_not_decided(tenant: Tenant, operator: Tenant) -> None:
    accepted = await tenant.accept(AVATAR)
    spend = await unknown(tenant, accepted["id"])
    answer = await decide(operator, spend, LOST)

    assert (answer.status_code, answer.json()["code"]) == (409, "not_in_review")
    assert (await row(tenant.api, spend)).state is SpendState.unknown


BAD = {
    "no action": {"note": "x"},
    "an unknown action": {"action": "refund", "note": "x"},
    "no note": {"action": "resubmit"},
    "an empty note": {"action": "resubmit", "note": "  "},
    "a note with NUL": {"action": "resubmit", "note": "a\x00b"},
    "a note without end": {"action": "resubmit", "note": "x" * 1001},
    "adopt without a job": {"action": "adopt", "note": "x"},
    "a job that could be a path": {"action": "adopt", "note": "x", "job_id": "../account"},
    "a job where none belongs": {"action": "accept_lost", "note": "x", "job_id": "job-1"},
    "a cost for a job": ADOPT | {"cost_usd": "0.01"},
    "a cost below nothing": LOST | {"cost_usd": "-0.01"},
    "a cost of no number": LOST | {"cost_usd": "NaN"},
    "more than is held": LOST | {"cost_usd": "0.06"},
    "a field that nobody knows": LOST | {"refund": True},
}


@pytest.mark.parametrize("decision", BAD.values(), ids=BAD.keys())
async def test_a_decision_that_is_not_valid_changes_nothing(
    tenant: Tenant, operator: Tenant, decision: dict[str, Any]
) -> None:
    spend = await in_review(tenant)
    answer = await decide(operator, spend, decision)

    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    assert (await row(tenant.api, spend)).state is SpendState.unknown
    assert await logged(tenant.api, spend) == []
    assert (await events_of(tenant.api, spend))[-1] == "generation.needs_review"


async def test_a_purchase_that_is_not_there_is_not_found(operator: Tenant) -> None:
    answer = await operator.client.post(f"{REVIEWS}/{uuid4()}", json=LOST)

    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


@pytest.mark.parametrize(
    ("method", "path"), [("GET", ""), ("POST", "/01a1fd46-3202-769c-97fa-f8f3d98b3491"), ("GET", "/../actions")]
)
async def test_a_tenants_key_does_not_open_what_is_for_operators(tenant: Tenant, method: str, path: str) -> None:
    answer = await tenant.client.request(method, f"{REVIEWS}{path}", json=LOST if method == "POST" else None)

    assert (answer.status_code, answer.json()["code"]) == (403, "not_an_operator")


async def listed(operator: Tenant, path: str = REVIEWS, limit: int = 3) -> list[Any]:
    """All items, page by page."""
    items: list[Any] = []
    following = f"{path}?limit={limit}"
    while following:
        answer = await operator.client.get(following)
        page = answer.json()
        items += page["items"]
        following = f"{path}?limit={limit}&cursor={page['next_cursor']}" if page["next_cursor"] else ""
        assert ("link" in answer.headers) == bool(following)
    return items


async def test_the_list_shows_what_waits_the_oldest_first_and_no_prompt(
    tenant: Tenant, stranger: Tenant, operator: Tenant
) -> None:
    spends = [await in_review(one) for one in (tenant, stranger, tenant, tenant, stranger)]
    await decide(operator, spends[0], LOST)
    async with tenant.api.database.transaction() as session:
        for number, job in enumerate(("job-a", "job-b", "job-a", None)):
            name = f"msg-{spends[1].id}-{number}"
            session.add(Notice(id=name, provider="replicate", token=spends[1].token, job_id=job))
    items = await listed(operator)
    ours = [item for item in items if item["spend_id"] in {str(spend.id) for spend in spends}]

    assert [item["spend_id"] for item in ours] == [str(spend.id) for spend in spends[1:]]
    assert len(items) == len({item["spend_id"] for item in items})
    first = ours[0]
    assert (first["tenant_id"], first["generation_id"]) == (str(stranger.id), str(spends[1].generation_id))
    assert (first["job_ids"], first["actions"]) == (["job-a", "job-b"], ["adopt", "accept_lost", "resubmit"])
    assert (first["hold_usd"], first["likely_usd"], first["error_code"]) == ("0.050000", "0.030000", "outcome_unknown")
    assert first["age_s"] >= 0
    assert first["prompt_hash"] == PROMPT.sha256
    assert PROMPT.text not in str(items)


async def test_the_log_tells_who_decided_what_and_why_the_newest_first(tenant: Tenant, operator: Tenant) -> None:
    spends = [await in_review(tenant) for _ in range(4)]
    for spend in spends:
        await decide(operator, spend, LOST | {"cost_usd": "0.01"})
    entries = await listed(operator, "/v1/operations/actions")
    ours = [entry for entry in entries if entry["key_id"] == operator.key.split("_")[1]]

    assert [entry["spend_id"] for entry in ours] == [str(spend.id) for spend in reversed(spends)]
    assert {(entry["action"], entry["note"]) for entry in ours} == {("accept_lost", "nobody knows")}
    assert ours[0]["facts"]["cost_usd"] == "0.01"


async def test_followers_who_come_back_see_the_decision_and_all_that_follows(tenant: Tenant, operator: Tenant) -> None:
    spend = await in_review(tenant)
    path = f"/v1/generations/{spend.generation_id}/events"
    headers = {"Last-Event-ID": "0"}
    before = await _seqs(tenant, path, headers)
    await decide(operator, spend, RESUBMIT)
    following = asyncio.create_task(_seqs(tenant, path, {"Last-Event-ID": str(before[-1])}))
    await tenant.finish(str(spend.generation_id), "succeeded")
    after = await following

    assert before + after == list(range(1, len(before) + len(after) + 1))
    assert len(after) == 3  # resolved, reopened, succeeded


async def _seqs(tenant: Tenant, path: str, headers: dict[str, str]) -> list[int]:
    async with tenant.client.stream("GET", path, headers=headers) as response:
        return [int(line[3:]) async for line in response.aiter_lines() if line.startswith("id:")]


async def test_a_decision_while_the_engine_is_away_is_kept_and_waits_in_the_queue(
    offline_tenant: Tenant, api_without_engine: RunningApi
) -> None:
    spend = await in_review(offline_tenant)
    async with new_tenant(api_without_engine, operator=True) as operator:
        answer = await decide(operator, spend, RESUBMIT)

    async def waits() -> Any:
        return await api_without_engine.ask(
            "select run from generation where id = :id and status = 'queued' and dispatched_at is null",
            id=spend.generation_id,
        )

    assert answer.status_code == 200
    assert [found.run for found in await eventually(waits)] == [2]
