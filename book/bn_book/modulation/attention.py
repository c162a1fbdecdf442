"""Maps chosen by attention: which gamma and beta an example gets, it says itself."""

from functools import cache
from typing import NamedTuple

import numpy as np

from bn_book.data import load_digits
from bn_book.modulation.generator import F32, PIXELS, Rows, bare_batch_norm
from bn_lib._arrays import Array
from bn_lib.network import Dense, ReLU, Sequential, softmax_cross_entropy
from bn_lib.training import SGD

UNITS = 16
LESSONS = 400


class Attentive(Rows):
    """`Rows` whose mixture is a softmax of the example itself.

        mixture = softmax(x @ weight + bias)

    Args:
        units: values per example.
        count: K, how many maps.
        rng: source of the maps and of the attention's weights.

    Source: Li, Sun and Wu (2020), eq. 5 and 6, for a mixture of K affine maps. They compute the weights from channels
    of an image, each by a sigmoid and not by a softmax.
    """

    parameter_names = ("gamma", "beta", "weight", "bias")

    def __init__(self, units: int, count: int, rng: np.random.Generator) -> None:
        super().__init__(units, ("gamma", "beta"), rng, count)
        self.weight = (rng.normal(size=(units, count)) / np.sqrt(units)).astype(F32)
        self.bias = np.zeros(count, F32)

    def forward(self, x: Array) -> Array:
        """Return y, of the shape of x, `(N, units)`; the mixture is kept."""
        scores = x @ self.weight + self.bias
        exponentials = np.exp(scores - scores.max(axis=1, keepdims=True))
        self.mixture = exponentials / exponentials.sum(axis=1, keepdims=True)
        return super().forward(x)

    def backward(self, dy: Array) -> Array:
        """Return dx; `grads` are set."""
        x, _, mixture = self._last()
        dmixture = (dy * x) @ self.gamma.T + dy @ self.beta.T
        dscores = mixture * (dmixture - (dmixture * mixture).sum(axis=1, keepdims=True))
        dx = super().backward(dy) + dscores @ self.weight.T
        self.grads |= {"weight": x.T @ dscores, "bias": dscores.sum(axis=0)}
        return dx


class Lesson(NamedTuple):
    """A classifier of digits in ink and of their negatives.

    Attributes:
        right: the share of test digits that it gets right, half of them negatives.
        weights: the part that the first map has in each test image: `(2, 360)`, in ink and as negatives.
    """

    right: float
    weights: Array

    @property
    def sorted(self) -> float:
        """How well the first map's part alone tells an image in ink from a negative: 0.5 is not at all, 1 always.

        The probability that a negative has more of it than an image in ink, or less, whichever is larger.
        """
        ink, negative = self.weights
        more = float((negative[:, np.newaxis] > ink).mean() + 0.5 * (negative[:, np.newaxis] == ink).mean())
        return max(more, 1 - more)


@cache
def learn(maps: int, *, seed: int = 0, units: int = UNITS, steps: int = LESSONS) -> Lesson:
    """Train a classifier whose hidden layer has BN and K maps, on digits of which a random half is inverted.

    Nothing tells it which.
    """
    rng = np.random.default_rng((13, seed))
    (images, labels), (test, right) = load_digits()
    attentive = Attentive(units, maps, rng)
    dense, last = (Dense(n, m, rng=rng, dtype=F32) for n, m in ((PIXELS, units), (units, 10)))
    model = Sequential(dense, bare_batch_norm(units), attentive, ReLU(), last)
    optimizer = SGD(model, 0.1, momentum=0.9)
    for step in range(steps):
        optimizer.learning_rate = 0.1 * (1 - step / steps)
        rows, inverted = rng.integers(0, len(images), 60), rng.random((60, 1)) < 0.5
        _, dlogits = softmax_cross_entropy(
            model.forward(np.where(inverted, 1 - images[rows], images[rows])), labels[rows]
        )
        model.fill_grads(dlogits)
        optimizer.step()
    model.eval()
    share, weights = [], []
    for shown in (test, 1 - test):
        share.append((model.forward(shown).argmax(axis=1) == right).mean())
        weights.append(attentive.mixture[:, 0])
    return Lesson(float(np.mean(share)), np.array(weights))
