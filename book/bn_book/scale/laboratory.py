"""The chapter's laboratory: descent on digits, prepared in four ways, at a multiple of the rate that is its limit."""

import matplotlib.pyplot as plt
import numpy as np

from bn_book.colours import COLOURS
from bn_book.laboratory import SIZE, Each, Laboratory, Outcome, choose
from bn_book.scale import experiments as scale

PREPARATIONS = ("pixels from 0 to 1", "centered", "standardized", "whitened")


def run(each: Each, *, preparation: str, rate: float, steps: int) -> Outcome:
    """Linear regression from prepared pixels to the classes, from 0, with a rate given in units of 2 / lambda_max."""
    h, minimum = scale.digits_bowl(scale.prepared_digits()[preparation][0])
    learning_rate = rate * 2 / float(scale.eigenvalues(h)[-1])
    with np.errstate(over="ignore", invalid="ignore"):  # what grows at every step comes to the end of the numbers
        losses, _ = scale.excess_losses(h, minimum, learning_rate, steps)
    left = np.nan_to_num(losses / losses[0], nan=np.inf)
    fig, ax = plt.subplots(figsize=SIZE)
    ax.plot(left, color=COLOURS["accent"])
    ax.set(yscale="log", ylim=(1e-4, 1e2), xlim=(0, steps), xlabel="step", title="share of the loss left")
    return Outcome(
        fig,
        f"The share of the avoidable loss that is left, over {steps} steps. It ends at {left[-1]:.2g}.",
        {
            "learning rate": f"{learning_rate:.2g}",
            "loss left": f"{100 * left[-1]:.2g} %" if left[-1] < 100 else "grows without limit",
        },
    )


def laboratory() -> Laboratory:
    """The laboratory, at the rate that the chapter recommends."""
    return Laboratory(
        "At which multiple of 2/λ does the loss of raw pixels begin to grow, and is it another multiple for whitened "
        "ones? If not, what did the preparation change?",
        run,
        {
            "preparation": choose("pixels", PREPARATIONS, PREPARATIONS[0]),
            "rate": choose("rate, times 2/λ", (0.1, 0.25, 0.5, 0.75, 0.95, 0.99, 1.01, 1.05, 1.2), 0.5),
            "steps": choose("steps", (30, 100, 300, 1000, 3000), 300),
        },
    )
