"""The claims of the chapter on the backward pass."""

import math

import numpy as np

from bn_book.backward.experiments import (
    PATHS,
    Path,
    best_step,
    gradient_times_scale,
    runaway_bias,
    train_along,
)
from bn_book.claims import Claim

_RUNAWAY = "Dense, BN, ReLU, Dense on one mini-batch of 60 digits, only the first bias trained, 200 steps"
_NO_MEAN: tuple[Path, ...] = ("direct", "variance")
_NO_VARIANCE: tuple[Path, ...] = ("direct", "mean")


def _growth(bias: "np.ndarray") -> float:
    return float(bias[199] / bias[19])


def _loss_ratio(paths: tuple[Path, ...], seed: int) -> float:
    """Training loss of the last 50 steps along some of the paths, as a multiple of that along all three."""
    some, all_three = (train_along(each, seed=seed).loss[-50:].mean() for each in (paths, PATHS))
    return float(some / all_three)


CLAIMS = (
    Claim(
        name="ignored-mean-lets-the-bias-grow",
        kind="put to the test",
        says="If the gradient ignores that the mean depends on the bias, the bias grows indefinitely. (Our addition: "
        "at a constant rate, because the output and so the gradient stay what they are.)",
        source="ioffe2015batch",
        run=f"{_RUNAWAY}.",
        measure=lambda seed: _growth(runaway_bias(seed=seed).bias),
        band=(9.5, 10.5),
        unit="bias after 200 steps / bias after 20",
        wrong="a bias that comes to rest, as where all weights are trained",
        gives=lambda: _growth(train_along(_NO_MEAN).bias),
    ),
    Claim(
        name="ignored-mean-leaves-the-loss-fixed",
        kind="made by",
        says="While that bias grows, the loss stays fixed.",
        source="ioffe2015batch",
        run="The same run.",
        measure=lambda seed: float(np.ptp(runaway_bias(seed=seed).loss)),
        band=(0.0, 1e-9),
        unit="largest change of the loss, nats",
        wrong="a network that learns",
        gives=lambda: float(np.ptp(train_along(_NO_MEAN).loss)),
    ),
    Claim(
        name="ignored-mean-hurts-training",
        kind="made by",
        says="Training with normalization statistics outside the gradient goes wrong.",
        source="ioffe2015batch",
        run="Digits, ReLU network 64-64-64-10 with BN, 13 epochs of SGD at 0.1, with and without the mean's path.",
        measure=lambda seed: _loss_ratio(_NO_MEAN, seed),
        band=(1.5, math.inf),
        unit="training loss of the last 50 steps, without / with",
        wrong="the other path left out, the variance's",
        gives=lambda: _loss_ratio(_NO_VARIANCE, 0),
    ),
    Claim(
        name="larger-weights-smaller-gradients",
        kind="an identity",
        says="Weights before BN that are a times as large get a gradient that is a times as small.",
        source="ioffe2015batch",
        run="Dense, BN, ReLU, Dense on 60 digits in float64, a = 10.",
        measure=lambda seed: gradient_times_scale(seed=seed),
        band=(0.99, 1.01),
        unit="a × |gradient at a W| / |gradient at W|",
        wrong="the same without BN",
        gives=lambda: gradient_times_scale(with_bn=False),
    ),
    Claim(
        name="best-step-is-a-cube-root",
        kind="made by",
        says="Central differences are most accurate for a step near the cube root of the unit roundoff.",
        source="nocedal2006numerical",
        run="BN of 8 x 3 values in float64, h from 1e-10 to 1e-3, median error of four batches for a seed.",
        measure=lambda seed: best_step(central=True, seed=seed),
        band=(0.1, 10.0),
        unit="best h / cube root of 2⁻⁵³",
        wrong="one-sided differences",
        gives=lambda: best_step(central=False),
    ),
)
