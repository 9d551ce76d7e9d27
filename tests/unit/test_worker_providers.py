"""Which providers a worker builds, and what it says when it can build none."""

from typing import Any

import pytest

from config import Settings
from deploy.checkup_settings import GivenSettings
from deploy.provider_variables import PROVIDERS
from errors import ConfigurationError
from providers.catalog import Catalog
from worker_parts.providers import make_providers

CATALOG = Catalog.load()
KEYS = {name: provider.key for name, provider in PROVIDERS.items()}


def settings(**given: Any) -> Settings:
    rest = {"database_url": "postgresql+asyncpg://nobody@127.0.0.1/none", "store_endpoint": "http://127.0.0.1:1"}
    secrets = ("store_access_key", "store_secret_key", "api_key_pepper", "token_secret")
    return GivenSettings.model_validate({**rest, **dict.fromkeys(secrets, "a-secret-of-a-test"), **given})


def test_without_any_key_the_error_names_every_variable_that_would_help() -> None:
    with pytest.raises(ConfigurationError) as caught:
        make_providers(settings(), CATALOG)

    assert [key for key in KEYS.values() if key not in caught.value.detail] == []


@pytest.mark.parametrize("name", KEYS)
async def test_a_key_alone_makes_its_provider(name: str) -> None:
    made = make_providers(settings(**{KEYS[name].removeprefix("DIORAMA_").lower(): "key-of-a-test"}), CATALOG)

    assert list(made) == [name]
    assert made[name].name == name
    await made[name].close()


def test_every_provider_of_the_catalog_can_be_built_and_names_the_variable_of_its_key() -> None:
    assert {provider.name: provider.key_variable for provider in CATALOG.providers} == KEYS
