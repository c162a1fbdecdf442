"""nbgrader_config.py, as nbgrader executes it."""

from pathlib import Path

from bn_exercises.course.sources import sync

from .conftest import ASSIGNMENT, NOTEBOOK, make_course


def test_a_stale_notebook_is_made_anew(tmp_path: Path) -> None:
    course = make_course(tmp_path)
    source = course.root / "source" / ASSIGNMENT / f"{NOTEBOOK}.md"
    sync(course.root / "source")
    source.write_text(source.read_text().replace("Batch Normalization by hand", "Another title"))

    output = course.nbgrader("generate_assignment", ASSIGNMENT)

    assert f"made {source.with_suffix('.ipynb')}" in output
    assert "Another title" in course.released(NOTEBOOK).read_text()


def test_no_command_runs_on_notebooks_that_cannot_be_brought_up_to_date(tmp_path: Path) -> None:
    # nbgrader logs an exception in this file, drops the whole file and goes on; without it, sources and their
    # solutions would be released. So the file ends the command instead.
    course = make_course(tmp_path)
    source = course.root / "source" / ASSIGNMENT / f"{NOTEBOOK}.md"
    source.write_text(source.read_text().replace('"grade_id": "title"', '"grade_id": ""'))

    output = course.nbgrader("generate_assignment", ASSIGNMENT, fails=True)

    assert "the notebooks could not be brought up to date" in output
    assert "has no nbgrader grade_id" in output
    assert not (course.root / "release").exists()
