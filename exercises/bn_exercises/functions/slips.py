"""What people put in the place of a step of Batch Normalization: the mistakes of `implementations`, step by step.

Each tuple is about one step, and all its functions take what the heading says. A mistake that is made in several ways,
or at one of several places, is there several times under its name; the first is the usual one.
"""

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import numpy as np

from bn_exercises import misconceptions as wrong
from bn_exercises.algorithm import batch_axes, per_channel
from bn_exercises.misconceptions import Misconception
from bn_exercises.tolerance import Array

Function: TypeAlias = Callable[..., Array]
Axes: TypeAlias = tuple[int, ...]
Step: TypeAlias = tuple[Misconception, ...]


def mean_over(x: Array, axes: Axes) -> Array:
    """The mean, in a shape that broadcasts against x."""
    return x.mean(axis=axes, keepdims=True)


def variance_over(x: Array, axes: Axes) -> Array:
    """The variance, in a shape that broadcasts against x."""
    return x.var(axis=axes, keepdims=True)


def _values(x: Array) -> float:
    """How many values a channel has."""
    return float(x.size / x.shape[1])


# The root that is divided by: (var, eps)


def _on_small_values(var: Array, root: Array) -> Array:
    """1 in place of a root that is 0, as people write who do not want to divide by it."""
    return np.where(var > 0, root, 1.0)


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
ROOTS_ADDED = Misconception(
    "roots added",
    "You took the roots of the variance and of ε, and added them. Add first, then take one root: √(σ² + ε).",
    lambda var, eps: np.sqrt(var) + np.sqrt(eps),
    wrong.EPSILON,
)
EPS_SUBTRACTED = Misconception(
    "ε subtracted",
    "You subtracted ε from the variance. It is added, so that the root never comes near 0: √(σ² + ε).",
    lambda var, eps: np.sqrt(var - eps),
    wrong.EPSILON,
)
EPS_SQUARED = Misconception(
    "ε squared",
    "You squared ε before you added it. ε is added to the variance as it is: √(σ² + ε).",
    lambda var, eps: np.sqrt(var + eps**2),
    wrong.EPSILON,
)
SQUARED_AGAIN = Misconception(
    "variance squared",
    "You took the variance for the standard deviation and squared it. It is a square already: √(σ² + ε).",
    lambda var, eps: np.sqrt(var**2 + eps),
    wrong.ALGORITHM,
)
DEVIATION_IN_ROOT = wrong.DEVIATION_FOR_VARIANCE.at(
    lambda var, eps: np.sqrt(np.sqrt(var) + eps),
    "You put the standard deviation under the root. What stands there is its square, the variance: √(σ² + ε).",
)
ROOT: Step = (
    wrong.EPS_OUTSIDE.at(lambda var, eps: np.sqrt(var) + eps),
    wrong.NO_EPS.at(lambda var, eps: np.sqrt(var)),
    wrong.NO_EPS.at(lambda var, eps: _on_small_values(var, np.sqrt(var))),
    wrong.NO_EPS.at(lambda var, eps: np.where(var > 0, np.sqrt(var), np.inf)),
    wrong.EPS_TWICE.at(lambda var, eps: np.sqrt(var + 2 * eps)),
    wrong.EPS_TWICE.at(lambda var, eps: np.sqrt(var + eps) + eps),
    EPS_FIXED,
    EPS_FLOOR,
    EPS_FLOOR.at(lambda var, eps: np.maximum(np.sqrt(var), eps)),
    wrong.VARIANCE_FOR_DEVIATION.at(lambda var, eps: var + eps),
    wrong.VARIANCE_FOR_DEVIATION.at(lambda var, eps: var),
    ROOTS_ADDED,
    EPS_SUBTRACTED,
    EPS_SUBTRACTED.at(lambda var, eps: np.sqrt(np.maximum(var - eps, 0))),
    EPS_SUBTRACTED.at(lambda var, eps: np.sqrt(np.abs(var - eps))),
    EPS_SQUARED,
    SQUARED_AGAIN,
    SQUARED_AGAIN.at(lambda var, eps: np.sqrt((var + eps) ** 2 + eps)),
    DEVIATION_IN_ROOT,
)
UNDIVIDED: Step = (wrong.NOT_DIVIDED.at(lambda var, eps: 1.0),)

# An ε of one's own may have any value, so it is found by fitting.
OWN_EPS: tuple[Callable[[float], Function], ...] = (
    lambda own: lambda var, eps: np.sqrt(var + own),
    lambda own: lambda var, eps: np.sqrt(var) + own,
    lambda own: lambda var, eps: np.maximum(np.sqrt(var), own),
    lambda own: lambda var, eps: np.sqrt(np.maximum(var, own)),
)


# The mean: (x, axes)

SUM_FOR_MEAN = Misconception(
    "sum for mean",
    "You subtracted the sum of the values. Divide it by how many there are: that is the mean.",
    lambda x, axes: x.sum(axis=axes, keepdims=True),
    wrong.ALGORITHM,
)
ONE_MEAN = Misconception(
    "one mean for all features",
    "You used one mean for all features. Every feature has its own.",
    lambda x, axes: x.mean(),
    wrong.AXES,
)
SHARED_TWICE = Misconception(
    "divided by m twice",
    "You divided by the number of values twice where once is right: a mean over the batch is divided already.",
    lambda x, axes: mean_over(x, axes) / _values(x),
    wrong.COMPACT,
)
MEAN: Step = (SUM_FOR_MEAN, ONE_MEAN, SHARED_TWICE)


# The variance: (x, axes)


def _one_pass(x: Array, axes: Axes) -> Array:
    return mean_over(x * x, axes) - mean_over(x, axes) ** 2


CANCELLATION = Misconception(
    "E[x²] − E[x]²",
    "Where the mean is large beside the spread, hardly a digit is right. The mean square minus the squared mean does "
    "that: on paper it is the variance, but in floating point it subtracts two large, nearly equal numbers. Subtract "
    "the mean first, then square.",
    _one_pass,
    wrong.CANCELLATION,
)
ONE_VARIANCE = Misconception(
    "one variance for all features",
    "You used one variance for all features. Every feature has its own.",
    lambda x, axes: x.var(),
    wrong.AXES,
)
NOT_CENTRED_VARIANCE = Misconception(
    "mean square for variance",
    "You averaged the squares of the values. The variance is the mean square of what is left when the mean is "
    "subtracted.",
    lambda x, axes: mean_over(x * x, axes),
    wrong.ALGORITHM,
)
BY_SAMPLES = Misconception(
    "N for N · H · W",
    "For images you divided a sum over N · H · W values by N, the number of images. A channel has N · H · W values: "
    "divide by that.",
    lambda x, axes: variance_over(x, axes) * (_values(x) / len(x)),
    wrong.AXES,
)
VARIANCE: Step = (
    wrong.DDOF1.at(lambda x, axes: x.var(axis=axes, ddof=1, keepdims=True)),
    CANCELLATION,
    wrong.SUM_OF_SQUARES.at(lambda x, axes: ((x - mean_over(x, axes)) ** 2).sum(axis=axes, keepdims=True)),
    NOT_CENTRED_VARIANCE,
    wrong.NOT_SQUARED.at(lambda x, axes: mean_over(np.abs(x - mean_over(x, axes)), axes)),
    ONE_VARIANCE,
    ONE_VARIANCE.at(lambda x, axes: mean_over((x - mean_over(x, axes)) ** 2, tuple(range(x.ndim)))),
    wrong.NOT_SQUARED.at(lambda x, axes: mean_over(np.abs(x - mean_over(x, axes)), axes) ** 2),
    SHARED_TWICE.at(lambda x, axes: variance_over(x, axes) / _values(x)),
    BY_SAMPLES,
)


# The axes: (x)


def by_kind(rows: Axes, images: Axes) -> Callable[[Array], Axes]:
    """These axes for rows, and those for images."""
    return lambda x: images if x.ndim == 4 else rows


CHANNELS_LAST = Misconception(
    "wrong channel axis",
    "For images you averaged over the first three axes, as if the channels came last. Here they are axis 1.",
    by_kind((0,), (0, 1, 2)),
    wrong.LAYOUT,
)
PER_POSITION = Misconception(
    "each position by itself",
    "For images you averaged over the samples only, so every position has statistics of its own. A channel has one "
    "mean and one variance, over the samples and all positions.",
    by_kind((0,), (0,)),
    wrong.IMAGE_MISTAKES,
)
PER_IMAGE = Misconception(
    "each image by itself",
    "For images you averaged over the positions only. That is Instance Normalization. Batch Normalization averages "
    "over the samples as well.",
    by_kind((0,), (2, 3)),
    wrong.IMAGE_MISTAKES,
)
LAYER = Misconception(
    "layer instead of batch statistics",
    "For images you averaged over the channels and positions of each sample. That is Layer Normalization. "
    "Batch Normalization averages over the samples and the positions, each channel by itself.",
    by_kind((0,), (1, 2, 3)),
    wrong.IMAGE_MISTAKES,
)
PER_ROW_OF_PIXELS = Misconception(
    "over one axis of the positions",
    "For images you averaged over the samples and over one of the two axes of the positions. Both belong to a channel: "
    "average over all axes but axis 1.",
    by_kind((0,), (0, 2)),
    wrong.IMAGE_MISTAKES,
)
_ONE_AXIS = (
    "For images you averaged over one of the axes of the positions only. To a channel belong both of them, and the "
    "samples: average over all axes but axis 1."
)
EVERYTHING_IN_IMAGES = wrong.OVER_EVERYTHING.at(
    by_kind((0,), (0, 1, 2, 3)),
    "For images you used one mean and one variance for all channels. Every channel has its own.",
    wrong.IMAGE_MISTAKES,
)
OVER_CHANNELS = Misconception(
    "over the channels",
    "For images you averaged over the channels, at each position of each sample. Batch Normalization averages over the "
    "samples and the positions, each channel by itself.",
    by_kind((0,), (1,)),
    wrong.IMAGE_MISTAKES,
)
IMAGE_AXES: Step = (CHANNELS_LAST, PER_POSITION, PER_IMAGE, LAYER)
ALL_IMAGE_AXES: Step = (
    *IMAGE_AXES,
    PER_ROW_OF_PIXELS,
    PER_ROW_OF_PIXELS.at(by_kind((0,), (0, 3))),
    *(PER_ROW_OF_PIXELS.at(by_kind((0,), axis), _ONE_AXIS) for axis in ((3,), (2,))),
    EVERYTHING_IN_IMAGES,
    OVER_CHANNELS,
)
ROW_AXES: Step = (
    wrong.OVER_ROWS.at(lambda x: (1,)),
    wrong.OVER_EVERYTHING.at(lambda x: tuple(range(x.ndim))),
)
AXES: Step = (*ROW_AXES, *ALL_IMAGE_AXES)
# Wrong for rows and in another way for images. Each has the name of what it does with images.
BOTH_AXES: Step = tuple(
    image.at(by_kind(rows, image.compute(np.empty((1, 1, 1, 1)))))
    for image in ALL_IMAGE_AXES
    for rows in ((1,), (0, 1))
)


# Forward and inference. What becomes of x: (x, mean, root). And the output: (x_hat, gamma, beta).

BRACKET = Misconception(
    "only the mean divided",
    "You divided the mean by the root, and not x. Brackets are missing: (x − μ) / √(σ² + ε).",
    lambda x, mean, root: x - mean / root,
    wrong.ALGORITHM,
)
MEAN_ADDED = Misconception(
    "mean added",
    "You added the mean. It is subtracted: (x − μ) / √(σ² + ε).",
    lambda x, mean, root: (x + mean) / root,
    wrong.ALGORITHM,
)
MULTIPLIED = Misconception(
    "multiplied by the root",
    "You multiplied by √(σ² + ε). Divide by it.",
    lambda x, mean, root: (x - mean) * root,
    wrong.ALGORITHM,
)
NORMALIZED: Step = (
    wrong.NOT_CENTRED.at(lambda x, mean, root: x / root),
    wrong.TURNED_ROUND.at(
        lambda x, mean, root: (mean - x) / root, "The sign of x̂ is wrong. The numerator is x − μ, not μ − x."
    ),
    BRACKET,
    MEAN_ADDED,
    MULTIPLIED,
)
GAMMA_TWICE = Misconception(
    "γ twice",
    "You multiplied by γ twice. Once is enough: γ · x̂ + β.",
    lambda x_hat, gamma, beta: gamma * gamma * x_hat + beta,
    wrong.GAMMA_BETA,
)
GAMMA_ADDED = Misconception(
    "γ added, not multiplied",
    "You added γ. It multiplies: γ · x̂ + β.",
    lambda x_hat, gamma, beta: x_hat + gamma + beta,
    wrong.GAMMA_BETA,
)
SCALE: Step = (*wrong.OUTPUT, GAMMA_TWICE, GAMMA_ADDED)


# The whole formula: (x, mean, var, eps, gamma, beta)

FORMULA: Step = (
    BRACKET.at(lambda x, mean, var, eps, gamma, beta: gamma * x - mean / np.sqrt(var + eps) + beta),
    BRACKET.at(
        lambda x, mean, var, eps, gamma, beta: (gamma * (x - mean) + beta) / np.sqrt(var + eps),
        "You divided β by the root as well. Brackets: γ · (x − μ) / √(σ² + ε) + β.",
    ),
    BRACKET.at(
        lambda x, mean, var, eps, gamma, beta: (gamma * x - mean) / np.sqrt(var + eps) + beta,
        "You multiplied x by γ before you subtracted the mean. Normalize first: γ · (x − μ) / √(σ² + ε) + β.",
    ),
    BRACKET.at(
        lambda x, mean, var, eps, gamma, beta: (gamma * x + beta - mean) / np.sqrt(var + eps),
        "You scaled and shifted x before you normalized it. Normalize first: γ · (x − μ) / √(σ² + ε) + β.",
    ),
    BRACKET.at(lambda x, mean, var, eps, gamma, beta: gamma * (x - mean / np.sqrt(var) + eps) + beta),
    BRACKET.at(
        lambda x, mean, var, eps, gamma, beta: gamma / np.sqrt(var + eps) * x + (beta - mean),
        "You scaled x and not the mean. What is subtracted is scaled too: β − γ · μ / √(σ² + ε).",
    ),
    wrong.EPS_OUTSIDE.at(lambda x, mean, var, eps, gamma, beta: gamma * ((x - mean) / np.sqrt(var) + eps) + beta),
    wrong.EPS_OUTSIDE.at(lambda x, mean, var, eps, gamma, beta: gamma * (x - mean) / np.sqrt(var) + eps + beta),
)


# Backward


class Paths(NamedTuple):
    """What comes back to x along the three paths, before it is added up.

    Attributes:
        straight: dx̂ over the root, for each x.
        of_mean: what comes back to the mean, from each sample.
        of_spread: what comes back to the variance, from each sample, but for the factor x − μ.
        x: the batch.
        mean: of x.
        root: that x − μ is divided by.
        axes: the mean's.
    """

    straight: Array
    of_mean: Array
    of_spread: Array
    x: Array
    mean: Array
    root: Array
    axes: Axes

    @property
    def of_variance(self) -> Array:
        """What comes back to the variance, from each sample."""
        return self.of_spread * (self.x - self.mean)

    @property
    def through_mean(self) -> Array:
        """What the samples give to the mean, shared among them."""
        return mean_over(self.of_mean, self.axes)

    @property
    def through_variance(self) -> Array:
        """What the samples give to the variance, shared among them."""
        return (self.x - self.mean) * mean_over(self.of_variance, self.axes)

    @property
    def values(self) -> float:
        """How many values a channel has."""
        return _values(self.x)

    @property
    def per_sample(self) -> float:
        """How many times N that is."""
        return self.values / len(self.x)


def three_paths(p: Paths) -> Array:
    """dx: what comes back to the mean and to the variance is subtracted, because x̂ falls when they rise."""
    return p.straight - p.through_mean - p.through_variance


# The three paths together: (paths) -> dx

PATHS_ADDED = Misconception(
    "indirect paths with the wrong sign",
    "You added what comes back through the mean and through the variance. Both are subtracted: "
    "x̂ falls when the mean rises.",
    lambda p: p.straight + p.through_mean + p.through_variance,
    wrong.PATHS,
)
NO_STRAIGHT_PATH = Misconception(
    "no direct path",
    "You let the gradient flow through the mean and the variance, and forgot the direct path: dx̂ / √(σ² + ε).",
    lambda p: -p.through_mean - p.through_variance,
    wrong.PATHS,
)
DX_SHARED = Misconception(
    "dx divided by m",
    "You divided all of dx by the number of values. Only what goes through the mean and the variance is shared.",
    lambda p: three_paths(p) / p.values,
    wrong.COMPACT,
)
DX_NOT_SHARED = Misconception(
    "1 / m forgotten",
    "All of dx is too large by the number of values. If you write the bracket with m · dx̂ and sums, the factor 1 / m "
    "stands before it.",
    lambda p: three_paths(p) * p.values,
    wrong.COMPACT,
)
BATCH_NOT_SUMMED = wrong.NOT_ADDED_UP.at(
    lambda p: p.straight - (p.of_mean + (p.x - p.mean) * p.of_variance) / p.values,
    "You gave what comes back to the mean and to the variance from each sample by itself. All samples use the same "
    "two, so add up over the batch.",
    wrong.PATHS,
)
DIVIDED_AGAIN = Misconception(
    "divided by the root twice",
    "You divided by √(σ² + ε) once more than you should.",
    lambda p: three_paths(p) / p.root,
    wrong.COMPACT,
)
UNDIVIDED_PATHS = wrong.NOT_DIVIDED.at(
    lambda p: three_paths(p) * p.root,
    "You forgot to divide by √(σ² + ε): the derivative of x̂ with respect to x has it below the line.",
    wrong.COMPACT,
)
DX_TURNED_ROUND = wrong.TURNED_ROUND.at(
    lambda p: -three_paths(p),
    "The size of dx is right and its sign is wrong. Follow the minus signs of the derivatives.",
    wrong.PATHS,
)
# By which factors a path may be off, with what is then said; below, which paths may be off together.
_FACTORS: tuple[tuple[Misconception, Callable[[Paths], float]], ...] = (
    (
        BY_SAMPLES.at(
            BY_SAMPLES.compute,
            "For images you divided by N, the number of images, in dx. A channel's mean and variance are shared by "
            "N · H · W values.",
        ),
        lambda p: p.per_sample,
    ),
    (
        wrong.DDOF1.at(
            wrong.DDOF1.compute,
            "You divided by m − 1 in dx. The mean and the variance of a batch are shared by m values: divide by m.",
            wrong.COMPACT,
        ),
        lambda p: p.values / (p.values - 1),
    ),
    (SHARED_TWICE.at(SHARED_TWICE.compute, see=wrong.COMPACT), lambda p: 1 / p.values),
)


def _off(factor: Callable[[Paths], float], straight: int, mean: int, variance: int) -> Function:
    """dx, with the paths off by these powers of a factor."""

    def paths(p: Paths) -> Array:
        f = factor(p)
        return f**straight * p.straight - f**mean * p.through_mean - f**variance * p.through_variance

    return paths


_WHICH = ((0, 1, 1), (0, 0, 1), (0, 1, 0), (1, 1, 1), (-1, 0, 0), (-1, -1, -1), (1, 1, 0), (1, 0, 0))
_X_IN_PATH = (
    "On the path through the variance you used x itself. The derivatives of x̂ and of the variance have x − μ in them."
)


def _centred(p: Paths, values: Array) -> Array:
    return values - mean_over(values, p.axes)


PATHS: Step = (
    wrong.NO_PATHS.at(lambda p: p.straight),
    wrong.NO_MEAN_PATH.at(lambda p: p.straight - p.through_variance),
    wrong.NO_VARIANCE_PATH.at(lambda p: p.straight - p.through_mean),
    wrong.NOT_SHARED.at(lambda p: p.straight - p.values * (p.through_mean + p.through_variance)),
    wrong.SQUARE_NOT_DERIVED.at(lambda p: p.straight - p.through_mean - p.through_variance / 2),
    PATHS_ADDED,
    NO_STRAIGHT_PATH,
    DX_SHARED,
    DX_NOT_SHARED,
    BATCH_NOT_SUMMED,
    # In a graph of single steps the gradient of the mean comes last, and includes what the variance passes on.
    BATCH_NOT_SUMMED.at(lambda p: _centred(p, p.straight - (p.x - p.mean) * p.of_variance / p.values)),
    DIVIDED_AGAIN,
    UNDIVIDED_PATHS,
    DX_TURNED_ROUND,
    wrong.NOT_CENTRED.at(lambda p: _centred(p, p.straight - p.x * mean_over(p.of_spread * p.x, p.axes)), _X_IN_PATH),
    wrong.NOT_CENTRED.at(lambda p: p.straight - p.x * mean_over(p.of_spread * p.x, p.axes), _X_IN_PATH),
    wrong.NOT_CENTRED.at(
        lambda p: p.straight - p.through_mean - p.root**2 * p.x * mean_over(p.of_spread * p.x, p.axes),
        "On the path through the variance you used x itself, where x̂ belongs.",
    ),
    wrong.NOT_CENTRED.at(
        lambda p: p.straight - p.through_mean - p.x * mean_over(p.of_spread * p.x, p.axes), _X_IN_PATH
    ),
    *(
        m.at(_off(factor, *which))
        for m, factor in _FACTORS
        for which in _WHICH
        if (m.name, which) != (SHARED_TWICE.name, (1, 1, 1))
    ),
)

# One of the paths, where the other two are right: (paths)

STRAIGHT: Step = (UNDIVIDED_PATHS.at(lambda p: p.straight * p.root),)
THROUGH_MEAN: Step = (
    PATHS_ADDED.at(lambda p: -p.through_mean, "You added what comes back through the mean. It is subtracted."),
    wrong.MEAN_NOT_SHARED.at(lambda p: p.values * p.through_mean),
    BATCH_NOT_SUMMED.at(
        lambda p: p.of_mean / p.values,
        "You gave what comes back to the mean from each sample by itself. All samples use it, so add up over the "
        "batch.",
    ),
    UNDIVIDED_PATHS.at(lambda p: p.through_mean * p.root),
)
THROUGH_VARIANCE: Step = (
    PATHS_ADDED.at(lambda p: -p.through_variance, "You added what comes back through the variance. It is subtracted."),
    wrong.VARIANCE_NOT_SHARED.at(lambda p: p.values * p.through_variance),
    BATCH_NOT_SUMMED.at(
        lambda p: (p.x - p.mean) * p.of_variance / p.values,
        "You gave what comes back to the variance from each sample by itself. All samples use it, so add up over the "
        "batch.",
    ),
    wrong.HALF_FORGOTTEN.at(lambda p: 2 * p.through_variance),
    wrong.POWER_KEPT.at(lambda p: p.through_variance * p.root**2),
    wrong.X_HAT_FOR_DEVIATION.at(lambda p: p.through_variance / p.root),
    UNDIVIDED_PATHS.at(lambda p: p.through_variance * p.root),
    DIVIDED_AGAIN.at(lambda p: p.through_variance / p.root**2),
    wrong.NOT_CENTRED.at(
        lambda p: (p.x - p.mean) * mean_over(p.of_spread * p.x, p.axes),
        _X_IN_PATH,
        wrong.THROUGH_VARIANCE,
    ),
    wrong.NOT_CENTRED.at(
        lambda p: p.x * mean_over(p.of_variance, p.axes),
        _X_IN_PATH,
        wrong.THROUGH_VARIANCE,
    ),
)

# dx̂: (dy, gamma)

DX_HAT: Step = (
    wrong.NO_GAMMA.at(lambda dy, gamma: dy),
    GAMMA_TWICE.at(lambda dy, gamma: dy * gamma * gamma, "You multiplied dy by γ twice. dx̂ = γ · dy."),
)

# With given statistics: the paths, (paths) -> dx; and what is used in place of those given, (mean, var).

TRAINING_GRADIENT = Misconception(
    "training-mode gradient on frozen statistics",
    "You let the gradient flow through a mean and a variance that were given. They do not depend on this x, so only "
    "the direct path is there: dx = γ · dy / √(σ² + ε).",
    three_paths,
    wrong.PATHS,
)
FROZEN: Step = (
    TRAINING_GRADIENT,
    TRAINING_GRADIENT.at(lambda p: p.straight - p.through_mean),
    TRAINING_GRADIENT.at(lambda p: p.straight - p.through_variance),
    DX_SHARED.at(lambda p: p.straight / p.values, "You divided dx by the number of values. Nothing is shared here."),
    UNDIVIDED_PATHS.at(lambda p: p.straight * p.root),
    DIVIDED_AGAIN.at(lambda p: p.straight / p.root),
    NO_STRAIGHT_PATH.at(
        lambda p: 0 * p.straight, "You gave 0. The direct path is there, also where the statistics are constants."
    ),
)
GIVEN_IGNORED = Misconception(
    "given statistics ignored",
    "You used the statistics of this batch where others were given. Use the mean and the variance that are given, as "
    "constants.",
    lambda mean, var: (None, None),
    wrong.ONE_EXAMPLE,
)
GIVEN: Step = (GIVEN_IGNORED,)

# The factor of dy in dgamma: (x, mean, x_hat, root)

X_FOR_X_HAT = Misconception(
    "x for x̂ in dγ",
    "You multiplied dy by x to get dγ. What γ multiplies is x̂, so dγ is the sum of dy · x̂.",
    lambda x, mean, x_hat, root: x,
    wrong.COMPACT,
)
DEVIATION_FOR_X_HAT = Misconception(
    "x − μ for x̂ in dγ",
    "You multiplied dy by x − μ to get dγ. The division by the root is missing: dγ is the sum of dy · x̂.",
    lambda x, mean, x_hat, root: x - mean,
    wrong.COMPACT,
)
X_HAT_LEFT_OUT = Misconception(
    "x̂ left out of dγ",
    "You added up dy itself to get dγ. That is dβ. For dγ multiply each dy by its x̂ first.",
    lambda x, mean, x_hat, root: 1.0,
    wrong.COMPACT,
)
FACTOR: Step = (
    X_FOR_X_HAT,
    DEVIATION_FOR_X_HAT,
    X_HAT_LEFT_OUT,
    wrong.NOT_CENTRED.at(
        lambda x, mean, x_hat, root: x / root,
        "In dγ you used x over the root. x̂ is x − μ over the root.",
        wrong.COMPACT,
    ),
    wrong.TURNED_ROUND.at(lambda x, mean, x_hat, root: -x_hat, "The sign of dγ is wrong: dγ is the sum of dy · x̂."),
)

# dgamma and dbeta: (x, gamma, each_dgamma, each_dbeta), where these are what every value of x gives.


def summed(x: Array, gamma: Array, dgamma: Array, dbeta: Array) -> tuple[Array, Array]:
    """One number for each channel."""
    return dgamma.sum(axis=batch_axes(x)), dbeta.sum(axis=batch_axes(x))


def _each(of_gamma: Function, of_beta: Function) -> Function:
    """dγ and dβ, of what `summed` gives: (x, gamma, sum)."""

    def sums(x: Array, gamma: Array, dgamma: Array, dbeta: Array) -> tuple[Array, Array]:
        dgamma, dbeta = summed(x, gamma, dgamma, dbeta)
        return of_gamma(x, gamma, dgamma), of_beta(x, gamma, dbeta)

    return sums


def _as_it_is(x: Array, gamma: Array, value: Array) -> Array:
    return value


def _places(change: Function) -> tuple[Function, Function, Function]:
    """A change of dγ and of dβ, or of one of them."""
    return _each(change, change), _each(change, _as_it_is), _each(_as_it_is, change)


def _over(axes: Callable[[Array], Axes]) -> Function:
    return lambda x, gamma, dgamma, dbeta: (dgamma.sum(axis=axes(x)), dbeta.sum(axis=axes(x)))


AVERAGED = Misconception(
    "dγ and dβ averaged",
    "You averaged over the batch to get dγ and dβ. Every value of a channel uses the same γ and β, and what comes back "
    "from all of them is added.",
    _places(lambda x, gamma, value: value / _values(x))[0],
    wrong.COMPACT,
)
GAMMA_IN = Misconception(
    "γ in dγ and dβ",
    "You used γ · dy, the gradient with respect to x̂, for dγ and dβ. They take dy itself.",
    _places(lambda x, gamma, value: gamma * value)[0],
    wrong.COMPACT,
)
GRADIENTS_SWAPPED = Misconception(
    "dγ and dβ swapped",
    "You returned dγ and dβ the wrong way round. The order is dx, dγ, dβ.",
    lambda x, gamma, dgamma, dbeta: summed(x, gamma, dbeta, dgamma),
    wrong.COMPACT,
)
SUMMED_OVER_EVERYTHING = Misconception(
    "dγ and dβ summed over the features",
    "You added up dγ and dβ over all features. Every feature has its own γ and β: add up over the samples only.",
    lambda x, gamma, dgamma, dbeta: (dgamma.sum() + 0 * gamma, dbeta.sum() + 0 * gamma),
    wrong.COMPACT,
)
NOT_SUMMED = Misconception(
    "dγ and dβ not summed",
    "You gave what every sample adds to dγ and dβ. Every sample uses the same γ and β, so add these up.",
    lambda x, gamma, dgamma, dbeta: (dgamma, dbeta),
    wrong.COMPACT,
)
SUMS: Step = (
    AVERAGED,
    *map(AVERAGED.at, _places(lambda x, gamma, value: value / _values(x))[1:]),
    *map(AVERAGED.at, _places(lambda x, gamma, value: value / len(x))),
    GAMMA_IN,
    *map(GAMMA_IN.at, _places(lambda x, gamma, value: gamma * value)[1:]),
    GRADIENTS_SWAPPED,
    SUMMED_OVER_EVERYTHING,
    SUMMED_OVER_EVERYTHING.at(lambda x, gamma, dgamma, dbeta: (dgamma.sum(), dbeta.sum())),
    SUMMED_OVER_EVERYTHING.at(lambda x, gamma, dgamma, dbeta: (summed(x, gamma, dgamma, dbeta)[0], dbeta.sum())),
    NOT_SUMMED,
    NOT_SUMMED.at(lambda x, gamma, dgamma, dbeta: (dgamma, summed(x, gamma, dgamma, dbeta)[1])),
    NOT_SUMMED.at(lambda x, gamma, dgamma, dbeta: (summed(x, gamma, dgamma, dbeta)[0], dbeta)),
    *(
        m.at(_over(m.compute), "For images you summed dγ and dβ over other axes. Sum over all axes but axis 1.")
        for m in ALL_IMAGE_AXES
    ),
)


# update_running. The average: (old, batch, momentum)

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
OLD_DROPPED = Misconception(
    "old value dropped",
    "You kept the batch's share and dropped the old value. The old value stays, with the weight 1 − momentum.",
    lambda old, batch, momentum: momentum * batch,
    wrong.RUNNING,
)
UNCHANGED = Misconception(
    "old statistics returned unchanged",
    "You returned the statistics as they came. Move both towards those of the batch, and return what comes out.",
    lambda old, batch, momentum: old + 0 * batch,
    wrong.RUNNING,
)
BATCH_DROPPED = Misconception(
    "batch left out of the average",
    "You gave the old value its weight and left out the batch. It comes in with the weight momentum.",
    lambda old, batch, momentum: (1 - momentum) * old + 0 * batch,
    wrong.RUNNING,
)
BATCH_WHOLE = Misconception(
    "batch added whole",
    "You added the batch's whole value. Its weight is momentum: (1 − momentum) · old + momentum · batch.",
    lambda old, batch, momentum: (1 - momentum) * old + batch,
    wrong.RUNNING,
)
ONE_WEIGHT = Misconception(
    "one weight for both",
    "You gave the old value and the batch's the same weight. The batch has the weight momentum, the old value "
    "1 − momentum.",
    lambda old, batch, momentum: (1 - momentum) * (old + batch),
    wrong.RUNNING,
)
MOVED_AWAY = Misconception(
    "moved away from the batch",
    "You moved the statistics away from those of the batch. new = old + momentum · (batch − old).",
    lambda old, batch, momentum: old + momentum * (old - batch),
    wrong.RUNNING,
)
MOMENTUM_FIXED = Misconception(
    "momentum not the one given",
    "You used a momentum of your own. Use the one that the function is given.",
    lambda old, batch, momentum: 0.9 * old + 0.1 * batch,
    wrong.RUNNING,
)
AVERAGE: Step = (
    MOMENTUM_REVERSED,
    LAST_BATCH,
    PLAIN_AVERAGE,
    NOT_LET_GO,
    NOT_LET_GO.at(lambda old, batch, momentum: old + (1 - momentum) * batch),
    NOT_LET_GO.at(
        lambda old, batch, momentum: old + (1 - momentum * batch),
        "You added to the whole old value. It has the weight 1 − momentum: (1 − momentum) · old + momentum · batch. "
        "Look at your brackets.",
    ),
    NOT_LET_GO.at(lambda old, batch, momentum: old + batch),
    OLD_DROPPED,
    OLD_DROPPED.at(lambda old, batch, momentum: (1 - momentum) * batch),
    UNCHANGED,
    BATCH_DROPPED,
    BATCH_DROPPED.at(lambda old, batch, momentum: momentum * old + 0 * batch),
    BATCH_WHOLE,
    BATCH_WHOLE.at(lambda old, batch, momentum: momentum * old + batch),
    ONE_WEIGHT,
    ONE_WEIGHT.at(lambda old, batch, momentum: momentum * (old + batch)),
    MOVED_AWAY,
    MOVED_AWAY.at(lambda old, batch, momentum: (1 - momentum) * old - momentum * batch),
    MOMENTUM_FIXED,
)


def own_momentum(own: float) -> Function:
    """The average of somebody who has a momentum of their own."""
    return lambda old, batch, momentum: (1 - own) * old + own * batch


VAR_KEPT = Misconception(
    "running variance not updated",
    "You moved the running mean and left the running variance where it was. Both move in the same way.",
    UNCHANGED.compute,
    wrong.RUNNING,
)
MEAN_KEPT = Misconception(
    "running mean not updated",
    "You moved the running variance and left the running mean where it was. Both move in the same way.",
    UNCHANGED.compute,
    wrong.RUNNING,
)


def _of_one(statistic: str, kept: Misconception) -> Step:
    """The average of one of the two statistics, as the other is right."""
    others = (m.at(m.compute, f"In the {statistic}: {m.says}") for m in AVERAGE if m.name != UNCHANGED.name)
    return (kept, *others)


MEAN_AVERAGE: Step = _of_one("running mean", MEAN_KEPT)
VARIANCE_AVERAGE: Step = _of_one("running variance", VAR_KEPT)

# The batch's variance: (x, axes, ddof)

DEVIATION_STORED = wrong.DEVIATION_FOR_VARIANCE.at(
    lambda x, axes, ddof: x.std(axis=axes, ddof=ddof),
    "You averaged the standard deviation into the running variance. Take its square, the variance.",
    wrong.RUNNING,
)
EPS_STORED = Misconception(
    "ε in the running variance",
    "You added an ε to the variance before you stored it. Store the variance itself. ε is added where the root is "
    "taken.",
    lambda x, axes, ddof: x.var(axis=axes, ddof=ddof) + 1e-5,
    wrong.RUNNING,
)
CORRECTED_TWICE = Misconception(
    "m / (m − 1) twice",
    "You corrected a variance by m / (m − 1) that was divided by m − 1 already. Once is enough.",
    lambda x, axes, ddof: x.var(axis=axes, ddof=1) * (_values(x) / (_values(x) - 1)),
    wrong.RUNNING,
)
CORRECTED_BACKWARDS = Misconception(
    "m / (m − 1) the wrong way round",
    "You multiplied the variance by (m − 1) / m. The unbiased one is larger than the biased one: by m / (m − 1).",
    lambda x, axes, ddof: x.var(axis=axes) * ((_values(x) - 1) / _values(x)),
    wrong.RUNNING,
)


def _one_pass_stored(x: Array, axes: Axes, ddof: int) -> Array:
    m = _values(x)
    return ((x * x).mean(axis=axes) - x.mean(axis=axes) ** 2) * (m / (m - ddof))


VARIANCE_STORED: Step = (
    DEVIATION_STORED,
    CANCELLATION.at(_one_pass_stored),
    EPS_STORED,
    wrong.SUM_OF_SQUARES.at(lambda x, axes, ddof: x.var(axis=axes) * _values(x)),
    NOT_CENTRED_VARIANCE.at(lambda x, axes, ddof: (x * x).mean(axis=axes)),
    wrong.NOT_SQUARED.at(lambda x, axes, ddof: np.abs(x - mean_over(x, axes)).mean(axis=axes)),
    wrong.NOT_SQUARED.at(lambda x, axes, ddof: np.abs(x - mean_over(x, axes)).mean(axis=axes) ** 2),
    SHARED_TWICE.at(lambda x, axes, ddof: x.var(axis=axes, ddof=ddof) / _values(x)),
    SQUARED_AGAIN.at(
        lambda x, axes, ddof: x.var(axis=axes, ddof=ddof) ** 2,
        "You squared the variance before you stored it. It is a square already.",
        wrong.RUNNING,
    ),
    ONE_VARIANCE.at(lambda x, axes, ddof: x.var(ddof=ddof) + 0 * x.mean(axis=axes)),
    CORRECTED_TWICE,
    CORRECTED_BACKWARDS,
    BY_SAMPLES.at(
        lambda x, axes, ddof: x.var(axis=axes) * (len(x) / (len(x) - 1)),
        "For images you corrected the variance by N / (N − 1), with N the number of images. A channel has N · H · W "
        "values.",
    ),
    BY_SAMPLES.at(lambda x, axes, ddof: x.var(axis=axes) * _values(x) / (len(x) - ddof)),
)
OWN_EPS_STORED: tuple[Callable[[float], Function], ...] = (
    lambda own: lambda x, axes, ddof: x.var(axis=axes, ddof=ddof) + own,
    lambda own: lambda x, axes, ddof: np.sqrt(x.var(axis=axes, ddof=ddof) + own),
)

# The batch's mean: (x, axes)

MEAN_STORED: Step = (
    SUM_FOR_MEAN.at(
        lambda x, axes: x.sum(axis=axes), "You averaged the sum of the values into the running mean. Take their mean."
    ),
    ONE_MEAN.at(lambda x, axes: x.mean() + 0 * x.mean(axis=axes)),
)

# What each of the two moves towards: (mean, var, x, running_mean, running_var)

TOWARDS_MEAN = Misconception(
    "running variance towards the batch's mean",
    "You moved the running variance towards the mean of the batch. It moves towards the batch's variance.",
    lambda mean, var, x, old_mean, old_var: (mean, mean),
    wrong.RUNNING,
)
TOWARDS_VARIANCE = Misconception(
    "running mean towards the batch's variance",
    "You moved the running mean towards the variance of the batch. It moves towards the batch's mean.",
    lambda mean, var, x, old_mean, old_var: (var, var),
    wrong.RUNNING,
)
BATCH_SWAPPED = Misconception(
    "batch mean and variance swapped",
    "You moved the running mean towards the batch's variance, and the running variance towards its mean. It is the "
    "other way round.",
    lambda mean, var, x, old_mean, old_var: (var, mean),
    wrong.RUNNING,
)
STORED_FOR_BATCH = Misconception(
    "running statistics for the batch's",
    "You took the running statistics for those of the batch, so they move nowhere or the wrong way. Compute the "
    "batch's mean and variance from x.",
    lambda mean, var, x, old_mean, old_var: (mean, old_mean),
    wrong.RUNNING,
)
AROUND_RUNNING_MEAN = Misconception(
    "variance around the running mean",
    "You took the squares of x minus the running mean. The variance of a batch is around the batch's own mean.",
    lambda mean, var, x, old_mean, old_var: (mean, _around(x, old_mean)),
    wrong.RUNNING,
)


def _around(x: Array, mean: Array) -> Array:
    return ((x - per_channel(mean, x)) ** 2).mean(axis=batch_axes(x))


TOWARDS: Step = (
    TOWARDS_MEAN,
    TOWARDS_VARIANCE,
    BATCH_SWAPPED,
    STORED_FOR_BATCH,
    STORED_FOR_BATCH.at(lambda mean, var, x, old_mean, old_var: (old_var, var)),
    AROUND_RUNNING_MEAN,
)


# inference. The statistics that it uses: (x, running_mean, running_var)


def _of_batch(x: Array, ddof: int = 0) -> tuple[Array, Array]:
    return x.mean(axis=batch_axes(x)), x.var(axis=batch_axes(x), ddof=ddof)


def _unless_alone(statistics: Function) -> Function:
    """The stored ones for a single value, as people write who see that it has no statistics."""
    return lambda x, mean, var: (mean, var) if _values(x) == 1 else statistics(x, mean, var)


def _and_alone(m: Misconception) -> tuple[Misconception, Misconception]:
    return m, m.at(_unless_alone(m.compute))


BATCH_STATISTICS = Misconception(
    "inference with batch statistics",
    "You normalized with the statistics of the rows that came along. Then a row's output depends on its company, and a "
    "single row has no statistics at all. Use the stored ones.",
    lambda x, mean, var: _of_batch(x),
    wrong.EVAL_FORGOTTEN,
)
_BATCH_MEAN = (
    "You subtracted the mean of the rows that came along. Then a row's output depends on its company. Use the stored "
    "mean."
)
_BATCH_VARIANCE = (
    "You divided by the spread of the rows that came along. Then a row's output depends on its company. Use the stored "
    "variance."
)
STATISTICS_SWAPPED = Misconception(
    "mean and variance swapped",
    "You subtracted the stored variance and divided by the root of the stored mean. It is the other way round.",
    lambda x, mean, var: (var, mean),
    wrong.ONE_EXAMPLE,
)


def blended(share: float, ddof: int = 0, unless_alone: bool = False) -> Function:
    """The statistics of somebody who gives this batch a share in them."""

    def statistics(x: Array, mean: Array, var: Array) -> tuple[Array, Array]:
        of_batch = _of_batch(x, ddof)
        return (1 - share) * mean + share * of_batch[0], (1 - share) * var + share * of_batch[1]

    return _unless_alone(statistics) if unless_alone else statistics


BLENDED = Misconception(
    "this batch in the statistics of inference",
    "You moved the stored statistics towards the rows that came along before you used them. Then a row's output "
    "depends on its company. Use the stored ones as they are.",
    blended(0.1),
    wrong.MOVING,
)
CORRECTED_IN_USE = Misconception(
    "m / (m − 1) in inference",
    "You corrected the stored variance by m / (m − 1), with the number of rows that came along. Then a row's output "
    "depends on its company, and a single row divides by 0. Use the stored variance as it is.",
    lambda x, mean, var: (mean, var * (_values(x) / np.float64(_values(x) - 1))),
    wrong.ONE_EXAMPLE,
)
STATISTICS: Step = (
    *_and_alone(BATCH_STATISTICS),
    *_and_alone(BATCH_STATISTICS.at(lambda x, mean, var: (_of_batch(x)[0], var), _BATCH_MEAN)),
    *_and_alone(BATCH_STATISTICS.at(lambda x, mean, var: (mean, _of_batch(x)[1]), _BATCH_VARIANCE)),
    *_and_alone(BATCH_STATISTICS.at(lambda x, mean, var: _of_batch(x, 1))),
    *_and_alone(BATCH_STATISTICS.at(lambda x, mean, var: (mean, _of_batch(x, 1)[1]), _BATCH_VARIANCE)),
    *_and_alone(BATCH_STATISTICS.at(lambda x, mean, var: (mean, _around(x, mean)), _BATCH_VARIANCE)),
    STATISTICS_SWAPPED,
    BLENDED,
    *_and_alone(CORRECTED_IN_USE),
    CORRECTED_IN_USE.at(lambda x, mean, var: (mean, var * (len(x) / np.float64(len(x) - 1)))),
    CORRECTED_IN_USE.at(lambda x, mean, var: (mean, var * (len(x) / max(len(x) - 1, 1)))),
    ONE_MEAN.at(lambda x, mean, var: (np.full_like(mean, mean.mean()), var)),
    ONE_VARIANCE.at(lambda x, mean, var: (mean, np.full_like(var, var.mean()))),
)
