"""What the chapter asks, with an answer to every answer. Every value is computed."""

import numpy as np

from bn_book.drawing import plot
from bn_book.inference import figures
from bn_exercises.check_yourself.numeric import NumberQuestion, WrongNumbers, from_values
from bn_exercises.check_yourself.question import Choice, WrongChoice
from bn_exercises.tolerance import Array
from bn_exercises.verdict import Link
from bn_lib import BatchNorm, Convention


def _training_and_inference() -> NumberQuestion:
    layer = BatchNorm(1, momentum=0.1)
    swapped = BatchNorm(1, momentum=1 - 0.1)
    average = BatchNorm(1, momentum=None)
    batches = [np.array([[9.0], [11.0]]), np.array([[18.0], [22.0]])]
    for batch in batches:
        for each in (layer, swapped, average):
            each.forward(batch)
    first, last = (float(batch.mean()) for batch in batches)
    return from_values(
        name="training-and-inference",
        page="chapters/inference",
        prompt=f"A layer starts with running_mean = 0 and has PyTorch's momentum, {layer.momentum:g}. It is trained on "
        f"two batches, whose means are {first:g} and {last:g}. What is running_mean then?",
        right=layer.running_mean,
        because="In PyTorch momentum is the weight of the new batch: new = (1 − momentum) · old + momentum · batch. "
        "After two updates most of the starting value 0 is still in it.",
        wrong=(
            WrongNumbers(
                "momentum the other way round",
                swapped.running_mean,
                "You gave the old value the weight momentum. That is how Keras means the word. In PyTorch momentum is "
                "the weight of the new batch.",
            ),
            WrongNumbers(
                "last batch",
                last,
                "That is the mean of the last batch. The running mean moves towards it by a tenth of the way.",
            ),
            WrongNumbers(
                "plain average",
                average.running_mean,
                "That is the plain average of the two batches (momentum=None in PyTorch). With a number for momentum "
                "the average is exponential, and it starts from 0.",
            ),
            WrongNumbers(
                "first batch taken whole",
                (1 - 0.1) * first + 0.1 * last,
                "You started from the mean of the first batch. The layer starts from 0 and moves from there.",
            ),
            WrongNumbers(
                "old value not shrunk",
                0.1 * first + 0.1 * last,
                "You added momentum · batch twice without shrinking the old value. It keeps only 1 − momentum of "
                "itself in each update.",
            ),
            WrongNumbers(
                "one update",
                0.1 * first,
                "That is the value after the first update. There is a second one.",
            ),
        ),
        hint="Do one update at a time, and begin with the value 0.",
        see=Link("Running statistics", "running-statistics"),
    )


def _frozen_network() -> Choice:
    return Choice(
        name="frozen-network",
        page="chapters/inference",
        prompt="In PyTorch you set requires_grad = False for every parameter of a trained network with BN, put a new "
        "last layer on it, and train that, with model.train() at the start of each epoch. What of the old layers "
        "changes?",
        right="Their running means and variances",
        because="Running statistics are no parameters and have no gradient. A BN layer in training mode moves them in "
        "every forward pass.",
        wrong=(
            WrongChoice(
                "nothing",
                "Nothing",
                "So it would be in Keras with trainable = False. Here the layers are in training mode.",
            ),
            WrongChoice("gamma and beta", "Their γ and β", "These are parameters, and they get no gradient."),
            WrongChoice(
                "everything", "All their weights", "No gradient reaches them, so the optimizer leaves them alone."
            ),
        ),
        hint="What does a forward pass in training mode write to, whether or not there is a backward pass?",
        see=Link("Frozen, but not the statistics", "sec-bug-fine-tuning"),
    )


def _count_stands_still() -> Choice:
    return Choice(
        name="count-stands-still",
        page="chapters/inference",
        prompt="The optimizer has taken 220 steps, and num_batches_tracked of every BN layer is 44. What happened?",
        right="eval() was called after 44 steps, and train() not again",
        because="A layer counts the batches that it sees in training mode. It was in that mode for 44 of the steps.",
        wrong=(
            WrongChoice(
                "from the start",
                "eval() was on from the start",
                "Then no batch would have been counted at all.",
            ),
            WrongChoice(
                "momentum 0",
                "The momentum is 0",
                "Then the statistics would stay where they are. The batches are counted all the same.",
            ),
            WrongChoice(
                "frozen parameters",
                "γ and β are frozen",
                "Whether parameters are trained does not matter to what a layer counts.",
            ),
        ),
        hint="When does a layer count a batch?",
        see=Link("Since a validation", "sec-bug-left"),
    )


def _other_momentum() -> NumberQuestion:
    keras = 0.95
    weight = Convention.KERAS.convert_momentum(keras, to="pytorch")
    return from_values(
        name="other-momentum",
        page="chapters/inference",
        prompt=f"A layer in Keras has momentum = {keras:g}. Which number makes PyTorch's layer keep the same "
        "running mean?",
        right=np.array(weight),
        because="In Keras momentum is the weight of the old average, in PyTorch that of the new batch. The two "
        "weights add up to 1.",
        wrong=(
            WrongNumbers(
                "unchanged",
                keras,
                "So the new batch would get nearly all the weight, and the statistics would be those of the last "
                "batch.",
            ),
            WrongNumbers("its inverse", 1 / keras, "A weight is at most 1. Which two weights add up to 1?"),
        ),
        hint="Whose weight is it in each of the two?",
        see=Link("Four conventions", "sec-inference-conventions"),
    )


def _mean_that_moves() -> Choice:
    turn = 15
    means = np.repeat([1.0, 0.0], [turn, 25])

    def followed(momentum: float | None) -> Array:
        layer, values = BatchNorm(1, momentum=momentum), [0.0]
        for mean in means:
            layer.forward(np.array([[mean - 1], [mean + 1]]))
            values.append(float(layer.running_mean[0]))
        return np.array(values)

    return Choice(
        name="mean-that-moves",
        page="chapters/inference",
        prompt=f"A layer starts with running_mean = 0 and has PyTorch's momentum, {BatchNorm(1).momentum:g}. The first "
        f"{turn} mini-batches have the mean 1, and all later ones the mean 0. Predict the running mean: which of these "
        "curves is it?",
        right="It rises ever more slowly, does not reach 1, and then falls ever more slowly",
        plot=plot(figures.running_mean, followed(0.1)),
        because="Each update goes a tenth of the way that is left. After 15 of them 0.9¹⁵ of the distance is left, and "
        "from there the way back begins.",
        wrong=(
            WrongChoice(
                "momentum the other way round",
                "It jumps to 1 at once, stays there, and jumps to 0",
                "That is a weight of 0.9 for the new batch. In PyTorch the new batch has the weight momentum.",
                plot(figures.running_mean, followed(0.9)),
            ),
            WrongChoice(
                "plain average",
                "It is at 1 from the first batch on, and then falls ever more slowly without coming near 0",
                "That is the average of all batches so far (momentum=None). An exponential average starts from 0 and "
                "forgets.",
                plot(figures.running_mean, followed(None)),
            ),
            WrongChoice(
                "old value not shrunk",
                "It rises in a straight line beyond 1, and then stays level",
                "A tenth of each batch mean was added, and nothing taken away. The old value keeps only 1 − momentum "
                "of itself.",
                plot(figures.running_mean, np.append(0, np.cumsum(0.1 * means))),
            ),
        ),
        hint="How far does one update go, as a share of the distance to the batch mean?",
        see=Link("The exponential average", "sec-inference-exponential"),
    )


TRAINING_AND_INFERENCE = _training_and_inference()
FROZEN_NETWORK = _frozen_network()
COUNT_STANDS_STILL = _count_stands_still()
OTHER_MOMENTUM = _other_momentum()
MEAN_THAT_MOVES = _mean_that_moves()
