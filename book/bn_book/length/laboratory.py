"""The chapter's laboratory: rate, decay and the length at the start, with BN and without."""

import matplotlib.pyplot as plt
import numpy as np

from bn_book.colours import COLOURS
from bn_book.laboratory import SIZE, Each, Laboratory, Outcome, choose
from bn_book.length.experiments import EPOCH, train_usual
from bn_book.length.figures import moving_average, powers_of_ten


def run(each: Each, *, network: str, rate: float, decay: float, scale: float, seed: int) -> Outcome:
    """Train the usual network once, for 13 epochs."""
    with_bn = network == "with BN"
    (trained,) = (
        train_usual(rate, seed=seed, with_bn=with_bn, scale=scale, decay=decay, epochs=13) for _ in each((1,))
    )
    fig, ax = plt.subplots(figsize=SIZE)
    loss = moving_average(trained.loss)
    ax.plot(np.arange(len(loss)) + EPOCH, loss, color=COLOURS["with_bn" if with_bn else "without_bn"])
    powers_of_ten(ax, y=(0.01, 0.1, 1, 10))
    ax.set(xlim=(0, 13 * EPOCH), ylim=(0.005, 30), xlabel="training step", title="training loss (nats)")
    before, after = trained.length
    return Outcome(
        fig,
        f"The training loss against the step: {trained.late:.3g} nats in the last epoch.",
        {
            "loss at the end": f"{trained.late:.3g} nats",
            "test digits right": f"{100 * trained.test:.1f} %",
            "length at the start": f"{before:.3g}",
            "length at the end": f"{after:.3g}",
        },
    )


def laboratory() -> Laboratory:
    """The laboratory, with BN and the chapter's rate."""
    return Laboratory(
        "Start with weights 100 times too long. What makes them short again with BN, and what brings the loss down? "
        "(Here everything decays, γ, β and the output layer, too.) And what do the same rate and decay do without BN?",
        run,
        {
            "network": choose("network", ("with BN", "without BN"), "with BN"),
            "rate": choose("learning rate η", (0.01, 0.03, 0.1, 0.3, 1.0, 3.0), 0.1),
            "decay": choose("weight decay λ", (0.0, 1e-4, 1e-3, 1e-2, 3e-2, 1e-1), 0.0),
            "scale": choose("first weights ×", (0.001, 0.01, 0.1, 1.0, 10.0, 100.0, 1000.0), 1.0),
            "seed": choose("seed", (0, 1, 2, 3, 4), 0),
        },
    )
