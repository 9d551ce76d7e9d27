"""Every column that can hold words is emptied when somebody is forgotten, or is named here: then it holds none of a user's."""

import re
from typing import Any

import pytest
from sqlalchemy import ARRAY, JSON, Enum, String, TypeDecorator
from sqlalchemy.types import TypeEngine

from db.forgetting import PLACES
from db.tables import METADATA

# Ids, codes, names of ours and of tenants, what operators wrote. A new column belongs here, or into `PLACES`.
STAYS = {
    "api_key": "id name scopes replaced_by budget_key",
    "asset": "content_type provider model prompt_name prompt_version",
    "audit": "actor address request_id action subject subject_id note facts",
    "breaker": "provider model cause",
    "budget": "owner",
    "busy": "provider",
    "delivery": "event_type last_error",
    "delivery_attempt": "error",
    "erasure": "subject subject_hash requested_by receipt",
    "event": "type",
    "generation": "key_id",
    "lane": "provider model note changed_by",
    "notice": "id provider token job_id",
    "operator_action": "key_id action note facts",
    "provider_credential": "provider sealed_by hint",
    "provider_event": "provider model type data",
    "rate_limit": "name",
    "spend": "provider model token prompt_name prompt_version price_version provider_job_id error_code",
    "tenant": "name",
    "traffic": "provider model",
    "webhook_endpoint": "url description events disabled_reason",
}
# Rows that are deleted with their generation.
DELETED = {"compatible_call": "key_id idempotency_key request_hash"}
# Keys and hashes of pictures: forgotten after 90 days, as docs/privacy.md says.
FORGOTTEN_LATER = {"finding": "kind action object_key facts"}
ELSEWHERE = STAYS | DELETED | FORGOTTEN_LATER


def can_hold_words(kind: TypeEngine[Any]) -> bool:
    if isinstance(kind, ARRAY):
        return can_hold_words(kind.item_type)
    if isinstance(kind, TypeDecorator):
        return can_hold_words(kind.impl_instance)
    return isinstance(kind, String | JSON) and not isinstance(kind, Enum)


def emptied(table: str) -> set[str]:
    return {
        name for place in PLACES if place.table == table for name in re.findall(r"(?:^|, )(\w+) = ", place.redacted)
    }


@pytest.mark.parametrize("table", sorted(METADATA.tables))
def test_every_column_that_can_hold_words_is_emptied_or_known_to_hold_none(table: str) -> None:
    with_words = {column.name for column in METADATA.tables[table].columns if can_hold_words(column.type)}

    assert with_words == emptied(table) | set(ELSEWHERE.get(table, "").split())


def test_nothing_that_is_emptied_is_said_to_stay() -> None:
    assert [table for table, names in ELSEWHERE.items() if emptied(table) & set(names.split())] == []
