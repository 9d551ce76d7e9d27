"""What a request will cost, before it runs."""

from typing import Annotated

from fastapi import APIRouter, Body

from api.alternatives import explain
from api.dependencies import GenerateDep, ServicesDep
from api.problems import documented
from api.quoting import QuoteAnswer
from api.routes.examples import REQUESTS
from api.strict_json import StrictJsonRoute
from contracts.requests import GenerationRequest
from errors import InvalidRequest

router = APIRouter(prefix="/v1/quotes", tags=["quotes"], route_class=StrictJsonRoute)


@router.post(
    "",
    summary="Ask what a request will cost",
    status_code=201,
    responses=documented(400, 401, 403, 404, 413, 415, 422, 429, 503),
)
async def offer(
    services: ServicesDep,
    caller: GenerateDep,
    request: Annotated[GenerationRequest, Body(openapi_examples=REQUESTS)],
) -> QuoteAnswer:
    """Promise a price for a request to POST /v1/generations, for 15 minutes; nothing is bought, and nothing held.

    Send the same request with `quote_id` to have it made for at most `max_usd`. A quote is good for one generation.
    """
    try:
        return await services.quote_desk.offer(caller, request)
    except InvalidRequest as refusal:
        explain(refusal, request, services.quoter)
        raise
