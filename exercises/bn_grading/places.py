"""Which folders a sandbox shows, and where in it everything else goes.

An environment may lie anywhere: in a home, in the course's folder, below the temporary folder. It has to be at the same
place in the sandbox, because Python's packages know their paths. So what a sandbox brings along makes way for it.
"""

import itertools
import os
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path


def wanted() -> list[str]:
    """The system's programs and libraries, and this Python's: folders and links that exist."""
    paths = ["/usr", "/bin", "/lib", "/lib64", "/lib32", "/sbin", "/etc/ld.so.cache", "/etc/localtime", "/etc/fonts"]
    paths += [sys.prefix, sys.base_prefix, *(sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib"))]
    # The interpreter itself may be a link to a link, anywhere.
    paths += [*_links(sys.executable), os.path.dirname(os.path.realpath(sys.executable))]
    # A link leads somewhere only if what it leads to is there, too.
    paths += [os.path.realpath(path) for path in paths]
    return [path for path in dict.fromkeys(paths) if os.path.lexists(path)]


def readable() -> list[str]:
    """What is `wanted`, without what lies in a folder that is wanted, too."""
    there = wanted()
    return [path for path in there if not any(is_in(path, other) for other in there)]


def in_writable(path: str) -> str:
    """The path's topmost part below a folder that can be written to; "" if it lies in none of these."""
    for folder in WRITABLE:
        if is_in(path, folder):
            return os.path.join(folder, Path(path).relative_to(folder).parts[0])
    return ""


def is_in(path: str, folder: str) -> bool:
    """Whether it lies in the folder, at any depth."""
    return path != folder and Path(path).is_relative_to(folder)


def _links(path: str) -> Iterator[str]:
    """A file, what it is a link to, and so on."""
    yield path
    while os.path.islink(path):
        path = os.path.normpath(os.path.join(os.path.realpath(os.path.dirname(path)), os.readlink(path)))
        yield path


def _free(place: str) -> str:
    """The place, or one with a number behind it, that holds nothing that is wanted."""
    taken = wanted()
    names = itertools.chain([place], (f"{place}-{number}" for number in itertools.count(2)))
    return next(name for name in names if not any(Path(path).is_relative_to(name) for path in taken))


# What of this project enters, and where notebooks run.
INSIDE, SCRATCH = _free("/inside"), _free("/scratch")
PACKAGES = f"{INSIDE}/packages"
# Programs know these two by their names.
WRITABLE = (SCRATCH, "/tmp", "/dev/shm")
