""" "Run it here": JupyterLite as the site serves it, in a browser that can reach nothing else.

NumPy for the browser is in Pyodide's full distribution, which is on no registry of packages. So what needs it is one
test, which runs where `PYODIDE_DIST` names such a distribution. All else runs on a stand-in: Pyodide's own files from
npm, and of its packages those that are pure Python, packed from this environment.
"""

import json
import math
import os
import re
import shutil
import subprocess
import sys
import tarfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from hashlib import sha256
from http.server import ThreadingHTTPServer
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from shutil import which
from threading import Thread
from typing import ClassVar
from urllib.parse import urlsplit
from zipfile import ZipFile

import nbformat
import pytest
from bn_site import lite
from bn_site.lite import button, lock, notebooks, runtime, shell, sizes, wheels
from playwright.sync_api import Browser, BrowserContext, Page, Playwright, TimeoutError, expect
from serve import Quiet
from sphinx.errors import ExtensionError

from bn_book.chapters import FOLDER, chapters

ROOT = Path(__file__).parents[2]
NPM = ROOT / "tests" / "site" / "node_modules" / "pyodide"
MICROPIP = ROOT / "tests" / "site" / "wheels"  # `make test` puts it there: it installs on Python 3.14 only
CHAPTERS = list(chapters())
EXERCISES = sorted(path.stem for path in notebooks.EXERCISES.glob("*.md"))
PHONE = {"width": 390, "height": 844}
BLOCKED = "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"
BUTTON = "a.btn-run-here"
PATIENCE = 300_000  # ms; a busy machine is slow, and says nothing about the site

in_chromium = pytest.mark.needs("chromium", package="chromium (Debian)")


# The notebooks


class TestReadable:
    """A notebook says without Sphinx what a page says with it."""

    links: ClassVar[dict[str, tuple[str, str]]] = {
        "book/chapters/late": ("book/chapters/late", "Late"),
        "book/claims": ("book/claims", "Claims"),
        "sec-late": ("book/chapters/late", "A section"),
        "sec-here": ("book/chapters/early", "This section"),
    }

    def read(self, text: str, **numbers: str) -> str:
        names = {"book/chapters/late": "late.ipynb"}
        return notebooks.readable(text, "book/chapters/early", numbers, self.links, names)

    @pytest.mark.parametrize(
        ("written", "read"),
        [
            ("{glue:text}`steps:,.0f` steps", "1,246 steps"),
            ("{glue:text}`who`", "Ada"),
            ("{doc}`late`", "[Late](late.ipynb)"),
            ("{doc}`the later\nchapter <late>`", "[the later chapter](late.ipynb)"),
            ("{doc}`../claims`, {doc}`all </book/claims>`", "*Claims*, *all*"),
            ("{ref}`there <sec-late>`", "[there](late.ipynb)"),
            ("{ref}`here <sec-here>`", "here"),
            ("{ref}`sec-here`", "This section"),
            ("{cite:t}`ioffe2015batch` says", "Ioffe and Szegedy (2015) says"),
            ("so {cite:p}`ioffe2015batch,glorot2010understanding`", None),
            ("{math}`x` and [words]{.aside}", "x and words"),
            ("(sec-here)=\n## Title", "## Title"),
            (":::{note}\nOne.\n\nTwo.\n:::\nAfter", "> **Note**\n>\n> One.\n>\n> Two.\n\nAfter"),
            ("```{admonition} Look\n:class: tip\nIt.\n```", "> **Look**\n>\n> It."),
            ("```python\nx = {}\n```", "```python\nx = {}\n```"),
        ],
    )
    def test_what_was_written_for_sphinx(self, written, read):
        if read is None:
            assert self.read(written) == "so (Ioffe and Szegedy, 2015; Glorot and Bengio, 2010)"
        else:
            assert self.read(written, steps="1246", who="'Ada'") == read

    def test_an_unknown_number_or_page_stops_the_build(self):
        with pytest.raises(KeyError):
            self.read("{glue:text}`nowhere`")
        with pytest.raises(KeyError):
            self.read("{doc}`nowhere`")


def test_the_packages_that_code_can_come_to_import_are_found(tmp_path):
    (tmp_path / "ours.py").write_text("import json\ndef f():\n    from ours_too import deep\n    import scipy.stats\n")
    (tmp_path / "ours_too.py").write_text("import ours\nfrom numpy import linalg\n")
    found = notebooks.reached({"ours"}, lambda name: p if (p := tmp_path / f"{name}.py").is_file() else None)
    assert found - {"ours_too"} == {"numpy", "scipy"}


def test_a_package_is_fetched_before_the_cell_that_needs_it_and_not_earlier():
    needs = {"import ours": {"matplotlib"}, "import late, sympy": {"matplotlib", "anywidget", "sympy"}}
    cells = [nbformat.v4.new_code_cell(code) for code in ("1 + 1", *needs, "import ours")]
    notebook = notebooks.with_imports(nbformat.v4.new_notebook(cells=cells), lambda code: needs.get(code, ()))
    first, fetch, ours, more, late, again = (cell.source for cell in notebook.cells)
    assert (first, ours, late, again) == ("1 + 1", "import ours", "import late, sympy", "import ours")
    assert notebooks.imported(fetch) == {"matplotlib"}
    assert notebooks.imported(more) == {"anywidget"}, "the kernel sees what a cell itself imports"


@pytest.mark.parametrize(
    "shows", ["X", "print(X)", "try:\n    f()\nfinally:\n    print(X)", "def f():\n    print(X)\nY = f()"]
)
def test_the_first_result_comes_from_the_first_cell_that_says_something(shows):
    codes = (
        "import ours\nX = f(1)",
        "def f():\n    print(1)",
        'def f():\n    "Two."\n    return 2\nX = f()',
        "hidden()",
    )
    cells = [nbformat.v4.new_code_cell(code) for code in (*codes, f"import more\n{shows}", "import late")]
    cells[3].metadata.tags = ["remove-cell"]
    assert notebooks.imported(notebooks.until_result(nbformat.v4.new_notebook(cells=cells))) == {"ours", "more"}


@pytest.fixture(scope="session")
def served(built_site: Path) -> Path:
    """JupyterLite as it was built into the site."""
    return built_site / "lite"


def test_made_again_for_a_new_text_only_the_chapters_notebooks_are_others(served, tmp_path, monkeypatch):
    def write(folder: Path, *_: object) -> None:
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1 + 1", id="only")])
        nbformat.write(notebook, folder / "scale.ipynb")

    monkeypatch.setattr(lite, "write_chapters", write)
    made = lite.made_again(tmp_path, served, numbers={}, links={}, names={})
    before, after = (
        {file.relative_to(site): sha256(file.read_bytes()).digest() for file in site.rglob("*") if file.is_file()}
        for site in (served, made)
    )
    assert {str(file) for file in before if before[file] != after[file]} == {
        "files/scale.ipynb",
        shell.LISTED,
        sizes.WRITTEN,
    }
    assert before.keys() == after.keys()
    listed = json.loads((made / shell.LISTED).read_text())["content"]
    files = {file.name: file.stat().st_size for file in (made / "files").iterdir()}
    assert {entry["path"]: entry["size"] for entry in listed} == files


def read(served: Path, name: str) -> nbformat.NotebookNode:
    return nbformat.read(served / "files" / f"{name}.ipynb", as_version=4)


def test_every_chapter_and_exercise_has_its_notebook(served):
    assert sorted(path.stem for path in (served / "files").iterdir()) == sorted(CHAPTERS + EXERCISES)
    listed = json.loads((served / shell.LISTED).read_text())["content"]
    assert sorted(entry["path"] for entry in listed) == sorted(f"{name}.ipynb" for name in CHAPTERS + EXERCISES)


@pytest.mark.parametrize("name", CHAPTERS)
def test_a_chapter_reads_as_a_notebook(served, name):
    notebook = read(served, name)
    nbformat.validate(notebook)
    assert notebook.metadata.kernelspec.name == shell.KERNEL_NAME
    text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    assert re.findall(r"\{[a-z:]+\}`|^:::|^\([\w-]+\)=$|^`{3,}\{", text, re.MULTILINE) == []
    code = notebooks.code_of(notebook)
    compile(code, name, "exec")
    assert "myst_nb" not in code
    assert not any(cell.get("outputs") for cell in notebook.cells)


@pytest.mark.parametrize("name", EXERCISES)
def test_an_exercise_comes_without_its_solution(served, name):
    source = (notebooks.EXERCISES / f"{name}.md").read_text()
    solutions = re.findall(r"### BEGIN SOLUTION\n(.*?)### END SOLUTION", source, re.DOTALL)
    notebook = read(served, name)
    code = notebooks.code_of(notebook)
    assert solutions
    assert not [solution for solution in solutions if solution.strip() in code]
    assert "SOLUTION" not in (served / "files" / f"{name}.ipynb").read_text()
    assert not any(cell.get("outputs") for cell in notebook.cells)
    graded = [cell for cell in notebook.cells if cell.metadata.nbgrader.grade]
    assert graded
    assert all("checksum" in cell.metadata.nbgrader for cell in graded), "as nbgrader releases it"


def test_no_source_of_an_exercise_is_served(served):
    holding = [path for path in served.rglob("*") if path.is_file() and b"### BEGIN SOLUTION" in path.read_bytes()]
    assert not holding


# What is served


def test_the_wheels_are_those_of_the_lock_file_and_hold_this_tree(served):
    packages = lock.read(served / shell.LOCK)["packages"]
    ours = {entry["file_name"]: entry for entry in packages.values() if "/" not in entry["file_name"]}
    there = {path.name for path in (served / shell.WHEELS).glob("*.whl")}
    assert there == set(ours)
    for name, entry in ours.items():
        assert lock.digest(served / shell.WHEELS / name) == entry["sha256"]
        assert f"-0{entry['sha256'][:8]}-" in name, "another content has another address"
    carried = {
        "bn-lib": {"bn_lib": ROOT, "bn_exercises": ROOT / "exercises"},
        "bn-book": {"bn_book": ROOT / "book"},
    }
    for package, folders in carried.items():
        assert packages[package]["imports"] == sorted(folders), "an exercise fetches nothing of the book"
        with ZipFile(served / shell.WHEELS / packages[package]["file_name"]) as wheel:
            for name, folder in folders.items():
                files = {
                    path.relative_to(folder).as_posix()
                    for path in (folder / name).rglob("*")
                    if path.suffix in {".py", ".js", ".css", ".gz", ".mo", ".mplstyle"}
                }
                there = {file for file in wheel.namelist() if file.startswith(f"{name}/")}
                assert files <= there
                for file in files:
                    assert wheel.read(file) == (folder / file).read_bytes()


def test_wheels_are_the_same_byte_for_byte_when_made_again(tmp_path):
    once, again = (
        wheels.packed("comm", tmp_path / name) for name in ("once", "again") if not (tmp_path / name).mkdir()
    )
    assert once.read_bytes() == again.read_bytes()


def test_pygments_knows_python_and_says_so_of_other_languages(tmp_path):
    wheel = wheels.packed("pygments", tmp_path)
    wheels.python_alone(wheel)
    assert wheel.stat().st_size < 200_000
    program = """
from pygments import formatters, highlight, lexers, util
print(highlight("def f(): ...", lexers.get_lexer_by_name("python"), formatters.HtmlFormatter()))
try:
    lexers.get_lexer_by_name("rust")
except util.ClassNotFound:
    print({name for name, *_ in lexers.get_all_lexers()} >= {"Python", "Python Traceback", "Text only"})
"""
    alone = [sys.executable, "-S", "-c", program]  # -S: only the wheel, and no package that brings languages of its own
    done = subprocess.run(alone, env={"PYTHONPATH": str(wheel)}, capture_output=True, text=True, check=True)
    assert '<span class="nf">f</span>' in done.stdout
    assert done.stdout.endswith("True\n")


def test_nothing_that_is_not_wanted_is_served(served):
    config = json.loads((served / "jupyter-lite.json").read_text())["jupyter-config-data"]
    assert {extension["name"] for extension in config["federated_extensions"]} == set(shell.EXTENSIONS)
    assert not list(served.rglob("*.map"))


def test_pages_of_jupyterlite_may_load_from_the_site_and_at_most_from_pyodides_host(served):
    pages = [served / "index.html", served / shell.APP / "index.html"]
    assert sorted(served.rglob("*.html")) == sorted(pages)
    for page in pages:
        (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', page.read_text())
        hosts = set(re.findall(r"https?://[^\s;]+", policy))
        assert hosts <= {shell.CDN_HOST}
        assert "default-src &#x27;self&#x27;" in policy


def test_a_page_that_would_have_no_policy_is_refused(tmp_path):
    (tmp_path / "doc" / "tree").mkdir(parents=True)
    (tmp_path / "doc" / "tree" / "index.html").touch()
    with pytest.raises(RuntimeError, match=r"JupyterLite has pages that would have no policy: doc/tree/index\.html"):
        shell.close(tmp_path)


def test_the_policy_of_a_site_that_serves_pyodide_names_no_other_host():
    assert "http" not in shell.policy(self_hosted=True)


class TestOtherSites:
    def test_none_is_named_where_none_is_configured(self, built_site):
        assert button.elsewhere("", "a.ipynb") == []
        assert not [path for path in (built_site / "book").rglob("*.html") if "mybinder.org" in path.read_text()]

    def test_a_branch_of_notebooks_gives_two_buttons(self):
        binder, colab = button.elsewhere("https://github.com/ada/bn/tree/notebooks", "1-a.ipynb")
        assert binder["url"] == "https://mybinder.org/v2/gh/ada/bn/notebooks?urlpath=lab/tree/1-a.ipynb"
        assert colab["url"] == "https://colab.research.google.com/github/ada/bn/blob/notebooks/1-a.ipynb"

    def test_another_address_stops_the_build(self):
        with pytest.raises(ExtensionError, match="BOOK_NOTEBOOKS"):
            button.elsewhere("https://example.org/", "a.ipynb")


# Taking a distribution


TINY_WASM = b"\0asm\1\0\0\0" + b"\0\x03\x01aa"


@pytest.fixture
def pinned() -> dict:
    return {
        "info": {"python": "3.14.2"},
        "packages": {
            name: {"name": name, "file_name": f"{name}.whl", "sha256": sha256(name.encode()).hexdigest()}
            for name in ("numpy", "scipy")
        },
    }


@pytest.fixture
def distribution(tmp_path, pinned) -> Path:
    """A whole one, as far as it is looked at, with more in it than is needed."""
    folder = tmp_path / "pyodide"
    folder.mkdir()
    (folder / "package.json").write_text(json.dumps({"version": runtime.PYODIDE_VERSION}))
    (folder / "pyodide.mjs").write_text("export {};\n")
    (folder / "pyodide.asm.mjs").write_text("export {};\n")
    (folder / "pyodide.asm.wasm").write_bytes(TINY_WASM)
    with ZipFile(folder / "python_stdlib.zip", "w") as stdlib:
        stdlib.writestr("this.py", "print('beautiful')")
    extra = {"pandas": {"name": "pandas", "file_name": "pandas.whl", "sha256": ""}}
    (folder / "pyodide-lock.json").write_text(json.dumps(pinned | {"packages": pinned["packages"] | extra}))
    for name in ("numpy", "scipy", "pandas"):
        (folder / f"{name}.whl").write_bytes(name.encode())
    return folder


WANTED = {*runtime.CORE, "numpy.whl", "scipy.whl", "pyodide-lock.json"}


class TestTakingADistribution:
    def test_of_a_folder_only_what_is_needed_is_kept(self, distribution, pinned, tmp_path):
        kept = tmp_path / "site" / "pyodide"
        assert {path.name for path in runtime.take(distribution, kept, pinned)} == WANTED
        assert {path.name for path in kept.parent.iterdir()} == {"pyodide"}
        (kept / "old").touch()
        runtime.take(distribution, kept, pinned)
        assert {path.name for path in kept.iterdir()} == WANTED, "what was there is replaced"

    def test_an_archive_is_as_good(self, distribution, pinned, tmp_path):
        archive = tmp_path / "pyodide-314.0.6.tar.bz2"
        with tarfile.open(archive, "w:bz2") as tar:
            tar.add(distribution, "pyodide")
        kept = tmp_path / "site" / "pyodide"
        assert {path.name for path in runtime.take(archive, kept, pinned)} == WANTED

    @pytest.mark.parametrize(
        ("name", "content", "says"),
        [
            ("package.json", b'{"version": "0.29.0"}', r"0\.29\.0.*exactly 314"),
            ("package.json", b"{}", "not a Pyodide distribution"),
            ("package.json", None, "not a Pyodide distribution"),
            ("pyodide.mjs", None, "pyodide.mjs is missing"),
            ("pyodide.asm.wasm", TINY_WASM[:-1], "pyodide.asm.wasm is damaged"),
            ("pyodide.asm.wasm", b"<html>", "pyodide.asm.wasm is damaged"),
            ("python_stdlib.zip", b"PK", "python_stdlib.zip is damaged"),
            ("pyodide-lock.json", b"{}", "pyodide-lock.json is missing, damaged or incomplete"),
            ("pyodide-lock.json", None, "pyodide-lock.json is missing, damaged or incomplete"),
            ("numpy.whl", None, "numpy.whl is missing"),
            ("numpy.whl", b"nump", "numpy.whl is damaged"),
        ],
    )
    def test_one_that_is_not_whole_changes_nothing(self, distribution, pinned, tmp_path, name, content, says):
        kept = tmp_path / "site" / "pyodide"
        runtime.take(distribution, kept, pinned)
        before = {path: path.read_bytes() for path in kept.parent.rglob("*") if path.is_file()}
        if content is None:
            (distribution / name).unlink()
        else:
            (distribution / name).write_bytes(content)
        with pytest.raises(runtime.RuntimeRefusedError, match=says):
            runtime.take(distribution, kept, pinned)
        assert {path: path.read_bytes() for path in kept.parent.rglob("*") if path.is_file()} == before

    def test_packages_of_another_release_are_refused(self, distribution, pinned, tmp_path):
        other = json.loads((distribution / "pyodide-lock.json").read_text())
        other["packages"]["scipy"]["sha256"] = "0" * 64
        (distribution / "pyodide-lock.json").write_text(json.dumps(other))
        with pytest.raises(runtime.RuntimeRefusedError, match=r"not that of the release.*scipy"):
            runtime.take(distribution, tmp_path / "site" / "pyodide", pinned)
        assert not list((tmp_path / "site").iterdir())

    def test_an_archive_that_was_cut_short_is_refused(self, distribution, pinned, tmp_path):
        archive = tmp_path / "pyodide.tar.bz2"
        with tarfile.open(archive, "w:bz2") as tar:
            tar.add(distribution, "pyodide")
        archive.write_bytes(archive.read_bytes()[:-40])
        with pytest.raises(runtime.RuntimeRefusedError):
            runtime.take(archive, tmp_path / "site" / "pyodide", pinned)
        assert not list((tmp_path / "site").iterdir())

    def test_the_command_says_so_and_fails(self, tmp_path):
        command = [sys.executable, "-m", "bn_site.lite.runtime", str(tmp_path)]
        done = subprocess.run(command, cwd=ROOT / "book" / "_ext", capture_output=True, text=True, check=False)
        assert done.returncode == 1
        assert "not a Pyodide distribution" in done.stderr
        assert "Nothing was changed" in done.stderr


def test_pyodides_own_files_are_whole_and_of_the_version_that_the_kernel_wants():
    assert json.loads((NPM / "package.json").read_text())["version"] == runtime.PYODIDE_VERSION
    for name in runtime.CORE:
        runtime.check_core(NPM / name)


def test_the_pinned_entries_are_those_of_the_published_lock_file():
    published, pinned_ = lock.read(NPM / "pyodide-lock.json"), lock.read(lock.PINNED)
    assert pinned_["info"] == published["info"]
    assert pinned_ == lock.wanted(published)
    assert pinned_["packages"]["matplotlib"]["version"].startswith("3.10."), "3.11 imports fontTools: see lock.UNUSED"


def test_the_sizes_are_those_of_the_files_at_hand_and_of_every_package():
    noted = sizes.noted()
    assert noted.keys() == {"jupyterlite", *runtime.CORE, *lock.read(lock.PINNED)["packages"]}
    assert {name: noted[name] for name in runtime.CORE} == {name: (NPM / name).stat().st_size for name in runtime.CORE}
    assert noted["micropip"] == next(MICROPIP.glob("micropip-*.whl")).stat().st_size


def test_a_notebook_is_as_large_as_what_it_imports(served, tmp_path):
    noted, packages = sizes.noted(), lock.read(served / shell.LOCK)["packages"]

    def size(code: str) -> dict[str, int]:
        nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code)]), tmp_path / "one.ipynb")
        return sizes.of(tmp_path / "one.ipynb", served, packages)

    def but_first(code: str) -> dict[str, int]:
        found = size(code)
        assert found.pop("first") == sum(found.values()), "its one cell is its first result"
        return found

    bare, always = but_first("1 + 1"), set(lock.closure(packages, lock.KERNEL))
    for name in ("numpy", "matplotlib", "sympy"):
        more = set(lock.closure(packages, [name])) - always
        assert but_first(f"import {name}\n1") == bare | {"there": bare["there"] + sum(noted[each] for each in more)}
    wheel = served / shell.WHEELS / packages["bn-lib"]["file_name"]
    assert size("from bn_exercises import problem")["here"] == bare["here"] + wheel.stat().st_size
    told = json.loads((served / sizes.WRITTEN).read_text())
    assert told == {path.name: sizes.of(path, served, packages) for path in (served / "files").iterdir()}


def test_only_the_chapter_that_computes_eigenvalues_brings_scipy_and_none_scikit_learn(served):
    packages = lock.read(served / shell.LOCK)["packages"]
    assert "scikit-learn" not in packages
    fetch = {path.stem: sizes.of(path, served, packages)["there"] for path in (served / "files").glob("*.ipynb")}
    assert fetch["conditioning"] >= fetch["smoothness"] + sizes.noted()["scipy"]
    assert max(bytes_ for name, bytes_ in fetch.items() if name != "conditioning") < fetch["conditioning"]


# What cannot be less is Pyodide's own: its four files and NumPy are 16.5 MB, Matplotlib with what it needs 8.3 MB. What
# can be, JupyterLite, IPython and our wheels, has these bounds.
MOST_OF_AN_EXERCISE = 27_000_000
MOST_OF_A_CHAPTER = 28_000_000
DRAWS_FIRST = {"backward", "frameworks", "price"}
MOST_OF_A_DRAWING = 36_500_000


@pytest.mark.parametrize("name", CHAPTERS + EXERCISES)
def test_to_its_first_result_a_notebook_fetches_no_more_than_it_may(served, name):
    told = json.loads((served / sizes.WRITTEN).read_text())[f"{name}.ipynb"]
    of_chapter = MOST_OF_A_DRAWING if name in DRAWS_FIRST else MOST_OF_A_CHAPTER
    assert told["first"] <= (of_chapter if name in CHAPTERS else MOST_OF_AN_EXERCISE)
    assert told["first"] <= told["here"] + told["there"]


# In the browser


class Counting(Quiet):
    """As `make serve` serves; it keeps what it was asked for, and how it answered."""

    answered: ClassVar[list[tuple[Path, int]]] = []

    def send_response(self, code: int, message: str | None = None) -> None:
        self.answered.append((Path(self.translate_path(self.path)), code))
        super().send_response(code, message)

    @classmethod
    def sent(cls, folder: Path) -> list[str]:
        """The files below a folder that were sent since this was last asked, as often as they were."""
        sent = [str(path.relative_to(folder)) for path, code in cls.answered if code == 200 and folder in path.parents]
        cls.answered.clear()
        return sent


@pytest.fixture(scope="module")
def serve() -> Iterator:
    servers = []

    def start(folder: Path) -> str:
        Counting.answered.clear()
        server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Counting, directory=str(folder)))
        servers.append(server)
        Thread(target=server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{server.server_port}/"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


class Logged:
    """A browser whose network log can be read when it has been closed: it knows of workers, too."""

    def __init__(self, browser: Browser | BrowserContext, log: Path) -> None:
        self.browser, self.log = browser, log

    def hosts(self) -> set[str]:
        """Every host that a page or a worker asked for something; Chromium's own affairs have no page as initiator."""
        self.browser.close()
        asked = [event.get("params", {}) for event in json.loads(self.log.read_text())["events"]]
        urls = [urlsplit(each["url"]) for each in asked if "url" in each and "://" in each.get("initiator", "")]
        return {url.hostname for url in urls if url.scheme in {"http", "https", "ws", "wss"}}


@pytest.fixture
def browse(tmp_path: Path, playwright: Playwright) -> Callable[..., Logged]:

    def launch(kept: Path | None = None) -> Logged:
        """Launch it. With a folder it keeps files there as a reader's does, and large ones, too."""
        log = tmp_path / "net.json"
        options = {"executable_path": which("chromium"), "args": [BLOCKED, f"--log-net-log={log}"]}
        if kept:
            return Logged(playwright.chromium.launch_persistent_context(kept, **options), log)
        return Logged(playwright.chromium.launch(**options), log)

    return launch


PAGE = f"{FOLDER}{CHAPTERS[2]}"


@in_chromium
class TestTheButton:
    def test_it_says_what_will_happen_before_anything_does(self, browse, serve, built_site):
        logged, address = browse(), serve(built_site)
        page = logged.browser.new_page(viewport=PHONE)
        page.goto(f"{address}{PAGE}.html")
        dialog = page.get_by_role("dialog", name="Run it here")
        assert not dialog.is_visible()
        page.locator(BUTTON).click()
        assert dialog.is_visible()
        assert urlsplit(shell.CDN_HOST).hostname in dialog.inner_text()
        told = json.loads((built_site / "lite" / sizes.WRITTEN).read_text())[f"{CHAPTERS[2]}.ipynb"]
        there, here, first = (math.ceil(told[part] / 1e6) for part in ("there", "here", "first"))
        total = math.ceil((told["here"] + told["there"]) / 1e6)
        seconds = math.ceil(8 * told["first"] / 20e6)
        expect(dialog).to_contain_text(
            f"about {total} MB: {there} MB from {urlsplit(shell.CDN_HOST).hostname}, {here} MB from this site. "
            f"The first result needs {first} MB of it: {seconds} seconds on a line of 20 Mbit/s"
        )
        colours = "link => [getComputedStyle(link).color, getComputedStyle(link).backgroundColor]"
        ink, paper = dialog.get_by_role("link", name="Open the notebook").evaluate(colours)
        assert ink != paper
        page.keyboard.press("Escape")
        dialog.wait_for(state="hidden")
        assert page.url == f"{address}{PAGE}.html"
        assert logged.hosts() == {"127.0.0.1"}

    def test_every_page_that_has_a_notebook_has_the_button_and_no_other(self, built_site):
        named = button.notebooks_of(
            [path.relative_to(built_site).with_suffix("").as_posix() for path in (built_site / "book").rglob("*.html")]
        )
        assert list(named.values()) == [f"{name}.ipynb" for name in CHAPTERS + EXERCISES]
        for path in (built_site / "book").rglob("*.html"):
            name = named.get(path.relative_to(built_site).with_suffix("").as_posix())
            text = path.read_text()
            assert ("btn-run-here" in text) is (name is not None)
            assert name is None or f"lite/{shell.APP}/index.html?path={name}" in text

    def test_without_scripts_it_leads_to_the_notebook_to_download(self, browse, serve, built_site):
        address = serve(built_site)
        page = browse().browser.new_context(java_script_enabled=False).new_page()
        page.goto(f"{address}{PAGE}.html")
        target = page.locator(BUTTON).evaluate("link => link.href")
        page.goto(target)
        item = page.locator(f"[id='{urlsplit(target).fragment}']")
        response = page.request.get(item.locator("a[href$='.ipynb']").evaluate("link => link.href"))
        assert response.ok
        assert response.json()["nbformat"] == 4

    def test_from_a_file_it_says_that_it_cannot(self, browse, built_site):
        page = browse().browser.new_page()
        page.goto((built_site / f"{PAGE}.html").as_uri())
        page.locator(BUTTON).click()
        dialog = page.get_by_role("dialog")
        assert "opened from a file" in dialog.inner_text()
        assert not dialog.locator(".bn-run-open").is_visible()

    def test_who_comes_to_jupyterlite_from_elsewhere_is_asked_first(self, browse, serve, built_site):
        logged, address = browse(), serve(built_site)
        page = logged.browser.new_page()
        page.goto(f"{address}lite/{shell.APP}/index.html?path={EXERCISES[0]}.ipynb")
        page.wait_for_url(f"{address}{button.EXPLAINED}.html")
        assert logged.hosts() == {"127.0.0.1"}

    def test_who_agreed_gets_the_notebook_and_no_host_but_pyodides_is_asked(self, browse, serve, built_site):
        """That host does not answer here, and the page says so; what else it loads is as much as the dialog says."""
        logged, address = browse(), serve(built_site)
        context = logged.browser.new_context()
        page = context.new_page()
        page.goto(f"{address}{PAGE}.html")
        page.locator(BUTTON).click()
        with context.expect_page() as opened:
            page.get_by_role("link", name="Open the notebook").click()
        lite = opened.value
        lite.locator(".jp-Notebook .jp-Cell").first.wait_for(timeout=PATIENCE)
        lite.locator(".jp-Notebook-ExecutionIndicator").wait_for(timeout=PATIENCE)
        expect(lite.get_by_role("alert")).to_contain_text(
            f"Python did not start. It comes from {urlsplit(shell.CDN_HOST).hostname}. It cannot be reached",
            timeout=PATIENCE,
        )
        with lite.expect_download(timeout=PATIENCE) as download:
            lite.get_by_role("link", name="Download the notebook").click()
        assert download.value.suggested_filename == f"{CHAPTERS[2]}.ipynb"
        assert Path(download.value.path()).read_bytes() == (built_site / f"lite/files/{CHAPTERS[2]}.ipynb").read_bytes()
        lite.get_by_role("button", name="Close").click()
        expect(lite.get_by_role("alert")).to_have_count(0)
        sent = set(Counting.sent(built_site / "lite"))
        own = [path for path in sent if path.partition("/")[0] not in ("files", shell.WHEELS, sizes.WRITTEN)]
        loaded = sum((built_site / "lite" / path).stat().st_size for path in own)
        assert loaded == pytest.approx(sizes.noted()["jupyterlite"], rel=0.05)
        assert logged.hosts() <= {"127.0.0.1", urlsplit(shell.CDN_HOST).hostname}


def place(built_site: Path, kept: Path, folder: Path) -> Path:
    """The parts of the site that JupyterLite is reached by, with Pyodide in them."""
    for name in ("lite", "_static"):
        shutil.copytree(built_site / name, folder / name)
    shutil.rmtree(folder / "lite" / shell.PYODIDE, ignore_errors=True)
    runtime.place(folder / "lite", kept, wheels.entries(folder / "lite" / shell.WHEELS))
    page = folder / "lite" / shell.APP / "index.html"
    page.write_text(page.read_text().replace(f" {shell.CDN_HOST}", ""))
    start = page.with_name("start.js")
    start.write_text(start.read_text().replace('localStorage.getItem("bn-run") === "agreed"', "true"))
    return folder


@pytest.fixture(scope="module")
def stand_in(built_site: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site with as much of Pyodide as comes from npm and from this environment."""
    folder = tmp_path_factory.mktemp("stand-in")
    kept = folder / "pyodide"
    kept.mkdir()
    for name in runtime.CORE:
        shutil.copyfile(NPM / name, kept / name)
    published = lock.read(lock.PINNED)
    packages = {}
    for name in lock.closure(published["packages"], ["ipython", "traitlets", "typing-extensions", "micropip"]):
        try:
            wheel = next(MICROPIP.glob(f"{name}-*.whl"), None) or wheels.packed(name, kept)
        except PackageNotFoundError:
            continue  # newer releases of IPython need fewer packages than the browser's
        if wheel.parent != kept:
            wheel = Path(shutil.copyfile(wheel, kept / wheel.name))
        depends = published["packages"][name]["depends"]
        packages[name] = lock.entry_of(wheel, wheels.top_level(wheel)) | {"depends": depends}
    (kept / runtime.PUBLISHED_LOCK).write_text(json.dumps({"info": published["info"], "packages": packages}))
    site = place(built_site, kept, folder / "site")
    cells = [
        "import sys; print(sys.version_info[:2], sys.platform)",
        # No installing before it: the kernel finds the site's wheel by the name.
        "from bn_exercises import problem, verdict\n"
        "from bn_exercises.verdict import Finding, Verdict\n"
        "verdict = Verdict('p', 1, 2, (Finding('mean', 'Mean', 'right', 'It is.', points=1, max_points=1),))\n"
        "print(Verdict.from_json(verdict.to_json()) == verdict, verdict.right)",
        "import anywidget, ipywidgets\nipywidgets.IntSlider(value=3)",
    ]
    # As long as a chapter, and folded as its cells are: what is not on the screen has no prompt.
    cells += [f"for line in range(40):\n    print({number}, line)" for number in range(20)]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    for cell in notebook.cells[3::2]:
        cell.metadata.jupyter = {"source_hidden": True}
    notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(notebook, site / "lite" / "files" / f"{EXERCISES[-1]}.ipynb")
    return site


def open_notebook(page: Page, address: str, name: str) -> None:
    page.goto(f"{address}lite/{shell.APP}/index.html?path={name}.ipynb")
    page.locator(".jp-Notebook .jp-Cell").first.wait_for(timeout=PATIENCE)
    page.locator(".jp-Notebook-ExecutionIndicator[data-status=idle]").wait_for(state="attached", timeout=PATIENCE)


def run_all(page: Page) -> nbformat.NotebookNode:
    """Run all cells, and return the notebook as the reader downloads it, once it has run to its end or to an error."""
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
    late = time.monotonic() + PATIENCE / 1000
    while True:
        notebook = downloaded(page)
        if complaints(notebook) or all(cell.execution_count for cell in notebook.cells if cell.cell_type == "code"):
            return notebook
        assert time.monotonic() < late, f"after {PATIENCE / 1000:.0f} s: {page.evaluate(STATE)}"
        page.wait_for_timeout(1000)


def downloaded(page: Page, patience: float = PATIENCE / 5) -> nbformat.NotebookNode:
    """The notebook as it is now: its page cannot tell what has run, for a cell that is folded or far has no prompt.

    Beside other work a notebook that is still being saved may ask something instead; then it is asked for once more.
    """
    page.keyboard.press("Control+s")
    page.get_by_role("menuitem", name="File", exact=True).click()
    try:
        with page.expect_download(timeout=patience) as download:
            page.get_by_role("menuitem", name="Download", exact=True).click()
    except TimeoutError:
        assert patience < PATIENCE, page.evaluate(STATE)
        page.keyboard.press("Escape")
        return downloaded(page, PATIENCE)
    return nbformat.read(download.value.path(), as_version=4)


# For the day when it does not: which cell ran last, what the kernel is said to do, and whether a question is open.
STATE = r"""() => {
  const texts = selector => [...document.querySelectorAll(selector)].map(element => element.innerText.trim());
  return JSON.stringify({
    prompts: texts('.jp-CodeCell .jp-InputPrompt'),
    outputs: texts('.jp-CodeCell .jp-OutputArea-output'),
    kernel: [...document.querySelectorAll('.jp-Notebook-ExecutionIndicator')].map(each => each.dataset.status),
    dialogs: texts('.jp-Dialog'),
    menus: texts('.lm-Menu'),
    worker: navigator.serviceWorker?.controller?.state ?? 'no service worker',
  });
}"""


def complaints(notebook: nbformat.NotebookNode) -> list[str]:
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    return ["\n".join(output.traceback) for output in outputs if output.output_type == "error"]


@in_chromium
def test_a_notebook_opens_runs_finds_the_sites_packages_and_is_downloaded(browse, serve, stand_in, tmp_path):
    """And nothing is fetched twice, nor by the second notebook what the first has brought."""
    logged, address = browse(tmp_path / "browser"), serve(stand_in)
    packages = lock.read(stand_in / "lite" / shell.LOCK)["packages"]

    def files_of(*roots: str) -> set[str]:
        closure = lock.closure(packages, [name for name in roots if name in packages])
        return {os.path.normpath(f"{shell.WHEELS}/{packages[name]['file_name']}") for name in closure}

    def of_python(sent: list[str]) -> set[str]:
        return {name for name in sent if name.startswith((shell.PYODIDE, shell.WHEELS))}

    page = logged.browser.new_page()
    open_notebook(page, address, EXERCISES[-1])
    notebook = run_all(page)
    assert not complaints(notebook)
    first = Counting.sent(stand_in / "lite")
    # Its page, 7 kB, JupyterLite reads once more for its settings, by the address without the notebook's name.
    own_page = f"{shell.APP}/index.html"
    assert {name for name, times in Counter(first).items() if times > 1} <= {own_page}
    core = {f"{shell.PYODIDE}/{name}" for name in runtime.CORE}
    assert of_python(first) == core | files_of(*lock.KERNEL, "bn-lib", "anywidget") | {shell.LOCK}
    assert [cell.execution_count for cell in notebook.cells] == [*range(1, len(notebook.cells) + 1)]
    assert page.get_by_role("alert").count() == 0
    assert "(3, 14) emscripten" in notebook.cells[0].outputs[0].text
    assert "True False" in notebook.cells[1].outputs[0].text
    assert page.get_by_role("slider").count() == 1
    assert notebook.metadata.kernelspec.name == "python3", "what is handed in names a kernel that a grader has"

    page.reload()
    # The work is still in this browser.
    expect(page.locator(".jp-Notebook .jp-OutputArea-output").first).to_contain_text("emscripten", timeout=PATIENCE)

    Counting.sent(stand_in / "lite")
    open_notebook(page, address, EXERCISES[0])
    expect(page.locator(".jp-Notebook")).to_contain_text("mini-batch of 4 samples", timeout=PATIENCE)
    assert complaints(run_all(page)), "Python runs, and there is no NumPy"
    assert set(first) & set(Counting.sent(stand_in / "lite")) <= {own_page}
    assert logged.hosts() == {"127.0.0.1"}


@pytest.fixture
def broken(stand_in: Path, tmp_path: Path) -> Path:
    """The same site, in which a test may replace a file."""
    return Path(shutil.copytree(stand_in, tmp_path / "site", copy_function=os.link))


@in_chromium
def test_a_python_that_does_not_start_says_so_and_starts_when_it_can(browse, serve, broken):
    library = broken / "lite" / shell.PYODIDE / "python_stdlib.zip"
    whole = library.read_bytes()
    library.unlink()
    page = browse().browser.new_page(viewport=PHONE)
    page.goto(f"{serve(broken)}lite/{shell.APP}/index.html?path={EXERCISES[-1]}.ipynb")
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("Python did not start. ", timeout=PATIENCE)
    assert "It comes from" not in alert.inner_text(), "its host answers"
    assert alert.get_by_role("link", name="Download the notebook").is_visible()
    library.write_bytes(whole)
    alert.get_by_role("button", name="Try again").click()
    page.locator(".jp-Notebook-ExecutionIndicator[data-status=idle]").wait_for(state="attached", timeout=PATIENCE)
    expect(alert).to_have_count(0)


@in_chromium
def test_a_python_that_never_answers_is_not_waited_for_in_silence(browse, serve, broken):
    wasm = broken / "lite" / shell.PYODIDE / "pyodide.asm.wasm"
    cut = wasm.read_bytes()[:1000]
    wasm.unlink()
    wasm.write_bytes(cut)
    page = browse().browser.new_page()
    page.clock.install()
    page.goto(f"{serve(broken)}lite/{shell.APP}/index.html?path={EXERCISES[-1]}.ipynb")
    page.locator(".jp-Notebook-ExecutionIndicator[data-status=unknown]").wait_for(timeout=PATIENCE)
    page.clock.fast_forward(61_000)
    expect(page.get_by_role("alert")).to_contain_text("It has not answered in 60 seconds.", timeout=PATIENCE)


@in_chromium
def test_a_page_that_lacks_a_script_says_which(browse, serve, broken):
    (broken / "lite" / "build" / shell.APP / "bundle.js").unlink()
    page = browse().browser.new_page()
    page.goto(f"{serve(broken)}lite/{shell.APP}/index.html?path={EXERCISES[-1]}.ipynb")
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("This page did not start. ", timeout=PATIENCE)
    expect(alert).to_contain_text("bundle.js")


@in_chromium
@pytest.mark.pyodide
def test_a_chapter_runs_to_its_end_and_an_exercise_answers(browse, serve, built_site, tmp_path):
    kept = tmp_path / "pyodide"
    runtime.take(Path(os.environ["PYODIDE_DIST"]), kept)
    site = place(built_site, kept, tmp_path / "site")
    exercise = nbformat.read(site / "lite" / "files" / f"{EXERCISES[0]}.ipynb", as_version=4)
    for cell in exercise.cells:
        if cell.metadata.nbgrader.grade_id == "mean":
            cell.source = "mean = X.mean(axis=0)"
    nbformat.write(exercise, site / "lite" / "files" / f"{EXERCISES[0]}.ipynb")
    logged, address = browse(), serve(site)
    page = logged.browser.new_page()

    open_notebook(page, address, CHAPTERS[2])
    assert not complaints(run_all(page))

    open_notebook(page, address, EXERCISES[0])
    notebook = run_all(page)
    assert not complaints(notebook)
    (checked,) = [cell for cell in notebook.cells if cell.metadata.nbgrader.grade_id == "mean-check"]
    assert "right" in str(checked.outputs[0].data["text/plain"]).lower()
    assert logged.hosts() == {"127.0.0.1"}
