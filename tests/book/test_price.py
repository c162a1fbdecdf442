"""The experiments and figures of the chapter on depth, noise and their price, against theory and brute force."""

import numpy as np
import pytest
import sympy
from drawn import covered

from bn_book.data import load_digits
from bn_book.price import experiments as exp
from bn_book.price import figures as draw
from bn_lib import BatchNorm, Dense, Sequential, accuracy, softmax_cross_entropy

# By hand


def test_the_growth_factor_is_that_of_the_gaussian_integrals():
    z = sympy.symbols("z", real=True)
    density = sympy.exp(-(z**2) / 2) / sympy.sqrt(2 * sympy.pi)
    mean, square = (sympy.integrate(z**power * density, (z, 0, sympy.oo)) for power in (1, 2))
    assert mean == 1 / sympy.sqrt(2 * sympy.pi)
    assert square == sympy.Rational(1, 2)
    variance = sympy.simplify(square - mean**2)
    assert sympy.simplify(variance - (sympy.pi - 1) / (2 * sympy.pi)) == 0
    growth = sympy.simplify(square / variance)
    assert sympy.simplify(growth - sympy.pi / (sympy.pi - 1)) == 0
    assert float(growth) == pytest.approx(exp.GROWTH, rel=1e-15)
    assert sympy.simplify(mean**2 / square - 1 / sympy.pi) == 0  # the cosine of two unrelated ReLUs' outputs


def test_the_linear_factor_is_that_of_the_chi_squared_distribution():
    m, t = sympy.symbols("m t", positive=True)
    k = m - 1  # degrees of freedom of the variance of m values
    density = t ** (k / 2 - 1) * sympy.exp(-t / 2) / (2 ** (k / 2) * sympy.gamma(k / 2))
    for size in (6, 8, 9):
        reciprocal = sympy.integrate((density / t).subs(m, size), (t, 0, sympy.oo))
        assert sympy.simplify((size - 1) * reciprocal - sympy.Rational(size - 1, size - 3)) == 0
        projected = sympy.Rational(size - 2, size - 1)
        assert projected * sympy.Rational(size - 1, size - 3) == sympy.Rational(size - 2, size - 3)


def test_the_variance_behind_dropout_is_that_of_all_masks():
    """Every way to keep or drop four values, with its probability."""
    h, p = np.array([0.5, 2.0, -1.0, 3.0]), 0.25
    masks = np.array(np.meshgrid(*[[0, 1]] * 4)).reshape(4, -1).T
    chances = np.prod(np.where(masks, 1 - p, p), axis=1)
    kept = masks * h / (1 - p)
    per_value = chances @ kept**2 - (chances @ kept) ** 2  # for each fixed value, over the masks
    total = per_value.mean() + h.var()
    assert total == pytest.approx(h.var() + p / (1 - p) * np.mean(h**2), rel=1e-12)


# Depth


def test_a_blocks_gradient_is_that_of_central_differences():
    rng = np.random.default_rng(0)
    x, dy = rng.normal(size=(2, 6, 5))
    model = exp.BLOCKS["skipinit"](5, rng)
    scale = next(layer for layer in model.layers() if isinstance(layer, exp.Scale))
    scale.alpha = np.array([0.7])

    def value(alpha=None, moved=x):
        before = scale.alpha
        scale.alpha = before if alpha is None else np.array([alpha])
        y = model.forward(moved)
        scale.alpha = before
        return float(np.sum(dy * y))

    value()
    model.forward(x)
    dx = model.backward(dy)
    assert scale.grads["alpha"][0] == pytest.approx((value(0.7 + 1e-6) - value(0.7 - 1e-6)) / 2e-6, rel=1e-6)
    step = 1e-6 * (np.arange(30).reshape(6, 5) == 7)
    assert dx[1, 2] == pytest.approx((value(moved=x + step) - value(moved=x - step)) / 2e-6, rel=1e-5)


def test_skipinit_begins_as_the_identity():
    x = np.random.default_rng(1).normal(size=(6, 8)).astype(np.float32)
    assert np.array_equal(exp.BLOCKS["skipinit"](8, np.random.default_rng(0)).forward(x), x)


@pytest.mark.parametrize("block", ["plain", "bn", "residual"])
def test_what_goes_through_is_that_of_a_pass_by_hand(block):
    """The signal and the gradient at one block, from two halves of the network."""
    found = exp.propagate(block, depth=6, width=16, batch_size=12, seed=3)
    rng = np.random.default_rng(3)
    model = exp.deep_network(block, 6, width=16, rng=rng)
    x, labels = exp._some(12, rng)
    lower, upper = Sequential(*model.stack[:4]), Sequential(*model.stack[4:])  # the first layer and three blocks
    middle = lower.forward(x)
    gradient = upper.backward(softmax_cross_entropy(upper.forward(middle), labels)[1])
    assert found.signal[3] == pytest.approx(np.mean(middle.astype(np.float64) ** 2), rel=1e-6)
    assert found.gradient[3] == pytest.approx(np.sum(gradient.astype(np.float64) ** 2), rel=1e-5)
    assert found.signal.shape == found.gradient.shape == (7,)


def test_growth_is_the_factor_of_an_exponential():
    assert exp.Propagation(np.ones(20), 3.0 * 1.3 ** -np.arange(20.0)).growth == pytest.approx(1.3, rel=1e-12)


def test_a_mean_square_doubles_where_a_branch_adds_as_much_as_it_gets():
    found = exp.propagate("bare", depth=12, width=256, batch_size=32, seed=0)
    assert np.exp(np.polyfit(range(13), np.log(found.signal), 1)[0]) == pytest.approx(2, rel=0.1)
    assert np.allclose(
        exp.propagate("skipinit", depth=5, width=16, batch_size=8, seed=0).signal[1:]
        / exp.propagate("skipinit", depth=5, width=16, batch_size=8, seed=0).signal[0],
        1,
    )


def test_with_skips_the_gradient_grows_as_a_power_of_the_depth():
    """As the product of 1 + 1.467 / n over the blocks, n from the first to the last."""
    found = exp.propagate("residual", depth=30, width=256, batch_size=256, seed=0)
    expected = np.prod(1 + exp.GROWTH / np.arange(6, 30))
    assert found.gradient[6] / found.gradient[30] == pytest.approx(expected, rel=0.2)


def test_likeness_of_parallel_and_of_orthogonal_outputs():
    parallel = np.outer([1.0, 2.0, 3.0], [1.0, -1.0, 2.0, 0.5])
    assert exp._likeness(parallel) == pytest.approx((1, 1))
    assert exp._likeness(5 * np.eye(4)) == pytest.approx((0, 4))


def test_orthogonal_images_have_no_gap():
    """And parallel ones have the largest: of n^2 entries 1 / n, those on the diagonal are right."""
    assert exp._gap(3 * np.eye(4, 9)) == pytest.approx(0, abs=1e-12)
    assert exp._gap(np.ones((4, 9))) == pytest.approx(np.sqrt(4 * 3) / 4)
    assert exp.orthogonality_gap(512, seed=0, images=2, depth=8) < exp.orthogonality_gap(8, seed=0, images=2, depth=8)


def test_training_takes_the_steps_it_says(monkeypatch):
    taken = []
    step = exp.train_step
    monkeypatch.setattr(exp, "train_step", lambda *args: taken.append(args[2].shape) or step(*args))
    right = exp.train_deep.__wrapped__("bn", 2, rate=0.1, seed=0, steps=7)
    assert taken == [(60, 64)] * 7
    assert 0 <= right <= 1


def test_what_diverges_counts_as_guessing():
    assert exp.train_deep("bare", 40, rate=0.3, seed=0, steps=3) == 0.1


# Noise


def test_pairs_share_images_and_weights_and_nothing_else_differs():
    same = exp.gain({"statistics_of": 20, **SMALL}, {"statistics_of": 20, **SMALL}, seed=0)
    assert np.array_equal(same, np.zeros(exp.PAIRS))
    other = exp.gain({"statistics_of": 4, **SMALL}, {"statistics_of": 20, **SMALL}, seed=0)
    assert other.any()


SMALL = {"images": 40, "batch_size": 20, "epochs": 1}


def test_ghosts_of_all_are_bn():
    found = exp.train_on_few(statistics_of=20, seed=4, **SMALL)
    rng = np.random.default_rng(4)
    model = exp._network(lambda units: BatchNorm(units, dtype=np.float32), rng)
    x, labels = exp._some(40, np.random.default_rng([4, 1]))
    exp.fit(
        model,
        exp.SGD(model, 0.5),
        x,
        labels,
        epochs=1,
        batch_size=20,
        rng=np.random.default_rng([4, 2]),
        progress=False,
    )
    assert found.test == pytest.approx(accuracy(model, *load_digits().test), abs=0.01)


def test_the_variance_shift_is_that_of_its_formula():
    found = exp.variance_shift(0.5, seed=1)
    assert found.ratio == pytest.approx(found.formula, rel=0.06)
    assert found.loss[1] < found.loss[0]


# The price


def test_the_two_statistics_lag_as_they_must():
    """After one step at momentum 0.1 the running mean has a tenth of a batch; recomputed statistics have all of it."""
    found = exp.lag(0)
    assert found.running.shape == found.recomputed.shape == (30,)
    assert found.recomputed[:5].mean() > found.running[:5].mean()


@pytest.mark.parametrize("name", ["dark", "pale", "bright"])
def test_an_affine_change_leaves_no_trace(name):
    assert exp.affine_difference(name, seed=0) < 1e-3
    assert exp.adapt(name, seed=0).recomputed == exp.adapt("clean", seed=0).recomputed


def test_what_is_no_affine_change_leaves_one():
    assert exp.affine_difference("blurred", seed=0) > 0.1


def test_corruptions_do_what_they_are_called():
    images = load_digits().test[0].reshape(-1, 8, 8).astype(np.float64)
    made = {name: exp.corrupted(name).reshape(-1, 8, 8).astype(np.float64) for name in exp.CORRUPTIONS}
    assert np.allclose(made["dark"], 0.3 * images, atol=1e-6)
    assert np.allclose(made["inverted"] + images, 1, atol=1e-6)
    assert np.array_equal(made["shifted"][:, :, 3], images[:, :, 2])
    assert np.allclose(made["blurred"][:, 3, 4], images[:, 2:5, 3:6].mean(axis=(1, 2)), atol=1e-6)
    corner = (4 * images[:, 0, 0] + 2 * images[:, 0, 1] + 2 * images[:, 1, 0] + images[:, 1, 1]) / 9
    assert np.allclose(made["blurred"][:, 0, 0], corner, atol=1e-6)
    assert np.std(made["noisy"] - images) == pytest.approx(0.3, rel=0.02)


def test_adapting_changes_no_weight():
    before = exp._trained(0, with_bn=True).state_dict()
    adapted = exp._adapted_to(exp.corrupted("dark"), 0)
    after, new = exp._trained(0, with_bn=True).state_dict(), adapted.state_dict()
    assert all(np.array_equal(before[name], after[name]) for name in before)
    changed = {name for name in before if not np.array_equal(before[name], new[name])}
    assert {name.split(".")[1] for name in changed} <= {"running_mean", "running_var", "num_batches_tracked"}
    assert not adapted.training


def test_new_statistics_are_those_of_the_images():
    x = exp.corrupted("blurred")
    adapted = exp._adapted_to(x, 0)
    first, bn = adapted.stack[0], adapted.stack[1]
    assert isinstance(first, Dense)
    assert isinstance(bn, BatchNorm)
    inputs = x.astype(np.float64) @ first.weight
    np.testing.assert_allclose(bn.running_mean, inputs.mean(axis=0), atol=1e-5)
    np.testing.assert_allclose(bn.running_var, inputs.var(axis=0), rtol=5e-3)


def test_company_is_as_poor_as_it_says(monkeypatch):
    seen = []
    monkeypatch.setattr(
        exp, "train_step", lambda model, optimizer, x, labels: seen.append(np.unique(labels).size) or 0.0
    )
    monkeypatch.setattr(exp, "accuracy", lambda *args: 0.5)
    exp.train_in_company.__wrapped__("none", "two classes", seed=0)
    assert len(seen) == 300
    assert set(seen) == {2}


# Figures

FOUND = {block: [exp.Propagation(np.linspace(1, 4, 21), 1.4 ** -np.arange(21.0))] * 2 for block in ("bn", "linear")}


def test_growth_frames_keep_their_axes_and_say_the_rate():
    figures = [draw.growth(FOUND, m) for m in (4, 64)]
    assert len({(fig.axes[0].get_xlim(), fig.axes[0].get_ylim()) for fig in figures}) == 1
    assert figures[0].axes[0].get_title(loc="left") == "m = 4: BN ×1.40, without ReLU ×1.40"
    assert "1.40 (BN)" in draw.growth_in_words(FOUND, 4)
    drawn = figures[0].axes[0].lines[0].get_ydata()
    assert drawn == pytest.approx(1.4 ** (20 - np.arange(21.0)))


def test_gains_are_drawn_with_their_standard_error():
    values = np.array([1.0, 2.0, 3.0])
    assert draw.standard_error(values) == pytest.approx(1 / np.sqrt(3))
    ax = draw.gains({"a": values, "b": -values}, "points").axes[0]
    dots = [line.get_ydata() for line in ax.lines if line.get_marker() == "o" and len(line.get_ydata()) == 3]
    assert [list(each) for each in dots] == [[1, 2, 3], [-1, -2, -3]]
    assert draw.gains_in_words({"a\nb": values}) == "a b: +2.0 points, standard error 0.6"


def test_corruption_frames_keep_their_axes_and_show_every_seed():
    found = [exp.Adapted("dark", 0.9, 0.3, 0.95), exp.Adapted("dark", 0.8, 0.5, 0.97)]
    digit, ax = draw.corruption(np.eye(8), found).axes
    assert [patch.get_xy() for patch in digit.patches[:-1]] == [(i, 7 - i) for i in range(8)]  # ink, and a frame
    assert [list(line.get_xdata()) for line in ax.lines] == [[90, 80], [30, 50], [95, 97]]
    assert (ax.get_xlim(), ax.get_ylim()) == ((0, 101), (2.6, -0.6))
    assert "BN, new 96 percent" in draw.corruption_in_words(found)


@pytest.mark.parametrize(
    "fig",
    [
        lambda: draw.growth(FOUND, 8),
        lambda: draw.gradients(FOUND),
        lambda: draw.streams(FOUND),
        lambda: draw.alike({"bn": [exp.Likeness(np.linspace(0.7, 0.3, 21), np.ones(21))]}),
        lambda: draw.trained({"bn": {5: [0.9, 0.8], 40: [0.3, 0.2]}}),
        lambda: draw.lags([exp.Lag(np.linspace(0, 1, 30), np.linspace(0.2, 1, 30))]),
    ],
)
def test_words_lie_over_no_line(fig):
    assert covered(fig()) == []
