"""The claims of the chapter on depth, noise and their price, and those that did not reproduce."""

import math
from functools import cache

import numpy as np

from bn_book.claims import Claim
from bn_book.price.experiments import (
    CORRUPTIONS,
    FEW,
    adapt,
    adapt_to_one_class,
    affine_difference,
    best_of,
    gain,
    lag,
    likeness,
    orthogonality_gap,
    propagate,
    train_in_company,
    variance_shift,
)


def _growth(block: str, seed: int) -> float:
    return propagate(block, depth=20, width=512, batch_size=256, seed=seed).growth


def _range_after(steps: int, seed: int) -> float:
    """log10 of the squared gradient at the first block / that at the last."""
    gradient = propagate("bn", depth=20, width=128, batch_size=128, seed=seed, after=steps).gradient
    return float(np.log10(gradient[0] / gradient[-1]))


def _stable_rank(block: str, seed: int) -> float:
    return float(likeness(block, seed=seed).stable_rank[-1])


def _slope(block: str, seed: int) -> float:
    """How much of mean square a block adds to what the skips carry, on average over 32 blocks."""
    signal = propagate(block, depth=32, width=128, batch_size=128, seed=seed).signal
    return float(signal[-1] - signal[0]) / 32


def _points_lost(better: str, worse: str, seed: int) -> float:
    return 100 * (best_of(better, 40, seed=seed) - best_of(worse, 40, seed=seed))


@cache
def _by_ghosts(seed: int) -> float:
    return float(gain({"statistics_of": 8}, {"statistics_of": 200}, seed=seed).mean())


@cache
def _by_dropout(statistics_of: int | None, seed: int) -> float:
    few = {**FEW, "statistics_of": statistics_of}
    return float(gain(few | {"dropout": 0.2}, few, seed=seed).mean())


def _variance_added(seed: int) -> float:
    """What dropout adds to the variance, as a share of the variance in inference: measured / by the formula."""
    found = variance_shift(0.5, seed=seed)
    return (found.ratio - 1) / (found.formula - 1)


def _ahead(seed: int) -> float:
    """Points of accuracy by which recomputed statistics are ahead of running averages, steps 3 to 10 on average."""
    found = lag(seed)
    return float(100 * np.mean(found.recomputed[2:10] - found.running[2:10]))


def _repaired(name: str, seed: int, images: int = 360) -> float:
    found = adapt(name, seed=seed, images=images)
    return 100 * (found.recomputed - found.kept)


def _in_company(better: str, worse: str, company: str, seed: int) -> float:
    return 100 * (train_in_company(better, company, seed=seed) - train_in_company(worse, company, seed=seed))


_DEEP = "Digits, 32 units, 100 steps of SGD on mini-batches of 60, the best of the rates 0.03, 0.1 and 0.3; 40 blocks"
_FEW = "64-64-64-10 on few digits; 16 pairs of runs from the same images and weights; 360 test images"

CLAIMS = (
    Claim(
        name="bn-and-relu-multiply-gradients",
        kind="made by",
        says="At initialization BN makes gradients explode in a network without skip connections: per block of a dense "
        "layer, BN and a ReLU the squared gradient grows by π / (π − 1) = 1.467 if layers are wide and batches large.",
        source="yang2019mean",
        run="20 blocks of 512 units, a mini-batch of 256 digits; slope of the logarithm over the blocks.",
        measure=lambda seed: _growth("bn", seed),
        band=(1.43, 1.5),
        unit="growth of the squared gradient per block",
        wrong="the same network without BN",
        gives=lambda: _growth("plain", 0),
    ),
    Claim(
        name="small-batches-multiply-gradients-without-relu",
        kind="made by",
        says="Without an activation function the growth depends on the batch size alone: the factor is "
        "(m − 2) / (m − 3), for m = 8 it is 1.2.",
        source="yang2019mean",
        run="40 blocks of a dense layer of 256 units and BN; mini-batches of 8 digits.",
        measure=lambda seed: propagate("linear", depth=40, width=256, batch_size=8, seed=seed).growth,
        band=(1.17, 1.23),
        unit="growth of the squared gradient per block",
        wrong="BN's projection forgotten, (m − 1) / (m − 3)",
        gives=lambda: 7 / 5,
    ),
    Claim(
        name="steps-even-gradients-out",
        kind="put to the test",
        says="After a single step of training the gradients of a deep BN network have a dramatically smaller dynamic "
        "range. Our test: after five, at most three quarters of the powers of ten are left.",
        source="yang2019mean",
        run="20 blocks of 128 units with BN; 128 digits; before, and after 5 steps at a learning rate of 0.1.",
        measure=lambda seed: _range_after(5, seed) / _range_after(0, seed),
        band=(0.0, 0.75),
        unit="range in powers of ten after 5 steps / before",
        wrong="a range that stays",
        gives=lambda: 1.0,
    ),
    Claim(
        name="bn-keeps-images-apart",
        kind="made by",
        says="Without normalization the outputs of a deep random network for different inputs become parallel, and "
        "their rank collapses to 1. With BN it does not.",
        source="daneshmand2020batch",
        run="64 digits behind 50 blocks of 64 ReLUs.",
        measure=lambda seed: _stable_rank("bn", seed) / _stable_rank("plain", seed),
        band=(2.0, math.inf),
        unit="stable rank with BN / without",
        wrong="a collapse in both",
        gives=lambda: 1.0,
    ),
    Claim(
        name="width-makes-images-orthogonal",
        kind="put to the test",
        says="Layers of BN and random linear maps make samples orthogonal, up to a term that is inversely proportional "
        "to the root of the width. Our test: with four times the width half of the deviation is left.",
        source="daneshmand2021orthogonalizes",
        run="8 digits, 40 layers of 64 and of 256 units; deviation from orthogonality over the last 20.",
        measure=lambda seed: orthogonality_gap(64, seed=seed) / orthogonality_gap(256, seed=seed),
        band=(1.7, 2.4),
        unit="deviation at 64 units / at 256",
        wrong="a deviation inversely proportional to the width itself",
        gives=lambda: 256 / 64,
    ),
    Claim(
        name="bn-makes-skips-carry-more",
        kind="put to the test",
        says="In a residual network with BN every block adds as much to what the skips carry, so that after n blocks a "
        "branch has a share of 1 / n. Without BN the sum doubles with every block.",
        source="de2020batch",
        run="32 residual blocks of 128 units at initialization, 128 digits.",
        measure=lambda seed: _slope("residual", seed),
        band=(0.8, 1.2),
        unit="mean square added per block",
        wrong="the same without BN",
        gives=lambda: _slope("bare", 0),
    ),
    Claim(
        name="deep-bn-needs-skips",
        kind="made by",
        says="Networks with BN and without skip connections cannot be trained at large depth from common "
        "initializations.",
        source="yang2019mean",
        run=f"{_DEEP}, with skips and without.",
        measure=lambda seed: _points_lost("residual", "bn", seed),
        band=(30.0, 100.0),
        unit="points of accuracy lost without skips",
        wrong="as good without skips",
        gives=lambda: 0.0,
        seeds=2,
    ),
    Claim(
        name="skipinit-does-without-bn",
        kind="made by",
        says="A deep residual network trains without normalization if its branches start at zero.",
        source="de2020batch",
        run=f"{_DEEP} with skips and SkipInit.",
        measure=lambda seed: 100 * best_of("skipinit", 40, seed=seed),
        band=(70.0, 100.0),
        unit="% of test digits right",
        wrong="skips alone",
        gives=lambda: 100 * best_of("bare", 40, seed=0),
        seeds=2,
    ),
    Claim(
        name="small-ghosts-generalize-better-on-few-images",
        kind="made by",
        says="Statistics of a part of a large mini-batch make the network generalize better.",
        source="hoffer2017train",
        run=f"{_FEW}. 200 images in one mini-batch, statistics of 8 or of all 200; 60 steps.",
        measure=_by_ghosts,
        band=(0.3, math.inf),
        unit="points of test accuracy gained",
        wrong="no difference",
        gives=lambda: 0.0,
        seeds=2,
    ),
    Claim(
        name="bn-makes-dropout-redundant",
        kind="put to the test",
        says="BN regularizes, in some cases so much that dropout is not needed. Here: with BN nothing is gained by it.",
        source="ioffe2015batch",
        run=f"{_FEW}. 150 images, mini-batches of 30, 150 steps, dropout of 0.2 behind both hidden layers.",
        measure=lambda seed: _by_dropout(30, seed),
        band=(-math.inf, 0.2),
        unit="points of test accuracy gained by dropout",
        wrong="a gain of half a point",
        gives=lambda: 0.5,
        seeds=2,
        reproduces=False,
    ),
    Claim(
        name="dropout-before-bn-shifts-the-variance",
        kind="put to the test",
        says="Behind dropout the variance is larger in training than in inference, and BN keeps that of training. Our "
        "test: what BN keeps is larger by p / (1 − p) times the sum of w² times the mean square of w's input.",
        source="li2019understanding",
        run="64-64-64-10 on digits, dropout of p = 0.5 before the second BN; running variance / variance in inference, "
        "median over its 64 units, minus 1.",
        measure=_variance_added,
        band=(0.9, 1.1),
        unit="what dropout adds to the variance / what the formula says",
        wrong="p in place of p / (1 − p)",
        gives=lambda: _variance_added(0) / (1 - 0.5),
    ),
    Claim(
        name="running-averages-lag",
        kind="made by",
        says="Running averages are of weights that have changed since. Statistics recomputed with the present weights "
        "give a better accuracy while the network still changes fast.",
        source="wu2021rethinking",
        run="64-64-64-10 on digits, learning rate 0.3; mean over steps 3 to 10.",
        measure=_ahead,
        band=(4.0, math.inf),
        unit="points of test accuracy gained",
        wrong="no difference",
        gives=lambda: 0.0,
    ),
    Claim(
        name="new-statistics-undo-contrast",
        kind="an identity",
        says="Statistics of the changed images undo a common change of brightness and contrast: the answers are "
        "those for the unchanged ones.",
        source="li2018adaptive",
        run="360 test digits with 30 % of their contrast; statistics of all of them, against those of clean digits.",
        measure=lambda seed: affine_difference("pale", seed=seed),
        band=(0.0, 0.01),
        unit="largest difference of the logits / their standard deviation",
        wrong="a change that is not affine, blur",
        gives=lambda: affine_difference("blurred", seed=0),
    ),
    Claim(
        name="32-images-repair-the-statistics",
        kind="made by",
        says="Statistics of 32 unlabelled corrupted images are enough to become more robust.",
        source="schneider2020improving",
        run="64-64-64-10 trained on digits; test images changed in seven ways, statistics of 32 of them; mean.",
        measure=lambda seed: float(
            np.mean([_repaired(name, seed, images=32) for name in CORRUPTIONS if name != "clean"])
        ),
        band=(5.0, math.inf),
        unit="points of test accuracy gained",
        wrong="no difference",
        gives=lambda: 0.0,
    ),
    Claim(
        name="new-statistics-help-against-noise",
        kind="made by",
        says="Recomputed statistics make networks more robust to common corruptions, noise among them.",
        source="schneider2020improving",
        run="64-64-64-10 trained on digits; normal noise with a standard deviation of 0.3 on the test images, the "
        "statistics of all of them.",
        measure=lambda seed: _repaired("noisy", seed),
        band=(3.0, math.inf),
        unit="points of test accuracy gained",
        wrong="no difference",
        gives=lambda: 0.0,
        reproduces=False,
    ),
    Claim(
        name="statistics-of-one-class-lose-the-class",
        kind="put to the test",
        says="BN's statistics depend on how a batch is put together: those of a batch of one class are wrong for it.",
        source="wu2021rethinking",
        run="Clean test digits, each class with the statistics of its own images.",
        measure=lambda seed: 100 * adapt_to_one_class(seed=seed),
        band=(0.0, 30.0),
        unit="% of test digits right",
        wrong="the statistics of all classes together",
        gives=lambda: 100 * adapt("clean", seed=0).recomputed,
    ),
    Claim(
        name="renormalization-helps-batches-of-two",
        kind="made by",
        says="Batch renormalization is substantially better than BN where mini-batches are small.",
        source="ioffe2017renorm",
        run="64-64-64-10 on digits, 900 mini-batches of 2.",
        measure=lambda seed: _in_company("renorm", "batch", "two images", seed),
        band=(5.0, math.inf),
        unit="points of test accuracy gained",
        wrong="no difference",
        gives=lambda: 0.0,
    ),
)
