"""A question that answers back: what every question has, and those whose answer is one of several texts or plots.

`numeric` has questions answered with numbers, `questions` has the book's, `page` shows one.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from bn_exercises.verdict import Link

# Draws a plot when a page shows it: from words for who cannot see it, and from what its ids begin with, an `<svg>`.
Plot: TypeAlias = Callable[[str, str], str]


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
    """A wrong one among several texts: the name of the mistake, the text, what the reader is told, and its plot."""

    name: str
    text: str
    says: str
    plot: Plot | None = None


@dataclass(frozen=True, kw_only=True)
class Choice(Question):
    """A question answered by choosing one of several texts, or one of several plots.

    Where there are plots, a text says what its plot looks like, to who cannot see it and to who asks for the answer:
    its shape, and not what it means.

    Attributes:
        right: the right text.
        wrong: the others.
        plot: that of the right text.
    """

    right: str
    wrong: tuple[WrongChoice, ...]
    plot: Plot | None = None

    def __post_init__(self) -> None:
        """Raise `ValueError` if two texts are the same, or if some choices have plots and others none."""
        if len(set(self.choices)) != 1 + len(self.wrong):
            raise ValueError(f"{self.name}: two of the choices are the same: {', '.join(self.choices)}")
        without = [text for text in self.choices if text not in self.plots]
        if self.plots and without:
            raise ValueError(f"{self.name}: a plot for each choice or for none; there is none for {without}")

    @property
    def choices(self) -> tuple[str, ...]:
        """The texts in the order of their hashes, so that the place says nothing about which one is right."""
        texts = [self.right, *(wrong.text for wrong in self.wrong)]
        return tuple(sorted(texts, key=lambda text: hashlib.sha256(text.encode()).digest()))

    @property
    def plots(self) -> Mapping[str, Plot]:
        """The plots by their texts; empty where only texts are shown."""
        every = ((self.right, self.plot), *((wrong.text, wrong.plot) for wrong in self.wrong))
        return {text: plot for text, plot in every if plot is not None}
