"""What routes ask for: services, the caller, a transaction."""

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import Depends, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from sqlmodel.ext.asyncio.session import AsyncSession

from api.services import Services, services_of
from db.keys import Caller
from errors import NotAnOperator, Unauthenticated

bearer = HTTPBearer(
    auto_error=False, scheme_name="apiKey", bearerFormat="dio_...", description="An API key: `dio_<id>_<secret>`."
)

ServicesDep = Annotated[Services, Depends(services_of)]


async def _caller(
    services: ServicesDep, credentials: Annotated[HTTPAuthorizationCredentials | None, Security(bearer)]
) -> Caller:
    if credentials is None:
        raise Unauthenticated
    return await services.authenticator.caller(credentials.credentials)


async def _transaction(services: ServicesDep) -> AsyncIterator[AsyncSession]:
    async with services.database.transaction() as session:
        yield session


CallerDep = Annotated[Caller, Depends(_caller)]


async def _operator(caller: CallerDep) -> Caller:
    if not caller.operator:
        raise NotAnOperator
    return caller


OperatorDep = Annotated[Caller, Depends(_operator)]

# scope="function": the commit comes before the answer, so that a failed commit cannot have been answered with 200
TransactionDep = Annotated[AsyncSession, Depends(_transaction, scope="function")]
