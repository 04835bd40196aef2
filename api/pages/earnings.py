"""How an instructor is paid: Stripe's onboarding, the balance, payouts with their bookings, and yearly statements."""

from datetime import UTC, datetime

from fastapi import Response

from api.http.auth import AsInstructor
from api.http.database import WithDatabase
from api.http.documents import WithDocuments
from api.http.pagination import Page as PageOfList
from api.http.pagination import PageParams
from api.http.problems import Problem
from api.http.rate_limits import DOCUMENTS, ONBOARDING_LINKS, limited_by
from api.pages import requirements
from api.pages.forms import TypedForm
from api.pages.page import Page, WithPage, page_router
from api.payments import balances, bank_payouts, payouts
from api.payments.bank_payouts import PayoutId
from api.people import instructors
from api.people.onboarding_client import WithOnboarding
from api.people.schemas import PaymentCapability
from api.reports import statements
from api.reports.statements import Year
from api.settings import WithSettings

router = page_router()

_LATEST = PageOfList(limit=5, after=None)


@router.get("/earnings")
async def earnings(page: WithPage, caller: AsInstructor, position: PageParams, database: WithDatabase) -> Response:
    profile = await instructors.own_profile(caller, database)
    found = await payouts.own_payouts(caller, position, database)
    sent, _ = await bank_payouts.list_payouts(caller, _LATEST, database)
    async with database.reading() as session:
        parts = await balances.parts_of_instructor(session, caller.id)
    more = page.url("/earnings", cursor=found.next_cursor) if found.next_cursor else None
    this_year = datetime.now(UTC).astimezone(page.zone).year
    years = range(this_year, min(profile.created_at.astimezone(page.zone).year, this_year) - 1, -1)
    return page.show(
        "earnings.html",
        payments=_in_words(profile.payments, page),
        balances=parts,
        sent=sent,
        payouts=found.data,
        next_page=more,
        years=list(years),
    )


@router.get("/earnings/payouts")
async def list_payouts(page: WithPage, caller: AsInstructor, position: PageParams, database: WithDatabase) -> Response:
    sent, cursor = await bank_payouts.list_payouts(caller, position, database)
    more = page.url("/earnings/payouts", cursor=cursor) if cursor else None
    return page.show("payouts.html", sent=sent, next_page=more)


@router.get("/earnings/payouts/{payout_id}")
async def show_payout(payout_id: PayoutId, page: WithPage, caller: AsInstructor, database: WithDatabase) -> Response:
    payout, lines = await bank_payouts.get_payout(payout_id, caller, database)
    return page.show("payout.html", payout=payout, lines=lines)


@router.get("/onboarding")
async def onboarding_form(page: WithPage, caller: AsInstructor, database: WithDatabase) -> Response:
    profile = await instructors.own_profile(caller, database)
    return page.show("onboarding.html", payments=_in_words(profile.payments, page))


@router.post("/onboarding", dependencies=[limited_by(ONBOARDING_LINKS)])
async def open_onboarding(
    page: WithPage, typed: TypedForm, caller: AsInstructor, database: WithDatabase, onboarding: WithOnboarding
) -> Response:
    """To Stripe's own page."""
    try:
        link = await instructors.open_onboarding_link(caller, database, onboarding)
    except Problem as problem:
        profile = await instructors.own_profile(caller, database)
        refused = typed.refused(problem, page)
        return page.show(
            "onboarding.html", problem.status_code, payments=_in_words(profile.payments, page), typed=refused
        )
    return page.redirect_away(link.url)


@router.get("/earnings/{year}.pdf", dependencies=[limited_by(DOCUMENTS)])
async def draw_statement(
    year: Year,
    caller: AsInstructor,
    database: WithDatabase,
    documents: WithDocuments,
    settings: WithSettings,
    response: Response,
) -> Response:
    drawn = await statements.get_statement(year, caller, database, documents, settings, response, "application/pdf")
    assert isinstance(drawn, Response)
    return drawn


@router.get("/earnings/{year}", dependencies=[limited_by(DOCUMENTS)])
async def show_statement(
    year: Year,
    page: WithPage,
    caller: AsInstructor,
    database: WithDatabase,
    documents: WithDocuments,
    settings: WithSettings,
    response: Response,
) -> Response:
    found = await statements.get_statement(year, caller, database, documents, settings, response, "application/json")
    return page.show("statement.html", statement=found)


def _in_words(payments: PaymentCapability, page: Page) -> PaymentCapability:
    return payments.model_copy(update={"requirements": requirements.in_words(payments.requirements, page.language)})
