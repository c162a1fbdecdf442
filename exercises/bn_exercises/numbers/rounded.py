"""The steps of Batch Normalization with intermediate results rounded, as one does them by hand.

Each takes how one rounds, a `Rounding` or only its digits, and returns a function that takes what the exact step of
`algorithm` takes.
"""

from collections.abc import Callable

import numpy as np

from bn_exercises.algorithm import spread
from bn_exercises.numbers.calculation import AlsoRight
from bn_exercises.tolerance import BY_HAND, DIGITS, Array, Rounding


def normalized(rounding: Rounding | int) -> Callable[..., Array]:
    """`normalized` of somebody who rounds the variance, the root and maybe the mean."""
    r = _rounding(rounding)

    def compute(x: Array, eps: float, mean: Array | None = None, var: Array | None = None) -> Array:
        deviations = x - r.of_mean(x.mean(axis=0) if mean is None else mean)
        return r.divided(deviations, r(np.sqrt(r(spread(x, var)) + eps)))

    return compute


def dmu(rounding: Rounding | int) -> Callable[..., Array]:
    """`dmu` of somebody who rounds after every step."""
    r = _rounding(rounding)

    def compute(x: Array, dx_hat: Array, eps: float) -> Array:
        return r(r.divided(-dx_hat.sum(), _root(r, x, eps)))

    return compute


def dvar(rounding: Rounding | int, *, half_last: bool = False) -> Callable[..., Array]:
    """`dvar` of somebody who rounds after every step; the factor ½ comes first or last."""
    r = _rounding(rounding)

    def compute(x: Array, dx_hat: Array, eps: float) -> Array:
        total = r((dx_hat * (x - r.of_mean(x.mean()))).sum())
        root = _root(r, x, eps)
        return r(-0.5 * r(r.divided(total, root, power=3))) if half_last else r(r.divided(-0.5 * total, root, power=3))

    return compute


def dx(rounding: Rounding | int) -> Callable[..., Array]:
    """`dx` of somebody who rounds after every step."""
    r = _rounding(rounding)

    def compute(x: Array, dx_hat: Array, eps: float, dmu: Array, dvar: Array) -> Array:
        deviations = x - r.of_mean(x.mean())
        direct = r(r.divided(dx_hat, _root(r, x, eps)))
        return r(direct + r(r(dvar) * 2 * deviations / len(x)) + r(r(dmu) / len(x)))

    return compute


def dx_throughout(rounding: Rounding | int) -> Callable[..., Array]:
    """The same of somebody who goes on from what is in their head, and writes dmu and dvar down in fewer digits."""

    def compute(x: Array, dx_hat: Array, eps: float, own_dmu: Array, own_dvar: Array) -> Array:
        carried = dmu(rounding)(x, dx_hat, eps), dvar(rounding)(x, dx_hat, eps)
        return dx(rounding)(x, dx_hat, eps, *carried)

    return compute


def dx_compact(rounding: Rounding | int) -> Callable[..., Array]:
    """The same by the compact form, (dx_hat - mean(dx_hat) - x_hat * mean(dx_hat * x_hat)) / root."""
    r = _rounding(rounding)

    def compute(x: Array, dx_hat: Array, eps: float, dmu: Array, dvar: Array) -> Array:
        root = _root(r, x, eps)
        x_hat = r(r.divided(x - r.of_mean(x.mean()), root))
        left = r(dx_hat - r(dx_hat.mean()) - r(x_hat * r((dx_hat * x_hat).mean())))
        return r(r.divided(left, root))

    return compute


def _rounding(rounding: Rounding | int) -> Rounding:
    return Rounding(rounding) if isinstance(rounding, int) else rounding


def _root(r: Rounding, x: Array, eps: float) -> Array:
    return r(np.sqrt(r(x.var()) + eps))


# One rounds to this many digits, or to one more.
ROUNDED = (DIGITS, DIGITS + 1)
NORMALIZED = tuple(AlsoRight(normalized(rounding)) for rounding in BY_HAND)
