"""One row of a table, and the goals that rows are held against. Measuring lives in the modules beside this one.

A goal is judged by the worst of its rows, each by its median. It is relative to PyTorch where that has a peer, and to a
copy where memory is the limit. These replace a first set, of which a copy alone could not reach some.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

LARGE = 1_000_000  # elements; from here on a call costs what its memory costs


@dataclass(frozen=True)
class Row:
    """One measurement: the middle of its values and their spread, in units of `against`.

    Attributes:
        table: "forward", "backward", "relatives", "memory", "accuracy", "networks", "growth" or "neighbour".
        case: the shape in words, or what was computed.
        candidate: "reference", "numpy", "numba", "torch", "copy" or "textbook".
        against: what 1 means: another candidate, "input", "second", or "y" for an error of y.
        median: None where it is not a number.
        low: the tenth percentile.
        high: the ninetieth.
        shape: of the input, where there is one.
        direction: "forward" or "backward", where the table holds both.
        seconds: the median time of a call, where time was measured.
        goal: the key of the goal that it is held against.
        limit: of that goal.
        reached: whether the median is within it.
    """

    table: str
    case: str
    candidate: str
    against: str
    median: float | None
    low: float | None
    high: float | None
    shape: tuple[int, ...] = ()
    direction: str = ""
    seconds: float | None = None
    goal: str | None = None
    limit: float | None = None
    reached: bool | None = None


@dataclass(frozen=True)
class Goal:
    """An upper limit for the rows it applies to.

    Attributes:
        key: its name in the results.
        says: what must not be larger than the limit, in words.
        limit: the largest value that reaches it.
        applies: whether it is about a row.
        digits: decimals that count, where the unit is coarser than the measurement.
    """

    key: str
    says: str
    limit: float
    applies: Callable[[Row], bool]
    digits: int | None = None

    def reached_by(self, value: float | None) -> bool:
        """Whether a value is within the limit; what is not a number is not."""
        if value is None or math.isnan(value):
            return False
        return (value if self.digits is None else round(value, self.digits)) <= self.limit


def _speed(
    candidate: str,
    *tables: str,
    against: str = "torch",
    large: bool | None = None,
    rank: int = 0,
    small: str | None = "",
) -> Callable[[Row], bool]:
    """Rows of one candidate's times; with `large`, `rank` or `small`, those whose shape is so.

    `small` is one of the shapes in SMALL; "" leaves these out, and None does not ask.
    """

    def applies(row: Row) -> bool:
        return (
            (row.candidate, row.against) == (candidate, against)
            and row.table in tables
            and large in (None, math.prod(row.shape) >= LARGE)
            and rank in (0, len(row.shape))
            and small in (None, row.case if row.case in SMALL else "")
        )

    return applies


def _other(table: str, *candidates: str, direction: str = "", case: str = "") -> Callable[[Row], bool]:
    def applies(row: Row) -> bool:
        return (
            row.table == table and row.candidate in candidates and row.direction == direction and case in ("", row.case)
        )

    return applies


SMALL = ("64×512", "256×64×1×1")  # where a call costs what checking and wrapping cost
PASSES = ("forward", "backward")
MLP, CNN = "1000 steps, MLP", "an epoch, CNN"
FAST = ("numpy", "numba")

# Memory counts to a tenth of the input: what does not grow with it (pages, thread stacks, blocks) is in the peak too.
GOALS = (
    Goal("numba", "Numba, every normalizer and shape", 1, _speed("numba", *PASSES, "relatives")),
    Goal("numba-64-512", "Numba, 64×512", 0.6, _speed("numba", *PASSES, small=SMALL[0])),
    Goal("numba-256-64", "Numba, 256×64×1×1", 0.4, _speed("numba", *PASSES, small=SMALL[1])),
    Goal(
        "numba-forward-copy",
        "Numba, forward, from 1,000,000 elements on, over the time of a copy",
        1.5,
        _speed("numba", "forward", against="copy", large=True),
    ),
    Goal(
        "numba-backward-copy",
        "Numba, backward, from 1,000,000 elements on, over the time of a copy",
        2,
        _speed("numba", "backward", against="copy", large=True),
    ),
    Goal("numpy-forward-image", "NumPy, forward, large NCHW", 0.8, _speed("numpy", "forward", large=True, rank=4)),
    Goal("memory-forward", "Extra memory, forward, in inputs", 1, _other("memory", *FAST, direction="forward"), 1),
    Goal("memory-backward", "Extra memory, backward, in inputs", 1, _other("memory", *FAST, direction="backward"), 1),
    Goal("accuracy", "Largest error of y, float32", 1e-6, _other("accuracy", "reference", *FAST)),
    Goal("network-mlp", "Numba, 1000 training steps, MLP", 0.6, _other("networks", "numba", case=MLP)),
    Goal("network-mlp-numpy", "NumPy, 1000 training steps, MLP", 1.3, _other("networks", "numpy", case=MLP)),
    Goal("network-cnn", "An epoch, CNN", 2, _other("networks", *FAST, case=CNN)),
)


def judge(rows: Iterable[Row], goals: Iterable[Goal] = GOALS) -> tuple[list[Row], list[dict[str, Any]]]:
    """Hold every row against its goal, and every goal against all its rows.

    Returns:
        The rows, with `goal`, `limit` and `reached` filled in where a goal applies; and for each goal "key", "says",
        "limit", "rows" and "reached" (how many), "worst" (None without rows, or for what is not a number) and "where".

    Raises:
        ValueError: if two goals apply to one row.
    """
    goals = list(goals)
    judged = [_held_against(row, goals) for row in rows]
    return judged, [_summary(goal, [row for row in judged if row.goal == goal.key]) for goal in goals]


def _held_against(row: Row, goals: list[Goal]) -> Row:
    applying = [goal for goal in goals if goal.applies(row)]
    if len(applying) > 1:
        raise ValueError(f"{row} is held against {', '.join(goal.key for goal in applying)}; expected one goal at most")
    for goal in applying:
        return replace(row, goal=goal.key, limit=goal.limit, reached=goal.reached_by(row.median))
    return row


def _summary(goal: Goal, rows: list[Row]) -> dict[str, Any]:
    worst = max(rows, key=lambda row: math.inf if row.median is None else row.median, default=None)
    return {
        "key": goal.key,
        "says": goal.says,
        "limit": goal.limit,
        "rows": len(rows),
        "reached": sum(bool(row.reached) for row in rows),
        "worst": worst and worst.median,
        "where": worst and f"{worst.case}, {worst.candidate}",
    }
