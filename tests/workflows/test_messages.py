"""Every message can be read when an older version wrote it, without the fields that were added since."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from enum import Enum
from functools import cache
from importlib import import_module
from inspect import getmembers, isclass, isfunction
from pkgutil import walk_packages
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints
from uuid import UUID

import pytest
from pydantic import BaseModel

import activities
from models.domain.base import Value
from models.domain.money import Money
from models.domain.terms import BookingTerms
from workflows.client.workflow_types import WORKFLOWS

NOW = datetime(2026, 12, 1, tzinfo=UTC)
_EXAMPLES: dict[type, Callable[[], Any]] = {
    bool: lambda: True,
    int: lambda: 7,
    str: lambda: "text",
    UUID: lambda: UUID(int=1),
    datetime: lambda: NOW,
    timedelta: lambda: timedelta(hours=1),
    Money: lambda: Money(amount_minor=500, currency="usd"),
}


def example(of: Any) -> Any:
    """A value of the annotated type, with every optional field set."""
    origin, arguments = get_origin(of), get_args(of)
    if origin is Annotated:
        return example(arguments[0])
    if origin in (Union, UnionType):
        return example(next(each for each in arguments if each is not NoneType))
    if origin is tuple:
        return (example(arguments[0]),)
    if origin in (list, frozenset):
        return origin([example(arguments[0])])
    if origin is dict:
        return {example(arguments[0]): example(arguments[1])}
    if of in _EXAMPLES:
        return _EXAMPLES[of]()
    if issubclass(of, Enum):
        return next(iter(of))
    if issubclass(of, BaseModel):
        return _message(of)
    raise NotImplementedError(f"no example of {of}")


@cache
def _message(of: type[BaseModel]) -> BaseModel:
    return of.model_construct(**{name: example(field.annotation) for name, field in of.model_fields.items()})


def messages() -> list[type[Value]]:
    """All that workflows, signals, updates and activities take and return, with the messages inside them."""
    modules = [import_module(module.name) for module in walk_packages(activities.__path__, "activities.")]
    owners = {each for module in modules for each in vars(module).values() if isclass(each)} | set(WORKFLOWS)
    methods = [method for owner in owners for _, method in getmembers(owner, isfunction)]
    found: set[type[Value]] = set()
    for method in methods:
        if any(name.startswith("__temporal_") or name == "_defn" for name in vars(method)):
            for annotation in get_type_hints(method).values():
                _collect(annotation, found)
    return sorted(found, key=lambda each: f"{each.__module__}.{each.__qualname__}")


def _collect(annotation: Any, found: set[type[Value]]) -> None:
    for argument in get_args(annotation):
        _collect(argument, found)
    if isclass(annotation) and issubclass(annotation, Value) and annotation not in found:
        found.add(annotation)
        for field in annotation.model_fields.values():
            _collect(field.annotation, found)


@pytest.mark.parametrize("message", messages(), ids=lambda each: each.__name__)
def test_a_message_without_one_of_its_optional_fields_can_be_read(message: type[Value]) -> None:
    written = json.loads(_message(message).model_dump_json())
    for name, field in message.model_fields.items():
        if not field.is_required():
            read = message.model_validate_json(json.dumps({key: written[key] for key in written if key != name}))
            assert getattr(read, name) == field.get_default(call_default_factory=True, validated_data={})


@pytest.mark.parametrize("message", messages(), ids=lambda each: each.__name__)
def test_a_message_with_an_unknown_field_can_be_read(message: type[Value]) -> None:
    written = json.loads(_message(message).model_dump_json()) | {"of_a_newer_version": 1}
    assert json.loads(message.model_validate_json(json.dumps(written)).model_dump_json()) == json.loads(
        _message(message).model_dump_json()
    )


def test_a_message_without_a_required_field_is_refused() -> None:
    """So that the examples above are known to be whole."""
    written = json.loads(_message(BookingTerms).model_dump_json())
    del written["price"]
    with pytest.raises(ValueError, match="price"):
        BookingTerms.model_validate_json(json.dumps(written))


def test_the_messages_of_every_workflow_are_among_them() -> None:
    names = {message.__name__ for message in messages()}
    assert names >= {"ReserveSlot", "Approve", "PaymentEvent", "DisputeOrder", "PayoutState", "RefundView"}
    assert names >= {"Onboarding", "ReconciliationReport", "BookingTerms", "Deadlines"}
    assert len(names) > 80
