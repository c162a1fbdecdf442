"""Named mistakes: each is a small wrong implementation, with the sentence that somebody who made it gets back.

A mistake is recognised by running it on the same numbers and comparing. So what a wrong answer looks like is computed
here and never typed, and a new misconception is one small function.

One mistake can be made at several places: whoever leaves out ε does so in x̂ and in every gradient. `Misconception.at`
says what it does elsewhere. The tuples at the end of each section list what can go wrong with one quantity; all their
functions take the same arguments, which the section's heading names.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from bn_exercises.algorithm import Root, centred, dmu, dvar, dx, root, spread
from bn_exercises.tolerance import Array
from bn_exercises.verdict import Link

_FORWARD, _BACKWARD, _SIZE = "chapters/forward", "chapters/backward", "chapters/batch_size"
_INFERENCE, _IMAGES = "chapters/inference", "chapters/convolutions"

ALGORITHM = Link("Mean, variance, normalize, scale and shift", "sec-forward-algorithm", _FORWARD)
BY_HAND = Link("One small batch by hand", "forward-by-hand", _FORWARD)
EPSILON = Link("Epsilon", "sec-forward-eps", _FORWARD)
DIVIDES_BY_M = Link("The variance divides by m", "sec-forward-variance", _FORWARD)
GAMMA_BETA = Link("Gamma and beta: BN can undo itself", "sec-forward-gamma-beta", _FORWARD)
AXES = Link("Which axes, and why", "which-axes", _IMAGES)
COMPANY = Link("The company an example keeps", "sec-batch-company", _SIZE)
PATHS = Link("Three paths from y back to x", "three-paths", _BACKWARD)
THROUGH_VARIANCE = Link("Through the variance", "sec-backward-variance-path", _BACKWARD)
THROUGH_MEAN = Link("Through the mean", "sec-backward-mean-path", _BACKWARD)
FORGOTTEN = Link("When a path is forgotten", "sec-backward-forgotten", _BACKWARD)
COMPACT = Link("The compact form", "sec-backward-compact", _BACKWARD)
IN_CODE = Link("Six lines of NumPy", "sec-forward-code", _FORWARD)
CANCELLATION = Link("How not to compute a variance", "sec-forward-cancellation", _FORWARD)
ONE_EXAMPLE = Link("One example has no statistics", "sec-inference-one-example", _INFERENCE)
RUNNING = Link("Running statistics", "sec-inference-averages", _INFERENCE)
EVAL_FORGOTTEN = Link("eval() forgotten", "sec-bug-eval", _INFERENCE)
MOVING = Link("Statistics that move in use", "sec-bug-moving", _INFERENCE)
MOMENTUM = Link("Momentum the wrong way round", "sec-bug-swapped", _INFERENCE)
LAYOUT = Link("NCHW and NHWC", "sec-conv-layout", _IMAGES)
ANY_AXES = Link("Any axes", "sec-axes-choose", "chapters/axes")
IMAGE_MISTAKES = Link("The usual mistakes, and how to notice them", "sec-conv-mistakes", _IMAGES)


@dataclass(frozen=True)
class Misconception:
    """A mistake with a name.

    Attributes:
        name: short, as in a table.
        says: what somebody who made it is told: what they did, and what belongs there instead. No numbers.
        compute: the wrong implementation.
        see: the section of the book to read.
    """

    name: str
    says: str
    compute: Callable[..., Array]
    see: Link

    def at(self, compute: Callable[..., Array], says: str | None = None, see: Link | None = None) -> "Misconception":
        """The same mistake made in computing another quantity."""
        return replace(self, compute=compute, says=says or self.says, see=see or self.see)


# The mean: (x), where x is (N, C)

SUM_FOR_MEAN = Misconception(
    "not divided by m",
    "You added the values up and stopped. Divide by how many there are.",
    lambda x: x.sum(axis=0),
    ALGORITHM,
)


# The variance: (x, mean), where mean is (C,)


def _squares(x: Array, mean: Array) -> Array:
    return (x - mean) ** 2


SUM_OF_SQUARES = Misconception(
    "not divided by m",
    "You added the squares up and stopped. Divide by how many there are.",
    lambda x, mean: _squares(x, mean).sum(axis=0),
    ALGORITHM,
)
DEVIATION_FOR_VARIANCE = Misconception(
    "standard deviation for variance",
    "You took the root. The variance is the mean of the squares itself.",
    lambda x, mean: np.sqrt(_squares(x, mean).mean(axis=0)),
    ALGORITHM,
)
NOT_SQUARED = Misconception(
    "deviations not squared",
    "You averaged the sizes of the deviations. Square each of them first.",
    lambda x, mean: np.abs(x - mean).mean(axis=0),
    ALGORITHM,
)


# Normalized values: (x, eps) or (x, eps, mean, var). Without mean and var, those of the batch.


def _of_sample(x: Array, var: Array | None) -> Array:
    return spread(x, var) * (len(x) / (len(x) - 1))


def _ddof1(x: Array, eps: float, mean: Array | None = None, var: Array | None = None) -> Array:
    return centred(x, mean) / np.sqrt(_of_sample(x, var) + eps)


def _eps_outside(x: Array, eps: float, mean: Array | None = None, var: Array | None = None) -> Array:
    return centred(x, mean) / (np.sqrt(spread(x, var)) + eps)


def _no_eps(x: Array, eps: float, mean: Array | None = None, var: Array | None = None) -> Array:
    return centred(x, mean) / np.sqrt(spread(x, var))


def _eps_twice(x: Array, eps: float, mean: Array | None = None, var: Array | None = None) -> Array:
    return centred(x, mean) / np.sqrt(spread(x, var) + 2 * eps)


def _variance_for_deviation(x: Array, eps: float, mean: Array | None = None, var: Array | None = None) -> Array:
    return centred(x, mean) / (spread(x, var) + eps)


def _not_centred(x: Array, eps: float, mean: Array | None = None, var: Array | None = None) -> Array:
    return x / np.sqrt(spread(x, var) + eps)


def _not_divided(x: Array, eps: float, mean: Array | None = None, var: Array | None = None) -> Array:
    return centred(x, mean)


def _turned_round(x: Array, eps: float, mean: Array | None = None, var: Array | None = None) -> Array:
    return -centred(x, mean) / np.sqrt(spread(x, var) + eps)


def _over_rows(x: Array, eps: float, mean: Array | None = None, var: Array | None = None) -> Array:
    return (x - x.mean(axis=1, keepdims=True)) / np.sqrt(x.var(axis=1, keepdims=True) + eps)


def _over_everything(x: Array, eps: float, mean: Array | None = None, var: Array | None = None) -> Array:
    return (x - x.mean()) / np.sqrt(x.var() + eps)


DDOF1 = Misconception(
    "ddof=1",
    "You divided the sum of squares by m − 1. That estimates the variance of a population from a sample. "
    "Batch Normalization standardizes the batch itself, so it divides by m.",
    _ddof1,
    DIVIDES_BY_M,
)
EPS_OUTSIDE = Misconception(
    "ε outside the root",
    "You added ε after taking the root. It belongs under the root, with the variance: √(σ² + ε).",
    _eps_outside,
    EPSILON,
)
NO_EPS = Misconception(
    "ε missing",
    "You left ε out. Add it to the variance before you take the root: √(σ² + ε).",
    _no_eps,
    EPSILON,
)
VARIANCE_FOR_DEVIATION = Misconception(
    "variance for standard deviation",
    "You divided by the variance. Divide by its square root: √(σ² + ε).",
    _variance_for_deviation,
    ALGORITHM,
)
NOT_CENTRED = Misconception(
    "not centred",
    "You divided without subtracting the mean first. The numerator is x − μ.",
    _not_centred,
    ALGORITHM,
)
NOT_DIVIDED = Misconception(
    "not divided",
    "You subtracted the mean and stopped. The division by √(σ² + ε) is still to come.",
    _not_divided,
    ALGORITHM,
)
OVER_ROWS = Misconception(
    "over rows",
    "You averaged over each row, so every sample was normalized by itself. That is Layer Normalization. "
    "Batch Normalization averages over the samples: down each column.",
    _over_rows,
    AXES,
)
OVER_EVERYTHING = Misconception(
    "over everything",
    "You used one mean and one variance for the whole table. Every feature has its own.",
    _over_everything,
    AXES,
)

EPS_TWICE = Misconception(
    "ε added twice",
    "You added ε twice. It is added once, to the variance, under the root.",
    _eps_twice,
    EPSILON,
)
TURNED_ROUND = Misconception(
    "sign",
    "The sign is wrong throughout.",
    _turned_round,
    ALGORITHM,
)

# One feature has nothing to confuse with another.
NORMALIZED_ONE_FEATURE = (
    DDOF1,
    EPS_OUTSIDE,
    NO_EPS,
    EPS_TWICE,
    VARIANCE_FOR_DEVIATION,
    VARIANCE_FOR_DEVIATION.at(lambda x, eps, mean=None, var=None: centred(x, mean) / spread(x, var)),
    NOT_CENTRED,
    NOT_DIVIDED,
    TURNED_ROUND.at(_turned_round, "The sign is wrong. The numerator is x − μ, not μ − x."),
)
NORMALIZED = (*NORMALIZED_ONE_FEATURE, OVER_ROWS, OVER_EVERYTHING)

MEAN = (
    SUM_FOR_MEAN,
    DDOF1.at(
        lambda x: x.sum(axis=0) / (len(x) - 1),
        "You divided the sum by m − 1. A mean divides by m, the number of values.",
    ),
    OVER_ROWS.at(
        lambda x: x.mean(axis=1),
        "You averaged over each row, and a row is a sample. Average over the samples: down each column.",
    ),
    OVER_EVERYTHING.at(
        lambda x: np.full(x.shape[1], x.mean()),
        "You used one mean for the whole table. Every feature has its own.",
    ),
)
VAR = (
    DDOF1.at(lambda x, mean: _squares(x, mean).sum(axis=0) / (len(x) - 1)),
    SUM_OF_SQUARES,
    DEVIATION_FOR_VARIANCE,
    NOT_SQUARED,
    NOT_CENTRED.at(
        lambda x, mean: (x**2).mean(axis=0),
        "You averaged the squares of the values. The variance is the mean square of what is left when the mean is "
        "subtracted.",
    ),
    OVER_ROWS.at(
        lambda x, mean: x.var(axis=1),
        "You took the variance of each row, and a row is a sample. Go over the samples: down each column.",
    ),
    OVER_EVERYTHING.at(
        lambda x, mean: np.full(x.shape[1], x.var()),
        "You used one variance for the whole table. Every feature has its own.",
    ),
)


# The output: (x_hat, gamma, beta)

SWAPPED = Misconception(
    "γ and β swapped",
    "You used γ and β the wrong way round. γ multiplies, β is added.",
    lambda x_hat, gamma, beta: beta * x_hat + gamma,
    GAMMA_BETA,
)
BETA_SCALED = Misconception(
    "β scaled too",
    "You multiplied β by γ as well. Multiply first, then add β: γ · x̂ + β.",
    lambda x_hat, gamma, beta: gamma * (x_hat + beta),
    GAMMA_BETA,
)
BETA_SUBTRACTED = Misconception(
    "β subtracted",
    "You subtracted β. It is added: γ · x̂ + β.",
    lambda x_hat, gamma, beta: gamma * x_hat - beta,
    GAMMA_BETA,
)
BETA_LEFT_OUT = Misconception(
    "β left out",
    "You scaled by γ and stopped. Adding β is still to come.",
    lambda x_hat, gamma, beta: gamma * x_hat,
    GAMMA_BETA,
)
GAMMA_LEFT_OUT = Misconception(
    "γ left out",
    "You added β to x̂ itself. Multiplying by γ comes before that.",
    lambda x_hat, gamma, beta: x_hat + beta,
    GAMMA_BETA,
)
BOTH_LEFT_OUT = Misconception(
    "γ and β left out",
    "These are the normalized values. Scale and shift are still to come: γ · x̂ + β.",
    lambda x_hat, gamma, beta: x_hat + 0 * beta,
    GAMMA_BETA,
)

OUTPUT = (SWAPPED, BETA_SCALED, BETA_SUBTRACTED, BETA_LEFT_OUT, GAMMA_LEFT_OUT, BOTH_LEFT_OUT)


# The gradient with respect to x, from that with respect to y: (x, dy, gamma, eps). dy is (N, C), gamma is (C,).


def _direct_path(x: Array, dy: Array, gamma: Array, eps: float) -> Array:
    return gamma * dy / np.sqrt(x.var(axis=0) + eps)


def _without_variance_path(x: Array, dy: Array, gamma: Array, eps: float) -> Array:
    return _direct_path(x, dy - dy.mean(axis=0), gamma, eps)


def _without_mean_path(x: Array, dy: Array, gamma: Array, eps: float) -> Array:
    x_hat = (x - x.mean(axis=0)) / np.sqrt(x.var(axis=0) + eps)
    return _direct_path(x, dy - x_hat * (dy * x_hat).mean(axis=0), gamma, eps)


def _without_gamma(x: Array, dy: Array, gamma: Array, eps: float) -> Array:
    x_hat = (x - x.mean(axis=0)) / np.sqrt(x.var(axis=0) + eps)
    return _direct_path(x, dy - dy.mean(axis=0) - x_hat * (dy * x_hat).mean(axis=0), np.ones_like(gamma), eps)


NO_PATHS = Misconception(
    "only the direct path",
    "You treated the mean and the variance as constants. In training they are functions of x, "
    "and the gradient flows back through both.",
    _direct_path,
    PATHS,
)
NO_VARIANCE_PATH = Misconception(
    "no path through the variance",
    "You let the gradient flow through the mean but not through the variance. One term is missing: "
    "−x̂ · mean(dy · x̂), inside the bracket.",
    _without_variance_path,
    FORGOTTEN,
)
NO_MEAN_PATH = Misconception(
    "no path through the mean",
    "You let the gradient flow through the variance but not through the mean. One term is missing: "
    "−mean(dy), inside the bracket.",
    _without_mean_path,
    FORGOTTEN,
)
NO_GAMMA = Misconception(
    "γ left out",
    "You used dy where the gradient with respect to x̂ belongs. That one is γ · dy.",
    _without_gamma,
    PATHS,
)


BACKWARD = (NO_PATHS, NO_VARIANCE_PATH, NO_MEAN_PATH, NO_GAMMA)


# One feature, gradients of the paper's section 3. With respect to the mean and to the variance: (x, dx_hat, eps), where
# x and dx_hat are (N,).


def _root_ddof1(x: Array, eps: float) -> Array:
    return np.sqrt(x.var(ddof=1) + eps)


def _root_no_eps(x: Array, eps: float) -> Array:
    return x.std()


def _root_eps_outside(x: Array, eps: float) -> Array:
    return x.std() + eps


def _dx_throughout(root: Root) -> Callable[..., Array]:
    """dx of somebody who makes a mistake in the root makes it in all three terms."""

    def compute(x: Array, dx_hat: Array, eps: float, own_dmu: Array, own_dvar: Array) -> Array:
        return dx(x, dx_hat, eps, dmu(x, dx_hat, eps, root), dvar(x, dx_hat, eps, root), root)

    return compute


def _in_root(gradient: Callable[..., Array]) -> tuple[Misconception, ...]:
    return (
        DDOF1.at(lambda x, dx_hat, eps: gradient(x, dx_hat, eps, _root_ddof1)),
        NO_EPS.at(lambda x, dx_hat, eps: gradient(x, dx_hat, eps, _root_no_eps)),
        EPS_OUTSIDE.at(lambda x, dx_hat, eps: gradient(x, dx_hat, eps, _root_eps_outside)),
    )


_SIGN_BACK = "The size is right and the sign is wrong. Follow the minus signs of the derivatives."
MEAN_FOR_SUM = Misconception(
    "mean for sum",
    "You averaged over the samples. Every sample uses this value, and the gradients that come back from its uses are "
    "added.",
    lambda x, dx_hat, eps: dmu(x, dx_hat, eps) / len(x),
    PATHS,
)
NOT_ADDED_UP = Misconception(
    "not added up",
    "You gave what comes back from each sample. Every sample uses the same mean, so add these up: one number.",
    lambda x, dx_hat, eps: -dx_hat / root(x, eps),
    THROUGH_MEAN,
)
HALF_FORGOTTEN = Misconception(
    "½ forgotten",
    "The derivative of a power brings its exponent down. A factor ½ is missing.",
    lambda x, dx_hat, eps: 2 * dvar(x, dx_hat, eps),
    THROUGH_VARIANCE,
)
POWER_KEPT = Misconception(
    "power not lowered",
    "The derivative of (σ² + ε) to the power −½ has the power −3/2. You kept −½.",
    lambda x, dx_hat, eps: dvar(x, dx_hat, eps) * (x.var() + eps),
    THROUGH_VARIANCE,
)
X_HAT_FOR_DEVIATION = Misconception(
    "x̂ for x − μ",
    "You multiplied by x̂ and divided by the power −3/2 of the variance as well. With x̂ one root has been divided out "
    "already.",
    lambda x, dx_hat, eps: dvar(x, dx_hat, eps) / root(x, eps),
    THROUGH_VARIANCE,
)

DMU = (
    TURNED_ROUND.at(lambda x, dx_hat, eps: -dmu(x, dx_hat, eps), _SIGN_BACK, THROUGH_MEAN),
    MEAN_FOR_SUM,
    VARIANCE_FOR_DEVIATION.at(lambda x, dx_hat, eps: -dx_hat.sum() / (x.var() + eps)),
    NOT_DIVIDED.at(lambda x, dx_hat, eps: -dx_hat.sum(), "You added up and stopped. Divide by √(σ² + ε)."),
    NOT_ADDED_UP,
    *_in_root(dmu),
)
DVAR = (
    TURNED_ROUND.at(lambda x, dx_hat, eps: -dvar(x, dx_hat, eps), _SIGN_BACK, THROUGH_VARIANCE),
    MEAN_FOR_SUM.at(lambda x, dx_hat, eps: dvar(x, dx_hat, eps) / len(x)),
    HALF_FORGOTTEN,
    POWER_KEPT,
    X_HAT_FOR_DEVIATION,
    NOT_CENTRED.at(
        lambda x, dx_hat, eps: -0.5 * (dx_hat * x).sum() * root(x, eps) ** -3,
        "You multiplied the gradients by x itself. The derivative of x̂ with respect to the variance has x − μ in it.",
        THROUGH_VARIANCE,
    ),
    NOT_ADDED_UP.at(
        lambda x, dx_hat, eps: -0.5 * dx_hat * (x - x.mean()) * root(x, eps) ** -3,
        "You gave what comes back from each sample. Every sample uses the same variance, so add these up: one number.",
        THROUGH_VARIANCE,
    ),
    *_in_root(dvar),
)

# With respect to x: (x, dx_hat, eps, dmu, dvar)

NOT_SHARED = Misconception(
    "not shared among the samples",
    "You gave every sample the whole gradient of the mean and of the variance. Each sample moves them by its share "
    "only, 1 / m.",
    lambda x, dx_hat, eps, dmu, dvar: dx_hat / root(x, eps) + dvar * 2 * (x - x.mean()) + dmu,
    PATHS,
)
MEAN_NOT_SHARED = Misconception(
    "dμ not shared among the samples",
    "You gave every sample the whole gradient of the mean. Each sample moves the mean by its share only, 1 / m.",
    lambda x, dx_hat, eps, dmu, dvar: dx(x, dx_hat, eps, len(x) * dmu, dvar),
    PATHS,
)
VARIANCE_NOT_SHARED = Misconception(
    "dσ² not shared among the samples",
    "You gave every sample the whole gradient of the variance. Each sample moves the variance by its share only, "
    "1 / m.",
    lambda x, dx_hat, eps, dmu, dvar: dx(x, dx_hat, eps, dmu, len(x) * dvar),
    PATHS,
)
SQUARE_NOT_DERIVED = Misconception(
    "2 forgotten",
    "The derivative of the variance is 2 (x − μ) / m. The 2 is missing.",
    lambda x, dx_hat, eps, dmu, dvar: dx(x, dx_hat, eps, dmu, dvar / 2),
    PATHS,
)

DX = (
    NO_PATHS.at(lambda x, dx_hat, eps, dmu, dvar: dx_hat / root(x, eps)),
    NO_VARIANCE_PATH.at(
        lambda x, dx_hat, eps, dmu, dvar: dx(x, dx_hat, eps, dmu, 0 * dvar),
        "You let the gradient flow through the mean but not through the variance. One term is missing: "
        "dσ² · 2 (x − μ) / m.",
    ),
    NO_MEAN_PATH.at(
        lambda x, dx_hat, eps, dmu, dvar: dx(x, dx_hat, eps, 0 * dmu, dvar),
        "You let the gradient flow through the variance but not through the mean. One term is missing: dμ / m.",
    ),
    NOT_SHARED,
    MEAN_NOT_SHARED,
    VARIANCE_NOT_SHARED,
    SQUARE_NOT_DERIVED,
    TURNED_ROUND.at(lambda x, dx_hat, eps, dmu, dvar: -dx(x, dx_hat, eps, dmu, dvar), _SIGN_BACK, PATHS),
    DDOF1.at(_dx_throughout(_root_ddof1)),
    NO_EPS.at(_dx_throughout(_root_no_eps)),
    EPS_OUTSIDE.at(_dx_throughout(_root_eps_outside)),
)


# Two batches or one, normalized values: (x, eps), where x is (2, N, 1) or (N, 1)

ONE_FOR_BOTH = Misconception(
    "one mean and variance for both batches",
    "You normalized both batches with the mean and the variance of all values. Each batch has its own.",
    lambda x, eps: (x - x.mean()) / np.sqrt(x.var() + eps),
    COMPANY,
)
FIRST_FOR_BOTH = Misconception(
    "the first batch's statistics for both",
    "You normalized the second batch with the statistics of the first. Each batch has its own.",
    lambda x, eps: (x - x[0].mean()) / np.sqrt(x[0].var() + eps),
    COMPANY,
)
SPLIT = Misconception(
    "two batches for one",
    "You normalized the two halves separately. Here all values are one batch, with one mean and one variance.",
    lambda x, eps: np.ravel(_halves(x, eps)),
    COMPANY,
)


def _halves(x: Array, eps: float) -> Array:
    halves = x.reshape(2, -1)
    return (halves - halves.mean(axis=1, keepdims=True)) / np.sqrt(halves.var(axis=1, keepdims=True) + eps)


# The same, written as two rows.
SPLIT_IN_TWO = SPLIT.at(_halves)


# By class: x̂ with the statistics of two sets of values, `one` and `other`; the output with the other class's γ and β

STATISTICS_MIXED = Misconception(
    "mean and variance of different values",
    "You took the mean of one set of values and the variance of another: one of the class, the other of the whole "
    "batch. Both belong to the same values.",
    lambda x, eps, one, other: (x - one.mean()) / np.sqrt(other.var() + eps),
    COMPANY,
)

OTHER_CLASS = Misconception(
    "the other class's γ and β",
    "You scaled and shifted this class with the γ and β of the other one.",
    lambda x_hat, gamma, beta: gamma * x_hat + beta,
    GAMMA_BETA,
)
