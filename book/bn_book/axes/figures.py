"""Figures of the chapter on axes, its tables, and its example by hand as TeX.

Each function takes the numbers that `bn_book.axes.experiments` computed.
"""

from collections.abc import Mapping, Sequence
from fractions import Fraction

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import NullFormatter

from bn_book.axes.experiments import (
    CHANGES,
    FACES,
    GUESSING,
    NAMED,
    PARTS,
    Dice,
    Padding,
    Piece,
    hears,
    sharing,
    unchanged,
)
from bn_book.colours import COLOURS
from bn_book.drawing import SMALL, styled
from bn_book.tex import aligned
from bn_lib._arrays import Array

#: The colour and the line of each normalizer, and of each place.
LOOKS: Mapping[str, tuple[str, str]] = {
    "BN": ("with_bn", "-"),
    "BN, masked": ("with_bn", ":"),
    "BN, rows mixed": ("with_bn", "--"),
    "LN": ("green", "-"),
    "LN over time": ("green", "--"),
    "RMS": ("green", "-."),
    "DyT": ("amber", "-"),
    "SkipInit": ("amber", "--"),
    "none": ("without_bn", "-"),
    "pre": ("green", "-"),
    "post": ("amber", "-"),
    "post, warm": ("amber", "--"),
}


@styled
def dice_losses(runs: Mapping[str, Sequence[Dice]]) -> Figure:
    """The loss over training, smoothed over 50 steps, beside that of guessing: a line for each seed."""
    fig, ax = plt.subplots(figsize=(5.2, 3.8))
    ax.axhline(GUESSING, color=COLOURS["muted"], linestyle=":")
    for name, seeds in runs.items():
        colour, dash = LOOKS[name]
        for at, run in enumerate(seeds):
            smooth = np.convolve(run.losses, np.full(50, 1 / 50), mode="valid")
            ax.plot(np.arange(len(smooth)) + 50, smooth, dash, color=COLOURS[colour], label=None if at else name)
    ax.set(xlim=(0, None), ylim=(0, 2.9), xlabel="training step", ylabel="training loss (nats)")
    ax.legend(loc="upper right", ncols=2, columnspacing=1.2, handlelength=1.6, borderaxespad=0.2)
    ax.text(980, GUESSING - 0.1, f"ln {FACES}: guessing", color=COLOURS["muted"], ha="right", va="top")
    return fig


@styled
def two_dice(steps: Array, training: Array) -> Figure:
    """A training loss against steps beside that of guessing, small; all have the same axes."""
    fig, ax = plt.subplots(figsize=SMALL)
    ax.axhline(GUESSING, color=COLOURS["muted"], linestyle=":")
    ax.plot(steps, training, color=COLOURS["with_bn"])
    ax.set(xlim=(0, steps[-1]), ylim=(0, 3.2), xticks=(), yticks=(0, GUESSING), xlabel="step", ylabel="loss")
    ax.set_yticklabels(["0", "ln 6"])
    return fig


@styled
def influences(found: Mapping[str, Array]) -> Figure:
    """Which token changes the scores at which position: a square for each pair, a panel for each normalizer."""
    fig, panels = plt.subplots(len(found), 1, figsize=(5.2, 2.6 * len(found)), sharex=True)
    for ax, (name, matrix) in zip(panels, found.items(), strict=True):
        own = matrix[:, 0]
        for row, column in np.ndindex(*own.shape):
            future = column > row
            strength = float(np.clip(own[row, column], 0, 1))
            if strength > 1e-9:
                ax.add_patch(
                    Rectangle(
                        (column - 0.46, row - 0.46),
                        0.92,
                        0.92,
                        color=COLOURS["accent" if future else "with_bn"],
                        alpha=0.25 + 0.75 * strength,
                        lw=0,
                    )
                )
        ax.set(xlim=(-0.6, 5.6), ylim=(5.6, -0.6), aspect="equal", ylabel="answer at place", title=name)
        ax.set_xticks(range(6), [str(place) for place in range(1, 7)])
        ax.set_yticks(range(6), [str(place) for place in range(1, 7)])
        ax.grid(visible=False)
    panels[-1].set_xlabel("place of the changed token")
    return fig


@styled
def padding(found: Mapping[str, Sequence[Padding]]) -> Figure:
    """Wrong digits against the columns that the same sequences are padded to: medians and ranges of seeds."""
    fig, ax = plt.subplots(figsize=(5.2, 3.4))
    for name, seeds in found.items():
        colour, dash = LOOKS[name]
        wrong = 100 * np.array([each.wrong for each in seeds])
        columns = seeds[0].columns
        ax.fill_between(columns, wrong.min(axis=0), wrong.max(axis=0), color=COLOURS[colour], alpha=0.15, lw=0)
        ax.plot(columns, np.median(wrong, axis=0), dash, marker="o", markersize=4, color=COLOURS[colour], label=name)
    ax.set(xlabel="columns of the batch", ylabel="digits put wrong (%)", ylim=(0, 34))
    ax.set_xticks(seeds[0].columns)
    ax.legend(loc="upper center", ncols=len(found), columnspacing=1.0, handlelength=1.6, borderaxespad=0.2)
    return fig


@styled
def by_depth(last: Mapping[str, Mapping[int, Sequence[float]]], profiles: Mapping[str, Sequence[Array]]) -> Figure:
    """The last block's gradient against depth above, and that of every block of the deepest network below.

    Args:
        last: for each place of LN, for each depth, one number per seed.
        profiles: for each place, the gradients of all blocks, one array per seed.
    """
    fig, (above, below) = plt.subplots(2, 1, figsize=(5.2, 5.8))
    for place, of_place in last.items():
        colour, dash = LOOKS[place]
        depths, values = list(of_place), np.array(list(of_place.values()))
        above.fill_between(depths, values.min(axis=1), values.max(axis=1), color=COLOURS[colour], alpha=0.15, lw=0)
        above.plot(depths, np.median(values, axis=1), dash, marker="o", markersize=4, color=COLOURS[colour])
        blocks = np.array(profiles[place])
        places = np.arange(1, blocks.shape[1] + 1)
        below.fill_between(places, blocks.min(axis=0), blocks.max(axis=0), color=COLOURS[colour], alpha=0.15, lw=0)
        below.plot(places, np.median(blocks, axis=0), dash, color=COLOURS[colour], label=f"{place}-LN")
    start = float(np.median(last["pre"][depths[0]]))
    above.plot(depths, start * (np.array(depths) / depths[0]) ** -0.5, ":", color=COLOURS["muted"])
    above.set(xscale="log", yscale="log", ylim=(0.1, 5), xlabel="blocks", ylabel="gradient", title="of the last block")
    above.set_xticks(depths, [str(depth) for depth in depths])
    above.set_yticks([0.1, 0.3, 1, 3], ["0.1", "0.3", "1", "3"])
    below.set(yscale="log", ylim=(0.1, 5), xlabel="block", ylabel="gradient", title=f"of each of {depths[-1]} blocks")
    below.set_yticks([0.1, 0.3, 1, 3], ["0.1", "0.3", "1", "3"])
    for ax in (above, below):
        ax.xaxis.set_minor_formatter(NullFormatter())
        ax.yaxis.set_minor_formatter(NullFormatter())
    below.legend(loc="upper center", ncols=2)
    return fig


@styled
def depth_small(depths: Sequence[int], pre: Array, post: Array) -> Figure:
    """The last block's gradient against depth for both places of LN, small; all have the same axes."""
    fig, ax = plt.subplots(figsize=SMALL)
    ax.plot(depths, pre, color=COLOURS["green"])
    ax.plot(depths, post, color=COLOURS["amber"])
    ax.set(xscale="log", yscale="log", xlim=(depths[0], depths[-1]), ylim=(0.05, 20), xticks=(), yticks=())
    ax.minorticks_off()
    ax.set(xlabel="blocks", ylabel="gradient")
    return fig


@styled
def learning(runs: Mapping[str, Sequence[Array]], looks: Mapping[str, str], top: float = 4.6) -> Figure:
    """Losses over training, smoothed over 10 steps: a line for each seed.

    Args:
        runs: for each name the losses, one array per seed.
        looks: for each name the name in `LOOKS` that it looks like.
        top: the largest loss that is shown.
    """
    fig, ax = plt.subplots(figsize=(5.2, 3.8))
    ax.axhline(np.log(10), color=COLOURS["muted"], linestyle=":")
    for name, seeds in runs.items():
        colour, dash = LOOKS[looks[name]]
        for at, losses in enumerate(seeds):
            smooth = np.convolve(losses, np.full(10, 0.1), mode="valid")
            ax.plot(np.arange(len(smooth)) + 10, smooth, dash, color=COLOURS[colour], label=None if at else name)
    ax.set(xlim=(0, None), ylim=(0, top), xlabel="training step", ylabel="loss (nats)")
    ax.legend(loc="upper right", handlelength=1.6, borderaxespad=0.2)
    return fig


@styled
def means_per_step(means: Array) -> Figure:
    """The running mean of each unit at each step, in standard deviations: a line for each unit."""
    fig, ax = plt.subplots(figsize=(5.2, 3.0))
    ax.plot(np.arange(1, len(means) + 1), means, color=COLOURS["with_bn"], alpha=0.5, lw=1)
    ax.axhline(0, color=COLOURS["muted"], lw=1)
    ax.set(xlabel="step of the sequence", ylabel="running mean (std)")
    ax.set_xticks(range(1, len(means) + 1, 3))
    return fig


@styled
def shared_means() -> Figure:
    """Each named normalizer, small: a row of maps for each sample, and the values that share a mean with one."""
    shape = samples, channels, rows, columns = 3, 4, 2, 3
    chosen = 1, 1, 0, 1
    fig, axes = plt.subplots(2, 3, figsize=(5.2, 2.9))
    for ax, (name, choice) in zip(axes.flat, NAMED.items(), strict=True):
        for n, c in np.ndindex(samples, channels):
            x, y = c * (columns + 1), -n * (rows + 1)
            for i, j in np.argwhere(sharing(choice, shape, chosen)[n, c]):
                ax.add_patch(Rectangle((x + j, y - i), 1, -1, color=COLOURS["accent"], linewidth=0))
            ax.add_patch(Rectangle((x, y), columns, -rows, fill=False, edgecolor=COLOURS["muted"], linewidth=0.8))
        ax.set_title(name.replace(", each", ",\neach"), fontsize="medium")
        ax.set(aspect="equal", xlim=(-0.3, channels * (columns + 1)), ylim=(-samples * (rows + 1), 0.3))
        ax.set_axis_off()
    return fig


# Tables


def table_of_invariances() -> str:
    """What may be shifted and scaled without a change of the output, tried for each named normalizer, as Markdown."""
    lines = ["| | " + " | ".join(NAMED) + " |", "|:--|" + ":-:|" * len(NAMED)]
    for part in PARTS:
        cells = []
        for choice in NAMED.values():
            free = [change for change in CHANGES if unchanged(choice, part, change)]
            cells.append(" ".join(free) if free else "–")
        lines.append(f"| {part} | " + " | ".join(cells) + " |")
    heard = [
        ", ".join(
            word
            for word, axes in (("samples", (0,)), ("channels", (1,)), ("positions", (2, 3)))
            if any(hears(choice, axis) for axis in axes)
        )
        for choice in NAMED.values()
    ]
    return "\n".join([*lines, "| *hears other* | " + " | ".join(heard) + " |"])


def table_of_sorters(wrong: Mapping[str, Mapping[str, Sequence[float]]], names: Mapping[str, str]) -> str:
    """Digits put wrong, in percent, with running and with batch statistics: the median and the range over seeds."""
    lines = ["| | in use | with the batch's statistics |", "|:--|--:|--:|"]
    for norm, of_norm in wrong.items():
        cells = [
            f"{100 * np.median(values):.1f} ({100 * min(values):.1f} to {100 * max(values):.1f})"
            for values in of_norm.values()
        ]
        lines.append(f"| {names[norm]} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


# The example by hand


def fraction(value: Fraction) -> str:
    """A fraction as TeX."""
    sign = "-" if value < 0 else ""
    if value.denominator == 1:
        return f"{sign}{abs(value.numerator)}"
    return rf"{sign}\tfrac{{{abs(value.numerator)}}}{{{value.denominator}}}"


def worked_piece(name: str, piece: Piece) -> str:
    """A piece's mean, variance and normalized values as TeX, to the last digit."""

    def listed(values: Sequence[Fraction]) -> str:
        return r",\; ".join(rf"{{{fraction(value)}}}" for value in values)

    away = [value - piece.mean for value in piece.values]
    squares = " + ".join(fraction(value**2) for value in away)
    return aligned(
        rf"{name}:\quad \mu &= \tfrac{{1}}{{{len(piece.values)}}}({_sum(piece.values)}) = {fraction(piece.mean)}",
        rf"\sigma^2 &= \tfrac{{1}}{{{len(piece.values)}}}({squares}) = {fraction(piece.std**2)}",
        rf"\hat x &= ({listed(piece.out)})",
    )


def _sum(values: Sequence[Fraction]) -> str:
    first, *others = values
    return fraction(first) + "".join(f" {'-' if v < 0 else '+'} {fraction(abs(v))}" for v in others)


def span(values: Sequence[float], digits: int = 2) -> str:
    """The least and the most, in words."""
    low, high = f"{min(values):.{digits}f}", f"{max(values):.{digits}f}"
    return low if low == high else f"{low} to {high}"
