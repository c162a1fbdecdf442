"""The exports: tables for a spreadsheet, and tables that learning platforms import.

- `scores`, `misconceptions`: in UTF-8 with a byte order mark, without which Excel would assume another encoding.
- `grades`: what `nbgrader export` writes; nbgrader's own plugin writes it.
- `canvas`: what Canvas imports. Columns "Student, ID, SIS User ID, SIS Login ID, Section" and one for the assignment,
  then a row "Points Possible". Canvas finds a student by ID, else by SIS User ID, else by SIS Login ID, else by name.
  The assignment is found by its name, and made if there is none. Sources: "Importing a CSV File to Grades",
  https://teaching.resources.osu.edu/toolsets/carmencanvas/guides/calculating-final-grades/import-csv-file-carmen-grades,
  and the importer itself, `lib/gradebook_importer.rb` in https://github.com/instructure/canvas-lms.
- `moodle`: what Moodle imports. The person who imports it chooses in "Map from" and "Map to" which column identifies a
  student: username, ID number or email address. Another column has the score. Moodle ignores the columns that were not
  chosen, skips a row with nothing in the chosen one, and stops at a student that it does not know. Sources: "Grade
  import", https://docs.moodle.org/311/en/Grade_import, and the importer itself,
  `grade/import/csv/classes/load_data.php` in https://github.com/moodle/moodle.

Both platforms read UTF-8, commas between cells and points in numbers. Students who handed in nothing, or whose grading
failed, are not in the tables for platforms: the instructor decides what they get.

A spreadsheet runs a cell that begins like a formula. So a name, an id or anything else that a student can choose gets
an apostrophe before it if it begins so ("CSV Injection", OWASP, https://owasp.org/www-community/attacks/CSV_Injection).
"""

import csv
import io
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from nbgrader.api import MissingEntry  # type: ignore[import-untyped]
from nbgrader.plugins import CsvExportPlugin  # type: ignore[import-untyped]

from bn_grading.report.compute import tally
from bn_grading.report.read import Class, Person

# The last four are the full-width forms of the first four, which some spreadsheets treat alike.
_BEGINS_A_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
BYTE_ORDER_MARK = "\ufeff"


def neutral(text: str) -> str:
    """A text that no spreadsheet takes for a formula."""
    # Some spreadsheets skip spaces before a formula.
    return f"'{text}" if text.startswith(_BEGINS_A_FORMULA) or text.lstrip().startswith(_BEGINS_A_FORMULA) else text


def number(value: float) -> str:
    """A number with a point and without an exponent."""
    return f"{value:.5f}".rstrip("0").rstrip(".")


def _table(rows: Iterable[Iterable[str | float | None]]) -> str:
    """Rows as CSV. Texts are made neutral, and None becomes an empty cell."""
    text = io.StringIO()
    writer = csv.writer(text)
    for row in rows:
        writer.writerow(
            "" if each is None else neutral(each) if isinstance(each, str) else number(each) for each in row
        )
    return text.getvalue()


def scores(course: Class) -> str:
    """A row for each student of the gradebook, with the total, the score of each notebook and those of its parts.

    The score of a notebook is that of the gradebook. The score of a part is what the grader found. A text has the score
    that its reader gave, and an empty cell until then.
    """
    asked: dict[str, dict[str, None]] = {name: {} for name in course.most}
    earned: dict[str, dict[tuple[str, str], float]] = {}
    for student, outcome in course.outcomes.items():
        own = earned.setdefault(student, {})
        for each in outcome.found:
            if each.part and each.notebook in asked:
                asked[each.notebook][each.part] = None
                own[each.notebook, each.part] = each.points
    head = ["student", "last_name", "first_name", "email", "status", "waits_for_reader"]
    head += ["score", "late_penalty", "max_score"]
    for name, parts in asked.items():
        head += [name, *(f"{name}: {part}" for part in parts), *(f"{name}: {cell}" for cell in _by_hand(course, name))]
    rows: list[list[str | float | None]] = [list(head)]
    for student, person in sorted(course.people.items()):
        graded = course.scores.get(student)
        row: list[str | float | None] = [student, person.last_name, person.first_name, person.email]
        row += [_status(course, student), "yes" if course.waits(student) else "no"]
        row += [course.total(student) if graded else None, course.penalty(student) if graded else None]
        row += [sum(course.most.values())]
        for name, parts in asked.items():
            score = (graded or {}).get(name)
            row += [score.score if score else None]
            row += [earned.get(student, {}).get((name, part)) for part in parts]
            row += [score.cells.get(cell) if score else None for cell in _by_hand(course, name)]
        rows.append(row)
    return BYTE_ORDER_MARK + _table(rows)


def _by_hand(course: Class, notebook: str) -> tuple[str, ...]:
    return course.by_hand.get(notebook, ())


def _status(course: Class, student: str) -> str:
    if student in course.outcomes:
        return course.outcomes[student].status
    return "not graded yet" if student in course.handed_in else "nothing handed in"


def misconceptions(course: Class) -> str:
    """A row for each student, part and mistake with a name."""
    rows: list[list[str | float | None]] = [["student", "notebook", "problem", "part", "misconception", "points_lost"]]
    for student, outcome in sorted(course.outcomes.items()):
        for each in outcome.found:
            if each.kind == "misconception":
                lost = max(0.0, each.max_points - each.points)
                names = " or ".join(each.misconceptions)
                rows.append([student, each.notebook, each.problem, each.part, names, lost])
    return BYTE_ORDER_MARK + _table(rows)


def canvas(course: Class) -> str:
    """The table for Canvas: a row for each student who has a score."""
    rows: list[list[str | float | None]] = [
        ["Student", "ID", "SIS User ID", "SIS Login ID", "Section", course.assignment],
        ["    Points Possible", None, None, None, None, sum(course.most.values())],
    ]
    for student in course.scored:
        person = course.people[student]
        # Canvas reads a row with "Points Possible" in its first cell as the points that can be earned, so a student of
        # that name could change them.
        name = person.name.replace("Points Possible", "points possible")
        rows.append(
            [name, person.lms_id if person.lms_id.isdecimal() else None, None, student, None, course.total(student)]
        )
    return _table(rows)


def moodle(course: Class) -> str:
    """The table for Moodle: a row for each student who has a score."""
    rows: list[list[str | float | None]] = [["username", "idnumber", "email", course.assignment]]
    for student in course.scored:
        person = course.people[student]
        rows.append([student, person.lms_id, person.email, course.total(student)])
    return _table(rows)


def grades(course: Class, path: Path) -> None:
    """Have nbgrader's plugin write to `path` what `nbgrader export` would.

    The plugin would query the gradebook for each student, and would write texts as they are, with their commas. So it
    gets an object that answers from the `Class`, with texts that are already safe in a cell.
    """
    plugin = CsvExportPlugin()
    plugin.to, plugin.assignment = str(path), [course.assignment]
    plugin.export(_Shown(course))


class _Shown:
    """A `Class` that looks like a gradebook to the plugin."""

    def __init__(self, course: Class) -> None:
        self._course = course
        most = sum(course.most.values())
        self.assignments = [SimpleNamespace(name=course.assignment, duedate=course.due, max_score=most)]
        self._ids = {_cell(student): student for student in course.people}
        self.students = [_shown(person) for _, person in sorted(course.people.items())]

    def find_submission(self, assignment: str, student: str) -> Any:
        """A student's submission, if it has scores."""
        course, own = self._course, self._ids[student]
        if own not in course.scores:
            raise MissingEntry(f"No such submission: {assignment} for {student}")
        return SimpleNamespace(
            timestamp=course.at.get(own), score=course.raw(own), late_submission_penalty=course.penalty(own)
        )


class Export(CsvExportPlugin):  # type: ignore[misc]
    """nbgrader's export with cells that no spreadsheet takes for formulas: `c.ExportApp.plugin_class`."""

    def export(self, gradebook: Any) -> None:
        """Write the table that nbgrader's plugin writes, with safe cells."""
        self.student: list[str] = [_cell(str(each)) for each in self.student]
        super().export(_Neutral(gradebook))


class _Neutral:
    """A gradebook whose texts are already safe in a cell."""

    def __init__(self, gradebook: Any) -> None:
        self._gradebook = gradebook
        self.assignments = gradebook.assignments
        self._ids = {_cell(student.id): student.id for student in gradebook.students}
        self.students = [_shown(student) for student in gradebook.students]

    def find_submission(self, assignment: str, student: str) -> Any:
        """A student's submission, from the gradebook."""
        return self._gradebook.find_submission(assignment, self._ids[student])


def _shown(person: Person) -> SimpleNamespace:
    texts = {name: getattr(person, name) for name in ("id", "first_name", "last_name", "email")}
    return SimpleNamespace(**{name: _cell(text) if text else None for name, text in texts.items()})


def _cell(text: str) -> str:
    # A file name that is not UTF-8 gives a text with half a surrogate pair, which the plugin cannot write.
    return _table([[text]]).removesuffix("\r\n").encode(errors="replace").decode()


def everything(course: Class) -> Mapping[str, str]:
    """The tables that are written as texts, by file name."""
    return {
        "scores.csv": scores(course),
        "misconceptions.csv": misconceptions(course),
        "canvas.csv": canvas(course),
        "moodle.csv": moodle(course),
    }


def left_out(course: Class) -> int:
    """How many submissions are not in the tables for platforms."""
    return tally(course).handed_in - len(course.scored)
