"""What a class did, counted. Pure functions of a `Class`."""

import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from bn_exercises.verdict import Link
from bn_grading.report.read import Class, Found

# More bars than this cannot be labelled on a phone; a bar narrower than this share of the others neither.
MOST_BARS = 10
NARROWEST = 0.35


@dataclass(frozen=True)
class Tally:
    """What happened, in numbers.

    Attributes:
        handed_in: submissions.
        graded: those of which everything was graded.
        in_part: those of which something could not be read or did not run.
        failed: those without scores.
        not_yet: those that the grader did not try yet.
        waiting: those in which a text waits for its reader, whatever else happened to them.
        nothing: people on the list who handed in nothing.
    """

    handed_in: int
    graded: int
    in_part: int
    failed: int
    not_yet: int
    waiting: int
    nothing: int


def tally(course: Class) -> Tally:
    """Count the submissions."""
    status = Counter(outcome.status for outcome in course.outcomes.values())
    return Tally(
        handed_in=len(course.handed_in),
        graded=status["graded"],
        in_part=status["graded in part"],
        failed=status["failed"],
        not_yet=len(course.handed_in - course.outcomes.keys()),
        waiting=sum(course.waits(student) for student in course.scores),
        nothing=len(course.people.keys() - course.handed_in),
    )


@dataclass(frozen=True)
class Made:
    """A mistake with a name, or several that give the same numbers, in one part.

    Attributes:
        problem: its name.
        part: its name.
        title: the part's, as a reader sees it.
        names: of the mistakes.
        sentences: what those who made it were told, and how many of them; the most frequent first.
        see: where in the book to read.
        students: who made it, in order.
    """

    problem: str
    part: str
    title: str
    names: tuple[str, ...]
    sentences: tuple[tuple[str, int], ...]
    see: Link | None
    students: tuple[str, ...]

    @property
    def name(self) -> str:
        """As it is called."""
        return " or ".join(self.names)


def misconceptions(course: Class) -> list[Made]:
    """Those that were made, the most frequent first."""
    found: dict[tuple[str, str, tuple[str, ...]], dict[str, Found]] = {}
    for student, outcome in sorted(course.outcomes.items()):
        for each in outcome.found:
            if each.kind == "misconception":
                found.setdefault((each.problem, each.part, each.misconceptions), {}).setdefault(student, each)
    made = []
    for (problem, part, names), by_student in found.items():
        sentences = Counter(each.sentence for each in by_student.values())
        first = next(iter(by_student.values()))
        titles = Counter(each.title for each in by_student.values())
        told = tuple(sorted(sentences.items(), key=lambda item: (-item[1], item[0])))
        made.append(Made(problem, part, titles.most_common(1)[0][0], names, told, first.see, tuple(by_student)))
    return sorted(made, key=lambda each: (-len(each.students), each.problem, each.part, each.names))


@dataclass(frozen=True)
class Part:
    """How one part of a problem went.

    Attributes:
        problem: its name.
        part: its name.
        title: as a reader sees it.
        right: how many earned its points.
        named: how many made a mistake with a name.
        wrong: how many have a wrong answer without one, or one that cannot be read.
        missing: how many gave no answer.
    """

    problem: str
    part: str
    title: str
    right: int
    named: int
    wrong: int
    missing: int


_COLUMN: Mapping[str, str] = {
    "right": "right",
    "follow-on": "right",
    "misconception": "named",
    "mixture": "wrong",
    "wrong": "wrong",
    "form": "wrong",
    "missing": "missing",
}


def parts(course: Class) -> list[Part]:
    """How each part went, in the order of the assignment. Notebooks that were not handed in do not count."""
    counts: dict[tuple[str, str, str], Counter[str]] = {}
    titles: dict[tuple[str, str, str], Counter[str]] = {}
    for outcome in course.outcomes.values():
        for each in outcome.found:
            if each.part and each.kind in _COLUMN:
                key = each.notebook, each.problem, each.part
                counts.setdefault(key, Counter())[_COLUMN[each.kind]] += 1
                titles.setdefault(key, Counter())[each.title] += 1
    order = sorted(counts, key=lambda key: key[0])
    return [
        Part(problem, part, titles[key].most_common(1)[0][0], *(counts[key][name] for name in _COLUMNS))
        for key in order
        for _, problem, part in [key]
    ]


_COLUMNS = ("right", "named", "wrong", "missing")


def edges(most: float) -> list[float]:
    """Where the bars of a histogram of scores begin, and where the last one ends: round numbers, then `most`.

    A bar is 1, 2 or 5 points wide, or that times a power of ten: the narrowest that makes no more than `MOST_BARS`. Of
    what is left over at the end there is a bar of its own, unless it is too narrow to be labelled.
    """
    if most <= 0:
        return [0.0, 1.0]
    power = 10.0 ** math.floor(math.log10(most / MOST_BARS))
    width = next(times * power for times in (1, 2, 5, 10) if most / (times * power) <= MOST_BARS)
    begins = [at * width for at in range(math.ceil(most / width))]
    if len(begins) > 1 and most - begins[-1] < NARROWEST * width:
        begins.pop()
    return [*begins, float(most)]


def histogram(scores: Iterable[float], most: float) -> list[int]:
    """How many scores lie in each bar of `edges`. What is less than nothing is in the first, and more in the last."""
    begins = edges(most)[:-1]
    counts = [0] * len(begins)
    for score in scores:
        counts[max(bisect_right(begins, score) - 1, 0)] += 1
    return counts


@dataclass(frozen=True)
class Time:
    """How long something ran.

    Attributes:
        what: a notebook; empty for whole submissions.
        count: how many ran.
        median: in seconds.
        slowest: in seconds.
        student: whose was the slowest.
    """

    what: str
    count: int
    median: float
    slowest: float
    student: str


def timings(course: Class) -> list[Time]:
    """Of whole submissions, then of each notebook."""
    ran = {student: outcome.seconds for student, outcome in course.outcomes.items() if outcome.seconds}
    by_what: dict[str, dict[str, float]] = {"": {student: sum(each.values()) for student, each in ran.items()}}
    for student, seconds in ran.items():
        for notebook, each in seconds.items():
            by_what.setdefault(notebook, {})[student] = each
    times = []
    for what, seconds in sorted(by_what.items()):
        if seconds:
            student = max(sorted(seconds), key=lambda each: seconds[each])
            times.append(Time(what, len(seconds), median(seconds.values()), seconds[student], student))
    return times


def by_student(made: Sequence[Made]) -> dict[str, list[Made]]:
    """The mistakes that each student made, by id, in the order of the problems."""
    found: dict[str, list[Made]] = {}
    for each in sorted(made, key=lambda each: (each.problem, each.part)):
        for student in each.students:
            found.setdefault(student, []).append(each)
    return dict(sorted(found.items()))
