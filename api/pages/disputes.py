"""For operators: disputes with their deadlines, and how each is answered."""

from collections.abc import Awaitable
from typing import Any

from fastapi import Response

from api.http.auth import AsOperator, Caller
from api.http.database import Database, WithDatabase
from api.http.pagination import Page as PageOfList
from api.http.pagination import PageParams
from api.http.problems import Problem
from api.pages import audit_trail
from api.pages.forms import Typed, TypedForm
from api.pages.page import Page, WithPage, page_router
from api.payments import disputes
from api.payments.disputes import DisputeId, WithDisputeClient

router = page_router()

_PATH = "/operator/disputes"
_FIRST = PageOfList(limit=20, after=None)


@router.get(_PATH)
async def show(page: WithPage, position: PageParams, operator: AsOperator, database: WithDatabase) -> Response:
    return await _show(page, position, operator, database)


@router.post(_PATH + "/{dispute_id}/take-over")
async def take_over(
    dispute_id: DisputeId,
    page: WithPage,
    typed: TypedForm,
    operator: AsOperator,
    database: WithDatabase,
    client: WithDisputeClient,
) -> Response:
    done = disputes.take_over(dispute_id, operator, database, client)
    said = page.say("You answer this dispute in Stripe's Dashboard. Nothing is sent by itself.")
    return await _answered(page, typed, operator, database, done, said)


@router.post(_PATH + "/{dispute_id}/submit")
async def submit(
    dispute_id: DisputeId,
    page: WithPage,
    typed: TypedForm,
    operator: AsOperator,
    database: WithDatabase,
    client: WithDisputeClient,
) -> Response:
    done = disputes.submit(dispute_id, operator, database, client)
    return await _answered(page, typed, operator, database, done, page.say("The evidence is on its way to the bank."))


@router.post(_PATH + "/{dispute_id}/accept")
async def accept(
    dispute_id: DisputeId,
    page: WithPage,
    typed: TypedForm,
    operator: AsOperator,
    database: WithDatabase,
    client: WithDisputeClient,
) -> Response:
    done = disputes.accept(dispute_id, operator, database, client)
    return await _answered(page, typed, operator, database, done, page.say("The dispute is accepted."))


async def _answered(
    page: Page, typed: Typed, operator: Caller, database: Database, answer: Awaitable[Any], said: str
) -> Response:
    """Back to the list: with what was done, or with why it was refused."""
    try:
        await answer
    except Problem as problem:
        if problem.status_code == 404:
            raise
        typed.refused(problem, page)
        return await _show(page, _FIRST, operator, database, problem.status_code, typed)
    return page.redirect(_PATH, said)


async def _show(
    page: Page,
    position: PageOfList,
    operator: Caller,
    database: Database,
    status: int = 200,
    typed: Typed | None = None,
) -> Response:
    found = await disputes.list_disputes(operator, position, database, None)
    return page.show(
        "operator_disputes.html",
        status,
        typed=typed or Typed(),
        disputes=found.data,
        claims={each.reason: audit_trail.dispute_reason(each.reason, page.language) for each in found.data},
        next_page=page.url(_PATH, cursor=found.next_cursor) if found.next_cursor else None,
    )
