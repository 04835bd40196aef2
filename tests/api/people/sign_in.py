"""Sign-up and sign-in through the API, with quick password hashes."""

from typing import Any

import httpx
from argon2 import PasswordHasher
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

PASSWORD = "correct horse battery"  # noqa: S105 - nobody's
ADA = {"email": "ada@students.test", "password": PASSWORD, "name": "Ada", "role": "student", "time_zone": "UTC"}


class CountingHasher(PasswordHasher):
    """Quick, and counts verifications."""

    def __init__(self, time_cost: int = 1) -> None:
        super().__init__(time_cost=time_cost, memory_cost=8, parallelism=1)
        self.verified = 0

    def verify(self, hash: str | bytes, password: str | bytes) -> bool:  # type: ignore[override]
        self.verified += 1
        return super().verify(hash, password)


async def sign_up(client: httpx.AsyncClient, **changed: Any) -> httpx.Response:
    return await client.post("/v1/auth/signup", json=ADA | changed)


async def sign_in(client: httpx.AsyncClient, email: str = ADA["email"], password: str = PASSWORD) -> httpx.Response:
    return await client.post("/v1/auth/token", json={"email": email, "password": password})


async def rows(engine: AsyncEngine, table: type[Any]) -> list[Any]:
    async with AsyncSession(engine) as session:
        return list(await session.exec(select(table)))
