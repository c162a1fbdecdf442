"""What the problems done by hand have in common: how numbers are written in a hint, and from what variants are drawn.

Variants are drawn so that they can be done by hand: values and means are whole numbers, and variance plus ε is the
square of a whole number or a half, so that the root comes out.
"""

from typing import Any

import numpy as np

from bn_exercises.problem import Given
from bn_exercises.tolerance import Array


def joined(values: Any, joint: str = ", ") -> str:
    """Numbers in a row; those below 0 in brackets if they are added."""
    return joint.join(f"({v:g})" if v < 0 and "+" in joint else f"{v:g}" for v in values)


def added(value: float) -> str:
    """A number as it stands at the end of a sum: "+ 1", "− 1"."""
    return f"+ {value:g}" if value >= 0 else f"− {-value:g}"


def column(given: Given) -> tuple[Array, float]:
    """The one feature of the batch, and ε."""
    return np.asarray(given["x"], dtype=float), given["eps"]


# 3 deviations for which σ² + 0.25 is a square: σ² = 2 and σ² = 6.
TWO, SIX = ((1, 1, -2), (-1, -1, 2)), ((3, 0, -3),)
