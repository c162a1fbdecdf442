"""Phase 3: judge the answers that came out of the sandbox, and store what they earn. Trusted, and the only writer.

The answers of a cell are judged by `verify`, apart from this process (`judge`). The verdict takes the place of whatever
the cell put out, and nbgrader's own preprocessors read the points from it (`Autograde.autograde_preprocessors`, but for
those that run anything). So late penalties, manual grading and feedback are nbgrader's, as ever. Cells that are not
ours, plain asserts for example, keep their outputs, and nbgrader grades them by these in the ordinary way.

What a cell put out says how many points it has only where it is certain that the cell did not fail. A graded cell of
which that is not known has none, and waits for a person.

A submission is graded when its folder stands in `autograded/`. It is put there at the end, in one step, when the scores
and the line in `results.jsonl` are stored. Whoever stops the grader before that has it graded once more, with the same
scores.
"""

import glob
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_output
from nbgrader.api import Gradebook  # type: ignore[import-untyped]
from nbgrader.converters import Autograde  # type: ignore[import-untyped]
from nbgrader.preprocessors import Execute  # type: ignore[import-untyped]
from nbgrader.utils import determine_grade, is_grade  # type: ignore[import-untyped]
from sqlalchemy.exc import DataError, IntegrityError, SQLAlchemyError

from bn_exercises.translation import _, ngettext, said, speaking
from bn_exercises.typography import as_in_a_book
from bn_exercises.verdict import Finding
from bn_grading import apart
from bn_grading.assignment import Source
from bn_grading.execute import Executed
from bn_grading.files import of_the_machine
from bn_grading.gradebook import OneGradebook
from bn_grading.judge import look
from bn_grading.sanitize import STAMP, Sanitized, handed_in_at, is_ignored, preprocessors, resources_of
from bn_grading.temporary import Folder, remove_left

CUT = "Not all that this cell put out is here. What decides its points was kept: errors, results, answers.\n"
# A number that misses the points of a cell by less is as much as they are.
_ROUNDING = 1e-9
# What is written while it is not complete, beside the folders of the students: nbgrader looks at no hidden folder.
STAGING = ".grading"


@dataclass
class Graded:
    """What was recorded of one notebook.

    Attributes:
        score: of the cells that are graded by running them.
        max_score: of the same.
        verdicts: what was found in the answers, by grade_id, as plain data.
        ordinary: the grade_ids of cells that were graded in the ordinary way.
        missing: the grade_ids of the assignment's cells that are not in the notebook.
        cut: graded cells of whose outputs something is missing, by grade_id.
        unclear: why it is not known what a graded cell earns, by grade_id.
        left: how many new files of it were not kept.
        stopped: cells that ended the notebook's process, by place, and why.
        finished: whether it ran to its end.
        seconds: in the sandbox.
    """

    score: float = 0.0
    max_score: float = 0.0
    verdicts: dict[str, Any] = field(default_factory=dict)
    ordinary: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    cut: list[str] = field(default_factory=list)
    unclear: dict[str, str] = field(default_factory=dict)
    left: int = 0
    stopped: dict[int, str] = field(default_factory=dict)
    finished: bool = True
    seconds: float = 0.0

    @property
    def judged(self) -> set[str]:
        """The grade_ids of the cells that have points from this run; one that was missing may have been put back."""
        return {*self.verdicts, *self.ordinary}


class Recorder(Autograde):  # type: ignore[misc]
    """nbgrader's `Autograde` with the middle taken out: nothing runs here."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._staging = ""
        # nbgrader's own follows links, waits for pipes, and ends the whole run where there is no date.
        self.coursedir.get_existing_timestamp = handed_in_at
        self.gradebook = OneGradebook(self.coursedir.db_url, self.coursedir.course_id)

    def _format_dest(self, assignment_id: str, student_id: str, escape: bool = False) -> str:
        if self._staging and not escape:
            return os.path.join(self._staging, "submission")
        return str(super()._format_dest(assignment_id, student_id, escape=escape))

    @contextmanager
    def recorded(
        self, sanitized: Sanitized, executed: list[Executed], known: Mapping[str, Source], assignment: str
    ) -> Iterator[dict[str, Graded]]:
        """Judge and store the scores; after what is done with them here, put the folder into `autograded/`."""
        student = sanitized.student
        final = Path(super()._format_dest(assignment, student))
        staging = _staging_of(self.coursedir)
        staging.mkdir(parents=True, exist_ok=True)
        with Folder("", staging) as self._staging:
            try:
                with self.gradebook.transaction():
                    graded = self._write(sanitized, executed, known, assignment, final)
                yield graded
                self._put(final)
            finally:
                self._staging = ""

    def note(self, sanitized: Sanitized, known: Mapping[str, Source], assignment: str) -> None:
        """Let the gradebook know of a submission of which nothing can be graded, as nbgrader does.

        What was not handed in is 0; what cannot be read waits for a person.
        """
        with self.gradebook.transaction():
            self._enter(sanitized.student, assignment)
            _nothing_for(self.gradebook, known.keys() - sanitized.unreadable.keys(), assignment, sanitized.student)

    def _enter(self, student: str, assignment: str) -> None:
        """Let the gradebook know of a submission, and of its student."""
        if self.create_student:
            self.gradebook.update_or_create_student(student)
        at = self.coursedir.get_existing_timestamp(self._format_source(assignment, student))
        self.gradebook.update_or_create_submission(assignment, student, **({"timestamp": at} if at else {}))

    def _write(
        self,
        sanitized: Sanitized,
        executed: list[Executed],
        known: Mapping[str, Source],
        assignment: str,
        final: Path,
    ) -> dict[str, Graded]:
        gradebook, student = self.gradebook, sanitized.student
        self._enter(student, assignment)
        source = self._format_source(assignment, student)
        missing = {name for name in known if not os.path.exists(os.path.join(source, f"{name}.ipynb"))}
        _nothing_for(gradebook, missing | sanitized.unreadable.keys(), assignment, student)
        folder = Path(self._format_dest(assignment, student))
        folder.mkdir(parents=True, exist_ok=True)
        _copy(sanitized, folder)
        graded = {}
        for done in executed:
            notebook = sanitized.notebooks[done.name]
            with speaking(known[done.name].language):
                graded[done.name] = self._judge(notebook, done, known[done.name], student)
                self._store(notebook, assignment, student, done.name)
                _count(notebook, graded[done.name], known[done.name])
                _comment(gradebook, graded[done.name], assignment, student, done.name)
            _leave_open(gradebook, graded[done.name], assignment, student, done.name)
            nbformat.write(notebook, folder / f"{done.name}.ipynb")
        for done in executed:
            self._keep(done.written, folder)
        # Those that are not graded this time, if there are any, stay as they were.
        for name in known.keys() - graded.keys() - sanitized.unreadable.keys() if self.is_part else ():
            if (final / f"{name}.ipynb").is_file():
                shutil.copy2(final / f"{name}.ipynb", folder)
        self.set_permissions(assignment, student)
        return graded

    def _judge(self, notebook: NotebookNode, done: Executed, source: Source, student: str) -> Graded:
        """Put the outputs into the notebook: verdicts where answers are handed in, and what came out elsewhere."""
        graded = Graded(stopped=done.stopped, finished=done.finished, seconds=done.seconds, left=done.left)
        there = {cell.get("id") for cell in notebook.cells}
        graded.missing = [grade_id for grade_id in source.metadata if grade_id not in there]
        grade_ids = [cell.metadata.get("nbgrader", {}).get("grade_id") for cell in notebook.cells]
        hand_in = [index for index, grade_id in enumerate(grade_ids) if grade_id in source.hands_in and source.problem]
        whose = source.problem, source.course_key, source.edition, student, source.language
        outputs, verdicts = apart.run(look, done.outputs, hand_in, *whose)
        for index, cell in enumerate(notebook.cells):
            if cell.cell_type != "code":
                continue
            cell.outputs = outputs.get(index, [])
            cell.execution_count = done.counts.get(index)
            grade_id = grade_ids[index]
            if index in verdicts:
                points = float(cell.metadata.nbgrader.points)
                checked, shown = verdicts[index]
                # nbgrader takes the first result for the points, so this one comes before all others.
                score = min(checked.verdict.score, points)
                result = new_output("execute_result", data={"text/plain": repr(float(score))})
                cell.outputs = [shown, result, *(each for each in cell.outputs if each.output_type == "error")]
                graded.verdicts[grade_id] = checked.verdict
            elif grade_id in source.graded:
                graded.ordinary.append(grade_id)
                if index not in done.outputs:
                    # Not run, so it passed nothing; an empty output would be full marks.
                    cell.outputs = [_error("NotRun", _("This cell did not run: the notebook ended before it."))]
                elif why := _decide(cell, done.failed.get(index)):
                    graded.unclear[grade_id] = why
            else:
                continue
            if index in done.cut:
                graded.cut.append(grade_id)
                # First: nbgrader has a limit for lines, too.
                cell.outputs.insert(0, new_output("stream", name="stdout", text=f"{said(CUT.strip())}\n"))
        return graded

    def _keep(self, written: Mapping[str, bytes], folder: Path) -> None:
        """Write the files that a notebook wrote beside it, in the place of none that is there."""
        for name, content in written.items():
            parts = Path(name).parts
            if Path(name).is_absolute() or ".." in parts or name == STAMP:
                continue
            if any(each.endswith(".ipynb") or is_ignored(each, self.coursedir.ignore) for each in parts):
                continue
            if not os.path.lexists(folder / name):
                try:
                    _write(folder / name, content)
                except OSError as error:
                    if stops_the_run(error):
                        raise

    @property
    def is_part(self) -> bool:
        """Whether not all notebooks are to be graded."""
        return bool(self.coursedir.notebook_id != "*")

    def _store(self, notebook: NotebookNode, assignment: str, student: str, name: str) -> None:
        """Scores into the gradebook, by nbgrader's own preprocessors."""
        wanted = [each for each in self.autograde_preprocessors if not issubclass(each, Execute)]
        resources: Any = resources_of(self, student, assignment, name)
        for preprocessor in preprocessors(self, wanted):
            preprocessor.preprocess(notebook, resources)

    def _put(self, final: Path) -> None:
        """Exchange the folder in one step; the old one, if any, goes away with the staging folder."""
        final.parent.mkdir(parents=True, exist_ok=True)
        if final.exists():
            os.rename(final, Path(self._staging, "before"))
        os.rename(Path(self._staging, "submission"), final)


def run_hook(converter: Any, hook: Any, student: str, assignment: str) -> None:
    """Run `pre_convert_hook` or `post_convert_hook` with the notebooks that go in; as ever, one may fail."""
    if hook is not None:
        folder = converter._format_source(assignment, student)
        found = glob.glob(f"{converter.coursedir.notebook_id}.ipynb", root_dir=folder)
        notebooks = [os.path.join(folder, name) for name in sorted(found)]
        try:
            hook(assignment=assignment, student=student, notebooks=notebooks)
        except Exception:
            converter.log.exception("%s: a hook of the configuration failed", student)


def stops_the_run(error: Exception) -> bool:
    """Whether the next submission would meet it, too. Otherwise it belongs to the one where it was raised."""
    if isinstance(error, OSError):
        return of_the_machine(error)
    return isinstance(error, SQLAlchemyError) and not isinstance(error, (DataError, IntegrityError))


def _copy(sanitized: Sanitized, folder: Path) -> None:
    """Write the files that lie beside the notebooks; one whose name the file system refuses is left out."""
    for name, content in sanitized.files.items():
        try:
            _write(folder / name, content)
        except OSError as error:
            if stops_the_run(error):
                raise
            sanitized.left_out[name] = f"it cannot be stored: {error.strerror}"


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def _error(name: str, says: str) -> Any:
    return new_output("error", ename=name, evalue=says, traceback=[says])


def _decide(cell: NotebookNode, failed: bool | None) -> str:
    """Let the outputs of a graded cell say what is known of it, as nbgrader reads them; why, if that is too little.

    Args:
        cell: one that is graded in the ordinary way.
        failed: what the process that ran it said, if it did so clearly.
    """
    points = float(cell.metadata.nbgrader.points)
    why = _unclear(cell.outputs, points) if failed is False else ""
    if failed is None:
        why = "it is not known whether it failed: what was said of it does not agree"
    if failed or why:
        # The first that decides does it, and a result may stand before an error.
        for output in cell.outputs:
            if output.output_type == "execute_result":
                output.output_type = "display_data"
                output.pop("execution_count", None)
        if why:
            cell.outputs.append(_error("NotClear", _("No points yet: {why}.", why=said(why))))
        elif not any(output.output_type == "error" for output in cell.outputs):
            cell.outputs.append(_error("Failed", _("This cell failed. It did not show how.")))
    return why


def _unclear(shown: list[NotebookNode], points: float) -> str:
    """Why the points of a cell that did not fail are not what its outputs say."""
    for output in shown:
        if output.output_type == "error" or output.get("name") == "stderr":
            return ""
        if output.output_type == "execute_result":
            text = output.data.get("text/plain", "")
            try:
                number = float(text)
            except ValueError:
                # nbgrader's rule: whatever is no number is full marks.
                return "" if text else "its result has no text"
            if abs(number - points) <= _ROUNDING * points:
                output.data["text/plain"] = repr(points)
            elif not 0 <= number <= points:
                return f"it returned {text.strip()[:40]}, and is worth 0 to {points:g}"
            return ""
    return ""


def _count(notebook: NotebookNode, graded: Graded, source: Source) -> None:
    """Add up what the gradebook has now."""
    judged = graded.judged
    for cell in notebook.cells:
        if is_grade(cell) and cell.metadata.nbgrader.grade_id in judged:
            score, most = determine_grade(cell)
            graded.score += score or 0.0
            graded.max_score += most
    graded.max_score += sum(
        float(source.metadata[each]["points"]) for each in (set(graded.missing) & set(source.graded)) - judged
    )


def _leave_open(gradebook: Gradebook, graded: Graded, assignment: str, student: str, name: str) -> None:
    """Have a person look where it is not clear; and what was handed in before, and is missing now, counts no more."""
    for grade in gradebook.find_submission_notebook(name, assignment, student).grades:
        if grade.name in graded.unclear:
            grade.needs_manual_grade = True
        elif grade.name in graded.missing and grade.name not in graded.judged:
            grade.auto_score, grade.needs_manual_grade = 0, False


def _comment(gradebook: Gradebook, graded: Graded, assignment: str, student: str, name: str) -> None:
    """What was found in a part, beside the cell that has the part's name."""
    found = {finding.part.replace("_", "-"): finding for v in graded.verdicts.values() for finding in v.findings}
    for comment in gradebook.find_submission_notebook(name, assignment, student).comments:
        finding = found.get(comment.name)
        if finding is not None and finding.kind != "missing":
            comment.auto_comment = _said(finding)


def _nothing_for(gradebook: Gradebook, notebooks: Iterable[str], assignment: str, student: str) -> None:
    """As nbgrader does for a notebook that was not handed in."""
    for name in notebooks:
        for grade in gradebook.find_submission_notebook(name, assignment, student).grades:
            grade.auto_score = 0
            grade.needs_manual_grade = False


def _said(finding: Finding) -> str:
    named = f" ({_(' or ').join(map(said, finding.misconceptions))})" if finding.misconceptions else ""
    points = ngettext(
        "{earned} of {most} point",
        "{earned} of {most} points",
        1 if finding.max_points == 1 else 2,
        earned=f"{finding.points:g}",
        most=f"{finding.max_points:g}",
    )
    return as_in_a_book(f"{points}{named}. {said(finding.sentence)}")


def _staging_of(coursedir: Any) -> Path:
    return Path(coursedir.format_path(coursedir.autograded_directory, STAGING, "."))


def clean_up(coursedir: Any) -> None:
    """Remove what a grader that was stopped had begun to write; what another is writing stays."""
    remove_left(("",), _staging_of(coursedir))
