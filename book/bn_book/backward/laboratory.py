"""The chapter's laboratory: training with a backward pass that follows the paths of your choice."""

import matplotlib.pyplot as plt
import numpy as np

from bn_book.backward.experiments import PATHS, Path, train_along
from bn_book.colours import COLOURS
from bn_book.laboratory import SIZE, Each, Laboratory, Outcome, choose

FOLLOWED: dict[str, tuple[Path, ...]] = {
    "all three": PATHS,
    "mean forgotten": ("direct", "variance"),
    "variance forgotten": ("direct", "mean"),
    "direct only": ("direct",),
}


def run(each: Each, *, paths: str, learning_rate: float, batch_size: int, seed: int) -> Outcome:
    """Train for six epochs along some of the paths."""
    found = train_along(FOLLOWED[paths], learning_rate=learning_rate, batch_size=batch_size, epochs=6, seed=seed)
    fig, ax = plt.subplots(figsize=SIZE)
    ax.plot(np.arange(1, len(found.loss) + 1), found.loss, color=COLOURS["accent"], lw=1)
    ax.set(yscale="log", ylim=(1e-3, 10), xlim=(0, len(found.loss)), xlabel="step", title="training loss")
    last = float(np.mean(found.loss[-10:]))
    return Outcome(
        fig,
        f"The training loss over {len(found.loss)} steps. Over the last ten it is {last:.2g}.",
        {
            "loss, last ten steps": f"{last:.2g}",
            "norm of the first bias": f"{found.bias[-1]:.2g}",
            "growth of the weights": f"{found.weight_growth:.2f} times",
        },
    )


def laboratory() -> Laboratory:
    """The laboratory, with nothing forgotten."""
    return Laboratory(
        "Predict first: which forgotten path hardly shows in the loss, and which one shows in the bias? Does a larger "
        "learning rate hide such a mistake, or show it?",
        run,
        {
            "paths": choose("backward along", tuple(FOLLOWED), "all three"),
            "learning_rate": choose("learning rate", (0.03, 0.1, 0.3, 1.0, 3.0), 0.1),
            "batch_size": choose("batch size", (10, 20, 60, 180), 60),
            "seed": choose("seed", (0, 1, 2, 3, 4), 0),
        },
    )
