"""The data and the networks that the chapters share: 8 x 8 handwritten digits, a sigmoid network, a small CNN.

The digits lie beside this file, with their licence: `digits.csv.gz`, a copy of scikit-learn's.
"""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from bn_lib._arrays import Array
from bn_lib.layer import Layer
from bn_lib.network import Conv2d, Dense, Flatten, ReLU, Sequential, Sigmoid

Normalizer = Callable[[int], Layer]

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

    Source: Alpaydin and Kaynak (1998), Optical Recognition of Handwritten Digits, UCI Machine Learning Repository.
    """
    images, labels = _shuffled()
    x = images.reshape((len(images), -1) if flat else (len(images), 1, 8, 8))
    return Digits((x[:TRAINING_ROWS], labels[:TRAINING_ROWS]), (x[TRAINING_ROWS:], labels[TRAINING_ROWS:]))


def sigmoid_network(
    *,
    rng: np.random.Generator,
    normalizer: Normalizer | None = None,
    hidden: tuple[int, ...] = (100, 100, 100),
    init: str | float = "glorot",
    inputs: int = 64,
) -> Sequential:
    """Dense layers with sigmoids, as in section 4.1 of Ioffe and Szegedy (2015), here with 64 inputs and 10 outputs.

    Args:
        rng: source of the weights.
        normalizer: makes the normalizing layer before each sigmoid from its number of features, such as `BatchNorm`;
            None for a network without. With one, the dense layer before it has no bias.
        hidden: units of each hidden layer.
        init: see `bn_lib.network.initial_weights`.
        inputs: features of the input.
    """
    layers: list[Layer] = []
    for units in hidden:
        layers.append(Dense(inputs, units, rng=rng, bias=normalizer is None, init=init, dtype=np.float32))
        if normalizer is not None:
            layers.append(normalizer(units))
        layers.append(Sigmoid())
        inputs = units
    return Sequential(*layers, Dense(inputs, 10, rng=rng, init=init, dtype=np.float32))


def small_cnn(
    *, rng: np.random.Generator, normalizer: Normalizer | None = None, channels: tuple[int, ...] = (8, 16)
) -> Sequential:
    """3 x 3 convolutions with ReLU on 8 x 8 images, each after the first halving the size, then one dense layer.

    Args:
        rng: source of the weights.
        normalizer: makes the layer between a convolution and its ReLU, as `sigmoid_network`.
        channels: channels of each convolution.
    """
    layers: list[Layer] = []
    inputs, size = 1, 8
    for i, outputs in enumerate(channels):
        stride = 1 if i == 0 else 2
        layers.append(
            Conv2d(inputs, outputs, 3, padding=1, stride=stride, bias=normalizer is None, rng=rng, dtype=np.float32)
        )
        if normalizer is not None:
            layers.append(normalizer(outputs))
        layers.append(ReLU())
        inputs, size = outputs, (size - 1) // stride + 1
    return Sequential(*layers, Flatten(), Dense(inputs * size * size, 10, rng=rng, dtype=np.float32))
