"""`bn_exercises.notebook` where a submission is graded: a problem's numbers go in, answers come out, nothing is judged.

In the sandbox this file stands in the place of the module that learners use. It has the same names. What is right is
not known here: the grader judges the answers afterwards, in a process of its own.
"""

import ast
from typing import Any

import numpy as np
from IPython.display import display

from bn_exercises.answers import ANSWERS, LATER, LONGEST_SENTENCE, Unusable, plain, read

__all__ = ["check", "hand_in", "my_problem", "solution"]

# Of a text or a dictionary. The grader reads these once more, with the limits of the problem.
LONGEST_TEXT = 2 * LONGEST_SENTENCE
MOST_NAMES = 100

# What the grader sent for this notebook.
SHEET: dict[str, Any] = {}


class Asked:
    """A problem as far as it is known here: what it states, and the names of what it asks for."""

    def __init__(self, sheet: dict[str, Any]) -> None:
        self.name = sheet["name"]
        self.title = sheet["title"]
        self.given = ast.literal_eval(sheet["given"])
        self.points = sheet["points"]
        self._sheet = sheet

    @property
    def probes(self) -> list[dict[str, Any]]:
        """The inputs on which functions are tried, where functions are asked for."""
        return self._sheet["probes"]

    def suspects(self) -> dict[str, Any]:
        """The suspects of "Break it", by letter."""
        from bn_exercises.functions.break_it.suspects import as_function

        return {letter: as_function(letter, *suspect) for letter, *suspect in self.given["suspects"]}

    def holds(self, evidence: Any, function: Any) -> bool:
        """Whether a function passes the test that evidence is, in "Break it"."""
        from bn_exercises.functions.break_it.suspects import passes

        return passes(evidence, function)

    def observe(self, answers: dict[str, Any]) -> dict[str, Any]:
        """What was answered, as bounded data."""
        if self._sheet["asks_for"] == "functions":
            return _tried(self.probes, answers)
        return {name: _bounded(value) for name, value in list(answers.items())[:MOST_NAMES]}


def my_problem(
    name: str, course_key: str = "", student: str | None = None, edition: int = 1, solution_from: str = ""
) -> Asked:
    """The problem of this notebook, with the numbers of the student who handed it in.

    Raises:
        ValueError: if this notebook asks for another problem.
    """
    if name != SHEET.get("name"):
        raise ValueError(f"this notebook is about {SHEET.get('name')!r}; {name!r} is not here while it is graded")
    return Asked(SHEET)


class Later:
    """What is shown instead of a verdict, which the sandbox does not know."""

    def __repr__(self) -> str:
        return str(SHEET.get("later", LATER))


def check(problem: Any, /, **answers: Any) -> Later:
    """Nothing is judged here."""
    return Later()


def solution(problem: Any) -> Later:
    """Nothing is known here."""
    return Later()


def hand_in(problem: Any, /, **answers: Any) -> None:
    """Leave the answers in the cell's output, for the grader."""
    asked = Asked(SHEET)
    observed = asked.observe({name: None for name in asked.points} | answers)
    emitted = {"version": 1, "problem": asked.name, "numbers": SHEET["numbers"], "answers": plain(observed)}
    display({"text/plain": repr(Later()), ANSWERS: emitted}, raw=True)


def _bounded(value: Any, depth: int = 0) -> Any:
    """Text and dictionaries as they are, cut where nobody would read on; everything else as numbers."""
    kind = type(value)
    if issubclass(kind, str):
        # Half a surrogate pair cannot be stored.
        return str.__str__(value)[:LONGEST_TEXT].encode(errors="replace").decode()
    if issubclass(kind, dict) and depth < 3:
        items = list(dict.items(value))[:MOST_NAMES]
        if not all(type(name) is str for name, _ in items):
            return Unusable("The names in a dictionary are text.")
        return {name[:LONGEST_TEXT]: _bounded(each, depth + 1) for name, each in items}
    return read(value)


def _tried(probes: list[dict[str, Any]], answers: dict[str, Any]) -> dict[str, Any]:
    """What functions do with the probes: for each part, for each probe of it."""
    from bn_exercises.functions.recording import as_data, record

    observed: dict[str, Any] = {}
    for probe in probes:
        if probe["function"] in answers:
            done = record(answers[probe["function"]], probe["function"], tuple(map(_array, probe["arguments"])))
            observed.setdefault(probe["part"], {})[probe["name"]] = as_data(done)
    functions = {probe["function"] for probe in probes}
    return observed | {name: None for name in answers if name not in functions and name not in observed}


def _array(data: Any) -> Any:
    """An argument of a probe: an array with its type, a tuple of them, or a number."""
    if isinstance(data, list):
        return tuple(map(_array, data))
    return np.array(data["values"], dtype=data["dtype"]) if isinstance(data, dict) else data
