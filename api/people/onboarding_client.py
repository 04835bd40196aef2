"""How the API speaks to an instructor's onboarding workflow.

OnboardingError
├── OnboardingRefused      Stripe will not have this account, or gives no link to it
└── OnboardingUnanswered   no answer in time; asking again is safe
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
from models.domain.ids import onboarding_workflow_id
from models.domain.onboarding import Onboarding, OnboardingRefusal
from workflows.onboarding import OnboardingWorkflow
from workflows.search_attributes import INSTRUCTOR_ID

_TRIES = 3


class OnboardingError(Exception):
    """The workflow did not do what it was asked."""


class OnboardingRefused(OnboardingError):
    pass


class OnboardingUnanswered(OnboardingError):
    pass


class OnboardingClient:
    """Every method raises `OnboardingError`."""

    def __init__(self, client: Client, task_queue: str, timeouts: Timeouts | None = None) -> None:
        self._client = client
        self._task_queue = task_queue
        self._timeouts = timeouts or Timeouts()

    async def open_link(self, instructor_id: UUID) -> None:
        """Have a new link put on the instructor's row. Starts the workflow, or joins the one that runs."""
        update_id = uuid4().hex
        async with _told():
            for _ in range(_TRIES - 1):
                try:
                    await self._ask(instructor_id, update_id)
                except Closed:
                    # It was just ending: the next try starts another run.
                    continue
                return
            await self._ask(instructor_id, update_id)

    async def _ask(self, instructor_id: UUID, update_id: str) -> None:
        start = WithStartWorkflowOperation(
            OnboardingWorkflow.run,
            Onboarding(instructor_id=instructor_id),
            id=onboarding_workflow_id(instructor_id),
            task_queue=self._task_queue,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            search_attributes=_at_start(instructor_id),
        )
        try:
            async with translate_errors(self._timeouts.checkout):
                try:
                    # By its name: the SDK's types take an update without argument for one that gives a coroutine.
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
            return OnboardingUnanswered(cause.message)
    return Closed(type(cause).__name__)


def _at_start(instructor_id: UUID) -> TypedSearchAttributes:
    return TypedSearchAttributes([SearchAttributePair(INSTRUCTOR_ID, str(instructor_id))])


@asynccontextmanager
async def _told() -> AsyncIterator[None]:
    try:
        yield
    except (Unreachable, Closed) as silence:
        raise OnboardingUnanswered(str(silence)) from silence


async def _client(request: Request) -> OnboardingClient:
    client: OnboardingClient = request.app.state.onboarding
    return client


WithOnboarding = Annotated[OnboardingClient, Depends(_client)]
