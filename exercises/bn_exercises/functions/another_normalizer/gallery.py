"""A gallery of three other normalizers, forward and backward: the right ones, and the wrong ones that have a name.

    layer_norm(x, gamma, beta, eps) -> y
    layer_norm_backward(dy, x, gamma, eps) -> dx, dgamma, dbeta
    group_norm(x, gamma, beta, groups, eps) -> y
    group_norm_backward(dy, x, gamma, groups, eps) -> dx, dgamma, dbeta
    rms_norm(x, gamma, eps) -> y
    rms_norm_backward(dy, x, gamma, eps) -> dx, dgamma

x is (N, C) or (N, C, H, W); gamma and beta are (C,). The right ones are written out, to be read. The wrong ones are
Batch Normalization of a table with a column for each block of numbers that share a mean (`partitions`): so its steps
and their slips (`implementations`, `slips`) serve here as well, with other words where those speak of a batch.
"""

import math
from collections.abc import Callable, Iterator
from itertools import product
from typing import Any, TypeAlias

import numpy as np

from bn_exercises import misconceptions as wrong
from bn_exercises.functions import slips
from bn_exercises.functions.another_normalizer import partitions
from bn_exercises.functions.another_normalizer.partitions import Partition, of_group, of_sample, table
from bn_exercises.functions.gallery import Gallery, first_of_each, one_wrong, two_at_once
from bn_exercises.functions.implementations import (
    GRADIENT_ORDER,
    IN_PLACE,
    SINGLE,
    backward_of,
    forward_of,
    in_float32,
    own_eps,
)
from bn_exercises.functions.recording import ARGUMENTS
from bn_exercises.functions.slips import Axes, Function, Paths, Step, mean_over, variance_over
from bn_exercises.misconceptions import Misconception
from bn_exercises.tolerance import Array

# The right ones


def layer_norm(x: Array, gamma: Array, beta: Array, eps: float) -> Array:
    """Normalize each sample by itself, then scale and shift each channel."""
    # All but the samples, and a shape that lines the channels' values up with x.
    axes = tuple(range(1, x.ndim))
    shape = (1, -1) + (1,) * (x.ndim - 2)
    mean = x.mean(axis=axes, keepdims=True)
    var = x.var(axis=axes, keepdims=True)
    x_hat = (x - mean) / np.sqrt(var + eps)
    return gamma.reshape(shape) * x_hat + beta.reshape(shape)


def layer_norm_backward(dy: Array, x: Array, gamma: Array, eps: float) -> Array:
    """Gradients of layer_norm."""
    axes = tuple(range(1, x.ndim))
    shape = (1, -1) + (1,) * (x.ndim - 2)
    mean = x.mean(axis=axes, keepdims=True)
    root = np.sqrt(x.var(axis=axes, keepdims=True) + eps)
    x_hat = (x - mean) / root
    # Numbers that share a mean have different gammas, so gamma stays inside the means.
    dx_hat = gamma.reshape(shape) * dy
    dx = dx_hat - dx_hat.mean(axis=axes, keepdims=True)
    dx = dx - x_hat * (dx_hat * x_hat).mean(axis=axes, keepdims=True)
    # A channel's gamma and beta are used by every sample, at every position.
    users = (0, *range(2, x.ndim))
    return dx / root, (dy * x_hat).sum(axis=users), dy.sum(axis=users)


def group_norm(x: Array, gamma: Array, beta: Array, groups: int, eps: float) -> Array:
    """Normalize each group of neighboring channels of each sample, then scale and shift each channel."""
    shape = (1, -1) + (1,) * (x.ndim - 2)
    # A row for each group: reshape keeps neighbors together.
    rows = x.reshape(len(x), groups, -1)
    mean = rows.mean(axis=2, keepdims=True)
    var = rows.var(axis=2, keepdims=True)
    x_hat = ((rows - mean) / np.sqrt(var + eps)).reshape(x.shape)
    return gamma.reshape(shape) * x_hat + beta.reshape(shape)


def group_norm_backward(dy: Array, x: Array, gamma: Array, groups: int, eps: float) -> Array:
    """Gradients of group_norm."""
    shape = (1, -1) + (1,) * (x.ndim - 2)
    rows = x.reshape(len(x), groups, -1)
    mean = rows.mean(axis=2, keepdims=True)
    root = np.sqrt(rows.var(axis=2, keepdims=True) + eps)
    x_hat = (rows - mean) / root
    dx_hat = (gamma.reshape(shape) * dy).reshape(rows.shape)
    dx = dx_hat - dx_hat.mean(axis=2, keepdims=True)
    dx = dx - x_hat * (dx_hat * x_hat).mean(axis=2, keepdims=True)
    users = (0, *range(2, x.ndim))
    dgamma = (dy * x_hat.reshape(x.shape)).sum(axis=users)
    return (dx / root).reshape(x.shape), dgamma, dy.sum(axis=users)


def rms_norm(x: Array, gamma: Array, eps: float) -> Array:
    """Divide each sample by the root of its mean square, then scale each channel."""
    axes = tuple(range(1, x.ndim))
    shape = (1, -1) + (1,) * (x.ndim - 2)
    root = np.sqrt((x**2).mean(axis=axes, keepdims=True) + eps)
    return gamma.reshape(shape) * x / root


def rms_norm_backward(dy: Array, x: Array, gamma: Array, eps: float) -> Array:
    """Gradients of rms_norm."""
    axes = tuple(range(1, x.ndim))
    shape = (1, -1) + (1,) * (x.ndim - 2)
    root = np.sqrt((x**2).mean(axis=axes, keepdims=True) + eps)
    x_hat = x / root
    dx_hat = gamma.reshape(shape) * dy
    # Straight, and through the root. No mean was subtracted, so nothing comes back through one.
    dx = dx_hat - x_hat * (dx_hat * x_hat).mean(axis=axes, keepdims=True)
    users = (0, *range(2, x.ndim))
    return dx / root, (dy * x_hat).sum(axis=users)


RIGHT: dict[str, Function] = {
    "layer_norm": layer_norm,
    "layer_norm_backward": layer_norm_backward,
    "group_norm": group_norm,
    "group_norm_backward": group_norm_backward,
    "rms_norm": rms_norm,
    "rms_norm_backward": rms_norm_backward,
}


# The same as functions of their steps. What a step may be is said in `slips`; here are those that these have besides.


# What somebody takes for the number of the values that share a mean: of the shape and the number of groups.
Count: TypeAlias = Callable[[tuple[int, ...], int], float]


def _lined_up(values: Array, x: Array) -> Array:
    return values.reshape((1, -1) + (1,) * (x.ndim - 2))


def _no_mean(x: Array, axes: Axes) -> Array:
    return 0 * mean_over(x, axes)


def _mean_square(x: Array, axes: Axes) -> Array:
    return mean_over(x * x, axes)


_OF_RMS: dict[str, Function] = {"mean": _no_mean, "variance": _mean_square}


def _inside(inside: Array, outside: Callable[[], Array]) -> Array:
    return inside


def _forward(
    right: Partition,
    over: Partition | None = None,
    whole: Callable[[], dict[str, Function]] = dict,
    count: Count | None = None,
    **steps: Any,
) -> Function:
    """A forward pass: the numbers that share a mean, and the steps that are not those of `forward_of`.

    Args:
        right: what shares a mean where `over` does not say otherwise.
        over: what shares a mean.
        whole: several steps that are wrong together.
        count: what the sum of squares is divided by.
        steps: of `forward_of`.
    """
    steps |= whole()
    variance = steps.get("variance", variance_over)

    def forward(x: Array, gamma: Array, beta: Array, groups: int, eps: float) -> Array:
        laid = table(over or right, x.shape, groups)
        off = 1.0 if count is None else laid.size / count(x.shape, groups)
        inner = forward_of(**steps | {"variance": lambda x, axes: off * variance(x, axes)})
        given = (laid.lay(each) for each in (x, _lined_up(gamma, x), _lined_up(beta, x)))
        return laid.back(inner(*given, eps))

    return forward


def _backward(
    right: Partition,
    over: Partition | None = None,
    whole: Callable[[], dict[str, Function]] = dict,
    count: Count | None = None,
    gamma_in: Function = _inside,
    sums: Function = slips.summed,
    order: Function = lambda gradients: gradients,
    **steps: Any,
) -> Function:
    """A backward pass.

    Args:
        right: what shares a mean where `over` does not say otherwise.
        over: what shares a mean.
        whole: several steps that are wrong together.
        count: what the sums of dx are divided by.
        gamma_in: dx, of dx as it is, and of what computes it with gamma in front of everything.
        sums: as in `backward_of`, of x itself.
        order: as in `backward_of`.
        steps: of `backward_of`.
    """
    steps = {"paths": slips.three_paths, "sums": lambda x, gamma, dgamma, dbeta: (dgamma, dbeta)} | steps | whole()

    def backward(dy: Array, x: Array, gamma: Array, groups: int, eps: float) -> Array:
        laid = table(over or right, x.shape, groups)
        inner = backward_of(**steps)
        if count is not None:
            off, paths = laid.size / count(x.shape, groups), steps["paths"]
            inner = backward_of(**steps | {"paths": lambda p: (1 - off) * p.straight + off * paths(p)})
        g = laid.lay(_lined_up(gamma, x))
        dx, *each = inner(laid.lay(dy), laid.lay(x), g, eps)
        dx = gamma_in(dx, lambda: g * inner(laid.lay(dy), laid.lay(x), np.ones_like(g), eps)[0])
        return order((laid.back(dx), *sums(x, gamma, *map(laid.back, each))))

    return backward


def _layer(**steps: Any) -> Function:
    forward = _forward(of_sample, **steps)
    return lambda x, gamma, beta, eps: forward(x, gamma, beta, 1, eps)


def _layer_backward(**steps: Any) -> Function:
    backward = _backward(of_sample, **steps)
    return lambda dy, x, gamma, eps: backward(dy, x, gamma, 1, eps)


def _group(**steps: Any) -> Function:
    return _forward(of_group, **steps)


def _group_backward(**steps: Any) -> Function:
    return _backward(of_group, **steps)


def _rms(**steps: Any) -> Function:
    forward = _forward(of_sample, **_OF_RMS | steps)
    return lambda x, gamma, eps: forward(x, gamma, 0 * gamma, 1, eps)


def _rms_backward(**steps: Any) -> Function:
    backward = _backward(of_sample, **_OF_RMS | {"paths": _two_paths} | steps)
    return lambda dy, x, gamma, eps: backward(dy, x, gamma, 1, eps)[:2]


# Slips of Batch Normalization, in words that are right of all normalizers. By the name, and by what is said there.

_SAYS = {
    wrong.DDOF1.name: "You divided by m − 1. That estimates the variance of a population from a sample. A normalizer "
    "standardizes the numbers themselves, so it divides by m, their number.",
    wrong.NO_PATHS.name: "You treated the mean and the variance as constants. They are functions of x, and the "
    "gradient flows back through both.",
    wrong.NO_MEAN_PATH.name: "You let the gradient flow through the variance but not through the mean. One term is "
    "missing: −mean(dx̂), with γ inside of dx̂ = γ · dy.",
    wrong.NO_VARIANCE_PATH.name: "You let the gradient flow through the mean but not through the variance. One term is "
    "missing: −x̂ · mean(dx̂ · x̂), with γ inside of dx̂ = γ · dy.",
    wrong.NOT_SHARED.name: "You gave every number the whole gradient of the mean and of the variance. Each moves them "
    "by its share only, 1 / m.",
    wrong.MEAN_NOT_SHARED.name: "You gave every number the whole gradient of the mean. Each moves the mean by its "
    "share only, 1 / m.",
    wrong.VARIANCE_NOT_SHARED.name: "You gave every number the whole gradient of the variance. Each moves the variance "
    "by its share only, 1 / m.",
    wrong.NOT_ADDED_UP.name: "You gave what comes back to the mean and to the variance from each number by itself. "
    "Numbers that share these add up what comes back.",
    slips.SHARED_TWICE.name: "You divided by the number of values twice where once is right: a mean is divided "
    "already.",
    slips.AVERAGED.name: "You averaged to get dγ and dβ. Every value of a channel uses the same γ and β, and what "
    "comes back from all of them is added.",
    slips.SUMMED_OVER_EVERYTHING.name: "You added up dγ and dβ over all channels. Every channel has its own γ and β.",
    slips.NOT_SUMMED.name: "You gave what every number adds to dγ and dβ. All samples and positions use the same γ and "
    "β, so add these up.",
}
# Of a batch's channels, which here are blocks; said below in its own way.
_NOT_HERE = (
    slips.ONE_MEAN.name,
    slips.ONE_VARIANCE.name,
    slips.BY_SAMPLES.name,
    *(m.name for m in slips.ALL_IMAGE_AXES),
)


def _here(slip: Step) -> Step:
    """The slips of a step that can be made here, in the words for that."""
    return tuple(m.at(m.compute, _SAYS.get(m.name)) for m in slip if m.name not in _NOT_HERE)


NOTHING_SUBTRACTED = Misconception(
    "mean square in place of mean and variance",
    "You subtracted nothing and divided by the root of the mean square, as RMS normalization does. Here the mean is "
    "subtracted, and what is divided by is the root of the variance.",
    lambda: _OF_RMS,
    wrong.ANY_AXES,
)
ONE_FOR_ALL = Misconception(
    "one mean or variance for all",
    "You used one mean or one variance for everything. Every sample has its own, and in group_norm every group.",
    lambda x, axes: x.mean(),
    wrong.AXES,
)
OTHER_COUNT = Misconception(
    "another number for m",
    "You divided by another number than that of the values that share a mean, for example by N as in Batch "
    "Normalization. Take the mean over their axes, or count these values.",
    lambda shape, groups: shape[0],
    wrong.AXES,
)


def _counts(*counts: Count) -> Step:
    return tuple(map(OTHER_COUNT.at, counts))


_COUNTS: Step = _counts(
    lambda shape, groups: shape[0],
    lambda shape, groups: shape[1],
    lambda shape, groups: math.prod(shape) // shape[1],
)
_COUNTS_OF_GROUPS: Step = (
    *_COUNTS,
    *_counts(lambda shape, groups: math.prod(shape[1:]), lambda shape, groups: shape[1] // groups),
)


_VARIANCE: Step = (
    *_here(slips.VARIANCE),
    ONE_FOR_ALL.at(lambda x, axes: x.var()),
)
_MEAN: Step = (*_here(slips.MEAN), ONE_FOR_ALL)
_FORWARD: dict[str, Step] = {
    "variance": _VARIANCE,
    "root": slips.ROOT + slips.UNDIVIDED,
    "normalized": slips.NORMALIZED,
    "mean": _MEAN,
    "scale": slips.SCALE,
    "formula": slips.FORMULA,
    "whole": (NOTHING_SUBTRACTED,),
}

# Where gamma stands in dx: (dx, what computes it with gamma in front)

GAMMA_OUTSIDE = Misconception(
    "γ in front of the means",
    "You took γ out of the means, as the compact form of Batch Normalization does. There all numbers that share a mean "
    "have one γ. Here each channel has its own, so it stays inside: start from dx̂ = γ · dy.",
    lambda inside, outside: outside(),
    wrong.COMPACT,
)


def _summed_over(axes: Callable[[Array], Axes]) -> Function:
    return lambda x, gamma, dgamma, dbeta: (dgamma.sum(axis=axes(x)), dbeta.sum(axis=axes(x)))


OTHER_SUMS = Misconception(
    "dγ and dβ summed over other axes",
    "You summed dγ and dβ over the wrong axes. They are not those of the mean: a channel's γ and β are used by all "
    "samples at all positions, so sum over all axes but axis 1.",
    _summed_over(lambda x: tuple(range(1, x.ndim))),
    wrong.COMPACT,
)
_SUMS: Step = (
    OTHER_SUMS,
    *(OTHER_SUMS.at(_summed_over(m.compute)) for m in slips.ALL_IMAGE_AXES),
    *_here(slips.SUMS),
)
_BACKWARD: dict[str, Step] = {
    "gamma_in": (GAMMA_OUTSIDE,),
    "paths": _here(slips.PATHS),
    "straight": slips.STRAIGHT,
    "through_mean": _here(slips.THROUGH_MEAN),
    "through_variance": _here(slips.THROUGH_VARIANCE),
    "scaled": slips.DX_HAT,
    "whole": (NOTHING_SUBTRACTED.at(lambda: _OF_RMS), NOTHING_SUBTRACTED.at(lambda: _OF_RMS | {"paths": _two_paths})),
    "variance": _VARIANCE,
    "root": slips.ROOT,
    "mean": _MEAN,
    "factor": slips.FACTOR,
    "sums": _SUMS,
    "order": GRADIENT_ORDER,
}

# RMS normalization: nothing is subtracted

MEAN_SUBTRACTED = Misconception(
    "mean subtracted",
    "You subtracted the mean. That is Layer Normalization. RMS normalization subtracts nothing: it divides x by the "
    "root of its mean square.",
    lambda: {"mean": mean_over, "variance": variance_over},
    wrong.ANY_AXES,
)
VARIANCE_FOR_MEAN_SQUARE = Misconception(
    "variance for mean square",
    "You divided by the root of the variance, which is the mean square of x − μ. Nothing is subtracted here: take the "
    "mean of the squares of x itself.",
    variance_over,
    wrong.ALGORITHM,
)
SQUARE_OF_MEAN = Misconception(
    "square of the mean",
    "You squared the mean. Take the mean of the squares: square first.",
    lambda x, axes: mean_over(x, axes) ** 2,
    wrong.ALGORITHM,
)
ONE_PLUS_GAMMA = Misconception(
    "1 + γ for γ",
    "You scaled by 1 + γ, as if what is stored were γ − 1. Here γ itself multiplies.",
    lambda x_hat, gamma, beta: (1 + gamma) * x_hat,
    wrong.GAMMA_BETA,
)
# In RMS normalization, by the name.
_RMS_SAYS = {
    wrong.DDOF1.name: "You divided by m − 1. A mean square divides by m, the number of the squares.",
    wrong.NOT_SQUARED.name: "You averaged the sizes of the numbers. Square each of them first.",
    wrong.NOT_DIVIDED.name: "You forgot to divide by the root of the mean square.",
    wrong.VARIANCE_FOR_DEVIATION.name: "You divided by the mean square. Divide by its square root.",
    wrong.DEVIATION_FOR_VARIANCE.name: "You took two roots. Under the root stands the mean square itself, plus ε.",
    wrong.TURNED_ROUND.name: "The sign is wrong. x̂ is x over the root.",
    wrong.GAMMA_LEFT_OUT.name: "This is x̂ itself. Multiplying by γ is still to come.",
    slips.MULTIPLIED.name: "You multiplied by the root of the mean square. Divide by it.",
    slips.GAMMA_TWICE.name: "You multiplied by γ twice. Once is enough.",
    slips.GAMMA_ADDED.name: "You added γ. It multiplies: γ · x̂.",
    slips.SQUARED_AGAIN.name: "You squared the mean square. It is a square already.",
    slips.EPS_FLOOR.name: "You took the mean square, or ε where that is larger. ε is added to every mean square.",
    slips.ROOTS_ADDED.name: "You took the roots of the mean square and of ε, and added them. Add first, then take one "
    "root.",
    slips.EPS_SUBTRACTED.name: "You subtracted ε from the mean square. It is added, so that the root never comes near "
    "0.",
    slips.EPS_SQUARED.name: "You squared ε before you added it. ε is added to the mean square as it is.",
    wrong.EPS_OUTSIDE.name: "You added ε after taking the root. It belongs under the root, with the mean square.",
    wrong.NO_EPS.name: "You left ε out. Add it to the mean square before you take the root.",
    wrong.EPS_TWICE.name: "You added ε twice. It is added once, to the mean square, under the root.",
    wrong.NO_PATHS.name: "You treated the root as a constant. It is a function of x, and the gradient flows back "
    "through it.",
    slips.PATHS_ADDED.name: "You added what comes back through the root. It is subtracted: x̂ falls when the root "
    "rises.",
    slips.NO_STRAIGHT_PATH.name: "You let the gradient flow through the root, and forgot the direct path: dx̂ over the "
    "root.",
    wrong.VARIANCE_NOT_SHARED.name: "You gave every number the whole gradient of the mean square. Each moves it by its "
    "share only, 1 / m.",
    wrong.SQUARE_NOT_DERIVED.name: "The derivative of the mean square is 2 x / m. The 2 is missing.",
    wrong.HALF_FORGOTTEN.name: "The derivative of a root brings a factor ½ down. It is missing.",
    wrong.POWER_KEPT.name: "The derivative of the mean square to the power −½ has the power −3/2. You kept −½.",
    wrong.X_HAT_FOR_DEVIATION.name: "You multiplied by x̂ and divided by the power −3/2 of the mean square as well. "
    "With x̂ one root has been divided out already.",
    wrong.NOT_ADDED_UP.name: "You gave what comes back to the mean square from each number by itself. Numbers that "
    "share it add up what comes back.",
    slips.DX_SHARED.name: "You divided all of dx by the number of values. Only what goes through the root is shared.",
    slips.DIVIDED_AGAIN.name: "You divided by the root once more than you should.",
    slips.AVERAGED.name: "You averaged to get dγ. Every value of a channel uses the same γ, and what comes back from "
    "all of them is added.",
    OTHER_SUMS.name: "You summed dγ over the wrong axes. They are not those of the mean: a channel's γ is used by all "
    "samples at all positions, so sum over all axes but axis 1.",
    slips.GAMMA_IN.name: "You used γ · dy, the gradient with respect to x̂, for dγ. It takes dy itself.",
    slips.SUMMED_OVER_EVERYTHING.name: "You added up dγ over all channels. Every channel has its own γ.",
    slips.NOT_SUMMED.name: "You gave what every number adds to dγ. All samples and positions use the same γ, so add "
    "these up.",
    slips.X_HAT_LEFT_OUT.name: "You added up dy itself to get dγ. Multiply each dy by its x̂ first.",
}


def _of_rms(slip: Step, *names: str) -> Step:
    """Of these slips those with one of the names, in the words for RMS normalization."""
    return tuple(m.at(m.compute, _RMS_SAYS.get(m.name)) for m in slip if not names or m.name in names)


def _two_paths(p: Paths) -> Array:
    return p.straight - p.through_variance


MEAN_PATH_KEPT = Misconception(
    "path through a mean that is not there",
    "You took off the mean of the gradient, as in Layer Normalization. Here no mean was subtracted, so nothing comes "
    "back through one.",
    slips.three_paths,
    wrong.THROUGH_MEAN,
)
_MEAN_SQUARE: Step = (
    wrong.SUM_OF_SQUARES.at(lambda x, axes: (x * x).sum(axis=axes, keepdims=True)),
    VARIANCE_FOR_MEAN_SQUARE,
    *_of_rms(
        (
            wrong.DDOF1.at(lambda x, axes: _mean_square(x, axes) * (len(x) / (len(x) - 1))),
            wrong.NOT_SQUARED.at(lambda x, axes: mean_over(np.abs(x), axes) ** 2),
            wrong.NOT_SQUARED.at(lambda x, axes: mean_over(np.abs(x), axes)),
        )
    ),
    SQUARE_OF_MEAN,
    ONE_FOR_ALL.at(lambda x, axes: (x * x).mean()),
    slips.SHARED_TWICE.at(lambda x, axes: _mean_square(x, axes) / len(x), _SAYS[slips.SHARED_TWICE.name]),
)
_MEAN_FROM_X: Step = (
    MEAN_SUBTRACTED.at(
        mean_over,
        "You subtracted the mean from x. RMS normalization subtracts nothing: x̂ is x over the root of its mean square.",
    ),
)
_RMS_FORWARD: dict[str, Step] = {
    "whole": (MEAN_SUBTRACTED,),
    "variance": _MEAN_SQUARE,
    "root": _of_rms(slips.ROOT + slips.UNDIVIDED),
    "normalized": _of_rms(slips.NORMALIZED, wrong.TURNED_ROUND.name, slips.MULTIPLIED.name),
    "mean": _MEAN_FROM_X,
    "scale": (
        *_of_rms(slips.SCALE, wrong.GAMMA_LEFT_OUT.name, slips.GAMMA_TWICE.name, slips.GAMMA_ADDED.name),
        ONE_PLUS_GAMMA,
    ),
    "formula": _of_rms(slips.FORMULA, wrong.EPS_OUTSIDE.name),
}
_RMS_PATHS: Step = (
    MEAN_PATH_KEPT,
    *_of_rms(
        (
            wrong.NO_PATHS.at(lambda p: p.straight),
            slips.PATHS_ADDED.at(lambda p: p.straight + p.through_variance),
            slips.NO_STRAIGHT_PATH.at(lambda p: -p.through_variance),
            wrong.VARIANCE_NOT_SHARED.at(lambda p: p.straight - p.values * p.through_variance),
            wrong.SQUARE_NOT_DERIVED.at(lambda p: p.straight - p.through_variance / 2),
            wrong.HALF_FORGOTTEN.at(lambda p: p.straight - 2 * p.through_variance),
            wrong.POWER_KEPT.at(lambda p: p.straight - p.through_variance * p.root**2),
            wrong.X_HAT_FOR_DEVIATION.at(lambda p: p.straight - p.through_variance / p.root),
            wrong.NOT_ADDED_UP.at(lambda p: p.straight - p.x * p.of_variance / p.values),
            wrong.DDOF1.at(lambda p: p.straight - p.through_variance * (p.values / (p.values - 1))),
            wrong.NOT_DIVIDED.at(lambda p: _two_paths(p) * p.root),
            wrong.NOT_DIVIDED.at(lambda p: p.straight * p.root - p.through_variance),
            wrong.NOT_DIVIDED.at(lambda p: p.straight - p.through_variance * p.root),
            slips.DX_SHARED.at(lambda p: _two_paths(p) / p.values),
            slips.DIVIDED_AGAIN.at(lambda p: _two_paths(p) / p.root),
            slips.DX_TURNED_ROUND.at(lambda p: -_two_paths(p), slips.DX_TURNED_ROUND.says),
        )
    ),
    slips.DX_NOT_SHARED.at(lambda p: _two_paths(p) * p.values),
)


def _is_of_dgamma(m: Misconception) -> bool:
    """Whether it is made in dγ: there is no dβ."""
    x = np.arange(1.0, 25.0).reshape(2, 3, 2, 2)
    dgamma = m.compute(x, np.arange(2.0, 5.0), x, x)[0]
    right = slips.summed(x, x, x, x)[0]
    return m.name != slips.GRADIENTS_SWAPPED.name and not (dgamma.shape == right.shape and np.allclose(dgamma, right))


_RMS_BACKWARD: dict[str, Step] = {
    "gamma_in": (GAMMA_OUTSIDE,),
    "paths": _RMS_PATHS,
    "scaled": slips.DX_HAT,
    "whole": (
        MEAN_SUBTRACTED.at(lambda: MEAN_SUBTRACTED.compute() | {"paths": slips.three_paths}),
        MEAN_SUBTRACTED,
    ),
    "variance": _MEAN_SQUARE,
    "root": _of_rms(slips.ROOT),
    "mean": _MEAN_FROM_X,
    "factor": _of_rms(slips.FACTOR, slips.X_FOR_X_HAT.name, slips.X_HAT_LEFT_OUT.name, wrong.TURNED_ROUND.name),
    "sums": _of_rms(tuple(filter(_is_of_dgamma, _SUMS))),
}


# Wrong as a whole


def _in_place(name: str) -> Function:
    """The right function, by somebody who subtracts from the x that they were given."""

    def changes(*arguments: Array) -> Array:
        values = RIGHT[name](*arguments)
        x = arguments[ARGUMENTS[name].index("x")]
        x -= 1
        return values

    return changes


_MADE: dict[str, tuple[Callable[..., Function], dict[str, Step], partitions.Wrong]] = {
    "layer_norm": (_layer, _FORWARD | {"count": _COUNTS}, partitions.OF_SAMPLE),
    "layer_norm_backward": (_layer_backward, _BACKWARD | {"count": _COUNTS}, partitions.OF_SAMPLE),
    "group_norm": (_group, _FORWARD | {"count": _COUNTS_OF_GROUPS}, partitions.OF_GROUP),
    "group_norm_backward": (_group_backward, _BACKWARD | {"count": _COUNTS_OF_GROUPS}, partitions.OF_GROUP),
    "rms_norm": (_rms, _RMS_FORWARD | {"count": _COUNTS}, partitions.OF_SAMPLE),
    "rms_norm_backward": (_rms_backward, _RMS_BACKWARD | {"count": _COUNTS}, partitions.OF_SAMPLE),
}
# With these, another normalizer is made of the one that was asked for. What to average is what this problem asks, so
# they are counted in each function.
ANOTHER = {*partitions.NAMES, MEAN_SUBTRACTED.name, NOTHING_SUBTRACTED.name}

# Not paired: two ways to go wrong in the same step; and steps of different outputs.
_OF_DX = ("gamma_in", "count", "paths", "straight", "through_mean", "through_variance", "scaled")
_APART = {
    *map(frozenset, product(("paths", "count"), ("straight", "through_mean", "through_variance"))),
    *map(frozenset, product(_OF_DX, ("factor", "sums"))),
    *map(frozenset, product(("formula",), ("root", "normalized", "scale"))),
    *map(frozenset, product(("whole",), ("mean", "variance", "paths", "straight", "through_mean", "through_variance"))),
}


def _pairs(function: str, part: str) -> Iterator[tuple[Misconception, Misconception, Function]]:
    make, steps, over = _MADE[function]
    partition = over.both + over.images if part == "images" else over.both
    yield from two_at_once(make, {**steps, "over": partition}, _APART)


def _gamma_outside_once(function: str) -> Iterator[Misconception]:
    """γ in front of one of the two means, and inside the other."""
    make, *_ = _MADE[function]
    for path, where in (("through_mean", "mean(dx̂)"), ("through_variance", "mean(dx̂ · x̂)")):

        def this_path(p: Paths, path: str = path) -> Array:
            return getattr(p, path)

        inside, outside = make(paths=this_path), make(paths=this_path, gamma_in=GAMMA_OUTSIDE.compute)

        def moved(*arguments: Array, inside: Function = inside, outside: Function = outside) -> Array:
            dx, *others = RIGHT[function](*arguments)
            return dx + inside(*arguments)[0] - outside(*arguments)[0], *others

        yield GAMMA_OUTSIDE.at(moved, f"Only in {where}, and not elsewhere: {GAMMA_OUTSIDE.says}")


_WITH_MEAN = ("layer_norm_backward", "group_norm_backward")
WAYS: dict[str, tuple[Misconception, ...]] = {
    name: (
        *one_wrong(make, {"over": over.both + over.images} | steps),
        IN_PLACE.at(_in_place(name)),
        *((SINGLE.at(in_float32(RIGHT[name])),) if not name.startswith("rms") else ()),
    )
    for name, (make, steps, over) in _MADE.items()
}
ELSEWHERE: dict[str, tuple[Misconception, ...]] = {
    name: (*one_wrong(make, {"over": over.two}), *(_gamma_outside_once(name) if name in _WITH_MEAN else ()))
    for name, (make, _, over) in _MADE.items()
}
GALLERY = Gallery(
    RIGHT,
    WAYS,
    ELSEWHERE,
    {name: tuple(own_eps(make, {"over": over.both, **steps})) for name, (make, steps, over) in _MADE.items()},
    _pairs,
)
MISTAKES = first_of_each(WAYS)
