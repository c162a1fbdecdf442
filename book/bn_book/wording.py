"""How questions write what is in them."""

from collections.abc import Iterable


def listed(values: Iterable[float]) -> str:
    """Numbers with commas between them."""
    return ", ".join(f"{v:g}" for v in values)


def whole(formula: str) -> str:
    """The formula with no-break spaces, so that a narrow page does not break it."""
    return formula.replace(" ", "\N{NO-BREAK SPACE}")
