"""docs/webhooks.md says what the code does, and its code works."""

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from activities.webhook_message import signed_message
from contracts.webhook_secrets import WebhookSecrets
from contracts.webhooks import DeliveryTrouble, WebhookEvent
from db.delivering import Parcel
from db.models import Event
from db.webhook_models import Delivery, WebhookEndpoint
from workflows.deliver_webhook import PAUSES_S

TEXT = (Path(__file__).parents[2] / "docs/webhooks.md").read_text("utf-8")
ENDPOINT = uuid4()


def test_it_describes_every_event_and_every_word_for_a_failed_attempt() -> None:
    rows = set(re.findall(r"^\| `([a-z_.]+)` \|", TEXT, re.MULTILINE))

    assert rows == {*WebhookEvent, *DeliveryTrouble}


def test_it_tells_the_schedule() -> None:
    told = re.search(r"after 5 seconds, 5 minutes, 30 minutes, ([\d, and]+) hours", TEXT)

    assert told
    assert PAUSES_S[:3] == (5, 300, 1800)
    assert [int(hours) * 3600 for hours in re.findall(r"\d+", told[1])] == list(PAUSES_S[3:])


@pytest.fixture
def receive() -> Any:
    """The receiver of the document, with a secret and a memory."""
    code = re.search(r"```python\n(.*?)```", TEXT, re.DOTALL)
    assert code
    seen: set[str] = set()
    worked_on: list[Any] = []

    def first_time(message_id: str) -> bool:
        is_first = message_id not in seen
        seen.add(message_id)
        return is_first

    names = {"first_time": first_time, "enqueue": worked_on.append, "worked_on": worked_on}
    secret = WebhookSecrets("a secret of the tests").secret(endpoint_id=ENDPOINT, version=1)
    exec(code[1].replace("whsec_...", secret), names)  # noqa: S102 it is this repository's own text
    return names


def test_its_python_receiver_takes_our_messages_works_on_each_once_and_refuses_others(receive: Any) -> None:
    generation_id = uuid4()
    delivery = Delivery(
        tenant_id=uuid4(),
        endpoint_id=ENDPOINT,
        generation_id=generation_id,
        event_seq=2,
        event_type="generation.failed",
    )
    event = Event(generation_id=generation_id, seq=2, type="generation.failed", data={})
    parcel = Parcel(delivery, WebhookEndpoint(id=ENDPOINT, tenant_id=uuid4(), url="https://x.example/"), event)
    secrets = WebhookSecrets("a secret of the tests")
    message = signed_message(parcel, (secrets.secret(ENDPOINT, 1),), datetime.now(UTC))
    headers = {name.decode(): value.decode() for name, value in message.headers}

    answers = [receive["receive"](body, headers) for body in (message.body, message.body, message.body + b" ")]

    assert answers == [204, 204, 401]
    assert [told["data"]["generation_id"] for told in receive["worked_on"]] == [str(generation_id)]
