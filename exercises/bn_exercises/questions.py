"""The "check yourself" questions of the exercises' pages: one for each part of a problem.

    from bn_exercises import questions
    from bn_exercises.check_yourself.page import check_yourself

    check_yourself(*questions.EXERCISES["basic-calculation"])

Each is made from its problem, with its mistakes and its sentences. The chapters' questions are in the book's rooms.
"""

from collections.abc import Mapping

import numpy as np

from bn_exercises import algorithm, misconceptions, problems
from bn_exercises.check_yourself.numeric import Index, NumberQuestion, WrongNumbers, from_part, from_values
from bn_exercises.numbers.problem import NumberProblem
from bn_exercises.tolerance import Array
from bn_exercises.verdict import Link


def _exercise(problem: NumberProblem, see: Link, asked: Mapping[str, tuple[str, Index]]) -> tuple[NumberQuestion, ...]:
    """A question for each part: what it asks, and for which numbers."""
    questions = []
    for part in problem.parts:
        asks, at = asked[part.name]
        letter, _ = part.title.split(" ", 1)
        prompt = f"{letter} {asks}"
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


# For each exercise's page, by the name of its problem, a question for each part. Nobody types a whole table on a phone.
_FIRST_FEATURE = np.s_[:, 0]


EXERCISES = {
    "basic-calculation": _exercise(
        problems.BASIC_CALCULATION,
        misconceptions.ALGORITHM,
        {
            "mean": ("The mean of each feature.", ...),
            "var": ("The variance of each feature.", ...),
            "x_hat": ("The normalized values of the first feature, from top to bottom.", _FIRST_FEATURE),
            "y": ("The output for the first feature, from top to bottom.", _FIRST_FEATURE),
        },
    ),
    "backpropagation": _exercise(
        problems.BACKPROPAGATION,
        misconceptions.PATHS,
        {
            "dx": ("The gradient with respect to x, one number for each sample.", ...),
            "dmu": ("The gradient with respect to the mean.", ...),
            "dvar": ("The gradient with respect to the variance.", ...),
        },
    ),
    "batch-size": _exercise(
        problems.BATCH_SIZE,
        misconceptions.COMPANY,
        {
            "one_batch": ("Normalized as one batch of six: the first three values.", np.s_[:3]),
            "two_batches": ("Normalized as two batches of three: the values of the second one.", 1),
        },
    ),
    "conditional": _exercise(
        problems.CONDITIONAL,
        misconceptions.GAMMA_BETA,
        {
            "y0": ("The output of class 0, one number for each sample.", ...),
            "y1": ("The output of class 1, one number for each sample.", ...),
        },
    ),
}

# Steps on the way to a part, for an exercise that asks for much at once.
STEPS = {"backpropagation": _three_paths()}

ALL = tuple(question for of_page in (EXERCISES, STEPS) for asked in of_page.values() for question in asked)
