"""One scan: a window over a generated head, the scanner that takes it, and what two networks say."""

from __future__ import annotations

from typing import Any

import traitlets

from bn_book.explorables._explorable import Explorable
from bn_book.medical import experiments as medical


class OneScan(Explorable):
    """A head in a scanner that can be set, seen through a window, with its histograms and the scores of two networks.

    The scanner shows gain * (t**gamma + 0.05 * noise) + offset of a tissue t. The two networks are those of the
    chapter, trained on two scanners, without a normalizer in them: one gets intensities, one z-scores of the scan.
    Their numbers are rounded to thousandths, and the browser computes what they say.

    Args:
        gain: of the scanner, 0.3 to 3.
        offset: what it shows for air, -1 to 1.
        gamma: below 1 it brightens dark tissues, 0.5 to 2.
        lesion: whether there is one.
        low: the intensity that is drawn empty, -2 to 4.
        high: the one that is drawn full, above `low`.

    Raises:
        traitlets.TraitError: if a value is of another type or out of range.

    Source: generated; see the chapter "When the original distribution matters".
    """

    module = "one_scan"

    title = traitlets.Unicode("One scan, a window and two networks").tag(sync=True, fixed=True)
    message = traitlets.Unicode(
        "Drag the edges of the window in the histogram: what you see changes, and nothing that a network gets. Then "
        "move the gain. The histogram moves, and with it the score of the network without a normalizer: at 3 it "
        "reports a lesion where there is none, at 0.3 it misses the one that is there. The z-scores stay, and the "
        "other network does not notice. Then move gamma, which no z-score takes away."
    ).tag(sync=True, fixed=True)
    recorded = traitlets.Dict(read_only=True).tag(sync=True, fixed=True)
    gain = traitlets.Float(1.0, min=0.3, max=3).tag(sync=True)
    offset = traitlets.Float(0.0, min=-1, max=1).tag(sync=True)
    gamma = traitlets.Float(1.0, min=0.5, max=2).tag(sync=True)
    lesion = traitlets.Bool(True).tag(sync=True)
    low = traitlets.Float(0.0, min=-2, max=4).tag(sync=True)
    high = traitlets.Float(1.2, min=-2, max=4).tag(sync=True)

    @traitlets.default("recorded")
    def _of_the_chapter(self) -> dict[str, Any]:
        return medical.shipped()._asdict()

    @traitlets.validate("low", "high")
    def _a_window(self, proposal: traitlets.Bunch) -> float:
        value: float = proposal["value"]
        low, high = (value, self.high) if proposal["trait"].name == "low" else (self.low, value)
        if not low < high:
            raise traitlets.TraitError(f"low must be below high, got {low} and {high}")
        return value
