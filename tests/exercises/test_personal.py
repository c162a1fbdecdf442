"""Numbers of their own for all students: what is done to a notebook that is released; `tests/course` grades it."""

from typing import Any

import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from traitlets.config import Config

from bn_exercises.course.personal import PersonalNumbers

RESOURCES = {"nbgrader": {"student": "ada"}}


def notebook() -> Any:
    cells = [
        new_markdown_cell('call `my_problem("basic-calculation")`'),
        new_code_cell("problem = my_problem(\"basic-calculation\")\nother = my_problem( 'batch-size' )"),
        new_code_cell("hand_in(problem)"),
    ]
    for number, cell in enumerate(cells):
        cell.id = f"cell-{number}"
    return new_notebook(cells=cells)


def test_the_key_goes_where_the_problem_is_asked_for() -> None:
    config = Config({"PersonalNumbers": {"course_key": 'autumn "26"'}})
    released, _ = PersonalNumbers(config=config).preprocess(notebook(), RESOURCES)
    assert released.cells[0].source == notebook().cells[0].source
    assert released.cells[1].source == (
        'problem = my_problem("basic-calculation", course_key=\'autumn "26"\')\n'
        "other = my_problem('batch-size', course_key='autumn \"26\"')"
    )


def test_an_edition_goes_with_the_key() -> None:
    config = Config({"PersonalNumbers": {"course_key": "k", "edition": 2}})
    released, _ = PersonalNumbers(config=config).preprocess(notebook(), RESOURCES)
    assert "my_problem(\"basic-calculation\", course_key='k', edition=2)" in released.cells[1].source


@pytest.mark.parametrize("key", [r"\1", r"a\g<0>b"])
def test_a_key_is_taken_as_it_is(key: str) -> None:
    config = Config({"PersonalNumbers": {"course_key": key}})
    released, _ = PersonalNumbers(config=config).preprocess(notebook(), RESOURCES)
    calls: list[str] = []
    exec(released.cells[1].source, {"my_problem": lambda name, course_key: calls.append(course_key)})
    assert calls == [key, key]


def test_without_a_key_nothing_changes() -> None:
    assert PersonalNumbers().preprocess(notebook(), RESOURCES)[0] == notebook()


def test_a_notebook_without_a_place_for_the_key_is_refused() -> None:
    nowhere = new_notebook(cells=[new_code_cell("hand_in(PROBLEM)")])
    with pytest.raises(ValueError, match="no place for the course key"):
        PersonalNumbers(config=Config({"PersonalNumbers": {"course_key": "k"}})).preprocess(nowhere, RESOURCES)
    own = new_notebook(cells=[new_code_cell("print('a notebook of the instructor')")])
    assert PersonalNumbers(config=Config({"PersonalNumbers": {"course_key": "k"}})).preprocess(own, RESOURCES)[0] == own
