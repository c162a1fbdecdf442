"""Two networks in PyTorch, in Keras and in `bn_lib`: from the same weights, on the same mini-batches, step by step.

The first six functions are what the page shows. The rest measures how far the libraries are apart.
"""

from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from typing import Any, NamedTuple

import numpy as np

from bn_book.data import load_digits
from bn_lib import (
    SGD,
    BatchNorm,
    Conv2d,
    Convention,
    Dense,
    Flatten,
    Layer,
    ReLU,
    Sequential,
    from_keras,
    from_torch,
    softmax_cross_entropy,
    to_keras,
)
from bn_lib._arrays import Array

BATCH, STEPS, LEARNING_RATE, MOMENTUM = 60, 50, 0.1, 0.9


def dense_in_torch() -> Any:
    """784-64-BN-ReLU-10 in PyTorch."""
    from torch import nn

    return nn.Sequential(
        nn.Linear(784, 64, bias=False),
        nn.BatchNorm1d(64),
        nn.ReLU(),
        nn.Linear(64, 10),
    )


def dense_in_keras() -> Any:
    """The same in Keras, with PyTorch's eps and its momentum in Keras's meaning."""
    import keras
    from keras import layers

    return keras.Sequential(
        [
            keras.Input((784,)),
            layers.Dense(64, use_bias=False),
            layers.BatchNormalization(momentum=0.9, epsilon=1e-5),
            layers.ReLU(),
            layers.Dense(10),
        ]
    )


def dense_in_bn_lib(rng: np.random.Generator, dtype: Any = np.float64) -> Sequential:
    """784-64-BN-ReLU-10 in `bn_lib`."""
    return Sequential(
        Dense(784, 64, bias=False, rng=rng, dtype=dtype),
        BatchNorm(64, dtype=dtype),
        ReLU(),
        Dense(64, 10, rng=rng, dtype=dtype),
    )


def cnn_in_torch() -> Any:
    """Two convolutions with BN, and a dense layer."""
    from torch import nn

    return nn.Sequential(
        nn.Conv2d(1, 4, 3, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.Conv2d(4, 8, 3, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(392, 10),
    )


def cnn_in_keras() -> Any:
    """The same in Keras. `padding="same"` would pad one side only, because of the stride."""
    import keras
    from keras import layers

    return keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.ZeroPadding2D(1),
            layers.Conv2D(4, 3, strides=2, use_bias=False),
            layers.BatchNormalization(momentum=0.9, epsilon=1e-5),
            layers.ReLU(),
            layers.ZeroPadding2D(1),
            layers.Conv2D(8, 3, strides=2, use_bias=False),
            layers.BatchNormalization(momentum=0.9, epsilon=1e-5),
            layers.ReLU(),
            layers.Flatten(),
            layers.Dense(10),
        ]
    )


def cnn_in_bn_lib(rng: np.random.Generator, dtype: Any = np.float64) -> Sequential:
    """The two convolutions in `bn_lib`."""
    made: dict[str, Any] = {"rng": rng, "dtype": dtype}
    return Sequential(
        Conv2d(1, 4, 3, stride=2, padding=1, bias=False, **made),
        BatchNorm(4, dtype=dtype),
        ReLU(),
        Conv2d(4, 8, 3, stride=2, padding=1, bias=False, **made),
        BatchNorm(8, dtype=dtype),
        ReLU(),
        Flatten(),
        Dense(392, 10, **made),
    )


class Network(NamedTuple):
    """One network in three libraries.

    Attributes:
        torch, keras, ours: make it.
        shape: of one input in `bn_lib`.
    """

    torch: Callable[[], Any]
    keras: Callable[[], Any]
    ours: Callable[..., Sequential]
    shape: tuple[int, ...]


NETWORKS: Mapping[str, Network] = {
    "dense": Network(dense_in_torch, dense_in_keras, dense_in_bn_lib, (784,)),
    "cnn": Network(cnn_in_torch, cnn_in_keras, cnn_in_bn_lib, (1, 28, 28)),
}

EPS_FORGOTTEN = "bn_lib with Keras's eps"
#: What is compared, in the order of the page's table.
QUANTITIES = ("layers", "gradients", "losses", "parameters", "running_mean", "running_var", "inference", "as stored")


class Compared(NamedTuple):
    """How far the libraries are from `bn_lib` in float64.

    Attributes:
        differences: by library and precision, then by quantity (`QUANTITIES`): the largest difference of two numbers,
            divided by the largest number of that array; of losses the difference alone, in nats. Layers and gradients
            are those of the first step, statistics, parameters and inference those after the last. The variance of
            Keras is held against the biased one, and its inference against inference with that; "as stored" is
            inference without this conversion.
        steps: by library and precision the same for parameters, after each step.
    """

    differences: dict[str, dict[str, float]]
    steps: dict[str, list[float]]


def large_digits() -> tuple[Array, Array]:
    """The training digits, `(N, 1, 28, 28)`: each pixel becomes three by three, with a margin of two."""
    images, labels = load_digits(flat=False).train
    return np.pad(images.repeat(3, axis=2).repeat(3, axis=3), ((0, 0), (0, 0), (2, 2), (2, 2))), labels


def batches(shape: tuple[int, ...], steps: int = STEPS, seed: int = 0) -> Iterator[tuple[Array, Array]]:
    """Mini-batches of inputs in float64 and labels."""
    images, labels = large_digits()
    rng = np.random.default_rng(seed)
    for _ in range(steps):
        rows = rng.integers(0, len(images), BATCH)
        yield images[rows].reshape(BATCH, *shape).astype(np.float64), labels[rows]


class Step(NamedTuple):
    """One training step of a library, in the layout of `bn_lib`.

    Attributes:
        loss: before the update.
        state: the state dict after it.
        layers: the outputs of the layers in its forward pass; empty but for the first step.
        gradients: by name; empty but for the first step.
    """

    loss: float
    state: dict[str, Array]
    layers: list[Array]
    gradients: dict[str, Array]


def train_ours(network: Network, dtype: Any, seed: int, eps: float = 1e-5) -> Iterator[Step]:
    """The steps of `bn_lib`."""
    model = network.ours(np.random.default_rng(seed), dtype)
    for each in model:
        if isinstance(each, BatchNorm):
            each.eps = eps
    optimizer = SGD(model, LEARNING_RATE, momentum=MOMENTUM)
    for number, (x, labels) in enumerate(batches(network.shape)):
        layers: list[Array] = []
        if not number:

            def keep(kind: str, _: int, __: Layer, y: Array, to: list[Array] = layers) -> None:
                if kind == "activation":
                    to.append(y)

            model.watchers.append(keep)
        loss, dlogits = softmax_cross_entropy(model(x.astype(dtype)), labels)
        model.watchers.clear()
        model.backward(dlogits)
        grads = {name: each.grads[own] for name, each, own in model.named_state() if own in each.parameter_names}
        optimizer.step()
        yield Step(loss, model.state_dict(), layers, {} if number else grads)
    x, _ = next(batches(network.shape, 1, seed=1))
    yield Step(np.nan, {}, [model.eval()(x.astype(dtype))], {})


def train_torch(network: Network, dtype: Any, seed: int) -> Iterator[Step]:
    """The steps of PyTorch."""
    import torch

    start = network.ours(np.random.default_rng(seed)).state_dict("pytorch")
    kind = getattr(torch, np.dtype(dtype).name)
    module = network.torch().to(kind)
    module.load_state_dict({name: torch.from_numpy(value) for name, value in start.items()})
    optimizer = torch.optim.SGD(module.parameters(), lr=LEARNING_RATE, momentum=MOMENTUM)
    cross_entropy = torch.nn.CrossEntropyLoss()
    for number, (x, labels) in enumerate(batches(network.shape)):
        y, layers = torch.from_numpy(x).to(kind), []
        for layer in module:
            y = layer(y)
            layers.append(y.detach().numpy())
        loss = cross_entropy(y, torch.from_numpy(labels))
        optimizer.zero_grad()
        loss.backward()
        grads = {}
        if not number:
            holder = deepcopy(module)
            for parameter, own in zip(holder.parameters(), module.parameters(), strict=True):
                parameter.data = own.grad.clone()
            grads = from_torch(holder).state_dict()
        optimizer.step()
        yield Step(loss.item(), from_torch(module).state_dict(), [] if number else layers, grads)
    x, _ = next(batches(network.shape, 1, seed=1))
    yield Step(np.nan, {}, [module.eval()(torch.from_numpy(x).to(kind)).detach().numpy()], {})


def train_keras(network: Network, seed: int) -> Iterator[Step]:
    """The steps of Keras, in float32: on PyTorch it has no products of matrices in float64."""
    import keras
    import torch

    start = network.ours(np.random.default_rng(seed))
    model = network.keras()
    model.set_weights(to_keras(start, network.shape).get_weights())
    optimizer = keras.optimizers.SGD(LEARNING_RATE, momentum=MOMENTUM)
    cross_entropy = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    for number, (x, labels) in enumerate(batches(network.shape)):
        y, layers = torch.from_numpy(_last(x)).float(), []
        for layer in model.layers:
            y = layer(y, training=True) if "batch_norm" in layer.name else layer(y)
            if "padding" not in layer.name:
                layers.append(_first(y.detach().numpy(), layer.name))
        loss = cross_entropy(torch.from_numpy(labels), y)
        model.zero_grad()
        loss.backward()
        gradients = [variable.value.grad for variable in model.trainable_variables]
        grads = {}
        if not number:
            holder = network.keras()
            for variable, gradient in zip(holder.trainable_variables, gradients, strict=True):
                variable.assign(gradient)
            grads = from_keras(holder).state_dict()
        with torch.no_grad():
            optimizer.apply(gradients, model.trainable_variables)
        yield Step(loss.item(), from_keras(model).state_dict(), [] if number else layers, grads)
    x, _ = next(batches(network.shape, 1, seed=1))
    yield Step(np.nan, {}, [model(torch.from_numpy(_last(x)).float()).detach().numpy()], {})


def _last(x: Array) -> Array:
    """Images with their channels last."""
    return np.ascontiguousarray(np.moveaxis(x, 1, -1)) if x.ndim == 4 else x


def _first(y: Array, name: str) -> Array:
    """The reverse. What is flattened has another order there; sorted, both are the same."""
    return np.sort(y, axis=1) if "flatten" in name else np.moveaxis(y, -1, 1)


def compare(name: str, seed: int = 0) -> Compared:
    """Train one of `NETWORKS` in all libraries, and compare each with `bn_lib` in float64."""
    network = NETWORKS[name]
    ways: dict[str, Callable[[], Iterator[Step]]] = {
        "PyTorch, float64": lambda: train_torch(network, np.float64, seed),
        "bn_lib, float32": lambda: train_ours(network, np.float32, seed),
        "PyTorch, float32": lambda: train_torch(network, np.float32, seed),
        "Keras, float32": lambda: train_keras(network, seed),
        EPS_FORGOTTEN: lambda: train_ours(network, np.float64, seed, Convention.KERAS.default_eps),
    }
    exact = list(train_ours(network, np.float64, seed))
    differences, steps = {}, {}
    for way, train in ways.items():
        found = list(train())
        differences[way] = _differences(network, found, exact, biased=way.startswith("Keras"))
        steps[way] = [
            max(apart(there.state[key], here.state[key]) for key in here.gradients or exact[0].gradients)
            for there, here in zip(found[:-1], exact[:-1], strict=True)
        ]
    return Compared(differences, steps)


def _values_per_channel(network: Network) -> dict[str, int]:
    """By name of a running variance how many values per channel go into it in each step."""
    found, model = {}, network.ours(np.random.default_rng(0))
    y = np.zeros((BATCH, *network.shape)) + np.arange(BATCH).reshape(-1, *[1] * len(network.shape))
    for number, layer in enumerate(model):
        if isinstance(layer, BatchNorm):
            found[f"{number}.running_var"] = y.size // y.shape[1]
        y = layer(y)
    return found


def _differences(network: Network, found: list[Step], exact: list[Step], *, biased: bool) -> dict[str, float]:
    expected, layers, inference = exact[-2].state, exact[0].layers, exact[-1].layers[0]
    if biased:  # what Keras would hold, and compute with it; flattened it has another order
        expected = expected | {
            key: Convention.PYTORCH.convert_running_var(
                expected[key], "keras", count=count, momentum=0.1, updates=STEPS
            )
            for key, count in _values_per_channel(network).items()
        }
        layers = [
            np.sort(y, axis=1) if "Flatten" in name else y for name, y in zip(_kinds(network), layers, strict=True)
        ]
        model = network.ours(np.random.default_rng(0)).load_state_dict(expected).eval()
        inference = model(next(batches(network.shape, 1, seed=1))[0])

    def largest(of: str) -> float:
        return max(apart(found[-2].state[key], value) for key, value in expected.items() if key.endswith(of))

    return {
        "layers": max(apart(there, here) for there, here in zip(found[0].layers, layers, strict=True)),
        "gradients": max(apart(found[0].gradients[key], value) for key, value in exact[0].gradients.items()),
        "losses": max(abs(there.loss - here.loss) for there, here in zip(found[:-1], exact[:-1], strict=True)),
        "parameters": max(apart(found[-2].state[key], expected[key]) for key in exact[0].gradients),
        "running_mean": largest("running_mean"),
        "running_var": largest("running_var"),
        "inference": apart(found[-1].layers[0], inference),
        "as stored": apart(found[-1].layers[0], exact[-1].layers[0]),
    }


def _kinds(network: Network) -> list[str]:
    return [type(layer).__name__ for layer in network.ours(np.random.default_rng(0))]


def apart(there: Array, here: Array) -> float:
    """The largest difference of two arrays, divided by the largest number of the second."""
    return float(np.abs(there.astype(np.float64) - here).max() / np.abs(here).max())
