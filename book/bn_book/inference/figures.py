"""The figures of the chapter, which take the numbers of its experiments, and its table of conventions."""

from collections.abc import Sequence

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from bn_book.colours import COLOURS
from bn_book.drawing import SMALL, styled
from bn_book.inference.experiments import Chase, Modes, Sweep
from bn_lib import Convention
from bn_lib._arrays import Array

#: The conventions that are put side by side.
CONVENTIONS = ("pytorch", "keras", "flax", "paper")


@styled
def chase(run: Chase) -> Figure:
    """A running mean behind its batch means (above), and the accuracy of a network put to use at each step (below)."""
    fig, (above, below) = plt.subplots(2, 1, figsize=(5.2, 5.0), sharex=True, height_ratios=(3, 2))
    steps = np.arange(1, len(run.batch_means) + 1)
    above.plot(steps, run.batch_means, color=COLOURS["muted"], linewidth=0.8)
    above.plot(np.arange(len(run.running_means)), run.running_means, color=COLOURS["accent"], linewidth=2.5)
    low, high = sorted((0.0, float(run.batch_means[np.argmax(np.abs(run.batch_means))])))
    room = 0.22 * (high - low)
    above.set(ylim=(low - room, high + room), ylabel="mean of one channel")
    above.set_title(f"momentum {run.momentum:g}")
    # Both are said over the right half, above and below all that is drawn there: near their lines at every momentum.
    right = slice(len(steps) // 2, None)
    drawn = (*run.batch_means[right], *run.running_means[right])
    at = {"x": len(steps), "ha": "right"}
    above.text(y=max(drawn) + 0.03 * (high - low), s="running mean", color=COLOURS["accent"], va="bottom", **at)
    above.text(y=min(drawn) - 0.03 * (high - low), s="batch means", color=COLOURS["muted"], va="top", **at)

    below.plot(run.stops, run.possible, "--", color=COLOURS["muted"])
    below.plot(run.stops, run.accuracy, "o-", color=COLOURS["accent"], markersize=4)
    below.set(ylim=(0, 1.4), yticks=(0, 0.5, 1), xlim=(0, len(steps)))
    below.set(xlabel="step at which training stops", ylabel="test accuracy")
    reached = run.accuracy[len(run.accuracy) // 2 :]
    beside = (
        {"y": max(reached) + 0.08, "va": "bottom"} if max(reached) < 0.5 else {"y": min(reached) - 0.08, "va": "top"}
    )
    below.text(y=1.06, s="with population statistics", color=COLOURS["muted"], va="bottom", **at)
    below.text(s="with running statistics", color=COLOURS["accent"], **at, **beside)
    return fig


@styled
def lag_and_noise(sweeps: Sequence[Sweep]) -> Figure:
    """How far running means are from the population's (above) and the accuracy in inference (below), by momentum."""
    fig, (above, below) = plt.subplots(2, 1, figsize=(5.2, 5.4), sharex=True)
    for sweep, colour, marker in zip(sweeps, (COLOURS["accent"], COLOURS["green"]), "os", strict=False):
        label = f"batches of {sweep.batch_size}"
        above.plot(sweep.momenta, sweep.distance, marker=marker, color=colour, label=label)
        above.plot(sweep.momenta, sweep.noise, ":", color=colour)
        below.plot(sweep.momenta, sweep.accuracy, marker=marker, color=colour, label=label)
    above.set(xscale="log", yscale="log", ylim=(0.008, 3), ylabel="distance from the\npopulation, deviations")
    above.text(0.99, 0.12, "dotted: noise alone", color=COLOURS["muted"], transform=above.transAxes, ha="right")
    below.set(ylim=(0, 1.03), ylabel="test accuracy", xlabel="momentum (weight of the new batch)")
    below.legend(loc="lower right")
    return fig


@styled
def bugs(rows: Sequence[tuple[str, float, float]]) -> Figure:
    """For each bug: accuracy as it should be, and with the bug. Rows are (name, healthy, with the bug)."""
    fig, ax = plt.subplots(figsize=(5.2, 0.62 * len(rows) + 1.1))
    for y, (name, healthy, buggy) in enumerate(rows):
        ax.plot((buggy, healthy), (y, y), color=COLOURS["grid"], linewidth=3, zorder=1)
        ax.plot(healthy, y, "o", color=COLOURS["muted"], markersize=8, fillstyle="none", markeredgewidth=2)
        ax.plot(buggy, y, "D", color=COLOURS["accent"], markersize=7)
        ax.text(0.0, y - 0.3, name, color=COLOURS["ink"], va="center")
    ax.plot([], [], "o", color=COLOURS["muted"], fillstyle="none", markeredgewidth=2, label="as it should be")
    ax.plot([], [], "D", color=COLOURS["accent"], label="with the bug")
    ax.set(xlim=(0, 1.03), ylim=(len(rows) - 0.6, -0.7), yticks=[], xlabel="accuracy on the 360 test digits")
    ax.spines["left"].set_visible(False)
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, 1.14), ncols=2)
    return fig


@styled
def left_in_eval(never_trained: Modes, left: Modes, *, after: int) -> Figure:
    """The training loss of a healthy run, and of two that were in inference mode: from the start, and since a step.

    Args:
        never_trained: the run that was in inference mode from the start.
        left: the run that has been since a validation.
        after: the step of that validation.
    """
    fig, ax = plt.subplots(figsize=(5.2, 3.4))
    window = 5
    runs = (
        ("in training mode", left.healthy, "muted", "-"),
        ("eval() from the start", never_trained.losses, "without_bn", "--"),
        ("eval() after a validation", left.losses, "accent", "-"),
    )
    for name, losses, colour, line in runs:
        smooth = np.convolve(losses, np.full(window, 1 / window), mode="valid")
        ax.plot(np.arange(window, len(losses) + 1), smooth, line, color=COLOURS[colour], label=name)
    ax.axvline(after, color=COLOURS["muted"], linestyle=":", linewidth=1.2)
    ax.text(
        after - 3, 0.97, "validation", color=COLOURS["muted"], ha="right", va="top", transform=ax.get_xaxis_transform()
    )
    ax.set(xlim=(0, len(left.losses)), ylim=(0, None), xlabel="step", ylabel="training loss, nats")
    ax.legend(loc="upper right")
    return fig


@styled
def running_mean(values: Array) -> Figure:
    """A running mean after 0, 1, ..., k mini-batches: a plot of a question. All have the same axes."""
    fig, ax = plt.subplots(figsize=SMALL)
    ax.plot(values, color=COLOURS["accent"], linewidth=2.5)
    ax.set(xlim=(0, len(values) - 1), ylim=(-0.05, 1.6), yticks=(0, 1), xlabel="batches")
    ax.set_xticks((0, 20, 40))
    return fig


def table_of_conventions(*, sources: bool = False) -> str:
    """What `momentum` weighs, its default, what the stored variance is divided by, and eps; and from where."""
    conventions = [Convention.named(name) for name in CONVENTIONS]
    weighs = {"batch": "new", "old": "old", "none": "–"}
    rows = [
        ["", *(c.name for c in conventions)],
        ["---"] * (1 + len(conventions)),
        ["weight of", *(weighs[c.momentum_weighs] for c in conventions)],
        ["default", *("–" if c.default_momentum is None else f"{c.default_momentum:g}" for c in conventions)],
        ["variance by", *("$m - 1$" if c.unbiased else "$m$" + "\\*" * (c.name == "keras") for c in conventions)],
        ["$\\epsilon$", *(f"$10^{{{round(np.log10(c.default_eps))}}}$" for c in conventions)],
    ]
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    named = ["", *(f"- {c.name}: {c.source}" for c in conventions)] if sources else []
    return "\n".join([*lines, *named])
