"""The chapter's laboratory: a generator, told the class in one way or another, and what it draws."""

import matplotlib.pyplot as plt

from bn_book.laboratory import SIZE, Each, Laboratory, Outcome, choose
from bn_book.modulation.experiments import LARGE_RATE, RATE, WHOSE, Whose, asked, descend, draw_with, seen, untrained
from bn_book.modulation.figures import draw_images
from bn_book.modulation.generator import CLASSES, PIXELS, Where, by_class
from bn_book.networks import parts_of

WHERE: tuple[Where, ...] = ("γ and β", "γ", "β", "input", "nowhere")
RATES = (0.0003, RATE, 0.015, LARGE_RATE, 0.24)  # of the first step
SHOWN = 7  # images of each class


def run(each: Each, *, normalizer: str, where: Where, statistics: Whose, rate: float, steps: int, seed: int) -> Outcome:
    """Train one generator, and show what it draws."""
    generator, rng = untrained(where, with_bn=normalizer == "BN", seed=seed)
    examples = dict(enumerate(by_class()))
    training = descend(generator, parts_of(generator.model), examples, steps=steps, rng=rng, rate=rate)
    for _ in each(range(steps)):
        next(training)
    images = draw_with(generator, statistics, seed=seed)
    found = seen(images, asked())
    fig, ax = plt.subplots(figsize=SIZE)
    draw_images(ax, images.reshape(CLASSES, -1, PIXELS)[:, :SHOWN].swapaxes(0, 1))
    return Outcome(
        fig,
        f"{SHOWN} drawn images of each class, 0 to 9 from left to right. The judge sees the class that was asked for "
        f"in {found.right:.0%} of them.",
        {"right, by the judge": f"{found.right:.3f}", "spread in a class": f"{found.spread:.2f} of real digits'"},
    )


def laboratory() -> Laboratory:
    """The laboratory, with conditional BN as in the chapter."""
    return Laboratory(
        "Where does the class have to enter, and how soon is it read? Which pictures need their running statistics? "
        "And who stands a larger learning rate?",
        run,
        {
            "normalizer": choose("normalizer", ("BN", "none"), "BN"),
            "where": choose("the class is in", WHERE, "γ and β"),
            "statistics": choose("statistics", WHOSE, "running"),
            "rate": choose("learning rate", RATES, RATE),
            "steps": choose("training steps", (0, 50, 150, 450, 1200), 450),
            "seed": choose("seed", (0, 1, 2, 3, 4), 0),
        },
    )
