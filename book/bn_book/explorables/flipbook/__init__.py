"""A figure that was drawn beforehand, frame by frame: the reader slides from one to the next."""

from __future__ import annotations

from typing import Any

import traitlets

from bn_book.explorables._explorable import Explorable


class Flipbook(Explorable):
    """Frames and a slider. `bn_book.drawing.flipbook` draws them; `index` is the frame that is shown.

    Args:
        frames: HTML, one text for each frame.
        labels: what stands beside the slider, one for each frame.
        label: what the slider sets.
        caption: words below, or empty.
        index: the frame shown first.

    Raises:
        traitlets.TraitError: if `index` is not the index of a frame.
    """

    module = "flipbook"

    frames = traitlets.List(traitlets.Unicode(), minlen=1).tag(sync=True, fixed=True)
    labels = traitlets.List(traitlets.Unicode(), minlen=1).tag(sync=True, fixed=True)
    label = traitlets.Unicode().tag(sync=True, fixed=True)
    caption = traitlets.Unicode().tag(sync=True, fixed=True)
    index = traitlets.Int(0, min=0).tag(sync=True)

    @traitlets.validate("index")
    def _a_frame(self, proposal: traitlets.Bunch) -> Any:
        if proposal["value"] >= len(self.frames):
            raise traitlets.TraitError(f"index must be one of the {len(self.frames)} frames, got {proposal['value']}")
        return proposal["value"]
