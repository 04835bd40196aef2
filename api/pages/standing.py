"""Where a booking stands and what happens next, in sentences for one of its two sides."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from api.bookings.schemas import Booking, BookingPayment
from models.domain.actors import Role
from models.domain.deadlines import DeadlineOutcome
from models.domain.endings import EndReason
from models.domain.policy import PaymentPlan
from models.domain.states import HOLDS_SLOT, BookingStatus, PaymentStatus
from models.languages import Language


@dataclass(frozen=True)
class Standing:
    badge: str
    kind: str
    """Of the badge: good, bad, waiting or plain."""
    now: str
    next: str


@dataclass(frozen=True)
class Possible:
    """What a side can do now. The workflow decides; this only leaves out what it would refuse."""

    pay: bool
    pay_again: bool
    reschedule: bool
    answer_proposal: bool
    withdraw_proposal: bool
    cancel: bool
    confirm: bool
    object: bool
    contest: bool
    report_no_show: bool
    receipt: bool
    answer: bool
    complete: bool


def possible(booking: Booking, role: Role, is_parked: bool, now: datetime) -> Possible:
    is_open, begun = booking.status in HOLDS_SLOT, now >= booking.starts_at
    is_free = is_open and not is_parked
    is_student, reports = role is Role.STUDENT, (booking.no_show, booking.completion)
    proposal, renewal = booking.proposal, booking.payment.renewal if booking.payment else None
    has_session = is_open and booking.session is not None
    waited = timedelta(seconds=booking.policy.deadlines.report_no_show_after_seconds)
    return Possible(
        pay=is_student and booking.checkout_url is not None,
        pay_again=is_student and renewal is not None and renewal.checkout_url is not None,
        reschedule=is_free and booking.payment is not None and not begun,
        answer_proposal=is_free and proposal is not None and proposal.proposed_by.value != role.value,
        withdraw_proposal=is_free and proposal is not None and proposal.proposed_by.value == role.value,
        cancel=is_free and not (is_student and begun),
        confirm=has_session and is_student and begun,
        object=is_free and is_student and booking.completion is not None and booking.completion.objected_at is None,
        contest=(
            is_free
            and booking.no_show is not None
            and booking.no_show.absent.value == role.value
            and booking.no_show.contested_at is None
        ),
        report_no_show=(
            has_session
            and is_free
            and reports == (None, None)
            and now >= min(booking.starts_at + waited, booking.ends_at)
        ),
        receipt=booking.payment is not None
        and (not is_open or booking.payment.captured.amount_minor + booking.payment.returned.amount_minor > 0),
        answer=is_free and not is_student and booking.status is BookingStatus.PENDING and booking.payment is not None,
        complete=has_session and is_free and not is_student and begun and reports == (None, None),
    )


def standing(
    booking: Booking, role: Role, is_parked: bool, has_returned: bool, language: Language, zone: ZoneInfo, now: datetime
) -> Standing:
    """`has_returned`: the student has just come back from Checkout, before Stripe's event."""
    say = language.gettext
    if booking.status not in HOLDS_SLOT:
        return _ended(booking, role, language)
    until = language.moment(booking.next_deadline_at, zone) if booking.next_deadline_at else ""
    if is_parked:
        return Standing(
            say("With our staff"),
            "waiting",
            say("Our staff is looking into this booking."),
            say("They decide what happens with the payment. You will get an email. You do not have to do anything."),
        )
    if booking.payment is None:
        return _unpaid(booking, role, has_returned, language, until)
    if renewal := booking.payment.renewal:
        by = language.moment(renewal.pay_by, zone)
        after = say("Without it, the booking is cancelled then, at no cost to the student.")
        if role is Role.STUDENT:
            now_ = say("Please pay again by %(time)s: your card cannot hold the amount until the session.", time=by)
        else:
            now_ = say("The student has to pay again by %(time)s.", time=by)
        if now >= booking.starts_at:
            after = say("Without it, our staff decides.")
        return Standing(say("Payment needed"), "bad", now_, after)
    if booking.status is BookingStatus.PENDING:
        return _undecided(booking.payment, role, language, until)
    return _accepted(booking, role, language, zone, now, until)


def _unpaid(booking: Booking, role: Role, has_returned: bool, language: Language, until: str) -> Standing:
    say = language.gettext
    if role is not Role.STUDENT:
        return Standing(
            say("Not paid yet"),
            "waiting",
            say("The student has not paid yet."),
            say("If they do not pay by %(time)s, the time becomes free again.", time=until),
        )
    if booking.checkout_url is None:
        return Standing(
            say("Payment under way"),
            "waiting",
            say("Your bank is processing the payment."),
            say("This page changes by itself when it arrives. You can close it: we will email you."),
        )
    if has_returned:
        return Standing(
            say("Payment under way"),
            "waiting",
            say("You have paid. We are waiting for Stripe to confirm it."),
            say("This takes a few seconds. The page changes by itself; if it does not, load it again."),
        )
    return Standing(
        say("Not paid yet"),
        "waiting",
        say("The time is reserved for you until %(time)s.", time=until),
        say("Pay by then to send your request. Otherwise, the time becomes free again, and you pay nothing."),
    )


def _undecided(payment: BookingPayment, role: Role, language: Language, until: str) -> Standing:
    say = language.gettext
    amount = language.money(payment.amount)
    if role is not Role.STUDENT:
        return Standing(
            say("Your answer is needed"),
            "waiting",
            say("The student has paid. Confirm or decline by %(time)s.", time=until),
            say("If you do not answer, the booking expires, and the student gets everything back."),
        )
    now = say("%(amount)s is on hold on your card. You have not been charged.", amount=amount)
    after = say("If the instructor does not confirm by %(time)s, the hold is released in full.", time=until)
    if payment.plan is PaymentPlan.CHARGE_THEN_TRANSFER:
        now = say("You have been charged %(amount)s. We keep it until the session has taken place.", amount=amount)
        after = say("If the instructor does not confirm by %(time)s, you get all of it back.", time=until)
    return Standing(say("Waiting for the instructor"), "waiting", now, after)


def _accepted(booking: Booking, role: Role, language: Language, zone: ZoneInfo, now: datetime, until: str) -> Standing:
    say, is_student = language.gettext, role is Role.STUDENT
    if report := booking.no_show:
        is_me = report.absent.value == role.value
        told = say("You are reported absent.") if is_me else say("You reported that the other side did not come.")
        after = say("If this is not contested by %(time)s, it counts as reported.", time=until)
        if report.contested_at:
            told = say("The report of an absence is contested.")
            after = say("The meeting's record decides at %(time)s, or our staff if it is not clear.", time=until)
        return Standing(say("Absence reported"), "bad" if is_me else "waiting", told, after)
    if completion := booking.completion:
        told = say("You reported that the session took place.")
        if is_student:
            told = say("The instructor reported that the session took place.")
        after = say("Without an objection by %(time)s, the payment goes to the instructor.", time=until)
        if completion.objected_at:
            told = say("You objected to the report.") if is_student else say("The student objected to your report.")
            after = say("The meeting's record decides at %(time)s, or our staff if it is not clear.", time=until)
        return Standing(say("Reported as complete"), "waiting", told, after)
    if now < booking.starts_at:
        starts = language.moment(booking.starts_at, zone)
        paid = say("Your card is charged once the session has taken place.")
        if not is_student:
            paid = say("You are paid once the session has taken place.")
        elif booking.payment and booking.payment.plan is PaymentPlan.CHARGE_THEN_TRANSFER:
            paid = say("You have paid. The instructor gets their share once the session has taken place.")
        return Standing(say("Confirmed"), "good", say("The session begins on %(time)s.", time=starts), paid)
    silence = say(
        "Without a word from either side by %(time)s, all of the payment goes back to the student.", time=until
    )
    if booking.at_deadline is DeadlineOutcome.CAPTURED:
        silence = say("Without a word from either side by %(time)s, the payment goes to the instructor.", time=until)
    if now < booking.ends_at:
        return Standing(say("Under way"), "good", say("The session is under way."), silence)
    asked = say("Did the session take place? Report it to be paid.")
    if is_student:
        asked = say("Did the session take place? Your confirmation pays the instructor.")
    return Standing(say("Over"), "waiting", asked, silence)


def _ended(booking: Booking, role: Role, language: Language) -> Standing:
    say = language.gettext
    badge, kind = {
        BookingStatus.COMPLETED: (say("Completed"), "good"),
        BookingStatus.NO_SHOW: (say("Not attended"), "bad"),
        BookingStatus.CANCELLED: (say("Cancelled"), "plain"),
        BookingStatus.REJECTED: (say("Declined"), "plain"),
        BookingStatus.EXPIRED: (say("Expired"), "plain"),
    }[booking.status]
    return Standing(badge, kind, why_it_ended(booking.end_reason, language), _money(booking, role, language))


def why_it_ended(reason: EndReason | None, language: Language) -> str:
    say = language.gettext
    texts = {
        EndReason.COMPLETED: say("The session took place."),
        EndReason.NO_SHOW_REFUTED: say("The meeting's record shows that the session took place."),
        EndReason.REJECTED: say("The instructor declined the request."),
        EndReason.APPROVAL_TIMEOUT: say("The instructor did not answer in time."),
        EndReason.CANCELLED: say("The booking was cancelled."),
        EndReason.PAYMENT_NOT_RENEWED: say("The payment was not made again in time."),
        EndReason.STUDENT_ABSENT: say("The student did not come."),
        EndReason.INSTRUCTOR_ABSENT: say("The instructor did not come."),
        EndReason.COMPLETION_TIMEOUT: say("Nobody said in time that the session took place."),
    }
    return texts.get(reason, say("Our staff decided.")) if reason else say("The booking has ended.")


def _money(booking: Booking, role: Role, language: Language) -> str:
    """What became of the money."""
    say, payment = language.gettext, booking.payment
    if payment is None:
        return say("Nothing was paid.")
    paid, back = payment.captured, language.money(payment.returned)
    if payment.status is PaymentStatus.DISPUTED:
        return say("The cardholder's bank disputes the payment. The bank decides.")
    if role is Role.STUDENT:
        if not payment.returned:
            return say("You paid %(amount)s.", amount=language.money(payment.amount))
        if payment.status is PaymentStatus.REFUNDED:
            return say("You pay nothing: all of %(amount)s goes back to you.", amount=back)
        kept = language.money(payment.amount - payment.returned)
        return say("You pay %(amount)s, and %(back)s goes back to you.", amount=kept, back=back)
    if booking.payout is not None:
        amount, transferred = language.money(booking.payout.amount), booking.payout.transferred
        shown = f"{amount} ({language.money(transferred)})" if transferred else amount
        return say("Your share is %(amount)s.", amount=shown)
    if payment.status is PaymentStatus.REFUNDED or not paid:
        return say("The student got everything back.")
    return say("Your share is being worked out.")
