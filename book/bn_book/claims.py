"""What a claim of the claims ledger is, and how it is measured again.

A claim names its source, what is run here, and the band that our number must fall in. The claims of a chapter stand
in its room, in `claims.py`; `bn_book.ledger` collects them.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

Kind: TypeAlias = Literal["made by", "put to the test", "an identity"]


@dataclass(frozen=True)
class Claim:
    """One claim.

    Attributes:
        name: short and unique, in words joined by hyphens.
        kind: "made by": the source claims it. "put to the test": the source claims something of which this is our test.
            "an identity": it follows from the definitions, and the run checks the arithmetic and the code.
        says: the claim, in one sentence.
        source: citation key in `references.bib`.
        run: what is run here: data, sizes.
        measure: runs it with a seed and returns our number.
        band: the lowest and highest value that supports the claim; infinities allowed.
        unit: what the number is.
        wrong: a plausible mistake, or the absence of the effect, in words.
        gives: the number that this gives; it must fall outside the band, or the band tests nothing.
        seeds: how many seeds, from 0, the ledger runs; 1 where nothing is random or a run takes long.
        reproduces: whether it does here. A claim that does not is in the ledger all the same.

    Raises:
        ValueError: if the band holds nothing, or `seeds` is below 1.

    Examples:
        >>> claim = Claim(
        ...     name="a-third",
        ...     kind="an identity",
        ...     says="A third is about 0.33.",
        ...     source="ioffe2015batch",
        ...     run="one division",
        ...     measure=lambda seed: 1 / 3,
        ...     band=(0.32, 0.34),
        ...     unit="",
        ...     wrong="a quarter",
        ...     gives=lambda: 1 / 4,
        ...     seeds=1,
        ... )
        >>> measure(claim).holds, claim.accepts(claim.gives())
        (True, False)
    """

    name: str
    kind: Kind
    says: str
    source: str
    run: str
    measure: Callable[[int], float]
    band: tuple[float, float]
    unit: str
    wrong: str
    gives: Callable[[], float]
    seeds: int = 3
    reproduces: bool = True

    def __post_init__(self) -> None:
        low, high = self.band
        if not low < high:
            raise ValueError(f"claim {self.name!r} has the band {self.band}; expected low < high")
        if self.seeds < 1:
            raise ValueError(f"claim {self.name!r} has {self.seeds} seeds; expected at least 1")

    def accepts(self, value: float) -> bool:
        """Whether a number falls in the band (a NaN never does)."""
        low, high = self.band
        return not math.isnan(value) and low <= value <= high


@dataclass(frozen=True)
class Measured:
    """A claim with what was measured for it.

    Attributes:
        claim: the claim.
        values: one number for each seed.
        rejected: what the claim's wrong result gives.
    """

    claim: Claim
    values: tuple[float, ...]
    rejected: float

    @property
    def value(self) -> float:
        """The mean over the seeds."""
        return sum(self.values) / len(self.values)

    @property
    def holds(self) -> bool:
        """Whether the mean falls in the claim's band (a NaN never does)."""
        return self.claim.accepts(self.value)

    @property
    def as_said(self) -> bool:
        """Whether it holds if the book says that it reproduces, and does not if the book says that it does not.

        A band that takes the wrong result, too, says nothing, so then it is not as said.
        """
        return self.holds == self.claim.reproduces and not self.claim.accepts(self.rejected)


def measure(claim: Claim, seeds: Sequence[int] | None = None) -> Measured:
    """Run a claim's experiment, and what gives its wrong result.

    Args:
        claim: the claim.
        seeds: to run it with; by default those of the ledger, 0 to `claim.seeds` - 1.
    """
    seeds = range(claim.seeds) if seeds is None else seeds
    return Measured(claim, tuple(float(claim.measure(seed)) for seed in seeds), float(claim.gives()))
