"""Folders of a grader that was killed are removed by the next one; those of a living grader stay."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bn_grading import temporary
from bn_grading.temporary import KINDS, Folder, remove_left

# Makes what enters a sandbox and one folder of each kind, says so, and waits.
_GRADER = """
import sys
from bn_grading.execute import inside_folder
from bn_grading.temporary import KINDS, Folder
inside = inside_folder()
held = [Folder(kind) for kind in KINDS]
print("ready", flush=True)
sys.stdin.readline()
"""


class Grader:
    """Another process, with folders of its own in a temporary folder."""

    def __init__(self, folder: Path) -> None:
        before = set(folder.iterdir())
        self.process = subprocess.Popen(
            [sys.executable, "-c", _GRADER],
            env=os.environ | {"TMPDIR": str(folder)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self.process.stdout
        assert self.process.stdout.readline() == b"ready\n"
        self.folders = set(folder.iterdir()) - before

    def end(self, how: signal.Signals) -> None:
        self.process.send_signal(how)
        self.process.communicate()


@pytest.fixture
def living(tmp_path: Path) -> Iterator[Grader]:
    grader = Grader(tmp_path)
    yield grader
    grader.end(signal.SIGKILL)


def test_who_begins_removes_what_was_left_and_nothing_else(tmp_path: Path, living: Grader) -> None:
    killed = Grader(tmp_path)
    assert len(killed.folders) == len(living.folders) == len(KINDS) + 1
    killed.end(signal.SIGKILL)
    assert killed.folders < set(tmp_path.iterdir())
    (other := tmp_path / "bn-grading-of-somebody").mkdir()
    (tmp_path / "bn-inside-is-no-folder").touch()
    outside = tmp_path / "outside"
    (outside / "kept").mkdir(parents=True)
    (outside / temporary._LOCK).touch()
    (tmp_path / "bn-inside-link").symlink_to(outside)
    again = Grader(tmp_path)
    again.end(signal.SIGKILL)
    left = set(tmp_path.iterdir())
    assert not killed.folders & left
    assert living.folders < left
    assert {other, tmp_path / "bn-inside-is-no-folder", outside, tmp_path / "bn-inside-link"} < left
    assert (outside / "kept").is_dir()


def test_a_folder_that_was_removed_before_it_was_locked_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = temporary.fcntl.flock

    def removes(lock: int, how: int) -> None:
        monkeypatch.setattr(temporary.fcntl, "flock", usual)
        remove_left(("",), tmp_path)
        usual(lock, how)

    monkeypatch.setattr(temporary.fcntl, "flock", removes)
    with Folder("", tmp_path) as folder:
        assert os.listdir(folder) == [temporary._LOCK]
        remove_left(("",), tmp_path)
        assert os.path.exists(folder)
    assert not list(tmp_path.iterdir())


def test_where_there_are_no_locks_nothing_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuses(lock: int, how: int) -> None:
        raise OSError("no locks available")

    monkeypatch.setattr(temporary.fcntl, "flock", refuses)
    with Folder("", tmp_path) as folder:
        remove_left(("",), tmp_path)
        assert os.path.exists(folder)
