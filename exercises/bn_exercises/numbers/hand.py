"""Somebody who works by hand and rounds on the way, to try the judge on.

It does not use the engine's own roundings, so that it can contradict them.
"""

from dataclasses import dataclass

import numpy as np

from bn_exercises.tolerance import Array, round_to


@dataclass(frozen=True)
class Hand:
    """Somebody who rounds every intermediate result: to so many digits, maybe a mean too, maybe 1 / root as well."""

    digits: int
    means: bool
    inverses: bool

    def __str__(self) -> str:
        """These habits, in words."""
        means, inverses = ", means too" * self.means, ", times 1 / root" * self.inverses
        return f"{self.digits} digits{means}{inverses}"

    def r(self, value: Array) -> Array:
        """An intermediate result, as it is written down."""
        return round_to(self.digits, value)

    def mean(self, x: Array) -> Array:
        """The mean, rounded or kept as a fraction."""
        return self.r(x.mean(axis=0)) if self.means else x.mean(axis=0)

    def root(self, x: Array, eps: float) -> Array:
        """The root that is divided by."""
        return self.r(np.sqrt(self.r(self.r(x.var(axis=0)) + eps)))

    def over(self, value: Array, root: Array) -> Array:
        """The quotient, or the product with the rounded reciprocal."""
        return value * self.r(1 / root) if self.inverses else value / root

    def x_hat(self, x: Array, eps: float, company: Array) -> Array:
        """x, normalized with the statistics of `company`."""
        return self.over(x - self.mean(company), self.root(company, eps))
