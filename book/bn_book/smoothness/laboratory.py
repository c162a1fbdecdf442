"""The chapter's laboratory: one network, disturbed or not; how far its inputs move, how smooth and how fast it is."""

import math

import matplotlib.pyplot as plt
import numpy as np

from bn_book.colours import COLOURS
from bn_book.covariate_shift.experiments import path_length
from bn_book.laboratory import SIZE, Each, Laboratory, Outcome, choose
from bn_book.smoothness.experiments import EVERY, MOST, WATCHED, Activation, Kind, train

KINDS: tuple[Kind, ...] = ("plain", "larger weights", "stretched", "standardized once", "BN", "L1", "L2", "Lmax")
ACTIVATIONS: tuple[Activation, ...] = ("sigmoid", "relu")


def run(each: Each, *, kind: Kind, activation: Activation, noise: float, learning_rate: float, seed: int) -> Outcome:
    """Train one network, and watch what enters a typical unit of its last hidden layer."""
    found = train(kind, activation, noise=noise, learning_rate=learning_rate, landscape=True, seed=seed)
    fig, ax = plt.subplots(figsize=SIZE)
    ax.set(xlim=(0, WATCHED), ylim=(-8, 8), xlabel="training step", title="input of a typical unit")
    numbers = {"steps to 90 %": f"{found.steps:.0f}" if math.isfinite(found.steps) else f"more than {MOST}"}
    if len(found.percentiles) <= WATCHED // EVERY:
        return Outcome(fig, "The run diverged.", {"steps to 90 %": "diverged"})
    lengths = path_length(found.percentiles)
    low, middle, high = found.percentiles[:, :, np.argsort(lengths)[len(lengths) // 2]].T
    steps = EVERY * np.arange(len(middle))
    colour = COLOURS["with_bn" if kind == "BN" else "without_bn"]
    ax.fill_between(steps, low, high, color=colour, alpha=0.2, lw=0)
    ax.plot(steps, middle, color=colour)
    return Outcome(
        fig,
        f"The 15th, 50th and 85th percentile of the input of a typical unit in the last hidden layer, over {WATCHED} "
        f"steps. The median lies between {middle.min():.1f} and {middle.max():.1f}.",
        numbers
        | {
            "path of the inputs": f"{found.movement:.1f}",
            "path in widths": f"{found.movement_in_widths:.1f}",
            "effective β": f"{found.beta:.1f}",
            "change of the gradient": f"{found.shift:.2f}",
        },
    )


def laboratory() -> Laboratory:
    """The laboratory, with BN and the noise of the paper."""
    return Laboratory(
        "Can you make a network that is stable, smooth and slow? And one that is none of the three?",
        run,
        {
            "kind": choose("what is done", KINDS, "BN"),
            "activation": choose("activation", ACTIVATIONS, "sigmoid"),
            "noise": choose("strength of the noise", (0.0, 1.0, 3.0, 10.0, 30.0), 1.0),
            "learning_rate": choose("learning rate", (0.05, 0.1, 0.2, 0.5, 1.0, 2.0), 0.5),
            "seed": choose("seed", (0, 1, 2, 3, 4), 0),
        },
    )
