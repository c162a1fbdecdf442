"""What an exercise's notebook uses: its numbers, a check at any time, and handing in.

    from bn_exercises.notebook import check, hand_in, my_problem, solution

    problem = my_problem("basic-calculation")
    check(problem, mean=[5, 7, 9])
    hand_in(problem, mean=[5, 7, 9], var=[5, 5, 5], x_hat=..., y=...)
    solution(problem)

`hand_in` stands in the cell that is graded. Its output holds the answers as plain data beside the verdict, and what it
returns is the score, which nbgrader takes as the points of the cell.
"""

import os
from typing import Any

from IPython.display import display

from bn_exercises.answers import ANSWERS, plain
from bn_exercises.check import SESSION, Checked, check, refuse_other, solution
from bn_exercises.course.student import account
from bn_exercises.problem import EDITIONS, Problem, seed_for
from bn_exercises.problems import TASKS

__all__ = ["check", "hand_in", "my_problem", "solution"]


def my_problem(
    name: str, course_key: str = "", student: str | None = None, edition: int = 1, solution_from: str = ""
) -> Problem:
    """The problem, with the numbers of this student if the course gives each their own.

    Args:
        name: as in the notebook's file name, "basic-calculation".
        course_key: what the course's numbers are drawn with; empty, and everybody has those of the book.
        student: the id; by default the grader's word for it, or the name of this account, as nbgrader takes it.
        edition: of the lists that they are drawn with. A course keeps the one that it began with.
        solution_from: the day, YYYY-MM-DD, before which `solution` shows nothing in this session; empty, and it does.

    Raises:
        ValueError: if there is no such problem, edition or day, or the course needs to know who you are and cannot.
    """
    if name not in TASKS:
        raise ValueError(f"there is no problem {name!r}; expected one of {', '.join(TASKS)}")
    if edition not in range(1, EDITIONS + 1):
        raise ValueError(f"there is no edition {edition} of the numbers; expected 1 to {EDITIONS}")
    problem = TASKS[name]
    if course_key:
        problem = problem.variant(seed_for(student or account(), course_key, name), edition)
    if solution_from:
        SESSION.close_solutions(solution_from)
    return problem


class NotYetError(Exception):
    """Not all points: how `nbgrader validate` comes to show the verdict. Its traceback is the verdict."""

    def __init__(self, checked: Checked) -> None:
        super().__init__(repr(checked))

    def _render_traceback_(self) -> list[str]:
        return [str(self)]


def hand_in(problem: Problem, /, **answers: Any) -> float:
    """Show the verdict on all answers, leave them in the cell's output for the grader, and return the score.

    Args:
        problem: what `my_problem` returned.
        answers: a value for each part, by the part's name.

    Raises:
        NotYetError: in `nbgrader validate`, unless all points were earned.
        TypeError: if `problem` is none.
    """
    refuse_other(problem)
    observed = problem.observe({name: None for name in problem.points} | answers)
    checked = SESSION.judge(problem, observed)
    emitted = {"version": 1, "problem": problem.name, "numbers": problem.fingerprint, "answers": plain(observed)}
    shown = {"text/plain": repr(checked), "text/html": checked._repr_html_(), ANSWERS: emitted}
    display(shown, raw=True)  # type: ignore[no-untyped-call]
    if os.environ.get("NBGRADER_EXECUTION") == "validate" and not checked.verdict.right:
        raise NotYetError(checked)
    return checked.verdict.score
