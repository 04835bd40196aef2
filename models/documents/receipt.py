"""A student's receipt: what was agreed, held, paid and returned, when, and who received it. Values in, bytes out."""

from datetime import datetime
from enum import Enum
from uuid import UUID
from zoneinfo import ZoneInfo

from models.documents.issuer import Issuer
from models.documents.page import Page
from models.domain.base import Value
from models.domain.ids import receipt_number
from models.domain.money import Money
from models.languages import SOURCE, Language, language

FILE_NAME = "receipt.pdf"


class Step(Enum):
    """A step of the student's money: its label, and its sign in the amount that they have paid."""

    HELD = ("Hold placed", 0)
    RELEASED = ("Hold released", 0)
    PAID = ("Charged", 1)
    REFUNDED = ("Refunded", -1)
    REFUND_FAILED = ("Refund returned by your bank; we still owe it to you", 0)
    WITHDRAWN = ("Disputed: returned to you by your bank", -1)
    REINSTATED = ("Dispute closed: charged again by your bank", 1)

    def __init__(self, label: str, sign: int) -> None:
        self.label = label
        self.sign = sign


class Movement(Value):
    at: datetime
    step: Step
    amount: Money
    """Never negative."""


class Receipt(Value):
    """A booking's money so far. `movements` is in chronological order, and never empty."""

    booking_id: UUID
    student: str
    instructor: str
    title: str
    starts_at: datetime
    ends_at: datetime
    time_zone: str
    """The student's; an IANA name."""
    language: str = SOURCE
    """The student's."""
    price: Money
    platform_fee: Money
    """As shown before payment."""
    fee_tax: Money
    """The tax in that fee."""
    fee_tax_bps: int
    movements: tuple[Movement, ...]
    fee_kept: Money
    """What the platform keeps of what was paid."""
    fee_tax_kept: Money
    """The tax in what the platform keeps."""
    share_kept: Money
    """What the instructor keeps of it."""
    on_its_way: Money
    """The part of what was returned that Stripe has not sent yet."""

    @property
    def paid(self) -> Money:
        """What the student has paid, less what was returned."""
        return sum((_signed(each) for each in self.movements), self.price.zero())

    @property
    def returned(self) -> Money:
        """The part of the payment that was returned."""
        return -sum((_signed(each) for each in self.movements if each.step is not Step.PAID), self.price.zero())


def draw(receipt: Receipt, issuer: Issuer) -> bytes:
    """The receipt as a PDF in the student's language. The same receipt always gives the same bytes."""
    zone, reads = ZoneInfo(receipt.time_zone), language(receipt.language)
    say = reads.gettext
    at = receipt.movements[-1].at
    number, footnote = receipt_number(receipt.booking_id), say("Times are in %(zone)s.", zone=zone.key)
    page = Page(issuer, say("Receipt"), number, at, receipt.model_dump_json(), footnote, reads)
    page.fields(
        [
            (say("Paid by"), receipt.student),
            (say("Paid to"), receipt.instructor),
            (say("Through"), issuer.name),
            (say("Session"), receipt.title),
            (say("When"), reads.period(receipt.starts_at, receipt.ends_at, zone)),
            (say("Booking"), str(receipt.booking_id)),
            (say("Issued"), reads.day(at, zone)),
        ]
    )
    page.total(say("You paid"), reads.money(receipt.paid), _summary(receipt, reads))
    page.heading(say("Transactions"))
    page.rows(
        [
            *([reads.moment(each.at, zone), say(each.step.label), _amount(each, reads)] for each in receipt.movements),
            ["", say("You paid"), reads.money(receipt.paid)],
        ],
        widths=(44, 88, 38),
        headings=(say("Date"), say("Transaction"), say("Amount")),
        text_columns=2,
        last_is_total=True,
    )
    page.heading(say("The price as shown before payment"))
    share = say("Instructor’s share")
    page.rows(
        [
            [share, reads.money(receipt.price - receipt.platform_fee)],
            [_fee(receipt, receipt.fee_tax, issuer, reads), reads.money(receipt.platform_fee)],
            [say("Price"), reads.money(receipt.price)],
        ],
        widths=(132, 38),
        last_is_total=True,
    )
    if receipt.paid and receipt.paid != receipt.price and receipt.fee_kept + receipt.share_kept == receipt.paid:
        page.heading(say("How your payment is divided"))
        page.rows(
            [
                [share, reads.money(receipt.share_kept)],
                [_fee(receipt, receipt.fee_tax_kept, issuer, reads), reads.money(receipt.fee_kept)],
                [say("You paid"), reads.money(receipt.paid)],
            ],
            widths=(132, 38),
            last_is_total=True,
        )
    return page.file()


def _signed(movement: Movement) -> Money:
    amount = movement.amount
    return amount.model_copy(update={"amount_minor": amount.amount_minor * movement.step.sign})


def _amount(movement: Movement, reads: Language) -> str:
    return reads.money(-movement.amount if movement.step.sign < 0 else movement.amount)


def _fee(receipt: Receipt, tax: Money, issuer: Issuer, reads: Language) -> str:
    say = reads.gettext
    if not receipt.fee_tax_bps:
        return say("Platform fee of %(platform)s", platform=issuer.name)
    return say(
        "Platform fee of %(platform)s, including %(tax)s of tax (%(rate)s)",
        platform=issuer.name,
        tax=reads.money(tax),
        rate=reads.percent(receipt.fee_tax_bps),
    )


def _summary(receipt: Receipt, reads: Language) -> str:
    say = reads.gettext
    if not any(each.step is Step.PAID for each in receipt.movements):
        return say("You were not charged. The hold of %(amount)s is released.", amount=reads.money(receipt.price))
    sentences = []
    released = [each.amount for each in receipt.movements if each.step is Step.RELEASED]
    # A hold that was replaced by a charge is released in full.
    if released and released[0] != receipt.price:
        sentences.append(
            say(
                "%(released)s of the hold of %(price)s was released.",
                released=reads.money(released[0]),
                price=reads.money(receipt.price),
            )
        )
    if receipt.returned:
        sentences.append(say("%(amount)s was returned to you.", amount=reads.money(receipt.returned)))
    if receipt.on_its_way:
        sentences.append(say("%(amount)s of it is still on its way.", amount=reads.money(receipt.on_its_way)))
    return " ".join(sentences) or say("Paid in full.")
