"""What the commands for instructors have in common: nbgrader's configuration, and one assignment as the argument."""

import logging
import os
import stat
import warnings
from pathlib import Path
from typing import Any

from nbgrader.apps.baseapp import NbGrader  # type: ignore[import-untyped]
from nbgrader.exchange.default.exchange import Exchange  # type: ignore[import-untyped]
from sqlalchemy.exc import SAWarning
from traitlets import default


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


def submitted(coursedir: Any, assignment: str) -> list[str]:
    """The students who have a folder for an assignment, wherever `CourseDirectory.directory_structure` puts it.

    A folder that cannot be looked into is one, too: what is wrong with it is said when it is read.
    """
    course = {"nbgrader_step": coursedir.submitted_directory, "assignment_id": assignment}
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
                mode = os.lstat(coursedir.format_path(coursedir.submitted_directory, student, assignment)).st_mode
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
