"""The chapter's laboratory: BN before or after the ReLU, at the learning rate and the batch size of your choice."""

import matplotlib.pyplot as plt
import numpy as np

from bn_book.colours import COLOURS
from bn_book.forward.experiments import PLACES, Place, accuracies
from bn_book.laboratory import SIZE, Each, Laboratory, Outcome, choose

SEEDS = (0, 1, 2, 3, 4)


def run(each: Each, *, place: Place, learning_rate: float, batch_size: int, epochs: int) -> Outcome:
    """Train `relu_network` from five seeds."""
    found = np.array(
        [
            accuracies(place, learning_rate, epochs=epochs, batch_size=batch_size, seeds=(seed,))[0]
            for seed in each(SEEDS)
        ]
    )
    fig, ax = plt.subplots(figsize=SIZE)
    ax.plot(SEEDS, found, "o", color=COLOURS["with_bn"])
    ax.axhline(found.mean(), color=COLOURS["with_bn"], lw=1)
    ax.set(ylim=(0, 100), xlim=(-0.5, 4.5), xticks=SEEDS, xlabel="seed", title="% of test digits right")
    return Outcome(
        fig,
        f"The share of the test digits that is right, for five seeds: {found.min():.0f} to {found.max():.0f} percent.",
        {"mean": f"{found.mean():.1f} %", "least to most": f"{found.min():.1f} to {found.max():.1f} %"},
    )


def laboratory() -> Laboratory:
    """The laboratory, where the place matters most."""
    return Laboratory(
        "BN after the ReLU is ahead at a learning rate of 0.01. From which rate on does the place matter less than the "
        "seed? Does more training do the same as a larger rate?",
        run,
        {
            "place": choose("BN and ReLU", PLACES, "before"),
            "learning_rate": choose("learning rate", (0.003, 0.01, 0.03, 0.1, 0.3, 1.0), 0.01),
            "batch_size": choose("batch size", (10, 20, 60, 180), 60),
            "epochs": choose("epochs", (1, 2, 3, 5, 8), 3),
        },
    )
