"""Phase 1: a submission as it lies in `submitted/`, read without trust, with the instructor's cells restored.

nbgrader's own preprocessors do that; which ones, its configuration says (`Autograde.sanitize_preprocessors`). Nothing
of the student's runs. Links are not followed: a link in a submission may lead to anything that the grader can read. Of
a notebook there remain the texts of its cells and their pictures: what a cell is, only the instructor says.
"""

import base64
import json
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode
from nbgrader.converters import Autograde  # type: ignore[import-untyped]
from nbgrader.preprocessors.base import NbGraderPreprocessor  # type: ignore[import-untyped]
from nbgrader.utils import parse_utc  # type: ignore[import-untyped]

from bn_grading import sheets
from bn_grading.assignment import Source
from bn_grading.container import Container
from bn_grading.execute import Notebook, Submission
from bn_grading.sandbox import Limits

MIB = 1 << 20
# A notebook that was saved with its outputs; they are dropped.
LARGEST_NOTEBOOK = 256 * MIB
# What is between these in JSON takes up to 100 bytes each in memory (nested objects), and a picture has none of them.
MOST_SIGNS, _SIGNS = 4_000_000, b"{[,:"
MOST_CELLS = 2000
# All other files of a submission together.
LARGEST_FILES = 64 * MIB
STAMP = "timestamp.txt"
_LONGEST_STAMP = 1000
# What students' texts may show in a page without being loaded from elsewhere.
_PICTURES = ("image/png", "image/jpeg", "image/gif")


@dataclass
class Sanitized:
    """A submission, ready to run.

    Attributes:
        student: the id.
        notebooks: with the instructor's cells restored and without outputs, by name.
        unreadable: why a notebook cannot be read, by name. Such a notebook counts as missing.
        left_out: other files that are not used, and why.
        files: other files, by relative path.
        beside: notebooks that are none of the assignment's, by relative path. They lie beside the others when these
            run, and nowhere else.
    """

    student: str
    notebooks: dict[str, NotebookNode] = field(default_factory=dict)
    unreadable: dict[str, str] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    beside: dict[str, bytes] = field(default_factory=dict)

    def only(self, chosen: Mapping[str, Source]) -> None:
        """Leave all other notebooks as they were graded before; they still lie beside these."""
        for name in [each for each in self.notebooks if each not in chosen]:
            self.beside[f"{name}.ipynb"] = nbformat.writes(self.notebooks.pop(name)).encode()
        for name in [each for each in self.unreadable if each not in chosen]:
            del self.unreadable[name]

    def enters(
        self,
        known: Mapping[str, Source],
        limits: Limits,
        *,
        safe: bool,
        hidden: tuple[str, ...] = (),
        container: Container | None = None,
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
        written = {f"{name}.ipynb": nbformat.writes(each).encode() for name, each in self.notebooks.items()}
        beside = self.files | self.beside | written
        files = {name: base64.b64encode(content).decode() for name, content in beside.items()}
        return Submission(self.student, notebooks, files, limits, safe, hidden, container)


class UnreadableError(Exception):
    """A file of a submission cannot be read as what it should be."""


def sanitize(
    converter: Autograde, student: str, assignment: str, known: Mapping[str, Source], most: int = LARGEST_FILES
) -> Sanitized:
    """Read a submission.

    Args:
        converter: nbgrader's, for its configuration.
        student: the id.
        assignment: the name.
        known: its notebooks, by name.
        most: bytes of all other files together.
    """
    course = converter.coursedir
    folder = Path(course.format_path(course.submitted_directory, student, assignment))
    done = Sanitized(student)
    room = most
    for path in _files(folder):
        name = str(path.relative_to(folder))
        try:
            if any(above.suffix == ".ipynb" for above in Path(name).parents):
                raise UnreadableError("nbgrader would take the folder that it lies in for a notebook")
            if path.suffix == ".ipynb" and path.parent == folder:
                if path.stem in known:
                    done.notebooks[path.stem] = _restored(converter, path, student, assignment, known[path.stem])
                else:
                    done.left_out[name] = "there is no such notebook in the assignment; the others can use it"
                    done.beside[name] = _content(path, room)
                    room -= len(done.beside[name])
            elif not any(is_ignored(part, course.ignore) for part in Path(name).parts):
                done.files[name] = _content(path, room)
                room -= len(done.files[name])
        except UnreadableError as error:
            unread = done.unreadable if path.suffix == ".ipynb" and path.stem in known else done.left_out
            unread[path.stem if unread is done.unreadable else name] = str(error)
    if os.path.lexists(folder / STAMP) and handed_in_at(str(folder)) is None:
        done.files.pop(STAMP, None)
        done.left_out.setdefault(STAMP, "it does not say when this was handed in")
    # The instructor's own files, last: they stand in the place of a student's of the same name.
    source = Path(course.format_path(course.source_directory, ".", assignment))
    for path in _files(source):
        own = path.relative_to(source)
        if path.suffix != ".ipynb" and not any(is_ignored(part, course.ignore) for part in own.parts):
            if str(own) in converter.exclude_overwriting.get(assignment, ()):
                continue
            in_the_way = [name for name in done.files if own in Path(name).parents or Path(name) in own.parents]
            for name in in_the_way:
                del done.files[name]
            done.files[str(own)] = path.read_bytes()
    return done


def is_ignored(name: str, patterns: Iterable[str]) -> bool:
    """Whether nbgrader's configuration (`CourseDirectory.ignore`) leaves out a file or folder of that name."""
    return any(fnmatch(name, pattern) for pattern in patterns)


def handed_in_at(folder: str) -> datetime | None:
    """When a submission was handed in; None, if it does not say so in a way that can be read."""
    try:
        return parse_utc(_content(Path(folder, STAMP), _LONGEST_STAMP).decode().strip())  # type: ignore[no-any-return]
    except (UnreadableError, ValueError, OverflowError):
        return None


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
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        raise UnreadableError("it is no ordinary file")
    with os.fdopen(descriptor, "rb") as file:
        if status.st_size > most:
            raise UnreadableError(f"it has {status.st_size >> 20} MiB; at most {most >> 20} are read")
        return file.read(most)


def _restored(converter: Autograde, path: Path, student: str, assignment: str, source: Source) -> Any:
    try:
        content = _content(path, LARGEST_NOTEBOOK)
        if (signs := sum(map(content.count, _SIGNS))) > MOST_SIGNS:
            raise UnreadableError(
                f"it would take too much memory: it has {signs:,} braces, brackets, commas and colons; at most "
                f"{MOST_SIGNS:,} are read"
            )
        data = json.loads(content)
        if (count := sum(len(sheet["cells"]) for sheet in data.get("worksheets") or [data])) > MOST_CELLS:
            raise UnreadableError(f"it has {count} cells; at most {MOST_CELLS} are run")
        if data["nbformat"] not in (2, 3, 4):
            raise UnreadableError("it is in a format of notebooks that is not known here")
        if data["nbformat"] != 4:
            data = nbformat.convert(nbformat.from_dict(_without_outputs(data)), 4)
        notebook = _texts(data, source)
        nbformat.validate(notebook)
    except UnreadableError:
        raise
    # Not every way in which JSON can be no notebook has an exception of its own.
    except Exception as error:
        reason = str(error).strip().partition("\n")[0][:200]
        raise UnreadableError(f"it is no notebook: {type(error).__name__}: {reason}") from None
    resources = resources_of(converter, student, assignment, path.stem)
    try:
        for preprocessor in preprocessors(converter, converter.sanitize_preprocessors):
            notebook, resources = preprocessor.preprocess(notebook, resources)
    except Exception as error:
        raise UnreadableError(f"nbgrader cannot restore its cells: {type(error).__name__}: {error}") from None
    _add_missing(notebook, source)
    return notebook


def _without_outputs(data: Any) -> Any:
    """Of a notebook of an older format: they are run again anyway, and may be most of the file."""
    for sheet in data.get("worksheets") or [data]:
        for cell in sheet["cells"]:
            if cell.get("cell_type") == "code":
                cell["outputs"] = []
    return data


def _texts(data: Any, source: Source) -> Any:
    """What students write, in a notebook of ours: the texts, and which of the instructor's cells they stand in.

    Outputs are made again, and may be most of the file. Everything else decides how a page looks or what a cell is
    worth, and is not for students to say.
    """
    cells: list[NotebookNode] = []
    taken: set[str] = set()
    # Of two that claim to be the same the last one is it: nbgrader decides so, too.
    for number, given in reversed(list(enumerate(data["cells"]))):
        text = given["source"]
        cell = _MAKE[given["cell_type"]](_storable(text if isinstance(text, str) else "".join(text)))
        cell.id = f"student-{number}"
        claimed = given.get("metadata", {}).get("nbgrader", {})
        grade_id = claimed.get("grade_id") if isinstance(claimed, dict) else None
        if isinstance(grade_id, str) and grade_id in source.metadata and grade_id not in taken:
            taken.add(grade_id)
            cell.id = grade_id
            cell.metadata.nbgrader = NotebookNode(source.metadata[grade_id])
        if attached := _pictures(given.get("attachments")):
            cell.attachments = attached
        cells.insert(0, cell)
    notebook = nbformat.v4.new_notebook(cells=cells)
    notebook.metadata.kernelspec = NotebookNode(name="python3", display_name="Python 3", language="python")
    return notebook


_MAKE: dict[str, Callable[[str], Any]] = {
    "code": nbformat.v4.new_code_cell,
    "markdown": nbformat.v4.new_markdown_cell,
    "raw": nbformat.v4.new_raw_cell,
}


def _pictures(attachments: Any) -> dict[str, dict[str, str]]:
    found = {}
    for name, kinds in attachments.items() if isinstance(attachments, dict) else ():
        kept = {kind: kinds[kind] for kind in _PICTURES if isinstance(kinds, dict) and isinstance(kinds.get(kind), str)}
        if kept:
            found[_storable(name)] = {kind: _storable(content) for kind, content in kept.items()}
    return found


def _storable(text: str) -> str:
    """Without halves of surrogate pairs."""
    return text.encode(errors="replace").decode()


def _add_missing(notebook: NotebookNode, source: Source) -> None:
    """Put the cells that hand in back at the end, if they are gone: what was answered counts.

    nbgrader can do that itself (`OverwriteCells.add_missing_cells`), but not behind a cell that is only locked.
    """
    there = {cell.metadata.get("nbgrader", {}).get("grade_id") for cell in notebook.cells}
    for grade_id in source.hands_in:
        if grade_id not in there:
            # By its id it is known that it was missing.
            cell = nbformat.v4.new_code_cell(source.cells[grade_id], id=f"added-{source.hands_in.index(grade_id)}")
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
