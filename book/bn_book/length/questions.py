"""What the chapter asks, with an answer to every answer. Every value is computed."""

import numpy as np

from bn_book.drawing import plot
from bn_book.length import figures
from bn_exercises.check_yourself.numeric import NumberQuestion, WrongNumbers, from_values
from bn_exercises.check_yourself.question import Choice, WrongChoice
from bn_exercises.verdict import Link


def _same_turn() -> NumberQuestion:
    rate, longer = 0.2, 5
    return from_values(
        name="same-turn",
        page="chapters/length",
        prompt=f"At the learning rate {rate:g} a step turns a weight vector in front of BN (ε = 0) by 3 degrees. "
        f"Somebody makes it {longer} times as long and changes nothing else. At which learning rate does the step turn "
        "it by 3 degrees again?",
        right=rate * longer**2,
        because=f"The gradient becomes {longer} times as short, and the vector that it has to turn {longer} times as "
        "long. What turns is η / |w|².",
        wrong=(
            WrongNumbers(
                "the vector only",
                rate * longer,
                "That makes up for the longer vector. The gradient has become shorter, too.",
            ),
            WrongNumbers("nothing changes", rate, "The function is the same. Its gradient with respect to w is not."),
            WrongNumbers(
                "upside down",
                rate / longer**2,
                "That turns it less still: the gradient is shorter, and the vector longer.",
            ),
            WrongNumbers(
                "halfway upside down", rate / longer, "The gradient is shorter, not longer. The rate has to make up."
            ),
        ),
        hint="How long is the gradient now, and how long the vector that it turns?",
        see=Link("The step that turns", "sec-length-growth"),
    )


def _balance() -> NumberQuestion:
    rate, decay = 0.1, 0.0005
    right = np.degrees(np.sqrt(2 * rate * decay))
    return from_values(
        name="angle-in-balance",
        page="chapters/length",
        prompt=f"ResNets are often trained with a learning rate of {rate:g} and a weight decay of {decay:g}. Without "
        "momentum, by how many degrees does a step turn the weights in front of BN once length has come into balance?",
        right=right,
        because="The angle is √(2ηλ), or 0.01 radians. Nothing else enters: neither the layer, nor the loss, nor the "
        "length at the start.",
        wrong=(
            WrongNumbers("radians", np.sqrt(2 * rate * decay), "That is the angle in radians."),
            WrongNumbers(
                "2 left out",
                np.degrees(np.sqrt(rate * decay)),
                "Decay takes 2ηλ off the squared length, because it takes ηλ off the length.",
            ),
            WrongNumbers(
                "no root",
                np.degrees(2 * rate * decay),
                "That is the square of the angle: it is squares of lengths that balance.",
            ),
        ),
        hint="In balance a step adds to the squared length what decay takes from it.",
        see=Link("Balance", "sec-length-balance"),
    )


def _after_the_cut() -> Choice:
    high, low, still = 0.075, 0.012, 0.1
    return Choice(
        name="after-the-cut",
        page="chapters/length",
        prompt="Two networks with BN were trained at one learning rate. In the first (solid) the weights in front of "
        "BN decay, in the second (dashed) γ and β do. Both have stopped at a training loss near 0.1, and one without "
        "decay is far below that. Now the learning rate is divided by ten. Predict the two losses.",
        right="The solid line falls far, the dashed one a little",
        plot=plot(figures.after_a_cut, low, high),
        because="Decay in front of BN kept the steps large, and nothing else. With the rate the steps become small. γ "
        "and β are held small at either rate.",
        wrong=(
            WrongChoice(
                "both restrained",
                "Both lines fall a little",
                "That would be so if decay limited both. Which function does a shorter weight vector in front of BN "
                "forbid?",
                plot(figures.after_a_cut, high, high),
            ),
            WrongChoice(
                "only slower",
                "Both lines stay where they are",
                "With a smaller rate learning is slower. But where the steps were too large, smaller ones get further.",
                plot(figures.after_a_cut, still, still),
            ),
            WrongChoice(
                "the other way round",
                "The dashed line falls far, the solid one a little",
                "Ask of each which functions it can still be when its parameters are short.",
                plot(figures.after_a_cut, high, low),
            ),
        ),
        hint="Which of the two limits the functions that the network can be?",
        see=Link("Does it regularize?", "sec-length-regularizer"),
    )


def _too_long() -> Choice:
    return Choice(
        name="weights-too-long",
        page="chapters/length",
        prompt="All weights in front of BN start 100 times too long, the learning rate is as usual, and ε does not "
        "matter. The network reaches nearly 90 % all the same. What has it learned?",
        right="The output layer and γ and β. The weights in front of BN are nearly where they were.",
        because="The function at the start is the same, so it is as good a start. But a step turns these weights 10000 "
        "times less, and in some hundred steps they do not get anywhere.",
        wrong=(
            WrongChoice(
                "the same, later",
                "The same as with usual weights, after 100 times as many steps.",
                "The gradient is 100 times as short, and the vector 100 times as long. Both slow the turn.",
            ),
            WrongChoice(
                "to shorten the weights",
                "First of all to make the weights shorter.",
                "The gradient stands at right angles to them. It cannot make them shorter.",
            ),
            WrongChoice(
                "nothing is lost",
                "The same as with usual weights: length does not matter.",
                "It does not matter to the function. It does to how fast the function changes.",
            ),
        ),
        hint="By what angle does a step turn a vector that is 100 times as long?",
        see=Link("Six decades of initial weights", "sec-length-start"),
    )


SAME_TURN = _same_turn()
ANGLE_IN_BALANCE = _balance()
AFTER_THE_CUT = _after_the_cut()
WEIGHTS_TOO_LONG = _too_long()
