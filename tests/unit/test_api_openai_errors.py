"""Our errors in OpenAI's shape: every class of the tree has a place in it."""

import pytest

import errors
from api.openai.errors import told


@pytest.mark.parametrize("kind", errors.every_error(), ids=lambda kind: kind.__name__)
def test_every_error_has_a_status_a_type_and_a_code(kind: type[errors.DioramaError]) -> None:
    answer = told(kind())
    body = answer.body()["error"]

    assert 400 <= answer.status < 600
    assert None not in {body["message"], body["type"], body["code"]}
    assert answer.status >= 409 or body["type"] != "server_error"


@pytest.mark.parametrize("kind", errors.every_error(), ids=lambda kind: kind.__name__)
def test_a_client_is_never_sent_again_where_money_may_have_been_spent(kind: type[errors.DioramaError]) -> None:
    error = kind()
    error.billed = "unknown"

    assert told(error).response().headers["x-should-retry"] == "false"


def test_a_busy_provider_says_when_to_come_again() -> None:
    response = told(errors.ProviderBusy(retry_after_s=12.4)).response()

    assert (response.status_code, response.headers["Retry-After"], response.headers["x-should-retry"]) == (
        429,
        "12",
        "true",
    )


def test_a_fault_of_ours_is_told_without_its_details() -> None:
    answer = told(errors.StorageError("bucket b-17 at 10.0.0.3", host="10.0.0.3"))

    assert answer.status == 503
    assert "10.0.0.3" not in str(answer.body())


def test_the_safety_filters_categories_are_listed_and_nothing_else_of_its_facts() -> None:
    answer = told(errors.PolicyRefused(category="hate, violence", stage="input", secret="x"))

    assert answer.body()["error"]["moderation_details"] == {
        "moderation_stage": "input",
        "categories": ["hate", "violence"],
    }
    assert "x" not in str(answer.more)
