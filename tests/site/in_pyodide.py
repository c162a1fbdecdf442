"""What `test_notebooks_run.py` runs under Pyodide, and here beside it: the two must say the same."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np


def numbers() -> dict[str, list[float]]:
    """Outputs, gradients and running statistics of `bn_lib`, for rows and images of both precisions."""
    import bn_lib

    rng = np.random.default_rng(0)
    found = {}
    for shape in ((32, 6), (8, 6, 5, 7)):
        for dtype in (np.float32, np.float64):
            x, dy = rng.normal(3, 2, (2, *shape)).astype(dtype)
            for layer in (bn_lib.BatchNorm(6), bn_lib.LayerNorm(6), bn_lib.GroupNorm(2, 6)):
                parts = [layer.forward(x), layer.backward(dy), *layer.state_dict().values()]
                name = f"{type(layer).__name__} {shape} {np.dtype(dtype)}"
                found[name] = np.concatenate([np.ravel(part)[:20] for part in parts]).astype(float).tolist()
    return found


def judged() -> dict[str, dict[str, object]]:
    """What becomes of every known mistake and of every right answer in the exercises, and in two variants of each."""
    from bn_exercises import accuracy

    return {name: asdict(tally) for name, tally in accuracy.run_all((None, 0, 1)).items()}
