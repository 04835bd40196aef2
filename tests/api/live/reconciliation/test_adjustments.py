"""An operator settles a drift: previewed, posted with a reason, and followed by statements and tax figures."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession
from temporalio.client import Client

from models.domain.ids import workflow_id
from models.domain.ledger import Account
from models.tables.audit import AuditEvent
from models.tables.payments import InstructorPayout, Payment
from tests.api.live.journey import order
from tests.api.live.reconciliation.steps import approved, balances, booked, settled, shown, terminate, until, usd
from tests.api.live.reconciliation.stripe_side import DAY_SECONDS, StripeSide
from tests.api.world import JSON, problem

# The Stripe SDK's own use of httpx.
pytestmark = [
    pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning"),
    pytest.mark.usefixtures("worker"),
]


async def _return_fee(stripe_side: StripeSide, booking_id: str, amount_minor: int) -> None:
    """In Stripe's dashboard, on its own."""
    charge = await _charge(stripe_side, booking_id)
    await stripe_side.stripe.v1.application_fees.refunds.create_async(
        str(charge.application_fee), {"amount": amount_minor}
    )


async def _reverse_share(stripe_side: StripeSide, booking_id: str, amount_minor: int) -> None:
    charge = await _charge(stripe_side, booking_id)
    await stripe_side.stripe.v1.transfers.reversals.create_async(str(charge.transfer), {"amount": amount_minor})


async def _charge(stripe_side: StripeSide, booking_id: str) -> Any:
    intent = await stripe_side.intent(booking_id)
    return await stripe_side.stripe.v1.charges.retrieve_async(str(intent.latest_charge))


async def _drift(stripe_side: StripeSide, booking_id: str) -> str:
    """An open drift of the booking, as a reconciliation found it."""
    await stripe_side.deliver()
    assert (await stripe_side.reconcile())["drifts"]
    drifts = await stripe_side.drifts(open="true")
    return next(str(each["id"]) for each in drifts if each["booking_id"] == booking_id)


async def _adjust(stripe_side: StripeSide, booking_id: str, drift_id: str, **more: bool) -> Any:
    body: JSON = {"drift_id": drift_id, "reason": "As agreed by phone.", **more}
    return await order(stripe_side.client, stripe_side.world.operator, booking_id, "adjust", body)


async def _adjust_drift(stripe_side: StripeSide, drift_id: str, **more: bool) -> Any:
    body: JSON = {"reason": "As agreed by phone.", **more}
    path = f"/v1/operator/drifts/{drift_id}/adjust"
    return await stripe_side.client.post(path, json=body, headers=stripe_side.world.operator.headers)


async def _drift_of_balance(stripe_side: StripeSide) -> str:
    assert (await stripe_side.reconcile())["drifts"]
    [drift] = [each for each in await stripe_side.drifts(open="true") if each["kind"] == "balance"]
    return str(drift["id"])


async def _year(stripe_side: StripeSide, path: str, **headers: str) -> Any:
    answer = await stripe_side.client.get(f"/v1/{path}/{datetime.now(UTC).year}", headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.json()["data"][0]


async def test_fee_returned_alone_is_adjusted(stripe_side: StripeSide) -> None:
    booking_id = await settled(stripe_side)
    await _return_fee(stripe_side, booking_id, 1_000)
    drift_id = await _drift(stripe_side, booking_id)
    before = await balances(stripe_side, booking_id)
    preview = await _adjust(stripe_side, booking_id, drift_id, preview=True)
    assert preview.status_code == 200, preview.text
    assert preview.json()["is_posted"] is False
    assert await balances(stripe_side, booking_id) == before

    posted = await _adjust(stripe_side, booking_id, drift_id)
    assert posted.status_code == 200, posted.text
    assert posted.json() == preview.json() | {"is_posted": True}
    assert {line["account"]: line["amount"] for line in posted.json()["lines"]} == {
        "stripe_balance": usd(-1_000),
        "connected_balance": usd(1_000),
        "instructor_payable": usd(-1_000),
        "platform_revenue": usd(1_000),
    }
    assert len(posted.json()["drift_ids"]) == 2
    assert -(await balances(stripe_side, booking_id))[Account.INSTRUCTOR_PAYABLE] == 9_000
    seen = (await shown(stripe_side, booking_id)).json()
    assert (seen["needs_attention"], seen["session"]["instructor_payout"]) == (False, usd(9_000))
    async with AsyncSession(stripe_side.world.engine) as session:
        payout = (await session.exec(select(InstructorPayout))).one()
        payment = await session.get_one(Payment, UUID(booking_id))
        actions = select(AuditEvent.action, AuditEvent.actor_id).where(
            col(AuditEvent.booking_id) == UUID(booking_id), col(AuditEvent.action).like("booking.adjust%")
        )
        assert set(await session.exec(actions)) == {
            ("booking.adjustment_reason_kept", stripe_side.world.operator.id),
            ("booking.adjusted", stripe_side.world.operator.id),
        }
    assert (payout.amount_minor, payment.platform_fee_minor, payment.status) == (9_000, 1_000, "CAPTURED")
    assert (await stripe_side.reconcile())["drifts"] == 0

    statement = await _year(stripe_side, "instructors/me/statements", **stripe_side.world.instructor.headers)
    assert (statement["total"]["fees"], statement["total"]["net"]) == (usd(1_000), usd(9_000))
    filed = await _year(stripe_side, "operator/reports/tax", **stripe_side.world.operator.headers)
    assert (filed["data"][0]["total"]["fees"], filed["data"][0]["total"]["net"]) == (usd(1_000), usd(9_000))


async def test_payout_of_a_fully_refunded_booking_is_followed(stripe_side: StripeSide) -> None:
    """Most of the share was reversed alone; then all was refunded at the platform's cost."""
    booking_id = await settled(stripe_side)
    await _reverse_share(stripe_side, booking_id, 7_000)
    assert (await _adjust(stripe_side, booking_id, await _drift(stripe_side, booking_id))).status_code == 200
    intent = await stripe_side.intent(booking_id)
    await stripe_side.stripe.v1.refunds.create_async({"payment_intent": intent.id})
    await stripe_side.wait(5 * DAY_SECONDS)
    await stripe_side.deliver()
    await until(stripe_side, booking_id, lambda shown: shown["payout"]["status"] == "PAID")
    seen = (await shown(stripe_side, booking_id)).json()
    assert (seen["payment"]["status"], seen["payout"]["amount"]) == ("REFUNDED", usd(1_000))
    assert Account.INSTRUCTOR_PAYABLE not in await balances(stripe_side, booking_id)
    assert (await stripe_side.reconcile())["drifts"] == 0


async def test_share_reversed_alone_is_adjusted(stripe_side: StripeSide) -> None:
    booking_id = await settled(stripe_side)
    await _reverse_share(stripe_side, booking_id, 8_000)
    drift_id = await _drift(stripe_side, booking_id)
    assert (await _adjust(stripe_side, booking_id, drift_id)).status_code == 200
    assert Account.INSTRUCTOR_PAYABLE not in await balances(stripe_side, booking_id)
    assert (await stripe_side.reconcile())["drifts"] == 0
    async with AsyncSession(stripe_side.world.engine) as session:
        assert (await session.exec(select(InstructorPayout.status))).one() == "REVERSED"


async def test_adjustment_is_refused_with_what_is_missing(stripe_side: StripeSide) -> None:
    booking_id, open_booking_id = await settled(stripe_side), await approved(stripe_side)
    await _return_fee(stripe_side, booking_id, 1_000)
    drift_id = await _drift(stripe_side, booking_id)
    for id, drift in ((open_booking_id, drift_id), (booking_id, str(uuid4()))):
        assert problem(await _adjust(stripe_side, id, drift)) == (409, "not-possible-now")
    assert (await _adjust(stripe_side, booking_id, drift_id)).status_code == 200
    again = await _adjust(stripe_side, booking_id, drift_id)
    assert problem(again) == (409, "not-possible-now")
    assert "not an open one" in again.json()["detail"]
    without_reason = await order(
        stripe_side.client, stripe_side.world.operator, booking_id, "adjust", {"drift_id": drift_id}
    )
    assert problem(without_reason) == (422, "request-invalid")


async def test_failed_refund_that_was_made_again_in_the_dashboard_is_adjusted(stripe_side: StripeSide) -> None:
    """Stripe has all of the charge to refund, and the ledger nothing: the student is owed it."""
    booking_id, operator = await settled(stripe_side), stripe_side.world.operator
    assert (await order(stripe_side.client, operator, booking_id, "refund", {"amount_minor": 10_000})).is_success
    [refund] = (await shown(stripe_side, booking_id)).json()["refunds"]
    await stripe_side.order(f"/refunds/{refund['stripe_refund_id']}/fail", {})
    await stripe_side.deliver()
    await until(stripe_side, booking_id, lambda shown: "is owed" in (shown["attention_reason"] or ""))
    await stripe_side.stripe.v1.refunds.create_async({"payment_intent": (await stripe_side.intent(booking_id)).id})
    posted = await _adjust(stripe_side, booking_id, await _drift(stripe_side, booking_id))
    assert posted.status_code == 200, posted.text
    assert {line["account"]: line["amount"] for line in posted.json()["lines"]} == {
        "stripe_balance": usd(-10_000),
        "refunds": usd(10_000),
    }
    assert (await shown(stripe_side, booking_id)).json()["needs_attention"] is False
    again = await order(stripe_side.client, operator, booking_id, "retry")
    assert problem(again) == (409, "not-possible-now")
    assert "owed nothing" in again.json()["detail"]
    assert (await stripe_side.reconcile())["drifts"] == 0


async def test_balance_that_no_booking_explains_is_adjusted(stripe_side: StripeSide) -> None:
    """Money transferred by hand, taken back by hand, and brought by another program's charge."""
    await settled(stripe_side)
    await stripe_side.wait(5 * DAY_SECONDS)
    await stripe_side.deliver()
    api, account_id = stripe_side.stripe.v1, stripe_side.account_id
    transfer = await api.transfers.create_async({"amount": 900, "currency": "usd", "destination": account_id})
    drift_id = await _drift_of_balance(stripe_side)
    preview = await _adjust_drift(stripe_side, drift_id, preview=True)
    assert (preview.status_code, preview.json()["is_posted"]) == (200, False)
    by_hand = {"connected_balance": 900, "instructor_payable": -900, "stripe_balance": -900, "platform_losses": 900}
    assert _lines(preview) == by_hand
    posted = await _adjust_drift(stripe_side, drift_id)
    assert posted.json() == preview.json() | {"is_posted": True}
    assert (posted.json()["booking_id"], posted.json()["instructor_id"]) == (None, str(stripe_side.world.instructor.id))
    assert (await stripe_side.reconcile())["drifts"] == 0
    assert problem(await _adjust_drift(stripe_side, drift_id)) == (409, "not-possible-now")

    await api.transfers.reversals.create_async(transfer.id, {"amount": 300})
    back = await _adjust_drift(stripe_side, await _drift_of_balance(stripe_side))
    assert _lines(back) == {account: -minor // 3 for account, minor in by_hand.items()}

    await _charge_by_another_program(stripe_side, 5_000, 1_000)
    earned = await _adjust_drift(stripe_side, await _drift_of_balance(stripe_side))
    assert _lines(earned) == {"connected_balance": 4_000, "instructor_payable": -4_000}
    assert (await stripe_side.reconcile())["drifts"] == 0

    statement = await _year(stripe_side, "instructors/me/statements", **stripe_side.world.instructor.headers)
    total = statement["total"]
    assert (total["gross"], total["borne_by_platform"], total["net"]) == (usd(10_000), usd(600), usd(12_600))
    async with AsyncSession(stripe_side.world.engine) as session:
        actions = select(AuditEvent.action).where(
            col(AuditEvent.subject_id) == stripe_side.world.instructor.id,
            col(AuditEvent.action).in_(("instructor.balance_adjusted", "instructor.adjustment_reason_kept")),
        )
        # The refused one had its reason kept, too.
        assert sorted(await session.exec(actions)) == [
            *["instructor.adjustment_reason_kept"] * 4,
            *["instructor.balance_adjusted"] * 3,
        ]


async def test_balance_is_adjusted_after_its_bookings_and_as_it_was_found(stripe_side: StripeSide) -> None:
    booking_id = await settled(stripe_side)
    await _return_fee(stripe_side, booking_id, 1_000)
    await _charge_by_another_program(stripe_side, 5_000, 1_000)
    of_booking = await _drift(stripe_side, booking_id)
    of_balance = await _drift_of_balance(stripe_side)
    early = await _adjust_drift(stripe_side, of_balance)
    assert problem(early) == (409, "not-possible-now")
    assert "bookings first" in early.json()["detail"]
    of_fee = await _adjust_drift(stripe_side, of_booking)
    assert (of_fee.status_code, of_fee.json()["booking_id"]) == (200, booking_id)
    changed = await _adjust_drift(stripe_side, of_balance)
    assert problem(changed) == (409, "not-possible-now")
    assert "another amount" in changed.json()["detail"]
    assert _lines(await _adjust_drift(stripe_side, await _drift_of_balance(stripe_side))) == {
        "connected_balance": 4_000,
        "instructor_payable": -4_000,
    }
    assert (await stripe_side.reconcile())["drifts"] == 0


async def test_drift_of_a_deleted_booking_is_adjusted(stripe_side: StripeSide, temporal: Client) -> None:
    """Its payment had failed, as its record says, and money has moved all the same."""
    booking_id: str = (await booked(stripe_side))["id"]
    await terminate(temporal, workflow_id(UUID(booking_id)))
    await stripe_side.reconcile()
    student = stripe_side.world.student
    assert problem(await shown(stripe_side, booking_id, student)) == (410, "booking-deleted")
    charge_id = await _charge_by_another_program(stripe_side, 5_000, 1_000)
    async with AsyncSession(stripe_side.world.engine) as session:
        payment = await session.get_one(Payment, UUID(booking_id))
        payment.charge_id = charge_id
        session.add(payment)
        await session.commit()
    drift_id = await _drift(stripe_side, booking_id)
    assert problem(await _adjust(stripe_side, booking_id, drift_id)) == (404, "not-found")
    posted = await _adjust_drift(stripe_side, drift_id)
    assert posted.status_code == 200, posted.text
    assert _lines(posted)["connected_balance"] == 4_000
    assert (await balances(stripe_side, booking_id))[Account.CONNECTED_BALANCE] == 4_000
    assert (await stripe_side.reconcile())["drifts"] == 0


def _lines(answer: Any) -> dict[str, int]:
    assert answer.status_code == 200, answer.text
    return {line["account"]: line["amount"]["amount_minor"] for line in answer.json()["lines"]}


async def _charge_by_another_program(stripe_side: StripeSide, amount_minor: int, fee_minor: int) -> str:
    """A destination charge for the same account. Returns the charge's id."""
    intent = await stripe_side.stripe.v1.payment_intents.create_async(
        {
            "amount": amount_minor,
            "currency": "usd",
            "payment_method": "pm_card_visa",
            "automatic_payment_methods": {"enabled": True, "allow_redirects": "never"},
            "confirm": True,
            "application_fee_amount": fee_minor,
            "transfer_data": {"destination": stripe_side.account_id},
        }
    )
    return str(intent.latest_charge)
