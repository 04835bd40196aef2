"""The return URLs of Stripe's Checkout and onboarding.

They prove nothing: payments are confirmed by webhook. The pages only tell people what happens next, in the language
that the link names. They stay for a platform that has a front end of its own.
"""

from typing import Annotated
from uuid import UUID

from fastapi import Query, Response

from api.bookings import queries
from api.http.database import WithDatabase
from api.pages.page import Page, WithPage, page_router
from models.domain.actors import Role

router = page_router()


@router.get("/checkout/return")
async def paid(
    page: WithPage, database: WithDatabase, session_id: Annotated[str, Query(max_length=500)] = ""
) -> Response:
    """To the student's booking, which shows the payment arrive; for anybody else, a text."""
    if page.settings.http.holdfast_pages and page.caller and page.role is Role.STUDENT and "\0" not in session_id:
        async with database.reading() as session:
            booking_id = await queries.paid_on(session, session_id, page.caller.id)
        if booking_id:
            return page.redirect(f"/bookings/{booking_id}?returned=yes")
    say = page.say
    return _text(
        page,
        say("Payment submitted"),
        say("If your payment was accepted, the instructor is paid only once the session has taken place."),
        say(
            "If the instructor still has to confirm your booking, we will email you their response. If they decline or "
            "do not respond in time, you pay nothing."
        ),
        say("You can close this page."),
    )


@router.get("/checkout/cancelled")
async def cancelled(page: WithPage, database: WithDatabase, booking_id: UUID | None = None) -> Response:
    """To the student's booking, which links to the payment page; for anybody else, a text."""
    say = page.say
    if page.settings.http.holdfast_pages and page.caller and page.role is Role.STUDENT and booking_id:
        async with database.reading() as session:
            found = await queries.booking(session, booking_id, page.caller)
        if found:
            return page.redirect(f"/bookings/{booking_id}", say("You left before paying, so you were not charged."))
    return _text(
        page,
        say("Payment not completed"),
        say("You left before paying, so you were not charged."),
        say(
            "Your time is reserved until the payment is due. To pay, go back and open the payment page again. "
            "Otherwise, the booking ends and the time becomes available to others."
        ),
    )


@router.get("/onboarding/return")
async def onboarded(page: WithPage) -> Response:
    say = page.say
    return _text(
        page,
        say("Details submitted"),
        say(
            "Stripe is reviewing your details. Students can book you as soon as Stripe enables your payouts. This "
            "often takes minutes, and sometimes a day or two."
        ),
        say("If anything is missing, your profile shows it. You can close this page."),
    )


@router.get("/onboarding/refresh")
async def link_expired(page: WithPage) -> Response:
    """Does not create a new link: only the instructor may have one."""
    say = page.say
    return _text(
        page,
        say("This link has expired"),
        say("A link to Stripe's onboarding works once and only for a few minutes. Your answers so far are saved."),
        say("To continue, go back to your profile and request a new link."),
    )


def _text(page: Page, title: str, *paragraphs: str) -> Response:
    return page.show("text.html", title=title, paragraphs=paragraphs)
