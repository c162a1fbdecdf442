"""What the chapter asks, with an answer to every answer. Every value is computed."""

import numpy as np

from bn_book.drawing import plot
from bn_book.price import figures
from bn_book.price.experiments import GROWTH
from bn_exercises.check_yourself.numeric import NumberQuestion, WrongNumbers, from_values
from bn_exercises.check_yourself.question import Choice, WrongChoice
from bn_exercises.verdict import Link


def _predict() -> Choice:
    blocks = 30
    to_go = blocks - np.arange(blocks + 1.0)
    return Choice(
        name="gradient-on-its-way-back",
        page="chapters/price",
        prompt=f"Take {blocks} blocks of a dense layer, BN and a ReLU, with He's weights. Going forward, every "
        "block's output has the mean square 1/2. Predict the squared gradient on its way back: it comes from the "
        "right, and the scale is logarithmic. Which of these curves is it?",
        right="It grows on its way back, by the same factor in every block",
        plot=plot(figures.on_its_way_back, GROWTH**to_go),
        because="BN divides by a standard deviation on the way back, too. He's weights make up for the ReLU, mean "
        "included. BN takes the mean out and divides by what is left, which is below 1 in every block.",
        wrong=(
            WrongChoice(
                "as the signal",
                "It stays the same, as the signal does",
                "So it is without BN and with He's weights. With BN, look at what the way back is divided by.",
                plot(figures.on_its_way_back, np.ones(blocks + 1)),
            ),
            WrongChoice(
                "vanishes",
                "It shrinks on its way back, by the same factor in every block",
                "Half of the ReLUs are 0, and He's weights make up for that. BN's division comes on top.",
                plot(figures.on_its_way_back, GROWTH**-to_go),
            ),
            WrongChoice(
                "evens out",
                "It grows on its way back through the last blocks, and then levels off",
                "At initialization no block knows where it stands: each does the same to the gradient.",
                plot(figures.on_its_way_back, GROWTH ** np.minimum(to_go, 8)),
            ),
        ),
        hint="The way back multiplies by what the way forward multiplied with. By what does BN divide behind a ReLU?",
        see=Link("The gradient on its way back", "sec-price-gradient"),
    )


def _over_blocks() -> NumberQuestion:
    blocks = 20
    return from_values(
        name="growth-over-blocks",
        page="chapters/price",
        prompt=f"Per block the squared gradient grows by π / (π − 1). By which factor does the gradient itself, not "
        f"its square, grow over {blocks} blocks?",
        right=GROWTH ** (blocks / 2),
        because="The factors multiply, and the root of a product is the product of the roots: (π / (π − 1))¹⁰.",
        wrong=(
            WrongNumbers("squared", GROWTH**blocks, "That is the factor of the square. The gradient's is its root."),
            WrongNumbers("one block", np.sqrt(GROWTH), "That is one block. There are 20, and their factors multiply."),
            WrongNumbers(
                "added",
                blocks * np.sqrt(GROWTH),
                "You added the factors of the blocks. One after the other, they multiply.",
            ),
            WrongNumbers("half of the blocks", GROWTH * blocks / 2, "The factors of the blocks multiply."),
        ),
        hint="First the square: how often is it multiplied, and by what?",
        see=Link("By hand: why 1.467", "sec-price-by-hand"),
    )


def _variance_shift() -> NumberQuestion:
    mean, variance, p = 1.0, 1.0, 0.5
    factor = p / (1 - p)
    return from_values(
        name="variance-under-dropout",
        page="chapters/price",
        prompt=f"A feature has the mean {mean:g} and the variance {variance:g}. Dropout sets it to 0 with probability "
        f"{p:g} and otherwise divides it by {1 - p:g}. Which variance does the BN behind it see in training?",
        right=variance + factor * (variance + mean**2),
        because="Its mean square is divided by 1 − p and its mean stays: (1 + 1) / 0.5 − 1 = 3. In inference it is 1.",
        wrong=(
            WrongNumbers(
                "mean forgotten",
                variance + factor * variance,
                "That is right for a mean of 0. Switching a mean on and off adds to the variance, too.",
            ),
            WrongNumbers("inference", variance, "That is the variance in inference. Dropout's noise is missing."),
            WrongNumbers(
                "mean not subtracted",
                (variance + mean**2) / (1 - p),
                "That is the mean square. Subtract the mean squared.",
            ),
            WrongNumbers("halved", variance * (1 - p), "What is kept is divided by 1 − p. The variance grows."),
        ),
        hint="Compute the mean and the mean square of the new feature. The variance is the difference.",
        see=Link("Dropout beside BN", "sec-price-dropout"),
    )


def _which_images() -> Choice:
    return Choice(
        name="whose-statistics",
        page="chapters/price",
        prompt="A new scanner makes all images darker. You may run one batch of its unlabelled images through the "
        "network to recompute the statistics. Which?",
        right="Images of all classes, in the shares in which they will come.",
        because="Then what differs from the old statistics is the scanner. Statistics of other classes, or of other "
        "shares of them, would take the classes for the scanner's work and remove them.",
        wrong=(
            WrongChoice(
                "one class",
                "Images of one class, so that nothing else varies.",
                "Then what all these images have in common is the class, and BN subtracts it.",
            ),
            WrongChoice(
                "hardest",
                "The images that the network is least sure of.",
                "They are no sample of what will come. Their mean is not that of the scanner's images.",
            ),
            WrongChoice(
                "a few",
                "Two or three are enough, because a scanner changes all in the same way.",
                "It does, but statistics of two or three images are mostly noise.",
            ),
        ),
        hint="What do the images have in common that BN will subtract?",
        see=Link("Other data than in training", "sec-price-shifted"),
    )


PREDICT = _predict()
OVER_BLOCKS = _over_blocks()
VARIANCE_SHIFT = _variance_shift()
WHICH_IMAGES = _which_images()
