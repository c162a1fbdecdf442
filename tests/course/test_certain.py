"""What decides a score is never cut, hidden or said twice; and what is not certain is never full marks.

One class, graded once in this process: each student's notebook is that of `plain_notebook`, worth 3 for asserts and 4
for a number.
"""

import copy
import csv
import errno
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook
from nbgrader.api import Gradebook
from nbgrader.converters import Autograde
from nbgrader.preprocessors import Execute
from traitlets.config import Config

from bn_grading import options, record
from bn_grading.app import GradeApp
from bn_grading.execute import Executed, Notebook, _Turns
from bn_grading.results import Results

from .conftest import Course, in_process, make_course
from .test_grading import CONFIG, PLAIN, cell_of, plain_notebook

pytestmark = [
    pytest.mark.needs("bwrap", package="bubblewrap"),
    # nbgrader's own, of what it calls that is no longer to be called.
    pytest.mark.filterwarnings("ignore"),
]

RIGHT = "def square(x):\n    return x * x\n"
WRONG = "def square(x):\n    return 2 * x\n"
LOUD = "def square(x):\n    for _ in range(4_000):\n        print('x' * 400)\n    return {} * x\n"
HIDE = "shell = get_ipython()\n"
# Says to every descriptor there is that the cell after the next one did not fail.
FORGED = """
import json, os
for descriptor in range(256):
    for index in (1, 2):
        frame = {"ends": index, "failed": False, "cut": False, "count": 1, "outputs": []}
        try:
            os.write(descriptor, b"\\n" + json.dumps(frame).encode() + b"\\n")
        except OSError:
            pass
"""
# What the solution's cell holds, and the points for the asserts and for the number. Wrong ones earn 2 of 4: 0 and 2.
SQUARES: dict[str, tuple[str, float, float]] = {
    "honest": (RIGHT, 3, 4),
    "loud": (LOUD.format("x"), 3, 4),
    "loud_wrong": (LOUD.format(2), 0, 2),
    "many_displays": ("def square(x):\n    for _ in range(1100):\n        display(1)\n    return 2 * x\n", 0, 2),
    "many_streams": (
        "import sys\ndef square(x):\n    for _ in range(1100):\n        display(1)\n"
        "    print(file=sys.stderr)\n    return x * x",
        0,
        0,
    ),
    "beneath": ("import os\ndef square(x):\n    os.write(1, b'x' * 5_000_000)\n    return 2 * x\n", 0, 2),
    "wide": ("def square(x):\n    print('\\U0001f600' * 10**6)\n    return x * x\n", 3, 4),
    "wide_wrong": ("def square(x):\n    print('\\U0001f600' * 10**6)\n    return 2 * x\n", 0, 2),
    "long_error": ("def square(x):\n    raise ValueError('x' * 3_000_000)\n", 0, 0),
    "clears": (
        "from IPython.display import clear_output\n"
        + HIDE
        + "shell.events.register('post_run_cell', lambda result: clear_output())\n"
        + WRONG,
        0,
        2,
    ),
    "clears_right": (
        "from IPython.display import clear_output\n"
        + HIDE
        + "shell.events.register('post_run_cell', lambda result: clear_output())\n"
        + RIGHT,
        3,
        4,
    ),
    "showtraceback": (HIDE + "shell.showtraceback = shell._showtraceback = lambda *_, **__: None\n" + WRONG, 0, 2),
    "custom_exc": (HIDE + "shell.set_custom_exc((Exception,), lambda *_, **__: None)\n" + WRONG, 0, 2),
    "class_patched": (HIDE + "type(shell)._showtraceback = lambda *_: None\n" + WRONG, 0, 2),
    "result_changed": (
        HIDE + "shell.showtraceback = lambda *_, **__: None\n"
        "def undo(result):\n    result.error_in_exec = None\n"
        "shell.events.register('post_run_cell', undo)\n" + WRONG,
        0,
        2,
    ),
    "result_before_error": (
        HIDE + "shell.ast_node_interactivity = 'all'\ndef square(x):\n    display(3)\n    return 1\n",
        0,
        1,
    ),
    "forged": (WRONG + FORGED, 0, 0),
    "forged_right": (RIGHT + FORGED, 3, 0),
    "too_much": ("class N(int):\n    __eq__ = lambda self, other: 5\ndef square(x):\n    return N(x * x)\n", 3, 0),
    "not_a_number": (
        "class N(int):\n    __eq__ = lambda self, other: float('nan')\ndef square(x):\n    return N(x * x)\n",
        3,
        0,
    ),
    "negative": ("class N(int):\n    __eq__ = lambda self, other: -1\ndef square(x):\n    return N(x * x)\n", 3, 0),
    "a_bit_more": (
        "class N(int):\n    __eq__ = lambda self, other: 1 + 1e-12\ndef square(x):\n    return N(x * x)\n",
        3,
        4,
    ),
    "long_number": (
        "class N(float):\n    __add__ = __radd__ = lambda self, other: self\n"
        "    __repr__ = lambda self: '0.5' + ' ' * 3_000_000\n"
        "class Q(int):\n    __eq__ = lambda self, other: N()\ndef square(x):\n    return Q(x * x)\n",
        0,
        0.5,
    ),
}


def course_in(machine: Path, notebook: Any = None, name: str = "squares", config: str = "") -> Course:
    """A course with one notebook, generated in this process."""
    course = make_course(machine)
    shutil.rmtree(course.root / "source")
    (course.root / "source" / PLAIN).mkdir(parents=True)
    nbformat.write(notebook or plain_notebook(), course.root / "source" / PLAIN / f"{name}.ipynb")
    (course.root / "nbgrader_config.py").write_text(
        f"c = get_config()\n{CONFIG.replace('late.OneForEachDay', 'nbgrader.plugins.LateSubmissionPlugin')}\n{config}\n"
    )
    course.nbgrader("generate_assignment", PLAIN)
    return course


def released(course: Course, name: str = "squares") -> Any:
    return nbformat.read(course.root / "release" / PLAIN / f"{name}.ipynb", 4)


def put(course: Course, student: str, notebook: Any, name: str = "squares") -> Path:
    folder = course.root / "submitted" / student / PLAIN
    folder.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, folder / f"{name}.ipynb")
    return folder


def squares(course: Course, source: str) -> Any:
    notebook = released(course)
    notebook.cells[0].source = source
    return notebook


def grade(course: Course, *options: str) -> tuple[int, str]:
    return in_process(GradeApp, PLAIN, *options, folder=course.root)


def points(course: Course, student: str, name: str = "squares") -> dict[str, Any]:
    with Gradebook(f"sqlite:///{course.root}/gradebook.db", "batch-normalization") as gradebook:
        grades = gradebook.find_submission_notebook(name, PLAIN, student).grades
        return {grade.name: (grade.auto_score, grade.needs_manual_grade) for grade in grades}


def problems(course: Course, student: str) -> str:
    return "\n".join(Results.of(course, PLAIN).last()[student].problems)


@pytest.fixture(scope="module")
def course(tmp_path_factory: pytest.TempPathFactory) -> Course:
    course = course_in(tmp_path_factory.mktemp("certain"))
    for student, (source, _, _) in SQUARES.items():
        put(course, student, squares(course, source))
    stripped = squares(course, RIGHT)
    for cell in stripped.cells:
        cell.metadata = {}
    put(course, "stripped", stripped)
    put(course, "another", new_notebook(cells=[cell_of("code", "hello", "1", solution=True)]))
    deleted = squares(course, RIGHT)
    del deleted.cells[1]
    put(course, "deleted", deleted)
    notebook = squares(course, RIGHT + "%run helper.ipynb\n")
    notebook.cells[0].source += (
        "import os\nos.makedirs('made/here')\nopen('made/here/data.txt', 'w').write(helped)\n"
        "open('squares.ipynb', 'w').write('mine')\nopen('timestamp.txt', 'w').write('mine')\nopen('.hidden', 'w')\n"
        "os.symlink('/etc/passwd', 'link')\nopen('large', 'wb').truncate(10**7)\n"
    )
    put(course, "writes", notebook)
    put(course, "writes", new_notebook(cells=[new_code_cell("helped = 'by my own notebook'")]), "helper")
    code, said = grade(course, "--jobs", "2")
    course.logs["grade"] = said
    assert code == 0, said
    return course


@pytest.mark.parametrize("student", SQUARES)
def test_a_score_is_that_of_the_cells_run(course: Course, student: str) -> None:
    _, asserts, number = SQUARES[student]
    found = points(course, student)
    assert (found["test-square"][0], found["partial"][0]) == (asserts, number)


@pytest.mark.parametrize(
    "student", ["loud", "loud_wrong", "many_displays", "beneath", "wide", "wide_wrong", "long_error"]
)
def test_what_was_cut_is_said(course: Course, student: str) -> None:
    assert "not all that cell test-square put out was kept" in problems(course, student)
    assert f"{student}: squares: not all that cell test-square put out" in course.logs["grade"]
    shown = nbformat.read(course.autograded(student, "squares").parent.parent / PLAIN / "squares.ipynb", 4)
    assert shown.cells[1].outputs[0].text == record.CUT


def test_nothing_is_said_where_all_was_kept(course: Course) -> None:
    assert "honest" not in course.logs["grade"]
    assert Results.of(course, PLAIN).last()["honest"].status == "graded"


@pytest.mark.parametrize("student", ["forged", "forged_right", "too_much", "not_a_number", "negative"])
def test_what_is_not_clear_waits_for_a_person(course: Course, student: str) -> None:
    said = problems(course, student)
    assert "squares: cell partial has no points until you give it some: " in said
    assert points(course, student)["partial"] == (0, True)
    if student == "too_much":
        assert "it returned 20, and is worth 0 to 4" in said


def test_missing_cells_are_counted(course: Course) -> None:
    assert "squares: 5 of the assignment's 5 cells are missing: square, test-square" in problems(course, "stripped")
    assert "5 of the assignment's 5 cells are missing" in problems(course, "another")
    assert "1 of the assignment's 5 cells are missing: test-square" in problems(course, "deleted")
    assert points(course, "deleted")["test-square"] == (0, False)
    assert points(course, "deleted")["partial"] == (4, False)
    result = Results.of(course, PLAIN).last()["deleted"].notebooks["squares"]
    assert (result["score"], result["max_score"]) == (4, 7)


def test_what_a_notebook_writes_comes_back(course: Course) -> None:
    folder = course.autograded("writes", "squares").parent.parent / PLAIN
    found = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert found == {"squares.ipynb", "made/here/data.txt"}
    assert (folder / "made/here/data.txt").read_text() == "by my own notebook"
    assert nbformat.read(folder / "squares.ipynb", 4).cells
    assert Results.of(course, PLAIN).last()["writes"].notebooks["squares"]["left"] == 1
    assert points(course, "writes")["test-square"] == (3, False)


def test_everybody_is_in_the_export(course: Course) -> None:
    course.nbgrader("export")
    with (course.root / "grades.csv").open() as file:
        rows = {row["student_id"]: float(row["raw_score"]) for row in csv.DictReader(file)}
    assert {student: rows[student] for student in SQUARES} == {name: a + b for name, (_, a, b) in SQUARES.items()}


# After a first submission, and in other ways


def test_a_cell_that_is_deleted_later_loses_what_it_had(course: Course) -> None:
    notebook = squares(course, RIGHT)
    put(course, "later", notebook)
    grade(course, "--student", "later")
    assert points(course, "later")["test-square"] == (3, False)
    del notebook.cells[1]
    put(course, "later", notebook)
    grade(course, "--student", "later", "--force")
    assert points(course, "later")["test-square"] == (0, False)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--student", "nobody"], "--student nobody is none of the"),
        (["--notebook", "p9"], "--notebook p9 is none of squares"),
        (["--Execute.enabled=False"], "Execute.enabled is False, and bn-grade cannot do that: what a student's"),
        (["--Execute.kernel_name=ir"], "notebooks run in the grader's own Python"),
        (["--ExecutePreprocessor.force_raise_errors=True"], "the sandbox runs cells without nbclient"),
        (["--Autograde.exporter_class=nbconvert.exporters.HTMLExporter"], "what is graded stays a notebook"),
    ],
)
def test_what_cannot_be_done_is_an_error(course: Course, options: list[str], says: str) -> None:
    code, said = grade(course, *options)
    assert code == 1
    assert says in said


def test_without_a_submission_it_is_an_error(tmp_path: Path) -> None:
    code, said = grade(course_in(tmp_path))
    assert code == 1
    assert "nobody handed in plain; expected folders" in said


def test_the_settings_of_the_course_count(tmp_path: Path) -> None:
    config = """
c.CourseDirectory.directory_structure = "{assignment_id}/{nbgrader_step}/by-{student_id}"
c.CourseDirectory.source_directory = "source"
def hook(**told):
    with open("hooks.txt", "a") as file:
        print(told["assignment"], told["student"], [os.path.basename(each) for each in told["notebooks"]], file=file)
c.Autograde.pre_convert_hook = c.Autograde.post_convert_hook = hook
c.Autograde.permissions = 640
"""
    course = course_in(tmp_path)
    (course.root / "source").rename(course.root / "before")
    (course.root / PLAIN / "source").mkdir(parents=True)
    shutil.move(course.root / "before" / PLAIN, course.root / PLAIN / "source" / "by-.")
    settings = course.root / "nbgrader_config.py"
    settings.write_text(settings.read_text() + config)
    folder = course.root / PLAIN / "submitted" / "by-ada"
    folder.mkdir(parents=True)
    nbformat.write(squares(course, RIGHT), folder / "squares.ipynb")
    code, said = grade(course)
    assert code == 0, said
    path = course.root / PLAIN / "autograded" / "by-ada" / "squares.ipynb"
    assert path.stat().st_mode & 0o777 == 0o640
    assert points(course, "ada")["test-square"] == (3, False)
    assert (course.root / "hooks.txt").read_text() == "plain ada ['squares.ipynb']\n" * 2
    assert "0 submissions in" in grade(course)[1]


# Stopped


def killed(course: Course, monkeypatch: pytest.MonkeyPatch, where: Any, name: str, when: str) -> None:
    """Grade in a process that ends itself before or after a step, as by a signal."""

    def ends(step: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*arguments: Any, **named: Any) -> Any:
            if when == "before":
                os.kill(os.getpid(), signal.SIGKILL)
            step(*arguments, **named)
            os.kill(os.getpid(), signal.SIGKILL)

        return wrapped

    process = os.fork()
    if process == 0:
        try:
            setattr(where, name, ends(getattr(where, name)))
            in_process(GradeApp, PLAIN, folder=course.root)
        finally:
            os._exit(0)
    _, status = os.waitpid(process, 0)
    assert os.WTERMSIG(status) == signal.SIGKILL


def test_whoever_is_killed_at_any_step_is_graded_by_the_same_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    course = course_in(tmp_path)
    notebook = squares(course, RIGHT)
    folder = put(course, "ada", notebook)
    results = Results.of(course, PLAIN)
    steps = [
        (Results, "graded", "before"),
        (Results, "graded", "after"),
        (os, "rename", "after"),
        (os, "rename", "before"),
    ]
    for number, (where, name, when) in enumerate(steps):
        # Each time a newer one, so that an older line is no excuse.
        (folder / "timestamp.txt").write_text(f"2026-01-0{number + 1} 12:00:00 UTC")
        killed(course, monkeypatch, where, name, when)
        before = len(list(results))
        assert points(course, "ada")["test-square"] == (3, False)
        code, said = grade(course)
        assert code == 0, said
        # Where all that was left was to clean up, all is stored already.
        done = (name, when) == ("rename", "after") and number == 2 and "0 submissions" in said
        assert done or len(list(results)) == before + 1
        assert results.last()["ada"].notebooks["squares"]["score"] == 7
        assert not list((course.root / "autograded").glob(".grading/*"))


def test_an_error_of_one_submission_is_that_submissions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    course = course_in(tmp_path)
    for student in ("ada", "ben", "cyn"):
        (put(course, student, squares(course, RIGHT)) / "data.txt").write_text(student)
    write = record._write

    def refuse(number: int) -> None:
        def refused(path: Path, content: bytes) -> None:
            if content == b"ben":
                raise OSError(number, os.strerror(number))
            write(path, content)

        monkeypatch.setattr(record, "_write", refused)

    # The disk's: the run ends, and the same command goes on from there.
    for number in (errno.ENOSPC, errno.EROFS, errno.EIO, errno.EDQUOT):
        refuse(number)
        code, said = grade(course)
        assert code == 1
        assert os.strerror(number) in said
        assert "the same command goes on from there" in said
        assert (course.root / "autograded" / "ada" / PLAIN).exists()
        assert not (course.root / "autograded" / "ben").exists()
    # The name's: the file is left out, and everybody is graded.
    for number in (errno.ENAMETOOLONG, errno.EACCES):
        refuse(number)
        code, said = grade(course)
        assert code == 0, said
        assert f"ben: data.txt: it cannot be stored: {os.strerror(number)}" in said
        for student in ("ada", "ben", "cyn"):
            assert points(course, student)["test-square"] == (3, False)
        shutil.rmtree(course.root / "autograded" / "ben")
    # That of the place where it is put: its submission fails alone, and is graded the next time.
    monkeypatch.setattr(record, "_write", write)
    puts = record.Recorder._put

    def refused(recorder: Any, final: Path) -> None:
        if "ben" in final.parts:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(final))
        puts(recorder, final)

    monkeypatch.setattr(record.Recorder, "_put", refused)
    code, said = grade(course, "--force")
    assert code == 1
    assert "ben: it could not be recorded: PermissionError" in said
    assert Results.of(course, PLAIN).last()["cyn"].graded
    monkeypatch.setattr(record.Recorder, "_put", puts)
    assert grade(course)[0] == 0
    assert Results.of(course, PLAIN).last()["ben"].graded


def test_results_that_cannot_be_written_stop_the_run(tmp_path: Path) -> None:
    course = course_in(tmp_path)
    put(course, "ada", squares(course, RIGHT))
    (course.root / "grading").write_text("a file where the folder should be")
    code, said = grade(course)
    assert code == 1
    assert "what was graded cannot be stored" in said
    (course.root / "grading").unlink()
    assert grade(course)[0] == 0
    assert Results.of(course, PLAIN).last()["ada"].graded


# Without a sandbox


def turns(count: int = 3) -> tuple[_Turns, Executed]:
    executed = Executed("1")
    return _Turns(Notebook("1", [{"index": 2 * index, "source": ""} for index in range(count)]), executed), executed


def ended(index: Any, **said: Any) -> dict[str, Any]:
    return {"ends": index, "failed": False, "cut": False, "count": 1, "outputs": []} | said


def test_a_cell_begins_once_and_in_order() -> None:
    said, executed = turns()
    assert [said.begins(index) for index in (2, 1, True, None, [], 0, 0, 2)] == [*[False] * 5, True, False, False]
    said.ends(ended(0))
    assert [said.begins(index) for index in (0, 4, 2, 2)] == [False, False, True, False]
    said.ends(ended(4))
    assert executed.outputs.keys() == {0}
    said.ends(ended(2))
    assert said.begins(4)
    said.ends(ended(4))
    assert not said.begins(0)
    assert executed.failed == {0: False, 2: False, 4: False}


@pytest.mark.parametrize("failed", [None, 0, "False", [], {}])
def test_whether_a_cell_failed_is_said_clearly_or_not_at_all(failed: Any) -> None:
    said, executed = turns()
    said.begins(0)
    said.ends(ended(0, failed=failed))
    assert executed.failed == {}
    assert executed.outputs == {0: []}


def test_who_is_contradicted_is_not_believed() -> None:
    result = {"output_type": "execute_result", "data": {"text/plain": "4"}}
    for first, then in ((ended(0), ended(0, failed=True)), (ended(0), ended(0, outputs=[result]))):
        said, executed = turns()
        said.begins(0)
        said.ends(first)
        said.ends(copy.deepcopy(first))
        assert executed.failed == {0: False}
        said.ends(then)
        assert executed.failed == {}


def test_a_cell_of_which_nothing_is_known_has_no_points() -> None:
    cell = new_code_cell(metadata={"nbgrader": {"points": 4}})
    assert "not known whether it failed" in record._decide(cell, None)
    assert [output.output_type for output in cell.outputs] == ["error"]


def test_every_setting_of_nbgraders_is_known() -> None:
    """A new one is looked at by a person: it is honoured, or refused."""
    assert set(Execute.class_traits(config=True)) > options._OF_KERNELS
    for name, trait in Execute.class_traits(config=True).items():
        changed = not trait.default_value if isinstance(trait.default_value, bool) else "changed"
        refused = options.refused(Config(Execute={name: changed}))
        assert bool(refused) == (name not in {*options._OF_KERNELS, "timeout"}), name
    assert set(Autograde.class_traits(config=True)) == {
        *("autograde_preprocessors", "create_student", "exclude_overwriting", "exporter_class", "force", "permissions"),
        *("post_convert_hook", "pre_convert_hook", "sanitize_preprocessors"),
    }


@pytest.mark.parametrize(("said", "seconds"), [({}, 30), ({"timeout": 5}, 5), ({"timeout": None}, None)])
def test_the_time_of_a_cell_is_nbgraders(said: dict[str, Any], seconds: float | None) -> None:
    for section in ("Execute", "ExecutePreprocessor"):
        assert options.cell_seconds(Config({section: said} if said else {}), 30) == seconds
