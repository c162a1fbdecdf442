"""Disturbed: six networks, normalized and disturbed or not: how stable their inputs are, and how fast they learn."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import traitlets

from bn_book.covariate_shift.experiments import path_length
from bn_book.explorables._explorable import Explorable
from bn_book.smoothness import experiments as smoothness

VERDICTS = ("", "stability", "something else", "cannot tell")


class Disturbed(Explorable):
    """Six recorded runs: what is normalized, and whether it is disturbed; the reader's verdict, then the book's.

    On the left what enters a typical sigmoid of the last hidden layer, the one whose input moved as far as the median
    unit's; on the right the share of the test digits that is right. The table of all runs and the book's verdict are
    shown once there is a verdict of the reader's.

    Args:
        runs: the six, as `bn_book.smoothness.experiments.record` makes them, which is the default.
        moment: which look at the inputs to show, counting from 0; by default the first, before training.
        normalized: "plain", "standardized once" or "BN".
        disturbed: whether noise is put before every sigmoid.
        verdict: the reader's; none at first.

    Raises:
        traitlets.TraitError: if a value is of another type, or not among those.

    Source: Santurkar et al. (2018), section 2.1 and figure 2, for what is done.
    """

    module = "disturbed"

    title = traitlets.Unicode("Stability and speed, side by side").tag(sync=True, fixed=True)
    message = traitlets.Unicode(
        "Look for two runs of which the less stable one learns faster, and for two of which the more stable one does. "
        "If you find both, what does that say about stability as a cause?"
    ).tag(sync=True, fixed=True)
    recording = traitlets.Dict().tag(sync=True, fixed=True)
    moment = traitlets.Int(0).tag(sync=True)
    normalized = traitlets.Enum(smoothness.RECORDED, "plain").tag(sync=True)
    disturbed = traitlets.Bool(False).tag(sync=True)
    verdict = traitlets.Enum(VERDICTS, "").tag(sync=True)

    def __init__(
        self, runs: Mapping[tuple[smoothness.Kind, float], smoothness.Watched] | None = None, **state: Any
    ) -> None:
        super().__init__(recording=_compact(smoothness.record() if runs is None else runs), **state)

    @traitlets.validate("moment")
    def _a_moment(self, proposal: traitlets.Bunch) -> int:
        moment: int = proposal["value"]
        count = len(self.recording["steps"])
        if not 0 <= moment < count:
            raise traitlets.TraitError(f"moment must be from 0 to {count - 1}, got {moment}")
        return moment


def _compact(runs: Mapping[tuple[smoothness.Kind, float], smoothness.Watched]) -> dict[str, Any]:
    """The runs as whole numbers: inputs in hundredths, shares in thousandths."""
    looked = min(len(run.percentiles) for run in runs.values())
    return {
        "steps": [smoothness.EVERY * k for k in range(looked)],
        "images": smoothness.IMAGES,
        "runs": [
            {
                "normalized": kind,
                "disturbed": bool(noise),
                "inputs": np.round(100 * run.percentiles[:, :, _typical(run)].T).astype(int).tolist(),
                "looks": run.looks.tolist(),
                "right": np.round(1000 * run.right).astype(int).tolist(),
                "path": round(run.movement, 2),
                "widths": round(run.movement_in_widths, 2),
            }
            for (kind, noise), run in runs.items()
        ],
    }


def _typical(run: smoothness.Watched) -> int:
    """The unit whose inputs moved as far as the median unit's."""
    length = path_length(run.percentiles)
    return int(np.argsort(length)[len(length) // 2])
