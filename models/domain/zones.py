"""Time zones by their IANA names."""

from functools import cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

_NOT_ZONES = {"Factory", "localtime", "posixrules"}


@cache
def names() -> frozenset[str]:
    """The names that a person or a slot can have."""
    return frozenset(available_timezones() - _NOT_ZONES)


def zone(name: str) -> ZoneInfo:
    """The zone of that name, or UTC if this machine does not know it."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        return ZoneInfo("UTC")
