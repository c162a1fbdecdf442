"""One course, run with the real nbgrader commands from start to end: what an instructor types, what students type.

Everything happens in a temporary folder: the course, the exchange, and each person's home. The commands take two to
three seconds each to start, so the whole loop runs once and the tests look at what it left behind.

nbgrader takes a student's name from the account that runs it (`pwd.getpwuid(os.getuid())`); environment variables count
only in an account called `jovyan`. A test must not add accounts to somebody's machine, so the students use the option
that nbgrader has for one account and many students, `submit --student NAME`. It works as root and as anybody else.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest

EXERCISES = Path(__file__).parents[2] / "exercises"
COURSE = "batch-normalization"
ASSIGNMENT = "batch-norm"
NOTEBOOK = "1-basic-calculation"

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


@dataclass(frozen=True)
class Submission:
    """What a student hands in, and the score of each part, worked out by hand; no parts where nothing can be graded."""

    edit: Edit
    mean: float | None = None
    var: float | None = None
    x_hat: float | None = None
    y: float | None = None

    @property
    def parts(self) -> dict[str, float | None]:
        return {"mean-check": self.mean, "var-check": self.var, "x-hat-check": self.x_hat, "y-check": self.y}

    @property
    def total(self) -> float:
        return sum(score or 0 for score in self.parts.values())


RIGHT = {
    "mean": "mean = X.mean(axis=0)",
    "var": "var = X.var(axis=0)",
    "x_hat": "x_hat = (X - mean) / np.sqrt(var + eps)",
    "y": "y = gamma * x_hat + beta",
}

# The names are in alphabetical order, which is the order of grading: the file that is no notebook comes in the middle.
SUBMISSIONS = {
    # 2 + 2 + 3 + 3 = 10
    "ada_perfect": Submission(answers(**RIGHT), 2, 2, 3, 3),
    # The mean is right (2). ddof=1 gives 20/3 for 5 (0). Dividing by the variance is wrong whichever variance (0).
    # The output is 2 * x_hat + 1 of those x_hat, so right (3). 2 + 0 + 0 + 3 = 5
    "ben_half_right": Submission(
        answers(**RIGHT | {"var": "var = X.var(axis=0, ddof=1)", "x_hat": "x_hat = (X - mean) / (var + eps)"}),
        2,
        0,
        0,
        3,
    ),
    # As released: 0
    "cyn_empty": Submission(answers(), 0, 0, 0, 0),
    # (a) stops at its import and (b) is no Python, so they leave no answer (0, 0). (c) needs neither and is right (3).
    # (d) stops before it has an answer (0). 0 + 0 + 3 + 0 = 3
    "dan_does_not_run": Submission(
        answers(
            mean="import a_package_that_nobody_has\nmean = X.mean(axis=0)",
            var="var = X.var(axis=0",
            x_hat="x_hat = (X - X.mean(axis=0)) / np.sqrt(X.var(axis=0) + eps)",
            y="y = gamma * x_hat + beta / 0",
        ),
        0,
        0,
        3,
        0,
    ),
    # Half a file. Nothing to grade, and no reason for the others not to be graded.
    "eva_broken_file": Submission(lambda path: path.write_text(path.read_text()[:2000])),
    # A list; a float32 column; by hand from rounded numbers, sqrt(5.01) = 2.24, 3 / 2.24 = 1.34, 1 / 2.24 = 0.446;
    # and the output of those to 3 digits, 2 * 1.34 + 1 = 3.68, 2 * 0.446 + 1 = 1.89. 2 + 2 + 3 + 3 = 10
    "fay_other_means": Submission(
        answers(
            mean="mean = [5, 7, 9]",
            var="var = np.array([[5.0], [5.0], [5.0]], dtype=np.float32)",
            x_hat="x_hat = [[-1.34] * 3, [-0.446] * 3, [0.446] * 3, [1.34] * 3]",
            y="y = ((-1.68, -1.68, -1.68), (0.108, 0.108, 0.108), (1.89, 1.89, 1.89), (3.68, 3.68, 3.68))",
        ),
        2,
        2,
        3,
        3,
    ),
    # ddof=1 (0), and everything after it is right for that variance. One mistake counts once: 2 + 0 + 3 + 3 = 8
    "gus_one_mistake": Submission(answers(**RIGHT | {"var": "var = X.var(axis=0, ddof=1)"}), 2, 0, 3, 3),
}


@dataclass
class Course:
    """A course on a machine of its own: its folder, the exchange, and the people's homes."""

    machine: Path
    logs: dict[str, str] = field(default_factory=dict)

    @property
    def root(self) -> Path:
        return self.machine / "course"

    @property
    def released(self) -> Path:
        return self.root / "release" / ASSIGNMENT / f"{NOTEBOOK}.ipynb"

    @property
    def solution(self) -> Path:
        return self.root / "solution" / ASSIGNMENT / f"{NOTEBOOK}.ipynb"

    def feedback(self, student: str) -> Path:
        return self.root / "feedback" / student / ASSIGNMENT / f"{NOTEBOOK}.html"

    def home(self, student: str) -> Path:
        home = self.machine / "home" / student
        home.mkdir(parents=True, exist_ok=True)
        return home

    def nbgrader(self, *command: str, student: str = "", fails: bool = False) -> str:
        """Run `nbgrader COMMAND` as the instructor in the course, or as a student at home; return its output."""
        where = self.home(student) if student else self.root
        own = self.machine / "accounts" / (student or "instructor")
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith(("JUPYTER", "NBGRADER"))
        }
        environment |= {
            "HOME": str(own),
            "IPYTHONDIR": str(own / "ipython"),
            "JUPYTER_CONFIG_DIR": str(self.machine / "etc"),
            "JUPYTER_DATA_DIR": str(own / "data"),
            "JUPYTER_RUNTIME_DIR": str(own / "runtime"),
        }
        done = subprocess.run(
            [sys.executable, "-m", "nbgrader", *command],
            cwd=where,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
        )
        assert (done.returncode != 0) == fails, f"nbgrader {' '.join(command)} ended {done.returncode}:\n{done.stdout}"
        return done.stdout


def make_course(machine: Path) -> Course:
    """A course as it is in a fresh clone: no .ipynb, no gradebook, an empty exchange."""
    course = Course(machine)
    shutil.copytree(EXERCISES / "source", course.root / "source", ignore=shutil.ignore_patterns("*.ipynb", ".*"))
    shutil.copy(EXERCISES / "nbgrader_config.py", course.root)
    exchange = machine / "exchange"
    exchange.mkdir()
    (machine / "etc").mkdir()
    (machine / "etc" / "nbgrader_config.py").write_text(f"c = get_config()\nc.Exchange.root = {str(exchange)!r}\n")
    return course


def hand_in(course: Course, student: str) -> None:
    """Work on the assignment and submit it. Who did not fetch it has it from somebody who did."""
    if not (course.home(student) / ASSIGNMENT).exists():
        shutil.copytree(course.machine / "fetched", course.home(student) / ASSIGNMENT)
    SUBMISSIONS[student].edit(course.home(student) / ASSIGNMENT / f"{NOTEBOOK}.ipynb")
    course.nbgrader("submit", ASSIGNMENT, "--course", COURSE, "--student", student, student=student)


@pytest.fixture(scope="session")
def course(tmp_path_factory: pytest.TempPathFactory) -> Course:
    """The course after one whole round: released, handed in, collected, graded, and feedback returned."""
    course = make_course(tmp_path_factory.mktemp("nbgrader"))
    logs = course.logs
    logs["generate"] = course.nbgrader("generate_assignment", ASSIGNMENT)
    logs["release"] = course.nbgrader("release_assignment", ASSIGNMENT)
    logs["list"] = course.nbgrader("list", "--course", COURSE, student="ada_perfect")
    logs["fetch"] = course.nbgrader("fetch_assignment", ASSIGNMENT, "--course", COURSE, student="ada_perfect")
    shutil.copytree(course.home("ada_perfect") / ASSIGNMENT, course.machine / "fetched")
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda student: hand_in(course, student), SUBMISSIONS))
    logs["collect"] = course.nbgrader("collect", ASSIGNMENT)
    # It grades everybody it can, and fails at the end because of the file that is no notebook.
    logs["autograde"] = course.nbgrader("autograde", ASSIGNMENT, fails=True)
    logs["generate_feedback"] = course.nbgrader("generate_feedback", ASSIGNMENT)
    logs["release_feedback"] = course.nbgrader("release_feedback", ASSIGNMENT)
    logs["fetch_feedback"] = course.nbgrader(
        "fetch_feedback", ASSIGNMENT, "--course", COURSE, "--student", "ben_half_right", student="ben_half_right"
    )
    logs["export"] = course.nbgrader("export")
    return course
