"""The steps of Batch Normalization, one by one: what is right. `misconceptions` has what goes wrong in them.

Each takes the results of the steps before, right or wrong. `bn_lib` does all steps at once; a test compares the two.
"""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from bn_exercises.tolerance import Array

# Takes (x, eps), gives the root that everything is divided by.
Root: TypeAlias = Callable[[Array, float], Array]


def batch_axes(x: Array) -> tuple[int, ...]:
    """All axes but the channels': x is (N, C) or (N, C, H, W)."""
    return (0, *range(2, x.ndim))


def per_channel(values: Array, x: Array) -> Array:
    """`values`, one for each channel, in a shape that broadcasts against x; one for each number of x as they are."""
    return values if values.ndim == x.ndim else values.reshape((1, -1) + (1,) * (x.ndim - 2))


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
