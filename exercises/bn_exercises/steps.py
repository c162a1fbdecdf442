"""The steps of Batch Normalization as one does them by hand: what is right, for `problems`; `misconceptions` vary it.

Each takes the results of the steps before, right or wrong. `bn_lib` does all steps at once; a test compares the two.
"""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from bn_exercises.tolerance import Array, Rounding

# Takes (x, eps), gives the root that everything is divided by.
Root: TypeAlias = Callable[[Array, float], Array]


def batch_axes(x: Array) -> tuple[int, ...]:
    """All axes but the channels': x is (N, C) or (N, C, H, W)."""
    return (0, *range(2, x.ndim))


def per_channel(values: Array, x: Array) -> Array:
    """`values`, one for each channel, in a shape that broadcasts against x."""
    return values.reshape((1, -1) + (1,) * (x.ndim - 2))


def mean(x: Array) -> Array:
    """The mean of each feature: x is (N, C) or (N,)."""
    return x.mean(axis=0)


def var(x: Array, mean: Array) -> Array:
    """The variance of each feature around this mean."""
    return ((x - mean) ** 2).mean(axis=0)


def normalized(x: Array, eps: float, mean: Array | None = None, var: Array | None = None) -> Array:
    """x̂ with this mean and variance, or with those of x."""
    return centred(x, mean) / np.sqrt(spread(x, var) + eps)


def centred(x: Array, mean: Array | None) -> Array:
    """x without this mean, or without its own."""
    return x - (x.mean(axis=0) if mean is None else mean)


def spread(x: Array, var: Array | None) -> Array:
    """This variance, or that of x."""
    return x.var(axis=0) if var is None else var


def output(x_hat: Array, gamma: Array, beta: Array) -> Array:
    """Scale, then shift."""
    return gamma * x_hat + beta


# Gradients of one feature: x and dx_hat are (N,). The formulas of Ioffe and Szegedy (2015), below Algorithm 1.


def root(x: Array, eps: float) -> Array:
    """What x - mean is divided by."""
    return np.sqrt(x.var() + eps)


def dmu(x: Array, dx_hat: Array, eps: float, root: Root = root) -> Array:
    """The gradient with respect to the mean. The way through the variance adds nothing, because Σ(x − μ) = 0."""
    return -dx_hat.sum() / root(x, eps)


def dvar(x: Array, dx_hat: Array, eps: float, root: Root = root) -> Array:
    """The gradient with respect to the variance."""
    return -0.5 * (dx_hat * (x - x.mean())).sum() * root(x, eps) ** -3


def dx(x: Array, dx_hat: Array, eps: float, dmu: Array, dvar: Array, root: Root = root) -> Array:
    """The gradient with respect to x: straight, through the variance, through the mean."""
    return dx_hat / root(x, eps) + dvar * 2 * (x - x.mean()) / len(x) + dmu / len(x)


# The same by hand: with intermediate results rounded. Each takes how, a `Rounding` or only its digits, and returns a
# function that takes what the exact one takes.


def normalized_by_hand(rounding: Rounding | int) -> Callable[..., Array]:
    """`normalized` of somebody who rounds the variance, the root and maybe the mean."""
    r = _rounding(rounding)

    def compute(x: Array, eps: float, mean: Array | None = None, var: Array | None = None) -> Array:
        deviations = x - r.of_mean(x.mean(axis=0) if mean is None else mean)
        return r.divided(deviations, r(np.sqrt(r(spread(x, var)) + eps)))

    return compute


def dmu_by_hand(rounding: Rounding | int) -> Callable[..., Array]:
    """`dmu` of somebody who rounds after every step."""
    r = _rounding(rounding)

    def compute(x: Array, dx_hat: Array, eps: float) -> Array:
        return r(r.divided(-dx_hat.sum(), _root_by_hand(r, x, eps)))

    return compute


def dvar_by_hand(rounding: Rounding | int, *, half_last: bool = False) -> Callable[..., Array]:
    """`dvar` of somebody who rounds after every step; the factor ½ comes first or last."""
    r = _rounding(rounding)

    def compute(x: Array, dx_hat: Array, eps: float) -> Array:
        total = r((dx_hat * (x - r.of_mean(x.mean()))).sum())
        root = _root_by_hand(r, x, eps)
        return r(-0.5 * r(r.divided(total, root, power=3))) if half_last else r(r.divided(-0.5 * total, root, power=3))

    return compute


def dx_by_hand(rounding: Rounding | int) -> Callable[..., Array]:
    """`dx` of somebody who rounds after every step."""
    r = _rounding(rounding)

    def compute(x: Array, dx_hat: Array, eps: float, dmu: Array, dvar: Array) -> Array:
        deviations = x - r.of_mean(x.mean())
        direct = r(r.divided(dx_hat, _root_by_hand(r, x, eps)))
        return r(direct + r(r(dvar) * 2 * deviations / len(x)) + r(r(dmu) / len(x)))

    return compute


def dx_throughout_by_hand(rounding: Rounding | int) -> Callable[..., Array]:
    """The same of somebody who goes on from what is in their head, and writes dmu and dvar down in fewer digits."""

    def compute(x: Array, dx_hat: Array, eps: float, dmu: Array, dvar: Array) -> Array:
        carried = dmu_by_hand(rounding)(x, dx_hat, eps), dvar_by_hand(rounding)(x, dx_hat, eps)
        return dx_by_hand(rounding)(x, dx_hat, eps, *carried)

    return compute


def dx_compact_by_hand(rounding: Rounding | int) -> Callable[..., Array]:
    """The same by the compact form, (dx_hat - mean(dx_hat) - x_hat * mean(dx_hat * x_hat)) / root."""
    r = _rounding(rounding)

    def compute(x: Array, dx_hat: Array, eps: float, dmu: Array, dvar: Array) -> Array:
        root = _root_by_hand(r, x, eps)
        x_hat = r(r.divided(x - r.of_mean(x.mean()), root))
        left = r(dx_hat - r(dx_hat.mean()) - r(x_hat * r((dx_hat * x_hat).mean())))
        return r(r.divided(left, root))

    return compute


def _rounding(rounding: Rounding | int) -> Rounding:
    return Rounding(rounding) if isinstance(rounding, int) else rounding


def _root_by_hand(r: Rounding, x: Array, eps: float) -> Array:
    return r(np.sqrt(r(x.var()) + eps))
