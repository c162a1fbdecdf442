"""Figures of the chapter on where gamma and beta come from, and its example by hand as TeX.

Each function takes the numbers that `bn_book.modulation.experiments` computed.
"""

from collections.abc import Mapping, Sequence
from fractions import Fraction

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch, Rectangle
from matplotlib.path import Path

from bn_book.colours import COLOURS
from bn_book.drawing import SMALL, styled
from bn_book.modulation.experiments import LOOKS, Conditional, Drawn, Learned, NewClass
from bn_book.tex import aligned, decimal, row
from bn_lib._arrays import Array

SIDE = 8  # pixels of an image
APART = 1.5  # between two images, in pixels
GRAYS = 8  # steps of ink that are told apart

#: What is trained for a new class, its color and its line.
LOOK_OF: Mapping[Learned, tuple[str, str]] = {
    "its row": ("with_bn", "-"),
    "everything": ("without_bn", "--"),
    "everything, with the old images": ("green", "-."),
}


def draw_images(ax: Axes, images: Array) -> None:
    """Draw rows of images as squares of ink, and nothing else of the axes.

    Args:
        ax: what to draw in.
        images: `(rows, columns, 64)`, ink from 0 to 1; beyond that is cut.
    """
    rows, columns = images.shape[:2]
    ink = np.rint(np.clip(images, 0, 1).reshape(rows, columns, SIDE, SIDE) * GRAYS).astype(int)
    pitch = SIDE + APART
    square = np.array([(0, 0), (1, 0), (1, 1), (0, 1), (0, 0)])
    codes = [Path.MOVETO, *[Path.LINETO] * 3, Path.CLOSEPOLY]
    for gray in range(1, GRAYS + 1):
        r, c, i, j = np.nonzero(ink == gray)
        corners = np.stack([c * pitch + j, (rows - 1 - r) * pitch + SIDE - 1 - i], axis=1)
        path = Path((corners[:, np.newaxis] + square).reshape(-1, 2), codes * len(corners))
        ax.add_patch(PathPatch(path, facecolor=COLOURS["ink"], alpha=gray / GRAYS, linewidth=0))
    for down in range(rows):
        for along in range(columns):
            place = (along * pitch, down * pitch)
            ax.add_patch(Rectangle(place, SIDE, SIDE, fill=False, edgecolor=COLOURS["grid"], linewidth=0.8))
    ax.set(xlim=(-0.2, columns * pitch - APART + 0.2), ylim=(-0.2, rows * pitch - APART + 0.2), aspect="equal")
    ax.axis("off")


@styled
def pictures(drawn: Mapping[str, Array]) -> Figure:
    """What generators draw: a strip for each, with its name above, an image of each class.

    Args:
        drawn: for each name `(10, 64)`.
    """
    fig, panels = plt.subplots(len(drawn), 1, figsize=(5.2, 0.9 * len(drawn)), squeeze=False)
    for ax, (name, images) in zip(panels[:, 0], drawn.items(), strict=True):
        draw_images(ax, images[np.newaxis])
        ax.set_title(name, loc="left")
    return fig


@styled
def given_contrast(content: Array, style: Array, result: Array) -> Figure:
    """Two images, and the first with the mean and the deviation of the second."""
    fig, panels = plt.subplots(1, 3, figsize=(5.2, 2.5))
    names = ("content", "style", "result")
    for ax, name, image in zip(panels, names, (content, style, result), strict=True):
        draw_images(ax, image[np.newaxis, np.newaxis])
        ax.set_title(f"{name}\nmean {image.mean():.2f}\nstd {image.std():.2f}", loc="left")
    return fig


@styled
def shares(found: Mapping[str, Mapping[str, Sequence[Drawn]]], xlabel: str = "right, by the judge") -> Figure:
    """The share of images in which the judge sees the class that was asked for: a dot for each seed.

    Args:
        found: for each group, for each name in it, one result per seed.
        xlabel: of the axis.
    """
    rows = sum(bool(group) + len(of_group) for group, of_group in found.items())
    fig, ax = plt.subplots(figsize=(5.2, 0.32 * rows + 0.8))
    y = 0.0
    ticks, names = [], []
    for group, of_group in found.items():
        if group:
            y -= 1
            ax.text(0.01, y, group, va="center", color=COLOURS["muted"])
        for name, runs in of_group.items():
            y -= 1
            colour = "without_bn" if group == "without a normalizer" else "with_bn"
            values = [run.right for run in runs]
            ax.plot(values, np.full(len(values), y), "o", color=COLOURS[colour], alpha=0.8, markersize=5)
            ticks.append(y)
            names.append(name)
        y -= 0.2
    ax.set(xlim=(0, 1.02), ylim=(y - 0.4, -0.3), xlabel=xlabel)
    ax.set_yticks(ticks, names)
    ax.tick_params(axis="y", length=0, pad=1)
    fig.set_layout_engine("constrained", w_pad=0.16)  # letters that a phone keeps large reach to the left
    ax.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
    return fig


@styled
def new_class(found: Mapping[Learned, Sequence[NewClass]]) -> Figure:
    """A class that is learned afterwards: above how many of its images are right, below how many of the others'."""
    fig, panels = plt.subplots(2, 1, figsize=(5.2, 6.0), sharex=True, sharey=True)
    for ax, what, title in zip(panels, ("new", "old"), ("the new class", "the nine old classes"), strict=True):
        for learned, runs in found.items():
            colour, dash = LOOK_OF[learned]
            values = np.array([getattr(run, what) for run in runs])
            ax.fill_between(LOOKS, values.min(axis=0), values.max(axis=0), color=COLOURS[colour], alpha=0.15, lw=0)
            ax.plot(LOOKS, np.median(values, axis=0), dash, color=COLOURS[colour], label=f"trained: {learned}")
        ax.set(ylim=(-0.03, 1.03), xlim=(0, LOOKS[-1]), ylabel="right, by the judge", title=title)
        ax.set_yticks([0, 0.5, 1], ["0", "0.5", "1"])
    panels[0].legend(loc="lower left", bbox_to_anchor=(-0.14, 1.12), borderaxespad=0.2)
    panels[1].set_xlabel("step after training")
    return fig


@styled
def old_and_new(steps: Sequence[int], old: Sequence[float], new: Sequence[float]) -> Figure:
    """The same for one run, small: the old classes in blue, the new one in orange. All have the same axes."""
    fig, ax = plt.subplots(figsize=SMALL)
    ax.plot(steps, old, color=COLOURS["with_bn"])
    ax.plot(steps, new, color=COLOURS["without_bn"])
    ax.set(xlim=(0, steps[-1]), ylim=(-0.05, 1.05), xticks=(), yticks=(), xlabel="step", ylabel="right")
    return fig


@styled
def attention(weights: Array) -> Figure:
    """How much of the first of two maps each test image gets, those in ink above and their negatives below.

    Args:
        weights: `(2, images)`.
    """
    fig, panels = plt.subplots(2, 1, figsize=(5.2, 3.6), sharex=True, sharey=True)
    edges = np.linspace(0, 1, 26)
    for ax, values, name in zip(panels, weights, ("digits in ink", "negatives"), strict=True):
        ax.hist(values, edges, color=COLOURS["with_bn"])
        ax.set(title=name, ylabel="images", xlim=(0, 1))
    panels[1].set_xlabel("part of map 1")
    return fig


# The worked example


def worked_forward(example: Conditional) -> str:
    """Conditional BN of a few values, as TeX."""
    mean, deviation = decimal(example.mean), decimal(example.deviation)
    squares = " + ".join(decimal((x - example.mean) ** 2) for x in example.x)
    lines = [
        rf"\mu &= \tfrac{{1}}{{{len(example.x)}}} ({' + '.join(decimal(x) for x in example.x)}) = {mean}",
        rf"\sigma^2 &= \tfrac{{1}}{{{len(example.x)}}} ({squares}) = {decimal(example.variance)}",
        rf"\hat x &= (x - {mean}) / {deviation} = {row(example.x_hat)}",
    ]
    for x, c, y in zip(example.x_hat, example.labels, example.y, strict=True):
        i = len(lines) - 2
        lines.append(
            rf"y_{i} &= {decimal(example.gamma[c])} \cdot {decimal(x, parentheses=True)} "
            rf"+ {decimal(example.beta[c], parentheses=True)} = {decimal(y)}"
        )
    return aligned(*lines)


def worked_back(example: Conditional) -> str:
    """The way back, as TeX."""
    n = len(example.x)
    back = [example.gamma[c] * dy for dy, c in zip(example.dy, example.labels, strict=True)]
    level = sum(back, Fraction(0)) / n
    along = sum((b * x for b, x in zip(back, example.x_hat, strict=True)), Fraction(0)) / n
    return aligned(
        rf"d\beta &= {row(example.dbeta)}",
        rf"d\gamma &= {row(example.dgamma)}",
        rf"d\hat x &= {row(back)}",
        rf"\overline{{d\hat x}} &= {decimal(level)}, \quad \overline{{d\hat x\,\hat x}} = {decimal(along)}",
        rf"dx_i &= \bigl(d\hat x_i - {decimal(level, parentheses=True)} "
        rf"- {decimal(along, parentheses=True)}\,\hat x_i\bigr) / {decimal(example.deviation)}",
        rf"dx &= {row(example.dx)}",
    )


def in_words(values: Sequence[float]) -> str:
    """Numbers of seeds, the least and the most."""
    return f"{min(values):.2f} to {max(values):.2f}"
