"""Deletes links to recordings that the meeting provider no longer has."""

from datetime import datetime

from sqlalchemy import delete
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from models.tables.recordings import Recording


async def delete_expired(session: AsyncSession, now: datetime) -> None:
    await session.exec(delete(Recording).where(col(Recording.expires_at) <= now))
