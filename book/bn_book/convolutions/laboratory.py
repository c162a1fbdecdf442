"""The chapter's laboratory: the small CNN with BN and without, from the same weights, at the rate of your choice."""

import matplotlib.pyplot as plt
import numpy as np

from bn_book.colours import COLOURS
from bn_book.convolutions.experiments import train_cnn
from bn_book.laboratory import SIZE, Each, Laboratory, Outcome, choose


def run(each: Each, *, rate: float, batch_size: int, epochs: int, seed: int) -> Outcome:
    """Train both networks."""
    without, with_bn = (
        train_cnn(bn, rate, seed=seed, epochs=epochs, batch_size=batch_size) for bn in each((False, True))
    )
    fig, ax = plt.subplots(figsize=SIZE)
    for curve, colour in ((without, "without_bn"), (with_bn, "with_bn")):
        ax.plot(np.arange(1, len(curve.loss) + 1), curve.loss, color=COLOURS[colour], lw=1)
    ax.set(yscale="log", ylim=(1e-2, 10), xlabel="update", title="training loss")
    ax.text(0.97, 0.95, "without BN", color=COLOURS["without_bn"], transform=ax.transAxes, ha="right", va="top")
    ax.text(0.03, 0.04, "with BN", color=COLOURS["with_bn"], transform=ax.transAxes)
    right = [100 * curve.accuracy[-1] for curve in (without, with_bn)]
    return Outcome(
        fig,
        f"The training loss of both networks over {len(without.loss)} updates. Then {right[0]:.0f} percent of the test "
        f"digits are right without BN and {right[1]:.0f} percent with it.",
        {"right, without BN": f"{right[0]:.1f} %", "right, with BN": f"{right[1]:.1f} %"},
    )


def laboratory() -> Laboratory:
    """The laboratory, at a rate in the middle."""
    return Laboratory(
        "Give each network the rate that suits it best. How much of BN's lead is left, and is it more than another "
        "seed makes?",
        run,
        {
            "rate": choose("learning rate", (0.003, 0.01, 0.03, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2), 0.1),
            "batch_size": choose("batch size", (8, 16, 32, 64, 128), 64),
            "epochs": choose("epochs", (1, 2, 3, 5), 3),
            "seed": choose("seed", (0, 1, 2, 3, 4), 0),
        },
    )
