"""`./run bench`: what a booking costs, how it continues after a crash, what others notice of greedy clients, what many
waiting bookings cost, and how long pages take."""

import argparse
import sys
from collections.abc import Coroutine
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench import checks, greedy, pages, recovery, report, throughput, waiting
from bench.checks import Check
from bench.stack import bench_stack
from sandbox.demo.people import Unexpected
from sandbox.stack.supervision import EXIT_FAILED, run

_RECOVERY_BOOKINGS = 10


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="./run bench", description="Measure what a booking costs.")
    parser.add_argument("--bookings", type=_positive, default=100, metavar="N", help="how many (default: 100)")
    parser.add_argument(
        "--at-once",
        type=_positive,
        nargs="+",
        default=[8],
        metavar="K",
        help="at the same time (default: 8); with several, each load is measured in turn",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures as JSON")
    instead = parser.add_mutually_exclusive_group()
    instead.add_argument(
        "--recovery",
        action="store_true",
        help="measure instead how soon bookings go on after their worker was killed",
    )
    instead.add_argument(
        "--greedy",
        action="store_true",
        help="measure instead what others wait for beside clients that ask for all they can get",
    )
    instead.add_argument(
        "--pages",
        action="store_true",
        help="measure instead how long the pages take, in relation to the API calls with the same content",
    )
    instead.add_argument(
        "--waiting",
        type=_waiting,
        nargs="+",
        metavar="N",
        help=f"measure instead what N waiting bookings cost, at least {waiting.FEWEST}, and to wake one of them; with "
        "several, one after the other",
    )
    return parser.parse_args()


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


def _waiting(text: str) -> int:
    number = int(text)
    if number < waiting.FEWEST:
        raise argparse.ArgumentTypeError(f"must be at least {waiting.FEWEST}")
    return number


async def _bench(arguments: argparse.Namespace) -> int:
    results: dict[str, Any]
    checked: list[Check]
    async with bench_stack(waiting.SETTINGS if arguments.waiting else None) as stack:
        if arguments.waiting:
            parameters = {"waiting": arguments.waiting}
            waited = await waiting.measure(stack, arguments.waiting)
            report.print_waiting(waited)
            results, checked = {"waiting": [asdict(each) for each in waited]}, checks.of_waiting(waited)
        elif arguments.recovery:
            parameters = {"waiting": _RECOVERY_BOOKINGS}
            recovered = await recovery.measure(stack, _RECOVERY_BOOKINGS)
            report.print_recovery(recovered)
            results, checked = {"recovery": asdict(recovered)}, checks.of_recovery(recovered)
        elif arguments.greedy:
            parameters = {"clients": greedy.CLIENTS}
            beside = await greedy.measure(stack)
            report.print_greedy(beside)
            results, checked = {"greedy": asdict(beside)}, checks.of_greedy(beside)
        elif arguments.pages:
            parameters = {"load_percent": round(100 * pages.LOAD)}
            timed = await pages.measure(stack)
            report.print_pages(timed)
            results, checked = {"pages": asdict(timed)}, checks.of_pages(timed)
        else:
            parameters = {"bookings": arguments.bookings, "at_once": arguments.at_once}
            results, checked = {"throughput": {}}, []
            for at_once in arguments.at_once:
                measured = await throughput.measure(stack, arguments.bookings, at_once)
                report.print_throughput(measured, at_once)
                results["throughput"][at_once] = report.throughput_as_json(measured)
                checked += checks.of_throughput(measured)
    report.print_checks(checked)
    if arguments.json:
        report.write_json(arguments.json, parameters, results, checked)
    return 0 if all(check.ok for check in checked) else 1


async def _with_hint(bench: Coroutine[None, None, int]) -> int:
    try:
        return await bench
    except Unexpected as error:
        print(f"{error}\nIf the booking had expired, the machine is too busy: try fewer at once.", file=sys.stderr)
        return EXIT_FAILED


def main() -> int:
    return run(_with_hint(_bench(_arguments())))


if __name__ == "__main__":
    sys.exit(main())
