"""The map of what builds on what."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch
from matplotlib.path import Path

from bn_book.chapters import opening
from bn_book.colours import COLOURS
from bn_book.drawing import styled

#: A chapter's arrows have its colour; neighbours have different ones.
_LINES = ("with_bn", "without_bn", "green", "accent", "amber")


@styled
def needs_map(needs: Mapping[str, Sequence[str]]) -> Figure:
    """The chapters below one another, and an arrow from each that is needed to each that needs it.

    Args:
        needs: for each chapter, in order, those before it that it needs.
    """
    names = list(needs)
    fig, ax = plt.subplots(figsize=(5.2, 0.42 * len(names) + 0.3))
    ax.set(xlim=(-3.9, 6.3), ylim=(len(names) - 0.4, -0.6))
    ax.axis("off")
    for row, name in enumerate(names):
        ax.text(0.25, row, opening(name)[0], va="center", color=COLOURS["ink"])
        ax.plot(0, row, "o", color=COLOURS[_LINES[row % len(_LINES)]], ms=5)
    for name, wanted in needs.items():
        for need in wanted:
            start, end = names.index(need), names.index(name)
            # Longer arrows swing out further, so that none hides another.
            reach = -0.55 - 3.2 * ((end - start) / max(len(names) - 1, 1)) ** 0.8
            curve = Path(
                [(-0.12, start), (reach * 4 / 3, start), (reach * 4 / 3, end), (-0.18, end)],
                [Path.MOVETO, Path.CURVE4, Path.CURVE4, Path.CURVE4],
            )
            ax.add_patch(
                FancyArrowPatch(
                    path=curve, arrowstyle="-|>", mutation_scale=9, lw=1.2, color=COLOURS[_LINES[start % len(_LINES)]]
                )
            )
    return fig


def needs_in_words(needs: Mapping[str, Sequence[str]]) -> str:
    """The map in words."""
    titles = {name: opening(name)[0] for name in needs}
    free = ", ".join(titles[name] for name, wanted in needs.items() if not wanted)
    rest = "; ".join(
        f"{titles[name]} on {' and '.join(titles[each] for each in wanted)}" for name, wanted in needs.items() if wanted
    )
    return f"An arrow leads from each chapter to those that build on it. On no other build: {free}. Then build: {rest}."
