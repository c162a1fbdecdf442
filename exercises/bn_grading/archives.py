"""What `nbgrader zip_collect` takes from a learning platform: archives with whatever students put into them.

    c.ZipCollectApp.extractor_plugin = "bn_grading.archives.Extractor"
    c.ZipCollectApp.collector_plugin = "bn_grading.archives.Names"

nbgrader's own extractor writes everything that an archive holds, links and devices too, however large it is, and stops
at the first archive that it cannot read.
"""

import os
import shutil
import stat
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, Any, cast

from nbgrader.plugins import ExtractorPlugin, FileNameCollectorPlugin  # type: ignore[import-untyped]
from nbgrader.utils import parse_utc  # type: ignore[import-untyped]

from bn_grading import apart
from bn_grading.exchange import is_plain
from bn_grading.files import DEEPEST, LONGEST_PATH, MIB, UnreadableError, of_the_machine
from bn_grading.results import printable

# One archive may hold the whole class, so the limit on what comes out grows with the size of the archive. A notebook is
# usually five times as large as its packed form.
MOST_TIMES, ALWAYS = 20, 100 * MIB
LARGEST = 100 * MIB
MOST_ENTRIES = 200_000
# How deep archives may lie in archives. The class's archive holds those of the students, which may hold archives too.
MOST_NESTED = 3
_PIECE = MIB


class Extractor(ExtractorPlugin):  # type: ignore[misc]
    """Unpacks the ordinary files of each archive into a folder beside it. An archive beyond a limit is left out."""

    def extract(self, archive_path: str, extracted_path: str) -> None:
        """Copy each file of one folder to the same place in another; unpack it there if it is an archive."""
        for above, _, names in os.walk(archive_path):
            for name in sorted(names):
                source = Path(above, name)
                with _going_on(self, name):
                    self._take(source, extracted_path / source.relative_to(archive_path))

    def _take(self, source: Path, target: Path) -> None:
        if source.is_symlink():
            raise UnreadableError("it is a link")
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.suffix not in self.zip_ext:
            shutil.copyfile(source, target)
            return
        self._unpack(source, _folder_of(target), MOST_NESTED + 1)

    def _unpack(self, archive: Path, folder: Path, levels: int) -> None:
        """Unpack an archive and the archives in it, at most `levels` deep."""
        if not levels:
            raise UnreadableError(f"it is an archive in {MOST_NESTED} others")
        existed, size = folder.exists(), archive.stat().st_size
        folder.mkdir(parents=True, exist_ok=True)
        most = max(ALWAYS, MOST_TIMES * size)
        try:
            names, left_out = apart.run(unpack, archive, folder, most, seconds=apart.SECONDS + size // MIB)
        except Exception:
            if not existed:
                shutil.rmtree(folder, ignore_errors=True)
            raise
        for name, why in left_out.items():
            self.log.error("Left out: %s in %s: %s", printable(name), printable(archive.name), printable(why))
        for name in names:
            if Path(name).suffix in self.zip_ext:
                with _going_on(self, name):
                    self._unpack(folder / name, _folder_of(folder / name), levels - 1)


class Names(FileNameCollectorPlugin):  # type: ignore[misc]
    """Reads student, file and time from a path, and leaves the file out if one of them is not what it should be."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        # By student and file name without its ending: whether the submission seen under it came with a time.
        self._seen: dict[tuple[str, str], bool] = {}

    def collect(self, submitted_file: str) -> dict[str, str] | None:
        """Student, file and time, as the path says them; None if the file is to be left out."""
        found: dict[str, str] | None = super().collect(submitted_file)
        with _going_on(self, submitted_file):
            return found and self._checked(found)
        return None

    def _checked(self, found: dict[str, str]) -> dict[str, str]:
        student, file, at = found.get("student_id") or "", found.get("file_id") or "", found.get("timestamp")
        if not is_plain(student):
            raise UnreadableError("no student can have that name")
        _refuse_outside(file)
        if at:
            parse_utc(at)
        of = student, os.path.splitext(file)[0]
        if of in self._seen and not (at and self._seen[of]):
            raise UnreadableError("there is another of the same name, and no time says which is newer")
        self._seen[of] = bool(at)
        return found


def unpack(archive: Path, folder: Path, most: int) -> tuple[list[str], dict[str, str]]:
    """Unpack the ordinary files of an archive; leave out everything else, and every path that leads out of `folder`.

    Args:
        archive: zip or tar.
        folder: where to; nothing is written anywhere else.
        most: bytes of all files together.

    Returns:
        The paths of the files that were written; and for each path that was left out, why.

    Raises:
        UnreadableError: if the archive holds too many files or too many bytes. What was written until then stays.
    """
    written: dict[str, None] = {}
    left_out: dict[str, str] = {}
    for count, (name, opened) in enumerate(_members(archive)):
        if count == MOST_ENTRIES:
            raise UnreadableError(f"it has more than {MOST_ENTRIES:,} files")
        try:
            if opened is None:
                raise UnreadableError("it is no ordinary file")
            _refuse_outside(name)
            with opened() as file:
                most -= _write(file, folder / name, min(most, LARGEST))
            written[name] = None
        # A file that is packed wrongly, or has the name of a folder, spoils that file only.
        except Exception as error:
            if isinstance(error, OSError) and of_the_machine(error):
                raise
            if most < LARGEST and isinstance(error, _TooLargeError):
                raise UnreadableError("it unpacks to far more than it is") from None
            left_out[name] = str(error)
    return list(written), left_out


class _TooLargeError(UnreadableError):
    pass


def _write(file: IO[bytes], path: Path, most: int) -> int:
    path.parent.mkdir(parents=True, exist_ok=True)
    size = 0
    try:
        with path.open("wb") as out:
            while piece := file.read(_PIECE):
                size += len(piece)
                if size > most:
                    raise _TooLargeError(f"it has more than {most >> 20:,} MiB")
                out.write(piece)
    except _TooLargeError:
        path.unlink()
        raise
    return size


def _members(archive: Path) -> Iterator[tuple[str, Callable[[], IO[bytes]] | None]]:
    """Each entry of an archive but folders: its path, and what opens it; None if it is no ordinary file."""
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as zipped:
            for entry in zipped.infolist():
                kind = stat.S_IFMT(entry.external_attr >> 16)
                if not entry.is_dir():
                    yield entry.filename, partial(zipped.open, entry) if kind in (0, stat.S_IFREG) else None
        return
    with tarfile.open(archive) as packed:
        for member in packed:
            if not member.isdir():
                # `extractfile` returns None for entries that are no files, and only an ordinary file is opened.
                opened = cast("Callable[[], IO[bytes]]", partial(packed.extractfile, member))
                yield member.name, opened if member.isreg() else None


def _refuse_outside(name: str) -> None:
    parts = PurePosixPath(name.replace("\\", "/")).parts
    if not parts or parts[0] == "/" or ".." in parts or ":" in parts[0]:
        raise UnreadableError(f"{name!r} is not a path below a folder")
    if len(parts) > DEEPEST or len(os.fsencode(name)) > LONGEST_PATH or not name.isprintable():
        raise UnreadableError(f"{name[:100]!r} is no name for a file here")


def _folder_of(archive: Path) -> Path:
    """The folder that an archive is unpacked into: beside it, with its name without the endings."""
    name = archive.with_suffix("")
    return name.with_suffix("") if name.suffix == ".tar" else name


@contextmanager
def _going_on(plugin: Any, name: str) -> Iterator[None]:
    """Log why this file cannot be taken, and go on with the next. A fault of the machine is raised."""
    try:
        yield
    except Exception as error:
        if isinstance(error, OSError) and of_the_machine(error):
            raise
        plugin.log.error("Left out: %s: %s", printable(name), printable(str(error)))
