"""The mini-batch: what BN makes of a handful of values, while you move them."""

from __future__ import annotations

import math

import traitlets

from bn_book.explorables._explorable import Explorable


class MiniBatch(Explorable):
    """One feature of a small mini-batch, normalized while its values are dragged.

    With m values of x: mu = mean(x), var = mean((x - mu)**2), x_hat = (x - mu) / sqrt(var + eps) and
    y = gamma x_hat + beta (Ioffe and Szegedy 2015, Algorithm 1).

    Args:
        x: two to eight values, each between -10 and 10.
        gamma: the scale, between -3 and 3.
        beta: the shift, between -3 and 3.
        eps: what is added to the variance, between 1e-5 and 10.

    Raises:
        traitlets.TraitError: if a value is of another type or out of range.
    """

    module = "mini_batch"

    title = traitlets.Unicode("A mini-batch in your hands").tag(sync=True, fixed=True)
    message = traitlets.Unicode(
        "Drag μ, and all values go with it. Drag an end of its bar, and all values spread. What comes out stays where "
        "it is: only the pattern of the values is left. Now drag one value by itself. Every output moves, because each "
        "depends on the whole batch. γ and β give the pattern any scale and place."
    ).tag(sync=True, fixed=True)
    x = traitlets.List(traitlets.Float(), [-3.0, 1.0, 3.0, 5.0, 9.0], minlen=2, maxlen=8).tag(sync=True)
    gamma = traitlets.Float(1.0, min=-3, max=3).tag(sync=True)
    beta = traitlets.Float(0.0, min=-3, max=3).tag(sync=True)
    eps = traitlets.Float(1e-5, min=1e-5, max=10).tag(sync=True)

    @traitlets.validate("x")
    def _in_reach(self, proposal: traitlets.Bunch) -> list[float]:
        values: list[float] = proposal["value"]
        for value in values:
            if not (math.isfinite(value) and -10 <= value <= 10):
                raise traitlets.TraitError(f"x must be values between -10 and 10, got {value!r}")
        return values
