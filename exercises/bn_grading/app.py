"""The command: grade an assignment.

    bn-grade batch-norm --jobs 4

It stands beside `nbgrader autograde`, takes the same configuration and leaves the same gradebook and folders behind.
"""

import os
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from contextlib import ExitStack
from fnmatch import fnmatchcase
from itertools import islice
from typing import Any

from nbgrader.apps.baseapp import nbgrader_aliases, nbgrader_flags  # type: ignore[import-untyped]
from nbgrader.converters import Autograde  # type: ignore[import-untyped]
from nbgrader.preprocessors import Execute  # type: ignore[import-untyped]
from sqlalchemy.exc import SQLAlchemyError
from tqdm import tqdm
from traitlets import Bool, Float, Integer, Unicode, default
from traitlets.config import Config

from bn_grading import cgroup, options
from bn_grading import container as containers
from bn_grading.assignment import NoAssignmentError, Source, sources
from bn_grading.assignment_app import ParallelApp, excluded, meant, private_folders, submitted
from bn_grading.container import Container
from bn_grading.execute import run_submission, try_sandbox
from bn_grading.record import Recorder, clean_up, run_hook, stops_the_run
from bn_grading.results import NotStoredError, Result, Results, printable
from bn_grading.sandbox import Limits, NoSandboxError
from bn_grading.sanitize import Sanitized, sanitize

MIB = 1 << 20
# A submission whose sandbox did not start is tried again, so often altogether.
MOST_TRIES = 3


class GradeApp(ParallelApp):
    """Grades the submissions of an assignment in a sandbox, several at a time."""

    name = "bn-grade"
    description = "Grade an assignment: students' code in a sandbox, their answers judged outside of it"
    examples = """
        Grade all that was handed in and is not graded yet:

            bn-grade batch-norm --jobs 4

        One student once more; what would be done; only those that failed:

            bn-grade batch-norm --student ada --force
            bn-grade batch-norm --dry-run
            bn-grade batch-norm --only-failed
        """

    aliases = {  # noqa: RUF012 - as in every application of traitlets
        **nbgrader_aliases,
        "course": "CourseDirectory.course_id",
        **ParallelApp.where_to_run,
        "container": "GradeApp.container",
    }
    flags = {  # noqa: RUF012
        **nbgrader_flags,
        "force": ({"GradeApp": {"force": True}}, "Grade again what is graded already."),
        "f": ({"GradeApp": {"force": True}}, "The same."),
        "only-failed": ({"GradeApp": {"only_failed": True}}, "Grade only what failed the last time."),
        "dry-run": ({"GradeApp": {"dry_run": True}}, "Say what would be graded, and change nothing."),
        "unsafe-no-sandbox": (
            {"GradeApp": {"safe": False}},
            "Run students' code in your account, where it can read and change all that you can.",
        ),
    }

    force = Bool(False, help="Whether to grade again what is graded already.").tag(config=True)
    only_failed = Bool(False, help="Whether to grade only what failed the last time.").tag(config=True)
    dry_run = Bool(False, help="Whether to say only what would be done.").tag(config=True)
    safe = Bool(True, help="Whether students' code runs in a sandbox.").tag(config=True)
    container = Unicode(
        "", help="An image; students' code runs in containers of it, where there is no bubblewrap."
    ).tag(config=True)
    engine = Unicode("", help="What starts containers: podman or docker; the first of them that is here.").tag(
        config=True
    )
    memory = Integer(Limits.memory // MIB, min=64, help="MiB that a submission may use.").tag(config=True)
    processes = Integer(Limits.processes, min=1, help="Processes, threads included, of a submission.").tag(config=True)
    scratch = Integer(Limits.scratch // MIB, min=1, help="MiB that a submission may write.").tag(config=True)
    cell_seconds = Float(Limits.cell_seconds, min=0.1, help="Seconds for one cell.").tag(config=True)
    notebook_seconds = Float(Limits.notebook_seconds, min=1, help="Seconds for one notebook.").tag(config=True)
    submission_seconds = Float(Limits.submission_seconds, min=1, help="Seconds for one submission.").tag(config=True)

    @default("classes")
    def _classes_default(self) -> list[Any]:
        return [*super()._classes_default(), Autograde, Execute, GradeApp]

    def _load_config(self, cfg: Config, **kwargs: Any) -> None:
        options.rename(cfg)
        super()._load_config(cfg, **kwargs)

    def start(self) -> None:
        """Grade, say what was done, and exit with 0 if everything was graded, 1 if something failed."""
        super().start()
        assignment = self.assignment()
        if refused := options.refused(self.config):
            self.fail("\n".join(refused))
        known = self._known(assignment)
        chosen = {name: source for name, source in known.items() if fnmatchcase(name, self.coursedir.notebook_id)}
        if not chosen:
            self.fail(f"--notebook {self.coursedir.notebook_id} is none of {', '.join(known)}")
        recorder = Recorder(coursedir=self.coursedir, parent=self)
        results = Results.of(self.coursedir, assignment)
        wanted = list(self._wanted(recorder, results, assignment, chosen))
        if self.dry_run:
            for student in wanted:
                print(printable(student))
            print(f"{len(wanted)} submissions of {assignment} would be graded.")
            return
        container = self._sandbox()
        if self.safe and container is None:
            print(f"Memory of a sandbox: {cgroup.protection()}.")
        clean_up(self.coursedir)
        began = time.monotonic()
        # Not the results themselves, which would add up: what was found out about 10,000 submissions.
        counts: Counter[str] = Counter()
        problems: list[str] = []
        failed = False
        broken = ""
        with ExitStack() as stack:
            executor = self.executor(stack)
            try:
                for result in self._grade(wanted, executor, recorder, results, known, chosen, assignment, container):
                    counts[result.status] += 1
                    failed |= not result.graded
                    if result.status != "graded":
                        problems += [f"{printable(result.student)}: {problem}" for problem in result.problems]
            except SQLAlchemyError as error:
                broken = f"the gradebook cannot be reached: {_told(error)}"
            except (OSError, NotStoredError) as error:
                broken = f"what was graded cannot be stored: {_told(error)}"
        _summarize(counts, problems, time.monotonic() - began)
        if broken:
            self.fail(f"{broken}\nWhat was graded before is stored; the same command goes on from there.")
        print(f"The report: bn-report {assignment}")
        if failed:
            sys.exit(1)

    def _sandbox(self) -> Container | None:
        """See that there is one; the container that it is, if it is one."""
        if not self.safe and self.container:
            self.fail("expected --container or --unsafe-no-sandbox, and not both")
        try:
            container = containers.of(self.container, self.engine) if self.container else None
            if self.safe:
                try_sandbox(container, private_folders(self.config, self.coursedir.root))
            return container
        except NoSandboxError as error:
            self.fail(str(error))
        return None

    def _known(self, assignment: str) -> dict[str, Source]:
        try:
            return sources(self.coursedir.db_url, self.coursedir.course_id, assignment)
        except (NoAssignmentError, ValueError) as error:
            self.fail(str(error))
            raise

    def _wanted(
        self, recorder: Recorder, results: Results, assignment: str, chosen: Mapping[str, Source]
    ) -> Iterator[str]:
        """The students whose submission is to be graded: new ones, newer ones, those that failed; or all."""
        course = self.coursedir
        there = submitted(course, assignment, course.submitted_directory)
        students = meant(course, there)
        if not there:
            expected = course.format_path(course.submitted_directory, "STUDENT", assignment)
            self.fail(f"nobody handed in {assignment}; expected folders {expected}")
        if not students:
            self.fail(f"--student {course.student_id} is none of the {len(there)} who handed in {assignment}")
        # Whether the last time failed, and no more of what is known of a large class.
        failed = {result.student: not result.graded for result in results} if self.only_failed else {}
        force = self.force or recorder.force
        left_out = excluded(course)
        for student in students:
            if student in left_out or (self.only_failed and not failed.get(student)):
                continue
            if self._is_due(recorder, student, assignment, chosen, force):
                yield student

    def _is_due(
        self, recorder: Recorder, student: str, assignment: str, chosen: Mapping[str, Source], force: bool
    ) -> bool:
        """As nbgrader decides it."""
        course = self.coursedir
        source = course.format_path(course.submitted_directory, student, assignment)
        graded = course.format_path(course.autograded_directory, student, assignment)
        missing = not os.path.exists(graded)
        if recorder.is_part:
            names = [f"{name}.ipynb" for name in chosen if os.path.lexists(os.path.join(source, f"{name}.ipynb"))]
            if not names:
                return False
            missing = not all(os.path.exists(os.path.join(graded, name)) for name in names)
        if force or missing:
            return True
        new, old = course.get_existing_timestamp(source), course.get_existing_timestamp(graded)
        return new is not None and old is not None and new > old

    def _limits(self) -> Limits:
        given = self.config.GradeApp
        notebook = self.notebook_seconds
        cell = self.cell_seconds if "cell_seconds" in given else options.cell_seconds(self.config, self.cell_seconds)
        if cell is None:
            cell = notebook
        elif "notebook_seconds" not in given:
            notebook = max(notebook, cell)
        return Limits(
            memory=self.memory * MIB,
            scratch=self.scratch * MIB,
            processes=self.processes,
            cell_seconds=cell,
            notebook_seconds=notebook,
            submission_seconds=max(notebook, self.submission_seconds),
        )

    def _grade(
        self,
        students: list[str],
        executor: Executor,
        recorder: Recorder,
        results: Results,
        known: dict[str, Source],
        chosen: Mapping[str, Source],
        assignment: str,
        container: Container | None,
    ) -> Iterator[Result]:
        """Keep the sandboxes busy; sanitize and record between them, here, one submission at a time."""
        limits, hidden = self._limits(), private_folders(self.config, self.coursedir.root)
        running: dict[Future[Any], tuple[Sanitized, int]] = {}

        def begin(sanitized: Sanitized, tries: int) -> None:
            submission = sanitized.enters(known, limits, safe=self.safe, hidden=hidden, container=container)
            running[executor.submit(run_submission, submission)] = sanitized, tries

        def end(future: Future[Any]) -> Result | None:
            sanitized, tries = running.pop(future)
            try:
                executed = future.result()
            # Whatever it is, it is the machine's failure: what students' code does comes back as a result.
            except Exception as error:
                if stops_the_run(error):
                    raise
                if tries < MOST_TRIES:
                    begin(sanitized, tries + 1)
                    return None
                return results.failed(sanitized.student, _told(error), sanitized)
            try:
                with recorder.recorded(sanitized, executed, known, assignment) as graded:
                    result = results.graded(sanitized, graded, known)
            # One submission that cannot be recorded stops nobody else.
            except Exception as error:
                return failed(sanitized, "it could not be recorded", error)
            run_hook(recorder, recorder.post_convert_hook, sanitized.student, assignment)
            return result

        def failed(sanitized: Sanitized, what: str, error: Exception) -> Result:
            if stops_the_run(error) or isinstance(error, NotStoredError):
                raise error
            self.log.debug("%s: %s", sanitized.student, what, exc_info=error)
            return results.failed(sanitized.student, f"{what}: {_told(error)}", sanitized)

        waiting = iter(students)
        with tqdm(total=len(students), unit="submission", disable=None) as bar:
            while True:
                taken = list(islice(waiting, self.ahead - len(running)))
                if not taken and not running:
                    return
                for student in taken:
                    sanitized = Sanitized(student)
                    try:
                        run_hook(recorder, recorder.pre_convert_hook, student, assignment)
                        with recorder.gradebook.transaction():
                            sanitized = sanitize(recorder, student, assignment, known, limits.scratch // 2)
                        sanitized.only(chosen)
                        if sanitized.notebooks:
                            begin(sanitized, 1)
                            continue
                        recorder.note(sanitized, chosen, assignment)
                        yield results.failed(student, "no notebook of it can be read", sanitized)
                    except Exception as error:
                        yield failed(sanitized, "it could not be read", error)
                    bar.update()
                for future in wait(running, return_when=FIRST_COMPLETED).done if running else ():
                    result = end(future)
                    if result is not None:
                        yield result
                        bar.update()


def _told(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def _summarize(counts: Counter[str], problems: list[str], seconds: float) -> None:
    """Print a table of what was done."""
    print(f"\n{counts.total()} submissions in {seconds:.1f} s")
    for status, count in sorted(counts.items()):
        print(f"  {status:<16} {count:>6}")
    for problem in problems:
        print(f"  {problem}")


def main() -> None:
    """Run the command."""
    GradeApp.run()
