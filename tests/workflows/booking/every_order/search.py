"""Every order of events: a search from a new booking over all that people, Stripe, the meeting and the clock may do."""

from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from models.domain.policy import CompletionTimeoutPolicy, PaymentPlan
from tests.workflows.booking.every_order.world import World
from workflows.booking.decisions import Decisions

Path = tuple[str, ...]
"""A history: the moves, from a new booking on."""


class Failed(AssertionError):
    """A history that must not be."""


@dataclass
class Search:
    """Breadth first, and all histories without a disturbance before those with one, so what fails is short.

    A workflow cannot be copied: each history is played from its start, but for the first move from a new state.
    """

    plan: PaymentPlan
    on_timeout: CompletionTimeoutPolicy
    check: Callable[[World], None]
    """Raises `AssertionError` for a state that must not be."""
    rules: type[Decisions] = Decisions
    disturbances: int = 0
    """The most in one history."""
    unsent: frozenset[str] = frozenset()
    """Messages that nobody sends."""
    found: dict[object, Path] = field(default_factory=dict)
    """A history to each state."""
    _alone: dict[object, set[object]] = field(default_factory=dict)
    """What follows from each state if nobody does anything."""
    _ends: set[object] = field(default_factory=set)
    """States that are closed, or need an operator and say so."""

    def run(self) -> None:
        """Raises `Failed` for a state that fails the check, and for one that no deadline brings to an end."""
        self._reach((), self._play(()))
        level: list[Path] = [()]
        for rest in range(self.disturbances, -1, -1):
            level = self._explore(level, is_disturbed=rest > 0)
        if endless := self._endless():
            raise Failed(f"no deadline ends it: {endless}")

    def _explore(self, paths: list[Path], is_disturbed: bool) -> list[Path]:
        """All that follows without a disturbance. Returns the histories that lead to new states with one."""
        todo = deque[tuple[Path, World | None]]((path, None) for path in paths)
        disturbed = list[Path]()
        while todo:
            path, world = todo.popleft()
            reached = world or self._play(path)
            key, alone = reached.key, reached.own_moves()
            moves = [move for move in reached.moves() if move not in self.unsent]
            disturbances = reached.disturbances() if is_disturbed else []
            world = reached
            for move in moves + disturbances:
                world, longer = world or self._play(path), (*path, move)
                with _told(longer):
                    if not world.play(move):
                        continue
                    is_new = world.was_disturbed and self._reach(longer, world)
                if move in alone:
                    self._alone[key].add(world.key)
                if is_new and move in disturbances:
                    disturbed.append(longer)
                elif is_new:
                    todo.append((longer, world))
                else:
                    world.close()
                world = None
            if world is not None:
                world.close()
        return disturbed

    def _play(self, path: Path) -> World:
        world = World(self.plan, self.on_timeout, self.rules)
        for move in path:
            assert world.play(move), f"{move} was possible before, in {path}"
        return world

    def _reach(self, path: Path, world: World) -> bool:
        """Whether the state is new."""
        key = world.key
        if key in self.found:
            return False
        self.found[key], self._alone[key] = path, set()
        if world.is_at_rest:
            self._ends.add(key)
        self.check(world)
        return True

    def _endless(self) -> Path | None:
        """A history after which deadlines alone lead to no end."""
        before = defaultdict[object, list[object]](list)
        for key, following in self._alone.items():
            for after in following:
                before[after].append(key)
        ending, todo = set(self._ends), list(self._ends)
        while todo:
            new = set(before[todo.pop()]) - ending
            ending |= new
            todo += new
        return min((path for key, path in self.found.items() if key not in ending), key=len, default=None)


@contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except AssertionError as failure:
        raise Failed(f"{failure} after: {', then '.join(path)}") from failure
