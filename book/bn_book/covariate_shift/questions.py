"""What the chapter asks, with an answer to every answer. Every value is computed."""

from itertools import combinations

import numpy as np

from bn_book.wording import whole
from bn_exercises.check_yourself.numeric import NumberQuestion, WrongNumbers, from_values
from bn_exercises.check_yourself.question import Choice, WrongChoice
from bn_exercises.verdict import Link


def _order_term(order: int) -> list[str]:
    """The products of order `order` in a of (w₁ − a g₁)(w₂ − a g₂)(w₃ − a g₃), without a and its sign."""
    products = []
    for stepped in combinations("₁₂₃", order):
        products.append("".join(("g" if i in stepped else "w") + i for i in "₁₂₃"))
    return products


def _internal_covariate_shift() -> Choice:
    second = _order_term(2)
    return Choice(
        name="internal-covariate-shift",
        page="chapters/covariate_shift",
        prompt=f"Three layers of one weight each give {whole('y = w₁w₂w₃ x')}. One gradient step changes all three at "
        f"once: the product becomes {whole('(w₁ − a g₁)(w₂ − a g₂)(w₃ − a g₃)')}. Which part of it is of second order "
        "in a?",
        right=f"+a² ({' + '.join(second)})",
        because="Choose −a g in two of the three brackets and w in the third. There are three ways to choose, and "
        "(−a)² is positive. The gradient of each layer, taken alone, knows nothing of this term.",
        wrong=(
            WrongChoice(
                "sign",
                f"−a² ({' + '.join(second)})",
                "Two of the three factors contribute a minus sign each, and they cancel.",
            ),
            WrongChoice(
                "first order",
                f"−a ({' + '.join(_order_term(1))})",
                "That is the first-order part: one layer moves and the others stand still. It is what each gradient "
                "accounts for.",
            ),
            WrongChoice(
                "third order",
                f"−a³ {_order_term(3)[0]}",
                "That is the third-order part: all three layers move.",
            ),
            WrongChoice(
                "one pair only",
                f"+a² {second[0]}",
                "That is one pair of layers. There are three pairs among three layers, and each gives a term.",
            ),
        ),
        hint="Expand the product: from each bracket take one of its two terms.",
        see=Link("The three-layer product", "three-layer-product"),
    )


def _calibrated_step() -> NumberQuestion:
    w1, w2, fall = 3.0, 4.0, 0.5
    squares = w1**2 + w2**2
    return from_values(
        name="calibrated-step",
        page="chapters/covariate_shift",
        prompt=f"Two layers of one weight each give y = w₁w₂, with w₁ = {w1:g} and w₂ = {w2:g}. You go down the "
        "gradient "
        f"of y itself, and first order is to make y fall by {fall:g}. Which learning rate does that take?",
        right=fall / squares,
        because="The slopes of y are g₁ = w₂ and g₂ = w₁. To first order y falls by a (g₁² + g₂²).",
        wrong=(
            WrongNumbers(
                "slopes not squared",
                fall / (w1 + w2),
                "You divided by g₁ + g₂. Each weight moves by a times its slope, and moves y by its slope times that.",
            ),
            WrongNumbers("norm of the slopes", fall / np.sqrt(squares), "The norm counts squared: g₁² + g₂²."),
            WrongNumbers("divided by y", fall / (w1 * w2), "You divided by y. How far y moves depends on its slopes."),
            WrongNumbers("one layer", fall / w2**2, "That is what layer 1 alone would need. Both layers move."),
        ),
        hint="By how much does each weight move, and by how much does that move y while the other stands still?",
        see=Link("The three-layer product", "three-layer-product"),
    )


def _thirty_layers() -> Choice:
    return Choice(
        name="thirty-layers",
        page="chapters/covariate_shift",
        prompt="Thirty layers have the weight 0.8 each. First order sets the step so that y should rise by 0.1. "
        "Predict what the step does to y.",
        right="It rises by far more than 0.1.",
        because="The answer y = 0.8³⁰ is about 0.001. To raise it by 0.1 first order asks each weight for a step of "
        "more than twice its own size, and thirty such factors are multiplied.",
        wrong=(
            WrongChoice(
                "the plan is kept",
                "It rises by about 0.1, as planned.",
                "That needs steps that are small against the weights. Here y is so small that they are not.",
            ),
            WrongChoice(
                "small weights are harmless",
                "It hardly changes, because small weights make small products.",
                "At a fixed learning rate that would be so. Here the step is set to make up for the small weights.",
            ),
            WrongChoice(
                "higher orders take back",
                "It falls, because the second order has the other sign.",
                "All weights grow, so all terms of their product grow. No term has a minus sign.",
            ),
        ),
        hint="How large is y before the step, and how large a step does each weight need?",
        see=Link("The three-layer product", "three-layer-product"),
    )


def _what_the_control_shows() -> Choice:
    return Choice(
        name="what-the-control-shows",
        page="chapters/covariate_shift",
        prompt="From larger initial weights a network without BN trains several times faster at a learning rate of "
        "0.5, though the inputs of its sigmoids travel about as far. What follows?",
        right="How far inputs travel does not by itself decide how fast a network trains.",
        because="Two networks with the same movement differ in speed, so movement alone cannot be what sets it. More "
        "does not follow from two networks.",
        wrong=(
            WrongChoice(
                "movement is harmless",
                "Movement of inputs does no harm.",
                "Measured against the width of the distributions, the faster network moves less. It may matter.",
            ),
            WrongChoice(
                "BN is not needed",
                "With larger weights a network does not need BN.",
                "At one learning rate that looks so. At higher ones the gain is gone, and at 5 it does not learn.",
            ),
            WrongChoice(
                "the paper is wrong",
                "With BN the inputs move as much as without it.",
                "With BN they move less at this learning rate. That is the first statement, and it holds here.",
            ),
        ),
        hint="Which quantity is the same in both networks, and which is not?",
        see=Link("A third network", "sec-shift-control"),
    )


INTERNAL_COVARIATE_SHIFT = _internal_covariate_shift()
CALIBRATED_STEP = _calibrated_step()
THIRTY_LAYERS = _thirty_layers()
WHAT_THE_CONTROL_SHOWS = _what_the_control_shows()
