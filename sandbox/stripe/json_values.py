"""JSON values in Python, as they are stored, returned and logged."""

from typing import Any

JsonObject = dict[str, Any]


def copied(value: Any) -> Any:
    """A deep copy of a JSON value. Without cycles, it is several times faster than `copy.deepcopy`."""
    if isinstance(value, dict):
        return {key: copied(item) for key, item in value.items()}
    if isinstance(value, list):
        return [copied(item) for item in value]
    return value


def merged_metadata(old: JsonObject | None, new: JsonObject | str | None) -> JsonObject:
    """Metadata after an update.

    Keys that are not sent stay. A key with an empty value is removed. An empty string instead of the map removes all
    keys (Stripe API reference, "Metadata").
    """
    if new == "":
        return {}
    kept = dict(old or {})
    for key, value in (new or {}).items() if isinstance(new, dict) else ():
        if value == "":
            kept.pop(key, None)
        else:
            kept[key] = value
    return kept
