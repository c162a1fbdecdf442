"""Experiments of the chapter on PyTorch and Keras that need neither: what a mistake does, measured with `bn_lib`.

The network is the one that `side_by_side` compares, 784-64-BN-ReLU-10, on the same digits.
"""

import math
from collections.abc import Callable, Sequence
from copy import deepcopy
from fractions import Fraction
from typing import Literal, NamedTuple, TypeAlias

import numpy as np

from bn_book.data import load_digits
from bn_book.frameworks.side_by_side import dense_in_bn_lib, large_digits
from bn_book.runs import cache
from bn_lib import (
    SGD,
    BatchNorm,
    Convention,
    Dense,
    GhostBatchNorm,
    Layer,
    Sequential,
    accumulate_gradients,
    softmax_cross_entropy,
    train_step,
)
from bn_lib._arrays import Array

SEEDS = (0, 1, 2)
BATCH, STEPS = 60, 300


def large_test_digits() -> tuple[Array, Array]:
    """The test digits as rows of 784 pixels."""
    images, labels = load_digits(flat=False).test
    wide = np.pad(images.repeat(3, axis=2).repeat(3, axis=3), ((0, 0), (0, 0), (2, 2), (2, 2)))
    return wide.reshape(len(wide), -1), labels


def network(seed: int, normalizer: Callable[[int], Layer] | None = None) -> Sequential:
    """784-64-BN-ReLU-10 in float32, or with another normalizer."""
    model = dense_in_bn_lib(np.random.default_rng(seed), np.float32)
    if normalizer is not None:
        first, _, *rest = model.stack
        model.stack = (first, normalizer(64), *rest)
    return model


class Run(NamedTuple):
    """A training run.

    Attributes:
        losses: of the mini-batches, before each step, in nats.
        wrong: test digits named wrong in inference, in percent.
        model: the network afterwards.
    """

    losses: Array
    wrong: float
    model: Sequential


def train(
    model: Sequential,
    *,
    steps: int = STEPS,
    batch: int = BATCH,
    learning_rate: float = 0.1,
    seed: int = 0,
    after_step: Callable[[int], None] = lambda _: None,
    weight_decay: float = 0.0,
    decays: Sequence[str] | None = None,
) -> Run:
    """Train with SGD on mini-batches drawn with a seed; `decays` names what decays, and None is everything."""
    images, labels = large_digits()
    x, rng = images.reshape(len(images), -1), np.random.default_rng(1000 + seed)
    others = {"weight", "bias", "gamma", "beta"} - set(decays or ())
    groups = [] if decays is None else [{"names": tuple(sorted(others)), "weight_decay": 0.0}]
    optimizer = SGD(model, learning_rate, weight_decay=weight_decay, groups=groups)
    losses = np.empty(steps)
    model.train()
    for step in range(steps):
        rows = rng.integers(0, len(x), batch)
        losses[step] = train_step(model, optimizer, x[rows], labels[rows])
        after_step(step)
    return Run(losses, wrong(model), model)


def wrong(model: Sequential) -> float:
    """Test digits named wrong in inference, in percent."""
    x, labels = large_test_digits()
    was = model.training
    logits = model.eval()(x)
    if was:
        model.train()
    return 100 * float((logits.argmax(axis=1) != labels).mean())


# Softmax twice


def floor(classes: int) -> float:
    """The least loss if softmax is applied twice: log(1 + (C - 1) / e) for C classes."""
    return math.log(1 + (classes - 1) / math.e)


class Softmax(Layer):
    """y_k = exp(x_k) / sum over j of exp(x_j), a layer that should not be there; dx = y * (dy - sum of dy * y)."""

    def forward(self, x: Array) -> Array:
        """Return probabilities, rows that add up to 1."""
        e = np.exp(x - x.max(axis=1, keepdims=True))
        y = e / e.sum(axis=1, keepdims=True)
        self._keep(y)
        return y

    def backward(self, dy: Array) -> Array:
        """Return the gradient with respect to x."""
        y = self._last()
        self._went_back()
        return y * (dy - (dy * y).sum(axis=1, keepdims=True))


@cache
def with_softmax(times: Literal[1, 2], *, steps: int = STEPS, learning_rate: float = 0.1, seed: int = 0) -> Run:
    """Train with the softmax of the loss alone (1), and with one more before it (2)."""
    model = network(seed)
    if times == 2:
        model.stack = (*model.stack, Softmax())
    return train(model, steps=steps, learning_rate=learning_rate, seed=seed)


class Lead(NamedTuple):
    """The loss of one example whose true class has a logit larger than all others, which are equal.

    Attributes:
        once, twice: the loss with softmax applied once and twice.
        slope_once, slope_twice: its derivative with respect to the lead.
    """

    once: float
    twice: float
    slope_once: float
    slope_twice: float


def of_lead(lead: float, classes: int = 10) -> Lead:
    """The loss and its slope for one lead of the true class."""
    logits = np.zeros((1, classes))
    logits[0, 0] = lead
    softmax, label = Softmax(), np.array([0])
    once, slope_once = softmax_cross_entropy(logits, label)
    twice, dy = softmax_cross_entropy(softmax(logits), label)
    return Lead(once, twice, float(slope_once[0, 0]), float(softmax.backward(dy)[0, 0]))


# Conversion by hand


class Converted(NamedTuple):
    """A layer of Keras that saw two batches, and the same in PyTorch, to the last digit.

    Attributes:
        batches: one feature.
        momentum: in Keras's meaning.
        weight: that of a new batch.
        means, variances: of the batches; the variances are biased.
        keras_mean, keras_var: what Keras holds.
        start: what is left of the first variance, 1.
        torch_var: what PyTorch would hold.
    """

    batches: tuple[tuple[Fraction, ...], ...]
    momentum: Fraction
    weight: Fraction
    means: tuple[Fraction, ...]
    variances: tuple[Fraction, ...]
    keras_mean: Fraction
    keras_var: Fraction
    start: Fraction
    torch_var: Fraction


def by_hand() -> Converted:
    """Two batches of three values, with Keras's default momentum of 0.99."""
    batches = tuple(tuple(map(Fraction, batch)) for batch in ((10, 40, 70), (30, 30, 90)))
    momentum = Fraction(99, 100)
    means = tuple(sum(batch, Fraction(0)) / len(batch) for batch in batches)
    variances = tuple(
        sum(((x - mean) ** 2 for x in batch), Fraction(0)) / len(batch)
        for batch, mean in zip(batches, means, strict=True)
    )
    mean, var = Fraction(0), Fraction(1)
    for batch_mean, batch_var in zip(means, variances, strict=True):
        mean = momentum * mean + (1 - momentum) * batch_mean
        var = momentum * var + (1 - momentum) * batch_var
    start = momentum ** len(batches)
    count = len(batches[0])
    torch_var = start + (var - start) * Fraction(count, count - 1)
    return Converted(batches, momentum, 1 - momentum, means, variances, mean, var, start, torch_var)


# A network that moves

Forgotten: TypeAlias = Literal["nothing", "eps", "momentum", "variance", "all three"]
FORGOTTEN: tuple[Forgotten, ...] = ("nothing", "eps", "momentum", "variance", "all three")


class Moved(NamedTuple):
    """A network that was trained as in Keras and trained on as in PyTorch.

    Attributes:
        steps: after how many steps there it was looked at.
        apart: by how much a probability in inference differs at most from that of the network that was moved with
            every conversion.
        wrong: test digits named wrong in inference, in percent.
    """

    steps: Array
    apart: Array
    wrong: Array


@cache
def trained_as_in_keras(batch: int = BATCH, steps: int = 100, seed: int = 0) -> Sequential:
    """The network with a BN layer that keeps Keras's conventions and defaults."""
    model = network(seed, lambda units: BatchNorm.in_convention("keras", units, dtype=np.float32))
    return train(model, steps=steps, batch=batch, seed=seed).model


def moved_to_pytorch(model: Sequential, forgotten: Forgotten, batch: int) -> Sequential:
    """A copy whose BN layer keeps PyTorch's conventions, with something forgotten."""
    model = deepcopy(model)
    (norm,) = (layer for layer in model if isinstance(layer, BatchNorm))
    left = set(FORGOTTEN[1:4]) if forgotten == "all three" else {forgotten}
    steps, momentum = int(norm.num_batches_tracked), Convention.KERAS.default_momentum
    assert momentum is not None
    norm.unbiased_running_var = True
    if "variance" not in left:
        norm.running_var = Convention.KERAS.convert_running_var(
            norm.running_var, "pytorch", count=batch, momentum=momentum, updates=steps
        )
    if "eps" in left:
        norm.eps = Convention.PYTORCH.default_eps
    if "momentum" in left:
        norm.momentum = momentum  # 0.99, which is the weight of a new batch here
    return model


@cache
def moved(forgotten: Forgotten, *, batch: int = BATCH, steps: int = 60, seed: int = 0) -> Moved:
    """Move a network from Keras to PyTorch with something forgotten, and train on."""
    x, labels = large_test_digits()
    answers: dict[Forgotten, list[Array]] = {}
    for kind in ("nothing", forgotten):
        model = moved_to_pytorch(trained_as_in_keras(batch, seed=seed), kind, batch)
        seen = answers[kind] = [_probabilities(model, x)]

        def look(_: int, model: Sequential = model, seen: list[Array] = seen) -> None:
            seen.append(_probabilities(model, x))

        train(model, steps=steps, batch=batch, seed=10 + seed, after_step=look)
    there, here = np.array(answers[forgotten]), np.array(answers["nothing"])
    return Moved(
        np.arange(steps + 1),
        np.abs(there - here).max(axis=(1, 2)),
        100 * (there.argmax(axis=2) != labels).mean(axis=1),
    )


def _probabilities(model: Sequential, x: Array) -> Array:
    was = model.training
    probabilities = Softmax()(model.eval()(x).astype(np.float64))
    if was:
        model.train()
    return probabilities


# Decay, parts of a batch, eps, precision


@cache
def decayed(on: Literal["everything", "weights"], *, decay: float = 0.01, seed: int = 0) -> Run:
    """Train with weight decay on everything, or on weights only."""
    return train(network(seed), weight_decay=decay, decays=("weight",) if on == "weights" else None, seed=seed)


@cache
def on_devices(devices: int, *, seed: int = 0) -> Run:
    """Train with the rows of each mini-batch spread over devices, each with statistics of its own."""
    rows = BATCH // devices
    return train(network(seed, lambda units: GhostBatchNorm(units, rows, dtype=np.float32)), seed=seed)


def gradient(model: Sequential, x: Array, labels: Array, parts: int = 1) -> Array:
    """The gradient of the first weight for a batch, accumulated over some parts of it."""
    with accumulate_gradients(model):
        for piece, piece_labels in zip(np.split(x, parts), np.split(labels, parts), strict=True):
            _, dlogits = softmax_cross_entropy(model(piece), piece_labels)
            model.backward(dlogits / parts)
    found: Array = model.stack[0].grads["weight"]
    return found


def accumulated(beside: Literal["ghosts", "whole"], *, parts: int = 15, seed: int = 0) -> float:
    """How far the gradient accumulated over parts is from that of the whole batch, or of ghost batches of that size."""
    images, labels = large_digits()
    rows = np.random.default_rng(seed).integers(0, len(images), BATCH)
    x, labels = images[rows].reshape(BATCH, -1).astype(np.float64), labels[rows]
    model = dense_in_bn_lib(np.random.default_rng(seed))
    in_parts = gradient(deepcopy(model), x, labels, parts)
    if beside == "ghosts":
        first, _, *rest = model.stack
        model.stack = (first, GhostBatchNorm(64, BATCH // parts), *rest)
    at_once = gradient(model, x, labels)
    return float(np.linalg.norm(in_parts - at_once) / np.linalg.norm(at_once))


@cache
def with_momentum(weight: float, *, batch: int = 10, steps: int = STEPS, seed: int = 0) -> Array:
    """Test digits named wrong in inference, in percent, after each of the last 50 steps; `weight` is a new batch's."""
    found = []
    model = network(seed, lambda units: BatchNorm(units, momentum=weight, dtype=np.float32))

    def look(step: int) -> None:
        if step >= steps - 50:
            found.append(wrong(model))

    train(model, steps=steps, batch=batch, learning_rate=0.05, seed=seed, after_step=look)
    return np.array(found)


def changed_by_eps(seed: int = 0, shrink: float = 1.0) -> float:
    """Test digits, in percent, that are named otherwise if eps is PyTorch's instead of Keras's.

    Args:
        seed: of the network, trained as in Keras.
        shrink: by what the first layer's weights are multiplied before, and the statistics with them.
    """
    model = deepcopy(trained_as_in_keras(seed=seed)).eval()
    dense, norm, *_ = model.stack
    assert isinstance(dense, Dense)
    assert isinstance(norm, BatchNorm)
    dense.weight = dense.weight * np.float32(shrink)
    norm.running_mean, norm.running_var = norm.running_mean * shrink, norm.running_var * shrink**2
    x, _ = large_test_digits()
    before = model(x).argmax(axis=1)
    norm.eps = Convention.PYTORCH.default_eps
    return 100 * float((model(x).argmax(axis=1) != before).mean())


def variance_error(dtype: type[np.floating], *, mean: float = 1.0, count: int = 4096, seed: int = 0) -> float:
    """The relative error of a variance of float16 numbers whose sums are kept in another type."""
    x = np.random.default_rng(seed).normal(mean, 1, count).astype(np.float16)
    total, squares = dtype(0), dtype(0)
    for value in x.astype(dtype):
        total, squares = dtype(total + value), dtype(squares + value * value)
    found = float(squares) / count - (float(total) / count) ** 2
    return abs(found / float(x.astype(np.float64).var()) - 1)


def first_gradient(seed: int = 0) -> float:
    """The gradient of the first weight with softmax applied twice, before training, in parts of that without."""
    images, labels = large_digits()
    x, labels = images[:BATCH].reshape(BATCH, -1), labels[:BATCH]
    once, twice = network(seed), network(seed)
    twice.stack = (*twice.stack, Softmax())
    of_twice, of_once = (np.linalg.norm(gradient(model, x, labels)) for model in (twice, once))
    return float(of_twice / of_once)


def same_statistics(*, converted: bool = True, steps: int = 50, batch: int = 4, seed: int = 0) -> float:
    """How far a running variance kept by Keras and converted is from that kept by PyTorch, relative."""
    rng = np.random.default_rng(seed)
    keras = BatchNorm.in_convention("keras", 3, momentum=0.9)
    torch = BatchNorm.in_convention("pytorch", 3, momentum=Convention.KERAS.convert_momentum(0.9, "pytorch"))
    for _ in range(steps):
        x = rng.normal(1, 3, (batch, 3))
        keras(x), torch(x)
    var = keras.running_var
    if converted:
        var = Convention.KERAS.convert_running_var(var, "pytorch", count=batch, momentum=0.9, updates=steps)
    return float(np.abs(var / torch.running_var - 1).max())
