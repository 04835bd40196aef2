"""`expand`: replaces ids with their objects, at most four levels deep (docs "Expanding responses")."""

from collections.abc import Callable, Mapping

from sandbox.stripe.context import Context
from sandbox.stripe.errors import StripeError, invalid
from sandbox.stripe.json_values import JsonObject
from sandbox.stripe.schema.derive import object_shape

_MAX_DEPTH = 4

# Lists that Stripe includes in an object only if they are expanded.
Includable = Mapping[tuple[str, str], Callable[[Context, JsonObject], JsonObject]]


def expanded(context: Context, response: JsonObject, paths: list[str], includable: Includable) -> JsonObject:
    """Expand each path of the response in place, and return the response.

    Raises:
        StripeError: 400 for a path that does not exist or is too deep.
    """
    for path in paths:
        parts = path.split(".")
        if len(parts) > _MAX_DEPTH:
            message = f"You cannot expand more than {_MAX_DEPTH} levels of a property. Property: {path}"
            raise invalid(message, code="property_expansion_max_depth", param="expand")
        _expand(context, response, parts, path, includable)
    return response


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
    """All fields of the object's kind. Expanding a field that this object lacks is not an error."""
    kind = node.get("object", "list")
    shape = object_shape(kind) if kind != "list" else None
    return frozenset(shape.fields if shape else ())


def _not_expandable(path: str) -> StripeError:
    message = (
        f"This property cannot be expanded ({path}). You may want to try expanding 'data.{path}' if this is a list."
    )
    return invalid(message, param="expand")
