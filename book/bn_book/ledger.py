"""The claims ledger: every claim of the book, as a picture of all of them and as cards in MyST Markdown for its page.

The book renders it, a test reads that page, `make claims` runs it with more seeds. What a claim is, and how it is
measured, is in `bn_book.claims`.
"""

import importlib
import math
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from html import escape
from multiprocessing import get_context
from typing import TypeAlias

from bn_book.chapters import chapters
from bn_book.claims import Claim, Measured
from bn_exercises.typography import as_in_a_book
from bn_lib._progress import progress_bar

HOLDS, NOT_HERE, FAILS = "✓ holds", "≠ did not reproduce here", "✗ not as the book says"

#: What each kind says before its source.
KINDS = {
    "made by": "A claim made by",
    "put to the test": "Put to the test: a claim of",
    "an identity": "An identity, checked in code:",
}

Results = Mapping[str, Sequence[Measured]]
Numbers: TypeAlias = tuple[Mapping[str, float], Mapping[str, float]]  # of some claims: ours, and the wrong results
Each: TypeAlias = Callable[..., Iterable[Numbers]]


def claims() -> dict[str, tuple[Claim, ...]]:
    """Every claim in the book, by chapter, in the order of the chapters.

    Raises:
        ValueError: if two claims have the same name.

    Examples:
        >>> tuple(claims()) == chapters()
        True
    """
    found: dict[str, tuple[Claim, ...]] = {
        chapter: importlib.import_module(f"bn_book.{chapter}.claims").CLAIMS for chapter in chapters()
    }
    names = [claim.name for of_chapter in found.values() for claim in of_chapter]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise ValueError(f"claims share a name: {sorted(twice)}; expected every name once")
    return found


def measured(seeds: int | None = None, *, of: Sequence[str] = (), each: Each = map, progress: bool = False) -> Results:
    """Measure every claim.

    A chapter's claims with one seed are one task, because they share experiments.

    Args:
        seeds: how many, from 0; by default each claim's own number.
        of: the chapters whose claims are measured; by default all.
        each: what goes through the tasks: `map`, or an executor's, which may do it elsewhere.
        progress: whether to show how far it is.

    Examples:
        >>> with bn_book.ledger.all_cores() as each:  # doctest: +SKIP
        ...     results = bn_book.ledger.measured(5, each=each)
    """
    of_chapters = {chapter: found for chapter, found in claims().items() if not of or chapter in of}
    tasks = [
        (chapter, seed, seeds)
        for chapter, of_chapter in of_chapters.items()
        for seed in range(seeds or max(claim.seeds for claim in of_chapter))
    ]
    values: dict[str, list[float]] = {}
    rejected: dict[str, float] = {}
    with progress_bar(len(tasks), progress, "run") as bar:
        for ours, wrong in each(_with_seed, *zip(*tasks, strict=True)):
            for name, value in ours.items():
                values.setdefault(name, []).append(value)
            rejected |= wrong
            bar.update()
    return {
        chapter: tuple(Measured(claim, tuple(values[claim.name]), rejected[claim.name]) for claim in of_chapter)
        for chapter, of_chapter in of_chapters.items()
    }


def _with_seed(chapter: str, seed: int, seeds: int | None) -> Numbers:
    """A chapter's claims with one seed: our numbers, and with the first seed what the wrong results give."""
    asked = [claim for claim in claims()[chapter] if seed < (seeds or claim.seeds)]
    wrong = asked if seed == 0 else []
    return (
        {claim.name: float(claim.measure(seed)) for claim in asked},
        {claim.name: float(claim.gives()) for claim in wrong},
    )


@contextmanager
def all_cores() -> Iterator[Each]:
    """A `map` that works on all cores, in processes of their own; where there is one core, as in a browser, `map`."""
    cores = os.cpu_count() or 1
    if cores == 1:
        yield map
        return
    with ProcessPoolExecutor(cores, mp_context=get_context("spawn")) as executor:
        yield executor.map


def verdict(result: Measured) -> str:
    """In words, with a sign before them: whether it holds, did not reproduce here, or is not as the book says."""
    if not result.as_said:
        return FAILS
    return HOLDS if result.holds else NOT_HERE


def summary(results: Results) -> str:
    """How many claims there are of each kind and how many hold, in one line of Markdown."""
    every = [result for of_chapter in results.values() for result in of_chapter]
    counts = {v: sum(verdict(result) == v for result in every) for v in (HOLDS, NOT_HERE, FAILS)}
    kinds = [sum(result.claim.kind == kind for result in every) for kind in KINDS]
    failing = f" {counts[FAILS]} are not as the book says." if counts[FAILS] else ""
    return (
        f"**{len(every)} claims: {counts[HOLDS]} hold, {counts[NOT_HERE]} did not reproduce here.{failing}** "
        f"{kinds[0]} are made by the paper named, {kinds[1]} put one to the test, {kinds[2]} are identities."
    )


# The picture


def picture(results: Results) -> str:
    """All claims in HTML, a row for each: its band, a dot for each seed, a cross for the wrong result.

    Every row is a link to its card and says its numbers to who cannot see it.
    """
    rows = "\n".join(_row(result) for of_chapter in results.values() for result in of_chapter)
    return f'<ul class="bn-ledger">\n{rows}\n</ul>'


def place(value: float, band: tuple[float, float]) -> float:
    """Where a value is drawn, in percent of the row's width; a band with two ends is drawn from 20 to 80.

    Within a band with two ends the scale is even. A band with one end goes on to the edge of the row. There, and beyond
    any band, the scale is ever narrower, so that everything has a place. What is outside has a step to go: it never
    touches the band.

    Args:
        value: the value.
        band: the lowest and highest value that supports the claim.
    """
    low, high = band
    if math.isnan(value):
        return 3.0
    if math.isinf(low):
        return 100 - place(-value, (-high, math.inf))
    width = high - low if math.isfinite(high) else (abs(low) or 1.0)
    beyond = (value - low) / width  # 0 at the lower end, 1 at the upper
    if beyond < 0:
        return 16 - 13 * _narrower(-beyond)
    if math.isinf(high):
        return 20 + 77 * _narrower(beyond)
    return 20 + 60 * beyond if beyond <= 1 else 84 + 13 * _narrower(beyond - 1)


def _narrower(distance: float) -> float:
    """From 0 up to 1, which is reached at infinity only."""
    return 1.0 if math.isinf(distance) else distance / (1 + distance)


def _row(result: Measured) -> str:
    claim = result.claim
    kind = {HOLDS: "holds", NOT_HERE: "not-here", FAILS: "fails"}[verdict(result)]
    dots = "".join(f'<i style="left:{place(value, claim.band):.1f}%"></i>' for value in result.values)
    wrong = f'<b style="left:{place(result.rejected, claim.band):.1f}%">×</b>'
    ends = " bn-below" if math.isinf(claim.band[0]) else " bn-open" if math.isinf(claim.band[1]) else ""
    said = as_in_a_book(f"{verdict(result)[2:]}: {number(result.value)}, where {band(*claim.band)} is expected")
    return (
        f'<li class="bn-{kind}"><a href="#claim-{claim.name}"><span>{escape(title(claim.name))}</span>'
        f'<span class="bn-said"> {escape(said)}</span></a>'
        f'<span class="bn-band{ends}" aria-hidden="true">{wrong}{dots}</span></li>'
    )


# What is not written as it stands in a claim's name.
_WRITTEN = {
    "bn": "BN",
    "gn": "GN",
    "ln": "LN",
    "relu": "ReLU",
    "relus": "ReLUs",
    "skipinit": "SkipInit",
    "gaussian": "Gaussian",
    "gamma": "γ",
    "lambda": "λ",
    "xhat": "x̂",
}


def title(name: str) -> str:
    """A claim's name as a row's title.

    Examples:
        >>> title("gn-beats-ln-at-32")
        'GN beats LN at 32'
    """
    words = name.replace("bn-lib", "bn_lib").replace("x-hat", "xhat").replace("pre-act", "preact").split("-")
    first, *others = (_WRITTEN.get(word, word) for word in words)
    return " ".join([first if first in ("bn_lib", "x̂") else first[0].upper() + first[1:], *others])


# The cards


def cards(results: Results) -> str:
    """Every claim as a folded card, under its chapter: what it is, our number, the band, and what was run.

    Sources are citations and chapters are links, so the text must be parsed as MyST (in a notebook's output:
    `mystnb: {markdown_format: myst}` in the metadata of the cell), on a page in the folder above `chapters`.
    """
    parts = []
    for chapter, of_chapter in results.items():
        parts.append(f"**{{doc}}`chapters/{chapter}`**")
        parts.extend(_card(result) for result in of_chapter)
    return "\n\n".join(parts)


def _card(result: Measured) -> str:
    claim = result.claim
    seeds = "" if len(result.values) == 1 else f" (mean of {len(result.values)} seeds: {_listed(result.values)})"
    return "\n".join(
        (
            f":::{{dropdown}} {verdict(result)} · {plain(claim.says)}",
            f"(claim-{claim.name})=",
            f"{KINDS[claim.kind]} {{cite:t}}`{claim.source}`.",
            "",
            f"**{number(result.value)}** {plain(claim.unit)}{seeds}  ",
            f"range: {band(*claim.band)}; it rejects {plain(claim.wrong)}: {number(result.rejected)}",
            "",
            f"Run here: {plain(claim.run)}",
            ":::",
        )
    )


def _listed(values: Iterable[float]) -> str:
    return ", ".join(number(value) for value in values)


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
