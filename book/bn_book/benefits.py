"""What we know: each benefit that is promised of BN, with who says so, what the ledger measured, and who disputes it.

The verdicts are the book's. Their numbers are the ledger's: `what_we_know` takes them from its results.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from bn_book.ledger import Results, band, number, plain, title, verdict


@dataclass(frozen=True)
class Benefit:
    """One benefit.

    Attributes:
        name: what is promised, in a few words.
        says: the book's verdict, in one sentence.
        claimed_by: citation keys of those who promise it; none for what is silently taken for granted.
        disputed_by: citation keys of those who say or measured otherwise; may be none.
        measured: names of the ledger's claims that bear on it, on either side.
    """

    name: str
    says: str
    claimed_by: tuple[str, ...]
    disputed_by: tuple[str, ...]
    measured: tuple[str, ...]


BENEFITS = (
    Benefit(
        "Faster convergence",
        "True of every network here, and for the most part it is bought by a good start: a network that is "
        "standardized once, before training, has most of the gain, and BN adds to it.",
        claimed_by=("ioffe2015batch",),
        disputed_by=("mishkin2016good", "brock2021high"),
        measured=(
            "sigmoid-network-trains-faster-with-bn",
            "initialization-buys-much-of-the-speed",
            "bn-is-faster-at-its-best-rate",
        ),
    ),
    Benefit(
        "Higher learning rates",
        "The benefit that stands firmest: BN trains at rates at which the others diverge, over more decades than any "
        "start without it, and on most of them it is as fast as at its best.",
        claimed_by=("ioffe2015batch", "bjorck2018understanding", "arora2019theoretical"),
        disputed_by=(),
        measured=(
            "bn-trains-at-many-learning-rates",
            "bn-trains-over-three-decades-of-rates",
            "bn-tunes-its-rate",
            "at-a-small-rate-bn-loses-most-of-its-lead",
            "at-a-small-rate-bn-loses-its-lead-with-sigmoids",
        ),
    ),
    Benefit(
        "Less care with the initialization",
        "Half true: weights may be far too small, but from far too large ones the steps are too short to learn with, "
        "unless the learning rate grows with the square of the weights.",
        claimed_by=("ioffe2015batch",),
        disputed_by=(),
        measured=("small-weights-do-no-harm", "large-weights-do-no-harm"),
    ),
    Benefit(
        "A regularizer",
        "The noise is there and grows as batches shrink; that it improves the answers on new images showed only "
        "where there were few images to learn from.",
        claimed_by=("ioffe2015batch", "luo2019regularization", "hoffer2017train"),
        disputed_by=(),
        measured=(
            "fewer-values-regularize-more",
            "fewer-values-generalize-better",
            "small-ghosts-generalize-better-on-few-images",
        ),
    ),
    Benefit(
        "Dropout made redundant",
        "Not here: with BN, dropout still helped; and before a BN, whose statistics it changes, it has its price.",
        claimed_by=("ioffe2015batch",),
        disputed_by=("li2019understanding",),
        measured=("bn-makes-dropout-redundant", "dropout-before-bn-shifts-the-variance"),
    ),
    Benefit(
        "Depth",
        "What comes back grows by a constant factor with every layer, so a deep network with BN trains only with skip "
        "connections; with them BN helps at the start, and so does a branch that starts at zero.",
        claimed_by=("bjorck2018understanding", "daneshmand2020batch"),
        disputed_by=("yang2019mean", "de2020batch"),
        measured=(
            "bn-keeps-images-apart",
            "bn-and-relu-multiply-gradients",
            "deep-bn-needs-skips",
            "skipinit-does-without-bn",
        ),
    ),
    Benefit(
        "Any batch size",
        "No: batches of a few examples cost BN accuracy, and normalizers that look at one example alone lose nothing.",
        claimed_by=(),
        disputed_by=("wu2018group", "ioffe2017renorm"),
        measured=(
            "bn-fails-at-batch-size-2",
            "gn-keeps-its-accuracy-at-batch-size-2",
            "bn-falls-step-by-step-below-16",
            "renormalization-helps-batches-of-two",
        ),
    ),
    Benefit(
        "The same network in training and in use",
        "No: in training a prediction depends on the company it is in, running statistics lag behind the weights, and "
        "data that have changed want statistics of their own.",
        claimed_by=(),
        disputed_by=("ioffe2017renorm", "singh2019evalnorm", "wu2021rethinking"),
        measured=(
            "company-changes-prediction",
            "running-averages-lag",
            "new-statistics-undo-contrast",
            "statistics-of-one-class-lose-the-class",
        ),
    ),
    Benefit(
        "Because it reduces internal covariate shift",
        "The distributions do move less with BN, but a network whose distributions are kept moving by noise is as "
        "fast, and one whose distributions move as little is slow: that is not the cause.",
        claimed_by=("ioffe2015batch", "awais2021revisiting"),
        disputed_by=("santurkar2018does",),
        measured=(
            "sigmoid-inputs-move-less-with-bn",
            "movement-alone-does-not-set-the-speed",
            "noisy-bn-is-as-fast-as-bn",
            "noisy-bn-moves-more-and-is-faster-by-widths-too",
        ),
    ),
    Benefit(
        "Because it makes the loss smoother",
        "Largely, and by the gradient through the statistics; but how smooth a loss is depends on how its weights are "
        "written, and a smoother one need not be faster.",
        claimed_by=("santurkar2018does", "ghorbani2019investigation"),
        disputed_by=("awais2021revisiting", "dinh2017sharp"),
        measured=(
            "statistics-lower-the-curvature",
            "relu-network-is-smoother-with-bn",
            "sigmoid-network-is-smoother-with-bn",
            "stretched-weights-are-smoother-and-slower",
            "smooth-and-unstable-is-slow",
        ),
    ),
)


def what_we_know(results: Results) -> str:
    """Every benefit under a heading of its own: the verdict, who claims it, what was measured, who disputes it.

    Args:
        results: of the whole ledger.

    Returns:
        MyST Markdown, as `ledger.cards`.
    """
    return "\n\n".join("\n".join(_lines(benefit, results)) for benefit in BENEFITS)


def _lines(benefit: Benefit, results: Results) -> Iterator[str]:
    of_name = {result.claim.name: result for of_chapter in results.values() for result in of_chapter}
    yield f"**{benefit.name}.** {benefit.says}\n"
    if benefit.claimed_by:
        yield f"- Claimed by {_cited(benefit.claimed_by)}."
    for name in benefit.measured:
        result = of_name[name]
        low, high = number(min(result.values)), number(max(result.values))
        seeds = "" if len(result.values) == 1 else f" ({len(result.values)} seeds: {low} to {high})"
        ours = f"{number(result.value)} {plain(result.claim.unit)}{seeds}; range: {band(*result.claim.band)}"
        yield f"- Measured here: [{title(name)}](#claim-{name}): {ours}. {verdict(result)}"
    if benefit.disputed_by:
        yield f"- Disputed by {_cited(benefit.disputed_by)}."


def _cited(keys: tuple[str, ...]) -> str:
    cited = [f"{{cite:t}}`{key}`" for key in keys]
    return " and ".join((", ".join(cited[:-1]), cited[-1])) if len(cited) > 1 else cited[0]
