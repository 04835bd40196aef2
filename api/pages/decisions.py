"""What a booking's sides decide, each by a form: answer a request, cancel, complete, confirm, object, and absences."""

from collections.abc import Awaitable
from typing import Any
from uuid import UUID

from fastapi import Response

from api.bookings import decisions, quotes
from api.bookings.decision_handler import WithDecisionHandler
from api.bookings.schemas import NoShowReport, Objection, Rejection
from api.http.auth import AsEitherSide, AsInstructor, AsStudent, Caller
from api.http.database import Database, WithDatabase
from api.http.problems import Problem
from api.pages.bookings import booking_page
from api.pages.forms import Typed, TypedForm
from api.pages.page import Page, WithPage, page_router
from models.domain.actors import AbsentParty, Role

router = page_router()

_BOOKING = "/bookings/{booking_id}"


async def decided(
    page: Page,
    booking_id: UUID,
    caller: Caller,
    database: Database,
    typed: Typed,
    decision: Awaitable[Any],
    said: str,
) -> Response:
    """Back to the booking: with what was done, or with why it was refused."""
    try:
        await decision
    except Problem as problem:
        refused = typed.refused(problem, page)
        return await booking_page(page, booking_id, caller, database, problem.status_code, refused)
    return page.redirect(f"/bookings/{booking_id}", said)


@router.post(f"{_BOOKING}/approve")
async def approve(
    booking_id: UUID,
    page: WithPage,
    typed: TypedForm,
    instructor: AsInstructor,
    database: WithDatabase,
    handler: WithDecisionHandler,
) -> Response:
    done = decisions.approve(booking_id, instructor, handler)
    said = page.say("Confirmed. The student gets an email with the calendar file.")
    return await decided(page, booking_id, instructor, database, typed, done, said)


@router.post(f"{_BOOKING}/reject")
async def reject(
    booking_id: UUID,
    page: WithPage,
    typed: TypedForm,
    instructor: AsInstructor,
    database: WithDatabase,
    handler: WithDecisionHandler,
) -> Response:
    async def reject_() -> None:
        await decisions.reject(booking_id, typed.read(Rejection), instructor, handler)

    said = page.say("Declined. The student gets everything back.")
    return await decided(page, booking_id, instructor, database, typed, reject_(), said)


@router.post(f"{_BOOKING}/complete")
async def complete(
    booking_id: UUID,
    page: WithPage,
    typed: TypedForm,
    instructor: AsInstructor,
    database: WithDatabase,
    handler: WithDecisionHandler,
) -> Response:
    done = decisions.complete(booking_id, instructor, handler)
    said = page.say("Reported. This page shows when you are paid.")
    return await decided(page, booking_id, instructor, database, typed, done, said)


@router.post(f"{_BOOKING}/confirm")
async def confirm(
    booking_id: UUID,
    page: WithPage,
    typed: TypedForm,
    student: AsStudent,
    database: WithDatabase,
    handler: WithDecisionHandler,
) -> Response:
    done = decisions.confirm(booking_id, student, handler)
    said = page.say("Thank you. The instructor gets their share.")
    return await decided(page, booking_id, student, database, typed, done, said)


@router.post(f"{_BOOKING}/object")
async def object_to_completion(
    booking_id: UUID,
    page: WithPage,
    typed: TypedForm,
    student: AsStudent,
    database: WithDatabase,
    handler: WithDecisionHandler,
) -> Response:
    async def object_() -> None:
        await decisions.object_to_completion(booking_id, typed.read(Objection), student, handler)

    said = page.say("Your objection is noted.")
    return await decided(page, booking_id, student, database, typed, object_(), said)


@router.post(f"{_BOOKING}/no-show/contest")
async def contest_no_show(
    booking_id: UUID,
    page: WithPage,
    typed: TypedForm,
    caller: AsEitherSide,
    database: WithDatabase,
    handler: WithDecisionHandler,
) -> Response:
    done = decisions.contest_no_show(booking_id, caller, handler)
    return await decided(page, booking_id, caller, database, typed, done, page.say("The report is contested."))


@router.get(f"{_BOOKING}/no-show")
async def no_show_form(
    booking_id: UUID, page: WithPage, caller: AsEitherSide, handler: WithDecisionHandler
) -> Response:
    record = await handler.find(booking_id, caller)
    return page.show("no_show.html", booking=record.request)


@router.post(f"{_BOOKING}/no-show")
async def report_no_show(
    booking_id: UUID,
    page: WithPage,
    typed: TypedForm,
    caller: AsEitherSide,
    database: WithDatabase,
    handler: WithDecisionHandler,
) -> Response:
    """Of the other side: nobody reports themselves here, because that is a cancellation."""
    absent = AbsentParty.INSTRUCTOR if caller.role is Role.STUDENT else AbsentParty.STUDENT
    done = decisions.report_no_show(booking_id, NoShowReport(absent=absent), caller, handler)
    said = page.say("Reported. The other side can contest it.")
    return await decided(page, booking_id, caller, database, typed, done, said)


@router.get(f"{_BOOKING}/cancel")
async def cancel_form(booking_id: UUID, page: WithPage, caller: AsEitherSide, database: WithDatabase) -> Response:
    return await _cancel_form(page, booking_id, caller, database, 200, Typed())


@router.post(f"{_BOOKING}/cancel")
async def cancel(
    booking_id: UUID,
    page: WithPage,
    typed: TypedForm,
    caller: AsEitherSide,
    database: WithDatabase,
    handler: WithDecisionHandler,
) -> Response:
    """Only for what was quoted: if it has changed meanwhile, the new quote is shown instead."""
    try:
        quote = await quotes.quote_cancellation(booking_id, caller, database)
        if typed.get("refund") != str(quote.refund.amount_minor):
            return await _cancel_form(page, booking_id, caller, database, 409, typed)
        await decisions.cancel(booking_id, caller, handler)
    except Problem as problem:
        refused = typed.refused(problem, page)
        return await booking_page(page, booking_id, caller, database, problem.status_code, refused)
    return page.redirect(f"/bookings/{booking_id}", page.say("The booking is cancelled."))


async def _cancel_form(
    page: Page, booking_id: UUID, caller: Caller, database: Database, status: int, typed: Typed
) -> Response:
    quote = await quotes.quote_cancellation(booking_id, caller, database)
    if status == 409:
        typed.problem = page.say("What you get back has changed. Read it again before you cancel.")
    return page.show("cancel.html", status, quote=quote, booking_id=booking_id, typed=typed)
