"""What routes ask for: services, the caller, a transaction."""

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import Depends, Request, Security
from fastapi.requests import HTTPConnection
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from sqlmodel.ext.asyncio.session import AsyncSession

from api.answer_headers import add_header
from api.limits import Room, TooFast
from api.services import Services, services_of
from contracts.scopes import KeyScope
from db.audit import OF_KEY, Actor
from db.keys import Caller
from errors import NotAnOperator, Unauthenticated

bearer = HTTPBearer(
    auto_error=False, scheme_name="apiKey", bearerFormat="dio_...", description="An API key: `dio_<id>_<secret>`."
)

LONGEST_ADDRESS = 50

ServicesDep = Annotated[Services, Depends(services_of)]
Credentials = Annotated[HTTPAuthorizationCredentials | None, Security(bearer)]


async def _key(credentials: Credentials) -> str:
    if credentials is None:
        raise Unauthenticated
    return credentials.credentials


async def _caller(request: Request, services: ServicesDep, credentials: Credentials) -> Caller:
    return await admitted(services, request, await _key(credentials))


async def admitted(services: Services, connection: HTTPConnection, key: str) -> Caller:
    """Who this key belongs to, with the request counted against the limits; the answer tells how these stand.

    Raises Unauthenticated, TenantSuspended, RateLimited, DatabaseUnavailable.
    """
    client = connection.client
    caller = await services.authenticator.caller(key, address=client.host if client else None)
    try:
        room = await services.limits.admit(caller)
    except TooFast as refused:
        _tell(connection, refused.room)
        raise refused.refusal() from None
    if room is not None:
        _tell(connection, room)
    return caller


def _tell(connection: HTTPConnection, room: Room) -> None:
    for name, value in room.headers():
        add_header(connection.scope, name, value)


async def _transaction(services: ServicesDep) -> AsyncIterator[AsyncSession]:
    async with services.database.transaction() as session:
        yield session


KeyDep = Annotated[str, Depends(_key)]
CallerDep = Annotated[Caller, Depends(_caller)]


class Require:
    """Asks for a scope. A class, so that a test can see which scope each route asks for."""

    def __init__(self, scope: KeyScope) -> None:
        self.scope = scope

    async def __call__(self, caller: CallerDep) -> Caller:
        """The caller, when its key has the scope. Raises ScopeMissing."""
        caller.check(self.scope)
        return caller


async def require_operator(caller: CallerDep) -> Caller:
    """The caller, when its key is an operator's. Raises NotAnOperator."""
    if not caller.operator:
        raise NotAnOperator
    return caller


async def _actor(request: Request, caller: CallerDep) -> Actor:
    """Who decides, for the audit log."""
    client = request.client
    address = client.host[:LONGEST_ADDRESS] if client else None  # a proxy may say anything
    return Actor(f"{OF_KEY}{caller.key_id}", address, request.scope.get("request_id"))


# Every route under /v1 asks for one of these four; a test walks the routes. Operators' keys have all scopes.
ReadDep = Annotated[Caller, Depends(Require(KeyScope.read))]
GenerateDep = Annotated[Caller, Depends(Require(KeyScope.generate))]
AdminDep = Annotated[Caller, Depends(Require(KeyScope.admin))]
OperatorDep = Annotated[Caller, Depends(require_operator)]

ActorDep = Annotated[Actor, Depends(_actor)]

# scope="function": the commit comes before the answer, so that a failed commit cannot have been answered with 200
TransactionDep = Annotated[AsyncSession, Depends(_transaction, scope="function")]
