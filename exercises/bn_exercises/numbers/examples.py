"""Numbers to try the judge on: answers with one mistake, and right answers in every good style."""

from collections.abc import Callable, Iterator
from decimal import Decimal
from fractions import Fraction
from itertools import product
from typing import Any

import numpy as np

from bn_exercises.numbers.calculation import Arrays, Calculation, Part
from bn_exercises.numbers.hand import Hand
from bn_exercises.tolerance import EQUAL, Array, distances, round_to


def mistaken(problem: Calculation, reading: int) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Answers with one mistake: the part, the mistake's name, and the answers.

    In all digits and in four, with the other parts right; and with the parts after it right for the wrong answer, which
    is then written down in all digits or in four. What gives the right numbers here (γ left out, where γ is 1) is no
    mistake.
    """
    given, reference = problem.readings[reading].given, problem.references[reading]
    for part in problem.parts:
        outcomes = problem.outcomes[reading][part.name]
        rights = np.stack([each[part.name].right for each in problem.outcomes])
        wrong = [*zip(outcomes.mistakes, outcomes.wrong, strict=True), *outcomes.other_shapes]
        for misconception, value in wrong:
            if value.shape == outcomes.right.shape and distances(value, rights, outcomes.room).min() <= EQUAL:
                continue
            yield part.name, misconception.name, {**reference, part.name: value}
            yield part.name, misconception.name, {**reference, part.name: round_to(4, value)}
            carried = carry(problem, given, reference, part, value)
            if carried is not None:
                yield part.name, misconception.name, carried
                yield part.name, misconception.name, {**carried, part.name: round_to(4, value)}


def carry(problem: Calculation, given: Any, reference: Arrays, part: Part, value: Array) -> dict[str, Any] | None:
    """The answers of somebody who got `value` in `part` and went on from there without another mistake."""
    if value.shape != reference[part.name].shape:
        return None
    answers: dict[str, Any] = {}
    with np.errstate(all="ignore"):
        for each in problem.in_order():
            answers[each.name] = value if each is part else each.right(given, answers)
    used = any(part.name in each.uses for each in problem.parts)
    return answers if used and all(np.isfinite(v).all() for v in answers.values()) else None


def rightly(problem: Calculation, reading: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """Right answers in every good style: the style and the answers."""
    given, reference = problem.readings[reading].given, problem.references[reading]
    for name, style in STYLES.items():
        yield name, {part: style(value) for part, value in reference.items()}
    for digits in (3, 4, 5):
        carried: dict[str, Any] = {}
        for part in problem.in_order():
            carried[part.name] = round_to(digits, part.right(given, carried))
        yield f"each part in {digits} digits, and on from there", carried
    if problem.by_hand:
        for hand in (Hand(*habits) for habits in product((3, 4, 5), (False, True), (False, True))):
            for way, answers in problem.by_hand(given, hand):
                yield f"every step in {hand}{way}", answers
                yield f"every step in {hand}{way}, then 3", {p: round_to(3, v) for p, v in answers.items()}


def _nested(value: Array, convert: Any) -> Any:
    return [_nested(row, convert) for row in value] if value.ndim else convert(float(value))


STYLES: dict[str, Callable[[Array], Any]] = {
    "array": np.array,
    "list": np.ndarray.tolist,
    "tuples": lambda v: tuple(map(tuple, v)) if v.ndim == 2 else tuple(v) if v.ndim else (float(v),),
    "column": lambda v: v.reshape(-1, 1) if v.ndim < 2 else v,
    "row": lambda v: v.reshape(1, -1) if v.ndim < 2 else v,
    "one after another": np.ravel,
    "float32": lambda v: v.astype(np.float32),
    "longdouble": lambda v: v.astype(np.longdouble),
    "object": lambda v: v.astype(object),
    "masked, nothing masked": np.ma.masked_array,
    "Fortran order": np.asfortranarray,
    "fractions": lambda v: _nested(v, lambda x: Fraction(x).limit_denominator(10**6)),
    "decimals": lambda v: _nested(v, lambda x: Decimal(f"{x:.6g}")),
    "numpy scalars": lambda v: _nested(v, np.float64),
    "3 digits": lambda v: round_to(3, v),
    "4 digits": lambda v: round_to(4, v),
    "6 digits": lambda v: round_to(6, v).tolist(),
    "a little off": lambda v: v + 1e-17,
    "off in the last bits": lambda v: v * (1 + 4e-16),
}
