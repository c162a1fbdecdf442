"""The data that the chapters learn from: 8 x 8 handwritten digits, `digits.csv.gz`, a copy of scikit-learn's.

Their licence lies beside them.
"""

from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from bn_lib._arrays import Array

TRAINING_ROWS = 1437  # four fifths of the 1797


class Digits(NamedTuple):
    """Images with values from 0 to 1 and their labels, shuffled once and split.

    Attributes:
        train: `(images, labels)` to train on, 1437 rows.
        test: `(images, labels)` held back, 360 rows.
    """

    train: tuple[Array, Array]
    test: tuple[Array, Array]


@cache
def _shuffled() -> tuple[Array, Array]:
    # One row for each image: 64 pixels from 0 to 16, and the digit that it shows.
    table = np.loadtxt(Path(__file__).with_name("digits.csv.gz"), np.int64, delimiter=",")
    # The file lists writers one after the other; without a shuffle the held-back rows would be other people's.
    table = np.random.default_rng(0).permutation(table)
    return (table[:, :-1].reshape(-1, 8, 8) / 16).astype(np.float32), table[:, -1].copy()


def load_digits(*, flat: bool = True) -> Digits:
    """The 1797 digits that scikit-learn, too, ships: float32, `(N, 64)` if flat, otherwise `(N, 1, 8, 8)`.

    Source: Alpaydin and Kaynak (1998), Optical Recognition of Handwritten Digits, UCI Machine Learning Repository:
    the test part of its 5620 images.
    """
    images, labels = _shuffled()
    x = images.reshape((len(images), -1) if flat else (len(images), 1, 8, 8))
    return Digits((x[:TRAINING_ROWS], labels[:TRAINING_ROWS]), (x[TRAINING_ROWS:], labels[TRAINING_ROWS:]))
