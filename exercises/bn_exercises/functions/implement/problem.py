"""Problem 6, Implement it: Batch Normalization as four functions, run on inputs that tell right from nearly right.

A mistake counts once. So images ask only for the right axes: a function may be wrong there as it is wrong on the same
numbers as rows. And given statistics ask only for what is new with them.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from random import Random
from typing import ClassVar

import numpy as np

from bn_exercises.functions.implement.probes import AS, FUNCTION, WHERE, all_probes
from bn_exercises.functions.implement.styles import STYLES, as_images
from bn_exercises.functions.implementations import GALLERY, RIGHT
from bn_exercises.functions.probe import Probe
from bn_exercises.functions.problem import COSTS, FunctionProblem
from bn_exercises.functions.recognition import Records
from bn_exercises.functions.recording import Record, only
from bn_exercises.functions.slips import LAYER, OVER_CHANNELS, Function
from bn_exercises.misconceptions import OVER_ROWS
from bn_exercises.verdict import Finding

POINTS = {"forward": 2, "backward": 3, "frozen": 1, "update_running": 1, "inference": 2, "images": 1}
TITLES = {
    "forward": "(a) forward",
    "backward": "(b) backward",
    "frozen": "(c) backward with given statistics",
    "update_running": "(d) update_running",
    "inference": "(e) inference",
    "images": "(f) images",
}
UNBIASED = (
    "The running variance that you keep is the unbiased one, divided by m − 1, as in PyTorch. "
    "The biased one would be right as well: that is a convention."
)
BIASED = (
    "The running variance that you keep is the biased one, divided by m, as in Keras and Flax. "
    "The unbiased one would be right as well: that is a convention."
)


HINTS = {
    "forward": (
        "Which numbers share a mean? Which number is added under the root?",
        "Each feature has a mean and a variance over the samples: sum the squared deviations, divide by their number. "
        "x̂ = (x − μ) / √(σ² + ε), then y = γ · x̂ + β.",
        "Take x.mean and x.var over axis 0. Subtract, divide by np.sqrt(var + eps), multiply by gamma, add beta. "
        "Write to new arrays only.",
    ),
    "backward": (
        "For dx: x reaches the loss along three paths: straight, through the mean and through the variance. "
        "For dγ and dβ: what does γ multiply, what is β added to, and in how many samples?",
        "With dx̂ = γ · dy and means over the batch: dx = (dx̂ − mean(dx̂) − x̂ · mean(dx̂ · x̂)) / √(σ² + ε). "
        "What γ multiplies and what β is added to is summed: dγ = Σ dy · x̂, dβ = Σ dy.",
        "Compute x̂ as in forward. Then write the three terms of dx one by one, each with keepdims=True, and divide by "
        "the root at the end. Sums for dgamma and dbeta run over axis 0.",
    ),
    "frozen": (
        "For dx: what does a mean that was given change, if x changes? For dγ, dβ: whose mean and variance make x̂?",
        "Constants have no gradient, so two of the three paths are not there. x̂ is computed with what was given.",
        "If mean is not None: x̂ = (x − mean) / √(var + ε) and dx = γ · dy / √(var + ε). dgamma and dbeta stay sums.",
    ),
    "update_running": (
        "What is left of the old value, and what comes in?",
        "momentum is the weight of the batch: new = (1 − momentum) · old + momentum · batch. The mean and the variance "
        "move alike.",
        "Take the batch's mean and variance over all axes but axis 1, shape (C,). Move running_mean, move running_var, "
        "return both.",
    ),
    "inference": (
        "Whose mean and variance does a single row have?",
        "The stored ones take the place of the batch's: y = γ · (x − running_mean) / √(running_var + ε) + β.",
        "Bring the four arrays of shape (C,) into line with x: (1, C) for rows, (1, C, 1, 1) for images. Then it is "
        "forward without computing any mean.",
    ),
    "images": (
        "How many values share a mean now, and along which axes do they lie?",
        "A channel of the images is one column: every sample and every position is a row of it.",
        "Average over all axes but axis 1: axis=(0, 2, 3), with keepdims=True. Bring gamma and beta into line "
        "with x: gamma.reshape(1, C, 1, 1).",
    ),
}


@dataclass(frozen=True)
class Implement(FunctionProblem):
    """The problem: four functions, asked for in six parts."""

    worth: ClassVar = POINTS
    titles: ClassVar = TITLES
    told: ClassVar = HINTS
    function_of: ClassVar = FUNCTION
    where_images: ClassVar = WHERE["images"]
    gallery: ClassVar = GALLERY
    styles: ClassVar = STYLES
    # Inference and a frozen layer take no mean over any axes.
    shows_axes: ClassVar = ("forward", "backward", "update_running")

    def draw(self, rng: Random) -> Iterator[Probe]:
        return all_probes(rng)

    def conventions(self) -> dict[str, list[tuple[str, Function]]]:
        biased_update = STYLES["biased running variance"]["update_running"]
        either = [(UNBIASED, RIGHT["update_running"]), (BIASED, biased_update)]
        return super().conventions() | {"update_running": either}

    def exposure(self, name: str, function: Function) -> tuple[str, int]:
        told, inputs = super().exposure(name, function)
        frozen = self.exposed(name, function)[0][0] == "frozen"
        return ("with given statistics, " if frozen else "") + told, inputs

    def _is_slip_of_before(self, part: str, recorded: Mapping[str, Records], findings: Mapping[str, Finding]) -> bool:
        """Whether what is wrong in a part is what was wrong before, whatever it is: the same numbers come out.

        Inference is forward with the statistics of a batch; and given those, dγ and dβ are what they are in training.
        """
        before = {"inference": "forward", "frozen": "backward"}.get(part)
        if before is None or findings[before].kind not in COSTS:
            return False
        probes = self._of(part)
        if part == "frozen" and not self._right_in(probes, recorded[part], 0):
            return False
        shown = False
        for name in AS:
            all_three = recorded[before][name], recorded[part][f"as {name}"], recorded[part][name]
            records = [each for each in all_three if isinstance(each, Record)]
            if len(records) < len(all_three):
                return False
            probe, earlier = (
                next(p for p in self._of(x) if p.name == n) for x, n in ((part, f"as {name}"), (before, name))
            )
            same = _same_in_inference if part == "inference" else _same_when_frozen
            if not same(probe, earlier, *records):
                return False
            shown = shown or not self._gives_right(probe, records[1])
        return shown

    def _asked_on_images(self, findings: Mapping[str, Finding]) -> list[str]:
        return [part for part in FUNCTION if part != "frozen" or findings[part].points]

    def _counted(self, part: str, findings: Mapping[str, Finding]) -> set[str]:
        counted = super()._counted(part, findings)
        # To average over a sample is one mistake, for rows and for images.
        return counted | {LAYER.name} if OVER_ROWS.name in counted else counted

    def _on_images_called(self, names: tuple[str, ...]) -> tuple[str, ...]:
        # axis=1 is a row of rows; of images it is the channels of one position.
        return tuple(OVER_CHANNELS.name if name == OVER_ROWS.name else name for name in names)

    def _as_images(self, as_rows: Record, image: Probe) -> Record:
        """A row for each sample and position."""
        rows = (int(np.prod(image.shape)) // image.shape[1], image.shape[1])
        return Record(
            tuple(as_images(each, image.shape) if each.shape == rows else each for each in as_rows.outputs), ()
        )


def _same_in_inference(probe: Probe, earlier: Probe, forward: Record, own: Record, elsewhere: Record) -> bool:
    """Whether inference is what forward is, with other statistics: of each channel the same straight line.

    Args:
        probe: some rows of a batch, with its statistics.
        earlier: that batch.
        forward: what forward did with it.
        own: what inference did with some of its rows and its statistics.
        elsewhere: what inference did with the batch and other statistics.
    """
    (y,), x, few = forward.outputs, earlier.x, probe.shape[0]
    if y.shape != x.shape or elsewhere.outputs[0].shape != x.shape:
        return False
    x_c, y_c = x - x.mean(axis=0), y - y.mean(axis=0)
    line = Record((y.mean(axis=0) + x_c * (x_c * y_c).sum(axis=0) / (x_c**2).sum(axis=0),), ())
    on_the_rows = Record((y[:few],), ())
    used = not probe.agree(Record((elsewhere.outputs[0][:few],), ()), on_the_rows)
    return used and earlier.agree(forward, line) and probe.agree(own, on_the_rows)


def _same_when_frozen(probe: Probe, earlier: Probe, backward: Record, own: Record, elsewhere: Record) -> bool:
    """Whether dγ and dβ are the same, with the same statistics: given, or of the batch."""
    return all(probe.agree(only(own, i), only(backward, i)) for i in (1, 2))


IMPLEMENT = Implement("implement", "Implement it", {"probes": "the book's"})
