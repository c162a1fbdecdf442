"""Every complaint of the normalizers names the argument, what was seen and what was expected."""

# ruff: noqa: E501 (one complaint, one line)

import warnings

import numpy as np
import pytest
from normalizer_cases import LAYERS, MODULATED
from refusals import IMAGES, LABELS, ONE, ONES, X3, ZERO, X, assert_refused, other_kind, row

import bn_lib
from bn_lib import BatchNorm

with warnings.catch_warnings():
    warnings.simplefilter("ignore", PendingDeprecationWarning)
    MATRIX = np.matrix(X)
LAST = np.moveaxis(X3, 1, -1)

# What the normalizing functions refuse. Each takes (x, gamma, beta, eps) here; the rest is bound.


def plain(name):
    return lambda x, gamma=ONE, beta=ZERO, **o: getattr(bn_lib, name)(x, gamma, beta, **o)


def layer_with(build):
    def normalize(x, gamma=ONE, beta=ZERO, eps=1e-5):
        layer = build(eps=eps)
        layer.gamma = gamma
        if "beta" in layer.parameter_names:
            layer.beta = beta
        return layer.forward(x)

    return normalize


OTHERS = {
    "batch_norm_inference": lambda x, gamma=ONE, beta=ZERO, **o: bn_lib.batch_norm_inference(
        x, gamma, beta, ZERO, ONE, **o
    ),
    "rms_norm": lambda x, gamma=ONE, **o: bn_lib.rms_norm(x, gamma, **o),
    "group_norm": lambda x, gamma=ONE, beta=ZERO, **o: bn_lib.group_norm(x, gamma, beta, 1, **o),
    "conditional_batch_norm": lambda x, gamma=ONES, beta=ONES, **o: bn_lib.conditional_batch_norm(
        x, LABELS, gamma, beta, **o
    ),
    "modulated_norm": lambda x, gamma=ONE, beta=ZERO, **o: bn_lib.modulated_norm(x, gamma, beta, axis=2, **o),
    "BatchNorm in inference": layer_with(lambda **o: BatchNorm(3, **o).eval()),
}
FUNCTIONS = (
    {
        name: plain(name)
        for name in bn_lib.__all__
        if name.endswith("_norm") and name not in (*OTHERS, "adaptive_instance_norm", "fold_batch_norm")
    }
    | OTHERS
    | {name: layer_with(build) for name, build in LAYERS.items()}
)


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize(
    ("name", "seen", "expected", "error", "arguments"),
    [
        row("x", "list", "NumPy or CuPy array", TypeError, {"x": X3.tolist()}),
        row("x", "masked array", "without a mask", TypeError, {"x": np.ma.masked_greater(X3, 1)}),
        row("x", "numpy.matrix", "a plain array (numpy.asarray(x))", TypeError, {"x": MATRIX}),
        row("gamma", "numpy.matrix", "a plain array", TypeError, {"x": X3, "gamma": MATRIX[0]}),
        row("x", "shape (4, 2, 3)", "channels are axis 1, and this looks like channels last", ValueError, {"x": LAST}),
        row("x", "NoneType", "NumPy or CuPy array", TypeError, {"x": None}),
        row("x", "dtype int64", "float16, float32, float64", TypeError, {"x": np.ones((4, 3, 2), int)}),
        row("x", "dtype bool", "float16, float32, float64", TypeError, {"x": np.ones((4, 3, 2), bool)}),
        row("x", "dtype complex128", "float16, float32, float64", TypeError, {"x": X3 + 0j}),
        row("x", "dtype object", "float16, float32, float64", TypeError, {"x": X3.astype(object)}),
        row("x", "shape (3,)", "(N, C)", ValueError, {"x": ONE}),
        row("x", "shape ()", "(N, C)", ValueError, {"x": np.array(1.0)}),
        row("x", "shape (4, 0, 2)", "at least one element", ValueError, {"x": X3[:, :0]}),
        row("x", "shape (4, 3, 0)", "at least one element", ValueError, {"x": X3[:, :, :0]}),
        row("gamma", "list", "NumPy or CuPy array", TypeError, {"x": X3, "gamma": [1.0, 1, 1]}),
        row("gamma", "NoneType", "NumPy or CuPy array", TypeError, {"x": X3, "gamma": None}),
        row("gamma", "dtype int64", "float16, float32, float64", TypeError, {"x": X3, "gamma": np.ones(3, int)}),
        row("gamma", "array_api_strict", "both of one kind", TypeError, {"x": X3, "gamma": other_kind(ONE)}),
        row("gamma", "numpy", "both of one kind", TypeError, {"x": other_kind(X3)}, id="x of another kind"),
        row("gamma", "shape (4,)", "3", ValueError, {"x": X3, "gamma": np.ones(4)}),
        row("gamma", "shape ()", "3", ValueError, {"x": X3, "gamma": np.array(1.0)}),
        row(
            "gamma",
            "shape",
            "5",
            ValueError,
            {"x": np.random.default_rng(0).normal(size=(4, 5, 2))},
            id="channels of x",
        ),
        row("eps", "-1e-05", "finite number >= 0", ValueError, {"x": X3, "eps": -1e-5}),
        row("eps", "nan", "finite number >= 0", ValueError, {"x": X3, "eps": np.nan}),
        row("eps", "inf", "finite number >= 0", ValueError, {"x": X3, "eps": np.inf}),
        row("eps", "None", "a number", TypeError, {"x": X3, "eps": None}),
        row("eps", "'1e-5'", "a number", TypeError, {"x": X3, "eps": "1e-5"}),
        row("eps", "1j", "a number", TypeError, {"x": X3, "eps": 1j}),
    ],
)
def test_normalizers(function, name, seen, expected, error, arguments):
    assert_refused(name, seen, expected, error, lambda: FUNCTIONS[function](**arguments))


@pytest.mark.parametrize("function", sorted(FUNCTIONS.keys() - {"rms_norm", "RMSNorm"}))
@pytest.mark.parametrize(
    ("name", "seen", "expected", "error", "arguments"),
    [
        row("beta", "list", "NumPy or CuPy array", TypeError, {"x": X3, "beta": [0.0, 0, 0]}),
        row("beta", "NoneType", "NumPy or CuPy array", TypeError, {"x": X3, "beta": None}),  # not: without a mean
        row("beta", "dtype complex128", "float16, float32, float64", TypeError, {"x": X3, "beta": ZERO + 0j}),
        row("beta", "array_api_strict", "both of one kind", TypeError, {"x": X3, "beta": other_kind(ZERO)}),
        row("beta", "shape (3, 1)", "3", ValueError, {"x": X3, "beta": np.zeros((3, 1))}),
    ],
)
def test_those_that_add_a_beta(function, name, seen, expected, error, arguments):
    assert_refused(name, seen, expected, error, lambda: FUNCTIONS[function](**arguments))


OF_THE_BATCH = {"batch_norm", "BatchNorm", "GhostBatchNorm", "BatchRenorm"}


@pytest.mark.parametrize("function", sorted(OF_THE_BATCH))
def test_no_sample_has_no_statistics(function):
    row = "x", "shape (0, 3, 2)", "at least one element", ValueError
    assert_refused(*row, lambda: FUNCTIONS[function](X3[:0]))


def test_no_sample_and_no_label_has_no_statistics():
    row = "x", "shape (0, 3, 2)", "at least one element", ValueError
    assert_refused(*row, lambda: bn_lib.conditional_batch_norm(X3[:0], LABELS[:0], ONES, ONES))


EACH_FOR_ITSELF = sorted(FUNCTIONS.keys() - OF_THE_BATCH - {"conditional_batch_norm"})


@pytest.mark.parametrize("function", EACH_FOR_ITSELF)
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_no_sample_gives_no_output_where_each_is_for_itself(function, dtype):
    result = FUNCTIONS[function](X3[:0].astype(dtype))
    y = result[0] if isinstance(result, tuple) else result
    assert (y.shape, y.dtype) == ((0, 3, 2), dtype)


@pytest.mark.parametrize("build", (LAYERS | MODULATED).values(), ids=LAYERS | MODULATED)
def test_nothing_comes_back_from_no_sample(build):
    layer = build().eval()
    layer.forward(X3[:0])
    assert layer.backward(X3[:0]).shape == (0, 3, 2)
    assert layer.grads.keys() == set(layer.parameter_names)
    assert not any(gradient.any() for gradient in layer.grads.values())


def infer(mean=ZERO, var=ONE):
    return bn_lib.batch_norm_inference(X, ONE, ZERO, mean, var)


def last(axis, x=X3, gamma=ONE[:2], beta=ZERO[:2]):
    return bn_lib.layer_norm(x, gamma, beta, axis=axis)


def conditional(labels, gamma=ONES, beta=ONES):
    return bn_lib.conditional_batch_norm(X, labels, gamma, beta)


def group(groups):
    return bn_lib.group_norm(IMAGES, np.ones(4), np.zeros(4), groups)


def backward(dy, x=X):
    return bn_lib.batch_norm_backward(dy, bn_lib.batch_norm(x, ONE, ZERO)[1])


@pytest.mark.parametrize(
    ("name", "seen", "expected", "error", "call"),
    [
        # one value per mean
        row("x", "(1, 3): one value per channel", "at least 2", ValueError, lambda: bn_lib.batch_norm(X[:1], ONE, ZERO)),
        row("x", "(1, 3): one value per channel", "at least 2", ValueError, lambda: BatchNorm(3).forward(X[:1]), id="BN"),
        row(
            "x",
            "(1, 3, 1, 1): one value per channel",
            "at least 2 values per channel",
            ValueError,
            lambda: bn_lib.batch_norm(X[:1, :, None, None], ONE, ZERO),
        ),
        row("x", "(4, 1): one value per sample", "2 values per sample", ValueError, lambda: bn_lib.layer_norm(X[:, :1], ONE[:1], ZERO[:1])),
        row("x", "(4, 3, 1): one value per channel of a sample", "at least 2", ValueError, lambda: bn_lib.instance_norm(X[:, :, None], ONE, ZERO)),
        row("x", "one value per group of a sample", "at least 2", ValueError, lambda: bn_lib.group_norm(X, ONE, ZERO, 3)),
        row("x", "one value per channel", "at least 2", ValueError, lambda: bn_lib.conditional_batch_norm(X[:1], LABELS[:1], np.ones((2, 3)), np.ones((2, 3)))),
        row("x", "shape (4, 3)", "(N, C, *spatial)", ValueError, lambda: bn_lib.instance_norm(X, ONE, ZERO)),
        # groups
        row("groups", "3", "a divisor of the 4 channels", ValueError, lambda: group(3)),
        row("groups", "0", ">= 1", ValueError, lambda: group(0)),
        row("groups", "-2", ">= 1", ValueError, lambda: group(-2)),
        row("groups", "2.0", "a whole number", TypeError, lambda: group(2.0)),
        row("groups", "True", "a whole number", TypeError, lambda: group(True)),
        row("groups", "2", "a divisor of the 3 channels", ValueError, lambda: bn_lib.GroupNorm(2, 3)),
        # stored statistics
        row("var", "inf", "finite variances >= 0", ValueError, lambda: infer(var=np.array([1, np.inf, 1]))),
        row("var", "nan", "finite variances >= 0", ValueError, lambda: infer(var=np.array([1, np.nan, 1]))),
        row("var", "-0.5", "variances >= 0", ValueError, lambda: infer(var=np.array([1, -0.5, 1]))),
        row("var", "shape (2,)", "(3,)", ValueError, lambda: infer(var=np.ones(2))),
        row("var", "list", "array", TypeError, lambda: infer(var=[1.0, 1, 1])),
        row("mean", "shape (4, 3)", "(3,)", ValueError, lambda: infer(mean=X)),
        row("mean", "int64", "float64", TypeError, lambda: infer(mean=np.zeros(3, int))),
        row("mean", "array_api_strict", "numpy", TypeError, lambda: infer(mean=other_kind(ZERO))),
        # labels
        row("labels", "class 2", "classes 0 to 1", ValueError, lambda: conditional(np.array([0, 1, 2, 0]))),
        row("labels", "class -1", "classes 0 to 1", ValueError, lambda: conditional(np.array([0, 1, -1, 0]))),
        row("labels", "float64", "an integer type", TypeError, lambda: conditional(LABELS * 1.0)),
        row("labels", "bool", "an integer type", TypeError, lambda: conditional(LABELS == 1)),
        row("labels", "list", "an integer array of shape (4,)", TypeError, lambda: conditional([0, 1, 1, 0])),
        row("labels", "shape (3,)", "(4,)", ValueError, lambda: conditional(LABELS[:3])),
        row("labels", "shape (4, 1)", "(4,)", ValueError, lambda: conditional(LABELS[:, None])),
        row("labels", "array_api_strict", "numpy", TypeError, lambda: conditional(other_kind(LABELS))),
        row("gamma", "shape (3,)", "(classes, 3)", ValueError, lambda: conditional(LABELS, gamma=ONE)),
        row("gamma", "shape (2, 4)", "(classes, 3)", ValueError, lambda: conditional(LABELS, gamma=np.ones((2, 4)))),
        row("gamma", "shape (0, 3)", "(classes, 3)", ValueError, lambda: conditional(LABELS, gamma=np.ones((0, 3)))),
        row("beta", "shape (3, 3)", "(2, 3)", ValueError, lambda: conditional(LABELS, beta=np.ones((3, 3)))),
        # per-element parameters
        row("gamma", "shape (3, 5)", "(3,) or (3, 2)", ValueError, lambda: bn_lib.layer_norm(X3, np.ones((3, 5)), ZERO)),
        row("beta", "shape (3,)", "(3, 2)", ValueError, lambda: bn_lib.layer_norm(X3, np.ones((3, 2)), ZERO)),
        row("gamma", "shape (3, 5)", "(3,) or (3, 2)", ValueError, lambda: bn_lib.rms_norm(X3, np.ones((3, 5)))),
        # the last axes
        row("axis", "axis is 1 for x of shape (4, 3, 2)", "the last axes", ValueError, lambda: last(1)),
        row("axis", "(0, 2)", "the last axes, such as -1 or (-2, -1)", ValueError, lambda: last((0, 2))),
        row("axis", "axis is ()", "the last axes", ValueError, lambda: last(())),
        row("axis", "axis is 3", "axes between -3 and 2", ValueError, lambda: last(3)),
        row("axis", "'last'", "a whole number", TypeError, lambda: last("last")),
        row("axis", "1.5", "a whole number", TypeError, lambda: bn_lib.rms_norm(X3, ONE, axis=1.5)),
        row("gamma", "shape (3,)", "expected (2,)", ValueError, lambda: last(-1, gamma=ONE)),
        row("beta", "shape (3,)", "expected (2,)", ValueError, lambda: last(-1, beta=ZERO)),
        row("x", "list", "NumPy or CuPy array", TypeError, lambda: last(-1, x=X3.tolist())),
        row("x", "shape (2,)", "(N, ..., D)", ValueError, lambda: last(-1, x=X3[0, 0])),
        row("x", "(4, 3, 0)", "at least one element along axis -1", ValueError, lambda: last(-1, x=X3[..., :0])),
        row("x", "(4, 3, 1): one value per sample", "at least 2", ValueError, lambda: last(-1, X3[..., :1], ONE[:1], ZERO[:1])),
        row("num_features", "is empty", "(D,)", ValueError, lambda: bn_lib.LayerNorm(())),
        row("num_features[1]", "0", ">= 1", ValueError, lambda: bn_lib.RMSNorm((3, 0))),
        row("num_features[0]", "2.0", "a whole number", TypeError, lambda: bn_lib.LayerNorm((2.0,))),
        *[row("x", f"shape {x.shape}", f"a layer {name}((3,))", ValueError, lambda name=name, x=x: getattr(bn_lib, name)(3).forward(x), id=f"{name}(3) on {x.shape}") for name in ("LayerNorm", "RMSNorm") for x in (LAST, X3[:, :, [0, 1, 0]], LAST[:, :, None])],
        # backward
        row("dy", "(3, 3)", "(4, 3), the shape of the output", ValueError, lambda: backward(X[:3])),
        row("dy", "(4, 1)", "(4, 3), the shape of the output", ValueError, lambda: backward(X[:, :1])),
        row("dy", "list", "array", TypeError, lambda: backward(X.tolist())),
        row("dy", "array_api_strict", "numpy", TypeError, lambda: backward(other_kind(X))),
        row("cache", "NoneType", "beside y", TypeError, lambda: bn_lib.batch_norm_backward(X, None)),
        row("cache", "tuple", "beside y", TypeError, lambda: bn_lib.layer_norm_backward(X, bn_lib.layer_norm(X, ONE, ZERO))),
    ],
)  # fmt: skip
def test_what_is_particular_to_one_normalizer(name, seen, expected, error, call):
    assert_refused(name, seen, expected, error, call)
