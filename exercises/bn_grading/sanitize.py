"""Phase 1: a submission as it lies in `submitted/`, read without trust, with the instructor's cells restored.

nbgrader's own preprocessors do that; which ones, its configuration says (`Autograde.sanitize_preprocessors`). Nothing
of the student's runs. Links are not followed: a link in a submission may lead to anything that the grader can read.
"""

import base64
import json
import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode
from nbgrader.converters import Autograde  # type: ignore[import-untyped]
from nbgrader.preprocessors.base import NbGraderPreprocessor  # type: ignore[import-untyped]

from bn_grading import sheets
from bn_grading.assignment import Source
from bn_grading.execute import Notebook, Submission
from bn_grading.sandbox import Limits

MIB = 1 << 20
# A notebook that was saved with its outputs; they are dropped.
LARGEST_NOTEBOOK = 256 * MIB
MOST_CELLS = 2000
# All other files of a submission together.
LARGEST_FILES = 64 * MIB


@dataclass
class Sanitized:
    """A submission, ready to run.

    Attributes:
        student: the id.
        notebooks: with the instructor's cells restored and without outputs, by name.
        unreadable: why a notebook cannot be read, by name. Such a notebook counts as missing.
        left_out: other files that are not used, and why.
        files: other files, by relative path.
    """

    student: str
    notebooks: dict[str, NotebookNode] = field(default_factory=dict)
    unreadable: dict[str, str] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)

    def enters(
        self, known: Mapping[str, Source], limits: Limits, *, safe: bool, hidden: tuple[str, ...] = ()
    ) -> Submission:
        """What of it goes into the sandbox."""
        notebooks = []
        for name, notebook in self.notebooks.items():
            task = known[name].task(self.student)
            cells = [
                {"index": index, "source": cell.source}
                for index, cell in enumerate(notebook.cells)
                if cell.cell_type == "code"
            ]
            told = ({}, {}) if task is None else (sheets.sheet(task), sheets.modules(task))
            notebooks.append(Notebook(name, cells, *told))
        files = {name: base64.b64encode(content).decode() for name, content in self.files.items()}
        return Submission(self.student, notebooks, files, limits, safe, hidden)


class UnreadableError(Exception):
    """A file of a submission cannot be read as what it should be."""


def sanitize(converter: Autograde, student: str, assignment: str, known: Mapping[str, Source]) -> Sanitized:
    """Read a submission.

    Args:
        converter: nbgrader's, for its configuration.
        student: the id.
        assignment: the name.
        known: its notebooks, by name.
    """
    course = converter.coursedir
    folder = Path(course.format_path(course.submitted_directory, student, assignment))
    done = Sanitized(student)
    room = LARGEST_FILES
    for path in _files(folder):
        name = str(path.relative_to(folder))
        try:
            if path.suffix == ".ipynb" and path.parent == folder:
                if path.stem in known:
                    done.notebooks[path.stem] = _restored(converter, path, student, assignment, known[path.stem])
                else:
                    done.left_out[name] = "there is no such notebook in the assignment"
            else:
                done.files[name] = _content(path, room)
                room -= len(done.files[name])
        except UnreadableError as error:
            unread = done.unreadable if path.suffix == ".ipynb" and path.stem in known else done.left_out
            unread[path.stem if unread is done.unreadable else name] = str(error)
    # The instructor's own files, last: they stand in the place of a student's of the same name.
    source = Path(course.format_path(course.source_directory, ".", assignment))
    for path in _files(source):
        if path.suffix != ".ipynb" and not any(path.match(pattern) for pattern in course.ignore):
            done.files[str(path.relative_to(source))] = path.read_bytes()
    return done


def _files(folder: Path) -> Iterator[Path]:
    """Everything in a folder that is no folder, in order; links are given as they are."""
    for above, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted((*names, *(each for each in folders if os.path.islink(os.path.join(above, each))))):
            yield Path(above, name)


def _content(path: Path, most: int) -> bytes:
    """What is in an ordinary file of at most that size, opened so that it cannot be exchanged meanwhile."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        raise UnreadableError(
            "it is a link" if path.is_symlink() else f"it cannot be opened: {error.strerror}"
        ) from None
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise UnreadableError("it is no ordinary file")
        if status.st_size > most:
            raise UnreadableError(f"it has {status.st_size >> 20} MiB; at most {most >> 20} are read")
        return file.read(most)


def _restored(converter: Autograde, path: Path, student: str, assignment: str, source: Source) -> Any:
    try:
        stripped = _without_outputs(json.loads(_content(path, LARGEST_NOTEBOOK)))
        notebook = nbformat.reads(json.dumps(stripped), as_version=4)
        nbformat.validate(notebook)
    except UnreadableError:
        raise
    # Not every way in which JSON can be no notebook has an exception of its own.
    except Exception as error:
        reason = str(error).strip().partition("\n")[0][:200]
        raise UnreadableError(f"it is no notebook: {type(error).__name__}: {reason}") from None
    if len(notebook.cells) > MOST_CELLS:
        raise UnreadableError(f"it has {len(notebook.cells)} cells; at most {MOST_CELLS} are run")
    resources = resources_of(converter, student, assignment, path.stem)
    try:
        for preprocessor in preprocessors(converter, converter.sanitize_preprocessors):
            notebook, resources = preprocessor.preprocess(notebook, resources)
    except Exception as error:
        raise UnreadableError(f"nbgrader cannot restore its cells: {type(error).__name__}: {error}") from None
    _add_missing(notebook, source)
    return notebook


def _without_outputs(data: Any) -> Any:
    """They are run again anyway, and may be most of the file."""
    for cell in data.get("cells", ()) if isinstance(data, dict) else ():
        if isinstance(cell, dict) and cell.get("cell_type") == "code":
            cell["outputs"] = []
    return data


def _add_missing(notebook: NotebookNode, source: Source) -> None:
    """Put the cells that hand in back at the end, if they are gone: what was answered counts.

    nbgrader can do that itself (`OverwriteCells.add_missing_cells`), but not behind a cell that is only locked.
    """
    there = {cell.metadata.get("nbgrader", {}).get("grade_id") for cell in notebook.cells}
    for grade_id in source.hands_in:
        if grade_id not in there:
            cell = nbformat.v4.new_code_cell(source.cells[grade_id], id=grade_id)
            cell.metadata.nbgrader = NotebookNode(source.metadata[grade_id])
            notebook.cells.append(cell)


def preprocessors(converter: Autograde, wanted: Iterable[Any]) -> Iterator[NbGraderPreprocessor]:
    """Those of a list in nbgrader's configuration that are switched on."""
    for each in wanted:
        preprocessor = each(parent=converter)
        if preprocessor.enabled:
            yield preprocessor


def resources_of(converter: Autograde, student: str, assignment: str, notebook: str) -> dict[str, Any]:
    """What nbgrader tells its preprocessors."""
    return {
        "unique_key": notebook,
        "nbgrader": {
            "student": student,
            "assignment": assignment,
            "notebook": notebook,
            "db_url": converter.coursedir.db_url,
        },
    }
