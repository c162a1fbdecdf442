"""When two sets of numbers count as the same: one rule, for the book's questions, the problems and the grader.

It leaves room for an answer that was worked out by hand and rounded to 3 significant digits. That room is wider than
what some mistakes change (ε = 0.01 beside a variance of 5 moves the third digit), so an answer with more digits must
also be nearer to the right numbers than to those of a mistake: `overruled`.
"""

from decimal import Decimal
from typing import Any, TypeAlias

import numpy as np

# NumPy gives `x.mean(axis=...)` no static type, so shapes are in the comments, as in bn_lib.
Array: TypeAlias = Any
Numbers: TypeAlias = tuple[float, ...]

# Room for an answer rounded to 3 significant digits. A number near 0 among larger ones is the rest of a subtraction
# and carries their rounding, hence the second part.
RELATIVE = 0.005
OF_LARGEST = 0.0005

# What one rounds to by hand, at least.
DIGITS = 3

# In units of the room. Nearer than this is equal: float32 is 20 times nearer.
EQUAL = 1e-3
# A mistake overrules the right answer if it is nearer by more than this factor: in doubt, for the learner.
NEARER = 0.5


def ranges(value: Numbers) -> list[tuple[float, float]]:
    """For each number, the lowest and highest answer that counts as that number."""
    v = np.asarray(value, dtype=float)
    room = rooms(v)
    return list(zip((v - room).tolist(), (v + room).tolist(), strict=True))


def rooms(value: Array, carried: Array | None = None) -> Array:
    """For each number of `value`, how far from it an answer may be.

    Args:
        value: the numbers.
        carried: for each, the size of what was rounded on the way, where that is larger: γ · x̂ in γ · x̂ + β, whose
            rounding stays when β cancels most of it.
    """
    size = np.abs(value) if carried is None else np.maximum(np.abs(value), np.abs(carried))
    # The last term is for a value that is zero throughout.
    return RELATIVE * size + OF_LARGEST * size.max() + 1e-100


def distances(answer: Array, values: Array, room: Array) -> Array:
    """How far `answer` is from each of `values`, in units of the room, where it is furthest. At most 1: they agree.

    Args:
        answer: of some shape.
        values: any number of arrays of that shape, stacked along axis 0.
        room: as of `rooms`, of that shape; or stacked, one for each of `values`.
    """
    # Subtracting leaves about 1e-16 of what was subtracted, so a right 0 may come as 1e-17.
    gap = np.maximum(np.abs(values - answer) - 1e-12, 0) / room
    return gap.reshape(len(values), -1).max(axis=1)


def distance(answer: Array, value: Array, room: Array | None = None) -> float:
    """How far `answer` is from one `value` of the same shape; the room is that of `value` unless another is given."""
    return float(distances(answer, value[None], rooms(value) if room is None else room)[0])


def agree(answer: Array, value: Array) -> bool:
    """Whether `answer` counts as `value`."""
    return distance(answer, value) <= 1


def overruled(answer: Array, value: Array, rivals: Array, room: Array) -> bool:
    """Whether an answer that agrees with `value` is so much nearer to a rival that it was got in the rival's way.

    Never, if the answer is `value` to the last digit that was given, with 3 digits at least.

    Args:
        answer: of some shape.
        value: what it agrees with.
        rivals: stacked along axis 0; maybe none.
        room: that of `value`.
    """
    off = distance(answer, value, room)
    if off <= EQUAL or len(rivals) == 0 or distances(answer, rivals, room).min() >= NEARER * off:
        return False
    return not is_rounded(answer, value)


def is_rounded(answer: Array, value: Array) -> bool:
    """Whether each number of `answer` is that of `value`, rounded to as many digits as it has, and 3 at least."""
    return all(
        abs(a - v) <= 0.5000001 * _last_place(a)
        for a, v in zip(np.ravel(answer).tolist(), np.ravel(value).tolist(), strict=True)
    )


def _last_place(number: float) -> float:
    """The worth of one unit of a number's last digit; of its third, if it shows fewer, because zeros are not shown."""
    # Through repr, which shows as many digits as were typed.
    decimal = Decimal(repr(number)).normalize()
    return float(10.0 ** (decimal.adjusted() - max(len(decimal.as_tuple().digits), DIGITS) + 1))


def round_to(digits: int, value: Array) -> Array:
    """`value`, rounded to so many significant digits."""
    return np.array([float(f"{v:.{digits - 1}e}") for v in np.ravel(value)]).reshape(np.shape(value))
