"""Figures and tables of the chapter on medical images, and its example by hand as TeX.

Each function takes the numbers that `bn_book.medical.experiments` computed.
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
from bn_book.medical.experiments import Decision, FiveValues, Reliability, standardized
from bn_book.medical.phantoms import SIDE
from bn_book.tex import aligned, decimal, row
from bn_lib._arrays import Array

GRAYS = 12  # steps that are told apart

#: A colour and a line for each method that is drawn as a curve.
LOOKS: Mapping[str, tuple[str, str]] = {
    "none": ("without_bn", "--"),
    "z-score": ("green", "-"),
    "BN": ("with_bn", "--"),
    "BN, recomputed": ("with_bn", "-"),
    "IN": ("amber", "-."),
    "GN": ("amber", ":"),
    "matched": ("muted", ":"),
    "preserved": ("accent", "-"),
}


def draw_scan(ax: Axes, image: Array) -> None:
    """Draw an image `(16, 16)` in gray, from its smallest value to its largest, and nothing else of the axes."""
    low, high = image.min(), image.max()
    gray = np.rint((image - low) / (high - low) * GRAYS).astype(int)
    square = np.array([(0, 0), (1, 0), (1, 1), (0, 1), (0, 0)])
    codes = [Path.MOVETO, *[Path.LINETO] * 3, Path.CLOSEPOLY]
    for step in range(1, GRAYS + 1):
        down, along = np.nonzero(gray == step)
        corners = np.stack([along, SIDE - 1 - down], axis=1)
        path = Path((corners[:, np.newaxis] + square).reshape(-1, 2), codes * len(corners))
        ax.add_patch(PathPatch(path, facecolor=COLOURS["ink"], alpha=step / GRAYS, linewidth=0))
    ax.add_patch(Rectangle((0, 0), SIDE, SIDE, fill=False, edgecolor=COLOURS["grid"], linewidth=0.8))
    ax.set(xlim=(-0.2, SIDE + 0.2), ylim=(-0.2, SIDE + 0.2), aspect="equal")
    ax.axis("off")


@styled
def three_scanners(heads: Mapping[str, Array], values: Mapping[str, Array], z_scores: Mapping[str, Array]) -> Figure:
    """One head in three scanners, and below the histograms of their scans, as they are and as z-scores.

    Args:
        heads: an image `(16, 16)` of each scanner.
        values: intensities of many scans of each.
        z_scores: the same, each scan standardized by itself.
    """
    fig = plt.figure(figsize=(5.2, 5.4))
    grid = fig.add_gridspec(3, 3, height_ratios=(1.35, 1, 1))
    looks = dict(zip(heads, (("with_bn", "-"), ("green", "--"), ("without_bn", "-.")), strict=True))
    for k, (name, image) in enumerate(heads.items()):
        ax = fig.add_subplot(grid[0, k])
        draw_scan(ax, image)
        low, high = (
            f"{value + 0.0:.1f}".replace("-0.0", "0.0").replace("-", "−") for value in (image.min(), image.max())
        )
        ax.set_title(f"{name}\n{low} to {high}", loc="left")
    for k, (what, found, limits) in enumerate(
        (("intensity, in each scanner's units", values, (-1, 3)), ("z-score of the scan", z_scores, (-2.5, 4.5)))
    ):
        ax = fig.add_subplot(grid[1 + k, :])
        edges = np.linspace(*limits, 61)
        for name, of_scanner in found.items():
            height = np.histogram(of_scanner, edges, density=True)[0]
            ax.plot((edges[1:] + edges[:-1]) / 2, height, looks[name][1], color=COLOURS[looks[name][0]], label=name)
        ax.set(xlim=limits, ylim=(0, None), xlabel=what, yticks=())
        if not k:
            ax.set_ylabel("share of pixels", loc="top")
            ax.legend(loc="lower right", bbox_to_anchor=(1.02, 0.98), borderaxespad=0.2, ncols=3)
    return fig


@styled
def dots(
    found: Mapping[str, Mapping[str, Sequence[float]]], xlabel: str, *, limits: tuple[float, float] = (0.0, 1.02)
) -> Figure:
    """A dot for each seed, in rows: of each group, of each name in it.

    Args:
        found: the numbers of the seeds.
        xlabel: what they are.
        limits: of the axis.
    """
    rows = sum(bool(group) + len(of_group) for group, of_group in found.items())
    fig, ax = plt.subplots(figsize=(5.2, 0.3 * rows + 0.85))
    y = 0.0
    ticks, names = [], []
    span = limits[1] - limits[0]
    for group, of_group in found.items():
        if group:
            y -= 1
            ax.text(limits[0] + 0.01 * span, y, group, va="center", color=COLOURS["muted"])
        for name, values in of_group.items():
            y -= 1
            ax.plot(values, np.full(len(values), y), "o", color=COLOURS["with_bn"], alpha=0.7, markersize=5)
            ticks.append(y)
            names.append(name)
        y -= 0.2
    ax.set(xlim=limits, ylim=(y - 0.4, -0.3), xlabel=xlabel)
    ax.set_yticks(ticks, names)
    ax.tick_params(axis="y", length=0, pad=1)
    fig.set_layout_engine("constrained", w_pad=0.16)  # letters that a phone keeps large reach to the left
    return fig


@styled
def thresholds(found: Mapping[str, tuple[Array, Array]]) -> Figure:
    """Sensitivity and specificity on the unseen scanner, at the carried threshold and at the scanner's own.

    Args:
        found: for each method (carried, own), each `(seeds, 2)`.
    """
    fig, panels = plt.subplots(1, 2, figsize=(5.2, 0.36 * len(found) + 1.3), sharey=True)
    names = list(found)
    for ax, column, what in zip(panels, (0, 1), ("sensitivity", "specificity"), strict=True):
        for k, name in enumerate(names):
            for up, colour, marker, at in ((0.16, "without_bn", "o", 0), (-0.16, "with_bn", "s", 1)):
                values = found[name][at][:, column]
                ax.plot([values.min(), values.max()], [up - k] * 2, color=COLOURS[colour], linewidth=1)
                ax.plot(values.mean(), up - k, marker, color=COLOURS[colour], markersize=5,
                        label=("carried", "its own")[at] if not k else None)  # fmt: skip
        ax.set(xlim=(-0.04, 1.04), ylim=(-len(names) + 0.4, 0.6), xlabel=what)
        ax.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
    panels[0].set_yticks(-np.arange(len(names)), [name.replace(", ", ",\n") for name in names])  # a phone is narrow
    for ax in panels:
        ax.tick_params(axis="y", length=0, pad=1)
    handles, labels = panels[0].get_legend_handles_labels()
    fig.legend(handles, labels, loc="outside upper right", ncols=2, title="threshold")
    fig.set_layout_engine("constrained", w_pad=0.12)
    return fig


@styled
def reliability_curves(found: Mapping[str, tuple[Reliability, Reliability]], least: int = 20) -> Figure:
    """How often there is a lesion where a network says so with this probability: on known scanners, on the unseen one.

    Args:
        found: of each method.
        least: images that a bin must have to be drawn.
    """
    fig, panels = plt.subplots(2, 1, figsize=(5.2, 6.2), sharex=True, sharey=True)
    for ax, k, title in zip(panels, (0, 1), ("the scanners of the training", "the unseen scanner"), strict=True):
        ax.plot([0, 1], [0, 1], color=COLOURS["muted"], linewidth=1)
        for name, both in found.items():
            there = both[k].count >= least
            colour, dash = LOOKS[name]
            ax.plot(both[k].said[there], both[k].seen[there], dash, marker="o", markersize=4, color=COLOURS[colour],
                    label=name)  # fmt: skip
        ax.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), title=title, ylabel="share with a lesion")
        ax.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
        ax.set_yticks([0, 0.5, 1], ["0", "0.5", "1"])
    panels[0].legend(loc="lower left", bbox_to_anchor=(-0.1, 1.13), borderaxespad=0.2, ncols=2)
    panels[1].set_xlabel("probability that the network gives")
    return fig


@styled
def companies(shares: Sequence[float], found: Mapping[str, Array]) -> Figure:
    """The score of the same patients, by the share of ill ones in their mini-batch: a line each, and their mean.

    Args:
        shares: of the mini-batch.
        found: for each method `(shares, patients)`.
    """
    fig, panels = plt.subplots(1, len(found), figsize=(5.2, 2.9), sharey=True)
    for ax, (name, logits) in zip(np.atleast_1d(panels), found.items(), strict=True):
        colour = LOOKS[name][0]
        ax.axhline(0, color=COLOURS["muted"], linewidth=1, linestyle=":")
        ax.plot(shares, logits, color=COLOURS[colour], alpha=0.3, linewidth=0.8)
        ax.plot(shares, logits.mean(axis=1), color=COLOURS[colour], linewidth=2.2)
        ax.set(xlim=(0, 1), title=name, xlabel="share of ill in the batch")
        ax.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
    np.atleast_1d(panels)[0].set_ylabel("score (logit)")
    return fig


@styled
def by_scanner(xs: Sequence[float], found: Mapping[str, Array], xlabel: str, trained: Sequence[float]) -> Figure:
    """The AUC and the specificity at the carried threshold, by one property of the scanner. Bands are seeds.

    Args:
        xs: of the scanner.
        found: for each method `(seeds, xs, 2 or more)`; the first two of the last are drawn.
        xlabel: what is varied.
        trained: what the scanners of the training have.
    """
    fig, panels = plt.subplots(2, 1, figsize=(5.2, 6.0), sharex=True)
    for ax, k, what in zip(panels, (0, 1), ("AUC", "specificity, carried threshold"), strict=True):
        for each in trained:
            ax.axvline(each, color=COLOURS["grid"], linewidth=1)
        for name, values in found.items():
            colour, dash = LOOKS[name]
            if len(values) > 1:
                ax.fill_between(xs, values[..., k].min(axis=0), values[..., k].max(axis=0), color=COLOURS[colour],
                                alpha=0.12, linewidth=0)  # fmt: skip
            ax.plot(xs, values[..., k].mean(axis=0), dash, color=COLOURS[colour], label=name)
        ax.set(xscale="log", ylabel=what, xlim=(xs[0], xs[-1]), ylim=((0.4, 1.01), (-0.03, 1.03))[k])
        ax.set_xticks(xs, [f"{x:g}" for x in xs])
        ax.minorticks_off()
    panels[0].legend(loc="lower left", bbox_to_anchor=(-0.12, 1.03), borderaxespad=0.2, ncols=2)
    panels[1].set_xlabel(xlabel)
    return fig


@styled
def small_company(shares: Sequence[float], logits: Sequence[float]) -> Figure:
    """The mean score of the same patients by the share of ill ones beside them, small. All have the same axes."""
    fig, ax = plt.subplots(figsize=SMALL)
    ax.plot(shares, logits, color=COLOURS["with_bn"])
    ax.set(xlim=(0, 1), ylim=(-1, 22), xticks=(), yticks=(), xlabel="share of ill", ylabel="score")
    return fig


# Tables


def spread(values: Array, digits: int = 2) -> str:
    """The mean over seeds and the standard deviation, as it is written in a table."""
    text = f"{np.mean(values):.{digits}f} ± {np.std(values, ddof=1):.{digits}f}"
    return text.replace(" ", "\N{NO-BREAK SPACE}")


def table_of_methods(found: Mapping[str, Array]) -> str:
    """The table of all methods as Markdown: mean ± standard deviation over the seeds.

    Args:
        found: for each method `(seeds, 7)`, in the order of `experiments.Row`.
    """
    lines = [
        "| | AUC | carried: sensitivity, specificity | its own: sensitivity, specificity | ECE | distance |",
        "|:--|--:|--:|--:|--:|--:|",
    ]
    for name, values in found.items():
        auc, *at, ece, apart = (spread(values[:, k], digits) for k, digits in enumerate((3, 2, 2, 2, 2, 3, 2)))
        lines.append(f"| **{name}** | {auc} | {at[0]}, {at[1]} | {at[2]}, {at[3]} | {ece} | {apart} |")
    return "\n".join(lines)


def table_of_decisions(found: Mapping[str, Decision]) -> str:
    """What follows from the numbers as Markdown: for each situation the best methods, and those far behind."""
    lines = ["| situation | best here | more than 0.1 below |", "|:--|:--|:--|"]
    for situation, (best, near, far) in found.items():
        named, warned = ("; ".join("*none*" if name == "none" else name for name in of) for of in ((best, *near), far))
        lines.append(f"| {situation} | {named} | {warned or 'no method'} |")  # in italics it is the method of that name
    return "\n".join(lines)


def table_of_lesions(found: Mapping[str, Mapping[str, Sequence[float]]]) -> str:
    """The AUC of each method with each kind of lesion as Markdown, the best of each in bold, and the order below.

    Args:
        found: for each kind of lesion, for each method, one number per seed.
    """
    kinds = list(found)
    lines = ["| method | " + " | ".join(kinds) + " |", "|:--|" + "--:|" * len(kinds)]
    means = {
        kind: {name: float(np.mean(values)) for name, values in of_kind.items()} for kind, of_kind in found.items()
    }
    for name in means[kinds[0]]:
        cells = [
            f"**{means[kind][name]:.2f}**"
            if means[kind][name] == max(means[kind].values())
            else f"{means[kind][name]:.2f}"
            for kind in kinds
        ]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


# By hand


def worked_affine(example: FiveValues) -> str:
    """Another scanner, and the z-scores of both scans."""
    mean, deviation, z = standardized(example.x)
    other_mean, other_deviation, other_z = standardized(example.scanned)
    return aligned(
        rf"x &= {row(example.x)}, \quad \mu = {decimal(mean)}, \quad \sigma = {decimal(deviation)}",
        rf"{decimal(example.gain)}\,x + {decimal(example.offset)} &= {row(example.scanned)}, "
        rf"\quad \mu = {decimal(other_mean)}, \quad \sigma = {decimal(other_deviation)}",
        rf"\hat x = \frac{{x - \mu}}{{\sigma}} &= {row(z)} \quad \text{{of both}}",
    ) + ("" if z == other_z else r" \text{?}")


def worked_match(example: FiveValues) -> str:
    """The quantile map of the same values."""
    return aligned(
        rf"\text{{reference}} &= {row(example.reference)}",
        rf"y &= {row(example.matched)}",
    )


def contrast_ratio(x: Sequence[Fraction]) -> Fraction:
    """How far the largest value is above the next, in parts of how far that is above the smallest."""
    order = sorted(x)
    return (order[-1] - order[-2]) / (order[-2] - order[0])
