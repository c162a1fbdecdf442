"""What the chapter asks, with an answer to every answer. Every value is computed."""

import numpy as np

from bn_book.drawing import plot
from bn_book.modulation import figures
from bn_book.modulation.experiments import LOOKS, SHOTS, learn_new_class
from bn_exercises.check_yourself.numeric import NumberQuestion, WrongNumbers, from_values
from bn_exercises.check_yourself.question import Choice, WrongChoice
from bn_exercises.verdict import Link


def _everything_trained() -> Choice:
    run = learn_new_class("everything")
    row = learn_new_class("its row")
    steps = np.array(LOOKS, float)
    slow = run.old[0] - 0.2 * (run.old[0] - run.old[-1]) * steps / steps[-1]
    return Choice(
        name="everything-trained",
        page="chapters/modulation",
        prompt="A generator with conditional BN can draw nine digits. Now all of its parameters are trained on "
        f"{SHOTS} images of the tenth, for {LOOKS[-1]} steps, with the same learning rate as before. Predict how many "
        "of its images are right: those of the tenth digit, orange, and those of the other nine, blue.",
        right="Orange rises to the top at once; blue falls nearly to the bottom at once",
        plot=plot(figures.old_and_new, LOOKS, run.old, run.new),
        because="All classes share the weights, and no image of an old class is there to hold them. A step towards the "
        "new digit is a step away from the others.",
        wrong=(
            WrongChoice(
                "it learns and keeps",
                "Orange rises to the top at once; blue stays high",
                "What would keep blue up? The weights that draw the nine are the ones that are being changed.",
                plot(figures.old_and_new, LOOKS, np.full(len(LOOKS), run.old[0]), run.new),
            ),
            WrongChoice(
                "it forgets slowly",
                "Orange rises in a curve; blue falls a little, in a straight line",
                "The new digit is learned within a few dozen steps, and by the same steps the others are lost.",
                plot(figures.old_and_new, LOOKS, slow, row.new),
            ),
            WrongChoice(
                "too few images",
                "Orange stays at the bottom; blue stays high",
                f"There are {parameters(run.numbers)} parameters for {SHOTS} images. They are not hard to satisfy.",
                plot(figures.old_and_new, LOOKS, np.full(len(LOOKS), run.old[0]), np.full(len(LOOKS), run.new[0])),
            ),
        ),
        hint="Which parameters do the old classes share with the new one?",
        see=Link("A new class by a few numbers", "sec-modulation-new"),
    )


def parameters(count: int) -> str:
    """A count in words that nobody takes for a decimal."""
    return f"about {round(count, -3) // 1000} thousand"


def _numbers_of_a_class() -> NumberQuestion:
    units = (64, 128, 256)
    classes = 10
    right = 2 * sum(units)
    return from_values(
        name="numbers-of-a-class",
        page="chapters/modulation",
        prompt=f"A network has three layers of conditional BN, with {units[0]}, {units[1]} and {units[2]} channels, "
        f"and was trained on {classes} classes. How many numbers are added for an eleventh, if nothing else changes?",
        right=float(right),
        because="A row of γ and a row of β in each layer, one number per channel. Mean and variance are shared by all "
        "classes.",
        wrong=(
            WrongNumbers("one table", sum(units), "That is one table. There are two, γ and β."),
            WrongNumbers(
                "statistics as well",
                2 * right,
                "Mean and variance are those of the whole batch. They do not depend on the class.",
            ),
            WrongNumbers(
                "all classes", right * (classes + 1), "These are the tables of all classes. One more class adds a row."
            ),
            WrongNumbers("one layer", 2 * units[-1], "That is the last layer. Each of the three has its tables."),
        ),
        hint="Which numbers of the layer belong to one class alone?",
        see=Link("A new class by a few numbers", "sec-modulation-new"),
    )


def _mixed_map() -> NumberQuestion:
    weights, gamma, beta, x_hat = np.array([0.75, 0.25]), np.array([1.0, 3.0]), np.array([0.0, 2.0]), 2.0
    maps = gamma * x_hat + beta
    return from_values(
        name="mixed-map",
        page="chapters/modulation",
        prompt="A layer has two maps, γ₁ = 1, β₁ = 0 and γ₂ = 3, β₂ = 2. For one image attention gives the first map a "
        "weight of 0.75 and the second one of 0.25. What becomes of a value that is 2 after it was standardized?",
        right=float(weights @ maps),
        because="The mixture is one map again: γ = 0.75 · 1 + 0.25 · 3 = 1.5 and β = 0.75 · 0 + 0.25 · 2 = 0.5.",
        wrong=(
            WrongNumbers(
                "the strongest only", maps[0], "That is map 1 alone. A weight of 0.75 leaves some to the other."
            ),
            WrongNumbers("equal weights", maps.mean(), "That is the plain mean of the two maps."),
            WrongNumbers("exchanged", float(weights[::-1] @ maps), "You have exchanged the weights."),
            WrongNumbers("β left out", float(weights @ gamma) * x_hat, "The shift is mixed as well."),
        ),
        hint="Mix γ and β first, each with these weights.",
        see=Link("Attention", "sec-modulation-attention"),
    )


def _two_kinds_of_batches() -> Choice:
    return Choice(
        name="two-kinds-of-batches",
        page="chapters/modulation",
        prompt="A discriminator with BN is trained on mini-batches of which half is real and half is drawn. To train "
        "the generator, only drawn images are sent through it. What goes wrong?",
        right="It is asked about images that are standardized by other statistics than those it learned with.",
        because="In a mixed batch a drawn image is compared with real ones, in mean and in variance. In a batch of its "
        "own kind that comparison is gone, and so the answers, and the gradients, are about something else.",
        wrong=(
            WrongChoice(
                "mixing",
                "Real and drawn images must never be in one batch.",
                "With mixed batches in the steps of both networks training works as well as with pure ones, or better.",
            ),
            WrongChoice(
                "too few images",
                "The batch of the generator's step is only half as large, and its statistics are too noisy.",
                "Pure batches of the same size, in both steps, do no such harm.",
            ),
            WrongChoice(
                "running statistics",
                "The running statistics have not settled yet.",
                "In training they are not used. Each batch has its own.",
            ),
        ),
        hint="What is the mean of a unit in either kind of batch?",
        see=Link("Two kinds of batches", "sec-modulation-batches"),
    )


EVERYTHING_TRAINED = _everything_trained()
NUMBERS_OF_A_CLASS = _numbers_of_a_class()
MIXED_MAP = _mixed_map()
TWO_KINDS_OF_BATCHES = _two_kinds_of_batches()
