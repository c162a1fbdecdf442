"""What the chapter asks, with an answer to every answer. Every value is computed."""

from dataclasses import replace

from bn_book.wording import listed, whole
from bn_exercises import misconceptions, problems
from bn_exercises.check_yourself.numeric import NumberQuestion, WrongNumbers, from_part, from_values
from bn_exercises.check_yourself.question import Choice, WrongChoice
from bn_exercises.verdict import Link


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
        prompt=f"A mini-batch of one feature: {whole(f'x = {listed(x)}')}. With γ = {gamma:g}, ε = {eps:g} and the "
        f"gradient {whole(f'dy = {listed(dy)}')} of the loss with respect to y, what is dx? Three numbers.",
        because="dx = γ / √(σ² + ε) · (dy − mean(dy) − x̂ · mean(dy · x̂)). Check: the three numbers add up to 0, "
        "because adding a constant to the batch changes no output.",
        hint="There are three paths from y back to x: straight, through the mean, through the variance.",
        see=misconceptions.PATHS,
    )


def _missing_path() -> Choice:
    return Choice(
        name="missing-path",
        page="chapters/backward",
        prompt="A backward pass of BN is run on random dy. The sum of dx over the mini-batch is 0.8, and the sum of "
        "dx · x̂ is 0. What does it leave out?",
        right="The path through the mean",
        because="The path through the mean is what makes the sum of dx zero: adding a constant to the batch changes no "
        "output. The path through the variance does the same for the sum of dx · x̂.",
        wrong=(
            WrongChoice(
                "the other path",
                "The path through the variance",
                "Without that one the sum of dx would be 0, and the sum of dx · x̂ would not.",
            ),
            WrongChoice("nothing", "Nothing", "A complete dx adds up to 0, whatever dy is."),
            WrongChoice(
                "a factor",
                "The factor γ",
                "A factor multiplies all of dx. A sum that should be 0 would be 0 without it.",
            ),
        ),
        hint="Which of the two sums is not as it should be, and which path takes care of it?",
        see=Link("When a path is forgotten", "sec-backward-forgotten"),
    )


def _blind_check() -> Choice:
    seen = "On that loss dy is all ones."
    return Choice(
        name="blind-check",
        page="chapters/backward",
        prompt="You check a new layer's backward pass by finite differences of the loss L = y.sum(). Which of these "
        "mistakes does the check notice?",
        right="The path through the mean is left out of dx",
        because="There dy is all ones, so mean(dy · x̂) is 0 and mean(dy) is not. The true gradient is 0, and without "
        "the path through the mean dx is γ / √(σ² + ε) everywhere.",
        wrong=(
            WrongChoice(
                "hidden by mean(dy · x̂) = 0",
                "The path through the variance is left out of dx",
                f"{seen} Then mean(dy · x̂) is 0, and that path brings nothing.",
            ),
            WrongChoice(
                "hidden by dx = 0",
                "γ is left out of dx",
                f"{seen} The true dx is 0, and a factor that is missing from 0 cannot be seen.",
            ),
            WrongChoice(
                "hidden by consistency",
                "The variance is divided by m − 1, in both passes",
                "Both passes then belong to the same function, which is another one than BN. No gradient check sees "
                "that.",
            ),
        ),
        hint="What is dy for this loss, and what is dx when nothing is wrong?",
        see=Link("Checking a gradient, and what the check cannot see", "sec-backward-gradcheck"),
    )


def _scaled_weights() -> NumberQuestion:
    norm, a = 8.0, 4.0
    return from_values(
        name="scaled-weights",
        page="chapters/backward",
        prompt=f"The gradient of the weights before a BN layer has the norm {norm:g}. You make those weights {a:g} "
        "times as large, with ε = 0. What is the norm of their gradient now?",
        right=norm / a,
        because="The output does not change, so the same change of the loss takes a step in the weights that is a "
        "times as large: the gradient is 1 / a of what it was.",
        wrong=(
            WrongNumbers(
                "times a", norm * a, "Without BN the gradient would not shrink. BN divides by a scale that grew."
            ),
            WrongNumbers(
                "unchanged",
                norm,
                "The output is unchanged. Its slope along the weights is not, because the weights are farther from 0.",
            ),
            WrongNumbers(
                "a squared",
                norm / a**2,
                "The step that plain gradient descent takes, as a share of the weights, shrinks by a². The gradient "
                "itself shrinks by less.",
            ),
        ),
        hint="The output for W and for a W is the same. What step in a W does what a step in W did?",
        see=Link("The compact form", "sec-backward-compact"),
    )


BACKWARD_PASS = _backward_pass()
MISSING_PATH = _missing_path()
BLIND_CHECK = _blind_check()
SCALED_WEIGHTS = _scaled_weights()
