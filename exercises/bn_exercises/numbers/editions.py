"""From which mistakes the numbers of a variant are told apart: frozen lists, one for each edition.

A mistake that becomes known later is looked for in every answer, but it changes nobody's numbers. If variants are to be
told from it too, they need a new edition (`problem.EDITIONS`), and the lists of the old ones stay as they are.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TypeAlias

from bn_exercises.misconceptions import Misconception

# For each problem and part the mistakes, by name; as often as they were made in several ways.
Edition: TypeAlias = Mapping[str, Mapping[str, tuple[str, ...]]]

_ONE_FEATURE = (
    "ddof=1",
    "ε outside the root",
    "ε missing",
    "ε added twice",
    *2 * ("variance for standard deviation",),
    "not centred",
    "not divided",
    "sign",
)
_OUTPUT = ("γ and β swapped", "β scaled too", "β subtracted", "β left out", "γ left out", "γ and β left out")
_IN_ROOT = ("ddof=1", "ε missing", "ε outside the root")
_CONDITIONAL = (
    *("ddof=1", "ε outside the root", "variance for standard deviation", "not centred", "not divided", "sign"),
    *_OUTPUT,
    *2 * ("mean and variance of different values",),
    "the other class's γ and β",
)
_FIRST: Edition = {
    "basic-calculation": {
        "mean": ("not divided by m", "ddof=1", "over rows", "over everything"),
        "var": (
            *("ddof=1", "not divided by m", "standard deviation for variance", "deviations not squared"),
            *("not centred", "over rows", "over everything"),
        ),
        "x_hat": (*_ONE_FEATURE, "over rows", "over everything"),
        "y": _OUTPUT,
    },
    "backpropagation": {
        "dx": (
            *("only the direct path", "no path through the variance", "no path through the mean"),
            *("not shared among the samples", "dμ not shared among the samples", "dσ² not shared among the samples"),
            *("2 forgotten", "sign", *_IN_ROOT),
        ),
        "dmu": (
            *("sign", "mean for sum", "variance for standard deviation", "not divided", "not added up"),
            *_IN_ROOT,
        ),
        "dvar": (
            *("sign", "mean for sum", "½ forgotten", "power not lowered", "x̂ for x − μ", "not centred"),
            *("not added up", *_IN_ROOT),
        ),
    },
    "batch-size": {
        "one_batch": (*_ONE_FEATURE, *2 * ("two batches for one",)),
        "two_batches": (
            *_ONE_FEATURE,
            *("one mean and variance for both batches", "the first batch's statistics for both"),
        ),
    },
    "conditional": {"y0": _CONDITIONAL, "y1": _CONDITIONAL},
}
EDITIONS = (_FIRST,)


def of_edition(mistakes: Iterable[Misconception], names: Iterable[str]) -> tuple[Misconception, ...]:
    """Of a part's mistakes those with these names: of several with one name the first, as many as it stands there.

    Raises:
        LookupError: if one of them is no longer there, and so the numbers of variants would change.
    """
    left, kept = Counter(names), []
    for mistake in mistakes:
        if left[mistake.name] > 0:
            left[mistake.name] -= 1
            kept.append(mistake)
    if gone := sorted(left.elements()):
        raise LookupError(f"variants are told apart from mistakes that are not there: {', '.join(gone)}")
    return tuple(kept)
