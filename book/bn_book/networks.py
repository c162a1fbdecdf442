"""The networks that several chapters train on the digits of `bn_book.data`: dense networks and a small CNN."""

from collections.abc import Callable
from typing import Any

import numpy as np

from bn_lib._arrays import Array
from bn_lib.layer import Layer, only_looked_at
from bn_lib.network import Conv2d, Dense, Flatten, ReLU, Sequential, Sigmoid

Normalizer = Callable[[int], Layer]


def sigmoid_network(
    *,
    rng: np.random.Generator,
    normalizer: Normalizer | None = None,
    hidden: tuple[int, ...] = (100, 100, 100),
    init: str | float = "glorot",
    inputs: int = 64,
    activation: Callable[[], Layer] = Sigmoid,
    dtype: Any = np.float32,
) -> Sequential:
    """Dense layers with sigmoids, as in section 4.1 of Ioffe and Szegedy (2015), here with 64 inputs and 10 outputs.

    Args:
        rng: source of the weights.
        normalizer: makes the normalizing layer before each sigmoid from its number of features, such as `BatchNorm`;
            None for a network without. With one, the dense layer before it has no bias.
        hidden: units of each hidden layer.
        init: see `bn_lib.network.initial_weights`.
        inputs: features of the input.
        activation: makes what stands in the place of a sigmoid.
        dtype: of the dense layers.
    """
    layers: list[Layer] = []
    for units in hidden:
        layers.append(Dense(inputs, units, rng=rng, bias=normalizer is None, init=init, dtype=dtype))
        if normalizer is not None:
            layers.append(normalizer(units))
        layers.append(activation())
        inputs = units
    return Sequential(*layers, Dense(inputs, 10, rng=rng, init=init, dtype=dtype))


def standardize_once(model: Sequential, images: Array) -> Sequential:
    """Rescale the dense layers but the last, first layer first, so that each output has mean 0 and variance 1.

    Each unit's weights are divided by the standard deviation of its output over `images`, and the bias takes out the
    mean. Before training the network computes what it would with BN, statistics of `images`, gamma = 1, beta = 0 and
    eps = 0. Nothing normalizes it afterwards.

    Args:
        model: dense layers with biases, and activations; changed, and returned. A unit whose output is the same for all
            images keeps its weights.
        images: `(N, inputs)`.

    Source: Salimans and Kingma (2016), section 3.
    """
    with only_looked_at(model):
        updated = []
        for layer in model.stack[:-1]:
            outputs = layer.forward(images)
            if isinstance(layer, Dense):
                deviation = outputs.std(axis=0)
                deviation[deviation == 0] = 1
                layer.weight, layer.bias = layer.weight / deviation, (layer.bias - outputs.mean(axis=0)) / deviation
                outputs = layer.forward(images)
                updated.append((layer, layer.weight, layer.bias))
            images = outputs
    for layer, weight, bias in updated:
        layer.weight, layer.bias = weight, bias
    return model


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
