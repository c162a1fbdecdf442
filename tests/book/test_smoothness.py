"""The chapter on covariate shift and smoothness: its experiments and figures, against theory and other computations."""

import math

import numpy as np
import pytest
import sympy
from drawn import covered

from bn_book.covariate_shift import experiments as shift
from bn_book.data import load_digits
from bn_book.networks import sigmoid_network, standardize_once
from bn_book.smoothness import experiments as exp
from bn_book.smoothness import figures as draw
from bn_lib import Dense, ReLU, Sequential, batch_norm, batch_norm_backward
from bn_lib.curvature import hessian_eigenvalues, loss_and_gradient, parameter_vector

# By hand

START = exp.Unit((exp.Fraction(4, 5), exp.Fraction(3, 5)), with_bn=False)
CORNERS = np.array([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])


@pytest.mark.parametrize("with_bn", [False, True])
def test_the_gradients_by_hand_are_those_of_the_loss(with_bn):
    """Differentiated by SymPy from the loss over the four examples, BN written out."""
    u1, u2, v = sympy.symbols("u1 u2 v", real=True)
    h = [u1 * sympy.Integer(int(a)) + u2 * sympy.Integer(int(b)) for a, b in CORNERS]
    if with_bn:
        mean = sum(h) / 4
        h = [(each - mean) / sympy.sqrt(sum((other - mean) ** 2 for other in h) / 4) for each in h]
    loss = sum((v * each - 2 * int(a)) ** 2 for each, (a, _) in zip(h, CORNERS, strict=True)) / 8
    unit = START._replace(with_bn=with_bn, u=(exp.Fraction(6, 5), exp.Fraction(8, 5)), v=exp.Fraction(1, 2))
    at = {u1: sympy.Rational(6, 5), u2: sympy.Rational(8, 5), v: sympy.Rational(1, 2)}
    exact = [sympy.Rational(each.numerator, each.denominator) for each in (*unit.gradient_below, unit.gradient_above)]
    assert [sympy.nsimplify(sympy.diff(loss, by).subs(at)) for by in (u1, u2, v)] == exact
    assert sympy.nsimplify(loss.subs(at)) == sympy.Rational(unit.loss.numerator, unit.loss.denominator)


def test_a_length_that_is_no_fraction_is_refused():
    with pytest.raises(ValueError, match="expected a length that is a fraction"):
        _ = exp.Unit((exp.Fraction(1), exp.Fraction(1)), with_bn=True).length


@pytest.mark.parametrize("length", [1, 2, 10])
def test_the_shift_of_longer_weights_is_that_of_bn_lib(length):
    u, target = length * np.array([[0.8], [0.6]]), 2 * CORNERS[:, :1]

    def gradients(u):
        h, cache = batch_norm(CORNERS @ u, np.ones(1), np.zeros(1), eps=0)
        dy = (h - target) / 4
        return (h * dy).sum(), CORNERS.T @ batch_norm_backward(dy, cache)[0]

    before, du = gradients(u)
    after, _ = gradients(u - 0.625 * du)
    assert exp.unit_shift(length) == pytest.approx(abs(after - before) / abs(before), rel=1e-10)


def test_the_worked_lines_hold_the_exact_numbers():
    rate = exp.Fraction(5, 8)
    assert "= -0.646875" in draw.worked_plain(START, rate)
    with_bn = draw.worked_with_bn(START._replace(with_bn=True), rate)
    assert r"(1.25,\; 0)" in with_bn
    assert with_bn.endswith(r"= -1 \end{aligned}")
    assert "= -0.6" in draw.worked_start(START)


# Layers


def test_the_noise_is_that_of_the_paper():
    layer = exp.Disturbance(40, 1.0, np.random.default_rng(0))
    zeros, ones = np.zeros((4000, 40)), np.ones((4000, 40))
    added = layer.forward(zeros)
    middle, spread = added.mean(axis=0), np.ptp(added, axis=0)
    assert np.abs(middle).max() < 0.51
    assert np.ptp(middle) > 0.8, "each unit has another mean"
    assert (spread < 0.2).all()
    assert (spread > 0.19).all()
    layer.rng = np.random.default_rng(0)
    factor = layer.forward(ones) - added
    scales = factor.mean(axis=0)
    assert scales.min() > 0.99
    assert scales.max() < 1.26
    assert np.ptp(scales) > 0.2
    assert factor.std(axis=0) == pytest.approx(0.1, rel=0.1)
    assert np.allclose(layer.backward(ones), factor, atol=1e-12)
    assert not np.allclose(layer.forward(zeros).mean(axis=0), middle, atol=0.1), "another at each step"
    assert layer.eval().forward(ones) is ones


def differences(layer, x, dy, step=1e-6):
    """The gradient with respect to x by central differences."""
    found = np.zeros_like(x)
    for at in np.ndindex(*x.shape):
        moved = np.zeros_like(x)
        moved[at] = step
        found[at] = ((layer.forward(x + moved) - layer.forward(x - moved)) * dy).sum() / (2 * step)
    return found


@pytest.mark.parametrize("p", [1.0, 2.0, math.inf])
def test_the_other_normalizers_have_the_right_gradients(p):
    rng = np.random.default_rng(0)
    x, dy = rng.normal(size=(2, 7, 3)) + 0.5
    layer = exp.LpNorm(3, p)
    layer.gamma, layer.beta = rng.normal(size=(2, 3))
    y = layer.forward(x)
    size = np.linalg.norm(x, ord=p, axis=0) / (1 if math.isinf(p) else len(x) ** (1 / p))
    assert np.allclose(y, layer.gamma * (x - x.mean(axis=0)) / size + layer.beta, atol=1e-12)
    dx = layer.backward(dy)
    assert np.allclose(dx, differences(layer, x, dy), atol=1e-7)
    assert np.allclose(layer.grads["beta"], dy.sum(axis=0))
    assert np.allclose(layer.grads["gamma"], (dy * (y - layer.beta) / layer.gamma).sum(axis=0))


def test_p_2_of_centred_values_is_bn():
    x = np.random.default_rng(0).normal(size=(9, 4))
    x -= x.mean(axis=0)
    assert np.allclose(exp.LpNorm(4, 2.0).forward(x), batch_norm(x, np.ones(4), np.zeros(4), eps=0)[0], atol=1e-12)


# Networks


def test_standardized_once_is_bn_before_training():
    images = load_digits().train[0]
    once, with_bn = exp.network("standardized once"), exp.network("BN")
    assert np.allclose(once.forward(images), with_bn.forward(images), atol=1e-4)
    inputs = exp.entering(once, images)
    assert np.allclose(inputs, exp.entering(with_bn, images), atol=1e-4)


def test_a_unit_that_says_nothing_stays_so():
    rng = np.random.default_rng(0)
    model = Sequential(Dense(2, 3, rng=rng), ReLU(), Dense(3, 2, rng=rng))
    model.stack[0].weight[:, 1] = 0
    last = model.stack[2].weight
    standardize_once(model, rng.normal(size=(50, 2)))
    assert (model.stack[0].weight[:, 1] == 0).all()
    assert model.stack[2].weight is last


def test_the_stretched_network_computes_what_the_plain_one_does():
    images = load_digits().train[0][:20]
    plain, stretched = exp.network("plain", "relu"), exp.network("stretched", "relu")
    assert np.array_equal(plain.forward(images), stretched.forward(images))
    assert exp.stretched_at_its_rate(steps=3) == 0, "to the last bit, because its factors are powers of two"


def test_the_plain_network_is_that_of_the_chapter_on_covariate_shift():
    theirs = sigmoid_network(rng=np.random.default_rng(3))
    assert np.array_equal(parameter_vector(exp.network("plain", seed=3)), parameter_vector(theirs))
    assert np.array_equal(
        parameter_vector(exp.network("BN", seed=3)), parameter_vector(shift.network_of("with BN", seed=3))
    )


def test_weights_stand_where_they_are_said_to():
    model = exp.network("BN", depth=2, units=5)
    theta = parameter_vector(model)
    dense = [layer for layer in model.stack if isinstance(layer, Dense)]
    for layer, rows in zip(dense, exp.weights_of(model), strict=True):
        assert np.array_equal(theta[rows], layer.weight.ravel())


# Measures


def gradient_on(images=60):
    x, labels = (part[:images] for part in load_digits().train)
    return x, labels, lambda model: loss_and_gradient(model, x, labels)


def test_close_by_the_effective_beta_is_at_most_the_largest_eigenvalue():
    """And it is the curvature along the gradient: g.H.H.g / g.g is at most its square."""
    x, labels, gradient_of = gradient_on()
    model = exp.network("BN", units=10)
    theta = parameter_vector(model)
    near = exp.along(model, gradient_of, (1e-2,))
    largest = hessian_eigenvalues(model, x, labels)[0]
    assert 0.2 * largest < near.beta < 1.05 * largest
    assert np.array_equal(parameter_vector(model), theta), "the model stays"


def test_along_the_gradient_is_a_step_of_gradient_descent():
    _, _, gradient_of = gradient_on()
    model = exp.network("plain", "relu", units=10)
    found = exp.along(model, gradient_of, (0.1, 0.4))
    loss, gradient = gradient_of(model)
    exp.set_parameter_vector(model, parameter_vector(model) - 0.4 * gradient)
    moved, there = gradient_of(model)
    assert (found.start, found.loss[1]) == (loss, moved)
    assert found.change[1] == pytest.approx(np.linalg.norm(there - gradient), rel=1e-6)
    assert found.beta >= found.change[1] / (0.4 * found.gradient) * (1 - 1e-9)
    assert found.relative_change == found.change.max() / found.gradient
    assert found.loss_range == pytest.approx(np.ptp(found.loss))


def test_the_shift_is_that_of_the_definition():
    """Layer by layer: those below replaced by what a step makes of them, the gradient taken anew."""
    _, _, gradient_of = gradient_on()
    model = exp.network("BN", "relu", depth=2, units=8)
    found = exp.gradient_shift(model, gradient_of, 0.3)
    assert len(found) == 2
    gradient_of(model)
    stepped = exp.network("BN", "relu", depth=2, units=8)
    _, gradient = gradient_of(stepped)
    exp.set_parameter_vector(stepped, parameter_vector(stepped) - 0.3 * gradient)
    rows = exp.weights_of(model)
    for layer, (dense, shifted) in enumerate(zip((3, 6), found, strict=True), start=1):
        mixed = Sequential(*stepped.stack[:dense], *exp.network("BN", "relu", depth=2, units=8).stack[dense:])
        _, moved = gradient_of(mixed)
        before, after = gradient[rows[layer]], moved[rows[layer]]
        assert shifted.norm == pytest.approx(np.linalg.norm(after - before), rel=1e-4)
        assert shifted.relative == pytest.approx(shifted.norm / np.linalg.norm(before), rel=1e-4)
        assert shifted.cosine == pytest.approx(
            before @ after / np.linalg.norm(before) / np.linalg.norm(after), rel=1e-4
        )


def test_the_first_layer_moved_alone_shifts_nothing_below_it():
    """In the deep linear network, as in all, the first layer has nothing below it and is not measured."""
    run = exp.deep_linear(with_bn=False, depth=4, steps=5)
    assert run.shifts.shape == run.cosines.shape == (5, 3)
    assert run.loss.shape == (5,)


def test_the_deep_linear_loss_is_the_squared_error():
    """Without BN the product of all matrices is one matrix, and the loss is its distance from the right one."""
    run = exp.deep_linear(with_bn=False, depth=3, units=2, examples=50, steps=5, seed=1)
    rng = np.random.default_rng(1)
    x, matrix = rng.normal(size=(50, 2)), rng.normal(size=(2, 2))
    product = np.linalg.multi_dot([Dense(2, 2, rng=rng, bias=False, init="glorot").weight for _ in range(3)])
    assert run.loss[0] == pytest.approx(((x @ (product - matrix)) ** 2).sum() / 50)
    assert (np.diff(run.loss) < 0).all()


@pytest.mark.parametrize("depth", [1, 3])
def test_far_away_each_layer_multiplies(depth):
    """Biases apart, the output of depth + 1 dense layers with ReLUs has that power in a factor of all weights."""
    assert exp.growth("plain", "relu", depth=depth) == pytest.approx(depth + 1, abs=0.3)
    assert exp.growth("BN", "relu", depth=depth) == pytest.approx(2, abs=0.3)


def test_looking_changes_nothing():
    model = exp.network("BN", noise=1.0)
    before = model.state_dict()
    first = exp.entering(model, load_digits().train[0][:60])
    assert np.array_equal(exp.entering(model, load_digits().train[0][:60]), first), "the noise of the next step"
    exp.share_right(model)
    assert all(layer.training for layer in model.layers())
    for name, value in model.state_dict().items():
        assert np.array_equal(value, before[name]), name


def test_a_run_is_made_once_however_it_is_asked_for():
    first = exp.train("BN", seed=5)
    assert exp.train("BN", "sigmoid", noise=0.0, learning_rate=0.5, seed=5) is first
    assert first.right[-1] >= 0.9
    assert first.steps == first.looks[-1]
    assert math.isnan(first.beta)
    assert first.percentiles.shape == (exp.WATCHED // exp.EVERY + 1, 3, 100)


def test_a_run_that_diverges_ends():
    lost = exp.train("plain", "relu", learning_rate=1e6)
    assert math.isinf(lost.steps)
    assert len(lost.percentiles) < 5
    assert np.isfinite(lost.percentiles).all()


def test_movement_is_that_of_the_chapter_on_covariate_shift():
    percentiles = np.array([[[-1.0], [0.0], [1.0]], [[0.2], [1.1], [1.4]]])
    run = shift.Run("", np.arange(2), percentiles[:, np.newaxis], np.zeros(1), 1, None)
    watched = exp.Watched(percentiles, np.zeros(1), np.zeros(1), (), ())
    assert watched.movement == run.movement() == pytest.approx(0.9)
    assert watched.movement_in_widths == run.relative_movement() == pytest.approx(0.9 / 1.6)


# Figures


def _watched(steps, movement):
    percentiles = np.array([[-1.0], [0.0], [1.0]]) + np.array([0.0, movement])[:, np.newaxis, np.newaxis]
    far = exp.Along(np.ones(2), np.array([0.2, 0.8]), 1.0, 1.0, np.array([0.1, 0.2]))
    return exp.Watched(percentiles, np.array([steps]), np.array([0.9]), (far,) * 3, (exp.Shift(0.1, 0.2, 0.9),) * 3)


RUNS = {
    "plain": {0.0: [_watched(880, 1.6)], 1.0: [_watched(780, 7.6)]},
    "larger weights": {0.0: [_watched(97, 6.6)]},
    "standardized once": {
        k: [_watched(*at)] for k, at in ((0.0, (52, 3.4)), (1.0, (57, 12.5)), (3.0, (84, 33)), (10.0, (430, 98)))
    },
    "BN": {k: [_watched(*at)] for k, at in ((0.0, (18, 0.9)), (1.0, (18, 7.1)), (3.0, (18, 21)), (10.0, (50, 69)))},
}


def test_the_scatter_shows_every_dose_by_both_yardsticks():
    fig = draw.speed_and_stability(RUNS)
    for ax, scale in zip(fig.axes, (1, 2), strict=True):
        drawn = [line.get_xydata().tolist() for line in ax.lines if len(line.get_xdata()) == 4]
        assert len(drawn) == 2
        expected = [[0.9 / scale, 18], [7.1 / scale, 18], [21 / scale, 18], [69 / scale, 50]]
        assert np.allclose(drawn[1], expected)
    above = draw.speed_and_stability(RUNS)
    above.axes[1].remove()
    assert covered(above) == []


def test_smoothness_is_drawn_in_lines_and_bands():
    quiet = {kind: of_kind[0.0] for kind, of_kind in RUNS.items()}
    fig = draw.smoothness_in_training({"sigmoid": quiet, "relu": quiet})
    assert [len(ax.lines) for ax in fig.axes] == [4, 4]
    assert [ax.get_ylabel() for ax in fig.axes] == ["effective β, sigmoids", "effective β, ReLUs"]
    assert fig.axes[0].lines[0].get_ydata().tolist() == [4.0, 4.0, 4.0]
    assert covered(fig) == []


def test_shifts_are_drawn_seed_by_seed():
    fig = draw.shifts({"sigmoids": {"plain": [0.01, 0.02], "BN": [0.5, 0.6]}, "25 matrices": {"BN": [0.1]}})
    (ax,) = fig.axes
    assert [line.get_xdata().tolist() for line in ax.lines] == [[0.01, 0.02], [0.5, 0.6], [0.1]]
    assert [text.get_text() for text in ax.get_yticklabels()] == ["plain", "BN", "BN"]
    assert covered(fig) == []


def test_far_away_has_a_panel_for_each_depth():
    distances = np.array([0.1, 1000.0])
    far = {kind: exp.Along(np.array([2.0, 1e9]), np.ones(2), 2.0, 1.0, distances) for kind in ("plain", "BN")}
    fig = draw.far_away({3: far, 10: far})
    assert [ax.get_title(loc="left") for ax in fig.axes] == ["3 hidden layers", "10 hidden layers"]
    assert [len(ax.lines) for ax in fig.axes] == [2, 2]


def test_the_table_has_medians():
    table = draw.table_of_kinds({"BN": [_watched(10, 1.0), _watched(18, 2.0), _watched(20, 3.0)]}, {"BN": "BN"})
    assert table.splitlines()[-1] == "| BN | 18 | 4.0 | 2.00 | 1.00 |"
    assert draw.in_words([0.123, 4.567]) == "0.12 to 4.6"
