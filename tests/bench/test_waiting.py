"""What `./run bench --waiting` makes of its figures."""

from bench import checks
from bench.cpu import Usage
from bench.waiting import Waiting, Waking


def _waking(cpu_seconds: float) -> Waking:
    return Waking([cpu_seconds], Usage(cpu_seconds, {"worker": cpu_seconds}))


def test_many_waiting_bookings_may_cost_half_as_much_again_as_few() -> None:
    few = Waiting(100, 200.0, _waking(1.0), _waking(2.0))
    steady, growing = (
        Waiting(3_000, 290.0, _waking(1.4), _waking(2.9)),
        Waiting(3_000, 310.0, _waking(1.6), _waking(3.1)),
    )
    assert [check.ok for check in checks.of_waiting([few, steady])] == [True, True, True]
    assert [check.ok for check in checks.of_waiting([few, growing])] == [False, False, False]
