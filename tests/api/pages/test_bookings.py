"""A booking's page: where it stands for each side, what can be done, and in how many statements."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from models.domain.actors import AbsentParty, SignUpRole
from models.domain.endings import EndReason
from models.domain.policy import PaymentPlan
from models.domain.states import BookingStatus
from models.tables.session_reports import SessionReport
from tests.api.pages.browser import Browser, text_of
from tests.api.pages.paid_bookings import paid
from tests.api.sql_statements import noted
from tests.api.world import Person, World


async def _text(browser: Browser, person: Person, booking_id: object, **query: str) -> str:
    browser.become(person)
    page = await browser.get(f"/bookings/{booking_id}", **query)
    assert page.status_code == 200
    return text_of(page)


async def test_an_unpaid_booking_leads_to_payment_and_shows_it_arrive(browser: Browser, world: World) -> None:
    booking_id = await world.booking(checkout_url="https://checkout.test/pay", checkout_session_id="cs_test_1")
    text = await _text(browser, world.student, booking_id)
    assert "The time is reserved for you until" in text
    page = await browser.get(f"/bookings/{booking_id}")
    assert 'href="https://checkout.test/pay"' in page.text
    back = await browser.get("/checkout/return", session_id="cs_test_1")
    assert back.headers["location"] == f"/bookings/{booking_id}?returned=yes"
    assert "We are waiting for Stripe to confirm it." in text_of(await browser.follow(back))
    left = await browser.get("/checkout/cancelled", booking_id=str(booking_id))
    assert left.headers["location"] == f"/bookings/{booking_id}"
    page = await browser.follow(left)
    assert "You left before paying, so you were not charged." in text_of(page)
    assert 'href="https://checkout.test/pay"' in page.text
    text = await _text(browser, world.instructor, booking_id)
    assert "The student has not paid yet." in text
    assert (await browser.get("/checkout/cancelled", booking_id=str(booking_id))).status_code == 200
    browser.become(world.instructor)
    assert (await browser.get("/checkout/return", session_id="cs_test_1")).status_code == 200


@pytest.mark.parametrize(
    ("plan", "told"),
    [
        (PaymentPlan.HOLD, "US$100.00 is on hold on your card. You have not been charged."),
        (PaymentPlan.CHARGE_THEN_TRANSFER, "You have been charged US$100.00."),
    ],
)
async def test_a_request_says_whether_the_student_is_charged(
    plan: PaymentPlan, told: str, browser: Browser, world: World
) -> None:
    booking_id = await paid(world, timedelta(days=2), plan)
    assert told in await _text(browser, world.student, booking_id)
    assert "Confirm or decline by" in await _text(browser, world.instructor, booking_id)


async def test_before_the_session_it_can_be_moved_and_cancelled_and_after_its_start_confirmed(
    browser: Browser, world: World
) -> None:
    accepted: dict[str, Any] = {"status": BookingStatus.ACCEPTED}
    coming = await _text(browser, world.student, await paid(world, timedelta(days=2), **accepted))
    assert "The session begins on" in coming
    assert "The meeting opens on" in coming
    assert "Propose another time" in coming
    assert "Cancel the booking" in coming
    assert "The other side did not come" not in coming
    over = await _text(browser, world.student, await paid(world, -timedelta(hours=2), **accepted))
    assert "Your confirmation pays the instructor." in over
    assert "The other side did not come" in over
    assert "Cancel the booking" not in over
    now = await _text(browser, world.student, await paid(world, timedelta(minutes=5), **accepted))
    assert "Join the meeting" in now
    parked = await _text(browser, world.student, await paid(world, timedelta(days=5), needs_attention=True, **accepted))
    assert "Our staff is looking into this booking." in parked
    assert "Cancel the booking" not in parked


async def _reported(world: World, absent: AbsentParty | None) -> Any:
    booking_id = await paid(world, -timedelta(hours=2), status=BookingStatus.ACCEPTED)
    now = datetime.now(UTC)
    await world.add(
        SessionReport(
            booking_id=booking_id,
            absent=absent,
            reported_by=SignUpRole.INSTRUCTOR,
            reported_at=now,
            answer_until=now + timedelta(days=1),
        )
    )
    return booking_id


async def test_only_whom_a_report_is_about_can_answer_it(browser: Browser, world: World) -> None:
    absent = await _reported(world, AbsentParty.STUDENT)
    assert "You are reported absent." in await _text(browser, world.student, absent)
    assert "I was there" in await _text(browser, world.student, absent)
    assert "I was there" not in await _text(browser, world.instructor, absent)


async def test_an_objection_needs_a_reason_and_keeps_it(browser: Browser, world: World) -> None:
    booking_id = await _reported(world, None)
    browser.become(world.student)
    path = f"/bookings/{booking_id}"
    page = await browser.get(path)
    refused = await browser.submit(page, f"{path}/object", reason="")
    assert refused.status_code == 422
    assert "Fill in this field." in text_of(refused)
    # Temporal is down: what was typed stays, and the form keeps its key.
    refused = await browser.submit(page, f"{path}/object", reason="Nobody was there.")
    assert refused.status_code == 503
    assert "Nobody was there.</textarea>" in refused.text


async def test_a_cancellation_shows_its_quote_and_is_refused_for_another(browser: Browser, world: World) -> None:
    booking_id = await paid(world, timedelta(hours=10), status=BookingStatus.ACCEPTED)
    browser.become(world.student)
    path = f"/bookings/{booking_id}/cancel"
    page = await browser.get(path)
    assert "You get back US$50.00 You pay US$50.00" in text_of(page)
    refused = await browser.submit(page, path, refund="10000")
    assert refused.status_code == 409
    assert "What you get back has changed." in text_of(refused)


async def test_an_ended_booking_says_why_and_what_became_of_the_money(browser: Browser, world: World) -> None:
    booking_id = await paid(
        world, timedelta(days=2), status=BookingStatus.REJECTED, end_reason=EndReason.REJECTED, rejection_reason="Ill."
    )
    text = await _text(browser, world.student, booking_id)
    assert "The instructor declined the request." in text
    assert "The instructor's reason: Ill." in text
    assert "Cancel the booking" not in text


async def test_a_booking_that_was_not_paid_says_so_and_leads_to_the_time_again(browser: Browser, world: World) -> None:
    booking_id = await world.deleted_booking()
    browser.become(world.student)
    page = await browser.get(f"/bookings/{booking_id}")
    assert page.status_code == 410
    assert "Your bank declined the payment. You can try the same card again later." in text_of(page)
    assert "/book" in page.text


async def test_upcoming_bookings_are_the_open_ones(browser: Browser, world: World) -> None:
    upcoming = await paid(world, timedelta(days=2), status=BookingStatus.ACCEPTED)
    past = await paid(world, timedelta(days=3), status=BookingStatus.CANCELLED, end_reason=EndReason.CANCELLED)
    browser.become(world.student)
    for query, shown, hidden in (({}, upcoming, past), ({"past": "yes"}, past, upcoming)):
        page = await browser.get("/bookings", **query)
        assert f"/bookings/{shown}" in page.text
        assert f"/bookings/{hidden}" not in page.text


async def test_a_list_sends_as_many_statements_for_many_bookings_as_for_one(
    browser: Browser, world: World, engine: AsyncEngine
) -> None:
    counts = []
    for day in (2, 4):
        booking_id = await paid(world, timedelta(days=day), status=BookingStatus.ACCEPTED)
        await paid(world, timedelta(days=day + 1))
        browser.become(world.student)
        with noted(engine) as statements:
            await browser.get("/bookings")
            await browser.get(f"/bookings/{booking_id}")
            await browser.get(f"/bookings/{booking_id}/cancel")
            await browser.get(f"/bookings/{booking_id}/reschedule")
        counts.append(len(statements))
    assert counts[0] == counts[1]


async def test_before_the_button_a_student_sees_what_it_costs_and_whether_they_are_charged(
    browser: Browser, world: World
) -> None:
    browser.become(world.student)
    near, far = await world.slot(timedelta(days=2)), await world.slot(timedelta(days=21))
    page = await browser.get(f"/slots/{near}/book")
    assert page.status_code == 200
    assert "You pay US$100.00" in text_of(page)
    assert "The platform keeps US$20.00" in text_of(page)
    assert "The price is only put on hold now." in text_of(page)
    assert "You are charged now." in text_of(await browser.get(f"/slots/{far}/book"))
    # Another price than the one that was shown.
    refused = await browser.fill(f"/slots/{near}/book", amount_minor="9000")
    assert refused.status_code == 409
    assert "The price has changed." in text_of(refused)
    await world.booking(near)
    taken = await browser.get(f"/slots/{near}/book")
    assert taken.status_code == 409
    assert "Continue to payment" not in taken.text


async def test_an_account_is_changed_and_closed(browser: Browser, world: World) -> None:
    browser.become(world.student)
    page = await browser.get("/account")
    refused = await browser.submit(page, "/account", name="", language="de", time_zone="Nowhere")
    assert refused.status_code == 422
    answer = await browser.submit(page, "/account", name="Ada B", language="de", time_zone="Europe/Berlin")
    page = await browser.follow(answer)
    assert 'value="Ada B"' in page.text
    assert '<html lang="de">' in page.text
    refused = await browser.submit(page, "/account/close")
    assert refused.status_code == 422
    booking_id = await world.booking()
    refused = await browser.submit(page, "/account/close", sure="yes")
    assert refused.status_code == 409
    await world.delete(booking_id)
    closed = await browser.submit(page, "/account/close", sure="yes")
    assert closed.headers["location"] == "/"
    assert (await browser.get("/account")).headers["location"].startswith("/sign-in")
