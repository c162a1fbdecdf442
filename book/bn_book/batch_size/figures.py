"""Figures of the chapter on batch size."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator

from bn_book.batch_size.experiments import (
    Changed,
    Company,
    Noise,
    Trained,
    mean_density,
    variance_density,
    variance_quantile,
)
from bn_book.colours import COLOURS
from bn_book.drawing import draw_digit, styled
from bn_lib._arrays import Array

# One colour and one marker for each normalizer, the same in every figure of the chapter.
_LOOKS: Mapping[str, tuple[str, str, str]] = {
    "batch": ("BN", COLOURS["with_bn"], "o"),
    "layer": ("LN", COLOURS["amber"], "s"),
    "group": ("GN", COLOURS["green"], "^"),
}
NAMES: Mapping[str, str] = {name: look[0] for name, look in _LOOKS.items()}
_MEANS = np.linspace(-2, 2, 201)
_RATIOS = np.linspace(0.005, 3, 240)


@styled
def noise(m: int, drawn: Noise) -> Figure:
    """Histograms of mu_B and sigma2_B of drawn mini-batches under their exact densities; the limits never change."""
    fig, (above, below) = plt.subplots(2, 1, figsize=(5.2, 4.2))
    _histogram(above, drawn.mean, (-2, 2))
    above.plot(_MEANS, mean_density(_MEANS, m), color=COLOURS["accent"])
    above.set(xlim=(-2, 2), xlabel=r"$(\mu_B - \mu)\,/\,\sigma$")
    above.set_title(f"m = {m}: mean, standard deviation {1 / np.sqrt(m):.2f} σ")

    _histogram(below, drawn.var, (0, 3))
    below.plot(_RATIOS, variance_density(_RATIOS, m), color=COLOURS["accent"])
    below.set(xlim=(0, 3), xlabel=r"$\sigma_B^2\,/\,\sigma^2$")
    low, high = _middle_95(m)
    below.set_title(f"variance, 95 % between {low} and {high} σ²")
    above.text(1.95, 2.75, "bars: drawn\nline: exact", ha="right", va="center")
    for ax in (above, below):
        ax.set(ylim=(0, 3.4), ylabel="density", yticks=[0, 1, 2, 3])
    return fig


def _middle_95(m: int) -> tuple[str, str]:
    """Between which values of sigma2_B / sigma2 the middle 95 % lie."""
    low, high = (variance_quantile(p, m) for p in (0.025, 0.975))
    return f"{low:.2f}" if low >= 0.01 else f"{low:.4f}", f"{high:.2f}"


def _histogram(ax: Axes, values: Array, limits: tuple[float, float]) -> None:
    heights, edges = np.histogram(values, bins=40, range=limits)
    # Of all values, not only of those inside the limits: then it can be laid over a density.
    density = heights / (len(values) * np.diff(edges))
    ax.stairs(density, edges, fill=True, color=COLOURS["muted"], alpha=0.35)


def noise_in_words(m: int) -> str:
    """Alternative text for `noise`."""
    low, high = _middle_95(m)
    return (
        f"Mini-batches of {m}: drawn means and variances follow their exact densities. The mean scatters with a "
        f"standard deviation of {1 / np.sqrt(m):.2f} sigma around the true one. The variance is {(m - 1) / m:.2f} "
        f"sigma squared on average, and in 95 of 100 mini-batches between {low} and {high} sigma squared."
    )


@styled
def company(one: Company) -> Figure:
    """The probability of one image's class for many choices of companions, by batch size."""
    fig, (left, ax) = plt.subplots(1, 2, figsize=(5.2, 3.4), width_ratios=[1, 4.2])
    draw_digit(left, one.image)
    left.set(ylim=(-9.5, len(one.image)))
    left.set_anchor("N")

    rng = np.random.default_rng(0)
    right = one.predicted == one.label
    for x, p, ok in zip(range(len(one.sizes)), one.probability, right, strict=True):
        where = x + rng.uniform(-0.28, 0.28, len(p))
        ax.plot(where[ok], p[ok], "o", color=COLOURS["with_bn"], markersize=3.5, markeredgewidth=0, alpha=0.7)
        ax.plot(where[~ok], p[~ok], "x", color=COLOURS["accent"], markersize=4.5, markeredgewidth=1.3)
    ax.axhline(one.alone, color=COLOURS["muted"], linestyle="--", linewidth=1.2, zorder=0)
    ax.set_xticks(range(len(one.sizes)), [str(m) for m in one.sizes])
    ax.set(ylim=(-0.03, 1.03), xlabel="batch size m", ylabel=f"probability of class {one.label}")
    ax.set_title("one image, many companions", x=-0.02)
    left.set_title(f"class {one.label}")
    for y, mark, meaning, colour in (
        (-2.2, "dot:", "right", "with_bn"),
        (-7.4, "cross:", "wrong", "accent"),
        (-12.6, "dashed:", "inference", "muted"),
    ):
        left.text(0, y, mark)
        left.text(0, y - 2.2, meaning, color=COLOURS[colour])
    return fig


def company_in_words(one: Company) -> str:
    """Alternative text for `company`."""
    parts = [
        f"{100 * np.mean(p != one.label):.0f} percent at {m}" for m, p in zip(one.sizes, one.predicted, strict=True)
    ]
    return (
        f"A {one.label} that the network in inference mode gives a probability of {one.alone:.2f}. With the statistics "
        f"of random mini-batches its probability scatters, less and less as they grow. Called something else: "
        f"{', '.join(parts)}."
    )


@styled
def changed(found: Sequence[Changed]) -> Figure:
    """The share of predictions that company changes, against batch size."""
    fig, ax = plt.subplots(figsize=(5.2, 3.0))
    sizes = [point.batch_size for point in found]
    shares = [100 * point.changed for point in found]
    ax.plot(sizes, shares, "o-", color=COLOURS["with_bn"])
    for m, share in zip(sizes, shares, strict=True):
        ax.annotate(f"{share:.0f} %", (m, share), xytext=(5, 5), textcoords="offset points")
    ax.set(ylim=(0, 60), ylabel="predictions changed (%)", xlabel="batch size m")
    ax.set_title("Predictions that depend on the company")
    _batch_size_axis(ax, sizes)
    return fig


def _batch_size_axis(ax: Axes, sizes: Sequence[int]) -> None:
    ax.set_xscale("log", base=2)
    ax.set_xticks(sizes)
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set_xlim(min(sizes) / 1.25, max(sizes) * 1.35)


@styled
def accuracy_by_batch_size(runs: Mapping[str, Mapping[int, Sequence[Trained]]]) -> Figure:
    """Test accuracy of each normalizer against batch size: a line through the means, a mark for each seed.

    Args:
        runs: for each normalizer, for each batch size, one run per seed.
    """
    fig, ax = plt.subplots(figsize=(5.2, 3.6))
    for k, (name, by_size) in enumerate(runs.items()):
        label, colour, marker = _LOOKS[name]
        sizes = list(by_size)
        tests = 100 * np.array([[run.test for run in by_size[m]] for m in sizes])
        apart = 2 ** (0.12 * (k - 1))
        ax.plot(np.array(sizes) * apart, tests.mean(axis=1), color=colour, label=label, marker=marker)
        for column in tests.T:
            ax.plot(np.array(sizes) * apart, column, marker, color=colour, markersize=3.5, alpha=0.5, linestyle="none")
    ax.set(ylim=(50, 101), xlabel="batch size", ylabel="test accuracy (%)")
    _batch_size_axis(ax, sizes)
    ax.legend(loc="lower right")
    fewest = sizes[0]
    at_fewest = ", ".join(
        f"{_LOOKS[name][0]} {100 * np.mean([run.test for run in by_size[fewest]]):.0f} %"
        for name, by_size in runs.items()
    )
    ax.set_title(f"At batch size {fewest}: {at_fewest}")
    return fig


@styled
def by_statistics(runs: Mapping[int, Sequence[Trained]]) -> Figure:
    """Training loss and test accuracy against the number of samples that share statistics, all else equal.

    Args:
        runs: for each m, one run per seed.
    """
    fig, (above, below) = plt.subplots(2, 1, figsize=(5.2, 4.6), sharex=True)
    sizes = list(runs)
    loss = np.array([[run.loss for run in runs[m]] for m in sizes])
    test = 100 * np.array([[run.test for run in runs[m]] for m in sizes])
    for ax, values in ((above, loss), (below, test)):
        ax.plot(sizes, values.mean(axis=1), "-", color=COLOURS["with_bn"])
        for column in values.T:
            ax.plot(sizes, column, "o", color=COLOURS["with_bn"], markersize=4, alpha=0.6, markeredgewidth=0)
    above.set(yscale="log", ylabel="training loss (nats)", ylim=(0.07, 3), yticks=[0.1, 0.3, 1, 3])
    above.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    above.yaxis.set_minor_locator(NullLocator())
    above.set_title(f"Training loss: {loss[0].mean():.2g} at {sizes[0]}, {loss[-1].mean():.2g} at {sizes[-1]}")
    below.set(ylim=(50, 101), ylabel="test accuracy (%)", xlabel="samples that share statistics, m")
    below.set_title(f"Test accuracy: {test[0].mean():.0f} % at {sizes[0]}, {test[-1].mean():.0f} % at {sizes[-1]}")
    _batch_size_axis(below, sizes)
    return fig
