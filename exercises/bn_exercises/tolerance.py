"""When two sets of numbers count as the same: one rule, for the book's questions, the problems and the grader.

It leaves room for an answer that was worked out by hand and rounded to 3 significant digits. That room is wider than
what some mistakes change (ε = 0.01 beside a variance of 5 moves the third digit), so an answer with more digits must
also be nearer to the right numbers than to those of a mistake: `overruled`.

Three digits at the end are not the same as three digits on the way, which can move a result further than that. How one
rounds on the way is a `Rounding`; `BY_HAND` are those that count, and `numbers.rounded` computes with them.
"""

from dataclasses import dataclass
from decimal import Decimal
from itertools import product
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

# Among numbers of ordinary size this is what is left of 0 by subtraction in float64.
ZERO = 1e-12

# In units of the room: an answer nearer than this is equal. Rounding to float32 moves a number 20 times less.
EQUAL = 1e-3
# A mistake overrules the right answer only if it is nearer by more than this factor. In doubt the answer is right.
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
    # The last term leaves some room where all numbers are 0.
    return RELATIVE * size + OF_LARGEST * size.max() + 1e-100


def distances(answer: Array, values: Array, room: Array) -> Array:
    """How far `answer` is from each of `values`, in units of the room, where it is furthest. At most 1: they agree.

    Args:
        answer: of some shape.
        values: any number of arrays of that shape, stacked along axis 0.
        room: as of `rooms`, of that shape; or stacked, one for each of `values`.
    """
    # Less ZERO: a right 0 may come as 1e-17. A division by a tiny room overflows, and that is infinitely far.
    with np.errstate(over="ignore"):
        gap = np.maximum(np.abs(values - answer) - ZERO, 0) / room
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


def is_rounded(answer: Array, value: Array, least: int = DIGITS) -> bool:
    """Whether each number of `answer` is that of `value`, rounded to as many digits as it shows, and so many at least.

    A number may have more digits than it shows, because a last 0 is not there to be seen.
    """
    return all(
        abs(a - v) <= 0.5000001 * _last_place(a, least) + ZERO
        for a, v in zip(np.ravel(answer).tolist(), np.ravel(value).tolist(), strict=True)
    )


def is_cut_short(answer: Array, value: Array, rivals: Array) -> bool:
    """Whether `answer` is `value`, rounded to fewer digits than 3, and no mistake's numbers in 3 digits.

    Each number must show a digit: a bare 0 counts for 0 only.

    Args:
        answer: of some shape.
        value: the right numbers.
        rivals: those of the mistakes, stacked along axis 0; maybe none.
    """
    shows = (np.abs(answer) > ZERO) | (np.abs(value) <= ZERO)
    return bool(
        shows.all() and is_rounded(answer, value, least=1) and not any(is_rounded(answer, each) for each in rivals)
    )


def _last_place(number: float, least: int) -> float:
    """The worth of one unit of a number's last digit; of the digit number `least`, if it shows fewer."""
    return float(10.0 ** (_shown(number).adjusted() - max(digits_shown(number), least) + 1))


def digits_shown(number: float) -> int:
    """How many digits a number shows: 3 for 1.34 and for 0.0134, 2 for 1.30."""
    return len(_shown(number).as_tuple().digits)


def _shown(number: float) -> Decimal:
    # Through repr, which shows as many digits as were typed.
    return Decimal(repr(number)).normalize()


@dataclass(frozen=True)
class Rounding:
    """How somebody rounds on the way.

    Attributes:
        digits: the significant digits that are kept of every intermediate result.
        mean: of the mean too, where it is not kept as a fraction.
        reciprocal: the reciprocal of a root is rounded and multiplied by, where others divide by the root.
    """

    digits: int
    mean: bool = False
    reciprocal: bool = False

    def __call__(self, value: Array) -> Array:
        """An intermediate result as it is written down."""
        return round_to(self.digits, value)

    def of_mean(self, value: Array) -> Array:
        """A mean as it is written down."""
        return self(value) if self.mean else value

    def divided(self, value: Array, root: Array, power: int = 1) -> Array:
        """`value` divided by a power of this root; the quotient is not rounded yet."""
        return value * self(self(1 / root) ** power) if self.reciprocal else value / self(root**power)


# What counts as right: every combination, in as many digits as one rounds to at least, and in one or two more.
BY_HAND = tuple(Rounding(*choices) for choices in product(range(DIGITS, DIGITS + 3), (False, True), (False, True)))


def round_to(digits: int, value: Array) -> Array:
    """`value`, rounded to so many significant digits."""
    return np.array([float(f"{v:.{digits - 1}e}") for v in np.ravel(value)]).reshape(np.shape(value))
