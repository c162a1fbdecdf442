"""Timing several functions side by side in one process; what is timed, and against which goal, lives elsewhere.

In each round every candidate has one turn, in random order, so that a machine that slows down slows all of them. A
candidate's time is divided by that of its peer *in the same round*, and the spread is that of these ratios. A result is
allocated and freed inside the time that is taken, as both libraries do; inputs are there before.

The threads of OpenMP, which PyTorch uses, and of OpenBLAS, which NumPy uses, go on spinning on their cores for some
milliseconds after their work is done. They would take a core from whoever comes next, and a pause would put them, and
everybody else's, to sleep. So a turn begins with `SETTLE` seconds of the candidate's own calls, which are not timed:
the others' threads are asleep by then, its own are awake and its data are where it leaves them. `undisturbed` measures
what this changes.
"""

import gc
import math
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np

Call = Callable[[], object]

SETTLE = 0.03  # seconds; OpenBLAS spins for 2**26 cycles, OpenMP for less
BLOCK = 0.002  # seconds that one timing takes at least, so that the clock's own cost does not show


class Spread(NamedTuple):
    """The middle of some measurements, and the tenth and ninetieth percentile."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        """The spread of at least one value."""
        low, median, high = np.quantile(values, [0.1, 0.5, 0.9])
        return cls(float(median), float(low), float(high))


def interleaved(
    candidates: Mapping[str, Call], rounds: int, *, settle: float = SETTLE, block: float = BLOCK, seed: int = 0
) -> dict[str, list[float]]:
    """Time every candidate once a round, in an order drawn anew for each round.

    Args:
        candidates: what to call, by name.
        rounds: how many times each of them is timed.
        settle: seconds of a candidate's own calls before each timing.
        block: a timing is of as many calls as take at least this many seconds.
        seed: of the orders.

    Returns:
        Seconds a call, one value a round, for each name.
    """
    calls = {name: _calls_in(block, call) for name, call in candidates.items()}
    seconds: dict[str, list[float]] = {name: [] for name in candidates}
    order = random.Random(seed)
    with _no_garbage_collection():
        for _ in range(rounds):
            for name in order.sample(list(candidates), len(candidates)):
                _keep_calling(candidates[name], settle)
                seconds[name].append(_seconds(candidates[name], calls[name]))
    return seconds


def ratios(seconds: Mapping[str, Sequence[float]], name: str, peer: str) -> list[float]:
    """A candidate's time over its peer's, round by round."""
    return [mine / theirs for mine, theirs in zip(seconds[name], seconds[peer], strict=True)]


def undisturbed(call: Call, neighbour: Call, rounds: int, *, settle: float = SETTLE) -> list[float]:
    """The time of a call that follows the neighbour's at once, over its time after its own: 1 where nothing spins."""
    _calls_in(0, call)
    _calls_in(0, neighbour)
    found = []
    with _no_garbage_collection():
        for _ in range(rounds):
            _keep_calling(neighbour, settle)
            after_neighbour = _seconds(call, 1)
            _keep_calling(call, settle)
            found.append(after_neighbour / _seconds(call, 1))
    return found


def _calls_in(block: float, call: Call) -> int:
    """How many calls take `block` seconds. Also warms up: compiles, starts threads, loads the inputs."""
    fastest = min(_seconds(call, 1) for _ in range(3))
    return max(1, math.ceil(block / fastest))


def _keep_calling(call: Call, seconds: float) -> None:
    end = time.perf_counter() + seconds
    while True:
        call()
        if time.perf_counter() >= end:
            return


def _seconds(call: Call, calls: int) -> float:
    start = time.perf_counter_ns()
    for _ in range(calls):
        call()
    return max(time.perf_counter_ns() - start, 1) / calls / 1e9


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    was_on = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
