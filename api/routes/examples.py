"""Request bodies for the OpenAPI page: each can be sent as it stands."""

from fastapi.openapi.models import Example

REQUESTS: dict[str, Example] = {
    "avatar_scene": Example(
        summary="An avatar, then a scene with it",
        value={
            "kind": "avatar_scene",
            "avatar": {"description": "a young explorer with short red hair, round glasses and a green scarf"},
            "scene": {"theme": "aurora-night", "details": "a small red cabin by the lake"},
            "session_id": "evening-walk",
            "tags": ["demo"],
        },
    ),
    "avatar": Example(
        summary="An avatar alone",
        value={
            "kind": "avatar",
            "avatar": {"description": "a retired sea captain with a white beard", "style": "clean modern illustration"},
            "quality": "high",
        },
    ),
    "scene_from_asset": Example(
        summary="A scene with an avatar that was made before",
        value={
            "kind": "scene",
            "scene": {"theme": "coral-reef"},
            "avatar_asset_id": "0199c0de-0000-7000-8000-000000000002",
        },
    ),
    "scene_from_url": Example(
        summary="A scene with a picture from the web",
        value={"kind": "scene", "scene": {"theme": "moon-base"}, "image_url": "https://example.com/me.png"},
    ),
    "images": Example(
        summary="Four pictures from your own words",
        value={
            "kind": "image",
            "prompt": "a lighthouse made of glass, at dusk",
            "count": 4,
            "size": "1536x1024",
            "traits": {"output_format": "webp"},
            "max_cost_usd": "0.50",
        },
    ),
    "edit": Example(
        summary="One picture from two of yours",
        value={
            "kind": "image",
            "prompt": "the person in the first picture wears the coat in the second one",
            "image_asset_ids": ["0199c0de-0000-7000-8000-000000000002", "0199c0de-0000-7000-8000-000000000003"],
        },
    ),
    "enhance": Example(
        summary="A picture of yours, twice as large",
        value={"kind": "enhance", "image_asset_id": "0199c0de-0000-7000-8000-000000000002", "scale": 2},
    ),
}
