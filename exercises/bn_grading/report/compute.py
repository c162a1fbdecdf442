"""Counts of what a class did. Pure functions of a `Class`."""

import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from bn_exercises.verdict import Link
from bn_grading.report.read import Class, Found

# On a phone there is room to label so many bars, and no room for a bar that is narrower than this share of the others.
MOST_BARS = 10
NARROWEST = 0.35


@dataclass(frozen=True)
class Tally:
    """How many submissions had which fate.

    Attributes:
        handed_in: all submissions.
        graded: those that were graded completely.
        in_part: those in which something could not be read or did not run.
        failed: those without scores.
        not_yet: those that the grader has not tried yet.
        waiting: those in which a text waits for its reader; they are counted in one of the above too.
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
    """A mistake with a name that was made in one part; or several mistakes that give the same numbers there.

    Attributes:
        problem: the problem's name.
        part: the part's name.
        title: the part's title, as a reader sees it.
        names: the names of the mistakes.
        sentences: each sentence that students were told, and how many were told it; the most frequent first.
        see: the section of the book to read.
        students: the ids of those who made it, sorted.
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
        """The names in one phrase."""
        return " or ".join(self.names)


def misconceptions(course: Class) -> list[Made]:
    """The mistakes with a name that were made, the most frequent first."""
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
        problem: the problem's name.
        part: the part's name.
        title: the part's title, as a reader sees it.
        right: how many students earned its points.
        named: how many made a mistake with a name.
        wrong: how many gave another wrong answer, or one that cannot be read.
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

    A bar is 1, 2 or 5 points wide, or that times a power of ten: the narrowest such width that gives at most
    `MOST_BARS` bars. The last bar may be narrower. If it is too narrow to be labelled, it is joined to the one before.
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
    """How many scores lie in each bar of `edges`. The first also counts those below 0, the last those above `most`."""
    begins = edges(most)[:-1]
    counts = [0] * len(begins)
    for score in scores:
        counts[max(bisect_right(begins, score) - 1, 0)] += 1
    return counts


@dataclass(frozen=True)
class Time:
    """How long a notebook ran, or a whole submission.

    Attributes:
        what: the notebook's name; empty for whole submissions.
        count: how many ran.
        median: their median time, in seconds.
        slowest: the longest time, in seconds.
        student: the id of the student whose run took longest.
    """

    what: str
    count: int
    median: float
    slowest: float
    student: str


def timings(course: Class) -> list[Time]:
    """The times of whole submissions, then those of each notebook."""
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
