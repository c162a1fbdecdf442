"""Statistics of a batch as a value that can be merged: a count, a mean and a sum of squared deviations.

One operation, `Moments.merge`, serves every place where statistics meet: running statistics over a stream, population
statistics of data that does not fit in memory, and synchronized BN across workers. What a *layer* does with running
statistics (momentum) is not here: that is an average of variances, a different thing, and lives in `batchnorm`.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple, Self

from bn_lib import _checks as check
from bn_lib._arrays import (
    LIMITS,
    Array,
    Axes,
    Namespace,
    as_axes,
    count_along,
    namespace,
    silent,
    statistics_dtype,
    work_dtype,
)


class Deviations(NamedTuple):
    """Data without its mean, and what was found on the way, all in units of `unit`.

    Attributes:
        deviation: x - mean, in the precision in which x is computed.
        mean: float64; the axes that were averaged over are kept at length 1, here and below.
        var: the mean square of the deviations, float64.
        unit: a power of two; 1 but for numbers at the ends of the type.
    """

    deviation: Array
    mean: Array
    var: Array
    unit: Array | float


def deviations(xp: Namespace, x: Array, axes: tuple[int, ...], eps: float, *, center: bool = True) -> Deviations:
    """Subtract the mean over `axes`, and find the variance; without `center`, take 0 for the mean.

    If x is scaled by a power of two and eps by its square, nothing is rounded and x_hat stays as it is. So where
    1 / sqrt(var + eps) is at the ends of the type, all is done again in float64, in units near the largest x.
    """

    def found(x: Array, unit: Array | float) -> Deviations:
        deviation, mean = subtract_mean(xp, x, axes) if center else (x, None)
        wide = xp.astype(deviation, xp.float64, copy=False)
        var = xp.sum(wide * wide, axis=axes, keepdims=True) / count_along(x.shape, axes)
        return Deviations(deviation, xp.zeros_like(var) if mean is None else mean, var, unit)

    plain = deviation, _, var, _ = found(xp.astype(x, work_dtype(x, xp), copy=False), 1.0)
    inv_std, (least, most, _) = 1 / xp.sqrt(var + eps), LIMITS[xp.finfo(deviation.dtype).bits]
    held = (inv_std >= least) & (inv_std <= most)
    # What is infinite or NaN already has no better answer.
    if bool(xp.all(held)) or bool(xp.all(held | ~xp.all(xp.isfinite(x), axis=axes, keepdims=True))):
        return plain
    x = xp.astype(x, xp.float64)
    largest = xp.max(xp.abs(x), axis=axes, keepdims=True)
    smallest = max(math.sqrt(eps), 2.0**-1000)  # eps is in these units too
    unit = 2.0 ** xp.floor(xp.log2(xp.where(largest > smallest, largest, smallest)))
    return found(x / unit, unit)


def subtract_mean(xp: Namespace, x: Array, axes: tuple[int, ...]) -> tuple[Array, Array]:
    """Return `x - mean` and the mean over `axes` (kept as axes of length 1), accurate however large the mean is.

    The mean rounded to the precision of `x` is subtracted first; that subtraction is exact for values near the mean.
    The mean of what is left is what the rounding lost, and goes next. With a mean of 1e4 and a standard deviation of
    1e-2 in float32, subtracting the rounded mean alone can be wrong by 5 % of a standard deviation.

    Source: after the corrected two-pass algorithm of Chan, Golub and LeVeque (1983), which corrects the sum of squares
    instead.
    """
    count = count_along(x.shape, axes)
    rounded_mean = xp.astype(xp.sum(x, axis=axes, keepdims=True, dtype=xp.float64) / count, x.dtype)
    deviation = x - rounded_mean
    lost = xp.sum(deviation, axis=axes, keepdims=True, dtype=xp.float64) / count
    return deviation - xp.astype(lost, x.dtype), xp.astype(rounded_mean, xp.float64) + lost


def mean_and_m2(xp: Namespace, x: Array, found: Deviations, count: int) -> tuple[Array, Array]:
    """The mean and the sum of squared deviations in the units of x and the precision in which they are handed out."""
    _, mean, var, unit = found
    wide = statistics_dtype(x, xp)
    return xp.astype(mean * unit, wide, copy=False), xp.astype(var * count * unit * unit, wide, copy=False)


@dataclass(frozen=True, eq=False)
class Moments:
    """Count, mean and spread of a set of values, mergeable exactly. Equal if all their numbers are.

    Attributes:
        count: how many values each mean is of.
        mean: their mean, one per channel (or whatever axes were left); in the units of x.
        m2: the sum of squared deviations from the mean; in the units of x squared.

    Statistics of float32 and float64 data are float64, those of float16 data float32.

    Example:
        >>> x = np.array([[1.0], [2.0], [6.0], [7.0]])
        >>> Moments.of(x[:1], axis=0).merge(Moments.of(x[1:], axis=0)) == Moments.of(x, axis=0)
        True
    """

    count: int
    mean: Array
    m2: Array

    @classmethod
    @silent
    def of(cls, x: Array, axis: Axes) -> Self:
        """Moments of `x` over `axis`: the shape of `mean` is the shape of `x` without those axes.

        Args:
            x: floating-point array of any rank.
            axis: the axis, or axes, to average over: 0 for (N, C), (0, 2, 3) for (N, C, H, W).

        Example:
            >>> moments = Moments.of(np.array([[1.0, 10.0], [3.0, 50.0]]), axis=0)
            >>> moments.count, moments.mean, moments.m2
            (2, array([ 2., 30.]), array([  2., 800.]))

        Raises:
            TypeError: if `x` is not a floating-point array.
            ValueError: if an axis does not exist or there is nothing to average.
        """
        check.floats(x)
        axes = as_axes(axis, x.ndim)
        count = count_along(x.shape, axes)
        if count == 0:
            raise ValueError(f"x has shape {x.shape}; expected at least one element along axis {axis}")
        xp = namespace(x)
        # An eps of 1, because no variance is too small where nothing is divided by it.
        mean, m2 = mean_and_m2(xp, x, deviations(xp, x, axes, eps=1.0), count)
        return cls(count, xp.squeeze(mean, axis=axes), xp.squeeze(m2, axis=axes))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Moments):
            return NotImplemented
        return self.count == other.count and all(
            tuple(one.shape) == tuple(another.shape) and bool(namespace(one).all(one == another))
            for one, another in ((self.mean, other.mean), (self.m2, other.m2))
        )

    @silent
    def merge(self, other: "Moments") -> "Moments":
        """Moments of both sets of values together, as if they had been seen at once.

        With delta = mean_b - mean_a and n = n_a + n_b:

            mean = mean_a + delta * n_b / n
            m2   = m2_a + m2_b + delta**2 * n_a * n_b / n

        The order of merging changes the result only by rounding.

        Source: Chan, Golub and LeVeque (1979), "Updating formulae and a pairwise algorithm for computing sample
        variances"; also (1983).

        Example:
            >>> one, other = Moments.of(np.array([1.0, 3.0]), 0), Moments.of(np.array([8.0]), 0)
            >>> float(one.merge(other).mean)
            4.0

        Raises:
            TypeError: if `other` is not a `Moments`.
            ValueError: if the means have different shapes.
        """
        if not isinstance(other, Moments):
            raise TypeError(f"other is a {type(other).__name__}; expected Moments")
        if self.mean.shape != other.mean.shape:
            raise ValueError(f"other has means of shape {other.mean.shape}; expected {self.mean.shape}")
        count = self.count + other.count
        delta = other.mean - self.mean
        mean = self.mean + delta * (other.count / count)
        return Moments(count, mean, self.m2 + other.m2 + delta * delta * (self.count * other.count / count))

    @silent
    def var(self, ddof: int = 0) -> Array:
        """Variance, `m2 / (count - ddof)`: biased for ddof=0 (what BN divides by), unbiased for ddof=1.

        Example:
            >>> moments = Moments.of(np.array([1.0, 3.0]), 0)
            >>> float(moments.var()), float(moments.var(ddof=1))
            (1.0, 2.0)

        Raises:
            ValueError: if count is not larger than ddof.
        """
        if self.count <= ddof:
            raise ValueError(f"ddof is {ddof}; expected less than the count, which is {self.count}")
        return self.m2 / (self.count - ddof)
