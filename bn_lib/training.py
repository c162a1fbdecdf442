"""Training the small network: stochastic gradient descent, a loop over mini-batches, and a recorder that looks on."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np

from bn_lib._arrays import Array, namespace
from bn_lib._checks import check_input, check_labels, check_number, check_positive_int, check_rng
from bn_lib._progress import progress_bar
from bn_lib.layer import Layer, buffers_back_if_it_raises, to_numpy
from bn_lib.network import Sequential, softmax_cross_entropy


class SGD:
    """Stochastic gradient descent with momentum and weight decay.

        g = grad + weight_decay * parameter
        velocity = momentum * velocity + g
        parameter = parameter - learning_rate * velocity

    Args:
        model: the layer, or container, whose parameters are updated.
        learning_rate: >= 0; may be changed between steps.
        momentum: 0 <= momentum < 1; 0 is plain gradient descent.
        weight_decay: strength of the L2 penalty, applied to every parameter; >= 0.

    Source: torch.optim.SGD (dampening 0, no Nesterov); Sutskever et al. (2013) write it with the rate inside.
    """

    def __init__(self, model: Layer, learning_rate: float, *, momentum: float = 0.0, weight_decay: float = 0.0) -> None:
        if not isinstance(model, Layer):
            raise TypeError(f"model is a {type(model).__name__}; expected a Layer")
        self.model = model
        self.learning_rate = check_number(learning_rate, "learning_rate", low=0.0)
        self.momentum = check_number(momentum, "momentum", low=0.0, high=1.0)
        if self.momentum == 1.0:
            raise ValueError("momentum is 1; expected less, or no gradient would ever be forgotten")
        self.weight_decay = check_number(weight_decay, "weight_decay", low=0.0)
        self._velocity: dict[tuple[int, str], Array] = {}

    def step(self) -> None:
        """Update every parameter once from its layer's `grads`.

        Raises:
            RuntimeError: if a gradient is missing because `backward` has not been called.
        """
        slots = [(layer, name) for layer in self.model.layers() for name in layer.parameter_names]
        for layer, name in slots:
            if name not in layer.grads:
                raise RuntimeError(f"{type(layer).__name__} has no gradient of {name}; call backward(dy) before step()")
        for layer, name in slots:
            parameter, g = getattr(layer, name), layer.grads[name]
            if self.weight_decay:
                g = g + self.weight_decay * parameter
            if self.momentum:
                key = (id(layer), name)
                g = self._velocity[key] = self.momentum * self._velocity[key] + g if key in self._velocity else g
            # A new array, because others may hold the old one. The sum goes where the product was: less memory touched.
            updated = namespace(parameter).astype(-self.learning_rate * g, parameter.dtype, copy=False)
            updated += parameter
            setattr(layer, name, updated)


@dataclass
class History:
    """What `fit` saw.

    Attributes:
        loss: training loss of every mini-batch, in nats.
        accuracy: fraction right on the validation set after each epoch; empty without one.
    """

    loss: list[float] = field(default_factory=list)
    accuracy: list[float] = field(default_factory=list)


def fit(
    model: Layer,
    optimizer: SGD,
    x: Array,
    labels: Array,
    *,
    epochs: int,
    batch_size: int,
    rng: np.random.Generator,
    validation: tuple[Array, Array] | None = None,
    progress: bool = True,
    after_step: Callable[[int], None] | None = None,
) -> History:
    """Train a classifier on shuffled mini-batches of equal size with softmax cross-entropy.

    The rows left over when `batch_size` does not divide N sit out that epoch; the next shuffle gives others.

    Args:
        model: the network; left in training mode.
        optimizer: updates its parameters.
        x: `(N, ...)`, floating point.
        labels: `(N,)`, integers from 0.
        epochs: passes over the data.
        batch_size: rows per mini-batch, at most N.
        rng: source of the shuffles.
        validation: `(x, labels)` to measure accuracy on, in inference mode, after each epoch.
        progress: show a progress bar (if tqdm is installed).
        after_step: called with the number of steps taken so far after each one.

    Returns:
        The loss of every step and the accuracy of every epoch.

    Raises:
        TypeError, ValueError: if an argument is of another type, shape or range; before the first step.
    """
    check_input(x)
    check_labels(labels, x, None)
    check_rng(rng)
    if validation is not None:
        check_input(validation[0], "validation[0]")
        check_labels(validation[1], validation[0], None, "validation[1]")
    epochs, batch_size = check_positive_int(epochs, "epochs"), check_positive_int(batch_size, "batch_size")
    if batch_size > x.shape[0]:
        raise ValueError(f"batch_size is {batch_size}; expected at most the {x.shape[0]} rows of x")

    xp, history = namespace(x), History()
    steps_per_epoch = x.shape[0] // batch_size
    with progress_bar(epochs * steps_per_epoch, progress, "step") as bar:
        for _ in range(epochs):
            model.train()
            order = rng.permutation(x.shape[0])
            for step in range(steps_per_epoch):
                rows = xp.asarray(order[step * batch_size : (step + 1) * batch_size])
                batch = xp.take(x, rows, axis=0), xp.take(labels, rows, axis=0)
                history.loss.append(train_step(model, optimizer, *batch))
                bar.update()
                if after_step is not None:
                    after_step(len(history.loss))
            if validation is not None:
                history.accuracy.append(accuracy(model, *validation))
    return history


def train_step(model: Layer, optimizer: SGD, x: Array, labels: Array) -> float:
    """One forward pass, one backward pass, one update; return the loss before the update, in nats.

    Raises:
        TypeError, ValueError: as the model and `softmax_cross_entropy` do; running statistics are then as before.
    """
    with buffers_back_if_it_raises(model):
        loss, dlogits = softmax_cross_entropy(model.forward(x), labels)
    model.fill_grads(dlogits)
    optimizer.step()
    return loss


def accuracy(model: Layer, x: Array, labels: Array) -> float:
    """Fraction of `labels` that the model gets right in inference mode; every layer's mode is as before afterwards.

    Raises:
        TypeError, ValueError: as the model does, or if `labels` is not one integer >= 0 per row of x.
    """
    check_input(x)
    check_labels(labels, x, None)
    modes = [(layer, layer.training) for layer in model.layers()]
    try:
        logits = model.eval().forward(x)
    finally:
        for layer, training in modes:
            layer.training = training
    xp = namespace(logits)
    right = int(xp.sum(xp.astype(xp.argmax(logits, axis=1) == labels, xp.int64)))
    return right / int(labels.shape[0])


class Recorder:
    """Watches a network train: summaries of every chosen layer's activations and gradients, step by step.

    Use it as a context; it records while it is open.

        with Recorder(model, only=Sigmoid) as recorder:
            fit(model, ...)
        recorder.activations[3]         # one summary per recorded step, of the layer at position 3

    Args:
        model: the network to watch. Only passes in training mode are recorded.
        summary: what to keep of an array (NumPy); by default its 15th, 50th and 85th percentile.
        only: the layer classes to watch; by default all.
        every: record every so many steps, starting with the first.

    Attributes:
        activations: position in the network -> list of summaries of that layer's output.
        gradients: position -> list of summaries of the gradient with respect to that output.
        steps: the steps recorded, counting from 0.
    """

    def __init__(
        self,
        model: Sequential,
        *,
        summary: Callable[[np.ndarray[Any, Any]], Any] | None = None,
        only: type[Layer] | tuple[type[Layer], ...] = Layer,
        every: int = 1,
    ) -> None:
        self.model = model
        self.summary = summary if summary is not None else percentiles
        self.only = only
        self.every = check_positive_int(every, "every")
        self.activations: dict[int, list[Any]] = {}
        self.gradients: dict[int, list[Any]] = {}
        self.steps: list[int] = []
        self._step = -1

    def __enter__(self) -> Self:
        """Start recording."""
        self.model.watchers.append(self._see)
        return self

    def __exit__(self, *_: object) -> None:
        """Stop recording."""
        self.model.watchers.remove(self._see)

    def _see(self, kind: str, index: int, layer: Layer, array: Array) -> None:
        if not self.model.training:
            return
        if kind == "activation" and index == 0:
            self._step += 1
            if self._step % self.every == 0:
                self.steps.append(self._step)
        if self._step % self.every == 0 and isinstance(layer, self.only):
            kept = self.activations if kind == "activation" else self.gradients
            kept.setdefault(index, []).append(self.summary(to_numpy(array)))


def percentiles(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The 15th, 50th and 85th percentile, as in figure 1 of Ioffe and Szegedy (2015)."""
    return np.asarray(np.percentile(values, [15, 50, 85]))
