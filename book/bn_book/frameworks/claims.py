"""The claims of the chapter on PyTorch and Keras, and those that did not reproduce."""

import math

import numpy as np

from bn_book.claims import Claim
from bn_book.frameworks.experiments import (
    accumulated,
    changed_by_eps,
    decayed,
    first_gradient,
    floor,
    on_devices,
    same_statistics,
    variance_error,
    with_momentum,
    with_softmax,
)

_RUN = "784-64-BN-ReLU-10 on enlarged digits, batches of 60, 300 steps at a rate of 0.1"


def _worse_on(devices: int, seed: int) -> float:
    return on_devices(devices, seed=seed).wrong - on_devices(1, seed=seed).wrong


CLAIMS = (
    Claim(
        name="softmax-twice-has-a-floor",
        kind="an identity",
        says="With softmax applied twice the loss of C classes cannot fall below log(1 + (C - 1)/e).",
        source="scico2",
        run=f"{_RUN}, with a softmax before the loss. The least loss of any mini-batch, minus the floor of 10 classes.",
        measure=lambda seed: float(with_softmax(2, seed=seed).losses.min()) - floor(10),
        band=(0.0, math.log(10) - floor(10)),
        unit="nats above the floor",
        wrong="softmax once",
        gives=lambda: float(with_softmax(1).losses.min()) - floor(10),
    ),
    Claim(
        name="a-second-softmax-makes-gradients-small",
        kind="put to the test",
        says="A second softmax makes the signal for training smaller. Our test: before training the gradient is about "
        "the C-th part of what it is without.",
        source="transformergcn32",
        run="784-64-BN-ReLU-10 before training, one batch of 60 digits; the gradient of the first weight.",
        measure=first_gradient,
        # With p from the first softmax, q from the second and the right class r, dL/dz_k is p_r times what it is with
        # one softmax, plus p_k (q_k - sum of p_j q_j), which is 0 where all p are equal. So the factor is p_r, which is
        # 1/C in the mean over networks. How far one network is from that follows from its logits: 64 ReLUs of
        # standardized numbers, weights of variance 2/64, so a variance of 1. The mean of p_r over digits of ten classes
        # is worth about ten draws of e^z, with a relative deviation of sqrt((e - 1) / 10) = 0.4, and nearly two of
        # these are a factor of two. (At first the band was 0.08 to 0.12, as if all logits were equal.)
        band=(0.5 / 10, 2 / 10),
        unit="of the gradient without it",
        wrong="no difference",
        gives=lambda: 1.0,
    ),
    Claim(
        name="conversion-is-exact",
        kind="an identity",
        says="A running variance of Keras can be turned into that of PyTorch without a rest, if the number of values "
        "per channel and of updates is known.",
        source="kerasbatchnorm",
        run="50 batches of 4 rows in both conventions, with the same weight of a new batch.",
        measure=lambda seed: same_statistics(seed=seed),
        band=(0.0, 1e-12),
        unit="largest relative difference",
        wrong="the variance as it is stored",
        gives=lambda: same_statistics(converted=False),
    ),
    Claim(
        name="accumulation-is-ghost-bn",
        kind="an identity",
        says="Accumulated over parts of a batch, the gradient is that of ghost batches of their size.",
        source="hoffer2017train",
        run="784-64-BN-ReLU-10 in float64, 60 digits in 15 parts; the gradient of the first weight.",
        measure=lambda seed: accumulated("ghosts", seed=seed),
        band=(0.0, 1e-9),
        unit="relative distance",
        wrong="beside one batch of 60",
        gives=lambda: accumulated("whole"),
    ),
    Claim(
        name="two-rows-per-device-cost-accuracy",
        kind="put to the test",
        says="With few examples on each device, statistics of its own are too inaccurate. Our test: 60 rows on 30 "
        "devices, with two rows each.",
        source="peng2018megdet",
        run=f"{_RUN}. Test digits named wrong, minus those with statistics of all 60.",
        measure=lambda seed: _worse_on(30, seed),
        band=(2.0, math.inf),
        unit="percentage points",
        wrong="two devices",
        gives=lambda: _worse_on(2, 0),
    ),
    Claim(
        name="thirty-rows-per-device-are-enough",
        kind="put to the test",
        says="Statistics need not be shared among workers if each has enough examples, 32 in the source. Our test: 60 "
        "rows on 2 devices.",
        source="goyal2017accurate",
        run=f"{_RUN}. Test digits named wrong, minus those with statistics of all 60.",
        measure=lambda seed: _worse_on(2, seed),
        band=(-1.5, 1.5),
        unit="percentage points",
        wrong="30 devices",
        gives=lambda: _worse_on(30, 0),
    ),
    Claim(
        name="swapped-momentum-costs-accuracy",
        kind="put to the test",
        says="Momentum in the other framework's meaning hurts in inference. Our test: 0.9 where 0.1 is meant.",
        source="pix2pix126",
        run="784-64-BN-ReLU-10, batches of 10, 300 steps at a rate of 0.05. Test digits named wrong, mean over the "
        "last 50 steps.",
        measure=lambda seed: float(np.mean(with_momentum(0.9, seed=seed)) - np.mean(with_momentum(0.1, seed=seed))),
        band=(1.0, math.inf),
        unit="percentage points more",
        wrong="the right meaning",
        gives=lambda: 0.0,
    ),
    Claim(
        name="statistics-need-float32",
        kind="put to the test",
        says="Statistics of BN should be accumulated in float32, also where activations are float16. Our test: the "
        "variance of 4096 numbers in float16, with sums in float16.",
        source="micikevicius2018mixed",
        run="Normal numbers with mean 1 and variance 1, rounded to float16; sums and sums of squares one by one.",
        measure=lambda seed: variance_error(np.float16, seed=seed),
        band=(0.05, math.inf),
        unit="relative error",
        wrong="sums in float32",
        gives=lambda: variance_error(np.float32),
    ),
    Claim(
        name="no-decay-on-gamma-is-better",
        kind="put to the test",
        says="To avoid overfitting, weight decay is applied to weights only and not to biases, gamma and beta. Our "
        "test: fewer test digits wrong that way.",
        source="he2019bag",
        run=f"{_RUN}, weight decay 0.01. Test digits named wrong with decay on everything, minus those with decay on "
        "weights only.",
        measure=lambda seed: decayed("everything", seed=seed).wrong - decayed("weights", seed=seed).wrong,
        band=(0.5, math.inf),
        unit="percentage points",
        wrong="no difference",
        gives=lambda: 0.0,
        reproduces=False,
    ),
    Claim(
        name="another-eps-changes-answers",
        kind="put to the test",
        says="With the other framework's eps outputs of large networks differ much. Our test: answers to test digits "
        "that change when 0.001 becomes 0.00001.",
        source="nntransfer3",
        run="784-64-BN-ReLU-10, trained for 100 steps with the defaults of Keras.",
        measure=lambda seed: changed_by_eps(seed),
        band=(1.0, math.inf),
        unit="% of the answers",
        wrong="the same eps",
        gives=lambda: 0.0,
        reproduces=False,
    ),
)
