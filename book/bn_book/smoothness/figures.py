"""Figures of the chapter on covariate shift and smoothness, and its example by hand as TeX.

Each function takes the numbers that `bn_book.smoothness.experiments` computed.
"""

from collections.abc import Mapping, Sequence
from fractions import Fraction

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from bn_book.colours import COLOURS
from bn_book.drawing import SMALL, styled
from bn_book.smoothness.experiments import EVERY, Activation, Along, Kind, Unit, Watched
from bn_book.tex import aligned, decimal
from bn_lib._arrays import Array

#: What each kind is called, its colour and its line.
LOOKS: Mapping[Kind, tuple[str, str, str]] = {
    "plain": ("plain", "without_bn", "-"),
    "larger weights": ("larger weights", "muted", "--"),
    "stretched": ("stretched", "muted", ":"),
    "standardized once": ("standardized once", "green", "-."),
    "BN": ("BN", "with_bn", "-"),
}


@styled
def speed_and_stability(runs: Mapping[Kind, Mapping[float, Sequence[Watched]]]) -> Figure:
    """Steps to 90 % against how far inputs move, by two yardsticks: a line for each kind, from quiet to disturbed.

    Args:
        runs: for each kind, for each strength of the noise, one run per seed. A run that was not fast enough is left
            out.
    """
    fig, panels = plt.subplots(2, 1, figsize=(5.2, 6.4), sharey=True)
    for ax, yardstick in zip(panels, ("movement", "movement_in_widths"), strict=True):
        for kind, of_kind in runs.items():
            _, colour, dash = LOOKS[kind]
            middle = np.array(
                [
                    [np.median([getattr(run, yardstick) for run in seeds]), np.median([run.steps for run in seeds])]
                    for seeds in of_kind.values()
                ]
            )
            ax.plot(*middle.T, dash, color=COLOURS[colour], zorder=1)
            for noise, (x, y) in zip(of_kind, middle, strict=True):
                face = COLOURS["paper"] if noise else COLOURS[colour]
                ax.plot(x, y, "o", color=COLOURS[colour], markerfacecolor=face, markersize=5 + 1.2 * np.log2(1 + noise))
        ax.set(xscale="log", yscale="log", ylabel="steps to 90 % right", ylim=(14, 2600))
        ax.set_yticks([20, 50, 100, 200, 500, 1000], ["20", "50", "100", "200", "500", "1000"])
        ax.yaxis.set_minor_formatter(NullFormatter())
    above, below = panels
    above.set(xlim=(0.5, 400), xlabel="how far inputs move", title="in units of the input")
    below.set(xlim=(0.25, 100), xlabel="how far inputs move", title="in widths of the distribution")
    for ax, ticks in ((above, (1, 10, 100)), (below, (1, 10))):
        ax.set_xticks(ticks, [str(tick) for tick in ticks])
        ax.xaxis.set_minor_formatter(NullFormatter())
    beside: tuple[tuple[Axes, Mapping[Kind, tuple[float, float]]], ...] = (
        (above, {"plain": (0.75, 1500), "larger weights": (0.75, 110), "standardized once": (1, 31), "BN": (90, 38)}),
        (below, {"plain": (33, 1500), "larger weights": (0.42, 110), "standardized once": (0.5, 31), "BN": (15, 38)}),
    )
    for ax, places in beside:
        for kind, (x, y) in places.items():
            words, colour, _ = LOOKS[kind]
            ax.text(x, y, words, color=COLOURS[colour], va="center")
    return fig


@styled
def far_away(runs: Mapping[int, Mapping[Kind, Along]]) -> Figure:
    """The loss along the gradient of untrained networks, a panel for each depth.

    Args:
        runs: for each number of hidden layers, for each kind.
    """
    fig, panels = plt.subplots(len(runs), 1, figsize=(5.2, 2.7 * len(runs)), sharex=True)
    for ax, (depth, of_depth) in zip(panels, runs.items(), strict=True):
        for kind, found in of_depth.items():
            words, colour, dash = LOOKS[kind]
            ax.plot(found.distances, found.loss, dash, color=COLOURS[colour], label=words)
        ax.set(xscale="log", yscale="log", ylabel="loss (nats)", title=f"{depth} hidden layers")
        ax.xaxis.set_minor_formatter(NullFormatter())
    panels[0].legend(loc="upper left")
    panels[-1].set_xlabel("step, as a learning rate")
    return fig


@styled
def two_losses(distances: Array, plain: Array, with_bn: Array) -> Figure:
    """The loss along the gradient without and with BN, small; all have the same axes."""
    fig, ax = plt.subplots(figsize=SMALL)
    ax.plot(distances, plain, color=COLOURS["without_bn"])
    ax.plot(distances, with_bn, color=COLOURS["with_bn"])
    ax.set(xscale="log", yscale="log", xlim=(0.1, 1000), ylim=(0.2, 3e10), xticks=(), yticks=())
    ax.minorticks_off()
    ax.set(xlabel="step", ylabel="loss")
    return fig


@styled
def smoothness_in_training(runs: Mapping[Activation, Mapping[Kind, Sequence[Watched]]]) -> Figure:
    """Effective beta-smoothness over training: lines for medians of seeds, bands from the least to the most."""
    fig, panels = plt.subplots(len(runs), 1, figsize=(5.2, 2.8 * len(runs)), sharex=True)
    for ax, (activation, of_activation) in zip(panels, runs.items(), strict=True):
        for kind, seeds in of_activation.items():
            words, colour, dash = LOOKS[kind]
            beta = np.array([[each.beta for each in run.landscapes] for run in seeds])
            steps = 2 * EVERY * np.arange(beta.shape[1])
            ax.fill_between(steps, beta.min(axis=0), beta.max(axis=0), color=COLOURS[colour], alpha=0.15, lw=0)
            ax.plot(steps, np.median(beta, axis=0), dash, color=COLOURS[colour], label=words)
        _legend_above(ax)
        name = {"sigmoid": "sigmoids", "relu": "ReLUs"}[activation]
        ax.set(ylim=(0, None), ylabel=f"effective β, {name}")
    panels[-1].set_xlabel("training step")
    return fig


def _legend_above(ax: Axes) -> None:
    ax.legend(
        loc="lower left",
        bbox_to_anchor=(-0.15, 1.0),
        ncols=2,
        borderaxespad=0.2,
        columnspacing=1.2,
        handlelength=1.6,
        handletextpad=0.6,
    )


@styled
def shifts(found: Mapping[str, Mapping[str, Sequence[float]]]) -> Figure:
    """The change of a layer's gradient when the layers below have moved, in gradients: a dot for each seed.

    Args:
        found: for each network, for each name of what it has, one number per seed.
    """
    rows = [(network, name) for network, of_network in found.items() for name in of_network]
    fig, ax = plt.subplots(figsize=(5.2, 0.34 * (len(rows) + 2 * len(found)) + 0.8))
    y = 0.0
    ticks, names = [], []
    for network, of_network in found.items():
        y -= 1
        ax.text(0.0022, y, network, va="center", color=COLOURS["muted"])
        for name, values in of_network.items():
            y -= 1
            colour = LOOKS[name][1] if name in LOOKS else "with_bn"  # type: ignore[index]
            ax.plot(values, np.full(len(values), y), "o", color=COLOURS[colour], alpha=0.8, markersize=5)
            ticks.append(y)
            names.append(name)
        y -= 0.4
    ax.set(xscale="log", xlim=(0.002, 3), ylim=(y - 0.2, -0.3), xlabel="change / gradient")
    ax.set_yticks(ticks, names)
    ax.tick_params(axis="y", length=0)
    ax.set_xticks([0.01, 0.1, 1], ["0.01", "0.1", "1"])
    ax.xaxis.set_minor_formatter(NullFormatter())
    return fig


# The worked example


def _pair(values: tuple[Fraction, Fraction]) -> str:
    return rf"({decimal(values[0])},\; {decimal(values[1])})"


def worked_start(unit: Unit) -> str:
    """The unit's gradients where it starts, as TeX."""
    first, second = unit.direction
    v, t = decimal(unit.v), decimal(unit.t)
    return aligned(
        rf"\partial L / \partial v &= v\,|d|^2 - t\,d_1 \\ &= {v} \cdot {decimal(first**2 + second**2)} - {t} \cdot "
        rf"{decimal(first)} = {decimal(unit.gradient_above)}",
    )


def worked_plain(unit: Unit, rate: Fraction) -> str:
    """Without BN: the gradient of u, its step, and v's gradient afterwards, as TeX."""
    v, t, first = decimal(unit.v), decimal(unit.t), decimal(unit.direction[0])
    after = unit.stepped(rate)
    square = after.direction[0] ** 2 + after.direction[1] ** 2
    return aligned(
        rf"\partial L / \partial u &= v\,(v u - t e_1) \\ &= ({first} - {t},\; {decimal(unit.direction[1])}) \\ "
        rf"&= {_pair(unit.gradient_below)}",
        rf"u &\to {_pair(unit.u)} - {decimal(rate)}\,{_pair(unit.gradient_below)} \\ &= {_pair(after.u)}",
        rf"\partial L / \partial v &= {v} \cdot {decimal(square)} - {t} \cdot {decimal(after.direction[0])} \\ "
        rf"&= {decimal(after.gradient_above)}",
    )


def worked_with_bn(unit: Unit, rate: Fraction) -> str:
    """With BN: the gradient of u, its step, and v's gradient afterwards, as TeX."""
    v, t = decimal(unit.v), decimal(unit.t)
    plain = unit._replace(with_bn=False).gradient_below
    first, second = unit.direction
    inside = plain[0] * first + plain[1] * second
    after = unit.stepped(rate)
    return aligned(
        rf"g &= {_pair(plain)}",
        rf"g \cdot d &= {decimal(plain[0])} \cdot {decimal(first)} + {decimal(plain[1])} \cdot {decimal(second)} \\ "
        rf"&= {decimal(inside)}",
        rf"\partial L / \partial u &= \bigl(g - (g \cdot d)\,d\bigr) / |u| \\ &= {_pair(unit.gradient_below)}",
        rf"u &\to {_pair(unit.u)} - {decimal(rate)}\,{_pair(unit.gradient_below)} \\ &= {_pair(after.u)}",
        rf"d &\to u / |u| = {_pair(after.direction)}",
        rf"\partial L / \partial v &= {v} \cdot 1 - {t} \cdot {decimal(after.direction[0])} \\ "
        rf"&= {decimal(after.gradient_above)}",
    )


def table_of_kinds(runs: Mapping[Kind, Sequence[Watched]], names: Mapping[Kind, str]) -> str:
    """Speed, effective beta and movement of each kind as a Markdown table, medians over the seeds."""
    lines = ["| | steps to 90 % | effective β | path of the inputs | path in widths |", "|:--|--:|--:|--:|--:|"]
    for kind, seeds in runs.items():
        steps, beta, path, widths = (
            float(np.median([getattr(run, what) for run in seeds]))
            for what in ("steps", "beta", "movement", "movement_in_widths")
        )
        lines.append(f"| {names[kind]} | {steps:.0f} | {beta:.1f} | {path:.2f} | {widths:.2f} |")
    return "\n".join(lines)


def in_words(values: Array) -> str:
    """Numbers of seeds, the least and the most."""
    return f"{np.min(values):.2g} to {np.max(values):.2g}"
