"""Problems that ask for functions: these are run on inputs that tell right from nearly right.

`observe` runs a learner's functions on the probes, where the learner works, and keeps what they returned as plain data.
`judge` compares that with what the right functions return on the same probes, and with each mistake of the problem's
gallery: a mistake is recognised if the numbers are its numbers on all probes.

A mistake counts once. So the part on images asks only for the right axes: a function may be wrong there as it is wrong
on the same numbers as rows.
"""

import inspect
import re
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import permutations
from random import Random
from typing import Any, ClassVar, Self

import numpy as np

from bn_exercises.answers import Unusable
from bn_exercises.functions.gallery import Gallery, first_of_each
from bn_exercises.functions.implementations import IN_PLACE, MOVES
from bn_exercises.functions.probe import DELICATE, IMAGES, ROWS, Probe
from bn_exercises.functions.recognition import AND, Known, Recognition, Records, together
from bn_exercises.functions.recording import (
    ARGUMENTS,
    RETURNS,
    Record,
    Recorded,
    as_data,
    from_data,
    in_shape,
    only,
    quietly,
)
from bn_exercises.functions.slips import Function
from bn_exercises.problem import Answers, Problem, Solved, random_for
from bn_exercises.verdict import Finding, Kind, Verdict, unknown_names

FOLLOWS = "What is wrong here was counted above, and a mistake counts once. So this counts."
# Kinds that earn nothing; of several in one part the first gives its name to all.
COSTS: tuple[Kind, ...] = ("misconception", "wrong", "form")
NOT_KNOWN = "Not right, and not a mistake that is known here."


@dataclass(frozen=True)
class FunctionProblem(Problem):
    """Functions, asked for in parts. Given are the probes: those of the book, or of a variant.

    Attributes:
        worth: the points of each part. The part "images", if there is one, asks for all functions once more.
        titles: of each part.
        told: the hints of each part.
        function_of: the function that each part asks for, but images.
        where_images: in a sentence, where images are tried.
        gallery: the right functions, and the wrong ones that have a name.
        styles: right functions as different people write them.
        shows_axes: the parts whose function takes a mean over axes, so that images can show these.
        every: which of the usual mistakes a variant is tried with: one of so many.
    """

    asks_for: ClassVar[str] = "functions"
    worth: ClassVar[Mapping[str, int]]
    titles: ClassVar[Mapping[str, str]]
    told: ClassVar[Mapping[str, tuple[str, ...]]]
    function_of: ClassVar[Mapping[str, str]]
    where_images: ClassVar[str]
    gallery: ClassVar[Gallery]
    styles: ClassVar[Mapping[str, Mapping[str, Function]]]
    shows_axes: ClassVar[Sequence[str]]
    every: ClassVar[int] = 2

    @abstractmethod
    def draw(self, rng: Random) -> Iterator[Probe]:
        """Every input of every part. What they are there for holds for every seed."""

    @abstractmethod
    def _as_images(self, as_rows: Record, image: Probe) -> Record:
        """What came of rows, in the shape of the images that have the same numbers."""

    def conventions(self) -> dict[str, list[tuple[str, Function]]]:
        """The right functions, each under every convention that is left open; with what is said of it."""
        return {name: [("Right.", function)] for name, function in self.gallery.right.items()}

    @property
    def points(self) -> dict[str, int]:
        return dict(self.worth)

    def variant(self, seed: int, edition: int = 1) -> Self:
        return replace(self, given={"probes": seed})

    @cached_property
    def probes(self) -> tuple[Probe, ...]:
        """All inputs, for all parts."""
        seed = self.given["probes"]
        # Variants have other names than the book's, so that no seed is the book's.
        rng = random_for(self.name, seed) if isinstance(seed, int) else random_for(f"{self.name}, {seed}", 0)
        return tuple(self.draw(rng))

    def hints(self, part: str) -> tuple[str, ...]:
        return self.told[part]

    def solved(self) -> Solved:
        """For each part its title, the rule and the step, and the function, line by line."""
        return [
            (self.titles[p], self.told[p][1:], self.source(p) if p in self.gallery.right else ()) for p in self.worth
        ]

    def observe(self, answers: Answers) -> dict[str, Any]:
        """What the functions that were answered did with the probes, for each part whose functions are all there.

        Names that were not asked for are kept, without their values.
        """
        observed: dict[str, Any] = {}
        for part in self.worth:
            probes = self._of(part)
            if all(probe.function in answers for probe in probes):
                observed[part] = {p.name: as_data(self._record(p, answers.get(p.function))) for p in probes}
        return observed | {name: None for name in answers if name not in self.gallery.right and name not in self.worth}

    def judge(self, observed: Answers) -> Verdict:
        findings: dict[str, Finding] = {}
        recorded = {part: self._records(part, observed.get(part)) for part in self.worth}
        for part, records in recorded.items():
            if all(isinstance(each, Unusable) and each.missing for each in records.values()):
                findings[part] = self._finding(part, "missing", "There is no answer yet.")
            elif part == "images":
                findings[part] = self._judge_images(records, findings)
            else:
                findings[part] = self._judge(part, recorded, findings)
        notes = unknown_names((name for name in observed if name not in self.worth), self.gallery.right)
        return self.verdict((*findings.values(), *notes))

    def mistaken(self, reading: int = 0) -> Iterator[tuple[str, str, Answers]]:
        """The right functions, but one that has a mistake: the part that it costs, its name, the functions."""
        # On the book's own numbers every way of every mistake; on those of a variant some of the usual ways.
        seed, gallery = self.given["probes"], self.gallery
        for function, misconceptions in gallery.ways.items():
            if isinstance(seed, int):
                misconceptions = first_of_each(gallery.ways)[function][seed % self.every :: self.every]
            for misconception in misconceptions:
                for wrong in gallery.conventions(function, misconception.compute):
                    if parts := [part for part, _ in self.exposed(function, wrong)]:
                        yield parts[0], misconception.name, {**gallery.right, function: wrong}

    def rightly(self, reading: int = 0) -> Iterator[tuple[str, Answers]]:
        yield from ((style, dict(functions)) for style, functions in self.styles.items())

    def sheet(self) -> dict[str, Any]:
        """What a notebook in the grader's sandbox is told: the probes, too, for the functions are run there."""
        probes = [
            {"part": p.part, "name": p.name, "function": p.function, "arguments": [_on_sheet(a) for a in p.arguments]}
            for p in self.probes
        ]
        return super().sheet() | {"probes": probes}

    def exposed(self, name: str, function: Function) -> list[tuple[str, Probe]]:
        """The probes that tell this function from a right one, each with its part; parts in order."""
        with quietly():
            return [
                (part, probe)
                for part in self.worth
                for probe in self._of(part)
                if probe.function == name and not self._is_right(probe, probe.of_ours(function))
            ]

    def exposure(self, name: str, function: Function) -> tuple[str, int]:
        """In words, the inputs that tell this function from a right one, and how many they are.

        Those of the first part in which it is wrong.
        """
        exposed = self.exposed(name, function)
        part = exposed[0][0]
        if part == "images":
            return self.where_images, 1
        telling = [probe.where for each, probe in exposed if each == part]
        silent = [probe.where for probe in self._of(part) if probe.where not in telling]
        told = "; ".join(telling)
        if len(silent) <= len(telling):
            told = "everywhere" + (f", but not {'; '.join(silent)}" if silent else "")
        return told, len(telling)

    def _record(self, probe: Probe, function: Any) -> Recorded:
        """What a function that was answered did with a probe: of a right one of ours it is known."""
        for (_, ours), (_, records) in zip(
            self.conventions()[probe.function], self._rights[probe.function], strict=True
        ):
            if function is ours:
                return records[probe.part, probe.name]
        return probe.record(function)

    def _of(self, part: str) -> list[Probe]:
        return [probe for probe in self.probes if probe.part == part]

    def _is_right(self, probe: Probe, recorded: Recorded) -> bool:
        """Whether these are right numbers, and nothing was changed that should not be."""
        in_place = isinstance(recorded, Record) and recorded.changed
        return not in_place and self._gives_right(probe, recorded)

    def _gives_right(self, probe: Probe, recorded: Recorded) -> bool:
        key = (probe.part, probe.name)
        return any(probe.agree(recorded, right[key]) for _, right in self._rights[probe.function])

    @cached_property
    def _rights(self) -> dict[str, list[tuple[str, dict[tuple[str, str], Recorded]]]]:
        """What the right functions do: for each, what to say of them, and their records."""
        return {
            name: [
                (says, {(p.part, p.name): p.record(f) for p in self.probes if p.function == name}) for says, f in each
            ]
            for name, each in self.conventions().items()
        }

    @cached_property
    def _recognition(self) -> Recognition:
        return Recognition(self.gallery, self._gives_right, self._right_in)

    def _right_in(self, probes: Sequence[Probe], records: Records, output: int) -> bool:
        """Whether one output is right on these probes, under one convention."""
        return any(
            all(p.agree(only(records[p.name], output), only(reference[p.part, p.name], output)) for p in probes)
            for _, reference in self._rights[probes[0].function]
        )

    def _records(self, part: str, data: Any) -> dict[str, Recorded]:
        given = data if isinstance(data, Mapping) else {}
        absent = data if isinstance(data, Unusable) else Unusable("There is no answer yet.", missing=True)
        return {p.name: from_data(given.get(p.name, absent), p.function) for p in self._of(part)}

    def _judge(self, part: str, recorded: Mapping[str, Records], findings: Mapping[str, Finding]) -> Finding:
        """The finding about a part that asks for one function; `findings` has those before it."""
        probes, records = self._of(part), recorded[part]
        function = probes[0].function
        right: list[str] = []
        says_right = ""
        for says, reference in self._rights[function]:
            agreeing = [p.name for p in probes if p.agree(records[p.name], reference[part, p.name])]
            if len(agreeing) == len(probes):
                says_right = says
            right = max(right, agreeing, key=len)
        changed = _changed(part, function, records)
        if says_right and not changed:
            return self._finding(part, "right", says_right)
        known = [] if says_right else self._recognise(function, probes, records, right)
        if changed:
            if not says_right and not known:
                # What is changed is certain; what else is wrong is not known.
                besides = f"{changed.says} And: {self._not_recognised(part, records, right).sentence}"
                return self._recognised(part, [replace(changed, says=besides)])
            known = [together([changed, each]) for each in known] or [changed]
        if not known:
            if self._is_slip_of_before(part, recorded, findings):
                return self._finding(part, "follow-on", FOLLOWS)
            return self._not_recognised(part, records, right)
        return self._once(part, self._recognised(part, known), known, findings)

    def _is_slip_of_before(self, part: str, recorded: Mapping[str, Records], findings: Mapping[str, Finding]) -> bool:
        """Whether what is wrong in a part is what was wrong before, whatever it is: the same numbers come out."""
        return False

    def _recognise(self, function: str, probes: Sequence[Probe], records: Records, right: Sequence[str]) -> list[Known]:
        digits_lost = any(probe.name in DELICATE and probe.name not in right for probe in probes)
        return self._recognition.recognise(function, probes, records, digits_lost)

    def _not_recognised(self, part: str, records: Records, right: Sequence[str]) -> Finding:
        probes = self._of(part)
        _, reference = self._rights[probes[0].function][0]
        sentences = {each.sentence if isinstance(each, Unusable) else "" for each in records.values()}
        if len(sentences) == 1 and (always := sentences.pop()):
            return self._finding(part, "form", always)
        matters = {p.name: _matter(p, records[p.name], reference[part, p.name]) for p in probes}
        compared = [p for p in probes if not matters[p.name]]
        was_right = "; ".join(p.where for p in compared if p.name in right)
        was_wrong = "; ".join(p.where for p in compared if p.name not in right)
        matter = next(filter(None, matters.values()), "")
        # Wrong numbers say more than what cannot be compared, unless that is the ordinary batch.
        if matter and (matters[probes[0].name] or not was_wrong):
            return self._finding(part, "form", matter)
        everywhere = not was_right and not matter
        told = (
            f"Right {was_right}." if was_right else "",
            f"Wrong everywhere: {was_wrong}." if everywhere else f"Wrong {was_wrong}.",
            self._by_output(compared, records),
            matter,
        )
        return self._finding(part, "wrong", " ".join(filter(None, (NOT_KNOWN, *told))))

    def _by_output(self, probes: Sequence[Probe], records: Records) -> str:
        """Which of several outputs are right on all of these probes, and which are not; nothing, if none is."""
        names = RETURNS[probes[0].function]
        right: list[str] = []
        for _, reference in self._rights[probes[0].function]:
            agreeing = [
                name
                for i, name in enumerate(names)
                if all(p.agree(only(records[p.name], i), only(reference[p.part, p.name], i)) for p in probes)
            ]
            right = max(right, agreeing, key=len)
        wrong = [name for name in names if name not in right]
        # All of them: each under another convention.
        return f"{_are(right)} right, {_are(wrong)} not." if right and wrong else ""

    def _judge_images(self, records: Records, findings: Mapping[str, Finding]) -> Finding:
        """All functions on images. Each may be wrong there as it is wrong on the same numbers as rows."""
        outcomes = {part: self._on_images(part, records, findings) for part in self._asked_on_images(findings)}
        if found := {part: each for part, each in outcomes.items() if each.kind in COSTS}:
            return self._together(found)
        if missing := [part for part, each in outcomes.items() if each.kind == "missing"]:
            # Of what is missing only the title is shown.
            there = " and ".join(self._label(part) for part in outcomes if part not in missing)
            title = f"{self.titles['images']}: right in {there}; the rest is still to come"
            return replace(self._finding("images", "missing", ""), title=title)
        if not any(outcomes[part].kind == "right" for part in self.shows_axes):
            # Functions without statistics are the same everywhere, too.
            says = "This counts when the axes of one function at least are seen to be right."
            named = {part: each for part, each in outcomes.items() if each.misconceptions}
            if not named:
                return self._finding("images", "wrong", says)
            told = self._together(named)
            return replace(told, kind="misconception", sentence=f"{told.sentence} {says}", points=0)
        follows = {part: each for part, each in outcomes.items() if each.kind == "follow-on"}
        if named := {part: each for part, each in follows.items() if each.misconceptions}:
            return self._together(named)
        return next(iter((follows or outcomes).values()))

    def _asked_on_images(self, findings: Mapping[str, Finding]) -> list[str]:
        """The parts whose functions are to work on images, too."""
        return list(self.function_of)

    def _on_images(self, part: str, records: Records, findings: Mapping[str, Finding]) -> Finding:
        function = self.function_of[part]
        image, rows = (next(p for p in self._of("images") if p.name == f"{part} {n}") for n in (IMAGES, ROWS))
        own, as_rows = records[image.name], records[rows.name]
        if isinstance(own, Unusable) and own.missing:
            return self._finding("images", "missing", own.sentence)
        if self._gives_right(image, own):
            return self._finding("images", "right", "Right.")
        counted = findings[part].kind != "right"
        if counted and isinstance(as_rows, Record) and image.agree(own, self._as_images(as_rows, image)):
            names = self._on_images_called(findings[part].misconceptions)
            return replace(self._finding("images", "follow-on", FOLLOWS), misconceptions=names)
        right = [p.name for p in (image, rows) if self._gives_right(p, records[p.name])]
        if known := self._recognise(function, (image, rows), records, right):
            return self._once(part, self._recognised("images", known), known, findings)
        _, reference = self._rights[function][0]
        if matter := _matter(image, own, reference["images", image.name]):
            return self._finding("images", "form", matter)
        same = "The same numbers as rows come out right." if right else "The same numbers as rows come out otherwise."
        told = (NOT_KNOWN, same, self._by_output((image,), records))
        return self._finding("images", "wrong", " ".join(filter(None, told)))

    def _on_images_called(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """What mistakes of rows are called where images come out with the same numbers."""
        return names

    def _together(self, found: Mapping[str, Finding]) -> Finding:
        """One finding about several functions, which may have made the same mistake. None of them hides another."""
        parts: dict[str, list[str]] = {}
        for part, each in found.items():
            parts.setdefault(each.sentence, []).append(self._label(part))
        sentence = " ".join(f"In {' and '.join(labels)}: {says}" for says, labels in parts.items())
        names = dict.fromkeys(name for each in found.values() for name in each.misconceptions)
        lead = min(found.values(), key=lambda each: COSTS.index(each.kind) if each.kind in COSTS else 0)
        return replace(lead, sentence=sentence, misconceptions=tuple(names))

    def _once(self, part: str, finding: Finding, known: Sequence[Known], findings: Mapping[str, Finding]) -> Finding:
        """The same finding; but a mistake that was counted before costs nothing here. `part` asks for the function."""
        counted = self._counted(part, findings)
        if not any(counted.issuperset(each.names) for each in known):
            return finding
        return replace(finding, kind="follow-on", sentence=FOLLOWS, points=finding.max_points)

    def _counted(self, part: str, findings: Mapping[str, Finding]) -> set[str]:
        """The names of the mistakes that need not be counted again, in a part or where its function gets images."""
        return {atom for each in findings.values() for name in each.misconceptions for atom in name.split(AND)}

    def _recognised(self, part: str, known: Sequence[Known]) -> Finding:
        says = known[0].says
        if len(known) > 1:
            says = "More than one mistake gives these numbers. " + " Or: ".join(each.says for each in known)
        finding = self._finding(part, "misconception", says)
        return replace(finding, misconceptions=tuple(each.name for each in known), see=known[0].see)

    def _finding(self, part: str, kind: Kind, sentence: str) -> Finding:
        points = self.worth[part] if kind in ("right", "follow-on") else 0
        return Finding(part, self.titles[part], kind, sentence, points=points, max_points=self.worth[part])

    def _label(self, part: str) -> str:
        """The title without its letter."""
        return self.titles[part].partition(" ")[2]

    def source(self, function: str) -> tuple[str, ...]:
        """The lines of a right function, without the types, so that they run in any notebook."""
        text = inspect.getsource(self.gallery.right[function]).replace(": Array = ", "=")
        return tuple(re.sub(r": (?:Array|float|int)\b| -> Array", "", text).rstrip().split("\n"))


def _are(names: Sequence[str]) -> str:
    return f"{' and '.join(names)} {'are' if len(names) > 1 else 'is'}"


def _matter(probe: Probe, recorded: Recorded, reference: Recorded) -> str:
    """What keeps an answer from being compared: why there are no numbers, or too many or too few of them."""
    says = recorded.sentence if isinstance(recorded, Unusable) else ""
    if isinstance(recorded, Record) and isinstance(reference, Record):
        names = RETURNS[probe.function]
        fit = [in_shape(own, r.shape) for own, r in zip(recorded.outputs, reference.outputs, strict=True)]
        for name, own, right, fitted in zip(names, recorded.outputs, reference.outputs, fit, strict=True):
            if fitted is None:
                says = says or f"{name} has the shape {own.shape}. Expected: {right.shape}."
        if says and _is_other_order(recorded, reference):
            says += f" The shapes are right in another order: return {', '.join(names)}, in this order."
    where = probe.where[0].upper() + probe.where[1:]
    return f"{where}, with x of the shape {probe.shape}: {says}" if says else ""


def _is_other_order(recorded: Record, reference: Record) -> bool:
    """Whether the outputs have the shapes that were expected, in another order."""
    shapes = [right.shape for right in reference.outputs]
    return any(
        all(in_shape(own, shape) is not None for own, shape in zip(order, shapes, strict=True))
        for order in permutations(recorded.outputs)
    )


def _changed(part: str, function: str, records: Records) -> Known | None:
    """The mistake of arguments changed in place, if there are any. Images and given statistics are not asked."""
    names = {name for each in records.values() if isinstance(each, Record) for name in each.changed}
    if not names or part != function:
        return None
    moved = function == "inference" and not names.isdisjoint(("running_mean", "running_var"))
    misconception = MOVES if moved else IN_PLACE
    says = f"{misconception.says} Changed: {', '.join(n for n in ARGUMENTS[function] if n in names)}."
    return Known((misconception.name,), says, misconception.see, misconception.compute)


def _on_sheet(argument: Any) -> Any:
    if isinstance(argument, tuple):
        return [_on_sheet(each) for each in argument]
    if isinstance(argument, np.ndarray):
        return {"values": argument.tolist(), "dtype": str(argument.dtype)}
    return argument
