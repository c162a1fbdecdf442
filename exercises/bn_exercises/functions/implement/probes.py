"""The inputs of `implement`: each makes something visible that others hide.

Only the numbers are drawn. What an input is there for (a variance far below eps, a large mean, a channel axis that no
other axis can be taken for) holds for every seed.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from random import Random

import numpy as np

from bn_exercises.functions.implement.styles import as_images
from bn_exercises.functions.probe import IMAGES, ROWS, SAME_NEAR_10000, Probe
from bn_exercises.functions.recording import ZERO
from bn_exercises.problem import choose, shuffled
from bn_exercises.tolerance import Array

WHERE = {
    "ordinary": "on an ordinary batch",
    "small": "where the values are near 0.001",
    "tiny": "where the values are near 0.00001",
    "wide": "where the values are spread over thousands",
    "square": "with as many samples as features",
    "constant": "with a feature that does not vary",
    "large": "where the values are near 100,000,000",
    "float32": "in float32, near 10,000",
    "two": "after two different batches",
    "single": "for a single row",
    "company": "for that row in company",
    "as ordinary": "with the statistics of an ordinary batch",
    "as small": "with the statistics of a batch near 0.001",
    "images": "for images",
}
# The function that each part asks for. Images ask for all four.
FUNCTION = {
    "forward": "forward",
    "backward": "backward",
    "frozen": "backward",
    "update_running": "update_running",
    "inference": "inference",
}
# Probes of `forward` and `backward` that come back in another part, with their statistics given and other rows: what is
# wrong in the function shows in both in the same numbers, whether it has a name or not.
AS = ("ordinary", "small")


def _columns(rng: Random, rows: int, means: Iterable[float], spread: float) -> Array:
    """(rows, C): each column around its mean, spread out so that no column is nearly constant."""
    columns = []
    for mean in means:
        steps = [(i + rng.random()) / rows - 0.5 for i in range(rows)]
        columns.append([mean + spread * step for step in shuffled(rng, steps)])
    return np.array(columns).T


def _signed(rng: Random, least: float, most: float, count: int) -> list[float]:
    return [choose(rng, (-1, 1)) * (least + (most - least) * rng.random()) for _ in range(count)]


@dataclass(frozen=True)
class _Batch:
    """What the probes of all functions are made of."""

    x: Array
    dy: Array
    gamma: Array
    beta: Array
    # Stored ones: not those of x.
    mean: Array
    var: Array


def _batch(rng: Random, rows: int, features: int, middle: float = 2.0, spread: float = 4.0) -> _Batch:
    """Means away from 0, gamma from 1 and 0, beta from 0; a gradient whose mean is not 0."""
    means = [middle * (1 + 0.3 * rng.random()) for _ in range(features)]
    return _Batch(
        x=_columns(rng, rows, means, spread),
        dy=_columns(rng, rows, _signed(rng, 0.5, 1.0, features), 3.0),
        gamma=np.array(_signed(rng, 1.4, 2.4, features)),
        beta=np.array(_signed(rng, 0.4, 0.9, features)),
        mean=np.array([mean + spread * (0.1 + 0.2 * rng.random()) for mean in means]),
        var=np.array([spread**2 * (0.2 + 0.3 * rng.random()) for _ in means]),
    )


def _in_float32(*arrays: Array) -> tuple[Array, ...]:
    return tuple(array.astype(np.float32) for array in arrays)


def all_probes(rng: Random) -> Iterator[Probe]:
    """Every input of every part."""
    ordinary = _batch(rng, 6, 4)
    # A variance of about 1e-7 beside eps = 1e-5: where eps stands is all that matters.
    small = _batch(rng, 3, 2, 1e-3, 1e-3)
    # Statistics of rows have the right shape.
    square = _batch(rng, 4, 4)
    constant = _batch(rng, 5, 3)
    # Exact in binary, so that its variance is exactly 0.
    constant = replace(constant, x=np.concatenate([np.full((5, 1), 2.5), constant.x[:, 1:]], axis=1))
    # So little spread that one pass, which sees multiples of 2 or 8, cannot meet the variance by chance.
    large = _batch(rng, 6, 3, 0.0, 2.0)
    large = replace(large, x=large.x + 1e8)
    single = _batch(rng, 6, 3, 0.0, 3.0)
    single = replace(single, x=single.x + 1e4)
    # All four lengths differ.
    shape = (2, 3, 5, 4)
    rows = _batch(rng, 40, 3)
    images, dy_images = as_images(rows.x, shape), as_images(rows.dy, shape)
    second = _batch(rng, 3, 4, -3.0)
    # New ones are drawn after the old ones, which so stay what they were.
    tiny = _batch(rng, 5, 3, 1e-5, 1e-5)
    wide = _batch(rng, 5, 3, 5e3, 1e4)
    # Three features: an array of two numbers can be taken for two statistics.
    small_update = _batch(rng, 4, 3, 1e-3, 1e-3)

    cases = [
        ("ordinary", ordinary, 0.1),
        ("small", small, 1e-5),
        ("square", square, 0.01),
        ("constant", constant, 0.01),
        ("large", large, 0.01),
        # Each ε is as large as the variance, so that it shows at every scale.
        ("tiny", tiny, 1e-11),
        ("wide", wide, 1e7),
    ]
    for name, b, eps in cases:
        yield Probe("forward", name, WHERE[name], "forward", (b.x, b.gamma, b.beta, eps))
        yield Probe("backward", name, WHERE[name], "backward", (b.dy, b.x, b.gamma, eps))
    b = single
    in_float32 = (*_in_float32(b.x, b.gamma, b.beta), 0.01)
    yield Probe("forward", "float32", WHERE["float32"], "forward", in_float32, SAME_NEAR_10000)
    in_float32 = (*_in_float32(b.dy, b.x, b.gamma), 0.01)
    yield Probe("backward", "float32", WHERE["float32"], "backward", in_float32, SAME_NEAR_10000)

    scales = (("ordinary", ordinary, 0.1), ("small", small, 1e-5), ("tiny", tiny, 1e-11), ("wide", wide, 1e7))
    for name, b, eps in scales:
        yield Probe("frozen", name, WHERE[name], "backward", (b.dy, b.x, b.gamma, eps, b.mean, b.var))
        yield Probe("inference", name, WHERE[name], "inference", (b.x, b.gamma, b.beta, b.mean, b.var, eps))
    b = square
    yield Probe("frozen", "single", WHERE["single"], "backward", (b.dy[:1], b.x[:1], b.gamma, 0.01, b.mean, b.var))
    for name, x in (("single", b.x[:1]), ("company", b.x[:3])):
        yield Probe("inference", name, WHERE[name], "inference", (x, b.gamma, b.beta, b.mean, b.var, 0.01))

    for name, b, eps in scales[: len(AS)]:
        of_batch = b.x.mean(axis=0), b.x.var(axis=0)
        some = (b.x[:2], b.gamma, b.beta, *of_batch, eps)
        yield Probe("inference", f"as {name}", WHERE[f"as {name}"], "inference", some)
        # Rows with dy = 0 add nothing, but whoever computes the statistics anew gets others.
        dy, x = np.concatenate([b.dy, 0 * b.dy[:2]]), np.concatenate([b.x, 3 * b.x[:2]])
        yield Probe("frozen", f"as {name}", WHERE[f"as {name}"], "backward", (dy, x, b.gamma, eps, *of_batch))

    updates = [
        ("ordinary", ordinary, (ordinary.x,), 0.1, ZERO),
        ("two", ordinary, (ordinary.x, second.x), 0.3, ZERO),
        ("large", large, (large.x,), 0.1, ZERO),
        # An ε added to a variance shows only where the variance is small.
        ("small", small_update, (small_update.x,), 0.1, ZERO * 1e-6),
        ("tiny", tiny, (tiny.x,), 0.1, ZERO * 1e-10),
        ("wide", wide, (wide.x,), 0.1, ZERO),
    ]
    for name, b, batches, momentum, zero in updates:
        moved = (b.mean, b.var, batches, momentum)
        yield Probe("update_running", name, WHERE[name], "update_running", moved, zero=zero)

    b = rows
    for name, x, dy in ((IMAGES, images, dy_images), (ROWS, rows.x, rows.dy)):
        for part, arguments in {
            "forward": (x, b.gamma, b.beta, 0.1),
            "backward": (dy, x, b.gamma, 0.1),
            "frozen": (dy, x, b.gamma, 0.1, b.mean, b.var),
            "update_running": (b.mean, b.var, (x,), 0.2),
            "inference": (x, b.gamma, b.beta, b.mean, b.var, 0.1),
        }.items():
            yield Probe("images", f"{part} {name}", WHERE["images"], FUNCTION[part], arguments)
