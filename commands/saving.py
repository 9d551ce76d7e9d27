"""Pictures of a generation as files: one per step, and generation.json beside them."""

import hashlib
import json
from pathlib import Path

from commands.http_client import DioramaClient, Json
from commands.screen import Screen
from commands.troubles import CommandUnusable, PictureDamaged

SUFFIXES = {"image/png": "png", "image/jpeg": "jpg", "image/webp": "webp"}


async def save(screen: Screen, client: DioramaClient, generation: Json, folder: Path) -> None:
    """Write every picture, proven against its hash, and then the generation itself, replacing what was there.

    Raises PictureDamaged, RequestRefused, ServerUnreachable, CommandUnusable (the folder cannot be written).
    """
    for picture in generation["pictures"]:
        body = await client.download(picture["links"]["content"])
        if hashlib.sha256(body).hexdigest() != picture["sha256"]:
            raise PictureDamaged(f"The {picture['step']} did not arrive whole.")
        path = folder / f"{picture['step']}.{SUFFIXES.get(picture['content_type'], 'bin')}"
        write(path, body)
        screen.say(f"  {path}  {picture['width']}x{picture['height']}, {len(body) / 1024:.0f} KiB")
        screen.record("saved", step=picture["step"], path=str(path), width=picture["width"], height=picture["height"])
    record = folder / "generation.json"
    write(record, (json.dumps(generation, indent=2, ensure_ascii=False) + "\n").encode())
    screen.say(f"  {record}")


def write(path: Path, body: bytes) -> None:
    """Make or replace a file, in one step, so that nobody sees half of it. Raises CommandUnusable."""
    fresh = path.with_name(f".{path.name}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh.write_bytes(body)
        fresh.replace(path)
    except OSError as trouble:
        raise CommandUnusable(f"The file {path} cannot be written: {trouble.strerror}.") from trouble
