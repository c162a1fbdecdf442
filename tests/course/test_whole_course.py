"""What one round of the course left behind: the scores, the feedback, and nothing that students must not see."""

import csv
import html
import json
import re

import pytest

from .conftest import ASSIGNMENT, COURSE, NOTEBOOK, SUBMISSIONS, Course

GRADED = [student for student, submission in SUBMISSIONS.items() if submission.mean is not None]
MAXIMUM = {"mean-check": 2, "var-check": 2, "x-hat-check": 3, "y-check": 3}

# What must not leave the instructor's folder: the solutions, and what the hidden tests say and compute.
SECRETS = ["BEGIN SOLUTION", "HIDDEN", ".mean(axis=0)", ".var(axis=0)", "np.sqrt", "gamma * x_hat", "_right", "_advice"]


def test_a_student_sees_the_assignment_in_the_list(course: Course) -> None:
    assert f"{COURSE} {ASSIGNMENT}" in course.logs["list"]


def test_release_holds_the_notebook_and_nothing_else(course: Course) -> None:
    # nbgrader copies every file of the source folder that it is not told to ignore; the .md holds the solutions.
    assert (course.root / "source" / ASSIGNMENT / f"{NOTEBOOK}.md").exists()
    for folder in (course.root / "release", course.machine / "exchange" / COURSE / "outbound"):
        assert [p.name for p in folder.rglob("*") if p.is_file()] == [f"{NOTEBOOK}.ipynb"]


def test_released_notebook_has_no_solution_and_no_hidden_test(course: Course) -> None:
    released = course.released.read_text()
    source = (course.root / "source" / ASSIGNMENT / f"{NOTEBOOK}.ipynb").read_text()
    for secret in SECRETS:
        assert secret in source, f"{secret!r} is no longer in the source: this test would prove nothing"
        assert secret not in released


def test_released_notebook_is_clean(course: Course) -> None:
    notebook = json.loads(course.released.read_text())
    assert set(notebook["metadata"]) == {"kernelspec"}
    for cell in notebook["cells"]:
        assert cell["id"] == cell["metadata"]["nbgrader"]["grade_id"]
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None
    for cell in notebook["cells"]:
        assert cell["metadata"]["nbgrader"]["locked"] != cell["metadata"]["nbgrader"]["solution"]


def test_collect_says_which_account_a_submission_came_from(course: Course) -> None:
    # All of them came from the one account that runs the tests. In a real course this line is worth reading.
    for student in SUBMISSIONS:
        assert re.search(rf"claims to be\s+submitted by {student} but is owned by", course.logs["collect"])


def test_gradebook_holds_the_scores(course: Course) -> None:
    from nbgrader.api import Gradebook

    with Gradebook(f"sqlite:///{course.root}/gradebook.db", COURSE) as gradebook:
        assert gradebook.find_assignment(ASSIGNMENT).max_score == 10
        for student in GRADED:
            submission = gradebook.find_submission(ASSIGNMENT, student)
            (notebook,) = submission.notebooks
            assert {grade.name: grade.score for grade in notebook.grades} == SUBMISSIONS[student].parts, student
            assert {grade.name: grade.max_score for grade in notebook.grades} == MAXIMUM
            assert submission.score == SUBMISSIONS[student].total, student
            assert not submission.needs_manual_grade


def test_exported_scores(course: Course) -> None:
    with (course.root / "grades.csv").open(newline="") as file:
        rows = {row["student_id"]: row for row in csv.DictReader(file)}
    assert set(rows) == set(SUBMISSIONS)
    for student, submission in SUBMISSIONS.items():
        assert (float(rows[student]["score"]), float(rows[student]["max_score"])) == (submission.total, 10), student
    # By hand, once more and as numbers.
    assert {s: float(row["score"]) for s, row in rows.items()} == {
        "ada_perfect": 10,
        "ben_half_right": 5,
        "cyn_empty": 0,
        "dan_does_not_run": 3,
        "eva_broken_file": 0,
        "fay_other_means": 10,
        "gus_one_mistake": 8,
    }


def test_a_file_that_is_no_notebook_stops_nobody_else(course: Course) -> None:
    log = course.logs["autograde"]
    assert f"error processing assignment '{ASSIGNMENT}' for student 'eva_broken_file'" in log
    assert log.count("There was an error processing assignment '") == 1
    assert sorted(p.name for p in (course.root / "autograded").iterdir() if any(p.rglob("*.ipynb"))) == GRADED


@pytest.mark.parametrize(
    ("student", "messages"),
    [
        (
            "ben_half_right",
            [
                "You divided by m - 1 = 3 (ddof=1). Batch Normalization divides the sum of squares by m = 4.",
                "You divided by the variance. Divide by its square root: sqrt(variance + eps).",
            ],
        ),
        (
            "cyn_empty",
            ["mean has no value yet.", "var has no value yet.", "x_hat has no value yet.", "y has no value yet."],
        ),
        ("dan_does_not_run", ["mean has no value yet.", "a_package_that_nobody_has", "SyntaxError"]),
        ("gus_one_mistake", ["You divided by m - 1 = 3 (ddof=1)."]),
    ],
)
def test_feedback_says_what_is_wrong(course: Course, student: str, messages: list[str]) -> None:
    page = course.feedback(student).read_text()
    assert "Traceback (most recent call last)" in page
    text = html.unescape(re.sub(r"<[^>]+>", "", page))
    for message in messages:
        assert message in text
    assert f"(Score: {SUBMISSIONS[student].total:.1f} / 10.0)" in text


def test_feedback_on_right_answers_has_no_error(course: Course) -> None:
    for student in ("ada_perfect", "fay_other_means"):
        page = course.feedback(student).read_text()
        assert "(Score: 10.0 / 10.0)" in page
        assert "Traceback (most recent call last)" not in page


def test_a_student_fetches_the_feedback(course: Course) -> None:
    (page,) = (course.home("ben_half_right") / ASSIGNMENT / "feedback").rglob(f"{NOTEBOOK}.html")
    assert page.read_text() == course.feedback("ben_half_right").read_text()


def test_validate_lists_what_is_not_filled_in(course: Course) -> None:
    output = course.nbgrader("validate", str(course.released))
    assert "VALIDATION FAILED ON 4 CELL(S)!" in output
    for part in ("mean", "var", "x_hat", "y"):
        assert f"AssertionError: {part} has no value yet." in output


def test_validate_passes_the_solution_with_the_hidden_tests(course: Course) -> None:
    course.nbgrader("generate_solution", ASSIGNMENT)
    assert "HIDDEN" in course.solution.read_text()
    assert "Success! Your notebook passes all the tests." in course.nbgrader("validate", str(course.solution))
