"""Questions answered with numbers: each is a part of a problem, or some of its numbers, and `verify` judges it.

What is right, what each mistake gives and what is said about it all come from the problem. A page has no Python, so
`page.js` decides there as `verify` does here, on numbers that are computed here.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from types import EllipsisType
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from bn_exercises.check_yourself.question import Question
from bn_exercises.misconceptions import Misconception
from bn_exercises.numbers.calculation import Arrays, Part
from bn_exercises.numbers.problem import NumberProblem
from bn_exercises.problem import Given, verify
from bn_exercises.tolerance import Array
from bn_exercises.verdict import Finding, Link

# An index, as NumPy takes it between brackets.
Index: TypeAlias = int | slice | EllipsisType | tuple[Any, ...]


@dataclass(frozen=True, kw_only=True)
class NumberQuestion(Question):
    """A question answered with one number or several.

    Attributes:
        problem: has one part, whose answer is these numbers in a row.
    """

    problem: NumberProblem

    @property
    def part(self) -> Part:
        """What is asked for."""
        return self.problem.parts[0]

    @property
    def right(self) -> tuple[float, ...]:
        """The right numbers, under the first reading."""
        return tuple(self.problem.reference()[self.part.name].tolist())

    @property
    def count(self) -> int:
        """How many numbers an answer consists of."""
        return len(self.right)

    def judge(self, answer: ArrayLike) -> Finding:
        """What is found in an answer."""
        return verify(self.problem, {self.part.name: answer}).of(self.part.name)


def from_part(
    problem: NumberProblem,
    part: str,
    *,
    page: str,
    prompt: str,
    see: Link,
    at: Index = ...,
    name: str | None = None,
    because: str | None = None,
    hint: str | None = None,
) -> NumberQuestion:
    """A question that asks for a part of a problem, or for some numbers of it.

    Args:
        problem: with the numbers that the prompt states.
        part: the name of the part.
        page: where in the book it is asked.
        prompt: what is asked.
        see: the section that answers it. Each mistake has its own.
        at: which numbers of the answer are asked for, as an index of it. All of them, unless given.
        name: that of the problem and the part, unless given.
        because: the part's rule, unless given.
        hint: the part's first hint, unless given.

    Raises:
        ValueError: if the problem has no such part, if the part has no such numbers, or if they do not show a mistake
            that all numbers of the part show.
    """
    if part not in problem.points:
        raise ValueError(f"{problem.name} has no part {part!r}; its parts: {', '.join(problem.points)}")
    where, rule, _ = problem.hints(part)
    question = NumberQuestion(
        name=name or f"{problem.name}-{part}".replace("_", "-"),
        page=page,
        prompt=prompt,
        because=because or rule,
        hint=hint or where,
        see=see,
        problem=_only(problem, part, at),
    )
    try:
        _refuse_what_hides_mistakes(question, problem, part, at)
    except IndexError as error:
        raise ValueError(f"{question.name}: not every way to answer {part!r} has numbers at {at}: {error}") from error
    return question


@dataclass(frozen=True)
class WrongNumbers:
    """A wrong answer to a question of its own.

    Attributes:
        name: that of the mistake.
        value: its numbers.
        says: what the reader is told.
        see: the section to read, if it is another than the question's.
    """

    name: str
    value: Array
    says: str
    see: Link | None = None


def from_values(
    *,
    name: str,
    page: str,
    prompt: str,
    right: Array,
    because: str,
    wrong: tuple[WrongNumbers, ...],
    hint: str,
    see: Link,
) -> NumberQuestion:
    """A question that belongs to no problem of the course: right and wrong numbers, computed by whoever asks.

    Raises:
        ValueError: if a wrong answer has not as many numbers as the right one, or counts as right.
    """
    part = Part(
        "answer",
        prompt,
        1,
        _constant(right),
        lambda given, earlier: (),
        tuple(Misconception(each.name, each.says, _constant(each.value), each.see or see) for each in wrong),
        lambda given: (hint, because, ""),
    )
    problem = NumberProblem(name, prompt, {}, (part,), draw=lambda rng: {})
    question = NumberQuestion(name=name, page=page, prompt=prompt, because=because, hint=hint, see=see, problem=problem)
    for each in wrong:
        if np.size(each.value) != question.count:
            raise ValueError(f"{name}: {each.name} gives {each.value}; expected the form of {question.right}")
        if each.name not in question.judge(_row(each.value)).misconceptions:
            raise ValueError(f"{name}: {each.name} gives {each.value}, which cannot be told from {question.right}")
    return question


def _only(problem: NumberProblem, name: str, at: Index) -> NumberProblem:
    """Nothing of the problem but some numbers of one part, in a row. The parts before are answered right."""
    part = problem.part(name)

    def arguments(given: Given, _: Arrays) -> tuple[Any, ...]:
        return part.arguments(given, replace(problem, given=given, open=()).reference())

    asked = replace(
        part,
        solve=_at(part.solve, at),
        arguments=arguments,
        mistakes=tuple(mistake.at(_at(mistake.compute, at)) for mistake in part.mistakes),
        uses=(),
        also_right=tuple(replace(way, compute=_at(way.compute, at)) for way in part.also_right),
        # It is about answers to the parts before, and the reader was not asked for these.
        cut_short=(),
        carried=None if part.carried is None else _at(part.carried, at),
    )
    return replace(problem, parts=(asked,))


def _at(compute: Callable[..., Array], at: Index) -> Callable[..., Array]:
    return lambda *arguments: _row(np.asarray(compute(*arguments), dtype=float)[at])


def _constant(value: Array) -> Callable[..., Array]:
    return lambda: _row(value)


def _row(value: ArrayLike) -> Array:
    return np.ravel(np.asarray(value, dtype=float))


def _refuse_what_hides_mistakes(question: NumberQuestion, problem: NumberProblem, name: str, at: Index) -> None:
    """Raise `ValueError` unless the numbers asked for tell the mistakes apart as well as all numbers of the part do.

    What gives all the right numbers (γ left out, where γ is 1) is no mistake here, and needs no telling.
    """
    for each in problem.outcomes:
        outcomes = each[name]
        for mistake, value in (*zip(outcomes.mistakes, outcomes.wrong, strict=True), *outcomes.other_shapes):
            shown = set(verify(problem, {name: value}).of(name).misconceptions)
            told = set(question.judge(_row(value[at])).misconceptions)
            if told != shown:
                raise ValueError(
                    f"{question.name}: the numbers asked for show {mistake.name!r} as {sorted(told) or 'no mistake'}; "
                    f"all numbers of {name!r} show it as {sorted(shown)}. Ask for more of them, or for others"
                )
