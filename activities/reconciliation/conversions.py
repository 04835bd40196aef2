"""Posts what Stripe has converted, because the platform or an account settles in another currency than the charge's.

A charge is booked as charged and compared as charged. Once that agrees, what is left of it is moved to the currency in
which Stripe keeps it, by Stripe's own amounts.
"""

from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import func, select
from temporalio import activity

from activities.database import ledger
from activities.database.transactions import transaction
from activities.gateways import BalanceGateway, ChargeBalances
from activities.reconciliation.amounts import BookingAmounts
from models.domain import postings
from models.domain.ledger import Posting
from models.domain.money import Money

_UNCONVERTED_SHARES = """
SELECT posting.booking_id, payment.charge_id,
       sum(entry.amount_minor) FILTER (WHERE entry.currency = :currency) AS unconverted,
       coalesce(sum(entry.amount_minor) FILTER (
           WHERE entry.currency <> :currency AND kind = 'exchanged'
       ), 0) AS converted,
       count(*) FILTER (WHERE kind = 'exchanged') AS times
FROM ledger_transaction AS posting
JOIN ledger_entry AS entry ON entry.transaction_id = posting.id AND entry.account = 'connected_balance'
JOIN payment ON payment.booking_id = posting.booking_id AND payment.currency = :currency
WHERE posting.instructor_id = :instructor AND payment.charge_id IS NOT NULL
      AND kind NOT IN ('paid_out', 'payout_failed')
      AND (NOT :only_settled OR payment.settled_currency IS NOT NULL)
GROUP BY posting.booking_id, payment.charge_id
HAVING sum(entry.amount_minor) FILTER (WHERE entry.currency = :currency) <> 0
"""


class Conversions:
    """Safe to repeat: the ledger says what has been converted, and how often."""

    def __init__(self, engine: AsyncEngine, balances: BalanceGateway) -> None:
        self._engine = engine
        self._balances = balances

    async def convert_charge(self, booking: BookingAmounts, charge: ChargeBalances) -> None:
        """On the platform's balance, if Stripe has converted the charge and the ledger agrees on what is left of it."""
        is_converted = charge.fee is not None and charge.fee.currency != booking.currency
        if not is_converted or booking.instructor_id is None or booking.platform != charge.platform.amount_minor:
            return
        settled = await self._balances.settled_on_platform(booking.charge_id)
        given = charge.platform.amount_minor + booking.exchanged.get(booking.currency, 0)
        taken = settled.amount_minor - booking.exchanged.get(settled.currency, 0)
        if settled.currency == booking.currency or not (given or taken):
            return
        parties = postings.Parties(booking_id=booking.id, instructor_id=booking.instructor_id)
        await self._post(
            postings.converted_on_platform(
                parties,
                booking.exchanges,
                Money(amount_minor=given, currency=booking.currency),
                Money(amount_minor=taken, currency=settled.currency),
            )
        )

    async def convert_shares(self, instructor_id: UUID, account_id: str, currency: str, only_settled: bool) -> None:
        """On the instructor's balance, for their bookings in a currency that the account does not keep.

        `only_settled`: for those whose share was transferred in the currency in which the platform settles.
        """
        parameters = {"instructor": instructor_id, "currency": currency, "only_settled": only_settled}
        async with transaction(self._engine) as session:
            shares = (await (await session.connection()).execute(text(_UNCONVERTED_SHARES), parameters)).all()
        for share in shares:
            activity.heartbeat()
            settled = await self._balances.settled_on_account(share.charge_id, account_id)
            if settled is None:
                continue
            given = Money(amount_minor=int(share.unconverted), currency=currency)
            taken = settled - Money(amount_minor=int(share.converted), currency=settled.currency)
            if settled.currency == currency:
                # Converted back to where it came from, if it was converted at all: only the difference is left.
                given, taken = given - settled if only_settled else given.zero(), given.zero()
            if given or taken:
                parties = postings.Parties(booking_id=share.booking_id, instructor_id=instructor_id)
                await self._post(postings.converted_on_account(parties, share.times, given, taken))

    async def _post(self, converted: Posting) -> None:
        async with transaction(self._engine) as session:
            at = (await session.exec(select(func.now()))).one()
            await ledger.post(session, at, converted)
