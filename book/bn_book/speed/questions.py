"""What the chapter asks, with an answer to every answer. Every value is computed."""

import numpy as np

from bn_exercises.check_yourself.numeric import NumberQuestion, WrongNumbers, from_values
from bn_exercises.check_yourself.question import Choice, WrongChoice
from bn_exercises.tolerance import Array
from bn_exercises.verdict import Link


def _making_it_fast() -> NumberQuestion:
    millions, itemsize = 10, 4
    # Reads and writes of an array of x's size: BN reads x for the sums and again for y, a ReLU reads and writes.
    bn, relu = np.array([2, 1]), np.array([1, 1])
    apart, fused = bn + relu, bn

    def moved(apart: float, fused: float) -> Array:
        return np.array([apart, fused]) * millions * itemsize

    right = moved(apart.sum(), fused.sum())
    return from_values(
        name="making-it-fast",
        page="chapters/speed",
        prompt=f"An array x has {millions} million values in float32. BN reads x for its sums, reads it again, and "
        "writes y. A ReLU follows. Nothing stays in the cache. How many MB (million bytes) move if BN and ReLU are two "
        "functions, and how many if the ReLU is in the loop that writes y?",
        right=right,
        because=f"One transfer of all values is {millions * itemsize} MB. BN makes {bn.sum()} of them, and the ReLU "
        f"{relu.sum()} more: it reads what BN has just written, and writes it again. Fused, it works on y before y "
        "leaves the processor, and moves nothing.",
        wrong=(
            WrongNumbers(
                "values for bytes",
                right / itemsize,
                f"You counted values. Each of them takes {itemsize} bytes in float32.",
            ),
            WrongNumbers(
                "float64",
                2 * right,
                f"You gave each value the {2 * itemsize} bytes of float64. In float32 it takes {itemsize}.",
            ),
            WrongNumbers(
                "writes not counted",
                moved(apart[0], fused[0]),
                "You counted the reads. What is written moves too.",
            ),
            WrongNumbers(
                "x read once",
                right - moved(1, 1),
                "You let BN read x once. The sums must be complete before the first y can be computed, and by then the "
                "first x has left the cache.",
            ),
            WrongNumbers(
                "one transfer left",
                moved(apart.sum(), fused.sum() + relu[0]),
                "You left one of the ReLU's transfers in. In the fused loop its input has just been computed and is "
                "in the processor still, and what is written is written once, after the ReLU.",
            ),
            WrongNumbers(
                "the other way round",
                right[::-1],
                "You have the two numbers in the wrong order, or fusing would move more.",
            ),
        ),
        hint="Count how often each value is read or written, then multiply by how many there are and by their size.",
        see=Link("What a fused kernel saves", "sec-fast-fused"),
    )


def _large_mean() -> Choice:
    return Choice(
        name="large-mean",
        page="chapters/speed",
        prompt="A feature has the mean 10,000 and the standard deviation 0.01, in float32. Which of these ways to its "
        "normalized values has the smallest error?",
        right="Subtract the first value k, take mean(d²) − mean(d)² of d = x − k, and subtract mean(d) from d",
        because="Near the mean x − k is exact, and what is left has a small mean. The rounding of the mean of x itself "
        "never enters.",
        wrong=(
            WrongChoice(
                "one pass",
                "Take mean(x²) − mean(x)², and subtract mean(x) from x",
                "The squares have 8 digits before the point, and the variance begins 4 digits behind it.",
            ),
            WrongChoice(
                "two passes",
                "Take the mean of (x − mean(x))², and subtract mean(x) from x",
                "The variance is better. But mean(x) is rounded, and it is subtracted from every value.",
            ),
            WrongChoice(
                "large eps",
                "Take mean(x²) − mean(x)² with a larger ε",
                "No root is negative any more, and no digit of the variance has come back.",
            ),
        ),
        hint="Where is a number rounded that is large compared with the standard deviation?",
        see=Link("Fast and wrong", "sec-fast-variance"),
    )


def _order_of_bytes() -> Choice:
    return Choice(
        name="order-of-bytes",
        page="chapters/speed",
        prompt="Put four ways to compute BN in order, from the most bytes moved to the fewest.",
        right="line by line, then γ folded into the divisor, then sums as products, then channel by channel",
        because="Folding saves a pass over the elements, products save writing and reading the squares, and a channel "
        "that stays in the cache is read from memory once and written once.",
        wrong=(
            WrongChoice(
                "folding saves more than products",
                "line by line, then sums as products, then γ folded into the divisor, then channel by channel",
                "The step with products is folded already. It saves the squares beside that.",
            ),
            WrongChoice(
                "channels are separate",
                "channel by channel, then line by line, then γ folded into the divisor, then sums as products",
                "Every channel has its own passes, but all but the first find their data in the cache.",
            ),
            WrongChoice(
                "the same bytes",
                "all four move the same bytes",
                "All read x and write y. They differ in what they write down in between.",
            ),
        ),
        hint="Count for each how often an array of the size of x is read from memory or written to it.",
        see=Link("One step at a time", "sec-fast-steps"),
    )


def _roof() -> NumberQuestion:
    flops, moved, bandwidth, peak = 7, 8, 40, 800
    return from_values(
        name="roof",
        page="chapters/speed",
        prompt=f"A loop does {flops} operations for each element and moves {moved} bytes for it. The machine moves at "
        f"most {bandwidth} GB a second and does at most {peak} billion operations a second. How many billion "
        "operations a second can the loop reach at most?",
        right=min(peak, flops / moved * bandwidth),
        because="The roof is min(P, I · B), where I is the operations for each byte moved. Here memory is the limit.",
        wrong=(
            WrongNumbers("peak", peak, "That is the flat part of the roof. The loop waits for memory long before."),
            WrongNumbers(
                "an element for a byte",
                flops * bandwidth,
                f"You let each byte bring an element. An element takes {moved} bytes of traffic.",
            ),
            WrongNumbers(
                "upside down",
                moved / flops * bandwidth,
                "You divided bytes by operations. Intensity is operations for each byte.",
            ),
        ),
        hint="How many elements come from memory in a second?",
        see=Link("Why memory is the limit", "sec-fast-roofline"),
    )


MAKING_IT_FAST = _making_it_fast()
LARGE_MEAN = _large_mean()
ORDER_OF_BYTES = _order_of_bytes()
ROOF = _roof()
