"""What the commands for instructors have in common: nbgrader's configuration, and one assignment as the argument."""

import logging
import os
import stat
import warnings
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import ExitStack
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, ClassVar

from nbgrader.apps.baseapp import NbGrader  # type: ignore[import-untyped]
from nbgrader.exchange.default.exchange import Exchange  # type: ignore[import-untyped]
from sqlalchemy.exc import SAWarning
from traitlets import Integer, Unicode, default


class AssignmentApp(NbGrader):  # type: ignore[misc]
    """A command about one assignment."""

    @default("log_level")
    def _log_level_default(self) -> int:
        # nbgrader says several lines about every submission; what matters of them is in the summary and the report.
        return logging.ERROR

    def assignment(self) -> str:
        """The one that was named, as an argument or with --assignment; without one, the command ends and says so."""
        if len(self.extra_args) == 1 and not self.coursedir.assignment_id:
            self.coursedir.assignment_id = self.extra_args[0]
        elif self.extra_args or not self.coursedir.assignment_id:
            self.fail(f"expected one assignment, as an argument or with --assignment: {self.name} batch-norm")
        return str(self.coursedir.assignment_id)

    @classmethod
    def run(cls) -> None:
        """Run the command."""
        # nbgrader's own queries, several for each submission.
        warnings.filterwarnings("ignore", category=SAWarning)
        cls.launch_instance()


class ParallelApp(AssignmentApp):
    """A command that has one submission after another worked on, several at a time."""

    where_to_run: ClassVar = {"jobs": "ParallelApp.jobs", "scheduler": "ParallelApp.scheduler"}

    jobs = Integer(1, min=1, help="How many submissions are worked on at a time on this machine.").tag(config=True)
    scheduler = Unicode(
        "", help='The address of a Dask scheduler, on whose workers that happens; "local" starts one here.'
    ).tag(config=True)

    @property
    def ahead(self) -> int:
        """How many submissions are handed out at a time: more than are worked on, so that no worker waits."""
        return 2 * max(self.jobs, 8) if self.scheduler else self.jobs + 1

    def executor(self, stack: ExitStack) -> Executor:
        """What works on them, until the stack is left."""
        if not self.scheduler:
            return stack.enter_context(ThreadPoolExecutor(self.jobs))
        from distributed import Client, LocalCluster

        if self.scheduler == "local":
            cluster = stack.enter_context(LocalCluster(n_workers=self.jobs, threads_per_worker=1, dashboard_address=""))
            client = stack.enter_context(Client(cluster))
        else:
            client = stack.enter_context(Client(self.scheduler))
        # Two submissions may be the same, letter by letter, and still are two.
        return client.get_executor(pure=False)  # type: ignore[no-any-return]


def meant(coursedir: Any, there: list[str]) -> list[str]:
    """Those of the students whom nbgrader would find by --student: hidden folders only by a pattern that says so."""
    pattern = coursedir.student_id
    shown = [each for each in there if not each.startswith(".") or pattern.startswith(".")]
    return [each for each in shown if fnmatchcase(each, pattern)]


def excluded(coursedir: Any) -> list[str]:
    """Whom `CourseDirectory.student_id_exclude` leaves out."""
    return [each.strip() for each in coursedir.student_id_exclude.split(",")]


def submitted(coursedir: Any, assignment: str, step: str) -> list[str]:
    """The students who have a folder for an assignment at a step, such as "submitted".

    It lies wherever `CourseDirectory.directory_structure` puts it.
    A folder that cannot be looked into is one, too: what is wrong with it is said when it is read.
    """
    course = {"nbgrader_step": step, "assignment_id": assignment}
    parts = Path(coursedir.directory_structure).parts
    at = next(place for place, part in enumerate(parts) if "{student_id}" in part)
    before, _, behind = parts[at].partition("{student_id}")
    before, behind = before.format(**course), behind.format(**course)
    above = Path(coursedir.root, *(part.format(**course) for part in parts[:at]))
    found = []
    for name in sorted(os.listdir(above)) if above.is_dir() else ():
        student = name[len(before) : len(name) - len(behind)]
        if student and name == f"{before}{student}{behind}":
            try:
                mode = os.lstat(coursedir.format_path(step, student, assignment)).st_mode
            except (FileNotFoundError, NotADirectoryError):
                continue
            except OSError:
                mode = stat.S_IFDIR
            if stat.S_ISDIR(mode) or stat.S_ISLNK(mode):
                found.append(student)
    return found


def private_folders(config: Any, course: str) -> tuple[str, ...]:
    """The course, the exchange and the instructor's home: a folder that students' code may read may hold one."""
    exchange = Path(Exchange(config=config).root)
    return tuple(str(path.resolve()) for path in (Path(course), exchange, Path.home()))
