"""In Chromium, no page breaks a rule of accessibility or is wider than a phone, for anyone who may read it."""

from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit
from uuid import uuid4

import httpx
from playwright.async_api import Page, Route
from sqlmodel.ext.asyncio.session import AsyncSession

from activities.database import ledger
from models.domain import postings
from models.domain.actors import PLATFORM
from models.domain.money import Money
from models.domain.reconciliation import Book, DriftKind
from models.domain.states import BookingStatus, DisputeStatus, PayoutStatus
from models.tables.disputes import Dispute
from models.tables.payments import InstructorPayout
from models.tables.reconciliation import Drift, Reconciliation
from tests.accessibility import misfits, violations
from tests.api.pages.browser import Browser
from tests.api.pages.paid_bookings import paid
from tests.api.route_table import PAGES
from tests.api.world import PUBLIC_URL, World

_NO_PAGE = {
    "/static/{name}": "a file",
    "/earnings/{year}.pdf": "a file",
    "/bookings/{booking_id}/calendar.ics": "a file",
    "/bookings/{booking_id}/receipt.pdf": "a file",
    "/bookings/{booking_id}/events": "a stream",
    "/changes": "a stream",
    "/bookings/{booking_id}/join": "leads to the meeting",
    "/sign-in/provider": "leads to the identity provider",
    "/sign-in/callback": "leads on from the identity provider",
}
_MORE = {
    "nobody": ("/docs", "/nothing", "/offerings?price_min=much"),
    "student": ("/bookings/{unpaid_id}", "/bookings/{over_id}"),
    "instructor": ("/bookings/{over_id}", "/earnings/payouts/{payout_id}"),
    "operator": ("/operator/drifts/{drift_id}",),
}
"""The API's reference, an error, a refused form, and what exists here, but not for the authorization matrix."""

_STATUSES = {"/nothing": 404, "/offerings?price_min=much": 422}
_HTML = "text/html; charset=utf-8"


def _paths(role: str) -> list[str]:
    """What the role can read. What anyone can read is nobody's: for others, only its navigation is another one."""
    pages = {path: outcomes for (method, path), outcomes in PAGES.items() if method == "GET" and path not in _NO_PAGE}
    found = [path for path, can in pages.items() if can[role] == "ok" and (role == "nobody" or can["nobody"] != "ok")]
    return [*found, *_MORE[role]]


def test_what_is_no_page_is_a_route() -> None:
    assert {path for method, path in PAGES if method == "GET"} >= set(_NO_PAGE)


async def test_every_page_is_accessible_and_fits(browser: Browser, world: World, browser_page: Page) -> None:
    ids = await _populate(world)
    await browser_page.route("**/*", lambda route: _serve(route, browser.client))
    await browser_page.set_viewport_size({"width": 320, "height": 640})
    found = {}
    people = {"nobody": None, "student": world.student, "instructor": world.instructor, "operator": world.operator}
    for role, person in people.items():
        browser.become(person)
        for path in _paths(role):
            answer = await browser_page.goto(PUBLIC_URL + path.format(**ids))
            assert answer is not None
            assert (answer.status, answer.headers["content-type"]) == (_STATUSES.get(path, 200), _HTML), (role, path)
            found[role, path] = await misfits(browser_page) + await violations(browser_page)
    assert {page: broken for page, broken in found.items() if broken} == {}


async def test_the_checks_find_what_is_wrong(browser_page: Page) -> None:
    await browser_page.set_content(
        "<h3>Too deep</h3><a href='/'></a><input><p style='color: #999; background: #fff'>Faint</p>"
        "<b id='one'></b><b id='one'></b><label for='none'></label><input aria-invalid='true' tabindex='2'>"
    )
    found = " ".join(await violations(browser_page))
    for rule in (
        *("html-has-lang", "document-title", "landmark-one-main", "page-has-heading-one", "link-name"),
        *("label", "color-contrast", "tabindex"),
    ):
        assert f"{rule}:" in found
    await browser_page.set_content("<p style='width: 400px'>Wide</p><button>Small</button>")
    wide, small = await misfits(browser_page)
    assert wide == "408 pixels wide"
    assert "Small" in small


async def _serve(route: Route, client: httpx.AsyncClient) -> None:
    """From the app, without a server. Its streams would end at once, and the browser ask for them again and again."""
    url = urlsplit(route.request.url)
    if route.request.resource_type == "eventsource":
        await route.abort()
        return
    answer = await client.get(f"{url.path}?{url.query}" if url.query else url.path)
    await route.fulfill(status=answer.status_code, headers=dict(answer.headers), body=answer.content)


async def _populate(world: World) -> dict[str, object]:
    """Something of each kind that pages show. Returns the ids, by the names of the paths' parameters."""
    now = datetime.now(UTC)
    booking_id = await paid(world, timedelta(days=2), status=BookingStatus.ACCEPTED)
    over_id = await paid(world, -timedelta(hours=2), status=BookingStatus.ACCEPTED)
    parked_id = await paid(
        world,
        -timedelta(hours=4),
        status=BookingStatus.ACCEPTED,
        needs_attention=True,
        attention_reason="the record of the meeting is not clear",
    )
    await paid(world, timedelta(days=3))
    unpaid_id = await world.booking(await world.slot(timedelta(days=4)))
    run = Reconciliation(id=uuid4(), by_role=PLATFORM.role, started_at=now)
    await world.add(run)
    drift = Drift(
        id=uuid4(),
        kind=DriftKind.BOOKING,
        book=Book.STRIPE_BALANCE,
        currency="usd",
        ledger_minor=1,
        stripe_minor=0,
        reconciliation_id=run.id,
        booking_id=over_id,
        found_at=now,
        seen_at=now,
    )
    await world.add(drift)
    await world.add(
        Dispute(
            id="du_1",
            booking_id=parked_id,
            status=DisputeStatus.NEEDS_RESPONSE,
            is_inquiry=False,
            reason="product_not_received",
            amount_minor=10_000,
            currency="usd",
            respond_by=now + timedelta(days=7),
            created_at=now,
            updated_at=now,
        )
    )
    for share_of, status in ((over_id, PayoutStatus.PAID), (parked_id, PayoutStatus.PROCESSING)):
        await world.add(
            InstructorPayout(
                booking_id=share_of,
                instructor_id=world.instructor.id,
                status=status,
                amount_minor=8_000,
                platform_fee_minor=2_000,
                currency="usd",
                stripe_payout_id="po_1",
                created_at=now,
                updated_at=now,
            )
        )
    async with AsyncSession(world.engine) as session, session.begin():
        share = Money(amount_minor=8_000, currency="usd")
        await ledger.post(session, now, postings.paid_out(world.instructor.id, over_id, "po_1", share))
    return {
        "booking_id": booking_id,
        "over_id": over_id,
        "unpaid_id": unpaid_id,
        "slot_id": await world.slot(timedelta(days=5)),
        "offering_id": world.offering_id,
        "instructor_id": world.instructor.id,
        "drift_id": drift.id,
        "payout_id": "po_1",
        "year": now.year,
    }
