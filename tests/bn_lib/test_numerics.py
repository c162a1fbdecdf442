"""What is left of the digits when the numbers are hard: large means, tiny and huge scales, float16.

The truth is the definition, in two passes and extended precision, over the *same* inputs (those the dtype holds). A
result is as good as the dtype can hold if it is off by a few units in the last place of the largest element: x - mean
is exact when the rounded mean is near x, what the rounding lost is made up for, and after that every step rounds once.
So the bounds below are multiples of the dtype's epsilon and know nothing of the mean.
"""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from normalizer_cases import NORMALIZERS, each_normalizer, each_that_centers, steady, typical

import bn_lib

if np.finfo(np.longdouble).eps >= np.finfo(np.float64).eps:
    pytest.skip("this platform has no floating-point type wider than float64", allow_module_level=True)

EPS = 1e-5
UNITS = 8  # in the last place; seen here: at most 3


def truth(normalizer, x, gamma, beta, dy, eps=EPS):
    """y and dx by definition, in extended precision."""
    shape, split = x.shape, normalizer.split(x.shape)
    axes = normalizer.axes(x.ndim)
    x, gamma, beta, dy = (a.astype(np.longdouble) for a in (x, gamma, beta, dy))
    gamma, beta = normalizer.spread(gamma, x), normalizer.shift(beta, x)

    def mean(values):
        return values.mean(axis=axes, keepdims=True)

    # Moved by the rounded mean first, which is exact: extended precision has 11 bits more, and 1e8 costs 27.
    moved = x.reshape(split) - mean(x.reshape(split)).astype(np.float64)
    deviation = moved - mean(moved) if normalizer.center else x.reshape(split)
    inv_std = 1 / np.sqrt(mean(deviation**2) + np.longdouble(eps))
    x_hat = deviation * inv_std
    dx_hat = (gamma * dy).reshape(split)
    dx = inv_std * (dx_hat - normalizer.center * mean(dx_hat) - x_hat * mean(dx_hat * x_hat))
    return gamma * x_hat.reshape(shape) + beta, dx.reshape(shape)


def units_off(ours, exact, dtype):
    """The largest error, in epsilons of `dtype` times the largest element."""
    assert ours.dtype == dtype
    gap = np.max(np.abs(ours.astype(np.longdouble) - exact))
    return float(gap / np.max(np.abs(exact)) / np.finfo(dtype).eps)


def hard(normalizer, shape, mean, std, dtype):
    """Values around `mean`, on both sides of zero for odd channels."""
    _, gamma, beta, dy = typical(normalizer, shape, dtype)
    x = mean + std * np.random.default_rng(1).normal(size=shape)
    x[:, 1::2] *= -1 if normalizer.name in ("batch", "instance", "conditional") else 1
    return x.astype(dtype), gamma, beta, dy


LARGE_MEANS = [
    pytest.param(1e8, 1, np.float64, id="float64, mean 1e8, std 1"),
    pytest.param(1e4, 1e-2, np.float32, id="float32, mean 1e4, std 1e-2"),
    pytest.param(1e6, 1, np.float32, id="float32, mean 1e6, std 1"),
]


@each_normalizer
@pytest.mark.parametrize(("mean", "std", "dtype"), LARGE_MEANS)
@pytest.mark.parametrize("shape", [(100, 6), (1000, 4), (8, 4, 5, 7), (4, 8, 16, 16)], ids=str)
def test_large_means(normalizer, shape, mean, std, dtype):
    if len(shape) < normalizer.least_rank:
        shape = (*shape, 9)
    x, gamma, beta, dy = hard(normalizer, shape, mean, std, dtype)
    # A variance that is all rounding (two equal floats) has a true value too, and it is the one with eps.
    y, cache = normalizer.forward(x, gamma, beta, EPS)
    exact_y, exact_dx = truth(normalizer, x, gamma, beta, dy)
    assert units_off(y, exact_y, dtype) < UNITS
    assert units_off(normalizer.backward(dy, cache)[0], exact_dx, dtype) < UNITS


@pytest.mark.parametrize(("mean", "std", "dtype"), LARGE_MEANS)
def test_these_inputs_are_hard(mean, std, dtype):
    """Mean of squares minus square of the mean loses all digits here, and the plain two-pass in float32 most."""
    x, gamma, beta, dy = hard(NORMALIZERS[0], (1000, 4), mean, std, dtype)
    exact = truth(NORMALIZERS[0], x, gamma, beta, dy)[0]

    def y(x, mean, var):
        return (gamma * (x - mean) / np.sqrt(np.maximum(var, 0) + EPS) + beta).astype(dtype)

    one_pass = y(x, x.mean(0), (x * x).mean(0) - x.mean(0) ** 2)
    assert units_off(one_pass, exact, dtype) > 1e5
    two_pass = y(x, x.mean(0), x.var(0))
    assert units_off(two_pass, exact, dtype) > UNITS


@pytest.mark.parametrize(("mean", "std", "dtype"), LARGE_MEANS)
@pytest.mark.parametrize("shape", [(1000, 4), (8, 4, 5, 7)], ids=str)
def test_large_means_in_inference(shape, mean, std, dtype):
    """With stored statistics in float64: the mean is subtracted in two parts, so that its rounding does not show."""
    normalizer = NORMALIZERS[0]
    x, gamma, beta, dy = hard(normalizer, shape, mean, std, dtype)
    layer = bn_lib.BatchNorm(shape[1], momentum=1.0, unbiased_running_var=False, dtype=dtype)
    layer.gamma, layer.beta = gamma, beta
    layer.forward(x)
    # The running mean is a float64, which at 1e8 is 1e-8 coarse: that much of a standard deviation is out of reach.
    coarse = mean * np.finfo(np.float64).eps / std / np.finfo(dtype).eps
    assert units_off(layer.eval().forward(x), truth(normalizer, x, gamma, beta, dy)[0], dtype) < UNITS + coarse


@each_normalizer
@pytest.mark.parametrize(
    ("scale", "dtype"),
    [(1e-150, np.float64), (1e150, np.float64), (1e-30, np.float32), (1e30, np.float32), (1e37, np.float32)],
)
def test_huge_and_tiny_values(normalizer, scale, dtype):
    """1e30 squared is no float32, so the variance is none either; x_hat and the gradient are."""
    x, gamma, beta, dy = typical(normalizer, (6, 4, 5), np.float64)
    x, gamma, beta, dy = (a.astype(dtype) for a in (x * scale, gamma, beta, dy))
    y, cache = normalizer.forward(x, gamma, beta, 0.0)
    exact_y, exact_dx = truth(normalizer, x, gamma, beta, dy, eps=0.0)
    assert units_off(y, exact_y, dtype) < UNITS
    if scale < 1e37:  # there the gradient falls below the smallest normal float32
        assert units_off(normalizer.backward(dy, cache)[0], exact_dx, dtype) < UNITS


@each_normalizer
@pytest.mark.parametrize("size", [0.1, 100.0, 30000.0])
def test_float16_in_float16_out(normalizer, size):
    """The largest float16 is 65504: the squares and the sums are not in range, the result is, rounded once."""
    _, gamma, beta, dy = typical(normalizer, (16, 4, 8), np.float16)
    x = (size * np.random.default_rng(0).uniform(-2, 2, size=(16, 4, 8))).astype(np.float16)
    dy = (dy * np.float16(min(size, 1000))).astype(np.float16)  # so that dx, of the size of dy / x, is a float16 too
    y, cache = normalizer.forward(x, gamma, beta, EPS)
    exact_y, exact_dx = truth(normalizer, x, gamma, beta, dy)
    dx, dgamma, dbeta = normalizer.backward(dy, cache)
    assert units_off(y, exact_y, np.float16) <= 0.51  # half a unit is rounding y itself; the rest happened in float32
    assert units_off(dx, exact_dx, np.float16) <= 0.51
    assert cache.moments.mean.dtype == np.float32
    assert cache.moments.var().dtype == np.float32
    assert dgamma.dtype == dbeta.dtype == np.float16


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
@pytest.mark.parametrize("rows", [2**17, 1_000_000])
def test_a_long_sum_keeps_its_digits(dtype, rows):
    """Row by row in float32, the variance of a million rows is off by 1e-3, and 2**25 ones have a mean of 3/4."""
    x = np.random.default_rng(0).normal(3, 1, size=(rows, 1)).astype(dtype)
    wide = x.astype(np.longdouble)
    gamma, beta, labels = np.ones((1, 1), dtype), np.zeros((1, 1), dtype), np.zeros(rows, int)
    dy = (x - x.mean(dtype=np.float64).astype(dtype)) * dtype(0.5) + dtype(0.25)
    with bn_lib.use_backend("reference"):
        moments = [bn_lib.Moments.of(x, 0), bn_lib.standardize(x, 0).moments]
        moments.append(bn_lib.population_moments([x], progress=False))
        _, cache = bn_lib.conditional_batch_norm(x, labels, gamma.astype(np.float64), beta.astype(np.float64))
        _, dgamma, dbeta = bn_lib.conditional_batch_norm_backward(dy, cache)
    for found in (*moments, cache.moments):
        assert abs(found.mean.item() - wide.mean()) < 2e-7 * wide.mean()
        assert abs(found.var().item() - wide.var()) < 2e-7 * wide.var()
    assert abs(dbeta.item() - dy.astype(np.longdouble).sum()) < 1e-9 * np.abs(dy.astype(np.float64)).sum()
    x_hat = (wide - wide.mean()) / np.sqrt(wide.var() + np.longdouble(EPS))
    assert abs(dgamma.item() - (dy * x_hat).sum()) < 1e-6 * np.abs(dy * x_hat).sum()


@each_normalizer
@pytest.mark.parametrize("scale", [3e38, 1.8e38, 1e-40])
def test_the_ends_of_float32(normalizer, scale):
    """Of every normalizer; those of float64 and of each backend are in `test_backends`."""
    _, gamma, beta, dy = typical(normalizer, (6, 4, 5), np.float32)
    x = (scale * np.random.default_rng(0).uniform(-1.1, 1.1, size=(6, 4, 5))).astype(np.float32)
    with np.errstate(all="raise"):
        y, cache = normalizer.forward(x, gamma, beta, 0.0)
        dx, *_ = normalizer.backward(dy, cache)
    exact_y, exact_dx = truth(normalizer, x, gamma, beta, dy, eps=0.0)
    assert units_off(y, exact_y, np.float32) < UNITS
    if scale > 1:
        assert np.max(np.abs(dx - exact_dx)) <= UNITS * np.finfo(np.float32).smallest_subnormal
    zeros, _ = normalizer.forward(x * 0, gamma, beta, 1e-80)
    assert np.array_equal(zeros, np.broadcast_to(normalizer.shift(beta, x), x.shape))


@each_normalizer
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("scale", [1e-4, 1, 1e4])
def test_an_error_state_of_the_users_changes_nothing(normalizer, dtype, scale):
    """Digits underflow on the way, and float16 overflows at its end: `raise` must not stop at either."""
    x, gamma, beta, dy = typical(normalizer, (6, 4, 5), np.float64)
    x, gamma, beta, dy = (a.astype(dtype) for a in (scale * (x - 3), gamma, beta, dy * scale))
    gamma *= dtype(1e4)

    def passes():
        y, cache = normalizer.forward(x, gamma, beta, EPS)
        return y, *normalizer.backward(dy, cache), cache.moments.mean, cache.moments.var()

    with np.errstate(all="ignore"):
        expected = passes()
    with np.errstate(all="raise"):
        for ours, theirs in zip(passes(), expected, strict=True):
            assert np.array_equal(ours, theirs)


@each_normalizer
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_dtype_out_is_dtype_in_whatever_that_of_the_parameters(normalizer, dtype):
    x, gamma, beta, dy = typical(normalizer, (4, 4, 3), np.float64)
    y, cache = normalizer.forward(x.astype(dtype), gamma, beta, EPS)
    dx, dgamma, dbeta = normalizer.backward(dy, cache)
    assert (y.dtype, dx.dtype) == (dtype, dtype)
    assert (dgamma.dtype, dbeta.dtype) == (np.float64, np.float64)  # as gamma and beta
    assert cache.moments.mean.dtype == (np.float32 if dtype == np.float16 else np.float64)


# What must hold exactly


@each_that_centers
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@steady
@given(data=st.data())
def test_a_constant_gives_beta_exactly(normalizer, dtype, data):
    """Not nearly: a mean that is off by a rounding, divided by sqrt(eps), would be seen."""
    limit = 1e4 if dtype == np.float16 else 1e30
    width = np.finfo(dtype).bits
    limit = float(dtype(limit))
    value = data.draw(st.floats(-limit, limit, width=width))
    shape = data.draw(
        st.tuples(st.integers(2, 9), st.sampled_from([2, 4]), st.integers(2, 40)).filter(normalizer.takes)
    )
    _, gamma, beta, _ = typical(normalizer, shape, dtype)
    x = np.full(shape, value, dtype)
    y, _ = normalizer.forward(x, gamma, beta, EPS)
    assert np.array_equal(y, np.broadcast_to(normalizer.spread(beta, x), shape))


def test_a_constant_without_eps_is_zero_by_zero():
    """eps = 0 is allowed, and this is what it means: NaN, as in PyTorch."""
    y, _ = bn_lib.batch_norm(np.ones((4, 1)), np.ones(1), np.ones(1), eps=0.0)
    assert np.all(np.isnan(y))


def ordinary(data, normalizer):
    """x whose means are of at least two unlike values; gamma, beta, dy."""
    shape = data.draw(st.tuples(st.integers(2, 6), st.sampled_from([2, 4]), st.integers(2, 5)).filter(normalizer.takes))
    x = data.draw(arrays(np.float64, shape, elements=st.integers(-64, 64).map(float)))
    x[:, 0], x[:, 1] = x[:, 0] + np.linspace(70, 90, shape[2]), x[:, 1] - np.linspace(80, 60, shape[2])
    x[:, 0, 0] += np.arange(shape[0]) * 300
    return x + np.random.default_rng(0).normal(size=shape), *typical(normalizer, shape)[1:]


@each_normalizer
@steady
@given(data=st.data(), power=st.integers(-300, 300))
def test_a_power_of_two_is_not_noticed_at_all(normalizer, data, power):
    """Scaling by a power of two rounds nothing, so with eps scaled too y is the same to the last bit."""
    x, gamma, beta, dy = ordinary(data, normalizer)
    factor = 2.0**power
    y, cache = normalizer.forward(x, gamma, beta, EPS)
    scaled, scaled_cache = normalizer.forward(x * factor, gamma, beta, EPS * factor**2)
    assert np.array_equal(y, scaled)
    assert np.array_equal(normalizer.backward(dy, cache)[0], normalizer.backward(dy, scaled_cache)[0] * factor)


@each_normalizer
@steady
@given(data=st.data(), factor=st.floats(1e-3, 1e3), shift=st.floats(-1e3, 1e3))
def test_scale_and_shift_of_x_are_taken_out(normalizer, data, factor, shift):
    x, gamma, beta, _ = ordinary(data, normalizer)
    y, _ = normalizer.forward(x, gamma, beta, 0.0)
    shift = shift if normalizer.center else 0.0
    moved, _ = normalizer.forward(factor * x + shift, gamma, beta, 0.0)
    flipped, _ = normalizer.forward(-x, gamma, beta, 0.0)
    # factor * x + shift is rounded before anything is normalized: that much of a standard deviation is gone.
    lost = np.finfo(float).eps * (factor * np.abs(x).max() + abs(shift)) / (factor * normalizer.deviation(x, 0.0).min())
    tolerance = 100 * np.finfo(float).eps + 16 * lost
    assert np.max(np.abs(moved - y)) <= tolerance * np.abs(gamma).max()
    mirrored = 2 * normalizer.shift(beta, x) - y
    assert np.allclose(flipped, mirrored, rtol=0, atol=1e-12)


@each_normalizer
@steady
@given(data=st.data())
def test_the_order_of_rows_and_positions_does_not_matter(normalizer, data):
    """...but for labels, which move along with their rows: there only positions are exchanged.

    A gamma and a beta of every row or position move along too.
    """
    x, gamma, beta, _ = ordinary(data, normalizer)
    rows, positions = (data.draw(st.permutations(range(n))) for n in (x.shape[0], x.shape[2]))
    if normalizer.name == "conditional":
        rows = list(range(x.shape[0]))
    if normalizer.per_element:
        positions = list(range(x.shape[2]))
    y, _ = normalizer.forward(x, gamma, beta, EPS)

    def moved(values):
        return np.ascontiguousarray(values[rows][:, :, positions])

    if normalizer.name.startswith("modulated"):
        gamma, beta = (moved(np.broadcast_to(parameter, x.shape)) for parameter in (gamma, beta))
    shuffled, _ = normalizer.forward(moved(x), gamma, beta, EPS)
    assert np.allclose(shuffled, moved(y), rtol=0, atol=1e-12)


@each_normalizer
@steady
@given(data=st.data())
def test_what_the_gradient_is_orthogonal_to(normalizer, data):
    """Moving or scaling the values that share a mean does not change y, so dx has no part along either."""
    x, gamma, beta, dy = ordinary(data, normalizer)
    _, cache = normalizer.forward(x, gamma, beta, 0.0)
    dx = normalizer.backward(dy, cache)[0]
    split, axes = normalizer.split(x.shape), normalizer.axes(x.ndim)
    unit = normalizer.deviation(x, 0.0)
    for direction in (np.ones_like(x), cache.x_hat) if normalizer.center else (cache.x_hat,):
        along = (dx * unit * direction).reshape(split).sum(axis=axes)
        assert np.max(np.abs(along)) < 1e-10


@pytest.mark.parametrize("name", ["layer", "rms", "instance", "group"])
def test_normalizers_of_one_sample_do_not_see_the_others(name):
    normalizer = next(n for n in NORMALIZERS if n.name == name)
    x, gamma, beta, _ = typical(normalizer, (5, 4, 3))
    y, _ = normalizer.forward(x, gamma, beta, EPS)
    alone, _ = normalizer.forward(x[2:3], gamma, beta, EPS)
    assert np.array_equal(alone[0], y[2])


def test_group_norm_lies_between_layer_norm_and_instance_norm():
    x, gamma, beta, dy = typical(NORMALIZERS[0], (3, 4, 5))
    for groups, function in ((1, bn_lib.layer_norm), (4, bn_lib.instance_norm)):
        y, cache = bn_lib.group_norm(x, gamma, beta, groups)
        other, other_cache = function(x, gamma, beta)
        assert np.allclose(y, other, rtol=0, atol=1e-14)
        for a, b in zip(
            bn_lib.group_norm_backward(dy, cache), bn_lib.batch_norm_backward(dy, other_cache), strict=True
        ):
            assert np.allclose(a, b, rtol=0, atol=1e-13)


@each_normalizer
def test_inputs_are_not_written_to_and_outputs_share_no_memory_with_them(normalizer):
    x, gamma, beta, dy = typical(normalizer, (4, 4, 3))
    copies = [a.copy() for a in (x, gamma, beta, dy)]
    y, cache = normalizer.forward(x, gamma, beta, EPS)
    dx, _, _ = normalizer.backward(dy, cache)
    for before, after in zip(copies, (x, gamma, beta, dy), strict=True):
        assert np.array_equal(before, after)
    assert not np.shares_memory(y, x)
    assert not np.shares_memory(dx, dy)


@each_normalizer
def test_memory_layout_does_not_matter(normalizer):
    """NHWC data seen as NCHW, Fortran order, every second row: views that users pass."""
    x, gamma, beta, dy = typical(normalizer, (6, 4, 3, 5))
    views = {
        "channels last": np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2),
        "Fortran": np.asfortranarray(x),
        "strided": np.repeat(x, 2, axis=0)[::2],
        "backwards": x[::-1].copy()[::-1],
    }
    y, cache = normalizer.forward(x, gamma, beta, EPS)
    dx = normalizer.backward(dy, cache)[0]
    for name, view in views.items():
        assert np.array_equal(view, x)
        y_of_view, cache = normalizer.forward(view, gamma, beta, EPS)
        assert np.allclose(y_of_view, y, rtol=0, atol=1e-13), name
        assert np.allclose(normalizer.backward(np.asfortranarray(dy), cache)[0], dx, rtol=0, atol=1e-13), name
