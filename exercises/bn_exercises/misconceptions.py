"""Named mistakes: each is a small wrong implementation, with the sentence that somebody who made it gets back.

A mistake is recognised by running it on the same numbers and comparing. So what a wrong answer looks like is computed
here and never typed, and a new misconception is one small function.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

# NumPy gives `x.mean(axis=...)` no static type, so shapes are in the comments, as in bn_lib.
Array: TypeAlias = Any


@dataclass(frozen=True)
class Misconception:
    """A mistake with a name.

    Attributes:
        name: short, as in a table.
        says: what somebody who made it is told: what they did, and what belongs there instead. No numbers.
        compute: the wrong implementation.
    """

    name: str
    says: str
    compute: Callable[..., Array]


# Forward: x is (N, C), the result is a wrong x_hat


def _ddof1(x: Array, eps: float) -> Array:
    return (x - x.mean(axis=0)) / np.sqrt(x.var(axis=0, ddof=1) + eps)


def _eps_outside(x: Array, eps: float) -> Array:
    return (x - x.mean(axis=0)) / (np.sqrt(x.var(axis=0)) + eps)


def _no_eps(x: Array, eps: float) -> Array:
    return (x - x.mean(axis=0)) / np.sqrt(x.var(axis=0))


def _variance_for_deviation(x: Array, eps: float) -> Array:
    return (x - x.mean(axis=0)) / (x.var(axis=0) + eps)


def _not_centred(x: Array, eps: float) -> Array:
    return x / np.sqrt(x.var(axis=0) + eps)


def _not_divided(x: Array, eps: float) -> Array:
    return x - x.mean(axis=0)


def _over_rows(x: Array, eps: float) -> Array:
    return (x - x.mean(axis=1, keepdims=True)) / np.sqrt(x.var(axis=1, keepdims=True) + eps)


def _over_everything(x: Array, eps: float) -> Array:
    return (x - x.mean()) / np.sqrt(x.var() + eps)


DDOF1 = Misconception(
    "ddof=1",
    "You divided the sum of squares by N − 1. That estimates the variance of a population from a sample. "
    "Batch Normalization standardizes the batch itself, so it divides by N.",
    _ddof1,
)
EPS_OUTSIDE = Misconception(
    "ε outside the root",
    "You added ε after taking the root. It belongs under the root, with the variance: √(σ² + ε).",
    _eps_outside,
)
NO_EPS = Misconception(
    "ε missing",
    "You left ε out. Add it to the variance before you take the root: √(σ² + ε).",
    _no_eps,
)
VARIANCE_FOR_DEVIATION = Misconception(
    "variance for standard deviation",
    "You divided by the variance. Divide by its square root: √(σ² + ε).",
    _variance_for_deviation,
)
NOT_CENTRED = Misconception(
    "not centred",
    "You divided without subtracting the mean first. The numerator is x − μ.",
    _not_centred,
)
NOT_DIVIDED = Misconception(
    "not divided",
    "You subtracted the mean and stopped. The division by √(σ² + ε) is still to come.",
    _not_divided,
)
OVER_ROWS = Misconception(
    "over rows",
    "You averaged over each row, so every sample was normalized by itself. That is Layer Normalization. "
    "Batch Normalization averages over the samples: down each column.",
    _over_rows,
)
OVER_EVERYTHING = Misconception(
    "over everything",
    "You used one mean and one variance for the whole table. Every feature has its own.",
    _over_everything,
)

FORWARD = (
    DDOF1,
    EPS_OUTSIDE,
    NO_EPS,
    VARIANCE_FOR_DEVIATION,
    NOT_CENTRED,
    NOT_DIVIDED,
    OVER_ROWS,
    OVER_EVERYTHING,
)


# Backward: x and dy are (N, C), gamma is (C,), the result is a wrong dx


def _direct_path(x: Array, dy: Array, gamma: Array, eps: float) -> Array:
    return gamma * dy / np.sqrt(x.var(axis=0) + eps)


def _without_variance_path(x: Array, dy: Array, gamma: Array, eps: float) -> Array:
    return _direct_path(x, dy - dy.mean(axis=0), gamma, eps)


def _without_mean_path(x: Array, dy: Array, gamma: Array, eps: float) -> Array:
    x_hat = (x - x.mean(axis=0)) / np.sqrt(x.var(axis=0) + eps)
    return _direct_path(x, dy - x_hat * (dy * x_hat).mean(axis=0), gamma, eps)


def _without_gamma(x: Array, dy: Array, gamma: Array, eps: float) -> Array:
    x_hat = (x - x.mean(axis=0)) / np.sqrt(x.var(axis=0) + eps)
    return _direct_path(x, dy - dy.mean(axis=0) - x_hat * (dy * x_hat).mean(axis=0), np.ones_like(gamma), eps)


NO_PATHS = Misconception(
    "only the direct path",
    "You treated the mean and the variance as constants. In training they are functions of x, "
    "and the gradient flows back through both.",
    _direct_path,
)
NO_VARIANCE_PATH = Misconception(
    "no path through the variance",
    "You let the gradient flow through the mean but not through the variance. One term is missing: "
    "−x̂ · mean(dy · x̂), inside the bracket.",
    _without_variance_path,
)
NO_MEAN_PATH = Misconception(
    "no path through the mean",
    "You let the gradient flow through the variance but not through the mean. One term is missing: "
    "−mean(dy), inside the bracket.",
    _without_mean_path,
)
NO_GAMMA = Misconception(
    "γ left out",
    "You used dy where the gradient with respect to x̂ belongs. That one is γ · dy.",
    _without_gamma,
)

BACKWARD = (NO_PATHS, NO_VARIANCE_PATH, NO_MEAN_PATH, NO_GAMMA)
