"""The exports: tables for a spreadsheet, and those that learning platforms import.

- `scores`, `misconceptions`: UTF-8 with a byte order mark, without which Excel reads another encoding.
- `grades`: as `nbgrader export` writes it, by nbgrader's own plugin.
- `canvas`: what Canvas imports. Columns "Student, ID, SIS User ID, SIS Login ID, Section" and one for the assignment,
  then a row "Points Possible". Canvas finds a student by ID, else by SIS User ID, else by SIS Login ID, else by name.
  The assignment is found by its name, and made if there is none. Sources: "Importing a CSV File to Grades",
  https://teaching.resources.osu.edu/toolsets/carmencanvas/guides/calculating-final-grades/import-csv-file-carmen-grades,
  and the importer itself, `lib/gradebook_importer.rb` in https://github.com/instructure/canvas-lms.
- `moodle`: what Moodle imports. One column says who, chosen in "Map from" and "Map to": username, ID number or email
  address. One has the score. Columns that are not chosen are ignored, a row without the chosen one is skipped, and one
  unknown student stops the import. Sources: "Grade import", https://docs.moodle.org/311/en/Grade_import, and the
  importer itself, `grade/import/csv/classes/load_data.php` in https://github.com/moodle/moodle.

Both platforms take UTF-8, a comma between cells and a point in numbers. Who handed in nothing, and whose grading
failed, is not in the files for platforms: what such a student gets there is the instructor's to say.

A cell that begins like a formula is one, in a spreadsheet. So names, ids, and whatever else a student can choose begin
with an apostrophe then ("CSV Injection", OWASP, https://owasp.org/www-community/attacks/CSV_Injection).
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

# The last four are the first four in full width, which some spreadsheets take for the same.
_BEGINS_A_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
BYTE_ORDER_MARK = "\ufeff"


def neutral(text: str) -> str:
    """A text that no spreadsheet takes for a formula."""
    # A space before it does not keep every spreadsheet from it.
    return f"'{text}" if text.startswith(_BEGINS_A_FORMULA) or text.lstrip().startswith(_BEGINS_A_FORMULA) else text


def number(value: float) -> str:
    """A number with a point and without an exponent."""
    return f"{value:.5f}".rstrip("0").rstrip(".")


def _table(rows: Iterable[Iterable[str | float | None]]) -> str:
    """As CSV. Texts are made neutral; None is an empty cell."""
    text = io.StringIO()
    writer = csv.writer(text)
    for row in rows:
        writer.writerow(
            "" if each is None else neutral(each) if isinstance(each, str) else number(each) for each in row
        )
    return text.getvalue()


def scores(course: Class) -> str:
    """A row for each student of the gradebook: what counts, each notebook, and its parts.

    A notebook's score is the gradebook's. A part's is what was found automatically; a text's is its reader's, and empty
    until there is one.
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
    """A row for each mistake with a name that a student made in a part."""
    rows: list[list[str | float | None]] = [["student", "notebook", "problem", "part", "misconception", "points_lost"]]
    for student, outcome in sorted(course.outcomes.items()):
        for each in outcome.found:
            if each.kind == "misconception":
                lost = max(0.0, each.max_points - each.points)
                names = " or ".join(each.misconceptions)
                rows.append([student, each.notebook, each.problem, each.part, names, lost])
    return BYTE_ORDER_MARK + _table(rows)


def canvas(course: Class) -> str:
    """Everybody who has a score, for Canvas."""
    rows: list[list[str | float | None]] = [
        ["Student", "ID", "SIS User ID", "SIS Login ID", "Section", course.assignment],
        ["    Points Possible", None, None, None, None, sum(course.most.values())],
    ]
    for student in course.scored:
        person = course.people[student]
        # Canvas takes a row for the one above if this stands in its first cell, and would change what can be earned.
        name = person.name.replace("Points Possible", "points possible")
        rows.append(
            [name, person.lms_id if person.lms_id.isdecimal() else None, None, student, None, course.total(student)]
        )
    return _table(rows)


def moodle(course: Class) -> str:
    """Everybody who has a score, for Moodle."""
    rows: list[list[str | float | None]] = [["username", "idnumber", "email", course.assignment]]
    for student in course.scored:
        person = course.people[student]
        rows.append([student, person.lms_id, person.email, course.total(student)])
    return _table(rows)


def grades(course: Class, path: Path) -> None:
    """Let nbgrader's plugin write what `nbgrader export` would, to this path.

    The plugin asks a gradebook, for each student anew, and writes texts as they are, commas too. So it is shown what
    was read already, with cells that need no more care.
    """
    plugin = CsvExportPlugin()
    plugin.to, plugin.assignment = str(path), [course.assignment]
    plugin.export(_Shown(course))


class _Shown:
    """A class as a gradebook, as far as the plugin asks."""

    def __init__(self, course: Class) -> None:
        self._course = course
        most = sum(course.most.values())
        self.assignments = [SimpleNamespace(name=course.assignment, duedate=course.due, max_score=most)]
        self._ids = {_cell(student): student for student in course.people}
        self.students = [_shown(person) for _, person in sorted(course.people.items())]

    def find_submission(self, assignment: str, student: str) -> Any:
        """One that has scores."""
        course, own = self._course, self._ids[student]
        if own not in course.scores:
            raise MissingEntry(f"No such submission: {assignment} for {student}")
        return SimpleNamespace(
            timestamp=course.at.get(own), score=course.raw(own), late_submission_penalty=course.penalty(own)
        )


class Export(CsvExportPlugin):  # type: ignore[misc]
    """`nbgrader export`, whose cells no spreadsheet takes for formulas (`c.ExportApp.plugin_class`)."""

    def export(self, gradebook: Any) -> None:
        """Write what nbgrader's plugin does."""
        self.student: list[str] = [_cell(str(each)) for each in self.student]
        super().export(_Neutral(gradebook))


class _Neutral:
    """A gradebook with cells that need no more care."""

    def __init__(self, gradebook: Any) -> None:
        self._gradebook = gradebook
        self.assignments = gradebook.assignments
        self._ids = {_cell(student.id): student.id for student in gradebook.students}
        self.students = [_shown(student) for student in gradebook.students]

    def find_submission(self, assignment: str, student: str) -> Any:
        """One of the gradebook's."""
        return self._gradebook.find_submission(assignment, self._ids[student])


def _shown(person: Person) -> SimpleNamespace:
    texts = {name: getattr(person, name) for name in ("id", "first_name", "last_name", "email")}
    return SimpleNamespace(**{name: _cell(text) if text else None for name, text in texts.items()})


def _cell(text: str) -> str:
    # The plugin could not write half a surrogate pair, as in a file name that is no UTF-8.
    return _table([[text]]).removesuffix("\r\n").encode(errors="replace").decode()


def everything(course: Class) -> Mapping[str, str]:
    """The tables that are texts, by file name."""
    return {
        "scores.csv": scores(course),
        "misconceptions.csv": misconceptions(course),
        "canvas.csv": canvas(course),
        "moodle.csv": moodle(course),
    }


def left_out(course: Class) -> int:
    """How many submissions are not in the tables for platforms."""
    return tally(course).handed_in - len(course.scored)
