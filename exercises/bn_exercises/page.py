"""Show a question on a page that needs no kernel: in the book, and as a cell's output in JupyterLab.

`page.js` compares what the reader answers with numbers that are computed here. It asks the network for nothing and
needs no MathJax, no widget and no other script.

Why not jupyterquiz 2.9.6.4, which does much of this: typing "0,5" leaves "05" in its field, which it reads as 5 and
answers as such; a question takes one number; its field has no label, loses its content on focus and refuses to be
pasted into; it never closes its outermost <div>, so the rest of the page ends up inside the question.
"""

import html
import json
import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from bn_exercises.question import Link, Question, Value, Wrong
from bn_exercises.tolerance import ranges

RIGHT = "Right."
RECOGNISED = "Not yet: {name}."
UNKNOWN = "Not yet."


@dataclass(frozen=True)
class Page:
    """A question as a cell's output: HTML where there is a browser, the prompt in a terminal."""

    question: Question

    def __repr__(self) -> str:
        """The prompt, for a terminal."""
        choices = [f"  - {choice}" for choice in self.question.choices]
        return "\n".join([f"Check yourself: {self.question.prompt}", *choices])

    def _repr_html_(self) -> str:
        return to_html(self.question)


def check_yourself(question: Question) -> Page:
    """Show `question`, let the reader answer it, and answer back. Make it the last line of a cell."""
    return Page(question)


def to_html(question: Question) -> str:
    """The question as HTML with its style and its script: complete, and with nothing to load."""
    data = html.escape(json.dumps(_data(question), ensure_ascii=False), quote=True)
    return f"""\
<div class="bn-question" data-name="{question.name}" data-lm-suppress-shortcuts="true">
<style>{_asset("page.css")}</style>
<form data-question="{data}" novalidate>
{_choices(question) if question.is_choice else _field(question)}
<button type="submit">Check</button>
</form>
<div class="bn-verdict" role="status"></div>
<details><summary>Show the answer</summary>
<p><strong>{_text(_shown(question.right))}</strong></p>
<p>{_text(question.because)}</p>
</details>
<noscript><p>Checking an answer needs JavaScript. The answer above does not.</p></noscript>
<script>{_asset("page.js")}</script>
</div>"""


def _field(question: Question) -> str:
    several = f" ({question.count} numbers, with spaces between them)" if question.count > 1 else ""
    return f"""\
<label><span class="bn-prompt">{_prompt(question)}</span>
<span class="bn-label">Your answer{several}</span>
<input type="text" name="answer" inputmode="text" autocomplete="off" autocapitalize="off" spellcheck="false"></label>"""


def _choices(question: Question) -> str:
    radios = "\n".join(
        f'<label class="bn-choice"><input type="radio" name="answer" value="{html.escape(choice, quote=True)}">'
        f"<span>{_text(choice)}</span></label>"
        for choice in question.choices
    )
    return f'<fieldset><legend class="bn-prompt">{_prompt(question)}</legend>\n{radios}\n</fieldset>'


def _prompt(question: Question) -> str:
    return f'<strong class="bn-kicker">Check yourself</strong> {_text(question.prompt)}'


def _data(question: Question) -> dict[str, Any]:
    """What the script needs: which answers count as what, and what to say to each."""
    answers = [{"says": _verdict(RIGHT, question.because), "right": True, **_range_or_choice(question.right)}]
    for wrong in question.wrong:
        answers.append({"says": _about(wrong, question.see), "right": False, **_range_or_choice(wrong.value)})
    return {
        "count": question.count,
        "choice": question.is_choice,
        "answers": answers,
        "otherwise": _verdict(UNKNOWN, question.hint, question.see),
    }


def _range_or_choice(value: Value) -> dict[str, Any]:
    return {"choice": value} if isinstance(value, str) else {"ranges": ranges(value)}


def _about(wrong: Wrong, see: Link) -> str:
    return _verdict(RECOGNISED.format(name=wrong.name), wrong.says, see)


def _verdict(heading: str, sentence: str, see: Link | None = None) -> str:
    link = f' See <a href="#{see.anchor}">{_text(see.text)}</a>.' if see else ""
    return f"<p><strong>{_text(heading)}</strong> {_text(sentence)}{link}</p>"


def _shown(value: Value) -> str:
    return value if isinstance(value, str) else ", ".join(f"{v:.4g}" for v in value)


def _text(text: str) -> str:
    """Plain text as HTML, with `code` between backticks."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", html.escape(text))


@cache
def _asset(name: str) -> str:
    return files("bn_exercises").joinpath(name).read_text(encoding="utf-8").strip()
