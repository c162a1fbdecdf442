"""What every problem of the course can do, whatever it asks for: numbers, functions, a formula, or evidence.

Two steps lead from what a learner wrote to a verdict:

- `observe` turns it into plain data. It may run the learner's own functions, so it runs where the learner works.
- `verify` is a pure function of that data. It runs wherever the grades are kept.

`problem.Problem` asks for numbers, and `verify` knows how to judge those. Tasks of another kind judge themselves.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Protocol, TypeAlias

from bn_exercises.verdict import Verdict

Given: TypeAlias = Mapping[str, Any]
Answers: TypeAlias = Mapping[str, Any]


class Task(Protocol):
    """A problem of the course."""

    @property
    def name(self) -> str:
        """As in the file names of its notebook and its page of the book."""

    @property
    def title(self) -> str:
        """As a reader sees it."""

    @property
    def given(self) -> Given:
        """What it states: numbers, names. The `repr` of it tells one variant from another."""

    @property
    def points(self) -> Mapping[str, int]:
        """What each part is worth; its keys are the parts' names, in order."""

    def variant(self, seed: int) -> "Task":
        """The same problem with other numbers, always the same ones for a seed."""

    def observe(self, answers: Answers) -> dict[str, Any]:
        """What was answered, as data that `answers.plain` can write: for each part answered, and nothing raises."""

    def hints(self, part: str) -> tuple[str, ...]:
        """Where to look, what rule, and the step itself. No answer in any of them."""

    def solved(self) -> list[tuple[str, tuple[str, ...], tuple[str, ...]]]:
        """For each part its title, how one gets to the answer, and the answer."""


class JudgingTask(Task, Protocol):
    """A problem that knows how to judge its answers, and examples to try that on."""

    def variant(self, seed: int) -> "JudgingTask":
        """The same problem with other numbers, always the same ones for a seed."""

    def judge(self, observed: Answers) -> Verdict:
        """The verdict on observed answers. Never raises, whatever they are."""

    def mistaken(self) -> Iterator[tuple[str, str, Answers]]:
        """Answers with one mistake: the part, the mistake's name, the answers. For `mutants`."""

    def rightly(self) -> Iterator[tuple[str, Answers]]:
        """Right answers in every good style: the style and the answers. For `mutants`."""
