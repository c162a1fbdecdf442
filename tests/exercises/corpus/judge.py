"""Which parts of somebody's implementation are right: by a reference of its own, in `longdouble`, on inputs of its own.

The forward pass is written so that it is analytic in x, gamma and beta: no absolute value, no conjugate. So a gradient
is the imaginary part of the loss after a step of 1e-40 i, divided by that step, which loses no digit to a difference
(W. Squire and G. Trapp, "Using complex variables to estimate derivatives of real functions", SIAM Review 40(1), 1998).
Nothing of the engine's is used.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

Function: TypeAlias = Callable[..., Any]
Array: TypeAlias = np.ndarray[Any, Any]
Outputs: TypeAlias = tuple[Array, ...] | None

PARTS = ("forward", "backward", "frozen", "update_running", "inference", "images")
_STEP = 1e-40
# Of the largest number of a channel. float32 results have seven digits.
_SAME = 1e-6
# Where float32 is what goes in, near 10,000, a mean is known to 0.001.
_SAME_IN_FLOAT32 = 1e-2
# Either variance may be kept, throughout.
BIASED, UNBIASED = 0, 1


# The reference


def _batch_axes(x: Array) -> tuple[int, ...]:
    return tuple(axis for axis in range(x.ndim) if axis != 1)


def _lined_up(v: Any, x: Array) -> Array:
    return np.asarray(v).reshape(1, -1, *(1,) * (x.ndim - 2))


def _statistics(x: Array) -> tuple[Array, Array]:
    count = x.size // x.shape[1]
    mean = x.sum(axis=_batch_axes(x)) / count
    centred = x - _lined_up(mean, x)
    return mean, (centred * centred).sum(axis=_batch_axes(x)) / count


def _normalized(x: Array, gamma: Array, beta: Array, eps: Any, given: tuple[Array, Array] | None) -> Array:
    mean, var = _statistics(x) if given is None else given
    return _lined_up(gamma, x) * (x - _lined_up(mean, x)) / np.sqrt(_lined_up(var + eps, x)) + _lined_up(beta, x)


def _gradients(dy: Array, x: Array, gamma: Array, eps: Any, given: tuple[Array, Array] | None) -> tuple[Array, ...]:
    inputs = [each.astype(np.clongdouble) for each in (x, gamma, np.zeros_like(gamma))]
    found = []
    for moved in inputs:
        gradient = np.empty(moved.shape, dtype=np.longdouble)
        for place in np.ndindex(moved.shape):
            moved[place] += 1j * _STEP
            gradient[place] = (dy * _normalized(*inputs, eps, given)).sum().imag / _STEP
            moved[place] = moved[place].real
        found.append(gradient)
    return tuple(found)


def _updated(mean: Array, var: Array, batches: tuple[Array, ...], momentum: Any, ddof: int) -> tuple[Array, ...]:
    for x in batches:
        batch_mean, batch_var = _statistics(x)
        count = x.size // x.shape[1]
        mean = mean + momentum * (batch_mean - mean)
        var = var + momentum * (batch_var * count / (count - ddof) - var)
    return mean, var


def _right(function: str, arguments: tuple[Any, ...], ddof: int) -> tuple[Array, ...]:
    """What has to come out."""
    exact = [
        tuple(x.astype(np.longdouble) for x in each) if isinstance(each, tuple) else np.asarray(each, np.longdouble)
        for each in arguments
    ]
    if function == "forward":
        return (_normalized(*exact, None),)
    if function == "backward":
        dy, x, gamma, eps, *given = exact
        return _gradients(dy, x, gamma, eps, (given[0], given[1]) if given else None)
    if function == "update_running":
        mean, var, batches, momentum = exact
        return _updated(mean, var, batches, momentum, ddof)
    x, gamma, beta, mean, var, eps = exact
    return (_normalized(x, gamma, beta, eps, (mean, var)),)


# The inputs


@dataclass(frozen=True)
class Case:
    """An input, and what belongs to which part.

    Attributes:
        part: of the exercise.
        function: the one that is tried.
        arguments: in its order; the x of `update_running` is a tuple of batches, one after the other.
        room: how far off a number may be, in units of the largest of its channel.
    """

    part: str
    function: str
    arguments: tuple[Any, ...]
    room: float = _SAME

    @property
    def takes_statistics(self) -> bool:
        """Whether the mean and the variance are those of this batch."""
        return self.function != "inference" and (self.function != "backward" or len(self.arguments) == 4)


def _numbers(*shape: int, seed: int, middle: float = 0.0, spread: float = 1.0) -> Array:
    return middle + spread * np.random.default_rng(seed).uniform(-1, 1, shape)


def _batch(shape: tuple[int, ...], seed: int, middle: float, spread: float) -> tuple[Array, ...]:
    """dy, x, gamma, beta, and a mean and a variance from elsewhere, of about the size of the batch's."""
    c = shape[1]
    middles = middle + spread * np.arange(1, c + 1) / 2
    x = _lined_up(middles, np.empty(shape)) + _numbers(*shape, seed=seed, spread=spread)
    return (
        _numbers(*shape, seed=seed + 1, middle=0.4),
        x,
        _numbers(c, seed=seed + 2, middle=-1.7, spread=0.3),
        _numbers(c, seed=seed + 3, middle=0.9, spread=0.3),
        middles + spread * 0.3,
        spread**2 * _numbers(c, seed=seed + 4, middle=0.5, spread=0.2),
    )


# The shape, where the numbers lie, how far around, eps, momentum.
_BATCHES = (
    ((7, 3), 3.0, 2.0, 0.3, 0.2),
    ((4, 2), 1e-3, 1e-3, 1e-5, 0.01),
    ((4, 2), 1e-2, 3e-4, 1e-8, 0.4),
    ((5, 5), -2.0, 4.0, 0.02, 0.7),
    ((9, 2), 40.0, 900.0, 2.0, 0.05),
    ((6, 2), 1e8, 2.0, 0.01, 0.3),
)
_IMAGES = (((2, 3, 4, 5), 1.0, 2.0, 0.3, 0.2), ((3, 2, 2, 6), -3.0, 1.0, 0.05, 0.1))


def _as_rows(value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(map(_as_rows, value))
    is_image = isinstance(value, np.ndarray) and value.ndim == 4
    return value.transpose(0, 2, 3, 1).reshape(-1, value.shape[1]) if is_image else value


def _of(batch: tuple[Array, ...], eps: float, momentum: float) -> dict[str, tuple[str, tuple[Any, ...]]]:
    dy, x, gamma, beta, mean, var = batch
    return {
        "forward": ("forward", (x, gamma, beta, eps)),
        "backward": ("backward", (dy, x, gamma, eps)),
        "frozen": ("backward", (dy, x, gamma, eps, mean, var)),
        "update_running": ("update_running", (mean, var, (x, 2 * x + 1), momentum)),
        "inference": ("inference", (x, gamma, beta, mean, var, eps)),
    }


def _cases() -> Iterator[Case]:
    for seed, (shape, middle, spread, eps, momentum) in enumerate(_BATCHES):
        batch = _batch(shape, 10 * seed, middle, spread)
        for part, (function, arguments) in _of(batch, eps, momentum).items():
            yield Case(part, function, arguments)
    dy, x, gamma, beta, mean, var = _batch((5, 3), 100, 1.0, 2.0)
    x[:, 0] = 2.5  # a feature that does not vary
    yield Case("forward", "forward", (x, gamma, beta, 0.01))
    yield Case("backward", "backward", (dy, x, gamma, 0.01))
    # One row is a batch where statistics are given.
    yield Case("frozen", "backward", (dy[:1], x[:1], gamma, 0.01, mean, var))
    yield Case("inference", "inference", (x[:1], gamma, beta, mean, var, 0.01))
    narrow = [each.astype(np.float32) for each in _batch((8, 2), 110, 1e4, 3.0)[:4]]
    yield Case("forward", "forward", (*narrow[1:], 0.01), _SAME_IN_FLOAT32)
    yield Case("backward", "backward", (*narrow[:3], 0.01), _SAME_IN_FLOAT32)
    for seed, (shape, middle, spread, eps, momentum) in enumerate(_IMAGES):
        batch = _batch(shape, 200 + 10 * seed, middle, spread)
        for function, arguments in _of(batch, eps, momentum).values():
            yield Case("images", function, arguments)


CASES = tuple(_cases())
_RIGHT = {ddof: [_right(case.function, case.arguments, ddof) for case in CASES] for ddof in (BIASED, UNBIASED)}


# The verdict


def right_parts(functions: Mapping[str, Function]) -> set[str]:
    """The parts that are right.

    A part is right if all its numbers are. A mistake counts once, so two things are left to the part that shows them
    first: that a function changes an array which was only lent to it, and what a function does wrong with images that
    it does wrong with the same numbers as rows. But one function that takes a mean and a variance has to be right on
    images, or nobody has seen the axes.
    """
    wrong = {BIASED: set[str](), UNBIASED: set[str]()}
    meddles: set[str] = set()
    seen_axes = False
    for number, case in enumerate(CASES):
        outputs, changed = _run(functions[case.function], case.function, case.arguments)
        for ddof, parts in wrong.items():
            is_right = _agree(outputs, _RIGHT[ddof][number], case.room)
            seen_axes |= is_right and case.part == "images" and case.takes_statistics
            if not is_right and not _is_as_rows(functions, case, outputs):
                parts.add(case.part)
        if changed and case.function not in meddles:
            meddles.add(case.function)
            for parts in wrong.values():
                parts.add(case.part)
    right = set(PARTS) - min(wrong.values(), key=len)
    return right if seen_axes else right - {"images"}


def _is_as_rows(functions: Mapping[str, Function], case: Case, outputs: Outputs) -> bool:
    """Whether a function does with images what it does with the same numbers as rows."""
    if case.part != "images" or outputs is None:
        return False
    rows, _ = _run(functions[case.function], case.function, _as_rows(case.arguments))
    return rows is not None and _agree(tuple(map(_as_rows, outputs)), rows, case.room)


def _run(function: Function, name: str, arguments: tuple[Any, ...]) -> tuple[Outputs, bool]:
    """What comes out, None if nothing does that can be looked at; and whether something lent was changed."""
    lent = [each.copy() if isinstance(each, np.ndarray) else each for each in arguments]
    try:
        with np.errstate(all="ignore"):
            if name != "update_running":
                returned = function(*lent)
            else:
                mean, var, batches, momentum = lent
                for x in batches:
                    mean, var = (np.array(each, dtype=float) for each in function(mean, var, x.copy(), momentum))
                returned = mean, var
        outputs = returned if isinstance(returned, tuple) else (returned,)
        arrays = tuple(np.array(each, dtype=np.longdouble) for each in outputs)
    except Exception:
        return None, False
    # Running statistics may be changed, and batches are copied above.
    changed = name != "update_running" and not all(map(np.array_equal, lent, arguments))
    return arrays, changed


def _agree(outputs: Outputs, expected: tuple[Array, ...], room: float) -> bool:
    if outputs is None or len(outputs) != len(expected):
        return False
    return all(_is_near(own, right, room) for own, right in zip(outputs, expected, strict=True))


def _is_near(own: Array, right: Array, room: float) -> bool:
    if [n for n in own.shape if n != 1] != [n for n in right.shape if n != 1] or not np.isfinite(own).all():
        return False
    size = np.abs(right).max(axis=_batch_axes(right), keepdims=True) if right.ndim > 1 else np.abs(right)
    return bool((np.abs(own.reshape(right.shape) - right) <= room * size + 1e-12).all())
