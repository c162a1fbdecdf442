"""Figures of the chapter on the backward pass, and its worked example as lines of LaTeX."""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from html import escape
from typing import NamedTuple

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bn_book.backward.experiments import PATHS, ByHandBackward, Path, PathRun
from bn_book.colours import COLOURS
from bn_book.drawing import styled
from bn_book.tex import aligned, decimal, row
from bn_lib._arrays import Array

# By hand


def worked_forward(hand: ByHandBackward) -> str:
    """What is needed of the forward pass."""
    return aligned(
        rf"\sqrt{{\sigma_B^2 + \epsilon}} &= {decimal(hand.forward.root)}", rf"\hat x &= {row(hand.forward.x_hat)}"
    )


def worked_dy(hand: ByHandBackward) -> str:
    """The gradient that arrives."""
    return rf"dy = {row(hand.dy)}"


def worked_parameters(hand: ByHandBackward) -> str:
    """The gradients of beta and gamma."""
    products = [g * h for g, h in zip(hand.dy, hand.forward.x_hat, strict=True)]
    return aligned(
        rf"d\beta &= {_sum(hand.dy)} = {decimal(hand.dbeta)}",
        rf"dy \cdot \hat x &= {row(products)} \\ d\gamma &= {_sum(products)} = {decimal(hand.dgamma)}",
    )


def worked_means(hand: ByHandBackward) -> str:
    """The factor and the two means of the compact form."""
    m, forward = len(hand.dy), hand.forward
    scale = forward.gamma / forward.root
    return aligned(
        rf"\frac{{\gamma}}{{\sqrt{{\sigma_B^2 + \epsilon}}}} "
        rf"&= \frac{{{decimal(forward.gamma)}}}{{{decimal(forward.root)}}} = {decimal(scale)}",
        rf"\overline{{dy}} &= \frac{{{decimal(hand.dbeta)}}}{{{m}}} = {decimal(hand.dbeta / m)}",
        rf"\overline{{dy\,\hat x}} &= \frac{{{decimal(hand.dgamma)}}}{{{m}}} = {decimal(hand.dgamma / m)}",
    )


def worked_dx(hand: ByHandBackward) -> str:
    """What arrives along each path, and the sum."""
    names = {
        "direct": r"\text{directly}",
        "mean": r"\text{through } \mu_B",
        "variance": r"\text{through } \sigma_B^2",
    }
    terms = [rf"&{names[path]} \\ &\quad {row(hand.terms[path])}" for path in PATHS]
    return aligned(*terms, rf"&dx \\ &\quad {row(hand.dx)}")


def _sum(values: Sequence[Fraction]) -> str:
    return " + ".join(decimal(value, parentheses=i > 0) for i, value in enumerate(values))


# The graph

_PLACES = {
    "x": (0.0, 1.0),
    "mu": (1.15, 0.0),
    "var": (1.75, 1.0),
    "x_hat": (3.1, 1.0),
    "y": (4.2, 1.0),
    "gamma": (4.2, 1.9),
    "beta": (4.2, 0.1),
}
_NAMES = {
    "x": "$x$",
    "mu": r"$\mu_B$",
    "var": r"$\sigma_B^2$",
    "x_hat": r"$\hat x$",
    "y": "$y$",
    "gamma": r"$\gamma$",
    "beta": r"$\beta$",
}
# How much an edge bends, as Matplotlib's arc3 takes it.
_EDGES = {
    ("x", "x_hat"): -0.42,
    ("x", "mu"): 0.0,
    ("x", "var"): 0.0,
    ("mu", "var"): 0.0,
    ("mu", "x_hat"): 0.2,
    ("var", "x_hat"): 0.0,
    ("x_hat", "y"): 0.0,
    ("gamma", "y"): 0.0,
    ("beta", "y"): 0.0,
}


class GraphStep(NamedTuple):
    """One step back through the graph.

    Attributes:
        title: what is done.
        formula: Matplotlib mathtext.
        values: the numbers of the worked example.
        edges: those that the gradient travels, from the end where it arrives.
    """

    title: str
    formula: str
    values: str
    edges: tuple[tuple[str, str], ...]


def graph_steps(hand: ByHandBackward) -> tuple[GraphStep, ...]:
    """The backward pass as steps through the graph, each with the numbers of the worked example."""
    return (
        GraphStep(
            "Forward: x reaches y by three paths",
            r"$y = \gamma\,\hat x + \beta,\quad \hat x = (x - \mu_B)\,/\,\sqrt{\sigma_B^2 + \epsilon}$",
            f"x = {_plain(hand.forward.x)}",
            (),
        ),
        GraphStep(r"1. From $y$ to $\hat x$", r"$d\hat x = \gamma\,dy$", _plain(hand.dx_hat), (("x_hat", "y"),)),
        GraphStep(
            r"2. From $\hat x$ to the variance",
            r"$d\sigma_B^2 = -\frac{1}{2}\,\sum d\hat x\,(x - \mu_B)\,/\,(\sigma_B^2 + \epsilon)^{3/2}$",
            _plain([hand.dvar]),
            (("var", "x_hat"),),
        ),
        GraphStep(
            "3. From the variance to the mean: nothing",
            r"$\partial\sigma_B^2/\partial\mu_B = -\frac{2}{m}\,\sum (x - \mu_B) = 0$",
            _plain([-2 * sum(hand.forward.deviations, Fraction()) / len(hand.dy)]),
            (("mu", "var"),),
        ),
        GraphStep(
            r"4. From $\hat x$ to the mean",
            r"$d\mu_B = -\sum d\hat x\,/\,\sqrt{\sigma_B^2 + \epsilon}$",
            _plain([hand.dmean]),
            (("mu", "x_hat"),),
        ),
        GraphStep(
            "5. To x directly",
            r"$d\hat x\,/\,\sqrt{\sigma_B^2 + \epsilon}$",
            _plain(hand.terms["direct"]),
            (("x", "x_hat"),),
        ),
        GraphStep("6. To x through the mean", r"$d\mu_B\,/\,m$", _plain(hand.terms["mean"]), (("x", "mu"),)),
        GraphStep(
            "7. To x through the variance",
            r"$d\sigma_B^2 \cdot 2\,(x - \mu_B)\,/\,m$",
            _plain(hand.terms["variance"]),
            (("x", "var"),),
        ),
        GraphStep(
            "8. dx is the sum of what arrived",
            r"$dx$",
            _plain(hand.dx),
            (("x", "x_hat"), ("x", "mu"), ("x", "var")),
        ),
    )


def _plain(values: Sequence[Fraction]) -> str:
    text = ", ".join(decimal(value).replace("-", "−") for value in values)
    return f"({text})" if len(values) > 1 else text


def describe(step: GraphStep) -> str:
    """A step in words, with its numbers."""
    title = step.title.replace("$", "").replace(r"\hat x", "x-hat")
    names = {"mu": "the mean", "var": "the variance", "x_hat": "x-hat"}
    ways = [f"from {names.get(end, end)} to {names.get(start, start)}" for start, end in step.edges]
    travelled = f" The gradient goes {', '.join(ways)}." if ways else " No gradient flows yet."
    return f"{title}.{travelled} Values: {step.values}"


@styled
def graph(step: GraphStep) -> Figure:
    """The computational graph of BN, with the edges of one backward step in the accent colour."""
    fig, ax = plt.subplots(figsize=(5.2, 3.9))
    for (start, end), bend in _EDGES.items():
        travelled = (start, end) in step.edges
        vanishes = (start, end) == ("mu", "var")
        # An arrow shows where values flow; a travelled one where the gradient does.
        tail, head = (end, start) if travelled else (start, end)
        ax.annotate(
            "",
            xy=_PLACES[head],
            xytext=_PLACES[tail],
            arrowprops={
                "arrowstyle": "-|>,head_width=0.3,head_length=0.55",
                "color": COLOURS["accent" if travelled else "muted"],
                "linewidth": 3 if travelled else 1.3,
                "linestyle": (0, (3, 2)) if vanishes else "-",
                "connectionstyle": f"arc3,rad={-bend if travelled else bend}",
                "shrinkA": 15,
                "shrinkB": 15,
            },
        )
    for node, place in _PLACES.items():
        ax.text(*place, _NAMES[node], ha="center", va="center", fontsize=15, color=COLOURS["ink"])
    ax.text(1.5, 2.02, "direct", ha="center", va="center", color=COLOURS["muted"])
    ax.text(0.0, -0.75, step.formula, fontsize=12, color=COLOURS["ink"])
    ax.text(0.0, -1.15, step.values, color=COLOURS["accent" if step.edges else "ink"])
    ax.set_title(step.title, loc="left")
    ax.set(xlim=(-0.3, 4.5), ylim=(-1.3, 2.2))
    ax.axis("off")
    return fig


# Paths left out

#: What a set of paths is called.
PATHS_NAMED: Mapping[str, tuple[Path, ...]] = {
    "all three": PATHS,
    "no path through the variance": ("direct", "mean"),
    "no path through the mean": ("direct", "variance"),
    "direct path only": ("direct",),
}


def along(paths: Sequence[Path], hand: ByHandBackward) -> tuple[Fraction, ...]:
    """What arrives at x along some of the paths, exactly."""
    return tuple(sum(parts, Fraction()) for parts in zip(*(hand.terms[path] for path in paths), strict=True))


def signatures(dx: Sequence[Fraction], hand: ByHandBackward) -> tuple[Fraction, Fraction]:
    """Sum(dx) and sum(dx * x_hat): what tells a forgotten path."""
    product = sum((g * h for g, h in zip(dx, hand.forward.x_hat, strict=True)), Fraction())
    return sum(dx, Fraction()), product


@styled
def forgotten_paths(runs: Mapping[str, PathRun]) -> Figure:
    """Above the training loss, below the norm of a bias before BN, for backward passes along some of the paths.

    Args:
        runs: by the names of `PATHS_NAMED`.
    """
    looks = {
        "all three": ("with_bn", "-"),
        "no path through the variance": ("green", "--"),
        "no path through the mean": ("accent", "-"),
        "direct path only": ("amber", "--"),
    }
    fig, (above, below) = plt.subplots(2, 1, figsize=(5.2, 5.8), sharex=True)
    for name, run in runs.items():
        colour, line = looks[name]
        loss = _smooth(run.loss, 15)
        above.plot(np.arange(15, len(run.loss) + 1), loss, line, color=COLOURS[colour])
        below.plot(np.arange(1, len(run.bias) + 1), run.bias, line, color=COLOURS[colour])
    above.set(yscale="log", ylim=(0.05, 4), ylabel="training loss (nats)")
    above.set_yticks([0.1, 1], ["0.1", "1"])
    above.legend(above.get_lines(), runs, loc="lower left", bbox_to_anchor=(0, 1))
    below.set(xlabel="step", ylabel="norm of the bias", ylim=(-0.2, None))
    below.text(300, 0.1, "with the path through the mean: 0", ha="right", va="bottom", color=COLOURS["muted"])
    return fig


def _smooth(values: Array, width: int) -> Array:
    return np.convolve(values, np.ones(width) / width, mode="valid")


# Gradient checks


def verdict_table(verdicts: Mapping[str, Mapping[str, bool]]) -> str:
    """What each check caught, as an HTML table: a row for each implementation, a column for each check."""
    checks = list(next(iter(verdicts.values())))
    head = "".join(f'<th scope="col">{escape(column)}</th>' for column in ("backward pass", *checks))
    body = "".join(
        f'<tr><th scope="row">{escape(name)}</th>'
        + "".join(f"<td>{'✓' if caught[check] else '·'}</td>" for check in checks)
        + "</tr>"
        for name, caught in verdicts.items()
    )
    return f'<table class="table"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'


@styled
def step_error(steps: Array, central: Array, one_sided: Array) -> Figure:
    """Error of finite differences against the step h, both axes logarithmic."""
    fig, ax = plt.subplots(figsize=(5.2, 3.8))
    _v_curve(ax, steps, one_sided, "amber", "s--")
    _v_curve(ax, steps, central, "accent", "o-")
    ax.text(1.3e-4, 2e-3, "one-sided", ha="right", color=COLOURS["amber"])
    ax.text(4e-7, 2e-11, "central", ha="right", color=COLOURS["accent"])
    ax.text(1.5e-12, 5e-8, "rounding,\nas 1/h", color=COLOURS["muted"])
    ax.text(0.15, 4e-10, "truncation,\nas h²", ha="right", color=COLOURS["muted"])
    ax.set(xscale="log", yscale="log", ylim=(1e-12, 10), xlabel="step $h$ (standard deviation of $x$: 1)")
    ax.set_ylabel("relative error of the gradient")
    return fig


def _v_curve(ax: Axes, steps: Array, errors: Array, colour: str, line: str) -> None:
    ax.plot(steps, errors, line, color=COLOURS[colour], markersize=4)
    best = int(np.argmin(errors))
    ax.plot(steps[best], errors[best], "o", markersize=11, markerfacecolor="none", color=COLOURS[colour])
