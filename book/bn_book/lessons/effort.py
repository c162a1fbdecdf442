"""How long a chapter or an exercise takes, reckoned from its page. It is counted, and nobody's estimate."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from bn_book.chapters import FOLDER, ROOT
from bn_book.explorables import KINDS
from bn_book.lessons.about import EXERCISES, NOTHING_KNOWN
from bn_exercises.course.sources import to_notebook

#: Of prose that one thinks about.
WORDS_PER_MINUTE = 150
#: Minutes for each of these on a chapter's page.
MINUTES: Mapping[str, float] = MappingProxyType({"formulas": 1, "figures": 0.5, "explorables": 3, "questions": 2})
#: Minutes for an answer of an exercise: so many if it asks for nothing of `DEMANDS`, and as many again for each.
PER_ANSWER = 5
#: Minutes for a text of some sentences.
PER_TEXT = 10
#: Times are given in steps of so many minutes.
STEP = 5

_MOVES = re.compile(rf"\b(?:{'|'.join(['flipbook', *(kind.__name__ for kind in KINDS)])})\(")
_CODE = re.compile(r"^```\{code-cell\}.*?^```$", re.MULTILINE | re.DOTALL)
_FORMULA = re.compile(r"\$\$.*?\$\$", re.DOTALL)
_LABORATORY = re.compile(r"^## Laboratory\n.*?(?=^## )", re.MULTILINE | re.DOTALL)
_WORD = re.compile(r"[^\W\d_][\w’'-]*")


@dataclass(frozen=True)
class Effort:
    """What a page holds.

    Attributes:
        words: of prose.
        formulas: that stand by themselves.
        figures: that stand still.
        explorables: that move.
        questions: that answer back.
        answers: numbers, formulas or functions that an exercise asks for.
        demands: what each of them asks for, counted.
        texts: in own words.
    """

    words: int = 0
    formulas: int = 0
    figures: int = 0
    explorables: int = 0
    questions: int = 0
    answers: int = 0
    demands: int = 0
    texts: int = 0

    @property
    def minutes(self) -> int:
        """What it takes, to the nearest `STEP`, and never nothing."""
        exact: float = (
            self.words / WORDS_PER_MINUTE
            + sum(minutes * getattr(self, name) for name, minutes in MINUTES.items())
            + self.answers * PER_ANSWER * (1 + self.demands)
            + self.texts * PER_TEXT
        )
        return max(STEP, STEP * round(exact / STEP))


def of_chapter(name: str, folder: Path = ROOT / FOLDER) -> Effort:
    """What a chapter's page holds. The laboratory is left out: it has no end."""
    text = (folder / f"{name}.md").read_text(encoding="utf-8")
    text = _LABORATORY.sub("", text.split("\n---\n", 1)[-1])
    code = "".join(_CODE.findall(text))
    prose = _CODE.sub("", text)
    return Effort(
        words=len(_WORD.findall(_FORMULA.sub("", prose))),
        formulas=len(_FORMULA.findall(prose)),
        figures=len(re.findall(r"\bshow\(", code)),
        explorables=len(_MOVES.findall(code)),
        questions=len(re.findall(r"\bquestions\.[A-Z_]+\b", code)),
    )


def of_exercise(source: Path) -> Effort:
    """What an exercise's notebook holds, from its source: what there is to read, and what to answer."""
    words = answers = texts = 0
    for cell in to_notebook(source.read_text(encoding="utf-8")).cells:
        solution, text = cell.metadata["nbgrader"]["solution"], cell.cell_type == "markdown"
        answers += solution and not text
        texts += solution and text
        words += len(_WORD.findall(cell.source)) if text and not solution else 0
    asks = EXERCISES.get(source.stem.partition("-")[2], NOTHING_KNOWN).asks
    return Effort(words=words, answers=answers, demands=len(asks), texts=texts)


def exercises(folder: Path = ROOT / "exercises" / "source" / "batch-norm") -> dict[str, Effort]:
    """What each exercise holds, by the name of its problem, in the order of the notebooks."""
    return {source.stem.partition("-")[2]: of_exercise(source) for source in sorted(folder.glob("*.md"))}
