"""Whose webhooks are believed: the right secret, body, id and time, in each provider's own spelling."""

import hmac
import time
from datetime import UTC, datetime
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr
from standardwebhooks import Webhook

from api.provider_webhooks import WaveSpeedSignature, WebhookVerifier, make_verifiers
from errors import ConfigurationError, WebhookRejected
from sandbox.wavespeed.webhooks import signature

SECRET = "whsec_dGhlIHRlc3RzIHNpZ24gd2l0aCB0aGlz"
BODY = b'{"id": "abc", "status": "completed"}'
NOW = 1_800_000_000


def verifiers() -> dict[str, WebhookVerifier]:
    return make_verifiers({"replicate": SecretStr(SECRET), "wavespeed": SecretStr(SECRET)})


@pytest.fixture
def frozen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.provider_webhooks.time.time", lambda: float(NOW))


def wavespeed_headers(body: bytes = BODY, *, at: int | None = None, secret: str = SECRET) -> dict[str, str]:
    moment = int(time.time()) if at is None else at
    return {
        "webhook-id": "msg-1",
        "webhook-timestamp": str(moment),
        "webhook-signature": signature(secret, "msg-1", moment, body),
    }


def is_believed(verifier: WebhookVerifier, body: bytes, headers: dict[str, str]) -> bool:
    try:
        verifier.verify(body, headers)
    except WebhookRejected:
        return False
    return True


@pytest.mark.usefixtures("frozen")
def test_wavespeeds_signature_is_the_hex_of_an_hmac_under_the_secret_as_it_is_written() -> None:
    key = b"dGhlIHRlc3RzIHNpZ24gd2l0aCB0aGlz"  # what is left without the prefix, not decoded
    digest = hmac.new(key, b"msg-1.1800000000." + BODY, sha256).hexdigest()
    headers = {"Webhook-Id": "msg-1", "Webhook-Timestamp": str(NOW), "Webhook-Signature": f"v3,{digest}"}

    assert is_believed(verifiers()["wavespeed"], BODY, headers)


def test_each_provider_signs_in_its_own_way_and_no_other() -> None:
    moment = datetime.now(UTC)
    standard = {
        "webhook-id": "msg-1",
        "webhook-timestamp": str(int(moment.timestamp())),
        "webhook-signature": Webhook(SECRET).sign("msg-1", moment, BODY.decode()),
    }

    assert is_believed(verifiers()["replicate"], BODY, standard)
    assert not is_believed(verifiers()["wavespeed"], BODY, standard)
    assert is_believed(verifiers()["wavespeed"], BODY, wavespeed_headers())
    assert not is_believed(verifiers()["replicate"], BODY, wavespeed_headers())


@pytest.mark.parametrize(("age_s", "believed"), [(0, True), (300, True), (301, False), (-300, True), (-301, False)])
@pytest.mark.usefixtures("frozen")
def test_a_webhook_of_long_ago_or_of_the_future_is_not_believed(age_s: int, believed: bool) -> None:
    assert is_believed(verifiers()["wavespeed"], BODY, wavespeed_headers(at=NOW - age_s)) is believed


@pytest.mark.usefixtures("frozen")
def test_one_good_signature_among_several_is_enough() -> None:
    headers = wavespeed_headers(at=NOW)
    headers["webhook-signature"] = f"v3,{'0' * 64} {headers['webhook-signature']}"

    assert is_believed(verifiers()["wavespeed"], BODY, headers)


@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "webhook-signature"])
@pytest.mark.parametrize("value", [None, "", "x", "-5", "9" * 40, "١٢٣", "é", "v3,", "v3"])
@pytest.mark.usefixtures("frozen")
def test_a_header_that_is_missing_or_of_no_form_is_a_refusal_and_no_crash(name: str, value: str | None) -> None:
    headers = {key: text for key, text in wavespeed_headers(at=NOW).items() if key != name}
    headers |= {} if value is None else {name: value}

    assert not is_believed(verifiers()["wavespeed"], BODY, headers)


@given(body=st.binary(max_size=40), told=st.binary(max_size=40), secret=st.text(min_size=1, max_size=20))
def test_only_the_very_body_under_the_very_secret_is_believed(body: bytes, told: bytes, secret: str) -> None:
    headers = wavespeed_headers(body, secret=f"whsec_{secret}")

    if secret.strip():
        assert is_believed(WaveSpeedSignature(f"whsec_{secret}"), told, headers) is (body == told)
        assert not is_believed(WaveSpeedSignature(f"whsec_{secret}x"), body, headers)


@pytest.mark.parametrize("secret", [None, SecretStr("")])
def test_a_provider_without_a_secret_has_no_webhooks(secret: SecretStr | None) -> None:
    assert make_verifiers({"replicate": secret, "wavespeed": secret}) == {}


@pytest.mark.parametrize(
    ("provider", "secret"),
    [("replicate", "whsec_"), ("replicate", "x"), ("wavespeed", "whsec_"), ("wavespeed", "dGhl")],
)
def test_a_secret_of_no_form_is_named_and_not_shown(provider: str, secret: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        make_verifiers({provider: SecretStr(secret)})

    name = f"DIORAMA_{provider.upper()}_WEBHOOK_SECRET"
    assert str(caught.value) == f"{name} is not of the form whsec_<secret>."
