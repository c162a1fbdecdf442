"""Generated images: a slice through a head with or without a lesion, the scanner that takes it, and a CT-like case.

Nothing here was measured on a person. An image is made in three steps, each with its own randomness:

1. *tissues*, from 0 (air) to about 1: a head, four structures in it with levels of their own, and in some of them a
   bright round lesion (`tissues`);
2. a smooth *bias field* that brightens one side, as a receiving coil does (`tissues`);
3. the *scanner*: `gain * (t**gamma + noise) + offset`, with gain and offset that vary from scan to scan (`Scanner`).

So gain and offset change the units and nothing else, gamma changes the contrast between tissues, and noise hides.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from bn_lib._arrays import Array

F32 = np.float32
SIDE = 16  # pixels
CONTRAST = 0.8  # of a lesion, above the tissue that it lies in
RADIUS = 1.2  # of a lesion: the standard deviation of its profile, in pixels
STRUCTURES = 4
RARE = 1 / 21  # one image with a lesion for twenty without
JITTER = 0.05  # of gain, as a factor, and of offset, from scan to scan


class Images(NamedTuple):
    """Images and what is in them.

    Attributes:
        x: `(N, 1, 16, 16)`, float32, in the units of whoever took them.
        labels: `(N,)`, 1 where there is a lesion.
    """

    x: Array
    labels: Array


class Scanner(NamedTuple):
    """What a scanner makes of a tissue t: gain * (t**gamma + noise) + offset.

    Attributes:
        gain: how many of its units a tissue of 1 is worth.
        offset: what it shows for air, in its units.
        gamma: below 1 it brightens dark tissues, above 1 it darkens them; 0 and 1 stay.
        noise: the standard deviation of the noise, in units of tissue.
    """

    gain: float = 1.0
    offset: float = 0.0
    gamma: float = 1.0
    noise: float = 0.05

    def scan(self, t: Array, rng: np.random.Generator) -> Array:
        """Take images of tissues `(N, 16, 16)`: `(N, 1, 16, 16)`."""
        n = len(t)
        gain = self.gain * np.exp(JITTER * rng.normal(size=(n, 1, 1)))
        offset = self.offset + self.gain * JITTER * rng.normal(size=(n, 1, 1))
        seen = gain * (np.maximum(t, 0) ** self.gamma + self.noise * rng.normal(size=t.shape)) + offset
        return seen[:, np.newaxis].astype(F32)


#: Two scanners to train on, and one that no training saw.
SCANNERS: Mapping[str, Scanner] = {
    "A": Scanner(gain=1.0, offset=0.0, gamma=1.0, noise=0.05),
    "B": Scanner(gain=1.8, offset=0.5, gamma=0.8, noise=0.06),
    "C": Scanner(gain=0.6, offset=-0.3, gamma=1.35, noise=0.05),
}
TRAINED = ("A", "B")
UNSEEN = "C"


def tissues(
    count: int, *, prevalence: float, rng: np.random.Generator, contrast: float = CONTRAST, radius: float = RADIUS
) -> tuple[Array, Array]:
    """Heads before a scanner sees them, `(count, 16, 16)`, and whether there is a lesion, `(count,)`.

    Args:
        count: how many.
        prevalence: how likely each has a lesion.
        rng: source of all that varies.
        contrast: of a lesion, in units of tissue.
        radius: of a lesion, in pixels.
    """
    middle = (SIDE - 1) / 2
    y, x = np.mgrid[:SIDE, :SIDE] - middle
    labels = (rng.random(count) < prevalence).astype(np.int64)
    center = rng.uniform(-0.8, 0.8, (2, count))
    image = 0.45 * _ellipse(x, y, center, rng.uniform(5.5, 7, (2, count)), rng.uniform(0, np.pi, count))
    for _ in range(STRUCTURES):
        place = center + _within(3.2, count, rng)
        level = rng.uniform(-0.15, 0.22, (count, 1, 1))
        image += level * _ellipse(x, y, place, rng.uniform(1.5, 3, (2, count)), rng.uniform(0, np.pi, count))
    (cx, cy) = (c[:, np.newaxis, np.newaxis] for c in center + _within(3.5, count, rng))
    width = radius * rng.uniform(0.85, 1.15, (count, 1, 1))
    lesion = np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / (2 * width**2))
    image += contrast * labels[:, np.newaxis, np.newaxis] * lesion
    across, down, both = rng.uniform(-0.2, 0.2, (3, count, 1, 1))
    u, v = x / middle, y / middle
    return image * (1 + across * u + down * v + both * u * v), labels


def phantoms(
    scanner: Scanner, count: int, *, prevalence: float, rng: np.random.Generator, contrast: float = CONTRAST,
    radius: float = RADIUS,
) -> Images:  # fmt: skip
    """Images that a scanner takes; the arguments are those of `tissues`."""
    t, labels = tissues(count, prevalence=prevalence, rng=rng, contrast=contrast, radius=radius)
    return Images(scanner.scan(t, rng), labels)


def _ellipse(x: Array, y: Array, center: Array, axes: Array, angle: Array) -> Array:
    """1 inside an ellipse and 0 outside, with a soft edge, for each image."""
    cx, cy, a, b, angle = (value[:, np.newaxis, np.newaxis] for value in (*center, *axes, angle))
    along = (x - cx) * np.cos(angle) + (y - cy) * np.sin(angle)
    across = (y - cy) * np.cos(angle) - (x - cx) * np.sin(angle)
    return 1 / (1 + np.exp(np.clip(6 * ((along / a) ** 2 + (across / b) ** 2 - 1), -30, 30)))


def _within(radius: float, count: int, rng: np.random.Generator) -> Array:
    """Places at most so far from the middle, `(2, count)`."""
    angle = rng.uniform(0, 2 * np.pi, count)
    return rng.uniform(0, radius, count) * np.stack([np.cos(angle), np.sin(angle)])


# CT-like: the level is the cue

HEALTHY, ILL, AMONG = 60.0, 40.0, 5.0  # Hounsfield units: the mean of either class, and the deviation among people
CT_SIDE = 24  # pixels


def ct(count: int, *, rng: np.random.Generator, prevalence: float = 0.5) -> Images:
    """Patches of a tissue from a scanner whose units mean something, `(N, 1, 24, 24)`, in Hounsfield units.

    Every pixel of a patch has the patch's level, 60 on average, or 40 in those that are ill, and a texture that is of
    the same kind in both. How strong the texture is tells nothing.
    """
    labels = (rng.random(count) < prevalence).astype(np.int64)
    level = np.where(labels, ILL, HEALTHY) + AMONG * rng.normal(size=count)
    grain = rng.normal(size=(count, CT_SIDE + 1, CT_SIDE + 1))
    smooth = (grain[:, 1:, 1:] + grain[:, :-1, 1:] + grain[:, 1:, :-1] + grain[:, :-1, :-1]) / 2
    x = level[:, np.newaxis, np.newaxis] + rng.uniform(6, 14, (count, 1, 1)) * smooth
    return Images(x[:, np.newaxis].astype(F32), labels)
