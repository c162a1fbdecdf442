"""The face of `verify` in a notebook: a verdict to read, and hints that grow with the tries.

    from bn_exercises.check import check, solution
    from bn_exercises.problems import BASIC_CALCULATION

    check(BASIC_CALCULATION, mean=[5, 7, 9])
    solution(BASIC_CALCULATION)

Tries are counted here, in this session, and nowhere else: `verify` knows nothing of them and nothing is written.
"""

import hashlib
import html
import json
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import date
from functools import cache
from importlib.resources import files
from typing import Any

from bn_exercises.answers import plain
from bn_exercises.problem import Answers, Problem, verify
from bn_exercises.translation import N_, _, marked, said
from bn_exercises.typography import as_html
from bn_exercises.verdict import Finding, Kind, Link, Verdict

# Said in words as well as by a mark and a colour, for those who do not see one of these.
_HEADINGS: dict[Kind, tuple[str, str]] = {
    "right": ("✓", N_("Right")),
    "follow-on": ("✓", N_("Counts")),
    "misconception": ("✗", N_("Not yet")),
    "mixture": ("✗", N_("Not yet")),
    "wrong": ("✗", N_("Not yet")),
    "form": ("✗", N_("Not in the form asked for")),
    "missing": ("·", N_("No answer yet")),
    "note": ("·", N_("Note")),
}
_HINT_WORTHY: tuple[Kind, ...] = ("misconception", "wrong")
_HINT_NAMES = (N_("Where to look"), N_("The rule"), N_("The step"))


@dataclass(frozen=True)
class Checked:
    """A verdict with the hints that this many tries have earned; shows itself as text and as HTML.

    Attributes:
        title: the problem's.
        verdict: what `verify` found.
        hints: for each part's name, the hints so far.
        book: the address of the book's front page, if links are wanted.
        told: parts about which everything was said before: one line for each.
    """

    title: str
    verdict: Verdict
    hints: Mapping[str, tuple[str, ...]]
    book: str = ""
    told: frozenset[str] = frozenset()

    def __repr__(self) -> str:
        """As plain text."""
        lines = [self._heading()]
        for finding in self.verdict.findings:
            lines.append(f"  {_HEADINGS[finding.kind][0]} {_summary(finding)}")
            lines += [f"      {line}" for line in self._details(finding)]
            if finding.see and finding.part not in self.told:
                lines.append(f"      {_('Read: {section}.', section=_named(finding.see))}")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        items = "\n".join(self._item(finding) for finding in self.verdict.findings)
        return (
            f'<div class="bn-checked"{marked()} role="group" aria-label="{_("Verdict")}"><style>{_style()}</style>\n'
            f"<p><strong>{as_html(self._heading())}</strong></p>\n<ul>\n{items}\n</ul></div>"
        )

    def _item(self, finding: Finding) -> str:
        details = "".join(f"<p>{as_html(line)}</p>" for line in self._details(finding))
        read_on = ""
        if finding.see and finding.part not in self.told:
            read_on = f"<p>{_('Read: {section}.', section=self._link(finding.see))}</p>"
        mark = f'<span aria-hidden="true">{_HEADINGS[finding.kind][0]}</span>'
        return (
            f'<li data-kind="{html.escape(finding.kind, quote=True)}"><p>{mark} '
            f"<strong>{as_html(_summary(finding))}</strong></p>{details}{read_on}</li>"
        )

    def _link(self, see: Link) -> str:
        if not self.book:
            return as_html(_named(see))
        address = f"{self.book.rstrip('/')}/{see.page}.html#{see.anchor}"
        return f'<a href="{html.escape(address, quote=True)}">{as_html(see.text)}</a>'

    def _heading(self) -> str:
        points = _points(self.verdict.score, self.verdict.max_score)
        return f"{said(self.title)}: {points}"

    def _details(self, finding: Finding) -> list[str]:
        if finding.kind == "missing" or finding.part in self.told:
            return []
        says = [] if finding.sentence == "Right." else [finding.sentence]
        hints = list(zip(_HINT_NAMES, self.hints.get(finding.part, ()), strict=False))
        # A mistake with a name says where to look, and the sentence about an unknown one ends with it.
        hints = [
            (name, hint) for name, hint in hints[1 if finding.misconceptions else 0 :] if hint not in finding.sentence
        ]
        return [*map(said, says), *(f"{_(name)}: {said(hint)}" for name, hint in hints)]


def _named(see: Link) -> str:
    """A section without a link to it, such as: "Epsilon", in the chapter "The forward pass".

    The only exercise whose page is named is the own one.
    """
    if see.chapter:
        return _("“{section}”, in the chapter “{chapter}”", section=see.text, chapter=see.chapter)
    if see.page.startswith("exercises/"):
        return _("“{section}”, on this exercise's page in the book", section=see.text)
    return _("“{section}”", section=see.text)


def _summary(finding: Finding) -> str:
    word = _(_HEADINGS[finding.kind][1])
    if not finding.part:
        return word
    named = f": {_(' or ').join(map(said, finding.misconceptions))}" if finding.misconceptions else ""
    return f"{said(finding.title)}. {word}{named}. {_points(finding.points, finding.max_points)}."


def _points(earned: float, most: float) -> str:
    return _("{earned} of {most} points", earned=f"{earned:g}", most=f"{most:g}")


@dataclass
class Session:
    """Remembers one learner's tries, for each problem (each variant by itself) and part.

    Attributes:
        book: the address of the book's front page; empty, and a verdict names sections without linking to them.
        solutions_from: the day on which the course opens its solutions, if it keeps them closed until then.
    """

    book: str = ""
    solutions_from: date | None = None
    _tries: dict[tuple[str, str, str], list[bytes]] = field(default_factory=dict)
    _told: set[tuple[str, bytes, Finding]] = field(default_factory=set)

    def check(self, problem: Problem, /, **answers: Any) -> Checked:
        """Judge `answers`, and give one more hint for each part that is still wrong.

        The same wrong answer again is no new try: whoever runs all cells gets no further for it. What was said before
        about an answer is not said again beside a later part.

        Raises:
            TypeError: if `problem` is none.
        """
        refuse_other(problem)
        observed = problem.observe(answers)
        checked = self.judge(problem, observed)
        said = {
            finding.part: (repr(problem.given), _digest(observed[finding.part]), finding)
            for finding in checked.verdict.findings
            if finding.part in observed
        }
        told = {part for part in list(answers)[:-1] if part in said and said[part] in self._told}
        self._told.update(said.values())
        return replace(checked, told=frozenset(told))

    def judge(self, problem: Problem, observed: Answers) -> Checked:
        """The same for answers that were observed already."""
        verdict = verify(problem, observed)
        hints = {}
        for name in problem.points:
            if verdict.of(name).kind in _HINT_WORTHY:
                tries = self._tries.setdefault((problem.name, repr(problem.given), name), [])
                digest = _digest(observed.get(name))
                if digest not in tries:
                    tries.append(digest)
                hints[name] = problem.hints(name)[: len(tries)]
        return Checked(problem.title, _about(verdict, observed), hints, self.book)

    def close_solutions(self, until: str) -> None:
        """Show no solution of any problem before this day, YYYY-MM-DD. Of several days the last one counts.

        Raises:
            ValueError: if it is no day.
        """
        self.solutions_from = max(day(until), self.solutions_from or date.min)

    def forget(self) -> None:
        """Begin again with the first hint."""
        self._tries.clear()
        self._told.clear()


def refuse_other(problem: object) -> None:
    """Raise `TypeError` unless this is a problem: a learner may have used the name for something else."""
    if not hasattr(problem, "observe"):
        raise TypeError(
            f"the first argument is a {type(problem).__name__}; expected a problem. If a cell of yours uses the name "
            "for something else, give that another name and run the cells again from the first."
        )


def _about(verdict: Verdict, answered: Answers) -> Verdict:
    """The verdict on what was answered so far; on everything, if nothing was."""
    findings = tuple(finding for finding in verdict.findings if not finding.part or finding.part in answered)
    return replace(verdict, findings=findings) if any(finding.part for finding in findings) else verdict


def _digest(answer: Any) -> bytes:
    return hashlib.sha256(json.dumps(plain(answer), sort_keys=True).encode()).digest()


# One learner, one kernel.
SESSION = Session()


def check(problem: Problem, /, **answers: Any) -> Checked:
    """Judge `answers` and say what is right, what is wrong, and which mistake it was. Make it a cell's last line.

    Args:
        problem: one of `bn_exercises.problems`, or a variant of one.
        answers: a value for each part answered so far, by the part's name.
    """
    return SESSION.check(problem, **answers)


@dataclass(frozen=True)
class Solution:
    """The worked numbers of a problem, as text and as HTML."""

    problem: Problem

    def __repr__(self) -> str:
        """As plain text."""
        lines = [self._heading()]
        for title, steps, results in self.problem.solved():
            lines += [f"  {said(title)}", *(f"      {said(line)}" for line in (*steps, *results))]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        parts = []
        for title, steps, results in self.problem.solved():
            lines = "".join(f"<p>{as_html(said(step))}</p>" for step in steps)
            numbers = "".join(f"<p><code>{html.escape(said(result))}</code></p>" for result in results)
            parts.append(f"<li><p><strong>{as_html(said(title))}</strong></p>{lines}{numbers}</li>")
        return (
            f'<div class="bn-checked"{marked()} role="group" aria-label="{_("Solution")}"><style>{_style()}</style>\n'
            f"<p><strong>{as_html(self._heading())}</strong></p>\n"
            f"<ul>{''.join(parts)}</ul></div>"
        )

    def _heading(self) -> str:
        return _("{title}: the solution", title=said(self.problem.title))


@dataclass(frozen=True)
class Closed:
    """What is shown in the place of a solution that the course has not opened yet."""

    problem: Problem
    opens: date

    def __repr__(self) -> str:
        """As plain text."""
        return _(
            "{title}: your course shows the solution from {day} on. "
            "Until then `check` says which part is wrong, and hints a little more with each try.",
            title=said(self.problem.title),
            day=self.opens.isoformat(),
        )

    def _repr_html_(self) -> str:
        return (
            f'<div class="bn-checked"{marked()} role="group" aria-label="{_("Solution")}"><style>{_style()}</style>\n'
            f"<p>{as_html(repr(self))}</p></div>"
        )


def solution(problem: Problem) -> Solution | Closed:
    """The right numbers of `problem`, and how one gets them. Ask when you are done, or stuck.

    In a course that keeps its solutions closed until a day, it says which day.
    """
    opens = SESSION.solutions_from
    return Closed(problem, opens) if opens and today() < opens else Solution(problem)


def day(text: str) -> date:
    """The day that is written as YYYY-MM-DD.

    Raises:
        ValueError: if it is written in another way, or there is no such day.
    """
    # fromisoformat alone would take 2026-W51-7, too.
    with suppress(ValueError):
        if re.fullmatch(r"\d{4}-\d\d-\d\d", text):
            return date.fromisoformat(text)
    raise ValueError(f"there is no day {text!r}; expected one as YYYY-MM-DD, such as 2026-12-20")


def today() -> date:
    """The day, by the clock of the machine that the notebook runs on."""
    return date.today()


@cache
def _style() -> str:
    return files("bn_exercises").joinpath("check.css").read_text(encoding="utf-8").strip()
