"""What is sent to OpenAI: the fields of a picture by the catalog's table, and its references as files."""

from hashlib import sha256

from providers.base import Purchase, ReferenceImage
from providers.model_entry import ModelEntry
from providers.purchase_call import Upload

Fields = dict[str, str | int | float | bool]


def picture_fields(purchase: Purchase, entry: ModelEntry) -> Fields:
    """The fields of a create, references left out. Raises UnsupportedSize."""
    names, traits = entry.input, purchase.traits
    wanted = (
        (names.prompt, purchase.prompt),
        (names.quality, purchase.quality),
        (names.size, entry.recipe(purchase.shape, purchase.size).request),
        (names.background, "transparent" if traits.transparent else None),
        (names.format, traits.output_format),
        (names.token, sha256(purchase.token.encode()).hexdigest()),  # asked for as a hash: it must name nobody
    )
    said: Fields = {name: value for name, value in wanted if name is not None and value is not None}
    return {"model": purchase.model, **said, **names.fixed}


def form_text(value: str | float) -> str:
    """A field as a form takes it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


async def reference_part(number: int, image: ReferenceImage, field: str) -> Upload:
    """A picture to work from, as a file of a form."""
    extension = image.content_type.removeprefix("image/")
    return field, (f"reference-{number}.{extension}", await image.read(), image.content_type)
