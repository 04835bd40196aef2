"""Runs workflows in Temporal's sandbox, and imports them into it once per process.

The SDK's own runner imports `workflows` anew for each workflow that it creates, which takes longer than replaying most
bookings. It does so to separate the workflows' global variables; ours have none that change. What the sandbox refuses,
such as the time of day, random numbers and files, it still refuses.

Modules whose names begin with `_` are private to the SDK. If a new version changes what is used of them,
`tests/workflows/test_sandbox.py` fails.
"""

import threading
from functools import cached_property
from typing import Any

from temporalio.converter import SerializationContext, StorageDriverStoreContext
from temporalio.worker import WorkflowInstance, WorkflowInstanceDetails, WorkflowRunner
from temporalio.worker._command_aware_visitor import CommandInfo
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions
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

    # The SDK enters the sandbox for these, at least once for each payload. They only read what the workflow scheduled.
    def get_serialization_context(self, command_info: CommandInfo | None) -> SerializationContext | None:
        context: SerializationContext | None = self._in_sandbox.get_serialization_context(command_info)
        return context

    def get_external_store_context(self, command_info: CommandInfo | None) -> StorageDriverStoreContext:
        context: StorageDriverStoreContext = self._in_sandbox.get_external_store_context(command_info)
        return context

    @property
    def _in_sandbox(self) -> Any:
        return self.globals_and_locals["__temporal_in_sandbox"]


SANDBOX = SharedSandboxRunner()
