"""One gradebook for all of a run: what it asks of the database does not grow with the class."""

import os
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
from nbformat.v4 import new_notebook, new_output
from nbgrader.api import Gradebook
from nbgrader.preprocessors import SaveAutoGrades
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError, OperationalError
from traitlets import Unicode
from traitlets.config import Config, LoggingConfigurable

from bn_grading.gradebook import OneGradebook, of_one_gradebook
from bn_grading.record import stops_the_run

from .test_grading import cell_of

# nbgrader's own, when a submission is new to the gradebook.
pytestmark = pytest.mark.filterwarnings("ignore:Object of type:sqlalchemy.exc.SAWarning")

CELLS = [f"part-{number}" for number in range(4)]


def hand_in(gradebook: Gradebook, student: str) -> None:
    gradebook.update_or_create_student(student)
    submission = gradebook.update_or_create_submission("sums", student)
    for notebook in submission.notebooks:
        for grade in notebook.grades:
            grade.auto_score = 1.0


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a gradebook with an assignment of two notebooks, which nobody has handed in."""
    path = tmp_path_factory.mktemp("released") / "gradebook.db"
    with pytest.MonkeyPatch.context() as patch:
        # Where nbgrader finds the program that makes the tables.
        patch.setenv("PATH", str(Path(sys.executable).parent), prepend=os.pathsep)
        made = Gradebook(f"sqlite:///{path}", "course")
    with made as gradebook:
        gradebook.add_assignment("sums")
        for notebook in ("one", "two"):
            gradebook.add_notebook(notebook, "sums")
            for cell in CELLS:
                gradebook.add_grade_cell(cell, notebook, "sums", max_score=2, cell_type="code")
                gradebook.add_solution_cell(cell, notebook, "sums")
    return path


@pytest.fixture
def gradebook(released: Path, tmp_path: Path) -> OneGradebook:
    """The same, for one test."""
    return OneGradebook(f"sqlite:///{shutil.copy(released, tmp_path)}", "course")


def steps(gradebook: Gradebook, student: str) -> int:
    """How many steps SQLite goes to find a grade and a comment: a count, and no time."""
    connection: Any = gradebook.db.connection().connection.driver_connection
    taken = 0

    def step() -> int:
        nonlocal taken
        taken += 1
        return 0

    connection.set_progress_handler(step, 1)
    gradebook.find_grade("part-2", "two", "sums", student)
    gradebook.find_comment("part-2", "two", "sums", student)
    connection.set_progress_handler(None, 1)
    return taken


def test_a_grade_is_found_as_soon_in_a_large_class(gradebook: OneGradebook) -> None:
    found = {}
    for number in range(128):
        with gradebook.transaction():
            hand_in(gradebook, f"student-{number}")
        if number in (7, 127):
            with gradebook.transaction():
                found[number] = steps(gradebook, "student-5")
    assert found[127] < 2 * found[7], found


def test_what_raises_stores_nothing(gradebook: OneGradebook) -> None:
    def fail() -> None:
        with gradebook.transaction():
            hand_in(gradebook, "ada")
            raise ValueError("a notebook")

    with pytest.raises(ValueError, match="a notebook"):
        fail()
    with gradebook.transaction():
        assert gradebook.students == []
        hand_in(gradebook, "ada")
    with gradebook.transaction():
        assert gradebook.find_grade("part-1", "one", "sums", "ada").auto_score == 1


def test_a_full_disk_is_told_as_the_database_tells_it(gradebook: OneGradebook) -> None:
    """And not as an entry that is invalid, which would be this submission's fault."""

    def fill() -> None:
        with gradebook.transaction():
            pages = gradebook.db.scalar(text("PRAGMA page_count"))
            gradebook.db.execute(text(f"PRAGMA max_page_count = {pages}"))
            for number in range(1000):
                gradebook.add_student(f"student-{number}", email="a" * 200)

    with pytest.raises(OperationalError, match="disk is full") as raised:
        fill()
    assert stops_the_run(raised.value)
    with gradebook.transaction():
        assert gradebook.students == []


def test_an_entry_that_is_invalid_stops_nobody_else(gradebook: OneGradebook) -> None:
    def again() -> None:
        with gradebook.transaction():
            gradebook.add_student("ada")
            gradebook.add_student("ada")

    with pytest.raises(IntegrityError) as raised:
        again()
    assert not stops_the_run(raised.value)


class Mine(SaveAutoGrades):
    """As a course may derive one."""

    says = Unicode("").tag(config=True)

    def preprocess(self, nb: Any, resources: Any) -> tuple[Any, Any]:
        nb, resources = super().preprocess(nb, resources)
        self.gradebook.find_comment("part-0", "one", "sums", self.student_id).auto_comment = self.says
        return nb, resources


class Grader(LoggingConfigurable):
    gradebook: OneGradebook


def test_what_a_course_derived_from_nbgraders_is_in_the_same_transaction(gradebook: OneGradebook) -> None:
    cell = cell_of("code", "part-0", "", points=2)
    cell.outputs = [new_output("execute_result", data={"text/plain": "1.5"})]
    about = {"nbgrader": {"notebook": "one", "assignment": "sums", "student": "ada", "db_url": "nowhere"}}
    grader = Grader(config=Config({"Mine": {"says": "Well done."}}))
    grader.gradebook = gradebook
    with gradebook.transaction():
        hand_in(gradebook, "ada")
        of_one_gradebook(Mine)(parent=grader).preprocess(new_notebook(cells=[cell]), about)
    with gradebook.transaction():
        assert gradebook.find_grade("part-0", "one", "sums", "ada").auto_score == 1.5
        assert gradebook.find_comment("part-0", "one", "sums", "ada").auto_comment == "Well done."
