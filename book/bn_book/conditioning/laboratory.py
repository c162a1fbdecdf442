"""The chapter's laboratory: gradient descent at a multiple of the limit that the start sets, from a start of choice."""

import matplotlib.pyplot as plt
import numpy as np

from bn_book.colours import COLOURS
from bn_book.conditioning.experiments import STARTS, Start, descend
from bn_book.conditioning.figures import LOOKS
from bn_book.laboratory import SIZE, Each, Laboratory, Outcome, choose


def run(each: Each, *, start: Start, multiple: float, seed: int) -> Outcome:
    """Descend, and show learning rate * largest eigenvalue / 2."""
    (found,) = (descend(start, multiple, steps=60, moments=9, seed=one) for one in each([seed]))
    fig, ax = plt.subplots(figsize=SIZE)
    ax.plot(found.steps + 1, np.maximum(found.product, 1e-3), "o-", ms=4, color=COLOURS[LOOKS[start][0]])
    ax.axhline(1, color=COLOURS["muted"], lw=1, ls=":", zorder=0)
    ax.set(xscale="log", yscale="log", ylim=(0.05, 500), xlabel="step", title="rate × λ / 2")
    ax.set_yticks([0.1, 1, 10, 100], ["0.1", "1", "10", "100"])
    ax.set_xticks([1, 2, 11, 61], ["0", "1", "10", "60"])
    ax.minorticks_off()
    return Outcome(
        fig,
        f"Learning rate times largest eigenvalue over 2: {found.product[0]:.3g} at the start, {found.product[-1]:.2g} "
        f"after {found.steps[-1]} steps.",
        {
            "learning rate": f"{found.rate:.2g}",
            "loss at the start": f"{found.loss[0]:.2f}",
            "loss at the end": f"{found.loss[-1]:.2g}",
            "weights of layer 2": f"{found.norm[0]:.1f}, then {found.norm[-1]:.1f}",
        },
    )


def laboratory() -> Laboratory:
    """The laboratory, with BN at four times its limit."""
    return Laboratory(
        "From which multiple of its own limit on does each network no longer learn, and what has happened to the "
        "length of the weights where one with BN still does?",
        run,
        {
            "start": choose("network", STARTS, "BN"),
            "multiple": choose("rate, times the limit", (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0), 4.0),
            "seed": choose("seed", (0, 1, 2, 3, 4), 0),
        },
    )
