"""Phase 3: judge the answers that came out of the sandbox, and store what they earn. Trusted, and the only writer.

The answers of a cell are judged by `verify`, apart from this process (`judge`). The verdict takes the place of whatever
the cell put out, and nbgrader's own preprocessors read the points from it (`Autograde.autograde_preprocessors`, but for
those that run anything). So late penalties, manual grading and feedback are nbgrader's, as ever. Cells that are not
ours, plain asserts for example, keep their outputs, and nbgrader grades them by these in the ordinary way.

A submission is graded when its folder stands in `autograded/`. It is put there at the end, in one step. Whoever stops
the grader before that has it graded once more, with the same scores.
"""

import os
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_output
from nbgrader.api import Gradebook  # type: ignore[import-untyped]
from nbgrader.converters import Autograde, BaseConverter  # type: ignore[import-untyped]
from nbgrader.preprocessors import Execute  # type: ignore[import-untyped]
from nbgrader.utils import determine_grade  # type: ignore[import-untyped]

from bn_exercises.personal import PersonalNumbers
from bn_exercises.verdict import Finding
from bn_grading import apart
from bn_grading.assignment import Source
from bn_grading.execute import Executed
from bn_grading.judge import look
from bn_grading.quick import Once
from bn_grading.sanitize import Sanitized, handed_in_at, preprocessors, resources_of

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
        stopped: cells that ended the notebook's process, by place, and why.
        finished: whether it ran to its end.
        seconds: in the sandbox.
    """

    score: float = 0.0
    max_score: float = 0.0
    verdicts: dict[str, Any] = field(default_factory=dict)
    ordinary: list[str] = field(default_factory=list)
    stopped: dict[int, str] = field(default_factory=dict)
    finished: bool = True
    seconds: float = 0.0


class _Careful(BaseConverter):  # type: ignore[misc]
    """Copies what was sanitized, in the place of nbgrader's copying of all there is, links and their targets too."""

    sanitized: Sanitized

    def init_assignment(self, assignment_id: str, student_id: str) -> None:
        """Write the files that lie beside the notebooks."""
        folder = Path(self._format_dest(assignment_id, student_id))
        for name, content in self.sanitized.files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)


class Recorder(Autograde, _Careful):  # type: ignore[misc]
    """nbgrader's `Autograde` with the middle taken out: nothing runs here."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._staging = ""
        # nbgrader's own follows links, waits for pipes, and ends the whole run where there is no date.
        self.coursedir.get_existing_timestamp = handed_in_at
        self.once = Once(self.coursedir.db_url, self.coursedir.course_id)

    def _format_dest(self, assignment_id: str, student_id: str, escape: bool = False) -> str:
        if self._staging and not escape:
            return os.path.join(self._staging, "submission")
        return str(super()._format_dest(assignment_id, student_id, escape=escape))

    def record(
        self, sanitized: Sanitized, executed: list[Executed], known: Mapping[str, Source], assignment: str
    ) -> dict[str, Graded]:
        """Judge, store the scores, and put the folder into `autograded/`."""
        student = sanitized.student
        final = Path(super()._format_dest(assignment, student))
        autograded = Path(self.coursedir.format_path(self.coursedir.autograded_directory, ".", "."))
        (autograded / STAGING).mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=autograded / STAGING) as self._staging:
            try:
                with self.once.transaction() as gradebook:
                    graded = self._write(gradebook, sanitized, executed, known, assignment)
                self._put(final)
            finally:
                self._staging = ""
        return graded

    def note(self, sanitized: Sanitized, known: Mapping[str, Source], assignment: str) -> None:
        """Let the gradebook know of a submission of which nothing can be graded, as nbgrader does.

        What was not handed in is 0; what cannot be read waits for a person.
        """
        course, student = self.coursedir, sanitized.student
        at = course.get_existing_timestamp(self._format_source(assignment, student))
        with self.once.transaction() as gradebook:
            gradebook.update_or_create_student(student)
            gradebook.update_or_create_submission(assignment, student, **({"timestamp": at} if at else {}))
            _nothing_for(gradebook, known.keys() - sanitized.unreadable.keys(), assignment, student)

    def _write(
        self,
        gradebook: Gradebook,
        sanitized: Sanitized,
        executed: list[Executed],
        known: Mapping[str, Source],
        assignment: str,
    ) -> dict[str, Graded]:
        student = sanitized.student
        self.sanitized = sanitized
        source = self._format_source(assignment, student)
        self.notebooks = [os.path.join(source, f"{name}.ipynb") for name in sanitized.notebooks]
        self.init_assignment(assignment, student)
        _nothing_for(gradebook, sanitized.unreadable, assignment, student)
        graded = {}
        for done in executed:
            notebook = sanitized.notebooks[done.name]
            graded[done.name] = self._judge(notebook, done, known[done.name], student)
            self._store(notebook, assignment, student, done.name)
            _comment(gradebook, graded[done.name], assignment, student, done.name)
            path = Path(self._format_dest(assignment, student), f"{done.name}.ipynb")
            path.parent.mkdir(parents=True, exist_ok=True)
            nbformat.write(notebook, path)
        self.set_permissions(assignment, student)
        return graded

    def _judge(self, notebook: NotebookNode, done: Executed, source: Source, student: str) -> Graded:
        """Put the outputs into the notebook: verdicts where answers are handed in, and what came out elsewhere."""
        graded = Graded(stopped=done.stopped, finished=done.finished, seconds=done.seconds)
        grade_ids = [cell.metadata.get("nbgrader", {}).get("grade_id") for cell in notebook.cells]
        hand_in = [index for index, grade_id in enumerate(grade_ids) if grade_id in source.hands_in and source.problem]
        outputs, verdicts = apart.run(look, done.outputs, hand_in, source.problem, source.course_key, student)
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
                    says = "This cell did not run: the notebook ended before it."
                    cell.outputs = [new_output("error", ename="NotRun", evalue=says, traceback=[says])]
            else:
                continue
            score, most = determine_grade(cell, self.log)
            graded.score += score or 0.0
            graded.max_score += most
        return graded

    def _store(self, notebook: NotebookNode, assignment: str, student: str, name: str) -> None:
        """Scores into the gradebook, by nbgrader's own preprocessors."""
        wanted = [each for each in self.autograde_preprocessors if not issubclass(each, (Execute, PersonalNumbers))]
        resources: Any = resources_of(self, student, assignment, name)
        for preprocessor in preprocessors(self, wanted):
            preprocessor.preprocess(notebook, resources)

    def _put(self, final: Path) -> None:
        """Exchange the folder in one step; the old one, if any, goes away with the staging folder."""
        final.parent.mkdir(parents=True, exist_ok=True)
        if final.exists():
            os.rename(final, Path(self._staging, "before"))
        os.rename(Path(self._staging, "submission"), final)


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
    named = f" ({' or '.join(finding.misconceptions)})" if finding.misconceptions else ""
    points = "point" if finding.max_points == 1 else "points"
    return f"{finding.points:g} of {finding.max_points:g} {points}{named}. {finding.sentence}"


def clean_up(coursedir: Any) -> None:
    """Remove what a grader that was stopped had begun to write."""
    autograded = coursedir.format_path(coursedir.autograded_directory, ".", ".")
    shutil.rmtree(os.path.join(autograded, STAGING), ignore_errors=True)
