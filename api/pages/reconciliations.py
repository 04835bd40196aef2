"""For operators: reconciliation runs, the drifts that they found, and the adjustments that settle those."""

from uuid import UUID

from fastapi import Response

from api.bookings import trace
from api.http.auth import AsOperator, Caller
from api.http.database import Database, WithDatabase
from api.http.pagination import PageParams
from api.http.problems import Kind, Problem
from api.pages.forms import Typed, TypedForm
from api.pages.page import Page, WithPage, page_router
from api.payments import adjustments
from api.payments.adjustments import DriftAdjustmentRequest, WithAdjustmentClient
from api.reconciliation import routes
from api.reconciliation.routes import WithReconciliationClient

router = page_router()

_RUNS, _DRIFTS = "/operator/reconciliations", "/operator/drifts"


@router.get(_RUNS)
async def runs(page: WithPage, position: PageParams, operator: AsOperator, database: WithDatabase) -> Response:
    found = await routes.list_reconciliations(operator, position, database)
    drifts = await routes.list_drifts(operator, position, database, is_open=True)
    return page.show(
        "operator_reconciliations.html",
        runs=found.data,
        is_running=any(run.finished_at is None for run in found.data),
        has_drifts=bool(drifts.data),
        next_page=page.url(_RUNS, cursor=found.next_cursor) if found.next_cursor else None,
    )


@router.post(_RUNS)
async def start(
    page: WithPage, operator: AsOperator, database: WithDatabase, client: WithReconciliationClient
) -> Response:
    await routes.reconcile(operator, database, client)
    return page.redirect(_RUNS, page.say("A reconciliation has started. Its result will be in the first row."))


@router.get(_DRIFTS)
async def list_drifts(page: WithPage, position: PageParams, operator: AsOperator, database: WithDatabase) -> Response:
    found = await routes.list_drifts(operator, position, database, None)
    return page.show(
        "operator_drifts.html",
        drifts=found.data,
        next_page=page.url(_DRIFTS, cursor=found.next_cursor) if found.next_cursor else None,
    )


@router.get(_DRIFTS + "/{drift_id}")
async def show(
    drift_id: UUID, page: WithPage, operator: AsOperator, database: WithDatabase, client: WithAdjustmentClient
) -> Response:
    return await _show(drift_id, page, operator, database, client, Typed())


@router.post(_DRIFTS + "/{drift_id}/adjust")
async def adjust(
    drift_id: UUID,
    page: WithPage,
    typed: TypedForm,
    operator: AsOperator,
    database: WithDatabase,
    client: WithAdjustmentClient,
) -> Response:
    try:
        await adjustments.adjust_drift(drift_id, typed.read(DriftAdjustmentRequest), operator, database, client)
    except Problem as problem:
        if problem.status_code == 404:
            raise
        typed.refused(problem, page)
        return await _show(drift_id, page, operator, database, client, typed, problem.status_code)
    return page.redirect(_DRIFTS, page.say("The ledger is adjusted to what Stripe has."))


async def _show(
    drift_id: UUID,
    page: Page,
    operator: Caller,
    database: Database,
    client: WithAdjustmentClient,
    typed: Typed,
    status: int = 200,
) -> Response:
    """The drift with what an adjustment would post, or with why there is none."""
    drift = await routes.get_drift(drift_id, operator, database)
    preview, why_not = None, None
    if drift.resolved_at is None:
        wanted = DriftAdjustmentRequest(reason="A preview.", preview=True)
        try:
            preview = await adjustments.adjust_drift(drift_id, wanted, operator, database, client)
        except Problem as problem:
            if problem.kind not in (Kind.NOT_POSSIBLE_NOW, Kind.UNAVAILABLE):
                raise
            why_not = str(problem.detail)
    return page.show(
        "operator_drift.html",
        status,
        typed=typed,
        drift=drift,
        temporal_url=trace.temporal_url(drift.booking_id, page.settings) if drift.booking_id else None,
        preview=preview,
        why_not=why_not,
    )
