"""What of nbgrader would run students' code in the instructor's account runs nothing in this course."""

import json
from pathlib import Path
from urllib.request import Request, urlopen

import pytest

from .conftest import ASSIGNMENT, BASIC, NOTEBOOKS, Course, answers, formgrader, make_course


@pytest.fixture(scope="module")
def handed_in(tmp_path_factory: pytest.TempPathFactory) -> Course:
    """A course in which one submission waits. Its code leaves a file beside the gradebook."""
    course = make_course(tmp_path_factory.mktemp("autograde"))
    for name in NOTEBOOKS:
        if name != BASIC:
            (course.root / "source" / ASSIGNMENT / f"{name}.md").unlink()
    course.nbgrader("generate_assignment", ASSIGNMENT)
    folder = course.root / "submitted" / "eve" / ASSIGNMENT
    folder.mkdir(parents=True)
    path = folder / f"{BASIC}.ipynb"
    path.write_text(course.released(BASIC).read_text())
    answers(mean=f"open({str(left_by_a_student(course))!r}, 'w').close()")(path)
    return course


def left_by_a_student(course: Course) -> Path:
    return course.root / "here"


def nothing_happened(course: Course, said: str) -> None:
    assert f"bn-grade {ASSIGNMENT}" in said
    assert "Nothing was run" in said
    assert not left_by_a_student(course).exists()
    assert not (course.root / "autograded").exists()
    assert course.rows() == {}


def test_nbgraders_command_names_ours_and_runs_nothing(handed_in: Course) -> None:
    nothing_happened(handed_in, handed_in.nbgrader("autograde", ASSIGNMENT, "--force", fails=True))


def test_formgraders_button_names_our_command_and_runs_nothing(handed_in: Course) -> None:
    """Also where the server was started elsewhere, as a JupyterHub does, and only knows where the course is."""
    with (handed_in.machine / "etc" / "nbgrader_config.py").open("a") as file:
        file.write(f"c.CourseDirectory.root = {str(handed_in.root)!r}\n")
    with formgrader(handed_in.machine, handed_in.environment()) as address:
        button = Request(f"{address}/api/submission/{ASSIGNMENT}/eve/autograde", method="POST")
        with urlopen(button) as response:
            answer = json.load(response)
    assert not answer["success"]
    # Formgrader shows both.
    for shown in ("log", "error"):
        nothing_happened(handed_in, answer[shown])
