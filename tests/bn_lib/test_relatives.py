"""Ghost batches, renormalization, the residual block and standardized weights, against PyTorch and what they equal."""

import numpy as np
import pytest
import torch
from agreement import assert_agrees, both_precisions
from gradient_check import gradient_error
from refusals import ONE, X, assert_refused, row
from torch.nn import functional

import bn_lib
from bn_lib import (
    BatchNorm,
    BatchRenorm,
    Conv2d,
    Dense,
    GhostBatchNorm,
    Residual,
    Sequential,
    Tanh,
    WeightStandardized,
    weight_standardization,
    weight_standardization_backward,
)

EPS = 1e-3
shapes = pytest.mark.parametrize("shape", [(12, 3), (13, 3, 2), (12, 3, 2, 2)], ids=str)


def rng(seed=0):
    return np.random.default_rng(seed)


def used(build, dtype=np.float64, seed=0):
    """The layer with parameters and running statistics that are not the initial ones."""
    layer, r = build(3, eps=EPS, dtype=dtype), rng(seed)
    layer.gamma, layer.beta = (r.uniform(0.5, 1.5, 3).astype(dtype) for _ in range(2))
    layer.running_mean, layer.running_var = np.array([-1.0, 1.0, 4.0]), np.array([0.8, 4.0, 16.0])
    return layer


def data(shape, dtype=np.float64):
    x, dy = 1 + 2 * rng(1).normal(size=shape), rng(2).normal(size=shape)
    return x.astype(dtype), dy.astype(dtype)


def leaves(layer, x):
    """In float64 whatever x is: of two values that lie close together PyTorch's float32 says little."""
    return [torch.tensor(array.astype(np.float64), requires_grad=True) for array in (x, layer.gamma, layer.beta)]


def assert_same_pass(layer, x, dy, y, theirs):
    """y and all gradients are PyTorch's, given its output and leaves."""
    y.backward(torch.tensor(dy.astype(np.float64)))
    assert_agrees(layer.forward(x), y.detach().numpy(), "y", dtype=x.dtype)
    assert_agrees(layer.backward(dy), theirs[0].grad.numpy(), "dx", dtype=x.dtype)
    for name, leaf in zip(("gamma", "beta"), theirs[1:], strict=True):
        assert_agrees(layer.grads[name], leaf.grad.numpy(), name, dtype=x.dtype)
        assert layer.grads[name].dtype == x.dtype


# Ghost batches

CUTS = {(4, 12): [4, 4, 4], (5, 12): [5, 7], (5, 13): [5, 8], (4, 13): [4, 4, 5], (20, 12): [12], (7, 13): [13]}


@both_precisions
@shapes
@pytest.mark.parametrize("size", [3, 4, 5, 12, 20])
def test_each_ghost_batch_is_one_of_batch_norm(shape, size, dtype):
    """Consecutive rows, those left over in the last; running statistics as if the ghost batches had come in turn."""
    layer, plain = (used(build, dtype) for build in (lambda *a, **o: GhostBatchNorm(*a, size, **o), BatchNorm))
    x, dy = data(shape, dtype)
    rows, size = len(x), min(size, len(x))
    cuts = [size] * (rows // size - 1)
    cuts.append(rows - sum(cuts))
    assert cuts == CUTS.get((layer.ghost_size, rows), cuts)
    theirs = leaves(layer, x)
    y = torch.cat(
        [
            functional.batch_norm(part, None, None, *theirs[1:], training=True, eps=EPS)
            for part in torch.split(theirs[0], cuts)
        ]
    )
    assert_same_pass(layer, x, dy, y, theirs)
    for part in np.split(x, np.cumsum(cuts)[:-1]):
        plain.forward(part)
    for name in ("running_mean", "running_var"):
        assert np.allclose(getattr(layer, name), getattr(plain, name), rtol=1e-6 if dtype == np.float32 else 1e-12)
    assert layer.num_batches_tracked == len(cuts)
    assert np.array_equal(layer.eval().forward(x[:1]), bn_lib.batch_norm_inference(
        x[:1], layer.gamma, layer.beta, layer.running_mean, layer.running_var, eps=EPS
    ))  # fmt: skip
    layer.backward(dy[:1])


def test_the_average_of_all_ghost_batches():
    layer = GhostBatchNorm(3, 4, momentum=None, unbiased_running_var=False)
    x, _ = data((12, 3))
    layer.forward(x)
    ghosts = x.reshape(3, 4, 3)
    assert np.allclose(layer.running_mean, x.mean(axis=0), rtol=1e-12)
    assert np.allclose(layer.running_var, ghosts.var(axis=1).mean(axis=0), rtol=1e-12)


# Renormalization


def their_renorm(layer, leaf, gamma, beta):
    axes = [0, *range(2, leaf.ndim)]
    each = (1, -1) + (1,) * (leaf.ndim - 2)
    mean, var = leaf.mean(axes, keepdim=True), leaf.var(axes, unbiased=False, keepdim=True)
    std = torch.sqrt(var + EPS)
    running_mean = torch.tensor(layer.running_mean, dtype=leaf.dtype).reshape(each)
    sigma = torch.sqrt(torch.tensor(layer.running_var, dtype=leaf.dtype).reshape(each) + EPS)
    r = torch.clip(std / sigma, 1 / layer.r_max, layer.r_max).detach()
    d = torch.clip((mean - running_mean) / sigma, -layer.d_max, layer.d_max).detach()
    return gamma.reshape(each) * ((leaf - mean) / std * r + d) + beta.reshape(each), r, d


@both_precisions
@shapes
@pytest.mark.parametrize(("r_max", "d_max"), [(1.0, 0.0), (1.2, 0.3), (3.0, 5.0), (1.0, 5.0), (1.5, 0.0)])
def test_renormalization_is_that_of_automatic_differentiation(shape, dtype, r_max, d_max):
    """r and d detached; with (1.2, 0.3) some channels are at the limits and some are not."""
    layer = used(lambda *a, **o: BatchRenorm(*a, r_max=r_max, d_max=d_max, **o), dtype)
    x, dy = data(shape, dtype)
    layer.running_var = np.array([0.8, x[:, 1].var(), 16.0])
    theirs = leaves(layer, x)
    y, r, d = their_renorm(layer, *theirs)
    if r_max == 1.2:
        at_limit = [
            np.isclose(np.abs(d.numpy().ravel()), 0.3),
            np.isclose(np.abs(np.log(r.numpy().ravel())), np.log(1.2)),
        ]
        assert np.array_equal(at_limit, [[True, False, True]] * 2)
    assert_same_pass(layer, x, dy, y, theirs)


@both_precisions
@shapes
def test_without_correction_it_is_batch_norm_to_the_last_bit(shape, dtype):
    layer, plain = used(lambda *a, **o: BatchRenorm(*a, r_max=1, d_max=0, **o), dtype), used(BatchNorm, dtype)
    x, dy = data(shape, dtype)
    assert np.array_equal(layer.forward(x), plain.forward(x))
    assert np.array_equal(layer.backward(dy), plain.backward(dy))
    for name in ("gamma", "beta"):
        assert np.array_equal(layer.grads[name], plain.grads[name])
        assert layer.grads[name].dtype == plain.grads[name].dtype
    assert all(np.array_equal(value, plain.state_dict()[key]) for key, value in layer.state_dict().items())


@shapes
def test_within_the_limits_training_is_inference(shape):
    layer = used(lambda *a, **o: BatchRenorm(*a, r_max=1e6, d_max=1e6, **o))
    x, _ = data(shape)
    expected = bn_lib.batch_norm_inference(x, layer.gamma, layer.beta, layer.running_mean, layer.running_var, eps=EPS)
    assert np.allclose(layer.forward(x), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("far", [-50.0, 50.0])
@pytest.mark.parametrize("var", [1e-3, 1e3])
def test_at_the_limits_the_gradient_is_that_of_the_output(far, var):
    """There r and d do not move with x, so differences of y tell, without PyTorch."""

    def build():
        layer = used(lambda *a, **o: BatchRenorm(*a, r_max=2.0, d_max=0.5, **o))
        layer.running_mean, layer.running_var = far * ONE, var * ONE
        return layer

    (x, dy), layer = data((6, 3)), build()
    y = layer.forward(x)
    plain = used(BatchNorm)
    r, d = (2.0 if var < 1 else 0.5), -np.sign(far) * 0.5
    assert np.allclose(y - layer.beta, r * (plain.forward(x) - plain.beta) + d * layer.gamma, rtol=1e-12)
    assert gradient_error(lambda v: build().forward(v), x, dy, layer.backward(dy)) < 1e-8


def test_the_limits_are_checked_and_may_be_widened():
    layer = BatchRenorm(3, r_max=1, d_max=0)
    layer.r_max, layer.d_max = 3, 5
    assert (layer.r_max, layer.d_max) == (3.0, 5.0)
    for name, value in (("r_max", 0.5), ("r_max", np.nan), ("d_max", -1)):
        with pytest.raises(ValueError, match=f"{name} is .*expected a finite number"):
            setattr(layer, name, value)
    assert (layer.r_max, layer.d_max) == (3.0, 5.0)


@pytest.mark.parametrize(
    ("name", "seen", "expected", "error", "call"),
    [
        row("ghost_size", "0", ">= 1", ValueError, lambda: GhostBatchNorm(3, 0)),
        row("ghost_size", "2.0", "a whole number", TypeError, lambda: GhostBatchNorm(3, 2.0)),
        row("x", "one value per channel of a ghost", "at least 2", ValueError, lambda: GhostBatchNorm(3, 1).forward(X)),
        row("x", "one value per channel", "at least 2", ValueError, lambda: GhostBatchNorm(3, 4)(X[:1]), id="one"),
        row("x", "one value per channel", "at least 2", ValueError, lambda: BatchRenorm(3).forward(X[:1])),
        row("running_var", "nan", "reset_running_statistics()", ValueError, lambda: after_a_nan()(X)),
        row("x", "(4, 3) and F(x) (4, 2)", "keep the shape", ValueError, lambda: changes_shape().forward(X)),
        row("x", "list", "array", TypeError, lambda: Residual().forward(X.tolist())),
        row("layer", "a Tanh", "a layer with a weight", TypeError, lambda: WeightStandardized(Tanh())),
        row("layer", "ndarray", "a layer with a weight", TypeError, lambda: WeightStandardized(X)),
        row("eps", "-1", ">= 0", ValueError, lambda: WeightStandardized(Dense(3, 2, rng=rng()), eps=-1)),
        row("weight", "list", "array", TypeError, lambda: weight_standardization(X.tolist())),
        row("weight", "int64", "float64", TypeError, lambda: weight_standardization(X.astype(int))),
        row("weight", "(3,)", "(inputs, outputs)", ValueError, lambda: weight_standardization(ONE)),
        row("weight", "(0, 3)", "none of them 0", ValueError, lambda: weight_standardization(X[:0])),
        row("weight", "(1, 3): one weight", "2", ValueError, lambda: weight_standardization(X[:1])),
        row("weight", "(3, 1, 1)", "2", ValueError, lambda: weight_standardization(X[:3, :1, None])),
        row("eps", "nan", ">= 0", ValueError, lambda: weight_standardization(X, eps=np.nan)),
        row("dy", "(3, 3)", "(4, 3)", ValueError, lambda: weights_back(X[:3])),
        row("cache", "NoneType", "beside y", TypeError, lambda: weights_back(X, None)),
        row("x", "(4, 3)", "(N, 2)", ValueError, lambda: WeightStandardized(Dense(2, 2, rng=rng())).forward(X)),
    ],
)  # fmt: skip
def test_refusals(name, seen, expected, error, call):
    assert_refused(name, seen, expected, error, call)


def weights_back(dweight, *cache):
    return weight_standardization_backward(dweight, *(cache or [weight_standardization(X)[1]]))


def after_a_nan():
    layer = BatchRenorm(3)
    layer.running_var = ONE * np.nan
    return layer


# Residual


def changes_shape():
    return Residual(BatchNorm(3), Dense(3, 2, rng=rng()))


def test_a_residual_block_adds_x_and_dy():
    layers = Dense(3, 3, rng=rng()), BatchNorm(3), Tanh()
    block, branch = Residual(*layers), Sequential(*layers)
    x, dy = data((6, 3))
    branch_y, branch_dx = branch.forward(x), branch.backward(dy)
    before = dict(layers[0].grads)
    assert np.array_equal(block.forward(x), x + branch_y)
    assert np.array_equal(block.backward(dy), dy + branch_dx)
    assert np.array_equal(layers[0].grads["weight"], before["weight"])
    block.forward(x)
    layers[0].grads.clear()
    block.fill_grads(dy)
    assert np.array_equal(layers[0].grads["weight"], before["weight"])
    assert block.state_dict().keys() == branch.state_dict().keys()


def test_residual_blocks_in_each_other_against_differences():
    def build():
        inner = Residual(Dense(3, 3, rng=rng(1)), BatchNorm(3), Tanh())
        return Sequential(Residual(inner, Dense(3, 3, rng=rng(2)), inner), Residual())

    (x, dy), model = data((6, 3)), build()
    model.forward(x)
    assert gradient_error(lambda v: build().forward(v), x, dy, model.backward(dy)) < 1e-8


def test_a_residual_block_that_refuses_is_as_before():
    block = changes_shape()
    before = block.state_dict()
    with pytest.raises(ValueError, match="keep the shape"):
        block.forward(X)
    assert all(np.array_equal(value, before[key]) for key, value in block.state_dict().items())
    with pytest.raises(RuntimeError, match="before forward"):
        block.backward(X)


# Standardized weights

KINDS = {
    "dense": (lambda **o: Dense(3, 4, **o), (5, 3), 0),
    "convolution": (lambda **o: Conv2d(2, 4, 3, padding=1, **o), (3, 2, 4, 5), (1, 2, 3)),
}


def their_weight(weight, axes):
    var, mean = torch.var_mean(weight, axes, correction=0, keepdim=True)
    return (weight - mean) / torch.sqrt(var + EPS)


@both_precisions
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_standardized_weights_are_those_of_automatic_differentiation(kind, bias, dtype):
    build, shape, axes = KINDS[kind]
    inner = build(bias=bias, rng=rng(), dtype=dtype)
    inner.weight = inner.weight + dtype(0.3)
    layer, own = WeightStandardized(inner, eps=EPS), inner.weight
    x = data(shape, dtype)[0]
    y = layer.forward(x)
    dy = rng(2).normal(size=y.shape).astype(dtype)
    assert inner.weight is own

    leaves = [torch.tensor(a.astype(np.float64), requires_grad=True) for a in (x, own)]
    theirs = their_weight(leaves[1], axes)
    if kind == "dense":
        their_y = functional.linear(leaves[0], theirs.T)
    else:
        their_y = functional.conv2d(leaves[0], theirs, padding=1)
    their_y.backward(torch.tensor(dy.astype(np.float64)))
    assert_agrees(y, their_y.detach().numpy(), "y", dtype=dtype)
    assert_agrees(layer.backward(dy), leaves[0].grad.numpy(), "dx", dtype=dtype)
    assert_agrees(inner.grads["weight"], leaves[1].grad.numpy(), "dweight", dtype=dtype)
    assert inner.grads["weight"].dtype == y.dtype == dtype
    first = inner.grads.pop("weight")
    layer.fill_grads(dy)
    assert np.array_equal(inner.grads["weight"], first)
    assert ("bias" in inner.grads) == bias


@pytest.mark.parametrize("kind", KINDS)
def test_standardized_weights_against_differences(kind):
    build, _, _ = KINDS[kind]
    weight = build(rng=rng()).weight
    dw = rng(1).normal(size=weight.shape)
    _, cache = weight_standardization(weight, eps=EPS)
    dweight = weight_standardization_backward(dw, cache)
    assert gradient_error(lambda w: weight_standardization(w, eps=EPS)[0], weight, dw, dweight) < 1e-8


def test_an_output_knows_neither_the_mean_nor_the_size_of_its_weights():
    inner = Dense(3, 4, rng=rng())
    layer = WeightStandardized(inner, eps=0.0)
    y = layer.forward(X)
    inner.weight = 5 * inner.weight + np.arange(4.0)
    assert np.allclose(layer.forward(X), y, rtol=1e-12, atol=1e-12)


def test_a_standardized_layer_in_a_network_is_stored_trained_and_switched_as_the_layer():
    inner = Dense(3, 3, rng=rng())
    layer = WeightStandardized(inner)
    model = Sequential(layer, BatchNorm(3), layer)
    assert layer.state_dict().keys() == inner.state_dict().keys()
    before = inner.weight
    labels = np.array([0, 1, 2, 0])
    bn_lib.train_step(model, bn_lib.SGD(model, 0.1), X, labels)
    assert not np.array_equal(inner.weight, before)
    model.eval()
    assert not inner.training
    model.train()
    assert inner.training

    def y(weight):
        inner.weight = weight
        return model.forward(X)

    weight, dy = inner.weight, rng(3).normal(size=(4, 3))
    y(weight)
    model.backward(dy)
    dweight = inner.grads["weight"]  # from both places
    assert gradient_error(y, weight, dy, dweight) < 1e-7


def test_a_standardized_layer_that_refuses_is_as_before():
    inner = Dense(3, 3, rng=rng())
    layer, own = WeightStandardized(inner), inner.weight
    with pytest.raises(ValueError, match="expected"):
        layer.forward(X[:, :2])
    assert inner.weight is own
    with pytest.raises(RuntimeError, match="before forward"):
        layer.backward(X)
