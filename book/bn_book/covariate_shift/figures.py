"""Figures of the chapter on covariate shift.

Each function takes the numbers that `bn_book.covariate_shift.experiments` computed.
"""

from functools import partial

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bn_book.colours import COLOURS
from bn_book.covariate_shift.experiments import RATES, Run, Start, calibrated_step, step_at_rate
from bn_book.covariate_shift.experiments import obtained_of_planned as ratio
from bn_book.drawing import styled
from bn_lib._arrays import Array

_RUN_LOOKS = {
    "without BN": ("without_bn", "-"),
    "with BN": ("with_bn", "-"),
    "without BN, larger weights": ("muted", "--"),
}


@styled
def obtained_of_planned(*, depths: tuple[int, ...] = (3, 10, 30), change: float = 0.1, rate: float = 0.01) -> Figure:
    """The change of y that a step gives, divided by the planned one, for chains of equal weights.

    Args:
        depths: numbers of layers, a curve for each.
        change: of y that first order plans in the upper panel, where it sets the step.
        rate: the learning rate of every network in the lower panel.
    """
    fig, panels = plt.subplots(2, 1, figsize=(5.2, 5.6), sharex=True, sharey=True)
    weights = np.linspace(0.6, 1.4, 161)
    looks = (("accent", "-"), ("green", "--"), ("amber", "-."))
    steps = (partial(calibrated_step, weights, change=change), partial(step_at_rate, weights, rate=rate))
    titles = (f"step set to raise y by {change:g}", f"learning rate {rate:g}")
    for ax, step, title in zip(panels, steps, titles, strict=True):
        for depth, (colour, dash) in zip(depths, looks, strict=True):
            found = ratio(weights, depth, step(depth))
            ax.plot(weights, found, dash, color=COLOURS[colour])
        ax.axvline(1, color=COLOURS["muted"], lw=0.8, ls=":", zorder=0)
        ax.set(yscale="log", ylim=(0.15, 1e4), ylabel="change of y,\nobtained / planned")
        ax.set_title(title)
    places = (((0.61, 0.4), (0.65, 3000), (0.7, 100)), ((1.2, 0.4), (1.2, 6), (1.17, 3000)))
    for ax, of_panel in zip(panels, places, strict=True):
        for depth, (x, y), (colour, _) in zip(depths, of_panel, looks, strict=True):
            ax.text(x, y, f"{depth} layers", color=COLOURS[colour], va="center")
    panels[-1].set_xlabel("size of every weight")
    return fig


@styled
def unit_percentiles(runs: tuple[Run, ...], layer: int = -1) -> Figure:
    """The 15th, 50th and 85th percentile of a typical sigmoid's input over training, one panel for each run."""
    fig, axes = plt.subplots(len(runs), 1, figsize=(5.2, 2.5 * len(runs)), sharex=True, sharey=True)
    for ax, run in zip(axes, runs, strict=True):
        low, middle, high = run.percentiles[:, layer, :, run.typical_unit(layer)].T
        colour = COLOURS[_RUN_LOOKS[run.name][0]]
        ax.fill_between(run.steps, low, high, color=colour, alpha=0.18, lw=0)
        for curve, width in ((low, 1.0), (middle, 2.0), (high, 1.0)):
            ax.plot(run.steps, curve, color=colour, lw=width)
        for curve, words in ((low, "15 %"), (middle, "50 %"), (high, "85 %")):
            _end_label(ax, run.steps[-1], curve[-1], words)
        ax.set_title(run.name, color=colour)
        ax.set_ylabel("input of the sigmoid")
    last = int(runs[0].steps[-1])
    axes[-1].set(xlabel="training step", xlim=(0, last * 1.13), xticks=range(0, last + 1, 250))
    return fig


@styled
def steps_by_rate(steps: dict[Start, Array], rates: tuple[float, ...] = RATES) -> Figure:
    """Steps to an accuracy against the learning rate: each network's median seed, and a band from least to most.

    Args:
        steps: for each network `(rates, seeds)`; infinity where the accuracy was not reached.
        rates: the learning rates.
    """
    fig, ax = plt.subplots(figsize=(5.2, 4.0))
    for start, found in steps.items():
        colour, dash = _RUN_LOOKS[start]
        reached = np.where(np.isfinite(found).all(axis=1)[:, None], found, np.nan)
        ax.fill_between(rates, reached.min(axis=1), reached.max(axis=1), color=COLOURS[colour], alpha=0.25, lw=0)
        ax.plot(rates, np.median(reached, axis=1), dash, marker="o", color=COLOURS[colour])
    for words, x, y, colour in (
        ("without BN", 0.5, 1150, "without_bn"),
        ("without BN,\nlarger weights", 0.5, 310, "muted"),
        ("with BN", 1.0, 31, "with_bn"),
    ):
        ax.text(x, y, words, color=COLOURS[colour], va="center")
    ax.set(xscale="log", yscale="log", ylim=(20, 2000), xlabel="learning rate", ylabel="steps to 90 % right")
    ax.set_xticks(rates, [f"{rate:g}" for rate in rates])
    ax.set_yticks([20, 50, 100, 200, 500, 1000], ["20", "50", "100", "200", "500", "1000"])
    ax.minorticks_off()
    return fig


def _end_label(ax: Axes, x: float, y: float, words: str) -> None:
    ax.annotate(words, (x, y), xytext=(4, 0), textcoords="offset points", va="center")
