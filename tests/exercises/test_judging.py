"""Judging answers: what earns points, which mistake is named, and what is never said."""

import re
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bn_exercises import misconceptions as wrong
from bn_exercises.misconceptions import Misconception
from bn_exercises.numbers.judging import CUT_SHORT
from bn_exercises.numbers.problem import NumberProblem
from bn_exercises.problem import verify
from bn_exercises.problems import BACKPROPAGATION, BASIC_CALCULATION, BATCH_SIZE, CONDITIONAL, NUMERIC
from bn_exercises.tolerance import round_to
from bn_exercises.verdict import Verdict

BOOK = Path(__file__).parents[2] / "book"
X = np.array(BASIC_CALCULATION.given["x"], dtype=float)
RIGHT = BASIC_CALCULATION.reference()

each_problem = pytest.mark.parametrize("problem", NUMERIC, ids=lambda problem: problem.name)


def kinds(verdict: Verdict) -> dict[str, str]:
    return {finding.part: finding.kind for finding in verdict.findings if finding.part}


def all_mistakes(problem: NumberProblem) -> dict[tuple[str, str], tuple[Misconception, Any]]:
    found = {}
    for part, outcomes in problem.outcomes[0].items():
        for m, value in [*zip(outcomes.mistakes, outcomes.wrong, strict=True), *outcomes.other_shapes]:
            found[part, m.name] = (m, value)
    return found


# Points


@each_problem
def test_right_answers_earn_everything(problem: NumberProblem) -> None:
    verdict = verify(problem, problem.reference())
    assert verdict.right
    assert verdict.score == verdict.max_score == sum(problem.points.values())
    assert set(kinds(verdict).values()) == {"right"}


@each_problem
def test_each_part_earns_its_own_points(problem: NumberProblem) -> None:
    for part, points in problem.points.items():
        verdict = verify(problem, {part: problem.reference()[part]})
        assert verdict.score == points
        assert kinds(verdict) == {name: "right" if name == part else "missing" for name in problem.points}


@each_problem
def test_nothing_earns_nothing(problem: NumberProblem) -> None:
    for answers in ({}, None, [1, 2], "text"):
        verdict = verify(problem, answers)  # type: ignore[arg-type]
        assert verdict.score == 0
        assert set(kinds(verdict).values()) == {"missing"}


@each_problem
@pytest.mark.parametrize("factor", [1.02, 0.98, -1.0, 0.5, 10.0])
def test_other_numbers_earn_nothing(problem: NumberProblem, factor: float) -> None:
    for part, value in problem.reference().items():
        verdict = verify(problem, {**problem.reference(), part: factor * value})
        if np.allclose(factor * value, value):
            continue
        assert verdict.of(part).points == 0, part


@each_problem
def test_one_wrong_number_of_many_is_noticed_and_pointed_at(problem: NumberProblem) -> None:
    for part, value in problem.reference().items():
        if value.size < 3:
            continue
        for place in np.ndindex(value.shape):
            changed = value.copy()
            changed[place] += 0.2 * np.abs(value).max()
            finding = verify(problem, {**problem.reference(), part: changed}).of(part)
            assert finding.kind == "wrong"
            where = f"number {place[0] + 1}" if value.ndim == 1 else f"row {place[0] + 1}, column {place[1] + 1}"
            assert finding.sentence == f"Most of it is right. Look again at {where}."


def test_an_answer_that_was_not_asked_for_is_said_and_its_name_not_repeated() -> None:
    verdict = verify(BASIC_CALCULATION, {**RIGHT, "<b>means": 1})
    assert verdict.right
    assert verdict.findings[-1].kind == "note"
    assert verdict.findings[-1].sentence == (
        "There is an answer under a name not asked for. The names: mean, var, x_hat, y."
    )


def test_a_verdict_survives_being_stored() -> None:
    verdict = verify(BASIC_CALCULATION, RIGHT | {"var": X.var(axis=0, ddof=1), "mean": "text"})
    assert Verdict.from_json(verdict.to_json()) == verdict
    assert verdict.of("var").see == wrong.DIVIDES_BY_M


def test_the_same_answers_get_the_same_verdict_and_are_not_changed() -> None:
    answers = {part: value.copy() for part, value in RIGHT.items()} | {"y": RIGHT["x_hat"].copy()}
    assert verify(BASIC_CALCULATION, answers) == verify(BASIC_CALCULATION, answers)
    np.testing.assert_array_equal(answers["y"], RIGHT["x_hat"])
    np.testing.assert_array_equal(BASIC_CALCULATION.reference()["y"], 2 * RIGHT["x_hat"] + 1)


@given(
    st.sampled_from(NUMERIC),
    st.randoms(use_true_random=False),
    st.lists(st.floats(-1e12, 1e12), min_size=40, max_size=40),
    st.booleans(),
)
def test_any_numbers_get_a_verdict(problem: NumberProblem, random: Random, numbers: list[float], keep: bool) -> None:
    # Warnings are errors here, so this also finds overflows and divisions by zero.
    answers = {}
    for part, value in problem.reference().items():
        values = np.array(random.sample(numbers, value.size)).reshape(value.shape)
        answers[part] = value if keep and random.random() < 0.5 else values
    verdict = verify(problem, answers)
    assert 0 <= verdict.score <= verdict.max_score
    assert verdict.score == sum(finding.points for finding in verdict.findings)
    assert len({finding.part for finding in verdict.findings} - {""}) == len(problem.parts)
    assert Verdict.from_json(verdict.to_json()) == verdict


# A mistake counts once


def test_follow_on_errors_count() -> None:
    mean = np.array([5.5, 7, 9])
    var = ((X - mean) ** 2).mean(axis=0)
    x_hat = (X - mean) / np.sqrt(var + 0.01)
    verdict = verify(BASIC_CALCULATION, {"mean": mean, "var": var, "x_hat": x_hat, "y": 2 * x_hat + 1})
    assert kinds(verdict) == {"mean": "wrong", "var": "follow-on", "x_hat": "follow-on", "y": "follow-on"}
    assert verdict.score == 8
    assert "your own earlier answer" in verdict.of("var").sentence


@pytest.mark.parametrize("digits", [3, 4, 16])
def test_one_mistake_counts_once_even_if_rounded_only_on_paper(digits: int) -> None:
    # The variance is written down rounded, and the calculator goes on with all digits of it.
    x_hat = wrong.DDOF1.compute(X, 0.01)
    answers = RIGHT | {"var": round_to(digits, X.var(axis=0, ddof=1)), "x_hat": x_hat, "y": 2 * x_hat + 1}
    assert kinds(verify(BASIC_CALCULATION, answers)) == {
        "mean": "right",
        "var": "misconception",
        "x_hat": "follow-on",
        "y": "follow-on",
    }


def test_a_second_mistake_on_top_of_a_first_has_its_name() -> None:
    var = X.var(axis=0, ddof=1)
    verdict = verify(BASIC_CALCULATION, RIGHT | {"var": var, "x_hat": (X - X.mean(axis=0)) / var, "y": None})
    assert verdict.of("var").misconceptions == ("ddof=1",)
    assert verdict.of("x_hat").misconceptions == ("variance for standard deviation",)


def test_right_numbers_after_a_wrong_answer_are_right() -> None:
    verdict = verify(BASIC_CALCULATION, RIGHT | {"var": X.std(axis=0)})
    assert kinds(verdict) == {"mean": "right", "var": "misconception", "x_hat": "right", "y": "right"}


@pytest.mark.parametrize(
    ("mean_share", "variance_share", "name"),
    [
        (1, 1, "not shared among the samples"),
        (1, 3, "dμ not shared among the samples"),
        (3, 1, "dσ² not shared among the samples"),
    ],
)
def test_a_share_forgotten_in_one_term_or_in_both(mean_share: int, variance_share: int, name: str) -> None:
    x, d, right = np.array([1.0, 2, 3]), np.array([0.1, 0.2, 0.3]), BACKPROPAGATION.reference()
    dx = d / np.sqrt(2 / 3 + 0.01) + right["dvar"] * 2 * (x - 2) / variance_share + right["dmu"] / mean_share
    assert verify(BACKPROPAGATION, right | {"dx": dx}).of("dx").misconceptions == (name,)


def test_nothing_follows_from_a_negative_variance() -> None:
    verdict = verify(BASIC_CALCULATION, RIGHT | {"var": [-5.0, -5, -5], "x_hat": [[1.0] * 3] * 4})
    assert kinds(verdict)["x_hat"] == "wrong"


def test_next_to_nothing_as_a_variance_gets_a_verdict() -> None:
    for variance in (5e-324, 1e-310, 1e-307, 1e-300):
        verdict = verify(BASIC_CALCULATION, RIGHT | {"var": [5.0, variance, 5], "x_hat": 17 * RIGHT["x_hat"]})
        assert kinds(verdict) == {"mean": "right", "var": "wrong", "x_hat": "wrong", "y": "right"}


def test_one_mistake_counts_once_though_its_digits_do_not_carry() -> None:
    # Written down as 10.33 and carried as 31 / 3: a value 1 / 3 beside it tells the two apart.
    problem = BASIC_CALCULATION.variant(54)
    x, eps = np.array(problem.given["x"], dtype=float), problem.given["eps"]
    var = ((x - x.mean()) ** 2).mean(axis=0)
    x_hat = (x - x.mean()) / np.sqrt(var + eps)
    y = problem.given["gamma"] * x_hat + problem.given["beta"]
    verdict = verify(problem, {"mean": [round(x.mean(), 2)] * 3, "var": var, "x_hat": x_hat, "y": y})
    assert kinds(verdict) == {"mean": "misconception", "var": "follow-on", "x_hat": "follow-on", "y": "follow-on"}


def test_dx_from_wrong_gradients_of_the_statistics_counts() -> None:
    x, d = np.array([1.0, 2, 3]), np.array([0.1, 0.2, 0.3])
    dmu, dvar = 0.7, 0.2
    dx = d / np.sqrt(2 / 3 + 0.01) + dvar * 2 * (x - 2) / 3 + dmu / 3
    verdict = verify(BACKPROPAGATION, {"dx": dx, "dmu": dmu, "dvar": dvar})
    assert kinds(verdict) == {"dx": "follow-on", "dmu": "wrong", "dvar": "wrong"}
    assert verdict.score == 4


# Rounding


def test_eps_can_be_told_with_four_digits_and_not_with_three() -> None:
    without = wrong.NO_EPS.compute(X, 0.01)
    assert verify(BASIC_CALCULATION, RIGHT | {"x_hat": round_to(4, without)}).of("x_hat").misconceptions == (
        "ε missing",
    )
    # 1.34 and 0.447 either way.
    assert verify(BASIC_CALCULATION, RIGHT | {"x_hat": round_to(3, without)}).of("x_hat").kind == "right"


def test_terms_that_cancel_are_accepted_as_three_digits_leave_them() -> None:
    # By hand: 0.1 / 0.823 = 0.122; -0.18 * 2 * (-1) / 3 = 0.12; -0.729 / 3 = -0.243; together -0.001.
    # The last one: 0.365 - 0.12 - 0.243 = 0.002. Right to more digits: 0.0018.
    verdict = verify(BACKPROPAGATION, {"dx": [-0.001, 0, 0.002], "dmu": -0.729, "dvar": -0.18})
    assert verdict.right
    assert "carry six" in verdict.of("dx").sentence
    # Without eps all of it cancels. That is another answer.
    assert verify(BACKPROPAGATION, {"dx": [0.0, 0, 0]}).of("dx").misconceptions == ("ε missing",)


@pytest.mark.parametrize(
    "dx",
    [
        # With the reciprocal of the root; with the root in five digits; forward differences.
        [-0.00179, 1e-5, 0.00181],
        [-0.00178, 0, 0.00179],
        [-1.80e-3, 1.53e-6, 1.80e-3],
    ],
)
def test_five_digits_on_the_way_are_enough_where_terms_cancel(dx: list[float]) -> None:
    right = BACKPROPAGATION.reference()
    assert verify(BACKPROPAGATION, right | {"dx": dx}).right
    # The room is for rounding: two percent more are wrong.
    assert not verify(BACKPROPAGATION, right | {"dx": 1.02 * right["dx"]}).right


def test_a_rounded_reciprocal_is_right_and_no_mistake() -> None:
    # 1 / 1.71 is 0.585, and 1 / 0.823 is 1.22; its third power is 1.82.
    x = np.arange(1.0, 7)
    in_four = round_to(4, (x - 3.5) * 0.585)
    assert verify(BATCH_SIZE, {"one_batch": in_four}).of("one_batch").kind == "right"
    assert verify(BACKPROPAGATION, {"dmu": -0.732, "dvar": -0.182, "dx": [-0.001, 0, 0.001]}).right
    assert verify(BACKPROPAGATION, {"dvar": -0.185}).of("dvar").kind == "wrong"


def test_the_mean_of_a_class_may_be_rounded_too() -> None:
    # 10.3 and 7.67, for 31 / 3 and 23 / 3.
    assert verify(CONDITIONAL.variant(1), {"y0": [1.82, -1.7, 3.0], "y1": [5.79, 8.18, 0.98]}).right


# Too few digits


@pytest.mark.parametrize(
    ("problem", "part", "answer"),
    [
        (BASIC_CALCULATION, "x_hat", [[v] * 3 for v in (-1.34, -0.45, 0.45, 1.34)]),
        (BATCH_SIZE, "one_batch", [-1.46, -0.88, -0.29, 0.29, 0.88, 1.46]),
        (BATCH_SIZE, "two_batches", [[-1.2, 0, 1.2], [-1.2, 0, 1.2]]),
        (BACKPROPAGATION, "dx", [-0.002, 0, 0.002]),
    ],
)
def test_too_few_digits_are_said_and_no_mistake_is(problem: NumberProblem, part: str, answer: Any) -> None:
    finding = verify(problem, problem.reference() | {part: answer}).of(part)
    assert (finding.kind, finding.points, finding.misconceptions) == ("form", 0, ())
    assert finding.sentence == CUT_SHORT


def test_whole_numbers_of_a_mistake_are_no_rounding() -> None:
    # -1.22, 0, 1.22 in one digit; and what is left when the mean is subtracted.
    assert "not divided" in verify(BATCH_SIZE, {"two_batches": [[-1, 0, 1]] * 2}).of("two_batches").misconceptions
    # A 0 shows no digit of 0.293.
    nothing = verify(BATCH_SIZE, {"one_batch": [-1.5, -0.9, 0, 0, 0.9, 1.5]}).of("one_batch")
    assert nothing.sentence != CUT_SHORT


def test_terms_that_cancel_to_nothing_are_accused_of_nothing_if_the_rest_is_right() -> None:
    # In two digits: 0.12 + 0.12 - 0.24, 0.24 - 0.24, 0.36 - 0.12 - 0.24.
    for dmu, dvar in ((BACKPROPAGATION.reference()["dmu"], BACKPROPAGATION.reference()["dvar"]), (-0.73, -0.18)):
        finding = verify(BACKPROPAGATION, {"dx": [0, 0, 0], "dmu": dmu, "dvar": dvar}).of("dx")
        assert (finding.kind, finding.points) == ("form", 0)
        assert "nearly cancel" in finding.sentence
    # With ε forgotten in the others as well, that is what it was.
    x, d = np.array([1.0, 2, 3]), np.array([0.1, 0.2, 0.3])
    without = {"dmu": -d.sum() / x.std(), "dvar": -0.5 * (d * (x - 2)).sum() / x.std() ** 3}
    verdict = verify(BACKPROPAGATION, {"dx": [0, 0, 0], **without})
    assert verdict.of("dmu").misconceptions == verdict.of("dvar").misconceptions == ("ε missing",)
    assert verdict.of("dx").kind != "form"


# Form


def test_gradients_that_were_not_added_up_are_recognised_by_their_count() -> None:
    x, d = np.array([1.0, 2, 3]), np.array([0.1, 0.2, 0.3])
    root = np.sqrt(2 / 3 + 0.01)
    verdict = verify(BACKPROPAGATION, {"dmu": -d / root, "dvar": -0.5 * d * (x - 2) / root**3})
    assert verdict.of("dmu").misconceptions == verdict.of("dvar").misconceptions == ("not added up",)
    assert "the same mean" in verdict.of("dmu").sentence
    assert "the same variance" in verdict.of("dvar").sentence


def test_two_batches_for_one_are_recognised_in_a_row_and_in_two() -> None:
    halves = BATCH_SIZE.reference()["two_batches"]
    for answer in (halves, halves.ravel()):
        assert verify(BATCH_SIZE, {"one_batch": answer}).of("one_batch").misconceptions == ("two batches for one",)


def test_places_in_a_table_are_kept_apart() -> None:
    x_hat = RIGHT["x_hat"].copy()
    x_hat[1, [0, 2]] = 9
    sentence = verify(BASIC_CALCULATION, {"x_hat": x_hat}).of("x_hat").sentence
    assert sentence.endswith("Look again at row 2, column 1; row 2, column 3.")


def test_averages_of_rows_are_recognised_though_there_are_four() -> None:
    finding = verify(BASIC_CALCULATION, {"mean": [4, 6, 8, 10]}).of("mean")
    assert finding.misconceptions == ("over rows",)
    assert finding.see == wrong.AXES


def test_form_is_described() -> None:
    verdict = verify(BASIC_CALCULATION, {"mean": [1, 2], "x_hat": RIGHT["x_hat"].T, "y": 3})
    assert verdict.of("mean").sentence == "Expected: 3 numbers. Yours: 2 numbers."
    assert verdict.of("x_hat").sentence == "Your table lies on its side. Expected: 4 rows of 3 numbers."
    assert verdict.of("y").sentence == "Expected: 4 rows of 3 numbers. Yours: one number."


# Readings


@pytest.mark.parametrize("index", range(6))
def test_every_reading_is_right_and_named(index: int) -> None:
    reading = CONDITIONAL.readings[index]
    verdict = verify(CONDITIONAL, CONDITIONAL.reference(index))
    assert verdict.right
    note = verdict.findings[-1].sentence
    assert reading.choices[0] in note
    assert reading.choices[1] in note
    other = next(r.choices[0] for r in CONDITIONAL.readings if r.choices[0] != reading.choices[0])
    assert other not in note


def test_three_digits_name_every_eps_that_fits() -> None:
    answers = {part: round_to(3, value) for part, value in CONDITIONAL.reference(5).items()}
    assert verify(CONDITIONAL, answers).findings[-1].sentence.endswith("each class and ε = 10⁻⁵ or ε = 0.")


def test_what_the_answer_does_not_tell_is_not_said() -> None:
    # Both readings earn one part. The note is about the one that was taken.
    whole = {part: round_to(3, value) for part, value in CONDITIONAL.reference(2).items()}
    verdict = verify(CONDITIONAL, {"y0": whole["y0"], "y1": CONDITIONAL.reference(5)["y1"]})
    assert [finding.kind for finding in verdict.findings] in (
        ["right", "mixture", "note"],
        ["mixture", "right", "note"],
    )
    note = verdict.findings[-1].sentence
    assert ("whole batch" in note) != ("each class" in note)


def test_canonical_readings_by_hand() -> None:
    # Whole batch, eps = 0.01: mean 3.5, variance 35 / 12. Each class, eps = 0: means 2 and 5, variance 2 / 3.
    whole = (np.arange(1, 7) - 3.5) / np.sqrt(35 / 12 + 0.01)
    np.testing.assert_allclose(CONDITIONAL.reference(0)["y0"], whole[:3])
    np.testing.assert_allclose(CONDITIONAL.reference(0)["y1"], 2 * whole[3:] + 1)
    of_class = np.array([-1, 0, 1]) / np.sqrt(2 / 3)
    np.testing.assert_allclose(CONDITIONAL.reference(5)["y0"], of_class)
    np.testing.assert_allclose(CONDITIONAL.reference(5)["y1"], 2 * of_class + 1)


@pytest.mark.parametrize("first", range(6))
@pytest.mark.parametrize("second", range(6))
def test_a_mixture_of_two_readings_is_not_right(first: int, second: int) -> None:
    a, b = CONDITIONAL.readings[first], CONDITIONAL.readings[second]
    verdict = verify(CONDITIONAL, {"y0": CONDITIONAL.reference(first)["y0"], "y1": CONDITIONAL.reference(second)["y1"]})
    if np.allclose(CONDITIONAL.reference(first)["y0"], CONDITIONAL.reference(second)["y0"], rtol=5e-6):
        assert verdict.right  # ε = 1e-5 and ε = 0 beside a variance of 3: a float32 may hide the difference
        return
    assert verdict.score == 5
    mixed = next(finding for finding in verdict.findings if finding.kind == "mixture")
    for reading in (a, b):
        assert reading.choices[0] in mixed.sentence
        assert reading.choices[1] in mixed.sentence


def test_samples_with_different_eps_do_not_agree_however_near_they_are() -> None:
    # 1 / sqrt(2 / 3 + 0.01) and 1 / sqrt(2 / 3). In three digits nobody could say that of one of them.
    finding = verify(CONDITIONAL, {"y0": [-1.21566, 0, 1.22474]}).of("y0")
    assert (finding.kind, finding.points) == ("mixture", 0)
    assert "ε = 0.01" in finding.sentence
    assert verify(CONDITIONAL, {"y0": [-1.22, 0, 1.22]}).of("y0").kind == "right"


@pytest.mark.parametrize("eps", [0.01, 1e-5, 0])
@pytest.mark.parametrize("with_right_y0", [False, True])
def test_mean_and_variance_of_different_values_have_a_name(eps: float, with_right_y0: bool) -> None:
    x = np.array(CONDITIONAL.given["x"], dtype=float)
    of_class = CONDITIONAL.reference([0.01, 1e-5, 0].index(eps) + 3)["y0"]
    for mean, var in ((x[1].mean(), x.var()), (x.mean(), x[1].var())):
        y1 = 2 * (x[1] - mean) / np.sqrt(var + eps) + 1
        finding = verify(CONDITIONAL, {"y0": of_class if with_right_y0 else None, "y1": y1}).of("y1")
        assert finding.misconceptions == (wrong.STATISTICS_MIXED.name,)


def test_equal_numbers_under_different_readings_have_both_names() -> None:
    # 4, 5, 6: the mean subtracted; or divided by a standard deviation of 1 with ddof=1 and ε = 0.
    assert set(verify(CONDITIONAL, {"y1": [-1, 1, 3]}).of("y1").misconceptions) == {"not divided", "ddof=1"}
    # Whoever took ε = 0.01 for the other class did not get these numbers with ddof=1.
    with_eps = {"y0": CONDITIONAL.reference(3)["y0"], "y1": [-1, 1, 3]}
    assert verify(CONDITIONAL, with_eps).of("y1").misconceptions == ("not divided",)


def test_samples_that_disagree_are_named() -> None:
    whole, of_class = CONDITIONAL.reference(0)["y1"], CONDITIONAL.reference(3)["y1"]
    answer = [whole[0], of_class[1], whole[2]]
    finding = verify(CONDITIONAL, {"y0": CONDITIONAL.reference(0)["y0"], "y1": answer}).of("y1")
    assert finding.kind == "mixture"
    assert "samples 1, 3 with the statistics of the whole batch" in finding.sentence
    assert "sample 2 with the statistics of each class" in finding.sentence


def test_a_mistake_is_recognised_under_the_reading_of_the_rest() -> None:
    verdict = verify(CONDITIONAL, {"y0": CONDITIONAL.reference(3)["y0"], "y1": CONDITIONAL.reference(3)["y1"] - 1})
    assert verdict.of("y1").misconceptions == ("β left out",)
    assert "each class" in verdict.findings[-1].sentence


# What is said


@each_problem
def test_sentences_depend_on_the_mistake_and_not_on_the_numbers(problem: NumberProblem) -> None:
    # So they cannot contain a right number, nor anything the learner wrote.
    one, other = problem.variant(1), problem.variant(2)
    others = all_mistakes(other)
    for (part, name), (_, value) in all_mistakes(one).items():
        first = verify(one, {**one.reference(), part: value}).of(part)
        second = verify(other, {**other.reference(), part: others[part, name][1]}).of(part)
        if first.misconceptions == second.misconceptions:
            assert first.sentence == second.sentence
    for answer in ("text", [1.0], None, [[float("nan")]], {}):
        for part in problem.points:
            assert verify(one, {part: answer}).of(part).sentence == verify(other, {part: answer}).of(part).sentence


def _shown(value: Any) -> set[str]:
    return {f"{abs(v):.{digits}g}" for v in np.ravel(value) for digits in (3, 4, 5, 6)}


@each_problem
def test_no_hint_and_no_finding_gives_an_answer_away(problem: NumberProblem) -> None:
    for variant in (problem, *map(problem.variant, range(20))):
        stated = {f"{abs(v):g}" for value in variant.given.values() for v in np.ravel(value)}
        for part in variant.parts:
            right = set().union(*(_shown(reference[part.name]) for reference in variant.references))
            texts = list(part.hints(variant.given))
            texts += [f.sentence for f in verify(variant, {part.name: 17.31}).findings]
            for text in texts:
                said = set(re.findall(r"\d+(?:\.\d+)?", text))
                # Counts, and exponents such as 3/2, are small whole numbers; those of the answer may be the same.
                assert {s for s in said & right if "." in s} <= stated, text


@each_problem
def test_hints_are_three_sentences_and_end_like_one(problem: NumberProblem) -> None:
    for part in problem.parts:
        hints = part.hints(problem.given)
        assert len(set(hints)) == 3
        assert all(hint.endswith((".", "?")) for hint in hints)
        assert all(hint[0].isupper() or " = " in hint for hint in hints)


def test_every_link_leads_to_a_section_with_that_title() -> None:
    links = {m.see for problem in NUMERIC for m, _ in all_mistakes(problem).values()}
    links |= {value for value in vars(wrong).values() if isinstance(value, wrong.Link)}
    assert len(links) >= 8
    for link in links:
        lines = (BOOK / f"{link.page}.md").read_text(encoding="utf-8").splitlines()
        at = lines.index(f"({link.anchor})=")
        title = next(line for line in lines[at:] if line.startswith("#"))
        assert title.lstrip("# ") == link.text


def test_equal_names_mean_the_same_mistake() -> None:
    # One name, one sentence and one section within a part; so a report can count by name.
    for problem in NUMERIC:
        for part in problem.parts:
            says: dict[str, str] = {}
            for m in part.mistakes:
                assert says.setdefault(m.name, m.says) == m.says


# The right computations, against the library and against differences


def test_steps_agree_with_the_library() -> None:
    from bn_lib import batch_norm, batch_norm_backward, conditional_batch_norm

    y, cache = batch_norm(X, np.full(3, 2.0), np.full(3, 1.0), eps=0.01)
    np.testing.assert_allclose(RIGHT["x_hat"], cache.x_hat, rtol=1e-12)
    np.testing.assert_allclose(RIGHT["y"], y, rtol=1e-12)
    for problem in (BACKPROPAGATION, *map(BACKPROPAGATION.variant, range(10))):
        x, d = (np.array(problem.given[name], dtype=float) for name in ("x", "dx_hat"))
        _, cache = batch_norm(x[:, None], np.ones(1), np.zeros(1), eps=problem.given["eps"])
        dx, _, _ = batch_norm_backward(d[:, None], cache)
        np.testing.assert_allclose(problem.reference()["dx"], dx[:, 0], atol=1e-12)
    y, _ = conditional_batch_norm(
        np.arange(1.0, 7)[:, None],
        np.array([0, 0, 0, 1, 1, 1]),
        np.array([[1.0], [2.0]]),
        np.array([[0.0], [1.0]]),
        eps=0.01,
    )
    np.testing.assert_allclose(np.concatenate(list(CONDITIONAL.reference().values())), y[:, 0], rtol=1e-12)
    one = BATCH_SIZE.reference()
    for batch, values in [
        (one["one_batch"], np.arange(1.0, 7)),
        (one["two_batches"][0], np.arange(1.0, 4)),
        (one["two_batches"][1], np.arange(4.0, 7)),
    ]:
        _, cache = batch_norm(values[:, None], np.ones(1), np.zeros(1), eps=0.01)
        np.testing.assert_allclose(batch, cache.x_hat[:, 0], rtol=1e-12)


def test_gradients_of_the_statistics_by_differences() -> None:
    x, d, eps, h = np.array([1.0, 2, 3]), np.array([0.1, 0.2, 0.3]), 0.01, 1e-6

    def loss(mu: float, var: float) -> float:
        return float((d * (x - mu) / np.sqrt(var + eps)).sum())

    mu, var = x.mean(), x.var()
    right = BACKPROPAGATION.reference()
    assert right["dmu"] == pytest.approx((loss(mu + h, var) - loss(mu - h, var)) / (2 * h), rel=1e-7)
    assert right["dvar"] == pytest.approx((loss(mu, var + h) - loss(mu, var - h)) / (2 * h), rel=1e-7)
