"""The experiments and figures of the chapter on length, against identities, SymPy, PyTorch and brute force."""

from fractions import Fraction

import numpy as np
import pytest
import sympy as sp
from drawn import covered

from bn_book.data import load_digits
from bn_book.length import experiments as exp
from bn_book.length import figures as draw
from bn_book.length import written
from bn_book.length.laboratory import laboratory
from bn_exercises.typography import as_in_a_book
from bn_lib import SGD, BatchNorm, Dense, batch_norm, softmax_cross_entropy

RATE = Fraction(12, 5)


# By hand


def test_the_gradient_by_hand_is_sympys():
    w = sp.symbols("w1 w2", real=True)
    x = sp.Matrix([[1, 0], [0, 1], [3, -1]])
    z = x * sp.Matrix(w)
    mean = sum(z) / 3
    variance = sum((value - mean) ** 2 for value in z) / 3
    loss = (z[0] - mean) ** 2 / variance / 2
    for unit in (exp.Unit(), exp.Unit().times(7), exp.Unit(w=(Fraction(-1, 2), Fraction(5, 3)))):
        at = {w[0]: sp.Rational(unit.w[0]), w[1]: sp.Rational(unit.w[1])}
        assert sp.Rational(unit.loss) == loss.subs(at)
        assert tuple(map(sp.Rational, unit.gradient)) == tuple(sp.diff(loss, each).subs(at) for each in w)
    assert sp.simplify(sum(each * sp.diff(loss, each) for each in w)) == 0  # for every w


def test_by_hand_every_length_is_exact():
    unit = exp.Unit()
    assert exp.squared(unit.stepped(RATE).w) == exp.squared(unit.w) + RATE**2 * exp.squared(unit.gradient)
    assert exp.squared(unit.stepped(RATE, Fraction(1, 12)).w) == exp.squared(unit.w) == 25
    for scale in (2, 3, 10):
        longer = unit.times(scale)
        assert longer.loss == unit.loss
        assert tuple(scale * g for g in longer.gradient) == unit.gradient
        assert longer.stepped(scale**2 * RATE).w == unit.stepped(RATE).times(scale).w


def test_only_the_whole_gradient_stands_at_right_angles():
    unit = exp.Unit()
    assert sum(w * g for w, g in zip(unit.w, unit.gradient, strict=True)) == 0
    assert exp.direct_cosine(unit) == pytest.approx(-0.6, abs=1e-15)  # x1 = (1, 0) against w = (3, 4), and z1 < mu


def test_worked_lines_hold_the_numbers():
    unit = exp.Unit()
    assert r"= 0.75" in written.worked_forward(unit)
    assert r"(-1,\ 0.75)" in written.worked_backward(unit)
    assert r"w \cdot g &= 3 \cdot (-1) + 4 \cdot 0.75 = 0" in written.worked_backward(unit)
    assert "25 + 9 = 34" in written.worked_step(unit, RATE)
    assert r"0.64 \cdot 25 + 9 = 25" in written.worked_step(unit, RATE, Fraction(1, 12))


# What eps does


def test_eps_is_divided_by_the_square_of_the_factor():
    z = np.random.default_rng(0).normal(size=(20, 3))
    one, zero = np.ones(3), np.zeros(3)
    for a in (1e-3, 0.1, 30.0):
        ours, _ = batch_norm(a * z, one, zero, eps=1e-5)
        assert np.allclose(ours, batch_norm(z, one, zero, eps=1e-5 / a**2)[0], rtol=1e-12, atol=1e-14)


def test_the_factor_changes_nothing_without_eps_and_little_where_weights_are_long():
    assert exp.change_by_scale(exp.SCALES, eps=0.0).max() < 1e-11
    short, *_, usual, _, _, long = exp.change_by_scale(exp.SCALES)
    assert usual == 0
    assert long < 1e-3 < 1 < short


# Networks


@pytest.mark.parametrize("scale", [0.01, 100.0])
def test_an_invariant_network_does_not_know_the_length_of_its_weights(scale):
    x, labels = (part[:60] for part in load_digits().train)
    gradients = []
    for model in (exp.network(seed=3, invariant=True, eps=0.0, scale=k) for k in (1.0, scale)):
        logits = model.forward(x.astype(np.float64))
        _, dlogits = softmax_cross_entropy(logits, labels)
        model.fill_grads(dlogits)
        dense = [layer for layer in model.stack if isinstance(layer, Dense)]
        gradients.append([logits, *(layer.grads["weight"] for layer in dense)])
        assert [layer.parameter_names for layer in model.stack if isinstance(layer, BatchNorm)] == [()] * 3
    (logits, *plain), (same, *scaled) = gradients
    assert np.allclose(logits, same, rtol=0, atol=1e-10)
    for g, of_scaled in zip(plain, scaled, strict=True):
        assert np.allclose(of_scaled * scale, g, rtol=0, atol=1e-12)


def test_the_usual_network_has_bn_in_the_hidden_layers_only():
    kinds = [type(layer).__name__ for layer in exp.network(seed=0).stack]
    assert kinds == ["Dense", "BatchNorm", "ReLU"] * 2 + ["Dense"]
    plain = [type(layer).__name__ for layer in exp.network(seed=0, with_bn=False).stack]
    assert plain == [kind for kind in kinds if kind != "BatchNorm"]
    scaled = exp.network(seed=0, scale=10.0)
    for place, factor in ((0, 10), (3, 10), (6, 1)):
        assert np.array_equal(scaled.stack[place].weight, factor * exp.network(seed=0).stack[place].weight)


def test_a_gradient_is_pytorchs_and_at_right_angles_there_too():
    torch = pytest.importorskip("torch")
    x, labels = (part[:60] for part in load_digits().train)
    model = exp.network(seed=1, invariant=True, eps=0.0, hidden=(20,))
    _, dlogits = softmax_cross_entropy(model.forward(x.astype(np.float64)), labels)
    model.fill_grads(dlogits)
    first, second = (torch.tensor(model.stack[k].weight, requires_grad=True) for k in (0, 3))

    def normalized(z):
        return (z - z.mean(dim=0)) / z.std(dim=0, unbiased=False)

    hidden = torch.relu(normalized(torch.tensor(x.astype(np.float64)) @ first))
    loss = torch.nn.functional.cross_entropy(normalized(hidden @ second), torch.tensor(labels))
    loss.backward()
    for place, weight in ((0, first), (3, second)):
        assert np.allclose(model.stack[place].grads["weight"], weight.grad.numpy(), rtol=1e-9, atol=1e-12)
        assert abs(np.sum(weight.detach().numpy() * weight.grad.numpy())) < 1e-12


@pytest.fixture(scope="module")
def decayed():
    return exp.train(1.0, 0.03, seed=0)


def test_a_run_records_what_it_did(decayed):
    """Replayed by hand from the same weights and mini-batches."""
    model = exp.network(seed=0, invariant=True, eps=0.0)
    sgd = SGD(model, 1.0, weight_decay=0.03)
    x, labels = load_digits().train
    order = np.random.default_rng(0).permutation(len(x))
    middle = model.stack[3]
    for step in range(3):
        rows = order[60 * step : 60 * step + 60]
        loss, dlogits = softmax_cross_entropy(model.forward(x[rows].astype(np.float64)), labels[rows])
        model.fill_grads(dlogits)
        w, g = middle.weight, middle.grads["weight"]
        sgd.step()
        assert decayed.loss[step] == pytest.approx(loss, rel=1e-12)
        assert decayed.squared_norm[step, 1] == pytest.approx(np.sum(w**2), rel=1e-12)
        assert decayed.squared_gradient[step, 1] == pytest.approx(np.sum(g**2), rel=1e-12)
        v = middle.weight
        cosine = np.sum(w * v) / np.linalg.norm(w) / np.linalg.norm(v)
        assert decayed.angle[step, 1] == pytest.approx(np.arccos(cosine), rel=1e-6)


def test_length_with_decay_follows_pythagoras(decayed):
    shrink = (1 - 0.03) ** 2
    told = shrink * decayed.squared_norm[:-1] + decayed.rates[:, None] ** 2 * decayed.squared_gradient
    assert np.allclose(decayed.squared_norm[1:], told, rtol=1e-12)


def test_the_growing_rate_makes_the_same_network(decayed):
    growing = exp.train(1.0, 0.03, seed=0, growing=True)
    steps = np.arange(len(decayed.loss))
    assert np.allclose(growing.rates, 0.97 ** -(2.0 * steps + 1))
    assert np.allclose(growing.loss, decayed.loss, rtol=0, atol=1e-10)
    assert np.allclose(growing.squared_norm[1:] * 0.97 ** (2.0 * (steps[:, None] + 1)), decayed.squared_norm[1:])


def test_a_step_that_keeps_the_length_turns_by_the_arc_cosine():
    """Exactly, whatever the step: choose the gradient's length so that the length stays."""
    for product in (1e-3, 0.03, 0.2):
        w = np.array([3.0, 4.0])
        step = 5 * np.sqrt(1 - (1 - product) ** 2) * np.array([-0.8, 0.6])
        v = (1 - product) * w - step
        assert np.linalg.norm(v) == pytest.approx(5)
        assert np.arccos(w @ v / 25) == pytest.approx(np.arccos(1 - product))


def test_what_decays_is_what_was_named():
    """One epoch with nothing but decay of one group: the others' updates are those without decay."""
    free = exp.train_usual(0.1, seed=0, epochs=1)
    everything = exp.train_usual(0.1, seed=0, epochs=1, decay=0.5)
    before_bn = exp.train_usual(0.1, seed=0, epochs=1, decay=0.5, decayed=exp.GROUPS[0])
    gamma = exp.train_usual(0.1, seed=0, epochs=1, decay=0.5, decayed=exp.GROUPS[1])
    assert before_bn.length[1] < 0.5 * free.length[1]
    assert gamma.length[1] == pytest.approx(free.length[1], rel=0.02)
    assert gamma.gamma < 0.5 * free.gamma
    assert before_bn.gamma == pytest.approx(free.gamma, rel=0.1)
    assert everything.length[1] < 0.5 * free.length[1]
    assert everything.gamma < 0.5 * free.gamma


def test_the_rate_is_cut_when_it_is_said_to_be():
    whole, cut = exp.train_usual(0.3, seed=0, epochs=3), exp.train_usual(0.3, seed=0, epochs=2, then=1)
    assert np.array_equal(whole.loss[: 2 * exp.EPOCH + 1], cut.loss[: 2 * exp.EPOCH + 1])
    assert not np.array_equal(whole.loss, cut.loss)


def test_a_run_that_diverges_says_so():
    run = exp.train_usual(1000.0, seed=0, epochs=3)
    assert run.test == 0.1
    assert not run.late < 1e6
    assert np.isnan(run.length[1])


def test_the_laboratory_shows_how_long_the_weights_became(capsys):
    made = laboratory()
    made.controls["scale"].value = 100.0
    made.controls["decay"].value = 0.1
    free = exp.train_usual(0.1, seed=0, scale=100.0, epochs=13)
    decayed = exp.train_usual(0.1, seed=0, scale=100.0, decay=0.1, epochs=13)
    for run, trained_so in zip(made.runs, (decayed, free), strict=False):
        assert f"<td><span>{as_in_a_book(f'{trained_so.length[1]:.3g}')}</span></td></tr></tbody>" in run.html
    assert decayed.length[1] < free.length[1] / 10


# The explorable's examples


def test_the_examples_are_on_a_circle_and_fit_no_direction():
    found = exp.turns(steps=5)
    assert np.allclose(np.linalg.norm(found.x, axis=1), np.sqrt(2), atol=0.01)
    assert found.batches.shape == (5, 8)
    assert all(len(set(rows)) == 8 for rows in found.batches.tolist())
    _, residual, *_ = np.linalg.lstsq(found.x, found.targets, rcond=None)
    assert residual[0] / len(found.targets) > 1


# Figures


def trained(test=0.9, loss=0.1, updates=529):
    return exp.Trained(loss=np.full(updates, loss), test=test, gamma=1.0, length=(11.0, 11.0))


def run_of(rate, start):
    steps = 598
    norm = start + np.outer(np.arange(steps + 1), np.ones(3))
    flat = np.full((steps, 3), 0.2)
    return exp.Run(np.full(steps, rate), np.full(steps, 0.5), norm, flat, flat, flat, 0.9)


def test_effective_rates_are_rates_over_squared_lengths():
    runs = {rate: run_of(rate, 100.0) for rate in exp.RATES}
    fig = draw.effective_rates(runs)
    for line, rate in zip(fig.axes[0].lines, exp.RATES, strict=True):
        assert line.get_ydata()[0] == pytest.approx(rate / 100)
        assert line.get_ydata()[-1] == pytest.approx(rate / 697)
    assert covered(fig) == []


def test_bands_go_from_the_lowest_seed_to_the_highest():
    tests = {name: {rate: [0.5, 0.9] for rate in exp.DECADES} for name in ("hidden", "all", "without")}
    ax = draw.accuracy_by_rate(tests).axes[0]
    assert list(ax.lines[0].get_ydata()) == pytest.approx([70] * 6)
    heights = ax.collections[0].get_paths()[0].vertices[:, 1]
    assert (heights.min(), heights.max()) == pytest.approx((50, 90))


def test_real_figures_have_their_words_beside_the_lines(decayed):
    runs = {"nothing": [trained(loss=0.02)], exp.GROUPS[0]: [trained(loss=0.09)], exp.GROUPS[1]: [trained(loss=0.08)]}
    growing, constant = exp.train(1.0, 0.03, seed=0, growing=True), exp.train(1.0, seed=0)
    angles = {scale: exp.train(0.3, 0.1, seed=0, scale=scale, epochs=20) for scale in (0.1, 1.0, 10.0)}
    for fig in (draw.decay_as_a_rate(decayed, growing, constant), draw.angles(angles, 0.03)):
        assert covered(fig) == []
    assert draw.rate_cut(runs, 345).axes[0].lines[-1].get_xdata()[0] == 345


def test_a_moving_average_is_of_whole_windows():
    assert draw.moving_average(np.arange(5.0), 3).tolist() == pytest.approx([1, 2, 3])


def test_a_product_keeps_its_colour():
    runs = {p: {rate: replace_loss(run_of(rate, 1.0), p) for rate in (0.03, 0.3, 3.0)} for p in exp.PRODUCTS}
    ax = draw.same_product(runs).axes[0]
    colours = [line.get_color() for line in ax.lines[:9]]
    assert [colours.count(colour) for colour in dict.fromkeys(colours)] == [3, 3, 3]


def replace_loss(run, value):
    return run._replace(loss=np.full(len(run.loss), 0.4 + value))
