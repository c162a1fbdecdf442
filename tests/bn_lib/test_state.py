"""What is saved is what is loaded: every array, its type, and what the layer does with it afterwards."""

import copy
import pickle

import numpy as np
import pytest
import torch

import bn_lib
from bn_lib import SGD, BatchNorm, Conv2d, Dense, Dropout, Flatten, ReLU, Sequential


def rng(seed=0):
    return np.random.default_rng(seed)


def model(seed=0, dtype=np.float64):
    r = rng(seed)
    return Sequential(
        Conv2d(1, 2, 2, rng=r, dtype=dtype),
        BatchNorm(2, dtype=dtype),
        ReLU(),
        Sequential(Flatten(), Dense(8, 3, bias=False, rng=r, dtype=dtype), bn_lib.LayerNorm(3, dtype=dtype)),
    )


X, LABELS = rng(1).normal(size=(6, 1, 3, 3)), np.array([0, 1, 2, 0, 1, 2])


def trained(dtype=np.float64):
    trained = model(dtype=dtype)
    sgd = SGD(trained, 0.1)
    for _ in range(3):
        bn_lib.train_step(trained, sgd, X.astype(dtype), LABELS)
    return trained


NAMES = {
    "0.weight",
    "0.bias",
    "1.gamma",
    "1.beta",
    "1.running_mean",
    "1.running_var",
    "1.num_batches_tracked",
    "3.1.weight",
    "3.2.gamma",
    "3.2.beta",
}


def test_names_are_positions():
    assert model().state_dict().keys() == NAMES
    assert BatchNorm(2).state_dict().keys() == {"gamma", "beta", "running_mean", "running_var", "num_batches_tracked"}
    assert Dropout(0.5, rng=rng()).state_dict() == {}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("as_text", [True, False])
def test_save_and_load(tmp_path, dtype, as_text):
    path = tmp_path / "state.npz"
    path = str(path) if as_text else path
    source, target = trained(dtype), model(seed=9, dtype=dtype)
    source.save(path)
    assert target.load(path) is target
    for key, value in source.state_dict().items():
        loaded = target.state_dict()[key]
        assert (loaded.dtype, loaded.shape) == (value.dtype, value.shape)
        assert np.array_equal(loaded, value), key
    assert int(target.stack[1].num_batches_tracked) == 3
    x = X.astype(dtype)
    assert np.array_equal(target.eval().forward(x), source.eval().forward(x))


def test_the_file_holds_the_state_and_nothing_else(tmp_path):
    """NumPy 2.1 stores an argument that its savez does not know as one more array."""
    trained().save(tmp_path / "state.npz")
    with np.load(tmp_path / "state.npz", allow_pickle=False) as file:
        assert set(file.files) == NAMES


def test_training_goes_on_as_if_it_had_not_stopped(tmp_path):
    once = trained()
    once.save(tmp_path / "state.npz")
    again = model(seed=9).load(tmp_path / "state.npz")
    losses = []
    for network in (once, again):
        sgd = SGD(network, 0.1)
        losses.append([bn_lib.train_step(network, sgd, X, LABELS) for _ in range(3)])
    assert losses[0] == losses[1]


def test_a_state_dict_is_a_copy_both_ways():
    source = trained()
    state = source.state_dict()
    for value in state.values():
        value += 1
    assert all(not np.array_equal(state[key], value) for key, value in source.state_dict().items())
    source.load_state_dict(state)
    for value in state.values():
        value += 1
    assert all(not np.array_equal(state[key], value) for key, value in source.state_dict().items())


def test_a_state_dict_does_not_move_while_training_goes_on():
    """Parameters are replaced, never written into: a reference to an old one stays what it was."""
    source = trained()
    state, weight = source.state_dict(), source.stack[0].weight
    copy = weight.copy()
    bn_lib.train_step(source, SGD(source, 0.1), X, LABELS)
    assert np.array_equal(weight, copy)
    assert not np.array_equal(source.state_dict()["1.running_mean"], state["1.running_mean"])


def test_what_is_loaded_takes_the_type_of_what_was_there():
    layer = BatchNorm(2, dtype=np.float32)
    state = layer.state_dict()
    layer.load_state_dict(
        {
            **state,
            "gamma": np.array([0.1, 3.0]),
            "running_mean": np.array([1, 2]),
            "running_var": np.array([1, 2], np.float32),
            "num_batches_tracked": np.array(7, np.int32),
        }
    )
    assert layer.gamma.dtype == np.float32
    assert np.array_equal(layer.gamma, np.array([0.1, 3.0], np.float32))
    assert layer.running_mean.dtype == layer.running_var.dtype == np.float64
    assert layer.num_batches_tracked.dtype == np.int64
    assert int(layer.num_batches_tracked) == 7


def test_modes_and_settings_are_not_part_of_the_state():
    layer = BatchNorm(2, eps=0.5, momentum=0.9).eval()
    layer.load_state_dict(BatchNorm(2).state_dict())
    assert (layer.eps, layer.momentum, layer.training) == (0.5, 0.9, False)


# Copies and pickles

COPIES = {"deepcopy": copy.deepcopy, "pickle": lambda thing: pickle.loads(pickle.dumps(thing))}


@pytest.mark.parametrize("how", COPIES)
@pytest.mark.parametrize("training", [True, False])
def test_a_copy_holds_what_the_layer_is_and_not_its_last_pass(how, training):
    source = trained()
    source.train() if training else source.eval()
    small = len(pickle.dumps(source))
    source.forward(np.tile(X, (500, 1, 1, 1)))
    assert len(pickle.dumps(source)) == small < 20_000
    twin = COPIES[how](source)
    with pytest.raises(RuntimeError, match="before forward"):
        twin.backward(np.ones((3000, 3)))
    for layer, other in zip(source.layers(), twin.layers(), strict=True):
        assert layer.training == other.training == training
        assert all(np.array_equal(layer.grads[name], other.grads[name]) for name in layer.parameter_names)
    state = twin.state_dict()
    assert all(np.array_equal(value, state[key]) for key, value in source.state_dict().items())
    assert np.array_equal(source.eval().forward(X), twin.eval().forward(X))


def test_a_shallow_copy_of_a_layer_has_gradients_of_its_own():
    layer = Dense(2, 2, rng=rng())
    layer.forward(np.ones((1, 2)))
    layer.backward(np.ones((1, 2)))
    before = layer.grads["weight"]
    twin = copy.copy(layer)
    twin.forward(5 * np.ones((1, 2)))
    twin.backward(np.ones((1, 2)))
    assert layer.grads["weight"] is before


@pytest.mark.parametrize("how", COPIES)
def test_a_copied_network_still_shares_what_it_shared(how):
    dense = Dense(3, 3, rng=rng())
    twin = COPIES[how](Sequential(dense, ReLU(), Sequential(dense)))
    assert twin.stack[0] is twin.stack[2].stack[0] is not dense
    x = rng(1).normal(size=(4, 3))
    twin.forward(x)
    twin.backward(x)
    SGD(twin, 0.1).step()
    assert np.array_equal(twin.state_dict()["0.weight"], twin.state_dict()["2.0.weight"])


def test_a_shared_layer_is_saved_under_both_names_and_loaded_from_both(tmp_path):
    def tied(seed):
        dense = Dense(3, 3, rng=rng(seed))
        return Sequential(dense, ReLU(), dense)

    source, target = tied(0), tied(1)
    source.save(tmp_path / "tied.npz")
    target.load(tmp_path / "tied.npz")
    assert np.array_equal(source.stack[0].weight, target.stack[0].weight)
    state = target.state_dict()
    state["2.bias"] = state["2.bias"] + 1
    with pytest.raises(ValueError, match=r"state\['2.bias'\] differs from state\['0.bias'\]"):
        target.load_state_dict(state)
    assert np.array_equal(source.stack[0].weight, target.stack[0].weight)


def test_what_a_type_can_hold_is_loaded():
    layer = BatchNorm(2, dtype=np.float16)
    state = layer.state_dict()
    layer.load_state_dict(
        {
            **state,
            "gamma": np.array([65_519.0, 1e-30]),  # rounded to the largest number of float16, and to 0
            "beta": np.array([np.inf, np.nan]),  # as a network that diverged has them
            "running_var": np.array([0.0, 1e300]),
            "num_batches_tracked": np.array(2**63 - 1, np.uint64),
        }
    )
    assert np.array_equal(layer.gamma, np.array([65_504, 0], np.float16))
    assert np.array_equal(layer.beta, np.array([np.inf, np.nan], np.float16), equal_nan=True)
    assert int(layer.num_batches_tracked) == 2**63 - 1
    layer.load_state_dict(state)  # and back


def test_a_nan_stays_until_the_statistics_are_reset():
    """As in PyTorch. Nothing is computed with them meanwhile, and the other channels go on."""
    rng = np.random.default_rng(0)
    layer = BatchNorm(3)
    x = rng.normal(size=(8, 3))
    bad = x.copy()
    bad[2, 1] = np.nan
    for batch in (x, bad, x):
        layer.forward(batch)
    assert np.array_equal(np.isnan(layer.running_mean), [False, True, False])
    with pytest.raises(
        ValueError, match=r"running_var holds nan.*reset_running_statistics\(\) forgets a batch with NaN"
    ):
        layer.eval().forward(x)
    layer.train().reset_running_statistics()
    layer.forward(x)
    assert np.all(np.isfinite(layer.eval().forward(x)))


# The names of others


def convolutional(seed=0):
    r = rng(seed)
    network = Sequential(
        Conv2d(2, 3, 3, rng=r), BatchNorm(3), ReLU(), Conv2d(3, 4, 2, bias=False, rng=r), BatchNorm(4, affine=False),
        bn_lib.GroupNorm(2, 4), Flatten(), Dense(4 * 2 * 2, 5, rng=r),
    )  # fmt: skip
    for _ in range(2):
        network.forward(rng(seed + 1).normal(size=(3, 2, 5, 5)))
    for layer in network:
        for name in layer.parameter_names:
            setattr(layer, name, rng(seed + 2).normal(size=getattr(layer, name).shape))
    return network


def test_pytorch_takes_our_state_and_we_take_theirs():
    ours = convolutional()
    theirs = torch.nn.Sequential(
        torch.nn.Conv2d(2, 3, 3), torch.nn.BatchNorm2d(3), torch.nn.ReLU(), torch.nn.Conv2d(3, 4, 2, bias=False),
        torch.nn.BatchNorm2d(4, affine=False), torch.nn.GroupNorm(2, 4), torch.nn.Flatten(), torch.nn.Linear(16, 5),
    ).double()  # fmt: skip
    state = ours.state_dict(names="torch")
    theirs.load_state_dict({key: torch.from_numpy(np.array(value)) for key, value in state.items()}, strict=True)
    assert list(state) == list(theirs.state_dict())
    x = rng(7).normal(size=(3, 2, 5, 5))
    y = theirs.eval()(torch.tensor(x)).detach().numpy()
    assert np.allclose(ours.eval()(x), y, rtol=1e-10, atol=1e-12)
    other = convolutional(seed=5)
    other.load_state_dict({key: value.numpy() for key, value in theirs.state_dict().items()}, names="PyTorch")
    assert np.array_equal(other.eval()(x), ours(x))


@pytest.mark.parametrize("names", ["pytorch", "torch", "keras", "flax"])
def test_what_is_written_in_anothers_names_is_read(names):
    source, target = convolutional(), convolutional(seed=5)
    counts = [int(layer.num_batches_tracked) for layer in target if isinstance(layer, BatchNorm)]
    written = source.state_dict(names=names)
    target.load_state_dict(written, names=names)
    for key, value in source.state_dict().items():
        loaded = target.state_dict()[key]
        assert np.array_equal(loaded, value), key
        assert loaded.flags.c_contiguous
    if names in ("keras", "flax"):  # they do not count batches
        assert counts == [int(layer.num_batches_tracked) for layer in target if isinstance(layer, BatchNorm)]
    assert not np.shares_memory(target[0].weight, source[0].weight)


def test_the_names_and_layouts_of_keras():
    """keras.layers.BatchNormalization, Dense and Conv2D: `[v.name for v in layer.weights]`, and their shapes."""
    shapes = {key: value.shape for key, value in convolutional().state_dict(names="keras").items()}
    assert shapes == {
        "0.kernel": (3, 3, 2, 3), "0.bias": (3,),
        "1.gamma": (3,), "1.beta": (3,), "1.moving_mean": (3,), "1.moving_variance": (3,),
        "3.kernel": (2, 2, 3, 4),
        "4.moving_mean": (4,), "4.moving_variance": (4,),
        "5.gamma": (4,), "5.beta": (4,),
        "7.kernel": (16, 5), "7.bias": (5,),
    }  # fmt: skip
    assert list(bn_lib.RMSNorm(3).state_dict("keras")) == ["scale"]  # keras.layers.RMSNormalization
    assert list(BatchNorm(3).state_dict("keras")) == ["gamma", "beta", "moving_mean", "moving_variance"]


def test_the_variables_of_flax():
    """flax.linen: collections, then layers, then names; `model.apply(variables, x)` takes them."""
    variables = convolutional().state_dict(names="flax")
    assert {key: {name: set(arrays) for name, arrays in layers.items()} for key, layers in variables.items()} == {
        "params": {
            "layers_0": {"kernel", "bias"}, "layers_1": {"scale", "bias"}, "layers_3": {"kernel"},
            "layers_5": {"scale", "bias"}, "layers_7": {"kernel", "bias"},
        },
        "batch_stats": {"layers_1": {"mean", "var"}, "layers_4": {"mean", "var"}},
    }  # fmt: skip
    assert variables["params"]["layers_0"]["kernel"].shape == (3, 3, 2, 3)
    alone = BatchNorm(3).state_dict("flax")
    assert {key: set(arrays) for key, arrays in alone.items()} == {
        "params": {"scale", "bias"},
        "batch_stats": {"mean", "var"},
    }


def test_a_kernel_is_turned_and_not_reshaped():
    layer = Conv2d(2, 3, 2, rng=rng())
    kernel = layer.state_dict("keras")["kernel"]
    for f, c, a, b in np.ndindex(layer.weight.shape):
        assert kernel[a, b, c, f] == layer.weight[f, c, a, b]
