"""The chapters: their order, which `_toc.yml` has, and nothing else; and what its page says of itself."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
#: Where their pages are, in the repository and on the site.
FOLDER = "book/chapters/"


def chapters(toc: Path = ROOT / "_toc.yml") -> tuple[str, ...]:
    """The names of the chapters, in their order: each is that of a page, of a room beside this file, and of its test.

    Args:
        toc: a table of contents of Jupyter Book's. Its pages in `book/chapters` are the chapters.

    Raises:
        FileNotFoundError: if there is none, as where `bn_book` was installed without the repository.

    Examples:
        >>> "forward" in chapters()
        True
    """
    pages = _pages(yaml.safe_load(toc.read_text(encoding="utf-8")))
    return tuple(page.removeprefix(FOLDER) for page in pages if page.startswith(FOLDER))


def opening(chapter: str, folder: Path = ROOT / FOLDER) -> tuple[str, str]:
    """A chapter's title, which is its page's heading, and the question it answers, `question` at the page's head.

    Raises:
        ValueError: if the page lacks one of the two.
    """
    page = folder / f"{chapter}.md"
    text = page.read_text(encoding="utf-8")
    head = re.match(r"---\n(.*?\n)---\n", text, re.DOTALL)
    question = (yaml.safe_load(head[1]) if head else {}).get("question")
    title = re.search(r"^# (.+)$", text, re.MULTILINE)
    if not title or not question:
        missing = "a heading" if not title else "the question that it answers (`question: ...` at its head)"
        raise ValueError(f"{page.name} lacks {missing}; the cover shows both")
    return title[1], str(question)


def key_points(chapter: str, folder: Path = ROOT / FOLDER) -> str:
    """A chapter's key points, what stands under that heading on its page, as MyST Markdown.

    Raises:
        ValueError: if the page has no such section, or nothing in it.
    """
    page = folder / f"{chapter}.md"
    found = re.search(r"(?ms)^## Key points\n(.*?)(?=^#|^\(\S+\)=\n|\Z)", page.read_text(encoding="utf-8"))
    points = found[1].strip() if found else ""
    if not points:
        raise ValueError(f"{page.name} lacks its key points (three sentences under `## Key points`)")
    return points


def _pages(entry: Any) -> Iterator[str]:
    """The files that an entry of a table of contents names, at any depth."""
    if isinstance(entry, list):
        for each in entry:
            yield from _pages(each)
    elif isinstance(entry, dict):
        for key, value in entry.items():
            if key == "file":
                yield value
            else:
                yield from _pages(value)
