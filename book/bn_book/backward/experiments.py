"""Experiments of the chapter on the backward pass: paths left out, gradient checks and their blind spots, the step h.

The backward pass itself is in `bn_lib.standardize`. Everything here is for x of shape `(m, C)`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal, NamedTuple, TypeAlias

import numpy as np

from bn_book.data import load_digits
from bn_book.forward.experiments import BATCH, ByHand
from bn_book.runs import cache
from bn_lib._arrays import Array
from bn_lib.batchnorm import BatchNorm
from bn_lib.layer import Layer
from bn_lib.network import Dense, ReLU, Sequential, softmax_cross_entropy
from bn_lib.normalizers import NormCache, batch_norm, batch_norm_backward
from bn_lib.training import SGD, fit

CHAPTER = "backward"

# Three paths

Path: TypeAlias = Literal["direct", "mean", "variance"]
PATHS: tuple[Path, ...] = ("direct", "mean", "variance")


def path_terms(dy: Array, cache: NormCache) -> dict[Path, Array]:
    """What arrives at x along each path from y; the three add up to dx.

        direct:     gamma / sqrt(var + eps) * dy
        mean:      -gamma / sqrt(var + eps) * mean(dy)
        variance:  -gamma / sqrt(var + eps) * x_hat * mean(dy * x_hat)

    Args:
        dy: gradient with respect to y, `(m, C)`.
        cache: from `batch_norm`.
    """
    scale, x_hat = cache.gamma * cache.inv_std, cache.x_hat
    return {
        "direct": scale * dy,
        "mean": -scale * dy.mean(axis=0) * np.ones_like(dy),
        "variance": -scale * x_hat * (dy * x_hat).mean(axis=0),
    }


def backward_along(paths: Sequence[Path], dy: Array, cache: NormCache) -> Array:
    """The gradient with respect to x if only some of the paths existed.

    Raises:
        ValueError: if a path is unknown or there is none.
    """
    if not paths or not set(paths) <= set(PATHS):
        raise ValueError(f"paths is {paths!r}; expected one or more of {PATHS}")
    terms = path_terms(dy, cache)
    return sum(terms[path] for path in PATHS if path in paths)


# By hand


@dataclass(frozen=True)
class ByHandBackward:
    """The backward pass of one feature in exact fractions: nothing is rounded.

    Attributes:
        forward: the batch and its forward pass.
        dy: gradient with respect to y, m values.
    """

    forward: ByHand
    dy: tuple[Fraction, ...]

    @property
    def dbeta(self) -> Fraction:
        """sum(dy)."""
        return sum(self.dy, Fraction())

    @property
    def dgamma(self) -> Fraction:
        """sum(dy * x_hat)."""
        return sum((g * h for g, h in zip(self.dy, self.forward.x_hat, strict=True)), Fraction())

    @property
    def dx_hat(self) -> tuple[Fraction, ...]:
        """gamma * dy."""
        return tuple(self.forward.gamma * g for g in self.dy)

    @property
    def dvar(self) -> Fraction:
        """sum(dx_hat * (x - mu)) * (-1/2) * (sigma2 + eps)**(-3/2)."""
        along = sum((g * d for g, d in zip(self.dx_hat, self.forward.deviations, strict=True)), Fraction())
        return -along / (2 * self.forward.root**3)

    @property
    def dmean(self) -> Fraction:
        """-sum(dx_hat) / sqrt(sigma2 + eps); the way on through the variance adds nothing."""
        return -sum(self.dx_hat, Fraction()) / self.forward.root

    @property
    def terms(self) -> dict[Path, tuple[Fraction, ...]]:
        """What arrives at x along each path, by the chain rule."""
        m = len(self.dy)
        return {
            "direct": tuple(g / self.forward.root for g in self.dx_hat),
            "mean": (self.dmean / m,) * m,
            "variance": tuple(self.dvar * 2 * d / m for d in self.forward.deviations),
        }

    @property
    def dx(self) -> tuple[Fraction, ...]:
        """The sum over the three paths."""
        return tuple(sum(parts, Fraction()) for parts in zip(*self.terms.values(), strict=True))


#: The batch of the chapter on the forward pass, with a gradient to bring back.
BATCH_BACKWARD = ByHandBackward(BATCH, tuple(Fraction(g) for g in ("0.5", "-0.3", "0.2", "0", "0.1")))


# A path forgotten, in training


class RunawayBias(NamedTuple):
    """A bias before BN that is trained with a gradient that ignores the mean.

    Attributes:
        bias: Euclidean norm of the bias after each step.
        loss: loss before each step, in nats.
    """

    bias: Array
    loss: Array


@cache
def runaway_bias(*, steps: int = 200, learning_rate: float = 0.1, seed: int = 0) -> RunawayBias:
    """Train only the bias of Dense, BN, ReLU, Dense on one mini-batch of 60 digits, leaving the mean's path out.

    The example of Ioffe and Szegedy (2015), section 2, where the bias grows indefinitely and the loss stays fixed. That
    it grows at a constant rate is ours: the update cannot change the output, so the gradient stays the same.

    Args:
        steps: of plain gradient descent.
        learning_rate: its step size.
        seed: of the weights.
    """
    rng = np.random.default_rng(seed)
    dense, norm = Dense(64, 64, rng=rng), ForgetfulBatchNorm(64, ("direct", "variance"), dtype=np.float64)
    model = Sequential(dense, norm, ReLU(), Dense(64, 10, rng=rng))
    images, labels = (part[:60] for part in load_digits().train)
    bias, losses = [], []
    for _ in range(steps):
        loss, dlogits = softmax_cross_entropy(model.forward(images.astype(np.float64)), labels)
        model.backward(dlogits)
        dense.bias = dense.bias - learning_rate * dense.grads["bias"]
        bias.append(float(np.linalg.norm(dense.bias)))
        losses.append(loss)
    return RunawayBias(np.array(bias), np.array(losses))


class ForgetfulBatchNorm(BatchNorm):
    """BN whose backward pass follows only some of the paths. A mistake, kept for study.

    Args:
        num_features: C.
        paths: those that are followed.
        dtype: of gamma and beta.
    """

    def __init__(self, num_features: int, paths: Sequence[Path], *, dtype: type = np.float32) -> None:
        super().__init__(num_features, dtype=dtype)
        self.paths = paths

    def backward(self, dy: Array) -> Array:
        """As `BatchNorm.backward`, along `paths` only; the gradients of gamma and beta are right."""
        cache = self._last().cache
        dx = super().backward(dy)
        return backward_along(self.paths, dy, cache).astype(dx.dtype)


class PathRun(NamedTuple):
    """One training run.

    Attributes:
        loss: training loss of each step, in nats.
        bias: Euclidean norm of the first layer's bias after each step; it starts at 0.
        weight_growth: norm of the first layer's weights at the end, as a multiple of that at the start.
    """

    loss: Array
    bias: Array
    weight_growth: float


@cache
def train_along(
    paths: tuple[Path, ...], *, seed: int = 0, epochs: int = 13, learning_rate: float = 0.1, batch_size: int = 60
) -> PathRun:
    """Train a ReLU network with two BN layers on digits, its backward pass along some of the paths; float32.

    Args:
        paths: those that BN's backward pass follows.
        seed: of the weights and the shuffles; the same for every choice of paths.
        epochs: passes over the 1437 training images.
        learning_rate: of plain SGD.
        batch_size: images per mini-batch.
    """
    rng = np.random.default_rng(seed)
    layers: list[Layer] = []
    for _ in range(2):
        layers += [Dense(64, 64, rng=rng, dtype=np.float32), ForgetfulBatchNorm(64, paths), ReLU()]
    first = layers[0]
    assert isinstance(first, Dense)
    model = Sequential(*layers, Dense(64, 10, rng=rng, dtype=np.float32))
    start = np.linalg.norm(first.weight)
    bias: list[float] = []

    def note_bias(_: int) -> None:
        assert first.bias is not None
        bias.append(float(np.linalg.norm(first.bias)))

    history = fit(
        model,
        SGD(model, learning_rate),
        *load_digits().train,
        epochs=epochs,
        batch_size=batch_size,
        rng=np.random.default_rng(1000 + seed),
        progress=False,
        after_step=note_bias,
    )
    return PathRun(np.array(history.loss), np.array(bias), float(np.linalg.norm(first.weight) / start))


# Gradient checks


def numerical_gradient(loss: Callable[[Array], float], x: Array, *, h: float = 1e-5, central: bool = True) -> Array:
    """Gradient of `loss` at `x` by finite differences, one entry at a time.

        central:     (loss(x + h) - loss(x - h)) / (2 h)      error of order h**2, plus rounding of order 1e-16 / h
        one-sided:   (loss(x + h) - loss(x)) / h              error of order h,    plus the same

    Args:
        loss: maps an array of the shape of x to a number.
        x: float64.
        h: the step, in the units of x.
        central: which of the two.
    """
    gradient = np.empty_like(x)
    for index in np.ndindex(*x.shape):
        up, down = x.copy(), x.copy()
        up[index] += h
        if central:
            down[index] -= h
        gradient[index] = (loss(up) - loss(down)) / (2 * h if central else h)
    return gradient


@dataclass(frozen=True)
class Candidate:
    """An implementation of BN's forward and backward pass for `(m, C)`, right or wrong.

    Attributes:
        name: what it does.
        paths: those that backward follows.
        ddof: the variance is divided by m - ddof, in forward and in backward.
        eps_outside: whether eps is added after the root, in forward and in backward.
        forgets_gamma: whether backward leaves gamma out.
    """

    name: str
    paths: tuple[Path, ...] = PATHS
    ddof: int = 0
    eps_outside: bool = False
    forgets_gamma: bool = False

    def forward(self, x: Array, gamma: Array, beta: Array, eps: float) -> Array:
        """y."""
        x_hat, _ = self._standardize(x, eps)
        return gamma * x_hat + beta

    def backward(self, dy: Array, x: Array, gamma: Array, eps: float) -> Array:
        """dx, as this implementation has it."""
        x_hat, divisor = self._standardize(x, eps)
        dx_hat = dy if self.forgets_gamma else gamma * dy
        along = (dx_hat * x_hat).sum(axis=0) / (len(x) - self.ddof)
        if self.eps_outside:
            along = along * divisor / (divisor - eps)
        terms = {"direct": dx_hat, "mean": -dx_hat.mean(axis=0), "variance": -x_hat * along}
        return sum(terms[path] for path in self.paths) / divisor

    def _standardize(self, x: Array, eps: float) -> tuple[Array, Array]:
        var = x.var(axis=0, ddof=self.ddof)
        divisor = np.sqrt(var) + eps if self.eps_outside else np.sqrt(var + eps)
        return (x - x.mean(axis=0)) / divisor, divisor


CANDIDATES = (
    Candidate("correct"),
    Candidate("direct path only", paths=("direct",)),
    Candidate("no mean path", paths=("direct", "variance")),
    Candidate("no variance path", paths=("direct", "mean")),
    Candidate("γ left out of dx", forgets_gamma=True),
    Candidate("m − 1, both passes", ddof=1),
    Candidate("ε outside, both passes", eps_outside=True),
)

Check: TypeAlias = Literal["Σ y", "½ Σ y²", "random", "forward"]
CHECKS: tuple[Check, ...] = ("Σ y", "½ Σ y²", "random", "forward")


def check_error(candidate: Candidate, check: Check, *, seed: int = 0, m: int = 6, eps: float = 1e-3) -> float:
    """How far `candidate` is from what `check` compares it with.

    The first three checks compare its backward pass with central differences of *its own* forward pass, for three
    losses; the difference is given as a fraction of the largest entry of gamma * dy / sqrt(var + eps). The first two
    have gamma = 1 and beta = 0, as a new layer has. The last compares its forward pass with `bn_lib.batch_norm`.

    Args:
        candidate: the implementation.
        check: the check.
        seed: of the batch, and of dy, gamma and beta where they are random.
        m: values per channel; there are 3 channels.
        eps: added to the variance.
    """
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(m, 3)) + 1
    weights, gamma, beta = rng.normal(size=(m, 3)), rng.uniform(0.5, 2, size=3), rng.normal(size=3)
    if check in ("Σ y", "½ Σ y²"):
        gamma, beta = np.ones(3), np.zeros(3)
    y = candidate.forward(x, gamma, beta, eps)
    if check == "forward":
        return float(np.abs(y - batch_norm(x, gamma, beta, eps=eps)[0]).max())

    dys = {"Σ y": np.ones_like(y), "½ Σ y²": y, "random": weights}
    losses: dict[str, Callable[[Array], float]] = {
        "Σ y": lambda y: float(y.sum()),
        "½ Σ y²": lambda y: float((y * y).sum() / 2),
        "random": lambda y: float((weights * y).sum()),
    }
    numerical = numerical_gradient(lambda x: losses[check](candidate.forward(x, gamma, beta, eps)), x)
    difference = np.abs(candidate.backward(dys[check], x, gamma, eps) - numerical).max()
    return float(difference / np.abs(gamma * dys[check] / np.sqrt(x.var(axis=0) + eps)).max())


def verdicts(*, tolerance: float = 1e-6, seed: int = 0) -> dict[str, dict[Check, bool]]:
    """Which check catches which candidate: True where the difference is above `tolerance`."""
    return {c.name: {check: check_error(c, check, seed=seed) > tolerance for check in CHECKS} for c in CANDIDATES}


def step_errors(steps: Sequence[float], *, central: bool, seeds: Sequence[int] = (0, 1, 2, 3)) -> Array:
    """Relative error of a finite-difference gradient of BN against the step h; float64, the median over seeds.

    The error is the Euclidean norm of the difference from the analytic gradient, over the norm of that gradient.

    Args:
        steps: values of h; x has a standard deviation of 1.
        central: central or one-sided differences.
        seeds: of batch and loss, 8 x 3 values each.
    """

    def errors(seed: int) -> list[float]:
        rng = np.random.default_rng(seed)
        x, weights = rng.normal(size=(2, 8, 3))
        gamma, beta = np.ones(3), np.zeros(3)
        exact, _, _ = batch_norm_backward(weights, batch_norm(x, gamma, beta)[1])

        def loss(x: Array) -> float:
            return float((weights * batch_norm(x, gamma, beta)[0]).sum())

        found = [numerical_gradient(loss, x, h=h, central=central) for h in steps]
        return [float(np.linalg.norm(g - exact) / np.linalg.norm(exact)) for g in found]

    return np.median([errors(seed) for seed in seeds], axis=0)


# Two numbers that claims are about


def gradient_times_scale(a: float = 10.0, *, with_bn: bool = True, seed: int = 0) -> float:
    """`a * |dL/d(aW)| / |dL/dW|` for a network of Dense, BN, ReLU and Dense on 60 digits in float64: 1 by theory.

    Args:
        a: the factor on the weights before BN.
        with_bn: whether there is BN; without it, theory says another thing.
        seed: of the weights.
    """

    def gradient(factor: float) -> float:
        rng = np.random.default_rng(seed)
        dense = Dense(64, 64, rng=rng, bias=False)
        dense.weight = dense.weight * factor
        norms = (BatchNorm(64),) if with_bn else ()
        model = Sequential(dense, *norms, ReLU(), Dense(64, 10, rng=rng))
        images, labels = (part[:60] for part in load_digits().train)
        model.backward(softmax_cross_entropy(model.forward(images.astype(np.float64)), labels)[1])
        return float(np.linalg.norm(dense.grads["weight"]))

    return a * gradient(a) / gradient(1.0)


def best_step(*, central: bool = True, seed: int = 0) -> float:
    """The step h with the smallest error, over the cube root of the unit roundoff.

    Args:
        central: central or one-sided differences.
        seed: of four batches and losses, whose median error counts.
    """
    steps = np.logspace(-10, -3, 15)
    errors = step_errors(steps.tolist(), central=central, seeds=range(4 * seed, 4 * seed + 4))
    return float(steps[errors.argmin()] / (np.finfo(np.float64).eps / 2) ** (1 / 3))
