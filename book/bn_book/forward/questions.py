"""What the chapter asks, with an answer to every answer. Every value is computed."""

from dataclasses import replace
from statistics import NormalDist

import numpy as np

from bn_book.drawing import plot
from bn_book.forward import figures
from bn_book.wording import listed, whole
from bn_exercises import misconceptions, problems
from bn_exercises.check_yourself.numeric import NumberQuestion, WrongNumbers, from_part, from_values
from bn_exercises.check_yourself.question import Choice, WrongChoice
from bn_exercises.tolerance import Array
from bn_exercises.verdict import Link
from bn_lib import batch_norm


def _forward_pass() -> NumberQuestion:
    x, eps, asked = (0.1, 0.2, 0.6), 0.01, 2
    given = {**problems.BASIC_CALCULATION.given, "x": tuple((value,) for value in x), "eps": eps}
    return from_part(
        replace(problems.BASIC_CALCULATION, given=given),
        "x_hat",
        at=(asked, 0),
        name="forward-pass",
        page="chapters/forward",
        prompt=f"A mini-batch of one feature: {listed(x)}. With ε = {eps:g}, what is the normalized value x̂ of "
        f"{x[asked]:g}?",
        hint="First the mean of the three, then the mean of their squared distances from it.",
        see=misconceptions.BY_HAND,
    )


def _order_of_steps() -> Choice:
    return Choice(
        name="order-of-steps",
        page="chapters/forward",
        prompt="Put the steps of normalizing a feature in order.",
        right="subtract the mean, average the squares, add ε, take the root, divide by it",
        because="The variance is the average of the squared deviations. ε has the units of a variance, so it comes "
        "before the root.",
        wrong=(
            WrongChoice(
                "ε outside the root",
                "subtract the mean, average the squares, take the root, add ε, divide by it",
                "Added after the root, ε is a standard deviation and not a variance, and has another effect.",
            ),
            WrongChoice(
                "mean subtracted too late",
                "average the squares, add ε, take the root, divide by it, subtract the mean",
                "The average of squares that were not centered first is no variance.",
            ),
            WrongChoice(
                "no root",
                "subtract the mean, average the squares, add ε, divide by it",
                "That divides by a variance, and what comes out still has units.",
            ),
        ),
        hint="Start from the four lines, and write the variance out.",
        see=Link("Mean, variance, normalize, scale and shift", "sec-forward-algorithm"),
    )


def _who_changes() -> Choice:
    return Choice(
        name="who-changes",
        page="chapters/forward",
        prompt="A mini-batch of 32 goes through BN in training. One example in it is exchanged for another. Which "
        "outputs change?",
        right="Those of all 32 examples",
        because="The exchange moves the mean and the variance of every feature, and all outputs are computed with "
        "them.",
        wrong=(
            WrongChoice(
                "each for itself",
                "Its own only",
                "That would be so if each example were normalized by itself. BN takes the statistics of the batch.",
            ),
            WrongChoice(
                "normalized away",
                "None, because BN takes the change out again",
                "BN takes out what all examples have in common. One example alone is not that.",
            ),
            WrongChoice(
                "its class",
                "Those of the examples of its class",
                "BN knows nothing of classes. The statistics are those of all examples in the batch.",
            ),
        ),
        hint="Through which numbers do the examples of a batch meet?",
        see=Link("One example changes, and all outputs do", "sec-forward-others"),
    )


def _mean_of_the_output() -> NumberQuestion:
    x, gamma, beta = np.array([1.0, 4.0, 10.0]), 2.0, 7.0
    return from_values(
        name="mean-of-the-output",
        page="chapters/forward",
        prompt=f"A mini-batch of one feature is {listed(x)}. With γ = {gamma:g} and β = {beta:g}, what is the mean of "
        "y?",
        right=beta,
        because="The normalized values add up to 0, whatever x is, so the mean of y is β.",
        wrong=(
            WrongNumbers("mean of x̂", 0.0, "That is the mean of the normalized values. The shift is still to come."),
            WrongNumbers(
                "not normalized",
                gamma * x.mean() + beta,
                "You scaled and shifted the mean of x. It is subtracted before that.",
            ),
            WrongNumbers("mean of x kept", x.mean() + beta, "The mean of x is subtracted. β takes its place."),
            WrongNumbers("γ added", gamma + beta, "The factor γ multiplies normalized values, and their mean is 0."),
            WrongNumbers("β scaled", gamma * beta, "The shift β comes after γ. It is not scaled."),
            WrongNumbers("mean of x", x.mean(), "That is the mean of the input. BN replaces it."),
        ),
        hint="What is the mean of the normalized values?",
        see=misconceptions.GAMMA_BETA,
    )


def _shape_of_y() -> Choice:
    m, gamma, beta = 300, 0.5, 1.0
    ranks = (np.arange(m) + 0.5) / m
    x = 3 - 2 * np.log1p(-ranks)

    def out(values: Array, gamma: float, beta: float) -> Array:
        return batch_norm(values[:, np.newaxis], np.array([gamma]), np.array([beta]))[0][:, 0]

    def tailed(values: Array) -> str:
        return f"A steep side at {values.min():.1f} on the left, and a tail to the right as far as {values.max():.1f}"

    y, x_hat, scaled = out(x, gamma, beta), out(x, 1.0, 0.0), gamma * x + beta
    bell = out(np.array([NormalDist().inv_cdf(rank) for rank in ranks]), gamma, beta)
    return Choice(
        name="shape-of-y",
        page="chapters/forward",
        prompt=f"The values of a feature in a large mini-batch begin steeply at {x.min():.0f} and have a long tail to "
        f"the right. Their mean is {x.mean():.0f} and their standard deviation {x.std():.0f}. With "
        f"{whole(f'γ = {gamma:g}')} and {whole(f'β = {beta:g}')}, which of these histograms is y?",
        right=tailed(y),
        plot=plot(figures.histogram, y),
        because="BN subtracts one number from all values of a feature and multiplies them by another. The mean of y is "
        "β and its standard deviation γ, and the shape is that of x.",
        wrong=(
            WrongChoice(
                "made normal",
                f"A bell, as wide on the left as on the right, from {bell.min():.1f} to {bell.max():.1f}",
                "Mean and standard deviation are right. But BN only shifts and stretches: what is skewed stays skewed.",
                plot(figures.histogram, bell),
            ),
            WrongChoice(
                "γ and β left out",
                tailed(x_hat),
                "That is x̂, with the mean 0 and the standard deviation 1. The fourth line is still to come.",
                plot(figures.histogram, x_hat),
            ),
            WrongChoice(
                "not normalized",
                tailed(scaled),
                "That is γ x + β. The mean of x has to be subtracted first, and its standard deviation divided out.",
                plot(figures.histogram, scaled),
            ),
        ),
        hint="Where is the mean of y, how wide is it, and what can adding and multiplying do to a shape?",
        see=Link("Mean, variance, normalize, scale and shift", "sec-forward-algorithm"),
    )


FORWARD_PASS = _forward_pass()
ORDER_OF_STEPS = _order_of_steps()
WHO_CHANGES = _who_changes()
MEAN_OF_THE_OUTPUT = _mean_of_the_output()
SHAPE_OF_Y = _shape_of_y()
