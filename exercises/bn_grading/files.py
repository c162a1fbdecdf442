"""A folder that somebody else filled, read without trust: no link is followed, and everything has an end.

Each folder is opened from the one above it and each file from its folder, so nothing can be exchanged for a link
between a look and the reading. What cannot be read is one file's matter: the next ones are read.
"""

import errno
import os
import stat
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

MIB = 1 << 20
# Folders in folders. Nobody's data lie deeper, and each level of a walk holds a descriptor.
DEEPEST = 32
MOST_FILES = 10_000
# In bytes, below the submission's folder: systems end a path at 4,096, and the course's own folders come before it.
LONGEST_PATH = 1000
_TOO_MANY = f"there are more than {MOST_FILES:,} files and folders; this one and others are left out"
# These say something of the machine and nothing of a submission: no space, nothing can be written, the disk fails, no
# memory, no descriptors.
_OF_THE_MACHINE = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.ESTALE}
_OF_THE_MACHINE |= {errno.ENOMEM, errno.EMFILE, errno.ENFILE}

Read = Callable[[int], bytes]


class UnreadableError(Exception):
    """Something of a submission cannot be read as what it should be."""


def of_the_machine(error: OSError) -> bool:
    """Whether everybody's files would have it: no space, a disk that fails. Any other error is one submission's."""
    return error.errno in _OF_THE_MACHINE


def refuse_links(folder: Path, below: Path) -> None:
    """See that no folder on the way from `below` to `folder`, itself included, is a link.

    Raises:
        UnreadableError: if one is, or if there is no such folder.
    """
    path = below
    for part in folder.relative_to(below).parts:
        path = path / part
        try:
            mode = path.lstat().st_mode
        except OSError as error:
            raise _unreadable(error) from None
        if stat.S_ISLNK(mode):
            raise UnreadableError(f"the folder {path.relative_to(below)} is a link")
        if not stat.S_ISDIR(mode):
            raise UnreadableError(f"{path.relative_to(below)} is no folder")


def files(folder: Path, owner: int | None = None) -> Iterator[tuple[str, Read]]:
    """Everything in a folder that is no folder, by relative path, with what reads it: at most so many bytes.

    Read it before the next is asked for: its folder is open so long. What reads it raises `UnreadableError` for a link,
    a pipe, a path that is too long. So does that of a folder that is not looked into, because it lies too deep, or
    comes after too many files.

    Args:
        folder: where.
        owner: the account to which everything has to belong; without it, whoever owns what is there.

    Raises:
        UnreadableError: if the folder itself is a link, is none, or belongs to somebody else.
    """
    left = iter(range(MOST_FILES))
    top = _open_folder(str(folder), None, owner)
    try:
        yield from _below(top, "", DEEPEST, left, owner)
    finally:
        os.close(top)


def _below(folder: int, prefix: str, levels: int, left: Iterator[int], owner: int | None) -> Iterator[tuple[str, Read]]:
    with os.scandir(folder) as entries:
        # As many as may still come, and one more, which says that there are more.
        found = sorted(islice(entries, MOST_FILES + 1), key=lambda each: each.name)
    folders = [each.name for each in found if each.is_dir(follow_symlinks=False)]
    for name in (each.name for each in found if not each.is_dir(follow_symlinks=False)):
        if next(left, None) is None:
            yield f"{prefix}{name}", _refusal(_TOO_MANY)
            return
        path = f"{prefix}{name}"
        if len(os.fsencode(path)) > LONGEST_PATH:
            yield path, _refusal(f"its path is longer than {LONGEST_PATH:,} bytes")
        else:
            yield path, lambda most, name=name: content(name, most, folder, owner)  # type: ignore[misc]
    for name in folders:
        path = f"{prefix}{name}"
        if next(left, None) is None:
            yield path, _refusal(_TOO_MANY)
            return
        if not levels:
            yield path, _refusal(f"it is a folder in {DEEPEST} others")
            continue
        try:
            inner = _open_folder(name, folder, owner)
        except UnreadableError as error:
            yield path, _refusal(str(error))
            continue
        try:
            yield from _below(inner, f"{path}/", levels - 1, left, owner)
        finally:
            os.close(inner)


def content(path: str | Path, most: int, folder: int | None = None, owner: int | None = None) -> bytes:
    """What is in an ordinary file of at most that size, opened so that it cannot be exchanged meanwhile.

    Raises:
        UnreadableError: for a link, a folder, a pipe, a file that is larger, or changes while it is read.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
    except OSError as error:
        raise _unreadable(error) from None
    before = os.fstat(descriptor)
    if not stat.S_ISREG(before.st_mode):
        os.close(descriptor)
        raise UnreadableError("it is no ordinary file")
    with os.fdopen(descriptor, "rb") as file:
        # A second name of a file is somebody else's as well: nothing that was copied here has one.
        if owner is not None and (before.st_uid != owner or before.st_nlink > 1):
            raise UnreadableError("it belongs to somebody else")
        if before.st_size > most:
            raise UnreadableError(f"it has {before.st_size:,} bytes; at most {most:,} are read")
        try:
            read = file.read(most)
        except OSError as error:
            raise _unreadable(error) from None
        after = os.fstat(descriptor)
        if len(read) != before.st_size or after.st_mtime_ns != before.st_mtime_ns or after.st_size != before.st_size:
            raise UnreadableError("it changed while it was read")
        return read


def _open_folder(path: str, above: int | None, owner: int | None) -> int:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_DIRECTORY, dir_fd=above)
    except OSError as error:
        raise _unreadable(error) from None
    if owner is not None and os.fstat(descriptor).st_uid != owner:
        os.close(descriptor)
        raise UnreadableError("it belongs to somebody else")
    return descriptor


def _refusal(why: str) -> Read:
    def read(most: int) -> bytes:
        raise UnreadableError(why)

    return read


def _unreadable(error: OSError) -> Exception:
    if of_the_machine(error):
        return error
    return UnreadableError("it is a link" if error.errno == errno.ELOOP else f"it cannot be opened: {error.strerror}")
