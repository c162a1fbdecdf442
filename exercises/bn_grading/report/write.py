"""How a file is put there: all of it, or what was there before."""

import os
from collections.abc import Callable
from pathlib import Path


def write(path: Path, fill: Callable[[Path], None]) -> None:
    """Let `fill` write a file beside the one that is meant, then put it in its place in one step."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # Two reports at a time do not write the same one.
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        fill(beside)
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text, as UTF-8; line ends stay as they are."""

    def fill(beside: Path) -> None:
        # Half a surrogate pair, as in a file name that is no UTF-8, cannot be written.
        beside.write_bytes(text.encode("utf-8", errors="replace"))

    write(path, fill)
