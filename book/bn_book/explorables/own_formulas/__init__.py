"""Own formulas: gamma and beta as functions of the batch's mean, drawn as they are typed."""

from __future__ import annotations

import math

import traitlets

from bn_book.explorables._explorable import Explorable

PARAMETERS = ("a", "b", "c", "d")


class OwnFormulas(Explorable):
    """Two formulas in the mean of a batch, with their slopes, and what they make of one batch.

    The output is y = gamma(mu) (x - mu) / sqrt(var + eps) + beta(mu). Formulas are read as the exercise reads them;
    what makes a good one is for `bn_exercises` to say. Where a formula has no value, its line has a gap.

    Args:
        gamma: a formula in mu, var, sigma, eps and the parameters a, b, c, d.
        beta: another one.
        mean: the batch's, between -10 and 10.
        var: the batch's, between 1e-8 and 10.
        a: the value of this parameter, between -2 and 2; and so b, c and d.

    Raises:
        traitlets.TraitError: if a value is of another type or range, or a formula longer than 400 characters.
    """

    module = "own_formulas"

    title = traitlets.Unicode("Your γ(μ) and β(μ)").tag(sync=True, fixed=True)
    message = traitlets.Unicode(
        "Type a formula and look for what the exercise forbids: a gap, a corner (the dashed slope jumps there), a "
        "jump, a line that runs off as the variance goes to 0. Whether any is left, the notebook checks."
    ).tag(sync=True, fixed=True)
    eps = traitlets.Float(0.01, min=0).tag(sync=True, fixed=True)
    gamma = traitlets.Unicode("2 - c * cos(mu)").tag(sync=True)
    beta = traitlets.Unicode("d * arctan(mu)").tag(sync=True)
    mean = traitlets.Float(2.0, min=-10, max=10).tag(sync=True)
    var = traitlets.Float(1.0, min=1e-8, max=10).tag(sync=True)
    a = traitlets.Float(0.5, min=-2, max=2).tag(sync=True)
    b = traitlets.Float(0.5, min=-2, max=2).tag(sync=True)
    c = traitlets.Float(0.3, min=-2, max=2).tag(sync=True)
    d = traitlets.Float(1.0, min=-2, max=2).tag(sync=True)

    @traitlets.validate("gamma", "beta")
    def _short(self, proposal: traitlets.Bunch) -> str:
        text: str = proposal["value"]
        if len(text) > 400:
            raise traitlets.TraitError(f"{proposal['trait'].name} must be at most 400 characters, got {len(text)}")
        return text

    @traitlets.validate("mean", "var", *PARAMETERS)
    def _a_number(self, proposal: traitlets.Bunch) -> float:
        value: float = proposal["value"]
        if math.isnan(value):
            raise traitlets.TraitError(f"{proposal['trait'].name} must be a number, got nan")
        return value
