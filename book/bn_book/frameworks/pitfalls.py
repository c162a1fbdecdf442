"""Pitfalls: mistakes that people reported, each made on purpose and then mended, in PyTorch and in Keras.

`PITFALLS` is the page's table and what the tests go through. A function for a framework returns two numbers, with the
mistake and without it; what they measure says `measures`, and what they have to show says `shows`.
"""

import math
import warnings
from collections.abc import Callable
from copy import deepcopy
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np

from bn_book.data import load_digits
from bn_book.networks import sigmoid_network
from bn_lib import SGD, BatchNorm, Dense, ReLU, Sequential, fit, to_keras, to_torch
from bn_lib._arrays import Array

Framework: TypeAlias = Literal["PyTorch", "Keras"]
Pair: TypeAlias = tuple[float, float]
FRAMEWORKS: tuple[Framework, ...] = ("PyTorch", "Keras")
FLOOR = math.log(1 + 9 / math.e)


class Report(NamedTuple):
    """A public report of somebody who had it.

    Attributes:
        name: repository and number.
        url: where it is.
    """

    name: str
    url: str


class Pitfall(NamedTuple):
    """One pitfall.

    Attributes:
        name: short and unique, in words joined by hyphens.
        symptom: what somebody sees.
        cause: what is behind it.
        check: what would have caught it.
        measures: what the two numbers are.
        torch, keras: measure it: with the mistake, and without.
        shows: whether a pair shows the pitfall.
        reports: of somebody who had it.
        absent: the framework in which it does not happen, and why; then `shows` is False for its pair.
    """

    name: str
    symptom: str
    cause: str
    check: str
    measures: str
    torch: Callable[[], Pair]
    keras: Callable[[], Pair]
    shows: Callable[[float, float], bool]
    reports: tuple[Report, ...]
    absent: tuple[Framework, str] | None = None


def reproduce(pitfall: Pitfall) -> dict[str, Pair]:
    """The pairs of a pitfall by framework."""
    return {"PyTorch": pitfall.torch(), "Keras": pitfall.keras()}


def happens(pitfall: Pitfall, framework: Framework, pair: Pair) -> bool:
    """Whether a pair is as the table says: it shows the pitfall, or that there is none in this framework."""
    absent = pitfall.absent is not None and pitfall.absent[0] == framework
    return pitfall.shows(*pair) != absent


def report(name: str) -> Report:
    """A report on GitHub: "owner/repository#7"."""
    repository, number = name.split("#")
    return Report(name, f"https://github.com/{repository}/issues/{number}")


# What several of them use


def _data() -> tuple[Array, Array]:
    return load_digits().train


def _network(momentum: float = 0.1, seed: int = 0, hidden: tuple[int, ...] = (32,)) -> Sequential:
    """64-32-BN-ReLU-10, in float32, or with more hidden layers."""
    return sigmoid_network(
        rng=np.random.default_rng(seed),
        hidden=hidden,
        activation=ReLU,
        normalizer=lambda units: BatchNorm(units, momentum=momentum, dtype=np.float32),
    )


@cache
def _trained() -> Sequential:
    model, (x, labels) = _network(), _data()
    rng = np.random.default_rng(1)
    fit(model, SGD(model, 0.2), x, labels, epochs=4, batch_size=60, rng=rng, progress=False)
    return model


def _module(model: Sequential | None = None) -> Any:
    return to_torch(deepcopy(model or _trained())).train()


def _model(model: Sequential | None = None) -> Any:
    return to_keras(deepcopy(model or _trained()), (64,))


def _t(x: Array) -> Any:
    import torch

    return torch.from_numpy(np.ascontiguousarray(x))


def _n(tensor: Any) -> Array:
    found: Array = tensor.detach().numpy()
    return found


def _norm(network: Any) -> Any:
    """The first BN layer of a network of either framework."""
    layers = network.layers if hasattr(network, "layers") else network
    return next(layer for layer in layers if "BatchNorm" in type(layer).__name__)


def _moving_mean(model: Any) -> Array:
    return _n(_norm(model).moving_mean.value).copy()


def _learn_torch(module: Any, steps: int, optimizer: Any = None) -> list[float]:
    """Losses of some steps with cross-entropy of what the module gives for the digits."""
    import torch

    optimizer = optimizer or torch.optim.SGD([p for p in module.parameters() if p.requires_grad], lr=0.1)
    (x, labels), rng, losses = _data(), np.random.default_rng(2), []
    for _ in range(steps):
        rows = rng.integers(0, len(x), 60)
        loss: Any = torch.nn.functional.cross_entropy(module(_t(x[rows])), _t(labels[rows]))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def _learn_keras(model: Any, steps: int, optimizer: Any = None, *, training: bool = True) -> list[float]:
    """The same, in a loop of one's own as Keras describes it for PyTorch."""
    import keras
    import torch

    optimizer = optimizer or keras.optimizers.SGD(0.1)
    cross_entropy = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    (x, labels), rng, losses = _data(), np.random.default_rng(2), []
    for _ in range(steps):
        rows = rng.integers(0, len(x), 60)
        loss = cross_entropy(_t(labels[rows]), model(_t(x[rows]), training=training))
        model.zero_grad()
        loss.backward()
        with torch.no_grad():
            optimizer.apply([v.value.grad for v in model.trainable_variables], model.trainable_variables)
        losses.append(loss.item())
    return losses


def _end(losses: list[float]) -> float:
    return float(np.mean(losses[-10:]))


# Softmax twice


def softmax_twice_torch() -> Pair:
    """Training loss after 150 steps, with a softmax before the loss that has one, and without."""
    from torch import nn

    def run(*last: Any) -> float:
        return _end(_learn_torch(nn.Sequential(*_module(_network()), *last), 150))

    return run(nn.Softmax(1)), run()


def softmax_twice_keras() -> Pair:
    """The same, with `activation="softmax"` and `from_logits=True`."""
    import keras

    def run(*last: Any) -> float:
        return _end(_learn_keras(keras.Sequential([*_model(_network()).layers, *last]), 150))

    return run(keras.layers.Softmax()), run()


# Decay on gamma

DECAY = 0.05


def decayed_torch() -> Pair:
    """Mean of gamma after 150 steps, with a decay on everything, and on weights only."""
    import torch

    def run(groups: Callable[[Any], Any]) -> float:
        module = _module(_network())
        _learn_torch(module, 150, torch.optim.SGD(groups(module), lr=0.1, weight_decay=DECAY))
        return float(_n(_norm(module).weight).mean())

    def only_weights(module: Any) -> list[dict[str, Any]]:
        split: dict[bool, list[Any]] = {True: [], False: []}
        for parameter in module.parameters():
            split[parameter.ndim > 1].append(parameter)
        return [{"params": split[True]}, {"params": split[False], "weight_decay": 0.0}]

    return run(lambda module: module.parameters()), run(only_weights)


def decayed_keras() -> Pair:
    """The same. Keras takes the decay off the parameter itself, not through the gradient."""
    import keras

    def run(*names: str) -> float:
        model = _model(_network())
        optimizer = keras.optimizers.SGD(0.1, weight_decay=DECAY)
        if names:
            optimizer.exclude_from_weight_decay(var_names=list(names))
        _learn_keras(model, 150, optimizer)
        return float(_n(_norm(model).gamma.value).mean())

    return run(), run("gamma", "beta", "bias")


# Modes


def _company(forward: Callable[[Array], Array]) -> float:
    """By how much the outputs for one digit change at most with its company."""
    x = load_digits().test[0]
    return float(np.abs(forward(x[:8])[0] - forward(x[[0, *range(50, 57)]])[0]).max())


def eval_forgotten_torch() -> Pair:
    """By how much a digit's logits change with the other digits of its batch, in training mode and in inference."""
    module = _module()
    in_training = _company(lambda x: _n(module(_t(x))))
    module.eval()
    return in_training, _company(lambda x: _n(module(_t(x))))


def eval_forgotten_keras() -> Pair:
    """The same, with `training=True` left in the call, and without."""
    model = _model()
    in_training = _company(lambda x: _n(model(_t(x), training=True)))
    return in_training, _company(lambda x: _n(model(_t(x))))


def _moved_torch(prepare: Callable[[Any], None]) -> float:
    """By how much the running mean has moved at most after fine-tuning for 20 steps."""
    module = _module()
    before = _n(_norm(module).running_mean).copy()
    prepare(module)
    _learn_torch(module, 20)
    return float(np.abs(_n(_norm(module).running_mean) - before).max())


def _moved_keras(prepare: Callable[[Any], None], **options: Any) -> float:
    model = _model()
    before = _moving_mean(model)
    prepare(model)
    _learn_keras(model, 20, **options)
    return float(np.abs(_moving_mean(model) - before).max())


def train_undoes_torch() -> Pair:
    """Movement of the statistics of BN that was put into inference mode, before `train()` and after it."""

    def before(module: Any) -> None:
        _norm(module).eval()
        module.train()

    def after(module: Any) -> None:
        module.train()
        _norm(module).eval()

    return _moved_torch(before), _moved_torch(after)


def train_undoes_keras() -> Pair:
    """The same with `trainable`: what is set on a model is set on all its layers."""

    def before(model: Any) -> None:
        _norm(model).trainable = False
        model.trainable = True

    def after(model: Any) -> None:
        model.trainable = True
        _norm(model).trainable = False

    return _moved_keras(before), _moved_keras(after)


def without_gradients_torch() -> Pair:
    """Movement of the statistics when BN's parameters get no gradients, and when it is in inference mode too."""

    def frozen(module: Any) -> None:
        _norm(module).requires_grad_(False)

    def in_inference(module: Any) -> None:
        frozen(module)
        _norm(module).eval()

    return _moved_torch(frozen), _moved_torch(in_inference)


def without_gradients_keras() -> Pair:
    """The same with `trainable = False`, and with `training=False` in the call."""

    def frozen(model: Any) -> None:
        _norm(model).trainable = False

    return _moved_keras(frozen), _moved_keras(frozen, training=False)


def never_trained_torch() -> Pair:
    """Largest running mean after 50 steps, in inference mode since the last evaluation, and in training mode."""

    def run(mode: bool) -> float:
        module = _module(_network()).train(mode)
        _learn_torch(module, 50)
        return float(np.abs(_n(_norm(module).running_mean)).max())

    return run(False), run(True)


def never_trained_keras() -> Pair:
    """The same in a loop of one's own, without `training=True` and with it."""

    def run(training: bool) -> float:
        model = _model(_network())
        _learn_keras(model, 50, training=training)
        return float(np.abs(_moving_mean(model)).max())

    return run(False), run(True)


# Small batches where large ones are meant


def _rows() -> tuple[Array, Array]:
    x, labels = _data()
    return x[:60], labels[:60]


def _gradient_torch(module: Any, parts: int) -> Array:
    """The gradient of the first weight for 60 rows in some parts."""
    import torch

    module.zero_grad()
    for x, labels in zip(*(np.split(each, parts) for each in _rows()), strict=True):
        loss: Any = torch.nn.functional.cross_entropy(module(_t(x)), _t(labels)) / parts
        loss.backward()
    return _n(module[0].weight.grad).copy()


def _away(there: Array, here: Array) -> float:
    return float(np.linalg.norm(there - here) / np.linalg.norm(here))


def accumulated_torch() -> Pair:
    """How far the gradient of 15 parts of 4 rows is from that of 60 rows, with BN's batch statistics and without."""

    def run(module: Any) -> float:
        return _away(_gradient_torch(module, 15), _gradient_torch(module, 1))

    return run(_module()), run(_module().eval())


def accumulated_keras() -> Pair:
    """The same with `gradient_accumulation_steps`, as the update that they make."""
    import keras

    def update(parts: int, trainable: bool) -> Array:
        model = _model()
        _norm(model).trainable = trainable
        accumulate = {"gradient_accumulation_steps": parts} if parts > 1 else {}
        model.compile(
            keras.optimizers.SGD(1.0, **accumulate),
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        )
        before = _n(model.layers[0].kernel.value).copy()
        for x, labels in zip(*(np.split(each, parts) for each in _rows()), strict=True):
            model.train_on_batch(x, labels)
        return before - _n(model.layers[0].kernel.value)

    def run(trainable: bool) -> float:
        return _away(update(15, trainable), update(1, trainable))

    return run(True), run(False)


def _devices(normalize: Callable[[Array], Array]) -> Pair:
    """How far the outputs of BN on 15 devices of 4 rows are from those on one, each by itself and synchronized."""
    hidden = _rows()[0] @ np.random.default_rng(0).normal(size=(64, 8)).astype(np.float32)
    whole = normalize(hidden)
    parts = np.split(hidden, 15)
    alone = np.concatenate([normalize(part) for part in parts])
    # What a synchronized layer exchanges: counts, sums and sums of squares about a common point.
    count = sum(len(part) for part in parts)
    mean = sum(part.sum(axis=0) for part in parts) / count
    var = sum(((part - mean) ** 2).sum(axis=0) for part in parts) / count
    together = np.concatenate([(part - mean) / np.sqrt(var + 1e-5) for part in parts])
    return _away(alone, whole), _away(together, whole)


def devices_torch() -> Pair:
    """Fifteen copies of a layer, each with its own rows, as `DataParallel` makes them."""
    from torch import nn

    return _devices(lambda x: _n(nn.BatchNorm1d(8)(_t(x))))


def devices_keras() -> Pair:
    """The same with layers of Keras. Their `synchronized=True` is refused on PyTorch."""
    import keras

    return _devices(lambda x: _n(keras.layers.BatchNormalization(epsilon=1e-5)(_t(x), training=True)))


def _spread(outputs: list[Array]) -> float:
    return float(np.ptp(np.concatenate(outputs), axis=0).max())


def one_row_torch() -> Pair:
    """How far the outputs of single rows are apart in training mode (NaN: refused), and in inference."""

    def run(mode: bool) -> float:
        module = _module().train(mode)[:2]
        try:
            return _spread([_n(module(_t(row[None]))) for row in _rows()[0]])
        except ValueError:
            return math.nan

    return run(True), run(False)


def one_row_keras() -> Pair:
    """The same: not refused, and all outputs are beta."""

    def run(training: bool) -> float:
        first, norm = _model().layers[:2]
        return _spread([_n(norm(first(_t(row[None])), training=training)) for row in _rows()[0]])

    return run(True), run(False)


# Numbers


def _loud() -> list[Array]:
    rng = np.random.default_rng(0)
    return [rng.normal(0, 2000, (60, 4)) for _ in range(40)]


def half_torch() -> Pair:
    """The largest running variance of inputs that vary by 4e6, after 40 batches: all in float16, and with autocast."""
    import torch

    def run(dtype: Any) -> float:
        layer: Any = torch.nn.BatchNorm1d(4).to(dtype)
        with torch.autocast("cpu", dtype=torch.float16, enabled=dtype != torch.float16):
            for x in _loud():
                layer(_t(x).to(torch.float16 if dtype == torch.float16 else torch.float32))
        return float(layer.running_var.max())

    return run(torch.float16), run(torch.float32)


def half_keras() -> Pair:
    """The same: a layer in float16, and one under the policy "mixed_float16"."""
    import keras
    import torch

    def run(dtype: str) -> float:
        layer = keras.layers.BatchNormalization(momentum=0.9, dtype=dtype)
        for x in _loud():
            layer(_t(x).to(torch.float16 if dtype == "float16" else torch.float32), training=True)
        return float(layer.moving_variance.value.max())

    return run("float16"), run("mixed_float16")


def far_from_zero_torch() -> Pair:
    """How wrong the variance of numbers with mean 10,000 and variance 1 is in float32, and with mean 0."""
    import torch

    def run(mean: float) -> float:
        layer = torch.nn.BatchNorm1d(4, momentum=1.0)
        x = (np.random.default_rng(0).normal(size=(64, 4)) + mean).astype(np.float32)
        layer(_t(x))
        return float(np.abs(_n(layer.running_var) / x.astype(np.float64).var(axis=0, ddof=1) - 1).max())

    return run(1e4), run(0.0)


def far_from_zero_keras() -> Pair:
    """The same. On PyTorch Keras takes the mean of the squares minus the square of the mean."""
    import keras

    def run(mean: float) -> float:
        layer = keras.layers.BatchNormalization(momentum=0.0)
        x = (np.random.default_rng(0).normal(size=(64, 4)) + mean).astype(np.float32)
        layer(_t(x), training=True)
        return float(np.abs(_n(layer.moving_variance.value) / x.astype(np.float64).var(axis=0) - 1).max())

    return run(1e4), run(0.0)


# Axes


def _coloured() -> Array:
    """Images with four channels of very different levels and as many rows: `(N, H, W, C)`."""
    rng = np.random.default_rng(0)
    return (rng.normal(size=(8, 4, 4, 4)) + 5 * np.arange(4)).astype(np.float32)


def _level(y: Array, axis: int) -> float:
    """The largest mean of a channel after normalization; it should be 0."""
    return float(np.abs(y.mean(axis=tuple(a for a in range(4) if a != axis))).max())


def channels_torch() -> Pair:
    """The largest mean of a channel after BN of images whose channels are last, as they are and transposed."""
    import torch

    layer, x = torch.nn.BatchNorm2d(4), _coloured()
    return _level(_n(layer(_t(x))), 3), _level(_n(layer(_t(np.moveaxis(x, -1, 1)))), 1)


def channels_keras() -> Pair:
    """The same for images whose channels are first, with the default axis and with `axis=1`."""
    import keras

    x = np.moveaxis(_coloured(), -1, 1)
    norms = keras.layers.BatchNormalization(), keras.layers.BatchNormalization(axis=1)
    default, told = (_level(_n(norm(_t(x), training=True)), 1) for norm in norms)
    return default, told


# Statistics that are another model's, or come too late


def _export(network: Any, x: Any) -> Callable[[Array], Array]:
    """What ONNX's reference computes with a network that was exported."""
    import onnx
    import torch
    from onnx.reference import ReferenceEvaluator

    with TemporaryDirectory() as folder:
        file = Path(folder) / "network.onnx"
        with warnings.catch_warnings():  # the exporter that takes no further package warns that it is the old one
            warnings.simplefilter("ignore")
            torch.onnx.export(network, (x,), file, dynamo=False)
        graph = onnx.load(file)
    evaluator: Any = ReferenceEvaluator(graph)
    return lambda inputs: evaluator.run(None, {graph.graph.input[0].name: inputs})[0]


def exported_torch() -> Pair:
    """How far the exported network is from the original in training mode, and in inference."""
    module, x = _module(), _rows()[0]
    exported = _export(deepcopy(module).eval(), _t(x))(x)
    in_training = np.abs(_n(module(_t(x))) - exported).max()
    # The module has just seen these rows in training mode, so another one is asked.
    return float(in_training), float(np.abs(_n(_module().eval()(_t(x))) - exported).max())


def exported_keras() -> Pair:
    """The same; on PyTorch a model of Keras is a module."""
    x = _rows()[0]
    exported = _export(_model().eval(), _t(x))(x)
    in_training = np.abs(_n(_model()(_t(x), training=True)) - exported).max()
    return float(in_training), float(np.abs(_n(_model()(_t(x))) - exported).max())


def _miss(mean: Callable[[Array], Array], statistics: Callable[[], Array]) -> float:
    """The mean distance of a running mean from the data set's over the last 50 of 150 batches of 10, in deviations."""
    x, rng = _data()[0], np.random.default_rng(3)
    x = x[:, x.std(axis=0) > 0.1]
    missed = []
    for step in range(150):
        mean(x[rng.integers(0, len(x), 10)])
        if step >= 100:
            missed.append(np.abs(statistics() - x.mean(axis=0)) / x.std(axis=0))
    return float(np.mean(missed))


def _features() -> int:
    return int((_data()[0].std(axis=0) > 0.1).sum())


def momentum_torch() -> Pair:
    """Distance of the running mean from the data's, in standard deviations: `momentum=0.9`, and 0.1."""
    import torch

    def run(momentum: float) -> float:
        layer = torch.nn.BatchNorm1d(_features(), momentum=momentum)
        return _miss(lambda x: _n(layer(_t(x))), lambda: _n(layer.running_mean))

    return run(0.9), run(0.1)


def momentum_keras() -> Pair:
    """The same: `momentum=0.1`, and 0.9."""
    import keras

    def run(momentum: float) -> float:
        layer = keras.layers.BatchNormalization(momentum=momentum)
        return _miss(lambda x: _n(layer(_t(x), training=True)), lambda: _n(layer.moving_mean.value))

    return run(0.1), run(0.9)


def _right(logits: Array) -> float:
    return 100 * float((logits.argmax(axis=1) == load_digits().test[1]).mean())


def too_few_torch() -> Pair:
    """Accuracy in inference after 40 steps, with three hidden layers, in percent: `momentum=0.01`, and 0.1."""

    def run(momentum: float) -> float:
        module = _module(_network(momentum, hidden=(32, 32, 32)))
        _learn_torch(module, 40)
        return _right(_n(module.eval()(_t(load_digits().test[0]))))

    return run(0.01), run(0.1)


def too_few_keras() -> Pair:
    """The same: the default `momentum=0.99`, and 0.9."""

    def run(momentum: float) -> float:
        model = _model(_network(momentum, hidden=(32, 32, 32)))
        _learn_keras(model, 40)
        return _right(_n(model(_t(load_digits().test[0]))))

    return run(0.01), run(0.1)


def _shrunk(eps: float) -> Sequential:
    """The trained network in another unit: weights a hundredth as large, and so running statistics too."""
    model = deepcopy(_trained())
    dense, norm, *_ = model.stack
    assert isinstance(dense, Dense)
    assert isinstance(norm, BatchNorm)
    norm.eps = eps
    dense.weight = dense.weight / 100
    norm.running_mean, norm.running_var = norm.running_mean / 100, norm.running_var / 100**2
    return model


def eps_torch() -> Pair:
    """How far logits are from those of Keras's network with epsilon 0.001: with PyTorch's default eps, and the same."""
    small, x = _shrunk(1e-3), _rows()[0]
    theirs = _n(_model(small)(_t(x)))

    def run(eps: float) -> float:
        module = _module(small).eval()
        module[1].eps = eps
        return float(np.abs(_n(module(_t(x))) - theirs).max())

    return run(1e-5), run(1e-3)


def eps_keras() -> Pair:
    """The reverse: from PyTorch's 0.00001."""
    small, x = _shrunk(1e-5), _rows()[0]
    theirs = _n(_module(small).eval()(_t(x)))

    def run(epsilon: float) -> float:
        model = _model(small)
        model.layers[1].epsilon = epsilon
        return float(np.abs(_n(model(_t(x))) - theirs).max())

    return run(1e-3), run(1e-5)


def parameters_only_torch() -> Pair:
    """Accuracy in inference of a copy, in percent: with the parameters only, and with the statistics too."""
    import torch

    def run(*, buffers: bool) -> float:
        source, copy = _module(), _module(_network(seed=1)).eval()
        with torch.no_grad():
            for mine, other in zip(copy.parameters(), source.parameters(), strict=True):
                mine.copy_(other)
            for mine, other in zip(copy.buffers(), source.buffers(), strict=True) if buffers else ():
                mine.copy_(other)
        return _right(_n(copy(_t(load_digits().test[0]))))

    return run(buffers=False), run(buffers=True)


def parameters_only_keras() -> Pair:
    """The same with `trainable_variables` and `variables`."""

    def run(kind: str) -> float:
        source, copy = _model(), _model(_network(seed=1))
        for mine, other in zip(getattr(copy, kind), getattr(source, kind), strict=True):
            mine.assign(other)
        return _right(_n(copy(_t(load_digits().test[0]))))

    return run("trainable_variables"), run("variables")


PITFALLS: tuple[Pitfall, ...] = (
    Pitfall(
        "softmax-twice",
        "The loss stops falling far above 0, with ten classes above 1.46, and gradients are small.",
        "The network ends in softmax, and the loss applies it again.",
        "A network that knows one batch by heart has a loss near 0.",
        "training loss after 150 steps, in nats",
        softmax_twice_torch,
        softmax_twice_keras,
        lambda broken, cured: broken > FLOOR > cured,
        (report("ariecattan/SciCo#2"), report("mmalekzadeh/dana#1")),
    ),
    Pitfall(
        "gamma-decays",
        "Gamma shrinks everywhere, although no gradient asks for it.",
        "Weight decay is applied to every parameter.",
        "Print which parameters each group of the optimizer holds, and its decay.",
        "mean of gamma after 150 steps, from 1",
        decayed_torch,
        decayed_keras,
        lambda broken, cured: broken < 0.8 * cured,
        (report("torch/torch7#846"), report("Samyssmile/edux#209")),
    ),
    Pitfall(
        "eval-forgotten",
        "The answer for one example depends on what else is in the batch; alone it is nonsense.",
        "The network answers in training mode.",
        "Ask for one example alone, and with others: the same answer.",
        "largest change of a logit with other company",
        eval_forgotten_torch,
        eval_forgotten_keras,
        lambda broken, cured: broken > 0.1 and cured < 1e-5,
        (report("yaodongyu/TRADES#3"), report("keras-team/keras#3078")),
    ),
    Pitfall(
        "train-undoes-it",
        "A layer was frozen, and its statistics drift all the same.",
        "A later `train()`, or `model.trainable = True`, reached every layer.",
        "Compare the statistics before and after a few steps, bit by bit.",
        "largest movement of a running mean in 20 steps",
        train_undoes_torch,
        train_undoes_keras,
        lambda broken, cured: broken > 0.01 and cured == 0,
        (report("poppinace/indexnet_matting#35"), report("keras-team/keras#20285")),
    ),
    Pitfall(
        "no-gradients-but-statistics",
        "No parameter of the frozen part changes, and its outputs change.",
        "`requires_grad = False` holds parameters. Statistics are no parameters.",
        "Compare buffers too, not only parameters.",
        "largest movement of a running mean in 20 steps",
        without_gradients_torch,
        without_gradients_keras,
        lambda broken, cured: broken > 0.01 and cured == 0,
        (report("pytorch/pytorch#86590"), report("keras-team/keras#7085")),
        absent=(
            "Keras",
            "`trainable = False` has been inference mode as well since TensorFlow 2.0",
        ),
    ),
    Pitfall(
        "never-in-training-mode",
        "It trains, but the running mean is still 0 and the running variance 1.",
        "`eval()` after the first evaluation and no `train()`; in Keras a loop without `training=True`.",
        "After an epoch the statistics are not what they began with.",
        "largest running mean after 50 steps",
        never_trained_torch,
        never_trained_keras,
        lambda broken, cured: broken == 0 and cured > 0.1,
        (report("KaiyuanZh/FLIP#6"), report("tensorflow/tensorflow#32864")),
    ),
    Pitfall(
        "accumulation",
        "Many small batches with accumulated gradients do not do what one large batch does.",
        "BN takes the statistics of each small batch.",
        "Compare the gradient of one batch whole and in parts.",
        "distance of the gradients, relative",
        accumulated_torch,
        accumulated_keras,
        lambda broken, cured: broken > 0.1 and cured < 1e-4,
        (report("pytorch/pytorch#46516"), report("andreped/GradientAccumulator#6")),
    ),
    Pitfall(
        "data-parallel",
        "With more devices, and so fewer rows on each, results get worse.",
        "Each device has its own statistics.",
        "Compare the outputs of BN for one batch on one device and on all.",
        "distance of the outputs, relative",
        devices_torch,
        devices_keras,
        lambda broken, cured: broken > 0.1 and cured < 1e-4,
        (report("pytorch/pytorch#2584"), report("torch/nn#1071")),
    ),
    Pitfall(
        "last-batch-of-one",
        "The last batch of an epoch raises an error, or every feature in it is beta.",
        "A single row has the variance 0.",
        "Rows modulo batch size is not 1; or leave out the incomplete batch.",
        "distance between outputs of single rows; a dash is an error",
        one_row_torch,
        one_row_keras,
        lambda broken, cured: (math.isnan(broken) or broken == 0) and cured > 0.1,
        (report("scverse/scvi-tools#2314"), report("chainer/chainer#3996")),
    ),
    Pitfall(
        "half-precision",
        "In inference everything is beta or NaN, though training looked well.",
        "The statistics are kept in float16, which ends at 65,504.",
        "The statistics are float32 and finite.",
        "running variance of inputs that vary by 4,000,000",
        half_torch,
        half_keras,
        lambda broken, cured: math.isinf(broken) and 3e6 < cured < 6e6,
        (report("WenmuZhou/PytorchOCR#221"), report("apple/coreai-torch#54")),
    ),
    Pitfall(
        "far-from-zero",
        "Inputs with a large mean come out many times too large or too small, or as NaN.",
        "The variance is computed as the mean of squares minus the square of the mean.",
        "Add 10,000 to a batch: the outputs stay.",
        "error of the variance at mean 10,000 and at 0, relative",
        far_from_zero_torch,
        far_from_zero_keras,
        lambda broken, cured: broken > 0.5 and cured < 1e-4,
        (report("keras-team/keras#18795"), report("google/flax#1491")),
        absent=("PyTorch", "it subtracts the mean before it squares"),
    ),
    Pitfall(
        "wrong-axis",
        "It runs, learns a little less, and has another number of gammas than channels.",
        "Channels are on another axis than the layer takes them from.",
        "The length of gamma is the number of channels.",
        "largest mean of a channel after BN; it should be 0",
        channels_torch,
        channels_keras,
        lambda broken, cured: broken > 0.1 and cured < 1e-5,
        (report("sharathadavanne/seld-dcase2021#8"), report("keras-team/keras#1921")),
    ),
    Pitfall(
        "export",
        "The exported network and the one it was made from disagree.",
        "The export is in inference mode, and the original was asked in training mode.",
        "Compare them on one example, after `eval()`.",
        "largest difference of a logit",
        exported_torch,
        exported_keras,
        lambda broken, cured: broken > 0.1 and cured < 1e-4,
        (report("microsoft/onnxruntime#3873"), report("microsoft/onnxruntime#4589")),
    ),
    Pitfall(
        "momentum-swapped",
        "Accuracy in inference jumps from step to step, and training does not.",
        "`momentum` was copied from a framework where it means the reverse.",
        "The weight of a new batch is 0.1 or less.",
        "distance of the running mean from the data's, in standard deviations",
        momentum_torch,
        momentum_keras,
        lambda broken, cured: broken > 2 * cured,
        (report("pytorch/vision#8250"), report("affinelayer/pix2pix-tensorflow#126")),
    ),
    Pitfall(
        "too-few-updates",
        "Training accuracy is high, and at first validation is near guessing.",
        "The new batch has a weight of 0.01, and there were few batches.",
        "Steps times the weight of a batch is well above 1.",
        "accuracy in inference after 40 steps, in percent",
        too_few_torch,
        too_few_keras,
        lambda broken, cured: broken < cured - 10,
        (report("keras-team/keras#7177"), report("keras-team/keras#3949")),
    ),
    Pitfall(
        "other-eps",
        "All arrays were copied, and the outputs differ in the second digit.",
        "The defaults of `eps` differ by a factor of 100.",
        "Compare all settings of the layers, not only their arrays.",
        "largest difference of a logit, where variances are small",
        eps_torch,
        eps_keras,
        lambda broken, cured: broken > 0.1 and cured < 1e-4,
        (report("gzuidhof/nn-transfer#3"), report("qqwweee/keras-yolo3#451")),
    ),
    Pitfall(
        "parameters-without-statistics",
        "A copied or averaged network is much worse than the one it was made from.",
        "Parameters were copied, and running statistics were not.",
        "A copy gives the same answer as the original.",
        "accuracy of the copy in inference, in percent",
        parameters_only_torch,
        parameters_only_keras,
        lambda broken, cured: broken < cured - 20,
        (report("pytorch/ignite#2590"), report("facebookresearch/moco#70")),
    ),
)
