"""Runs notebooks as a reader's browser does: in one process, with IPython and no Jupyter, no thread, and one processor.

    python run_notebooks.py PACKAGES NOTEBOOK...

prints what failed as JSON, a list of errors for each notebook. PACKAGES, with commas, are those that a browser can
have: others cannot be imported, though they are installed. Under Pyodide all that is so by itself, and `run` is called.
"""

from __future__ import annotations

import json
import os
import re
import sys
import threading
from collections.abc import Iterable
from contextlib import redirect_stdout
from importlib.metadata import packages_distributions
from io import StringIO
from pathlib import Path


class NotInABrowser:
    """Refuses to import what is installed here and cannot be in a browser."""

    def __init__(self, packages: Iterable[str]) -> None:
        from_them = {re.sub("[-_.]+", "-", package).lower() for package in packages}
        self.others = {
            module
            for module, packages in packages_distributions().items()
            if from_them.isdisjoint(re.sub("[-_.]+", "-", package).lower() for package in packages)
        }

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        if name.partition(".")[0] in self.others:
            raise ModuleNotFoundError(f"No module named {name!r} in a browser", name=name)


def refuse(_: threading.Thread) -> None:
    raise RuntimeError("can't start new thread")


def run(notebook: str) -> list[str]:
    """Run all cells; return what they raised. What they show is thrown away."""
    from IPython.core.interactiveshell import InteractiveShell

    InteractiveShell.clear_instance()
    shell = InteractiveShell.instance()
    shell.history_manager.enabled = False
    failed = []
    with redirect_stdout(StringIO()):
        for cell in json.loads(Path(notebook).read_text(encoding="utf-8"))["cells"]:
            if cell["cell_type"] == "code":
                result = shell.run_cell("".join(cell["source"]))
                if not result.success:
                    failed.append(repr(result.error_before_exec or result.error_in_exec))
    return failed


if __name__ == "__main__":
    import IPython.core.completer
    import IPython.core.interactiveshell  # noqa: F401  the browser's IPython has dependencies of its own

    packages, *notebooks = sys.argv[1:]
    sys.meta_path.insert(0, NotInABrowser(packages.split(",")))
    threading.Thread.start = refuse
    os.cpu_count = lambda: 1
    if hasattr(os, "sched_getaffinity"):
        del os.sched_getaffinity
    print(json.dumps({Path(notebook).stem: run(notebook) for notebook in notebooks}))
