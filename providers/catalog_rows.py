"""Reading the catalog: rows in TOML, changed by the operator's own, checked strictly, in order of preference."""

import tomllib
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, TypeVar

from pydantic import ValidationError

from contracts.frozen import Frozen
from errors import ConfigurationError
from providers.model_entry import ModelEntry, ProviderEntry

_TABLES = {"providers", "models"}
Row = TypeVar("Row", bound=Frozen)
Table = dict[str, Any]
Rows = tuple[tuple[ProviderEntry, ...], tuple[ModelEntry, ...]]


def read_rows(texts: Sequence[str], overrides: str = "") -> Rows:
    """The providers and models of these TOML texts, best first.

    A row of `overrides` changes the fields that it names of the row with the same provider and model (or, for a provider,
    the same name), and is a new one where there is none. Raises ConfigurationError naming the entry that is wrong.
    """
    parsed = [_parse(text) for text in texts]
    changes = _parse(overrides)
    provider_rows = _changed([row for tables in parsed for row in tables["providers"]], changes["providers"], ("name",))
    model_rows = _changed(
        [row for tables in parsed for row in tables["models"]], changes["models"], ("provider", "model")
    )
    providers = [_read(ProviderEntry, row, row.get("name")) for row in provider_rows]
    models = [_read(ModelEntry, row, f"{row.get('provider')} {row.get('model')}") for row in model_rows]
    _check(providers, models)
    return _in_order(providers, models)


def _parse(text: str) -> dict[str, list[Table]]:
    try:
        tables = tomllib.loads(text, parse_float=Decimal)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"The catalog is not valid TOML: {error}") from error
    if unknown := tables.keys() - _TABLES:
        raise ConfigurationError(f"The catalog has unknown tables: {', '.join(sorted(unknown))}")
    for name, rows in tables.items():
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise ConfigurationError(f"The catalog's {name} must be a list: write [[{name}]]")
    return {name: tables.get(name, []) for name in _TABLES}


def _changed(rows: list[Table], changes: list[Table], names: tuple[str, ...]) -> list[Table]:
    """The rows with the changes in them; a row within a row (traits, input, prices) is changed field by field."""
    result = list(rows)
    for change in changes:
        same = [n for n, row in enumerate(rows) if all(row.get(name) == change.get(name) for name in names)]
        if not same:
            result.append(change)
        for number in same:
            result[number] = _merged(result[number], change)
    return result


def _merged(row: Mapping[str, Any], change: Mapping[str, Any]) -> Table:
    inner = {
        name: {**row[name], **value}
        for name, value in change.items()
        if isinstance(value, dict) and isinstance(row.get(name), dict)
    }
    return {**row, **change, **inner}


def _read(kind: type[Row], row: Mapping[str, Any], name: object) -> Row:
    try:
        return kind.model_validate(row)
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(map(str, problem['loc'])) or 'entry'}: {problem['msg']}" for problem in error.errors()
        )
        raise ConfigurationError(f"Catalog entry {name!r}: {problems}") from error


def _check(providers: Sequence[ProviderEntry], models: Sequence[ModelEntry]) -> None:
    names = [provider.name for provider in providers]
    keys = [(entry.provider, entry.model) for entry in models]
    for name in names:
        if names.count(name) > 1:
            raise ConfigurationError(f"Catalog entry {name!r}: there are two providers of this name")
    for entry, key in zip(models, keys, strict=True):
        where = f"Catalog entry '{entry.provider} {entry.model}'"
        if keys.count(key) > 1:
            raise ConfigurationError(f"{where}: there are two entries for this model")
        if entry.provider not in names:
            raise ConfigurationError(f"{where}: there is no such provider")
        if entry.replaced_by is not None and (entry.provider, entry.replaced_by) not in keys:
            raise ConfigurationError(f"{where}: replaced_by names an unknown model {entry.replaced_by!r}")


def _in_order(providers: Sequence[ProviderEntry], models: Sequence[ModelEntry]) -> Rows:
    ordered = sorted(models, key=lambda entry: entry.preference)
    ranks = {entry.provider: number for number, entry in reversed([*enumerate(ordered)])}
    return tuple(sorted(providers, key=lambda provider: ranks.get(provider.name, len(ordered)))), tuple(ordered)
