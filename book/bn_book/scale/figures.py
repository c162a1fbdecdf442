"""What the chapter shows: its figures, and the lines of its worked example as TeX.

Each function takes the numbers that `bn_book.scale.experiments` computed.
"""

from fractions import Fraction

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from bn_book.colours import COLOURS
from bn_book.drawing import styled
from bn_book.scale.experiments import DigitsStage, Sweep, Worked, hand_problem, predicted_steps
from bn_book.tex import aligned, decimal
from bn_exercises.typography import as_in_a_book
from bn_lib._arrays import Array


@styled
def layer_histograms(signals: list[Array], *, limit: float = 0.5) -> Figure:
    """A histogram for each layer, first on top, each as high as its highest bar, with its standard deviation.

    Args:
        signals: of `bn_book.scale.experiments.signals`.
        limit: of the histograms, on both sides.
    """
    fig, panels = plt.subplots(len(signals), 1, figsize=(5.2, 0.7 * len(signals) + 0.6), sharex=True)
    bins = np.linspace(-limit, limit, 101)
    for k, (ax, signal) in enumerate(zip(panels, signals, strict=True), start=1):
        count, _ = np.histogram(signal, bins)
        ax.fill_between(bins, np.append(count, 0) / count.max(), step="post", color=COLOURS["accent"], lw=0)
        side = 1.5 * limit  # room for words beside histograms that are as wide as they may be
        ax.text(-side, 0.95, f"layer {k}", va="top")
        spread = as_in_a_book(f"{signal.std():.1g}")
        ax.text(side, 0.95, spread, va="top", ha="right", color=COLOURS["accent"])
        ax.set(xlim=(-side, side), ylim=(0, 1.05), yticks=[])
        ax.spines["left"].set_visible(False)
        ax.grid(visible=False)
    panels[-1].set_xlabel("output minus its mean over images")
    return fig


@styled
def rate_and_steps(sweep: Sweep) -> Figure:
    """The largest stable learning rate, and the steps needed, against the condition number: theory and measurement."""
    fig, (top, bottom) = plt.subplots(2, 1, figsize=(5.2, 5.4), sharex=True)
    measured = {"ls": "", "marker": "o", "color": COLOURS["accent"], "ms": 6}
    theory = {"color": COLOURS["muted"], "lw": 1.5}
    conditions = np.geomspace(sweep.condition[0], sweep.condition[-1], 50)
    top.loglog(conditions, 2 / conditions, **theory)
    top.loglog(sweep.condition, sweep.measured_rate, **measured)
    top.set_ylabel("largest stable\nlearning rate")
    top.text(1.3, 0.035, r"line: 2 / $\lambda_{\max}$", color=COLOURS["muted"])
    top.text(1.3, 0.004, "dots: where runs\nbegan to diverge", color=COLOURS["accent"], va="center")
    bottom.loglog(conditions, predicted_steps(conditions), **theory)
    bottom.loglog(sweep.condition, sweep.measured_steps, **measured)
    bottom.set(
        xlabel=r"condition number $\lambda_{\max}\,/\,\lambda_{\min}$", ylabel="steps to 1/1000\nof the distance"
    )
    bottom.text(28, 15, "line: worst start", color=COLOURS["muted"])
    bottom.text(28, 3.2, "dots: counted,\nrandom start", color=COLOURS["accent"], va="center")
    return fig


@styled
def digits_descent(stages: tuple[DigitsStage, ...]) -> Figure:
    """Excess training loss on the digits against steps, for each preparation of the pixels."""
    fig, ax = plt.subplots(figsize=(5.2, 3.8))
    looks = (("muted", "-"), ("amber", "--"), ("green", "-."), ("accent", ":"))
    last = len(stages[0].excess) - 1
    steps = np.unique(np.geomspace(1, last, 60).astype(int))
    for stage, (colour, dash) in zip(stages, looks, strict=True):
        left = stage.excess[steps] / stage.excess[0]
        if left[0] < 1e-6:
            ax.plot(1, 1.4e-4, "v", color=COLOURS[colour], ms=8)
            ax.text(1.25, 1.4e-4, f"{stage.name}: one step", color=COLOURS[colour], va="center")
            continue
        ax.plot(steps, left, dash, color=COLOURS[colour])
    raw, centered, standardized, _ = stages
    at = {raw.name: (70, 0.3), centered.name: (130, 0.019), standardized.name: (1.2, 0.018)}
    for (name, (x, y)), (colour, _) in zip(at.items(), looks, strict=False):
        ax.text(x, y, name, color=COLOURS[colour])
    ax.set(xscale="log", yscale="log", xlim=(0.9, last), ylim=(1e-4, 1.2))
    ax.set(xlabel="step", ylabel="loss above the minimum\n(start = 1)")
    return fig


def worked_hessian(worked: Worked) -> str:
    """The entries of the Hessian of the problem by hand, summed up, as TeX."""
    x = [[int(v) for v in row] for row in hand_problem().x]
    lines = []
    for (i, j), product, entry in zip(((0, 0), (0, 1), (1, 1)), worked.products, worked.h, strict=True):
        terms = " + ".join(str(row[i] * row[j]) for row in x)
        name = f"H_{{{i + 1}{j + 1}}}"
        lines.append(
            rf"{name} &= \tfrac{{1}}{{{len(x)}}} ({terms}) = \tfrac{{{product}}}{{{len(x)}}} = {decimal(entry)}"
        )
    return aligned(*lines)


def worked_eigenvalues(worked: Worked) -> str:
    """The eigenvalues of the problem by hand from trace and determinant, and the limit, as TeX."""
    h11, h12, h22 = worked.h
    trace, determinant = h11 + h22, h11 * h22 - h12**2
    root = worked.largest - worked.smallest
    limit = 2 / worked.largest
    return aligned(
        rf"\text{{trace}} &= {h11} + {h22} = {trace}",
        rf"\text{{determinant}} &= {h11} \cdot {h22} - {h12}^2 = {determinant}",
        rf"\lambda &= \tfrac12 \bigl({trace} \pm \sqrt{{{trace}^2 - 4 \cdot {determinant}}}\bigr)",
        rf"&= \tfrac12 ({trace} \pm {root})",
        rf"\lambda_{{\max}} &= {worked.largest}, \qquad \lambda_{{\min}} = {worked.smallest}",
        rf"\eta &< \tfrac{{2}}{{{worked.largest}}} = \tfrac{{{limit.numerator}}}{{{limit.denominator}}}"
        rf" \approx {float(limit):.5f}",
    )


def worked_step(worked: Worked, step: int) -> str:
    """One step of descent on the problem by hand, `step` counting from 0, as TeX."""
    (h11, h12, h22), rate = worked.h, decimal(worked.rate)
    matrix = rf"\begin{{pmatrix}} {h11} & {h12} \\ {h12} & {h22} \end{{pmatrix}}"
    before, gradient, after = worked.weights[step], worked.gradients[step], worked.weights[step + 1]
    off = (before[0] - int(hand_problem().weights[0]), before[1] - int(hand_problem().weights[1]))
    return aligned(
        rf"\nabla L &= {matrix} {_column(off)} = {_column(gradient)}",
        rf"w_{{{step + 1}}} &= {_column(before)} - {rate} {_column(gradient)} = {_column(after)}",
    )


def _column(values: tuple[Fraction, Fraction]) -> str:
    return rf"\begin{{pmatrix}} {decimal(values[0])} \\ {decimal(values[1])} \end{{pmatrix}}"
