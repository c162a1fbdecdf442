"""The figure of the front page: a small batch that is stretched and shifted, and what BN sees of it."""

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bn_lib._arrays import Array
from bn_lib.figures import COLOURS, styled
from bn_lib.normalizers import batch_norm

BATCH = (1.0, 2.0, 4.0, 5.0, 8.0)


def normalized(values: Array) -> Array:
    """Batch Normalization of one feature, `(N,)`, with gamma = 1 and beta = 0."""
    y, _ = batch_norm(values[:, np.newaxis], np.ones(1), np.zeros(1))
    return y[:, 0]


@styled
def stretched_and_shifted(change: tuple[float, float]) -> Figure:
    """`BATCH` times a stretch plus a shift (above), and its normalized values (below), each on a line of numbers."""
    stretch, shift = change
    values = stretch * np.array(BATCH) + shift
    fig, (above, below) = plt.subplots(2, 1, figsize=(5.2, 3.0))
    _dots(above, values, COLOURS["muted"])
    above.set(xlim=(-22, 22), title=f"in: mean {values.mean():.1f}, standard deviation {values.std():.1f}")
    y = normalized(values)
    _dots(below, y, COLOURS["with_bn"])
    below.set(xlim=(-2.2, 2.2), title=f"out: mean {abs(y.mean()):.1f}, standard deviation {y.std():.1f}")
    return fig


def _dots(ax: Axes, values: Array, colour: str) -> None:
    mean, std = values.mean(), values.std()
    ax.plot((mean - std, mean + std), (0.35, 0.35), color=COLOURS["accent"], linewidth=3)
    ax.plot(mean, 0.35, "|", color=COLOURS["accent"], markersize=14, markeredgewidth=3)
    ax.plot(values, np.zeros(len(values)), "o", color=colour, markersize=10, alpha=0.75)
    ax.set(ylim=(-0.35, 0.6), yticks=[])
    ax.spines["left"].set_visible(False)
