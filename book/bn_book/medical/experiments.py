"""What the chapter measures: detectors with each normalizer, on two scanners that they know and one that they do not.

Every function returns numbers, and each source of randomness is a seed in its signature. How images are generated is in
`phantoms`, the network in `detectors`.
"""

import copy
from collections.abc import Mapping, Sequence
from fractions import Fraction
from functools import partial
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np

from bn_book.medical.detectors import (
    BATCH,
    CHANNELS,
    STEPS,
    Make,
    MeanOf,
    detector,
    has_domains,
    scores,
    told,
    trained,
)
from bn_book.medical.phantoms import (
    CONTRAST,
    F32,
    RADIUS,
    RARE,
    SCANNERS,
    TRAINED,
    UNSEEN,
    Images,
    Scanner,
    ct,
    phantoms,
    tissues,
)
from bn_book.runs import cache, once
from bn_lib._arrays import Array
from bn_lib.batchnorm import BatchNorm, GroupNorm, InstanceNorm
from bn_lib.network import Conv2d, Dense, Sequential
from bn_lib.population import recompute_statistics
from bn_lib.statistics import DomainBatchNorm, HistogramPreservingNorm, match_histogram

SEEDS = (0, 1, 2, 3, 4)
FEW = SEEDS[:2]  # where networks are trained for one figure only
TRAINING = 800  # images of each scanner
LOOKED_AT = 500  # images of each scanner that a threshold is set by
TESTED = 1200
SPECIFIC = 0.95  # of healthy images below the carried threshold, on the scanners of the training
FLAGGED = 0.1  # of all images above a threshold that is set without labels
BINS = 10

Preparation: TypeAlias = Literal["as it is", "z-score", "matched", "preserved"]


class Method(NamedTuple):
    """What is done about intensities.

    Attributes:
        preparation: what is done to each scan before the network gets it.
        makes: the normalizer behind each convolution.
        recomputed: whether statistics are those of unlabelled images of the scanner that is tested.
    """

    preparation: Preparation = "as it is"
    makes: Sequence[Make] = (None,) * len(CHANNELS)
    recomputed: bool = False


def _everywhere(make: Make) -> Sequence[Make]:
    return (make,) * len(CHANNELS)


_bn = partial(BatchNorm, dtype=F32)
_instance = partial(InstanceNorm, dtype=F32)
_domain = partial(DomainBatchNorm, len(TRAINED), dtype=F32)

#: The methods of the table, by name.
METHODS: Mapping[str, Method] = {
    "none": Method(),
    "z-score": Method("z-score"),
    "BN": Method(makes=_everywhere(_bn)),
    "BN, recomputed": Method(makes=_everywhere(_bn), recomputed=True),
    "domain BN": Method(makes=_everywhere(_domain)),
    "domain BN, recomputed": Method(makes=_everywhere(_domain), recomputed=True),
    "IN": Method(makes=_everywhere(_instance)),
    "GN": Method(makes=_everywhere(partial(GroupNorm, 4, dtype=F32))),
    "matched": Method("matched"),
    "preserved": Method("preserved"),
}


def trained_as(method: str) -> str:
    """The method whose network this one has: recomputing comes after training."""
    return method.removesuffix(", recomputed")


#: IN behind one convolution only.
PLACES = tuple(range(1, len(CHANNELS) + 1))
IN_AT: Mapping[int, Method] = {
    place: Method(makes=[_instance if k == place else None for k in PLACES]) for place in PLACES
}


# Studies: images to train with, to set thresholds by, and to test on


class Study(NamedTuple):
    """Images of three scanners.

    Attributes:
        train: of the scanners A and B.
        looked_at: of all three; a few, as often with a lesion as in use. What is set without labels is set by them.
        test: of all three, as often with a lesion as in use.
        share: of the training images with a lesion; `use` is that of the others.
    """

    train: Mapping[str, Images]
    looked_at: Mapping[str, Images]
    test: Mapping[str, Images]
    share: float = 0.5
    use: float = RARE


Training: TypeAlias = Literal["balanced", "rare", "rare, drawn evenly"]


@once  # and not of a build: images are drawn sooner than they are read, and are many
def study(
    seed: int = 0, *, contrast: float = CONTRAST, radius: float = RADIUS, training: Training = "balanced"
) -> Study:
    """Phantoms, float32.

    Args:
        seed: of all images.
        contrast, radius: of the lesions.
        training: how many lesions there are to train with: in half of the images, in one of 21, or in one of 21, each
            drawn twenty times as often as an image without.
    """
    rng = np.random.default_rng((41, seed))
    share = 0.5 if training == "balanced" else RARE
    size = {"contrast": contrast, "radius": radius}

    def of(names: Sequence[str], count: int, prevalence: float) -> dict[str, Images]:
        return {name: phantoms(SCANNERS[name], count, prevalence=prevalence, rng=rng, **size) for name in names}

    train = of(TRAINED, TRAINING, share)
    if training == "rare, drawn evenly":
        train = {name: _evenly(images) for name, images in train.items()}
        share = 0.5
    return Study(train, of([*SCANNERS], LOOKED_AT, RARE), of([*SCANNERS], TESTED, RARE), share)


def _evenly(images: Images) -> Images:
    """The same images, those with a lesion repeated until they are as many as the others."""
    with_lesion, without = (np.flatnonzero(images.labels == label) for label in (1, 0))
    rows = np.concatenate([without, np.resize(with_lesion, len(without))])
    return Images(images.x[rows], images.labels[rows])


# Preparation and training


def prepared(x: Array, preparation: Preparation, reference: Array) -> Array:
    """Scans as a network gets them; `reference` is what histograms are matched to."""
    if preparation == "z-score":
        return InstanceNorm(1, affine=False, dtype=F32).forward(x)
    if preparation == "preserved":
        return HistogramPreservingNorm().forward(x)
    if preparation == "matched":
        return np.stack([match_histogram(scan, reference) for scan in x])
    return x


class Detector(NamedTuple):
    """A trained network with what its scans are prepared by."""

    model: Sequential
    preparation: Preparation
    reference: Array

    def prepare(self, x: Array) -> Array:
        """Scans as the network gets them."""
        return prepared(x, self.preparation, self.reference)

    def scores(self, x: Array, domain: int = 0) -> Array:
        """The score of each image of a scanner."""
        return scores(self.model, self.prepare(x), domain)

    def adapted(self, x: Array, *, domain: int = 0, layers: Sequence[int] | None = None) -> "Detector":
        """A copy with the statistics of these images, in all BN layers, or in some, counted from 1."""
        model = copy.deepcopy(self.model)
        norms = [layer for layer in model if isinstance(layer, BatchNorm | DomainBatchNorm)]
        for place, norm in enumerate(norms, 1):
            if layers is not None and place not in layers:
                norm.freeze()
        with told(model, np.full(len(x), domain)):
            recompute_statistics(model, [self.prepare(x)])
        return self._replace(model=model)


def fitted(method: Method, found: Study, *, seed: int, steps: int = STEPS, alone: bool = False) -> Detector:
    """Train a detector on a study's two scanners.

    Args:
        method: what is done about intensities.
        found: the images.
        seed: of the weights and the mini-batches.
        steps: of training.
        alone: whether each mini-batch has images of one scanner only.
    """
    first = found.train[TRAINED[0]].x
    reference = np.sort(first.ravel())[:: max(1, first.size // 1024)]
    rng = np.random.default_rng((42, seed))
    x = prepared(np.concatenate([found.train[name].x for name in TRAINED]), method.preparation, reference)
    labels = np.concatenate([found.train[name].labels for name in TRAINED])
    domains = np.repeat(np.arange(len(TRAINED)), [len(found.train[name].x) for name in TRAINED])
    model = detector(method.makes, rng, inputs=x.shape[1])
    trained(model, x, labels, domains, rng=rng, steps=steps, alone=alone)
    return Detector(model, method.preparation, reference)


# Measures


def auc(found: Array, labels: Array) -> float:
    """How often an image with a lesion has a higher score than one without; equal scores count half."""
    # SciPy has ranks, and a notebook in the browser would fetch 13 MB for them.
    healthy = np.sort(found[labels == 0])
    ill = found[labels == 1]
    below, not_above = (np.searchsorted(healthy, ill, side).sum() for side in ("left", "right"))
    return float((below + not_above) / 2 / (len(ill) * len(healthy)))


def probabilities(found: Array, *, share: float, use: float) -> Array:
    """The probability of a lesion, from the logits of a network that saw them more often than they are in use.

    By Bayes' rule the odds are those of the network, times the odds in use, divided by the odds in training.
    """
    shift = np.log(use / (1 - use)) - np.log(share / (1 - share))
    return np.asarray(0.5 * (1 + np.tanh(0.5 * (found + shift))))


class Reliability(NamedTuple):
    """Of each of ten bins of the probability: how many images, their mean probability, and the share with a lesion."""

    count: Array
    said: Array
    seen: Array

    @property
    def error(self) -> float:
        """The expected calibration error: the mean of |said - seen|, each image counting the same."""
        return float(np.abs(self.said - self.seen) @ self.count / self.count.sum())


def reliability(probability: Array, labels: Array) -> Reliability:
    """How often there is a lesion where the network says so with this probability."""
    place = np.minimum((probability * BINS).astype(int), BINS - 1)
    count = np.bincount(place, minlength=BINS)
    at_least = np.maximum(count, 1)
    said, seen = (np.bincount(place, weights, BINS) / at_least for weights in (probability, labels))
    return Reliability(count, said, seen)


def distance(one: Array, other: Array) -> float:
    """How far two sets of values `(N, C, H, W)` are apart, channel by channel: the Wasserstein distance.

    It is the mean distance between the k-th smallest value of the one and of the other, in standard deviations of the
    first; the mean over channels.
    """
    apart = []
    for channel in range(one.shape[1]):
        a, b = (np.quantile(values[:, channel], np.linspace(0, 1, 401)) for values in (one, other))
        apart.append(np.abs(a - b).mean() / one[:, channel].std())
    return float(np.mean(apart))


class Answers(NamedTuple):
    """What a detector says of a scanner's images.

    Attributes:
        scores: of each test image.
        labels: whether there is a lesion.
        looked_at: the scores of the unlabelled images.
    """

    scores: Array
    labels: Array
    looked_at: Array

    @property
    def own(self) -> float:
        """The threshold above which a tenth of the unlabelled images are."""
        return float(np.quantile(self.looked_at, 1 - FLAGGED))

    def above(self, threshold: float) -> tuple[float, float]:
        """Sensitivity and specificity at a threshold."""
        over = self.scores > threshold
        return float(over[self.labels == 1].mean()), float(1 - over[self.labels == 0].mean())


class Row(NamedTuple):
    """A row of the table, for one seed.

    Attributes:
        auc: how well images are ranked.
        sensitivity, specificity: at the threshold that is carried over from the scanners of the training.
        own_sensitivity, own_specificity: at the one set by the scanner's own unlabelled scores.
        ece: the expected calibration error.
        distance: how far the scanner's values are from those of A where normalizing is done, in standard deviations.
    """

    auc: float
    sensitivity: float
    specificity: float
    own_sensitivity: float
    own_specificity: float
    ece: float
    distance: float


class Result(NamedTuple):
    """One method and one seed.

    Attributes:
        known: the scanners of the training, taken together.
        unseen: the third one.
        answers: what was said of each scanner.
        threshold: that is carried over.
        reliability: of the known scanners, and of the unseen one.
    """

    known: Row
    unseen: Row
    answers: Mapping[str, Answers]
    threshold: float
    reliability: tuple[Reliability, Reliability]


def judged(made: Detector, found: Study, *, recomputed: bool = False) -> Result:
    """Test a detector on a study.

    Args:
        made: the detector.
        found: the images.
        recomputed: whether each scanner's statistics are recomputed on its unlabelled images.
    """
    answers, seen_as = {}, {}
    for k, (name, test) in enumerate(found.test.items()):
        domain = k if has_domains(made.model) and name in TRAINED else 0
        looking = made.adapted(found.looked_at[name].x, domain=domain) if recomputed else made
        answers[name] = Answers(
            looking.scores(test.x, domain), test.labels, looking.scores(found.looked_at[name].x, domain)
        )
        seen_as[name] = _normalized(looking, found.looked_at[name].x[:200], domain)
    healthy = [answers[name].looked_at[found.looked_at[name].labels == 0] for name in TRAINED]
    threshold = float(np.quantile(np.concatenate(healthy), SPECIFIC))
    rows, reliabilities = [], []
    for names in (TRAINED, (UNSEEN,)):
        together = Answers(*(np.concatenate([getattr(answers[n], what) for n in names]) for what in Answers._fields))
        correct = probabilities(together.scores, share=found.share, use=found.use)
        reliabilities.append(reliability(correct, together.labels))
        own_sensitivity, own_specificity = np.mean([answers[n].above(answers[n].own) for n in names], axis=0)
        apart = distance(seen_as[TRAINED[0]], seen_as[names[-1]])
        rows.append(
            Row(
                auc(together.scores, together.labels),
                *together.above(threshold),
                float(own_sensitivity),
                float(own_specificity),
                reliabilities[-1].error,
                apart,
            )
        )
    return Result(rows[0], rows[1], answers, threshold, (reliabilities[0], reliabilities[1]))


def _normalized(made: Detector, x: Array, domain: int) -> Array:
    """Values where normalizing is done: of the prepared scan, or behind the first normalizer of the network."""
    x, model = made.prepare(x), made.model
    places = [
        k for k, layer in enumerate(model) if isinstance(layer, BatchNorm | DomainBatchNorm | InstanceNorm | GroupNorm)
    ]
    if not places:
        return x[:, :1]
    with told(model, np.full(len(x), domain)):
        return model[: places[0] + 1].forward(x)


@cache
def detectors(
    method: str, *, seed: int = 0, contrast: float = CONTRAST, radius: float = RADIUS, training: Training = "balanced"
) -> Detector:
    """The detector of a method of the table, trained."""
    return fitted(METHODS[method], study(seed, contrast=contrast, radius=radius, training=training), seed=seed)


@cache
def result(
    method: str, *, seed: int = 0, contrast: float = CONTRAST, radius: float = RADIUS, training: Training = "balanced"
) -> Result:
    """A method of the table, tested."""
    made = detectors(trained_as(method), seed=seed, contrast=contrast, radius=radius, training=training)
    found = study(seed, contrast=contrast, radius=radius, training=training)
    return judged(made, found, recomputed=METHODS[method].recomputed)


def table(method: str, *, unseen: bool) -> Array:
    """The rows of all seeds, `(seeds, columns)`, in the order of `Row`."""
    found = (result(method, seed=seed) for seed in SEEDS)
    return np.array([each.unseen if unseen else each.known for each in found])


# Several scanners, several prevalences


class Mixed(NamedTuple):
    """BN trained with both scanners in each mini-batch, or with one in each, and used with running statistics.

    Attributes:
        right: the mean of sensitivity and specificity at a logit of 0, on the scanners of the training.
        alone: the same, with the statistics of the scanner's own images.
        apart: how far the two scanners' means are apart behind the first convolution, in running deviations; the
            largest of all channels.
    """

    right: float
    alone: float
    apart: float


@cache
def mixed(*, one_scanner: bool, seed: int = 0) -> Mixed:
    """Train BN in one way or the other."""
    found = study(seed)
    made = fitted(METHODS["BN"], found, seed=seed, alone=True) if one_scanner else detectors("BN", seed=seed)

    def right(own: bool) -> float:
        of_scanner = []
        for name in TRAINED:
            looking = made.adapted(found.train[name].x) if own else made
            answers = Answers(looking.scores(found.test[name].x), found.test[name].labels, np.zeros(0))
            of_scanner.append(np.mean(answers.above(0.0)))
        return float(np.mean(of_scanner))

    first = [made.model[:1].forward(found.looked_at[name].x).mean(axis=(0, 2, 3)) for name in TRAINED]
    norm = made.model[1]
    assert isinstance(norm, BatchNorm)
    apart = np.abs(first[0] - first[1]) / np.sqrt(norm.running_var)
    return Mixed(right(own=False), right(own=True), float(apart.max()))


PATIENTS = 12
SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)


@cache
def company(method: str, *, seed: int = 0) -> Array:
    """The logits of the same patients with a lesion, by how many of their mini-batch have one: `(shares, patients)`.

    Each is in a mini-batch with 63 others of the same two scanners, of which this share has a lesion, and the network
    is in training mode: it normalizes with what it is shown.
    """
    rng = np.random.default_rng((43, seed))
    pools = {
        label: np.concatenate([phantoms(SCANNERS[s], 2 * BATCH, prevalence=label, rng=rng).x for s in TRAINED])
        for label in (0, 1)
    }
    patients = np.concatenate([phantoms(SCANNERS[s], PATIENTS // 2, prevalence=1, rng=rng).x for s in TRAINED])
    made = detectors(method, seed=seed)
    made = made._replace(model=copy.deepcopy(made.model))
    made.model.train()
    logits = np.empty((len(SHARES), PATIENTS))
    for i, share in enumerate(SHARES):
        ill = round(share * (BATCH - 1))
        for j in range(PATIENTS):
            rows = [rng.choice(pools[label], count, replace=False) for label, count in ((1, ill), (0, BATCH - 1 - ill))]
            logits[i, j] = made.scores(np.concatenate([patients[j : j + 1], *rows]))[0]
    return logits


@cache
def specificity_recomputed(prevalence: float, *, seed: int = 0, layers: tuple[int, ...] | None = None) -> float:
    """Of BN on the scanners of its training: specificity at the threshold of its running statistics.

    The statistics are recomputed on other images of the same two scanners, of which this share has a lesion.

    Args:
        prevalence: in the images that statistics are recomputed on.
        seed: of everything.
        layers: which BN layers are recomputed, counted from 1; all by default.
    """
    rng = np.random.default_rng((44, seed))
    found, made = study(seed), detectors("BN", seed=seed)
    x = np.concatenate([phantoms(SCANNERS[s], LOOKED_AT, prevalence=prevalence, rng=rng).x for s in TRAINED])
    looking = made.adapted(x, layers=layers)
    healthy = np.concatenate([found.test[s].x[found.test[s].labels == 0] for s in TRAINED])
    return float((looking.scores(healthy) <= result("BN", seed=seed).threshold).mean())


@cache
def auc_recomputed(layers: tuple[int, ...], *, seed: int = 0) -> float:
    """Of BN on the unseen scanner, with the statistics of its unlabelled images in these layers only."""
    found, made = study(seed), detectors("BN", seed=seed)
    looking = made.adapted(found.looked_at[UNSEEN].x, layers=layers) if layers else made
    return auc(looking.scores(found.test[UNSEEN].x), found.test[UNSEEN].labels)


@cache
def in_at(place: int, *, seed: int = 0) -> Result:
    """A network with IN behind one convolution only, counted from 1."""
    found = study(seed)
    return judged(fitted(IN_AT[place], found, seed=seed), found)


# The phantoms' own assumptions

GAINS = (0.3, 0.6, 1.0, 1.8, 3.0)
GAMMAS = (0.6, 1.0, 1.35, 1.8)
#: Lesions that are fainter, or larger, than those of the table: contrast and radius.
LESIONS: Mapping[str, tuple[float, float]] = {
    "as in the table": (CONTRAST, RADIUS),
    "half the contrast": (CONTRAST / 2, RADIUS),
    "twice the radius": (CONTRAST, 2 * RADIUS),
}
BY_SCANNER = ("none", "z-score", "BN", "BN, recomputed", "preserved")
BY_LESION = ("none", "z-score", "BN, recomputed", "matched")


@cache
def other_scanner(method: str, scanner: Scanner, *, seed: int = 0) -> tuple[float, float, float]:
    """AUC, and specificity and sensitivity at the carried threshold, on any scanner, of the same patients."""
    test, others = _taken_by(scanner, seed)
    made = detectors(trained_as(method), seed=seed)
    if METHODS[method].recomputed:
        made = made.adapted(others)
    threshold = result(method, seed=seed).threshold
    answers = Answers(made.scores(test.x), test.labels, np.zeros(0))
    sensitivity, specificity = answers.above(threshold)
    return auc(answers.scores, test.labels), specificity, sensitivity


@cache
def _taken_by(scanner: Scanner, seed: int) -> tuple[Images, Array]:
    """Images to test on, half of them with a lesion, and others to recompute statistics on."""
    rng = np.random.default_rng((45, seed))
    test = phantoms(scanner, 400, prevalence=0.5, rng=rng)
    return test, phantoms(scanner, LOOKED_AT, prevalence=RARE, rng=rng).x


@cache
def other_lesions(method: str, lesions: str, *, seed: int = 0) -> float:
    """The AUC on the unseen scanner, trained and tested with other lesions."""
    contrast, radius = LESIONS[lesions]
    found = study(seed, contrast=contrast, radius=radius)
    made = detectors(trained_as(method), seed=seed, contrast=contrast, radius=radius)
    if METHODS[method].recomputed:
        made = made.adapted(found.looked_at[UNSEEN].x)
    return auc(made.scores(found.test[UNSEEN].x), found.test[UNSEEN].labels)


LONGER = 4  # times as many mini-batches


@cache
def longer(method: str, *, seed: int = 0) -> tuple[float, float]:
    """The AUC on the known scanners, taken together, and on the unseen one, of a network that was trained longer."""
    found = study(seed)
    made = fitted(METHODS[method], found, seed=seed, steps=LONGER * STEPS)
    at = {name: made.scores(images.x) for name, images in found.test.items()}

    def over(names: Sequence[str]) -> float:
        return auc(np.concatenate([at[n] for n in names]), np.concatenate([found.test[n].labels for n in names]))

    return over(TRAINED), over((UNSEEN,))


# CT: the level is the cue

CT_METHODS: Mapping[str, Method] = {name: METHODS[name] for name in ("none", "BN", "GN", "z-score", "IN", "preserved")}
CT_STEPS = 120


@cache
def ct_auc(method: str, *, seed: int = 0, padding: int = 0) -> float:
    """The AUC of a detector of CT-like patches whose level is the cue.

    All get the same affine map first, to mean 0 and deviation 1 over the training set. It keeps the level of each.

    Args:
        method: of `CT_METHODS`.
        seed: of everything.
        padding: zeros around what each convolution gets.
    """
    rng = np.random.default_rng((47, seed))
    train, test = ct(600, rng=rng), ct(600, rng=rng)
    mean, deviation = train.x.mean(), train.x.std()
    preparation, makes, _ = CT_METHODS[method]
    x, seen = (prepared((images.x - mean) / deviation, preparation, np.zeros(0)) for images in (train, test))
    model = detector(makes, rng, inputs=x.shape[1], pool=MeanOf, padding=padding)
    trained(model, x, train.labels, np.zeros(len(x), int), rng=rng, steps=CT_STEPS)
    return auc(scores(model, seen), test.labels)


# What follows from the numbers

NEAR, FAR = 0.02, 0.1  # how far from the best a method may be to be named with it, or must be to be warned of


class Decision(NamedTuple):
    """Which methods do best in one situation, and which clearly worse.

    Attributes:
        best: the one with the highest mean.
        near: the others whose means are less than `NEAR` below.
        far: those whose means are more than `FAR` below.
    """

    best: str
    near: tuple[str, ...]
    far: tuple[str, ...]


def decided(found: Mapping[str, Sequence[float]]) -> Decision:
    """Compare methods by the mean of their numbers over seeds, where more is better."""
    means = {name: float(np.mean(values)) for name, values in found.items()}
    order = sorted(means, key=means.__getitem__, reverse=True)
    top = means[order[0]]
    return Decision(
        order[0],
        tuple(name for name in order[1:] if means[name] > top - NEAR),
        tuple(name for name in order[1:] if means[name] < top - FAR),
    )


# By hand


class FiveValues(NamedTuple):
    """Five intensities, and three maps of them.

    Attributes:
        x: the intensities.
        gain, offset: of another scanner.
        reference: five intensities of another scan, in ascending order.
    """

    x: tuple[Fraction, ...]
    gain: Fraction
    offset: Fraction
    reference: tuple[Fraction, ...]

    @property
    def scanned(self) -> tuple[Fraction, ...]:
        """What the other scanner shows."""
        return tuple(self.gain * value + self.offset for value in self.x)

    @property
    def matched(self) -> tuple[Fraction, ...]:
        """The quantile map: the k-th smallest becomes the k-th smallest of the reference."""
        order = sorted(self.x)
        return tuple(self.reference[order.index(value)] for value in self.x)


def standardized(x: Sequence[Fraction]) -> tuple[Fraction, Fraction, tuple[Fraction, ...]]:
    """Mean, deviation and z-scores of a few numbers, exactly.

    Raises:
        ValueError: if the deviation is not a fraction.
    """
    mean = sum(x, Fraction(0)) / len(x)
    variance = sum(((value - mean) ** 2 for value in x), Fraction(0)) / len(x)
    deviation = Fraction(float(np.sqrt(float(variance)))).limit_denominator(1000)
    if deviation**2 != variance:
        raise ValueError(f"x has the variance {variance}; expected the square of a fraction")
    return mean, deviation, tuple((value - mean) / deviation for value in x)


def moved_by_gain(method: str, *, seed: int = 0) -> float:
    """The largest change of a score when gain and offset of a scan change, in standard deviations of the scores."""
    rng = np.random.default_rng((48, seed))
    x = phantoms(SCANNERS["A"], 100, prevalence=0.5, rng=rng).x
    made = detectors(method, seed=seed)
    before, after = made.scores(x), made.scores(2 * x + 3)
    return float(np.abs(after - before).max() / before.std())


def level_given_back(*, seed: int = 0, kept: bool = True) -> float:
    """The largest difference between scans and what `HistogramPreservingNorm` brings back of them, in units of x.

    Args:
        seed: of the scans.
        kept: whether mean and deviation are those of the scan; otherwise 0 and 1, as if they had been thrown away.
    """
    x = phantoms(SCANNERS["B"], 20, prevalence=0.5, rng=np.random.default_rng((49, seed))).x.astype(np.float64)
    layer = HistogramPreservingNorm()
    y = layer.forward(x)
    if not kept:
        y[:, 1], y[:, 2] = 0, 1
    return float(np.abs(layer.inverse(y) - x).max())


# What a page gets


class Shipped(NamedTuple):
    """Two networks and a head, as whole numbers in thousandths, for a page to compute with.

    Attributes:
        networks: "none" and "z-score": the weight and bias of each convolution, and of the dense layer for the
            difference of its logits.
        thresholds: of either, which leaves 0.95 of the healthy of the known scanners alone.
        heads: one head as tissue, without and with a lesion: 256 values each.
        grain: the noise of each pixel, with a standard deviation of 1.
    """

    networks: dict[str, dict[str, list[Any]]]
    thresholds: dict[str, int]
    heads: list[list[int]]
    grain: list[int]


HEAD = 14  # which of the 40 heads that are drawn is shown: both networks are right about it, with a lesion and without


@cache
def shipped() -> Shipped:
    """The networks of the first seed, and a head that neither has seen."""
    networks = {name: _in_thousandths(detectors(name).model) for name in ("none", "z-score")}
    thresholds = {name: round(1000 * result(name).threshold) for name in networks}
    heads = [tissues(40, prevalence=prevalence, rng=np.random.default_rng(52))[0][HEAD] for prevalence in (0.0, 1.0)]
    grain = np.random.default_rng(53).normal(size=heads[0].size)
    return Shipped(networks, thresholds, [_whole(head.ravel()) for head in heads], _whole(grain))


def _in_thousandths(model: Sequential) -> dict[str, list[Any]]:
    convolutions = [layer for layer in model if isinstance(layer, Conv2d)]
    (dense,) = (layer for layer in model if isinstance(layer, Dense))
    assert dense.bias is not None
    weight, bias = (value[..., 1] - value[..., 0] for value in (dense.weight, dense.bias))
    return {
        "weights": [_whole(layer.weight) for layer in convolutions],
        "biases": [_whole(layer.bias) for layer in convolutions],
        "output": _whole(np.append(weight, bias)),
    }


def _whole(values: Array) -> list[int]:
    found: list[int] = np.rint(1000 * np.asarray(values, np.float64)).astype(int).tolist()
    return found
