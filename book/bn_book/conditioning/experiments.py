"""Does BN condition the problem: speed against learning rate, the curvature of the loss, and descent beyond its limit.

One network carries the chapter, two hidden layers of 50 sigmoids for the digits, because sigmoids have a Hessian
everywhere. A whole spectrum needs a smaller one, 16 inputs and two layers of 8. A deeper network with ReLUs shows what
a sigmoid, which is bounded, cannot. Curvature is that of `bn_lib.curvature`. Drawing is in
`bn_book.conditioning.figures`.
"""

import copy
import math
from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import partial
from typing import Literal, NamedTuple, TypeAlias

import numpy as np

from bn_book.data import load_digits
from bn_book.networks import Normalizer, sigmoid_network, standardize_once
from bn_book.runs import cache
from bn_book.scale.experiments import eigenvalues, hand_problem, hessian
from bn_lib import hessian_eigenvalues, parameter_vector, recompute_statistics
from bn_lib._arrays import Array
from bn_lib.batchnorm import BatchNorm, LayerNorm
from bn_lib.layer import Layer
from bn_lib.network import Dense, ReLU, Sequential, Sigmoid
from bn_lib.training import SGD, accuracy, train_step

Start: TypeAlias = Literal[
    "plain", "larger weights", "standardized once", "LN", "BN", "BN, statistics held", "BN, variance held"
]
STARTS: tuple[Start, ...] = ("plain", "larger weights", "standardized once", "LN", "BN")
HELD: tuple[Start, ...] = ("BN, statistics held", "BN, variance held", "BN")
RATES = (0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0)  # three decades
DEEP_RATES = (0.01, 0.1, 0.3, 1.0)
SEEDS = (0, 1, 2)
BATCH_SIZE = 60
LARGER_WEIGHTS = 0.5  # standard deviation; Glorot's is 0.13 to 0.18 here
MULTIPLES = (1.0, 4.0, 16.0, 64.0)  # of the largest learning rate that is stable at the start

_NORMALIZERS: dict[str, Callable[..., Layer]] = {"BN": BatchNorm, "LN": LayerNorm}


# The networks


def network_of(
    start: Start,
    images: Array,
    *,
    seed: int,
    hidden: tuple[int, ...] = (50, 50),
    activation: type[Layer] = Sigmoid,
    dtype: type = np.float32,
) -> Sequential:
    """A network before training; but for "larger weights" its random numbers are the same whatever `start` is.

    Args:
        start: "plain" has Glorot's weights (He's with ReLUs), "larger weights" a standard deviation of 0.5,
            "standardized once" is "plain" after `standardize_once`; "LN" and "BN" have that normalizer; the others are
            "BN" after `held`.
        images: `(N, inputs)`, those that `standardize_once` and `held` look at.
        seed: of the weights.
        hidden: units of each hidden layer.
        activation: of the hidden layers.
        dtype: of all parameters.
    """
    normalizer: Normalizer | None = None
    if start not in ("plain", "larger weights", "standardized once"):
        normalizer = partial(_NORMALIZERS[start[:2]], dtype=dtype)
    model = sigmoid_network(
        rng=np.random.default_rng(seed),
        normalizer=normalizer,
        hidden=hidden,
        init=LARGER_WEIGHTS if start == "larger weights" else "he" if activation is ReLU else "glorot",
        inputs=images.shape[1],
        activation=activation,
        dtype=dtype,
    )
    if start == "standardized once":
        standardize_once(model, images.astype(dtype))
    return held(model, images.astype(dtype), start) if start in HELD else model


def difference_at_start(seed: int, *, once: Start = "standardized once") -> float:
    """The largest difference between an output of a network and of the one with BN before training, on all images."""
    images, _ = some_digits()
    first, second = (network_of(start, images, seed=seed, dtype=np.float64) for start in (once, "BN"))
    return float(np.max(np.abs(first.forward(images) - second.forward(images))))


# Steps to 90 percent


def mini_batches(rows: int, seed: int) -> Iterator[Array]:
    """Rows of mini-batches of 60, epoch after epoch without end."""
    rng = np.random.default_rng(seed + 1000)
    while True:
        order = rng.permutation(rows)
        for first in range(0, rows - BATCH_SIZE + 1, BATCH_SIZE):
            yield order[first : first + BATCH_SIZE]


@cache
def steps_needed(
    start: Start, rate: float, *, deep: bool = False, most: int | None = None, every: int = 5, seed: int
) -> float:
    """Steps of plain SGD until 90 percent of the test digits are right, in inference mode.

    Where only the variance is held, the mean is that of the test digits.

    Args:
        start: which network.
        rate: the learning rate.
        deep: six hidden layers of 50 ReLUs in the place of two of 50 sigmoids.
        most: steps to take at most; None for 400, and 600 where it is deep.
        every: steps from one look at the test digits to the next.
        seed: of the weights and the shuffles.

    Returns:
        A multiple of `every`; infinity if `most` steps are not enough, or the loss is no longer a finite number.
    """
    (images, labels), test = load_digits()
    shape = {"hidden": (50,) * 6, "activation": ReLU} if deep else {}
    model = network_of(start, images[:500], seed=seed, **shape)  # type: ignore[arg-type] # mypy takes all for one type
    optimizer, most = SGD(model, rate), most or (600 if deep else 400)
    with np.errstate(over="ignore", invalid="ignore"):  # a run that diverges is a result
        for step, rows in zip(range(1, most + 1), mini_batches(len(labels), seed), strict=False):
            if not math.isfinite(train_step(model, optimizer, images[rows], labels[rows])):
                break
            if step % every == 0 and accuracy(model, *test) >= 0.9:
                return step
    return math.inf


def steps_by_rate(
    starts: tuple[Start, ...] = STARTS, rates: tuple[float, ...] = RATES, *, deep: bool = False
) -> dict[Start, Array]:
    """`steps_needed` of each network, `(rates, seeds)`."""
    return {
        start: np.array([[steps_needed(start, r, deep=deep, seed=s) for s in SEEDS] for r in rates]) for start in starts
    }


def at_best(start: Start, rates: tuple[float, ...] = RATES, *, deep: bool = False, seed: int) -> float:
    """The fewest steps at any of the rates."""
    return min(steps_needed(start, rate, deep=deep, seed=seed) for rate in rates)


def lead(
    slow: Start, fast: Start, rate: float, rates: tuple[float, ...] = RATES, *, deep: bool = False, seed: int
) -> float:
    """How many times as many steps `slow` takes at one rate, divided by how many times when each has its best."""
    at_rate = steps_needed(slow, rate, deep=deep, seed=seed) / steps_needed(fast, rate, deep=deep, seed=seed)
    return at_rate / (at_best(slow, rates, deep=deep, seed=seed) / at_best(fast, rates, deep=deep, seed=seed))


def rates_reached(start: Start, *, seed: int) -> int:
    """At how many of the seven rates 90 percent is reached."""
    return sum(math.isfinite(steps_needed(start, rate, seed=seed)) for rate in RATES)


# Two by two, by hand

Pair: TypeAlias = tuple[Fraction, Fraction]
Three: TypeAlias = tuple[Fraction, Fraction, Fraction]


class Hand(NamedTuple):
    """Two weights before BN, and the Hessians of its loss: with mean and variance as constants, or as what they are.

    Four examples x, those of `bn_book.scale` moved by (2, 8); z = x @ w with w = (0, 1). The targets are what comes out
    of BN, so that the loss, half the mean squared error, is 0.

    Attributes:
        x: the examples.
        mean, sigma: of z.
        answers: (z - mean) / sigma.
        by_batch: d answer / d w of each example, through the mean and sigma.
        constants: the Hessian with both statistics held: H11, H12, H22.
        centered: the same with sigma held.
        batch: the same with neither held.
    """

    x: tuple[Pair, ...]
    mean: Fraction
    sigma: Fraction
    answers: tuple[Fraction, ...]
    by_batch: tuple[Pair, ...]
    constants: Three
    centered: Three
    batch: Three


def hand() -> Hand:
    """The example, in fractions.

    At a loss of 0 the Hessian of half the mean squared error is the mean of the products of the answers' derivatives.
    """
    around = tuple((Fraction(int(a)), Fraction(int(b))) for a, b in hand_problem().x)  # its means are 0
    x = tuple((a + 2, b + 8) for a, b in around)
    _, s12, s22 = _products(around)
    sigma = Fraction(math.isqrt(int(s22)))  # w = (0, 1), so z is the second feature
    answers = tuple(b / sigma for _, b in around)
    # d sigma / d w = S w / sigma, and what a change of sigma does to an answer is -answer / sigma
    by_batch = tuple(
        ((a - y * s12 / sigma) / sigma, (b - y * s22 / sigma) / sigma)
        for (a, b), y in zip(around, answers, strict=True)
    )
    constants, centered = (_products(tuple((a / sigma, b / sigma) for a, b in rows)) for rows in (x, around))
    return Hand(x, Fraction(8), sigma, answers, by_batch, constants, centered, _products(by_batch))


def _products(rows: tuple[Pair, ...]) -> Three:
    n = len(rows)
    return (
        sum((a * a for a, _ in rows), Fraction()) / n,
        sum((a * b for a, b in rows), Fraction()) / n,
        sum((b * b for _, b in rows), Fraction()) / n,
    )


# Curvature


class Digits(NamedTuple):
    """Images in one batch, and their classes."""

    images: Array
    labels: Array


@cache
def small_digits() -> Digits:
    """The first 360 training images, 2 x 2 pixels averaged into one: `(360, 16)`, float64."""
    images, labels = load_digits().train
    return Digits(
        images[:360].reshape(-1, 4, 2, 4, 2).mean(axis=(2, 4)).reshape(-1, 16).astype(np.float64), labels[:360]
    )


@cache
def some_digits() -> Digits:
    """The first 300 training images, `(300, 64)`, float64."""
    images, labels = load_digits().train
    return Digits(images[:300].astype(np.float64), labels[:300])


def _shape(small: bool) -> tuple[Digits, tuple[int, ...]]:
    return (small_digits(), (8, 8)) if small else (some_digits(), (50, 50))


@cache
def trained(start: Start, steps: int, *, small: bool, rate: float = 0.5, seed: int) -> Sequential:
    """A float64 network after some steps of SGD on mini-batches of 60, in training mode. Whoever changes it copies it.

    Args:
        start: which network.
        steps: of SGD.
        small: 16 inputs and two hidden layers of 8, or 64 inputs and two of 50.
        rate: the learning rate.
        seed: of the weights and the shuffles.
    """
    (images, labels), hidden = _shape(small)
    model = network_of(start, images, seed=seed, hidden=hidden, dtype=np.float64)
    optimizer = SGD(model, rate)
    for _, rows in zip(range(steps), mini_batches(len(labels), seed), strict=False):
        train_step(model, optimizer, images[rows], labels[rows])
    return model


class Recenter(Layer):
    """Subtract the mean of the batch and add a constant one: y = x - mean(x) + mean.

    Args:
        mean: `(features,)`.
    """

    def __init__(self, mean: Array) -> None:
        super().__init__()
        self.mean = mean

    def forward(self, x: Array) -> Array:
        """Move `x`, `(N, features)`."""
        return x - x.mean(axis=0) + self.mean

    def backward(self, dy: Array) -> Array:
        """dx = dy - mean(dy)."""
        return dy - dy.mean(axis=0)


def held(model: Sequential, images: Array, start: Start) -> Sequential:
    """A copy whose BN layers take for constants what they normalize with: statistics of these images.

    It computes on them what `model` computes in training mode; only, a change of the weights no longer changes what is
    held.

    Args:
        model: a network with BN.
        images: `(N, inputs)`, one batch.
        start: one of `HELD`. With "BN, variance held" the mean is that of the batch; with "BN" nothing is held.
    """
    frozen = copy.deepcopy(model)
    if start == "BN":
        return frozen
    recompute_statistics(frozen, [images])
    layers: list[Layer] = []
    for layer in frozen.eval().stack:
        if start == "BN, variance held" and isinstance(layer, BatchNorm):
            layers.append(Recenter(layer.running_mean))
        layers.append(layer)
    return Sequential(*layers)


@cache
def spectrum(start: Start, steps: int, *, small: bool = True, k: int | None = None, seed: int) -> Array:
    """The eigenvalues of the Hessian of the loss on all images in one batch, largest first.

    Args:
        start: which network; with statistics held, one that had nothing held while it was trained.
        steps: of SGD before.
        small: as in `trained`.
        k: how many, the largest; None for all.
        seed: of the weights and the shuffles.
    """
    (images, labels), _ = _shape(small)
    model = trained("BN" if start in HELD else start, steps, small=small, seed=seed)
    if start in HELD:
        model = held(model, images, start)
    return hessian_eigenvalues(model, images, labels, k=k or parameter_vector(model).size)


def largest(start: Start, steps: int, *, small: bool = False, seed: int) -> float:
    """The largest eigenvalue of the Hessian, see `spectrum`."""
    return float(spectrum(start, steps, small=small, k=1, seed=seed)[0])


def stands_out(values: Array, place: int = 10) -> float:
    """The largest of the eigenvalues divided by the one at a place: how far the first lie apart from the others."""
    return float(values[0] / values[place - 1])


def input_ratio(start: Start, *, seed: int) -> tuple[float, ...]:
    """How unevenly the inputs of each dense layer are spread before training: largest eigenvalue / tenth.

    Of the second moments of the inputs with a 1 for the bias, over the training images: the Hessian of linear
    regression on them.
    """
    images, _ = some_digits()
    found, h = [], images
    for layer in network_of(start, images, seed=seed, dtype=np.float64).stack:
        if isinstance(layer, Dense):
            values = eigenvalues(hessian(np.column_stack([h, np.ones(len(h))])))
            found.append(float(values[-1] / values[-10]))
        h = layer.forward(h)
    return tuple(found)


# Descent at and beyond the limit of the start


class Descent(NamedTuple):
    """A run of gradient descent on all images in one batch.

    Attributes:
        rate: the learning rate.
        loss: before each step and after the last, in nats; it ends where it is no longer a finite number.
        steps: at which the curvature was measured.
        product: rate * largest eigenvalue / 2 there: below 1 where a step is stable.
        norm: of the weights of the second dense layer there.
    """

    rate: float
    loss: Array
    steps: Array
    product: Array
    norm: Array

    @property
    def left(self) -> float:
        """The last loss divided by the first."""
        return float(self.loss[-1] / self.loss[0])


@cache
def descend(
    start: Start, multiple: float, *, small: bool = False, steps: int = 100, moments: int = 7, seed: int
) -> Descent:
    """Gradient descent at a multiple of the limit that the curvature of the start sets, 2 / largest eigenvalue.

    Args:
        start: which network.
        multiple: of that limit.
        small: as in `trained`.
        steps: how many to take.
        moments: about how often the curvature is measured, ever less often.
        seed: of the weights.
    """
    (images, labels), _ = _shape(small)
    model = copy.deepcopy(trained(start, 0, small=small, seed=seed))
    rate = multiple * 2 / largest(start, 0, small=small, seed=seed)
    optimizer, second = SGD(model, rate), [layer for layer in model.stack if isinstance(layer, Dense)][1]
    at = np.unique(np.append(0, np.geomspace(1, steps, moments).round().astype(int)))
    loss, product, norm = [], [], []
    with np.errstate(over="ignore", invalid="ignore"):
        for step in range(steps + 1):
            if step in at:
                product.append(float(hessian_eigenvalues(model, images, labels)[0]) * rate / 2)
                norm.append(float(np.linalg.norm(second.weight)))
            loss.append(train_step(model, optimizer, images, labels))
    return Descent(rate, np.array(loss), at, np.array(product), np.array(norm))


# Too large a step, layer by layer


@cache
def growth(start: Start, rate: float, steps: int = 3, *, seed: int) -> tuple[float, ...]:
    """How much larger what comes out of each of six layers of ReLUs is after some steps of SGD: root mean squares.

    Args:
        start: which network.
        rate: the learning rate.
        steps: of SGD on mini-batches of 60.
        seed: of the weights and the shuffles.
    """
    images, labels = (part[:500] for part in load_digits().train)
    images = images.astype(np.float64)
    model = network_of(start, images, seed=seed, hidden=(50,) * 6, activation=ReLU, dtype=np.float64)
    before = _sizes(model, images)
    optimizer = SGD(model, rate)
    for _, rows in zip(range(steps), mini_batches(len(labels), seed), strict=False):
        train_step(model, optimizer, images[rows], labels[rows])
    return tuple(after / size for after, size in zip(_sizes(model, images), before, strict=True))


def _sizes(model: Sequential, images: Array) -> list[float]:
    """The root mean square of what comes out of each layer of ReLUs, all images in one batch in training mode."""
    found, h = [], images
    for layer in copy.deepcopy(model).stack:
        h = layer.forward(h)
        if isinstance(layer, ReLU):
            found.append(float(np.sqrt(np.mean(h**2))))
    return found
