"""Phase 1: a submission as it lies in `submitted/`, read without trust, with the instructor's cells restored.

nbgrader's own preprocessors do that; which ones, its configuration says (`Autograde.sanitize_preprocessors`). Nothing
of the student's runs. Links are not followed (`files`), and notebooks are read apart (`notebooks`). Of a notebook there
remain the texts of its cells and their pictures: what a cell is, only the instructor says.
"""

import base64
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode
from nbgrader.converters import Autograde  # type: ignore[import-untyped]
from nbgrader.preprocessors import CheckCellMetadata, NbGraderPreprocessor  # type: ignore[import-untyped]
from nbgrader.utils import parse_utc  # type: ignore[import-untyped]

from bn_exercises.answers import LATER
from bn_exercises.translation import said, speaking
from bn_grading import apart, notebooks, what_enters
from bn_grading.apart import TooMuchError
from bn_grading.assignment import Source
from bn_grading.container import Container
from bn_grading.execute import Notebook, Submission
from bn_grading.files import MIB, UnreadableError, content, files, refuse_links
from bn_grading.gradebook import of_one_gradebook
from bn_grading.notebooks import Cell
from bn_grading.sandbox import Limits

# All other files of a submission together.
LARGEST_FILES = 64 * MIB
# nbgrader copies them into the feedback, in a time that grows with the square of their number: 2 s for so many.
MOST_BESIDE = 1000
STAMP = "timestamp.txt"
_SECRET = "submission_secret.txt"
_LONGEST_STAMP = 1000


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
            told: tuple[dict[str, Any], dict[str, str]] = {}, {}
            if task is not None:
                with speaking(known[name].language):
                    told = task.sheet() | {"later": said(LATER)}, what_enters.modules(task)
            notebooks.append(Notebook(name, cells, *told))
        written = {f"{name}.ipynb": nbformat.writes(each).encode() for name, each in self.notebooks.items()}
        beside = self.files | self.beside | written
        files = {name: base64.b64encode(content).decode() for name, content in beside.items()}
        return Submission(self.student, notebooks, files, limits, safe, hidden, container)


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
    try:
        refuse_links(folder, Path(course.root))
    except UnreadableError as error:
        done.left_out["all of it"] = str(error)
        return done
    for name in sorted(known):
        path = folder / f"{name}.ipynb"
        if os.path.lexists(path):
            try:
                done.notebooks[name] = _restored(converter, path, student, assignment, known[name])
            except (UnreadableError, TooMuchError) as error:
                done.unreadable[name] = str(error)
    # nbgrader's own, whatever else there is: without them no feedback is released.
    for name in (STAMP, _SECRET):
        if os.path.lexists(folder / name):
            try:
                done.files[name] = content(folder / name, _LONGEST_STAMP)
            except UnreadableError as error:
                done.left_out[name] = str(error)
    room = most
    for name, read in files(folder):
        if name in (STAMP, _SECRET):
            continue
        try:
            if any(above.suffix == ".ipynb" for above in Path(name).parents):
                raise UnreadableError("nbgrader would take the folder that it lies in for a notebook")
            if "/" not in name and name.endswith(".ipynb"):
                if name.removesuffix(".ipynb") in known:
                    continue
                done.left_out[name] = "there is no such notebook in the assignment; the others can use it"
                place = done.beside
            elif any(is_ignored(part, course.ignore) for part in Path(name).parts):
                continue
            else:
                place = done.files
            if len(done.files) + len(done.beside) == MOST_BESIDE:
                raise UnreadableError(f"there are {MOST_BESIDE:,} other files already")
            place[name] = read(room)
            room -= len(place[name])
        except UnreadableError as error:
            done.left_out[name] = str(error)
    if os.path.lexists(folder / STAMP) and handed_in_at(str(folder)) is None:
        done.files.pop(STAMP, None)
        done.left_out.setdefault(STAMP, "it does not say when this was handed in")
    # The instructor's own files, last: they stand in the place of a student's of the same name.
    source = Path(course.format_path(course.source_directory, ".", assignment))
    for path in (Path(above, name) for above, _, names in os.walk(source) for name in sorted(names)):
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
    if any(path.is_symlink() for path in (Path(folder), Path(folder).parent)):
        return None
    try:
        return parse_utc(content(Path(folder, STAMP), _LONGEST_STAMP).decode().strip())  # type: ignore[no-any-return]
    # What dateutil makes of a text, and of the file of a time zone that it names, has no one kind of error.
    except Exception:
        return None


def _restored(converter: Autograde, path: Path, student: str, assignment: str, source: Source) -> Any:
    cells = apart.run(notebooks.read, path)
    resources = resources_of(converter, student, assignment, path.stem)
    try:
        notebook = _ours(cells, source)
        for preprocessor in preprocessors(converter, converter.sanitize_preprocessors):
            notebook, resources = preprocessor.preprocess(notebook, resources)
    except Exception as error:
        raise UnreadableError(f"nbgrader cannot restore its cells: {type(error).__name__}: {error}") from None
    _add_missing(notebook, source)
    return notebook


def _ours(cells: list[Cell], source: Source) -> NotebookNode:
    """What students write, in a notebook of ours: the texts, and which of the instructor's cells they stand in.

    Everything else decides how a page looks or what a cell is worth, and is not for students to say.
    """
    made: list[NotebookNode] = []
    taken: set[str] = set()
    # Of two that claim to be the same the last one is it: nbgrader decides so, too.
    for number, given in reversed(list(enumerate(cells))):
        cell = _MAKE[given.kind](given.text)
        cell.id = f"student-{number}"
        if given.claims in source.metadata and given.claims not in taken:
            taken.add(given.claims)
            cell.id = given.claims
            cell.metadata.nbgrader = NotebookNode(source.metadata[given.claims])
        if given.pictures:
            cell.attachments = given.pictures
        made.append(cell)
    notebook: NotebookNode = nbformat.v4.new_notebook(cells=made[::-1])
    notebook.metadata.kernelspec = NotebookNode(name="python3", display_name="Python 3", language="python")
    nbformat.validate(notebook)
    return notebook


_MAKE: dict[str, Callable[[str], Any]] = {
    "code": nbformat.v4.new_code_cell,
    "markdown": nbformat.v4.new_markdown_cell,
    "raw": nbformat.v4.new_raw_cell,
}


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
    """Those of a list in nbgrader's configuration that are switched on.

    But for nbgrader's check of what it keeps in cells: here that is the instructor's (`_ours`), and the check takes
    longer than all the others.
    """
    for each in wanted:
        if each is CheckCellMetadata:
            continue
        preprocessor = of_one_gradebook(each)(parent=converter)
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
