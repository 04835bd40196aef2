"""The baseline workflow's worker: a separate program with the settings of Holdfast's worker. It stops on SIGTERM.

It prints the id of each workflow that starts to wait for a signal, one per line.
"""

import asyncio
import logging
import signal
import sys
from typing import Final

from temporalio import workflow
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.envconfig import ClientConfig
from temporalio.worker import Worker

from bench.baseline import QUEUE, BaselineWorkflow, do_nothing
from worker import STICKY_WAIT

READY: Final = "ready"


class _WaitingPrinter(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        print(record.__dict__["temporal_workflow"]["workflow_id"], flush=True)


async def main() -> None:
    workflow.logger.base_logger.addHandler(_WaitingPrinter())
    workflow.logger.base_logger.setLevel(logging.INFO)
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    client = await Client.connect(**ClientConfig.load_client_connect_config(), data_converter=pydantic_data_converter)
    async with Worker(
        client,
        task_queue=QUEUE,
        workflows=[BaselineWorkflow],
        activities=[do_nothing],
        max_cached_workflows=500,
        sticky_queue_schedule_to_start_timeout=STICKY_WAIT,
    ):
        print(READY, flush=True)
        await stop.wait()


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
