"""Where a function of one variable breaks: kinks, jumps, poles, and places where it is not defined.

Nothing is searched for blindly. A formula can only break where a quantity inside of it vanishes (`Formula.suspects`),
so these zeros are found first, and the function is looked at closely there and nowhere else. However sharp it is,
tanh(1000 * mu) has no such place and passes.

What is resolved:

- zeros of a quantity that lie 0.002 apart between -10 and 10, and 2 % apart from there to 100,000 on either side;
- a smooth transition through such a zero, as in sqrt(mu**2 + w**2), that is wider than w = 1e-7;
- a jump, or a change of slope, of one millionth of the function's size.

A break is looked at from near and from nearer, and must be there both times: what only looks like one because the
function goes up and down between the points, as sin(mu)**2 does where these lie 0.1 apart, is gone from nearer. Beyond
100,000 float64 leaves no room to come nearer, and nothing is said.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from bn_exercises.tolerance import Array

Kind: TypeAlias = Literal["kink", "jump", "pole", "undefined"]
Function: TypeAlias = Callable[[Array], Array]
Suspects: TypeAlias = Callable[[Array], list[Array]]

FAR = 1e5
_OUTER = np.logspace(1, np.log10(FAR), 401)[1:]
_INNER = np.arange(-5000, 5001) / 500
GRID: Array = np.concatenate([-_OUTER[::-1], _INNER, _OUTER])

# The distances from which a place is looked at: short beside every scale that is resolved, long beside rounding.
_OFFSETS = 2.0 ** -np.arange(20, 25)
_NEARER = 2.0**-7
# Where an analytic quantity touches zero between two points of the grid, it is at most a ninth of its neighbours there.
_FALLS = 0.2
# It is taken to touch zero if its least value is so small beside the values at the next points.
_TOUCHES = 1e-10
# Values at half the distance each time settle if their steps shrink, at least by this factor.
_SHRINKS = 0.96
# What is seen, and what may be rounding, in units of the function's size: 1e-16 of it in a value, 1e-8 in a slope.
_SEEN = 1e-6
_ROUNDING = 1e-8
# Places looked at: those nearest to zero. A function that breaks more often has been seen to break.
_MOST_PLACES = 500
_HALVINGS = 56
_THIRDS = 64


@dataclass(frozen=True)
class Break:
    """A place where a function breaks.

    Attributes:
        at: where.
        kind: "kink" (there is no derivative), "jump", "pole" (no limit, or an infinite one), or "undefined": at the
            place itself or on one side of it there is no finite value.
    """

    at: float
    kind: Kind


def breaks(function: Function, suspects: Suspects) -> list[Break]:
    """Every break on the grid, those nearest to zero first.

    Args:
        function: takes an array of any shape and returns one of that shape.
        suspects: takes the same; quantities such that the function is smooth wherever none of them vanishes.
    """
    places = _zeros(suspects)
    if not len(places):
        return []
    usual = np.abs(function(_INNER))
    usual = usual[np.isfinite(usual) & (usual > 0)]
    least = np.median(usual) if len(usual) else 0
    seen, nearer = (_looked_at(function, places, offsets, least) for offsets in (_OFFSETS, _NEARER * _OFFSETS))
    return [Break(float(at), kind) for at, kind, also in zip(places, seen, nearer, strict=True) if kind and also]


def _looked_at(function: Function, places: Array, offsets: Array, least: float) -> list[Kind | None]:
    """What happens at each place, seen from these distances, in units of the place. The function's size: `least`."""
    offsets = np.maximum(1, np.abs(places))[:, None] * offsets
    here = function(places)
    right, left = (function(places[:, None] + side * offsets) for side in (1, -1))
    size = np.maximum(np.abs(np.concatenate([right, left], axis=1)).max(axis=1), least)
    with np.errstate(all="ignore"):
        return _kinds(here, right, left, offsets, size + 1e-300)


def _kinds(here: Array, right: Array, left: Array, offsets: Array, size: Array) -> list[Kind | None]:
    """What happens at each place, from the values there and at shrinking distances on either side."""
    slopes = [np.diff(side, axis=1) / np.diff(offsets, axis=1) for side in (right, -left)]
    gaps = [right - left, right - here[:, None], left - here[:, None]]
    undefined = ~np.isfinite(np.concatenate([here[:, None], right, left], axis=1)).all(axis=1)
    pole = _is_unsettled(right, size) | _is_unsettled(left, size)
    jump = np.any([_has_limit(gap, size) for gap in gaps], axis=0)
    kink = np.any([*(_is_unsettled(slope, size) for slope in slopes), _has_limit(slopes[0] - slopes[1], size)], axis=0)
    kinds: list[Kind | None] = ["undefined", "pole", "jump", "kink", None]
    return [kinds[i] for i in np.argmax([undefined, pole, jump, kink, np.ones_like(kink)], axis=0)]


def _is_unsettled(values: Array, size: Array) -> Array:
    """Whether values at shrinking distances have no finite limit: their steps do not shrink."""
    steps = np.abs(np.diff(values, axis=1))
    return (steps[:, -1] > _SEEN * size) & (steps[:, -1] >= _SHRINKS * steps[:, -2])


def _has_limit(values: Array, size: Array) -> Array:
    """Whether values at shrinking distances have another limit than 0.

    Aitken's extrapolation: exact for a limit plus a power of the distance, whatever the power is.
    """
    last, steps = values[:, -1], np.diff(values, axis=1)
    correction = steps[:, -1] ** 2 / (steps[:, -1] - steps[:, -2])
    limit = np.where(np.abs(steps[:, -1]) > _ROUNDING * size, last - correction, last)
    return np.abs(limit) > _SEEN * size


def _zeros(suspects: Suspects) -> Array:
    """Where one of the quantities vanishes, whether it changes its sign there or only touches zero."""
    quantities = [np.broadcast_to(each, GRID.shape) for each in suspects(GRID)]
    if not quantities:
        return np.empty(0)
    values = np.stack(quantities)
    with np.errstate(all="ignore"):
        size = np.abs(values)
        before, here, after = size[:, :-2], size[:, 1:-1], size[:, 2:]
        exact = (here == 0) & (before != 0) & (after != 0)
        crossing = values[:, :-1] * values[:, 1:] < 0
        least = (here > 0) & (here <= before) & (here <= after) & (here < _FALLS * np.maximum(before, after))
    row, column = np.nonzero(exact)
    found = [GRID[column + 1]]
    row, column = _nearest(crossing, GRID[:-1])
    found.append(_bisected(suspects, row, GRID[column], GRID[column + 1]))
    row, column = _nearest(least, GRID[1:-1])
    place, value = _minimized(suspects, row, GRID[column], GRID[column + 2])
    found.append(place[value <= _TOUCHES * np.maximum(before[row, column], after[row, column])])
    places = np.unique(np.concatenate(found)) + 0.0  # no -0
    apart = np.diff(places, prepend=-np.inf) > 1e-9 * np.maximum(1, np.abs(places))
    places = places[apart]
    return places[np.argsort(np.abs(places), kind="stable")][:_MOST_PLACES]


def _nearest(marked: Array, grid: Array) -> tuple[Array, Array]:
    """The rows and columns of what is marked, nearest to zero first, and not too many."""
    row, column = np.nonzero(marked)
    order = np.argsort(np.abs(grid[column]), kind="stable")[:_MOST_PLACES]
    return row[order], column[order]


def _of(suspects: Suspects, row: Array, at: Array) -> Array:
    """For each place, the quantity of that row."""
    values = np.stack([np.broadcast_to(each, at.shape) for each in suspects(at)])
    return values[row, np.arange(len(at))]


def _bisected(suspects: Suspects, row: Array, low: Array, high: Array) -> Array:
    """Where the quantities change their signs between `low` and `high`, to the last bit."""
    if not len(row):
        return low
    below = _of(suspects, row, low) < 0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        to_low = (_of(suspects, row, middle) < 0) == below
        low, high = np.where(to_low, middle, low), np.where(to_low, high, middle)
    return high


def _minimized(suspects: Suspects, row: Array, low: Array, high: Array) -> tuple[Array, Array]:
    """Where the quantities are smallest between `low` and `high`, and how small: thirds, until nothing is left."""
    if not len(row):
        return low, low
    for _ in range(_THIRDS):
        third = (high - low) / 3
        one, two = low + third, high - third
        in_first = np.abs(_of(suspects, row, one)) <= np.abs(_of(suspects, row, two))
        low, high = np.where(in_first, low, one), np.where(in_first, two, high)
    place = (low + high) / 2
    return place, np.abs(_of(suspects, row, place))
