"""Turning: a weight vector in front of BN, which its gradient can turn and lengthen, and weight decay can shorten."""

from __future__ import annotations

import traitlets

from bn_book.explorables._explorable import Explorable
from bn_book.length.experiments import turns


def _rows() -> list[list[float]]:
    rows: list[list[float]] = turns().x.tolist()
    return rows


def _targets() -> list[float]:
    targets: list[float] = turns().targets.tolist()
    return targets


def _batches() -> list[list[int]]:
    batches: list[list[int]] = turns().batches.tolist()
    return batches


class Turning(Explorable):
    """Stochastic gradient descent for one unit with two weights and BN behind it, in the plane of the two weights.

    The loss is half the mean squared error of BN(x @ w), with gamma 1, beta 0 and eps 0, on mini-batches of 8 of 24
    examples (`bn_book.length.experiments.turns`). A step is w <- (1 - rate decay) w - rate gradient, and the gradient
    is at right angles to w.

    Args:
        rate: the learning rate, between 0.01 and 3.
        decay: weight decay, between 0 and 0.2.
        length: of the weights at the start, between 0.1 and 10.
        steps: how many steps are shown, 0 to 200.

    Raises:
        traitlets.TraitError: if a value is of another type or out of range.

    Source: Wan et al. (2021) for the angle of a step in balance.
    """

    module = "turning"

    title = traitlets.Unicode("A vector that can only turn").tag(sync=True, fixed=True)
    message = traitlets.Unicode(
        "First without decay: press Play at the smallest and at the largest rate. The vector grows until its steps are "
        "small turns, by itself. Then add decay. Whatever the length at the start, the angle of a step comes to the "
        "dashed line, and the length to the circle. Now find two pairs of rate and decay with the same product: the "
        "circles differ, and the angle is the same."
    ).tag(sync=True, fixed=True)
    x = traitlets.List(traitlets.List(traitlets.Float()), read_only=True).tag(sync=True, fixed=True)
    targets = traitlets.List(traitlets.Float(), read_only=True).tag(sync=True, fixed=True)
    batches = traitlets.List(traitlets.List(traitlets.Int()), read_only=True).tag(sync=True, fixed=True)
    rate = traitlets.Float(1.0, min=0.01, max=3).tag(sync=True)
    decay = traitlets.Float(0.0, min=0, max=0.2).tag(sync=True)
    length = traitlets.Float(1.0, min=0.1, max=10).tag(sync=True)
    steps = traitlets.Int(0, min=0, max=200).tag(sync=True)

    @traitlets.default("x")
    def _of_examples(self) -> list[list[float]]:
        return _rows()

    @traitlets.default("targets")
    def _of_targets(self) -> list[float]:
        return _targets()

    @traitlets.default("batches")
    def _of_batches(self) -> list[list[int]]:
        return _batches()
