"""Three paths back: how a gradient comes back through BN, and what breaks when a path is left out."""

from __future__ import annotations

import math

import traitlets

from bn_book.explorables._explorable import Explorable


class ThreePaths(Explorable):
    """The backward pass of one feature of five values, path by path.

    With dy given, s = gamma / sqrt(var + eps) and x_hat = (x - mean(x)) / sqrt(var + eps), these reach x:

        direct:     s * dy
        mean:      -s * mean(dy)
        variance:  -s * x_hat * mean(dy * x_hat)

    Their sum is dx (Ioffe and Szegedy 2015, section 3). A path that is switched off is left out of the sum, as by
    someone who forgot it. "True" is the central difference of the loss sum(dy * y).

    Args:
        x: five values, each between 0 and 2.
        dy: the gradient of the loss with respect to y, five values between -1 and 1.
        gamma: the scale, between -4 and 4.
        eps: what is added to the variance, between 1e-8 and 10.
        direct: whether the direct path is taken.
        mean: whether the path through the mean is taken.
        variance: whether the path through the variance is taken.

    Raises:
        traitlets.TraitError: if a value is of another type or out of range.
    """

    module = "three_paths"

    title = traitlets.Unicode("Three paths back").tag(sync=True, fixed=True)
    message = traitlets.Unicode(
        "Drag the points. BN takes a straight line away from dy: its level goes back through the mean, its slope "
        "through the variance. What is left, times γ/√(σ² + ε), is dx. Press a path to switch it off and see which sum "
        "breaks."
    ).tag(sync=True, fixed=True)
    x = traitlets.List(traitlets.Float(), [1.2, 0.4, 1.8, 0.6, 1.0], minlen=5, maxlen=5).tag(sync=True)
    dy = traitlets.List(traitlets.Float(), [0.5, -0.3, 0.2, 0.0, 0.1], minlen=5, maxlen=5).tag(sync=True)
    gamma = traitlets.Float(3.0, min=-4, max=4).tag(sync=True)
    eps = traitlets.Float(1e-5, min=1e-8, max=10).tag(sync=True)
    direct = traitlets.Bool(True).tag(sync=True)
    mean = traitlets.Bool(True).tag(sync=True)
    variance = traitlets.Bool(True).tag(sync=True)

    @traitlets.validate("x", "dy")
    def _in_reach(self, proposal: traitlets.Bunch) -> list[float]:
        name, values = proposal["trait"].name, proposal["value"]
        low, high = (0, 2) if name == "x" else (-1, 1)
        for value in values:
            if not (math.isfinite(value) and low <= value <= high):
                raise traitlets.TraitError(f"{name} must be values between {low} and {high}, got {value!r}")
        return list(values)
