"""Build response schemas from database records."""

from collections.abc import Sequence

from api import pricing
from api.bookings import schemas
from api.bookings.operator_schemas import (
    MeetingPresence,
    MeetingVisit,
    RefundDetails,
    ReportedCompletion,
    ReportedNoShow,
    SessionAttendance,
)
from api.bookings.queries import BookingRecord
from api.http import pagination
from api.http.auth import Caller
from api.pricing import policy, price, seconds
from models.domain.actors import Role
from models.domain.attendance import Presence
from models.domain.deadlines import DeadlineOutcome, outcome_of_silence
from models.domain.money import Money
from models.domain.payments import stripe_dashboard
from models.domain.payouts import failure
from models.domain.policy import BookingPolicy
from models.domain.states import BookingStatus, PaymentStatus, PayoutStatus
from models.tables.bookings import LiveSession, RescheduleProposal
from models.tables.payments import InstructorPayout, Payment, PaymentRenewal
from models.tables.refunds import Refund
from models.tables.session_reports import SessionReport


def created(record: BookingRecord) -> schemas.BookingCreated:
    request = record.request
    return schemas.BookingCreated(
        id=request.id,
        status=request.status,
        checkout_url=request.checkout_url,
        expires_at=request.next_deadline_at if record.is_payable else None,
        price=_price(record),
        policy=_policy(record),
        payment_plan=request.plan,
        is_recorded=request.is_recorded,
    )


def booking(record: BookingRecord, caller: Caller) -> schemas.Booking:
    """The booking as this caller may see it. Only an operator sees attendance, refunds and what needs attention."""
    if caller.role is Role.OPERATOR:
        return booking_for_operator(record)
    return _booking(record, caller.role)


def booking_for_operator(record: BookingRecord) -> schemas.BookingForOperator:
    shared = _booking(record, Role.OPERATOR)
    return schemas.BookingForOperator(
        **dict(shared),
        needs_attention=record.request.needs_attention,
        attention_reason=record.request.attention_reason,
        stripe_dashboard_url=_stripe_dashboard_url(record),
        attendance=_attendance(record) if record.session else None,
        refunds=[_refund(refund) for refund in record.refunds],
    )


def next_cursor(found: Sequence[BookingRecord], limit: int) -> str | None:
    """The cursor after a page of `limit` records; `None` on the last page."""
    return pagination.next_cursor(found, limit, lambda last: (last.request.created_at, last.request.id))


def _booking(record: BookingRecord, role: Role) -> schemas.Booking:
    request = record.request
    for_student = role is Role.STUDENT
    return schemas.Booking(
        id=request.id,
        status=request.status,
        title=request.title,
        student_id=request.student_id,
        student_name=record.student_name,
        instructor_id=request.instructor_id,
        instructor_name=record.instructor_name,
        offering_id=request.offering_id,
        slot_id=request.slot_id,
        starts_at=request.starts_at,
        ends_at=request.ends_at,
        created_at=request.created_at,
        updated_at=request.updated_at,
        price=_price(record),
        policy=_policy(record),
        is_recorded=request.is_recorded,
        checkout_url=request.checkout_url if for_student else None,
        session=_session(record.session, record.payment) if record.session else None,
        payment=_payment(record, record.payment, role) if record.payment else None,
        payout=payout_of_booking(record.payout, record.payment) if record.payout and not for_student else None,
        proposal=None if record.is_closed else _proposal(record.proposal),
        no_show=_no_show(record.report) if record.report else None,
        completion=_completion(record.report) if record.report else None,
        next_deadline_at=request.next_deadline_at,
        at_deadline=_at_deadline(record),
        end_reason=request.end_reason,
        # Saved before the workflow accepts the rejection, so it is only valid once the status is REJECTED.
        rejection_reason=request.rejection_reason if request.status is BookingStatus.REJECTED else None,
    )


def _price(record: BookingRecord) -> pricing.Price:
    request = record.request
    total = Money(amount_minor=request.price_minor, currency=request.currency)
    return price(total, Money(amount_minor=request.platform_fee_minor, currency=request.currency))


def _policy(record: BookingRecord) -> pricing.Policy:
    return policy(BookingPolicy.model_validate(record.request.policy))


def _session(session: LiveSession, payment: Payment | None) -> schemas.Session:
    def money(amount_minor: int) -> Money:
        return Money(amount_minor=amount_minor, currency=session.currency)

    return schemas.Session(
        id=session.id,
        status=session.status,
        total_price=money(session.total_price_minor),
        platform_fee=money(session.platform_fee_minor),
        instructor_payout=money(session.instructor_payout_minor),
        payment_status=payment.status if payment else None,
    )


def _proposal(proposal: RescheduleProposal | None) -> schemas.Proposal | None:
    if proposal is None:
        return None
    return schemas.Proposal(
        slot_id=proposal.slot_id,
        starts_at=proposal.starts_at,
        ends_at=proposal.ends_at,
        proposed_by=proposal.proposed_by,
        proposed_at=proposal.created_at,
    )


def _attendance(record: BookingRecord) -> SessionAttendance:
    observed = record.attendance

    def presence(of: Presence) -> MeetingPresence:
        visits = [MeetingVisit(joined_at=visit.joined_at, left_at=visit.left_at) for visit in of.visits]
        return MeetingPresence(visits=visits, seconds=seconds(of.total))

    return SessionAttendance(
        student=presence(observed.student),
        instructor=presence(observed.instructor),
        seconds_together=seconds(observed.together),
        recordings_uploaded_at=list(observed.recordings_uploaded_at),
    )


def _no_show(report: SessionReport) -> ReportedNoShow | None:
    if report.absent is None:
        return None
    return ReportedNoShow(
        absent=report.absent,
        reported_by=report.reported_by,
        reported_at=report.reported_at,
        contest_until=report.answer_until,
        contested_at=report.answered_at,
        verdict=report.verdict,
    )


def _completion(report: SessionReport) -> ReportedCompletion | None:
    if report.absent is not None:
        return None
    return ReportedCompletion(
        reported_at=report.reported_at,
        object_until=report.answer_until,
        objected_at=report.answered_at,
        # Saved before the workflow accepts the objection.
        objection_reason=report.objection_reason if report.answered_at else None,
        verdict=report.verdict,
    )


def _at_deadline(record: BookingRecord) -> DeadlineOutcome | None:
    request, report = record.request, record.report
    if request.next_deadline_at is None:
        return None
    renewal = record.renewal
    if renewal is not None and not request.needs_attention:
        return DeadlineOutcome.OPERATOR_DECIDES if renewal.is_final else DeadlineOutcome.CANCELLED_UNPAID
    return outcome_of_silence(
        is_paid=record.payment is not None,
        is_accepted=request.status is BookingStatus.ACCEPTED,
        has_report=report is not None and not request.needs_attention,
        is_completion=report is not None and report.absent is None,
        is_judged_next=report is not None and report.answered_at is not None,
        on_timeout=BookingPolicy.model_validate(request.policy).on_completion_timeout,
    )


def _refund(refund: Refund) -> RefundDetails:
    def money(amount_minor: int) -> Money:
        return Money(amount_minor=amount_minor, currency=refund.currency)

    return RefundDetails(
        id=refund.id,
        status=refund.status,
        amount=money(refund.amount_minor),
        borne_by=refund.borne_by,
        reason=refund.reason,
        ordered_by=refund.ordered_by,
        fraud_warning_id=refund.fraud_warning_id,
        instructor=money(refund.instructor_minor),
        platform_fee=money(refund.platform_fee_minor),
        platform_loss=money(refund.platform_loss_minor),
        stripe_refund_id=refund.stripe_refund_id,
        pending_reason=refund.pending_reason,
        failure_reason=refund.failure_reason,
        created_at=refund.created_at,
        updated_at=refund.updated_at,
    )


def _stripe_dashboard_url(record: BookingRecord) -> str | None:
    if record.payment is None or record.payment.payment_intent_id is None:
        return None
    return f"{stripe_dashboard(record.request.checkout_session_id)}payments/{record.payment.payment_intent_id}"


def _payment(record: BookingRecord, payment: Payment, role: Role) -> schemas.BookingPayment:
    def money(amount_minor: int) -> Money:
        return Money(amount_minor=amount_minor, currency=payment.currency)

    return schemas.BookingPayment(
        plan=payment.plan,
        payment_intent_id=payment.payment_intent_id if role is not Role.INSTRUCTOR else None,
        status=payment.status,
        amount=money(payment.amount_minor),
        captured=money(payment.captured_minor),
        returned=money(payment.returned_minor),
        platform_fee=money(payment.platform_fee_minor),
        hold_ends_at=payment.hold_ends_at if payment.status is PaymentStatus.PENDING else None,
        hold_lapsed_at=payment.lapsed_at,
        renewal=_renewal(record.renewal, role) if record.renewal else None,
    )


def _renewal(renewal: PaymentRenewal, role: Role) -> schemas.PaymentRenewal:
    return schemas.PaymentRenewal(
        reason=renewal.reason,
        amount=Money(amount_minor=renewal.amount_minor, currency=renewal.currency),
        pay_by=renewal.pay_by,
        checkout_url=renewal.checkout_url if role is Role.STUDENT else None,
    )


def payout_of_booking(payout: InstructorPayout, payment: Payment | None) -> schemas.BookingPayout:
    def money(amount_minor: int) -> Money:
        return Money(amount_minor=amount_minor, currency=payout.currency)

    conversion = payment.conversion if payment else None
    return schemas.BookingPayout(
        status=payout.status,
        amount=money(payout.amount_minor),
        transferred=conversion.of(money(payout.amount_minor)) if conversion else None,
        platform_fee=money(payout.platform_fee_minor),
        stripe_payout_id=payout.stripe_payout_id,
        expected_at=payout.expected_at,
        paid_at=payout.paid_at,
        failure=_failure(payout) if payout.status is PayoutStatus.FAILED else None,
    )


def _failure(payout: InstructorPayout) -> schemas.PayoutFailure:
    why, what_to_do = failure(payout.failure_reason)
    return schemas.PayoutFailure(code=payout.failure_reason or "unknown", why=why, what_to_do=what_to_do)
