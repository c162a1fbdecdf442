"""Temporary folders that are found and removed if who made them was killed.

Whoever works in one holds a lock on a file in it. The kernel opens the lock when the process ends, however it ends. So
a folder whose lock is open belongs to nobody, in whichever container or on whichever machine its owner ran.
"""

import contextlib
import fcntl
import os
import shutil
import tempfile
from pathlib import Path

KINDS = ("bn-grading-", "bn-inside-")
_LOCK = ".lock"


class Folder(tempfile.TemporaryDirectory[str]):
    """As `tempfile.TemporaryDirectory`, and locked.

    Args:
        kind: what its name begins with; one of `KINDS`, or "" in a folder that holds nothing else.
        above: where it is made; if not given, where temporary folders are.
    """

    def __init__(self, kind: str, above: Path | None = None) -> None:
        super().__init__(prefix=kind, dir=above)
        # Before it was locked it was nobody's, and somebody may just have removed it.
        while not self._is_locked():
            os.mkdir(self.name, 0o700)

    def _is_locked(self) -> bool:
        try:
            lock = os.open(Path(self.name, _LOCK), os.O_RDWR | os.O_CREAT, 0o600)
        except FileNotFoundError:
            return False
        # Some network's file system has no locks. There nobody else can have this one, either.
        with contextlib.suppress(OSError):
            fcntl.flock(lock, fcntl.LOCK_EX)
        if not os.path.exists(self.name):
            os.close(lock)
            return False
        self._lock = lock
        return True

    def cleanup(self) -> None:
        """Remove it, and open the lock."""
        super().cleanup()
        os.close(self._lock)


def remove_left(kinds: tuple[str, ...] = KINDS, above: Path | None = None) -> None:
    """Remove the folders whose names begin so and whose owner is gone; those of other accounts are theirs."""
    with contextlib.suppress(OSError):
        for entry in os.scandir(above or tempfile.gettempdir()):
            if entry.name.startswith(kinds) and entry.is_dir(follow_symlinks=False):
                with contextlib.suppress(OSError):
                    _remove_if_left(entry.path)


def _remove_if_left(folder: str) -> None:
    if os.stat(folder).st_uid != os.geteuid():
        return
    lock = os.open(Path(folder, _LOCK), os.O_RDWR | os.O_NOFOLLOW)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder, ignore_errors=True)
    finally:
        os.close(lock)
