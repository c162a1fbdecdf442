"""The experiments and figures of the chapter on internal covariate shift, against arithmetic and other computations."""

import math
from fractions import Fraction

import numpy as np
import pytest
from drawn import covered
from hypothesis import assume, given
from hypothesis import strategies as st

from bn_book.covariate_shift import experiments as shift
from bn_book.covariate_shift import figures, written
from bn_book.data import load_digits
from bn_book.drawing import show
from bn_book.networks import sigmoid_network
from bn_lib import BatchNorm, Dense, Sequential, Sigmoid

fractions = st.fractions(min_value=-4, max_value=4, max_denominator=16)


# The product


@given(x=fractions, weights=st.tuples(fractions, fractions, fractions), target=fractions, rate=fractions)
def test_the_eight_terms_add_up_to_the_answer_after_the_step(x, weights, target, rate):
    chain = shift.Chain(x, weights, target)
    terms = shift.expand(chain, rate)
    stepped = [w - rate * g for w, g in zip(weights, chain.gradients, strict=True)]
    assert sum(term.value for term in terms) == x * math.prod(stepped)
    assert [term.order for term in terms] == [0, 1, 1, 1, 2, 2, 2, 3]
    assert len({term.moved for term in terms}) == 8
    # a term of order k is the k-th derivative's share: it scales with rate**k
    halved = shift.expand(chain, rate / 2)
    assert all(half.value * 2**term.order == term.value for half, term in zip(halved, terms, strict=True))


@given(x=fractions, weights=st.tuples(fractions, fractions, fractions), target=fractions)
def test_the_gradients_are_those_of_the_loss(x, weights, target):
    chain, step = shift.Chain(x, weights, target), Fraction(1, 10**9)

    def loss(*w):
        return (x * math.prod(w) - target) ** 2 / 2

    for i, gradient in enumerate(chain.gradients):
        up, down = (tuple(w + s * (j == i) for j, w in enumerate(weights)) for s in (step, -step))
        # the loss is a quadratic in each weight, for which central differences are exact
        assert (loss(*up) - loss(*down)) / (2 * step) == gradient


def test_the_chain_of_the_chapter_has_the_numbers_of_the_chapter():
    chain = shift.Chain()
    assert chain.calibrated_rate == Fraction(1, 100)
    terms = shift.expand(chain, chain.calibrated_rate)
    assert float(chain.y) == 9.6
    assert [float(g) for g in chain.gradients] == [4.8, 6, 6.4]
    assert [float(shift.of_order(terms, order)) for order in range(4)] == [9.6, -1, 0.0338304, -0.00036864]


@given(x=fractions, weights=st.tuples(fractions, fractions, fractions), target=fractions)
def test_the_calibrated_rate_lands_on_the_target_to_first_order(x, weights, target):
    chain = shift.Chain(x, weights, target)
    assume(any(chain.gradients))
    terms = shift.expand(chain, chain.calibrated_rate)
    assert shift.of_order(terms, 0) + shift.of_order(terms, 1) == target


@pytest.mark.parametrize("weight", [0.8, 1.0, 1.3])
@pytest.mark.parametrize("layers", [1, 3, 10])
def test_obtained_of_planned_is_the_quotient_of_the_two_changes(weight, layers):
    step = 0.02
    planned, obtained = layers * weight ** (layers - 1) * step, (weight + step) ** layers - weight**layers
    assert shift.obtained_of_planned(weight, layers, step) == pytest.approx(obtained / planned)


def test_the_calibrated_step_plans_the_change_and_a_rate_follows_the_gradient():
    weight, layers = 0.9, 7
    assert layers * weight**6 * shift.calibrated_step(weight, layers, 0.1) == pytest.approx(0.1)
    slope = ((weight + 1e-6) ** 7 - (weight - 1e-6) ** 7) / 2e-6 / layers  # of y by one of seven equal weights
    assert shift.step_at_rate(weight, layers, 0.01) == pytest.approx(0.01 * slope)


def test_small_weights_explode_at_a_calibrated_step_and_large_ones_at_a_fixed_rate():
    for layers, most in ((3, 1.1), (10, 1.1), (30, 1.2)):
        for step in (shift.calibrated_step(1.0, layers, 0.1), shift.step_at_rate(1.0, layers, 0.01)):
            assert 1 < shift.obtained_of_planned(1.0, layers, step) < most
    small, large = 0.8, 1.25
    assert shift.obtained_of_planned(small, 30, shift.calibrated_step(small, 30, 0.1)) > 1e6
    assert shift.obtained_of_planned(large, 30, shift.calibrated_step(large, 30, 0.1)) < 1.01
    assert shift.obtained_of_planned(large, 30, shift.step_at_rate(large, 30, 0.01)) > 1e6
    assert shift.obtained_of_planned(small, 30, shift.step_at_rate(small, 30, 0.01)) < 1.01


def test_the_lines_by_hand_hold_as_they_are_written():
    chain, rate = shift.Chain(), Fraction(1, 100)
    terms = shift.expand(chain, rate)
    each = [written.worked_term(chain, term, rate) for term in terms]
    tex = [written.worked_gradients(chain), *each, written.worked_check(chain, rate)]
    # a line may break before any of its equals signs
    tex = [line.replace(r"\\ &=", "=") for line in tex]
    checked = 0
    for line in r" \\ ".join(tex).replace("[4pt]", "").split(r"\\"):
        sides = [side.replace("&", "").replace(r"\cdot", "*").replace(r"\end{aligned}", "") for side in line.split("=")]
        values = [eval(side) for side in sides if set(side.strip()) <= set("0123456789.+-* ") and side.strip()]
        assert all(value == pytest.approx(values[0], rel=1e-12) for value in values), line
        checked += len(values) > 1
    assert checked == 5 + 8 + 4
    lines = written.worked_terms(terms).replace("{aligned}", "").split(r"\\[4pt]")
    assert [float(line.split("&=")[1].removesuffix(r"\end")) for line in lines[:-1]] == [float(t.value) for t in terms]


# Watching a network


def test_the_inputs_of_the_sigmoids_are_those_of_a_pass_by_hand():
    images = load_digits().train[0][:200]
    model = sigmoid_network(rng=np.random.default_rng(0), hidden=(7, 7))
    dense = [layer for layer in model.stack if isinstance(layer, Dense)]
    h1 = images @ dense[0].weight + dense[0].bias
    h2 = 1 / (1 + np.exp(-h1)) @ dense[1].weight + dense[1].bias
    seen = shift.sigmoid_inputs(Sequential(*model.stack), images)
    assert len(seen) == 2
    np.testing.assert_allclose(seen[0], np.percentile(h1, [15, 50, 85], axis=0), atol=1e-5)
    np.testing.assert_allclose(seen[1], np.percentile(h2, [15, 50, 85], axis=0), atol=1e-5)


def test_with_bn_the_inputs_are_normalized_over_all_images():
    images = load_digits().train[0]
    model = sigmoid_network(
        rng=np.random.default_rng(0), hidden=(7,), normalizer=lambda n: BatchNorm(n, dtype=np.float32)
    )
    h = images @ model.stack[0].weight
    z = (h - h.mean(axis=0)) / np.sqrt(h.var(axis=0) + 1e-5)
    (seen,) = shift.sigmoid_inputs(model, images)
    np.testing.assert_allclose(seen, np.percentile(z, [15, 50, 85], axis=0), atol=1e-4)


def test_looking_changes_nothing():
    model = sigmoid_network(rng=np.random.default_rng(0), normalizer=lambda n: BatchNorm(n, dtype=np.float32)).eval()
    before = model.state_dict()
    shift.sigmoid_inputs(model, load_digits().train[0])
    assert not model.training
    assert not model.watchers
    assert all(np.array_equal(before[key], value) for key, value in model.state_dict().items())


def test_a_run_does_not_depend_on_how_often_it_is_watched():
    often, seldom = (shift.train(with_bn=True, epochs=2, measure_every=every, seed=3) for every in (1, 23))
    np.testing.assert_array_equal(often.accuracy, seldom.accuracy)
    np.testing.assert_array_equal(often.percentiles[::23], seldom.percentiles)
    np.testing.assert_array_equal(seldom.steps, [0, 23, 46])
    assert often.percentiles.shape == (47, 3, 3, 100)
    assert len(often.accuracy) == 3
    assert often.steps_per_epoch == 23


def test_seeds_and_starts_are_what_they_say():
    one, other = (shift.train(with_bn=False, epochs=1, measure_every=23, seed=seed) for seed in (0, 1))
    assert not np.array_equal(one.percentiles, other.percentiles)
    larger = shift.train(with_bn=False, init=0.5, epochs=1, measure_every=23)
    assert larger.name == "without BN, larger weights"
    assert one.gamma is None
    assert larger.width(0) > 3 * one.width(0)


def _run(percentiles, accuracy=(0.1,)):
    percentiles = np.asarray(percentiles, dtype=float)
    return shift.Run("with BN", 46 * np.arange(len(percentiles)), percentiles, np.array(accuracy), 23, None)


def test_movement_is_the_length_of_the_path():
    # One layer of three units over three times. Unit 0 rests, unit 1 shifts by +1 and back, unit 2 spreads.
    rest = [[-1, 0, 1]] * 3
    shifts = [[-1, 0, 1], [0, 1, 2], [-1, 0, 1]]
    spreads = [[-1, 0, 1], [-2, 0, 2], [-10, 0, 10]]
    run = _run(np.transpose([rest, shifts, spreads], (1, 2, 0))[:, None])
    assert run.movement() == pytest.approx(2.0)  # the median of 0, 1 + 1 and (2 + 16) / 3
    assert run.typical_unit() == 1
    assert run.relative_movement() == pytest.approx(2 / 3)  # the median of 0, (1 + 1) / 2 and (2/3) / 3 + (16/3) / 12
    assert run.width() == 2
    assert run.width(at=-1) == 2


def test_steps_are_counted_by_the_epoch():
    run = _run(np.zeros((1, 1, 3, 1)), accuracy=(0.1, 0.4, 0.8, 0.7, 0.95))
    assert run.steps_to(0.8) == 46
    assert run.steps_to(0.9) == 92
    with pytest.raises(RuntimeError, match=r"reached 0.950; expected an accuracy of 0.99"):
        run.steps_to(0.99)


def test_the_runs_differ_in_what_they_should():
    without, with_bn, larger = shift.three_runs()
    assert [run.gamma is None for run in (without, with_bn, larger)] == [True, False, True]
    # before training, BN has normalized every unit: 15th to 85th percentile of something with deviation 1
    assert all(1.8 < with_bn.width(layer) < 2.4 for layer in range(3))
    # a sigmoid's slope is at most 1/4
    assert without.width(1) < without.width(0) / 4
    assert without.width(2) < without.width(1) / 3.5


# Steps to an accuracy, and what a layer can learn from


def test_steps_are_those_of_the_watched_run_and_infinite_where_the_accuracy_is_not_reached():
    run = shift.train(with_bn=True, epochs=3, measure_every=69, seed=0)
    assert shift.steps_needed("with BN", 0.5) == run.steps_to(0.9)
    assert shift.steps_needed("without BN", 0.5, most=46) == math.inf
    to_the_step, in_fives = (shift.steps_needed("with BN", 0.5, every=every) for every in (1, 5))
    assert to_the_step <= in_fives == 5 * round(in_fives / 5)
    assert shift.steps_needed("with BN", 0.5) - 23 < to_the_step <= shift.steps_needed("with BN", 0.5)


def test_the_networks_start_from_the_same_weights_but_for_their_size():
    plain, larger, normalized = (shift.network_of(start, seed=3).stack for start in shift.STARTS)
    np.testing.assert_array_equal(plain[0].weight, normalized[0].weight)
    ratio = larger[0].weight / plain[0].weight
    np.testing.assert_allclose(ratio, ratio[0, 0], rtol=1e-4)
    assert ratio[0, 0] > 3


def test_bn_does_not_care_about_the_rate_and_larger_weights_do():
    """Another seed than the page's."""
    with_bn, larger = (
        [shift.steps_needed(start, rate, seed=7) for rate in (0.5, 3.0)]
        for start in ("with BN", "without BN, larger weights")
    )
    assert max(with_bn) <= 69
    assert larger[1] > 3 * larger[0]


@pytest.mark.parametrize("seed", [0, 1])
def test_the_vanishing_signal_is_a_badly_conditioned_input(seed):
    found = {start: shift.curvature(start, seed=seed) for start in shift.STARTS}
    images = load_digits().train[0]
    outputs = Sequential(*shift.network_of("without BN", seed=seed).stack[:-1]).forward(images).astype(float)
    mean = outputs.mean(axis=0)
    # what all images have in common, with the bias: the squared length of the mean and 1
    assert found["without BN"].along_mean == pytest.approx(mean @ mean + 1, rel=1e-3)
    plain, larger, with_bn = (found[start].ratio for start in shift.STARTS)
    assert plain > 100 * larger
    assert larger > 2 * with_bn


# Figures


def test_the_curves_of_the_chains_are_those_of_the_formula():
    fig = figures.obtained_of_planned()
    assert covered(fig) == []
    above, below = fig.axes
    weights = above.lines[1].get_xdata()
    expected = shift.obtained_of_planned(weights, 30, shift.calibrated_step(weights, 30, 0.1))
    np.testing.assert_array_equal(above.lines[2].get_ydata(), expected)
    expected = shift.obtained_of_planned(weights, 3, shift.step_at_rate(weights, 3, 0.01))
    np.testing.assert_array_equal(below.lines[0].get_ydata(), expected)


def test_a_rate_at_which_a_seed_fails_has_no_point():
    steps = {start: np.array([[46.0, 69.0], [92.0, 115.0]]) for start in shift.STARTS}
    steps["without BN, larger weights"] = np.array([[46.0, 69.0], [92.0, math.inf]])
    ax = figures.steps_by_rate(steps, (0.5, 5.0)).axes[0]
    medians = [line.get_ydata().tolist() for line in ax.lines]
    assert medians[0] == medians[2] == [57.5, 103.5]
    assert medians[1][0] == 57.5
    assert math.isnan(medians[1][1])


def test_figures_show_the_runs():
    runs = shift.three_runs()
    without, with_bn, _ = runs
    fig = figures.unit_percentiles((without, with_bn))
    middle = fig.axes[1].lines[1].get_ydata()
    np.testing.assert_array_equal(middle, with_bn.percentiles[:, -1, 1, with_bn.typical_unit()])
    for figure in (fig,):
        assert len(show(figure, alt="A test.").html) < 40_000


def test_a_sigmoid_network_has_a_layer_before_each_sigmoid():
    model = sigmoid_network(rng=np.random.default_rng(0), hidden=(4, 4))
    assert sum(isinstance(layer, Sigmoid) for layer in model.stack) == len(
        shift.sigmoid_inputs(model, load_digits().train[0][:10])
    )
