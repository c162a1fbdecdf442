"""The layers of the small network, against their formulas written as loops; see `test_pytorch` for the rest."""

import numpy as np
import pytest
from normalizer_cases import LAYERS, MODULATED

import bn_lib
from bn_lib import BatchNorm, Conv2d, Dense, Dropout, Flatten, ReLU, Sequential, Sigmoid
from bn_lib.network import initial_weights


def rng(seed=0):
    return np.random.default_rng(seed)


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "padding"),
    [((4, 5), 3, 1, 0), ((4, 4), 3, 1, 1), ((5, 7), 3, 2, 1), ((5, 4), 2, 3, 0), ((3, 3), 3, 1, 0), ((1, 1), 3, 1, 1)],
)
def test_conv2d_is_its_formula(size, kernel, stride, padding):
    layer = Conv2d(2, 3, kernel, stride=stride, padding=padding, rng=rng())
    layer.bias = rng(1).normal(size=3)
    x = rng(2).normal(size=(2, 2, *size))
    padded = np.pad(x, [(0, 0), (0, 0), (padding, padding), (padding, padding)])
    height, width = ((n + 2 * padding - kernel) // stride + 1 for n in size)
    y = layer.forward(x)
    assert y.shape == (2, 3, height, width)
    for n, f, i, j in np.ndindex(y.shape):
        window = padded[n, :, i * stride : i * stride + kernel, j * stride : j * stride + kernel]
        assert np.isclose(y[n, f, i, j], layer.bias[f] + np.sum(layer.weight[f] * window), rtol=1e-12)


def test_conv2d_correlates_and_does_not_flip():
    layer = Conv2d(1, 1, 2, bias=False, rng=rng())
    layer.weight = np.array([[[[1.0, 2.0], [3.0, 4.0]]]])
    x = np.zeros((1, 1, 3, 3))
    x[0, 0, 1, 1] = 1
    assert np.array_equal(layer.forward(x)[0, 0], [[4, 3], [2, 1]])


def test_the_places_that_no_window_reads_have_no_gradient():
    layer = Conv2d(1, 1, 2, stride=3, rng=rng())
    y = layer.forward(np.ones((1, 1, 6, 6)))
    assert y.shape == (1, 1, 2, 2)
    read = layer.backward(np.ones_like(y))[0, 0] != 0
    assert np.array_equal(read, np.tile([[1, 1, 0], [1, 1, 0], [0, 0, 0]], (2, 2)).astype(bool))


def test_conv2d_takes_and_gives_any_order_of_memory():
    """Inside, the mini-batch is the last axis, so y and dx are transposed views; what comes in may be one or not."""
    x, dy = rng(1).normal(size=(4, 2, 5, 6)), rng(2).normal(size=(4, 3, 3, 3))
    results = []
    for order in ((0, 1, 2, 3), (1, 2, 3, 0), (3, 2, 1, 0)):
        layer = Conv2d(2, 3, 3, stride=2, padding=1, rng=rng())
        back = np.argsort(order)
        moved_x, moved_dy = (np.ascontiguousarray(a.transpose(order)).transpose(back) for a in (x, dy))
        results.append((layer.forward(moved_x), layer.backward(moved_dy), *layer.grads.values()))
    for other in results[1:]:
        assert all(np.array_equal(a, b) for a, b in zip(results[0], other, strict=True))


def test_dense_is_its_formula():
    layer = Dense(3, 2, rng=rng())
    layer.bias = np.array([1.0, -1.0])
    x = rng(1).normal(size=(4, 3))
    expected = [
        [sum(x[n, i] * layer.weight[i, o] for i in range(3)) + layer.bias[o] for o in range(2)] for n in range(4)
    ]
    assert np.allclose(layer.forward(x), expected, rtol=1e-13)


def test_without_a_bias_there_is_none():
    for layer in (Dense(3, 2, bias=False, rng=rng()), Conv2d(3, 2, 1, bias=False, rng=rng())):
        assert layer.bias is None
        assert layer.state_dict().keys() == {"weight"}


@pytest.mark.parametrize(
    ("init", "std"), [("he", np.sqrt(2 / 300)), ("glorot", np.sqrt(2 / 500)), (0.3, 0.3), (0, 0)], ids=str
)
def test_initial_weights_have_the_spread_they_should(init, std):
    weights = initial_weights((300, 200), 300, 200, init, rng())
    # 60,000 values: the standard deviation of their standard deviation is 0.3 %.
    assert np.isclose(weights.std(), std, rtol=0.02, atol=0)
    assert abs(weights.mean()) <= 5 * std / np.sqrt(weights.size)


def test_the_fan_of_a_convolution_counts_its_window():
    weights = Conv2d(32, 64, 5, rng=rng()).weight
    assert np.isclose(weights.std(), np.sqrt(2 / (32 * 25)), rtol=0.02)
    weights = Conv2d(32, 64, 5, init="glorot", rng=rng()).weight
    assert np.isclose(weights.std(), np.sqrt(2 / ((32 + 64) * 25)), rtol=0.02)


def test_the_same_seed_gives_the_same_weights_whatever_the_precision():
    one, two = Dense(4, 5, rng=rng(3)), Dense(4, 5, rng=rng(3), dtype=np.float32)
    assert two.weight.dtype == two.bias.dtype == np.float32
    assert np.array_equal(one.weight.astype(np.float32), two.weight)
    assert not np.array_equal(one.weight, Dense(4, 5, rng=rng(4)).weight)


def test_activations():
    x = np.array([[-1000.0, -1, 0, 1, 1000]])
    assert np.array_equal(ReLU()(x), [[0, 0, 0, 1, 1000]])
    assert np.allclose(Sigmoid()(x), [[0, 1 / (1 + np.e), 0.5, np.e / (1 + np.e), 1]], rtol=1e-15)
    assert np.allclose(bn_lib.Tanh()(x), np.tanh(x), rtol=0)
    for layer in (ReLU(), Sigmoid(), bn_lib.Tanh()):
        for dtype in (np.float16, np.float32, np.float64):
            assert layer.forward(x.astype(dtype)).dtype == dtype
            assert layer.backward(x.astype(dtype)).dtype == dtype


def test_relu_lets_no_gradient_through_at_zero():
    layer = ReLU()
    layer.forward(np.array([[0.0, -0.0, 1e-300]]))
    assert np.array_equal(layer.backward(np.ones((1, 3))), [[0, 0, 1]])


def test_activations_do_not_hide_what_is_not_a_number():
    for layer in (ReLU(), Sigmoid(), bn_lib.Tanh()):
        assert np.array_equal(np.isnan(layer.forward(np.array([[np.nan, -1.0, np.inf]]))), [[True, False, False]])


def test_dropout_keeps_the_mean_and_the_choice():
    layer = Dropout(0.25, rng=rng())
    x = np.ones((400, 500))
    y = layer.forward(x)
    assert set(np.unique(y)) == {0, 1 / 0.75}
    assert abs((y == 0).mean() - 0.25) < 0.005  # 5 standard deviations of the fraction
    assert np.array_equal(layer.backward(x), y)  # the same elements, with the same factor
    assert not np.array_equal(layer.forward(x), y)  # a new choice every time
    assert np.array_equal(layer.eval().forward(x), x)
    assert np.array_equal(layer.backward(x), x)
    assert np.array_equal(Dropout(0, rng=rng()).forward(x), x)
    assert Dropout(0.25, rng=rng()).forward(x.astype(np.float32)).dtype == np.float32


def test_flatten_and_back():
    layer, x = Flatten(), rng().normal(size=(3, 2, 4, 5))
    y = layer.forward(x)
    assert np.array_equal(y, x.reshape(3, 40))
    assert np.array_equal(layer.backward(y), x)


def test_modes_reach_every_layer():
    inner = BatchNorm(3)
    model = Sequential(ReLU(), Sequential(Sequential(inner)))
    assert model.eval() is model
    assert all(not layer.training for layer in model.layers())
    assert model.train() is model
    assert all(layer.training for layer in model.layers())
    assert inner.training
    assert [type(layer).__name__ for layer in model.layers()] == [
        "Sequential",
        "ReLU",
        "Sequential",
        "Sequential",
        "BatchNorm",
    ]


def test_nothing_in_a_row_does_nothing():
    x = np.ones((2, 2))
    assert Sequential().forward(x) is x
    assert Sequential().backward(x) is x
    assert Sequential()(x) is x


def test_watchers_see_every_output_and_its_gradient():
    model = Sequential(Dense(2, 3, rng=rng()), ReLU())
    seen = []
    model.watchers.append(lambda kind, i, layer, array: seen.append((kind, i, layer, array)))
    y = model.forward(rng(1).normal(size=(4, 2)))
    dy = np.ones_like(y)
    model.backward(dy)
    assert [(kind, i) for kind, i, _, _ in seen] == [
        ("activation", 0),
        ("activation", 1),
        ("gradient", 1),
        ("gradient", 0),
    ]
    assert all(layer is model.stack[i] for _, i, layer, _ in seen)
    assert seen[1][3] is y
    assert seen[2][3] is dy
    assert np.array_equal(seen[3][3], dy * (seen[0][3] > 0))


@pytest.mark.parametrize(
    ("first", "size"),
    [
        (lambda: Dense(6, 3, rng=rng()), (4, 6)),
        (lambda: Dense(6, 3, bias=False, rng=rng()), (4, 6)),
        (lambda: Conv2d(2, 3, 3, padding=1, rng=rng()), (4, 2, 5, 6)),
        (lambda: Conv2d(2, 3, 2, stride=2, bias=False, rng=rng()), (4, 2, 5, 6)),
        (lambda: BatchNorm(2), (4, 2)),
        (lambda: Sequential(Dense(6, 3, rng=rng()), BatchNorm(3)), (4, 6)),
        (lambda: Sequential(), (4, 6)),
    ],
)
def test_fill_grads_is_backward_without_what_it_returns(first, size):
    one, two = Sequential(first(), ReLU()), Sequential(first(), ReLU())
    seen = {one: [], two: []}
    for model in (one, two):
        model.watchers.append(lambda kind, i, layer, array, model=model: seen[model].append((kind, i, array)))
        y = model.forward(rng(1).normal(size=size))
        dy = rng(2).normal(size=y.shape)
        model.backward(dy) if model is one else model.fill_grads(dy)
    for layer, other in zip(one.layers(), two.layers(), strict=True):
        assert layer.grads.keys() == other.grads.keys() == set(layer.parameter_names)
        assert all(np.array_equal(layer.grads[name], other.grads[name]) for name in layer.grads)
    for (kind, i, array), (other_kind, j, other_array) in zip(seen[one], seen[two], strict=True):
        assert (kind, i) == (other_kind, j)
        assert np.array_equal(array, other_array)


@pytest.mark.parametrize("base", [Dense, Conv2d, Sequential, BatchNorm])
def test_fill_grads_follows_a_backward_of_ones_own(base):
    class Doubled(base):
        def backward(self, dy):
            return super().backward(2 * dy)

    def layer(kind):
        if base is Sequential:
            return kind(Dense(6, 3, rng=rng()))
        return kind(6) if base is BatchNorm else kind(6, 3, *([1] if base is Conv2d else []), rng=rng())

    x = rng(1).normal(size=(4, 6, 2, 2) if base is Conv2d else (4, 6))
    plain, doubled = Sequential(layer(base)), Sequential(layer(Doubled))
    dy = rng(2).normal(size=plain.forward(x).shape)
    doubled.forward(x)
    plain.fill_grads(2 * dy)
    doubled.fill_grads(dy)
    for one, other in zip(plain.layers(), doubled.layers(), strict=True):
        assert one.grads.keys() == other.grads.keys() == set(one.parameter_names)
        assert all(np.array_equal(one.grads[name], other.grads[name]) for name in one.grads)


def test_fill_grads_refuses_what_backward_refuses():
    for layer, x in ((Dense(6, 3, rng=rng()), (4, 6)), (Conv2d(2, 3, 1, rng=rng()), (4, 2, 5, 6))):
        with pytest.raises(RuntimeError, match="before forward"):
            layer.fill_grads(np.ones((4, 3)))
        layer.forward(np.ones(x))
        with pytest.raises(ValueError, match="dy has shape"):
            layer.fill_grads(np.ones((1, 3)))
        assert layer.grads == {}


# A layer in more than one place


def numeric(f, at, dy):
    """Central differences of sum(dy * f(at)); good to 1e-8 or so where values are of order 1."""
    gradient, h = np.zeros(at.shape), 1e-6
    for i in np.ndindex(at.shape):
        near, far = at.copy(), at.copy()
        near[i], far[i] = near[i] + h, far[i] - h
        gradient[i] = np.sum(dy * (f(near) - f(far))) / (2 * h)
    return gradient


def twice(layer):
    return Sequential(layer, layer)


def twice_with_another_between(layer):
    return Sequential(layer, bn_lib.Tanh(), Dense(3, 3, rng=rng(1)), layer)


def inside_and_outside(layer):
    return Sequential(layer, Sequential(bn_lib.Tanh(), Sequential(layer, Sigmoid())), layer)


def a_whole_network_twice(layer):
    inner = Sequential(layer, bn_lib.Tanh(), layer)
    return Sequential(inner, Sequential(inner))


class Residual(bn_lib.Layer):
    """x + body(x): a container of the user's own."""

    def __init__(self, *body):
        super().__init__()
        self.body = Sequential(*body)

    def layers(self):
        yield self
        yield from self.body.layers()

    def forward(self, x):
        return x + self.body.forward(x)

    def backward(self, dy):
        return dy + self.body.backward(dy)


def in_a_container_of_the_users_own(layer):
    residual = Residual(layer, bn_lib.Tanh())
    return Sequential(residual, layer, residual)


SHARED = {
    "Tanh": bn_lib.Tanh,
    "ReLU": ReLU,
    "Dense": lambda: Dense(3, 3, rng=rng()),
    **{name: build for name, build in (LAYERS | MODULATED).items() if name != "InstanceNorm"},  # it wants positions
}
PLACES = [
    twice,
    twice_with_another_between,
    inside_and_outside,
    a_whole_network_twice,
    in_a_container_of_the_users_own,
]


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.__name__)
@pytest.mark.parametrize("shared", SHARED)
def test_a_layer_in_more_than_one_place_has_the_sum_of_its_gradients(shared, place):
    layer = SHARED[shared]()
    model = place(layer)
    x = rng(3).normal(size=(4, 3))
    dy = rng(4).normal(size=model.forward(x).shape)
    assert np.allclose(model.backward(dy), numeric(model.forward, x, dy), rtol=1e-6, atol=1e-7)
    grads = dict(layer.grads)
    assert grads.keys() == set(layer.parameter_names)
    for name, gradient in grads.items():
        before = getattr(layer, name)

        def of_parameter(value, name=name):
            setattr(layer, name, value)
            return model.forward(x)

        assert np.allclose(gradient, numeric(of_parameter, before, dy), rtol=1e-6, atol=1e-7), name
        setattr(layer, name, before)
    model.forward(x)
    model.fill_grads(dy)
    assert all(np.array_equal(layer.grads[name], gradient) for name, gradient in grads.items())


def test_the_numbers_of_the_same_layer_twice():
    """w * w * x at w = 3, x = 1; and tanh(tanh(1))."""
    dense = Dense(1, 1, bias=False, rng=rng())
    dense.weight = np.array([[3.0]])
    model = Sequential(dense, dense)
    assert model.forward(np.array([[1.0]])) == 9
    model.backward(np.array([[1.0]]))
    assert dense.grads["weight"] == 6
    model = Sequential(*[bn_lib.Tanh()] * 2)
    model.forward(np.array([[1.0]]))
    inner = np.tanh(1)
    expected = (1 - np.tanh(inner) ** 2) * (1 - inner**2)
    assert np.isclose(model.backward(np.array([[1.0]])), expected, rtol=1e-14)


def test_two_networks_that_share_a_layer_go_back_through_their_own_passes():
    trunk = Dense(3, 3, rng=rng())
    heads = [Sequential(trunk, bn_lib.Tanh()), Sequential(trunk, Sigmoid())]
    inputs = [rng(i).normal(size=(4, 3)) for i in (1, 2)]
    for head, x in zip(heads, inputs, strict=True):
        head.forward(x)
    dy = rng(5).normal(size=(4, 3))
    found = [head.backward(dy) for head in heads]
    for head, x, dx in zip(heads, inputs, found, strict=True):
        head.forward(x)
        assert np.array_equal(head.backward(dy), dx)


def test_a_network_is_not_put_into_itself():
    model = Sequential(ReLU())
    for inside in (model, Sequential(ReLU(), model), Residual(model)):
        with pytest.raises(ValueError, match=r"layer 1 holds the Sequential"):
            model.stack += (inside,)
    assert len(model.stack) == 1
    with pytest.raises(TypeError, match=r"layer 0 is a int; expected a Layer"):
        model.stack = [3]
    assert len(model.stack) == 1


# Which pass is gone back from

ANY_LAYER = {
    **SHARED,
    "Sigmoid": Sigmoid,
    "Flatten": Flatten,
    "Dropout": lambda: Dropout(0.5, rng=rng()),
    "Conv2d": lambda: Conv2d(3, 3, 1, rng=rng()),
    "Sequential": lambda: Sequential(bn_lib.Tanh(), Sequential(ReLU())),
}


def batch(name, seed):
    return rng(seed).normal(size=(4, 3, 1, 1) if name == "Conv2d" else (4, 3))


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", ANY_LAYER)
def test_two_passes_forward_are_not_gone_back_from_twice(name, training):
    """Whoever calls backward twice means both passes, and the first of them is forgotten."""
    layer, x, other = ANY_LAYER[name](), batch(name, 1), batch(name, 2)
    layer.train() if training else layer.eval()
    layer.forward(x)
    layer.forward(other)
    with pytest.raises(ValueError, match="dy has shape"):  # which does not count as going back
        layer.backward(x[:2])
    layer.backward(x)
    for _ in range(2):
        with pytest.raises(RuntimeError, match=rf"{name}\.backward was called twice after two forward passes"):
            layer.backward(x)
    layer.forward(x)
    layer.backward(x)


@pytest.mark.parametrize("name", ANY_LAYER)
def test_one_pass_is_gone_back_from_as_often_as_wanted(name):
    """The rows of a Jacobian, one by one; gradients of parameters are those of the last."""
    layer, x, dy = ANY_LAYER[name](), batch(name, 1), batch(name, 2)
    layer.forward(x)
    first = layer.backward(dy)
    layer.backward(2 * dy)
    assert np.array_equal(layer.backward(dy), first)


def test_after_a_pass_that_raised_there_is_nothing_to_go_back_from():
    model = Sequential(Dense(3, 3, rng=rng()), BatchNorm(3), Sequential(bn_lib.Tanh()), Dense(3, 2, rng=rng()))
    x = rng(1).normal(size=(4, 3))
    model.forward(x)
    last = model.stack[3]
    weight, last.weight = last.weight, np.ones((7, 2))  # which the last layer notices, after all others have run
    with pytest.raises(ValueError, match="expected \\(N, 7\\)"):
        model.forward(x + 1)
    last.weight = weight
    for layer in model.layers():
        with pytest.raises(RuntimeError, match="before forward"):
            layer.backward(np.ones((4, 2)))
    model.forward(x)
    model.backward(np.ones((4, 2)))


def test_a_layer_goes_back_through_the_weights_it_came_by():
    """An update, or a load, in between does not mix with the pass before it."""
    for layer, size in ((Dense(3, 2, rng=rng()), (4, 3)), (Conv2d(3, 2, 2, rng=rng()), (4, 3, 5, 5))):
        y = layer.forward(rng(1).normal(size=size))
        dx = layer.backward(np.ones(y.shape))
        layer.weight = layer.weight + 1
        assert np.array_equal(layer.backward(np.ones(y.shape)), dx)


# No rows

NO_ROWS = {
    "Dense": (lambda: Dense(3, 2, rng=rng()), (0, 3), (0, 2)),
    "Conv2d": (lambda: Conv2d(3, 2, 2, rng=rng()), (0, 3, 4, 5), (0, 2, 3, 4)),
    "ReLU": (ReLU, (0, 3), (0, 3)),
    "Sigmoid": (Sigmoid, (0, 3), (0, 3)),
    "Tanh": (bn_lib.Tanh, (0, 3), (0, 3)),
    "Flatten": (Flatten, (0, 3, 4, 5), (0, 60)),
    "Dropout": (lambda: Dropout(0.5, rng=rng()), (0, 3), (0, 3)),
}


@pytest.mark.parametrize("name", NO_ROWS)
def test_no_rows_give_no_rows_in_inference_and_are_refused_in_training(name):
    build, size, y_size = NO_ROWS[name]
    layer = build()
    with pytest.raises(ValueError, match=r"x has shape \(0, .*at least one element"):
        layer.forward(np.empty(size))
    y = layer.eval().forward(np.empty(size, np.float32))
    assert y.shape == y_size
    assert layer.backward(y).shape == size
    assert all(not gradient.any() for gradient in layer.grads.values())


# The loss


def test_the_loss_is_its_formula():
    logits, labels = rng().normal(size=(5, 3)), np.array([0, 2, 1, 1, 0])
    loss, dlogits = bn_lib.softmax_cross_entropy(logits, labels)
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert np.isclose(loss, -np.log(p[np.arange(5), labels]).mean(), rtol=1e-14)
    assert np.allclose(dlogits, (p - np.eye(3)[labels]) / 5, rtol=0, atol=1e-16)
    assert type(loss) is float


def test_the_loss_of_not_knowing_is_the_logarithm_of_the_number_of_classes():
    loss, _ = bn_lib.softmax_cross_entropy(np.full((4, 10), 7.0), np.arange(4))
    assert np.isclose(loss, np.log(10), rtol=1e-15)


def test_huge_logits_do_not_overflow():
    loss, dlogits = bn_lib.softmax_cross_entropy(np.array([[1e300, -1e300], [-1e300, 1e300]]), np.array([0, 0]))
    assert loss == 1e300  # one row right and free, one wrong by 2e300
    assert np.array_equal(dlogits, [[0, 0], [-0.5, 0.5]])


def test_the_loss_of_float16_is_summed_in_float32():
    """100,000 terms of 1 are no float16, which ends at 65,504."""
    loss, dlogits = bn_lib.softmax_cross_entropy(np.zeros((1, 100_000), np.float16), np.array([5]))
    assert np.isclose(loss, np.log(100_000), rtol=1e-6)
    assert dlogits.dtype == np.float16


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.int16, np.uint64])
def test_more_classes_than_the_type_of_the_labels_can_count(dtype):
    """300 classes, labels of uint8: class 256 must not be taken for class 0."""
    labels = np.array([0, 100, 0], dtype)
    _, dlogits = bn_lib.softmax_cross_entropy(np.zeros((3, 300)), labels)
    assert np.array_equal(np.argwhere(dlogits < 0), [[0, 0], [1, 100], [2, 0]])
    x = rng().normal(size=(3, 2))
    _, cache = bn_lib.conditional_batch_norm(x, labels, np.ones((300, 2)), np.zeros((300, 2)))
    _, _, dbeta = bn_lib.conditional_batch_norm_backward(np.ones((3, 2)), cache)
    assert np.array_equal(np.flatnonzero(dbeta[:, 0]), [0, 100])
    assert np.array_equal(dbeta[[0, 100], 0], [2, 1])


def test_a_sequential_is_read_as_a_sequence():
    r = rng()
    layers = Dense(2, 3, rng=r), ReLU(), Sequential(Dense(3, 3, rng=r), ReLU()), Dense(3, 1, rng=r)
    model = Sequential(*layers)
    assert len(model) == 4
    assert len(Sequential()) == 0
    assert list(model) == list(layers)
    assert [model[i] for i in (0, 3, -1, np.int64(1))] == [layers[i] for i in (0, 3, 3, 1)]
    assert layers[1] in model
    x = rng(1).normal(size=(5, 2))
    assert np.array_equal(model[2:](model[:2](x)), model(x))
    assert type(model[:-1]) is Sequential
    assert model[::2].stack == layers[::2]
    assert type(bn_lib.Residual(*layers)[:1]) is Sequential  # part of F, and nothing is added to it
    with pytest.raises(IndexError):
        model[4]
    with pytest.raises(TypeError):
        model["0"]
