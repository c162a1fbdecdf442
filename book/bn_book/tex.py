"""Exact numbers as LaTeX, for the examples that chapters work by hand."""

from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction


def decimal(value: Fraction, *, parentheses: bool = False) -> str:
    """A fraction as a decimal with all its digits.

    Args:
        value: the fraction.
        parentheses: put them around a negative number, for use inside a sum or a product.

    Raises:
        ValueError: if the decimal never ends.
    """
    digits = (Decimal(value.numerator) / Decimal(value.denominator)).normalize()
    if Fraction(digits) != value:
        raise ValueError(f"{value} is not a finite decimal")
    text = f"{digits + 0:f}"  # adding zero turns -0 into 0
    return f"({text})" if parentheses and value < 0 else text


def row(values: Sequence[Fraction]) -> str:
    """Numbers in parentheses with commas between them."""
    return "(" + r",\; ".join(decimal(value) for value in values) + ")"


def aligned(*lines: str) -> str:
    """Lines of LaTeX, aligned at their `&`."""
    return r"\begin{aligned} " + r" \\[4pt] ".join(lines) + r" \end{aligned}"
