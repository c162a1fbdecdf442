"""A gradient check that is meant: the differences are good to 1e-10 or so, so that a bound of 1e-7 says something.

**The differences.** Five-point central differences, error O(h**4). With a step of 2**-10 of the length on which the
function changes, truncation leaves a relative 1e-11 or so, and rounding u / 2**-10 = 1e-13 of the size of the outputs.
Two-point differences could not do it: their best is u**(2/3), 4e-11, and only at one step. The length on which a
normalizer changes is sqrt(var + eps) *of the values that share a mean*, so that is the unit of the step; one step for
all would be nonsense to a channel of scale 1e-100 beside one of 1e+100.

**The relative error** is taken over a gradient as a whole, element times step:

    error = ||(analytic - numeric) * step|| / max(||analytic * step||, ||numeric * step||)

As a whole, since an element that happens to be near zero has no relative accuracy to speak of. Times step, since
gradient * step is a change of the loss, whatever the units of x: a channel of scale 1e+100 has gradients of 1e-100, and
without it would not be seen beside its neighbours.

**What differences cannot see.** Where a true gradient vanishes (N = 2 and eps = 0; dy constant over a channel) the
numeric one is rounding and a ratio to it means nothing. The rounding of the numeric gradient, 8 u |dy| |y| / step, is
therefore subtracted from the numerator. It is 1e-12 of the direct path gamma * dy / sqrt(var + eps), so only cancelled
gradients profit; `test_gradients` also runs ordinary inputs with no such allowance, and checks that wrong gradients
are rejected.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

BOUND = 1e-7
FRACTION = 2.0**-10  # of the length on which the function changes
ROUNDING = 2.0**-53


def numeric_gradient(
    f: Callable[[np.ndarray], Any], at: np.ndarray, dy: Any, step: np.ndarray, terms: float = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    """Five-point central differences of sum(dy * f(at)), and how far their rounding can put each of them off.

    `terms`: the size of what f adds up, where it may cancel: gamma * x_hat + beta can be 0 and is rounded all the same.
    """
    gradient, rounding = np.zeros(at.shape), np.zeros(at.shape)
    for i in np.ndindex(at.shape):
        h = (at[i] + step[i]) - at[i]  # a step that is taken exactly

        def f_moved(steps: int, i: tuple[int, ...] = i, h: float = h) -> np.ndarray:
            moved = at.copy()
            moved[i] += steps * h
            return np.asarray(f(moved))

        near, far, ahead, behind = f_moved(1), f_moved(2), f_moved(-1), f_moved(-2)
        # Outputs are subtracted from each other before they are weighted: those that did not move leave exact zeros.
        gradient[i] = np.sum(dy * (8 * (near - ahead) - (far - behind)) / (12 * h))
        rounding[i] = 8 * ROUNDING * np.sum(np.abs(dy)) * max(np.max(np.abs(near)), terms) / abs(h)
    return gradient, rounding


def relative_error(analytic: np.ndarray, numeric: np.ndarray, rounding: Any, step: np.ndarray) -> float:
    """See the module's docstring. NaN if a gradient holds one."""
    gap = np.linalg.norm((analytic - numeric) * step) - np.linalg.norm(rounding * step)
    size = max(np.linalg.norm(analytic * step), np.linalg.norm(numeric * step))
    return 0.0 if gap <= 0 else float(gap / size)


def gradient_error(
    f: Callable[[np.ndarray], Any],
    at: np.ndarray,
    dy: Any,
    analytic: Any,
    *,
    unit: Any = 1.0,
    terms: float = 0.0,
    allow_rounding: bool = True,
) -> float:
    """Relative error of `analytic` as the gradient of sum(dy * f(at)); `unit`: the length on which f changes."""
    assert np.shape(analytic) == at.shape
    step = np.broadcast_to(np.asarray(unit) * FRACTION, at.shape)
    numeric, rounding = numeric_gradient(f, at, dy, step, terms)
    return relative_error(np.asarray(analytic), numeric, rounding if allow_rounding else 0.0, step)
