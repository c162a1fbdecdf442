"""Batch Normalization by the loops of a backend: arrays are brought into the shape the loops want, and back.

The formulas to read are in `standardize` and `normalizers`; which backend there is for an array, in `backends`. The
mean of Batch Normalization strides over memory, and every backend has loops for it. Its relatives average what lies
together; `forward_groups` is for the backends that have loops for that too.
"""

import math
from typing import Any, NamedTuple

import numpy as np

from bn_lib._arrays import Array, channel_shape, namespace, work_dtype
from bn_lib.backends.base import Backend, OutOfRange, Statistics
from bn_lib.moments import Moments


class BatchCache(NamedTuple):
    """What the backward pass needs: x itself and a few numbers per channel. x_hat is computed when it is asked for.

    x is not copied, so it must still hold the same values when the backward pass reads it.

    Attributes:
        x: the input as the loops saw it, `(N, C, S)`.
        gamma: the scale as the caller gave it.
        statistics: of each channel.
        backend: whose loops ran, and will run backward.
        shape: that of x as the caller gave it.
        dtype: that of x as the caller gave it, which dx gets.
        shared: the moments of all workers' rows, where x is a part of a mini-batch and `statistics` are of the whole.
    """

    x: Array
    gamma: Array
    statistics: Statistics
    backend: Backend
    shape: tuple[int, ...]
    dtype: Any
    shared: Moments | None = None

    @property
    def moments(self) -> Moments | None:
        """The statistics of this batch, reduced axes kept at length 1; None where they came from elsewhere."""
        if self.shared is not None:
            return self.shared
        center, lost, m2, _ = self.statistics
        if m2 is None:
            return None
        each, count = channel_shape(len(self.shape)), math.prod(self.shape) // self.shape[1]
        wide = np.float32 if self.dtype == np.float16 else np.float64
        return Moments(count, (center + lost).astype(wide).reshape(each), m2.astype(wide).reshape(each))

    @property
    def axes(self) -> tuple[int, ...]:
        """The axes averaged over; empty where the statistics came from elsewhere."""
        return () if self.statistics.m2 is None else (0, *range(2, len(self.shape)))

    @property
    def inv_std(self) -> Array:
        """1 / sqrt(var + eps), broadcastable against x."""
        return self.statistics.inv_std.astype(work_dtype(self.x, np)).reshape(channel_shape(len(self.shape)))

    @property
    def x_hat(self) -> Array:
        """The standardized input, of the shape of x."""
        return self.backend.normalize(in_one_piece(self.x), np.float64(1), np.float64(0), self.statistics).reshape(
            self.shape
        )


class GroupCache(NamedTuple):
    """The same for normalizers whose means are of values that lie together: a sample, or a group of it.

    Attributes:
        x: the input as the loops saw it, `(1, R, L)`: R rows that each have a mean.
        gamma: the scale as the caller gave it.
        statistics: of each row.
        backend: whose loops ran, and will run backward.
        shape: that of x as the caller gave it.
        dtype: that of x as the caller gave it, which dx gets.
        axes: the axes averaged over.
        split: the shape in which that took place; None for the shape of x.
        meets: the shape in which gamma broadcasts against x.
        run: elements, one after the other, that a value of gamma is for.
        center: whether the mean was subtracted.
    """

    x: Array
    gamma: Array
    statistics: Statistics
    backend: Backend
    shape: tuple[int, ...]
    dtype: Any
    axes: tuple[int, ...]
    split: tuple[int, ...] | None
    meets: tuple[int, ...]
    run: int
    center: bool

    @property
    def each(self) -> tuple[int, ...]:
        """The shape in which statistics meet x, or what it was split into."""
        return tuple(1 if axis in self.axes else size for axis, size in enumerate(self.split or self.shape))

    @property
    def moments(self) -> Moments:
        """The statistics of each row, reduced axes kept at length 1; not centered, a mean of 0 and squares about it."""
        center, lost, m2, _ = self.statistics
        wide = np.float32 if self.dtype == np.float16 else np.float64
        return Moments(self.x.shape[2], *(np.asarray(v, wide).reshape(self.each) for v in (center + lost, m2)))

    @property
    def inv_std(self) -> Array:
        """1 / sqrt(var + eps), broadcastable against x, or what it was split into."""
        return self.statistics.inv_std.astype(self.x.dtype).reshape(self.each)

    @property
    def x_hat(self) -> Array:
        """The standardized input, of the shape of x."""
        return self.backend.normalize(self.x, np.float64(1), np.float64(0), self.statistics).reshape(self.shape)


def forward_groups(
    backend: Backend,
    x: Array,
    gamma: Array,
    beta: Array | None,
    axes: tuple[int, ...],
    eps: float,
    *,
    split: tuple[int, ...] | None,
    meets: tuple[int, ...],
    center: bool,
) -> tuple[Array, GroupCache]:
    """`layer_norm`, `rms_norm`, `instance_norm` and `group_norm` for checked input.

    Raises:
        OutOfRange: also if rows, or what a value of gamma is for, do not lie together.
    """
    shape = split or x.shape
    length = math.prod(shape[-len(axes) :])
    run = length if gamma.size == 1 else run_of(meets, x.shape)
    if axes != tuple(range(len(shape) - len(axes), len(shape))) or length % run or gamma.size * run % length:
        raise OutOfRange
    flat = namespace(x).ascontiguousarray(x, dtype=work_dtype(x, np)).reshape(1, -1, length)
    vectors = gamma.reshape(-1), None if beta is None else beta.reshape(-1)
    y, statistics = backend.forward_groups(flat, *vectors, run, eps, center=center)
    return _like(y, x), GroupCache(flat, gamma, statistics, backend, x.shape, x.dtype, axes, split, meets, run, center)


def backward_groups(dy: Array, cache: GroupCache) -> tuple[Array, Array, Array]:
    """The gradients of what `forward_groups` computed, for checked input."""
    x, gamma = cache.x, cache.gamma
    flat = namespace(x).ascontiguousarray(dy, dtype=x.dtype).reshape(x.shape)
    dx, *gradients = cache.backend.backward_groups(
        flat, x, gamma.reshape(-1), cache.run, cache.statistics, center=cache.center
    )
    dgamma, dbeta = (g.reshape(gamma.shape).astype(gamma.dtype, copy=False) for g in gradients)
    return dx.reshape(cache.shape).astype(cache.dtype, copy=False), dgamma, dbeta


def run_of(meets: tuple[int, ...], shape: tuple[int, ...]) -> int:
    """How many elements of `shape`, one after the other, a value of a parameter that broadcasts as `meets` is for.

    Raises:
        OutOfRange: if its values are not for runs that follow each other.
    """
    begin, end = len(shape) - len(meets), len(shape)
    while meets and meets[-1] == 1:
        meets, end = meets[:-1], end - 1
    while meets and meets[0] == 1:
        meets, begin = meets[1:], begin + 1
    if not meets:  # one value for all
        return math.prod(shape)
    if meets != shape[begin:end]:
        raise OutOfRange
    return math.prod(shape[end:])


def forward(backend: Backend, x: Array, gamma: Array, beta: Array, eps: float) -> tuple[Array, BatchCache]:
    """`batch_norm` for checked input."""
    flat = in_one_piece(x, backend.takes_float16)
    y, statistics = backend.forward(flat, gamma, beta, eps)
    return _like(y, x), BatchCache(flat, gamma, statistics, backend, x.shape, x.dtype)


def forward_with(
    backend: Backend, x: Array, gamma: Array, beta: Array, mean: Array, var: Array, eps: float
) -> tuple[Array, BatchCache]:
    """The same with statistics from elsewhere."""
    flat = in_one_piece(x, backend.takes_float16)
    y, statistics = backend.forward_with(flat, gamma, beta, mean, var, eps)
    return _like(y, x), BatchCache(flat, gamma, statistics, backend, x.shape, x.dtype)


def backward(dy: Array, cache: BatchCache) -> tuple[Array, Array, Array]:
    """`batch_norm_backward` for checked input."""
    x = cache.x if dy.dtype == cache.x.dtype else in_one_piece(cache.x)  # a wider dy is not squeezed into float16
    flat = in_one_piece(dy.astype(x.dtype, copy=False), cache.backend.takes_float16)
    dx, dgamma, dbeta = cache.backend.backward(flat, x, cache.gamma, cache.statistics)
    dx, dtype = dx.reshape(cache.shape).astype(cache.dtype, copy=False), cache.gamma.dtype
    return dx, dgamma.astype(dtype, copy=False), dbeta.astype(dtype, copy=False)


def in_one_piece(x: Array, as_float16: bool = False) -> Array:
    """x as `(N, C, S)`, in one piece of memory and in the precision it is computed in; not copied if it is so.

    Loops that read float16 themselves get it `as_float16`: half the bytes.
    """
    flat = x.reshape(*x.shape[:2], math.prod(x.shape[2:]))  # -1 would not say how many positions no sample has
    return namespace(x).ascontiguousarray(flat, dtype=np.float32 if x.itemsize == 2 and not as_float16 else x.dtype)


def _like(y: Array, x: Array) -> Array:
    return y.reshape(x.shape).astype(x.dtype, copy=False)
