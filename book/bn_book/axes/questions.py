"""What the chapter asks, with an answer to every answer. Every value is computed."""

from collections.abc import Callable

import numpy as np

from bn_book.axes import figures
from bn_book.axes.experiments import DEPTHS, GUESSING, dice, gradients
from bn_book.drawing import plot
from bn_book.runs import once
from bn_exercises.check_yourself.numeric import NumberQuestion, WrongNumbers, from_values
from bn_exercises.check_yourself.question import Choice, Plot, WrongChoice
from bn_exercises.tolerance import Array
from bn_exercises.verdict import Link


def _the_loss_of_dice() -> Choice:
    width = 50
    steps = np.arange(width, 1001)
    with_bn, with_ln = (
        np.convolve(dice(norm).losses, np.full(width, 1 / width), mode="valid") for norm in ("BN", "LN")
    )
    slightly = GUESSING - 0.1 * (GUESSING - with_bn)
    rising = GUESSING + 0.6 * (GUESSING - with_bn)
    return Choice(
        name="the-loss-of-dice",
        page="chapters/axes",
        prompt="The network has BN in both layers, and a mini-batch is the eight rows of one series. Predict its "
        "training loss over 1000 steps. Dotted: ln 6, the loss of whoever calls all faces equally likely.",
        right="It falls far below ln 6",
        plot=plot(figures.two_dice, steps, with_bn),
        because="The eight rows share their mean and variance, and the later rows have seen the throws that the "
        "earlier ones are to predict. Whatever lies in the statistics can be read out of them.",
        wrong=(
            WrongChoice(
                "nobody predicts dice",
                "It goes to ln 6 and stays there",
                "That is right for every network that gets only the past. Does a row get only its own past here?",
                plot(figures.two_dice, steps, with_ln),
            ),
            WrongChoice(
                "a little",
                "It falls a little below ln 6",
                "A mean over eight rows is no thin source: each row differs from the one before it in just one throw.",
                plot(figures.two_dice, steps, slightly),
            ),
            WrongChoice(
                "noise",
                "It rises above ln 6",
                "The statistics of eight rows are noisy. But what is noise to one row is news to another.",
                plot(figures.two_dice, steps, rising),
            ),
        ),
        hint="Row 3 is to predict throw 4. Which rows of the mini-batch have throw 4 among their inputs?",
        see=Link("Who hears whom", "sec-axes-influence"),
    )


def _half_padded() -> NumberQuestion:
    share, mean, variance = 0.5, 4.0, 1.0
    square = (1 - share) * (variance + mean**2)
    right = square - ((1 - share) * mean) ** 2
    return from_values(
        name="half-padded",
        page="chapters/axes",
        prompt="A feature has mean 4 and variance 1 over the valid positions of a batch. As many positions again are "
        "padding, where it is 0. Which variance does a BN without a mask compute?",
        right=right,
        because="The mean is 2. The mean square is half of 1 + 16, which is 8.5, and 8.5 minus 4 is 4.5.",
        wrong=(
            WrongNumbers("masked", variance, "That is the variance of the valid positions. BN does not know them."),
            WrongNumbers("halved", share * variance, "The distance between 0 and 4 is spread, too."),
            WrongNumbers("mean square", square, "That is the mean square. The square of the mean, 4, goes off."),
            WrongNumbers("old mean", square - mean**2, "The mean has changed as well. It is 2 now."),
        ),
        hint="The variance is the mean square minus the square of the mean.",
        see=Link("Padding", "sec-axes-padding"),
    )


@once
def _pre_and_post() -> tuple[Array, Array]:
    pre, post = (
        np.median([[gradients("LN", place, depth, seed=seed)[-1] for depth in DEPTHS] for seed in range(3)], axis=0)
        for place in ("pre", "post")
    )
    return pre, post


def _by_depth(lines: Callable[[Array, Array], tuple[Array, Array]]) -> Plot:
    """A plot of what is made of the two lines, which are computed when it is drawn."""
    return plot(lambda: figures.depth_small(DEPTHS, *lines(*_pre_and_post())))


def _gradients_by_depth() -> Choice:
    grow = np.array(DEPTHS) / DEPTHS[0]
    return Choice(
        name="gradients-by-depth",
        page="chapters/axes",
        prompt="Transformers of 2 to 32 blocks before training. Predict the gradient of the last block's last matrix: "
        "green with pre-LN, amber with post-LN. Both axes are logarithmic.",
        right="Amber stays about level, and green falls",
        plot=_by_depth(lambda pre, post: (pre, post)),
        because="With post-LN the last block adds to a stream that has just been normalized, however many blocks came "
        "before. With pre-LN the stream has grown with each of them, and the last normalizer divides by its size.",
        wrong=(
            WrongChoice(
                "the other way round",
                "Green stays about level, and amber falls",
                "In which of the two does the stream arrive at the last block with a size that depends on depth?",
                _by_depth(lambda pre, post: (post, pre)),
            ),
            WrongChoice(
                "amber explodes",
                "Amber rises steeply, and green stays level",
                "A gradient that grows with every block is that of a network without normalizers.",
                _by_depth(lambda pre, post: (np.full(len(DEPTHS), pre[0]), post * grow)),
            ),
            WrongChoice(
                "no difference",
                "Both fall in the same way",
                "Two sums are compared, one that is normalized after each term and one that is not.",
                _by_depth(lambda pre, _: (pre, 1.15 * pre)),
            ),
        ),
        hint="By what is the sum of all blocks divided before the last layer, and how large is that sum?",
        see=Link("Before the branch, or after the sum?", "sec-axes-depth"),
    )


def _one_token_at_a_time() -> Choice:
    return Choice(
        name="one-token-at-a-time",
        page="chapters/axes",
        prompt="A causal model writes a text token by token. In training it got whole texts. Which normalizer computes "
        "the same in both, without stored statistics?",
        right="One whose mean is over the features of a position.",
        because="It needs nothing but the position itself, which is all there is when a token has just been written.",
        wrong=(
            WrongChoice(
                "over the batch",
                "One whose mean is over sequences and positions, for each feature.",
                "Alone a token has no batch. This one needs statistics that were stored in training.",
            ),
            WrongChoice(
                "over time",
                "One whose mean is over the features and positions of a sequence.",
                "In training it includes positions that have not been written yet when the model is used.",
            ),
            WrongChoice(
                "each feature over time",
                "One whose mean is over the positions of a sequence, for each feature.",
                "One token has one position: the variance is 0, and in training the future was part of it.",
            ),
        ),
        hint="What exists at the moment when the first token has been written?",
        see=Link("One token", "sec-axes-token"),
    )


THE_LOSS_OF_DICE = _the_loss_of_dice()
HALF_PADDED = _half_padded()
GRADIENTS_BY_DEPTH = _gradients_by_depth()
ONE_TOKEN_AT_A_TIME = _one_token_at_a_time()
