"""Client of an instructor's onboarding workflow.

OnboardingError
├── OnboardingRefused       Stripe refuses this account, or a link to it
└── OnboardingUnavailable   no answer in time; retrying is safe
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated
from uuid import UUID, uuid4

from fastapi import Depends, Request
from temporalio.client import Client, WithStartWorkflowOperation, WorkflowUpdateFailedError
from temporalio.common import SearchAttributePair, TypedSearchAttributes, WorkflowIDConflictPolicy
from temporalio.exceptions import ApplicationError

from api.http.temporal import Closed, Timeouts, Unreachable, retrieve_start_error, translate_errors
from models.domain.ids import creation_id, onboarding_workflow_id
from models.domain.onboarding import Onboarding, OnboardingRefusal
from workflows.onboarding import OnboardingWorkflow
from workflows.search_attributes import INSTRUCTOR_ID

_MAX_ATTEMPTS = 3


class OnboardingError(Exception):
    """There is no new onboarding link."""


class OnboardingRefused(OnboardingError):
    pass


class OnboardingUnavailable(OnboardingError):
    pass


class OnboardingClient:
    """Every method raises `OnboardingError`."""

    def __init__(self, client: Client, task_queue: str, timeouts: Timeouts | None = None) -> None:
        self._client = client
        self._task_queue = task_queue
        self._timeouts = timeouts or Timeouts()

    async def open_link(self, instructor_id: UUID, key: str | None = None) -> None:
        """Store a new link in the instructor's row. Starts the workflow unless it is running.

        With the `key` of a link that was requested before, nothing happens while that run is open.
        """
        update_id = (creation_id(instructor_id, "onboarding link", key) if key else uuid4()).hex
        async with _unavailable_without_answer():
            for _ in range(_MAX_ATTEMPTS - 1):
                try:
                    await self._update_with_start(instructor_id, update_id)
                except Closed:
                    # The run was just closing: the next attempt starts another one.
                    continue
                return
            await self._update_with_start(instructor_id, update_id)

    async def _update_with_start(self, instructor_id: UUID, update_id: str) -> None:
        start = WithStartWorkflowOperation(
            OnboardingWorkflow.run,
            Onboarding(instructor_id=instructor_id),
            id=onboarding_workflow_id(instructor_id),
            task_queue=self._task_queue,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            search_attributes=_search_attributes(instructor_id),
        )
        try:
            async with translate_errors(self._timeouts.checkout):
                try:
                    # By name: the SDK's overloads mistype an update method without arguments.
                    await self._client.execute_update_with_start_workflow(
                        "open_link",
                        id=update_id,
                        start_workflow_operation=start,
                        rpc_timeout=self._timeouts.checkout,
                    )
                except WorkflowUpdateFailedError as error:
                    raise _error_of(error.cause) from error
        finally:
            await retrieve_start_error(start)


def _error_of(cause: BaseException) -> Exception:
    if isinstance(cause, ApplicationError):
        if cause.type == OnboardingRefusal.REFUSED:
            return OnboardingRefused(cause.message)
        if cause.type == OnboardingRefusal.NO_ANSWER:
            return OnboardingUnavailable(cause.message)
    return Closed(type(cause).__name__)


def _search_attributes(instructor_id: UUID) -> TypedSearchAttributes:
    return TypedSearchAttributes([SearchAttributePair(INSTRUCTOR_ID, str(instructor_id))])


@asynccontextmanager
async def _unavailable_without_answer() -> AsyncIterator[None]:
    try:
        yield
    except (Unreachable, Closed) as error:
        raise OnboardingUnavailable(str(error)) from error


async def _client(request: Request) -> OnboardingClient:
    client: OnboardingClient = request.app.state.onboarding
    return client


WithOnboarding = Annotated[OnboardingClient, Depends(_client)]
