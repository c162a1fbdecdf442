"""Problem 6: right functions in any style are accepted, wrong ones are not, and nothing that is handed in does harm."""

import html
import io
import json
import logging
import re
import textwrap
import warnings
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bn_exercises.answers import from_plain, plain
from bn_exercises.check import Session, solution
from bn_exercises.course.sources import to_notebook
from bn_exercises.functions.implement.problem import POINTS, Implement
from bn_exercises.functions.implement.styles import STYLES
from bn_exercises.functions.implementations import MISTAKES, RIGHT, WAYS, pairs
from bn_exercises.functions.recording import ARGUMENTS
from bn_exercises.problem import verify
from bn_exercises.problems import IMPLEMENT
from bn_exercises.verdict import Verdict
from bn_lib import BatchNorm, batch_norm, batch_norm_backward, batch_norm_inference

NOTEBOOK = Path(__file__).parents[2] / "exercises" / "source" / "batch-norm" / "6-implement.md"
SEEDS = range(4)

# The misconceptions of the course that a function can show.
KNOWN = {
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
    "β left out",
    "γ left out",
    "γ and β left out",
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


def judged(**functions: Any) -> Verdict:
    """The verdict on the right functions, with these in their place."""
    return verify(IMPLEMENT, IMPLEMENT.observe(RIGHT | functions))


def lost(verdict: Verdict) -> dict[str, str]:
    """What cost points, and for what kind of reason."""
    return {f.part: f.kind for f in verdict.findings if f.points < f.max_points}


# The gallery


@pytest.mark.parametrize("shape", [(6, 4), (2, 3, 5, 4)])
def test_right_functions_agree_with_the_library(shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    x, dy = rng.normal(size=shape), rng.normal(size=shape)
    gamma, beta, mean = rng.normal(size=(3, shape[1]))
    var, eps = rng.uniform(0.5, 2.0, size=shape[1]), 0.1
    y, cache = batch_norm(x, gamma, beta, eps=eps)
    np.testing.assert_allclose(RIGHT["forward"](x, gamma, beta, eps), y, rtol=1e-12)
    for own, expected in zip(RIGHT["backward"](dy, x, gamma, eps), batch_norm_backward(dy, cache), strict=True):
        np.testing.assert_allclose(own, expected, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(
        RIGHT["inference"](x, gamma, beta, mean, var, eps),
        batch_norm_inference(x, gamma, beta, mean, var, eps=eps),
        rtol=1e-12,
    )
    layer = BatchNorm(shape[1], eps=eps, momentum=0.3)
    layer.gamma, layer.running_mean, layer.running_var = gamma, mean, var
    layer.forward(x)
    for own, expected in zip(
        RIGHT["update_running"](mean, var, x, 0.3), (layer.running_mean, layer.running_var), strict=True
    ):
        np.testing.assert_allclose(own, expected, rtol=1e-12)
    layer.running_mean, layer.running_var = mean, var
    layer.eval().forward(x)
    dx = layer.backward(dy)
    for own, expected in zip(RIGHT["backward"](dy, x, gamma, eps, mean, var), (dx, *layer.grads.values()), strict=True):
        np.testing.assert_allclose(own, expected, rtol=1e-10, atol=1e-12)


def test_every_misconception_of_the_course_is_there() -> None:
    assert {m.name for mistakes in MISTAKES.values() for m in mistakes} >= KNOWN
    for mistakes in MISTAKES.values():
        names = [m.name for m in mistakes]
        assert len(set(names)) == len(names)
        for m in mistakes:
            assert m.says.endswith(".")
            assert m.see.page.startswith("chapters/")


def test_links_lead_to_sections_of_the_book() -> None:
    book = Path(__file__).parents[2] / "book"
    for mistakes in MISTAKES.values():
        for m in mistakes:
            text = (book / f"{m.see.page}.md").read_text()
            assert re.search(rf"^\({m.see.anchor}\)=\n(?:\(.*\)=\n)*#+ {re.escape(m.see.text)}$", text, re.MULTILINE), m


# The grader, graded


def test_every_mistake_is_given_to_the_grader() -> None:
    """That it catches and names them is tested for all problems together, on these seeds and more."""
    # Every way of every mistake on the book's inputs, and a half of the usual ways on each variant's.
    both_conventions = sum(map(len, WAYS.values())) + len(WAYS["update_running"])
    usual = sum(map(len, MISTAKES.values())) + len(MISTAKES["update_running"])
    assert len([*IMPLEMENT.mistaken()]) == both_conventions
    assert sum(len([*IMPLEMENT.variant(seed).mistaken()]) for seed in SEEDS) == len(SEEDS) // 2 * usual
    assert len([*IMPLEMENT.rightly()]) == len(STYLES) >= 12


def test_every_input_shows_some_mistake() -> None:
    shown: dict[tuple[str, str], set[str]] = {}
    for function, mistakes in MISTAKES.items():
        for m in mistakes:
            for part, probe in IMPLEMENT.exposed(function, m.compute):
                shown.setdefault((part, m.name), set()).add(probe.name)
    telling = {(part, name) for (part, _), names in shown.items() for name in names}
    assert telling >= {(p.part, p.name) for p in IMPLEMENT.probes}
    # Where one pass is taken for two, nothing else shows it.
    assert shown["forward", "E[x²] − E[x]²"] == {"large", "float32"}
    assert shown["update_running", "E[x²] − E[x]²"] == {"large"}


# Wrong functions as people write them: a function, its source, and the mistake that is to be named, if it is known.

REPLAY: list[tuple[str, str, str]] = [
    ("forward", "return gamma * (x - x.mean(0)) / (x.std(0) + eps) + beta", "ε outside the root"),
    ("forward", "return gamma * (x - x.mean(0)) / x.std(0) + beta", "ε missing"),
    ("forward", "s = x.std(0); return gamma * (x - x.mean(0)) / np.where(s > 0, s, 1) + beta", "ε missing"),
    ("forward", "return gamma * (x - x.mean(0)) / np.sqrt(x.var(0, ddof=1) + eps) + beta", "ddof=1"),
    ("forward", "return gamma * (x - x.mean(0)) / (x.var(0) + eps) + beta", "variance for standard deviation"),
    ("forward", "return gamma * x / np.sqrt(x.var(0) + eps) + beta", "not centred"),
    ("forward", "return gamma * (x - x.mean(0)) + beta", "not divided"),
    ("forward", "x = x.T; return (gamma[:, None] * (x - x.mean(0)) / np.sqrt(x.var(0) + eps)).T + beta", "over rows"),
    ("forward", "return gamma * (x - x.mean()) / np.sqrt(x.var() + eps) + beta", "over everything"),
    (
        "forward",
        "m = x.mean(0); v = np.maximum((x ** 2).mean(0) - m ** 2, 0)\nreturn gamma * (x - m) / np.sqrt(v + eps) + beta",
        "E[x²] − E[x]²",
    ),
    (
        "forward",
        "x = x.astype(float); m = x.mean(0)\nreturn gamma * (x - m) / np.sqrt((x * x).mean(0) - m * m + eps) + beta",
        "E[x²] − E[x]²",
    ),
    ("forward", "x = np.float32(x); return gamma * (x - x.mean(0)) / np.sqrt(x.var(0) + eps) + beta", "float32 where"),
    ("forward", "return beta * (x - x.mean(0)) / np.sqrt(x.var(0) + eps) + gamma", "γ and β swapped"),
    ("forward", "return gamma * ((x - x.mean(0)) / np.sqrt(x.var(0) + eps) + beta)", "β scaled too"),
    ("forward", "return (x - x.mean(0)) / np.sqrt(x.var(0) + eps)", "γ and β left out"),
    ("forward", "return gamma * (x - x.mean(0)) / np.sqrt(x.var(0) + 1e-5) + beta", "ε not the one given"),
    ("forward", "return gamma * (x - x.mean(0)) / np.maximum(x.std(0), eps) + beta", "ε as a floor"),
    ("forward", "return gamma * (x - x.mean(0)) / np.sqrt(np.maximum(x.var(0), eps)) + beta", "ε as a floor"),
    ("forward", "return np.abs(gamma) * (x - x.mean(0)) / np.sqrt(x.var(0) + eps) + beta", ""),
    ("forward", "return np.round(gamma * (x - x.mean(0)) / np.sqrt(x.var(0) + eps) + beta, 3)", ""),
    ("forward", "return gamma * (x - np.median(x, 0)) / np.sqrt(x.var(0) + eps) + beta", ""),
    (
        "forward",
        "return gamma * (x - x.mean(0)) / np.sqrt(((x - x.mean(0)) ** 2).sum(0) + eps) + beta",
        "not divided by m",
    ),
    (
        "forward",
        "x -= x.mean(0); return gamma * x / np.sqrt((x * x).mean(0) + eps) + beta",
        "an argument changed in place",
    ),
    ("forward", "return gamma * (x - x.mean(0)) / np.sqrt(x.var(0) + eps) + beta, x.mean(0)", ""),
    # For images only: rows are right.
    (
        "images",
        "a = (0, 1, 2) if x.ndim == 4 else 0\nreturn _forward(x, gamma, beta, eps, a)",
        "wrong channel axis",
    ),
    ("images", "return _forward(x, gamma, beta, eps, 0)", "each position by itself"),
    ("images", "a = (2, 3) if x.ndim == 4 else 0\nreturn _forward(x, gamma, beta, eps, a)", "each image by itself"),
    ("images", "a = (1, 2, 3) if x.ndim == 4 else 0\nreturn _forward(x, gamma, beta, eps, a)", "layer instead of"),
    (
        "images",
        "r = x.reshape(-1, x.shape[1]); return _forward(r, gamma, beta, eps, 0).reshape(x.shape)",
        "images reshaped, channels not moved",
    ),
    (
        "images",
        "y = RIGHT['forward'](x.reshape(len(x[0]), -1).T if x.ndim == 4 else x, gamma, beta, eps)\n"
        "return y.T.reshape(x.shape) if x.ndim == 4 else y",
        "images reshaped, channels not moved",
    ),
    ("images", "return gamma * (x - x.mean(0)) / np.sqrt(x.var(0) + eps) + beta", ""),
    ("backward", "return gamma * dy / r, dgamma, dbeta", "only the direct path"),
    ("backward", "return gamma * (dy - dy.mean(0)) / r, dgamma, dbeta", "no path through the variance"),
    ("backward", "return gamma * (dy - h * (dy * h).mean(0)) / r, dgamma, dbeta", "no path through the mean"),
    ("backward", "return (dy - dy.mean(0) - h * (dy * h).mean(0)) / r, dgamma, dbeta", "γ left out"),
    ("backward", "return gamma * (dy - dbeta - h * dgamma) / r, dgamma, dbeta", "not shared among the samples"),
    ("backward", "return gamma * (dy + dy.mean(0) + h * (dy * h).mean(0)) / r, dgamma, dbeta", "indirect paths with"),
    ("backward", "return dx, (dy * x).sum(0), dbeta", "x for x̂ in dγ"),
    ("backward", "return dx, (dy * h).mean(0), dy.mean(0)", "dγ and dβ averaged"),
    ("backward", "return dx, dbeta, dgamma", "dγ and dβ swapped"),
    ("backward", "return dx, dy * h, dy", "dγ and dβ not summed"),
    ("backward", "return dx / r, dgamma, dbeta", "divided by the root twice"),
    ("backward", "return dx, dgamma", ""),
    (
        "backward",
        "d = x - x.mean(0); v = x.var(0, ddof=1) + eps; h = d / np.sqrt(v)\n"
        "return gamma * (dy - dy.mean(0) - h * (dy * h).mean(0)) / np.sqrt(v), (dy * h).sum(0), dbeta",
        "ddof=1",
    ),
    (
        "backward",
        "s, f = np.zeros_like(x), lambda x: _forward(x, gamma, gamma, eps, 0)\n"
        "for i in np.ndindex(x.shape):\n"
        "    e = np.zeros_like(x); e[i] = 0.1\n"
        "    s[i] = (dy * (f(x + e) - f(x - e))).sum() / 0.2\n"
        "return s, dgamma, dbeta",
        "",
    ),
    ("frozen", "return dx, dgamma, dbeta", "given statistics ignored"),
    (
        "frozen",
        "h, r = (h, r) if mean is None else ((x - mean) / np.sqrt(var + eps), np.sqrt(var + eps))\n"
        "return gamma * (dy - dy.mean(0) - h * (dy * h).mean(0)) / r, (dy * h).sum(0), dbeta",
        "training-mode gradient on frozen statistics",
    ),
    (
        "frozen",
        "return (dx if mean is None else gamma * dy / np.sqrt(var + eps)), dgamma, dbeta",
        "given statistics ignored",
    ),
    ("update_running", "return momentum * m + (1 - momentum) * bm, momentum * v + (1 - momentum) * bv", "momentum the"),
    ("update_running", "return bm, bv", "last batch instead of running average"),
    ("update_running", "return (m + bm) / 2, (v + bv) / 2", "plain average"),
    (
        "update_running",
        "k = momentum; return (1 - k) * m + k * bm, (1 - k) * v + k * bv ** 0.5",
        "standard deviation for variance",
    ),
    ("update_running", "return (1 - momentum) * m + momentum * bm, v", "running variance not updated"),
    (
        "update_running",
        "k = momentum; return (1 - k) * v + k * bv, (1 - k) * m + k * bm",
        "running statistics returned the wrong way round",
    ),
    ("update_running", "return momentum * bm, momentum * bv", "old value dropped"),
    ("update_running", "return 0.9 * m + 0.1 * bm, 0.9 * v + 0.1 * bv", "momentum not the one given"),
    (
        "update_running",
        "k = momentum; return (1 - k) * m + k * bm, (1 - k) * v + k * ((x - m) ** 2).mean(0)",
        "variance around the running mean",
    ),
    ("update_running", "k = momentum; return (1 - k) * m + k * bm, (1 - k) * v + k * (x.mean(0) - m) ** 2", ""),
    (
        "update_running",
        "x -= bm; k = momentum; return (1 - k) * m + k * bm, (1 - k) * v + k * bv",
        "an argument changed",
    ),
    ("inference", "return gamma * (x - x.mean(0)) / np.sqrt(x.var(0) + eps) + beta", "inference with batch statistics"),
    (
        "inference",
        "m += 0.1 * (x.mean(0) - m); v += 0.1 * (x.var(0) - v)\nreturn _stored(x)",
        "inference that moves",
    ),
    (
        "inference",
        "y = _stored(x)\nm *= 0.9; m += 0.1 * x.mean(0)\nreturn y",
        "inference that moves the statistics",
    ),
    (
        "inference",
        "return _stored(x) if len(x) == 1 else _forward(x, gamma, beta, eps, 0)",
        "inference with batch statistics",
    ),
    ("inference", "return gamma * (x - x.mean(0)) / np.sqrt(v + eps) + beta", "inference with batch statistics"),
    ("inference", "return gamma * (x - v) / np.sqrt(m + eps) + beta", "mean and variance swapped"),
    ("inference", "return gamma * (x - m) / np.sqrt(v) + beta", "ε missing"),
    ("inference", "return gamma * (x - m) / (v + eps) + beta", "variance for standard deviation"),
]

# What stands before the line above, so that it reads as people write it.
BEFORE = {
    "forward": "def forward(x, gamma, beta, eps):",
    "images": "def forward(x, gamma, beta, eps):",
    "backward": """def backward(dy, x, gamma, eps, mean=None, var=None):
    if x.ndim == 4 or mean is not None:
        return RIGHT["backward"](dy, x, gamma, eps, mean, var)
    dx, dgamma, dbeta = RIGHT["backward"](dy, x, gamma, eps)
    r = np.sqrt(x.var(0) + eps)
    h = (x - x.mean(0)) / r""",
    "frozen": """def backward(dy, x, gamma, eps, mean=None, var=None):
    dx, dgamma, dbeta = RIGHT["backward"](dy, x, gamma, eps)
    if x.ndim == 4 or mean is None:
        return RIGHT["backward"](dy, x, gamma, eps, mean, var)
    r = np.sqrt(x.var(0) + eps)
    h = (x - x.mean(0)) / r""",
    "update_running": """def update_running(m, v, x, momentum):
    axes = 0 if x.ndim == 2 else (0, 2, 3)
    bm, bv = x.mean(axes), x.var(axes)""",
    "inference": """def inference(x, gamma, beta, m, v, eps):
    _stored = lambda x: gamma * (x - m) / np.sqrt(v + eps) + beta
    if x.ndim == 4:
        return RIGHT["inference"](x, gamma, beta, m, v, eps)""",
}


def _forward(x: Any, gamma: Any, beta: Any, eps: float, axes: Any) -> Any:
    shape = (1, -1, 1, 1)[: x.ndim]
    x_hat = (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + eps)
    return gamma.reshape(shape) * x_hat + beta.reshape(shape)


def written(part: str, line: str) -> dict[str, Callable[..., Any]]:
    """The function that somebody wrote, by its name."""
    namespace: dict[str, Any] = {"np": np, "RIGHT": RIGHT, "_forward": _forward}
    exec(f"{BEFORE[part]}\n{textwrap.indent(line, '    ')}", namespace)
    name = next(name for name in RIGHT if name in namespace)
    return {name: namespace[name]}


@pytest.mark.parametrize(("part", "line", "named"), REPLAY, ids=[f"{p}: {n or line[:40]}" for p, line, n in REPLAY])
def test_no_wrong_implementation_passes(part: str, line: str, named: str) -> None:
    verdict = judged(**written(part, line))
    assert not verdict.right
    finding = verdict.of(part)
    assert finding.points == 0
    assert finding.kind in ("misconception", "wrong", "form")
    if named:
        (name,) = finding.misconceptions
        assert name.startswith(named)
        assert finding.see is not None
    else:
        assert finding.misconceptions == ()


def test_the_replay_is_as_long_as_promised() -> None:
    assert len(REPLAY) >= 26 * 2
    assert {part for part, *_ in REPLAY} == set(POINTS)


@pytest.mark.parametrize("part", BEFORE)
def test_what_stands_before_the_wrong_lines_is_right(part: str) -> None:
    # Else the replay would fail for another reason.
    lines = {
        "forward": "return RIGHT['forward'](x, gamma, beta, eps)",
        "images": "return _forward(x, gamma, beta, eps, 0 if x.ndim == 2 else (0, 2, 3))",
        "backward": "return gamma * (dy - dy.mean(0) - h * (dy * h).mean(0)) / r, dgamma, dbeta",
        "frozen": "return RIGHT['backward'](dy, x, gamma, eps, mean, var)",
        "update_running": "k = momentum; return (1 - k) * m + k * bm, (1 - k) * v + k * bv",
        "inference": "return _stored(x)",
    }
    assert judged(**written(part, lines[part])).right


# What is said


def test_right_and_wrong_inputs_are_named() -> None:
    finding = judged(**written("forward", "return _forward(x, gamma, beta, max(eps, 1e-4), 0)")).of("forward")
    assert finding.sentence == (
        "Not right, and not a mistake that is known here. Right on an ordinary batch; with as many samples as "
        "features; with a feature that does not vary; where the values are near 100,000,000; where the values are "
        "spread over thousands; in float32, near 10,000. Wrong where the values are near 0.001; where the values are "
        "near 0.00001."
    )


@pytest.mark.parametrize(
    ("part", "line", "says"),
    [
        ("backward", "return dx, dgamma * 3, dbeta", "dx and dbeta are right, dgamma is not."),
        ("backward", "return dx, dgamma ** 2, -dbeta", "dx is right, dgamma and dbeta are not."),
        ("backward", "return dx * 3, dgamma, dbeta", "dgamma and dbeta are right, dx is not."),
        (
            "frozen",
            "return RIGHT['backward'](dy, x, gamma, eps, mean, var)[0], 2 * dgamma, dbeta",
            "dx and dbeta are right, dgamma is not.",
        ),
        (
            "update_running",
            "k = momentum; return (1 - k) * m + k * bm, (1 - k) * v + 2 * k * bv",
            "running_mean is right, running_var is not.",
        ),
        (
            "update_running",
            "k = momentum; return (1 - k) * m + 2 * k * bm, (1 - k) * v + k * bv",
            "running_var is right, running_mean is not.",
        ),
        (
            "update_running",
            "k = momentum; return (1 - k) * m + 2 * k * bm, (1 - k) * v + k * x.var(axes, ddof=1)",
            "running_var is right, running_mean is not.",
        ),
    ],
)
def test_the_wrong_one_of_several_outputs_is_named(part: str, line: str, says: str) -> None:
    finding = judged(**written(part, line)).of(part)
    assert finding.kind == "wrong"
    assert finding.sentence.startswith("Not right, and not a mistake that is known here. Wrong everywhere: on an ord")
    assert finding.sentence.endswith(f". {says}")


def test_nothing_is_said_of_outputs_that_are_all_wrong() -> None:
    finding = judged(**written("backward", "return dx ** 2, 2 * dgamma, -dbeta")).of("backward")
    assert finding.kind == "wrong"
    assert "right, " not in finding.sentence.partition("known here.")[2]
    # Of one output there is nothing to tell apart.
    assert " y " not in judged(**written("forward", "return x ** 2")).of("forward").sentence


def test_the_wrong_one_of_several_outputs_is_named_for_images() -> None:
    def backward(dy: Any, x: Any, gamma: Any, eps: float, mean: Any = None, var: Any = None) -> Any:
        dx, dgamma, dbeta = RIGHT["backward"](dy, x, gamma, eps, mean, var)
        return dx, dgamma, dbeta * (1 if x.ndim == 2 else 2)

    verdict = judged(backward=backward)
    assert lost(verdict) == {"images": "wrong"}
    assert verdict.of("images").sentence.endswith("dx and dgamma are right, dbeta is not.")


def test_hints_of_backward_are_about_all_three_gradients() -> None:
    # Any of them may be the wrong one.
    for hint in (*IMPLEMENT.hints("backward"), IMPLEMENT.hints("frozen")[0]):
        assert re.search("dx", hint)
        assert re.search("dγ|dgamma", hint)
        assert re.search("dβ|dbeta", hint)


def test_numbers_that_cannot_be_compared_do_not_hide_wrong_ones() -> None:
    around_two = "k = momentum; return (1 - k) * m + k * bm, (1 - k) * v + k * ((x - 2) ** 2).mean(axes)"
    wrong = written("update_running", around_two)
    finding = judged(**wrong).of("update_running")
    assert finding.kind == "wrong"
    assert finding.sentence == (
        "Not right, and not a mistake that is known here. Wrong on an ordinary batch; after two different batches; "
        "where the values are near 0.001; where the values are near 0.00001; where the values are spread over "
        "thousands. running_mean is right, running_var is not. Where the values are near 100,000,000, with x of the "
        "shape (6, 3): running_var: This holds a value that is infinite, or too large to be meant."
    )
    assert Session().check(IMPLEMENT, **wrong).hints["update_running"] == IMPLEMENT.hints("update_running")[:1]
    # Nor where other inputs come out right.
    careful = "assert np.abs(x).max() < 1e6; return _forward(x, gamma, beta, max(eps, 1e-4), 0)"
    finding = judged(**written("forward", careful)).of("forward")
    assert finding.kind == "wrong"
    assert "Right on an ordinary batch; " in finding.sentence
    assert "Wrong where the values are near 0.001; where the values are near 0.00001. Where the" in finding.sentence
    assert finding.sentence.endswith("It raised AssertionError.")


def test_where_nothing_is_wrong_but_what_cannot_be_compared_that_is_said_alone() -> None:
    line = "assert (x.var(axis=0) > 0).all(); return RIGHT['forward'](x, gamma, beta, eps)"
    finding = judged(**written("forward", line)).of("forward")
    assert finding.kind == "form"
    assert finding.sentence == (
        "With a feature that does not vary, with x of the shape (5, 3): It raised AssertionError."
    )


def test_a_mistake_counts_once() -> None:
    # ddof=1 in forward, rows and images alike: 2 points, not 3.
    verdict = judged(forward=next(m.compute for m in MISTAKES["forward"] if m.name == "ddof=1"))
    assert lost(verdict) == {"forward": "misconception"}
    assert verdict.of("images").kind == "follow-on"
    # Also where the mistake has no name.
    cube = written("forward", "return RIGHT['forward'](x, gamma, beta, eps) ** 3")
    verdict = judged(**cube)
    assert lost(verdict) == {"forward": "wrong"}
    # γ left out in training and with given statistics: 3 points, not 4.
    verdict = judged(backward=next(m.compute for m in MISTAKES["backward"] if m.name == "γ left out"))
    assert lost(verdict) == {"backward": "misconception"}
    assert verdict.of("frozen").kind == "follow-on"
    assert verdict.score == 7


def test_who_is_wrong_for_images_only_follows_from_nothing() -> None:
    # Right on rows up to 9 of them, so nothing was counted before.
    late = written(
        "forward", "return RIGHT['forward'](x, gamma, beta, eps) * (1 if len(x) < 10 and x.ndim == 2 else 2)"
    )
    assert lost(judged(**late)) == {"images": "wrong"}


def test_who_takes_no_given_statistics_loses_nothing_else() -> None:
    verdict = judged(backward=lambda dy, x, gamma, eps: RIGHT["backward"](dy, x, gamma, eps))
    assert lost(verdict) == {"frozen": "form"}
    assert "It raised TypeError" in verdict.of("frozen").sentence


@pytest.mark.parametrize("line", ["(1 - k) * m + k * x.mean(0)", "k * x.mean(0) + (1 - k) * m"])
def test_shapes_that_do_not_fit_are_told_in_either_order(line: str) -> None:
    rows_only = written("update_running", f"k = momentum; return {line}, (1 - k) * v + k * x.var(0)")
    verdict = judged(**rows_only)
    assert lost(verdict) == {"images": "misconception"}
    assert verdict.of("images").misconceptions == ("each position by itself",)
    assert verdict.of("images").sentence.startswith("In update_running: ")


def test_the_same_mistake_in_two_functions_is_said_once() -> None:
    def of(function: str) -> Callable[..., Any]:
        return next(m.compute for m in MISTAKES[function] if m.name == "each image by itself")

    finding = judged(forward=of("forward"), backward=of("backward")).of("images")
    assert finding.misconceptions == ("each image by itself",)
    assert finding.sentence.startswith("In forward and backward: For images you averaged over the positions only.")


@pytest.mark.parametrize("function", ["forward", "backward", "update_running", "inference"])
def test_two_mistakes_at_once_are_told(function: str) -> None:
    part, told, tried = function, 0, 0
    # They are thousands: some twenty of them.
    for first, second, compute in islice(pairs(function, part), 0, None, 207 if function == "backward" else 46):
        finding = judged(**{function: compute}).of(part)
        if finding.points:
            # Both are about what another part asks for.
            continue
        tried += 1
        both = {first.name, second.name}
        # One of them alone gives the same numbers where the other does not show.
        told += any(set(names.split(" + ")) == both or names in both for names in finding.misconceptions)
    assert tried > 10
    assert told >= 0.99 * tried


def test_nobody_who_keeps_the_digits_is_said_to_lose_them() -> None:
    line = "return RIGHT['forward'](x, gamma, beta, eps) + (np.abs(x).max() < 1000) * (gamma + beta)"
    finding = judged(**written("forward", line)).of("forward")
    assert finding.kind == "wrong"
    # A known mistake, but not where the values are large: not that mistake, and no other with it.
    line = "return _forward(x, gamma, beta, eps, 0) + 2 * beta * (np.abs(x).max() < 1000) * -1"
    finding = judged(**written("forward", line)).of("forward")
    assert finding.misconceptions == ()


def test_images_reshaped_without_moving_the_channels_are_told_in_every_function() -> None:
    def forward(x: Any, gamma: Any, beta: Any, eps: float) -> Any:
        rows = x.reshape(-1, x.shape[1])
        return RIGHT["forward"](rows, gamma, beta, eps).reshape(x.shape)

    def backward(dy: Any, x: Any, gamma: Any, eps: float, mean: Any = None, var: Any = None) -> Any:
        c = x.shape[1]
        dx, *others = RIGHT["backward"](dy.reshape(-1, c), x.reshape(-1, c), gamma, eps, mean, var)
        return dx.reshape(x.shape), *others

    def update_running(running_mean: Any, running_var: Any, x: Any, momentum: float) -> Any:
        return RIGHT["update_running"](running_mean, running_var, x.reshape(-1, x.shape[1]), momentum)

    def inference(x: Any, gamma: Any, beta: Any, running_mean: Any, running_var: Any, eps: float) -> Any:
        rows = x.reshape(-1, x.shape[1])
        return RIGHT["inference"](rows, gamma, beta, running_mean, running_var, eps).reshape(x.shape)

    functions: tuple[Callable[..., Any], ...] = (forward, backward, update_running, inference)
    for function in functions:
        verdict = judged(**{function.__name__: function})
        assert lost(verdict) == {"images": "misconception"}
        assert verdict.of("images").misconceptions == ("images reshaped, channels not moved",)


def test_a_mistake_that_gives_no_numbers_is_not_seen_in_numbers() -> None:
    # "each position by itself" raises here, so nobody can tell by what came out.
    verdict = judged(
        **written("update_running", "k = momentum * (1 + (x.ndim == 4)); return m + k * (bm - m), v + k * (bv - v)")
    )
    assert lost(verdict) == {"images": "wrong"}


def test_both_conventions_are_right_and_said() -> None:
    unbiased = judged().of("update_running")
    biased = judged(**STYLES["biased running variance"]).of("update_running")
    assert "the unbiased one, divided by m − 1" in unbiased.sentence
    assert "the biased one, divided by m," in biased.sentence
    assert unbiased.points == biased.points == 1


def test_a_mixture_of_conventions_is_not_right() -> None:
    mixed = written(
        "update_running",
        "k = momentum; d = len(x) > 5; v = (1 - k) * v + k * x.var(axes, ddof=d); return (1 - k) * m + k * bm, v",
    )
    assert lost(judged(**mixed)) == {"update_running": "wrong"}


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (5, "This is not a function."),
        ("forward", "This is not a function."),
        (np.zeros((6, 4)), "This is not a function."),
        (lambda: 1, "It raised TypeError"),
        (lambda x, gamma, beta, eps: 1 / 0, "It raised ZeroDivisionError: “division by zero”."),
        (lambda x, gamma, beta, eps: exit(), "It raised SystemExit"),
        (lambda x, gamma, beta, eps: np.abs(None), "It raised TypeError"),
        (lambda x, gamma, beta, eps: print(), "It returned None. Is there a return at the end?"),
        (lambda x, gamma, beta, eps: (x, x), "It returned 2 things. Expected: y."),
        (lambda x, gamma, beta, eps: x * np.nan, "y: This holds a value that is not a number (nan)."),
        (lambda x, gamma, beta, eps: x * np.inf, "y: This holds a value that is infinite"),
        (lambda x, gamma, beta, eps: x * 1j, "y: These numbers are complex."),
        (lambda x, gamma, beta, eps: "y", "y: This is text."),
        (lambda x, gamma, beta, eps: {"y": x}, "y: This is a dictionary."),
        (lambda x, gamma, beta, eps: [], "y: This holds no number."),
        (lambda x, gamma, beta, eps: np.zeros(10**6), "y: These are far more numbers than were asked for."),
        (lambda x, gamma, beta, eps: [1, [2, 3]], "y: The rows have different lengths."),
        (lambda x, gamma, beta, eps: object(), "y: This cannot be read as numbers."),
        (lambda x, gamma, beta, eps: forward_for_ever(x), "It raised RecursionError"),
        (
            lambda x, gamma, beta, eps: x.T,
            "On an ordinary batch, with x of the shape (6, 4): y has the shape (4, 6). Expected: (6, 4).",
        ),
        (
            lambda x, gamma, beta, eps: RIGHT["forward"](x, gamma, beta, eps)[:-1],
            "On an ordinary batch, with x of the shape (6, 4): y has the shape (5, 4). Expected: (6, 4).",
        ),
    ],
)
def test_careless_functions_get_a_sentence(answer: Any, says: str) -> None:
    verdict = judged(forward=answer)
    finding = verdict.of("forward")
    assert says in finding.sentence
    assert finding.kind == "form"
    assert verdict.score == 10 - 2 - 1  # nothing can be said of its images either


def forward_for_ever(x: Any) -> Any:
    return forward_for_ever(x)


def test_functions_that_do_nothing_earn_nothing() -> None:
    # They do the same with images and with rows, but that shows no axes.
    functions = {
        "forward": lambda x, gamma, beta, eps: x,
        "backward": lambda dy, x, gamma, eps, mean=None, var=None: (dy, gamma, gamma),
        "update_running": lambda running_mean, running_var, x, momentum: (running_mean, running_var),
        "inference": lambda x, gamma, beta, running_mean, running_var, eps: x,
    }
    assert judged(**functions).score == 0
    assert judged(**functions | {"inference": RIGHT["inference"]}).score == 2


def test_several_outputs_in_other_forms() -> None:
    says = judged(backward=lambda *a: 1).of("backward").sentence
    assert says == "It returned one thing. Expected: dx, dgamma, dbeta."
    says = judged(backward=lambda *a: (a[0], a[0])).of("backward").sentence
    assert says == "It returned 2 things. Expected: dx, dgamma, dbeta."
    says = judged(backward=lambda *a: (a[0],)).of("backward").sentence
    assert says == "It returned one thing. Expected: dx, dgamma, dbeta."
    # One of the batches has three samples.
    assert 3 in [p.shape[0] for p in IMPLEMENT.probes if p.part == "backward"]
    says = judged(backward=lambda *a: a[0]).of("backward").sentence
    assert says == "It returned one array. Expected: dx, dgamma, dbeta."
    says = judged(update_running=lambda *a: a[0]).of("update_running").sentence
    assert says == "It returned one array. Expected: running_mean, running_var."
    says = judged(backward=lambda *a: (a[0], None, a[0])).of("backward").sentence
    assert says == "dgamma: There is no answer yet."
    stacked = judged(update_running=lambda *a: np.stack(RIGHT["update_running"](*a)))
    assert stacked.right

    def of_objects(*arguments: Any) -> Any:
        gradients = np.empty(3, dtype=object)
        gradients[:] = RIGHT["backward"](*arguments)
        return gradients

    assert judged(backward=of_objects).right


@pytest.mark.parametrize("missing", [None, ...])
def test_nothing_yet(missing: Any) -> None:
    verdict = verify(IMPLEMENT, IMPLEMENT.observe(dict.fromkeys(RIGHT, missing)))
    assert {f.kind for f in verdict.findings} == {"missing"}
    assert verify(IMPLEMENT, {}) == verdict


def test_a_function_whose_body_is_still_to_be_written_is_no_answer_yet() -> None:
    def documented(x: Any, gamma: Any, beta: Any, eps: Any) -> Any:
        """What it is to do."""

    def passed(x: Any, gamma: Any, beta: Any, eps: Any) -> Any:
        pass

    def raising(x: Any, gamma: Any, beta: Any, eps: Any) -> Any:
        raise NotImplementedError

    for function in (documented, passed, raising):
        assert judged(forward=function).of("forward").kind == "missing"


def test_a_notebook_half_done_is_judged_as_far_as_it_goes() -> None:
    verdict = verify(IMPLEMENT, IMPLEMENT.observe(dict.fromkeys(RIGHT, None) | {"forward": RIGHT["forward"]}))
    assert verdict.score == 2
    assert verdict.of("images").kind == "missing"
    assert verdict.of("images").title == "(f) images: right in forward; the rest is still to come"


def test_only_what_was_answered_is_shown() -> None:
    shown = repr(Session().check(IMPLEMENT, forward=RIGHT["forward"]))
    assert shown.splitlines() == ["Implement it: 2 of 10 points", "  ✓ (a) forward. Right. 2 of 2 points."]
    checked = Session().check(IMPLEMENT, backward=RIGHT["backward"], foreward=1)
    assert [f.part for f in checked.verdict.findings] == ["backward", "frozen", ""]
    assert "The names: forward, backward, update_running, inference." in repr(checked)


def test_hints_grow() -> None:
    session = Session()
    for tries in (1, 2, 3):
        checked = session.check(IMPLEMENT, forward=lambda x, gamma, beta, eps, k=tries: k * x)
        assert len(checked.hints["forward"]) == tries
    assert all(len(IMPLEMENT.hints(part)) == 3 for part in POINTS)


def test_solution_is_the_source_and_earns_all_points() -> None:
    namespace: dict[str, Any] = {"np": np}
    lines = [line for _, _, results in IMPLEMENT.solved() for line in results]
    exec("\n".join(lines), namespace)
    assert judged(**{name: namespace[name] for name in RIGHT}).right
    shown = repr(solution(IMPLEMENT))
    assert all(line in shown for line in lines)
    assert ": Array" not in shown
    page = solution(IMPLEMENT)._repr_html_()
    indented = [html.escape(line) for line in lines if line.startswith("    ")]
    assert indented
    assert all(f"<code>{line}</code>" in page for line in indented)
    assert re.search(r"\.bn-checked code \{[^}]*white-space: pre-wrap;", page)


# No harm


def test_functions_get_copies() -> None:
    before = repr(IMPLEMENT.probes)

    def destroy(*arguments: Any) -> Any:
        for argument in arguments:
            if isinstance(argument, np.ndarray):
                argument *= 0
        return arguments[0]

    IMPLEMENT.observe(dict.fromkeys(RIGHT, destroy))
    assert repr(IMPLEMENT.probes) == before
    assert judged().right


@pytest.mark.parametrize("name", ["x", "gamma", "beta"])
def test_an_argument_changed_in_place_is_named(name: str) -> None:
    def forward(x: Any, gamma: Any, beta: Any, eps: float) -> Any:
        y = RIGHT["forward"](x, gamma, beta, eps)
        {"x": x, "gamma": gamma, "beta": beta}[name][...] = 0
        return y

    finding = judged(forward=forward).of("forward")
    assert finding.misconceptions == ("an argument changed in place",)
    assert finding.sentence.endswith(f"Changed: {name}.")
    assert judged(forward=forward).score == 8


def test_nothing_comes_to_standard_error_and_settings_stay(capsys: pytest.CaptureFixture[str]) -> None:
    def noisy(x: Any, gamma: Any, beta: Any, eps: float) -> Any:
        import sys

        np.seterr(all="raise")
        warnings.warn("a warning", stacklevel=1)
        warnings.simplefilter("error")
        print("some noise", file=sys.stderr)
        return RIGHT["forward"](x, gamma, beta, eps) + np.log(np.float64(-1.0)) * 0

    settings, filters = np.geterr(), list(warnings.filters)
    judged(forward=noisy)
    judged(forward=lambda x, gamma, beta, eps: x / np.zeros(1))
    captured = capsys.readouterr()
    assert captured.err == ""
    assert "some noise" in captured.out
    assert np.geterr() == settings
    assert list(warnings.filters) == filters


@pytest.mark.parametrize("before", [logging.NOTSET, logging.INFO])
def test_a_logger_does_not_write_to_standard_error(before: int) -> None:
    written_to = io.StringIO()  # the standard error when the handler was made
    logger = logging.getLogger("a learner's")
    handler = logging.StreamHandler(written_to)
    logger.addHandler(handler)

    def forward(x: Any, gamma: Any, beta: Any, eps: float) -> Any:
        logger.critical("computing")
        if len(x) == 3:
            raise ValueError
        return RIGHT["forward"](x, gamma, beta, eps)

    logging.disable(before)
    try:
        assert judged(forward=forward).of("forward").kind == "form"
        assert written_to.getvalue() == ""
        assert logging.root.manager.disable == before
        logger.critical("as before")
        assert written_to.getvalue() == "as before\n"
    finally:
        logging.disable(logging.NOTSET)
        logger.removeHandler(handler)


def test_a_learner_may_interrupt() -> None:
    def interrupted(*arguments: Any) -> Any:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        IMPLEMENT.observe({"forward": interrupted})


def test_an_exception_that_cannot_be_shown() -> None:
    class Evil(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    def forward(*arguments: Any) -> Any:
        raise Evil

    def long(*arguments: Any) -> Any:
        raise ValueError("x" * 10_000 + "\nsecond line")

    assert judged(forward=forward).of("forward").sentence == "It raised Evil."
    assert len(judged(forward=long).of("forward").sentence) < 200


def test_observations_survive_being_stored() -> None:
    cases = [dict(functions) for functions in STYLES.values()]
    cases += [RIGHT | {f: m.compute} for f, mistakes in MISTAKES.items() for m in mistakes[::9]]
    cases += [dict.fromkeys(RIGHT, None), {"forward": 5}, {"forward": RIGHT["backward"]}]
    for functions in cases:
        observed = IMPLEMENT.observe(functions)
        stored = from_plain(json.loads(json.dumps(plain(observed))))
        assert verify(IMPLEMENT, stored) == verify(IMPLEMENT, observed)


@pytest.mark.parametrize(
    "junk",
    [
        None,
        5,
        "text",
        [],
        {"ordinary": 5},
        {"ordinary": {"outputs": 5}},
        {"ordinary": {"outputs": [None]}},
        {"ordinary": {"outputs": [[1, [2]]], "changed": 7}},
        {"ordinary": {"outputs": [[float("nan")]], "changed": [{}]}},
        {"ordinary": {"outputs": [[[1.0]]], "changed": ["x", "x", "nobody"]}},
        {"ordinary": {"unusable": 5, "missing": 5}},
    ],
)
def test_observations_that_were_tampered_with_get_a_verdict(junk: Any) -> None:
    for part in POINTS:
        tampered = {**IMPLEMENT.observe(RIGHT), part: from_plain(junk)}
        assert verify(IMPLEMENT, tampered).of(part).points == 0
    assert verify(IMPLEMENT, dict.fromkeys(POINTS, from_plain(junk))).score == 0


# Styles that need another library


def test_tensors_are_accepted() -> None:
    torch = pytest.importorskip("torch")
    functional = torch.nn.functional

    def tensors(*arrays: Any) -> list[Any]:
        return [torch.from_numpy(array) for array in arrays]

    def forward(x: Any, gamma: Any, beta: Any, eps: float) -> Any:
        x, gamma, beta = tensors(x, gamma, beta)
        return functional.batch_norm(x, None, None, gamma, beta, training=True, eps=eps)

    def backward(dy: Any, x: Any, gamma: Any, eps: float, mean: Any = None, var: Any = None) -> Any:
        dy, x, gamma = tensors(dy, x, gamma)
        x, gamma, beta = x.requires_grad_(), gamma.requires_grad_(), torch.zeros_like(gamma, requires_grad=True)
        given = (None, None) if mean is None else tensors(mean, var)
        y = functional.batch_norm(x, *given, gamma, beta, training=mean is None, eps=eps)
        return torch.autograd.grad(y, (x, gamma, beta), dy)

    def update_running(running_mean: Any, running_var: Any, x: Any, momentum: float) -> Any:
        running_mean, running_var, x = tensors(running_mean, running_var, x)
        functional.batch_norm(x, running_mean, running_var, training=True, momentum=momentum)
        return running_mean, running_var

    def inference(x: Any, gamma: Any, beta: Any, running_mean: Any, running_var: Any, eps: float) -> Any:
        x, gamma, beta, mean, var = tensors(x, gamma, beta, running_mean, running_var)
        return functional.batch_norm(x, mean, var, gamma, beta, eps=eps)

    functions = {"forward": forward, "backward": backward, "update_running": update_running, "inference": inference}
    verdict = verify(IMPLEMENT, IMPLEMENT.observe(functions))
    assert verdict.right, lost(verdict)


# The inputs


def test_inputs_are_those_that_tell_right_from_nearly_right() -> None:
    for problem in (IMPLEMENT, *map(IMPLEMENT.variant, SEEDS)):
        probes = {(p.part, p.name): dict(zip(ARGUMENTS[p.function], p.arguments, strict=False)) for p in problem.probes}
        small = probes["forward", "small"]
        assert len(small["x"]) == 3
        assert (small["x"].var(axis=0) < 0.1 * small["eps"]).all()
        assert small["eps"] == 1e-5
        ordinary = probes["forward", "ordinary"]
        assert (np.abs(ordinary["gamma"]) > 1.3).all()
        assert (np.abs(ordinary["beta"]) > 0.3).all()
        square = probes["forward", "square"]["x"]
        assert square.shape[0] == square.shape[1]
        assert (np.ptp(probes["forward", "constant"]["x"], axis=0) == 0).tolist() == [True, False, False]
        large, single = probes["forward", "large"]["x"], probes["forward", "float32"]["x"]
        assert np.abs(large / 1e8 - 1).max() < 1e-7
        assert single.dtype == np.float32
        assert np.abs(single / 1e4 - 1).max() < 1e-3
        first, second = probes["update_running", "two"]["x"]
        assert np.abs(first.mean(axis=0) - second.mean(axis=0)).min() > 1
        for start in ("running_mean", "running_var"):
            assert np.abs(probes["update_running", "two"][start][:, None] - [0, 1]).min() > 0.1
        row, company = probes["inference", "single"]["x"], probes["inference", "company"]["x"]
        assert row.shape[0] == 1 < len(company)
        assert (company[0] == row[0]).all()
        assert len(set(probes["images", "forward images"]["x"].shape)) == 4


def test_variants() -> None:
    assert IMPLEMENT.variant(3).probes[0].arguments[0].tolist() == IMPLEMENT.variant(3).probes[0].arguments[0].tolist()
    problems: list[Implement] = [IMPLEMENT, *map(IMPLEMENT.variant, range(50))]
    assert len({repr(p.given) for p in problems}) == len(problems)
    assert len({repr(p.probes) for p in problems}) == len(problems)
    assert {tuple(probe.shape for probe in p.probes) for p in problems} == {tuple(p.shape for p in IMPLEMENT.probes)}


def test_inputs_of_a_seed_do_not_change_from_release_to_release() -> None:
    # A student's notebook and the grader may have different versions of Python and NumPy.
    x = IMPLEMENT.variant(1).probes[0].arguments[0]
    np.testing.assert_allclose(
        x[0], [0.7653234160722073, 4.215552553133318, 2.4079668715102485, 0.2824884270138752], rtol=1e-12
    )


def test_somebody_elses_inputs_do_not_help() -> None:
    observed = IMPLEMENT.variant(1).observe(RIGHT)
    assert verify(IMPLEMENT, observed).score == 0


# The notebook


def test_solution_of_the_notebook_is_that_of_the_problem() -> None:
    cells = {cell.id: cell.source for cell in to_notebook(NOTEBOOK.read_text()).cells}
    namespace: dict[str, Any] = {"np": np}
    for name in RIGHT:
        text = cells[name.replace("_", "-")]
        exec(text, namespace)
        body = re.search(r" *### BEGIN SOLUTION\n(.*)\n *### END SOLUTION", text, re.DOTALL)
        assert body is not None
        # Line for line, after the signature and the docstring.
        assert tuple(body[1].split("\n")) == IMPLEMENT.source(name)[2:]
        assert text.partition("\n")[0] == IMPLEMENT.source(name)[0]
    assert judged(**{name: namespace[name] for name in RIGHT}).right
