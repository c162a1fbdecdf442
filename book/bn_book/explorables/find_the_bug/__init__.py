"""Find the bug: a right Batch Normalization and a wrong one, on an input that the reader shapes."""

from __future__ import annotations

import math

import numpy as np
import traitlets

from bn_book.explorables._explorable import Explorable
from bn_exercises import misconceptions
from bn_exercises.functions import slips

# The mistake of each suspect, A to H, by its name in bn.js.
_SUSPECTS = {
    "betaScaled": misconceptions.BETA_SCALED,
    "noEps": misconceptions.NO_EPS,
    "overEverything": misconceptions.OVER_EVERYTHING,
    "ddof1": misconceptions.DDOF1,
    "varianceForDeviation": misconceptions.VARIANCE_FOR_DEVIATION,
    "onePass": slips.CANCELLATION,
    "gammaLeftOut": misconceptions.GAMMA_LEFT_OUT,
    "epsOutside": misconceptions.EPS_OUTSIDE,
}
#: What a reader is told of each: the exercises' own words.
MISTAKES = tuple({"id": key, "name": mistake.name, "says": mistake.says} for key, mistake in _SUSPECTS.items())
LETTERS = tuple("ABCDEFGH")
#: What may be claimed of an output, as in the exercise; a test holds what the page makes of each to what that does.
CLAIMS: tuple[str, ...] = (
    "close(mean(y, 0), beta)",
    "close(std(y, 0), abs(gamma))",
    "close(y, y)",
    "close(y, gamma * (x - mean(x, 0)) / sqrt(var(x, 0) + eps) + beta)",
)

# As convenient as numbers can be: in both features mean 0 and, within a thousandth, variance 1. Four values of variance
# 1 are farthest apart when the gaps between them are equal, as these are. The page has the same numbers, to return to.
_CONVENIENT = [[-1.34, 0.45], [0.45, 1.34], [1.34, -0.45], [-0.45, -1.34]]


class FindTheBug(Explorable):
    """Eight wrong implementations that look right until the input tells them apart.

    The right one is y = gamma (x - mean) / sqrt(var + eps) + beta, with the mean and the biased variance of each
    feature (Ioffe and Szegedy 2015, Algorithm 1). Each suspect makes one mistake of the exercises. Two outputs are told
    apart when they differ by 5 % of the largest, and by 100 times what rounding would do.

    Args:
        suspect: which of them, "A" to "H".
        x: four rows of two features, as lists; values between -4 and 4.
        far: what is added to all of x, between 0 and 1e8.
        copies: how often the four rows are repeated, 1 to 100: the mini-batch has 4 * copies samples.
        gamma: the scale, between -3 and 3.
        beta: the shift, between -3 and 3.
        eps: what is added to the variance, between 1e-5 and 10.
        answer: the name of the mistake that the reader suspects, or "".
        found: the suspects whose mistake the reader has named.
        shown: the suspects whose mistake the reader has asked for.
        alone: whether there is this suspect only, and the reader chooses a claim that exposes it, as in exercise 7.
        claim: the claim that was chosen, one of `CLAIMS`, or "".

    Raises:
        traitlets.TraitError: if a value is of another type, shape or range.
    """

    module = "find_the_bug"

    title = traitlets.Unicode("Find the bug").tag(sync=True, fixed=True)
    message = traitlets.Unicode(
        "Convenient numbers hide mistakes. On the first input all eight suspects look right, and a change or two "
        "exposes each of them. Find it, then read from the picture what the suspect does wrong."
    ).tag(sync=True, fixed=True)
    mistakes = traitlets.List(default_value=list(MISTAKES), read_only=True).tag(sync=True, fixed=True)
    suspect = traitlets.Enum(LETTERS, "A").tag(sync=True)
    x = traitlets.List(default_value=_CONVENIENT).tag(sync=True)
    far = traitlets.Float(0.0, min=0, max=1e8).tag(sync=True)
    copies = traitlets.Int(100, min=1, max=100).tag(sync=True)
    gamma = traitlets.Float(1.0, min=-3, max=3).tag(sync=True)
    beta = traitlets.Float(0.0, min=-3, max=3).tag(sync=True)
    eps = traitlets.Float(1e-5, min=1e-5, max=10).tag(sync=True)
    answer = traitlets.Enum(("", *(mistake["name"] for mistake in MISTAKES)), "").tag(sync=True)
    found = traitlets.List(traitlets.Enum(LETTERS)).tag(sync=True)
    shown = traitlets.List(traitlets.Enum(LETTERS)).tag(sync=True)
    alone = traitlets.Bool(False).tag(sync=True, fixed=True)
    claims = traitlets.List(default_value=list(CLAIMS), read_only=True).tag(sync=True, fixed=True)
    claim = traitlets.Enum(("", *CLAIMS), "").tag(sync=True)

    @traitlets.validate("x")
    def _four_rows(self, proposal: traitlets.Bunch) -> list[list[float]]:
        try:
            values = np.asarray(proposal["value"], dtype=float)
        except (TypeError, ValueError) as error:
            raise traitlets.TraitError(f"x must be 4 rows of 2 numbers: {error}") from None
        if values.shape != (4, 2):
            raise traitlets.TraitError(f"x must have the shape (4, 2), got {values.shape}")
        for value in values.ravel().tolist():
            if not (math.isfinite(value) and -4 <= value <= 4):
                raise traitlets.TraitError(f"x must be values between -4 and 4, got {value!r}")
        rows: list[list[float]] = values.tolist()
        return rows
