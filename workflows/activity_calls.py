"""How a booking has its effects done: the two kinds of activities it calls, and what a cancellation leaves whole."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from datetime import datetime, timedelta
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError

with workflow.unsafe.imports_passed_through():
    from models.domain.errors import Declined
    from models.domain.states import IllegalTransition

T = TypeVar("T")
A = TypeVar("A")

_CALL_RETRY = RetryPolicy(
    initial_interval=timedelta(seconds=1),
    backoff_coefficient=2.0,
    maximum_interval=timedelta(minutes=1),
    non_retryable_error_types=[Declined.__name__],
)
CALL_TIMEOUT = timedelta(seconds=10)
CALL_BUDGET = timedelta(days=3)
"""How long Stripe is asked at a time where no hold runs out."""
_MIN_CALL_BUDGET = timedelta(seconds=10)

_WRITE_RETRY = RetryPolicy(
    initial_interval=timedelta(milliseconds=100),
    backoff_coefficient=2.0,
    maximum_interval=timedelta(minutes=1),
    non_retryable_error_types=[IllegalTransition.__name__],
)
_WRITE_TIMEOUT = timedelta(seconds=5)
_WRITE_BUDGET = timedelta(days=1)


async def call_stripe(activity: Callable[[Any, A], Awaitable[T]], request: A, until: datetime) -> T:
    """A call that moves or reads money: an activity of its own, seen in the UI, tried again until `until`.

    Raises `ActivityError` when Stripe declines, or when `until` has passed (but never without a first try).
    """
    time_left = max(until - workflow.now(), _MIN_CALL_BUDGET)
    return await workflow.execute_activity_method(
        activity,
        request,
        start_to_close_timeout=CALL_TIMEOUT,
        schedule_to_close_timeout=time_left,
        retry_policy=_CALL_RETRY,
    )


async def call_stripe_until_answered(activity: Callable[[Any, A], Awaitable[T]], request: A) -> T:
    """Ask Stripe for as long as it takes: for what no booking waits for, and Stripe alone knows."""
    while True:
        try:
            return await call_stripe(activity, request, workflow.now() + CALL_BUDGET)
        except ActivityError:
            workflow.logger.warning("Stripe gave no answer to a workflow; asking again")


async def persist(activity: Callable[[Any, A], Awaitable[T]], record: A) -> T:
    """A database write: a local activity, since it needs no queue, and tried again while Postgres is away.

    Raises `ActivityError` for a move that the transition table does not have, or after a day of trying.
    """
    return await workflow.execute_local_activity_method(
        activity,
        record,
        start_to_close_timeout=_WRITE_TIMEOUT,
        schedule_to_close_timeout=_WRITE_BUDGET,
        retry_policy=_WRITE_RETRY,
        local_retry_threshold=timedelta(seconds=2),
    )


async def shielded(step: Coroutine[Any, Any, T]) -> T:
    """Let the step come to its end even when the workflow is cancelled meanwhile, and only then be cancelled.

    What is undone must first be done: nothing is released while its authorization is still running.
    """
    running = asyncio.create_task(step)
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        await workflow.wait([running])
        raise


class HoldLost(Exception):
    """Stripe no longer holds the money of a booking that is still open."""


def reason_of(failure: ActivityError | HoldLost) -> str:
    """Why a step failed for good, in a few words that may be shown: a code of Stripe's, or the kind of failure."""
    if isinstance(failure, HoldLost):
        return "the hold is gone"
    cause = failure.cause
    if isinstance(cause, ApplicationError):
        return f"{failure.activity_type}: {cause.message}"
    return f"{failure.activity_type}: {type(cause).__name__}"
