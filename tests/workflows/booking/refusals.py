"""Where a refused signal is seen."""

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession
from temporalio.api.sdk.v1 import WorkflowMetadata

from models.tables.audit import AuditEvent
from tests.workflows.saga import Booked


async def recorded_refusals(booked: Booked) -> list[AuditEvent]:
    refused = (
        col(AuditEvent.booking_id) == booked.order.terms.booking_id,
        col(AuditEvent.action) == "booking.signal_refused",
    )
    async with AsyncSession(booked.saga.engine) as session:
        return list(await session.exec(select(AuditEvent).where(*refused).order_by(col(AuditEvent.seq))))


async def details_of(booked: Booked) -> str:
    metadata: WorkflowMetadata = await booked.handle.query("__temporal_workflow_metadata", result_type=WorkflowMetadata)
    return metadata.current_details
