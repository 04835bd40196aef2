"""The ledger in Postgres: postings are inserted once, with their records. It rejects changes and unbalanced entries."""

import asyncio
from collections import Counter

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlmodel.ext.asyncio.session import AsyncSession

from activities.database import ledger
from models.domain import postings
from models.domain.actors import Actor, Role
from models.domain.endings import EndReason, completed, rejected, unpaid
from models.domain.ledger import Account
from models.domain.money import Money
from models.domain.payments import HoldPhase
from models.domain.policy import BookingPolicy, split
from models.domain.postings import Shares
from models.domain.terms import BookingTerms
from models.tables.ledger import InstructorBalance, LedgerEntry, LedgerTransaction
from tests.activities.bookings import NOW, Bookings, authorization, ended, held

STUDENT = Actor(role=Role.STUDENT)


async def _balances(bookings: Bookings) -> dict[Account, int]:
    sums: Counter[Account] = Counter()
    for entry in await bookings.all(LedgerEntry):
        sums[entry.account] += entry.amount_minor
    return {account: amount for account, amount in sums.items() if amount}


async def _fee(bookings: Bookings) -> tuple[int, int]:
    """The platform's revenue, and the tax that it owes."""
    balances = await _balances(bookings)
    return balances.get(Account.PLATFORM_REVENUE, 0), balances.get(Account.TAX_PAYABLE, 0)


def usd(amount_minor: int) -> Money:
    return Money(amount_minor=amount_minor, currency="usd")


async def _postings(bookings: Bookings, terms: BookingTerms) -> list[str]:
    rows = [row for row in await bookings.all(LedgerTransaction) if row.booking_id == terms.booking_id]
    return [row.kind for row in sorted(rows, key=lambda row: row.seq or 0)]


async def test_postings_and_balances_of_a_completed_booking(bookings: Bookings) -> None:
    terms = await bookings.accepted()
    payment = held(terms, HoldPhase.CAPTURED).model_copy(
        update={"captured_minor": 10_000, "stripe_fee": Money(amount_minor=320, currency="usd")}
    )
    message = ended(terms, completed(terms, bookings.instructor), payment)
    await bookings.records.record_ending(message)
    await bookings.records.record_ending(message)
    assert await _postings(bookings, terms) == ["hold_placed", "hold_ended", "captured", "stripe_fee", "transferred"]
    assert await _balances(bookings) == {
        Account.STRIPE_BALANCE: 1_680,
        Account.CONNECTED_BALANCE: 8_000,
        Account.INSTRUCTOR_PAYABLE: -8_000,
        Account.PLATFORM_REVENUE: -2_000,
        Account.STRIPE_FEES: 320,
    }


async def test_tax_in_the_fee_is_owed_and_follows_refunds_of_the_fee(bookings: Bookings) -> None:
    """19 % in a fee of 20.00 is 3.19, in the 10.00 that a refund leaves 1.60, and in nothing nothing."""
    terms = await bookings.accepted(BookingPolicy(fee_tax_bps=1_900))
    payment = held(terms, HoldPhase.CAPTURED)
    await bookings.records.record_ending(ended(terms, completed(terms, bookings.instructor), payment))
    assert await _fee(bookings) == (-1_681, -319)
    half = Shares(instructor=usd(4_000), platform_fee=usd(1_000), platform_loss=usd(0))
    for refund_id, expected in (("re_1", (-840, -160)), ("re_1", (-840, -160)), ("re_2", (0, 0))):
        async with AsyncSession(bookings.engine) as session, session.begin():
            await ledger.post(session, NOW, *postings.refund(postings.parties_of(terms), refund_id, half))
        assert await _fee(bookings) == expected
        assert sum((await _balances(bookings)).values()) == 0


async def test_tax_of_a_capture_and_its_refund_in_one_call(bookings: Bookings) -> None:
    terms = await bookings.accepted(BookingPolicy(fee_tax_bps=1_900))
    parties, kept = postings.parties_of(terms), split(terms.price, terms.policy)
    borne = Shares(instructor=usd(8_000), platform_fee=usd(1_500), platform_loss=usd(500))
    async with AsyncSession(bookings.engine) as session, session.begin():
        await ledger.post(
            session, NOW, *postings.capture(parties, kept, None), *postings.refund(parties, "re_1", borne)
        )
    assert await _fee(bookings) == (-420, -80)


async def test_tax_is_divided_by_the_policy_of_the_booking_not_by_a_later_one(bookings: Bookings) -> None:
    terms = await bookings.accepted(BookingPolicy(fee_tax_bps=0))
    payment = held(terms, HoldPhase.CAPTURED)
    await bookings.records.record_ending(ended(terms, completed(terms, bookings.instructor), payment))
    assert await _fee(bookings) == (-2_000, 0)


async def test_hold_is_posted_once_on_authorization(bookings: Bookings) -> None:
    terms = await bookings.authorized()
    await bookings.records.record_authorization(authorization(terms))
    assert await _balances(bookings) == {Account.CARD_HOLDS: 10_000, Account.STUDENT_FUNDS_HELD: -10_000}


async def test_released_booking_leaves_zero_balances(bookings: Bookings) -> None:
    terms = await bookings.authorized()
    await bookings.records.record_ending(
        ended(terms, rejected(terms, bookings.instructor), held(terms, HoldPhase.GONE))
    )
    assert await _balances(bookings) == {}
    assert await _postings(bookings, terms) == ["hold_placed", "hold_ended"]


async def test_unpaid_booking_has_no_postings(bookings: Bookings) -> None:
    terms = await bookings.reserved()
    await bookings.records.record_ending(ended(terms, unpaid(terms, EndReason.CHECKOUT_EXPIRED), None))
    assert await _postings(bookings, terms) == []


async def test_posting_twice_inserts_once(bookings: Bookings) -> None:
    terms = await bookings.terms()
    captured = postings.capture(postings.parties_of(terms), split(terms.price, terms.policy), None)
    for _ in range(2):
        async with AsyncSession(bookings.engine) as session, session.begin():
            await ledger.post(session, NOW, *captured)
    assert await _postings(bookings, terms) == ["captured", "transferred"]


async def test_balance_of_an_instructor_is_the_sum_of_their_entries(bookings: Bookings) -> None:
    """Also if two of their bookings are posted to at the same time."""
    first, second = await bookings.accepted(), await bookings.terms()
    other = first.model_copy(update={"booking_id": second.booking_id})
    kept = split(first.price, first.policy)

    async def settle(terms: BookingTerms) -> None:
        async with AsyncSession(bookings.engine) as session, session.begin():
            await ledger.post(session, NOW, *postings.capture(postings.parties_of(terms), kept, None))
            await asyncio.sleep(0.1)

    await asyncio.gather(settle(first), settle(other))
    async with AsyncSession(bookings.engine) as session, session.begin():
        sent = postings.paid_out(first.instructor_id, first.booking_id, "po_1", usd(5_000))
        back = postings.payout_failed(first.instructor_id, first.booking_id, "po_1", usd(1_000))
        converted = postings.converted_on_account(
            postings.parties_of(first), 0, usd(2_000), Money(amount_minor=1_800, currency="eur")
        )
        await ledger.post(session, NOW, sent, back, converted)
    balances = {row.currency: row.amount_minor for row in await bookings.all(InstructorBalance)}
    assert balances == {"usd": 2 * 8_000 - 5_000 + 1_000 - 2_000, "eur": 1_800}


@pytest.mark.parametrize(
    ("statement", "refusal"),
    [
        ("UPDATE ledger_entry SET amount_minor = 1", "append only"),
        ("DELETE FROM ledger_entry", "append only"),
        ("TRUNCATE ledger_entry", "append only"),
        ("UPDATE ledger_transaction SET kind = 'captured'", "append only"),
        ("DELETE FROM ledger_transaction", "append only"),
        (
            "INSERT INTO ledger_entry SELECT id, 9, 'refunds', 'usd', 1 FROM ledger_transaction",
            "does not sum to zero",
        ),
        (
            "INSERT INTO ledger_entry SELECT id, line, 'refunds', currency, sign FROM ledger_transaction, "
            "(VALUES (8, 'usd', 1), (9, 'eur', -1)) AS lines (line, currency, sign)",
            "does not sum to zero",
        ),
        (
            "INSERT INTO ledger_transaction (id, kind, subject, instructor_id, at) "
            "SELECT gen_random_uuid(), 'refunded', 're_1', instructor_id, now() FROM ledger_transaction",
            "does not sum to zero",
        ),
        ("INSERT INTO ledger_entry SELECT id, 9, 'refunds', 'usd', 0 FROM ledger_transaction", "entry_is_of_something"),
        ("INSERT INTO ledger_entry SELECT id, 9, 'gifts', 'usd', 1 FROM ledger_transaction", "account_is_known"),
    ],
)
async def test_database_rejects_a_change_or_an_unbalanced_entry(
    bookings: Bookings, statement: str, refusal: str
) -> None:
    await bookings.authorized()
    with pytest.raises(DBAPIError) as caught:
        async with bookings.engine.begin() as connection:
            await connection.execute(text(statement))
    assert refusal in str(caught.value.orig)
