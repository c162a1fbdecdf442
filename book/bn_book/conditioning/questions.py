"""What the chapter asks, with an answer to every answer. Every value is computed."""

import numpy as np
from matplotlib.figure import Figure

from bn_book.conditioning import figures
from bn_book.conditioning.experiments import descend, hand
from bn_book.drawing import plot
from bn_exercises.check_yourself.numeric import NumberQuestion, WrongNumbers, from_values
from bn_exercises.check_yourself.question import Choice, WrongChoice
from bn_exercises.verdict import Link


def _best_rates() -> Choice:
    return Choice(
        name="best-rates",
        page="chapters/conditioning",
        prompt="Predict the figure below: steps to 90 percent against the learning rate, over three decades. Each "
        "network is judged at its own best rate. What does standardizing it once, before training, change?",
        right="It saves most of the steps that BN saves, but works at fewer rates.",
        because="At its best rate the standardized network is several times faster than the plain one, and BN about "
        "twice as fast again. The curve of BN goes on where the others end.",
        wrong=(
            WrongChoice(
                "start does not matter",
                "Next to nothing: after some steps the start is forgotten.",
                "From the plain start this network sits on a plateau for most of its steps. A start without a plateau "
                "saves them.",
            ),
            WrongChoice(
                "all that BN does",
                "It does all that BN does, at every rate.",
                "It computes what BN computes before the first step. At large rates the first steps undo it.",
            ),
            WrongChoice(
                "rates only",
                "It makes more rates possible, and none of them faster.",
                "Above all it is faster. The rates that it adds are small, and the largest that works stays the same.",
            ),
        ),
        hint="What is the same in a standardized network and in one with BN, and for how long?",
        see=Link("Standardized once, or at every step", "sec-conditioning-once"),
    )


def _constant_limit() -> NumberQuestion:
    found = hand()
    h11, sigma = float(found.batch[0]), float(found.sigma)
    return from_values(
        name="limit-through-the-statistics",
        page="chapters/conditioning",
        prompt="In the example by hand the Hessian through the statistics of the batch is H₁₁ = 52/2401 and 0 "
        "elsewhere. Up to which learning rate is a step stable?",
        right=2 / h11,
        because="The limit is 2 / λ, and 52/2401 is the only eigenvalue that is not 0.",
        wrong=(
            WrongNumbers(
                "both held", 2 / (120 / sigma**2), "That is the limit with both statistics held, 2 · 49 / 120."
            ),
            WrongNumbers(
                "variance held", 2 / (52 / sigma**2), "That is the limit with the variance held, 2 · 49 / 52."
            ),
            WrongNumbers("1 / λ", 1 / h11, "At 1 / λ a step arrives at the minimum. It is stable up to twice that."),
            WrongNumbers("upside down", h11 / 2, "That is the inverse. A smaller curvature allows larger steps."),
        ),
        hint="The first chapter derived the limit from the largest eigenvalue.",
        see=Link("Two by two, by hand", "sec-conditioning-hand"),
    )


def _same_function() -> Choice:
    return Choice(
        name="same-function-other-hessian",
        page="chapters/conditioning",
        prompt="A network with BN, and a copy of it whose statistics are held constant, give the same answers on all "
        "images. Can their Hessians differ?",
        right="Yes: the same change of the weights changes their answers differently.",
        because="Derivatives compare the answers before and after a change of the weights. With BN the statistics "
        "change too, and take back what shifts or rescales a unit for all images alike.",
        wrong=(
            WrongChoice(
                "same answers, same derivatives",
                "No: the same function has the same derivatives.",
                "They agree at one place in the space of the weights. A derivative needs its neighbourhood.",
            ),
            WrongChoice(
                "gradients only",
                "Their gradients can, but not their curvature.",
                "Both can: the gradient through the statistics is a different vector, and its changes are the Hessian.",
            ),
            WrongChoice(
                "parameters",
                "No: they have the same parameters.",
                "The parameters are the same, and what the loss does when they change is not.",
            ),
        ),
        hint="What happens to the two when all the weights of a unit are doubled?",
        see=Link("The same weights, the statistics held", "sec-conditioning-constants"),
    )


def _recorded() -> Figure:
    run = descend("BN", 16.0, seed=0)
    return figures.product(run.steps, run.product)


def _beyond_the_limit() -> Choice:
    steps = np.array([0, 1, 2, 5, 10, 20, 50, 100])
    return Choice(
        name="beyond-the-limit",
        page="chapters/conditioning",
        prompt="Predict: gradient descent on a network with BN, at 16 times the limit that the curvature of the start "
        "sets. What does learning rate × λ / 2 do, step by step? Below 1 steps are stable.",
        right="It rises a little from 16, then falls, and goes on falling below 1",
        plot=plot(_recorded),
        because="The first steps are far too large and throw the weights far out. With longer weights the same step is "
        "a smaller turn, so the curvature falls. It falls further as the loss does.",
        wrong=(
            WrongChoice(
                "as on a quadratic",
                "It stays at 16 from the first step to the last",
                "On a quadratic it does, because its curvature is the same everywhere.",
                plot(figures.product, steps, np.full(8, 16.0)),
            ),
            WrongChoice(
                "ever steeper",
                "It rises from 16 at every step, ever higher",
                "So it would be if large steps led to ever steeper places. With BN they lead to longer weights.",
                plot(figures.product, steps, 16.0 * (1 + steps) ** 0.6),
            ),
            WrongChoice(
                "at once",
                "It falls to 1 in the first step and stays there",
                "Plain gradient descent has nothing that adapts in one step. What adapts are the weights, in several.",
                plot(figures.product, steps, np.append(16.0, np.ones(7))),
            ),
        ),
        hint="What does a step that is far too large do to the length of the weights, and this to the curvature?",
        see=Link("Beyond the limit", "sec-conditioning-beyond"),
    )


BEST_RATES = _best_rates()
LIMIT_THROUGH_THE_STATISTICS = _constant_limit()
SAME_FUNCTION = _same_function()
BEYOND_THE_LIMIT = _beyond_the_limit()
