"""What a problem is: given numbers, parts with their right and wrong computations, and readings where it leaves room.

The course's problems are in `problems`; `verify` judges answers to one.
"""

import hashlib
import hmac
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import product
from random import Random
from typing import Any, TypeAlias

import numpy as np

from bn_exercises.answers import read
from bn_exercises.misconceptions import Misconception
from bn_exercises.task import Answers, Given
from bn_exercises.tolerance import Array, distances, rooms
from bn_exercises.worked import DECIMALS, decimal

Arrays: TypeAlias = Mapping[str, Array]

# In units of the room of `tolerance`: mistakes at least so far from the right numbers are told from them by an answer
# with four digits, and nearly always with three.
APART = 0.15
MOST_DRAWS = 1000


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
class Reading:
    """One consistent way to read a problem that leaves something open.

    Attributes:
        choices: what was chosen, for each thing left open, in words.
        given: the given numbers, with the choices made.
    """

    choices: tuple[str, ...] = ()
    given: Given = field(default_factory=dict)


@dataclass(frozen=True)
class Problem:
    """A problem with given numbers and named parts.

    Attributes:
        name: as in the file names of its notebook and its page of the book.
        title: as a reader sees it.
        given: the numbers that the problem states.
        parts: what is asked, in order.
        draw: other numbers of the same form and difficulty.
        open: what the problem leaves open: for each, ways to read it, a name and what to add to `given`.
    """

    name: str
    title: str
    given: Given
    parts: tuple[Part, ...]
    draw: Callable[[Random], Given]
    open: tuple[Mapping[str, Given], ...] = ()

    @property
    def points(self) -> dict[str, int]:
        """What each part is worth; its keys are the parts' names, in order."""
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

    def hints(self, part: str) -> tuple[str, ...]:
        """Where to look, what rule, and the step itself."""
        return self.part(part).hints(self.given)

    def part(self, name: str) -> Part:
        """The part of that name."""
        return next(part for part in self.parts if part.name == name)

    def observe(self, answers: Answers) -> dict[str, Any]:
        """What was answered, as arrays, or what keeps it from being one."""
        return {name: read(value) for name, value in answers.items()}

    def solved(self) -> list[tuple[str, tuple[str, ...], tuple[str, ...]]]:
        """For each part its title, the rule and the step, and the numbers under each reading."""
        solved: list[tuple[str, tuple[str, ...], tuple[str, ...]]] = []
        for part in self.parts:
            results = []
            for reading, reference in zip(self.readings, self.references, strict=True):
                label = f"With {' and '.join(reading.choices)}: " if reading.choices else ""
                results.append(label + _shown(reference[part.name]))
            solved.append((part.title, part.hints(self.given)[1:], tuple(results)))
        return solved

    def variant(self, seed: int) -> "Problem":
        """The same problem with other numbers, always the same ones for a seed.

        No listed mistake comes near the right answer, so what is wrong can be told.
        """
        rng = random_for(self.name, seed)
        for _ in range(MOST_DRAWS):
            problem = replace(self, given=self.draw(rng))
            if problem.given != self.given and is_told_apart(problem):
                return problem
        raise RuntimeError(f"{self.name}: {MOST_DRAWS} draws and no numbers that tell the mistakes apart")

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


def is_told_apart(problem: Problem) -> bool:
    """Whether no mistake comes near what is right, under any reading."""
    return not any(
        len(outcomes[part.name].wrong)
        and distances(right[part.name].right, outcomes[part.name].wrong, right[part.name].room).min() < APART
        for part in problem.parts
        for outcomes in problem.outcomes
        for right in problem.outcomes
    )


def seed_for(student: str, course_key: str | bytes, problem: str) -> int:
    """The seed of a student's own variant: the same wherever it is derived, and no use without the course's key.

    HMAC-SHA256 of the problem's name and the student's id, so a student who knows the id of another does not know the
    other's numbers, and learns nothing from one problem about the next.
    """
    key = course_key.encode() if isinstance(course_key, str) else course_key
    if not key:
        raise ValueError("the course key is empty; expected a secret of the course")
    # The length keeps ("ab", "c") and ("a", "bc") apart.
    message = f"{len(problem)}:{problem}:{student}".encode()
    return int.from_bytes(hmac.new(key, message, hashlib.sha256).digest()[:8], "big")


def random_for(name: str, seed: int) -> Random:
    """What draws the variant of a problem: use only its `random()`."""
    # The name, so that problems of one seed do not share their draws; a hash, because Random(-1) is Random(1).
    digest = hashlib.sha256(f"{name}:{seed}".encode()).digest()
    # Of Random, Python promises that `random()` gives the same numbers in every version. NumPy promises nothing.
    return Random(int.from_bytes(digest, "big"))


def _shown(value: Array) -> str:
    if value.ndim == 2:
        return "; ".join(_shown(row) for row in value)
    # Where all numbers are small, four decimals are fewer than four digits.
    places = DECIMALS + max(0, -math.floor(math.log10(np.abs(value).max() or 1)) - 1)
    return ", ".join(decimal(float(v), places) for v in np.ravel(value))


# What `draw` functions choose with: only `Random.random` is the same in every version of Python.


def choose(rng: Random, items: Any) -> Any:
    """One of `items`."""
    return items[int(rng.random() * len(items))]


def shuffled(rng: Random, items: Any) -> list[Any]:
    """All of `items` in some order."""
    left, order = list(items), []
    while left:
        order.append(left.pop(int(rng.random() * len(left))))
    return order
