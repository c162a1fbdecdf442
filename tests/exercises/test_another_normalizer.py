"""Problem 8: right normalizers in any style are accepted; what is handed in instead is named, for rows and images."""

import json
import re
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bn_exercises.answers import from_plain, plain
from bn_exercises.check import Session, solution
from bn_exercises.course.sources import to_notebook
from bn_exercises.functions.another_normalizer.gallery import GALLERY, MISTAKES, RIGHT
from bn_exercises.functions.another_normalizer.partitions import PARTITIONS, table
from bn_exercises.functions.another_normalizer.problem import POINTS
from bn_exercises.functions.another_normalizer.styles import STYLES
from bn_exercises.functions.problem import FOLLOWS
from bn_exercises.functions.recording import ARGUMENTS, RETURNS
from bn_exercises.problem import verify
from bn_exercises.problems import ANOTHER_NORMALIZER, IMPLEMENT
from bn_exercises.verdict import Verdict
from bn_lib import normalizers as lib

NOTEBOOK = Path(__file__).parents[2] / "exercises" / "source" / "batch-norm" / "8-another-normalizer.md"
Array = Any
Function = Callable[..., Any]


def judged(**functions: Function) -> Verdict:
    """The verdict on the right functions, with these in their place."""
    return verify(ANOTHER_NORMALIZER, ANOTHER_NORMALIZER.observe(RIGHT | functions))


def lost(verdict: Verdict) -> dict[str, tuple[str, ...]]:
    """What cost points, and the names of the mistakes."""
    return {f.part: f.misconceptions for f in verdict.findings if f.points < f.max_points}


# Written for these tests as students write: the gallery's own functions of steps are what is tried.

Axes = Callable[[Array], tuple[int, ...]]


def lined_up(values: Array, x: Array) -> Array:
    return values.reshape((1, -1) + (1,) * (x.ndim - 2))


def users(x: Array) -> tuple[int, ...]:
    return (0, *range(2, x.ndim))


def sample(x: Array) -> tuple[int, ...]:
    return tuple(range(1, x.ndim))


def images(axes: tuple[int, ...]) -> Axes:
    """These axes of images, and the right ones of rows."""
    return lambda x: axes if x.ndim == 4 else (1,)


def of_axes(axes: Axes = sample, subtract: bool = True, root: Function = lambda v, eps: np.sqrt(v + eps)) -> Function:
    """`layer_norm` or `rms_norm` over these axes."""

    def forward(x: Array, gamma: Array, *beta_and_eps: Any) -> Array:
        *beta, eps = beta_and_eps
        d = x - x.mean(axis=axes(x), keepdims=True) if subtract else x
        y = lined_up(gamma, x) * d / root((d * d).mean(axis=axes(x), keepdims=True), eps)
        return y + lined_up(beta[0], x) if beta else y

    return forward


def gradients(
    axes: Axes = sample,
    subtract: bool = True,
    inside: bool = True,
    through_mean: bool = True,
    through_variance: bool = True,
    summed: Axes = users,
    returned: int = 3,
) -> Function:
    """`layer_norm_backward` or `rms_norm_backward` over these axes."""

    def backward(dy: Array, x: Array, gamma: Array, eps: float) -> Any:
        def mean(values: Array) -> Array:
            return values.mean(axis=axes(x), keepdims=True)

        d = x - mean(x) if subtract else x
        inv = 1 / np.sqrt(mean(d * d) + eps)
        x_hat, g = d * inv, lined_up(gamma, x)
        dx_hat = dy * g if inside else dy
        dx = dx_hat - through_mean * mean(dx_hat) - through_variance * x_hat * mean(dx_hat * x_hat)
        dx = inv * dx if inside else g * inv * dx
        return (dx, (dy * x_hat).sum(axis=summed(x)), dy.sum(axis=summed(x)))[:returned]

    return backward


def of_split(split: Function, axes: Axes, back: Function = lambda y, x: y.reshape(x.shape)) -> Function:
    """`group_norm` of x reshaped like this, over these axes."""

    def forward(x: Array, gamma: Array, beta: Array, groups: int, eps: float) -> Array:
        rows = split(x, groups)
        a = axes(rows)
        x_hat = (rows - rows.mean(axis=a, keepdims=True)) / np.sqrt(rows.var(axis=a, keepdims=True) + eps)
        return lined_up(gamma, x) * back(x_hat, x) + lined_up(beta, x)

    return forward


def split_channels(x: Array, groups: int) -> Array:
    return x.reshape(len(x), groups, x.shape[1] // groups, *x.shape[2:])


def split_other_way(x: Array, groups: int) -> Array:
    return x.reshape(len(x), x.shape[1] // groups, groups, *x.shape[2:])


def inner(rows: Array) -> tuple[int, ...]:
    return tuple(range(2, rows.ndim))


# What is right


@pytest.mark.parametrize("shape", [(4, 6), (2, 6, 5, 4)])
def test_right_functions_agree_with_the_library(shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    x, dy = rng.normal(size=(2, *shape))
    gamma, beta = rng.normal(size=(2, 6))
    for name, given, others in (
        ("layer_norm", (x, gamma, beta), ()),
        ("group_norm", (x, gamma, beta, 3), (3,)),
        ("rms_norm", (x, gamma), ()),
    ):
        y, cache = getattr(lib, name)(*given, eps=0.1)
        np.testing.assert_allclose(RIGHT[name](*given, 0.1), y, rtol=1e-12)
        expected = getattr(lib, f"{name}_backward")(dy, cache)
        own = RIGHT[f"{name}_backward"](dy, x, gamma, *others, 0.1)
        for one, other in zip(own, expected, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("style", STYLES)
def test_every_style_gets_all_points(style: str) -> None:
    assert lost(judged(**STYLES[style])) == {}


def test_written_in_one_s_own_way_it_is_right() -> None:
    mine = {
        "layer_norm": of_axes(),
        "layer_norm_backward": gradients(),
        "group_norm": of_split(split_channels, inner),
        "rms_norm": of_axes(subtract=False),
        "rms_norm_backward": gradients(subtract=False, through_mean=False, returned=2),
    }
    assert judged(**mine).right


def test_the_blocks_of_a_partition_are_what_the_library_s_axes_are() -> None:
    x = np.random.default_rng(1).normal(size=(4, 6, 3, 2))
    of_axes_ = {"batch": (0, 2, 3), "layer, RMS": (1, 2, 3), "instance": (2, 3)}
    for name, axes in of_axes_.items():
        laid = table(PARTITIONS[name], x.shape)
        np.testing.assert_allclose(laid.lay(x).mean(axis=0), x.mean(axis=axes).ravel())
        np.testing.assert_array_equal(laid.back(laid.lay(x)), x)
    laid = table(PARTITIONS["group"], x.shape, 3)
    np.testing.assert_allclose(laid.lay(x).mean(axis=0), x.reshape(4, 3, -1).mean(axis=2).ravel())


# What is handed in instead


def unbiased(x: Array, gamma: Array, beta: Array, eps: float) -> Array:
    mean, var = (f(axis=sample(x), keepdims=True) for f in (x.mean, x.var))
    m = x[0].size
    return lined_up(gamma, x) * (x - mean) / np.sqrt(var * m / (m - 1) + eps) + lined_up(beta, x)


@pytest.mark.parametrize(
    ("function", "compute", "named"),
    [
        # Which numbers share a mean: for rows and images alike, and for images only.
        ("layer_norm", of_axes(users), {"layer_norm": "batch statistics"}),
        ("layer_norm", of_axes(lambda x: (0,)), {"layer_norm": "batch statistics"}),
        ("layer_norm", of_axes(lambda x: tuple(range(x.ndim))), {"layer_norm": "over everything"}),
        ("layer_norm", of_axes(images((0, 2, 3))), {"images": "batch statistics"}),
        ("layer_norm", of_axes(images((2, 3))), {"images": "instance statistics"}),
        ("layer_norm", of_axes(lambda x: (1,)), {"images": "each position by itself"}),
        ("layer_norm", of_axes(lambda x: (-1,)), {"images": "over some of the axes"}),
        ("layer_norm_backward", gradients(users), {"layer_norm_backward": "batch statistics"}),
        ("layer_norm_backward", gradients(lambda x: (1,)), {"images": "each position by itself"}),
        ("rms_norm", of_axes(users, subtract=False), {"rms_norm": "batch statistics"}),
        ("rms_norm", of_axes(lambda x: (1,), subtract=False), {"images": "each position by itself"}),
        ("group_norm", of_split(lambda x, g: x, sample), {"group_norm": "layer statistics"}),
        ("group_norm", of_split(lambda x, g: x, users), {"group_norm": "batch statistics"}),
        ("group_norm", of_split(split_other_way, inner), {"group_norm": "groups of size G"}),
        ("group_norm", of_split(split_other_way, lambda r: (1, *inner(r)[1:])), {"group_norm": "groups interleaved"}),
        (
            "group_norm",
            of_split(split_channels, lambda r: (1, *inner(r)[1:])),
            {"group_norm": "over the groups, not inside them"},
        ),
        ("group_norm", of_split(split_channels, lambda r: (0, *inner(r))), {"group_norm": "groups over the batch"}),
        (
            "group_norm",
            of_split(lambda x, g: x.reshape(g, -1), lambda r: (1,)),
            {"group_norm": "reshaped to another order"},
        ),
        ("group_norm", of_split(split_channels, lambda r: (2,)), {"images": "each position by itself"}),
        (
            "group_norm",
            of_split(split_channels, lambda r: (3, 4) if r.ndim == 5 else (2,)),
            {"images": "instance statistics"},
        ),
        # The statistics.
        ("layer_norm", unbiased, {"layer_norm": "ddof=1"}),
        ("layer_norm", of_axes(root=lambda v, eps: np.sqrt(v) + eps), {"layer_norm": "ε outside the root"}),
        ("layer_norm", of_axes(root=lambda v, eps: np.sqrt(v)), {"layer_norm": "ε missing"}),
        ("rms_norm", of_axes(subtract=False, root=lambda v, eps: np.sqrt(v) + eps), {"rms_norm": "ε outside the root"}),
        (
            "rms_norm",
            of_axes(subtract=False, root=lambda v, eps: v + eps),
            {"rms_norm": "variance for standard deviation"},
        ),
        ("rms_norm", of_axes(), {"rms_norm": "mean subtracted"}),
        (
            "rms_norm",
            lambda x, g, eps: lined_up(g, x) * x / np.sqrt(x.var(axis=sample(x), keepdims=True) + eps),
            {"rms_norm": "variance for mean square"},
        ),
        (
            "rms_norm",
            lambda x, g, eps: lined_up(g, x) * x / np.sqrt((x**2).sum(axis=sample(x), keepdims=True) + eps),
            {"rms_norm": "not divided by m"},
        ),
        ("rms_norm", lambda x, g, eps: RIGHT["rms_norm"](x, 1 + g, eps), {"rms_norm": "1 + γ for γ"}),
        ("layer_norm", of_axes(subtract=False), {"layer_norm": "mean square in place of mean and variance"}),
        # The gradients.
        ("layer_norm_backward", gradients(inside=False), {"layer_norm_backward": "γ in front of the means"}),
        (
            "rms_norm_backward",
            gradients(subtract=False, through_mean=False, inside=False, returned=2),
            {"rms_norm_backward": "γ in front of the means"},
        ),
        (
            "rms_norm_backward",
            gradients(subtract=False, returned=2),
            {"rms_norm_backward": "path through a mean that is not there"},
        ),
        ("rms_norm_backward", gradients(returned=2), {"rms_norm_backward": "mean subtracted"}),
        ("layer_norm_backward", gradients(through_mean=False), {"layer_norm_backward": "no path through the mean"}),
        (
            "layer_norm_backward",
            gradients(through_variance=False),
            {"layer_norm_backward": "no path through the variance"},
        ),
        ("layer_norm_backward", gradients(summed=sample), {"layer_norm_backward": "dγ and dβ summed over other axes"}),
        ("layer_norm_backward", gradients(summed=lambda x: (0,)), {"images": "dγ and dβ summed over other axes"}),
        (
            "rms_norm_backward",
            gradients(subtract=False, through_mean=False, summed=sample, returned=2),
            {"rms_norm_backward": "dγ and dβ summed over other axes"},
        ),
    ],
)
def test_what_is_handed_in_instead_is_named(function: str, compute: Function, named: dict[str, str]) -> None:
    assert lost(judged(**{function: compute})) == {part: (name,) for part, name in named.items()}


def test_two_at_once_are_named() -> None:
    compute = gradients(lambda x: (1,), inside=False)
    found = lost(judged(layer_norm_backward=compute))
    assert found == {
        "layer_norm_backward": ("γ in front of the means",),
        "images": ("γ in front of the means + each position by itself",),
    }


@pytest.mark.parametrize(
    ("function", "step"), [("layer_norm", 149), ("group_norm_backward", 499), ("rms_norm_backward", 199)]
)
def test_some_pairs_of_all_are_told(function: str, step: int) -> None:
    told = tried = 0
    for first, second, compute in islice(GALLERY.pairs(function, function), 0, None, step):
        finding = judged(**{function: compute}).of(function)
        tried += 1
        both = {first.name, second.name}
        # One of them alone gives the same numbers where the other does not show.
        told += any(set(names.split(" + ")) == both or names in both for names in finding.misconceptions)
    assert tried >= 7
    assert told >= 0.9 * tried


def test_batch_normalization_in_all_functions_earns_nothing() -> None:
    def group(x: Array, gamma: Array, beta: Array, groups: int, eps: float) -> Array:
        return of_axes(users)(x, gamma, beta, eps)

    def group_backward(dy: Array, x: Array, gamma: Array, groups: int, eps: float) -> Any:
        return gradients(users)(dy, x, gamma, eps)

    verdict = judged(
        layer_norm=of_axes(users),
        layer_norm_backward=gradients(users),
        group_norm=group,
        group_norm_backward=group_backward,
        rms_norm=of_axes(users),
        rms_norm_backward=gradients(users, returned=2),
    )
    assert verdict.score == 0
    named = lost(verdict)
    assert named["layer_norm"] == named["layer_norm_backward"] == ("batch statistics",)
    assert named["group_norm"] == named["group_norm_backward"] == ("batch statistics",)
    assert all(set(name.split(" + ")) == {"mean subtracted", "batch statistics"} for name in named["rms_norm"])
    assert "batch statistics" in named["images"]


def test_another_slip_counts_once_and_other_axes_count_in_each() -> None:
    outside = judged(
        layer_norm=of_axes(root=lambda v, eps: np.sqrt(v) + eps),
        rms_norm=of_axes(subtract=False, root=lambda v, eps: np.sqrt(v) + eps),
    )
    assert lost(outside) == {"layer_norm": ("ε outside the root",)}
    assert outside.of("rms_norm").sentence == FOLLOWS
    axes = judged(layer_norm=of_axes(users), layer_norm_backward=gradients(users), rms_norm=of_axes(users, False))
    assert set(lost(axes)) == {"layer_norm", "layer_norm_backward", "rms_norm"}
    # On images they are the same mistake in the same function.
    assert axes.of("images").kind == "follow-on"


def test_a_mistake_without_a_name_counts_once_on_rows_and_on_images() -> None:
    verdict = judged(layer_norm=lambda *given: RIGHT["layer_norm"](*given) + 0.3)
    assert verdict.of("layer_norm").kind == "wrong"
    assert verdict.of("images").kind == "follow-on"


def test_a_gradient_of_rows_is_brought_to_images_by_adding_up_the_positions() -> None:
    def half(*given: Array) -> Any:
        dx, dgamma, dbeta = RIGHT["layer_norm_backward"](*given)
        return dx, dgamma * 0.7, dbeta

    verdict = judged(layer_norm_backward=half)
    assert verdict.of("layer_norm_backward").kind == "wrong"
    assert "dx and dbeta are right, dgamma is not." in verdict.of("layer_norm_backward").sentence
    assert verdict.of("images").kind == "follow-on"


# The words


def test_every_mistake_is_told_in_words_that_are_right_here() -> None:
    book = Path(__file__).parents[2] / "book"
    for function, ways in GALLERY.ways.items():
        for m in ways:
            assert m.says.endswith("."), m
            assert not re.search(r"\bfeature|\bthe batch\b|of this batch|In training", m.says), (function, m.says)
            # In front of a mean stands no γ that was forgotten inside of it.
            assert "mean(dy" not in m.says, (function, m.says)
            assert "β" not in m.says or not function.startswith("rms"), (function, m.says)
            text = (book / f"{m.see.page}.md").read_text()
            assert re.search(rf"^\({m.see.anchor}\)=\n(?:\(.*\)=\n)*#+ {re.escape(m.see.text)}$", text, re.MULTILINE), m
    for mistakes in MISTAKES.values():
        assert len({m.name for m in mistakes}) == len(mistakes)


def test_every_input_shows_some_mistake() -> None:
    for probe in ANOTHER_NORMALIZER.probes:
        right = probe.of_ours(RIGHT[probe.function])
        wrong = (probe.of_ours(m.compute) for m in MISTAKES[probe.function])
        assert any(not probe.agree(each, right) for each in wrong), probe


def test_the_notebook_asks_for_the_solution_of_the_page() -> None:
    cells = {cell.id: cell.source for cell in to_notebook(NOTEBOOK.read_text()).cells}
    for name in RIGHT:
        source = cells[name.replace("_", "-")]
        body = re.fullmatch(r'.*?"""\n    ### BEGIN SOLUTION\n(.*?)\n    ### END SOLUTION', source, re.DOTALL)
        assert body is not None
        assert tuple(body[1].split("\n")) == ANOTHER_NORMALIZER.source(name)[2:]
        assert source.partition("\n")[0] == f"def {name}({', '.join(ARGUMENTS[name])}):"
        assert f"Returns {', '.join(RETURNS[name])}, of the shape" in source
    worth = [int(points) for points in re.findall(r"\((\d) points?\)", "".join(cells.values()))]
    assert worth == list(POINTS.values())
    assert sum(worth) == 10


def test_hints_and_solution() -> None:
    for part in POINTS:
        assert len(ANOTHER_NORMALIZER.hints(part)) == 3
    session = Session()
    for tries in (1, 2, 3, 4):
        checked = session.check(ANOTHER_NORMALIZER, rms_norm=lambda x, gamma, eps, k=tries: k * x)
        assert checked.hints["rms_norm"] == ANOTHER_NORMALIZER.hints("rms_norm")[: min(tries, 3)]
    shown = repr(solution(ANOTHER_NORMALIZER))
    assert all(line in shown for line in ANOTHER_NORMALIZER.source("group_norm"))


# What comes back from the sandbox


def test_what_was_observed_survives_being_stored() -> None:
    functions = RIGHT | {"group_norm": of_split(split_other_way, inner), "rms_norm": lambda *given: 1 / 0}
    observed = ANOTHER_NORMALIZER.observe(functions)
    stored = from_plain(json.loads(json.dumps(plain(observed))))
    assert verify(ANOTHER_NORMALIZER, stored) == verify(ANOTHER_NORMALIZER, observed)


@pytest.mark.parametrize("part", POINTS)
@pytest.mark.parametrize("junk", [None, 7, "text", [1, [2]], {"ordinary": 1}, {"outputs": [[1, 2]], "changed": []}])
def test_junk_earns_nothing(part: str, junk: Any) -> None:
    observed = ANOTHER_NORMALIZER.observe({})
    assert verify(ANOTHER_NORMALIZER, {**observed, part: from_plain(junk)}).score == 0


def test_answers_to_somebody_else_s_inputs_earn_nothing() -> None:
    assert verify(ANOTHER_NORMALIZER, ANOTHER_NORMALIZER.variant(1).observe(RIGHT)).score == 0
    # Nor are they those of exercise 6 under other names.
    assert verify(ANOTHER_NORMALIZER, IMPLEMENT.observe(IMPLEMENT.gallery.right)).score == 0
