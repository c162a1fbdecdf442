"""Every complaint of the layers, the loss, the training loop, moments and conventions: as for the normalizers."""

# ruff: noqa: E501 (one complaint, one line)

import numpy as np
import pytest
from normalizer_cases import LAYERS, MODULATED
from refusals import IMAGES, LABELS, ONE, ONES, ZERO, X, assert_refused, other_kind, row

import bn_lib
from bn_lib import SGD, BatchNorm, Conv2d, Convention, Dense, Dropout, Moments, Recorder, Sequential

RNG = np.random.default_rng(0)

NETWORK = {
    "Dense": (lambda: Dense(3, 2, rng=np.random.default_rng(0)), (4, 3), (4, 2)),
    "Conv2d": (lambda: Conv2d(2, 3, 2, rng=np.random.default_rng(0)), (2, 2, 3, 3), (2, 3, 2, 2)),
    **{name: (build, (4, 3, 2), (4, 3, 2)) for name, build in (LAYERS | MODULATED).items()},
    "ReLU": (bn_lib.ReLU, (4, 3), (4, 3)),
    "Sigmoid": (bn_lib.Sigmoid, (4, 3), (4, 3)),
    "Tanh": (bn_lib.Tanh, (4, 3), (4, 3)),
    "Flatten": (bn_lib.Flatten, (4, 3, 2), (4, 6)),
    "Dropout": (lambda: Dropout(0.5, rng=np.random.default_rng(0)), (4, 3), (4, 3)),
    "Sequential": (lambda: Sequential(bn_lib.ReLU(), bn_lib.Flatten()), (4, 3, 2), (4, 6)),
}


@pytest.mark.parametrize("name", NETWORK)
def test_backward_before_forward(name):
    build, _, dy_shape = NETWORK[name]
    layer = build()
    first = layer.stack[-1] if isinstance(layer, Sequential) else layer  # the first that backward reaches
    expected = f"{type(first).__name__}.backward was called before forward; call forward(x) first"
    with pytest.raises(RuntimeError) as caught:
        layer.backward(np.ones(dy_shape))
    assert str(caught.value) == expected


@pytest.mark.parametrize("name", NETWORK)
@pytest.mark.parametrize("training", [True, False])
def test_a_gradient_of_another_shape_or_kind(name, training):
    """NumPy would broadcast (1, C) to (N, C), and return a wrong gradient without a word."""
    build, x_shape, dy_shape = NETWORK[name]
    layer = build()
    layer.train() if training else layer.eval()
    layer.forward(np.random.default_rng(0).normal(size=x_shape))
    for wrong in ((1, *dy_shape[1:]), (*dy_shape, 1), dy_shape[1:], (dy_shape[0], 1, *dy_shape[2:])):
        assert_refused("dy", str(wrong), str(dy_shape), ValueError, lambda w=wrong: layer.backward(np.ones(w)))
    dy = np.ones(dy_shape)
    assert_refused("dy", "list", "array", TypeError, lambda: layer.backward(dy.tolist()))
    assert_refused("dy", "int64", "float32", TypeError, lambda: layer.backward(dy.astype(int)))
    assert_refused("dy", "array_api_strict", "numpy", TypeError, lambda: layer.backward(other_kind(dy)))
    layer.backward(dy)  # and the right one is still taken


@pytest.mark.parametrize("name", [n for n in NETWORK if n != "Sequential"])
def test_layers_take_arrays_of_floats(name):
    build, x_shape, _ = NETWORK[name]
    x = np.ones(x_shape)
    assert_refused("x", "list", "NumPy or CuPy array", TypeError, lambda: build().forward(x.tolist()))
    assert_refused("x", "int64", "float16, float32, float64", TypeError, lambda: build().forward(x.astype(int)))
    assert_refused("x", "complex128", "float16, float32, float64", TypeError, lambda: build().forward(x + 0j))


def sgd(**options):
    return SGD(Dense(3, 2, rng=np.random.default_rng(0)), **{"learning_rate": 0.1, **options})


def fit(x=X, labels=LABELS, *, rng=RNG, **options):
    model = Sequential(Dense(3, 2, rng=np.random.default_rng(0)))
    options = {"epochs": 1, "batch_size": 2, "progress": False, **options}
    return bn_lib.fit(model, SGD(model, 0.1), x, labels, rng=rng, **options)


def cut(parts):
    optimizer = sgd()
    bn_lib.train_step(optimizer.model, optimizer, X, LABELS, accumulate=parts)


def conv(x, **options):
    return Conv2d(2, 3, 3, rng=np.random.default_rng(0), **options).forward(x)


def step_without_backward():
    model = Dense(3, 2, rng=np.random.default_rng(0))
    SGD(model, 0.1).step()


@pytest.mark.parametrize(
    ("name", "seen", "expected", "error", "call"),
    [
        # layers' constructors
        row("num_features", "0", ">= 1", ValueError, lambda: BatchNorm(0)),
        row("num_features", "3.0", "a whole number >= 1", TypeError, lambda: BatchNorm(3.0)),
        row("num_features", "True", "a whole number >= 1", TypeError, lambda: bn_lib.LayerNorm(True)),
        row("momentum", "1.5", "between 0 and 1", ValueError, lambda: BatchNorm(3, momentum=1.5)),
        row("momentum", "-0.1", "between 0 and 1", ValueError, lambda: BatchNorm(3, momentum=-0.1)),
        row("momentum", "nan", "between 0 and 1", ValueError, lambda: BatchNorm(3, momentum=np.nan)),
        row("momentum", "'0.1'", "a number", TypeError, lambda: BatchNorm(3, momentum="0.1")),
        row("eps", "-1", "finite number >= 0", ValueError, lambda: BatchNorm(3, eps=-1)),
        row("dtype", "int", "float16, float32, float64", TypeError, lambda: BatchNorm(3, dtype=int)),
        row("dtype", "complex64", "float16, float32, float64", TypeError, lambda: bn_lib.GroupNorm(1, 3, dtype="complex64")),
        row("dtype", "no type", "float16, float32, float64", TypeError, lambda: BatchNorm(3, dtype="no type")),
        row("convention", "'caffe'", "pytorch, keras, flax, paper", ValueError, lambda: BatchNorm.in_convention("caffe", 3)),
        row("momentum", "None", "has no plain average", ValueError, lambda: BatchNorm.in_convention("keras", 3, momentum=None)),
        row("momentum", "0.1", "expected None", ValueError, lambda: BatchNorm.in_convention("paper", 3, momentum=0.1)),
        row("inputs", "0", ">= 1", ValueError, lambda: Dense(0, 2, rng=RNG)),
        row("outputs", "2.5", "a whole number", TypeError, lambda: Dense(2, 2.5, rng=RNG)),
        row("init", "'xavier'", "'he', 'glorot'", ValueError, lambda: Dense(2, 2, init="xavier", rng=RNG)),
        row("init", "-1", ">= 0", ValueError, lambda: Dense(2, 2, init=-1.0, rng=RNG)),
        row("rng", "0", "numpy.random.default_rng(seed)", TypeError, lambda: Dense(2, 2, rng=0)),
        row("rng", "None", "numpy.random.default_rng(seed)", TypeError, lambda: Conv2d(2, 2, 3, rng=None)),
        row("rng", "0", "numpy.random.default_rng(seed)", TypeError, lambda: Dropout(0.5, rng=0), id="Dropout's rng"),
        row("dtype", "int", "float16, float32, float64", TypeError, lambda: Dense(2, 2, rng=RNG, dtype=int), id="Dense's dtype"),
        row("kernel_size", "0", ">= 1", ValueError, lambda: Conv2d(2, 2, 0, rng=RNG)),
        row("stride", "0", ">= 1", ValueError, lambda: Conv2d(2, 2, 3, stride=0, rng=RNG)),
        row("padding", "-1", ">= 0", ValueError, lambda: Conv2d(2, 2, 3, padding=-1, rng=RNG)),
        row("padding", "1.5", "a whole number >= 0", TypeError, lambda: Conv2d(2, 2, 3, padding=1.5, rng=RNG)),
        row("rate", "1", "expected less", ValueError, lambda: Dropout(1, rng=RNG)),
        row("rate", "-0.1", "between 0 and 1", ValueError, lambda: Dropout(-0.1, rng=RNG)),
        row("rate", "1.1", "between 0 and 1", ValueError, lambda: Dropout(1.1, rng=RNG)),
        row("layer 1", "function", "a Layer", TypeError, lambda: Sequential(bn_lib.ReLU(), lambda x: x)),
        row("layer 0", "list", "a Layer", TypeError, lambda: Sequential([bn_lib.ReLU()])),
        row("layer 0", "type", "a Layer", TypeError, lambda: Sequential(bn_lib.ReLU)),
        # layers' input
        row("x", "shape (4, 4)", "(N, 3)", ValueError, lambda: Dense(3, 2, rng=RNG).forward(np.ones((4, 4)))),
        row("x", "shape (3,)", "(N, 3)", ValueError, lambda: Dense(3, 2, rng=RNG).forward(ONE)),
        row("weight", "numpy", "array_api_strict", TypeError, lambda: Dense(3, 2, rng=RNG).forward(other_kind(X))),
        row("weight", "numpy", "array_api_strict", TypeError, lambda: conv(other_kind(np.ones((1, 2, 3, 3)))), id="Conv2d's weight"),
        row("x", "shape (2, 3, 3, 3)", "(N, 2, H, W)", ValueError, lambda: conv(np.ones((2, 3, 3, 3)))),
        row("x", "shape (2, 3, 3)", "(N, 2, H, W)", ValueError, lambda: conv(np.ones((2, 3, 3)))),
        row("x", "shape (1, 2, 2, 9)", "at least 3 rows and columns", ValueError, lambda: conv(np.ones((1, 2, 2, 9)))),
        row("x", "shape (1, 2, 9, 0)", "at least 1 rows and columns", ValueError, lambda: conv(np.ones((1, 2, 9, 0)), padding=1)),
        row("x", "shape (0, 3)", "at least one element", ValueError, lambda: bn_lib.Flatten().forward(X[:0])),
        # loss
        row("logits", "shape (4,)", "(N, classes)", ValueError, lambda: bn_lib.softmax_cross_entropy(np.ones(4), LABELS)),
        row("logits", "shape (0, 3)", "(N, classes)", ValueError, lambda: bn_lib.softmax_cross_entropy(X[:0], LABELS[:0])),
        row("logits", "list", "array", TypeError, lambda: bn_lib.softmax_cross_entropy(X.tolist(), LABELS)),
        row("labels", "class 3", "classes 0 to 2", ValueError, lambda: bn_lib.softmax_cross_entropy(X, LABELS + 2)),
        row("labels", "class -1", "classes 0 to 2", ValueError, lambda: bn_lib.softmax_cross_entropy(X, LABELS - 1)),
        row("labels", "float64", "an integer type", TypeError, lambda: bn_lib.softmax_cross_entropy(X, LABELS * 1.0)),
        row("labels", "shape (4, 3)", "(4,)", ValueError, lambda: bn_lib.softmax_cross_entropy(X, X.astype(int))),
        row("labels", "array_api_strict", "numpy", TypeError, lambda: bn_lib.softmax_cross_entropy(X, other_kind(LABELS)), id="labels of another kind"),
        # optimizer
        row("model", "str", "a Layer", TypeError, lambda: SGD("model", 0.1)),
        row("learning_rate", "-0.1", ">= 0", ValueError, lambda: sgd(learning_rate=-0.1)),
        row("learning_rate", "nan", ">= 0", ValueError, lambda: sgd(learning_rate=np.nan)),
        row("momentum", "1", "expected less", ValueError, lambda: sgd(momentum=1.0), id="SGD's momentum 1"),
        row("momentum", "-0.5", "between 0 and 1", ValueError, lambda: sgd(momentum=-0.5)),
        row("weight_decay", "-1", ">= 0", ValueError, lambda: sgd(weight_decay=-1)),
        row("groups[0]", "str", "a dict", TypeError, lambda: sgd(groups=["gamma"])),
        row("groups[1]", "['lr']", "learning_rate", ValueError, lambda: sgd(groups=[{"names": "bias"}, {"lr": 0.1}])),
        row("groups[0]['momentum']", "1", "expected less", ValueError, lambda: sgd(groups=[{"momentum": 1.0}])),
        row("groups[0]", "no parameter", "names and layers that the model has", ValueError, lambda: sgd(groups=[{"names": "gamma"}])),
        row("groups[0]", "no parameter", "names and layers that the model has", ValueError, lambda: sgd(groups=[{"layers": Dense(3, 2, rng=RNG)}]), id="a group of another model"),
        row("groups[0]['layers']", "str", "a Layer", TypeError, lambda: sgd(groups=[{"layers": ["0"]}])),
        row("Dense", "no gradient of weight", "call backward(dy) first", RuntimeError, step_without_backward),
        # training
        row("batch_size", "5", "at most the 4 rows of x", ValueError, lambda: fit(batch_size=5)),
        row("batch_size", "0", ">= 1", ValueError, lambda: fit(batch_size=0)),
        row("batch_size", "2 and accumulate 3", "at most the 4 rows of x", ValueError, lambda: fit(accumulate=3)),
        row("accumulate", "0", ">= 1", ValueError, lambda: fit(accumulate=0)),
        row("accumulate", "5", "at most the 4 rows of x", ValueError, lambda: cut(5)),
        row("model", "str", "a Layer", TypeError, lambda: bn_lib.accumulate_gradients("model").__enter__(), id="accumulate_gradients"),
        row("epochs", "0", ">= 1", ValueError, lambda: fit(epochs=0)),
        row("epochs", "1.0", "a whole number", TypeError, lambda: fit(epochs=1.0)),
        row("rng", "7", "numpy.random.default_rng(seed)", TypeError, lambda: fit(rng=7), id="fit's rng"),
        row("x", "list", "array", TypeError, lambda: fit(X.tolist())),
        row("x", "shape ()", "(N, C)", ValueError, lambda: fit(np.array(1.0))),
        row("labels", "list", "an integer array of shape (4,)", TypeError, lambda: fit(labels=LABELS.tolist())),
        row("labels", "shape (0,)", "(4,)", ValueError, lambda: fit(labels=LABELS[:0])),
        row("labels", "class -1", "classes from 0", ValueError, lambda: fit(labels=LABELS - 1)),
        row("labels", "float64", "an integer type", TypeError, lambda: fit(labels=LABELS * 1.0), id="fit with float labels"),
        row("validation[0]", "list", "array", TypeError, lambda: fit(validation=(X.tolist(), LABELS))),
        row("validation[1]", "shape (3,)", "(4,)", ValueError, lambda: fit(validation=(X, LABELS[:3]))),
        row("labels", "shape (4, 1)", "(4,)", ValueError, lambda: bn_lib.accuracy(bn_lib.ReLU(), X, LABELS[:, None]), id="accuracy"),
        row("every", "0", ">= 1", ValueError, lambda: Recorder(Sequential(), every=0)),
        # moments
        row("x", "list", "array", TypeError, lambda: Moments.of([1.0, 2.0], 0)),
        row("x", "int64", "float64", TypeError, lambda: Moments.of(np.arange(3), 0)),
        row("x", "shape (0, 3)", "at least one element along axis 0", ValueError, lambda: Moments.of(X[:0], 0)),
        row("axis", "2", "between -2 and 1", ValueError, lambda: Moments.of(X, 2)),
        row("axis", "(0, -2)", "every axis once", ValueError, lambda: Moments.of(X, (0, -2))),
        row("axis", "None", "a whole number or a tuple", TypeError, lambda: Moments.of(X, None)),
        row("axis", "0.0", "a whole number or a tuple", TypeError, lambda: Moments.of(X, 0.0)),
        row("other", "tuple", "Moments", TypeError, lambda: Moments.of(X, 0).merge((4, ZERO, ONE))),
        row("other", "shape (2,)", "(3,)", ValueError, lambda: Moments.of(X, 0).merge(Moments.of(X[:, :2], 0))),
        row("ddof", "1", "less than the count, which is 1", ValueError, lambda: Moments.of(X[:1], 0).var(ddof=1)),
        row("ddof", "4", "less than the count, which is 4", ValueError, lambda: Moments.of(X, 0).var(ddof=4)),
        # conventions
        row("momentum", "1.1", "between 0 and 1", ValueError, lambda: Convention.KERAS.batch_weight(1.1)),
        row("momentum", "None", "'keras' has no plain average", ValueError, lambda: Convention.PAPER.convert_momentum(None, "keras"), id="paper to keras"),
        row("momentum", "0.1", "'paper' averages all batches equally", ValueError, lambda: Convention.KERAS.convert_momentum(0.9, "paper"), id="keras to paper"),
        row("count", "1", "at least 2", ValueError, lambda: Convention.PYTORCH.convert_running_var(ONE, "keras", count=1, momentum=0.1, updates=1)),
        row("running_var", "list", "array", TypeError, lambda: Convention.PYTORCH.convert_running_var([1.0], "keras", count=4, momentum=0.1, updates=1)),
        row("running_var", "NoneType", "array", TypeError, lambda: Convention.PYTORCH.convert_running_var(None, "paper", count=4, momentum=0.1, updates=1)),
        row("running_var", "-1", "finite variances >= 0", ValueError, lambda: Convention.PYTORCH.convert_running_var(-ONE, "keras", count=4, momentum=0.1, updates=1)),
        row("initial", "'1'", "a number", TypeError, lambda: Convention.PYTORCH.convert_running_var(ONE, "keras", count=4, momentum=0.1, updates=1, initial="1")),
        row("convention", "None", "pytorch, keras, flax, paper, or a Convention", TypeError, lambda: BatchNorm.in_convention(None, 3)),
        row("convention", "['keras']", "pytorch, keras, flax, paper, or a Convention", TypeError, lambda: Convention.named(["keras"])),
        row("convention", "'caffe'", "one of pytorch, keras, flax, paper", ValueError, lambda: Convention.named("caffe"), id="Convention.named"),
        row("names", "'caffe'", "one of pytorch, keras, flax", ValueError, lambda: BatchNorm(3).state_dict(names="caffe")),
        row("names", "3", "one of pytorch, keras, flax", TypeError, lambda: BatchNorm(3).state_dict(names=3)),
        row("names", "'paper'", "one of pytorch, keras, flax", ValueError, lambda: BatchNorm(3).load_state_dict({}, names="paper")),
        row("state['weight']", "shape (3, 2)", "(2, 3)", ValueError, lambda: Dense(3, 2, bias=False, rng=RNG).load_state_dict({"weight": np.ones((3, 2))}, names="torch")),
        row("state lacks ['params/bias', 'params/scale']", "unknown ['gamma']", "batch_stats/mean", ValueError, lambda: BatchNorm(3).load_state_dict({"gamma": ONE, "batch_stats": {"mean": ONE, "var": ONE}}, names="flax")),
        row("updates", "0", ">= 1", ValueError, lambda: Convention.PYTORCH.convert_running_var(ONE, "keras", count=4, momentum=0.1, updates=0)),
    ],
)  # fmt: skip
def test_everything_else(name, seen, expected, error, call):
    assert_refused(name, seen, expected, error, call)


def assign(holder, name, value):
    """Set an attribute; what was there must still be there afterwards if that raises."""
    before = getattr(holder, name)
    try:
        setattr(holder, name, value)
    finally:
        assert getattr(holder, name) is before


@pytest.mark.parametrize(
    ("name", "seen", "expected", "error", "call"),
    [
        row("momentum", "5", "between 0 and 1", ValueError, lambda: assign(BatchNorm(3), "momentum", 5)),
        row("momentum", "nan", "between 0 and 1", ValueError, lambda: assign(BatchNorm(3), "momentum", np.nan)),
        row("momentum", "'0.1'", "a number", TypeError, lambda: assign(BatchNorm(3), "momentum", "0.1")),
        row("eps", "-1", ">= 0", ValueError, lambda: assign(BatchNorm(3), "eps", -1)),
        row("eps", "inf", "finite", ValueError, lambda: assign(BatchNorm(3), "eps", np.inf)),
        row("eps", "None", "a number", TypeError, lambda: assign(bn_lib.LayerNorm(3), "eps", None)),
        row("eps", "nan", "finite", ValueError, lambda: assign(bn_lib.InstanceNorm(3), "eps", np.nan)),
        row("eps", "-1", ">= 0", ValueError, lambda: assign(bn_lib.GroupNorm(1, 3), "eps", -1), id="GroupNorm's eps"),
        row("groups", "2", "a divisor of the 3 channels", ValueError, lambda: assign(bn_lib.GroupNorm(1, 3), "groups", 2)),
        row("groups", "0", ">= 1", ValueError, lambda: assign(bn_lib.GroupNorm(1, 3), "groups", 0)),
        row("unbiased_running_var", "'no'", "True or False", TypeError, lambda: assign(BatchNorm(3), "unbiased_running_var", "no")),
        row("training", "'False'", "True or False", TypeError, lambda: assign(bn_lib.ReLU(), "training", "False")),
        row("training", "None", "True or False", TypeError, lambda: assign(Sequential(), "training", None)),
        row("rate", "1", "expected less", ValueError, lambda: assign(Dropout(0.5, rng=RNG), "rate", 1)),
        row("rate", "nan", "between 0 and 1", ValueError, lambda: assign(Dropout(0.5, rng=RNG), "rate", np.nan)),
        row("stride", "0", ">= 1", ValueError, lambda: assign(Conv2d(1, 1, 2, rng=RNG), "stride", 0)),
        row("padding", "-1", ">= 0", ValueError, lambda: assign(Conv2d(1, 1, 2, rng=RNG), "padding", -1)),
        row("property 'kernel_size'", "Conv2d", "no setter", AttributeError, lambda: assign(Conv2d(1, 1, 2, rng=RNG), "kernel_size", 3)),
        row("property 'num_features'", "BatchNorm", "no setter", AttributeError, lambda: assign(BatchNorm(3), "num_features", 4)),
        row("learning_rate", "-1", ">= 0", ValueError, lambda: assign(sgd(), "learning_rate", -1)),
        row("learning_rate", "nan", ">= 0", ValueError, lambda: assign(sgd(), "learning_rate", np.nan)),
        row("momentum", "1", "expected less", ValueError, lambda: assign(sgd(), "momentum", 1.0), id="SGD's momentum"),
        row("momentum", "5", "between 0 and 1", ValueError, lambda: assign(sgd(), "momentum", 5), id="SGD's momentum 5"),
        row("weight_decay", "'0.1'", "a number", TypeError, lambda: assign(sgd(), "weight_decay", "0.1")),
        row("model", "str", "a Layer", TypeError, lambda: assign(sgd(), "model", "model")),
        row("every", "0", ">= 1", ValueError, lambda: assign(Recorder(Sequential()), "every", 0)),
        row("layer 1", "str", "a Layer", TypeError, lambda: assign(Sequential(), "stack", (bn_lib.ReLU(), "ReLU"))),
    ],
)  # fmt: skip
def test_what_is_set_later_is_checked_as_in_the_constructor(name, seen, expected, error, call):
    assert_refused(name, seen, expected, error, call)


def set_and_forward(layer, x, **arrays):
    for name, value in arrays.items():
        setattr(layer, name, value)
    layer.forward(x)


@pytest.mark.parametrize(
    ("name", "seen", "expected", "error", "call"),
    [
        row("weight", "shape (3,)", "(inputs, outputs)", ValueError, lambda: set_and_forward(Dense(3, 2, rng=RNG), X, weight=ONE)),
        row("weight", "NoneType", "array", TypeError, lambda: set_and_forward(Dense(3, 2, rng=RNG), X, weight=None)),
        row("bias", "shape (4, 1)", "(2,)", ValueError, lambda: set_and_forward(Dense(3, 2, rng=RNG), X, bias=np.ones((4, 1)))),
        row("weight", "shape (4, 4, 2, 3)", "kernel, kernel", ValueError, lambda: set_and_forward(Conv2d(4, 4, 2, rng=RNG), IMAGES, weight=np.ones((4, 4, 2, 3)))),
        row("bias", "shape (1,)", "(4,)", ValueError, lambda: set_and_forward(Conv2d(4, 4, 2, rng=RNG), IMAGES, bias=np.ones(1))),
        row("running_mean", "shape (4, 3)", "(3,)", ValueError, lambda: set_and_forward(BatchNorm(3), X, running_mean=np.zeros((4, 3)))),
        row("running_var", "shape (1,)", "(3,)", ValueError, lambda: set_and_forward(BatchNorm(3), X, running_var=np.ones(1))),
        row("state", "list", "a dict", TypeError, lambda: BatchNorm(3).load_state_dict([ONE])),
        row("model", "Dense", "a Sequential", TypeError, lambda: Recorder(Dense(3, 2, rng=RNG))),
    ],
)  # fmt: skip
def test_arrays_of_another_shape_are_not_broadcast(name, seen, expected, error, call):
    assert_refused(name, seen, expected, error, call)


def test_what_may_be_set_later_is_used():
    layer = BatchNorm(3)
    layer.momentum, layer.eps = None, np.float32(0.5)
    layer.forward(X)
    assert np.allclose(layer.running_mean, X.mean(axis=0), rtol=1e-12)
    assert layer.eps == 0.5
    optimizer = sgd(momentum=0.5)
    optimizer.learning_rate, optimizer.momentum, optimizer.weight_decay = 0, 0, 1
    assert (optimizer.learning_rate, optimizer.momentum, optimizer.weight_decay) == (0, 0, 1)


def test_numpy_scalars_are_numbers():
    """NumPy's scalars are numbers like Python's: what is refused above is not refused too eagerly."""
    layer = BatchNorm(np.int64(3), eps=np.float32(1e-3), momentum=np.float64(0.5), dtype="float32")
    assert layer.gamma.dtype == np.float32
    assert layer.forward(X).shape == X.shape
    assert bn_lib.group_norm(IMAGES, np.ones(4), np.zeros(4), np.int32(2))[0].shape == IMAGES.shape
    assert bn_lib.conditional_batch_norm(X, LABELS.astype(np.uint8), ONES, ONES)[0].shape == X.shape
    assert Moments.of(X, np.int64(0)).count == 4
