"""Two features, one step size: gradient descent for a linear model, and what scaling a feature does to it."""

from __future__ import annotations

import math

import traitlets

from bn_book.explorables._explorable import Explorable


class TwoFeatures(Explorable):
    """Gradient descent for a linear model with two features, in the plane of the two weights.

    The loss is half the mean squared error, with the Hessian H = x.T @ x / N. With e = weights - best weights a step is
    e <- e - rate H e, which diverges beyond rate = 2 / lambda_max (LeCun et al. 1998). The data are the problem by hand
    of the chapter "Why scale matters" (`bn_book.scale.experiments.hand_problem`): four rows, deviations 2 and 7.

    Args:
        deviation: the standard deviation of feature 2 as given, between 1 and 10; that of feature 1 is 2.
        preparation: what is done to the features: "none", "standardize" (deviation 1 each) or "whiten" (decorrelate,
            too).
        rate: the learning rate, between 0.001 and 3.
        start: where descent starts, as the distance e from the best weights: between -8 and 8, and -6 and 6.
        steps: how many steps are shown, 0 to 60.

    Raises:
        traitlets.TraitError: if a value is of another type or out of range.
    """

    module = "two_features"

    title = traitlets.Unicode("Two features, one step size").tag(sync=True, fixed=True)
    message = traitlets.Unicode(
        "The steepest direction sets the largest learning rate that converges, and the flattest has to live with it. "
        "Stretch feature 2, move the learning rate past the mark, drag the start. Then prepare the features: the bowl "
        "becomes rounder, the mark moves away, and the scale of a feature no longer matters."
    ).tag(sync=True, fixed=True)
    x = traitlets.List(
        traitlets.List(traitlets.Float()), [[-2.0, -1.0], [-2.0, -11.0], [2.0, 7.0], [2.0, 5.0]], read_only=True
    ).tag(sync=True, fixed=True)
    deviation = traitlets.Float(7.0, min=1, max=10).tag(sync=True)
    preparation = traitlets.Enum(["none", "standardize", "whiten"], "none").tag(sync=True)
    rate = traitlets.Float(0.03, min=0.001, max=3).tag(sync=True)
    start = traitlets.List(traitlets.Float(), [-5.0, -3.0], minlen=2, maxlen=2).tag(sync=True)
    steps = traitlets.Int(20, min=0, max=60).tag(sync=True)

    @traitlets.validate("start")
    def _in_the_plane(self, proposal: traitlets.Bunch) -> list[float]:
        values: list[float] = proposal["value"]
        for value, reach in zip(values, (8, 6), strict=True):
            if not (math.isfinite(value) and abs(value) <= reach):
                raise traitlets.TraitError(f"start must be within 8 and 6 of the best weights, got {values!r}")
        return values
