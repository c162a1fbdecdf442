"""Figures of the chapter on depth, noise and their price."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator

from bn_book.colours import COLOURS
from bn_book.drawing import SMALL, draw_digit, styled
from bn_book.price.experiments import Adapted, Lag, Likeness, Propagation
from bn_lib._arrays import Array

# One name, colour and dash for each kind of block, the same in every figure of the chapter.
_LOOKS: Mapping[str, tuple[str, str, str]] = {
    "plain": ("no BN", COLOURS["without_bn"], "-"),
    "bn": ("BN", COLOURS["with_bn"], "-"),
    "linear": ("without ReLU", COLOURS["with_bn"], "--"),
    "residual": ("BN and skips", COLOURS["green"], "-"),
    "bare": ("skips, no BN", COLOURS["amber"], "--"),
    "skipinit": ("SkipInit", COLOURS["amber"], "-"),
}
NAMES: Mapping[str, str] = {block: look[0] for block, look in _LOOKS.items()}


def colour(block: str) -> str:
    """The colour of a kind of block."""
    return _LOOKS[block][1]


def _band(ax: Axes, x: Array, runs: Array, block: str) -> None:
    """A line through the geometric means of several seeds, and a band from the lowest to the highest."""
    label, colour, dash = _LOOKS[block]
    ax.fill_between(x, runs.min(axis=0), runs.max(axis=0), color=colour, alpha=0.2, linewidth=0)
    ax.plot(x, np.exp(np.log(runs).mean(axis=0)), dash, color=colour, label=label)


def _legend_above(ax: Axes, columns: int) -> None:
    ax.legend(loc="lower left", bbox_to_anchor=(-0.02, 1.0), ncols=columns, borderaxespad=0, frameon=False)


@styled
def alike(found: Mapping[str, Sequence[Likeness]]) -> Figure:
    """How parallel two images are behind each block."""
    fig, ax = plt.subplots(figsize=(5.2, 3.2))
    for block, runs in found.items():
        cosines = np.array([run.cosine for run in runs])
        _band(ax, np.arange(cosines.shape[1]), cosines, block)
    ax.set(ylim=(0, 1.05), xlabel="block", ylabel="cosine between two images")
    _legend_above(ax, 3)
    return fig


@styled
def gradients(found: Mapping[str, Sequence[Propagation]]) -> Figure:
    """The squared gradient with respect to each block's output, as a multiple of that at the last block."""
    fig, ax = plt.subplots(figsize=(5.2, 3.2))
    for block, runs in found.items():
        squares = np.array([run.gradient / run.gradient[-1] for run in runs])
        _band(ax, np.arange(squares.shape[1]), squares, block)
    ax.set(yscale="log", xlabel="block", ylabel="squared gradient / at the end")
    _legend_above(ax, 3)
    return fig


@styled
def on_its_way_back(relative: Array) -> Figure:
    """A squared gradient behind each block as a multiple of the last: a plot of a question. All have the same axes."""
    fig, ax = plt.subplots(figsize=SMALL)
    ax.plot(relative, color=COLOURS["accent"], linewidth=2.5)
    ax.set(yscale="log", ylim=(1e-6, 1e6), yticks=(1e-4, 1, 1e4), xlabel="block")
    ax.yaxis.set_minor_locator(NullLocator())
    ax.set_xticks((0, len(relative) - 1), ("first", "last"))
    return fig


DEPTH_SHOWN = 20  # blocks of a frame of `growth`


@styled
def growth(found: Mapping[str, Sequence[Propagation]], batch_size: int) -> Figure:
    """The squared gradient of networks with BN on its way back, at one batch size; the limits never change."""
    fig, ax = plt.subplots(figsize=(5.2, 3.4))
    for block, runs in found.items():
        squares = np.array([run.gradient / run.gradient[-1] for run in runs])
        _band(ax, np.arange(squares.shape[1]), squares, block)
    ax.set(
        yscale="log", ylim=(0.3, 1e10), xlim=(0, DEPTH_SHOWN), xlabel="block", ylabel="squared gradient / at the end"
    )
    ax.set_xticks(range(0, DEPTH_SHOWN + 1, 5))
    ax.yaxis.set_minor_locator(NullLocator())
    to_go = DEPTH_SHOWN - np.arange(DEPTH_SHOWN + 1.0)
    formula = ((batch_size - 2) / (batch_size - 3)) ** to_go
    ax.plot(formula, ":", color=COLOURS["muted"], label="(m − 2) / (m − 3)")
    ax.legend(loc="upper right")
    ax.set_title(f"m = {batch_size}: " + ", ".join(f"{NAMES[b]} ×{rate(runs):.2f}" for b, runs in found.items()))
    return fig


def rate(runs: Sequence[Propagation]) -> float:
    """By which factor the squared gradient grows per block, on average over the seeds."""
    return float(np.exp(np.mean([np.log(run.growth) for run in runs])))


def growth_in_words(found: Mapping[str, Sequence[Propagation]], batch_size: int) -> str:
    """Alternative text for `growth`."""
    each = " and ".join(f"{rate(runs):.2f} ({NAMES[block]})" for block, runs in found.items())
    return (
        f"In mini-batches of {batch_size} the squared gradient grows by the factors {each} per block on its way back."
    )


@styled
def streams(found: Mapping[str, Sequence[Propagation]]) -> Figure:
    """The mean square of what the skips carry, behind each block."""
    fig, ax = plt.subplots(figsize=(5.2, 3.2))
    for block, runs in found.items():
        signal = np.array([run.signal for run in runs])
        _band(ax, np.arange(signal.shape[1]), signal, block)
    ax.set(yscale="log", xlabel="block", ylabel="mean square")
    _legend_above(ax, 3)
    return fig


@styled
def trained(found: Mapping[str, Mapping[int, Sequence[float]]]) -> Figure:
    """Test accuracy against depth: a line through the means, a dot for each seed."""
    fig, ax = plt.subplots(figsize=(5.2, 3.4))
    for block, by_depth in found.items():
        label, colour, dash = _LOOKS[block]
        depths, right = list(by_depth), 100 * np.array(list(by_depth.values()))
        ax.plot(depths, right.mean(axis=1), dash, color=colour, label=label)
        for column in right.T:
            ax.plot(depths, column, "o", color=colour, markersize=3.5, alpha=0.6, markeredgewidth=0)
    ax.set(ylim=(0, 101), xscale="log", xlabel="blocks", ylabel="test accuracy (%)")
    ax.set_xticks(depths, [str(depth) for depth in depths])
    ax.xaxis.set_minor_locator(NullLocator())
    _legend_above(ax, 2)
    return fig


@styled
def gains(found: Mapping[str, Array], what: str) -> Figure:
    """Differences of paired runs in points of accuracy: a dot for each pair, a bar of two standard errors each way.

    Args:
        found: for each comparison its differences.
        what: compared with what, for the axis.
    """
    fig, ax = plt.subplots(figsize=(5.2, 3.0))
    ax.axhline(0, color=COLOURS["muted"], linewidth=1)
    for x, differences in enumerate(found.values()):
        beside = x - 0.22 + 0.1 * np.linspace(-1, 1, len(differences))
        ax.plot(beside, differences, "o", color=COLOURS["muted"], markersize=3.5, alpha=0.6, markeredgewidth=0)
        ax.errorbar(
            x + 0.1, differences.mean(), 2 * standard_error(differences), fmt="o", color=COLOURS["accent"], capsize=4
        )
    ax.set_xticks(range(len(found)), list(found))
    ax.set(xlim=(-0.5, len(found) - 0.5), ylabel=what)
    return fig


def standard_error(differences: Array) -> float:
    """Of the mean."""
    return float(np.std(differences, ddof=1) / np.sqrt(len(differences)))


def gains_in_words(found: Mapping[str, Array]) -> str:
    """What `gains` shows, in words."""
    return ", ".join(
        f"{name.replace(chr(10), ' ')}: {values.mean():+.1f} points, standard error {standard_error(values):.1f}"
        for name, values in found.items()
    )


@styled
def lags(runs: Sequence[Lag]) -> Figure:
    """Test accuracy in inference after each step, with running and with recomputed statistics."""
    fig, ax = plt.subplots(figsize=(5.2, 3.2))
    for name, colour, of in (
        ("recomputed", COLOURS["with_bn"], np.array([run.recomputed for run in runs])),
        ("running", COLOURS["accent"], np.array([run.running for run in runs])),
    ):
        steps = np.arange(1, of.shape[1] + 1)
        ax.fill_between(steps, 100 * of.min(axis=0), 100 * of.max(axis=0), color=colour, alpha=0.2, linewidth=0)
        ax.plot(steps, 100 * of.mean(axis=0), color=colour, label=name)
    ax.set(ylim=(0, 101), xlabel="step", ylabel="test accuracy (%)")
    ax.legend(loc="lower right")
    return fig


_KINDS = (
    ("no BN", "plain", COLOURS["without_bn"]),
    ("BN, old", "kept", COLOURS["with_bn"]),
    ("BN, new", "recomputed", COLOURS["accent"]),
)


@styled
def corruption(image: Array, found: Sequence[Adapted]) -> Figure:
    """One corrupted digit, and how many of all are still right; a dot for each seed, and the limits never change."""
    fig, (left, ax) = plt.subplots(1, 2, figsize=(5.2, 2.8), width_ratios=[1, 2.6])
    draw_digit(left, np.clip(image, 0, 1))
    left.set_title(found[0].name)
    for y, (_, kind, colour) in enumerate(_KINDS):
        right = 100 * np.array([getattr(each, kind) for each in found])
        ax.barh(y, right.mean(), height=0.5, color=colour, alpha=0.35)
        ax.plot(right, np.full(len(right), y), "o", color=colour, markersize=4, markeredgewidth=0)
    ax.set_yticks(range(len(_KINDS)), [name for name, _, _ in _KINDS])
    ax.tick_params(axis="y", length=0)
    ax.set(xlim=(0, 101), ylim=(2.6, -0.6), xlabel="% of test digits right")
    ax.grid(visible=False, axis="y")
    ax.grid(axis="x")
    return fig


def corruption_in_words(found: Sequence[Adapted]) -> str:
    """Alternative text for `corruption`."""
    right = [100 * np.mean([getattr(each, kind) for each in found]) for _, kind, _ in _KINDS]
    return f"{found[0].name}: " + ", ".join(
        f"{name} {value:.0f} percent" for (name, _, _), value in zip(_KINDS, right, strict=True)
    )


_NORMALIZERS = (
    ("batch", "BN", COLOURS["with_bn"], "o"),
    ("renorm", "renorm.", COLOURS["accent"], "D"),
    ("layer", "LN", COLOURS["amber"], "s"),
    ("none", "none", COLOURS["without_bn"], "^"),
)


@styled
def companies(found: Mapping[str, Mapping[str, Sequence[float]]]) -> Figure:
    """Test accuracy after training in poor company, a panel for each: a mark for each seed, a line at the mean."""
    fig, axes = plt.subplots(1, len(found), figsize=(5.2, 3.0), sharey=True)
    for ax, (company, by_normalizer) in zip(axes, found.items(), strict=True):
        for x, (key, _, colour, marker) in enumerate(_NORMALIZERS):
            right = 100 * np.array(by_normalizer[key])
            ax.plot([x - 0.3, x + 0.3], [right.mean()] * 2, color=colour)
            ax.plot(x + np.linspace(-0.2, 0.2, len(right)), right, marker, color=colour, markersize=4, alpha=0.6)
        ax.set_xticks(range(len(_NORMALIZERS)), [name for _, name, _, _ in _NORMALIZERS], rotation=45)
        ax.set(xlim=(-0.5, len(_NORMALIZERS) - 0.5), ylim=(40, 101), title=company)
        ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes[0].set_ylabel("test accuracy (%)")
    return fig
