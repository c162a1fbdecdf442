"""Figures of the chapter on convolutions."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator

from bn_book.colours import COLOURS
from bn_book.convolutions.experiments import Curve, Symptom
from bn_book.drawing import styled
from bn_lib._arrays import Array

_BN = (("with BN", COLOURS["with_bn"], "o", "-"), ("without BN", COLOURS["without_bn"], "s", "--"))

# What can be seen of a choice of axes


def table_of_symptoms(found: Mapping[str, Symptom]) -> str:
    """What can be seen of each choice of axes, as a Markdown table narrow enough for a phone."""
    lines = ["| averaged over | shape of the mean | mean off by | std off by |", "|---|---|---|---|"]
    for name, seen in found.items():
        off = [f"{value:.2f}" if value > 1e-9 else "0" for value in (seen.channel_mean, seen.channel_std)]
        shape = ", ".join(map(str, seen.shape)).replace(" ", "\u00a0")
        lines.append(f"| {name} | ({shape}) | {off[0]} | {off[1]} |")
    return "\n".join(lines)


# How many values a feature map is worth


@styled
def noise_of_the_mean(images: Sequence[int], measured: Mapping[str, Sequence[float]], positions: int) -> Figure:
    """The noise of a channel's mean against the number of images, between two laws.

    Args:
        images: in a mini-batch.
        measured: for each kind of data, standard deviations of the mean in standard deviations of the data.
        positions: H * W.
    """
    fig, ax = plt.subplots(figsize=(5.2, 3.6))
    n = np.array(images, dtype=float)
    for values in (n, n * positions):
        ax.plot(n, 1 / np.sqrt(values), "--", color=COLOURS["muted"], linewidth=1.3)
    quiet: dict[str, Any] = {"textcoords": "offset points", "color": COLOURS["muted"]}
    ax.annotate("1 value per image", (n[0], 1), xytext=(12, 3), **quiet)
    ax.annotate(
        f"{positions} values per image", (n[-1], (n[-1] * positions) ** -0.5), xytext=(4, 29), ha="right", **quiet
    )
    looks = zip(("o", "s"), (COLOURS["green"], COLOURS["accent"]), strict=True)
    for (label, noise), (marker, colour) in zip(measured.items(), looks, strict=True):
        ax.plot(n, noise, marker=marker, color=colour)
        ax.annotate(label, (n[0], noise[0]), xytext=(0, -34), textcoords="offset points", color=colour)
    ax.set(xscale="log", yscale="log", xlabel="images in the mini-batch, N", ylabel="noise of the mean (σ)")
    ax.set_xticks(images, [str(k) for k in images])
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set(ylim=(0.006, 1.6), xlim=(0.85, images[-1] * 1.2))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.set_title("A count of values says little about noise")
    return fig


# A small CNN


@styled
def losses(rate: float, with_bn: Sequence[Curve], without_bn: Sequence[Curve]) -> Figure:
    """Training loss of both networks at one learning rate: thin for each seed, thick for their mean."""
    fig, ax = plt.subplots(figsize=(5.2, 3.6))
    final = []
    for (label, colour, _, dashes), curves in zip(_BN, (with_bn, without_bn), strict=True):
        loss = np.array([curve.loss for curve in curves])
        steps = np.arange(1, loss.shape[1] + 1)
        for one in loss:
            ax.plot(steps, one, color=colour, linewidth=0.7, alpha=0.4)
        ax.plot(steps, loss.mean(axis=0), dashes, color=colour, label=label)
        final.append(100 * np.mean([curve.accuracy[-1] for curve in curves]))
    ax.axhline(np.log(10), color=COLOURS["muted"], linestyle=":", linewidth=1.3)
    ax.text(steps[-1], np.log(10) + 0.06, "guessing", ha="right", color=COLOURS["muted"])
    ax.set(xlim=(0, steps[-1] + 1), ylim=(0, 3.6), xlabel="update", ylabel="training loss (nats)")
    ax.set_title(f"rate {rate:g}: right in the end {final[0]:.0f} % with, {final[1]:.0f} % without")
    ax.legend(loc="upper right")
    return fig


def losses_in_words(rate: float, with_bn: Sequence[Curve], without_bn: Sequence[Curve]) -> str:
    """Alternative text for `losses`."""
    ends = [
        (np.mean([curve.loss[-10:] for curve in curves]), 100 * np.mean([curve.accuracy[-1] for curve in curves]))
        for curves in (with_bn, without_bn)
    ]
    return (
        f"At a learning rate of {rate:g} the training loss ends at {ends[0][0]:.2f} nats with BN and at "
        f"{ends[1][0]:.2f} without; the test accuracy at {ends[0][1]:.0f} and {ends[1][1]:.0f} percent."
    )


@styled
def accuracy_by_rate(rates: Sequence[float], with_bn: Array, without_bn: Array) -> Figure:
    """Final test accuracy against the learning rate: a line through the means, a mark for each seed.

    Args:
        rates: learning rates.
        with_bn: accuracies in percent, one row per rate and one column per seed.
        without_bn: likewise.
    """
    fig, ax = plt.subplots(figsize=(5.2, 3.4))
    for (label, colour, marker, dashes), accuracies in zip(_BN, (with_bn, without_bn), strict=True):
        ax.plot(rates, accuracies.mean(axis=1), dashes, marker=marker, color=colour, label=label)
        for column in accuracies.T:
            ax.plot(rates, column, marker, color=colour, markersize=3.5, alpha=0.5)
    ax.set(xscale="log", ylim=(0, 103), xlabel="learning rate", ylabel="test accuracy (%)")
    ax.set_xticks(rates, [f"{rate:g}" for rate in rates])
    ax.xaxis.set_minor_locator(NullLocator())
    best = [accuracies.mean(axis=1).max() for accuracies in (with_bn, without_bn)]
    ax.set_title(f"Best mean: {best[0]:.0f} % with BN, {best[1]:.0f} % without")
    ax.legend(loc="lower left")
    return fig
