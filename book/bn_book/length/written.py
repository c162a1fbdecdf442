"""What the chapter on the length of weights writes: its worked example as TeX. A browser needs no Matplotlib for it."""

from collections.abc import Sequence
from fractions import Fraction

from bn_book.length.experiments import Unit, squared
from bn_book.tex import aligned, decimal


def _vector(values: Sequence[Fraction]) -> str:
    return "(" + r",\ ".join(decimal(value) for value in values) + ")"


def _fraction(value: Fraction) -> str:
    if value.denominator == 1:
        return decimal(value)
    return ("-" if value < 0 else "") + rf"\tfrac{{{abs(value.numerator)}}}{{{value.denominator}}}"


def worked_forward(unit: Unit) -> str:
    """From the weights to the loss, as TeX."""
    first = unit.centered[0]
    return aligned(
        rf"z &= {_vector(unit.z)}",
        rf"\mu &= {decimal(unit.mean)}, \qquad z - \mu = {_vector(unit.centered)}",
        rf"\sigma^2 &= {_fraction(unit.variance)}",
        rf"L &= \tfrac12\, \hat x_1^2 = \frac{{({decimal(first)})^2}}{{2 \cdot {_fraction(unit.variance)}}}"
        rf" = {decimal(unit.loss)}",
    )


def worked_backward(unit: Unit) -> str:
    """From the loss to the gradient of the weights, as TeX."""
    (a, b), (x, y, z) = unit.gradient, unit.dz
    return aligned(
        r"dz &= \frac{1}{\sigma^2} \Bigl[\, (z_1 - \mu)\,(1, 0, 0) - \tfrac13 (z_1 - \mu)"
        r" \\ &\qquad\; - \tfrac13 \hat x_1^2\, (z - \mu) \Bigr]",
        rf"&= \Bigl({_fraction(x)},\ {_fraction(y)},\ {_fraction(z)}\Bigr)",
        rf"g &= {_fraction(x)}\,(1, 0) + {_fraction(y)}\,(0, 1) {_fraction(z)}\,(3, -1) \\ &= {_vector((a, b))}",
        rf"w \cdot g &= 3 \cdot ({decimal(a)}) + 4 \cdot {decimal(b)}"
        rf" = {decimal(unit.w[0] * a + unit.w[1] * b)}",
    )


def worked_step(unit: Unit, rate: Fraction, decay: Fraction = Fraction()) -> str:
    """A step and the squares of the lengths, as TeX."""
    new, shrink = unit.stepped(rate, decay), 1 - rate * decay
    before, step, after = squared(unit.w), rate**2 * squared(unit.gradient), squared(new.w)
    kept, kept_squared = (rf"{decimal(part)} \cdot " if decay else "" for part in (shrink, shrink**2))
    return aligned(
        rf"w' &= {kept}{_vector(unit.w)} - {decimal(rate)} \cdot {_vector(unit.gradient)} \\ &= {_vector(new.w)}",
        rf"\lVert w' \rVert^2 &= {kept_squared}{decimal(before)} + {decimal(step)}"
        rf" = {decimal(after)}",
    )
