"""Forward and backward agree with PyTorch on the CPU: the normalizers, the layers, the loss, the optimizer."""

import numpy as np
import pytest
import torch
from agreement import assert_agrees, both_precisions
from normalizer_cases import BY_NAME, groups_for, labels_for, typical
from torch.nn import functional

import bn_lib
from bn_lib import BatchNorm, Conv2d, Convention, Dense, Sequential

torch.set_num_threads(1)  # these arrays are small, and the machine is shared

EPS = 1e-3


def leaf(array):
    """A tensor with a copy of `array` that gradients are collected for."""
    return torch.tensor(array, requires_grad=True)


def well_scaled(normalizer, x):
    """x with a mean of 1 and a standard deviation of 2 for all values that share a mean.

    Where few values share one, some lie close together by chance, and there PyTorch's float32 is off by 1e-5 (group,
    64x8) against float64, ours by 3e-7. `test_numerics` has such inputs; here the two are compared.
    """
    split = x.reshape(normalizer.split(x.shape))
    axes = normalizer.axes(x.ndim)
    x_hat = (split - split.mean(axis=axes, keepdims=True)) / split.std(axis=axes, keepdims=True)
    return (1 + 2 * x_hat).reshape(x.shape)


def their_batch(x, gamma, beta):
    return functional.batch_norm(x, None, None, gamma, beta, training=True, eps=EPS)


def their_layer(x, gamma, beta):
    if gamma.ndim == x.ndim - 1:
        return functional.layer_norm(x, x.shape[1:], gamma, beta, eps=EPS)
    spread = [p.reshape(-1, *[1] * (x.ndim - 2)).expand(x.shape[1:]) for p in (gamma, beta)]
    return functional.layer_norm(x, x.shape[1:], *spread, eps=EPS)


def their_last(x, gamma, beta):
    return functional.layer_norm(x, gamma.shape, gamma, beta, eps=EPS)


def their_rms(x, gamma, beta):
    spread = gamma if gamma.ndim == x.ndim - 1 else gamma.reshape(-1, *[1] * (x.ndim - 2)).expand(x.shape[1:])
    return functional.rms_norm(x, x.shape[1:], spread, eps=EPS)


def their_instance(x, gamma, beta):
    return functional.instance_norm(x, weight=gamma, bias=beta, eps=EPS)


def their_group(x, gamma, beta):
    return functional.group_norm(x, groups_for(x.shape[1]), gamma, beta, eps=EPS)


def their_conditional(x, gamma, beta):
    """As the usual implementation has it: BN without parameters, then an embedding of the labels."""
    labels = torch.from_numpy(labels_for(x.detach().numpy()))
    x_hat = functional.batch_norm(x, None, None, training=True, eps=EPS)
    gamma, beta = (functional.embedding(labels, p).reshape(*x.shape[:2], *[1] * (x.ndim - 2)) for p in (gamma, beta))
    return gamma * x_hat + beta


def their_modulated(x, gamma, beta):
    per_sample = gamma.shape != x.shape
    x_hat = functional.instance_norm(x, eps=EPS) if per_sample else their_batch(x, None, None)
    return gamma * x_hat + beta


THEIRS = {
    "batch": their_batch,
    "layer": their_layer,
    "layer, per element": their_layer,
    "layer, last axis": their_last,
    "layer, last two axes": their_last,
    "rms": their_rms,
    "rms, per element": their_rms,
    "rms, last axis": lambda x, gamma, beta: functional.rms_norm(x, gamma.shape, gamma, eps=EPS),
    "instance": their_instance,
    "group": their_group,
    "conditional": their_conditional,
    "modulated, per sample": their_modulated,
    "modulated, per position": their_modulated,
}


@both_precisions
@pytest.mark.parametrize("shape", [(8, 6), (5, 4, 7), (4, 6, 5, 3), (3, 4, 2, 3, 2), (64, 8)], ids=str)
@pytest.mark.parametrize("name", THEIRS)
def test_normalizers(name, shape, dtype):
    normalizer = BY_NAME[name]
    if len(shape) < normalizer.least_rank:
        shape = (*shape, 4)
    x, gamma, beta, dy = typical(normalizer, shape, dtype)
    x = well_scaled(normalizer, x)
    y, cache = normalizer.forward(x, gamma, beta, EPS)
    ours = y, *normalizer.backward(dy, cache)

    leaves = leaf(x), leaf(gamma), leaf(beta)
    y = THEIRS[name](*leaves)
    y.backward(torch.tensor(dy))
    theirs = y.detach(), *(tensor.grad for tensor in leaves)
    for what, a, b in zip(("y", "dx", "dgamma", "dbeta"), ours, theirs, strict=True):
        if b is None and not normalizer.center:  # PyTorch's has no beta either
            continue
        assert a.dtype == dtype, what
        assert_agrees(a, b, what)


# The layer: training, inference, running statistics, state


def twins(shape, dtype, momentum):
    """Our layer and PyTorch's with the same parameters, which are not the initial ones."""
    rng = np.random.default_rng(7)
    channels = shape[1]
    ours = BatchNorm(channels, momentum=momentum, eps=EPS, dtype=dtype)
    kind = {2: torch.nn.BatchNorm1d, 3: torch.nn.BatchNorm1d, 4: torch.nn.BatchNorm2d, 5: torch.nn.BatchNorm3d}
    theirs = kind[len(shape)](channels, momentum=momentum, eps=EPS, dtype=torch.tensor(np.zeros(0, dtype)).dtype)
    ours.gamma, ours.beta = (rng.normal(size=channels).astype(dtype) for _ in range(2))
    with torch.no_grad():
        theirs.weight.copy_(torch.tensor(ours.gamma))
        theirs.bias.copy_(torch.tensor(ours.beta))
    return ours, theirs


@both_precisions
@pytest.mark.parametrize("momentum", [0.1, 0.7, 0.0, 1.0, None])
@pytest.mark.parametrize("shape", [(6, 3), (5, 3, 4), (4, 3, 2, 5), (2, 3, 2, 2, 2)], ids=str)
def test_batch_norm_layer_over_several_batches_and_then_in_inference(shape, momentum, dtype):
    ours, theirs = twins(shape, dtype, momentum)
    rng = np.random.default_rng(8)
    for step in range(6):
        if step == 4:
            ours.eval(), theirs.eval()
        n = shape[0] + (step if step < 4 else -1)  # batches of unlike size, on purpose
        x, dy = (rng.normal(2, 3, size=(n, *shape[1:])).astype(dtype) for _ in range(2))
        y, dx = ours.forward(x), ours.backward(dy)

        theirs.zero_grad()
        their_x = leaf(x)
        their_y = theirs(their_x)
        their_y.backward(torch.tensor(dy))
        assert_agrees(y, their_y.detach(), f"y of step {step}")
        assert_agrees(dx, their_x.grad, f"dx of step {step}")
        assert_agrees(ours.grads["gamma"], theirs.weight.grad, f"dgamma of step {step}")
        assert_agrees(ours.grads["beta"], theirs.bias.grad, f"dbeta of step {step}")
        assert_agrees(ours.running_mean, theirs.running_mean, f"running_mean after step {step}")
        assert_agrees(ours.running_var, theirs.running_var, f"running_var after step {step}")
        assert int(ours.num_batches_tracked) == int(theirs.num_batches_tracked)


def test_a_state_dict_of_pytorch_can_be_loaded_and_continued():
    ours, theirs = twins((6, 3), np.float64, 0.1)
    theirs.running_mean += 5
    theirs.num_batches_tracked += 3
    ours.load_state_dict({key: value.numpy() for key, value in theirs.state_dict().items()}, names="torch")
    x = np.random.default_rng(0).normal(size=(6, 3))
    assert_agrees(ours.forward(x), theirs(torch.tensor(x)).detach())
    assert_agrees(ours.eval().forward(x), theirs.eval()(torch.tensor(x)).detach())
    for key, value in theirs.state_dict().items():
        assert np.allclose(ours.state_dict(names="torch")[key], value.numpy(), rtol=1e-12)


def test_the_pytorch_convention_is_pytorchs():
    layer, theirs = BatchNorm.in_convention("pytorch", 3), torch.nn.BatchNorm1d(3)
    assert (layer.momentum, layer.eps) == (theirs.momentum, theirs.eps)
    assert Convention.PYTORCH.default_momentum == theirs.momentum
    assert (BatchNorm(3).momentum, BatchNorm(3).eps) == (theirs.momentum, theirs.eps)


@both_precisions
@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (lambda dtype: bn_lib.LayerNorm(6, dtype=dtype), lambda: torch.nn.GroupNorm(1, 6)),
        (lambda dtype: bn_lib.InstanceNorm(6, dtype=dtype), lambda: torch.nn.InstanceNorm2d(6, affine=True)),
        (lambda dtype: bn_lib.GroupNorm(3, 6, dtype=dtype), lambda: torch.nn.GroupNorm(3, 6)),
    ],
    ids=["LayerNorm", "InstanceNorm", "GroupNorm"],
)
def test_sample_norm_layers_in_both_modes(ours, theirs, dtype):
    ours, theirs = ours(dtype), theirs().to(torch.tensor(np.zeros(0, dtype)).dtype)
    x, dy = (np.random.default_rng(s).normal(1, 2, size=(4, 6, 3, 5)).astype(dtype) for s in range(2))
    for mode in ("train", "eval"):
        getattr(ours, mode)(), getattr(theirs, mode)()
        theirs.zero_grad()
        their_x = leaf(x)
        their_y = theirs(their_x)
        their_y.backward(torch.tensor(dy))
        assert_agrees(ours.forward(x), their_y.detach())
        assert_agrees(ours.backward(dy), their_x.grad)
        assert_agrees(ours.grads["gamma"], theirs.weight.grad)
        assert_agrees(ours.grads["beta"], theirs.bias.grad)


@both_precisions
@pytest.mark.parametrize("shape", [(7,), (5, 7)], ids=str)
@pytest.mark.parametrize("x_shape", [(3, 5, 7), (2, 3, 5, 7), (0, 5, 7), (3, 7, 7), (5, 7)], ids=str)
@pytest.mark.parametrize("name", ["LayerNorm", "RMSNorm"])
def test_a_layer_of_a_shape_is_theirs_of_the_same_shape(name, x_shape, shape, dtype):
    """Tokens as well as many of them as features, a batch of none, and x that is one sample."""
    if x_shape == (3, 7, 7) and shape != (7,):
        shape = (7, 7)
    ours = getattr(bn_lib, name)(shape, eps=EPS, dtype=dtype)
    theirs = getattr(torch.nn, name)(shape, eps=EPS, dtype=torch.tensor(np.zeros(0, dtype)).dtype)
    rng = np.random.default_rng(0)
    x, dy = (rng.normal(1, 2, size=x_shape).astype(dtype) for _ in range(2))
    for parameter, their_name in zip(ours.parameter_names, ("weight", "bias"), strict=False):
        value = rng.normal(size=shape).astype(dtype)
        setattr(ours, parameter, value)
        with torch.no_grad():
            getattr(theirs, their_name).copy_(torch.tensor(value))
    their_x = leaf(x)
    their_y = theirs(their_x)
    their_y.backward(torch.tensor(dy))
    for got, expected in ((ours.forward(x), their_y.detach()), (ours.backward(dy), their_x.grad)):
        assert got.shape == x_shape
        if got.size:
            assert_agrees(got, expected)
    for parameter, their_name in zip(ours.parameter_names, ("weight", "bias"), strict=False):
        assert ours.grads[parameter].shape == shape
        assert_agrees(ours.grads[parameter], getattr(theirs, their_name).grad, parameter)
    assert ours.num_features == np.prod(shape)


# The network


def assert_layer_agrees(layer, x, their_forward):
    """`their_forward(x, *parameters)`, in the order of the layer's parameter names."""
    y = layer.forward(x)
    dy = np.random.default_rng(3).normal(size=y.shape).astype(y.dtype)
    dx = layer.backward(dy)
    leaves = leaf(x), *(leaf(getattr(layer, name)) for name in layer.parameter_names)
    their_y = their_forward(*leaves)
    their_y.backward(torch.tensor(dy))
    assert_agrees(y, their_y.detach(), "y")
    assert_agrees(dx, leaves[0].grad, "dx")
    for name, tensor in zip(layer.parameter_names, leaves[1:], strict=True):
        assert_agrees(layer.grads[name], tensor.grad, name)


@both_precisions
@pytest.mark.parametrize("bias", [True, False])
def test_dense(bias, dtype):
    rng = np.random.default_rng(0)
    layer = Dense(7, 5, bias=bias, rng=rng, dtype=dtype)
    if bias:
        layer.bias = rng.normal(size=5).astype(dtype)
    x = rng.normal(size=(6, 7)).astype(dtype)
    assert_layer_agrees(layer, x, lambda x, w, b=None: functional.linear(x, w.T, b))


@both_precisions
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(
    ("size", "kernel", "stride", "padding"),
    [((5, 5), 3, 1, 0), ((5, 6), 3, 1, 1), ((7, 6), 3, 2, 1), ((4, 5), 1, 1, 0), ((5, 4), 2, 3, 2), ((3, 3), 3, 1, 0)],
)
def test_conv2d(size, kernel, stride, padding, bias, dtype):
    rng = np.random.default_rng(0)
    layer = Conv2d(3, 4, kernel, stride=stride, padding=padding, bias=bias, rng=rng, dtype=dtype)
    if bias:
        layer.bias = rng.normal(size=4).astype(dtype)
    x = rng.normal(size=(2, 3, *size)).astype(dtype)
    assert_layer_agrees(layer, x, lambda x, w, b=None: functional.conv2d(x, w, b, stride=stride, padding=padding))


@both_precisions
@pytest.mark.parametrize(
    ("layer", "theirs"),
    [(bn_lib.ReLU, torch.relu), (bn_lib.Sigmoid, torch.sigmoid), (bn_lib.Tanh, torch.tanh)],
    ids=["ReLU", "Sigmoid", "Tanh"],
)
def test_activations(layer, theirs, dtype):
    x = np.array([[-800.0, -40, -3, -1e-3], [0, 1e-3, 3, 800]], dtype=dtype)
    assert_layer_agrees(layer(), x, theirs)


@both_precisions
@pytest.mark.parametrize("scale", [1, 30, 1e4])
def test_softmax_cross_entropy(scale, dtype):
    rng = np.random.default_rng(0)
    logits, labels = (rng.normal(size=(16, 10)) * scale).astype(dtype), rng.integers(0, 10, size=16)
    loss, dlogits = bn_lib.softmax_cross_entropy(logits, labels)
    theirs = leaf(logits)
    their_loss = functional.cross_entropy(theirs, torch.tensor(labels))
    their_loss.backward()
    assert_agrees(loss, their_loss.detach(), "loss")
    assert_agrees(dlogits, theirs.grad, "dlogits")
    assert dlogits.dtype == dtype


def test_gradients_of_two_passes_and_a_group_without_decay():
    """What `backward` twice before `step` is in PyTorch, and its parameter groups."""
    rng = np.random.default_rng(0)
    model, theirs = (
        Sequential(BatchNorm(4), Dense(4, 3, rng=rng)),
        torch.nn.Sequential(torch.nn.BatchNorm1d(4), torch.nn.Linear(4, 3)).double(),
    )
    with torch.no_grad():
        theirs[1].weight.copy_(torch.tensor(model[1].weight.T))
        theirs[1].bias.zero_()
    ours = bn_lib.SGD(model, 0.1, momentum=0.9, weight_decay=0.5, groups=[{"layers": model[0], "weight_decay": 0.0}])
    groups = [{"params": theirs[0].parameters(), "weight_decay": 0.0}, {"params": theirs[1].parameters()}]
    optimizer = torch.optim.SGD(groups, 0.1, momentum=0.9, weight_decay=0.5)
    for _ in range(3):
        optimizer.zero_grad()
        with bn_lib.accumulate_gradients(model):
            for _ in range(2):
                x, dy = rng.normal(size=(6, 4)), rng.normal(size=(6, 3))
                assert_agrees(model(x), (y := theirs(torch.tensor(x))).detach())
                y.backward(torch.tensor(dy))
                model.backward(dy)
        assert_agrees(model[0].grads["gamma"], theirs[0].weight.grad)
        ours.step(), optimizer.step()
        assert_agrees(model[0].gamma, theirs[0].weight.detach())
        assert_agrees(model[1].weight, theirs[1].weight.detach().T)


@both_precisions
@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
def test_sgd_over_several_steps_of_a_network(momentum, weight_decay, dtype):
    """Everything at once: two dense layers and BN, ten updates, the parameters and statistics after each."""
    rng = np.random.default_rng(0)
    model = Sequential(
        Dense(4, 5, rng=rng, dtype=dtype), BatchNorm(5, dtype=dtype), bn_lib.Tanh(), Dense(5, 3, rng=rng, dtype=dtype)
    )
    theirs = torch.nn.Sequential(
        torch.nn.Linear(4, 5), torch.nn.BatchNorm1d(5), torch.nn.Tanh(), torch.nn.Linear(5, 3)
    ).to(torch.tensor(np.zeros(0, dtype)).dtype)
    with torch.no_grad():
        for i in (0, 3):
            theirs[i].weight.copy_(torch.tensor(model.stack[i].weight.T))
            theirs[i].bias.zero_()
    options = {"momentum": momentum, "weight_decay": weight_decay}
    ours_sgd = bn_lib.SGD(model, 0.1, **options)
    their_sgd = torch.optim.SGD(theirs.parameters(), 0.1, **options)
    for _ in range(10):
        x, labels = rng.normal(size=(8, 4)).astype(dtype), rng.integers(0, 3, size=8)
        loss = bn_lib.train_step(model, ours_sgd, x, labels)
        their_sgd.zero_grad()
        their_loss = functional.cross_entropy(theirs(torch.tensor(x)), torch.tensor(labels))
        their_loss.backward()
        their_sgd.step()
        assert_agrees(loss, their_loss.detach(), "loss")
        for i in (0, 3):
            assert_agrees(model.stack[i].weight, theirs[i].weight.detach().T, f"weight {i}")
        assert_agrees(model.stack[1].gamma, theirs[1].weight.detach(), "gamma")
        assert_agrees(model.stack[1].running_var, theirs[1].running_var, "running_var")
    assert model.stack[0].weight.dtype == dtype
