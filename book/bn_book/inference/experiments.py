"""What a trained network uses where training used the mini-batch, and what goes wrong when it should not.

The running statistics of a layer never enter its training: there a batch is normalized with its own. So one recorded
training run answers for every momentum and every moment of stopping, afterwards, and most experiments here are such
second looks at the same run. Drawing is in `bn_book.inference.figures`.
"""

from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import reduce
from typing import Literal, NamedTuple, TypeAlias

import numpy as np

from bn_book.data import load_digits
from bn_book.networks import sigmoid_network, small_cnn
from bn_book.runs import cache
from bn_lib import _checks as check
from bn_lib._arrays import Array
from bn_lib.batchnorm import BatchNorm
from bn_lib.folding import fold_batch_norm
from bn_lib.layer import Layer, only_looked_at
from bn_lib.moments import Moments
from bn_lib.network import Conv2d, Dense, Sequential
from bn_lib.normalizers import batch_axes
from bn_lib.population import recompute_statistics
from bn_lib.training import SGD, Recorder, accuracy, fit, train_step

LEARNING_RATE = 0.5
CNN_LEARNING_RATE = 0.1


# Training, recorded


def new_network(*, momentum: float | None = 0.1, seed: int = 0) -> tuple[Sequential, np.random.Generator]:
    """The chapter's network, 64-100-100-100-10 with BN before each sigmoid, and the generator its weights came from.

    Args:
        momentum: of its BN layers, in PyTorch's meaning.
        seed: of the generator, which then goes on to shuffle the mini-batches.
    """
    rng = np.random.default_rng(seed)

    def normalizer(features: int) -> Layer:
        return BatchNorm(features, momentum=momentum, dtype=np.float32)

    return sigmoid_network(rng=rng, normalizer=normalizer), rng


@cache
def _trained(epochs: int, batch_size: int, momentum: float, seed: int) -> tuple[Sequential, tuple[float, ...]]:
    model, rng = new_network(momentum=momentum, seed=seed)
    optimizer = SGD(model, LEARNING_RATE)
    history = fit(model, optimizer, *load_digits().train, epochs=epochs, batch_size=batch_size, rng=rng, progress=False)
    return model, tuple(history.loss)


def trained(
    *, epochs: int = 5, batch_size: int = 32, momentum: float = 0.1, seed: int = 0
) -> tuple[Sequential, tuple[float, ...]]:
    """The chapter's network after training on digits: a copy of its own for each caller, and the loss of every step.

    Args:
        epochs: passes over the 1437 training images.
        batch_size: images per mini-batch.
        momentum: of the BN layers, in PyTorch's meaning.
        seed: of weights and shuffles.
    """
    model, losses = _trained(epochs, batch_size, momentum, seed)
    return deepcopy(model), losses


@cache
def _trained_cnn(epochs: int, seed: int) -> Sequential:
    rng = np.random.default_rng(seed)
    model = small_cnn(rng=rng, normalizer=lambda channels: BatchNorm(channels, dtype=np.float32))
    train = load_digits(flat=False).train
    fit(model, SGD(model, CNN_LEARNING_RATE), *train, epochs=epochs, batch_size=32, rng=rng, progress=False)
    return model


def trained_cnn(*, epochs: int = 2, seed: int = 0) -> Sequential:
    """The book's small CNN with BN after training on digits: a copy of its own for each caller."""
    return deepcopy(_trained_cnn(epochs, seed))


@dataclass(frozen=True, eq=False)
class Recording:
    """A training run, kept so that running statistics can be worked out afterwards, for any momentum.

    Attributes:
        model: the network at the end; do not change it.
        batch_size: images per mini-batch.
        batches: for each BN layer, the moments of its input in every step.
        states: number of steps taken -> the network's state then.
    """

    model: Sequential
    batch_size: int
    batches: tuple[tuple[Moments, ...], ...]
    states: dict[int, dict[str, Array]]

    @property
    def steps(self) -> int:
        """How many steps there were."""
        return len(self.batches[0])


@cache
def record(*, epochs: int = 5, batch_size: int = 32, every: int = 11, seed: int = 0) -> Recording:
    """Train the chapter's network on digits and keep every batch's moments and some of the states.

    Args:
        epochs: passes over the 1437 training images.
        batch_size: images per mini-batch.
        every: keep the state after so many steps, and at the end.
        seed: of weights and shuffles.
    """
    model, rng = new_network(seed=seed)
    states: dict[int, dict[str, Array]] = {}
    total = epochs * (len(load_digits().train[1]) // batch_size)

    def keep(step: int) -> None:
        if step % every == 0 or step == total:
            states[step] = model.state_dict()

    with Recorder(model, only=(Dense, Conv2d), summary=_moments) as recorder:
        fit(
            model,
            SGD(model, LEARNING_RATE),
            *load_digits().train,
            epochs=epochs,
            batch_size=batch_size,
            rng=rng,
            progress=False,
            after_step=keep,
        )
    batches = tuple(tuple(recorder.activations[i - 1]) for i, _ in batch_norms(model))
    return Recording(model, batch_size, batches, states)


def _moments(values: Array) -> Moments:
    return Moments.of(values, batch_axes(values.ndim))


def batch_norms(model: Sequential) -> Iterator[tuple[int, BatchNorm]]:
    """Every BN layer of `model` with its position."""
    for i, layer in enumerate(model.stack):
        if isinstance(layer, BatchNorm):
            yield i, layer


# Averages


def running_average(start: float, values: Array, momentum: float) -> Array:
    """The exponential average after 0, 1, ..., k updates: new = (1 - momentum) * old + momentum * value.

    Unrolled, the start keeps the weight (1 - momentum)**k and value j of k has momentum * (1 - momentum)**(k - j).

    Args:
        start: the average before the first update.
        values: one value per update, or one row of values, `(k,)` or `(k, C)`.
        momentum: weight of the new value, PyTorch's meaning; from 0 to 1.

    Returns:
        `(k + 1,)` or `(k + 1, C)`, starting with `start`.
    """
    momentum = check.number(momentum, "momentum", low=0.0, high=1.0)
    averages = [np.full_like(values[0], start)]
    for value in values:
        averages.append((1 - momentum) * averages[-1] + momentum * value)
    return np.stack(averages)


def running_statistics(batches: Sequence[Moments], momentum: float) -> tuple[Array, Array]:
    """Running mean and variance of a BN layer after 0, 1, ..., k of these batches, each `(k + 1, C)`.

    As `BatchNorm` keeps them: they start at 0 and 1, and the variance averaged is the unbiased one.
    """
    means = np.stack([batch.mean for batch in batches])
    variances = np.stack([batch.var(ddof=1) for batch in batches])
    return running_average(0.0, means, momentum), running_average(1.0, variances, momentum)


@cache
def inference_accuracy(recording: Recording, momentum: float) -> dict[int, float]:
    """Accuracy on the test digits, had training stopped at each state of `recording`, with this momentum.

    Args:
        recording: a training run.
        momentum: of all BN layers, in PyTorch's meaning.
    """
    model = deepcopy(recording.model)
    running = [running_statistics(batches, momentum) for batches in recording.batches]
    found = {}
    for step, state in recording.states.items():
        model.load_state_dict(state)
        for (_, layer), (means, variances) in zip(batch_norms(model), running, strict=True):
            layer.running_mean, layer.running_var = means[step], variances[step]
        found[step] = accuracy(model, *load_digits().test)
    return found


def recalibrate(model: Sequential, x: Array, *, batch_size: int = 32) -> Sequential:
    """Replace all running statistics by those of `x`, in batches of nearly equal size; return the network.

    See `bn_lib.recompute_statistics`.
    """
    recompute_statistics(model, np.array_split(x, -(-len(x) // batch_size)))
    return model


class Algorithm2(NamedTuple):
    """Statistics of the first BN layer's input, averaged over batches, as multiples of those of all data at once.

    Attributes:
        merged: largest relative difference of merged moments from moments of everything at once (means and variances).
        mean: largest difference of the average of batch means from the mean, in standard deviations.
        biased: average of biased batch variances / variance; averaged over channels.
        unbiased: the same times m / (m - 1).
    """

    merged: float
    mean: float
    biased: float
    unbiased: float


def algorithm_2(*, batch_size: int = 8, seed: int = 0) -> Algorithm2:
    """Average the statistics of shuffled batches of equal size, and compare with all the values at once.

    Source: Ioffe and Szegedy (2015), Algorithm 2, line 10: E[x] = E_B[mu_B], Var[x] = m / (m - 1) * E_B[sigma_B**2].
    """
    x, _ = load_digits().train
    order = np.random.default_rng(seed).permutation(len(x))
    x = x[order[: len(x) // batch_size * batch_size]]
    values = trained()[0].stack[0].forward(x).astype(np.float64)
    whole = Moments.of(values, 0)
    batches = [Moments.of(rows, 0) for rows in values.reshape(-1, batch_size, values.shape[1])]
    merged = reduce(Moments.merge, batches)
    worst = max(np.abs(merged.mean - whole.mean).max(), np.abs(merged.var() / whole.var() - 1).max())
    mean = np.mean([b.mean for b in batches], axis=0)
    within = np.mean([b.var() for b in batches], axis=0)
    biased = float(np.mean(within / whole.var()))
    return Algorithm2(
        merged=float(worst),
        mean=float(np.max(np.abs(mean - whole.mean) / np.sqrt(whole.var()))),
        biased=biased,
        unbiased=biased * batch_size / (batch_size - 1),
    )


class Chase(NamedTuple):
    """One running mean behind the batch means that it averages, and what stopping there costs.

    Attributes:
        momentum: the weight w of a new batch.
        batch_means: of one channel, one per step, `(k,)`.
        running_means: the same channel's, after 0, 1, ..., k steps, `(k + 1,)`.
        stops: the steps at which the network was put to use.
        accuracy: on the test digits at each stop, in inference with the running statistics.
        possible: the same with the statistics of the whole training set.
    """

    momentum: float
    batch_means: Array
    running_means: Array
    stops: tuple[int, ...]
    accuracy: tuple[float, ...]
    possible: tuple[float, ...]


@cache
def chase(momentum: float, *, epochs: int = 5, batch_size: int = 32, every: int = 11, seed: int = 0) -> Chase:
    """Follow the running mean of a channel of the first BN layer through one training run.

    The channel is the median one by the distance of its mean from 0, where running means start, in deviations.
    """
    recording = record(epochs=epochs, batch_size=batch_size, every=every, seed=seed)
    population = population_at(recording, tuple(recording.states))
    last = population[recording.steps]
    channel = int(np.argsort(np.abs(last.mean) / np.sqrt(last.var))[len(last.mean) // 2])
    means, _ = running_statistics(recording.batches[0], momentum)
    by_stop = inference_accuracy(recording, momentum)
    return Chase(
        momentum=momentum,
        batch_means=np.array([batch.mean[channel] for batch in recording.batches[0]]),
        running_means=means[:, channel],
        stops=tuple(by_stop),
        accuracy=tuple(by_stop.values()),
        possible=tuple(population[stop].accuracy for stop in by_stop),
    )


class Population(NamedTuple):
    """A network at one moment, with the statistics of the whole training set.

    Attributes:
        mean, var: of the input of the first BN layer.
        accuracy: on the test digits, in inference with the statistics of all layers.
    """

    mean: Array
    var: Array
    accuracy: float


@cache
def population_at(recording: Recording, stops: tuple[int, ...]) -> dict[int, Population]:
    """The population statistics of the networks at these of `recording.states`, and what they achieve."""
    found = {}
    x, _ = load_digits().train
    model = deepcopy(recording.model)
    for step in stops:
        model.load_state_dict(recording.states[step])
        recalibrate(model, x, batch_size=recording.batch_size)
        _, first = next(batch_norms(model))
        found[step] = Population(first.running_mean, first.running_var, accuracy(model, *load_digits().test))
    return found


class Sweep(NamedTuple):
    """What each momentum would have given over the last epoch of one training run.

    Attributes:
        batch_size: images per mini-batch, m.
        steps: updates, k.
        momenta: the weights w of a new batch.
        distance: of the first BN layer's running means from the means over the training set, in standard deviations;
            root mean square over channels and over moments of the last epoch.
        noise: what k independent batches of a network at rest would give, sqrt(w / ((2 - w) * m)).
        accuracy: on the test digits in inference, mean over the same moments.
        possible: the same with the statistics of the whole training set.
    """

    batch_size: int
    steps: int
    momenta: tuple[float, ...]
    distance: tuple[float, ...]
    noise: tuple[float, ...]
    accuracy: tuple[float, ...]
    possible: float


@cache
def momentum_sweep(momenta: tuple[float, ...], *, batch_size: int = 32, epochs: int = 5, seed: int = 0) -> Sweep:
    """One training run, and the running statistics that each of `momenta` would have kept."""
    recording, stops = _last_epoch(epochs, batch_size, seed)
    population = population_at(recording, stops)
    distance, accuracies = [], []
    for momentum in momenta:
        means, _ = running_statistics(recording.batches[0], momentum)
        away = [(means[stop] - population[stop].mean) / np.sqrt(population[stop].var) for stop in stops]
        distance.append(float(np.sqrt(np.mean(np.square(away)))))
        by_stop = inference_accuracy(recording, momentum)
        accuracies.append(float(np.mean([by_stop[stop] for stop in stops])))
    return Sweep(
        batch_size=batch_size,
        steps=recording.steps,
        momenta=momenta,
        distance=tuple(distance),
        noise=tuple(average_noise(w, batch_size) for w in momenta),
        accuracy=tuple(accuracies),
        possible=float(np.mean([population[stop].accuracy for stop in stops])),
    )


def _last_epoch(epochs: int, batch_size: int, seed: int) -> tuple[Recording, tuple[int, ...]]:
    """A recorded run, and the moments of its last epoch at which the network is put to use: the end and 8 before it."""
    per_epoch = len(load_digits().train[1]) // batch_size
    recording = record(epochs=epochs, batch_size=batch_size, every=per_epoch // 8, seed=seed)
    return recording, tuple(step for step in recording.states if step > recording.steps - per_epoch)


def average_noise(momentum: float, m: int) -> float:
    """Standard deviation of an exponential average of the means of m independent values, after many updates.

        sqrt(w / (2 - w) / m), in standard deviations of one value, with w = momentum

    because the weights w * (1 - w)**j have squares that add up to w / (2 - w).
    """
    momentum = check.number(momentum, "momentum", low=0.0, high=1.0)
    return float(np.sqrt(momentum / (2 - momentum) / m))


# Bugs


def predict_on_batch_statistics(model: Sequential, x: Array, order: Array, *, batch_size: int) -> Array:
    """Labels predicted in training mode, where the company in the batch has a say; `model` is left as it was.

    Args:
        model: the network.
        x: the images, `(N, ...)`.
        order: the rows of x in the order in which batches take them, `(N,)`.
        batch_size: images per batch.

    Returns:
        The predicted label of each row of x, `(N,)`, in the order of x.
    """
    predicted = np.empty(len(x), dtype=np.int64)
    with only_looked_at(model):
        model.train()
        for rows in np.array_split(order, -(-len(order) // batch_size)):
            predicted[rows] = model.forward(x[rows]).argmax(axis=1)
    return predicted


def accuracy_on_batch_statistics(model: Sequential, *, batch_size: int = 32, seed: int = 0) -> float:
    """Accuracy on the test digits in training mode, in shuffled batches: what a forgotten `eval()` reports."""
    x, labels = load_digits().test
    order = np.random.default_rng(seed).permutation(len(x))
    return float(np.mean(predict_on_batch_statistics(model, x, order, batch_size=batch_size) == labels))


class Forgotten(NamedTuple):
    """Predictions of the same network for the same test digits, with `eval()` forgotten.

    Attributes:
        inference: accuracy as it should be measured.
        mixed: accuracy in training mode, batches mixed at random.
        changed: share of the images whose label changes when the batches are mixed anew.
        sorted: accuracy in training mode, images sorted by class, so that an image's company looks like itself.
    """

    inference: float
    mixed: float
    changed: float
    sorted: float


def eval_forgotten(*, batch_size: int = 8, seed: int = 0) -> Forgotten:
    """Predict the test digits in training mode in three groupings: two random ones, and sorted by class."""
    model, _ = trained(seed=seed)
    x, labels = load_digits().test
    rng = np.random.default_rng(seed)
    one, other, by_class = (
        predict_on_batch_statistics(model, x, order, batch_size=batch_size)
        for order in (rng.permutation(len(x)), rng.permutation(len(x)), np.argsort(labels, kind="stable"))
    )
    return Forgotten(
        inference=accuracy(model, x, labels),
        mixed=float(np.mean(one == labels)),
        changed=float(np.mean(one != other)),
        sorted=float(np.mean(by_class == labels)),
    )


class Modes(NamedTuple):
    """A network trained in a mode that was not meant.

    Attributes:
        losses: of every step, in nats.
        accuracy: on the test digits in inference, after each epoch.
        updates: how many batches each BN layer has tracked at the end.
        running_mean: the largest absolute entry of the first BN layer's running mean at the end.
        healthy: the losses of the same network, always trained in training mode.
    """

    losses: Array
    accuracy: tuple[float, ...]
    updates: int
    running_mean: float
    healthy: Array


@cache
def trained_in_eval(*, after: int = 0, epochs: int = 5, batch_size: int = 32, seed: int = 0) -> Modes:
    """Train with `eval()` on from some epoch onwards: from the start, or from the validation after the first epoch.

    From the start, each BN layer divides by sqrt(1 + eps) and normalizes nothing. Later, it goes on with the statistics
    of the network as it was then.

    Args:
        after: how many epochs are in training mode before `eval()` is called, never to be undone.
        epochs: passes over the 1437 training images.
        batch_size: images per mini-batch.
        seed: of weights and shuffles.
    """
    model, rng = new_network(seed=seed)
    optimizer = SGD(model, LEARNING_RATE)
    (x, labels), test = load_digits()
    per_epoch = len(x) // batch_size
    losses, accuracies = [], []
    for epoch in range(epochs):
        if epoch == after:
            model.eval()
        order = rng.permutation(len(x))
        for step in range(per_epoch):
            rows = order[step * batch_size : (step + 1) * batch_size]
            losses.append(train_step(model, optimizer, x[rows], labels[rows]))
        accuracies.append(accuracy(model, *test))
    _, healthy = trained(epochs=epochs, batch_size=batch_size, seed=seed)
    _, first = next(batch_norms(model))
    return Modes(
        losses=np.array(losses),
        accuracy=tuple(accuracies),
        updates=int(first.num_batches_tracked),
        running_mean=float(np.abs(first.running_mean).max()),
        healthy=np.array(healthy),
    )


class Gap(NamedTuple):
    """Accuracy on the test digits by two kinds of statistics, of the same network.

    Attributes:
        batch: with those of shuffled batches of 32 test digits.
        inference: with the running ones.
        population: with those of the whole training set.
    """

    batch: float
    inference: float
    population: float


def inference_gap(*, epochs: int = 2, momentum: float = 0.01, seed: int = 0) -> Gap:
    """Train for so many epochs of 44 updates, and compare running statistics with those of batches and of all data."""
    model, _ = trained(epochs=epochs, momentum=momentum, seed=seed)
    batch = accuracy_on_batch_statistics(model, seed=seed)
    inference = accuracy(model, *load_digits().test)
    recalibrate(model, load_digits().train[0])
    return Gap(batch, inference, accuracy(model, *load_digits().test))


class Moving(NamedTuple):
    """What is left of a network after it predicted in training mode.

    Attributes:
        before: accuracy on the test digits in inference, before.
        after: the same network's, after.
        moved: how far its running means went, in running standard deviations; root mean square over all channels.
    """

    before: float
    after: float
    moved: float


def still_moving(*, digit: int = 1, passes: int = 1, batch_size: int = 8, seed: int = 0) -> Moving:
    """Predict all test images of one digit in training mode, some times over, then measure accuracy on all digits."""
    model, _ = trained(seed=seed)
    x, labels = load_digits().test
    before = accuracy(model, x, labels)
    old = [(layer.running_mean, layer.running_var) for _, layer in batch_norms(model)]
    model.train()
    stream = np.tile(x[labels == digit], (passes, 1))
    for rows in np.array_split(stream, -(-len(stream) // batch_size)):
        model.forward(rows)
    away = [
        (layer.running_mean - mean) / np.sqrt(var)
        for (_, layer), (mean, var) in zip(batch_norms(model), old, strict=True)
    ]
    return Moving(before, accuracy(model, x, labels), float(np.sqrt(np.mean(np.square(away)))))


class Swapped(NamedTuple):
    """Accuracy on the test digits in inference over the states of a last epoch, averaged over training runs.

    Attributes:
        momentum: the weight of a new batch.
        mean: over these states and runs.
        jump: mean absolute change from one of these states to the next.
        by_run: the mean over the states, for each run.
    """

    momentum: float
    mean: float
    jump: float
    by_run: tuple[float, ...]


def swapped_momentum(
    momentum: float, *, batch_size: int = 4, epochs: int = 3, seeds: Sequence[int] = range(5)
) -> Swapped:
    """Training runs looked at with `momentum`: inference accuracy at 8 or more moments of their last epochs."""
    runs = []
    for seed in seeds:
        recording, stops = _last_epoch(epochs, batch_size, seed)
        by_stop = inference_accuracy(recording, momentum)
        runs.append([by_stop[stop] for stop in stops])
    by_run = np.mean(runs, axis=1)
    jump = float(np.mean(np.abs(np.diff(runs, axis=1))))
    return Swapped(momentum, float(by_run.mean()), jump, tuple(map(float, by_run)))


Freezing: TypeAlias = Literal["requires_grad", "eval once", "freeze"]


class FineTuned(NamedTuple):
    """A network whose layers were frozen before a new head was trained on them, for new images.

    Attributes:
        before: accuracy on the test digits with the old head, before.
        after: the same with the same head, after: the layers below were frozen.
        new: accuracy of the new head on the new images.
        changed: names of the arrays of the frozen layers that are not what they were.
    """

    before: float
    after: float
    new: float
    changed: tuple[str, ...]


@cache
def fine_tuned(
    freezing: Freezing, *, images: int = 320, epochs: int = 5, batch_size: int = 16, seed: int = 0
) -> FineTuned:
    """Freeze the trained network up to its last layer, and train a new last layer on negatives: light for dark.

    The training loop is the usual one: `train()` at the start of each epoch. Only the new layer is given to the
    optimizer, so no weight, no gamma and no beta below it can move.

    Args:
        freezing: what was done to BN. "requires_grad": nothing more, as in PyTorch where parameters get
            requires_grad = False. "eval once": its layers were put into inference mode before training. "freeze":
            `layer.freeze()`, which is what Keras does for trainable = False.
        images: training images of the new kind.
        epochs: passes over them.
        batch_size: images per mini-batch.
        seed: of the trained network, the new layer and the shuffles.

    Source: torch.nn.Module.train and torch.nn.BatchNorm1d; keras.layers.BatchNormalization, on `trainable`.
    """
    model, _ = trained(seed=seed)
    (x, labels), (test, test_labels) = load_digits()
    before, state = accuracy(model, test, test_labels), model.state_dict()

    rng = np.random.default_rng(seed)
    head = Dense(100, 10, rng=rng, dtype=np.float32)
    tuned, optimizer = Sequential(*model[:-1], head), SGD(head, LEARNING_RATE)
    for _, layer in batch_norms(tuned):
        if freezing == "eval once":
            layer.eval()
        if freezing == "freeze":
            layer.freeze()
    for _ in range(epochs):
        tuned.train()
        for rows in rng.permutation(images).reshape(-1, batch_size):
            train_step(tuned, optimizer, 1 - x[rows], labels[rows])
    return FineTuned(
        before=before,
        after=accuracy(model, test, test_labels),
        new=accuracy(tuned, 1 - test, test_labels),
        changed=tuple(name for name, value in model.state_dict().items() if not np.array_equal(value, state[name])),
    )


# Folding


class Folded(NamedTuple):
    """A network against its folded self on the test digits.

    Attributes:
        layers: how many the network has.
        layers_folded: how many are left.
        difference: largest difference of a logit, over the largest logit.
        disagree: how many of the 360 images get another label.
    """

    layers: int
    layers_folded: int
    difference: float
    disagree: int


def folded_against(model: Sequential, x: Array) -> Folded:
    """Compare `model` in inference with `fold_batch_norm(model)` on `x`; `model` is left in inference mode."""
    small = fold_batch_norm(model)
    y, y_folded = model.eval().forward(x), small.forward(x)
    return Folded(
        layers=len(model.stack),
        layers_folded=len(small.stack),
        difference=float(np.abs(y - y_folded).max() / np.abs(y).max()),
        disagree=int(np.sum(y.argmax(axis=1) != y_folded.argmax(axis=1))),
    )


def folding_difference(*, seed: int = 0) -> float:
    """The largest relative difference that folding makes to a logit of a trained dense network or CNN (float32)."""
    dense = folded_against(trained(seed=seed)[0], load_digits().test[0])
    cnn = folded_against(trained_cnn(seed=seed), load_digits(flat=False).test[0])
    return max(dense.difference, cnn.difference)
