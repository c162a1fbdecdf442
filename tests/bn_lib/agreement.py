"""What "agrees to 1e-6 in float32, to 1e-12 in float64" means where two implementations are compared."""

import numpy as np
import pytest

TOLERANCE = {np.dtype("float32"): 1e-6, np.dtype("float64"): 1e-12}

both_precisions = pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["float32", "float64"])


def assert_agrees(ours, theirs, what="", *, dtype=None):
    """The largest difference is at most the tolerance times the largest element (or times 1 where all are smaller).

    Not element by element: an element that is near zero because large terms cancelled has the rounding of the terms.
    """
    ours, theirs = np.asarray(ours), np.asarray(theirs)
    assert ours.shape == theirs.shape, (what, ours.shape, theirs.shape)
    tolerance = TOLERANCE[np.dtype(dtype) if dtype else theirs.dtype]
    gap = np.max(np.abs(ours.astype(np.float64) - theirs)) / max(1.0, np.max(np.abs(theirs)))
    assert gap <= tolerance, f"{what} differs by {gap:.1e}; at most {tolerance:.0e}"
