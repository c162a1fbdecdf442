"""The claims of the chapter on axes, and those that did not reproduce."""

import math
from typing import Literal

import numpy as np

from bn_book.axes.experiments import (
    deep,
    dice,
    final,
    gradients,
    influence,
    padded,
    power_of_depth,
    read_digits,
    wrong_digits,
)
from bn_book.axes.sequences import Norm, Place
from bn_book.claims import Claim

_DICE = (
    "A network of two layers of 64 ReLUs sees the throws of a fair die so far and predicts the next one; 8 throws of "
    "one series in a mini-batch, 1000 steps"
)
_SORT = "A transformer of one block sorts 2 to 8 digits, 32 sequences in a mini-batch, 300 steps of Adam"
_DEEP = "A transformer of 8 blocks that sorts 6 digits, 160 steps of Adam at 0.004. Mean loss of the last ten steps"
_BEFORE = (
    "Transformers of width 32 before training, to sort 8 digits; gradient of the last matrix of a block, geometric "
    "mean of four networks"
)


def _hears(norm: Norm, seed: int) -> float:
    """The strongest influence of a later token, or of another sequence, on the scores at a position."""
    found = influence(norm, seed=seed)
    return float(max(np.triu(found[:, 0], 1).max(), found[:, 1].max()))


def _worse(norm: Norm, seed: int) -> float:
    return wrong_digits(norm, seed=seed) / wrong_digits("LN", seed=seed)


def _first_to_last(place: Place, seed: int) -> float:
    """The gradient of the last block divided by that of the first, with LN and 32 blocks."""
    found = gradients("LN", place, 32, seed=seed)
    return float(found[-1] / found[0])


def _without_warm_up(place: Place, seed: int) -> float:
    """The loss without a warm-up, divided by that with one."""
    return final(deep("LN", place, seed=seed)) / final(deep("LN", place, warm_up=80, seed=seed))


def _points_lost(statistics: Literal["shared", "late"], seed: int) -> float:
    """Percentage points that a recurrent network with BN loses with other statistics than each step's own."""
    read = read_digits("BN", steps=16, seed=seed)
    return 100 * (read.right - (read.shared if statistics == "shared" else read.late))


def _beside_ln(norm: Norm, seed: int) -> float:
    return final(deep(norm, seed=seed)) / final(deep("LN", seed=seed))


CLAIMS = (
    Claim(
        name="bn-predicts-fair-dice-in-training",
        kind="put to the test",
        says="With BN a network can use what the other rows of its mini-batch tell. Our test: in training it predicts "
        "throws of a fair die that it has not seen.",
        source="wu2021rethinking",
        run=f"{_DICE}, with BN. Training loss of the last 100 steps; whoever knows nothing has ln 6.",
        measure=lambda seed: dice("BN", seed=seed).training,
        band=(-math.inf, 1.2),
        unit="nats",
        wrong="LN in its place",
        gives=lambda: dice("LN").training,
    ),
    Claim(
        name="rows-from-elsewhere-end-the-leak",
        kind="put to the test",
        says="Whoever shuffles rows before the statistics are taken ends the leak. Our test: with 8 rows of 8 "
        "different series the same network with BN learns nothing about dice.",
        source="he2020momentum",
        run=f"{_DICE}, with BN, but each row of another series.",
        measure=lambda seed: dice("BN, rows mixed", seed=seed).training,
        band=(math.log(6) - 0.05, math.log(6) + 0.05),
        unit="nats",
        wrong="8 rows of one series",
        gives=lambda: dice("BN").training,
    ),
    Claim(
        name="layer-norm-hears-no-other-position",
        kind="an identity",
        says="LN over the features of a position takes its statistics from that position alone, so in a causal "
        "transformer no score depends on a later token or on another sequence.",
        source="ba2016layer",
        run="A causal transformer of one block before training, two sequences of six tokens. Each token is replaced by "
        "each other one; the largest change of a score that should not hear it, in parts of one that should.",
        measure=lambda seed: _hears("LN", seed),
        band=(-math.inf, 1e-9),
        unit="influence",
        wrong="BN over sequences and positions",
        gives=lambda: _hears("BN", 0),
    ),
    Claim(
        name="masked-bn-does-not-see-padding",
        kind="an identity",
        says="BN whose statistics are of the valid positions alone answers alike however far a batch is padded.",
        source="ioffe2015batch",
        run=f"{_SORT}. Batches of 8 sequences of 4 digits in 4 to 12 columns, with the batch's statistics.",
        measure=lambda seed: float(padded("BN, masked", seed=seed).changed.max()),
        band=(-math.inf, 1e-3),
        unit="largest change of a probability",
        wrong="padding in the statistics",
        gives=lambda: float(padded("BN").changed.max()),
    ),
    Claim(
        name="bn-sorts-worse-than-ln",
        kind="put to the test",
        says="A plain BN in a transformer for language does much worse than LN. Our test: with running statistics "
        "it puts more digits wrong.",
        source="shen2020powernorm",
        run=f"{_SORT}. Digits put wrong in 640 new sequences.",
        measure=lambda seed: _worse("BN", seed),
        band=(1.2, math.inf),
        unit="digits wrong with BN divided by those with LN",
        wrong="RMSNorm in its place",
        gives=lambda: _worse("RMS", 0),
    ),
    Claim(
        name="rms-norm-is-as-good-as-ln",
        kind="put to the test",
        says="Subtracting the mean is dispensable: RMSNorm does about as well as LN. Our test: sorting digits.",
        source="zhang2019root",
        run=f"{_SORT}. Digits put wrong in 640 new sequences.",
        measure=lambda seed: _worse("RMS", seed),
        band=(0.6, 1.25),
        unit="digits wrong with RMSNorm divided by those with LN",
        wrong="BN in its place",
        gives=lambda: _worse("BN", 0),
    ),
    Claim(
        name="steps-need-their-own-statistics",
        kind="put to the test",
        says="BN inside a recurrent network needs statistics for each step. Our test: the same trained network, used "
        "with one set of running statistics for all steps.",
        source="cooijmans2017recurrent",
        run="Digits in 16 half rows, 32 recurrent units with BN, 8 epochs. Test accuracy. One set is of the same "
        "units, so it loses less than those of another step do: beyond 50 points it would be a defect.",
        measure=lambda seed: _points_lost("shared", seed),
        band=(5.0, 50.0),
        unit="percentage points that one set loses",
        wrong="a defect: each step with the statistics of the step before it",
        gives=lambda: _points_lost("late", 0),
    ),
    Claim(
        name="pre-ln-gradient-falls-with-the-root-of-depth",
        kind="made by",
        says="With pre-LN the gradient of the last block shrinks with the square root of the depth; with post-LN it "
        "does not depend on it.",
        source="xiong2020layer",
        run=f"{_BEFORE}; 4 to 32 blocks. The power of the depth, where 0 would be no dependence.",
        measure=lambda seed: power_of_depth("LN", "pre", seed=seed),
        band=(-0.7, -0.3),
        unit="power",
        wrong="post-LN",
        gives=lambda: power_of_depth("LN", "post"),
    ),
    Claim(
        name="post-ln-gradient-vanishes-towards-the-input",
        kind="made by",
        says="Post-LN makes the gradients of the lower blocks vanish.",
        source="takase2023b2t",
        run=f"{_BEFORE}; 32 blocks.",
        measure=lambda seed: _first_to_last("post", seed),
        band=(10.0, math.inf),
        unit="gradient of the last block divided by that of the first",
        wrong="pre-LN",
        gives=lambda: _first_to_last("pre", 0),
        reproduces=False,
    ),
    Claim(
        name="pre-ln-first-blocks-have-the-larger-gradients",
        kind="made by",
        says="With pre-LN the gradients at early layers are much larger than at later layers.",
        source="shleifer2021normformer",
        run=f"{_BEFORE}; 32 blocks.",
        measure=lambda seed: 1 / _first_to_last("pre", seed),
        band=(2.0, math.inf),
        unit="gradient of the first block divided by that of the last",
        wrong="post-LN",
        gives=lambda: 1 / _first_to_last("post", 0),
    ),
    Claim(
        name="post-ln-needs-a-warm-up",
        kind="made by",
        says="At a large learning rate a transformer with post-LN needs a warm-up, and one with pre-LN does not.",
        source="xiong2020layer",
        run=f"{_DEEP}, with post-LN, without a warm-up and with one of 80 steps. The band is for this rate, which is "
        "large: at half of it post-LN needs no warm-up here, and the number would fall outside, as the chapter shows.",
        measure=lambda seed: _without_warm_up("post", seed),
        band=(1.3, math.inf),
        unit="loss without a warm-up divided by that with one",
        wrong="pre-LN",
        gives=lambda: _without_warm_up("pre", 0),
    ),
    Claim(
        name="a-factor-of-0-stands-in-for-a-normalizer",
        kind="put to the test",
        says="Deep residual networks train without a normalizer if each branch begins with a small factor. Our "
        "test: in a transformer a factor that starts at 0 does as well as LN.",
        source="de2020batch",
        run=f"{_DEEP}, without a normalizer, each branch times a trained number that starts at 0.",
        measure=lambda seed: _beside_ln("SkipInit", seed),
        band=(0.0, 1.25),
        unit="loss divided by that with pre-LN",
        wrong="neither normalizer nor factor",
        gives=lambda: _beside_ln("none", 0),
    ),
    Claim(
        name="a-tanh-stands-in-for-ln",
        kind="put to the test",
        says="A transformer with a tanh in place of each normalizer does as well, mostly without other settings. Our "
        "test: pre-LN and the settings that it has here.",
        source="zhu2025transformers",
        run=f"{_DEEP}, y = gamma tanh(alpha x) + beta in place of LN, alpha 0.5 at the start.",
        measure=lambda seed: _beside_ln("DyT", seed),
        band=(0.0, 1.25),
        unit="loss divided by that with pre-LN",
        wrong="nothing in place of LN",
        gives=lambda: _beside_ln("none", 0),
    ),
)
