"""Checks of what callers pass in. Public functions call these once, at the door; nothing further in checks again.

Every message names the argument, the shape or value that was seen, and what was expected.
"""

import math
from typing import Any

from bn_lib._arrays import Array, count_along, namespace

FLOATS = ("float16", "float32", "float64")


def check_float_array(x: Array, name: str = "x") -> None:
    """Raise `TypeError` unless `x` is an array of floating-point numbers."""
    if not hasattr(x, "__array_namespace__"):
        raise TypeError(
            f"{name} is a {type(x).__name__}; expected a NumPy or CuPy array (numpy.asarray({name}, dtype=float))"
        )
    xp = namespace(x)
    # CuPy and NumPy have float16; the array API standard itself does not, so it is asked for by name.
    if x.dtype not in [getattr(xp, f) for f in FLOATS if hasattr(xp, f)]:
        raise TypeError(f"{name} has dtype {x.dtype}; expected one of {', '.join(FLOATS)} (convert with astype)")


def check_input(x: Array, name: str = "x") -> None:
    """Raise unless `x` is a non-empty floating-point array of shape `(N, C)` or `(N, C, *spatial)`."""
    check_float_array(x, name)
    if x.ndim < 2:
        raise ValueError(f"{name} has shape {x.shape}; expected (N, C) or (N, C, *spatial)")
    if 0 in x.shape:
        raise ValueError(f"{name} has shape {x.shape}; expected at least one element along every axis")


def check_same_kind(x: Array, other: Array, name: str) -> None:
    """Raise `TypeError` unless `other` is the same kind of array as `x`: mixing NumPy and CuPy copies silently."""
    check_float_array(other, name)
    if namespace(x) is not namespace(other):
        raise TypeError(
            f"{name} is an array of {namespace(other).__name__} but x is an array of {namespace(x).__name__}; "
            "expected both of one kind"
        )


def check_parameter(x: Array, parameter: Array, name: str, *shapes: tuple[int, ...]) -> None:
    """Raise unless `parameter` is an array of x's kind with one of `shapes` (by default one value per channel)."""
    check_same_kind(x, parameter, name)
    allowed = shapes or ((x.shape[1],),)
    if tuple(parameter.shape) not in allowed:
        expected = " or ".join(str(shape) for shape in dict.fromkeys(allowed))
        raise ValueError(f"{name} has shape {parameter.shape}; expected {expected} for x of shape {x.shape}")


def check_eps(eps: float) -> float:
    """Return `eps` as a float; raise unless it is a finite number >= 0."""
    return check_number(eps, "eps", low=0.0)


def check_number(value: Any, name: str, *, low: float = -math.inf, high: float = math.inf) -> float:
    """Return `value` as a float; raise unless it is a finite number in [low, high]."""
    try:
        number = float(value)
    except (TypeError, ValueError) as error:
        raise TypeError(f"{name} is {value!r}; expected a number") from error
    if not (math.isfinite(number) and low <= number <= high):
        raise ValueError(f"{name} is {value}; expected a finite number{_range(low, high)}")
    return number


def _range(low: float, high: float) -> str:
    if math.isfinite(low) and math.isfinite(high):
        return f" between {low:g} and {high:g}"
    return f" >= {low:g}" if math.isfinite(low) else ""


def check_positive_int(value: Any, name: str) -> int:
    """Return `value` as an int; raise unless it is a whole number >= 1."""
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise TypeError(f"{name} is {value!r}; expected a whole number >= 1")
    number = int(value.__index__())
    if number < 1:
        raise ValueError(f"{name} is {number}; expected a whole number >= 1")
    return number


def check_enough(x: Array, axes: tuple[int, ...], shared: str) -> None:
    """Raise `ValueError` if only one value shares each mean: its variance is 0 and its output always beta."""
    if count_along(x.shape, axes) < 2:
        raise ValueError(
            f"x has shape {x.shape}: one value per {shared}, so every output would be beta; "
            f"expected at least 2 values per {shared}"
        )


def check_gradient(dy: Array, like: Array) -> None:
    """Raise unless `dy` has the shape and kind of the output that it is the gradient of."""
    check_same_kind(like, dy, "dy")
    if dy.shape != like.shape:
        raise ValueError(f"dy has shape {dy.shape}; expected {like.shape}, the shape of the output")


def check_labels(labels: Array, n: int, classes: int, name: str = "labels") -> None:
    """Raise unless `labels` is an integer array of shape `(n,)` with values from 0 to classes - 1."""
    if not hasattr(labels, "__array_namespace__"):
        raise TypeError(f"{name} is a {type(labels).__name__}; expected an integer array of shape ({n},)")
    xp = namespace(labels)
    if not xp.isdtype(labels.dtype, "integral"):
        raise TypeError(f"{name} has dtype {labels.dtype}; expected an integer type")
    if tuple(labels.shape) != (n,):
        raise ValueError(f"{name} has shape {labels.shape}; expected ({n},), one label per row of x")
    low, high = int(xp.min(labels)), int(xp.max(labels))
    if low < 0 or high >= classes:
        raise ValueError(f"{name} holds the class {low if low < 0 else high}; expected classes 0 to {classes - 1}")
