"""The loss's gradient as a vector and its Hessian, against PyTorch's double backward, SymPy and what H must be."""

import subprocess
import sys
from functools import partial

import numpy as np
import pytest
import sympy
import torch
from refusals import LABELS, X, assert_refused, other_kind, row
from torch.nn import functional

import bn_lib
from bn_lib import BatchNorm, Conv2d, Dense, Dropout, Flatten, LayerNorm, Recorder, ReLU, Sequential, Sigmoid, Tanh

torch.set_num_threads(1)
EPS = 1e-5


def dense(inputs, outputs, seed, **options):
    layer = Dense(inputs, outputs, rng=np.random.default_rng(seed), init="glorot", **options)
    if layer.bias is not None:
        layer.bias = layer.bias + 0.1 * np.arange(outputs, dtype=layer.bias.dtype)
    return layer


def normalizer(kind, channels):
    layer = kind(channels, eps=EPS)
    layer.gamma, layer.beta = np.linspace(0.5, 1.5, channels), np.linspace(-0.3, 0.4, channels)
    return layer


def with_batch_norm():
    return Sequential(dense(3, 5, 0, bias=False), normalizer(BatchNorm, 5), Tanh(), dense(5, 3, 1))


def with_constant_statistics():
    model = with_batch_norm()
    model.forward(DATA)
    model.stack[1].eval()
    return model


def with_layer_norm():
    return Sequential(dense(3, 5, 0), normalizer(LayerNorm, 5), Sigmoid(), dense(5, 3, 1))


def with_relu():
    relu = ReLU()  # twice in one network
    return Sequential(
        dense(3, 8, 0), normalizer(BatchNorm, 8), relu, dense(8, 8, 1), normalizer(BatchNorm, 8), relu, dense(8, 3, 2)
    )


def with_tied_weights():
    layer = dense(3, 3, 0)
    return Sequential(layer, Tanh(), Sequential(layer, Sigmoid()), dense(3, 3, 1))


def convolutional():
    return Sequential(
        Conv2d(1, 2, 2, rng=np.random.default_rng(0)), normalizer(BatchNorm, 2), ReLU(), Flatten(), dense(8, 3, 1)
    )


MODELS = [with_batch_norm, with_constant_statistics, with_layer_norm, with_relu, with_tied_weights, convolutional]
each_model = pytest.mark.parametrize("build", MODELS, ids=lambda build: build.__name__)
_rng = np.random.default_rng(5)
DATA = 1 + 2 * _rng.normal(size=(12, 3))
PICTURES = 1 + 2 * _rng.normal(size=(12, 1, 3, 3))
CLASSES = np.arange(12) % 3


def data(build):
    return PICTURES if build is convolutional else DATA


def theirs(layer, x, parameters):
    """What PyTorch makes of a layer, with the parameters that it takes from the front of the list."""
    if isinstance(layer, Sequential):
        for inner in layer.stack:
            x = theirs(inner, x, parameters)
        return x
    own = [parameters[id(layer), name] for name in layer.parameter_names]
    if isinstance(layer, Dense):
        return x @ own[0] + (own[1] if len(own) > 1 else 0)
    if isinstance(layer, Conv2d):
        return functional.conv2d(x, *own)
    if isinstance(layer, BatchNorm):
        if layer.training:
            return functional.batch_norm(x, None, None, *own, training=True, eps=EPS)
        kept = [torch.tensor(array) for array in (layer.running_mean, layer.running_var)]
        return functional.batch_norm(x, *kept, *own, training=False, eps=EPS)
    if isinstance(layer, LayerNorm):
        return functional.layer_norm(x, x.shape[1:], *own, eps=EPS)
    return {ReLU: torch.relu, Sigmoid: torch.sigmoid, Tanh: torch.tanh, Flatten: lambda y: y.flatten(1)}[type(layer)](x)


def their_loss(model, x, labels):
    """The loss as a function of one vector of all parameters."""
    slots = [
        (id(layer), name, getattr(layer, name).shape)
        for layer in dict.fromkeys(model.layers())
        for name in layer.parameter_names
    ]

    def loss(theta):
        parts = torch.split(theta, [int(np.prod(shape)) for _, _, shape in slots])
        parameters = {(key, name): part.reshape(shape) for part, (key, name, shape) in zip(parts, slots, strict=True)}
        return functional.cross_entropy(theirs(model, torch.tensor(x), parameters), torch.tensor(labels))

    return loss


def gap(ours, exact):
    return np.linalg.norm(ours - exact) / np.linalg.norm(exact)


@each_model
def test_gradient_and_products_are_those_of_automatic_differentiation(build):
    model, x = build(), data(build)
    theta, loss = bn_lib.parameter_vector(model), their_loss(model, x, CLASSES)
    at = torch.tensor(theta, requires_grad=True)
    value, gradient = bn_lib.loss_and_gradient(model, x, CLASSES)
    assert value == pytest.approx(loss(at).item(), rel=1e-12)
    assert gap(gradient, torch.autograd.grad(loss(at), at)[0].numpy()) < 1e-12
    h = torch.autograd.functional.hessian(loss, at).numpy()
    for vector in np.random.default_rng(0).normal(size=(3, theta.size)):
        assert gap(bn_lib.hessian_vector_product(model, x, CLASSES, vector), h @ vector) < 1e-8


@each_model
def test_eigenvalues_are_those_of_the_whole_hessian(build):
    model, x = build(), data(build)
    theta = bn_lib.parameter_vector(model)
    h = torch.autograd.functional.hessian(their_loss(model, x, CLASSES), torch.tensor(theta)).numpy()
    exact = np.linalg.eigvalsh(h)[::-1]
    for k in (1, 3, theta.size):  # the first two with Lanczos, the last with the matrix
        found = bn_lib.hessian_eigenvalues(model, x, CLASSES, k=k)
        assert found.shape == (k,)
        assert np.abs(found - exact[:k]).max() < 1e-7 * exact[0]


@each_model
def test_the_hessian_is_symmetric(build):
    """u.Hv = v.Hu, which a gradient that is not the loss's would not give."""
    model, x = build(), data(build)
    u, v = np.random.default_rng(1).normal(size=(2, bn_lib.parameter_vector(model).size))
    hu, hv = (bn_lib.hessian_vector_product(model, x, CLASSES, vector) for vector in (u, v))
    assert abs(u @ hv - v @ hu) < 1e-8 * np.linalg.norm(hu) * np.linalg.norm(v)


def test_two_parameters_by_sympy():
    """One feature, two classes, no bias: the loss's second derivatives at weights (1/2, -1/3)."""
    w = sympy.symbols("w0 w1")
    rows, labels = [(2, 0), (-1, 1), (3, 1)], np.array([0, 1, 1])
    loss = sum(sympy.log(sum(sympy.exp(a * x) for a in w)) - w[label] * x for x, label in rows) / len(rows)
    at = dict(zip(w, (sympy.Rational(1, 2), sympy.Rational(-1, 3)), strict=True))
    exact = np.array(sympy.hessian(loss, w).subs(at).evalf(20)).astype(float)
    layer = dense(1, 2, 0, bias=False)
    layer.weight = np.array([[1 / 2, -1 / 3]])
    x = np.array([[float(value)] for value, _ in rows])
    found = [bn_lib.hessian_vector_product(layer, x, labels, column) for column in np.eye(2)]
    assert np.allclose(found, exact, rtol=1e-9)
    assert np.allclose(bn_lib.hessian_eigenvalues(layer, x, labels, k=2), np.linalg.eigvalsh(exact)[::-1], atol=1e-9)


@pytest.mark.parametrize("scale", [1e-6, 1e-3, 1e3, 1e6])
def test_weights_of_any_scale_before_batch_norm(scale):
    """BN(a W x) = BN(W x), so the block of H that belongs to W is that of a = 1 over a**2, and the loss is the same."""
    model = with_batch_norm()
    model.stack[1].eps = 0.0
    vector = np.zeros(bn_lib.parameter_vector(model).size)
    vector[:15] = np.random.default_rng(0).normal(size=15)
    before = bn_lib.hessian_vector_product(model, DATA, CLASSES, vector)[:15]
    model.stack[0].weight = scale * model.stack[0].weight
    after = bn_lib.hessian_vector_product(model, DATA, CLASSES, vector)[:15]
    assert gap(after * scale**2, before) < 1e-7


@pytest.mark.parametrize("scale", [0.0, 1e-200, 1e-3, 1e200])
def test_products_are_linear_in_the_vector(scale):
    model, vector = with_batch_norm(), np.random.default_rng(0).normal(size=43)
    one = bn_lib.hessian_vector_product(model, DATA, CLASSES, vector)
    many = bn_lib.hessian_vector_product(model, DATA, CLASSES, scale * vector)
    assert np.allclose(many, scale * one, rtol=1e-6, atol=1e-9 * scale * np.abs(one).max())


class Shift(bn_lib.Layer):
    """y = x - 1 + 1e-9: so near the kink of a ReLU behind it that a step crosses that."""

    def forward(self, x):
        return x - 1 + 1e-9

    def backward(self, dy):
        return dy


def test_the_kinks_are_not_in_it():
    """Logits (u, -u) with u = ReLU(w - 1 + 1e-9) at w = 1: the loss log(1 + exp(-2*u)) has the second derivative 1."""
    first, last = dense(1, 1, 0, bias=False), dense(1, 2, 1, bias=False)
    first.weight, last.weight = np.array([[1.0]]), np.array([[1.0, -1.0]])
    model = Sequential(first, Shift(), ReLU(), last)
    product = bn_lib.hessian_vector_product(model, np.array([[1.0]]), np.array([0]), np.array([1.0, 0.0, 0.0]))
    assert product[0] == pytest.approx(1.0, rel=1e-6)


def test_a_float32_model_is_computed_in_float64():
    model, narrow = with_batch_norm(), with_batch_norm()
    vector = np.random.default_rng(0).normal(size=43).astype(np.float32)
    rounded = bn_lib.parameter_vector(model).astype(np.float32)
    bn_lib.set_parameter_vector(model, rounded)
    for layer in narrow.layers():
        for name in layer.parameter_names:
            setattr(layer, name, getattr(layer, name).astype(np.float32))
    assert bn_lib.parameter_vector(narrow).dtype == np.float32
    assert np.array_equal(bn_lib.parameter_vector(narrow), rounded)
    x = DATA.astype(np.float32)
    assert bn_lib.loss_and_gradient(narrow, x, CLASSES)[1].dtype == np.float32
    found = bn_lib.hessian_vector_product(narrow, x, CLASSES, vector)
    assert found.dtype == np.float64
    assert np.array_equal(found, bn_lib.hessian_vector_product(model, x.astype(np.float64), CLASSES, vector))
    assert bn_lib.parameter_vector(narrow).dtype == np.float32


def test_the_vector_of_parameters_and_back():
    model = with_tied_weights()  # 12 parameters in the layer that is there twice, 12 in the last
    vector = bn_lib.parameter_vector(model)
    assert vector.shape == (24,)
    assert np.array_equal(vector[:9].reshape(3, 3), model.stack[0].weight)
    assert np.array_equal(vector[-3:], model.stack[3].bias)
    vector[:] = np.arange(24)  # a copy
    assert bn_lib.parameter_vector(model)[1] != 1
    bn_lib.set_parameter_vector(model, vector)
    vector[:] = 0
    assert np.array_equal(bn_lib.parameter_vector(model), np.arange(24))
    assert np.array_equal(model.stack[2].stack[0].bias, [9, 10, 11])


def test_frozen_parameters_are_none():
    model = with_batch_norm()
    model.stack[1].parameter_names = ()
    assert bn_lib.parameter_vector(model).shape == (33,)
    assert bn_lib.hessian_vector_product(model, DATA, CLASSES, np.ones(33)).shape == (33,)


def everything(model):
    """All that a model holds, and whose it is: arrays and gradients are the same objects afterwards."""
    held = []
    for layer in model.layers():
        own = {name: value for name, value in vars(layer).items() if name not in ("_rng", "grads")}
        held += [(layer, name, id(value)) for name, value in own.items()]
        held += [(layer, id(layer.grads), [(name, id(g), g.tobytes()) for name, g in layer.grads.items()])]
        arrays = (*layer.parameter_names, *layer.buffer_names)
        held += [(layer, name, getattr(layer, name).tobytes()) for name in arrays]
        if isinstance(layer, Dropout):
            held.append(layer._rng.bit_generator.state)
    return held


def trained():
    """A network with a history, between a forward pass and its way back."""
    rng = np.random.default_rng(0)
    model = Sequential(dense(3, 8, 0), BatchNorm(8), ReLU(), Dropout(0.5, rng=rng), dense(8, 3, 1))
    model.fill_grads(model.forward(DATA) / 10)
    model.forward(DATA[:7])
    return model


CALLS = {
    "gradient": lambda model, x: bn_lib.loss_and_gradient(model, x, CLASSES),
    "product": lambda model, x: bn_lib.hessian_vector_product(model, x, CLASSES, np.ones(75)),
    "eigenvalues": lambda model, x: bn_lib.hessian_eigenvalues(model, x, CLASSES, k=2),
}
each_call = pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)


@each_call
def test_the_model_is_left_exactly_as_it_was(call):
    model = trained()
    before = everything(model)
    with Recorder(model) as recorder:
        one, two = call(model, DATA), call(model, DATA)
    assert everything(model) == before
    assert not recorder.steps
    assert np.array_equal(np.hstack(one), np.hstack(two))  # also what Dropout drops
    assert model.backward(np.ones((7, 3))).shape == (7, 3)


@each_call
@pytest.mark.parametrize("where", ["at the door", "in a layer", "on the way back", "at the third pass"])
def test_the_model_is_left_exactly_as_it_was_when_a_call_raises(call, where, monkeypatch):
    model, x, calls = trained(), DATA, []

    def fails(self, dy):
        calls.append(dy)
        if where == "on the way back" or len(calls) == 3:
            raise FloatingPointError("tried")
        return original(self, dy)

    if where == "at the door":
        x = DATA[:, :, None] > 0
    elif where == "in a layer":
        x = np.ones((12, 4))
    original = Dropout.backward
    if where not in ("at the door", "in a layer"):
        monkeypatch.setattr(Dropout, "backward", fails)
    before = everything(model)
    if where == "at the third pass" and call is CALLS["gradient"]:
        call(model, x)  # one pass is all it takes
    else:
        with pytest.raises((TypeError, ValueError, FloatingPointError)):
            call(model, x)
    assert everything(model) == before


SMALL = dense(3, 2, 0)  # 8 parameters
put, gradient, product, largest = (
    partial(function, SMALL)
    for function in (
        bn_lib.set_parameter_vector,
        bn_lib.loss_and_gradient,
        bn_lib.hessian_vector_product,
        bn_lib.hessian_eigenvalues,
    )
)


@pytest.mark.parametrize(
    ("name", "seen", "expected", "error", "call"),
    [
        row("model", "str", "a Layer", TypeError, lambda: bn_lib.parameter_vector("model")),
        row("model", "ReLU without", "at least one", ValueError, lambda: bn_lib.parameter_vector(ReLU())),
        row("model", "Sequential without", "at least one", ValueError, lambda: bn_lib.parameter_vector(Sequential())),
        row("vector", "list", "array", TypeError, lambda: put([0.0] * 8)),
        row("vector", "int64", "float64", TypeError, lambda: put(np.arange(8))),
        row("vector", "array_api_strict", "numpy", TypeError, lambda: put(other_kind(np.ones(8)))),
        row("vector", "shape (7,)", "(8,)", ValueError, lambda: put(np.ones(7))),
        row("vector", "shape (8, 1)", "(8,)", ValueError, lambda: product(X, LABELS, np.ones((8, 1)))),
        row("vector", "a NaN", "finite", ValueError, lambda: product(X, LABELS, np.full(8, np.nan))),
        row("x", "list", "array", TypeError, lambda: gradient(X.tolist(), LABELS)),
        row("x", "list", "array", TypeError, lambda: product(X.tolist(), LABELS, np.ones(8)), id="product of a list"),
        row("labels", "shape (3,)", "(4,)", ValueError, lambda: gradient(X, LABELS[:3])),
        row("labels", "class 2", "classes 0 to 1", ValueError, lambda: largest(X, LABELS + 1)),
        row("k", "0", ">= 1", ValueError, lambda: largest(X, LABELS, k=0)),
        row("k", "9", "at most the 8 parameters", ValueError, lambda: largest(X, LABELS, k=9)),
    ],
)  # fmt: skip
def test_refusals(name, seen, expected, error, call):
    assert_refused(name, seen, expected, error, call)


def test_a_hessian_with_a_nan_has_no_eigenvalues():
    for outputs in (2, 20):  # the matrix, and Lanczos
        layer = dense(3, outputs, 0)
        layer.weight = layer.weight * np.nan
        with pytest.raises(ValueError, match="a NaN or an infinity; expected a model whose gradient is finite"):
            bn_lib.hessian_eigenvalues(layer, X, LABELS)


def test_without_scipy_it_says_what_is_missing():
    code = (
        "import sys; sys.modules['scipy.sparse.linalg'] = None; import numpy as np, bn_lib\n"
        "layer = bn_lib.Dense(3, 9, rng=np.random.default_rng(0))\n"
        "x, labels = np.ones((2, 3)), np.array([0, 1])\n"
        "assert bn_lib.hessian_eigenvalues(layer, x, labels, k=36).shape == (36,)\n"
        "try:\n    bn_lib.hessian_eigenvalues(layer, x, labels)\n"
        "except ImportError as error:\n    print(error)"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "pip install scipy" in done.stdout
