"""What every problem is, whatever it asks for: numbers, formulas, functions, or evidence.

Two steps lead from what a learner wrote to a verdict:

- `observe` turns it into plain data. It may run the learner's own functions, so it runs where the learner works.
- `verify` is a pure function of that data. It runs wherever the grades are kept.

The course's problems are in `problems`.
"""

import hashlib
import hmac
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any, ClassVar, Self, TypeAlias

from bn_exercises.verdict import Finding, Verdict

# How many editions of the lists that variants are drawn with there are. A list that shall grow becomes a new edition;
# the old ones stay, so that whoever began with one keeps the same numbers.
EDITIONS = 1

Given: TypeAlias = Mapping[str, Any]
Answers: TypeAlias = Mapping[str, Any]
# For each part its title, how one gets to the answer, and the answer.
Solved: TypeAlias = list[tuple[str, tuple[str, ...], tuple[str, ...]]]


@dataclass(frozen=True)
class Reading:
    """One consistent way to read a problem that leaves something open.

    Attributes:
        choices: what was chosen, for each thing left open, in words.
        given: what the problem states, with the choices made.
    """

    choices: tuple[str, ...]
    given: Given


@dataclass(frozen=True)
class Problem(ABC):
    """A problem of the course: its text, its parts, how it judges answers, and examples to try that on.

    Attributes:
        name: as in the file names of its notebook and its page of the book.
        title: as a reader sees it.
        given: what it states: numbers, names. The `repr` of it tells one variant from another.
    """

    asks_for: ClassVar[str]

    name: str
    title: str
    given: Given

    @property
    @abstractmethod
    def points(self) -> dict[str, int]:
        """What each part is worth; its keys are the parts' names, in order."""

    @property
    def readings(self) -> tuple[Reading, ...]:
        """Every consistent way to read the problem; one, where nothing is left open."""
        return (Reading((), self.given),)

    @abstractmethod
    def variant(self, seed: int, edition: int = 1) -> Self:
        """The same problem with other numbers, always the same ones for a seed and an edition of what is drawn from."""

    @abstractmethod
    def observe(self, answers: Answers) -> dict[str, Any]:
        """What was answered, as data that `answers.plain` can write: for each part answered, and nothing raises."""

    @abstractmethod
    def judge(self, observed: Answers) -> Verdict:
        """The verdict on observed answers. Never raises, whatever they are."""

    @abstractmethod
    def hints(self, part: str) -> tuple[str, ...]:
        """Where to look, what rule, and the step itself. No answer in any of them."""

    @abstractmethod
    def solved(self) -> Solved:
        """The solution of each part."""

    @abstractmethod
    def mistaken(self, reading: int = 0) -> Iterator[tuple[str, str, Answers]]:
        """Answers with one mistake, under one of the readings: the part, the mistake's name, the answers."""

    @abstractmethod
    def rightly(self, reading: int = 0) -> Iterator[tuple[str, Answers]]:
        """Right answers in every good style, under one of the readings: the style and the answers."""

    def verdict(self, findings: Iterable[Finding]) -> Verdict:
        """The verdict that consists of these findings."""
        found = tuple(findings)
        return Verdict(self.name, sum(each.points for each in found), sum(self.points.values()), found)

    @property
    def fingerprint(self) -> str:
        """Tells one variant from another, so that answers to somebody else's numbers are known as such."""
        return hashlib.sha256(repr(self.given).encode()).hexdigest()[:16]

    def sheet(self) -> dict[str, Any]:
        """What a notebook in the grader's sandbox is told of the problem, as JSON has it. No answer is in it."""
        return {
            "name": self.name,
            "title": self.title,
            # As Python writes it, because JSON has no tuples: the sandbox reads a literal.
            "given": repr(dict(self.given)),
            "points": self.points,
            "numbers": self.fingerprint,
            "asks_for": self.asks_for,
        }


def verify(problem: Problem, answers: Any) -> Verdict:
    """Judge `answers`, a value for each part's name: anything at all, for a problem makes sense of it.

    Never raises because of an answer. What is no mapping answers nothing. Where functions are asked for,
    `problem.observe` runs them first: they are not run here.
    """
    return problem.judge(answers if isinstance(answers, Mapping) else {})


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
