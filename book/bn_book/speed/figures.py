"""Figures of the chapter on speed."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from bn_book.colours import COLOURS
from bn_book.drawing import styled
from bn_book.speed.experiments import Damage, Limits, Step, Timing

# What moves

#: The arrays of a step's account, by their letters, and how their columns are headed.
COLUMNS = {"x": "x", "d": "x − μ", "q": "(x − μ)²", "h": "x̂", "g": "γ x̂", "y": "y"}
ROWS = 7
_READ, _WRITE = (COLOURS["green"], "o", -0.16), (COLOURS["accent"], "s", 0.16)


@styled
def traffic(step: Step, timing: Timing) -> Figure:
    """What each pass of a step reads and writes: a row for each pass, a column for each array.

    Args:
        step: with at most `ROWS` passes.
        timing: of the step, as a multiple of a copy.
    """
    fig, ax = plt.subplots(figsize=(5.2, 4.2))
    places = {letter: i for i, letter in enumerate(COLUMNS)}
    for letter, i in places.items():
        ax.text(i, 0.75, COLUMNS[letter], ha="center", va="center", color=COLOURS["ink"])
        ax.plot([i, i], [0.35, 0.35 - ROWS], color=COLOURS["grid"], linewidth=1.2)
    for row, each in enumerate(step.passes):
        ax.text(-0.55, -row, each.name, ha="right", va="center", color=COLOURS["ink"])
        marks = [
            (places[letter] + shift, colour, marker, near)
            for (colour, marker, shift), letters, near in (
                (_READ, each.reads, False),
                (_READ, each.near_reads, True),
                (_WRITE, each.writes, False),
                (_WRITE, each.near_writes, True),
            )
            for letter in letters
        ]
        ends = [place for place, *_ in marks]
        ax.plot([min(ends), max(ends)], [-row, -row], color=COLOURS["muted"], linewidth=1)
        for place, colour, marker, near in marks:
            inside = COLOURS["paper"] if near else colour
            ax.plot([place], [-row], marker, color=colour, markerfacecolor=inside, markersize=9, markeredgewidth=1.6)
    for place, (colour, marker, _), words in ((-2.6, _READ, "read"), (-0.9, _WRITE, "written")):
        ax.plot([place], [-ROWS - 0.1], marker, color=colour, markersize=9, linestyle="none")
        ax.text(place + 0.3, -ROWS - 0.1, words, va="center", color=colour)
    ax.text(1.5, -ROWS - 0.1, "hollow: in the cache", va="center", color=COLOURS["muted"])
    ax.set(xlim=(-2.95, len(COLUMNS) - 0.5), ylim=(-ROWS - 0.5, 1.1))
    ax.axis("off")
    ax.set_title(
        f"{step.name}: {step.transfers} transfers, {step.bytes()} bytes an element\n{_in_copies(timing)}", x=0.02
    )
    return fig


def traffic_in_words(step: Step, timing: Timing) -> str:
    """Alternative text for `traffic`."""
    in_cache = sum(not each.reads and not each.writes for each in step.passes)
    cached = f" {in_cache} of them find everything in the cache." if in_cache else ""
    reads, writes = (sum(map(len, arrays)) for arrays in zip(*((p.reads, p.writes) for p in step.passes), strict=True))
    return (
        f"{step.name}: {len(step.passes)} passes: {', '.join(each.name for each in step.passes)}.{cached} "
        f"Memory is read {_times(reads)} and written {_times(writes)}, {step.bytes()} bytes for each element. "
        f"Measured: {_in_copies(timing)}."
    )


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _in_copies(timing: Timing) -> str:
    return f"as long as {timing.copies:.1f} copies"


@styled
def ladder(steps: Sequence[Step], timings: Mapping[str, Timing]) -> Figure:
    """The time of each step and its range over the rounds, beside the time that its bytes alone would take."""
    fig, ax = plt.subplots(figsize=(5.2, 4.0))
    rows = np.arange(len(steps))
    found = [timings[step.name] for step in steps]
    times = [timing.copies for timing in found]
    ax.barh(rows, times, height=0.55, color=COLOURS["with_bn"], alpha=0.75)
    ax.hlines(rows, [t.low for t in found], [t.high for t in found], color=COLOURS["ink"], linewidth=1.2)
    counted = [step.transfers / 2 for step in steps]
    ax.plot(counted, rows, "D", color=COLOURS["accent"], markersize=8, linestyle="none")
    ax.text(
        counted[0] + 0.05 * max(t.high for t in found),
        -0.62,
        "◆ bytes, in copies",
        ha="center",
        va="center",
        color=COLOURS["accent"],
    )
    ax.axvline(1, color=COLOURS["muted"], linestyle=":", linewidth=1.2)
    ax.set_yticks(rows, [step.name for step in steps])
    ax.set(xlim=(0, None), ylim=(len(steps) - 0.4, -0.95), xlabel="time, in copies of x")
    ax.grid(visible=False, axis="y")
    return fig


@styled
def roofline(limits: Limits, points: Mapping[str, tuple[float, float]]) -> Figure:
    """Operations a second against operations for each byte, under the roof that memory and arithmetic make.

    Args:
        limits: of the machine.
        points: by name, arithmetic intensity in operations a byte, and operations a second.
    """
    fig, ax = plt.subplots(figsize=(5.2, 3.8))
    left, right = 0.06, 600.0
    corners = [left, limits.ridge, right]
    ax.plot(corners, [limits.roof(i) / 1e9 for i in corners], color=COLOURS["ink"])
    for name, (intensity, speed) in points.items():
        colour, marker = (COLOURS["with_bn"], "o") if intensity < 10 else (COLOURS["green"], "s")
        ax.plot([intensity], [speed / 1e9], marker, color=colour, markersize=8)
        ax.annotate(name, (intensity, speed / 1e9), (0, -18), textcoords="offset points", ha="center", color=colour)
    ax.plot([limits.ridge] * 2, [1e-9, limits.peak / 1e9], color=COLOURS["muted"], linestyle=":", linewidth=1.2)
    lowest = min(speed for _, speed in points.values()) / 1e9
    above = limits.peak / 1e9 * 1.5
    ax.text(limits.ridge * 0.8, above, "memory is the limit", ha="right", va="bottom", color=COLOURS["muted"])
    ax.text(limits.ridge * 1.2, above, "arithmetic is", va="bottom", color=COLOURS["muted"])
    ax.set(xscale="log", yscale="log", xlim=(left, right), ylim=(lowest / 3, limits.peak / 1e9 * 4))
    ticks = [0.1, 1, 10, 100]
    ax.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    decades = [10.0**d for d in range(-1, 5) if lowest / 3 <= 10.0**d <= limits.peak / 1e9 * 4]
    ax.set_yticks(decades, [f"{decade:g}" for decade in decades])
    ax.minorticks_off()
    ax.set(xlabel="operations for each byte moved", ylabel="billion operations a second")
    return fig


# The variance

_LOOKS = {
    "one pass": ("accent", "o-"),
    "two passes": ("without_bn", "s--"),
    "two passes, corrected": ("amber", "v--"),
    "one pass, shifted": ("green", "^:"),
    "bn_lib": ("with_bn", "D-"),
}


@styled
def error_of_x_hat(ratios: Sequence[float], errors: Mapping[str, Sequence[Damage]]) -> Figure:
    """The largest error of x_hat against mean / standard deviation, for each formula; a cross where it is no number."""
    fig, ax = plt.subplots(figsize=(5.2, 4.2))
    for name, damages in errors.items():
        colour, line = _LOOKS[name]
        error = [each.error if np.isfinite(each.error) else np.nan for each in damages]
        ax.plot(ratios, error, line, color=COLOURS[colour], markersize=5)
        broken = [ratio for ratio, each in zip(ratios, damages, strict=True) if each.negative]
        ax.plot(broken, np.full(len(broken), 200.0), "x", color=COLOURS[colour], markersize=8, markeredgewidth=2)
    ax.axhline(1, color=COLOURS["muted"], linestyle=":", linewidth=1.2)
    ax.text(1, 1.6, "1 standard deviation", color=COLOURS["muted"])
    ax.text(ratios[-1], 900, "×: not a number", ha="right", color=COLOURS["accent"])
    ax.text(1.1, 1.5e-3, "one pass:\nmean(x²)\n− mean(x)²", color=COLOURS["accent"])
    ax.text(6e3, 2.5e-2, "two passes", ha="right", color=COLOURS["without_bn"])
    ax.text(1e4, 1.2e-4, "one pass, shifted", ha="center", color=COLOURS["green"])
    ax.text(250, 6.5e-6, "two passes, corrected", ha="center", color=COLOURS["amber"])
    ax.text(ratios[-1], 3.5e-8, "bn_lib", ha="right", color=COLOURS["with_bn"])
    ax.set(xscale="log", yscale="log", ylim=(1e-8, 5e3), xlabel="mean / standard deviation of the batch")
    ax.set_xticks([10.0**d for d in range(7)], ["1", "10", "100", "10³", "10⁴", "10⁵", "10⁶"])
    ax.set_yticks([1e-6, 1e-4, 1e-2, 1], ["10⁻⁶", "10⁻⁴", "0.01", "1"])
    ax.minorticks_off()
    ax.set_ylabel("largest error of x̂ in float32")
    return fig
