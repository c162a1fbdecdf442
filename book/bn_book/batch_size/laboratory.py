"""The chapter's laboratory: accuracy against batch size, for a normalizer and a learning rate of your choice."""

import matplotlib.pyplot as plt

from bn_book.batch_size.experiments import NORMALIZERS, SIZES, train_with_batch_size
from bn_book.colours import COLOURS
from bn_book.laboratory import SIZE, Each, Laboratory, Outcome, choose


def run(each: Each, *, normalizer: str, rate_at_32: float, epochs: int, seed: int) -> Outcome:
    """Train once at each batch size, with a learning rate proportional to it."""
    runs = [
        train_with_batch_size(normalizer, size, seed=seed, epochs=epochs, rate_at_32=rate_at_32) for size in each(SIZES)
    ]
    right = [100 * each_run.test for each_run in runs]
    fig, ax = plt.subplots(figsize=SIZE)
    ax.plot(SIZES, right, "o-", color=COLOURS["with_bn" if normalizer == "batch" else "green"])
    ax.set(xscale="log", ylim=(0, 100), xlabel="batch size", title="% of test digits right")
    ax.set_xticks(SIZES, [str(size) for size in SIZES])
    ax.minorticks_off()
    return Outcome(
        fig,
        "The share of the test digits that is right against the batch size: "
        + ", ".join(f"{value:.0f} percent at {size}" for size, value in zip(SIZES, right, strict=True))
        + ".",
        {f"batches of {size}": f"{value:.1f} %" for size, value in zip(SIZES, right, strict=True)},
    )


def laboratory() -> Laboratory:
    """The laboratory, with BN at the chapter's rate."""
    return Laboratory(
        "Batches of 2 cost BN accuracy and cost the others little. Is that so at every learning rate? And how far do "
        "two seeds of the same settings lie apart?",
        run,
        {
            "normalizer": choose("normalized over", tuple(NORMALIZERS), "batch"),
            "rate_at_32": choose("learning rate at 32", (0.02, 0.05, 0.1, 0.2, 0.5, 1.0), 0.2),
            "epochs": choose("epochs", (1, 2, 3), 2),
            "seed": choose("seed", (0, 1, 2, 3, 4), 0),
        },
    )
