"""What the chapter shows: its figures, and the lines of its worked example as TeX.

Each function takes the numbers that `bn_book.covariate_shift.experiments` computed.
"""

from fractions import Fraction
from typing import Literal

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bn_book.colours import COLOURS
from bn_book.covariate_shift.experiments import Chain, Run, Term, of_order
from bn_book.drawing import styled
from bn_book.drawing._tex import aligned, decimal

_ORDER_COLOUR = ("muted", "accent", "green", "amber")
_SUBSCRIPT = "₀₁₂₃"
_POWER = ("", "−a", "+a²", "−a³")
_RUN_LOOKS = {
    "without BN": ("without_bn", "-"),
    "with BN": ("with_bn", "-"),
    "without BN, larger weights": ("muted", "--"),
}


def term_name(term: Term) -> str:
    """A term as text with subscripts: "+a² x g₁g₂w₃"."""
    factors = "".join(("g" if layer in term.moved else "w") + _SUBSCRIPT[layer] for layer in (1, 2, 3))
    return f"{_POWER[term.order]} x {factors}".strip()


@styled
def stacked_terms(chain: Chain, terms: tuple[Term, ...], *, limits: tuple[float, float] = (-7.0, 6.6)) -> Figure:
    """The eight terms, each starting where the one before ended, and where a first-order step would have ended.

    Args:
        chain: the network before the step.
        terms: of `expand`.
        limits: of the horizontal axis, the same for every learning rate.
    """
    fig, ax = plt.subplots(figsize=(5.2, 4.4))
    reached = 0.0
    for row, term in enumerate(terms):
        value = float(term.value)
        ax.barh(row, value, left=reached, height=0.62, color=COLOURS[_ORDER_COLOUR[term.order]])
        if row:
            ax.plot([reached, reached], [row - 1, row], color=COLOURS["ink"], lw=0.6)
        reached += value
    linear = float(of_order(terms, 0) + of_order(terms, 1))
    for x, words, style, row, end in (
        (linear, "1st order predicts", ":", 3, 9.3),
        (reached, "the step gives", "-", 7, 8.3),
    ):
        ax.plot([x, x], [row, end], color=COLOURS["ink"], lw=1.2, ls=style)
        ax.text(x, end + 0.15, f" {words} {_signed(x)} ", ha=_beside(x, limits), va="center")
    ax.axvline(float(chain.target), color=COLOURS["muted"], lw=0.8, ls="--", zorder=0)
    ax.text(float(chain.target), -0.7, "target", color=COLOURS["muted"], ha="center", va="bottom")
    ax.set_yticks(range(len(terms)), [term_name(term) for term in terms])
    for label, term in zip(ax.get_yticklabels(), terms, strict=True):
        label.set_color(COLOURS[_ORDER_COLOUR[term.order]])
    ax.set(xlim=limits, ylim=(9.9, -0.6), xlabel="y, term by term")
    ax.grid(axis="y", visible=False)
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
def accuracy_curves(runs: tuple[Run, ...]) -> Figure:
    """Test accuracy after each epoch, one line for each run."""
    fig, ax = plt.subplots()
    for run in runs:
        colour, dash = _RUN_LOOKS[run.name]
        steps = run.steps_per_epoch * np.arange(len(run.accuracy))
        ax.plot(steps, 100 * run.accuracy, dash, color=COLOURS[colour])
    for words, x, y, colour in (
        ("with BN", 90, 102, "with_bn"),
        ("without BN,\nlarger weights", 130, 77, "muted"),
        ("without BN", 720, 50, "without_bn"),
    ):
        ax.text(x, y, words, color=COLOURS[colour], va="center")
    ax.set(xlim=(0, runs[0].steps[-1]), ylim=(0, 106), xlabel="training step", ylabel="test digits right (%)")
    return fig


def worked_gradients(chain: Chain) -> str:
    """Answer and gradients of the chain, with numbers, as TeX."""
    w1, w2, w3 = (decimal(w) for w in chain.weights)
    x, pull = decimal(chain.x), decimal(chain.y - chain.target)
    g1, g2, g3 = (decimal(g) for g in chain.gradients)
    return aligned(
        rf"y &= {x} \cdot {w1} \cdot {w2} \cdot {w3} = {decimal(chain.y)}",
        rf"\partial L / \partial y &= y - t = {decimal(chain.y)} - {decimal(chain.target)} = {pull}",
        rf"g_1 &= (y - t)\,x\,w_2 w_3 = {pull} \cdot {x} \cdot {w2} \cdot {w3} = {g1}",
        rf"g_2 &= (y - t)\,x\,w_1 w_3 = {pull} \cdot {x} \cdot {w1} \cdot {w3} = {g2}",
        rf"g_3 &= (y - t)\,x\,w_1 w_2 = {pull} \cdot {x} \cdot {w1} \cdot {w2} = {g3}",
    )


def worked_terms(chain: Chain, terms: tuple[Term, ...], rate: Fraction) -> str:
    """The eight terms with their numbers, one a line, as TeX."""
    lines = []
    for term in terms:
        sign, power = ("+", "-")[term.order % 2], ("", r"a\,", r"a^2\,", r"a^3\,")[term.order]
        symbols, numbers = [], []
        for layer, w, g in zip((1, 2, 3), chain.weights, chain.gradients, strict=True):
            moved = layer in term.moved
            symbols.append(f"{'g' if moved else 'w'}_{layer}")
            numbers.append(decimal(g if moved else w))
        scale = "" if not term.order else rf"{decimal(rate**term.order)} \cdot "
        product = scale + r" \cdot ".join([decimal(chain.x), *numbers])
        lines.append(rf"{sign}{power}x\,{''.join(symbols)} &= {sign}{product} = {_plus(term.value)}")
    total = sum((term.value for term in terms), Fraction(0))
    return aligned(*lines, rf"\text{{sum}} &= {decimal(total)}")


def worked_check(chain: Chain, rate: Fraction) -> str:
    """The same answer without expanding: step each weight, then multiply, as TeX."""
    stepped = [w - rate * g for w, g in zip(chain.weights, chain.gradients, strict=True)]
    y = chain.x * stepped[0] * stepped[1] * stepped[2]
    lines = [
        rf"w_{i} - a\,g_{i} &= {decimal(w)} - {decimal(rate)} \cdot {decimal(g)} = {decimal(new)}"
        for i, w, g, new in zip((1, 2, 3), chain.weights, chain.gradients, stepped, strict=True)
    ]
    product = r" \cdot ".join(decimal(new) for new in stepped)
    return aligned(*lines, rf"y &= {decimal(chain.x)} \cdot {product} = {decimal(y)}")


def _plus(value: Fraction) -> str:
    """A decimal with its sign, whichever it is."""
    return ("+" if value > 0 else "") + decimal(value)


def _signed(number: float) -> str:
    return f"{number:.2f}".replace("-", "−")


def _beside(x: float, limits: tuple[float, float]) -> Literal["left", "right"]:
    """How to align words at `x` so that they stay inside."""
    return "left" if x < sum(limits) / 2 else "right"


def _end_label(ax: Axes, x: float, y: float, words: str) -> None:
    ax.annotate(words, (x, y), xytext=(4, 0), textcoords="offset points", fontsize=10, va="center")
