"""Batch Normalization and its relatives as functions: standardize over some axes, then scale and shift.

| normalizer               | one mean is shared by                                  | axes of (N, C, H, W)      |
|--------------------------|--------------------------------------------------------|---------------------------|
| batch                    | a channel, over the mini-batch and all positions       | (0, 2, 3)                 |
| layer                    | a sample, over all its channels and positions          | (1, 2, 3)                 |
| layer, `axis=-1`         | a position, over its last axis: a token of (N, T, D)   | (2,) of (N, T, D)         |
| instance                 | a sample's channel, over its positions                 | (2, 3)                    |
| group                    | a sample's group of channels, over their positions     | (2, 3, 4) of (N, G, C/G, H, W) |
| RMS                      | as either, but that nothing is subtracted: the mean is of squares | (1, 2, 3)      |
| conditional batch        | as batch; gamma and beta are chosen by each sample's class | (0, 2, 3)             |
| weight standardization   | the weights of one output, not activations             | (1, 2, 3) of (O, I, k, k) |

Every `f(x, ...)` returns `(y, cache)`, and `f_backward(dy, cache)` returns `(dx, dgamma, dbeta)`. Arrays are (N, C) or
(N, C, *spatial); NumPy or CuPy; float16 (computed in float32), float32 or float64. `y` has the dtype of `x`.
The running statistics of a layer are not here but in `batchnorm`.
"""

import math
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from bn_lib import _checks as check
from bn_lib import fast
from bn_lib._arrays import Array, Axes, Namespace, as_axes, channel_shape, namespace, one_hot, silent, work_dtype
from bn_lib.backends import choose
from bn_lib.backends.base import OutOfRange
from bn_lib.moments import Moments
from bn_lib.standardize import standardize_backward, standardize_over, standardize_with


@dataclass(frozen=True, eq=False)
class NormCache:
    """What a backward pass needs from its forward pass, where that wrote x_hat. A backend's loops do not: see `fast`.

    Attributes:
        x_hat: the standardized input, shape of x.
        inv_std: 1 / sqrt(var + eps), broadcastable against the array that was standardized.
        gamma: the scale as the caller gave it.
        axes: the axes standardized over; empty when the statistics came from elsewhere and are constants.
        moments: the statistics of this batch, reduced axes kept at length 1; None when they came from elsewhere.
        split: the shape in which standardizing took place, (N, G, C/G, *spatial) for groups; None for the shape of x.
        labels: each sample's class, where gamma and beta have one row per class; otherwise None.
        dtype: the dtype of x, which dx gets.
        center: whether the mean was subtracted.
        meets: the shape in which gamma and beta broadcast against x, where there are no labels.
    """

    x_hat: Array
    inv_std: Array
    gamma: Array
    axes: tuple[int, ...]
    moments: Moments | None
    split: tuple[int, ...] | None = None
    labels: Array | None = None
    dtype: Any = None
    center: bool = True
    meets: tuple[int, ...] = ()


Cache = NormCache | fast.BatchCache | fast.GroupCache


# Batch


def batch_axes(ndim: int) -> tuple[int, ...]:
    """All axes but the channels': 0 for (N, C), (0, 2, 3) for (N, C, H, W)."""
    return (0, *range(2, ndim))


@silent
def batch_norm(x: Array, gamma: Array, beta: Array, *, eps: float = 1e-5) -> tuple[Array, Cache]:
    """Batch Normalization with the statistics of this mini-batch, as in training.

        mu = mean(x)        sigma2 = mean((x - mu)**2)        per channel, over N and all positions
        x_hat = (x - mu) / sqrt(sigma2 + eps)
        y = gamma * x_hat + beta

    Args:
        x: `(N, C)` or `(N, C, *spatial)`, floating point.
        gamma: scale, `(C,)`.
        beta: shift, `(C,)`.
        eps: added to the variance, in the units of x squared; >= 0.

    Returns:
        `y`, of the shape and dtype of x, and a cache for `batch_norm_backward`. `cache.moments` holds mu and sigma2.

    Example:
        >>> x = np.array([[1.0, 10.0], [3.0, 50.0]])
        >>> y, cache = batch_norm(x, gamma=np.ones(2), beta=np.zeros(2), eps=0.0)
        >>> y
        array([[-1., -1.],
               [ 1.,  1.]])

    Raises:
        TypeError: not a floating-point array, or arrays of different kinds.
        ValueError: wrong rank, an empty batch, one value per channel, mismatched gamma or beta, or a bad eps.

    Source: Ioffe and Szegedy (2015), Algorithm 1; section 3.2 for images.
    """
    check.input(x)
    check.parameters(x, gamma=gamma, beta=beta)
    check.enough(x, batch_axes(x.ndim), "channel")
    eps = check.eps(eps)
    if backend := choose(x):
        with suppress(OutOfRange):
            return fast.forward(backend, x, gamma, beta, eps)
    return normalize_over(x, gamma, beta, batch_axes(x.ndim), eps)


def batch_norm_backward(dy: Array, cache: Cache) -> tuple[Array, Array, Array]:
    """Gradients of `batch_norm` with respect to x, gamma and beta.

        dbeta  = sum(dy)
        dgamma = sum(dy * x_hat)
        dx     = gamma / sqrt(sigma2 + eps) * (dy - mean(dy) - x_hat * mean(dy * x_hat))

    Args:
        dy: gradient with respect to y, of its shape.
        cache: what `batch_norm` returned beside y. It holds x itself, which must not have been written to since.

    Returns:
        `dx` of the shape of x; `dgamma` and `dbeta` of shape `(C,)`.

    Example:
        >>> x = np.array([[1.0], [3.0], [8.0]])
        >>> y, cache = batch_norm(x, np.ones(1), np.zeros(1))
        >>> dx, dgamma, dbeta = batch_norm_backward(np.ones((3, 1)), cache)  # a shift, which the mean takes off
        >>> dx.ravel(), dbeta
        (array([0., 0., 0.]), array([3.]))

    Raises:
        TypeError: `dy` is not a floating-point array of the kind of x.
        ValueError: `dy` has another shape than y.

    Source: Ioffe and Szegedy (2015), section 3.
    """
    return _backward(dy, cache)


def batch_norm_inference(x: Array, gamma: Array, beta: Array, mean: Array, var: Array, *, eps: float = 1e-5) -> Array:
    """Batch Normalization with stored statistics, as in inference: every row is treated on its own.

        y = gamma * (x - mean) / sqrt(var + eps) + beta

    Args:
        x: `(N, C)` or `(N, C, *spatial)`; N may be 1, or 0, which gives an empty y.
        gamma: scale, `(C,)`.
        beta: shift, `(C,)`.
        mean: stored mean of each channel, `(C,)`.
        var: stored variance of each channel, `(C,)`, >= 0. It is used as it is: whether it is the biased or the
            unbiased one is the business of whoever stored it (see `Convention`).
        eps: added to the variance; >= 0.

    Returns:
        `y`, of the shape and dtype of x.

    Example:
        >>> x, mean, var = np.array([[5.0]]), np.array([3.0]), np.array([4.0])
        >>> batch_norm_inference(x, np.ones(1), np.zeros(1), mean, var, eps=0.0)
        array([[1.]])

    Raises:
        TypeError: not a floating-point array, or arrays of different kinds.
        ValueError: wrong rank, no channels or positions, mismatched shapes, a negative variance, or a bad eps.

    Source: Ioffe and Szegedy (2015), Algorithm 2, line 11.
    """
    check.input(x, least=0)
    check.parameters(x, gamma=gamma, beta=beta, mean=mean, var=var)
    check.variance(var)
    return normalize_with(x, gamma, beta, mean, var, check.eps(eps))[0]


@silent
def normalize_with(x: Array, gamma: Array, beta: Array, mean: Array, var: Array, eps: float) -> tuple[Array, Cache]:
    """`batch_norm_inference` for checked input, with a cache: its backward pass treats mean and var as constants."""
    if x.shape[0] and (backend := choose(x)):
        with suppress(OutOfRange):
            return fast.forward_with(backend, x, gamma, beta, mean, var, eps)
    xp = namespace(x)
    mean, var = (xp.reshape(xp.astype(v, xp.float64), channel_shape(x.ndim)) for v in (mean, var))
    x_hat, inv_std = standardize_with(xp, x, mean, 1 / xp.sqrt(var + eps))
    cache = NormCache(x_hat, inv_std, gamma, axes=(), moments=None, dtype=x.dtype, meets=_meets(gamma, x.ndim))
    return _scale_and_shift(xp, x_hat, beta, cache), cache


# Layer, RMS, instance, group


def layer_norm(
    x: Array, gamma: Array, beta: Array, *, axis: Axes | None = None, eps: float = 1e-5
) -> tuple[Array, Cache]:
    """Layer Normalization: each sample is standardized over all its channels and positions, or over its last axes.

    The formula is that of `batch_norm` with the mean over axes (1, ...) in place of (0, ...); so a sample's output
    does not depend on the rest of the batch, in training and in inference alike. With `axis`, the mean is over these
    last axes alone: `axis=-1` standardizes every token of (N, T, D) for itself, as transformers do.

    Args:
        x: `(N, C)` or `(N, C, *spatial)`, floating point; N may be 0. With `axis` any shape of at least two axes, of
            which all but those in `axis` may be empty.
        gamma: scale, `(C,)`, or `x.shape[1:]` for one value per element (as Ba et al. have it for layers of units).
            With `axis`, of the shape of these axes: `(D,)` for the last one.
        beta: shift, of the shape of gamma.
        axis: the last axis of x, or a tuple of the last few. None for all but the first, with channels on axis 1.
        eps: added to the variance; >= 0.

    Returns:
        `y`, of the shape and dtype of x, and a cache for `layer_norm_backward`.

    Example:
        >>> x = np.array([[1.0, 3.0], [10.0, 50.0]])
        >>> layer_norm(x, np.ones(2), np.zeros(2), eps=0.0)[0]
        array([[-1.,  1.],
               [-1.,  1.]])
        >>> tokens = np.array([[[1.0, 3.0], [10.0, 50.0], [0.0, 4.0]]])  # one sample, three tokens of two features
        >>> layer_norm(tokens, np.ones(2), np.zeros(2), axis=-1, eps=0.0)[0]
        array([[[-1.,  1.],
                [-1.,  1.],
                [-1.,  1.]]])

    Raises:
        TypeError: not a floating-point array, arrays of different kinds, or an axis that is no whole number.
        ValueError: wrong rank, no channels or positions, one value per sample, mismatched gamma or beta, a bad eps, or
            axes that are not the last. Without `axis`, also x of shape (N, D, D) with gamma of shape (D,): that may be
            channels on axis 1 or tokens of D features, and the two differ.

    Source: Ba, Kiros and Hinton (2016), eq. 3; Wu and He (2018), section 3, for images. With `axis` it is that of
    torch.nn.functional.layer_norm.
    """
    return normalize_sample(x, gamma, beta, axis, eps)


def layer_norm_backward(dy: Array, cache: Cache) -> tuple[Array, Array, Array]:
    """Gradients of `layer_norm` with respect to x, gamma and beta; arguments and errors as `batch_norm_backward`.

    gamma now varies along the axes that are averaged, so it stays inside the means, with dx_hat = gamma * dy:

        dx = (dx_hat - mean(dx_hat) - x_hat * mean(dx_hat * x_hat)) / sqrt(var + eps)

    Example:
        >>> y, cache = layer_norm(np.array([[1.0, 3.0, 8.0]]), np.ones(3), np.zeros(3))
        >>> dx, dgamma, dbeta = layer_norm_backward(np.array([[0.0, 1.0, 2.0]]), cache)
        >>> dx.shape, dbeta
        ((1, 3), array([0., 1., 2.]))
    """
    return _backward(dy, cache)


def rms_norm(x: Array, gamma: Array, *, axis: Axes | None = None, eps: float = 1e-5) -> tuple[Array, Cache]:
    """Root Mean Square Normalization: each sample is divided by the root of its mean square. Nothing is subtracted.

        x_hat = x / sqrt(mean(x**2) + eps)        over all channels and positions of a sample, or over its last axes
        y = gamma * x_hat

    It is `layer_norm` without the mean and without beta: scaling a sample does not change its output, shifting does.

    Args:
        x: `(N, C)` or `(N, C, *spatial)`, floating point; N may be 0. With `axis` any shape of at least two axes.
        gamma: scale, `(C,)`, or `x.shape[1:]` for one value per element; with `axis`, of the shape of these axes.
        axis: the last axis of x, or a tuple of the last few, as for `layer_norm`; None for all but the first.
        eps: added to the mean square, in the units of x squared; >= 0.

    Returns:
        `y`, of the shape and dtype of x, and a cache for `rms_norm_backward`; `cache.moments.var()` is the mean square.

    Example:
        >>> x = np.array([[1.0, 7.0], [10.0, 70.0]])  # the mean square of the first sample is 25
        >>> rms_norm(x, np.ones(2), eps=0.0)[0]
        array([[0.2, 1.4],
               [0.2, 1.4]])

    Raises:
        TypeError, ValueError: as `layer_norm`; one value per sample is enough.

    Source: Zhang and Sennrich (2019), eq. 4. It has no eps, which is that of torch.nn.functional.rms_norm.
    """
    return normalize_sample(x, gamma, None, axis, eps, center=False)


def rms_norm_backward(dy: Array, cache: Cache) -> tuple[Array, Array]:
    """Gradients of `rms_norm` with respect to x and gamma; arguments and errors as `batch_norm_backward`.

    No mean was subtracted, so no gradient comes back through one. With dx_hat = gamma * dy:

        dx = (dx_hat - x_hat * mean(dx_hat * x_hat)) / sqrt(mean(x**2) + eps)

    Example:
        >>> y, cache = rms_norm(np.array([[1.0, 7.0]]), np.ones(2), eps=0.0)
        >>> dx, dgamma = rms_norm_backward(np.array([[1.0, 7.0]]), cache)  # along x, which only scales it
        >>> abs(dx.round(12)), dgamma
        (array([[0., 0.]]), array([0.2, 9.8]))
    """
    dx, dgamma, _ = _backward(dy, cache)
    return dx, dgamma


def normalize_sample(
    x: Array,
    gamma: Array,
    beta: Array | None,
    axis: Axes | None,
    eps: float,
    *,
    center: bool = True,
    certain: bool = False,
) -> tuple[Array, Cache]:
    """`layer_norm`, and without `center` `rms_norm`. `certain` that a gamma of one axis is of channels on axis 1."""
    axes, meets = _check_sample(x, gamma, axis, "LayerNorm" if center else "RMSNorm", certain)
    if center:
        check.parameter(x, beta, "beta", tuple(gamma.shape))
        check.enough(x, axes, "sample")
    return _forward_groups(x, gamma, beta, axes, check.eps(eps), center=center, meets=meets)


def instance_norm(x: Array, gamma: Array, beta: Array, *, eps: float = 1e-5) -> tuple[Array, Cache]:
    """Instance Normalization: each channel of each sample is standardized over its positions.

    Args:
        x: `(N, C, *spatial)` with at least one spatial axis, floating point; N may be 0.
        gamma: scale, `(C,)`.
        beta: shift, `(C,)`.
        eps: added to the variance; >= 0.

    Returns:
        `y`, of the shape and dtype of x, and a cache for `instance_norm_backward`.

    Example:
        >>> x = np.array([[[1.0, 3.0], [10.0, 50.0]]])  # one sample, two channels of two positions
        >>> instance_norm(x, np.ones(2), np.zeros(2), eps=0.0)[0]
        array([[[-1.,  1.],
                [-1.,  1.]]])

    Raises:
        TypeError: not a floating-point array, or arrays of different kinds.
        ValueError: no spatial axis, one position, no channels, mismatched gamma or beta, or a bad eps.

    Source: Ulyanov, Vedaldi and Lempitsky (2016), eq. 4.
    """
    check.input(x, least=0)
    if x.ndim < 3:
        raise ValueError(f"x has shape {x.shape}; expected (N, C, *spatial): instance_norm averages over positions")
    check.parameters(x, gamma=gamma, beta=beta)
    axes = tuple(range(2, x.ndim))
    check.enough(x, axes, "channel of a sample")
    return _forward_groups(x, gamma, beta, axes, check.eps(eps))


def instance_norm_backward(dy: Array, cache: Cache) -> tuple[Array, Array, Array]:
    """Gradients of `instance_norm` with respect to x, gamma and beta; as `batch_norm_backward`.

    Example:
        >>> y, cache = instance_norm(np.array([[[1.0, 3.0, 8.0]]]), np.ones(1), np.zeros(1))
        >>> dx, dgamma, dbeta = instance_norm_backward(np.ones((1, 1, 3)), cache)
        >>> dx.shape, dbeta
        ((1, 1, 3), array([3.]))
    """
    return _backward(dy, cache)


def group_norm(x: Array, gamma: Array, beta: Array, groups: int, *, eps: float = 1e-5) -> tuple[Array, Cache]:
    """Group Normalization: each group of channels of each sample is standardized over its channels and positions.

    `groups=1` is Layer Normalization, `groups=C` is Instance Normalization.

    Args:
        x: `(N, C)` or `(N, C, *spatial)`, floating point; N may be 0.
        gamma: scale, `(C,)`.
        beta: shift, `(C,)`.
        groups: number of groups; divides C. Neighbouring channels form a group.
        eps: added to the variance; >= 0.

    Returns:
        `y`, of the shape and dtype of x, and a cache for `group_norm_backward`.

    Example:
        >>> x = np.array([[1.0, 3.0, 10.0, 50.0]])  # one sample of four channels, normalized two by two
        >>> group_norm(x, np.ones(4), np.zeros(4), groups=2, eps=0.0)[0]
        array([[-1.,  1., -1.,  1.]])

    Raises:
        TypeError: not a floating-point array, arrays of different kinds, or `groups` not a whole number.
        ValueError: groups do not divide C, one value per group, wrong rank, no channels or positions, mismatched gamma
            or beta, or a bad eps.

    Source: Wu and He (2018), eq. 7.
    """
    check.input(x, least=0)
    check.parameters(x, gamma=gamma, beta=beta)
    n, channels, *spatial = x.shape
    groups = check.positive_int(groups, "groups")
    if channels % groups:
        raise ValueError(f"groups is {groups}; expected a divisor of the {channels} channels of x")
    split = (n, groups, channels // groups, *spatial)
    axes = tuple(range(2, len(split)))
    check.enough(x, axes, "group of a sample", split)
    return _forward_groups(x, gamma, beta, axes, check.eps(eps), split=split)


def group_norm_backward(dy: Array, cache: Cache) -> tuple[Array, Array, Array]:
    """Gradients of `group_norm` with respect to x, gamma and beta; as `layer_norm_backward`.

    Example:
        >>> y, cache = group_norm(np.array([[1.0, 3.0, 10.0, 50.0]]), np.ones(4), np.zeros(4), groups=2)
        >>> dx, dgamma, dbeta = group_norm_backward(np.array([[1.0, 2.0, 3.0, 4.0]]), cache)
        >>> dbeta
        array([1., 2., 3., 4.])
    """
    return _backward(dy, cache)


# Weights


def weight_standardization(weight: Array, *, eps: float = 1e-5) -> tuple[Array, Cache]:
    """Weight Standardization: the weights that one output sums are standardized, instead of what they sum.

        w_hat = (w - mean(w)) / sqrt(var(w) + eps)        over all weights of an output, without gamma and beta

    Outputs then depend neither on the mean nor on the size of their weights. A normalizer that follows sets the scale.

    Args:
        weight: as layers here keep it: `(inputs, outputs)` of `Dense`, `(outputs, inputs, *window)` of `Conv2d`.
        eps: added to the variance, in the units of the weight squared; >= 0.

    Returns:
        The standardized weight, of the shape and dtype of `weight`, and a cache for `weight_standardization_backward`.

    Example:
        >>> weight_standardization(np.array([[1.0, 10.0], [3.0, 50.0]]), eps=0.0)[0]  # two inputs, two outputs
        array([[-1., -1.],
               [ 1.,  1.]])

    Raises:
        TypeError: not a floating-point array.
        ValueError: fewer than two axes, nothing in it, one weight per output, or a bad eps.

    Source: Qiao et al. (2019), the equations of weight standardization, with eps inside the root. Their PyTorch code
    divides by the unbiased standard deviation plus 1e-5 instead.
    """
    check.floats(weight, "weight")
    if weight.ndim < 2 or 0 in weight.shape:
        raise ValueError(
            f"weight has shape {weight.shape}; expected (inputs, outputs) or (outputs, inputs, *window), none of them 0"
        )
    outputs = 1 if weight.ndim == 2 else 0
    axes = tuple(axis for axis in range(weight.ndim) if axis != outputs)
    if weight.size == weight.shape[outputs]:
        raise ValueError(f"weight has shape {weight.shape}: one weight per output; expected at least 2")
    one = namespace(weight).ones((1,), dtype=weight.dtype)
    return _forward_groups(weight, one, None, axes, check.eps(eps), meets=(1,))


def weight_standardization_backward(dweight: Array, cache: Cache) -> Array:
    """Gradient of `weight_standardization` with respect to the weight, given that with respect to the standardized one.

        dw = (dw_hat - mean(dw_hat) - w_hat * mean(dw_hat * w_hat)) / sqrt(var(w) + eps)

    Arguments and errors as `batch_norm_backward`.

    Example:
        >>> _, cache = weight_standardization(np.array([[1.0], [3.0], [8.0]]))
        >>> weight_standardization_backward(np.ones((3, 1)), cache).ravel()  # a shift, which the mean takes off
        array([0., 0., 0.])
    """
    return _backward(dweight, cache)[0]


# Conditional


def conditional_batch_norm(
    x: Array, labels: Array, gamma: Array, beta: Array, *, eps: float = 1e-5
) -> tuple[Array, NormCache]:
    """Batch Normalization whose scale and shift depend on each sample's class.

        y[i] = gamma[labels[i]] * x_hat[i] + beta[labels[i]]

    The statistics are those of the whole mini-batch, whatever the classes in it.

    Args:
        x: `(N, C)` or `(N, C, *spatial)`, floating point.
        labels: each sample's class, `(N,)`, integers from 0 to classes - 1.
        gamma: scales, `(classes, C)`.
        beta: shifts, `(classes, C)`.
        eps: added to the variance; >= 0.

    Returns:
        `y`, of the shape and dtype of x, and a cache for `conditional_batch_norm_backward`.

    Example:
        >>> x, labels = np.array([[1.0], [3.0]]), np.array([0, 1])
        >>> gamma, beta = np.ones((2, 1)), np.array([[0.0], [100.0]])  # class 1 is shifted by 100
        >>> conditional_batch_norm(x, labels, gamma, beta, eps=0.0)[0]
        array([[ -1.],
               [101.]])

    Raises:
        TypeError: not floating-point arrays, labels not integers, or arrays of different kinds.
        ValueError: an unknown class, or as `batch_norm`.

    Source: de Vries et al. (2017), section 3, where gamma and beta are predicted from a sentence; Dumoulin et al.
    (2017), eq. 5, where they are chosen from a table, as here.
    """
    check.input(x)
    check.same_kind(x, gamma, "gamma")
    check.channels(x, gamma, "gamma")
    if gamma.ndim != 2 or gamma.shape[0] < 1 or gamma.shape[1] != x.shape[1]:
        raise ValueError(f"gamma has shape {gamma.shape}; expected (classes, {x.shape[1]}) for x of shape {x.shape}")
    check.parameter(x, beta, "beta", tuple(gamma.shape))
    check.labels(labels, x, gamma.shape[0])
    check.enough(x, batch_axes(x.ndim), "channel")
    return normalize_over(x, gamma, beta, batch_axes(x.ndim), check.eps(eps), labels=labels)


def conditional_batch_norm_backward(dy: Array, cache: NormCache) -> tuple[Array, Array, Array]:
    """Gradients of `conditional_batch_norm` with respect to x, gamma and beta.

    dx is that of `batch_norm` with each sample's own gamma; the gradients of gamma and beta, `(classes, C)`, collect
    the samples of each class, and are zero for a class that the batch does not hold.

    Example:
        >>> x, labels = np.array([[1.0], [3.0], [8.0]]), np.array([0, 2, 2])
        >>> y, cache = conditional_batch_norm(x, labels, np.ones((3, 1)), np.zeros((3, 1)))
        >>> dx, dgamma, dbeta = conditional_batch_norm_backward(np.ones((3, 1)), cache)
        >>> dbeta.ravel()  # one sample of class 0, none of class 1, two of class 2
        array([1., 0., 2.])
    """
    return _backward(dy, cache)


# What they share


def _check_sample(
    x: Array, gamma: Array, axis: Axes | None, layer: str, certain: bool
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The axes of a sample, and how gamma meets x, for normalizers whose gamma may have a value per element of it."""
    if axis is None:
        check.input(x, least=0)
        check.same_kind(x, gamma, "gamma")
        _check_meaning(x, gamma, layer, certain)
        check.parameter(x, gamma, "gamma", (x.shape[1],), tuple(x.shape[1:]))
        return tuple(range(1, x.ndim)), _meets(gamma, x.ndim)
    check.floats(x)
    if x.ndim < 2:
        raise ValueError(f"x has shape {x.shape}; expected (N, ..., D)")
    axes = as_axes(axis, x.ndim)
    last = tuple(x.shape[x.ndim - len(axes) :])
    if not axes or axes != tuple(range(x.ndim - len(axes), x.ndim)):
        raise ValueError(f"axis is {axis} for x of shape {x.shape}; expected the last axes, such as -1 or (-2, -1)")
    if 0 in last:
        raise ValueError(f"x has shape {x.shape}; expected at least one element along axis {axis}")
    check.parameter(x, gamma, "gamma", last)
    return axes, last


def _check_meaning(x: Array, gamma: Array, layer: str, certain: bool) -> None:
    """Refuse a gamma of one axis that belongs, or may as well belong, to the last axis of x and not to its channels.

    Images, whose height and width are often as many as their channels, keep theirs on axis 1 without being asked.
    """
    if x.ndim < 3 or gamma.ndim != 1 or x.shape[-1] != gamma.shape[0]:
        return
    seen = f"x has shape {x.shape} and gamma {gamma.shape}"
    tokens = f"axis=-1, as a layer {layer}(({gamma.shape[0]},)), standardizes over the last axis alone"
    if x.shape[1] != gamma.shape[0]:
        raise ValueError(
            f"{seen}; expected x as (N, C, *spatial): channels are axis 1, and this looks like channels last "
            f"(numpy.moveaxis(x, -1, 1)); {tokens}"
        )
    if x.ndim == 3 and gamma.shape[0] > 1 and not certain:
        raise ValueError(
            f"{seen}, which fits axis 1 and the last axis alike; expected one of them said: {tokens}; of channels on "
            f"axis 1, x[..., None], as a layer {layer}({gamma.shape[0]}, channel_axis=1)"
        )


@silent
def _forward_groups(
    x: Array, gamma: Array, beta: Array | None, axes: tuple[int, ...], eps: float, **options: Any
) -> tuple[Array, Cache]:
    """`normalize_over` where values that share a mean lie together: by a backend's loops, if it has some for that."""
    options = {"split": None, "center": True, "meets": _meets(gamma, x.ndim)} | options
    if x.size and (backend := choose(x)) and backend.takes_groups:
        with suppress(OutOfRange):
            return fast.forward_groups(backend, x, gamma, beta, axes, eps, **options)
    return normalize_over(x, gamma, beta, axes, eps, **options)


@silent
def normalize_over(
    x: Array,
    gamma: Array,
    beta: Array | None,
    axes: tuple[int, ...],
    eps: float,
    *,
    split: tuple[int, ...] | None = None,
    labels: Array | None = None,
    center: bool = True,
    meets: tuple[int, ...] | None = None,
) -> tuple[Array, NormCache]:
    """Standardize checked input over any axes, then scale and shift: the formulas as they stand, for every array.

    Args:
        x, gamma, beta, axes, eps: the input; its parameters; the axes that share a mean, of `split` if that is given.
        split: the shape in which to standardize; None for that of x.
        labels: each sample's class, where gamma and beta have one row per class.
        center: whether the mean is subtracted.
        meets: the shape in which gamma and beta broadcast against x; None for one value per channel, or of their own.
    """
    xp, meets = namespace(x), meets or _meets(gamma, x.ndim)
    x_hat, inv_std, _, moments = standardize_over(xp, xp.reshape(x, split) if split else x, axes, eps, center=center)
    x_hat = xp.reshape(x_hat, x.shape)
    cache = NormCache(x_hat, inv_std, gamma, axes, moments, split, labels, x.dtype, center, meets)
    return _scale_and_shift(xp, x_hat, beta, cache), cache


def _scale_and_shift(xp: Namespace, x_hat: Array, beta: Array | None, cache: NormCache) -> Array:
    y = _spread(xp, cache.gamma, x_hat, cache) * x_hat
    if beta is not None:
        y = y + _spread(xp, beta, x_hat, cache)
    if x_hat.dtype != xp.float64 and not bool(xp.all(xp.isfinite(y))):  # perhaps only on the way
        return _scale_and_shift(xp, xp.astype(x_hat, xp.float64), beta, cache)
    return xp.astype(y, cache.dtype, copy=False)


@silent
def _backward(dy: Array, cache: Cache) -> tuple[Array, Array, Array]:
    if isinstance(cache, fast.BatchCache | fast.GroupCache):
        check.gradient(dy, cache.x, cache.shape)
        try:
            return fast.backward(dy, cache) if isinstance(cache, fast.BatchCache) else fast.backward_groups(dy, cache)
        except OutOfRange:
            cache = _as_of_the_reference(cache)
    if not isinstance(cache, NormCache):
        raise TypeError(f"cache is a {type(cache).__name__}; expected what the forward function returned beside y")
    check.gradient(dy, cache.x_hat)
    xp = namespace(dy)
    dx, dgamma, dbeta = _gradients(xp, xp.astype(dy, work_dtype(cache.x_hat, xp), copy=False), cache, cache.gamma)
    if not bool(xp.all(xp.isfinite(dx)) & xp.all(xp.isfinite(dgamma)) & xp.all(xp.isfinite(dbeta))):
        # Perhaps only on the way. Gradients are linear in dy, and dx in gamma: so in float64, and in units of both.
        unit, scale = _unit(xp, dy), _unit(xp, cache.gamma)
        gamma = xp.astype(cache.gamma, xp.float64) / scale
        dx, dgamma, dbeta = _gradients(xp, xp.astype(dy, xp.float64) / unit, cache, gamma)
        dx, dgamma, dbeta = dx * unit * scale, dgamma * unit, dbeta * unit
    dgamma, dbeta = (xp.astype(gradient, cache.gamma.dtype, copy=False) for gradient in (dgamma, dbeta))
    return xp.astype(dx, cache.dtype, copy=False), dgamma, dbeta


def _as_of_the_reference(cache: fast.BatchCache | fast.GroupCache) -> NormCache:
    """What the reference would have kept of the same forward pass."""
    shape, each, (center, lost, _, inv_std) = cache.shape, channel_shape(len(cache.shape)), cache.statistics
    more: dict[str, Any] = {"meets": _meets(cache.gamma, len(shape))}
    if isinstance(cache, fast.GroupCache):
        shape, each = cache.split or cache.shape, cache.each
        more = {"split": cache.split, "center": cache.center, "meets": cache.meets}
    x = cache.x.reshape(shape)
    x_hat, inv_std = standardize_with(namespace(x), x, (center + lost).reshape(each), inv_std.reshape(each))
    x_hat = x_hat.reshape(cache.shape)
    return NormCache(x_hat, inv_std, cache.gamma, cache.axes, cache.moments, dtype=cache.dtype, **more)


def _gradients(xp: Namespace, dy: Array, cache: NormCache, gamma: Array) -> tuple[Array, Array, Array]:
    """dx, in the precision of dy; dgamma and dbeta in float64."""
    x_hat = xp.astype(cache.x_hat, dy.dtype, copy=False)
    dgamma, dbeta = _collect(xp, dy * x_hat, cache), _collect(xp, dy, cache)
    dx_hat = _spread(xp, gamma, dy, cache) * dy
    if not cache.axes:  # the statistics were constants, so only the direct path remains
        return dx_hat * cache.inv_std, dgamma, dbeta
    if cache.split:
        dx_hat, x_hat = xp.reshape(dx_hat, cache.split), xp.reshape(x_hat, cache.split)
    dx = standardize_backward(dx_hat, x_hat, cache.inv_std, cache.axes, center=cache.center)
    return xp.reshape(dx, dy.shape), dgamma, dbeta


def _unit(xp: Namespace, values: Array) -> float:
    """A power of two near the largest of `values`; 1 where that is no number."""
    largest = float(xp.max(xp.abs(values)))
    return 2.0 ** math.floor(math.log2(largest)) if 0 < largest < math.inf else 1.0


def _meets(gamma: Array, ndim: int) -> tuple[int, ...]:
    """The shape in which a gamma of one value per channel, or per element of a sample, broadcasts against x."""
    return (*gamma.shape, *(1,) * (ndim - 2)) if gamma.ndim == 1 else tuple(gamma.shape)


def _spread(xp: Namespace, parameter: Array, x: Array, cache: NormCache) -> Array:
    """Bring a parameter to the shape and precision in which it meets x."""
    parameter = xp.astype(parameter, x.dtype, copy=False)
    if cache.labels is not None:
        parameter = xp.take(parameter, cache.labels, axis=0)
        return xp.reshape(parameter, tuple(parameter.shape) + (1,) * (x.ndim - 2))
    return xp.reshape(parameter, cache.meets)


def _collect(xp: Namespace, values: Array, cache: NormCache) -> Array:
    """Sum gradients, in float64, over everything that shared a parameter: the transpose of `_spread`."""
    shape = tuple(cache.gamma.shape)
    if cache.labels is not None:
        per_sample = xp.sum(xp.reshape(values, (*values.shape[:2], -1)), axis=2, dtype=xp.float64)
        return one_hot(cache.labels, shape[0], xp.float64).T @ per_sample
    shared = (1,) * (values.ndim - len(cache.meets)) + cache.meets
    axes = tuple(axis for axis, size in enumerate(shared) if size == 1)
    return xp.reshape(xp.sum(values, axis=axes, dtype=xp.float64), shape)
