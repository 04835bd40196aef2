"""The meeting provider's webhook: joins, leaves and recordings, verified and recorded once."""

import logging
from typing import Annotated, Any

from fastapi import APIRouter, Header, Request
from pydantic import ValidationError

from api.http.database import WithDatabase
from api.http.problems import Kind, Problem, problem_responses
from api.meetings import attendance, recordings
from api.meetings.webhook_events import Report, is_signed
from api.settings import WithSettings
from models.domain.attendance import AttendanceKind

router = APIRouter(prefix="/v1/meetings", tags=["meetings"])
log = logging.getLogger("holdfast.api")

_BODY: dict[str, Any] = {
    "requestBody": {"required": True, "content": {"application/json": {"schema": {"type": "object"}}}}
}


@router.post(
    "/webhook",
    operation_id="receiveMeetingEvent",
    responses=problem_responses(
        Kind.SIGNATURE_INVALID, Kind.CONTENT_TOO_LARGE, Kind.REQUEST_INVALID, Kind.INTERNAL, Kind.UNAVAILABLE
    ),
    openapi_extra=_BODY,
)
async def receive(
    request: Request,
    database: WithDatabase,
    settings: WithSettings,
    signature: Annotated[str, Header(alias="X-Jaas-Signature")] = "",
) -> dict[str, Any]:
    """Called by the meeting provider. Events may arrive more than once and in any order."""
    body = await request.body()
    if settings.meetings is None or not is_signed(body, signature, settings.meeting.webhook_secrets):
        raise Problem(Kind.SIGNATURE_INVALID, "The signature does not match the body.")
    try:
        report = Report.model_validate_json(body)
    except ValidationError as error:
        raise Problem(Kind.SIGNATURE_INVALID, "The body is not an event.") from error
    if report.kind is None:
        return {"received": True}
    async with database.writing() as session:
        booking = await attendance.record(session, report, report.kind, settings.meetings.provider)
        if booking is not None and report.kind is AttendanceKind.RECORDING_UPLOADED:
            await recordings.keep(session, booking, report, settings.meeting.meeting_recording_kept_for)
    if booking is None:
        log.info("meeting event %s is about no room of ours, or about nobody who has it", report.idempotency_key)
    return {"received": True}
