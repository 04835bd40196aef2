"""`expand`: ids replaced by the objects they name, at most four levels deep (docs "Expanding responses")."""

from collections.abc import Callable, Mapping

from sandbox.stripe.context import Context
from sandbox.stripe.errors import StripeError, invalid
from sandbox.stripe.json_values import JsonObject
from sandbox.stripe.schema.derive import object_shape

_DEEPEST = 4

# Lists that Stripe leaves out of an object unless asked.
Includable = Mapping[tuple[str, str], Callable[[Context, JsonObject], JsonObject]]


def expanded(context: Context, answer: JsonObject, paths: list[str], includable: Includable) -> JsonObject:
    """The answer with each path expanded, in place.

    Raises:
        StripeError: 400 for a path that leads nowhere or too deep.
    """
    for path in paths:
        parts = path.split(".")
        if len(parts) > _DEEPEST:
            message = f"You cannot expand more than {_DEEPEST} levels of a property. Property: {path}"
            raise invalid(message, code="property_expansion_max_depth", param="expand")
        _expand(context, answer, parts, path, includable)
    return answer


def _expand(context: Context, node: JsonObject, parts: list[str], path: str, includable: Includable) -> None:
    name, rest = parts[0], parts[1:]
    include = includable.get((node.get("object", ""), name))
    if include is not None and not isinstance(node.get(name), dict):
        node[name] = include(context, node)
    if name not in node:
        if name in _fields_of(node):
            return
        raise _not_expandable(path)
    value = node[name]
    if isinstance(value, str):
        record = context.store.find_any(value)
        if record is None:
            raise _not_expandable(path)
        value = node[name] = context.view(record)
    if not rest:
        return
    for item in value if isinstance(value, list) else [value]:
        if isinstance(item, dict):
            _expand(context, item, rest, path, includable)
        elif item is not None:
            raise _not_expandable(path)


def _fields_of(node: JsonObject) -> frozenset[str]:
    """What such an object can have: a field that this one lacks is nothing to expand, and no error."""
    kind = node.get("object", "list")
    shape = object_shape(kind) if kind != "list" else None
    return frozenset(shape.fields if shape else ())


def _not_expandable(path: str) -> StripeError:
    message = (
        f"This property cannot be expanded ({path}). You may want to try expanding 'data.{path}' if this is a list."
    )
    return invalid(message, param="expand")
