"""A proposal to hold a session at another time."""

from enum import StrEnum


class ProposalStatus(StrEnum):
    OPEN = "OPEN"
    ACCEPTED = "ACCEPTED"
    DECLINED = "DECLINED"
    """By the other side."""
    WITHDRAWN = "WITHDRAWN"
    """By the one who had made it, or replaced by a later one."""
