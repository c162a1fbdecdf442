"""Which Python packages the browser gets, and from where: Pyodide's lock file, with ours added.

`book/lite/pyodide-lock.json` holds the entries of the packages we need, as the release of Pyodide published them. So
the site knows every package's name, version and hash, whether it serves Pyodide or the reader's browser fetches it. A
cell that says `import bn_lib` needs no installing before it: the kernel looks the name up here, and loads it.
After a new release of the kernel: `python -m bn_site.lite.lock pyodide-lock.json`, with the file of the Pyodide that it
names.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from bn_site import ROOT

PINNED = ROOT / "book" / "lite" / "pyodide-lock.json"

# What the kernel starts with, in its own order. Loaded from the lock, so that it searches no index for them. Jedi,
# which it would fetch as well, is left out: see `settle_kernel` in shell.py.
KERNEL = ("micropip", "piplite", "ipykernel", "comm", "pyodide-kernel", "ipython")

# What a package that the site serves needs to be imported.
NEEDS = {
    "bn-lib": ("numpy", "ipython"),
    "bn-book": ("bn-lib",),
    "piplite": ("micropip",),
    "pyodide-kernel": ("ipython", "ipykernel", "comm", "traitlets", "typing-extensions"),
    "ipywidgets": ("comm", "ipython", "traitlets"),
    "anywidget": ("ipywidgets", "psygnal", "typing-extensions"),
}
# What some notebooks need besides. Only they wait for it: see `notebooks.with_imports`.
SOMETIMES = ("matplotlib", "scipy", "sympy", "threadpoolctl")
# What Pyodide's Matplotlib says that it needs, and no figure does: fontTools writes PDF and PostScript, pytz nothing
# any more. From Matplotlib 3.11 on, everything imports fontTools.
UNUSED = {"fonttools", "pytz"}
# What the code imports if it is there, and does without in a browser: other kinds of arrays, more than one process.
NEVER = {
    "array_api_compat",
    "cupy",
    "dask",
    "distributed",
    "keras",
    "mpi4py",
    "myst_nb",
    "nbgrader",
    "numba",
    "onnx",
    "torch",
    "tqdm",
}

Entry = dict[str, Any]


def normalized(name: str) -> str:
    """A package's name as indexes write it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def read(path: Path) -> dict[str, Any]:
    """Read a lock file."""
    lock: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return lock


def closure(packages: dict[str, Entry], roots: Iterable[str]) -> list[str]:
    """The names of `roots` and of all that they depend on."""
    found: dict[str, None] = {}
    waiting = [normalized(root) for root in roots]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found[name] = None
            waiting += [normalized(needed) for needed in packages[name]["depends"]]
    return sorted(found)


def from_pyodide() -> Iterator[str]:
    """The packages of Pyodide's that ours and the kernel ask for."""
    ours = {*NEEDS, "ipykernel", "comm", "psygnal"}
    for name in {*KERNEL, *SOMETIMES, *(needed for needs in NEEDS.values() for needed in needs)}:
        if name not in ours:
            yield name


def wanted(published: dict[str, Any]) -> dict[str, Any]:
    """The part that we need of the lock file of a release of Pyodide."""
    packages = published["packages"]
    kept = (name for name in closure(packages, from_pyodide()) if name not in UNUSED)
    return {"info": published["info"], "packages": {name: packages[name] for name in kept}}


def pin(published: Path) -> None:
    """Take the entries that we need from the lock file of a release of Pyodide."""
    PINNED.write_text(json.dumps(wanted(read(published)), indent=1, sort_keys=True) + "\n", encoding="utf-8")


def digest(file: Path) -> str:
    """A file's hash, as lock files have it."""
    return hashlib.sha256(file.read_bytes()).hexdigest()


def entry_of(wheel: Path, imports: list[str]) -> Entry:
    """The lock file's entry for a wheel that the site serves."""
    name, version = wheel.name.split("-")[:2]
    return {
        "name": normalized(name),
        "version": version,
        "file_name": wheel.name,
        "install_dir": "site",
        "sha256": digest(wheel),
        "package_type": "package",
        "imports": imports,
        "depends": list(NEEDS.get(normalized(name), ())),
        "unvendored_tests": False,
    }


def joined(pyodide: dict[str, Any], base: str, ours: Iterable[Entry]) -> dict[str, Any]:
    """One lock file: Pyodide's packages, to be found at `base`, and ours, which lie beside it.

    What is not there, be it unused or a partial distribution's gap, nothing depends on.
    """
    packages = {
        normalized(name): entry | {"file_name": f"{base}/{entry['file_name']}"}
        for name, entry in pyodide["packages"].items()
    } | {entry["name"]: entry for entry in ours}
    for name, entry in packages.items():
        depends = [normalized(needed) for needed in entry["depends"]]
        packages[name] = entry | {"depends": [needed for needed in depends if needed in packages]}
    return {"info": pyodide["info"], "packages": dict(sorted(packages.items()))}


def fetched_by(lock: dict[str, Any]) -> dict[str, str]:
    """For each name that one can import, the package that the lock file has it in."""
    return {name: package for package, entry in lock["packages"].items() for name in entry["imports"]}


if __name__ == "__main__":
    import sys

    pin(Path(sys.argv[1]))
