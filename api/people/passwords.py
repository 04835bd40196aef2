"""Passwords: which are allowed (NIST SP 800-63B-4, section 3.1.1.2), and how they are hashed (argon2id, RFC 9106)."""

import asyncio
import secrets
import string
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

T = TypeVar("T")

MIN_CHARACTERS = 15
"""NIST's minimum where the password is the only factor. NIST forbids rules about kinds of characters."""
MAX_BYTES = 128

_MAX_CONCURRENT = 4
"""Each hash takes 64 MiB with the library's parameters, RFC 9106's second recommendation."""

_SEQUENCES = ("abcdefghijklmnopqrstuvwxyz", "1234567890", "qwertyuiopasdfghjklzxcvbnm", "qwertzuiopasdfghjklyxcvbnm")
_RUNS = tuple(sequence[::step] * (MAX_BYTES // len(sequence) + 2) for sequence in _SEQUENCES for step in (1, -1))
_COMMON = frozenset(
    line
    for line in Path(__file__).with_name("common_passwords.txt").read_text(encoding="utf-8").splitlines()
    if not line.startswith("# ")
)
_PADDING = string.digits + string.punctuation + string.whitespace


def normalize(password: str) -> str:
    """NFC, so that the same password matches however a keyboard composes it (RFC 8265, OpaqueString)."""
    return unicodedata.normalize("NFC", password)


def rejection_reason(password: str, *expected: str) -> str | None:
    """Why a normalized password is not allowed, or `None`. `expected` are its owner's address and name."""
    if len(password) < MIN_CHARACTERS:
        return f"must have at least {MIN_CHARACTERS} characters"
    if len(password.encode()) > MAX_BYTES:
        return f"must have at most {MAX_BYTES} bytes"
    folded = password.casefold()
    if folded in (word.casefold() for word in expected):
        return "must not be your address or name"
    # A string repeats a part of itself if it occurs in its own doubling without the first and the last character.
    if folded in (folded + folded)[1:-1] or any(folded in run for run in _RUNS):
        return "must not be a repetition, or a row of the keyboard or of the alphabet"
    if folded in _COMMON or folded.strip(_PADDING) in _COMMON:
        return "must not be a common password, with or without digits and signs around it"
    return None


class AsyncPasswordHasher:
    """Hashes in threads, a few at a time: each hash is meant to be expensive in time and memory."""

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        self._hasher = hasher or PasswordHasher()
        self._dummy_hash: str | None = None
        self._slots = asyncio.Semaphore(_MAX_CONCURRENT)

    async def hash(self, password: str) -> str:
        return await self._in_thread(lambda: self._hasher.hash(password))

    async def verify(self, password_hash: str | None, password: str) -> bool:
        """Takes as long without a hash, so that the response time does not reveal which addresses are known."""
        if self._dummy_hash is None:
            # On the first sign-in rather than at startup, which a hash would slow down.
            self._dummy_hash = await self.hash(secrets.token_urlsafe())
        expected = password_hash or self._dummy_hash
        is_correct = await self._in_thread(lambda: self._verify(expected, password))
        return is_correct and password_hash is not None

    def needs_rehash(self, password_hash: str) -> bool:
        """Whether the hash was made with other parameters than the current ones."""
        return self._hasher.check_needs_rehash(password_hash)

    def _verify(self, password_hash: str, password: str) -> bool:
        try:
            return self._hasher.verify(password_hash, password)
        except (VerificationError, InvalidHashError):
            return False

    async def _in_thread(self, work: Callable[[], T]) -> T:
        async with self._slots:
            return await asyncio.to_thread(work)
