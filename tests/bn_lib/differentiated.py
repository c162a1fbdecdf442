"""A layer beside PyTorch, which differentiates the layer's formula by itself."""

import numpy as np
import pytest
import torch
from agreement import assert_agrees
from torch.nn import functional

EPS = 1e-3
SHAPES = [(6, 3), (6, 3, 4), (4, 3, 2, 5)]
shapes = pytest.mark.parametrize("shape", SHAPES, ids=str)
modes = pytest.mark.parametrize("training", [True, False], ids=["training", "inference"])


def data(shape, dtype=np.float64, seed=0):
    rng = np.random.default_rng(seed)
    return (1 + 2 * rng.normal(size=shape)).astype(dtype), rng.normal(size=shape).astype(dtype)


def used(layer, seed=5):
    """The layer with parameters and running statistics that are not the initial ones."""
    rng = np.random.default_rng(seed)
    for _, owner, name in layer.named_state():
        if name != "num_batches_tracked":
            before = getattr(owner, name)
            setattr(owner, name, (0.5 + rng.random(before.shape)).astype(before.dtype))
    return layer


def leaf(array):
    """In float64 whatever the array is: of two values that lie close together PyTorch's float32 says little."""
    return torch.tensor(np.asarray(array, np.float64), requires_grad=True)


def their_x_hat(layer, x, training):
    """By PyTorch's own BN, with a layer's running statistics."""
    mean, var = (torch.tensor(v) for v in (layer.norm.running_mean, layer.norm.running_var))
    return functional.batch_norm(x, mean, var, training=training, momentum=0.1, eps=EPS), mean, var


def at_positions(values, x):
    return values.reshape(*values.shape, *[1] * (x.ndim - 2))


def assert_is_differentiated(layer, x, dy, training, formula, run=None):
    """y, dx, all gradients and the running statistics are PyTorch's for `formula(x_hat, leaf x, parameters)`."""
    layer.train() if training else layer.eval()
    theirs = leaf(x), {name: leaf(getattr(layer, name)) for name in layer.parameter_names}
    x_hat, mean, var = their_x_hat(layer, theirs[0], training)
    y = formula(x_hat, *theirs)
    y.backward(torch.tensor(dy.astype(np.float64)))
    ours = (run or layer.forward)(x)
    assert ours.dtype == x.dtype
    assert_agrees(ours, y.detach().numpy(), "y", dtype=x.dtype)
    dx = layer.backward(dy)
    assert dx.dtype == x.dtype
    assert_agrees(dx, theirs[0].grad.numpy(), "dx", dtype=x.dtype)
    for name, parameter in theirs[1].items():
        assert layer.grads[name].dtype == getattr(layer, name).dtype
        assert_agrees(layer.grads[name], parameter.grad.numpy(), name, dtype=x.dtype)
    for running, expected in ((layer.norm.running_mean, mean), (layer.norm.running_var, var)):
        assert_agrees(running, expected.numpy(), dtype=x.dtype)
