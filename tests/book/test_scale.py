"""The experiments and figures of the chapter on scale, against closed forms and other implementations."""

import itertools
import re
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bn_book.data import load_digits
from bn_book.drawing import show
from bn_book.scale import experiments as scale
from bn_book.scale import figures
from bn_lib import BatchNorm, Dense, Sequential, Sigmoid

# The network that opens the chapter


def test_signals_are_the_outputs_of_sigmoids_without_what_all_images_have_in_common():
    rng = np.random.default_rng(0)
    model = Sequential(Dense(4, 3, rng=rng), Sigmoid(), Dense(3, 2, rng=rng), Sigmoid(), Dense(2, 2, rng=rng))
    images = rng.normal(size=(20, 4))
    first, second = scale.signals(model, images)
    h = 1 / (1 + np.exp(-images @ model.stack[0].weight))
    np.testing.assert_allclose(first, h - h.mean(axis=0), atol=1e-12)
    h = 1 / (1 + np.exp(-h @ model.stack[2].weight))
    np.testing.assert_allclose(second, h - h.mean(axis=0), atol=1e-12)


def test_a_deep_network_of_sigmoids_loses_the_signal_and_bn_keeps_it():
    """Before training, with another seed than the page's."""
    images = load_digits().test[0]

    def spreads(with_bn):
        rng = np.random.default_rng(5)
        layers = []
        for _ in range(5):
            layers += [Dense(64, 64, rng=rng), *([BatchNorm(64)] if with_bn else []), Sigmoid()]
        return [signal.std() for signal in scale.signals(Sequential(*layers), images)]

    without, with_bn = spreads(False), spreads(True)
    assert without[-1] < without[0] / 50
    assert min(with_bn) > 0.15


def test_histograms_say_how_wide_they_are():
    rng = np.random.default_rng(0)
    fig = figures.layer_histograms([rng.normal(scale=spread, size=(500, 4)) for spread in (0.1, 0.00002)])
    words = [[text.get_text() for text in ax.texts] for ax in fig.axes]
    assert words == [["layer 1", "0.1"], ["layer 2", "2\u00a0×\u00a010⁻⁵"]]


# Quadratics


def test_the_hessian_is_the_second_derivative_of_the_loss():
    rng = np.random.default_rng(0)
    x, y, w = rng.normal(size=(7, 3)), rng.normal(size=7), rng.normal(size=3)

    def loss(w):
        return np.mean((x @ w - y) ** 2) / 2

    h, unit = scale.hessian(x), 1e-3 * np.eye(3)
    for i, j in itertools.product(range(3), repeat=2):
        both, one, other = loss(w + unit[i] + unit[j]), loss(w + unit[i] - unit[j]), loss(w - unit[i] + unit[j])
        second = (both - one - other + loss(w - unit[i] - unit[j])) / (4 * 1e-6)
        assert h[i, j] == pytest.approx(second, abs=1e-6)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), rate=st.floats(1e-3, 0.5), steps=st.integers(0, 12))
def test_descent_agrees_with_its_closed_form(seed, rate, steps):
    rng = np.random.default_rng(seed)
    h, minimum, start = scale.random_hessian(5.0, dimension=3, seed=seed), rng.normal(size=3), rng.normal(size=3)
    path = scale.descend(h, minimum, start, rate, steps)
    power = np.linalg.matrix_power(np.eye(3) - rate * h, steps)
    assert len(path) == steps + 1
    np.testing.assert_allclose(path[-1], minimum + power @ (start - minimum), rtol=1e-9, atol=1e-9)


def test_the_loss_on_a_quadratic_is_that_of_the_regression():
    x, y, best = scale.hand_problem()
    for w in ([0.0, 0.0], [1.0, -2.0], best):
        assert scale.loss_on(scale.hessian(x), best, np.array(w)) == pytest.approx(np.mean((x @ w - y) ** 2) / 2)


@pytest.mark.parametrize("condition", [1.0, 4.0, 250.0])
def test_a_random_hessian_has_the_eigenvalues_asked_for(condition):
    h = scale.random_hessian(condition, dimension=6, seed=3)
    np.testing.assert_allclose(h, h.T, atol=1e-10)
    np.testing.assert_allclose(np.sort(np.linalg.eigvals(h).real), np.geomspace(1, condition, 6), rtol=1e-9)
    assert scale.condition_number(h) == pytest.approx(condition)
    assert abs(h - np.diag(np.diag(h))).max() > 0.1 or condition == 1.0


# The limit and the steps


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("condition", [2.0, 70.0])
def test_the_measured_limit_is_two_over_the_largest_eigenvalue(condition, seed):
    h = scale.random_hessian(condition, dimension=4, seed=seed)
    limit = 2 / condition
    assert not scale.diverges(h, 0.99 * limit, seed=seed)
    assert scale.diverges(h, 1.01 * limit, seed=seed)
    assert limit * 0.9999 < scale.largest_stable_rate(h, seed=seed) < limit * 1.01


def test_a_longer_run_measures_the_limit_more_closely():
    h = scale.random_hessian(30.0, seed=1)
    error = [scale.largest_stable_rate(h, steps=steps, seed=1) * 15 - 1 for steps in (30, 300, 3000)]
    assert error[0] > error[1] > error[2] > 0


def test_the_best_rate_beats_its_neighbors_from_the_worst_start():
    h = np.diag([1.0, 40.0])
    best = scale.best_rate(h)

    def left(rate):
        return max(abs(1 - rate), abs(1 - 40 * rate))

    assert left(best) == pytest.approx(39 / 41)
    assert left(best) < min(left(0.99 * best), left(1.01 * best))


@pytest.mark.parametrize("condition", [1.5, 10.0, 333.0])
def test_predicted_steps_are_those_of_the_worst_start(condition):
    h = np.diag([1.0, condition])
    off, steps = np.array([1.0, 1.0]), 0
    while np.linalg.norm(off) > 1e-3 * np.sqrt(2):
        off, steps = off - scale.best_rate(h) * (h @ off), steps + 1
    assert steps == np.ceil(scale.predicted_steps(condition) - 1e-9)


def test_predicted_steps_grow_with_half_the_condition_number():
    assert scale.predicted_steps(1e6) == pytest.approx(0.5e6 * np.log(1000), rel=1e-5)
    assert scale.predicted_steps(1.0) == 1


def test_counted_steps_never_exceed_the_prediction():
    sweep = scale.sweep_condition((1.0, 5.0, 50.0), seed=7)
    assert np.all(sweep.measured_steps <= np.ceil(scale.predicted_steps(sweep.condition)))
    assert np.all(sweep.measured_steps >= 0.5 * scale.predicted_steps(sweep.condition))


def test_too_few_steps_are_an_error():
    with pytest.raises(RuntimeError, match=r"5 steps at the learning rate 0\.001 were not enough"):
        scale.steps_until(np.eye(2), 1e-3, limit=5)


# By hand


def test_the_problem_by_hand_has_the_numbers_of_the_chapter():
    worked = scale.worked_descent()
    assert worked.h == (4, 12, 49)
    assert (worked.largest, worked.smallest) == (52, 1)
    assert worked.weights[1:] == ((Fraction("1.68"), Fraction("6.21")), (Fraction("0.9228"), Fraction("2.6865")))


def test_the_problem_by_hand_agrees_with_floating_point():
    x, _, best = scale.hand_problem()
    worked = scale.worked_descent(Fraction(1, 50), steps=5)
    path = scale.descend(scale.hessian(x), best, np.zeros(2), 0.02, 5)
    np.testing.assert_allclose(np.array(worked.weights, dtype=float), path, rtol=0, atol=1e-12)
    np.testing.assert_allclose(scale.eigenvalues(scale.hessian(x)), [1, 52])
    np.testing.assert_allclose(x.mean(axis=0), 0)
    np.testing.assert_allclose(x.std(axis=0), [2, 7])


def test_the_lines_by_hand_hold_as_they_are_written():
    """Each `a = b` of the TeX with nothing but numbers on both sides is true."""
    worked = scale.worked_descent()
    tex = figures.worked_hessian(worked) + r" \\ " + figures.worked_eigenvalues(worked)
    plain = re.sub(r"\\tfrac\{(\d+)\}\{(\d+)\}", r"(\1/\2)*", tex).replace(r"\tfrac12", "(1/2)*")
    plain = re.sub(r"\\cdot", "*", plain).replace("^2", "**2").replace(r"\text", "").replace("&", "")
    checked = 0
    for line in re.split(r"\\\\(?:\[4pt\])?", plain):
        sides = [side.strip().rstrip("*") for side in line.split("=")]
        values = [eval(side) for side in sides if re.fullmatch(r"[\d\s+*/().-]+", side)]
        assert len(set(values)) <= 1, line
        checked += len(values) > 1
    assert checked == 5  # three entries, trace, determinant


def test_each_step_by_hand_starts_where_the_last_one_ended():
    worked = scale.worked_descent()
    first, second = (figures.worked_step(worked, step) for step in (0, 1))
    assert first.count(r"1.68 \\ 6.21") == second.count(r"1.68 \\ 6.21") == 1
    assert r"0.9228 \\ 2.6865" in second


# Preparing features


def test_whitened_features_have_the_identity_as_covariance():
    x = np.random.default_rng(0).normal(size=(50, 3)) @ np.array([[3, 0, 0], [1, 1, 0], [0, 5, 0.1]]) + 7
    z = scale.whiten(x)
    np.testing.assert_allclose(z.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(np.cov(z.T, ddof=0), np.eye(3), atol=1e-9)


def test_standardizing_leaves_the_correlation_and_whitening_does_not():
    x, rho = scale.hand_problem().x, 6 / 7
    standardized = scale.hessian(x / x.std(axis=0))
    assert scale.condition_number(scale.hessian(x)) == pytest.approx(52)
    np.testing.assert_allclose(standardized, [[1, rho], [rho, 1]])
    assert scale.condition_number(standardized) == pytest.approx((1 + rho) / (1 - rho))
    assert scale.condition_number(scale.hessian(scale.whiten(x))) == pytest.approx(1)


# Digits


def test_digits_are_standardized_with_the_statistics_of_the_training_images():
    from sklearn.preprocessing import StandardScaler

    train, test = scale.varying_pixels()
    assert train.std(axis=0).min() > 0
    scaler = StandardScaler().fit(train)
    x = np.column_stack([scaler.transform(train), np.ones(len(train))])
    standardized = scale.digits_stages()[2]
    values = np.linalg.svd(x, compute_uv=False) ** 2 / len(x)
    assert standardized.largest == pytest.approx(values[0])
    assert standardized.smallest == pytest.approx(values[-1])
    # 3000 steps are enough here, so the weights are those of least squares
    (_, labels), (_, test_labels) = load_digits()
    best = np.linalg.lstsq(x, np.eye(10)[labels])[0]
    scores = np.column_stack([scaler.transform(test), np.ones(len(test))]) @ best
    assert standardized.test_accuracy == np.mean(scores.argmax(axis=1) == test_labels)


def test_the_excess_loss_is_that_of_gradient_descent_on_the_data():
    train, _ = scale.varying_pixels()
    targets = np.eye(10)[load_digits().train[1]]
    x = np.column_stack([train, np.ones(len(train))])
    raw = scale.digits_stages()[0]

    def loss(w):
        return np.sum((x @ w - targets) ** 2) / (2 * len(x))

    lowest, w = loss(np.linalg.lstsq(x, targets)[0]), np.zeros((x.shape[1], 10))
    for step in range(31):
        assert raw.excess[step] == pytest.approx(loss(w) - lowest, rel=1e-9)
        w = w - x.T @ (x @ w - targets) / len(x) / raw.largest


def test_the_flattest_directions_are_pixels_that_hardly_vary():
    train, _ = scale.varying_pixels()
    x = np.column_stack([train, np.ones(len(train))])
    _, directions = np.linalg.eigh(scale.hessian(x))
    deviation = x.std(axis=0)
    shares = (directions[:, :10] ** 2)[deviation < 0.1].sum(axis=0)
    assert np.median(shares) > 0.8
    # the loss along them is what is lost when the best weights move to 0 along them
    targets = np.eye(10)[load_digits().train[1]]
    best = np.linalg.lstsq(x, targets)[0]
    without = best - directions[:, :10] @ (directions[:, :10].T @ best)
    rise = np.sum((x @ without - targets) ** 2) - np.sum((x @ best - targets) ** 2)
    raw = scale.digits_stages()[0]
    assert raw.flattest_share == pytest.approx(rise / (2 * len(x)) / raw.excess[0], rel=1e-6)


def test_all_stages_start_alike_and_whitening_needs_one_step():
    stages = scale.digits_stages()
    starts = [stage.excess[0] for stage in stages]
    np.testing.assert_allclose(starts, starts[0], rtol=1e-9)
    assert stages[-1].steps_to(0.01) == 1
    assert all(np.all(np.diff(stage.excess) < 1e-20) for stage in stages)
    with pytest.raises(RuntimeError, match="3000 steps did not reach 1e-30"):
        stages[0].steps_to(1e-30)


# Figures


def test_figures_of_the_chapter_fit_a_page():
    for fig in (
        figures.rate_and_steps(scale.sweep_condition((1.0, 10.0))),
        figures.digits_descent(scale.digits_stages()),
    ):
        assert len(show(fig, alt="A test.").html) < 40_000
