"""Time zones by their IANA names."""

from functools import cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

_NO_PLACES = {"Factory", "localtime", "posixrules"}


@cache
def names() -> frozenset[str]:
    """Those that a person or a slot can be given."""
    return frozenset(available_timezones() - _NO_PLACES)


def zone(name: str) -> ZoneInfo:
    """UTC in place of a name that this machine does not know."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        return ZoneInfo("UTC")
