"""The rooms: imports run one way, and a chapter has one name for its page, its room and its test."""

import ast
import doctest
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

from bn_book.chapters import chapters, opening

ROOT = Path(__file__).resolve().parents[2]
ROOMS = {
    "bn_lib": ROOT / "bn_lib",
    "bn_exercises": ROOT / "exercises" / "bn_exercises",
    "bn_grading": ROOT / "exercises" / "bn_grading",
    "bn_book": ROOT / "book" / "bn_book",
}
MAY_USE = {
    "bn_lib": {"bn_lib"},
    "bn_exercises": {"bn_lib", "bn_exercises"},
    "bn_grading": {"bn_lib", "bn_exercises", "bn_grading"},
    "bn_book": {"bn_lib", "bn_exercises", "bn_book"},
}
OF_THE_PROJECT = {*ROOMS, "bn_site", "benchmarks", "tests"}


def imported(code: str) -> Iterator[str]:
    """The top-level names that code imports: inside functions, and by `import_module`, too."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield str(node.module).partition(".")[0]
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("import_module", "__import__")):
            yield ast.unparse(node.args[0]).lstrip("f").strip("'\"").partition(".")[0]


def wrong(room: str, code: str) -> set[str]:
    """What code in a room imports of the project, and may not."""
    return {name for name in imported(code) if name in OF_THE_PROJECT} - MAY_USE[room]


@pytest.mark.parametrize("room", ROOMS)
def test_imports_run_one_way(room):
    modules = sorted(ROOMS[room].rglob("*.py"))
    assert modules
    found = {str(path.relative_to(ROOT)): wrong(room, path.read_text(encoding="utf-8")) for path in modules}
    assert not {path: names for path, names in found.items() if names}


@pytest.mark.parametrize(
    ("room", "code"),
    [
        ("bn_lib", "def f():\n    from bn_book.data import load_digits"),
        ("bn_lib", "import bn_exercises.verdict as v"),
        ("bn_exercises", "from importlib import import_module\nimport_module('bn_book.scale')"),
        ("bn_book", "from bn_grading import record"),
    ],
)
def test_an_import_in_the_other_direction_is_seen(room, code):
    assert wrong(room, code)


def test_a_chapter_has_one_name():
    """One page, one room, one line in the table of contents, and a test."""
    names = set(chapters())
    assert len(names) == len(chapters())
    assert {path.stem for path in (ROOT / "book" / "chapters").glob("*.md")} == names
    assert names <= {path.stem.removeprefix("test_") for path in (ROOT / "tests" / "book").glob("test_*.py")}
    for name in names:
        room = {path.name for path in (ROOMS["bn_book"] / name).iterdir()}
        modules = {"__init__.py", "experiments.py", "figures.py", "claims.py", "questions.py", "laboratory.py"}
        assert room >= modules | {"map.svg"}


@pytest.mark.parametrize("module", ["chapters", "claims", "ledger"])
def test_the_examples_run(module):
    results = doctest.testmod(import_module(f"bn_book.{module}"))
    assert results.attempted
    assert results.failed == 0


def test_the_order_is_that_of_the_table_of_contents(tmp_path):
    toc = tmp_path / "_toc.yml"
    toc.write_text(
        "root: book/index\nparts:\n"
        "- chapters:\n  - file: book/chapters/b\n    sections:\n    - file: book/chapters/a\n  - file: book/run\n"
        "- chapters: [{file: book/chapters/c}]\n"
    )
    assert chapters(toc) == ("b", "a", "c")


def test_every_chapter_says_what_it_is_about(built_site):
    cover = (built_site / "book" / "index.html").read_text(encoding="utf-8")
    for chapter in chapters():
        title, question = opening(chapter)
        assert title in cover
        assert question.endswith("?")
        assert f'href="chapters/{chapter}.html"' in cover
        assert question in cover


@pytest.mark.parametrize(
    ("page", "missing"), [("# A title\n", "the question that it answers"), ("---\nquestion: Why?\n---\n", "a heading")]
)
def test_a_page_that_does_not_say_so_is_refused(tmp_path, page, missing):
    (tmp_path / "a.md").write_text(page)
    with pytest.raises(ValueError, match=f"a.md lacks {missing}"):
        opening("a", tmp_path)
