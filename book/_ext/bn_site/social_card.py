"""The picture that is shown with a link to the book: its title, and batches that all look alike to the layer."""

from __future__ import annotations

from pathlib import Path
from textwrap import fill

import numpy as np
from matplotlib import pyplot as plt

from bn_book.drawing import COLOURS, style
from bn_lib import batch_norm

SIZE = (1200, 630)  # pixels, as those who show links ask for
BATCH = np.array([1.0, 2.0, 4.0, 5.0, 8.0])
CHANGES = ((0.5, -6.0), (1.0, 0.0), (2.0, -8.0))  # stretch and shift


def draw(path: Path, title: str) -> None:
    """Draw the card of a book, whose title may have a second half behind a colon."""
    name, _, rest = title.partition(": ")
    paper = COLOURS["paper"]
    dots = {"markersize": 17, "markeredgecolor": paper, "markeredgewidth": 2}
    with style(), plt.rc_context({"figure.constrained_layout.use": False, "axes.grid": False}):
        figure = plt.figure(figsize=(SIZE[0] / 100, SIZE[1] / 100), dpi=100, facecolor=paper)
        write = {"x": 0.06, "color": COLOURS["ink"], "va": "top", "transform": figure.transFigure}
        figure.text(y=0.86, s=fill(name, 14), fontsize=50, weight="bold", linespacing=1.15, **write)
        figure.text(y=0.42, s=fill(rest, 15), fontsize=30, **write | {"color": COLOURS["muted"]})

        rows = figure.add_axes((0.56, 0.1, 0.4, 0.8))
        rows.axis("off")
        for row, (stretch, shift) in enumerate(CHANGES):
            values = stretch * BATCH + shift
            rows.plot(values, np.full(len(values), 4.0 - row), "o", color=COLOURS["without_bn"], **dots)
        y, _ = batch_norm(2.5 * BATCH[:, np.newaxis], np.full(1, 2.5), np.zeros(1))
        rows.plot(y, np.zeros(len(y)), "o", color=COLOURS["with_bn"], **dots)
        for height in (4, 3, 2, 0):
            rows.axhline(height, color=COLOURS["grid"], linewidth=2, zorder=0)
        rows.annotate("", (0, 0.5), (0, 1.5), arrowprops={"arrowstyle": "-|>", "color": COLOURS["accent"], "lw": 4})
        rows.set(xlim=(-10, 10), ylim=(-0.5, 4.5))
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=100, facecolor=paper)
        plt.close(figure)
