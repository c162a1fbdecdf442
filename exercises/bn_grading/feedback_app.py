"""The command: make the pages of feedback on an assignment.

    bn-feedback batch-norm --jobs 4

It leaves in `feedback/` what `nbgrader generate_feedback` leaves there. It makes the pages whose notebook, scores or
comments changed since the last time, several submissions at a time, each apart from this process.
"""

import fcntl
import fnmatch
import hashlib
import json
import shutil
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass
from functools import partial
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from typing import Any

from nbgrader.api import (  # type: ignore[import-untyped]
    Assignment,
    BaseCell,
    Comment,
    Grade,
    Notebook,
    SubmittedAssignment,
    SubmittedNotebook,
)
from nbgrader.apps.baseapp import nbgrader_aliases, nbgrader_flags  # type: ignore[import-untyped]
from nbgrader.converters import GenerateFeedback  # type: ignore[import-untyped]
from nbgrader.utils import find_all_files  # type: ignore[import-untyped]
from sqlalchemy.exc import SQLAlchemyError
from tqdm import tqdm
from traitlets import Bool, default

from bn_grading import apart, feedback
from bn_grading.assignment import NoAssignmentError, sources
from bn_grading.assignment_app import ParallelApp, excluded, meant, submitted
from bn_grading.feedback import Grades
from bn_grading.files import UnreadableError, content, of_the_machine
from bn_grading.gradebook import OneGradebook
from bn_grading.record import run_hook, stops_the_run
from bn_grading.report.write import write, write_text
from bn_grading.results import Results, append, printable
from bn_grading.safe_html import FILTERS, PAGE_SECONDS
from bn_grading.sanitize import STAMP

# In bytes; what `bn-grade` leaves in `autograded/` is smaller.
_LARGEST = 100 << 20
_PACKAGES = ("bn-lib", "nbconvert", "nbgrader")


@dataclass(frozen=True)
class Wanted:
    """The notebooks of one submission that want a page.

    Attributes:
        made_by: how, as `feedback.recipe` has it.
        notebooks: the text of each, by its name.
        resources: what nbconvert is told about each.
    """

    made_by: bytes
    notebooks: Mapping[str, str]
    resources: Mapping[str, Any]


@dataclass(frozen=True)
class Made:
    """What became of a submission.

    Attributes:
        student: whose.
        pages: how many were made; 0 if all were there.
        problems: why there are not more, each in a sentence.
    """

    student: str
    pages: int = 0
    problems: tuple[str, ...] = ()


def pages(wanted: Wanted) -> dict[str, tuple[str, str]]:
    """Of each notebook its page, or "" and why there is none."""
    made = {}
    for name, notebook in wanted.notebooks.items():
        given = wanted.made_by, notebook, wanted.resources[name]
        try:
            made[name] = apart.run(feedback.page_of, *given, seconds=PAGE_SECONDS), ""
        except apart.NotStartedError:
            raise
        # Whatever a student's text does to the page, it is that page's matter.
        except Exception as error:
            made[name] = "", f"{type(error).__name__}: {error}"
    return made


class FeedbackApp(ParallelApp):
    """Makes the pages of feedback on an assignment, several submissions at a time."""

    name = "bn-feedback"
    description = "Make the pages of feedback on a graded assignment: those that changed since the last time"
    examples = """
        After bn-grade, and once more after texts were read:

            bn-feedback batch-norm --jobs 4

        One student's; all of them, whatever is there:

            bn-feedback batch-norm --student ada
            bn-feedback batch-norm --force
        """

    aliases = {  # noqa: RUF012 - as in every application of traitlets
        **nbgrader_aliases,
        "course": "CourseDirectory.course_id",
        **ParallelApp.where_to_run,
    }
    flags = {  # noqa: RUF012
        **nbgrader_flags,
        "force": ({"FeedbackApp": {"force": True}}, "Make all pages again."),
        "f": ({"FeedbackApp": {"force": True}}, "The same."),
    }

    force = Bool(False, help="Whether to make the pages again that are as they would be made now.").tag(config=True)

    @default("classes")
    def _classes_default(self) -> list[Any]:
        return [*super()._classes_default(), GenerateFeedback, FeedbackApp]

    def start(self) -> None:
        """Make the pages, say what was done, and exit with 0 if every page was made, 1 if not."""
        super().start()
        assignment = self.assignment()
        try:
            known = sources(self.coursedir.db_url, self.coursedir.course_id, assignment)
        except (NoAssignmentError, ValueError) as error:
            self.fail(str(error))
        if not any(fnmatch.fnmatchcase(name, self.coursedir.notebook_id) for name in known):
            self.fail(f"--notebook {self.coursedir.notebook_id} is none of {', '.join(known)}")
        course = self.coursedir
        graded = submitted(course, assignment, course.autograded_directory)
        if not graded:
            self.fail(f"nothing of {assignment} is graded yet. Grade first: bn-grade {assignment}")
        students = meant(course, graded)
        if not students:
            self.fail(f"--student {course.student_id} is none of the {len(graded)} whose {assignment} is graded")
        students = [each for each in students if each not in excluded(course)]
        # A stop from outside ends as one from the keyboard does.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        began = time.monotonic()
        submissions = pages_made = new = 0
        problems: list[str] = []
        broken = ""
        try:
            for made in self._make(students, assignment):
                submissions += 1
                new += made.pages > 0
                pages_made += made.pages
                problems += [f"{printable(made.student)}: {printable(problem)}" for problem in made.problems]
        except SQLAlchemyError as error:
            broken = f"the gradebook cannot be reached: {type(error).__name__}: {error}"
        except KeyboardInterrupt:
            broken = "it was interrupted"
        except OSError as error:
            broken = f"the pages cannot be stored: {type(error).__name__}: {error}"
        print(f"\n{submissions} submissions in {time.monotonic() - began:.1f} s")
        others = "" if problems or broken else "; the other pages are as they would be made now"
        print(f"  {pages_made} pages were made, of {new} submissions{others}")
        for problem in problems:
            print(f"  {problem}")
        if broken:
            self.fail(f"{broken}\nWhat was made before is stored; the same command goes on from there.")
        if problems:
            sys.exit(1)

    def _make(self, students: list[str], assignment: str) -> Iterator[Made]:
        """Keep what makes pages busy; read and write between, here, one submission at a time."""
        log = Results.of(self.coursedir, assignment).path.with_name("feedback.jsonl")
        running: dict[Future[Any], _Due] = {}
        waiting = iter(students)
        with ExitStack() as stack:
            stack.enter_context(alone(log))
            course = _Course(self, assignment, log)
            executor = self.executor(stack)
            # When something stops the run, what has not begun does not begin.
            stack.callback(lambda: [each.cancel() for each in running])
            bar = stack.enter_context(tqdm(total=len(students), unit="submission", disable=None))
            while True:
                taken = list(islice(waiting, self.ahead - len(running)))
                if not taken and not running:
                    return
                for student in taken:
                    due = course.due(student, force=self.force)
                    if due.wanted.notebooks:
                        running[executor.submit(pages, due.wanted)] = due
                    else:
                        yield Made(student, problems=due.problems)
                        bar.update()
                for future in wait(running, return_when=FIRST_COMPLETED).done if running else ():
                    yield course.put(running.pop(future), future)
                    bar.update()


@dataclass(frozen=True)
class _Due:
    """A submission and what of it wants a page; the digests of what its pages are made of, and why others cannot be."""

    student: str
    wanted: Wanted
    digests: Mapping[str, str]
    problems: tuple[str, ...]


class _Course:
    """The course's side: what pages are made of, and where they are put."""

    def __init__(self, app: FeedbackApp, assignment: str, log: Path) -> None:
        self._coursedir, self._assignment = app.coursedir, assignment
        app.config.HTMLExporter.setdefault("filters", FILTERS)
        # Its configuration, folders and hooks are nbgrader's.
        self._converter = GenerateFeedback(coursedir=app.coursedir, parent=app)
        config = self._converter.config
        self._made_by = feedback.recipe(config, feedback.with_given_grades(self._converter.preprocessors))
        self._makers = json.dumps([config.HTMLExporter, [version(each) for each in _PACKAGES]], default=str)
        self._gradebook = OneGradebook(app.coursedir.db_url, app.coursedir.course_id)
        self._log, self._digests = log, _read(log)

    def due(self, student: str, *, force: bool) -> _Due:
        """What of a student's submission changed since its pages were made."""
        source, made = self._folders(student)
        with self._gradebook.reading():
            grades = grades_of(self._gradebook, self._assignment, student)
        notebooks, resources, digests, problems = {}, {}, {}, []
        before = {} if force else self._digests.get(student, {})
        try:
            beside = {each.name for each in source.iterdir()}
            stamp = content(source / STAMP, _LARGEST).hex() if STAMP in beside else ""
            # When less is handed in the second time, there is a page without its notebook.
            for name in grades:
                if not {f"{name}.ipynb", f"{name}.html"} & beside and fnmatch.fnmatchcase(
                    name, self._coursedir.notebook_id
                ):
                    (made / f"{name}.html").unlink(missing_ok=True)
        except (OSError, UnreadableError) as error:
            if isinstance(error, OSError) and of_the_machine(error):
                raise
            return _Due(student, Wanted(self._made_by, {}, {}), {}, (f"its folders cannot be used: {error}",))
        for path in sorted(source / name for name in fnmatch.filter(beside, f"{self._coursedir.notebook_id}.ipynb")):
            name = path.stem
            try:
                text = content(path, _LARGEST).decode()
            except (UnreadableError, UnicodeDecodeError) as error:
                problems.append(f"{name}: {error}")
                continue
            if name not in grades:
                problems.append(f"{name}: the gradebook has no scores of it")
                continue
            parts = self._makers, stamp, text, json.dumps(asdict(grades[name]), sort_keys=True)
            digests[name] = hashlib.sha256("\0".join(parts).encode()).hexdigest()
            # A student's file of the page's name is copied beside the pages each time, and then lies in its place.
            is_there = (made / f"{name}.html").is_file() and f"{name}.html" not in beside
            if before.get(name) != digests[name] or not is_there:
                notebooks[name] = text
                resources[name] = self._resources(student, path, grades[name])
        return _Due(student, Wanted(self._made_by, notebooks, resources), digests, tuple(problems))

    def put(self, due: _Due, future: Future[Any]) -> Made:
        """Store the pages of a submission."""
        student, folder = due.student, self._folders(due.student)[1]
        try:
            made = future.result()
        # The machine's failure, or a worker's: what a student's text does comes back as a page that is not there.
        except Exception as error:
            return Made(student, problems=(*due.problems, f"{type(error).__name__}: {error}"))
        problems = list(due.problems)
        run_hook(self._converter, self._converter.pre_convert_hook, student, self._assignment)
        try:
            # First: a file of a student's may have the name of a page.
            self._copy_what_lies_beside(student)
            for name, (page, problem) in made.items():
                if problem:
                    problems.append(f"{name}: there is no page: {problem}")
                    (folder / f"{name}.html").unlink(missing_ok=True)
                else:
                    write_text(folder / f"{name}.html", page)
            self._converter.set_permissions(self._assignment, student)
        except Exception as error:
            if stops_the_run(error):
                raise
            return Made(student, problems=(*problems, f"its pages cannot be stored: {type(error).__name__}: {error}"))
        stored = {name: due.digests[name] for name, (_, problem) in made.items() if not problem}
        self._digests[student] = self._digests.get(student, {}) | stored
        append(self._log, json.dumps([student, self._digests[student]]))
        run_hook(self._converter, self._converter.post_convert_hook, student, self._assignment)
        return Made(student, len(stored), tuple(problems))

    def _copy_what_lies_beside(self, student: str) -> None:
        """As nbgrader's `init_assignment`, which removes a file before it knows that there is room for the next."""
        source, made = self._folders(student)
        for path in find_all_files(str(source), [*self._coursedir.ignore, "*.ipynb"]):
            # Not `copy`: a run that is stopped before it sets the permissions would leave those of what is graded.
            write(made / Path(path).relative_to(source), partial(shutil.copyfile, path))

    def _folders(self, student: str) -> tuple[Path, Path]:
        course = self._coursedir
        steps = course.autograded_directory, course.feedback_directory
        autograded, made = (Path(course.format_path(step, student, self._assignment)) for step in steps)
        return autograded, made

    def _resources(self, student: str, path: Path, grades: Grades) -> dict[str, Any]:
        """What nbgrader and nbconvert say of a notebook to what makes its page."""
        about = {"student": student, "assignment": self._assignment, "notebook": path.stem, "grades": grades}
        return {
            "unique_key": path.stem,
            "output_files_dir": f"{path.stem}_files",
            "nbgrader": about | {"db_url": self._coursedir.db_url},
            "metadata": {"name": path.stem, "path": str(path.parent)},
        }


def grades_of(gradebook: Any, assignment: str, student: str) -> dict[str, Grades]:
    """What the gradebook has for each notebook of a submission, by the notebook's name."""

    def rows(*columns: Any, of: Any = None) -> Any:
        query = gradebook.db.query(SubmittedNotebook.id, *columns).select_from(SubmittedNotebook)
        if of is not None:
            query = query.join(of, of.notebook_id == SubmittedNotebook.id).join(BaseCell, BaseCell.id == of.cell_id)
        return (
            query.join(Notebook, Notebook.id == SubmittedNotebook.notebook_id)
            .join(SubmittedAssignment, SubmittedAssignment.id == SubmittedNotebook.assignment_id)
            .join(Assignment, Assignment.id == SubmittedAssignment.assignment_id)
            .filter(Assignment.name == assignment, SubmittedAssignment.student_id == student)
        )

    scores: dict[str, dict[str, tuple[float, float]]] = {}
    comments: dict[str, dict[str, str | None]] = {}
    for key, name, score, points in rows(BaseCell.name, Grade.score, Grade.max_score, of=Grade):
        scores.setdefault(key, {})[name] = score, points
    for key, name, comment in rows(BaseCell.name, Comment.comment, of=Comment):
        comments.setdefault(key, {})[name] = comment
    columns = SubmittedNotebook.score, SubmittedNotebook.max_score, SubmittedNotebook.late_submission_penalty
    return {
        name: Grades(scores.get(key, {}), comments.get(key, {}), score, points, penalty or 0)
        for key, name, score, points, penalty in rows(Notebook.name, *columns)
    }


@contextmanager
def alone(log: Path) -> Iterator[None]:
    """Wait until no other command makes these pages: the same files, and the same log of what they are made of."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(
                "another bn-feedback makes these pages; this one goes on when it is done", file=sys.stderr, flush=True
            )
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _read(log: Path) -> dict[str, dict[str, str]]:
    """The digests of what every student's pages were made of. A line that was not written to its end is skipped."""
    found: dict[str, dict[str, str]] = {}
    if log.exists():
        with log.open(encoding="utf-8") as lines:
            for line in lines:
                with suppress(ValueError):
                    student, digests = json.loads(line)
                    found[student] = digests
    return found
