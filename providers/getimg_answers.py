"""getimg's paid answers: the picture itself (version 1) or where it lies (version 2), and what it cost."""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from errors import Billed, OutcomeUnknown, OutputCorrupt, PolicyRefused, ProviderError
from providers.answers import Answer, is_text
from providers.base import FinishedPicture, RemoteFile
from providers.picture_type import content_type_of

_DEAREST_USD = Decimal(1000)  # no picture costs so much: a slip must not become a bill


@dataclass(frozen=True, slots=True)
class PictureElsewhere:
    """A picture that is paid and still to be downloaded; its URL is told once, and nobody can ask for it again."""

    file: RemoteFile
    cost_usd: Decimal | None


def read_made(answer: Answer) -> FinishedPicture | PictureElsewhere:
    """What a 2xx answer gives.

    Raises OutcomeUnknown (not the JSON of a finished picture), PolicyRefused (an empty list), OutputCorrupt (a picture is
    promised, and there is none); what it costs all the same is told with the error.
    """
    fields = answer.fields()
    pictures = fields["data"] if isinstance(fields.get("data"), list) else None
    cost_usd = _cost(fields.get("cost")) if pictures is None else _cost_in(fields.get("usage"))
    try:
        made = _from_fields(fields, cost_usd) if pictures is None else _from_list(pictures, cost_usd)
    except ProviderError as error:
        error.cost_usd = cost_usd
        raise
    if made is None:
        raise OutcomeUnknown(reason="UnreadableAnswer", status=answer.status)
    return made


def money(value: object) -> Decimal | None:
    """An amount of money from a number or its text; None when it is none."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        amount = Decimal(str(value))
    except InvalidOperation:
        return None
    return amount if amount.is_finite() else None


def _from_list(pictures: list[Any], cost_usd: Decimal | None) -> PictureElsewhere:
    if not pictures:
        billed: Billed = "yes" if cost_usd else "unknown"
        raise PolicyRefused("The model delivered no picture.", billed=billed, category="unspecified", stage="output")
    url = pictures[0].get("url") if isinstance(pictures[0], dict) else None
    if not is_text(url):
        raise OutputCorrupt("The provider says that there is a picture, but not where.")
    return PictureElsewhere(RemoteFile(url), cost_usd)


def _from_fields(fields: Mapping[str, Any], cost_usd: Decimal | None) -> FinishedPicture | PictureElsewhere | None:
    if is_text(fields.get("image")):
        body = _decoded(fields["image"])
        return FinishedPicture(body, content_type_of(body), cost_usd=cost_usd)
    return PictureElsewhere(RemoteFile(fields["url"]), cost_usd) if is_text(fields.get("url")) else None


def _cost_in(usage: object) -> Decimal | None:
    return _cost(usage.get("total_cost")) if isinstance(usage, dict) else None


def _cost(value: object) -> Decimal | None:
    amount = money(value)
    return amount if amount is not None and 0 <= amount < _DEAREST_USD else None


def _decoded(encoded: str) -> bytes:
    try:
        body = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        body = b""
    if not body:
        raise OutputCorrupt("The provider delivered an empty or broken picture.")
    return body
