"""How far y is from the exact answer where the mean is large beside the standard deviation.

Exact is the same formula for the same float32 values in NumPy's extended precision, two passes: mean, then deviations.
With gamma 1 and beta 0, y has standard deviation 1, so errors are in units of that.
"""

import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch

import bn_lib
from benchmarks._measure import Spread
from benchmarks.goals import Row

CASES = {"mean 1e4, std 1e-2": (1e4, 1e-2), "mean 1e6, std 1": (1e6, 1.0)}
LAYOUTS = {"(N, C)": (4096, 64), "NCHW": (32, 16, 32, 32)}
EPS = 1e-5

Array = np.ndarray[Any, Any]


def accuracy_table(backends: Sequence[str], seeds: int) -> Iterator[Row]:
    """Largest absolute error of y, one value a seed, for each case, layout and way to compute it."""
    for words, (mean, std) in CASES.items():
        for layout, shape in LAYOUTS.items():
            errors: dict[str, list[float]] = {}
            for seed in range(seeds):
                x = np.random.default_rng(seed).normal(mean, std, shape).astype(np.float32)
                correct = exact(x)
                for name, y in _answers(x, backends).items():
                    errors.setdefault(name, []).append(float(np.abs(y - correct).max()))
            for name, values in errors.items():
                median, low, high = (None, None, None) if np.isnan(values).any() else Spread.of(values)
                yield Row("accuracy", f"{layout}: {words}", name, "y", median, low, high, shape)


def exact(x: Array) -> Array:
    """Batch Normalization in extended precision."""
    axes = (0, *range(2, x.ndim))
    wide = x.astype(np.longdouble)
    deviation = wide - wide.mean(axis=axes, keepdims=True)
    result: Array = deviation / np.sqrt(np.square(deviation).mean(axis=axes, keepdims=True) + np.longdouble(EPS))
    return result


def textbook(x: Array) -> Array:
    """The same with the variance as E[x^2] - E[x]^2, all in x's own precision: fast, and NaN where that is negative."""
    axes = (0, *range(2, x.ndim))
    mean = x.mean(axis=axes, keepdims=True)
    variance = np.square(x).mean(axis=axes, keepdims=True) - np.square(mean)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        result: Array = (x - mean) / np.sqrt(variance + x.dtype.type(EPS))
    return result


def _answers(x: Array, backends: Sequence[str]) -> dict[str, Array]:
    gamma, beta = np.ones(x.shape[1], np.float32), np.zeros(x.shape[1], np.float32)
    tensor, weight, bias = (torch.from_numpy(array) for array in (x, gamma, beta))
    answers = {
        "torch": torch.nn.functional.batch_norm(tensor, None, None, weight, bias, True, eps=EPS).numpy(),
        "textbook": textbook(x),
    }
    for name in backends:
        with bn_lib.use_backend(name):
            answers[name] = bn_lib.batch_norm(x, gamma, beta, eps=EPS)[0]
    return answers
