"""Experiments of the chapter on the forward pass: exact arithmetic on one batch, epsilon, the bias, where BN goes.

The forward pass itself is in `bn_lib.normalizers`; what is shown of it here are its properties.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal, NamedTuple, TypeAlias

import numpy as np

from bn_book.data import load_digits
from bn_book.runs import cache
from bn_lib._arrays import Array
from bn_lib.batchnorm import BatchNorm
from bn_lib.layer import Layer
from bn_lib.network import Dense, ReLU, Sequential, softmax_cross_entropy
from bn_lib.training import SGD, accuracy, fit

CHAPTER = "forward"

# By hand


@dataclass(frozen=True)
class ByHand:
    """The forward pass of one feature in exact fractions: nothing is rounded.

    Attributes:
        x: the batch, m values.
        gamma, beta, eps: scale, shift, and what is added to the variance.
    """

    x: tuple[Fraction, ...]
    gamma: Fraction
    beta: Fraction
    eps: Fraction

    @classmethod
    def of(cls, x: Sequence[str], *, gamma: str, beta: str, eps: str) -> "ByHand":
        """The batch from decimals as they are written: "0.1" is one tenth, which no float is."""
        return cls(tuple(Fraction(value) for value in x), Fraction(gamma), Fraction(beta), Fraction(eps))

    @property
    def mean(self) -> Fraction:
        """mu = sum(x) / m."""
        return sum(self.x, Fraction()) / len(self.x)

    @property
    def deviations(self) -> tuple[Fraction, ...]:
        """x - mu."""
        return tuple(value - self.mean for value in self.x)

    @property
    def var(self) -> Fraction:
        """sigma2 = sum((x - mu)**2) / m."""
        return sum((d * d for d in self.deviations), Fraction()) / len(self.x)

    @property
    def root(self) -> Fraction:
        """sqrt(sigma2 + eps), where that is a fraction.

        Raises:
            ValueError: if it is not.
        """
        square = self.var + self.eps
        root = Fraction(math.isqrt(square.numerator), math.isqrt(square.denominator))
        if root * root != square:
            raise ValueError(f"var + eps is {square}; expected the square of a fraction")
        return root

    @property
    def x_hat(self) -> tuple[Fraction, ...]:
        """(x - mu) / sqrt(sigma2 + eps)."""
        return tuple(d / self.root for d in self.deviations)

    @property
    def y(self) -> tuple[Fraction, ...]:
        """gamma * x_hat + beta."""
        return tuple(self.gamma * value + self.beta for value in self.x_hat)


#: The batch that this chapter and the next work by hand. It was chosen so that the root comes out.
BATCH = ByHand.of(["1.2", "0.4", "1.8", "0.6", "1.0"], gamma="3", beta="-1", eps="0.01")


# Epsilon


def output_std(std: Array, eps: float, *, outside: bool = False) -> Array:
    """Standard deviation of x_hat for a feature with standard deviation `std`.

        inside the root:   std / sqrt(std**2 + eps)
        outside it:        std / (std + eps)

    Args:
        std: of any shape; in the units of x.
        eps: > 0; in the units of x squared inside the root, of x outside.
        outside: whether eps is added after the root was taken, which is a mistake.
    """
    return std / (std + eps) if outside else std / np.sqrt(std * std + eps)


def linear_share(gamma: float, *, nodes: int = 80) -> float:
    """How much of sigmoid(gamma * z) a straight line in z explains, for z normally distributed: R squared, 0 to 1.

        R2 = cov(z, s)**2 / (var(z) * var(s))    with s = sigmoid(gamma * z), var(z) = 1

    The expectations are Gauss-Hermite sums, so nothing is random.

    Args:
        gamma: the scale, > 0.
        nodes: of the quadrature.
    """
    z, weights = np.polynomial.hermite_e.hermegauss(nodes)
    weights = weights / weights.sum()
    s = 0.5 * (1 + np.tanh(0.5 * gamma * z))
    covariance = weights @ (z * s)
    return float(covariance**2 / (weights @ s**2 - (weights @ s) ** 2))


# The bias before BN


class BiasEffect(NamedTuple):
    """What a bias between a dense layer and BN does.

    Attributes:
        output_change: largest change of any output when a bias of standard deviation 10 is added.
        bias_gradient: largest absolute entry of the gradient with respect to the bias.
        weight_gradient: the same for the weights of that layer, for comparison.
        mean_change: largest difference between the change of the batch mean and the bias.
    """

    output_change: float
    bias_gradient: float
    weight_gradient: float
    mean_change: float


def bias_effect(*, seed: int = 0, batch_size: int = 60, units: int = 100) -> BiasEffect:
    """Digits through Dense, BN, ReLU, Dense, once without and once with a large bias before BN; float64.

    Args:
        seed: of the weights and the bias.
        batch_size: training images in the mini-batch.
        units: outputs of the first dense layer.
    """
    rng = np.random.default_rng(seed)
    dense = Dense(64, units, rng=rng)
    model = Sequential(dense, BatchNorm(units, momentum=1.0), ReLU(), Dense(units, 10, rng=rng))
    norm = model.stack[1]
    assert isinstance(norm, BatchNorm)
    images, labels = (part[:batch_size] for part in load_digits().train)
    x = images.astype(np.float64)

    before, mean_before = model.forward(x), norm.running_mean
    dense.bias = rng.normal(size=units) * 10
    after, mean_after = model.forward(x), norm.running_mean
    model.backward(softmax_cross_entropy(after, labels)[1])
    return BiasEffect(
        output_change=float(np.abs(after - before).max()),
        bias_gradient=float(np.abs(dense.grads["bias"]).max()),
        weight_gradient=float(np.abs(dense.grads["weight"]).max()),
        mean_change=float(np.abs(mean_after - mean_before - dense.bias).max()),
    )


# Before or after the activation

Place: TypeAlias = Literal["before", "after", "before, then centered", "before, then scaled"]
PLACES: tuple[Place, ...] = ("before", "after", "before, then centered", "before, then scaled")

#: Standard deviation of max(z, 0) for z normally distributed with mean 0 and variance 1.
RELU_STD = math.sqrt(1 / 2 - 1 / (2 * math.pi))


class Centered(Layer):
    """y = x - mean(x) over the mini-batch, and in inference x minus the running mean: BN without its division.

    Args:
        units: features of x.
        momentum: weight of the new mean in the running mean.
    """

    def __init__(self, units: int, momentum: float = 0.1) -> None:
        super().__init__()
        self.momentum = momentum
        self.running_mean = np.zeros(units, dtype=np.float32)

    def forward(self, x: Array) -> Array:
        """Return x minus a mean, of the shape of x, `(N, units)`."""
        self._keep(x.shape)
        if not self.training:
            return x - self.running_mean
        mean = x.mean(axis=0)
        self.running_mean = (1 - self.momentum) * self.running_mean + self.momentum * mean
        return x - mean

    def backward(self, dy: Array) -> Array:
        """Return dy minus its mean over the mini-batch."""
        self._last()
        self._went_back()
        return dy - dy.mean(axis=0)


class Scaled(Layer):
    """y = factor * x."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: Array) -> Array:
        """Return factor * x, of the dtype of x."""
        self._keep(x.shape)
        return x * x.dtype.type(self.factor)

    def backward(self, dy: Array) -> Array:
        """Return factor * dy."""
        self._last()
        self._went_back()
        return dy * dy.dtype.type(self.factor)


def relu_network(place: Place, *, rng: np.random.Generator, hidden: tuple[int, ...] = (64, 64)) -> Sequential:
    """A network for flat digits with BN before or after each ReLU, float32.

    Args:
        place: where BN stands. Before the ReLU, the dense layer has no bias. In two networks with BN before it, what
            the ReLU passes on is then "centered" over the mini-batch, or "scaled" by the constant 1 / `RELU_STD`.
        rng: source of the weights.
        hidden: units of each hidden layer.

    Raises:
        ValueError: if `place` is none of `PLACES`.
    """
    if place not in PLACES:
        raise ValueError(f"place is {place!r}; expected one of {PLACES}")
    layers: list[Layer] = []
    inputs = 64
    for units in hidden:
        layers.append(Dense(inputs, units, rng=rng, bias=place == "after", dtype=np.float32))
        norm = BatchNorm(units, dtype=np.float32)
        layers += [ReLU(), norm] if place == "after" else [norm, ReLU()]
        if place == "before, then centered":
            layers.append(Centered(units))
        if place == "before, then scaled":
            layers.append(Scaled(1 / RELU_STD))
        inputs = units
    return Sequential(*layers, Dense(inputs, 10, rng=rng, dtype=np.float32))


@cache
def accuracies(
    place: Place,
    learning_rate: float,
    *,
    epochs: int = 3,
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4),
    batch_size: int = 60,
    learn_gamma: bool = True,
) -> Array:
    """Test accuracy of `relu_network` on digits, in percent, one number per seed.

    The networks of a seed start from the same weights and see the same mini-batches in the same order.

    Args:
        place: where BN stands.
        learning_rate: of plain SGD.
        epochs: passes over the 1437 training images.
        seeds: of the weights and the shuffles.
        batch_size: images per mini-batch.
        learn_gamma: whether gamma is trained; otherwise it stays 1.
    """
    data = load_digits()

    def run(seed: int) -> float:
        model = relu_network(place, rng=np.random.default_rng(seed))
        norms = [layer for layer in model.stack if isinstance(layer, BatchNorm)]

        def gamma_back_to_one(_: int) -> None:
            for norm in norms:
                norm.gamma = np.ones_like(norm.gamma)

        fit(
            model,
            SGD(model, learning_rate),
            *data.train,
            epochs=epochs,
            batch_size=batch_size,
            rng=np.random.default_rng(1000 + seed),
            progress=False,
            after_step=None if learn_gamma else gamma_back_to_one,
        )
        return 100 * accuracy(model, *data.test)

    return np.array([run(seed) for seed in seeds])


def placement_gain(learning_rate: float, *, epochs: int = 3, seeds: tuple[int, ...] = (0, 1, 2, 3, 4)) -> Array:
    """Accuracy with BN after the ReLU minus accuracy with BN before it, in percentage points, one per seed."""
    after, before = (accuracies(place, learning_rate, epochs=epochs, seeds=seeds) for place in ("after", "before"))
    return np.subtract(after, before)


def share_of_the_gain(place: Place, *, learning_rate: float = 0.01, seeds: tuple[int, ...] = (0, 1, 2, 3, 4)) -> float:
    """How much of what BN after the ReLU gains over BN before it another network gains too: 1 for all of it.

    Args:
        place: the other network.
        learning_rate: of plain SGD.
        seeds: of the weights and the shuffles.
    """
    before, after, other = (float(accuracies(p, learning_rate, seeds=seeds).mean()) for p in ("before", "after", place))
    return (other - before) / (after - before)


class Shape(NamedTuple):
    """The shape of a distribution, whatever its mean and spread.

    Attributes:
        skewness: size of the third standardized moment, averaged over units; 0 only if every unit's is 0.
        zeros: fraction of values that are exactly 0.
    """

    skewness: float
    zeros: float


@cache
def shapes(*, seed: int = 0, epochs: int = 3) -> dict[Literal["pre-activation", "activation"], Shape]:
    """Shapes of W u + b and of ReLU(W u + b), unit by unit, in the first hidden layer of a trained network.

    The network has BN after its ReLUs, so neither place was standardized when the values were taken.

    Args:
        seed: of the weights and the shuffles.
        epochs: passes over the training images, at a learning rate of 0.1.
    """
    data = load_digits()
    model = relu_network("after", rng=np.random.default_rng(seed))
    fit(
        model,
        SGD(model, 0.1),
        *data.train,
        epochs=epochs,
        batch_size=60,
        rng=np.random.default_rng(1000 + seed),
        progress=False,
    )
    dense, relu = model.stack[:2]
    pre = dense.forward(data.test[0])
    return {"pre-activation": shape_of(pre), "activation": shape_of(relu.forward(pre))}


def shape_of(values: Array) -> Shape:
    """Shape of each column's distribution, averaged over the columns that are not constant.

    Args:
        values: `(N, units)`.
    """
    wide = values.astype(np.float64)
    varying = wide[:, wide.std(axis=0) > 0]
    z = (varying - varying.mean(axis=0)) / varying.std(axis=0)
    # Without the absolute value, units that lean left and units that lean right would cancel.
    return Shape(float(np.abs((z**3).mean(axis=0)).mean()), float((values == 0).mean()))


# The variance, numerically

VarianceFormula: TypeAlias = Literal["one pass", "two passes"]


def variance_errors(ratios: Sequence[float], *, m: int = 1024, seed: int = 0) -> dict[VarianceFormula, Array]:
    """Relative error of the variance of a float32 batch, for each ratio of mean to standard deviation.

        one pass:     mean(x**2) - mean(x)**2
        two passes:   mean((x - mean(x))**2)

    The reference is the float64 variance of the same float32 numbers.

    Args:
        ratios: mean / standard deviation; the standard deviation is 1.
        m: values in the batch.
        seed: of the values.

    Returns:
        For each formula an array of the length of `ratios`.
    """
    noise = np.random.default_rng(seed).normal(size=m)
    batches = [(ratio + noise).astype(np.float32) for ratio in ratios]
    truth = np.array([batch.astype(np.float64).var() for batch in batches])
    found: dict[VarianceFormula, list[float]] = {
        "one pass": [float((b * b).mean() - b.mean() ** 2) for b in batches],
        "two passes": [float(((b - b.mean()) ** 2).mean()) for b in batches],
    }
    return {formula: np.abs(np.array(values) - truth) / truth for formula, values in found.items()}


def cancellation_slope(*, seeds: tuple[int, ...] = (0, 1, 2, 3, 4, 5, 6, 7)) -> float:
    """Exponent p in `error ~ (mean / std)**p` of the one-pass variance in float32, fitted over three decades.

    The expected 2 is the bound of Chan, Golub and LeVeque (1983).
    """
    ratios = np.logspace(0.5, 3.5, 13)
    errors = [variance_errors(ratios.tolist(), seed=s)["one pass"] for s in seeds]
    rms = np.sqrt(np.mean(np.square(errors), axis=0))
    return float(np.polyfit(np.log10(ratios), np.log10(rms), 1)[0])


def bias_gradient_share(*, seed: int = 0) -> float:
    """Largest gradient of the bias before BN, as a fraction of the largest gradient of the weights beside it."""
    effect = bias_effect(seed=seed)
    return effect.bias_gradient / effect.weight_gradient


def skewness_gap(*, seed: int = 0) -> float:
    """Size of the skewness of ReLU(W u + b) minus that of W u + b, each averaged over units."""
    found = shapes(seed=seed)
    return found["activation"].skewness - found["pre-activation"].skewness
