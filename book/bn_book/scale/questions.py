"""What the chapter asks, with an answer to every answer. Every value is computed."""

import numpy as np

from bn_exercises.check_yourself.numeric import NumberQuestion, WrongNumbers, from_values
from bn_exercises.check_yourself.question import Choice, WrongChoice
from bn_exercises.verdict import Link


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


def _four_errors() -> Choice:
    curvature, rate = 4.0, 0.45

    def errors(factor: float) -> str:
        return ", ".join(f"{factor**k:.3g}".replace("-", "−") for k in range(4))

    return Choice(
        name="four-errors",
        page="chapters/scale",
        prompt=f"The distance to the minimum along a direction with λ = {curvature:g} is 1. Predict the first steps of "
        f"gradient descent with η = {rate:g}: which of these four runs is it?",
        right=errors(1 - rate * curvature),
        because="Every step multiplies the distance by 1 − η λ = −0.8. The sign changes, so the run swings from side "
        "to side, and the size is below 1, so it converges.",
        wrong=(
            WrongChoice(
                "sign lost",
                errors(abs(1 - rate * curvature)),
                "The sizes are right. But η is beyond 1 / λ, so the run overshoots and the sign changes every time.",
            ),
            WrongChoice(
                "η λ for 1 − η λ",
                errors(-rate * curvature),
                "You multiplied by −η λ. What is subtracted is η λ times the distance, so 1 − η λ is left.",
            ),
            WrongChoice(
                "λ forgotten",
                errors(1 - rate),
                "You multiplied by 1 − η. The step is η times the gradient, and the gradient is λ times the distance.",
            ),
        ),
        hint="What does one step multiply the distance by?",
        see=Link("Gradient descent on a quadratic", "sec-scale-quadratic"),
    )


def _standardized_pair() -> NumberQuestion:
    rho = 0.6
    return from_values(
        name="standardized-pair",
        page="chapters/scale",
        prompt=f"Two features have the correlation {rho:g}. You standardize both. What is the condition number of the "
        "Hessian of a linear model on them, without a bias?",
        right=(1 + rho) / (1 - rho),
        because="The Hessian is the correlation matrix. Its eigenvalues are 1 + ρ and 1 − ρ. Standardizing takes the "
        "units away and leaves the correlation.",
        wrong=(
            WrongNumbers("a round bowl", 1.0, "That would be so without correlation. Only whitening removes it."),
            WrongNumbers("λ_max alone", 1 + rho, "That is the larger eigenvalue. The condition number is a quotient."),
            WrongNumbers("upside down", (1 - rho) / (1 + rho), "You divided the smaller eigenvalue by the larger one."),
            WrongNumbers(
                "λ_max taken for 1", 1 / (1 - rho), "The larger eigenvalue is 1 + ρ. Their sum is 2, the trace."
            ),
        ),
        hint="Write the correlation matrix of two features, and its eigenvalues.",
        see=Link("What standardizing does to the Hessian", "sec-scale-standardizing"),
    )


def _eigenvalue_of_the_mean() -> NumberQuestion:
    count, mean = 64, 0.5
    return from_values(
        name="eigenvalue-of-the-mean",
        page="chapters/scale",
        prompt=f"The outputs of {count} sigmoids are all near {mean:g}, whatever the image is. A linear model on them, "
        "without a bias, has a Hessian with one large eigenvalue. About how large is it?",
        right=count * mean**2,
        because="The means add μ μᵀ to the Hessian. Its only eigenvalue that is not 0 is the squared length of μ. "
        "Centering takes it away.",
        wrong=(
            WrongNumbers("length not squared", np.sqrt(count * mean**2), "That is the length of μ. It counts squared."),
            WrongNumbers("one entry", mean**2, "That is one entry of μ μᵀ. All of them are alike, and they add up."),
            WrongNumbers("sum of the means", count * mean, "You added the means. Their squares add up."),
            WrongNumbers(
                "number of features", count, "That would be so for means of 1. The squared length of μ is what counts."
            ),
        ),
        hint="H is the covariance matrix plus the matrix of the products of means.",
        see=Link("What standardizing does to the Hessian", "sec-scale-standardizing"),
    )


WHY_SCALE_MATTERS = _why_scale_matters()
FOUR_ERRORS = _four_errors()
STANDARDIZED_PAIR = _standardized_pair()
EIGENVALUE_OF_THE_MEAN = _eigenvalue_of_the_mean()
