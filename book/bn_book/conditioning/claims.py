"""The claims of the chapter on conditioning, and those that did not reproduce."""

import math

import numpy as np

from bn_book.claims import Claim
from bn_book.conditioning.experiments import (
    DEEP_RATES,
    at_best,
    descend,
    difference_at_start,
    growth,
    largest,
    lead,
    rates_reached,
    spectrum,
    stands_out,
)

_NETWORK = "Digits, two hidden layers of 50 sigmoids"
_SWEEP = f"{_NETWORK}, mini-batches of 60, seven learning rates from 0.03 to 30; steps to 90 percent of the test digits"
_SMALL = "360 digits of 4 x 4 pixels, two hidden layers of 8 sigmoids, all eigenvalues"
_DEEP = "Digits, six hidden layers of 50 ReLUs"


def _held_over_batch(steps: int, seed: int) -> float:
    return largest("BN, statistics held", steps, seed=seed) / largest("BN", steps, seed=seed)


def _at_the_edge(seed: int) -> float:
    """Learning rate * largest eigenvalue / 2 over the last third of the measured moments."""
    run = descend("standardized once", 0.5, small=True, steps=200, moments=10, seed=seed)
    return float(np.mean(run.product[-3:]))


def _grows_with_depth(rate: float, seed: int) -> float:
    layers = growth("plain", rate, seed=seed)
    return layers[-1] / layers[0]


CLAIMS = (
    Claim(
        name="standardized-once-is-bn-at-the-start",
        kind="an identity",
        says="A network whose weights are rescaled by data until every unit has mean 0 and variance 1 computes what "
        "the same network with BN computes on these data before its first step.",
        source="salimans2016weight",
        run=f"{_NETWORK}, 300 images in one batch, float64.",
        measure=difference_at_start,
        band=(0.0, 1e-9),
        unit="largest difference of an output",
        wrong="the standardized network against the one that was not",
        gives=lambda: difference_at_start(0, once="plain"),
    ),
    Claim(
        name="initialization-buys-much-of-the-speed",
        kind="put to the test",
        says="From a start with variance 1 in every layer a network learns at least as fast as with schemes made for "
        "very deep ones. Our test: each at its best learning rate, it needs at most half the steps of the plain one.",
        source="mishkin2016good",
        run=f"{_SWEEP}.",
        measure=lambda seed: at_best("plain", seed=seed) / at_best("standardized once", seed=seed),
        band=(2.0, math.inf),
        unit="steps of plain / steps of standardized once",
        wrong="no difference",
        gives=lambda: 1.0,
    ),
    Claim(
        name="bn-is-faster-at-its-best-rate",
        kind="made by",
        says="BN speeds up training: it reaches an accuracy in fewer steps. Here with the best rate for each, against "
        "the network that was standardized once.",
        source="ioffe2015batch",
        run=f"{_SWEEP}.",
        measure=lambda seed: at_best("standardized once", seed=seed) / at_best("BN", seed=seed),
        band=(1.2, math.inf),
        unit="steps of standardized once / steps of BN",
        wrong="no difference",
        gives=lambda: 1.0,
    ),
    Claim(
        name="bn-trains-at-more-rates",
        kind="put to the test",
        says="BN allows much higher learning rates, and one need be less careful with the initialization. Our test: it "
        "trains at two rates or more at which the network that was standardized once does not.",
        source="ioffe2015batch",
        run=f"{_SWEEP}, at most 400.",
        measure=lambda seed: rates_reached("BN", seed=seed) - rates_reached("standardized once", seed=seed),
        band=(2.0, 7.0),
        unit="rates of seven, BN minus standardized once",
        wrong="the range of the network with larger weights",
        gives=lambda: rates_reached("larger weights", seed=0) - rates_reached("standardized once", seed=0),
    ),
    Claim(
        name="at-a-small-rate-bn-loses-most-of-its-lead",
        kind="made by",
        says="BN primarily enables training with larger learning rates, and this is the cause of its faster "
        "convergence: at a small rate the network without it is hardly slower.",
        source="bjorck2018understanding",
        run=f"{_DEEP}; rates from 0.01 to 1. Lead: steps without BN divided by steps with it.",
        measure=lambda seed: lead("plain", "BN", 0.01, DEEP_RATES, deep=True, seed=seed),
        band=(0.0, 0.5),
        unit="lead at a rate of 0.01 / lead at the best rate of each",
        wrong="the same lead at every rate",
        gives=lambda: 1.0,
    ),
    Claim(
        name="at-a-small-rate-bn-loses-its-lead-with-sigmoids",
        kind="put to the test",
        says="BN primarily enables training with larger learning rates, and this is the cause of its faster "
        "convergence: also with sigmoids its lead over the network that was standardized once is less at a small rate.",
        source="bjorck2018understanding",
        run=f"{_SWEEP}.",
        measure=lambda seed: lead("standardized once", "BN", 0.1, seed=seed),
        band=(0.0, 0.5),
        unit="lead at a rate of 0.1 / lead at the best rate of each",
        wrong="the same lead at every rate",
        gives=lambda: 1.0,
        reproduces=False,
    ),
    Claim(
        name="activations-grow-with-depth-after-large-steps",
        kind="made by",
        says="Without BN, large gradient updates make activations grow uncontrollably with depth.",
        source="bjorck2018understanding",
        run=f"{_DEEP}; three steps at a rate of 3, outputs of each layer over 500 images.",
        measure=lambda seed: _grows_with_depth(3.0, seed),
        band=(10.0, math.inf),
        unit="growth of the last layer's outputs / growth of the first layer's",
        wrong="three steps at a rate of 0.03",
        gives=lambda: _grows_with_depth(0.03, 0),
    ),
    Claim(
        name="statistics-lower-the-curvature",
        kind="put to the test",
        says="Large isolated eigenvalues are almost absent with BN. Our test: it is the statistics of the batch that "
        "remove them. With the same weights the largest eigenvalue is several times larger if the statistics are held "
        "constant.",
        source="ghorbani2019investigation",
        run=f"{_NETWORK} with BN after 500 steps of SGD at 0.5; 300 images in one batch.",
        measure=lambda seed: _held_over_batch(500, seed),
        band=(6.0, math.inf),
        unit="largest eigenvalue with the statistics held / with those of the batch",
        wrong="no difference",
        gives=lambda: 1.0,
    ),
    Claim(
        name="the-mean-lowers-the-curvature",
        kind="put to the test",
        says="Inputs whose mean is not 0 create a very large eigenvalue. Our test: of the statistics it is the mean "
        "that lowers the curvature. With the variance held constant and the mean following the batch, the largest "
        "eigenvalue is that of BN.",
        source="lecun1998efficient",
        run=f"{_NETWORK} with BN after 500 steps of SGD at 0.5; 300 images in one batch.",
        measure=lambda seed: largest("BN, variance held", 500, seed=seed) / largest("BN", 500, seed=seed),
        band=(0.8, 1.25),
        unit="largest eigenvalue with the variance held / with nothing held",
        wrong="mean and variance held",
        gives=lambda: _held_over_batch(500, 0),
    ),
    Claim(
        name="the-variance-tunes-the-rate",
        kind="put to the test",
        says="With BN gradient descent succeeds with less tuning of the learning rate, because the loss does not "
        "change with the scale of the weights. Our test: with the variance held constant, which takes this away and "
        "leaves the mean, it trains at fewer rates.",
        source="arora2019theoretical",
        run=f"{_SWEEP}, at most 400.",
        measure=lambda seed: rates_reached("BN", seed=seed) - rates_reached("BN, variance held", seed=seed),
        band=(1.0, 7.0),
        unit="rates of seven, BN minus BN with the variance held",
        wrong="no difference",
        gives=lambda: 0.0,
    ),
    Claim(
        name="no-isolated-eigenvalues-with-bn",
        kind="made by",
        says="In networks without BN large isolated eigenvalues appear in training; with BN they are almost absent.",
        source="ghorbani2019investigation",
        run=f"{_SMALL}, after 500 steps of SGD at 0.5; against the network that was standardized once.",
        measure=lambda seed: (
            stands_out(spectrum("standardized once", 500, seed=seed)) / stands_out(spectrum("BN", 500, seed=seed))
        ),
        band=(2.0, math.inf),
        unit="largest / tenth eigenvalue, without BN divided by with BN",
        wrong="BN with its statistics held in the place of BN",
        gives=lambda: (
            stands_out(spectrum("standardized once", 500, seed=0))
            / stands_out(spectrum("BN, statistics held", 500, seed=0))
        ),
    ),
    Claim(
        name="bn-lowers-the-largest-eigenvalue-at-the-start",
        kind="put to the test",
        says="BN makes the landscape of the loss smoother. Our test: before the first step its largest eigenvalue is "
        "at most two thirds of that of the same function without BN.",
        source="santurkar2018does",
        run=f"{_NETWORK}, before training, against the network that was standardized once.",
        measure=lambda seed: largest("standardized once", 0, seed=seed) / largest("BN", 0, seed=seed),
        band=(1.5, math.inf),
        unit="largest eigenvalue of standardized once / of BN",
        wrong="no difference",
        gives=lambda: 1.0,
        reproduces=False,
    ),
    Claim(
        name="descent-sharpens-to-its-limit",
        kind="made by",
        says="Gradient descent on all examples brings the largest eigenvalue up to 2 / learning rate, where it hovers.",
        source="cohen2021gradient",
        run="360 digits of 4 x 4 pixels, two hidden layers of 8 sigmoids, standardized once; 200 steps at half the "
        "limit of the start.",
        measure=_at_the_edge,
        band=(0.85, 1.6),
        unit="learning rate x largest eigenvalue / 2, late in the run",
        wrong="the curvature of the start",
        gives=lambda: 0.5,
    ),
    Claim(
        name="bn-tunes-its-rate",
        kind="put to the test",
        says="With BN gradient descent succeeds with less tuning of the learning rate. Our test: at 16 times the limit "
        "that the start sets, less than a tenth of the loss is left after 100 steps.",
        source="arora2019theoretical",
        run=f"{_NETWORK} with BN; gradient descent on 300 images in one batch.",
        measure=lambda seed: descend("BN", 16.0, seed=seed).left,
        band=(0.0, 0.1),
        unit="loss after 100 steps / loss at the start",
        wrong="the network that was standardized once, at 16 times its limit",
        gives=lambda: descend("standardized once", 16.0, seed=0).left,
    ),
)
