"""Limit 1: the same fetches and stores by a bare asyncio script, which nothing would bring back after a crash."""

import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from uuid import uuid4

from bench.bare_pictures import bare_maker
from bench.closed_loop import ChainRun, OneChain


@asynccontextmanager
async def bare_chains(environment: Mapping[str, str], job_s: float) -> AsyncIterator[OneChain]:
    """A chain as two calls, one after the other, in this process."""
    async with bare_maker(environment, job_s) as maker:

        async def one_chain(_number: int) -> ChainRun:
            began = time.perf_counter()
            chain = uuid4().hex
            avatar = await maker.make(chain, "avatar")
            scene = await maker.make(chain, "scene", reference=avatar.key)
            return ChainRun(chain, time.perf_counter() - began, (avatar.job_id, scene.job_id))

        yield one_chain
