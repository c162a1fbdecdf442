"""What the chapter asks, with an answer to every answer. Every value is computed."""

from dataclasses import replace

from bn_book.wording import listed
from bn_exercises import misconceptions, problems
from bn_exercises.check_yourself.numeric import NumberQuestion, from_part


def _forward_pass() -> NumberQuestion:
    x, eps, asked = (0.1, 0.2, 0.6), 0.01, 2
    given = {**problems.BASIC_CALCULATION.given, "x": tuple((value,) for value in x), "eps": eps}
    return from_part(
        replace(problems.BASIC_CALCULATION, given=given),
        "x_hat",
        at=(asked, 0),
        name="forward-pass",
        page="chapters/forward",
        prompt=f"A mini-batch of one feature: {listed(x)}. With ε = {eps:g}, what is the normalized value x̂ of "
        f"{x[asked]:g}?",
        hint="First the mean of the three, then the mean of their squared distances from it.",
        see=misconceptions.BY_HAND,
    )


FORWARD_PASS = _forward_pass()
