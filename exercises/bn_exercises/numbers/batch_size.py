"""Problem 3, Batch size: six values as one batch and as two."""

from collections.abc import Callable, Iterator
from random import Random
from typing import Any

import numpy as np

from bn_exercises import algorithm
from bn_exercises import misconceptions as wrong
from bn_exercises.numbers import rounded
from bn_exercises.numbers.calculation import AlsoRight, Part
from bn_exercises.numbers.hand import Hand
from bn_exercises.numbers.problem import NumberProblem
from bn_exercises.numbers.shared import SIX, TWO, column, joined
from bn_exercises.problem import Given, choose, shuffled
from bn_exercises.tolerance import Array


def _halves(given: Given) -> tuple[Array, float]:
    x, eps = column(given)
    return x.reshape(2, -1), eps


def _each(compute: Callable[..., Array]) -> Callable[..., Array]:
    """What `compute` gives for each of the two batches by itself."""
    return lambda x, eps: np.stack([compute(batch, eps) for batch in x])


def _one_hints(given: Given) -> tuple[str, str, str]:
    x, eps = column(given)
    return (
        "One batch has one mean and one variance.",
        "Take the mean and the variance of all values, then (x − μ) / √(σ² + ε).",
        f"μ = ({joined(x, ' + ')}) / {len(x)}; the first value: ({x[0]:g} − μ) / √(σ² + {eps:g}).",
    )


def _two_hints(given: Given) -> tuple[str, str, str]:
    batches, eps = _halves(given)
    first = batches[0]
    return (
        "Each batch knows only its own values.",
        "Do for each batch by itself what you did for the large one: its own mean, its own variance.",
        f"The first batch: μ = ({joined(first, ' + ')}) / {len(first)}; its first value: "
        f"({first[0]:g} − μ) / √(σ² + {eps:g}).",
    )


def _draw_batches(rng: Random) -> Given:
    # The variance of all is the mean of the two batches' variances plus the square of half the distance of their means,
    # and with these distances its root comes out as well.
    first, second, apart = choose(rng, ((TWO, TWO, 4), (TWO, SIX, 8), (SIX, TWO, 8)))
    low = choose(rng, range(3, 8))
    means = shuffled(rng, (low, low + apart))
    x = [m + d for m, family in zip(means, (first, second), strict=True) for d in shuffled(rng, choose(rng, family))]
    return {"x": tuple(x), "eps": 0.25}


def _batches_by_hand(given: Given, hand: Hand) -> Iterator[tuple[str, dict[str, Any]]]:
    x, eps = np.array(given["x"], dtype=float), given["eps"]
    halves = [hand.x_hat(half, eps, half) for half in x.reshape(2, -1)]
    yield "", {"one_batch": hand.x_hat(x, eps, x), "two_batches": np.stack(halves)}


BATCH_SIZE = NumberProblem(
    name="batch-size",
    title="Batch size",
    given={"x": (1, 2, 3, 4, 5, 6), "eps": 0.01},
    parts=(
        Part(
            "one_batch",
            "(a) normalized as one batch of six",
            3,
            algorithm.normalized,
            lambda given, _: column(given),
            (*wrong.NORMALIZED_ONE_FEATURE, wrong.SPLIT, wrong.SPLIT_IN_TWO),
            _one_hints,
            also_right=rounded.NORMALIZED,
        ),
        Part(
            "two_batches",
            "(b) normalized as two batches of three",
            3,
            _each(algorithm.normalized),
            lambda given, _: _halves(given),
            (
                *(m.at(_each(m.compute)) for m in wrong.NORMALIZED_ONE_FEATURE),
                wrong.ONE_FOR_BOTH,
                wrong.FIRST_FOR_BOTH,
            ),
            _two_hints,
            also_right=tuple(AlsoRight(_each(way.compute)) for way in rounded.NORMALIZED),
        ),
    ),
    draw=_draw_batches,
    by_hand=_batches_by_hand,
)
