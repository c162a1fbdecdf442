"""What is wrong with a test's inputs: ways in which they hide a mistake, each with the same inputs without it.

Inputs are a dictionary of arrays: x and dy are (N, C) or (N, C, H, W), eps and momentum are numbers, all else is (C,).
`evidence` tries these on inputs on which a wrong implementation does nothing wrong.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from bn_exercises.algorithm import batch_axes, per_channel
from bn_exercises.tolerance import Array
from bn_exercises.verdict import Link

Values: TypeAlias = dict[str, Array]

PAGE = "exercises/break-it"
INPUTS = Link("Inputs that separate", "break-it-inputs", PAGE)

BATCHES = ("dy", "x")
NUMBERS = ("eps", "momentum")


@dataclass(frozen=True, kw_only=True)
class Hides:
    """Something about inputs that hides mistakes.

    Attributes:
        name: short, as in a table.
        says: what somebody who wrote such a test is told, and what to do instead.
        shows: whether inputs have it.
        change: the same inputs without it.
        see: where in the book to read.
    """

    name: str
    says: str
    shows: Callable[[Values], bool]
    change: Callable[[Values], Values]
    see: Link = INPUTS


# About a batch, and about what normalizes it


def _batch(inputs: Values) -> tuple[Array, Array]:
    x = inputs["x"]
    return x.mean(axis=batch_axes(x)), x.var(axis=batch_axes(x))


def is_stored(inputs: Values) -> bool:
    """Whether stored statistics normalize: in inference, and in a frozen layer."""
    return "running_var" in inputs and "momentum" not in inputs


def _normalizing(inputs: Values) -> tuple[Array, Array]:
    """The mean and the variance that normalize."""
    return (inputs["running_mean"], inputs["running_var"]) if is_stored(inputs) else _batch(inputs)


def _near(a: Array, b: Array, room: float = 0.005) -> bool:
    return bool(np.all(np.abs(a - b) <= room * np.maximum(np.abs(a), np.abs(b))))


def values_per_channel(x: Array) -> int:
    """Over how many values a mean is taken."""
    return int(x.size // x.shape[1])


def _ramp(like: Array) -> Array:
    """Numbers that are not 0, not 1 and not alike."""
    return 2 + np.arange(like.size) / 2


def waves(shape: tuple[int, ...]) -> Array:
    """Numbers without a pattern that any mistake shares."""
    return np.sin(np.arange(1, int(np.prod(shape)) + 1) ** 2).reshape(shape)


def _moved(inputs: Values, by: Array) -> Values:
    """x moved, and the stored mean with it."""
    moved = inputs | {"x": inputs["x"] + per_channel(by, inputs["x"])}
    return moved | ({"running_mean": inputs["running_mean"] + by} if "running_mean" in inputs else {})


def _spread_out(inputs: Values, by: Array) -> Values:
    """The variance that normalizes made so many times as large."""
    if is_stored(inputs):
        return inputs | {"running_var": inputs["running_var"] * by}
    x, mean = inputs["x"], per_channel(_batch(inputs)[0], inputs["x"])
    return inputs | {"x": mean + (x - mean) * per_channel(np.sqrt(by), x)}


def _down_to_eps(inputs: Values) -> Values:
    var = _normalizing(inputs)[1]
    return _spread_out(inputs, inputs["eps"] / np.where(var > 0, var, 1))


def _is_sum_zero(dy: Array) -> bool:
    return bool(np.all(np.abs(dy.sum(axis=batch_axes(dy))) <= 0.005 * np.abs(dy).sum(axis=batch_axes(dy))))


def _is_across(inputs: Values) -> bool:
    """Whether dy and x have nothing to do with each other: then nothing comes back through the variance."""
    x, dy = inputs["x"], inputs["dy"]
    deviation = x - per_channel(_batch(inputs)[0], x)
    product, size = (dy * deviation).sum(axis=batch_axes(x)), np.abs(dy * deviation).sum(axis=batch_axes(x))
    return bool(np.all(np.abs(product) <= 0.005 * size))


def _with_more_features(inputs: Values) -> Values:
    def another(name: str, value: Array) -> Array:
        if name in BATCHES:
            return np.concatenate([value, 3 * value + 7 * waves(value.shape)], axis=1)
        return np.concatenate([value, 2 * value + 1])

    return {name: value if name in NUMBERS else another(name, value) for name, value in inputs.items()}


def _as_images(inputs: Values) -> Values:
    """Each number becomes 2 × 3 positions that differ; the mean and the variance of a channel stay."""

    def image(value: Array) -> Array:
        pattern = waves((*value.shape, 2, 3))
        pattern -= pattern.mean(axis=(2, 3), keepdims=True)
        spread = np.abs(value - value.mean(axis=0)).max(axis=0) + 1e-3
        raw = value[..., None, None] + per_channel(spread, pattern) * pattern
        mean = per_channel(value.mean(axis=0), raw)
        shrink = np.sqrt(value.var(axis=0) / raw.var(axis=(0, 2, 3)))
        return mean + per_channel(shrink, raw) * (raw - mean)

    return {name: image(value) if name in BATCHES else value for name, value in inputs.items()}


def _with_one_more(inputs: Values) -> Values:
    """One more sample, unlike the others."""

    def longer(value: Array) -> Array:
        return np.concatenate([value, 3 * value[:1] + np.abs(value).max() + 1])

    return {name: longer(value) if name in BATCHES else value for name, value in inputs.items()}


def _few(inputs: Values) -> Values:
    """The first samples and positions only."""
    return {
        name: value[:3, :, :2, :1] if value.ndim == 4 else value[:3] if name in BATCHES else value
        for name, value in inputs.items()
    }


def _unlike(inputs: Values) -> Values:
    """Every feature but the first with another mean and another spread."""
    x = inputs["x"]
    number = per_channel(np.arange(x.shape[1]), x)
    return inputs | {"x": x * (number + 1) + 5 * number * (np.abs(x).max() + 1)}


def _are_alike(inputs: Values) -> bool:
    mean, var = _batch(inputs)
    return inputs["x"].shape[1] > 1 and _near(mean, mean[0]) and _near(var, var[0])


def _are_batch_s_own(inputs: Values) -> bool:
    if "running_var" not in inputs:
        return False
    mean, var = _batch(inputs)
    m = values_per_channel(inputs["x"])
    unbiased = var * m / max(m - 1, 1)
    return _near(inputs["running_mean"], mean) or any(_near(inputs["running_var"], each) for each in (var, unbiased))


def _is_one(inputs: Values) -> bool:
    var, m = _normalizing(inputs)[1] + inputs.get("eps", 0), values_per_channel(inputs["x"])
    return any(_near(each, 1, 0.02) for each in (var, var * m / max(m - 1, 1)))


def _stored_nonzero(inputs: Values) -> Values:
    return inputs | {name: np.where(inputs[name] == 0, 2.0, inputs[name]) for name in ("running_mean", "running_var")}


# The first that hides a mistake is told: those that change little come first.
HIDES: tuple[Hides, ...] = (
    Hides(
        name="gamma is 1",
        says="gamma is 1 in every feature, and multiplying by 1 shows nothing. Take other numbers.",
        shows=lambda v: "gamma" in v and _near(v["gamma"], 1.0),
        change=lambda v: v | {"gamma": _ramp(v["gamma"])},
    ),
    Hides(
        name="beta is 0",
        says="beta is 0 in every feature, and adding 0 shows nothing. Take other numbers.",
        shows=lambda v: "beta" in v and not v["beta"].any(),
        change=lambda v: v | {"beta": _ramp(v["beta"]) + 3},
    ),
    Hides(
        name="gamma equals beta",
        says="gamma and beta are the same numbers, so nobody can tell which is which. Take different ones.",
        shows=lambda v: "beta" in v and _near(v["gamma"], v["beta"]),
        change=lambda v: v | {"beta": v["beta"] + _ramp(v["beta"])},
    ),
    Hides(
        name="momentum is 0, ½ or 1",
        says="With this momentum the old value and the batch's weigh the same, or one of them nothing. Take 0.1.",
        shows=lambda v: "momentum" in v and float(v["momentum"]) in (0, 0.5, 1),
        change=lambda v: v | {"momentum": np.array(0.1)},
    ),
    Hides(
        name="dy is 0",
        says="dy is 0 everywhere, so every gradient is 0, whoever computes it. Take a dy without a pattern.",
        shows=lambda v: "dy" in v and not v["dy"].any(),
        change=lambda v: v | {"dy": waves(v["dy"].shape)},
    ),
    Hides(
        name="dy all ones",
        says="dy is the same for all samples of a feature. Then the true dx is 0, and 0 times anything is 0 as well. "
        "Take a dy without a pattern.",
        shows=lambda v: "dy" in v and not np.ptp(v["dy"], axis=batch_axes(v["dy"])).any(),
        change=lambda v: v | {"dy": v["dy"] + (np.abs(v["dy"]).max() or 1.0) * waves(v["dy"].shape)},
    ),
    Hides(
        name="dy sums to 0",
        says="dy sums to 0 in every feature, so nothing comes back through the mean. Take a dy without a pattern.",
        shows=lambda v: "dy" in v and _is_sum_zero(v["dy"]),
        change=lambda v: v | {"dy": v["dy"] + (np.abs(v["dy"]).max() or 1.0)},
    ),
    Hides(
        name="dy unrelated to x",
        says="The sum of dy · x̂ is 0 in every feature, so nothing comes back through the variance. Take a dy without a "
        "pattern.",
        shows=lambda v: "dy" in v and _is_across(v),
        change=lambda v: v | {"dy": v["dy"] + (np.abs(v["dy"]).max() or 1.0) * waves(v["dy"].shape)},
    ),
    Hides(
        name="x is the running mean",
        says="x is the running mean, so every x̂ is 0, and what is done with it does not show. Take other rows.",
        shows=lambda v: is_stored(v) and _near(v["x"], per_channel(v["running_mean"], v["x"])),
        change=lambda v: v | {"x": v["x"] + 1 + np.sqrt(per_channel(v["running_var"], v["x"]))},
    ),
    Hides(
        name="the mean is 0",
        says="The mean is 0 in every feature, so nothing shows whether it is subtracted. Take another.",
        shows=lambda v: bool(np.all(np.abs(_normalizing(v)[0]) <= 0.005 * np.sqrt(_normalizing(v)[1]))),
        change=lambda v: _moved(v, 1 + np.sqrt(_normalizing(v)[1])),
    ),
    Hides(
        name="the variance is 1",
        says="The variance is 1 in every feature. Then the root, the square and the variance itself are the same. Take "
        "another.",
        shows=_is_one,
        change=lambda v: _spread_out(v, np.array(9.0)),
    ),
    Hides(
        name="stored statistics are the batch's own",
        says="The stored mean or variance is that of x, so nothing shows which of them is used, or whether one moves. "
        "Take others.",
        shows=_are_batch_s_own,
        change=lambda v: v | {"running_mean": v["running_mean"] + 3, "running_var": 5 * v["running_var"] + 1},
    ),
    Hides(
        name="stored statistics are 0",
        says="The stored mean or variance is 0, and what is done to 0 often does not show. Take other numbers.",
        shows=lambda v: "running_var" in v and not (v["running_mean"].any() and v["running_var"].any()),
        change=_stored_nonzero,
    ),
    Hides(
        name="a batch of two",
        says="Two values, normalized, are always −1 and 1, but for ε, whatever they were. Take three or more.",
        shows=lambda v: values_per_channel(v["x"]) == 2,
        change=_with_one_more,
    ),
    Hides(
        name="ε is 0",
        says="ε is 0, so where it goes does not show. Take an ε as large as the variance.",
        shows=lambda v: "eps" in v and v["eps"] == 0,
        change=lambda v: v | {"eps": _normalizing(v)[1].mean()},
    ),
    Hides(
        name="ε is 10⁻⁵",
        says="ε is 10⁻⁵, as nearly everywhere. Take another.",
        shows=lambda v: "eps" in v and _near(v["eps"], 1e-5),
        change=lambda v: v | {"eps": 5 * v["eps"]},
    ),
    # Before the next one: with less variance, too, the mean is large beside the spread.
    Hides(
        name="mean too small for rounding to show",
        says="The mean is not large beside the spread, so no digits are lost on the way. Take numbers near "
        "100,000,000 with a spread of a few units.",
        shows=lambda v: bool(np.all(np.abs(_batch(v)[0]) < 1e6 * np.sqrt(_batch(v)[1]))),
        change=lambda v: _moved(v, np.full(v["x"].shape[1], 1e8 * np.sqrt(_batch(v)[1].max()))),
    ),
    Hides(
        name="variance too large for ε to show",
        says="ε is small beside the variance, so where it goes hardly shows. Take a variance that is no larger than ε.",
        shows=lambda v: v.get("eps", 0) > 0 and bool(np.all(v["eps"] < 0.2 * _normalizing(v)[1])),
        change=_down_to_eps,
    ),
    Hides(
        name="batch too large for m − 1 to show",
        says="The batch is large, and what divides by m or by m − 1 is nearly the same there. Take three samples.",
        shows=lambda v: values_per_channel(v["x"]) >= 20,
        change=_few,
    ),
    Hides(
        name="no stored statistics",
        says="You gave no stored statistics. What is done with such does not show: give running_mean and running_var.",
        shows=lambda v: "dy" in v and "running_var" not in v,
        change=lambda v: v | {"running_mean": _batch(v)[0] + 1, "running_var": 2 * _batch(v)[1] + 1},
    ),
    Hides(
        name="stored statistics given",
        says="You gave stored statistics. They are constants, so nothing comes back through a mean or a variance. "
        "Leave them out.",
        shows=lambda v: "dy" in v and "running_var" in v,
        change=lambda v: {name: value for name, value in v.items() if not name.startswith("running")},
    ),
    Hides(
        name="a single feature",
        says="There is one feature only, so nothing shows whether each has its own statistics. Take two that differ.",
        shows=lambda v: v["x"].shape[1] == 1,
        change=_with_more_features,
    ),
    Hides(
        name="features all alike",
        says="The features have the same mean and the same variance, so nothing shows whether each has its own. Take "
        "features that differ.",
        shows=_are_alike,
        change=_unlike,
    ),
    Hides(
        name="no images",
        says="x is a table. What is done with images, (N, C, H, W), does not show. Take some, with N, C, H and W all "
        "different.",
        shows=lambda v: v["x"].ndim == 2,
        change=_as_images,
    ),
)
