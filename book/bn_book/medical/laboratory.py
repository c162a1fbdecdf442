"""The chapter's laboratory: one detector, and a third scanner to build."""

import matplotlib.pyplot as plt
import numpy as np

from bn_book.colours import COLOURS
from bn_book.laboratory import SIZE, Each, Laboratory, Outcome, choose
from bn_book.medical.experiments import GAINS, METHODS, Answers, auc, detectors, result, trained_as
from bn_book.medical.phantoms import RARE, Scanner, phantoms, tissues


def run(each: Each, *, method: str, gain: float, gamma: float, noise: float, seed: int) -> Outcome:
    """Ask one detector about the images of a scanner."""
    scanner = Scanner(gain=gain, offset=-0.3, gamma=gamma, noise=noise)
    rng = np.random.default_rng((51, seed))
    t, labels = tissues(1000, prevalence=RARE, rng=rng)
    x, others = scanner.scan(t, rng), phantoms(scanner, 500, prevalence=RARE, rng=rng).x
    made = detectors(trained_as(method), seed=seed)
    if METHODS[method].recomputed:
        made = made.adapted(others)
    answers = Answers(made.scores(x), labels, made.scores(others))
    threshold = result(method, seed=seed).threshold
    fig, ax = plt.subplots(figsize=SIZE)
    seen = np.clip(answers.scores, -9.9, 9.9)
    for label, colour in ((0, "muted"), (1, "accent")):
        of_label = seen[labels == label]
        ax.hist(of_label, np.linspace(-10, 10, 31).tolist(), weights=np.full(len(of_label), 1 / len(of_label)),
                color=COLOURS[colour], alpha=0.6)  # fmt: skip
    ax.axvline(np.clip(threshold, -9.9, 9.9), color=COLOURS["without_bn"], linestyle="--")
    ax.axvline(np.clip(answers.own, -9.9, 9.9), color=COLOURS["with_bn"])
    ax.set(xlim=(-10, 10), ylim=(0, 0.6), xlabel="score (logit)", ylabel="share of images")
    carried, own = answers.above(threshold), answers.above(answers.own)
    return Outcome(
        fig,
        f"Scores of images without a lesion, gray, and with one. The carried threshold, dashed, is at {threshold:.1f} "
        f"and the scanner's own, a line, at {answers.own:.1f}.",
        {
            "AUC": f"{auc(answers.scores, labels):.3f}",
            "carried threshold": f"sensitivity {carried[0]:.2f}, specificity {carried[1]:.2f}",
            "own threshold": f"sensitivity {own[0]:.2f}, specificity {own[1]:.2f}",
        },
    )


def laboratory() -> Laboratory:
    """The laboratory, with z-scores and the unseen scanner of the chapter."""
    return Laboratory(
        "Which change of the scanner costs a method its ranking, and which only its threshold?",
        run,
        {
            "method": choose("method", tuple(METHODS), "z-score"),
            "gain": choose("gain", GAINS, 0.6),
            "gamma": choose("gamma", (0.6, 0.8, 1.0, 1.35, 1.8), 1.35),
            "noise": choose("noise", (0.02, 0.05, 0.1, 0.2), 0.05),
            "seed": choose("seed", (0, 1, 2, 3, 4), 0),
        },
    )
