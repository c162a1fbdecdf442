"""Other numbers of the same form: round, told apart from every mistake, and the same wherever they are drawn."""

import hashlib
from collections.abc import Iterable
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest

from bn_exercises import misconceptions as wrong
from bn_exercises.functions.break_it import problem as break_it
from bn_exercises.functions.break_it import suspects
from bn_exercises.functions.break_it.suspects import GALLERY
from bn_exercises.functions.implementations import MISTAKES
from bn_exercises.misconceptions import Misconception
from bn_exercises.notebook import my_problem
from bn_exercises.numbers import editions
from bn_exercises.numbers import problem as number_problem
from bn_exercises.numbers.calculation import Part
from bn_exercises.numbers.problem import NumberProblem, is_told_apart
from bn_exercises.problem import EDITIONS, Problem, seed_for
from bn_exercises.problems import (
    ANOTHER_NORMALIZER,
    BACKPROPAGATION,
    BASIC_CALCULATION,
    BATCH_SIZE,
    BREAK_IT,
    CONDITIONAL,
    IMPLEMENT,
    NUMERIC,
    TASKS,
)
from bn_exercises.typography import as_in_a_book

SEEDS = range(200)
each_problem = pytest.mark.parametrize("problem", NUMERIC, ids=lambda problem: problem.name)


@cache
def variants(name: str) -> tuple[Any, ...]:
    return tuple(TASKS[name].variant(seed) for seed in SEEDS)


def is_whole(value: Any) -> bool:
    return bool(np.all(np.abs(value - np.round(value)) < 1e-9))


def root_comes_out(var: Any, eps: float) -> bool:
    """Whether the root of the variance plus eps is a whole number or a half."""
    return is_whole(2 * np.sqrt(var + eps))


@each_problem
def test_a_seed_always_gives_the_same_numbers(problem: NumberProblem) -> None:
    for seed in range(5):
        assert problem.variant(seed).given == problem.variant(seed).given


def test_numbers_of_a_seed_do_not_change_from_release_to_release() -> None:
    # A student's notebook and the grader may have different versions of Python and NumPy.
    assert BASIC_CALCULATION.variant(1).given == {
        "x": ((11, 3, 12), (9, 5, 8), (13, 5, 10), (11, 7, 10)),
        "eps": 0.25,
        "gamma": 3.0,
        "beta": -1.0,
    }
    assert CONDITIONAL.variant(1).given == {"x": ((11, 8, 12), (8, 9, 6)), "gamma": (2.0, 3.0), "beta": (1.0, 5.0)}
    assert BATCH_SIZE.variant(1).given == {"x": (8, 14, 11, 4, 1, 4), "eps": 0.25}
    assert BACKPROPAGATION.variant(1).given == {"x": (7, 4, 7), "dx_hat": (-0.1, -0.3, 0.6), "eps": 0.25}


# What students have who began. Never to be edited: a change here is a change of their notebooks in mid-course.
PINNED: dict[str, dict[int, dict[str, Any]]] = {
    "basic-calculation": {
        0: {"x": ((8, 4, 8), (8, 4, 12), (12, 8, 12), (4, 4, 16)), "eps": 1.0, "gamma": 4.0, "beta": -2.0},
        7: {"x": ((12, 10, 6), (12, 8, 8), (10, 10, 6), (14, 12, 12)), "eps": 0.25, "gamma": 4.0, "beta": 5.0},
    },
    "backpropagation": {
        0: {"x": (10, 4, 7), "dx_hat": (-0.1, 0.0, 0.5), "eps": 0.25},
        7: {"x": (1, 4, 7), "dx_hat": (-0.3, -0.2, 0.9), "eps": 0.25},
    },
    "batch-size": {0: {"x": (4, 4, 7, 10, 10, 7), "eps": 0.25}, 7: {"x": (5, 2, 8, 14, 11, 14), "eps": 0.25}},
    "conditional": {
        0: {"x": ((7, 9, 9), (7, 13, 9)), "gamma": (2.0, 4.0), "beta": (-2.0, 1.0)},
        7: {"x": ((10, 11, 8), (7, 10, 11)), "gamma": (3.0, 2.0), "beta": (-2.0, 1.0)},
    },
    "adaptive": {
        0: {"x": (5, 8, 8), "eps": 0.25},
        1: {"x": (5, 8, 5), "eps": 0.25},
        7: {"x": (3, 6, 6), "eps": 0.25},
    },
    "implement": {0: {"probes": 0}, 7: {"probes": 7}},
    "another-normalizer": {0: {"probes": 0}, 7: {"probes": 7}},
    "break-it": {
        0: {
            "suspects": (
                ("A", "forward", 0),
                ("B", "forward", 11),
                ("C", "update_running", 16),
                ("D", "backward", 2),
                ("E", "inference", 3),
            )
        },
        1: {
            "suspects": (
                ("A", "forward", 23),
                ("B", "inference", 12),
                ("C", "backward", 28),
                ("D", "update_running", 1),
                ("E", "forward", 12),
            )
        },
        7: {
            "suspects": (
                ("A", "update_running", 4),
                ("B", "backward", 13),
                ("C", "forward", 4),
                ("D", "inference", 2),
                ("E", "forward", 16),
            )
        },
    },
}
# The book's own, and those of the seeds 0 to 199.
FINGERPRINTS = {
    "basic-calculation": ("bdb9939f4cc282a5", "4683c69f9ac16f2d"),
    "backpropagation": ("bb44cc049f2136cf", "1369af370eb7b6b8"),
    "batch-size": ("81672cd2410c56c2", "c101402c914f5985"),
    "conditional": ("635bdd75439933f5", "7d00fffbf668de31"),
    "adaptive": ("cc7c3349fc9632c1", "40b59e7184e02146"),
    "implement": ("0074d8b0037cad4e", "fc5666a615e35c68"),
    # The same words and seeds as for `implement`; what is drawn with them is another thing.
    "another-normalizer": ("0074d8b0037cad4e", "fc5666a615e35c68"),
    "break-it": ("85d2b79d6823f10c", "8871391922c56678"),
}
# By name, as a number says nothing of what it stands for.
ACCUSED = {
    0: ("ddof=1", "over everything", "old value dropped", "no path through the variance", "ε added twice"),
    1: (
        "float32 where float64 was given",
        "β left out",
        "given statistics ignored",
        "last batch instead of running average",
        "wrong channel axis",
    ),
    2: (
        "variance for standard deviation",
        "each position by itself",
        "ddof=1",
        "wrong channel axis",
        "not divided",
    ),
    12345: (
        "ε added twice",
        "images reshaped, channels not moved",
        "γ and β swapped",
        "each position by itself",
        "variance for standard deviation",
    ),
}


@pytest.mark.parametrize(("name", "seed"), [(name, seed) for name, seeds in PINNED.items() for seed in seeds])
def test_what_students_have_who_began_does_not_change(name: str, seed: int) -> None:
    assert set(PINNED) == set(TASKS)
    assert TASKS[name].variant(seed).given == PINNED[name][seed]


def digest(of: Iterable[Any]) -> str:
    return hashlib.sha256("".join(map(str, of)).encode()).hexdigest()[:16]


def of_all_seeds(problem: Problem) -> str:
    return digest(problem.variant(seed).fingerprint for seed in SEEDS)


@pytest.mark.parametrize("name", FINGERPRINTS)
def test_nobody_s_numbers_change(name: str) -> None:
    assert set(FINGERPRINTS) == set(TASKS)
    assert (TASKS[name].fingerprint, digest(each.fingerprint for each in variants(name))) == FINGERPRINTS[name]


def test_nobody_is_given_other_suspects_under_the_same_numbers() -> None:
    accused = [tuple(each.mistake.name for each in variant.drawn) for variant in variants(BREAK_IT.name)]
    assert digest(accused) == "ae7fc084e3bb5d09"


# What becomes known later


def near(part: Part) -> Misconception:
    """A mistake that comes near what is right, whatever the numbers are."""
    return Misconception("known later", "...", lambda *a: part.solve(*a) * 1.0001, wrong.ALGORITHM)


@each_problem
def test_a_mistake_that_becomes_known_changes_no_variant(
    problem: NumberProblem, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = tuple(replace(part, mistakes=(near(part), *part.mistakes, near(part))) for part in problem.parts)
    assert of_all_seeds(replace(problem, parts=parts)) == FINGERPRINTS[problem.name][1]
    # In a problem that no edition knows, all mistakes count.
    monkeypatch.setattr(number_problem, "MOST_DRAWS", 5)
    with pytest.raises(RuntimeError, match="no numbers that tell the mistakes apart"):
        replace(problem, parts=parts, name="new").variant(0)


@each_problem
def test_a_mistake_that_is_no_longer_there_is_noticed(problem: NumberProblem) -> None:
    first, *others = problem.parts
    shorter = replace(problem, parts=(replace(first, mistakes=first.mistakes[1:]), *others))
    with pytest.raises(LookupError, match=f"not there: {first.mistakes[0].name}"):
        shorter.variant(0)


def test_a_suspect_that_becomes_known_changes_no_variant(monkeypatch: pytest.MonkeyPatch) -> None:
    longer = {name: (*each, MISTAKES[name][-1]) for name, each in GALLERY.items()}
    monkeypatch.setattr(suspects, "GALLERY", longer)
    monkeypatch.setattr(break_it, "GALLERY", longer)
    assert of_all_seeds(BREAK_IT) == FINGERPRINTS["break-it"][1]
    # Those of a second edition are drawn, too, and the first stays what it was.
    later = {name: len(each) for name, each in longer.items()}
    monkeypatch.setattr(break_it, "EDITIONS", (*break_it.EDITIONS, later))
    drawn = [each for seed in SEEDS for each in BREAK_IT.variant(seed, 2).drawn]
    assert {each.function for each in drawn if each.mistake is longer[each.function][-1]} == set(longer)
    assert of_all_seeds(BREAK_IT) == FINGERPRINTS["break-it"][1]
    # A suspect is the same in both.
    names = {(each.function, each.number): each.mistake for seed in SEEDS for each in BREAK_IT.variant(seed).drawn}
    assert all(names.get((each.function, each.number), each.mistake) is each.mistake for each in drawn)


def test_every_list_has_all_editions() -> None:
    assert len(editions.EDITIONS) == len(break_it.EDITIONS) == EDITIONS
    assert set(editions.EDITIONS[-1]) == {problem.name for problem in NUMERIC}
    assert all(
        set(problem.points) == set(edition[problem.name])
        for edition in editions.EDITIONS
        for problem in NUMERIC
        if problem.name in edition
    )


def test_an_edition_that_is_not_there_is_refused() -> None:
    for edition in (0, EDITIONS + 1):
        with pytest.raises(ValueError, match=rf"no edition {edition} of the numbers; expected 1 to {EDITIONS}"):
            my_problem("break-it", "key", "ada", edition)


@pytest.mark.parametrize("seed", ACCUSED)
def test_a_new_mistake_accuses_nobody_else(seed: int) -> None:
    assert tuple(suspect.mistake.name for suspect in BREAK_IT.variant(seed).drawn) == ACCUSED[seed]
    # Those that became known later are suspects of nobody.
    assert all(len(GALLERY[function]) < len(MISTAKES[function]) for function in GALLERY)


def test_the_inputs_of_implement_do_not_change() -> None:
    # New ones are drawn after these.
    probes = {(p.part, p.name): p for p in IMPLEMENT.variant(7).probes}
    first, last = probes["forward", "ordinary"].x, probes["images", "inference rows"].x
    np.testing.assert_allclose(first[0], [2.97544974, 4.09052059, 1.68133407, 1.0867538], rtol=1e-8)
    np.testing.assert_allclose(last[0], [0.55089701, 2.86583166, 3.16150882], rtol=1e-8)


def test_the_inputs_of_another_normalizer_do_not_change() -> None:
    probes = {(p.part, p.name): p for p in ANOTHER_NORMALIZER.variant(7).probes}
    first, last = probes["layer_norm", "ordinary"].x, probes["images", "rms_norm_backward rows"].x
    np.testing.assert_allclose(
        first[0], [3.315693752, 3.880087953, 0.186650601, 1.266505177, 1.321478318, 2.247137426], rtol=1e-8
    )
    np.testing.assert_allclose(last[3, :3], [0.831651009, 1.350511963, 1.004186162], rtol=1e-8)


@each_problem
def test_seeds_give_different_numbers(problem: NumberProblem) -> None:
    numbers = {repr(variant.given) for variant in variants(problem.name)}
    assert len(numbers) > 0.9 * len(SEEDS)
    assert repr(problem.given) not in numbers


@each_problem
def test_same_form_and_points(problem: NumberProblem) -> None:
    for variant in variants(problem.name):
        assert variant.points == problem.points
        assert set(variant.given) == set(problem.given)
        for name, value in problem.reference().items():
            assert variant.reference()[name].shape == value.shape


@each_problem
def test_no_mistake_comes_near_the_right_answer(problem: NumberProblem) -> None:
    for variant in variants(problem.name):
        assert is_told_apart(variant.of_edition(1))


def test_a_problem_whose_mistakes_hide_is_noticed() -> None:
    # With γ = 1 nobody can see whether it was left out. Canonical class 0 has that.
    assert not is_told_apart(CONDITIONAL)


def test_basic_calculation_can_be_done_by_hand() -> None:
    for variant in variants(BASIC_CALCULATION.name):
        given = variant.given
        x = np.array(given["x"])
        assert is_whole(x)
        assert x.min() >= -2
        assert x.max() <= 20
        assert is_whole(x.mean(axis=0))
        assert is_whole(2 * x.var(axis=0))
        assert root_comes_out(x.var(axis=0), given["eps"])


def test_backpropagation_can_be_done_by_hand() -> None:
    for problem in variants(BACKPROPAGATION.name):
        x, d = np.array(problem.given["x"]), np.array(problem.given["dx_hat"])
        assert is_whole(x)
        assert is_whole(x.mean())
        assert is_whole(x.var())
        assert root_comes_out(x.var(), problem.given["eps"])
        assert is_whole(10 * d)
        # The three terms do not cancel so far that three digits are too few.
        straight = np.abs(d).max() / np.sqrt(x.var() + problem.given["eps"])
        assert np.abs(problem.reference()["dx"]).max() > 0.2 * straight


def test_batch_size_can_be_done_by_hand() -> None:
    for variant in variants(BATCH_SIZE.name):
        given = variant.given
        x = np.array(given["x"])
        for batch in (x, x[:3], x[3:]):
            assert is_whole(batch)
            assert is_whole(batch.mean())
            assert is_whole(batch.var())
            assert root_comes_out(batch.var(), given["eps"])


def test_conditional_can_be_done_by_hand() -> None:
    for variant in variants(CONDITIONAL.name):
        given = variant.given
        x = np.array(given["x"])
        assert is_whole(x)
        # Of the whole batch; that of three whole numbers is never a square.
        assert is_whole(2 * x.mean())
        assert root_comes_out(x.var(), 0)
        assert (x.var(axis=1) > 0).all()


def test_draws_that_never_tell_the_mistakes_apart_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(number_problem, "MOST_DRAWS", 5)
    hopeless = replace(BASIC_CALCULATION, draw=lambda _: BASIC_CALCULATION.given | {"gamma": 1.0, "beta": 0.0})
    with pytest.raises(RuntimeError, match="basic-calculation: 5 draws"):
        hopeless.variant(0)


# A student's own seed


def test_seed_is_the_same_everywhere() -> None:
    # The first 16 digits of: printf '17:basic-calculation:ada' | openssl dgst -sha256 -hmac key
    expected = 0x5080E66064CF53E0
    assert seed_for("ada", "key", "basic-calculation") == seed_for("ada", b"key", "basic-calculation") == expected


def test_seed_depends_on_student_key_and_problem() -> None:
    seeds = {
        seed_for(student, key, problem)
        for student in ("ada", "emmy", "Ada", "")
        for key in ("key", "key2")
        for problem in (*(each.name for each in NUMERIC), "a", "ab")
    }
    assert len(seeds) == 4 * 2 * (len(NUMERIC) + 2)
    assert seed_for("b:c", "key", "a") != seed_for("c", "key", "a:b")


def test_an_empty_key_is_refused() -> None:
    with pytest.raises(ValueError, match="course key is empty"):
        seed_for("ada", "", "basic-calculation")


@each_problem
def test_what_is_said_of_its_numbers_is_set_as_in_a_book(problem: NumberProblem) -> None:
    """Whatever is drawn: a hint says −0.1 and 10⁻⁵."""
    for each in (problem, *(problem.variant(seed) for seed in range(10))):
        said = [hint for part in each.points for hint in each.hints(part)]
        said += [step for _, steps, _ in each.solved() for step in steps]
        said += [choice for reading in each.readings for choice in reading.choices]
        assert [text for text in said if as_in_a_book(text) != text] == []
