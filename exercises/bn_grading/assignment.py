"""What the gradebook says of an assignment: its notebooks, and which of their cells hand in answers to which problem.

All of it comes from the instructor's cells, as `nbgrader generate_assignment` stored them. So neither the problem nor
the numbers of a student depend on anything that was handed in.
"""

import json
import re
from dataclasses import dataclass
from typing import Any

from nbgrader.api import Gradebook, MissingEntry  # type: ignore[import-untyped]
from sqlalchemy.exc import SQLAlchemyError

from bn_exercises.notebook import my_problem
from bn_exercises.problem import Problem
from bn_exercises.problems import TASKS

_PROBLEM = re.compile(
    r"my_problem\(\s*(['\"])(?P<name>[\w-]+)\1\s*(?:,\s*solution_from=(['\"])[\d-]+\3\s*)?"
    r"(?:,\s*course_key=(['\"])(?P<key>.*?)\4\s*(?:,\s*edition=(?P<edition>\d+)\s*)?)?\)"
)
_LANGUAGE = re.compile(r"^bn_exercises\.language\((['\"])(?P<code>\w+)\1\)", re.MULTILINE)
_HAND_IN = re.compile(r"^hand_in\(", re.MULTILINE)


class NoAssignmentError(Exception):
    """The gradebook does not know the assignment, or cannot be read."""


@dataclass(frozen=True)
class Source:
    """A notebook of the assignment, as the instructor wrote it.

    Attributes:
        name: without ".ipynb".
        problem: the name of the problem that it is about; empty, if it is none of ours.
        course_key: what students' own numbers are drawn with; empty, and all have the same.
        edition: of the lists that they are drawn with.
        language: of its verdicts; empty, if it does not say.
        hands_in: the grade_ids of the cells whose answers we judge.
        graded: the grade_ids of all cells that are graded by running them, in order.
        cells: the sources of all cells of the instructor's, by grade_id, in order.
        metadata: what nbgrader keeps in a notebook about each of its cells.
    """

    name: str
    problem: str
    course_key: str
    edition: int
    language: str
    hands_in: tuple[str, ...]
    graded: tuple[str, ...]
    cells: dict[str, str]
    metadata: dict[str, dict[str, Any]]

    def task(self, student: str) -> Problem | None:
        """The problem with this student's numbers; None, if the notebook is about none of ours."""
        if not self.problem:
            return None
        return my_problem(self.problem, self.course_key, student, self.edition)


def sources(db_url: str, course_id: str, assignment: str) -> dict[str, Source]:
    """The notebooks of an assignment, by name.

    Raises:
        NoAssignmentError: if there is none of that name, it has no notebooks, or the gradebook cannot be read.
        ValueError: if a notebook is not in Python, or hands in answers and no locked cell says to which problem.
    """
    try:
        found = _sources(db_url, course_id, assignment)
    except SQLAlchemyError as error:
        raise NoAssignmentError(f"the gradebook cannot be reached: {type(error).__name__}: {error}") from error
    if not found:
        raise NoAssignmentError(f"the assignment {assignment!r} has no notebooks")
    return found


def _sources(db_url: str, course_id: str, assignment: str) -> dict[str, Source]:
    with Gradebook(db_url, course_id) as gradebook:
        try:
            notebooks = gradebook.find_assignment(assignment).notebooks
        except MissingEntry:
            known = ", ".join(each.name for each in gradebook.assignments) or "none"
            raise NoAssignmentError(
                f"the gradebook knows no assignment {assignment!r}; it knows: {known}. "
                f"Run `nbgrader generate_assignment {assignment}` first."
            ) from None
        return {each.name: _source(each) for each in notebooks}


def _source(notebook: Any) -> Source:
    name = notebook.name
    language = json.loads(notebook.kernelspec or "{}").get("language", "python")
    if language.lower() != "python":
        raise ValueError(f"{name}: it is written in {language}, and bn-grade runs Python only")
    cells = {each.name: each for each in notebook.source_cells}
    grades = {each.name: float(each.max_score) for each in notebook.grade_cells}
    by_hand = {each.name for each in notebook.solution_cells}
    graded = tuple(each for each, cell in cells.items() if each in grades.keys() - by_hand and cell.cell_type == "code")
    hands_in = tuple(each for each in graded if _HAND_IN.search(cells[each].source))
    asked = [found for cell in cells.values() if cell.locked and (found := _PROBLEM.search(cell.source))]
    if hands_in and (len(asked) != 1 or asked[0]["name"] not in TASKS):
        raise ValueError(
            f"{name}: its cell {hands_in[0]} hands in answers, and {len(asked)} locked cells say to which problem; "
            f'expected one, with my_problem("NAME"), where NAME is one of {", ".join(TASKS)}'
        )
    problem, key = (asked[0]["name"], asked[0]["key"] or "") if hands_in else ("", "")
    edition = int(asked[0]["edition"] or 1) if hands_in else 1
    spoken = [found["code"] for cell in cells.values() if cell.locked and (found := _LANGUAGE.search(cell.source))]
    tasks = {each.name: float(each.max_score) for each in notebook.task_cells}
    metadata = {
        each: {
            "grade": each in grades,
            "grade_id": each,
            "locked": bool(cell.locked),
            "schema_version": 3,
            "solution": each in by_hand,
            "task": each in tasks,
            "cell_type": cell.cell_type,
            "checksum": cell.checksum,
        }
        | ({"points": (grades | tasks)[each]} if each in grades | tasks else {})
        for each, cell in cells.items()
    }
    return Source(
        name,
        problem,
        key,
        edition,
        spoken[0] if spoken else "",
        hands_in,
        graded,
        {n: cell.source for n, cell in cells.items()},
        metadata,
    )
