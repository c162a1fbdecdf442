"""What the chapter measures: a generator that is told the class in several ways, and what can go wrong with it.

Every function returns numbers, and each source of randomness is a seed in its signature.
"""

import copy
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np

from bn_book.data import load_digits
from bn_book.modulation.adversary import Batches, dueled
from bn_book.modulation.generator import (
    CLASSES,
    F32,
    PIXELS,
    Generator,
    Rows,
    Where,
    bare_batch_norm,
    by_class,
    discrepancy,
    falling,
    judge,
    noise,
    one_hot,
    spread,
)
from bn_book.networks import Adam, Part, parts_of
from bn_book.runs import cache
from bn_lib._arrays import Array
from bn_lib.batchnorm import BatchNorm
from bn_lib.modulation import AttentiveNorm, adaptive_instance_norm
from bn_lib.network import Dense
from bn_lib.normalizers import batch_norm, conditional_batch_norm

SEEDS = (0, 1, 2)
STEPS = 450
RATE = 3e-3
LARGE_RATE = 20 * RATE
PER_CLASS = 15  # drawn and real images of each class in a mini-batch
DRAWN = 100  # images of each class that are judged

#: The ways to tell the class that are compared, with what they are called: where it enters, and whether there is BN.
WAYS: Mapping[tuple[Where, bool], str] = {
    ("nowhere", True): "nowhere",
    ("input", True): "input",
    ("γ and β", True): "γ and β",
    ("input", False): "input",
    ("γ and β", False): "γ and β",
}


# By hand


class Conditional(NamedTuple):
    """Conditional BN of one feature with exact numbers, eps 0, and the way back.

    Attributes:
        x: the values.
        labels: their classes.
        gamma, beta: of each class.
        dy: the gradient with respect to each output.
    """

    x: tuple[Fraction, ...]
    labels: tuple[int, ...]
    gamma: tuple[Fraction, ...]
    beta: tuple[Fraction, ...]
    dy: tuple[Fraction, ...]

    @property
    def mean(self) -> Fraction:
        """Of all values, whatever their class."""
        return sum(self.x, Fraction(0)) / len(self.x)

    @property
    def variance(self) -> Fraction:
        """Of all values, divided by how many they are."""
        return sum(((x - self.mean) ** 2 for x in self.x), Fraction(0)) / len(self.x)

    @property
    def deviation(self) -> Fraction:
        """The root of the variance.

        Raises:
            ValueError: if it is not a fraction.
        """
        root = Fraction(float(np.sqrt(float(self.variance)))).limit_denominator(1000)
        if root**2 != self.variance:
            raise ValueError(f"x has the variance {self.variance}; expected the square of a fraction")
        return root

    @property
    def x_hat(self) -> tuple[Fraction, ...]:
        """The standardized values."""
        return tuple((x - self.mean) / self.deviation for x in self.x)

    @property
    def y(self) -> tuple[Fraction, ...]:
        """What the layer gives."""
        return tuple(self.gamma[c] * x + self.beta[c] for x, c in zip(self.x_hat, self.labels, strict=True))

    def of_class(self, values: Sequence[Fraction]) -> tuple[Fraction, ...]:
        """The sum of these values over each class."""
        return tuple(
            sum((v for v, c in zip(values, self.labels, strict=True) if c == row), Fraction(0))
            for row in range(len(self.gamma))
        )

    @property
    def dgamma(self) -> tuple[Fraction, ...]:
        """The gradient of each class's gamma."""
        return self.of_class([dy * x for dy, x in zip(self.dy, self.x_hat, strict=True)])

    @property
    def dbeta(self) -> tuple[Fraction, ...]:
        """The gradient of each class's beta."""
        return self.of_class(self.dy)

    @property
    def dx(self) -> tuple[Fraction, ...]:
        """The gradient of each value: straight, through the mean, and through the variance."""
        back = [self.gamma[c] * dy for dy, c in zip(self.dy, self.labels, strict=True)]
        level = sum(back, Fraction(0)) / len(back)
        along = sum((b * x for b, x in zip(back, self.x_hat, strict=True)), Fraction(0)) / len(back)
        return tuple((b - level - x * along) / self.deviation for b, x in zip(back, self.x_hat, strict=True))


def styled_as(content: Array, style: Array) -> Array:
    """AdaIN of two images of one channel: the content, with the mean and the standard deviation of the style."""
    found, _ = adaptive_instance_norm(content[np.newaxis, np.newaxis], style[np.newaxis, np.newaxis], eps=0.0)
    result: Array = found[0, 0]
    return result


# A generator


class Drawn(NamedTuple):
    """What a generator draws, judged.

    Attributes:
        right: the share of images in which the judge sees the class that was asked for.
        spread: how far images of a class are apart, in parts of what real ones are.
    """

    right: float
    spread: float


def descend(
    generator: Generator,
    parts: Sequence[Part],
    examples: Mapping[int, Array],
    *,
    steps: int,
    rng: np.random.Generator,
    rate: float = RATE,
    count: int = PER_CLASS,
) -> Iterator[None]:
    """Train parts of a generator to draw what the examples show, a step at a time.

    Args:
        generator: it is changed, in the mode that it is in.
        parts: what is trained.
        examples: for each class that is drawn, rows of the training images.
        steps: of Adam.
        rng: source of noise and mini-batches.
        rate: of the first step; it falls in a line to almost 0.
        count: images of each class in a mini-batch.
    """
    images = load_digits().train[0]
    optimizer = Adam(parts, rate, decays=(0.9, 0.99))
    labels = np.repeat(list(examples), count)
    shape = (len(examples), count, PIXELS)
    for optimizer.learning_rate in falling(rate, steps):
        rows = [rng.choice(of_class, count, replace=len(of_class) < count) for of_class in examples.values()]
        drawn = generator.draw(noise(len(labels), rng), labels)
        found = discrepancy(drawn.reshape(shape), images[np.concatenate(rows)].reshape(shape))
        generator.model.fill_grads(found.gradient.reshape(-1, PIXELS))
        optimizer.step()
        yield


def untrained(where: Where, *, with_bn: bool, seed: int) -> tuple[Generator, np.random.Generator]:
    """A generator before training, and the source of what its training draws by chance."""
    rng = np.random.default_rng((11, seed))
    return Generator(where, with_bn=with_bn, rng=rng), rng


@cache
def train(
    where: Where, *, with_bn: bool, seed: int = 0, steps: int = STEPS, without: int | None = None, rate: float = RATE
) -> Generator:
    """Train a generator. It is cached: who changes it, copies it first.

    Args:
        where: where the class enters.
        with_bn: whether it has BN.
        seed: of weights, mini-batches and noise.
        steps: of training.
        without: a class that is left out.
        rate: of the first step.
    """
    generator, rng = untrained(where, with_bn=with_bn, seed=seed)
    examples = {c: rows for c, rows in enumerate(by_class()) if c != without}
    for _ in descend(generator, parts_of(generator.model), examples, steps=steps, rng=rng, rate=rate):
        pass
    return generator


def asked(count: int = DRAWN) -> Array:
    """Labels, `count` of each class."""
    return np.repeat(np.arange(CLASSES), count)


def seen(images: Array, labels: Array) -> Drawn:
    """Images of all ten classes, judged."""
    real, classes = load_digits().test
    apart = [spread(images[labels == c]) / spread(real[classes == c]) for c in range(CLASSES)]
    return Drawn(float((judge()(images) == labels).mean()), float(np.mean(apart)))


def judged(generator: Generator, *, seed: int = 0) -> Drawn:
    """Draw `DRAWN` images of each class, with noise that no training saw, and judge them."""
    labels = asked()
    return seen(generator.sample(labels, seed=1000 + seed), labels)


@cache
def right(where: Where, *, with_bn: bool, seed: int = 0, rate: float = RATE) -> Drawn:
    """A generator of the chapter, judged."""
    return judged(train(where, with_bn=with_bn, seed=seed, rate=rate), seed=seed)


class Followed(NamedTuple):
    """Images drawn with gamma of one class and beta of another: what share the judge takes for either."""

    gamma: float
    beta: float


@cache
def follow(*, seed: int = 0, shifts: Sequence[int] = (1, 3, 5, 7)) -> Followed:
    """Draw with the gammas of one class and the betas of another, for several pairs of all ten classes."""
    generator = copy.deepcopy(train("γ and β", with_bn=True, seed=seed))
    labels = asked(DRAWN // 2)
    gammas = [rows.gamma for rows in generator.rows]
    shares = []
    for shift in shifts:
        for rows, gamma in zip(generator.rows, gammas, strict=True):
            rows.gamma = np.roll(gamma, shift, axis=0)
        seen = judge()(generator.sample(labels, seed=1000 + seed))
        shares.append((np.mean(seen == (labels - shift) % CLASSES), np.mean(seen == labels)))
    return Followed(*(float(share) for share in np.mean(shares, axis=0)))


# A new class


Learned: TypeAlias = Literal["its row", "everything", "everything, with the old images"]
LOOKS = (0, 20, 40, 80, 140, 200)
NEW = (5, 7, 3)  # the class that is left out, for each seed
SHOTS = 5
ROW_RATE = 2e-2


class NewClass(NamedTuple):
    """A class that a trained generator learns afterwards, at the steps of `LOOKS`.

    Attributes:
        new: the share of its images that are right.
        old: the share of the images of the other nine that are right.
        moved: the largest change of a pixel of an old class's image, from the first look to the last.
        numbers: how many parameters were trained.
    """

    new: Array
    old: Array
    moved: float
    numbers: int


@cache
def learn_new_class(
    learned: Learned,
    *,
    where: Where = "γ and β",
    with_bn: bool = True,
    shots: int = SHOTS,
    seed: int = 0,
    rate: float = RATE,
    row_rate: float = ROW_RATE,
) -> NewClass:
    """Train a generator on nine classes and then, with its running statistics frozen, a tenth on a few examples.

    Args:
        learned: what is trained for it: the row of gamma and beta of each layer (for a one-hot input, the row of the
            first weights), or all parameters, without or with the old classes' images in each mini-batch.
        where: where the class enters.
        with_bn: whether there is BN.
        shots: how many examples of the new class there are.
        seed: of everything; it says which class is new.
        rate: that of the nine classes before, and of all parameters afterwards.
        row_rate: that of the row.
    """
    new = NEW[seed % len(NEW)]
    old = [c for c in range(CLASSES) if c != new]
    generator = copy.deepcopy(train(where, with_bn=with_bn, seed=seed, without=new, rate=rate))
    generator.model.eval()
    rng = np.random.default_rng((14, seed))
    dense = generator.model.stack[0]
    if where == "input" and isinstance(dense, Dense):  # the last rows of the first weights are those of the classes
        first = len(dense.weight) - CLASSES
        row = [Part(dense, "weight", first + new)]
    else:
        first = 0
        row = [Part(rows, name, new) for rows in generator.rows for name in ("gamma", "beta")]
    for layer, name, place in row:
        value = getattr(layer, name).copy()
        value[place] = value[[first + c for c in old]].mean(axis=0)
        setattr(layer, name, value)
    examples = {new: rng.choice(by_class()[new], shots, replace=False)}
    if learned == "everything, with the old images":
        examples |= {c: by_class()[c] for c in old}
    parts = row if learned == "its row" else parts_of(generator.model)
    own, count = row_rate if learned == "its row" else rate, 3 * PER_CLASS if len(examples) == 1 else PER_CLASS
    steps = descend(generator, parts, examples, steps=LOOKS[-1], rng=rng, rate=own, count=count)
    labels = np.concatenate([np.full(DRAWN, new), np.repeat(old, DRAWN // 5)])
    seen = []
    for step in range(LOOKS[-1] + 1):
        if step in LOOKS:
            seen.append(generator.sample(labels, seed=1000 + seed))
        next(steps, None)
    hits = np.array([judge()(images) == labels for images in seen])
    moved = float(np.abs(seen[-1] - seen[0])[DRAWN:].max())
    return NewClass(hits[:, :DRAWN].mean(axis=1), hits[:, DRAWN:].mean(axis=1), moved, sum(part.size for part in parts))


# Whose statistics?

#: Which mean and variance an image is drawn with: those of training, or those of its mini-batch.
Whose: TypeAlias = Literal["running", "of all ten classes", "of one class"]
WHOSE: tuple[Whose, ...] = ("running", "of all ten classes", "of one class")


class Company(NamedTuple):
    """The share of right images of one generator, by the statistics that it draws them with.

    Attributes:
        running: those of training.
        mixed: of the mini-batch, which has all ten classes.
        alone: of the mini-batch, which has one class.
    """

    running: float
    mixed: float
    alone: float


@cache
def company(*, seed: int = 0) -> Company:
    """Draw the same noise with running statistics, and in training mode in two kinds of mini-batches."""
    generator = train("γ and β", with_bn=True, seed=seed)
    return Company(*(seen(draw_with(generator, whose, seed=seed), asked()).right for whose in WHOSE))


def draw_with(generator: Generator, whose: Whose, *, seed: int = 0) -> Array:
    """`DRAWN` images of each class. The generator stays as it is."""
    generator, labels = copy.deepcopy(generator), asked()
    if whose == "running":
        return generator.sample(labels, seed=1000 + seed)
    z = noise(len(labels), np.random.default_rng(1000 + seed))
    generator.model.train()
    if whose == "of all ten classes":
        return generator.draw(z, labels)
    each = [labels == c for c in range(CLASSES)]
    return np.concatenate([generator.draw(z[rows], labels[rows]) for rows in each])


@cache
def duel_right(batches: Batches, *, seed: int = 0) -> Drawn:
    """The generator of a GAN, judged."""
    return judged(dueled(batches, seed=seed), seed=seed)


# Identities


def attention_of_one(*, seed: int = 0) -> float:
    """The largest difference between BN and attention over one map, for an example's values."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(12, 5))
    layer = AttentiveNorm(1, 5, rng=rng)
    layer.gamma, layer.beta = rng.normal(size=(2, 1, 5))
    expected, _ = batch_norm(x, layer.gamma[0], layer.beta[0])
    return float(np.abs(layer.forward(x) - expected).max())


def table_is_attention(*, seed: int = 0, softly: float = 0.0) -> float:
    """The largest difference between conditional BN and a mixture in which an example's class has all the weight.

    Args:
        seed: of values and tables.
        softly: how much of the weight goes to the other rows instead.
    """
    rng = np.random.default_rng(seed)
    x, labels = rng.normal(size=(30, 4)).astype(F32), rng.integers(0, CLASSES, 30)
    rows = Rows(4, ("gamma", "beta"), rng)
    rows.gamma, rows.beta = rng.normal(size=(2, CLASSES, 4)).astype(F32)
    rows.mixture = (1 - softly) * one_hot(labels) + softly / CLASSES
    expected, _ = conditional_batch_norm(x, labels, rows.gamma, rows.beta)
    return float(np.abs(rows.forward(bare_batch_norm(4).forward(x)) - expected).max())


def style_given(*, seed: int = 0, content_only: bool = False) -> float:
    """How far mean and deviation of AdaIN's result are from those of the style, the larger of the two."""
    rng = np.random.default_rng(seed)
    images = load_digits().train[0]
    content, style = images[rng.integers(0, len(images), 2)].astype(float)
    result = content if content_only else styled_as(content, style)
    return float(max(abs(result.mean() - style.mean()), abs(result.std() - style.std())))


# What a page draws with


class Shipped(NamedTuple):
    """A generator in inference and a reader of what it draws, in whole numbers small enough for a page.

    Attributes:
        hidden: for each hidden layer `weight` and `bias`, in which BN's running statistics are already, and `gamma` and
            `beta`, a row for each class; in hundredths.
        output: `weight` and `bias` of the last layer; in hundredths.
        hands: noise to draw with, a row for each; in hundredths.
        reader: weights of a linear reader of digits, a column for each class, the last row for a constant; in
            thousandths.
    """

    hidden: list[dict[str, Any]]
    output: dict[str, Any]
    hands: list[list[int]]
    reader: list[list[int]]


def _whole(values: Array, parts: int = 100) -> Any:
    return np.rint(np.asarray(values, float) * parts).astype(int).tolist()


@cache
def linear_reader() -> Array:
    """Ridge regression from 64 pixels and a constant to the ten classes, `(65, 10)`."""
    images, labels = load_digits().train
    inputs = np.hstack([images, np.ones((len(images), 1))]).astype(float)
    found: Array = np.linalg.solve(inputs.T @ inputs + np.eye(PIXELS + 1), inputs.T @ one_hot(labels))
    return found


@cache
def shipped(*, hands: int = 5) -> Shipped:
    """The generator with conditional BN and seed 0, as a page gets it."""
    generator = train("γ and β", with_bn=True)
    *hidden, last = [layer for layer in generator.model.stack if isinstance(layer, Dense)]
    norms = [layer for layer in generator.model.stack if isinstance(layer, BatchNorm)]
    layers = []
    for dense, norm, rows in zip(hidden, norms, generator.rows, strict=True):
        deviation = np.sqrt(norm.running_var + norm.eps)
        folded = {"weight": dense.weight / deviation, "bias": -norm.running_mean / deviation}
        layers.append({name: _whole(v) for name, v in (folded | {"gamma": rows.gamma, "beta": rows.beta}).items()})
    return Shipped(
        layers,
        {"weight": _whole(last.weight), "bias": _whole(last.bias)},
        _whole(noise(hands, np.random.default_rng(15))),
        _whole(linear_reader(), 1000),
    )


def two_contrasts() -> tuple[Array, Array]:
    """A digit in full ink, and another that is faint on gray paper."""
    images, labels = load_digits().test
    content, style = (images[np.flatnonzero(labels == c)[0]].astype(float) for c in (3, 7))
    return content, 0.35 + 0.3 * style
