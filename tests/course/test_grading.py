"""bn-grade beside nbgrader: the same scores from a sandbox, for our cells and others, and nothing lost or twice."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from bn_exercises.answers import ANSWERS
from bn_grading import cgroup
from bn_grading.execute import try_sandbox
from bn_grading.record import STAGING
from bn_grading.results import Results

from .conftest import (
    ASSIGNMENT,
    BASIC,
    COURSE,
    NOTEBOOKS,
    RUNS_ALL_THE_SAME,
    SUBMISSIONS,
    Copies,
    Course,
    environment_in,
    make_course,
    set_exchange,
    solved,
)
from .test_whole_course import DONE


def copy_of(course: Course, again: Course, students: Iterable[str]) -> Course:
    """Another course that has only generated its assignment, with what some handed in in this one."""
    for student in students:
        shutil.copytree(course.root / "submitted" / student, again.root / "submitted" / student, symlinks=True)
    return again


# Whom nbgrader itself grades as well, in this account: every notebook, and whatever may come out of one.
COMPARED = (
    *("dan_does_not_run", "eva_broken_file", "hal_no_variance_path", "jon_one_for_both", "leo_mixture"),
    *("mia_divides_by_n_minus_1", "ola_careless", "pat_kink", "quin_three_of_five", "rob_wrote_his_grade"),
    *("sue_noisy", "tom_other_axes"),
)


@pytest.fixture(scope="module")
def by_nbgrader(course: Course, with_release: Copies, tmp_path_factory: pytest.TempPathFactory) -> Course:
    """What some handed in in `course`, graded by nbgrader's own command, which the course refuses otherwise."""
    again = copy_of(course, with_release(tmp_path_factory.mktemp("by-nbgrader")), COMPARED)
    done = again.run("nbgrader", "autograde", ASSIGNMENT, RUNS_ALL_THE_SAME)
    # It grades everybody it can, too.
    assert done.returncode != 0
    assert done.stdout.count("There was an error processing assignment '") == 1
    return again


@pytest.fixture(scope="module")
def sandboxed(course: Course, tmp_path_factory: pytest.TempPathFactory) -> Course:
    """The course, to grade in it once more."""
    again = Course(tmp_path_factory.mktemp("sandboxed"), course.logs)
    shutil.copytree(course.machine, again.machine, dirs_exist_ok=True)
    set_exchange(again.machine)
    return again


def test_it_says_what_limits_the_memory_of_a_sandbox(course: Course) -> None:
    assert f"Memory of a sandbox: {cgroup.protection()}." in course.logs["bn_grading"]


def test_every_score_is_nbgraders(course: Course, by_nbgrader: Course) -> None:
    assert {student for _, student, _, _ in course.graded} == set(SUBMISSIONS)
    assert {notebook for student in COMPARED for notebook in SUBMISSIONS[student]} == set(NOTEBOOKS)
    assert by_nbgrader.rows() == {key: row for key, row in course.graded.items() if key[1] in COMPARED}


@pytest.mark.parametrize(("student", "notebook"), [each for each in DONE if each[0] in COMPARED])
def test_the_verdict_is_the_same(course: Course, by_nbgrader: Course, student: str, notebook: str) -> None:
    shown = []
    for each in (course, by_nbgrader):
        cells = json.loads(each.autograded(student, notebook).read_text())["cells"]
        (cell,) = [cell for cell in cells if cell["metadata"].get("nbgrader", {}).get("grade_id") == "hand-in"]
        shown.append(["".join(o["data"]["text/plain"]) for o in cell["outputs"] if ANSWERS in o.get("data", {})])
    assert shown[0] == shown[1]


def test_a_page_of_feedback_says_what_was_found_beside_the_answers(course: Course) -> None:
    page = course.feedback("gus_one_mistake", BASIC).read_text()
    assert "Not yet: ddof=1" in page
    # Beside the cell that has the part's name, too, and the cells with `check` say so to who reads this.
    assert "0 of 2 points (ddof=1)." in page
    assert page.count("What was found in your answers stands beside them") == 4


def test_what_is_graded_is_not_graded_again(sandboxed: Course) -> None:
    assert "0 submissions in" in sandboxed.grade(ASSIGNMENT, "--student", "ada_perfect")
    assert "eva_broken_file\n1 submissions" in sandboxed.grade(ASSIGNMENT, "--dry-run")
    assert "eva_broken_file\n1 submissions" in sandboxed.grade(ASSIGNMENT, "--dry-run", "--only-failed")
    before = sandboxed.rows()
    assert "1 submissions in" in sandboxed.grade(ASSIGNMENT, "--student", "ada_perfect", "--force")
    assert sandboxed.rows() == before


def test_a_newer_submission_is_graded_again(sandboxed: Course) -> None:
    folder = sandboxed.root / "submitted" / "rob_wrote_his_grade" / ASSIGNMENT
    solved(folder / f"{BASIC}.ipynb")
    (folder / "timestamp.txt").write_text("2100-01-01 00:00:00.000000 UTC")
    assert "rob_wrote_his_grade\n" in sandboxed.grade(ASSIGNMENT, "--dry-run")
    sandboxed.grade(ASSIGNMENT, "--student", "rob_wrote_his_grade")
    assert sandboxed.rows()[(ASSIGNMENT, "rob_wrote_his_grade", BASIC, "hand-in")][0] == 10


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["no-such"], "the gradebook knows no assignment 'no-such'; it knows: batch-norm"),
        ([], "expected one assignment"),
        ([ASSIGNMENT, "another"], "expected one assignment"),
    ],
)
def test_a_wrong_command_says_what_was_expected(sandboxed: Course, options: list[str], says: str) -> None:
    assert says in sandboxed.grade(*options, code=1)


def test_without_a_sandbox_nothing_runs(sandboxed: Course, tmp_path: Path) -> None:
    before = sandboxed.rows()
    # This process has seen that there is one.
    try_sandbox.cache_clear()
    said = sandboxed.grade(ASSIGNMENT, "--force", code=1, PATH=str(tmp_path))
    assert "there is no sandbox here" in said
    assert "--unsafe-no-sandbox" in said
    assert sandboxed.rows() == before


def test_unsafe_has_to_be_asked_for(sandboxed: Course, tmp_path: Path) -> None:
    before = sandboxed.rows()
    sandboxed.grade(ASSIGNMENT, "--force", "--student", "mia*", "--unsafe-no-sandbox", PATH=str(tmp_path))
    assert sandboxed.rows() == before


def test_many_that_cannot_be_read_stop_nobody(sandboxed: Course) -> None:
    submitted = sandboxed.root / "submitted"
    for name in ("aaa_1", "aaa_2", "aaa_3", "aaa_4", "aaa_5", "aaa_6"):
        (submitted / name / ASSIGNMENT).mkdir(parents=True)
        (submitted / name / ASSIGNMENT / f"{BASIC}.ipynb").write_bytes(b"")
    shutil.copytree(submitted / "fay_other_means", submitted / "aab_good")
    log = sandboxed.grade(ASSIGNMENT, "--student", "aa*", code=1)
    assert "7 submissions in" in log
    assert sandboxed.rows()[(ASSIGNMENT, "aab_good", BASIC, "hand-in")][0] == 10


@pytest.mark.needs("bwrap", package="bubblewrap")
def test_an_environment_below_the_temporary_folder_grades(sandboxed: Course, tmp_path: Path) -> None:
    expected = sandboxed.rows()
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        os.chmod(folder, 0o755)
        python = environment_in(Path(folder, "clone", ".venv"))
        done = subprocess.run(
            [python, "-m", "bn_grading", ASSIGNMENT, "--force", "--student", "gus_one_mistake"],
            cwd=sandboxed.root,
            env=sandboxed.environment(),
            capture_output=True,
            text=True,
            timeout=120,
        )
    assert done.returncode == 0, done.stderr
    assert "1 submissions in" in done.stdout
    assert sandboxed.rows() == expected


# Killed and started again


def test_a_grader_that_is_killed_loses_nothing(course: Course, with_release: Copies, tmp_path: Path) -> None:
    # One of whom nothing can be graded is among them.
    students = list(SUBMISSIONS)[3:11]
    again = copy_of(course, with_release(tmp_path), students)
    expected = {key: row for key, row in course.graded.items() if key[1] in students}
    results = Results.of(again, ASSIGNMENT)
    for done in (1, 4):
        command = [sys.executable, "-m", "bn_grading", ASSIGNMENT, "--jobs", "2"]
        grader = subprocess.Popen(
            command, cwd=again.root, env=again.environment(), stdout=subprocess.DEVNULL, start_new_session=True
        )
        # In the middle of whatever it does after so many submissions.
        while len(results.last()) < done and grader.poll() is None:
            time.sleep(0.01)
        grader.send_signal(signal.SIGKILL)
        grader.wait()
        # What it had started ends by itself when it is gone. As long as it lives, what it writes in is not left over.
        with suppress(ProcessLookupError):
            until = time.monotonic() + 20
            while time.monotonic() < until:
                os.killpg(grader.pid, 0)
                time.sleep(0.05)
        folders = {path.parent.name for path in (again.root / "autograded").glob(f"*/{ASSIGNMENT}")}
        # Who has a folder has all scores.
        rows = again.rows()
        assert {key: row for key, row in rows.items() if key[1] in folders} == {
            key: row for key, row in expected.items() if key[1] in folders
        }
    again.grade(ASSIGNMENT, "--jobs", "2", code=1)
    assert again.rows() == expected
    assert not list((again.root / "autograded").glob(f"{STAGING}/*"))
    assert "eva_broken_file\n1 submissions" in again.grade(ASSIGNMENT, "--dry-run")


# Cells that are not ours

PLAIN = "plain"
LATE = """
from nbgrader.plugins import BasePlugin

class OneForEachDay(BasePlugin):
    def late_submission_penalty(self, student_id, score, total_seconds_late):
        return total_seconds_late // 86400
"""
CONFIG = f'''
import sys, os
sys.path.insert(0, os.getcwd())
os.environ["PATH"] = os.path.dirname(sys.executable) + os.pathsep + os.environ["PATH"]
c.CourseDirectory.course_id = "{COURSE}"
c.AssignLatePenalties.plugin_class = "late.OneForEachDay"
'''


def cell_of(kind: str, grade_id: str, source: str, points: float | None = None, **tags: bool) -> nbformat.NotebookNode:
    tags = {"grade": points is not None, "solution": False, "locked": False, "task": False} | tags
    data = {"grade_id": grade_id, "schema_version": 3, **tags} | ({} if points is None else {"points": points})
    make = new_code_cell if kind == "code" else new_markdown_cell
    return make(source, id=grade_id, metadata={"nbgrader": data})


def plain_notebook() -> nbformat.NotebookNode:
    """As any instructor writes one: asserts, hidden tests, partial credit, a text, a task."""
    solution = "def square(x):\n    ### BEGIN SOLUTION\n    return x**2\n    ### END SOLUTION"
    tests = "assert square(2) == 4\n### BEGIN HIDDEN TESTS\nassert square(-3) == 9\n### END HIDDEN TESTS"
    partial = "sum(square(x) == x * x for x in (0, 1, 2, -3))"
    return new_notebook(
        cells=[
            cell_of("code", "square", solution, solution=True),
            cell_of("code", "test-square", tests, 3, locked=True),
            cell_of("code", "partial", partial, 4, locked=True),
            cell_of("markdown", "why", "### BEGIN SOLUTION\nBecause.\n### END SOLUTION", 2, solution=True),
            cell_of("markdown", "task", "Draw a square.", 1, locked=True, task=True, grade=False),
        ],
        metadata={"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
    )


WORK = {
    "all": "def square(x):\n    return x * x",
    "half": "def square(x):\n    return 2 * x",
    "hidden": "def square(x):\n    return abs(x) * x",
    "late": "def square(x):\n    return x * x",
    "nothing": None,
    "no-python": "def square(x:",
    "noisy": "import sys\n\ndef square(x):\n    print('mine', file=sys.stderr)\n    return x * x",
    "prints": "def square(x):\n    print(x)\n    return x * x",
}


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> tuple[Course, Course]:
    """An assignment without any of our cells, graded by nbgrader and by us, with the same things done by hand."""
    by_nbgrader = make_course(tmp_path_factory.mktemp("nbgrader"))
    shutil.rmtree(by_nbgrader.root / "source")
    source = by_nbgrader.root / "source" / PLAIN
    source.mkdir(parents=True)
    nbformat.write(plain_notebook(), source / "squares.ipynb")
    (source / "data.txt").write_text("the instructor's")
    (by_nbgrader.root / "nbgrader_config.py").write_text(f"c = get_config()\n{CONFIG}")
    (by_nbgrader.root / "late.py").write_text(LATE)
    by_nbgrader.nbgrader("generate_assignment", PLAIN)
    by_nbgrader.nbgrader("db", "assignment", "add", PLAIN, "--duedate", "2026-01-10 12:00:00 UTC")
    for student, source_of_square in WORK.items():
        folder = by_nbgrader.root / "submitted" / student / PLAIN
        shutil.copytree(by_nbgrader.root / "release" / PLAIN, folder)
        notebook = nbformat.read(folder / "squares.ipynb", 4)
        if source_of_square is not None:
            notebook.cells[0].source = source_of_square
            notebook.cells[3].source = "A text of my own."
        nbformat.write(notebook, folder / "squares.ipynb")
        day = "12" if student == "late" else "09"
        (folder / "timestamp.txt").write_text(f"2026-01-{day} 12:30:00.000000 UTC")
    ours = Course(tmp_path_factory.mktemp("ours"))
    shutil.copytree(by_nbgrader.machine, ours.machine, dirs_exist_ok=True)
    set_exchange(ours.machine)
    done = by_nbgrader.run("nbgrader", "autograde", PLAIN)
    assert done.returncode == 0, done.stdout
    ours.logs["grade"] = ours.grade(PLAIN, "--jobs", "2")
    return by_nbgrader, ours


def test_asserts_partial_credit_texts_and_late_days_count_as_ever(plain: tuple[Course, Course]) -> None:
    by_nbgrader, ours = plain
    rows = by_nbgrader.rows()
    assert ours.rows() == rows
    scores = {student: rows[(PLAIN, student, "squares", "test-square")][0] for student in WORK}
    assert scores == {
        "all": 3, "half": 0, "hidden": 0, "late": 3, "nothing": 0, "no-python": 0, "noisy": 0, "prints": 3,
    }  # fmt: skip
    assert rows[(PLAIN, "half", "squares", "partial")][0] == 2
    assert rows[(PLAIN, "late", "squares", "partial")][5] == 2


def test_they_are_marked_as_graded_in_the_ordinary_way(plain: tuple[Course, Course]) -> None:
    _, ours = plain
    for result in Results.of(ours, PLAIN).last().values():
        assert result.notebooks["squares"]["ordinary"] == ["test-square", "partial"]
        assert result.notebooks["squares"]["verdicts"] == {}


def test_points_given_by_hand_stay(plain: tuple[Course, Course]) -> None:
    """The last of these tests, because it changes the gradebooks."""
    from nbgrader.api import Gradebook

    by_nbgrader, ours = plain
    for course in plain:
        with Gradebook(f"sqlite:///{course.root}/gradebook.db", COURSE) as gradebook:
            for student in ("all", "half"):
                grade = gradebook.find_grade("why", "squares", PLAIN, student)
                grade.manual_score, grade.extra_credit, grade.needs_manual_grade = 1.5, 0.5, False
                gradebook.find_grade("partial", "squares", PLAIN, student).manual_score = 3
            gradebook.db.commit()
    options = (PLAIN, "--force", "--student", "*al[lf]")  # these two
    done = by_nbgrader.run("nbgrader", "autograde", *options)
    assert done.returncode == 0, done.stdout
    ours.grade(*options)
    assert ours.rows() == by_nbgrader.rows()
    row = ours.rows()[(PLAIN, "all", "squares", "why")]
    assert row[1:4] == (1.5, 0.5, True)


def test_the_instructors_files_lie_beside_the_notebook(plain: tuple[Course, Course]) -> None:
    for course in plain:
        assert (course.root / "autograded" / "all" / PLAIN / "data.txt").read_text() == "the instructor's"
