"""Derives shapes from stripe-python's annotations.

Its `params` TypedDicts and resource classes are generated from Stripe's OpenAPI specification, at the version that the
package pins. So the shapes are Stripe's own.
"""

import ast
import functools
import importlib
import inspect
import sys
import types
import typing
from collections.abc import Callable
from decimal import Decimal
from typing import Any, Literal, NotRequired, Required, Union, get_args, get_origin

import stripe
from stripe._api_mode import ApiMode
from stripe._list_object import ListObject
from stripe._object_classes import get_object_class
from stripe._request_options import RequestOptions
from stripe._stripe_object import StripeObject, UntypedStripeObject
from typing_extensions import is_typeddict

from sandbox.stripe.schema.shapes import (
    ANYTHING,
    BOOLEAN,
    INTEGER,
    NULL,
    NUMBER,
    TEXT,
    Choice,
    Either,
    Field,
    Listing,
    Mapping,
    Page,
    Scalar,
    Shape,
    Structure,
)

API_VERSION: str = stripe.api_version

_SCALARS: dict[object, Scalar] = {
    int: INTEGER,
    float: NUMBER,
    Decimal: TEXT,
    bool: BOOLEAN,
    str: TEXT,
    type(None): NULL,
    Any: ANYTHING,
    object: ANYTHING,
    StripeObject: ANYTHING,
}


@functools.cache
def request_shape(params: type) -> Structure:
    """The parameters of a request, from one of the SDK's `...Params` TypedDicts."""
    return Structure(params.__name__, lambda: _typed_dict_fields(params))


@functools.cache
def resource_shape(resource: type) -> Structure:
    """The fields of a response, from one of the SDK's resource classes."""
    return Structure(resource.__name__, lambda: _resource_fields(resource))


@functools.cache
def object_shape(name: str) -> Structure | None:
    """The fields of the objects whose `object` field is `name`, or None."""
    mode: ApiMode = "V2" if name.startswith("v2.") else "V1"
    resource: type = get_object_class(mode, name)
    return resource_shape(resource) if getattr(resource, "OBJECT_NAME", None) == name else None


def _typed_dict_fields(params: type) -> dict[str, Field]:
    own = {name: hint for name, hint in params.__annotations__.items() if name not in RequestOptions.__annotations__}
    fields = {}
    for name, hint in _resolved(own, params.__module__, {}).items():
        origin = get_origin(hint)
        required = origin is not NotRequired
        inner = get_args(hint)[0] if origin in (NotRequired, Required) else hint
        # The SDK appends an underscore to fields that are named like a Python keyword.
        fields[name.rstrip("_")] = Field(_shape(inner, request_shape), required)
    return fields


def _resource_fields(resource: type) -> dict[str, Field]:
    own = {name: hint for name, hint in inspect.get_annotations(resource).items() if not name.startswith("_")}
    fields = {}
    for name, hint in _resolved(own, resource.__module__, _imports_for_typing(resource.__module__)).items():
        if get_origin(hint) is typing.ClassVar:
            continue
        shape = _shape(hint, resource_shape)
        fields[name.rstrip("_")] = Field(shape, required=not _allows_null(shape))
    return fields


def _allows_null(shape: Shape) -> bool:
    return shape == NULL or (isinstance(shape, Either) and NULL in shape.options)


def _resolved(hints: dict[str, Any], module: str, names: dict[str, Any]) -> dict[str, Any]:
    """Annotations with their forward references resolved in the module that defines them."""
    holder = type("Holder", (), {"__annotations__": hints, "__module__": module})
    return typing.get_type_hints(holder, localns=names, include_extras=True)


@functools.cache
def _imports_for_typing(module: str) -> dict[str, Any]:
    """The classes that a module imports under `if TYPE_CHECKING:`, which its annotations use."""
    names: dict[str, Any] = {}
    for node in ast.walk(ast.parse(inspect.getsource(sys.modules[module]))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("stripe."):
            for alias in node.names:
                if alias.name[0].isupper() and not alias.name.endswith("Params"):
                    source = importlib.import_module(node.module)
                    names[alias.asname or alias.name] = getattr(source, alias.name)
    return names


def _shape(hint: Any, structure: Callable[[type], Structure]) -> Shape:
    if hint in _SCALARS:
        return _SCALARS[hint]
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Literal:
        return Choice(arguments)
    if origin in (Union, types.UnionType):
        return _either([_shape(argument, structure) for argument in arguments])
    if origin is list:
        return Listing(_shape(arguments[0], structure))
    if origin is ListObject:
        return Page(_shape(arguments[0], structure))
    if origin in (dict, UntypedStripeObject):
        return Mapping(_shape(arguments[-1], structure))
    if is_typeddict(hint):
        return request_shape(hint)
    if isinstance(hint, type) and issubclass(hint, StripeObject):
        return structure(hint)
    raise TypeError(f"stripe-python has an annotation of a kind not met before: {hint!r}")


def _either(options: list[Shape]) -> Shape:
    """A union, in which `Literal[...] | str` becomes the enum alone.

    The SDK adds `str` to each enum so that newer values pass a type checker. An empty literal is not an enum: it is how
    a parameter is unset.
    """
    if any(isinstance(option, Choice) and option.values != ("",) for option in options):
        options = [option for option in options if option != TEXT]
    flat: list[Shape] = []
    for option in options:
        flat.extend(option.options if isinstance(option, Either) else [option])
    distinct = [option for index, option in enumerate(flat) if option not in flat[:index]]
    return distinct[0] if len(distinct) == 1 else Either(tuple(distinct))
