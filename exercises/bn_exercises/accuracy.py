"""The grader graded: every mistake and every good style of right answer, through every problem.

    python -m bn_exercises.accuracy            # canonical numbers and 100 seeds; also `make mutants`
    python -m bn_exercises.accuracy basic-calculation --seeds 5

Four figures must hold: every mistake is caught, costs (nearly always) its own part's points only, and is nearly always
named right (where two mistakes give the same numbers, both names are shown); and every right answer is accepted.
"""

import argparse
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from multiprocessing import get_context

from bn_exercises.problem import Problem, verify
from bn_exercises.problems import ALL, TASKS

SEEDS = 100
# The tests run often, and take fewer; and fewer still of the problems that ask for formulas, functions or tests:
# nothing in them is rounded, so their variants are more alike. The book's page takes the problems themselves and the
# first variants, of the problems that ask for numbers and of the others; a test reads there what came of those, and
# none runs them again.
SEEDS_OF_TESTS = 12
SEEDS_OF_OTHERS = 5
SEEDS_SHOWN = 10
SEEDS_SHOWN_OF_OTHERS = 3
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


def run(problem: Problem, reading: int = 0, label: str = "") -> Tally:
    """All mistakes and all right answers through one problem under one reading."""
    tally = Tally()
    for part, name, answers in problem.mistaken(reading):
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
    for style, answers in problem.rightly(reading):
        verdict = verify(problem, problem.observe(answers))
        tally.right += 1
        tally.accepted += verdict.right
        if not verdict.right:
            kinds = {f.part: (f.kind, *f.misconceptions) for f in verdict.findings if f.points < f.max_points}
            tally.failures.append(f"{problem.name}{label}: right ({style}) was taken for {kinds}")
    return tally


def run_all(seeds: Iterable[int | None], problems: Iterable[Problem] = ALL) -> dict[str, Tally]:
    """For each problem, the tally over its variants, each under another reading in turn; None is its own numbers."""
    seeds = tuple(seeds)
    tallies = {}
    for problem in problems:
        tallies[problem.name] = Tally()
        for seed in seeds:
            tallies[problem.name].add(_run_variant(problem, seed))
    return tallies


def run_in_parallel(seeds: Iterable[int | None], problems: Iterable[Problem] = ALL) -> dict[str, Tally]:
    """`run_all` for problems of the course, on all cores."""
    names = [problem.name for problem in problems]
    jobs = [(name, seed) for seed in seeds for name in names]
    tallies = {name: Tally() for name in names}
    # A problem holds functions, which cannot be sent to another process. Its name can.
    from concurrent.futures import ProcessPoolExecutor  # a browser has no processes, and runs all the rest

    with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        for (name, _), tally in zip(jobs, pool.map(_run_job, jobs, chunksize=len(names)), strict=True):
            tallies[name].add(tally)
    return tallies


def _run_job(job: tuple[str, int | None]) -> Tally:
    name, seed = job
    return _run_variant(TASKS[name], seed)


def _run_variant(problem: Problem, seed: int | None) -> Tally:
    """A variant under one of its readings, or the problem itself under each."""
    if seed is not None:
        return run(problem.variant(seed), seed % len(problem.readings), f" (seed {seed})")
    tally = Tally()
    for reading in range(len(problem.readings)):
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
    return f"{1000 * part // whole / 10:.1f}\u00a0%"


def main() -> int:
    """Print the table and what failed; 0 if the grader is good enough."""
    parser = argparse.ArgumentParser(prog="python -m bn_exercises.accuracy", description=main.__doc__)
    parser.add_argument("problems", nargs="*", metavar="PROBLEM", help=f"by default all: {', '.join(TASKS)}")
    parser.add_argument("--seeds", type=int, default=SEEDS, help="how many variants of each problem")
    options = parser.parse_args()
    if unknown := [name for name in options.problems if name not in TASKS]:
        parser.error(f"there is no problem {unknown[0]!r}; expected one of {', '.join(TASKS)}")
    tallies = run_in_parallel((None, *range(options.seeds)), [TASKS[name] for name in options.problems or TASKS])
    print(table(tallies))
    for tally in tallies.values():
        for failure in tally.failures[:20]:
            print(failure)
    return 0 if all(tally.holds for tally in tallies.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
