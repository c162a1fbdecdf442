"""Figures of the chapter on the length of weights."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from bn_book.colours import COLOURS
from bn_book.drawing import SMALL, styled
from bn_book.length.experiments import EPOCH, GROUPS, Run, Trained
from bn_lib._arrays import Array

_RATE_COLOURS = ("amber", "green", "with_bn", "accent")


def powers_of_ten(ax: Axes, *, x: Sequence[float] = (), y: Sequence[float] = ()) -> None:
    """Logarithmic axes with ticks at these values only, written as powers of ten unless they are from 0.01 to 100."""

    def written(value: float, _: object) -> str:
        power = round(np.log10(value))
        return f"{value:g}" if -2 <= power <= 2 else f"$10^{{{power}}}$"

    for axis, scale, ticks in ((ax.xaxis, ax.set_xscale, x), (ax.yaxis, ax.set_yscale, y)):
        if ticks:
            scale("log")
            axis.set_major_locator(FixedLocator(ticks))
            axis.set_minor_locator(NullLocator())
            axis.set_major_formatter(FuncFormatter(written))


def moving_average(values: Array, width: int = EPOCH) -> Array:
    """Means of `width` values in a row; the first stands for the first `width`."""
    return np.convolve(values, np.ones(width) / width, mode="valid")


@styled
def effective_rates(runs: Mapping[float, Run]) -> Figure:
    """Learning rate over squared length of the middle layer's weights against the step, for each learning rate.

    Args:
        runs: for each learning rate a run without decay.
    """
    fig, ax = plt.subplots(figsize=(5.2, 3.9))
    for (rate, run), colour in zip(runs.items(), _RATE_COLOURS, strict=True):
        effective = run.rates / run.squared_norm[:-1, 1]
        ax.plot(1 + np.arange(len(effective)), effective, color=COLOURS[colour])
        at = 0 if effective[0] > 10 * effective[-1] else 19  # where no other line is
        ax.text(1.25 * (at + 1), effective[at] * 1.5, f"η = {rate:g}", color=COLOURS[colour], va="center")
    powers_of_ten(ax, x=(1, 10, 100), y=(1e-4, 1e-3, 1e-2, 1e-1, 1))
    ax.set(xlim=(0.9, 700), ylim=(3e-4, 3), xlabel="training step", ylabel="η / squared length")
    return fig


@styled
def accuracy_by_rate(tests: Mapping[str, Mapping[float, Sequence[float]]]) -> Figure:
    """Test accuracy against a learning rate: a line through the means, a band from the lowest to the highest seed.

    Args:
        tests: for "hidden", "all" and "without", for each learning rate, the accuracy of each seed.
    """
    fig, ax = plt.subplots(figsize=(5.2, 3.7))
    looks = {"hidden": ("with_bn", "-", "o"), "all": ("green", "--", "s"), "without": ("without_bn", "-", "^")}
    for name, by_rate in tests.items():
        colour, dash, marker = looks[name]
        _band(ax, by_rate, colour, dash, marker)
    for words, x, y, colour in (
        ("BN, η of the weights\nbefore it", 9, 84, "with_bn"),
        ("BN, all η", 4.4, 55, "green"),
        ("without BN", 0.012, 40, "without_bn"),
    ):
        ax.text(x, y, words, color=COLOURS[colour], va="center")
    powers_of_ten(ax, x=tuple(next(iter(tests.values()))))
    ax.set(ylim=(0, 103), xlabel="learning rate η", ylabel="test accuracy (%)")
    return fig


def _band(ax: Axes, by_x: Mapping[float, Sequence[float]], colour: str, dash: str, marker: str) -> None:
    values = 100 * np.array(list(by_x.values()))
    ax.fill_between(list(by_x), values.min(axis=1), values.max(axis=1), color=COLOURS[colour], alpha=0.25, lw=0)
    ax.plot(list(by_x), values.mean(axis=1), dash, marker=marker, color=COLOURS[colour])


@styled
def decay_as_a_rate(decayed: Run, growing: Run, constant: Run) -> Figure:
    """The losses of a run with decay, of one without whose rate grows, and of one with neither; below, the rates."""
    fig, (above, below) = plt.subplots(2, 1, figsize=(5.2, 5.0), sharex=True, height_ratios=(3, 2))
    steps = np.arange(len(decayed.loss))
    above.plot(steps, constant.loss, color=COLOURS["muted"])
    above.plot(steps, growing.loss, color=COLOURS["accent"], lw=4, alpha=0.45)
    above.plot(steps, decayed.loss, color=COLOURS["with_bn"], lw=1)
    last = steps[-1]
    above.text(last, 1.35, "decay (thin) and growing rate (thick)", color=COLOURS["accent"], ha="right")
    above.text(last, 0.1, "neither", color=COLOURS["muted"], ha="right")
    above.set(ylabel="training loss (nats)", ylim=(0, 2.6))
    for run, colour, words in (
        (growing, "accent", "growing"),
        (decayed, "with_bn", "with decay, and with neither"),
    ):
        below.plot(steps, run.rates, color=COLOURS[colour])
        below.text(last, run.rates[-1] * 4, words, color=COLOURS[colour], ha="right")
    powers_of_ten(below, y=(1.0, 1e3, 1e6))
    below.set(xlabel="training step", ylabel="learning rate", ylim=(0.3, 3e10))
    return fig


@styled
def angles(runs: Mapping[float, Run], product: float) -> Figure:
    """The angle of each step of the middle layer's weights, over an epoch in the root mean square, against the step.

    Args:
        runs: for each scale of the start, a run with decay.
        product: learning rate times decay, in all of them.
    """
    fig, ax = plt.subplots(figsize=(5.2, 3.8))
    for (scale, run), colour in zip(runs.items(), ("amber", "with_bn", "green"), strict=True):
        angle = np.degrees(np.sqrt(moving_average(run.angle[:, 1] ** 2)))
        ax.plot(np.arange(len(angle)) + EPOCH, angle, color=COLOURS[colour], label=f"start × {scale:g}")
    balance = float(np.degrees(np.sqrt(2 * product)))
    ax.axhline(balance, color=COLOURS["ink"], ls="--", lw=1, zorder=3)
    ax.text(run.angle.shape[0], balance * 1.9, f"√(2ηλ) = {balance:.1f}°", ha="right")
    ax.legend(loc="lower right")
    powers_of_ten(ax, y=(0.01, 0.1, 1, 10, 100))
    ax.set(ylim=(0.03, 180), xlabel="training step", ylabel="angle of a step (°)")
    return fig


@styled
def same_product(runs: Mapping[float, Mapping[float, Run]]) -> Figure:
    """Training loss, averaged over an epoch, against the step: for each product of rate and decay, several rates.

    Args:
        runs: for each product, for each learning rate, a run.
    """
    fig, ax = plt.subplots(figsize=(5.2, 3.8))
    dashes = (":", "--", "-")
    for (product, by_rate), colour in zip(runs.items(), ("with_bn", "green", "accent"), strict=True):
        for run, dash in zip(by_rate.values(), dashes, strict=True):
            loss = moving_average(run.loss)
            ax.plot(np.arange(len(loss)) + EPOCH, loss, dash, color=COLOURS[colour])
        ax.text(len(run.loss) * 1.02, loss[-100:].mean(), f"ηλ = {product:g}", color=COLOURS[colour], va="center")
    rates = list(next(iter(runs.values())))
    for rate, dash in zip(rates, dashes, strict=True):
        ax.plot([], [], dash, color=COLOURS["muted"], label=f"η = {rate:g}")
    ax.legend(loc="center right", bbox_to_anchor=(1, 0.65))
    ax.set(ylim=(0.35, 1.25), xlim=(0, len(run.loss) * 1.3), xlabel="training step", ylabel="training loss (nats)")
    ax.set_xticks(range(0, len(run.loss), 300))
    return fig


@styled
def rate_cut(runs: Mapping[str, Sequence[Trained]], cut: int) -> Figure:
    """Training loss, averaged over an epoch, of networks in which something else decays; then the rate is cut.

    Args:
        runs: for "nothing" and for some of `GROUPS`, a run of each seed.
        cut: the step from which on the learning rate is a tenth.
    """
    fig, ax = plt.subplots(figsize=(5.2, 3.9))
    looks = {"nothing": "muted", GROUPS[0]: "with_bn", GROUPS[1]: "accent"}
    for name, seeds in runs.items():
        loss = np.array([moving_average(run.loss) for run in seeds])
        steps = np.arange(loss.shape[1]) + EPOCH
        ax.fill_between(steps, loss.min(axis=0), loss.max(axis=0), color=COLOURS[looks[name]], alpha=0.22, lw=0)
        ax.plot(steps, loss.mean(axis=0), color=COLOURS[looks[name]])
    ax.axvline(cut, color=COLOURS["ink"], lw=1, ls=":")
    ax.text(cut + 8, 1.0, "η / 10", va="center")
    for words, x, y, colour in (
        ("decay of γ and β", cut + 20, 0.145, "accent"),
        ("decay of\nweights before BN", 130, 0.36, "with_bn"),
        ("no decay", 120, 0.021, "muted"),
    ):
        ax.text(x, y, words, color=COLOURS[colour], va="center")
    powers_of_ten(ax, y=(0.01, 0.1, 1))
    ax.set(ylim=(0.004, 2), xlabel="training step", ylabel="training loss (nats)")
    return fig


@styled
def after_a_cut(before_bn: float, gamma: float) -> Figure:
    """Two sketched losses that were 0.1 when the learning rate was cut: a plot of a question. All have the same axes.

    Args:
        before_bn: where that with decay of the weights before BN goes.
        gamma: where that with decay of gamma and beta goes.
    """
    fig, ax = plt.subplots(figsize=SMALL)
    steps = np.linspace(-1, 1, 201)
    for end, colour, dash in ((before_bn, "with_bn", "-"), (gamma, "accent", "--")):
        fallen = 1 - np.exp(-8 * np.maximum(steps, 0))
        ax.plot(steps, 0.1 * (end / 0.1) ** fallen, dash, color=COLOURS[colour], linewidth=2.5)
    ax.axvline(0, color=COLOURS["ink"], lw=1, ls=":")
    powers_of_ten(ax, y=(0.01, 0.1))
    ax.set(ylim=(0.006, 0.3), xlabel="step")
    ax.set_xticks([0], ["η / 10"])
    return fig


@styled
def accuracy_by_scale(tests: Mapping[str, Mapping[float, Sequence[float]]]) -> Figure:
    """Test accuracy against the factor of the initial weights: a line through the means, a band over the seeds.

    Args:
        tests: for "without", "with" and "with the square", for each factor, the accuracy of each seed.
    """
    fig, ax = plt.subplots(figsize=(5.2, 3.7))
    looks = {
        "without": ("without_bn", "-", "^"),
        "with": ("with_bn", "-", "o"),
        "with the square": ("green", "--", "s"),
    }
    for name, by_scale in tests.items():
        _band(ax, by_scale, *looks[name])
    for words, x, y, colour in (
        ("with BN", 60, 81, "with_bn"),
        ("with BN,\nη × factor²", 0.0011, 38, "green"),
        ("without BN", 0.15, 40, "without_bn"),
    ):
        ax.text(x, y, words, color=COLOURS[colour], va="center")
    powers_of_ten(ax, x=tuple(next(iter(tests.values()))))
    ax.set(ylim=(0, 103), xlabel="factor of the initial weights", ylabel="test accuracy (%)")
    return fig
