"""Filters of the lists of bookings."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Annotated, Any, cast
from uuid import UUID

from fastapi import Depends, Query
from sqlalchemy import ColumnExpressionArgument, literal_column
from sqlmodel import col

from api.http.auth import Caller
from api.http.schema_types import RequestTime
from models.domain.actors import Role
from models.domain.states import HOLDS_SLOT, BookingStatus
from models.tables.bookings import BookingRequest, LiveSession
from models.tables.payments import InstructorPayout, Payment


@dataclass(frozen=True)
class BookingFilter:
    """Keeps the bookings that match all of it."""

    status: BookingStatus | None = None
    is_open: bool | None = None
    starts_from: datetime | None = None
    starts_before: datetime | None = None
    needs_attention: bool | None = None
    student_id: UUID | None = None
    instructor_id: UUID | None = None
    payment_intent_id: str | None = None
    session_id: UUID | None = None
    stripe_payout_id: str | None = None

    def of(self, caller: Caller) -> "BookingFilter":
        """Only the bookings of a student or an instructor."""
        if caller.role is Role.STUDENT:
            return replace(self, student_id=caller.id)
        return replace(self, instructor_id=caller.id)

    def conditions(self) -> list[ColumnExpressionArgument[bool]]:
        """For a query of `BookingRequest`, joined with its payment, session and payout."""
        equal = (
            (BookingRequest.status, self.status),
            (BookingRequest.student_id, self.student_id),
            (BookingRequest.instructor_id, self.instructor_id),
            (Payment.payment_intent_id, self.payment_intent_id),
            (LiveSession.id, self.session_id),
            (InstructorPayout.stripe_payout_id, self.stripe_payout_id),
        )
        found: list[ColumnExpressionArgument[bool]] = [
            col(cast(Any, column)) == value for column, value in equal if value is not None
        ]
        if self.is_open is not None:
            # Literals, exactly as in the predicate of the partial index.
            is_open = col(BookingRequest.status).in_([literal_column(f"'{status}'") for status in sorted(HOLDS_SLOT)])
            found.append(is_open if self.is_open else ~is_open)
        if self.needs_attention is not None:
            # Without a parameter, as in the predicate of the partial index.
            needs_attention = col(BookingRequest.needs_attention)
            found.append(needs_attention if self.needs_attention else ~needs_attention)
        if self.starts_from is not None:
            found.append(col(BookingRequest.starts_at) >= self.starts_from)
        if self.starts_before is not None:
            # Nothing is booked after its start. Otherwise the list, newest first, would go through all later bookings.
            found.append(col(BookingRequest.starts_at) < self.starts_before)
            found.append(col(BookingRequest.created_at) < self.starts_before)
        return found


async def _anyones_filter(
    status: Annotated[BookingStatus | None, Query(description="Only bookings with this status.")] = None,
    starts_from: Annotated[
        RequestTime | None, Query(alias="from", description="Only sessions that start at or after this time.")
    ] = None,
    starts_before: Annotated[
        RequestTime | None, Query(alias="to", description="Only sessions that start before this time.")
    ] = None,
) -> BookingFilter:
    return BookingFilter(status=status, starts_from=starts_from, starts_before=starts_before)


AnyonesFilter = Annotated[BookingFilter, Depends(_anyones_filter)]
"""The filters that everybody has. The caller's role adds others."""

_STRIPE_ID = r"^[\x21-\x7e]{1,255}$"


async def _operators_filter(
    shared: AnyonesFilter,
    needs_attention: Annotated[bool | None, Query(description="Only bookings that do or don't need attention.")] = None,
    student_id: Annotated[UUID | None, Query(description="Only this student's bookings.")] = None,
    instructor_id: Annotated[UUID | None, Query(description="Only this instructor's bookings.")] = None,
    payment_intent_id: Annotated[
        str | None, Query(pattern=_STRIPE_ID, description="Only the booking with this PaymentIntent.")
    ] = None,
    session_id: Annotated[UUID | None, Query(description="Only the booking with this session.")] = None,
    stripe_payout_id: Annotated[
        str | None, Query(pattern=_STRIPE_ID, description="Only the bookings that this payout paid last.")
    ] = None,
) -> BookingFilter:
    return replace(
        shared,
        needs_attention=needs_attention,
        student_id=student_id,
        instructor_id=instructor_id,
        payment_intent_id=payment_intent_id,
        session_id=session_id,
        stripe_payout_id=stripe_payout_id,
    )


OperatorsFilter = Annotated[BookingFilter, Depends(_operators_filter)]
