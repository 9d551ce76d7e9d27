"""Keys of the tenant's own at providers: set, shown by their last characters only, removed. No answer ever holds a key."""

from datetime import datetime
from typing import Annotated, Self

from fastapi import APIRouter, Path
from fastapi.responses import Response
from pydantic import Field, SecretStr, field_validator

from api.dependencies import ActorDep, AdminDep, ServicesDep, TransactionDep
from api.problems import documented
from api.services import Services
from api.strict_json import StrictJsonRoute
from contracts.frozen import Frozen
from db import credentials
from db.credential_safe import CredentialSafe
from db.protection_models import ProviderCredential
from errors import NotFound, OwnKeysNotOffered

router = APIRouter(prefix="/v1/tenants/me/credentials", tags=["tenants"], route_class=StrictJsonRoute)

ProviderPath = Annotated[str, Path(pattern=r"^[a-z0-9_-]{1,50}$", examples=["replicate"])]


class CredentialRequest(Frozen):
    """A key that the provider gave to the tenant."""

    key: SecretStr = Field(min_length=8, max_length=500, examples=["r8_..."])

    @field_validator("key")
    @classmethod
    def _looks_like_a_key(cls, key: SecretStr) -> SecretStr:
        text = key.get_secret_value()
        if not text.isascii() or not text.isprintable() or " " in text:
            raise ValueError("a key has printable ASCII characters and no spaces")
        return key


class CredentialAnswer(Frozen):
    """What may be known of a key."""

    provider: str
    hint: str = Field(description="The key's last four characters.", examples=["x7Qd"])
    created_at: datetime

    @classmethod
    def of(cls, row: ProviderCredential) -> Self:
        """A stored key as an answer."""
        return cls(provider=row.provider, hint=row.hint, created_at=row.created_at)


class CredentialList(Frozen):
    """The tenant's keys at providers, by the providers' names."""

    items: tuple[CredentialAnswer, ...]


@router.get("", summary="List own provider keys", responses=documented(401, 503))
async def listed(caller: AdminDep, session: TransactionDep) -> CredentialList:
    """The providers that this tenant has a key of its own at."""
    rows = await credentials.listed(session, caller.tenant_id)
    return CredentialList(items=tuple(CredentialAnswer.of(row) for row in rows))


@router.get("/{provider}", summary="See an own provider key", responses=documented(401, 404, 422, 503))
async def read(caller: AdminDep, session: TransactionDep, provider: ProviderPath) -> CredentialAnswer:
    """When the key was set, and its last characters."""
    row = await credentials.of_tenant(session, caller.tenant_id, provider)
    if row is None:
        raise NotFound("There is no key of this tenant at this provider.")
    return CredentialAnswer.of(row)


@router.put(
    "/{provider}",
    summary="Set an own provider key",
    responses=documented(400, 401, 404, 409, 413, 415, 422, 503),
)
async def put(
    services: ServicesDep, caller: AdminDep, actor: ActorDep, provider: ProviderPath, request: CredentialRequest
) -> CredentialAnswer:
    """Buy with this key at this provider from now on: what the provider charges goes to the tenant's own account.

    It is kept encrypted and never shown again. A purchase that fails for this key goes on to another provider, as with any.
    """
    safe = _safe(services, provider)
    async with services.database.transaction("credential.set") as session:
        row = await credentials.put(
            session, actor, safe, tenant_id=caller.tenant_id, provider=provider, key=request.key.get_secret_value()
        )
    return CredentialAnswer.of(row)


@router.delete(
    "/{provider}", summary="Remove an own provider key", status_code=204, responses=documented(401, 404, 422, 503)
)
async def remove(services: ServicesDep, caller: AdminDep, actor: ActorDep, provider: ProviderPath) -> Response:
    """Forget the key. Nobody can ask the provider any more about what is under way with it: that is left to an operator."""
    async with services.database.transaction("credential.removed") as session:
        await credentials.remove(session, actor, caller.tenant_id, provider)
    return Response(status_code=204)


def _safe(services: Services, provider: str) -> CredentialSafe:
    """Raises NotFound, OwnKeysNotOffered."""
    if provider not in services.configured_providers:
        raise NotFound("There is no such provider here.")
    if services.credential_safe is None:
        raise OwnKeysNotOffered
    return services.credential_safe
