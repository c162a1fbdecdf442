"""The block: which values of a mini-batch of feature maps share a mean, under four normalizers."""

from __future__ import annotations

import math

import numpy as np
import traitlets

from bn_book.explorables._explorable import Explorable

#: Samples, channels, and positions: maps of 2 rows and 3 columns, drawn on top of each other.
SHAPE = (3, 4, 6)


def _first_block() -> list[list[list[float]]]:
    """Channels that differ in place and spread, and samples that differ in brightness, so that each choice shows."""
    noise = np.random.default_rng(3).normal(size=SHAPE)
    channels = np.array([-4.0, 3.0, -1.0, 2.0]).reshape(1, -1, 1)
    spread = np.array([0.8, 1.6, 1.2, 0.7]).reshape(1, -1, 1)
    brightness = np.array([-2.5, 0.0, 2.5]).reshape(-1, 1, 1)
    values: list[list[list[float]]] = (channels + brightness + spread * noise).round(1).tolist()
    return values


class Block(Explorable):
    """A block of feature maps, taken apart into the pieces that share a mean and a variance.

    Each piece is normalized by itself: x_hat = (x - mean) / sqrt(var + 1e-5), with gamma 1 and beta 0. The mean is over
    axes (0, 2, 3) of (N, C, H, W) for Batch Normalization (Ioffe and Szegedy 2015), (1, 2, 3) for Layer (Ba et al.
    2016), (2, 3) for Instance (Ulyanov et al. 2016), and over a sample's group of neighbouring channels for Group
    Normalization (Wu and He 2018, whose figure 2 this block follows).

    Args:
        x: 3 samples of 4 channels of 6 positions, as lists of lists of lists; values between -10 and 10.
        normalizer: "batch", "layer", "instance" or "group".
        groups: into how many groups Group Normalization takes the channels: 1, 2 or 4.
        sample: the index of the chosen map's sample, from 0.
        channel: the index of the chosen map's channel, from 0.
        turn: how far the block is turned, in degrees, between -180 and 180.
        tilt: how far from above it is seen, in degrees, between 10 and 45.

    Raises:
        traitlets.TraitError: if a value is of another type, shape or range.
    """

    module = "block"

    title = traitlets.Unicode("The block, taken apart").tag(sync=True, fixed=True)
    message = traitlets.Unicode(
        "The four differ only in the axes that the mean is taken over. All cells of a piece share one mean and one "
        "variance, so how far one piece lies above another is lost. Compare what is left of the stripes."
    ).tag(sync=True, fixed=True)
    x = traitlets.List(default_value=_first_block()).tag(sync=True)
    normalizer = traitlets.Enum(("batch", "layer", "instance", "group"), "batch").tag(sync=True)
    groups = traitlets.Enum((1, 2, 4), 2).tag(sync=True)
    sample = traitlets.Int(1, min=0, max=SHAPE[0] - 1).tag(sync=True)
    channel = traitlets.Int(1, min=0, max=SHAPE[1] - 1).tag(sync=True)
    turn = traitlets.Float(40.0, min=-180, max=180).tag(sync=True)
    tilt = traitlets.Float(28.0, min=10, max=45).tag(sync=True)

    @traitlets.validate("x")
    def _a_block(self, proposal: traitlets.Bunch) -> list[list[list[float]]]:
        try:
            values = np.asarray(proposal["value"], dtype=float)
        except (TypeError, ValueError) as error:
            raise traitlets.TraitError(f"x must be numbers of shape {SHAPE}: {error}") from None
        if values.shape != SHAPE:
            raise traitlets.TraitError(f"x must have the shape {SHAPE}, got {values.shape}")
        for value in values.ravel().tolist():
            if not (math.isfinite(value) and -10 <= value <= 10):
                raise traitlets.TraitError(f"x must be values between -10 and 10, got {value!r}")
        block: list[list[list[float]]] = values.tolist()
        return block
