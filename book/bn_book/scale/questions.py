"""What the chapter asks, with an answer to every answer. Every value is computed."""

import numpy as np

from bn_exercises.check_yourself.numeric import NumberQuestion, WrongNumbers, from_values
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


WHY_SCALE_MATTERS = _why_scale_matters()
