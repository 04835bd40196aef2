"""What `./run bench --greedy` makes of its samples."""

from bench import checks
from bench.budget import MAX_GREEDY_RATIO
from bench.greedy import STEPS, Greedy, p99


def test_the_99th_percentile_lies_between_samples() -> None:
    assert p99([float(number) for number in range(101)]) == 99.0
    assert p99([1.0, 1.0, 1.0]) == 1.0


def test_a_step_may_take_twice_as_long_beside_greedy_clients() -> None:
    steady, slow = [0.1, 0.1, 0.1], [0.1, 0.1, 0.3]
    run = Greedy({step: steady for step in STEPS}, {step: steady for step in STEPS} | {"payout": slow})
    assert [check.ok for check in checks.of_greedy(run)] == [True, True, False]
    assert MAX_GREEDY_RATIO == 2.0
