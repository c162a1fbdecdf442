"""Show a question on a page that needs no kernel: in the book, and as a cell's output in JupyterLab.

`page.js` compares what the reader answers with numbers that are computed here. It asks the network for nothing and
needs no MathJax, no widget and no other script.

Why not jupyterquiz 2.9.6.4, which does much of this: typing "0,5" leaves "05" in its field, which it reads as 5 and
answers as such; a question takes one number; its field has no label, loses its content on focus and refuses to be
pasted into; it never closes its outermost <div>, so the rest of the page ends up inside the question.
"""

import html
import json
import posixpath
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from string import ascii_uppercase
from typing import Any

from bn_exercises.check_yourself.numeric import NumberQuestion
from bn_exercises.check_yourself.question import Choice
from bn_exercises.misconceptions import Misconception
from bn_exercises.numbers.calculation import Outcomes
from bn_exercises.numbers.judging import _MOST_SLIPS, _TELLING, _TIE, CUT_SHORT
from bn_exercises.problem import Reading
from bn_exercises.tolerance import DIGITS, EQUAL, NEARER, Array, distance, rooms
from bn_exercises.translation import ENGLISH, _, marked, messages, plural_forms, said, spoken
from bn_exercises.typography import as_html
from bn_exercises.verdict import Link

# How `verify` decides, for the script that decides as it does.
_RULE = {"equal": EQUAL, "nearer": NEARER, "digits": DIGITS, "tie": _TIE, "slips": _MOST_SLIPS, "telling": _TELLING}


@dataclass(frozen=True)
class Page:
    """Questions as a cell's output: HTML where there is a browser, the prompts in a terminal."""

    questions: tuple[NumberQuestion | Choice, ...]

    def __repr__(self) -> str:
        """The prompts, for a terminal."""
        return "\n".join(_plain(question) for question in self.questions)

    def _repr_html_(self) -> str:
        return "\n".join(to_html(question) for question in self.questions)


def check_yourself(*questions: NumberQuestion | Choice) -> Page:
    """Show questions, let the reader answer each, and answer back. Make it the last line of a cell."""
    return Page(questions)


def to_html(question: NumberQuestion | Choice) -> str:
    """The question as HTML with its style and its script: complete, and with nothing to load."""
    if isinstance(question, Choice):
        data, field = _choice_data(question), _radios(question)
    else:
        data, field = _number_data(question), _text_field(question)
    if spoken() != ENGLISH:
        data |= {"words": _words(), "plural": plural_forms(100)}
    script_data = html.escape(json.dumps(data, ensure_ascii=False))
    answers = "\n".join(f"<p><strong>{as_html(line)}</strong></p>" for line in _shown(question))
    return f"""\
<div class="bn-question" data-name="{question.name}"{marked()} data-lm-suppress-shortcuts="true">
<style>{_asset("page.css")}</style>
<form data-question="{script_data}" novalidate>
{field}
<button type="submit">{_("Check")}</button>
</form>
<div class="bn-verdict" role="status"></div>
<details><summary>{_("Show the answer")}</summary>
{answers}
<p>{as_html(said(question.because))}</p>
</details>
<noscript><p>{_("Checking an answer needs JavaScript. The answer above does not.")}</p></noscript>
<script>{_asset("page.js")}</script>
</div>"""


# What a reader sees


def _plain(question: NumberQuestion | Choice) -> str:
    choices = question.choices if isinstance(question, Choice) else ()
    prompt = _("Question: {prompt}", prompt=said(question.prompt))
    return "\n".join([prompt, *(f"  - {said(choice)}" for choice in choices)])


def _text_field(question: NumberQuestion) -> str:
    label = _("Your answer")
    if question.count > 1:
        label = _("Your answer ({count} numbers, with spaces between them)", count=question.count)
    return f"""\
<label><span class="bn-prompt">{_prompt(question)}</span>
<span class="bn-label">{label}</span>
<input type="text" name="answer" inputmode="text" autocomplete="off" autocapitalize="off" spellcheck="false"></label>"""


def _radios(question: Choice) -> str:
    radios = "\n".join(
        f'<label class="bn-choice"><input type="radio" name="answer" value="{html.escape(choice)}">'
        f"<span>{_shown_choice(question, choice)}</span></label>"
        for choice in question.choices
    )
    plots = ' class="bn-plots"' if question.plots else ""
    return f'<fieldset{plots}><legend class="bn-prompt">{_prompt(question)}</legend>\n{radios}\n</fieldset>'


def _shown_choice(question: Choice, choice: str) -> str:
    """A text, or a plot under its letter."""
    if choice not in question.plots:
        return as_html(said(choice))
    letter = _letter(question, choice)
    plot = question.plots[choice](said(choice), f"{question.name}-{letter}-")
    return f'<b>{letter}</b><span class="bn-figure">{plot}</span>'


def _letter(question: Choice, choice: str) -> str:
    return ascii_uppercase[question.choices.index(choice)]


def _prompt(question: NumberQuestion | Choice) -> str:
    return f'<strong class="bn-kicker">{_("Question")}</strong> {as_html(said(question.prompt))}'


def _shown(question: NumberQuestion | Choice) -> tuple[str, ...]:
    """The right answer; the answer under each reading, where a problem can be read in several ways."""
    if isinstance(question, Choice):
        right = said(question.right)
        return (
            (_("Plot {letter}. {right}", letter=_letter(question, question.right), right=right),)
            if question.plots
            else (right,)
        )
    (solved,) = question.problem.solved()
    return tuple(map(said, solved[2]))


# What the script needs: which answers count as what, and what to say to each


def _choice_data(question: Choice) -> dict[str, Any]:
    return {
        "because": as_html(said(question.because)),
        "mistakes": [
            {"name": as_html(said(wrong.name)), "says": _with_link(wrong.says, question.see, question.page)}
            for wrong in question.wrong
        ],
        "choices": {question.right: None} | {wrong.text: i for i, wrong in enumerate(question.wrong)},
    }


def _number_data(question: NumberQuestion) -> dict[str, Any]:
    problem, mistakes = question.problem, list(question.part.mistakes)
    return {
        "count": question.count,
        "because": as_html(said(question.because)),
        "otherwise": _with_link(question.hint, question.see, question.page),
        "mistakes": [
            {"name": as_html(said(mistake.name)), "says": _with_link(mistake.says, mistake.see, question.page)}
            for mistake in mistakes
        ],
        "open": [len(ways) for ways in problem.open],
        "readings": [
            _reading(reading, outcomes[question.part.name], mistakes)
            for reading, outcomes in zip(problem.readings, problem.outcomes, strict=True)
        ],
        "cutShort": as_html(said(CUT_SHORT)),
        "rule": _RULE,
    }


def _reading(reading: Reading, outcomes: Outcomes, mistakes: list[Misconception]) -> dict[str, Any]:
    """What is right under one reading, what each mistake gives, and what those give that differ in how many numbers."""
    ways = [("", outcomes.right)] + [(way.says, value) for way, value in outcomes.also_right]
    # What comes to the right numbers here is no mistake here.
    wrong = [
        (mistake, value)
        for mistake, value in zip(outcomes.mistakes, outcomes.wrong, strict=True)
        if distance(value, outcomes.right, outcomes.room) > EQUAL
    ]
    return {
        "choices": [as_html(said(choice)) for choice in reading.choices],
        "ways": [{**_heading(says), **_range(value, outcomes.carried)} for says, value in ways],
        "wrong": [{"mistake": mistakes.index(m), **_range(value, outcomes.carried)} for m, value in wrong],
        "other": [{"mistake": mistakes.index(m), **_range(value)} for m, value in outcomes.other_shapes],
    }


def _range(value: Array, carried: Array | None = None) -> dict[str, Any]:
    return {"value": value.tolist(), "room": rooms(value, carried).tolist()}


def _heading(says: str) -> dict[str, str]:
    """The first sentence, which stands out, and the rest."""
    first, _dot, rest = said(says or "Right.").partition(". ")
    return {"heading": as_html(f"{first.rstrip('.')}."), "says": as_html(rest)}


def _with_link(sentence: str, see: Link, page: str) -> str:
    """The sentence and the section to read, whose address is relative to the page that shows it."""
    other = see.page not in ("", page)
    place = f"{posixpath.relpath(see.page, posixpath.dirname(page))}.html" if other else ""
    section = f'<a href="{html.escape(f"{place}#{see.anchor}")}">{as_html(see.text)}</a>'
    return f"{as_html(said(sentence))} {_('See {section}.', section=section)}"


def _words() -> dict[str, str | list[str]]:
    """The script's own messages, translated."""
    script = _asset("page.js")
    return {message: text for message, text in messages().items() if json.dumps(message, ensure_ascii=False) in script}


@cache
def _asset(name: str) -> str:
    return files("bn_exercises.check_yourself").joinpath(name).read_text(encoding="utf-8").strip()
