"""Other numbers for every student, through real nbgrader: one line of configuration, and nobody gains by copying."""

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from bn_exercises.notebook import my_problem
from bn_exercises.numbers.problem import NumberProblem
from bn_grading import assignment

from .conftest import ASSIGNMENT, BASIC, BATCHES, COURSE, NOTEBOOKS, answers, make_course, solved

KEY = "autumn-2026"


def typed(problem: NumberProblem) -> dict[str, str]:
    """Cells in which the right answers stand as numbers, as one who has them from somewhere writes them."""
    return {part: f"{part} = {value.round(4).tolist()}" for part, value in problem.reference().items()}


@pytest.mark.parametrize(("call", "edition"), [("", 1), (", edition=1", 1), (",\n    edition=2", 2)])
def test_the_instructor_s_cell_says_which_edition(call: str, edition: int) -> None:
    sources = {"numbers": f'problem = my_problem("break-it", course_key="k"{call})', "hand-in": "hand_in(problem)"}
    cells = [
        SimpleNamespace(name=name, source=source, locked=True, cell_type="code", checksum="")
        for name, source in sources.items()
    ]
    graded = [SimpleNamespace(name="hand-in", max_score=10)]
    kernel = json.dumps({"language": "python"})
    source = assignment._source(
        SimpleNamespace(
            name="7", kernelspec=kernel, source_cells=cells, grade_cells=graded, solution_cells=[], task_cells=[]
        )
    )
    assert (source.problem, source.course_key, source.edition) == ("break-it", "k", edition)


def test_everybody_is_graded_on_numbers_of_their_own(tmp_path: Path) -> None:
    course = make_course(tmp_path)
    for name in NOTEBOOKS:
        if name not in (BASIC, BATCHES):
            (course.root / "source" / ASSIGNMENT / f"{name}.md").unlink()
    config = course.root / "nbgrader_config.py"
    line = f'c.PersonalNumbers.course_key = "{KEY}"'
    assert f"# {line}" in config.read_text()
    # In another language, on which no score depends.
    german = 'c.Language.code = "de"'
    assert f"# {german}" in config.read_text()
    config.write_text(config.read_text().replace(f"# {line}", line).replace(f"# {german}", german))

    course.nbgrader("generate_assignment", ASSIGNMENT)
    for name in (BASIC, BATCHES):
        assert f"course_key='{KEY}')" in course.released(name).read_text()
        assert "bn_exercises.language(" in course.released(name).read_text()
    ada = my_problem("basic-calculation", KEY, "ada")
    assert isinstance(ada, NumberProblem)

    submitted = course.root / "submitted"
    # ada computes; bob types what is right for ada, cyn what is right for cyn, dan what is right in the book.
    for student in ("ada", "bob", "cyn", "dan"):
        shutil.copytree(course.root / "release" / ASSIGNMENT, submitted / student / ASSIGNMENT)
        for name in (BASIC, BATCHES):
            path = submitted / student / ASSIGNMENT / f"{name}.ipynb"
            if student == "ada":
                solved(path)
            elif name == BASIC:
                source = {"bob": ada, "cyn": my_problem("basic-calculation", KEY, "cyn"), "dan": my_problem(ada.name)}
                problem = source[student]
                assert isinstance(problem, NumberProblem)
                answers(**typed(problem))(path)
    # In the sandbox, where nobody tells the notebook whose it is: its sheet has the numbers.
    course.grade(ASSIGNMENT, "--jobs", "2")

    from nbgrader.api import Gradebook

    scores = {}
    with Gradebook(f"sqlite:///{course.root}/gradebook.db", COURSE) as gradebook:
        for student in ("ada", "bob", "cyn", "dan"):
            scores[student] = {
                notebook.name: next(grade.auto_score for grade in notebook.grades if grade.name == "hand-in")
                for notebook in gradebook.find_submission(ASSIGNMENT, student).notebooks
            }
    assert scores["ada"] == {BASIC: 10, BATCHES: 6}
    assert scores["cyn"] == {BASIC: 10, BATCHES: 0}
    assert scores["bob"] == {BASIC: 0, BATCHES: 0}
    assert scores["dan"] == {BASIC: 0, BATCHES: 0}

    feedback = (course.root / "autograded" / "bob" / ASSIGNMENT / f"{BASIC}.ipynb").read_text()
    assert "von 10 Punkten" in feedback
    assert "steht bei ihnen" in feedback, "what a check shows while it is graded"
    recorded = (course.root / "grading" / ASSIGNMENT / "results.jsonl").read_text()
    assert "Punkten" not in recorded
    assert "Richtig" not in recorded
