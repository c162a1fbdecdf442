"""What of a report can be shown to others: no names, nothing that a student wrote, and no count of one or two people.

A count below `FEWEST` can point at somebody, so it is hidden. If the sum of a row is known and one of its counts is
hidden, subtraction gives that count; then the smallest of the other counts is hidden as well. Rows of scores are shown
under pseudonyms, in bands, and only if at least `FEWEST` students have the same row.
"""

import random
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from statistics import median

from bn_grading.report.compute import Made, Part
from bn_grading.report.read import Class

FEWEST = 3
BANDS = ("none", "less than half", "half or more", "all")


def hidden(counts: Sequence[int]) -> list[int | None]:
    """Counts whose sum is known, with None in the place of those that could point at somebody."""
    shown: list[int | None] = [None if 0 < count < FEWEST else count for count in counts]
    while any(each is None for each in shown):
        gone = [count for count, each in zip(counts, shown, strict=True) if each is None]
        # The sum of the hidden counts can be worked out. That gives one away if it is alone, or if the sum is small.
        if len(gone) > 1 and sum(gone) > FEWEST:
            return shown
        left = [count for count in shown if count]
        if not left:
            return [None] * len(shown)
        shown[shown.index(min(left))] = None
    return shown


def enough(made: Iterable[Made]) -> tuple[list[Made], int]:
    """The mistakes that enough students made, without the students' ids; and how many others there are.

    The sentence that they were told is kept if enough of them were told the same one.
    """
    shown, others = [], 0
    for each in made:
        if len(each.students) < FEWEST:
            others += 1
        else:
            told = tuple((sentence, count) for sentence, count in each.sentences[:1] if count >= FEWEST)
            shown.append(replace(each, sentences=told, students=("",) * len(each.students)))
    return shown, others


@dataclass(frozen=True)
class Went:
    """How one part went. A count that could point at somebody is None.

    Attributes:
        problem: the problem's name.
        part: the part's name.
        title: the part's title, as a reader sees it.
        right: how many earned its points.
        not_yet: how many gave another answer.
        missing: how many gave none.
    """

    problem: str
    part: str
    title: str
    right: int | None
    not_yet: int | None
    missing: int | None


def went(parts: Iterable[Part]) -> list[Went]:
    """How each part went. Mistakes with a name are not told apart here: see `enough`."""
    return [
        Went(each.problem, each.part, each.title, *hidden((each.right, each.named + each.wrong, each.missing)))
        for each in parts
    ]


def band(score: float, most: float) -> str:
    """The one of the four `BANDS` that a score is in."""
    if score <= 0:
        return BANDS[0]
    if score >= most:
        return BANDS[3]
    return BANDS[1] if 2 * score < most else BANDS[2]


def rows(course: Class, chance: random.Random) -> tuple[list[tuple[str, tuple[str, ...]]], int]:
    """For each student a pseudonym and the bands of their notebooks; and how many rows are left out.

    Rows are in random order, and the pseudonyms number them in it, so neither depends on the ids.
    """
    bands = [
        tuple(band(scores[name].score if name in scores else 0, most) for name, most in course.most.items())
        for scores in (course.scores[student] for student in course.scored)
    ]
    counts = Counter(bands)
    shown = [each for each in bands if counts[each] >= FEWEST]
    chance.shuffle(shown)
    width = len(str(len(shown)))
    return [(f"Student {at:0{width}}", each) for at, each in enumerate(shown, 1)], len(bands) - len(shown)


def medians(course: Class) -> dict[str, float]:
    """The median time that a notebook ran, in seconds, by name; only where enough of them ran."""
    seconds: dict[str, list[float]] = {}
    for outcome in course.outcomes.values():
        for name, each in outcome.seconds.items():
            seconds.setdefault(name, []).append(each)
    return {name: median(each) for name, each in sorted(seconds.items()) if len(each) >= FEWEST}
