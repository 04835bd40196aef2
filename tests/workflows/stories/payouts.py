"""Payouts, each followed until no more can happen to them."""

from functools import partial
from typing import Any

from models.domain.payouts import PayoutPhase
from models.domain.states import PayoutStatus
from tests.workflows.bank import DAY_SECONDS, UNTIL_SENT, bank_of
from tests.workflows.payout_steps import notify_payout, until_share
from tests.workflows.resets import Story, books, current_run, result_of, settled
from tests.workflows.saga import Booked, Saga


async def _payout(saga: Saga, booked: Booked, payout_id: str) -> Story:
    handle = await notify_payout(bank_of(booked), payout_id)
    result = await result_of(saga, handle.id)

    async def outcome() -> Any:
        return await books(saga, booked)

    notify = partial(notify_payout, bank_of(booked), payout_id)
    return Story(handle.id, result, [await current_run(saga, handle.id)], notify, outcome)


async def payout_arrived(saga: Saga) -> Story:
    booked = await settled(saga)
    bank = bank_of(booked)
    await bank.wait(UNTIL_SENT)
    payout = await bank.payout()
    await notify_payout(bank, payout.id)
    await until_share(booked, PayoutStatus.PROCESSING, payout.id)
    await bank.wait(2 * DAY_SECONDS)
    return await _payout(saga, booked, payout.id)


async def payout_returned_and_sent_again(saga: Saga) -> Story:
    booked = await settled(saga)
    bank = bank_of(booked)
    await bank.wait(UNTIL_SENT)
    lost = await bank.payout()
    await notify_payout(bank, lost.id)
    await until_share(booked, PayoutStatus.PROCESSING, lost.id)
    await bank.return_payout(lost.id)
    await bank.set_bank_account("btok_us_verified")
    await bank.wait(3 * DAY_SECONDS)
    again, _ = await bank.payouts()
    first = await _payout(saga, booked, again.id)
    assert (await _payout(saga, booked, lost.id)).result == PayoutPhase.FAILED
    return first
