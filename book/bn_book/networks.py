"""The networks that several chapters train on the digits of `bn_book.data`, dense and a small CNN; and Adam."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from bn_lib._arrays import Array
from bn_lib.layer import Layer, distinct_layers
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


def standardize_once(model: Sequential, images: Array, *, eps: float = 1e-5) -> Sequential:
    """Rescale weights and set biases so that every unit's input has mean 0 and variance 1 over the images.

    From the first hidden layer to the last, the output layer excepted:

        weight <- weight / sqrt(var + eps),  bias <- (bias - mean) / sqrt(var + eps)

    Afterwards the network computes on these images what the same network with BN computes in training mode. Nothing
    normalizes it from then on.

    Args:
        model: dense layers with biases, and activations; it is changed, and returned.
        images: `(N, inputs)`.
        eps: as in `BatchNorm`.

    Source: Salimans and Kingma (2016), section 3. Mishkin and Matas (2016) begin with orthonormal weights, and rescale
    a layer as a whole.
    """
    h = images
    for layer in model.stack[:-1]:
        if isinstance(layer, Dense):
            inputs = layer.forward(h)
            std = np.sqrt(inputs.var(axis=0) + eps)
            layer.weight, layer.bias = layer.weight / std, (layer.bias - inputs.mean(axis=0)) / std
        h = layer.forward(h)
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


# Training them


class Part(NamedTuple):
    """A parameter that is trained: of a layer, by name, all of it or some of its rows."""

    layer: Layer
    name: str
    rows: int | slice = slice(None)

    @property
    def size(self) -> int:
        """How many numbers it is."""
        return int(getattr(self.layer, self.name)[self.rows].size)


def parts_of(model: Layer) -> list[Part]:
    """All parameters of a network, each once."""
    return [Part(layer, name) for layer in distinct_layers(model) for name in layer.parameter_names]


class Adam:
    """Gradient descent whose steps are divided by the root of an average of squared gradients.

        m = first * m + (1 - first) * g            v = second * v + (1 - second) * g**2
        parameter -= learning_rate * (m / (1 - first**t)) / (sqrt(v / (1 - second**t)) + 1e-8)

    Args:
        parts: what is trained.
        learning_rate: may be changed between steps.
        decays: first and second, how much of the two averages is kept at each step.

    Source: Kingma and Ba (2015), algorithm 1.
    """

    def __init__(
        self, parts: Sequence[Part], learning_rate: float, *, decays: tuple[float, float] = (0.9, 0.999)
    ) -> None:
        self.parts, self.learning_rate, self.decays = parts, learning_rate, decays
        self._steps = 0
        self._averages: list[tuple[Array, Array]] = []

    def step(self) -> None:
        """Update every part once from its layer's `grads`."""
        gradients = [layer.grads[name][rows] for layer, name, rows in self.parts]
        before = self._averages or [(0 * g, 0 * g) for g in gradients]
        (first, second), self._steps = self.decays, self._steps + 1
        self._averages = [
            (first * m + (1 - first) * g, second * v + (1 - second) * g**2)
            for g, (m, v) in zip(gradients, before, strict=True)
        ]
        of_m, of_v = 1 - first**self._steps, 1 - second**self._steps
        for (layer, name, rows), (m, v) in zip(self.parts, self._averages, strict=True):
            parameter = getattr(layer, name).copy()
            parameter[rows] -= self.learning_rate * (m / of_m) / (np.sqrt(v / of_v) + 1e-8)
            setattr(layer, name, parameter)
