"""What one round of the course left behind: the scores, the feedback, and nothing that students must not see."""

import csv
import html
import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from bn_exercises.answers import ANSWERS, from_plain
from bn_exercises.notebook import my_problem
from bn_exercises.problem import verify
from bn_grading.results import Results

from .conftest import ASSIGNMENT, BASIC, BATCHES, BY_HAND, COURSE, NOTEBOOKS, POINTS, SUBMISSIONS, Course

GRADED = [student for student, work in SUBMISSIONS.items() if all(each.score is not None for each in work.values())]
DONE = [(student, notebook) for student in GRADED for notebook in SUBMISSIONS[student]]


def total(student: str) -> float:
    return sum(work.score or 0 for work in SUBMISSIONS[student].values())


def text_of(course: Course, student: str, notebook: str) -> str:
    return html.unescape(re.sub(r"<[^>]+>", "", course.feedback(student, notebook).read_text()))


def handed_in(course: Course, student: str, notebook: str) -> dict[str, Any]:
    """The answers in the output of the graded cell."""
    cells = json.loads(course.autograded(student, notebook).read_text())["cells"]
    (cell,) = [cell for cell in cells if cell["metadata"].get("nbgrader", {}).get("grade_id") == "hand-in"]
    (answers,) = [output["data"][ANSWERS] for output in cell["outputs"] if ANSWERS in output.get("data", {})]
    return answers


def test_a_student_sees_the_assignment_in_the_list(course: Course) -> None:
    assert f"{COURSE} {ASSIGNMENT}" in course.logs["list"]


def test_release_holds_the_notebooks_and_nothing_else(course: Course) -> None:
    # nbgrader copies every file of the source folder that it is not told to ignore; the .md holds the solutions.
    assert {p.stem for p in (course.root / "source" / ASSIGNMENT).glob("*.md")} == set(NOTEBOOKS)
    for folder in (course.root / "release", course.machine / "exchange" / COURSE / "outbound"):
        assert sorted(p.name for p in folder.rglob("*") if p.is_file()) == [f"{name}.ipynb" for name in NOTEBOOKS]


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_released_notebook_is_clean(course: Course, name: str) -> None:
    notebook = json.loads(course.released(name).read_text())
    assert set(notebook["metadata"]) == {"kernelspec"}
    for cell in notebook["cells"]:
        assert cell["id"] == cell["metadata"]["nbgrader"]["grade_id"]
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None
        assert cell["metadata"]["nbgrader"]["locked"] != cell["metadata"]["nbgrader"]["solution"]
        for secret in ("BEGIN SOLUTION", "HIDDEN", "MARK SCHEME", "Rubric"):
            assert secret not in cell["source"]
    # Everybody has the numbers of the book, unless the configuration says otherwise.
    assert "course_key" not in course.released(name).read_text()


def test_collect_takes_nobodys_name_for_anothers(course: Course) -> None:
    # All of them came from the one account that runs the tests, and in a real course none does.
    said = course.nbgrader("collect", ASSIGNMENT, "--update", "--ExchangeCollect.check_owner=True")
    for student in SUBMISSIONS:
        assert re.search(rf"Not collected: {student}\+.* it belongs to \S+, and not to {student}\.", said)


def test_a_link_in_the_exchange_is_not_collected(course: Course) -> None:
    inbound = course.machine / "exchange" / COURSE / "inbound"
    for student in ("eve_whole", "eve_within"):
        name = f"{student}+{ASSIGNMENT}+2026-01-31 12:00:00 UTC+x"
        if student == "eve_whole":
            (inbound / name).symlink_to(course.root / "source" / ASSIGNMENT)
        else:
            (inbound / name).mkdir()
            (inbound / name / f"{BASIC}.ipynb").symlink_to(course.root / "source" / ASSIGNMENT / f"{BASIC}.ipynb")
    said = course.nbgrader("collect", ASSIGNMENT)
    assert re.search(r"Not collected: eve_whole\+.*: it is a link", said)
    assert re.search(rf"Not collected: eve_within\+.*: {BASIC}.ipynb: it is a link", said)
    assert not list((course.root / "submitted").glob("eve_w*"))


def test_gradebook_holds_the_scores(course: Course) -> None:
    from nbgrader.api import Gradebook

    with Gradebook(f"sqlite:///{course.root}/gradebook.db", COURSE) as gradebook:
        assert gradebook.find_assignment(ASSIGNMENT).max_score == sum(POINTS.values()) + sum(BY_HAND.values())
        for student in GRADED:
            submission = gradebook.find_submission(ASSIGNMENT, student)
            for notebook in submission.notebooks:
                grades = {grade.name: grade for grade in notebook.grades}
                assert grades["hand-in"].max_score == POINTS[notebook.name]
                work = SUBMISSIONS[student].get(notebook.name)
                if work is not None:
                    assert grades["hand-in"].auto_score == work.score, (student, notebook.name)
                assert len(grades) == 1 + (notebook.name in BY_HAND)
            assert submission.score == total(student), student


def test_a_text_waits_for_its_reader(course: Course) -> None:
    from nbgrader.api import Gradebook

    with Gradebook(f"sqlite:///{course.root}/gradebook.db", COURSE) as gradebook:
        for student, waits in {"jon_one_for_both": True, "ada_perfect": True, "cyn_empty": False}.items():
            grade = gradebook.find_grade("in-words", BATCHES, ASSIGNMENT, student)
            assert grade.needs_manual_grade == waits, student
            assert grade.max_score == 4
        # Who wrote nothing has 0 already.
        assert grade.auto_score == 0


def test_exported_scores(course: Course) -> None:
    with (course.root / "grades.csv").open(newline="") as file:
        rows = {row["student_id"]: row for row in csv.DictReader(file)}
    # By hand, once more and as numbers.
    assert {student: float(row["score"]) for student, row in rows.items()} == {
        "ada_perfect": 76,
        "ben_half_right": 5,
        "cyn_empty": 0,
        "dan_does_not_run": 3,
        "eva_broken_file": 0,
        "fay_other_means": 10,
        "gus_one_mistake": 8,
        "hal_no_variance_path": 6,
        "ida_half_forgotten": 7,
        "jon_one_for_both": 3,
        "kim_each_class": 10,
        "leo_mixture": 5,
        "mia_divides_by_n_minus_1": 8,
        "ned_batch_statistics": 8,
        "ola_careless": 0,
        "pat_kink": 8,
        "quin_three_of_five": 6,
        "rob_wrote_his_grade": 0,
        "sue_noisy": 10,
        "tom_other_axes": 6,
    }
    assert {float(row["max_score"]) for row in rows.values()} == {84}


def test_a_file_that_is_no_notebook_stops_nobody_else(course: Course) -> None:
    log = course.logs["bn_grading"]
    assert f"{len(SUBMISSIONS)} submissions in" in log
    assert "eva_broken_file: 1-basic-calculation: it is no notebook: JSONDecodeError" in log
    results = Results.of(course, ASSIGNMENT).last()
    assert [student for student, result in sorted(results.items()) if result.graded] == GRADED
    assert sorted(p.name for p in (course.root / "autograded").iterdir() if any(p.rglob("*.ipynb"))) == GRADED


@pytest.mark.parametrize(("student", "notebook"), DONE)
def test_the_answers_in_the_output_give_the_same_score_elsewhere(course: Course, student: str, notebook: str) -> None:
    # So a grader can take the answers out of the notebook and judge them in a process of its own.
    left = handed_in(course, student, notebook)
    task = my_problem(left["problem"])
    assert left["numbers"] == task.fingerprint
    assert verify(task, from_plain(left["answers"])).score == SUBMISSIONS[student][notebook].score


@pytest.mark.parametrize(
    ("student", "messages"),
    [
        ("ben_half_right", ["Basic calculation: 5 of 10 points", "Not yet: ddof=1", "Divide by its square root"]),
        ("dan_does_not_run", ["No answer yet. 0 of 2 points.", "a_package_that_nobody_has", "SyntaxError"]),
        ("gus_one_mistake", ["Not yet: ddof=1", "Right for your own earlier answer, so this counts"]),
        ("hal_no_variance_path", ["Not yet: no path through the variance", "6 of 10 points"]),
        ("ida_half_forgotten", ["Not yet: ½ forgotten", "a mistake counts once"]),
        ("jon_one_for_both", ["Not yet: one mean and variance for both batches"]),
        ("kim_each_class", ["was read with the statistics of each class and ε = 10⁻⁵"]),
        ("leo_mixture", ["Both are possible, but not in one answer: choose one of them."]),
        ("mia_divides_by_n_minus_1", ["Not yet: ddof=1"]),
        ("ned_batch_statistics", ["Not yet: inference with batch statistics"]),
        ("pat_kink", ["Not yet: kink"]),
        ("tom_other_axes", ["Not yet: γ in front of the means", "Not yet: each position by itself"]),
        ("quin_three_of_five", ["6 of 10 points", "No answer yet. 0 of 2 points."]),
        ("ola_careless", ["This is text.", "far more numbers than were asked for", "different lengths", "complex"]),
    ],
)
def test_feedback_says_what_is_wrong(course: Course, student: str, messages: list[str]) -> None:
    text = "".join(text_of(course, student, notebook) for notebook in SUBMISSIONS[student])
    for message in messages:
        assert message in text
    for notebook, work in SUBMISSIONS[student].items():
        assert f"(Score: {work.score:.1f} / {POINTS[notebook] + BY_HAND.get(notebook, 0):.1f})" in text


@pytest.mark.parametrize(("student", "notebook"), [d for d in DONE if d[0] in ("ada_perfect", "cyn_empty")])
def test_feedback_has_no_error_where_nothing_broke(course: Course, student: str, notebook: str) -> None:
    assert "Traceback (most recent call last)" not in course.feedback(student, notebook).read_text()


def test_a_student_fetches_the_feedback(course: Course) -> None:
    (page,) = (course.home("ben_half_right") / ASSIGNMENT / "feedback").rglob(f"{BASIC}.html")
    assert page.read_text() == course.feedback("ben_half_right", BASIC).read_text()


def test_validate_shows_the_verdict_on_what_was_released_and_passes_the_solutions(course: Course) -> None:
    # Of numbers, and with a text besides. Each is run in a kernel.
    course.nbgrader("generate_solution", ASSIGNMENT, "--notebook", BATCHES)
    done = course.run("nbgrader", "validate", str(course.released(BATCHES)), str(course.solution(BATCHES)))
    assert done.stdout.count("VALIDATION FAILED ON 2 CELL(S)!") == 1
    assert done.stdout.count(f": 0 of {POINTS[BATCHES]} points") == 1
    assert "No answer yet. 0 of 3 points." in done.stdout
    assert done.stdout.count("Success! Your notebook passes all the tests.") == 1
    assert "Traceback" not in done.stdout


def test_manual_points_are_added(course: Course, tmp_path: Path) -> None:
    """A reader gives 3 of 4 points for a text, in a gradebook that no other test looks at."""
    from nbgrader.api import Gradebook

    copy = shutil.copy(course.root / "gradebook.db", tmp_path)
    with Gradebook(f"sqlite:///{copy}", COURSE) as gradebook:
        grade = gradebook.find_grade("in-words", BATCHES, ASSIGNMENT, "jon_one_for_both")
        grade.manual_score = 3
        grade.needs_manual_grade = False
        gradebook.db.commit()
        submission = gradebook.find_submission(ASSIGNMENT, "jon_one_for_both")
        assert submission.score == 3 + 3
        assert not submission.needs_manual_grade
