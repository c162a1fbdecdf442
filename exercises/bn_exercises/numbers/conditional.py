"""Problem 4, Conditional Batch Normalization: two classes, each with its own gamma and beta."""

from collections.abc import Callable, Iterator
from random import Random
from typing import Any, TypeAlias

import numpy as np

from bn_exercises import algorithm
from bn_exercises import misconceptions as wrong
from bn_exercises.misconceptions import Misconception
from bn_exercises.numbers import rounded
from bn_exercises.numbers.calculation import AlsoRight, Arrays, Part
from bn_exercises.numbers.hand import Hand
from bn_exercises.numbers.problem import NumberProblem
from bn_exercises.numbers.shared import added
from bn_exercises.problem import Given, choose, shuffled
from bn_exercises.tolerance import BY_HAND, Array, Rounding

BATCH, CLASS = "the statistics of the whole batch", "the statistics of each class"
# Of a constant smaller than this, nobody can see in the answer where it was added.
_VISIBLE_EPS = 0.001

Pair: TypeAlias = tuple[float, float]
PairOfArrays: TypeAlias = tuple[Array, Array]


def _of_class(label: int) -> Callable[[Given, Arrays], tuple[Any, ...]]:
    """The arguments for one class: x, ε, then what is its own and what is not.

    That is: the values its statistics are taken over, and those of the other way to read the problem; its γ and the
    other class's; its β and the other class's.
    """

    def arguments(given: Given, _: Arrays) -> tuple[Any, ...]:
        x = np.asarray(given["x"][label], dtype=float)
        batch = np.asarray(given["x"], dtype=float).ravel()
        company = (x, batch) if given["statistics"] == CLASS else (batch, x)
        gamma, beta = given["gamma"], given["beta"]
        return x, given["eps"], company, (gamma[label], gamma[1 - label]), (beta[label], beta[1 - label])

    return arguments


def _conditional(x: Array, eps: float, company: PairOfArrays, gamma: Pair, beta: Pair) -> Array:
    return gamma[0] * algorithm.normalized(x, eps, company[0].mean(), company[0].var()) + beta[0]


def _conditional_by_hand(rounding: Rounding) -> Callable[..., Array]:
    normalized = rounded.normalized(rounding)

    def compute(x: Array, eps: float, company: PairOfArrays, gamma: Pair, beta: Pair) -> Array:
        return gamma[0] * rounding(normalized(x, eps, company[0].mean(), company[0].var())) + beta[0]

    return compute


def _then_scaled(m: Misconception) -> Misconception:
    """A mistake in normalizing, with the right γ and β after it."""

    def compute(x: Array, eps: float, company: PairOfArrays, gamma: Pair, beta: Pair) -> Array:
        if m is wrong.EPS_OUTSIDE and eps < _VISIBLE_EPS:
            return np.full_like(x, np.nan)
        # As many values as the statistics were taken over, or ddof=1 would count those of the class.
        spread = company[0].var(ddof=1) if m is wrong.DDOF1 else company[0].var()
        normalize = algorithm.normalized if m is wrong.DDOF1 else m.compute
        return gamma[0] * normalize(x, eps, company[0].mean(), spread) + beta[0]

    return m.at(compute)


def _after_normalizing(m: Misconception) -> Misconception:
    """A mistake in scaling and shifting, after right normalized values."""

    def compute(x: Array, eps: float, company: PairOfArrays, gamma: Pair, beta: Pair) -> Array:
        return m.compute(algorithm.normalized(x, eps, company[0].mean(), company[0].var()), gamma[0], beta[0])

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
    wrong.STATISTICS_MIXED.at(
        lambda x, eps, company, gamma, beta: gamma[0] * wrong.STATISTICS_MIXED.compute(x, eps, *company) + beta[0],
    ),
    wrong.STATISTICS_MIXED.at(
        lambda x, eps, company, gamma, beta: (
            gamma[0] * wrong.STATISTICS_MIXED.compute(x, eps, *company[::-1]) + beta[0]
        ),
    ),
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
            f"The first sample of this class: {gamma:g} · ({x[0]:g} − μ) / √(σ² + ε) {added(beta)}.",
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


def _classes_by_hand(given: Given, hand: Hand) -> Iterator[tuple[str, dict[str, Any]]]:
    classes = [np.array(x, dtype=float) for x in given["x"]]
    answers = {}
    for label, x in enumerate(classes):
        company = x if given["statistics"] == CLASS else np.concatenate(classes)
        x_hat = hand.r(hand.x_hat(x, given["eps"], company))
        answers[f"y{label}"] = given["gamma"][label] * x_hat + given["beta"][label]
    yield "", answers


CONDITIONAL = NumberProblem(
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
            also_right=tuple(AlsoRight(_conditional_by_hand(rounding)) for rounding in BY_HAND),
            carried=lambda x, eps, company, gamma, beta: _conditional(x, eps, company, gamma, (0, 0)),
        )
        for label in (0, 1)
    ),
    draw=_draw_classes,
    by_hand=_classes_by_hand,
    open=(
        # de Vries et al. (2017) take those of the whole batch.
        {BATCH: {"statistics": BATCH}, CLASS: {"statistics": CLASS}},
        {"ε = 0.01": {"eps": 0.01}, "ε = 10⁻⁵": {"eps": 1e-5}, "ε = 0": {"eps": 0.0}},
    ),
)
