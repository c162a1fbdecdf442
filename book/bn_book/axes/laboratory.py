"""The chapter's laboratory: a network that predicts dice, its normalizer, and how many series share a mini-batch."""

import matplotlib.pyplot as plt
import numpy as np

from bn_book.axes.experiments import GUESSING, DiceNorm, dice
from bn_book.axes.figures import LOOKS
from bn_book.colours import COLOURS
from bn_book.laboratory import SIZE, Each, Laboratory, Outcome, choose

NORMS: tuple[DiceNorm, ...] = ("BN", "BN, rows mixed", "LN", "RMS", "none")


def run(each: Each, *, norm: DiceNorm, series: int, steps: int, seed: int) -> Outcome:
    """Train one network on throws of a fair die."""
    found = dice(norm, series, steps=steps, seed=seed)
    smooth = np.convolve(found.losses, np.full(50, 1 / 50), mode="valid")
    fig, ax = plt.subplots(figsize=SIZE)
    ax.axhline(GUESSING, color=COLOURS["muted"], linestyle=":")
    colour, dash = LOOKS[norm]
    ax.plot(np.arange(len(smooth)) + 50, smooth, dash, color=COLOURS[colour])
    ax.set(xlim=(0, 2000), ylim=(0, 3), xlabel="training step", ylabel="training loss (nats)")
    return Outcome(
        fig,
        f"The training loss over {steps} steps. It ends at {found.training:.2f} nats, where guessing has "
        f"{GUESSING:.2f}.",
        {
            "training loss": f"{found.training:.2f} nats",
            "named right in training": f"{100 * found.right:.0f} %",
            "loss in use": f"{found.inference:.2f} nats",
            "guessing": f"{GUESSING:.2f} nats",
        },
    )


def laboratory() -> Laboratory:
    """The laboratory, with BN and one series."""
    return Laboratory(
        "From how many series on does BN stop reading the future? And what does the loss in use say meanwhile?",
        run,
        {
            "norm": choose("normalizer", NORMS, "BN"),
            "series": choose("series in a mini-batch", (1, 2, 4, 8, 16), 1),
            "steps": choose("steps", (500, 1000, 2000), 1000),
            "seed": choose("seed", (0, 1, 2, 3, 4), 0),
        },
    )
