"""A question as plain data: what is asked, what may be answered, what each answer is worth, and what is said to it.

A learning system compares a number with an interval, and takes the first that fits. So the intervals are made such that
it decides as the page does: what is told apart there is told apart here, and in doubt an answer is right.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from bn_book.chapters import opening
from bn_book.drawing._show import Drawing
from bn_exercises.check_yourself.numeric import NumberQuestion
from bn_exercises.check_yourself.question import Choice, Question
from bn_exercises.numbers.calculation import Outcomes
from bn_exercises.tolerance import DIGITS, EQUAL, NEARER, ZERO, rooms, round_to

#: Of mistakes that come to the same number, so many are named; of more, none.
MOST_NAMED = 2
#: Digits of a float64.
_ALL = 17


@dataclass(frozen=True)
class Answer:
    """One answer that is known.

    Attributes:
        text: what is chosen, or the number. Plain text, `code` between backticks.
        right: whether it is worth all, or nothing.
        says: what whoever gives it is told.
        within: for a number, how far from it an answer may be.
        picture: a PNG, where plots are to choose from; the text says then what it looks like.
    """

    text: str
    right: bool
    says: str
    within: float = 0.0
    picture: bytes = b""


@dataclass(frozen=True)
class Record:
    """A question.

    Attributes:
        name: short and unique, made of letters, digits and dashes.
        chapter: the title of the chapter that asks it.
        prompt: what is asked. Plain text, `code` between backticks.
        because: what everybody is told in the end.
        otherwise: what is said to an answer that is not known.
        numbers: whether numbers are asked for; else one of the answers is chosen.
        fields: for each thing to answer, the answers that are known, in the order in which they are tried.
    """

    name: str
    chapter: str
    prompt: str
    because: str
    otherwise: str
    numbers: bool
    fields: tuple[tuple[Answer, ...], ...]


def record(question: Question) -> Record:
    """The question of a chapter as plain data.

    Raises:
        TypeError: if it is of a kind that is not known here.
        ValueError: if its numbers can be read in more than one way, which no interval says.
    """
    title, _ = opening(question.page.rpartition("/")[2])
    if isinstance(question, Choice):
        fields: tuple[tuple[Answer, ...], ...] = (tuple(_choices(question)),)
    elif isinstance(question, NumberQuestion):
        if len(question.problem.readings) != 1:
            raise ValueError(f"{question.name}: it can be read in several ways; a quiz needs one")
        outcomes = question.problem.outcomes[0][question.part.name]
        fields = tuple(tuple(_numbers(outcomes, at, question.hint)) for at in range(question.count))
    else:
        raise TypeError(f"{question.name} is a {type(question).__name__}; expected a Choice or a NumberQuestion")
    because = f"{question.because} In the book: “{question.see.text}”, in the chapter “{title}”."
    return Record(
        question.name, title, question.prompt, because, question.hint, isinstance(question, NumberQuestion), fields
    )


def _choices(question: Choice) -> Iterator[Answer]:
    says = {wrong.text: wrong.says for wrong in question.wrong}
    for text in question.choices:
        plot = question.plots.get(text)
        picture = plot.png() if isinstance(plot, Drawing) else b""
        yield Answer(text, text == question.right, says.get(text, "Right."), picture=picture)


def _numbers(outcomes: Outcomes, at: int, hint: str) -> Iterator[Answer]:
    """The answers to number `at` of the question: mistakes first, because the right interval may reach beyond them."""
    right, room = float(outcomes.right[at]), float(outcomes.room[at])
    rounded = [float(round_to(digits, np.array([right]))[0]) for digits in range(DIGITS, _ALL)]
    named: dict[float, list[str]] = {}
    intervals: dict[float, float] = {}
    for mistake, values in zip(outcomes.mistakes, outcomes.wrong, strict=True):
        value, away = float(values[at]), abs(float(values[at]) - right)
        # Who is nearer to a mistake than NEARER of the way to the right number is told about it, and nobody else.
        within = min(float(rooms(values, outcomes.carried)[at]), away * NEARER / (1 + NEARER))
        if away > EQUAL * room and all(abs(each - value) > within for each in rounded):
            same = next((known for known in named if abs(known - value) <= EQUAL * room), value)
            named.setdefault(same, []).append(f"{mistake.name}. {mistake.says}")
            intervals[same] = 0.0 if within < ZERO else within
    for value, sentences in named.items():
        different = list(dict.fromkeys(sentences))
        says = f"Not yet: {' Or: '.join(different)}" if len(different) <= MOST_NAMED else f"Not yet. {hint}"
        yield Answer(shown(value), False, says, intervals[value])
    yield Answer(shown(right), True, "Right.", room)
    for way, values in outcomes.also_right:
        # Most are the right number, rounded on the way: its interval has them already.
        if abs(float(values[at]) - right) > room:
            within = float(rooms(values, outcomes.carried)[at])
            yield Answer(shown(float(values[at])), True, way.says or "Right.", within)


def shown(value: float) -> str:
    """A number as learning systems read it: no power of ten, and more digits than the answer's room."""
    return np.format_float_positional(value + 0.0, precision=6, unique=False, fractional=False, trim="-")


def by_chapter(records: Iterable[Record]) -> dict[str, list[Record]]:
    """The records, under the titles of their chapters."""
    found: dict[str, list[Record]] = {}
    for each in records:
        found.setdefault(each.chapter, []).append(each)
    return found
