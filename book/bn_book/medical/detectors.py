"""A small network that looks for a lesion, with any normalizer, and how it is trained and asked.

convolution, normalizer, ReLU     three times, each halving the sides: 16 to 8 to 4 to 2
the largest value of a channel     (or the mean, for the CT-like case)
dense                              two logits; the score of an image is their difference
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from typing import TypeAlias

import numpy as np

from bn_book.medical.phantoms import F32
from bn_lib._arrays import Array
from bn_lib.layer import Layer
from bn_lib.modulation import given
from bn_lib.network import Conv2d, Dense, ReLU, Sequential
from bn_lib.statistics import DomainBatchNorm
from bn_lib.training import SGD, train_step

CHANNELS = (8, 16, 16)
BATCH = 64
STEPS = 300
RATE = 0.05

#: Makes the normalizer of so many channels; None for none.
Make: TypeAlias = Callable[[int], Layer] | None


class LargestOf(Layer):
    """The largest value of each channel over all positions: `(N, C, H, W)` to `(N, C)`."""

    def forward(self, x: Array) -> Array:
        """Return the maxima."""
        flat = x.reshape(*x.shape[:2], -1)
        self._keep((flat.argmax(axis=2), x.shape))
        return flat.max(axis=2)

    def backward(self, dy: Array) -> Array:
        """All of a channel's gradient goes to where its largest value was."""
        where, shape = self._last()
        dx = np.zeros((*shape[:2], shape[2] * shape[3]), dy.dtype)
        np.put_along_axis(dx, where[..., np.newaxis], dy[..., np.newaxis], axis=2)
        self._went_back()
        return dx.reshape(shape)


class MeanOf(Layer):
    """The mean of each channel over all positions: `(N, C, H, W)` to `(N, C)`."""

    def forward(self, x: Array) -> Array:
        """Return the means."""
        self._keep(x.shape)
        return x.mean(axis=(2, 3))

    def backward(self, dy: Array) -> Array:
        """Each position gets an equal part."""
        shape = self._last()
        self._went_back()
        return np.broadcast_to((dy / (shape[2] * shape[3]))[..., np.newaxis, np.newaxis], shape).copy()


def detector(
    makes: Sequence[Make], rng: np.random.Generator, *, inputs: int = 1, pool: type[Layer] = LargestOf, padding: int = 1
) -> Sequential:
    """An untrained network.

    Args:
        makes: the normalizer behind each of the three convolutions.
        rng: source of the weights.
        inputs: channels of an image.
        pool: what makes one number of a channel.
        padding: zeros around what a convolution gets.
    """
    layers: list[Layer] = []
    for make, channels in zip(makes, CHANNELS, strict=True):
        layers += [
            Conv2d(inputs, channels, 3, stride=2, padding=padding, bias=make is None, rng=rng, dtype=F32),
            *([make(channels)] if make else []),
            ReLU(),
        ]
        inputs = channels
    return Sequential(*layers, pool(), Dense(inputs, 2, rng=rng, dtype=F32))


def has_domains(model: Sequential) -> bool:
    """Whether its layers ask which scanner an image comes from."""
    return any(isinstance(layer, DomainBatchNorm) for layer in model)


def told(model: Sequential, domains: Array):  # type: ignore[no-untyped-def] # a context manager
    """Tell the layers the domain of each row, if they ask."""
    return given(model, domains=domains) if has_domains(model) else nullcontext()


def batches_of(domains: Array, steps: int, rng: np.random.Generator, *, alone: bool = False) -> Iterator[Array]:
    """Rows of each mini-batch, drawn anew for every epoch.

    Args:
        domains: the scanner of each image.
        steps: how many mini-batches.
        rng: source of the order.
        alone: whether a mini-batch has images of one scanner only, in turn.
    """
    groups = [np.flatnonzero(domains == d) for d in np.unique(domains)] if alone else [np.arange(len(domains))]
    queues: list[Array] = [rows[:0] for rows in groups]
    for step in range(steps):
        k = step % len(groups)
        if len(queues[k]) < BATCH:
            queues[k] = rng.permutation(groups[k])
        yield queues[k][:BATCH]
        queues[k] = queues[k][BATCH:]


def trained(
    model: Sequential, x: Array, labels: Array, domains: Array, *, rng: np.random.Generator, steps: int = STEPS,
    rate: float = RATE, alone: bool = False,
) -> Sequential:  # fmt: skip
    """Train a network and leave it in inference mode.

    Args:
        model: it is changed, and returned.
        x, labels, domains: the images, what is in them, and which scanner took them.
        rng: source of the mini-batches.
        steps: of SGD with momentum 0.9 and weight decay 1e-4.
        rate: of the first step; it falls in a line to almost 0.
        alone: see `batches_of`.
    """
    optimizer = SGD(model, rate, momentum=0.9, weight_decay=1e-4)
    model.train()
    for step, rows in enumerate(batches_of(domains, steps, rng, alone=alone)):
        optimizer.learning_rate = rate * min(1.0, (step + 1) / 20) * (1 - step / steps) + 1e-4
        with told(model, domains[rows]):
            train_step(model, optimizer, x[rows], labels[rows])
    model.eval()
    return model


def scores(model: Sequential, x: Array, domain: int = 0) -> Array:
    """The score of each image, the logit of a lesion, float64. All are of one scanner. The mode is the model's.

    In inference, images do not depend on each other; in training mode, all that are given are one mini-batch.
    """
    with told(model, np.full(len(x), domain)):
        logits = model.forward(x).astype(np.float64)
    return logits[:, 1] - logits[:, 0]
