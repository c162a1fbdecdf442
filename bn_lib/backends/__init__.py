"""How Batch Normalization is computed on a kind of array: which loops run over memory, decided here and nowhere else.

Every backend (`base.Backend`) is the same four loops over x, and gives the same numbers to rounding. "numba" has loops
for layer, RMS, instance and group normalization too; for those the others take the reference.

| name        | runs on                                | needs                       |
|-------------|----------------------------------------|-----------------------------|
| "numba"     | NumPy arrays, compiled loops           | the extra `[fast]`          |
| "numpy"     | NumPy arrays, in blocks that fit in the cache | nothing              |
| "cupy"      | CuPy arrays, fused kernels             | the extra `[gpu]`           |
| "reference" | every array; the formulas of `standardize`, to be read and to test the others against | nothing |

Nothing is imported and nothing compiled before the first array of its kind arrives.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache

import numpy as np

from bn_lib._arrays import Array, computes_plainly, is_cupy
from bn_lib.backends.base import Backend

NAMES = ("numba", "numpy", "cupy", "reference")

_asked_for: ContextVar[str | None] = ContextVar("bn_lib.backend", default=None)


def backend(x: Array | None = None) -> str:
    """The name of the backend that `batch_norm` uses for `x`; without one, for NumPy arrays.

    Layer, RMS, instance and group normalization use "numba" where that is the name, and otherwise the reference.

    Returns:
        "numba", "numpy", "cupy" or "reference".

    Example:
        >>> backend() in ("numba", "numpy")  # what is installed decides
        True
    """
    chosen = choose(np.empty(0) if x is None else x)
    return "reference" if chosen is None else chosen.name


@contextmanager
def use_backend(name: str) -> Iterator[None]:
    """A context in which one backend is used, to compare or to measure: `with use_backend("reference"): ...`.

    It is for arrays of its own kind, and for the thread that opened the context: inside `use_backend("numpy")` a CuPy
    array is still computed by "cupy". A gradient is computed by the backend that computed the forward pass.

    Args:
        name: "numba", "numpy", "cupy" or "reference".

    Returns:
        The context.

    Example:
        >>> with use_backend("reference"):
        ...     backend()
        'reference'

    Raises:
        ValueError: if there is no backend of that name.
        ImportError: if what it needs is not installed.
    """
    if name not in NAMES:
        raise ValueError(f"name is {name!r}; expected one of {', '.join(NAMES)}")
    if name == "numba":
        _numba()
    if name == "cupy":
        _cupy()
    before = _asked_for.set(name)
    try:
        yield
    finally:
        _asked_for.reset(before)


def choose(x: Array) -> Backend | None:
    """The backend for `x`, or None for the reference. The one place where this is decided."""
    asked_for = _asked_for.get()
    if asked_for == "reference":
        return None
    if type(x) is not np.ndarray and is_cupy(x):
        return _cupy()
    if computes_plainly(x):
        return _numpy() if asked_for == "numpy" else (_numba_if_it_works() or _numpy())
    return None


def by_name(name: str) -> Backend:
    """The backend of that name; "numpy" for "numba" where there is no Numba, because they share a kind of array."""
    if name == "cupy":
        return _cupy()
    return (_numba_if_it_works() if name == "numba" else None) or _numpy()


@cache
def _numpy() -> Backend:
    from bn_lib.backends.with_numpy import NumPyBackend

    return NumPyBackend()


@cache
def _numba() -> Backend:
    from bn_lib.backends.with_numba import NumbaBackend

    return NumbaBackend()


@cache
def _numba_if_it_works() -> Backend | None:
    try:
        return _numba()
    except ModuleNotFoundError:  # not installed
        return None
    except (ImportError, OSError) as error:  # older than this NumPy, or its compiler's library cannot be loaded
        warnings.warn(f"Numba is installed but cannot be used, so NumPy is: {error}", RuntimeWarning, stacklevel=2)
        return None


@cache
def _cupy() -> Backend:
    from bn_lib.backends.with_cupy import CuPyBackend

    return CuPyBackend()
