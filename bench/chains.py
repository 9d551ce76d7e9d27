"""Our chains, through the public API, as a client asks for them."""

import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx

from bench.bare_pictures import AVATAR, SCENE
from bench.closed_loop import ChainRun, OneChain

WAIT_S = 60  # the longest that the API holds an answer
REQUEST = {"kind": "avatar_scene", "avatar": AVATAR.model_dump(), "scene": SCENE.model_dump()}


class ChainFailed(Exception):
    """A chain was refused, did not succeed, or had not ended when the API stopped waiting."""


class ChainClient:
    """Asks the API for chains."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http

    async def made(self) -> ChainRun:
        """Ask, and wait on the same connection until the chain has ended. Raises ChainFailed or httpx.HTTPError."""
        began = time.perf_counter()
        chain = await self._post({"Prefer": f"wait={WAIT_S}"})
        took_s = time.perf_counter() - began
        if chain["status"] != "succeeded":
            raise ChainFailed(f"{chain['id']} is {chain['status']}: {chain.get('error')}")
        return ChainRun(chain["id"], took_s)

    async def accepted(self) -> ChainRun:
        """Ask, and take the promise for an answer. Raises ChainFailed or httpx.HTTPError."""
        began = time.perf_counter()
        chain = await self._post({})
        return ChainRun(chain["id"], time.perf_counter() - began)

    async def _post(self, headers: dict[str, str]) -> dict[str, Any]:
        answer = await self._http.post("/v1/generations", json=REQUEST, headers=headers)
        if not answer.is_success:
            raise ChainFailed(f"{answer.status_code} {answer.text[:200]}")
        chain: dict[str, Any] = answer.json()
        return chain


@asynccontextmanager
async def chain_client(environment: Mapping[str, str]) -> AsyncIterator[ChainClient]:
    """A client of the stack's API, from its DIORAMA_* variables."""
    headers = {"Authorization": f"Bearer {environment['DIORAMA_BOOTSTRAP_API_KEY']}"}
    url, timeout = environment["DIORAMA_PUBLIC_URL"], httpx.Timeout(WAIT_S + 30)
    async with httpx.AsyncClient(base_url=url, headers=headers, timeout=timeout, trust_env=False) as http:
        yield ChainClient(http)


@asynccontextmanager
async def our_chains(environment: Mapping[str, str]) -> AsyncIterator[OneChain]:
    """A chain as one POST that is answered when both pictures are there."""
    async with chain_client(environment) as client:

        async def one_chain(_number: int) -> ChainRun:
            return await client.made()

        yield one_chain
