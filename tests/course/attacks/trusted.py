"""The trusted side: attacks with bytes that are touched outside of the sandbox, each at the place where they come in.

They are tried on the functions themselves, a whole class of attackers and honest students at a time, so that each takes
milliseconds. The commands around them run in `test_attacks` and `test_whole_course`.
"""

import io
import os
import stat
import tarfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

WHEN = "2026-01-31 12:00:00 UTC"
NAME = "1-basic-calculation.ipynb"


@dataclass(frozen=True)
class Touch:
    """One attack.

    Attributes:
        name: what is tried; where a student is needed, the id.
        make: given the place where it comes in, and a folder of the instructor's with a secret.
        says: words in what is said about it.
        called: how a folder is called whose name does not begin with the student's.
    """

    name: str
    make: Callable[[Path, Path], object]
    says: str
    called: str = ""

    @property
    def folder(self) -> str:
        """What its name begins with in the exchange."""
        return self.called or f"{self.name}+"


# In the exchange: the folder has a notebook already, and may be replaced.


def _instead(make: Callable[[Path, Path], object]) -> Callable[[Path, Path], object]:
    def replace(folder: Path, secrets: Path) -> None:
        (folder / NAME).unlink()
        folder.rmdir()
        make(folder, secrets)

    return replace


def _named(name: str) -> Callable[[Path, Path], object]:
    return lambda folder, _: folder.rename(folder.with_name(name))


def _file(folder: Path, name: str, size: int = 1) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.truncate(size)


def _pipe_below(folder: Path, _: Path) -> None:
    (folder / "data").mkdir()
    os.mkfifo(folder / "data" / "pipe")


def _link_below(folder: Path, secrets: Path) -> None:
    (folder / "a/b").mkdir(parents=True)
    (folder / "a/b/c.txt").symlink_to(secrets / "secret.txt")


def _notebook_linked(folder: Path, secrets: Path) -> None:
    (folder / NAME).unlink()
    (folder / NAME).symlink_to(secrets / "secret.txt")


COLLECTED = (
    Touch("file", lambda f, s: (f / "x.txt").symlink_to(s / "secret.txt"), "x.txt: it is a link"),
    Touch("notebook", _notebook_linked, f"{NAME}: it is a link"),
    Touch("folder", lambda f, s: (f / "data").symlink_to(s), "data: it is a link"),
    Touch("above", lambda f, _: (f / "up").symlink_to("../.."), "up: it is a link"),
    Touch("below", _link_below, "a/b/c.txt: it is a link"),
    Touch("gradebook", lambda f, s: (f / "gradebook.db").symlink_to(s / "secret.txt"), "gradebook.db: it is a link"),
    Touch("nowhere", lambda f, _: (f / "x").symlink_to("/nowhere/at/all"), "x: it is a link"),
    Touch("itself", lambda f, _: (f / "x").symlink_to("x"), "x: it is a link"),
    Touch("device", lambda f, _: (f / "x").symlink_to("/dev/zero"), "x: it is a link"),
    Touch("whole", _instead(lambda f, s: f.symlink_to(s)), "it is a link"),
    Touch("no-folder", _instead(lambda f, _: f.write_text("x")), "it is no folder"),
    Touch("second-name", lambda f, s: os.link(s / "secret.txt", f / "x.txt"), "x.txt: it belongs to somebody else"),
    Touch("pipe", lambda f, _: os.mkfifo(f / "x.txt"), "x.txt: it is no ordinary file"),
    Touch("pipe-below", _pipe_below, "data/pipe: it is no ordinary file"),
    Touch("deep", lambda f, _: (f / "/".join("d" * 40)).mkdir(parents=True), "it is a folder in 32 others"),
    Touch("long", lambda f, _: _file(f, "/".join(["d" * 250] * 4) + "/x"), "its path is longer"),
    Touch("many", lambda f, _: [(f / str(n)).touch() for n in range(310)], "there are more than"),
    Touch("many-folders", lambda f, _: [(f / str(n)).mkdir() for n in range(310)], "there are more than"),
    Touch("large", lambda f, _: _file(f, "x.bin", 10**9), "x.bin: it has 1,000,000,000 bytes"),
    Touch("altogether", lambda f, _: [_file(f, f"{n}.bin", 90_000) for n in range(30)], "it has more than 2,000 kB"),
    Touch("no-time", _named("no-time+batch-norm+yesterday+x"), "yesterday"),
    Touch("late", _named("late+batch-norm+99999-01-01 00:00:00 UTC+x"), ""),
    Touch("nobody", _named(f"+batch-norm+{WHEN}+x"), "its name is not", "+"),
    Touch("terminal", _named(f"\x1b[2J+batch-norm+{WHEN}+x"), "its name is not", r"\x1b[2J+"),
    Touch("other", _named(f"other+batch-norm+another+{WHEN}+x"), "its name is not"),
)


# In an archive of a learning platform.


def _zip(name: str, content: bytes | str = b"x", **attributes: int) -> Callable[[Path, Path], object]:
    def make(folder: Path, _: Path) -> None:
        with zipfile.ZipFile(folder / "eve.zip", "w", zipfile.ZIP_DEFLATED) as packed:
            entry = zipfile.ZipInfo(name)
            entry.compress_type = zipfile.ZIP_DEFLATED
            for attribute, value in attributes.items():
                setattr(entry, attribute, value)
            packed.writestr(entry, content)
            packed.writestr("eve_1.ipynb", "{}")

    return make


def _tar(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> Callable[[Path, Path], object]:
    def make(folder: Path, _: Path) -> None:
        with tarfile.open(folder / "eve.tar.gz", "w:gz") as packed:
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = kind, link
            packed.addfile(entry)
            entry = tarfile.TarInfo("eve_1.ipynb")
            entry.size = 2
            packed.addfile(entry, io.BytesIO(b"{}"))

    return make


def _nested(folder: Path, _: Path) -> None:
    content = b"x"
    for level in range(6):
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as file:
            file.writestr("in.zip" if level else "x.ipynb", content)
        content = packed.getvalue()
    (folder / "eve.zip").write_bytes(content)


def _many(folder: Path, _: Path) -> None:
    with zipfile.ZipFile(folder / "eve.zip", "w") as packed:
        for number in range(310):
            packed.writestr(f"{number}.ipynb", "{}")


def _two_in_one_place(folder: Path, _: Path) -> None:
    with zipfile.ZipFile(folder / "eve.zip", "w") as packed:
        packed.writestr("x", "x")
        packed.writestr("x/y", "y")
        packed.writestr("eve_1.ipynb", "{}")


def _broken(folder: Path, secrets: Path) -> None:
    _zip("x.txt", "words" * 100, compress_type=zipfile.ZIP_STORED)(folder, secrets)
    path = folder / "eve.zip"
    path.write_bytes(path.read_bytes().replace(b"wordswords", b"lies!lies!", 1))


UNPACKED = (
    Touch("link", _zip("x", "/etc/passwd", external_attr=(stat.S_IFLNK | 0o777) << 16), "x in eve.zip: it is no ord"),
    Touch("pipe", _zip("x", "", external_attr=(stat.S_IFIFO | 0o777) << 16), "x in eve.zip: it is no ordinary file"),
    Touch("up", _zip("../x"), "is not a path below a folder"),
    Touch("up-within", _zip("a/../../../x"), "is not a path below a folder"),
    Touch("root", _zip("/tmp/x"), "is not a path below a folder"),
    Touch("backslash", _zip("..\\x"), "is not a path below a folder"),
    Touch("drive", _zip("C:/x"), "is not a path below a folder"),
    Touch("name", _zip("\x1b[2Jx"), "is no name for a file here"),
    Touch("deep", _zip("d/" * 40 + "x"), "is no name for a file here"),
    Touch("long", _zip("d" * 2000), "is no name for a file here"),
    Touch("bomb", _zip("x", bytes(3_000_000)), "it unpacks to far more than it is"),
    Touch("nested", _nested, "it is an archive in 3 others"),
    Touch("many", _many, "it has more than 300 files"),
    Touch("two-in-one-place", _two_in_one_place, "x/y in eve.zip"),
    Touch("broken", _broken, "x.txt in eve.zip: Bad CRC-32"),
    Touch("no-archive", lambda f, _: (f / "eve.zip").write_bytes(b"PK\x03\x04 no"), "eve.zip"),
    Touch("tar-link", _tar("x", tarfile.SYMTYPE, "/etc/passwd"), "x in eve.tar.gz: it is no ordinary file"),
    Touch("tar-second-name", _tar("x", tarfile.LNKTYPE, "/etc/passwd"), "x in eve.tar.gz: it is no ordinary file"),
    Touch("tar-device", _tar("x", tarfile.CHRTYPE), "x in eve.tar.gz: it is no ordinary file"),
    Touch("tar-up", _tar("../x"), "is not a path below a folder"),
    Touch("beside", lambda f, s: (f / "eve_2.ipynb").symlink_to(s / "secret.txt"), "eve_2.ipynb: it is a link"),
)


# A notebook that is read.

_RAW = '{"cell_type": "raw", "source": "", "metadata": {}}'
_SHEET = '{"cells": [' + _RAW + "]}"


def _cells(of: str, version: int = 4, **more: str) -> str:
    parts = {"nbformat": str(version), "metadata": "{}", **more, "cells": of}
    return "{" + ", ".join(f'"{name}": {value}' for name, value in parts.items()) + "}"


READ = {
    "worksheets": (_cells("[" + ", ".join([_RAW] * 2001) + "]", worksheets='[{"cells": []}]'), "it has 2001 cells"),
    "many sheets": (_cells("0", 3, worksheets="[" + ", ".join([_SHEET] * 2001) + "]"), "it has 2001 cells"),
    "text": (
        _cells(f'[{{"cell_type": "code", "metadata": {{}}, "source": "{"x" * 1_000_001}"}}]'),
        "it has 1,000,001 characters of text",
    ),
    "nesting": (_cells("[" * 100_000 + "]" * 100_000), "it is no notebook"),
    "signs": (_cells("[" + "[]," * 2_100_000 + "1]"), "it would take too much memory"),
    "digits": (_cells("9" * 10_000), "it is no notebook"),
    "no cells": (_cells("5"), "it is no notebook"),
    "cells of text": (_cells('"abc"'), "it is no notebook"),
    "a type of its own": (_cells('[{"cell_type": "__class__", "source": ""}]'), "it is no notebook"),
    "an unknown format": (_cells("[]", 5), "it is in a format"),
    "no text": (_cells('[{"cell_type": "code", "source": [1]}]'), "it is no notebook"),
}


# What is shown in a page.

NESTED = "<div>" * 30_000
MARKUP = {
    "nested": NESTED,
    "nested and ended": NESTED + "</div>" * 30_000,
    "flat": "<b>x</b>" * 5001,
    "hidden ends": "".join(f"<i a{n}><!--</i>-->" for n in range(5001)),
    "ends in attributes": '<i a="</i>">' * 5001,
    "a little too deep": "<div>" * 101,
    "long": "<p>" + "x" * 500_000,
    "never closed": "<a " * 200_000,
}
MARKDOWN = {
    **MARKUP,
    "long text": "word " * 10_001,
    "formulas": r"\begin{a}" * 201,
    "cells": "|a" * 5001 + "|\n" + "|-" * 5001 + "|\n",
}
CODES = {
    "many": "\x1b[31mx" * 240_000,
    "long": "\x1b[" + "1;" * 200_000 + "mx",
    "never closed": "\x1b[" + "0" * 500_000,
}
