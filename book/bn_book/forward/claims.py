"""The claims of the chapter on the forward pass."""

import math

import numpy as np

from bn_book.claims import Claim
from bn_book.data import load_digits
from bn_book.forward.experiments import (
    bias_gradient_share,
    cancellation_slope,
    linear_share,
    placement_gain,
    share_of_the_gain,
    skewness_gap,
)
from bn_lib.network import Dense, ReLU, Sequential, softmax_cross_entropy


def _share_without_bn() -> float:
    """The same share in a network that has no BN."""
    rng = np.random.default_rng(0)
    dense = Dense(64, 100, rng=rng)
    model = Sequential(dense, ReLU(), Dense(100, 10, rng=rng))
    x, labels = (part[:60] for part in load_digits().train)
    model.backward(softmax_cross_entropy(model.forward(x.astype(np.float64)), labels)[1])
    return float(np.abs(dense.grads["bias"]).max() / np.abs(dense.grads["weight"]).max())


CLAIMS = (
    Claim(
        name="bias-before-bn-has-no-gradient",
        kind="an identity",
        says="A bias before BN can be left out: mean subtraction cancels it, so its gradient is zero.",
        source="ioffe2015batch",
        run="Digits, one mini-batch of 60, Dense 64-100 with a bias of standard deviation 10, BN, ReLU, Dense; "
        "float64.",
        measure=lambda seed: bias_gradient_share(seed=seed),
        band=(0.0, 1e-12),
        unit="largest bias gradient / largest weight gradient",
        wrong="the same without BN",
        gives=_share_without_bn,
    ),
    Claim(
        name="normalized-sigmoid-is-nearly-linear",
        kind="made by",
        says="Normalizing the inputs of a sigmoid, with gamma = 1 and beta = 0, confines it to its linear regime.",
        source="ioffe2015batch",
        run="sigmoid(z) for standard normal z, by quadrature; nothing random.",
        measure=lambda _: linear_share(1.0),
        band=(0.95, 1.0),
        unit="share of the variance explained by a straight line",
        wrong="inputs with a standard deviation of 4",
        gives=lambda: linear_share(4.0),
        seeds=1,
    ),
    Claim(
        name="pre-activations-are-more-gaussian",
        kind="made by",
        says="W u + b is more symmetric and less sparse, closer to Gaussian, than the output of a nonlinearity.",
        source="ioffe2015batch",
        run="Digits, ReLU network 64-64-64-10 after 3 epochs, first hidden layer on 360 test images.",
        measure=lambda seed: skewness_gap(seed=seed),
        band=(0.5, math.inf),
        unit="mean |skewness| of units after the ReLU minus before it",
        wrong="no difference",
        gives=lambda: 0.0,
    ),
    Claim(
        name="bn-after-relu-can-be-better",
        kind="put to the test",
        says="BN after the ReLU can give the better accuracy, here at a small learning rate and early in training.",
        source="mishkin2017systematic",
        run="Digits, ReLU network 64-64-64-10, SGD with learning rate 0.01, 3 epochs, batches of 60.",
        measure=lambda seed: float(placement_gain(0.01, seeds=(seed,))[0]),
        band=(2.0, 50.0),
        unit="percentage points of test accuracy, after minus before",
        wrong="no difference",
        gives=lambda: 0.0,
        seeds=5,
    ),
    Claim(
        name="after-gains-by-larger-inputs",
        kind="put to the test",
        says="BN after the ReLU can give the better accuracy. Our test of why, at a small learning rate: a constant "
        "factor that makes the next layer's inputs as large gains about as much, with BN before the ReLU.",
        source="mishkin2017systematic",
        run="The same networks with BN before the ReLU and its output times 1.71, the factor of BN after it for a "
        "normally distributed feature; learning rate 0.01.",
        measure=lambda seed: share_of_the_gain("before, then scaled", seeds=(seed,)),
        band=(0.7, 1.3),
        unit="share of what BN after the ReLU gains over BN before it",
        wrong="centered inputs of the next layer",
        gives=lambda: share_of_the_gain("before, then centered"),
        seeds=5,
    ),
    Claim(
        name="one-pass-variance-loses-digits",
        kind="made by",
        says="The error of mean(x²) − mean(x)² grows with the square of mean / standard deviation.",
        source="chan1983algorithms",
        run="Normal batches of 1024 in float32, mean / std from 3 to 3000, eight batches for a seed.",
        measure=lambda seed: cancellation_slope(seeds=tuple(range(8 * seed, 8 * seed + 8))),
        band=(1.7, 2.3),
        unit="exponent",
        wrong="an error that grows with the ratio itself",
        gives=lambda: 1.0,
    ),
)
