"""From a problem to its sheet: what a notebook in the sandbox is told of it. No answer is in it."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from bn_exercises.notebook import fingerprint
from bn_exercises.problem import Problem
from bn_exercises.problems.adaptive.problem import AdaptiveNormalization
from bn_exercises.problems.break_it.problem import BreakIt
from bn_exercises.problems.implement.problem import Implement
from bn_exercises.task import JudgingTask
from bn_grading import what_enters

_ASKS_FOR: Mapping[type, str] = {
    Problem: "numbers",
    AdaptiveNormalization: "formulas",
    BreakIt: "evidence",
    Implement: "functions",
}


def sheet(task: Problem | JudgingTask) -> dict[str, Any]:
    """What goes in, as JSON has it.

    Raises:
        TypeError: for a problem of another kind: somebody has to say how its answers are observed in the sandbox.
    """
    if type(task) not in _ASKS_FOR:
        raise TypeError(f"{task.name}: no sheet is known for a {type(task).__name__}; expected one of {_kinds()}")
    told: dict[str, Any] = {
        "name": task.name,
        "title": task.title,
        # Tuples and all; the sandbox reads it as a literal.
        "given": repr(dict(task.given)),
        "points": dict(task.points),
        "numbers": fingerprint(task),
        "asks_for": _ASKS_FOR[type(task)],
    }
    if isinstance(task, Implement):
        told["probes"] = [
            {"part": p.part, "name": p.name, "function": p.function, "arguments": [_plain(a) for a in p.arguments]}
            for p in task.probes
        ]
    return told


def modules(task: Problem | JudgingTask) -> dict[str, str]:
    """Sources that only the notebook of this problem gets."""
    return what_enters.suspects() if isinstance(task, BreakIt) else {}


def _plain(argument: Any) -> Any:
    if isinstance(argument, tuple):
        return [_plain(each) for each in argument]
    if isinstance(argument, np.ndarray):
        return {"values": argument.tolist(), "dtype": str(argument.dtype)}
    return argument


def _kinds() -> str:
    return ", ".join(kind.__name__ for kind in _ASKS_FOR)
