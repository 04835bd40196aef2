"""The platform, as it is named on receipts and statements."""

from typing import NamedTuple


class Issuer(NamedTuple):
    name: str
    address: str = ""
    """One line: company, address, tax number."""
