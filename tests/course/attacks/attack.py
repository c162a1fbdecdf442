"""What an attack is: a submission that tries something, what of it is honest work, and what must come of it.

Every attacker hands in one notebook, usually exercise 1, in one of three states. `NOTHING` is the notebook as it was
released: it earns 0, so every point is a hole. `SOLVED` has all answers, each by itself: it earns 10, and the attack
must not cost what other cells earn. What a cell that ends the process, or has to be ended, would have answered is lost.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..conftest import BASIC, answers

Edit = Callable[[Path], None]

ALL = 10.0
# The answers of exercise 1, none of which needs another, so that one can fail alone: 2 + 2 + 3 + 3.
ANSWERS = {
    "mean": "mean = X.mean(axis=0)",
    "var": "var = X.var(axis=0)",
    "x_hat": "x_hat = (X - X.mean(axis=0)) / np.sqrt(X.var(axis=0) + eps)",
    "y": "y = gamma * (X - X.mean(axis=0)) / np.sqrt(X.var(axis=0) + eps) + beta",
}
# What an attack's code starts with: it says what it got, or that it got nothing. Tests look for the words.
ATTEMPT = """\
def attempt(what, function):
    try:
        print("REFUSED" if (got := function()) is None else f"GOT {got}", what)
    except BaseException as error:
        print("REFUSED", type(error).__name__, what)

"""
# What only the instructor may read. It lies in many places, and must not come out of any.
CANARY = "canary-7f3a-of-the-instructor"


@dataclass(frozen=True)
class Attack:
    """One submission.

    Attributes:
        name: the student's id; what is tried, in a word or two.
        edit: makes the submission out of the released notebook, whose path it is given.
        score: what the honest part earns.
        stopped: how many cells had to be stopped, or ended the process themselves; None, if that depends.
        problems: words in what the grader says went wrong; none, and the submission is simply graded.
        says: words that must be in the cells' outputs, which show that the attack was tried.
        hides: words that must not be in anything that was written for this student.
        notebook: the exercise that is attacked.
        failed: whether there are no scores at all.
    """

    name: str
    edit: Edit
    score: float
    stopped: int | None = 0
    problems: tuple[str, ...] = ()
    says: tuple[str, ...] = ()
    hides: tuple[str, ...] = ("GOT ",)
    notebook: str = BASIC
    failed: bool = False

    @property
    def status(self) -> str:
        """In the grader's words."""
        if self.failed:
            return "failed"
        return "graded" if self.stopped == 0 and not self.problems else "graded in part"


def code(source: str, **cells: str) -> Edit:
    """All answers, and a cell of the attacker's own before them."""
    return both(answers(**ANSWERS | cells), own(source))


def nothing(source: str, **cells: str) -> Edit:
    """No answers, but a cell of the attacker's own, and any cells that are given."""
    return both(answers(**cells), own(source))


def both(*edits: Edit) -> Edit:
    """One after the other."""

    def edit(path: Path) -> None:
        for each in edits:
            each(path)

    return edit


def own(source: str, *, before: str = "mean-question", kind: str = "code") -> Edit:
    """A cell of the attacker's own."""

    def edit(path: Path) -> None:
        notebook = json.loads(path.read_text())
        cell: dict[str, Any] = {"cell_type": kind, "id": f"own-{len(notebook['cells'])}", "metadata": {}}
        cell["source"] = ATTEMPT + source if "attempt(" in source else source
        if kind == "code":
            cell |= {"outputs": [], "execution_count": None}
        notebook["cells"].insert(index_of(notebook, before), cell)
        path.write_text(json.dumps(notebook))

    return edit


def change(function: Callable[[dict[str, Any]], None], **cells: str) -> Edit:
    """No answers but those given; what the function does to the notebook, which is a dictionary."""

    def edit(path: Path) -> None:
        answers(**cells)(path)
        notebook = json.loads(path.read_text())
        function(notebook)
        path.write_text(json.dumps(notebook))

    return edit


def index_of(notebook: Mapping[str, Any], grade_id: str) -> int:
    """Where a cell is."""
    ids = [cell["metadata"].get("nbgrader", {}).get("grade_id") for cell in notebook["cells"]]
    return ids.index(grade_id)


def cell_of(notebook: Mapping[str, Any], grade_id: str) -> dict[str, Any]:
    """The cell itself."""
    found: dict[str, Any] = notebook["cells"][index_of(notebook, grade_id)]
    return found


@dataclass(frozen=True)
class Theme:
    """Attacks of one kind.

    Attributes:
        name: which kind.
        attacks: in no order that matters: submissions are graded by the students' names.
    """

    name: str
    attacks: tuple[Attack, ...] = field(default_factory=tuple)


# Whoever just answers.
HONEST = Attack("honest", answers(**ANSWERS), ALL)
