"""The chapter's laboratory: the gradient in a deep network, by block, batch size, width and steps of training."""

import matplotlib.pyplot as plt
import numpy as np

from bn_book.colours import COLOURS
from bn_book.laboratory import SIZE, Each, Laboratory, Outcome, choose
from bn_book.price.experiments import BLOCKS, propagate
from bn_book.price.figures import NAMES, colour

DEPTH = 20
BY_NAME = {NAMES[block]: block for block in BLOCKS}


def run(each: Each, *, block: str, batch_size: int, width: int, after: int, seed: int) -> Outcome:
    """Go back once through 20 blocks."""
    (found,) = (
        propagate(BY_NAME[block], depth=DEPTH, width=width, batch_size=batch_size, seed=seed, after=steps)
        for steps in each((after,))
    )
    relative = found.gradient / found.gradient[-1]
    fig, ax = plt.subplots(figsize=SIZE)
    ax.axhline(1, color=COLOURS["muted"], linewidth=1)
    ax.plot(relative, color=colour(BY_NAME[block]))
    ax.set(yscale="log", ylim=(1e-2, 1e10), xlabel="block", title="squared gradient")
    return Outcome(
        fig,
        f"The squared gradient against the block, as a multiple of that at the last: {relative[0]:.2g} at the first.",
        {
            "growth per block": f"{found.growth:.3f}",
            "first block / last": f"{relative[0]:.2g}",
            "mean square at the end": f"{float(np.round(found.signal[-1], 2)):.3g}",
        },
    )


def laboratory() -> Laboratory:
    """The laboratory, with BN and no skips, at initialization."""
    return Laboratory(
        "Does a wider network make the gradient of a small batch grow more slowly, or only a larger batch? And how "
        "many steps of training does it take until the first block's squared gradient is less than 100 times the "
        "last's?",
        run,
        {
            "block": choose("block", tuple(BY_NAME), NAMES["bn"]),
            "batch_size": choose("batch size", (4, 5, 8, 16, 32, 64, 128, 256), 32),
            "width": choose("width", (32, 64, 128, 256), 128),
            "after": choose("steps before", (0, 1, 2, 5, 10, 20), 0),
            "seed": choose("seed", (0, 1, 2, 3, 4), 0),
        },
    )
