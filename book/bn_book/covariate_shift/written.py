"""What the chapter writes: the lines of its worked example as TeX. A browser needs no Matplotlib for them."""

from fractions import Fraction

from bn_book.covariate_shift.experiments import Chain, Term
from bn_book.tex import aligned, decimal


def worked_gradients(chain: Chain) -> str:
    """Answer and gradients of the chain, with numbers, as TeX; the numbers on lines of their own, for narrow pages."""
    w1, w2, w3 = (decimal(w) for w in chain.weights)
    x, pull = decimal(chain.x), decimal(chain.y - chain.target)
    g1, g2, g3 = (decimal(g) for g in chain.gradients)
    return aligned(
        rf"y &= {x} \cdot {w1} \cdot {w2} \cdot {w3} = {decimal(chain.y)}",
        rf"\partial L / \partial y &= y - t \\ &= {decimal(chain.y)} - {decimal(chain.target)} = {pull}",
        rf"g_1 &= (y - t)\,x\,w_2 w_3 \\ &= {pull} \cdot {x} \cdot {w2} \cdot {w3} = {g1}",
        rf"g_2 &= (y - t)\,x\,w_1 w_3 \\ &= {pull} \cdot {x} \cdot {w1} \cdot {w3} = {g2}",
        rf"g_3 &= (y - t)\,x\,w_1 w_2 \\ &= {pull} \cdot {x} \cdot {w1} \cdot {w2} = {g3}",
    )


def worked_terms(terms: tuple[Term, ...]) -> str:
    """The eight terms with their values, one a line, as TeX."""
    lines = [rf"{_symbols(term)} &= {_plus(term.value)}" for term in terms]
    total = sum((term.value for term in terms), Fraction(0))
    return aligned(*lines, rf"\text{{sum}} &= {decimal(total)}")


def worked_term(chain: Chain, term: Term, rate: Fraction) -> str:
    """One of them with its numbers, as TeX."""
    numbers = [
        decimal(g if layer in term.moved else w)
        for layer, w, g in zip((1, 2, 3), chain.weights, chain.gradients, strict=True)
    ]
    factors = [*([decimal(rate**term.order)] if term.order else []), decimal(chain.x), *numbers]
    sign = "-" if term.order % 2 else ""
    return aligned(rf"{_symbols(term)} &= {sign}" + r" \cdot ".join(factors) + rf" \\ &= {decimal(term.value)}")


def _symbols(term: Term) -> str:
    """A term in letters, with its sign, as TeX."""
    sign, power = ("+", "-")[term.order % 2], ("", r"a\,", r"a^2\,", r"a^3\,")[term.order]
    return rf"{sign}{power}x\," + "".join(f"{'g' if layer in term.moved else 'w'}_{layer}" for layer in (1, 2, 3))


def worked_check(chain: Chain, rate: Fraction) -> str:
    """The same answer without expanding: step each weight, then multiply, as TeX."""
    stepped = [w - rate * g for w, g in zip(chain.weights, chain.gradients, strict=True)]
    y = chain.x * stepped[0] * stepped[1] * stepped[2]
    lines = [
        rf"w_{i} - a\,g_{i} &= {decimal(w)} - {decimal(rate)} \cdot {decimal(g)} \\ &= {decimal(new)}"
        for i, w, g, new in zip((1, 2, 3), chain.weights, chain.gradients, stepped, strict=True)
    ]
    product = r" \cdot ".join(decimal(new) for new in stepped)
    return aligned(*lines, rf"y &= {decimal(chain.x)} \cdot {product} \\ &= {decimal(y)}")


def _plus(value: Fraction) -> str:
    """A decimal with its sign, whichever it is."""
    return ("+" if value > 0 else "") + decimal(value)
