"""Figures of the chapter on PyTorch and Keras, its tables, and its example by hand as TeX.

Each function takes the numbers that the room's other modules computed.
"""

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from bn_book.colours import COLOURS
from bn_book.drawing import SMALL, styled
from bn_book.frameworks.experiments import Converted, Moved, floor, of_lead
from bn_book.frameworks.installed import Results
from bn_book.frameworks.pitfalls import FRAMEWORKS, PITFALLS, Pitfall
from bn_book.frameworks.side_by_side import EPS_FORGOTTEN, QUANTITIES
from bn_book.tex import aligned, decimal, row
from bn_lib import Convention, Sequential
from bn_lib._arrays import Array

#: The colour and the line of each library and precision.
LOOKS: Mapping[str, tuple[str, str]] = {
    EPS_FORGOTTEN: ("without_bn", "-"),
    "Keras, float32": ("amber", "-"),
    "PyTorch, float32": ("green", "--"),
    "bn_lib, float32": ("with_bn", ":"),
    "PyTorch, float64": ("green", "-"),
}
FORGOTTEN_LOOKS: Mapping[str, tuple[str, str]] = {
    "momentum": ("accent", "-"),
    "eps": ("amber", "-"),
    "variance": ("green", "-"),
    "all three": ("without_bn", "--"),
    "nothing": ("muted", ":"),
}


@styled
def losses(once: Sequence[Array], twice: Sequence[Array]) -> Figure:
    """Training losses with softmax once and twice, smoothed over 10 steps, and the floor of the second."""
    fig, ax = plt.subplots(figsize=(5.2, 3.8))
    ax.axhline(floor(10), color=COLOURS["muted"], linestyle=":")
    for runs, colour, label in ((twice, "without_bn", "softmax twice"), (once, "with_bn", "once")):
        for at, run in enumerate(runs):
            smooth = _smooth(run)
            ax.plot(np.arange(len(smooth)) + 10, smooth, color=COLOURS[colour], label=None if at else label)
    ax.set(xlim=(0, len(once[0])), ylim=(0, 2.6), xlabel="training step", ylabel="training loss (nats)")
    ax.legend(loc="upper right")
    ax.text(len(once[0]) * 0.98, floor(10) - 0.06, "log(1 + 9/e)", color=COLOURS["muted"], ha="right", va="top")
    return fig


def _smooth(values: Array) -> Array:
    return np.convolve(values, np.full(10, 0.1), mode="valid")


@styled
def two_losses(once: Array, shown: Array) -> Figure:
    """A training loss beside that of softmax once, small; all have the same axes."""
    fig, ax = plt.subplots(figsize=SMALL)
    ax.plot(once, color=COLOURS["with_bn"])
    ax.plot(shown, color=COLOURS["without_bn"])
    ax.set(xlim=(0, len(once)), ylim=(0, 2.6), xticks=(), yticks=(0, 1, 2), xlabel="step", ylabel="loss")
    return fig


@styled
def lead(value: float) -> Figure:
    """The probabilities that a loss sees, and the loss, for one lead of the true class: softmax once and twice."""
    fig, (above, below) = plt.subplots(2, 1, figsize=(5.2, 5.4), gridspec_kw={"height_ratios": (1, 1.2)})
    once = np.exp(np.r_[value, np.zeros(9)] - max(value, 0))
    once /= once.sum()
    twice = np.exp(once) / np.exp(once).sum()
    places = np.arange(10)
    above.bar(places - 0.2, once, 0.4, color=COLOURS["with_bn"], label="softmax once")
    above.bar(places + 0.2, twice, 0.4, color=COLOURS["without_bn"], label="twice")
    above.set(ylim=(0, 1.05), xlabel="class (0 is right)", ylabel="probability")
    above.set_xticks(places)
    above.legend(loc="upper right")
    leads = np.linspace(0, 12, 60)
    curves = [of_lead(each) for each in leads]
    below.axhline(floor(10), color=COLOURS["muted"], linestyle=":")
    below.plot(leads, [each.once for each in curves], color=COLOURS["with_bn"])
    below.plot(leads, [each.twice for each in curves], color=COLOURS["without_bn"])
    here = of_lead(value)
    below.plot([value], [here.once], "o", color=COLOURS["with_bn"])
    below.plot([value], [here.twice], "o", color=COLOURS["without_bn"])
    below.set(xlim=(-0.3, 12.3), ylim=(-0.1, 2.6), xlabel="lead of the right class", ylabel="loss (nats)")
    return fig


@styled
def apart(steps: Mapping[str, Sequence[float]]) -> Figure:
    """The largest difference of a parameter from `bn_lib` in float64 after each step; the axis is logarithmic."""
    fig, ax = plt.subplots(figsize=(5.2, 4.2))
    for name, (colour, dash) in LOOKS.items():
        ax.plot(np.arange(1, len(steps[name]) + 1), steps[name], dash, color=COLOURS[colour], label=name)
    ax.set(yscale="log", ylim=(1e-17, 10), xlim=(0, None), xlabel="training step", ylabel="largest difference")
    ax.set_yticks([1e-16, 1e-12, 1e-8, 1e-4, 1])
    ax.minorticks_off()
    ax.legend(loc="center", bbox_to_anchor=(0.5, 0.34), ncols=2, columnspacing=1.2, handlelength=1.6)
    return fig


@styled
def moved(found: Mapping[str, Moved]) -> Figure:
    """How far probabilities are from those of the network that was moved with every conversion, over training."""
    fig, ax = plt.subplots(figsize=(5.2, 3.6))
    for name, each in found.items():
        colour, dash = FORGOTTEN_LOOKS[name]
        ax.plot(each.steps, np.maximum(each.apart, 1e-6), dash, color=COLOURS[colour], label=name)
    ax.set(yscale="log", ylim=(1e-4, 20), xlim=(0, None), xlabel="steps after the move", ylabel="largest difference")
    ax.set_yticks([1e-4, 1e-3, 1e-2, 1e-1, 1])
    ax.minorticks_off()
    ax.legend(loc="upper center", ncols=3, columnspacing=1.2, handlelength=1.6)
    return fig


# Tables

HEADS = {
    "layers": "each layer's output, first step",
    "gradients": "each gradient, first step",
    "losses": "each loss, 50 steps, in nats",
    "parameters": "parameters after 50 steps",
    "running_mean": "running means",
    "running_var": "running variances",
    "inference": "inference",
    "as stored": "inference, variance as stored",
}


def table_of_differences(found: Mapping[str, Mapping[str, float]]) -> str:
    """The largest differences from `bn_lib` in float64 by quantity and library, as Markdown."""
    ways = [way for way in ("PyTorch, float64", "PyTorch, float32", "Keras, float32", "bn_lib, float32")]
    lines = ["| | " + " | ".join(ways) + " |", "|:--|" + "--:|" * len(ways)]
    for quantity in QUANTITIES:
        cells = [power(found[way][quantity]) for way in ways]
        lines.append(f"| {HEADS[quantity]} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def power(value: float) -> str:
    """A small number with one digit and a power of ten, as TeX: $2 \\times 10^{-7}$."""
    if value == 0:
        return "0"
    mantissa, exponent = f"{value:.0e}".split("e")
    return rf"${mantissa} \times 10^{{{int(exponent)}}}$"


def table_of_pitfalls() -> str:
    """Symptom, cause, check and reports of each pitfall, as Markdown."""
    lines = ["| symptom | cause | check | who had it |", "|:--|:--|:--|:--|"]
    for each in PITFALLS:
        links = ", ".join(f"[{where.name}]({where.url})" for where in each.reports)
        lines.append(f"| {each.symptom} | {each.cause} | {each.check} | {links} |")
    return "\n".join(lines)


def table_of_reproductions(results: Results) -> str:
    """What each pitfall's tests measured in both frameworks, with the mistake and without, as Markdown."""
    lines = [
        "| | measured | PyTorch | Keras |",
        "|:--|:--|:--|:--|",
    ]
    for each in PITFALLS:
        cells = [_pair(each, framework, results.pitfalls[each.name][framework]) for framework in FRAMEWORKS]
        lines.append(f"| {title(each)} | {each.measures} | " + " | ".join(cells) + " |")
    notes = [
        f"{title(each)} does not happen in {each.absent[0]}: {each.absent[1]}." for each in PITFALLS if each.absent
    ]
    return "\n".join([*lines, "", *(f"- {note}" for note in notes)])


def title(pitfall: Pitfall) -> str:
    """A pitfall's name as words."""
    return pitfall.name.replace("-", " ").capitalize()


def _pair(pitfall: Pitfall, framework: str, pair: tuple[float, float]) -> str:
    broken, cured = map(written, pair)
    absent = pitfall.absent is not None and pitfall.absent[0] == framework
    return f"{broken} / {cured}" if absent else f"**{broken}** / {cured}"


def written(value: float) -> str:
    """A measured number with three digits; a dash for none."""
    if math.isnan(value):
        return "–"
    if math.isinf(value):
        return "∞"
    if value and not 1e-2 <= abs(value) < 1e5:
        return power(value)
    return f"{float(f'{value:.3g}'):g}" if abs(value) < 1000 else f"{value:,.0f}"


def table_of_names(model: Sequential) -> str:
    """What a network's arrays are called, and their shapes, here and in three frameworks, as Markdown."""
    theirs = {name: model.state_dict(name) for name in ("pytorch", "keras")}
    flax = {
        f"{kind} / {layer} / {name}": array
        for kind, layers in model.state_dict("flax").items()
        for layer, arrays in layers.items()
        for name, array in arrays.items()
    }
    ours = model.state_dict()
    order = [key for key in ours if not key.endswith("num_batches_tracked")]
    # Keras and Flax leave out the count, and all keep the order within a layer.
    columns = [
        [(key, ours[key].shape) for key in order],
        [(key, array.shape) for key, array in theirs["pytorch"].items() if not key.endswith("num_batches_tracked")],
        [(key, array.shape) for key, array in theirs["keras"].items()],
        [(key, flax[key].shape) for key in _in_order(order, flax)],
    ]
    lines = ["| `bn_lib` | PyTorch | Keras | Flax |", "|:--|:--|:--|:--|"]
    lines += [
        "| " + " | ".join(f"`{key}` {_shape(shape)}" for key, shape in cells) + " |"
        for cells in zip(*columns, strict=True)
    ]
    return "\n".join(lines)


def _in_order(ours: Sequence[str], flax: Mapping[str, Any]) -> list[str]:
    """Flax's keys in the order of ours: it has parameters and statistics apart."""
    names = {"gamma": "scale", "beta": "bias", "weight": "kernel", "running_mean": "mean", "running_var": "var"}
    found = []
    for key in ours:
        place, name = key.rsplit(".", 1)
        kind = "batch_stats" if name.startswith("running") else "params"
        found.append(f"{kind} / layers_{place} / {names.get(name, name)}")
    assert set(found) == set(flax)
    return found


def _shape(shape: Sequence[int]) -> str:
    return " × ".join(map(str, shape))


def settings() -> str:
    """What differs between the frameworks' BN layers, as Markdown."""
    pytorch, keras, flax = Convention.PYTORCH, Convention.KERAS, Convention.FLAX
    weighs = {"batch": "the new batch", "old": "the old average"}
    defaults = {each: each.batch_weight(each.default_momentum) for each in (pytorch, keras, flax)}
    rows = [
        ("`momentum` is the weight of", *(weighs[each.momentum_weighs] for each in (pytorch, keras, flax))),
        ("its default", *(f"{each.default_momentum:g}" for each in (pytorch, keras, flax))),
        ("weight of a new batch then", *(f"{weight:g}" for weight in defaults.values())),
        ("$\\epsilon$", *(power(each.default_eps).replace("1 \\times ", "") for each in (pytorch, keras, flax))),
        ("stored variance", *("unbiased" if each.unbiased else "biased" for each in (pytorch, keras, flax))),
    ]
    lines = ["| | PyTorch | Keras | Flax |", "|:--|:--|:--|:--|"]
    return "\n".join([*lines, *("| " + " | ".join(each) + " |" for each in rows)])


def code(function: Callable[..., Any]) -> str:
    """What a function returns, as a Markdown block of code: the lines that were run, without their frame."""
    body = inspect.getsource(function).split("return ", 1)[1]
    lines = body.rstrip().split("\n")
    return "```python\n" + "\n".join(line.removeprefix("    ") for line in lines) + "\n```"


# The example by hand


def worked(found: Converted) -> str:
    """Both batches, what Keras holds after them, and what PyTorch would hold, as TeX."""
    (first, second), w, old = found.batches, decimal(found.weight), decimal(found.momentum)
    (mean_1, mean_2), (var_1, var_2) = map(tuple, (map(decimal, found.means), map(decimal, found.variances)))
    return aligned(
        rf"x &= {row(first)}:\quad \mu_1 = {mean_1},\quad \sigma_1^2 = {var_1}",
        rf"x &= {row(second)}:\quad \mu_2 = {mean_2},\quad \sigma_2^2 = {var_2}",
        rf"\text{{mean}} &= {old} \cdot {w} \cdot {mean_1} + {w} \cdot {mean_2} = {decimal(found.keras_mean)}",
        rf"\text{{variance}} &= {old}^2 \cdot 1 + {old} \cdot {w} \cdot {var_1} + {w} \cdot {var_2}"
        rf" = {decimal(found.keras_var)}",
    )


def worked_conversion(found: Converted) -> str:
    """The variance that PyTorch would hold, as TeX."""
    count = len(found.batches[0])
    return aligned(
        rf"w &= 1 - {decimal(found.momentum)} = {decimal(found.weight)}",
        rf"v_\text{{PyTorch}} &= {decimal(found.start)} + ({decimal(found.keras_var)} - {decimal(found.start)})"
        rf" \cdot \tfrac{{{count}}}{{{count - 1}}} = {decimal(found.torch_var)}",
    )
