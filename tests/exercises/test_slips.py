"""Problem 6 on slips as people make them: at every scale, with any ε, in one place, two at once, once each."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from bn_exercises.functions.implement.problem import POINTS
from bn_exercises.functions.implementations import GALLERY, MISTAKES, RIGHT, WAYS
from bn_exercises.functions.problem import FOLLOWS
from bn_exercises.functions.recording import Record
from bn_exercises.problem import verify
from bn_exercises.problems import IMPLEMENT
from bn_exercises.verdict import Verdict

Array = Any
Function = Callable[..., Any]


def judged(**functions: Function) -> Verdict:
    return verify(IMPLEMENT, IMPLEMENT.observe(RIGHT | functions))


def lost(verdict: Verdict) -> dict[str, tuple[str, ...]]:
    """What cost points, and the names of the mistakes."""
    return {f.part: f.misconceptions for f in verdict.findings if f.points < f.max_points}


def lined_up(values: Array, x: Array) -> Array:
    return values.reshape((1, -1) + (1,) * (x.ndim - 2))


def axes_of(x: Array) -> tuple[int, ...]:
    return (0, *range(2, x.ndim))


# Written for these tests: the engine's own functions of steps are what is tried.


def forward_with(root: Function, ddof: int = 0) -> Function:
    def forward(x: Array, gamma: Array, beta: Array, eps: float) -> Array:
        a = axes_of(x)
        x_hat = (x - x.mean(axis=a, keepdims=True)) / root(x.var(axis=a, ddof=ddof, keepdims=True), eps)
        return lined_up(gamma, x) * x_hat + lined_up(beta, x)

    return forward


def inference_with(root: Function) -> Function:
    def inference(x: Array, gamma: Array, beta: Array, mean: Array, var: Array, eps: float) -> Array:
        x_hat = (x - lined_up(mean, x)) / root(lined_up(var, x), eps)
        return lined_up(gamma, x) * x_hat + lined_up(beta, x)

    return inference


def right_root(var: Array, eps: float) -> Array:
    return np.sqrt(var + eps)


def backward_with(
    straight: Function = right_root,
    variance: Function = right_root,
    mean: Function = right_root,
    dgamma: Function = right_root,
    count: Callable[[Array], float] = lambda x: x.size / x.shape[1],
    summed: bool = True,
) -> Function:
    """The paper's gradients, with a root for each place where one stands."""

    def backward(dy: Array, x: Array, gamma: Array, eps: float, mu: Array = None, var: Array = None) -> Any:
        a, frozen = axes_of(x), mu is not None
        mu = lined_up(mu, x) if frozen else x.mean(axis=a, keepdims=True)
        var = lined_up(var, x) if frozen else x.var(axis=a, keepdims=True)
        dx_hat, d = dy * lined_up(gamma, x), x - mu

        def over_batch(values: Array) -> Array:
            return values.sum(axis=a, keepdims=True) if summed else values

        dx = dx_hat / straight(var, eps)
        if not frozen:
            dvar = over_batch(dx_hat * d) * -0.5 / variance(var, eps) ** 3
            dmu = over_batch(-dx_hat / mean(var, eps))
            dx = dx + dvar * 2 * d / count(x) + dmu / count(x)
        return dx, (dy * d / dgamma(var, eps)).sum(axis=a), dy.sum(axis=a)

    return backward


def update_with(new: Function) -> Function:
    """From (old mean, old var, batch mean, batch var, momentum) to both."""

    def update_running(mean: Array, var: Array, x: Array, momentum: float) -> Any:
        return new(mean, var, x.mean(axis=axes_of(x)), x.var(axis=axes_of(x)), momentum)

    return update_running


def no_eps(var: Array, eps: float) -> Array:
    return np.sqrt(var)


def own(eps: float) -> Function:
    return lambda var, _: np.sqrt(var + eps)


def test_what_is_written_for_these_tests_is_right() -> None:
    assert judged(
        forward=forward_with(right_root),
        backward=backward_with(),
        inference=inference_with(right_root),
        update_running=update_with(lambda m, v, bm, bv, k: ((1 - k) * m + k * bm, (1 - k) * v + k * bv)),
    ).right


# Scale


@pytest.mark.parametrize("eps", [1e-3, 3e-5, 1e-5, 1e-8, 1e-12])
@pytest.mark.parametrize("ddof", [0, 1])
def test_eps_in_the_running_variance_is_seen(eps: float, ddof: int) -> None:
    def update_running(mean: Array, var: Array, x: Array, momentum: float) -> Any:
        batch_mean, batch_var = x.mean(axis=axes_of(x)), x.var(axis=axes_of(x), ddof=ddof)
        return (1 - momentum) * mean + momentum * batch_mean, (1 - momentum) * var + momentum * (batch_var + eps)

    assert lost(judged(update_running=update_running)) == {"update_running": ("ε in the running variance",)}


def scale_of(arguments: tuple[Any, ...], function: str) -> float:
    x = arguments[{"forward": 0, "backward": 1, "update_running": 2, "inference": 0}[function]]
    x = x[0] if isinstance(x, tuple) else x
    return float(x.std(axis=axes_of(x)).mean()) if len(x) > 1 else 1.0


@pytest.mark.parametrize("part", ["forward", "backward", "frozen", "update_running", "inference"])
def test_every_function_is_tried_at_every_scale(part: str) -> None:
    scales = [scale_of(p.arguments, p.function) for p in IMPLEMENT.probes if p.part == part]
    assert min(scales) < 1e-4
    assert any(0.1 < scale < 10 for scale in scales)
    assert max(scales) > 1e3


def test_what_a_mistake_changes_is_far_more_than_what_is_forgiven() -> None:
    for problem in (IMPLEMENT, IMPLEMENT.variant(0), IMPLEMENT.variant(1)):
        for function, mistakes in MISTAKES.items():
            for m in mistakes:
                gaps = []
                for probe in (p for p in problem.probes if p.function == function):
                    right, wrong = probe.record(RIGHT[function]), probe.record(m.compute)
                    if not (isinstance(right, Record) and isinstance(wrong, Record)) or wrong.changed:
                        gaps.append(np.inf)
                        continue
                    for a, b in zip(right.outputs, wrong.outputs, strict=True):
                        room = probe.room * np.abs(a).max() + probe.zero
                        gaps.append(np.inf if a.shape != b.shape else np.abs(a - b).max() / room)
                assert max(gaps) > 20, (function, m.name)


# Any ε, in every place


@pytest.mark.parametrize("eps", [1e-12, 1e-10, 1e-8, 1e-7, 1e-6, 1e-5, 1e-3, 0.02, 0.7])
def test_an_eps_of_ones_own_is_named_whatever_it_is(eps: float) -> None:
    named = ("ε not the one given",)
    assert lost(judged(forward=forward_with(own(eps)))) == {"forward": named}
    assert lost(judged(inference=inference_with(own(eps)))) == {"inference": named}
    everywhere = backward_with(own(eps), own(eps), own(eps), own(eps))
    assert lost(judged(backward=everywhere)) == {"backward": named}


@pytest.mark.parametrize("place", ["straight", "variance", "mean", "dgamma"])
@pytest.mark.parametrize(
    ("root", "named"),
    [
        (no_eps, "ε missing"),
        (own(1e-8), "ε not the one given"),
        (lambda var, eps: np.sqrt(var) + eps, "ε outside the root"),
        (lambda var, eps: np.sqrt(var) + np.sqrt(eps), "roots added"),
    ],
    ids=["missing", "own", "outside", "added"],
)
def test_eps_wrong_in_one_place_of_backward_is_named_and_costs_once(place: str, root: Function, named: str) -> None:
    verdict = judged(backward=backward_with(**{place: root}))
    assert lost(verdict) == {"backward": (named,)}
    assert verdict.of("backward").sentence.startswith("Only ")


@pytest.mark.parametrize(
    ("function", "compute", "named"),
    [
        ("inference", inference_with(no_eps), "ε missing"),
        ("forward", forward_with(lambda v, e: np.sqrt(v) + np.sqrt(e)), "roots added"),
        ("forward", forward_with(lambda v, e: np.sqrt(v - e)), "ε subtracted"),
        ("inference", inference_with(lambda v, e: np.sqrt(np.maximum(v - e, 0))), "ε subtracted"),
        ("forward", forward_with(lambda v, e: np.sqrt(v**2 + e)), "variance squared"),
        ("update_running", update_with(lambda m, v, bm, bv, k: (m, v)), "old statistics returned unchanged"),
        (
            "update_running",
            update_with(lambda m, v, bm, bv, k: ((1 - k) * m + k * bm, (1 - k) * v + k * bm)),
            "running variance towards the batch's mean",
        ),
        (
            "update_running",
            update_with(lambda m, v, bm, bv, k: (m + (1 - k) * bm, v + (1 - k) * bv)),
            "old value kept whole",
        ),
        (
            "update_running",
            update_with(lambda m, v, bm, bv, k: (m + (1 - k * bm), v + (1 - k * bv))),
            "old value kept whole",
        ),
        (
            "update_running",
            update_with(lambda m, v, bm, bv, k: (0.99 * m + 0.01 * bm, 0.99 * v + 0.01 * bv)),
            "momentum not the one given",
        ),
        ("backward", backward_with(summed=False), "not added up"),
        ("backward", backward_with(count=lambda x: (x.size / x.shape[1]) ** 2), "divided by m twice"),
        ("backward", backward_with(count=lambda x: x.size / x.shape[1] - 1), "ddof=1"),
    ],
)
def test_what_students_write_is_named(function: str, compute: Function, named: str) -> None:
    assert lost(judged(**{function: compute})) == {function: (named,)}


def test_the_number_of_images_for_that_of_values_is_named() -> None:
    assert lost(judged(backward=backward_with(count=len))) == {"images": ("N for N · H · W",)}


def test_brackets_one_variance_and_a_blend_are_named() -> None:
    def bracket(x: Array, gamma: Array, beta: Array, mean: Array, var: Array, eps: float) -> Array:
        shifted = x - lined_up(mean / np.sqrt(var + eps), x)
        return lined_up(gamma, x) * shifted + lined_up(beta, x)

    def one_variance(x: Array, gamma: Array, beta: Array, eps: float) -> Array:
        x_hat = (x - x.mean(axis=axes_of(x), keepdims=True)) / np.sqrt(x.var() + eps)
        return lined_up(gamma, x) * x_hat + lined_up(beta, x)

    def blend(x: Array, gamma: Array, beta: Array, mean: Array, var: Array, eps: float) -> Array:
        mean = 0.8 * mean + 0.2 * x.mean(axis=axes_of(x))
        var = 0.8 * var + 0.2 * x.var(axis=axes_of(x))
        return RIGHT["inference"](x, gamma, beta, mean, var, eps)

    assert lost(judged(inference=bracket)) == {"inference": ("only the mean divided",)}
    assert lost(judged(forward=one_variance)) == {"forward": ("one variance for all features",)}
    assert lost(judged(inference=blend)) == {"inference": ("this batch in the statistics of inference",)}


# A name is given for what was seen only


def test_a_mistake_that_cannot_run_matches_no_numbers() -> None:
    def update_running(mean: Array, var: Array, x: Array, momentum: float) -> Any:
        if x.ndim == 4:
            return np.full_like(mean, 7.0), np.full_like(var, 7.0)
        k = momentum
        return (1 - k) * mean + k * x.mean(axis=0), (1 - k) * var + k * x.std(axis=0)

    verdict = judged(update_running=update_running)
    assert verdict.of("update_running").misconceptions == ("standard deviation for variance",)
    assert verdict.of("images").misconceptions == ()
    assert verdict.of("images").kind == "wrong"


# Two at once


def test_in_place_does_not_hide_what_else_is_wrong() -> None:
    def forward(x: Array, gamma: Array, beta: Array, eps: float) -> Array:
        x -= x.mean(axis=axes_of(x), keepdims=True)
        x /= np.sqrt((x * x).mean(axis=axes_of(x), keepdims=True))
        return lined_up(gamma, x) * x + lined_up(beta, x)

    finding = judged(forward=forward).of("forward")
    assert finding.misconceptions == ("an argument changed in place + ε missing",)
    unknown = judged(forward=lambda x, gamma, beta, eps: np.multiply(x, 3, out=x) ** 2).of("forward")
    assert unknown.misconceptions == ("an argument changed in place",)
    assert "Not right, and not a mistake that is known here." in unknown.sentence


def test_two_in_one_function_are_both_named() -> None:
    named = lost(judged(forward=forward_with(own(1e-8), ddof=1)))["forward"]
    assert named == ("ε not the one given + ddof=1",)

    def backward(*arguments: Any) -> Any:
        dx, dgamma, dbeta = backward_with(variance=no_eps)(*arguments)
        return dx, dgamma / len(arguments[0]), dbeta

    (name,) = lost(judged(backward=backward))["backward"]
    assert set(name.split(" + ")) == {"ε missing", "dγ and dβ averaged"}

    def single(x: Array, gamma: Array, beta: Array, eps: float) -> Array:
        x, gamma, beta = (np.float32(each) for each in (x, gamma, beta))
        return forward_with(lambda var, e: np.sqrt(var) + np.float32(e))(x, gamma, beta, eps)

    assert lost(judged(forward=single)) == {"forward": ("ε outside the root + float32 where float64 was given",)}


# Once


def test_the_same_slip_in_several_functions_costs_once() -> None:
    verdict = judged(
        forward=forward_with(no_eps),
        backward=backward_with(no_eps, no_eps, no_eps, no_eps),
        inference=inference_with(no_eps),
    )
    assert lost(verdict) == {"forward": ("ε missing",)}
    for part in ("backward", "frozen", "inference"):
        finding = verdict.of(part)
        assert (finding.kind, finding.misconceptions, finding.sentence) == ("follow-on", ("ε missing",), FOLLOWS)


def test_another_slip_costs_its_own_points() -> None:
    verdict = judged(forward=forward_with(no_eps), inference=inference_with(own(1e-8)))
    assert lost(verdict) == {"forward": ("ε missing",), "inference": ("ε not the one given",)}


def test_a_slip_without_a_name_costs_once_where_it_is_seen_to_be_the_same() -> None:
    def larger(function: str, factor: float) -> Function:
        return lambda *arguments: factor * RIGHT[function](*arguments)

    assert lost(judged(forward=larger("forward", 1.1), inference=larger("inference", 1.1))) == {"forward": ()}
    assert set(lost(judged(forward=larger("forward", 1.1), inference=larger("inference", 1.2)))) == {
        "forward",
        "inference",
    }

    def backward(*arguments: Any) -> Any:
        dx, dgamma, dbeta = RIGHT["backward"](*arguments)
        return dx, 1.1 * dgamma, dbeta

    assert lost(judged(backward=backward)) == {"backward": ()}


def test_who_ignores_what_is_stored_does_not_repeat_a_slip_of_forward() -> None:
    def forward(x: Array, gamma: Array, beta: Array, eps: float) -> Array:
        return 1.1 * RIGHT["forward"](x, gamma, beta, eps)

    def inference(x: Array, gamma: Array, beta: Array, mean: Array, var: Array, eps: float) -> Array:
        return forward(x, gamma, beta, eps)

    assert set(lost(judged(forward=forward, inference=inference))) == {"forward", "inference"}


# Form


def layer_norm(x: Array, gamma: Array, beta: Array, eps: float) -> Array:
    a = tuple(range(1, x.ndim))
    x_hat = (x - x.mean(axis=a, keepdims=True)) / np.sqrt(x.var(axis=a, keepdims=True) + eps)
    return lined_up(gamma, x) * x_hat + lined_up(beta, x)


def test_layer_norm_is_named_for_rows_and_for_images() -> None:
    verdict = judged(forward=layer_norm)
    assert lost(verdict) == {"forward": ("over rows",)}
    assert verdict.of("images").misconceptions == ("layer instead of batch statistics",)


@pytest.mark.parametrize("nothing", [None, ...])
def test_nothing_for_every_output_is_missing(nothing: Any) -> None:
    verdict = judged(backward=lambda *arguments: (nothing,) * 3)
    assert {verdict.of(part).kind for part in ("backward", "frozen", "images")} == {"missing"}
    assert judged(update_running=lambda *arguments: [nothing] * 2).of("update_running").kind == "missing"

    def not_yet_frozen(dy: Array, x: Array, gamma: Array, eps: float, mean: Array = None, var: Array = None) -> Any:
        return RIGHT["backward"](dy, x, gamma, eps) if mean is None else (nothing,) * 3

    verdict = judged(backward=not_yet_frozen)
    assert verdict.of("frozen").kind == "missing"
    assert verdict.score == sum(POINTS.values()) - POINTS["frozen"]


def test_what_cannot_be_compared_for_images_does_not_hide_what_is_wrong() -> None:
    def forward(x: Array, gamma: Array, beta: Array, eps: float) -> Array:
        return RIGHT["forward"](x, gamma, beta, eps)[:1] if x.ndim == 4 else RIGHT["forward"](x, gamma, beta, eps)

    def backward(dy: Array, x: Array, *others: Any) -> Any:
        dx, dgamma, dbeta = RIGHT["backward"](dy, x, *others)
        return dx, dgamma, dbeta * (1 if x.ndim == 2 else 3)

    finding = judged(forward=forward, backward=backward).of("images")
    assert finding.kind == "wrong"
    assert "y has the shape (1, 3, 5, 4)" in finding.sentence
    assert "dx and dgamma are right, dbeta is not." in finding.sentence


def test_another_order_and_a_dictionary_are_told() -> None:
    names = ("dx", "dgamma", "dbeta")

    def turned(*arguments: Any) -> Any:
        return RIGHT["backward"](*arguments)[::-1]

    assert lost(judged(backward=turned)) == {"backward": ("gradients in another order",)}
    wrong = judged(backward=lambda *a: tuple(value**3 for value in turned(*a))).of("backward")
    assert wrong.kind == "form"
    assert wrong.sentence.endswith("The shapes are right in another order: return dx, dgamma, dbeta, in this order.")
    as_dictionary = judged(backward=lambda *a: dict(zip(names, RIGHT["backward"](*a), strict=True))).of("backward")
    assert as_dictionary.sentence == (
        "It returned a dictionary. Return its values instead, in this order: dx, dgamma, dbeta."
    )


def test_every_way_of_a_mistake_is_wrong() -> None:
    for function, made in WAYS.items():
        for m in made:
            for compute in GALLERY.conventions(function, m.compute):
                assert IMPLEMENT.exposed(function, compute), (function, m.name, m.says)


# Layer normalization in place of Batch Normalization, as students of courses with both hand it in


def over(axes: Callable[[Array], tuple[int, ...]], inside: bool) -> dict[str, Function]:
    """Forward and backward over these axes; the gradient with γ inside of the means, or in front of them."""

    def forward(x: Array, gamma: Array, beta: Array, eps: float) -> Array:
        a = axes(x)
        x_hat = (x - x.mean(axis=a, keepdims=True)) / np.sqrt(x.var(axis=a, keepdims=True) + eps)
        return lined_up(gamma, x) * x_hat + lined_up(beta, x)

    def backward(dy: Array, x: Array, gamma: Array, eps: float, mean: Array = None, var: Array = None) -> Any:
        if mean is not None:
            return RIGHT["backward"](dy, x, gamma, eps, mean, var)
        a, g = axes(x), lined_up(gamma, x)
        root = np.sqrt(x.var(axis=a, keepdims=True) + eps)
        x_hat = (x - x.mean(axis=a, keepdims=True)) / root
        d = g * dy if inside else dy
        dx = d - d.mean(axis=a, keepdims=True) - x_hat * (d * x_hat).mean(axis=a, keepdims=True)
        dx = (1 if inside else g) * dx / root
        return dx, (dy * x_hat).sum(axis=axes_of(x)), dy.sum(axis=axes_of(x))

    return {"forward": forward, "backward": backward}


@pytest.mark.parametrize("inside", [True, False])
@pytest.mark.parametrize(
    ("axes", "on_images"),
    [
        (lambda x: tuple(range(1, x.ndim)), "layer instead of batch statistics"),
        (lambda x: (-1,), "over one axis of the positions"),
        (lambda x: (2, 3) if x.ndim == 4 else (1,), "each image by itself"),
        (lambda x: (1,), "over the channels"),
    ],
)
def test_layer_normalization_is_named_on_rows_and_on_images(
    axes: Callable[[Array], tuple[int, ...]], on_images: str, inside: bool
) -> None:
    for function, compute in over(axes, inside).items():
        verdict = judged(**{function: compute})
        assert verdict.of(function).misconceptions == ("over rows",)
        assert verdict.of("images").misconceptions == (on_images,)
        # To average over a sample, or over axis 1, is one mistake, for rows and for images; the others are two.
        once = on_images in ("layer instead of batch statistics", "over the channels")
        assert verdict.of("images").kind == ("follow-on" if once else "misconception")
