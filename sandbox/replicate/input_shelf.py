"""Takes pictures out of prediction inputs: a stored input holds an address, never megabytes of base64."""

from typing import Any

from sandbox.json_text import Json
from sandbox.references import ReferenceStore, ReferenceUnavailable, decode_data_uri, is_data_uri
from sandbox.replicate.intake import REFERENCE_FIELDS

LONGEST_KEPT = 1024
"""Characters of a data URI that may stay where it is."""


class InputShelf:
    """Replaces long data URIs by the addresses of their bytes, as Replicate shows inputs."""

    def __init__(self, references: ReferenceStore, public_url: str) -> None:
        self._references = references
        self._public_url = public_url

    def shelve(self, values: Json) -> Json:
        """The input with addresses for data URIs; the same object when there are none. Broken URIs stay, and fail the run."""
        changed: Json = {}
        for name in REFERENCE_FIELDS:
            value = values.get(name)
            shelved = [self._shelved(one) for one in value] if isinstance(value, list) else self._shelved(value)
            if shelved != value:
                changed[name] = shelved
        return {**values, **changed} if changed else values

    def _shelved(self, value: Any) -> Any:
        if not isinstance(value, str) or len(value) <= LONGEST_KEPT or not is_data_uri(value):
            return value
        try:
            return f"{self._public_url}/delivery/inputs/{self._references.keep(decode_data_uri(value))}"
        except ReferenceUnavailable:
            return value
