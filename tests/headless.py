"""The browser of the tests: Chromium, alone on this machine.

A tab of Chromium brings a window's frame with it, drawn by pages of its own, though nobody sees it: together they take
four times as long as ours. Debian has the same without a frame as a package, `chromium-headless-shell`. It is taken
where it is installed.
"""

from __future__ import annotations

from shutil import which
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Playwright

# Requests to other hosts fail, also those that Playwright cannot see: a worker's, a font's, the browser's own.
OFFLINE = "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"


def launch(playwright: Playwright, *arguments: str) -> Browser:
    """A browser that can reach this machine and nothing else, whoever asks."""
    path = which("chromium-headless-shell") or which("chromium")
    # The package's wrapper script is not found by root without --no-sandbox; Playwright gives that by itself.
    return playwright.chromium.launch(executable_path=path, args=[OFFLINE, *arguments])
