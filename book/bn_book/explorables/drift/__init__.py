"""Drift: what enters the sigmoids of each layer while a network trains, without and with BN."""

from __future__ import annotations

from typing import Any

import numpy as np
import traitlets

from bn_book.covariate_shift import experiments as covariate_shift
from bn_book.explorables._explorable import Explorable


class Drift(Explorable):
    """The inputs of a network's sigmoids over training, without and with BN, and the loss: leafed through along time.

    Each layer shows one sigmoid, the one whose input moved as far as the median unit's. Percentiles are over the images
    that were measured, in units of the sigmoid's input; the loss is the cross-entropy over the same images, in nats. A
    run that diverged ends where its loss was last a finite number.

    Args:
        recording: what to show; by default `bn_book.covariate_shift.experiments.record()`, which trains six networks in
            a few seconds.
        moment: which of `recording.steps` to show, counting from 0; by default the first, before training.
        rate: which of `recording.learning_rates` to show; by default the one in the middle.
        layers: which hidden layers to show, counting from 1, in ascending order.

    Raises:
        TypeError: if `recording` is not a `Recording`.
        traitlets.TraitError: if a value is of another type, or not in the recording.

    Source: Ioffe and Szegedy (2015), section 4.1 and figure 1, for what is measured.
    """

    module = "drift"

    title = traitlets.Unicode("Six networks while they learn").tag(sync=True, fixed=True)
    message = traitlets.Unicode(
        "Press Play, or drag through time, and watch the medians. At a learning rate of 0.5 they stray less with BN "
        "than without it, in all three layers, and the loss falls sooner. At 0.1 they stray further with BN in layers "
        "1 and 2 and about as far in layer 3, and only the network with BN learns. At 5 the median of layer 3 strays "
        "further with BN than at 0.5 without it, and the network learns all the same. BN helps at all three rates. "
        "Whether it helps because inputs move less is disputed."
    ).tag(sync=True, fixed=True)
    recording = traitlets.Dict().tag(sync=True, fixed=True)
    moment = traitlets.Int().tag(sync=True)
    rate = traitlets.Float().tag(sync=True)
    layers = traitlets.List(traitlets.Int(), [1, 2, 3]).tag(sync=True)

    def __init__(self, recording: covariate_shift.Recording | None = None, **state: Any) -> None:
        if recording is None:
            recording = covariate_shift.record()
        if not isinstance(recording, covariate_shift.Recording):
            raise TypeError(
                f"recording is a {type(recording).__name__}; expected a Recording, see covariate_shift.record"
            )
        rates = recording.learning_rates
        first = {"moment": 0, "rate": rates[len(rates) // 2]}
        super().__init__(recording=_compact(recording), **(first | state))

    @traitlets.validate("moment")
    def _a_moment(self, proposal: traitlets.Bunch) -> int:
        moment: int = proposal["value"]
        count = len(self.recording["steps"])
        if not 0 <= moment < count:
            raise traitlets.TraitError(f"moment must be from 0 to {count - 1}, got {moment}")
        return moment

    @traitlets.validate("rate")
    def _a_rate(self, proposal: traitlets.Bunch) -> float:
        rate: float = proposal["value"]
        if rate not in self.recording["rates"]:
            raise traitlets.TraitError(f"rate must be one of {self.recording['rates']}, got {rate}")
        return rate

    @traitlets.validate("layers")
    def _some_layers(self, proposal: traitlets.Bunch) -> list[int]:
        layers: list[int] = proposal["value"]
        if not layers or layers != sorted(set(layers) & {1, 2, 3}):
            raise traitlets.TraitError(f"layers must be some of 1, 2 and 3, in this order, got {layers}")
        return layers


def _compact(recording: covariate_shift.Recording) -> dict[str, Any]:
    """The recording as whole numbers: inputs in hundredths, the loss in thousandths; None where a run had diverged."""
    runs = [
        [
            {
                "inputs": _whole(np.swapaxes(percentiles, 1, 2), 100),
                "others": _whole(np.swapaxes(medians, 1, 2), 100),
                "loss": _whole(loss, 1000),
            }
            for percentiles, medians, loss in zip(*of_rate, strict=True)
        ]
        for of_rate in zip(recording.percentiles, recording.medians, recording.loss, strict=True)
    ]
    return {
        "rates": list(recording.learning_rates),
        "steps": recording.steps.tolist(),
        "images": recording.images,
        "runs": runs,
    }


def _whole(values: np.ndarray[Any, Any], parts: int) -> Any:
    if values.ndim:
        return [_whole(row, parts) for row in values]
    return round(float(values) * parts) if np.isfinite(values) else None
