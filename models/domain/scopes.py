"""What a service token may do. A scope is an area of the API and whether it may be changed."""

from enum import StrEnum

from models.domain.actors import Role


class Scope(StrEnum):
    BOOKINGS_READ = "bookings:read"
    BOOKINGS_WRITE = "bookings:write"
    INSTRUCTORS_READ = "instructors:read"
    """The instructor's own profile, offerings, payouts and statements."""
    INSTRUCTORS_WRITE = "instructors:write"
    ME_READ = "me:read"
    MEETINGS_READ = "meetings:read"
    """Personal links to meetings, and to their recordings."""
    METRICS_READ = "metrics:read"
    OFFERINGS_WRITE = "offerings:write"
    OPERATOR_READ = "operator:read"
    OPERATOR_WRITE = "operator:write"
    WEBHOOKS_READ = "webhooks:read"
    WEBHOOKS_WRITE = "webhooks:write"


_BOTH_SIDES = {Scope.BOOKINGS_READ, Scope.BOOKINGS_WRITE, Scope.ME_READ, Scope.MEETINGS_READ}

GRANTABLE: dict[Role, frozenset[Scope]] = {
    Role.STUDENT: frozenset(_BOTH_SIDES),
    Role.INSTRUCTOR: frozenset(_BOTH_SIDES | {Scope.INSTRUCTORS_READ, Scope.INSTRUCTORS_WRITE, Scope.OFFERINGS_WRITE}),
    Role.OPERATOR: frozenset(
        {
            Scope.BOOKINGS_READ,
            Scope.BOOKINGS_WRITE,
            Scope.METRICS_READ,
            Scope.OPERATOR_READ,
            Scope.OPERATOR_WRITE,
            Scope.WEBHOOKS_READ,
            Scope.WEBHOOKS_WRITE,
        }
    ),
}
"""Scopes of routes that the role may call."""

_READING = frozenset({"GET", "HEAD"})
_MEETING = frozenset({"join", "recordings"})


def required_scope(method: str, path: str) -> Scope | None:
    """The scope that a route under `/v1` requires, from its method and path template.

    `None` if no service token may call it: signing in, changing an account, and service tokens themselves are for
    people. So a new route is closed to tokens until its area has a scope.
    """
    _, _, area, *rest = path.split("/")
    if rest and rest[-1] in _MEETING:
        area = "meetings"
    try:
        return Scope(f"{area}:{'read' if method in _READING else 'write'}")
    except ValueError:
        return None
