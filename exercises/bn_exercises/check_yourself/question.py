"""A question that answers back: what every question has, and those whose answer is one of several texts.

`numeric` has questions answered with numbers, `questions` has the book's, `page` shows one.
"""

import hashlib
from dataclasses import dataclass

from bn_exercises.verdict import Link


@dataclass(frozen=True, kw_only=True)
class Question:
    """What every question has.

    Attributes:
        name: short and unique, made of letters, digits and dashes.
        page: the path in the book, without an ending, of the page that asks it. Links are relative to it.
        prompt: what is asked. Plain text; `code` between backticks.
        because: why the right answer is right, shown with it.
        hint: for an answer that is neither right nor a known mistake; where to begin.
        see: the section that answers the question.
    """

    name: str
    page: str
    prompt: str
    because: str
    hint: str
    see: Link


@dataclass(frozen=True)
class WrongChoice:
    """A wrong one among several texts: the name of the mistake, the text, and what the reader is told."""

    name: str
    text: str
    says: str


@dataclass(frozen=True, kw_only=True)
class Choice(Question):
    """A question answered by choosing one of several texts.

    Attributes:
        right: the right text.
        wrong: the others.
    """

    right: str
    wrong: tuple[WrongChoice, ...]

    def __post_init__(self) -> None:
        """Raise `ValueError` if two texts are the same."""
        if len(set(self.choices)) != 1 + len(self.wrong):
            raise ValueError(f"{self.name}: two of the choices are the same: {', '.join(self.choices)}")

    @property
    def choices(self) -> tuple[str, ...]:
        """The texts in the order of their hashes, so that the place says nothing about which one is right."""
        texts = [self.right, *(wrong.text for wrong in self.wrong)]
        return tuple(sorted(texts, key=lambda text: hashlib.sha256(text.encode()).digest()))
