"""Training and inference: running statistics chase those of a population, until training stops."""

from __future__ import annotations

import traitlets

from bn_book.explorables._explorable import Explorable


class TrainingAndInference(Explorable):
    """One feature whose mean and variance are known; batches of it; and the running statistics that a BN layer keeps.

    After each batch, with the momentum w in PyTorch's meaning, r = (1 - w) r + w mean(batch), and likewise for the
    variance, of which the *unbiased* one is averaged. They start at 0 and 1. The error of y is the root mean square,
    over the population, of the difference between y with the stored statistics and y with the population's (gamma 1,
    beta 0, eps 1e-5), so in standard deviations of y.

    Args:
        momentum: the weight w of a new batch, from 0.001 to 1.
        batch_size: values in a batch, 2 to 128.
        updates: batches before the switch to inference, 0 to 150.
        mean: of the population at the start, 0 to 12.
        deviation: its standard deviation, 0.25 to 4.
        moved_at: after how many updates its mean moves, 0 to 150.
        moved_to: where its mean moves, 0 to 12.
        seed: of the batches, from 0 to 2**31 - 1. The batches of a seed keep their first values when they grow.

    Raises:
        traitlets.TraitError: if a value is of another type or out of range.

    Source: Ioffe and Szegedy (2015), section 3.1; torch.nn.BatchNorm1d for the convention.
    """

    module = "training_and_inference"

    title = traitlets.Unicode("When to stop counting").tag(sync=True, fixed=True)
    message = traitlets.Unicode(
        "Drag the ring at the top, the switch to inference. Then lift or lower the other ring, where the population's "
        "mean moves. The smaller the momentum, the later running statistics arrive, and the steadier they are: with 1 "
        "they are those of the last batch. Switch before they have arrived, or soon after the population moved, and "
        "answers in inference are wrong."
    ).tag(sync=True, fixed=True)
    momentum = traitlets.Float(0.1, min=0.001, max=1).tag(sync=True)
    batch_size = traitlets.Int(16, min=2, max=128).tag(sync=True)
    updates = traitlets.Int(20, min=0, max=150).tag(sync=True)
    mean = traitlets.Float(6.0, min=0, max=12).tag(sync=True)
    deviation = traitlets.Float(2.0, min=0.25, max=4).tag(sync=True)
    moved_at = traitlets.Int(90, min=0, max=150).tag(sync=True)
    moved_to = traitlets.Float(6.0, min=0, max=12).tag(sync=True)
    seed = traitlets.Int(0, min=0, max=2**31 - 1).tag(sync=True)
