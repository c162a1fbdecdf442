"""Problem 5: what a design must have is found by its properties alone, and every failure is named and placed."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bn_exercises import accuracy, problems
from bn_exercises.answers import ANSWERS, Unusable, from_plain, plain
from bn_exercises.check import Session, solution
from bn_exercises.course.sources import to_notebook
from bn_exercises.formulas import design as of
from bn_exercises.formulas.design import Mistake
from bn_exercises.formulas.examples import FAILING, GOOD, STEEP, SUCCEEDING, WORKED
from bn_exercises.formulas.formula import MOST_NODES, MOST_WORK, Formula, parse
from bn_exercises.formulas.problem import ASKED, AT_EACH_VALUE, MOST_PARAMETERS, OUTPUT_MISTAKES
from bn_exercises.formulas.smoothness import Break, breaks
from bn_exercises.problem import seed_for, verify
from bn_exercises.problems import ADAPTIVE
from bn_exercises.verdict import Finding, Verdict

ROOT = Path(__file__).parents[2]
PARAMETERS = {"a": 0.5, "b": 0.5}
PLAIN = {"a": 0, "b": 0}
RIGHT = ADAPTIVE.answers(**WORKED)
PROPERTIES = [part for part in ADAPTIVE.points if part != "example"]


def judge(**answers: Any) -> Verdict:
    """The verdict on a good design with these changes."""
    return verify(ADAPTIVE, ADAPTIVE.observe(RIGHT | answers))


def found(part: str, gamma: str = "1 + a", beta: str = "b", **answers: Any) -> Finding:
    return judge(gamma=gamma, beta=beta, **answers).of(part)


def notes(**answers: Any) -> str:
    return " ".join(finding.sentence for finding in judge(**answers).findings if finding.kind == "note")


# The problem


def test_points_and_names() -> None:
    assert ADAPTIVE.points == {"finite": 2, "adapts": 1, "smooth": 2, "stable": 2, "special_case": 1, "example": 2}
    assert sum(ADAPTIVE.points.values()) == 10
    # A verdict shows the parts that were answered, if an answer has the name of a part.
    assert not set(ADAPTIVE.points) & set(ASKED)
    assert ADAPTIVE.given == {"x": (1, 2, 3), "eps": 0.01}


@pytest.mark.parametrize("seed", [*range(20), -1, seed_for("ada", "key", "adaptive")])
def test_variants_can_be_done_by_hand(seed: int) -> None:
    variant = ADAPTIVE.variant(seed)
    assert variant == ADAPTIVE.variant(seed)
    assert variant.given != ADAPTIVE.given
    x, eps = np.array(variant.given["x"]), variant.given["eps"]
    assert np.issubdtype(x.dtype, np.integer)
    assert x.mean() == int(x.mean())
    assert 2 * np.sqrt(x.var() + eps) == int(2 * np.sqrt(x.var() + eps))


def test_variants_differ() -> None:
    assert len({ADAPTIVE.variant(seed).given["x"] for seed in range(40)}) > 20


# The grader, graded


# The book's page and test_accuracy.py take other variants, and allow a mistake in twenty to have another's name.
@pytest.mark.parametrize("seed", [None, 7, 8])
def test_every_failing_design_is_caught_placed_and_named_and_every_good_one_accepted(seed: int | None) -> None:
    tally = accuracy.run(ADAPTIVE if seed is None else ADAPTIVE.variant(seed))
    assert tally.failures == []
    assert tally.caught == tally.once == tally.named == tally.mistakes
    assert tally.accepted == tally.right
    assert tally.mistakes == len(FAILING) + 2 * len(OUTPUT_MISTAKES)
    assert tally.ties <= 10


def test_there_are_enough_of_both() -> None:
    assert len(FAILING) >= 25
    assert len(SUCCEEDING) >= 15
    assert {part for part, *_ in FAILING} == set(PROPERTIES)
    named = {name for _, name, _ in FAILING}
    # With a positive mean, as the batches have, what is undefined there has no output either.
    without_output = {each.name for each in (of.NOT_FOR_POSITIVE, of.DIVIDES_BY_ZERO, of.TOO_LARGE)}
    assert named | without_output == {each.name for each in vars(of).values() if isinstance(each, Mistake)}


def test_mistaken_outputs_are_wrong_on_the_batch_they_are_for() -> None:
    for _, name, answers in ADAPTIVE.mistaken():
        if name == AT_EACH_VALUE.name:
            x, eps = np.array([1.0, 2, 3]), 0.01
            gamma, beta = 1 + 0.5 * x, 0.5 * x
            right = gamma * (x - 2) / np.sqrt(2 / 3 + eps) + beta
            np.testing.assert_allclose(answers["y"], right, rtol=1e-3)


# Where a function breaks


def breaks_of(text: str) -> list[Break]:
    formula = parse(text, ["mu"])

    def at(mu: Any) -> Any:
        return np.broadcast_to(formula(mu=mu), np.shape(mu))

    return breaks(at, lambda mu: formula.suspects(mu=mu))


@pytest.mark.parametrize(
    ("text", "kind", "places"),
    [
        ("abs(mu)", "kink", [0]),
        ("relu(mu - 0.3)", "kink", [0.3]),
        ("relu(mu - 1/3)", "kink", [1 / 3]),
        ("clip(mu, -1, 1)", "kink", [-1, 1]),
        ("max(mu, -mu, 0.5)", "kink", [-0.5, 0.5]),
        ("min(mu, mu**2)", "kink", [0, 1]),
        ("sqrt(mu**2)", "kink", [0]),
        ("sqrt((mu - 1/3)**2)", "kink", [1 / 3]),
        ("sqrt(mu**2 - 2*mu/3 + 1/9)", "kink", [1 / 3]),
        ("sqrt(mu**2 + 1e-20)", "kink", [0]),
        ("sqrt(abs(mu))", "kink", [0]),
        ("sqrt(relu(mu))", "kink", [0]),
        ("abs(mu**3 - 1)", "kink", [1]),
        ("abs(exp(mu) - 2)", "kink", [np.log(2)]),
        ("abs(mu - 1) + abs(mu - 1.01)", "kink", [1, 1.01]),
        ("sign(mu) * abs(mu)**(1/3)", "kink", [0]),
        ("mu * log(abs(mu) + 1e-300)", "kink", [0]),
        ("abs(mu - 100) + abs(mu + 70000)", "kink", [100, -70000]),
        ("1 + 1e-3 * abs(mu) + mu**2", "kink", [0]),
        ("1e6 * abs(mu) + 1e9", "kink", [0]),
        ("1 + 2e-6 * abs(mu - 3.3) + tanh(mu)", "kink", [3.3]),
        ("1 + 2e-6 * sign(mu - 1/3)", "jump", [1 / 3]),
        ("1e-3 * abs(mu - 90000)", "kink", [90000]),
        ("abs(mu / 3 - 20000/7)", "kink", [60000 / 7]),
        ("arctan(1000 * relu(mu))", "kink", [0]),
        ("sign(mu - 2)", "jump", [2]),
        ("sign(mu)**2", "jump", [0]),
        ("tanh(1 / mu)", "jump", [0]),
        ("1e-3 * sign(mu) + mu", "jump", [0]),
        ("1 / (mu**2 - 2)", "pole", [-np.sqrt(2), np.sqrt(2)]),
        ("1 / mu", "undefined", [0]),
        ("log(1 + mu)", "undefined", [-1]),
        ("sqrt(1 - mu**2)", "undefined", [-1, 1]),
    ],
)
def test_breaks_are_found_and_placed(text: str, kind: str, places: list[float]) -> None:
    broken = breaks_of(text)
    assert [each.kind for each in broken] == [kind] * len(places)
    np.testing.assert_allclose(sorted(each.at for each in broken), sorted(places), rtol=1e-7, atol=1e-7)
    assert [abs(each.at) for each in broken] == sorted(abs(each.at) for each in broken)


@pytest.mark.parametrize(
    "text",
    [
        "3",
        "tanh(20 * mu)",
        "tanh(1e6 * mu)",
        "exp(-100 * mu**2)",
        "sqrt(mu**2 + 1e-3)",
        "sqrt(mu**2 + 1e-12)",
        "mu / (1 + abs(mu))",
        "mu * abs(mu)",
        "abs(mu)**3",
        "abs(mu)**1.5",
        "abs(mu)**1.1",
        "relu(mu)**2",
        "tanh(100 * relu(mu)**2)",
        "exp(-1 / mu**2)",
        "1 / (1 + exp(-mu))",
        "log(1 + exp(-mu**2))",
        "sqrt(2 + cos(mu))",
        "max(mu**2, -1)",
        "abs(mu**2 + 1)",
        "sqrt(abs(mu) - abs(mu))",
        "abs(cos(mu))**2",
        "relu(sin(mu))**2",
        "abs(sin(mu))**3",
        "sin(mu) * abs(sin(mu))",
        "abs(sin(10 * mu))**2",
        "abs(sin(50 * mu))**2",
        "relu(cos(7 * mu + 1))**2",
    ],
)
def test_what_is_smooth_passes_however_sharp(text: str) -> None:
    assert breaks_of(text) == []


@given(st.floats(-9, 9), st.floats(0.01, 5), st.floats(0.1, 20), st.floats(-3, 3))
def test_any_kink_is_found_where_it_is(c: float, a: float, k: float, b: float) -> None:
    (broken,) = breaks_of(f"{a!r} * abs(mu - {c!r}) + {b!r} * tanh({k!r} * mu)".replace("- -", "+ "))
    assert broken.kind == "kink"
    assert broken.at == pytest.approx(c, abs=1e-9)


@given(st.floats(-9, 9), st.floats(1e-5, 5), st.floats(0.1, 5))
def test_any_smooth_corner_passes(c: float, w: float, a: float) -> None:
    assert breaks_of(f"{a!r} * sqrt((mu - {c!r})**2 + {w!r}**2)".replace("- -", "+ ")) == []


def test_countless_breaks_take_no_longer() -> None:
    broken = breaks_of("abs(sin(1000 * mu)) + tan(mu)")
    assert 100 < len(broken) <= 500


# What is said of each property


@pytest.mark.parametrize(
    ("part", "formulas", "says"),
    [
        ("finite", {"gamma": "1 + a / mu"}, "γ is not finite for means near 0."),
        ("finite", {"beta": "b * sin(mu) / mu"}, "β is not finite for means near 0."),
        ("finite", {"gamma": "sqrt(mu)"}, "γ is not defined for negative means."),
        ("finite", {"gamma": "log(-mu)"}, "γ is not defined for positive means."),
        ("finite", {"gamma": "log(mu + 1)"}, "γ is not defined for some means, for example at mu = −1."),
        ("finite", {"gamma": "sqrt(-1)"}, "γ is not defined for any mean. A root"),
        ("finite", {"gamma": "0/0"}, "or 0 is divided by 0"),
        ("finite", {"gamma": "1/0"}, "γ is not finite for any mean. Something is divided by 0"),
        ("finite", {"gamma": "1 + a*mu/0"}, "γ is not finite for any mean. Something is divided by 0"),
        ("finite", {"gamma": "1 + relu(mu)/0"}, "γ is not finite for any mean. Something is divided by 0"),
        ("finite", {"gamma": "9**9**9**9"}, "γ is too large for a number, whatever the mean is. A float64 holds"),
        ("finite", {"gamma": "10**400 * mu"}, "γ is too large for a number"),
        ("finite", {"gamma": "1 / relu(mu)"}, "γ is not finite for negative means. Something is divided by"),
        ("finite", {"gamma": "exp(1e5 * mu)"}, "γ is not finite for large means, from about 0.0071 on."),
        ("finite", {"gamma": "1 / (mu**2 + 1 - var)"}, "γ is not finite for means near 0."),
        (
            "finite",
            {"gamma": "sqrt(mu**2 + 2 - var)"},
            "γ is not defined for some means of batches with the variance 4. A root",
        ),
        (
            "finite",
            {"gamma": "1 / (mu**2 + 3 - var)"},
            "γ has a pole at mu = −1, and elsewhere for batches with the variance 4.",
        ),
        # The largest float64 is the exponential of 709.78.
        ("finite", {"gamma": "exp(mu)"}, "γ is not finite for large means, from about 710 on."),
        ("finite", {"beta": "exp(mu) / (1 + exp(mu))"}, "β is not finite for large means, from about 710 on."),
        ("finite", {"beta": "exp(exp(-mu))"}, "β is not finite for large means, from about −6.56 on."),
        ("finite", {"gamma": "1 / (mu - 3)"}, "γ has a pole at mu = 3."),
        ("finite", {"gamma": "1 / (mu**2 - 2)"}, "γ has a pole at mu = 1.41, and elsewhere."),
        ("finite", {"gamma": "1 / (mu - 50.05)"}, "γ has a pole at mu = 50"),
        ("finite", {"gamma": "log(abs(3 * mu - 1))"}, "γ has a pole at mu = 0.333."),
        ("finite", {"gamma": "exp(var)"}, "γ is not finite for some large variances."),
        ("adapts", {"gamma": "1 + a", "beta": "b"}, "The mean stands in neither formula."),
        (
            "adapts",
            {"gamma": "mu - mu", "beta": "0"},
            "With these parameters neither γ nor β changes with the mean by more than 0.001%",
        ),
        ("smooth", {"gamma": "abs(mu)"}, "γ has a kink at mu = 0."),
        ("smooth", {"gamma": "relu(mu - 0.3)"}, "γ has a kink at mu = 0.3."),
        ("smooth", {"beta": "clip(mu, -1, 2)"}, "β has a kink at mu = −1, and elsewhere."),
        ("smooth", {"beta": "sign(mu)"}, "β jumps at mu = 0."),
        ("smooth", {"beta": "abs(mu)*(var - 1)"}, "β has a kink at mu = 0 for batches with the variance 0.25."),
        ("smooth", {"beta": "sign(mu)*(sigma - 1)"}, "β jumps at mu = 0 for batches with the variance 0.25."),
        ("smooth", {"beta": "abs(mu - var)"}, "β has a kink at mu = 1."),
        ("smooth", {"beta": "abs(sin(mu))"}, "β has a kink at mu = 0, and elsewhere."),
        ("stable", {"gamma": "mu / sqrt(var)"}, "γ grows without bound as the variance of the batch vanishes."),
        ("stable", {"beta": "mu / (var + 1e-20)"}, "β grows without bound as the variance of the batch vanishes."),
        ("stable", {"beta": "tanh(mu / sigma)"}, "β is not finite for a batch of equal values."),
        ("stable", {"beta": "log(var)"}, "β is not finite for a batch of equal values."),
        ("stable", {"beta": "sqrt(var - 1e-9)"}, "β is not defined for some small variances."),
        ("stable", {"beta": "log(var + 1e-300)"}, "β keeps growing as the variance of the batch vanishes."),
        ("special_case", {"gamma": "2 + tanh(mu)", "beta": "0"}, "The formulas have no parameters."),
        ("special_case", {"beta": "mu + b"}, "At the values given for plain BN, β still depends on the mean."),
        ("special_case", {"gamma": "1 + sigma"}, "At the values given for plain BN, γ still depends on the variance."),
        ("special_case", {"gamma": "a * mu"}, "At the values given for plain BN, γ is 0."),
        ("special_case", {"gamma": "mu / a"}, "At the values given for plain BN, γ is not finite."),
    ],
)
def test_what_is_wrong_is_said_and_placed(part: str, formulas: dict[str, str], says: str) -> None:
    finding = judge(**formulas).of(part)
    assert finding.kind == "misconception"
    assert finding.points == 0
    assert says in finding.sentence
    assert finding.misconceptions
    assert finding.see


def test_both_formulas_are_spoken_of_and_advice_comes_once() -> None:
    finding = found("smooth", "abs(mu)", "relu(mu) + sign(mu - 1)")
    assert finding.misconceptions == ("kink", "jump")
    for says in ("γ has a kink at mu = 0.", "β has a kink at mu = 0.", "β jumps at mu = 1.", of.JUMP.says):
        assert says in finding.sentence
    assert finding.sentence.count(of.KINK.says) == 1


def test_one_mistake_costs_one_part() -> None:
    # A pole is neither smooth nor stable nor plain, and is counted as a pole only.
    verdict = judge(gamma="1 + a / mu", y=ADAPTIVE.output({**WORKED, "gamma": "1 + a / mu"}))
    assert {f.part for f in verdict.findings if f.points < f.max_points} == {"finite"}
    assert verdict.score == 8


def test_what_is_right_says_what_changes() -> None:
    assert found("adapts", "1 + a * tanh(mu)", "b").sentence == "γ changes with the mean."
    assert found("adapts", "1 + a", "b * mu").sentence == "β changes with the mean."
    assert found("adapts", "1 + a * mu", "b * mu").sentence == "γ and β change with the mean."
    # Beside β at a million, all that γ does is small.
    assert found("adapts", "1 + a * tanh(mu)", "b * mu").sentence == "γ and β change with the mean."


@pytest.mark.parametrize(
    "gamma",
    [
        "1 + a*tanh(mu)*(var - 1)",
        "1 + a*mu*log(var)",
        "1 + a*tanh(mu)*(sigma - 1)",
        "1 + a*tanh(mu - 128)",
        "1 + a*tanh((mu + 50)/5)",
        "1 + a*exp(-(mu - 50)**2/50)",
        "1 + a*exp(-4*(mu + 333.1)**2)",
    ],
)
def test_a_change_is_found_at_any_variance_and_far_from_zero(gamma: str) -> None:
    assert found("adapts", gamma, "b").sentence == "γ changes with the mean."


@pytest.mark.parametrize("eps", ["eps", "1e-12", "1e-5"])
def test_a_constant_in_the_root_makes_it_stable(eps: str) -> None:
    assert found("stable", f"1 + a * mu / sqrt(var + {eps})").kind == "right"


def test_plain_may_be_given_in_part_or_not_be_needed() -> None:
    assert found("special_case", "1 + a * mu", "0", plain={"a": 0}).kind == "right"
    # Nothing adapts, so the layer is plain as it is.
    assert found("special_case", "1 + a", "b", plain=None).kind == "right"
    # There is a way, and it was not said which.
    missing = found("special_case", "1 + a * mu", "b", plain=None)
    assert (missing.kind, missing.points) == ("missing", 0)
    assert found("special_case", "1 + a * mu", "b", plain=[0]).kind == "form"


# What it does to the mean

USUALLY = "For means between −10 and 10"


@pytest.mark.parametrize(
    ("beta", "says"),
    [
        ("b", "It does not depend on μ: the mean that was subtracted stays removed"),
        ("tanh(mu - 128)", f"{USUALLY} it does not depend on μ"),
        ("mu", f"{USUALLY} it changes exactly as μ does: the mean that was subtracted is added again"),
        ("mu + 3", f"{USUALLY} it changes exactly as μ does"),
        ("tanh(mu)", f"{USUALLY} it grows with μ, at most 1 for each 1 of μ: what was subtracted is given back in"),
        (
            "b * mu",
            f"{USUALLY} it grows with μ, at most 0.5 for each 1 of μ: what was subtracted is given back in part",
        ),
        (
            "2 * mu",
            f"{USUALLY} it grows with μ, at most 2 for each 1 of μ: more than what was subtracted is given back",
        ),
        ("2 * tanh(mu)", f"{USUALLY} it grows with μ, at most 2 for each 1 of μ: for some μ less than what was"),
        ("tanh(1000 * (mu - 0.1))", f"{USUALLY} it grows with μ, at most 1e3 for each 1 of μ"),
        ("1e-12 * mu", f"{USUALLY} it grows with μ, at most 1e−12 for each 1 of μ"),
        ("mu * (1 + var)", f"{USUALLY} and the variance 1 it grows with μ, at most 2 for each 1 of μ"),
        ("-mu", f"{USUALLY} it falls as μ grows"),
        ("sin(mu)", f"{USUALLY} it grows for some μ and falls for others"),
    ],
)
def test_what_beta_does_to_the_mean(beta: str, says: str) -> None:
    assert f"The mean of the output is β. {says}" in notes(beta=beta)


@pytest.mark.parametrize(
    ("gamma", "says"),
    [
        ("2", "γ does not depend on μ: these batches are scaled alike"),
        ("1 + mu**2", f"{USUALLY} γ grows with |μ|: batches far from 0"),
        ("1 / (1 + mu**2)", f"{USUALLY} γ falls as |μ| grows: batches far from 0"),
        ("1 + relu(mu)**2", f"{USUALLY} γ grows with μ: batches with a high mean"),
        ("1 + relu(-mu)**2", f"{USUALLY} γ falls as μ grows: batches with a high mean"),
        ("sigmoid(mu)", f"{USUALLY} γ grows with μ"),
        ("exp(-tanh(mu))", f"{USUALLY} γ falls as μ grows"),
        ("2 + sin(mu)", f"{USUALLY} γ grows for some μ and falls for others"),
        (
            "tanh(mu)",
            f"{USUALLY} γ grows with μ: where it is negative, the largest sample of a batch comes out smallest",
        ),
        ("-1 - mu**2", f"{USUALLY} γ falls as |μ| grows: where it is negative"),
        ("tanh(mu)", "γ is 0 for some μ on the way"),
    ],
)
def test_what_gamma_does_to_the_scale(gamma: str, says: str) -> None:
    assert says in notes(gamma=gamma)


def test_a_jump_over_zero_is_no_zero() -> None:
    assert "on the way" not in notes(gamma="0.5 + sign(mu)")


def test_effects_agree_with_batches() -> None:
    # Batches that differ by 1: their outputs differ by the slope of beta.
    x = np.random.default_rng(3).normal(size=8)
    shifted = [replace(ADAPTIVE, given={"x": tuple(x + shift), "eps": 0.01}) for shift in (0, 1, 2)]
    design = {"gamma": "1 + mu**2", "beta": "0.25 * mu"}
    assert "at most 0.25 for each 1" in notes(**design)
    np.testing.assert_allclose(np.diff([problem.output(design).mean() for problem in shifted]), 0.25)


def test_nothing_is_said_of_what_is_not_finite() -> None:
    assert notes(gamma="1 / mu") == ""


# The output


def test_output_agrees_with_the_library() -> None:
    from bn_lib import batch_norm

    x, eps = np.array(ADAPTIVE.given["x"], dtype=float), ADAPTIVE.given["eps"]
    gamma, beta = 1 + 0.5 * 4 / 5, 0.5 * 2 / np.sqrt(5)
    y, _ = batch_norm(x[:, None], np.array([gamma]), np.array([beta]), eps=eps)
    np.testing.assert_allclose(RIGHT["y"], y[:, 0], rtol=1e-12)


def test_three_digits_are_enough() -> None:
    # By hand: 1.4 / 0.8226 = 1.702, 0.4472: -1.2547, 0.4472, 2.1491
    assert judge(y=[-1.25, 0.447, 2.15]).right
    assert judge(y=[-1.25, 0.46, 2.15]).of("example").points == 0


@pytest.mark.parametrize(
    ("y", "kind"),
    [(None, "missing"), ("text", "form"), ([1, 2], "form"), ([1, 2, float("nan")], "form"), ([7, 7, 7], "wrong")],
)
def test_outputs_that_are_not_right(y: Any, kind: str) -> None:
    finding = judge(y=y).of("example")
    assert (finding.kind, finding.points) == (kind, 0)


def test_a_design_that_is_not_finite_here_has_no_output() -> None:
    finding = judge(gamma="1 / (mu - 2)").of("example")
    assert finding.kind == "wrong"
    assert "see (a)" in finding.sentence


# Reading


@pytest.mark.parametrize(
    ("answers", "says"),
    [
        ({"gamma": lambda mu: mu}, 'γ: Give the formula as text, not as a function: "1 + a * tanh(mu)".'),
        ({"gamma": np.tanh}, "not as a function"),
        ({"gamma": b"mu"}, "between quotation marks"),
        ({"gamma": ["mu"]}, "between quotation marks"),
        ({"gamma": "mu" * 1000}, "longer than 400 characters"),
        ({"gamma": "1 + c * mu"}, "γ: `c` is not known here. Known names: a, b, e, eps, mu, pi, sigma, var. A name of"),
        ({"gamma": "1 + x"}, "γ and β know the batch only by its statistics"),
        ({"gamma": "1 + a / mu)", "beta": "|mu|"}, "β: This formula cannot be read. Write abs(...)"),
        ({"gamma": None}, "γ: There is no formula yet."),
        ({"parameters": [0.5]}, 'The parameters: Give names and their values, as a dictionary: {"a": 0.1}.'),
        ({"parameters": {"a": "0.5"}}, "That of `a` is not"),
        ({"parameters": {"a": [1, 2]}}, "That of `a` is not"),
        ({"parameters": {"a": float("nan")}}, "That of `a` is not"),
        ({"parameters": {"a": None}}, "That of `a` is not"),
        ({"parameters": {"mu": 1}}, "A parameter cannot be called `mu`"),
        ({"parameters": {"σ": 1}}, "A parameter cannot be called `sigma`"),
        ({"parameters": {"e": 1}}, "A parameter cannot be called `e`"),
        ({"parameters": {"tanh": 1}}, "A parameter cannot be called `tanh`"),
        ({"parameters": {"a b": 1}}, "one word of at most 20 letters"),
        ({"parameters": {"lambda": 1}}, "Python keeps the word `lambda` for itself. Call the parameter `lam`."),
        ({"parameters": {"in": 1}}, "Python keeps the word `in` for itself. Call the parameter `in_`."),
        ({"parameters": {"a" * 21: 1}}, "one word"),
        ({"parameters": {1: 1}}, "The name of a parameter is text"),
        ({"parameters": {f"a{i}": 1 for i in range(MOST_PARAMETERS + 1)}}, "More than 10 parameters"),
    ],
)
def test_what_cannot_be_read_is_said_once(answers: dict[str, Any], says: str) -> None:
    verdict = judge(**answers)
    assert verdict.score == 0
    first, *others = (verdict.of(part) for part in ADAPTIVE.points)
    assert says in first.sentence
    assert first.kind == "form"
    assert {other.kind for other in others} == {"missing"}
    assert first.sentence not in {other.sentence for other in others}


def test_nothing_at_all_is_missing() -> None:
    for answers in ({}, dict.fromkeys(ASKED), dict.fromkeys(ADAPTIVE.points)):
        verdict = verify(ADAPTIVE, ADAPTIVE.observe(answers))
        assert {finding.kind for finding in verdict.findings} == {"missing"}


def test_names_not_asked_for_are_said_but_parts_are_not() -> None:
    assert "gamma, beta, parameters, plain, y" in judge(delta=1).findings[-1].sentence
    assert judge(**dict.fromkeys(ADAPTIVE.points)).right


def test_a_number_is_a_formula() -> None:
    assert judge(beta=0, y=ADAPTIVE.output({**WORKED, "beta": "0"})).right


def test_parameters_that_are_no_words_of_python_reach_the_formula() -> None:
    # `self` is a name like any other.
    answers = ADAPTIVE.answers("1 + self * tanh(mu)", "values", {"self": 1, "values": 2}, {"self": 0})
    assert verify(ADAPTIVE, ADAPTIVE.observe(answers)).right


class Explosive:
    """Raises wherever it is touched."""

    def __getattribute__(self, name: str) -> Any:
        raise ZeroDivisionError("boom")


class Lying(dict[str, Any]):
    """Says what it is not."""

    def items(self) -> Any:
        raise ZeroDivisionError("boom")

    def __len__(self) -> int:
        return 0


HOSTILE = [
    None,
    ...,
    "",
    "x" * 10**7,
    0,
    1e308,
    float("nan"),
    [],
    [[[]]],
    {},
    {"unusable": 1, "missing": 2},
    {"a": {"a": {}}},
    {None: None},
    Lying(a=1),
    set(),
    Explosive(),
    Explosive,
    np.zeros(10**6),
    np.array("mu"),
    Unusable("mine"),
    "9**9**9**9",
    "mu" + "**mu" * 50,
    "__import__('os').system('true')",
]


@pytest.mark.parametrize("name", [*ASKED, *ADAPTIVE.points, "anything"])
@pytest.mark.parametrize("number", range(len(HOSTILE)), ids=lambda number: type(HOSTILE[number]).__name__)
def test_any_answer_gets_a_verdict(name: str, number: int) -> None:
    value = HOSTILE[number]  # pytest would touch it
    for answers in ({name: value}, RIGHT | {name: value}):
        assert 0 <= verify(ADAPTIVE, ADAPTIVE.observe(answers)).score <= 10
        # In grading nothing was observed before.
        assert 0 <= verify(ADAPTIVE, answers).score <= 10


PIECES = ["mu", "mu", "var", "sigma", "eps", "a", "1", "2", "0", "1e300", "+", "-", "*", "/", "**", "(", ")", ","]
PIECES += ["abs(", "sqrt(", "log(", "exp(", "sign(", "tanh(", "max(", "tan(", "relu("]


@settings(max_examples=150, deadline=None)
@given(*[st.lists(st.sampled_from(PIECES), min_size=1, max_size=14).map("".join)] * 2)
def test_any_formula_gets_a_verdict(gamma: str, beta: str) -> None:
    verdict = judge(gamma=gamma, beta=beta)
    assert len({finding.part for finding in verdict.findings if finding.part}) == 6
    for finding in verdict.findings:
        assert (finding.points == finding.max_points) or finding.points == 0
        assert finding.sentence


def test_the_verdict_is_the_same_after_a_journey_as_json() -> None:
    for answers in (RIGHT, RIGHT | {"gamma": "abs(mu)"}, {"gamma": 3}, {"gamma": print, "parameters": {"a": "?"}}):
        observed = ADAPTIVE.observe(answers)
        arrived = from_plain(json.loads(json.dumps(plain(observed))))
        verdict = verify(ADAPTIVE, observed)
        assert verify(ADAPTIVE, arrived) == verdict
        assert Verdict.from_json(verdict.to_json()) == verdict


def test_observing_twice_changes_nothing() -> None:
    observed = ADAPTIVE.observe(RIGHT | {"beta": print})
    again = ADAPTIVE.observe(observed)
    assert plain(again) == plain(observed)


# What a learner sees


@pytest.mark.parametrize("part", ADAPTIVE.points)
def test_hints(part: str) -> None:
    for problem in (ADAPTIVE, ADAPTIVE.variant(1)):
        hints = problem.hints(part)
        assert len(set(hints)) == 3
        assert all(hint.endswith((".", "?")) for hint in hints)
        assert all(hint[0].isupper() or " = " in hint for hint in hints)


def test_no_hint_and_no_finding_gives_the_output_away() -> None:
    for problem in (ADAPTIVE, *map(ADAPTIVE.variant, range(10))):
        answers = problem.answers(**STEEP)
        texts = list(problem.hints("example"))
        texts += [f.sentence for f in verify(problem, problem.observe(answers | {"y": [17.3, 1, 2]})).findings]
        right = {f"{abs(v):.{digits}g}" for v in answers["y"] for digits in (3, 4, 5)}
        said = set(re.findall(r"\d+\.\d+", " ".join(texts)))
        assert not said & right - {f"{problem.given['eps']:g}", "0.5"}


def test_solution_is_one_design_of_many_with_computed_numbers() -> None:
    shown = repr(solution(ADAPTIVE))
    assert "One design of many" in shown
    # 1 + 0.5 * 4/5 and 0.5 * 2 / sqrt(5); 1.4 / sqrt(2/3 + 0.01) = 1.7019
    for number in (
        "γ(μ) = 1.4",
        "β(μ) = 0.4472",
        "y = −1.2547, 0.4472, 2.1491",
        "γ from 1 to 1.5",
        "β from −0.5 to 0.5",
    ):
        assert number in shown
    assert [title for title, *_ in ADAPTIVE.solved()] == [judge().of(part).title for part in ADAPTIVE.points]
    assert judge(**RIGHT).right


def test_hints_grow_with_every_new_try_of_what_a_part_depends_on() -> None:
    session = Session()

    def hints(part: str, **changes: Any) -> int:
        return len(session.check(ADAPTIVE, **RIGHT | changes).hints.get(part, ()))

    assert hints("smooth", gamma="abs(mu)") == 1
    assert hints("smooth", gamma="abs(mu)", y=[1, 2, 3]) == 1
    assert hints("smooth", gamma="relu(mu)") == 2
    assert hints("smooth", gamma="relu(mu)", parameters={"a": 1, "b": 1}) == 3
    assert hints("smooth") == 0
    assert hints("example", y=[1, 2, 3]) >= 1
    assert hints("special_case", gamma="abs(mu)", plain={"a": 3}) >= 1


def test_a_check_speaks_of_what_was_answered_so_far() -> None:
    def spoken_of(*names: str) -> list[str]:
        verdict = Session().check(ADAPTIVE, **{name: RIGHT[name] for name in names}).verdict
        return [finding.part for finding in verdict.findings if finding.part]

    parts = list(ADAPTIVE.points)
    assert spoken_of("gamma", "beta", "parameters") == parts[:4]
    assert spoken_of("gamma", "beta", "parameters", "plain") == parts[:5]
    assert spoken_of("gamma", "beta", "parameters", "y") == [*parts[:4], parts[5]]
    assert spoken_of(*ASKED) == spoken_of() == parts


def test_nothing_is_judged_by_a_fingerprint() -> None:
    observed = ADAPTIVE.observe(RIGHT | {"gamma": "abs(mu)"})
    forged = observed | {part: ADAPTIVE.observe(RIGHT)[part] for part in ADAPTIVE.points}
    assert verify(ADAPTIVE, forged) == verify(ADAPTIVE, observed)


def test_the_verdict_in_a_notebook() -> None:
    shown = repr(Session().check(ADAPTIVE, **RIGHT | {"gamma": "1 + a * abs(mu)"}))
    assert "✗ (c) differentiable. Not yet: kink. 0 of 2 points." in shown
    assert "γ has a kink at mu = 0." in shown
    assert "· Note\n      The mean of the output is β." in shown


def test_every_link_leads_to_a_section_with_that_title() -> None:
    links = {each.see for each in vars(of).values() if isinstance(each, Mistake)} | {m.see for m in OUTPUT_MISTAKES}
    assert len(links) >= 6
    for link in links:
        lines = (ROOT / "book" / f"{link.page}.md").read_text(encoding="utf-8").splitlines()
        at = lines.index(f"({link.anchor})=")
        title = next(line for line in lines[at:] if line.startswith("#"))
        assert title.lstrip("# ") == link.text


# The notebook

SOURCE = ROOT / "exercises" / "source" / "batch-norm" / "5-adaptive.md"
NOTEBOOK = to_notebook(SOURCE.read_text())
CELLS = {cell.id: cell for cell in NOTEBOOK.cells}
BLANK = re.compile(r"### BEGIN SOLUTION\n.*?### END SOLUTION", re.DOTALL)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Any]]:
    """Runs the notebook, as released or as solved, with other sources for some cells; what it displayed is in "out"."""
    monkeypatch.setitem(problems.TASKS, "adaptive", ADAPTIVE)
    monkeypatch.delenv("NBGRADER_EXECUTION", raising=False)

    def run_all(*, solved: bool, student: str = "", **changed: str) -> dict[str, Any]:
        out: list[Any] = []
        monkeypatch.setattr("bn_exercises.notebook.display", lambda data, raw: out.append(data))
        names: dict[str, Any] = {"out": out}
        for cell in NOTEBOOK.cells:
            if cell.cell_type == "code":
                source = changed.get(cell.id, cell.source if solved else BLANK.sub("", cell.source))
                if student:
                    source = source.replace(
                        'my_problem("adaptive")', f'my_problem("adaptive", course_key="k", student="{student}")'
                    )
                exec(source, names)
        return names

    return run_all


@pytest.mark.parametrize("student", ["", "ada", "emmy"])
def test_the_notebooks_solution_earns_all_points(student: str, run: Callable[..., dict[str, Any]]) -> None:
    names = run(solved=True, student=student)
    (displayed,) = names["out"]
    assert "10 of 10 points" in displayed["text/plain"]
    assert set(displayed[ANSWERS]["answers"]) == {*ASKED, *ADAPTIVE.points}
    assert (names["problem"] == ADAPTIVE) == (not student)
    for name in ("gamma", "beta", "parameters", "plain"):
        assert names[name] == WORKED[name]


def test_the_released_notebook_runs_and_earns_nothing(run: Callable[..., dict[str, Any]]) -> None:
    (displayed,) = run(solved=False)["out"]
    assert "0 of 10 points" in displayed["text/plain"]
    assert displayed["text/plain"].count("No answer yet") == 6


def test_a_kink_in_the_notebook_costs_its_two_points(run: Callable[..., dict[str, Any]]) -> None:
    design = 'gamma, beta, parameters = "1 + a * abs(mu)", "b", {"a": 0.5, "b": 1}'
    y = "y = (1 + 0.5 * abs(x.mean())) * (x - x.mean()) / np.sqrt(x.var() + eps) + 1"
    (displayed,) = run(solved=True, design=design, y=y, plain='plain = {"a": 0}')["out"]
    assert "8 of 10 points" in displayed["text/plain"]
    assert "Not yet: kink" in displayed["text/plain"]


def test_the_notebook_asks_for_everything() -> None:
    for part in ("design", "plain", "y"):
        answer = CELLS[part]
        assert answer.metadata.nbgrader.solution
        assert "check(problem, gamma=gamma" in CELLS[f"{part}-check"].source
    names = ", ".join(f"{name}={name}" for name in ASKED)
    assert CELLS["hand-in"].source == f"hand_in(problem, {names})"
    assert CELLS["hand-in"].metadata.nbgrader.points == 10
    asked = " ".join(CELLS[f"{part}-question"].source for part in ("design", "plain", "y"))
    assert sum(int(n) for n in re.findall(r"\((\d) points?\)", asked)) == 10
    assert "(4 points" in CELLS["reasoning-question"].source


def test_the_notebook_lists_the_functions_that_there_are() -> None:
    from bn_exercises.formulas.formula import FUNCTIONS

    listed = CELLS["title"].source.partition("`abs ")[2].partition("`")[0].split()
    assert {"abs", *listed} == set(FUNCTIONS) - {"minimum", "maximum"}


def test_the_page_has_the_notebooks_rubric() -> None:
    page = (ROOT / "book" / "exercises" / "adaptive.md").read_text()
    rubric = CELLS["reasoning"].source.partition("Rubric, 1 point each")[2]
    criteria = re.findall(r"^- (\*\*.+?\*\*)", rubric, re.MULTILINE)
    assert len(criteria) == CELLS["reasoning"].metadata.nbgrader.points == 4
    assert re.findall(r"^- (\*\*.+?\*\*)", CELLS["reasoning-question"].source, re.MULTILINE) == criteria
    assert all(page.count(criterion) == 2 for criterion in criteria)
    assert all(criterion in CELLS["reasoning"].source.partition("Rubric")[0] for criterion in criteria)


@pytest.mark.parametrize("name", [*SUCCEEDING])
def test_good_designs_earn_all(name: str) -> None:
    answers = ADAPTIVE.answers(**{**GOOD, **SUCCEEDING[name]})
    assert verify(ADAPTIVE, ADAPTIVE.observe(answers)).right


def test_a_design_that_cannot_be_read_says_so_to_whoever_asks_for_it() -> None:
    with pytest.raises(ValueError, match="more brackets"):
        ADAPTIVE.design({"gamma": "(mu", "beta": "0"})


# What takes long


@pytest.mark.parametrize(
    "gamma",
    [
        "+".join(f"max(mu,{i},{i + 0.5},-{i})" for i in range(16)),
        "abs(sin(99*mu))*" * 15 + "var",
        "max(" * 12 + "mu,var,1,2,3,4,5" + ",sin(99*mu))" * 12,
        "1/(1+" * 14 + "mu*var" + ")" * 14,
        "(" * 27 + "mu" + ")**var" * 27,
        "tan(" * 20 + "mu*sigma" + ")" * 20,
    ],
    ids=lambda text: text[:20],
)
def test_whatever_the_formula_it_is_evaluated_so_many_times(monkeypatch: pytest.MonkeyPatch, gamma: str) -> None:
    evaluations = 0
    evaluated = Formula._evaluated

    def counted(self: Formula, values: Any) -> Any:
        nonlocal evaluations
        evaluations += 1
        done = evaluated(self, values)
        assert len(done) <= MOST_NODES
        return done

    monkeypatch.setattr(Formula, "_evaluated", counted)
    # A zero of each quantity is halved 56 times and thirded 2 * 64 times, for three variances, of γ and β.
    assert judge(gamma=gamma, beta=f"0+{gamma}").max_score == 10
    assert evaluations <= 1300


def test_no_formula_is_too_long_for_all_means() -> None:
    assert MOST_NODES * len(of.MEANS) <= MOST_WORK
