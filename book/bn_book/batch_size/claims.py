"""The claims of the chapter on batch size, and those that did not reproduce."""

import math

from bn_book.batch_size.experiments import (
    changed_by_company,
    noise_on_digits,
    train_with_batch_size,
    train_with_statistics_of,
)
from bn_book.claims import Claim

_TRAINED = "ReLU network on 960 digits, 2 epochs, learning rate proportional to batch size; 360 test images"
_GHOSTS = "ReLU network on digits, 88 updates with gradients of 64 images, statistics of 8 or of all 64"


def _points(normalizer: str, batch_size: int, seed: int) -> float:
    return 100 * train_with_batch_size(normalizer, batch_size, seed=seed).test


def _fall(normalizer: str, batch_size: int, seed: int) -> float:
    """Points of test accuracy lost from batch size 32 to a smaller one."""
    return _points(normalizer, 32, seed) - _points(normalizer, batch_size, seed)


def _loss_ratio(few: int, many: int, seed: int) -> float:
    few_loss, many_loss = (train_with_statistics_of(m, seed=seed).loss for m in (few, many))
    return few_loss / many_loss


CLAIMS = (
    Claim(
        name="noise-depends-on-batch-size",
        kind="an identity",
        says="Measured in variances of the feature, the noise that BN puts into the mean depends only on the batch "
        "size: its variance is σ² / m.",
        source="yong2020momentum",
        run="Digits, 64 features of a dense layer at initialization; 3000 mini-batches of 8, drawn with replacement "
        "from 1437 images.",
        measure=lambda seed: noise_on_digits(8, seed=seed).mean_noise,
        band=(0.95, 1.05),
        unit="variance of the batch mean / (σ² / m)",
        wrong="σ² / (m − 1) for the noise",
        gives=lambda: noise_on_digits(8).mean_noise * 7 / 8,
    ),
    Claim(
        name="company-matters-less-in-a-crowd",
        kind="put to the test",
        says="In training mode the network's answer for an example depends on the rest of its mini-batch, and the less "
        "so the larger the mini-batch.",
        source="teye2018bayesian",
        run="ReLU network on digits, trained with mini-batches of 32; 360 test images in training mode, shuffled 10 "
        "times into mini-batches of 8, and of 64.",
        measure=lambda seed: changed_by_company(8, seed=seed).changed / changed_by_company(64, seed=seed).changed,
        band=(2.0, math.inf),
        unit="share of changed predictions at 8 / share at 64",
        wrong="no difference",
        gives=lambda: 1.0,
    ),
    Claim(
        name="bn-fails-at-batch-size-2",
        kind="made by",
        says="BN's error grows rapidly when the batch size becomes small.",
        source="wu2018group",
        run=f"{_TRAINED}.",
        measure=lambda seed: _fall("batch", 2, seed),
        band=(10.0, 100.0),
        unit="points of accuracy lost from batch size 32 to 2",
        wrong="the fall of GN",
        gives=lambda: _fall("group", 2, 0),
    ),
    Claim(
        name="gn-keeps-its-accuracy-at-batch-size-2",
        kind="made by",
        says="GN's accuracy is stable where BN's falls: a small mini-batch costs it next to nothing.",
        source="wu2018group",
        run="As for BN, with GN of 8 groups.",
        measure=lambda seed: _fall("group", 2, seed),
        band=(-math.inf, 5.0),
        unit="points of accuracy lost from batch size 32 to 2",
        wrong="the fall of BN",
        gives=lambda: _fall("batch", 2, 0),
    ),
    Claim(
        name="bn-falls-step-by-step-below-16",
        kind="made by",
        says="BN's error rises step by step as the batch becomes smaller than 16: of what is lost from 32 to 2, a "
        "third is lost at 4 already.",
        source="wu2018group",
        run=f"{_TRAINED}.",
        measure=lambda seed: _fall("batch", 4, seed) / _fall("batch", 2, seed),
        band=(0.2, 0.8),
        unit="accuracy lost from batch size 32 to 4 / lost from 32 to 2",
        wrong="nothing lost at 4",
        gives=lambda: 0.0,
        seeds=5,
        reproduces=False,
    ),
    Claim(
        name="gn-beats-ln-at-32",
        kind="made by",
        says="At batch size 32 GN is more accurate than LN, by 1.2 points.",
        source="wu2018group",
        run=f"{_TRAINED}.",
        measure=lambda seed: _points("group", 32, seed) - _points("layer", 32, seed),
        band=(1.2, math.inf),
        unit="points of accuracy, GN minus LN",
        wrong="no difference",
        gives=lambda: 0.0,
        seeds=5,
        reproduces=False,
    ),
    Claim(
        name="fewer-values-regularize-more",
        kind="made by",
        says="The noise of batch statistics regularizes, and the more so the smaller the batch: with fewer values per "
        "statistic the training loss stays higher.",
        source="yong2020momentum",
        run=f"{_GHOSTS}.",
        measure=lambda seed: _loss_ratio(8, 64, seed),
        band=(1.5, math.inf),
        unit="training loss with m = 8 / training loss with m = 64",
        wrong="statistics of the same 64 in both",
        gives=lambda: _loss_ratio(64, 64, 0),
    ),
    Claim(
        name="fewer-values-generalize-better",
        kind="made by",
        says="Statistics of a part of the mini-batch make the network generalize better.",
        source="hoffer2017train",
        run=f"{_GHOSTS}; 360 test images.",
        measure=lambda seed: (
            100 * (train_with_statistics_of(8, seed=seed).test - train_with_statistics_of(64, seed=seed).test)
        ),
        band=(0.5, math.inf),
        unit="points of test accuracy, statistics of 8 minus statistics of 64",
        wrong="no difference",
        gives=lambda: 0.0,
        seeds=5,
        reproduces=False,
    ),
)
