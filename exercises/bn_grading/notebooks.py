"""A notebook that somebody else wrote, read as data: the texts of its cells, their pictures, and what they claim to be.

Everything here is done apart (`apart`), with limits. What comes back is small and plain, however large and strange the
file is.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nbformat

from bn_grading.files import MIB, UnreadableError, content

# A notebook that was saved with its outputs; they are dropped.
LARGEST_NOTEBOOK = 256 * MIB
# What is between these in JSON takes up to 100 bytes each in memory (nested objects), and a picture has none of them.
MOST_SIGNS, _SIGNS = 4_000_000, b"{[,:"
MOST_CELLS = 2000
# Characters of all cells together: what a person writes has a hundredth of it.
MOST_TEXT = 1_000_000
# Characters of all pictures in texts.
MOST_PICTURES = 64 * MIB
# What students' texts may show in a page without being loaded from elsewhere.
_PICTURES = ("image/png", "image/jpeg", "image/gif")
_KINDS = ("code", "markdown", "raw")


@dataclass(frozen=True)
class Cell:
    """What a student wrote in one cell.

    Attributes:
        kind: of the cell.
        text: in it.
        claims: which of the instructor's cells it says it is; empty, if none.
        pictures: attached to it, by name and type, in base64.
    """

    kind: str
    text: str
    claims: str = ""
    pictures: dict[str, dict[str, str]] = field(default_factory=dict)


def read(path: Path) -> list[Cell]:
    """The cells of a notebook in any of nbformat's formats since the second.

    Raises:
        UnreadableError: if it is none, or has more of something than a notebook has.
    """
    try:
        return _cells(content(path, LARGEST_NOTEBOOK))
    except (UnreadableError, MemoryError):
        raise
    # Not every way in which JSON can be no notebook has an exception of its own.
    except Exception as error:
        reason = str(error).strip().partition("\n")[0][:200]
        raise UnreadableError(f"it is no notebook: {type(error).__name__}: {reason}") from None


def _cells(content: bytes) -> list[Cell]:
    if (signs := sum(map(content.count, _SIGNS))) > MOST_SIGNS:
        raise UnreadableError(
            f"it would take too much memory: it has {signs:,} braces, brackets, commas and colons; at most "
            f"{MOST_SIGNS:,} are read"
        )
    data = json.loads(content)
    if data["nbformat"] not in (2, 3, 4):
        raise UnreadableError("it is in a format of notebooks that is not known here")
    if data["nbformat"] != 4:
        sheets = data.get("worksheets") or [data]
        _refuse_many(sum(len(sheet["cells"]) for sheet in sheets))
        data = nbformat.convert(nbformat.from_dict(_without_outputs(data)), 4)
    # Of those that are used: what else a file has by such a name is not looked at.
    _refuse_many(len(data["cells"]))
    cells = [_cell(each) for each in data["cells"]]
    _refuse_large("of text", sum(len(cell.text) for cell in cells), MOST_TEXT)
    pictures = sum(len(each) for cell in cells for kinds in cell.pictures.values() for each in kinds.values())
    _refuse_large("of pictures", pictures, MOST_PICTURES)
    return cells


def _refuse_many(count: int) -> None:
    if count > MOST_CELLS:
        raise UnreadableError(f"it has {count} cells; at most {MOST_CELLS} are run")


def _refuse_large(what: str, count: int, most: int) -> None:
    if count > most:
        raise UnreadableError(f"it has {count:,} characters {what}; at most {most:,} are read")


def _without_outputs(data: Any) -> Any:
    """Of a notebook of an older format: they are run again anyway, and may be most of the file."""
    for sheet in data.get("worksheets") or [data]:
        for cell in sheet["cells"]:
            if cell.get("cell_type") == "code":
                cell["outputs"] = []
    return data


def _cell(given: Any) -> Cell:
    kind, text = given["cell_type"], given["source"]
    if kind not in _KINDS:
        raise ValueError("there is no such type of cell")
    claimed = given.get("metadata", {}).get("nbgrader", {})
    grade_id = claimed.get("grade_id") if isinstance(claimed, dict) else None
    return Cell(
        kind,
        _storable(text if isinstance(text, str) else "".join(text)),
        grade_id if isinstance(grade_id, str) else "",
        _pictures(given.get("attachments")),
    )


def _pictures(attachments: Any) -> dict[str, dict[str, str]]:
    found = {}
    for name, kinds in attachments.items() if isinstance(attachments, dict) else ():
        kept = {kind: kinds[kind] for kind in _PICTURES if isinstance(kinds, dict) and isinstance(kinds.get(kind), str)}
        if kept:
            found[_storable(name)] = {kind: _storable(content) for kind, content in kept.items()}
    return found


def _storable(text: str) -> str:
    """Without halves of surrogate pairs."""
    return text.encode(errors="replace").decode()
