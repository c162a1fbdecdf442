"""Checks that people write for a Batch Normalization, for the page of Break it: what does each of them catch?

Each takes an implementation and says whether it passes. They are as loose and as narrow as one finds them: a large
random batch, mean 0 and standard deviation 1 to two digits, a fresh layer, a gradient check for one loss.
"""

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from bn_exercises.algorithm import batch_axes
from bn_exercises.formulas.formula import close
from bn_exercises.functions.break_it.suspects import GALLERY
from bn_exercises.functions.implementations import RIGHT
from bn_exercises.functions.slips import Function
from bn_exercises.tolerance import Array

Passes: TypeAlias = Callable[[Function], bool]

_TWO_DIGITS = 0.01
_STEP, _GRADIENT_ERROR = 1e-5, 1e-6
_EPS = 1e-5


@dataclass(frozen=True)
class Check:
    """A check of one function.

    Attributes:
        says: what it does, for a list.
        passes: whether an implementation passes.
    """

    says: str
    passes: Passes

    def catches(self, compute: Function) -> bool:
        """Whether an implementation does not pass, or raises."""
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                return not self.passes(compute)
            except Exception:
                return True


def caught(function: str) -> Iterator[tuple[str, tuple[bool, ...]]]:
    """For each mistake of the gallery its name, and which of the checks of the function catch it."""
    for mistake in GALLERY[function]:
        yield mistake.name, tuple(check.catches(mistake.compute) for check in CHECKS[function])


def _batch(shape: tuple[int, ...] = (200, 3)) -> Array:
    """Random numbers; the features differ in mean and spread."""
    channels = np.arange(shape[1]).reshape((1, -1) + (1,) * (len(shape) - 2))
    return 4 + channels + (2 + channels) * np.random.default_rng(0).standard_normal(shape)


def _is_near(a: Array, b: Array) -> bool:
    return bool(np.all(np.abs(a - b) <= _TWO_DIGITS))


# forward


def _has(x: Array, gamma: Array, beta: Array) -> Passes:
    """The mean of the output is beta, and its standard deviation is gamma, to two digits."""

    def passes(forward: Function) -> bool:
        y = forward(x.copy(), gamma.copy(), beta.copy(), _EPS)
        return _is_near(y.mean(axis=batch_axes(y)), beta) and _is_near(y.std(axis=batch_axes(y)), gamma)

    return passes


# backward: gradient checks against the right forward pass


def _gradient_check(x: Array, gamma: Array, slope: Callable[[Array], Array], loss: Callable[[Array], Any]) -> Passes:
    """All three gradients against central differences of a loss of y; `slope` is its derivative, dy."""
    beta = np.zeros_like(gamma)

    def differences(at: Array, of: Callable[[Array], Any]) -> Array:
        steps = _STEP * np.eye(at.size).reshape(at.size, *at.shape)
        return np.array([(of(at + step) - of(at - step)) / (2 * _STEP) for step in steps]).reshape(at.shape)

    def run(x: Array, gamma: Array, beta: Array) -> Any:
        return loss(RIGHT["forward"](x, gamma, beta, _EPS))

    numerical = (
        differences(x, lambda x: run(x, gamma, beta)),
        differences(gamma, lambda gamma: run(x, gamma, beta)),
        differences(beta, lambda beta: run(x, gamma, beta)),
    )

    def passes(backward: Function) -> bool:
        # Copies, because a wrong implementation may change what it is given.
        dy = slope(RIGHT["forward"](x, gamma, beta, _EPS)).copy()
        gradients = backward(dy, x.copy(), gamma.copy(), _EPS)
        largest = max(np.abs(each).max() for each in numerical)
        return all(
            bool(np.all(np.abs(a - b) <= _GRADIENT_ERROR * largest)) for a, b in zip(gradients, numerical, strict=True)
        )

    return passes


_FEW, _IMAGES = _batch((4, 5)), _batch((2, 3, 4, 5))
_RANDOM_DY = np.random.default_rng(1).standard_normal(_IMAGES.shape)


def _weighted(dy: Array) -> dict[str, Any]:
    return {"slope": lambda y: dy, "loss": lambda y: (dy * y).sum()}


# update_running


def _many_steps(update: Function) -> bool:
    """One batch a hundred times: the running statistics come to be those of the batch, whichever variance that is."""
    x, mean, var = _batch(), np.zeros(3), np.ones(3)
    for _ in range(100):
        mean, var = update(mean, var, x.copy(), 0.1)
    return _is_near(mean / x.mean(axis=0), 1.0) and _is_near(var / x.var(axis=0), 1.0)


def _one_step(mean: Array, var: Array, x: Array) -> Passes:
    """One update, compared with its formula under either convention."""

    def passes(update: Function) -> bool:
        new_mean, new_var = update(mean.copy(), var.copy(), x.copy(), 0.1)
        of_batch = (x.var(axis=batch_axes(x), ddof=ddof) for ddof in (0, 1))
        return close(new_mean, 0.9 * mean + 0.1 * x.mean(axis=batch_axes(x))) and any(
            close(new_var, 0.9 * var + 0.1 * each) for each in of_batch
        )

    return passes


# inference


def _fresh(inference: Function) -> bool:
    """Stored are 0 and 1, gamma is 1, beta is 0: what comes out is what went in."""
    x = _batch()
    zeros, ones = np.zeros(3), np.ones(3)
    return _is_near(inference(x.copy(), ones.copy(), zeros.copy(), zeros.copy(), ones.copy(), _EPS), x)


def _after_training(inference: Function) -> bool:
    """Stored are the statistics of the very data: what comes out has the mean beta and the standard deviation gamma."""
    x = _batch()
    mean, var = x.mean(axis=0), x.var(axis=0)
    return _has(x, _SCALE, _SHIFT)(lambda x, gamma, beta, eps: inference(x, gamma, beta, mean, var, eps))


def _against_formula(inference: Function) -> bool:
    """Other stored statistics, compared with the formula."""
    x, mean, var = _batch(), np.array([1.0, -2.0, 3.0]), np.array([4.0, 9.0, 0.5])
    y = inference(x.copy(), _SCALE.copy(), _SHIFT.copy(), mean.copy(), var.copy(), _EPS)
    return close(y, _SCALE * (x - mean) / np.sqrt(var + _EPS) + _SHIFT)


_ONES, _ZEROS = np.ones(3), np.zeros(3)
_SCALE, _SHIFT = np.array([1.0, 2.0, 3.0]), np.array([11.0, 12.0, 13.0])

CHECKS: dict[str, tuple[Check, ...]] = {
    "forward": (
        Check(
            "200 random samples, γ = 1 and β = 0: mean 0 and standard deviation 1, to 0.01",
            _has(_batch(), _ONES, _ZEROS),
        ),
        Check(
            "the same with γ = 1, 2, 3 and β = 11, 12, 13: mean β, standard deviation γ", _has(_batch(), _SCALE, _SHIFT)
        ),
        Check(
            "2 images of 3 channels with 4 × 5 positions, γ = 3, 4, 5 and β = 6, 7, 8",
            _has(_IMAGES, _SCALE + 2, _SHIFT - 5),
        ),
    ),
    "backward": (
        Check(
            "gradient check, the loss is the sum of y: dy all ones, γ = 1",
            _gradient_check(_FEW, np.ones(5), np.ones_like, np.sum),
        ),
        Check(
            "gradient check on a fresh layer, the loss is half the sum of squares: dy = y, γ = 1, β = 0",
            _gradient_check(_FEW, np.ones(5), lambda y: y, lambda y: (y * y).sum() / 2),
        ),
        Check(
            "gradient check, random dy and γ",
            _gradient_check(_FEW, 1 + np.arange(5.0), **_weighted(_RANDOM_DY.ravel()[:20].reshape(4, 5))),
        ),
        Check(
            "gradient check, random dy and γ, images",
            _gradient_check(_IMAGES, 1 + np.arange(3.0), **_weighted(_RANDOM_DY)),
        ),
    ),
    "update_running": (
        Check("one batch a hundred times: the running statistics come to be its own, to 0.01", _many_steps),
        Check("one step from 0 and 1, compared with the formula", _one_step(_ZEROS, _ONES, _batch())),
        Check("one step from elsewhere, images", _one_step(_SHIFT, _SCALE, _IMAGES)),
    ),
    "inference": (
        Check("a fresh layer, with 0 and 1 stored, γ = 1, β = 0: what comes out is what went in, to 0.01", _fresh),
        Check("stored are the statistics of the data: mean β and standard deviation γ, to 0.01", _after_training),
        Check("other stored statistics, compared with the formula", _against_formula),
    ),
}
