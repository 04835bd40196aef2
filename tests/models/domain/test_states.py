"""The table of states is complete: what it has is allowed, and nothing else is."""

from itertools import product

import pytest

from models.domain.states import (
    HOLDS_SLOT,
    TRANSITIONS,
    BookingStatus,
    DisputeStatus,
    IllegalTransition,
    PaymentStatus,
    PayoutStatus,
    RefundStatus,
    SessionStatus,
    State,
    advance,
    is_allowed,
)

RECORDS: dict[str, type[State]] = {
    "BookingRequest": BookingStatus,
    "LiveSession": SessionStatus,
    "Payment": PaymentStatus,
    "InstructorPayout": PayoutStatus,
    "Dispute": DisputeStatus,
    "Refund": RefundStatus,
}
EVERY_PAIR = [
    (record, current, to) for record, states in RECORDS.items() for current, to in product([None, *states], states)
]
LEGAL = [(record, current, to) for record, current, to in EVERY_PAIR if to in TRANSITIONS[record].get(current, ())]
ILLEGAL = [pair for pair in EVERY_PAIR if pair not in LEGAL]


def test_every_record_has_its_table() -> None:
    assert set(TRANSITIONS) == set(RECORDS)


@pytest.mark.parametrize(("record", "current", "to"), LEGAL)
def test_a_move_that_the_table_has_is_made(record: str, current: State | None, to: State) -> None:
    assert is_allowed(current, to)
    assert advance(current, to) is to


@pytest.mark.parametrize(("record", "current", "to"), ILLEGAL)
def test_a_move_that_the_table_does_not_have_raises(record: str, current: State | None, to: State) -> None:
    assert not is_allowed(current, to)
    with pytest.raises(IllegalTransition, match=f"from {current or 'nothing'} to {to}"):
        advance(current, to)


@pytest.mark.parametrize("record", RECORDS)
def test_a_records_moves_stay_among_its_own_states(record: str) -> None:
    for current, following in TRANSITIONS[record].items():
        assert current is None or isinstance(current, RECORDS[record])
        assert following
        assert all(isinstance(to, RECORDS[record]) for to in following)


@pytest.mark.parametrize("record", RECORDS)
def test_every_state_can_be_reached(record: str) -> None:
    reached: set[State | None] = {None}
    while new := {to for state in reached for to in TRANSITIONS[record].get(state, ())} - reached:
        reached |= new
    assert reached == {None, *RECORDS[record]}


def test_a_booking_that_holds_its_slot_is_open_and_any_other_is_closed() -> None:
    moves = TRANSITIONS["BookingRequest"]
    assert {status for status in BookingStatus if status in moves} == HOLDS_SLOT


def test_nobody_is_paid_out_of_a_payment_that_failed() -> None:
    assert PaymentStatus.FAILED not in TRANSITIONS["Payment"]
