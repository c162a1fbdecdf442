"""What the commands for instructors have in common: nbgrader's configuration, and one assignment as the argument."""

import logging
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


def private_folders(config: Any, course: str) -> tuple[str, ...]:
    """The course, the exchange and the instructor's home: a folder that students' code may read may hold one."""
    exchange = Path(Exchange(config=config).root)
    return tuple(str(path.resolve()) for path in (Path(course), exchange, Path.home()))
