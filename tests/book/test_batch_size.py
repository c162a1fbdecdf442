"""The experiments and figures of the chapter on batch size, against closed forms, theory and other implementations."""

import re
from fractions import Fraction

import numpy as np
import pytest
from scipy import integrate, stats

from bn_book.batch_size import experiments as exp
from bn_book.batch_size import figures as draw
from bn_book.batch_size import written
from bn_book.data import load_digits
from bn_book.drawing import flipbook
from bn_lib import BatchNorm, GroupNorm, LayerNorm, batch_norm, batch_norm_backward

# By hand


@pytest.mark.parametrize("m", [2, 3])
def test_all_independent_batches_obey_the_laws_exactly(m):
    values = (1, 2, 4, 9)
    found = exp.AllBatches.of(values, m, replace=True)
    assert len(found.batches) == len(values) ** m
    assert found.variance == Fraction(np.var(values))
    assert found.variance_of_means == found.variance / m
    assert found.mean_of_variances == found.variance * (m - 1) / m


def test_batches_without_replacement_have_the_finite_population_factor():
    found = exp.AllBatches.of((1, 2, 4, 9, 3), 3, replace=False)
    assert len(found.batches) == 10
    assert found.variance_of_means == found.variance / 3 * Fraction(5 - 3, 5 - 1)


@pytest.mark.parametrize("m", [2, 3, 4])
def test_noise_of_the_variance_is_exact_for_any_distribution(m):
    values = (1, 2, 4, 9)
    found = exp.AllBatches.of(values, m, replace=True)
    kurtosis = float(stats.kurtosis(values))
    in_variances = float(found.variance_of_variances / found.variance**2)
    assert exp.variance_noise(m, kurtosis) == pytest.approx(in_variances, rel=1e-12)


# The exact distribution


@pytest.mark.parametrize("m", [2, 3, 8, 50])
def test_densities_are_densities_with_the_right_moments(m):
    def moment(density, power, low, high):
        return integrate.quad(lambda t: t**power * float(density(np.array(t), m)), low, high, limit=400)[0]

    assert moment(exp.mean_density, 0, -8, 8) == pytest.approx(1, rel=1e-6)
    assert moment(exp.mean_density, 2, -8, 8) == pytest.approx(1 / m, rel=1e-6)
    assert moment(exp.variance_density, 0, 0, 40) == pytest.approx(1, rel=1e-5)
    mean = moment(exp.variance_density, 1, 0, 40)
    assert mean == pytest.approx((m - 1) / m, rel=1e-6)
    assert moment(exp.variance_density, 2, 0, 40) - mean**2 == pytest.approx(exp.variance_noise(m), rel=1e-5)


@pytest.mark.parametrize("m", [2, 8, 64])
def test_drawn_statistics_follow_the_exact_distribution(m):
    drawn = exp.draw_statistics(m, batches=4000, seed=1)
    assert stats.kstest(drawn.mean * np.sqrt(m), "norm").pvalue > 0.001
    assert stats.kstest(drawn.var * m, "chi2", args=(m - 1,)).pvalue > 0.001


def test_drawn_variances_do_not_follow_the_distribution_of_the_unbiased_one():
    drawn = exp.draw_statistics(8, batches=4000, seed=1)
    assert stats.kstest(drawn.var * 7, "chi2", args=(7,)).pvalue < 0.001


def test_quantiles_belong_to_the_density():
    inside = integrate.quad(
        lambda t: float(exp.variance_density(np.array(t), 8)),
        exp.variance_quantile(0.025, 8),
        exp.variance_quantile(0.975, 8),
    )[0]
    assert inside == pytest.approx(0.95, abs=1e-6)


@pytest.mark.parametrize("m", [2, 3, 4, 8, 9, 64, 257])
def test_density_and_quantiles_are_scipys(m):
    chi2 = stats.chi2(m - 1)
    ratios = np.geomspace(1e-6, 4, 50)
    np.testing.assert_allclose(exp.variance_density(ratios, m), m * chi2.pdf(m * ratios), rtol=1e-11, atol=1e-99)
    for p in (1e-12, 1e-3, 0.025, 0.5, 0.975, 0.999):
        assert exp.variance_quantile(p, m) == pytest.approx(chi2.ppf(p) / m, rel=1e-11, abs=0)


@pytest.mark.parametrize("probability", [-0.1, 0, 1, 1.1, float("nan")])
def test_a_quantile_is_of_a_probability(probability):
    with pytest.raises(ValueError, match=f"probability is {probability}; expected a number between 0 and 1"):
        exp.variance_quantile(probability, 8)


@pytest.mark.parametrize("call", [exp.variance_noise, lambda m: exp.variance_quantile(0.5, m)])
def test_one_value_has_no_variance(call):
    with pytest.raises(ValueError, match="m is 1; expected at least 2"):
        call(1)


@pytest.mark.parametrize("m", [2, 8, 32])
@pytest.mark.parametrize("seed", [0, 1])
def test_real_features_obey_the_formulas(m, seed):
    found = exp.noise_on_digits(m, seed=seed)
    assert found.mean_noise == pytest.approx(1, abs=0.05)
    assert found.bias == pytest.approx((m - 1) / m, abs=0.01)
    assert found.var_noise == pytest.approx(1, abs=0.05)
    assert found.excess_kurtosis != pytest.approx(0, abs=0.05)


# Company


def test_company_leaves_the_network_as_it_was():
    model = exp._trained(0)
    before = model.state_dict()
    exp.changed_by_company(4, repeats=1)
    exp.one_in_company(3, companions=2)
    assert not model.training
    for name, value in model.state_dict().items():
        assert np.array_equal(value, before[name]), name


def test_company_is_that_of_a_batch_which_holds_the_image():
    one = exp.one_in_company(5, sizes=(4,), companions=3)
    x, labels = load_digits().test
    index = np.flatnonzero(labels == 5)[0]
    assert np.array_equal(one.image.ravel(), x[index])
    assert one.probability.shape == one.predicted.shape == (1, 3)
    assert len(set(one.probability[0])) == 3  # other companions, another answer
    # Alone, from the running statistics, by the formula of inference written out.
    model = exp._trained(0)
    state = {name: value.astype(np.float64) for name, value in model.state_dict().items()}
    h = x[[index]].astype(np.float64)
    for dense, norm in (("0", "1"), ("3", "4")):
        h = h @ state[f"{dense}.weight"]
        h = (h - state[f"{norm}.running_mean"]) / np.sqrt(state[f"{norm}.running_var"] + 1e-5)
        h = np.maximum(state[f"{norm}.gamma"] * h + state[f"{norm}.beta"], 0)
    logits = h @ state["6.weight"] + state["6.bias"]
    assert one.alone == pytest.approx(float((np.exp(logits) / np.exp(logits).sum())[0, 5]), rel=1e-4)


def test_all_of_the_test_images_together_are_nearly_the_population():
    crowd = exp.changed_by_company(360, repeats=1)
    assert crowd.changed < 0.02
    assert crowd.accuracy == pytest.approx(exp.accuracy_in_inference(), abs=0.02)


def test_company_means_nothing_to_layer_norm():
    rng = np.random.default_rng(0)
    model = exp.relu_network(rng=rng, normalizer=LayerNorm).train()
    x = load_digits().test[0][:8]
    assert np.allclose(model.forward(x)[:1], model.forward(x[:1]), atol=1e-5)


# Statistics of some


def test_ghost_bn_of_the_whole_batch_is_bn():
    rng = np.random.default_rng(0)
    x, dy = rng.normal(size=(2, 12, 5))
    ghost, plain = exp.GhostBatchNorm(5, 12), BatchNorm(5)
    assert np.allclose(ghost.forward(x), plain.forward(x), atol=1e-12)
    assert np.allclose(ghost.backward(dy), plain.backward(dy), atol=1e-12)
    for name in ("gamma", "beta"):
        assert np.allclose(ghost.grads[name], plain.grads[name], atol=1e-12)
    assert np.allclose(ghost.running_mean, plain.running_mean, atol=1e-12)
    assert np.allclose(ghost.running_var, plain.running_var, atol=1e-12)


def test_ghost_bn_is_bn_of_each_part():
    rng = np.random.default_rng(1)
    x, dy = rng.normal(size=(2, 12, 5))
    ghost = exp.GhostBatchNorm(5, 4)
    ghost.gamma, ghost.beta = rng.normal(size=(2, 5))
    y, dx = ghost.forward(x), ghost.backward(dy)
    dgamma = np.zeros(5)
    for rows in (slice(0, 4), slice(4, 8), slice(8, 12)):
        part, cache = batch_norm(x[rows], ghost.gamma, ghost.beta)
        dpart, dpart_gamma, _ = batch_norm_backward(dy[rows], cache)
        dgamma += dpart_gamma
        assert np.allclose(y[rows], part, atol=1e-12)
        assert np.allclose(dx[rows], dpart, atol=1e-12)
    assert np.allclose(ghost.grads["gamma"], dgamma, atol=1e-12)
    parts = x.reshape(3, 4, 5)
    assert np.allclose(ghost.running_mean, 0.1 * parts.mean(axis=(0, 1)), atol=1e-12)
    assert np.allclose(ghost.running_var, 0.9 + 0.1 * parts.var(axis=1, ddof=1).mean(axis=0), atol=1e-12)


def test_ghost_bn_in_inference_is_bn():
    rng = np.random.default_rng(2)
    x, dy = rng.normal(size=(2, 3, 5))
    ghost, plain = exp.GhostBatchNorm(5, 4).eval(), BatchNorm(5).eval()
    assert np.array_equal(ghost.forward(x), plain.forward(x))
    assert np.array_equal(ghost.backward(dy), plain.backward(dy))


def test_ghost_bn_refuses_what_it_cannot_split():
    with pytest.raises(ValueError, match=r"\(6, 5\).*multiple of 4"):
        exp.GhostBatchNorm(5, 4).forward(np.ones((6, 5)))


# Training


def test_every_image_is_seen_equally_often():
    updates = {m: exp.train_with_batch_size("layer", m, seed=0).updates for m in (8, 32)}
    assert updates == {8: 240, 32: 60}


def test_normalizers_are_what_they_are_called():
    kinds = {name: type(make(64)) for name, make in exp.NORMALIZERS.items()}
    assert kinds == {"batch": BatchNorm, "layer": LayerNorm, "group": GroupNorm}


def test_ghost_statistics_of_all_train_as_bn_does():
    ghost = exp.train_with_statistics_of(64, seed=0)
    rng = np.random.default_rng(0)
    train, test = load_digits()
    model = exp.relu_network(rng=rng, normalizer=BatchNorm)
    exp.fit(model, exp.SGD(model, 0.3), *train, epochs=4, batch_size=64, rng=rng, progress=False)
    assert ghost.test == pytest.approx(exp.accuracy(model, *test), abs=0.02)


# Figures


def test_every_pair_stands_in_the_table():
    table = written.table_of_pairs(exp.AllBatches.of((1, 2, 4, 9), 2, replace=True)).splitlines()
    assert len(table) == 6
    assert {line.count("|") for line in table} == {6}
    assert "| **2** | 1.5; 0.25 | 2; 0 | 3; 1 | 5.5; 12.25 |" in table


def test_the_exact_densities_are_drawn_over_the_bars():
    fig = draw.noise(8, exp.draw_statistics(8))
    for ax, density, values in zip(
        fig.axes, (exp.mean_density, exp.variance_density), exp.draw_statistics(8), strict=True
    ):
        x, y = ax.lines[0].get_data()
        assert np.allclose(y, density(x, 8))
        heights, edges, _ = ax.patches[0].get_data()
        inside = np.mean((values >= edges[0]) & (values <= edges[-1]))
        assert np.sum(heights * np.diff(edges)) == pytest.approx(inside)


def test_frames_keep_their_axes():
    limits = set()
    for m in (2, 64):
        limits.add(tuple((ax.get_xlim(), ax.get_ylim()) for ax in draw.noise(m, exp.draw_statistics(m)).axes))
    assert len(limits) == 1


def test_words_say_what_is_drawn():
    one = exp.one_in_company(1)
    wrong = 100 * np.mean(one.predicted[0] != 1)
    assert f"{wrong:.0f} percent at 2" in draw.company_in_words(one)
    assert "0.35 sigma" in draw.noise_in_words(8)
    assert "between 0.21 and 2.00" in draw.noise_in_words(8)


def test_company_marks_every_answer_once():
    one = exp.one_in_company(8)
    ax = draw.company(one).axes[1]
    shown = np.concatenate([line.get_ydata() for line in ax.lines if line.get_linestyle() == "None"])
    assert np.array_equal(np.sort(shown), np.sort(one.probability.ravel()))


def test_accuracy_figure_shows_means_and_every_seed():
    def run(test):
        return exp.Trained(test=test, train=1.0, loss=0.1, updates=1)

    runs = {"batch": {2: [run(0.5), run(0.7)], 4: [run(0.9), run(0.9)]}}
    ax = draw.accuracy_by_batch_size(runs).axes[0]
    drawn = [list(line.get_ydata()) for line in ax.lines]
    assert drawn[0] == pytest.approx([60, 90])
    assert sorted(y for line in drawn[1:] for y in line) == pytest.approx([50, 70, 90, 90])
    assert ax.get_title(loc="left") == "At batch size 2: BN 60 %"


def test_statistics_figure_says_its_ends():
    runs = {
        m: [exp.Trained(test=t, train=1.0, loss=loss, updates=1)] for m, t, loss in ((2, 0.66, 1.8), (8, 0.98, 0.3))
    }
    above, below = draw.by_statistics(runs).axes
    assert above.get_title(loc="left") == "Training loss: 1.8 at 2, 0.3 at 8"
    assert below.get_title(loc="left") == "Test accuracy: 66 % at 2, 98 % at 8"


def test_changed_figure_writes_its_numbers():
    ax = draw.changed([exp.Changed(2, 0.49, 0.5), exp.Changed(8, 0.09, 0.9)]).axes[0]
    assert [text.get_text() for text in ax.texts] == ["49 %", "9 %"]


def test_the_flipbooks_are_light():
    box = flipbook(
        draw.company, [exp.one_in_company(k) for k in range(2)], label="digit", alt=draw.company_in_words,
        format=lambda one: str(one.label),
    )  # fmt: skip
    frames = box.frames
    assert max(map(len, frames)) < 30_000
    assert not re.search(r"#[0-9a-f]{6}", re.sub(r'<svg [^>]*style="[^"]*"', "", "".join(frames)))
