"""What all rooms' tests share: what to do when a machine lacks something, and the book, built once.

`@pytest.mark.needs("chromium", package="chromium (Debian)")` skips a test where that program is not installed; for a
module write `needs("module:cupy", ...)`. In CI (`CI=true`) every skip is a failure; elsewhere the run ends with the
list of what was skipped and which package would run it. `@pytest.mark.gpu` is for tests that no package could run: they
are left out, and counted, where CuPy finds no device; so is `@pytest.mark.pyodide`, for what needs a full distribution
of Pyodide, where `PYODIDE_DIST` names none, `@pytest.mark.pyodide_node`, which downloads an older one, without
`PYODIDE_NODE=1`, and `@pytest.mark.clock`, which measures what no test may fail by, without `CLOCK=1`.
"""

from __future__ import annotations

import gc
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from filelock import FileLock
from headless import launch

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Playwright

ROOT = Path(__file__).resolve().parents[1]
IN_CI = os.environ.get("CI", "").lower() == "true"
INSTALL = "would run if installed: "

# Before anything imports NumPy. The networks here are small: threads would wait for each other longer than they work,
# and on a busy machine ten times as long. The book's own build does the same.
for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")
# Every program that is started here imports what is here. It is compiled once and kept, also where a machine is set up
# to keep nothing: to compile it again takes each of them 0.2 s.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
# Before anything imports Keras: it runs on the PyTorch that is here, and reads and writes no settings in anyone's home.
os.environ |= {"KERAS_BACKEND": "torch", "KERAS_HOME": os.devnull}


def pytest_configure(config: pytest.Config) -> None:
    # Keras brings absl, whose handler takes what is stderr now, pytest's, and closes it when a program in this process
    # sets up logging anew, as nbgrader's do. The real one it leaves open.
    with suppress(ImportError):
        from absl import logging

        logging.get_absl_handler().python_handler.stream = sys.__stderr__
    config.addinivalue_line("markers", "needs(name, package): skip without this program, `module:` or `npm:` name")
    config.addinivalue_line("markers", "gpu: left out where CuPy finds no device")
    config.addinivalue_line("markers", "pyodide: left out where PYODIDE_DIST names no Pyodide distribution")
    config.addinivalue_line("markers", "pyodide_node: left out without PYODIDE_NODE=1, for it downloads 77 MB")
    config.addinivalue_line("markers", "clock: left out without CLOCK=1, for no test fails by how long something takes")


def is_there(name: str) -> bool:
    kind, _, module = name.rpartition(":")
    if kind == "npm":
        return (ROOT / "tests/site/node_modules" / module).is_dir()
    if kind == "module":
        return importlib.util.find_spec(module) is not None
    return shutil.which(name) is not None


def has_gpu() -> bool:
    try:
        import cupy
    except ImportError:
        return False
    try:
        return bool(cupy.cuda.runtime.getDeviceCount())
    except cupy.cuda.runtime.CUDARuntimeError:
        return False


# Marks of tests that no installed package could run, or whose figures are for a person to read; and whether they run.
OPTIONAL: dict[str, Callable[[], bool]] = {
    "gpu": has_gpu,
    "pyodide": lambda: bool(os.environ.get("PYODIDE_DIST")),
    "pyodide_node": lambda: os.environ.get("PYODIDE_NODE") == "1",
    "clock": lambda: os.environ.get("CLOCK") == "1",
}

# The processes take one file after another. What many files wait for is made at once, one thing by each process: the
# round of the course, and the book. What takes minutes comes next, so that no process ends long after the others; first
# what needs no book, and enough of it for all processes: until there is a book, whoever needs it waits, and the last
# minutes of its build keep no core busy. Of those that look at the tour of its pages one comes early and takes it.
FIRST = (
    "course/test_whole_course.py",
    "book/test_build.py",
    "course/attacks/test_attacks.py",
    "course/test_grading.py",
    "course/test_container.py",
    "course/test_nbgraders_own.py",
    "bn_lib/test_numba.py",
    "course/test_elsewhere.py",
    "course/test_feedback.py",
    "test_recipes.py",
    "bn_lib/test_cuda.py",
    "bn_lib/test_gradients.py",
    "course/test_report.py",
    "explorables/test_explorables.py",
    "exercises/test_notebooks.py",
    "course/test_certain.py",
    "exercises/test_accuracy.py",
    "exercises/test_implement.py",
    "site/test_pdf.py",
    "site/test_accessible.py",
    "site/test_notebooks_run.py",
    "site/test_check_yourself.py",
    "site/test_lite.py",
    "site/test_valid.py",
    "site/test_pages.py",
    "site/test_private.py",
    "site/test_fast.py",
    "site/test_address.py",
    "site/test_progress.py",
    "site/test_still.py",
)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    order = {ROOT / "tests" / name: place for place, name in enumerate(FIRST)}
    items.sort(key=lambda item: order.get(item.path, len(FIRST)))
    for mark, is_here in OPTIONAL.items():
        marked = [item for item in items if item.get_closest_marker(mark)]
        if marked and not is_here():
            config.hook.pytest_deselected(items=marked)
            items[:] = [item for item in items if item not in marked]


def pytest_collection_finish() -> None:
    """Have the garbage collector leave alone what all tests are made of: going through it takes longer than a test."""
    gc.collect()
    gc.freeze()


def pytest_runtest_setup(item: pytest.Item) -> None:
    for mark in item.iter_markers("needs"):
        if not is_there(mark.args[0]):
            pytest.skip(f"{INSTALL}{mark.kwargs['package']}")


def pytest_runtest_teardown() -> None:
    """Close what a test drew: figures stay in memory until then, and at the 21st Matplotlib warns."""
    if pyplot := sys.modules.get("matplotlib.pyplot"):
        pyplot.close("all")


def fail_in_ci(report: pytest.TestReport | pytest.CollectReport) -> None:
    """Everything that CI can test is installed there, so what it skips is a hole that nobody would see."""
    if IN_CI and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped, which in CI is a failure: {report.longrepr}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    fail_in_ci(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    fail_in_ci(report)
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    counts: dict[str, int] = {}
    for report in terminalreporter.stats.get("skipped", []):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        package = reason.removeprefix("Skipped: ")
        counts[package] = counts.get(package, 0) + 1
    if not counts:
        return
    terminalreporter.section("skipped on this machine")
    for reason, count in sorted(counts.items()):
        terminalreporter.line(f"{count} {'test' if count == 1 else 'tests'}: {reason}")


@dataclass(frozen=True)
class Build:
    """A build of the whole book, from nothing."""

    html: Path
    log: str
    status: int


@pytest.fixture(scope="session")
def once(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Callable[[str, Callable[[Path], Any]], Any]:
    """Make something in a folder of that name, once for all processes: the others wait, and get what JSON keeps."""
    here = tmp_path_factory.getbasetemp()
    common = here if worker_id == "master" else here.parent  # each process of pytest-xdist has its own base

    def made(name: str, make: Callable[[Path], Any]) -> Any:
        folder = common / name
        done = folder / "made.json"
        with FileLock(f"{folder}.lock"):
            if not done.is_file():
                folder.mkdir(exist_ok=True)
                done.write_text(json.dumps(make(folder)))
        return json.loads(done.read_text())

    return made


@pytest.fixture(scope="session")
def book_build(once: Callable[[str, Callable[[Path], Any]], Any]) -> Build:
    """Build the book as `make html` does, but in a folder of its own, with nothing cached; once for all processes.

    To look at one test again and again, `BOOK_CACHE=_build/.jupyter_cache` takes the executed chapters from there.
    """
    html, log, status = once("book", build_book)
    return Build(Path(html), log, status)


def build_book(folder: Path) -> tuple[str, str, int]:
    """Build it there; return where the pages are, what the build said, and its status."""
    options = ["-W", "-n", "--keep-going", "--path-output", str(folder)]
    build = subprocess.run(
        [sys.executable, "-c", "from jupyter_book.cli.main import main; main()", "build", str(ROOT), *options],
        cwd=ROOT,
        env=os.environ | {"NO_COLOR": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return str(folder / "_build" / "html"), build.stdout, build.returncode


@pytest.fixture(scope="session")
def built_site(book_build: Build) -> Path:
    """The folder of pages."""
    assert book_build.status == 0, f"the book does not build:\n{book_build.log[-4000:]}"
    return book_build.html


@pytest.fixture(scope="session")
def playwright() -> Iterator[Playwright]:
    """One for all tests: in one thread there can be no second."""
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=60_000)  # ms, and not 5000: a busy machine is slow, and says nothing about a page
    with sync_playwright() as playwright:
        yield playwright


@pytest.fixture(scope="session")
def browser(playwright: Playwright) -> Iterator[Browser]:
    """A browser that reaches nothing but this machine."""
    browser = launch(playwright)
    yield browser
    browser.close()
