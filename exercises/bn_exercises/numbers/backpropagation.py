"""Problem 2, Backpropagation: the gradients of Batch Normalization for one feature."""

from collections.abc import Iterator
from random import Random
from typing import Any

import numpy as np

from bn_exercises import algorithm
from bn_exercises import misconceptions as wrong
from bn_exercises.numbers import rounded
from bn_exercises.numbers.calculation import AlsoRight, Part
from bn_exercises.numbers.hand import Hand
from bn_exercises.numbers.problem import NumberProblem
from bn_exercises.numbers.shared import SIX, TWO, joined
from bn_exercises.problem import Given, choose, shuffled
from bn_exercises.tolerance import BY_HAND, Array, Rounding
from bn_lib import batch_norm, batch_norm_backward


def _feature(given: Given) -> tuple[Array, Array, float]:
    return np.asarray(given["x"], dtype=float), np.asarray(given["dx_hat"], dtype=float), given["eps"]


_CANCELLED = (
    "Right, as far as a calculation in three digits carries. The three terms nearly cancel here, and that costs "
    "digits: carry six to see more."
)
_TOO_FEW = "The three terms nearly cancel, and two digits are too few to see what is left. Carry six on the way."
# What is carried in five digits is rounded to a hundredth of what three digits leave.
_IN_FIVE_DIGITS = 0.01


def _dx_hints(given: Given) -> tuple[str, str, str]:
    x, dx_hat, eps = _feature(given)
    m = len(x)
    return (
        "Three paths lead from x to the loss: straight, through the mean, through the variance. Do (b) and (c) first.",
        "Add the three: dx = dx̂ / √(σ² + ε) + dσ² · 2 (x − μ) / m + dμ / m.",
        f"The first sample: {dx_hat[0]:g} / √(σ² + {eps:g}) + dσ² · 2 ({x[0]:g} − μ) / {m} + dμ / {m}, "
        "with dμ from (b) and dσ² from (c). Carry six digits, because terms may nearly cancel.",
    )


def _dmu_hints(given: Given) -> tuple[str, str, str]:
    _, dx_hat, eps = _feature(given)
    return (
        "Every x̂ of the batch uses the mean.",
        "Add what comes back from all of them: each x̂ changes with μ by −1 / √(σ² + ε). "
        "Through the variance nothing comes, because Σ (x − μ) = 0.",
        f"dμ = −({joined(dx_hat, ' + ')}) / √(σ² + {eps:g}).",
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


def _terms_in_two_digits(x: Array, dx_hat: Array, eps: float, dmu: Array, dvar: Array) -> Array:
    r, m = Rounding(2), len(x)
    return r(dx_hat / algorithm.root(x, eps)) + r(dvar * 2 * (x - x.mean()) / m) + r(dmu / m)


def _draw_gradient(rng: Random) -> Given:
    mean = choose(rng, range(3, 10))
    deviations = shuffled(rng, choose(rng, (*TWO, *SIX)))
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


def _gradient_by_hand(given: Given, hand: Hand) -> Iterator[tuple[str, dict[str, Any]]]:
    x, dx_hat = (np.array(given[name], dtype=float) for name in ("x", "dx_hat"))
    r, over, centred, m = hand.r, hand.over, x - hand.mean(x), len(x)
    root = hand.root(x, given["eps"])
    total = r((dx_hat * centred).sum())
    dmu = r(over(-dx_hat.sum(), root))
    # The power -3/2: of the rounded reciprocal, or of the rounded root, itself rounded or not. The half first or last.
    cubed = r(r(1 / root) ** 3) if hand.inverses else 1 / r(root**3)
    dvars = {
        "power": -0.5 * total * cubed,
        "power in the head": -0.5 * total * (cubed if hand.inverses else 1 / root**3),
        "half last": -0.5 * r(total * cubed),
    }
    for way, dvar in dvars.items():
        dvar = r(dvar)
        three_paths = r(over(dx_hat, root)) + r(dvar * 2 * centred / m) + r(dmu / m)
        yield f", {way}, three paths", {"dx": three_paths, "dmu": dmu, "dvar": dvar}
        x_hat = r(over(centred, root))
        inside = r(dx_hat - r(dx_hat.mean()) - r(x_hat * r((dx_hat * x_hat).mean())))
        yield f", {way}, compact form", {"dx": over(inside, root), "dmu": dmu, "dvar": dvar}


BACKPROPAGATION = NumberProblem(
    name="backpropagation",
    title="Backpropagation",
    given={"x": (1, 2, 3), "dx_hat": (0.1, 0.2, 0.3), "eps": 0.01},
    parts=(
        Part(
            "dx",
            "(a) the gradient with respect to x",
            4,
            algorithm.dx,
            lambda given, earlier: (*_feature(given), earlier["dmu"], earlier["dvar"]),
            wrong.DX,
            _dx_hints,
            uses=("dmu", "dvar"),
            also_right=tuple(
                AlsoRight(by_hand(rounding), _CANCELLED)
                for rounding in BY_HAND
                for by_hand in (rounded.dx, rounded.dx_throughout, rounded.dx_compact)
            ),
            carried=lambda x, dx_hat, eps, dmu, dvar: np.full_like(
                x, _IN_FIVE_DIGITS * np.abs(dx_hat / algorithm.root(x, eps)).max()
            ),
            cut_short=(AlsoRight(_terms_in_two_digits, _TOO_FEW),),
        ),
        Part(
            "dmu",
            "(b) the gradient with respect to the mean",
            3,
            algorithm.dmu,
            lambda given, _: _feature(given),
            wrong.DMU,
            _dmu_hints,
            also_right=tuple(AlsoRight(rounded.dmu(rounding)) for rounding in BY_HAND),
        ),
        Part(
            "dvar",
            "(c) the gradient with respect to the variance",
            3,
            algorithm.dvar,
            lambda given, _: _feature(given),
            wrong.DVAR,
            _dvar_hints,
            also_right=tuple(
                AlsoRight(rounded.dvar(rounding, half_last=half_last))
                for rounding in BY_HAND
                for half_last in (False, True)
            ),
        ),
    ),
    draw=_draw_gradient,
    by_hand=_gradient_by_hand,
)
