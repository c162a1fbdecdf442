"""A question that answers back: the right answer, and wrong ones that each have a name and get their own sentence.

What counts as the same number is in `tolerance`. `questions` has the book's questions, `page` shows one.
"""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from bn_exercises.tolerance import Numbers, agree

Value: TypeAlias = Numbers | str


def numbers(value: ArrayLike) -> Numbers:
    """Numbers of any shape as a plain tuple of floats."""
    return tuple(float(v) for v in np.ravel(value))


@dataclass(frozen=True)
class Link:
    """A place in the book.

    Attributes:
        text: the words a reader sees: the section's title.
        anchor: the label of the section, without `#`.
        page: the page's path in the book, without an ending; empty for a place on the same page.
    """

    text: str
    anchor: str
    page: str = ""


@dataclass(frozen=True)
class Wrong:
    """A wrong answer: the name of the mistake, what it gives, and what the reader is told."""

    name: str
    value: Value
    says: str


@dataclass(frozen=True)
class Question:
    """A question whose right and wrong answers are known beforehand.

    Attributes:
        name: short and unique, made of letters, digits and dashes.
        prompt: what is asked. Plain text; `code` between backticks.
        right: one or more numbers to type, or (as text) the right one of several choices.
        because: why that is right, shown with the right answer.
        wrong: the mistakes that are recognised.
        hint: for an answer that is neither; where to begin.
        see: the section of the chapter that answers the question.
    """

    name: str
    prompt: str
    right: Value
    because: str
    wrong: tuple[Wrong, ...]
    hint: str
    see: Link

    def __post_init__(self) -> None:
        """Raise `ValueError` unless every wrong answer is of the same kind as the right one."""
        for wrong in self.wrong:
            same_kind = isinstance(wrong.value, str) == self.is_choice
            if not same_kind or (not self.is_choice and len(wrong.value) != self.count):
                raise ValueError(f"{self.name}: {wrong.name} gives {wrong.value}; expected the form of {self.right}")

    @property
    def is_choice(self) -> bool:
        """Whether the reader picks one of several answers; otherwise they type numbers."""
        return isinstance(self.right, str)

    @property
    def count(self) -> int:
        """How many numbers, or choices, an answer consists of."""
        return 1 if isinstance(self.right, str) else len(self.right)

    @property
    def choices(self) -> tuple[str, ...]:
        """The texts to choose from, in alphabetical order, so that the place says nothing about which is right."""
        values = [self.right, *(wrong.value for wrong in self.wrong)]
        return tuple(sorted(value for value in values if isinstance(value, str)))

    def matches(self, answer: Value) -> tuple[Wrong, ...] | None:
        """The mistakes that give this answer, several where they give the same; None if the answer is right."""
        if _agree(answer, self.right):
            return None
        return tuple(wrong for wrong in self.wrong if _agree(answer, wrong.value))


def _agree(answer: Value, value: Value) -> bool:
    if isinstance(answer, str) or isinstance(value, str):
        return answer == value
    return len(answer) == len(value) and agree(np.array(answer), np.array(value))
