"""What the report is made of: the gradebook, the grader's results, and the code that was handed in.

The gradebook has the scores, as nbgrader computes them: with the points that readers gave, extra credit and late
penalties. The results have what was found in each part. Both are read in a few passes, so a class of 10,000 takes
seconds.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

from nbgrader.api import (  # type: ignore[import-untyped]
    BaseCell,
    Grade,
    Gradebook,
    Notebook,
    Student,
    SubmittedAssignment,
    SubmittedNotebook,
)

from bn_exercises.verdict import Kind, Link
from bn_grading.assignment_app import submitted
from bn_grading.results import Status, not_collected

MIB = 1 << 20
# The grader writes smaller notebooks, so a larger one is not the grader's and is not read.
LARGEST_NOTEBOOK = 256 * MIB
_STATUSES: tuple[str, ...] = get_args(Status)
_KINDS: tuple[str, ...] = get_args(Kind)


@dataclass(frozen=True)
class Person:
    """A student, as the gradebook has them.

    Attributes:
        id: the name of the student's folder in `submitted/`.
        first_name: empty if the gradebook has none, as are the following.
        last_name: the family name.
        email: the address.
        lms_id: the id on the learning platform.
    """

    id: str
    first_name: str = ""
    last_name: str = ""
    email: str = ""
    lms_id: str = ""

    @property
    def name(self) -> str:
        """The name with the last name first; the id if the gradebook has no name."""
        return ", ".join(filter(None, (self.last_name, self.first_name))) or self.id


@dataclass(frozen=True)
class Score:
    """What the gradebook says of one notebook of one student.

    Attributes:
        score: the points, with those of a reader and extra credit, before the late penalty.
        penalty: the points lost for handing in late.
        waits: whether a reader still has to give points.
        cells: by grade_id, the score of each graded cell without a call of `hand_in`; None where it waits for a reader.
    """

    score: float = 0.0
    penalty: float = 0.0
    waits: bool = False
    cells: Mapping[str, float | None] = field(default_factory=dict)


@dataclass(frozen=True)
class Found:
    """What was found in one part of one student's answers: a `Finding` with its notebook and problem.

    Attributes:
        notebook: the notebook's name.
        problem: the problem's name.
        part: the part's name; empty for a finding about the whole answer.
        title: the part's title, as a reader sees it.
        kind: as in `Finding`.
        sentence: what the learner is told.
        misconceptions: the names of the mistakes that match.
        see: the section of the book to read.
        points: what was earned.
        max_points: what could be earned.
    """

    notebook: str
    problem: str
    part: str
    title: str
    kind: str
    sentence: str
    misconceptions: tuple[str, ...] = ()
    see: Link | None = None
    points: float = 0.0
    max_points: float = 0.0


@dataclass(frozen=True)
class Outcome:
    """What happened to one submission when it was graded the last time.

    Attributes:
        status: as in `Result`.
        problems: what went wrong, each in a sentence, which may contain names of the student's files.
        found: the findings in all parts.
        seconds: how long each notebook ran in the sandbox, by name.
    """

    status: str
    problems: tuple[str, ...] = ()
    found: tuple[Found, ...] = ()
    seconds: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Class:
    """All that the report is made of.

    Attributes:
        assignment: the assignment's name.
        most: the points that each notebook is worth, by its name, in order.
        people: everybody in the gradebook and everybody who handed in, by id.
        handed_in: the ids of those with a submission.
        scores: by id and notebook, for the submissions that are in the gradebook.
        outcomes: by id, for the submissions that the grader tried.
        by_hand: the grade_ids of graded cells that do not call `hand_in`, by notebook.
        at: when each submission was handed in, by id.
        due: when the assignment was due.
        unread: what could not be read in the results, each in a sentence.
        not_collected: why submissions were refused when they were collected, by the names of their folders.
    """

    assignment: str
    most: Mapping[str, float]
    people: Mapping[str, Person]
    handed_in: frozenset[str]
    scores: Mapping[str, Mapping[str, Score]]
    outcomes: Mapping[str, Outcome]
    by_hand: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    at: Mapping[str, Any] = field(default_factory=dict)
    due: Any = None
    unread: tuple[str, ...] = ()
    not_collected: Mapping[str, str] = field(default_factory=dict)

    def raw(self, student: str) -> float:
        """The points of all notebooks, before the penalty."""
        return sum(each.score for each in self.scores.get(student, {}).values())

    def penalty(self, student: str) -> float:
        """The points lost for handing in late, in all notebooks."""
        return sum(each.penalty for each in self.scores.get(student, {}).values())

    def total(self, student: str) -> float:
        """The points that count, as nbgrader exports them: never below 0."""
        return max(0.0, self.raw(student) - self.penalty(student))

    def waits(self, student: str) -> bool:
        """Whether a reader still has to give points."""
        return any(each.waits for each in self.scores.get(student, {}).values())

    @property
    def scored(self) -> list[str]:
        """The ids of those whose score means something: they are in the gradebook, and their grading did not fail."""
        failed = {student for student, outcome in self.outcomes.items() if outcome.status == "failed"}
        return sorted(self.scores.keys() - failed)


class NoResultsError(Exception):
    """There is nothing to report yet."""


# The grader's results


def outcomes(path: Path) -> tuple[dict[str, Outcome], tuple[str, ...]]:
    """The newest outcome of each student, and a sentence for each line that could not be read.

    The file may be large, so it is read line by line.

    Raises:
        NoResultsError: if no line can be read.
    """
    found: dict[str, Outcome] = {}
    unread: list[str] = []
    # Most findings are the same for many students, so equal ones are kept in memory once.
    kept: dict[Found, Found] = {}
    if path.exists():
        with path.open(encoding="utf-8", errors="replace") as lines:
            for number, line in enumerate(lines, 1):
                if not line.strip():
                    continue
                try:
                    student, outcome = _outcome(json.loads(line), kept)
                except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
                    unread.append(
                        f"Line {number} of {path.name} is not read. Expected: a JSON object with student, status, "
                        f"problems and notebooks, as bn-grade writes it. Found: {_shortly(error)}"
                    )
                else:
                    found[student] = outcome
    if not found:
        said = "".join(f"\n{each}" for each in unread[:3])
        raise NoResultsError(f"expected the grader's results in {path}, a line for each submission{said}")
    return found, tuple(unread)


def _outcome(data: Any, kept: dict[Found, Found]) -> tuple[str, Outcome]:
    student, status, problems = data["student"], data["status"], data.get("problems") or []
    if not isinstance(student, str) or not student:
        raise ValueError(f"student is {student!r}, and should be an id")
    if status not in _STATUSES:
        raise ValueError(f"status is {status!r}, and should be one of {', '.join(_STATUSES)}")
    if not isinstance(problems, list):
        raise ValueError(f"problems is {problems!r}, and should be a list")
    found, seconds = [], {}
    for notebook, graded in (data.get("notebooks") or {}).items():
        seconds[notebook] = float(graded.get("seconds") or 0)
        for verdict in (graded.get("verdicts") or {}).values():
            each = [_found(notebook, verdict["problem"], finding) for finding in verdict["findings"]]
            found += [kept.setdefault(one, one) for one in each]
    return student, Outcome(status, tuple(map(str, problems)), tuple(found), seconds)


def _found(notebook: str, problem: Any, finding: Any) -> Found:
    kind, see = finding["kind"], finding.get("see")
    if kind not in _KINDS:
        raise ValueError(f"kind is {kind!r}, and should be one of {', '.join(_KINDS)}")
    return Found(
        notebook,
        str(problem),
        str(finding["part"]),
        str(finding["title"]),
        kind,
        str(finding["sentence"]),
        tuple(map(str, finding.get("misconceptions") or ())),
        Link(str(see["text"]), str(see["anchor"]), str(see["page"])) if see else None,
        float(finding.get("points") or 0),
        float(finding.get("max_points") or 0),
    )


def _shortly(error: Exception) -> str:
    said = f"{type(error).__name__}: {error}"
    return said if len(said) <= 200 else f"{said[:200]}…"


# The gradebook


def read_class(coursedir: Any, assignment: str, results: Path) -> Class:
    """Read everything but the code.

    Args:
        coursedir: nbgrader's.
        assignment: its name, which the gradebook knows.
        results: the grader's file.

    Raises:
        NoResultsError: if nothing was graded yet.
    """
    found, unread = outcomes(results)
    with Gradebook(coursedir.db_url, coursedir.course_id) as gradebook:
        entry = gradebook.find_assignment(assignment)
        most = {each.name: float(each.max_score) for each in sorted(entry.notebooks, key=lambda each: str(each.name))}
        by_hand = {
            each.name: tuple(
                cell.name for cell in [*each.grade_cells, *each.task_cells] if not _hands_in(each, cell.name)
            )
            for each in entry.notebooks
        }
        people = _people(gradebook)
        at = _handed_in_at(gradebook, entry.id)
        scores = _scores(gradebook, entry.id, by_hand)
        due = entry.duedate
    handed_in = frozenset({*submitted(coursedir, assignment, coursedir.submitted_directory), *found, *scores})
    people |= {student: Person(student) for student in handed_in - people.keys()}
    refused = not_collected(coursedir, assignment)
    return Class(assignment, most, people, handed_in, scores, found, by_hand, at, due, unread, refused)


def _hands_in(notebook: Any, cell: str) -> bool:
    """Whether a graded cell calls `hand_in`: then its points are the sum of its parts' points."""
    source = next((each.source for each in notebook.source_cells if each.name == cell), None)
    return re.search(r"^hand_in\(", source or "", re.MULTILINE) is not None


# nbgrader defines scores as SQL expressions of its columns. Asking for those columns gives the numbers that its objects
# have, without a query for each object.


def _people(gradebook: Any) -> dict[str, Person]:
    rows = gradebook.db.query(
        Student.id, Student.first_name, Student.last_name, Student.email, Student.lms_user_id
    ).all()
    return {row[0]: Person(*(each or "" for each in row)) for row in rows}


def _handed_in_at(gradebook: Any, assignment: str) -> dict[str, Any]:
    rows = (
        gradebook.db.query(SubmittedAssignment.student_id, SubmittedAssignment.timestamp)
        .filter(SubmittedAssignment.assignment_id == assignment)
        .all()
    )
    return dict(map(tuple, rows))


def _scores(gradebook: Any, assignment: str, by_hand: Mapping[str, Iterable[str]]) -> dict[str, dict[str, Score]]:
    of_notebooks = (
        gradebook.db.query(
            SubmittedNotebook.id,
            SubmittedAssignment.student_id,
            Notebook.name,
            SubmittedNotebook.late_submission_penalty,
        )
        .join(SubmittedAssignment, SubmittedNotebook.assignment_id == SubmittedAssignment.id)
        .join(Notebook, SubmittedNotebook.notebook_id == Notebook.id)
        .filter(SubmittedAssignment.assignment_id == assignment)
    )
    grades = (
        gradebook.db.query(Grade.notebook_id, BaseCell.name, Grade.score, Grade.needs_manual_grade)
        .join(BaseCell, Grade.cell_id == BaseCell.id)
        .join(SubmittedNotebook, Grade.notebook_id == SubmittedNotebook.id)
        .join(SubmittedAssignment, SubmittedNotebook.assignment_id == SubmittedAssignment.id)
        .filter(SubmittedAssignment.assignment_id == assignment)
    )
    cells: dict[str, list[tuple[str, float, bool]]] = {}
    for notebook, name, score, waits in grades:
        cells.setdefault(notebook, []).append((name, float(score or 0), bool(waits)))
    scores: dict[str, dict[str, Score]] = {}
    for key, student, name, penalty in of_notebooks:
        graded = cells.get(key, [])
        scores.setdefault(student, {})[name] = Score(
            sum(score for _, score, _ in graded),
            float(penalty or 0),
            any(waits for _, _, waits in graded),
            {cell: None if waits else score for cell, score, waits in graded if cell in by_hand[name]},
        )
    return scores


# The code


@dataclass(frozen=True)
class Code:
    """The code in the cells for solutions.

    Attributes:
        known: the released cell and the instructor's solution, by notebook and grade_id.
        written: what was handed in, by notebook, student and grade_id.
    """

    known: dict[str, dict[str, tuple[str, ...]]]
    written: dict[str, dict[str, dict[str, str]]]


def read_code(coursedir: Any, assignment: str, students: Iterable[str]) -> Code:
    """Read the cells for solutions as they were graded, from `autograded/`. What is not there is left out."""
    released: dict[str, dict[str, str]] = {}
    with Gradebook(coursedir.db_url, coursedir.course_id) as gradebook:
        for notebook in gradebook.find_assignment(assignment).notebooks:
            wanted = {cell.name for cell in notebook.solution_cells}
            released[notebook.name] = {
                cell.name: cell.source
                for cell in notebook.source_cells
                if cell.name in wanted and cell.cell_type == "code"
            }
    source = Path(coursedir.format_path(coursedir.source_directory, ".", assignment))
    known: dict[str, dict[str, tuple[str, ...]]] = {}
    for name, cells in released.items():
        solved = _cells(source / f"{name}.ipynb", cells)
        known[name] = {cell: tuple({stub, solved.get(cell, stub)}) for cell, stub in cells.items()}
    # Many students write the same text, so equal ones are kept in memory once.
    kept: dict[str, str] = {}
    written: dict[str, dict[str, dict[str, str]]] = {name: {} for name in released}
    for student in students:
        folder = Path(coursedir.format_path(coursedir.autograded_directory, student, assignment))
        for name, cells in released.items():
            own = _cells(folder / f"{name}.ipynb", cells)
            if own:
                written[name][student] = {cell: kept.setdefault(text, text) for cell, text in own.items()}
    return Code(known, written)


def _cells(path: Path, wanted: Mapping[str, str]) -> dict[str, str]:
    """The sources of the wanted cells of a notebook; empty if the notebook is not there or cannot be read."""
    try:
        if path.stat().st_size > LARGEST_NOTEBOOK:
            return {}
        cells = json.loads(path.read_bytes())["cells"]
        sources = {cell["metadata"].get("nbgrader", {}).get("grade_id"): cell["source"] for cell in cells}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}
    return {name: "".join(sources[name]) for name in wanted if isinstance(sources.get(name), str | list)}
