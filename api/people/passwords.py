"""Passwords: which are allowed (NIST SP 800-63B-4, section 3.1.1.2), and how they are hashed (argon2id).

The parameters are those of OWASP's Password Storage Cheat Sheet: 19 MiB of memory, 2 iterations, 1 lane.
"""

import asyncio
import os
import secrets
import string
import time
import unicodedata
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from zxcvbn.frequency_lists import FREQUENCY_LISTS

from api.http.problems import busy

T = TypeVar("T")

MIN_CHARACTERS = 15
"""NIST's minimum where the password is the only factor. NIST forbids rules about kinds of characters."""
MAX_BYTES = 128

_MEMORY_KIB = 19 * 1024
_ITERATIONS = 2
_LANES = 1

_MAX_CONCURRENT = max(1, (os.cpu_count() or 1) // 2)
"""Each hash occupies a core. The other half is left to everything else."""
_MAX_WAITING = 32
"""At about 20 ms a hash, nobody waits for long. More than that would only time out later."""
_RETRY_AFTER_SECONDS = 2
_HEAVY_REST = 4
"""The next hash of a heavy caller waits for this many times as long as the last one took: a fifth of a core at most."""

_SEQUENCES = ("abcdefghijklmnopqrstuvwxyz", "1234567890", "qwertyuiopasdfghjklzxcvbnm", "qwertzuiopasdfghjklyxcvbnm")
_RUNS = tuple(sequence[::step] * (MAX_BYTES // len(sequence) + 2) for sequence in _SEQUENCES for step in (1, -1))
_COMMON = frozenset(FREQUENCY_LISTS["passwords"])
"""30,000 passwords, in lower case and with at least 4 characters each."""
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
    """Hashes in threads, a few at a time: each hash is meant to be expensive in time and memory.

    A bounded number of callers wait for their turn. Beyond that, `hash` and `verify` raise the 503 `Problem`. The
    hashes of heavy callers leave most of the time to the others.
    """

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        self._hasher = hasher or PasswordHasher(time_cost=_ITERATIONS, memory_cost=_MEMORY_KIB, parallelism=_LANES)
        self._waiting = 0
        self._dummy_hash: str | None = None
        self._slots = asyncio.Semaphore(_MAX_CONCURRENT)
        self._heavy_turn = asyncio.Lock()
        self._heavy_from = 0.0

    async def hash(self, password: str, is_heavy: bool = False) -> str:
        return await self._in_thread(lambda: self._hasher.hash(password), is_heavy)

    async def verify(self, password_hash: str | None, password: str, is_heavy: bool = False) -> bool:
        """Takes as long without a hash, so that the response time does not reveal which addresses are known."""
        return await self._in_thread(lambda: self._verify(password_hash, password), is_heavy)

    def needs_rehash(self, password_hash: str) -> bool:
        """Whether the hash was made with other parameters than the current ones."""
        return self._hasher.check_needs_rehash(password_hash)

    def _verify(self, password_hash: str | None, password: str) -> bool:
        if self._dummy_hash is None:
            # On the first sign-in rather than at startup, which a hash would slow down.
            self._dummy_hash = self._hasher.hash(secrets.token_urlsafe())
        try:
            return self._hasher.verify(password_hash or self._dummy_hash, password) and password_hash is not None
        except (VerificationError, InvalidHashError):
            return False

    async def _in_thread(self, work: Callable[[], T], is_heavy: bool) -> T:
        if self._waiting >= _MAX_WAITING:
            raise busy(_RETRY_AFTER_SECONDS)
        async with AsyncExitStack() as turn:
            self._waiting += 1
            try:
                if is_heavy:
                    await turn.enter_async_context(self._heavy_turn)
                    await asyncio.sleep(self._heavy_from - time.monotonic())
                await turn.enter_async_context(self._slots)
            finally:
                self._waiting -= 1
            started = time.monotonic()
            try:
                return await asyncio.to_thread(work)
            finally:
                if is_heavy:
                    now = time.monotonic()
                    self._heavy_from = now + (now - started) * _HEAVY_REST
