"""Telling, among the predictions in Replicate's list, the one that was bought with a token."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from providers.answers import is_text
from providers.model_entry import ModelEntry
from providers.replicate_marks import Mark, digest_of, seed_of


@dataclass(frozen=True, slots=True)
class Row:
    """A prediction in the list as far as it can be recognised. `made_from` is its input."""

    job_id: str
    model: str
    made_from: Mapping[str, Any]
    webhook: str

    @classmethod
    def of(cls, listed: Mapping[str, Any]) -> "Row":
        """Read it leniently: what is not there is empty."""
        made_from, webhook = listed.get("input"), listed.get("webhook")
        return cls(
            job_id=str(listed.get("id")),
            model=str(listed.get("model")),
            made_from=made_from if isinstance(made_from, dict) else {},
            webhook=webhook if isinstance(webhook, str) else "",
        )

    @property
    def addresses(self) -> frozenset[str]:
        """The pictures that it was made from."""
        values = [one for value in self.made_from.values() for one in (value if isinstance(value, list) else [value])]
        return frozenset(value for value in values if isinstance(value, str) and value.startswith(("http:", "https:")))

    def token(self, entry: ModelEntry | None) -> str | None:
        """The token that it shows; None when it shows none, as models without a field for it do."""
        field = entry.input.token if entry else None
        token = self.made_from.get(field) if field else None
        if not is_text(token):
            token = self.webhook.rpartition("/")[2]
        return token if is_text(token) else None

    def carries(self, token: str, entry: ModelEntry | None) -> bool:
        """Whether it was certainly bought with this token, by what stands in it."""
        if token in self.webhook or token in self.made_from.values():
            return True
        if self.webhook or entry is None or entry.input.token is not None or entry.input.seed is None:
            return False
        return self.made_from.get(entry.input.seed) == seed_of(token)

    def is_made_as(self, mark: Mark) -> bool:
        """By the fields that were sent: the list may show the model's own settings besides."""
        if not mark.digest or any(name not in self.made_from for name in mark.fields):
            return False
        return digest_of(self.model, mark.fields, self.made_from) == mark.digest


@dataclass(frozen=True, slots=True)
class Marks:
    """The files that were uploaded for purchases: `ours` for the lost one, `others` for all others; with their addresses."""

    ours: tuple[tuple[Mark, str], ...]
    others: tuple[tuple[Mark, str], ...]

    def found_in(self, rows: Iterable[Row]) -> tuple[Row | None, bool]:
        """The prediction of the lost purchase among those that show no token; and whether it is certain, none included.

        "None" is certain only when no prediction could be it: should Replicate show an input in another form than it was
        sent in, nothing may follow from that.
        """
        rows = list(rows)
        pictures = {address for mark, address in self.ours if not mark.digest}
        by_picture = [row for row in rows if row.addresses & pictures]
        if by_picture:
            return by_picture[0], True
        alike = [row for row in rows if any(row.is_made_as(mark) for mark, _ in self.ours)]
        if len(alike) == 1 and not any(alike[0].is_made_as(mark) for mark, _ in self.others):
            return alike[0], True
        return None, not alike and not any(self._could_be(mark, row) for mark, _ in self.ours for row in rows)

    def _could_be(self, mark: Mark, row: Row) -> bool:
        if row.model != mark.model:
            return False
        if mark.digest:
            return mark.seed is None or row.made_from.get(mark.seed_field) == mark.seed
        known = {address for _, address in (*self.ours, *self.others)}
        return not row.addresses <= known


def read_marks(files: Iterable[Mapping[str, Any]], token: str) -> Marks:
    """The marks among the files of the account, and which of them are this token's."""
    ours: list[tuple[Mark, str]] = []
    others: list[tuple[Mark, str]] = []
    for file in files:
        try:
            mark = Mark.model_validate(file.get("metadata"))
        except ValidationError:  # a file of somebody else's
            continue
        (ours if mark.diorama_token == token else others).append((mark, _address_of(file)))
    return Marks(tuple(ours), tuple(others))


def _address_of(file: Mapping[str, Any]) -> str:
    urls = file.get("urls")
    return str(urls.get("get")) if isinstance(urls, dict) else ""
