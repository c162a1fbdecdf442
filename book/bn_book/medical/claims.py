"""The claims of the chapter on medical images, and one that did not reproduce."""

import math

import numpy as np

from bn_book.claims import Claim
from bn_book.medical.detectors import BATCH, STEPS
from bn_book.medical.experiments import (
    CT_STEPS,
    company,
    ct_auc,
    level_given_back,
    moved_by_gain,
    other_lesions,
    result,
    specificity_recomputed,
)
from bn_book.medical.phantoms import CT_SIDE, HEALTHY, ILL, RARE, SIDE

_RUN = (
    f"Generated heads of {SIDE} x {SIDE} pixels; three strided convolutions, {STEPS} mini-batches of {BATCH} from two "
    f"scanners, half of the images with a lesion. Tested at one lesion in {1 / RARE:.0f}"
)
_CARRIED = "at the threshold that gives 0.95 of the healthy on the known scanners"


def _both(method: str, seed: int, *, unseen: bool) -> float:
    """The mean of sensitivity and specificity at the carried threshold."""
    found = result(method, seed=seed)
    row = found.unseen if unseen else found.known
    return (row.sensitivity + row.specificity) / 2


def _lost(method: str, seed: int) -> float:
    return _both(method, seed, unseen=False) - _both(method, seed, unseen=True)


def _ranking_lost(method: str, seed: int) -> float:
    """How much of the AUC the unseen scanner costs."""
    found = result(method, seed=seed)
    return found.known.auc - found.unseen.auc


def _matched_behind(lesions: str, seed: int) -> float:
    return other_lesions("z-score", lesions, seed=seed) - other_lesions("matched", lesions, seed=seed)


def _fewer_ill(layers: tuple[int, ...] | None, seed: int) -> float:
    """How much specificity falls when statistics come from images of which few have a lesion, and not half."""
    balanced, rare = (specificity_recomputed(share, seed=seed, layers=layers) for share in (0.5, RARE))
    return balanced - rare


CLAIMS = (
    Claim(
        name="a-z-score-does-not-see-gain-and-offset",
        kind="an identity",
        says="A scan that is standardized by itself is the same in every scanner that differs by a gain and an offset.",
        source="ulyanov2016instance",
        run="100 phantoms, each also times 2 plus 3, and a trained network that gets z-scores.",
        measure=lambda seed: moved_by_gain("z-score", seed=seed),
        band=(-math.inf, 0.01),
        unit="largest change of a score, in standard deviations of all scores",
        wrong="IN behind each convolution, with zeros around what it gets",
        gives=lambda: moved_by_gain("IN"),
    ),
    Claim(
        name="a-level-that-is-kept-can-be-given-back",
        kind="an identity",
        says="Standardizing loses a mean and a deviation and nothing else: with both, the scan is there again.",
        source="ulyanov2016instance",
        run="20 phantoms, float64.",
        measure=lambda seed: level_given_back(seed=seed),
        band=(-math.inf, 1e-12),
        unit="largest difference of an intensity",
        wrong="mean and deviation thrown away",
        gives=lambda: level_given_back(kept=False),
    ),
    Claim(
        name="per-scan-normalization-lets-the-ranking-transfer",
        kind="put to the test",
        says="Normalizing intensities before a network gets them is vital. Our test: with z-scores of each scan, "
        "images of an unseen scanner are ranked as well as those of the known ones.",
        source="reinhold2019evaluating",
        run=f"{_RUN}; and on a third scanner.",
        measure=lambda seed: _ranking_lost("z-score", seed),
        band=(-math.inf, 0.01),
        unit="AUC on the known scanners minus AUC on the unseen one",
        wrong="BN with the running statistics of the known scanners in the place of z-scores",
        gives=lambda: _ranking_lost("BN", 0),
    ),
    Claim(
        name="a-threshold-does-not-transfer",
        kind="put to the test",
        says="Networks may get much worse on other scanners. Our test: z-scores rank the unseen scanner's images as "
        "well as the known ones', and a threshold that is carried over still loses specificity.",
        source="karani2018lifelong",
        run=f"{_RUN}; with z-scores, {_CARRIED}.",
        measure=lambda seed: (
            result("z-score", seed=seed).known.specificity - result("z-score", seed=seed).unseen.specificity
        ),
        band=(0.1, 1.0),
        unit="specificity on the known scanners minus that on the unseen one",
        wrong="the threshold set by the unseen scanner's unlabelled scores",
        gives=lambda: result("z-score").known.own_specificity - result("z-score").unseen.own_specificity,
    ),
    Claim(
        name="bn-degrades-on-another-scanner",
        kind="made by",
        says="The accuracy of a network may degrade severely on images from other scanners than those of training.",
        source="karani2018lifelong",
        run=f"{_RUN}; with BN, running statistics, {_CARRIED}.",
        measure=lambda seed: _lost("BN", seed),
        band=(0.2, 1.0),
        unit="mean of sensitivity and specificity on the known scanners minus that on the unseen one",
        wrong="statistics recomputed on unlabelled images of the unseen scanner",
        gives=lambda: _lost("BN, recomputed", 1),
    ),
    Claim(
        name="recomputed-statistics-adapt-to-a-scanner",
        kind="made by",
        says="Replacing the statistics of BN by those of unlabelled images of the new domain makes a network fit it.",
        source="li2018adaptive",
        run=f"{_RUN}; with BN, {_CARRIED}; the threshold of each is found as it is used.",
        measure=lambda seed: _both("BN, recomputed", seed, unseen=True) - _both("BN", seed, unseen=True),
        band=(0.15, 1.0),
        unit="mean of sensitivity and specificity, recomputed minus running",
        wrong="no difference",
        gives=lambda: 0.0,
    ),
    Claim(
        name="a-distance-of-zero-is-not-a-good-detector",
        kind="put to the test",
        says="Mapping each scan's histogram to a standard one makes intensities comparable, but where there is disease "
        "the same place of the histogram may be another tissue. Our test: with matched histograms, and a distance of "
        "zero between scanners, lesions are found worse than with z-scores.",
        source="madabhushi2006new",
        run=f"{_RUN}, on the unseen scanner.",
        measure=lambda seed: _matched_behind("as in the table", seed),
        band=(0.05, 1.0),
        unit="AUC with z-scores minus AUC with matched histograms",
        wrong="lesions of twice the radius",
        gives=lambda: _matched_behind("twice the radius", 0),
    ),
    Claim(
        name="a-patients-score-depends-on-the-company",
        kind="put to the test",
        says="Whoever uses the statistics of a batch in use is exposed to who else is in it. Our test: the same "
        "patients with a lesion, among 63 healthy ones and among 63 ill ones.",
        source="vianna2025channel",
        run=f"{_RUN}; BN in training mode, 12 patients, the mean of their logits.",
        measure=lambda seed: float(np.subtract(*company("BN", seed=seed)[[0, -1]]).mean()),
        band=(2.0, math.inf),
        unit="logit among healthy ones minus logit among ill ones",
        wrong="IN",
        gives=lambda: float(np.subtract(*company("IN")[[0, -1]]).mean()),
    ),
    Claim(
        name="recomputing-where-few-are-ill-moves-the-threshold",
        kind="put to the test",
        says="Recomputed statistics are vulnerable to another share of each class. Our test: the same two scanners, "
        "and statistics of images of which one in 21 has a lesion, where training had one in two.",
        source="vianna2025channel",
        run=f"{_RUN}; with BN, at the threshold of its running statistics.",
        measure=lambda seed: _fewer_ill(None, seed),
        band=(0.1, 1.0),
        unit="specificity with half of them ill minus specificity with one in 21",
        wrong="only the first layer's statistics recomputed",
        gives=lambda: _fewer_ill((1,), 0),
    ),
    Claim(
        name="later-layers-feel-the-share-of-ill",
        kind="made by",
        says="Later layers are more sensitive to another share of each class than earlier ones.",
        source="vianna2025channel",
        run=f"{_RUN}; with BN, one layer's statistics recomputed on images of the known scanners.",
        measure=lambda seed: _fewer_ill((3,), seed) - _fewer_ill((1,), seed),
        band=(0.1, 1.0),
        unit="specificity lost by the third layer minus that lost by the first",
        wrong="the second layer in the place of the third",
        gives=lambda: _fewer_ill((2,), 0) - _fewer_ill((1,), 0),
    ),
    Claim(
        name="where-the-level-is-the-cue-a-z-score-is-blind",
        kind="put to the test",
        says="CT gets one mean and one deviation for all scans, other images those of each scan. Our test: patches "
        "that differ in their level only.",
        source="isensee2021nnunet",
        run=f"600 patches of {CT_SIDE} x {CT_SIDE} pixels at {ILL:.0f} or {HEALTHY:.0f} Hounsfield units, {CT_STEPS} "
        f"mini-batches of {BATCH}.",
        measure=lambda seed: ct_auc("none", seed=seed) - ct_auc("z-score", seed=seed),
        band=(0.3, 1.0),
        unit="AUC with one affine map for all minus AUC with z-scores of each",
        wrong="z-scores with mean and deviation given back",
        gives=lambda: ct_auc("none") - ct_auc("preserved"),
    ),
    Claim(
        name="in-finds-more-than-bn",
        kind="made by",
        says="Of BN, IN, LN and GN in a U-Net for medical images, IN, or GN with many groups, is the most accurate.",
        source="zhou2019normalization",
        run=f"{_RUN}, on the known scanners.",
        measure=lambda seed: result("IN", seed=seed).known.auc - result("BN", seed=seed).known.auc,
        band=(0.002, 1.0),
        unit="AUC with IN minus AUC with BN",
        wrong="no difference",
        gives=lambda: 0.0,
        reproduces=False,
    ),
)
