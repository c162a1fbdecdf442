"""The one step that every normalizer shares, forward and backward: subtract the mean, divide by the deviation.

    x_hat = (x - mean) / sqrt(var + eps)

Which axes the mean is taken over makes it Batch, Layer, Instance or Group Normalization; where the scale and shift that
follow come from makes it plain, conditional or adaptive. Both are decided in `normalizers`, not here. `standardize`
checks its input, for those who call it directly; everything else here is called by functions that have.
"""

from typing import NamedTuple

from bn_lib import _checks as check
from bn_lib._arrays import LIMITS, Array, Axes, Namespace, as_axes, count_along, namespace, silent, work_dtype
from bn_lib.moments import Moments, deviations, mean_and_m2


class Standardized(NamedTuple):
    """A standardized array with what its backward pass needs.

    Attributes:
        x_hat: shape of x; mean 0 (if centered) and mean square var / (var + eps) along `axes`.
        inv_std: 1 / sqrt(var + eps), with `axes` kept at length 1.
        axes: the axes that were averaged over.
        moments: the statistics used, with `axes` kept at length 1; not centered, a mean of 0 and squares about it.
    """

    x_hat: Array
    inv_std: Array
    axes: tuple[int, ...]
    moments: Moments


@silent
def standardize(x: Array, axis: Axes, *, eps: float = 1e-5, center: bool = True) -> Standardized:
    """Standardize `x` with its own statistics over `axis`: x_hat = (x - mean) / sqrt(var + eps).

    The variance is the biased one. eps is inside the root, so a constant channel gives x_hat = 0, not 0 / 0.
    With `center=False` 0 takes the mean's place, in the variance too: x_hat = x / sqrt(mean(x**2) + eps).

    Args:
        x: floating-point array of any rank.
        axis: the axis, or axes, that share a mean: 0 for (N, C), (0, 2, 3) for (N, C, H, W).
        eps: added to the variance, in the units of x squared; >= 0.
        center: whether the mean is subtracted.

    Returns:
        `x_hat`, of the shape of x, with what `standardize_backward` needs.

    Example:
        >>> found = standardize(np.array([[1.0, 10.0], [3.0, 50.0]]), axis=0, eps=0.0)
        >>> found.x_hat
        array([[-1., -1.],
               [ 1.,  1.]])
        >>> found.moments.mean
        array([[ 2., 30.]])

    Raises:
        TypeError: not a floating-point array.
        ValueError: an axis that does not exist, fewer values than two for a mean (one without it), or a bad eps.

    Source: Ioffe and Szegedy (2015), Algorithm 1, the first three lines; Zhang and Sennrich (2019), eq. 4, without the
    mean.
    """
    check.floats(x)
    axes = as_axes(axis, x.ndim)
    least, values = (2, "values") if check.boolean(center, "center") else (1, "value")
    if count_along(x.shape, axes) < least:
        raise ValueError(f"x has shape {x.shape}; expected at least {least} {values} along axis {axis}")
    return standardize_over(namespace(x), x, axes, check.eps(eps), center=center)


def standardize_over(
    xp: Namespace, x: Array, axes: tuple[int, ...], eps: float, *, center: bool = True
) -> Standardized:
    """`standardize` for checked input."""
    deviation, _, var, unit = found = deviations(xp, x, axes, eps, center=center)
    inv_std = 1 / xp.sqrt(var + eps / unit / unit)
    x_hat = deviation * xp.astype(inv_std, deviation.dtype)
    count = count_along(x.shape, axes)
    moments = Moments(count, *mean_and_m2(xp, x, found, count))
    return Standardized(x_hat, xp.astype(inv_std / unit, deviation.dtype), axes, moments)


def standardize_with(xp: Namespace, x: Array, mean: Array, inv_std: Array) -> tuple[Array, Array]:
    """(x - mean) * inv_std with statistics from elsewhere, float64, that broadcast against x; and inv_std like x_hat.

    The mean is subtracted in two parts, rounded and rest, for the reason that `subtract_mean` gives. Where the mean or
    inv_std is at the ends of the type, all is done in float64, on quarters: x - mean may be twice the largest number.
    """

    def x_hat(x: Array, mean: Array, inv_std: Array) -> Array:
        rounded_mean = xp.astype(mean, x.dtype)
        rest = xp.astype(mean - xp.astype(rounded_mean, xp.float64), x.dtype)
        return ((x - rounded_mean) - rest) * xp.astype(inv_std, x.dtype)

    least, most, negligible = LIMITS[xp.finfo(work_dtype(x, xp)).bits]
    if bool(xp.all((inv_std >= least) & (inv_std <= most) & (xp.abs(mean) <= negligible))):
        x = xp.astype(x, work_dtype(x, xp), copy=False)
        return x_hat(x, mean, inv_std), xp.astype(inv_std, x.dtype)
    return x_hat(xp.astype(x, xp.float64) / 4, mean / 4, inv_std * 4), inv_std


@silent
def standardize_backward(
    dx_hat: Array, x_hat: Array, inv_std: Array, axes: tuple[int, ...], *, center: bool = True
) -> Array:
    """Gradient with respect to x, given the gradient with respect to x_hat, through all three paths.

        dx = inv_std * (dx_hat - mean(dx_hat) - x_hat * mean(dx_hat * x_hat))

    The first term is the direct path, the second comes back through the mean, the third through the variance. The
    result is orthogonal to 1 and, up to eps, to x_hat: shifting or scaling x does not change x_hat. Where the mean was
    not subtracted (`center=False`), the second term is not there, and a shift does.

    Example:
        >>> x_hat, inv_std, axes, _ = standardize(np.array([[1.0], [3.0], [8.0]]), axis=0)
        >>> dx = standardize_backward(np.ones((3, 1)), x_hat, inv_std, axes)  # a shift, which the mean takes off again
        >>> dx.ravel()
        array([0., 0., 0.])

    Source: Ioffe and Szegedy (2015), section 3, the gradients below Algorithm 1, collected into one line.
    """
    xp = namespace(dx_hat)
    count = count_along(dx_hat.shape, axes)

    def mean(values: Array) -> Array:
        return xp.astype(xp.sum(values, axis=axes, keepdims=True, dtype=xp.float64) / count, dx_hat.dtype)

    direct = dx_hat - mean(dx_hat) if center else dx_hat
    return inv_std * (direct - x_hat * mean(dx_hat * x_hat))
