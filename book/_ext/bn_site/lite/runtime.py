"""Pyodide itself, from a distribution that somebody has at hand: `make lite-runtime DIR=...`.

A full distribution is 400 MB, and most of it no notebook of ours imports. What they need is copied to
`book/lite/pyodide/`, which git ignores, and the next build serves it. Before that, everything is looked at: the
version, and each package's hash against the one in `book/lite/pyodide-lock.json`. A distribution that is another one,
or not whole, changes nothing.

Without that folder the site serves no Pyodide, and the reader's browser fetches it from its public host, once the
reader has agreed.
"""

from __future__ import annotations

import argparse
import io
import json
import shutil
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from jupyterlite_pyodide_kernel.constants import PYODIDE_CDN_URL, PYODIDE_VERSION

from bn_site.lite import lock, shell

KEPT = lock.ROOT / "book" / "lite" / "pyodide"
# What loads before any package.
CORE = ("pyodide.mjs", "pyodide.asm.mjs", "pyodide.asm.wasm", "python_stdlib.zip")
PUBLISHED_LOCK = "pyodide-lock.json"


class RuntimeRefusedError(Exception):
    """A distribution that cannot be served, and why."""


def take(source: Path, kept: Path = KEPT, pinned: dict[str, Any] | None = None) -> list[Path]:
    """Copy what the notebooks need from a distribution to `kept`, in place of what was there; return the files.

    Args:
        source: the folder of a full distribution, or its archive (`pyodide-314.0.6.tar.bz2`).
        kept: the folder to make.
        pinned: the lock file to check against.

    Raises:
        RuntimeRefusedError: if something is missing, damaged or of another version. Then `kept` is as it was.
    """
    pinned = pinned or lock.read(lock.PINNED)
    kept.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=kept.parent, prefix=".pyodide-") as temporary:
        wanted = {*CORE, "package.json", PUBLISHED_LOCK, *(each["file_name"] for each in pinned["packages"].values())}
        folder = source if source.is_dir() else _unpacked(source, Path(temporary) / "unpacked", wanted)
        folder = _top(folder)
        _check_version(folder)
        _check_lock(folder, pinned)
        new = Path(temporary) / "new"
        new.mkdir()
        for name in CORE:
            check_core(folder / name)
            shutil.copyfile(folder / name, new / name)
        for name, entry in pinned["packages"].items():
            file = folder / entry["file_name"]
            if not file.is_file():
                raise RuntimeRefusedError(f"{entry['file_name']} is missing: {source} must be the full distribution.")
            if lock.digest(file) != entry["sha256"]:
                raise RuntimeRefusedError(
                    f"{entry['file_name']} is damaged: its hash is not that of {name} in the lock."
                )
            shutil.copyfile(file, new / file.name)
        (new / PUBLISHED_LOCK).write_text(json.dumps(pinned, indent=1, sort_keys=True) + "\n", encoding="utf-8")
        if kept.exists():
            kept.rename(Path(temporary) / "old")
        new.rename(kept)
    return sorted(kept.iterdir())


def _unpacked(archive: Path, folder: Path, wanted: Iterable[str]) -> Path:
    """Take the wanted files out of an archive; it has no others that we read."""
    if not archive.is_file():
        raise RuntimeRefusedError(f"{archive} is neither a folder nor a file.")
    folder.mkdir()
    wanted = set(wanted)
    try:
        with tarfile.open(archive) as tar:
            for member in tar:
                name = Path(member.name).name
                if member.isfile() and name in wanted and len(Path(member.name).parts) <= 3:
                    content = tar.extractfile(member)
                    assert content is not None  # it is a file
                    with content, (folder / name).open("wb") as file:
                        shutil.copyfileobj(content, file)
    except (tarfile.TarError, OSError, EOFError) as error:
        raise RuntimeRefusedError(f"{archive} cannot be unpacked: {error}") from error
    return folder


def _top(folder: Path) -> Path:
    """An unpacked archive has one folder in it, which is the distribution."""
    inner = folder / "pyodide"
    return inner if not (folder / PUBLISHED_LOCK).exists() and inner.is_dir() else folder


def _check_version(folder: Path) -> None:
    try:
        version = json.loads((folder / "package.json").read_text(encoding="utf-8"))["version"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RuntimeRefusedError(f"{folder} is not a Pyodide distribution: no version in its package.json.") from error
    if version != PYODIDE_VERSION:
        raise RuntimeRefusedError(f"This is Pyodide {version}; JupyterLite's kernel needs exactly {PYODIDE_VERSION}.")


def _check_lock(folder: Path, pinned: dict[str, Any]) -> None:
    try:
        published = lock.read(folder / PUBLISHED_LOCK)
        packages = published["packages"]
        differ = [name for name, entry in pinned["packages"].items() if packages[name]["sha256"] != entry["sha256"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RuntimeRefusedError(f"{PUBLISHED_LOCK} is missing, damaged or incomplete ({error}).") from error
    if published["info"] != pinned["info"] or differ:
        what = ", ".join(differ) or "its platform"
        raise RuntimeRefusedError(f"{PUBLISHED_LOCK} is not that of the release {PYODIDE_VERSION}: {what} differs.")


def check_core(file: Path) -> None:
    """The lock file has no hashes of these, so look at their form: a copy that was cut short has lost it."""
    try:
        content = file.read_bytes()
    except OSError as error:
        raise RuntimeRefusedError(f"{file.name} is missing.") from error
    whole = {
        ".zip": lambda: zipfile.ZipFile(io.BytesIO(content)).testzip() is None,
        ".wasm": lambda: _is_whole_wasm(content),
        ".mjs": lambda: content.decode().rstrip().endswith((";", "}", "map")),
    }[file.suffix]
    try:
        sound = whole()
    except (zipfile.BadZipFile, UnicodeDecodeError, IndexError):
        sound = False
    if not sound:
        raise RuntimeRefusedError(f"{file.name} is damaged.")


def _is_whole_wasm(content: bytes) -> bool:
    """A WebAssembly module is a header and sections, each of which says how long it is."""
    at = 8
    while at < len(content):
        at, size, shift = at + 1, 0, 0
        while True:
            byte = content[at]
            size |= (byte & 0x7F) << shift
            at, shift = at + 1, shift + 7
            if byte < 0x80:
                break
        at += size
    return content[:8] == b"\0asm\1\0\0\0" and at == len(content)


def place(site: Path, kept: Path | None, ours: list[lock.Entry]) -> None:
    """Tell a built JupyterLite where Pyodide is: in the site, copied from `kept`, or at its public host."""
    pyodide = site / shell.PYODIDE
    shutil.rmtree(pyodide, ignore_errors=True)
    if kept is None:
        joined = lock.joined(lock.read(lock.PINNED), PYODIDE_CDN_URL, ours)
    else:
        published = lock.read(kept / PUBLISHED_LOCK)
        shutil.copytree(kept, pyodide, ignore=shutil.ignore_patterns(PUBLISHED_LOCK))
        joined = lock.joined(published, f"../{shell.PYODIDE}", ours)
    (site / shell.LOCK).write_text(json.dumps(joined, indent=1) + "\n", encoding="utf-8")
    shell.set_pyodide_url(site, self_hosted=kept is not None)


def main() -> None:
    """Take the distribution named on the command line."""
    parser = argparse.ArgumentParser(prog="make lite-runtime DIR=...", description=__doc__)
    parser.add_argument("source", type=Path, help="a full Pyodide distribution: its folder, or its .tar.bz2")
    arguments = parser.parse_args()
    try:
        files = take(arguments.source)
    except RuntimeRefusedError as error:
        sys.exit(f"lite-runtime: {error}\nNothing was changed.")
    size = sum(file.stat().st_size for file in files)
    where = KEPT.relative_to(lock.ROOT)
    print(f"{len(files)} files, {size / 1e6:.0f} MB, are in {where}. The next `make html` serves them.")


if __name__ == "__main__":
    main()
