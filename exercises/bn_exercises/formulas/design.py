"""Adaptive normalization: what must hold for gamma(mu) and beta(mu), whatever a learner chose, and what breaks it.

Each property is a function of a design that returns what breaks it, with a name; nothing is compared with an answer,
because there is none. Reading a design, and its points, are the business of `problems.adaptive`; where a function
breaks is found in `smoothness`.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np

from bn_exercises.formulas.formula import Formula, Trouble
from bn_exercises.formulas.smoothness import GRID, Break, breaks
from bn_exercises.misconceptions import EPSILON
from bn_exercises.tolerance import Array
from bn_exercises.verdict import Link

PAGE = "exercises/adaptive"
FINITE = Link("Finite for any batch", "adaptive-finite", PAGE)
ADAPTS = Link("It depends on the mean", "adaptive-adapts", PAGE)
SMOOTH = Link("Differentiable everywhere", "adaptive-smooth", PAGE)
STABLE = Link("Stable where the variance vanishes", "adaptive-stable", PAGE)
SPECIAL_CASE = Link("Plain BN is a special case", "adaptive-special-case", PAGE)

# The names that a formula may use, beside its parameters.
OF_THE_BATCH = ("mu", "var", "sigma", "eps")

# Means nearer to 0 than a step of the grid is long.
_NEAR = 1e-3
_TINY = np.array([1e-300, 1e-200, 1e-100, 1e-30, 1e-8, 1e-6, 1e-4])
# So that a formula is seen to change that does so at one place only, as tanh(mu - 128).
_FINE = np.arange(-2000, 2001) / 4
_HUGE = np.logspace(5, 6, 41)
MEANS: Array = np.unique(np.concatenate([GRID, _TINY, -_TINY, _FINE, _HUGE, -_HUGE]))
_HALVINGS = 20
# The mean of a batch usually is at most so large.
USUAL_SIZE = 10
USUAL = np.abs(MEANS) <= USUAL_SIZE
# Three, because what is small beside beta = mu at a million need not be small where the means of batches are.
_RANGES = tuple(np.abs(MEANS) <= size for size in (USUAL_SIZE, _FINE[-1], MEANS[-1]))
_NEARLY_ALL = 0.99
SOME_MEANS = np.array([0, 0.5, -0.5, 3, -3])
VANISHING: Array = np.append(10.0 ** -np.arange(2, 31), 0)
# A sentence about a formula takes the first of them for which it is true.
SOME_VARIANCES = np.array([1, 0.25, 4])
LARGE_VARIANCES = 10.0 ** np.arange(1, 7)
# At this variance a formula with an eps of its own no longer changes, if that is 1e-12 or more.
_SETTLED = VANISHING == 1e-14
# From there to 1e-30 a power of the variance grows by so much, if its exponent is -1/5 or less.
_POWER = 1e3

# The widths of three searches for the steepest slope, each around the place that the one before found.
_WIDTHS = (4e-3, 1e-4, 4e-6)

# In units of the largest value: a change by less is rounding; a change by less cannot be seen in three digits.
CONSTANT = 1e-9
INVISIBLE = 1e-5


@dataclass(frozen=True)
class Mistake:
    """A way in which a design fails.

    Attributes:
        name: short, as in a table.
        says: why it matters, and what to do instead.
        see: the section of the book to read.
    """

    name: str
    says: str
    see: Link


POLE_AT_ZERO = Mistake(
    "pole at zero mean",
    "A batch may have the mean 0, and then something is divided by 0, or the logarithm of 0 is taken. A denominator "
    "such as 1 + mu**2 never vanishes.",
    FINITE,
)
POLE = Mistake(
    "pole",
    "Something is divided by what vanishes there. A denominator such as 1 + mu**2 never vanishes.",
    FINITE,
)
NOT_FOR_NEGATIVE = Mistake(
    "not defined for negative means",
    "A root, a logarithm or a fractional power is taken of the mean, and the mean of a batch may be negative.",
    FINITE,
)
NOT_FOR_POSITIVE = Mistake(
    "not defined for positive means",
    "A root, a logarithm or a fractional power is taken of what is negative there.",
    FINITE,
)
NOT_FOR_SOME = Mistake(
    "not defined for some means",
    "A root, a logarithm or a fractional power is taken of what is negative there, or 0 is divided by 0.",
    FINITE,
)
DIVIDES_BY_ZERO = Mistake(
    "division by zero",
    "Something is divided by 0, or the logarithm of 0 is taken, and the mean has no part in it.",
    FINITE,
)
TOO_LARGE = Mistake(
    "overflow",
    "A float64 holds numbers up to 1.8e308.",
    FINITE,
)
OVERFLOW = Mistake(
    "overflow for large means",
    "Something grows so fast there that no number can hold it. A bounded form does not: tanh(mu), sigmoid(mu), "
    "mu / sqrt(1 + mu**2).",
    FINITE,
)
NOT_FOR_LARGE_VARIANCES = Mistake(
    "not finite for large variances",
    "A batch may have any variance.",
    FINITE,
)
NOT_ADAPTIVE = Mistake(
    "does not adapt",
    "That is plain Batch Normalization, for which γ and β are the same whatever the mean of the batch is. Let the mean "
    "in: 1 + a * tanh(mu), with a parameter a other than 0.",
    ADAPTS,
)
KINK = Mistake(
    "kink",
    "The slope jumps there or is infinite, and the gradient with it. sqrt(mu**2 + c), softplus(mu) and tanh(mu) turn "
    "such corners smoothly.",
    SMOOTH,
)
JUMP = Mistake(
    "jump",
    "Two batches that hardly differ get different outputs, and no gradient tells of it. tanh(c * mu) goes the same way "
    "without a jump.",
    SMOOTH,
)
DIVIDES_BY_DEVIATION = Mistake(
    "divides by the batch's own deviation",
    "Something is divided by the variance itself, or by sigma, and a batch of nearly equal values makes it as large as "
    "you like. sqrt(var + eps) never vanishes.",
    EPSILON,
)
NOT_FOR_VANISHING = Mistake(
    "not defined as the variance vanishes",
    "A batch of equal values has the variance 0. Add eps where the variance stands: var + eps.",
    STABLE,
)
UNREACHABLE = Mistake(
    "plain BN cannot be reached",
    "There is no parameter that switches the dependence on the mean off. In 1 + a * tanh(mu) the parameter a does: "
    "a = 0 is plain BN, and training can go there.",
    SPECIAL_CASE,
)
NOT_PLAIN = Mistake(
    "not plain BN at these values",
    "In plain BN both are the same for every batch. Give the values of the parameters for which they are.",
    SPECIAL_CASE,
)
NOTHING_LEFT = Mistake(
    "γ vanishes at these values",
    "Then nothing of x̂ is left in the output. Plain BN has a γ other than 0: let the formula be 1 + ..., for example.",
    SPECIAL_CASE,
)
NOT_FINITE_WHEN_PLAIN = Mistake(
    "not defined at these values",
    "Plain BN must be one of the layers that the parameters allow, not a limit of them.",
    SPECIAL_CASE,
)


@dataclass(frozen=True)
class Fault:
    """A mistake that was found.

    Attributes:
        mistake: which.
        where: of what, and for which batches: a sentence.
    """

    mistake: Mistake
    where: str


@dataclass(frozen=True)
class Coefficient:
    """Gamma or beta, as a function of the statistics of the batch.

    Attributes:
        symbol: as the reader sees it.
        formula: as the learner wrote it.
        parameters: the values of its other names.
        eps: the layer's.
    """

    symbol: str
    formula: Formula
    parameters: Mapping[str, float]
    eps: float

    def __call__(self, mean: Any, var: Any = 1.0) -> Array:
        """Its values for these means and variances, which broadcast."""
        mean, var = np.broadcast_arrays(np.asarray(mean, dtype=float), np.asarray(var, dtype=float))
        return np.broadcast_to(self.formula(**self._names(mean, var)), mean.shape)

    def suspects(self, mean: Array, var: float = 1.0) -> list[Array]:
        """Quantities at whose zeros it may break."""
        return self.formula.suspects(**self._names(mean, np.full_like(mean, var)))

    def trouble(self, mean: float) -> Trouble | None:
        """What keeps it from being finite for this mean."""
        return self.formula.trouble(**self._names(np.asarray(mean), np.ones(())))

    def _names(self, mean: Array, var: Array) -> dict[str, Any]:
        return {"mu": mean, "var": var, "sigma": np.sqrt(var), "eps": self.eps, **self.parameters}

    @cached_property
    def values(self) -> Array:
        """At all of `MEANS`."""
        return self(MEANS)

    @cached_property
    def tables(self) -> list[Array]:
        """At all of `MEANS`, for each variance that has to be looked at."""
        return [self.values if var == 1 else self(MEANS, var) for var in self._variances]

    @cached_property
    def breaks(self) -> Mapping[float, list[Break]]:
        """Where it breaks as the mean changes, for each variance that has to be looked at: 1 is the first."""
        return {var: breaks(partial(self, var=var), partial(self.suspects, var=var)) for var in self._variances}

    @property
    def _variances(self) -> list[float]:
        depends = {"var", "sigma"} & self.formula.names
        return [float(var) for var in SOME_VARIANCES[: None if depends else 1]]

    def spread(self, where: Array) -> float:
        """How far its finite values for batches of one variance are from each other."""
        finite = (values[where & np.isfinite(values)] for values in self.tables)
        return max(float(np.ptp(values)) if len(values) else 0.0 for values in finite)

    def largest(self, where: Array) -> float:
        """The size of its largest finite value."""
        finite = (np.abs(values[where & np.isfinite(values)]) for values in self.tables)
        return max(float(values.max()) if len(values) else 0.0 for values in finite)


@dataclass(frozen=True)
class Design:
    """Gamma and beta, and the same with the parameters at which the layer is said to be plain BN, if it was said.

    Attributes:
        gamma: as designed.
        beta: as designed.
        plain: gamma and beta at the other values.
    """

    gamma: Coefficient
    beta: Coefficient
    plain: tuple[Coefficient, Coefficient] | None = None

    def __iter__(self) -> Iterator[Coefficient]:
        return iter((self.gamma, self.beta))

    @property
    def parameters(self) -> set[str]:
        """The parameters that stand in the formulas."""
        return {name for each in self for name in each.formula.names} - set(OF_THE_BATCH)

    @cached_property
    def faults(self) -> dict[str, list[Fault]]:
        """For each property what breaks it; nothing, if it holds."""
        return {name: find(self) for name, find in PROPERTIES.items()}

    @cached_property
    def effects(self) -> tuple[str, ...]:
        """What becomes of the mean that was subtracted, and of the scale, for means between -10 and 10."""
        return (_of_beta(self.beta), *_of_gamma(self.gamma))


# Finite for any batch


def not_finite(design: Design) -> list[Fault]:
    """For which batches gamma or beta has no value."""
    return [fault for each in design if (fault := _not_finite(each))]


def _not_finite(c: Coefficient) -> Fault | None:
    bad = ~np.isfinite(c.values)
    if not bad.any():
        if pole := _first(c, "pole", "undefined"):
            if _ends(c, pole.var):
                which = f"some means of batches with the variance {pole.var:g}"
                return Fault(NOT_FOR_SOME, f"{c.symbol} is not defined for {which}.")
            near = abs(pole.place) < _NEAR
            return Fault(POLE_AT_ZERO if near else POLE, f"{c.symbol} has a pole {pole.says}.")
        if not np.isfinite(c(SOME_MEANS[:, None], LARGE_VARIANCES)).all():
            return Fault(NOT_FOR_LARGE_VARIANCES, f"{c.symbol} is not finite for some large variances.")
        return None
    if (np.abs(MEANS[bad]) < _NEAR).all():
        return Fault(POLE_AT_ZERO, f"{c.symbol} is not finite for means near 0.")
    if bad.all():
        return _never_finite(c)
    nearest = np.flatnonzero(bad)[np.argmin(np.abs(MEANS[bad]))]
    beyond = MEANS[bad & (np.abs(MEANS) >= _NEAR)]
    trouble = c.trouble(beyond[np.argmin(np.abs(beyond))])
    # mu**mu is defined for whole numbers.
    below, above = bad[USUAL & (-_NEAR > MEANS)].mean(), bad[USUAL & (_NEAR < MEANS)].mean()
    for mistake, all_there, any_elsewhere in ((NOT_FOR_NEGATIVE, below, above), (NOT_FOR_POSITIVE, above, below)):
        if all_there > _NEARLY_ALL and not any_elsewhere and trouble != "overflow":
            divides = trouble == "divide"
            side = f"{'negative' if mistake is NOT_FOR_NEGATIVE else 'positive'} means"
            says = f"{c.symbol} is not finite for {side}." if divides else f"{c.symbol} is not defined for {side}."
            return Fault(POLE if divides else mistake, says)
    alone = not bad[max(nearest - 1, 0)] and not bad[min(nearest + 1, len(bad) - 1)]
    if alone:
        return Fault(POLE, f"{c.symbol} has a pole {_at(MEANS[nearest])}.")
    if _ends_at_a_zero(c, bad):
        return Fault(NOT_FOR_SOME, f"{c.symbol} is not defined for some means, for example {_at(MEANS[nearest])}.")
    return Fault(OVERFLOW, f"{c.symbol} is not finite for large means, from about {_number(_edge(c, nearest))} on.")


def _ends(c: Coefficient, var: float) -> bool:
    """Whether means side by side are without a value, and not only a pole is."""
    bad = ~np.isfinite(c(MEANS, var)) & (np.abs(MEANS) >= _NEAR)
    return bool((bad[1:] & bad[:-1]).any())


def _never_finite(c: Coefficient) -> Fault:
    """Why a coefficient is not finite for any mean."""
    troubles = {c.trouble(mean) for mean in SOME_MEANS if mean}
    if "divide" in troubles:
        return Fault(DIVIDES_BY_ZERO, f"{c.symbol} is not finite for any mean.")
    if "overflow" in troubles:
        return Fault(TOO_LARGE, f"{c.symbol} is too large for a number, whatever the mean is.")
    return Fault(NOT_FOR_SOME, f"{c.symbol} is not defined for any mean.")


def _edge(c: Coefficient, first: int) -> float:
    """Where the values end, between the first of `MEANS` without one and the one before it, nearer to 0."""
    bad, good = MEANS[first], MEANS[first - int(np.sign(MEANS[first]))]
    for _ in range(_HALVINGS):
        middle = (bad + good) / 2
        bad, good = (bad, middle) if np.isfinite(c(middle)) else (middle, good)
    return float(bad)


def _ends_at_a_zero(c: Coefficient, bad: Array) -> bool:
    """Whether the means without a value begin where a quantity inside of the formula changes its sign."""
    undefined = np.array([each.at for each in c.breaks[1.0] if each.kind == "undefined"])
    begins = np.flatnonzero(bad[1:] != bad[:-1])
    low, high = MEANS[begins], MEANS[begins + 1]
    return bool(((low[:, None] <= undefined) & (undefined <= high[:, None])).any())


@dataclass(frozen=True)
class _Broken:
    place: float
    var: float
    says: str


def _first(c: Coefficient, *kinds: str) -> _Broken | None:
    """The break of these kinds nearest to a mean of 0, at the first variance for which there is one."""
    for var, found in c.breaks.items():
        if places := [each.at for each in found if each.kind in kinds]:
            more = len(places) > 1
            at = f"{_at(places[0])}{', and elsewhere' if more else ''}"
            return _Broken(places[0], var, at if var == 1 else f"{at} for batches with the variance {var:g}")
    return None


# It depends on the mean


def not_adaptive(design: Design) -> list[Fault]:
    """Whether neither changes with the mean."""
    if changing(design):
        return []
    if not any("mu" in each.formula.names for each in design):
        return [Fault(NOT_ADAPTIVE, "The mean stands in neither formula.")]
    says = f"With these parameters neither γ nor β changes with the mean by more than {INVISIBLE:.3%} of their size."
    return [Fault(NOT_ADAPTIVE, says)]


def changing(design: Design) -> list[Coefficient]:
    """Those that change with the mean, in one of the ranges, so that an output may show it."""
    sizes = [INVISIBLE * max(each.largest(where) for each in design) for where in _RANGES]
    return [c for c in design if any(c.spread(where) > size for where, size in zip(_RANGES, sizes, strict=True))]


# Differentiable


def not_smooth(design: Design) -> list[Fault]:
    """Where gamma or beta, as far as they are defined, have a kink or a jump."""
    faults = []
    for each in design:
        for mistake in (JUMP, KINK):
            if broken := _first(each, mistake.name):
                says = f"{each.symbol} {'jumps' if mistake is JUMP else 'has a kink'} {broken.says}."
                faults.append(Fault(mistake, says))
    return faults


# Stable as the variance vanishes


def not_stable(design: Design) -> list[Fault]:
    """Whether gamma or beta grow without bound, or end, as the variance of a batch with the same mean goes to 0."""
    return [fault for each in design if (fault := _not_stable(each))]


def _not_stable(c: Coefficient) -> Fault | None:
    means = SOME_MEANS[np.isfinite(c(SOME_MEANS))]
    if not len(means):
        return None
    sizes = np.abs(c(means[:, None], VANISHING))
    positive, at_zero = sizes[:, :-1], sizes[:, -1]
    settled, least = sizes[:, _SETTLED][:, 0], positive[:, -1]
    if np.isinf(positive).any() or (least > _POWER * settled + 1).any():
        return Fault(DIVIDES_BY_DEVIATION, f"{c.symbol} grows without bound as the variance of the batch vanishes.")
    if not np.isfinite(positive).all():
        return Fault(NOT_FOR_VANISHING, f"{c.symbol} is not defined for some small variances.")
    if not np.isfinite(at_zero).all():
        return Fault(NOT_FOR_VANISHING, f"{c.symbol} is not finite for a batch of equal values.")
    if (np.maximum(least, at_zero) > 2 * settled + 1).any():
        return Fault(NOT_FOR_VANISHING, f"{c.symbol} keeps growing as the variance of the batch vanishes.")
    return None


# Plain BN is a special case


def not_plain(design: Design) -> list[Fault]:
    """Why the layer is not plain BN at the values given for that; without any, at those of the design itself."""
    plain = design.plain or (design.gamma, design.beta)
    faults = [fault for own, each in zip(design, plain, strict=True) if (fault := _not_plain(own, each))]
    if faults and not design.parameters:
        return [Fault(UNREACHABLE, "The formulas have no parameters.")]
    gamma = plain[0]
    if not faults and gamma.largest(USUAL) == 0:
        return [Fault(NOTHING_LEFT, "At the values given for plain BN, γ is 0.")]
    return faults


def _not_plain(own: Coefficient, c: Coefficient) -> Fault | None:
    """Whether a coefficient at the plain values still depends on the batch, where the design itself is defined."""
    defined = np.isfinite(own.values)
    if not np.isfinite(c.values[defined]).all():
        return Fault(NOT_FINITE_WHEN_PLAIN, f"At the values given for plain BN, {c.symbol} is not finite.")
    size = CONSTANT * c.largest(defined)
    if c.spread(defined) > size:
        return Fault(NOT_PLAIN, f"At the values given for plain BN, {c.symbol} still depends on the mean.")
    means = SOME_MEANS[np.isfinite(own(SOME_MEANS))]
    if (np.ptp(c(means[:, None], SOME_VARIANCES), axis=1) > size).any():
        return Fault(NOT_PLAIN, f"At the values given for plain BN, {c.symbol} still depends on the variance.")
    return None


PROPERTIES: Mapping[str, Callable[[Design], list[Fault]]] = {
    "finite": not_finite,
    "adapts": not_adaptive,
    "smooth": not_smooth,
    "stable": not_stable,
    "special_case": not_plain,
}


# What it does to the mean


def _slopes(c: Coefficient) -> tuple[Array, Array]:
    """Its finite slopes between neighbouring means, and these means. What is rounding is 0."""
    means = GRID[np.abs(GRID) <= USUAL_SIZE]
    values = c(means)
    with np.errstate(all="ignore"):
        slopes = np.diff(values) / np.diff(means)
    kept = np.isfinite(slopes)
    rounding = CONSTANT * np.maximum(np.abs(values[1:]), np.abs(values[:-1]))
    return np.where(np.abs(slopes) > rounding, slopes, 0)[kept], ((means[1:] + means[:-1]) / 2)[kept]


def _steepest(c: Coefficient, place: float) -> float:
    """Its largest slope near this mean, where it is largest between neighbouring means."""
    largest = 0.0
    for width in _WIDTHS:
        means = np.clip(place + np.linspace(-width, width, 201), -USUAL_SIZE, USUAL_SIZE)
        with np.errstate(all="ignore"):
            slopes = np.diff(c(means)) / np.diff(means)
        slopes[~np.isfinite(slopes)] = 0
        place, largest = float(means[np.argmax(slopes)]), float(slopes.max())
    return largest


def _for_usual(c: Coefficient, then: str) -> str:
    """For which batches this was seen; for any, if the mean does not stand in the formula."""
    if "mu" not in c.formula.names:
        return then
    of_one = {"var", "sigma"} & c.formula.names
    return f"For means between −{USUAL_SIZE} and {USUAL_SIZE}{' and the variance 1' if of_one else ''} {then}"


def _of_beta(beta: Coefficient) -> str:
    says = _for_usual(beta, f"it {_change_of_mean(beta)}")
    return f"The mean of the output is β. {says[:1].upper() + says[1:]}"


def _change_of_mean(beta: Coefficient) -> str:
    slopes, means = _slopes(beta)
    if not slopes.any():
        return "does not depend on μ: the mean that was subtracted stays removed."
    if (np.abs(slopes - 1) < INVISIBLE).all():
        return "changes exactly as μ does: the mean that was subtracted is added again."
    if (slopes >= 0).all():
        most = _steepest(beta, means[np.argmax(slopes)])
        if slopes.min() >= 1 - INVISIBLE:
            given_back = "more than what was subtracted is given back."
        elif most <= 1 + INVISIBLE:
            given_back = "what was subtracted is given back in part."
        else:
            given_back = "for some μ less than what was subtracted is given back, for others more."
        return f"grows with μ, at most {_number(most)} for each 1 of μ: {given_back}"
    if (slopes <= 0).all():
        return "falls as μ grows: batches with a high mean come out lower than others."
    return "grows for some μ and falls for others: two means may come out as one."


def _of_gamma(gamma: Coefficient) -> tuple[str, ...]:
    slopes, means = _slopes(gamma)
    if not slopes.any():
        return (_for_usual(gamma, "γ does not depend on μ: these batches are scaled alike."),)
    outward = slopes * np.sign(means)
    # Where the mean matters on one side only, that is not its size.
    of_size = outward[means < 0].any() and outward[means > 0].any()
    if of_size and (outward >= 0).all():
        change, effect = "γ grows with |μ|", "batches far from 0 are spread out more than others"
    elif of_size and (outward <= 0).all():
        change, effect = "γ falls as |μ| grows", "batches far from 0 are spread out less than others"
    elif (slopes >= 0).all():
        change, effect = "γ grows with μ", "batches with a high mean are spread out more than others"
    elif (slopes <= 0).all():
        change, effect = "γ falls as μ grows", "batches with a high mean are spread out less than others"
    else:
        change, effect = "γ grows for some μ and falls for others", ""
    values = gamma.values[USUAL & np.isfinite(gamma.values)]
    if values.min() < 0:  # what counts for the spread is |γ|
        effect = "where it is negative, the largest sample of a batch comes out smallest"
    says = _for_usual(gamma, f"{change}{': ' if effect else ''}{effect}.")
    jumps = any(each.kind == "jump" for each in gamma.breaks[1.0])
    if values.min() <= 0 <= values.max() and not jumps:
        return says, "γ is 0 for some μ on the way: then all samples of the batch come out equal."
    return (says,)


def _at(place: float) -> str:
    return f"at mu = {_number(0.0 if abs(place) < CONSTANT else place)}"


def _number(value: float) -> str:
    return f"{float(value):.3g}".replace("-", "−").replace("e+0", "e").replace("e+", "e").replace("e−0", "e−")
