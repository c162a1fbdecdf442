"""The book's "check yourself" questions: those of the chapters, and those of each exercise's page.

    from bn_exercises import questions
    from bn_exercises.check_yourself.page import check_yourself

    check_yourself(questions.FORWARD_PASS)
    check_yourself(*questions.EXERCISES["basic-calculation"])

Every value in them is computed. What asks for the same as a problem of the course is made from that problem, with its
mistakes and its sentences.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import combinations

import numpy as np

from bn_exercises import algorithm, misconceptions, problems
from bn_exercises.check_yourself.numeric import Index, NumberQuestion, WrongNumbers, from_part, from_values
from bn_exercises.check_yourself.question import Choice, WrongChoice
from bn_exercises.functions import slips
from bn_exercises.misconceptions import Misconception
from bn_exercises.numbers.problem import NumberProblem
from bn_exercises.tolerance import Array
from bn_exercises.verdict import Link
from bn_lib import BatchNorm, batch_norm


def _list(values: Iterable[float]) -> str:
    return ", ".join(f"{v:g}" for v in values)


def _whole(formula: str) -> str:
    """The formula with no-break spaces, so that a narrow page does not break it."""
    return formula.replace(" ", "\N{NO-BREAK SPACE}")


def _why_scale_matters() -> NumberQuestion:
    curvatures = np.array([1.0, 25.0])
    low, high = float(curvatures.min()), float(curvatures.max())
    return from_values(
        name="why-scale-matters",
        page="chapters/scale",
        prompt=f"Gradient descent on the loss L(w) = ½ (λ₁ w₁² + λ₂ w₂²) with the curvatures λ₁ = {low:g} and "
        f"λ₂ = {high:g}. Below which learning rate does it converge from every starting point?",
        right=2 / high,
        because="One step multiplies w along a direction by 1 − η λ. Its size stays below 1 as long as η < 2 / λ, and "
        "the largest curvature sets the tightest limit: 2 / λ_max.",
        wrong=(
            WrongNumbers(
                "1 / λ_max",
                1 / high,
                "At 1 / λ_max the steepest direction arrives in one step. A little beyond, it overshoots, and still "
                "ends closer than it began. Stability ends later.",
            ),
            WrongNumbers(
                "λ_min for λ_max",
                2 / low,
                "That is the limit of the flattest direction. The steepest one diverges much earlier.",
            ),
            WrongNumbers(
                "1 / λ_min",
                1 / low,
                "That takes the flattest direction to its minimum in one step. The steepest one has diverged by then.",
            ),
            WrongNumbers(
                "the fastest rate",
                2 / (low + high),
                "That rate converges fastest, because both directions then shrink equally. The limit of stability "
                "is a little further.",
            ),
            WrongNumbers(
                "upside down",
                high / 2,
                "That is the inverse. A larger curvature asks for a smaller step.",
            ),
        ),
        hint="Write one step for one direction, w − η λ w, and ask what w is multiplied by.",
        see=Link("The largest stable learning rate, measured", "largest-stable-learning-rate"),
    )


def _order_term(order: int) -> list[str]:
    """The products of order `order` in a of (w₁ − a g₁)(w₂ − a g₂)(w₃ − a g₃), without a and its sign."""
    products = []
    for stepped in combinations("₁₂₃", order):
        products.append("".join(("g" if i in stepped else "w") + i for i in "₁₂₃"))
    return products


def _internal_covariate_shift() -> Choice:
    second = _order_term(2)
    return Choice(
        name="internal-covariate-shift",
        page="chapters/covariate_shift",
        prompt=f"Three layers of one weight each give {_whole('y = w₁w₂w₃ x')}. One gradient step changes all three at "
        f"once: the product becomes {_whole('(w₁ − a g₁)(w₂ − a g₂)(w₃ − a g₃)')}. Which part of it is of second order "
        "in a?",
        right=f"+a² ({' + '.join(second)})",
        because="Choose −a g in two of the three brackets and w in the third. There are three ways to choose, and "
        "(−a)² is positive. The gradient of each layer, taken alone, knows nothing of this term.",
        wrong=(
            WrongChoice(
                "sign",
                f"−a² ({' + '.join(second)})",
                "Two of the three factors contribute a minus sign each, and they cancel.",
            ),
            WrongChoice(
                "first order",
                f"−a ({' + '.join(_order_term(1))})",
                "That is the first-order part: one layer moves and the others stand still. It is what each gradient "
                "accounts for.",
            ),
            WrongChoice(
                "third order",
                f"−a³ {_order_term(3)[0]}",
                "That is the third-order part: all three layers move.",
            ),
            WrongChoice(
                "one pair only",
                f"+a² {second[0]}",
                "That is one pair of layers. There are three pairs among three layers, and each gives a term.",
            ),
        ),
        hint="Expand the product: from each bracket take one of its two terms.",
        see=Link("The three-layer product", "three-layer-product"),
    )


def _forward_pass() -> NumberQuestion:
    x, eps, asked = (0.1, 0.2, 0.6), 0.01, 2
    given = {**problems.BASIC_CALCULATION.given, "x": tuple((value,) for value in x), "eps": eps}
    return from_part(
        replace(problems.BASIC_CALCULATION, given=given),
        "x_hat",
        at=(asked, 0),
        name="forward-pass",
        page="chapters/forward",
        prompt=f"A mini-batch of one feature: {_list(x)}. With ε = {eps:g}, what is the normalized value x̂ of "
        f"{x[asked]:g}?",
        hint="First the mean of the three, then the mean of their squared distances from it.",
        see=misconceptions.BY_HAND,
    )


def _backward_pass() -> NumberQuestion:
    x, dy, gamma, eps = (1, 2, 6), (1, 0, 0), 3, 0.0
    # The problem starts from the gradient with respect to x̂. The question starts one step before, at y.
    part = problems.BACKPROPAGATION.part("dx")
    without_gamma = misconceptions.NO_GAMMA.at(lambda *arguments: part.solve(*arguments) / gamma)
    problem = replace(
        problems.BACKPROPAGATION,
        given={"x": x, "dx_hat": tuple(gamma * d for d in dy), "eps": eps},
        parts=(
            replace(part, mistakes=(*part.mistakes, without_gamma)),
            *(other for other in problems.BACKPROPAGATION.parts if other is not part),
        ),
    )
    return from_part(
        problem,
        part.name,
        name="backward-pass",
        page="chapters/backward",
        prompt=f"A mini-batch of one feature: {_whole(f'x = {_list(x)}')}. With γ = {gamma:g}, ε = {eps:g} and the "
        f"gradient {_whole(f'dy = {_list(dy)}')} of the loss with respect to y, what is dx? Three numbers.",
        because="dx = γ / √(σ² + ε) · (dy − mean(dy) − x̂ · mean(dy · x̂)). Check: the three numbers add up to 0, "
        "because adding a constant to the batch changes no output.",
        hint="There are three paths from y back to x: straight, through the mean, through the variance.",
        see=misconceptions.PATHS,
    )


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
    first, second = (_whole(f"({_list(batch)})") for batch in batches)
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


def _convolutions() -> NumberQuestion:
    shape = (8, 3, 5, 4)
    x, c = np.zeros(shape), shape[1]
    _, cache = batch_norm(x, np.ones(c), np.zeros(c))
    assert cache.moments is not None  # in training they are those of x

    def over_wrong_axes(mistake: Misconception) -> WrongNumbers:
        shared = np.prod([shape[axis] for axis in mistake.compute(x)])
        return WrongNumbers(mistake.name, shared, mistake.says, mistake.see)

    return from_values(
        name="convolutions",
        page="chapters/convolutions",
        prompt=f"Batch Normalization of feature maps with (N, C, H, W) = {shape}. How many values share one mean?",
        right=cache.moments.count,
        because="A channel is one feature, and it occurs at every position of every sample: N · H · W values share one "
        f"mean, and there are C = {c} means.",
        wrong=(
            *map(over_wrong_axes, slips.IMAGE_AXES),
            over_wrong_axes(
                misconceptions.OVER_EVERYTHING.at(
                    lambda x: range(x.ndim), "You averaged over all values. Every channel has its own mean."
                )
            ),
            WrongNumbers(
                "the number of means",
                c,
                "That is how many means there are: one for each channel. The question is how many values share one.",
            ),
        ),
        hint="Which of the four axes keep their own means? Multiply the lengths of the others.",
        see=misconceptions.AXES,
    )


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


def _exercise(problem: NumberProblem, see: Link, asked: Mapping[str, tuple[str, Index]]) -> tuple[NumberQuestion, ...]:
    """A question for each part: with what words it goes on from the part's title, and which numbers it asks for."""
    questions = []
    for part in problem.parts:
        words, at = asked[part.name]
        letter, title = part.title.split(" ", 1)
        prompt = f"{letter} {title[0].upper()}{title[1:]}{words}."
        page = f"exercises/{problem.name}"
        questions.append(from_part(problem, part.name, at=at, page=page, prompt=prompt, see=see))
    return tuple(questions)


def _three_paths() -> tuple[NumberQuestion, ...]:
    """What each path of exercise 2 brings to x: between a hint and the solution, for who cannot do (a) at once."""
    given = problems.BACKPROPAGATION.given
    x, dx_hat, eps = np.array(given["x"], dtype=float), np.array(given["dx_hat"], dtype=float), given["eps"]
    m, centred, root = len(x), x - x.mean(), algorithm.root(x, eps)
    dmu, dvar = algorithm.dmu(x, dx_hat, eps), algorithm.dvar(x, dx_hat, eps)
    direct, by_variance, by_mean = dx_hat / root, dvar * 2 * centred / m + 0.0, dmu / m

    def path(name: str, prompt: str, right: Array, because: str, hint: str, *wrong: WrongNumbers) -> NumberQuestion:
        return from_values(
            name=f"backpropagation-path-{name}",
            page="exercises/backpropagation",
            prompt=prompt,
            right=right,
            because=because,
            wrong=wrong,
            hint=hint,
            see=misconceptions.PATHS,
        )

    return (
        path(
            "direct",
            "The straight path. Hold μ and σ² still: what does dx̂ bring to each x? Three numbers.",
            direct,
            "With μ and σ² held still, x̂ changes with its x by 1 / √(σ² + ε), and with no other.",
            "With μ and σ² held still, x̂ = (x − μ) / √(σ² + ε) is a straight line in x. What is its slope?",
            WrongNumbers("multiplied by the root", dx_hat * root, "You multiplied by the root. x̂ divides by it."),
            WrongNumbers(
                "variance for standard deviation",
                dx_hat / root**2,
                "You divided by σ² + ε. What x̂ divides by is its root.",
            ),
            WrongNumbers("nothing divided", dx_hat, "That is dx̂ itself. x̂ changes more slowly than x or faster."),
        ),
        path(
            "mean",
            "The path through the mean. With dμ from (b): what does it bring to each x? It is the same number for all.",
            by_mean,
            f"Each x moves the mean by 1 / m = 1 / {m}, so each gets dμ / m.",
            "By how much does the mean change when one x changes by 1?",
            WrongNumbers("not shared", dmu, "That is dμ. One x moves the mean by 1 / m only."),
            WrongNumbers(
                "sign", -by_mean, "The sign is turned round. The mean rises with each x, so dμ keeps its sign."
            ),
            WrongNumbers("squared share", dmu / m**2, "You divided by m twice. One x moves the mean by 1 / m."),
        ),
        path(
            "variance",
            "The path through the variance. With dσ² from (c): what does it bring to each x? Three numbers.",
            by_variance,
            "Each x moves the variance by 2 (x − μ) / m: most where it is far from the mean, not at all at the mean.",
            "By how much does the variance change when one x changes by 1? The mean changes too, and adds nothing.",
            WrongNumbers(
                "square not derived", dvar * centred**2 / m, "That is the square itself. Its derivative is 2 (x − μ)."
            ),
            WrongNumbers("2 forgotten", dvar * centred / m, "The derivative of the square brings a factor 2 down."),
            WrongNumbers(
                "not shared", dvar * 2 * centred, "The variance is a mean of squares: each x has 1 / m of it."
            ),
            WrongNumbers("sign", -by_variance, "The sign is turned round. Above the mean, the variance rises with x."),
        ),
    )


WHY_SCALE_MATTERS = _why_scale_matters()
INTERNAL_COVARIATE_SHIFT = _internal_covariate_shift()
FORWARD_PASS = _forward_pass()
BACKWARD_PASS = _backward_pass()
TRAINING_AND_INFERENCE = _training_and_inference()
BATCH_SIZE = _batch_size()
COMPANY = _company()
CONVOLUTIONS = _convolutions()
MAKING_IT_FAST = _making_it_fast()

# In the order of the chapters.
CHAPTERS = (
    WHY_SCALE_MATTERS,
    INTERNAL_COVARIATE_SHIFT,
    FORWARD_PASS,
    BACKWARD_PASS,
    TRAINING_AND_INFERENCE,
    BATCH_SIZE,
    COMPANY,
    CONVOLUTIONS,
    MAKING_IT_FAST,
)

# For each exercise's page, by the name of its problem, a question for each part. Nobody types a whole table on a phone.
_FIRST_FEATURE = np.s_[:, 0]
EXERCISES = {
    "basic-calculation": _exercise(
        problems.BASIC_CALCULATION,
        misconceptions.ALGORITHM,
        {
            "mean": (" of each feature", ...),
            "var": (" of each feature", ...),
            "x_hat": (" of the first feature, from top to bottom", _FIRST_FEATURE),
            "y": (" for the first feature, from top to bottom", _FIRST_FEATURE),
        },
    ),
    "backpropagation": _exercise(
        problems.BACKPROPAGATION,
        misconceptions.PATHS,
        {"dx": (", one number for each sample", ...), "dmu": ("", ...), "dvar": ("", ...)},
    ),
    "batch-size": _exercise(
        problems.BATCH_SIZE,
        misconceptions.COMPANY,
        {"one_batch": (": the first three values", np.s_[:3]), "two_batches": (": the values of the second one", 1)},
    ),
    "conditional": _exercise(
        problems.CONDITIONAL,
        misconceptions.GAMMA_BETA,
        {"y0": (", one number for each sample", ...), "y1": (", one number for each sample", ...)},
    ),
}

# Steps on the way to a part, for an exercise that asks for much at once.
STEPS = {"backpropagation": _three_paths()}

ALL = (*CHAPTERS, *(question for of_page in (EXERCISES, STEPS) for asked in of_page.values() for question in asked))
