"""Experiments of the chapter on batch size: the noise of a mini-batch's statistics, and what it does to a network.

The noise is given exactly where there is a formula and drawn where there is not. The networks are small, with dense
layers only, so that one mean is taken over just the samples of a mini-batch: m is the batch size.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations, product
from typing import Any, NamedTuple

import numpy as np

from bn_book.data import TRAINING_ROWS, load_digits
from bn_book.networks import Normalizer
from bn_book.runs import cache
from bn_lib import _checks as check
from bn_lib._arrays import Array
from bn_lib.batchnorm import BatchNorm, GroupNorm, LayerNorm
from bn_lib.layer import Layer, only_looked_at
from bn_lib.moments import Moments
from bn_lib.network import Dense, ReLU, Sequential
from bn_lib.normalizers import instance_norm, instance_norm_backward
from bn_lib.training import SGD, accuracy, fit

CHAPTER = "batch_size"

SIZES = (2, 4, 8, 16, 32)
SEEDS = (0, 1, 2)
NORMALIZERS: dict[str, Normalizer] = {
    "batch": BatchNorm,
    "layer": LayerNorm,
    "group": lambda channels: GroupNorm(8, channels),
}


# By hand


@dataclass(frozen=True)
class AllBatches:
    """Every mini-batch that can be drawn from a small population, with its statistics, in exact fractions.

    Attributes:
        population: the values.
        batches: the mini-batches, each as likely as any other.
    """

    population: tuple[Fraction, ...]
    batches: tuple[tuple[Fraction, ...], ...]

    @classmethod
    def of(cls, population: Sequence[int], m: int, *, replace: bool) -> "AllBatches":
        """All mini-batches of m values.

        Args:
            population: whole numbers.
            m: values in a mini-batch.
            replace: put each value back before the next is drawn (independent draws: ordered batches in which a value
                may occur twice), or not (as in one epoch: subsets).
        """
        values = tuple(Fraction(value) for value in population)
        return cls(values, tuple(product(values, repeat=m) if replace else combinations(values, m)))

    @property
    def means(self) -> tuple[Fraction, ...]:
        """mu_B of each mini-batch."""
        return tuple(_mean(batch) for batch in self.batches)

    @property
    def variances(self) -> tuple[Fraction, ...]:
        """sigma2_B of each mini-batch, the biased variance."""
        return tuple(_variance(batch) for batch in self.batches)

    @property
    def mean(self) -> Fraction:
        """mu of the population."""
        return _mean(self.population)

    @property
    def variance(self) -> Fraction:
        """sigma2 of the population."""
        return _variance(self.population)

    @property
    def variance_of_means(self) -> Fraction:
        """How far mu_B scatters: the variance of `means`."""
        return _variance(self.means)

    @property
    def mean_of_variances(self) -> Fraction:
        """What sigma2_B is on average."""
        return _mean(self.variances)

    @property
    def variance_of_variances(self) -> Fraction:
        """How far sigma2_B scatters: the variance of `variances`."""
        return _variance(self.variances)


def _mean(values: Sequence[Fraction]) -> Fraction:
    return sum(values, Fraction()) / len(values)


def _variance(values: Sequence[Fraction]) -> Fraction:
    mean = _mean(values)
    return _mean([(value - mean) ** 2 for value in values])


# The exact distribution


def mean_density(deviation: Array, m: int) -> Array:
    """Probability density of (mu_B - mu) / sigma for m independent normal values: that of N(0, 1/m).

    Args:
        deviation: where the density is wanted, in standard deviations of the population.
        m: values in the mini-batch, at least 1.
    """
    m = check.positive_int(m, "m")
    return np.sqrt(m / (2 * np.pi)) * np.exp(-0.5 * m * np.asarray(deviation) ** 2)


def variance_density(ratio: Array, m: int) -> Array:
    """Probability density of sigma2_B / sigma2 for m independent normal values.

    m * sigma2_B / sigma2 has the chi-squared distribution with m - 1 degrees of freedom (Cochran 1934), so

        density(r) = m * chi2_density(m * r)

    Args:
        ratio: where the density is wanted; > 0.
        m: values in the mini-batch, at least 2.
    """
    half, x = _degrees_of_freedom(m) / 2, m * np.asarray(ratio) / 2
    return m / 2 * np.exp((half - 1) * np.log(x) - x - math.lgamma(half))


def variance_quantile(probability: float, m: int) -> float:
    """The value of sigma2_B / sigma2 that is not exceeded with this probability, for m independent normal values.

    It has 12 digits or more, and fewer where 1 - probability is so small that a float has fewer of it.

    Args:
        probability: > 0 and < 1.
        m: values in the mini-batch, at least 2.

    Source: Laurent and Massart (2000), lemma 1, for the bound from which the interval is halved.
    """
    if not 0 < probability < 1:
        raise ValueError(f"probability is {probability}; expected a number between 0 and 1")
    degrees, tail = _degrees_of_freedom(m), -math.log1p(-probability)
    low, high = 0.0, degrees + 2 * math.sqrt(degrees * tail) + 2 * tail
    while low < (middle := (low + high) / 2) < high:
        if _chi2_distribution(middle, degrees) < probability:
            low = middle
        else:
            high = middle
    return high / m


def _chi2_distribution(x: float, degrees: int) -> float:
    """P(chi-squared <= x), by the series of the incomplete gamma function: all its terms are positive.

    With a = degrees / 2 and t = x / 2:

        P(a, t) = t^a exp(-t) / Gamma(a + 1) * (1 + t / (a + 1) + t^2 / ((a + 1) (a + 2)) + ...)

    Source: Abramowitz and Stegun (1964), 6.5.29.
    """
    a, t = degrees / 2, x / 2
    total, term, n = 0.0, 1.0, a
    while total + term != total:
        total += term
        n += 1
        term *= t / n
    return math.exp(a * math.log(t) - t - math.lgamma(a + 1)) * total if t else 0.0


def _degrees_of_freedom(m: int) -> int:
    m = check.positive_int(m, "m")
    if m < 2:
        raise ValueError(f"m is {m}; expected at least 2, or there is no variance")
    return m - 1


def variance_noise(m: int, excess_kurtosis: float = 0.0) -> float:
    """Variance of sigma2_B / sigma2 for m independent values of any distribution.

        Var(sigma2_B) / sigma2**2 = (m - 1) / m**2 * (2 + excess_kurtosis * (m - 1) / m)

    Args:
        m: values in the mini-batch, at least 2.
        excess_kurtosis: mu4 / sigma2**2 - 3 of the population; 0 for a normal one.
    """
    return _degrees_of_freedom(m) / m**2 * (2 + excess_kurtosis * (m - 1) / m)


class Noise(NamedTuple):
    """Statistics of many mini-batches of standard normal values.

    Attributes:
        mean: mu_B of each, in standard deviations of the population.
        var: sigma2_B of each, in variances of the population.
    """

    mean: Array
    var: Array


def draw_statistics(m: int, *, batches: int = 4000, seed: int = 0) -> Noise:
    """Draw mini-batches of m standard normal values, and take the statistics that BN would take."""
    moments = Moments.of(np.random.default_rng(seed).normal(size=(m, batches)), axis=0)
    return Noise(moments.mean, moments.var())


class DigitNoise(NamedTuple):
    """Noise of batch statistics on real features, against the formulas; each number is an average over features.

    Attributes:
        mean_noise: Var(mu_B) / (sigma2 / m); 1 if the formula holds.
        bias: average sigma2_B / sigma2; (m - 1) / m if the formula holds.
        var_noise: Var(sigma2_B) / (its formula with the features' own kurtosis); 1 if the formula holds.
        var_noise_if_normal: Var(sigma2_B) / (its formula for normal values).
        excess_kurtosis: of the features; 0 if they were normal.
    """

    mean_noise: float
    bias: float
    var_noise: float
    var_noise_if_normal: float
    excess_kurtosis: float


@cache
def noise_on_digits(m: int, *, batches: int = 3000, seed: int = 0) -> DigitNoise:
    """Statistics of mini-batches of the 64 features of a dense layer on digits, at initialization.

    The population is the 1437 training images; each mini-batch is drawn from it with replacement.
    """
    rng = np.random.default_rng(seed)
    features = Dense(64, 64, rng=rng).forward(load_digits().train[0].astype(np.float64))
    everything = Moments.of(features, axis=0)
    sigma2 = everything.var()
    kurtosis = np.mean((features - everything.mean) ** 4, axis=0) / sigma2**2 - 3

    found = Moments.of(features[rng.integers(0, len(features), (m, batches))], axis=0)
    mean_noise = found.mean.var(axis=0) / (sigma2 / m)
    var_noise = found.var().var(axis=0) / sigma2**2
    return DigitNoise(
        mean_noise=float(np.mean(mean_noise)),
        bias=float(np.mean(found.var().mean(axis=0) / sigma2)),
        var_noise=float(np.mean(var_noise / [variance_noise(m, k) for k in kurtosis])),
        var_noise_if_normal=float(np.mean(var_noise) / variance_noise(m)),
        excess_kurtosis=float(np.mean(kurtosis)),
    )


# The company an example keeps


def relu_network(*, rng: np.random.Generator, normalizer: Normalizer, hidden: tuple[int, ...] = (64, 64)) -> Sequential:
    """Dense layers, each followed by a normalizer and a ReLU, for the 64 inputs and 10 classes of the digits.

    Args:
        rng: source of the weights.
        normalizer: makes a normalizing layer from its number of features, such as `BatchNorm`.
        hidden: units of each hidden layer.
    """
    layers: list[Layer] = []
    inputs = 64
    for units in hidden:
        layers += [Dense(inputs, units, rng=rng, bias=False, dtype=np.float32), normalizer(units), ReLU()]
        inputs = units
    return Sequential(*layers, Dense(inputs, 10, rng=rng, dtype=np.float32))


@cache
def _trained(seed: int) -> Sequential:
    """A network trained on mini-batches of 32 for 5 epochs, in inference mode. Whoever changes it puts it back."""
    rng = np.random.default_rng(seed)
    model = relu_network(rng=rng, normalizer=BatchNorm)
    fit(model, SGD(model, 0.3), *load_digits().train, epochs=5, batch_size=32, rng=rng, progress=False)
    return model.eval()


@contextmanager
def _batch_statistics(model: Sequential) -> Iterator[Sequential]:
    """Use the model in training mode for a while; its mode and running statistics are as before afterwards."""
    with only_looked_at(model):
        yield model.train()


def _probabilities(logits: Array) -> Array:
    exponentials = np.exp(logits - np.max(logits, axis=-1, keepdims=True))
    return exponentials / np.sum(exponentials, axis=-1, keepdims=True)


class Company(NamedTuple):
    """One test image among many different companions.

    Attributes:
        image: 8 x 8, values from 0 to 1.
        label: its class.
        sizes: batch sizes.
        probability: of the right class, with the statistics of the mini-batch; one row for each size, one column for
            each choice of companions.
        predicted: the class with the highest probability; shape of `probability`.
        alone: the probability of the right class in inference mode.
    """

    image: Array
    label: int
    sizes: tuple[int, ...]
    probability: Array
    predicted: Array
    alone: float


@cache
def one_in_company(
    label: int, *, sizes: tuple[int, ...] = (*SIZES, 64), companions: int = 40, seed: int = 0
) -> Company:
    """The first test image of a class, in training mode, with companions drawn from the other test images.

    Args:
        label: the class, 0 to 9.
        sizes: batch sizes, the image itself included.
        companions: how many times the others are drawn for each size.
        seed: of the network and of the draws.
    """
    x, labels = load_digits().test
    index = int(np.flatnonzero(labels == label)[0])
    others = np.delete(np.arange(len(x)), index)
    rng = np.random.default_rng([seed, label])
    model = _trained(seed)
    alone = float(_probabilities(model.forward(x[[index]]))[0, label])
    with _batch_statistics(model):
        first = [
            [model.forward(x[[index, *rng.choice(others, m - 1, replace=False)]])[0] for _ in range(companions)]
            for m in sizes
        ]
    p = _probabilities(np.asarray(first))
    return Company(x[index].reshape(8, 8), label, sizes, p[..., label], p.argmax(axis=-1), alone)


class Changed(NamedTuple):
    """All test images among random companions.

    Attributes:
        batch_size: how many stand together.
        changed: share of predictions that differ from those in inference mode.
        accuracy: share of predictions that are right.
    """

    batch_size: int
    changed: float
    accuracy: float


@cache
def changed_by_company(batch_size: int, *, repeats: int = 10, seed: int = 0) -> Changed:
    """Shuffle the 360 test images into mini-batches, predict in training mode, and compare with inference mode.

    Args:
        batch_size: images in a mini-batch; those left over sit out that time.
        repeats: how many times they are shuffled.
        seed: of the network and of the shuffles.
    """
    x, labels = load_digits().test
    rng = np.random.default_rng([seed, batch_size])
    model = _trained(seed)
    in_inference = model.forward(x).argmax(axis=1)
    whole = len(x) - len(x) % batch_size
    changed, right = [], []
    with _batch_statistics(model):
        for _ in range(repeats):
            for rows in rng.permutation(len(x))[:whole].reshape(-1, batch_size):
                predicted = model.forward(x[rows]).argmax(axis=1)
                changed.append(np.mean(predicted != in_inference[rows]))
                right.append(np.mean(predicted == labels[rows]))
    return Changed(batch_size, float(np.mean(changed)), float(np.mean(right)))


def accuracy_in_inference(seed: int = 0) -> float:
    """Share of the 360 test images that the same network gets right with its running statistics."""
    return accuracy(_trained(seed), *load_digits().test)


# Accuracy against batch size


class Trained(NamedTuple):
    """What came out of one training run.

    Attributes:
        test: accuracy on the 360 test images, in inference mode.
        train: accuracy on the images it was trained with, in inference mode.
        loss: mean training loss over the last 20 updates, in nats.
        updates: how many updates there were.
    """

    test: float
    train: float
    loss: float
    updates: int


@cache
def train_with_batch_size(
    normalizer: str, batch_size: int, *, seed: int, images: int = 960, epochs: int = 2, rate_at_32: float = 0.2
) -> Trained:
    """Train the ReLU network on digits for a fixed number of epochs, with a learning rate proportional to batch size.

    Both choices are those of Wu and He (2018), section 4.1: every image is seen equally often, and small mini-batches
    make more and smaller steps.

    Args:
        normalizer: "batch", "layer" or "group" (8 groups).
        batch_size: of gradients and statistics alike.
        seed: of weights and shuffles.
        images: how many of the training images are used; the first ones.
        epochs: passes over them.
        rate_at_32: the learning rate at a batch size of 32; plain SGD.
    """
    return _train(NORMALIZERS[normalizer], batch_size, rate_at_32 * batch_size / 32, epochs, seed, images)


@cache
def train_with_statistics_of(m: int, *, seed: int, batch_size: int = 64, epochs: int = 4, rate: float = 0.3) -> Trained:
    """Train the ReLU network with BN statistics of m samples; everything else is the same for every m.

    Args:
        m: samples that share statistics, a divisor of `batch_size`.
        seed: of weights and shuffles: the same mini-batches for every m.
        batch_size: of the gradient.
        epochs: passes over the 1437 training images.
        rate: learning rate; plain SGD.
    """
    return _train(lambda channels: GhostBatchNorm(channels, m), batch_size, rate, epochs, seed, TRAINING_ROWS)


def _train(normalizer: Normalizer, batch_size: int, rate: float, epochs: int, seed: int, images: int) -> Trained:
    rng = np.random.default_rng(seed)
    (x, labels), test = load_digits()
    x, labels = x[:images], labels[:images]
    model = relu_network(rng=rng, normalizer=normalizer)
    history = fit(model, SGD(model, rate), x, labels, epochs=epochs, batch_size=batch_size, rng=rng, progress=False)
    return Trained(
        test=accuracy(model, *test),
        train=accuracy(model, x, labels),
        loss=float(np.mean(history.loss[-20:])),
        updates=len(history.loss),
    )


class GhostBatchNorm(BatchNorm):
    """BN of `(N, C)` whose statistics are of m samples at a time: each mini-batch is split into N / m "ghost" batches.

    A ghost batch of (N, C) is an instance of (N / m, C, m): the samples in it stand where an image has its positions.
    The running statistics move towards the average of the ghost batches' statistics.

    Args:
        num_features: C.
        statistics_of: m, which divides N; at least 2.
        options: as `BatchNorm`.

    Raises:
        ValueError: in training, if m does not divide N.

    Source: Hoffer, Hubara and Soudry (2017), Algorithm 1, where running statistics are updated ghost by ghost.
    """

    def __init__(self, num_features: int, statistics_of: int, **options: Any) -> None:
        super().__init__(num_features, **options)
        self.statistics_of = check.positive_int(statistics_of, "statistics_of")

    def _normalize_batch(self, x: Array) -> tuple[Array, Any]:
        if x.ndim != 2 or x.shape[0] % self.statistics_of:
            raise ValueError(f"x has shape {x.shape}; expected (N, C) with N a multiple of {self.statistics_of}")
        y, cache = instance_norm(self._split(x), self.gamma, self.beta, eps=self.eps)
        return self._join(y), cache

    def _moments(self, cache: Any) -> Iterable[Moments]:
        yield Moments(cache.moments.count, cache.moments.mean.mean(axis=0), cache.moments.m2.mean(axis=0))

    def _gradients(self, dy: Array, cache: Any) -> tuple[Array, Array, Array]:
        if not cache.axes:  # the statistics were the running ones
            return super()._gradients(dy, cache)
        dx, dgamma, dbeta = instance_norm_backward(self._split(dy), cache)
        return self._join(dx), dgamma, dbeta

    def _split(self, x: Array) -> Array:
        """`(N, C)` -> `(N / m, C, m)`."""
        return np.ascontiguousarray(x.reshape(-1, self.statistics_of, x.shape[1]).transpose(0, 2, 1))

    def _join(self, y: Array) -> Array:
        """`(N / m, C, m)` -> `(N, C)`."""
        return y.transpose(0, 2, 1).reshape(-1, y.shape[1])
