"""Passwords: which are taken (NIST SP 800-63B-4, section 3.1.1.2), and how they are kept (argon2id, RFC 9106)."""

import asyncio
import secrets
import unicodedata
from collections.abc import Callable
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

T = TypeVar("T")

MIN_CHARACTERS = 15
"""NIST's minimum where the password is the only factor. No rule about kinds of characters, as NIST demands."""
MAX_BYTES = 128

_AT_ONCE = 4
"""One hash takes 64 MiB with the library's parameters, RFC 9106's second recommendation."""

_ROWS = ("abcdefghijklmnopqrstuvwxyz", "1234567890", "qwertyuiopasdfghjklzxcvbnm", "qwertzuiopasdfghjklyxcvbnm")
_RUNS = tuple(row[::step] * (MAX_BYTES // len(row) + 2) for row in _ROWS for step in (1, -1))


def normalised(password: str) -> str:
    """The same password however a keyboard composes it (RFC 8265, OpaqueString)."""
    return unicodedata.normalize("NFC", password)


def complaint(password: str, *expected: str) -> str | None:
    """Why a normalised password is not taken; `expected` are its owner's address and name."""
    if len(password) < MIN_CHARACTERS:
        return f"must have at least {MIN_CHARACTERS} characters"
    if len(password.encode()) > MAX_BYTES:
        return f"must have at most {MAX_BYTES} bytes"
    folded = password.casefold()
    if folded in (word.casefold() for word in expected):
        return "must not be your address or name"
    # A text that is found inside its own double, the ends taken off, repeats a part of itself.
    if folded in (folded + folded)[1:-1] or any(folded in run for run in _RUNS):
        return "must not be a repetition, or a row of the keyboard or of the alphabet"
    return None


class Passwords:
    """Hashes in threads, few at a time: each is costly in time and memory, which is its point."""

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        self._hasher = hasher or PasswordHasher()
        self._nobodys: str | None = None
        self._turn = asyncio.Semaphore(_AT_ONCE)

    async def hash(self, password: str) -> str:
        return await self._in_turn(lambda: self._hasher.hash(password))

    async def fits(self, password_hash: str | None, password: str) -> bool:
        """Takes as long where there is no hash: the time must not tell which addresses are known."""
        if self._nobodys is None:
            # At the first sign-in, whosever it is: a hash takes too long for the start-up.
            self._nobodys = await self.hash(secrets.token_urlsafe())
        compared = password_hash or self._nobodys
        fits = await self._in_turn(lambda: self._verify(compared, password))
        return fits and password_hash is not None

    def is_outdated(self, password_hash: str) -> bool:
        """Made with other parameters than today's."""
        return self._hasher.check_needs_rehash(password_hash)

    def _verify(self, password_hash: str, password: str) -> bool:
        try:
            return self._hasher.verify(password_hash, password)
        except (VerificationError, InvalidHashError):
            return False

    async def _in_turn(self, work: Callable[[], T]) -> T:
        async with self._turn:
            return await asyncio.to_thread(work)
