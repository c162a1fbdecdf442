"""The experiments and figures of the chapter on the backward pass, against facts from elsewhere."""

import re
from fractions import Fraction

import numpy as np
import pytest
from drawn import covered

from bn_book.backward import experiments as backward
from bn_book.backward import figures
from bn_book.backward.experiments import BATCH_BACKWARD, CANDIDATES, CHECKS, PATHS, Candidate, numerical_gradient
from bn_book.drawing import show
from bn_lib import BatchNorm, batch_norm, batch_norm_backward

EPS = 1e-3


@pytest.fixture
def batch():
    """x, dy, gamma, beta of a batch of 7 x 3."""
    rng = np.random.default_rng(5)
    return rng.normal(2, 3, size=(7, 3)), rng.normal(size=(7, 3)), rng.uniform(0.5, 2, size=3), rng.normal(size=3)


# Paths


def test_the_three_paths_add_up_to_the_gradient(batch):
    x, dy, gamma, beta = batch
    _, cache = batch_norm(x, gamma, beta, eps=EPS)
    np.testing.assert_allclose(
        sum(backward.path_terms(dy, cache).values()), batch_norm_backward(dy, cache)[0], atol=1e-14
    )


@pytest.mark.parametrize("paths", [("direct",), ("direct", "mean"), ("direct", "variance"), PATHS], ids="+".join)
def test_a_set_of_paths_is_the_gradient_with_the_other_statistics_held_fixed(batch, paths):
    x, dy, gamma, _ = batch
    mean_here = x.mean(axis=0)
    var_here = x.var(axis=0)

    def loss(moved):
        mean = moved.mean(axis=0) if "mean" in paths else mean_here
        # The variance around a mean held fixed: what moves the mean then does not move it.
        var = ((moved - mean_here) ** 2).mean(axis=0) if "variance" in paths else var_here
        return float((dy * gamma * (moved - mean) / np.sqrt(var + EPS)).sum())

    _, cache = batch_norm(x, gamma, np.zeros(3), eps=EPS)
    expected = numerical_gradient(loss, x, h=1e-5)
    np.testing.assert_allclose(backward.backward_along(paths, dy, cache), expected, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize(
    ("paths", "sum_is_zero", "product_is_small"),
    [
        (PATHS, True, True),
        (("direct", "mean"), True, False),
        (("direct", "variance"), False, True),
        (("direct",), False, False),
    ],
)
def test_two_sums_tell_which_path_is_missing(batch, paths, sum_is_zero, product_is_small):
    x, dy, gamma, beta = batch
    _, cache = batch_norm(x, gamma, beta, eps=1e-9)
    dx = backward.backward_along(paths, dy, cache)
    assert bool((np.abs(dx.sum(axis=0)) < 1e-12).all()) == sum_is_zero
    assert bool((np.abs((dx * cache.x_hat).sum(axis=0)) < 1e-6).all()) == product_is_small


@pytest.mark.parametrize("paths", [(), ("direct", "sideways")])
def test_unknown_paths_are_refused(batch, paths):
    x, dy, gamma, beta = batch
    with pytest.raises(ValueError, match="expected one or more of"):
        backward.backward_along(paths, dy, batch_norm(x, gamma, beta)[1])


def test_a_layer_that_forgets_nothing_is_batch_norm(batch):
    x, dy, *_ = batch
    whole, right = backward.ForgetfulBatchNorm(3, PATHS, dtype=np.float64), BatchNorm(3)
    np.testing.assert_array_equal(whole(x), right(x))
    np.testing.assert_allclose(whole.backward(dy), right.backward(dy), atol=1e-15)
    np.testing.assert_array_equal(whole.grads["gamma"], right.grads["gamma"])


# By hand


def test_the_batch_by_hand_agrees_with_the_library():
    forward = BATCH_BACKWARD.forward
    x, dy = (np.array([[float(v)] for v in values]) for values in (forward.x, BATCH_BACKWARD.dy))
    _, cache = batch_norm(x, np.array([float(forward.gamma)]), np.zeros(1), eps=float(forward.eps))
    dx, dgamma, dbeta = batch_norm_backward(dy, cache)
    np.testing.assert_allclose([float(v) for v in BATCH_BACKWARD.dx], dx[:, 0], atol=1e-14)
    assert float(BATCH_BACKWARD.dgamma) == pytest.approx(dgamma[0], abs=1e-14)
    assert float(BATCH_BACKWARD.dbeta) == pytest.approx(dbeta[0], abs=1e-14)
    for path, term in backward.path_terms(dy, cache).items():
        np.testing.assert_allclose([float(v) for v in BATCH_BACKWARD.terms[path]], term[:, 0], atol=1e-14)


def test_the_chain_rule_by_hand_is_the_compact_form_exactly():
    forward, dy, m = BATCH_BACKWARD.forward, BATCH_BACKWARD.dy, 5
    mean_dy = sum(dy, Fraction()) / m
    mean_product = sum((g * h for g, h in zip(dy, forward.x_hat, strict=True)), Fraction()) / m
    scale = forward.gamma / forward.root
    expected = tuple(scale * (g - mean_dy - h * mean_product) for g, h in zip(dy, forward.x_hat, strict=True))
    assert BATCH_BACKWARD.dx == expected


def test_the_worked_lines_end_in_the_gradients():
    def last_row(latex):
        return [float(number) for number in re.findall(r"-?\d+(?:\.\d+)?", latex[latex.rindex("(") :])]

    assert last_row(figures.worked_dx(BATCH_BACKWARD)) == [1.9776, -1.1328, -1.0896, 0.2448, 0]
    assert last_row(figures.worked_dy(BATCH_BACKWARD)) == [0.5, -0.3, 0.2, 0, 0.1]
    assert figures.worked_parameters(BATCH_BACKWARD).count("= 0.88") == 1
    assert figures.worked_means(BATCH_BACKWARD).count("= 0.176") == 1
    assert "= 0.5" in figures.worked_forward(BATCH_BACKWARD)


# Training with a path forgotten


@pytest.mark.parametrize("seed", [0, 3])
def test_a_bias_whose_gradient_ignores_the_mean_grows_at_a_constant_rate_for_nothing(seed):
    run = backward.runaway_bias(steps=50, seed=seed)
    np.testing.assert_allclose(run.bias / run.bias[0], np.arange(1, 51), rtol=1e-9)
    assert np.ptp(run.loss) < 1e-12


def test_only_the_mean_path_keeps_the_bias_where_it_is():
    bias = {paths: backward.train_along(paths, epochs=2).bias[-1] for paths in (PATHS, ("direct", "mean"), ("direct",))}
    assert bias[PATHS] < 1e-5
    assert bias["direct", "mean"] < 1e-5
    assert bias["direct",] > 0.1


@pytest.mark.parametrize("a", [0.5, 2.0, 100.0])
def test_gradients_shrink_as_weights_grow(a):
    assert backward.gradient_times_scale(a, seed=1) == pytest.approx(1, abs=1e-3)


# Gradient checks


def test_central_differences_are_exact_for_a_quadratic_and_one_sided_ones_are_off_by_h():
    x = np.array([[1.0, -2.0], [0.5, 3.0]])

    def loss(x):
        return float((x * x).sum())

    np.testing.assert_allclose(numerical_gradient(loss, x, h=0.1), 2 * x, rtol=1e-12)
    np.testing.assert_allclose(numerical_gradient(loss, x, h=0.1, central=False), 2 * x + 0.1, rtol=1e-12)


def test_the_correct_candidate_is_the_library(batch):
    x, dy, gamma, beta = batch
    y, cache = batch_norm(x, gamma, beta, eps=EPS)
    candidate = Candidate("correct")
    np.testing.assert_allclose(candidate.forward(x, gamma, beta, EPS), y, atol=1e-14)
    np.testing.assert_allclose(candidate.backward(dy, x, gamma, EPS), batch_norm_backward(dy, cache)[0], atol=1e-14)


def test_a_shared_ddof_is_off_by_the_known_factor(batch):
    x, _, gamma, _ = batch
    y, _ = batch_norm(x, gamma, np.zeros(3), eps=0.0)
    shared = Candidate("shared", ddof=1).forward(x, gamma, np.zeros(3), 0.0)
    np.testing.assert_allclose(shared, y * np.sqrt(6 / 7), rtol=1e-12)


BLIND = {
    "correct": (False, False, False, False),
    "direct path only": (True, True, True, False),
    "no mean path": (True, False, True, False),
    "no variance path": (False, True, True, False),
    "γ left out of dx": (False, False, True, False),
    "m − 1, both passes": (False, False, False, True),
    "ε outside, both passes": (False, False, False, True),
}


@pytest.mark.parametrize("seed", range(5))
def test_each_check_has_the_blind_spots_that_the_book_shows(seed):
    expected = {name: dict(zip(CHECKS, row, strict=True)) for name, row in BLIND.items()}
    assert backward.verdicts(seed=seed) == expected


def test_no_verdict_hangs_on_the_tolerance():
    errors = [backward.check_error(candidate, check) for candidate in CANDIDATES for check in CHECKS]
    assert not [error for error in errors if 1e-9 < error < 1e-4]


def test_truncation_grows_as_h_squared_or_h_and_rounding_as_its_inverse():
    def slope(low, high, central):
        first, second = backward.step_errors([low, high], central=central)
        return np.log(second / first) / np.log(high / low)

    assert slope(1e-3, 1e-2, central=True) == pytest.approx(2, abs=0.05)
    assert slope(1e-4, 1e-2, central=False) == pytest.approx(1, abs=0.05)
    assert slope(1e-12, 1e-8, central=True) == pytest.approx(-1, abs=0.2)


# Figures


def test_the_steps_through_the_graph_use_every_edge_and_end_in_dx():
    steps = figures.graph_steps(BATCH_BACKWARD)
    travelled = {edge for step in steps for edge in step.edges}
    assert travelled == {
        ("x_hat", "y"),
        ("var", "x_hat"),
        ("mu", "var"),
        ("mu", "x_hat"),
        ("x", "x_hat"),
        ("x", "mu"),
        ("x", "var"),
    }
    assert steps[2].values == "−5.28"
    assert steps[3].values == "0"
    assert steps[4].values == "−3"
    assert steps[-1].values == "(1.9776, −1.1328, −1.0896, 0.2448, 0)"


def test_a_step_is_told_in_words():
    step = figures.graph_steps(BATCH_BACKWARD)[2]
    assert figures.describe(step) == (
        "2. From x-hat to the variance. The gradient goes from x-hat to the variance. Values: −5.28"
    )


def test_the_signatures_in_the_figure_are_those_of_numpy():
    x_hat = np.array([float(v) for v in BATCH_BACKWARD.forward.x_hat])
    dx = figures.along(("direct", "mean"), BATCH_BACKWARD)
    total, product = figures.signatures(dx, BATCH_BACKWARD)
    assert float(total) == pytest.approx(sum(map(float, dx)), abs=1e-12)
    assert float(product) == pytest.approx((np.array([float(v) for v in dx]) * x_hat).sum())


def test_frames_keep_their_axes_and_are_light():
    book = [figures.graph(step) for step in figures.graph_steps(BATCH_BACKWARD)]
    limits = [[(ax.get_xlim(), ax.get_ylim()) for ax in fig.axes] for fig in book]
    assert all(limit == limits[0] for limit in limits)
    assert len({fig.axes[0].get_title(loc="left") for fig in book}) == len(book)
    assert sum(len(show(fig, alt="a frame").html) for fig in book) < 300_000


def test_the_training_figure_draws_every_run():
    runs = {
        name: backward.PathRun(np.full(300, float(i + 1)), np.full(300, float(i)), 1.0)
        for i, name in enumerate(figures.PATHS_NAMED)
    }
    fig = figures.forgotten_paths(runs)
    above, below = fig.axes
    np.testing.assert_allclose([line.get_ydata()[-1] for line in above.get_lines()], [1, 2, 3, 4])
    np.testing.assert_allclose([line.get_ydata()[-1] for line in below.get_lines()], [0, 1, 2, 3])
    assert [text.get_text() for text in above.get_legend().get_texts()] == list(runs)
    assert covered(fig) == []


def test_the_step_figure_rings_the_best_steps():
    steps = np.array([1e-6, 1e-5, 1e-4])
    fig = figures.step_error(steps, np.array([1e-9, 1e-10, 1e-8]), np.array([1e-6, 1e-5, 1e-4]))
    rings = [line.get_xdata() for line in fig.axes[0].get_lines()[1::2]]
    assert [float(np.ravel(ring)[0]) for ring in rings] == [1e-6, 1e-5]


def test_the_verdict_table_is_named_and_escaped():
    table = figures.verdict_table({"<wrong>": {"a": True, "b": False}})
    assert "&lt;wrong&gt;" in table
    assert (table.count("✓"), table.count("·")) == (1, 1)
    assert table.count('scope="col"') == 3  # the corner has a name as well
