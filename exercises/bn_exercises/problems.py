"""The course's problems as data: what is given, what is asked, the reference answers, and what can go wrong.

A problem's notebook, under `exercises/source`, repeats its numbers so that a learner needs nothing but NumPy; a test
holds the two together.

Variants are drawn so that they can be done by hand: values and means are whole numbers, and variance plus ε is the
square of a whole number or a half, so that the root comes out.
"""

from collections.abc import Callable
from random import Random
from typing import Any

import numpy as np

from bn_exercises import misconceptions as wrong
from bn_exercises import steps
from bn_exercises.misconceptions import Misconception
from bn_exercises.problem import AlsoRight, Arrays, Given, Part, Problem, choose, shuffled
from bn_exercises.tolerance import DIGITS, Array, round_to
from bn_lib import batch_norm, batch_norm_backward


def _numbers(values: Any, joint: str = ", ") -> str:
    return joint.join(f"({v:g})" if v < 0 and "+" in joint else f"{v:g}" for v in values)


def _added(value: float) -> str:
    return f"+ {value:g}" if value >= 0 else f"− {-value:g}"


# By hand one rounds on the way: to this many digits, or to one more.
_ROUNDED = (DIGITS, DIGITS + 1)
_NORMALIZED_BY_HAND = tuple(AlsoRight(steps.normalized_by_hand(digits)) for digits in _ROUNDED)


# 1. Basic calculation


def _table(given: Given) -> Array:
    return np.asarray(given["x"], dtype=float)


def _mean_hints(given: Given) -> tuple[str, str, str]:
    column = _table(given)[:, 0]
    return (
        "A feature is a column, a sample is a row.",
        "The mean of a feature is the sum of its column divided by the number of samples.",
        f"The first feature: ({_numbers(column, ' + ')}) / {len(column)}. The others in the same way.",
    )


def _var_hints(given: Given) -> tuple[str, str, str]:
    column = _table(given)[:, 0]
    squares = " + ".join(f"({v:g} − μ₁)²" for v in column)
    return (
        "How far are the values of a column from its mean?",
        "The variance is the average of the squared deviations from the mean. Divide by the number of samples.",
        f"The first feature: ({squares}) / {len(column)}, with μ₁ from (a).",
    )


def _x_hat_hints(given: Given) -> tuple[str, str, str]:
    value, eps = _table(given)[0, 0], given["eps"]
    return (
        "Each value needs the mean and the variance of its own column.",
        "Subtract the mean, then divide by the root of the variance plus ε: (x − μ) / √(σ² + ε).",
        f"The first value: ({value:g} − μ₁) / √(σ₁² + {eps:g}), with μ₁ from (a) and σ₁² from (b).",
    )


def _y_hints(given: Given) -> tuple[str, str, str]:
    gamma, beta = given["gamma"], given["beta"]
    return (
        "Begin with the normalized values from (c).",
        "Scale, then shift: y = γ · x̂ + β.",
        f"Each value: {gamma:g} · x̂ {_added(beta)}.",
    )


# ε and the sums of squares of 4 whole deviations for which √(σ² + ε) is a whole number or a half.
_SQUARES_OF_FOUR = {0.25: (8, 24), 0.5: (2, 14, 34), 1.0: (12, 32)}


def _deviations_of_four(squares: int) -> list[tuple[int, ...]]:
    span = range(-6, 7)
    return [
        (a, b, c, -a - b - c)
        for a in span
        for b in span
        for c in span
        if a * a + b * b + c * c + (a + b + c) ** 2 == squares
    ]


def _draw_table(rng: Random) -> Given:
    eps = choose(rng, (0.25, 0.5, 1.0))
    columns = []
    for mean in shuffled(rng, range(5, 13))[:3]:
        deviations = choose(rng, _deviations_of_four(choose(rng, _SQUARES_OF_FOUR[eps])))
        columns.append([mean + d for d in deviations])
    return {
        "x": tuple(zip(*columns, strict=True)),
        "eps": eps,
        "gamma": choose(rng, (2.0, 3.0, 4.0)),
        "beta": choose(rng, (-2.0, -1.0, 1.0, 5.0)),
    }


BASIC_CALCULATION = Problem(
    name="basic-calculation",
    title="Basic calculation",
    given={
        "x": ((2, 4, 6), (4, 6, 8), (6, 8, 10), (8, 10, 12)),
        "eps": 0.01,
        "gamma": 2.0,
        "beta": 1.0,
    },
    parts=(
        Part("mean", "(a) the mean", 2, steps.mean, lambda given, _: (_table(given),), wrong.MEAN, _mean_hints),
        Part(
            "var",
            "(b) the variance",
            2,
            steps.var,
            lambda given, earlier: (_table(given), earlier["mean"]),
            wrong.VAR,
            _var_hints,
            uses=("mean",),
        ),
        Part(
            "x_hat",
            "(c) the normalized values",
            3,
            steps.normalized,
            lambda given, earlier: (_table(given), given["eps"], earlier["mean"], earlier["var"]),
            wrong.NORMALIZED,
            _x_hat_hints,
            uses=("mean", "var"),
            also_right=_NORMALIZED_BY_HAND,
        ),
        Part(
            "y",
            "(d) the output",
            3,
            steps.output,
            lambda given, earlier: (earlier["x_hat"], given["gamma"], given["beta"]),
            wrong.OUTPUT,
            _y_hints,
            uses=("x_hat",),
            carried=lambda x_hat, gamma, beta: gamma * x_hat,
        ),
    ),
    draw=_draw_table,
)


# 2. Backpropagation


def _feature(given: Given) -> tuple[Array, Array, float]:
    return np.asarray(given["x"], dtype=float), np.asarray(given["dx_hat"], dtype=float), given["eps"]


_CANCELLED = (
    "Right, as far as a calculation in three digits carries. The three terms nearly cancel here, and that costs "
    "digits: carry five to see more."
)


def _dx_hints(given: Given) -> tuple[str, str, str]:
    x, dx_hat, eps = _feature(given)
    m = len(x)
    return (
        "Three paths lead from x to the loss: straight, through the mean, through the variance. Do (b) and (c) first.",
        "Add the three: dx = dx̂ / √(σ² + ε) + dσ² · 2 (x − μ) / m + dμ / m.",
        f"The first sample: {dx_hat[0]:g} / √(σ² + {eps:g}) + dσ² · 2 ({x[0]:g} − μ) / {m} + dμ / {m}, "
        "with dμ from (b) and dσ² from (c). Carry five digits, because terms may nearly cancel.",
    )


def _dmu_hints(given: Given) -> tuple[str, str, str]:
    _, dx_hat, eps = _feature(given)
    return (
        "Every x̂ of the batch uses the mean.",
        "Add what comes back from all of them: each x̂ changes with μ by −1 / √(σ² + ε). "
        "Through the variance nothing comes, because Σ (x − μ) = 0.",
        f"dμ = −({_numbers(dx_hat, ' + ')}) / √(σ² + {eps:g}).",
    )


def _dvar_hints(given: Given) -> tuple[str, str, str]:
    x, dx_hat, eps = _feature(given)
    terms = " + ".join(f"{d:g} · ({v:g} − μ)" for d, v in zip(dx_hat, x, strict=True))
    return (
        "Every x̂ of the batch uses the variance.",
        "The derivative of (σ² + ε) to the power −½ is −½ times the power −3/2: "
        "dσ² = −½ · Σ dx̂ (x − μ) · (σ² + ε)^(−3/2).",
        f"dσ² = −½ · [{terms}] · (σ² + {eps:g})^(−3/2).",
    )


# 3 deviations for which σ² + 0.25 is a square: σ² = 2 and σ² = 6.
_TWO, _SIX = ((1, 1, -2), (-1, -1, 2)), ((3, 0, -3),)


def _draw_gradient(rng: Random) -> Given:
    mean = choose(rng, range(3, 10))
    deviations = shuffled(rng, choose(rng, (*_TWO, *_SIX)))
    tenths = shuffled(rng, range(-6, 10))[:3]
    given = {"x": tuple(mean + d for d in deviations), "dx_hat": tuple(t / 10 for t in tenths), "eps": 0.25}
    # Terms that nearly cancel cannot be computed by hand. Drawing again is left to `variant`: no mistake is told from
    # the right answer where all gradients are zero.
    x, dx_hat, eps = _feature(given)
    straight = np.abs(dx_hat / np.sqrt(x.var() + eps)).max()
    compact = _gradient(x, dx_hat, eps)
    return given if np.abs(compact).max() > 0.2 * straight else given | {"dx_hat": (0.0, 0.0, 0.0)}


def _gradient(x: Array, dx_hat: Array, eps: float) -> Array:
    _, cache = batch_norm(x[:, None], np.ones(1), np.zeros(1), eps=eps)
    return batch_norm_backward(dx_hat[:, None], cache)[0][:, 0]


BACKPROPAGATION = Problem(
    name="backpropagation",
    title="Backpropagation",
    given={"x": (1, 2, 3), "dx_hat": (0.1, 0.2, 0.3), "eps": 0.01},
    parts=(
        Part(
            "dx",
            "(a) the gradient with respect to x",
            4,
            steps.dx,
            lambda given, earlier: (*_feature(given), earlier["dmu"], earlier["dvar"]),
            wrong.DX,
            _dx_hints,
            uses=("dmu", "dvar"),
            also_right=tuple(
                AlsoRight(by_hand(digits), _CANCELLED)
                for digits in _ROUNDED
                for by_hand in (steps.dx_by_hand, steps.dx_compact_by_hand)
            ),
        ),
        Part(
            "dmu",
            "(b) the gradient with respect to the mean",
            3,
            steps.dmu,
            lambda given, _: _feature(given),
            wrong.DMU,
            _dmu_hints,
        ),
        Part(
            "dvar",
            "(c) the gradient with respect to the variance",
            3,
            steps.dvar,
            lambda given, _: _feature(given),
            wrong.DVAR,
            _dvar_hints,
        ),
    ),
    draw=_draw_gradient,
)


# 3. Batch size


def _column(given: Given) -> tuple[Array, float]:
    return np.asarray(given["x"], dtype=float), given["eps"]


def _halves(given: Given) -> tuple[Array, float]:
    x, eps = _column(given)
    return x.reshape(2, -1), eps


def _each(compute: Callable[..., Array]) -> Callable[..., Array]:
    """What `compute` gives for each of the two batches by itself."""
    return lambda x, eps: np.stack([compute(batch, eps) for batch in x])


def _one_hints(given: Given) -> tuple[str, str, str]:
    x, eps = _column(given)
    return (
        "One batch has one mean and one variance.",
        "Take the mean and the variance of all values, then (x − μ) / √(σ² + ε).",
        f"μ = ({_numbers(x, ' + ')}) / {len(x)}; the first value: ({x[0]:g} − μ) / √(σ² + {eps:g}).",
    )


def _two_hints(given: Given) -> tuple[str, str, str]:
    batches, eps = _halves(given)
    first = batches[0]
    return (
        "Each batch knows only its own values.",
        "Do for each batch by itself what you did for the large one: its own mean, its own variance.",
        f"The first batch: μ = ({_numbers(first, ' + ')}) / {len(first)}; its first value: "
        f"({first[0]:g} − μ) / √(σ² + {eps:g}).",
    )


def _draw_batches(rng: Random) -> Given:
    # The variance of all is the mean of the two batches' variances plus the square of half the distance of their means,
    # and with these distances its root comes out as well.
    first, second, apart = choose(rng, ((_TWO, _TWO, 4), (_TWO, _SIX, 8), (_SIX, _TWO, 8)))
    low = choose(rng, range(3, 8))
    means = shuffled(rng, (low, low + apart))
    x = [m + d for m, family in zip(means, (first, second), strict=True) for d in shuffled(rng, choose(rng, family))]
    return {"x": tuple(x), "eps": 0.25}


BATCH_SIZE = Problem(
    name="batch-size",
    title="Batch size",
    given={"x": (1, 2, 3, 4, 5, 6), "eps": 0.01},
    parts=(
        Part(
            "one_batch",
            "(a) normalized as one batch of six",
            3,
            steps.normalized,
            lambda given, _: _column(given),
            (*wrong.NORMALIZED_ONE_FEATURE, wrong.SPLIT),
            _one_hints,
            also_right=_NORMALIZED_BY_HAND,
        ),
        Part(
            "two_batches",
            "(b) normalized as two batches of three",
            3,
            _each(steps.normalized),
            lambda given, _: _halves(given),
            (
                *(m.at(_each(m.compute)) for m in wrong.NORMALIZED_ONE_FEATURE),
                wrong.ONE_FOR_BOTH,
                wrong.FIRST_FOR_BOTH,
            ),
            _two_hints,
            also_right=tuple(AlsoRight(_each(way.compute)) for way in _NORMALIZED_BY_HAND),
        ),
    ),
    draw=_draw_batches,
)


# 4. Conditional Batch Normalization

BATCH, CLASS = "the statistics of the whole batch", "the statistics of each class"
# Of a constant smaller than this, nobody can see in the answer where it was added.
_VISIBLE_EPS = 0.001

Pair = tuple[float, float]


def _of_class(label: int) -> Callable[[Given, Arrays], tuple[Any, ...]]:
    """The arguments for one class: x, ε, the values its statistics are taken over, its (and the other's) γ and β."""

    def arguments(given: Given, _: Arrays) -> tuple[Any, ...]:
        x = np.asarray(given["x"][label], dtype=float)
        company = x if given["statistics"] == CLASS else np.asarray(given["x"], dtype=float).ravel()
        gamma, beta = given["gamma"], given["beta"]
        return x, given["eps"], company, (gamma[label], gamma[1 - label]), (beta[label], beta[1 - label])

    return arguments


def _conditional(x: Array, eps: float, company: Array, gamma: Pair, beta: Pair) -> Array:
    return gamma[0] * steps.normalized(x, eps, company.mean(), company.var()) + beta[0]


def _conditional_by_hand(digits: int) -> Callable[..., Array]:
    normalized = steps.normalized_by_hand(digits)

    def compute(x: Array, eps: float, company: Array, gamma: Pair, beta: Pair) -> Array:
        return gamma[0] * round_to(digits, normalized(x, eps, company.mean(), company.var())) + beta[0]

    return compute


def _then_scaled(m: Misconception) -> Misconception:
    """A mistake in normalizing, with the right γ and β after it."""

    def compute(x: Array, eps: float, company: Array, gamma: Pair, beta: Pair) -> Array:
        if m is wrong.EPS_OUTSIDE and eps < _VISIBLE_EPS:
            return np.full_like(x, np.nan)
        # As many values as the statistics were taken over, or ddof=1 would count those of the class.
        spread = company.var(ddof=1) if m is wrong.DDOF1 else company.var()
        normalize = steps.normalized if m is wrong.DDOF1 else m.compute
        return gamma[0] * normalize(x, eps, company.mean(), spread) + beta[0]

    return m.at(compute)


def _after_normalizing(m: Misconception) -> Misconception:
    """A mistake in scaling and shifting, after right normalized values."""

    def compute(x: Array, eps: float, company: Array, gamma: Pair, beta: Pair) -> Array:
        return m.compute(steps.normalized(x, eps, company.mean(), company.var()), gamma[0], beta[0])

    return m.at(compute)


_CONDITIONAL_MISTAKES = (
    *map(
        _then_scaled,
        (
            wrong.DDOF1,
            wrong.EPS_OUTSIDE,
            wrong.VARIANCE_FOR_DEVIATION,
            wrong.NOT_CENTRED,
            wrong.NOT_DIVIDED,
            wrong.TURNED_ROUND,
        ),
    ),
    *map(_after_normalizing, wrong.OUTPUT),
    wrong.OTHER_CLASS.at(
        lambda x, eps, company, gamma, beta: _conditional(x, eps, company, gamma[::-1], beta[::-1]),
    ),
)


def _conditional_hints(label: int) -> Callable[[Given], tuple[str, str, str]]:
    def hints(given: Given) -> tuple[str, str, str]:
        x, gamma, beta = given["x"][label], given["gamma"][label], given["beta"][label]
        return (
            "Two steps: normalize, then scale and shift. The second must know the class of the sample.",
            "y = γ · x̂ + β with the γ and β of the sample's class. Take μ and σ² of the whole batch, or of each class, "
            "and stay with it.",
            f"The first sample of this class: {gamma:g} · ({x[0]:g} − μ) / √(σ² + ε) {_added(beta)}.",
        )

    return hints


# 6 deviations from the mean whose mean square is 4 or 2.25. The latter are halves, as are those of 1, 2, 3, 4, 5, 6.
_OF_SIX = (
    (3, 2, -1, -1, -3, 0),
    (4, -2, -2, 0, 0, 0),
    (4, 1, -1, -1, -1, -2),
    (2.5, -2.5, 0.5, 0.5, -0.5, -0.5),
    (2.5, 1.5, -1.5, -1.5, -0.5, -0.5),
)


def _draw_classes(rng: Random) -> Given:
    family = choose(rng, _OF_SIX)
    sign = choose(rng, (-1, 1))
    middle = choose(rng, range(5, 10)) + family[0] % 1
    while True:
        x = [int(middle + sign * d) for d in shuffled(rng, family)]
        if len(set(x[:3])) > 1 and len(set(x[3:])) > 1:
            break
    return {
        "x": (tuple(x[:3]), tuple(x[3:])),
        "gamma": tuple(float(v) for v in shuffled(rng, (2, 3, 4))[:2]),
        "beta": tuple(float(v) for v in shuffled(rng, (-2, -1, 1, 5))[:2]),
    }


CONDITIONAL = Problem(
    name="conditional",
    title="Conditional Batch Normalization",
    given={"x": ((1, 2, 3), (4, 5, 6)), "gamma": (1.0, 2.0), "beta": (0.0, 1.0)},
    parts=tuple(
        Part(
            f"y{label}",
            f"({'ab'[label]}) the output of class {label}",
            5,
            _conditional,
            _of_class(label),
            _CONDITIONAL_MISTAKES,
            _conditional_hints(label),
            also_right=tuple(AlsoRight(_conditional_by_hand(digits)) for digits in _ROUNDED),
            carried=lambda x, eps, company, gamma, beta: _conditional(x, eps, company, gamma, (0, 0)),
        )
        for label in (0, 1)
    ),
    draw=_draw_classes,
    open=(
        # de Vries et al. (2017) take those of the whole batch.
        {BATCH: {"statistics": BATCH}, CLASS: {"statistics": CLASS}},
        {"ε = 0.01": {"eps": 0.01}, "ε = 1e-5": {"eps": 1e-5}, "ε = 0": {"eps": 0.0}},
    ),
)

# In the order of the course.
ALL = (BASIC_CALCULATION, BACKPROPAGATION, BATCH_SIZE, CONDITIONAL)
