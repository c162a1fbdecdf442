"""A problem that asks for numbers: variants that tell every mistake apart, verdicts, examples, and the solution."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np

from bn_exercises.answers import read
from bn_exercises.numbers import examples, judging
from bn_exercises.numbers.calculation import Calculation
from bn_exercises.numbers.editions import EDITIONS, of_edition
from bn_exercises.problem import Answers, Solved, random_for
from bn_exercises.tolerance import Array, distances
from bn_exercises.typography import DECIMALS, as_in_a_book, decimal
from bn_exercises.verdict import Verdict

# In units of the room of `tolerance`: mistakes at least so far from the right numbers are told from them by an answer
# with four digits, and nearly always with three.
APART = 0.15
MOST_DRAWS = 1000


@dataclass(frozen=True)
class NumberProblem(Calculation):
    """A problem that asks for numbers."""

    asks_for: ClassVar[str] = "numbers"

    def variant(self, seed: int, edition: int = 1) -> Self:
        """The same problem with other numbers, always the same ones for a seed and an edition.

        No mistake of the edition comes near the right answer, so what is wrong can be told.
        """
        rng, listed = random_for(self.name, seed), self.of_edition(edition)
        for _ in range(MOST_DRAWS):
            given = self.draw(rng)
            if given != self.given and is_told_apart(replace(listed, given=given)):
                return replace(self, given=given)
        raise RuntimeError(f"{self.name}: {MOST_DRAWS} draws and no numbers that tell the mistakes apart")

    def of_edition(self, edition: int) -> Self:
        """The same problem with the mistakes that an edition lists; with all, where it does not know the problem."""
        listed = EDITIONS[edition - 1].get(self.name)
        if listed is None:
            return self
        parts = (replace(part, mistakes=of_edition(part.mistakes, listed[part.name])) for part in self.parts)
        return replace(self, parts=tuple(parts))

    def observe(self, answers: Answers) -> dict[str, Any]:
        """What was answered, as arrays, or what keeps it from being one."""
        return {name: read(value) for name, value in answers.items()}

    def judge(self, observed: Answers) -> Verdict:
        """The verdict: each part by itself, under the reading that suits the answers best. Takes milliseconds."""
        return judging.judge(self, observed)

    def hints(self, part: str) -> tuple[str, ...]:
        return tuple(map(as_in_a_book, self.part(part).hints(self.given)))

    def solved(self) -> Solved:
        solved: Solved = []
        for part in self.parts:
            results = []
            for reading, reference in zip(self.readings, self.references, strict=True):
                shown = _shown(reference[part.name])
                results.append(f"With {' and '.join(reading.choices)}: {shown}" if reading.choices else shown)
            solved.append((part.title, self.hints(part.name)[1:], tuple(results)))
        return solved

    def mistaken(self, reading: int = 0) -> Iterator[tuple[str, str, Answers]]:
        return examples.mistaken(self, reading)

    def rightly(self, reading: int = 0) -> Iterator[tuple[str, Answers]]:
        return examples.rightly(self, reading)


def is_told_apart(problem: Calculation) -> bool:
    """Whether no mistake comes near what is right, under any reading."""
    return not any(
        len(outcomes[part.name].wrong)
        and distances(right[part.name].right, outcomes[part.name].wrong, right[part.name].room).min() < APART
        for part in problem.parts
        for outcomes in problem.outcomes
        for right in problem.outcomes
    )


def _shown(value: Array) -> str:
    if value.ndim == 2:
        return "; ".join(_shown(row) for row in value)
    # Where all numbers are small, four decimals are fewer than four digits.
    places = DECIMALS + max(0, -math.floor(math.log10(np.abs(value).max() or 1)) - 1)
    return ", ".join(decimal(float(v), places) for v in np.ravel(value))
