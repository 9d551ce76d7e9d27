"""What the API finds wrong with its settings before it starts."""

import pytest
from pydantic import SecretStr

from api.app import create_app
from errors import ConfigurationError
from tests.integration.api.running_api import settings_for

DATABASE = "postgresql+asyncpg://nobody@127.0.0.1:9/nothing"


@pytest.mark.parametrize("secret", ["whsec_", "whsec_a", "x"])
def test_a_webhook_secret_of_no_form_is_named_before_anything_starts(secret: str) -> None:
    settings = settings_for(DATABASE, "127.0.0.1:9", replicate_webhook_secret=SecretStr(secret))

    with pytest.raises(ConfigurationError, match="DIORAMA_REPLICATE_WEBHOOK_SECRET"):
        create_app(settings)


@pytest.mark.parametrize("secret", [None, SecretStr("")])
def test_an_application_is_built_without_any_server_and_without_webhooks(secret: SecretStr | None) -> None:
    app = create_app(settings_for(DATABASE, "127.0.0.1:9", replicate_webhook_secret=secret))

    assert app.openapi()["info"]["title"] == "Diorama"
