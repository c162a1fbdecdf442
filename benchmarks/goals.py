"""One row of a table, and the goals that rows are held against. Measuring lives in the modules beside this one.

A goal is judged by the worst of its rows, each by its median. It was set before the code was written, and is not moved.
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
        table: "forward", "backward", "memory", "accuracy", "networks", "growth" or "neighbour".
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


def _speed(candidate: str, table: str, against: str = "torch", **wanted: bool) -> Callable[[Row], bool]:
    """Rows of one candidate's times, all of them or those whose shape is (`image`, `many_rows`, `large`) as wanted."""

    def applies(row: Row) -> bool:
        if (row.candidate, row.table, row.against) != (candidate, table, against):
            return False
        is_so = {
            "image": len(row.shape) == 4,  # by the letter NCHW: also (256, 64, 1, 1)
            "many_rows": row.shape[0] >= 1024,
            "large": math.prod(row.shape) >= LARGE,
        }
        return all(is_so[name] == value for name, value in wanted.items())

    return applies


def _other(table: str, *candidates: str, direction: str = "", case: str = "") -> Callable[[Row], bool]:
    def applies(row: Row) -> bool:
        return (
            row.table == table and row.candidate in candidates and row.direction == direction and case in ("", row.case)
        )

    return applies


MLP, CNN = "1000 steps, MLP", "an epoch, CNN"
FAST = ("numpy", "numba")

# Memory counts to a tenth of the input: what does not grow with it (pages, thread stacks, blocks) is in the peak too.
GOALS = (
    Goal("numpy-forward-image", "NumPy, forward, NCHW", 0.65, _speed("numpy", "forward", image=True)),
    Goal("numpy-backward-image", "NumPy, backward, NCHW", 1.5, _speed("numpy", "backward", image=True)),
    Goal(
        "numpy-forward-rows",
        "NumPy, forward, (N, C) of at least 1024 rows",
        2.5,
        _speed("numpy", "forward", image=False, many_rows=True),
    ),
    Goal("numba-forward-image", "Numba, forward, NCHW", 0.30, _speed("numba", "forward", image=True)),
    Goal("numba-forward-rows", "Numba, forward, (N, C)", 0.65, _speed("numba", "forward", image=False)),
    Goal("numba-backward", "Numba, backward", 0.65, _speed("numba", "backward")),
    Goal(
        "numba-backward-copy",
        "Numba, backward, large NCHW, over the time of a copy",
        1.3,
        _speed("numba", "backward", "copy", image=True, large=True),
    ),
    Goal("memory-forward", "Extra memory, forward, in inputs", 1, _other("memory", *FAST, direction="forward"), 1),
    Goal("memory-backward", "Extra memory, backward, in inputs", 1, _other("memory", *FAST, direction="backward"), 1),
    Goal("accuracy", "Largest error of y, float32", 1e-6, _other("accuracy", "reference", *FAST)),
    Goal("network-mlp", "1000 training steps, MLP", 0.6, _other("networks", *FAST, case=MLP)),
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
