"""Maps chosen by attention: which gamma and beta an example gets, it says itself."""

from typing import NamedTuple

import numpy as np

from bn_book.data import load_digits
from bn_book.modulation.generator import F32, PIXELS
from bn_book.runs import cache
from bn_lib._arrays import Array
from bn_lib.modulation import AttentiveNorm
from bn_lib.network import Dense, ReLU, Sequential, softmax_cross_entropy
from bn_lib.training import SGD

UNITS = 16
LESSONS = 400


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
        above, same = (found.mean() for found in (negative[:, np.newaxis] > ink, negative[:, np.newaxis] == ink))
        more = float(above + same / 2)
        return max(more, 1 - more)


def attention_weights(layer: AttentiveNorm, x: Array) -> Array:
    """How much of each map a layer gives to each row of x, `(N, K)`; in the mode that its `norm` is in."""
    scores = layer.norm.forward(x) @ layer.attention + layer.state_dict()["attention_bias"]
    exponentials = np.exp(scores - scores.max(axis=1, keepdims=True))
    found: Array = exponentials / exponentials.sum(axis=1, keepdims=True)
    return found


@cache
def learn(maps: int, *, seed: int = 0, units: int = UNITS, steps: int = LESSONS) -> Lesson:
    """Train a classifier whose hidden layer has BN and K maps, on digits of which a random half is inverted.

    Nothing tells it which.
    """
    rng = np.random.default_rng((13, seed))
    (images, labels), (test, right) = load_digits()
    attentive = AttentiveNorm(maps, units, rng=rng, dtype=F32)
    dense, last = (Dense(n, m, rng=rng, dtype=F32) for n, m in ((PIXELS, units), (units, 10)))
    model = Sequential(dense, attentive, ReLU(), last)
    optimizer = SGD(model, 0.1, momentum=0.9)
    for step in range(steps):
        optimizer.learning_rate = 0.1 * (1 - step / steps)
        rows, inverted = rng.integers(0, len(images), 60), rng.random((60, 1)) < 0.5
        shown = np.where(inverted, 1 - images[rows], images[rows])
        _, dlogits = softmax_cross_entropy(model.forward(shown), labels[rows])
        model.fill_grads(dlogits)
        optimizer.step()
    model.eval()
    both = (test, 1 - test)
    share = [(model.forward(shown).argmax(axis=1) == right).mean() for shown in both]
    weights = np.array([attention_weights(attentive, dense.forward(shown))[:, 0] for shown in both])
    return Lesson(float(np.mean(share)), weights)
