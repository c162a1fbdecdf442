"""Experiments of the chapter on depth, noise and their price.

Depth: what goes forward and back through a deep network at initialization, and whether it trains. Noise: whether the
noise of batch statistics regularizes. Price: what the dependence on a batch costs, in training and on other data.
Networks are dense, small, and float32; they read the digits of `bn_book.data`.
"""

from collections.abc import Callable, Mapping
from copy import deepcopy
from typing import Any, NamedTuple

import numpy as np

from bn_book.data import load_digits
from bn_book.networks import Normalizer
from bn_book.runs import cache
from bn_lib import (
    SGD,
    BatchNorm,
    BatchRenorm,
    Dense,
    Dropout,
    GhostBatchNorm,
    Layer,
    LayerNorm,
    Recorder,
    ReLU,
    Residual,
    Sequential,
    accuracy,
    fit,
    recompute_statistics,
    softmax_cross_entropy,
    train_step,
)
from bn_lib._arrays import Array

SEEDS = (0, 1, 2)
GROWTH = np.pi / (np.pi - 1)  # of the squared gradient per layer of BN and ReLU, in a wide network and a large batch


# Deep networks


class Scale(Layer):
    """y = alpha * x with one trained number alpha, which starts at 0: at the end of a residual branch, SkipInit.

    Source: De and Smith (2020).
    """

    parameter_names = ("alpha",)

    def __init__(self) -> None:
        super().__init__()
        self.alpha = np.zeros(1, dtype=np.float32)

    def forward(self, x: Array) -> Array:
        """Return alpha * x."""
        self._keep((x, self.alpha))
        return self.alpha * x

    def backward(self, dy: Array) -> Array:
        """dx = alpha * dy; dalpha = sum(x * dy)."""
        x, alpha = self._last()
        self.grads["alpha"] = np.sum(x * dy).reshape(1)
        self._went_back()
        return alpha * dy


def _dense(inputs: int, outputs: int, rng: np.random.Generator, *, bias: bool = False) -> Dense:
    return Dense(inputs, outputs, rng=rng, bias=bias, dtype=np.float32)


def _bn(units: int) -> BatchNorm:
    return BatchNorm(units, dtype=np.float32)


#: What a deep network repeats. Weights are He's.
BLOCKS: Mapping[str, Callable[[int, np.random.Generator], Layer]] = {
    "plain": lambda units, rng: Sequential(_dense(units, units, rng), ReLU()),
    "bn": lambda units, rng: Sequential(_dense(units, units, rng), _bn(units), ReLU()),
    "linear": lambda units, rng: Sequential(_dense(units, units, rng), _bn(units)),
    "residual": lambda units, rng: Residual(_bn(units), ReLU(), _dense(units, units, rng)),
    "bare": lambda units, rng: Residual(ReLU(), _dense(units, units, rng)),
    "skipinit": lambda units, rng: Residual(ReLU(), _dense(units, units, rng), Scale()),
}


def deep_network(block: str, depth: int, *, width: int, rng: np.random.Generator) -> Sequential:
    """A dense layer from the 64 pixels, the same kind of block again and again, and a dense layer to the 10 classes.

    Args:
        block: one of `BLOCKS`.
        depth: how many blocks.
        width: units of every layer between.
        rng: source of the weights.
    """
    blocks = [BLOCKS[block](width, rng) for _ in range(depth)]
    return Sequential(_dense(64, width, rng), *blocks, _dense(width, 10, rng))


def _some(images: int, rng: np.random.Generator) -> tuple[Array, Array]:
    """Some of the training images, without replacement, with their labels."""
    x, labels = load_digits().train
    rows = rng.permutation(len(x))[:images]
    return x[rows], labels[rows]


class Propagation(NamedTuple):
    """What goes through a network at initialization: one value for the output of each block, the first layer's first.

    Attributes:
        signal: mean square of the output.
        gradient: sum of the squares of the loss's gradient with respect to it.
    """

    signal: Array
    gradient: Array

    @property
    def growth(self) -> float:
        """By which factor the squared gradient grows per block on its way back, away from both ends."""
        blocks = np.arange(len(self.gradient))[4:-2]
        return float(np.exp(-np.polyfit(blocks, np.log(self.gradient[blocks]), 1)[0]))


@cache
def propagate(block: str, *, depth: int, width: int, batch_size: int, seed: int, after: int = 0) -> Propagation:
    """One pass forward and back of a mini-batch of digits, with the statistics of that mini-batch.

    Args:
        block: one of `BLOCKS`.
        depth: how many blocks.
        width: units of every layer.
        batch_size: digits in the mini-batch.
        seed: of weights and mini-batch.
        after: steps of SGD taken before, at a learning rate of 0.1, on that mini-batch.
    """
    rng = np.random.default_rng(seed)
    model = deep_network(block, depth, width=width, rng=rng)
    x, labels = _some(batch_size, rng)
    optimizer = SGD(model, 0.1)
    for _ in range(after):
        train_step(model, optimizer, x, labels)
    with Recorder(model, summary=lambda values: np.square(values, dtype=np.float64).sum()) as recorder:
        model.fill_grads(softmax_cross_entropy(model.forward(x), labels)[1])
    inside = range(depth + 1)
    signal = np.array([recorder.activations[i][0] for i in inside]) / (batch_size * width)
    return Propagation(signal, np.array([recorder.gradients[i][0] for i in inside]))


class Likeness(NamedTuple):
    """How alike the images of a mini-batch are behind each block; shapes `(depth + 1,)`.

    Attributes:
        cosine: of the angle between the outputs for two images, its size averaged over all pairs.
        stable_rank: sum of the squared singular values of the outputs / the largest of them; 1 if all are parallel.
    """

    cosine: Array
    stable_rank: Array


@cache
def likeness(block: str, *, depth: int = 50, width: int = 64, images: int = 64, seed: int = 0) -> Likeness:
    """Send a mini-batch of digits through a network at initialization and compare the images with one another."""
    rng = np.random.default_rng(seed)
    model = deep_network(block, depth, width=width, rng=rng)
    with Recorder(model, summary=_likeness) as recorder:
        model.forward(_some(images, rng)[0])
    cosine, rank = np.array([recorder.activations[i][0] for i in range(depth + 1)]).T
    return Likeness(cosine, rank)


def _likeness(outputs: Array) -> tuple[float, float]:
    outputs = outputs.astype(np.float64)
    squares = np.linalg.svd(outputs, compute_uv=False) ** 2
    directions = outputs / np.linalg.norm(outputs, axis=1, keepdims=True)
    pairs = np.triu_indices(len(outputs), 1)
    return float(np.abs(directions @ directions.T)[pairs].mean()), float(squares.sum() / squares[0])


@cache
def orthogonality_gap(width: int, *, seed: int, images: int = 8, depth: int = 40) -> float:
    """How far the outputs of a linear BN network are from orthogonal, averaged over the second half of its layers.

        gap = || H H^T / ||H||^2 - I / images ||   (Frobenius norms; H is (images, width))

    As in the paper, BN only divides here, by the root of the mean square over the batch, and subtracts no mean: images
    with a mean of 0 cannot all be orthogonal.

    Source: Daneshmand, Joudaki and Bach (2021), the definition of the gap.
    """
    rng = np.random.default_rng(seed)
    h = _some(images, rng)[0].astype(np.float64) @ rng.normal(size=(64, width))
    gaps = []
    for _ in range(depth):
        h /= np.sqrt(np.mean(h**2, axis=0))
        gaps.append(_gap(h))
        h = h @ (rng.normal(size=(width, width)) / np.sqrt(width))
    return float(np.mean(gaps[depth // 2 :]))


def _gap(outputs: Array) -> float:
    n = len(outputs)
    return float(np.linalg.norm(outputs @ outputs.T / np.sum(outputs**2) - np.eye(n) / n))


@cache
def train_deep(block: str, depth: int, *, rate: float, seed: int, width: int = 32, steps: int = 100) -> float:
    """Train a deep network on mini-batches of 60 digits with plain SGD; return its accuracy on the test images.

    A run whose loss stops being a number counts as guessing: 0.1.
    """
    rng = np.random.default_rng(seed)
    model = deep_network(block, depth, width=width, rng=rng)
    optimizer, (x, labels) = SGD(model, rate), load_digits().train
    with np.errstate(all="ignore"):  # what diverges overflows
        for _ in range(steps):
            rows = rng.integers(0, len(x), 60)
            if not np.isfinite(train_step(model, optimizer, x[rows], labels[rows])):
                return 0.1
    return accuracy(model, *load_digits().test)


def best_of(block: str, depth: int, *, seed: int, rates: tuple[float, ...] = (0.03, 0.1, 0.3)) -> float:
    """The accuracy of `train_deep` at the best of some learning rates."""
    return max(train_deep(block, depth, rate=rate, seed=seed) for rate in rates)


# Noise


def _network(normalizer: Normalizer | None, rng: np.random.Generator, *, dropout: float = 0.0) -> Sequential:
    """64-64-64-10 with ReLUs; dropout, if there is any, behind each of them."""
    layers: list[Layer] = []
    for _ in range(2):
        layers.append(_dense(64, 64, rng, bias=normalizer is None))
        if normalizer is not None:
            layers.append(normalizer(64))
        layers.append(ReLU())
        if dropout:
            layers.append(Dropout(dropout, rng=rng))
    return Sequential(*layers, _dense(64, 10, rng, bias=True))


class Learned(NamedTuple):
    """What came out of training on few images.

    Attributes:
        test: accuracy on the 360 test images.
        train_loss: of the last step, in nats.
    """

    test: float
    train_loss: float


@cache
def train_on_few(
    statistics_of: int | None,
    *,
    seed: int,
    dropout: float = 0.0,
    images: int = 200,
    batch_size: int = 200,
    epochs: int = 60,
    rate: float = 0.5,
) -> Learned:
    """Train on few images, where a network overfits, and see how it generalizes.

    Args:
        statistics_of: images that share BN's statistics, a divisor of `batch_size`; None for a network without BN.
        seed: of the images chosen, the weights and the shuffles: the same for every other argument.
        dropout: share of the ReLUs' outputs that is dropped.
        images: how many training images there are.
        batch_size: of the gradient.
        epochs: passes over them.
        rate: learning rate; plain SGD.
    """
    x, labels = _some(images, np.random.default_rng([seed, 1]))

    def ghosts(units: int) -> Layer:
        return GhostBatchNorm(units, statistics_of or 0, dtype=np.float32)

    model = _network(None if statistics_of is None else ghosts, np.random.default_rng(seed), dropout=dropout)
    shuffles = np.random.default_rng([seed, 2])
    history = fit(
        model, SGD(model, rate), x, labels, epochs=epochs, batch_size=batch_size, rng=shuffles, progress=False
    )
    return Learned(accuracy(model, *load_digits().test), history.loss[-1])


#: Settings of `train_on_few` in which BN has noise of its own: mini-batches, not all images in one.
FEW: Mapping[str, Any] = {"images": 150, "batch_size": 30, "epochs": 30, "rate": 0.1}
PAIRS = 16  # runs with and without, from the same images and weights, that one seed of a comparison stands for


def gain(with_it: Mapping[str, Any], without: Mapping[str, Any], *, seed: int) -> Array:
    """Points of test accuracy gained, with - without, in `PAIRS` pairs of `train_on_few`."""
    seeds = range(PAIRS * seed, PAIRS * (seed + 1))
    return np.array(
        [100 * (train_on_few(seed=s, **with_it).test - train_on_few(seed=s, **without).test) for s in seeds]
    )


class VarianceShift(NamedTuple):
    """The second BN of a network with dropout before it.

    Attributes:
        ratio: the running variance / the variance that its inputs have in inference; median over the units.
        formula: the same from the formula for the variance that dropout adds.
        loss: test loss in inference, with the running statistics and with statistics recomputed without dropout.
    """

    ratio: float
    formula: float
    loss: tuple[float, float]


@cache
def variance_shift(dropout: float, *, seed: int) -> VarianceShift:
    """Train with dropout before the second BN, and look at that BN's inputs in training and in inference.

    Dropout keeps a value with probability 1 - p and divides it by 1 - p. A unit sums w_i h_i over its inputs, so

        variance in training = variance in inference + p / (1 - p) * sum over i of w_i^2 mean(h_i^2)
    """
    rng = np.random.default_rng(seed)
    model = _network(_bn, rng, dropout=dropout)
    (x, labels), (x_test, labels_test) = load_digits()
    fit(model, SGD(model, 0.1), x, labels, epochs=8, batch_size=64, rng=rng, progress=False)
    dense, second = model.stack[4], model.stack[5]
    assert isinstance(dense, Dense)
    assert isinstance(second, BatchNorm)
    weight, h = dense.weight.astype(np.float64), Sequential(*model.eval().stack[:3]).forward(x).astype(np.float64)
    in_inference = (h @ weight).var(axis=0)
    added = dropout / (1 - dropout) * np.mean(h**2, axis=0) @ weight**2
    ratio, formula = (float(np.median(var / in_inference)) for var in (second.running_var, in_inference + added))

    before = softmax_cross_entropy(model.forward(x_test), labels_test)[0]
    recompute_statistics(model, [x])
    after = softmax_cross_entropy(model.eval().forward(x_test), labels_test)[0]
    return VarianceShift(ratio, formula, (before, after))


# The price


class Lag(NamedTuple):
    """Test accuracy after each step of training, with two kinds of statistics; one row for each seed.

    Attributes:
        running: with the running averages, momentum 0.1.
        recomputed: with the statistics of all training images under the weights of that step.
    """

    running: Array
    recomputed: Array


@cache
def lag(seed: int, *, steps: int = 30, rate: float = 0.3) -> Lag:
    """Train on mini-batches of 60 digits and look at the test images after each step."""
    rng = np.random.default_rng(seed)
    model = _network(_bn, rng)
    optimizer, (x, labels) = SGD(model, rate), load_digits().train
    found = []
    for _ in range(steps):
        rows = rng.integers(0, len(x), 60)
        train_step(model, optimizer, x[rows], labels[rows])
        precise = deepcopy(model)
        recompute_statistics(precise, [x])
        found.append([accuracy(each, *load_digits().test) for each in (model, precise)])
    return Lag(*np.array(found).T)


#: What is done to images, `(N, 8, 8)` with values from 0 to 1.
CORRUPTIONS: Mapping[str, Callable[[Array, np.random.Generator], Array]] = {
    "clean": lambda images, rng: images,
    "dark": lambda images, rng: 0.3 * images,
    "pale": lambda images, rng: 0.5 + 0.3 * (images - 0.5),
    "bright": lambda images, rng: images + 0.5,
    "blurred": lambda images, rng: _blurred(images),
    "noisy": lambda images, rng: images + 0.3 * rng.normal(size=images.shape),
    "shifted": lambda images, rng: np.roll(images, 1, axis=2),
    "inverted": lambda images, rng: 1 - images,
}


def _blurred(images: Array) -> Array:
    """The mean of each pixel and its eight neighbours; the border is repeated."""
    padded = np.pad(images, ((0, 0), (1, 1), (1, 1)), mode="edge")
    return np.mean([padded[:, i : i + 8, j : j + 8] for i in range(3) for j in range(3)], axis=0)


def corrupted(name: str, seed: int = 0) -> Array:
    """The 360 test images with one of `CORRUPTIONS`, `(360, 64)`."""
    images = load_digits().test[0].reshape(-1, 8, 8)
    changed = CORRUPTIONS[name](images, np.random.default_rng([seed, 3]))
    return changed.reshape(-1, 64).astype(np.float32)


@cache
def _trained(seed: int, *, with_bn: bool) -> Sequential:
    """Trained for 8 epochs on mini-batches of 64 clean digits, in inference mode. Not to be changed."""
    rng = np.random.default_rng(seed)
    model = _network(_bn if with_bn else None, rng)
    fit(model, SGD(model, 0.1), *load_digits().train, epochs=8, batch_size=64, rng=rng, progress=False)
    return model.eval()


class Adapted(NamedTuple):
    """Accuracy on corrupted test images.

    Attributes:
        name: what was done to them.
        plain: of a network without BN.
        kept: with BN and the running statistics of the clean training images.
        recomputed: with BN and the statistics of corrupted test images.
    """

    name: str
    plain: float
    kept: float
    recomputed: float


@cache
def adapt(name: str, *, seed: int, images: int = 360) -> Adapted:
    """Test on corrupted images with the old statistics, and with those of some of them; no weight changes.

    Args:
        name: one of `CORRUPTIONS`.
        seed: of the networks and the corruption.
        images: how many of the corrupted images the new statistics are of. All are tested.
    """
    x, labels = corrupted(name, seed), load_digits().test[1]
    kept, plain = (accuracy(_trained(seed, with_bn=with_bn), x, labels) for with_bn in (True, False))
    return Adapted(name, plain, kept, accuracy(_adapted_to(x[:images], seed), x, labels))


def _adapted_to(x: Array, seed: int) -> Sequential:
    """The trained network with the statistics of `x`, in inference mode."""
    model = deepcopy(_trained(seed, with_bn=True))
    recompute_statistics(model, [x])
    return model.eval()


def adapt_to_one_class(*, seed: int) -> float:
    """Accuracy on clean test images if the statistics are recomputed on the images of each class by itself."""
    x, labels = load_digits().test
    right = [
        accuracy(_adapted_to(x[labels == k], seed), x[labels == k], labels[labels == k]) * np.sum(labels == k)
        for k in range(10)
    ]
    return float(np.sum(right) / len(labels))


def affine_difference(name: str, *, seed: int) -> float:
    """By how much the logits for corrupted images differ from those for clean ones, with statistics of either.

    The largest difference / the standard deviation of the logits.
    """
    clean, changed = corrupted("clean"), corrupted(name, seed)
    logits = _adapted_to(clean, seed).forward(clean)
    return float(np.abs(_adapted_to(changed, seed).forward(changed) - logits).max() / logits.std())


#: Who is in a mini-batch: how many images, of how many classes, the learning rate and how many steps.
COMPANIES: Mapping[str, tuple[int, int, float, int]] = {
    "two images": (2, 10, 0.02, 900),
    "two classes": (32, 2, 0.1, 300),
}
NORMALIZERS: Mapping[str, Normalizer | None] = {
    "batch": _bn,
    "renorm": lambda units: BatchRenorm(units, dtype=np.float32),
    "layer": lambda units: LayerNorm(units, dtype=np.float32),
    "none": None,
}


@cache
def train_in_company(normalizer: str, company: str, *, seed: int) -> float:
    """Train where batch statistics are poor, and return the accuracy on the test images in inference mode.

    Args:
        normalizer: one of `NORMALIZERS`.
        company: one of `COMPANIES`; classes are drawn anew for each mini-batch.
        seed: of weights and mini-batches.
    """
    images, classes, rate, steps = COMPANIES[company]
    rng = np.random.default_rng(seed)
    model = _network(NORMALIZERS[normalizer], rng)
    optimizer, (x, labels) = SGD(model, rate), load_digits().train
    of_class = [np.flatnonzero(labels == k) for k in range(10)]
    for _ in range(steps):
        rows = rng.choice(np.concatenate([of_class[k] for k in rng.permutation(10)[:classes]]), images)
        train_step(model, optimizer, x[rows], labels[rows])
    return accuracy(model, *load_digits().test)
