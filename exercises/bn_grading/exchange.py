"""nbgrader's exchange, where students write and the instructor reads. No link is followed there.

    c.ExchangeFactory.collect = "bn_grading.exchange.Collect"
    c.ExchangeFactory.release_feedback = "bn_grading.exchange.ReleaseFeedback"

One submission that cannot be read does not keep the others from being collected. nbgrader's own `collect` follows
links, only warns of a wrong owner, and stops at the first folder whose name it cannot read.
"""

import json
import os
import pwd
import shutil
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from fnmatch import fnmatch
from glob import escape
from itertools import islice
from pathlib import Path
from typing import Any

from nbgrader.exchange.default import (  # type: ignore[import-untyped]
    ExchangeCollect,
    ExchangeReleaseFeedback,
)
from nbgrader.utils import parse_utc  # type: ignore[import-untyped]

from bn_grading.files import UnreadableError, files, of_the_machine, refuse_links
from bn_grading.record import STAGING
from bn_grading.report.write import write_text
from bn_grading.results import not_collected, noted_at, printable
from bn_grading.sanitize import handed_in_at

# nbgrader's limits are in kilobytes of 1000 bytes.
_KB = 1000
_LONGEST_NAME = 200
# Every student can put folders into the exchange, so the list of refused ones has a limit.
_MOST_NOTED = 1000
_NOBODY = {"username": "", "filename": "", "timestamp": datetime.min}


class Collect(ExchangeCollect):  # type: ignore[misc]
    """`nbgrader collect`, restricted to ordinary files that belong to the student.

    A submission with anything else in it is refused as a whole. The reason is logged, kept in
    `grading/ASSIGNMENT/not-collected.json`, and shown in the report.
    """

    def init_src(self) -> None:
        """Find the newest submission of each student."""
        self._refused: dict[str, str] = {}
        self._collected: set[str] = set()
        inbound = Path(self.root, self.coursedir.course_id, "inbound")
        if os.path.lexists(inbound):
            try:
                refuse_links(inbound, Path(self.root))
            except UnreadableError as error:
                self.fail(f"{error}; expected folders of the exchange in {self.root}")
        super().init_src()
        self.src_records: list[dict[str, Any]] = [record for record in self.src_records if record["username"]]

    def _path_to_record(self, path: str) -> dict[str, Any]:
        name = os.path.basename(path)
        with self._refusing(name):
            return self._record(Path(path))
        return _NOBODY

    def _record(self, path: Path) -> dict[str, Any]:
        """Student and time, from the name of a submission's folder; raises if that student cannot have made it."""
        # STUDENT+ASSIGNMENT+TIME+RANDOM, read from its end, because a student's name may contain a plus sign.
        student, assignment, timestamp, *_ = [*path.name.rsplit("+", 3), "", ""]
        if assignment != self.coursedir.assignment_id or not is_plain(student):
            raise UnreadableError("its name is not STUDENT+ASSIGNMENT+TIME+RANDOM")
        status = path.lstat()
        if not stat.S_ISDIR(status.st_mode):
            raise UnreadableError("it is a link" if stat.S_ISLNK(status.st_mode) else "it is no folder")
        if self.check_owner and (owner := _account(status.st_uid)) != student:
            raise UnreadableError(
                f"it belongs to {owner}, and not to {student}. Where all students have one account, set "
                "c.ExchangeCollect.check_owner = False"
            )
        at = parse_utc(timestamp)
        return {"username": student, "filename": path.name, "timestamp": at, "owner": status.st_uid}

    def copy_files(self) -> None:
        """Copy each submission that is new, and note why others cannot be copied."""
        if not self.src_records:
            self.log.warning(
                "No submissions of '%s' for course '%s' to collect",
                self.coursedir.assignment_id,
                self.coursedir.course_id,
            )
        self._staging = Path(self.coursedir.format_path(self.coursedir.submitted_directory, ".", ".")) / STAGING
        # A run that was killed leaves its folder behind.
        shutil.rmtree(self._staging, ignore_errors=True)
        for record in self.src_records:
            with self._refusing(record["filename"]):
                self._collect(record)
        self._note()

    def _note(self) -> None:
        """Write down what is refused. An earlier refusal stays until its folder is gone or newer work is collected."""
        before = not_collected(self.coursedir, self.coursedir.assignment_id)
        noted = {
            name: why
            for name, why in before.items()
            if name.rsplit("+", 3)[0] not in self._collected and os.path.lexists(Path(self.inbound_path, name))
        } | self._refused
        noted = dict(islice(noted.items(), _MOST_NOTED))
        if noted != before:
            write_text(noted_at(self.coursedir, self.coursedir.assignment_id), json.dumps(noted, indent=1))

    def _collect(self, record: Mapping[str, Any]) -> None:
        student, course = record["username"], self.coursedir
        there = Path(course.format_path(course.submitted_directory, student, course.assignment_id))
        if os.path.lexists(there):
            refuse_links(there, Path(course.root))
            existing = handed_in_at(str(there))
            newer = self.update and (existing is None or record["timestamp"] > existing)
            if not newer and not (self.before_duedate and existing != record["timestamp"]):
                self.log.info(
                    "No newer submission to collect: %s %s" if self.update else
                    "Submission already exists, use --update to update: %s %s",
                    student,
                    course.assignment_id,
                )  # fmt: skip
                return
            self.log.info("Updating submission: %s %s", student, course.assignment_id)
        else:
            self.log.info("Collecting submission: %s %s", student, course.assignment_id)
        staging = self._staging
        staging.mkdir(parents=True)
        try:
            self._copy(Path(self.inbound_path, record["filename"]), record["owner"], staging / "submission")
            there.parent.mkdir(parents=True, exist_ok=True)
            refuse_links(there.parent, Path(course.root))
            # The old submission stays in its place until the new one is complete, and goes with the staging folder.
            if there.exists():
                there.rename(staging / "before")
            (staging / "submission").rename(there)
        finally:
            shutil.rmtree(staging, ignore_errors=True)
        self._collected.add(student)

    def _copy(self, source: Path, owner: int, copy: Path) -> None:
        """Copy the files that nbgrader would copy; raise if anything in the folder is a link or somebody else's."""
        course, size = self.coursedir, 0
        copy.mkdir()
        for name, read in files(source, owner):
            parts = name.split("/")
            if any(fnmatch(part, pattern) for part in parts for pattern in course.ignore):
                continue
            if not any(fnmatch(parts[-1], pattern) for pattern in course.include):
                continue
            try:
                content = read(course.max_file_size * _KB)
            except UnreadableError as error:
                raise UnreadableError(f"{name}: {error}") from None
            size += len(content)
            if size > course.max_dir_size * _KB:
                raise UnreadableError(f"it has more than {course.max_dir_size:,} kB")
            path = copy / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        if course.groupshared:
            for above, _, names in os.walk(copy):
                os.chmod(above, 0o2770)
                for each in names:
                    os.chmod(Path(above, each), 0o660)

    @contextmanager
    def _refusing(self, folder: str) -> Iterator[None]:
        """Note why this submission cannot be read, and go on with the next. A fault of the machine is raised."""
        try:
            yield
        # Any other error has its cause in this submission, so the others are still collected.
        except Exception as error:
            if isinstance(error, OSError) and of_the_machine(error):
                raise
            said = printable(str(error))
            name = printable(folder)[:_LONGEST_NAME]
            self.log.error("Not collected: %s: %s", name, said)
            self._refused[name] = said


class ReleaseFeedback(ExchangeReleaseFeedback):  # type: ignore[misc]
    """`nbgrader release_feedback`, which goes on with the next student where it cannot release one's feedback."""

    def copy_files(self) -> None:
        """Release feedback, one student after another."""
        course = self.coursedir
        pattern = course.student_id or "*"
        above = Path(course.format_path(course.feedback_directory, ".", ".")).resolve()
        for student in sorted(each.name for each in above.iterdir()) if above.is_dir() else ():
            if not fnmatch(student, pattern):
                continue
            self.src_path = course.format_path(course.feedback_directory, escape(student), course.assignment_id)
            try:
                super().copy_files()
            # A file that is not UTF-8 raises UnicodeDecodeError, which is a ValueError.
            except (FileNotFoundError, IsADirectoryError, ValueError) as error:
                self.log.error("Not released: %s: %s", printable(student), printable(str(error)))


def is_plain(student: str) -> bool:
    """Whether a student's name can be the name of a folder, and not of a hidden one, which nbgrader would skip."""
    return bool(student) and not student.startswith(".") and student.isprintable() and "/" not in student


def _account(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return "an account without a name"
