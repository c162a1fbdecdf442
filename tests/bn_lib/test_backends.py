"""Every backend that runs here, through the public functions: to rounding what the definition says, whatever the shape,
layout, precision and size of the numbers; the same to the last bit whatever the number of threads; and in the memory
that was promised.

The truth is the definition in extended precision over the same inputs, as in `test_numerics`, which holds the accuracy
of all normalizers with the backend that is chosen by default. Shapes lie around the places where a backend changes its
way: rows and columns of blocks, positions that are few or many, samples left over.
"""

import gc
import multiprocessing
import pickle
import threading
import tracemalloc
import warnings
import weakref
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import bn_lib
from bn_lib import use_backend
from bn_lib.backends import threads
from bn_lib.normalizers import normalize_with

if np.finfo(np.longdouble).eps >= np.finfo(np.float64).eps:
    pytest.skip("this platform has no floating-point type wider than float64", allow_module_level=True)

EPS = 1e-5
UNITS = 8  # in the last place, of the largest element; of a sum, as if all its terms had one sign

# Numbers at the ends of a type: (dtype, x as random signs, positive or normal numbers times a size, gamma, eps, dy)
EXTREMES = {
    "signs of 3.3e38": (np.float32, "signs", 3.3e38, 1, EPS, 1),
    "signs of 1.8e38, eps 0": (np.float32, "signs", 1.8e38, 1, 0.0, 1),
    "up to 3.4e38": (np.float32, "positive", 3.4e38, 1, EPS, 1),
    "1e33": (np.float32, "positive", 1e33, 1, EPS, 1),
    "3e38, gamma 0": (np.float32, "signs", 3e38, 0, EPS, 1),
    "1e-38": (np.float32, "normal", 1e-38, 1, 0.0, 1),
    "subnormal": (np.float32, "normal", 1e-41, 1, 0.0, 1),
    "zeros, eps 1e-80": (np.float32, "normal", 0, 1, 1e-80, 1),
    "zeros of float16, eps 1e-50": (np.float16, "normal", 0, 1, 1e-50, 1),
    "zeros of float16, eps 1e-90": (np.float16, "normal", 0, 1, 1e-90, 1),
    "subnormal float16": (np.float16, "normal", 2e-7, 1, 0.0, 1e-4),
    "largest float16": (np.float16, "signs", 6.5e4, 1, EPS, 1),
    "gamma 1e37": (np.float32, "normal", 1e-5, 1e37, 0.0, 1e-10),
    "gamma 1e-30 for x of 1e30": (np.float32, "normal", 1e30, 1e-30, 0.0, 1e30),
    "dy 3e38": (np.float32, "normal", 1e5, 1, EPS, 3e38),
    "signs of 1.7e308": (np.float64, "signs", 1.7e308, 1, EPS, 1),
    "up to 1.7e308": (np.float64, "positive", 1.7e308, 1, EPS, 1),
    "1e200": (np.float64, "normal", 1e200, 1, EPS, 1),
    "1e200, gamma 0": (np.float64, "signs", 1e200, 0, EPS, 1),
    "1e-200": (np.float64, "normal", 1e-200, 1, 0.0, 1),
    "1e-160, eps 1e-320": (np.float64, "normal", 1e-160, 1, 1e-320, 1),
    "subnormal float64": (np.float64, "normal", 1e-315, 1, 0.0, 1),
    "zeros of float64, eps 5e-324": (np.float64, "normal", 0, 1, 5e-324, 1),
    "gamma 1e300": (np.float64, "normal", 1e-100, 1e300, 0.0, 1e-300),
    "gamma, x and dy 1e200": (np.float64, "normal", 1e200, 1e200, EPS, 1e200),
}

BACKENDS = ["numpy", pytest.param("numba", marks=pytest.mark.needs("module:numba", package="numba"))]

SHAPES = [
    # (N, C): narrow, odd, left over, wide, around a row of 4096 and twice that, more than one block
    *[(4, 1), (3, 5), (1009, 7), (1000, 3), (257, 65), (3, 9001), (33, 4095), (33, 4097), (40, 8192), (17, 8193)],
    *[(1031, 300), (4099, 64), (5462, 3), (128, 128)],
    # few positions; one; N = 1; 3-D and 5-D
    *[(5, 3, 1), (256, 64, 1, 1), (7, 2, 3), (1, 4, 6), (4, 5, 2, 3, 2), (13, 3, 37, 11), (70, 129, 7, 7)],
    # around the length at which positions become a row, and around several such rows
    *[
        (2, 3, 511),
        (2, 3, 512),
        (3, 5, 513),
        (1, 2, 8192),
        (3, 1, 8193),
        (1, 3, 20011),
        (9, 33, 29, 31),
        (2, 5, 300, 301),
    ],
]


@pytest.fixture(params=BACKENDS)
def backend(request):
    with use_backend(request.param):
        assert bn_lib.backend() == request.param
        yield request.param


@pytest.fixture
def set_threads(monkeypatch):
    """A function that sets how many threads share the work."""

    def set_to(count):
        monkeypatch.setenv("OMP_NUM_THREADS", str(count))
        threads.threads.cache_clear()
        threads._pool.cache_clear()
        assert threads.threads() == count

    yield set_to
    monkeypatch.undo()
    threads.threads.cache_clear()
    threads._pool.cache_clear()


def batch(shape, dtype=np.float64, *, mean=0.5, std=2.0, seed=0):
    """x, gamma, beta, dy; channels unlike each other, the parameters in float64 whatever x is."""
    rng = np.random.default_rng(seed)
    channels = shape[1]
    each = (1, channels) + (1,) * (len(shape) - 2)
    x = mean + std * rng.uniform(0.5, 2, size=each) * rng.normal(size=shape)
    x *= rng.choice([-1, 1], size=each)
    return (
        x.astype(dtype),
        rng.uniform(0.5, 1.5, channels) * rng.choice([-1, 1], channels),
        rng.normal(size=channels),
        (rng.normal(size=shape) + 0.3).astype(dtype),
    )


def truth(x, gamma, beta, dy, eps=EPS, constants=None):
    """y, dx, dgamma, dbeta by definition in extended precision; and the last two with all terms made positive.

    `constants` are a mean and a variance from elsewhere.
    """
    axes = (0, *range(2, x.ndim))
    each = (1, -1) + (1,) * (x.ndim - 2)
    x, dy, gamma, beta = (a.astype(np.longdouble) for a in (x, dy, gamma.reshape(each), beta.reshape(each)))

    def mean(values):
        return values.mean(axis=axes, keepdims=True)

    if constants is None:
        moved = x - mean(x).astype(np.float64)
        deviation = moved - mean(moved)
        var = mean(deviation**2)
    else:
        center, var = (a.astype(np.longdouble).reshape(each) for a in constants)
        deviation = x - center
    inv_std = 1 / np.sqrt(var + np.longdouble(eps))
    x_hat = deviation * inv_std
    dx = gamma * inv_std * (dy if constants else dy - mean(dy) - x_hat * mean(dy * x_hat))
    terms = dy * x_hat, dy
    sums = [t.sum(axis=axes) for t in terms]
    scales = [np.abs(t).sum(axis=axes) for t in terms]
    return gamma * x_hat + beta, dx, *sums, *scales


def off(ours, exact, dtype, scale=None):
    """The largest error, in epsilons of `dtype` times the largest element (or `scale`)."""
    scale = np.abs(exact) if scale is None else scale
    return float(np.max(np.abs(ours.astype(np.longdouble) - exact)) / np.max(scale) / np.finfo(dtype).eps)


def assert_exact(results, exact, dtype):
    y, dx, dgamma, dbeta = results
    exact_y, exact_dx, exact_dgamma, exact_dbeta, dgamma_scale, dbeta_scale = exact
    units = 0.51 if dtype == np.float16 else UNITS  # half a unit is rounding the result; the rest happened in float32
    assert (y.dtype, dx.dtype) == (dtype, dtype)
    assert (y.shape, dx.shape) == (exact_y.shape, exact_dx.shape)
    assert off(y, exact_y, dtype) < units
    assert off(dx, exact_dx, dtype) < units
    work = np.float32 if dtype == np.float16 else dtype
    assert off(dgamma, exact_dgamma, work, dgamma_scale) < UNITS
    assert off(dbeta, exact_dbeta, work, dbeta_scale) < UNITS


def train(x, gamma, beta, dy, eps=EPS):
    """y, dx, dgamma, dbeta."""
    y, cache = bn_lib.batch_norm(x, gamma, beta, eps=eps)
    return y, *bn_lib.batch_norm_backward(dy, cache)


# What the definition says


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_training(backend, shape, dtype):
    arguments = batch(shape, dtype)
    assert_exact(train(*arguments), truth(*arguments), dtype)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("shape", [*SHAPES, (1, 6), (1, 3, 1)], ids=str)
def test_inference(backend, shape, dtype):
    x, gamma, beta, dy = batch(shape, dtype)
    rng = np.random.default_rng(1)
    mean, var = rng.normal(size=shape[1]), rng.uniform(0.1, 4, shape[1])
    y, cache = normalize_with(x, gamma, beta, mean, var, EPS)
    assert np.array_equal(y, bn_lib.batch_norm_inference(x, gamma, beta, mean, var, eps=EPS))
    results = y, *bn_lib.batch_norm_backward(dy, cache)
    assert_exact(results, truth(x, gamma, beta, dy, constants=(mean, var)), dtype)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("shape", [(1009, 7), (13, 3, 37, 11), (3, 5, 513)], ids=str)
def test_statistics_are_those_of_the_reference(backend, shape, dtype):
    x, gamma, beta, _ = batch(shape, dtype)
    _, cache = bn_lib.batch_norm(x, gamma, beta)
    with use_backend("reference"):
        _, reference = bn_lib.batch_norm(x, gamma, beta)
    tolerance = 1e-12 if dtype == np.float64 else 1e-6
    assert cache.axes == reference.axes
    assert cache.moments.count == reference.moments.count
    for name in ("mean", "m2"):
        ours, theirs = getattr(cache.moments, name), getattr(reference.moments, name)
        assert (ours.shape, ours.dtype) == (theirs.shape, theirs.dtype)
        np.testing.assert_allclose(ours, theirs, rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(cache.inv_std, reference.inv_std, rtol=tolerance)
    np.testing.assert_allclose(cache.x_hat, reference.x_hat, rtol=0, atol=UNITS * tolerance)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
def test_parameters_of_another_dtype(backend, dtype, kind):
    x, gamma, beta, dy = batch((50, 6, 3), dtype)
    gamma, beta = gamma.astype(kind), beta.astype(kind)
    y, dx, dgamma, dbeta = train(x, gamma, beta, dy)
    exact = truth(x, gamma, beta, dy)
    assert (dgamma.dtype, dbeta.dtype) == (kind, kind)
    assert off(dgamma, exact[2], min(kind, dtype, key=lambda d: np.finfo(d).bits)) < UNITS
    assert_exact((y, dx, exact[2], exact[3]), exact, dtype)


# Numbers that are hard


@pytest.mark.parametrize(("mean", "std"), [(1e4, 1e-2), (1e6, 1.0), (3.0, 1e-3)])
@pytest.mark.parametrize("shape", [(64, 512), (1024, 100), (8, 16, 28, 28), (64, 3, 32, 32), (256, 64, 1, 1)], ids=str)
def test_large_means_cost_no_digits(backend, shape, mean, std):
    rng = np.random.default_rng(0)
    x = (mean + std * rng.normal(size=shape)).astype(np.float32)
    gamma, beta = np.ones(shape[1], np.float32), np.zeros(shape[1], np.float32)
    y, cache = bn_lib.batch_norm(x, gamma, beta)
    dy = rng.normal(size=shape).astype(np.float32)
    exact_y, exact_dx, *_ = truth(x, gamma, beta, dy)
    assert np.max(np.abs(y - exact_y)) <= 1e-6
    assert off(bn_lib.batch_norm_backward(dy, cache)[0], exact_dx, np.float32) < UNITS


@pytest.mark.parametrize("shape", [(100, 6), (6, 4, 5), (3, 4, 600), (5000, 100)], ids=str)
@pytest.mark.parametrize(
    ("scale", "dtype"),
    [(1e-150, np.float64), (1e150, np.float64), (1e-30, np.float32), (1e30, np.float32), (3e36, np.float32)],
)
def test_huge_and_tiny_values(backend, shape, scale, dtype):
    """Their squares are not in range. In every second channel; the others are ordinary and stay as they would be."""
    x, gamma, beta, dy = batch(shape)
    x[:, ::2] *= scale
    x, dy = x.astype(dtype), dy.astype(dtype)
    y, dx, dgamma, _ = train(x, gamma, beta, dy, eps=0.0)
    exact_y, exact_dx, exact_dgamma, _, dgamma_scale, _ = truth(x, gamma, beta, dy, eps=0.0)
    assert off(y, exact_y, dtype) < UNITS
    assert off(dgamma, exact_dgamma, dtype, dgamma_scale) < UNITS
    for channels in (slice(0, None, 2), slice(1, None, 2)):
        if scale < 1e36 or channels.start:  # otherwise the gradient falls below the smallest normal float32
            assert off(dx[:, channels], exact_dx[:, channels], dtype) < UNITS


def extreme(case, shape):
    dtype, kind, size, gamma, eps, dy = EXTREMES[case]
    rng = np.random.default_rng(0)
    draw = {
        "signs": lambda: rng.choice([-1, 1], shape) * rng.uniform(0.9, 1, shape),
        "positive": lambda: rng.uniform(0.5, 1, shape),
        "normal": lambda: rng.normal(size=shape),
    }[kind]
    channels = rng.uniform(0.5, 1, shape[1])
    arrays = size * draw(), gamma * channels, 0.5 * channels, dy * rng.uniform(-1, 1, shape)
    return *(a.astype(dtype) for a in arrays), eps


def assert_as_held(ours, exact, units, scale=None):
    """As good as the type can hold the exact number, which is an infinity where that is too large."""
    info, exact = np.finfo(ours.dtype), np.asarray(exact)
    scale = np.maximum(np.max(np.abs(exact) if scale is None else scale), info.tiny)
    with np.errstate(over="ignore", invalid="ignore"):
        held = exact.astype(ours.dtype)
        edge = np.abs(np.abs(exact) - info.max) < units * info.eps * scale
        gap = np.abs(np.where(np.isfinite(held), ours.astype(np.longdouble) - exact, 0))
    assert np.all(np.isfinite(held) | edge | (ours == held))
    assert np.max(gap, initial=0, where=~edge) <= units * info.eps * scale


@pytest.mark.parametrize("shape", [(8, 3), (300, 3, 2), (5, 3, 700)], ids=str)
@pytest.mark.parametrize("case", EXTREMES)
@pytest.mark.parametrize("way", ["reference", *BACKENDS])
def test_the_ends_of_a_type(way, case, shape):
    """What has a finite answer gets it, from the reference and from every backend; and no warning is given."""
    x, gamma, beta, dy, eps = extreme(case, shape)
    exact_y, exact_dx, exact_dgamma, exact_dbeta, dgamma_scale, dbeta_scale = truth(x, gamma, beta, dy, eps)
    with use_backend(way), np.errstate(all="raise"):
        y, dx, dgamma, dbeta = train(x, gamma, beta, dy, eps)
    assert_as_held(y, exact_y, UNITS)
    assert_as_held(dx, exact_dx, UNITS)
    assert_as_held(dgamma, exact_dgamma, UNITS, dgamma_scale)
    assert_as_held(dbeta, exact_dbeta, UNITS, dbeta_scale)


@pytest.mark.parametrize("shape", [(8, 3), (5, 3, 700)], ids=str)
@pytest.mark.parametrize("case", EXTREMES)
@pytest.mark.parametrize("way", ["reference", *BACKENDS])
def test_the_ends_of_a_type_in_inference(way, case, shape):
    x, gamma, beta, dy, eps = extreme(case, shape)
    wide, axes = x.astype(np.longdouble), (0, *range(2, x.ndim))
    with np.errstate(over="ignore", under="ignore"):
        mean, var = wide.mean(axes).astype(np.float64), wide.var(axes).astype(np.float64)
    if np.any(var == np.inf):
        with use_backend(way), pytest.raises(ValueError, match="var holds inf; expected finite variances"):
            bn_lib.batch_norm_inference(x, gamma, beta, mean, var, eps=eps)
        return
    if eps == 0 and np.any(var == 0):
        return  # the square of 1e-200 is none, so there is nothing to divide by
    exact = truth(x, gamma, beta, dy, eps, constants=(mean, var))
    with use_backend(way), np.errstate(all="raise"):
        y, cache = normalize_with(x, gamma, beta, mean, var, eps)
        results = y, *bn_lib.batch_norm_backward(dy, cache)
    for ours, theirs, scale in zip(results, exact[:4], (None, None, *exact[4:]), strict=True):
        assert_as_held(ours, theirs, UNITS, scale)


@pytest.mark.parametrize("scale", [1e-38, 1e-30, 1e-20, 1e20, 1e30])
def test_huge_and_tiny_gradients(backend, scale):
    """A scaled loss; and channels through which nothing comes back."""
    x, gamma, beta, dy = batch((200, 6, 4))
    dy[:, ::3] = 0
    x, dy = (1e-6 * x).astype(np.float32), (scale * dy).astype(np.float32)
    _, dx, dgamma, dbeta = train(x, gamma, beta, dy, eps=0.0)
    _, exact_dx, exact_dgamma, exact_dbeta, dgamma_scale, dbeta_scale = truth(x, gamma, beta, dy, eps=0.0)
    assert np.all(dx[:, ::3] == 0)
    assert off(dgamma, exact_dgamma, np.float32, dgamma_scale) < UNITS
    assert off(dbeta, exact_dbeta, np.float32, dbeta_scale) < UNITS
    if scale > 1e-38:  # there dy itself has lost digits, and what is subtracted from it more
        assert off(dx, exact_dx, np.float32) < UNITS


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(3, 6), (1009, 6), (2, 6, 700), (5, 6, 7, 7), (300, 600)], ids=str)
def test_a_constant_channel_gives_beta_exactly(backend, shape, dtype):
    x, gamma, _, dy = batch(shape, dtype)
    constants = [0.0, 1 / 3, -1e30, 7e-20, 123456.78, -0.1]
    x[:, : len(constants)] = np.array(constants).reshape((-1,) + (1,) * (x.ndim - 2))
    for beta in (np.zeros(shape[1]), np.linspace(-1, 1, shape[1])):
        y, dx, dgamma, _ = train(x, gamma, beta, dy)
        for c in range(len(constants)):
            assert np.all(y[:, c] == dtype(beta[c]))
            assert dgamma[c] == 0
        assert np.all(np.isfinite(dx))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("mean", [0.0, 1e4])
@pytest.mark.parametrize("shape", [(1009, 7), (70, 5, 7, 7), (3, 5, 600), (4099, 64)], ids=str)
def test_what_is_not_a_number_stays_in_its_channel(backend, shape, mean, value):
    x, gamma, beta, dy = batch(shape, np.float32, mean=mean)
    clean = train(x, gamma, beta, dy)
    x[1, 2] = value
    spoiled = train(x, gamma, beta, dy)
    others = np.arange(shape[1]) != 2
    for before, after in zip(clean[:2], spoiled[:2], strict=True):
        assert np.all(np.isnan(after[:, 2]))
        assert np.array_equal(before[:, others], after[:, others])
    for before, after in zip(clean[2:], spoiled[2:], strict=True):
        assert np.array_equal(before[others], after[others])


@pytest.mark.parametrize("shape", [(1009, 7), (70, 5, 7, 7), (3, 5, 600)], ids=str)
def test_in_inference_it_stays_where_it_is(backend, shape):
    x, gamma, beta, dy = batch(shape, np.float32)
    mean, var = np.zeros(shape[1]), np.ones(shape[1])
    clean, cache = normalize_with(x, gamma, beta, mean, var, EPS)
    clean_dx = bn_lib.batch_norm_backward(dy, cache)[0]
    x[1, 2], x[1, 3] = np.inf, np.nan
    y, cache = normalize_with(x, gamma, beta, mean, var, EPS)
    assert np.array_equal(bn_lib.batch_norm_backward(dy, cache)[0], clean_dx)  # x is not part of it
    assert np.all(y[1, 2] == np.sign(gamma[2]) * np.inf)
    assert np.all(np.isnan(y[1, 3]))
    assert np.array_equal(y == clean, np.isfinite(x))


@pytest.mark.parametrize("shape", [(2, 3, 8192), (2, 3, 20011), (9, 4, 57, 57), (256, 520), (8192, 60)], ids=str)
def test_roundings_of_one_sign_do_not_pile_up(backend, shape):
    """Where all squares are equal, every addition to a long sum rounds the same way."""
    x, gamma, beta, dy = batch(shape, np.float32)
    x[:] = 1.3
    x[::2] *= -1
    if x.ndim > 2:
        x[..., ::2] *= -1
    assert_exact(train(x, gamma, beta, dy), truth(x, gamma, beta, dy), np.float32)


def test_a_pickled_cache_can_be_read_where_its_backend_cannot_run(backend, monkeypatch):
    x, gamma, beta, dy = batch((20, 3), np.float64)
    _, cache = bn_lib.batch_norm(x, gamma, beta)
    kept = pickle.dumps(cache)
    monkeypatch.setattr(bn_lib.backends, "_numba_if_it_works", lambda: None)
    expected, _, _ = bn_lib.batch_norm_backward(dy, cache)
    assert off(bn_lib.batch_norm_backward(dy, pickle.loads(kept))[0], expected, np.float64) < UNITS


# Arrays as users have them


@pytest.mark.parametrize("shape", [(60, 40), (6, 4, 30, 20), (5, 4, 3, 2, 7)], ids=str)
def test_memory_layout_does_not_matter(backend, shape):
    x, gamma, beta, dy = batch(shape, np.float32)
    expected = train(x, gamma, beta, dy)
    read_only = x.copy()
    read_only.flags.writeable = False
    views = {
        "Fortran": np.asfortranarray,
        "channels last": lambda a: np.moveaxis(np.ascontiguousarray(np.moveaxis(a, 1, -1)), -1, 1),
        "strided": lambda a: np.repeat(a, 2, axis=0)[::2],
        "backwards": lambda a: a[::-1].copy()[::-1],
        "part of a larger array": lambda a: np.pad(a, 1)[(slice(1, -1),) * a.ndim],
        "read only": lambda a: read_only if a is x else a,
    }
    for name, view in views.items():
        results = train(view(x), gamma, beta, view(dy))
        for ours, theirs in zip(results, expected, strict=True):
            assert np.array_equal(ours, theirs), name


@pytest.mark.parametrize("shape", [(5, 4), (2, 3, 600), (1009, 7), (4, 2, 1)], ids=str)
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_arguments_are_left_alone_and_results_are_new(backend, shape, dtype):
    x, gamma, beta, dy = batch(shape, dtype)
    mean, var = np.zeros(shape[1]), np.ones(shape[1])
    arguments = x, gamma, beta, dy, mean, var
    copies = [a.copy() for a in arguments]
    results = [*train(x, gamma, beta, dy), bn_lib.batch_norm_inference(x, gamma, beta, mean, var)]
    for before, after in zip(copies, arguments, strict=True):
        assert np.array_equal(before, after)
    for i, result in enumerate(results):
        assert result.flags.writeable
        for other in (*arguments, *results[:i]):
            assert not np.shares_memory(result, other)


@pytest.mark.parametrize("mean", [0.0, 1e4])
@pytest.mark.parametrize("shape", [(8192, 768), (32, 64, 56, 56), (500, 256, 7, 7)], ids=str)
def test_memory(backend, shape, mean):
    """One array of the size of x forward, one backward, and a tenth for everything else."""
    x = np.random.default_rng(0).standard_normal(shape, np.float32) + np.float32(mean)
    gamma, beta = np.ones(shape[1], np.float32), np.zeros(shape[1], np.float32)
    tracemalloc.start()
    try:
        y, cache = bn_lib.batch_norm(x, gamma, beta)
        forward = tracemalloc.get_traced_memory()[1]
        tracemalloc.reset_peak()
        held = tracemalloc.get_traced_memory()[0]
        assert held < 1.01 * y.nbytes
        bn_lib.batch_norm_backward(y, cache)
        backward = tracemalloc.get_traced_memory()[1] - held
    finally:
        tracemalloc.stop()
    assert y.nbytes <= forward <= 1.1 * x.nbytes
    assert y.nbytes <= backward <= 1.1 * x.nbytes


class Tagged(np.ndarray):
    """As pandas, xarray and many a script have them: an array that carries something along."""


class Metres(np.ndarray):
    """One that computes in its own way."""

    def __array_ufunc__(self, ufunc, method, *inputs, **options):
        inputs = [np.asarray(i) for i in inputs]
        return getattr(ufunc, method)(*inputs, **options)


def test_a_harmless_subclass_takes_the_fast_loops(backend, tmp_path):
    x, gamma, beta, dy = batch((40, 6, 5), np.float32)
    expected = train(x, gamma, beta, dy)
    mapped = np.memmap(tmp_path / "x", np.float32, "w+", shape=x.shape)
    mapped[:] = x
    for kind in (mapped, x.view(Tagged)):
        assert bn_lib.backend(kind) == backend
        for ours, theirs in zip(train(kind, gamma.view(Tagged), beta, dy.view(Tagged)), expected, strict=True):
            assert np.array_equal(ours, theirs)
        layer = bn_lib.BatchNorm(6)
        layer.forward(kind)
        assert type(layer.running_mean) is np.ndarray
    assert bn_lib.backend(x.view(Metres)) == "reference"


# Threads and processes


@pytest.mark.parametrize("mean", [0.0, 1e4])
@pytest.mark.parametrize("shape", [(4099, 200), (130, 64, 10, 11), (20, 33, 40, 41), (3, 2, 300, 301)], ids=str)
def test_the_number_of_threads_does_not_show(backend, set_threads, shape, mean):
    arguments = batch(shape, np.float32, mean=mean)
    results = []
    for count in (1, 2, 3):
        set_threads(count)
        results.append(train(*arguments))
    for other in results[1:]:
        for one, another in zip(results[0], other, strict=True):
            assert np.array_equal(one, another)


def test_large_arrays_are_shared_among_threads(set_threads, monkeypatch):
    set_threads(3)
    pool, names = threads._pool(), set()
    submit = pool.submit

    def spy(*arguments):
        names.add("another")
        return submit(*arguments)

    monkeypatch.setattr(pool, "submit", spy)
    with use_backend("numpy"):
        train(*batch((20, 6, 3), np.float32))
        assert not names
        train(*batch((40, 64, 32, 32), np.float32))
        assert names


@pytest.mark.parametrize("size", [0, 1, 2, 3, 10, 1001])
@pytest.mark.parametrize("count", [1, 2, 3])
def test_pieces_cover_the_range_once(set_threads, size, count):
    set_threads(count)
    for least in (1, 4):
        pieces = []
        threads.in_pieces(lambda start, stop: pieces.append((start, stop)), size, least=least)  # noqa: B023
        assert sorted(i for start, stop in pieces for i in range(start, stop)) == list(range(size))
        assert len(pieces) == max(1, min(count, size // least))


def test_pieces_raise_after_all_have_ended(set_threads):
    set_threads(2)
    other_is_there, ended = threading.Event(), []

    def work(start, stop):
        if stop == 2:  # the last piece, in the calling thread
            assert other_is_there.wait(10)
            raise ArithmeticError("here")
        other_is_there.set()
        ended.append(start)

    with pytest.raises(ArithmeticError, match="here"):
        threads.in_pieces(work, 2)
    assert ended == [0]

    def fail_elsewhere(start, _):
        if start == 0:
            raise ArithmeticError("there")

    with pytest.raises(ArithmeticError, match="there"):
        threads.in_pieces(fail_elsewhere, 2)


def test_pieces_need_no_thread_and_leave_nothing_behind(set_threads, monkeypatch):
    def refuse(_):
        raise RuntimeError("can't start new thread")

    set_threads(3)
    monkeypatch.setattr(threading.Thread, "start", refuse)
    done = np.zeros(9)

    def work(start, stop):
        done[start:stop] += 1

    threads.in_pieces(work, 9)
    assert done.tolist() == [1] * 9
    kept = weakref.ref(work)
    del work
    gc.collect()
    assert kept() is None, "a queue that nobody empties holds on to the arrays"


def test_pieces_see_the_context_of_the_caller(set_threads):
    set_threads(3)
    seen = []
    with np.errstate(over="raise", under="ignore"):
        threads.in_pieces(lambda *_: seen.append(np.geterr()["over"]), 3)
    assert seen == ["raise"] * 3


@pytest.mark.parametrize(("asked_for", "expected"), [("3", 3), ("0", None), ("many", None), ("", None)])
def test_threads_are_those_asked_for(monkeypatch, asked_for, expected):
    monkeypatch.setenv("OMP_NUM_THREADS", asked_for)
    count = threads.threads.__wrapped__()
    assert count == expected if expected else count >= 1


def test_called_from_several_threads_at_once(backend, set_threads):
    set_threads(2)
    batches = [batch((60, 32, 20, 21), np.float32, seed=seed) for seed in range(6)]

    def run(arguments):
        with use_backend(backend):  # a context of its own
            return train(*arguments)

    expected = [run(b) for b in batches]
    with ThreadPoolExecutor(4) as pool:
        for ours, theirs in zip(pool.map(run, batches * 3), expected * 3, strict=True):
            for one, another in zip(ours, theirs, strict=True):
                assert np.array_equal(one, another)


def _elsewhere(name, connection):
    threads.threads.cache_clear()
    with use_backend(name):
        connection.send(train(*batch((60, 32, 20, 21), np.float32)))


@pytest.mark.parametrize("method", sorted({"fork", "spawn"} & set(multiprocessing.get_all_start_methods())))
def test_in_a_child_process(backend, set_threads, method):
    """A forked child has the parent's memory, and none of its threads."""
    set_threads(2)
    expected = train(*batch((60, 32, 20, 21), np.float32))  # the pool is running now
    context = multiprocessing.get_context(method)
    ours, theirs = context.Pipe(duplex=False)
    child = context.Process(target=_elsewhere, args=(backend, theirs), daemon=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # newer Pythons warn that a fork has no threads
        child.start()
    try:
        assert ours.poll(120), "the child does not answer"
        for one, another in zip(ours.recv(), expected, strict=True):
            assert np.array_equal(one, another)
        child.join(60)
        assert child.exitcode == 0
    finally:
        child.kill()
