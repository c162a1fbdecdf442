"""What a claim of the claims ledger is, and how it is measured again.

A claim names its source, what is run here, and the band that our number must fall in. The claims of a chapter stand
beside its experiments; `bn_book.ledger` collects them.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Claim:
    """One empirical claim.

    Attributes:
        name: short and unique, in words joined by hyphens.
        chapter: file name of the chapter that makes it, without its ending.
        says: the claim, in one sentence.
        source: citation key in `references.bib`.
        run: what is run here: data, sizes, seeds.
        measure: runs it and returns our number.
        band: the lowest and highest value that supports the claim; infinities allowed.
        unit: what the number is.

    Raises:
        ValueError: if the band holds nothing.

    Examples:
        >>> claim = Claim(
        ...     name="a-third",
        ...     chapter="forward",
        ...     says="A third is about 0.33.",
        ...     source="ioffe2015batch",
        ...     run="one division",
        ...     measure=lambda: 1 / 3,
        ...     band=(0.32, 0.34),
        ...     unit="",
        ... )
        >>> measure(claim).holds
        True
    """

    name: str
    chapter: str
    says: str
    source: str
    run: str
    measure: Callable[[], float]
    band: tuple[float, float]
    unit: str

    def __post_init__(self) -> None:
        low, high = self.band
        if not low < high:
            raise ValueError(f"claim {self.name!r} has the band {self.band}; expected low < high")


@dataclass(frozen=True)
class Measured:
    """A claim with the number that was measured for it.

    Examples:
        >>> of_nothing = Claim("one", "forward", "1 is 1.", "-", "nothing", lambda: 1, (0.5, 1.5), "")
        >>> Measured(of_nothing, float("nan")).holds  # a NaN supports no claim
        False
    """

    claim: Claim
    value: float

    @property
    def holds(self) -> bool:
        """Whether the number falls in the claim's band (a NaN never does)."""
        low, high = self.claim.band
        return not math.isnan(self.value) and low <= self.value <= high


def measure(claim: Claim) -> Measured:
    """Run a claim's experiment.

    Examples:
        >>> measure(Claim("one", "forward", "1 is 1.", "-", "nothing", lambda: 1, (0.5, 1.5), "")).value
        1.0
    """
    return Measured(claim, float(claim.measure()))
