"""Put one Matplotlib figure on a page, or one among those of a question, named for those who cannot see it."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from io import BytesIO

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from bn_book.colours import COLOURS
from bn_book.drawing._style import style
from bn_book.drawing._svg import page_svg, raw_svg
from bn_exercises.check_yourself.question import Plot
from bn_exercises.typography import as_in_a_book

#: The size, in inches, of a plot that a question shows beside others: 12 points are 11 pixels or more there.
SMALL = (1.85, 1.5)

_serial = itertools.count(1)


@dataclass(frozen=True)
class InlineFigure:
    """A figure that a notebook or a page shows as inline SVG.

    Attributes:
        html: a `<figure>` element.
        alt: what the figure says, in words.
    """

    html: str
    alt: str

    def _repr_html_(self) -> str:
        return self.html

    def __repr__(self) -> str:
        return f"[figure: {self.alt}]"


def show(fig: Figure, *, alt: str, caption: str | None = None) -> InlineFigure:
    """Show `fig` in the page, in the page's colours, and close it.

    Text stays text, the background is the page's, and every colour of `COLOURS` follows the page's theme. Two calls
    never share an id, so any number of figures can stand on one page.

    Args:
        fig: the figure. The theme reaches its colours if it was drawn in the book's style, as by a `styled` function.
        alt: one or two sentences that tell what the figure shows to someone who cannot see it.
        caption: words to print below the figure. They are text, not HTML.

    Returns:
        What to leave as the last expression of a cell, or to give to `IPython.display.display`.

    Raises:
        TypeError: if `fig` is not a Matplotlib figure, or `alt` or `caption` not a string.
        ValueError: if `alt` is empty.
    """
    if not isinstance(fig, Figure):
        raise TypeError(f"fig must be a matplotlib Figure, got {type(fig).__name__}")
    if not isinstance(alt, str):
        raise TypeError(f"alt must be a string, got {type(alt).__name__}")
    if not alt.strip():
        raise ValueError("alt must say in words what the figure shows, got an empty string")
    if caption is not None and not isinstance(caption, str):
        raise TypeError(f"caption must be a string or None, got {type(caption).__name__}")
    svg = _svg_of(fig, alt=alt)
    below = f"<figcaption>{escape(as_in_a_book(caption))}</figcaption>" if caption else ""
    return InlineFigure(
        html=f'<figure class="bn-figure" style="margin-left:0;margin-right:0">{svg}{below}</figure>', alt=alt
    )


@dataclass(frozen=True)
class Drawing:
    """One of the plots that a question lets the reader choose from, drawn when somebody shows it."""

    draw: Callable[..., Figure]
    args: tuple[object, ...]

    def __call__(self, alt: str, prefix: str) -> str:
        """As a page shows it: an `<svg>` in the page's colours, from words and from what its ids begin with."""
        return _svg_of(self.draw(*self.args), alt=alt, prefix=prefix)

    def png(self) -> bytes:
        """As a file, on white paper, for a page that is not ours."""
        fig = self.draw(*self.args)
        with style(), BytesIO() as file:
            fig.savefig(file, format="png", dpi=200, facecolor=COLOURS["paper"], metadata={"Software": None})
            plt.close(fig)
            return file.getvalue()


def plot(draw: Callable[..., Figure], *args: object) -> Plot:
    """One of the plots that a question lets the reader choose from.

    All of a question's have the size `SMALL` and the same limits, because they stand side by side to be compared.

    Args:
        draw: draws the figure.
        args: what it draws.
    """
    return Drawing(draw, args)


def _svg_of(fig: Figure, *, alt: str, prefix: str | None = None) -> str:
    with style():  # some settings are read only while drawing
        raw = raw_svg(fig)
    plt.close(fig)
    # The serial number parts the figures of one notebook, the digest two notebooks open in one JupyterLab.
    digest = hashlib.sha256(raw.encode()).hexdigest()[:6]
    prefix = prefix or f"bn{next(_serial)}-{digest}-"
    return page_svg(raw, alt=as_in_a_book(" ".join(alt.split())), prefix=prefix)
