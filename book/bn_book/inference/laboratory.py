"""The chapter's laboratory: which momentum suits a batch size and a length of training."""

import matplotlib.pyplot as plt

from bn_book.colours import COLOURS
from bn_book.inference.experiments import momentum_sweep
from bn_book.laboratory import SIZE, Each, Laboratory, Outcome, choose

MOMENTA = (0.003, 0.01, 0.03, 0.1, 0.3, 0.9)


def run(each: Each, *, batch_size: int, epochs: int, seed: int) -> Outcome:
    """Record a training run, and see what each momentum would have kept of its statistics."""
    sweeps = [momentum_sweep((w,), batch_size=batch_size, epochs=epochs, seed=seed) for w in each(MOMENTA)]
    distance = [sweep.distance[0] for sweep in sweeps]
    noise = [sweep.noise[0] for sweep in sweeps]
    fig, ax = plt.subplots(figsize=SIZE)
    ax.plot(MOMENTA, distance, "o-", color=COLOURS["with_bn"])
    ax.plot(MOMENTA, noise, "--", color=COLOURS["muted"])
    ax.set(xscale="log", yscale="log", ylim=(5e-3, 5), xlabel="momentum", title="how far off (dashed: noise)")
    best = min(range(len(MOMENTA)), key=distance.__getitem__)
    return Outcome(
        fig,
        "The distance of the running means from those of the training set, in standard deviations, against the "
        f"momentum; least at {MOMENTA[best]:g}. Dashed, what the noise of the batches alone would give.",
        {
            "steps": f"{sweeps[0].steps}",
            "least distance at": f"{MOMENTA[best]:g}",
            "test digits right there": f"{100 * sweeps[best].accuracy[0]:.1f} %",
            "at 0.9": f"{100 * sweeps[-1].accuracy[0]:.1f} %",
        },
    )


def laboratory() -> Laboratory:
    """The laboratory, with the chapter's batch size."""
    return Laboratory(
        "To the right of the best momentum noise hurts, to its left lag. Which way does the best one move when the "
        "batch gets smaller, and which when there are more epochs?",
        run,
        {
            "batch_size": choose("batch size", (8, 16, 32, 64, 128), 32),
            "epochs": choose("epochs", (1, 2, 3, 5), 2),
            "seed": choose("seed", (0, 1, 2, 3, 4), 0),
        },
    )
