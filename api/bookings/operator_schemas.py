"""Schemas of attendance, no-shows and refunds: the facts that an operator decides on."""

from datetime import datetime
from uuid import UUID

from pydantic import BaseModel

from api.http.schema_types import ResponseModel
from models.domain.actors import AbsentParty, SignUpRole
from models.domain.money import Money
from models.domain.policy import LossBearer
from models.domain.session_reports import Verdict
from models.domain.states import RefundStatus


class ReportedNoShow(ResponseModel):
    """One side's report that the other did not come."""

    absent: AbsentParty
    reported_by: SignUpRole
    reported_at: datetime
    contest_until: datetime
    """Deadline for the absent party to contest the report."""
    contested_at: datetime | None
    verdict: Verdict | None
    """What the attendance record shows, once it is judged: at the session's end or later."""


class ReportedCompletion(ResponseModel):
    """The instructor's report that the session took place, which the attendance record does not show by itself."""

    reported_at: datetime
    object_until: datetime
    """Deadline for the student to object."""
    objected_at: datetime | None
    objection_reason: str | None
    verdict: Verdict | None
    """What the attendance record shows, once it is judged: at the objection, or at the end of the window."""


class MeetingVisit(BaseModel):
    """One connection to the meeting. A person with two open tabs has two visits."""

    joined_at: datetime | None
    """`null` if only the leaving was reported. Such a visit counts as zero seconds."""
    left_at: datetime | None
    """`null` if no leaving was reported. Such a visit counts until now, at most until the session's end."""


class MeetingPresence(BaseModel):
    visits: list[MeetingVisit]
    """Earliest first, including visits outside the session's time."""
    seconds: int
    """Within the session's time."""


class SessionAttendance(BaseModel):
    """Who was in the meeting and when, as the meeting provider reported it."""

    student: MeetingPresence
    instructor: MeetingPresence
    seconds_together: int
    """Time both were present, within the session's time."""
    recordings_uploaded_at: list[datetime]


class RefundDetails(ResponseModel):
    """A refund after the booking's end: ordered by an operator, made in the Stripe Dashboard, or due to a warning."""

    id: UUID
    status: RefundStatus
    amount: Money
    borne_by: LossBearer
    reason: str | None
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
    pending_reason: str | None
    """Stripe's `pending_reason`: with `insufficient_funds`, the refund waits for the platform's balance."""
    failure_reason: str | None
    """Why the refund was not made, or Stripe's `failure_reason` if the student's bank returned it."""
    created_at: datetime
    updated_at: datetime
