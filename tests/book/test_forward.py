"""The experiments and figures of the chapter on the forward pass, against facts from elsewhere."""

import math
import re
import statistics
from fractions import Fraction

import numpy as np
import pytest
from drawn import covered

from bn_book.drawing import show
from bn_book.forward import experiments as forward
from bn_book.forward import figures
from bn_book.forward.experiments import BATCH, ByHand
from bn_book.tex import decimal
from bn_lib import BatchNorm, ReLU, batch_norm

# By hand


def test_the_batch_by_hand_agrees_with_the_statistics_module_exactly():
    assert BATCH.mean == statistics.mean(BATCH.x)
    assert BATCH.var == statistics.pvariance(BATCH.x)
    assert statistics.pvariance(BATCH.x_hat) == BATCH.var / (BATCH.var + BATCH.eps)
    assert statistics.mean(BATCH.y) == BATCH.beta


def test_the_batch_by_hand_agrees_with_the_library():
    x = np.array([float(v) for v in BATCH.x])[:, None]
    y, cache = batch_norm(x, np.array([float(BATCH.gamma)]), np.array([float(BATCH.beta)]), eps=float(BATCH.eps))
    np.testing.assert_allclose(cache.x_hat[:, 0], [float(v) for v in BATCH.x_hat], rtol=0, atol=1e-15)
    np.testing.assert_allclose(y[:, 0], [float(v) for v in BATCH.y], rtol=0, atol=1e-15)


def test_a_decimal_means_what_is_written():
    assert ByHand.of(["0.1"], gamma="1", beta="0", eps="0.01").x == (Fraction(1, 10),)


def test_a_root_that_does_not_come_out_is_refused():
    with pytest.raises(ValueError, match="var \\+ eps is 2; expected the square of a fraction"):
        _ = ByHand.of(["-1", "1"], gamma="1", beta="0", eps="1").root


@pytest.mark.parametrize(
    ("value", "text"), [("1/4", "0.25"), ("-3/5", "-0.6"), ("0", "0"), ("120", "120"), ("1/1000000", "0.000001")]
)
def test_decimals_have_all_their_digits(value, text):
    assert decimal(Fraction(value)) == text


def test_a_decimal_that_never_ends_is_refused():
    with pytest.raises(ValueError, match="1/3 is not a finite decimal"):
        decimal(Fraction(1, 3))


def test_negative_numbers_stand_in_parentheses_only_where_asked():
    assert decimal(Fraction(-1, 2), parentheses=True) == "(-0.5)"
    assert decimal(Fraction(1, 2), parentheses=True) == "0.5"


def test_the_worked_lines_show_the_numbers_of_numpy():
    x = np.array([float(v) for v in BATCH.x])
    d = x - x.mean()
    x_hat = d / np.sqrt(x.var() + 0.01)
    for line, expected in [
        (figures.worked_mean(BATCH), [*x, 5, 5, 5, 1]),
        (figures.worked_variance(BATCH), [*d, *d**2, *d**2, 5, 1.2, 5, 0.24]),
        (figures.worked_x_hat(BATCH), [0.24, 0.01, 0.25, 0.5, 0.5, *x_hat]),
        (figures.worked_y(BATCH), [3, 1, *(3 * x_hat - 1)]),
    ]:
        np.testing.assert_allclose(numbers_in(line), expected, atol=1e-12)


def numbers_in(latex: str) -> list[float]:
    """The numbers of a line, without exponents, subscripts and spacing; a minus counts where no number precedes it."""
    bare = re.sub(r"\[\d+pt\]|\^\d|\^\{[^}]*\}|_\{?\w+\}?", " ", latex).replace(r"\hat x -", r"\hat x ")
    return [float(number) for number in re.findall(r"-?\d+(?:\.\d+)?", bare)]


# Epsilon, gamma


@pytest.mark.parametrize("std", [1e-4, 3e-3, 0.1, 5.0])
def test_the_spread_that_epsilon_leaves_is_the_spread_of_batch_norm(std):
    x = np.random.default_rng(0).normal(size=(64, 1))
    x = (x - x.mean()) / x.std() * std
    y, _ = batch_norm(x, np.ones(1), np.zeros(1), eps=1e-5)
    assert forward.output_std(std, 1e-5) == pytest.approx(y.std(), rel=1e-9)
    assert forward.output_std(std, 1e-5, outside=True) == pytest.approx((x / (x.std() + 1e-5)).std(), rel=1e-9)


@pytest.mark.parametrize("gamma", [0.5, 1.0, 4.0])
def test_the_linear_share_is_a_squared_correlation(gamma):
    z = np.random.default_rng(0).normal(size=1_000_000)
    correlation = np.corrcoef(z, 1 / (1 + np.exp(-gamma * z)))[0, 1]
    assert forward.linear_share(gamma) == pytest.approx(correlation**2, abs=1e-3)


def test_a_weak_sigmoid_is_a_line_and_a_strong_one_nears_a_step():
    shares = [forward.linear_share(gamma) for gamma in (0.01, 0.25, 1, 2, 4, 8)]
    assert shares == sorted(shares, reverse=True)
    assert shares[0] == pytest.approx(1, abs=1e-6)
    assert shares[-1] > 2 / math.pi  # the share of a step, which every sigmoid exceeds


# The bias


@pytest.mark.parametrize("seed", range(4))
def test_a_bias_before_bn_moves_the_mean_and_nothing_else(seed):
    effect = forward.bias_effect(seed=seed)
    assert effect.output_change < 1e-12
    assert effect.mean_change < 1e-12
    assert effect.bias_gradient < 1e-14
    assert effect.weight_gradient > 0.01


# Before or after


def test_the_two_places_differ_in_the_place_alone():
    before, after = (forward.relu_network(place, rng=np.random.default_rng(1)) for place in ("before", "after"))
    assert [type(layer) for layer in before.stack[1:3]] == [BatchNorm, ReLU]
    assert [type(layer) for layer in after.stack[1:3]] == [ReLU, BatchNorm]
    for one, other in zip(before.stack[::3], after.stack[::3], strict=True):
        np.testing.assert_array_equal(one.weight, other.weight)
    assert before.stack[0].bias is None
    assert after.stack[0].bias is not None


def test_an_unknown_place_is_refused():
    with pytest.raises(ValueError, match="place is 'between'; expected one of"):
        forward.relu_network("between", rng=np.random.default_rng(0))


def test_the_winner_depends_on_the_learning_rate_for_seeds_the_book_does_not_show():
    seeds = (5, 6, 7)
    slow, fast = (forward.placement_gain(rate, seeds=seeds) for rate in (0.01, 1.0))
    assert slow.min() > 2
    assert fast.mean() < 1


def test_what_after_gains_at_a_small_rate_is_a_factor_and_not_centering():
    """Other seeds than the page's."""
    before, after, centered, scaled = (
        forward.accuracies(place, 0.01, seeds=(5, 6, 7)).mean()
        for place in ("before", "after", "before, then centered", "before, then scaled")
    )
    assert scaled - before > 0.8 * (after - before) > 8
    assert centered - before < 0.5 * (after - before)


def test_the_layers_behind_the_relu_do_one_thing_each():
    rng = np.random.default_rng(0)
    x, dy = (rng.normal(2, 3, size=(50, 4)).astype(np.float32) for _ in range(2))
    centered, scaled = forward.Centered(4, momentum=1.0), forward.Scaled(1 / forward.RELU_STD)
    np.testing.assert_allclose(centered.forward(x).mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(centered.forward(x).std(axis=0), x.std(axis=0), rtol=1e-5)
    np.testing.assert_allclose(centered.backward(dy), dy - dy.mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(centered.eval().forward(x[:1]), x[:1] - x.mean(axis=0), rtol=1e-4)
    np.testing.assert_allclose(scaled.forward(x), x / forward.RELU_STD, rtol=1e-6)
    np.testing.assert_allclose(scaled.backward(dy), dy / forward.RELU_STD, rtol=1e-6)
    z = rng.normal(size=1_000_000)
    assert np.maximum(z, 0).std() == pytest.approx(forward.RELU_STD, rel=5e-3)


def test_a_gamma_that_is_held_stays_one_and_costs_nothing_before_a_relu():
    learned, held = (forward.accuracies("before", 0.2, seeds=(5, 6), learn_gamma=learn) for learn in (True, False))
    assert not np.array_equal(learned, held)
    assert abs(learned.mean() - held.mean()) < 2


def test_the_shape_of_a_distribution_ignores_mean_and_spread():
    rng = np.random.default_rng(0)
    exponential = rng.exponential(size=(200_000, 2)) * [1, 50] + [0, 7]
    assert forward.shape_of(exponential).skewness == pytest.approx(2, abs=0.1)
    assert forward.shape_of(rng.normal(3, 2, size=(200_000, 2))).skewness == pytest.approx(0, abs=0.02)
    leaning_apart = exponential * [1, -1]
    assert forward.shape_of(leaning_apart).skewness == pytest.approx(2, abs=0.1)  # units must not cancel


def test_zeros_are_counted_and_constant_units_have_no_shape():
    values = np.array([[0.0, 0.0], [0.0, 0.0], [1.0, 0.0], [1.0, 0.0]])
    shape = forward.shape_of(values)
    assert shape.zeros == 6 / 8
    assert shape.skewness == 0


# Cancellation


def test_one_pass_loses_twice_the_digits_of_the_ratio_and_two_passes_none():
    errors = forward.variance_errors([0.0, 1e2, 1e4, 1e5])
    assert (errors["two passes"][:3] < 1e-6).all()
    unit_roundoff = 2.0**-24
    assert errors["one pass"][0] < 1e-6
    for ratio, error in zip([1e2, 1e4, 1e5], errors["one pass"][1:], strict=True):
        assert error < 20 * unit_roundoff * ratio**2
    assert errors["one pass"][2] > 0.01


# Figures


@pytest.mark.parametrize("seed", [1, 2])
def test_the_premise_of_normalizing_before_the_activation_holds_for_other_seeds(seed):
    found = forward.shapes(seed=seed)
    assert abs(found["pre-activation"].skewness) < 0.3
    assert found["activation"].skewness > 0.8
    assert found["pre-activation"].zeros == 0
    assert 0.3 < found["activation"].zeros < 0.7


STDS = [10.0 ** (power / 2) for power in range(-10, 3)]
GAMMAS = [0.25, 0.5, 0.75, 1, 1.5, 2, 3, 4, 6, 8]
BATCH_FOR_FIGURE = np.array([-1.2, -0.5, 0.1, 1.6])


@pytest.mark.parametrize(
    ("draw", "values"),
    [
        (lambda std: figures.epsilon_at_work(std, 1e-5, BATCH_FOR_FIGURE), STDS),
        (lambda gamma: figures.sigmoid_and_gamma(gamma, forward.linear_share(gamma)), GAMMAS),
    ],
    ids=["epsilon", "gamma"],
)
def test_frames_keep_their_axes_and_are_light(draw, values):
    book = [draw(value) for value in values]
    limits = [[(ax.get_xlim(), ax.get_ylim()) for ax in fig.axes] for fig in book]
    assert all(limit == limits[0] for limit in limits)
    assert len({fig.axes[0].get_title(loc="left") for fig in book}) == len(book)
    assert sum(len(show(fig, alt="a frame").html) for fig in book) < 300_000


def test_the_epsilon_figure_draws_the_batch_after_bn():
    fig = figures.epsilon_at_work(1e-3, 1e-5, BATCH_FOR_FIGURE)
    _, dots = fig.axes[0].get_lines()
    np.testing.assert_allclose(dots.get_xdata(), BATCH_FOR_FIGURE * 1e-3 / np.sqrt(1e-6 + 1e-5))
    assert fig.axes[0].get_title(loc="left") == "σ = 0.001 becomes 0.3"


def test_the_line_in_the_sigmoid_figure_is_the_least_squares_line():
    fig = figures.sigmoid_and_gamma(2.0, 0.9)
    line = fig.axes[0].get_lines()[-1]
    slope = np.polyfit(line.get_xdata(), line.get_ydata(), 1)[0]
    z = np.random.default_rng(0).normal(size=1_000_000)
    assert slope == pytest.approx(np.polyfit(2 * z, 1 / (1 + np.exp(-2 * z)), 1)[0], rel=0.01)


def test_the_placement_figure_marks_every_seed_and_the_means():
    gains = [np.array([1.0, 3.0]), np.array([-2.0, 0.0])]
    fig = figures.placement_gains([0.1, 1.0], gains)
    _, first, second, means = fig.axes[0].get_lines()
    assert [list(line.get_ydata()) for line in (first, second)] == [[1, 3], [-2, 0]]
    assert list(means.get_ydata()) == [2, -1]


def test_the_variance_figure_draws_both_formulas():
    errors = {"one pass": np.array([1e-3, 1e-1]), "two passes": np.array([1e-7, 1e-7])}
    fig = figures.variance_error([1e2, 1e3], errors)
    drawn = [list(line.get_ydata()) for line in fig.axes[0].get_lines()[:2]]
    assert drawn == [[1e-3, 1e-1], [1e-7, 1e-7]]


def test_the_words_of_the_variance_figure_lie_over_no_line():
    ratios = np.logspace(0, 4, 17)
    errors = {"one pass": 1e-7 * ratios**2, "two passes": np.full(17, 5e-8)}  # what the page draws, smoothed
    assert covered(figures.variance_error(ratios.tolist(), errors)) == []
