"""Each attack earns what its honest part earns, and everybody else is graded as if nobody had attacked."""

import json
import re
import struct
import subprocess
from collections import Counter
from functools import cache
from html.parser import HTMLParser
from pathlib import Path

import pytest
from nbconvert.exporters import HTMLExporter
from nbgrader.api import Gradebook
from nbgrader.server_extensions.formgrader.handlers import template_path
from traitlets.config import PyFileConfigLoader

from bn_grading import sandbox, seccomp

from ..conftest import ASSIGNMENT, BASIC, COURSE
from .attack import ALL, CANARY, HONEST, Attack
from .conftest import ATTACKS, HONEST_STUDENTS, THEMES, Run, fill_in, known

pytestmark = pytest.mark.needs("bwrap", package="bubblewrap (Debian)")

EACH = pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)


def test_the_run_came_to_its_end(graded: Run) -> None:
    assert "Traceback" not in graded.said
    # Some submissions cannot be read at all, and that is what 1 says.
    assert graded.code == 1, graded.said
    assert len(graded.results) == len(ATTACKS) + len(HONEST_STUDENTS)


@EACH
def test_the_score_is_what_the_honest_part_earns(graded: Run, attack: Attack) -> None:
    with Gradebook(f"sqlite:///{graded.course.root}/gradebook.db", COURSE) as gradebook:
        submission = gradebook.find_submission(ASSIGNMENT, attack.name)
        assert submission.score == attack.score
        assert submission.max_score == gradebook.find_assignment(ASSIGNMENT).max_score


@EACH
def test_the_grader_says_what_happened(graded: Run, attack: Attack) -> None:
    result = graded.results[attack.name]
    said = "\n".join(result["problems"])
    assert result["status"] == attack.status, said
    for words in attack.problems:
        assert words in said
    stopped = sum(len(notebook["stopped"]) for notebook in result["notebooks"].values())
    assert attack.stopped in (None, stopped), said
    # The result of a failed cell, or of one that was not read, is not printed as it came.
    assert said.replace("\n", "").isprintable()


@EACH
def test_what_it_tried_came_to_nothing(graded: Run, attack: Attack) -> None:
    if attack.failed:
        return
    shown = graded.shown(attack)
    for words in attack.says:
        assert fill_in(known(graded.course, graded.listeners), words) in shown
    for words in attack.hides:
        assert words not in shown


@pytest.mark.parametrize("student", HONEST_STUDENTS)
def test_everybody_else_is_graded(graded: Run, student: str) -> None:
    assert graded.results[student]["status"] == "graded"
    with Gradebook(f"sqlite:///{graded.course.root}/gradebook.db", COURSE) as gradebook:
        assert gradebook.find_submission(ASSIGNMENT, student).score == ALL == HONEST.score


def test_nothing_else_was_written(graded: Run) -> None:
    assert graded.after == graded.before


def test_nothing_secret_came_out(graded: Run) -> None:
    for folder in ("autograded", "grading"):
        for path in (graded.course.root / folder).rglob("*"):
            assert not path.is_symlink(), path
            if path.is_file():
                assert CANARY.encode() not in path.read_bytes(), path
    assert CANARY not in graded.said


def test_nobody_was_reached(graded: Run) -> None:
    assert [listener.heard for listener in graded.listeners] == [[], [], []]


def test_nothing_is_left_running(graded: Run) -> None:
    assert graded.left == []
    assert graded.bystander


def test_nothing_is_left_lying(graded: Run) -> None:
    assert list((graded.course.machine / "tmp").iterdir()) == []
    assert not (graded.course.root / "autograded" / ".grading").exists() or not list(
        (graded.course.root / "autograded" / ".grading").iterdir()
    )


def test_what_was_written_can_be_read(graded: Run) -> None:
    def refuse(constant: str) -> None:
        raise AssertionError(f"{path} has {constant}, which no browser reads")

    for path in (graded.course.root / "autograded").rglob("*.ipynb"):
        assert path.is_file()
        json.loads(path.read_text(), parse_constant=refuse)


# What acts in a page, or loads something.
ACTS = {
    *("script", "style", "link", "meta", "base", "iframe", "frame", "object", "embed", "applet", "form", "input"),
    *("svg", "math", "button", "textarea", "video", "audio", "source", "template", "animate", "set"),
}


class Acting(HTMLParser):
    """Counts what acts in a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: Counter[tuple[str, ...]] = Counter()
        self._inside = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._inside = tag if tag in ("script", "style") else ""
        if tag in ACTS:
            self.found[(tag, *(f"{name}={value}" for name, value in attrs if name != "id"))] += 1
        for name, value in attrs:
            address = re.sub(r"[\x00-\x20]", "", value or "").lower()
            if name.startswith("on") or address.startswith(("javascript:", "data:text", "vbscript:")):
                self.found[(tag, name, value or "")] += 1
            elif name in ("src", "srcset", "srcdoc", "action", "formaction", "background", "poster", "data"):
                if not address.startswith("data:image/png;base64,"):
                    self.found[(tag, name, value or "")] += 1
            elif name == "style" and "url" in address:
                self.found[(tag, name, value or "")] += 1

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.found[(self._inside, data.strip())] += 1

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""


SHOWN = [attack for attack in ATTACKS if attack.name.startswith("page_")]


@pytest.fixture(scope="session")
def feedback(graded: Run) -> Run:
    """The same, with the feedback of those who attack pages."""
    graded.course.nbgrader("generate_feedback", ASSIGNMENT, "--CourseDirectory.student_id=page_*")
    return graded


def usual(page: str, honest: str) -> None:
    """Nothing acts in a page that does not act in that of somebody who just answered."""
    acting = Acting(page).found - Acting(honest).found
    # A page of another notebook, or with fewer points, has other verdicts; their style is the same.
    assert not acting, acting


@pytest.mark.parametrize("attack", SHOWN, ids=lambda attack: attack.name)
def test_nothing_acts_in_the_feedback(feedback: Run, attack: Attack) -> None:
    usual(
        feedback.course.feedback(attack.name, attack.notebook).read_text(),
        feedback.course.feedback(
            "page_z_honest" if attack.notebook == BASIC else "page_z_words", attack.notebook
        ).read_text(),
    )


@pytest.mark.parametrize("attack", SHOWN, ids=lambda attack: attack.name)
def test_nothing_acts_in_formgrader(graded: Run, attack: Attack) -> None:
    usual(
        formgrade(graded, attack.name, attack.notebook),
        formgrade(graded, "page_z_honest" if attack.notebook == BASIC else "page_z_words", attack.notebook),
    )


@cache
def exporter(root: Path) -> HTMLExporter:
    """As formgrader has it, with the course's configuration."""
    config = PyFileConfigLoader("nbgrader_config.py", str(root)).load_config()
    config.HTMLExporter.template_name = "formgrade"
    config.HTMLExporter.extra_template_basedirs = [template_path]
    return HTMLExporter(config=config)


def formgrade(graded: Run, student: str, notebook: str) -> str:
    """The page on which an instructor grades a notebook."""
    shown = {"index": 0, "total": 1, "base_url": "", "submission_id": "1", "notebook_id": notebook}
    page, _ = exporter(graded.course.root).from_filename(
        str(graded.course.autograded(student, notebook)), resources=shown | {"assignment_id": ASSIGNMENT}
    )
    return str(page)


def test_a_verdict_keeps_its_style(feedback: Run) -> None:
    for page in (
        feedback.course.feedback("page_z_honest", BASIC).read_text(),
        formgrade(feedback, "page_z_honest", BASIC),
    ):
        assert '<div aria-label="Verdict" class="bn-checked" role="group"><style>' in page
        assert 'data-kind="right"' in page
        # Formulas stay formulas, and tables tables.
        assert r"\mu_j = \frac{1}{m}" in page


def in_a_sandbox(*command: str, hidden: tuple[str, ...] = ()) -> str:
    with seccomp.descriptor() as refusals:
        made = sandbox.command(Path("/"), sandbox.Limits(), hidden=hidden, refusals=refusals)
        done = subprocess.run(
            [*made[: made.index("--") + 1], *command],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            pass_fds=() if refusals is None else (refusals,),
        )
    return done.stdout


def test_a_course_in_a_folder_that_can_be_read_is_hidden() -> None:
    # Where nbgrader's exchange is by default, all can be read. Any folder there will do.
    assert in_a_sandbox("ls", "/usr/share/doc")
    assert in_a_sandbox("ls", "/usr/share/doc", hidden=("/usr/share/doc", "/nowhere")) == ""


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_the_filter_of_system_calls_jumps_nowhere_else(machine: str) -> None:
    lines = list(struct.iter_unpack("=HBBI", seccomp.program(machine)))
    for at, (code, yes, no, operand) in enumerate(lines):
        # A return; a jump by its operand; or a test, with one for each answer.
        assert code == 0x06 or at + 1 + (operand if code == 0x05 else max(yes, no)) < len(lines)
    assert lines[-1][0] == 0x06
    assert seccomp.program("another") == b""


def test_there_are_attacks_of_each_kind() -> None:
    assert all(len(theme.attacks) >= 4 for theme in THEMES)
    assert len({attack.name for attack in ATTACKS}) == len(ATTACKS) >= 100
