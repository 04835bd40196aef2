"""An instructor's yearly statement. Values in, bytes out."""

from calendar import month_name
from zoneinfo import ZoneInfo

from models.documents.issuer import Issuer
from models.documents.page import Page
from models.domain.money import Money
from models.domain.statements import CurrencyStatement, Earnings, Statement

_HEADINGS = ("Month", "Paid by students", "Refunds", "Borne by platform", "Fees", "Net", "Paid out")
_WIDTHS = (24, 27, 22, 29, 22, 23, 23)


def draw(statement: Statement, instructor: str, issuer: Issuer) -> bytes:
    """The statement as a PDF. The same values always give the same bytes."""
    zone = ZoneInfo(statement.time_zone)
    local = statement.as_of.astimezone(zone)
    page = Page(
        issuer, "Statement", str(statement.year), statement.as_of, f"Months are those of {statement.time_zone}."
    )
    page.fields(
        [
            ("For", instructor),
            ("Year", str(statement.year)),
            ("As of", f"{local.day} {local:%B %Y, %H:%M}"),
            ("From", issuer.name),
        ]
    )
    for index, part in enumerate(statement.data):
        if index:
            page.add_page()
        _draw(page, part)
    if not statement.data:
        page.heading("Nothing was paid, given back or paid out.")
    else:
        page.ln(4)
        page.note(
            "Net is what students paid, less refunds and fees, with what the platform bore of refunds. Refunds and "
            "lost disputes count in the month in which they happened, whenever the session was. Paid out is what "
            "Stripe has sent to the bank, less what came back."
        )
    return page.file()


def _draw(page: Page, part: CurrencyStatement) -> None:
    code = part.currency.upper()
    page.total(
        f"Earned in {code}",
        part.total.net.format(),
        f"{part.opening.format()} were owed to you at the beginning, {part.total.paid_out.format()} were paid out. "
        f"At the end {part.closing.format()} are owed to you.",
    )
    page.heading(f"By month, in {code}")
    page.rows(
        [
            *(_row(month_name[each.month], each.earnings) for each in part.months),
            _row("Year", part.total),
        ],
        widths=_WIDTHS,
        headings=_HEADINGS,
        last_is_total=True,
    )


def _row(name: str, earnings: Earnings) -> list[str]:
    amounts: list[Money] = [
        earnings.gross,
        earnings.refunds,
        earnings.borne_by_platform,
        earnings.fees,
        earnings.net,
        earnings.paid_out,
    ]
    return [name, *(amount.in_units() for amount in amounts)]
