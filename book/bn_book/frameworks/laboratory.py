"""The chapter's laboratory: a network that moves from Keras to PyTorch, and what was forgotten on the way."""

import matplotlib.pyplot as plt
import numpy as np

from bn_book.colours import COLOURS
from bn_book.frameworks.experiments import FORGOTTEN, Forgotten, moved
from bn_book.frameworks.figures import FORGOTTEN_LOOKS
from bn_book.laboratory import SIZE, Each, Laboratory, Outcome, choose


def run(each: Each, *, forgotten: Forgotten, batch: int, seed: int) -> Outcome:
    """Train as in Keras, move with something forgotten, and train on as in PyTorch."""
    found = moved(forgotten, batch=batch, seed=seed)
    fig, ax = plt.subplots(figsize=SIZE)
    colour, dash = FORGOTTEN_LOOKS[forgotten]
    ax.plot(found.steps, np.maximum(found.apart, 1e-6), dash, color=COLOURS[colour])
    ax.set(yscale="log", xlim=(0, 60), ylim=(1e-4, 2), xlabel="steps after the move", ylabel="largest difference")
    ax.minorticks_off()
    return Outcome(
        fig,
        f"The largest difference of a probability over 60 steps after the move. It begins at {found.apart[0]:.2g} and "
        f"ends at {found.apart[-1]:.2g}.",
        {
            "largest difference at once": f"{found.apart[0]:.2g}",
            "after 60 steps": f"{found.apart[-1]:.2g}",
            "wrong at once": f"{found.wrong[0]:.1f} %",
            "wrong after 60 steps": f"{found.wrong[-1]:.1f} %",
        },
    )


def laboratory() -> Laboratory:
    """The laboratory, with the momentum forgotten."""
    return Laboratory(
        "Which omission shows at once, which only later, and which grows when the batches become small?",
        run,
        {
            "forgotten": choose("forgotten", FORGOTTEN, "momentum"),
            "batch": choose("batch size", (4, 10, 30, 60), 10),
            "seed": choose("seed", (0, 1, 2), 0),
        },
    )
