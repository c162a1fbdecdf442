"""How long the book's two small networks train, beside the same networks in PyTorch.

Both sides start from the same weights, learn from the same data and take turns in one process: a chunk of steps here,
a chunk there, as `_measure` says. Reported is each chunk's time over PyTorch's.

    python -m benchmarks.networks
"""

import statistics
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import nn

import bn_lib
from benchmarks import THREADS
from benchmarks._measure import Spread, interleaved, ratios
from bn_book.data import load_digits
from bn_book.networks import sigmoid_network, small_cnn
from bn_lib import SGD, BatchNorm, softmax_cross_entropy, train_step
from bn_lib.layer import Layer

Batch = tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]

RATE = 0.1
MLP_BATCH, CNN_BATCH = 60, 64


def mlp(rounds: int = 10, steps: int = 100) -> dict[str, Any]:
    """Training steps of the 784-100-100-100-10 sigmoid network with BN, mini-batches of 60, float32.

    Args:
        rounds: how often both sides take their turn.
        steps: of one turn.

    Returns:
        "ours" and "torch", the median seconds of 1000 steps; "ratios", ours / torch's, one a round; "backend".
    """
    rng = np.random.default_rng(0)
    x = rng.random((20, MLP_BATCH, 784), dtype=np.float32)
    labels = rng.integers(0, 10, (20, MLP_BATCH))
    batches = [(x[i % 20], labels[i % 20]) for i in range(steps)]
    model = sigmoid_network(rng=rng, normalizer=_norm, inputs=784)
    sizes = (784, 100, 100, 100)
    hidden = [
        layer
        for inputs, units in pairwise(sizes)
        for layer in (nn.Linear(inputs, units, bias=False), nn.BatchNorm1d(units), nn.Sigmoid())
    ]
    return _side_by_side(model, nn.Sequential(*hidden, nn.Linear(100, 10)), lambda: batches, rounds, 1000 / steps)


def cnn(rounds: int = 10) -> dict[str, Any]:
    """Epochs of the small CNN with BN on 8 x 8 digits: 22 mini-batches of 64, float32.

    Args:
        rounds: how often both sides take their turn, of one epoch each.

    Returns:
        "ours" and "torch", the median seconds of an epoch; "ratios", ours / torch's, one a round; "backend".
    """
    rng = np.random.default_rng(0)
    images, labels = load_digits(flat=False).train
    model = small_cnn(rng=rng, normalizer=_norm)
    theirs = nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1, bias=False),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Conv2d(8, 16, 3, padding=1, stride=2, bias=False),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(16 * 4 * 4, 10),
    )

    def epoch() -> list[Batch]:
        order = rng.permutation(len(labels))
        starts = range(0, len(labels) - CNN_BATCH + 1, CNN_BATCH)
        return [(images[rows], labels[rows]) for rows in (order[i : i + CNN_BATCH] for i in starts)]

    return _side_by_side(model, theirs, epoch, rounds, 1)


def _norm(features: int) -> Layer:
    return BatchNorm(features, dtype=np.float32)


def _side_by_side(
    model: Layer, theirs: nn.Module, batches: Callable[[], Sequence[Batch]], rounds: int, scale: float
) -> dict[str, Any]:
    """Let both train in turns, each on mini-batches of its own drawing from the same source."""
    _same_weights(model, theirs)
    _check_agreement(model, theirs, batches()[0])
    ours, optimizer = SGD(model, RATE), torch.optim.SGD(theirs.parameters(), RATE)
    loss_of = nn.CrossEntropyLoss()

    def train_ours() -> None:
        for x, labels in batches():
            train_step(model, ours, x, labels)

    def train_theirs() -> None:
        for x, labels in batches():
            optimizer.zero_grad()
            loss = loss_of(theirs(torch.from_numpy(x)), torch.from_numpy(labels))
            loss.backward()
            optimizer.step()
            loss.item()  # `train_step` returns the loss as a number, and so does a loop that shows it

    seconds = interleaved({"ours": train_ours, "torch": train_theirs}, rounds)
    return {
        "ours": statistics.median(seconds["ours"]) * scale,
        "torch": statistics.median(seconds["torch"]) * scale,
        "ratios": ratios(seconds, "ours", "torch"),
        "backend": bn_lib.backend(),
    }


def _same_weights(model: Layer, theirs: nn.Module) -> None:
    """Copy the weights of `model`; gamma, beta and biases start alike in both."""
    weights = iter([value for name, value in model.state_dict().items() if name.endswith("weight")])
    with torch.no_grad():
        for layer in _with_weights(theirs):
            weight = torch.from_numpy(next(weights))
            layer.weight.copy_(weight.T if isinstance(layer, nn.Linear) else weight)
            if layer.bias is not None:
                layer.bias.zero_()


def _with_weights(module: nn.Module) -> Iterator[Any]:
    return (layer for layer in module.modules() if isinstance(layer, nn.Linear | nn.Conv2d))


def _check_agreement(model: Layer, theirs: nn.Module, batch: Batch) -> None:
    """Raise unless both compute the same: what is not the same cannot be compared in speed."""
    x, labels = batch
    loss, _ = softmax_cross_entropy(model.forward(x), labels)
    their_loss = nn.functional.cross_entropy(theirs(torch.from_numpy(x)), torch.from_numpy(labels)).item()
    if not np.isclose(loss, their_loss, rtol=1e-5):
        raise AssertionError(f"the loss of the same batch is {loss:g} here and {their_loss:g} in PyTorch")


def main() -> None:
    """Print both comparisons, for every backend that can be used here."""
    torch.set_num_threads(THREADS)
    for backend in ("numpy", "numba"):
        try:
            with bn_lib.use_backend(backend):
                results = {"1000 steps of the MLP": mlp(), "an epoch of the CNN": cnn()}
        except ImportError:
            continue
        for name, result in results.items():
            spread = Spread.of(result["ratios"])
            print(
                f"{backend:6} {name:22} {result['ours']:.3f} s, PyTorch {result['torch']:.3f} s: "
                f"{spread.median:.2f} of its time ({spread.low:.2f} to {spread.high:.2f})"
            )


if __name__ == "__main__":
    main()
