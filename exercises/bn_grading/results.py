"""What happened to each submission, a line of JSON for each, beside the gradebook: what the report is made of.

The gradebook has the scores. Here is what it has no place for: which mistakes were found, how long it took, what failed
and why. A line is added when a submission is done, so whoever stops the grader loses none.
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
# Missing cells, by name; of more only the number is told.
_MOST_NAMED = 8
# Of what could not be read, in the line of one submission.
_MOST_UNREAD = 100


class NotStoredError(Exception):
    """The results cannot be written."""


@dataclass(frozen=True)
class Result:
    """What happened to one submission.

    Attributes:
        student: the id.
        status: in a word: in part, if something of it is missing, could not be read, did not run or is not certain.
        problems: what went wrong, each in a sentence.
        notebooks: what was recorded of each, by name.
        at: when, in UTC.
    """

    student: str
    status: Status
    problems: list[str] = field(default_factory=list)
    notebooks: dict[str, Any] = field(default_factory=dict)
    at: str = ""

    @property
    def graded(self) -> bool:
        """Whether there are scores."""
        return self.status != "failed"


@dataclass(frozen=True)
class Results:
    """Those of one assignment.

    Attributes:
        path: of the file.
    """

    path: Path

    @staticmethod
    def of(coursedir: Any, assignment: str) -> "Results":
        """Where they are kept in a course."""
        return Results(Path(coursedir.root) / FOLDER / assignment / "results.jsonl")

    def __iter__(self) -> Iterator[Result]:
        """All of them, one at a time, the oldest first. A line that was not written to its end is none."""
        if not self.path.exists():
            return
        with self.path.open(encoding="utf-8") as file:
            for line in file:
                try:
                    yield Result(**json.loads(line))
                except (ValueError, TypeError):
                    continue

    def last(self) -> dict[str, Result]:
        """The last one of each student, by id."""
        return {result.student: result for result in self}

    def failed(self, student: str, why: str, sanitized: Sanitized) -> Result:
        """Note that a submission has no scores.

        Raises:
            NotStoredError: as all of them, if it cannot be written.
        """
        return self._add(Result(student, "failed", [why, *_unread(sanitized)]))

    def graded(self, sanitized: Sanitized, notebooks: Mapping[str, Graded], known: Mapping[str, Source]) -> Result:
        """Note what was recorded."""
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
            self.path.parent.mkdir(parents=True, exist_ok=True)
            # A line that a stopped grader left unfinished ends here.
            line = ("" if _ends_well(self.path) else "\n") + json.dumps(asdict(result)) + "\n"
            with self.path.open("a", encoding="utf-8") as file:
                file.write(line)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise NotStoredError(f"{self.path}: {error.strerror}") from error
        return result


def not_collected(coursedir: Any, assignment: str) -> dict[str, str]:
    """Which submissions were not collected the last time, by the names of their folders, and why."""
    try:
        found = json.loads(noted_at(coursedir, assignment).read_bytes())
    except (OSError, ValueError):
        return {}
    return {str(name): str(why) for name, why in found.items()} if isinstance(found, dict) else {}


def noted_at(coursedir: Any, assignment: str) -> Path:
    """The file with what was not collected."""
    return Path(coursedir.root) / FOLDER / assignment / "not-collected.json"


def _unread(sanitized: Sanitized) -> list[str]:
    unread = [f"{name}: {why}" for name, why in (sanitized.unreadable | sanitized.left_out).items()]
    more = [f"and {len(unread) - _MOST_UNREAD:,} more"] if len(unread) > _MOST_UNREAD else []
    return unread[:_MOST_UNREAD] + more


def _noted(graded: Graded, source: Source) -> Iterator[str]:
    """What somebody should know who reads the scores."""
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
    """A sentence in which a student's words, the name of a file for example, command no terminal."""
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)


def _ends_well(path: Path) -> bool:
    if not path.exists() or not path.stat().st_size:
        return True
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"
