"""An image of the digits, drawn as squares of ink."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from bn_book.colours import COLOURS
from bn_lib._arrays import Array


def draw_digit(ax: Axes, image: Array) -> None:
    """Draw an image in axes of its size, one square of ink for each pixel, and nothing else of the axes.

    Ink on the page rather than a picture, which could not follow the page into dark mode.

    Args:
        ax: what to draw in.
        image: `(rows, columns)`, values from 0 (no ink) to 1.
    """
    rows, columns = image.shape
    for (i, j), ink in np.ndenumerate(image):
        if ink > 0:
            ax.add_patch(
                Rectangle((j, rows - 1 - i), 1, 1, color=COLOURS["ink"], alpha=round(float(ink), 2), linewidth=0)
            )
    ax.add_patch(Rectangle((0, 0), columns, rows, fill=False, edgecolor=COLOURS["muted"], linewidth=0.8))
    ax.set(xlim=(0, columns), ylim=(0, rows), aspect="equal")
    ax.axis("off")
