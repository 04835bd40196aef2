"""The activities that a worker registers."""

import inspect
from collections.abc import Callable
from typing import Any


def activities_of(*groups: object) -> list[Callable[..., Any]]:
    """The activities of each group: all its public methods. A worker refuses one that lacks `@activity.defn`."""
    return [
        method
        for group in groups
        for name, method in inspect.getmembers(group, inspect.ismethod)
        if not name.startswith("_")
    ]
