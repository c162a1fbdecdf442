"""The claims of the chapter on speed. Nothing that was timed is among them."""

from bn_book.claims import Claim
from bn_book.speed.experiments import (
    MEANS,
    averaged_pieces_error,
    by_one_pass,
    by_two_passes,
    damage,
    errors,
    kept_less,
    merge_error,
)

_BATCHES = "Normal batches of 1024 values in float32, 64 channels, standard deviation 0.01"


def _worst(method: str, seed: int) -> float:
    return max(each.error for each in errors(MEANS, seeds=(seed,))[method])


CLAIMS = (
    Claim(
        name="one-pass-variance-ruins-the-output",
        kind="made by",
        says="With mean(x²) − mean(x)² in float32, a mean of 1e6 standard deviations leaves no digit of the output.",
        source="chan1983algorithms",
        run=f"{_BATCHES}, mean 1e4; against extended precision.",
        measure=lambda seed: damage(by_one_pass, 1e4, seed=seed).ruined,
        band=(0.9, 1.0),
        unit="share of channels with an error above half a standard deviation, or not a number",
        wrong="two passes",
        gives=lambda: damage(by_two_passes, 1e4).ruined,
    ),
    Claim(
        name="shifting-keeps-the-digits",
        kind="made by",
        says="One pass keeps its digits if a value near the mean is subtracted first: an error of some m · 2⁻²⁴, "
        "whatever the mean.",
        source="chan1983algorithms",
        run=f"{_BATCHES}, the worst of 13 means from 0.01 to 1e4; mean(d²) − mean(d)² of d = x − k, where k is each "
        "channel's first value.",
        measure=lambda seed: _worst("one pass, shifted", seed),
        band=(0.0, 2e-4),
        unit="largest error of x̂",
        wrong="two passes, not corrected",
        gives=lambda: _worst("two passes", 0),
    ),
    Claim(
        name="bn-lib-keeps-the-digits",
        kind="put to the test",
        says="Shifted sums keep their digits. Ours, with long sums in float64 and the rounding of the mean carried "
        "along, lose no digit of a float32 output.",
        source="chan1983algorithms",
        run="The same batches, by bn_lib's batch_norm.",
        measure=lambda seed: _worst("bn_lib", seed),
        band=(0.0, 1e-6),
        unit="largest error of x̂",
        wrong="shifted sums in float32",
        gives=lambda: _worst("one pass, shifted", 0),
    ),
    Claim(
        name="merged-pieces-are-the-whole",
        kind="an identity",
        says="Means and sums of squares of pieces, merged two by two, are those of the whole to rounding.",
        source="chan1979updating",
        run="4096 rows of 16 features in float64, mean 1e4 and standard deviation 1, in 64 pieces.",
        measure=lambda seed: merge_error(seed=seed),
        band=(0.0, 1e-9),
        unit="largest relative difference of a variance",
        wrong="the variances of the pieces averaged",
        gives=averaged_pieces_error,
    ),
    Claim(
        name="x-hat-need-not-be-kept",
        kind="made by",
        says="What the backward pass needs can be computed again instead of kept, which saves memory of x's size.",
        source="chen2016training",
        run="batch_norm on 16 x 16 x 4096 float32 values: memory held after the forward pass, reference minus NumPy "
        "backend. Nothing is random.",
        measure=lambda _: kept_less(),
        band=(0.9, 1.1),
        unit="arrays of the size of x",
        wrong="nothing saved",
        gives=lambda: 0.0,
        seeds=1,
    ),
)
