"""The chapter's laboratory: what a formula for the variance loses, in batches of your choice."""

import math

import matplotlib.pyplot as plt
import numpy as np

from bn_book.colours import COLOURS
from bn_book.laboratory import SIZE, Each, Laboratory, Outcome, choose
from bn_book.speed.experiments import MEANS, METHODS, damage


def run(each: Each, *, method: str, std: float, m: int, seed: int) -> Outcome:
    """The error of x_hat at every mean of the chapter's figure."""
    found = [damage(METHODS[method], mean, std=std, m=m, seed=seed) for mean in each(MEANS)]
    typical = np.array([one.typical for one in found])
    broken = [mean for mean, one in zip(MEANS, found, strict=True) if one.ruined]
    fig, ax = plt.subplots(figsize=SIZE)
    ax.plot(MEANS, np.minimum(typical, 1e3), "o-", color=COLOURS["accent"])
    ax.axhline(0.5, color=COLOURS["muted"], lw=1, ls=":")
    ax.set(xscale="log", yscale="log", ylim=(1e-8, 1e3), xlabel="mean of the batch", title="error of normalized values")
    worst = float(typical.max())
    return Outcome(
        fig,
        f"The largest error of a normalized value, median over channels, against the mean of the batch, from "
        f"{MEANS[0]:g} to {MEANS[-1]:g}. The largest is {worst:.2g}.",
        {
            "largest of these errors": f"{worst:.2g}" if math.isfinite(worst) else "not a number",
            "first channel ruined at": f"{broken[0]:.2g}" if broken else "no mean",
        },
    )


def laboratory() -> Laboratory:
    """The laboratory, with the formula that loses most."""
    return Laboratory(
        "One pass breaks at a certain mean. Is it the mean that breaks it, or the mean over the standard deviation? "
        "And which method gets worse when there are more values in a batch?",
        run,
        {
            "method": choose("method", tuple(METHODS), "one pass"),
            "std": choose("standard deviation", (0.01, 0.1, 1.0, 10.0), 0.01),
            "m": choose("values in a batch", (64, 256, 1024, 4096, 16384), 1024),
            "seed": choose("seed", (0, 1, 2, 3, 4), 0),
        },
    )
