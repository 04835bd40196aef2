"""Book a time: everything that it costs and means before the button, and then on to Checkout."""

from datetime import UTC, datetime
from uuid import UUID

from fastapi import Request, Response

from api.bookings import queries, routes
from api.bookings.client import WithBookingClient
from api.bookings.order import order
from api.bookings.schemas import NewBooking
from api.catalogue.offerings import get_offering
from api.http.auth import AsStudent, Caller
from api.http.database import Database, WithDatabase
from api.http.idempotency import RequiredKey
from api.http.problems import Kind, Problem
from api.http.rate_limits import WithRateLimiter
from api.pages.forms import Typed, TypedForm
from api.pages.page import Page, WithPage, page_router
from api.pages.terms import refund_steps, window
from api.reconciliation.routes import WithReconciliationClient
from api.settings import Settings, WithSettings
from models.documents.terms import absence_terms
from models.domain.payment_plans import plan_for
from models.domain.policy import CancellationPolicy

router = page_router()

_BOOK = "/slots/{slot_id}/book"
_NO_BOOKING = UUID(int=0)


@router.get(_BOOK)
async def form(
    slot_id: UUID, page: WithPage, student: AsStudent, database: WithDatabase, settings: WithSettings
) -> Response:
    return await _form(page, slot_id, student, database, settings, Typed())


@router.post(_BOOK)
async def book(
    slot_id: UUID,
    page: WithPage,
    typed: TypedForm,
    key: RequiredKey,
    student: AsStudent,
    request: Request,
    response: Response,
    limiter: WithRateLimiter,
    database: WithDatabase,
    client: WithBookingClient,
    reconciliations: WithReconciliationClient,
    settings: WithSettings,
) -> Response:
    """Only what was shown is booked. A second click gets the first one's payment page."""
    try:
        amount = typed.get("amount_minor")
        price = {"amount_minor": int(amount) if amount.isdecimal() else amount, "currency": typed.get("currency")}
        wanted = typed.read(
            NewBooking, slot_id=slot_id, expected_price=price, allow_overlap=typed.get("allow_overlap") == "yes"
        )
        created = await routes.create_booking(
            wanted, key, student, request, response, limiter, database, client, reconciliations, settings
        )
    except Problem as problem:
        refused = typed.refused(problem, page)
        overlaps = problem.kind is Kind.SESSIONS_OVERLAP
        return await _form(page, slot_id, student, database, settings, refused, problem.status_code, overlaps)
    if created.checkout_url:
        return page.redirect_away(created.checkout_url)
    return page.redirect(f"/bookings/{created.id}")


async def _form(
    page: Page,
    slot_id: UUID,
    student: Caller,
    database: Database,
    settings: Settings,
    typed: Typed,
    status: int = 200,
    overlaps: bool = False,
) -> Response:
    now = datetime.now(UTC)
    async with database.reading() as session:
        offer = await queries.offer(session, slot_id, student.id, _NO_BOOKING, settings.http.verifies_addresses)
    if offer is None:
        raise Problem(Kind.NOT_FOUND, "There is no such slot.")
    offering = await get_offering(offer.offering.id, database, settings)
    obstacle = None
    try:
        order(_NO_BOOKING, student.id, NewBooking(slot_id=slot_id), offer, settings.policy, now)
    except Problem as problem:
        obstacle = problem.kind
        if typed.problem is None:
            typed.refused(problem, page)
            status = problem.status_code
    policy = settings.policy.freeze(CancellationPolicy.model_validate(offer.offering.cancellation))
    return page.show(
        "book.html",
        status,
        slot=offer.slot,
        offering=offering,
        plan=plan_for(policy.deadlines, offer.slot.ends_at, now),
        pay_within=window(policy.deadlines.checkout_window, page.language),
        answer_within=window(policy.deadlines.approval_window, page.language),
        steps=refund_steps(policy, page.language, offering.price.total),
        absence=absence_terms(page.language, offering.price.total, policy),
        obstacle=obstacle,
        is_unverified=obstacle is Kind.ADDRESS_NOT_VERIFIED,
        overlaps=overlaps,
        typed=typed,
    )
