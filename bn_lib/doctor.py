"""What a careful colleague would notice about Batch Normalization in a model of PyTorch, of Keras or of this library.

Three readers, one for each framework, write a model down as the same list of `Part`; each check looks at that list and
knows nothing of frameworks. Neither PyTorch nor Keras is imported here: who has a model of theirs has imported them.
"""

import re
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from bn_lib import _checks as check
from bn_lib.batchnorm import BatchNorm, WeightStandardized
from bn_lib.convention import Convention
from bn_lib.layer import Layer, to_numpy
from bn_lib.modulation import AdaptiveBatchNorm, Holder
from bn_lib.network import Conv2d, Dense, Dropout, Residual, Sequential
from bn_lib.statistics import SwitchableNorm
from bn_lib.sync import SyncBatchNorm
from bn_lib.training import SGD

Values = np.ndarray[Any, Any] | None


class Finding(NamedTuple):
    """One thing that `doctor` noticed.

    Attributes:
        check: which check it was, one of the names that `doctor` lists.
        layers: the layers of which it is true, by the framework's names.
        seen: what was seen there.
        why: why it matters.
        advice: what to do.
    """

    check: str
    layers: tuple[str, ...]
    seen: str
    why: str
    advice: str

    def __str__(self) -> str:
        names, more = ", ".join(self.layers[:3]), len(self.layers) - 3
        return f"{names}{f' and {more} more' if more > 0 else ''}: {self.seen}. {self.why}. {self.advice}."


class Findings(tuple[Finding, ...]):
    """What `doctor` found, in words where it is printed; empty, and so false, if that is nothing."""

    layers = 0  # of Batch Normalization that were looked at

    def __repr__(self) -> str:
        looked = f"{self.layers} layer{'s' * (self.layers != 1)} of Batch Normalization looked at"
        if self:
            return "\n".join([f"{looked}.", *(f"- {finding}" for finding in self)])
        return (
            f"{looked}, nothing found. That does not mean that all is well: data, loss, learning rate and the code "
            "around the model were not looked at."
        )


def doctor(model: Any, optimizer: Any = None, batch_size: int | None = None) -> Findings:
    """Look at a model, and say what a careful colleague would notice about its Batch Normalization.

    ===============  ========================================================================================
    check            what is told
    ===============  ========================================================================================
    "never updated"  running mean 0 and variance 1 still, after training or where inference would use them
    "momentum"       it looks like the other convention, or no batch has any weight
    "after dropout"  dropout before it, with no normalizer in between
    "bias"           a layer with a bias right before it
    "axis"           its channels are along another axis than those of the layer before it
    "decay"          weight decay on gamma or beta
    "batch of one"   one row, so one value per channel where x has no positions
    "inference"      running statistics in the middle of training, while gamma and beta are trained
    "not frozen"     gamma and beta are held fixed, and the running statistics move
    "not finite"     a NaN or an infinity in statistics, gamma or beta
    "variance"       a running variance that is negative, 0, or so far below eps that nothing is standardized
    "dead channels"  gamma is 0
    "eps"            it is 0 or below
    ===============  ========================================================================================

    The model is read, not run on data, and nothing in it changes. What comes before a layer is known for `Sequential`,
    for functional models of Keras, and for those modules in one of PyTorch that `torch.fx` can trace; elsewhere "bias",
    "axis" and "after dropout" say nothing. Only layers are looked at, not a call of `torch.nn.functional.batch_norm`. A
    `training=False` with which a layer was called in a functional model of Keras is not looked at either: `fit` and
    `model(x, training=True)` overrule it, so there only what is not trainable is in inference.

    Args:
        model: a `torch.nn.Module`, a layer or model of Keras 3, or a `Layer`.
        optimizer: what trains it: a `torch.optim.Optimizer`, an optimizer of Keras (that of a compiled model is found),
            or an `SGD`. Without one, nothing is said of decay.
        batch_size: rows of a mini-batch in training, on one device; the last, incomplete one if that is the smallest.

    Returns:
        A tuple of findings, each with `check`, `layers`, `seen`, `why` and `advice`, and equal ones joined. Printed it
        is text. It is empty, and false, if nothing was found; that does not mean that all is well.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> dense = bn_lib.Dense(3, 2, bias=False, rng=rng)
        >>> model = bn_lib.Sequential(dense, bn_lib.BatchNorm(2, momentum=0.99))
        >>> for finding in doctor(model):
        ...     print(finding.layers, finding.seen)
        ('1',) momentum is 0.99, so a batch makes up 99 % of the running statistics

    Raises:
        TypeError: if `model` is none of these or TorchScript, or `optimizer` is of another framework.
        ValueError: if the optimizer holds no parameter of the model, or `batch_size` is not a whole number >= 1.

    Source: Li et al. (2019) for dropout, Goyal et al. (2017) for decay and for gamma that starts at 0; for the bias
    Ioffe and Szegedy (2015), section 3.2. The rest is each framework's documentation.
    """
    if batch_size is not None:
        check.positive_int(batch_size, "batch_size")
    bases = {base.__module__.partition(".")[0] for base in type(model).__mro__}
    if isinstance(model, Layer):
        case = _ours(model, optimizer)
    elif "keras" in bases:  # before the next: with PyTorch below, they are modules of PyTorch as well
        case = _keras(model, optimizer)
    elif "torch" in bases and isinstance(model, sys.modules["torch"].nn.Module):
        case = _torch(model, optimizer)
    else:
        raise TypeError(f"model is a {type(model).__name__}; expected one of PyTorch, of Keras or a Layer of bn_lib")
    case = case._replace(batch_size=batch_size)
    normalizers = [part for part in case.parts if part.norm is not None]
    found: dict[tuple[str, str, str, str], list[str]] = {}
    for name, (look, why, advice) in CHECKS.items():
        for part in normalizers:
            if seen := look(part, part.norm, case):
                found.setdefault((name, seen, why, advice), []).append(part.name)
    findings = Findings(Finding(name, tuple(dict.fromkeys(layers)), *words) for (name, *words), layers in found.items())
    findings.layers = len({part.name for part in normalizers})
    return findings


# What all frameworks have in common


class Norm(NamedTuple):
    """A layer of Batch Normalization.

    Attributes:
        momentum: in the framework's own meaning; None for plain averages, or if no statistics are kept.
        eps: added to the variance.
        gamma, beta, mean, var: the arrays, as far as there are any.
        learns: whether a training pass takes the batch's statistics, and moves the running ones if there are any.
        trained: whether gamma or beta is trained.
        decay: the largest weight decay on gamma and beta.
        rows: the most rows that share a mean, if not all of a mini-batch.
        alone: whether a device has its own statistics.
        removes: whether it removes a constant that was added to a channel.
        channels: where its channels are, in words; None if that is not known.
    """

    momentum: float | None
    eps: float
    gamma: Values
    beta: Values
    mean: Values
    var: Values
    learns: bool
    trained: bool
    decay: float
    rows: int | None = None
    alone: bool = True
    removes: bool = True
    channels: str | None = None


@dataclass(frozen=True, eq=False)
class Part:
    """A layer, or a step between layers, and what it gets its input from.

    Attributes:
        name: that of the layer.
        kind: its class, or the function's name.
        inputs: what comes right before it, as far as that is known.
        norm: of Batch Normalization, more about it.
        bias: whether it is a weighted sum with a bias, and nothing after that.
        drops: whether it is dropout.
        channels: of a weighted sum, where its channels are, in the words of `Norm.channels`.
    """

    name: str
    kind: str
    inputs: "tuple[Part, ...]" = ()
    norm: Norm | None = None
    bias: bool = False
    drops: bool = False
    channels: str | None = None


class Parts(list[Part]):
    """Those of a model, in their order."""

    def add(self, name: str, kind: str, inputs: tuple[Part, ...], **more: Any) -> tuple[Part, ...]:
        """Write a part down; return it, as what comes before the next."""
        self.append(Part(name, kind, inputs, **more))
        return (self[-1],)


class Case(NamedTuple):
    """A model, written down.

    Attributes:
        parts: its layers, and the steps between them.
        convention: of its framework.
        training: whether the model as a whole is in training.
        stepped: whether there are signs that it has been trained.
        batch_size: as `doctor` got it.
    """

    parts: Parts
    convention: Convention
    training: bool
    stepped: bool
    batch_size: int | None = None


# The checks: what was seen, or None


def _never_updated(part: Part, norm: Norm, case: Case) -> str | None:
    if norm.mean is None or norm.var is None or np.any(norm.mean != 0) or np.any(norm.var != 1):
        return None
    moved = norm.beta is not None and np.any(norm.beta != 0)
    if norm.learns and case.training and not (moved or case.stepped):
        return None  # a new model: gamma may begin as anything, beta begins at 0
    return "the running mean is 0 and the running variance 1 everywhere, as before the first batch"


def _momentum(part: Part, norm: Norm, case: Case) -> str | None:
    weight = None if norm.momentum is None else case.convention.batch_weight(norm.momentum)
    if weight is None or 0 < weight <= 0.5:
        return None
    return f"momentum is {norm.momentum:g}, so a batch makes up {100 * weight:g} % of the running statistics"


def _after_dropout(part: Part, norm: Norm, case: Case) -> str | None:
    before, seen = list(part.inputs), set[int]()
    while before:
        one = before.pop()
        if one.drops:
            return f"dropout ({one.name}) comes before it, with no normalizer in between"
        if id(one) not in seen and "norm" not in one.kind.lower():
            seen.add(id(one))
            before += one.inputs
    return None


def _bias(part: Part, norm: Norm, case: Case) -> str | None:
    if not _takes_off(norm, case):
        return None
    here, before, apart = part, {*part.inputs}, _apart(part, norm)
    while len(before) == 1:
        (one,) = before
        if not all(other is here or (other.norm and _takes_off(other.norm, case)) for other in _after(one, case)):
            return None  # something else gets the sum, and may need its bias
        if one.bias:
            return None if one is apart else f"the {one.kind} right before it has a bias"
        if one.kind.lower() not in ("flatten", "identity", "reshape"):
            return None
        here, before = one, {*one.inputs}
    return None


def _axis(part: Part, norm: Norm, case: Case) -> str | None:
    one = _apart(part, norm)
    return f"its channels are {norm.channels}, those of the {one.kind} before it {one.channels}" if one else None


def _apart(part: Part, norm: Norm) -> Part | None:
    """The weighted sum before it, if that has its channels along another axis, and nothing in between moves axes."""
    before = {*part.inputs}
    while len(before) == 1 and norm.channels:
        (one,) = before
        if one.channels:
            return None if one.channels == norm.channels else one
        stays = re.search("elu|activation|dropout|identity|^(max|average|avg)pool", one.kind.lower())
        before = {*one.inputs} if stays else set()
    return None


def _takes_off(norm: Norm, case: Case) -> bool:
    """Whether it takes the mean off that comes in; frozen, it takes off a constant."""
    return norm.removes and (norm.learns or not case.training)


def _after(part: Part, case: Case) -> list[Part]:
    """What gets the output of a part, of a layer with a bias in any of its places."""
    same = {id(part)} | {id(one) for one in case.parts if part.bias and one.name == part.name}
    return [one for one in case.parts if any(id(each) in same for each in one.inputs)]


def _decay(part: Part, norm: Norm, case: Case) -> str | None:
    return f"weight decay of {norm.decay:g} pulls on its gamma or beta" if norm.decay else None


def _batch_of_one(part: Part, norm: Norm, case: Case) -> str | None:
    rows = min(norm.rows or case.batch_size or 2, case.batch_size or 2)
    return "in training its statistics are those of one row" if norm.learns and norm.alone and rows == 1 else None


def _inference(part: Part, norm: Norm, case: Case) -> str | None:
    if norm.learns or not norm.trained or not case.training:
        return None
    return "it stays in inference while the model trains, and its gamma or beta is trained"


def _not_frozen(part: Part, norm: Norm, case: Case) -> str | None:
    fixed = not norm.trained and not (norm.gamma is None and norm.beta is None)
    if not fixed or not norm.learns or norm.mean is None:
        return None
    return (
        "its gamma and beta are held fixed, but in training its statistics are the batch's, and the running ones move"
    )


def _not_finite(part: Part, norm: Norm, case: Case) -> str | None:
    names = {"running mean": norm.mean, "running variance": norm.var, "gamma": norm.gamma, "beta": norm.beta}
    bad = [name for name, values in names.items() if values is not None and not np.all(np.isfinite(values))]
    return f"{' and '.join(bad)}: a NaN or an infinity" if bad else None


def _variance(part: Part, norm: Norm, case: Case) -> str | None:
    if norm.var is None:
        return None
    small = int(np.sum((norm.var <= 0) | (norm.var < norm.eps / 100)))
    return f"the running variance is below a hundredth of eps in {small} of {norm.var.size} channels" if small else None


def _dead(part: Part, norm: Norm, case: Case) -> str | None:
    if norm.gamma is None:
        return None
    dead = int(np.sum(norm.gamma == 0))
    if dead == norm.gamma.size and _ends_a_branch(part, case):
        return None  # a residual branch may begin with nothing
    return f"gamma is 0 in {dead} of {norm.gamma.size} channels" if dead else None


def _ends_a_branch(part: Part, case: Case) -> bool:
    """Whether a sum comes next, or one may: what follows is not known. A branch may be dropped as a whole before it."""
    after = _after(part, case)
    sums = {"add", "iadd", "residual"} & {one.kind.lower().strip("_") for one in after}
    dropping = [one for one in after if re.search("drop|stochasticdepth|identity", one.kind.lower())]
    return not after or bool(sums) or any(_ends_a_branch(one, case) for one in dropping)


def _eps(part: Part, norm: Norm, case: Case) -> str | None:
    return f"eps is {norm.eps:g}" if norm.eps <= 0 else None


CHECKS: dict[str, tuple[Callable[[Part, Any, Case], str | None], str, str]] = {  # what it sees, why, what to do
    "never updated": (
        _never_updated,
        "Inference would not standardize at all: it would use these numbers and not the data's",
        "Train in training mode, or estimate the statistics with some passes in training mode before inference",
    ),
    "momentum": (
        _momentum,
        "PyTorch's momentum is the weight of the new batch, that of Keras and Flax the weight of the old average: 0.1 "
        "in PyTorch is 0.9 in Keras. With the wrong one inference uses little more than the last batch, or statistics "
        "that never move",
        "Write 1 - momentum if it came from the other framework",
    ),
    "after dropout": (
        _after_dropout,
        "Dropout raises the variance in training and not in inference, so the running variance is too large there",
        "Put dropout after the last Batch Normalization",
    ),
    "bias": (
        _bias,
        "The mean that is subtracted takes the bias out again: it costs memory, its gradient is 0, and beta does its "
        "work",
        "Leave it out (bias=False, use_bias=False)",
    ),
    "axis": (
        _axis,
        "Each row of an image, or each step of a sequence, is then standardized over all channels together, and gamma "
        "and beta belong to rows or steps",
        "Name the axis of the channels (Keras: axis=-1 where they are last; PyTorch's are axis 1: transpose before it)",
    ),
    "decay": (
        _decay,
        "Decay of gamma and beta limits what the layer can put out and regularizes nothing behind the next normalizer; "
        "decay of a weight before the layer acts on its rate instead",
        "Give gamma and beta a parameter group without decay, or exclude them from it, unless it is meant",
    ),
    "batch of one": (
        _batch_of_one,
        "Where x has no positions, one value per channel is its own mean and every output is beta (PyTorch raises); "
        "for images these are the statistics of a single one, and inference uses others",
        "Take more rows, drop an incomplete last mini-batch of one (drop_last=True), or take group or layer norm",
    ),
    "inference": (
        _inference,
        "The running statistics are constants and do not follow the weights before it, so nothing keeps its output "
        "standardized, and training may become unstable",
        "Put it in training mode, or freeze gamma and beta as well if it is to stay as it is",
    ),
    "not frozen": (
        _not_frozen,
        "requires_grad=False holds gamma and beta only, so what looks frozen drifts towards the new data",
        "Call eval() on it after every model.train() (PyTorch), set layer.trainable = False (Keras), or freeze()",
    ),
    "not finite": (
        _not_finite,
        "A moving average never forgets a NaN, and inference puts out NaN from then on",
        "Find the batch it came from, reset the running statistics, and estimate them anew",
    ),
    "variance": (
        _variance,
        "The channel was constant over batches, so its output says nothing, or noise is blown up by 1 / sqrt(eps)",
        "Look at what comes before it: a dead ReLU, a constant input, statistics that were loaded wrongly",
    ),
    "dead channels": (
        _dead,
        "Such a channel puts out beta whatever comes in, and no gradient goes back through it",
        "Remove the channel, or set gamma to 1; it is right only where a residual branch starts from 0",
    ),
    "eps": (_eps, "A channel that is constant over a batch is then 0 / 0", "Take the default of the framework"),
}


# The readers


def _wrong_optimizer(optimizer: Any, expected: str) -> TypeError:
    return TypeError(f"optimizer is a {type(optimizer).__name__}; expected {expected}, as the model is")


def _drops(layer: Any, kind: str) -> bool:
    """Whether it sets some of an example's numbers to 0, and so raises the variance, which alpha dropout keeps."""
    rate = getattr(layer, "rate", getattr(layer, "p", 1))
    whole = {*(getattr(layer, "noise_shape", None) or (None, None))[1:]} == {1}  # examples: stochastic depth
    return "dropout" in kind.lower() and "alpha" not in kind.lower() and rate != 0 and not whole


def _ours(model: Layer, optimizer: Any) -> Case:
    if not isinstance(optimizer, SGD | None):
        raise _wrong_optimizer(optimizer, "an SGD of bn_lib")
    every = {id(layer) for layer in model.layers()}
    if optimizer is not None and not any(id(layer) in every for layer in optimizer.model.layers()):
        raise ValueError("optimizer updates no layer of model; expected the one that trains it")
    held = {id(layer) for layer in optimizer.model.layers()} if optimizer else set()
    parts = Parts()

    def norm(owner: Any, norm: BatchNorm) -> Norm:
        names = [name for name in ("gamma", "beta") if name in owner.parameter_names]
        decays = (optimizer._settings(owner, name)[2] for name in names if optimizer and id(owner) in held)
        arrays = {"gamma": owner.gamma, "beta": owner.beta, "mean": norm.running_mean, "var": norm.running_var}
        return Norm(
            norm.momentum if norm.track_running_stats else None,
            norm.eps,
            **{name: None if array is None else to_numpy(array) for name, array in arrays.items()},
            learns=(norm.training and not norm.frozen) or not norm.track_running_stats,
            trained=bool(names) and not owner.frozen,
            decay=0.0 if owner.frozen else max(decays, default=0.0),
            rows=getattr(norm, "ghost_size", None),
            alone=not isinstance(norm, SyncBatchNorm),
            removes=not isinstance(owner, AdaptiveBatchNorm | SwitchableNorm),
            channels=None if owner.channel_axis == 1 else f"axis {owner.channel_axis % 4 - 4}",
        )

    def add(layer: Any, name: str, inputs: tuple[Part, ...], **more: Any) -> tuple[Part, ...]:
        kind = type(layer).__name__
        return parts.add(name or kind, kind, inputs, **more)

    def walk(layer: Any, name: str, before: tuple[Part, ...]) -> tuple[Part, ...]:
        if isinstance(layer, Sequential):
            after = before
            for i, each in enumerate(layer):
                after = walk(each, f"{name}.{i}".lstrip("."), after)
            return add(layer, name, (*before, *after)) if isinstance(layer, Residual) else after
        if isinstance(layer, Holder):
            places = [name] if len(layer.norms) == 1 else [f"{name}.{i}".lstrip(".") for i in range(len(layer.norms))]
            for place, inside in zip(places, layer.norms, strict=True):
                after = add(layer, place, before, norm=norm(layer, inside))
            return after
        if isinstance(layer, BatchNorm):
            return add(layer, name, before, norm=norm(layer, layer))
        if isinstance(layer, WeightStandardized | Dense | Conv2d):
            summing: Any = layer.layer if isinstance(layer, WeightStandardized) else layer
            channels = "axis -3" if isinstance(summing, Conv2d) else None  # of rows it is axis 1 and the last
            return add(layer, name, before, bias=getattr(summing, "bias", None) is not None, channels=channels)
        for each in layer.layers():  # a container of someone's own: who knows what comes before what
            if each is not layer:
                walk(each, f"{name}.{type(each).__name__}".lstrip("."), ())
        return add(layer, name, before, drops=isinstance(layer, Dropout) and layer.rate > 0)

    walk(model, "", ())
    return Case(parts, Convention.PYTORCH, model.training, any(layer.grads for layer in model.layers()))


def _torch(model: Any, optimizer: Any) -> Case:
    torch = sys.modules["torch"]
    if isinstance(model, torch.jit.ScriptModule):
        raise TypeError(f"model is a {type(model).__name__}, a compiled program; expected the module it was made from")
    own = {id(parameter) for parameter in model.parameters()}
    decays: dict[int, float] = {}
    if optimizer is not None:
        if not isinstance(optimizer, torch.optim.Optimizer):
            raise _wrong_optimizer(optimizer, "one of torch.optim")
        for group in optimizer.param_groups:
            decays |= dict.fromkeys(map(id, group["params"]), float(group.get("weight_decay", 0)))
        if own and not own & decays.keys():
            raise ValueError("optimizer holds no parameter of model; expected the one that trains it")

    def values(tensor: Any) -> Any:
        known = tensor is not None and not torch.nn.parameter.is_lazy(tensor) and not tensor.is_meta
        return tensor.detach().cpu().double().numpy() if known else None

    def norm(layer: Any) -> Norm:
        trained = [p for p in (layer.weight, layer.bias) if p is not None and p.requires_grad]
        arrays = {"gamma": layer.weight, "beta": layer.bias, "mean": layer.running_mean, "var": layer.running_var}
        return Norm(
            layer.momentum if layer.track_running_stats else None,
            layer.eps,
            **{name: values(tensor) for name, tensor in arrays.items()},
            learns=layer.training or not layer.track_running_stats,
            trained=bool(trained),
            decay=max((decays.get(id(p), 0.0) for p in trained), default=0.0),
            alone=not isinstance(layer, torch.nn.SyncBatchNorm),
            channels=along(layer.num_features),
        )

    def along(channels: int) -> str | None:  # which axis that is depends on x, but not how long it is
        return f"an axis of {channels}" if channels else None

    names = {layer: name for name, layer in model.named_modules()}
    parts = Parts()
    norms = torch.nn.modules.batchnorm._BatchNorm
    sums = torch.nn.Linear | torch.nn.Bilinear | torch.nn.modules.conv._ConvNd

    def add(layer: Any, inputs: tuple[Part, ...]) -> tuple[Part, ...]:
        kind = type(layer).__name__
        more: dict[str, Any] = {"norm": norm(layer) if isinstance(layer, norms) else None, "drops": _drops(layer, kind)}
        if isinstance(layer, sums):
            long = getattr(layer, "out_features", 0) or layer.out_channels
            more |= {"bias": layer.bias is not None, "channels": along(long)}
        return parts.add(names[layer] or kind, kind, inputs, **more)

    def read(layer: Any, before: tuple[Part, ...]) -> tuple[Part, ...]:
        if not any(layer.children()) or isinstance(layer, norms | sums):
            return add(layer, before)
        if type(layer).forward is torch.nn.Sequential.forward:
            for each in layer:
                before = read(each, before)
            return before
        steps: dict[Any, tuple[Part, ...]] = {}
        for node in _graph(torch, layer):
            inputs = tuple(part for one in node.all_input_nodes for part in steps.get(one, ()))
            if node.op == "placeholder":
                steps[node] = before
            elif node.op == "call_module":
                steps[node] = read(layer.get_submodule(node.target), inputs)
            elif node.op in ("call_function", "call_method"):
                steps[node] = call(node, inputs)
            elif node.op == "output":
                return inputs
        for each in layer.children():
            read(each, ())
        return add(layer, ())

    def call(node: Any, inputs: tuple[Part, ...]) -> tuple[Part, ...]:
        kind = node.target if isinstance(node.target, str) else node.target.__name__
        rate, on = (*node.args[1:], None, None)[:2]
        if kind in ("size", "dim") or (kind == "getattr" and rate in ("shape", "ndim", "dtype", "device")):
            return ()  # not of the numbers in it
        asked = {"p": rate, "train": on, "training": on} | node.kwargs
        off = asked["p"] == 0 or False in (asked["train"], asked["training"])
        return parts.add(f"a call of {kind}", kind, inputs, drops=not off and _drops(None, kind))

    read(model, ())
    reached = {part.name for part in parts}
    for layer, name in names.items():
        if isinstance(layer, norms) and name not in reached and name:
            add(layer, ())
    stepped = bool(optimizer and optimizer.state) or any(p.grad is not None for p in model.parameters())
    return Case(parts, Convention.PYTORCH, model.training, stepped)


def _graph(torch: Any, model: Any) -> Iterable[Any]:
    """The steps of the model in training, in their order, without data; none if PyTorch cannot trace it."""

    class Tracer(torch.fx.Tracer):  # type: ignore[misc]
        def is_leaf_module(self, layer: Any, name: str) -> bool:
            return super().is_leaf_module(layer, name) or not any(layer.children())

    with _nothing_moves(torch, model):
        for layer in model.modules():
            if not isinstance(layer, torch.jit.ScriptModule):
                vars(layer)["training"] = True
        try:
            return list(Tracer().trace(model).nodes)
        except Exception:  # the model's own code, which may want real numbers
            return ()


@contextmanager
def _nothing_moves(torch: Any, model: Any) -> Iterator[None]:
    """Put back what the model's own code leaves in its modules, and the random numbers that it takes."""
    own = [layer for layer in model.modules() if not isinstance(layer, torch.jit.ScriptModule)]
    before = [(layer, dict(vars(layer)), dict(layer._buffers)) for layer in own]
    stored = [(buffer, buffer.clone()) for buffer in model.buffers() if not torch.nn.parameter.is_lazy(buffer)]
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.default_generator.manual_seed(0)  # the same findings each time
        try:
            yield
        finally:
            for layer, attributes, buffers in before:
                vars(layer).clear()
                vars(layer).update(attributes)
                layer._buffers.clear()
                layer._buffers.update(buffers)
            for buffer, value in stored:
                buffer.copy_(value)


def _keras(model: Any, optimizer: Any) -> Case:
    keras = sys.modules["keras"]
    if optimizer is None:
        optimizer = getattr(model, "optimizer", None)
    elif not isinstance(optimizer, keras.optimizers.Optimizer):
        raise _wrong_optimizer(optimizer, "one of keras.optimizers")
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)  # of mixed precision
    held = {id(v) for v in getattr(optimizer, "_trainable_variables", ())}
    if held and not held & {id(v) for v in model.trainable_variables}:
        raise ValueError("optimizer holds no variable of model; expected the one that trains it")
    parts = Parts()

    def decay(variable: Any, regularizer: Any) -> float:
        pulled = optimizer is not None and optimizer.weight_decay and optimizer._use_weight_decay(variable)
        penalty = max((float(getattr(regularizer, kind, 0) or 0) for kind in ("l1", "l2")), default=0.0)
        return max(float(optimizer.weight_decay) if pulled else 0.0, penalty)

    def values(variable: Any) -> Any:
        return None if variable is None else np.asarray(keras.ops.convert_to_numpy(variable), np.float64)

    def norm(layer: Any) -> Norm:
        arrays = {"gamma": layer.gamma, "beta": layer.beta, "mean": layer.moving_mean, "var": layer.moving_variance}
        pairs = (layer.gamma, layer.gamma_regularizer), (layer.beta, layer.beta_regularizer)
        affine = [pair for pair in pairs if pair[0] is not None and pair[0].trainable]
        return Norm(
            layer.momentum,
            layer.epsilon,
            **{name: values(variable) for name, variable in arrays.items()},
            learns=layer.trainable,
            trained=layer.trainable and (bool(affine) or not layer.built),
            decay=max((decay(*pair) for pair in affine), default=0.0),
            alone=not layer.synchronized,
            channels=from_last(layer),
        )

    def from_last(layer: Any) -> str | None:
        ndim = getattr(layer.input_spec, "ndim", None) if layer.axis >= 0 else 0  # known when it is built
        return None if ndim is None else f"axis {layer.axis - ndim}"

    def channels(layer: Any) -> str | None:
        """Of a weighted sum, where its channels are; of one over any axes, what its bias is along."""
        kind, convolves = type(layer).__name__, hasattr(layer, "rank")  # a recurrent one has none
        if kind == "EinsumDense":
            output, names = layer.equation.partition("->")[2], layer.bias_axes or ""
            return f"axis {output.index(names) - len(output)}" if len(names) == 1 and output[-1] != "." else None
        if kind.startswith("Dense"):
            return "axis -1"
        if convolves and kind.startswith(("Conv", "DepthwiseConv", "SeparableConv")):
            return f"axis {-layer.rank - 1 if layer.data_format == 'channels_first' else -1}"
        return None

    def add(layer: Any, inputs: tuple[Part, ...]) -> tuple[Part, ...]:
        kind, standardizes = type(layer).__name__, isinstance(layer, keras.layers.BatchNormalization)
        along, plain = channels(layer), getattr(layer, "activation", None) in (None, keras.activations.linear)
        bias = along is not None and plain and bool(getattr(layer, "use_bias", True))
        more: dict[str, Any] = {
            "norm": norm(layer) if standardizes else None,
            "bias": bias,
            "drops": _drops(layer, kind),
        }
        return parts.add(layer.name, kind, inputs, channels=along, **more)

    def walk(layer: Any, before: tuple[Part, ...]) -> tuple[Part, ...]:
        if isinstance(layer, keras.Sequential):
            for each in layer.layers:
                before = walk(each, before)
            return before
        if isinstance(layer, keras.Model) and hasattr(layer, "operations"):  # a functional one knows its graph
            steps: dict[int, tuple[Part, ...]] = {}
            for step in layer.operations:
                calls = getattr(step, "_inbound_nodes", ())
                parents = [node.operation for call in calls for node in call.parent_nodes]
                inputs = tuple(part for one in parents for part in steps.get(id(one), ()))
                steps[id(step)] = walk(step, inputs) if parents else before
            ends = [output._keras_history.operation for output in layer.outputs]
            return tuple(part for one in ends for part in steps.get(id(one), ()))
        for each in getattr(layer, "_layers", ()):
            walk(each, ())
        return add(layer, before)

    walk(model, ())
    stepped = optimizer is not None and int(optimizer.iterations) > 0
    return Case(parts, Convention.KERAS, True, stepped)
