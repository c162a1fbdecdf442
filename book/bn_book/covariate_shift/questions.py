"""What the chapter asks, with an answer to every answer. Every value is computed."""

from itertools import combinations

from bn_book.wording import whole
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


INTERNAL_COVARIATE_SHIFT = _internal_covariate_shift()
