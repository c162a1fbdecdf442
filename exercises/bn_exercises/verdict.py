"""What comes out of judging an answer, as plain data that a gradebook can store and a page can show.

No sentence in it contains a right number, so it may be shown before the solution is.
"""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeAlias

Kind: TypeAlias = Literal[
    "right",  # agrees with the reference
    "follow-on",  # right for the learner's own, wrong, earlier answer: counts
    "misconception",  # the numbers of a mistake with a name
    "mixture",  # right under another reading than the rest
    "wrong",  # none of these
    "form",  # cannot be read, or is not as many numbers as were asked for
    "missing",  # nothing there
    "note",  # about the whole answer, no points in it: which reading it follows
]


# For those who read on paper, or without the book's address. Only what is linked from elsewhere is named here.
_CHAPTERS = {
    "chapters/forward": "The forward pass",
    "chapters/backward": "The backward pass",
    "chapters/inference": "Training versus inference",
    "chapters/batch_size": "Batch size",
    "chapters/convolutions": "Convolutions",
    "chapters/axes": "One operation, many axes",
}


@dataclass(frozen=True)
class Link:
    """A place in the book.

    Attributes:
        text: the words a reader sees: the section's title.
        anchor: the label of the section, without `#`.
        page: the page's path in the book, without an ending; empty for a place on the same page.
    """

    text: str
    anchor: str
    page: str = ""

    @property
    def chapter(self) -> str:
        """The title of the chapter that it is in; empty if it is elsewhere."""
        return _CHAPTERS.get(self.page, "")


@dataclass(frozen=True)
class Finding:
    """What was found in one part.

    Attributes:
        part: its name; empty for a finding about the whole answer.
        title: as a reader sees it.
        kind: one of a few words.
        sentence: for the learner. Plain text without any right number. Of what the learner wrote it repeats at most a
            name that is a word, and places where a formula of theirs goes wrong.
        misconceptions: names, if `kind` is "misconception"; several where they give the same numbers.
        see: where in the book to read.
        points: what the part earned.
        max_points: what it is worth.
    """

    part: str
    title: str
    kind: Kind
    sentence: str
    misconceptions: tuple[str, ...] = ()
    see: Link | None = None
    points: float = 0
    max_points: float = 0


@dataclass(frozen=True)
class Verdict:
    """The judgement of one learner's answers to one problem.

    Attributes:
        problem: its name.
        score: points earned.
        max_score: points to earn.
        findings: one for each part, in order, then those about the whole.
    """

    problem: str
    score: float
    max_score: float
    findings: tuple[Finding, ...]

    @property
    def right(self) -> bool:
        """Whether all points were earned."""
        return self.score == self.max_score

    def of(self, part: str) -> Finding:
        """The finding about one part."""
        return next(finding for finding in self.findings if finding.part == part)

    def to_json(self) -> str:
        """As text to be stored."""
        return json.dumps(asdict(self), ensure_ascii=False)

    @staticmethod
    def from_json(text: str) -> "Verdict":
        """Back from `to_json`."""
        data: dict[str, Any] = json.loads(text)
        findings = []
        for finding in data.pop("findings"):
            see = finding.pop("see")
            finding["misconceptions"] = tuple(finding["misconceptions"])
            findings.append(Finding(**finding, see=Link(**see) if see else None))
        return Verdict(**data, findings=tuple(findings))


def unknown_names(answered: Iterable[str], asked: Iterable[str]) -> tuple[Finding, ...]:
    """A note about answers under names that were not asked for; nothing, if there are none."""
    asked = tuple(asked)
    unknown = [name for name in answered if name not in asked]
    if not unknown:
        return ()
    under = f"There is an answer under {f'{len(unknown)} names' if len(unknown) > 1 else 'a name'} not asked for."
    sentence = f"{under} The names: {', '.join(asked)}."
    return (Finding("", "", "note", sentence),)
