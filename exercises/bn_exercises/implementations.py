"""A gallery of Batch Normalizations: four functions, the right ones, and the wrong ones that have a name.

    forward(x, gamma, beta, eps) -> y
    backward(dy, x, gamma, eps, mean=None, var=None) -> dx, dgamma, dbeta
    update_running(running_mean, running_var, x, momentum) -> running_mean, running_var
    inference(x, gamma, beta, running_mean, running_var, eps) -> y

x is (N, C) or (N, C, H, W); gamma, beta and stored statistics are (C,). `forward` and `backward` use the statistics of
this batch. With a mean and a variance given, `backward` takes them for constants, as in a frozen layer.

Each function is a few steps, and most mistakes are one wrong step: so a wrong function is the right one with a step
replaced, and two mistakes at once are two. The right ones are written out, to be read.

`problems.implement` recognises a learner's functions by these; `problems.break_it` gives them to a learner to expose.
"""

from collections.abc import Callable, Iterator, Mapping
from itertools import combinations
from typing import TypeAlias

import numpy as np

from bn_exercises import misconceptions as wrong
from bn_exercises.misconceptions import Misconception
from bn_exercises.tolerance import Array

Function: TypeAlias = Callable[..., Array]
Axes: TypeAlias = tuple[int, ...]
# What can go wrong in a step: mistakes, and what each of them puts in the step's place. And that by the step's name.
Step: TypeAlias = Mapping[Misconception, Function]
Steps: TypeAlias = Mapping[str, Step]


# The right ones


def forward(x: Array, gamma: Array, beta: Array, eps: float) -> Array:
    """Normalize with this batch's statistics, then scale and shift."""
    # All but the channels, and a shape that lines their values up with x.
    axes = (0, *range(2, x.ndim))
    shape = (1, -1) + (1,) * (x.ndim - 2)
    mean = x.mean(axis=axes, keepdims=True)
    var = x.var(axis=axes, keepdims=True)
    x_hat = (x - mean) / np.sqrt(var + eps)
    return gamma.reshape(shape) * x_hat + beta.reshape(shape)


def backward(dy: Array, x: Array, gamma: Array, eps: float, mean: Array = None, var: Array = None) -> Array:
    """Gradients of forward; a given mean and var are constants."""
    axes = (0, *range(2, x.ndim))
    shape = (1, -1) + (1,) * (x.ndim - 2)
    frozen = mean is not None
    if frozen:
        mean, var = mean.reshape(shape), var.reshape(shape)
    else:
        mean = x.mean(axis=axes, keepdims=True)
        var = x.var(axis=axes, keepdims=True)
    root = np.sqrt(var + eps)
    x_hat = (x - mean) / root
    dx = dx_hat = gamma.reshape(shape) * dy
    if not frozen:
        # Through the mean, then through the variance.
        dx = dx - dx_hat.mean(axis=axes, keepdims=True)
        dx = dx - x_hat * (dx_hat * x_hat).mean(axis=axes, keepdims=True)
    return dx / root, (dy * x_hat).sum(axis=axes), dy.sum(axis=axes)


def update_running(running_mean: Array, running_var: Array, x: Array, momentum: float) -> Array:
    """Move both towards this batch, whose weight is momentum."""
    axes = (0, *range(2, x.ndim))
    mean = x.mean(axis=axes)
    var = x.var(axis=axes, ddof=1)  # ddof=0 is another convention
    running_mean = (1 - momentum) * running_mean + momentum * mean
    running_var = (1 - momentum) * running_var + momentum * var
    return running_mean, running_var


def inference(x: Array, gamma: Array, beta: Array, running_mean: Array, running_var: Array, eps: float) -> Array:
    """Normalize with stored statistics, which stay as they are."""
    shape = (1, -1) + (1,) * (x.ndim - 2)
    mean, var = running_mean.reshape(shape), running_var.reshape(shape)
    x_hat = (x - mean) / np.sqrt(var + eps)
    return gamma.reshape(shape) * x_hat + beta.reshape(shape)


RIGHT: dict[str, Function] = {
    "forward": forward,
    "backward": backward,
    "update_running": update_running,
    "inference": inference,
}


# The same as functions of their steps


def batch_axes(x: Array) -> Axes:
    """All axes but the channels'."""
    return (0, *range(2, x.ndim))


def per_channel(values: Array, x: Array) -> Array:
    """`values`, one for each channel, in a shape that broadcasts against x."""
    return values.reshape((1, -1) + (1,) * (x.ndim - 2))


def _mean(x: Array, axes: Axes) -> Array:
    return x.mean(axis=axes, keepdims=True)


def _variance(x: Array, axes: Axes) -> Array:
    return x.var(axis=axes, keepdims=True)


def _root(var: Array, eps: float) -> Array:
    return np.sqrt(var + eps)


def _scale(x_hat: Array, gamma: Array, beta: Array) -> Array:
    return gamma * x_hat + beta


def _three_paths(dx_hat: Array, x_hat: Array, axes: Axes) -> Array:
    """dx before the division by the root."""
    return dx_hat - _mean(dx_hat, axes) - x_hat * _mean(dx_hat * x_hat, axes)


def _direct_path(dx_hat: Array, x_hat: Array, axes: Axes) -> Array:
    return dx_hat


def _forward(
    *,
    axes: Callable[[Array], Axes] = batch_axes,
    variance: Function = _variance,
    root: Function = _root,
    centre: Function = np.subtract,
    scale: Function = _scale,
) -> Function:
    def forward(x: Array, gamma: Array, beta: Array, eps: float) -> Array:
        x_hat = centre(x, _mean(x, axes(x))) / root(variance(x, axes(x)), eps)
        return scale(x_hat, per_channel(gamma, x), per_channel(beta, x))

    return forward


def _backward(
    *,
    given: Function = lambda mean, var: (mean, var),
    axes: Callable[[Array], Axes] = batch_axes,
    variance: Function = _variance,
    root: Function = _root,
    scaled: Function = np.multiply,
    paths: Function = _three_paths,
    frozen_paths: Function = _direct_path,
    factor: Function = lambda x, mean, x_hat: x_hat,
    sums: Function = lambda x, gamma, dgamma, dbeta: (dgamma, dbeta),
) -> Function:
    def backward(dy: Array, x: Array, gamma: Array, eps: float, mean: Array = None, var: Array = None) -> Array:
        mean, var = given(mean, var)
        frozen = mean is not None
        mean = per_channel(mean, x) if frozen else _mean(x, axes(x))
        var = per_channel(var, x) if frozen else variance(x, axes(x))
        x_hat = (x - mean) / root(var, eps)
        dx_hat = scaled(dy, per_channel(gamma, x))
        dx = (frozen_paths if frozen else paths)(dx_hat, x_hat, axes(x)) / root(var, eps)
        dgamma = (dy * factor(x, mean, x_hat)).sum(axis=batch_axes(x))
        return dx, *sums(x, gamma, dgamma, dy.sum(axis=batch_axes(x)))

    return backward


def _update(
    *,
    axes: Callable[[Array], Axes] = batch_axes,
    variance: Function = lambda x, axes, ddof: x.var(axis=axes, ddof=ddof),
    average: Function = lambda old, batch, momentum: (1 - momentum) * old + momentum * batch,
) -> Function:
    """`update_running` under either convention: ddof is 1 or 0."""

    def update_running(running_mean: Array, running_var: Array, x: Array, momentum: float, ddof: int = 1) -> Array:
        mean, var = x.mean(axis=axes(x)), variance(x, axes(x), ddof)
        return average(running_mean, mean, momentum), average(running_var, var, momentum)

    return update_running


def biased(update: Function) -> Function:
    """A wrong `update_running`, by somebody who keeps the biased variance."""
    return lambda *arguments: update(*arguments, ddof=0)


def _inference(
    *,
    statistics: Function = lambda x, mean, var: (mean, var),
    root: Function = _root,
    centre: Function = np.subtract,
    scale: Function = _scale,
) -> Function:
    def inference(x: Array, gamma: Array, beta: Array, running_mean: Array, running_var: Array, eps: float) -> Array:
        mean, var = statistics(x, running_mean, running_var)
        x_hat = centre(x, per_channel(mean, x)) / root(per_channel(var, x), eps)
        return scale(x_hat, per_channel(gamma, x), per_channel(beta, x))

    return inference


# Wrong roots: (var, eps)

EPS_FIXED = Misconception(
    "ε not the one given",
    "You used an ε of your own. Use the one that the function is given.",
    lambda var, eps: np.sqrt(var + 1e-5),
    wrong.EPSILON,
)
EPS_FLOOR = Misconception(
    "ε as a floor",
    "You took the variance, or ε where that is larger. ε is added to every variance: √(σ² + ε).",
    lambda var, eps: np.sqrt(np.maximum(var, eps)),
    wrong.EPSILON,
)
ROOT: Step = {
    wrong.EPS_OUTSIDE: lambda var, eps: np.sqrt(var) + eps,
    wrong.NO_EPS: lambda var, eps: np.sqrt(var),
    wrong.EPS_TWICE: lambda var, eps: np.sqrt(var + 2 * eps),
    EPS_FIXED: EPS_FIXED.compute,
    EPS_FLOOR: EPS_FLOOR.compute,
    wrong.VARIANCE_FOR_DEVIATION: lambda var, eps: var + eps,
}


# Wrong variances: (x, axes)


def _one_pass(x: Array, axes: Axes) -> Array:
    return _mean(x * x, axes) - _mean(x, axes) ** 2


CANCELLATION = Misconception(
    "E[x²] − E[x]²",
    "Where the mean is large beside the spread, hardly a digit is right. The mean square minus the squared mean does "
    "that: on paper it is the variance, but in floating point it subtracts two large, nearly equal numbers. Subtract "
    "the mean first, then square.",
    _one_pass,
    wrong.CANCELLATION,
)
VARIANCE: Step = {
    wrong.DDOF1: lambda x, axes: x.var(axis=axes, ddof=1, keepdims=True),
    CANCELLATION: CANCELLATION.compute,
}


# Wrong axes: (x)


def _of_images(axes: Axes) -> Callable[[Array], Axes]:
    """These axes for images, and the right one for rows."""
    return lambda x: axes if x.ndim == 4 else (0,)


CHANNELS_LAST = Misconception(
    "wrong channel axis",
    "For images you averaged over the first three axes, as if the channels came last. Here they are axis 1.",
    _of_images((0, 1, 2)),
    wrong.LAYOUT,
)
PER_POSITION = Misconception(
    "each position by itself",
    "For images you averaged over the samples only, so every position has statistics of its own. A channel has one "
    "mean and one variance, over the samples and all positions.",
    _of_images((0,)),
    wrong.IMAGE_MISTAKES,
)
PER_IMAGE = Misconception(
    "each image by itself",
    "For images you averaged over the positions only. That is Instance Normalization. Batch Normalization averages "
    "over the samples as well.",
    _of_images((2, 3)),
    wrong.IMAGE_MISTAKES,
)
LAYER = Misconception(
    "layer instead of batch statistics",
    "For images you averaged over the channels and positions of each sample. That is Layer Normalization. "
    "Batch Normalization averages over the samples and the positions, each channel by itself.",
    _of_images((1, 2, 3)),
    wrong.IMAGE_MISTAKES,
)
IMAGE_AXES: Step = {m: m.compute for m in (CHANNELS_LAST, PER_POSITION, PER_IMAGE, LAYER)}
AXES: Step = {
    wrong.OVER_ROWS: lambda x: (1,),
    wrong.OVER_EVERYTHING: lambda x: tuple(range(x.ndim)),
    **IMAGE_AXES,
}


# Steps of forward and inference: what is divided, (x, mean), and the output, (x_hat, gamma, beta)

UNDIVIDED: Step = {wrong.NOT_DIVIDED: lambda var, eps: 1.0}
CENTRE: Step = {wrong.NOT_CENTRED: lambda x, mean: x}
SCALE: Step = {m: m.compute for m in wrong.OUTPUT}


# Steps of backward: paths (dx_hat, x_hat, axes), the factor of dy in dgamma (x, mean, x_hat), sums (x, gamma, dgamma,
# dbeta), what is made of a given mean and variance (mean, var)


def _summed_paths(dx_hat: Array, x_hat: Array, axes: Axes) -> Array:
    return dx_hat - dx_hat.sum(axis=axes, keepdims=True) - x_hat * (dx_hat * x_hat).sum(axis=axes, keepdims=True)


PATHS_ADDED = Misconception(
    "indirect paths with the wrong sign",
    "You added what comes back through the mean and through the variance. Both are subtracted: "
    "x̂ falls when the mean rises.",
    lambda dx_hat, x_hat, axes: dx_hat + _mean(dx_hat, axes) + x_hat * _mean(dx_hat * x_hat, axes),
    wrong.PATHS,
)
PATHS: Step = {
    wrong.NO_PATHS: _direct_path,
    wrong.NO_MEAN_PATH: lambda dx_hat, x_hat, axes: dx_hat - x_hat * _mean(dx_hat * x_hat, axes),
    wrong.NO_VARIANCE_PATH: lambda dx_hat, x_hat, axes: dx_hat - _mean(dx_hat, axes),
    wrong.NOT_SHARED: _summed_paths,
    wrong.SQUARE_NOT_DERIVED: lambda dx_hat, x_hat, axes: (
        dx_hat - _mean(dx_hat, axes) - x_hat * _mean(dx_hat * x_hat, axes) / 2
    ),
    PATHS_ADDED: PATHS_ADDED.compute,
}
TRAINING_GRADIENT = Misconception(
    "training-mode gradient on frozen statistics",
    "You let the gradient flow through a mean and a variance that were given. They do not depend on this x, so only "
    "the direct path is there: dx = γ · dy / √(σ² + ε).",
    _three_paths,
    wrong.PATHS,
)
GIVEN_IGNORED = Misconception(
    "given statistics ignored",
    "You used the statistics of this batch where others were given. Use the mean and the variance that are given, as "
    "constants.",
    lambda mean, var: (None, None),
    wrong.ONE_EXAMPLE,
)
X_FOR_X_HAT = Misconception(
    "x for x̂ in dγ",
    "You multiplied dy by x to get dγ. What γ multiplies is x̂, so dγ is the sum of dy · x̂.",
    lambda x, mean, x_hat: x,
    wrong.COMPACT,
)
DEVIATION_FOR_X_HAT = Misconception(
    "x − μ for x̂ in dγ",
    "You multiplied dy by x − μ to get dγ. The division by the root is missing: dγ is the sum of dy · x̂.",
    lambda x, mean, x_hat: x - mean,
    wrong.COMPACT,
)
X_HAT_LEFT_OUT = Misconception(
    "x̂ left out of dγ",
    "You added up dy itself to get dγ. That is dβ. For dγ multiply each dy by its x̂ first.",
    lambda x, mean, x_hat: 1.0,
    wrong.COMPACT,
)
AVERAGED = Misconception(
    "dγ and dβ averaged",
    "You averaged over the batch to get dγ and dβ. Every value of a channel uses the same γ and β, and what comes back "
    "from all of them is added.",
    lambda x, gamma, dgamma, dbeta: (dgamma * len(gamma) / x.size, dbeta * len(gamma) / x.size),
    wrong.COMPACT,
)
GAMMA_IN = Misconception(
    "γ in dγ and dβ",
    "You used γ · dy, the gradient with respect to x̂, for dγ and dβ. They take dy itself.",
    lambda x, gamma, dgamma, dbeta: (gamma * dgamma, gamma * dbeta),
    wrong.COMPACT,
)
GRADIENTS_SWAPPED = Misconception(
    "dγ and dβ swapped",
    "You returned dγ and dβ the wrong way round. The order is dx, dγ, dβ.",
    lambda x, gamma, dgamma, dbeta: (dbeta, dgamma),
    wrong.COMPACT,
)


# Steps of update_running: the average, (old, batch, momentum)

MOMENTUM_REVERSED = Misconception(
    "momentum the other way round",
    "You gave the old value the weight momentum. Here, as in PyTorch, momentum is the weight of the new batch: "
    "(1 − momentum) · old + momentum · batch.",
    lambda old, batch, momentum: momentum * old + (1 - momentum) * batch,
    wrong.MOMENTUM,
)
LAST_BATCH = Misconception(
    "last batch instead of running average",
    "You kept the statistics of the last batch and forgot those before. Move the running ones towards it by the share "
    "momentum.",
    lambda old, batch, momentum: batch + 0 * old,
    wrong.RUNNING,
)
PLAIN_AVERAGE = Misconception(
    "plain average",
    "You took the middle of the old value and the batch's. The batch has the weight momentum, the old value the rest.",
    lambda old, batch, momentum: (old + batch) / 2,
    wrong.RUNNING,
)
NOT_LET_GO = Misconception(
    "old value kept whole",
    "You added the batch's share to the whole old value. The old value has the weight 1 − momentum.",
    lambda old, batch, momentum: old + momentum * batch,
    wrong.RUNNING,
)
AVERAGE: Step = {m: m.compute for m in (MOMENTUM_REVERSED, LAST_BATCH, PLAIN_AVERAGE, NOT_LET_GO)}

DEVIATION_STORED = wrong.DEVIATION_FOR_VARIANCE.at(
    lambda x, axes, ddof: x.std(axis=axes, ddof=ddof),
    "You averaged the standard deviation into the running variance. Take its square, the variance.",
    wrong.RUNNING,
)


def _one_pass_stored(x: Array, axes: Axes, ddof: int) -> Array:
    m = x.size / x.shape[1]
    return ((x * x).mean(axis=axes) - x.mean(axis=axes) ** 2) * (m / (m - ddof))


# Step of inference: the statistics it uses, (x, running_mean, running_var)

BATCH_STATISTICS = Misconception(
    "inference with batch statistics",
    "You normalized with the statistics of the rows that came along. Then a row's output depends on its company, and a "
    "single row has no statistics at all. Use the stored ones.",
    lambda x, mean, var: (x.mean(axis=batch_axes(x)), x.var(axis=batch_axes(x))),
    wrong.EVAL_FORGOTTEN,
)


# Wrong as a whole


def _forward_in_place(x: Array, gamma: Array, beta: Array, eps: float) -> Array:
    x -= _mean(x, batch_axes(x))
    x /= np.sqrt(_mean(x * x, batch_axes(x)) + eps)
    return per_channel(gamma, x) * x + per_channel(beta, x)


def _backward_in_place(dy: Array, x: Array, gamma: Array, eps: float, mean: Array = None, var: Array = None) -> Array:
    _, dgamma, dbeta = backward(dy, x, gamma, eps, mean, var)
    dy *= per_channel(gamma, x)
    return backward(dy, x, np.ones_like(gamma), eps, mean, var)[0], dgamma, dbeta


def _mean_kept(running_mean: Array, running_var: Array, x: Array, momentum: float, ddof: int = 1) -> Array:
    return running_mean, _update()(running_mean, running_var, x, momentum, ddof)[1]


def _var_kept(running_mean: Array, running_var: Array, x: Array, momentum: float, ddof: int = 1) -> Array:
    return _update()(running_mean, running_var, x, momentum, ddof)[0], running_var


def _moving(x: Array, gamma: Array, beta: Array, running_mean: Array, running_var: Array, eps: float) -> Array:
    y = inference(x, gamma, beta, running_mean, running_var, eps)
    running_mean += 0.1 * (x.mean(axis=batch_axes(x)) - running_mean)
    running_var += 0.1 * (x.var(axis=batch_axes(x)) - running_var)
    return y


def _in_float32(function: Function) -> Function:
    def in_float32(*arguments: Array, **options: Array) -> Array:
        return function(*(a.astype(np.float32) if isinstance(a, np.ndarray) else a for a in arguments), **options)

    return in_float32


def _reshaped(function: Function) -> Function:
    """`function` on what somebody takes for the rows of images: N·H·W of them, of the right length."""

    def reshaped(*arguments: Array, **options: Array) -> Array:
        # All arrays but x and dy are (C,), or absent; batches are the only ones with more axes.
        shape = next(a.shape for a in arguments if isinstance(a, np.ndarray) and a.ndim > 1)
        batches = (a.reshape(-1, shape[1]) if isinstance(a, np.ndarray) and a.shape == shape else a for a in arguments)
        values = function(*batches, **options)
        if isinstance(values, tuple):
            return tuple(value.reshape(shape) if value.ndim > 1 else value for value in values)
        return values.reshape(shape)

    return reshaped


def _other_order(running_mean: Array, running_var: Array, x: Array, momentum: float, ddof: int = 1) -> Array:
    return _update()(running_mean, running_var, x, momentum, ddof)[::-1]


IN_PLACE = Misconception(
    "an argument changed in place",
    "You changed an array that you were given, so your caller has lost it. Make a new one: a = a - b, not a -= b.",
    _forward_in_place,
    wrong.IN_CODE,
)
SINGLE = Misconception(
    "float32 where float64 was given",
    "You computed in float32 what came in float64. Of numbers near 100,000,000 that keeps no digit after the point. "
    "Stay with the type of x.",
    _in_float32(forward),
    wrong.CANCELLATION,
)
VAR_KEPT = Misconception(
    "running variance not updated",
    "You moved the running mean and left the running variance where it was. Both move in the same way.",
    _var_kept,
    wrong.RUNNING,
)
MEAN_KEPT = Misconception(
    "running mean not updated",
    "You moved the running variance and left the running mean where it was. Both move in the same way.",
    _mean_kept,
    wrong.RUNNING,
)
MOVES = Misconception(
    "inference that moves the statistics",
    "You changed the stored statistics. Inference only reads them; else the same row gives something else next time.",
    _moving,
    wrong.MOVING,
)

RESHAPED = Misconception(
    "images reshaped, channels not moved",
    "You reshaped images to rows of C numbers while the channels were axis 1. reshape keeps the order of the numbers, "
    "so a column holds values of all channels. Move the channels to the end first: np.moveaxis(x, 1, -1).",
    _reshaped(forward),
    wrong.LAYOUT,
)
STATISTICS_RETURNED_SWAPPED = Misconception(
    "running statistics returned the wrong way round",
    "You returned the running variance before the running mean. The order is running_mean, running_var.",
    _other_order,
    wrong.RUNNING,
)
OLD_DROPPED = Misconception(
    "old value dropped",
    "You kept the batch's share and dropped the old value. The old value stays, with the weight 1 − momentum.",
    _update(average=lambda old, batch, momentum: momentum * batch),
    wrong.RUNNING,
)
STATISTICS_SWAPPED = Misconception(
    "mean and variance swapped",
    "You subtracted the stored variance and divided by the root of the stored mean. It is the other way round.",
    _inference(statistics=lambda x, mean, var: (var, mean)),
    wrong.ONE_EXAMPLE,
)


# All of them

_MADE: dict[str, tuple[Callable[..., Function], Steps]] = {
    "forward": (
        _forward,
        {"variance": VARIANCE, "root": {**ROOT, **UNDIVIDED}, "centre": CENTRE, "axes": AXES, "scale": SCALE},
    ),
    "backward": (
        _backward,
        {
            "paths": PATHS,
            "scaled": {wrong.NO_GAMMA: lambda dy, gamma: dy},
            "variance": VARIANCE,
            "root": ROOT,
            "axes": AXES,
            "factor": {m: m.compute for m in (X_FOR_X_HAT, DEVIATION_FOR_X_HAT, X_HAT_LEFT_OUT)},
            "sums": {m: m.compute for m in (AVERAGED, GAMMA_IN, GRADIENTS_SWAPPED)},
            "frozen_paths": {TRAINING_GRADIENT: TRAINING_GRADIENT.compute},
            "given": {GIVEN_IGNORED: GIVEN_IGNORED.compute},
        },
    ),
    "update_running": (
        _update,
        {
            "average": AVERAGE,
            "variance": {DEVIATION_STORED: DEVIATION_STORED.compute, CANCELLATION: _one_pass_stored},
            "axes": {wrong.OVER_EVERYTHING: AXES[wrong.OVER_EVERYTHING], **IMAGE_AXES},
        },
    ),
    "inference": (
        _inference,
        {
            "statistics": {BATCH_STATISTICS: BATCH_STATISTICS.compute},
            "root": {**ROOT, **UNDIVIDED},
            "centre": CENTRE,
            "scale": SCALE,
        },
    ),
}
# Problem 7 draws by place, so new ones come last.
_WHOLE: dict[str, tuple[Misconception, ...]] = {
    "forward": (IN_PLACE, SINGLE, RESHAPED),
    "backward": (
        IN_PLACE.at(_backward_in_place),
        SINGLE.at(_in_float32(backward)),
        RESHAPED.at(_reshaped(backward)),
    ),
    "update_running": (
        MEAN_KEPT,
        VAR_KEPT,
        SINGLE.at(_in_float32(_update())),
        RESHAPED.at(_reshaped(_update())),
        STATISTICS_RETURNED_SWAPPED,
        OLD_DROPPED,
    ),
    "inference": (MOVES, STATISTICS_SWAPPED),
}


def _with_one(function: str) -> tuple[Misconception, ...]:
    make, steps = _MADE[function]
    return tuple(m.at(make(**{step: way})) for step, ways in steps.items() for m, way in ways.items())


def pairs(function: str) -> Iterator[tuple[Misconception, Misconception, Function]]:
    """Two mistakes in one function, each in another step: the two, and the function."""
    make, steps = _MADE[function]
    for (one, ones), (other, others) in combinations(steps.items(), 2):
        for first, way in ones.items():
            for second, other_way in others.items():
                yield first, second, make(**{one: way, other: other_way})


MISTAKES: dict[str, tuple[Misconception, ...]] = {name: (*_with_one(name), *_WHOLE[name]) for name in RIGHT}
