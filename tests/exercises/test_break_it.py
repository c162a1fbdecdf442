"""Break it: which evidence exposes a suspect, what is said of the rest, and that no evidence harms the judge."""

import ast
import inspect
import json
import re
import traceback
from dataclasses import astuple, replace
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest

from bn_exercises import accuracy
from bn_exercises.answers import from_plain, plain
from bn_exercises.check import Session, solution
from bn_exercises.course.sources import to_notebook
from bn_exercises.formulas import formula
from bn_exercises.functions.break_it import evidence, exposure
from bn_exercises.functions.break_it import problem as break_it
from bn_exercises.functions.break_it.evidence import SIGNATURES, Fault, call, observed, rights
from bn_exercises.functions.break_it.examples import STYLES
from bn_exercises.functions.break_it.exposure import judge
from bn_exercises.functions.break_it.hiding import HIDES
from bn_exercises.functions.break_it.obvious_checks import CHECKS, caught
from bn_exercises.functions.break_it.probes import PROBES
from bn_exercises.functions.break_it.problem import BreakIt, Suspect
from bn_exercises.functions.break_it.suspects import GALLERY as KNOWN
from bn_exercises.functions.break_it.suspects import SUSPECTS, CannotCopeError
from bn_exercises.functions.implementations import RIGHT
from bn_exercises.problem import verify
from bn_exercises.problems import BREAK_IT
from bn_exercises.verdict import Finding, Link

ROOT = Path(__file__).parents[2]
VARIANTS = [BREAK_IT, *map(BREAK_IT.variant, range(21))]
MISTAKEN = [(problem, *example) for problem in VARIANTS for example in problem.mistaken()]
GALLERY = [Suspect("A", function, number) for function, known in SUSPECTS.items() for number in range(len(known))]

X = [[1.0, 10.0], [2.0, 40.0], [6.0, 40.0]]
DY = [[1.0, 2.0], [3.0, -1.0], [-2.0, 4.0]]
FAR = (np.array(X) + 1e8).tolist()
FORWARD = {"x": X, "gamma": [2.0, 3.0], "beta": [5.0, -1.0], "eps": 0.0}
BACKWARD = {"dy": DY, "x": X, "gamma": [2.0, 3.0], "eps": 0.01}
UPDATE = {"running_mean": [1.0, 30.0], "running_var": [4.0, 25.0], "x": X, "momentum": 0.1}
INFERENCE = FORWARD | {"running_mean": [1.0, 30.0], "running_var": [4.0, 25.0], "eps": 0.01}


def suspect(function: str, name: str) -> Suspect:
    number = next(number for number, mistake in enumerate(KNOWN[function]) if mistake.name == name)
    return Suspect("A", function, number)


def found(function: str, name: str, answer: Any) -> Finding:
    return suspect(function, name).finding(answer)


def accusing(*suspects: Suspect) -> BreakIt:
    return replace(BREAK_IT, given={"suspects": tuple(map(astuple, suspects))})


def named(accused: Suspect) -> str:
    return f"{accused.function}: {accused.mistake.name}"


# What exposes


@pytest.mark.parametrize("accused", GALLERY, ids=named)
def test_every_mistake_of_the_gallery_can_be_exposed(accused: Suspect) -> None:
    finding = accused.finding(accused.probe.evidence)
    assert (finding.kind, finding.points, finding.misconceptions) == ("right", 2, ())
    assert accused.mistake.name in finding.sentence
    assert accused.mistake.says in finding.sentence
    assert finding.see == accused.mistake.see


@pytest.mark.parametrize("function", PROBES)
def test_no_evidence_exposes_a_right_implementation(function: str) -> None:
    for probe in PROBES[function]:
        assert judge(function, rights(function), observed(probe.evidence)).kind == "misconception"


IMAGES = np.random.default_rng(0).integers(0, 9, (3, 2, 2, 4)).astype(float)
DEFINED = {
    "forward": [
        FORWARD
        | {
            "x": IMAGES * [[[1.0]], [[3.0]]] + 1e8,
            "eps": 20.0,
            "claim": "close(y, gamma[:, None, None] * (x - mean(x, (0, 2, 3), keepdims=True))"
            " / sqrt(var(x, (0, 2, 3), keepdims=True) + eps) + beta[:, None, None]) and close(x_after, x)",
        }
    ],
    "backward": [
        BACKWARD
        | {
            "x": FAR,
            "eps": 20.0,
            "claim": "close(dx, gamma / sqrt(var(x, 0) + eps) * (dy - mean(dy, 0) - (x - mean(x, 0))"
            " * mean(dy * (x - mean(x, 0)), 0) / (var(x, 0) + eps))) and close(dbeta, sum(dy, 0))"
            " and close(dgamma, sum(dy * (x - mean(x, 0)), 0) / sqrt(var(x, 0) + eps)) and close(dy_after, dy)",
        },
        BACKWARD
        | {"running_mean": 1.0, "running_var": 4.0, "claim": "close(dx, gamma * dy / sqrt(running_var + eps))"},
        BACKWARD
        | {
            "x": IMAGES,
            "dy": IMAGES[::-1] ** 2,
            "claim": "close(dgamma[0], sum(dy[:, 0] * (x[:, 0] - mean(x[:, 0]))) / sqrt(var(x[:, 0]) + eps))"
            " and close(sum(dx, (0, 2, 3)), 0)",
        },
    ],
    "update_running": [
        UPDATE
        | {
            "x": IMAGES * [[[1.0]], [[3.0]]] + 1e8,
            "claim": "close(new_mean, 0.9 * running_mean + 0.1 * mean(x, (0, 2, 3))) and "
            "close(new_var, 0.9 * running_var + 0.1 * var(x, (0, 2, 3)) * 24 / 23)",
        }
    ],
    "inference": [
        INFERENCE
        | {
            "eps": 12.0,
            "claim": "close(y, gamma * (x - running_mean) / sqrt(running_var + eps) + beta) and "
            "close(running_mean_after, running_mean)",
        }
    ],
}


@pytest.mark.parametrize("accused", GALLERY, ids=named)
def test_the_definition_on_inputs_that_separate_exposes_everything(accused: Suspect) -> None:
    judged = [accused.judge(each) for each in DEFINED[accused.function]]
    assert "right" in [each.kind for each in judged]
    # What is true of Batch Normalization is never said to be wrong about it.
    assert not any(fault is exposure.NOT_TRUE for each in judged for fault in each.faults)


def test_expected_numbers_as_worked_by_hand() -> None:
    # x - 3 = -2, -1, 3; the mean of the squares is 14/3, its root 2.16; 2 (x - 3) / 2.16 + 1.
    given = {"x": [[1], [2], [6]], "gamma": [2], "beta": [1], "eps": 0}
    for expected in ([[-0.852], [0.0741], [3.78]], [-0.852, 0.0741, 3.78], {"y": [-0.852, 0.0741, 3.78]}):
        assert found("forward", "ddof=1", given | {"expected": expected}).points == 2
    # 0.9 · 1 + 0.1 · 3 and 0.9 · 30 + 0.1 · 30
    assert found("update_running", "plain average", UPDATE | {"expected": {"new_mean": [1.2, 30.0]}}).points == 2


def test_numbers_that_are_a_little_off_do_not_separate_what_three_digits_do_not() -> None:
    large = {"x": [[v] for v in np.linspace(0, 1, 100)], "gamma": 2, "beta": 0, "eps": 0}
    right = call("forward", RIGHT["forward"], evidence.inputs_of("forward", observed(large)))["y"]
    # Within three digits of the right numbers, and not of the suspect's: 0.4 and 0.9 percent away.
    finding = found("forward", "ddof=1", large | {"expected": right * 1.004})
    assert finding.misconceptions == ("batch too large for m − 1 to show",)


def test_a_suspect_that_raises_falls() -> None:
    accused = suspect("update_running", "each position by itself")
    finding = accused.finding(UPDATE | {"x": IMAGES, "claim": "all(isfinite(new_mean))"})
    assert finding.points == 2
    assert "raises where a right implementation does not" in finding.sentence


def test_what_became_of_the_inputs_can_be_looked_at() -> None:
    moving = "inference that moves the statistics"
    assert found("inference", moving, INFERENCE | {"claim": "all(running_mean_after == running_mean)"}).points == 2
    assert found("inference", moving, INFERENCE | {"expected": {"running_var_after": [4, 25]}}).points == 2
    assert found("inference", moving, INFERENCE | {"claim": "all(running_mean_before == 1)"}).kind == "form"


# Conventions

BATCH_VAR = "0.9 * running_var + 0.1 * var(x, 0)"
REVERSED = ("update_running", "momentum the other way round")


@pytest.mark.parametrize(
    ("claim", "note"),
    [
        (f"close(new_var, {BATCH_VAR})", "the biased one, divided by m. The other one is in use too."),
        (f"close(new_var, 2 * ({BATCH_VAR}))", None),
        (
            "close(new_var, 0.9 * running_var + 0.1 * var(x, 0) * 3 / 2)",
            "the unbiased one, divided by m − 1. The other",
        ),
        (f"close(new_var, {BATCH_VAR}) or close(new_var, {BATCH_VAR} * 3 / 2)", ""),
        ("close(new_mean, 0.9 * running_mean + 0.1 * mean(x, 0))", ""),
    ],
)
def test_either_running_variance_may_be_claimed(claim: str, note: str | None) -> None:
    finding = found(*REVERSED, UPDATE | {"claim": claim})
    if note is None:  # neither convention
        assert finding.misconceptions == ("not true of Batch Normalization",)
        return
    assert finding.points == 2
    assert ("You take the running variance to be" in finding.sentence) == bool(note)
    assert note in finding.sentence


@pytest.mark.parametrize("ddof", [0, 1])
def test_either_running_variance_may_be_expected(ddof: int) -> None:
    new_var = 0.9 * np.array([4.0, 25.0]) + 0.1 * np.var(X, axis=0, ddof=ddof)
    finding = found(*REVERSED, UPDATE | {"expected": {"new_var": new_var}})
    assert finding.points == 2
    assert CONVENTION[ddof] in finding.sentence


CONVENTION = {0: "divided by m.", 1: "divided by m − 1."}


@pytest.mark.parametrize("ddof", ["", " * 3 / 2"])
def test_a_convention_alone_exposes_nobody(ddof: str) -> None:
    # With momentum ½ the suspect does nothing wrong, and only the convention could tell it from a right one.
    claim = f"close(new_var, running_var / 2 + var(x, 0){ddof} / 2)"
    finding = found(*REVERSED, UPDATE | {"momentum": 0.5, "claim": claim})
    assert finding.misconceptions == ("momentum is 0, ½ or 1",)


# What does not expose, and why

ALONE = {"x": [[1.0], [2.0], [6.0]], "gamma": [1.0], "beta": [0.0], "eps": 0.0}
MANY = {"x": [[float(i * i % 17)] for i in range(200)], "gamma": [2.0], "beta": [1.0], "eps": 0.0}
STD, MEAN = "close(std(y, 0), gamma)", "close(mean(y, 0), beta)"
USELESS = [
    # a claim that is no test
    ("forward", "ddof=1", FORWARD | {"claim": "close(x, x)"}, "nothing that comes out"),
    ("forward", "ddof=1", FORWARD | {"claim": "gamma[0] == 2"}, "nothing that comes out"),
    ("forward", "ddof=1", FORWARD | {"claim": "max(y) > 0 or max(y) <= 0"}, "holds for everything"),
    ("forward", "ddof=1", FORWARD | {"claim": "close(y - y, 0)"}, "holds for everything"),
    ("forward", "ddof=1", FORWARD | {"claim": MEAN}, "too weak"),
    ("forward", "ddof=1", FORWARD | {"claim": "all(abs(std(y, 0) - gamma) < 1)"}, "too weak"),
    ("backward", "x̂ left out of dγ", BACKWARD | {"claim": "close(dbeta, sum(dy, 0))"}, "too weak"),
    ("backward", "x̂ left out of dγ", BACKWARD | {"expected": {"dbeta": [2, 5]}}, "too weak"),
    # a claim about the inputs, true or not
    ("forward", "ddof=1", FORWARD | {"claim": "1 == 2"}, "nothing that comes out"),
    ("update_running", "plain average", UPDATE | {"claim": "close(running_mean, 2)"}, "nothing that comes out"),
    # a claim that is not true
    ("forward", "ddof=1", FORWARD | {"claim": "close(mean(y, 0), gamma)"}, "not true of Batch Normalization"),
    (
        "forward",
        "ddof=1",
        FORWARD | {"claim": "close(std(y, 0), gamma * sqrt(2 / 3))"},
        "not true of Batch Normalization",
    ),
    ("forward", "ddof=1", ALONE | {"expected": [-1, -0.5, 1.5]}, "not true of Batch Normalization"),
    ("inference", "β left out", INFERENCE | {"claim": "close(mean(y, 0), beta)"}, "not true of Batch Normalization"),
    # a claim that rounding decides
    ("forward", "ddof=1", FORWARD | {"claim": "all(std(y, 0) == gamma)"}, "floating-point numbers compared with =="),
    ("forward", "ddof=1", FORWARD | {"claim": "std(y, 0) == gamma"}, "floating-point numbers compared with =="),
    ("forward", "γ left out", FORWARD | {"claim": "std(y[:, 0]) == 2 and close(mean(y[:, 0]), 5)"}, None),
    ("forward", "β left out", FORWARD | {"claim": "all(mean(y, 0) >= [5, -1])"}, "decided by rounding"),
    # inputs that hide
    ("forward", "ddof=1", MANY | {"claim": "all(abs(std(y, 0) - gamma) < 0.01)"}, "batch too large for m − 1 to show"),
    ("forward", "γ left out", ALONE | {"claim": STD}, "gamma is 1"),
    ("forward", "β left out", ALONE | {"claim": MEAN}, "beta is 0"),
    ("forward", "γ and β swapped", ALONE | {"gamma": 2.0, "beta": 2.0, "claim": MEAN}, "gamma equals beta"),
    ("forward", "over everything", ALONE | {"claim": STD}, "a single feature"),
    ("forward", "E[x²] − E[x]²", ALONE | {"claim": STD}, "mean too small for rounding to show"),
    (
        "forward",
        "E[x²] − E[x]²",
        FORWARD | {"x": (1e6 * np.array(X)).tolist(), "eps": 0.01, "claim": STD},
        "mean too small for rounding to show",
    ),
    ("forward", "ε outside the root", ALONE | {"claim": STD}, "ε is 0"),
    (
        "forward",
        "ε missing",
        ALONE | {"eps": 1e-5, "claim": "close(std(y, 0), 1, rtol=0.01)"},
        "variance too large for ε",
    ),
    ("forward", "not centred", ALONE | {"x": [[-2.0], [-1.0], [3.0]], "claim": MEAN}, "the mean is 0"),
    ("forward", "each image by itself", FORWARD | {"claim": MEAN}, "no images"),
    ("backward", "γ left out", BACKWARD | {"gamma": 1.0, "claim": "close(sum(dx, 0), 0)"}, "gamma is 1"),
    ("backward", "γ left out", BACKWARD | {"dy": np.zeros((3, 2)), "claim": "close(dx, 0)"}, "dy is 0"),
    ("backward", "γ left out", BACKWARD | {"dy": np.ones((3, 2)), "claim": "close(dx, 0)"}, "dy all ones"),
    (
        "backward",
        "no path through the variance",
        BACKWARD | {"dy": np.ones((3, 2)), "claim": "close(dx, 0)"},
        "dy all ones",
    ),
    (
        "backward",
        "no path through the mean",
        BACKWARD | {"dy": [[1, 1], [1, 1], [-2, -2]], "claim": "close(sum(dx, 0), 0)"},
        "dy sums to 0",
    ),
    (
        "backward",
        "training-mode gradient on frozen statistics",
        BACKWARD | {"claim": "close(sum(dx, 0), 0)"},
        "no stored statistics",
    ),
    (
        "inference",
        "inference with batch statistics",
        INFERENCE | {"running_mean": [3, 30], "running_var": [14 / 3, 200], "claim": "close(mean(y, 0), beta)"},
        "stored statistics are the batch's own",
    ),
    (
        "update_running",
        "old value kept whole",
        UPDATE | {"running_mean": 0.0, "running_var": 0.0, "claim": "close(new_mean, 0.1 * mean(x, 0))"},
        "stored statistics are 0",
    ),
    (
        "update_running",
        "plain average",
        UPDATE | {"momentum": 0.5, "claim": "close(new_mean, (running_mean + mean(x, 0)) / 2)"},
        "momentum is 0, ½ or 1",
    ),
    # inputs that cannot be run
    ("forward", "ddof=1", FORWARD | {"x": np.ones((3, 2)), "claim": STD}, "nothing to normalize"),
    ("forward", "ddof=1", FORWARD | {"x": [[1.0, 2.0]], "claim": STD}, "a value that cannot be"),
    ("forward", "ddof=1", FORWARD | {"eps": -1, "claim": STD}, "a value that cannot be"),
    ("forward", "ddof=1", FORWARD | {"x": [1, 2, 6], "claim": STD}, "shapes that do not fit"),
    ("forward", "ddof=1", FORWARD | {"gamma": [1, 2, 3], "claim": STD}, "shapes that do not fit"),
    ("forward", "ddof=1", FORWARD | {"expected": [1, 2, 3]}, "shapes that do not fit"),
    ("forward", "ddof=1", FORWARD | {"running_mean": 0, "claim": STD}, "something missing, or too much"),
    ("forward", "ddof=1", {"x": X, "claim": STD}, "something missing, or too much"),
    ("forward", "ddof=1", FORWARD, "something missing, or too much"),
    ("forward", "ddof=1", FORWARD | {"claim": STD, "expected": X}, "something missing, or too much"),
    ("backward", "γ left out", BACKWARD | {"expected": X}, "something missing, or too much"),
    ("backward", "γ left out", BACKWARD | {"expected": {"y": X}}, "something missing, or too much"),
    (
        "backward",
        "γ left out",
        BACKWARD | {"running_mean": 0, "claim": "close(sum(dx, 0), 0)"},
        "something missing, or too much",
    ),
    ("forward", "ddof=1", FORWARD | {"claim": "std(y, 0)"}, "unreadable"),
    ("forward", "ddof=1", FORWARD | {"claim": "close(std(z, 0), 1)"}, "unreadable"),
    ("forward", "ddof=1", FORWARD | {"claim": "close(y, [1, 2, 3])"}, "unreadable"),
    ("forward", "ddof=1", FORWARD | {"claim": "close(dx, 0)"}, "unreadable"),
    ("forward", "ddof=1", FORWARD | {"claim": True}, "unreadable"),
]


@pytest.mark.parametrize(("function", "mistake", "answer", "name"), USELESS)
def test_what_is_wrong_with_a_test_has_a_name(function: str, mistake: str, answer: Any, name: str | None) -> None:
    finding = found(function, mistake, answer)
    if name is None:
        assert finding.misconceptions[0].startswith(("floating-point", "decided"))
        return
    assert len(finding.misconceptions) == 1, finding
    assert finding.misconceptions[0].startswith(name), finding
    assert finding.points == 0
    assert finding.see is not None
    assert finding.kind in ("misconception", "form")


def test_two_things_that_hide_together_are_both_named() -> None:
    # gamma would show with another dy, and only if it were not 1.
    finding = found("backward", "γ left out", BACKWARD | {"gamma": 1, "dy": np.ones((3, 2)), "claim": "close(dx, 0)"})
    assert finding.misconceptions == ("gamma is 1", "dy all ones")


def test_what_comes_out_is_said_where_it_does_not_stand_in_the_claim() -> None:
    # As after the problem before, where the outputs are called like the inputs.
    claim = "close(running_mean, .9*running_mean+.1*mean(x,0))"
    for each in (claim, "1 == 2", f"not {claim}", "close(running_var, var(x, 0))"):
        finding = found("update_running", "plain average", UPDATE | {"claim": each})
        assert "Nothing that comes out stands in your claim: new_mean, new_var." in finding.sentence
        assert "right implementation" not in finding.sentence
        assert "side" not in finding.sentence
    for unchanged in ("close(x_after, x)", "not close(x_after, x)"):  # x_after comes out
        assert "Nothing" not in found("forward", "ddof=1", FORWARD | {"claim": unchanged}).sentence


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (FORWARD | {"X": X}, "It has the name X, which no function takes. The names: x, gamma, beta, "),
        (FORWARD | {"mean": 1}, "It has the name mean, which no function takes."),
        (FORWARD | {"<b>": 1}, "It has a name that no function takes. The names: "),
        (FORWARD | {"x" * 999: 1}, "It has a name that no function takes. The names: "),
        (FORWARD | {3: 1}, "It has a name that no function takes. The names: "),
        (FORWARD | {"expected": {"Y": 1}}, "It has the name Y, which no function returns. The names: y, dx, "),
        (FORWARD | {"expected": {"eps_after": 1}}, "It has the name eps_after, which no function returns."),
        (FORWARD | {"expected": {3: 1}}, "It has a name that no function returns. The names: y, dx, "),
    ],
)
def test_an_unknown_name_is_said_if_it_is_a_word(answer: Any, says: str) -> None:
    sentence = found("forward", "ddof=1", answer).sentence
    assert says in sentence
    assert sentence.endswith(("claim, expected.", "running_var_after."))
    assert len(sentence) < 300


def test_inputs_on_which_nothing_shows_come_before_how_the_claim_is_written() -> None:
    at_mean = INFERENCE | {"x": [[1.0, 30.0]], "claim": "y[0, 0] == 5"}
    assert found("inference", "γ left out", at_mean).misconceptions == ("x is the running mean",)
    # x̂ is 0 there, and beta comes out, to the last bit.
    assert found("inference", "β left out", at_mean).points == 2
    # Elsewhere the last bits differ.
    value = 2 * (3 - 1) / np.sqrt(4.01) + 5
    elsewhere = INFERENCE | {"x": [[3.0, 35.0]], "claim": f"y[0, 0] == {float(value)!r}"}
    assert found("inference", "β left out", elsewhere).misconceptions == (exposure.EXACT.name,)
    # Scaled and shifted in one go, beta is lost to rounding here: 0.1 is no sum of few powers of 2.
    folded = INFERENCE | {"x": [[1e3, 30.0]], "running_mean": [1e3, 30.0], "beta": 0.1, "claim": "y[0, 0] == 0.1"}
    assert found("inference", "β left out", folded).misconceptions == (exposure.EXACT.name,)


def test_which_side_is_larger_is_said_without_numbers() -> None:
    def says(claim: str) -> str:
        return found("forward", "ddof=1", FORWARD | {"claim": claim}).sentence

    assert says("close(mean(y, 0), 7)").endswith("the left side is smaller than the right one.")
    assert says("all(std(y, 0) < 1)").endswith("the left side is larger than the right one.")
    assert says("close(y, 0)").endswith("so it exposes nobody.")
    assert says("not close(y, y)").endswith("so it exposes nobody.")


def test_expected_numbers_that_are_wrong_are_placed_and_not_corrected() -> None:
    right = call("forward", RIGHT["forward"], evidence.inputs_of("forward", observed(FORWARD)))["y"]
    wrong = right.copy()
    wrong[2, 1] += 1
    finding = found("forward", "ddof=1", FORWARD | {"expected": wrong})
    assert finding.sentence.endswith("You expect too much in y[2, 1].")
    own = call(
        "forward", suspect("forward", "ddof=1").mistake.compute, evidence.inputs_of("forward", observed(FORWARD))
    )
    assert found("forward", "ddof=1", FORWARD | {"expected": own["y"]}).sentence.endswith("is what the suspect gives.")


def test_no_sentence_about_useless_evidence_names_the_mistake_or_a_right_number() -> None:
    for problem, part, _, answers in MISTAKEN:
        accused = next(each for each in problem.drawn if each.letter == part)
        finding = accused.finding(answers[part])
        assert accused.mistake.says not in finding.sentence
        if finding.kind == "misconception":
            # Indices, and numbers of the sentences' own.
            own = {"0", "1", "2", "3", "0.1", "100,000,000", "−1"}
            says = finding.sentence.replace("10⁻⁵", "")
            assert set(re.findall(r"[−-]?\d[\d.,e-]*\d|[−-]?\d", says)) <= own, finding.sentence


# The judge, judged


def test_there_are_enough_of_both() -> None:
    """That all are caught or accepted is tested for all problems together, on these seeds and more."""
    assert len(MISTAKEN) > 100 * len(VARIANTS)
    assert len([*BREAK_IT.rightly()]) == len(STYLES) >= 12


def test_everything_that_can_be_said_is_tried() -> None:
    tried = {name for _, _, name, _ in MISTAKEN}
    faults = [value for module in (evidence, exposure) for value in vars(module).values() if isinstance(value, Fault)]
    assert tried == {each.name for each in (*HIDES, *faults)}
    assert len({name for _, name, _ in BREAK_IT.mistaken()}) >= 8


def test_a_judge_that_is_lenient_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    # Without the cache, in which its verdicts would stay.
    monkeypatch.setattr(break_it, "_judged", break_it._judged.__wrapped__)
    monkeypatch.setattr(exposure, "_passes", lambda test, right, wrong: False)
    tally = accuracy.run(BREAK_IT)
    assert tally.caught < tally.mistakes


def test_without_what_hides_it_no_longer_hides() -> None:
    seen = set()
    for problem, part, name, answers in MISTAKEN:
        hides = next((each for each in HIDES if each.name == name), None)
        if hides is None:
            continue
        accused = next(each for each in problem.drawn if each.letter == part)
        inputs = evidence.inputs_of(accused.function, observed(answers[part]))
        before = {key: value.copy() for key, value in inputs.items()}
        assert hides.shows(inputs)
        assert not hides.shows(hides.change(inputs)), name
        assert all(np.array_equal(inputs[key], value) for key, value in before.items())
        seen.add(name)
    assert len(seen) == len(HIDES)


@pytest.mark.parametrize("problem", VARIANTS[:4], ids=lambda problem: str(problem.given))
def test_what_reaches_the_grader_gets_the_same_verdict(problem: BreakIt) -> None:
    for _, answers in problem.rightly():
        seen = problem.observe(answers)
        assert verify(problem, from_plain(json.loads(json.dumps(plain(seen))))) == verify(problem, seen)
    for _, _, answers in problem.mistaken():
        seen = problem.observe(answers)
        assert verify(problem, from_plain(json.loads(json.dumps(plain(seen))))) == verify(problem, seen)


def test_judging_changes_nothing() -> None:
    answers = {each.letter: each.probe.evidence for each in BREAK_IT.drawn}
    before = json.dumps(answers)
    first = verify(BREAK_IT, answers)
    assert first == verify(BREAK_IT, answers)
    assert first.right
    assert json.dumps(answers) == before


# Hostile and careless answers


class Hostile(dict[Any, Any]):
    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError(name)

    def __len__(self) -> int:
        raise RuntimeError

    def __iter__(self) -> Any:
        raise RuntimeError

    def __bool__(self) -> bool:
        raise RuntimeError


class Raises:
    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        raise RuntimeError

    def __eq__(self, other: object) -> bool:
        raise RuntimeError

    def __hash__(self) -> int:
        return 0


LOOP: dict[str, Any] = {}
LOOP["expected"] = LOOP
NESTED: list[Any] = []
NESTED.append(NESTED)
HOSTILE = [
    5,
    "close(y, 0)",
    b"x",
    float("nan"),
    [FORWARD],
    np.zeros(3),
    lambda: FORWARD,
    dict,
    Raises(),
    {Raises(): 1},
    {1: 2, None: 3},
    {"x" * 10**6: 1},
    dict.fromkeys(map(str, range(10**5)), 1),
    LOOP,
    FORWARD | {"claim": LOOP},
    FORWARD | {"expected": LOOP},
    FORWARD | {"expected": {}},
    FORWARD | {"expected": {1: 2}},
    FORWARD | {"expected": {"y": "text"}},
    FORWARD | {"x": NESTED, "claim": STD},
    FORWARD | {"x": Raises(), "claim": STD},
    FORWARD | {"x": np.zeros((10**4, 10**4), dtype=np.int8), "claim": STD},
    FORWARD | {"x": np.zeros((1, 1, 1, 1, 1, 1, 1, 900)), "claim": STD},
    FORWARD | {"x": [[1, float("nan")], [2, 3]], "claim": STD},
    FORWARD | {"x": [[1, float("inf")], [2, 3]], "claim": STD},
    FORWARD | {"x": [[1j, 2], [2, 3]], "claim": STD},
    FORWARD | {"gamma": [[[[[[2.0]]]]], 3], "claim": STD},
    FORWARD | {"eps": [1, 2], "claim": STD},
    FORWARD | {"claim": "(" * 10**5},
    FORWARD | {"claim": "y" + "[0]" * 100},
    FORWARD | {"claim": "__import__('os').system('true')"},
    FORWARD | {"claim": "close(y.__class__, 0)"},
    FORWARD | {"claim": "close(9**9**9**9, y)"},
    FORWARD | {"claim": "<script>alert(1)</script>"},
    FORWARD | {"claim": "\x00"},
    FORWARD | {"claim": "\ud800"},
    FORWARD | {"claim": "all(y == y) if y else 1"},
    FORWARD | {"x": [[1e12, -1e12], [1e-12, 1e12], [3, 1e12]], "gamma": 1e12, "claim": "close(y, 0)"},
    FORWARD | {"x": [[1e-200, 1e-300], [2e-200, 3e-300]], "claim": STD},
    {"unusable": "x" * 10**6, "missing": False},
]


@pytest.mark.parametrize("answer", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_evidence_gets_a_verdict(answer: Any) -> None:
    problem = BREAK_IT
    seen = problem.observe({"A": answer, "B": None})
    stored = json.dumps(plain(seen), allow_nan=False, ensure_ascii=False)
    assert len(stored.encode()) < 20_000
    for answers in (seen, from_plain(json.loads(stored)), {"A": answer}):
        verdict = verify(problem, answers)
        assert verdict.score == 0
        finding = verdict.of("A")
        assert finding.kind in ("form", "misconception"), finding
        assert len(finding.sentence) < 1000
        assert "script" not in finding.sentence
    assert verify(problem, from_plain(json.loads(stored))) == verify(problem, seen)


def test_a_dictionary_that_lies_is_read_all_the_same() -> None:
    lying = Hostile(FORWARD | {"claim": STD})
    assert verify(BREAK_IT, BREAK_IT.observe({"A": lying})).of("A").points == 2


@pytest.mark.parametrize("nothing", [None, ..., {}, {"claim": None}, dict.fromkeys(FORWARD)])
def test_nothing_is_missing(nothing: Any) -> None:
    finding = verify(BREAK_IT, BREAK_IT.observe({"A": nothing})).of("A")
    assert (finding.kind, finding.misconceptions, finding.see) == ("missing", (), None)


def test_unknown_names_are_said() -> None:
    verdict = verify(BREAK_IT, BREAK_IT.observe({"Z": FORWARD}))
    assert verdict.findings[-1].sentence == "There is an answer under a name not asked for. The names: A, B, C, D, E."
    assert verify(BREAK_IT, []).score == 0  # type: ignore[arg-type]


# The suspects


def test_canonical_suspects() -> None:
    assert [(each.function, each.mistake.name) for each in BREAK_IT.drawn] == [
        ("forward", "ddof=1"),
        ("forward", "E[x²] − E[x]²"),
        ("backward", "no path through the mean"),
        ("update_running", "momentum the other way round"),
        ("inference", "inference with batch statistics"),
    ]
    assert BREAK_IT.points == dict.fromkeys("ABCDE", 2)


@pytest.mark.parametrize("seed", range(50))
def test_variants(seed: int) -> None:
    problem = BREAK_IT.variant(seed)
    assert problem == BREAK_IT.variant(seed) != BREAK_IT
    assert [each.letter for each in problem.drawn] == list("ABCDE")
    assert sorted(each.function for each in problem.drawn) == sorted([*KNOWN, "forward"])
    assert len({each.mistake.name for each in problem.drawn}) == 5
    assert (problem.name, problem.title) == ("break-it", "Break it")


def test_variants_differ() -> None:
    assert len({BREAK_IT.variant(seed).fingerprint for seed in range(200)} | {BREAK_IT.fingerprint}) == 201
    drawn = {(each.function, each.number) for seed in range(400) for each in BREAK_IT.variant(seed).drawn}
    assert drawn == {(each.function, each.number) for each in GALLERY}


def test_variants_are_drawn_with_nothing_that_another_python_draws_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any, **kwargs: Any) -> Any:
        raise AssertionError("only Random.random is the same in every version of Python")

    expected = BREAK_IT.variant(0)
    for name in ("choice", "choices", "getrandbits", "randint", "randrange", "sample", "shuffle", "uniform"):
        monkeypatch.setattr(Random, name, refuse)
    assert BREAK_IT.variant(0) == expected


def test_what_is_given_tells_no_mistake() -> None:
    for problem in VARIANTS:
        shown = repr(problem.given)
        assert not any(each.mistake.name in shown for each in problem.drawn)
        for accused, function in zip(problem.drawn, problem.suspects().values(), strict=True):
            seen = f"{function!r} {function.__name__} {function.__doc__} {inspect.signature(function)}"
            assert accused.mistake.name not in seen
            assert f"suspect_{accused.letter}" in seen
            assert accused.function in seen


@pytest.mark.parametrize("accused", GALLERY, ids=named)
def test_suspects_take_what_the_right_function_takes(accused: Suspect) -> None:
    problem = accusing(accused)
    function = problem.suspects()["A"]
    assert list(inspect.signature(function).parameters) == list(inspect.signature(RIGHT[accused.function]).parameters)
    inputs = {"forward": FORWARD, "backward": BACKWARD, "update_running": UPDATE, "inference": INFERENCE}[
        accused.function
    ]
    expected = call(accused.function, accused.mistake.compute, evidence.inputs_of(accused.function, observed(inputs)))
    lists = {name: inputs[name] for name in SIGNATURES[accused.function].inputs}
    for returned in (
        function(*lists.values()),
        function(*map(np.array, lists.values())),
        function(**{name: np.array(value) for name, value in lists.items()}),
    ):
        outputs = returned if isinstance(returned, tuple) else (returned,)
        for name, value in zip(SIGNATURES[accused.function].outputs, outputs, strict=True):
            np.testing.assert_array_equal(value, expected[name])
            assert value.shape == expected[name].shape


def test_a_suspect_may_change_what_it_is_given() -> None:
    x = np.array(X)
    accusing(suspect("forward", "an argument changed in place")).suspects()["A"](x, 1.0, 0.0, 0.0)
    assert not np.array_equal(x, X)


def test_a_traceback_does_not_show_what_a_suspect_does() -> None:
    accused = suspect("update_running", "each position by itself")
    function = accusing(accused).suspects()["A"]
    with pytest.raises(CannotCopeError, match="suspect A cannot cope with these inputs: ValueError") as error:
        function([1.0, 2.0], [1.0, 2.0], IMAGES, 0.1)
    shown = "".join(traceback.format_exception(error.value))
    assert "implementations" not in shown
    with pytest.raises(TypeError, match="missing a required argument: 'momentum'"):
        function([1.0, 2.0], [1.0, 2.0], IMAGES)


def test_suspects_and_functions_of_ones_own_can_be_tried() -> None:
    suspects = BREAK_IT.suspects()
    a = FORWARD | {"claim": STD}
    assert not BREAK_IT.holds(a, suspects["A"])
    assert BREAK_IT.holds(a, suspects["B"])
    assert BREAK_IT.holds(a, RIGHT["forward"])
    assert BREAK_IT.holds(UPDATE | {"claim": "close(new_mean[0], 1.2)"}, RIGHT["update_running"])
    assert BREAK_IT.holds(BACKWARD | {"claim": "close(sum(dx, 0), 0)"}, RIGHT["backward"])
    frozen = BACKWARD | {"running_mean": 0, "running_var": 1, "claim": "not close(sum(dx, 0), 0)"}
    assert BREAK_IT.holds(frozen, RIGHT["backward"])
    assert BREAK_IT.holds(
        INFERENCE | {"expected": RIGHT["inference"](**{k: np.array(v) for k, v in INFERENCE.items()})},
        RIGHT["inference"],
    )
    assert not BREAK_IT.holds(a, lambda x, gamma, beta, eps: np.zeros((2, 2, 2)))
    # A suspect that raises fails. What a function of one's own raises is shown.
    crash = UPDATE | {"x": IMAGES, "claim": "all(isfinite(new_mean))"}
    assert not BREAK_IT.holds(crash, accusing(suspect("update_running", "each position by itself")).suspects()["A"])
    with pytest.raises(ZeroDivisionError):
        BREAK_IT.holds(a, lambda x, gamma, beta, eps: 1 / 0)


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (None, "There is no answer yet."),
        (5, "Give a dictionary"),
        ({"x": X, "claim": STD}, "the inputs of none of the functions: forward takes x, gamma, beta and eps; backward"),
        (FORWARD | {"claim": "y"}, "Compare it with something"),
        (
            FORWARD | {"gamma": [1, 2, 3], "claim": STD},
            "gamma: expected 2 numbers, one for each feature. Yours: 3 numbers.",
        ),
        (FORWARD | {"x": np.ones((3, 2)), "claim": STD}, "no finite result"),
    ],
)
def test_what_cannot_be_tried_is_said(answer: Any, says: str) -> None:
    with pytest.raises(ValueError, match=re.escape(says)):
        BREAK_IT.holds(answer, RIGHT["forward"])


# Hints and solution


@pytest.mark.parametrize("accused", GALLERY, ids=named)
def test_hints_lead_there_and_are_no_evidence(accused: Suspect) -> None:
    hints = accusing(accused).hints("A")
    assert len(hints) == len(set(hints)) == 3
    for hint in hints:
        assert hint.endswith(".")
        assert "close(" not in hint
        assert accused.probe.claim not in hint
        assert accused.mistake.name not in hint or accused.mistake.name in accused.function


def test_hints_grow_with_the_tries() -> None:
    session = Session()
    shown = [repr(session.check(BREAK_IT, A=FORWARD | {"claim": f"close(mean(y, 0), {n})"})) for n in range(3)]
    _, rule, step = BREAK_IT.hints("A")
    assert [(rule in text, step in text) for text in shown] == [(False, False), (True, False), (True, True)]


@pytest.mark.parametrize("problem", VARIANTS, ids=lambda problem: str(problem.given))
def test_the_solution_can_be_handed_in(problem: BreakIt) -> None:
    answers = {}
    for (title, because, results), accused in zip(problem.solved(), problem.drawn, strict=True):
        assert title == accused.title
        assert accused.mistake.name in because[0]
        letter, _, literal = results[0].partition(" = ")
        answers[letter] = ast.literal_eval(literal)
        assert "the suspect" in results[1].lower()
    assert verify(problem, problem.observe(answers)).score == 10
    assert repr(solution(problem)).startswith("Break it: the solution\n")


def test_the_solution_shows_where_a_suspect_differs() -> None:
    ((_, _, results), *_) = BREAK_IT.solved()
    x = np.array([10.0, 40.0, 40.0])
    right, wrong = (3 * (10 - x.mean()) / x.std(ddof=ddof) - 1 for ddof in (0, 1))
    assert results[1] == f"y[0, 1] is {right:.4f}; the suspect gives {wrong:.4f}."


# The notebook

CELLS = {
    cell.id: cell.source for cell in to_notebook((ROOT / "exercises/source/batch-norm/7-break-it.md").read_text()).cells
}


@pytest.mark.parametrize("function", KNOWN)
def test_the_notebook_s_solution_exposes_every_suspect(function: str, capsys: pytest.CaptureFixture[str]) -> None:
    accused = [each for each in GALLERY if each.function == function]
    for start in range(0, len(accused), 5):
        five = (accused[start:] + accused)[:5]
        problem = accusing(*(replace(each, letter=letter) for each, letter in zip(five, "ABCDE", strict=True)))
        asks = 'problem = my_problem("break-it")\n'
        assert asks in CELLS["numbers"]
        names: dict[str, Any] = {"problem": problem}
        for cell in (CELLS["numbers"].replace(asks, ""), *(CELLS[cell] for cell in ("example", "try", *"ABCDE"))):
            exec(cell, names)
        verdict = verify(problem, problem.observe({letter: names[letter] for letter in "ABCDE"}))
        assert verdict.score == 10, verdict.findings
    shown = capsys.readouterr().out
    assert "passes with beta = 0: True\npasses with beta = 5: False\n" in shown
    assert f"E pretends to be {function}(" in shown


def test_the_notebook_tells_no_mistake() -> None:
    known = {mistake.name for mistakes in KNOWN.values() for mistake in mistakes}
    given = "\n".join(
        CELLS[cell] for cell in ("title", "numbers", "evidence", "example-text", "example", "try-text", "try")
    )
    assert not [name for name in known if name in given]


# What obvious checks catch: the page's table


@pytest.mark.parametrize("function", CHECKS)
def test_obvious_checks_pass_what_is_right_and_catch_something(function: str) -> None:
    found = dict(caught(function))
    assert found == dict(caught(function))  # whatever a wrong implementation did to its arguments
    assert list(found) == [mistake.name for mistake in KNOWN[function]]
    for number, check in enumerate(CHECKS[function]):
        assert not check.catches(RIGHT[function])
        assert 0 < sum(catches[number] for catches in found.values()) < len(found)


def test_obvious_checks_are_blind_where_one_would_expect() -> None:
    found = {function: dict(caught(function)) for function in CHECKS}
    assert found["forward"]["γ left out"] == (False, True, True)
    assert found["forward"]["ddof=1"] == (False, False, True)
    assert found["forward"]["E[x²] − E[x]²"] == (False, False, False)
    # The backward pass: a sum does not see the path through the variance, a sum of squares not that through the mean.
    assert found["backward"]["no path through the variance"][:2] == (False, True)
    assert found["backward"]["no path through the mean"][:2] == (True, False)
    assert found["backward"]["γ left out"] == (False, False, True, True)
    assert found["update_running"]["momentum the other way round"] == (False, True, True)
    assert found["inference"]["inference with batch statistics"] == (True, False, True)


def test_a_check_that_cannot_be_run_has_caught_something() -> None:
    check = CHECKS["forward"][0]
    assert check.catches(lambda x, gamma, beta, eps: 1 / 0)
    assert check.catches(lambda x, gamma, beta, eps: np.full_like(x, np.nan))


# Where to read on


def test_links_lead_to_sections_of_the_book() -> None:
    places = [each.see for each in HIDES]
    places += [value for module in (evidence, exposure) for value in vars(module).values() if isinstance(value, Link)]
    assert {each.anchor for each in places} == {"break-it-evidence", "break-it-inputs", "break-it-claims"}
    for place in places:
        text = (ROOT / "book" / f"{place.page}.md").read_text()
        section = re.search(rf"^\({place.anchor}\)=\n## (.*)$", text, re.MULTILINE)
        assert section is not None, place
        assert section[1] == place.text


# What takes long


def _within(times: int, inside: str) -> str:
    return "1<(" * times + inside + ")<1" * times


@pytest.mark.parametrize(
    ("claim", "says"),
    [
        (_within(24, "y[0, 0]"), "right implementation fails"),
        (_within(29, "y"), "right implementation fails"),
        (f"not {_within(24, 'y')}", ""),
        (_within(30, "y"), "nested too deeply"),
        ("<".join(["y"] * 201), "longer than 400"),
        ("<".join(["y"] * 199), "right implementation fails"),
        ("y[:, None] * y[:, None, :, None] != 7", f"{formula.MOST_VALUES:,} numbers"),
        ("y[:, :, None, None] * y > 0 and " * 3 + "y > 0", f"{formula.MOST_VALUES:,} numbers"),
        (f"{'y[:,None]*y+' * 21}y[0] != 7", f"{formula.MOST_WORK:,} numbers"),
        (f"all({'y[:, None] ** y * ' * 12}y != 7)", ""),
        ("9" * 380 + " > y", "too large"),
    ],
    ids=lambda each: each[:24],
)
def test_a_claim_that_takes_long_is_refused_or_does_not(monkeypatch: pytest.MonkeyPatch, claim: str, says: str) -> None:
    steps: list[int] = []
    evaluated = formula.Formula._evaluated

    def counted(self: formula.Formula, values: Any) -> Any:
        # At once, because what this is about never ends.
        assert len(steps) < 200
        steps.append(len(self._steps))
        return evaluated(self, values)

    monkeypatch.setattr(formula.Formula, "_evaluated", counted)
    x = np.sin(np.arange(180.0) ** 2).reshape(180, 1)
    inputs = {"x": np.repeat(x, 4, 1).tolist(), "gamma": 2, "beta": 1, "eps": 0.5}
    answer = {**inputs, "claim": claim}
    assert says in found("forward", "ddof=1", answer).sentence
    assert all(each <= 2 * formula.MOST_NODES for each in steps)
    # The same where the learner works.
    if says and "implementation" not in says:
        with pytest.raises(ValueError, match=says):
            BREAK_IT.holds(answer, RIGHT["forward"])
    else:
        BREAK_IT.holds(answer, RIGHT["forward"])
