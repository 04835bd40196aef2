"""Runs workflows in Temporal's sandbox, and imports them into it once per process.

The SDK's own runner imports `workflows` anew for each workflow that it creates, which takes longer than replaying most
bookings. It does so to separate the workflows' global variables; ours have none that change. What the sandbox refuses,
such as the time of day, random numbers and files, it still refuses.
"""

import threading
from functools import cached_property

from temporalio.worker import WorkflowInstance, WorkflowInstanceDetails, WorkflowRunner
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

# Private to the SDK. `tests/workflows/test_sandbox.py` fails if a new version changes what is used here.
from temporalio.worker.workflow_sandbox._importer import Importer
from temporalio.worker.workflow_sandbox._restrictions import RestrictionContext
from temporalio.worker.workflow_sandbox._runner import _Instance


class SharedSandboxRunner(SandboxedWorkflowRunner):
    """Use one for all workers of a process."""

    def create_instance(self, det: WorkflowInstanceDetails) -> WorkflowInstance:
        return _SharedInstance(det, self.runner_class, self.restrictions, self._importer)

    @cached_property
    def _importer(self) -> Importer:
        return Importer(self.restrictions, _ThreadContext())


class _ThreadContext(RestrictionContext, threading.local):
    """Says whether a workflow is running, which is when most restrictions apply. Workflows run in several threads."""


class _SharedInstance(_Instance):
    def __init__(
        self,
        instance_details: WorkflowInstanceDetails,
        runner_class: type[WorkflowRunner],
        restrictions: SandboxRestrictions,
        importer: Importer,
    ) -> None:
        self._shared = importer
        super().__init__(instance_details, runner_class, restrictions)

    def _create_instance(self) -> None:
        self.importer = self._shared
        super()._create_instance()
