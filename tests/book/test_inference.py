"""The chapter's experiments against closed forms, PyTorch, and facts that hold whatever the numbers are."""

from copy import deepcopy
from fractions import Fraction

import numpy as np
import pytest
from drawn import covered

from bn_book.data import load_digits
from bn_book.drawing import show
from bn_book.inference import experiments as inference
from bn_book.inference import figures
from bn_lib import BatchNorm, Conv2d, Convention, Moments, accuracy, fold_batch_norm

X, LABELS = load_digits().test


@pytest.fixture(scope="module")
def model():
    return inference.trained()[0]


# Averages


def test_running_average_follows_the_unrolled_formula_exactly():
    values, w = [Fraction(5), Fraction(8), Fraction(12)], Fraction(1, 10)
    k = len(values)
    unrolled = (1 - w) ** k * 7 + sum(w * (1 - w) ** (k - j) * v for j, v in enumerate(values, start=1))
    average = inference.running_average(7.0, np.array([5.0, 8.0, 12.0]), 0.1)
    assert average[0] == 7
    assert average[-1] == pytest.approx(float(unrolled), abs=1e-14)


def test_the_start_keeps_the_weight_that_the_chapter_says():
    average = inference.running_average(1.0, np.zeros(88), 0.01)
    assert average[-1] == pytest.approx(0.99**88, rel=1e-12)


@pytest.mark.parametrize("momentum", [0.0, 0.1, 1.0])
def test_running_statistics_are_those_of_the_layer(momentum):
    rng = np.random.default_rng(0)
    batches = rng.normal(3, 2, size=(6, 5, 4))
    layer = BatchNorm(4, momentum=momentum)
    means, variances = inference.running_statistics([Moments.of(b, 0) for b in batches], momentum)
    assert means.shape == variances.shape == (7, 4)
    for step, batch in enumerate(batches):
        np.testing.assert_allclose(means[step], layer.running_mean, atol=1e-12)
        np.testing.assert_allclose(variances[step], layer.running_var, atol=1e-12)
        layer.forward(batch)
    np.testing.assert_allclose(means[-1], layer.running_mean, atol=1e-12)


def test_running_average_wants_a_momentum_between_0_and_1():
    with pytest.raises(ValueError, match=r"momentum is 1\.5"):
        inference.running_average(0.0, np.ones(3), 1.5)


@pytest.mark.parametrize(("momentum", "m"), [(0.1, 32), (0.5, 4), (1.0, 8)])
def test_noise_of_an_average_of_independent_batches(momentum, m):
    batch_means = np.random.default_rng(0).normal(size=(400, 2000, m)).mean(axis=2)
    measured = inference.running_average(0.0, batch_means, momentum)[-1].std()
    assert measured == pytest.approx(inference.average_noise(momentum, m), rel=0.06)  # 2000 values: 1.6 % per deviation


# One training run answers for every momentum


def test_momentum_has_no_part_in_training():
    (fast, losses), (slow, losses_slow) = inference.trained(epochs=1), inference.trained(epochs=1, momentum=0.01)
    assert losses == losses_slow
    for name, value in fast.state_dict().items():
        if "running" not in name:
            assert np.array_equal(value, slow.state_dict()[name]), name


@pytest.mark.parametrize("momentum", [0.01, 0.9])
def test_afterwards_a_recorded_run_gives_what_a_run_with_that_momentum_gives(momentum):
    recording = inference.record(epochs=1)
    really, _ = inference.trained(epochs=1, momentum=momentum)
    assert inference.inference_accuracy(recording, momentum)[recording.steps] == accuracy(really, X, LABELS)


def test_the_first_layer_is_recalibrated_to_all_values_at_once(model):
    x, _ = load_digits().train
    values = model.stack[0].forward(x).astype(np.float64)
    first = inference.recalibrate(deepcopy(model), x).stack[1]
    np.testing.assert_allclose(first.running_mean, values.mean(axis=0), rtol=0, atol=1e-6)  # the batches are float32
    np.testing.assert_allclose(first.running_var, values.var(axis=0), rtol=1e-5)


@pytest.mark.parametrize("training", [True, False])
def test_looking_leaves_the_network_alone(model, training):
    model = deepcopy(model)
    model.train() if training else model.eval()
    before = model.state_dict()
    inference.predict_on_batch_statistics(model, X, np.arange(len(X)), batch_size=32)
    assert model.training is training
    assert all(layer.training is training for layer in model.layers())
    for name, value in model.state_dict().items():
        assert np.array_equal(value, before[name]), name


def test_a_callers_copy_is_its_own():
    one, _ = inference.trained()
    one.stack[0].weight[:] = 0
    other, _ = inference.trained()
    assert np.any(other.stack[0].weight)


def test_algorithm_2_misses_the_variance_between_batches():
    for m in (4, 8, 32):
        a = inference.algorithm_2(batch_size=m)
        assert a.merged < 1e-12  # merging is exact
        assert a.mean < 1e-12  # batches of equal size: so is the mean of means
        assert a.unbiased == pytest.approx(1, abs=0.02)
        assert a.biased == pytest.approx((m - 1) / m, abs=0.02)


def test_sweep_is_noise_on_the_right_and_lag_on_the_left():
    sweep = inference.momentum_sweep((0.001, 0.1, 1.0), batch_size=32, epochs=5)
    assert sweep.distance[2] == pytest.approx(sweep.noise[2], rel=0.3)
    assert sweep.distance[0] > 50 * sweep.noise[0]
    assert sweep.accuracy[0] < 0.5 < sweep.accuracy[1]
    assert sweep.possible == pytest.approx(sweep.accuracy[1], abs=0.03)


# Bugs


def test_in_inference_company_changes_nothing(model):
    model = deepcopy(model).eval()
    together = model.forward(X)
    alone = np.concatenate([model.forward(X[i : i + 1]) for i in range(20)])
    np.testing.assert_allclose(alone, together[:20], rtol=1e-4, atol=1e-5)


def test_eval_forgotten_each_image_gets_one_prediction_in_its_place(model):
    """With one batch of everything the order cannot matter, so places are kept."""
    order = np.random.default_rng(1).permutation(len(X))
    shuffled = inference.predict_on_batch_statistics(model, X, order, batch_size=len(X))
    in_order = inference.predict_on_batch_statistics(model, X, np.arange(len(X)), batch_size=len(X))
    assert np.mean(shuffled == in_order) > 0.99


def test_eval_forgotten_is_worst_among_ones_own_kind():
    found = inference.eval_forgotten()
    assert found.sorted < 0.3 < 0.85 < found.mixed < found.inference
    assert 0.03 < found.changed < 0.3


def test_in_inference_mode_from_the_start_nothing_is_normalized_and_nothing_counted():
    found = inference.trained_in_eval()
    assert found.updates == 0
    assert found.running_mean == 0
    assert found.losses[-44:].mean() == pytest.approx(np.log(10), abs=0.1)
    assert found.healthy[-44:].mean() < 0.5


@pytest.mark.parametrize("seed", range(3))
def test_in_inference_mode_since_a_validation_the_count_stands_still_and_the_loss_jumps_and_recovers(seed):
    found = inference.trained_in_eval(after=1, seed=seed)
    assert np.array_equal(found.losses[:44], found.healthy[:44])  # until then there is no bug
    assert found.updates == 44 < len(found.losses)
    assert found.running_mean > 0.1
    assert found.losses[44:54].max() > 5 * found.losses[39:44].mean()
    assert found.losses[-44:].mean() < found.losses[39:44].mean()


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("freezing", ["requires_grad", "eval once"])
def test_frozen_parameters_leave_the_statistics_free_and_train_undoes_eval(freezing, seed):
    found = inference.fine_tuned(freezing, seed=seed)
    assert {name.split(".")[1] for name in found.changed} == {"running_mean", "running_var", "num_batches_tracked"}
    assert found.after < found.before - 0.3


@pytest.mark.parametrize("seed", range(3))
def test_frozen_as_in_keras_not_one_bit_changes(seed):
    found = inference.fine_tuned("freeze", seed=seed)
    assert found.changed == ()
    assert found.after == found.before
    assert found.new < inference.fine_tuned("requires_grad", seed=seed).new  # what adapts fits the new images better


def test_pytorch_means_by_frozen_what_the_chapter_says():
    """requires_grad = False does not stop the statistics, and train() undoes an eval() of a layer inside."""
    torch = pytest.importorskip("torch")
    norm = torch.nn.BatchNorm1d(3).requires_grad_(False)
    model, x = torch.nn.Sequential(norm, torch.nn.Linear(3, 2)), torch.ones(4, 3) + torch.eye(4, 3)
    model(x)
    moved = norm.running_mean.clone()
    assert moved.abs().max() > 0
    norm.eval()
    model(x)
    assert torch.equal(norm.running_mean, moved)
    model.train()
    model(x)
    assert not torch.equal(norm.running_mean, moved)


def test_too_few_updates_is_repaired_by_the_training_set_alone():
    gap = inference.inference_gap()
    assert gap.inference < 0.6
    assert min(gap.batch, gap.population) > 0.9
    never = inference.inference_gap(momentum=0.0)
    assert never.inference < 0.3 < 0.9 < never.population


def test_statistics_go_where_the_stream_goes():
    once, often = inference.still_moving(digit=0), inference.still_moving(digit=0, passes=10)
    assert 0 < once.moved < often.moved
    assert often.after < once.after <= once.before


def test_momentum_the_wrong_way_round_shows_only_in_small_batches():
    right, wrong = (inference.swapped_momentum(w, seeds=range(3)) for w in (0.1, 0.9))
    assert all(np.subtract(right.by_run, wrong.by_run) > 0.02)
    assert wrong.jump > 1.3 * right.jump
    right, wrong = (inference.swapped_momentum(w, batch_size=32, epochs=5, seeds=(0,)) for w in (0.1, 0.9))
    assert abs(wrong.mean - right.mean) < 0.02


def test_the_same_accuracy_has_one_value_in_the_sweep_and_among_the_bugs():
    (of_bugs,) = inference.swapped_momentum(0.1, seeds=(0,)).by_run
    assert inference.momentum_sweep((0.1,), batch_size=4, epochs=3).accuracy[0] == pytest.approx(of_bugs, abs=1e-12)


def test_a_second_look_at_a_batch_shrinks_its_distance_by_1_minus_momentum():
    batch = np.random.default_rng(0).normal(5, 1, size=(16, 3))
    layer = BatchNorm(3, momentum=0.9)
    layer.forward(batch)
    before = batch.mean(axis=0) - layer.running_mean
    layer.forward(batch)
    np.testing.assert_allclose(batch.mean(axis=0) - layer.running_mean, 0.1 * before, rtol=1e-9)


def test_a_plain_average_has_no_exponential_counterpart():
    assert Convention.PAPER.convert_momentum(None, to="pytorch") is None
    for other in ("keras", "flax"):
        with pytest.raises(ValueError, match="has no plain average"):
            Convention.PAPER.convert_momentum(None, to=other)
    with pytest.raises(ValueError, match="averages all batches equally"):
        Convention.PYTORCH.convert_momentum(0.1, to="paper")


# Folding


def _moved(norm, rng):
    """Give a BN layer parameters and statistics that would show in any mistake."""
    channels = norm.num_features
    norm.gamma, norm.beta = rng.normal(size=channels), rng.normal(size=channels)
    norm.running_mean, norm.running_var = rng.normal(size=channels), rng.uniform(0.1, 4, size=channels)
    return norm.eval()


def test_folding_a_network_takes_out_every_bn_and_keeps_what_it_computes():
    for model, x in ((inference.trained()[0], X), (inference.trained_cnn(), load_digits(flat=False).test[0])):
        norms = len(list(inference.batch_norms(model)))
        assert norms > 1
        small = fold_batch_norm(model)
        assert not list(inference.batch_norms(small))
        found = inference.folded_against(model, x)
        assert found.layers_folded == found.layers - norms
        assert found.difference < 1e-5
        assert found.disagree == 0


def test_bn_before_a_padded_convolution_does_not_fold():
    """What the chapter's warning says: inside the image it would, at the border it does not, save with that padding."""
    rng = np.random.default_rng(5)
    norm, conv = _moved(BatchNorm(2), rng), Conv2d(2, 3, 3, rng=rng, padding=1)
    x = rng.normal(size=(1, 2, 6, 6))
    y = conv.forward(norm.forward(x))
    scale = norm.gamma / np.sqrt(norm.running_var + norm.eps)
    folded = Conv2d(2, 3, 3, rng=rng, padding=1)
    folded.weight = conv.weight * scale[:, np.newaxis, np.newaxis]
    folded.bias = np.einsum("fcab,c->f", conv.weight, norm.beta - norm.running_mean * scale) + conv.bias
    difference = np.abs(folded.forward(x) - y)
    assert difference[:, :, 1:-1, 1:-1].max() < 1e-12
    assert difference.max() > 0.1
    padded = np.tile((norm.running_mean - norm.beta / scale)[np.newaxis, :, np.newaxis, np.newaxis], (1, 1, 8, 8))
    padded[:, :, 1:-1, 1:-1] = x
    folded.padding = 0
    np.testing.assert_allclose(folded.forward(padded), y, atol=1e-12)


# Figures


def test_chase_draws_what_it_is_given_within_limits_that_do_not_move():
    runs = [inference.chase(w) for w in (0.001, 0.1, 1.0)]
    limits = set()
    for run in runs:
        fig = figures.chase(run)
        above, below = fig.axes
        batch_means, running = above.lines
        assert np.array_equal(batch_means.get_ydata(), run.batch_means)
        assert np.array_equal(running.get_ydata(), run.running_means)
        assert np.array_equal(below.lines[1].get_ydata(), run.accuracy)
        limits.add((*above.get_xlim(), *above.get_ylim(), *below.get_ylim()))
        low, high = above.get_ylim()
        assert low < min(*run.batch_means, *run.running_means) <= max(*run.batch_means, *run.running_means) < high
        assert len(show(fig, alt="-").html) < 30_000
    assert len(limits) == 1


@pytest.mark.parametrize("momentum", [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0])
def test_words_of_the_chase_stand_beside_their_lines_and_on_none(momentum):
    assert covered(figures.chase(inference.chase(momentum))) == []


def test_chase_with_momentum_1_is_the_batch_means():
    run = inference.chase(1.0)
    np.testing.assert_array_equal(run.running_means[1:], run.batch_means)


def test_lag_and_noise_draws_both_sweeps():
    sweeps = [inference.momentum_sweep((0.001, 0.1, 1.0), batch_size=32, epochs=5)] * 2
    above, below = figures.lag_and_noise(sweeps).axes
    assert len(above.lines) == 4
    assert len(below.lines) == 2
    assert np.array_equal(below.lines[0].get_ydata(), sweeps[0].accuracy)


def test_bugs_has_a_row_for_each():
    rows = [("one", 0.9, 0.2), ("other", 0.8, 0.7)]
    (ax,) = figures.bugs(rows).axes
    assert [text.get_text() for text in ax.texts] == ["one", "other"]
    drawn = [tuple(line.get_xdata()) for line in ax.lines if len(line.get_xdata()) == 2]
    assert drawn == [(0.2, 0.9), (0.7, 0.8)]
