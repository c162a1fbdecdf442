"""The claims of the chapter on convolutions."""

import math

from bn_book.claims import Claim
from bn_book.convolutions.experiments import (
    final_accuracy,
    follows_a_shift,
    moved_by_a_shift,
    speed_up,
    values_per_image,
    with_brightness,
)
from bn_book.data import load_digits


def _worth(light: float, seed: int) -> float:
    """How many independent values an image of 64 pixels is worth, in light that changes so much."""
    return float(values_per_image(with_brightness(load_digits(flat=False).train[0], light, seed=seed))[0])


def _gain(rate: float, seed: int) -> float:
    return final_accuracy(True, rate, seeds=(seed,)) - final_accuracy(False, rate, seeds=(seed,))


CLAIMS = (
    Claim(
        name="bn-obeys-the-convolutional-property",
        kind="an identity",
        says="With one mean and one variance per feature map, all positions of a map are normalized alike: shift an "
        "image, and its output shifts with it.",
        source="ioffe2015batch",
        run="Random maps of shape (8, 3, 5, 4), one of them shifted by a column in a circle.",
        measure=lambda seed: follows_a_shift(seed=seed),
        band=(0.0, 1e-12),
        unit="largest difference from the shifted output",
        wrong="a mean for each position",
        gives=lambda: moved_by_a_shift((0,)),
    ),
    Claim(
        name="positions-are-not-independent-values",
        kind="put to the test",
        says="The paper calls m = N H W the effective size of the mini-batch. As a measure of noise it fails: in "
        "changing light, an image of 64 pixels pins down the channel's mean no better than a handful of independent "
        "values.",
        source="ioffe2015batch",
        run="1437 digits, to each of which one number with the standard deviation 0.2 is added. If nothing but the "
        "light differed between images, each would be worth 4.5 values.",
        measure=lambda seed: _worth(0.2, seed),
        band=(1.0, 5.0),
        unit="independent values that an image of 64 pixels is worth",
        wrong="as many values as pixels, or more, as in steady light",
        gives=lambda: _worth(0.0, 0),
    ),
    Claim(
        name="bn-allows-larger-learning-rates",
        kind="made by",
        says="With BN a network trains at learning rates at which it does not train without.",
        source="ioffe2015batch",
        run="Small CNN on digits, 3 epochs, learning rate 1.4, mini-batches of 64.",
        measure=lambda seed: _gain(1.4, seed),
        band=(40.0, 100.0),
        unit="points of test accuracy, with BN minus without",
        wrong="a rate at which both train, 0.1",
        gives=lambda: _gain(0.1, 0),
    ),
    Claim(
        name="bn-needs-fewer-updates",
        kind="made by",
        says="At the same learning rate the network with BN reaches a given training loss in fewer updates.",
        source="ioffe2015batch",
        run="Small CNN on digits, learning rate 0.1, until the loss is below 0.5 nats.",
        measure=lambda seed: speed_up(seeds=(seed,)),
        band=(1.2, math.inf),
        unit="updates without BN / updates with BN",
        wrong="no difference",
        gives=lambda: 1.0,
    ),
)
