"""Batch Normalization as four loops over memory, and the few numbers per channel that stand between them.

    forward     1. moments          reads x            mean and m2 of each channel
                2. scale_and_shift  reads x, writes y  y = scale * (x - center) + offset
    backward    3. gradient_sums    reads dy and x     sum(dy) and sum(dy * (x - center)) of each channel
                4. combine          reads dy and x, writes dx   dx = scale * (dy + slope * (x - center) + shift)

Everything else is arithmetic on (C,) arrays, in float64, and costs nothing. That is what `Backend` does here; a backend
supplies the loops. `x_hat` is never written to memory: it is (x - mean) * inv_std wherever it is wanted.

`center` is close to the mean and as precise as x: near the mean, x - center is exact. What it misses, `lost`, is known
in float64 and goes into `offset` (forward) and `shift` (backward). So a float32 batch with a mean of 1e6, or a float64
batch with a mean of 1e8, keeps all the digits that it has.
"""

from typing import Any, NamedTuple

import numpy as np

from bn_lib._arrays import LIMITS, Array


class Statistics(NamedTuple):
    """What a forward pass leaves for the backward pass, each `(C,)`.

    Attributes:
        center: close to the mean, in x's dtype.
        lost: mean - center, wide.
        m2: sum of squared deviations from the mean, wide; None where the statistics came from elsewhere.
        inv_std: 1 / sqrt(var + eps), wide.
    """

    center: Array
    lost: Array
    m2: Array | None
    inv_std: Array


class OutOfRange(ArithmeticError):
    """The loops would overflow, or lose digits, on the way to a number that there is: the reference has to do it."""


class Backend:
    """Four loops over arrays of shape `(N, C, S)` and what is composed of them.

    Callers have checked everything: arrays are C-contiguous, float32 or float64 (float16 too for a backend that
    `takes_float16`), `dy` and `x` of one dtype; S is 1 for (N, C). Vectors of one value per channel are `(C,)`; those
    marked *wide* are float64, the others have x's dtype. Results are freshly allocated; arguments are never written to.
    A backend may replace the composed functions by fused ones that do the same.

    The loops compute in the precision of x. Where a step of theirs would overflow, or fall below the smallest normal
    number, though the result does not, the (C,) arrays between them show it: `forward`, `forward_with` and `backward`
    then raise `OutOfRange`, and the caller takes the reference.
    """

    name: str
    takes_float16 = False  # otherwise callers convert it to float32 first
    takes_groups = False  # whether it has `forward_groups` and `backward_groups`; otherwise the reference computes

    def __reduce__(self) -> tuple[Any, ...]:
        """A pickled layer may be read where this backend cannot run, so what is kept is its name."""
        from bn_lib.backends import by_name

        return by_name, (self.name,)

    # The four loops

    def moments(self, x: Array) -> tuple[Array, Array, Array]:
        """`center`, `lost` and `m2` of each channel."""
        raise NotImplementedError

    def scale_and_shift(self, x: Array, center: Array, scale: Array, offset: Array) -> Array:
        """Return scale * (x - center) + offset."""
        raise NotImplementedError

    def gradient_sums(self, dy: Array, x: Array, center: Array) -> tuple[Array, Array]:
        """sum(dy) and sum(dy * (x - center)) of each channel, wide."""
        raise NotImplementedError

    def combine(self, dy: Array, x: Array, center: Array, scale: Array, slope: Array, shift: Array) -> Array:
        """Return scale * (dy + slope * (x - center) + shift)."""
        raise NotImplementedError

    # What is composed of them

    def forward(self, x: Array, gamma: Array, beta: Array, eps: float) -> tuple[Array, Statistics]:
        """Normalize with the statistics of x; gamma and beta are `(C,)` of any floating-point dtype."""
        center, lost, m2 = self.moments(x)
        inv_std = 1 / np.sqrt(m2 / (x.size // x.shape[1]) + eps)
        statistics = Statistics(center, lost, m2, inv_std)
        return self.normalize_if_held(x, gamma, beta, statistics), statistics

    def forward_with(
        self, x: Array, gamma: Array, beta: Array, mean: Array, var: Array, eps: float
    ) -> tuple[Array, Statistics]:
        """Normalize with a mean and a variance from elsewhere, `(C,)` of any floating-point dtype."""
        center = mean.astype(x.dtype)
        lost = mean.astype(np.float64) - center
        statistics = Statistics(center, lost, None, 1 / np.sqrt(var.astype(np.float64) + eps))
        return self.normalize_if_held(x, gamma, beta, statistics), statistics

    def normalize(self, x: Array, gamma: Array, beta: Array, statistics: Statistics) -> Array:
        """y = gamma * (x - mean) * inv_std + beta, whatever the statistics are of."""
        scale, offset = scale_and_offset(gamma, beta, statistics)
        return self.scale_and_shift(x, statistics.center, scale.astype(x.dtype), offset.astype(x.dtype))

    def normalize_if_held(self, x: Array, gamma: Array, beta: Array, statistics: Statistics) -> Array:
        """The same, or `OutOfRange`."""
        scale, offset = scale_and_offset(gamma, beta, statistics)
        check_forward(x, gamma, statistics, scale, offset)
        return self.scale_and_shift(x, statistics.center, scale.astype(x.dtype), offset.astype(x.dtype))

    def backward(self, dy: Array, x: Array, gamma: Array, statistics: Statistics) -> tuple[Array, Array, Array]:
        """dx, and dgamma and dbeta (wide). Without an m2 the statistics are constants, as in inference.

        With M values per channel, mean(dy) = dbeta / M and mean(dy * x_hat) = dgamma / M, so

            dx = gamma * inv_std * (dy - mean(dy) - x_hat * mean(dy * x_hat))

        and with constants only the first of the three terms is left, which x is not part of.
        """
        dgamma, dbeta = self.parameter_gradients(dy, x, statistics)
        check_backward(dy, x, statistics, dgamma, dbeta)
        if statistics.m2 is None:
            nothing = np.zeros(x.shape[1], x.dtype)
            dx = self.scale_and_shift(dy, nothing, (gamma * statistics.inv_std).astype(x.dtype), nothing)
        else:
            count = x.size // x.shape[1]
            dx = self.input_gradient(dy, x, gamma, statistics, dbeta / count, dgamma / count)
        return dx, dgamma, dbeta

    def parameter_gradients(self, dy: Array, x: Array, statistics: Statistics) -> tuple[Array, Array]:
        """dgamma = sum(dy * x_hat) and dbeta = sum(dy), wide."""
        center, lost, _, inv_std = statistics
        sum_dy, sum_dy_deviation = self.gradient_sums(dy, x, center)
        return (sum_dy_deviation - lost * sum_dy) * inv_std, sum_dy

    def input_gradient(
        self, dy: Array, x: Array, gamma: Array, statistics: Statistics, mean_dy: Array, mean_dy_x_hat: Array
    ) -> Array:
        """dx from the two means over everything that shared the statistics, here or on other workers.

        With x_hat = (x - center - lost) * inv_std put in:

            dx = scale * (dy + slope * (x - center) + shift)
            scale = gamma * inv_std
            slope = -inv_std * mean(dy * x_hat)
            shift = -mean(dy) - slope * lost

        scale is multiplied last: scale * slope holds 1 / var, which float32 cannot always where it can hold 1 / std.
        """
        center, lost, _, inv_std = statistics
        scale = gamma * inv_std
        slope = -inv_std * mean_dy_x_hat
        shift = -mean_dy - slope * lost
        return self.combine(dy, x, center, *(v.astype(x.dtype) for v in (scale, slope, shift)))

    # What lies together shares a mean: a sample, or a group of it

    def forward_groups(
        self, x: Array, gamma: Array, beta: Array | None, run: int, eps: float, *, center: bool
    ) -> tuple[Array, Statistics]:
        """Normalize each row of x, `(1, R, L)`, with its own statistics, `(R,)`; without `center`, about zero.

        gamma and beta are `(P,)`. Each value is for `run` elements of x, one after the other, and after P values comes
        the first again; a row begins where a value does, and P values where a row does.
        """
        raise OutOfRange

    def backward_groups(
        self, dy: Array, x: Array, gamma: Array, run: int, statistics: Statistics, *, center: bool
    ) -> tuple[Array, Array, Array]:
        """dx, and dgamma and dbeta (wide), `(P,)`. See `standardize_backward`, with dx_hat = gamma * dy."""
        raise OutOfRange


def scale_and_offset(gamma: Array, beta: Array | float, statistics: Statistics) -> tuple[Array, Array]:
    """What `Backend.scale_and_shift` is given for y, wide."""
    scale = gamma * statistics.inv_std
    return scale, beta - statistics.lost * scale


def check_forward(x: Array, gamma: Array, statistics: Statistics, scale: Array, offset: Array) -> None:
    """Raise `OutOfRange` if scale * (x - center) + offset may not be a number for a finite x, or lack digits."""
    least, most, negligible = LIMITS[8 * x.itemsize]
    size, near = np.abs(scale), np.abs(statistics.center) <= negligible
    held = (size >= least) & (size <= most) & near & (np.abs(offset) <= negligible)
    if not held.all():
        inv_std = statistics.inv_std
        _look_at(~held & ~((gamma == 0) & near & (inv_std >= least) & (inv_std <= most)), x)


def check_backward(dy: Array, x: Array, statistics: Statistics, dgamma: Array, dbeta: Array) -> None:
    """The same of scale * (dy + slope * (x - center) + shift), where `check_forward` let scale and center pass."""
    least, most, negligible = LIMITS[8 * dy.itemsize]
    inv_std = statistics.inv_std
    held = (inv_std >= least) & (inv_std <= most) & (np.abs(dgamma) <= negligible) & (np.abs(dbeta) <= negligible)
    if not held.all():
        _look_at(~held & np.isfinite(inv_std) & np.isfinite(statistics.lost), dy, x)


def _look_at(channels: Array, *arrays: Array) -> None:
    """Raise `OutOfRange` if one of these channels is finite; what is infinite or NaN already has no better answer."""
    for c in np.flatnonzero(channels):
        if all(np.isfinite(a[:, c]).all() for a in arrays):
            raise OutOfRange
