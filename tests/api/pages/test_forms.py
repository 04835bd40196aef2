"""A form that is refused, or that an error stops, loses nothing of what was typed, and says what to do."""

from datetime import timedelta

import pytest
from fastapi import FastAPI

from models.domain.states import BookingStatus
from tests.api.pages.browser import Browser, hidden, text_of
from tests.api.pages.paid_bookings import paid
from tests.api.world import World


async def test_a_field_that_was_emptied_stays_empty(browser: Browser, world: World) -> None:
    browser.become(world.instructor)
    path = f"/teaching/{world.offering_id}"
    page = await browser.get(path)
    assert 'value="Counterpoint"' in page.text
    refused = await browser.submit(
        page, path, title="", description="", amount="x", currency="usd", min_notice_minutes="60",
        buffer_before_minutes="0", buffer_after_minutes="0",
    )  # fmt: skip
    assert refused.status_code == 422
    assert 'name="title" type="text" value=""' in refused.text
    assert 'value="x"' in refused.text


async def test_a_deadline_that_was_refused_is_open_with_what_was_typed(browser: Browser, world: World) -> None:
    path = f"/operator/bookings/{await paid(world, timedelta(days=2), status=BookingStatus.ACCEPTED)}"
    browser.become(world.operator)
    page = await browser.get(path)
    refused = await browser.submit(page, f"{path}/extend", until="2100-01-01T10:00")
    assert refused.status_code == 503
    opened = refused.text.partition("<details open>")[2].partition("</details>")[0]
    assert 'value="2100-01-01T10:00"' in opened
    assert f'action="{path}/extend"' in opened


@pytest.mark.parametrize(
    ("path", "action", "typed", "said"),
    [
        ("/teaching/calendar", "/teaching/calendar", {"url": "ftp://x"}, "Enter an address that begins with https://"),
        ("/teaching/{offering}", "/teaching/{offering}/slots", {"day": "2100-01-01"}, "Fill in this field."),
        (
            "/teaching/{offering}",
            "/teaching/{offering}/slots",
            {"day": "2100-01-01", "time": "10:00", "weeks": "1", "without": "tomorrow"},
            "Enter days such as 2027-01-04, with a comma between them.",
        ),
        (
            "/teaching/{offering}",
            "/teaching/{offering}/slots/withdraw",
            {"first_day": "2100-01-02", "last_day": "2100-01-01"},
            "Choose a day that is not before the first one.",
        ),
        ("/account", "/account/close", {}, "Check the box to confirm."),
    ],
)
async def test_each_field_says_what_to_do(
    path: str, action: str, typed: dict[str, str], said: str, browser: Browser, world: World
) -> None:
    browser.become(world.instructor)
    page = await browser.get(path.format(offering=world.offering_id))
    refused = await browser.submit(page, action.format(offering=world.offering_id), **typed)
    assert refused.status_code == 422
    assert said in text_of(refused)
    for value in typed.values():
        assert f'value="{value}"' in refused.text


async def test_an_error_that_stops_a_form_sends_it_again_with_what_was_typed(
    browser: Browser, world: World, app: FastAPI
) -> None:
    path = f"/bookings/{await paid(world, timedelta(days=2))}"
    browser.become(world.instructor)
    page = await browser.get(path)
    database, app.state.database = app.state.database, None
    failed = await browser.submit(page, f"{path}/reject", reason='I am "away".')
    assert failed.status_code == 500
    again = hidden(failed, f"{path}/reject")
    assert again["reason"] == 'I am "away".'
    assert again["idempotency_key"] == hidden(page, f"{path}/reject")["idempotency_key"]
    app.state.database = database
    # The session goes on. Temporal is down.
    assert (await browser.submit(failed, f"{path}/reject")).status_code == 503


async def test_a_run_that_was_not_started_can_be_started_again(browser: Browser, world: World) -> None:
    browser.become(world.operator)
    page = await browser.get("/operator/reconciliations")
    failed = await browser.submit(page, "/operator/reconciliations")
    assert failed.status_code == 503
    assert "Send it again" in text_of(failed)


async def test_a_form_of_another_site_or_with_a_password_is_not_offered_again(
    browser: Browser, world: World, app: FastAPI
) -> None:
    browser.become(world.student)
    page = await browser.get("/account")
    app.state.database = None
    forged = await browser.client.post("/account/close", data={"sure": "yes", "form_token": "guessed"})
    assert forged.status_code >= 400
    assert "Send it again" not in text_of(forged)
    typed = {"current_password": "a password", "new_password": "another"}
    failed = await browser.submit(page, "/account/password", **typed)
    assert failed.status_code == 500
    assert "Send it again" not in text_of(failed)
    assert "go back, and send the same form again" in text_of(failed)
