"""Printing a page as a PDF, with Chromium: the whole book (`make pdf`), and the cheat sheet."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def chromium() -> str | None:
    """Return where Chromium is, or None."""
    return next((path for name in PROGRAMS if (path := shutil.which(name))), None)


def print_to(pdf: Path, page: Path, program: str) -> None:
    """Have Chromium print a page, with an outline and with tags for those who listen to it.

    Raises:
        RuntimeError: if it could not; with what it said.
    """
    with tempfile.TemporaryDirectory() as profile:
        command = [
            program,
            "--headless",
            *(["--no-sandbox"] if os.geteuid() == 0 else []),  # root has no sandbox to go into
            "--disable-gpu",
            f"--user-data-dir={profile}",
            "--host-resolver-rules=MAP * ~NOTFOUND",  # what is printed comes from this machine
            "--allow-file-access-from-files",
            "--generate-pdf-document-outline",
            "--no-pdf-header-footer",
            f"--print-to-pdf={pdf}",
            page.resolve().as_uri(),
        ]
        pdf.unlink(missing_ok=True)
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode or not pdf.exists():
        raise RuntimeError(f"Chromium could not print {page.name}:\n{done.stderr}")
