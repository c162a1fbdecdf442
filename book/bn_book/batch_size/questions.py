"""What the chapter asks, with an answer to every answer. Every value is computed."""

from dataclasses import replace

import numpy as np

from bn_book.wording import listed, whole
from bn_exercises import misconceptions, problems
from bn_exercises.check_yourself.numeric import NumberQuestion, WrongNumbers, from_part, from_values
from bn_exercises.verdict import Link


def _batch_size() -> NumberQuestion:
    sigma, m = 2.0, 16
    return from_values(
        name="batch-size",
        page="chapters/batch_size",
        prompt=f"The values of a feature have the standard deviation {sigma:g}. You average {m} independent ones. What "
        "is the standard deviation of that average?",
        right=sigma / np.sqrt(m),
        because="Variances of independent values add up, so the variance of the average is σ² / m, and its standard "
        "deviation σ / √m. To halve the noise in μ takes four times the batch.",
        wrong=(
            WrongNumbers(
                "root forgotten",
                sigma / m,
                "You divided σ by m. The variance falls as 1 / m, so the standard deviation falls as 1 / √m.",
            ),
            WrongNumbers(
                "variance for standard deviation",
                sigma**2 / m,
                "That is the variance of the average, σ² / m. Its standard deviation is the root of that.",
            ),
            WrongNumbers(
                "of a single value",
                sigma,
                "That is the standard deviation of a single value. Averaging makes it smaller.",
            ),
            WrongNumbers(
                "m − 1",
                sigma / np.sqrt(m - 1),
                "Subtracting 1 belongs to estimating a variance from a sample. The average divides by m.",
            ),
            WrongNumbers(
                "of the sum",
                sigma * np.sqrt(m),
                "That is the standard deviation of the sum. The average divides it by m.",
            ),
        ),
        hint="Begin with the variance of a sum of independent values.",
        see=Link("The noise in the mean and in the variance", "noise-in-the-mean"),
    )


def _company() -> NumberQuestion:
    batches, eps = ((3, 3, 6), (6, 9, 9)), 0.25
    (shared,) = set(batches[0]).intersection(batches[1])
    first, second = (whole(f"({listed(batch)})") for batch in batches)
    return from_part(
        replace(problems.BATCH_SIZE, given={"x": batches[0] + batches[1], "eps": eps}),
        "two_batches",
        at=((0, 1), tuple(batch.index(shared) for batch in batches)),
        name="company",
        page="chapters/batch_size",
        prompt=f"The value {shared} is in two mini-batches: {first} and {second}. With ε = {eps:g}, what is its "
        "normalized value in the first, and what in the second?",
        because="Each batch is normalized with its own mean and its own variance. "
        f"Among smaller values {shared} comes out above 0, among larger ones below.",
        see=misconceptions.COMPANY,
    )


def _accumulated() -> NumberQuestion:
    m, times = 2, 16
    return from_values(
        name="accumulated",
        page="chapters/batch_size",
        prompt=f"Memory holds {m} images. You add up the gradients of {times} such mini-batches before each update. "
        "Over how many images does BN behind a dense layer take a mean?",
        right=m,
        because="Each forward pass normalizes with its own mini-batch. Gradients are added up afterwards, and the "
        "statistics are still those of a small one.",
        wrong=(
            WrongNumbers(
                "of the update",
                m * times,
                "So many images go into an update. When each was normalized, the others had not been seen.",
            ),
            WrongNumbers("passes", times, "That is how many forward passes there are. Each has statistics of its own."),
            WrongNumbers("alone", 1, "One image would have no variance. How many stand together in a forward pass?"),
        ),
        hint="What does a layer see when it normalizes?",
        see=Link("Accuracy against batch size", "sec-batch-accuracy"),
    )


def _largest_value() -> NumberQuestion:
    m = 10
    return from_values(
        name="largest-value",
        page="chapters/batch_size",
        prompt=f"A mini-batch has {m} values, and ε = 0. An outlier may be as large as you like. What is the largest "
        "normalized value that it can have?",
        right=np.sqrt(m - 1),
        because="An outlier pulls the mean and the variance of its own mini-batch after it: |x̂| ≤ √(m − 1), and equal "
        "if all the others are equal.",
        wrong=(
            WrongNumbers("√m", np.sqrt(m), "Close. The outlier's own share of the mean is missing."),
            WrongNumbers("no root", m - 1, "That is the bound on the square."),
            WrongNumbers("m", m, "Try it with two values: there the bound is 1."),
        ),
        hint="Let all others be equal, put the outlier d above the mean, and compute the variance.",
        see=Link("The noise in the mean and in the variance", "sec-batch-noise"),
    )


BATCH_SIZE = _batch_size()
COMPANY = _company()
ACCUMULATED = _accumulated()
LARGEST_VALUE = _largest_value()
