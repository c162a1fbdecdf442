"""What the chapter shows: its figures, and the lines of its worked example as TeX.

Each function takes the numbers that `bn_book.conditioning.experiments` computed.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bn_book.colours import COLOURS
from bn_book.conditioning.experiments import Descent, Hand, Start
from bn_book.drawing import SMALL, styled
from bn_book.tex import aligned
from bn_lib._arrays import Array

LOOKS: Mapping[Start, tuple[str, str, str]] = {
    "plain": ("without_bn", "-", "o"),
    "larger weights": ("muted", "--", "s"),
    "standardized once": ("green", "-.", "^"),
    "LN": ("amber", ":", "D"),
    "BN": ("with_bn", "-", "o"),
    "BN, statistics held": ("accent", "--", "v"),
    "BN, variance held": ("muted", "-.", "s"),
}


@styled
def steps_by_rate(steps: Mapping[Start, Array], rates: Sequence[float]) -> Figure:
    """Steps to 90 percent against the learning rate: the median seed, and a band from the fastest to the slowest.

    Args:
        steps: for each network `(rates, seeds)`; infinity where it was not reached.
        rates: the learning rates.
    """
    fig, ax = plt.subplots(figsize=(5.2, 4.4))
    for start, found in steps.items():
        colour, dash, marker = LOOKS[start]
        reached = np.where(np.isfinite(found).all(axis=1)[:, None], found, np.nan)
        ax.fill_between(rates, reached.min(axis=1), reached.max(axis=1), color=COLOURS[colour], alpha=0.2, lw=0)
        ax.plot(rates, np.median(reached, axis=1), dash, marker=marker, ms=5, color=COLOURS[colour])
    ax.set(xscale="log", yscale="log", ylim=(15, 800), xlabel="learning rate", ylabel="steps to 90 % right")
    ax.set_xticks(rates, [f"{rate:g}" for rate in rates])
    ax.set_yticks([20, 50, 100, 200, 500], ["20", "50", "100", "200", "500"])
    ax.minorticks_off()
    _legend(fig, steps)
    return fig


def steps_in_words(steps: Mapping[Start, Array], rates: Sequence[float]) -> str:
    """What `steps_by_rate` shows, for its alternative text."""
    told = []
    for start, found in steps.items():
        each = [
            f"{np.median(of_rate):.0f} at {rate:g}" if np.isfinite(of_rate).all() else f"not reached at {rate:g}"
            for rate, of_rate in zip(rates, found, strict=True)
        ]
        told.append(f"{start}: {', '.join(each)}.")
    return " ".join(told)


def _legend(fig: Figure, starts: Iterable[Start]) -> None:
    """The networks above the axes, where no line is."""
    names = [(start, *LOOKS[start]) for start in starts]
    lines = [Line2D([], [], color=COLOURS[colour], ls=dash, marker=marker, ms=5) for _, colour, dash, marker in names]
    fig.legend(lines, [start for start, *_ in names], loc="outside upper left", ncols=2)


@styled
def spectra(found: Mapping[Start, Array], steps: int) -> Figure:
    """Every eigenvalue of several Hessians as a mark on one axis, linear around 0; the ten largest stand out."""
    fig, axes = plt.subplots(len(found), 1, figsize=(5.2, 0.95 * len(found) + 0.7), sharex=True)
    for ax, (name, values) in zip(axes, found.items(), strict=True):
        colour = COLOURS[LOOKS[name][0]]
        ax.vlines(values[10:], 0, 0.5, color=colour, lw=0.6, alpha=0.5)
        ax.vlines(values[:10], 0, 0.9, color=colour, lw=1.5)
        ax.set_xscale("symlog", linthresh=0.1, linscale=0.6)
        ax.set(xlim=(-4, 80), ylim=(0, 1.7), yticks=[], xticks=[-1, 0, 1, 10])
        ax.spines["left"].set_visible(False)
        ax.grid(visible=False)
        ax.minorticks_off()
        ax.text(0.0, 1.32, name, color=colour, transform=ax.get_yaxis_transform(), va="center")
        ax.text(1.0, 1.32, f"largest {values[0]:.1f}", transform=ax.get_yaxis_transform(), va="center", ha="right")
    axes[-1].set_xlabel(f"eigenvalue after {steps} steps" if steps else "eigenvalue at the start")
    axes[-1].set_xticklabels(["−1", "0", "1", "10"])
    return fig


@styled
def descents(runs: Mapping[Start, Descent]) -> Figure:
    """Loss, and learning rate * largest eigenvalue / 2, over the steps of descent; the limits never change."""
    fig, (above, below) = plt.subplots(2, 1, figsize=(5.2, 5.4), sharex=True)
    last = max(len(run.loss) for run in runs.values()) - 1
    for start, run in runs.items():
        colour, dash, marker = LOOKS[start]
        above.plot(np.arange(len(run.loss)) + 1, run.loss, dash, color=COLOURS[colour])
        below.plot(run.steps + 1, run.product, dash, marker=marker, ms=4, color=COLOURS[colour])
    above.set(yscale="log", ylim=(2e-3, 60), ylabel="loss (nats)")
    above.set_yticks([0.01, 0.1, 1, 10], ["0.01", "0.1", "1", "10"])
    below.axhline(1, color=COLOURS["muted"], lw=1, ls=":", zorder=0)
    below.set(xscale="log", yscale="log", xlim=(0.9, (last + 1) * 1.1), ylim=(0.06, 400))
    below.set_yticks([0.1, 1, 10, 100], ["0.1", "1", "10", "100"])
    below.set(xlabel="step", ylabel="learning rate × λ / 2")
    ticks = [0, *(10**k for k in range(4) if 10**k <= last)]
    below.set_xticks([tick + 1 for tick in ticks], [str(tick) for tick in ticks])
    below.text(0.98, 0.95, "above 1 a step overshoots", transform=below.transAxes, ha="right", va="top")
    for ax in (above, below):
        ax.minorticks_off()
    _legend(fig, runs)
    return fig


def descents_in_words(multiple: float, runs: Mapping[Start, Descent]) -> str:
    """Alternative text for `descents`."""
    parts = [
        f"{start}: the loss goes from {run.loss[0]:.1f} to {run.loss[-1]:.2g}, the product of rate and largest "
        f"eigenvalue over 2 from {run.product[0]:.3g} to {run.product[-1]:.2g}, at most {run.product.max():.3g}"
        for start, run in runs.items()
    ]
    return f"Gradient descent at {multiple:g} times the limit of the start. {'. '.join(parts)}."


@styled
def product(steps: Array, values: Array) -> Figure:
    """Learning rate * largest eigenvalue / 2 over steps: a plot of a question. All have the same axes."""
    fig, ax = plt.subplots(figsize=SMALL)
    ax.plot(steps + 1, values, color=COLOURS["accent"], linewidth=2.5)
    ax.axhline(1, color=COLOURS["muted"], lw=1, ls=":", zorder=0)
    ax.set(xscale="log", yscale="log", xlim=(1, 101), ylim=(0.06, 400), xlabel="step")
    ax.set_xticks([1, 11, 101], ["0", "10", "100"])
    ax.set_yticks([1, 16], ["1", "16"])
    ax.minorticks_off()
    return fig


@styled
def edge(runs: Mapping[Start, Sequence[Descent]]) -> Figure:
    """Learning rate * largest eigenvalue / 2 against the step, a line for each seed."""
    fig, axes = plt.subplots(len(runs), 1, figsize=(5.2, 1.9 * len(runs) + 0.5), sharex=True, sharey=True)
    for ax, (start, of_start) in zip(axes, runs.items(), strict=True):
        for run in of_start:
            ax.plot(run.steps, run.product, color=COLOURS[LOOKS[start][0]], lw=1.4)
        ax.axhline(1, color=COLOURS["muted"], lw=1, ls=":", zorder=0)
        ax.set(ylim=(0, 2.6), ylabel="rate × λ / 2", yticks=[0, 1, 2])
        ax.set_title(start, color=COLOURS[LOOKS[start][0]])
    axes[-1].set_xlabel("step of gradient descent")
    return fig


@styled
def growth(found: Mapping[Start, Sequence[Sequence[float]]], rate: float) -> Figure:
    """How much larger the outputs of each layer became, a line for each seed."""
    fig, ax = plt.subplots(figsize=(5.2, 3.4))
    for start, of_start in found.items():
        for layers in of_start:
            ax.plot(range(1, 7), layers, color=COLOURS[LOOKS[start][0]], marker=LOOKS[start][2], ms=4, lw=1.4)
    ax.text(1.1, 1e10, "plain", color=COLOURS["without_bn"], va="center")
    ax.text(1.1, 25, "BN", color=COLOURS["with_bn"], va="center")
    ax.set(yscale="log", ylim=(0.1, 1e14), xlabel="layer", ylabel="size of outputs,\nafter / before")
    ax.set_yticks([1, 1e4, 1e8, 1e12])
    ax.minorticks_off()
    ax.set_title(f"three steps at a rate of {rate:g}")
    return fig


# The worked example


def _written(value: Fraction) -> str:
    if value.denominator == 1:
        return str(value.numerator)
    sign = "-" if value < 0 else ""
    return rf"{sign}\tfrac{{{abs(value.numerator)}}}{{{value.denominator}}}"


def _matrix(h: Sequence[Fraction]) -> str:
    a, b, c = (_written(value) for value in h)
    return rf"\begin{{pmatrix}} {a} & {b} \\[2pt] {b} & {c} \end{{pmatrix}}"


def worked_answers(found: Hand) -> str:
    """What leaves BN for the four examples, as TeX."""
    z = ",\\; ".join(_written(b) for _, b in found.x)
    y = ",\\; ".join(_written(v) for v in found.answers)
    mean, sigma = _written(found.mean), _written(found.sigma)
    return aligned(rf"z &= ({z})", rf"\mu &= {mean}, \qquad \sigma = {sigma}", rf"\hat y &= ({y})")


def worked_held(found: Hand, *, centered: bool) -> str:
    """The Hessian with the variance held, and the mean as well or not, with its eigenvalues, as TeX."""
    h = found.centered if centered else found.constants
    square = found.sigma**2
    top, bottom = _eigenvalues(h)
    sides = rf"\frac{{x_n - {_column(8)}}}{{7}}" if centered else r"\frac{x_n}{7}"
    return aligned(
        rf"\frac{{\partial \hat y_n}}{{\partial w}} &= {sides}",
        rf"H &= \tfrac{{1}}{{{square}}} {_matrix([v * square for v in h])}",
        rf"\lambda &= {_written(top)} \approx {float(top):.4f}, \qquad {_written(bottom)}",
    )


def _column(second: int) -> str:
    return rf"\left(\begin{{smallmatrix}} 2 \\ {second} \end{{smallmatrix}}\right)"


def _eigenvalues(h: Sequence[Fraction]) -> tuple[Fraction, Fraction]:
    """Those of a symmetric matrix of two rows, which have to be fractions."""
    a, b, c = h
    square = (a - c) ** 2 + 4 * b * b
    root = Fraction(math.isqrt(square.numerator), math.isqrt(square.denominator))
    if root**2 != square:
        raise ValueError(f"the discriminant is {square}; expected a square, so that the eigenvalues are rational")
    return (a + c + root) / 2, (a + c - root) / 2


def worked_batch(found: Hand) -> str:
    """The Hessian with the statistics of the batch, as TeX."""
    columns = [_written(a) for a, _ in found.by_batch]
    squares = " + ".join(rf"{abs((a * 343).numerator)}^2" for a, _ in found.by_batch)
    h11 = found.batch[0]
    return aligned(
        r"\frac{\partial \hat y_n}{\partial w_1} &= " + r",\; ".join(columns),
        r"\frac{\partial \hat y_n}{\partial w_2} &= 0,\; 0,\; 0,\; 0",
        rf"H_{{11}} &= \tfrac14 \cdot \tfrac{{1}}{{343^2}} ({squares})",
        rf"&= {_written(h11)} \approx {float(h11):.5f}",
        rf"H &= {_matrix(found.batch)}",
    )
