"""The kinds of shape in Stripe's requests and responses."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, TypeAlias


@dataclass(frozen=True)
class Scalar:
    kind: Literal["integer", "number", "boolean", "text", "null", "anything"]


@dataclass(frozen=True)
class Choice:
    """An enum. Stripe's SDK leaves enums open for later values, but here they are closed."""

    values: tuple[str | bool | int, ...]


@dataclass(frozen=True)
class Listing:
    item: "Shape"


@dataclass(frozen=True)
class Mapping:
    value: "Shape"


@dataclass(frozen=True)
class Page:
    """Stripe's list object: `object: list`, `data`, `has_more`, `url`."""

    item: "Shape"


@dataclass(frozen=True)
class Either:
    options: tuple["Shape", ...]


@dataclass(frozen=True)
class Field:
    shape: "Shape"
    required: bool


class Structure:
    """An object with named fields. They are derived on first use, since Stripe's objects refer to each other."""

    def __init__(self, name: str, derive: Callable[[], dict[str, Field]]) -> None:
        self.name = name
        self._derive = derive

    @cached_property
    def fields(self) -> dict[str, Field]:
        return self._derive()

    def __repr__(self) -> str:
        return f"Structure({self.name})"


Shape: TypeAlias = Scalar | Choice | Listing | Mapping | Page | Either | Structure

INTEGER = Scalar("integer")
NUMBER = Scalar("number")
BOOLEAN = Scalar("boolean")
TEXT = Scalar("text")
NULL = Scalar("null")
ANYTHING = Scalar("anything")
