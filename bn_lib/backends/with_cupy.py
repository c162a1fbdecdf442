"""The four loops on a GPU, through CuPy: two kernels forward and two backward, of `batchnorm.cu`.

Everything between the loops happens in the kernels too, so that nothing is copied to the processor and nothing waits.
Elements are read and written in the dtype of x: float16 moves half the bytes of float32, and is computed in float32.

Nobody waits for a kernel, so none raises `OutOfRange`: a column at the ends of float32 is computed in double by the
same kernel. Two limits are left, where the reference has none: float64 values have squares that are float64 too (up to
1e154), and float32 values below the smallest normal number count as 0, because CuPy compiles so.

Kernels are compiled on their first call, by CuPy, which keeps them on disk. `launches` says how they are launched.
"""

from functools import cache
from importlib.resources import files
from typing import Any

import cupy
import numpy as np

from bn_lib._arrays import Array
from bn_lib.backends.base import Backend, Statistics
from bn_lib.backends.launches import THREADS, WORD, Launch, plan

KERNELS = ("moments", "normalize", "constants", "gradient_sums", "combine")
OPTIONS = ("-std=c++17",)
NONE = 0  # as a pointer


class CuPyBackend(Backend):
    """CuPy arrays, with fused kernels. Vectors of one value per channel may have any floating-point dtype."""

    name = "cupy"
    takes_float16 = True

    # Forward

    def forward(self, x: Array, gamma: Array, beta: Array, eps: float) -> tuple[Array, Statistics]:
        """As `Backend.forward`, in two kernels."""
        launch, parts = _sum_moments(x)
        y, statistics = cupy.empty(x.shape, x.dtype), _empty_statistics(x)
        _normalize(launch, launch.layout, x, y, parts, launch.splits, eps, statistics, gamma, beta)
        return y, statistics

    def moments(self, x: Array) -> tuple[Array, Array, Array]:
        launch, parts = _sum_moments(x)
        statistics = _empty_statistics(x)
        center, lost, m2, inv_std = statistics
        unused = inv_std  # nothing is scaled, and its own value, for which eps is any number > 0, is not wanted
        _normalize(launch, launch.no_rows, x, NONE, parts, launch.splits, 1.0, statistics, unused, unused)
        return center, lost, m2

    def forward_with(
        self, x: Array, gamma: Array, beta: Array, mean: Array, var: Array, eps: float
    ) -> tuple[Array, Statistics]:
        """As `Backend.forward_with`, in two kernels."""
        center, lost, _, inv_std = statistics = _empty_statistics(x)._replace(m2=None)
        channels, blocks = x.shape[1], -(-x.shape[1] // THREADS)
        kernel = _kernel("constants", _plan(x).template)
        kernel((blocks,), (THREADS,), (*_vector(mean, x), *_vector(var, x), eps, center, lost, inv_std, channels))
        return self.normalize(x, gamma, beta, statistics), statistics

    def normalize(self, x: Array, gamma: Array, beta: Array, statistics: Statistics) -> Array:
        launch, y = _plan(x), cupy.empty(x.shape, x.dtype)
        _normalize(launch, launch.layout, x, y, NONE, 0, 0.0, statistics, gamma, beta)
        return y

    def scale_and_shift(self, x: Array, center: Array, scale: Array, offset: Array) -> Array:
        return self.normalize(x, scale, offset, _statistics_of(center))

    # Backward

    def backward(self, dy: Array, x: Array, gamma: Array, statistics: Statistics) -> tuple[Array, Array, Array]:
        """As `Backend.backward`, in two kernels; dgamma and dbeta have the dtype of gamma."""
        launch, parts = _sum_gradients(dy, x, statistics.center)
        dx = cupy.empty(x.shape, x.dtype)
        dgamma, dbeta = (cupy.empty(x.shape[1], gamma.dtype) for _ in range(2))
        count = 0 if statistics.m2 is None else x.size // x.shape[1]
        source = (parts, launch.splits, float(count), NONE, NONE)
        _combine(launch, launch.layout, dy, x, dx, source, statistics, gamma, (dgamma, dbeta))
        return dx, dgamma, dbeta

    def parameter_gradients(self, dy: Array, x: Array, statistics: Statistics) -> tuple[Array, Array]:
        launch, parts = _sum_gradients(dy, x, statistics.center)
        dgamma, dbeta = (cupy.empty(x.shape[1], np.float64) for _ in range(2))
        source = (parts, launch.splits, 0.0, NONE, NONE)
        _combine(launch, launch.no_rows, dy, x, NONE, source, statistics, statistics.inv_std, (dgamma, dbeta))
        return dgamma, dbeta

    def gradient_sums(self, dy: Array, x: Array, center: Array) -> tuple[Array, Array]:
        sum_dy_deviation, sum_dy = self.parameter_gradients(dy, x, _statistics_of(center))
        return sum_dy, sum_dy_deviation

    def input_gradient(
        self, dy: Array, x: Array, gamma: Array, statistics: Statistics, mean_dy: Array, mean_dy_x_hat: Array
    ) -> Array:
        launch, dx = _plan(x, dy), cupy.empty(x.shape, x.dtype)
        source = (NONE, 0, 0.0, _wide(mean_dy), _wide(mean_dy_x_hat))
        _combine(launch, launch.layout, dy, x, dx, source, statistics, gamma, (NONE, NONE))
        return dx

    def combine(self, dy: Array, x: Array, center: Array, scale: Array, slope: Array, shift: Array) -> Array:
        return self.input_gradient(dy, x, scale, _statistics_of(center), -_wide(shift), -_wide(slope))


# The kernels, each with the arguments that batchnorm.cu states


def _sum_moments(x: Array) -> tuple[Launch, Array]:
    launch = _plan(x)
    parts = cupy.empty((launch.splits, launch.columns, 3), np.float64)
    _start("moments", launch, launch.layout, x, parts)
    return launch, parts


def _normalize(
    launch: Launch,
    layout: Array,
    x: Array,
    y: Array,
    parts: Array,
    splits: int,
    eps: float,
    statistics: Statistics,
    gamma: Array,
    beta: Array,
) -> None:
    center, lost, m2, inv_std = statistics
    table = (*_vector(center, x), _wide(lost), NONE if m2 is None else _wide(m2), _wide(inv_std))
    _start("normalize", launch, layout, x, y, parts, splits, eps, *table, *_vector(gamma, x), *_vector(beta, x))


def _sum_gradients(dy: Array, x: Array, center: Array) -> tuple[Launch, Array]:
    launch = _plan(x, dy)
    parts = cupy.empty((launch.splits, launch.columns, 2), np.float64)
    _start("gradient_sums", launch, launch.layout, dy, x, *_vector(center, x), parts)
    return launch, parts


def _combine(
    launch: Launch,
    layout: Array,
    dy: Array,
    x: Array,
    dx: Array,
    source: tuple[Any, ...],
    statistics: Statistics,
    gamma: Array,
    gradients: tuple[Array, Array],
) -> None:
    center, lost, _, inv_std = statistics
    table = (*_vector(center, x), _wide(lost), _wide(inv_std), *_vector(gamma, x))
    size = 0 if gradients[0] is NONE else gradients[0].dtype.itemsize
    _start("combine", launch, layout, dy, x, dx, *source, *table, *gradients, size)


def _start(name: str, launch: Launch, layout: Array, *arguments: Any) -> None:
    splits = launch.splits if layout is launch.layout else 1
    _kernel(name, launch.template)((launch.groups, splits), (THREADS,), (*arguments, layout))


@cache
def _kernel(name: str, template: str) -> Any:
    return _module(template).get_function(_expression(name, template))


@cache
def _module(template: str) -> Any:
    """All kernels for one kind of launch: whoever needs one will need the others."""
    source = files("bn_lib.backends").joinpath("batchnorm.cu").read_text(encoding="utf-8")
    names = tuple(_expression(name, template) for name in KERNELS)
    return cupy.RawModule(code=source, options=OPTIONS, name_expressions=names)


def _expression(name: str, template: str) -> str:
    return f"{name}<{template.partition(',')[0] if name == 'constants' else template}>"


# What they are given


def _plan(*arrays: Array) -> Launch:
    x = arrays[0]
    device = _check_device(*arrays)
    aligned = all(a.data.ptr % WORD == 0 for a in arrays)  # results are: CuPy allocates in larger units
    return plan(x.shape, x.dtype.itemsize, aligned, _multiprocessors(device))


def _check_device(*arrays: Array) -> int:
    """The current device; raise `ValueError` unless all arrays are there.

    A kernel that follows an address of another device fails, and all later work on the device with it.
    """
    device: int = cupy.cuda.runtime.getDevice()
    for array in arrays:
        if array.data.device_id != device:
            raise ValueError(
                f"an array of shape {array.shape} is on device {array.data.device_id} but the current device is "
                f"{device}; expected all arrays on the current device (with cupy.cuda.Device({array.data.device_id}):)"
            )
    return device


@cache
def _multiprocessors(device: int) -> int:
    return int(cupy.cuda.Device(device).attributes["MultiProcessorCount"])


def _empty_statistics(x: Array) -> Statistics:
    return Statistics(*(cupy.empty(x.shape[1], np.float64) for _ in range(4)))


def _statistics_of(center: Array) -> Statistics:
    """Those with which x_hat is x - center."""
    channels = center.shape[0]
    return Statistics(center, cupy.zeros(channels, np.float64), None, cupy.ones(channels, np.float64))


def _vector(values: Array, x: Array) -> tuple[Array, int]:
    """One value per channel, or one for all, as the kernels take it: in one piece, and the bytes of an element."""
    if isinstance(values, np.generic):
        values = cupy.full(x.shape[1], float(values), np.float64)
    _check_device(values)
    values = cupy.ascontiguousarray(values)
    return values, values.dtype.itemsize


def _wide(values: Array) -> Array:
    return cupy.ascontiguousarray(values, dtype=np.float64)
