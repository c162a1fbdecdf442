"""Choose axes: any axes of a mean, the values that share it, its name if it has one, and what it forgets."""

from __future__ import annotations

import numpy as np
import traitlets

from bn_book.explorables._explorable import Explorable

#: Samples, channels, rows and columns.
SHAPE = (3, 4, 2, 3)


def _values() -> list[list[list[list[float]]]]:
    """Samples that differ in brightness, channels in level and spread; columns become brighter to the right."""
    noise = np.random.default_rng(11).normal(size=SHAPE)
    samples = np.array([-2.5, 0.0, 2.5]).reshape(-1, 1, 1, 1)
    levels = np.array([-3.0, 2.5, -1.0, 1.5]).reshape(1, -1, 1, 1)
    spread = np.array([0.8, 1.6, 1.2, 0.7]).reshape(1, -1, 1, 1)
    values: list[list[list[list[float]]]] = (
        (samples + levels + np.array([-1.0, 0.0, 1.0]) + spread * noise).round(1).tolist()
    )
    return values


class ChooseAxes(Explorable):
    """A block of feature maps, laid out flat: samples below one another, channels side by side, each map of 2 x 3.

    Values whose indices agree along all axes that the mean is *not* taken over share it:
    x_hat = (x - mean) / sqrt(var + 1e-12), or without the mean x / sqrt(mean(x**2) + 1e-12). What leaves no trace is
    tried out: a part of the block is shifted by 5, or multiplied by 3, and the output compared.

    Args:
        axes: of the mean, letters of "NCHW" in that order; "" for none.
        groups: into how many groups of neighbours the channels are taken where C is among the axes: 1, 2 or 4.
        center: whether the mean is subtracted.
        sample, channel, row, column: the chosen value, from 0.

    Raises:
        traitlets.TraitError: if a value is of another type or range.
    """

    module = "choose_axes"

    title = traitlets.Unicode("Any axes").tag(sync=True, fixed=True)
    message = traitlets.Unicode(
        "Touch a value: the framed ones share its mean. Find the normalizers whose names you know. Then find one that "
        "forgets the brightness of a sample and keeps the differences between channels, and one that needs nothing "
        "but a single position."
    ).tag(sync=True, fixed=True)
    x = traitlets.List(default_value=_values(), read_only=True).tag(sync=True, fixed=True)
    axes = traitlets.Unicode("NHW").tag(sync=True)
    groups = traitlets.Enum((1, 2, 4), 1).tag(sync=True)
    center = traitlets.Bool(True).tag(sync=True)
    sample = traitlets.Int(1, min=0, max=SHAPE[0] - 1).tag(sync=True)
    channel = traitlets.Int(1, min=0, max=SHAPE[1] - 1).tag(sync=True)
    row = traitlets.Int(0, min=0, max=SHAPE[2] - 1).tag(sync=True)
    column = traitlets.Int(1, min=0, max=SHAPE[3] - 1).tag(sync=True)

    @traitlets.validate("axes")
    def _of_the_block(self, proposal: traitlets.Bunch) -> str:
        axes = str(proposal["value"])
        if axes != "".join(axis for axis in "NCHW" if axis in axes):
            raise traitlets.TraitError(f"axes is {axes!r}; expected letters of 'NCHW' in that order, each at most once")
        return axes
