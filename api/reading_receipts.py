"""What a booking's receipt is made of."""

from sqlmodel.ext.asyncio.session import AsyncSession

from models import receipts
from models.documents.receipt import Receipt
from models.receipts import Line, Names
from models.tables.bookings import BookingRequest


async def receipt_of(session: AsyncSession, booking: BookingRequest) -> Receipt | None:
    """`None` while the money is only held, and where there never was any."""
    names = Names(*(await session.exec(receipts.names_of(booking))).one())
    lines = (await session.exec(receipts.lines_of(booking.id))).all()
    return receipts.receipt(booking, names, (Line(*line) for line in lines))
