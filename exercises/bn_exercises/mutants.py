"""The grader graded: every mistake and every good style of right answer, through every problem.

    python -m bn_exercises.mutants            # canonical numbers and 100 seeds; also `make mutants`
    python -m bn_exercises.mutants --seeds 5

Four figures must hold: every mistake is caught, costs (nearly always) its own part's points only, and is nearly always
named right (where two mistakes give the same numbers, both names are shown); and every right answer is accepted.
"""

import argparse
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from itertools import product
from multiprocessing import get_context
from typing import Any

import numpy as np

from bn_exercises.problem import Arrays, Part, Problem
from bn_exercises.problems import ALL, CLASS, TASKS
from bn_exercises.task import Given, JudgingTask
from bn_exercises.tolerance import EQUAL, Array, distances, round_to
from bn_exercises.verify import verify

SEEDS = 100
NAMED_AT_LEAST = 0.95
ONCE_AT_LEAST = 0.999


@dataclass
class Tally:
    """The counts for one problem, or for all, and what went otherwise than it must."""

    mistakes: int = 0
    caught: int = 0
    once: int = 0
    named: int = 0
    ties: int = 0
    right: int = 0
    accepted: int = 0
    failures: list[str] = field(default_factory=list)

    def add(self, other: "Tally") -> None:
        """Count the other's in."""
        for name in ("mistakes", "caught", "once", "named", "ties", "right", "accepted"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.failures += other.failures

    @property
    def holds(self) -> bool:
        """Whether the grader is good enough."""
        exact = self.caught == self.mistakes and self.accepted == self.right
        return exact and min(self.named / NAMED_AT_LEAST, self.once / ONCE_AT_LEAST) >= self.mistakes


def mistaken(problem: Problem, reading: int) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Answers with one mistake: the part, the mistake's name, and the answers.

    In all digits and in four, with the other parts right; and with the parts after it right for the wrong answer, which
    is then written down in all digits or in four. What gives the right numbers here (γ left out, where γ is 1) is no
    mistake.
    """
    given, reference = problem.readings[reading].given, problem.references[reading]
    for part in problem.parts:
        outcomes = problem.outcomes[reading][part.name]
        rights = np.stack([each[part.name].right for each in problem.outcomes])
        wrong = [*zip(outcomes.mistakes, outcomes.wrong, strict=True), *outcomes.other_shapes]
        for misconception, value in wrong:
            if value.shape == outcomes.right.shape and distances(value, rights, outcomes.room).min() <= EQUAL:
                continue
            yield part.name, misconception.name, {**reference, part.name: value}
            yield part.name, misconception.name, {**reference, part.name: round_to(4, value)}
            carried = carry(problem, given, reference, part, value)
            if carried is not None:
                yield part.name, misconception.name, carried
                yield part.name, misconception.name, {**carried, part.name: round_to(4, value)}


def carry(problem: Problem, given: Any, reference: Arrays, part: Part, value: Array) -> dict[str, Any] | None:
    """The answers of somebody who got `value` in `part` and went on from there without another mistake."""
    if value.shape != reference[part.name].shape:
        return None
    answers: dict[str, Any] = {}
    with np.errstate(all="ignore"):
        for each in problem.in_order():
            answers[each.name] = value if each is part else each.right(given, answers)
    used = any(part.name in each.uses for each in problem.parts)
    return answers if used and all(np.isfinite(v).all() for v in answers.values()) else None


def rightly(problem: Problem, reading: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """Right answers in every good style: the style and the answers."""
    given, reference = problem.readings[reading].given, problem.references[reading]
    for name, style in STYLES.items():
        yield name, {part: style(value) for part, value in reference.items()}
    for digits in (3, 4, 5):
        carried: dict[str, Any] = {}
        for part in problem.in_order():
            carried[part.name] = round_to(digits, part.right(given, carried))
        yield f"each part in {digits} digits, and on from there", carried
    if problem.name in _BY_HAND:
        for habits in product((3, 4, 5), (False, True), (False, True)):
            for way, answers in _BY_HAND[problem.name](given, _Hand(*habits)):
                yield f"every step in {_Hand(*habits)}{way}", answers
                yield f"every step in {_Hand(*habits)}{way}, then 3", {p: round_to(3, v) for p, v in answers.items()}


def _nested(value: Array, convert: Any) -> Any:
    return [_nested(row, convert) for row in value] if value.ndim else convert(float(value))


STYLES: dict[str, Callable[[Array], Any]] = {
    "array": np.array,
    "list": np.ndarray.tolist,
    "tuples": lambda v: tuple(map(tuple, v)) if v.ndim == 2 else tuple(v) if v.ndim else (float(v),),
    "column": lambda v: v.reshape(-1, 1) if v.ndim < 2 else v,
    "row": lambda v: v.reshape(1, -1) if v.ndim < 2 else v,
    "one after another": np.ravel,
    "float32": lambda v: v.astype(np.float32),
    "longdouble": lambda v: v.astype(np.longdouble),
    "object": lambda v: v.astype(object),
    "masked, nothing masked": np.ma.masked_array,
    "Fortran order": np.asfortranarray,
    "fractions": lambda v: _nested(v, lambda x: Fraction(x).limit_denominator(10**6)),
    "decimals": lambda v: _nested(v, lambda x: Decimal(f"{x:.6g}")),
    "numpy scalars": lambda v: _nested(v, np.float64),
    "3 digits": lambda v: round_to(3, v),
    "4 digits": lambda v: round_to(4, v),
    "6 digits": lambda v: round_to(6, v).tolist(),
    "a little off": lambda v: v + 1e-17,
    "off in the last bits": lambda v: v * (1 + 4e-16),
}


# These do not use the engine's own roundings, so that they can contradict them.


@dataclass(frozen=True)
class _Hand:
    """Somebody who rounds every intermediate result: to so many digits, maybe a mean too, maybe 1 / root as well."""

    digits: int
    means: bool
    inverses: bool

    def __str__(self) -> str:
        means, inverses = ", means too" * self.means, ", times 1 / root" * self.inverses
        return f"{self.digits} digits{means}{inverses}"

    def r(self, value: Array) -> Array:
        return round_to(self.digits, value)

    def mean(self, x: Array) -> Array:
        return self.r(x.mean(axis=0)) if self.means else x.mean(axis=0)

    def root(self, x: Array, eps: float) -> Array:
        return self.r(np.sqrt(self.r(self.r(x.var(axis=0)) + eps)))

    def over(self, value: Array, root: Array) -> Array:
        return value * self.r(1 / root) if self.inverses else value / root

    def x_hat(self, x: Array, eps: float, company: Array) -> Array:
        return self.over(x - self.mean(company), self.root(company, eps))


def _table_by_hand(given: Given, hand: _Hand) -> Iterator[tuple[str, dict[str, Any]]]:
    x = np.array(given["x"], dtype=float)
    x_hat = hand.x_hat(x, given["eps"], x)
    y = given["gamma"] * hand.r(x_hat) + given["beta"]
    yield "", {"mean": x.mean(axis=0), "var": hand.r(x.var(axis=0)), "x_hat": x_hat, "y": y}
    y = given["gamma"] * x_hat + given["beta"]
    yield ", x̂ on paper only", {"mean": x.mean(axis=0), "var": hand.r(x.var(axis=0)), "x_hat": hand.r(x_hat), "y": y}


def _gradient_by_hand(given: Given, hand: _Hand) -> Iterator[tuple[str, dict[str, Any]]]:
    x, dx_hat = (np.array(given[name], dtype=float) for name in ("x", "dx_hat"))
    r, over, centred, m = hand.r, hand.over, x - hand.mean(x), len(x)
    root = hand.root(x, given["eps"])
    total = r((dx_hat * centred).sum())
    dmu = r(over(-dx_hat.sum(), root))
    # The power -3/2: of the rounded reciprocal, or of the rounded root, itself rounded or not. The half first or last.
    cubed = r(r(1 / root) ** 3) if hand.inverses else 1 / r(root**3)
    dvars = {
        "power": -0.5 * total * cubed,
        "power in the head": -0.5 * total * (cubed if hand.inverses else 1 / root**3),
        "half last": -0.5 * r(total * cubed),
    }
    for way, dvar in dvars.items():
        dvar = r(dvar)
        three_paths = r(over(dx_hat, root)) + r(dvar * 2 * centred / m) + r(dmu / m)
        yield f", {way}, three paths", {"dx": three_paths, "dmu": dmu, "dvar": dvar}
        x_hat = r(over(centred, root))
        inside = r(dx_hat - r(dx_hat.mean()) - r(x_hat * r((dx_hat * x_hat).mean())))
        yield f", {way}, compact form", {"dx": over(inside, root), "dmu": dmu, "dvar": dvar}


def _batches_by_hand(given: Given, hand: _Hand) -> Iterator[tuple[str, dict[str, Any]]]:
    x, eps = np.array(given["x"], dtype=float), given["eps"]
    halves = [hand.x_hat(half, eps, half) for half in x.reshape(2, -1)]
    yield "", {"one_batch": hand.x_hat(x, eps, x), "two_batches": np.stack(halves)}


def _classes_by_hand(given: Given, hand: _Hand) -> Iterator[tuple[str, dict[str, Any]]]:
    classes = [np.array(x, dtype=float) for x in given["x"]]
    answers = {}
    for label, x in enumerate(classes):
        company = x if given["statistics"] == CLASS else np.concatenate(classes)
        x_hat = hand.r(hand.x_hat(x, given["eps"], company))
        answers[f"y{label}"] = given["gamma"][label] * x_hat + given["beta"][label]
    yield "", answers


_BY_HAND: dict[str, Callable[[Given, _Hand], Iterator[tuple[str, dict[str, Any]]]]] = {
    "basic-calculation": _table_by_hand,
    "backpropagation": _gradient_by_hand,
    "batch-size": _batches_by_hand,
    "conditional": _classes_by_hand,
}


def run(problem: Problem | JudgingTask, reading: int = 0, label: str = "") -> Tally:
    """All mistakes and all right answers through one problem under one reading."""
    tally = Tally()
    for part, name, answers in mistaken(problem, reading) if isinstance(problem, Problem) else problem.mistaken():
        verdict = verify(problem, problem.observe(answers))
        finding = verdict.of(part)
        lost = {f.part for f in verdict.findings if f.points < f.max_points}
        tally.mistakes += 1
        tally.once += lost == {part}
        tally.caught += finding.points == 0
        tally.named += name in finding.misconceptions
        tally.ties += len(finding.misconceptions) > 1
        if finding.points or name not in finding.misconceptions:
            taken = " or ".join(finding.misconceptions) or finding.kind
            tally.failures.append(f"{problem.name}{label}, {part}: {name} was taken for {taken}")
        if lost != {part}:
            tally.failures.append(f"{problem.name}{label}, {part}: {name} cost the points of {sorted(lost)}")
    for style, answers in rightly(problem, reading) if isinstance(problem, Problem) else problem.rightly():
        verdict = verify(problem, problem.observe(answers))
        tally.right += 1
        tally.accepted += verdict.right
        if not verdict.right:
            kinds = {f.part: (f.kind, *f.misconceptions) for f in verdict.findings if f.points < f.max_points}
            tally.failures.append(f"{problem.name}{label}: right ({style}) was taken for {kinds}")
    return tally


def run_all(seeds: Iterable[int], problems: Iterable[Problem | JudgingTask] = ALL) -> dict[str, Tally]:
    """For each problem, the tally over its own numbers, and over its variants, each under another reading in turn."""
    seeds = tuple(seeds)
    tallies = {}
    for problem in problems:
        tallies[problem.name] = Tally()
        for seed in (None, *seeds):
            tallies[problem.name].add(_run_variant(problem, seed))
    return tallies


def run_in_parallel(seeds: Iterable[int]) -> dict[str, Tally]:
    """`run_all` for all problems of the course, on all cores."""
    jobs = [(name, seed) for seed in (None, *seeds) for name in TASKS]
    tallies = {name: Tally() for name in TASKS}
    # A problem holds functions, which do not travel; its name does.
    from concurrent.futures import ProcessPoolExecutor  # a browser has no processes, and runs all the rest

    with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        for (name, _), tally in zip(jobs, pool.map(_run_job, jobs, chunksize=len(TASKS)), strict=True):
            tallies[name].add(tally)
    return tallies


def _run_job(job: tuple[str, int | None]) -> Tally:
    name, seed = job
    return _run_variant(TASKS[name], seed)


def _run_variant(problem: Problem | JudgingTask, seed: int | None) -> Tally:
    """A variant under one of its readings, or the problem itself under each."""
    readings = len(problem.readings) if isinstance(problem, Problem) else 1
    if seed is not None:
        return run(problem.variant(seed), seed % readings, f" (seed {seed})")
    tally = Tally()
    for reading in range(readings):
        tally.add(run(problem, reading))
    return tally


MISTAKES: dict[str, Callable[[Tally], str]] = {
    "mistakes": lambda t: f"{t.mistakes:,}",
    "caught": lambda t: share(t.caught, t.mistakes),
    "counted once": lambda t: share(t.once, t.mistakes),
    "named right": lambda t: share(t.named, t.mistakes),
    "more than one name": lambda t: share(t.ties, t.mistakes),
}
RIGHT_ANSWERS: dict[str, Callable[[Tally], str]] = {
    "right answers": lambda t: f"{t.right:,}",
    "accepted": lambda t: share(t.accepted, t.right),
}


def table(tallies: dict[str, Tally], columns: dict[str, Callable[[Tally], str]] = MISTAKES | RIGHT_ANSWERS) -> str:
    """A Markdown table, a row for each problem and one for all."""
    total = Tally()
    for tally in tallies.values():
        total.add(tally)
    lines = [f"| problem | {' | '.join(columns)} |", "|:--|" + "--:|" * len(columns)]
    for name, tally in (*tallies.items(), ("all", total)):
        lines.append(f"| {name} | {' | '.join(column(tally) for column in columns.values())} |")
    return "\n".join(lines)


def share(part: int, whole: int) -> str:
    """A percentage, rounded down: 100 % means all of them."""
    return f"{np.floor(1000 * part / whole) / 10:.1f}\u00a0%"


def main() -> int:
    """Print the table and what failed; 0 if the grader is good enough."""
    parser = argparse.ArgumentParser(prog="python -m bn_exercises.mutants", description=main.__doc__)
    parser.add_argument("--seeds", type=int, default=SEEDS, help="how many variants of each problem")
    tallies = run_in_parallel(range(parser.parse_args().seeds))
    print(table(tallies))
    for tally in tallies.values():
        for failure in tally.failures[:20]:
            print(failure)
    return 0 if all(tally.holds for tally in tallies.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
