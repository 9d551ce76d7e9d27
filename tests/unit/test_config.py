"""Settings are checked at the start, and a missing one names itself."""

from pathlib import Path

import pytest
from pydantic import SecretStr

from config import load_settings
from errors import ConfigurationError

COMPLETE = {
    "DATABASE_URL": "postgresql+asyncpg://u:p@localhost/d",
    "STORE_ENDPOINT": "http://127.0.0.1:9000",
    "STORE_ACCESS_KEY": "access",
    "STORE_SECRET_KEY": "secret-value",
    "API_KEY_PEPPER": "pepper-pepper-pepper",
    "TOKEN_SECRET": "token-token-token-token",
    "REPLICATE_API_TOKEN": "r8_secret",
}


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name, value in COMPLETE.items():
        monkeypatch.setenv(f"DIORAMA_{name}", value)


def test_a_complete_environment_gives_settings() -> None:
    settings = load_settings()

    assert settings.providers == {"replicate"}
    assert "secret-value" not in repr(settings)


@pytest.mark.parametrize(
    "name", ["DATABASE_URL", "STORE_ENDPOINT", "STORE_SECRET_KEY", "API_KEY_PEPPER", "TOKEN_SECRET"]
)
def test_a_missing_setting_names_itself_and_says_where_to_set_it(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(f"DIORAMA_{name}")

    with pytest.raises(ConfigurationError) as caught:
        load_settings()

    assert f"DIORAMA_{name} is not set" in caught.value.detail
    assert ".env" in caught.value.detail


def test_a_wrong_setting_is_named_without_its_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIORAMA_TOKEN_SECRET", "short-secret")

    with pytest.raises(ConfigurationError) as caught:
        load_settings()

    assert "DIORAMA_TOKEN_SECRET is not usable" in caught.value.detail
    assert "short-secret" not in caught.value.detail


def test_private_image_hosts_are_a_list(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIORAMA_IMAGE_URL_HOSTS", "127.0.0.1:8080, files.internal:443")

    assert load_settings().private_image_hosts == {"127.0.0.1:8080", "files.internal:443"}


def test_the_limit_of_a_provider_is_its_setting_or_else_what_the_caller_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIORAMA_REPLICATE_CREATES_PER_MINUTE", "120")
    settings = load_settings()

    assert settings.creates_per_minute("replicate", otherwise=7) == 120
    assert settings.creates_per_minute("somebody", otherwise=7) == 7


@pytest.mark.parametrize("name", ["TOKEN_SECRET", "DATABASE_URL", "STORE_ACCESS_KEY", "REPLICATE_API_TOKEN"])
def test_a_secret_may_lie_in_a_file(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(COMPLETE[name] + "\n")
    monkeypatch.delenv(f"DIORAMA_{name}")
    monkeypatch.setenv(f"DIORAMA_{name}_FILE", str(tmp_path / "secret"))

    found = getattr(load_settings(), name.lower())

    assert (found.get_secret_value() if isinstance(found, SecretStr) else found) == COMPLETE[name]


def test_a_secrets_file_may_be_named_in_the_dotenv_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("from-a-file-from-a-file")
    monkeypatch.delenv("DIORAMA_TOKEN_SECRET")
    (tmp_path / ".env").write_text(f"DIORAMA_TOKEN_SECRET_FILE={tmp_path / 'secret'}\n")

    assert load_settings().token_secret.get_secret_value() == "from-a-file-from-a-file"


def test_a_secret_that_is_given_twice_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("another-another-another")
    monkeypatch.setenv("DIORAMA_TOKEN_SECRET_FILE", str(tmp_path / "secret"))

    with pytest.raises(ConfigurationError, match="DIORAMA_TOKEN_SECRET_FILE are both set"):
        load_settings()


@pytest.mark.parametrize("body", [None, b"\xff\xfe\x00"])
def test_a_secrets_file_that_cannot_be_read_is_named(
    body: bytes | None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "secret"
    if body is not None:
        path.write_bytes(body)
    monkeypatch.delenv("DIORAMA_TOKEN_SECRET")
    monkeypatch.setenv("DIORAMA_TOKEN_SECRET_FILE", str(path))

    with pytest.raises(ConfigurationError, match="DIORAMA_TOKEN_SECRET_FILE cannot be read"):
        load_settings()


def test_what_is_no_secret_is_not_read_from_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "level").write_text("ERROR")
    monkeypatch.setenv("DIORAMA_LOG_LEVEL_FILE", str(tmp_path / "level"))

    assert load_settings().log_level == "INFO"
