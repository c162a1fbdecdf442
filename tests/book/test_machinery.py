"""The small modules of the site's extension and the tools beside it, and what they keep in step."""

import re
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import numpy as np
import pytest
import vendor
import yaml
from bn_site.content import docstrings, execution
from bs4 import BeautifulSoup
from sphinx.application import Sphinx
from sphinx.util.docutils import docutils_namespace

from bn_book import runs
from bn_book.colours import COLOURS, DARK, of_page, of_part
from bn_exercises.typography import as_in_a_book
from bn_lib.network import Sequential

ROOT = Path(__file__).parents[2]
STATIC = ROOT / "book" / "_static"


def test_the_cache_has_another_place_when_the_code_changes(tmp_path, monkeypatch):
    monkeypatch.setattr(execution, "ROOT", tmp_path)
    source = tmp_path / "bn_lib" / "moments.py"
    source.parent.mkdir()

    def fingerprint(text):
        source.write_text(text)
        return execution.fingerprint([source.parent, tmp_path / "requirements.txt"])

    one = fingerprint("a = 1")
    assert fingerprint("a = 2") != one
    assert fingerprint("a = 1") == one
    (tmp_path / "bn_lib" / "__pycache__").mkdir()
    (tmp_path / "bn_lib" / "__pycache__" / "moments.pyc").write_bytes(b"0")
    assert fingerprint("a = 1") == one
    (tmp_path / "requirements.txt").write_text("numpy==2.4.6")
    assert fingerprint("a = 1") != one


def test_a_run_of_an_experiment_is_one_for_all_processes_of_a_build(tmp_path, monkeypatch):
    done = []

    def experiment(norm, rates=(0.1, 0.5), *, seed=0):
        done.append((norm, rates, seed))
        return np.full(3, seed)

    def in_a_process():
        return runs.cache(experiment)

    here = in_a_process()
    assert here("bn", seed=1) is here("bn", seed=1)
    in_a_process()("bn", seed=1)
    assert len(done) == 2  # nothing is kept where no build asks for it
    monkeypatch.setenv(runs.FOLDER, str(tmp_path / "runs"))
    monkeypatch.setattr(runs, "LONG", 0)
    first = in_a_process()("bn", seed=2)
    np.testing.assert_array_equal(in_a_process()("bn", (0.1, 0.5), seed=2), first)
    assert len(done) == 3  # however it is called
    for other in (("ln",), ("bn", (0.1, 0.25)), ("bn", (0.1, 0.5), 3)):
        in_a_process()(*other[:2], seed=other[2] if other[2:] else 2)
    assert len(done) == 6
    layer = Sequential()
    in_a_process()(layer), in_a_process()(layer)
    assert len(done) == 8  # what an object is, no file's name can say
    assert len(list((tmp_path / "runs").glob("*experiment-*.pickle"))) == 4
    assert runs.cache(lambda: lambda: 3)()() == 3  # what cannot be written is not
    assert len(list((tmp_path / "runs").iterdir())) == 4
    monkeypatch.setattr(runs, "LONG", 60)
    in_a_process()("bn", seed=9)
    assert len(list((tmp_path / "runs").iterdir())) == 4


def test_a_run_is_one_however_it_is_asked_for():
    """A page says result("BN"), another experiment result(method, seed=seed): one run, and not two."""
    for keep in (runs.cache, runs.once):
        drawn = keep(lambda method, *, seed=0: object())
        assert drawn("BN") is drawn("BN", seed=0) is drawn(method="BN")
        assert drawn("BN") is not drawn("BN", seed=1)


@pytest.mark.parametrize(
    ("printed", "written"),
    [
        ("1e-05", "10⁻⁵"),
        ("about 5e-06.", "about 5 × 10⁻⁶."),
        ("3.7e+07, -0.19", "3.7 × 10⁷, −0.19"),
        ("from -3 to (-1)", "from −3 to (−1)"),
        ("8-3, 2-D, F-1, a1e5, 12e45ab", "8-3, 2-D, F-1, a1e5, 12e45ab"),
    ],
)
def test_numbers_are_written_as_in_a_book(printed, written):
    assert as_in_a_book(printed).replace("\N{NO-BREAK SPACE}", " ") == written


# Where code, formulas and results stand as the program prints them.
NOT_PROSE = "code, pre, script, style, .sig, .katex, .text_plain"
# What is read out, or shown where the pointer rests.
SAID = ("alt", "aria-label", "aria-valuetext", "title")


def test_no_page_has_a_number_in_program_notation_in_what_is_read_or_said(built_site):
    """In text, tables, captions, the labels of figures, and what they say to those who do not see them."""
    found, pages = [], sorted((built_site / "book").rglob("*.html"))
    for path in pages:
        article = BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser").article
        for other in article.select(NOT_PROSE):
            other.decompose()
        texts = [str(text) for text in article.find_all(string=True)]
        texts += [tag[name] for tag in article.find_all(True) for name in SAID if tag.get(name)]
        found += [(path.name, text.strip()) for text in texts if as_in_a_book(text) != text]
    assert found == []
    assert any("10⁻" in path.read_text(encoding="utf-8") for path in pages)


def test_code_keeps_the_signs_that_python_reads(built_site):
    """Who copies `[-2.0, 0.0]` from an example must be able to run it."""
    page = BeautifulSoup((built_site / "book/api.html").read_text(encoding="utf-8"), "html.parser")
    examples = [block.get_text() for block in page.select("pre") if block.get_text().startswith(">>>")]
    assert any(re.search(r"[\[(, ]-\d", example) for example in examples)
    assert not [example for example in examples if re.search("−(?=\\d)|×|⁻", example)]


def test_what_is_laid_out_by_hand_in_a_docstring_stays_so():
    keep_layout = docstrings.keep_layout
    prose = ["Sums.", "", "- one", "  more of one", "", "Args:", "    x: a number.", "", "    y: another."]
    assert keep_layout(prose)[:-1] == prose
    assert keep_layout(["So:", "", "    y = a * b", "", "and on."]) == [
        "So:",
        "",
        ".. code-block:: text",
        "",
        "        y = a * b",
        "",
        "and on.",
        "",
    ]


WRITTEN_BY_HAND = ("*.py", "*.css", "*.js", "*.mplstyle", "*.html", "*.jinja")


def test_a_colour_is_written_once():
    """What figures, explorables and pages share. Pictures, and rooms that do not know the book, have their own."""
    rooms = (ROOT / "book" / "bn_book", ROOT / "book" / "_ext", ROOT / "book" / "_static", ROOT / "book" / "_templates")
    files = {path for room in rooms for kind in WRITTEN_BY_HAND for path in room.rglob(kind)} - {STATIC / "print.css"}
    for colour in {*COLOURS.values(), *DARK.values()} - {COLOURS["paper"]}:
        written = [path.name for path in files if colour[1:] in path.read_text(encoding="utf-8").lower()]
        assert written == ["colours.py"], colour


def test_a_page_has_every_colour_in_the_light_and_in_the_dark():
    light, dark = (dict(re.findall(r"--bn-([\w-]+): (#\w{6});", block)) for block in of_page().split("}")[:2])
    assert light == {name.replace("_", "-"): colour for name, colour in COLOURS.items()}
    assert dark == {name.replace("_", "-"): colour for name, colour in DARK.items()}
    assert dark.keys() == light.keys()


def test_a_part_of_a_page_takes_the_pages_colours_then_the_notebooks_then_its_own():
    light, dark = of_part(".part").split("\n")[:2]
    assert "--with-bn: var(--bn-with-bn,#0072b2);" in light
    assert "--paper: var(--bn-paper,var(--jp-layout-color0,var(--vscode-editor-background,#ffffff)));" in light
    assert '[data-jp-theme-light="false"] .part, .vscode-dark .part {' in dark
    assert f"--with-bn: {DARK['with_bn']};" in dark
    assert "--ink" not in dark


def test_in_the_dark_lines_can_be_seen_and_words_read():
    dark = {name: colour[1:] for name, colour in DARK.items()}

    def luminance(colour):
        parts = [int(colour[i : i + 2], 16) / 255 for i in (0, 2, 4)]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    paper = luminance(dark.pop("paper"))
    dark.pop("grid")
    for name, colour in dark.items():
        assert (luminance(colour) + 0.05) / (paper + 0.05) >= 4.5, name


def test_what_is_served_says_what_it_is():
    readme = (vendor.VENDOR / "README.md").read_text()
    assert readme == vendor.readme()
    for package in vendor.PACKAGES:
        assert any((vendor.VENDOR / package.folder).iterdir())


def test_the_book_is_served_on_another_port_if_one_is_taken(tmp_path):
    (tmp_path / "index.html").write_text("the book")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        command = [sys.executable, str(ROOT / "book" / "tools" / "serve.py"), str(tmp_path), str(port)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
            try:
                said = server.stdout.readline() + server.stdout.readline()
                address = re.search(r"http://localhost:(\d+)/", said)
                assert int(address[1]) != port
                with urllib.request.urlopen(address[0]) as page:
                    assert page.read() == b"the book"
            finally:
                server.terminate()


def test_every_target_has_a_line_of_help():
    makefile = (ROOT / "Makefile").read_text()
    shown = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for target in re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)[1].split():
        assert re.search(rf"^  make {target} +\S", shown, re.MULTILINE), target


# Translating a page


def test_a_sentence_that_is_translated_is_in_the_page(tmp_path):
    """The mechanism is Sphinx's, set up as for the book: a page, and a catalogue for it at its place."""
    settings = yaml.safe_load((ROOT / "_config.yml").read_text())["sphinx"]["config"]
    ours = {name: settings[name] for name in ("locale_dirs", "gettext_compact")}
    (tmp_path / "book").mkdir()
    (tmp_path / "book" / "page.md").write_text("# A title\n\nOne sentence.\n\nAnother one.\n")
    (folder,) = ours["locale_dirs"]
    catalogue = tmp_path / folder / "de" / "LC_MESSAGES" / "book" / "page.po"
    catalogue.parent.mkdir(parents=True)
    catalogue.write_text(
        'msgid ""\nmsgstr "Content-Type: text/plain; charset=utf-8\\n"\n\nmsgid "One sentence."\nmsgstr "Ein Satz."\n'
    )
    config = {"extensions": ["myst_parser"], "root_doc": "book/page", "language": "de", **ours}
    out = tmp_path / "out"
    with docutils_namespace():
        Sphinx(tmp_path, None, out, out, "html", config, status=None, warning=None, freshenv=True).build()
    page = (out / "book" / "page.html").read_text()
    assert "Ein Satz." in page
    assert "Another one." in page
