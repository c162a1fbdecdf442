"""BN folded into its neighbour computes what the two did, and is PyTorch's; what does not fold is told or left."""

# ruff: noqa: E501 (one complaint, one line)

import numpy as np
import pytest
import torch
from refusals import assert_refused, row
from torch.nn.utils.fusion import fuse_conv_bn_weights, fuse_linear_bn_weights

import bn_lib
from bn_lib import BatchNorm, Conv2d, Dense, ReLU, Residual, Sequential, fold_batch_norm


def rng(seed=0):
    return np.random.default_rng(seed)


def norm(channels, kind=BatchNorm, **options):
    """BN with parameters and statistics that are not the initial ones."""
    layer, r = kind(channels, eps=0.3, **options), rng(9)
    layer.gamma, layer.beta = r.normal(size=(2, channels)).astype(layer.gamma.dtype)
    layer.running_mean, layer.running_var = r.normal(size=channels), 0.1 + r.random(channels)
    return layer


def affine(kind, *, bias=True, padding=0, dtype=np.float64):
    layer = (
        Dense(4, 3, rng=rng(), bias=bias, dtype=dtype)
        if kind == "dense"
        else Conv2d(4, 3, 2, stride=2, padding=padding, rng=rng(), bias=bias, dtype=dtype)
    )
    if bias:
        layer.bias = rng(1).normal(size=3).astype(dtype)
    return layer


def data(kind, dtype=np.float64):
    return rng(2).normal(size=(5, 4) if kind == "dense" else (5, 4, 6, 7)).astype(dtype)


kinds = pytest.mark.parametrize("kind", ["dense", "conv"])


@kinds
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("order", ["after", "before"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_one_layer_does_what_two_did(kind, bias, order, dtype):
    layer = affine(kind, bias=bias, padding=int(order == "after" and kind == "conv"), dtype=dtype)
    both = (layer, norm(3, dtype=dtype)) if order == "after" else (norm(4, dtype=dtype), layer)
    model, x = Sequential(*both), data(kind, dtype)
    before = model.state_dict()
    small = fold_batch_norm(*both)
    assert type(small) is type(layer)
    assert not small.training
    assert model.training
    y = model.eval()(x)
    tolerance = 100 * np.finfo(dtype).eps
    np.testing.assert_allclose(small(x), y, rtol=tolerance, atol=tolerance)
    assert small.weight.dtype == small.bias.dtype == dtype
    assert all(np.array_equal(value, before[key]) for key, value in model.state_dict().items())
    assert (layer.bias is None) is not bias
    small.train()(x)
    small.backward(y)
    assert small.grads.keys() == {"weight", "bias"}
    assert len(fold_batch_norm(model)) == 1
    assert np.array_equal(fold_batch_norm(model)(x), small.eval()(x))


@kinds
def test_pytorch_fuses_to_the_same_numbers(kind):
    layer, after = affine(kind), norm(3)
    small = fold_batch_norm(layer, after)
    fuse, turned = (fuse_linear_bn_weights, np.transpose) if kind == "dense" else (fuse_conv_bn_weights, np.array)
    numbers = turned(layer.weight), layer.bias, after.running_mean, after.running_var, after.gamma, after.beta
    w, b, mean, var, gamma, beta = (torch.tensor(np.ascontiguousarray(a)) for a in numbers)
    theirs, their_bias = fuse(w, b, mean, var, after.eps, gamma, beta)
    np.testing.assert_allclose(turned(small.weight), theirs.detach().numpy(), rtol=1e-12)
    np.testing.assert_allclose(small.bias, their_bias.detach().numpy(), rtol=1e-12)


def test_a_network_keeps_its_shape_and_its_function():
    r = rng()
    shared = Dense(3, 3, rng=r)
    model = Sequential(
        norm(4),  # before: into the next
        Dense(4, 3, rng=r),
        norm(3),  # after: into the one before
        norm(3),
        ReLU(),
        Residual(shared, norm(3, bn_lib.GhostBatchNorm, ghost_size=2), Sequential(ReLU(), shared, norm(3))),
        norm(3),  # no neighbour: stays
        ReLU(),
        norm(3, track_running_stats=False),  # cannot be known: stays
        Dense(3, 2, rng=r),
    )
    model.watchers.append(print)
    small, x = fold_batch_norm(model), data("dense")
    kinds = [type(layer).__name__ for layer in small]
    assert kinds == ["Dense", "ReLU", "Residual", "BatchNorm", "ReLU", "BatchNorm", "Dense"]
    assert [type(layer).__name__ for layer in small[2]] == ["Dense", "Sequential"]
    assert len(small[2][1]) == 2
    assert not any(layer.training for layer in small.layers())
    assert small.watchers == []
    assert not {id(layer) for layer in small.layers()} & {id(layer) for layer in model.layers()}
    model.watchers = []
    np.testing.assert_allclose(small(x), model.eval()(x), rtol=1e-11, atol=1e-12)
    assert len(model) == 10


@kinds
@pytest.mark.parametrize("order", ["after", "before"])
def test_a_layer_with_a_forward_of_its_own_stays(kind, order):
    layer = affine(kind)

    class Rectified(type(layer)):
        def forward(self, x):
            return np.maximum(super().forward(x), 0)

    layer.__class__ = Rectified
    both = (layer, norm(3)) if order == "after" else (norm(4), layer)
    model, x = Sequential(*both).eval(), data(kind)
    assert_refused("Rectified", "a forward of its own", "affine", ValueError, lambda: fold_batch_norm(*both))
    small = fold_batch_norm(model)
    assert len(small) == 2
    assert np.array_equal(small(x), model(x))


def test_before_a_padded_convolution_bn_stays_in_a_network():
    model = Sequential(norm(4), affine("conv", padding=1), norm(3))
    small, x = fold_batch_norm(model), data("conv")
    assert [type(layer) for layer in small] == [BatchNorm, Conv2d]
    np.testing.assert_allclose(small(x), model.eval()(x), rtol=1e-12, atol=1e-12)


class Twice(BatchNorm):
    def forward(self, x, mask=None):
        return 2 * super().forward(x, mask)


def spoilt():
    layer = norm(3)
    layer.running_var = np.array([1.0, np.nan, 1.0])
    return layer


@pytest.mark.parametrize(
    ("name", "seen", "expected", "error", "call"),
    [
        row("first", "Dense, alone", "a Sequential", TypeError, lambda: fold_batch_norm(affine("dense"))),
        row("first", "str", "a Sequential", TypeError, lambda: fold_batch_norm("model")),
        row("the layers", "ReLU and BatchNorm", "a Dense or Conv2d", TypeError, lambda: fold_batch_norm(ReLU(), norm(3))),
        row("the layers", "Dense and str", "a BatchNorm", TypeError, lambda: fold_batch_norm(affine("dense"), "norm")),
        row("the layers", "BatchNorm and BatchNorm", "a Dense or Conv2d", TypeError, lambda: fold_batch_norm(norm(3), norm(3))),
        row("the BatchNorm", "4 channels", "3 on axis 1, the outputs", ValueError, lambda: fold_batch_norm(affine("dense"), norm(4))),
        row("the BatchNorm", "3 channels", "4 on axis 1, the inputs", ValueError, lambda: fold_batch_norm(norm(3), affine("conv"))),
        row("the BatchNorm", "axis -1", "3 on axis 1", ValueError, lambda: fold_batch_norm(affine("conv"), norm(3, channel_axis=-1))),
        row("the Conv2d", "padding 1", "zeros are added after BN", ValueError, lambda: fold_batch_norm(norm(4), affine("conv", padding=1))),
        row("the BatchNorm", "no running statistics", "some", ValueError, lambda: fold_batch_norm(affine("dense"), BatchNorm(3, track_running_stats=False))),
        row("Twice", "forward of its own", "BatchNorm's", ValueError, lambda: fold_batch_norm(affine("dense"), norm(3, Twice))),
        row("running_var", "nan", "finite variances", ValueError, lambda: fold_batch_norm(affine("dense"), spoilt())),
    ],
)  # fmt: skip
def test_refusals(name, seen, expected, error, call):
    assert_refused(name, seen, expected, error, call)
