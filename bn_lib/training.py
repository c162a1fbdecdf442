"""Training the small network: stochastic gradient descent, a loop over mini-batches, and a recorder that looks on."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Self

import numpy as np

from bn_lib import _checks as check
from bn_lib._arrays import Array, namespace
from bn_lib._progress import progress_bar
from bn_lib.layer import (
    Layer,
    Setting,
    check_model,
    distinct_layers,
    method_replaced,
    modes_kept,
    only_looked_at,
    parameters_with_gradients,
    to_numpy,
    undone_if_it_raises,
)
from bn_lib.network import Sequential, softmax_cross_entropy

SETTINGS: dict[str, Callable[[Any, str], float]] = {
    "learning_rate": partial(check.number, low=0.0),
    "momentum": partial(check.below_one, otherwise="no gradient would ever be forgotten"),
    "weight_decay": partial(check.number, low=0.0),
}


class SGD:
    """Stochastic gradient descent with momentum and weight decay.

        g = grad + weight_decay * parameter
        velocity = momentum * velocity + g
        parameter = parameter - learning_rate * velocity

    A layer that is in the model more than once is updated once, by the sum of its gradients; a frozen one is not.

    Args:
        model: the layer, or container, whose parameters are updated.
        learning_rate: >= 0; may be changed between steps, as may the others.
        momentum: 0 <= momentum < 1; 0 is plain gradient descent.
        weight_decay: strength of the L2 penalty, applied to every parameter; >= 0.
        groups: parameters that have settings of their own, each group a dict: "learning_rate", "momentum" and
            "weight_decay" where they are not those above, "names" for which names it holds (all by default), "layers"
            for the layers or containers it holds (all by default). The first group that holds a parameter counts. No
            decay on gamma and beta: `groups=[{"names": ("gamma", "beta"), "weight_decay": 0.0}]`.

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

    Raises:
        TypeError, ValueError: for a setting that is out of range, or a group that holds no parameter of the model.

    Source: torch.optim.SGD (dampening 0, no Nesterov); Sutskever et al. (2013) write it with the rate inside.
    """

    model = Setting(check_model)
    learning_rate, momentum, weight_decay = (Setting(rule) for rule in SETTINGS.values())

    def __init__(
        self,
        model: Layer,
        learning_rate: float,
        *,
        momentum: float = 0.0,
        weight_decay: float = 0.0,
        groups: Iterable[Mapping[str, Any]] = (),
    ) -> None:
        self.model = model
        self.learning_rate = learning_rate
        self.momentum = momentum
        self.weight_decay = weight_decay
        self.groups = tuple(groups)
        self._velocity: list[tuple[Layer, str, Array]] = []

    @property
    def groups(self) -> tuple[Mapping[str, Any], ...]:
        """Parameters that have settings of their own."""
        return self._groups

    @groups.setter
    def groups(self, groups: Iterable[Mapping[str, Any]]) -> None:
        groups = tuple(groups)
        for i, group in enumerate(groups):
            where = f"groups[{i}]"
            if not isinstance(group, Mapping):
                raise TypeError(f"{where} is a {type(group).__name__}; expected a dict")
            if unknown := group.keys() - {"names", "layers", *SETTINGS}:
                raise ValueError(
                    f"{where} has {sorted(unknown)}; expected some of names, layers, {', '.join(SETTINGS)}"
                )
            for name in group.keys() & SETTINGS.keys():
                SETTINGS[name](group[name], f"{where}[{name!r}]")
            for layer in _several(group.get("layers", ()), Layer):
                check_model(layer, f"{where}['layers']")
            if not any(_holds(group, layer, name) for layer in self.model.layers() for name in layer.parameter_names):
                raise ValueError(f"{where} holds no parameter; expected names and layers that the model has")
        self._groups = groups

    def _settings(self, layer: Layer, name: str) -> tuple[float, float, float]:
        """Learning rate, momentum and weight decay of a parameter."""
        own: Mapping[str, Any] = next((group for group in self.groups if _holds(group, layer, name)), {})
        rate, momentum, decay = (float(own.get(setting, getattr(self, setting))) for setting in SETTINGS)
        return rate, momentum, decay

    def step(self) -> None:
        """Update every parameter once from its layer's `grads`. Nothing changes if this raises.

        Raises:
            RuntimeError: if a gradient is missing because `backward` has not been called.
            ValueError: if a gradient that was put there by hand is no array of its parameter's shape.
        """
        slots = parameters_with_gradients(self.model, frozen=False)
        # Found by the layer itself, which is held here, so that a copy finds its own and no other layer has its id.
        velocities = {(id(layer), name): velocity for layer, name, velocity in self._velocity}
        updated: list[Array] = []
        common = tuple(float(getattr(self, setting)) for setting in SETTINGS)
        for layer, name, parameter, g in slots:
            rate, momentum, decay = self._settings(layer, name) if self.groups else common
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
        moving = ((layer, name, velocities.get((id(layer), name))) for layer, name, _, _ in slots)
        self._velocity = [(layer, name, velocity) for layer, name, velocity in moving if velocity is not None]


def _several(value: Any, kind: type) -> tuple[Any, ...]:
    """One thing, or several, as a tuple."""
    return (value,) if isinstance(value, kind) else tuple(value)


def _holds(group: Mapping[str, Any], layer: Layer, name: str) -> bool:
    """Whether a group of `SGD` holds this parameter."""
    named = "names" not in group or name in _several(group["names"], str)
    inside = (each for one in _several(group.get("layers", layer), Layer) for each in one.layers())
    return named and any(each is layer for each in inside)


@dataclass
class History:
    """What `fit` saw.

    Attributes:
        loss: training loss of every step, in nats.
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
    accumulate: int = 1,
    progress: bool = True,
    after_step: Callable[[int], None] | None = None,
) -> History:
    """Train a classifier on shuffled mini-batches of equal size with softmax cross-entropy.

    The rows left over when those of a step do not divide N sit out that epoch; the next shuffle gives others.

    Every step is taken in training mode, and every layer's mode is as before afterwards. Layers that were put into
    inference mode inside a model in training mode (`model.train()`, then `model.stack[1].eval()`) stay in it: their
    running statistics do not move. What was frozen (`layer.freeze()`) keeps its parameters too. To keep only parameters
    from moving, give the optimizer only the layers to be trained.

    Args:
        model: the network.
        optimizer: updates its parameters, or those of a part of it.
        x: `(N, ...)`, floating point.
        labels: `(N,)`, integers from 0.
        epochs: passes over the data.
        batch_size: rows per mini-batch, at most N.
        rng: source of the shuffles.
        validation: `(x, labels)` to measure accuracy on, in inference mode, after each epoch.
        accumulate: mini-batches per step. Their gradients are averaged, as in one mini-batch of
            `accumulate * batch_size` rows; statistics of BN stay those of `batch_size` rows. See `train_step`.
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
    check.input(x)
    check.labels(labels, x, None)
    check.rng(rng)
    if validation is not None:
        check.input(validation[0], "validation[0]")
        check.labels(validation[1], validation[0], None, "validation[1]")
    epochs, batch_size = check.positive_int(epochs, "epochs"), check.positive_int(batch_size, "batch_size")
    rows_per_step = batch_size * check.positive_int(accumulate, "accumulate")
    if rows_per_step > x.shape[0]:
        times = f" and accumulate {accumulate}" if accumulate > 1 else ""
        raise ValueError(f"batch_size is {batch_size}{times}; expected at most the {x.shape[0]} rows of x")

    xp, history = namespace(x), History()
    steps_per_epoch = x.shape[0] // rows_per_step
    with _training_mode(model) as train, progress_bar(epochs * steps_per_epoch, progress, "step") as bar:
        for _ in range(epochs):
            order = rng.permutation(x.shape[0])
            for step in range(steps_per_epoch):
                rows = xp.asarray(order[step * rows_per_step : (step + 1) * rows_per_step])
                batch = xp.take(x, rows, axis=0), xp.take(labels, rows, axis=0)
                train()
                history.loss.append(train_step(model, optimizer, *batch, accumulate=accumulate))
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


@contextmanager
def accumulate_gradients(model: Layer) -> Iterator[None]:
    """Inside, each backward pass of `model` adds to `grads` of its layers, instead of replacing them.

        with accumulate_gradients(model):
            for x, labels in parts:
                loss, dlogits = softmax_cross_entropy(model.forward(x), labels)
                model.backward(dlogits / len(parts))
        optimizer.step()

    The first pass inside replaces what was there before. It is `model.backward` and `model.fill_grads` that add: for a
    layer whose own `backward` is called, give the layer. `BatchNorm` normalizes each part with the statistics of that
    part, and its running statistics move once for each: the sum is not the gradient of one large mini-batch.

    Args:
        model: the layer, or container, that is gone back through.

    Returns:
        The context.

    Examples:
        >>> layer = bn_lib.Dense(1, 1, bias=False, rng=np.random.default_rng(0))
        >>> with bn_lib.accumulate_gradients(layer):
        ...     for x in (np.array([[1.0]]), np.array([[5.0]])):
        ...         y = layer.forward(x)
        ...         dx = layer.backward(np.ones((1, 1)))
        >>> layer.grads["weight"]
        array([[6.]])

    Raises:
        TypeError: if `model` is not a layer.
        RuntimeError: inside another such context of the same layer.
    """
    if "backward" in vars(check_model(model, "model")):
        raise RuntimeError(
            f"the gradients of this {type(model).__name__} are accumulated already; expected one context"
        )

    def add(layer: Layer, dy: Array) -> Array:
        before = [(each, each.grads) for each in distinct_layers(layer)]
        for each, _ in before:
            each.grads = {}
        try:
            dx = type(layer).backward(layer, dy)
        except BaseException:
            for each, held in before:
                each.grads = held
            raise
        for each, held in before:
            each.grads = held | {name: held[name] + g if name in held else g for name, g in each.grads.items()}
        return dx

    for each in distinct_layers(model):
        each.grads = {}
    with method_replaced([model], "backward", add), method_replaced([model], "fill_grads", add):
        yield


@np.errstate(under="ignore")  # a gradient too small for its type is 0, whatever a user wants to hear of elsewhere
def train_step(model: Layer, optimizer: SGD, x: Array, labels: Array, *, accumulate: int = 1) -> float:
    """One forward pass, one backward pass, one update; return the loss before the update, in nats.

    The modes of the layers are left as they are.

    Args:
        model: the network.
        optimizer: updates its parameters, or those of a part of it.
        x: `(N, ...)`, floating point.
        labels: `(N,)`, integers from 0.
        accumulate: into how many parts the rows are cut, one after the other, as equal as can be. Each has a pass of
            its own, and the update is by the gradient of the mean loss over all rows. It takes the memory of one part,
            and `BatchNorm` the statistics of one part. What `given` tells is not cut, and so is refused if it is of
            all rows: go through parts with `accumulate_gradients`, each inside a `given` of its own.

    Raises:
        TypeError, ValueError: as the model and `softmax_cross_entropy` do, or if the optimizer updates another model,
            or there are more parts than rows. Parameters and running statistics are then as before.

    Examples:
        >>> model = bn_lib.Dense(2, 2, rng=np.random.default_rng(0))
        >>> sgd, x, labels = bn_lib.SGD(model, 0.1), np.array([[1.0, 2.0]]), np.array([1])
        >>> first = bn_lib.train_step(model, sgd, x, labels)
        >>> bn_lib.train_step(model, sgd, x, labels) < first
        True
    """
    _check_same_model(model, optimizer)
    parts, loss = check.positive_int(accumulate, "accumulate"), 0.0
    with undone_if_it_raises(model), accumulate_gradients(model) if parts > 1 else nullcontext():
        for part, part_labels, share in _cut(x, labels, parts):
            part_loss, dlogits = softmax_cross_entropy(model.forward(part), part_labels)
            loss += share * part_loss
            model.fill_grads(share * dlogits)
        optimizer.step()
    return loss


def _cut(x: Array, labels: Array, parts: int) -> Iterator[tuple[Array, Array, float]]:
    """Runs of rows, as equal as can be, with their labels, and which part of all rows they are."""
    if parts == 1:
        yield x, labels, 1.0
        return
    check.input(x)
    check.labels(labels, x, None)
    rows = x.shape[0]
    if parts > rows:
        raise ValueError(f"accumulate is {parts}; expected at most the {rows} rows of x")
    for part in range(parts):
        start, stop = part * rows // parts, (part + 1) * rows // parts
        yield x[start:stop, ...], labels[start:stop], (stop - start) / rows


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
    check.input(x)
    check.labels(labels, x, None)
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

    every = Setting(check.positive_int)

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
