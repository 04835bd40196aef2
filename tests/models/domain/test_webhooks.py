"""Outgoing webhooks: which addresses are public, when a message is sent again, and how secrets are derived."""

import base64
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from models.domain.actors import Role
from models.domain.webhooks import (
    ACTION_OF,
    EVENT_OF,
    SECRET_OVERLAP,
    WebhookEvent,
    is_public,
    key_id,
    key_named,
    next_attempt,
    payload,
    signing_secret,
)

NOW = datetime(2026, 3, 2, 18, 30, tzinfo=UTC)
ID = UUID(int=1)


@pytest.mark.parametrize(
    "address",
    [
        "93.184.215.14",
        "8.8.8.8",
        "2606:2800:21f:cb07:6820:80da:af6b:8b2c",
        "::ffff:8.8.8.8",
        "2002:808:808::",  # 6to4 of 8.8.8.8
        "64:ff9b::808:808",  # NAT64 of 8.8.8.8
    ],
)
def test_public_address(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",  # a cloud's metadata
        "100.64.0.1",  # carrier-grade NAT
        "0.0.0.0",  # noqa: S104 - refused
        "224.0.0.1",
        "255.255.255.255",
        "::1",
        "::",
        "fe80::1%eth0",
        "fd00::1",
        "ff02::1",
        "::ffff:10.0.0.1",
        "::ffff:127.0.0.1",
        "2002:7f00:1::",  # 6to4 of 127.0.0.1
        "64:ff9b::a9fe:a9fe",  # NAT64 of 169.254.169.254
        "2001:0:53aa:64c:0:fbfe:80ff:fffe",  # Teredo
    ],
)
def test_address_that_is_not_public(address: str) -> None:
    assert not is_public(address)


def test_a_message_is_tried_ten_times_as_the_specification_says() -> None:
    """Standard Webhooks, "Deliverability and reliability"."""
    seconds, minutes, hours = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
    waits = [5 * seconds, 5 * minutes, 30 * minutes, *(each * hours for each in (2, 5, 10, 14, 20, 24))]
    assert [next_attempt(attempts, NOW) for attempts in range(1, 11)] == [*(NOW + wait for wait in waits), None]


def test_secrets_differ_by_endpoint_version_and_key() -> None:
    secrets = {
        signing_secret(key, endpoint, version)
        for key in ("a", "b")
        for endpoint in (ID, UUID(int=2))
        for version in (1, 2)
    }
    assert len(secrets) == 8
    assert signing_secret("a", ID, 1) in secrets
    assert len(base64.b64decode(next(iter(secrets)).removeprefix("whsec_"))) == 32


def test_the_previous_secret_signs_for_a_day() -> None:
    assert timedelta(days=1) == SECRET_OVERLAP


def test_key_is_found_by_its_id() -> None:
    assert len(key_id("old")) == 16  # It is stored.
    assert key_named(["new", "old"], key_id("old")) == "old"
    assert key_named(["new"], key_id("old")) is None


def test_each_event_reports_one_action() -> None:
    assert len(EVENT_OF) == len(ACTION_OF) == len(WebhookEvent)


@pytest.mark.parametrize(
    ("booking_id", "instructor_id", "about"),
    [(ID, None, {"booking_id": str(ID)}), (None, ID, {"instructor_id": str(ID)})],
)
def test_payload_names_what_it_is_about(
    booking_id: UUID | None, instructor_id: UUID | None, about: dict[str, str]
) -> None:
    detail = {"kept_minor": 10_000}
    body = payload(WebhookEvent.BOOKING_COMPLETED, NOW, booking_id, instructor_id, Role.STUDENT, detail)
    assert body == {
        "type": "booking.completed",
        "timestamp": "2026-03-02T18:30:00.000000Z",
        "data": about | {"by": "student"} | detail,
    }
