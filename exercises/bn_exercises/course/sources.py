"""Notebooks' sources: MyST Markdown in the repository, .ipynb where nbgrader looks for them.

`sync` makes every stale .ipynb anew, and costs two hashes per notebook when none is. It does not overwrite an .ipynb
that somebody edited; `take_edits` carries such edits back into the Markdown. `check` says what would make a
comparison of two versions hard to read.

    python -m bn_exercises.course.sources exercises/source               # make stale .ipynb files anew
    python -m bn_exercises.course.sources exercises/source --take-edits  # carry edits of .ipynb files into the .md
    python -m bn_exercises.course.sources exercises/source --check       # are the sources as they should be?
"""

import argparse
import copy
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nbformat import NotebookNode

MYST = "md:myst"
# Beside the assignments, not in one: nbgrader copies whatever lies in an assignment's folder to the students.
RECORD = ".generated.json"


class EditedNotebookError(Exception):
    """An .ipynb differs from what its source makes, and not because the source is newer."""


def to_notebook(markdown: str) -> "NotebookNode":
    """The notebook that a MyST Markdown source describes: no outputs, and every cell's id is its `grade_id`.

    Jupyter wants cell ids and Markdown has none. Every cell must have a `grade_id`, also a cell of text: so ids are
    stable, and nbgrader locks the text.

    Raises:
        ValueError: if a cell has no `grade_id`, or two share one.
    """
    # Imported here, because jupytext and nbformat take over a second and are rarely needed.
    import jupytext  # type: ignore[import-untyped]

    notebook: NotebookNode = jupytext.reads(markdown, fmt=MYST)
    seen: set[str] = set()
    for number, cell in enumerate(notebook.cells, start=1):
        grade_id = cell.metadata.get("nbgrader", {}).get("grade_id")
        if not grade_id or grade_id in seen:
            beginning = cell.source.strip().partition("\n")[0][:60]
            problem = f"has the grade_id {grade_id!r} of an earlier cell" if grade_id else "has no nbgrader grade_id"
            raise ValueError(f"cell {number} ({beginning!r}) {problem}")
        seen.add(grade_id)
        cell.id = grade_id
    # Left in, it would tell a student's Jupyter to treat the notebook as one half of a pair of files.
    notebook.metadata.pop("jupytext", None)
    return notebook


def to_markdown(notebook: "NotebookNode", like: str) -> str:
    """The MyST Markdown of a notebook, without outputs, under the jupytext header of the Markdown `like`.

    `to_markdown(to_notebook(markdown), markdown) == markdown` for a source in jupytext's own style.
    """
    import jupytext

    header = jupytext.reads(like, fmt=MYST).metadata["jupytext"]
    notebook = copy.copy(notebook)
    notebook.metadata = notebook.metadata | {"jupytext": header}
    text: str = jupytext.writes(notebook, fmt=MYST)
    return text


def sync(source: str | os.PathLike[str]) -> list[Path]:
    """Make the .ipynb beside every .md in the assignments of `source` that needs it; return those made.

    Raises:
        EditedNotebookError: if that would overwrite somebody's edits. Notebooks before it have been made.
    """
    source = Path(source)
    record = _read_record(source)
    made = []
    for markdown, notebook, key in _pairs(source):
        text = markdown.read_text(encoding="utf-8")
        before = _digest(notebook.read_text(encoding="utf-8")) if notebook.exists() else None
        if before is not None and record.get(key) == [_digest(text), before]:
            continue
        content = _ipynb(text)
        if before != _digest(content):
            if before is not None and before != record.get(key, [None, None])[1]:
                raise EditedNotebookError(
                    f"{notebook} was edited, and {markdown.name} is the source. To keep the edits: "
                    f"python -m bn_exercises.course.sources {source} --take-edits. "
                    f"To drop them: delete {notebook.name}."
                )
            _write(notebook, content)
            made.append(notebook)
        record[key] = [_digest(text), _digest(content)]
        _write(source / RECORD, json.dumps(record, indent=1, sort_keys=True) + "\n")
    return made


def take_edits(source: str | os.PathLike[str]) -> list[Path]:
    """Carry edits of .ipynb files back into the .md beside them; return the .md files changed.

    An .md that was changed as well since the .ipynb was made is overwritten: git has its former text.
    """
    import nbformat

    source = Path(source)
    record = _read_record(source)
    changed = []
    for markdown, notebook, key in _pairs(source):
        if not notebook.exists() or record.get(key, [None, None])[1] == _digest(notebook.read_text(encoding="utf-8")):
            continue
        old = markdown.read_text(encoding="utf-8")
        new = to_markdown(nbformat.read(notebook, as_version=4), old)
        content = _ipynb(new)
        if new != old:
            _write(markdown, new)
            changed.append(markdown)
        _write(notebook, content)
        record[key] = [_digest(new), _digest(content)]
        _write(source / RECORD, json.dumps(record, indent=1, sort_keys=True) + "\n")
    return changed


def check(source: str | os.PathLike[str]) -> list[str]:
    """What keeps the notebooks of `source` from being compared as text, one sentence each; nothing, if all is well.

    Every source is as jupytext writes it, so that the next edit in Jupyter changes only what was edited; that form has
    neither outputs nor execution counts. Every cell has an id. No .ipynb is in git.
    """
    source = Path(source)
    sources = [markdown for markdown, _, _ in _pairs(source)]
    if not sources:
        return [f"{source} holds no notebooks; expected the folder of assignments, with an .md for each notebook"]
    found = []
    for markdown in sources:
        text = markdown.read_text(encoding="utf-8")
        try:
            written = to_markdown(to_notebook(text), text)
        except Exception as error:  # jupytext and its YAML reader raise many kinds
            found.append(f"{markdown}: {type(error).__name__}: {error}")
            continue
        if written != text:
            found.append(f"{markdown}: {_first_difference(text, written)}")
    for notebook in _in_git(source):
        found.append(f"{notebook} is in git, and its .md is what belongs there: git rm --cached {notebook}")
    return found


def _first_difference(text: str, written: str) -> str:
    lines, expected = text.split("\n"), written.split("\n")
    for number, (line, other) in enumerate(zip(lines, expected, strict=False), start=1):
        if line != other:
            return f"line {number} is {line!r}; jupytext writes {other!r}"
    return f"it has {len(lines)} lines; jupytext writes {len(expected)}"


def _in_git(source: Path) -> list[Path]:
    """The .ipynb files that git keeps; none, where there is no git or no repository."""
    # Whoever owns the folder: names are read, and nothing of the repository is run.
    command = ["git", "-c", "safe.directory=*", "ls-files", "-z", "--", "*.ipynb"]
    try:
        done = subprocess.run(command, cwd=source, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return []
    return [source / name for name in done.stdout.split("\0") if name]


def _pairs(source: Path) -> Iterator[tuple[Path, Path, str]]:
    for markdown in sorted(source.glob("*/*.md")):
        yield markdown, markdown.with_suffix(".ipynb"), markdown.relative_to(source).as_posix()


def _ipynb(markdown: str) -> str:
    import nbformat

    text: str = nbformat.writes(to_notebook(markdown))
    return text + "\n"


def _read_record(source: Path) -> dict[str, Any]:
    """What was made from what: for each source, the digests of its text and of the .ipynb made from it."""
    try:
        record: dict[str, Any] = json.loads((source / RECORD).read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        return {}
    return record


def _write(path: Path, text: str) -> None:
    """Write in one step, because several nbgrader commands may start at once."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def main() -> None:
    """Run `sync`, `take_edits` or `check` from the command line."""
    parser = argparse.ArgumentParser(prog="python -m bn_exercises.course.sources", description=sync.__doc__)
    parser.add_argument("source", nargs="?", default="exercises/source", help="the folder of assignments")
    action = parser.add_mutually_exclusive_group()
    action.add_argument("--take-edits", action="store_true", help="carry edits of .ipynb files into the .md files")
    action.add_argument("--check", action="store_true", help="say what keeps the sources from being compared as text")
    arguments = parser.parse_args()
    if arguments.check:
        sys.exit("\n".join(check(arguments.source)) or None)
    for path in take_edits(arguments.source) if arguments.take_edits else sync(arguments.source):
        print(path)


if __name__ == "__main__":
    main()
