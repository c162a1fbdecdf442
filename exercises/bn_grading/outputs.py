"""Outputs from the sandbox, read as data: what is none of a notebook's outputs is dropped, and nothing here can run.

A notebook's outputs are shown to the instructor in formgrader, and to the student in the feedback. So HTML goes through
bleach, which leaves text and tables, and what could be a script is left out. HTML with more markup than a person reads
is not parsed: its text is shown as it is.
"""

import json
import re
from collections.abc import Iterable
from functools import cache
from typing import Any

import bleach  # type: ignore[import-untyped]
from nbformat.notebooknode import NotebookNode
from nbformat.v4 import new_output

from bn_exercises.answers import ANSWERS
from bn_grading.markup_limits import is_tame

MOST_OUTPUTS = 1000
MOST_LINES = 1000
# {"answers": {part: {probe: {"outputs": [array of images]}}}} is the deepest.
DEEPEST = 16
MOST_COUNT = 1_000_000
# What a page shows without running any of it.
_PICTURES = ("image/png", "image/jpeg")
_BASE64 = re.compile(r"[A-Za-z0-9+/=\s]*")
_TABLES = ("table", "thead", "tbody", "tr", "th", "td", "div", "p", "pre", "span", "br", "hr", "caption")


def read(untrusted: Any) -> list[NotebookNode]:
    """The outputs among whatever was sent for a cell, cleaned. Those that decide its points come first for the room."""
    room = {True: MOST_OUTPUTS, False: MOST_OUTPUTS}
    outputs = []
    for each in untrusted if isinstance(untrusted, list) else ():
        if isinstance(each, dict) and room[decides := _decides(each)]:
            room[decides] -= 1
            outputs.append(_output(each))
    return [output for output in outputs if output is not None]


def deciding(untrusted: list[Any]) -> list[tuple[str, str]]:
    """What nbgrader's rules for the points of a cell look at among whatever was sent for it."""
    found = []
    for each in untrusted:
        if isinstance(each, dict) and _decides(each):
            data = each.get("data")
            found.append((each["output_type"], _text(data.get("text/plain") if isinstance(data, dict) else "")))
    return found


def answers(untrusted: Any) -> Any:
    """The answers that a cell handed in: those of the last display that has any; None, if none has.

    What is nested more deeply than any answer, or cannot be stored in a notebook, is no answer: {}.
    """
    found = None
    for output in untrusted if isinstance(untrusted, list) else ():
        data = output.get("data") if isinstance(output, dict) else None
        if isinstance(data, dict) and ANSWERS in data:
            found = data[ANSWERS]
    return found if _depth_is_sane(found) and _can_be_stored(found) else {}


def count(untrusted: Any) -> int | None:
    """The number of an execution."""
    return untrusted if type(untrusted) is int and 0 < untrusted <= MOST_COUNT else None


def _can_be_stored(data: Any) -> bool:
    try:
        json.dumps(data, ensure_ascii=False, allow_nan=False).encode()
    # What JSON has no number for, or half a surrogate pair.
    except ValueError:
        return False
    return True


def _depth_is_sane(data: Any) -> bool:
    """Whether all that is in it can be reached in a few steps. It goes level by level, so it is itself in no danger."""
    level = [data]
    for _ in range(DEEPEST):
        level = [
            each
            for item in level
            for each in (item.values() if isinstance(item, dict) else item if isinstance(item, list) else ())
            if isinstance(each, (dict, list))
        ]
        if not level:
            return True
    return False


def _decides(item: dict[str, Any]) -> bool:
    kind = item.get("output_type")
    return kind in ("error", "execute_result") or (kind == "stream" and item.get("name") == "stderr")


def _output(item: dict[str, Any]) -> Any:
    kind = item.get("output_type")
    if kind == "stream":
        name = item.get("name")
        return new_output("stream", name="stderr" if name == "stderr" else "stdout", text=_text(item.get("text")))
    if kind == "error":
        lines = item.get("traceback")
        lines = lines if isinstance(lines, list) else []
        if len(lines) > MOST_LINES:
            lines = [*lines[: MOST_LINES // 2], *lines[-MOST_LINES // 2 :]]
        traceback = [_text(line) for line in lines]
        return new_output(
            "error", ename=_text(item.get("ename")), evalue=_text(item.get("evalue")), traceback=traceback
        )
    if kind in ("display_data", "execute_result"):
        data = item.get("data")
        shown = _shown(data.items()) if isinstance(data, dict) else {}
        if kind == "execute_result":
            # One that shows nothing is still the cell's result.
            shown = shown or {"text/plain": ""}
            return new_output(kind, data=shown, execution_count=count(item.get("execution_count")))
        return new_output(kind, data=shown) if shown else None
    return None


def _shown(data: Iterable[tuple[str, Any]]) -> dict[str, str]:
    shown = {}
    for mime, content in data:
        if mime == "text/plain" or (mime in _PICTURES and _BASE64.fullmatch(_text(content))):
            shown[mime] = _text(content)
        elif mime == "text/html" and is_tame(html := _text(content)):
            shown[mime] = _cleaner().clean(html)
        elif mime == "text/html":
            shown.setdefault("text/plain", html)
    return shown


def _text(content: Any) -> str:
    text = content if isinstance(content, str) else ""
    # Half a surrogate pair cannot be stored.
    return text.encode(errors="replace").decode()


@cache
def _cleaner() -> Any:
    tags = frozenset((*bleach.sanitizer.ALLOWED_TAGS, *_TABLES))
    return bleach.sanitizer.Cleaner(tags=tags, strip=True, strip_comments=True)
