"""The options that describe a request for pictures, for every command that takes one."""

from collections.abc import Callable
from inspect import Parameter, Signature, signature
from typing import Annotated, Any, Literal

import typer

from commands.http_client import Json
from commands.request_body import request_body

What = Literal["avatar", "scene", "avatar-scene", "image", "enhance"]
AVATAR, SCENE, IMAGE, ENHANCE, EVERY = "The avatar", "The scene", "image", "enhance", "Every kind"


def describes_a_request(command: Callable[..., None]) -> Callable[..., None]:
    """`command(body, ...)` as a command whose line begins with all that describes a request; `body` is that for the API."""
    described = signature(described_request, eval_str=True).parameters
    own = {name: one for name, one in signature(command, eval_str=True).parameters.items() if name != "body"}

    def run(**given: Any) -> None:
        body = described_request(**{name: given[name] for name in described})
        command(body, **{name: given[name] for name in own})

    parameters: list[Parameter] = [*described.values(), *own.values()]
    vars(run)["__signature__"] = Signature(parameters)
    run.__annotations__ = {one.name: one.annotation for one in parameters}
    run.__name__, run.__doc__ = command.__name__, command.__doc__
    return run


def described_request(
    what: Annotated[What, typer.Argument(help="What to make.", show_default=False)],
    *,
    description: Annotated[
        str | None, typer.Option(help="Who it is, and what they wear.", rich_help_panel=AVATAR)
    ] = None,
    style: Annotated[
        str | None, typer.Option(help="How it is drawn. Default: the house style.", rich_help_panel=AVATAR)
    ] = None,
    avatar_size: Annotated[Literal["1024x1024", "native"] | None, typer.Option(rich_help_panel=AVATAR)] = None,
    theme: Annotated[
        str | None, typer.Option(help="The place; `diorama themes` lists them.", rich_help_panel=SCENE)
    ] = None,
    details: Annotated[str | None, typer.Option(help="What is special about the place.", rich_help_panel=SCENE)] = None,
    scene_size: Annotated[
        Literal["1920x1080", "1280x720", "native"] | None, typer.Option(rich_help_panel=SCENE)
    ] = None,
    avatar_asset: Annotated[
        str | None, typer.Option(help="kind scene: the avatar, by its asset id.", rich_help_panel=SCENE)
    ] = None,
    image_url: Annotated[
        str | None, typer.Option(help="kind scene: the avatar, as a picture on the web.", rich_help_panel=SCENE)
    ] = None,
    prompt: Annotated[str | None, typer.Option(help="The whole prompt, word for word.", rich_help_panel=IMAGE)] = None,
    image: Annotated[
        list[str] | None,
        typer.Option(
            help="A picture to work from: an asset id, or a file to be uploaded. May be given several times; enhance: once.",
            rich_help_panel=IMAGE,
        ),
    ] = None,
    image_use: Annotated[
        Literal["reference", "start", "sketch"] | None,
        typer.Option(help="What --image is. Default: reference.", rich_help_panel=IMAGE),
    ] = None,
    count: Annotated[int | None, typer.Option(help="How many pictures, 1 to 10.", rich_help_panel=IMAGE)] = None,
    size: Annotated[str | None, typer.Option(help="WIDTHxHEIGHT, or native.", rich_help_panel=IMAGE)] = None,
    negative_prompt: Annotated[str | None, typer.Option(help="What shall not be in it.", rich_help_panel=IMAGE)] = None,
    seed: Annotated[int | None, typer.Option(rich_help_panel=IMAGE)] = None,
    steps: Annotated[int | None, typer.Option(rich_help_panel=IMAGE)] = None,
    guidance: Annotated[float | None, typer.Option(rich_help_panel=IMAGE)] = None,
    strength: Annotated[
        float | None,
        typer.Option(help="With --image-use start: 0 keeps the picture, 1 forgets it.", rich_help_panel=IMAGE),
    ] = None,
    transparent: Annotated[bool, typer.Option("--transparent", rich_help_panel=IMAGE)] = False,
    output_format: Annotated[
        Literal["png", "jpeg", "webp"] | None, typer.Option("--format", rich_help_panel=IMAGE)
    ] = None,
    operation: Annotated[
        Literal["upscale", "face_restore"] | None, typer.Option(help="Default: upscale.", rich_help_panel=ENHANCE)
    ] = None,
    scale: Annotated[int | None, typer.Option(help="How many times larger: 2 or 4.", rich_help_panel=ENHANCE)] = None,
    session: Annotated[str | None, typer.Option(help="Groups generations.", rich_help_panel=EVERY)] = None,
    tag: Annotated[list[str] | None, typer.Option(help="May be given several times.", rich_help_panel=EVERY)] = None,
    quality: Annotated[Literal["low", "medium", "high"] | None, typer.Option(rich_help_panel=EVERY)] = None,
    provider: Annotated[str | None, typer.Option(help="Default: the catalog's order.", rich_help_panel=EVERY)] = None,
    model: Annotated[str | None, typer.Option(help="Default: the catalog's order.", rich_help_panel=EVERY)] = None,
    force_model: Annotated[
        bool, typer.Option("--force-model", help="Although its shutdown date has passed.", rich_help_panel=EVERY)
    ] = False,
    strategy: Annotated[
        Literal["pinned", "cheapest", "fastest", "best", "balanced"] | None,
        typer.Option(help="How a model is chosen.", rich_help_panel=EVERY),
    ] = None,
    only_provider: Annotated[
        list[str] | None, typer.Option(help="Only these may be used; several times.", rich_help_panel=EVERY)
    ] = None,
    max_cost: Annotated[
        str | None, typer.Option(help="USD that all of it may cost at most.", rich_help_panel=EVERY)
    ] = None,
    deadline: Annotated[
        int | None, typer.Option(help="Seconds that a picture may take, 5 to 1800.", rich_help_panel=EVERY)
    ] = None,
) -> Json:
    """The body of a request, from what was typed. Raises typer.BadParameter: parts do not fit."""
    return request_body(
        what,
        avatar={"description": description, "style": style, "size": avatar_size},
        scene={"theme": theme, "details": details, "size": scene_size},
        source={"avatar_asset_id": avatar_asset, "image_url": image_url},
        words={"prompt": prompt, "count": count, "size": size, "image_use": image_use},
        traits={
            "negative_prompt": negative_prompt,
            "seed": seed,
            "steps": steps,
            "guidance": guidance,
            "strength": strength,
            "transparent": transparent or None,
            "output_format": output_format,
        },
        enhancement={"operation": operation, "scale": scale},
        pictures=image or (),
        options={
            "session_id": session,
            "tags": tag,
            "quality": quality,
            "provider": provider,
            "model": model,
            "force_model": force_model or None,
            "strategy": strategy,
            "providers": only_provider,
            "max_cost_usd": max_cost,
            "deadline_s": deadline,
        },
    )
