"""Every notebook of the course, as a learner gets it and with its solution: what it asks, says and gives away.

The notebooks run in this process, in an IPython that shows what a cell would show. `releases` makes of the sources what
`nbgrader generate_assignment` makes of them, with the course's own configuration. The round through nbgrader's commands
is in tests/course.
"""

import ast
import html
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import nbformat
import numpy as np
import pytest
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output
from nbformat import NotebookNode
from nbgrader.converters import GenerateAssignment
from nbgrader.preprocessors import SaveCells
from traitlets.config import Config, PyFileConfigLoader

from bn_exercises import misconceptions as wrong
from bn_exercises.answers import ANSWERS
from bn_exercises.check import SESSION, Checked
from bn_exercises.course.sources import to_notebook
from bn_exercises.functions import slips
from bn_exercises.numbers.problem import NumberProblem
from bn_exercises.problems import TASKS

EXERCISES = Path(__file__).parents[2] / "exercises"
SOURCES = {path.stem: to_notebook(path.read_text()) for path in sorted((EXERCISES / "source").glob("*/*.md"))}

CALL = re.compile(r'my_problem\("([\w-]+)"\)')
REGION = re.compile(r"^( *)### BEGIN SOLUTION\n(.*?)^ *### END SOLUTION$", re.DOTALL | re.MULTILINE)
CRITERION = re.compile(r"^- (\*\*.+?\*\*)", re.MULTILINE)


def task(name: str) -> NumberProblem:
    """The problem that a notebook asks, by its file name."""
    return TASKS[name.partition("-")[2]]


each_notebook = pytest.mark.parametrize("name", SOURCES)
each_number_problem = pytest.mark.parametrize(
    "name", [name for name in SOURCES if isinstance(task(name), NumberProblem)]
)


def cell_of(answer: str) -> str:
    """The id of the cell where the answer of this name is written."""
    return answer.replace("_", "-")


def by_id(notebook: NotebookNode) -> dict[str, NotebookNode]:
    return {cell.id: cell for cell in notebook.cells}


def with_cells(notebook: NotebookNode, changed: Mapping[str, str]) -> NotebookNode:
    """The notebook with other sources in the cells of these ids."""
    notebook = nbformat.from_dict(notebook)
    cells = by_id(notebook)
    for cell_id, source in changed.items():
        cells[cell_id].source = source
    return notebook


def passed(cell: NotebookNode, function: str) -> dict[str, str]:
    """What a cell passes to `check` or `hand_in`, which it does and nothing else: for each part, an expression."""
    (statement,) = ast.parse(cell.source).body
    assert isinstance(statement, ast.Expr)
    call = statement.value
    assert isinstance(call, ast.Call)
    assert ast.unparse(call.func) == function
    assert [ast.unparse(argument) for argument in call.args] == ["problem"]
    return {str(keyword.arg): ast.unparse(keyword.value) for keyword in call.keywords}


def handed_in(name: str) -> list[str]:
    """The names of a notebook's answers. Where numbers are asked for, these are the problem's parts."""
    answers = passed(by_id(SOURCES[name])["hand-in"], "hand_in")
    assert all(answer == value for answer, value in answers.items())
    return list(answers)


def answer_cells(name: str) -> dict[str, str]:
    """For each answer the id of the cell where it is written; several may share one."""
    cells = {cell.id: cell.source for cell in SOURCES[name].cells if cell.metadata.nbgrader.solution}
    written = {}
    for answer in handed_in(name):
        begins = re.compile(rf"^{answer} = None|^def {answer}\(", re.MULTILINE)
        (written[answer],) = [cell_id for cell_id, source in cells.items() if begins.search(source)]
    return written


def secret_lines(notebook: NotebookNode) -> list[str]:
    """What a learner must not get: every line of a solution, a model answer, a rubric."""
    regions = [region for cell in notebook.cells for _, region in REGION.findall(cell.source)]
    return [line.strip() for region in regions for line in region.splitlines() if line.strip()]


@pytest.fixture(scope="module")
def releases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, NotebookNode]:
    """The notebooks as released."""
    course = tmp_path_factory.mktemp("course")
    shutil.copytree(
        EXERCISES / "source", course / "source", ignore=shutil.ignore_patterns("*.ipynb", ".generated.json")
    )
    shutil.copy(EXERCISES / "nbgrader_config.py", course)
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("PATH", "")  # the configuration adds to it
        config = PyFileConfigLoader("nbgrader_config.py", path=str(course)).load_config()
    # SaveCells copies what it sees into the gradebook, and there is none here.
    steps = [step for step in GenerateAssignment(config=config).preprocessors if step is not SaveCells]
    released = {}
    for path in sorted((course / "source").glob("*/*.ipynb")):
        notebook = nbformat.read(path, as_version=4)
        for step in steps:
            notebook, _ = step(config=config).preprocess(notebook, {})
        released[path.stem] = notebook
    assert list(released) == list(SOURCES)
    return released


@dataclass(frozen=True)
class Shown:
    """What a cell came to.

    Attributes:
        value: of its last expression.
        text: what it printed; with a traceback, if it failed.
        data: what it displayed, by MIME type.
        failed: whether an exception left it.
        stderr: what it printed to standard error.
    """

    value: Any
    text: str
    data: list[dict[str, Any]]
    failed: bool
    stderr: str


Run = Callable[[NotebookNode], dict[str, Shown]]


@pytest.fixture(scope="module")
def run() -> Iterator[Run]:
    """Runs a notebook as "Restart Kernel and Run All Cells" does; one kernel, so run one after the other."""
    config = Config()
    config.HistoryManager.enabled = False
    config.InteractiveShell.colors = "nocolor"
    # Not `__main__`, which is pytest.
    shell = InteractiveShell.instance(config=config, user_module=ModuleType("notebook"))

    def run_all(notebook: NotebookNode) -> dict[str, Shown]:
        shell.reset(new_session=False)
        SESSION.forget()
        shown = {}
        for cell in notebook.cells:
            if cell.cell_type == "code":
                with capture_output() as captured:
                    result = shell.run_cell(cell.source)
                data = [output.data for output in captured.outputs]
                shown[cell.id] = Shown(result.result, captured.stdout, data, not result.success, captured.stderr)
        return shown

    with pytest.MonkeyPatch.context() as environment:
        for name in ("NBGRADER_EXECUTION", "BN_STUDENT"):
            environment.delenv(name, raising=False)
        yield run_all
    InteractiveShell.clear_instance()


def test_the_problems_that_ask_for_numbers_have_notebooks() -> None:
    asked = [task(name).name for name in SOURCES]
    assert asked == [name for name in TASKS if name in asked]
    assert {name for name, problem in TASKS.items() if isinstance(problem, NumberProblem)} <= set(asked)


# What a notebook asks


@each_notebook
def test_numbers_come_from_the_problem(name: str, run: Run) -> None:
    # A course may give every student other numbers: `personal` finds this call, and text cannot follow.
    (asks,) = [cell for cell in SOURCES[name].cells if CALL.search(cell.source)]
    assert asks.id == "numbers"
    assert CALL.findall(asks.source) == [task(name).name]
    # Without these names, a cell that stops would make those after it stop as well.
    answers = handed_in(name)
    shown = run(with_cells(SOURCES[name], {"numbers": f"{asks.source}\n[{', '.join(answers)}]"}))
    assert shown["numbers"].value == [None] * len(answers)
    assert shown["numbers"].text


@each_number_problem
def test_text_names_no_number_of_the_problem(name: str) -> None:
    numbers = [np.ravel(value).tolist() for value in task(name).given.values()]
    # Whole numbers a text has of its own.
    telling = {f"{number:g}" for row in numbers for number in row if number % 1}
    assert telling or name == "4-conditional"
    for cell in SOURCES[name].cells:
        if cell.cell_type == "markdown" and cell.metadata.nbgrader.locked:
            assert [number for number in telling if number in cell.source] == [], cell.id


@each_notebook
def test_every_answer_has_a_question_a_cell_and_a_check(name: str) -> None:
    cells = by_id(SOURCES[name])
    for answer, cell_id in answer_cells(name).items():
        assert re.search(r"\(\d+ points?\b", cells[f"{cell_id}-question"].source)
        assert passed(cells[f"{cell_id}-check"], "check")[answer] == answer
    assert cells["hand-in"].metadata.nbgrader.points == sum(task(name).points.values())
    assert "`solution(problem)`" in cells["hand-in-question"].source


@each_number_problem
def test_every_part_is_asked_for(name: str) -> None:
    cells, points = by_id(SOURCES[name]), task(name).points
    assert handed_in(name) == list(points)
    for part, worth in points.items():
        assert f"({worth} points)" in cells[f"{cell_of(part)}-question"].source
        assert cells[cell_of(part)].source.startswith(f"{part} = None  # ")


@each_notebook
def test_what_is_graded_and_what_can_be_edited(name: str) -> None:
    for cell in SOURCES[name].cells:
        settings = cell.metadata.nbgrader
        in_words = cell.cell_type == "markdown" and settings.solution
        assert settings.grade == (cell.id == "hand-in" or in_words), cell.id
        assert settings.locked != settings.solution, cell.id


@each_notebook
def test_what_a_person_grades_has_a_rubric_that_the_question_announces(name: str) -> None:
    cells = by_id(SOURCES[name])
    for cell in cells.values():
        if cell.cell_type != "markdown" or not cell.metadata.nbgrader.grade:
            continue
        question = cells[f"{cell.id}-question"].source
        model_answer, _, rubric = REGION.search(cell.source)[2].partition("Rubric, 1 point each")
        criteria = CRITERION.findall(rubric)
        assert len(criteria) == cell.metadata.nbgrader.points == 4
        assert CRITERION.findall(question) == criteria
        assert all(criterion in model_answer for criterion in criteria)
        assert "(4 points" in question


# What is released


@each_notebook
def test_released_notebook_gives_nothing_away(name: str, releases: dict[str, NotebookNode]) -> None:
    source, released = SOURCES[name], releases[name]
    secrets = secret_lines(source)
    answered = [cell for cell in source.cells if cell.metadata.nbgrader.solution]
    assert all(REGION.search(cell.source) for cell in answered)
    assert len(secrets) >= len(answered) >= len(set(answer_cells(name).values()))
    given = "\n".join(cell.source for cell in released.cells)
    assert [line for line in secrets if line in given] == []
    assert re.search("BEGIN|END|HIDDEN|Rubric|output_type|attachments", nbformat.writes(released)) is None


@each_notebook
def test_released_notebook_keeps_the_rest(name: str, releases: dict[str, NotebookNode]) -> None:
    source, released = by_id(SOURCES[name]), by_id(releases[name])
    assert list(released) == list(source)
    for cell_id, cell in source.items():
        stub = "# If you need more lines, write them here." if cell.cell_type == "code" else "YOUR ANSWER HERE"
        assert released[cell_id].source == REGION.sub(rf"\1{stub}", cell.source)


# What a learner sees


@each_notebook
def test_released_notebook_runs_and_earns_nothing(name: str, releases: dict[str, NotebookNode], run: Run) -> None:
    shown = run(releases[name])
    for cell_id, cell in shown.items():
        assert not cell.failed, (cell_id, cell.text)
        assert cell.stderr == "", cell_id
    assert shown["hand-in"].value == 0
    for answer, cell_id in answer_cells(name).items():
        checked = shown[f"{cell_id}-check"].value
        assert isinstance(checked, Checked)
        assert checked.verdict.score == 0
        if isinstance(task(name), NumberProblem):
            assert checked.verdict.of(answer).kind == "missing"


@pytest.mark.parametrize("student", ["", "ada"])
@each_notebook
def test_solution_earns_all_points_whatever_the_numbers(name: str, student: str, run: Run) -> None:
    problem = task(name)
    numbers = by_id(SOURCES[name])["numbers"].source
    if student:
        numbers = CALL.sub(rf'my_problem("\1", course_key="k", student="{student}")', numbers)
    shown = run(with_cells(SOURCES[name], {"numbers": numbers}))
    for cell_id, cell in shown.items():
        assert not cell.failed, (cell_id, cell.text)
        assert cell.stderr == "", cell_id
    assert shown["hand-in"].value == sum(problem.points.values())
    (displayed,) = shown["hand-in"].data
    assert displayed[ANSWERS]["problem"] == problem.name
    if isinstance(problem, NumberProblem):
        assert set(displayed[ANSWERS]["answers"]) == set(problem.points)
        for part in problem.points:
            assert shown[f"{cell_of(part)}-check"].value.verdict.of(part).kind == "right", part


@each_notebook
def test_solution_can_be_asked_for(name: str, releases: dict[str, NotebookNode], run: Run) -> None:
    notebook = releases[name]
    shown = run(with_cells(notebook, {"hand-in": "solution(problem)"}))
    assert not shown["hand-in"].failed
    assert repr(shown["hand-in"].value).startswith(f"{task(name).title}: the solution")


# For each notebook, answers that somebody may write into a cell, and the mistake that is to be named.
NORMALIZED = "(X - X.mean(axis=0)) / np.sqrt(X.var(axis=0) + eps)"
FORWARD = """
def forward(x, gamma, beta, eps):
    axes, shape = (0, *range(2, x.ndim)), (-1, *(1,) * (x.ndim - 2))
    x_hat = (x - x.mean(axis=axes, keepdims=True)) / (x.std(axis=axes, keepdims=True) + eps)
    return gamma.reshape(shape) * x_hat + beta.reshape(shape)
"""
INFERENCE = """
def inference(x, gamma, beta, running_mean, running_var, eps):
    axes, shape = (0, *range(2, x.ndim)), (-1, *(1,) * (x.ndim - 2))
    x_hat = (x - x.mean(axis=axes, keepdims=True)) / np.sqrt(x.var(axis=axes, keepdims=True) + eps)
    return gamma.reshape(shape) * x_hat + beta.reshape(shape)
"""
WRONG = [
    ("1-basic-calculation", "mean", "mean = X.mean(axis=1)", wrong.OVER_ROWS),
    ("1-basic-calculation", "var", "var = X.var(axis=0, ddof=1)", wrong.DDOF1),
    ("1-basic-calculation", "x_hat", "x_hat = (X - X.mean(axis=0)) / (X.std(axis=0) + eps)", wrong.EPS_OUTSIDE),
    ("1-basic-calculation", "y", f"y = beta * {NORMALIZED} + gamma", wrong.SWAPPED),
    ("2-backpropagation", "dmu", "dmu = dx_hat.sum() / np.sqrt(x.var() + eps)", wrong.TURNED_ROUND),
    (
        "2-backpropagation",
        "dvar",
        "dvar = -np.sum(dx_hat * (x - x.mean())) / (x.var() + eps) ** 1.5",
        wrong.HALF_FORGOTTEN,
    ),
    ("2-backpropagation", "dx", "dx = dx_hat / np.sqrt(x.var() + eps)", wrong.NO_PATHS),
    ("3-batch-size", "one_batch", "one_batch = (x - x.mean()) / (x.var() + eps)", wrong.VARIANCE_FOR_DEVIATION),
    (
        "3-batch-size",
        "two_batches",
        "two_batches = (batches - batches.mean()) / np.sqrt(batches.var() + eps)",
        wrong.ONE_FOR_BOTH,
    ),
    (
        "4-conditional",
        "y0",
        "y0 = gamma[1] * (x[0] - x.mean()) / np.sqrt(x.var() + 0.01) + beta[1]",
        wrong.OTHER_CLASS,
    ),
    ("4-conditional", "y1", "y1 = gamma[1] * ((x[1] - x.mean()) / x.std() + beta[1])", wrong.BETA_SCALED),
    ("6-implement", "forward", FORWARD, wrong.EPS_OUTSIDE),
    ("6-implement", "inference", INFERENCE, slips.BATCH_STATISTICS),
]


@pytest.mark.parametrize(("name", "part", "answer", "mistake"), WRONG, ids=lambda value: getattr(value, "name", None))
def test_wrong_answer_gets_the_name_of_its_mistake(
    name: str,
    part: str,
    answer: str,
    mistake: wrong.Misconception,
    releases: dict[str, NotebookNode],
    run: Run,
) -> None:
    shown = run(with_cells(releases[name], {cell_of(part): answer}))
    assert not any(cell.failed or cell.stderr for cell in shown.values())
    check = shown[f"{cell_of(part)}-check"].value
    assert check.verdict.of(part).misconceptions == (mistake.name,)
    assert f". Not yet: {mistake.name}. 0 of {task(name).points[part]} points." in repr(check)
    assert shown["hand-in"].value == 0
    for page in (check._repr_html_(), shown["hand-in"].data[0]["text/html"]):
        assert f". Not yet: {mistake.name}. 0 of" in html.unescape(page)


@each_number_problem
def test_there_are_wrong_answers_to_try(name: str) -> None:
    assert sum(name == tried for tried, *_ in WRONG) >= 2


def test_one_mistake_counts_once(run: Run) -> None:
    # ddof=1 in (b), and the rest as in the solution: 2 + 0 + 3 + 3.
    shown = run(with_cells(SOURCES["1-basic-calculation"], {"var": "var = X.var(axis=0, ddof=1)"}))
    assert shown["hand-in"].value == 8
    assert shown["x-hat-check"].value.verdict.of("x_hat").kind == "follow-on"
    assert shown["y-check"].value.verdict.of("y").points == 3


def test_every_reading_of_exercise_4_is_right_and_no_mixture_is(run: Run) -> None:
    def own_statistics(label: int) -> str:
        x = f"x[{label}]"
        return f"y{label} = gamma[{label}] * ({x} - {x}.mean()) / np.sqrt({x}.var() + 1e-5) + beta[{label}]"

    name = "4-conditional"
    shown = run(with_cells(SOURCES[name], {f"y{label}": own_statistics(label) for label in (0, 1)}))
    assert shown["hand-in"].value == 10
    # y0 stays as in the solution, with the statistics of the whole batch.
    shown = run(with_cells(SOURCES[name], {"y1": own_statistics(1)}))
    assert shown["hand-in"].value == 5
    assert "Both are possible, but not in one answer" in repr(shown["y1-check"].value)


def test_what_is_open_in_exercise_4_is_said() -> None:
    says = by_id(SOURCES["4-conditional"])["title"].source
    statistics, constants = TASKS["conditional"].open
    assert len(statistics) == 2
    assert re.search(r"whole batch.*each class has\s+its own", says, re.DOTALL)
    for constant in constants:
        number = constant.removeprefix("ε = ").replace("10⁻⁵", "10^{-5}")
        assert re.search(rf"(?<![\d.]){re.escape(number)}(?!\.?\d)", says), constant
