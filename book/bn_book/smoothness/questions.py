"""What the chapter asks, with an answer to every answer. Every value is computed."""

import numpy as np

from bn_book.covariate_shift.experiments import path_length, width_path_length
from bn_book.drawing import plot
from bn_book.smoothness import figures
from bn_book.smoothness.experiments import LEARNING_RATE, loss_far_away
from bn_exercises.check_yourself.numeric import NumberQuestion, WrongNumbers, from_values
from bn_exercises.check_yourself.question import Choice, WrongChoice
from bn_exercises.verdict import Link


def _far_along_the_gradient() -> Choice:
    distances = np.geomspace(0.1, 1000, 33)
    plain, with_bn = (loss_far_away(kind, "relu", distances.tolist()).loss for kind in ("plain", "BN"))
    flat = np.minimum(with_bn, with_bn[0])
    as_steep = plain * 0.3
    return Choice(
        name="far-along-the-gradient",
        page="chapters/smoothness",
        prompt="A network of four dense layers and three layers of ReLUs has not been trained yet. Its parameters go "
        f"against the gradient, up to {1000 / LEARNING_RATE['relu']:,.0f} times as far as its first step would go. "
        "Predict its loss, orange, and that of the same network with BN, blue. Both axes are logarithmic.",
        right="Both fall and then rise; orange rises to about a million times as much as blue",
        plot=plot(figures.two_losses, distances, plain, with_bn),
        because="Far away all weights are about the distance times the gradient. Each of the four layers multiplies by "
        "them, so the loss grows with the fourth power. BN divides out what the layers below have multiplied; the last "
        "γ and the last layer are left, and the loss grows with the square.",
        wrong=(
            WrongChoice(
                "BN bounds the loss",
                "Both fall; then orange rises steeply, and blue stays low",
                "BN bounds what the layers below it do. Behind it stand γ and the last layer, and they still grow.",
                plot(figures.two_losses, distances, plain, flat),
            ),
            WrongChoice(
                "no difference",
                "Both fall and then rise equally steeply",
                "Without BN each layer's growth is multiplied by that of the next. What does BN do with a factor?",
                plot(figures.two_losses, distances, plain, as_steep),
            ),
            WrongChoice(
                "the other way round",
                "Both fall and then rise; blue rises to about a million times as much as orange",
                "BN divides by a standard deviation that grows with the weights. That takes growth out.",
                plot(figures.two_losses, distances, with_bn, plain),
            ),
        ),
        hint="When all weights are a hundred times as large, what becomes of the output of four layers?",
        see=Link("Far along the gradient", "sec-smoothness-far"),
    )


def _in_widths() -> NumberQuestion:
    before, after = np.array([-1.0, 0.0, 1.0]), np.array([0.2, 1.1, 1.4])
    inputs = np.array([before, after])[:, :, np.newaxis]
    path, in_widths = float(path_length(inputs)[0]), float(width_path_length(inputs)[0])
    old, new = before[2] - before[0], after[2] - after[0]
    return from_values(
        name="path-in-widths",
        page="chapters/smoothness",
        prompt="The 15th, 50th and 85th percentile of an input are −1, 0 and 1, and ten steps later 0.2, 1.1 and 1.4. "
        "How long is this piece of its path, measured in widths?",
        right=in_widths,
        because="The three move by 1.2, 1.1 and 0.4, which is 0.9 on average. The width is 2 before and 1.2 after, 1.6 "
        "on average.",
        wrong=(
            WrongNumbers("in units", path, "That is the path in units of the input. Divide it by the width."),
            WrongNumbers("old width", path / old, "You divided by the width before. It has become narrower meanwhile."),
            WrongNumbers("new width", path / new, "You divided by the width after. Take the mean of both."),
            WrongNumbers("the median only", 1.1 / ((old + new) / 2), "All three percentiles count, and their mean."),
        ),
        hint="By how much do the three move, and how far apart are the outer two?",
        see=Link("Two yardsticks", "sec-smoothness-yardsticks"),
    )


def _stretched_three_times() -> NumberQuestion:
    beta, factor = 18.0, 3.0
    return from_values(
        name="stretched-three-times",
        page="chapters/smoothness",
        prompt=f"A network has an effective β of {beta:g}. Every dense layer's weights and biases are made {factor:g} "
        f"times as large, and what it gives is divided by {factor:g}. What is the effective β now?",
        right=beta / factor**2,
        because="The output is the same, so the gradient is a third in each of the new weights. Two points are three "
        "times as far apart, so the change of the gradient per distance is a ninth.",
        wrong=(
            WrongNumbers("once", beta / factor, "The gradient is a third. The distances have changed, too."),
            WrongNumbers("unchanged", beta, "The function is the same. Its slopes in the new weights are not."),
            WrongNumbers("rougher", beta * factor**2, "A stretched axis makes a curve flatter, and not steeper."),
            WrongNumbers("rougher once", beta * factor, "A stretched axis makes a curve flatter, and not steeper."),
        ),
        hint="How large is the gradient in the new weights, and how far is it between two points?",
        see=Link("A smooth loss that is no faster", "sec-smoothness-stretched"),
    )


def _what_the_noise_shows() -> Choice:
    return Choice(
        name="what-the-noise-shows",
        page="chapters/smoothness",
        prompt="Noise after BN makes the inputs of sigmoids move several times as far as in the network without BN. "
        "With BN and noise it is still many times as fast. What follows?",
        right="BN's speed does not need inputs that are stable from step to step.",
        because="An effect that is still there when its supposed cause is taken away has another cause. That holds for "
        "noise of this size and kind, and the chapter shows what stronger noise does.",
        wrong=(
            WrongChoice(
                "stability never matters",
                "How stable inputs are has no influence on training.",
                "Noise of 10 times the strength slows BN, and a network without it much more. The dose matters.",
            ),
            WrongChoice(
                "smoothness is the cause",
                "BN is fast because it makes the loss smooth.",
                "That one explanation fails makes no other one right. Smoothness has to be tested by itself.",
            ),
            WrongChoice(
                "noise helps",
                "Noise speeds up training.",
                "It speeds up the plain network a little, and BN not at all. What is compared is with BN and without.",
            ),
        ),
        hint="Which supposed cause was taken away, and what became of the effect?",
        see=Link("Two yardsticks", "sec-smoothness-yardsticks"),
    )


FAR_ALONG_THE_GRADIENT = _far_along_the_gradient()
PATH_IN_WIDTHS = _in_widths()
STRETCHED_THREE_TIMES = _stretched_three_times()
WHAT_THE_NOISE_SHOWS = _what_the_noise_shows()
