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

FILE_NAME = "receipt.pdf"


class Step(Enum):
    """A step of the student's money: its label, and its sign in the amount that they have paid."""

    HELD = ("Held on your card", 0)
    RELEASED = ("Released: never charged", 0)
    PAID = ("Paid by card", 1)
    REFUNDED = ("Refunded to your card", -1)
    REFUND_FAILED = ("The refund did not arrive; it is still owed to you", 0)
    WITHDRAWN = ("Taken back by your bank, which looks into it", -1)
    REINSTATED = ("Paid again: your bank’s decision", 1)

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
    price: Money
    platform_fee: Money
    """As shown before payment."""
    movements: tuple[Movement, ...]
    fee_kept: Money
    """What the platform keeps of what was paid."""
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
    """The receipt as a PDF. The same receipt always gives the same bytes."""
    zone = ZoneInfo(receipt.time_zone)
    at = receipt.movements[-1].at
    page = Page(issuer, "Receipt", receipt_number(receipt.booking_id), at, f"Times are those of {zone.key}.")
    page.fields(
        [
            ("Paid by", receipt.student),
            ("Paid to", receipt.instructor),
            ("Through", issuer.name),
            ("For", receipt.title),
            ("When", _span(receipt, zone)),
            ("Booking", str(receipt.booking_id)),
            ("Issued", _day(at.astimezone(zone))),
        ]
    )
    page.total("You paid", receipt.paid.format(), _summary(receipt))
    page.heading("What happened to the money")
    page.rows(
        [
            *([_time(each.at, zone), each.step.label, _amount(each)] for each in receipt.movements),
            ["", "You paid", receipt.paid.format()],
        ],
        widths=(44, 88, 38),
        headings=("When", "What", "Amount"),
        text_columns=2,
        last_is_total=True,
    )
    page.heading("The price, as it was shown before paying")
    page.rows(
        [
            ["The instructor’s share", (receipt.price - receipt.platform_fee).format()],
            [f"Fee of {issuer.name}", receipt.platform_fee.format()],
            ["Price", receipt.price.format()],
        ],
        widths=(132, 38),
        last_is_total=True,
    )
    if receipt.paid and receipt.paid != receipt.price and receipt.fee_kept + receipt.share_kept == receipt.paid:
        page.heading("What you paid, divided")
        page.rows(
            [
                ["The instructor’s share", receipt.share_kept.format()],
                [f"Fee of {issuer.name}", receipt.fee_kept.format()],
                ["You paid", receipt.paid.format()],
            ],
            widths=(132, 38),
            last_is_total=True,
        )
    return page.file()


def _signed(movement: Movement) -> Money:
    amount = movement.amount
    return amount.model_copy(update={"amount_minor": amount.amount_minor * movement.step.sign})


def _amount(movement: Movement) -> str:
    return (-movement.amount if movement.step.sign < 0 else movement.amount).format()


def _summary(receipt: Receipt) -> str:
    if not any(each.step is Step.PAID for each in receipt.movements):
        return f"Nothing was charged. The {receipt.price.format()} on your card were held and released."
    sentences = []
    released = [each.amount for each in receipt.movements if each.step is Step.RELEASED]
    if released:
        sentences.append(f"Of the {receipt.price.format()} that were held, {released[0].format()} were never charged.")
    if receipt.returned:
        sentences.append(f"{receipt.returned.format()} went back to you.")
    if receipt.on_its_way:
        sentences.append(f"{receipt.on_its_way.format()} of it is still on its way.")
    return " ".join(sentences) or "Paid in full. Nothing went back."


def _span(receipt: Receipt, zone: ZoneInfo) -> str:
    starts, ends = receipt.starts_at.astimezone(zone), receipt.ends_at.astimezone(zone)
    end = f"{ends:%H:%M}" if starts.date() == ends.date() else f" {_day(ends)}, {ends:%H:%M}"
    return f"{starts:%A}, {_day(starts)}, {starts:%H:%M}–{end}"


def _time(at: datetime, zone: ZoneInfo) -> str:
    local = at.astimezone(zone)
    return f"{_day(local)}, {local:%H:%M}"


def _day(local: datetime) -> str:
    return f"{local.day} {local:%B %Y}"
