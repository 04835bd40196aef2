"""Whose paper it is: the platform, as it wants to be called on receipts and statements."""

from typing import NamedTuple


class Issuer(NamedTuple):
    name: str
    address: str = ""
    """A line: the firm, where it is, its tax number."""
