"""Markdown sources and the .ipynb files made from them."""

import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from bn_exercises.course.sources import EditedNotebookError, check, sync, take_edits, to_notebook

SOURCE = Path(__file__).parents[2] / "exercises" / "source"
NOTEBOOKS = sorted(SOURCE.glob("*/*.md"))
TEXT = NOTEBOOKS[0].read_text()


@pytest.fixture
def source(tmp_path: Path) -> Path:
    (tmp_path / "batch-norm").mkdir()
    (tmp_path / "batch-norm" / "one.md").write_text(TEXT)
    return tmp_path


def test_sources_can_be_compared_as_text() -> None:
    assert check(SOURCE) == []


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_is_valid_and_clean(path: Path) -> None:
    notebook = to_notebook(path.read_text())
    nbformat.validate(notebook)
    assert set(notebook.metadata) == {"kernelspec"}
    for cell in notebook.cells:
        assert cell.id == cell.metadata.nbgrader.grade_id
        if cell.cell_type == "code":
            assert cell.outputs == []
            assert cell.execution_count is None


def test_conversion_gives_the_same_every_time() -> None:
    assert nbformat.writes(to_notebook(TEXT)) == nbformat.writes(to_notebook(TEXT))


def test_cell_without_grade_id_is_named() -> None:
    with pytest.raises(ValueError, match=r"cell 1 \('# Exercise 1.*has no nbgrader grade_id"):
        to_notebook(TEXT.replace('"grade_id": "title"', '"grade_id": ""'))


def test_two_cells_with_one_grade_id_are_named() -> None:
    with pytest.raises(ValueError, match="has the grade_id 'title' of an earlier cell"):
        to_notebook(TEXT.replace('"grade_id": "mean-question"', '"grade_id": "title"'))


def test_sync_makes_what_is_missing_once(source: Path) -> None:
    notebook = source / "batch-norm" / "one.ipynb"
    assert sync(source) == [notebook]
    assert nbformat.read(notebook, as_version=4) == to_notebook(TEXT)
    assert sync(source) == []


def test_sync_follows_the_source(source: Path) -> None:
    (notebook,) = sync(source)
    (source / "batch-norm" / "one.md").write_text(TEXT.replace("by hand", "in your head"))
    assert sync(source) == [notebook]
    assert "in your head" in notebook.read_text()


def test_sync_makes_a_deleted_notebook_again(source: Path) -> None:
    (notebook,) = sync(source)
    notebook.unlink()
    assert sync(source) == [notebook]


def test_sync_leaves_other_notebooks_alone(source: Path) -> None:
    own = source / "batch-norm" / "an-instructors-own.ipynb"
    own.write_text("{}")
    sync(source)
    assert own.read_text() == "{}"


def test_sync_is_cheap_when_nothing_is_stale(source: Path) -> None:
    sync(source)
    script = (
        "import sys; from bn_exercises.course.sources import sync; assert sync(sys.argv[1]) == [];"
        "heavy = {'jupytext', 'nbformat', 'numpy', 'bn_lib'} & set(sys.modules); assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", script, str(source)], check=True)


def _edit(notebook: Path) -> None:
    notebook.write_text(notebook.read_text().replace("by hand", "with an abacus"))


@pytest.mark.parametrize("stale", [False, True])
@pytest.mark.parametrize("recorded", [False, True])
def test_sync_does_not_overwrite_edits(source: Path, stale: bool, recorded: bool) -> None:
    (notebook,) = sync(source)
    _edit(notebook)
    edited = notebook.read_text()
    if stale:
        (source / "batch-norm" / "one.md").write_text(TEXT.replace("by hand", "in your head"))
    if not recorded:
        (source / ".generated.json").unlink()

    with pytest.raises(EditedNotebookError, match=r"one\.ipynb was edited.*--take-edits.*delete one\.ipynb"):
        sync(source)

    assert notebook.read_text() == edited


def test_sync_without_its_record_accepts_what_it_would_make(source: Path) -> None:
    sync(source)
    (source / ".generated.json").unlink()
    assert sync(source) == []


def test_take_edits_brings_them_into_the_source_without_outputs(source: Path) -> None:
    (path,) = sync(source)
    notebook = nbformat.read(path, as_version=4)
    notebook.cells[0].source = notebook.cells[0].source.replace("by hand", "with an abacus")
    notebook.cells[1].outputs = [nbformat.v4.new_output("stream", text="a line that was printed")]
    notebook.cells[1].execution_count = 7
    nbformat.write(notebook, path)

    assert take_edits(source) == [source / "batch-norm" / "one.md"]

    assert (source / "batch-norm" / "one.md").read_text() == TEXT.replace("by hand", "with an abacus")
    assert "a line that was printed" not in path.read_text()
    assert sync(source) == []


def test_take_edits_without_edits_changes_nothing(source: Path) -> None:
    sync(source)
    assert take_edits(source) == []


def test_command_line(source: Path) -> None:
    run = [sys.executable, "-m", "bn_exercises.course.sources", str(source)]
    assert subprocess.run(run, check=True, capture_output=True, text=True).stdout.strip().endswith("one.ipynb")
    _edit(source / "batch-norm" / "one.ipynb")
    done = subprocess.run([*run, "--take-edits"], check=True, capture_output=True, text=True)
    assert done.stdout.strip().endswith("one.md")


# What `check` finds


def test_check_passes_a_source_and_what_is_made_from_it(source: Path) -> None:
    sync(source)
    assert check(source) == []


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        ('"grade_id": "title"', '"grade_id": ""', r"one\.md: ValueError: cell 1 .* has no nbgrader grade_id"),
        ('"grade_id": "mean-question"', '"grade_id": "title"', r"one\.md: .* the grade_id 'title' of an earlier cell"),
        # Two spaces instead of one; jupytext would write one, and the next edit in Jupyter would change this line too.
        ('"grade": false, "grade_id": "title"', '"grade": false,  "grade_id": "title"', r"one\.md: line 14 is .*; jup"),
        # JupyterLab writes down when a cell ran, if it is told to.
        (
            "---\nnbgrader:\n",
            "---\nexecution:\n  iopub.status.busy: '2026-11-21T05:27:00.000000Z'\nnbgrader:\n",
            r"one\.md: line \d+ is 'execution:'; jupytext writes 'nbgrader:'",
        ),
        ("  locked: true\n", " locked: true\n", r"one\.md: MystMetadataParsingError: Code cell 1 .* Invalid YAML"),
    ],
)
def test_check_says_what_differs_and_where(source: Path, before: str, after: str, says: str) -> None:
    assert before in TEXT
    (source / "batch-norm" / "one.md").write_text(TEXT.replace(before, after, 1))
    (found,) = check(source)
    assert re.search(says, found), found


def test_check_says_that_there_are_lines_left(source: Path) -> None:
    (source / "batch-norm" / "one.md").write_text(TEXT + "\n")
    (found,) = check(source)
    assert re.search(r"one\.md: it has \d+ lines; jupytext writes \d+$", found)


def test_check_looks_at_every_source(source: Path) -> None:
    for name in ("two.md", "three.md"):
        (source / "batch-norm" / name).write_text("# A cell without an id\n")
    assert [Path(found.partition(":")[0]).name for found in check(source)] == ["three.md", "two.md"]


def test_check_of_another_folder_finds_no_notebooks(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "nowhere"):
        (found,) = check(folder)
        assert "holds no notebooks" in found


@pytest.mark.needs("git", package="git")
def test_check_finds_notebooks_in_git(source: Path) -> None:
    (notebook,) = sync(source)
    subprocess.run(["git", "init", "--quiet", str(source.parent)], check=True)
    assert check(source) == []
    subprocess.run(["git", "add", "--force", "."], check=True, cwd=source)
    assert check(source) == [f"{notebook} is in git, and its .md is what belongs there: git rm --cached {notebook}"]


def test_check_from_the_command_line(source: Path) -> None:
    run = [sys.executable, "-m", "bn_exercises.course.sources", str(source), "--check"]
    done = subprocess.run(run, check=True, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("", "")
    (source / "batch-norm" / "two.md").write_text("# A cell without an id\n")
    done = subprocess.run(run, check=False, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith(f"{source / 'batch-norm' / 'two.md'}: ValueError: cell 1")
    assert not (source / "batch-norm" / "two.ipynb").exists()
