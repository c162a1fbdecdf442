"""The inputs of `another_normalizer`: each makes something visible that others hide.

Only the numbers are drawn. What an input is there for (as many samples as channels, groups that differ from each other
and from groups of another size) holds for every seed.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from random import Random

import numpy as np

from bn_exercises.functions.implement import probes as of_batch_norm
from bn_exercises.functions.probe import IMAGES, ROWS, SAME_NEAR_10000, Probe
from bn_exercises.problem import choose, shuffled
from bn_exercises.tolerance import Array

WHERE = of_batch_norm.WHERE | {
    "square": "with as many samples as channels",
    "constant": "where numbers that share a mean do not vary",
}
FUNCTIONS = (
    "layer_norm",
    "layer_norm_backward",
    "group_norm",
    "group_norm_backward",
    "rms_norm",
    "rms_norm_backward",
)


@dataclass(frozen=True)
class _Batch:
    """What the probes of all functions are made of."""

    x: Array
    dy: Array
    gamma: Array
    beta: Array
    groups: int

    def arguments(self, function: str, eps: float) -> tuple[Array | float, ...]:
        """For one of `FUNCTIONS`."""
        groups = (self.groups,) if function.startswith("group") else ()
        if function.endswith("backward"):
            return (self.dy, self.x, self.gamma, *groups, eps)
        beta = () if function.startswith("rms") else (self.beta,)
        return (self.x, self.gamma, *beta, *groups, eps)


def _spread_out(rng: Random, count: int) -> list[float]:
    """Numbers from -1/2 to 1/2 in some order, no two of them near each other."""
    return shuffled(rng, [(i + 0.25 + 0.5 * rng.random()) / count - 0.5 for i in range(count)])


def _signed(rng: Random, least: float, most: float, count: int) -> list[float]:
    return [choose(rng, (-1, 1)) * (least + (most - least) * rng.random()) for _ in range(count)]


def _batch(
    rng: Random, samples: int, channels: int, groups: int, middle: float = 2.0, spread: float = 4.0, positions: int = 1
) -> _Batch:
    """Rows, or images laid out as rows. Every channel of every sample has a middle of its own, away from 0.

    gamma is away from 1 and 0, and differs inside of a group. The gradient's mean is not 0.
    """
    x, dy = [], []
    for _ in range(samples):
        middles = [middle * (1 + 0.3 * rng.random()) + spread * step for step in _spread_out(rng, channels)]
        x.append([m + 0.5 * spread * step for m in middles for step in _spread_out(rng, positions)])
        gradient = _signed(rng, 0.5, 1.0, 1)[0]
        dy.append([gradient + 3.0 * step for step in _spread_out(rng, channels * positions)])
    return _Batch(
        x=np.array(x),
        dy=np.array(dy),
        gamma=np.array(_signed(rng, 1.4, 2.4, channels)),
        beta=np.array(_signed(rng, 0.4, 0.9, channels)),
        groups=groups,
    )


def _in_float32(b: _Batch) -> _Batch:
    single = {name: getattr(b, name).astype(np.float32) for name in ("x", "dy", "gamma", "beta")}
    return replace(b, **single)


def all_probes(rng: Random) -> Iterator[Probe]:
    """Every input of every part."""
    # Two groups of three, three of two: of another number of groups than there are channels in one.
    ordinary = _batch(rng, 4, 6, 2)
    # A variance of about 1e-7 beside eps = 1e-5: where eps stands is all that matters.
    small = _batch(rng, 3, 6, 3, 1e-3, 1e-3)
    # Statistics of channels have the right shape for samples.
    square = _batch(rng, 6, 6, 3)
    constant = _batch(rng, 3, 6, 2)
    # Exact in binary, so that its variance is exactly 0. For RMS normalization it is the numbers themselves that are 0.
    rows = constant.x.copy()
    rows[1] = 2.5
    constant, zero = replace(constant, x=rows), replace(constant, x=np.where(rows == 2.5, 0.0, rows))
    # So little spread that one pass, which sees multiples of 2 or 8, cannot meet the variance by chance.
    large = _batch(rng, 3, 6, 2, 0.0, 2.0)
    large = replace(large, x=large.x + 1e8)
    single = _batch(rng, 3, 6, 2, 0.0, 3.0)
    single = _in_float32(replace(single, x=single.x + 1e4))
    tiny = _batch(rng, 5, 6, 2, 1e-5, 1e-5)
    wide = _batch(rng, 5, 6, 3, 5e3, 1e4)
    # All four lengths differ, the number of groups and their size do, and no two normalizers have as many means.
    shape, groups, positions = (4, 6, 3, 2), 3, 6
    flat = _batch(rng, 4, 6, groups, positions=positions)
    images = replace(flat, x=flat.x.reshape(shape), dy=flat.dy.reshape(shape))
    # The same numbers as rows: every position of a channel is one more channel, with that gamma and beta.
    flat = replace(flat, gamma=np.repeat(flat.gamma, positions), beta=np.repeat(flat.beta, positions))

    cases = [
        ("ordinary", ordinary, 0.1),
        ("small", small, 1e-5),
        ("square", square, 0.01),
        ("constant", constant, 0.01),
        ("large", large, 0.01),
        ("float32", single, 0.01),
        # Each ε is as large as the variance, so that it shows at every scale.
        ("tiny", tiny, 1e-11),
        ("wide", wide, 1e7),
    ]
    for function in FUNCTIONS:
        for name, b, eps in cases:
            b = zero if name == "constant" and function.startswith("rms") else b
            room = {"room": SAME_NEAR_10000} if name == "float32" else {}
            yield Probe(function, name, WHERE[name], function, b.arguments(function, eps), **room)
    for function in FUNCTIONS:
        for name, b in ((IMAGES, images), (ROWS, flat)):
            yield Probe("images", f"{function} {name}", WHERE["images"], function, b.arguments(function, 0.1))
