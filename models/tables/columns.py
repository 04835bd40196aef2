"""Kinds of columns that several tables have."""

from enum import StrEnum
from typing import Any

from sqlalchemy import Column, Enum


def word(kind: type[StrEnum], nullable: bool = False, server_default: str | None = None) -> Column[Any]:
    """A word of ours as text with a check: a new word is one constraint, and no type to alter."""
    return Column(
        Enum(kind, native_enum=False, length=24, values_callable=lambda words: [word.value for word in words]),
        nullable=nullable,
        server_default=server_default,
    )
