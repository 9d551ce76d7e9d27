"""The least that a picture takes: create, get until it is done, download, put. Both limits are made of it."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal

import httpx
from pydantic import SecretStr

from contracts.requests import AvatarSpec, SceneSpec
from prompts.library import PromptLibrary
from providers.http import HttpSettings, build_client
from storage.base import NewObject
from storage.minio_storage import MinioStorage

MODEL = "openai/gpt-image-2.5-flare"
AVATAR = AvatarSpec(description="a young explorer with short red hair and a green scarf", size="native")
SCENE = SceneSpec(theme="aurora-night", size="native")
LOOK_EVERY_S = 0.005
REFERENCE_LIFE = timedelta(hours=1)

Step = Literal["avatar", "scene"]


@dataclass(frozen=True, slots=True)
class BarePicture:
    """Where the picture lies in the store, and the provider's job that made it."""

    key: str
    job_id: str


class BareMaker:
    """Makes pictures and remembers nothing: a crash in the middle would lose or buy twice. Same calls, same sizes as ours."""

    def __init__(
        self, http: httpx.AsyncClient, storage: MinioStorage, prompts: Mapping[Step, str], job_s: float
    ) -> None:
        self._http = http
        self._storage = storage
        self._prompts = prompts
        self._job_s = job_s

    async def make(self, chain: str, step: Step, reference: str | None = None) -> BarePicture:
        """One picture, with the stored picture `reference` as its input. Raises httpx.HTTPError or StorageError."""
        job = await self._create(chain, step, reference)
        if self._job_s:
            await asyncio.sleep(self._job_s)  # the limit knows when to look; nothing real does
        body = await self._download(await self._output(job))
        sha256 = hashlib.sha256(body).hexdigest()
        key = f"bench/{chain}/{step}-{sha256[:16]}.png"
        words = {"generation": chain, "step": step, "model": MODEL, "prompt-hash": sha256[:16]}
        new = NewObject(key=key, content_type="image/png", sha256=sha256, metadata=words, tags=words)
        await self._storage.put(new, _one_chunk(body), len(body))
        return BarePicture(key, job)

    async def _create(self, chain: str, step: Step, reference: str | None) -> str:
        fields: dict[str, Any] = {
            "prompt": self._prompts[step],
            "quality": "medium",
            "aspect_ratio": "1:1" if step == "avatar" else "2560x1440",
            "user_id": f"{chain}-{step}",
            "output_format": "png",
            "number_of_images": 1,
            "moderation": "auto",
        }
        if reference is not None:
            fields["input_images"] = [await self._storage.presigned_get(reference, expires=REFERENCE_LIFE)]
        answer = await self._http.post(f"/v1/models/{MODEL}/predictions", json={"input": fields})
        return str(answer.raise_for_status().json()["id"])

    async def _output(self, job: str) -> str:
        while True:
            report = (await self._http.get(f"/v1/predictions/{job}")).raise_for_status().json()
            if report["status"] == "succeeded":
                output = report["output"]
                return str(output if isinstance(output, str) else output[0])
            if report["status"] not in {"starting", "processing"}:
                raise RuntimeError(f"job {job} ended as {report['status']}: {report['error']}")
            await asyncio.sleep(LOOK_EVERY_S)

    async def _download(self, url: str) -> bytes:
        return (await self._http.get(url)).raise_for_status().content


@asynccontextmanager
async def bare_maker(environment: Mapping[str, str], job_s: float) -> AsyncIterator[BareMaker]:
    """A maker with connections of its own, from the DIORAMA_* variables of a stack; jobs take `job_s` seconds."""
    library = PromptLibrary.load()
    prompts: dict[Step, str] = {
        "avatar": library.avatar_prompt(AVATAR).text,
        "scene": library.scene_prompt(SCENE, library.themes.get(SCENE.theme)).text,
    }
    token = SecretStr(environment["DIORAMA_REPLICATE_API_TOKEN"])
    storage = open_storage(environment)
    try:
        async with build_client(environment["DIORAMA_REPLICATE_BASE_URL"], token, HttpSettings()) as http:
            yield BareMaker(http, storage, prompts, job_s)
    finally:
        await storage.close()


def open_storage(environment: Mapping[str, str]) -> MinioStorage:
    """The stack's store, through connections of its own."""
    return MinioStorage(
        endpoint=environment["DIORAMA_STORE_ENDPOINT"],
        access_key=environment["DIORAMA_STORE_ACCESS_KEY"],
        secret_key=environment["DIORAMA_STORE_SECRET_KEY"],
        bucket=environment["DIORAMA_STORE_BUCKET"],
        public_url=environment["DIORAMA_STORE_PUBLIC_URL"],
    )


async def _one_chunk(body: bytes) -> AsyncIterator[bytes]:
    yield body
