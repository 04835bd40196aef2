"""How workflows call activities: time-outs, retries, and what a cancellation leaves whole.

One layer retries: Temporal. The Stripe client sends each request once, so an activity's time-out can be longer than the
longest time its requests can take, and an operator reads Stripe's error instead of a time-out.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError, TimeoutError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from models.domain.errors import Declined
    from models.domain.ids import stripe_task_queue
    from models.domain.states import IllegalTransition

T = TypeVar("T")
A = TypeVar("A")

_CALL_RETRY = RetryPolicy(
    initial_interval=timedelta(seconds=1),
    backoff_coefficient=2.0,
    maximum_interval=timedelta(minutes=1),
    non_retryable_error_types=[Declined.__name__],
)
# Hourly in the end: each attempt is billed, and no booking waits.
_PATIENT_RETRY = replace(_CALL_RETRY, maximum_interval=timedelta(hours=1))
CALL_TIMEOUT = timedelta(minutes=2)
"""Longer than all the requests of one attempt, at `activities.stripe.client.REQUEST_TIMEOUT` each."""
HEARTBEAT_TIMEOUT = timedelta(seconds=10)
"""Longer than one request. The Stripe client heartbeats between requests, so a dead worker is noticed this quickly."""
CALL_BUDGET = timedelta(days=3)
"""How long one call to Stripe is retried where no hold runs out."""
_FIRST_PAUSE = timedelta(minutes=1)
_LONGEST_PAUSE = timedelta(days=1)

_READ_RETRY = RetryPolicy(maximum_interval=timedelta(minutes=1))
_READ_TIMEOUT = timedelta(hours=6)
_READ_HEARTBEAT = timedelta(minutes=2)
"""Longer than any single call that a reading activity makes."""

_WRITE_RETRY = RetryPolicy(
    initial_interval=timedelta(milliseconds=100),
    backoff_coefficient=2.0,
    maximum_interval=timedelta(minutes=1),
    non_retryable_error_types=[IllegalTransition.__name__],
)
_WRITE_TIMEOUT = timedelta(seconds=5)
_WRITE_BUDGET = timedelta(days=1)


async def call_stripe(
    activity: Callable[[Any, A], Awaitable[T]], request: A, until: datetime, retry: RetryPolicy = _CALL_RETRY
) -> T:
    """A call that moves or reads money: an activity of its own, visible in the UI, retried until `until`.

    It waits in a task queue of its own, whose rate is limited below Stripe's.

    Raises `ActivityError` if Stripe declines, or once `until` has passed (but never before a whole first attempt).
    """
    return await workflow.execute_activity_method(
        activity,
        request,
        task_queue=_stripe_queue(),
        start_to_close_timeout=CALL_TIMEOUT,
        heartbeat_timeout=HEARTBEAT_TIMEOUT,
        schedule_to_close_timeout=max(until - workflow.now(), CALL_TIMEOUT),
        retry_policy=retry,
    )


async def call_stripe_until_answered(activity: Callable[[Any, A], Awaitable[T]], request: A) -> T:
    """Call Stripe for as long as it takes, where no hold runs out and only Stripe knows the answer.

    Raises `ActivityError` if Stripe declines: that is an answer, and final.
    """
    pause = _FIRST_PAUSE
    while True:
        try:
            return await call_stripe(activity, request, workflow.now() + CALL_BUDGET, _PATIENT_RETRY)
        except ActivityError as failure:
            if is_declined(failure) or is_cancelled_exception(failure):
                raise
            workflow.logger.warning("no answer from Stripe (%s); trying again", reason_of(failure))
        await asyncio.sleep(pause.total_seconds())
        pause = min(2 * pause, _LONGEST_PAUSE)


async def read(activity: Callable[[Any, A], Awaitable[T]], request: A, task_queue: str | None = None) -> T:
    """An activity that reads page by page for as long as it takes, with a heartbeat at each page."""
    return await workflow.execute_activity_method(
        activity,
        request,
        task_queue=task_queue,
        start_to_close_timeout=_READ_TIMEOUT,
        schedule_to_close_timeout=_READ_TIMEOUT,
        heartbeat_timeout=_READ_HEARTBEAT,
        retry_policy=_READ_RETRY,
    )


async def read_stripe(activity: Callable[[Any, A], Awaitable[T]], request: A) -> T:
    """`read`, where Stripe is asked. The rate limit counts it once, so the activity limits its own calls."""
    return await read(activity, request, _stripe_queue())


def _stripe_queue() -> str:
    return stripe_task_queue(workflow.info().task_queue)


async def persist(activity: Callable[[Any, A], Awaitable[T]], record: A) -> T:
    """A database write: a local activity, since it needs no queue, retried while Postgres is away.

    Not for a write that an update brings about: use `persist_decision`.

    Raises `ActivityError` for a transition that the table does not have, or after a day of retries.
    """
    try:
        return await workflow.execute_local_activity_method(
            activity,
            record,
            start_to_close_timeout=_WRITE_TIMEOUT,
            schedule_to_close_timeout=_WRITE_BUDGET,
            retry_policy=_WRITE_RETRY,
            local_retry_threshold=timedelta(seconds=2),
        )
    except (ApplicationError, TimeoutError) as cause:
        # The SDK raises the bare cause for a local activity, which would fail a workflow that expects `ActivityError`.
        raise _as_activity_error(activity.__name__, cause) from cause


async def persist_decision(activity: Callable[[Any, A], Awaitable[T]], record: A) -> T:
    """A database write that follows from a message: a regular activity, with the retries and errors of `persist`.

    A local activity runs in the workflow task that accepts an update. If Temporal never gets that task's completion,
    Postgres has the effect of an update that was never accepted. A regular activity starts after the update's event.
    """
    return await workflow.execute_activity_method(
        activity,
        record,
        start_to_close_timeout=_WRITE_TIMEOUT,
        schedule_to_close_timeout=_WRITE_BUDGET,
        retry_policy=_WRITE_RETRY,
    )


def _as_activity_error(activity_type: str, cause: BaseException) -> ActivityError:
    return ActivityError(
        str(cause),
        scheduled_event_id=0,
        started_event_id=0,
        identity="",
        activity_type=activity_type,
        activity_id="",
        retry_state=None,
    )


async def shielded(step: Coroutine[Any, Any, T]) -> T:
    """Run the step to its end even if the workflow is cancelled meanwhile, and only then raise the cancellation.

    A step must be done before it is undone: nothing is released while its authorization is still running.
    """
    running = asyncio.create_task(step)
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        await workflow.wait([running])
        raise


class HoldLost(Exception):
    """Stripe no longer holds the money of a booking that is still open."""


def is_declined(failure: ActivityError, code: str | None = None) -> bool:
    """Stripe refused for good, with this code if it is given: the same request will get the same answer."""
    cause = failure.cause
    if not isinstance(cause, ApplicationError) or cause.type != Declined.__name__:
        return False
    return code is None or str(cause.message).startswith(str(Declined(code)).partition(" (")[0])


def reason_of(failure: ActivityError | HoldLost) -> str:
    """Why a step failed for good, in a few words that may be shown: Stripe's code, or the kind of failure."""
    if isinstance(failure, HoldLost):
        return "the hold is gone"
    cause = failure.cause
    while isinstance(cause, TimeoutError) and cause.cause is not None:
        # What the attempts before the last one failed with.
        cause = cause.cause
    if isinstance(cause, ApplicationError):
        return f"{failure.activity_type}: {cause.message}"
    return f"{failure.activity_type}: {type(cause).__name__}"
