"""What happened to each submission, as a line of JSON, in a file beside the gradebook. The report is made from it.

The gradebook has the scores. This file has what the gradebook has no place for: which mistakes were found, how long a
notebook ran, what failed and why. Each line is written as soon as its submission is graded, so nothing is lost when the
grader is stopped.
"""

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from bn_grading.assignment import Source
from bn_grading.record import Graded
from bn_grading.sanitize import Sanitized

Status = Literal["graded", "graded in part", "failed"]
FOLDER = "grading"
# Up to so many missing cells are named; of more, only the number is said.
_MOST_NAMED = 8
# The line of one submission lists so many of the files that could not be read.
_MOST_UNREAD = 100


class NotStoredError(Exception):
    """The results cannot be written."""


@dataclass(frozen=True)
class Result:
    """What happened to one submission.

    Attributes:
        student: the student's id.
        status: "graded in part" if something is missing, could not be read, did not run or is not certain.
        problems: what went wrong, each in a sentence.
        notebooks: what was recorded of each notebook, by its name.
        at: when the submission was graded, in UTC.
    """

    student: str
    status: Status
    problems: list[str] = field(default_factory=list)
    notebooks: dict[str, Any] = field(default_factory=dict)
    at: str = ""

    @property
    def graded(self) -> bool:
        """Whether the submission has scores."""
        return self.status != "failed"


@dataclass(frozen=True)
class Results:
    """The results of one assignment.

    Attributes:
        path: the file that holds them.
    """

    path: Path

    @staticmethod
    def of(coursedir: Any, assignment: str) -> "Results":
        """The results of an assignment in a course."""
        return Results(Path(coursedir.root) / FOLDER / assignment / "results.jsonl")

    def __iter__(self) -> Iterator[Result]:
        """Every result, the oldest first. A line that was not written to its end is skipped."""
        if not self.path.exists():
            return
        with self.path.open(encoding="utf-8") as file:
            for line in file:
                try:
                    yield Result(**json.loads(line))
                except (ValueError, TypeError):
                    continue

    def last(self) -> dict[str, Result]:
        """The newest result of each student, by id."""
        return {result.student: result for result in self}

    def failed(self, student: str, why: str, sanitized: Sanitized) -> Result:
        """Add that a submission has no scores, and why.

        Raises:
            NotStoredError: if the line cannot be written.
        """
        return self._add(Result(student, "failed", [why, *_unread(sanitized)]))

    def graded(self, sanitized: Sanitized, notebooks: Mapping[str, Graded], known: Mapping[str, Source]) -> Result:
        """Add what was recorded of a submission's notebooks.

        Raises:
            NotStoredError: if the line cannot be written.
        """
        problems = _unread(sanitized)
        for name, graded in notebooks.items():
            problems += [f"{name}: {why}" for why in _noted(graded, known[name])]
            problems += [f"{name}: cell {index + 1} was stopped: {why}" for index, why in graded.stopped.items()]
            if not graded.finished:
                problems.append(f"{name}: it did not run to its end")
        status: Status = "graded in part" if problems else "graded"
        plain = {name: asdict(graded) for name, graded in notebooks.items()}
        return self._add(Result(sanitized.student, status, problems, plain))

    def _add(self, result: Result) -> Result:
        now = datetime.now(UTC).isoformat(timespec="seconds")
        result = Result(**asdict(result) | {"at": now, "problems": [printable(each) for each in result.problems]})
        try:
            append(self.path, json.dumps(asdict(result)))
        except OSError as error:
            raise NotStoredError(f"{self.path}: {error.strerror}") from error
        return result


def append(path: Path, line: str) -> None:
    """Add a line to a file, and have it stored."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # If a killed command left its last line unfinished, the new one must not be joined to it.
    line = ("" if _ends_well(path) else "\n") + line + "\n"
    with path.open("a", encoding="utf-8") as file:
        file.write(line)
        file.flush()
        os.fsync(file.fileno())


def not_collected(coursedir: Any, assignment: str) -> dict[str, str]:
    """Why submissions were not collected, by the names of their folders."""
    try:
        found = json.loads(noted_at(coursedir, assignment).read_bytes())
    except (OSError, ValueError):
        return {}
    return {str(name): str(why) for name, why in found.items()} if isinstance(found, dict) else {}


def noted_at(coursedir: Any, assignment: str) -> Path:
    """The file that says which submissions were not collected."""
    return Path(coursedir.root) / FOLDER / assignment / "not-collected.json"


def _unread(sanitized: Sanitized) -> list[str]:
    unread = [f"{name}: {why}" for name, why in (sanitized.unreadable | sanitized.left_out).items()]
    more = [f"and {len(unread) - _MOST_UNREAD:,} more"] if len(unread) > _MOST_UNREAD else []
    return unread[:_MOST_UNREAD] + more


def _noted(graded: Graded, source: Source) -> Iterator[str]:
    """What a reader of the scores should know about one notebook."""
    if graded.missing:
        count, known = len(graded.missing), len(source.metadata)
        which = "" if count > _MOST_NAMED else f": {', '.join(graded.missing)}"
        yield f"{count} of the assignment's {known} cells are missing{which}"
        if count == known:
            yield "it may be another notebook, or a program took the cells' metadata away"
    yield from (
        f"cell {grade_id} has no points until you give it some: {why}" for grade_id, why in graded.unclear.items()
    )
    yield from (
        f"not all that cell {grade_id} put out was kept; what decides its points was" for grade_id in graded.cut
    )


def printable(text: str) -> str:
    """The text with escapes for unprintable characters: terminals obey those, and students can put them into names."""
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)


def _ends_well(path: Path) -> bool:
    if not path.exists() or not path.stat().st_size:
        return True
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"
