import asyncio
import base64
import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import httpx
import pytest
import stripe
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel.ext.asyncio.session import AsyncSession
from temporalio.client import Client, WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Replayer

from activities.database import stripe_events
from api.http.temporal import Timeouts
from api.people.onboarding_client import OnboardingClient
from models.domain.actors import Role
from models.domain.errors import Declined, Retryable
from models.domain.ids import onboarding_workflow_id
from models.tables.bookings import BookingRequest
from models.tables.people import Instructor
from sandbox import seed
from tests.api.live.workers import AccountsFailing, Workers
from tests.api.stripe_events import account_event, send_connect
from tests.api.world import JSON, PUBLIC_URL, Person, World, add_instructor, add_student, audited, book, problem
from workflows.onboarding import OnboardingWorkflow

# The Stripe SDK's own use of httpx.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")

_PATIENCE_SECONDS = 20


@pytest.fixture
async def newcomer(engine: AsyncEngine) -> Person:
    """An instructor without an account."""
    return await add_instructor(engine)


async def ask(client: httpx.AsyncClient, instructor: Person) -> httpx.Response:
    return await client.post("/v1/instructors/me/onboarding-link", headers=instructor.headers)


async def payments(client: httpx.AsyncClient, instructor: Person) -> JSON:
    answer = await client.get("/v1/instructors/me", headers=instructor.headers)
    assert answer.status_code == 200, answer.text
    shown: JSON = answer.json()["payments"]
    return shown


async def until_shown(client: httpx.AsyncClient, instructor: Person, is_so: Callable[[JSON], bool]) -> JSON:
    async with asyncio.timeout(_PATIENCE_SECONDS):
        while True:
            shown = await payments(client, instructor)
            if is_so(shown):
                return shown
            await asyncio.sleep(0.05)


async def account_of(engine: AsyncEngine, instructor: Person) -> str | None:
    async with AsyncSession(engine) as session:
        return (await session.get_one(Instructor, instructor.id)).stripe_account_id


async def onboard(url: str) -> httpx.Response:
    """What a person does on Stripe's page."""
    async with httpx.AsyncClient(trust_env=False) as browser:
        return await browser.post(url)


@pytest.mark.usefixtures("worker")
async def test_first_link_creates_an_account_that_requests_transfers(
    client: httpx.AsyncClient, engine: AsyncEngine, newcomer: Person, stripe_client: stripe.StripeClient
) -> None:
    assert await payments(client, newcomer) == {
        "can_be_paid": False,
        "requirements": [],
        "disabled_reason": "onboarding_not_started",
        "balances": [],
    }
    answer = await ask(client, newcomer)
    assert answer.status_code == 201, answer.text
    assert answer.json()["url"].startswith("http")
    assert answer.json()["expires_at"].endswith("Z")
    account_id = await account_of(engine, newcomer)
    assert account_id is not None
    account = await stripe_client.v2.core.accounts.retrieve_async(account_id, {"include": ["defaults", "identity"]})
    assert (account.applied_configurations, account.dashboard) == (["recipient"], "express")
    assert account.metadata is not None
    assert account.metadata["instructor_id"] == str(newcomer.id)
    assert account.identity is not None
    assert account.identity.country == "us"
    assert account.defaults is not None
    assert account.defaults.responsibilities is not None
    assert account.defaults.responsibilities.requirements_collector == "stripe"
    older = await stripe_client.v1.accounts.retrieve_async(account_id)
    assert older.capabilities is not None
    assert older.capabilities.to_dict() == {"transfers": "inactive"}
    shown = await until_shown(client, newcomer, lambda payments: bool(payments["requirements"]))
    assert shown["can_be_paid"] is False
    assert "external_account" in shown["requirements"]
    assert shown["disabled_reason"] == "requirements_past_due"


@pytest.mark.usefixtures("worker")
async def test_link_is_not_in_the_history(client: httpx.AsyncClient, newcomer: Person, temporal: Client) -> None:
    link = (await ask(client, newcomer)).json()["url"]
    handle = temporal.get_workflow_handle(onboarding_workflow_id(newcomer.id))
    history = str([event async for event in handle.fetch_history_events()])
    assert "open_onboarding_link" in history
    assert link not in history


@pytest.mark.usefixtures("worker")
async def test_onboarding_page_returns_to_the_api(client: httpx.AsyncClient, newcomer: Person) -> None:
    link = (await ask(client, newcomer)).json()["url"]
    back = await onboard(link)
    assert back.headers["location"] == f"{PUBLIC_URL}/onboarding/return"
    again = await onboard(link)
    # A used link: the sandbox has forgotten where it would send the visitor.
    assert again.status_code in (303, 410)
    for page in ("return", "refresh"):
        assert (await client.get(f"/onboarding/{page}")).headers["content-type"].startswith("text/html")


@pytest.mark.usefixtures("worker")
async def test_each_link_is_new_for_the_same_account(
    client: httpx.AsyncClient, engine: AsyncEngine, newcomer: Person
) -> None:
    at_once = await asyncio.gather(*(ask(client, newcomer) for _ in range(4)))
    account_id = await account_of(engine, newcomer)
    later = await ask(client, newcomer)
    links = {answer.json()["url"] for answer in (*at_once, later)}
    assert len(links) == 5
    assert all(f"/{account_id}/" in link for link in links)


@pytest.mark.usefixtures("worker")
async def test_history_replays_without_personal_data(
    client: httpx.AsyncClient, temporal: Client, newcomer: Person
) -> None:
    await asyncio.gather(ask(client, newcomer), ask(client, newcomer))
    handle = temporal.get_workflow_handle(onboarding_workflow_id(newcomer.id))
    await handle.result()
    history = (await handle.fetch_history()).to_json()
    payloads = re.findall(r'"data": ?"([^"]+)"', history)
    text = " ".join(base64.b64decode(payload).decode() for payload in payloads)
    assert str(newcomer.id) in text
    for word in ("@", "Nadia"):
        assert word not in text
    replayer = Replayer(workflows=[OnboardingWorkflow], data_converter=pydantic_data_converter)
    await replayer.replay_workflow(WorkflowHistory.from_json("onboarding", json.loads(history)))


async def test_declined_account_is_a_problem(client: httpx.AsyncClient, workers: Workers, newcomer: Person) -> None:
    gateway = AccountsFailing(workers.stripe, Declined("country_unsupported"))
    async with workers.at_work(gateway):
        assert problem(await ask(client, newcomer)) == (409, "onboarding-refused")
        gateway.failure = None
        assert (await ask(client, newcomer)).status_code == 201


async def test_link_can_be_requested_again_when_stripe_does_not_answer(
    app: FastAPI, client: httpx.AsyncClient, temporal: Client, task_queue: str, workers: Workers, newcomer: Person
) -> None:
    patient = app.state.onboarding
    app.state.onboarding = OnboardingClient(temporal, task_queue, Timeouts(checkout=timedelta(seconds=1)))
    gateway = AccountsFailing(workers.stripe, Retryable("no connection"))
    async with workers.at_work(gateway):
        assert problem(await ask(client, newcomer)) == (503, "unavailable")
        gateway.failure = None
        app.state.onboarding = patient
        assert (await ask(client, newcomer)).status_code == 201


async def test_public_profile_has_only_name_and_time_zone(client: httpx.AsyncClient, newcomer: Person) -> None:
    shown = (await client.get(f"/v1/instructors/{newcomer.id}")).json()
    assert shown == {"id": str(newcomer.id), "name": "Nadia", "time_zone": "UTC"}
    unknown = "00000000-0000-4000-8000-000000000000"
    assert problem(await client.get(f"/v1/instructors/{unknown}")) == (404, "not-found")
    assert problem(await client.get("/v1/instructors/nadia")) == (404, "not-found")


@pytest.mark.usefixtures("worker")
async def test_instructor_can_be_booked_while_transfers_are_active(
    client: httpx.AsyncClient, engine: AsyncEngine, newcomer: Person, stripe_client: stripe.StripeClient
) -> None:
    offering_id = await seed.add_offering(engine, newcomer.id)
    starts_at = datetime.now(UTC) + timedelta(days=2)
    slot_id = await seed.add_slot(engine, offering_id, starts_at, starts_at + timedelta(hours=1))
    student = await add_student(engine)
    assert problem(await book(client, student, slot_id)) == (409, "instructor-not-payable")

    link = (await ask(client, newcomer)).json()["url"]
    assert problem(await book(client, student, slot_id)) == (409, "instructor-not-payable")
    await onboard(link)
    account_id = await account_of(engine, newcomer)
    assert account_id is not None
    # The sandbox knows no way to this app, so the test brings its event.
    assert (await send_connect(client, account_event(account_id))).status_code == 200
    shown = await until_shown(client, newcomer, lambda payments: payments["can_be_paid"])
    assert shown == {"can_be_paid": True, "requirements": [], "disabled_reason": None, "balances": []}
    assert (await book(client, student, slot_id)).status_code == 201

    await stripe_client.v1.accounts.update_async(account_id, {"capabilities": {"transfers": {"requested": False}}})
    for _ in range(2):
        response = await send_connect(client, account_event(account_id, "capability.updated"))
        assert response.status_code == 200
    shown = await until_shown(client, newcomer, lambda payments: not payments["can_be_paid"])
    assert shown["disabled_reason"] == "transfers_inactive"
    later = starts_at + timedelta(days=1)
    another = await seed.add_slot(engine, offering_id, later, later + timedelta(hours=1))
    assert problem(await book(client, student, another, key="another")) == (409, "instructor-not-payable")


async def test_event_without_a_worker_is_kept(
    client: httpx.AsyncClient, engine: AsyncEngine, newcomer: Person, workers: Workers
) -> None:
    async with workers.at_work():
        link = (await ask(client, newcomer)).json()["url"]
        await until_shown(client, newcomer, lambda payments: bool(payments["requirements"]))
    await onboard(link)
    assert (await send_connect(client, account_event(await account_of(engine, newcomer)))).status_code == 200
    assert (await payments(client, newcomer))["can_be_paid"] is False
    async with workers.at_work():
        await until_shown(client, newcomer, lambda payments: payments["can_be_paid"])


@pytest.mark.usefixtures("worker")
async def test_deleted_account_cannot_be_paid(
    client: httpx.AsyncClient, engine: AsyncEngine, world: World, stripe_client: stripe.StripeClient
) -> None:
    account_id = await account_of(engine, world.instructor)
    assert account_id is not None
    assert (await payments(client, world.instructor))["can_be_paid"] is True
    await stripe_client.v1.accounts.delete_async(account_id)
    assert (await send_connect(client, account_event(account_id))).status_code == 200
    shown = await until_shown(client, world.instructor, lambda payments: not payments["can_be_paid"])
    assert shown["disabled_reason"] == "account_gone"
    assert problem(await book(client, world.student, await world.slot())) == (409, "instructor-not-payable")


@pytest.mark.usefixtures("worker")
async def test_closed_account_is_replaced_and_stays_with_its_bookings(
    client: httpx.AsyncClient, engine: AsyncEngine, world: World, stripe_client: stripe.StripeClient
) -> None:
    closed = await account_of(engine, world.instructor)
    assert closed is not None
    booking_id = await world.booking(stripe_account_id=closed)
    await stripe_client.v1.accounts.delete_async(closed)

    links = [(await ask(client, world.instructor)) for _ in range(2)]
    assert [link.status_code for link in links] == [201, 201]
    account_id = await account_of(engine, world.instructor)
    assert account_id not in (None, closed)
    assert all(f"/{account_id}/" in link.json()["url"] for link in links)
    shown = await until_shown(client, world.instructor, lambda payments: bool(payments["requirements"]))
    assert (shown["can_be_paid"], shown["disabled_reason"]) == (False, "requirements_past_due")
    made = [event.detail for event in await audited(engine, world.instructor.id) if event.action.endswith("_made")]
    assert made == [{"account_id": account_id}]

    async with AsyncSession(engine) as session:
        assert (await session.get_one(BookingRequest, booking_id)).stripe_account_id == closed
        assert await stripe_events.instructor_of(session, closed) == world.instructor.id
        assert await stripe_events.instructor_of(session, "acct_of_somebody_else") is None
    await onboard(links[-1].json()["url"])
    for known in (closed, account_id):
        assert (await send_connect(client, account_event(known))).status_code == 200
    await until_shown(client, world.instructor, lambda payments: payments["can_be_paid"])


@pytest.mark.usefixtures("worker")
async def test_onboarding_is_in_the_audit_trail(
    client: httpx.AsyncClient, engine: AsyncEngine, newcomer: Person
) -> None:
    link = (await ask(client, newcomer)).json()["url"]
    await ask(client, newcomer)
    await until_shown(client, newcomer, lambda payments: bool(payments["requirements"]))
    events = await audited(engine, newcomer.id)
    made = events[0]
    assert [event.action for event in events].count("instructor.link_opened") == 2
    assert (made.action, made.actor_role, made.channel) == ("instructor.account_made", Role.PLATFORM, "workflow")
    assert made.detail == {"account_id": await account_of(engine, newcomer)}
    checked = [event for event in events if event.action == "instructor.account_checked"]
    assert checked
    assert all(event.actor_role is Role.PLATFORM and event.detail["transfers"] == "inactive" for event in checked)
    assert link not in str([event.detail for event in events])
