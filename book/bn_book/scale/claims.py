"""The claims of the chapter on scale."""

import math

from bn_book.claims import Claim
from bn_book.scale.experiments import DigitsStage, Sweep, digits_stages, rate_error, steps_slope, sweep_condition

_DIGITS = "Linear regression with a bias on 1437 digits, pixels from 0 to 1 without those that never vary"


def _steps_saved(before: DigitsStage, after: DigitsStage) -> float:
    return before.steps_to(0.01) / after.steps_to(0.01)


def _half(sweep: Sweep) -> Sweep:
    return sweep._replace(measured_rate=sweep.measured_rate / 2)


def _root(sweep: Sweep) -> Sweep:
    return sweep._replace(measured_steps=sweep.condition**0.5)


CLAIMS = (
    Claim(
        name="stable-rate-is-2-over-lambda-max",
        kind="an identity",
        says="Gradient descent on a quadratic diverges when the learning rate exceeds 2 / λ, where λ is the "
        "largest eigenvalue, and not before.",
        source="lecun1998efficient",
        run="Quadratics in 10 dimensions, condition numbers from 1 to 1000; bisection on runs of 1000 steps.",
        measure=lambda seed: rate_error(sweep_condition(seed=seed)),
        band=(0.0, 0.01),
        unit="largest relative difference between the measured limit and 2 / λ",
        wrong="1 / λ taken for the limit",
        gives=lambda: rate_error(_half(sweep_condition())),
    ),
    Claim(
        name="steps-grow-with-the-condition-number",
        kind="made by",
        says="The time to converge is proportional to the condition number.",
        source="lecun1998efficient",
        run="The same quadratics from condition number 10 up; steps to a thousandth of the distance at the best rate.",
        measure=lambda seed: steps_slope(sweep_condition(seed=seed)),
        band=(0.9, 1.1),
        unit="slope of log(steps) against log(condition number)",
        wrong="steps that grow with its root, as with momentum",
        gives=lambda: steps_slope(_root(sweep_condition())),
    ),
    Claim(
        name="means-make-a-large-eigenvalue",
        kind="made by",
        says="Inputs whose mean is not 0 create a very large eigenvalue.",
        source="lecun1998efficient",
        run=f"{_DIGITS}; before and after subtracting the means. Nothing is random.",
        measure=lambda _: digits_stages()[0].largest / digits_stages()[1].largest,
        band=(3.0, math.inf),
        unit="largest eigenvalue before divided by that after",
        wrong="divided by the deviations instead, from centered pixels",
        gives=lambda: digits_stages()[1].largest / digits_stages()[2].largest,
        seeds=1,
    ),
    Claim(
        name="standardizing-saves-steps",
        kind="made by",
        says="Convergence is faster when inputs are shifted to mean 0 and scaled to the same variance.",
        source="lecun1998efficient",
        run=f"{_DIGITS}; steps at 1 divided by the largest eigenvalue, to one percent of the excess training loss, raw "
        "and standardized. Nothing is random.",
        measure=lambda _: _steps_saved(digits_stages()[0], digits_stages()[2]),
        band=(2.0, math.inf),
        unit="steps on raw pixels divided by steps on standardized pixels",
        wrong="no difference",
        gives=lambda: _steps_saved(digits_stages()[0], digits_stages()[0]),
        seeds=1,
    ),
    Claim(
        name="standardizing-leaves-correlation",
        kind="made by",
        says="If the inputs are correlated, normalizing their variances does not make the error surface spherical.",
        source="lecun1998efficient",
        run=f"{_DIGITS}; standardized. Nothing is random.",
        measure=lambda _: digits_stages()[2].condition,
        band=(10.0, math.inf),
        unit="condition number (1 would be a sphere)",
        wrong="whitened inputs",
        gives=lambda: digits_stages()[3].condition,
        seeds=1,
    ),
)
