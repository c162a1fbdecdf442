"""Problem 7, Break it: five wrong implementations, seen from outside, and for each the evidence that exposes it.

Which mistakes they make is drawn from the list in `suspects`. `exposure` judges the evidence. Hints and
solution come from what exposes a mistake, in `probes`.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache, cached_property, lru_cache
from typing import Any, ClassVar, Self

import numpy as np

from bn_exercises.answers import from_plain, plain
from bn_exercises.functions.break_it import examples
from bn_exercises.functions.break_it.evidence import SIGNATURES, Signature, call, is_alike, observed, tried
from bn_exercises.functions.break_it.exposure import Judged, judge
from bn_exercises.functions.break_it.hiding import Values
from bn_exercises.functions.break_it.probes import PROBES, Probe
from bn_exercises.functions.break_it.suspects import GALLERY, as_function, passes
from bn_exercises.functions.implementations import RIGHT, biased
from bn_exercises.functions.slips import Function
from bn_exercises.misconceptions import Misconception
from bn_exercises.problem import Answers, Problem, Solved, choose, random_for, shuffled
from bn_exercises.typography import decimal
from bn_exercises.verdict import Finding, Verdict, unknown_names

POINTS = 2
LETTERS = "ABCDE"
# How many of the suspects of each function a variant is drawn from: those that an edition (`problem.EDITIONS`) knows.
EDITIONS: tuple[Mapping[str, int], ...] = ({"forward": 25, "backward": 32, "update_running": 17, "inference": 17},)


@dataclass(frozen=True)
class Suspect:
    """One wrong implementation, under a letter.

    Attributes:
        letter: also the name of the answer.
        function: which of the four it pretends to be.
        number: its place among the suspects of that function: that tells a reader nothing.
    """

    letter: str
    function: str
    number: int

    @property
    def signature(self) -> Signature:
        """What goes in and what comes out."""
        return SIGNATURES[self.function]

    @property
    def title(self) -> str:
        """As a reader sees it."""
        return f"({self.letter}) {self.function}"

    @property
    def mistake(self) -> Misconception:
        """What it does wrong."""
        return GALLERY[self.function][self.number]

    @property
    def probe(self) -> Probe:
        """What exposes it."""
        return probe_for(self.function, self.number)

    def outcomes(self, inputs: Mapping[str, Any]) -> tuple[Values, Values | None]:
        """Inputs and outputs of a right implementation, and of this one."""
        values = {name: np.asarray(value, dtype=float) for name, value in inputs.items()}
        return call(self.function, RIGHT[self.function], values), tried(self.function, self.mistake.compute, values)

    def judge(self, evidence: Any) -> Judged:
        """What is to be said of evidence against it."""
        return _judged(self.function, self.number, json.dumps(plain(observed(evidence)), sort_keys=True))

    def finding(self, evidence: Any) -> Finding:
        """The same, with the points it earns. Who made it fall is told its mistake."""
        judged = self.judge(evidence)
        names = tuple(fault.name for fault in judged.faults)
        if judged.kind != "right":
            see = judged.faults[0].see if judged.faults else None
            return Finding(self.letter, self.title, judged.kind, judged.sentence, names, see, 0, POINTS)
        says = f"{judged.sentence} Its mistake: {self.mistake.name}. To its author: “{self.mistake.says}”{judged.note}"
        return Finding(self.letter, self.title, "right", says, names, self.mistake.see, POINTS, POINTS)


# Whoever checks one part after another has all that were answered judged each time.
@lru_cache(maxsize=256)
def _judged(function: str, number: int, evidence: str) -> Judged:
    """What is to be said of evidence as it reaches the grader."""
    return judge(function, wrongs(function, GALLERY[function][number]), observed(from_plain(json.loads(evidence))))


def wrongs(function: str, mistake: Misconception) -> tuple[Function, ...]:
    """The wrong implementation, one for each convention."""
    return (mistake.compute, biased(mistake.compute)) if function == "update_running" else (mistake.compute,)


@cache
def probe_for(function: str, number: int) -> Probe:
    """The first probe that exposes a mistake of the gallery, and not only in digits that hardly show."""
    suspect = Suspect("", function, number)
    for probe in PROBES[function]:
        right, wrong = suspect.outcomes(probe.inputs)
        if suspect.judge(probe.evidence).kind == "right" and (wrong is None or not is_alike(right, wrong)):
            return probe
    raise LookupError(f"no probe exposes {function}: {suspect.mistake.name}")


_WHERE = {
    "forward": "Call it, and vary one thing at a time: the batch (mean, spread, size, images), gamma, beta and ε.",
    "backward": "Call it, and look at dx, dgamma and dbeta one by one. Vary dy, the batch, gamma and ε. "
    "Give it stored statistics, too.",
    "update_running": "Call it, and look at both statistics. Vary what is stored, momentum, and the batch (mean, "
    "spread, images).",
    "inference": "Call it with one row and with several, and look at what is stored afterwards. Vary what is stored, "
    "gamma, beta and ε.",
}


# The problem


@dataclass(frozen=True)
class BreakIt(Problem):
    """Five suspects, and whoever writes a test that tells one from a right implementation has broken it.

    Given is for each suspect its letter, what it pretends to be, and a number that tells a reader nothing.
    """

    asks_for: ClassVar[str] = "evidence"

    @cached_property
    def drawn(self) -> tuple[Suspect, ...]:
        """The suspects, in the order of their letters."""
        return tuple(Suspect(*each) for each in self.given["suspects"])

    @property
    def points(self) -> dict[str, int]:
        return {suspect.letter: POINTS for suspect in self.drawn}

    def suspects(self) -> dict[str, Function]:
        """The functions, by letter."""
        return {each.letter: as_function(each.letter, each.function, each.number) for each in self.drawn}

    def holds(self, evidence: Any, function: Function) -> bool:
        """Whether a function, a suspect or one's own, passes the test that evidence is. A suspect that raises does not.

        Raises:
            ValueError: if this is no evidence.
        """
        return passes(evidence, function)

    def variant(self, seed: int, edition: int = 1) -> Self:
        """Other suspects in another order: one of each function, and a second `forward`; no mistake twice."""
        rng, known = random_for(self.name, seed), EDITIONS[edition - 1]
        while True:
            functions = shuffled(rng, (*known, "forward"))
            suspects = tuple(
                (letter, function, choose(rng, range(known[function])))
                for letter, function in zip(LETTERS, functions, strict=True)
            )
            variant = replace(self, given={"suspects": suspects})
            if len({each.mistake.name for each in variant.drawn}) == len(suspects) and variant.given != self.given:
                return variant

    def observe(self, answers: Answers) -> dict[str, Any]:
        """The evidence as bounded data. It runs nothing."""
        return {name: observed(value) if name in self.points else None for name, value in answers.items()}

    def judge(self, observed: Answers) -> Verdict:
        findings = (suspect.finding(observed.get(suspect.letter)) for suspect in self.drawn)
        return self.verdict((*findings, *unknown_names(observed, self.points)))

    def hints(self, part: str) -> tuple[str, ...]:
        """What can be varied, what is true of a right implementation, and on which inputs that shows."""
        suspect = self._suspect(part)
        return _WHERE[suspect.function], suspect.probe.rule, suspect.probe.step

    def solved(self) -> Solved:
        """For each suspect what it does wrong, evidence against it, and what comes out on both sides."""
        return [(suspect.title, *_solved(suspect)) for suspect in self.drawn]

    def mistaken(self, reading: int = 0) -> Iterator[tuple[str, str, Answers]]:
        """Evidence that is none, for each suspect, with the reason."""
        right = self.observe({suspect.letter: suspect.probe.evidence for suspect in self.drawn})
        for suspect in self.drawn:
            for name, evidence in examples.useless(suspect.function, suspect.mistake.compute, right[suspect.letter]):
                yield suspect.letter, name, right | {suspect.letter: evidence}

    def rightly(self, reading: int = 0) -> Iterator[tuple[str, Answers]]:
        for style, write in examples.STYLES.items():
            yield style, {s.letter: write(s.function, s.probe.evidence) for s in self.drawn}

    def _suspect(self, letter: str) -> Suspect:
        return next(suspect for suspect in self.drawn if suspect.letter == letter)


def _solved(suspect: Suspect) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What it does wrong and how one sees it; evidence, and where the suspect differs most."""
    right, wrong = suspect.outcomes(suspect.probe.inputs)
    shown = f"{suspect.letter} = {plain(suspect.probe.evidence)!r}"
    because = (f"It makes the mistake “{suspect.mistake.name}”.", suspect.probe.rule, suspect.probe.step)
    return because, (shown, _difference(right, wrong))


def _difference(right: Values, wrong: Values | None) -> str:
    """Where two runs differ most."""
    if wrong is None:
        return "The suspect raises on these inputs."
    name = next(name for name in right if not is_alike({name: right[name]}, wrong))
    if wrong[name].shape != right[name].shape:
        return f"{name} has the shape {right[name].shape}; the suspect gives {wrong[name].shape}."
    # nan is as far away as can be.
    gap = np.nan_to_num(np.abs(right[name] - wrong[name]), nan=np.inf)
    where = np.unravel_index(int(gap.argmax()), gap.shape)
    place = f"{name}[{', '.join(map(str, where))}]"
    return f"{place} is {decimal(float(right[name][where]))}; the suspect gives {decimal(float(wrong[name][where]))}."


def _number(function: str, name: str) -> int:
    return next(number for number, mistake in enumerate(GALLERY[function]) if mistake.name == name)


_ACCUSED = (
    ("forward", "ddof=1"),
    ("forward", "E[x²] − E[x]²"),
    ("backward", "no path through the mean"),
    ("update_running", "momentum the other way round"),
    ("inference", "inference with batch statistics"),
)
BREAK_IT = BreakIt(
    "break-it",
    "Break it",
    {
        "suspects": tuple(
            (letter, function, _number(function, name))
            for letter, (function, name) in zip(LETTERS, _ACCUSED, strict=True)
        )
    },
)
