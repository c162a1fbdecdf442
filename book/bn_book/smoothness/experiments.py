"""Whether stable inputs or a smooth loss make BN fast: networks disturbed on purpose, and measures of both.

Santurkar et al. (2018) asked with two interventions, noise after BN and normalizers that do not standardize, and with
two measures, how a layer's gradient changes when the layers below have moved, and how the loss and the gradient change
along a step. All four are here, on digits and on their deep linear network. Drawing is in
`bn_book.smoothness.figures`.
"""

import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Literal, NamedTuple, TypeAlias, cast

import numpy as np

from bn_book.covariate_shift.experiments import LARGER_WEIGHTS, path_length, percentiles_per_unit, width_path_length
from bn_book.data import load_digits
from bn_book.networks import standardize_once
from bn_book.runs import cache
from bn_lib._arrays import Array
from bn_lib.batchnorm import BatchNorm
from bn_lib.curvature import loss_and_gradient, parameter_vector, set_parameter_vector
from bn_lib.layer import Layer, only_looked_at
from bn_lib.network import Dense, ReLU, Sequential, Sigmoid
from bn_lib.training import SGD, train_step

Kind: TypeAlias = Literal["plain", "larger weights", "stretched", "standardized once", "BN", "L1", "L2", "Lmax"]
Activation: TypeAlias = Literal["sigmoid", "relu"]

LEARNING_RATE: dict[Activation, float] = {"sigmoid": 0.5, "relu": 0.1}
BATCH_SIZE = 60
EVERY = 10  # steps between two looks at a network
WATCHED = 200  # steps over which stability and smoothness are measured
STRETCH = 2.0
MOST = 1380  # steps that a network is given to learn, as in the chapter on covariate shift
IMAGES = 360  # training images whose way through the network is watched
SEEDS = (0, 1, 2)
DISTANCES = tuple(
    np.geomspace(0.5, 4, 6).tolist()
)  # along the gradient, in learning rates; Santurkar et al. (2018), A.2.2


# Layers that the library has no use for


class Disturbance(Layer):
    """Noise whose distribution is another one at every step: y = s * x + m in training, y = x in inference.

        mu_j ~ U(-0.5 k, 0.5 k),  sigma_j ~ U(1, 1 + 0.25 k)             for each unit, anew in every forward pass
        m_ij ~ U(mu_j - 0.1 k, mu_j + 0.1 k),  s_ij ~ N(sigma_j, 0.1 k)  for each value

    Args:
        units: features of x, `(N, units)`.
        strength: k; 1 is the noise of the paper, 0 none.
        rng: where the noise comes from.

    Source: Santurkar et al. (2018), Algorithm 1, with the constants of section A.2.1.
    """

    def __init__(self, units: int, strength: float, rng: np.random.Generator) -> None:
        super().__init__()
        self.units, self.strength, self.rng = units, strength, rng

    def forward(self, x: Array) -> Array:
        """Return s * x + m, with fresh s and m."""
        if not self.training:
            self._keep(np.ones(1, x.dtype))
            return x
        k, rng = self.strength, self.rng
        mean = rng.uniform(-0.5 * k, 0.5 * k, self.units)
        scale = rng.uniform(1, 1 + 0.25 * k, self.units)
        added = rng.uniform(mean - 0.1 * k, mean + 0.1 * k, x.shape).astype(x.dtype)
        factor = rng.normal(scale, 0.1 * k, x.shape).astype(x.dtype)
        self._keep(factor)
        return factor * x + added

    def backward(self, dy: Array) -> Array:
        """Return s * dy."""
        factor = self._last()
        self._went_back()
        return factor * dy


class Shrink(Layer):
    """y = x / factor, which no training changes.

    Args:
        factor: above 0.
    """

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: Array) -> Array:
        """Return x / factor."""
        return x / self.factor

    def backward(self, dy: Array) -> Array:
        """Return dy / factor."""
        return dy / self.factor


class LpNorm(Layer):
    """A normalizer that does not standardize: centred as in BN, divided by the average size of what came in.

        y = gamma * (x - mean(x)) / s + beta,   s = mean(abs(x)**p)**(1/p) over the batch, before the mean is taken out

    Args:
        num_features: C, of x `(N, C)`.
        p: 1, 2, or infinity, for which s is the largest absolute value.

    Source: Santurkar et al. (2018), section 3.3, which describes it in a sentence; the average is our reading.
    """

    parameter_names = ("gamma", "beta")

    def __init__(self, num_features: int, p: float) -> None:
        super().__init__()
        self.p = p
        self.gamma, self.beta = np.ones(num_features, np.float32), np.zeros(num_features, np.float32)

    def forward(self, x: Array) -> Array:
        """Return y; the statistics are always those of x."""
        size = np.abs(x)
        if math.isinf(self.p):
            s = size.max(axis=0)
            ds = np.sign(x) * (size == s) / (size == s).sum(axis=0)
        else:
            s = (size**self.p).mean(axis=0) ** (1 / self.p)
            ds = np.sign(x) * size ** (self.p - 1) / (len(x) * s ** (self.p - 1))
        normalized = (x - x.mean(axis=0)) / s
        self._keep((normalized, s, ds.astype(x.dtype), self.gamma))
        return self.gamma * normalized + self.beta

    def backward(self, dy: Array) -> Array:
        """dx = (g - mean(g) - sum(g * y_hat) * ds/dx) / s with g = gamma * dy and y_hat the normalized x."""
        normalized, s, ds, gamma = self._last()
        self.grads = {"gamma": (dy * normalized).sum(axis=0), "beta": dy.sum(axis=0)}
        g = gamma * dy
        self._went_back()
        return (g - g.mean(axis=0) - (g * normalized).sum(axis=0) * ds) / s


# Networks


def network(
    kind: Kind,
    activation: Activation = "sigmoid",
    *,
    noise: float = 0.0,
    depth: int = 3,
    units: int = 100,
    seed: int = 0,
) -> Sequential:
    """Dense layers with an activation, for the digits; the weights of all kinds are drawn alike.

    Args:
        kind: what is done to what enters an activation. "plain": nothing; "larger weights": nothing, from initial
            weights of standard deviation 0.5. "stretched": every dense layer has `STRETCH` times its weights and what
            it gives is divided by `STRETCH`, so that it computes what "plain" does. "standardized once": the initial
            weights are rescaled, so that over the training images every input has mean 0 and variance 1 before
            training. The others: normalized at every step.
        activation: "sigmoid", with Glorot's initial weights, or "relu", with He's.
        noise: strength of a `Disturbance` before every activation; 0 for none.
        depth: hidden layers.
        units: of each.
        seed: of the weights and of the noise.
    """
    rng, noises = np.random.default_rng(seed), np.random.default_rng(seed + 500).spawn(depth)
    init: str | float = {"sigmoid": "glorot", "relu": "he"}[activation]
    if kind == "larger weights":
        init = LARGER_WEIGHTS
    exponents = {"L1": 1.0, "L2": 2.0, "Lmax": math.inf}
    layers: list[Layer] = []
    inputs = load_digits().train[0].shape[1]
    normalized = kind == "BN" or kind in exponents
    for generator in noises:
        layers.append(Dense(inputs, units, rng=rng, bias=not normalized, init=init, dtype=np.float32))
        if normalized:
            layers.append(BatchNorm(units, dtype=np.float32) if kind == "BN" else LpNorm(units, exponents[kind]))
        if noise:
            layers.append(Disturbance(units, noise, generator))
        layers.append(Sigmoid() if activation == "sigmoid" else ReLU())
        inputs = units
    model = Sequential(*layers, Dense(inputs, 10, rng=rng, init=init, dtype=np.float32))
    if kind == "stretched":
        set_parameter_vector(model, STRETCH * parameter_vector(model))
        model.stack = [each for layer in model.stack for each in _then_shrunk(layer)]
    return standardize_once(model, load_digits().train[0]) if kind == "standardized once" else model


def _then_shrunk(layer: Layer) -> tuple[Layer, ...]:
    """A dense layer with what divides its output by `STRETCH` behind it; another layer as it is."""
    return (layer, Shrink(STRETCH)) if isinstance(layer, Dense) else (layer,)


def weights_of(model: Sequential) -> list[slice]:
    """Where the weights of each dense layer stand in `parameter_vector`, first layer first."""
    found, at = [], 0
    for layer in model.layers():
        for name in layer.parameter_names:
            size = getattr(layer, name).size
            if isinstance(layer, Dense) and name == "weight":
                found.append(slice(at, at + size))
            at += size
    return found


# Stability


def entering(model: Sequential, images: Array) -> Array:
    """Percentiles of what enters the last layer of activations, all images in one batch, as the next step would see it.

    Returns:
        The 15th, 50th and 85th percentile of each unit, `(3, units)`.
    """
    with only_looked_at(model):
        model.train()
        activations = [at for at, layer in enumerate(model.stack) if isinstance(layer, (Sigmoid, ReLU))]
        return percentiles_per_unit(Sequential(*model.stack[: activations[-1]]).forward(images))


def share_right(model: Sequential) -> float:
    """The share of the test digits that the network gets right: all in one batch, with its statistics, undisturbed."""
    images, labels = load_digits().test
    with only_looked_at(model):
        model.train()
        for layer in model.stack:
            layer.training = not isinstance(layer, Disturbance)
        return float((model.forward(images).argmax(axis=1) == labels).mean())


# Smoothness

LossAndGradient: TypeAlias = Callable[[Sequential], tuple[float, Array]]


class Along(NamedTuple):
    """The loss and its gradient at some distances along the gradient.

    Attributes:
        loss: at the distances.
        change: of the gradient from where it starts, its norm.
        start: the loss where it starts.
        gradient: the gradient's norm there.
        distances: how far the parameters moved, in gradients: a step of gradient descent at that learning rate.
    """

    loss: Array
    change: Array
    start: float
    gradient: float
    distances: Array

    @property
    def beta(self) -> float:
        """The largest change of the gradient per distance moved: "effective beta-smoothness", in 1 / learning rate."""
        return float((self.change / (self.distances * self.gradient)).max())

    @property
    def relative_change(self) -> float:
        """The largest change of the gradient, in gradients."""
        return float(self.change.max() / self.gradient)

    @property
    def loss_range(self) -> float:
        """The largest loss minus the smallest, among the distances."""
        return float(self.loss.max() - self.loss.min())


def along(model: Sequential, gradient_of: LossAndGradient, distances: Sequence[float]) -> Along:
    """Move the parameters against the gradient, and look at the loss and the gradient there; the model stays.

    Args:
        model: the network.
        gradient_of: its loss and gradient, as `bn_lib.curvature.loss_and_gradient` gives them.
        distances: of the steps, as learning rates.

    Source: Santurkar et al. (2018), section 3.2 and figure 4.
    """
    theta = parameter_vector(model)
    start, gradient = gradient_of(model)
    losses, changes = [], []
    with only_looked_at(model):
        for distance in distances:
            set_parameter_vector(model, theta - distance * gradient)
            loss, there = gradient_of(model)
            losses.append(loss)
            changes.append(_norm(there - gradient))
    norm = _norm(gradient)
    return Along(np.array(losses), np.array(changes), start, norm, np.array(distances))


def _norm(vector: Array) -> float:
    """In float64: far along a gradient the squares of float32 numbers are too large for float32."""
    return float(np.linalg.norm(vector.astype(np.float64)))


class Shift(NamedTuple):
    """How the gradient of a layer's weights changes when all layers below it have made their step.

    Attributes:
        norm: of the change.
        relative: the same divided by the norm of the gradient before.
        cosine: of the angle between the gradient before and after.
    """

    norm: float
    relative: float
    cosine: float


def gradient_shift(model: Sequential, gradient_of: LossAndGradient, learning_rate: float) -> list[Shift]:
    """The shift of each dense layer but the first, in their order; the model stays as it is.

    Source: Santurkar et al. (2018), definition 2.1.
    """
    theta = parameter_vector(model)
    _, gradient = gradient_of(model)
    found = []
    with only_looked_at(model):
        for rows in weights_of(model)[1:]:
            below = theta.copy()
            below[: rows.start] -= learning_rate * gradient[: rows.start]
            set_parameter_vector(model, below)
            _, moved = gradient_of(model)
            found.append(_shift(gradient[rows], moved[rows]))
    return found


def _shift(before: Array, after: Array) -> Shift:
    was, change = _norm(before), _norm(after - before)
    return Shift(change, change / was, float(before @ after) / (was * _norm(after)))


# Training, watched


class Watched(NamedTuple):
    """A training run: how stable, how fast, how smooth.

    Attributes:
        percentiles: the 15th, 50th and 85th of what enters each unit of the last hidden layer, every `EVERY` steps
            from 0 to `WATCHED`, `(times, 3, units)`.
        looks: the steps at which it was asked how much of the test is right: every 2 up to 100, then every `EVERY`.
        right: share of the test digits right at those steps, until 0.9 at least.
        landscapes: along the mini-batch's gradient, every 2 `EVERY` steps before `WATCHED`; empty where not asked for.
        shifts: of the gradient of the last hidden layer's weights, at the same steps.
    """

    percentiles: Array
    looks: Array
    right: Array
    landscapes: tuple[Along, ...]
    shifts: tuple[Shift, ...]

    @property
    def movement(self) -> float:
        """How far the inputs moved over `WATCHED` steps: the length of the percentiles' path, median unit."""
        return float(np.median(path_length(self.percentiles)))

    @property
    def movement_in_widths(self) -> float:
        """The same, each change divided by the distance from the 15th to the 85th percentile at that time."""
        return float(np.median(width_path_length(self.percentiles)))

    @property
    def steps(self) -> float:
        """The training steps to 90 % of the test digits; infinity if `MOST` were not enough."""
        reached = self.looks[self.right >= 0.9]
        return float(reached[0]) if len(reached) else math.inf

    @property
    def beta(self) -> float:
        """The effective beta-smoothness, median over the moments."""
        return float(np.median([each.beta for each in self.landscapes])) if self.landscapes else math.nan

    @property
    def shift(self) -> float:
        """The relative change of the gradient when the layers below have moved, median over the moments."""
        return float(np.median([each.relative for each in self.shifts])) if self.shifts else math.nan


def train(
    kind: Kind,
    activation: Activation = "sigmoid",
    *,
    noise: float = 0.0,
    learning_rate: float | None = None,
    landscape: bool = False,
    seed: int = 0,
) -> Watched:
    """Train a network on digits with plain SGD, and watch it for `WATCHED` steps and until it gets 90 % right.

    Args:
        kind: see `network`, as for `activation` and `noise`.
        learning_rate: by default that of `LEARNING_RATE`.
        landscape: whether smoothness and the shift of gradients are measured, too.
        seed: of weights, noise and shuffles.
    """
    rate = LEARNING_RATE[activation] if learning_rate is None else learning_rate
    return _train(kind, activation, noise, rate, landscape, seed)


@cache  # behind `train`, so that a run is the same however its defaults were written
def _train(kind: Kind, activation: Activation, noise: float, rate: float, landscape: bool, seed: int) -> Watched:
    images, labels = load_digits().train
    model = network(kind, activation, noise=noise, seed=seed)
    optimizer, rng = SGD(model, rate), np.random.default_rng(seed + 1000)
    percentiles: list[Array] = []
    looks: list[int] = []
    right: list[float] = []
    landscapes, shifts = [], []
    order, per_epoch = np.empty(0, int), len(labels) // BATCH_SIZE
    with np.errstate(over="ignore", invalid="ignore"):  # a run that diverges is a result
        for step in range(MOST + 1):
            if step % EVERY == 0 and step <= WATCHED:
                seen = entering(model, images[:IMAGES])
                if not np.isfinite(seen).all():
                    break
                percentiles.append(seen)
            if max(right, default=0.0) < 0.9 and step % (2 if step <= 100 else EVERY) == 0:
                looks.append(step)
                right.append(share_right(model))
            if step >= WATCHED and max(right) >= 0.9:
                break
            if step % per_epoch == 0:
                order = rng.permutation(len(labels))
            first = step % per_epoch * BATCH_SIZE
            rows = order[first : first + BATCH_SIZE]
            x, y = images[rows], labels[rows]
            if landscape and step < WATCHED and step % (2 * EVERY) == 0:

                def gradient_of(model: Sequential, x: Array = x, y: Array = y) -> tuple[float, Array]:
                    return loss_and_gradient(model, x, y)

                landscapes.append(along(model, gradient_of, [rate * distance for distance in DISTANCES]))
                shifts.append(gradient_shift(model, gradient_of, rate)[-2])
            if not math.isfinite(train_step(model, optimizer, x, y)):
                break
    return Watched(np.array(percentiles), np.array(looks), np.array(right), tuple(landscapes), tuple(shifts))


def stretched_at_its_rate(*, rate_factor: float = STRETCH**2, steps: int = 20, seed: int = 0) -> float:
    """How far apart the stretched network and the plain one are after some steps, in parts of the plain one's weights.

    In the stretched network every gradient is 1 / `STRETCH` times that of the plain one, and every weight `STRETCH`
    times, so that a learning rate of `STRETCH**2` times as much makes the same step.

    Args:
        rate_factor: the learning rate of the stretched network, divided by that of the plain one.
        steps: how many both make.
        seed: of the weights and the mini-batches.

    Returns:
        The norm of the difference of all parameters, those of the stretched network divided by `STRETCH`, divided by
        the norm of the plain network's.
    """
    images, labels = load_digits().train
    reached = []
    for kind, factor in (("plain", 1.0), ("stretched", rate_factor)):
        model, rng = network(cast(Kind, kind), "relu", seed=seed), np.random.default_rng(seed)
        optimizer = SGD(model, LEARNING_RATE["relu"] * factor)
        for _ in range(steps):
            rows = rng.integers(0, len(labels), BATCH_SIZE)
            train_step(model, optimizer, images[rows], labels[rows])
        reached.append(parameter_vector(model))
    plain, stretched = reached
    return float(np.linalg.norm(stretched / STRETCH - plain) / np.linalg.norm(plain))


def loss_far_away(
    kind: Kind, activation: Activation, distances: Sequence[float], *, depth: int = 3, seed: int = 0
) -> Along:
    """The loss along the gradient of an untrained network, as far as one likes; on the first mini-batch of images."""
    images, labels = (part[:BATCH_SIZE] for part in load_digits().train)
    model = network(kind, activation, depth=depth, seed=seed)
    return along(model, lambda model: loss_and_gradient(model, images, labels), distances)


def growth(kind: Kind, activation: Activation, *, depth: int = 3, seed: int = 0) -> float:
    """The power of the distance with which the loss grows far away, from a step of 100 gradients to one of 1000."""
    far = loss_far_away(kind, activation, (100.0, 1000.0), depth=depth, seed=seed)
    return float(np.log10(far.loss[1] / far.loss[0]))


# The deep linear network of Santurkar et al. (2018)


class DeepLinear(NamedTuple):
    """A run of the deep linear network.

    Attributes:
        loss: before each step.
        shifts: of the gradient of the weights of each layer but the first, at the moments, `(moments, layers - 1)`.
        cosines: of the angle between the gradient before and after the layers below have moved, of the same shape.
    """

    loss: Array
    shifts: Array
    cosines: Array


@cache
def deep_linear(
    *,
    with_bn: bool,
    learning_rate: float = 1e-4,
    depth: int = 25,
    units: int = 10,
    examples: int = 200,
    steps: int = 100,
    seed: int = 0,
) -> DeepLinear:
    """Fit y = A x with the product of `depth` matrices by gradient descent on all examples.

    The loss is the squared error, summed over outputs and averaged over examples. A and x are standard normal.

    Args:
        with_bn: whether BN follows each layer but the last.
        learning_rate: of plain gradient descent; 1e-4 is 1e-7 for a loss that is summed over 1000 examples.
        depth: layers without an activation, Glorot's initial weights, no biases.
        units: of each, and of x and y.
        examples: how many.
        steps: how many; gradients are looked at five times.
        seed: of the matrix, the examples and the weights.

    Source: Santurkar et al. (2018), section 2.2 and A.1.
    """
    rng = np.random.default_rng(seed)
    x, matrix = rng.normal(size=(examples, units)), rng.normal(size=(units, units))
    layers: list[Layer] = []
    for at in range(depth):
        layers.append(Dense(units, units, rng=rng, bias=False, init="glorot"))
        if with_bn and at < depth - 1:
            layers.append(BatchNorm(units))
    model = Sequential(*layers)

    def gradient_of(model: Sequential) -> tuple[float, Array]:
        with only_looked_at(model):
            error = model.forward(x) - x @ matrix
            model.fill_grads(2 * error / examples)
            gradient = [layer.grads[name].ravel() for layer in model.stack for name in layer.parameter_names]
        return float((error**2).sum() / examples), np.concatenate(gradient)

    losses, shifts = [], []
    for step in range(steps):
        loss, gradient = gradient_of(model)
        losses.append(loss)
        if step % (steps // 5) == 0:
            shifts.append(gradient_shift(model, gradient_of, learning_rate))
        set_parameter_vector(model, parameter_vector(model) - learning_rate * gradient)
    return DeepLinear(
        np.array(losses),
        np.array([[each.relative for each in moment] for moment in shifts]),
        np.array([[each.cosine for each in moment] for moment in shifts]),
    )


# By hand: one hidden unit with two weights


class Unit(NamedTuple):
    """A hidden unit h = u . x of two weights, BN on it or not, and y = v h; the loss is the mean of (y - t a)**2 / 2.

    The inputs x = (a, b) are the four corners (1, 1), (1, -1), (-1, 1), (-1, -1): means 0, variances 1, uncorrelated.
    So the variance of h is u . u, and BN makes of h = u . x the same with u / |u| in place of u.

    Attributes:
        u: the weights of the hidden unit.
        with_bn: whether BN stands on it, with gamma = 1, beta = 0 and eps = 0.
        v: the weight above it.
        t: the answer should be t times a.
    """

    u: tuple[Fraction, Fraction]
    with_bn: bool
    v: Fraction = Fraction(1)
    t: Fraction = Fraction(2)

    @property
    def length(self) -> Fraction:
        """|u|.

        Raises:
            ValueError: if it is not a fraction.
        """
        square = self.u[0] ** 2 + self.u[1] ** 2
        root = Fraction(math.isqrt(square.numerator), math.isqrt(square.denominator))
        if root**2 != square:
            raise ValueError(f"u is {self.u}; expected a length that is a fraction")
        return root

    @property
    def direction(self) -> tuple[Fraction, Fraction]:
        """What multiplies a and b in the unit's output: u / |u| with BN, otherwise u."""
        length = self.length if self.with_bn else Fraction(1)
        return self.u[0] / length, self.u[1] / length

    @property
    def loss(self) -> Fraction:
        """The mean over the four examples."""
        first, second = self.direction
        return ((self.v * first - self.t) ** 2 + (self.v * second) ** 2) / 2

    @property
    def gradient_above(self) -> Fraction:
        """The derivative by v: v |d|**2 - t d_1, where d is `direction`."""
        first, second = self.direction
        return self.v * (first**2 + second**2) - self.t * first

    @property
    def gradient_below(self) -> tuple[Fraction, Fraction]:
        """The derivative by u: g = v (v d - t e_1); with BN the part of g across u, divided by |u|."""
        first, second = self.direction
        g = self.v * (self.v * first - self.t), self.v**2 * second
        if not self.with_bn:
            return g
        inside = g[0] * first + g[1] * second
        return (g[0] - inside * first) / self.length, (g[1] - inside * second) / self.length

    def stepped(self, rate: Fraction) -> "Unit":
        """The same after a step of gradient descent on u; v stands still."""
        g = self.gradient_below
        return self._replace(u=(self.u[0] - rate * g[0], self.u[1] - rate * g[1]))


def unit_shift(length: float, *, rate: float = 0.625, v: float = 1.0, t: float = 2.0) -> float:
    """The relative change of v's gradient with BN when u = length * (0.8, 0.6) makes a step, for any length.

    u makes a step of rate * v * t * 0.6 / length across its direction.
    """
    turned = math.atan(rate * v * t * 0.6 / length**2)
    before = v - t * 0.8
    return abs((v - t * math.cos(math.acos(0.8) - turned)) - before) / abs(before)


# A recording to leaf through (bn_book.explorables.Disturbed)

RECORDED: tuple[Kind, ...] = ("plain", "standardized once", "BN")
NOISES = (0.0, 1.0)


def record(*, seed: int = 0) -> dict[tuple[Kind, float], Watched]:
    """Six runs of the sigmoid network: three kinds, left alone and disturbed."""
    return {
        (kind, noise): train(kind, noise=noise, landscape=not noise, seed=seed) for kind in RECORDED for noise in NOISES
    }
