"""Where our token rides at Replicate, so that a purchase whose answer was lost can be found in its list.

| the model | the token rides | it is recognised |
|---|---|---|
| has a field for it (`InputFields.token`) | in that field | by the token |
| has a seed, and the caller gave none | as the seed: 31 bits of its hash | by model and seed |
| has neither, and works from a picture | in the metadata of the uploaded picture | by the picture's address, made for this purchase |
| has neither, and no picture | in the metadata of a small file that is uploaded before the purchase | by the digest of the whole input in it |

It also rides in the address of the webhook, which Replicate calls, but does not show in its list.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from providers.base import Purchase
from providers.model_entry import ModelEntry

Ride = Literal["field", "seed", "upload", "note"]


class Mark(BaseModel):
    """What is written in the metadata of a file that we upload.

    At a note only: `fields` are the names of the inputs that `digest` was made of, and `seed_field` and `seed` the caller's.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    diorama_token: str = Field(min_length=1)
    model: str
    fields: tuple[str, ...] = ()
    digest: str = ""
    seed_field: str = ""
    seed: int | None = None


def where_token_rides(purchase: Purchase, entry: ModelEntry) -> Ride:
    """Where the token of this purchase can be found again."""
    if entry.input.token is not None:
        return "field"
    if entry.input.seed is not None and purchase.traits.seed is None:
        return "seed"
    return "upload" if purchase.references else "note"


def seed_of(token: str) -> int:
    """A seed that only this token has: 31 bits of its hash, as not every model takes larger ones."""
    return int.from_bytes(hashlib.sha256(token.encode()).digest()[:4]) >> 1


def note(purchase: Purchase, entry: ModelEntry, made_from: Mapping[str, Any]) -> Mark:
    """The mark that tells which input was bought with a token; it does not quote the words."""
    fields = tuple(sorted(made_from))
    return Mark(
        diorama_token=purchase.token,
        model=entry.model,
        fields=fields,
        digest=digest_of(entry.model, fields, made_from),
        seed_field=entry.input.seed or "",
        seed=purchase.traits.seed,
    )


def digest_of(model: str, fields: Iterable[str], made_from: Mapping[str, Any]) -> str:
    """A digest of these fields of a model's input, the same for 7 and 7.0: to JSON they are one number."""
    values = [[name, _plain(made_from[name])] for name in fields]
    return hashlib.sha256(json.dumps([model, values], sort_keys=True).encode()).hexdigest()


def _plain(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value
