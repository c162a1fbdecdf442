"""The claims of the chapter on the length of weights, and one that did not reproduce."""

import math
from collections.abc import Sequence

import numpy as np

from bn_book.claims import Claim
from bn_book.length.experiments import (
    DECADES,
    GROUPS,
    PRODUCTS,
    RATES,
    SCALES,
    Unit,
    direct_cosine,
    train,
    train_usual,
)

_INVARIANT = "Dense layers of 64, 64 and 10 units on digits, BN behind each, ε = 0, γ and β fixed; plain SGD"
_USUAL = "ReLU network with two hidden layers of 64 on digits, BN in both, γ and β trained, an output layer without"


def _growth_error(seed: int, *, power: int = 2) -> float:
    """Largest relative error of: squared length at the end = at the start + sum of rate**power |gradient|**2."""
    run = train(10.0, seed=seed)
    told = run.squared_norm[0] + np.sum(run.rates[:, None] ** power * run.squared_gradient, axis=0)
    return float(np.max(np.abs(told / run.squared_norm[-1] - 1)))


def _spread_of_rates(seed: int, step: int) -> float:
    """Largest over smallest effective learning rate of the middle layer, for learning rates 0.1 to 100."""
    effective = [rate / train(rate, seed=seed, epochs=26).squared_norm[step, 1] for rate in RATES]
    return float(max(effective) / min(effective))


def _worst_accuracy(seed: int, *, all_rates: bool) -> float:
    rates = ((rate, None) if all_rates else (0.1, rate) for rate in DECADES)
    return min(train_usual(rate, hidden_rate=hidden, seed=seed).test for rate, hidden in rates)


def _loss_apart(seed: int, scale: float, rate: float, decay: float, *, growing: bool = False) -> float:
    """How far the loss of a run is at most from that of rate 1 and decay 0.03, in nats."""
    run, other = train(1.0, 0.03, seed=seed), train(rate, decay, seed=seed, scale=scale, growing=growing)
    return float(np.max(np.abs(run.loss - other.loss)))


def _turned(seed: int, *, predicted: float = math.sqrt(2 * 0.03)) -> float:
    """The angle of a step over the predicted one: of three starts and three layers the one that is furthest off."""
    late = [train(0.3, 0.1, seed=seed, scale=scale, epochs=20).angle[-200:] for scale in (0.1, 1.0, 10.0)]
    ratios = np.concatenate([np.sqrt(np.mean(angle**2, axis=0)) for angle in late]) / predicted
    return float(ratios[np.argmax(np.abs(np.log(ratios)))])


def _spread_of_loss(seed: int, when: slice, products: Sequence[float] = PRODUCTS) -> float:
    """By how many percent the loss differs among learning rates with the same product; the worst of the products."""
    worst = 0.0
    for product in products:
        loss = [np.mean(train(rate, product / rate, seed=seed, epochs=40).loss[when]) for rate in (0.03, 0.3, 3.0)]
        worst = max(worst, 100 * (max(loss) / min(loss) - 1))
    return float(worst)


def _left_by_decay(seed: int, decayed: str) -> float:
    """Training loss after the learning rate was cut, over that of a network without decay."""
    with_decay = train_usual(0.3, seed=seed, decay=0.03, decayed=decayed, epochs=15, then=16)
    return with_decay.late / train_usual(0.3, seed=seed, epochs=15, then=16).late


def _lost_by_scale(seed: int, scales: Sequence[float], *, with_bn: bool = True) -> float:
    """Points of test accuracy that the worst of these scales loses against scale 1."""
    tests = [train_usual(0.1, seed=seed, with_bn=with_bn, scale=scale).test for scale in scales]
    return 100 * (train_usual(0.1, seed=seed, with_bn=with_bn).test - min(tests))


_SMALL, _LARGE = SCALES[:3], SCALES[4:]

CLAIMS = (
    Claim(
        name="gradient-stands-at-right-angles",
        kind="an identity",
        says="The gradient of weights in front of BN stands at right angles to them.",
        source="arora2019theoretical",
        run=f"{_INVARIANT}, 299 updates; all layers and updates.",
        measure=lambda seed: float(np.max(np.abs(train(1.0, seed=seed).cosine))),
        band=(0.0, 1e-12),
        unit="largest |cosine| between weights and gradient",
        wrong="statistics treated as constants, in the example by hand",
        gives=lambda: abs(direct_cosine(Unit())),
    ),
    Claim(
        name="length-grows-by-every-step",
        kind="an identity",
        says="Under plain SGD the squared length of weights in front of BN grows by η² times the squared length of the "
        "gradient in every step.",
        source="arora2019theoretical",
        run=f"{_INVARIANT} at rate 10, 299 updates; the largest error of three layers.",
        measure=_growth_error,
        band=(0.0, 1e-10),
        unit="relative error of the squared length at the end",
        wrong="η instead of η²",
        gives=lambda: _growth_error(0, power=1),
    ),
    Claim(
        name="effective-rates-come-together",
        kind="put to the test",
        says="Without decay the effective learning rate η / |w|² tunes itself: after some hundred steps it depends "
        "far less on η than at the start.",
        source="arora2019theoretical",
        run=f"{_INVARIANT}, 598 updates at rates 0.1, 1, 10 and 100; weights of the middle layer.",
        measure=lambda seed: _spread_of_rates(seed, -1),
        band=(1.0, 100.0),
        unit="largest / smallest effective rate at the end",
        wrong="that at the start",
        gives=lambda: _spread_of_rates(0, 0),
    ),
    Claim(
        name="weights-before-bn-take-any-rate",
        kind="put to the test",
        says="The learning rate of weights in front of BN hardly needs tuning: gradient descent gets there at any.",
        source="arora2019theoretical",
        run=f"{_USUAL}; 230 updates, rate 0.1, but for the weights before BN: 0.01 to 1000; 360 test images.",
        measure=lambda seed: _worst_accuracy(seed, all_rates=False),
        band=(0.9, 1.0),
        unit="accuracy at the worst of six rates",
        wrong="the same rates for all parameters",
        gives=lambda: _worst_accuracy(0, all_rates=True),
    ),
    Claim(
        name="only-two-combinations-count",
        kind="an identity",
        says="Weights √c times as long, the learning rate times c, and decay over c: the same functions are learned. "
        "Of these three numbers only two combinations count.",
        source="vanlaarhoven2017l2",
        run=f"{_INVARIANT}, rate 1, decay 0.03, 299 updates; c = 10000.",
        measure=lambda seed: _loss_apart(seed, 100.0, 1e4, 3e-6),
        band=(0.0, 1e-9),
        unit="largest difference of the loss in any step, in nats",
        wrong="c instead of √c for the weights",
        gives=lambda: _loss_apart(0, 1e4, 1e4, 3e-6),
    ),
    Claim(
        name="decay-is-a-growing-rate",
        kind="an identity",
        says="Weight decay in front of BN is an exponentially growing learning rate: without decay, and with a rate "
        "that begins at η / (1 − ηλ) and grows by the factor 1 / (1 − ηλ)² a step, the same functions are learned.",
        source="li2020exponential",
        run=f"{_INVARIANT}, rate 1, decay 0.03, 299 updates.",
        measure=lambda seed: _loss_apart(seed, 1.0, 1.0, 0.03, growing=True),
        band=(0.0, 1e-9),
        unit="largest difference of the loss in any step, in nats",
        wrong="decay left out, and the rate kept",
        gives=lambda: _loss_apart(0, 1.0, 1.0, 0.0),
    ),
    Claim(
        name="a-step-turns-by-a-known-angle",
        kind="made by",
        says="With decay the angle of a step comes to √(2ηλ), whatever the length at the start.",
        source="wan2021spherical",
        run=f"{_INVARIANT}, rate 0.3, decay 0.1, initial weights times 0.1, 1 and 10; the last 200 of 460 updates, "
        "three layers.",
        measure=_turned,
        band=(0.95, 1.05),
        unit="measured angle / √(2ηλ), where it is furthest off",
        wrong="a prediction of 2√(ηλ)",
        gives=lambda: _turned(0, predicted=2 * math.sqrt(0.03)),
    ),
    Claim(
        name="the-product-sets-the-late-loss",
        kind="put to the test",
        says="In the long run rate and decay act through their product only.",
        source="li2020reconciling",
        run=f"{_INVARIANT}, 920 updates at rates 0.03, 0.3 and 3 with the products 0.005, 0.01 and 0.03; training loss "
        "of the last 230.",
        measure=lambda seed: _spread_of_loss(seed, slice(-230, None)),
        band=(0.0, 5.0),
        unit="% between largest and smallest loss, for the worst product",
        wrong="updates 47 to 92",
        gives=lambda: _spread_of_loss(0, slice(46, 92)),
        seeds=2,
    ),
    Claim(
        name="decay-before-bn-restrains-nothing",
        kind="put to the test",
        says="Weight decay in front of BN has no regularizing effect; it acts on the learning rate. Our test: once "
        "that is cut, the training loss comes as low as without decay, or lower.",
        source="vanlaarhoven2017l2",
        run=f"{_USUAL}; decay 0.03 of the weights before BN, 345 updates at rate 0.3, then 368 at 0.03.",
        measure=lambda seed: _left_by_decay(seed, GROUPS[0]),
        band=(0.0, 1.0),
        unit="training loss at the end / without decay",
        wrong="decay of γ and β",
        gives=lambda: _left_by_decay(0, GROUPS[1]),
    ),
    Claim(
        name="decay-of-gamma-restrains",
        kind="put to the test",
        says="Decay of γ and β is a regularizer: it limits what the network can fit, and a smaller learning rate does "
        "not lift the limit.",
        source="vanlaarhoven2017l2",
        run="As before, with decay of γ and β.",
        measure=lambda seed: _left_by_decay(seed, GROUPS[1]),
        band=(3.0, math.inf),
        unit="training loss at the end / without decay",
        wrong="decay of the weights before BN",
        gives=lambda: _left_by_decay(0, GROUPS[0]),
    ),
    Claim(
        name="small-weights-do-no-harm",
        kind="put to the test",
        says="BN lets one be less careful about initialization. Our test: weights 1000 times too small do no harm.",
        source="ioffe2015batch",
        run=f"{_USUAL}; rate 0.1, 230 updates, initial weights before BN times 0.001, 0.01 and 0.1; 360 test images.",
        measure=lambda seed: _lost_by_scale(seed, _SMALL),
        band=(-math.inf, 2.0),
        unit="points of accuracy lost against weights × 1, by the worst",
        wrong="the loss without BN",
        gives=lambda: _lost_by_scale(0, _SMALL, with_bn=False),
    ),
    Claim(
        name="large-weights-do-no-harm",
        kind="put to the test",
        says="BN lets one be less careful about initialization. Our test: weights 1000 times too large do no harm.",
        source="ioffe2015batch",
        run="As before, with initial weights times 10, 100 and 1000.",
        measure=lambda seed: _lost_by_scale(seed, _LARGE),
        band=(-math.inf, 2.0),
        unit="points of accuracy lost against weights × 1, by the worst",
        wrong="the loss without BN",
        gives=lambda: _lost_by_scale(0, _LARGE, with_bn=False),
        reproduces=False,
    ),
)
