"""The command: report on an assignment that was graded, and export its scores.

    bn-report batch-norm --book https://example.org/book

It reads the gradebook, what `bn-grade` left in `grading/`, and the code in `autograded/`, and changes none of them.
"""

import random
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from nbgrader.apps.baseapp import nbgrader_aliases, nbgrader_flags  # type: ignore[import-untyped]
from traitlets import Unicode, default

from bn_grading.assignment import NoAssignmentError, sources
from bn_grading.assignment_app import AssignmentApp
from bn_grading.report import page, tables
from bn_grading.report.alike import alike
from bn_grading.report.compute import tally
from bn_grading.report.read import NoResultsError, read_class, read_code
from bn_grading.report.write import write, write_text
from bn_grading.results import Results

FOLDER = "report"


class ReportApp(AssignmentApp):
    """The command that writes the report on an assignment, and the tables with its scores."""

    name = "bn-report"
    description = "Report on a graded assignment: what to re-teach, scores, what failed; and export the scores"
    examples = """
        After bn-grade, and once more after texts were read:

            bn-report batch-norm

        With links into the book, at the address of its front page:

            bn-report batch-norm --book https://example.org/book
        """

    aliases = {  # noqa: RUF012 - as in every application of traitlets
        **nbgrader_aliases,
        "course": "CourseDirectory.course_id",
        "book": "ReportApp.book",
    }
    flags = nbgrader_flags

    book = Unicode("", help="The address of the book's front page; without it, sections are named.").tag(config=True)

    @default("classes")
    def _classes_default(self) -> list[Any]:
        return [*super()._classes_default(), ReportApp]

    def start(self) -> None:
        """Read, compute, write, and say what was written."""
        super().start()
        assignment = self.assignment()
        if self.book and urlsplit(self.book).scheme not in ("http", "https"):
            self.fail(f"--book is {self.book!r}; expected an address that begins with https:// or http://")
        try:
            # Called for its complaints: it raises if something is wrong with the assignment.
            sources(self.coursedir.db_url, self.coursedir.course_id, assignment)
            results = Results.of(self.coursedir, assignment).path
            course = read_class(self.coursedir, assignment, results)
        except (NoAssignmentError, ValueError) as error:
            self.fail(str(error))
        except NoResultsError as error:
            self.fail(f"there is nothing to report on {assignment}: {error}\nGrade first: bn-grade {assignment}")
        for each in course.unread:
            print(each, file=sys.stderr)
        code = read_code(self.coursedir, assignment, course.scored)
        same = alike(code.written, code.known)
        folder = results.parent / FOLDER
        written = {
            "report.html": page.report(course, same, self.book),
            "report-shareable.html": page.shareable(course, same, random.SystemRandom(), self.book),
            **tables.everything(course),
        }
        for name, text in written.items():
            write_text(folder / name, text)
        write(folder / "grades.csv", lambda path: tables.grades(course, path))
        counts = tally(course)
        print(f"{counts.handed_in} submissions of {assignment}, {counts.waiting} waiting for a reader")
        for name in (*written, "grades.csv"):
            print(f"  {_short(folder / name)}")
        if left_out := tables.left_out(course):
            print(f"{left_out} without a score are not in canvas.csv and moodle.csv.")


def _short(path: Path) -> Path:
    """The path relative to the current folder, if it lies below that."""
    here = Path.cwd().resolve()
    return path.resolve().relative_to(here) if path.resolve().is_relative_to(here) else path


def main() -> None:
    """Run the command."""
    ReportApp.run()
