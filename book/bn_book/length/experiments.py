"""Experiments of the chapter on the length of weights: what it is for, if Batch Normalization takes it out again.

A weight vector in front of BN acts by its direction only. Everything here follows: the gradient stands at right angles
to it, a step of plain gradient descent can only make it longer, and weight decay, which makes it shorter, sets how far
it turns in a step. Networks are in float64, so that what is exact can be seen to be.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np

from bn_book.data import load_digits
from bn_book.runs import cache
from bn_lib._arrays import Array
from bn_lib.batchnorm import BatchNorm
from bn_lib.layer import Layer
from bn_lib.network import Dense, ReLU, Sequential
from bn_lib.normalizers import batch_norm
from bn_lib.training import SGD, accuracy, fit

BATCH = 60
EPOCH = 23  # updates: 1437 training images in mini-batches of 60
RATES = (0.1, 1.0, 10.0, 100.0)
DECADES = (0.01, 0.1, 1.0, 10.0, 100.0, 1000.0)
PRODUCTS = (0.005, 0.01, 0.03)
SCALES = (1e-3, 1e-2, 1e-1, 1.0, 1e1, 1e2, 1e3)


# By hand


@dataclass(frozen=True)
class Unit:
    """One unit with two weights and BN (gamma 1, beta 0, eps 0) on a mini-batch, in exact fractions.

    The loss is half the square of the first example's normalized value. It is even in x_hat, so that only the variance
    is needed and never its root: everything stays a fraction.

    Attributes:
        x: the examples.
        w: the weights.
    """

    x: tuple[tuple[Fraction, Fraction], ...] = tuple((Fraction(a), Fraction(b)) for a, b in ((1, 0), (0, 1), (3, -1)))
    w: tuple[Fraction, Fraction] = (Fraction(3), Fraction(4))

    @property
    def z(self) -> tuple[Fraction, ...]:
        """What enters BN: x @ w."""
        return tuple(a * self.w[0] + b * self.w[1] for a, b in self.x)

    @property
    def mean(self) -> Fraction:
        """mu of z."""
        return sum(self.z, Fraction()) / len(self.z)

    @property
    def centered(self) -> tuple[Fraction, ...]:
        """z - mu."""
        return tuple(value - self.mean for value in self.z)

    @property
    def variance(self) -> Fraction:
        """sigma2 of z, the biased one."""
        return sum((value**2 for value in self.centered), Fraction()) / len(self.z)

    @property
    def loss(self) -> Fraction:
        """x_hat_1 ** 2 / 2."""
        return self.centered[0] ** 2 / self.variance / 2

    @property
    def dz(self) -> tuple[Fraction, ...]:
        """Gradient of the loss with respect to z, along the three paths: direct, through the mean, the variance."""
        c, m = self.centered, len(self.z)
        direct = (c[0], *(Fraction() for _ in c[1:]))
        along = c[0] ** 2 / self.variance / m
        return tuple((d - c[0] / m - along * value) / self.variance for d, value in zip(direct, c, strict=True))

    @property
    def gradient(self) -> tuple[Fraction, Fraction]:
        """Gradient of the loss with respect to w: x.T @ dz."""
        first, second = (
            sum((dz * row[j] for dz, row in zip(self.dz, self.x, strict=True)), Fraction()) for j in (0, 1)
        )
        return first, second

    def stepped(self, rate: Fraction, decay: Fraction = Fraction()) -> "Unit":
        """The unit after w <- (1 - rate decay) w - rate gradient."""
        first, second = ((1 - rate * decay) * w - rate * g for w, g in zip(self.w, self.gradient, strict=True))
        return Unit(self.x, (first, second))

    def times(self, scale: int) -> "Unit":
        """The same unit with weights `scale` times as long."""
        return Unit(self.x, (scale * self.w[0], scale * self.w[1]))


def direct_cosine(unit: Unit) -> float:
    """Cosine between the weights and what their gradient would be with mu and sigma2 treated as constants."""
    direct = [unit.centered[0] / unit.variance * x for x in unit.x[0]]
    along = sum((w * g for w, g in zip(unit.w, direct, strict=True)), Fraction())
    return float(along) / math.sqrt(squared(unit.w) * squared(direct))


def squared(vector: Sequence[Fraction]) -> Fraction:
    """The square of a vector's length."""
    return sum((value**2 for value in vector), Fraction())


# What eps does


def change_by_scale(scales: Sequence[float], *, eps: float = 1e-5, seed: int = 0) -> Array:
    """Largest change of BN's output when the weights before it are made `scale` times as long.

    Exactly, BN(a z) with eps is BN(z) with eps / a**2. The layer is a dense one of 64 units on the first 60 digits.

    Returns:
        For each scale, the largest |BN(a z) - BN(z)|, both with this eps.
    """
    z = load_digits().train[0][:BATCH].astype(np.float64)
    z = Dense(64, 64, bias=False, rng=np.random.default_rng(seed)).forward(z)
    one, zero = np.ones(64), np.zeros(64)
    y, _ = batch_norm(z, one, zero, eps=eps)
    return np.array([np.abs(batch_norm(a * z, one, zero, eps=eps)[0] - y).max() for a in scales])


# Networks


def network(
    *,
    seed: int,
    scale: float = 1.0,
    with_bn: bool = True,
    invariant: bool = False,
    eps: float = 1e-5,
    hidden: tuple[int, ...] = (64, 64),
) -> Sequential:
    """Dense layers with ReLUs for the 64 inputs and 10 classes of the digits, in float64.

    Args:
        seed: of the weights.
        scale: factor of the initial weights of the layers that have BN behind them, or would have it.
        with_bn: BN between each hidden dense layer and its ReLU.
        invariant: BN behind the last dense layer, too, and gamma 1 and beta 0 everywhere, not trained: then the length
            of no weight matters.
        eps: of BN.
        hidden: units of each hidden layer.
    """
    rng = np.random.default_rng(seed)
    layers: list[Layer] = []
    inputs = 64
    for place, units in enumerate((*hidden, 10)):
        last = place == len(hidden)
        normalized = with_bn and (invariant or not last)
        dense = Dense(inputs, units, bias=not normalized, rng=rng)
        if invariant or not last:
            dense.weight = dense.weight * scale
        layers.append(dense)
        if normalized:
            bn = BatchNorm(units, eps=eps)
            if invariant:
                bn.parameter_names = ()
            layers.append(bn)
        if not last:
            layers.append(ReLU())
        inputs = units
    return Sequential(*layers)


class Run(NamedTuple):
    """A training run of a network in which the length of no weight matters.

    Attributes:
        rates: the learning rate of each update.
        loss: training loss before each update, in nats; `(steps,)`.
        squared_norm: of each layer's weights before the first update and after each; `(steps + 1, layers)`.
        squared_gradient: of each layer's weights; `(steps, layers)`.
        cosine: between each layer's weights and their gradient; `(steps, layers)`.
        angle: by which each layer's weights turned in each update, in radians; `(steps, layers)`.
        test: accuracy on the 360 test images.
    """

    rates: Array
    loss: Array
    squared_norm: Array
    squared_gradient: Array
    cosine: Array
    angle: Array
    test: float


@cache
def train(
    rate: float, decay: float = 0.0, *, seed: int, scale: float = 1.0, epochs: int = 13, growing: bool = False
) -> Run:
    """Train a network in which the length of no weight matters (`network`, invariant, eps 0) by plain SGD on digits.

    Args:
        rate: the learning rate.
        decay: weight decay.
        seed: of weights and shuffles.
        scale: factor of all initial weights.
        epochs: passes over the 1437 training images, 23 updates each.
        growing: do not decay, and let the rate grow instead, so that the same functions are learned: in update t,
            counted from 0, it is rate * (1 - rate * decay) ** -(2 t + 1) (Li and Arora 2020).
    """
    model = network(seed=seed, scale=scale, invariant=True, eps=0.0)
    shrink = 1 - rate * decay
    rates = (
        rate * shrink ** -(2.0 * np.arange(epochs * EPOCH + 1) + 1) if growing else np.full(epochs * EPOCH + 1, rate)
    )
    optimizer = SGD(model, rates[0], weight_decay=0.0 if growing else decay)
    dense = [layer for layer in model.stack if isinstance(layer, Dense)]
    weights = [[layer.weight for layer in dense]]
    gradients: list[list[Array]] = []

    def look(done: int) -> None:
        weights.append([layer.weight for layer in dense])
        gradients.append([layer.grads["weight"] for layer in dense])
        optimizer.learning_rate = float(rates[done])

    x, labels = load_digits().train
    history = fit(
        model, optimizer, x.astype(np.float64), labels, epochs=epochs, batch_size=BATCH,
        rng=np.random.default_rng(seed), progress=False, after_step=look,
    )  # fmt: skip
    norms = _over_layers(lambda w: np.sum(w * w), weights)
    squares = _over_layers(lambda g: np.sum(g * g), gradients)
    along = _over_layers(lambda w, g: np.sum(w * g), weights[:-1], gradients)
    apart = _over_layers(
        lambda w, v: np.linalg.norm(w / np.linalg.norm(w) - v / np.linalg.norm(v)), weights[:-1], weights[1:]
    )
    test, right = load_digits().test
    return Run(
        rates=rates[:-1],
        loss=np.array(history.loss),
        squared_norm=norms,
        squared_gradient=squares,
        cosine=along / np.sqrt(norms[:-1] * squares),
        angle=2 * np.arcsin(np.minimum(apart / 2, 1)),
        test=accuracy(model, test.astype(np.float64), right),
    )


def _over_layers(measure: Callable[..., Any], *of_steps: list[list[Array]]) -> Array:
    return np.array([[measure(*each) for each in zip(*layers, strict=True)] for layers in zip(*of_steps, strict=True)])


class Trained(NamedTuple):
    """What came out of training a usual network.

    Attributes:
        loss: training loss before each update, in nats; ends with the epoch in which training diverged.
        test: accuracy on the 360 test images, in inference mode; that of guessing if training diverged.
        gamma: mean |gamma| of the last BN; NaN without BN.
        length: of the middle layer's weights, before and after.
    """

    loss: Array
    test: float
    gamma: float
    length: tuple[float, float]

    @property
    def late(self) -> float:
        """Mean training loss over the last epoch."""
        return float(np.mean(self.loss[-EPOCH:]))


#: The parameters of a usual network, by whether their length matters: that of the first does not.
GROUPS = ("weights before BN", "γ and β", "output layer")


@cache
def train_usual(
    rate: float,
    *,
    seed: int,
    with_bn: bool = True,
    scale: float = 1.0,
    hidden_rate: float | None = None,
    decay: float = 0.0,
    decayed: str | None = None,
    epochs: int = 10,
    then: int = 0,
) -> Trained:
    """Train the usual network: BN in the hidden layers only, with gamma and beta, and an output layer without.

    Args:
        rate: the learning rate; plain SGD.
        seed: of weights and shuffles.
        with_bn: as `network`.
        scale: factor of the hidden layers' initial weights.
        hidden_rate: the learning rate of the hidden layers' weights, if it is another.
        decay: weight decay.
        decayed: which of `GROUPS` decays; by default all three.
        epochs: passes over the 1437 training images, 23 updates each.
        then: further passes with a tenth of the learning rate.
    """
    model = network(seed=seed, scale=scale, with_bn=with_bn)
    dense = [layer for layer in model.stack if isinstance(layer, Dense)]
    hidden, output = dense[:-1], dense[-1]
    norms = [layer for layer in model.stack if isinstance(layer, BatchNorm)]
    of_hidden = rate if hidden_rate is None else hidden_rate
    groups: tuple[Sequence[Layer], ...] = (hidden, norms, [output])
    first, *others = optimizers = [
        SGD(Sequential(*layers), own, weight_decay=decay if decayed in (name, None) else 0.0)
        for name, layers, own in zip(GROUPS, groups, (of_hidden, rate, rate), strict=True)
    ]

    def step_the_others(_: int) -> None:
        for optimizer in others:
            optimizer.step()

    x, labels = load_digits().train
    test, right = load_digits().test
    rng = np.random.default_rng(seed)
    begun, loss = float(np.linalg.norm(hidden[-1].weight)), list[float]()
    with np.errstate(all="ignore"):  # some of these runs diverge, and that is what they are for
        for epoch in range(epochs + then):
            if epoch == epochs:
                for optimizer in optimizers:
                    optimizer.learning_rate /= 10
            loss += fit(
                model, first, x.astype(np.float64), labels, epochs=1, batch_size=BATCH,
                rng=rng, progress=False, after_step=step_the_others,
            ).loss  # fmt: skip
            if not all(np.isfinite(values).all() for values in (loss, *(bn.running_var for bn in norms))):
                return Trained(np.array(loss), 0.1, np.nan, (begun, np.nan))
        found = accuracy(model, test.astype(np.float64), right)
    gamma = float(np.mean(np.abs(norms[-1].gamma))) if norms else np.nan
    return Trained(np.array(loss), found, gamma, (begun, float(np.linalg.norm(hidden[-1].weight))))


# The explorable: two weights, many mini-batches


class Turns(NamedTuple):
    """Examples for one unit with two weights and BN, and mini-batches of them.

    Attributes:
        x: `(24, 2)`, on a circle, so that the variance of x @ w hardly depends on where w points.
        targets: `(24,)`, which no direction of the weights fits: there is a gradient in every mini-batch.
        batches: the rows of each mini-batch; `(steps, 8)`.
    """

    x: Array
    targets: Array
    batches: Array


def turns(*, steps: int = 200, seed: int = 0) -> Turns:
    """Draw the examples and the mini-batches; numbers are rounded to hundredths, as they are shown."""
    rng = np.random.default_rng(seed)
    angle = 2 * np.pi * np.arange(24) / 24
    x = (np.sqrt(2) * np.stack([np.cos(angle), np.sin(angle)], axis=1)).round(2)
    targets = (x @ [0.8, 0.6] + 2 * rng.normal(size=24)).round(2)
    batches = np.array([rng.choice(24, 8, replace=False) for _ in range(steps)])
    return Turns(x, targets, batches)
