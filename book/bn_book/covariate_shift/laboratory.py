"""The chapter's laboratory: what enters one sigmoid while the network learns, and how well it learns."""

import matplotlib.pyplot as plt
import numpy as np

from bn_book.colours import COLOURS
from bn_book.covariate_shift.experiments import LARGER_WEIGHTS, STARTS, Start, train
from bn_book.laboratory import SIZE, Each, Laboratory, Outcome, choose

EPOCHS = 20


def run(each: Each, *, start: Start, learning_rate: float, seed: int) -> Outcome:
    """Train one of the chapter's three networks for 460 steps and watch what enters its last hidden layer."""
    found = train(
        with_bn=start == "with BN",
        init=LARGER_WEIGHTS if start == "without BN, larger weights" else "glorot",
        learning_rate=learning_rate,
        epochs=EPOCHS,
        seed=seed,
    )
    low, middle, high = found.percentiles[:, -1, :, found.typical_unit()].T
    colour = COLOURS["with_bn" if start == "with BN" else "without_bn"]
    fig, ax = plt.subplots(figsize=SIZE)
    ax.fill_between(found.steps, low, high, color=colour, alpha=0.2, lw=0)
    ax.plot(found.steps, middle, color=colour)
    ax.set(xlim=(0, found.steps[-1]), ylim=(-10, 10), xlabel="training step", title="input of a sigmoid")
    reached = np.flatnonzero(found.accuracy >= 0.9)
    needed = f"{reached[0] * found.steps_per_epoch}" if len(reached) else f"more than {found.steps[-1]}"
    return Outcome(
        fig,
        f"The 15th, 50th and 85th percentile of the input of a typical sigmoid in the last hidden layer, over "
        f"{found.steps[-1]} steps. The median goes from {middle[0]:.1f} to {middle[-1]:.1f}.",
        {
            "path of the inputs": f"{found.movement():.1f}",
            "test digits right": f"{100 * found.accuracy[-1]:.0f} %",
            "steps to 90 %": needed,
        },
    )


def laboratory() -> Laboratory:
    """The laboratory, with the network without BN at the chapter's rate."""
    return Laboratory(
        "Can you find two runs of which the one whose inputs travel further is the one that learns faster?",
        run,
        {
            "start": choose("network", STARTS, "without BN"),
            "learning_rate": choose("learning rate", (0.1, 0.2, 0.5, 1.0, 2.0, 3.0, 5.0), 0.5),
            "seed": choose("seed", (0, 1, 2, 3, 4), 0),
        },
    )
