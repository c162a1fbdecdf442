"""The course's problems as data: what is given, what is asked, and the reference answers, computed with `bn_lib`.

A problem's notebook, under `exercises/source`, repeats its numbers so that a learner needs nothing but NumPy; a test
holds the two together.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from bn_exercises.tolerance import Array
from bn_lib import Moments, batch_norm


@dataclass(frozen=True)
class Problem:
    """A problem with given numbers and named parts.

    Attributes:
        name: as in the file names of its notebook and its page of the book.
        title: as a reader sees it.
        given: the numbers that the problem states.
        points: what each part is worth; its keys are the parts' names, in order.
        solve: takes `given` and returns the reference answer to each part.
    """

    name: str
    title: str
    given: Mapping[str, Any]
    points: Mapping[str, int]
    solve: Callable[[Mapping[str, Any]], dict[str, Array]]

    def reference(self) -> dict[str, Array]:
        """The right answer to each part."""
        return self.solve(self.given)


def _forward(given: Mapping[str, Any]) -> dict[str, Array]:
    x = np.asarray(given["x"], dtype=float)
    features = x.shape[1]
    gamma, beta = np.full(features, float(given["gamma"])), np.full(features, float(given["beta"]))
    y, cache = batch_norm(x, gamma, beta, eps=given["eps"])
    moments = Moments.of(x, axis=0)
    return {
        "mean": moments.mean,
        "var": moments.var(),
        "x_hat": cache.x_hat,
        "y": y,
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
    points={"mean": 2, "var": 2, "x_hat": 3, "y": 3},
    solve=_forward,
)
