"""A figure that the reader moves with a slider, where a kernel runs and where none does.

Every frame is drawn beforehand, so the same object works in JupyterLab and on a static page; the price is the size of
the page, which is why `_svg` is thrifty.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

from matplotlib.figure import Figure

from bn_book.drawing._show import show
from bn_book.drawing._style import style
from bn_exercises.typography import as_in_a_book

if TYPE_CHECKING:
    from bn_book.explorables import Flipbook

T = TypeVar("T")


def flipbook(
    draw: Callable[[T], Figure],
    values: Sequence[T],
    *,
    label: str,
    alt: Callable[[T], str],
    format: str | Callable[[T], str] = "{:g}",
    start: int = 0,
    caption: str | None = None,
) -> Flipbook:
    """Draw one frame for each value, and let the reader slide from one to the next.

    Keep the limits of the axes the same in every frame: what moves should be what the figure is about.

    Args:
        draw: draws the figure for one value. It is called once for each value, in the book's style.
        values: the values, in the order in which they appear on the slider; at least two.
        label: what the slider sets, with its unit if it has one: `"learning rate"`. It is text, not mathematics.
        alt: tells in words what the frame for one value shows.
        format: how a value is written beside the slider: a format string, or a function.
        start: the index of the value shown first; negative counts from the end.
        caption: words to print below the frames. They are text, not HTML.

    Returns:
        The slider above the frames. Its `index` is the frame shown, and can be set.

    Raises:
        TypeError: if `draw` or `alt` is not callable, or `draw` returns something else than a figure.
        ValueError: if there are fewer than two values, `label` or an alternative text is empty, two values are written
            alike, or `start` is not the index of a value.
    """
    from bn_book.explorables import Flipbook

    values = list(values)
    _check(draw, values, label, alt, start)
    labels = _labels(values, format)
    frames = []
    for value in values:
        with style():
            fig = draw(value)
        if not isinstance(fig, Figure):
            raise TypeError(f"draw must return a matplotlib Figure, got {type(fig).__name__} for the value {value!r}")
        frames.append(show(fig, alt=alt(value)).html)
    caption = as_in_a_book(caption or "")
    return Flipbook(frames=frames, labels=labels, label=label, caption=caption, index=start % len(values))


def _check(draw: object, values: Sequence[object], label: object, alt: object, start: object) -> None:
    for name, argument in (("draw", draw), ("alt", alt)):
        if not callable(argument):
            raise TypeError(f"{name} must be a function of one value, got {type(argument).__name__}")
    if len(values) < 2:
        raise ValueError(f"values must have at least two values to flip between, got {len(values)}")
    if not isinstance(label, str) or not label.strip():
        raise ValueError(f"label must say what the slider sets, got {label!r}")
    if not isinstance(start, int) or isinstance(start, bool) or not -len(values) <= start < len(values):
        raise ValueError(f"start must be the index of one of the {len(values)} values, got {start!r}")


def _labels(values: Sequence[T], format: str | Callable[[T], str]) -> list[str]:
    write = format.format if isinstance(format, str) else format
    labels = [as_in_a_book(write(value)) for value in values]
    twice = next((text for text in labels if labels.count(text) > 1), None)
    if twice is not None:
        raise ValueError(f"format writes two of the values alike, as {twice!r}: a reader could not tell them apart")
    return labels
