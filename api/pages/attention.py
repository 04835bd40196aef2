"""The operators' desk: what waits for them, with what they can do about each."""

from fastapi import Response

from api.bookings import options, presenters, queries, trace
from api.bookings.filters import BookingFilter
from api.bookings.queries import BookingRecord
from api.http.auth import AsOperator
from api.http.database import WithDatabase
from api.http.pagination import Page as PageOfList
from api.http.pagination import PageParams
from api.pages.page import Page, WithPage, page_router
from api.payments import disputes
from api.reconciliation import routes as reconciliation
from models.domain.attention import AttentionKind, kind_of

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
            (
                presenters.booking_for_operator(record),
                _possible(options.options(record, operator)),
                _links(record, page),
            )
            for record in listed
        ],
        next_page=page.url("/operator", cursor=cursor) if cursor else None,
        disputes=(await disputes.list_disputes(operator, _FIRST, database, is_open=True)).data,
        drifts=(await reconciliation.list_drifts(operator, _FIRST, database, is_open=True)).data,
    )


def _possible(found: options.OperatorOptions) -> list[options.OperatorOption]:
    return [option for option in found.data if option.is_possible]


def _links(record: BookingRecord, page: Page) -> list[tuple[str, str]]:
    """Where to look into it: the page of what the reason is about, the payment at Stripe, and the workflow."""
    id, say = record.request.id, page.say
    found = []
    match kind_of(record.request.attention_reason or ""):
        case AttentionKind.DISPUTE_UNANSWERED:
            found.append((say("Look at the disputes"), page.url("/operator/disputes")))
        case (
            AttentionKind.DRIFT
            | AttentionKind.NO_WORKFLOW
            | AttentionKind.WORKFLOW_DIFFERS
            | AttentionKind.WORKFLOW_FAILED
        ):
            found.append((say("Look at the drifts"), page.url("/operator/drifts")))
        case AttentionKind.REFUND_FAILED | AttentionKind.REFUND_NOT_FOLLOWED | AttentionKind.REFUND_WAITS:
            found.append((say("Look at the refunds"), page.url(f"/operator/bookings/{id}") + "#refunds"))
    if at_stripe := presenters.booking_for_operator(record).stripe_dashboard_url:
        found.append(("Stripe", at_stripe))
    if in_temporal := trace.temporal_url(id, page.settings):
        found.append(("Temporal", in_temporal))
    return found
