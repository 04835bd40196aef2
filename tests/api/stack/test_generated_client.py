"""A client generated from the OpenAPI document works, from sign-up to a refund."""

import asyncio
import importlib
import json
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any
from uuid import uuid4

import httpx
import pytest

from sandbox.browser.checkout_page import pay
from sandbox.browser.onboarding_page import onboard
from sandbox.client import PACKAGE, generate
from sandbox.stack.stack import Stack
from tests.api.world import JSON

PASSWORD = "a password nobody guesses"  # noqa: S105 - it opens nothing
_TIMEOUT_SECONDS = 20

Runner = Callable[[Any], Any]


@dataclass(frozen=True)
class Client:
    """The generated package. `call` takes the operation ids of the document."""

    package: ModuleType
    modules: dict[str, ModuleType]
    base_url: str
    token: str | None = None

    def model(self, name: str, value: JSON) -> Any:
        return getattr(self.package.models, name).from_dict(value)

    def call(self, operation: str, expect: str, **arguments: Any) -> Any:
        """The parsed response, which must be of the model `expect`."""
        kind = self.package.AuthenticatedClient if self.token else self.package.Client
        credentials = {"token": self.token} if self.token else {}
        timeout = httpx.Timeout(30)
        with kind(base_url=self.base_url, timeout=timeout, raise_on_unexpected_status=True, **credentials) as client:
            answer = self.modules[operation].sync(client=client, **arguments)
        assert type(answer).__name__ == expect, answer
        return answer

    def signed_up(self, role: str) -> "Client":
        known = {"email": f"{uuid4()}@{role}s.example", "password": PASSWORD}
        wanted = known | {"name": "Ada Byron", "role": role, "time_zone": "Europe/London"}
        self.call("signUp", "PersonalAccount", body=self.model("SignUp", wanted))
        token = self.call("signIn", "Token", body=self.model("SignIn", known))
        return Client(self.package, self.modules, self.base_url, token.access_token)


def operations(document: JSON) -> set[str]:
    return {operation["operationId"] for methods in document["paths"].values() for operation in methods.values()}


def snake(name: str) -> str:
    return re.sub("([A-Z])", r"_\1", name).lower()


@pytest.fixture(scope="module")
def document(stack: Stack) -> JSON:
    document: JSON = httpx.get(f"{stack.api_url}/v1/openapi.json").raise_for_status().json()
    return document


@pytest.fixture(scope="module")
def generated(document: JSON, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The path of the package. Any warning of the generator fails, such as one about an omitted operation."""
    place = tmp_path_factory.mktemp("generated")
    generate(document, place)
    assert (place / "pyproject.toml").exists(), "pip cannot install it"
    sys.path.insert(0, str(place))
    try:
        yield place / PACKAGE
    finally:
        sys.path.remove(str(place))


@pytest.fixture(scope="module")
def client(stack: Stack, document: JSON, generated: Path) -> Client:
    files = {path.stem: path for path in (generated / "api").glob("*/*.py") if path.stem != "__init__"}
    modules = {
        name: importlib.import_module(f"{PACKAGE}.api.{files[snake(name)].parent.name}.{snake(name)}")
        for name in operations(document)
    }
    return Client(importlib.import_module(PACKAGE), modules, stack.api_url)


def test_generated_client_has_every_operation(document: JSON, generated: Path) -> None:
    made = [path.stem for path in (generated / "api").glob("*/*.py") if path.stem != "__init__"]
    assert sorted(made) == sorted(map(snake, operations(document)))


def test_generated_client_has_every_schema(document: JSON, client: Client) -> None:
    for name, shape in document["components"]["schemas"].items():
        model = getattr(client.package.models, name)
        for example in shape.get("examples", ()):
            # It adds default values, and formats UTC as Python does.
            back = json.loads(json.dumps(model.from_dict(example).to_dict()).replace('+00:00"', 'Z"'))
            assert back | example == back, name


def bookable(client: Client, services_loop: asyncio.Runner) -> Client:
    """A new instructor who can be paid."""
    instructor = client.signed_up("instructor")
    link = instructor.call("createOnboardingLink", "OnboardingLink")
    services_loop.run(onboard(link.url))
    eventually(
        lambda: instructor.call("getOwnInstructorProfile", "OwnInstructorProfile"),
        lambda shown: shown.payments.can_be_paid,
    )
    return instructor


def test_generated_client_books_approves_and_cancels(client: Client, services_loop: asyncio.Runner) -> None:
    instructor, student = bookable(client, services_loop), client.signed_up("student")
    profile = instructor.call("getOwnInstructorProfile", "OwnInstructorProfile")

    price = {"amount_minor": 10_000, "currency": "usd"}
    wanted = {"title": "Counterpoint", "price": price, "duration_minutes": 60, "cancellation": "flexible"}
    offering = instructor.call("createOffering", "Offering", body=client.model("NewOffering", wanted))
    starts_at = (datetime.now(UTC) + timedelta(days=3)).replace(second=0, microsecond=0)
    slots = client.model("NewSlots", {"starts_at": starts_at.isoformat()})
    instructor.call("createSlots", "SlotsCreated", offering_id=offering.id, body=slots)

    [listed] = client.call("listOfferings", "OfferingPage", instructor_id=profile.id).data
    assert (listed.id, listed.price.total.amount_minor) == (offering.id, 10_000)
    [slot] = client.call("listSlots", "SlotPage", offering_id=offering.id).data
    assert slot.starts_at == starts_at

    new_booking = client.model("NewBooking", {"slot_id": str(slot.id)})
    booked = student.call("createBooking", "BookingCreated", body=new_booking, idempotency_key="a lesson")
    services_loop.run(pay(booked.checkout_url))
    booking = eventually(
        lambda: student.call("getBooking", "Booking", booking_id=booked.id), lambda shown: shown.payment is not None
    )
    assert (booking.status, booking.payment.status) == ("PENDING", "PENDING")
    assert instructor.call("approveBooking", "Booking", booking_id=booked.id).status == "ACCEPTED"
    quote = student.call("quoteCancellation", "CancellationQuote", booking_id=booked.id)
    assert quote.refund.amount_minor == 10_000
    cancelled = student.call("cancelBooking", "Booking", booking_id=booked.id)
    assert (cancelled.status, cancelled.payment.returned.amount_minor) == ("CANCELLED", 10_000)
    assert [shown.id for shown in student.call("listBookings", "BookingPage").data] == [booked.id]


def test_generated_client_parses_problems(client: Client) -> None:
    student = client.signed_up("student")
    nothing = client.model("NewBooking", {"slot_id": str(uuid4())})
    refused = student.call("createBooking", "Problem", body=nothing, idempotency_key="a lesson")
    assert (refused.status, refused.type_) == (404, "urn:holdfast:problem:not-found")


def eventually(look: Callable[[], Any], is_so: Callable[[Any], bool]) -> Any:
    """Poll until `is_so`: the effects of a webhook arrive a moment later."""
    deadline = datetime.now(UTC) + timedelta(seconds=_TIMEOUT_SECONDS)
    while not is_so(seen := look()):
        assert datetime.now(UTC) < deadline, seen
    return seen
