"""Problem 1, Basic calculation: a batch of 4 samples and 3 features through the four lines of Algorithm 1."""

from collections.abc import Iterator
from random import Random
from typing import Any

import numpy as np

from bn_exercises import algorithm
from bn_exercises import misconceptions as wrong
from bn_exercises.numbers import rounded
from bn_exercises.numbers.calculation import Part
from bn_exercises.numbers.hand import Hand
from bn_exercises.numbers.problem import NumberProblem
from bn_exercises.numbers.shared import added, joined
from bn_exercises.problem import Given, choose, shuffled
from bn_exercises.tolerance import Array


def _table(given: Given) -> Array:
    return np.asarray(given["x"], dtype=float)


def _mean_hints(given: Given) -> tuple[str, str, str]:
    column = _table(given)[:, 0]
    return (
        "A feature is a column, a sample is a row.",
        "The mean of a feature is the sum of its column divided by the number of samples.",
        f"The first feature: ({joined(column, ' + ')}) / {len(column)}. The others in the same way.",
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
        f"Each value: {gamma:g} · x̂ {added(beta)}.",
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


def _table_by_hand(given: Given, hand: Hand) -> Iterator[tuple[str, dict[str, Any]]]:
    x = np.array(given["x"], dtype=float)
    x_hat = hand.x_hat(x, given["eps"], x)
    y = given["gamma"] * hand.r(x_hat) + given["beta"]
    yield "", {"mean": x.mean(axis=0), "var": hand.r(x.var(axis=0)), "x_hat": x_hat, "y": y}
    y = given["gamma"] * x_hat + given["beta"]
    yield ", x̂ on paper only", {"mean": x.mean(axis=0), "var": hand.r(x.var(axis=0)), "x_hat": hand.r(x_hat), "y": y}


BASIC_CALCULATION = NumberProblem(
    name="basic-calculation",
    title="Basic calculation",
    given={
        "x": ((2, 4, 6), (4, 6, 8), (6, 8, 10), (8, 10, 12)),
        "eps": 0.01,
        "gamma": 2.0,
        "beta": 1.0,
    },
    parts=(
        Part("mean", "(a) the mean", 2, algorithm.mean, lambda given, _: (_table(given),), wrong.MEAN, _mean_hints),
        Part(
            "var",
            "(b) the variance",
            2,
            algorithm.var,
            lambda given, earlier: (_table(given), earlier["mean"]),
            wrong.VAR,
            _var_hints,
            uses=("mean",),
        ),
        Part(
            "x_hat",
            "(c) the normalized values",
            3,
            algorithm.normalized,
            lambda given, earlier: (_table(given), given["eps"], earlier["mean"], earlier["var"]),
            wrong.NORMALIZED,
            _x_hat_hints,
            uses=("mean", "var"),
            also_right=rounded.NORMALIZED,
        ),
        Part(
            "y",
            "(d) the output",
            3,
            algorithm.output,
            lambda given, earlier: (earlier["x_hat"], given["gamma"], given["beta"]),
            wrong.OUTPUT,
            _y_hints,
            uses=("x_hat",),
            carried=lambda x_hat, gamma, beta: gamma * x_hat,
        ),
    ),
    draw=_draw_table,
    by_hand=_table_by_hand,
)
