"""The adversary of a generator: a discriminator with or without BN, and what is put into its mini-batches."""

from collections.abc import Iterator
from typing import Literal, TypeAlias

import numpy as np

from bn_book.data import load_digits
from bn_book.modulation.generator import CLASSES, F32, PIXELS, Generator, falling, noise, one_hot
from bn_book.networks import Adam, parts_of
from bn_book.runs import cache
from bn_lib._arrays import Array
from bn_lib.batchnorm import BatchNorm
from bn_lib.layer import Layer
from bn_lib.network import Dense, Sequential

#: What is in a mini-batch of the discriminator. "pure": real images, or drawn ones, in its own step and in the
#: generator's. "mixed": both in either step. "mismatch": both in its own step, and drawn ones only in the generator's.
Batches: TypeAlias = Literal["no BN", "pure", "mixed", "mismatch"]

IMAGES = 60  # real ones in a mini-batch, and as many drawn
GAN_STEPS = 500
GAN_RATE = 2e-3
BLUR = 0.1  # standard deviation of the noise on what the discriminator sees, at first; it falls to 0


class LeakyReLU(Layer):
    """y = x where x is positive, and a fifth of it elsewhere."""

    def forward(self, x: Array) -> Array:
        """Return y, of the shape of x."""
        slope = np.where(x > 0, F32(1), F32(0.2))
        self._keep(slope)
        return slope * x

    def backward(self, dy: Array) -> Array:
        """Return dx."""
        slope = self._last()
        self._went_back()
        return slope * dy


class Projection(Layer):
    """How real an example looks for one of its class: y = sum(x * (weight + rows[label])).

    Attributes:
        weight: `(1, units)`.
        rows: `(10, units)`.
        mixture: `one_hot(labels)`, `(N, 10)`.

    Source: Miyato and Koyama (2018).
    """

    parameter_names = ("weight", "rows")

    def __init__(self, units: int, rng: np.random.Generator) -> None:
        super().__init__()
        self.weight, self.rows = (
            (rng.normal(size=(count, units)) / np.sqrt(units)).astype(F32) for count in (1, CLASSES)
        )
        self.mixture: Array = np.ones((1, CLASSES), F32)

    def forward(self, x: Array) -> Array:
        """Return y, `(N, 1)`, for x of shape `(N, units)`."""
        towards = self.weight + self.mixture @ self.rows
        self._keep((x, towards, self.mixture))
        return (x * towards).sum(axis=1, keepdims=True)

    def backward(self, dy: Array) -> Array:
        """Return dx; `grads` are set."""
        x, towards, mixture = self._last()
        each = dy * x
        self.grads = {"weight": each.sum(axis=0, keepdims=True), "rows": mixture.T @ each}
        self._went_back()
        return dy * towards


class Discriminator:
    """Tells real images of a class from drawn ones: 64-64-64-1, a positive answer for real.

    Args:
        with_bn: whether BN stands before each activation.
        rng: source of the weights.
    """

    def __init__(self, *, with_bn: bool, rng: np.random.Generator) -> None:
        layers: list[Layer] = []
        for _ in range(2):
            layers.append(Dense(PIXELS, PIXELS, rng=rng, dtype=F32))
            if with_bn:
                layers.append(BatchNorm(PIXELS, dtype=F32))
            layers.append(LeakyReLU())
        self.projection = Projection(PIXELS, rng)
        self.model = Sequential(*layers, self.projection)

    def answer(self, images: Array, labels: Array) -> Array:
        """The answers, `(N, 1)`."""
        self.projection.mixture = one_hot(labels)
        return self.model.forward(images)


def mistrust(answers: Array) -> Array:
    """1 / (1 + exp(answer)), the probability that it is drawn; minus this is the gradient of -log(1 - itself)."""
    found: Array = 0.5 * (1 - np.tanh(0.5 * answers))
    return found


def duel(batches: Batches, generator: Generator, steps: int, rng: np.random.Generator) -> Iterator[None]:
    """Train a generator against a discriminator, a step of both at a time: the non-saturating loss, Adam.

    Source: Goodfellow et al. (2014), section 3, for the loss.
    """
    images, classes = load_digits().train
    adversary = Discriminator(with_bn=batches != "no BN", rng=rng)
    ours, theirs = (Adam(parts_of(one.model), GAN_RATE, decays=(0.5, 0.99)) for one in (generator, adversary))
    for step, rate in enumerate(falling(GAN_RATE, steps)):
        ours.learning_rate = theirs.learning_rate = rate
        rows, labels = rng.integers(0, len(images), IMAGES), rng.integers(0, CLASSES, IMAGES)
        drawn = generator.draw(noise(IMAGES, rng), labels)
        blur = BLUR * (1 - step / steps) * rng.normal(size=(4, IMAGES, PIXELS)).astype(F32)
        real = images[rows] + blur[0], classes[rows]
        both = np.concatenate([real[0], drawn + blur[1]]), np.concatenate([real[1], labels])

        if batches in ("mixed", "mismatch"):
            doubt = mistrust(adversary.answer(*both))
            adversary.model.fill_grads(np.concatenate([-doubt[:IMAGES], 1 - doubt[IMAGES:]]) / IMAGES)
        else:
            adversary.model.fill_grads(-mistrust(adversary.answer(*real)) / IMAGES)
            of_real = [dict(layer.grads) for layer in adversary.model.stack]
            doubt = mistrust(adversary.answer(drawn + blur[1], labels))
            adversary.model.fill_grads((1 - doubt) / IMAGES)
            for layer, before in zip(adversary.model.stack, of_real, strict=True):
                layer.grads = {name: g + before[name] for name, g in layer.grads.items()}
        theirs.step()

        if batches == "mixed":
            pair = np.concatenate([images[rows] + blur[2], drawn + blur[3]])
            doubt = mistrust(adversary.answer(pair, both[1]))
            doubt[:IMAGES] = 0  # what it thinks of the real ones is not the generator's to change
            wanted = adversary.model.backward(-doubt / IMAGES)[IMAGES:]
        else:
            wanted = adversary.model.backward(-mistrust(adversary.answer(drawn + blur[3], labels)) / IMAGES)
        generator.model.fill_grads(wanted)
        ours.step()
        yield


@cache
def dueled(batches: Batches, *, seed: int = 0, steps: int = GAN_STEPS) -> Generator:
    """A generator with conditional BN that was trained against a discriminator; cached."""
    rng = np.random.default_rng((12, seed))
    generator = Generator("γ and β", with_bn=True, rng=rng)
    for _ in duel(batches, generator, steps, rng):
        pass
    return generator
