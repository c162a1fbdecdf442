"""What follows from the axes of a mean: invariances, what leaks, what pads, what depth does to a transformer.

The networks are in `bn_book.axes.sequences`. Every function returns numbers; drawing is in `bn_book.axes.figures`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Literal, NamedTuple, TypeAlias

import numpy as np

from bn_book.axes.sequences import Norm, Place, Recurrent, Transformer
from bn_book.data import load_digits
from bn_book.networks import Adam, parts_of
from bn_book.runs import cache
from bn_lib._arrays import Array
from bn_lib.batchnorm import BatchNorm, LayerNorm, RMSNorm
from bn_lib.layer import Layer, only_looked_at
from bn_lib.network import Dense, ReLU, Sequential, softmax_cross_entropy
from bn_lib.training import SGD

SEEDS = (0, 1, 2)

# Any axes


class Choice(NamedTuple):
    """Which values of a block `(N, C, H, W)` share a mean.

    Attributes:
        axes: of the mean, among "N", "C", "H", "W".
        groups: into how many groups of neighbours the channels are taken, if "C" is among the axes.
        center: whether the mean is subtracted, or only a root mean square divided by.
    """

    axes: str
    groups: int = 1
    center: bool = True


#: The normalizers that have a name, with their choice in a block of images.
NAMED: Mapping[str, Choice] = {
    "BN": Choice("NHW"),
    "LN": Choice("CHW"),
    "GN": Choice("CHW", groups=2),
    "IN": Choice("HW"),
    "LN, each position": Choice("C"),
    "RMS, each position": Choice("C", center=False),
}


def normalize_over(x: Array, choice: Choice, eps: float = 0.0) -> Array:
    """x_hat = (x - mean) / sqrt(var + eps) with both over the chosen axes of x `(N, C, H, W)`.

    Without the mean x / sqrt(mean(x**2) + eps). Over no axis each value is its own mean.
    """
    split = x.reshape(len(x), choice.groups, -1, *x.shape[2:])  # channels: a group, and its place in the group
    if choice.groups > 1 and "C" not in choice.axes:
        raise ValueError(f"choice has {choice.groups} groups over the axes {choice.axes!r}; expected C among them")
    axes = tuple({"N": 0, "C": 2, "H": 3, "W": 4}[axis] for axis in choice.axes)
    centered = split - split.mean(axis=axes, keepdims=True) if choice.center else split
    y: Array = centered / np.sqrt((centered**2).mean(axis=axes, keepdims=True) + eps)
    return y.reshape(x.shape)


#: What is changed: a part of the block, as an index.
PARTS: Mapping[str, tuple[slice | int, ...]] = {
    "everything": (slice(None),),
    "one sample": (0,),
    "one channel": (slice(None), 0),
    "one map": (0, 0),
    "one position": (slice(None), slice(None), 0, 0),
}
CHANGES: Mapping[str, Callable[[Array], Array]] = {"+": lambda part: part + 5.0, "×": lambda part: 3.0 * part}


def unchanged(choice: Choice, part: str, change: str, *, seed: int = 0) -> bool:
    """Whether the output stays the same when a part of the block is shifted, or scaled. Tried, on random numbers."""
    x = np.random.default_rng(seed).normal(size=(3, 4, 2, 3))
    moved = x.copy()
    moved[PARTS[part]] = CHANGES[change](x[PARTS[part]])
    return bool(np.abs(normalize_over(moved, choice) - normalize_over(x, choice)).max() < 1e-9)


def hears(choice: Choice, axis: int, *, seed: int = 0) -> bool:
    """Whether an output depends on a value with another index along an axis, 0 to 3 for N, C, H, W. Tried."""
    x = np.random.default_rng(seed).normal(size=(3, 4, 2, 3))
    moved = x.copy()
    other = [0, 0, 0, 0]
    other[axis] = 1
    moved[tuple(other)] += 1.0
    return bool(abs(normalize_over(moved, choice) - normalize_over(x, choice))[0, 0, 0, 0] > 1e-9)


def sharing(choice: Choice, shape: tuple[int, int, int, int], chosen: tuple[int, int, int, int]) -> Array:
    """Which values of a block of this shape share the statistics of the chosen one, as booleans. Tried, one by one."""
    x = np.random.default_rng(0).normal(size=shape)
    alone = normalize_over(x, choice)[chosen]
    found: Array = np.zeros(shape, bool)
    for place in np.ndindex(shape):
        moved = x.copy()
        moved[place] += 1.0
        found[place] = place == chosen or abs(normalize_over(moved, choice)[chosen] - alone) > 1e-9
    return found


# By hand


def block_by_hand() -> list[list[list[Fraction]]]:
    """Two samples of two channels of two positions; whatever shares a mean has a standard deviation without root."""
    return [[[Fraction(value) for value in row] for row in rows] for rows in (((12, -6), (4, 10)), ((10, 4), (2, -4)))]


class Piece(NamedTuple):
    """Values that share a mean, exactly.

    Attributes:
        values: as they came in, in the order of the block.
        mean: theirs.
        std: the root of their variance.
        out: the normalized values.
    """

    values: tuple[Fraction, ...]
    mean: Fraction
    std: Fraction
    out: tuple[Fraction, ...]


def pieces_by_hand(axes: str) -> list[Piece]:
    """The pieces of `block_by_hand` over axes among "N", "C" and "T".

    Raises:
        ValueError: if a standard deviation is no fraction.
    """
    block = block_by_hand()
    places = [(n, c, t) for n in range(2) for c in range(2) for t in range(2)]
    own = {place: tuple(i for i, axis in zip(place, "NCT", strict=True) if axis not in axes) for place in places}
    found = []
    for piece in sorted(set(own.values())):
        values = tuple(block[n][c][t] for n, c, t in places if own[n, c, t] == piece)
        mean = sum(values, Fraction(0)) / len(values)
        variance = sum(((value - mean) ** 2 for value in values), Fraction(0)) / len(values)
        std = Fraction(math.isqrt(variance.numerator), math.isqrt(variance.denominator))
        if std**2 != variance:
            raise ValueError(f"values {values} have the variance {variance}; expected the square of a fraction")
        found.append(Piece(values, mean, std, tuple((value - mean) / std for value in values)))
    return found


# Dice: what a network reads out of the statistics

FACES = 6
THROWS = 8
GUESSING = math.log(FACES)  # nats: nobody does better at a fair die

DiceNorm: TypeAlias = Literal["BN", "BN, rows mixed", "LN", "RMS", "none"]


class Dice(NamedTuple):
    """A network that was trained to predict the next throw of a die.

    Attributes:
        training: its loss over the last tenth of training, as training sees it, in nats.
        inference: on new throws, in inference mode, in nats.
        right: how many throws it got right at the end of training, from 0 to 1.
        losses: of every step.
    """

    training: float
    inference: float
    right: float
    losses: Array


def throws(series: int, rng: np.random.Generator) -> tuple[Array, Array]:
    """Series of throws as rows: for each throw all those before it, and it itself as the label.

    Returns:
        `(series * THROWS, THROWS * FACES)`, the faces of the past as ones, and the next faces, from 0.
    """
    faces = rng.integers(0, FACES, (series, THROWS + 1))
    seen = np.eye(FACES, dtype=np.float32)[faces[:, :-1]]
    past = np.tri(THROWS, dtype=np.float32)[:, :, np.newaxis]
    return (seen[:, np.newaxis] * past).reshape(series * THROWS, -1), faces[:, 1:].ravel()


def dice_network(norm: DiceNorm, rng: np.random.Generator) -> Sequential:
    """Two dense layers of 64 ReLUs, each with the normalizer, and one that gives a score to each face."""
    makes: dict[DiceNorm, Callable[[], Layer]] = {
        "BN": lambda: BatchNorm(64, dtype=np.float32),
        "BN, rows mixed": lambda: BatchNorm(64, dtype=np.float32),
        "LN": lambda: LayerNorm(64, dtype=np.float32),
        "RMS": lambda: RMSNorm(64, dtype=np.float32),
    }
    layers: list[Layer] = []
    inputs = THROWS * FACES
    for _ in range(2):
        layers.append(Dense(inputs, 64, rng=rng, dtype=np.float32))
        layers += [makes[norm]()] if norm in makes else []
        layers.append(ReLU())
        inputs = 64
    return Sequential(*layers, Dense(inputs, FACES, rng=rng, dtype=np.float32))


@cache
def dice(norm: DiceNorm, series: int = 1, *, steps: int = 1000, seed: int = 0) -> Dice:
    """Train on fresh throws only, by SGD with momentum, from a learning rate of 0.1 down to 0.

    Args:
        norm: "BN, rows mixed" has as many rows in a mini-batch as "BN", each of another series.
        series: in a mini-batch, each with its `THROWS` rows.
        steps: of training.
        seed: of the weights and the throws.
    """
    rng = np.random.default_rng([seed, 71])
    model = dice_network(norm, rng)
    optimizer = SGD(model, 0.1, momentum=0.9)
    losses, right = np.empty(steps), np.empty(steps)
    for step in range(steps):
        optimizer.learning_rate = 0.1 * (1 - step / steps)
        if norm == "BN, rows mixed":
            x, faces = throws(series * THROWS, rng)
            rows = np.arange(series * THROWS) * THROWS + np.tile(np.arange(THROWS), series)
            x, faces = x[rows], faces[rows]
        else:
            x, faces = throws(series, rng)
        scores = model.forward(x)
        losses[step], dscores = softmax_cross_entropy(scores, faces)
        right[step] = (scores.argmax(axis=1) == faces).mean()
        model.fill_grads(dscores)
        optimizer.step()
    last = steps // 10
    with only_looked_at(model):
        x, faces = throws(400, np.random.default_rng([seed, 72]))
        inference, _ = softmax_cross_entropy(model.eval().forward(x), faces)
    return Dice(losses[-last:].mean(), inference, right[-last:].mean(), losses)


# Who hears whom


def influence(norm: Norm, *, training: bool = True, seed: int = 0) -> Array:
    """How much the scores of a causal transformer before training depend on each token.

    A batch of two sequences of six tokens; each token in turn is replaced by all others.

    Returns:
        `(6, 2, 6)`: the mean change of the scores at a position of the first sequence, by sequence and place of the
        token, divided by the change of its own scores at the last place.
    """
    tokens, length = 6, 6
    model = Transformer(norm, tokens=tokens, outputs=tokens, positions=length, seed=seed, dtype=np.float64)
    x = np.random.default_rng([seed, 73]).integers(0, tokens, (2, length))
    model.scores(x)  # a first batch for the running statistics
    if not training:
        model.eval()
    found = np.zeros((length, 2, length))
    with only_looked_at(model):
        before = model.scores(x)
        for sequence in range(2):
            for place in range(length):
                for token in set(range(tokens)) - {int(x[sequence, place])}:
                    other = x.copy()
                    other[sequence, place] = token
                    found[:, sequence, place] += np.abs(model.scores(other) - before)[0].mean(axis=1) / (tokens - 1)
    return found / found[-1, 0, -1]


# Sorting: sequences of different lengths

DIGITS = 10
LONGEST = 8
COLUMNS = 12
PAD = DIGITS


class Lesson(NamedTuple):
    """Sequences to be sorted: `tokens` and `targets` `(N, T)`, and where they are `valid`."""

    tokens: Array
    targets: Array
    valid: Array


def to_sort(lengths: Array, columns: int, rng: np.random.Generator) -> Lesson:
    """Random digits of these lengths, padded to some columns, and the same digits in order."""
    valid = np.arange(columns) < lengths[:, np.newaxis]
    tokens = np.where(valid, rng.integers(0, DIGITS, valid.shape), PAD)
    return Lesson(tokens, np.where(valid, np.sort(tokens, axis=1), 0), valid)


@cache
def sorter(norm: Norm, *, steps: int = 300, seed: int = 0) -> tuple[Transformer, float]:
    """A transformer of one block, trained to sort sequences of 2 to 8 digits, 32 in a mini-batch, by Adam.

    Returns:
        The network, and its loss over the last twentieth of training.
    """
    rng = np.random.default_rng([seed, 74])
    model = Transformer(norm, tokens=DIGITS + 1, outputs=DIGITS, positions=COLUMNS, causal=False, seed=1000 + seed)
    optimizer = Adam(parts_of(model), 0.01)
    losses = []
    for step in range(steps):
        optimizer.learning_rate = 0.01 * min(1, (step + 1) / 20) * (1 - step / steps)
        lesson = to_sort(rng.integers(2, LONGEST + 1, 32), LONGEST, rng)
        losses.append(model.loss_and_gradients(*lesson))
        optimizer.step()
    return model, float(np.mean(losses[-steps // 20 :]))


def wrong_digits(norm: Norm, *, statistics: Literal["running", "batch"] = "running", seed: int = 0) -> float:
    """The share of digits that a trained sorter puts wrong, in 640 new sequences of all lengths, 32 at a time."""
    model, _ = sorter(norm, seed=seed)
    rng = np.random.default_rng([seed, 75])
    wrong = []
    with only_looked_at(model):
        if statistics == "running":
            model.eval()
        for _ in range(20):
            tokens, targets, valid = to_sort(rng.integers(2, LONGEST + 1, 32), LONGEST, rng)
            wrong.append((model.scores(tokens, valid).argmax(axis=-1) != targets)[valid])
    return float(np.concatenate(wrong).mean())


class Padding(NamedTuple):
    """What empty columns do to the answers for the same sequences.

    Attributes:
        columns: how wide the batch was.
        changed: the largest change of a probability, against a batch without padding, for each width.
        wrong: the share of digits put wrong, for each width.
    """

    columns: tuple[int, ...]
    changed: Array
    wrong: Array


def padded(norm: Norm, *, statistics: Literal["running", "batch"] = "batch", seed: int = 0) -> Padding:
    """Give a trained sorter 20 batches of 8 sequences of 4 digits, in 4 to 12 columns."""
    model, _ = sorter(norm, seed=seed)
    columns = (4, 6, 8, 10, 12)
    rng = np.random.default_rng([seed, 76])
    probabilities = np.empty((len(columns), 20, 8, 4, DIGITS))
    wrong = np.empty((len(columns), 20))
    with only_looked_at(model):
        if statistics == "running":
            model.eval()
        for batch in range(20):
            full = to_sort(np.full(8, 4), 4, rng)
            for at, width in enumerate(columns):
                empty = ((0, 0), (0, width - 4))
                tokens = np.pad(full.tokens, empty, constant_values=PAD)
                scores = model.scores(tokens, np.pad(full.valid, empty))[:, :4]
                odds = np.exp(scores - scores.max(axis=-1, keepdims=True))
                probabilities[at, batch] = odds / odds.sum(axis=-1, keepdims=True)
                wrong[at, batch] = (scores.argmax(axis=-1) != full.targets).mean()
    changed = np.abs(probabilities - probabilities[0]).max(axis=(1, 2, 3, 4))
    return Padding(columns, changed, wrong.mean(axis=1))


def one_at_a_time(norm: Norm, *, statistics: Literal["running", "batch"] = "running", seed: int = 0) -> float:
    """The largest change of a probability when a trained sorter gets a sequence of 8 digits alone, and not among 32."""
    model, _ = sorter(norm, seed=seed)
    tokens, _, _ = to_sort(np.full(32, LONGEST), LONGEST, np.random.default_rng([seed, 77]))

    def probabilities(of: Array) -> Array:
        scores = model.scores(of)
        odds = np.exp(scores - scores.max(axis=-1, keepdims=True))
        return odds / odds.sum(axis=-1, keepdims=True)

    with only_looked_at(model):
        if statistics == "running":
            model.eval()
        together = probabilities(tokens)
        alone = np.concatenate([probabilities(each[np.newaxis]) for each in tokens])
    return float(np.abs(together - alone).max())


# Digits row by row: statistics of steps


class Read(NamedTuple):
    """A recurrent network that read digits row by row.

    Attributes:
        right: the share of test digits that it names, in inference; with BN by statistics of each step.
        shared: the same with one set of statistics for all steps; NaN without BN.
        late: the same if each step takes the statistics of the step before it, a defect; NaN without BN.
        mean_per_step: running mean `(steps, units)` divided by the running standard deviation; zeros without BN.
    """

    right: float
    shared: float
    late: float
    mean_per_step: Array


@cache
def read_digits(norm: Norm, *, steps: int = 8, epochs: int = 8, seed: int = 0) -> Read:
    """Train h = tanh(norm(x w + h u)) with 32 units on digits cut into pieces, by Adam at 0.005.

    Args:
        norm: "BN", "LN" or "none".
        steps: pieces of a digit: 8 rows, or 16 half rows.
        epochs: of training, mini-batches of 60.
        seed: of weights and mini-batches.
    """
    digits = load_digits()
    rng = np.random.default_rng([seed, 78])
    (images, labels), (new, answers) = digits.train, digits.test
    pieces, new_pieces = (x.reshape(len(x), steps, -1) for x in (images, new))
    recurrent = Recurrent(norm, 64 // steps, 32, steps, rng=rng)
    model = Sequential(recurrent, Dense(32, 10, rng=rng, init=32**-0.5, dtype=np.float32))
    optimizer = Adam(parts_of(model), 0.005)
    for _ in range(epochs):
        order = rng.permutation(len(pieces))
        for start in range(0, len(order) - 59, 60):
            rows = order[start : start + 60]
            _, dscores = softmax_cross_entropy(model.forward(pieces[rows]), labels[rows])
            model.fill_grads(dscores)
            optimizer.step()
    model.eval()

    def right() -> float:
        return float((model.forward(new_pieces).argmax(axis=1) == answers).mean())

    found, mean, var = right(), recurrent.mean_per_step, recurrent.var_per_step
    if norm != "BN":
        return Read(found, math.nan, math.nan, mean / np.sqrt(var))
    recurrent.mean_per_step, recurrent.var_per_step = np.roll(mean, 1, axis=0), np.roll(var, 1, axis=0)
    late = right()
    recurrent.shared = True
    return Read(found, right(), late, mean / np.sqrt(var))


# Depth


@cache
def gradients(norm: Norm, place: Place, depth: int, *, seed: int = 0) -> Array:
    """The norm of the loss gradient with respect to the last matrix of each block before training, first block first.

    A network of width 32 that is to sort 32 sequences of 8 digits. Geometric means of four networks.
    """
    found = np.empty((4, depth))
    for draw in range(4):
        model = Transformer(
            norm,
            place,
            depth=depth,
            width=32,
            tokens=DIGITS + 1,
            outputs=DIGITS,
            positions=LONGEST,
            causal=False,
            seed=2000 + 4 * seed + draw,
        )
        rng = np.random.default_rng([seed, draw, 79])
        model.loss_and_gradients(*to_sort(np.full(32, LONGEST), LONGEST, rng))
        last = [layer for layer in model.layers() if isinstance(layer, Dense) and layer.weight.shape == (128, 32)]
        found[draw] = [np.linalg.norm(layer.grads["weight"].astype(np.float64)) for layer in last]
    return np.exp(np.log(found).mean(axis=0))


DEPTHS = (2, 4, 8, 16, 32)


def power_of_depth(norm: Norm, place: Place, *, seed: int = 0) -> float:
    """The power of the depth with which the last block's gradient grows, from 4 to 32 blocks."""
    depths = DEPTHS[1:]
    last = [gradients(norm, place, depth, seed=seed)[-1] for depth in depths]
    return float(np.polyfit(np.log(depths), np.log(last), 1)[0])


@cache
def deep(
    norm: Norm,
    place: Place = "pre",
    *,
    warm_up: int = 0,
    learning_rate: float = 0.004,
    depth: int = 8,
    steps: int = 160,
    seed: int = 0,
) -> Array:
    """The loss of every step of a deep transformer that learns to sort 6 digits, 16 sequences in a mini-batch, by Adam.

    Args:
        norm: the normalizer or what stands in its place.
        place: of the normalizers.
        warm_up: steps over which the learning rate grows from 0.
        learning_rate: afterwards.
        depth: blocks.
        steps: of training; after a loss that is no number all are infinite.
        seed: of the weights and the digits.
    """
    rng = np.random.default_rng([seed, 80])
    model = Transformer(
        norm, place, depth=depth, tokens=DIGITS, outputs=DIGITS, positions=6, causal=False, seed=3000 + seed
    )
    optimizer = Adam(parts_of(model), learning_rate)
    losses = np.full(steps, np.inf)
    for step in range(steps):
        optimizer.learning_rate = learning_rate * min(1, (step + 1) / max(1, warm_up))
        tokens = rng.integers(0, DIGITS, (16, 6))
        loss = model.loss_and_gradients(tokens, np.sort(tokens, axis=1))
        if not math.isfinite(loss):
            break
        losses[step] = loss
        optimizer.step()
    return losses


def final(losses: Array) -> float:
    """The mean of the last ten losses."""
    return float(losses[-10:].mean())
