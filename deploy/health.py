"""Readiness over HTTP on the loopback interface."""

import ssl

import httpx

from deploy.failures import NotReadyYet

TIMEOUT_S = 2.0
SHOWN_CHARACTERS = 200
# Only plain HTTP is spoken here; reading the authorities' certificates for every client would cost 20 ms a check.
NO_AUTHORITIES = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


async def fetch(url: str) -> httpx.Response:
    """GET `url`, past any proxy of the user's.

    Raises NotReadyYet: nobody answers, or the answer is no success.
    """
    try:
        async with httpx.AsyncClient(trust_env=False, timeout=TIMEOUT_S, verify=NO_AUTHORITIES) as client:
            answer = await client.get(url)
    except httpx.HTTPError as trouble:
        raise NotReadyYet(f"{url} does not answer: {str(trouble) or type(trouble).__name__}") from trouble
    if not answer.is_success:
        raise NotReadyYet(f"{url} answered {answer.status_code}: {answer.text[:SHOWN_CHARACTERS]}")
    return answer


async def answers_ok(url: str) -> None:
    """Return when `url` answers with success. Raises NotReadyYet otherwise."""
    await fetch(url)
