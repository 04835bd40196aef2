"""Decisions refused because of their body, before an update is sent to Temporal."""

import httpx
import pytest

from tests.api.world import World, problem


@pytest.mark.parametrize("reason", ["", "   ", "x" * 1001, None, 5, "a\x00b"])
async def test_a_rejection_needs_a_reason_of_1_to_1000_characters(
    client: httpx.AsyncClient, world: World, reason: object
) -> None:
    booking_id = await world.booking()
    answer = await client.post(
        f"/v1/bookings/{booking_id}/reject", json={"reason": reason}, headers=world.instructor.headers
    )
    assert problem(answer) == (422, "request-invalid")


@pytest.mark.parametrize("absent", ["operator", "", None])
async def test_only_the_student_or_the_instructor_can_be_absent(
    client: httpx.AsyncClient, world: World, absent: object
) -> None:
    booking_id = await world.booking()
    answer = await client.post(
        f"/v1/bookings/{booking_id}/no-show", json={"absent": absent}, headers=world.student.headers
    )
    assert problem(answer) == (422, "request-invalid")


@pytest.mark.parametrize("body", [{"until": "2026-03-02T09:00:00"}, {"until": 5}, {}, {"until": "soon"}])
async def test_a_deadline_needs_a_time_with_an_offset(client: httpx.AsyncClient, world: World, body: object) -> None:
    booking_id = await world.booking()
    answer = await client.post(f"/v1/operator/bookings/{booking_id}/extend", json=body, headers=world.operator.headers)
    assert problem(answer) == (422, "request-invalid")


@pytest.mark.parametrize("amount", [0, -1, 1.5, "100", True, 2**63, None])
async def test_a_refund_needs_a_positive_integer_amount(
    client: httpx.AsyncClient, world: World, amount: object
) -> None:
    booking_id = await world.booking()
    answer = await client.post(
        f"/v1/operator/bookings/{booking_id}/refund", json={"amount_minor": amount}, headers=world.operator.headers
    )
    assert problem(answer) == (422, "request-invalid")


@pytest.mark.parametrize(
    ("currency", "amount_minor", "why"),
    [
        ("kwd", 1_235, "An amount in kwd must be a multiple of 10 minor units."),
        ("usd", 500_000_000, "5000000.00 USD is above the most that can be charged: 999999.99 USD."),
    ],
)
async def test_refund_of_an_open_booking_is_an_amount_that_stripe_takes(
    client: httpx.AsyncClient, world: World, currency: str, amount_minor: int, why: str
) -> None:
    booking_id = await world.booking(currency=currency)
    response = await client.post(
        f"/v1/operator/bookings/{booking_id}/refund",
        json={"amount_minor": amount_minor},
        headers=world.operator.headers,
    )
    assert problem(response) == (422, "amount-invalid")
    assert response.json()["detail"] == why
