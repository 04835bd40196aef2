"""What is known of a session and of its money afterwards, as JSON: what an operator decides by."""

from datetime import datetime
from uuid import UUID

from pydantic import BaseModel

from api.http.schema_types import ResponseModel
from models.domain.actors import AbsentParty, SignUpRole
from models.domain.money import Money
from models.domain.no_shows import NoShowVerdict
from models.domain.policy import LossBearer
from models.domain.states import RefundStatus


class ReportedNoShow(ResponseModel):
    """One side says that the other did not come."""

    absent: AbsentParty
    reported_by: SignUpRole
    reported_at: datetime
    contest_until: datetime
    """Until when who is said to have been absent can contest it."""
    contested_at: datetime | None
    verdict: NoShowVerdict | None
    """What the meeting's record shows, once it is contested; of `UNCLEAR`, an operator decides."""


class MeetingVisit(BaseModel):
    """One connection: a person has two of them in two tabs."""

    joined_at: datetime | None
    """`null`: only their leaving was reported. Such a visit counts for no time."""
    left_at: datetime | None
    """`null`: no leaving was reported. Such a visit counts until now, or until the session's end."""


class MeetingPresence(BaseModel):
    visits: list[MeetingVisit]
    """The earliest first, also those outside of the session's time."""
    seconds: int
    """Within the session's time."""


class SessionAttendance(BaseModel):
    """As the meetings' provider reported it."""

    student: MeetingPresence
    instructor: MeetingPresence
    seconds_together: int
    """Within the session's time, both present."""
    recordings_uploaded_at: list[datetime]


class RefundDetails(ResponseModel):
    """After the booking's end: ordered by an operator here, or made in Stripe's dashboard."""

    id: UUID
    status: RefundStatus
    amount: Money
    borne_by: LossBearer
    reason: str | None
    ordered_by: UUID | None
    """The operator; `null` for one that was made in Stripe's dashboard."""
    instructor: Money
    """Who bore it; nothing until Stripe has made the refund."""
    platform_fee: Money
    platform_loss: Money
    stripe_refund_id: str | None
    failure_reason: str | None
    """Why there is none, or Stripe's word for why the student's bank sent it back."""
    created_at: datetime
    updated_at: datetime
