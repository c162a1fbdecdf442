"""The experiments and figures of the chapter on convolutions, against the library's normalizers and closed forms."""

import numpy as np
import pytest

from bn_book.convolutions import experiments as exp
from bn_book.convolutions import figures as draw
from bn_book.data import load_digits
from bn_lib import batch_norm, instance_norm, layer_norm

# Mistakes


def test_bn_is_its_own_symptom():
    x = exp.feature_maps()
    seen = exp.symptom(x, (0, 2, 3))
    y, cache = batch_norm(x, np.ones(3), np.zeros(3), eps=0)
    assert (seen.shape, seen.values) == ((3,), cache.moments.count)
    assert seen.difference == 0
    right = (x - x.mean(axis=(0, 2, 3), keepdims=True)) / x.std(axis=(0, 2, 3), keepdims=True)
    assert np.allclose(y, right, atol=1e-12)


@pytest.mark.parametrize(
    ("axes", "norm"), [((1, 2, 3), layer_norm), ((2, 3), instance_norm)], ids=["layer", "instance"]
)
def test_symptoms_of_other_normalizers_are_theirs(axes, norm):
    x = exp.feature_maps()
    seen = exp.symptom(x, axes)
    y, cache = norm(x, np.ones(3), np.zeros(3), eps=0)
    assert seen.values == cache.moments.count
    assert seen.channel_mean == pytest.approx(np.abs(y.mean(axis=(0, 2, 3))).max(), abs=1e-12)
    assert seen.difference == pytest.approx(np.abs(y - batch_norm(x, np.ones(3), np.zeros(3), eps=0)[0]).max())


def test_all_sizes_differ_so_all_shapes_do():
    shapes = [exp.symptom(exp.feature_maps(), axes).shape for axes in exp.AXES.values()]
    assert len(set(shapes)) == len(exp.AXES) == 6


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_simple_check_misses_finer_statistics_and_sees_mixed_channels(seed):
    x = exp.feature_maps(seed=seed)
    for axes in exp.AXES.values():
        seen = exp.symptom(x, axes)
        off = max(seen.channel_mean, seen.channel_std)
        assert off > 0.1 if 1 in axes else off < 1e-9
        assert (seen.difference > 0.3) == (axes != (0, 2, 3))


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_only_statistics_over_positions_follow_a_shift(seed):
    assert exp.follows_a_shift(seed=seed) < 1e-12
    assert exp.moved_by_a_shift((0, 2, 3), seed=seed) < 1e-12
    assert exp.moved_by_a_shift((0,), seed=seed) > 0.1


# How many values a map is worth


def test_independent_values_are_worth_their_number():
    x = np.random.default_rng(0).normal(size=(20000, 2, 4, 3))
    assert exp.values_per_image(x) == pytest.approx([12, 12], rel=0.05)


def test_one_value_repeated_is_worth_one():
    x = np.random.default_rng(0).normal(size=(500, 1, 1, 1)) * np.ones((1, 1, 4, 3))
    assert exp.values_per_image(x) == pytest.approx([1])


def test_what_an_image_is_worth_comes_from_the_correlations_between_positions():
    x = load_digits(flat=False).train[0].astype(np.float64)
    deviation = (x - x.mean()).reshape(len(x), -1)
    correlation = deviation.T @ deviation / len(x) / x.var()
    rho = (correlation.sum() - np.trace(correlation)) / (64 * 63)
    assert exp.values_per_image(x)[0] == pytest.approx(64 / (1 + 63 * rho), rel=1e-9)


def test_light_adds_its_variance_to_every_image_mean():
    x = load_digits(flat=False).train[0].astype(np.float64)
    expected = (x.var() + 0.04) / (x.mean(axis=(1, 2, 3)).var() + 0.04)
    assert exp.values_per_image(exp.with_brightness(x, 0.2))[0] == pytest.approx(expected, rel=0.1)


@pytest.mark.parametrize("images", [1, 8, 64])
def test_measured_noise_is_what_the_worth_says(images):
    x = load_digits(flat=False).train[0]
    expected = 1 / np.sqrt(images * exp.values_per_image(x)[0])
    assert exp.mean_noise(x, images, batches=2000) == pytest.approx(expected, rel=0.06)


def test_neighbors_are_correlated():
    field = np.random.default_rng(0).normal(size=(3000, 1, 1, 9))
    moving = (field[..., :-1] + field[..., 1:]) / np.sqrt(2)  # correlation 1/2 by construction
    assert exp.neighbor_correlation(moving) == pytest.approx(0.5, abs=0.03)
    assert exp.neighbor_correlation(field) == pytest.approx(0, abs=0.03)


def test_the_network_is_looked_at_in_inference_mode():
    first, second = exp.values_per_image_in_cnn()
    assert (len(first), len(second)) == (8, 16)
    model = exp._train(True, 0.4, 0, 3, 64)[0].eval()
    maps = model.stack[0].forward(load_digits(flat=False).train[0])
    assert first == pytest.approx(exp.values_per_image(maps))


# The network


def test_runs_are_as_long_as_the_chapter_says():
    run = exp.train_cnn(True, 0.1, seed=0)
    assert (len(run.loss), len(run.accuracy)) == (66, 3)
    assert run.loss[0] == pytest.approx(np.log(10), abs=1.5)


def test_updates_are_counted_to_the_first_mean_below(monkeypatch):
    loss = tuple([2.0] * 10 + [0.1] * 10)
    monkeypatch.setattr(exp, "train_cnn", lambda with_bn, rate, *, seed: exp.Curve(loss, (0.9,)))
    # Means of five fall below 0.5 only when all five are low: (2.0 + 4 * 0.1) / 5 = 0.48 is the first.
    assert exp.updates_to_reach(0.5, True, 0.1) == 14
    assert exp.updates_to_reach(0.05, True, 0.1) == np.inf


def test_dead_and_living_networks_are_told_apart():
    assert exp.firing_share(True, 1.4, seed=0) > 0.01
    assert exp.firing_share(False, 1.4, seed=0) < 0.001


# Figures


def test_the_table_shows_what_passes():
    lines = draw.table_of_symptoms({name: exp.symptom(exp.feature_maps(), axes) for name, axes in exp.AXES.items()})
    rows = {line.split("|")[1].strip(): [cell.strip() for cell in line.split("|")[2:-1]] for line in lines.splitlines()}
    assert rows["samples only"] == ["(3,\u00a05,\u00a04)", "0", "0"]
    assert rows["everything"][1] != "0"


def test_losses_show_each_seed_and_the_mean():
    runs = [exp.Curve((2.0, 1.0), (0.5,)), exp.Curve((4.0, 2.0), (0.7,))]
    ax = draw.losses(0.1, runs, runs).axes[0]
    assert list(ax.lines[2].get_ydata()) == [3.0, 1.5]
    assert "60 % with" in ax.get_title(loc="left")
    assert "60 and 60 percent" in draw.losses_in_words(0.1, runs, runs)
    assert ax.get_ylim() == draw.losses(1.4, runs, runs).axes[0].get_ylim()


def test_accuracy_figure_names_the_best_means():
    fig = draw.accuracy_by_rate(
        (0.1, 1.0), np.array([[90.0, 92.0], [80.0, 80.0]]), np.array([[50.0, 60.0], [10.0, 10.0]])
    )
    assert fig.axes[0].get_title(loc="left") == "Best mean: 91 % with BN, 55 % without"


def test_noise_figure_draws_both_laws():
    ax = draw.noise_of_the_mean((1, 4), {"a": [0.1, 0.05], "b": [0.5, 0.25]}, positions=16).axes[0]
    assert [list(line.get_ydata()) for line in ax.lines] == [[1, 0.5], [0.25, 0.125], [0.1, 0.05], [0.5, 0.25]]
