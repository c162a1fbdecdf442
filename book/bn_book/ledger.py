"""The claims ledger: every empirical claim of the book, and as MyST Markdown for its page.

Tests run the ledger, and the book renders it. What a claim is, and how it is measured, is in `bn_book.claims`.
"""

import importlib
import math
import re
from collections.abc import Sequence
from itertools import groupby

from bn_book.chapters import chapters
from bn_book.claims import Claim, Measured

HOLDS, FAILS = "✓ holds", "✗ does not hold"


def claims() -> tuple[Claim, ...]:
    """Every claim in the book, in the order of its chapters.

    Raises:
        ValueError: if two claims have the same name.

    Examples:
        >>> claims()[0].chapter == chapters()[0]
        True
    """
    rooms = (importlib.import_module(f"bn_book.{chapter}.experiments") for chapter in chapters())
    found = tuple(claim for room in rooms for claim in room.CLAIMS)
    names = [claim.name for claim in found]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise ValueError(f"claims share a name: {sorted(twice)}; expected every name once")
    return found


def ledger(results: Sequence[Measured]) -> str:
    """Every claim as a card, under its chapter: the claim, its source, our number, the band, and what was run.

    Sources are citations and chapters are links, so the text must be parsed as MyST (in a notebook's output:
    `mystnb: {markdown_format: myst}` in the metadata of the cell), on a page in the folder above `chapters`.

    Args:
        results: measured claims; those of a chapter next to each other.
    """
    parts = []
    for chapter, group in groupby(results, key=lambda result: result.claim.chapter):
        parts.append(f"**{{doc}}`chapters/{chapter}`**")
        parts.extend(_card(result) for result in group)
    return "\n\n".join(parts)


def _card(result: Measured) -> str:
    claim = result.claim
    return "\n".join(
        (
            "::::{card}",
            ":::{card-header}",
            f"{HOLDS if result.holds else FAILS} · {{cite:t}}`{claim.source}`",
            ":::",
            plain(claim.says),
            "",
            f"**{number(result.value)}** {plain(claim.unit)}  ",
            f"range: {band(*claim.band)}",
            ":::{card-footer}",
            f"Run here: {plain(claim.run)}",
            ":::",
            "::::",
        )
    )


def number(value: float) -> str:
    """Three significant digits: `0.881`, `1440`, `3.7e-07`."""
    if value and not 1e-3 <= abs(value) < 1e5:
        return f"{value:.2g}"
    return f"{value:.{max(0, 2 - math.floor(math.log10(abs(value))))}f}" if value else "0"


def band(low: float, high: float) -> str:
    """A band in words: `0.85 to 0.9`, `at least 0.3`, `at most 2`."""
    if math.isinf(high):
        return f"at least {low:g}" if math.isfinite(low) else "any number"
    return f"{low:g} to {high:g}" if math.isfinite(low) else f"at most {high:g}"


def plain(text: str) -> str:
    """Text in which MyST finds no markup: whatever Markdown would read as such is escaped."""
    return re.sub(r"([\\`*_{}\[\]<>$|#~^%])", r"\\\1", text)
