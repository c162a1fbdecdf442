"""What of a report can be shown to others: no names, nothing that a student wrote, and no number of one or two people.

A number below `FEWEST` can point at somebody, so it is not shown. Where the numbers of a row add up to one that is
known, one that is hidden could be worked out: then the smallest of the others is hidden as well. Rows of scores are
shown under pseudonyms, in bands, and only those that at least `FEWEST` students share.
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
    """Numbers that add up to a known one, without those that could point at somebody: None in their place."""
    shown: list[int | None] = [None if 0 < count < FEWEST else count for count in counts]
    while any(each is None for each in shown):
        gone = [count for count, each in zip(counts, shown, strict=True) if each is None]
        # Together they are known. One alone would be, and so would several that come to little.
        if len(gone) > 1 and sum(gone) > FEWEST:
            return shown
        left = [count for count in shown if count]
        if not left:
            return [None] * len(shown)
        shown[shown.index(min(left))] = None
    return shown


def enough(made: Iterable[Made]) -> tuple[list[Made], int]:
    """The mistakes that enough students made, without their ids; and how many others there are.

    What they were told stays where enough of them were told the very same: then it is nobody's own.
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
    """How one part went, where that can be shown; None, where it could point at somebody.

    Attributes:
        problem: its name.
        part: its name.
        title: as a reader sees it.
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
    """How the parts went. Which mistake is told elsewhere, where enough made it."""
    return [
        Went(each.problem, each.part, each.title, *hidden((each.right, each.named + each.wrong, each.missing)))
        for each in parts
    ]


def band(score: float, most: float) -> str:
    """A score, in one of four words."""
    if score <= 0:
        return BANDS[0]
    if score >= most:
        return BANDS[3]
    return BANDS[1] if 2 * score < most else BANDS[2]


def rows(course: Class, chance: random.Random) -> tuple[list[tuple[str, tuple[str, ...]]], int]:
    """For each student a pseudonym and the bands of their notebooks; and how many rows are left out.

    The numbers in the pseudonyms are drawn, and so the order: neither depends on the ids.
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
    """How long notebooks ran, by name, where enough ran."""
    seconds: dict[str, list[float]] = {}
    for outcome in course.outcomes.values():
        for name, each in outcome.seconds.items():
            seconds.setdefault(name, []).append(each)
    return {name: median(each) for name, each in sorted(seconds.items()) if len(each) >= FEWEST}
