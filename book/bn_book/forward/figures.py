"""Figures of the chapter on the forward pass, and its worked example as lines of LaTeX."""

from collections.abc import Sequence
from fractions import Fraction

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from bn_book.colours import COLOURS
from bn_book.drawing import SMALL, styled
from bn_book.forward.experiments import ByHand, VarianceFormula, output_std
from bn_book.tex import aligned, decimal, row
from bn_exercises.typography import as_in_a_book
from bn_lib._arrays import Array

# By hand


def mean_of(values: Sequence[Fraction]) -> str:
    """The mean of some numbers with its steps: sum over count, the sum, the mean. Two lines of an aligned display."""
    total = sum(values, Fraction())
    terms = " + ".join(decimal(value, parentheses=True) for value in values)
    m = len(values)
    return rf"&= \frac{{{terms}}}{{{m}}} \\ &= \frac{{{decimal(total)}}}{{{m}}} = {decimal(total / m)}"


def worked_mean(hand: ByHand) -> str:
    """The mini-batch mean, step by step."""
    return aligned(rf"\mu_B {mean_of(hand.x)}")


def worked_variance(hand: ByHand) -> str:
    """The deviations, their squares, and the mini-batch variance."""
    return aligned(
        rf"x - \mu_B &= {row(hand.deviations)}",
        rf"(x - \mu_B)^2 &= {row([d * d for d in hand.deviations])}",
        rf"\sigma_B^2 {mean_of([d * d for d in hand.deviations])}",
    )


def worked_x_hat(hand: ByHand) -> str:
    """The divisor and the normalized values."""
    inside = rf"{decimal(hand.var)} + {decimal(hand.eps)}"
    return aligned(
        rf"\sqrt{{\sigma_B^2 + \epsilon}} &= \sqrt{{{inside}}} = \sqrt{{{decimal(hand.var + hand.eps)}}} "
        rf"= {decimal(hand.root)}",
        rf"\hat x &= \frac{{x - \mu_B}}{{{decimal(hand.root)}}} \\ &= {row(hand.x_hat)}",
    )


def worked_y(hand: ByHand) -> str:
    """The output."""
    sign = "-" if hand.beta < 0 else "+"
    return aligned(
        rf"y &= {decimal(hand.gamma)}\,\hat x {sign} {decimal(abs(hand.beta))} \\ &= {row(hand.y)}",
    )


# Figures


@styled
def epsilon_at_work(std: float, eps: float, batch: Array) -> Figure:
    """Above: a batch after standardizing. Below: its standard deviation, against that of the feature before.

    Args:
        std: standard deviation of the feature, in the units of x.
        eps: added to the variance.
        batch: the feature scaled to mean 0 and standard deviation 1; a few values.
    """
    fig, (points, curve) = plt.subplots(2, 1, figsize=(5.2, 4.4), height_ratios=[1, 2.6])

    x_hat = batch * output_std(std, eps)
    points.plot(batch, np.zeros_like(batch), "|", color=COLOURS["muted"], markersize=16)
    points.plot(x_hat, np.zeros_like(x_hat), "o", color=COLOURS["accent"], markersize=8)
    points.set(xlim=(-2.2, 2.2), ylim=(-1, 1), xticks=range(-2, 3), yticks=[], xlabel="normalized values of the batch")
    points.spines["left"].set_visible(False)
    points.set_title(f"σ = {std:.2g} becomes {output_std(std, eps):.2g}")

    # Tick labels are plain words: mathematics becomes outlines, and this is drawn for many frames.
    decades = range(-5, 2)
    grid = np.logspace(decades[0], decades[-1], 61)
    curve.plot(grid, output_std(grid, eps), color=COLOURS["ink"])
    curve.plot(grid, output_std(grid, eps, outside=True), "--", color=COLOURS["muted"])
    curve.axvline(np.sqrt(eps), color=COLOURS["muted"], linestyle=":", linewidth=1.2)
    curve.plot([std], [output_std(std, eps)], "o", color=COLOURS["accent"], markersize=8)
    curve.text(np.sqrt(eps) * 1.2, 0.03, "√ε", color=COLOURS["muted"])
    curve.text(0.03, 0.72, "ε inside the root", color=COLOURS["ink"])
    curve.text(6e-5, 0.63, "ε outside\n(a mistake)", color=COLOURS["muted"])
    curve.set(xscale="log", ylim=(0, 1.08), yticks=[0, 0.5, 1])
    curve.set_xticks(
        [10.0**d for d in decades], [as_in_a_book(f"{10.0**d:g}" if d >= -3 else f"1e{d}") for d in decades]
    )
    curve.minorticks_off()
    curve.set(xlabel="standard deviation σ of the feature", ylabel="the same, after BN")
    return fig


@styled
def sigmoid_and_gamma(gamma: float, share: float) -> Figure:
    """The stretch of a sigmoid that gamma * x_hat visits, with the straight line that fits it best.

    Args:
        gamma: the scale, > 0.
        share: of the variance that the line explains, 0 to 1.
    """
    fig, ax = plt.subplots()
    y = np.linspace(-8, 8, 81)
    z = np.linspace(-1.96, 1.96, 61)
    visited = z * gamma
    ax.plot(y, _sigmoid(y), color=COLOURS["muted"], linewidth=1.2)
    ax.plot(visited, _sigmoid(visited), color=COLOURS["accent"], linewidth=4)

    nodes, weights = np.polynomial.hermite_e.hermegauss(80)
    slope = (weights * nodes * _sigmoid(gamma * nodes)).sum() / weights.sum()
    ax.plot(visited, 0.5 + slope * z, "--", color=COLOURS["ink"])
    ax.text(7.8, 0.06, "line: best straight fit", ha="right", color=COLOURS["ink"])
    ax.text(7.8, 0.18, "thick: 95 % of inputs", ha="right", color=COLOURS["accent"])
    ax.set(xlim=(-8, 8), ylim=(-0.25, 1.25), yticks=[0, 0.5, 1])
    ax.set(xlabel="input of the sigmoid, from BN", ylabel="output of the sigmoid")
    ax.set_title(f"γ = {gamma:g}: a line explains {100 * share:.1f} %")
    return fig


def _sigmoid(x: Array) -> Array:
    return 0.5 * (1 + np.tanh(0.5 * x))


@styled
def placement_gains(rates: Sequence[float], gains: Sequence[Array]) -> Figure:
    """What BN after the ReLU gains over BN before it, at several learning rates: every seed, and the mean.

    Args:
        rates: learning rates, as tick labels on a logarithmic axis.
        gains: percentage points, an array of one number per seed for each rate.
    """
    fig, ax = plt.subplots()
    ax.axhline(0, color=COLOURS["muted"], linewidth=1.2)
    for rate, gain in zip(rates, gains, strict=True):
        ax.plot(np.full(len(gain), rate), gain, "o", color=COLOURS["with_bn"], markersize=5, alpha=0.6)
    ax.plot(rates, [gain.mean() for gain in gains], "_", color=COLOURS["ink"], markersize=22, markeredgewidth=2)
    ax.set_xscale("log")
    ax.set_xticks(rates, [f"{rate:g}" for rate in rates])
    ax.minorticks_off()
    low = min(gain.min() for gain in gains)
    high = max(gain.max() for gain in gains)
    ax.set_ylim(low - 0.12 * (high - low), high + 0.12 * (high - low))
    ax.text(rates[0], 0.03 * (high - low), "  after is better ↑", color=COLOURS["muted"])
    ax.text(rates[0], -0.09 * (high - low), "  before is better ↓", color=COLOURS["muted"])
    ax.set(xlabel="learning rate", ylabel="accuracy, after − before\n(percentage points)")
    return fig


@styled
def variance_error(ratios: Sequence[float], errors: dict[VarianceFormula, Array]) -> Figure:
    """Relative error of two formulas for the variance against mean / standard deviation, both axes logarithmic."""
    fig, ax = plt.subplots()
    looks = {"one pass": ("accent", "o-"), "two passes": ("green", "s-")}
    for formula, values in errors.items():
        colour, line = looks[formula]
        ax.plot(ratios, values, line, color=COLOURS[colour], markersize=4)
    ax.axhline(1, color=COLOURS["muted"], linestyle=":", linewidth=1.2)
    ax.text(1, 3, "no digit right", color=COLOURS["muted"])
    ax.text(1.3, 1e-4, "one pass:\nmean(x²)\n− mean(x)²", color=COLOURS["accent"])
    ax.text(30, 2e-10, "two passes:\nmean((x − mean(x))²)", color=COLOURS["green"])
    ax.set(xscale="log", yscale="log", ylim=(1e-11, 1e3), xlabel="mean / standard deviation of the batch")
    ax.set_ylabel("relative error of the variance")
    return fig


# Plots of a question


@styled
def histogram(values: Array) -> Figure:
    """How often each value of y occurs in a mini-batch. All have the same axes."""
    fig, ax = plt.subplots(figsize=SMALL)
    ax.hist(values, bins=np.arange(-2, 9, 0.25).tolist(), color=COLOURS["accent"])
    ax.set(xlim=(-2, 9), xticks=(0, 4, 8), ylim=(0, 0.42 * len(values)), yticks=(), xlabel="y")
    ax.spines["left"].set_visible(False)
    return fig
