"""Training the small network: stochastic gradient descent, a loop over mini-batches, and a recorder that looks on."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Self

import numpy as np

from bn_lib._arrays import Array, namespace
from bn_lib._checks import check_input, check_labels, check_number, check_positive_int, check_rng
from bn_lib._progress import progress_bar
from bn_lib.layer import (
    Layer,
    Setting,
    check_model,
    modes_kept,
    only_looked_at,
    parameters_with_gradients,
    to_numpy,
    undone_if_it_raises,
)
from bn_lib.network import Sequential, softmax_cross_entropy


def _check_momentum(value: Any, name: str) -> float:
    momentum = check_number(value, name, low=0.0, high=1.0)
    if momentum == 1.0:
        raise ValueError(f"{name} is 1; expected less, or no gradient would ever be forgotten")
    return momentum


class SGD:
    """Stochastic gradient descent with momentum and weight decay.

        g = grad + weight_decay * parameter
        velocity = momentum * velocity + g
        parameter = parameter - learning_rate * velocity

    A layer that is in the model more than once is updated once, by the sum of its gradients.

    Args:
        model: the layer, or container, whose parameters are updated.
        learning_rate: >= 0; may be changed between steps, as may the others.
        momentum: 0 <= momentum < 1; 0 is plain gradient descent.
        weight_decay: strength of the L2 penalty, applied to every parameter; >= 0.

    A copy or a pickle of an optimizer holds its velocities and a copy of its model. To go on training a copied model,
    copy both at once: `model, optimizer = copy.deepcopy((model, optimizer))`.

    Examples:
        >>> layer = bn_lib.Dense(1, 1, bias=False, rng=np.random.default_rng(0))
        >>> layer.weight = np.array([[2.0]])
        >>> y = layer.forward(np.array([[3.0]]))
        >>> dx = layer.backward(np.array([[1.0]]))
        >>> bn_lib.SGD(layer, 0.5).step()  # 2 - 0.5 * 3
        >>> layer.weight
        array([[0.5]])

    Source: torch.optim.SGD (dampening 0, no Nesterov); Sutskever et al. (2013) write it with the rate inside.
    """

    model = Setting(check_model)
    learning_rate = Setting(partial(check_number, low=0.0))
    momentum = Setting(_check_momentum)
    weight_decay = Setting(partial(check_number, low=0.0))

    def __init__(self, model: Layer, learning_rate: float, *, momentum: float = 0.0, weight_decay: float = 0.0) -> None:
        self.model = model
        self.learning_rate = learning_rate
        self.momentum = momentum
        self.weight_decay = weight_decay
        self._velocity: list[tuple[Layer, str, Array]] = []

    def step(self) -> None:
        """Update every parameter once from its layer's `grads`. Nothing changes if this raises.

        Raises:
            RuntimeError: if a gradient is missing because `backward` has not been called.
            ValueError: if a gradient that was put there by hand is no array of its parameter's shape.
        """
        slots = parameters_with_gradients(self.model)
        rate, momentum, decay = self.learning_rate, self.momentum, self.weight_decay
        # Found by the layer itself, which is held here, so that a copy finds its own and no other layer has its id.
        velocities = {(id(layer), name): velocity for layer, name, velocity in self._velocity}
        updated: list[Array] = []
        for layer, name, parameter, g in slots:
            if decay:
                g = g + decay * parameter
            if momentum:
                velocity = velocities.get((id(layer), name))
                g = velocities[id(layer), name] = g if velocity is None else momentum * velocity + g
            # A new array, because others may hold the old one. The sum goes where the product was: less memory touched.
            new = namespace(parameter).astype(-rate * g, parameter.dtype, copy=False)
            new += parameter
            updated.append(new)
        for (layer, name, _, _), new in zip(slots, updated, strict=True):
            setattr(layer, name, new)
        if momentum:
            self._velocity = [(layer, name, velocities[id(layer), name]) for layer, name, _, _ in slots]


@dataclass
class History:
    """What `fit` saw.

    Attributes:
        loss: training loss of every mini-batch, in nats.
        accuracy: fraction right on the validation set after each epoch; empty without one.

    Examples:
        >>> bn_lib.History(loss=[0.7, 0.4], accuracy=[0.9]).loss[-1]
        0.4
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

    Every step is taken in training mode, and every layer's mode is as before afterwards. Layers that were put into
    inference mode inside a model in training mode (`model.train()`, then `model.stack[1].eval()`) stay in it: their
    running statistics do not move. To keep parameters from moving, give the optimizer only the layers to be trained.

    Args:
        model: the network.
        optimizer: updates its parameters, or those of a part of it.
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
        TypeError, ValueError: if an argument is of another type, shape or range, or the optimizer updates another model
            (a copy, say); before the first step.

    Examples:
        >>> rng = np.random.default_rng(0)
        >>> labels = rng.integers(0, 2, size=100)
        >>> x = rng.normal(size=(100, 2)) + 4.0 * labels[:, None]
        >>> model = bn_lib.Sequential(bn_lib.BatchNorm(2), bn_lib.Dense(2, 2, rng=rng))
        >>> sgd = bn_lib.SGD(model, 0.5)
        >>> history = bn_lib.fit(model, sgd, x, labels, epochs=3, batch_size=20, rng=rng, progress=False)
        >>> len(history.loss), history.loss[-1] < history.loss[0]
        (15, True)
    """
    _check_same_model(model, optimizer)
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
    with _training_mode(model) as train, progress_bar(epochs * steps_per_epoch, progress, "step") as bar:
        for _ in range(epochs):
            order = rng.permutation(x.shape[0])
            for step in range(steps_per_epoch):
                rows = xp.asarray(order[step * batch_size : (step + 1) * batch_size])
                batch = xp.take(x, rows, axis=0), xp.take(labels, rows, axis=0)
                train()
                history.loss.append(train_step(model, optimizer, *batch))
                bar.update()
                if after_step is not None:
                    after_step(len(history.loss))
            if validation is not None:
                history.accuracy.append(accuracy(model, *validation))
    return history


@contextmanager
def _training_mode(model: Layer) -> Iterator[Callable[[], None]]:
    """Yield what puts `model` into training mode, but for layers frozen by hand; every mode is as before afterwards.

    To be called before every step: whoever looks on in between may leave the model in inference mode.
    """
    frozen = [layer for layer in model.layers() if model.training and not layer.training]

    def train() -> None:
        if not model.training:
            model.train()
            for layer in frozen:
                layer.training = False

    with modes_kept(model):
        yield train


def _check_same_model(model: Layer, optimizer: SGD) -> None:
    """Raise `ValueError` unless `optimizer` updates layers of `model`: those of a copy have gradients of their own."""
    if not isinstance(optimizer, SGD) or optimizer.model is model:  # the first is one of the user's own, with a `step`
        return
    own = {id(layer) for layer in model.layers()}
    for layer in optimizer.model.layers():
        if layer.parameter_names and id(layer) not in own:
            raise ValueError(
                f"optimizer updates a {type(layer).__name__} that is not in model; expected an SGD of this model or of "
                "a part of it (copy the two together)"
            )


@np.errstate(under="ignore")  # a gradient too small for its type is 0, whatever a user wants to hear of elsewhere
def train_step(model: Layer, optimizer: SGD, x: Array, labels: Array) -> float:
    """One forward pass, one backward pass, one update; return the loss before the update, in nats.

    The modes of the layers are left as they are.

    Raises:
        TypeError, ValueError: as the model and `softmax_cross_entropy` do, or if the optimizer updates another model.
            Parameters and running statistics are then as before.

    Examples:
        >>> model = bn_lib.Dense(2, 2, rng=np.random.default_rng(0))
        >>> sgd, x, labels = bn_lib.SGD(model, 0.1), np.array([[1.0, 2.0]]), np.array([1])
        >>> first = bn_lib.train_step(model, sgd, x, labels)
        >>> bn_lib.train_step(model, sgd, x, labels) < first
        True
    """
    _check_same_model(model, optimizer)
    with undone_if_it_raises(model):
        loss, dlogits = softmax_cross_entropy(model.forward(x), labels)
        model.fill_grads(dlogits)
        optimizer.step()
    return loss


@np.errstate(under="ignore")
def accuracy(model: Layer, x: Array, labels: Array) -> float:
    """Fraction of `labels` that the model gets right in inference mode.

    Every layer's mode and its last forward pass are as before afterwards.

    Raises:
        TypeError, ValueError: as the model does, if `labels` is not one integer >= 0 per row of x, or if the model does
            not return one row of logits per row of x.

    Examples:
        >>> identity = bn_lib.Sequential()
        >>> bn_lib.accuracy(identity, np.array([[0.9, 0.1], [0.8, 0.2]]), np.array([0, 1]))
        0.5
    """
    check_input(x)
    check_labels(labels, x, None)
    with only_looked_at(model):
        logits = model.eval().forward(x)
    if logits.ndim != 2 or logits.shape[0] != x.shape[0]:
        raise ValueError(f"logits has shape {logits.shape}; expected ({x.shape[0]}, classes), from the model")
    xp = namespace(logits)
    right = int(xp.sum(xp.astype(xp.argmax(logits, axis=1) == labels, xp.int64)))
    return right / int(labels.shape[0])


class Recorder:
    """Watches a network train: summaries of every chosen layer's activations and gradients, step by step.

    Use it as a context; it records while it is open.

    Args:
        model: the network to watch. Only passes in training mode are recorded.
        summary: what to keep of an array (NumPy); by default its 15th, 50th and 85th percentile.
        only: the layer classes to watch; by default all.
        every: record every so many steps, starting with the first.

    Attributes:
        activations: position in the network -> list of summaries of that layer's output.
        gradients: position -> list of summaries of the gradient with respect to that output.
        steps: the steps recorded, counting from 0.

    Raises:
        TypeError, ValueError: if `model` is not a `Sequential`, or `every` not a whole number >= 1.

    Examples:
        >>> model = bn_lib.Sequential(bn_lib.ReLU(), bn_lib.Tanh())
        >>> with bn_lib.Recorder(model, only=bn_lib.ReLU, summary=np.max) as recorder:
        ...     y = model.forward(np.array([[-1.0, 3.0]]))
        >>> recorder.activations  # one summary per recorded step, of the layer at position 0
        {0: [np.float64(3.0)]}
    """

    every = Setting(check_positive_int)

    def __init__(
        self,
        model: Sequential,
        *,
        summary: Callable[[np.ndarray[Any, Any]], Any] | None = None,
        only: type[Layer] | tuple[type[Layer], ...] = Layer,
        every: int = 1,
    ) -> None:
        if not isinstance(model, Sequential):
            raise TypeError(f"model is a {type(model).__name__}; expected a Sequential")
        self.model = model
        self.summary = summary if summary is not None else percentiles
        self.only = only
        self.every = every
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
