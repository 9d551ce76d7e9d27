"""OpenAI's picture and what its own token counts say it cost."""

import base64
import binascii
from decimal import Decimal
from typing import Any

from pydantic import BaseModel, NonNegativeInt, ValidationError

from errors import OutcomeUnknown, OutputCorrupt, PolicyRefused
from providers.answers import Answer, is_text
from providers.base import FinishedPicture
from providers.price_rules import TokenRates

_SIGNATURES = ((b"\x89PNG\r\n\x1a\n", "image/png"), (b"\xff\xd8\xff", "image/jpeg"))


class _InputTokens(BaseModel):
    text_tokens: NonNegativeInt
    image_tokens: NonNegativeInt


class _Usage(BaseModel):
    """Those fields of an images answer's `usage` that have a price (OpenAI's API reference, Images)."""

    input_tokens_details: _InputTokens
    output_tokens: NonNegativeInt


def read_picture(answer: Answer, rates: TokenRates | None) -> FinishedPicture:
    """The picture of a 2xx answer.

    Raises OutcomeUnknown (not the JSON of an images answer), PolicyRefused (an empty list, and paid),
    OutputCorrupt (a picture was sent, and its bytes are none).
    """
    fields = answer.fields()
    pictures = fields.get("data")
    if not isinstance(pictures, list):
        raise OutcomeUnknown(reason="UnreadableAnswer", status=answer.status)
    if not pictures:
        raise PolicyRefused("The model delivered no picture.", billed="yes", category="unspecified", stage="output")
    body = _bytes_of(pictures[0])
    return FinishedPicture(body, _content_type(body), cost_usd=cost_usd(fields.get("usage"), rates))


def cost_usd(usage: Any, rates: TokenRates | None) -> Decimal | None:
    """What the tokens cost (USD); None without usage or rates. Output without details is billed as image tokens.

    Not read with the vendor's types: they refuse sizes that the service does give, and importing them takes half a second of
    each start of a worker.
    """
    if rates is None:
        return None
    try:
        counted = _Usage.model_validate(usage)
    except ValidationError:
        return None
    details = counted.input_tokens_details
    return rates.cost_usd(text_in=details.text_tokens, image_in=details.image_tokens, image_out=counted.output_tokens)


def _bytes_of(picture: object) -> bytes:
    encoded = picture.get("b64_json") if isinstance(picture, dict) else None
    try:
        body = base64.b64decode(encoded, validate=True) if is_text(encoded) else b""
    except (binascii.Error, ValueError):
        body = b""
    if not body:
        raise OutputCorrupt("The provider delivered an empty or broken picture.")
    return body


def _content_type(body: bytes) -> str:
    """By the bytes themselves; what is unknown stays unknown until it is decoded."""
    if body[:4] == b"RIFF" and body[8:12] == b"WEBP":
        return "image/webp"
    return next((kind for signature, kind in _SIGNATURES if body.startswith(signature)), "application/octet-stream")
