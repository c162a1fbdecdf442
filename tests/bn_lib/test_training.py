"""The training loop, the optimizer's fine print, and the recorder that looks on."""

import numpy as np
import pytest

import bn_lib
from bn_lib import SGD, BatchNorm, Dense, Dropout, Recorder, ReLU, Sequential, Sigmoid
from bn_lib.layer import Layer


def rng(seed=0):
    return np.random.default_rng(seed)


def blobs(n=60, seed=0):
    """Three clusters, far apart."""
    labels = np.arange(n) % 3
    centres = np.array([[4.0, 0], [-4, 4], [-4, -4]])
    return centres[labels] + 0.3 * rng(seed).normal(size=(n, 2)), labels


def network(seed=0):
    r = rng(seed)
    return Sequential(Dense(2, 8, rng=r), BatchNorm(8), ReLU(), Dropout(0.1, rng=r), Dense(8, 3, rng=r))


def run(model=None, *, seed=0, **options):
    model = model or network()
    x, labels = blobs()
    options = {"epochs": 3, "batch_size": 16, "rng": rng(seed), "progress": False, **options}
    return model, bn_lib.fit(model, SGD(model, 0.1, momentum=0.9), x, labels, **options)


def same(a, b):
    return all(np.array_equal(value, b.state_dict()[key]) for key, value in a.state_dict().items())


# fit


def test_a_separable_problem_is_learned():
    x, labels = blobs(seed=1)
    model, history = run(epochs=15, validation=(x, labels))
    assert history.accuracy[-1] == 1.0
    assert bn_lib.accuracy(model, x, labels) == 1.0
    assert history.loss[-1] < 0.1 < history.loss[0]


def test_the_seed_decides_everything():
    (one, first), (two, second), (three, third) = run(), run(), run(seed=1)
    assert first == second
    assert same(one, two)
    assert first != third
    assert not same(one, three)


def test_every_row_at_most_once_an_epoch_and_the_rest_sits_out():
    """60 rows in batches of 16: three steps, 12 rows left over, and not the same 12 every time."""

    class Look(Layer):
        def __init__(self):
            super().__init__()
            self.seen = []

        def forward(self, x):
            self.seen.append([tuple(row) for row in x])
            return x

        def backward(self, dy):
            return dy

    look = Look()
    model, history = run(Sequential(look, *network().stack), epochs=4)
    assert len(history.loss) == len(look.seen) == 4 * 3
    assert {len(batch) for batch in look.seen} == {16}
    x, _ = blobs()
    left_out = []
    for epoch in range(4):
        rows = [row for batch in look.seen[3 * epoch : 3 * epoch + 3] for row in batch]
        assert len(set(rows)) == 48
        assert set(rows) <= {tuple(row) for row in x}
        left_out.append({tuple(row) for row in x} - set(rows))
    assert left_out[0] != left_out[1]
    assert int(model.stack[2].num_batches_tracked) == 12


def test_labels_stay_with_their_rows():
    """A shuffle that lost them would leave the loss at that of guessing."""
    _, history = run(epochs=20)
    assert np.mean(history.loss[-3:]) < 0.2 < np.log(3)


def test_history_and_callbacks_count_steps_from_one():
    steps = []
    model, history = run(after_step=steps.append, validation=blobs(30, seed=1))
    assert steps == list(range(1, 10))
    assert len(history.loss) == 9
    assert len(history.accuracy) == 3
    assert all(isinstance(value, float) for value in history.loss + history.accuracy)
    assert model.training
    assert run()[1].accuracy == []


def test_validation_changes_nothing_that_training_sees():
    (one, first), (two, second) = run(), run(validation=blobs(30, seed=1))
    assert first.loss == second.loss
    assert same(one, two)


def test_a_whole_batch_is_a_batch():
    _, history = run(batch_size=60)
    assert len(history.loss) == 3


def test_the_loss_in_the_history_is_that_before_the_update():
    x, labels = blobs()
    model, again = network(), network()
    loss, _ = bn_lib.softmax_cross_entropy(again.forward(x), labels)
    assert bn_lib.train_step(model, SGD(model, 0.1), x, labels) == loss


def test_the_progress_bar_counts_the_steps(capsys):
    run(progress=True)
    assert "9/9" in capsys.readouterr().err
    run(progress=False)
    assert capsys.readouterr().err == ""


# accuracy


def test_accuracy_counts():
    identity = Sequential()
    assert bn_lib.accuracy(identity, np.eye(4), np.array([0, 1, 2, 0])) == 0.75
    assert bn_lib.accuracy(identity, np.eye(4), np.array([9, 9, 9, 9])) == 0.0  # a class the model does not know
    assert type(bn_lib.accuracy(identity, np.eye(4), np.arange(4))) is float


def test_accuracy_is_measured_in_inference_mode_and_leaves_every_mode_as_it_was():
    model = network()
    model.train()
    model.stack[1].eval()  # a layer frozen by hand stays frozen
    x, labels = blobs()
    modes = []
    model.watchers.append(lambda kind, i, layer, array: modes.append(layer.training))
    bn_lib.accuracy(model, x, labels)
    assert modes == [False] * 5
    assert [layer.training for layer in model.stack] == [True, False, True, True, True]
    assert model.training
    assert not bn_lib.accuracy(model.eval(), x, labels) > 1
    assert not model.training


# SGD


def test_gradient_descent_by_hand():
    model = Dense(1, 1, rng=rng())
    model.weight, model.bias = np.array([[2.0]]), np.array([1.0])
    sgd = SGD(model, 0.5, momentum=0.5, weight_decay=0.25)
    model.grads = {"weight": np.array([[1.0]]), "bias": np.array([4.0])}
    sgd.step()  # g = 1 + 0.25 * 2 = 1.5; v = 1.5; w = 2 - 0.75       g = 4.25; b = 1 - 2.125
    assert (model.weight[0, 0], model.bias[0]) == (1.25, -1.125)
    sgd.learning_rate = 1.0
    sgd.step()  # g = 1 + 0.25 * 1.25 = 1.3125; v = 0.75 + 1.3125; w = 1.25 - 2.0625
    assert model.weight[0, 0] == -0.8125


def test_two_optimizers_do_not_share_momentum():
    models = [network(), network()]
    x, labels = blobs()
    for model in models:
        sgd = SGD(model, 0.1, momentum=0.9)
        bn_lib.train_step(model, sgd, x, labels)
        bn_lib.train_step(model, sgd, x, labels)
    assert same(*models)


def test_parameters_keep_their_type():
    layer = BatchNorm(2, dtype=np.float32)
    layer.forward(rng().normal(size=(4, 2)))
    layer.backward(rng().normal(size=(4, 2)))
    SGD(layer, 0.1, momentum=0.9, weight_decay=0.1).step()
    assert layer.gamma.dtype == np.float32
    assert not np.array_equal(layer.gamma, np.ones(2))
    assert np.array_equal(layer.running_var, layer.state_dict()["running_var"])  # a buffer, and not trained


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("gradient", [np.float16, np.float32, np.float64])
def test_a_parameter_is_updated_in_its_own_precision_whatever_the_gradients(dtype, gradient):
    layer = Dense(5, 4, rng=rng(), dtype=dtype)
    before = layer.weight.astype(np.float64)
    layer.grads = {"weight": rng(1).normal(size=(5, 4)).astype(gradient), "bias": np.zeros(4, gradient)}
    expected = before - 0.1 * layer.grads["weight"].astype(np.float64)
    SGD(layer, 0.1).step()
    assert layer.weight.dtype == layer.bias.dtype == dtype
    eps = max(np.finfo(dtype).eps, np.finfo(gradient).eps)
    assert np.allclose(layer.weight, expected, rtol=0, atol=2 * eps)


def test_an_update_leaves_the_arrays_that_others_hold():
    """Someone keeps model.weight to compare; the cache of a forward pass keeps gamma."""
    model = network()
    x, labels = blobs()
    sgd = SGD(model, 0.1, momentum=0.9, weight_decay=0.1)
    for _ in range(3):
        held = [getattr(layer, name) for layer in model.layers() for name in layer.parameter_names]
        copies = [array.copy() for array in held]
        bn_lib.train_step(model, sgd, x, labels)
        gradients = [layer.grads[name].copy() for layer in model.layers() for name in layer.parameter_names]
        sgd.step()
        assert all(np.array_equal(array, copy) for array, copy in zip(held, copies, strict=True))
        after = [layer.grads[name] for layer in model.layers() for name in layer.parameter_names]
        assert all(np.array_equal(array, copy) for array, copy in zip(after, gradients, strict=True))


def test_a_step_of_zero_changes_nothing():
    model, before = network(), network()
    x, _ = blobs()
    model.forward(x)
    before.forward(x)
    model.backward(np.ones((60, 3)))
    SGD(model, 0.0, momentum=0.5, weight_decay=0.5).step()
    assert same(model, before)


# Recorder


def test_the_recorder_keeps_percentiles_of_outputs_and_gradients():
    model = network()
    x, labels = blobs()
    outputs, gradients = [], []

    def note(kind, i, layer, array):
        if i == 1:
            (outputs if kind == "activation" else gradients).append(array)

    model.watchers.append(note)
    sgd = SGD(model, 0.1)
    with Recorder(model) as recorder:
        for _ in range(3):
            bn_lib.train_step(model, sgd, x, labels)
    assert recorder.steps == [0, 1, 2]
    assert recorder.activations.keys() == recorder.gradients.keys() == set(range(5))
    for k in range(3):
        assert np.array_equal(recorder.activations[1][k], np.percentile(outputs[k], [15, 50, 85]))
        assert np.array_equal(recorder.gradients[1][k], np.percentile(gradients[k], [15, 50, 85]))


def test_the_recorder_skips_evaluation_and_stops_on_leaving():
    model = network()
    x, labels = blobs()
    with Recorder(model) as recorder:
        bn_lib.accuracy(model, x, labels)
        assert recorder.steps == []
        assert recorder.activations == {}
        run(model, epochs=1, validation=(x, labels))
        assert recorder.steps == [0, 1, 2]
    assert model.watchers == []
    run(model, epochs=1)
    assert recorder.steps == [0, 1, 2]
    assert all(len(kept) == 3 for kept in (*recorder.activations.values(), *recorder.gradients.values()))


def test_the_recorder_stops_when_the_training_fails():
    model = network()
    with pytest.raises(ValueError, match="labels"), Recorder(model):
        bn_lib.train_step(model, SGD(model, 0.1), blobs()[0], np.full(60, 7))
    assert model.watchers == []


@pytest.mark.parametrize(("every", "steps"), [(1, [0, 1, 2, 3, 4, 5]), (2, [0, 2, 4]), (4, [0, 4]), (9, [0])])
def test_the_recorder_records_every_so_many_steps(every, steps):
    model = network()
    with Recorder(model, every=every, only=Dense, summary=np.mean) as recorder:
        run(model, epochs=2)
    assert recorder.steps == steps
    assert recorder.activations.keys() == recorder.gradients.keys() == {0, 4}
    assert len(recorder.activations[0]) == len(recorder.gradients[4]) == len(steps)


def test_the_recorder_watches_the_layers_it_is_told_to():
    r = rng()
    model = Sequential(Dense(2, 3, rng=r), Sigmoid(), Dense(3, 3, rng=r), ReLU())
    with Recorder(model, only=(Sigmoid, ReLU), summary=lambda values: values.shape) as recorder:
        model.forward(np.ones((4, 2)))
        model.backward(np.ones((4, 3)))
    assert recorder.activations == {1: [(4, 3)], 3: [(4, 3)]}
    assert recorder.gradients == {1: [(4, 3)], 3: [(4, 3)]}


def test_a_recorder_changes_nothing():
    (one, first) = run()
    model = network()
    with Recorder(model):
        two, second = run(model)
    assert first == second
    assert same(one, two)
