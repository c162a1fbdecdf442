"""Every backward pass against central differences of its forward pass, in float64, to a relative 1e-7.

How the differences are taken and what "relative" means: see `gradient_check`. That the forward passes themselves are
right is for `test_pytorch` and `test_onnx`: a gradient check alone proves only that backward belongs to forward.
"""

import functools

import numpy as np
import pytest
from gradient_check import BOUND, gradient_error
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from normalizer_cases import (
    BY_NAME,
    MODULATED,
    Normalizer,
    each_normalizer,
    each_that_centers,
    labels_for,
    steady,
    typical,
)
from normalizer_cases import LAYERS as NORMALIZING

import bn_lib
from bn_lib import BatchNorm, Conv2d, Dense, Dropout, Flatten, Layer, ReLU, Sequential, Sigmoid, Tanh

SMALL = st.floats(-3, 3, width=32)


@st.composite
def shapes(draw, normalizer: Normalizer):
    """(N, C) to (N, C, D, H, W) with N = 2, C = 1 and single positions among them, and 2 values or more per mean."""
    rank = draw(st.integers(normalizer.least_rank, 4))
    shape = (draw(st.integers(1, 4)), draw(st.integers(1, 4)), *(draw(st.integers(1, 3)) for _ in range(rank - 2)))
    assume(normalizer.values_per_mean(shape) >= 2 and normalizer.takes(shape))
    return shape


@st.composite
def problems(draw, normalizer: Normalizer):
    """x, gamma, beta, dy and an eps that fits, with the awkward cases as likely as the ordinary ones.

    Values are drawn by hypothesis, which likes equal elements and zeros: constant channels, gamma = 0 and gradients
    that cancel come by themselves; below they are helped.
    """
    shape = draw(shapes(normalizer))
    x = draw(arrays(np.float64, shape, elements=SMALL))
    dy = draw(arrays(np.float64, shape, elements=SMALL))
    gamma, beta = (draw(arrays(np.float64, normalizer.parameter_shape(shape), elements=SMALL)) for _ in range(2))
    if draw(st.booleans()):
        x = x + np.random.default_rng(draw(st.integers(0, 99))).normal(size=shape)
    if draw(st.integers(0, 4)) == 0:
        gamma = np.zeros_like(gamma)
    exponents = st.integers(-100, 100)
    if draw(st.booleans()) and normalizer.deviation(x, 0.0).min() > 0.01:
        # Without eps nothing ties the channels together: each may have a scale of its own.
        x = x * normalizer.shared(x, lambda kept: 10.0 ** draw(arrays(np.float64, kept, elements=exponents)))
        return x, gamma, beta, dy, 0.0
    if draw(st.booleans()):
        x = np.where(normalizer.shared(x, lambda kept: draw(arrays(bool, kept))), 2.5, x)  # constant, and not zero
    scale = 10.0 ** draw(exponents)
    return x * scale, gamma, beta, dy, draw(st.sampled_from((1e-5, 1e-3, 1.0))) * scale**2


def normalizer_errors(normalizer, x, gamma, beta, dy, eps, backward=None, allow_rounding=True):
    """Relative errors of dx, dgamma and dbeta."""
    _, cache = normalizer.forward(x, gamma, beta, eps)
    dx, dgamma, dbeta = (backward or normalizer.backward)(dy, cache)

    def y(x=x, gamma=gamma, beta=beta):
        return normalizer.forward(x, gamma, beta, eps)[0]

    options = {"terms": np.abs(gamma).max() + np.abs(beta).max(), "allow_rounding": allow_rounding}
    return (
        gradient_error(lambda v: y(x=v), x, dy, dx, unit=normalizer.deviation(x, eps), **options),
        gradient_error(lambda v: y(gamma=v), gamma, dy, dgamma, **options),
        gradient_error(lambda v: y(beta=v), beta, dy, dbeta, **options),
    )


@each_normalizer
@steady
@given(data=st.data())
def test_normalizers_on_any_input(normalizer, data):
    errors = normalizer_errors(normalizer, *data.draw(problems(normalizer)))
    assert max(errors) < BOUND, errors


@each_normalizer
@pytest.mark.parametrize("shape", [(5, 4, 3), (4, 3, 2, 3), (3, 4, 2, 2, 3)], ids=str)
@pytest.mark.parametrize("eps", [1e-5, 0.0])
def test_normalizers_on_ordinary_input_with_no_allowance_for_rounding(normalizer, shape, eps):
    errors = normalizer_errors(normalizer, *typical(normalizer, shape), eps, allow_rounding=False)
    assert max(errors) < BOUND, errors


@each_that_centers
def test_two_values_per_mean_and_no_eps_leave_no_gradient(normalizer):
    """x_hat is then -1 and 1 whatever x is. Differences cannot show it (0 / 0), so it is asserted."""
    shapes = [shape for shape in ((2, 3), (3, 4), (3, 2), (2, 3, 2), (3, 1, 2)) if len(shape) >= normalizer.least_rank]
    shape = next(shape for shape in shapes if normalizer.values_per_mean(shape) == 2)
    x, gamma, beta, dy = typical(normalizer, shape)
    _, cache = normalizer.forward(x, gamma, beta, 0.0)
    dx = normalizer.backward(dy, cache)[0]
    # Exactly 0 in exact arithmetic; here what is left is the rounding of the three paths, each of this size.
    paths = np.abs(dy).max() * gamma.max() / normalizer.deviation(x, 0.0)
    assert np.all(np.abs(dx) <= 8 * np.finfo(float).eps * paths)


# The same checker must reject gradients that are wrong


def _wrong(change):
    """A backward pass with one mistake: `change` gets dict(g=gamma * dy, x_hat, inv_std, axes, ...), returns dx."""

    def backward(dy, cache):
        dx, dgamma, dbeta = bn_lib.batch_norm_backward(dy, cache)
        gamma = cache.gamma.reshape(1, -1, *[1] * (dy.ndim - 2))
        values = {"g": gamma * dy, "dy": dy, "x_hat": cache.x_hat, "inv_std": cache.inv_std, "axes": cache.axes}
        return change(dx=dx, dgamma=dgamma, dbeta=dbeta, gamma=gamma, count=cache.moments.count, **values)

    return backward


def _mean(values, axes):
    return values.mean(axis=axes, keepdims=True)


def _only_dx(formula):
    return _wrong(lambda dgamma, dbeta, **v: (formula(**v), dgamma, dbeta))


MUTANTS = {
    "no mean path": _only_dx(lambda g, x_hat, inv_std, axes, **_: inv_std * (g - x_hat * _mean(g * x_hat, axes))),
    "no variance path": _only_dx(lambda g, inv_std, axes, **_: inv_std * (g - _mean(g, axes))),
    "frozen statistics": _only_dx(lambda g, inv_std, **_: inv_std * g),
    "gamma left out": _only_dx(lambda dx, gamma, **_: dx / gamma),
    "gamma twice": _only_dx(lambda dx, gamma, **_: dx * gamma),
    "divided by var": _only_dx(lambda dx, inv_std, **_: dx * inv_std),
    "var with N - 1": _only_dx(lambda dx, count, **_: dx * np.sqrt((count - 1) / count)),
    "eps outside the root": _only_dx(lambda dx, inv_std, **_: dx / inv_std / (np.sqrt(inv_std**-2 - 1e-5) + 1e-5)),
    "variance path halved": _only_dx(
        lambda g, x_hat, inv_std, axes, **_: inv_std * (g - _mean(g, axes) - x_hat * _mean(g * x_hat, axes) / 2)
    ),
    "sign of the variance path": _only_dx(
        lambda g, x_hat, inv_std, axes, **_: inv_std * (g - _mean(g, axes) + x_hat * _mean(g * x_hat, axes))
    ),
    "means over rows only": _only_dx(
        lambda g, x_hat, inv_std, **_: inv_std * (g - _mean(g, (0,)) - x_hat * _mean(g * x_hat, (0,)))
    ),
    "off by 2e-7": _only_dx(lambda dx, **_: dx * (1 + 2e-7)),
    "dgamma of y's mean": _wrong(lambda dx, dgamma, dbeta, count, **_: (dx, dgamma / count, dbeta)),
    "dbeta of y's mean": _wrong(lambda dx, dgamma, dbeta, count, **_: (dx, dgamma, dbeta / count)),
    "dgamma with dy only": _wrong(lambda dx, dgamma, dbeta, **_: (dx, dbeta, dbeta)),
    "dbeta with gamma": _wrong(lambda dx, dgamma, dbeta, gamma, **_: (dx, dgamma, dbeta * gamma.ravel())),
}


@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_wrong_gradient_is_rejected(mutant):
    batch = BY_NAME["batch"]
    errors = normalizer_errors(batch, *typical(batch, (4, 3, 2, 2)), 1e-5, backward=MUTANTS[mutant])
    assert max(errors) > BOUND


@each_normalizer
def test_no_normalizer_passes_with_the_gradient_of_frozen_statistics(normalizer):
    x, gamma, beta, dy = typical(normalizer, (4, 4, 2, 2))

    def frozen(dy, cache):
        _, dgamma, dbeta = normalizer.backward(dy, cache)
        return normalizer.spread(gamma, x) * dy / normalizer.deviation(x, 1e-5), dgamma, dbeta

    dx_error, *others = normalizer_errors(normalizer, x, gamma, beta, dy, 1e-5, backward=frozen)
    assert dx_error > 1e-2
    assert max(others) < BOUND


def test_gamma_outside_the_means_is_rejected_where_it_varies_inside_them():
    """The compact formula of batch_norm, copied to layer_norm: right only if gamma is the same for all channels."""
    layer = BY_NAME["layer"]
    x, gamma, beta, dy = typical(layer, (4, 5))

    def copied(dy, cache):
        _, dgamma, dbeta = bn_lib.layer_norm_backward(dy, cache)
        x_hat, inv_std = cache.x_hat, cache.inv_std
        return gamma * inv_std * (dy - _mean(dy, 1) - x_hat * _mean(dy * x_hat, 1)), dgamma, dbeta

    assert normalizer_errors(layer, x, gamma, beta, dy, 1e-5, backward=copied)[0] > 1e-2


# Layers


def layer_errors(build, x, dy, units=1.0):
    """Relative errors of dx and of every parameter's gradient, by name. `build` makes the same layer every time, so
    a layer with a random choice in it (Dropout) makes the same choice."""
    layer = build()
    slots = {key: (owner, name) for key, owner, name in layer.named_state() if name in owner.parameter_names}
    layer.forward(x)
    dx = layer.backward(dy)
    gradients = {key: owner.grads[name] for key, (owner, name) in slots.items()}

    def with_parameter(key):
        def f(value):
            layer = build()
            owner, name = next((owner, name) for k, owner, name in layer.named_state() if k == key)
            setattr(owner, name, value)
            return layer.forward(x)

        return f

    errors = {"x": gradient_error(lambda v: build().forward(v), x, dy, dx, unit=units)}
    for key, (owner, name) in slots.items():
        errors[key] = gradient_error(with_parameter(key), getattr(owner, name), dy, gradients[key])
    return errors


def normalizing(layer: Layer, *, training: bool = True) -> Layer:
    """The layer with parameters and running statistics that are not the initial ones."""
    rng = np.random.default_rng(5)
    for _, owner, name in layer.named_state():
        if name != "num_batches_tracked":
            setattr(owner, name, 0.5 + rng.random(getattr(owner, name).shape))
    return layer.train() if training else layer.eval()


def masked(layer: Layer) -> Layer:
    """The layer with a mask of 3 sequences of length 2, 1 and 0, whatever is given to it."""
    mask = np.array([[True, True], [True, False], [False, False]])
    layer.forward = functools.partial(layer.forward, mask=mask)
    return layer


LAYERS = {
    "BatchNorm, inference": (lambda: normalizing(BatchNorm(3), training=False), (4, 3, 2, 2)),
    "BatchNorm, inference, one row": (lambda: normalizing(BatchNorm(3), training=False), (1, 3)),
    **{
        name: (lambda build=build: normalizing(build()), (2, 3, 2, 2))
        for name, build in (NORMALIZING | MODULATED).items()
    },
    "BatchNorm, affine=False": (lambda: normalizing(BatchNorm(3, affine=False)), (2, 3, 2, 2)),
    "BatchNorm, channels last": (lambda: normalizing(BatchNorm(3, channel_axis=-1)), (2, 2, 2, 3)),
    "BatchNorm, masked": (lambda: masked(normalizing(BatchNorm(3))), (3, 3, 2)),
    "BatchNorm, masked, inference": (lambda: masked(normalizing(BatchNorm(3), training=False)), (3, 3, 2)),
    "GroupNorm, two groups": (lambda: normalizing(bn_lib.GroupNorm(2, 4)), (3, 4, 2)),
    "Dense": (lambda: Dense(3, 4, rng=np.random.default_rng(0)), (5, 3)),
    "Dense without bias": (lambda: Dense(3, 4, bias=False, rng=np.random.default_rng(0)), (5, 3)),
    "Conv2d": (lambda: Conv2d(2, 3, 3, rng=np.random.default_rng(0)), (2, 2, 4, 5)),
    "Conv2d, 1x1": (lambda: Conv2d(2, 3, 1, rng=np.random.default_rng(0)), (2, 2, 3, 2)),
    "Conv2d, padding": (lambda: Conv2d(1, 2, 3, padding=1, bias=False, rng=np.random.default_rng(0)), (2, 1, 3, 4)),
    "Conv2d, stride": (lambda: Conv2d(1, 2, 2, stride=2, rng=np.random.default_rng(0)), (2, 1, 5, 4)),
    "Conv2d, all": (lambda: Conv2d(2, 2, 3, stride=3, padding=2, rng=np.random.default_rng(0)), (2, 2, 5, 6)),
    "ReLU": (ReLU, (3, 4, 2)),
    "Sigmoid": (Sigmoid, (3, 4, 2)),
    "Tanh": (Tanh, (3, 4, 2)),
    "Flatten": (Flatten, (3, 2, 2)),
    "Dropout": (lambda: Dropout(0.4, rng=np.random.default_rng(3)), (5, 6)),
    "Dropout, inference": (lambda: Dropout(0.4, rng=np.random.default_rng(3)).eval(), (5, 6)),
}


@pytest.mark.parametrize("name", LAYERS)
@steady
@given(seed=st.integers(0, 2**32 - 1))
def test_layers(name, seed):
    build, shape = LAYERS[name]
    rng = np.random.default_rng(seed)
    # ReLU has no derivative at 0, so its input keeps away from there by more than the steps of the differences.
    x = rng.choice([-1, 1], shape) * (0.01 + np.abs(rng.normal(size=shape)))
    errors = layer_errors(build, x, rng.normal(size=build().forward(x).shape))
    assert max(errors.values()) < BOUND, errors


def dense_network(activation):
    def build():
        rng = np.random.default_rng(1)
        return Sequential(Dense(4, 5, rng=rng), BatchNorm(5), activation(), Dropout(0.3, rng=rng), Dense(5, 3, rng=rng))

    return build


def convolutional_network():
    rng = np.random.default_rng(2)
    return Sequential(
        Conv2d(1, 4, 3, padding=1, bias=False, rng=rng),
        normalizing(bn_lib.GroupNorm(2, 4)),
        Tanh(),
        Sequential(Conv2d(4, 2, 2, stride=2, rng=rng), normalizing(BatchNorm(2)), Sigmoid()),
        Flatten(),
        Dense(8, 3, rng=rng),
        normalizing(bn_lib.LayerNorm(3)),
    )


@pytest.mark.parametrize(
    ("build", "shape"),
    [
        pytest.param(dense_network(ReLU), (6, 4), id="dense, ReLU"),
        pytest.param(dense_network(Sigmoid), (6, 4), id="dense, Sigmoid"),
        pytest.param(convolutional_network, (3, 1, 4, 4), id="convolutional"),
    ],
)
@pytest.mark.parametrize("seed", range(3))
def test_networks(build, shape, seed):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=shape)
    network = build()

    def mind_the_kink(kind, i, layer, array):
        if kind == "activation" and i + 1 < len(network.stack) and isinstance(network.stack[i + 1], ReLU):
            assert np.abs(array).min() > 0.003, "ReLU's kink is too near for differences: take another seed"

    network.watchers.append(mind_the_kink)
    y = network.forward(x)
    errors = layer_errors(build, x, rng.normal(size=y.shape))
    assert max(errors.values()) < BOUND, errors


@steady
@given(data=st.data(), n=st.integers(1, 5), classes=st.integers(1, 6))
def test_softmax_cross_entropy(data, n, classes):
    # Not larger: a loss near 0 is a small difference of large numbers, and so are the differences of such losses.
    logits = data.draw(arrays(np.float64, (n, classes), elements=st.floats(-4, 4)))
    labels = data.draw(arrays(np.int64, n, elements=st.integers(0, classes - 1)))
    _, dlogits = bn_lib.softmax_cross_entropy(logits, labels)
    error = gradient_error(lambda v: bn_lib.softmax_cross_entropy(v, labels)[0], logits, 1.0, dlogits)
    assert error < BOUND


def test_a_class_that_the_batch_lacks_has_no_gradient():
    x = np.random.default_rng(0).normal(size=(5, 3))
    labels = labels_for(x)
    _, cache = bn_lib.conditional_batch_norm(x, labels, np.ones((4, 3)), np.zeros((4, 3)))
    _, dgamma, dbeta = bn_lib.conditional_batch_norm_backward(x, cache)
    assert np.all(dgamma[3] == 0)
    assert np.all(dbeta[3] == 0)
    assert np.all(dbeta[:3] != 0)
