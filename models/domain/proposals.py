"""Proposals to move a session to another time."""

from enum import StrEnum


class ProposalStatus(StrEnum):
    OPEN = "OPEN"
    ACCEPTED = "ACCEPTED"
    DECLINED = "DECLINED"
    """By the other side."""
    WITHDRAWN = "WITHDRAWN"
    """By its author, or replaced by a later proposal."""
