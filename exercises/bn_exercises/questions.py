"""The book's "check yourself" questions, one for each chapter. Every value in them is computed.

from bn_exercises import questions
from bn_exercises.page import check_yourself

check_yourself(questions.FORWARD_PASS)
"""

from collections.abc import Callable
from itertools import combinations
from typing import Any

import numpy as np

from bn_exercises import misconceptions
from bn_exercises.misconceptions import Misconception
from bn_exercises.question import Link, Question, Wrong, numbers
from bn_exercises.tolerance import Array
from bn_lib import BatchNorm, batch_norm, batch_norm_backward, instance_norm, layer_norm
from bn_lib.normalizers import NormCache


def _list(values: Array) -> str:
    return ", ".join(f"{v:g}" for v in values)


def _whole(formula: str) -> str:
    """The formula with no-break spaces, so that a narrow page does not break it."""
    return formula.replace(" ", "\N{NO-BREAK SPACE}")


def _why_scale_matters() -> Question:
    curvatures = np.array([1.0, 25.0])
    low, high = float(curvatures.min()), float(curvatures.max())
    return Question(
        name="why-scale-matters",
        prompt=f"Gradient descent on the loss L(w) = ½ (λ₁ w₁² + λ₂ w₂²) with the curvatures λ₁ = {low:g} and "
        f"λ₂ = {high:g}. Below which learning rate does it converge from every starting point?",
        right=numbers(2 / high),
        because="One step multiplies w along a direction by 1 − η λ. Its size stays below 1 as long as η < 2 / λ, and "
        "the largest curvature sets the tightest limit: 2 / λ_max.",
        wrong=(
            Wrong(
                "1 / λ_max",
                numbers(1 / high),
                "At 1 / λ_max the steepest direction arrives in one step. A little beyond, it overshoots, and still "
                "ends closer than it began. Stability ends later.",
            ),
            Wrong(
                "λ_min for λ_max",
                numbers(2 / low),
                "That is the limit of the flattest direction. The steepest one diverges much earlier.",
            ),
            Wrong(
                "1 / λ_min",
                numbers(1 / low),
                "That takes the flattest direction to its minimum in one step. The steepest one has diverged by then.",
            ),
            Wrong(
                "the fastest rate",
                numbers(2 / (low + high)),
                "That rate converges fastest, because both directions then shrink equally. The limit of stability "
                "is a little further.",
            ),
            Wrong(
                "upside down",
                numbers(high / 2),
                "That is the inverse. A larger curvature asks for a smaller step.",
            ),
        ),
        hint="Write one step for one direction, w − η λ w, and ask what w is multiplied by.",
        see=Link("The largest stable learning rate", "largest-stable-learning-rate"),
    )


def _order_term(order: int) -> list[str]:
    """The products of order `order` in a of (w₁ − a g₁)(w₂ − a g₂)(w₃ − a g₃), without a and its sign."""
    products = []
    for stepped in combinations("₁₂₃", order):
        products.append("".join(("g" if i in stepped else "w") + i for i in "₁₂₃"))
    return products


def _internal_covariate_shift() -> Question:
    second = _order_term(2)
    return Question(
        name="internal-covariate-shift",
        prompt=f"Three layers of one weight each give {_whole('y = w₁w₂w₃ x')}. One gradient step changes all three at "
        f"once: the product becomes {_whole('(w₁ − a g₁)(w₂ − a g₂)(w₃ − a g₃)')}. Which part of it is of second order "
        "in a?",
        right=f"+a² ({' + '.join(second)})",
        because="Choose −a g in two of the three brackets and w in the third. There are three ways to choose, and "
        "(−a)² is positive. The gradient of each layer, taken alone, knows nothing of this term.",
        wrong=(
            Wrong(
                "sign",
                f"−a² ({' + '.join(second)})",
                "Two of the three factors contribute a minus sign each, and they cancel.",
            ),
            Wrong(
                "first order",
                f"−a ({' + '.join(_order_term(1))})",
                "That is the first-order part: one layer moves and the others stand still. It is what each gradient "
                "accounts for.",
            ),
            Wrong(
                "third order",
                f"−a³ {_order_term(3)[0]}",
                "That is the third-order part: all three layers move.",
            ),
            Wrong(
                "one pair only",
                f"+a² {second[0]}",
                "That is one pair of layers. There are three pairs among three layers, and each gives a term.",
            ),
        ),
        hint="Expand the product: from each bracket take one of its two terms.",
        see=Link("The three-layer product", "three-layer-product"),
    )


def _forward_pass() -> Question:
    x, eps = np.array([[0.1], [0.2], [0.6]]), 0.01
    _, cache = batch_norm(x, np.ones(1), np.zeros(1), eps=eps)
    asked = 2
    mistakes = (
        misconceptions.DDOF1,
        misconceptions.EPS_OUTSIDE,
        misconceptions.NO_EPS,
        misconceptions.VARIANCE_FOR_DEVIATION,
        misconceptions.NOT_CENTRED,
        misconceptions.NOT_DIVIDED,
    )
    return Question(
        name="forward-pass",
        prompt=f"A mini-batch of one feature: {_list(x[:, 0])}. With ε = {eps:g}, what is the normalized value x̂ of "
        f"{x[asked, 0]:g}?",
        right=numbers(cache.x_hat[asked]),
        because="Subtract the mean, then divide by √(σ² + ε), where σ² is the sum of squared deviations divided "
        f"by {len(x)}.",
        wrong=tuple(_recognised(m, numbers(m.compute(x, eps)[asked])) for m in mistakes),
        hint="First the mean of the three, then the mean of their squared distances from it.",
        see=Link("One small batch by hand", "forward-by-hand"),
    )


def _backward_pass() -> Question:
    x, dy = np.array([[1.0], [2.0], [6.0]]), np.array([[1.0], [0.0], [0.0]])
    gamma, eps = np.array([3.0]), 0.0
    _, cache = batch_norm(x, gamma, np.zeros(1), eps=eps)
    dx, _, _ = batch_norm_backward(dy, cache)
    return Question(
        name="backward-pass",
        prompt=f"A mini-batch of one feature: {_whole(f'x = {_list(x[:, 0])}')}. With γ = {gamma[0]:g}, "
        f"ε = {eps:g} and the gradient {_whole(f'dy = {_list(dy[:, 0])}')} of the loss with respect to y, what is dx? "
        "Three numbers.",
        right=numbers(dx),
        because="dx = γ / √(σ² + ε) · (dy − mean(dy) − x̂ · mean(dy · x̂)). Check: the three numbers add up to 0, "
        "because adding a constant to the batch changes no output.",
        wrong=tuple(_recognised(m, numbers(m.compute(x, dy, gamma, eps))) for m in misconceptions.BACKWARD),
        hint="There are three paths from y back to x: straight, through the mean, through the variance.",
        see=Link("Three paths from y back to x", "three-paths"),
    )


def _training_and_inference() -> Question:
    layer = BatchNorm(1, momentum=0.1)
    swapped = BatchNorm(1, momentum=1 - 0.1)
    average = BatchNorm(1, momentum=None)
    batches = [np.array([[9.0], [11.0]]), np.array([[18.0], [22.0]])]
    for batch in batches:
        for each in (layer, swapped, average):
            each.forward(batch)
    first, last = (float(batch.mean()) for batch in batches)
    return Question(
        name="training-and-inference",
        prompt=f"A layer starts with running_mean = 0 and has PyTorch's momentum, {layer.momentum:g}. It is trained on "
        f"two batches, whose means are {first:g} and {last:g}. What is running_mean then?",
        right=numbers(layer.running_mean),
        because="In PyTorch momentum is the weight of the new batch: new = (1 − momentum) · old + momentum · batch. "
        "After two updates most of the starting value 0 is still in it.",
        wrong=(
            Wrong(
                "momentum the other way round",
                numbers(swapped.running_mean),
                "You gave the old value the weight momentum. That is how Keras means the word. In PyTorch momentum is "
                "the weight of the new batch.",
            ),
            Wrong(
                "last batch",
                numbers(last),
                "That is the mean of the last batch. The running mean moves towards it by a tenth of the way.",
            ),
            Wrong(
                "plain average",
                numbers(average.running_mean),
                "That is the plain average of the two batches (momentum=None in PyTorch). With a number for momentum "
                "the average is exponential, and it starts from 0.",
            ),
            Wrong(
                "first batch taken whole",
                numbers((1 - 0.1) * first + 0.1 * last),
                "You started from the mean of the first batch. The layer starts from 0 and moves from there.",
            ),
            Wrong(
                "old value not shrunk",
                numbers(0.1 * first + 0.1 * last),
                "You added momentum · batch twice without shrinking the old value. It keeps only 1 − momentum of "
                "itself in each update.",
            ),
            Wrong(
                "one update",
                numbers(0.1 * first),
                "That is the value after the first update. There is a second one.",
            ),
        ),
        hint="Do one update at a time, and begin with the value 0.",
        see=Link("Running statistics", "running-statistics"),
    )


def _batch_size() -> Question:
    sigma, m = 2.0, 16
    return Question(
        name="batch-size",
        prompt=f"The values of a feature have the standard deviation {sigma:g}. You average {m} independent ones. What "
        "is the standard deviation of that average?",
        right=numbers(sigma / np.sqrt(m)),
        because="Variances of independent values add up, so the variance of the average is σ² / m, and its standard "
        "deviation σ / √m. To halve the noise in μ takes four times the batch.",
        wrong=(
            Wrong(
                "root forgotten",
                numbers(sigma / m),
                "You divided σ by m. The variance falls as 1 / m, so the standard deviation falls as 1 / √m.",
            ),
            Wrong(
                "variance for standard deviation",
                numbers(sigma**2 / m),
                "That is the variance of the average, σ² / m. Its standard deviation is the root of that.",
            ),
            Wrong(
                "of a single value",
                numbers(sigma),
                "That is the standard deviation of a single value. Averaging makes it smaller.",
            ),
            Wrong(
                "m − 1",
                numbers(sigma / np.sqrt(m - 1)),
                "Subtracting 1 belongs to estimating a variance from a sample. The average divides by m.",
            ),
            Wrong(
                "of the sum",
                numbers(sigma * np.sqrt(m)),
                "That is the standard deviation of the sum. The average divides it by m.",
            ),
        ),
        hint="Begin with the variance of a sum of independent values.",
        see=Link("The noise in the mean", "noise-in-the-mean"),
    )


def _convolutions() -> Question:
    n, c, h, w = shape = (8, 3, 5, 4)
    x, gamma, beta = np.zeros(shape), np.ones(c), np.zeros(c)

    def shared_by(norm: Callable[..., tuple[Any, NormCache]]) -> int:
        _, cache = norm(x, gamma, beta)
        assert cache.moments is not None  # each of these takes its statistics from x
        return cache.moments.count

    return Question(
        name="convolutions",
        prompt=f"Batch Normalization of feature maps with (N, C, H, W) = {shape}. How many values share one mean?",
        right=numbers(shared_by(batch_norm)),
        because="A channel is one feature, and it occurs at every position of every sample: N · H · W values share one "
        f"mean, and there are C = {c} means.",
        wrong=(
            Wrong(
                "N only",
                numbers(n),
                "You averaged over the samples alone, so every position would have its own mean. The same filter "
                "makes all positions of a channel, so they share one.",
            ),
            Wrong(
                "H · W",
                numbers(shared_by(instance_norm)),
                "You averaged over the positions of one sample. That is Instance Normalization. "
                "Batch Normalization goes over the samples too.",
            ),
            Wrong(
                "C · H · W",
                numbers(shared_by(layer_norm)),
                "You averaged over one sample, with all its channels. That is Layer Normalization. "
                "Batch Normalization keeps channels apart and goes over the samples.",
            ),
            Wrong(
                "everything",
                numbers(n * c * h * w),
                "You averaged over all values. Every channel has its own mean.",
            ),
            Wrong(
                "the number of means",
                numbers(c),
                "That is how many means there are: one for each channel. The question is how many values share one.",
            ),
        ),
        hint="Which of the four axes keep their own means? Multiply the lengths of the others.",
        see=Link("Which axes, and why", "which-axes"),
    )


def _recognised(misconception: Misconception, value: tuple[float, ...]) -> Wrong:
    return Wrong(misconception.name, value, misconception.says)


WHY_SCALE_MATTERS = _why_scale_matters()
INTERNAL_COVARIATE_SHIFT = _internal_covariate_shift()
FORWARD_PASS = _forward_pass()
BACKWARD_PASS = _backward_pass()
TRAINING_AND_INFERENCE = _training_and_inference()
BATCH_SIZE = _batch_size()
CONVOLUTIONS = _convolutions()

# In the order of the chapters.
ALL = (
    WHY_SCALE_MATTERS,
    INTERNAL_COVARIATE_SHIFT,
    FORWARD_PASS,
    BACKWARD_PASS,
    TRAINING_AND_INFERENCE,
    BATCH_SIZE,
    CONVOLUTIONS,
)
