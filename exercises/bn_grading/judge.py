"""What came out of the sandbox, looked at: outputs cleaned, answers judged. Done apart (`apart`), with limits.

Of everything that reads what students' code put out, this module alone knows the right answers.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from nbformat import NotebookNode
from nbformat.v4 import new_output

from bn_exercises.answers import ANSWERS, from_plain
from bn_exercises.check import Checked, Session
from bn_exercises.notebook import my_problem
from bn_exercises.problem import Problem
from bn_exercises.translation import said, speaking
from bn_grading import outputs

OTHER_NUMBERS = "The answers here are to other numbers than yours. They were not looked at."
NOTHING_CAME = (
    "The cell that hands in your answers left none. Run all cells of the notebook from the first, and look why."
)
# Characters of answers that are kept in the notebook; the answers to all of "Implement it" have 30,000.
_MOST_KEPT = 200_000


def look(
    put_out: Mapping[int, Any],
    hand_in: Iterable[int],
    problem: str,
    course_key: str,
    edition: int,
    student: str,
    language: str = "",
) -> tuple[dict[int, list[NotebookNode]], dict[int, tuple[Checked, NotebookNode]]]:
    """Whatever cells put out as outputs of a notebook, and the verdicts on what some of them handed in.

    Args:
        put_out: at which nobody looked yet, by the cell's place.
        hand_in: the places of the cells whose answers are judged.
        problem: the name of the problem to which they are.
        course_key: what the student's numbers are drawn with; empty, and all have the same.
        edition: of the lists that they are drawn with.
        student: the id.
        language: in which the verdicts are shown; empty, and it is the one that is set.

    Returns:
        The outputs of each cell; and of each that hands in, the verdict and the output that shows it.
    """
    read = {index: outputs.read(each) for index, each in put_out.items()}
    verdicts = {}
    with speaking(language):
        for index in hand_in:
            verdicts[index] = _verdict(
                my_problem(problem, course_key, student, edition), outputs.answers(put_out.get(index))
            )
    return read, verdicts


def _verdict(task: Problem, untrusted: Any) -> tuple[Checked, NotebookNode]:
    """The verdict on what a cell handed in, and the output that shows it."""
    emitted = untrusted if isinstance(untrusted, dict) else {}
    given = emitted.get("answers")
    note = ""
    if untrusted is None:
        note, given = said(NOTHING_CAME), None
    elif emitted.get("problem") != task.name or emitted.get("numbers") != task.fingerprint:
        note, given = said(OTHER_NUMBERS), None
    answers = {name: from_plain(value) for name, value in given.items()} if isinstance(given, dict) else {}
    checked = Session().judge(task, {name: None for name in task.points} | answers)
    shown = {"text/plain": repr(checked), "text/html": checked._repr_html_()}
    if note:
        shown = {"text/plain": f"{note}\n{shown['text/plain']}", "text/html": f"<p>{note}</p>{shown['text/html']}"}
    elif len(json.dumps(untrusted)) <= _MOST_KEPT:
        shown[ANSWERS] = untrusted
    return checked, new_output("display_data", data=shown)
