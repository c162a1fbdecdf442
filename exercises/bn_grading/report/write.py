"""Writing a file completely or not at all: until it is complete, the old one stays."""

import os
from collections.abc import Callable
from pathlib import Path


def write(path: Path, fill: Callable[[Path], None]) -> None:
    """Have `fill` write to a temporary file in the same folder, then rename that to `path` in one step."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # The process's number keeps two reports that run at once from writing to the same temporary file.
    # A name may be as long as the system allows, and this one is longer.
    beside = path.with_name(f".{path.name[:50]}.{os.getpid()}")
    try:
        fill(beside)
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text as UTF-8. Line ends stay as they are."""

    def fill(beside: Path) -> None:
        # A file name that is not UTF-8 gives a text with half a surrogate pair, which cannot be encoded.
        beside.write_bytes(text.encode("utf-8", errors="replace"))

    write(path, fill)
