"""The grader graded: what `make mutants` prints must hold, and must be able to fail.

The first variants stand on the book's page, "The grader, graded", where tests/site/test_pages.py reads what came of
them. Here are the others.
"""

from dataclasses import replace

import numpy as np
import pytest

from bn_exercises import accuracy, misconceptions
from bn_exercises.functions.problem import FunctionProblem
from bn_exercises.numbers.problem import NumberProblem
from bn_exercises.problem import Problem
from bn_exercises.problems import ALL, BASIC_CALCULATION, BATCH_SIZE, NUMERIC

# Those that the course asks for, by the names they have here. Whether the running variance is biased is a convention.
ASKED_FOR = {
    "ddof=1",
    "ε outside the root",
    "ε missing",
    "ε added twice",
    "variance for standard deviation",
    "not centred",
    "over rows",
    "over everything",
    "layer instead of batch statistics",
    "E[x²] − E[x]²",
    "γ and β swapped",
    "β scaled too",
    "γ and β left out",
    "γ left out",
    "β left out",
    "momentum the other way round",
    "last batch instead of running average",
    "inference with batch statistics",
    "inference that moves the statistics",
    "no path through the mean",
    "no path through the variance",
    "only the direct path",
    "training-mode gradient on frozen statistics",
    "wrong channel axis",
}


def test_every_misconception_that_was_asked_for_is_made_somewhere() -> None:
    made = {name for problem in ALL for _, name, _ in problem.mistaken()}
    assert made >= ASKED_FOR, ASKED_FOR - made
    assert len(ASKED_FOR) == 24


def seeds_of(problem: Problem) -> range:
    """From the first that the book's page does not show."""
    return range(
        accuracy.SEEDS_SHOWN if problem in NUMERIC else accuracy.SEEDS_SHOWN_OF_OTHERS,
        accuracy.SEEDS_OF_TESTS if problem in NUMERIC else accuracy.SEEDS_OF_OTHERS,
    )


@pytest.fixture(scope="module")
def tallies() -> dict[str, accuracy.Tally]:
    """What `make mutants` prints, with fewer variants, and without the problems themselves: these are on the page."""
    return {problem.name: accuracy.run_all(seeds_of(problem), [problem])[problem.name] for problem in ALL}


@pytest.mark.parametrize("problem", ALL, ids=lambda problem: problem.name)
def test_the_grader_is_good_enough(problem: NumberProblem, tallies: dict[str, accuracy.Tally]) -> None:
    tally = tallies[problem.name]
    assert tally.caught == tally.mistakes, tally.failures
    assert tally.once >= accuracy.ONCE_AT_LEAST * tally.mistakes, tally.failures
    assert tally.accepted == tally.right, tally.failures
    assert tally.named >= accuracy.NAMED_AT_LEAST * tally.mistakes, tally.failures
    # Every mistake ran, in several ways, on every seed that it applies to.
    listed = 90
    if isinstance(problem, NumberProblem):
        listed = 2 * sum(len(part.mistakes) for part in problem.parts)
    elif isinstance(problem, FunctionProblem):  # a variant is tried with some of them only
        listed = 220 // problem.every
    seeds = len(seeds_of(problem))
    assert seeds >= 2
    assert tally.mistakes > seeds * listed * 0.9
    assert tally.right > 15 * seeds


def test_in_parallel_and_one_after_another_is_the_same(tallies: dict[str, accuracy.Tally]) -> None:
    assert accuracy.run_in_parallel(seeds_of(BATCH_SIZE), [BATCH_SIZE]) == {BATCH_SIZE.name: tallies[BATCH_SIZE.name]}


def test_a_grader_that_is_not_is_noticed() -> None:
    # A part that knows no mistakes: without ε is then a right answer, as rounding.
    parts = tuple(replace(part, mistakes=()) for part in BASIC_CALCULATION.parts)
    lenient = replace(BASIC_CALCULATION, parts=parts)
    answers = BASIC_CALCULATION.reference()
    answers = answers | {"x_hat": misconceptions.NO_EPS.compute(np.array(lenient.given["x"]), 0.01)}
    assert accuracy.verify(lenient, answers).right
    assert not accuracy.verify(BASIC_CALCULATION, answers).right
    missed = accuracy.Tally(mistakes=10, caught=9, once=10, named=9, right=1, accepted=1)
    refused = accuracy.Tally(mistakes=10, caught=10, once=10, named=10, right=10, accepted=9)
    unnamed = accuracy.Tally(mistakes=100, caught=100, once=100, named=94, right=1, accepted=1)
    twice = accuracy.Tally(mistakes=100, caught=100, once=99, named=100, right=1, accepted=1)
    assert not any(tally.holds for tally in (missed, refused, unnamed, twice))
    assert accuracy.Tally(mistakes=100, caught=100, once=100, named=95, right=1, accepted=1).holds


def test_table() -> None:
    tallies = {"one": accuracy.Tally(1000, 999, 1000, 998, 3, 2, 2)}
    table = accuracy.table(tallies).replace("\u00a0", " ").splitlines()
    assert table[2] == "| one | 1,000 | 99.9 % | 100.0 % | 99.8 % | 0.3 % | 2 | 100.0 % |"
    assert table[3].startswith("| all | 1,000 | 99.9 %")
    assert {line.count("|") for line in table} == {9}
    narrow = accuracy.table(tallies, accuracy.RIGHT_ANSWERS).replace("\u00a0", " ").splitlines()
    assert narrow == [
        "| problem | right answers | accepted |",
        "|:--|--:|--:|",
        *[f"| {n} | 2 | 100.0 % |" for n in ("one", "all")],
    ]
