"""A small conditional generator of digits: its layers, how it is trained, and who judges what it draws.

    z (8 random numbers) -> dense -> standardize -> scale and shift -> ReLU, twice -> dense -> sigmoid -> 8 x 8 pixels

Every way of telling it the class is made of the same parts: `Rows` has a gamma and a beta for each class or one for
all, and before it stands a BatchNorm without gamma and beta, or nothing.
"""

import functools
from collections.abc import Iterator, Sequence
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np

from bn_book.data import load_digits
from bn_book.runs import cache
from bn_lib._arrays import Array
from bn_lib.batchnorm import BatchNorm
from bn_lib.layer import Layer
from bn_lib.network import Dense, ReLU, Sequential, Sigmoid

F32 = np.float32
CLASSES = 10
PIXELS = 64
NOISE = 8  # random numbers that make one drawing differ from the next
HIDDEN = (64, 64)

#: Where the class enters: gamma and beta of each class, only one of the two, a one-hot input, or nowhere.
Where: TypeAlias = Literal["γ and β", "γ", "β", "input", "nowhere"]


def one_hot(labels: Array) -> Array:
    """`(N, 10)`, float32: a 1 in the column of each label."""
    return np.eye(CLASSES, dtype=F32)[labels]


class Rows(Layer):
    """y = gamma * x + beta, where each example's gamma and beta are mixed from the rows of two tables.

        gamma = sum over k of mixture[k] * gamma_k        beta = sum over k of mixture[k] * beta_k

    A table of one row is shared by all. Rows start a little apart, or all would have one gradient.

    Args:
        units: values per example.
        own: which of "gamma" and "beta" have several rows.
        rng: source of the first rows.
        count: how many.

    Attributes:
        gamma, beta: `(count, units)` or `(1, units)`.
        mixture: how much of each row every example gets, `(N, count)`: `one_hot(labels)` for a row per class.
    """

    parameter_names: tuple[str, ...] = ("gamma", "beta")

    def __init__(self, units: int, own: Sequence[str], rng: np.random.Generator, count: int = CLASSES) -> None:
        super().__init__()
        rows = {name: count if name in own else 1 for name in ("gamma", "beta")}
        apart = {name: 0.1 * (rows[name] > 1) * rng.normal(size=(rows[name], units)) for name in rows}
        self.gamma, self.beta = (1 + apart["gamma"]).astype(F32), apart["beta"].astype(F32)
        self.mixture: Array = np.ones((1, count), F32)

    def _of(self, table: Array) -> Array:
        return self.mixture @ table if len(table) > 1 else table

    def forward(self, x: Array) -> Array:
        """Return y, of the shape of x, `(N, units)`."""
        gamma = self._of(self.gamma)
        self._keep((x, gamma, self.mixture))
        return gamma * x + self._of(self.beta)

    def backward(self, dy: Array) -> Array:
        """Return dx; `grads` are set."""
        x, gamma, mixture = self._last()
        for name, table, gradient in (("gamma", self.gamma, dy * x), ("beta", self.beta, dy)):
            self.grads[name] = mixture.T @ gradient if len(table) > 1 else gradient.sum(axis=0, keepdims=True)
        self._went_back()
        return gamma * dy


def bare_batch_norm(units: int) -> BatchNorm:
    """BN that only standardizes."""
    layer = BatchNorm(units, dtype=F32)
    layer.parameter_names = ()
    return layer


class Generator:
    """Draws digits from noise.

    Args:
        where: where the class enters.
        with_bn: whether BN standardizes before each scale and shift. Without it, and without rows of the classes' own,
            there is no scale and shift either.
        rng: source of the weights.
        hidden: units of each hidden layer.

    Attributes:
        model: the network.
        rows: its tables, one for each hidden layer.
    """

    def __init__(
        self, where: Where, *, with_bn: bool, rng: np.random.Generator, hidden: tuple[int, ...] = HIDDEN
    ) -> None:
        self.where = where
        self.rows: list[Rows] = []
        own = {"γ and β": ("gamma", "beta"), "γ": ("gamma",), "β": ("beta",)}.get(where, ())
        inputs = NOISE + (CLASSES if where == "input" else 0)
        layers: list[Layer] = []
        for units in hidden:
            layers.append(Dense(inputs, units, rng=rng, bias=not with_bn, dtype=F32))
            if with_bn:
                layers.append(bare_batch_norm(units))
            if with_bn or own:
                self.rows.append(Rows(units, own, rng))
                layers.append(self.rows[-1])
            layers.append(ReLU())
            inputs = units
        last = Dense(inputs, PIXELS, rng=rng, dtype=F32)
        last.bias = np.full(PIXELS, -1, F32)  # most of an image is paper
        self.model = Sequential(*layers, last, Sigmoid())

    def draw(self, z: Array, labels: Array) -> Array:
        """Images, `(N, 64)`, from noise `(N, 8)` and labels `(N,)`, in the mode that the model is in."""
        mixture = one_hot(labels)
        for rows in self.rows:
            rows.mixture = mixture
        return self.model.forward(np.concatenate([z, mixture], axis=1) if self.where == "input" else z)

    def sample(self, labels: Array, *, seed: int) -> Array:
        """Images with noise of this seed, with the running statistics. The model stays in the mode it was in."""
        training, z = self.model.training, noise(len(labels), np.random.default_rng(seed))
        self.model.eval()
        images = self.draw(z, labels)
        if training:
            self.model.train()
        return images


def noise(count: int, rng: np.random.Generator) -> Array:
    """What a drawing begins with, `(count, 8)`."""
    return rng.normal(size=(count, NOISE)).astype(F32)


# Two clouds of images, and how far apart they are

#: Bandwidths of the Gaussian kernels. Two images of one digit are about 2 to 12 apart, in squares of ink.
BANDWIDTHS = (0.5, 1.0, 2.0, 4.0)


class Discrepancy(NamedTuple):
    """A loss and its gradient with respect to what was drawn."""

    loss: float
    gradient: Array


def discrepancy(drawn: Array, real: Array) -> Discrepancy:
    """How far the drawn images of each class are from real ones of that class: squared MMD, without its constant.

        k(a, b) = sum over s of exp(-|a - b|^2 / (2 s))
        loss = mean over classes of (mean k(drawn, drawn) - 2 mean k(drawn, real))

    Args:
        drawn: `(classes, n, pixels)`.
        real: `(classes, m, pixels)`.

    Source: Gretton et al. (2012), whose third term, real against real, does not depend on what is drawn;
    Li et al. (2015) train a generator with it.
    """
    n, m = drawn.shape[1], real.shape[1]
    kernel, slope = _kernel(drawn, drawn)
    between, slope_between = _kernel(drawn, real)
    loss = (kernel.sum() / n**2 - 2 * between.sum() / (n * m)) / len(drawn)
    pull = _along(slope, drawn, drawn) / n**2 - _along(slope_between, drawn, real) / (n * m)
    return Discrepancy(float(loss), (2 * pull / len(drawn)).astype(drawn.dtype))


def _kernel(a: Array, b: Array) -> tuple[Array, Array]:
    """k of every pair, and its derivative with respect to half the squared distance."""
    squares = (a * a).sum(axis=-1)[..., np.newaxis] + (b * b).sum(axis=-1)[..., np.newaxis, :]
    half = squares / 2 - a @ b.swapaxes(-1, -2)
    each = [np.exp(half * a.dtype.type(-1 / s)) for s in BANDWIDTHS]
    return sum(each), sum(k * a.dtype.type(-1 / s) for k, s in zip(each, BANDWIDTHS, strict=True))


def _along(slope: Array, a: Array, b: Array) -> Array:
    """Sum over b of slope * (a - b)."""
    total: Array = slope.sum(axis=-1)[..., np.newaxis] * a - slope @ b
    return total


# Training


def falling(rate: float, steps: int) -> Iterator[float]:
    """A learning rate for each step, falling in a line to almost 0."""
    yield from rate * (1 - np.arange(steps) / steps) + 1e-5


@cache
def by_class() -> tuple[Array, ...]:
    """For each class, the rows of the training images that show it."""
    labels = load_digits().train[1]
    return tuple(np.flatnonzero(labels == c) for c in range(CLASSES))


# Who judges


@functools.cache  # and not of `runs`: what it returns is a function, which no file holds
def judge() -> Any:
    """A function from images `(N, 64)` to labels: ridge regression with a Gaussian kernel on the real training images.

    It was trained without any generator, and none was trained with it.
    """
    images, labels = load_digits().train

    def kernel(a: Array) -> Array:
        squares = (a * a).sum(axis=1)[:, np.newaxis] + (images * images).sum(axis=1)
        found: Array = np.exp(F32(-0.2) * (squares - 2 * a @ images.T))
        return found

    weights = np.linalg.solve(kernel(images) + F32(0.01) * np.eye(len(images), dtype=F32), one_hot(labels))
    return lambda drawn: (kernel(np.asarray(drawn, F32)) @ weights).argmax(axis=1)


def spread(images: Array) -> float:
    """The mean distance between two of these images."""
    squares = (images.astype(float) ** 2).sum(axis=1)
    pairs = squares[:, np.newaxis] + squares - 2 * images.astype(float) @ images.T.astype(float)
    return float(np.sqrt(np.maximum(pairs, 0)).sum() / (len(images) * (len(images) - 1)))
