"""Internal covariate shift: how updates of several layers interact, and how activations move in training.

The first half is arithmetic on chains of weights. The second trains the sigmoid network of Ioffe and Szegedy
(2015), section 4.1, on digits and watches the inputs of its sigmoids. Drawing is in `bn_book.covariate_shift.figures`.
"""

import copy
import math
from collections.abc import Callable
from fractions import Fraction
from itertools import combinations
from typing import Literal, NamedTuple, TypeAlias

import numpy as np

from bn_book.data import load_digits
from bn_book.networks import sigmoid_network
from bn_book.runs import cache
from bn_book.scale.experiments import eigenvalues, hessian
from bn_lib._arrays import Array
from bn_lib.batchnorm import BatchNorm
from bn_lib.layer import Layer
from bn_lib.network import Sequential, Sigmoid, softmax_cross_entropy
from bn_lib.training import SGD, Recorder, accuracy, fit, train_step

LEARNING_RATE = 0.5
BATCH_SIZE = 60
LARGER_WEIGHTS = 0.5  # standard deviation; Glorot's for these layers is 0.1 to 0.14


# Three layers of one weight each


class Chain(NamedTuple):
    """A network of three weights, y = x * w1 * w2 * w3, and what it should answer.

    Attributes:
        x: the input.
        weights: w1, w2, w3.
        target: the loss is (y - target)**2 / 2.
    """

    x: Fraction = Fraction(2)
    weights: tuple[Fraction, Fraction, Fraction] = (Fraction(2), Fraction(8, 5), Fraction(3, 2))
    target: Fraction = Fraction(43, 5)

    @property
    def y(self) -> Fraction:
        """The answer."""
        return self.x * math.prod(self.weights)

    @property
    def gradients(self) -> tuple[Fraction, Fraction, Fraction]:
        """The derivative of the loss by each weight: (y - target) * x * the product of the other two."""
        w1, w2, w3 = self.weights
        pull = (self.y - self.target) * self.x
        return pull * w2 * w3, pull * w1 * w3, pull * w1 * w2

    @property
    def calibrated_rate(self) -> Fraction:
        """The learning rate at which y would land on the target, if the change were what first order says.

            (y - target) = rate * sum of dy/dw_i * gradient_i

        Raises:
            ZeroDivisionError: if y is on the target already, or no weight moves it.
        """
        pull = self.y - self.target
        return pull * pull / sum(g * g for g in self.gradients)


class Term(NamedTuple):
    """One of the eight products in x * (w1 - a*g1) * (w2 - a*g2) * (w3 - a*g3).

    Attributes:
        moved: the layers, from 1, whose factor is -a*g; the others contribute w.
        value: the product.
    """

    moved: tuple[int, ...]
    value: Fraction

    @property
    def order(self) -> int:
        """The power of the learning rate a in it."""
        return len(self.moved)


def expand(chain: Chain, rate: Fraction) -> tuple[Term, ...]:
    """The answer after one step of gradient descent on all three weights, term by term, lowest order first.

    Source: the example is that of Goodfellow, Bengio and Courville (2016), section 8.7.1.

    Args:
        chain: the network before the step.
        rate: the learning rate a.
    """
    terms = []
    for order in range(4):
        for moved in combinations((1, 2, 3), order):
            factors = (
                -rate * g if layer in moved else w
                for layer, w, g in zip((1, 2, 3), chain.weights, chain.gradients, strict=True)
            )
            terms.append(Term(moved, chain.x * math.prod(factors)))
    return tuple(terms)


def of_order(terms: tuple[Term, ...], order: int) -> Fraction:
    """The sum of the terms of one order."""
    return sum((term.value for term in terms if term.order == order), Fraction(0))


# Deeper chains: layers of one weight each, all of the same size, y = weight**layers


def calibrated_step(weight: Array, layers: int, change: float) -> Array:
    """How far each weight has to move for first order to raise y by `change`: change / (layers * weight**(layers - 1)).

    Source: Goodfellow, Bengio and Courville (2016), section 8.7.1, where it is the learning rate 0.1 / (g.T @ g).

    Args:
        weight: of every layer, > 0.
        layers: how many there are.
        change: of y that is planned.
    """
    return change / (layers * weight ** (layers - 1.0))


def step_at_rate(weight: Array, layers: int, rate: float) -> Array:
    """How far each weight moves when y is raised by gradient ascent: rate * weight**(layers - 1)."""
    return rate * weight ** (layers - 1.0)


def obtained_of_planned(weight: Array, layers: int, step: Array) -> Array:
    """The change of y when every weight moves by `step`, divided by the change that first order plans.

        ((weight + step)**layers - weight**layers) / (layers * weight**(layers - 1) * step)

    With r = step / weight it is ((1 + r)**layers - 1) / (layers * r): near 1 as long as layers * r is small.

    Args:
        weight: of every layer, > 0.
        layers: how many there are.
        step: what is added to each weight, > 0; broadcasts with `weight`.
    """
    relative = step / weight
    return np.expm1(layers * np.log1p(relative)) / (layers * relative)


# The sigmoid network, watched


class Run(NamedTuple):
    """A training run, seen from outside.

    Attributes:
        name: what is special about the network.
        steps: the training steps at which the inputs of the sigmoids were measured, 0 first.
        percentiles: the 15th, 50th and 85th percentile of those inputs over all training images,
            `(len(steps), hidden layers, 3, units)`.
        accuracy: fraction right on the test images, in inference mode, before training and after each epoch.
        steps_per_epoch: mini-batches in an epoch.
        gamma: the scales of the last normalizing layer at the end, `(units,)`; None without one.
    """

    name: str
    steps: Array
    percentiles: Array
    accuracy: Array
    steps_per_epoch: int
    gamma: Array | None

    def movement(self, layer: int = -1) -> float:
        """How far the inputs of a hidden layer's sigmoids moved: the length of the percentiles' path, typical unit.

        The absolute changes from one measurement to the next are added up, averaged over the three percentiles; then
        the median over the units is taken. In units of the sigmoid's input.
        """
        return float(np.median(path_length(self.percentiles[:, layer])))

    def relative_movement(self, layer: int = -1) -> float:
        """The same with each change divided by the distance from the 15th to the 85th percentile at that time."""
        return float(np.median(width_path_length(self.percentiles[:, layer])))

    def width(self, layer: int = -1, at: int = 0) -> float:
        """The distance from the 15th to the 85th percentile at a measurement, median over the units."""
        inputs = self.percentiles[at, layer]
        return float(np.median(inputs[2] - inputs[0]))

    def typical_unit(self, layer: int = -1) -> int:
        """The unit whose inputs moved as far as the median unit's."""
        length = path_length(self.percentiles[:, layer])
        return int(np.argsort(length)[len(length) // 2])

    def steps_to(self, accuracy: float) -> int:
        """The training steps after which a test accuracy was first reached, to the epoch.

        Raises:
            RuntimeError: if it never was.
        """
        reached = self.accuracy >= accuracy
        if not reached.any():
            raise RuntimeError(f"the network reached {self.accuracy.max():.3f}; expected an accuracy of {accuracy:g}")
        return int(np.argmax(reached)) * self.steps_per_epoch


def path_length(inputs: Array) -> Array:
    """The length of the path of each unit's percentiles, from `(times, 3, units)` to `(units,)`."""
    return np.abs(np.diff(inputs, axis=0)).mean(axis=1).sum(axis=0)


def width_path_length(inputs: Array) -> Array:
    """The same with each change divided by the distance from the 15th to the 85th percentile at that time."""
    width = inputs[:, 2] - inputs[:, 0]
    changes = np.abs(np.diff(inputs, axis=0)).mean(axis=1) / ((width[1:] + width[:-1]) / 2)
    return changes.sum(axis=0)


def percentiles_per_unit(values: Array) -> Array:
    """The 15th, 50th and 85th percentile of each column, from `(N, units)` to `(3, units)`."""
    return np.percentile(np.ascontiguousarray(values.T), [15, 50, 85], axis=1)


def sigmoid_inputs(model: Sequential, images: Array) -> Array:
    """Percentiles of what enters each sigmoid when all images are one batch in training mode.

    A copy of the network does the work, so running statistics and gradients stay as they are.

    Args:
        model: a network with sigmoids, all hidden layers of one width.
        images: `(N, features)`.

    Returns:
        `(sigmoids, 3, units)`.
    """
    return _pass_of_a_twin(model, images, percentiles_per_unit)[0]


def _pass_of_a_twin(model: Sequential, images: Array, summary: Callable[[Array], Array]) -> tuple[Array, Array]:
    """Summaries of what enters each sigmoid of a copy of the network, and its answers, with all images as one batch."""
    before_sigmoid = [i - 1 for i, layer in enumerate(model.stack) if isinstance(layer, Sigmoid)]
    twin = copy.deepcopy(model).train()
    with Recorder(twin, summary=summary, only=type(model.stack[before_sigmoid[0]])) as recorder:
        logits = twin.forward(images)
    return np.array([recorder.activations[i][0] for i in before_sigmoid]), logits


def _float32_batch_norm(units: int) -> Layer:
    return BatchNorm(units, dtype=np.float32)


@cache
def train(
    *,
    with_bn: bool,
    init: str | float = "glorot",
    learning_rate: float = LEARNING_RATE,
    epochs: int = 60,
    measure_every: int = 46,
    seed: int = 0,
) -> Run:
    """Train three hidden layers of 100 sigmoids on digits with plain SGD, and watch.

    Inputs are measured on all training images, not on the mini-batch: percentiles of 60 values would move by
    themselves, because every mini-batch holds other images.

    Args:
        with_bn: whether each sigmoid has Batch Normalization before it.
        init: see `bn_lib.network.initial_weights`.
        learning_rate: of SGD without momentum.
        epochs: passes over the data; 23 steps each.
        measure_every: steps between two measurements.
        seed: of the weights and the shuffles.
    """
    data = load_digits()
    images, _ = data.train
    model = sigmoid_network(
        rng=np.random.default_rng(seed), normalizer=_float32_batch_norm if with_bn else None, init=init
    )
    measured = [sigmoid_inputs(model, images)]
    untrained = accuracy(model, *data.test)

    def watch(step: int) -> None:
        if step % measure_every == 0:
            measured.append(sigmoid_inputs(model, images))

    history = fit(
        model,
        SGD(model, learning_rate),
        *data.train,
        epochs=epochs,
        batch_size=BATCH_SIZE,
        rng=np.random.default_rng(seed + 1000),
        validation=data.test,
        progress=False,
        after_step=watch,
    )
    norms = [layer for layer in model.stack if isinstance(layer, BatchNorm)]
    return Run(
        name="with BN" if with_bn else "without BN" if init == "glorot" else "without BN, larger weights",
        steps=measure_every * np.arange(len(measured)),
        percentiles=np.array(measured),
        accuracy=np.array([untrained, *history.accuracy]),
        steps_per_epoch=len(history.loss) // epochs,
        gamma=norms[-1].gamma if norms else None,
    )


def three_runs(*, learning_rate: float = LEARNING_RATE, seed: int = 0) -> tuple[Run, Run, Run]:
    """Without BN, with BN, and without BN from larger initial weights: the same shuffles, the same learning rate."""
    return (
        train(with_bn=False, learning_rate=learning_rate, seed=seed),
        train(with_bn=True, learning_rate=learning_rate, seed=seed),
        train(with_bn=False, init=LARGER_WEIGHTS, learning_rate=learning_rate, seed=seed),
    )


# Steps to an accuracy, at many learning rates

Start: TypeAlias = Literal["without BN", "without BN, larger weights", "with BN"]
STARTS: tuple[Start, ...] = ("without BN", "without BN, larger weights", "with BN")
RATES = (0.5, 1.0, 2.0, 3.0, 5.0)
SEEDS = (0, 1, 2)


def network_of(start: Start, *, seed: int = 0) -> Sequential:
    """One of the chapter's three networks before training; the weights without BN and with BN are the same.

    Args:
        start: which.
        seed: of the weights.
    """
    return sigmoid_network(
        rng=np.random.default_rng(seed),
        normalizer=_float32_batch_norm if start == "with BN" else None,
        init=LARGER_WEIGHTS if start == "without BN, larger weights" else "glorot",
    )


@cache
def steps_needed(
    start: Start, learning_rate: float, *, right: float = 0.9, most: int = 1380, every: int = 23, seed: int = 0
) -> float:
    """The training steps after which a network gets a share of the test digits right.

    Args:
        start: which network.
        learning_rate: of plain SGD.
        right: the share.
        most: steps to take at most.
        every: after how many steps it is tested: 23 are an epoch. The answer is a multiple of it.
        seed: of the weights and the shuffles, which are those of `train`.

    Returns:
        The number of steps; infinity if `most` are not enough.
    """
    (images, labels), test = load_digits()
    model = network_of(start, seed=seed)
    optimizer, rng = SGD(model, learning_rate), np.random.default_rng(seed + 1000)
    per_epoch = len(labels) // BATCH_SIZE
    for epoch in range(1, most // per_epoch + 1):
        order = rng.permutation(len(labels))
        for step in range(per_epoch):
            rows = order[step * BATCH_SIZE : (step + 1) * BATCH_SIZE]
            train_step(model, optimizer, images[rows], labels[rows])
            taken = (epoch - 1) * per_epoch + step + 1
            if taken % every == 0 and accuracy(model, *test) >= right:
                return taken
    return math.inf


def steps_by_rate(rates: tuple[float, ...] = RATES, seeds: tuple[int, ...] = SEEDS) -> dict[Start, Array]:
    """`steps_needed` for each of the three networks, `(rates, seeds)`."""
    return {start: np.array([[steps_needed(start, r, seed=s) for s in seeds] for r in rates]) for start in STARTS}


class Curvature(NamedTuple):
    """Eigenvalues of the Hessian of linear regression on a hidden layer's outputs, a bias among the features.

    Attributes:
        along_mean: the largest, which belongs to what all images have in common.
        among_images: the second, the largest in which images differ.
    """

    along_mean: float
    among_images: float

    @property
    def ratio(self) -> float:
        """How much flatter the bowl is among images: a lower bound of the condition number."""
        return self.along_mean / self.among_images


def curvature(start: Start, *, seed: int = 0) -> Curvature:
    """The curvature of the outputs of the last hidden layer before training, over all training images in one batch."""
    images, _ = load_digits().train
    outputs = Sequential(*network_of(start, seed=seed).stack[:-1]).forward(images).astype(np.float64)
    values = eigenvalues(hessian(np.column_stack([outputs, np.ones(len(outputs))])))
    return Curvature(float(values[-1]), float(values[-2]))


# A recording to leaf through (bn_book.explorables.Drift)

PERCENTILES = (5, 15, 30, 50, 70, 85, 95)
LEARNING_RATES = (0.1, 0.5, 5.0)
_OTHERS = (0.1, 0.3, 0.7, 0.9)  # of the way from the unit that moved least to the one that moved most


class Recording(NamedTuple):
    """The network without and with BN at the same moments of training, at several learning rates.

    A run whose loss is no longer a finite number is stopped: from there on its values are NaN.

    Attributes:
        learning_rates: of SGD, `(rates,)`.
        steps: the training steps at which each run was measured, `(moments,)`, 0 first, ever further apart.
        percentiles: `PERCENTILES` of the input of one sigmoid of each hidden layer, `(rates, 2, layers, moments, 7)`,
            without BN first. The sigmoid is the one whose input moved as far as the median unit's in this run.
        medians: of four other sigmoids, two that moved less and two that moved more, `(rates, 2, layers, moments, 4)`.
        loss: over the images, with the statistics of all of them, `(rates, 2, moments)`, in nats.
        images: how many images are measured, the first of the training set.
    """

    learning_rates: tuple[float, ...]
    steps: Array
    percentiles: Array
    medians: Array
    loss: Array
    images: int


@cache
def record(
    learning_rates: tuple[float, ...] = LEARNING_RATES,
    *,
    epochs: int = 30,
    moments: int = 60,
    images: int = 360,
    seed: int = 0,
) -> Recording:
    """Train the sigmoid network without and with BN at each learning rate, from the same weights, and watch.

    Args:
        learning_rates: of SGD without momentum.
        epochs: passes over the data; 23 steps each.
        moments: about how many times to measure.
        images: how many training images to measure.
        seed: of the weights and the shuffles.

    Raises:
        ValueError: if `learning_rates` is empty.
    """
    if not learning_rates:
        raise ValueError("learning_rates is empty; expected at least one")
    total = epochs * (len(load_digits().train[1]) // BATCH_SIZE)
    # Most of what there is to see happens early.
    steps = np.unique(np.append(0, np.geomspace(1, total, int(1.35 * moments)).round().astype(int)))
    runs = [[_seen(with_bn, rate, steps, epochs, images, seed) for with_bn in (False, True)] for rate in learning_rates]
    percentiles, medians, loss = (np.array([[run[part] for run in pair] for pair in runs]) for part in range(3))
    return Recording(tuple(learning_rates), steps, percentiles, medians, loss, images)


def _seen(
    with_bn: bool, learning_rate: float, steps: Array, epochs: int, images: int, seed: int
) -> tuple[Array, Array, Array]:
    """Percentiles, medians and loss of one run, see `Recording`."""
    x, labels = load_digits().train
    model = network_of("with BN" if with_bn else "without BN", seed=seed)
    optimizer, rng = SGD(model, learning_rate), np.random.default_rng(seed + 1000)
    inputs = np.full((len(steps), 3, len(PERCENTILES), 100), np.nan)
    loss = np.full(len(steps), np.nan)
    moment = {int(step): at for at, step in enumerate(steps)}

    def look(step: int) -> bool:
        """Measure, if it is time for it; whether training can go on."""
        if step in moment:
            seen, logits = _pass_of_a_twin(model, x[:images], _seven_percentiles)
            now, _ = softmax_cross_entropy(logits, labels[:images])
            if not (math.isfinite(now) and np.isfinite(seen).all()):
                return False
            inputs[moment[step]], loss[moment[step]] = seen, now
        return True

    with np.errstate(over="ignore", invalid="ignore"):  # a run that diverges is a result
        step, going = 0, look(0)
        for _ in range(epochs):
            order = rng.permutation(len(x))
            for first in range(0, len(x) - BATCH_SIZE + 1, BATCH_SIZE):
                rows = order[first : first + BATCH_SIZE]
                going = going and math.isfinite(train_step(model, optimizer, x[rows], labels[rows]))
                step += 1
                going = going and look(step)
    percentiles, medians = zip(*(_representatives(inputs[:, layer]) for layer in range(3)), strict=True)
    return np.array(percentiles), np.array(medians), loss


def _seven_percentiles(values: Array) -> Array:
    return np.percentile(np.ascontiguousarray(values.T), PERCENTILES, axis=1)


def _representatives(inputs: Array) -> tuple[Array, Array]:
    """The percentiles of the typical unit, `(moments, 7)`, and the medians of four others, `(moments, 4)`."""
    seen = np.isfinite(inputs).all(axis=(1, 2))
    by_movement = np.argsort(path_length(inputs[seen][:, [1, 3, 5]]), kind="stable")
    others = [by_movement[int(share * len(by_movement))] for share in _OTHERS]
    return inputs[:, :, by_movement[len(by_movement) // 2]], inputs[:, 3, others]
