"""The "check yourself" questions of the exercises' pages: one for each part of a problem.

    from bn_exercises import questions
    from bn_exercises.check_yourself.page import check_yourself

    check_yourself(*questions.EXERCISES["basic-calculation"])

Each is made from its problem, with its mistakes and its sentences. The chapters' questions are in the book's rooms.
"""

from collections.abc import Mapping

import numpy as np

from bn_exercises import misconceptions, problems
from bn_exercises.check_yourself.numeric import Index, NumberQuestion, from_part
from bn_exercises.numbers.problem import NumberProblem
from bn_exercises.verdict import Link


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
