"""Whether an instructor's own calendar blocks a time, as a part of other statements."""

from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, ColumnExpressionArgument, false, func
from sqlmodel import col, select

from models.tables.blocked_times import BlockedTime


def overlaps_blocked_time(
    instructor_id: ColumnExpressionArgument[UUID], time: ColumnElement[Any]
) -> ColumnElement[bool]:
    """`time` is a range. One look into the index: if the first blocked time that ends after it began began before it
    ended, they overlap."""
    first = (
        select(BlockedTime.starts_at)
        .where(col(BlockedTime.instructor_id) == instructor_id, col(BlockedTime.ends_at) > func.lower(time))
        .order_by(col(BlockedTime.ends_at))
        .limit(1)
        .correlate_except(BlockedTime)
        .scalar_subquery()
    )
    return func.coalesce(first < func.upper(time), false())
