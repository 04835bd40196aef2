"""An instructor's yearly statement, in their language. Values in, bytes out."""

from zoneinfo import ZoneInfo

from models.documents.issuer import Issuer
from models.documents.page import Page
from models.domain.statements import CurrencyStatement, Earnings, Statement
from models.languages import SOURCE, Language, language

_WIDTHS = (24, 25, 25, 29, 21, 23, 23)


def draw(statement: Statement, instructor: str, issuer: Issuer, code: str = SOURCE) -> bytes:
    """The statement as a PDF. The same values always give the same bytes."""
    reads = language(code)
    say = reads.gettext
    footnote = say("Months are in %(zone)s.", zone=statement.time_zone)
    page = Page(issuer, say("Statement"), str(statement.year), statement.as_of, instructor, footnote, reads)
    page.fields(
        [
            (say("For"), instructor),
            (say("Year"), str(statement.year)),
            (say("As of"), reads.moment(statement.as_of, ZoneInfo(statement.time_zone))),
            (say("From"), issuer.name),
        ]
    )
    for index, part in enumerate(statement.data):
        if index:
            page.add_page()
        _draw(page, part, reads)
    if not statement.data:
        page.heading(say("There are no payments, refunds or payouts in this year."))
    else:
        page.ln(4)
        page.note(
            say(
                "Net is what students paid, less refunds and fees, plus the part of refunds that the platform bore. "
                "Refunds and lost disputes count in the month in which they happened, whenever the session was. Paid "
                "out is what Stripe has sent to your bank, less what your bank returned."
            )
        )
    return page.file()


def _draw(page: Page, part: CurrencyStatement, reads: Language) -> None:
    say, code = reads.gettext, part.currency.upper()
    page.total(
        say("Earned in %(currency)s", currency=code),
        reads.money(part.total.net),
        say(
            "Owed to you at the start: %(opening)s. Paid out: %(paid_out)s. Owed to you at the end: %(closing)s.",
            opening=reads.money(part.opening),
            paid_out=reads.money(part.total.paid_out),
            closing=reads.money(part.closing),
        ),
    )
    page.heading(say("By month, in %(currency)s", currency=code))
    page.rows(
        [
            *(_row(reads.month(each.month), each.earnings, reads) for each in part.months),
            _row(say("Year"), part.total, reads),
        ],
        widths=_WIDTHS,
        headings=(
            say("Month"),
            say("Paid by students"),
            say("Refunds"),
            say("Borne by platform"),
            say("Fees"),
            say("Net"),
            say("Paid out"),
        ),
        last_is_total=True,
    )
    if exchanged := part.total.exchanged:
        page.note(say("Converted by Stripe in the year: %(amount)s.", amount=reads.money(exchanged)))
    if tax := part.total.fee_tax:
        page.note(say("The fees of the year include %(tax)s of tax.", tax=reads.money(tax)))


def _row(name: str, earnings: Earnings, reads: Language) -> list[str]:
    amounts = (
        earnings.gross,
        earnings.refunds,
        earnings.borne_by_platform,
        earnings.fees,
        earnings.net,
        earnings.paid_out,
    )
    return [name, *(reads.units(amount) for amount in amounts)]
