"""The tables and lists of the page, as Markdown."""

from collections.abc import Iterator

from bn_book.chapters import chapters, opening
from bn_book.explorables import KINDS, Explorable
from bn_book.lessons.about import ABOUT, DEMANDS, EXERCISES, NOTHING_KNOWN, About, difficulty
from bn_book.lessons.effort import Effort, exercises, of_chapter
from bn_book.lessons.explorables import PROJECTIONS
from bn_exercises.problems import TASKS


def demands() -> str:
    """What can make a text hard."""
    return "\n".join(f"- **{name}**: {says}" for name, says in DEMANDS.items())


def times() -> str:
    """The chapters and the exercises: minutes, and how hard each is and why."""
    rows = ["| to read or to do | minutes | how hard, and why |", "|:--|--:|:--|"]
    for name in chapters():
        rows.append(_row(f"{{doc}}`chapters/{name}`", of_chapter(name), ABOUT.get(name)))
    for name, effort in exercises().items():
        rows.append(_row(f"{{doc}}`{TASKS[name].title} <exercises/{name}>`", effort, EXERCISES.get(name)))
    return "\n".join(rows)


def _row(link: str, effort: Effort, about: About | None) -> str:
    if about is None:
        return f"| {link} | {effort.minutes} | not said yet |"
    why = f": {', '.join(about.asks)}" if about.asks else ""
    return f"| {link} | {effort.minutes} | {difficulty(about)}{why} |"


def discussions() -> str:
    """For each chapter what to discuss."""
    return "\n\n".join(_discussion(name) for name in chapters() if ABOUT.get(name, NOTHING_KNOWN).discuss)


def _discussion(name: str) -> str:
    items = "\n".join(f"- {question} *{touches}*" for question, touches in ABOUT[name].discuss)
    return f"**{{doc}}`{opening(name)[0]} <chapters/{name}>`**\n\n{items}"


def projections() -> str:
    """For each explorable what to project, to ask, and to answer."""
    return "\n\n".join("\n".join(_lines(kind)) for kind in KINDS if kind in PROJECTIONS)


def _lines(kind: type[Explorable]) -> Iterator[str]:
    shown = PROJECTIONS[kind]
    title = kind.title.default_value or "A figure to leaf through"
    yield f"**{title}**, in {{doc}}`{shown.page}`\n"
    yield f"Project: {shown.project}\n"
    yield f"Ask: *{shown.ask}*\n"
    yield from (f"- “{says}” {reply}" for says, reply in shown.answers)
