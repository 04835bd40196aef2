"""An adjustment makes the ledger what Stripe has, and the statement's figures still add up."""

from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.domain.actors import Actor, Role
from models.domain.adjustments import AdjustmentOrder, adjustment, balance_adjustment
from models.domain.ledger import Account
from models.domain.money import Money
from models.domain.postings import Parties
from models.domain.reconciliation import Book, Difference, DriftKind
from tests.models.domain.posted import balances, usd

PARTIES = Parties(booking_id=uuid4(), instructor_id=uuid4())
FEE = 2_000


def differences(**missing: int) -> tuple[Difference, ...]:
    """What Stripe has more than the ledger, by book."""
    return tuple(
        Difference(
            kind=DriftKind.BOOKING,
            subject=PARTIES.booking_id,
            book=Book(book),
            ledger=usd(100),
            stripe=usd(100 + minor),
        )
        for book, minor in missing.items()
        if minor
    )


@pytest.mark.parametrize(
    ("missing", "lines"),
    [
        # The application fee is refunded alone: less income, more earned.
        (
            {"stripe_balance": -1_000, "transfers": 1_000},
            {Account.INSTRUCTOR_PAYABLE: -1_000, Account.PLATFORM_REVENUE: 1_000},
        ),
        # The transfer is reversed alone: the platform keeps more.
        (
            {"stripe_balance": 4_000, "transfers": -4_000},
            {Account.INSTRUCTOR_PAYABLE: 4_000, Account.PLATFORM_REVENUE: -4_000},
        ),
        # More than the fee went to the instructor: the rest is a loss.
        (
            {"stripe_balance": -3_000, "transfers": 3_000},
            {Account.INSTRUCTOR_PAYABLE: -3_000, Account.PLATFORM_REVENUE: 2_000, Account.PLATFORM_LOSSES: 1_000},
        ),
        ({"stripe_balance": -500}, {Account.PLATFORM_LOSSES: 500}),
        # A refund of the ending came back from the student's bank.
        ({"stripe_balance": 500}, {Account.REFUNDS: -500}),
        ({"card_holds": -500}, {Account.STUDENT_FUNDS_HELD: 500}),
    ],
    ids=["fee returned", "share reversed", "more than the fee", "money left", "money came back", "hold"],
)
def test_what_differs_decides_what_is_posted(missing: dict[str, int], lines: dict[Account, int]) -> None:
    adjusted = adjustment(PARTIES, "drift", differences(**missing), usd(FEE), usd(0))
    at_stripe = {
        Account.STRIPE_BALANCE: missing.get("stripe_balance", 0),
        Account.CONNECTED_BALANCE: missing.get("transfers", 0),
        Account.CARD_HOLDS: missing.get("card_holds", 0),
    }
    expected = lines | {account: minor for account, minor in at_stripe.items() if minor}
    assert balances([adjusted.posting]) == expected


@pytest.mark.parametrize(
    ("owed", "lines"),
    [
        (3_000, {Account.REFUNDS: 3_000}),
        (1_000, {Account.REFUNDS: 1_000, Account.PLATFORM_LOSSES: 2_000}),
    ],
)
def test_money_that_left_pays_what_the_student_is_owed_first(owed: int, lines: dict[Account, int]) -> None:
    """A refund that failed was made again in the dashboard."""
    adjusted = adjustment(PARTIES, "drift", differences(stripe_balance=-3_000), usd(FEE), usd(owed))
    assert balances([adjusted.posting]) == lines | {Account.STRIPE_BALANCE: -3_000}
    assert adjusted.borne.total == usd(3_000 - owed)


@pytest.mark.parametrize("settled", ["eur", "zar"])
def test_difference_in_another_currency_is_a_fee_of_stripes(settled: str) -> None:
    """The platform settles in another currency, and the ledger lacks the fee of a dispute."""
    of_fee = Difference(
        kind=DriftKind.BOOKING,
        subject=PARTIES.booking_id,
        book=Book.STRIPE_BALANCE,
        ledger=Money(amount_minor=-294, currency=settled),
        stripe=Money(amount_minor=-1_674, currency=settled),
    )
    adjusted = adjustment(PARTIES, "drift", (*differences(stripe_balance=-500), of_fee), usd(FEE), usd(0))
    assert {
        (entry.account, entry.amount.currency): entry.amount.amount_minor for entry in adjusted.posting.entries
    } == {
        (Account.STRIPE_BALANCE, "usd"): -500,
        (Account.PLATFORM_LOSSES, "usd"): 500,
        (Account.STRIPE_BALANCE, settled): -1_380,
        (Account.STRIPE_FEES, settled): 1_380,
    }
    assert adjusted.borne.total == usd(500)


@given(st.integers(-5_000, 5_000), st.integers(-5_000, 5_000), st.integers(0, 3_000), st.integers(0, 6_000))
def test_shares_follow_the_posting(platform: int, instructor: int, fee: int, owed: int) -> None:
    """`net` of a statement stays `gross` less `refunds` and `fees`, plus what the platform bore."""
    if not platform and not instructor:
        return
    adjusted = adjustment(
        PARTIES, "drift", differences(stripe_balance=platform, transfers=instructor), usd(fee), usd(owed)
    )
    lines = balances([adjusted.posting])
    at_stripe = (Account.STRIPE_BALANCE, Account.CONNECTED_BALANCE, Account.REFUNDS)
    refunds = -sum(lines.get(account, 0) for account in at_stripe)
    fees, borne = -lines.get(Account.PLATFORM_REVENUE, 0), lines.get(Account.PLATFORM_LOSSES, 0)
    assert -lines.get(Account.INSTRUCTOR_PAYABLE, 0) == -refunds - fees + borne
    assert (adjusted.borne.total.amount_minor, adjusted.borne.platform_loss.amount_minor) == (refunds, borne)
    assert fee - adjusted.borne.platform_fee.amount_minor >= 0


@pytest.mark.parametrize(
    ("missing", "lines"),
    [
        (
            {"connected_balance": -700},
            {Account.CONNECTED_BALANCE: -700, Account.INSTRUCTOR_PAYABLE: 700},
        ),
        # A transfer without a charge, and its reversal.
        (
            {"stripe_balance": -300},
            {Account.STRIPE_BALANCE: -300, Account.PLATFORM_LOSSES: 300},
        ),
    ],
    ids=["earned", "lost"],
)
def test_what_no_booking_explains_is_the_instructors_on_their_balance_and_a_loss_on_the_platforms(
    missing: dict[str, int], lines: dict[Account, int]
) -> None:
    posted = balance_adjustment(PARTIES.instructor_id, "drift", differences(**missing))
    assert balances([posted]) == lines
    assert (posted.booking_id, posted.instructor_id) == (None, PARTIES.instructor_id)


def test_an_order_is_carried_out_unless_it_asks_for_a_preview() -> None:
    assert not AdjustmentOrder(drift_id=uuid4(), actor=Actor(role=Role.OPERATOR, id=uuid4())).is_preview


def test_nothing_is_adjusted_if_nothing_differs() -> None:
    with pytest.raises(ValueError, match="does not balance"):
        adjustment(PARTIES, "drift", (), usd(FEE), usd(0))
