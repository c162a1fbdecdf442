"""The claims of the chapter on training versus inference."""

import numpy as np

from bn_book.claims import Claim
from bn_book.data import load_digits
from bn_book.inference.experiments import (
    algorithm_2,
    batch_norms,
    eval_forgotten,
    fine_tuned,
    folding_difference,
    inference_gap,
    swapped_momentum,
    trained,
)
from bn_lib import fold_batch_norm

_NETWORK = "Sigmoid network on digits"


def _recomputing_gains(momentum: float, seed: int) -> float:
    gap = inference_gap(momentum=momentum, seed=seed)
    return gap.population - gap.inference


def _noise_costs(seed: int, batch_size: int, epochs: int) -> float:
    right, wrong = (swapped_momentum(w, batch_size=batch_size, epochs=epochs, seeds=(seed,)).mean for w in (0.1, 0.9))
    return right - wrong


def _mean_left_out() -> float:
    """What folding would change that forgot the running mean."""
    model, _ = trained()
    x, _ = load_digits().test
    y = model.eval().forward(x)
    for _, norm in batch_norms(model):
        norm.running_mean = np.zeros_like(norm.running_mean)
    return float(np.abs(fold_batch_norm(model).forward(x) - y).max() / np.abs(y).max())


CLAIMS = (
    Claim(
        name="batch-variance-correction",
        kind="an identity",
        says="Averaged over batches of m, the biased variance misses the population's by the factor (m − 1)/m; "
        "multiplying by m/(m − 1) restores it.",
        source="ioffe2015batch",
        run="Digits through the first layer of the trained network; 179 shuffled batches of 8; 100 channels.",
        measure=lambda seed: algorithm_2(batch_size=8, seed=seed).biased,
        band=(0.85, 0.90),
        unit="average batch variance / variance of all, 7/8 expected",
        wrong="the unbiased variance averaged",
        gives=lambda: algorithm_2(batch_size=8).unbiased,
    ),
    Claim(
        name="company-changes-prediction",
        kind="made by",
        says="With batch statistics an output depends on the other examples in the batch, so the same image gets "
        "different labels in different company.",
        source="ioffe2015batch",
        run=f"{_NETWORK}, 5 epochs; 360 test images in training mode, batches of 8, mixed twice.",
        measure=lambda seed: eval_forgotten(batch_size=8, seed=seed).changed,
        band=(0.02, 1.0),
        unit="share of images whose label changes",
        wrong="predictions that do not depend on the batch",
        gives=lambda: 0.0,
    ),
    Claim(
        name="slow-average-is-outdated",
        kind="made by",
        says="An exponential average that is slow for the number of updates is outdated, and accuracy in inference "
        "falls although the network is well trained; statistics recomputed over the training set repair it.",
        source="wu2021rethinking",
        run=f"{_NETWORK}, 88 updates with momentum 0.01 (PyTorch's meaning); 360 test images.",
        measure=lambda seed: _recomputing_gains(0.01, seed),
        band=(0.2, 1.0),
        unit="accuracy gained by recomputing",
        wrong="an average that has kept up, with momentum 0.1",
        gives=lambda: _recomputing_gains(0.1, 0),
    ),
    Claim(
        name="fast-average-is-noisy",
        kind="made by",
        says="An exponential average that weighs only the last few batches does not represent the population, and "
        "accuracy in inference suffers where batches are small.",
        source="wu2021rethinking",
        run=f"{_NETWORK}, 3 epochs, batches of 4; mean accuracy over the last epoch, momentum 0.1 against 0.9 "
        "(PyTorch's meaning).",
        measure=lambda seed: _noise_costs(seed, 4, 3),
        band=(0.02, 1.0),
        unit="accuracy lost",
        wrong="batches of 32, where nothing shows",
        gives=lambda: _noise_costs(0, 32, 5),
    ),
    Claim(
        name="frozen-parameters-leave-statistics-free",
        kind="put to the test",
        says="Freezing the parameters of a network does not freeze its running statistics: training a new last layer "
        "for other data changes what the old one says.",
        source="pytorch86590",
        run=f"{_NETWORK}, all layers below the last frozen, a new last layer trained on 320 negatives; the old last "
        "layer on 360 test images, before and after.",
        measure=lambda seed: (t := fine_tuned("requires_grad", seed=seed)).before - t.after,
        band=(0.1, 1.0),
        unit="accuracy lost",
        wrong="the same with BN frozen as Keras does it",
        gives=lambda: (t := fine_tuned("freeze")).before - t.after,
    ),
    Claim(
        name="folding-is-exact",
        kind="an identity",
        says="In inference, BN folds into the weights and bias of the layer before it without changing what the "
        "network computes, beyond rounding.",
        source="jacob2018quantization",
        run="Sigmoid network and CNN trained on digits (float32); 360 test images.",
        measure=lambda seed: folding_difference(seed=seed),
        band=(0.0, 1e-5),
        unit="largest difference of a logit, relative",
        wrong="the running mean left out",
        gives=_mean_left_out,
    ),
)
