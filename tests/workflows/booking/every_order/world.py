"""One booking and everybody around it: the people, Stripe, the meeting and the clock, one move at a time.

The booking is the real workflow. Its activities are answered here, from what Stripe has and what the workflow recorded;
what a booking's rules say is nowhere in this file.
"""

from dataclasses import astuple, dataclass, field, fields
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from models.domain.endings import Ending
from models.domain.errors import Declined
from models.domain.messages import Decision, Extend, MoveResult, PaymentEvent, RecordEnding, Reschedule
from models.domain.payments import HoldPhase
from models.domain.policy import CompletionTimeoutPolicy, PaymentPlan
from models.domain.resets import RecordedBooking
from tests.workflows.booking.every_order.instance import Call, Instance, Order
from tests.workflows.booking.every_order.people import (
    HOUR,
    INSTRUCTOR,
    LONG_ENOUGH,
    OPERATOR,
    RECORDS,
    STARTS_AT,
    UPDATES,
    booked,
    judged,
)
from tests.workflows.booking.every_order.records import recorded
from tests.workflows.booking.every_order.stripe import Stripe
from workflows.booking.decisions import Decisions

BOOKED_AT, LAST_RETRY = STARTS_AT - 30 * HOUR, timedelta(days=5)
# What no later step depends on: ids that tell messages apart.
_NOT_STATE = {"renewal", "_seen_events", "operator_round", "decided_in", "carried_out", "resumed", "retry", "retried"}
_CAN_FAIL = {"secure_payment", "settle_payment", "release_payment"}


@dataclass
class World:
    plan: PaymentPlan
    on_timeout: CompletionTimeoutPolicy
    rules: type[Decisions] = Decisions
    now: datetime = BOOKED_AT
    stripe: Stripe = field(default_factory=Stripe)
    record: str | None = None
    """Who came, one of `RECORDS`. It is known from the session's start on."""
    said: dict[str, datetime] = field(default_factory=dict)
    """Every accepted message, and when it was accepted."""
    endings: list[RecordEnding] = field(default_factory=list)
    """As recorded."""
    calls_for_attention: int = 0
    runs: int = 0
    how: str = ""
    """How the last move was disturbed."""
    was_disturbed: bool = True
    """Whether there was anything to disturb in it."""
    _updates: list[tuple[str, str, Decision]] = field(default_factory=list)
    _carried_out: list[str] = field(default_factory=list)
    _events: int = 0
    _records: RecordedBooking | None = None
    """As they were at the last reset."""
    _parked_ending: Ending | None = None

    def __post_init__(self) -> None:
        terms = booked(self.plan, self.on_timeout)
        self.order = Order(
            terms=terms, booked_at=BOOKED_AT, checkout_deadline_at=BOOKED_AT + HOUR, rules=self.rules, made=[]
        )
        self._start()

    def _start(self) -> None:
        self.runs += 1
        self.instance = Instance("first" if self.runs == 1 else f"reset {self.runs}", self.now)
        self.instance.start(self.order, self.now)
        self.state = self.order.made[-1]
        self._answer_all()

    def close(self) -> None:
        self.instance.evict(self.now)

    @property
    def is_at_rest(self) -> bool:
        """It is closed, or needs an operator and says so."""
        return self.instance.is_finished or (self.state.is_parked and self.state.view.needs_attention)

    @property
    def key(self) -> object:
        """All that the future depends on. Two histories with the same key have the same future."""
        state = (getattr(self.state, each.name) for each in fields(self.state) if each.name not in _NOT_STATE)
        return (
            *state,
            astuple(self.state.renewal),
            self.now,
            self.record,
            self.state.retry is not None,
            tuple((id, p.phase, p.hold_ends_at, p.confirmed_at, p.decline_code) for id, p in self.stripe.pages.items()),
            tuple((call.name, call.message) for call in self.instance.calls),
            tuple(sorted(self.instance.timers.values())),
            self.instance.positions,
            frozenset(self.said.items()),
            self.instance.is_finished,
        )

    def moves(self) -> list[str]:
        """What may come next. A message may be refused, which `play` says."""
        moves = self.own_moves()
        if self.instance.is_finished:
            return moves
        if self.stripe.having(HoldPhase.OPEN):
            moves.append("pay")
        # A student can be asked for a late payment again and again.
        has_time = self.now < self.state.terms.ends_at + LAST_RETRY
        return moves + [move for move in UPDATES if has_time or move != "retry"]

    def own_moves(self) -> list[str]:
        """What happens if nobody does anything."""
        if self.instance.calls:
            return ["answer"]
        moment = self._next_moment()
        if moment is None or self.instance.is_finished:
            return []
        if self.now < self.state.terms.starts_at <= moment and self.state.is_accepted:
            return [f"wait: {record}" for record in RECORDS]
        return ["wait"]

    def disturbances(self) -> list[str]:
        """What few bookings meet. A disturbed move has no effect of its own if nothing was there to be disturbed."""
        if self.instance.calls:
            return []
        moves = ["reset to the start"]
        if self.instance.is_finished:
            return moves
        moves += ["reset to the last task", "cancel the workflow", "extend", "move an hour", "move ten days"]
        if self.stripe.having(HoldPhase.OPEN):
            moves += ["the card is declined", "pay with a short hold", "pay by bank", "pay by a slow bank"]
        if self.stripe.having(HoldPhase.HELD) and self.state.terms.plan is PaymentPlan.HOLD:
            moves += ["the hold lapses", "lost event, the hold lapses"]
        possible = [move for move in self.moves() if move not in UPDATES or not self._is_refused(move)]
        return moves + [f"{how}, {move}" for how in ("lost event", "failing step", "slow step") for move in possible]

    def play(self, move: str) -> bool:
        """Whether the move was possible. If not, nothing has changed."""
        how, _, move = move.rpartition(", ")
        self.how, self.was_disturbed = how, not how
        if move in UPDATES:
            # Most are refused: the rule is asked first, and then the workflow, which takes a hundred times as long.
            if self._is_refused(move) or not self._send(move, *UPDATES[move]):
                return False
        elif not self._play(move):
            return False
        self._answer_all()
        if move == "answer" or not how:
            assert not self.instance.calls
        return True

    def _is_refused(self, move: str) -> bool:
        return self.rules(self.state).refusal(UPDATES[move][1], self.now) is not None

    def _play(self, move: str) -> bool:
        match move:
            case "answer":
                pass
            case "pay" | "pay with a short hold" | "the card is declined" | "pay by bank" | "pay by a slow bank":
                self._pay(move)
            case "the hold lapses":
                self.stripe.having(HoldPhase.HELD)[0].phase = HoldPhase.GONE
                self._tell()
            case "reset to the start":
                self._records = recorded(self.state, self._parked_ending, self._carried_out)
                self.close()
                self._start()
                # Temporal sends again what came after the point of the reset.
                for id, name, decision in self._updates:
                    self.instance.update(name, decision, id, self.now)
                    self._answer_all()
            case "reset to the last task":
                self._records = recorded(self.state, self._parked_ending, self._carried_out)
                self.instance.reset(self.runs + 10, self.now)
            case "cancel the workflow":
                self.said[move] = self.now
                self.instance.cancel(self.now)
            case "extend":
                return self._send(move, "extend", Extend(actor=OPERATOR, until=self.state.latest_deadline))
            case "move an hour" | "move ten days":
                terms, by = self.state.terms, 10 * 24 * HOUR if move == "move ten days" else HOUR
                to = Reschedule(
                    actor=INSTRUCTOR,
                    proposal_id=UUID(int=13),
                    slot_id=UUID(int=14),
                    starts_at=terms.starts_at + by,
                    ends_at=terms.ends_at + by,
                    from_starts_at=terms.starts_at,
                )
                return self._send(move, "reschedule", to)
            case _:
                self._wait(move.partition(": ")[2])
        return True

    def _send(self, move: str, name: str, decision: Decision) -> bool:
        id = f"{len(self._updates)}"
        if not self.instance.update(name, decision, id, self.now):
            return False
        self._updates.append((id, name, decision))
        self.said.setdefault(move, self.now)
        return True

    def _tell(self) -> None:
        if self.how == "lost event":
            self.was_disturbed = True
            return
        self._events += 1
        event = PaymentEvent(event_id=f"evt_{self._events}", type="payment_intent.updated")
        self.instance.signal("payment_event", event, self.now)

    def _pay(self, move: str) -> None:
        page = self.stripe.having(HoldPhase.OPEN)[0]
        if move == "the card is declined":
            page.decline_code = "insufficient_funds"
        elif move.endswith("bank"):
            page.phase = HoldPhase.PROCESSING
            page.confirmed_at = self.now + (HOUR if move == "pay by bank" else timedelta(days=2))
        else:
            page.phase = HoldPhase.HELD
            if page.plan is PaymentPlan.HOLD:
                is_short = move == "pay with a short hold"
                page.hold_ends_at = STARTS_AT + 3 * HOUR if is_short else self.now + timedelta(days=7)
        self._tell()

    def _next_moment(self) -> datetime | None:
        """When something happens by itself, or a rule about the session's times begins to hold."""
        terms = self.state.terms
        due = [*self.instance.timers.values(), *self.stripe.moments()]
        if due and self.state.is_accepted:
            due += [terms.starts_at, terms.starts_at + LONG_ENOUGH, terms.ends_at]
        return min((moment for moment in due if moment > self.now), default=None)

    def _wait(self, record: str) -> None:
        moment = self._next_moment()
        assert moment is not None
        self.now, self.record = moment, record or self.record
        news = self.stripe.pass_time(self.now)
        for seq, due in sorted(self.instance.timers.items(), key=lambda timer: timer[1]):
            if due <= self.now and seq in self.instance.timers:
                self.instance.fire(seq, self.now)
                self._answer_all()
        if news:
            self._tell()

    def _answer_all(self) -> None:
        """No message comes before the answers, except while a slow step runs."""
        answered = 0
        while calls := [call for call in self.instance.calls if not self._is_slow(call)]:
            call, answered = calls[0], answered + 1
            assert answered < 100, f"{call.name} is called for ever"
            if self.how == "failing step" and call.name in _CAN_FAIL and not self.was_disturbed:
                self.was_disturbed = True
                self.instance.decline(call, "declined_for_good", self.now)
                continue
            try:
                result = self._result_of(call)
            except Declined as declined:
                self.instance.decline(call, declined.code, self.now)
            else:
                self.instance.answer(call, result, self.now)

    def _is_slow(self, call: Call) -> bool:
        is_slow = self.how == "slow step" and not call.is_local and call.name != "look_up_payment"
        self.was_disturbed |= is_slow
        return is_slow

    def _result_of(self, call: Call) -> Any:
        message = call.message
        match call.name:
            case "reserve_slot":
                return self._records if message.is_reset else True
            case "load_recorded_booking":
                return self._records
            case "secure_payment":
                return self.stripe.secure(message)
            case "look_up_payment":
                return self.stripe.look_up(message)
            case "settle_payment":
                return self.stripe.settle(message.ref, message.split.kept.amount_minor)
            case "release_payment":
                return self.stripe.release(message)
            case "judge_session":
                return judged(self.record or "nothing recorded", message.terms, message.at)
            case "move_slot":
                return MoveResult.MOVED
            case "record_attention":
                self.calls_for_attention += message.reason is not None
                self._parked_ending = message.ending or (self._parked_ending if message.reason is None else None)
                self._carried_out += [message.update_id] if message.reason is None and message.update_id else []
            case "record_ending":
                self.endings.append(message)
        return None
