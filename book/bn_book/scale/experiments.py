"""Why scale matters: gradient descent on quadratics, and on linear regression before and after scaling.

The loss is half the mean squared error of a linear model, L(w) = mean((x @ w - y)**2) / 2. Its Hessian is
H = x.T @ x / N, whatever y is, so everything that gradient descent does is decided by the features alone. Drawing is in
`bn_book.scale.figures`.
"""

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from bn_book.data import load_digits
from bn_book.runs import cache
from bn_lib._arrays import Array
from bn_lib.moments import Moments
from bn_lib.network import Sequential, Sigmoid

CONDITIONS = (1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0)


# The network that opens the chapter


def signals(model: Sequential, images: Array) -> list[Array]:
    """What each layer of sigmoids tells the next about the images: every unit's outputs minus their mean over them.

    Args:
        model: a network with sigmoids, in the mode it is in.
        images: `(N, features)`.

    Returns:
        `(N, units)` for each layer of sigmoids, first to last.
    """
    found, h = [], images
    for layer in model.stack:
        h = layer.forward(h)
        if isinstance(layer, Sigmoid):
            found.append(h - h.mean(axis=0))
    return found


# Quadratics


def hessian(x: Array) -> Array:
    """The Hessian of half the mean squared error of a linear model: x.T @ x / N.

    Args:
        x: `(N, d)`, one row per example; a column of ones stands for a bias.

    Returns:
        `(d, d)`, symmetric, in units of feature times feature.

    Source: LeCun et al. (1998), eq. 29.
    """
    return x.T @ x / x.shape[0]


def eigenvalues(h: Array) -> Array:
    """The eigenvalues of a symmetric matrix, smallest first."""
    return np.linalg.eigvalsh(h)


def condition_number(h: Array) -> float:
    """kappa = lambda_max / lambda_min of a symmetric matrix with positive eigenvalues."""
    values = eigenvalues(h)
    return float(values[-1] / values[0])


def best_rate(h: Array) -> float:
    """The learning rate with the fastest convergence from the worst start, 2 / (lambda_min + lambda_max).

    It shrinks the flattest and the steepest direction by the same factor a step, (kappa - 1) / (kappa + 1).
    """
    values = eigenvalues(h)
    return float(2 / (values[0] + values[-1]))


def descend(h: Array, minimum: Array, start: Array, rate: float, steps: int) -> Array:
    """The weights that gradient descent visits on L(w) = (w - minimum).T @ h @ (w - minimum) / 2.

        w <- w - rate * h @ (w - minimum)

    Args:
        h: `(d, d)`, the Hessian.
        minimum: `(d,)`, where the gradient is 0.
        start: `(d,)`, the first weights.
        rate: the learning rate.
        steps: how many steps to take.

    Returns:
        `(steps + 1, d)`, the start first.
    """
    visited = [np.asarray(start, dtype=np.float64)]
    for _ in range(steps):
        visited.append(visited[-1] - rate * (h @ (visited[-1] - minimum)))
    return np.array(visited)


def loss_on(h: Array, minimum: Array, w: Array) -> Array:
    """L(w) - L(minimum) for one `w` of shape `(d,)` or several of shape `(n, d)`."""
    off = w - minimum
    return 0.5 * np.sum(off * (off @ h), axis=-1)


def random_hessian(condition: float, *, dimension: int = 10, seed: int = 0) -> Array:
    """A symmetric matrix with eigenvalues from 1 to `condition`, spread evenly in their logarithm, in random axes.

    Args:
        condition: lambda_max / lambda_min, at least 1.
        dimension: of the matrix.
        seed: of the axes.
    """
    rng = np.random.default_rng(seed)
    axes, _ = np.linalg.qr(rng.normal(size=(dimension, dimension)))
    return (axes * np.geomspace(1.0, condition, dimension)) @ axes.T


# The largest stable learning rate, and the steps that are needed: measured without looking at the eigenvalues


def diverges(h: Array, rate: float, *, steps: int = 1000, seed: int = 0) -> bool:
    """Whether gradient descent from a random start is further from the minimum after `steps` steps than before."""
    w = np.random.default_rng(seed).normal(size=h.shape[0])
    began = np.linalg.norm(w)
    for _ in range(steps):
        w = w - rate * (h @ w)
        if np.linalg.norm(w) > 1e6 * began:
            return True
    return bool(np.linalg.norm(w) > began)


def largest_stable_rate(h: Array, *, steps: int = 1000, seed: int = 0) -> float:
    """The learning rate at which gradient descent begins to diverge, found by bisection on runs.

    Runs are finite, so a rate that is a little too large has not grown out of its start yet: the answer is too large by
    about log(10) / steps, a few tenths of a percent for 1000 steps.

    Args:
        h: `(d, d)`, the Hessian.
        steps: of each run.
        seed: of the start of each run.
    """
    low = 1 / float(np.trace(h))  # the trace is the sum of the eigenvalues, so this rate is stable
    high = 2 * low
    while not diverges(h, high, steps=steps, seed=seed):
        low, high = high, 2 * high
    while high / low > 1.0001:
        middle = math.sqrt(low * high)
        if diverges(h, middle, steps=steps, seed=seed):
            high = middle
        else:
            low = middle
    return math.sqrt(low * high)


def steps_until(h: Array, rate: float, *, shrink: float = 1e-3, seed: int = 0, limit: int = 100_000) -> int:
    """How many steps bring the distance to the minimum to `shrink` of that of a random start.

    Raises:
        RuntimeError: if `limit` steps are not enough.
    """
    w = np.random.default_rng(seed).normal(size=h.shape[0])
    target = shrink * np.linalg.norm(w)
    for step in range(limit):
        if np.linalg.norm(w) <= target:
            return step
        w = w - rate * (h @ w)
    raise RuntimeError(f"{limit} steps at the learning rate {rate:g} were not enough; expected convergence")


def predicted_steps(condition: Array, *, shrink: float = 1e-3) -> Array:
    """Steps to `shrink` of the distance at the best rate, from the worst start: log(shrink) / log((k - 1) / (k + 1)).

    At least one; near `condition / 2 * log(1 / shrink)` when the condition number k is large.
    """
    factor = (np.asarray(condition) - 1) / (np.asarray(condition) + 1)
    with np.errstate(divide="ignore"):  # condition 1 has the factor 0: its logarithm is -inf, and one step is enough
        return np.maximum(1.0, math.log(shrink) / np.log(factor))


class Sweep(NamedTuple):
    """What was measured for quadratics of growing condition number, all with lambda_min = 1.

    Attributes:
        condition: kappa, which is also lambda_max.
        measured_rate: the learning rate at which descent began to diverge; 2 / lambda_max on paper.
        measured_steps: steps to a thousandth of the distance at the best rate, from a random start; on paper at most
            `predicted_steps`.
    """

    condition: Array
    measured_rate: Array
    measured_steps: Array


def sweep_condition(conditions: Sequence[float] = CONDITIONS, *, seed: int = 0) -> Sweep:
    """Measure the largest stable rate and the steps needed for quadratics in 10 dimensions.

    Args:
        conditions: the condition numbers, each at least 1.
        seed: of the axes and the starts.
    """
    quadratics = [random_hessian(c, seed=seed) for c in conditions]
    return Sweep(
        condition=np.array(conditions),
        measured_rate=np.array([largest_stable_rate(h, seed=seed) for h in quadratics]),
        measured_steps=np.array([steps_until(h, best_rate(h), seed=seed) for h in quadratics]),
    )


def rate_error(sweep: Sweep) -> float:
    """The largest relative difference between the measured limit and 2 / lambda_max."""
    return float(np.max(np.abs(sweep.measured_rate * sweep.condition / 2 - 1)))


def steps_slope(sweep: Sweep, *, lowest: float = 10) -> float:
    """The slope of log(steps) against log(kappa) for kappa >= `lowest`: 1 where steps are proportional to kappa."""
    large = sweep.condition >= lowest
    return float(np.polyfit(np.log(sweep.condition[large]), np.log(sweep.measured_steps[large]), 1)[0])


# Two features by hand


class Regression(NamedTuple):
    """A linear regression without noise: y = x @ weights.

    Attributes:
        x: features, `(N, d)`.
        y: targets, `(N,)`.
        weights: where the loss is 0, `(d,)`.
    """

    x: Array
    y: Array
    weights: Array


def hand_problem() -> Regression:
    """Four rows of two centered features, chosen so that eigenvalues (1 and 52) and deviations (2 and 7) are whole."""
    x = np.array([[-2.0, -1.0], [-2.0, -11.0], [2.0, 7.0], [2.0, 5.0]])
    weights = np.array([5.0, 3.0])
    return Regression(x, x @ weights, weights)


class Worked(NamedTuple):
    """The problem by hand, in fractions, so that no digit is rounded.

    Attributes:
        products: the three different sums in x.T @ x: feature 1 with itself, 1 with 2, 2 with itself.
        h: the same divided by N: H11, H12, H22.
        largest, smallest: the eigenvalues of H.
        rate: the learning rate.
        weights: the weights before the first step and after each.
        gradients: the gradient at the start of each step.
    """

    products: tuple[Fraction, Fraction, Fraction]
    h: tuple[Fraction, Fraction, Fraction]
    largest: Fraction
    smallest: Fraction
    rate: Fraction
    weights: tuple[tuple[Fraction, Fraction], ...]
    gradients: tuple[tuple[Fraction, Fraction], ...]


def worked_descent(rate: Fraction = Fraction(3, 100), steps: int = 2) -> Worked:
    """Gradient descent from (0, 0) on the problem by hand, exactly.

    Args:
        rate: the learning rate.
        steps: how many steps to take.
    """
    x, _, best = hand_problem()
    rows = [(Fraction(int(a)), Fraction(int(b))) for a, b in x]
    w1, w2 = (Fraction(int(w)) for w in best)
    products = (sum(a * a for a, _ in rows), sum(a * b for a, b in rows), sum(b * b for _, b in rows))
    h11, h12, h22 = (Fraction(p) / len(rows) for p in products)
    discriminant = (h11 - h22) ** 2 + 4 * h12**2
    root = math.isqrt(int(discriminant))
    if root**2 != discriminant:
        raise ValueError(f"the discriminant is {discriminant}; expected a square, so that the eigenvalues are rational")
    weights, gradients = [(Fraction(0), Fraction(0))], []
    for _ in range(steps):
        off1, off2 = weights[-1][0] - w1, weights[-1][1] - w2
        gradients.append((h11 * off1 + h12 * off2, h12 * off1 + h22 * off2))
        weights.append((weights[-1][0] - rate * gradients[-1][0], weights[-1][1] - rate * gradients[-1][1]))
    return Worked(
        products=(Fraction(products[0]), Fraction(products[1]), Fraction(products[2])),
        h=(h11, h12, h22),
        largest=(h11 + h22 + root) / 2,
        smallest=(h11 + h22 - root) / 2,
        rate=rate,
        weights=tuple(weights),
        gradients=tuple(gradients),
    )


def whiten(x: Array) -> Array:
    """Center, rotate to the principal axes and scale each to variance 1: the covariance becomes the identity.

    Source: LeCun et al. (1998), figure 3.

    Args:
        x: `(N, d)` with N > d and no feature a linear combination of the others.
    """
    centered = x - Moments.of(x, axis=0).mean
    values, axes = np.linalg.eigh(hessian(centered))
    return centered @ (axes / np.sqrt(values))


# Digits


class DigitsStage(NamedTuple):
    """Linear regression from pixels to the ten classes, after some preparation of the pixels.

    Attributes:
        name: what was done to the pixels.
        largest: lambda_max of the Hessian, a bias among the features.
        smallest: lambda_min.
        measured_rate: the learning rate at which descent began to diverge.
        excess: training loss above the lowest possible after 0, 1, 2, ... steps at 1 / lambda_max; half the mean
            squared error, summed over classes.
        test_accuracy: fraction of the held-back digits that the weights after the last step get right.
        flattest_share: how much of the excess loss at the start lies along the ten flattest directions, a fraction.
    """

    name: str
    largest: float
    smallest: float
    measured_rate: float
    excess: Array
    test_accuracy: float
    flattest_share: float

    @property
    def condition(self) -> float:
        """kappa = lambda_max / lambda_min."""
        return self.largest / self.smallest

    def steps_to(self, fraction: float) -> int:
        """The first step at which the excess loss is at most `fraction` of that at the start.

        Raises:
            RuntimeError: if the run was too short.
        """
        reached = self.excess <= fraction * self.excess[0]
        if not reached.any():
            raise RuntimeError(f"{len(self.excess) - 1} steps did not reach {fraction:g} of the loss; expected more")
        return int(np.argmax(reached))


def varying_pixels() -> tuple[Array, Array]:
    """The training and test digits, float64, without the pixels that never vary in training."""
    (train, _), (test, _) = load_digits()
    varies = Moments.of(train, axis=0).var() > 0
    return train[:, varies].astype(np.float64), test[:, varies].astype(np.float64)


def prepared_digits() -> dict[str, tuple[Array, Array]]:
    """The training and test digits with pixels as they are, centered, standardized and whitened, by that name.

    Statistics come from the training images and are applied to the test images.
    """
    train, test = varying_pixels()
    moments = Moments.of(train, axis=0)
    deviation = np.sqrt(moments.var())
    values, axes = np.linalg.eigh(hessian(train - moments.mean))
    identity = np.eye(train.shape[1])
    preparations = {
        "pixels from 0 to 1": (0.0 * moments.mean, identity),
        "centered": (moments.mean, identity),
        "standardized": (moments.mean, identity / deviation),
        "whitened": (moments.mean, axes / np.sqrt(values)),
    }
    return {name: ((train - shift) @ scale, (test - shift) @ scale) for name, (shift, scale) in preparations.items()}


def digits_bowl(train: Array) -> tuple[Array, Array]:
    """The Hessian of linear regression from pixels, and a bias, to the ten classes; and the weights at its minimum."""
    x = np.column_stack([train, np.ones(len(train))])
    return hessian(x), np.linalg.lstsq(x, np.eye(10)[load_digits().train[1]])[0]


def excess_losses(h: Array, minimum: Array, rate: float, steps: int) -> tuple[Array, Array]:
    """Gradient descent from 0 on all classes at once.

    Returns:
        The loss above the lowest possible after 0, 1, ..., `steps` steps; and the last weights minus the minimum.
    """
    off = -minimum  # the distance from the minimum, which is all that the gradient depends on; weights start at 0
    excess = []
    for step in range(steps + 1):
        pull = h @ off
        excess.append(0.5 * float(np.sum(off * pull)))
        if step < steps:
            off = off - rate * pull
    return np.array(excess), off


@cache
def digits_stages(*, steps: int = 3000, seed: int = 0) -> tuple[DigitsStage, ...]:
    """Linear regression on the digits, prepared in four ways.

    Args:
        steps: of full-batch gradient descent, each stage at its own 1 / lambda_max.
        seed: of the starts in the bisection for the largest stable rate.
    """
    return tuple(_digits_stage(name, train, test, steps, seed) for name, (train, test) in prepared_digits().items())


def _digits_stage(name: str, train: Array, test: Array, steps: int, seed: int) -> DigitsStage:
    test_labels = load_digits().test[1]
    h, minimum = digits_bowl(train)
    values, directions = np.linalg.eigh(h)
    losses = 0.5 * values * np.sum((directions.T @ minimum) ** 2, axis=1)
    excess, off = excess_losses(h, minimum, 1 / float(values[-1]), steps)
    scores = np.column_stack([test, np.ones(len(test))]) @ (minimum + off)
    return DigitsStage(
        name=name,
        largest=float(values[-1]),
        smallest=float(values[0]),
        measured_rate=largest_stable_rate(h, seed=seed),
        excess=excess,
        test_accuracy=float(np.mean(scores.argmax(axis=1) == test_labels)),
        flattest_share=float(losses[:10].sum() / losses.sum()),
    )
