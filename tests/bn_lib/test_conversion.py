"""Networks made from those of PyTorch and Keras, and the reverse, compute the same and go on in the same way."""

import keras
import numpy as np
import pytest
import torch

import bn_lib
from bn_lib import BatchNorm, Conv2d, Dense, Flatten, ReLU, Sequential, Sigmoid, Tanh, from_keras, from_torch

# Keras on PyTorch, with NumPy 2
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword")


def dense(dtype=np.float64):
    rng = np.random.default_rng(0)
    return Sequential(
        Dense(5, 4, bias=False, rng=rng, dtype=dtype), BatchNorm(4, momentum=0.25, eps=1e-2, dtype=dtype), Tanh(),
        Sequential(Dense(4, 3, rng=rng, dtype=dtype), Sigmoid()),
    )  # fmt: skip


def convolutional(dtype=np.float64):
    """With different numbers of rows, columns and channels, so that no wrong order of axes fits by chance."""
    rng = np.random.default_rng(1)
    return Sequential(
        Conv2d(2, 3, 3, padding=1, bias=False, rng=rng, dtype=dtype), BatchNorm(3, dtype=dtype), ReLU(),
        Conv2d(3, 4, 2, stride=2, rng=rng, dtype=dtype), BatchNorm(4, affine=False, dtype=dtype), ReLU(),
        Flatten(), Dense(4 * 3 * 2, 3, rng=rng, dtype=dtype),
    )  # fmt: skip


def flattened(dtype=np.float64):
    rng = np.random.default_rng(1)
    return Sequential(
        Flatten(), BatchNorm(24, dtype=dtype), ReLU(), Dense(24, 5, rng=rng, dtype=dtype),
        BatchNorm(5, affine=False, dtype=dtype),
    )  # fmt: skip


NETWORKS = {"dense": (dense, (5,)), "convolutional": (convolutional, (2, 6, 4)), "flattened": (flattened, (2, 3, 4))}


def trained(make, shape, dtype=np.float64):
    """A network with parameters and statistics that are all different numbers, and a mini-batch."""
    model, rng = make(dtype), np.random.default_rng(2)
    x = rng.normal(1, 2, (7, *shape)).astype(dtype)
    for layer in model.layers():
        for name in layer.parameter_names:
            value = getattr(layer, name)
            setattr(layer, name, (value + rng.normal(0, 0.3, value.shape)).astype(dtype))
    for _ in range(3):
        model(x)
    return model, x


def last(x):
    """Images as Keras has them."""
    return np.moveaxis(x, 1, -1) if x.ndim == 4 else x


def numbers(tensor):
    return tensor.detach().numpy()


each = pytest.mark.parametrize(("make", "shape"), NETWORKS.values(), ids=NETWORKS)


@each
@pytest.mark.parametrize("training", [True, False])
def test_pytorch_computes_the_same(make, shape, training):
    model, x = trained(make, shape)
    (model.train if training else model.eval)()
    module = bn_lib.to_torch(model)
    inputs = torch.tensor(x, requires_grad=True)
    outputs, expected = module(inputs), model(x)
    np.testing.assert_allclose(numbers(outputs), expected, atol=1e-12)
    dy = np.random.default_rng(3).normal(size=expected.shape)
    outputs.backward(torch.from_numpy(dy))
    np.testing.assert_allclose(inputs.grad, model.backward(dy), atol=1e-12)
    after = module.state_dict()
    for name, value in model.state_dict("pytorch").items():
        np.testing.assert_allclose(after[name], value, atol=1e-12, err_msg=name)


@each
@pytest.mark.parametrize("training", [True, False])
def test_keras_computes_the_same(make, shape, training):
    """In float32: on PyTorch Keras has no other products of matrices."""
    model, x = trained(make, shape, np.float32)
    for layer in model.layers():  # so that Keras stores the same
        if isinstance(layer, BatchNorm):
            layer.unbiased_running_var = False
    (model.train if training else model.eval)()
    theirs = bn_lib.to_keras(model, shape)
    np.testing.assert_allclose(numbers(theirs(last(x), training=training)), model(x), atol=2e-5)
    for ours, after in zip(from_keras(theirs).state_dict().items(), model.state_dict().values(), strict=True):
        if not ours[0].endswith("num_batches_tracked"):
            np.testing.assert_allclose(ours[1], after, atol=2e-5, err_msg=ours[0])


@each
def test_there_and_back_is_what_it_was(make, shape):
    model, x = trained(make, shape)
    for back in (from_torch(bn_lib.to_torch(model)), from_keras(bn_lib.to_keras(model, shape))):
        flat = [layer for layer in model.layers() if type(layer) is not Sequential]
        again = [layer for layer in back.layers() if type(layer) is not Sequential]
        assert list(map(type, again)) == list(map(type, flat))
        for ours, theirs in zip(flat, again, strict=True):
            settings = ("eps", "momentum", "affine", "stride", "padding", "kernel_size")
            assert [getattr(theirs, name, None) for name in settings] == [
                getattr(ours, name, None) for name in settings
            ]
        np.testing.assert_array_equal(back.eval()(x), model.eval()(x))
        model.train()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_type_stays(dtype):
    model, x = trained(convolutional, (2, 6, 4), dtype)
    module, theirs = bn_lib.to_torch(model), bn_lib.to_keras(model, (2, 6, 4))
    assert numbers(module(torch.from_numpy(x))).dtype == dtype
    assert {array.dtype for array in theirs.get_weights()} == {np.dtype(dtype)}
    for back in (from_torch(module), from_keras(theirs)):
        assert back[0].weight.dtype == back[1].gamma.dtype == dtype


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_the_type_of_statistics_stays_where_they_are_all_there_is(dtype):
    module = torch.nn.BatchNorm1d(2, affine=False, dtype=dtype)
    assert {value.dtype for value in bn_lib.to_torch(from_torch(module)).buffers()} == {dtype, torch.int64}


def test_names_in_a_sequential_of_pytorch_are_left_there():
    named = torch.nn.Sequential()
    named.add_module("bn", torch.nn.BatchNorm1d(2))
    named.bn.running_mean += 3
    np.testing.assert_array_equal(from_torch(named)[0].running_mean, [3, 3])


def test_a_layer_in_two_places_stays_one():
    bn = torch.nn.BatchNorm1d(2)
    theirs = torch.nn.Sequential(bn, torch.nn.Linear(2, 2), bn)
    ours = from_torch(theirs)
    assert ours[0] is ours[2]
    back = bn_lib.to_torch(ours)
    assert back[0] is back[2]
    x = torch.arange(6.0).reshape(3, 2) ** 2
    np.testing.assert_allclose(ours(x.numpy()), numbers(theirs(x)), atol=1e-5)
    np.testing.assert_allclose(ours[0].running_var, bn.running_var, rtol=1e-5)


def test_momentum_changes_its_meaning():
    assert bn_lib.to_torch(BatchNorm(2, momentum=0.1)).momentum == 0.1
    assert bn_lib.to_keras(BatchNorm(2, momentum=0.1), (2,)).layers[0].momentum == 0.9
    model = keras.Sequential([keras.Input((2,)), keras.layers.BatchNormalization(momentum=0.99)])
    layer = from_keras(model)[0]
    assert (layer.momentum, layer.eps, layer.unbiased_running_var) == (0.01, 1e-3, False)
    assert from_torch(torch.nn.BatchNorm1d(2, momentum=None)).momentum is None


def test_what_is_frozen_stays_so():
    model, x = trained(dense, (5,))
    model.stack[1].freeze()
    module, theirs = bn_lib.to_torch(model), bn_lib.to_keras(model, (5,))
    assert not module[1].training
    assert not any(parameter.requires_grad for parameter in module[1].parameters())
    before = model.stack[1].running_mean.copy()
    for outputs in (module(torch.from_numpy(x)), theirs(x, training=True)):
        np.testing.assert_allclose(numbers(outputs), model(x), atol=1e-6)
    np.testing.assert_array_equal(theirs.layers[1].moving_mean.value.numpy(), before)
    assert [each.frozen for each in from_keras(theirs)[:3]] == [False, True, False]


def test_layers_of_keras_that_ours_are_made_of():
    """An activation inside a layer, padding to the same size, padding by a layer, and models in models."""
    layers = keras.layers
    theirs = keras.Sequential(
        [
            keras.Input((6, 4, 2)),
            layers.Conv2D(3, 3, padding="same", activation="relu"),
            layers.ZeroPadding2D(1),
            layers.Conv2D(2, 3, strides=2),
            keras.Sequential([layers.BatchNormalization(), layers.ReLU()]),
            layers.Flatten(),
            layers.Dense(3, activation="tanh"),
        ]
    )
    x = np.random.default_rng(0).normal(size=(4, 6, 4, 2)).astype(np.float32)
    ours = from_keras(theirs)
    kinds = [Conv2d, ReLU, Conv2d, BatchNorm, ReLU, Flatten, Dense, Tanh]
    assert [type(each) for each in ours] == kinds
    np.testing.assert_allclose(ours(np.moveaxis(x, -1, 1)), numbers(theirs(x, training=True)), atol=1e-5)


def test_dropout_and_modes_come_along():
    module = torch.nn.Sequential(torch.nn.Dropout(0.25), torch.nn.BatchNorm2d(3)).train()
    module[1].eval()
    ours = from_torch(module)
    assert ours[0].rate == 0.25
    assert (ours.training, ours[0].training, ours[1].training) == (True, True, False)
    back = bn_lib.to_torch(Sequential(*ours, Flatten()))
    assert (back[0].p, type(back[1]), back[1].training) == (0.25, torch.nn.BatchNorm2d, False)


def built(*layers, shape=(4, 4, 2)):
    return keras.Sequential([keras.Input(shape), *layers])


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: bn_lib.to_torch(torch.nn.ReLU()), "model is a ReLU; expected a Layer"),
        (lambda: bn_lib.to_torch(bn_lib.GroupNorm(2, 4)), "GroupNorm has no counterpart in PyTorch"),
        (lambda: bn_lib.to_keras(bn_lib.Residual(ReLU()), (2,)), "Residual has no counterpart in Keras"),
        (lambda: bn_lib.to_torch(BatchNorm(2, channel_axis=-1)), "channel_axis -1; expected 1"),
        (lambda: bn_lib.to_keras(BatchNorm(2, momentum=None), (2,)), "momentum is None|no plain average|no such"),
        (lambda: bn_lib.to_keras(BatchNorm(2, track_running_stats=False), (2,)), "no running statistics"),
        (lambda: from_torch(torch.nn.Softmax(1)), "Softmax has no counterpart in this library"),
        (lambda: from_torch(torch.nn.Conv2d(2, 2, 3, dilation=2)), r"dilation=\(2, 2\); expected \(1, 1\)"),
        (lambda: from_torch(torch.nn.Conv2d(2, 2, 3, groups=2)), "groups=2; expected 1"),
        (lambda: from_torch(torch.nn.Conv2d(2, 2, (3, 1))), r"kernel_size \(3, 1\); expected the same"),
        (lambda: from_torch(torch.nn.Conv2d(2, 2, 2, padding="same")), "even window"),
        (lambda: from_torch(torch.nn.Flatten(0)), "start_dim=0; expected 1"),
        (lambda: from_torch(torch.nn.BatchNorm1d(2, bias=False)), "a weight and no bias"),
        (lambda: from_torch(torch.nn.BatchNorm1d(2, device="meta")), "device meta"),
        (lambda: from_torch(torch.nn.BatchNorm1d(2).bfloat16()), "dtype is 'bfloat16'"),
        (lambda: from_torch({"weight": 1}), "dict has no counterpart"),
        (lambda: from_keras(3), "int has no counterpart"),
        (lambda: from_keras(built(keras.layers.BatchNormalization(), shape=(5, 3))), r"gets \(None, 5, 3\)"),
        (lambda: bn_lib.to_keras(BatchNorm(3), (3, 5)), r"shape is \(3, 5\)"),
        (lambda: bn_lib.to_keras(Sequential(*[BatchNorm(3)] * 2), (3,)), "in two places"),
        (lambda: from_keras(keras.layers.Dense(2)), "has not been built"),
        (lambda: from_keras(built(keras.layers.Dense(2, activation="softmax"))), "softmax belongs to the loss"),
        (lambda: from_keras(built(keras.layers.BatchNormalization(axis=1))), "axis=1; expected the last"),
        (lambda: from_keras(built(keras.layers.BatchNormalization(scale=False))), "center=True and scale=False"),
        (lambda: from_keras(built(keras.layers.BatchNormalization(renorm=True))), "renorm=True; expected plain"),
        (lambda: from_keras(built(keras.layers.Conv2D(2, 3, strides=2, padding="same"))), "strides 2"),
        (lambda: from_keras(built(keras.layers.ReLU(max_value=6))), "max_value=6"),
        (lambda: from_keras(built(keras.layers.LayerNormalization())), "LayerNormalization has no counterpart"),
        (lambda: from_keras(built(keras.layers.ZeroPadding2D(1), keras.layers.Flatten())), "expected a Conv2D behind"),
    ],
)
def test_what_has_no_counterpart_is_refused(call, says):
    with pytest.raises((TypeError, ValueError), match=says):
        call()
