"""Every activity is registered, and nothing else is."""

import inspect
from importlib import import_module
from pkgutil import walk_packages

import pytest

import activities
import worker
from activities.registration import activities_of


def _is_activity(function: object) -> bool:
    return hasattr(function, "__temporal_activity_definition")


def _groups() -> list[type]:
    """Every class under `activities` that defines an activity."""
    modules = [import_module(module.name) for module in walk_packages(activities.__path__, "activities.")]
    classes = {kind for module in modules for _, kind in inspect.getmembers(module, inspect.isclass)}
    found = [kind for kind in classes if any(map(_is_activity, vars(kind).values()))]
    return sorted(found, key=lambda kind: kind.__name__)


@pytest.mark.parametrize("group", _groups())
def test_all_activities_of_a_class_are_registered(group: type) -> None:
    defined = {name for name, function in vars(group).items() if _is_activity(function)}
    registered = activities_of(object.__new__(group))
    assert {activity.__name__ for activity in registered} == defined
    assert all(map(_is_activity, registered))


def test_worker_imports_every_class_with_activities() -> None:
    assert set(_groups()) <= set(filter(inspect.isclass, vars(worker).values()))
