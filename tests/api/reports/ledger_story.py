"""A year of two instructors in the ledger, small enough to add up by hand."""

from datetime import UTC, datetime
from uuid import UUID, uuid4

from sqlmodel.ext.asyncio.session import AsyncSession

from activities.database import ledger
from models.domain import postings
from models.domain.ledger import Posting
from models.domain.money import Money
from models.domain.policy import BookingPolicy, split
from models.domain.postings import Parties, Shares
from tests.api.world import Person, World, add_instructor


def money(amount_minor: int, currency: str = "usd") -> Money:
    return Money(amount_minor=amount_minor, currency=currency)


def time(*parts: int) -> datetime:
    year, month, day, hour = (*parts, 12)[:4]
    return datetime(year, month, day, hour, tzinfo=UTC)


def capture(parties: Parties, price: Money, stripe_fee_minor: int = 0) -> tuple[Posting, ...]:
    """The postings of a capture, with a platform fee of 20 %."""
    fee = money(stripe_fee_minor, price.currency)
    return postings.capture(parties, split(price, BookingPolicy()), fee)


async def post_year(world: World) -> Person:
    """Post a year of the world's instructor, and one payment of another one, who is returned. Times are in UTC."""
    other = await add_instructor(world.engine)

    def parties(instructor_id: UUID = world.instructor.id) -> Parties:
        return Parties(booking_id=uuid4(), instructor_id=instructor_id)

    old, main, disputed, in_euro = (parties() for _ in range(4))
    id = world.instructor.id
    half = Shares(instructor=money(4_000), platform_fee=money(1_000), platform_loss=money(0))
    lost = Shares(instructor=money(0), platform_fee=money(600), platform_loss=money(2_400))
    year: list[tuple[datetime, tuple[Posting, ...]]] = [
        (time(2025, 12, 31), capture(old, money(4_000), 146)),
        (time(2026, 3, 15), capture(parties(other.id), money(1_000))),
        # Still March in Los Angeles.
        (time(2026, 4, 1, 3), capture(main, money(10_000), 320)),
        (
            time(2026, 4, 10),
            (
                postings.paid_out(id, main.booking_id, "po_1", money(8_000)),
                postings.paid_out(id, old.booking_id, "po_1", money(3_200)),
            ),
        ),
        (time(2026, 4, 15), postings.refund(main, "re_1", half)),
        (time(2026, 4, 16), (postings.refund_sent(main, "re_1", money(5_000)),)),
        (time(2026, 5, 1), capture(in_euro, money(6_000, "eur"))),
        (time(2026, 5, 2), capture(disputed, money(3_000))),
        (time(2026, 5, 3), (postings.dispute_opened(disputed, "dp_1", money(3_000)),)),
        (time(2026, 5, 20), postings.dispute_lost(disputed, "dp_1", lost)),
        (time(2026, 6, 1), (postings.payout_failed(id, old.booking_id, "po_1", money(3_200)),)),
        (time(2027, 1, 15), capture(parties(), money(7_000))),
    ]
    async with AsyncSession(world.engine) as session, session.begin():
        for at, transactions in year:
            await ledger.post(session, at, *transactions)
    return other


def earnings(transactions: int, *amounts: int, currency: str = "usd", fee_tax: int = 0) -> dict[str, object]:
    """JSON of `Earnings`. `amounts`: gross, refunds, borne by the platform, fees, net, paid out."""
    names = ("gross", "refunds", "borne_by_platform", "fees", "net", "paid_out")
    expected: dict[str, object] = {
        "transactions": transactions,
        "fee_tax": money(fee_tax, currency).model_dump(),
        "exchanged": money(0, currency).model_dump(),
    }
    for name, amount in zip(names, amounts, strict=True):
        expected[name] = money(amount, currency).model_dump()
    return expected


def none(currency: str = "usd") -> dict[str, object]:
    return earnings(0, 0, 0, 0, 0, 0, 0, currency=currency)
