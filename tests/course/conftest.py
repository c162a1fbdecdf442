"""One course, run with the real nbgrader commands from start to end: what an instructor types, what students type.

Everything happens in a temporary folder: the course, the exchange, and each person's home. The whole loop runs once,
and the tests look at what it left behind. To start a command takes longer than most of what it does, so most of them
run in this process (`in_process`), each with the environment, the folder and the arguments that it would have.

nbgrader takes a student's name from the account that runs it (`pwd.getpwuid(os.getuid())`); environment variables count
only in an account called `jovyan`. A test must not add accounts to somebody's machine, so the students use the option
that nbgrader has for one account and many students, `submit --student NAME`. It works as root and as anybody else.
"""

import json
import os
import shutil
import socket
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable, Iterator
from contextlib import chdir, contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from typing import Any
from unittest.mock import patch
from urllib.request import urlopen
from warnings import catch_warnings

import pytest
from filelock import FileLock
from jupyter_core.application import NoStart
from nbgrader.apps import NbGraderApp

from bn_exercises.course.sources import to_notebook
from bn_grading.app import GradeApp
from bn_grading.feedback_app import FeedbackApp

EXERCISES = Path(__file__).parents[2] / "exercises"
COURSE = "batch-normalization"
ASSIGNMENT = "batch-norm"
BASIC, GRADIENT, BATCHES, CLASSES, ADAPTIVE, FUNCTIONS, SUSPECTS, RELATIVES = NOTEBOOKS = (
    "1-basic-calculation",
    "2-backpropagation",
    "3-batch-size",
    "4-conditional",
    "5-adaptive",
    "6-implement",
    "7-break-it",
    "8-another-normalizer",
)
NOTEBOOK = BASIC
# Takes away what makes `nbgrader autograde` refuse in this course.
RUNS_ALL_THE_SAME = "--Autograde.exporter_class=nbconvert.exporters.NotebookExporter"
# Every notebook's graded cell, and what it is worth; in two of them a text is graded by hand besides.
POINTS = dict.fromkeys(NOTEBOOKS, 10) | {BATCHES: 6}
BY_HAND = {BATCHES: 4, ADAPTIVE: 4}

Notebook = dict
Edit = Callable[[Path], None]


def answers(**cells: str) -> Edit:
    """A student who replaces the cells of these grade_ids (with _ for -) and hands in the rest as it was."""

    def edit(path: Path) -> None:
        notebook = json.loads(path.read_text())
        sources = {name.replace("_", "-"): source for name, source in cells.items()}
        for cell in notebook["cells"]:
            cell["source"] = sources.pop(cell["metadata"]["nbgrader"]["grade_id"], cell["source"])
        assert not sources, f"the released notebook has no cells {sorted(sources)}"
        path.write_text(json.dumps(notebook))

    return edit


def solved(path: Path) -> None:
    """A student who answers as the source's solution does."""
    source = to_notebook((EXERCISES / "source" / ASSIGNMENT / f"{path.stem}.md").read_text())
    answers(**{cell.id: cell.source for cell in source.cells if cell.metadata.nbgrader.solution})(path)


def solved_but(**cells: str) -> Edit:
    """A student who answers as the solution does, but for these cells."""

    def edit(path: Path) -> None:
        solved(path)
        answers(**cells)(path)

    return edit


@dataclass(frozen=True)
class Work:
    """What a student did in one notebook, and the points, worked out by hand; None where nothing can be graded."""

    edit: Edit
    score: float | None


RIGHT = {
    "mean": "mean = X.mean(axis=0)",
    "var": "var = X.var(axis=0)",
    "x_hat": "x_hat = (X - mean) / np.sqrt(var + eps)",
    "y": "y = gamma * x_hat + beta",
}

FORWARD_DDOF1 = """\
def forward(x, gamma, beta, eps):
    axes = (0,) if x.ndim == 2 else (0, 2, 3)
    shape = (1, -1) if x.ndim == 2 else (1, -1, 1, 1)
    mean, var = x.mean(axis=axes).reshape(shape), x.var(axis=axes, ddof=1).reshape(shape)
    return gamma.reshape(shape) * (x - mean) / np.sqrt(var + eps) + beta.reshape(shape)
"""
INFERENCE_OF_THE_BATCH = """\
def inference(x, gamma, beta, running_mean, running_var, eps):
    return forward(x, gamma, beta, eps)
"""
OVER_CHANNELS = """\
def layer_norm(x, gamma, beta, eps):
    shape = (1, -1) + (1,) * (x.ndim - 2)
    x_hat = (x - x.mean(axis=1, keepdims=True)) / np.sqrt(x.var(axis=1, keepdims=True) + eps)
    return gamma.reshape(shape) * x_hat + beta.reshape(shape)
"""
GAMMA_IN_FRONT = """\
def layer_norm_backward(dy, x, gamma, eps):
    axes, shape = tuple(range(1, x.ndim)), (1, -1) + (1,) * (x.ndim - 2)
    inv_std = 1 / np.sqrt(x.var(axis=axes, keepdims=True) + eps)
    x_hat = (x - x.mean(axis=axes, keepdims=True)) * inv_std
    mean_dy, mean_dy_x_hat = (v.mean(axis=axes, keepdims=True) for v in (dy, dy * x_hat))
    dx = gamma.reshape(shape) * inv_std * (dy - mean_dy - x_hat * mean_dy_x_hat)
    users = (0, *range(2, x.ndim))
    return dx, (dy * x_hat).sum(axis=users), dy.sum(axis=users)
"""

# Each student's work, in the order of grading, which is that of the names: the file that is no notebook comes in the
# middle. What is not mentioned was not handed in. Parts and points: Basic calculation 2 + 2 + 3 + 3; Backpropagation
# 4 + 3 + 3; Batch size 3 + 3; Conditional 5 + 5; Implement it 2 + 1 + 3 + 1 + 1 + 2; Break it 2 for each suspect;
# Another normalizer 1 + 2 + 1 + 1 + 1 + 2 + 2.
SUBMISSIONS: dict[str, dict[str, Work]] = {
    # Everything, as the solutions have it: 10 + 10 + 6 + 10 + 10 + 10 + 10 + 10 = 76
    "ada_perfect": {notebook: Work(solved, POINTS[notebook]) for notebook in NOTEBOOKS},
    # The mean is right (2). ddof=1 gives 20/3 for 5 (0). Dividing by the variance is wrong whichever variance (0).
    # The output is 2 * x_hat + 1 of those x_hat, so right (3). 2 + 0 + 0 + 3 = 5
    "ben_half_right": {
        BASIC: Work(
            answers(**RIGHT | {"var": "var = X.var(axis=0, ddof=1)", "x_hat": "x_hat = (X - mean) / (var + eps)"}), 5
        )
    },
    # As released: 0 everywhere
    "cyn_empty": {notebook: Work(answers(), 0) for notebook in NOTEBOOKS},
    # (a) stops at its import and (b) is no Python, so they leave no answer (0, 0). (c) needs neither and is right (3).
    # (d) stops before it has an answer (0). 0 + 0 + 3 + 0 = 3
    "dan_does_not_run": {
        BASIC: Work(
            answers(
                mean="import a_package_that_nobody_has\nmean = X.mean(axis=0)",
                var="var = X.var(axis=0",
                x_hat="x_hat = (X - X.mean(axis=0)) / np.sqrt(X.var(axis=0) + eps)",
                y="y = gamma * x_hat + beta / 0",
            ),
            3,
        )
    },
    # Half a file. Nothing to grade, and no reason for the others not to be graded.
    "eva_broken_file": {BASIC: Work(lambda path: path.write_text(path.read_text()[:2000]), None)},
    # A list; a float32 column; by hand from rounded numbers, sqrt(5.01) = 2.24, 3 / 2.24 = 1.34, 1 / 2.24 = 0.446;
    # and the output of those to 3 digits, 2 * 1.34 + 1 = 3.68, 2 * 0.446 + 1 = 1.89. 2 + 2 + 3 + 3 = 10
    "fay_other_means": {
        BASIC: Work(
            answers(
                mean="mean = [5, 7, 9]",
                var="var = np.array([[5.0], [5.0], [5.0]], dtype=np.float32)",
                x_hat="x_hat = [[-1.34] * 3, [-0.446] * 3, [0.446] * 3, [1.34] * 3]",
                y="y = ((-1.68, -1.68, -1.68), (0.108, 0.108, 0.108), (1.89, 1.89, 1.89), (3.68, 3.68, 3.68))",
            ),
            10,
        )
    },
    # ddof=1 (0), and everything after it is right for that variance. One mistake counts once: 2 + 0 + 3 + 3 = 8
    "gus_one_mistake": {BASIC: Work(answers(**RIGHT | {"var": "var = X.var(axis=0, ddof=1)"}), 8)},
    # By hand: the variance is 2/3, the root of 0.676667 is 0.822598. dmu = -0.6 / 0.822598 = -0.729397 (3).
    # dvar = -0.5 * (0.3 - 0.1) / 0.822598 ** 3 = -0.179654 (3). dx without the path through the variance: 1, 2, 3 times
    # 0.121566, each less 0.243132 (0). 0 + 3 + 3 = 6
    "hal_no_variance_path": {
        GRADIENT: Work(answers(dx="dx = [-0.121566, 0, 0.121566]", dmu="dmu = -0.729397", dvar="dvar = -0.179654"), 6)
    },
    # dvar twice too large (0), dmu right (3). dx of that dvar: for the first sample
    # 0.121566 - 0.359308 * 2 * (-1) / 3 - 0.243132 = 0.117973; the second 0; the third its negative (4). 4 + 3 + 0 = 7
    "ida_half_forgotten": {
        GRADIENT: Work(answers(dx="dx = [0.117973, 0, -0.117973]", dmu="dmu = -0.729397", dvar="dvar = -0.359308"), 7)
    },
    # One batch: mean 3.5, variance 35/12, root of 2.926667 = 1.710750 (3). Two batches: the same numbers once more (0).
    # 3 + 0 = 3, and a text that waits for its reader.
    "jon_one_for_both": {
        BATCHES: Work(
            answers(
                one_batch="one_batch = (x - x.mean()) / np.sqrt(x.var() + eps)",
                two_batches="two_batches = np.reshape(one_batch, (2, 3))",
                in_words="A small batch knows less about the data, so its mean is noisier.",
            ),
            3,
        )
    },
    # The statistics of each class and 1e-5: 1 / sqrt(2/3 + 1e-5) = 1.22, and 2 * 1.2247 + 1 = 3.45. A consistent
    # reading, so 5 + 5 = 10
    "kim_each_class": {CLASSES: Work(answers(y0="y0 = [-1.22, 0, 1.22]", y1="y1 = [-1.45, 1, 3.45]"), 10)},
    # Class 0 with the statistics of the whole batch and eps = 0.01: -2.5 / 1.710750 = -1.461, -0.8768, -0.2923. Class 1
    # with its own: 2 * 1 / 0.822598 + 1 = 3.431. Each is right by itself, not both: 5
    "leo_mixture": {CLASSES: Work(answers(y0="y0 = [-1.461, -0.8768, -0.2923]", y1="y1 = [-1.431, 1, 3.431]"), 5)},
    # forward divides by N - 1 (0 of 2). On images it makes the same mistake over the right axes, which counts (1).
    # The rest is right: 0 + 1 + 3 + 1 + 1 + 2 = 8
    "mia_divides_by_n_minus_1": {FUNCTIONS: Work(solved_but(forward=FORWARD_DDOF1), 8)},
    # inference normalizes with its own batch (0 of 2): 2 + 1 + 3 + 1 + 1 + 0 = 8
    "ned_batch_statistics": {FUNCTIONS: Work(solved_but(inference=INFERENCE_OF_THE_BATCH), 8)},
    # Text, an object that raises, 10^8 zeros, a ragged list; complex, nothing, not a number. 0 and 0
    "ola_careless": {
        BASIC: Work(
            answers(
                mean="mean = 'five, seven, nine'",
                var="class Mine:\n    def __array__(self, *_):\n        raise RuntimeError('mine')\n\nvar = Mine()",
                x_hat="x_hat = np.zeros(10**8)",
                y="y = [[1, 2], [3]]",
            ),
            0,
        ),
        GRADIENT: Work(answers(dx="dx = [1j, 2j, 3j]", dmu="dmu = None", dvar="dvar = float('nan')"), 0),
    },
    # |mu| has a kink at 0, so the 2 points for smoothness are lost. The rest holds: gamma(2) = 2 and beta(2) = 1, so
    # y = 2 * (-1, 0, 1) / 0.822598 + 1. 10 - 2 = 8
    "pat_kink": {
        ADAPTIVE: Work(
            answers(
                design='gamma, beta, parameters = "1 + a * abs(mu)", "a * mu", {"a": 0.5}',
                plain='plain = {"a": 0}',
                y="y = [-1.431, 1, 3.431]",
            ),
            8,
        )
    },
    # Three of five suspects fall: 3 * 2 = 6
    "quin_three_of_five": {SUSPECTS: Work(solved_but(D="D = None", E="E = None"), 6)},
    # Writes the points into the graded cell and answers nothing. nbgrader restores the cell: 0
    "rob_wrote_his_grade": {BASIC: Work(answers(hand_in="10"), 0)},
    # A warning and a lot of text in an answer's cell. The answer is right all the same: 10
    "sue_noisy": {
        BASIC: Work(
            answers(
                **RIGHT | {"var": "import warnings\nwarnings.warn('mine')\nprint('x' * 10000)\nvar = X.var(axis=0)"}
            ),
            10,
        )
    },
    # Layer normalization over the channels alone: right on rows, another one on images (0 of 2). Its backward is of
    # Batch Normalization over other axes: γ in front (0 of 2). 1 + 0 + 1 + 1 + 1 + 2 + 0 = 6
    "tom_other_axes": {RELATIVES: Work(solved_but(layer_norm=OVER_CHANNELS, layer_norm_backward=GAMMA_IN_FRONT), 6)},
}


@dataclass
class Course:
    """A course on a machine of its own: its folder, the exchange, and the people's homes."""

    machine: Path
    logs: dict[str, str] = field(default_factory=dict)
    db_url: str = ""
    # What the round left in the gradebook, before a test changed anything.
    graded: dict[tuple[str, ...], tuple[Any, ...]] = field(default_factory=dict)

    @property
    def root(self) -> Path:
        return self.machine / "course"

    def released(self, notebook: str) -> Path:
        return self.root / "release" / ASSIGNMENT / f"{notebook}.ipynb"

    def solution(self, notebook: str) -> Path:
        return self.root / "solution" / ASSIGNMENT / f"{notebook}.ipynb"

    def autograded(self, student: str, notebook: str) -> Path:
        return self.root / "autograded" / student / ASSIGNMENT / f"{notebook}.ipynb"

    def feedback(self, student: str, notebook: str) -> Path:
        return self.root / "feedback" / student / ASSIGNMENT / f"{notebook}.html"

    def home(self, student: str) -> Path:
        home = self.machine / "home" / student
        home.mkdir(parents=True, exist_ok=True)
        return home

    def nbgrader(self, *command: str, student: str = "", fails: bool = False) -> str:
        """Run `nbgrader COMMAND` as the instructor in the course, or as a student at home; return its output."""
        ended, said = self.here(NbGraderApp, *command, student=student)
        assert (ended != 0) == fails, f"nbgrader {' '.join(command)} ended {ended}:\n{said}"
        return said

    def grade(self, *options: str, code: int = 0, **changed: str) -> str:
        """Run `bn-grade` as the instructor, maybe with some variables changed; return its output."""
        ended, said = self.here(GradeApp, *options, **changed)
        assert ended == code, f"bn-grade {' '.join(options)} ended {ended}:\n{said}"
        return said

    def make_feedback(self, *options: str, code: int = 0) -> str:
        """Run `bn-feedback` as the instructor; return its output."""
        ended, said = self.here(FeedbackApp, *options)
        assert ended == code, f"bn-feedback {' '.join(options)} ended {ended}:\n{said}"
        return said

    def here(self, app: type[Any], *command: str, student: str = "", **changed: str) -> tuple[int, str]:
        """Run a command's application in this process, as that person; its exit status, and what it said."""
        folder = self.home(student) if student else self.root
        environment = self.environment(student) | changed
        with patch.dict(os.environ, environment, clear=True), catch_warnings(action="ignore"):
            return in_process(app, *command, folder=folder)

    def run(self, module: str, *command: str, student: str = "", **changed: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end, with an environment of its own, and maybe some variables changed."""
        return subprocess.run(
            [sys.executable, "-m", module, *command],
            cwd=self.home(student) if student else self.root,
            env=self.environment(student) | changed,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
        )

    def environment(self, student: str = "") -> dict[str, str]:
        """What a command of the instructor's or of a student's sees."""
        own = self.machine / "accounts" / (student or "instructor")
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith(("JUPYTER", "NBGRADER"))
        }
        return environment | {
            "HOME": str(own),
            "IPYTHONDIR": str(own / "ipython"),
            "JUPYTER_CONFIG_DIR": str(self.machine / "etc"),
            "JUPYTER_DATA_DIR": str(own / "data"),
            "JUPYTER_RUNTIME_DIR": str(own / "runtime"),
        }

    def rows(self) -> dict[tuple[str, ...], tuple[Any, ...]]:
        """Everything that the gradebook says about scores: for each student, notebook and graded cell."""
        from nbgrader.api import Gradebook, SubmittedAssignment

        with Gradebook(self.db_url or f"sqlite:///{self.root}/gradebook.db", COURSE) as gradebook:
            return {
                (submission.assignment.name, submission.student.id, notebook.name, grade.name): (
                    grade.auto_score,
                    grade.manual_score,
                    grade.extra_credit,
                    grade.needs_manual_grade,
                    grade.max_score,
                    notebook.late_submission_penalty,
                    notebook.score,
                )
                for submission in gradebook.db.query(SubmittedAssignment)
                for notebook in submission.notebooks
                for grade in notebook.grades
            }


def in_process(app: type[Any], *options: str, folder: Path | None = None) -> tuple[int, str]:
    """Run a command of nbgrader's or of ours in this process; its exit status, and what it said."""
    said, code = StringIO(), 0
    with chdir(folder or Path.cwd()), redirect_stdout(said), redirect_stderr(said):
        started = app.instance()
        try:
            started.initialize(list(options))
            started.start()
        except NoStart:
            # A subcommand did it all.
            pass
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
            if isinstance(end.code, str):
                # As Python says it when it ends.
                print(end.code)
        finally:
            # It, or what it handed over to, is this process's one application of its kind.
            while started is not None:
                type(started).clear_instance()
                started = started.subapp
    return code, said.getvalue()


@contextmanager
def formgrader(root: Path, environment: dict[str, str] | None = None) -> Iterator[str]:
    """Jupyter's server in the course, without a password and on this machine only; formgrader's address."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "jupyter", "server", "--no-browser", "--allow-root", f"--port={port}"]
    options = ("--IdentityProvider.token=", "--ServerApp.disable_check_xsrf=True")
    server = subprocess.Popen([*command, *options], cwd=root, env=environment)
    address = f"http://127.0.0.1:{port}/formgrader"
    try:
        for _ in range(600):
            try:
                urlopen(f"{address}/api/status").close()
                break
            except OSError:
                time.sleep(0.1)
        yield address
    finally:
        server.terminate()
        server.wait()


def make_course(machine: Path) -> Course:
    """A course as it is in a fresh clone: no .ipynb, no gradebook, an empty exchange."""
    course = Course(machine)
    shutil.copytree(EXERCISES / "source", course.root / "source", ignore=shutil.ignore_patterns("*.ipynb", ".*"))
    shutil.copy(EXERCISES / "nbgrader_config.py", course.root)
    (machine / "exchange").mkdir()
    (machine / "etc").mkdir()
    set_exchange(machine)
    return course


def set_exchange(machine: Path) -> None:
    """Where everybody on a machine finds the exchange; and that all have one account there."""
    lines = (
        f"c = get_config()\nc.Exchange.root = {str(machine / 'exchange')!r}\nc.ExchangeCollect.check_owner = False\n"
    )
    (machine / "etc" / "nbgrader_config.py").write_text(lines)


def work(course: Course, student: str) -> None:
    """Work on the assignment at home. Who did not fetch it has it from somebody who did."""
    folder = course.home(student) / ASSIGNMENT
    if not folder.exists():
        shutil.copytree(course.machine / "fetched", folder)
    for notebook in NOTEBOOKS:
        path = folder / f"{notebook}.ipynb"
        if notebook in SUBMISSIONS[student]:
            SUBMISSIONS[student][notebook].edit(path)
        else:
            path.unlink()


def environment_in(folder: Path) -> str:
    """The Python of an environment with this one's packages: it is another prefix, and takes no time to make."""
    site = Path(sysconfig.get_path("purelib"))
    there = folder / site.relative_to(sys.prefix)
    there.parent.mkdir(parents=True)
    there.symlink_to(site)
    shutil.copy(Path(sys.prefix, "pyvenv.cfg"), folder)
    (folder / "bin").mkdir()
    python = folder / "bin" / "python"
    python.symlink_to(os.path.realpath(sys.executable))
    return str(python)


Copies = Callable[[Path], Course]


def copies(tmp_path_factory: pytest.TempPathFactory, name: str, happens: Callable[[Course], dict[str, str]]) -> Copies:
    """What makes copies of a course, each on a machine of its own, after something has happened in it.

    That happens once for all processes of pytest-xdist.
    """
    here = tmp_path_factory.getbasetemp()
    shared = (here.parent if "PYTEST_XDIST_WORKER" in os.environ else here) / name
    done = shared / "logs.json"
    with FileLock(f"{shared}.lock"):
        if not done.is_file():
            shared.mkdir()
            done.write_text(json.dumps(happens(make_course(shared))))

    def copy(machine: Path) -> Course:
        shutil.copytree(shared, machine, dirs_exist_ok=True)
        set_exchange(machine)
        return Course(machine, json.loads(done.read_text()))

    return copy


@pytest.fixture(scope="session")
def course(tmp_path_factory: pytest.TempPathFactory) -> Course:
    """The course after one whole round: released, handed in, collected, graded, and feedback returned."""
    course = copies(tmp_path_factory, "course", go_round)(tmp_path_factory.mktemp("nbgrader"))
    course.graded = course.rows()
    return course


@pytest.fixture(scope="session")
def with_release(tmp_path_factory: pytest.TempPathFactory) -> Copies:
    """Makes a course that has generated its assignment, and in which nobody has handed in."""
    return copies(
        tmp_path_factory, "released", lambda course: {"generate": course.nbgrader("generate_assignment", ASSIGNMENT)}
    )


def go_round(course: Course) -> dict[str, str]:
    """Do what the people of a course do, and return what the commands said."""
    logs = course.logs
    logs["generate"] = course.nbgrader("generate_assignment", ASSIGNMENT)
    logs["release"] = course.nbgrader("release_assignment", ASSIGNMENT)
    logs["list"] = course.nbgrader("list", "--course", COURSE, student="ada_perfect")
    logs["fetch"] = course.nbgrader("fetch_assignment", ASSIGNMENT, "--course", COURSE, student="ada_perfect")
    shutil.copytree(course.home("ada_perfect") / ASSIGNMENT, course.machine / "fetched")
    for student in SUBMISSIONS:
        work(course, student)
        course.nbgrader("submit", ASSIGNMENT, "--course", COURSE, "--student", student, student=student)
    logs["collect"] = course.nbgrader("collect", ASSIGNMENT)
    # Both as an instructor starts them. They grade everybody they can, and fail at the end because of the file that is
    # no notebook.
    for command, code in {"bn_grading": 1, "bn_grading.feedback_command": 0}.items():
        done = course.run(command, ASSIGNMENT, "--jobs", "2")
        assert done.returncode == code, done.stdout
        logs[command] = done.stdout
    logs["release_feedback"] = course.nbgrader("release_feedback", ASSIGNMENT)
    logs["fetch_feedback"] = course.nbgrader(
        "fetch_feedback", ASSIGNMENT, "--course", COURSE, "--student", "ben_half_right", student="ben_half_right"
    )
    logs["export"] = course.nbgrader("export")
    return logs
