"""Solutions that a course keeps closed until a day, through real nbgrader: one line of configuration."""

import json
from collections.abc import Iterator
from datetime import date
from importlib.util import module_from_spec, spec_from_file_location
from inspect import signature
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bn_exercises import check, notebook
from bn_exercises.problems import BACKPROPAGATION, BASIC_CALCULATION
from bn_grading import assignment

from .conftest import ASSIGNMENT, BASIC, COURSE, NOTEBOOKS, make_course

OPENS = "2026-12-20"
LINE = f'c.Solutions.closed_until = "{OPENS}"'


@pytest.fixture(autouse=True)
def _session(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check.SESSION, "solutions_from", None)


def on(day: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "today", lambda: date.fromisoformat(day))


def test_a_released_notebook_shows_no_solution_before_the_day(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    course = make_course(tmp_path)
    for name in set(NOTEBOOKS) - {BASIC}:
        (course.root / "source" / ASSIGNMENT / f"{name}.md").unlink()
    config = course.root / "nbgrader_config.py"
    as_it_comes = config.read_text()
    assert f"# {LINE}" in as_it_comes

    # A day that is none ends the command, and nothing is released.
    config.write_text(as_it_comes.replace(f"# {LINE}", LINE.replace(OPENS, "20.12.2026")))
    said = course.nbgrader("generate_assignment", ASSIGNMENT, fails=True)
    assert "c.Solutions.closed_until: there is no day '20.12.2026'; expected one as YYYY-MM-DD" in said
    assert "Traceback" not in said
    assert not (course.root / "release").exists()

    # Together with the line beside it, which is written into the same call.
    key = 'c.PersonalNumbers.course_key = "autumn-2026"'
    config.write_text(as_it_comes.replace(f"# {LINE}", LINE).replace(f"# {key}", key))
    course.nbgrader("generate_assignment", ASSIGNMENT)
    cells = {
        each["metadata"]["nbgrader"]["grade_id"]: each
        for each in json.loads(course.released(BASIC).read_text())["cells"]
    }
    offer = "".join(cells["hand-in-question"]["source"])
    assert "Done, or stuck?" not in offer
    assert f"From {OPENS} on, `solution(problem)`" in offer

    # What a student runs, and then types.
    monkeypatch.setenv("BN_STUDENT", "ada")
    mine: dict[str, Any] = {}
    exec("".join(cells["numbers"]["source"]), mine)
    numbers = repr(check.Solution(mine["problem"]))
    for calls in ("solution(problem)", "solution(my_problem('basic-calculation'))", "solution(other)"):
        mine["other"] = BACKPROPAGATION
        on("2026-12-19", monkeypatch)
        closed = eval(calls, mine)
        assert OPENS in repr(closed)
        assert OPENS in closed._repr_html_()
        assert not set(numbers.splitlines()[1:]) & set(repr(closed).splitlines())
        on(OPENS, monkeypatch)
        assert isinstance(eval(calls, mine), check.Solution)
    assert repr(eval("solution(problem)", mine)) == numbers

    # The grader reads the problem and the key in the same line.
    (source,) = assignment.sources(f"sqlite:///{course.root}/gradebook.db", COURSE, ASSIGNMENT).values()
    assert (source.problem, source.course_key, source.edition) == ("basic-calculation", "autumn-2026", 1)


def test_without_a_day_a_solution_is_shown() -> None:
    notebook.my_problem("basic-calculation")
    assert isinstance(notebook.solution(BASIC_CALCULATION), check.Solution)


@pytest.mark.parametrize(
    "written",
    ["20.12.2026", "2026-02-30", "20261220", "2026-W51-7", "2026-12-20T10:00", "soon", " 2026-12-20", "٢٠٢٦-12-20"],
)
def test_what_is_no_day_is_named_and_changes_nothing(written: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match=r"there is no day .*; expected one as YYYY-MM-DD") as refused:
        notebook.my_problem("basic-calculation", solution_from=written)
    assert repr(written) in str(refused.value)
    assert check.SESSION.solutions_from is None


def test_of_two_days_the_later_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    on("2026-12-10", monkeypatch)
    for day in ("2026-12-20", "2026-12-01"):
        notebook.my_problem("basic-calculation", solution_from=day)
    assert OPENS in repr(notebook.solution(BASIC_CALCULATION))


def test_the_sandbox_takes_the_same_call() -> None:
    """Where a submission is graded, another file stands in the place of the module that learners use."""
    path = Path(assignment.__file__).parent / "inside" / "notebook.py"
    spec = spec_from_file_location("inside_notebook", path)
    assert spec is not None
    assert spec.loader is not None
    inside = module_from_spec(spec)
    spec.loader.exec_module(inside)
    assert list(signature(inside.my_problem).parameters) == list(signature(notebook.my_problem).parameters)


def released(*cells: SimpleNamespace) -> Iterator[str]:
    """The sources of a notebook's cells after the preprocessor."""
    from bn_exercises.course.solutions import Solutions

    changed, _ = Solutions(closed_until=OPENS).preprocess(SimpleNamespace(cells=list(cells)), {})
    return (each.source for each in changed.cells)


def cell(source: str, kind: str = "code") -> SimpleNamespace:
    return SimpleNamespace(source=source, cell_type=kind, metadata={"nbgrader": {"grade_id": "mine"}})


def test_an_author_s_own_day_gives_way_to_the_course_s() -> None:
    call = 'problem = my_problem( "implement", solution_from="2020-01-01")'
    assert list(released(cell(call))) == [f"problem = my_problem( \"implement\", solution_from='{OPENS}')"]


def test_a_notebook_without_a_place_for_the_day_is_named() -> None:
    with pytest.raises(ValueError, match="no place for the day"):
        released(cell("hand_in(problem, dx=dx)"))
    with pytest.raises(ValueError, match="'mine' offers `solution\\(problem\\)` in words that are not known"):
        released(cell('my_problem("implement")'), cell("Type `solution(problem)`.", "markdown"))
    # One of the instructor's own, about something else.
    assert list(released(cell("x = 1"), cell("Words.", "markdown"))) == ["x = 1", "Words."]
