"""What the chapter asks, with an answer to every answer. Every value is computed."""

import numpy as np

from bn_exercises import misconceptions
from bn_exercises.check_yourself.numeric import NumberQuestion, WrongNumbers, from_values
from bn_exercises.check_yourself.question import Choice, WrongChoice
from bn_exercises.functions import slips
from bn_exercises.misconceptions import Misconception
from bn_exercises.verdict import Link
from bn_lib import batch_norm


def _convolutions() -> NumberQuestion:
    shape = (8, 3, 5, 4)
    x, c = np.zeros(shape), shape[1]
    _, cache = batch_norm(x, np.ones(c), np.zeros(c))
    assert cache.moments is not None  # in training they are those of x

    def over_wrong_axes(mistake: Misconception) -> WrongNumbers:
        shared = np.prod([shape[axis] for axis in mistake.compute(x)])
        return WrongNumbers(mistake.name, shared, mistake.says, mistake.see)

    return from_values(
        name="convolutions",
        page="chapters/convolutions",
        prompt=f"Batch Normalization of feature maps with (N, C, H, W) = {shape}. How many values share one mean?",
        right=cache.moments.count,
        because="A channel is one feature, and it occurs at every position of every sample: N · H · W values share one "
        f"mean, and there are C = {c} means.",
        wrong=(
            *map(over_wrong_axes, slips.IMAGE_AXES),
            over_wrong_axes(
                misconceptions.OVER_EVERYTHING.at(
                    lambda x: range(x.ndim), "You averaged over all values. Every channel has its own mean."
                )
            ),
            WrongNumbers(
                "the number of means",
                c,
                "That is how many means there are: one for each channel. The question is how many values share one.",
            ),
        ),
        hint="Which of the four axes keep their own means? Multiply the lengths of the others.",
        see=misconceptions.AXES,
    )


def _passing_mistake() -> Choice:
    return Choice(
        name="passing-mistake",
        page="chapters/convolutions",
        prompt="With γ = 1 and β = 0 every channel of your layer's output has mean 0 and standard deviation 1. Which "
        "mistake can it make all the same?",
        right="It averages over the samples only",
        because="If every position has mean 0 and variance 1 within a channel, so has the channel. What gives it away "
        "is the shape of the statistics.",
        wrong=(
            WrongChoice(
                "as layer norm",
                "It averages over channels and positions",
                "Then each sample has mean 0, and channels with different means keep them.",
            ),
            WrongChoice(
                "over everything",
                "It averages over everything",
                "One mean for all channels leaves their differences, and the test would see them.",
            ),
            WrongChoice(
                "over channels",
                "It averages over the channels only",
                "That mixes features with each other, and no channel has mean 0 afterwards.",
            ),
        ),
        hint="For which axes does mean 0 of every piece make mean 0 of every channel?",
        see=Link("The usual mistakes, and how to notice them", "sec-conv-mistakes"),
    )


def _learned_numbers() -> NumberQuestion:
    c, side = 64, 56
    return from_values(
        name="learned-numbers",
        page="chapters/convolutions",
        prompt=f"A convolution puts out {c} channels of {side} × {side} positions. How many numbers does the BN "
        "behind it learn by gradient?",
        right=2 * c,
        because="There is one γ and one β for each channel, whatever the size of the map.",
        wrong=(
            WrongNumbers(
                "running statistics too",
                4 * c,
                "You counted the running mean and variance. They are kept, and not learned by gradient.",
            ),
            WrongNumbers("one each", c, "There are two for each channel."),
            WrongNumbers("for each position", 2 * side**2, "All positions of a channel share theirs."),
        ),
        hint="What has an index c in the formula, and is not computed from x?",
        see=Link("Which axes, and why", "sec-conv-axes"),
    )


def _worth() -> NumberQuestion:
    positions, rho = 64, 1 / 9
    return from_values(
        name="worth",
        page="chapters/convolutions",
        prompt=f"Images of {positions} pixels come in changing light. Two pixels of an image have a correlation of "
        "1/9 on average. How many independent values is an image worth for the mean of its channel?",
        right=positions / (1 + (positions - 1) * rho),
        because="It is worth H W / (1 + (H W − 1) ρ̄). What all pixels of an image share cannot be averaged away "
        "within it.",
        wrong=(
            WrongNumbers("as if independent", positions, "So it would be if the pixels were independent, with ρ̄ = 0."),
            WrongNumbers(
                "its share taken away",
                positions * (1 - rho),
                "You took away a ninth. But every pixel is correlated with all the others, and those are many.",
            ),
            WrongNumbers(
                "the limit",
                1 / rho,
                "That is what an image with very many pixels would be worth at most.",
            ),
        ),
        hint="How much larger is the variance of the image's sum than that of independent values?",
        see=Link("How many values is a map worth?", "sec-conv-count"),
    )


CONVOLUTIONS = _convolutions()
PASSING_MISTAKE = _passing_mistake()
LEARNED_NUMBERS = _learned_numbers()
WORTH = _worth()
