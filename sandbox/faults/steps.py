"""The steps of every journey: how a booking gets to each, what makes it happen, and the message that has its effect.

The effect of a step is a request to Stripe or to the API, a transaction's commit, or a mail.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

from models.domain import ids
from models.domain.notifications import NotificationKind
from sandbox.demo.marketplace import SESSION_LENGTH
from sandbox.demo.people import Json
from sandbox.demo.steps import IN_TWO_DAYS, IN_WEEKS, TOMORROW, wait_until
from sandbox.faults import finish
from sandbox.faults.plays import Answer, Play, Stance
from sandbox.faults.protocols import mentions
from sandbox.faults.stack import Part

SOON: Final = timedelta(seconds=30)
"""Until then, a dozen bookings are made, paid and approved at the same time."""
_SHORTLY: Final = timedelta(seconds=8)
_REASON: Final[Json] = {"reason": "I am travelling that day."}
_HALF: Final[Json] = {"amount_minor": 5_000, "reason": "Half of the lesson was lost to a broken microphone."}
_QUARTER: Final[Json] = {"amount_minor": 2_500, "reason": "A quarter of an hour was lost."}

Act = Callable[[Play], Awaitable[object]]


@dataclass(frozen=True)
class Step:
    name: str
    part: Part
    """The server that takes the message."""
    marks: Callable[[Play], tuple[bytes, ...]]
    """The message is the one that contains all of them."""
    lead: Act
    """Gets the booking to just before the step."""
    trigger: Act
    otherwise: Act | None = None
    """What its person decides instead. `None`: the step follows from no request, so people have no choice."""
    starts_in: timedelta = IN_TWO_DAYS
    moves_clock: bool = False
    """Stripe's clock is moved on for all bookings of the stack."""
    then: Act | None = None
    """What else its people do or wait for, once all is well again."""

    @property
    def stances(self) -> tuple[Stance, ...]:
        return tuple(Stance) if self.otherwise else (Stance.REPEATS,)

    def catches(self, play: Play) -> Callable[[bytes], bool]:
        marks, id = self.marks(play), play.booking_id
        is_mail = self.part is Part.MAIL

        def catches(text: bytes) -> bool:
            return all(mark in text for mark in marks) and (is_mail or mentions(text, id))

        return catches


async def nothing(play: Play) -> None:
    """The booking is not made yet."""


async def booked(play: Play) -> None:
    play.expect(await play.book())


async def paid(play: Play) -> None:
    await booked(play)
    await play.pay()
    await play.wait_for(payment__status="PENDING")


async def accepted(play: Play) -> None:
    await paid(play)
    play.expect(await play.decide(play.pair.instructor, "approve"))


async def proposed(play: Play) -> None:
    """The student has proposed another time."""
    await accepted(play)
    play.expect(await propose(play, TOMORROW))


async def started(play: Play) -> None:
    await accepted(play)
    await wait_until(play.starts_at)


async def ended(play: Play) -> None:
    await accepted(play)
    await wait_until(play.starts_at + SESSION_LENGTH)


async def far_started(play: Play) -> None:
    """Charged weeks ahead, and moved to now."""
    await accepted(play)
    play.expect(await propose(play, _SHORTLY))
    play.expect(await accept_move(play))
    await wait_until(play.starts_at)


async def completed(play: Play) -> None:
    await started(play)
    play.expect(await play.decide(play.pair.student, "confirm"))
    await play.wait_for(status="COMPLETED")


async def propose(play: Play, starts_in: timedelta) -> Answer:
    slot_id, starts_at = await play.market.add_slot(play.pair.instructor, starts_in)
    play.pair = replace(play.pair, slot_id=slot_id, starts_at=starts_at)
    return await play.decide(play.pair.student, "reschedule", {"slot_id": str(slot_id)})


async def _book(play: Play) -> object:
    return await play.choose(play.pair.student, "/bookings", {"slot_id": str(play.pair.slot_id)}, play.key)


async def accept_move(play: Play) -> Answer:
    return await play.choose_for(play.pair.instructor, "reschedule/accept", {"slot_id": str(play.pair.slot_id)})


def _decides(who: str, decision: str, body: Json | None = None) -> Act:
    return lambda play: play.choose_for(getattr(play.pair, who), decision, body)


def _refunds(body: Json) -> Act:
    return lambda play: play.choose(play.operator, f"/operator/bookings/{play.booking_id}/refund", body)


async def _dispute(play: Play) -> object:
    return await play.market.dispute(str(play.booking_id))


async def _pay_out(play: Play) -> None:
    await play.market.advance_to_payout()


async def _wait_for_refund(play: Play) -> None:
    """A refund that nobody asked for again may never have been ordered."""
    if play.stance is not Stance.SILENT:
        await play.wait_for(payment__status="PARTIALLY_REFUNDED")


async def _accept_dispute(play: Play) -> None:
    await play.wait_for(payment__status="DISPUTED")
    await finish.accept_disputes(play)
    await play.wait_for(payment__status="REFUNDED")


async def _wait_for_payout(play: Play) -> None:
    await play.pair.instructor.wait_for_payout(str(play.booking_id), "PAID")


def _sql(*marks: bytes) -> Callable[[Play], tuple[bytes, ...]]:
    return lambda _: marks


def _call(path: bytes) -> Callable[[Play], tuple[bytes, ...]]:
    return lambda _: (b"POST /v1/", path)


def _mail(play: Play) -> tuple[bytes, ...]:
    id = ids.notification_id(play.booking_id, NotificationKind.BOOKING_RECEIVED, play.pair.instructor.id)
    return (b"Message-ID", str(id).encode())


_CANCEL_BY_STUDENT: Final = _decides("student", "cancel")
_CANCEL_BY_INSTRUCTOR: Final = _decides("instructor", "cancel")
_APPROVE: Final = _decides("instructor", "approve")
_REJECT: Final = _decides("instructor", "reject", _REASON)
_CONFIRM: Final = _decides("student", "confirm")
_COMPLETE: Final = _decides("instructor", "complete")

STEPS: Final = (
    Step("reserve", Part.POSTGRES, _sql(b"INSERT INTO booking_request"), nothing, _book, _CANCEL_BY_STUDENT),
    Step("secure", Part.STRIPE, _call(b"/v1/checkout/sessions "), nothing, _book, _CANCEL_BY_STUDENT),
    Step("record", Part.POSTGRES, _sql(b"INSERT INTO payment "), booked, Play.pay),
    Step("mail", Part.MAIL, _mail, booked, Play.pay),
    Step("approve", Part.API, _call(b"/approve "), paid, _APPROVE, _REJECT),
    Step("accept", Part.POSTGRES, _sql(b"INSERT INTO live_session"), paid, _APPROVE, _REJECT),
    Step("move", Part.POSTGRES, _sql(b"booking.rescheduled"), proposed, accept_move,
         _decides("instructor", "reschedule/decline")),
    Step("release", Part.STRIPE, _call(b"/cancel "), paid, _REJECT, _APPROVE),
    Step("refund_charge", Part.STRIPE, _call(b"/v1/refunds "), paid, _REJECT, _APPROVE, IN_WEEKS),
    Step("complete", Part.POSTGRES, _sql(b"INSERT INTO session_report"), ended, _COMPLETE, _CANCEL_BY_INSTRUCTOR, SOON),
    Step("settle", Part.STRIPE, _call(b"/capture "), started, _CONFIRM, _CANCEL_BY_STUDENT, SOON),
    Step("transfer", Part.STRIPE, _call(b"/v1/transfers "), far_started, _CONFIRM, _CANCEL_BY_STUDENT, IN_WEEKS),
    Step("end", Part.POSTGRES, _sql(b"booking.completed"), started, _CONFIRM, _CANCEL_BY_STUDENT, SOON),
    Step("refund", Part.STRIPE, _call(b"/v1/refunds "), completed, _refunds(_HALF), _refunds(_QUARTER), SOON,
         then=_wait_for_refund),
    Step("dispute", Part.POSTGRES, _sql(b"INSERT INTO dispute "), completed, _dispute, None, SOON,
         then=_accept_dispute),
    Step("payout", Part.POSTGRES, _sql(b"UPDATE instructor_payout SET"), completed, _pay_out, None, SOON, True,
         then=_wait_for_payout),
)  # fmt: skip
