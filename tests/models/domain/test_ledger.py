"""Postings balance, and each account's balance has its documented meaning."""

from collections.abc import Callable
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from models.domain import postings
from models.domain.ledger import STORY, Account, Entry, Posting, PostingKind
from models.domain.money import Money
from models.domain.payments import HoldPhase, PaymentState
from models.domain.policy import split
from models.domain.settlements import settlement_postings
from tests.models.domain.posted import balances, terms_of, usd


def test_posting_must_balance_in_each_currency() -> None:
    lines = (
        Entry(account=Account.REFUNDS, amount=usd(5)),
        Entry(account=Account.DISPUTES, amount=Money(amount_minor=-5, currency="eur")),
    )
    with pytest.raises(ValidationError, match="does not balance"):
        Posting(kind=PostingKind.REFUNDED, subject="re_1", booking_id=None, instructor_id=uuid4(), entries=lines)


def test_empty_posting_is_refused() -> None:
    with pytest.raises(ValidationError, match="does not balance"):
        postings.paid_out(uuid4(), None, "po_1", usd(0))


def test_released_hold_leaves_every_account_at_zero() -> None:
    terms = terms_of(usd(10_000))
    released = PaymentState(phase=HoldPhase.GONE)
    booked = [postings.hold_placed(terms), *settlement_postings(terms, released)]
    assert balances(booked) == {}


@given(st.integers(50, 10**9), st.integers(0, 10_000), st.integers(0, 10_000), st.integers(0, 10**6))
def test_capture_credits_the_share_to_the_instructor_and_the_fee_to_the_platform(
    price_minor: int, kept_bps: int, fee_bps: int, stripe_minor: int
) -> None:
    terms = terms_of(usd(price_minor), fee_bps)
    kept = split(usd(max(1, price_minor * kept_bps // 10_000)), terms.policy)
    payment = PaymentState(
        phase=HoldPhase.CAPTURED,
        captured_minor=kept.kept.amount_minor,
        platform_fee_minor=kept.platform_fee.amount_minor,
        stripe_fee=usd(stripe_minor),
    )
    actual = balances([postings.hold_placed(terms), *settlement_postings(terms, payment)])
    fee, share = kept.platform_fee.amount_minor, kept.instructor_payout.amount_minor
    expected = {
        Account.STRIPE_BALANCE: fee - stripe_minor,
        Account.CONNECTED_BALANCE: share,
        Account.INSTRUCTOR_PAYABLE: -share,
        Account.PLATFORM_REVENUE: -fee,
        Account.STRIPE_FEES: stripe_minor,
    }
    assert actual == {account: amount for account, amount in expected.items() if amount}


def test_refunded_capture_costs_the_platform_only_stripes_fee() -> None:
    terms = terms_of(usd(10_000))
    payment = PaymentState(
        phase=HoldPhase.CAPTURED,
        captured_minor=10_000,
        refunded_minor=10_000,
        platform_fee_minor=2_000,
        fee_returned_minor=2_000,
        reversed_minor=10_000,
        stripe_fee=usd(320),
    )
    booked = [postings.hold_placed(terms), *settlement_postings(terms, payment)]
    assert balances(booked) == {Account.STRIPE_FEES: 320, Account.STRIPE_BALANCE: -320}


def test_failed_refund_is_still_owed_to_the_student() -> None:
    parties = postings.parties_of(terms_of(usd(10_000)))
    borne = postings.Shares(instructor=usd(4_000), platform_fee=usd(1_000), platform_loss=usd(0))
    booked = [
        *postings.refund(parties, "re_1", borne),
        postings.refund_sent(parties, "re_1", borne.total),
        postings.refund_failed(parties, "re_1", borne.total),
    ]
    assert balances(booked)[Account.REFUNDS] == -5_000


def test_lost_dispute_is_borne_by_its_shares() -> None:
    parties = postings.parties_of(terms_of(usd(10_000)))
    borne = postings.Shares(instructor=usd(8_000), platform_fee=usd(1_500), platform_loss=usd(500))
    booked = [postings.dispute_opened(parties, "dp_1", borne.total), *postings.dispute_lost(parties, "dp_1", borne)]
    assert balances(booked) == {
        Account.STRIPE_BALANCE: -2_000,
        Account.CONNECTED_BALANCE: -8_000,
        Account.INSTRUCTOR_PAYABLE: 8_000,
        Account.PLATFORM_REVENUE: 1_500,
        Account.PLATFORM_LOSSES: 500,
    }


def test_won_dispute_and_failed_payout_leave_every_account_at_zero() -> None:
    parties = postings.parties_of(terms_of(usd(10_000)))
    booked = [
        postings.dispute_opened(parties, "dp_1", usd(700)),
        *postings.dispute_won(parties, "dp_1", usd(700)),
        postings.paid_out(parties.instructor_id, parties.booking_id, "po_1", usd(8_000)),
        postings.payout_failed(parties.instructor_id, parties.booking_id, "po_1", usd(8_000)),
    ]
    assert balances(booked) == {}


def entries(of: Posting) -> dict[tuple[Account, str], int]:
    return {(entry.account, entry.amount.currency): entry.amount.amount_minor for entry in of.entries}


def test_a_dispute_takes_from_the_platform_and_a_won_one_gives_it_back_with_its_fee_where_stripe_does() -> None:
    of = postings.Parties(booking_id=uuid4(), instructor_id=uuid4())
    opened = postings.dispute_opened(of, "dp_1", usd(100))
    assert entries(opened) == {(Account.DISPUTES, "usd"): 100, (Account.STRIPE_BALANCE, "usd"): -100}
    won, fee = postings.dispute_won(of, "dp_1", usd(100), usd(15))
    assert entries(won) == {(Account.STRIPE_BALANCE, "usd"): 100, (Account.DISPUTES, "usd"): -100}
    assert entries(fee) == {(Account.STRIPE_FEES, "usd"): -15, (Account.STRIPE_BALANCE, "usd"): 15}
    assert (won.subject, fee.subject) == ("dp_1", "dp_1/returned")
    lost = postings.dispute_lost_while_held(of, "dp_1", usd(100))
    assert entries(lost) == {(Account.STUDENT_FUNDS_HELD, "usd"): 100, (Account.DISPUTES, "usd"): -100}


@pytest.mark.parametrize("posted", [postings.paid_out, postings.payout_failed])
def test_each_part_of_a_payout_is_posted_once(posted: Callable[[UUID, UUID | None, str, Money], Posting]) -> None:
    booking_id, instructor_id = uuid4(), uuid4()
    assert posted(instructor_id, booking_id, "po_1", usd(1)).subject == f"po_1/{booking_id}"
    assert posted(instructor_id, None, "po_1", usd(1)).subject == "po_1/"


@pytest.mark.parametrize(
    ("convert", "balance", "against"),
    [
        (postings.converted_on_platform, Account.STRIPE_BALANCE, Account.EXCHANGE_DIFFERENCES),
        (postings.converted_on_account, Account.CONNECTED_BALANCE, Account.INSTRUCTOR_PAYABLE),
    ],
)
def test_a_conversion_moves_both_currencies_on_one_balance(
    convert: Callable[[postings.Parties, int, Money, Money], Posting], balance: Account, against: Account
) -> None:
    of = postings.Parties(booking_id=uuid4(), instructor_id=uuid4())
    posted = convert(of, 0, usd(100), Money(amount_minor=90, currency="eur"))
    assert entries(posted) == {
        (balance, "usd"): -100,
        (against, "usd"): 100,
        (balance, "eur"): 90,
        (against, "eur"): -90,
    }


# What each kind does to the accounts, in the words that a reader of the ledger needs to tell it from the others.
SAYS = {
    PostingKind.HOLD_PLACED: "card is authorized for the price",
    PostingKind.HOLD_ENDED: "hold on the card has ended",
    PostingKind.CHARGED: "student is charged. The platform holds the money until",
    PostingKind.CAPTURED: "captured: a part is the instructor's, the fee the platform's",
    PostingKind.STRIPE_FEE: "Stripe takes its fee",
    PostingKind.TRANSFERRED: "share moves to their balance",
    PostingKind.REFUNDED: "owed back to the student, by those who bear it",
    PostingKind.REFUND_SENT: "Stripe sends it back to the student",
    PostingKind.REFUND_FAILED: "sends it back to the platform: it is still owed",
    PostingKind.TRANSFER_REVERSED: "instructor's part of it is taken from their balance",
    PostingKind.PAID_OUT: "Stripe pays the instructor's bank",
    PostingKind.PAYOUT_FAILED: "instructor's bank sends the payout back",
    PostingKind.DISPUTE_OPENED: "bank takes the money while a dispute is open",
    PostingKind.DISPUTE_WON: "won: the bank gives the money back",
    PostingKind.DISPUTE_LOST: "lost: the money is gone, at the cost of those who bear it",
    PostingKind.ADJUSTED: "operator corrects the ledger to what Stripe has",
    PostingKind.EXCHANGED: "converts what is on a balance to the currency in which the account settles",
}


@pytest.mark.parametrize("kind", PostingKind)
def test_each_kind_of_posting_is_explained_in_one_line(kind: PostingKind) -> None:
    assert SAYS[kind] in STORY[kind]
    assert STORY[kind][0].isupper()
    assert STORY[kind].endswith(".")
    assert len(set(STORY.values())) == len(PostingKind)
