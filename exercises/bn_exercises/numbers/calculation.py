"""What a problem that asks for numbers is made of: parts, with their right and wrong computations, and readings.

`judging` compares answers with what these computations come to.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from random import Random
from typing import Any, TypeAlias

import numpy as np

from bn_exercises.misconceptions import Misconception
from bn_exercises.numbers.hand import Hand
from bn_exercises.problem import Given, Problem, Reading
from bn_exercises.tolerance import Array, rooms

Arrays: TypeAlias = Mapping[str, Array]
# For each way somebody may take by hand: what to call it, and the answers.
ByHand: TypeAlias = Callable[[Given, Hand], Iterator[tuple[str, dict[str, Any]]]]


@dataclass(frozen=True)
class AlsoRight:
    """Another computation that counts as right: another convention, or the same one rounded on the way.

    Attributes:
        compute: takes what the part's `solve` takes.
        says: what the learner is told; empty, if there is nothing to add to "Right."
    """

    compute: Callable[..., Array]
    says: str = ""


@dataclass(frozen=True)
class Part:
    """One thing that a problem asks for.

    `solve`, the mistakes and `also_right` all take the same arguments: what `arguments` picks from the given numbers
    and from the answers to the parts it uses. So each can be run on the reference's earlier answers and on the
    learner's own.

    Attributes:
        name: the keyword of the answer.
        title: as in the problem's text, "(a) the mean".
        points: what it is worth.
        solve: the right computation.
        arguments: takes the given numbers and the answers to `uses`; returns the arguments of `solve`.
        mistakes: wrong computations with a name.
        hints: takes the given numbers; where to look, what rule, and the step itself. No answer in any of them.
        uses: the parts whose answers are needed.
        also_right: other computations that count.
        cut_short: right in method, and rounded on the way so far that it does not count. Only looked at if the answers
            to `uses` are there and right, because else it could be a mistake.
        carried: the size of what is rounded on the way, where that exceeds the result; see `tolerance.rooms`.
    """

    name: str
    title: str
    points: int
    solve: Callable[..., Array]
    arguments: Callable[[Given, Arrays], tuple[Any, ...]]
    mistakes: tuple[Misconception, ...]
    hints: Callable[[Given], tuple[str, str, str]]
    uses: tuple[str, ...] = ()
    also_right: tuple[AlsoRight, ...] = ()
    cut_short: tuple[AlsoRight, ...] = ()
    carried: Callable[..., Array] | None = None

    def right(self, given: Given, earlier: Arrays) -> Array:
        """The right answer, for these answers to the parts it uses."""
        return np.asarray(self.solve(*self.arguments(given, earlier)), dtype=float)

    def outcomes(self, given: Given, earlier: Arrays) -> "Outcomes":
        """What comes out in the right ways and in the wrong ones, for these answers to the parts it uses."""
        arguments = self.arguments(given, earlier)
        with np.errstate(all="ignore"):
            right = np.asarray(self.solve(*arguments), dtype=float)
            wrong = [(m, np.asarray(m.compute(*arguments), dtype=float)) for m in self.mistakes]
            carried = None if self.carried is None else self.carried(*arguments)
        wrong = [(m, value) for m, value in wrong if np.isfinite(value).all()]
        alike = [(m, value) for m, value in wrong if value.shape == right.shape]
        return Outcomes(
            part=self,
            arguments=arguments,
            right=right,
            room=rooms(right, carried),
            mistakes=[m for m, _ in alike],
            wrong=np.stack([value for _, value in alike]) if alike else np.empty((0, *right.shape)),
            other_shapes=[(m, value) for m, value in wrong if value.shape != right.shape],
            carried=carried,
        )


@dataclass(frozen=True)
class Outcomes:
    """What the computations of a part come to, for given earlier answers.

    Attributes:
        part: which.
        arguments: what all its computations take.
        right: the right answer.
        room: how far from it an answer may be.
        mistakes: those that give numbers of the same shape.
        wrong: their numbers, stacked along axis 0.
        other_shapes: those that give numbers of another shape, with these numbers.
        carried: the part's `carried`.
    """

    part: Part
    arguments: tuple[Any, ...]
    right: Array
    room: Array
    mistakes: list[Misconception]
    wrong: Array
    other_shapes: list[tuple[Misconception, Array]]
    carried: Array | None

    @cached_property
    def wrong_rooms(self) -> Array:
        """The rooms of the mistakes' numbers, stacked."""
        return np.stack([rooms(value, self.carried) for value in self.wrong])

    @cached_property
    def also_right(self) -> list[tuple[AlsoRight, Array]]:
        """The other ways that count, and their numbers, where these are others: most often nobody asks."""
        return [(way, value) for way, value in self._different(self.part.also_right) if (value != self.right).any()]

    @cached_property
    def cut_short(self) -> list[tuple[AlsoRight, Array]]:
        """The ways that do not count for want of digits, and their numbers."""
        return self._different(self.part.cut_short)

    def _different(self, ways: tuple[AlsoRight, ...]) -> list[tuple[AlsoRight, Array]]:
        """Of ways that come to the same numbers, the first: on round numbers nothing is rounded."""
        kept: dict[bytes, tuple[AlsoRight, Array]] = {}
        with np.errstate(all="ignore"):
            for way in ways:
                value = np.asarray(way.compute(*self.arguments), dtype=float)
                if np.isfinite(value).all():
                    kept.setdefault(value.tobytes(), (way, value))
        return list(kept.values())


@dataclass(frozen=True)
class Calculation(Problem):
    """Given numbers, named parts, and what all computations of these come to.

    Attributes:
        parts: what is asked, in order.
        draw: other numbers of the same form and difficulty.
        open: what the problem leaves open: for each, ways to read it, a name and what to add to `given`.
        by_hand: right answers of somebody who rounds on the way, to try the judge on.
    """

    parts: tuple[Part, ...]
    draw: Callable[[Random], Given]
    open: tuple[Mapping[str, Given], ...] = ()
    by_hand: ByHand | None = None

    @property
    def points(self) -> dict[str, int]:
        return {part.name: part.points for part in self.parts}

    @cached_property
    def readings(self) -> tuple[Reading, ...]:
        """Every consistent way to read the problem; one, where nothing is left open."""
        readings = []
        for choices in product(*(ways.items() for ways in self.open)):
            given = dict(self.given)
            for _, adds in choices:
                given |= adds
            readings.append(Reading(tuple(name for name, _ in choices), given))
        return tuple(readings)

    @cached_property
    def references(self) -> tuple[dict[str, Array], ...]:
        """For each reading, the right answer to each part."""
        return tuple(self._reference(reading.given) for reading in self.readings)

    @cached_property
    def outcomes(self) -> tuple[dict[str, Outcomes], ...]:
        """For each reading and part, what all computations come to on right earlier answers."""
        return tuple(
            {part.name: part.outcomes(reading.given, reference) for part in self.parts}
            for reading, reference in zip(self.readings, self.references, strict=True)
        )

    def reference(self, reading: int = 0) -> dict[str, Array]:
        """The right answer to each part, under the first reading or another."""
        return self.references[reading]

    def part(self, name: str) -> Part:
        """The part of that name."""
        return next(part for part in self.parts if part.name == name)

    def _reference(self, given: Given) -> dict[str, Array]:
        answers: dict[str, Array] = {}
        for part in self.in_order():
            answers[part.name] = part.right(given, answers)
        return {part.name: answers[part.name] for part in self.parts}

    def in_order(self) -> Iterator[Part]:
        """The parts, each after those that it uses: a problem may ask for the last step first."""
        left = list(self.parts)
        done: set[str] = set()
        while left:
            part = next(part for part in left if done.issuperset(part.uses))
            yield part
            left.remove(part)
            done.add(part.name)
