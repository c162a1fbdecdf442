"""The suspects as a learner gets them: functions that can be called, and tests that can be run on them.

By itself, because this is what of the problem has to be where the learner works. What exposes a suspect, and what
evidence is worth, does not.
"""

import inspect
import warnings
from typing import Any

import numpy as np

from bn_exercises.implementations import MISTAKES, RIGHT, Function
from bn_exercises.problems.break_it.evidence import SIGNATURES, holds


class CannotCopeError(ValueError):
    """A suspect raised an exception."""


def as_function(letter: str, function: str, number: int) -> Function:
    """What a learner gets: it takes what the right function takes, lists as well as arrays, and tells nothing else.

    Args:
        letter: what it is called.
        function: which of the four it pretends to be.
        number: the place of its mistake among those of that function.
    """
    right, wrong = RIGHT[function], MISTAKES[function][number].compute
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
