"""The training loop, the optimizer's fine print, and the recorder that looks on."""

import copy
import pickle

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


def modes(model):
    return [layer.training for layer in model.layers()]


def test_what_was_frozen_stays_frozen():
    model = network()
    model.stack += (Sequential(BatchNorm(3).eval(), Dropout(0.1, rng=rng())),)
    model.stack[1].eval()
    before, statistics = modes(model), model.stack[1].running_mean
    seen = []
    model.watchers.append(lambda kind, i, layer, array: seen.append(modes(model)) if model.training else None)
    run(model, validation=blobs(30, seed=1), after_step=lambda step: bn_lib.accuracy(model, *blobs()))
    assert all(each == before for each in seen)
    assert modes(model) == before
    assert model.stack[1].running_mean is statistics
    assert int(model.stack[5].stack[0].num_batches_tracked) == 0
    assert not np.array_equal(model.stack[1].gamma, np.ones(8))  # a frozen layer's parameters are still trained


def test_frozen_layers_survive_fit_and_train():
    """Where `eval()` by hand holds statistics only, `freeze()` holds parameters too, and no `train()` undoes it."""
    model = network()
    x, labels = blobs()
    for _ in range(3):
        model.forward(x)
    before = model.state_dict()
    assert model[:4].freeze()[0] is model[0]
    sgd = SGD(model, 0.1, momentum=0.9, weight_decay=0.1)
    run(model.train(), validation=blobs(30, seed=1))
    for _ in range(2):
        bn_lib.train_step(model.train(), sgd, x, labels)
    after = model.state_dict()
    assert {key for key in before if not np.array_equal(before[key], after[key])} == {"4.weight", "4.bias"}
    assert [layer.frozen for layer in model] == [True] * 4 + [False]
    assert all(layer.frozen for layer in copy.deepcopy(model)[:4])
    assert model[1].training
    model.unfreeze()
    bn_lib.train_step(model, sgd, x, labels)
    assert {key for key in after if np.array_equal(after[key], model.state_dict()[key])} == set()


@pytest.mark.parametrize("build", [BatchNorm, bn_lib.BatchRenorm, lambda n: bn_lib.GhostBatchNorm(n, 2)])
def test_a_frozen_batch_norm_is_one_in_inference(build):
    layer = build(3)
    x, dy = rng().normal(size=(2, 6, 3))
    layer.forward(3 + x)
    layer.freeze().train()
    y, dx = layer(x), layer.backward(dy)
    statistics = layer.running_mean
    assert np.array_equal(layer.eval()(x), y)
    assert np.array_equal(layer.backward(dy), dx)
    layer.train()(x[:1])  # one row will do
    assert layer.running_mean is statistics
    with pytest.raises(ValueError, match="running statistics may move"):
        bn_lib.recompute_statistics(layer, [x])
    layer.unfreeze()(x)
    assert layer.running_mean is not statistics


def test_dropout_drops_also_where_it_is_frozen():
    layer = Dropout(0.5, rng=rng()).freeze()
    assert np.any(layer(np.ones((4, 4))) == 0)


def test_a_model_in_inference_mode_is_trained_in_training_mode_and_given_back_as_it_was():
    (trained, first), (model, second) = run(), run(network().eval())
    assert first == second
    assert same(trained, model)
    assert not any(modes(model))


@pytest.mark.parametrize("when", ["after_step", "validation"])
@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
@pytest.mark.parametrize("training", [True, False])
def test_modes_are_as_before_when_the_training_is_interrupted(when, error, training):
    model = network()
    model.train() if training else model.eval()
    if training:
        model.stack[1].eval()
    before = modes(model)

    def stop(*_):
        raise error("stop")

    def stop_in_inference(kind, i, layer, array):
        if i == 2 and not layer.training:
            stop()

    if when == "validation":
        model.watchers.append(stop_in_inference)
    with pytest.raises(error, match="stop"):
        run(model, **({"after_step": stop} if when == "after_step" else {"validation": blobs(30)}))
    assert modes(model) == before


def test_a_callback_that_forgets_training_mode_does_not_stop_the_training():
    """And the layers that were frozen before are frozen again after it."""
    one, two = network(), network()
    for model in (one, two):
        model.stack[1].eval()
    _, first = run(one)
    _, second = run(two, after_step=lambda step: two.eval())
    assert first == second
    assert same(one, two)


def test_an_optimizer_of_another_model_is_refused():
    """That of a copy would go on with gradients of long ago."""
    model, x, labels = network(), *blobs()
    sgd = SGD(model, 0.1)
    bn_lib.train_step(model, sgd, x, labels)
    for other in (copy.deepcopy(model), network()):
        before = other.state_dict()
        with pytest.raises(ValueError, match="optimizer updates a Dense that is not in model"):
            bn_lib.train_step(other, sgd, x, labels)
        with pytest.raises(ValueError, match="optimizer updates a Dense that is not in model"):
            bn_lib.fit(other, sgd, x, labels, epochs=1, batch_size=16, rng=rng(), progress=False)
        assert all(np.array_equal(value, before[key]) for key, value in other.state_dict().items())
    weight = model.stack[0].weight
    bn_lib.train_step(model, SGD(Sequential(*model.stack[4:]), 0.1), x, labels)  # a part of it is trained alone
    assert model.stack[0].weight is weight


def test_a_step_that_raises_changes_nothing():
    model, x, labels = network(), *blobs()
    sgd = SGD(model, 0.1, momentum=0.9)
    bn_lib.train_step(model, sgd, x, labels)
    before, velocities = model.state_dict(), [velocity.copy() for _, _, velocity in sgd._velocity]

    class Fails(SGD):
        def step(self):
            raise RuntimeError("no step")

    with pytest.raises(RuntimeError, match="no step"):
        bn_lib.train_step(model, Fails(model, 0.1), x, labels)
    for gradient in (np.ones(4), np.ones((3, 3)), np.float64(1), 1.0, None):
        model.stack[4].grads["bias"] = gradient
        with pytest.raises(ValueError, match=r"Dense.grads\['bias'\] .*; expected an array of shape \(3,\)"):
            sgd.step()
    assert all(np.array_equal(value, before[key]) for key, value in model.state_dict().items())
    assert all(np.array_equal(v, old) for (_, _, v), old in zip(sgd._velocity, velocities, strict=True))


def test_a_user_who_wants_to_hear_of_every_floating_point_error_can_train():
    """The softmax of a sure network underflows, as it should."""
    model, (x, labels) = Sequential(Dense(2, 3, rng=rng(), dtype=np.float32)), blobs()
    model.stack[0].weight = 100 * model.stack[0].weight
    with np.errstate(all="raise"):
        bn_lib.fit(
            model, SGD(model, 0.1), x.astype(np.float32), labels, epochs=2, batch_size=16, rng=rng(), progress=False
        )
        bn_lib.accuracy(model, x, labels)
        loss, dlogits = bn_lib.softmax_cross_entropy(np.array([[0.0, -1000.0]]), np.array([0]))
    assert loss == 0
    assert not dlogits.any()


# Gradients of several passes


def test_parts_of_a_mini_batch_give_its_gradient():
    """Without BN, cutting is memory and nothing else. 60 rows into 7 parts: unequal ones weigh what they hold."""
    r = rng(3)
    whole, cut = (Sequential(Dense(2, 8, rng=rng()), Sigmoid(), Dense(8, 3, rng=rng(1))) for _ in range(2))
    x, labels = blobs()
    labels = r.permutation(labels)
    for accumulate in (7, 60, 1):
        losses = [
            bn_lib.train_step(model, SGD(model, 0.5, weight_decay=0.1), x, labels, accumulate=parts)
            for model, parts in ((whole, 1), (cut, accumulate))
        ]
        assert np.isclose(*losses, rtol=1e-12)
        for key, value in whole.state_dict().items():
            assert np.allclose(cut.state_dict()[key], value, rtol=1e-10, atol=1e-14), key


def test_batch_norm_takes_the_statistics_of_each_part():
    one, other, (x, labels) = network(), network(), blobs()
    bn_lib.train_step(one, SGD(one, 0.1), x, labels, accumulate=3)
    total, loss = {}, 0.0
    for rows in np.split(np.arange(60), 3):
        part, dlogits = bn_lib.softmax_cross_entropy(other.forward(x[rows]), labels[rows])
        other.backward(dlogits / 3)
        loss += part / 3
        for i, layer in enumerate(other):
            for name, g in layer.grads.items():
                total[i, name] = total.get((i, name), 0) + g
    for i, name in total:
        assert np.allclose(one[i].grads[name], total[i, name], rtol=1e-12), (i, name)
    assert int(one[1].num_batches_tracked) == 3
    assert np.array_equal(one[1].running_mean, other[1].running_mean)


def test_fit_takes_a_step_every_so_many_mini_batches():
    (one, first), (two, second) = run(batch_size=5, accumulate=4), run(batch_size=20)
    assert len(first.loss) == len(second.loss) == 9
    assert int(one[1].num_batches_tracked) == 36
    assert int(two[1].num_batches_tracked) == 9
    model = Sequential(Dense(2, 3, rng=rng()))
    again = Sequential(Dense(2, 3, rng=rng()))
    _, first = run(model, batch_size=5, accumulate=4)
    _, second = run(again, batch_size=20)
    assert np.allclose(first.loss, second.loss, rtol=1e-10)
    assert np.allclose(model[0].weight, again[0].weight, rtol=1e-10)


def test_gradients_add_up_inside_and_start_afresh():
    dense, extra = Dense(3, 3, rng=rng()), Dense(3, 3, rng=rng(1))
    model = Sequential(dense, ReLU(), Sequential(dense, extra), BatchNorm(3))  # a layer in two places
    x, dy = rng(2).normal(size=(2, 4, 3))

    def passes(times, go_back):
        for i in range(times):
            model.forward(x + i)
            go_back(dy)
        return {(id(each), name): g for each in model.layers() for name, g in each.grads.items()}

    alone = []
    for i in range(2):
        model.forward(x + i)
        model.backward(dy)
        alone.append({(id(each), name): g for each in model.layers() for name, g in each.grads.items()})
    model.backward(5 * dy)  # forgotten
    for go_back in (lambda dy: model.backward(dy), lambda dy: model.fill_grads(dy)):
        with bn_lib.accumulate_gradients(model):
            found = passes(2, go_back)
            _, gradient = bn_lib.loss_and_gradient(model, x, np.arange(4) % 3)  # only looks on
            assert passes(0, go_back).keys() == found.keys()
            assert all(found[key] is g for key, g in passes(0, go_back).items())
        assert found.keys() == alone[0].keys()
        for key, g in found.items():
            assert np.allclose(g, alone[0][key] + alone[1][key], rtol=1e-12), key
    assert np.array_equal(bn_lib.loss_and_gradient(model, x, np.arange(4) % 3)[1], gradient)
    assert passes(1, model.backward).keys() == alone[0].keys()
    assert all(np.array_equal(g, alone[0][key]) for key, g in passes(1, model.backward).items())  # replaced again


def test_a_pass_back_that_raises_adds_nothing():
    model = network()
    x, _ = blobs()
    with bn_lib.accumulate_gradients(model):
        model.forward(x)
        model.backward(np.ones((60, 3)))
        before = [dict(layer.grads) for layer in model]
        with pytest.raises(ValueError, match="dy has shape"):
            model.backward(np.ones((60, 4)))
        assert all(layer.grads == held for layer, held in zip(model, before, strict=True))
        with pytest.raises(RuntimeError, match="accumulated already"), bn_lib.accumulate_gradients(model):
            pass
    assert not {"backward", "fill_grads"} & vars(model).keys()


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


def test_accuracy_does_not_come_between_forward_and_backward():
    """Nor does it leave the data that it was measured on behind, in a pickle or in memory."""
    one, two, (x, labels) = network(), network(), blobs()
    for model in (one, two):
        _, dlogits = bn_lib.softmax_cross_entropy(model.forward(x), labels)
        if model is two:
            bn_lib.accuracy(model, *blobs(seed=1))
        model.backward(dlogits)
    for layer, other in zip(one.layers(), two.layers(), strict=True):
        assert all(np.array_equal(layer.grads[name], other.grads[name]) for name in layer.parameter_names)
    fresh = network()
    bn_lib.accuracy(fresh, x, labels)
    with pytest.raises(RuntimeError, match="before forward"):
        fresh.backward(dlogits)


@pytest.mark.parametrize("shape", [(4,), (4, 3, 2), (3, 4)])
def test_accuracy_refuses_what_are_no_logits(shape):
    class Constant(Layer):
        def forward(self, x):
            return np.zeros(shape)

    with pytest.raises(ValueError, match=r"logits has shape .*expected \(4, classes\)"):
        bn_lib.accuracy(Constant(), np.ones((4, 2)), np.zeros(4, int))


# SGD


def by_hand(**options):
    """One parameter at 0 with the gradient 1 for ever, a step of 1 and a momentum of 0.5: -1, -2.5, -4.25."""
    model = Dense(1, 1, bias=False, rng=rng())
    model.weight, model.grads = np.zeros((1, 1)), {"weight": np.ones((1, 1))}
    return model, SGD(model, 1.0, momentum=0.5, **options)


@pytest.mark.parametrize("how", [copy.deepcopy, lambda thing: pickle.loads(pickle.dumps(thing))])
def test_a_copy_of_an_optimizer_goes_on_as_the_optimizer_does(how):
    model, sgd = by_hand()
    sgd.step()
    twin_model, twin = how((model, sgd))
    alone = how(sgd)
    for optimizer in (sgd, twin, alone):
        optimizer.step()
    assert twin.model is twin_model is not model
    assert model.weight == twin_model.weight == alone.model.weight == -2.5
    sgd.step()
    assert (model.weight, twin_model.weight) == (-4.25, -2.5)


def test_groups_have_settings_of_their_own():
    model = network()
    sgd = SGD(
        model, 0.1, momentum=0.5, weight_decay=0.25,
        groups=[
            {"names": ("gamma", "beta"), "weight_decay": 0.0},
            {"layers": model[4], "names": "bias", "learning_rate": 1.0, "momentum": 0.0},
            {"layers": (model[0], model[4]), "learning_rate": 0.01},
            {"learning_rate": 9.0},
        ],
    )  # fmt: skip
    theirs = {
        "0.weight": (0.01, 0.5, 0.25), "0.bias": (0.01, 0.5, 0.25), "1.gamma": (0.1, 0.5, 0.0),
        "1.beta": (0.1, 0.5, 0.0), "4.weight": (0.01, 0.5, 0.25), "4.bias": (1.0, 0.0, 0.25),
    }  # fmt: skip
    velocity = dict.fromkeys(theirs, 0.0)
    for step in range(3):
        before = model.state_dict()
        model.forward(blobs()[0])
        model.backward(rng(step).normal(size=(60, 3)))
        sgd.step()
        after = model.state_dict()
        for key, (rate, momentum, decay) in theirs.items():
            i, _, name = key.partition(".")
            velocity[key] = momentum * velocity[key] + model[int(i)].grads[name] + decay * before[key]
            assert np.allclose(after[key], before[key] - rate * velocity[key], rtol=1e-12, atol=1e-15), key
    twin_model, twin = copy.deepcopy((model, sgd))
    assert twin.groups[1]["layers"] is twin_model[4]
    assert pickle.loads(pickle.dumps(sgd)).groups[0] == sgd.groups[0]


def test_a_copied_training_goes_on_as_if_it_had_not_been_copied():
    model = network()
    sgd, (x, labels) = SGD(model, 0.1, momentum=0.9), blobs()
    bn_lib.train_step(model, sgd, x, labels)
    other, other_sgd = copy.deepcopy((model, sgd))
    losses = [[bn_lib.train_step(m, s, x, labels) for _ in range(3)] for m, s in ((model, sgd), (other, other_sgd))]
    assert losses[0] == losses[1]
    assert same(model, other)


def test_a_layer_that_takes_anothers_place_has_no_velocity():
    """Not even where it gets the old one's address, which the optimizer holds."""
    first, _ = by_hand()
    model = Sequential(first)
    sgd = SGD(model, 1.0, momentum=0.5)
    sgd.step()
    address = id(first)
    del first
    model.stack = ()
    new, _ = by_hand()
    assert id(new) != address
    model.stack = (new,)
    sgd.step()
    assert new.weight == -1


@pytest.mark.parametrize("momentum", [0.0, 0.5])
def test_a_layer_in_two_places_is_updated_once(momentum):
    layer, _ = by_hand()
    model = Sequential(layer, Sequential(ReLU(), layer))
    sgd = SGD(model, 1.0, momentum=momentum)
    sgd.step()
    assert layer.weight == -1
    sgd.step()
    assert layer.weight == -2 - momentum


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
