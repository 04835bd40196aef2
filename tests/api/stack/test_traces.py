"""A booking is one trace, from the API's request to the mail, of spans without personal data and secrets."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import httpx
import pytest

from models.domain.actors import SignUpRole
from sandbox.browser.checkout_page import pay
from sandbox.demo.people import Person
from sandbox.stack.stack import Stack
from tests.collector import Collector, Span

_OFFERING = {"title": "Counterpoint", "price": {"amount_minor": 10_000, "currency": "usd"}, "duration_minutes": 30}


@dataclass(frozen=True)
class Booked:
    trace_id: str
    booking_id: str
    approval_trace_id: str
    secret: tuple[str, ...]
    """What no span may have."""


@pytest.fixture(scope="module")
def booked(stack: Stack, services_loop: asyncio.Runner) -> Booked:
    """A booking that was paid and approved."""
    return services_loop.run(_book(stack))


async def _book(stack: Stack) -> Booked:
    async with httpx.AsyncClient(base_url=stack.api_url, trust_env=False, timeout=30) as http:
        tutor = await Person.sign_up(http, SignUpRole.INSTRUCTOR, "Grace Lovelace", "UTC")
        student = await Person.sign_up(http, SignUpRole.STUDENT, "Ada Lovelace", "UTC")
        await tutor.complete_onboarding()
        offering = await tutor.call("POST", "/offerings", 201, _OFFERING)
        starts_at = (datetime.now(UTC) + timedelta(days=2)).replace(second=0, microsecond=0)
        slots = await tutor.call(
            "POST", f"/offerings/{offering['id']}/slots", 201, {"starts_at": starts_at.isoformat()}
        )
        # A caller's trace is not accepted: anything could be in it.
        foreign = {"traceparent": f"00-{uuid4().hex}-{uuid4().hex[:16]}-01", "baggage": "name=Lovelace"}
        credentials = {"Authorization": f"Bearer {student.token}", "Idempotency-Key": str(uuid4())}
        slot = {"slot_id": slots["data"][0]["id"]}
        made = await http.post("/v1/bookings", json=slot, headers=credentials | foreign | {"User-Agent": "Lovelace"})
        booking = made.json()
        await pay(booking["checkout_url"])
        await student.wait_until(booking["id"], payment__status="PENDING")
        approve = f"/v1/bookings/{booking['id']}/approve"
        approved = await http.post(approve, headers={"Authorization": f"Bearer {tutor.token}"})
        await http.get("/v1/offerings/Lovelace?email=Lovelace", headers=credentials)
    return Booked(
        trace_id=made.headers["X-Request-Id"],
        booking_id=booking["id"],
        approval_trace_id=approved.headers["X-Request-Id"],
        secret=(
            *("Lovelace", "@students.example", "a password", student.token, tutor.token),
            *(stack.stripe_key, stack.token_secret, stack.webhook_secret),
        ),
    )


def test_booking_is_one_trace(booked: Booked, collector: Collector) -> None:
    spans = collector.wait_for(booked.trace_id, lambda spans: "SendMail:approved" in _names(spans))
    (root,) = [span for span in spans if not span.parent_id]
    assert (root.service, root.name) == ("holdfast-api", "POST /v1/bookings")
    assert root.attributes["http.response.status_code"] == 201
    by_id = {span.id: span for span in spans}
    assert not [span.name for span in spans if span.parent_id and span.parent_id not in by_id]

    def path(span: Span) -> list[str]:
        return [*(path(by_id[span.parent_id]) if span.parent_id else []), span.name]

    paths = {" > ".join(path(span)) for span in spans}
    start = "POST /v1/bookings > StartUpdateWithStartWorkflow:Booking"
    accept = f"{start} > StartActivity:record_acceptance > RunActivity:record_acceptance"
    assert paths >= {
        "POST /v1/bookings > SELECT",
        f"{start} > RunWorkflow:Booking",
        f"{start} > HandleUpdate:open_checkout",
        f"{start} > StartActivity:reserve_slot > RunActivity:reserve_slot > INSERT",
        f"{start} > StartActivity:secure_payment > RunActivity:secure_payment > POST",
        f"{accept} > INSERT",
        f"{accept} > SendMail:approved > UPDATE",
    }


def test_call_to_stripe_has_its_request_id(booked: Booked, collector: Collector) -> None:
    spans = collector.wait_for(booked.trace_id, lambda spans: any("stripe.path" in span.attributes for span in spans))
    call = next(span for span in spans if span.attributes.get("stripe.path") == "/v1/checkout/sessions")
    assert call.attributes["stripe.request_id"].startswith("req_")
    assert (call.attributes["http.request.method"], call.attributes["http.response.status_code"]) == ("POST", 200)


def test_later_request_is_linked_to_the_booking_s_trace(booked: Booked, collector: Collector) -> None:
    spans = collector.wait_for(booked.trace_id, lambda spans: "HandleUpdate:approve" in _names(spans))
    (handled,) = [span for span in spans if span.name == "HandleUpdate:approve"]
    assert handled.links == (booked.approval_trace_id,)
    approval = collector.wait_for(booked.approval_trace_id, bool)
    (call,) = [span for span in approval if span.name == "StartWorkflowUpdate:approve"]
    assert call.attributes["temporalWorkflowID"] == f"booking-{booked.booking_id}"


def test_nothing_personal_and_no_secret_is_exported(booked: Booked, collector: Collector) -> None:
    collector.wait_for(booked.trace_id, lambda spans: "SendMail:approved" in _names(spans))
    exported = b"".join(collector.requests).lower()
    assert b"/v1/offerings/{offering_id}" in exported
    assert not [secret for secret in booked.secret if secret.lower().encode() in exported]


def _names(spans: Iterable[Span]) -> set[str]:
    return {span.name for span in spans}
