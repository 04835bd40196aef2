"""What a payout contains, as its lines at Stripe say: each charge's share, and that the lines add up."""

from activities.stripe.payouts import StripePayouts
from models.domain.payouts import PayoutOrder
from tests.activities.stripe.conftest import Json, PaidInstructor


async def test_share_is_the_payment_less_its_reversal_and_with_the_refunded_fee(paid: PaidInstructor) -> None:
    refunded, untouched = await paid.charge(), await paid.charge(5_000, 1_000)
    await paid.refund(refunded, 2_500)
    payout = await paid.next_payout()
    state = await StripePayouts(paid.client).look_up_payout(
        PayoutOrder(payout_id=payout.id, account_id=paid.account_id)
    )
    shares = {line.charge_id: line.amount.amount_minor for line in state.lines}
    assert shares == {refunded.id: 6_000, untouched.id: 4_000}
    assert (state.amount.amount_minor, state.adds_up) == (10_000, True)


async def test_fee_that_is_refunded_alone_belongs_to_its_charge(paid: PaidInstructor) -> None:
    charge = await paid.charge()
    await paid.client.v1.application_fees.refunds.create_async(str(charge.application_fee), {"amount": 500})
    payout = await paid.next_payout()
    state = await StripePayouts(paid.client).look_up_payout(
        PayoutOrder(payout_id=payout.id, account_id=paid.account_id)
    )
    assert [(line.charge_id, line.amount.amount_minor) for line in state.lines] == [(charge.id, 8_500)]


async def test_payout_with_a_line_missing_does_not_add_up(paid: PaidInstructor) -> None:
    await paid.refund(await paid.charge(), 2_500)
    payout = await paid.next_payout()

    def without_the_refund(answer: Json) -> None:
        answer["data"] = [line for line in answer["data"] if line["type"] != "payment_refund"]

    order = PayoutOrder(payout_id=payout.id, account_id=paid.account_id)
    async with paid.rewritten("/v1/balance_transactions", without_the_refund) as client:
        assert (await StripePayouts(client).look_up_payout(order)).adds_up is False
