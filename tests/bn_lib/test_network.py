"""The layers of the small network, against their formulas written as loops; see `test_pytorch` for the rest."""

import numpy as np
import pytest

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
