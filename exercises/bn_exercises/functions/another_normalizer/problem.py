"""Problem 8, Another normalizer: layer, group and RMS normalization, run on inputs that tell right from nearly so."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from random import Random
from typing import ClassVar

from bn_exercises.functions.another_normalizer.gallery import ANOTHER, GALLERY
from bn_exercises.functions.another_normalizer.probes import FUNCTIONS, WHERE, all_probes
from bn_exercises.functions.another_normalizer.styles import STYLES
from bn_exercises.functions.probe import Probe
from bn_exercises.functions.problem import FunctionProblem
from bn_exercises.functions.recording import Record
from bn_exercises.tolerance import Array
from bn_exercises.verdict import Finding

POINTS = {
    "layer_norm": 1,
    "layer_norm_backward": 2,
    "group_norm": 1,
    "group_norm_backward": 1,
    "rms_norm": 1,
    "rms_norm_backward": 2,
    "images": 2,
}
HINTS = {
    "layer_norm": (
        "Which numbers share a mean? How many means are there?",
        "A sample has one mean and one variance, over all its numbers. Each channel has its own γ and β, as in Batch "
        "Normalization. So the shape of the statistics is another than that of γ.",
        "Take x.mean and x.var over all axes but axis 0, with keepdims=True. Bring gamma and beta into line with axis "
        "1.",
    ),
    "layer_norm_backward": (
        "In Batch Normalization all numbers that share a mean share a γ. Which of them share it here? And who uses a "
        "γ?",
        "With dx̂ = γ · dy and means over the numbers that share a mean: dx = (dx̂ − mean(dx̂) − x̂ · mean(dx̂ · x̂)) "
        "/ √(σ² + ε). γ stays inside the means. dγ = Σ dy · x̂ and dβ = Σ dy are over all who use them: the samples.",
        "Multiply dy by gamma before anything is averaged. Average over all axes but axis 0; sum dgamma and dbeta over "
        "all axes but axis 1.",
    ),
    "group_norm": (
        "With one group, which normalizer is it? With as many groups as channels?",
        "C channels make G groups of C / G neighbors: the first C / G, the next, and so on. A group of a sample has "
        "one mean and one variance. γ and β stay one for each channel.",
        "x.reshape(N, groups, -1) has a row for each group, for images too. Normalize over its last axis, reshape "
        "back, then scale and shift.",
    ),
    "group_norm_backward": (
        "What of (b) changes, if a group takes the place of a sample?",
        "The same formula, with means over a group. The sums for dγ and dβ know nothing of groups.",
        "Compute gamma · dy in the shape of x, then reshape it to (N, groups, -1) as x was. Reshape dx and x̂ back "
        "before anything is summed for dgamma.",
    ),
    "rms_norm": (
        "What is left of layer_norm, if nothing is subtracted?",
        "x̂ = x / √(mean(x²) + ε), with the mean over all numbers of a sample. y = γ · x̂.",
        "Square first, then average over all axes but axis 0, with keepdims=True. Add eps, take the root, divide x by "
        "it.",
    ),
    "rms_norm_backward": (
        "On how many paths does x reach the loss, if there is no mean?",
        "On two: straight, and through the root. dx = (dx̂ − x̂ · mean(dx̂ · x̂)) / √(mean(x²) + ε).",
        "Take layer_norm_backward, leave out the term of the mean, and let x̂ be that of rms_norm. dgamma stays the "
        "sum of dy · x̂ over all axes but axis 1.",
    ),
    "images": (
        "How many numbers has a sample now, and how many a group?",
        "All positions of a channel belong to it. So they share its γ and β, and the mean of its sample or group.",
        "Average over all axes but axis 0, for groups after the reshape. Sum dgamma and dbeta over axis 0, 2 and 3. "
        "Bring gamma and beta into line with x: gamma.reshape(1, C, 1, 1).",
    ),
}
TITLES = {part: f"({letter}) {part}" for letter, part in zip("abcdef", POINTS, strict=False)} | {"images": "(g) images"}


@dataclass(frozen=True)
class AnotherNormalizer(FunctionProblem):
    """The problem: six functions, and all of them on images."""

    worth: ClassVar = POINTS
    titles: ClassVar = TITLES
    told: ClassVar = HINTS
    function_of: ClassVar = {name: name for name in FUNCTIONS}
    where_images: ClassVar = WHERE["images"]
    gallery: ClassVar = GALLERY
    styles: ClassVar = STYLES
    shows_axes: ClassVar = FUNCTIONS
    # Its gallery is the largest, and made of the same slips as that of problem 6.
    every: ClassVar = 12

    def draw(self, rng: Random) -> Iterator[Probe]:
        return all_probes(rng)

    def _counted(self, part: str, findings: Mapping[str, Finding]) -> set[str]:
        """But which numbers share a mean is what each function asks: what is wrong there counts in each."""
        of_others = super()._counted(part, {name: each for name, each in findings.items() if name != part})
        of_its_own = super()._counted(part, {part: findings[part]} if part in findings else {})
        return of_others - ANOTHER | of_its_own

    def _as_images(self, as_rows: Record, image: Probe) -> Record:
        """A row has the positions of a channel side by side, and a gradient for each of them."""
        samples, channels = image.shape[:2]

        def brought(each: Array) -> Array:
            if each.shape == (samples, image.x[0].size):
                return each.reshape(image.shape)
            return each.reshape(channels, -1).sum(axis=1) if each.shape == image.x[0].ravel().shape else each

        return Record(tuple(map(brought, as_rows.outputs)), ())


ANOTHER_NORMALIZER = AnotherNormalizer("another-normalizer", "Another normalizer", {"probes": "the book's"})
