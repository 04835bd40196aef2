"""What the bench waits for before it reads the CPU."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import col, update
from sqlmodel.ext.asyncio.session import AsyncSession

from bench.polling import wait_for_mails
from models.domain.notifications import NotificationKind, Recipient
from models.tables.outbox import OutboxMessage

NOW = datetime.now(UTC)


def mail(booking_id: UUID, due_at: datetime = NOW) -> OutboxMessage:
    return OutboxMessage(
        id=uuid4(),
        booking_id=booking_id,
        kind=NotificationKind.APPROVED,
        recipient_role=Recipient.STUDENT,
        recipient_id=uuid4(),
        due_at=due_at,
        next_attempt_at=due_at,
        created_at=NOW,
    )


async def test_waits_for_the_bookings_mails_that_are_due(engine: AsyncEngine) -> None:
    booking_id = uuid4()
    async with AsyncSession(engine) as session:
        session.add_all([mail(booking_id), mail(booking_id, NOW + timedelta(days=1)), mail(uuid4())])
        await session.commit()
    waiting = asyncio.create_task(wait_for_mails(engine, [booking_id]))
    done, _ = await asyncio.wait([waiting], timeout=0.1)
    assert not done
    async with AsyncSession(engine) as session:
        await session.exec(
            update(OutboxMessage)
            .where(col(OutboxMessage.booking_id) == booking_id, col(OutboxMessage.due_at) == NOW)
            .values(sent_at=NOW)
        )
        await session.commit()
    await asyncio.wait_for(waiting, 10)
