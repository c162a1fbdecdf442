"""What every other module needs to know about arrays: their namespace, their precisions, their shapes.

`bn_lib` is written against the Python array API standard, so the same code runs on NumPy, on CuPy, and on any other
array that follows it. NumPy 2 is such a namespace itself; for every other kind `array-api-compat` (which comes with
the `[gpu]` extra) finds it. No module here imports CuPy.
"""

import math
import operator
from typing import Any, NamedTuple, TypeAlias

import numpy as np

# No static type covers NumPy and CuPy at once: docstrings give shapes and dtypes, and run-time checks enforce them.
Array: TypeAlias = Any
Namespace: TypeAlias = Any
Axes: TypeAlias = int | tuple[int, ...]


def namespace(x: Array) -> Namespace:
    """Return the module whose functions work on `x`: `numpy` for a NumPy array, `cupy` for a CuPy array."""
    if type(x) is np.ndarray or isinstance(x, np.ndarray | np.generic):  # the first is the quicker, and the usual case
        return np
    try:
        from array_api_compat import array_namespace
    except ImportError as error:
        raise TypeError(
            f"arrays of type {type(x).__name__} need the package array-api-compat: pip install 'bn-lib[gpu]'"
        ) from error
    return array_namespace(x)


def is_cupy(x: Any) -> bool:
    """Whether `x` is a CuPy array."""
    return type(x).__module__.partition(".")[0] == "cupy" and type(x).__name__ == "ndarray"


def is_array(x: Any) -> bool:
    """Whether `x` is an array of the standard. CuPy's are too, but have no `__array_namespace__` that would say so."""
    return hasattr(x, "__array_namespace__") or is_cupy(x)


def computes_plainly(x: Any) -> bool:
    """Whether `x` is a NumPy array, or of a subclass that computes as that does, so that its memory says it all.

    `numpy.memmap` is, and a subclass that only carries something along; one that knows units is not.
    """
    return type(x) is np.ndarray or (
        isinstance(x, np.ndarray)
        and all(
            getattr(type(x), name) is getattr(np.ndarray, name)
            for name in ("__array_ufunc__", "__array_function__", "__add__", "__sub__", "__mul__", "__truediv__")
        )
    )


def work_dtype(x: Array, xp: Namespace) -> Any:
    """The precision in which elements are computed: float32 for float16 input, otherwise the input's own."""
    return x.dtype if x.dtype in (xp.float32, xp.float64) else xp.float32


def statistics_dtype(x: Array, xp: Namespace) -> Any:
    """The precision in which statistics are handed out: one step wider than the elements where there is one.

    float16 -> float32, float32 -> float64, float64 -> float64. They are summed in float64, whatever the elements are:
    a sum over a million float32 elements keeps its digits, and one over 2**25 ones does not stop at 2**24.
    """
    return xp.float64 if x.dtype in (xp.float32, xp.float64) else xp.float32


class Limits(NamedTuple):
    """The numbers with which a computation neither overflows on the way nor falls below the smallest normal number.

    Attributes:
        least, most: what an element may be multiplied by, such as 1 / sqrt(var + eps).
        negligible: what may be added to an element; beside the largest there is, that is less than a rounding.
    """

    least: float
    most: float
    negligible: float


LIMITS = {  # by the bits of the type; of float64 also the square must be a number, because var is float64
    32: Limits(2e-38, 2e38, 1e30),
    64: Limits(1e-153, 1e153, 1e291),
}


# What has no number comes out as an infinity or NaN, from every backend alike. NumPy's warnings would tell of steps on
# the way too, and a user's `np.errstate(all="raise")` would stop at them: a digit that underflows is not a mistake.
silent = np.errstate(all="ignore")


def as_axes(axis: Axes, ndim: int) -> tuple[int, ...]:
    """Return `axis` as a sorted tuple of non-negative axes of an array with `ndim` dimensions."""
    try:
        axes = tuple(operator.index(a) for a in (axis if isinstance(axis, tuple | list) else (axis,)))
    except TypeError as error:
        raise TypeError(f"axis is {axis!r}; expected a whole number or a tuple of them") from error
    if any(not -ndim <= a < ndim for a in axes):
        raise ValueError(f"axis is {axis}; expected axes between {-ndim} and {ndim - 1} for an array of rank {ndim}")
    positive = tuple(sorted(a % ndim for a in axes))
    if len(set(positive)) != len(positive):
        raise ValueError(f"axis is {axis}; expected every axis once")
    return positive


def count_along(shape: tuple[int, ...], axes: tuple[int, ...]) -> int:
    """How many elements share one mean when an array of this shape is reduced over `axes`."""
    return math.prod(shape[a] for a in axes)


def channel_shape(ndim: int) -> tuple[int, ...]:
    """The shape that lets a `(C,)` array meet a `(N, C, *spatial)` array of rank `ndim`: `(1, C, 1, ...)`."""
    return (1, -1) + (1,) * (ndim - 2)


def one_hot(labels: Array, classes: int, dtype: Any) -> Array:
    """`(N, classes)` with a 1 where `labels` says. Counted in int64: 300 classes do not fit in labels of uint8."""
    xp = namespace(labels)
    wide = xp.reshape(xp.astype(labels, xp.int64, copy=False), (-1, 1))
    return xp.astype(wide == xp.arange(classes, dtype=xp.int64), dtype)
