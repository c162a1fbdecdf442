"""Which mistakes of the gallery do with the probes what a learner's function did.

A mistake is recognised by what it does on every probe that is looked at: it returns the learner's numbers there, or
fails with the same words. Where it cannot run and the learner has numbers, it is another one.
"""

import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeAlias

import numpy as np

from bn_exercises.answers import NOT_A_NUMBER, TOO_LARGE, Unusable
from bn_exercises.functions.gallery import Family, Gallery
from bn_exercises.functions.implementations import SINGLE, in_float32
from bn_exercises.functions.probe import DELICATE, Probe
from bn_exercises.functions.recording import RETURNS, Record, Recorded, in_shape, only
from bn_exercises.functions.slips import CANCELLATION, Function
from bn_exercises.misconceptions import Misconception
from bn_exercises.verdict import Link

Records: TypeAlias = Mapping[str, Recorded]
GivesRight: TypeAlias = Callable[[Probe, Recorded], bool]
RightIn: TypeAlias = Callable[[Sequence[Probe], Records, int], bool]

# Between the names of two mistakes at once.
AND = " + "
# On these a number of one's own is found: they differ in scale, or in the number that is given.
_TELLING = ("ordinary", "two", "small", "tiny", "company")
# In relative terms: further off than this on an ordinary batch, and no small ε is the reason.
_NOT_EPS = 0.05
_STEPS = 60
_GOLDEN = (np.sqrt(5) - 1) / 2


@dataclass(frozen=True)
class Known:
    """A mistake, or several at once, and what it does with the probes.

    Attributes:
        names: of the mistakes in it.
        says: what the learner is told.
        see: where in the book to read.
        compute: the wrong function.
    """

    names: tuple[str, ...]
    says: str
    see: Link
    compute: Function
    _seen: dict[tuple[str, str], Recorded] = field(default_factory=dict, repr=False, compare=False)

    @property
    def name(self) -> str:
        """All names, as they are shown."""
        return AND.join(self.names)

    @property
    def vague(self) -> tuple[str, ...]:
        """The probes with large numbers of which all that is known is that they come out wrong."""
        if CANCELLATION.name in self.names:
            return DELICATE
        return ("large",) if SINGLE.name in self.names[1:] else ()

    def on(self, probe: Probe) -> Recorded:
        """What it does with a probe."""
        key = (probe.part, probe.name)
        if key not in self._seen:
            self._seen[key] = probe.of_ours(self.compute)
        return self._seen[key]


def at_once(mistakes: Sequence[Misconception], compute: Function) -> Known:
    """One mistake, or several."""
    return together([Known((m.name,), m.says, m.see, compute) for m in mistakes])


def together(known: Sequence[Known]) -> Known:
    """Several mistakes at once, made in one function."""
    if len(known) == 1:
        return known[0]
    names = tuple(dict.fromkeys(name for each in known for name in each.names))
    says = " And: ".join(dict.fromkeys(each.says for each in known))
    if len(names) > 1:
        says = f"{'Two' if len(names) == 2 else 'Several'} mistakes at once. {says}"
    return Known(names, says, known[0].see, known[0].compute)


def _usual_first(known: Iterable[Known]) -> list[Known]:
    """One of each name: the first."""
    first: dict[str, Known] = {}
    for each in known:
        first.setdefault(each.name, each)
    return list(first.values())


@dataclass(frozen=True)
class Recognition:
    """The gallery, and what it does with the probes of one problem.

    Attributes:
        gallery: of the problem.
        gives_right: whether what was recorded on a probe is right.
        right_in: whether one output is right on these probes, under one convention.
    """

    gallery: Gallery
    gives_right: GivesRight
    right_in: RightIn

    def _made(self, function: str, mistakes: Iterable[Misconception]) -> list[Known]:
        return [at_once([m], way) for m in mistakes for way in self.gallery.conventions(function, m.compute)]

    @cached_property
    def _single(self) -> dict[str, list[Known]]:
        return {name: self._made(name, mistakes) for name, mistakes in self.gallery.ways.items()}

    @cached_property
    def _pairs(self) -> dict[str, list[Known]]:
        """By the part in which they can show."""
        return {}

    @cached_property
    def _in_float32(self) -> dict[str, list[Known]]:
        return {
            name: [
                at_once([m, SINGLE], in_float32(way))
                for m in mistakes
                if m.name not in (SINGLE.name, CANCELLATION.name)
                for way in self.gallery.conventions(name, m.compute)
            ]
            for name, mistakes in self.gallery.ways.items()
        }

    def _pairs_of(self, function: str, part: str) -> list[Known]:
        key = f"{part} {function}"
        if key not in self._pairs:
            self._pairs[key] = [
                at_once([one, other], way)
                for one, other, compute in self.gallery.pairs(function, part)
                for way in self.gallery.conventions(function, compute)
            ]
        return self._pairs[key]

    @cached_property
    def _elsewhere(self) -> dict[str, list[Known]]:
        return {name: self._made(name, mistakes) for name, mistakes in self.gallery.elsewhere.items()}

    def recognise(self, function: str, probes: Sequence[Probe], records: Records, digits_lost: bool) -> list[Known]:
        """The mistakes that do the same with all of these probes; several, where these do not tell them apart.

        Args:
            function: its name.
            probes: the ones that count.
            records: what the learner's function did, by the probe's name.
            digits_lost: whether it came out wrong where digits are easily lost.
        """
        part, one = probes[0].part, [*self._single[function], *self._elsewhere[function]]
        stages: list[Callable[[], list[Known]]] = [
            lambda: self._among(self._single[function], probes, records, digits_lost),
            lambda: self._among(self._elsewhere[function], probes, records, digits_lost),
            lambda: self._by_output(one, probes, records),
            lambda: self._fitted(function, probes, records, others=False),
            lambda: self._among(self._pairs_of(function, part), probes, records, False),
            lambda: self._fitted(function, probes, records, others=True),
            lambda: self._digits_lost_besides(function, probes, records) if digits_lost else [],
            lambda: self._by_output([*one, *self._pairs_of(function, part)], probes, records),
        ]
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return next((found for stage in stages if (found := stage())), [])

    def _among(
        self, candidates: Sequence[Known], probes: Sequence[Probe], records: Records, digits_lost: bool
    ) -> list[Known]:
        for vague in (False, True)[: 1 + digits_lost]:
            fitting = (
                known for known in candidates if bool(known.vague) is vague and self._fits(known, probes, records)
            )
            if found := _usual_first(fitting):
                return found
        return []

    def _digits_lost_besides(self, function: str, probes: Sequence[Probe], records: Records) -> list[Known]:
        """A mistake, and the digits lost in one of two ways; both, where no input in float32 tells them apart."""
        single = self._among(self._in_float32[function], probes, records, True)
        if single and any(probe.name == "float32" for probe in probes):
            return single
        return single + self._among(self._pairs_of(function, probes[0].part), probes, records, True)

    def _fits(self, known: Known, probes: Sequence[Probe], records: Records) -> bool:
        telling = bool(known.vague)
        for probe in probes:
            own = records[probe.name]
            if probe.name in known.vague:
                # Of lost digits come wrong numbers or none, but no exception, and no other shape.
                if not self._has_numbers(own, probe):
                    return False
                continue
            other = known.on(probe)
            if not probe.agree(own, other):
                return False
            telling = telling or not self.gives_right(probe, other)
        return telling

    def _has_numbers(self, own: Recorded, probe: Probe) -> bool:
        """Whether something of the right form came out: numbers, nan or infinity."""
        if isinstance(own, Unusable):
            return own.sentence.endswith((NOT_A_NUMBER, TOO_LARGE))
        right = probe.of_ours(self.gallery.right[probe.function])
        if isinstance(right, Unusable):
            return True
        return all(in_shape(a, b.shape) is not None for a, b in zip(own.outputs, right.outputs, strict=True))

    def _by_output(self, candidates: Sequence[Known], probes: Sequence[Probe], records: Records) -> list[Known]:
        """A mistake for each of several outputs: they need not have the same."""
        names = RETURNS[probes[0].function]
        comparable = [p for p in probes if isinstance(records[p.name], Record)]
        others = [p for p in probes if not isinstance(records[p.name], Record)]
        told = all(any(_is_matter_of(name, records[p.name]) for name in names) for p in others)
        if len(names) == 1 or not comparable or not told:
            return []
        explained: list[list[tuple[str, Known]]] = []
        for i, name in enumerate(names):
            # Of a probe without numbers it is known which output was the matter, if it was one of them.
            matters = [p for p in others if _is_matter_of(name, records[p.name])]
            if not matters and self.right_in(comparable, records, i):
                continue
            own = {p.name: only(records[p.name], i) for p in comparable}
            fitting = (
                known
                for known in candidates
                if not known.vague
                and all(p.agree(own[p.name], only(known.on(p), i)) for p in comparable)
                and all(p.agree(records[p.name], known.on(p)) for p in matters)
            )
            found = _usual_first(fitting)
            if not found:
                return []
            explained.append([(name, known) for known in found])
        if not explained:
            return []
        # As few mistakes as explain them all.
        chosen: list[Known] = []
        while explained:
            counts = Counter(known.name for found in explained for _, known in found)
            name = max(counts, key=lambda each: counts[each])
            for output, known in (each for found in explained for each in found if each[1].name == name):
                chosen.append(Known(known.names, f"In {output}: {known.says}", known.see, known.compute))
            explained = [found for found in explained if all(known.name != name for _, known in found)]
        return [together(chosen)]

    def _fitted(self, function: str, probes: Sequence[Probe], records: Records, others: bool) -> list[Known]:
        """A number of one's own, without or with other mistakes."""
        telling = [p for p in probes if p.name in _TELLING and isinstance(records[p.name], Record)]
        if len(telling) < 2:
            return []
        found = []
        for family in (each for each in self.gallery.families[function] if others == (len(each.mistakes) > 1)):
            for make in self._makes(function, family):
                number = _fit(family, make, telling, records)
                if number is not None:
                    known = at_once(family.mistakes, make(number))
                    if self._fits(known, probes, records):
                        found.append(known)
            if found:
                break
        return _usual_first(found)

    def _makes(self, function: str, family: Family) -> list[Callable[[float], Function]]:
        """The family under each convention."""

        def under(convention: int) -> Callable[[float], Function]:
            return lambda number: self.gallery.conventions(function, family.make(number))[convention]

        return [under(i) for i, _ in enumerate(self.gallery.conventions(function, family.make(family.numbers[0])))]


def _is_matter_of(name: str, recorded: Recorded) -> bool:
    """Whether an output of that name is why there are no numbers."""
    return isinstance(recorded, Unusable) and recorded.sentence.startswith(f"{name}: ")


def _fit(family: Family, make: Callable[[float], Function], probes: Sequence[Probe], records: Records) -> float | None:
    """The number with which a function comes nearest to these records; None, if none comes near."""

    def gap(number: float, probes: Sequence[Probe] = probes) -> float:
        return max(_gap(records[p.name], p.of_ours(make(number))) for p in probes)

    numbers = family.numbers
    if family.any_small and gap(1e-9, probes[:1]) > _NOT_EPS:
        return None
    gaps = [gap(number) for number in numbers]
    best = int(np.argmin(gaps))
    forth, back = (np.exp, np.log) if numbers[0] > 0 else (float, float)
    low, high = (float(back(numbers[max(0, min(i, len(numbers) - 1))])) for i in (best - 1, best + 1))
    # By the golden section. What cannot come near any more is given up.
    inner = [high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)]
    value = [gap(float(forth(each))) for each in inner]
    for _ in range(_STEPS):
        if min(value) < 1e-9 or min(value) > 10 * (high - low):
            break
        if value[0] < value[1]:
            high, inner[1], value[1] = inner[1], inner[0], value[0]
            inner[0] = high - _GOLDEN * (high - low)
            value[0] = gap(float(forth(inner[0])))
        else:
            low, inner[0], value[0] = inner[0], inner[1], value[1]
            inner[1] = low + _GOLDEN * (high - low)
            value[1] = gap(float(forth(inner[1])))
    return float(forth(inner[int(np.argmin(value))]))


def _gap(own: Recorded, other: Recorded) -> float:
    """How far two records are apart, in units of the largest number of each array; infinite, if they do not compare."""
    if not (isinstance(own, Record) and isinstance(other, Record)):
        return np.inf
    worst = 0.0
    for a, b in zip(own.outputs, other.outputs, strict=True):
        fitted = in_shape(a, b.shape)
        if fitted is None:
            return np.inf
        worst = max(worst, float(np.abs(fitted - b).max()) / (float(np.abs(b).max()) + 1e-300))
    return worst
