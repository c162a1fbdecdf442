"""Problem 6, Implement it: Batch Normalization as four functions, run on inputs that tell right from nearly right.

`observe` runs a learner's functions on the probes, where the learner works, and keeps what they returned as plain data.
`judge` compares that with what the right functions return on the same probes, and with each mistake of
`implementations`: a mistake is recognised if the numbers are its numbers on all probes.

A mistake counts once. So images ask only for the right axes: a function may be wrong there as it is wrong on the same
numbers as rows. And given statistics ask only for what is new with them.
"""

import inspect
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import permutations
from typing import Any, ClassVar, Self

import numpy as np

from bn_exercises.answers import Unusable
from bn_exercises.functions.implement.probes import AS, DELICATE, FUNCTION, IMAGES, ROWS, WHERE, Probe, all_probes
from bn_exercises.functions.implement.recognition import AND, Known, Recognition, Records, together, ways
from bn_exercises.functions.implement.recording import (
    ARGUMENTS,
    RETURNS,
    Record,
    Recorded,
    as_data,
    from_data,
    in_shape,
    only,
)
from bn_exercises.functions.implement.styles import STYLES, as_images
from bn_exercises.functions.implementations import IN_PLACE, MISTAKES, MOVES, RIGHT, WAYS
from bn_exercises.functions.slips import LAYER, Function
from bn_exercises.misconceptions import OVER_ROWS
from bn_exercises.problem import Answers, Problem, Solved, random_for
from bn_exercises.verdict import Finding, Kind, Verdict, unknown_names

POINTS = {"forward": 2, "backward": 3, "frozen": 1, "update_running": 1, "inference": 2, "images": 1}
TITLES = {
    "forward": "(a) forward",
    "backward": "(b) backward",
    "frozen": "(c) backward with given statistics",
    "update_running": "(d) update_running",
    "inference": "(e) inference",
    "images": "(f) images",
}
UNBIASED = (
    "The running variance that you keep is the unbiased one, divided by m − 1, as in PyTorch. "
    "The biased one would be right as well: that is a convention."
)
BIASED = (
    "The running variance that you keep is the biased one, divided by m, as in Keras and Flax. "
    "The unbiased one would be right as well: that is a convention."
)
FOLLOWS = "What is wrong here was counted above, and a mistake counts once. So this counts."
# Kinds that earn nothing; of several in one part the first gives its name to all.
_COSTS: tuple[Kind, ...] = ("misconception", "wrong", "form")
NOT_KNOWN = "Not right, and not a mistake that is known here."


@dataclass(frozen=True)
class Implement(Problem):
    """The problem: four functions, asked for in six parts. Given are the probes: those of the book, or of a variant."""

    asks_for: ClassVar[str] = "functions"

    @property
    def points(self) -> dict[str, int]:
        return dict(POINTS)

    def variant(self, seed: int, edition: int = 1) -> Self:
        return replace(self, given={"probes": seed})

    @cached_property
    def probes(self) -> tuple[Probe, ...]:
        """All inputs, for all parts."""
        seed = self.given["probes"]
        # Variants have other names than the book's, so that no seed is the book's.
        rng = random_for(self.name, seed) if isinstance(seed, int) else random_for(f"{self.name}, {seed}", 0)
        return tuple(all_probes(rng))

    def hints(self, part: str) -> tuple[str, ...]:
        return HINTS[part]

    def solved(self) -> Solved:
        """For each part its title, the rule and the step, and the function, line by line."""
        return [(TITLES[p], HINTS[p][1:], source(p) if p in RIGHT else ()) for p in POINTS]

    def observe(self, answers: Answers) -> dict[str, Any]:
        """What the functions that were answered did with the probes, for each part whose functions are all there.

        Names that were not asked for are kept, without their values.
        """
        observed: dict[str, Any] = {}
        for part in POINTS:
            probes = self._of(part)
            if all(probe.function in answers for probe in probes):
                observed[part] = {p.name: as_data(p.record(answers.get(p.function))) for p in probes}
        return observed | {name: None for name in answers if name not in RIGHT and name not in POINTS}

    def judge(self, observed: Answers) -> Verdict:
        findings: dict[str, Finding] = {}
        recorded = {part: self._records(part, observed.get(part)) for part in POINTS}
        for part, records in recorded.items():
            if all(isinstance(each, Unusable) and each.missing for each in records.values()):
                findings[part] = _finding(part, "missing", "There is no answer yet.")
            elif part == "images":
                findings[part] = self._judge_images(records, findings)
            else:
                findings[part] = self._judge(part, recorded, findings)
        notes = unknown_names((name for name in observed if name not in POINTS), RIGHT)
        return self.verdict((*findings.values(), *notes))

    def mistaken(self, reading: int = 0) -> Iterator[tuple[str, str, Answers]]:
        """Four functions of which one has a mistake: the part that it costs, its name, the functions."""
        # On the book's own numbers every way of every mistake; on those of a variant the usual ways, every second one.
        seed = self.given["probes"]
        gallery = MISTAKES if isinstance(seed, int) else WAYS
        for function, misconceptions in gallery.items():
            for misconception in misconceptions[seed % 2 :: 2] if isinstance(seed, int) else misconceptions:
                for wrong in ways(function, misconception.compute):
                    if parts := [part for part, _ in self.exposed(function, wrong)]:
                        yield parts[0], misconception.name, RIGHT | {function: wrong}

    def rightly(self, reading: int = 0) -> Iterator[tuple[str, Answers]]:
        yield from STYLES.items()

    def sheet(self) -> dict[str, Any]:
        """What a notebook in the grader's sandbox is told: the probes, too, for the functions are run there."""
        probes = [
            {"part": p.part, "name": p.name, "function": p.function, "arguments": [_on_sheet(a) for a in p.arguments]}
            for p in self.probes
        ]
        return super().sheet() | {"probes": probes}

    def exposed(self, name: str, function: Function) -> list[tuple[str, Probe]]:
        """The probes that tell this function from a right one, each with its part; parts in order."""
        return [
            (part, probe)
            for part in POINTS
            for probe in self._of(part)
            if probe.function == name and not self._is_right(probe, probe.record(function))
        ]

    def exposure(self, name: str, function: Function) -> tuple[str, int]:
        """In words, the inputs that tell this function from a right one, and how many they are.

        Those of the first part in which it is wrong.
        """
        exposed = self.exposed(name, function)
        part = exposed[0][0]
        if part == "images":
            return WHERE["images"], 1
        telling = [probe.where for each, probe in exposed if each == part]
        silent = [probe.where for probe in self._of(part) if probe.where not in telling]
        told = "; ".join(telling)
        if len(silent) <= len(telling):
            told = "everywhere" + (f", but not {'; '.join(silent)}" if silent else "")
        return ("with given statistics, " if part == "frozen" else "") + told, len(telling)

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
        ways = {name: [("Right.", function)] for name, function in RIGHT.items()}
        biased_update = STYLES["biased running variance"]["update_running"]
        ways["update_running"] = [(UNBIASED, RIGHT["update_running"]), (BIASED, biased_update)]
        return {
            name: [
                (says, {(p.part, p.name): p.record(f) for p in self.probes if p.function == name}) for says, f in each
            ]
            for name, each in ways.items()
        }

    @cached_property
    def _recognition(self) -> Recognition:
        return Recognition(self._gives_right, self._right_in)

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
            return _finding(part, "right", says_right)
        known = [] if says_right else self._recognise(function, probes, records, right)
        if changed:
            if not says_right and not known:
                # What is changed is certain; what else is wrong is not known.
                besides = f"{changed.says} And: {self._not_recognised(part, records, right).sentence}"
                return _recognised(part, [replace(changed, says=besides)])
            known = [together([changed, each]) for each in known] or [changed]
        if not known:
            if self._is_slip_of_before(part, recorded, findings):
                return _finding(part, "follow-on", FOLLOWS)
            return self._not_recognised(part, records, right)
        return _once(_recognised(part, known), known, findings)

    def _is_slip_of_before(self, part: str, recorded: Mapping[str, Records], findings: Mapping[str, Finding]) -> bool:
        """Whether what is wrong in a part is what was wrong before, whatever it is: the same numbers come out.

        Inference is forward with the statistics of a batch; and given those, dγ and dβ are what they are in training.
        """
        before = {"inference": "forward", "frozen": "backward"}.get(part)
        if before is None or findings[before].kind not in _COSTS:
            return False
        probes = self._of(part)
        if part == "frozen" and not self._right_in(probes, recorded[part], 0):
            return False
        shown = False
        for name in AS:
            all_three = recorded[before][name], recorded[part][f"as {name}"], recorded[part][name]
            records = [each for each in all_three if isinstance(each, Record)]
            if len(records) < len(all_three):
                return False
            probe, earlier = (
                next(p for p in self._of(x) if p.name == n) for x, n in ((part, f"as {name}"), (before, name))
            )
            same = _same_in_inference if part == "inference" else _same_when_frozen
            if not same(probe, earlier, *records):
                return False
            shown = shown or not self._gives_right(probe, records[1])
        return shown

    def _recognise(self, function: str, probes: Sequence[Probe], records: Records, right: Sequence[str]) -> list[Known]:
        digits_lost = any(probe.name in DELICATE and probe.name not in right for probe in probes)
        return self._recognition.recognise(function, probes, records, digits_lost)

    def _not_recognised(self, part: str, records: Records, right: Sequence[str]) -> Finding:
        probes = self._of(part)
        _, reference = self._rights[probes[0].function][0]
        sentences = {each.sentence if isinstance(each, Unusable) else "" for each in records.values()}
        if len(sentences) == 1 and (always := sentences.pop()):
            return _finding(part, "form", always)
        matters = {p.name: _matter(p, records[p.name], reference[part, p.name]) for p in probes}
        compared = [p for p in probes if not matters[p.name]]
        was_right = "; ".join(p.where for p in compared if p.name in right)
        was_wrong = "; ".join(p.where for p in compared if p.name not in right)
        matter = next(filter(None, matters.values()), "")
        # Wrong numbers say more than what cannot be compared, unless that is the ordinary batch.
        if matter and (matters[probes[0].name] or not was_wrong):
            return _finding(part, "form", matter)
        everywhere = not was_right and not matter
        told = (
            f"Right {was_right}." if was_right else "",
            f"Wrong everywhere: {was_wrong}." if everywhere else f"Wrong {was_wrong}.",
            self._by_output(compared, records),
            matter,
        )
        return _finding(part, "wrong", " ".join(filter(None, (NOT_KNOWN, *told))))

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
        asked = [part for part in FUNCTION if part != "frozen" or findings[part].points]
        outcomes = {part: self._on_images(part, records, findings) for part in asked}
        if found := {part: each for part, each in outcomes.items() if each.kind in _COSTS}:
            return _together(found)
        if missing := [part for part, each in outcomes.items() if each.kind == "missing"]:
            # Of what is missing only the title is shown.
            there = " and ".join(_label(part) for part in outcomes if part not in missing)
            title = f"{TITLES['images']}: right in {there}; the rest is still to come"
            return replace(_finding("images", "missing", ""), title=title)
        if not any(outcomes[part].kind == "right" for part in ("forward", "backward", "update_running")):
            # Functions without statistics are the same everywhere, too.
            says = "This counts when the axes of one function at least are seen to be right."
            named = {part: each for part, each in outcomes.items() if each.misconceptions}
            if not named:
                return _finding("images", "wrong", says)
            told = _together(named)
            return replace(told, kind="misconception", sentence=f"{told.sentence} {says}", points=0)
        follows = {part: each for part, each in outcomes.items() if each.kind == "follow-on"}
        if named := {part: each for part, each in follows.items() if each.misconceptions}:
            return _together(named)
        return next(iter(follows.values()), outcomes["forward"])

    def _on_images(self, part: str, records: Records, findings: Mapping[str, Finding]) -> Finding:
        function = FUNCTION[part]
        image, rows = (next(p for p in self._of("images") if p.name == f"{part} {n}") for n in (IMAGES, ROWS))
        own, as_rows = records[image.name], records[rows.name]
        if isinstance(own, Unusable) and own.missing:
            return _finding("images", "missing", own.sentence)
        if self._gives_right(image, own):
            return _finding("images", "right", "Right.")
        counted = findings[part].kind != "right"
        if counted and isinstance(as_rows, Record) and image.agree(own, _of_images(as_rows, image)):
            return _finding("images", "follow-on", FOLLOWS)
        right = [p.name for p in (image, rows) if self._gives_right(p, records[p.name])]
        if known := self._recognise(function, (image, rows), records, right):
            return _once(_recognised("images", known), known, findings)
        _, reference = self._rights[function][0]
        if matter := _matter(image, own, reference["images", image.name]):
            return _finding("images", "form", matter)
        same = "The same numbers as rows come out right." if right else "The same numbers as rows come out otherwise."
        told = (NOT_KNOWN, same, self._by_output((image,), records))
        return _finding("images", "wrong", " ".join(filter(None, told)))


def _together(found: Mapping[str, Finding]) -> Finding:
    """One finding about several functions, which may have made the same mistake. None of them hides another."""
    parts: dict[str, list[str]] = {}
    for part, each in found.items():
        parts.setdefault(each.sentence, []).append(_label(part))
    sentence = " ".join(f"In {' and '.join(labels)}: {says}" for says, labels in parts.items())
    names = dict.fromkeys(name for each in found.values() for name in each.misconceptions)
    lead = min(found.values(), key=lambda each: _COSTS.index(each.kind) if each.kind in _COSTS else 0)
    return replace(lead, sentence=sentence, misconceptions=tuple(names))


def _same_in_inference(probe: Probe, earlier: Probe, forward: Record, own: Record, elsewhere: Record) -> bool:
    """Whether inference is what forward is, with other statistics: of each channel the same straight line.

    Args:
        probe: some rows of a batch, with its statistics.
        earlier: that batch.
        forward: what forward did with it.
        own: what inference did with some of its rows and its statistics.
        elsewhere: what inference did with the batch and other statistics.
    """
    (y,), x, few = forward.outputs, earlier.x, probe.shape[0]
    if y.shape != x.shape or elsewhere.outputs[0].shape != x.shape:
        return False
    x_c, y_c = x - x.mean(axis=0), y - y.mean(axis=0)
    line = Record((y.mean(axis=0) + x_c * (x_c * y_c).sum(axis=0) / (x_c**2).sum(axis=0),), ())
    on_the_rows = Record((y[:few],), ())
    used = not probe.agree(Record((elsewhere.outputs[0][:few],), ()), on_the_rows)
    return used and earlier.agree(forward, line) and probe.agree(own, on_the_rows)


def _same_when_frozen(probe: Probe, earlier: Probe, backward: Record, own: Record, elsewhere: Record) -> bool:
    """Whether dγ and dβ are the same, with the same statistics: given, or of the batch."""
    return all(probe.agree(only(own, i), only(backward, i)) for i in (1, 2))


def _once(finding: Finding, known: Sequence[Known], findings: Mapping[str, Finding]) -> Finding:
    """The same finding; but a mistake that was counted in one of the parts before costs nothing here."""
    counted = {atom for each in findings.values() for name in each.misconceptions for atom in name.split(AND)}
    # To average over a sample is one mistake, for rows and for images.
    if OVER_ROWS.name in counted:
        counted.add(LAYER.name)
    if not any(counted.issuperset(each.names) for each in known):
        return finding
    return replace(finding, kind="follow-on", sentence=FOLLOWS, points=POINTS[finding.part])


def _of_images(as_rows: Record, image: Probe) -> Record:
    """What came of rows, in the shape of the images where it has a row for each of their positions."""
    rows = (int(np.prod(image.shape)) // image.shape[1], image.shape[1])
    return Record(tuple(as_images(each, image.shape) if each.shape == rows else each for each in as_rows.outputs), ())


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


def _recognised(part: str, known: Sequence[Known]) -> Finding:
    says = known[0].says
    if len(known) > 1:
        says = "More than one mistake gives these numbers. " + " Or: ".join(each.says for each in known)
    finding = _finding(part, "misconception", says)
    return replace(finding, misconceptions=tuple(each.name for each in known), see=known[0].see)


def _finding(part: str, kind: Kind, sentence: str) -> Finding:
    points = POINTS[part] if kind in ("right", "follow-on") else 0
    return Finding(part, TITLES[part], kind, sentence, points=points, max_points=POINTS[part])


def _on_sheet(argument: Any) -> Any:
    if isinstance(argument, tuple):
        return [_on_sheet(each) for each in argument]
    if isinstance(argument, np.ndarray):
        return {"values": argument.tolist(), "dtype": str(argument.dtype)}
    return argument


def _label(part: str) -> str:
    """The title without its letter."""
    return TITLES[part].partition(" ")[2]


def source(function: str) -> tuple[str, ...]:
    """The lines of a right function, without the types, so that they run in any notebook."""
    text = inspect.getsource(RIGHT[function]).replace(": Array = ", "=")
    return tuple(re.sub(r": (?:Array|float)\b| -> Array", "", text).rstrip().split("\n"))


HINTS = {
    "forward": (
        "Which numbers share a mean? Which number is added under the root?",
        "Each feature has a mean and a variance over the samples: sum the squared deviations, divide by their number. "
        "x̂ = (x − μ) / √(σ² + ε), then y = γ · x̂ + β.",
        "Take x.mean and x.var over axis 0. Subtract, divide by np.sqrt(var + eps), multiply by gamma, add beta. "
        "Write to new arrays only.",
    ),
    "backward": (
        "For dx: x reaches the loss along three paths: straight, through the mean and through the variance. "
        "For dγ and dβ: what does γ multiply, what is β added to, and in how many samples?",
        "With dx̂ = γ · dy and means over the batch: dx = (dx̂ − mean(dx̂) − x̂ · mean(dx̂ · x̂)) / √(σ² + ε). "
        "What γ multiplies and what β is added to is summed: dγ = Σ dy · x̂, dβ = Σ dy.",
        "Compute x̂ as in forward. Then write the three terms of dx one by one, each with keepdims=True, and divide by "
        "the root at the end. Sums for dgamma and dbeta run over axis 0.",
    ),
    "frozen": (
        "For dx: what does a mean that was given change, if x changes? For dγ, dβ: whose mean and variance make x̂?",
        "Constants have no gradient, so two of the three paths are not there. x̂ is computed with what was given.",
        "If mean is not None: x̂ = (x − mean) / √(var + ε) and dx = γ · dy / √(var + ε). dgamma and dbeta stay sums.",
    ),
    "update_running": (
        "What is left of the old value, and what comes in?",
        "momentum is the weight of the batch: new = (1 − momentum) · old + momentum · batch. The mean and the variance "
        "move alike.",
        "Take the batch's mean and variance over all axes but axis 1, shape (C,). Move running_mean, move running_var, "
        "return both.",
    ),
    "inference": (
        "Whose mean and variance does a single row have?",
        "The stored ones take the place of the batch's: y = γ · (x − running_mean) / √(running_var + ε) + β.",
        "Bring the four arrays of shape (C,) into line with x: (1, C) for rows, (1, C, 1, 1) for images. Then it is "
        "forward without computing any mean.",
    ),
    "images": (
        "How many values share a mean now, and along which axes do they lie?",
        "A channel of the images is one column: every sample and every position is a row of it.",
        "Average over all axes but axis 1: axis=(0, 2, 3), with keepdims=True. Bring gamma and beta into line "
        "with x: gamma.reshape(1, C, 1, 1).",
    ),
}


IMPLEMENT = Implement("implement", "Implement it", {"probes": "the book's"})
