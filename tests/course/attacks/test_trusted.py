"""The trusted side: each attack comes to nothing, is named, and stops nobody else."""

import errno
import json
import os
import pwd
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock, Mock, patch

import nbformat
import pytest
from nbconvert.filters import strip_ansi
from nbformat.v4 import new_code_cell, new_notebook
from nbgrader.api import MissingEntry
from nbgrader.converters import GenerateFeedback
from nbgrader.coursedir import CourseDirectory
from nbgrader.exchange import ExchangeError
from nbgrader.exchange.default import collect as default_collect
from traitlets.config import Config

from bn_grading import apart, archives, files, markup_limits, notebooks, outputs, safe_html
from bn_grading.apart import TooMuchError
from bn_grading.archives import Extractor, Names
from bn_grading.exchange import Collect, ReleaseFeedback
from bn_grading.files import UnreadableError, content
from bn_grading.judge import look
from bn_grading.report.tables import Export
from bn_grading.results import Results, not_collected
from bn_grading.sanitize import Sanitized, handed_in_at, sanitize

from ..conftest import ASSIGNMENT, COURSE
from .attack import CANARY
from .trusted import CODES, COLLECTED, MARKDOWN, MARKUP, NAME, READ, UNPACKED, WHEN, Touch

HONEST = ("ada", "nobody-else", "zoe")


def named(attacks: tuple[Touch, ...]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("attack", attacks, ids=lambda attack: attack.name)


@dataclass
class Place:
    """A course and an exchange."""

    root: Path

    def __post_init__(self) -> None:
        self.secrets = self.root / "instructor"
        self.course = self.root / "course"
        self.inbound = self.root / "exchange" / COURSE / "inbound"
        for folder in (self.secrets, self.course, self.inbound):
            folder.mkdir(parents=True)
        (self.secrets / "secret.txt").write_text(CANARY)
        (self.secrets / NAME).write_text(CANARY)

    @property
    def coursedir(self) -> CourseDirectory:
        where = CourseDirectory(root=str(self.course), course_id=COURSE, assignment_id=ASSIGNMENT)
        where.max_dir_size = 2000
        return where

    def hand_in(self, student: str, text: str = "{}", when: str = WHEN) -> Path:
        folder = self.inbound / f"{student}+{ASSIGNMENT}+{when}+x"
        folder.mkdir()
        (folder / NAME).write_text(text)
        return folder

    def collect(self, student: str = "*", **options: bool) -> Collect:
        course = self.coursedir
        course.student_id = student
        # All students of a test have the account that runs it.
        own = Collect(coursedir=course, root=str(self.root / "exchange"), **{"check_owner": False} | options)
        # Which starts a program to make its tables, and is asked for the due date only.
        with patch.object(default_collect, "Gradebook", MagicMock()):
            own.start()
        return own

    def submitted(self, student: str) -> Path:
        return self.course / "submitted" / student / ASSIGNMENT


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MOST_FILES", 300)


# Collecting


@pytest.fixture(scope="module")
def collected(tmp_path_factory: pytest.TempPathFactory) -> Place:
    place = Place(tmp_path_factory.mktemp("collected"))
    for student in HONEST:
        place.hand_in(student, student)
    for attack in COLLECTED:
        attack.make(place.hand_in(attack.name), place.secrets)
    with patch.object(files, "MOST_FILES", 300):
        place.collect()
    return place


@named(COLLECTED)
def test_it_is_not_collected_and_the_report_says_why(collected: Place, attack: Touch) -> None:
    assert not collected.submitted(attack.name).exists()
    said = not_collected(collected.coursedir, ASSIGNMENT)
    (why,) = [why for folder, why in said.items() if folder.startswith(attack.folder)]
    assert attack.says in why
    assert why.isprintable()


def test_everybody_else_is_collected_and_nothing_secret(collected: Place) -> None:
    assert sorted(each.name for each in (collected.course / "submitted").iterdir()) == sorted(HONEST)
    for student in HONEST:
        assert (collected.submitted(student) / NAME).read_text() == student
    assert len(not_collected(collected.coursedir, ASSIGNMENT)) == len(COLLECTED)
    for path in collected.course.rglob("*"):
        assert not path.is_symlink()
        assert not path.is_file() or CANARY.encode() not in path.read_bytes()
    assert sorted(each.name for each in collected.secrets.iterdir()) == [NAME, "secret.txt"]


def test_a_wrong_owner_is_refused_before_the_newest_is_chosen(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    me = pwd.getpwuid(os.getuid()).pw_name
    place.hand_in(me, "mine")
    place.hand_in("somebody", "in another's name")
    place.collect(check_owner=True)
    assert (place.submitted(me) / NAME).read_text() == "mine"
    assert not place.submitted("somebody").exists()
    assert f"it belongs to {me}, and not to somebody" in caplog.text


def test_what_was_refused_keeps_the_old_and_is_forgotten_with_the_next(place: Place) -> None:
    place.hand_in("eve", "first")
    place.collect()
    linked = place.hand_in("eve", "second", "2026-02-01 12:00:00 UTC")
    (linked / "x.txt").symlink_to(place.secrets / "secret.txt")
    place.collect(update=True)
    assert (place.submitted("eve") / NAME).read_text() == "first"
    assert list(not_collected(place.coursedir, ASSIGNMENT)) == [linked.name]
    place.hand_in("eve", "third", "2026-02-02 12:00:00 UTC")
    place.collect(update=True)
    assert (place.submitted("eve") / NAME).read_text() == "third"
    assert not_collected(place.coursedir, ASSIGNMENT) == {}


def test_collecting_twice_changes_nothing(place: Place) -> None:
    place.hand_in("ada", "first")
    place.collect()
    place.hand_in("ada", "second", "2026-02-01 12:00:00 UTC")
    place.collect()
    assert (place.submitted("ada") / NAME).read_text() == "first"


def test_a_time_that_nobody_can_read_stops_no_update(place: Place) -> None:
    (place.hand_in("eve") / "timestamp.txt").write_bytes(b"\xff yesterday")
    place.hand_in("zoe")
    place.collect()
    place.hand_in("zoe", "second", "2026-02-01 12:00:00 UTC")
    place.collect(update=True)
    assert (place.submitted("zoe") / NAME).read_text() == "second"


def test_a_folder_that_leads_elsewhere_is_not_written_to(place: Place) -> None:
    place.hand_in("eve", "mine")
    (place.course / "submitted").mkdir()
    (place.course / "submitted" / "eve").symlink_to(place.secrets)
    place.collect()
    assert sorted(each.name for each in place.secrets.iterdir()) == [NAME, "secret.txt"]
    (why,) = not_collected(place.coursedir, ASSIGNMENT).values()
    assert why == "the folder submitted/eve is a link"


@pytest.mark.parametrize("student", ["..", ".grading"])
def test_a_name_that_is_no_students(place: Place, student: str) -> None:
    place.hand_in(student)
    place.collect(student=student)
    assert list(not_collected(place.coursedir, ASSIGNMENT).values()) == [
        "its name is not STUDENT+ASSIGNMENT+TIME+RANDOM"
    ]
    assert not (place.course / ASSIGNMENT).exists()


@pytest.mark.parametrize("above", ["inbound", "course"])
def test_an_exchange_that_leads_elsewhere_is_none(place: Place, above: str) -> None:
    place.hand_in("ada")
    path = place.inbound if above == "inbound" else place.inbound.parent
    path.rename(place.root / "elsewhere")
    path.symlink_to(place.root / "elsewhere")
    with pytest.raises(ExchangeError, match="is a link"):
        place.collect()
    assert not (place.course / "submitted").exists()


def test_a_full_disk_is_not_the_students(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.hand_in("ada")
    monkeypatch.setattr(Path, "write_bytes", Mock(side_effect=OSError(errno.ENOSPC, "No space left on device")))
    with pytest.raises(OSError, match="No space left"):
        place.collect()
    assert not place.submitted("ada").exists()


def test_a_path_that_does_not_fit_is_the_students(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.hand_in("ada")
    write = Path.write_bytes

    def too_long(path: Path, data: bytes) -> int:
        if path.name == NAME:
            raise OSError(errno.ENAMETOOLONG, "File name too long")
        return write(path, data)

    monkeypatch.setattr(Path, "write_bytes", too_long)
    place.collect()
    (why,) = not_collected(place.coursedir, ASSIGNMENT).values()
    assert "File name too long" in why


# Files that change


def test_a_file_that_becomes_a_link_before_it_is_read(place: Place) -> None:
    folder = place.hand_in("eve")
    for name, read in files.files(folder):
        (folder / name).unlink()
        (folder / name).symlink_to(place.secrets / "secret.txt")
        with pytest.raises(UnreadableError, match="it is a link"):
            read(100)


def test_a_folder_that_becomes_a_link_on_the_way_to_it(place: Place) -> None:
    folder = place.hand_in("eve")
    (folder / "data").mkdir()
    found = []
    for name, read in files.files(folder):
        if name == NAME:
            (folder / "data").rmdir()
            (folder / "data").symlink_to(place.secrets)
            continue
        with pytest.raises(UnreadableError, match="cannot be opened"):
            read(100)
        found.append(name)
    assert found == ["data"]


def test_a_file_that_changes_while_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "x").write_text("before")
    look, looks = os.fstat, []

    def changing(descriptor: int) -> os.stat_result:
        looks.append(descriptor)
        if len(looks) == 2:
            (tmp_path / "x").write_text("and after")
        return look(descriptor)

    monkeypatch.setattr(os, "fstat", changing)
    with pytest.raises(UnreadableError, match="changed while it was read"):
        content(tmp_path / "x", 100)


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(UnreadableError, match="it is no ordinary file"):
        content(tmp_path, 100)


# Archives


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "ALWAYS", 2_000_000)
    # In the process beside this one there is no patch.
    monkeypatch.setattr(apart, "run", lambda function, *args, **_: function(*args))
    monkeypatch.setattr(archives, "MOST_ENTRIES", 300)


@named(UNPACKED)
def test_an_archive_writes_nothing_elsewhere(
    place: Place, small: None, attack: Touch, caplog: pytest.LogCaptureFixture
) -> None:
    packed, unpacked = place.root / "archive", place.root / "below" / "extracted"
    packed.mkdir()
    unpacked.mkdir(parents=True)
    attack.make(packed, place.secrets)
    for student in ("ada", "zoe"):
        (packed / f"{student}_1.ipynb").write_text(student)
    before = {path for path in place.root.rglob("*") if unpacked not in path.parents}
    Extractor().extract(str(packed), str(unpacked))
    assert attack.says in caplog.text
    assert {path for path in place.root.rglob("*") if unpacked not in path.parents} == before
    assert not any(path.is_symlink() or not (path.is_dir() or path.is_file()) for path in unpacked.rglob("*"))
    assert {(unpacked / f"{student}_1.ipynb").read_text() for student in ("ada", "zoe")} == {"ada", "zoe"}
    # Of an archive that has too much nothing stays; else only what could not be taken is left out.
    whole = attack.name in ("bomb", "many", "no-archive", "nested", "beside")
    assert whole or (unpacked / "eve" / "eve_1.ipynb").read_text() == "{}"


def test_a_class_in_one_archive_is_unpacked_in_the_process_beside(place: Place) -> None:
    packed, unpacked = place.root / "archive", place.root / "extracted"
    packed.mkdir()
    unpacked.mkdir()
    UNPACKED[0].make(packed, place.secrets)
    Extractor().extract(str(packed), str(unpacked))
    assert (unpacked / "eve" / "eve_1.ipynb").read_text() == "{}"


@pytest.mark.parametrize(
    "name", ["_x.ipynb", ".._x.ipynb", ".x_x.ipynb", "eve_../x.ipynb", "eve_/x.ipynb", "eve_a/../../x.ipynb"]
)
def test_a_file_name_says_no_other_folder(name: str) -> None:
    names = Names(named_regexp=r"/here/(?P<student_id>[^_]*)_(?P<file_id>.*)")
    assert names.collect(f"/here/{name}") is None
    assert names.collect("/here/ada_x.ipynb") == {"student_id": "ada", "file_id": "x.ipynb"}


def test_a_file_name_without_a_time_of_its_own_ends_nothing() -> None:
    names = Names(named_regexp=r"/here/(?P<student_id>[^_]*)_(?P<timestamp>[^_]*)_(?P<file_id>.*)")
    assert names.collect("/here/eve_yesterday_x.ipynb") is None
    assert names.collect("/here/eve__x.ipynb")
    assert names.collect("/here/eve__x.ipynb") is None
    assert names.collect("/here/eve_2026-01-31_x.ipynb") is None
    assert names.collect("/here/ada_2026-01-31_x.ipynb")
    assert names.collect("/here/ada_2026-02-01_x.ipynb")


# Reading what was handed in


@pytest.mark.parametrize("attack", READ)
def test_what_is_no_notebook_is_named(tmp_path: Path, attack: str) -> None:
    text, says = READ[attack]
    (tmp_path / NAME).write_text(text)
    with pytest.raises(UnreadableError, match=says):
        notebooks.read(tmp_path / NAME)


def test_as_many_cells_as_may_be_are_read_in_every_format(tmp_path: Path) -> None:
    cells = [{"cell_type": "raw", "source": "", "metadata": {}}] * notebooks.MOST_CELLS
    for data in (
        {"nbformat": 4, "metadata": {}, "cells": cells, "worksheets": [{"cells": cells}] * 2},
        {"nbformat": 3, "metadata": {}, "worksheets": [{"cells": cells}]},
    ):
        (tmp_path / NAME).write_text(json.dumps(data))
        assert len(notebooks.read(tmp_path / NAME)) == notebooks.MOST_CELLS


def sanitized(place: Place, student: str) -> Sanitized:
    """One submission, of an assignment without notebooks."""
    converter: Any = SimpleNamespace(coursedir=place.coursedir, sanitize_preprocessors=[])
    return sanitize(converter, student, ASSIGNMENT, {})


def handed(place: Place, student: str = "eve") -> Path:
    folder = place.submitted(student)
    folder.mkdir(parents=True)
    return folder


@pytest.mark.parametrize("above", ["eve", "batch-norm"])
def test_a_submission_that_is_a_link_to_anothers(place: Place, above: str) -> None:
    (handed(place, "ada") / NAME).write_text("{}")
    link = place.course / "submitted" / "eve"
    if above == "batch-norm":
        link.mkdir()
        link = link / ASSIGNMENT
    link.symlink_to(place.submitted("ada") if above == "batch-norm" else place.course / "submitted" / "ada")
    linked = "submitted/eve" if above == "eve" else f"submitted/eve/{ASSIGNMENT}"
    assert sanitized(place, "eve") == Sanitized("eve", left_out={"all of it": f"the folder {linked} is a link"})
    assert handed_in_at(str(place.submitted("eve"))) is None
    assert sanitized(place, "ada").left_out == {
        NAME: "there is no such notebook in the assignment; the others can use it"
    }


def test_a_path_longer_than_the_system_takes(place: Place) -> None:
    folder = handed(place)
    (folder / "a.txt").write_text("x")
    here = os.open(folder, os.O_RDONLY)
    for _ in range(16):
        os.mkdir("d" * 250, dir_fd=here)
        below = os.open("d" * 250, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(os.open("x.txt", os.O_CREAT | os.O_WRONLY, dir_fd=here))
    os.close(here)
    done = sanitized(place, "eve")
    assert done.files == {"a.txt": b"x"}
    (why,) = done.left_out.values()
    assert why == "its path is longer than 1,000 bytes"


def test_folders_in_folders_and_files_beside_files(place: Place, few: None) -> None:
    folder = handed(place)
    (folder / "/".join("d" * 50)).mkdir(parents=True)
    for number in range(310):
        (folder / f"{number}.txt").touch()
    done = sanitized(place, "eve")
    assert len(done.files) == 300
    assert "there are more than" in next(iter(done.left_out.values()))


def test_many_files_are_not_all_kept_nor_named(place: Place) -> None:
    folder = handed(place)
    for number in range(1198):
        (folder / f"{number:04}.txt").touch()
    (folder / "timestamp.txt").write_text(WHEN)
    (folder / "submission_secret.txt").write_text("secret")
    done = sanitized(place, "eve")
    assert [*done.files][:2] == ["timestamp.txt", "submission_secret.txt"]
    assert [*done.files][-1] == "0997.txt"
    (result,) = [Results(place.root / "results.jsonl").failed("eve", "why", done)]
    assert result.problems[:2] == ["why", "0998.txt: there are 1,000 other files already"]
    assert result.problems[-1] == "and 100 more"


@pytest.mark.parametrize(
    "text", [b"/etc/passwd", b"2026-01-01 00:00:00 ../../etc/passwd", b"1 1 \0", b"\xff", b"9" * 400]
)
def test_a_time_is_read_or_is_none(place: Place, text: bytes) -> None:
    (handed(place) / "timestamp.txt").write_bytes(text)
    handed_in_at(str(place.submitted("eve")))
    sanitized(place, "eve")


# What is done apart


def test_what_takes_too_long_is_ended_and_the_next_is_not() -> None:
    # No Python stops a regular expression.
    with pytest.raises(TooMuchError, match="it takes more than 1 seconds"):
        apart.run(re.match, "(a+)+$", "a" * 60 + "b", seconds=1)
    assert apart.run(len, "next") == 4


def test_what_takes_all_memory_is_refused_and_the_next_is_not() -> None:
    before = apart.run(os.getpid)
    with pytest.raises(TooMuchError, match="MiB of memory"):
        apart.run(bytes, 1 << 40)
    assert apart.run(os.getpid) == before


@pytest.mark.parametrize("end", [(os._exit, 0), (signal.raise_signal, signal.SIGSEGV), (signal.raise_signal, 9)])
def test_what_ends_the_process_is_refused_and_the_next_is_not(end: tuple[Any, int]) -> None:
    with pytest.raises(TooMuchError, match="it ends the process"):
        apart.run(*end)
    assert apart.run(len, "next") == 4


def test_what_came_out_of_the_sandbox_is_looked_at_apart() -> None:
    # Each of them is small enough to be parsed, and has nesting that was not counted.
    hidden = "".join(f"<i a{n}><!--</i>-->" for n in range(5000))
    put_out = {n: [{"output_type": "display_data", "data": {"text/html": hidden}}] for n in range(100)}
    with pytest.raises(TooMuchError):
        apart.run(look, put_out, (), "", "", 1, "eve", seconds=1)


def test_an_error_is_the_same_apart() -> None:
    with pytest.raises(json.JSONDecodeError):
        apart.run(json.loads, "{")


def test_the_process_ends_with_the_one_that_started_it() -> None:
    source = """
import os
from bn_grading import apart
print(apart.run(os.getpid), flush=True)
os.kill(os.getpid(), 9)
"""
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=False)
    process = Path("/proc", done.stdout.strip())
    for _ in range(500):
        if not process.exists() or "\nState:\tZ" in (process / "status").read_text():
            return
        time.sleep(0.02)
    pytest.fail("it is still there")


# Pages


@pytest.fixture
def no_parser(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Whatever parses is not to be asked."""
    parser = Mock(side_effect=AssertionError("this was to be shown as text"))
    for module, name in (
        (outputs, "_cleaner"),
        (safe_html, "_cleaner"),
        (safe_html, "_exporter"),
        (safe_html, "ansi2html"),
        (safe_html, "_highlighter"),
    ):
        monkeypatch.setattr(module, name, parser)
    yield
    parser.assert_not_called()


@pytest.mark.parametrize("attack", MARKUP)
def test_html_with_too_much_markup_is_shown_as_text(no_parser: None, attack: str) -> None:
    (shown,) = outputs.read([{"output_type": "display_data", "data": {"text/html": MARKUP[attack]}}])
    assert shown.data == {"text/plain": MARKUP[attack]}


def test_a_page_of_pandas_is_cleaned() -> None:
    rows = "".join(f"<tr><th>{n}</th>{'<td>0.5</td>' * 20}</tr>" for n in range(200))
    table = f'<div><table border="1" class="dataframe"><tbody>{rows}</tbody></table></div>'
    (shown,) = outputs.read([{"output_type": "display_data", "data": {"text/html": table}}])
    assert shown.data["text/html"].count("<td>") == 4000


@pytest.mark.parametrize("attack", [name for name in MARKDOWN if name != "cells"])
def test_markdown_with_too_much_markup_is_shown_as_text(no_parser: None, attack: str) -> None:
    shown = safe_html.markdown(None, MARKDOWN[attack])
    assert shown.startswith("<pre>")
    assert shown.count("<") == 2


def test_markdown_that_makes_too_much_markup_is_shown_as_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(safe_html, "_cleaner", Mock(side_effect=AssertionError))
    monkeypatch.setattr(markup_limits, "LONGEST_MARKDOWN", 100_000)
    made = SimpleNamespace(markdown2html=lambda _, source: "<td>" * source.count("|a"))
    monkeypatch.setattr(safe_html, "_exporter", lambda: made)
    assert safe_html.markdown(None, MARKDOWN["cells"]).startswith("<pre>|a|a")


@pytest.mark.parametrize("attack", CODES)
def test_a_terminal_with_too_many_colours_has_none(no_parser: None, attack: str) -> None:
    assert safe_html.terminal("<b>" + CODES[attack]) == "&lt;b&gt;" + strip_ansi(CODES[attack])


def test_a_terminal_has_its_colours() -> None:
    assert safe_html.terminal("\x1b[31mred\x1b[0m") == '<span class="ansi-red-fg">red</span>'


def test_a_long_program_has_no_colours(no_parser: None) -> None:
    assert "<span" not in safe_html.code("a." * 20_000)
    assert "&lt;script" in safe_html.code("<script>" * 2000)


def test_depth_counts_what_is_open() -> None:
    assert markup_limits.depth("<p>a<br>b</p><p>c</p>") == 1
    assert markup_limits.depth("<ul><li><b>x</b></li></ul>") == 3
    # An end that ends nothing, or something further out, closes nothing.
    assert markup_limits.depth("<div></x></div>" * 50) == 1
    assert markup_limits.depth("<i></x>" * 50) == 50


def test_feedback_on_one_hostile_notebook_stops_nobody(
    place: Place, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(safe_html, "PAGE_SECONDS", 3)
    slow = "a." * (markup_limits.LONGEST_CODE // 2)
    for student in (*HONEST, "eve"):
        folder = place.course / "autograded" / student / ASSIGNMENT
        folder.mkdir(parents=True)
        cells = [
            new_code_cell(f"{slow}{n}"[-markup_limits.LONGEST_CODE :]) for n in range(100 if student == "eve" else 0)
        ]
        nbformat.write(new_notebook(cells=[new_code_cell(student), *cells]), folder / NAME)
    config = Config()
    config.GenerateFeedback.exporter_class = "bn_grading.safe_html.Feedback"
    config.GenerateFeedback.preprocessors = []
    config.HTMLExporter.template_name = "classic"
    config.HTMLExporter.filters = {"highlight_code": "bn_grading.safe_html.code"}
    with pytest.raises(Exception, match="error"):
        GenerateFeedback(coursedir=place.coursedir, config=config).start()
    assert "it takes more than 3 seconds" in caplog.text
    made = sorted(path.parent.parent.name for path in (place.course / "feedback").rglob("*.html"))
    assert made == sorted(HONEST)


# nbgrader opens a file and does not close it.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_feedback_that_nobody_can_be_given_stops_nobody(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    for student in (*HONEST, "eve", "eve-2"):
        folder = place.course / "feedback" / student / ASSIGNMENT
        folder.mkdir(parents=True)
        (folder / "1-basic-calculation.html").write_text(student)
        if student != "eve":
            (folder / "timestamp.txt").write_text(WHEN)
            (folder / "submission_secret.txt").write_bytes(b"\xff" if student == "eve-2" else student.encode())
    release = ReleaseFeedback(coursedir=place.coursedir, root=str(place.root / "exchange"))
    release.start()
    out = place.root / "exchange" / COURSE / "feedback"
    assert sorted(path.read_text() for path in out.glob("*.html")) == sorted(HONEST)
    assert "Not released: eve: " in caplog.text
    assert "Not released: eve-2: " in caplog.text


# Export


def test_no_export_is_a_formula(tmp_path: Path) -> None:
    students = [
        SimpleNamespace(id=each, first_name="@SUM(A1)", last_name=None, email="")
        for each in ("ada", "=cmd|' /C calc'!A0", "a, b", "+1")
    ]

    def find_submission(assignment: str, student: str) -> SimpleNamespace:
        if student == "+1":
            raise MissingEntry
        return SimpleNamespace(timestamp=None, score=len(student), late_submission_penalty=0)

    gradebook = SimpleNamespace(
        assignments=[SimpleNamespace(name=ASSIGNMENT, duedate=None, max_score=20)],
        students=students,
        find_submission=find_submission,
    )
    Export(to=str(tmp_path / "grades.csv")).export(gradebook)
    Export(to=str(tmp_path / "one.csv"), student=["ada"]).export(gradebook)
    text = (tmp_path / "grades.csv").read_text()
    assert text.count("'@SUM(A1)") == 4
    assert "'=cmd" in text
    assert '"a, b"' in text
    assert [line.split(",")[-2] for line in text.splitlines()[1:]] == ["3", "18", "4", "0.0"]
    assert not re.search(r"(^|,)[=+@]", text, re.MULTILINE)
    assert (tmp_path / "one.csv").read_text().count(f"{ASSIGNMENT},") == 1


def test_there_are_forty() -> None:
    assert len(COLLECTED) + len(UNPACKED) + len(READ) + len(MARKDOWN) + len(CODES) >= 40
