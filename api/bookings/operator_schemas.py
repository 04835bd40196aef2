"""Schemas of attendance, no-shows and refunds: the facts that an operator decides on."""

from datetime import datetime
from uuid import UUID

from api.http.schema_types import ResponseModel
from models.domain.actors import AbsentParty, SignUpRole
from models.domain.money import Money
from models.domain.policy import LossBearer
from models.domain.session_reports import Verdict
from models.domain.states import RefundStatus


class ReportedNoShow(ResponseModel):
    """One side's report that the other did not come."""

    absent: AbsentParty
    """Who is said not to have come."""
    reported_by: SignUpRole
    """Who said so."""
    reported_at: datetime
    """When they said so."""
    contest_until: datetime
    """Deadline for the absent party to contest the report."""
    contested_at: datetime | None
    """When the other side contested it."""
    verdict: Verdict | None
    """What the attendance record shows, once it is judged: at the session's end or later."""


class ReportedCompletion(ResponseModel):
    """The instructor's report that the session took place, which the attendance record does not show by itself."""

    reported_at: datetime
    """When the instructor reported it."""
    object_until: datetime
    """Deadline for the student to object."""
    objected_at: datetime | None
    """When the student objected."""
    objection_reason: str | None
    """What the student wrote."""
    verdict: Verdict | None
    """What the attendance record shows, once it is judged: at the objection, or at the end of the window."""


class MeetingVisit(ResponseModel):
    """One connection to the meeting. A person with two open tabs has two visits."""

    joined_at: datetime | None
    """`null` if only the leaving was reported. Such a visit counts as zero seconds."""
    left_at: datetime | None
    """`null` if no leaving was reported. Such a visit counts until now, at most until the session's end."""


class MeetingPresence(ResponseModel):
    visits: list[MeetingVisit]
    """Earliest first, including visits outside the session's time."""
    seconds: int
    """Within the session's time."""


class SessionAttendance(ResponseModel):
    """Who was in the meeting and when, as the meeting provider reported it."""

    student: MeetingPresence
    """The student's presence."""
    instructor: MeetingPresence
    """The instructor's presence."""
    seconds_together: int
    """Time both were present, within the session's time."""
    recordings_uploaded_at: list[datetime]
    """When recordings were uploaded."""


class RefundDetails(ResponseModel):
    """A refund after the booking's end: ordered by an operator, made in the Stripe Dashboard, or due to a warning."""

    id: UUID
    """The refund's id."""
    status: RefundStatus
    """The refund's state."""
    amount: Money
    """What is refunded."""
    borne_by: LossBearer
    """Who bears it."""
    reason: str | None
    """What the operator wrote."""
    ordered_by: UUID | None
    """The operator; `null` if the refund was made in the Stripe Dashboard, or because of a fraud warning."""
    fraud_warning_id: str | None
    """Stripe's id of the early fraud warning that led to the refund."""
    instructor: Money
    """The part that the instructor bears. This and the next two are zero until Stripe has made the refund."""
    platform_fee: Money
    """The part taken from the platform's fee."""
    platform_loss: Money
    """The part that the platform bears on top of its fee."""
    stripe_refund_id: str | None
    """Stripe's id, once it is made."""
    pending_reason: str | None
    """Stripe's `pending_reason`: with `insufficient_funds`, the refund waits for the platform's balance."""
    failure_reason: str | None
    """Why the refund was not made, or Stripe's `failure_reason` if the student's bank returned it."""
    created_at: datetime
    """When it was ordered."""
    updated_at: datetime
    """When it last changed."""
