"""What the chapter asks, with an answer to every answer. Every value is computed."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

import numpy as np

from bn_book.drawing import plot
from bn_book.frameworks import figures
from bn_book.frameworks.experiments import floor, with_softmax
from bn_exercises.check_yourself.numeric import NumberQuestion, WrongNumbers, from_values
from bn_exercises.check_yourself.question import Choice, Plot, WrongChoice
from bn_exercises.tolerance import Array
from bn_exercises.verdict import Link

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PAGE = "chapters/frameworks"


def _beside_one(predicted: Callable[[Array], Array]) -> Plot:
    """A plot of the loss with one softmax, and of one that is made of it; it is computed when it is drawn."""

    def draw() -> Figure:
        once = _losses(1)
        return figures.two_losses(once, predicted(once))

    return plot(draw)


def _losses(times: Literal[1, 2]) -> Array:
    return np.convolve(with_softmax(times).losses, np.full(10, 0.1), mode="valid")


def _the_loss_of_softmax_twice() -> Choice:
    def stuck(once: Array) -> Array:
        return np.full(len(once), math.log(10)) + 0.01 * np.sin(np.arange(len(once)) / 3)

    return Choice(
        name="the-loss-of-softmax-twice",
        page=PAGE,
        prompt="Blue: the training loss of the network as it should be. Predict it with one more softmax before the "
        "loss, all else the same.",
        right="It falls and stops far above 0",
        plot=_beside_one(lambda _: _losses(2)),
        because="After the first softmax all numbers lie between 0 and 1. The second gets leads of at most 1, and "
        "turns them into a probability of at most e / (e + 9), about a quarter.",
        wrong=(
            WrongChoice(
                "slower",
                "It falls to 0 more slowly",
                "To reach 0 the loss needs a probability near 1. How far can one of ten numbers between 0 and 1 lead?",
                _beside_one(lambda once: once[np.arange(len(once)) // 4]),
            ),
            WrongChoice(
                "stuck",
                "It stays where guessing is",
                "The order of the classes survives the second softmax, and so does a gradient. It learns.",
                _beside_one(stuck),
            ),
            WrongChoice(
                "the same",
                "It is the same as with one",
                "A softmax of a softmax is another distribution: try it on the numbers 5, 0, 0.",
                _beside_one(lambda once: once),
            ),
        ),
        hint="Which is the largest number that comes out of the first softmax, and what does the second make of it?",
        see=Link("Softmax, twice", "sec-frameworks-softmax"),
    )


def _floor_of_two() -> NumberQuestion:
    return from_values(
        name="floor-of-two-classes",
        page=PAGE,
        prompt="A network tells cats from dogs: two classes, and softmax applied twice. How small can its loss become, "
        "in nats?",
        right=floor(2),
        because="At best the second softmax gets 1 and 0, and makes e / (e + 1) of it: a loss of log(1 + 1/e).",
        wrong=(
            WrongNumbers("guessing", math.log(2), "That is the loss of guessing. A lead of 1 is better than none."),
            WrongNumbers("ten classes", floor(10), "That is the floor of ten classes."),
            WrongNumbers("one over e", 1 / math.e, "That is e to the −1. The loss is the logarithm of 1 plus that."),
            WrongNumbers("none", 0.0, "Softmax once can come near 0. Here the last one gets numbers from 0 to 1."),
        ),
        hint="Put C = 2 into the formula, or work out softmax of (1, 0).",
        see=Link("Softmax, twice", "sec-frameworks-softmax"),
    )


def _variance_on_the_way() -> NumberQuestion:
    start, batch, count = 0.9, 6.0, 3
    keras = start + 0.1 * batch
    return from_values(
        name="variance-on-the-way",
        page=PAGE,
        prompt="In Keras a layer with momentum 0.9 saw one batch of three values with the biased variance 6, so it "
        "holds 0.9 · 1 + 0.1 · 6 = 1.5. Which running variance would PyTorch hold?",
        right=start + 0.1 * batch * count / (count - 1),
        because="The unbiased variance is 6 · 3/2 = 9, and 0.9 + 0.1 · 9 = 1.8. The start value 1 is no variance of "
        "any batch, so it is not scaled.",
        wrong=(
            WrongNumbers("as stored", keras, "That is Keras's. PyTorch averages variances divided by m - 1."),
            WrongNumbers("all scaled", keras * count / (count - 1), "You scaled the start value too."),
            WrongNumbers("swapped", 0.1 + 0.9 * 9, "You gave the new batch the weight 0.9."),
        ),
        hint="Take the part that came from the batch, 0.6, and turn it into that of the unbiased variance.",
        see=Link("By hand", "sec-frameworks-hand"),
    )


def _what_stays() -> Choice:
    return Choice(
        name="what-stays",
        page=PAGE,
        prompt="In PyTorch the BN layers of a pretrained network are to stay bit for bit as they are, while the rest "
        "trains for ten epochs. What does that?",
        right="requires_grad_(False) on them, and eval() on them after every model.train().",
        because="The first holds gamma and beta, the second the statistics, and each epoch begins with a train() "
        "that would undo it.",
        wrong=(
            WrongChoice(
                "no gradients",
                "requires_grad_(False) on them.",
                "Gamma and beta stay. Statistics are moved by the forward pass, which asks for no gradient.",
            ),
            WrongChoice(
                "eval once",
                "requires_grad_(False) and eval() on them, before the first epoch.",
                "It holds until the first model.train().",
            ),
            WrongChoice(
                "no decay",
                "Leaving their parameters out of the optimizer.",
                "That holds gamma and beta, weight decay included. Statistics are not the optimizer's.",
            ),
        ),
        hint="A BN layer has four arrays. Who writes into which?",
        see=Link("Pitfalls", "sec-frameworks-pitfalls"),
    )


THE_LOSS_OF_SOFTMAX_TWICE = _the_loss_of_softmax_twice()
FLOOR_OF_TWO = _floor_of_two()
VARIANCE_ON_THE_WAY = _variance_on_the_way()
WHAT_STAYS = _what_stays()
