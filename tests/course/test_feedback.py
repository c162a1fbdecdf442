"""bn-feedback beside nbgrader: the same pages, byte for byte, made anew where something changed; nothing stops it."""

import errno
import random
import shutil
import subprocess
import sys
import time
from base64 import b64encode
from copy import deepcopy
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from bs4 import BeautifulSoup
from nbconvert.exporters import HTMLExporter
from nbconvert.filters.highlight import Highlight2HTML
from nbformat import writes
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output, new_raw_cell
from nbgrader.api import Gradebook
from nbgrader.converters import GenerateFeedback
from nbgrader.coursedir import CourseDirectory
from traitlets.config import Config

from bn_grading import apart, feedback, feedback_app, safe_html
from bn_grading.safe_html import FILTERS

from .conftest import ASSIGNMENT, BASIC, COURSE, SUSPECTS, Course, set_exchange

# Right answers in all notebooks, wrong ones, none, errors and their tracebacks, texts, pictures.
SOME = "[abd]*"


@pytest.fixture(scope="module")
def returned(course: Course, tmp_path_factory: pytest.TempPathFactory) -> Course:
    """The course with its pages, which are bn-feedback's; nbgrader's own of some are in `by-nbgrader/`."""
    machine = tmp_path_factory.mktemp("feedback")
    shutil.copytree(course.machine, machine, dirs_exist_ok=True)
    set_exchange(machine)
    again = Course(machine, course.logs)
    again.nbgrader(
        *("generate_feedback", ASSIGNMENT, f"--CourseDirectory.student_id={SOME}"),
        "--CourseDirectory.feedback_directory=by-nbgrader",
        "--GenerateFeedback.exporter_class=nbconvert.exporters.HTMLExporter",
    )
    return again


def made(course: Course, *options: str, code: int = 0) -> str:
    return course.make_feedback(ASSIGNMENT, *options, code=code)


def files(folder: Path) -> dict[str, tuple[bytes, int]]:
    return {
        str(path.relative_to(folder)): (path.read_bytes(), path.stat().st_mode)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_it_leaves_what_nbgrader_leaves(returned: Course) -> None:
    theirs = files(returned.root / "by-nbgrader")
    ours = {name: each for name, each in files(returned.root / "feedback").items() if name[0] in SOME}
    assert len([name for name in theirs if name.endswith(".html")]) == 10
    assert ours == theirs


def test_everybody_has_every_page(returned: Course) -> None:
    graded = {
        path.relative_to(returned.root / "autograded") for path in (returned.root / "autograded").rglob("*.ipynb")
    }
    pages = {path.relative_to(returned.root / "feedback") for path in (returned.root / "feedback").rglob("*.html")}
    assert pages == {path.with_suffix(".html") for path in graded}
    assert f"{len(pages)} pages were made" in returned.logs["bn_grading.feedback_command"]
    returned.nbgrader("release_feedback", ASSIGNMENT)


def test_only_what_changed_is_made_again(returned: Course) -> None:
    assert "\n  0 pages were made" in made(returned)
    page = returned.feedback("ben_half_right", BASIC)
    with Gradebook(f"sqlite:///{returned.root}/gradebook.db", COURSE) as gradebook:
        gradebook.find_comment("mean", BASIC, ASSIGNMENT, "ben_half_right").manual_comment = "See chapter 3."
        gradebook.db.commit()
    page_before = page.read_text()
    assert "\n  1 pages were made, of 1 submissions" in made(returned)
    assert "See chapter 3." in page.read_text()
    assert "See chapter 3." not in page_before
    page.unlink()
    assert "\n  1 pages were made, of 1 submissions" in made(returned)
    # What was written when a run was killed is no reason to begin again, or to fail.
    log = returned.root / "grading" / ASSIGNMENT / "feedback.jsonl"
    log.write_text(log.read_text() + '["ada_perf')
    assert "\n  0 pages were made" in made(returned)
    assert "\n  1 pages were made" in made(returned, "--student", "ben_half_right", "--force")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--student", "nobody"], "--student nobody is none of the"),
        (["--notebook", "9-another"], "--notebook 9-another is none of 1-basic-calculation, "),
        (["--assignment", "another"], "expected one assignment"),
    ],
)
def test_what_cannot_be_meant_is_said(returned: Course, options: list[str], says: str) -> None:
    assert says in made(returned, *options, code=1)


def test_a_notebook_that_cannot_be_shown_costs_its_page_only(returned: Course) -> None:
    notebook = returned.autograded("fay_other_means", BASIC)
    notebook.chmod(0o644)
    notebook.write_text("{}")
    said = made(returned, code=1)
    assert f"fay_other_means: {BASIC}: there is no page: " in said
    assert not returned.feedback("fay_other_means", BASIC).exists()
    assert returned.feedback("ada_perfect", BASIC).exists()


def test_what_stops_a_run_leaves_whole_pages(returned: Course) -> None:
    pages = files(returned.root / "feedback")
    command = [sys.executable, "-m", "bn_grading.feedback_command", ASSIGNMENT, "--force"]
    run = subprocess.Popen(
        command, cwd=returned.root, env=returned.environment(), stderr=subprocess.PIPE, stdout=subprocess.DEVNULL
    )
    first = returned.feedback("ada_perfect", BASIC)
    before = first.stat().st_mtime_ns
    while first.stat().st_mtime_ns == before and run.poll() is None:
        time.sleep(0.01)
    run.terminate()
    _, said = run.communicate(timeout=60)
    assert run.returncode == 1
    assert b"it was interrupted\n" in said
    assert b"the same command goes on from there" in said
    assert files(returned.root / "feedback") == pages


def test_of_two_at_once_the_second_waits(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    log, order = tmp_path / "grading" / "feedback.jsonl", []

    def second() -> None:
        with feedback_app.alone(log):
            order.append("second")

    with feedback_app.alone(log):
        waits = Thread(target=second)
        waits.start()
        said = ""
        while "another bn-feedback" not in said:
            said += capfd.readouterr().err
        order.append("first")
    waits.join()
    assert order == ["first", "second"]


def test_a_machine_without_a_process_costs_nobody_a_page(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: Any) -> None:
        raise BlockingIOError(errno.EAGAIN, "no process")

    monkeypatch.setattr(apart, "_here", apart._Here())
    monkeypatch.setattr("multiprocessing.context.ForkServerContext.Pipe", none)
    with pytest.raises(apart.NotStartedError, match="no process could be started"):
        feedback_app.pages(feedback_app.Wanted(b"", {"a": ""}, {"a": {}}))


def test_what_is_handed_in_again_is_what_is_given_back(returned: Course) -> None:
    again, by_name = returned.autograded("ada_perfect", BASIC).parent, returned.feedback("ada_perfect", BASIC)
    page = by_name.read_bytes()
    # Nothing but the time is another, a notebook is left out, and a file has the name of a page.
    for name, text in (("timestamp.txt", "2031-01-01 10:00:00 UTC"), (f"{BASIC}.html", "all points")):
        (again / name).unlink(missing_ok=True)
        (again / name).write_text(text)
    (again / f"{SUSPECTS}.ipynb").unlink()
    unreadable = returned.autograded("ben_half_right", BASIC)
    unreadable.unlink()
    unreadable.symlink_to("elsewhere")
    assert f"ben_half_right: {BASIC}: it is a link" in made(returned, code=1)
    assert by_name.read_bytes() == page
    assert (by_name.parent / "timestamp.txt").read_text() == "2031-01-01 10:00:00 UTC"
    assert not returned.feedback("ada_perfect", SUSPECTS).exists()


# What a page is made of, and what a student might have put into one, well or badly formed.
PIECES = (
    *(
        "a",
        " ",
        "\n",
        " \n\t ",
        "\xa0",
        "\x0b",
        "\r\n",
        "\0",
        "é",
        ">",
        "<",
        '"',
        "'",
        "&",
        "&lt",
        "&lt;",
        "&amp;",
        "&amp;lt;",
    ),
    *(
        "&quot;",
        "&#39;",
        "&#x27;",
        "&nbsp;",
        "&copy;",
        "&#0;",
        "&#128;",
        "<b>",
        "</b>",
        "<b/>",
        "</b >",
        "<B>",
        "<br>",
        "</br>",
    ),
    *(
        "<br />",
        "<pre>",
        "</pre>",
        '<p class=" a  b">',
        "</p>",
        '<p a="c"d="e">',
        '<p ="a">',
        '<p a="">',
        '<p a="<">',
        "<p a>",
    ),
    *(
        '<img src="a">',
        "<img src='a'>",
        '<img alt="&quot;" src="a>b">',
        '<img width=5 src="x&amp;y">',
        "<a href=x/>",
        "</a>",
    ),
    *(
        '<a href="x" href="y">',
        '<a\nrel="x  y"\n>',
        "<!-- a -->",
        "<!-- a -- b -->",
        "<!--",
        "-->",
        "<!-- -->",
        "<?php a?>",
    ),
    *(
        "<style>a > b & c</style>",
        "<style> \n </style>",
        "<style>",
        "</style>",
        "<script>if (a<b) {}</script>",
        "<plaintext>",
    ),
    *("<script>a</b></script>", "<title>a</title>", "<title> </title>", "<textarea> <b> </textarea>", "<![CDATA[a]]>"),
    *(
        '<pre><span class="n">',
        "</span></pre>",
        "<span>&quot;&#39;</span>",
        '<span class="a b"> </span>',
        "<pre>&quot;",
    ),
    *("<!DOCTYPE html>", '<meta charset="utf-8" />', '<svg viewBox="0">', "</svg>", "<noscript>", "</noscript>"),
)


def test_what_is_written_without_a_parser_is_what_it_would_write() -> None:
    drawn, known = random.Random(1), 0
    for _ in range(3000):
        html = "".join(drawn.choices(PIECES, k=drawn.randint(1, 5)))
        made = feedback.parsed(html)
        if made is not None:
            known += 1
            soup = BeautifulSoup(html, features="html.parser")
            for each in soup.select("img:not([alt])"):
                each["alt"] = "No description has been provided for this image"
            assert made == str(soup), html
    assert known > 300


@pytest.mark.parametrize("source", ["", "\n\nx = '<&>'\n\n", "%time x", 'def f(:\n  """é', "!ls", "x" * 6000])
def test_a_program_is_coloured_as_nbconvert_colours_it(source: str) -> None:
    theirs = Highlight2HTML(pygments_lexer="ipython3")
    for language, metadata in ((None, None), (None, {}), (None, {"magics_language": "html"}), ("css", {})):
        for _ in range(2):
            assert safe_html.code(source, language, metadata) == theirs(source, language, metadata)


def test_a_text_s_pictures_are_those_of_its_cell() -> None:
    shown = []
    for picture in (b"a", b"b"):
        attached = {"a.png": {"image/png": b64encode(picture).decode()}}
        context: Any = {"cell": {"attachments": attached}}
        shown.append(b64encode(picture).decode() in safe_html.markdown(context, "![a](attachment:a.png)"))
    assert shown == [True, True]
    # Without its picture, the text is shown as it was written: again and again.
    for _ in range(2):
        assert safe_html.markdown({}, "![a](attachment:a.png)") == "<pre>![a](attachment:a.png)</pre>"  # type: ignore[arg-type]


HTML = ("<img src='a'/>", "<div><p>a", "</div></div>", "<!-- a", "--> b", "<pre>\n a \n</pre>", "&lt; &amp &")


@pytest.mark.parametrize(
    "cells",
    [
        pytest.param([new_markdown_cell("*a* <br> <img src='a.png'> <!-- b -->"), new_markdown_cell("")], id="texts"),
        pytest.param([new_code_cell(" \n\n x = 1\n\n"), new_code_cell("x"), new_code_cell("x")], id="code"),
        pytest.param([new_raw_cell("<b>  a"), new_raw_cell("</b>"), new_markdown_cell("c")], id="raw"),
        *(
            pytest.param([new_code_cell(outputs=[new_output("display_data", {"text/html": each})])], id=each)
            for each in HTML
        ),
        pytest.param([new_code_cell(outputs=[new_output("stream", text="\x1b[31ma\n\n")])], id="printed"),
        pytest.param([new_code_cell(outputs=[new_output("error", traceback=["<a>"])])], id="traceback"),
    ],
)
def test_cell_by_cell_is_as_a_whole(cells: list[Any]) -> None:
    assert_same(cells, GenerateFeedback(coursedir=CourseDirectory()).config)


def test_what_a_page_around_it_changes_is_made_with_the_page() -> None:
    config = Config()
    config.HTMLExporter.template_name, config.Exporter.default_preprocessors = "lab", []
    assert_same([new_markdown_cell("a"), new_code_cell("x", outputs=[new_output("stream", text="1")])], config)


def test_a_course_s_own_template_can_look_at_whose_cell_it_is(tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "index.html.j2").write_text("{% for cell in nb.cells %}{{ resources.whose }}{% endfor %}")
    (tmp_path / "own" / "conf.json").write_text("{}")
    config = Config()
    config.HTMLExporter.template_name, config.HTMLExporter.extra_template_basedirs = "own", [str(tmp_path)]
    config.Exporter.default_preprocessors = []
    made_by, notebook = feedback.recipe(config, []), writes(new_notebook(cells=[new_markdown_cell("a")]))
    assert [feedback.page_of(made_by, notebook, {"whose": whose}) for whose in ("Ada", "Ben")] == ["Ada", "Ben"]


def test_a_picture_beside_a_notebook_is_that_of_its_student(tmp_path: Path) -> None:
    config = GenerateFeedback(coursedir=CourseDirectory()).config
    config.HTMLExporter.embed_images = True
    made_by, notebook = feedback.recipe(config, []), writes(new_notebook(cells=[new_markdown_cell("![a](a.png)")]))
    pages = []
    for whose in ("ada", "ben"):
        (tmp_path / whose).mkdir()
        (tmp_path / whose / "a.png").write_bytes(whose.encode())
        pages.append(feedback.page_of(made_by, notebook, RESOURCES | {"metadata": {"path": str(tmp_path / whose)}}))
    assert [b64encode(b"ben").decode() in page for page in pages] == [False, True]


RESOURCES: dict[str, Any] = {
    "nbgrader": {"notebook": "a", "score": 1, "max_score": 2, "late_penalty": 0},
    "inlining": {"css": []},
}


def assert_same(cells: list[Any], config: Config) -> None:
    for number, cell in enumerate(cells):
        cell["id"] = f"cell-{number}"
    notebook = new_notebook(cells=[*cells, new_markdown_cell("# The end", id="end")])
    config.HTMLExporter.filters = FILTERS
    whole, _ = HTMLExporter(config=config).from_notebook_node(notebook, deepcopy(RESOURCES))
    made_by = feedback.recipe(config, [])
    # The second time, every cell is known.
    for _ in range(2):
        assert feedback.page_of(made_by, writes(notebook), deepcopy(RESOURCES)) == whole
