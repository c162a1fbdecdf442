"""Judge answers to a problem that asks for numbers: a pure function of data.

An answer to a part is compared with

1. the right computation on the reference's earlier answers: it is right;
2. the right computation on the learner's own earlier answers: it counts, because a mistake counts once;
3. each mistake's computation, on both: the mistake has a name.

An answer that is as near to a mistake's numbers as to the right ones is decided by `tolerance.overruled`, and one with
too few digits is not accused of anything (`tolerance.is_cut_short`). A problem that can be read in several ways is
judged under each, and the reading that suits the answers best is taken.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import combinations, product

import numpy as np

from bn_exercises.answers import Unusable, described, fit, read
from bn_exercises.misconceptions import Misconception
from bn_exercises.numbers.calculation import Calculation, Outcomes, Part
from bn_exercises.problem import Answers, Reading
from bn_exercises.tolerance import (
    EQUAL,
    Array,
    agree,
    digits_shown,
    distance,
    distances,
    is_cut_short,
    is_rounded,
    overruled,
    rooms,
)
from bn_exercises.verdict import Finding, Kind, Verdict, unknown_names

_RECOGNISED: tuple[Kind, ...] = ("right", "follow-on", "misconception", "form")
_EARNS: tuple[Kind, ...] = ("right", "follow-on")
# In units of the room: what four digits do not tell apart.
_TIE = 0.02
CUT_SHORT = "Right as far as it goes: give three significant digits."
# A number that shows so many digits and has those of a reading has them by no chance.
_TELLING = 5
# A learner whose answer is off in more places than this did not slip.
_MOST_SLIPS = 3


def judge(problem: Calculation, answers: Answers) -> Verdict:
    """The verdict on answers: a value for each part's name, anything at all."""
    given = {part.name: read(answers.get(part.name)) for part in problem.parts}
    judged = [_under(problem, index, given) for index in range(len(problem.readings))]
    most = max(each.merit for each in judged)
    best = [index for index, each in enumerate(judged) if each.merit == most]
    # Several, if the digits do not tell them apart. Which mistake it was is then told by the nearest.
    taken = min(best, key=lambda index: judged[index].off)
    earning = [_earning(each) for each in judged]
    read_with = [index for index in best if earning[index] == earning[taken]]
    findings = [
        _mixture(problem, read_with, given, _in_all(problem, read_with, finding, judged), judged)
        for finding in judged[taken].findings.values()
    ]
    if len(problem.readings) > 1 and any(finding.points for finding in findings):
        findings.append(_reading_note(problem, read_with))
    return problem.verdict((*findings, *unknown_names(answers, given)))


@dataclass(frozen=True)
class _Match:
    """A mistake that gives the answer's numbers.

    Attributes:
        mistake: which.
        off: how far the answer is from its numbers.
        rounded: whether the answer is these numbers, rounded.
        value: its numbers.
    """

    mistake: Misconception
    off: float
    rounded: bool
    value: Array


@dataclass(frozen=True)
class _Part:
    """One part under one reading.

    Attributes:
        finding: what was found in it.
        off: how far the answer is from what it was recognised as.
        matches: the mistakes with these numbers, if that is what it was recognised as.
    """

    finding: Finding
    off: float = 0
    matches: tuple[_Match, ...] = ()


@dataclass(frozen=True)
class _Judged:
    """The answers under one reading.

    Attributes:
        parts: one for each part.
    """

    parts: dict[str, _Part]

    @property
    def findings(self) -> dict[str, Finding]:
        """One for each part."""
        return {name: part.finding for name, part in self.parts.items()}

    @property
    def off(self) -> float:
        """How far the answers are from what they were recognised as, all together."""
        return sum(part.off for part in self.parts.values())

    @property
    def merit(self) -> tuple[float, int]:
        """How well the reading suits the answers: points, then how much of it was recognised."""
        found = self.findings.values()
        return sum(finding.points for finding in found), sum(finding.kind in _RECOGNISED for finding in found)


def _earning(judged: _Judged) -> set[str]:
    return {name for name, finding in judged.findings.items() if finding.kind in _EARNS}


def _under(problem: Calculation, index: int, given: Mapping[str, Array | Unusable]) -> _Judged:
    """Each part, under one reading."""
    parts: dict[str, _Part] = {}
    for part in problem.in_order():
        answer = given[part.name]
        if isinstance(answer, Unusable):
            parts[part.name] = _Part(_finding(part, "missing" if answer.missing else "form", answer.sentence))
        else:
            earlier = {name: parts[name] for name in part.uses}
            parts[part.name] = _judge(problem, index, part, answer, given, earlier)
    return _Judged({part.name: parts[part.name] for part in problem.parts})


@dataclass(frozen=True)
class _Context:
    """What the parts before gave: the reference's answers, or some of the learner's own.

    Attributes:
        outcomes: what the right ways and the wrong ones come to in it.
        mistaken: whether one of the learner's own answers in it is wrong.
    """

    outcomes: Outcomes
    mistaken: bool


def _judge(
    problem: Calculation,
    index: int,
    part: Part,
    answer: Array,
    given: Mapping[str, Array | Unusable],
    earlier: Mapping[str, _Part],
) -> _Part:
    """One part, under one reading; `earlier` has those that this one uses."""
    reference = problem.outcomes[index][part.name]
    array = fit(answer, reference.right.shape)
    if array is None:
        return _Part(_other_shape(part, answer, reference))

    if _is_patchwork(problem, part, array):
        return _Part(_not_recognised(part, array, reference, problem.readings[index]))

    # The learner's benefit: right before follow-on.
    contexts = [_Context(reference, mistaken=False), *_own_contexts(problem, index, part, given, earlier)]
    contexts.sort(key=lambda context: context.mistaken)
    others = [outcomes[part.name] for i, outcomes in enumerate(problem.outcomes) if i != index]
    elsewhere = [each.right[None] for each in others] + [each.wrong for each in others]
    everywhere = np.concatenate(elsewhere + [context.outcomes.wrong for context in contexts])
    for context in contexts:
        # Whoever made a mistake before makes the same numbers here as somebody who makes it here. Once is enough.
        rivals = np.concatenate([*elsewhere, context.outcomes.wrong]) if context.mistaken else everywhere
        if way := _right_way(array, context.outcomes, rivals):
            says, off = way
            if context.mistaken:
                sentence = "Right for your own earlier answer, so this counts: a mistake counts once."
                return _Part(_finding(part, "follow-on", sentence), off)
            return _Part(_finding(part, "right", says or "Right."), off)
    trusted = bool(part.uses) and all(each.finding.kind == "right" for each in earlier.values())
    for context in contexts:
        if not context.mistaken and (says := _cut_short(array, context.outcomes, everywhere, trusted)):
            return _Part(_finding(part, "form", says))
    if matches := _matches(array, contexts):
        return _Part(_recognised(part, _nearest(matches)), min(match.off for match in matches), tuple(matches))
    return _Part(_not_recognised(part, array, reference, problem.readings[index]))


def _right_way(array: Array, outcomes: Outcomes, rivals: Array) -> tuple[str, float] | None:
    """What is to be said about an answer got in a right way, and how far off it is; None if it was not."""
    off = distance(array, outcomes.right, outcomes.room)
    if off <= 1 and not overruled(array, outcomes.right, rivals, outcomes.room):
        return "", off
    for way, value in outcomes.also_right:
        room = rooms(value, outcomes.carried)
        off = distance(array, value, room)
        if off <= 1 and not overruled(array, value, rivals, room):
            # The straight way is nearer than any other.
            return way.says, off + 1
    return None


def _cut_short(array: Array, outcomes: Outcomes, rivals: Array, trusted: bool) -> str:
    """What is to be said about an answer got in the right way that has too few digits; nothing, if it was not.

    Args:
        array: the answer.
        outcomes: what the right ways and the wrong ones come to.
        rivals: the mistakes' numbers.
        trusted: whether the answers to the parts before are there and right.
    """
    if is_cut_short(array, outcomes.right, rivals):
        return CUT_SHORT
    ways = outcomes.cut_short if trusted else []
    return next((way.says for way, value in ways if distance(array, value) <= EQUAL), "")


def _own_contexts(
    problem: Calculation,
    index: int,
    part: Part,
    given: Mapping[str, Array | Unusable],
    earlier: Mapping[str, _Part],
) -> list[_Context]:
    """One for every choice of earlier answers taken from the learner, where they differ from the reference's."""
    reference = problem.references[index]
    own: dict[str, list[Array]] = {}
    for name in part.uses:
        answer = given[name]
        array = None if isinstance(answer, Unusable) else fit(answer, reference[name].shape)
        if array is not None and not np.array_equal(array, reference[name]):
            # Written down rounded, and maybe carried on in all digits.
            own[name] = [array, *(match.value for match in earlier[name].matches if match.rounded)]
    contexts = []
    for count in range(1, len(own) + 1):
        for names in combinations(own, count):
            mistaken = any(earlier[name].finding.kind != "right" for name in names)
            for values in product(*(own[name] for name in names)):
                carried = reference | dict(zip(names, values, strict=True))
                outcomes = part.outcomes(problem.readings[index].given, carried)
                # A negative variance has no root: nothing follows from it.
                if np.isfinite(outcomes.right).all():
                    contexts.append(_Context(outcomes, mistaken))
    return contexts


def _matches(array: Array, contexts: Iterable[_Context]) -> list[_Match]:
    """The mistakes that give about these numbers."""
    matches = []
    for context in contexts:
        outcomes = context.outcomes
        if not outcomes.mistakes:
            continue
        # What comes to the right numbers here is no mistake here.
        applies = distances(outcomes.right, outcomes.wrong, outcomes.room) > EQUAL
        off = distances(array, outcomes.wrong, outcomes.wrong_rooms)
        for i in np.flatnonzero(applies & (off <= 1)):
            value = outcomes.wrong[i]
            matches.append(_Match(outcomes.mistakes[i], float(off[i]), is_rounded(array, value), value))
    return matches


def _nearest(matches: Iterable[_Match]) -> list[Misconception]:
    """Of the mistakes that give about these numbers the nearest, and those that the digits do not tell from it."""
    in_order = sorted(matches, key=lambda match: match.off)
    kept: dict[str, Misconception] = {}
    for match in in_order:
        if match.off <= max(_TIE, 2 * in_order[0].off) or match.rounded:
            kept.setdefault(match.mistake.name, match.mistake)
    return list(kept.values())


def _in_all(problem: Calculation, read_with: list[int], finding: Finding, judged: list[_Judged]) -> Finding:
    """`finding`; if a mistake was recognised, with all that give these numbers under one of the readings."""
    if finding.kind != "misconception":
        return finding
    matches = [match for index in read_with for match in judged[index].parts[finding.part].matches]
    # None, where it is the count of the numbers that tells.
    return _recognised(problem.part(finding.part), _nearest(matches)) if matches else finding


def _other_shape(part: Part, answer: Array, reference: Outcomes) -> Finding:
    """Not as many numbers as were asked for: a mistake of its own, or a matter of form."""
    right = reference.right
    for misconception, value in reference.other_shapes:
        array = fit(answer, value.shape)
        if array is not None and agree(array, value):
            return _recognised(part, [misconception])
    if right.ndim == 2 and answer.shape == right.shape[::-1]:
        return _finding(part, "form", f"Your table lies on its side. Expected: {described(right.shape)}.")
    return _finding(part, "form", f"Expected: {described(right.shape)}. Yours: {described(answer.shape)}.")


def _recognised(part: Part, matched: list[Misconception]) -> Finding:
    says = matched[0].says
    if len(matched) > 1:
        says = "More than one mistake gives these numbers. " + " Or: ".join(m.says for m in matched)
    return _finding(part, "misconception", says, matched)


def _not_recognised(part: Part, array: Array, reference: Outcomes, reading: Reading) -> Finding:
    look = part.hints(reading.given)[0]
    off = np.argwhere(np.abs(array - reference.right) > reference.room)
    if array.size > 2 and 0 < len(off) <= min(_MOST_SLIPS, (array.size - 1) // 2):
        # A place in a table has a comma in it.
        places = ("; " if array.ndim == 2 else ", ").join(_place(position.tolist(), array.ndim) for position in off)
        return _finding(part, "wrong", f"Most of it is right. Look again at {places}.")
    return _finding(part, "wrong", f"Not right, and not a mistake that is known here. {look}")


def _place(position: list[int], dimensions: int) -> str:
    if dimensions == 1:
        return f"number {position[0] + 1}"
    return f"row {position[0] + 1}, column {position[1] + 1}"


def _finding(part: Part, kind: Kind, sentence: str, matched: Iterable[Misconception] = ()) -> Finding:
    matched = list(matched)
    return Finding(
        part.name,
        part.title,
        kind,
        sentence,
        tuple(m.name for m in matched),
        matched[0].see if matched else None,
        part.points if kind in _EARNS else 0,
        part.points,
    )


# Readings


def _reading_note(problem: Calculation, best: list[int]) -> Finding:
    sentence = f"What you earned points for was read with {_described(problem, best)}."
    return Finding("", "", "note", sentence)


def _described(problem: Calculation, indices: Iterable[int]) -> str:
    """Readings in words. Where several are possible, the answer's digits do not tell them apart."""
    chosen = [dict.fromkeys(way) for way in zip(*(problem.readings[index].choices for index in indices), strict=True)]
    # That everything is possible says nothing.
    telling = [way for way, ways in zip(chosen, problem.open, strict=True) if len(way) < len(ways)]
    return " and ".join(" or ".join(way) for way in telling or chosen)


def _mixture(
    problem: Calculation,
    read_with: list[int],
    given: Mapping[str, Array | Unusable],
    finding: Finding,
    judged: list[_Judged],
) -> Finding:
    """`finding`, unless the part is right under another reading than the rest, or its samples follow several."""
    if finding.kind in _EARNS or len(problem.readings) == 1:
        return finding
    part = next(part for part in problem.parts if part.name == finding.part)
    elsewhere = [index for index, each in enumerate(judged) if each.findings[part.name].kind in _EARNS]
    if elsewhere:
        sentence = (
            f"By itself this is right with {_described(problem, elsewhere)}. Another part was read with "
            f"{_described(problem, read_with)}. Both are possible, but not in one answer: choose one of them."
        )
        return _finding(part, "mixture", sentence)
    answer = given[part.name]
    if finding.kind != "wrong" or isinstance(answer, Unusable):
        return finding
    array = fit(answer, problem.references[0][part.name].shape)
    if array is None:
        return finding
    groups = _by_sample(problem, part, array)
    if groups is None:
        return finding
    words = "; ".join(
        f"{'sample' if len(samples) == 1 else 'samples'} {', '.join(str(s + 1) for s in samples)} with "
        f"{_described(problem, indices)}"
        for indices, samples in groups.items()
    )
    sentence = f"The samples do not agree: {words}. Both are possible, but not in one answer: choose one of them."
    return _finding(part, "mixture", sentence)


def _is_patchwork(problem: Calculation, part: Part, array: Array) -> bool:
    """Whether the numbers that show many digits are the right ones under some reading, and not all under the same."""
    rights = [np.ravel(outcomes[part.name].right) for outcomes in problem.outcomes]
    follows = [
        {index for index, right in enumerate(rights) if is_rounded(number, right[i])}
        for i, number in enumerate(array.ravel().tolist())
        if digits_shown(number) >= _TELLING
    ]
    return all(follows) and not set(range(len(rights))).intersection(*follows)


def _by_sample(problem: Calculation, part: Part, array: Array) -> dict[tuple[int, ...], list[int]] | None:
    """Which samples follow which readings; None if one follows none, or all follow the same."""
    readings = [outcomes[part.name] for outcomes in problem.outcomes]
    off = np.stack([np.abs(array - outcomes.right) / outcomes.room for outcomes in readings])
    groups: dict[tuple[int, ...], list[int]] = {}
    for sample in range(array.size):
        least = off[:, sample].min()
        if least > 1:
            return None
        follows = tuple(int(i) for i in np.flatnonzero(off[:, sample] <= max(EQUAL, 2 * least)))
        groups.setdefault(follows, []).append(sample)
    if set.intersection(*map(set, groups)):
        return None
    # A sample that follows several readings goes with those that tell.
    return {ways: samples for ways, samples in groups.items() if not any(set(other) < set(ways) for other in groups)}
