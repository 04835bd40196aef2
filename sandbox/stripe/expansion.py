"""`expand`: replaces ids with their objects, at most four levels deep (docs "Expanding responses")."""

from collections.abc import Callable, Mapping

from sandbox.stripe.context import Context
from sandbox.stripe.errors import StripeError, invalid
from sandbox.stripe.json_values import JsonObject
from sandbox.stripe.schema.derive import object_shape
from sandbox.stripe.schema.shapes import Either, Listing, Shape, Structure

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
        _expand(context, response, parts, path, includable, None)
    return response


def _expand(
    context: Context, node: JsonObject, parts: list[str], path: str, includable: Includable, part: Structure | None
) -> None:
    """`part` is the shape of a node that is a part of an object, and no object of its own."""
    name, rest = parts[0], parts[1:]
    shape = object_shape(node["object"]) if node.get("object", "list") != "list" else part
    include = includable.get((node.get("object", ""), name))
    if include is not None and not isinstance(node.get(name), dict):
        node[name] = include(context, node)
    if name not in node:
        if shape is not None and name in shape.fields:
            return  # Expanding a field that this object lacks is not an error.
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
            _expand(context, item, rest, path, includable, _part_of(shape, name))
        elif item is not None:
            raise _not_expandable(path)


def _part_of(shape: Structure | None, name: str) -> Structure | None:
    """The shape of a field that has fields itself, or of the items of one that is a list."""
    if shape is None or name not in shape.fields:
        return None
    field: Shape = shape.fields[name].shape
    options = field.options if isinstance(field, Either) else (field,)
    for option in options:
        item = option.item if isinstance(option, Listing) else option
        if isinstance(item, Structure):
            return item
    return None


def _not_expandable(path: str) -> StripeError:
    message = (
        f"This property cannot be expanded ({path}). You may want to try expanding 'data.{path}' if this is a list."
    )
    return invalid(message, param="expand")
