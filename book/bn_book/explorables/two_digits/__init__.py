"""Two digits: a generator draws with a gamma and a beta that lie between those of two classes."""

from __future__ import annotations

from typing import Any

import traitlets

from bn_book.explorables._explorable import Explorable
from bn_book.modulation import experiments as modulation


class TwoDigits(Explorable):
    """A digit that a generator draws, and how far its gammas and its betas are on the way from one class to another.

    The generator is that of the chapter, 8-64-64-64, with conditional BN and running statistics, its numbers rounded to
    hundredths; the browser computes what it draws. A linear reader, trained on real digits only, says what it sees.

    Args:
        start: the class at which both begin, 0 to 9.
        end: the class at which both end.
        gamma: how far the gammas of both layers are on the way, 0 to 1.
        beta: how far the betas are.
        hand: which of five rows of noise it draws with, counting from 1.

    Raises:
        traitlets.TraitError: if a value is of another type or out of range.

    Source: Miyato and Koyama (2018), section 4, who move from class to class between two rows of conditional BN.
    """

    module = "two_digits"

    title = traitlets.Unicode("Between two digits").tag(sync=True, fixed=True)
    message = traitlets.Unicode(
        "Drag the point from the lower left corner to the upper right: γ and β move together, and one digit becomes "
        "the other. Then go along one side only. Along γ, to the lower right, the first digit mostly stays what it is. "
        "Along β, to the upper left, it mostly becomes the second. Try several pairs, and look for one where neither "
        "is true."
    ).tag(sync=True, fixed=True)
    generator = traitlets.Dict(read_only=True).tag(sync=True, fixed=True)
    start = traitlets.Int(3, min=0, max=9).tag(sync=True)
    end = traitlets.Int(8, min=0, max=9).tag(sync=True)
    gamma = traitlets.Float(0.0, min=0, max=1).tag(sync=True)
    beta = traitlets.Float(0.0, min=0, max=1).tag(sync=True)
    hand = traitlets.Int(1, min=1, max=5).tag(sync=True)

    @traitlets.default("generator")
    def _of_the_chapter(self) -> dict[str, Any]:
        return modulation.shipped()._asdict()
