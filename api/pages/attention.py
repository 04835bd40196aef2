"""The operators' desk: what waits for them, with what they can do about each."""

from fastapi import Response

from api.bookings import options, presenters, queries
from api.bookings.filters import BookingFilter
from api.http.auth import AsOperator
from api.http.database import WithDatabase
from api.http.pagination import Page as PageOfList
from api.http.pagination import PageParams
from api.pages.page import WithPage, page_router
from api.payments import disputes
from api.reconciliation import routes as reconciliation

router = page_router()

_FIRST = PageOfList(limit=5, after=None)


@router.get("/operator")
async def queue(page: WithPage, position: PageParams, operator: AsOperator, database: WithDatabase) -> Response:
    waiting = BookingFilter(needs_attention=True)
    async with database.reading() as session:
        found = await queries.bookings(session, waiting, position.after, position.limit + 1)
    listed = found[: position.limit]
    cursor = presenters.next_cursor(found, position.limit)
    return page.show(
        "operator_attention.html",
        bookings=[
            (presenters.booking_for_operator(record), _possible(options.options(record, operator))) for record in listed
        ],
        next_page=page.url("/operator", cursor=cursor) if cursor else None,
        disputes=(await disputes.list_disputes(operator, _FIRST, database, is_open=True)).data,
        drifts=(await reconciliation.list_drifts(operator, _FIRST, database, is_open=True)).data,
    )


def _possible(found: options.OperatorOptions) -> list[options.OperatorOption]:
    return [option for option in found.data if option.is_possible]
