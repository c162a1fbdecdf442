"""The two pages. What students wrote reaches them through templates, which escape it. They contain no script."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from itertools import groupby
from statistics import median
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from bn_exercises.problems import TASKS
from bn_exercises.verdict import Link
from bn_grading.report import anonymous, compute
from bn_grading.report.alike import NEARLY, SHARE, SHINGLE, Alike
from bn_grading.report.read import Class

# The page shows so many groups and pairs, and says how many more there are.
MOST_ALIKE = 200
# Beside a mistake stand the names of so many who made it.
MOST_NAMES = 12


def report(course: Class, same: Sequence[Alike], book: str = "") -> str:
    """The page for the instructor, with names.

    Args:
        course: what was read.
        same: the groups and pairs with nearly the same code.
        book: the address of the book's front page; if it is empty, sections of the book are named without links.
    """
    made = compute.misconceptions(course)
    most = sum(course.most.values())
    return _render(
        "report.html.jinja",
        course=course,
        tally=compute.tally(course),
        made=made,
        by_student=compute.by_student(made),
        parts=compute.parts(course),
        place={student: at for at, student in enumerate(sorted(course.people))},
        names=MOST_NAMES,
        most=most,
        median=median([course.total(student) for student in course.scored]) if course.scored else None,
        bars=bars(compute.histogram((course.total(student) for student in course.scored), most), most),
        troubled={s: outcome for s, outcome in sorted(course.outcomes.items()) if outcome.problems},
        times=compute.timings(course),
        same=same[:MOST_ALIKE],
        more_same=max(0, len(same) - MOST_ALIKE),
        nearly=NEARLY,
        share=SHARE,
        shingle=SHINGLE,
        **_shared(course, book),
    )


def shareable(course: Class, same: Sequence[Alike], chance: random.Random, book: str = "") -> str:
    """The page that can be shown to others; `anonymous` says what it may contain."""
    tally = compute.tally(course)
    made, others = anonymous.enough(compute.misconceptions(course))
    most = sum(course.most.values())
    rows, left_out = anonymous.rows(course, chance)
    status = (tally.graded, tally.in_part, tally.failed, tally.not_yet)
    return _render(
        "shareable.html.jinja",
        enough=tally.handed_in >= anonymous.FEWEST,
        fewest=anonymous.FEWEST,
        handed_in=tally.handed_in,
        counts=dict(
            zip(("graded", "graded in part", "failed", "not graded yet"), anonymous.hidden(status), strict=True)
        ),
        waiting=anonymous.hidden((tally.waiting, max(0, tally.handed_in - tally.waiting)))[0],
        made=made,
        others=others,
        parts=anonymous.went(compute.parts(course)),
        notebooks=list(course.most),
        most=most,
        bars=bars(
            anonymous.hidden(compute.histogram((course.total(student) for student in course.scored), most)), most
        ),
        rows=rows,
        left_out=left_out,
        medians=anonymous.medians(course),
        alike=anonymous.hidden((len({each for one in same for each in one.students}), tally.handed_in))[0],
        **_shared(course, book),
    )


def _shared(course: Class, book: str) -> dict[str, Any]:
    return {"title": course.assignment, "problem": _problem, "book": lambda see: address(see, book)}


def _problem(name: str) -> str:
    return TASKS[name].title if name in TASKS else name


def address(see: Link, book: str) -> str:
    """The address of a section of the book; empty if the book's own address is not known."""
    return f"{book.rstrip('/')}/{see.page}.html#{see.anchor}" if book else ""


@dataclass(frozen=True)
class Bar:
    """A bar of the histogram, in the units of its picture.

    Attributes:
        label: the scores that it counts, in words.
        begins: the lowest of them.
        count: how many there are; None if that is not shown.
        x: the bar's left edge.
        width: the bar's width.
        height: the bar's height.
    """

    label: str
    begins: str
    count: int | None
    x: float
    width: float
    height: float


# The size of the histogram's picture.
WIDTH, HEIGHT = 340, 120


def bars(counts: Sequence[int | None], most: float) -> list[Bar]:
    """The bars of a histogram. The highest one is as high as the picture."""
    highest = max([1, *(count for count in counts if count)])
    *begins, end = compute.edges(most)
    ends = [*begins[1:], end]
    return [
        Bar(
            label=f"{begin:g} and more" if last is end else f"{begin:g} to less than {last:g}",
            begins=f"{begin:g}",
            count=count,
            x=WIDTH * begin / end,
            width=WIDTH * (last - begin) / end,
            height=HEIGHT * (count or 0) / highest,
        )
        for begin, last, count in zip(begins, ends, counts, strict=True)
    ]


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("bn_grading.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["number"] = lambda value: f"{round(value, 2):g}"
    environment.filters["people"] = lambda count: "1 student" if count == 1 else f"{count} students"
    environment.filters["by_problem"] = lambda parts: [list(of) for _, of in groupby(parts, lambda each: each.problem)]
    environment.globals["css"] = (files("bn_grading.report") / "templates" / "report.css").read_text("utf-8")
    environment.globals["picture"] = {"width": WIDTH, "height": HEIGHT}
    return environment


def _render(template: str, **what: Any) -> str:
    return _environment().get_template(template).render(what)
