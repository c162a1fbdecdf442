"""Checks of what callers pass in, such as `check.input(x)`.

Public functions call these once, at the door; nothing further in checks again.

Every message names the argument, the shape or value that was seen, and what was expected.
"""

import math
from typing import Any

import numpy as np

from bn_lib._arrays import Array, Namespace, count_along, is_array, namespace

FLOATS = ("float16", "float32", "float64")
NUMPY_FLOATS = (np.dtype(np.float32), np.dtype(np.float64), np.dtype(np.float16))


def floats(x: Array, name: str = "x") -> None:
    """Raise `TypeError` unless `x` is an array of floating-point numbers."""
    if type(x) is np.ndarray and x.dtype in NUMPY_FLOATS:  # the usual case: a small batch takes 20 microseconds in all
        return
    if not is_array(x):
        raise TypeError(
            f"{name} is a {type(x).__name__}; expected a NumPy or CuPy array (numpy.asarray({name}, dtype=float))"
        )
    if isinstance(x, np.matrix):  # it has two dimensions whatever is done to it, and multiplies by *
        raise TypeError(f"{name} is a numpy.matrix; expected a plain array (numpy.asarray({name}))")
    if isinstance(x, np.ma.MaskedArray):  # sums would leave out what is masked, and counts would not
        raise TypeError(
            f"{name} is a masked array; expected one without a mask (choose its rows, or {name}.filled(...))"
        )
    xp = namespace(x)
    # CuPy and NumPy have float16; the array API standard itself does not, so it is asked for by name.
    if x.dtype not in [getattr(xp, f) for f in FLOATS if hasattr(xp, f)]:
        raise TypeError(f"{name} has dtype {x.dtype}; expected one of {', '.join(FLOATS)} (convert with astype)")


def input(x: Array, name: str = "x", *, least: int = 1) -> None:
    """Raise unless `x` is a floating-point array of shape `(N, C)` or `(N, C, *spatial)` with something in it.

    With 0 for `least` there need be no samples: what treats each on its own has nothing to do then.
    """
    floats(x, name)
    if x.ndim < 2:
        raise ValueError(f"{name} has shape {x.shape}; expected (N, C) or (N, C, *spatial)")
    if x.shape[0] < least or 0 in x.shape[1:]:
        raise ValueError(f"{name} has shape {x.shape}; expected at least one element along every axis")


def same_kind(x: Array, other: Array, name: str) -> None:
    """Raise `TypeError` unless `other` is the same kind of array as `x`: mixing NumPy and CuPy copies silently."""
    floats(other, name)
    if type(x) is not type(other):
        _same_namespace(x, other, name)


def _same_namespace(x: Array, other: Array, name: str) -> None:
    own, others = namespace(x), namespace(other)
    if own is not others:
        raise TypeError(
            f"{name} is an array of {others.__name__} but x is an array of {own.__name__}; expected both of one kind"
        )


def parameter(x: Array, parameter: Array, name: str, *shapes: tuple[int, ...]) -> None:
    """Raise unless `parameter` is an array of x's kind with one of `shapes` (by default one value per channel)."""
    same_kind(x, parameter, name)
    allowed = shapes or ((x.shape[1],),)
    if tuple(parameter.shape) not in allowed:
        if (x.shape[1],) in allowed:
            channels(x, parameter, name)
        expected = " or ".join(str(shape) for shape in dict.fromkeys(allowed))
        raise ValueError(f"{name} has shape {parameter.shape}; expected {expected} for x of shape {x.shape}")


def parameters(x: Array, **arrays: Array) -> None:
    """Raise unless all these, by their names, are arrays of x's kind with one value per channel."""
    for name, array in arrays.items():
        parameter(x, array, name)


def channels(x: Array, parameter: Array, name: str) -> None:
    """Raise `ValueError` about x, not about the parameter, if that belongs to channels that are the last axis of x."""
    if x.ndim > 2 and parameter.ndim and x.shape[-1] == parameter.shape[-1] != x.shape[1]:
        raise ValueError(
            f"x has shape {x.shape} and {name} {parameter.shape}; expected x as (N, C, *spatial): channels are axis 1, "
            "and this looks like channels last (numpy.moveaxis(x, -1, 1))"
        )


def variance(var: Array, name: str = "var", advice: str = "") -> None:
    """Raise `ValueError` if a variance is negative, infinite, or NaN."""
    xp = namespace(var)
    if not bool(xp.all((var >= 0) & (var < math.inf))):  # written so that a NaN is refused too
        worst = xp.min(var) if bool(xp.all(var < math.inf)) else xp.max(var)
        raise ValueError(f"{name} holds {float(worst):g}; expected finite variances >= 0{advice}")


def eps(value: float, name: str = "eps") -> float:
    """Return `value` as a float; raise unless it is a finite number >= 0."""
    return number(value, name, low=0.0)


def number(value: Any, name: str, *, low: float = -math.inf, high: float = math.inf) -> float:
    """Return `value` as a float; raise unless it is a finite number in [low, high]."""
    if type(value) is float and low <= value <= high and math.isfinite(value):
        return value
    try:
        if isinstance(value, str | bytes):  # float() would read "0.1"
            raise TypeError
        number = float(value)
    except (TypeError, ValueError) as error:
        raise TypeError(f"{name} is {value!r}; expected a number") from error
    if not (math.isfinite(number) and low <= number <= high):
        raise ValueError(f"{name} is {value}; expected a finite number{_range(low, high)}")
    return number


def below_one(value: Any, name: str, *, otherwise: str) -> float:
    """Return `value` as a float; raise unless it is a number with 0 <= number < 1; `otherwise` says what 1 would do."""
    fraction = number(value, name, low=0.0, high=1.0)
    if fraction == 1.0:
        raise ValueError(f"{name} is 1; expected less, or {otherwise}")
    return fraction


def _range(low: float, high: float) -> str:
    if math.isfinite(low) and math.isfinite(high):
        return f" between {low:g} and {high:g}"
    return f" >= {low:g}" if math.isfinite(low) else ""


def boolean(value: Any, name: str) -> bool:
    """Return `value` as a bool; raise `TypeError` unless it is True or False: the text "False" would count as true."""
    if not isinstance(value, bool | np.bool_):
        raise TypeError(f"{name} is {value!r}; expected True or False")
    return bool(value)


def integer(value: Any, name: str, expected: str = "a whole number") -> int:
    """Return `value` as an int; raise unless it is one."""
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise TypeError(f"{name} is {value!r}; expected {expected}")
    return int(value.__index__())


def positive_int(value: Any, name: str, *, low: int = 1) -> int:
    """Return `value` as an int; raise unless it is a whole number >= `low`."""
    number = integer(value, name, f"a whole number >= {low}")
    if number < low:
        raise ValueError(f"{name} is {number}; expected a whole number >= {low}")
    return number


def rng(rng: Any) -> None:
    """Raise `TypeError` unless `rng` is a NumPy random generator; a seed is the usual mistake."""
    if not isinstance(rng, np.random.Generator):
        raise TypeError(f"rng is {rng!r}; expected a numpy.random.Generator (numpy.random.default_rng(seed))")


def dtype(dtype: Any, xp: Namespace) -> Any:
    """Return `dtype` as the namespace `xp` spells it, float64 for None; raise unless it is a floating-point type."""
    if dtype is None:
        return xp.float64
    if any(dtype is getattr(xp, name, None) for name in FLOATS):
        return dtype
    try:
        name = np.dtype(dtype).name
    except TypeError:
        name = str(dtype)
    if name not in FLOATS or not hasattr(xp, name):
        raise TypeError(f"dtype is {dtype!r}; expected one of {', '.join(FLOATS)}")
    return getattr(xp, name)


def enough(x: Array, axes: tuple[int, ...], shared: str, split: tuple[int, ...] | None = None) -> None:
    """Raise `ValueError` if only one value shares each mean: its variance is 0 and its output always beta.

    `split` is the shape that `axes` are of, where it is not that of x.
    """
    shape = split or x.shape
    if shape[axes[0]] < 2 and count_along(shape, axes) < 2:  # no axis is empty, so two along one are enough
        raise ValueError(
            f"x has shape {x.shape}: one value per {shared}, so every output would be beta; "
            f"expected at least 2 values per {shared}"
        )


def gradient(dy: Array, like: Array, shape: tuple[int, ...] | None = None) -> None:
    """Raise unless `dy` is an array of the kind of `like` with `shape`, that of the output (by default that of `like`).

    NumPy would broadcast a gradient of another shape and return a wrong one without a word.
    """
    same_kind(like, dy, "dy")
    expected = tuple(like.shape if shape is None else shape)
    if tuple(dy.shape) != expected:
        raise ValueError(f"dy has shape {dy.shape}; expected {expected}, the shape of the output")


def mask(mask: Array, x: Array, axis: int) -> Array:
    """Return `mask` as one boolean for each position of x, `(positions,)`; `axis` is that of the channels.

    Raises:
        TypeError, ValueError: unless `mask` is a boolean array of x's kind that broadcasts to x without its channels.
    """
    if not is_array(mask):
        raise TypeError(f"mask is a {type(mask).__name__}; expected a boolean array")
    xp, (*positions,) = namespace(mask), x.shape
    _same_namespace(x, mask, "mask")
    if not xp.isdtype(mask.dtype, "bool"):
        raise TypeError(f"mask has dtype {mask.dtype}; expected booleans, True where x is valid (mask.astype(bool))")
    del positions[axis]
    each = xp.squeeze(mask, axis=axis) if mask.ndim == x.ndim and mask.shape[axis] == 1 else mask
    if each.ndim != len(positions) or any(n not in (1, m) for n, m in zip(each.shape, positions, strict=True)):
        raise ValueError(
            f"mask has shape {mask.shape}; expected {tuple(positions)}, that of x without its channels, or one that "
            "broadcasts to it"
        )
    return xp.reshape(xp.broadcast_to(each, tuple(positions)), (-1,))


def labels(labels: Array, like: Array, classes: int | None, name: str = "labels") -> None:
    """Raise unless `labels` holds one class, an integer from 0 to classes - 1, for each row of `like`, in its kind.

    With None for `classes` there is no upper bound.
    """
    n = like.shape[0]
    if not is_array(labels):
        raise TypeError(f"{name} is a {type(labels).__name__}; expected an integer array of shape ({n},)")
    xp = namespace(labels)
    _same_namespace(like, labels, name)
    if not xp.isdtype(labels.dtype, "integral"):
        raise TypeError(f"{name} has dtype {labels.dtype}; expected an integer type")
    if tuple(labels.shape) != (n,):
        raise ValueError(f"{name} has shape {labels.shape}; expected ({n},), one label per row of x")
    if not n:
        return
    low, high = int(xp.min(labels)), int(xp.max(labels))
    if low < 0 or (classes is not None and high >= classes):
        expected = "classes from 0" if classes is None else f"classes 0 to {classes - 1}"
        raise ValueError(f"{name} holds the class {low if low < 0 else high}; expected {expected}")
