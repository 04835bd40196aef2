"""The transition table is complete: every transition in it is allowed, and no other."""

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


def test_every_record_has_a_transition_table() -> None:
    assert set(TRANSITIONS) == set(RECORDS)


@pytest.mark.parametrize(("record", "current", "to"), LEGAL)
def test_legal_transition_is_allowed(record: str, current: State | None, to: State) -> None:
    assert is_allowed(current, to)
    assert advance(current, to) is to


@pytest.mark.parametrize(("record", "current", "to"), ILLEGAL)
def test_illegal_transition_raises(record: str, current: State | None, to: State) -> None:
    assert not is_allowed(current, to)
    with pytest.raises(IllegalTransition, match=f"from {current or 'nothing'} to {to}"):
        advance(current, to)


@pytest.mark.parametrize("record", RECORDS)
def test_transitions_stay_within_the_records_states(record: str) -> None:
    for current, following in TRANSITIONS[record].items():
        assert current is None or isinstance(current, RECORDS[record])
        assert following
        assert all(isinstance(to, RECORDS[record]) for to in following)


@pytest.mark.parametrize("record", RECORDS)
def test_every_state_is_reachable(record: str) -> None:
    reached: set[State | None] = {None}
    while new := {to for state in reached for to in TRANSITIONS[record].get(state, ())} - reached:
        reached |= new
    assert reached == {None, *RECORDS[record]}


def test_only_open_bookings_hold_their_slot() -> None:
    transitions = TRANSITIONS["BookingRequest"]
    assert {status for status in BookingStatus if status in transitions} == HOLDS_SLOT


def test_failed_payment_is_final() -> None:
    assert PaymentStatus.FAILED not in TRANSITIONS["Payment"]
