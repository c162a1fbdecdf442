"""Attacks on the notebook itself: its cells, what nbgrader keeps about them, its format, other languages."""

import copy
import json
from pathlib import Path
from typing import Any

from .attack import ALL, ANSWERS, Attack, Theme, both, cell_of, change, code, index_of, nothing

Cells = dict[str, Any]
# What the grader says of a notebook that lacks one of the instructor's cells.
_ONE = "1 of the assignment's 16 cells are missing: "


def _delete(notebook: Cells, *grade_ids: str) -> None:
    for grade_id in grade_ids:
        del notebook["cells"][index_of(notebook, grade_id)]


def _duplicate(notebook: Cells) -> None:
    again = copy.deepcopy(cell_of(notebook, "hand-in"))
    again["id"], again["source"], again["metadata"]["nbgrader"]["points"] = "again", "10", 1000
    notebook["cells"].insert(index_of(notebook, "hand-in"), copy.deepcopy(again) | {"id": "before"})
    notebook["cells"].append(again)


def _tell(notebook: Cells, cell: str, /, **said: Any) -> None:
    cell_of(notebook, cell)["metadata"]["nbgrader"] |= said


def _bonus(notebook: Cells) -> None:
    bonus = copy.deepcopy(cell_of(notebook, "hand-in"))
    bonus["id"], bonus["source"] = "bonus", "100"
    bonus["metadata"]["nbgrader"] |= {"grade_id": "bonus", "points": 100}
    notebook["cells"].append(bonus)


def _strip(notebook: Cells) -> None:
    for cell in notebook["cells"]:
        cell["metadata"] = {}


def _many(count: int) -> Any:
    def edit(notebook: Cells) -> None:
        one = {"cell_type": "code", "metadata": {}, "source": "1", "outputs": [], "execution_count": None}
        notebook["cells"] += [one | {"id": f"c{each}"} for each in range(count)]

    return edit


def _as_version_3(notebook: Cells) -> None:
    import nbformat

    old = nbformat.convert(nbformat.from_dict(copy.deepcopy(notebook)), 3)
    notebook.clear()
    notebook.update(json.loads(json.dumps(old)))


def _metadata(notebook: Cells) -> None:
    evil = '"><script>alert(1)</script>'
    notebook["metadata"] = {
        "kernelspec": {"name": "bash", "display_name": evil, "language": "bash"},
        "language_info": {"name": evil, "pygments_lexer": evil, "file_extension": "/../../x"},
        "title": evil,
        "widgets": {"application/vnd.jupyter.widget-state+json": {"state": {"</script><script>alert(1)": {}}}},
        "celltoolbar": evil,
    }
    for cell in notebook["cells"]:
        cell["metadata"] |= {"tags": [evil, "parameters", "skip-execution"], "name": evil, "deletable": True}


def _bytes(content: bytes) -> Any:
    def edit(path: Path) -> None:
        path.write_bytes(content)

    return edit


def _as_text(function: Any) -> Any:
    def edit(path: Path) -> None:
        path.write_text(function(path.read_text()))

    return edit


def _large(path: Path) -> None:
    """60 MB of outputs; 200 would only take longer to write."""
    notebook = json.loads(path.read_text())
    text = "x" * 1_000_000
    output = {"output_type": "stream", "name": "stdout", "text": text}
    cell_of(notebook, "numbers")["outputs"] = [output] * 60
    path.write_text(json.dumps(notebook))


CELLS = Theme(
    "cells",
    (
        Attack("cell_edited", nothing("1", hand_in="10"), 0),
        Attack("cell_numbers_edited", nothing("1", numbers="hand_in = lambda *_, **__: 10"), 0),
        Attack("cell_deleted", change(lambda n: _delete(n, "hand-in"), **ANSWERS), ALL, problems=(_ONE,)),
        # Without its numbers nothing of the rest can be worked out.
        Attack("cell_numbers_deleted", change(lambda n: _delete(n, "numbers"), **ANSWERS), 0, problems=(_ONE,)),
        Attack("cell_duplicated", change(_duplicate), 0),
        Attack("cell_duplicated_solved", change(_duplicate, **ANSWERS), ALL),
        Attack("cell_first", change(lambda n: n["cells"].insert(0, n["cells"].pop()), **ANSWERS), 0),
        Attack("cell_reversed", change(lambda n: n["cells"].reverse(), **ANSWERS), 0),
        Attack("cell_markdown", change(lambda n: cell_of(n, "hand-in").update(cell_type="markdown"), **ANSWERS), ALL),
        Attack("cell_raw", change(lambda n: cell_of(n, "hand-in").update(cell_type="raw"), **ANSWERS), ALL),
        Attack("cell_points", change(lambda n: _tell(n, "hand-in", points=1000), **ANSWERS), ALL),
        Attack("cell_negative", change(lambda n: _tell(n, "hand-in", points=-5), **ANSWERS), ALL),
        Attack("cell_unlocked", change(lambda n: _tell(n, "hand-in", locked=False, solution=True), hand_in="10"), 0),
        Attack("cell_task", change(lambda n: _tell(n, "hand-in", task=True, grade=False), hand_in="10"), 0),
        Attack(
            "cell_renamed", change(lambda n: _tell(n, "hand-in", grade_id="mine"), **ANSWERS), ALL, problems=(_ONE,)
        ),
        Attack(
            "cell_taken_over",
            change(lambda n: _tell(n, "mean", grade_id="hand-in", grade=True), mean="10"),
            0,
            problems=(_ONE,),
        ),
        Attack("cell_bonus", change(_bonus), 0),
        Attack(
            "cell_stripped", change(_strip, **ANSWERS), ALL, problems=("16 of the assignment's 16 cells are missing",)
        ),
        Attack("cell_checksum", change(lambda n: _tell(n, "hand-in", checksum="0" * 32), **ANSWERS), ALL),
        Attack("cell_schema_old", change(lambda n: _tell(n, "hand-in", schema_version=1), **ANSWERS), ALL),
        Attack("cell_schema_new", change(lambda n: _tell(n, "hand-in", schema_version=99), **ANSWERS), ALL),
        Attack(
            "page_odd_metadata",
            change(
                lambda n: _tell(n, "hand-in", points="many", grade="yes", comment="<script>1</script>", x=[]), **ANSWERS
            ),
            ALL,
        ),
        Attack("cell_odd_id", change(lambda n: _tell(n, "mean", grade_id=["x"]), **ANSWERS), ALL, problems=(_ONE,)),
        Attack("cell_magic_languages", code("%%bash\necho bash; cat /etc/shadow; echo GO''T $?"), ALL, hides=()),
        Attack("cell_magic_javascript", code("%%javascript\nalert(1)"), ALL),
        Attack("page_magic_html", code("%%html\n<script>alert(1)</script>"), ALL),
        Attack("cell_magic_unknown", code("%%perl6\nsay 1"), ALL),
        Attack("cell_half_pair", code("x = '\\ud800'\n# \ud800"), ALL),
        Attack("cell_nul", code("x = '\0'"), ALL),
        Attack("page_metadata", change(_metadata, **ANSWERS), ALL),
        Attack("book_metadata_gone", change(lambda n: n.update(metadata={}), **ANSWERS), ALL),
        Attack("book_version_3", change(_as_version_3, **ANSWERS), ALL),
        Attack("book_version_minor", change(lambda n: n.update(nbformat_minor=99), **ANSWERS), ALL),
        Attack(
            "book_version_99",
            change(lambda n: n.update(nbformat=99)),
            0,
            failed=True,
            problems=("format of notebooks",),
        ),
        Attack("book_2001_cells", change(_many(2001)), 0, failed=True, problems=("cells; at most 2000",)),
        Attack("book_100000_cells", change(_many(100_000)), 0, failed=True, problems=("cells; at most 2000",)),
        Attack("book_large", both(change(lambda _: None, **ANSWERS), _large), ALL),
        Attack("book_no_json", _bytes(b"mean = [5, 7, 9]"), 0, failed=True, problems=("it is no notebook",)),
        Attack("book_no_utf8", _bytes(b'{"cells": "\xff\xfe"}'), 0, failed=True, problems=("it is no notebook",)),
        Attack("book_empty", _bytes(b""), 0, failed=True, problems=("it is no notebook",)),
        Attack("book_list", _bytes(b"[[], {}]"), 0, failed=True, problems=("it is no notebook",)),
        Attack("book_zeros", _bytes(bytes(1000)), 0, failed=True, problems=("it is no notebook",)),
        # Of the largest file that is read, this would be gigabytes of objects.
        Attack(
            "book_objects",
            _bytes(b'{"nbformat": 4, "cells": [' + b"{}," * 2_500_000 + b"{}]}"),
            0,
            failed=True,
            problems=("it would take too much memory: it has 5,000,",),
        ),
        Attack("book_nested", _bytes(b"[" * 100_000), 0, failed=True, problems=("it is no notebook",)),
        Attack(
            "book_nested_metadata",
            change(lambda n: n["metadata"].update(deep=json.loads('{"a":' * 300 + "1" + "}" * 300)), **ANSWERS),
            ALL,
        ),
        Attack(
            "book_digits",
            _as_text(lambda text: text.replace('"metadata": {', '"metadata": {"n": ' + "9" * 5000 + ", ", 1)),
            0,
            failed=True,
            problems=("it is no notebook",),
        ),
        Attack(
            "book_nan",
            both(
                change(lambda _: None, **ANSWERS),
                _as_text(lambda text: text.replace('"metadata": {', '"metadata": {"n": NaN, "i": -Infinity, ', 1)),
            ),
            ALL,
        ),
        Attack(
            "book_says_another",
            change(lambda n: n["metadata"].update(student="ada_honest", BN_STUDENT="ada_honest"), **ANSWERS),
            ALL,
        ),
    ),
)
