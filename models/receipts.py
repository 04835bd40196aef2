"""A booking's receipt, computed from its current records and the ledger. Served by the API and attached to mails."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlmodel import col, select
from sqlmodel.sql.expression import Select

from models.documents.receipt import Movement, Receipt, Step
from models.domain.fee_tax import fee_tax
from models.domain.ledger import Account, PostingKind
from models.domain.money import Money
from models.domain.policy import BookingPolicy
from models.domain.zones import zone
from models.tables.bookings import BookingRequest
from models.tables.ledger import LedgerEntry, LedgerTransaction
from models.tables.people import Instructor, Student


class Line(NamedTuple):
    """A ledger entry of the booking; `kind` and `account` are enum values."""

    kind: str
    at: datetime
    account: str
    amount_minor: int


class Names(NamedTuple):
    """The names on a receipt."""

    student: str
    student_time_zone: str
    student_language: str
    instructor: str


_STEPS: Mapping[tuple[str, str], Step] = {
    (PostingKind.HOLD_PLACED, Account.CARD_HOLDS): Step.HELD,
    (PostingKind.CAPTURED, Account.STRIPE_BALANCE): Step.PAID,
    (PostingKind.CHARGED, Account.STRIPE_BALANCE): Step.PAID,
    (PostingKind.REFUNDED, Account.REFUNDS): Step.REFUNDED,
    (PostingKind.REFUND_FAILED, Account.REFUNDS): Step.REFUND_FAILED,
    (PostingKind.DISPUTE_OPENED, Account.DISPUTES): Step.WITHDRAWN,
    (PostingKind.DISPUTE_WON, Account.DISPUTES): Step.REINSTATED,
}
"""The receipt step of each kind of transaction, and the account whose entry has the amount."""
_PAYOUT_KINDS: frozenset[str] = frozenset({PostingKind.PAID_OUT, PostingKind.PAYOUT_FAILED})
"""Left out of the balances: a share is earned whether or not it has been paid out."""


def lines_of(booking_id: UUID) -> Select[str, datetime, str, int]:
    """The booking's ledger entries, in ledger order."""
    return (
        select(LedgerTransaction.kind, LedgerTransaction.at, LedgerEntry.account, LedgerEntry.amount_minor)
        .join(LedgerEntry, col(LedgerEntry.transaction_id) == col(LedgerTransaction.id))
        .where(col(LedgerTransaction.booking_id) == booking_id)
        .order_by(col(LedgerTransaction.seq), col(LedgerEntry.line))
    )


def names_of(booking: BookingRequest) -> Select[str, str, str, str]:
    return (
        select(Student.name, Student.time_zone, Student.language, Instructor.name)
        .join(Instructor, col(Instructor.id) == booking.instructor_id)
        .where(col(Student.id) == booking.student_id)
    )


def receipt(booking: BookingRequest, names: Names, lines: Iterable[Line]) -> Receipt | None:
    """`None` while the payment is only authorized, and if there never was one."""
    entries = list(lines)
    balances: Counter[str] = Counter()
    for line in entries:
        if line.kind not in _PAYOUT_KINDS:
            balances[line.account] += line.amount_minor
    if not entries or balances[Account.CARD_HOLDS]:
        return None

    def money(amount_minor: int) -> Money:
        return Money(amount_minor=amount_minor, currency=booking.currency)

    policy, fee = BookingPolicy.model_validate(booking.policy), money(booking.platform_fee_minor)
    tax_kept_minor = -balances[Account.TAX_PAYABLE]
    return Receipt(
        booking_id=booking.id,
        student=names.student,
        instructor=names.instructor,
        title=booking.title,
        starts_at=booking.starts_at,
        ends_at=booking.ends_at,
        time_zone=zone(names.student_time_zone).key,
        language=names.student_language,
        price=money(booking.price_minor),
        platform_fee=fee,
        fee_tax=fee_tax(fee, policy),
        fee_tax_bps=policy.fee_tax_bps,
        movements=tuple(
            Movement(at=at, step=step, amount=money(amount_minor)) for at, step, amount_minor in _movements(entries)
        ),
        fee_kept=money(tax_kept_minor - balances[Account.PLATFORM_REVENUE]),
        fee_tax_kept=money(tax_kept_minor),
        share_kept=money(-balances[Account.INSTRUCTOR_PAYABLE]),
        on_its_way=money(-balances[Account.REFUNDS]),
    )


def _movements(entries: list[Line]) -> Iterator[tuple[datetime, Step, int]]:
    """Whatever was not captured of a hold was released; the ledger has no transaction for that."""
    captured_minor = sum(
        line.amount_minor
        for line in entries
        if (line.kind, line.account) == (PostingKind.CAPTURED, Account.STRIPE_BALANCE)
    )
    for line in entries:
        step = _STEPS.get((line.kind, line.account))
        if step is not None:
            yield line.at, step, abs(line.amount_minor)
        elif (line.kind, line.account) == (PostingKind.HOLD_ENDED, Account.STUDENT_FUNDS_HELD):
            released_minor = line.amount_minor - captured_minor
            if released_minor > 0:
                yield line.at, Step.RELEASED, released_minor
