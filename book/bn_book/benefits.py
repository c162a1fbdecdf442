"""What we know: each benefit that is promised of BN, with who says so, what the ledger measured, and who disputes it.

The verdicts are the book's. Their numbers are the ledger's: `what_we_know` takes them from its results.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bn_book.claims import Measured
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
        "True here of mini-batches that are not tiny, and for the most part it is bought by a good start: a network "
        "that is standardized once, before training, has most of the gain, and BN adds to it.",
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
        "The benefit that stands firmest: BN trains at rates at which a network that was standardized once does not, "
        "and over a sixfold range its speed hardly changes; but only weights in front of a BN take any rate, and with "
        "sigmoids BN's lead at a small rate was no smaller.",
        claimed_by=("ioffe2015batch", "bjorck2018understanding", "arora2019theoretical"),
        disputed_by=("de2020batch",),
        measured=(
            "bn-trains-at-many-learning-rates",
            "bn-trains-at-more-rates",
            "bn-tunes-its-rate",
            "weights-before-bn-take-any-rate",
            "at-a-small-rate-bn-loses-most-of-its-lead",
            "at-a-small-rate-bn-loses-its-lead-with-sigmoids",
        ),
    ),
    Benefit(
        "Less care with the initialization",
        "Half true: weights may be far too small, but far too large ones hardly turn in a step and accuracy is lost, "
        "unless the learning rate grows with the square of the weights.",
        claimed_by=("ioffe2015batch",),
        disputed_by=(),
        measured=("small-weights-do-no-harm", "large-weights-do-no-harm"),
    ),
    Benefit(
        "A regularizer",
        "The noise is there and grows as batches shrink; that it improves the answers on new images showed only "
        "where there were few images to learn from, and there against BN with less noise.",
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
        "At the start BN keeps images apart, and what comes back grows by a constant factor with every layer; a deep "
        "network with BN trained only with skip connections, and with those a branch that starts at zero did without "
        "BN.",
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
        "No: batches of two examples cost BN much of its accuracy, though those of four cost little here; batch "
        "renormalization wins much of it back, and group normalization, which looks at one example alone, loses "
        "nothing.",
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
        "images with another contrast want statistics of their own, of all classes; against noise those did not help.",
        claimed_by=(),
        disputed_by=("ioffe2017renorm", "singh2019evalnorm", "wu2021rethinking"),
        measured=(
            "company-changes-prediction",
            "running-averages-lag",
            "new-statistics-undo-contrast",
            "new-statistics-help-against-noise",
            "statistics-of-one-class-lose-the-class",
        ),
    ),
    Benefit(
        "Because it reduces internal covariate shift",
        "The distributions do move less with BN, but BN whose distributions are kept moving by noise is about as fast, "
        "and of two networks without BN that move about as far one is several times faster: less movement alone is "
        "not the cause, though strong noise does slow a network that nothing normalizes.",
        claimed_by=("ioffe2015batch", "awais2021revisiting"),
        disputed_by=("santurkar2018does",),
        measured=(
            "sigmoid-inputs-move-less-with-bn",
            "as-much-movement-without-bn-from-larger-weights",
            "movement-alone-does-not-set-the-speed",
            "noisy-bn-is-as-fast-as-bn",
            "noisy-bn-moves-more-and-is-faster-by-widths-too",
            "smooth-and-unstable-is-slow",
        ),
    ),
    Benefit(
        "Because it makes the loss smoother",
        "In part: the gradient through the statistics lowers the curvature, and with ReLUs the loss was smoother than "
        "without BN, but with sigmoids it was rougher; how smooth a loss is depends on how its weights are written, "
        "and a smoother one need not be faster.",
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
        results: of the ledger. What a chapter claims that is not in the book is left out, and so is a benefit of which
            nothing was measured.

    Returns:
        MyST Markdown, as `ledger.cards`.
    """
    of_name = {result.claim.name: result for of_chapter in results.values() for result in of_chapter}
    measured = [(benefit, [of_name[name] for name in benefit.measured if name in of_name]) for benefit in BENEFITS]
    return "\n\n".join("\n".join(_lines(benefit, found)) for benefit, found in measured if found)


def _lines(benefit: Benefit, results: Sequence[Measured]) -> Iterator[str]:
    yield f"**{benefit.name}.** {benefit.says}\n"
    if benefit.claimed_by:
        yield f"- Claimed by {_cited(benefit.claimed_by)}."
    for result in results:
        name = result.claim.name
        low, high = number(min(result.values)), number(max(result.values))
        seeds = "" if len(result.values) == 1 else f" ({len(result.values)} seeds: {low} to {high})"
        ours = f"{number(result.value)} {plain(result.claim.unit)}{seeds}; range: {band(*result.claim.band)}"
        yield f"- Measured here: [{title(name)}](#claim-{name}): {ours}. {verdict(result)}"
    if benefit.disputed_by:
        yield f"- Disputed by {_cited(benefit.disputed_by)}."


def _cited(keys: tuple[str, ...]) -> str:
    cited = [f"{{cite:t}}`{key}`" for key in keys]
    return " and ".join((", ".join(cited[:-1]), cited[-1])) if len(cited) > 1 else cited[0]
