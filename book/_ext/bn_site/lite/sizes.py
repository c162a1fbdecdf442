"""How much a browser fetches before a notebook has run for the first time: JupyterLite, Python, and what it imports.

What the site serves is measured at build. Pyodide's lock file does not say how large the files on its public host are,
so `book/lite/sizes.json` does. A package may stand there in another version, which its file's name then tells.
`jupyterlite` is what a browser loads of JupyterLite itself, and `tests/site/test_lite.py` sees it do so.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import nbformat

from bn_site.lite import lock, notebooks, runtime, shell

NOTED = lock.ROOT / "book" / "lite" / "sizes.json"
WRITTEN = "sizes.json"  # in the folder `lite/` of the site


def package(file_name: str) -> str:
    """The package that a wheel is of."""
    return lock.normalized(file_name.partition("-")[0])


def noted() -> dict[str, int]:
    """The sizes of JupyterLite and of Pyodide's files, the packages' by the package's name."""
    sizes = json.loads(NOTED.read_text(encoding="utf-8"))
    return {package(name) if name.endswith(".whl") else name: size for name, size in sizes.items()}


def write(site: Path) -> None:
    """Write how many bytes each notebook takes: "here" from the site, "there" from the CDN, "first" to a result."""
    packages = lock.read(site / shell.LOCK)["packages"]
    sizes = {path.name: of(path, site, packages) for path in sorted((site / "files").glob("*.ipynb"))}
    (site / WRITTEN).write_text(json.dumps(sizes, indent=1) + "\n", encoding="utf-8")


def of(notebook: Path, site: Path, packages: Mapping[str, lock.Entry]) -> dict[str, int]:
    """The bytes for one notebook, before a server compresses them.

    Args:
        notebook: its file.
        site: the folder `lite/`.
        packages: those of its lock file.
    """
    read = nbformat.read(notebook, as_version=4)
    return _of(notebooks.code_of(read), site, packages) | {
        "first": sum(_of(notebooks.until_result(read), site, packages).values())
    }


def _of(code: str, site: Path, packages: Mapping[str, lock.Entry]) -> dict[str, int]:
    """The bytes for code: those from the site, and those from the CDN."""
    imported = notebooks.imported(code)
    by_import = lock.fetched_by({"packages": packages})
    roots = {by_import[name] for name in (each.partition(".")[0] for each in imported) if name in by_import}
    wanted = lock.closure(packages, [name for name in (*lock.KERNEL, *roots) if name in packages])
    size = noted()
    bytes_of = {"here": size["jupyterlite"], "there": 0}
    for name in runtime.CORE:
        file = site / shell.PYODIDE / name
        where, length = ("here", file.stat().st_size) if file.is_file() else ("there", size[name])
        bytes_of[where] += length
    for name in wanted:
        file_name = packages[name]["file_name"]
        if "://" in file_name:
            bytes_of["there"] += size[name]
        else:
            bytes_of["here"] += (site / shell.WHEELS / file_name).stat().st_size
    return bytes_of
