"""The experiments and figures of the chapter on conditioning, against SymPy, brute force and the layers themselves."""

import copy
import math
from fractions import Fraction

import drawn
import numpy as np
import pytest
import sympy

from bn_book.conditioning import experiments as exp
from bn_book.conditioning import figures as draw
from bn_book.data import load_digits
from bn_book.drawing import show
from bn_lib import SGD, BatchNorm, accuracy, loss_and_gradient, parameter_vector, set_parameter_vector
from bn_lib.network import Dense, ReLU, Sequential
from bn_lib.training import train_step

# By hand


def test_the_hessians_by_hand_are_the_second_derivatives_that_sympy_takes():
    found = exp.hand()
    w = sympy.symbols("w1 w2")
    x = sympy.Matrix([[sympy.Rational(a.numerator, a.denominator) for a in row] for row in found.x])
    z = x * sympy.Matrix(w)
    mean = sum(z) / len(z)
    sigma = sympy.sqrt(sum((v - mean) ** 2 for v in z) / len(z))
    here = {w[0]: 0, w[1]: 1}
    held_mean, held_sigma = mean.subs(here), sigma.subs(here)
    targets = [((v - mean) / sigma).subs(here) for v in z]
    assert [Fraction(int(t.p), int(t.q)) for t in targets] == list(found.answers)
    assert (held_mean, held_sigma) == (found.mean, found.sigma)
    hessians = {
        (held_mean, held_sigma): found.constants,
        (mean, held_sigma): found.centered,
        (mean, sigma): found.batch,
    }
    for (m, s), h in hessians.items():
        loss = sum(((v - m) / s - t) ** 2 for v, t in zip(z, targets, strict=True)) / (2 * len(z))
        assert loss.subs(here) == 0
        for value, (i, j) in zip(h, ((0, 0), (0, 1), (1, 1)), strict=True):
            assert sympy.diff(loss, w[i], w[j]).subs(here) == value


@pytest.mark.parametrize("centered", [False, True])
def test_the_lines_by_hand_hold_as_they_are_written(centered):
    found = exp.hand()
    h = found.centered if centered else found.constants
    matrix = sympy.Matrix([[h[0], h[1]], [h[1], h[2]]])
    written = draw.worked_held(found, centered=centered)
    assert set(matrix.eigenvals()) == {sympy.Rational(52 if centered else 120, 49), sympy.Rational(1, 49)}
    assert rf"\tfrac{{{52 if centered else 120}}}{{49}}" in written
    assert (r"4 & 12" if centered else r"8 & 28") in written
    assert r"86^2 + 34^2 + 14^2 + 38^2" in draw.worked_batch(found)
    assert Fraction(86**2 + 34**2 + 14**2 + 38**2, 4 * 343**2) == found.batch[0] == Fraction(52, 2401)
    assert r"-\tfrac{11}{7}" in draw.worked_answers(found)


# The networks


@pytest.mark.parametrize("seed", [5, 6])
@pytest.mark.parametrize(("hidden", "activation"), [((7, 5), exp.Sigmoid), ((6, 6, 6), ReLU)])
def test_standardized_once_is_bn_before_the_first_step_and_not_after(seed, hidden, activation):
    images, labels = exp.small_digits()
    options = {"seed": seed, "hidden": hidden, "activation": activation, "dtype": np.float64}
    once, with_bn = (exp.network_of(start, images, **options) for start in ("standardized once", "BN"))
    assert not any(isinstance(layer, BatchNorm) for layer in once.layers())
    np.testing.assert_allclose(once.forward(images), with_bn.forward(images), rtol=1e-9, atol=1e-12)
    h = images
    for layer in once.stack[:-1]:
        h = layer.forward(h)
        if isinstance(layer, Dense):
            np.testing.assert_allclose(h.mean(axis=0), 0, atol=1e-10)
            assert (h.std(axis=0) <= 1).all()
            assert h.std(axis=0).min() > 0.9  # eps is beside the variance
    for model in (once, with_bn):
        train_step(model, SGD(model, 0.5), images, labels)
    assert np.abs(once.forward(images) - with_bn.forward(images)).max() > 1e-3


def test_starts_share_their_random_numbers():
    images, _ = exp.small_digits()
    plain, larger, ln, bn = (
        exp.network_of(s, images, seed=3, hidden=(8, 8)).stack[0] for s in ("plain", "larger weights", "LN", "BN")
    )
    np.testing.assert_array_equal(plain.weight, bn.weight)
    np.testing.assert_array_equal(plain.weight, ln.weight)
    assert larger.weight.std() == pytest.approx(exp.LARGER_WEIGHTS, rel=0.2)
    assert plain.bias is not None
    assert bn.bias is None


def test_steps_are_counted_where_the_accuracy_is_first_reached():
    steps = exp.steps_needed("BN", 1.0, seed=7)
    (images, labels), test = load_digits()
    model = exp.network_of("BN", images[:500], seed=7)
    optimizer, right = SGD(model, 1.0), []
    for step, rows in zip(range(1, int(steps) + 1), exp.mini_batches(len(labels), 7), strict=False):
        train_step(model, optimizer, images[rows], labels[rows])
        if step % 5 == 0:
            right.append(accuracy(model, *test))
    assert right[-1] >= 0.9
    assert max(right[:-1]) < 0.9
    assert exp.steps_needed("plain", 0.1, most=20, seed=7) == math.inf


def test_an_epoch_shows_every_image_once_but_for_the_rest():
    batches = exp.mini_batches(130, 4)
    epochs = [[next(batches) for _ in range(2)] for _ in range(2)]
    for epoch in epochs:
        assert len(set(np.concatenate(epoch))) == 120
    assert not np.array_equal(epochs[0], epochs[1])


def test_leads_are_compared_at_one_rate_and_at_the_best_of_each(monkeypatch):
    steps = {("plain", 0.1): 300.0, ("plain", 1.0): 100.0, ("BN", 0.1): 100.0, ("BN", 1.0): math.inf}
    monkeypatch.setattr(exp, "steps_needed", lambda start, rate, **_: steps[start, rate])
    assert exp.at_best("plain", (0.1, 1.0), seed=0) == 100
    assert exp.lead("plain", "BN", 0.1, (0.1, 1.0), seed=0) == 3.0


# Curvature


@pytest.mark.parametrize("steps", [0, 40])
@pytest.mark.parametrize("start", ["BN, statistics held", "BN, variance held"])
def test_what_is_held_changes_the_curvature_and_no_answer(start, steps):
    images, _ = exp.small_digits()
    model = exp.trained("BN", steps, small=True, seed=2)
    before = copy.deepcopy(model).state_dict()
    held = exp.held(model, images, start)
    np.testing.assert_allclose(held.forward(images), copy.deepcopy(model).forward(images), rtol=1e-9, atol=1e-12)
    assert all(np.array_equal(before[key], value) for key, value in model.state_dict().items())
    assert model.training
    np.testing.assert_array_equal(parameter_vector(held), parameter_vector(model))


@pytest.mark.parametrize("start", exp.HELD)
def test_what_follows_takes_back_its_own_changes(start):
    """A shift of a unit does nothing where the mean follows, longer weights nothing where the variance does too."""
    images, labels = exp.small_digits()
    images = np.column_stack([images, np.ones(len(images))])  # the weights of the last feature shift the units
    model = exp.network_of(start, images, seed=2, hidden=(8, 8), dtype=np.float64)
    weight = model.stack[0].weight
    _, gradient = loss_and_gradient(model, images, labels)
    gradient = gradient[: weight.size].reshape(weight.shape)
    size = np.linalg.norm(gradient)
    assert (np.linalg.norm(gradient[-1]) < 1e-12 * size) == (start != "BN, statistics held")
    # eps keeps the other from being exactly 0
    assert (np.linalg.norm((gradient * weight).sum(axis=0)) < 1e-4 * size) == (start == "BN")


def test_recentering_is_the_mean_of_the_batch_in_the_place_of_a_constant():
    rng = np.random.default_rng(0)
    x, dy, mean = rng.normal(3, 1, (9, 4)), rng.normal(size=(9, 4)), rng.normal(size=4)
    layer = exp.Recenter(mean)
    np.testing.assert_allclose(layer.forward(x).mean(axis=0), mean)
    v = rng.normal(size=(9, 4))
    slope = np.sum(dy * (layer.forward(x + 1e-6 * v) - layer.forward(x - 1e-6 * v))) / 2e-6
    assert np.sum(layer.backward(dy) * v) == pytest.approx(slope, rel=1e-6)


def test_a_spectrum_is_that_of_the_matrix_of_second_differences():
    """Brute force, with the loss alone: the trace and the sum of squares of the eigenvalues."""
    images, labels = exp.small_digits()
    model = copy.deepcopy(exp.trained("standardized once", 0, small=True, seed=1))
    theta, values = parameter_vector(model), exp.spectrum("standardized once", 0, seed=1)
    assert len(values) == theta.size
    assert (np.diff(values) <= 0).all()

    def loss(at):
        set_parameter_vector(model, at)
        return loss_and_gradient(model, images, labels)[0]

    step, middle = 1e-3, loss(theta)
    trace = sum((loss(theta + step * e) - 2 * middle + loss(theta - step * e)) / step**2 for e in np.eye(theta.size))
    assert values.sum() == pytest.approx(trace, rel=1e-3)
    assert exp.largest("standardized once", 0, small=True, seed=1) == pytest.approx(values[0], rel=1e-6)


def test_inputs_of_a_layer_are_spread_as_their_second_moments():
    images, _ = exp.some_digits()
    with_ones = np.column_stack([images, np.ones(len(images))])
    singular = np.linalg.svd(with_ones, compute_uv=False)
    for start in ("plain", "BN"):
        assert exp.input_ratio(start, seed=4)[0] == pytest.approx((singular[0] / singular[9]) ** 2, rel=1e-8)


# Descent


def test_a_descent_is_gradient_descent_at_the_rate_that_its_start_sets():
    run = exp.descend("standardized once", 2.0, small=True, steps=3, moments=3, seed=3)
    images, labels = exp.small_digits()
    model = copy.deepcopy(exp.trained("standardized once", 0, small=True, seed=3))
    values = exp.spectrum("standardized once", 0, seed=3)
    assert run.rate == pytest.approx(4 / values[0], rel=1e-6)
    assert run.product[0] == pytest.approx(2.0)
    for loss in run.loss:
        here, gradient = loss_and_gradient(model, images, labels)
        assert loss == pytest.approx(here, rel=1e-9)
        set_parameter_vector(model, parameter_vector(model) - run.rate * gradient)
    assert run.steps.tolist()[0] == 0
    assert run.steps.tolist()[-1] == 3
    assert run.left == run.loss[-1] / run.loss[0]


def test_with_bn_longer_weights_are_flatter_by_the_square():
    """The law behind the fall of the curvature: a unit's Hessian in its own weights goes with 1 / length**2."""
    images, labels = exp.small_digits()
    model = copy.deepcopy(exp.trained("BN", 0, small=True, seed=0))
    for layer in model.layers():
        if isinstance(layer, BatchNorm):
            layer.eps, layer.parameter_names = 0.0, ()
    dense = [layer for layer in model.stack if isinstance(layer, Dense)]
    for layer in dense[1:]:
        layer.parameter_names = ()
    before = exp.hessian_eigenvalues(model, images, labels)[0]
    dense[0].weight = 3 * dense[0].weight
    assert exp.hessian_eigenvalues(model, images, labels)[0] == pytest.approx(before / 9, rel=1e-5)


def test_growth_is_that_of_a_pass_by_hand():
    images, labels = (part[:500] for part in load_digits().train)
    model = exp.network_of("plain", images.astype(float), seed=0, hidden=(50,) * 6, activation=ReLU, dtype=np.float64)

    def first_and_last():
        outputs, h = [], images.astype(float)
        for layer in [layer for layer in model.stack if isinstance(layer, Dense)][:-1]:
            h = np.maximum(h @ layer.weight + layer.bias, 0)
            outputs.append(np.sqrt((h**2).mean()))
        return np.array(outputs)

    before = first_and_last()
    optimizer = SGD(model, 0.5)
    for _, rows in zip(range(2), exp.mini_batches(500, 0), strict=False):
        train_step(model, optimizer, images[rows].astype(float), labels[rows])
    np.testing.assert_allclose(exp.growth("plain", 0.5, 2, seed=0), first_and_last() / before, rtol=1e-9)


def test_a_network_of_this_chapter_is_a_stack_of_dense_layers():
    model = exp.network_of("plain", exp.small_digits().images, seed=0, hidden=(8, 8))
    assert isinstance(model, Sequential)
    assert parameter_vector(model).size == (16 + 1) * 8 + (8 + 1) * 8 + (8 + 1) * 10


# Figures


def test_a_rate_at_which_a_seed_fails_has_no_point():
    steps = {start: np.full((7, 3), 100.0 + 60 * i) for i, start in enumerate(exp.STARTS)}
    steps["LN"][6, 1] = math.inf
    fig = draw.steps_by_rate(steps, exp.RATES)
    medians = [line.get_ydata() for line in fig.axes[0].lines]
    assert medians[0].tolist() == [100.0] * 7
    assert math.isnan(medians[3][6])


def test_words_of_the_chapters_figures_lie_over_no_line():
    run = exp.descend("standardized once", 2.0, small=True, steps=3, moments=3, seed=3)
    for fig in (
        draw.descents({"BN": run}),
        draw.edge({"BN": [run], "standardized once": [run]}),
        draw.growth({"plain": [[1e3, 1e4, 1e6, 1e7, 1e9, 1e11]], "BN": [[1.0] * 6]}, 3.0),
    ):
        assert drawn.covered(fig) == []
        assert len(show(fig, alt="A test.").html) < 40_000


def test_every_eigenvalue_has_a_mark():
    values = np.linspace(3, -0.5, 40)
    fig = draw.spectra({"plain": values, "BN": values}, 7)
    marks = [len(collection.get_segments()) for collection in fig.axes[0].collections]
    assert marks == [30, 10]
    assert "7 steps" in fig.axes[1].get_xlabel()
