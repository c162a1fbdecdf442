"""The notebooks that "Run it here" opens: a chapter's, and an exercise's as nbgrader gives it to a student.

A chapter is written for Sphinx. A notebook knows no roles and no directives, so their text is put in their place: a
number from the run of the build, the names of a citation, a link to the other chapter's notebook. What a page hides,
the notebook folds. There are no outputs: the reader makes them.

An exercise is made by `nbgrader generate_assignment`, so what is handed in later is what was given out. The sources
hold the solutions, and are not served.
"""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import jupytext
import nbformat
from nbformat import NotebookNode
from pybtex.database import Person, parse_file

from bn_site.lite.lock import ROOT

EXERCISES = ROOT / "exercises" / "source" / "batch-norm"

GLUE = "from myst_nb import glue\n"
# In the book's build, `glue` hands a number to the text. A notebook's text has its numbers already.
NO_GLUE = '''

def glue(name, value, display=True):
    """In the book this puts a number into the text. Here the text has the numbers of the book already."""

'''

ROLE = re.compile(r"\{([a-z]+(?::[a-z]+)*)\}`([^`]+)`")
TITLED = re.compile(r"(.+?)\s*<([^<>]+)>", re.DOTALL)
TARGET = re.compile(r"^\([\w-]+\)=\n", re.MULTILINE)
DIRECTIVE = re.compile(r"^(:{3,}|`{3,})\{([\w-]+)\}(.*)$")
OPTION = re.compile(r"^:[\w-]+:.*$")
SPAN = re.compile(r"\[([^\]]+)\]\{[.#][^}]*\}")

Numbers = Mapping[str, str]
Links = Mapping[str, tuple[str, str]]  # what a role names, as Sphinx knows it: the page it is on, and its title


def of_exercises(folder: Path) -> list[Path]:
    """Write the exercises' notebooks into `folder` as students get them, and return them.

    nbgrader does it, in a course of its own that is thrown away: there, nobody's gradebook knows of it.
    """
    with tempfile.TemporaryDirectory() as temporary:
        course = Path(temporary)
        shutil.copyfile(ROOT / "exercises" / "nbgrader_config.py", course / "nbgrader_config.py")
        for source in EXERCISES.glob("*.md"):
            copied = course / "source" / EXERCISES.name / source.name
            copied.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, copied)
        done = subprocess.run(
            [sys.executable, "-m", "nbgrader", "generate_assignment", EXERCISES.name, "--create"],
            cwd=course,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        made = sorted((course / "release" / EXERCISES.name).glob("*.ipynb"))
        if done.returncode or not made:
            raise RuntimeError(f"nbgrader could not make the exercises' notebooks:\n{done.stdout[-4000:]}")
        return [Path(shutil.copyfile(notebook, folder / notebook.name)) for notebook in made]


def of_chapter(
    source: Path, docname: str, numbers: Numbers, links: Links, notebooks: Mapping[str, str]
) -> NotebookNode:
    """The notebook of a chapter.

    Args:
        source: the chapter's MyST Markdown.
        docname: the page's name in Sphinx.
        numbers: the numbers that its cells handed to its text.
        links: the pages and labels of the book.
        notebooks: for each page that has one, its notebook's file name.
    """
    notebook = jupytext.reads(source.read_text(encoding="utf-8"), fmt="md:myst")
    notebook.metadata.pop("jupytext", None)
    for number, cell in enumerate(notebook.cells):
        cell.id = f"cell-{number}"  # the same in every build, so that a reader's copy can be compared
        if cell.cell_type == "markdown":
            cell.source = readable(cell.source, docname, numbers, links, notebooks)
        else:
            cell.source = (cell.source + "\n").replace(GLUE, NO_GLUE).strip("\n")
            if {"remove-input", "remove-cell", "hide-input", "hide-cell"} & set(cell.metadata.get("tags", ())):
                cell.metadata["jupyter"] = {"source_hidden": True}
    return notebook


def glued(executed: NotebookNode) -> dict[str, str]:
    """The numbers that the cells of an executed notebook handed to its text, as plain text."""
    numbers = {}
    for output in (output for cell in executed.cells for output in cell.get("outputs", ())):
        scrap = output.get("metadata", {}).get("scrapbook")
        # What `glue` was told not to display has its types under a name of its own.
        if scrap and (text := output.data.get(f"{scrap.get('mime_prefix', '')}text/plain")):
            numbers[scrap.name] = text
    return numbers


def readable(text: str, docname: str, numbers: Numbers, links: Links, notebooks: Mapping[str, str]) -> str:
    """Markdown that says without Sphinx what MyST Markdown says with it."""

    def role(match: re.Match[str]) -> str:
        name, content = match.groups()
        if name.startswith("glue"):
            key, _, form = content.partition(":")
            return _written(numbers[key], form)
        if name.startswith("cite"):
            return _cited(content, in_brackets=name not in {"cite:t", "cite:ct"})
        titled = TITLED.fullmatch(content)
        shown, target = titled.groups() if titled else (None, content)
        if name == "doc":
            return _linked(shown, _page(target, docname), links, notebooks)
        if name in {"ref", "numref"}:
            return _linked(shown, target, links, notebooks, here=docname)
        return shown or content

    text = _boxes(TARGET.sub("", text))
    return SPAN.sub(r"\1", ROLE.sub(role, text))


def _written(value: str, form: str) -> str:
    """A number as the text wants it."""
    if not form:
        return value.strip("'")
    return format(float(value), form)


def _page(target: str, docname: str) -> str:
    """The page that a `doc` role means: from the top of the book, or from the page that it stands on."""
    if target.startswith("/"):
        return target[1:]
    parts = docname.split("/")[:-1]
    for part in target.split("/"):
        parts = parts[:-1] if part == ".." else [*parts, part]
    return "/".join(parts)


def _linked(shown: str | None, target: str, links: Links, notebooks: Mapping[str, str], here: str = "") -> str:
    page, title = links[target]
    shown = " ".join((shown or title).split())
    if page != here and page in notebooks:
        return f"[{shown}]({notebooks[page]})"
    return shown if page == here else f"*{shown}*"


@cache
def _bibliography() -> Any:
    return parse_file(ROOT / "book" / "references.bib").entries


def _cited(keys: str, in_brackets: bool) -> str:
    """`Ioffe and Szegedy (2015)`, or `(Ioffe and Szegedy, 2015)`."""
    works = []
    for key in keys.split(","):
        entry = _bibliography()[key.strip()]
        names = [_surname(person) for person in entry.persons["author"]]
        authors = f"{names[0]} et al." if len(names) > 2 else " and ".join(names)
        year = entry.fields["year"]
        works.append(f"{authors}, {year}" if in_brackets else f"{authors} ({year})")
    return f"({'; '.join(works)})" if in_brackets else " and ".join(works)


def _surname(person: Person) -> str:
    return " ".join(str(name) for name in [*person.rich_prelast_names, *person.rich_last_names])


def _boxes(text: str) -> str:
    """Admonitions and the like as quotations, with their title in bold."""
    lines: list[str] = []
    open_fences: list[str] = []
    options = False
    for line in text.split("\n"):
        begins = DIRECTIVE.match(line)
        if begins:
            fence, kind, title = begins.groups()
            open_fences.append(fence)
            options = True
            name = title.strip() or {"note": "Note", "tip": "Tip", "warning": "Warning"}.get(kind, "")
            lines += ["", f"> **{name}**" if name else ">", ">"]
        elif open_fences and line.strip() == open_fences[-1]:
            open_fences.pop()
            lines.append("")
        elif options and (OPTION.match(line) or line.strip() == "---"):
            pass
        else:
            options = False
            lines.append(f"> {line}".rstrip() if open_fences else line)
    return "\n".join(lines).strip("\n")


# What a notebook needs


def with_imports(notebook: NotebookNode, wanted: Callable[[str], Iterable[str]]) -> NotebookNode:
    """The notebook with a cell that imports, before the first that needs them, packages which its cells do not name.

    The kernel reads a cell's imports and fetches those packages. What a module or a function of ours imports, it does
    not see. A package that a later cell needs is not waited for before the first result.

    Args:
        notebook: the notebook; it is changed.
        wanted: of a cell's code, the names of others' packages that it can come to import.
    """
    there: set[str] = set()
    cells = []
    for cell in notebook.cells:
        if cell.cell_type == "code":
            named = {name.partition(".")[0] for name in imported(cell.source)}
            needed = set(wanted(cell.source)) - there
            if fetched := sorted(needed - named):
                source = f"# The code below uses these, too: here they are fetched.\nimport {', '.join(fetched)}"
                folded = {"jupyter": {"source_hidden": True}}
                cells.append(nbformat.v4.new_code_cell(source, id=f"fetch-{len(cells)}", metadata=folded))
            there |= needed
        cells.append(cell)
    notebook.cells = cells
    return notebook


def imported(code: str) -> set[str]:
    """All modules that Python code imports, those inside functions too, with their full names."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found.add(node.module or "")
            # `from bn_book.drawing import forward` imports a module as well as a name from one.
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
    return found


@cache
def imported_by(file: Path) -> set[str]:
    """The same of a file, which is read once for all cells of the book that reach it."""
    return imported(file.read_text(encoding="utf-8"))


def reached(names: Iterable[str], module: Callable[[str], Path | None]) -> set[str]:
    """The packages of others that code can come to import, if it imports `names`.

    Args:
        names: full names of modules.
        module: the file of a module of ours; None for others.
    """
    seen: set[str] = set()
    others: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        file = module(name)
        if file is not None:
            waiting += imported_by(file)
            waiting.append(name.rpartition(".")[0])
        elif name and name.split(".")[0] not in {"bn_lib", "bn_exercises", "bn_book", *sys.stdlib_module_names}:
            others.add(name.split(".")[0])
    return others


def our_module(name: str) -> Path | None:
    """The file of a module of `bn_lib`, `bn_exercises` or `bn_book`."""
    top = {"bn_lib": ROOT, "bn_exercises": ROOT / "exercises", "bn_book": ROOT / "book"}.get(name.split(".")[0])
    if top is None:
        return None
    path = top.joinpath(*name.split("."))
    for file in (path / "__init__.py", path.with_suffix(".py")):
        if file.is_file():
            return file
    return None


def until_result(notebook: NotebookNode) -> str:
    """The code up to the first cell that shows something, for `imported`."""
    cells = []
    for cell in (cell for cell in notebook.cells if cell.cell_type == "code"):
        cells.append(cell.source)
        if "remove-cell" not in cell.metadata.get("tags", ()) and says(cell.source):
            break
    return "\n".join(cells)


def says(code: str) -> bool:
    """Whether code that runs leaves or prints a value: outside of functions, or in one of its own that it calls."""
    tree = ast.parse(code)
    functions = {each.name: each for each in tree.body if isinstance(each, ast.FunctionDef)}
    runs = [node for each in tree.body if each not in functions.values() for node in ast.walk(each)]
    called = {node.func.id for node in runs if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
    runs += [node for name in called & functions.keys() for node in ast.walk(functions[name])]
    # A text that stands alone is a docstring.
    return any(isinstance(node, ast.Expr) and not isinstance(node.value, ast.Constant) for node in runs)


def code_of(notebook: NotebookNode) -> str:
    """All code of a notebook, for `imported`."""
    return "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "code")
