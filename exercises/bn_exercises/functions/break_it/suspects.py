"""The suspects as a learner gets them: functions that can be called, and tests that can be run on them.

By itself, because this is what of the problem has to be where the learner works. What exposes a suspect, and what
evidence is worth, does not.
"""

import inspect
import warnings
from typing import Any

import numpy as np

from bn_exercises.functions.break_it.evidence import SIGNATURES, holds
from bn_exercises.functions.implementations import MISTAKES, RIGHT
from bn_exercises.functions.slips import Function
from bn_exercises.misconceptions import Misconception

# Who can be accused: mistakes of `implementations`, by name. A suspect is known by its place, so a new name goes to the
# end. That changes nobody's suspects: an edition (`problem.EDITIONS`) says how many are drawn from.
SUSPECTS: dict[str, tuple[str, ...]] = {
    "forward": (
        "ddof=1",
        "E[x²] − E[x]²",
        "ε outside the root",
        "ε missing",
        "ε added twice",
        "ε not the one given",
        "ε as a floor",
        "variance for standard deviation",
        "not divided",
        "not centred",
        "over rows",
        "over everything",
        "wrong channel axis",
        "each position by itself",
        "each image by itself",
        "layer instead of batch statistics",
        "γ and β swapped",
        "β scaled too",
        "β subtracted",
        "β left out",
        "γ left out",
        "γ and β left out",
        "an argument changed in place",
        "float32 where float64 was given",
        "images reshaped, channels not moved",
    ),
    "backward": (
        "only the direct path",
        "no path through the mean",
        "no path through the variance",
        "not shared among the samples",
        "2 forgotten",
        "indirect paths with the wrong sign",
        "γ left out",
        "ddof=1",
        "E[x²] − E[x]²",
        "ε outside the root",
        "ε missing",
        "ε added twice",
        "ε not the one given",
        "ε as a floor",
        "variance for standard deviation",
        "over rows",
        "over everything",
        "wrong channel axis",
        "each position by itself",
        "each image by itself",
        "layer instead of batch statistics",
        "x for x̂ in dγ",
        "x − μ for x̂ in dγ",
        "x̂ left out of dγ",
        "dγ and dβ averaged",
        "γ in dγ and dβ",
        "dγ and dβ swapped",
        "training-mode gradient on frozen statistics",
        "given statistics ignored",
        "an argument changed in place",
        "float32 where float64 was given",
        "images reshaped, channels not moved",
    ),
    "update_running": (
        "momentum the other way round",
        "last batch instead of running average",
        "plain average",
        "old value kept whole",
        "standard deviation for variance",
        "E[x²] − E[x]²",
        "over everything",
        "wrong channel axis",
        "each position by itself",
        "each image by itself",
        "layer instead of batch statistics",
        "running mean not updated",
        "running variance not updated",
        "float32 where float64 was given",
        "images reshaped, channels not moved",
        "running statistics returned the wrong way round",
        "old value dropped",
    ),
    "inference": (
        "inference with batch statistics",
        "ε outside the root",
        "ε missing",
        "ε added twice",
        "ε not the one given",
        "ε as a floor",
        "variance for standard deviation",
        "not divided",
        "not centred",
        "γ and β swapped",
        "β scaled too",
        "β subtracted",
        "β left out",
        "γ left out",
        "γ and β left out",
        "inference that moves the statistics",
        "mean and variance swapped",
    ),
}
GALLERY: dict[str, tuple[Misconception, ...]] = {
    function: tuple(next(m for m in MISTAKES[function] if m.name == name) for name in names)
    for function, names in SUSPECTS.items()
}


class CannotCopeError(ValueError):
    """A suspect raised an exception."""


def as_function(letter: str, function: str, number: int) -> Function:
    """What a learner gets: it takes what the right function takes, lists as well as arrays, and tells nothing else.

    Args:
        letter: what it is called.
        function: which of the four it pretends to be.
        number: the place of its mistake among the suspects of that function.
    """
    right, wrong = RIGHT[function], GALLERY[function][number].compute
    parameters = [p.replace(annotation=p.empty) for p in inspect.signature(right).parameters.values()]
    signature = inspect.Signature(parameters)

    def pretends(*args: Any, **kwargs: Any) -> Any:
        bound = signature.bind(*args, **kwargs)
        bound.arguments |= {
            name: value if value is None else np.asarray(value, dtype=float) for name, value in bound.arguments.items()
        }
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                return wrong(*bound.args, **bound.kwargs)
            except Exception as error:
                complaint = f"suspect {letter} cannot cope with these inputs: {type(error).__name__}"
        # Outside of the handler, because a traceback would show what it does.
        raise CannotCopeError(complaint)

    pretends.__name__ = pretends.__qualname__ = f"suspect_{letter}"
    pretends.__doc__ = f"Pretends to be {function}; returns {', '.join(SIGNATURES[function].outputs)}."
    pretends.__signature__ = signature  # type: ignore[attr-defined]
    return pretends


def passes(evidence: Any, function: Function) -> bool:
    """Whether a function, a suspect or one's own, passes the test that evidence is. A suspect that raises does not.

    Raises:
        ValueError: if this is no evidence.
    """
    try:
        return holds(evidence, function)
    except CannotCopeError:
        return False
