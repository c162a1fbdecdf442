"""The claims of the chapter on covariate shift and smoothness, and those that did not reproduce."""

import math

import numpy as np

from bn_book.claims import Claim
from bn_book.smoothness.experiments import (
    STRETCH,
    Activation,
    Kind,
    Watched,
    deep_linear,
    growth,
    stretched_at_its_rate,
    train,
)

_SIGMOIDS = "Digits, three hidden layers of 100 sigmoids, mini-batches of 60, SGD at 0.5"
_RELUS = "Digits, three hidden layers of 100 ReLUs, mini-batches of 60, SGD at 0.1"
_DISTURBED = (
    "The noise of the paper, mean up to 0.5 and scale up to 1.25, drawn anew at every step, before every sigmoid"
)
_SMOOTH = "Largest change of the gradient per distance, from half to four times a step; median over 200 steps"


def _run(kind: Kind, activation: Activation, seed: int, noise: float = 0.0) -> Watched:
    """Every run of the claims, so that each is made once."""
    return train(kind, activation, noise=noise, landscape=not noise or noise == 10, seed=seed)


def _slower(kind: Kind, other: Kind, seed: int, activation: Activation = "sigmoid") -> float:
    """How many times as many steps to 90 percent a kind takes as another."""
    return _run(kind, activation, seed).steps / _run(other, activation, seed).steps


def _noise_costs(kind: Kind, noise: float, seed: int) -> float:
    """How many times as many steps to 90 percent a kind takes when it is disturbed."""
    return _run(kind, "sigmoid", seed, noise).steps / _run(kind, "sigmoid", seed).steps


def _moves(kind: Kind, noise: float, other: Kind, seed: int) -> float:
    """How many times as far the inputs of a disturbed kind move as those of another that is left alone."""
    return _run(kind, "sigmoid", seed, noise).movement / _run(other, "sigmoid", seed).movement


def _rougher(kind: Kind, other: Kind, activation: Activation, seed: int) -> float:
    return _run(kind, activation, seed).beta / _run(other, activation, seed).beta


def _shift(kind: Kind, other: Kind, activation: Activation, seed: int) -> float:
    return _run(kind, activation, seed).shift / _run(other, activation, seed).shift


def _deep_linear_shift(seed: int) -> float:
    with_bn, without = (float(np.median(deep_linear(with_bn=bn, seed=seed).shifts)) for bn in (True, False))
    return with_bn / without


CLAIMS = (
    Claim(
        name="noisy-bn-moves-more-than-no-bn",
        kind="made by",
        says="With noise after BN the distributions of inputs are less stable than those of the network without BN.",
        source="santurkar2018does",
        run=f"{_SIGMOIDS}. {_DISTURBED} of the network with BN. Path of the 15th, 50th and 85th percentile over 200 "
        "steps, median unit of the last hidden layer.",
        measure=lambda seed: _moves("BN", 1.0, "plain", seed),
        band=(1.5, math.inf),
        unit="path with BN and noise divided by the path without either",
        wrong="BN without noise",
        gives=lambda: _moves("BN", 0.0, "plain", 0),
    ),
    Claim(
        name="noisy-bn-is-as-fast-as-bn",
        kind="made by",
        says="With noise after BN the network trains almost as well as with BN left alone.",
        source="santurkar2018does",
        run=f"{_SIGMOIDS}. {_DISTURBED}. Steps to 90 percent of the test digits.",
        measure=lambda seed: _noise_costs("BN", 1.0, seed),
        band=(0.5, 2.0),
        unit="steps with noise divided by steps without",
        wrong="no BN",
        gives=lambda: _slower("plain", "BN", 0),
    ),
    Claim(
        name="noisy-bn-moves-more-and-is-faster-by-widths-too",
        kind="put to the test",
        says="Stability of distributions has little to do with BN's success. Our test: in widths, too, BN with noise "
        "is less stable than a network standardized once and then left alone, and is faster all the same.",
        source="santurkar2018does",
        run=f"{_SIGMOIDS}. {_DISTURBED} of the network with BN. Each change of the percentiles divided by the distance "
        "from the 15th to the 85th. A run in which it is not faster counts as 0.",
        measure=lambda seed: (
            _run("BN", "sigmoid", seed, 1.0).movement_in_widths
            / _run("standardized once", "sigmoid", seed).movement_in_widths
            * (_run("BN", "sigmoid", seed, 1.0).steps < _run("standardized once", "sigmoid", seed).steps)
        ),
        band=(1.2, math.inf),
        unit="path in widths with BN and noise divided by that of the network standardized once",
        wrong="the plain network, whose inputs have next to no width, in its place",
        gives=lambda: _run("BN", "sigmoid", 0, 1.0).movement_in_widths / _run("plain", "sigmoid", 0).movement_in_widths,
    ),
    Claim(
        name="noise-stops-the-network-without-bn",
        kind="made by",
        says="The same noise prevents the network without BN from training at all.",
        source="santurkar2018does",
        run=f"{_SIGMOIDS}. {_DISTURBED} of the network without BN.",
        measure=lambda seed: _noise_costs("plain", 1.0, seed),
        band=(1.5, math.inf),
        unit="steps to 90 percent with noise divided by steps without",
        wrong="no difference",
        gives=lambda: 1.0,
        reproduces=False,
    ),
    Claim(
        name="smooth-and-unstable-is-slow",
        kind="put to the test",
        says="Smoothness alone does not make training fast, and stable distributions matter. Our test: noise 10 times "
        "as strong slows a network that nothing normalizes, while its loss stays about as smooth.",
        source="awais2021revisiting",
        run=f"{_SIGMOIDS}. The network standardized once, left alone and with 10 times the noise of Santurkar et al. "
        f"{_SMOOTH}. A pair whose loss becomes rougher by more than half counts as 0.",
        measure=lambda seed: (
            _noise_costs("standardized once", 10.0, seed)
            * (
                _run("standardized once", "sigmoid", seed, 10.0).beta
                < 1.5 * _run("standardized once", "sigmoid", seed).beta
            )
        ),
        band=(5.0, math.inf),
        unit="steps to 90 percent with noise divided by steps without",
        wrong="the paper's noise on BN",
        gives=lambda: _noise_costs("BN", 1.0, 0),
    ),
    Claim(
        name="bn-does-not-steady-the-gradients-of-a-deep-linear-network",
        kind="made by",
        says="In a deep linear network a layer's gradient hardly changes when the layers below have moved, and with BN "
        "it changes much more.",
        source="santurkar2018does",
        run="25 matrices of 10 x 10 fitted to a random one, gradient descent at 1e-4 on 200 examples, 100 steps. "
        "Change of a layer's gradient divided by the gradient, median over layers and over five moments.",
        measure=_deep_linear_shift,
        band=(3.0, math.inf),
        unit="change with BN divided by change without",
        wrong="no difference",
        gives=lambda: 1.0,
    ),
    Claim(
        name="bn-does-not-steady-the-gradients-of-relus",
        kind="made by",
        says="With BN a layer's gradient changes as much, or more, when the layers below have moved.",
        source="santurkar2018does",
        run=f"{_RELUS}, He's initial weights. Gradient of the last hidden layer, change divided by the gradient, "
        "median over 200 steps.",
        measure=lambda seed: _shift("BN", "plain", "relu", seed),
        band=(0.8, math.inf),
        unit="change with BN divided by change without",
        wrong="no change with BN",
        gives=lambda: 0.0,
        reproduces=False,
    ),
    Claim(
        name="relu-network-is-smoother-with-bn",
        kind="made by",
        says="BN makes the loss smoother: its gradient changes less along a step.",
        source="santurkar2018does",
        run=f"{_RELUS}, He's initial weights. {_SMOOTH}.",
        measure=lambda seed: _rougher("plain", "BN", "relu", seed),
        band=(1.7, math.inf),
        unit="effective beta-smoothness without BN divided by that with BN",
        wrong="no difference",
        gives=lambda: 1.0,
    ),
    Claim(
        name="sigmoid-network-is-smoother-with-bn",
        kind="made by",
        says="BN makes the loss smoother: its gradient changes less along a step.",
        source="santurkar2018does",
        run=f"{_SIGMOIDS}, Glorot's initial weights. {_SMOOTH}.",
        measure=lambda seed: _rougher("plain", "BN", "sigmoid", seed),
        band=(1.2, math.inf),
        unit="effective beta-smoothness without BN divided by that with BN",
        wrong="no difference",
        gives=lambda: 1.0,
        reproduces=False,
    ),
    Claim(
        name="stretched-weights-are-smoother-and-slower",
        kind="put to the test",
        says="A smoother loss allows for faster training. Our test: the same network written with weights twice as "
        "large is much smoother, and slower.",
        source="santurkar2018does",
        run=f"{_RELUS}. Every weight and bias times {STRETCH:g}, every output of a dense layer divided by {STRETCH:g}. "
        "A pair of which the second is not smoother by a factor of 2 at least counts as 0.",
        measure=lambda seed: (
            _slower("stretched", "plain", seed, "relu") * (_rougher("plain", "stretched", "relu", seed) > 2)
        ),
        band=(1.3, math.inf),
        unit="steps to 90 percent, stretched divided by plain",
        wrong="BN in its place",
        gives=lambda: _slower("BN", "plain", 0, "relu"),
    ),
    Claim(
        name="stretched-weights-make-the-same-steps",
        kind="an identity",
        says="A network can be written with other parameters: with weights twice as large and each dense layer's "
        "output halved, four times the learning rate makes the same steps.",
        source="dinh2017sharp",
        run="Digits, three hidden layers of 100 ReLUs, 20 steps of SGD at 0.1, and of the stretched network at 0.4.",
        measure=lambda seed: stretched_at_its_rate(seed=seed),
        band=(-math.inf, 1e-6),
        unit="distance of the two networks after these steps, in parts of the weights",
        wrong="the same learning rate for both",
        gives=lambda: stretched_at_its_rate(rate_factor=1.0),
    ),
    Claim(
        name="far-away-the-loss-grows-less-with-bn",
        kind="put to the test",
        says="Without BN the loss has a very wide range along the gradient. Our test: far away it grows with the "
        "fourth power of the distance where four layers multiply, and with the square where BN stands between them.",
        source="santurkar2018does",
        run="Digits, three hidden layers of 100 ReLUs before training, steps of 100 and of 1000 gradients.",
        measure=lambda seed: growth("plain", "relu", seed=seed) - growth("BN", "relu", seed=seed),
        band=(1.5, 2.5),
        unit="power without BN minus power with it",
        wrong="the same power",
        gives=lambda: 0.0,
    ),
    Claim(
        name="other-normalizers-are-as-fast",
        kind="made by",
        says="Normalizers that divide by an average absolute value, not the standard deviation, train as well as BN.",
        source="santurkar2018does",
        run=f"{_SIGMOIDS}. Centred, and divided by the mean absolute value of what came in (p = 1).",
        measure=lambda seed: _slower("L1", "BN", seed),
        band=(0.5, 2.0),
        unit="steps to 90 percent divided by those with BN",
        wrong="no normalizer",
        gives=lambda: _slower("plain", "BN", 0),
    ),
    Claim(
        name="dividing-by-the-largest-is-as-fast",
        kind="made by",
        says="A normalizer that divides by the largest absolute value trains as well as BN.",
        source="santurkar2018does",
        run=f"{_SIGMOIDS}. Centred, and divided by the largest absolute value of what came in (p = infinity).",
        measure=lambda seed: _slower("Lmax", "BN", seed),
        band=(0.5, 2.0),
        unit="steps to 90 percent divided by those with BN",
        wrong="no normalizer",
        gives=lambda: _slower("plain", "BN", 0),
        reproduces=False,
    ),
    Claim(
        name="other-normalizers-move-more-than-none",
        kind="made by",
        says="With these normalizers the distributions of inputs shift more than without any.",
        source="santurkar2018does",
        run=f"{_RELUS}. The same (p = 1). Path of the percentiles over 200 steps, median unit.",
        measure=lambda seed: _run("L1", "relu", seed).movement / _run("plain", "relu", seed).movement,
        band=(1.2, math.inf),
        unit="path divided by that without a normalizer",
        wrong="no difference",
        gives=lambda: 1.0,
        reproduces=False,
    ),
)
