"""What tables are made of: their common metadata, and the kinds of columns that more than one has."""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import Column, Enum, MetaData, Numeric
from sqlmodel import SQLModel
from uuid_utils.compat import uuid7

# Fixed names, so that a migration can speak of a constraint that another machine made.
NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s",
    "pk": "pk_%(table_name)s",
}


class Table(SQLModel):
    """What all tables share: their metadata."""

    metadata = MetaData(naming_convention=NAMING)


def now() -> datetime:
    """The time, with its zone: columns refuse naive times."""
    return datetime.now(UTC)


def new_id() -> UUID:
    """A new row's id (UUIDv7): ids are in the order in which they were made."""
    return uuid7()


def word(words: type[StrEnum], name: str, *, nullable: bool = False, index: bool = False) -> Column[Any]:
    """An enum kept as text with a check constraint, so that a new word is an ordinary migration."""
    values = Enum(
        words,
        native_enum=False,
        create_constraint=True,
        length=20,
        name=name,
        values_callable=lambda cls: [str(word) for word in cls],
    )
    return Column(values, nullable=nullable, index=index)


def usd(*, nullable: bool = False) -> Column[Any]:
    """An amount of money in USD, exact to a millionth."""
    return Column(Numeric(12, 6), nullable=nullable)


def usd_sum() -> Column[Any]:
    """A sum of many amounts (USD): where one would not fit its column, nothing could be counted any more."""
    return Column(Numeric(18, 6), nullable=False)
