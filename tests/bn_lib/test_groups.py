"""Normalizers whose means are of values that lie together (a sample, a group of it, a token), by each way of computing
them: the reference, and the loops of a backend that has some for that. To rounding both are what the definition says.

`test_numerics` has their accuracy on hard numbers, with what is chosen by default; `test_backends` the same for Batch
Normalization. Shapes lie around the places where the loops change their way.
"""

import pickle

import numpy as np
import pytest
from normalizer_cases import BY_NAME, typical

import bn_lib
from bn_lib import use_backend
from bn_lib.backends.base import OutOfRange
from bn_lib.fast import GroupCache, run_of
from bn_lib.normalizers import NormCache, _backward, _forward_groups, normalize_over

if np.finfo(np.longdouble).eps >= np.finfo(np.float64).eps:
    pytest.skip("this platform has no floating-point type wider than float64", allow_module_level=True)

EPS = 1e-5
UNITS = 8  # in the last place, of the largest element; of a sum, as if all its terms had one sign
NUMBA = pytest.param("numba", marks=pytest.mark.needs("module:numba", package="numba (PyPI)"))
ways = pytest.mark.parametrize("way", ["reference", NUMBA])
dtypes = pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])

CASES = [
    # a gamma for each channel, of many positions, of few, of one
    *[("layer", (5, 6, 9, 8)), ("layer", (70, 6, 3)), ("layer", (300, 33)), ("layer", (1, 5))],
    *[("rms", (6, 4, 20)), ("rms", (30, 4, 5)), ("rms", (9, 70)), ("instance", (5, 3, 8, 8)), ("instance", (5, 3, 31))],
    *[("group", (20, 8, 5, 5)), ("group", (30, 8, 3)), ("group", (9, 6, 2)), ("group", (11, 6, 67, 67))],
    # a gamma for each element; rows shorter and longer than what is taken at once; as many as threads share
    *[("layer, per element", (40, 3, 5, 7)), ("rms, per element", (3, 2, 4)), ("layer, last two axes", (3, 5, 6, 7))],
    *[("layer, last axis", (2, 3, 5001)), ("layer, last axis", (700, 5, 80)), ("rms, last axis", (700, 5, 80))],
]  # fmt: skip
cases = pytest.mark.parametrize(("name", "shape"), CASES, ids=str)


def passes(way, name, arrays, eps=EPS):
    """y, dx, dgamma, dbeta and the cache."""
    x, gamma, beta, dy = arrays
    with use_backend(way):
        y, cache = BY_NAME[name].forward(x, gamma, beta, eps)
        assert isinstance(cache, GroupCache if way == "numba" else NormCache)
        return y, *BY_NAME[name].backward(dy, cache), cache


def truth(name, x, gamma, beta, dy, eps=EPS):
    """y, dx, dgamma, dbeta by definition in extended precision; and the last two with all terms made positive."""
    normalizer, kind = BY_NAME[name], gamma.shape
    x, gamma, beta, dy = (a.astype(np.longdouble) for a in (x, gamma, beta, dy))
    split, axes = normalizer.split(x.shape), normalizer.axes(x.ndim)
    scale, shift = normalizer.spread(gamma, x), normalizer.shift(beta, x)

    def mean(values):
        return values.reshape(split).mean(axis=axes, keepdims=True)

    deviation = x.reshape(split) - normalizer.center * mean(x)
    inv_std = 1 / np.sqrt(mean(deviation**2) + np.longdouble(eps))
    x_hat = deviation * inv_std
    dx_hat = (scale * dy).reshape(split)
    dx = inv_std * (dx_hat - normalizer.center * mean(dx_hat) - x_hat * mean(dx_hat * x_hat))
    x_hat = x_hat.reshape(x.shape)
    meets = np.broadcast_shapes(scale.shape, (1,) * x.ndim)
    shared = tuple(axis for axis, size in enumerate(meets) if size == 1)
    terms = dy * x_hat, dy * bool(normalizer.center)
    sums = [t.sum(axis=shared).reshape(kind) for t in (*terms, *map(np.abs, terms))]
    return scale * x_hat + shift, dx.reshape(x.shape), *sums


def off(ours, exact, dtype, scale=None):
    """The largest error, in epsilons of `dtype` times the largest element (or `scale`)."""
    scale = np.max(np.abs(exact) if scale is None else scale)
    return float(np.max(np.abs(ours.astype(np.longdouble) - exact)) / max(scale, 1e-300) / np.finfo(dtype).eps)


@ways
@cases
@dtypes
def test_what_the_definition_says(way, name, shape, dtype):
    x, _, _, dy = typical(BY_NAME[name], shape, dtype)
    _, gamma, beta, _ = typical(BY_NAME[name], shape)  # float64 whatever x is
    gamma[(0,) * gamma.ndim] = 0
    y, dx, dgamma, dbeta, _ = passes(way, name, (x, gamma, beta, dy))
    exact_y, exact_dx, exact_dgamma, exact_dbeta, *scales = truth(name, x, gamma, beta, dy)
    units = 0.51 if dtype == np.float16 else UNITS  # half a unit is rounding the result; the rest happened in float32
    assert (y.shape, y.dtype, dx.shape, dx.dtype) == (shape, dtype, shape, dtype)
    assert (dgamma.shape, dgamma.dtype, dbeta.dtype) == (gamma.shape, np.float64, np.float64)
    assert off(y, exact_y, dtype) < units
    assert off(dx, exact_dx, dtype) < units
    work = np.float32 if dtype == np.float16 else dtype
    assert off(dgamma, exact_dgamma, work, scales[0]) < UNITS
    assert off(dbeta, exact_dbeta, work, scales[1]) < UNITS


@pytest.mark.needs("module:numba", package="numba (PyPI)")
@cases
def test_a_cache_says_what_that_of_the_reference_says(name, shape):
    for dtype, tolerance in ((np.float16, 1e-6), (np.float64, 1e-12)):
        arrays = typical(BY_NAME[name], shape, dtype)
        ours, theirs = (passes(way, name, arrays)[-1] for way in ("numba", "reference"))
        assert ours.axes == theirs.axes
        assert ours.moments.count == theirs.moments.count
        found = [(ours.moments.mean, theirs.moments.mean), (ours.moments.m2, theirs.moments.m2)]
        for mine, other in (*found, (ours.inv_std, theirs.inv_std), (ours.x_hat, theirs.x_hat)):
            assert (mine.shape, mine.dtype) == (other.shape, other.dtype)
            np.testing.assert_allclose(mine, other, rtol=tolerance, atol=8 * tolerance)


def extreme(name, kind, shape=(6, 4, 5)):
    x, gamma, beta, dy = typical(BY_NAME[name], shape)
    dtype, sizes = EXTREMES[kind]
    x, gamma, beta, dy = ((a * size).astype(dtype) for a, size in zip((x - 3, gamma, beta, dy), sizes, strict=True))
    return x, gamma, beta, dy


# dtype, and what x, gamma, beta and dy are multiplied by: steps overflow, or lose digits, though the result does not
EXTREMES = {
    "x 1e38": (np.float32, (1e37, 1, 1, 1)),
    "x 1e-38": (np.float32, (1e-38, 1, 1, 1e-38)),
    "x 1e200": (np.float64, (1e200, 1, 1, 1)),
    "x 1e-200": (np.float64, (1e-200, 1, 1, 1e-200)),
    "gamma 1e37, dy 1e10": (np.float32, (1e20, 1e37, 1, 1e10)),
    "beta 1e38": (np.float32, (1, 1, 1e37, 1)),
    "dy 3e37": (np.float32, (1e5, 1, 1, 3e37)),
    "dy 1e-300": (np.float64, (1, 1, 1, 1e-300)),
    "gamma 0": (np.float32, (1e37, 0, 1, 1)),
}


@ways
def test_terms_that_cancel_may_be_at_the_end_of_the_type(way):
    """Each row's own sums are 0, and two of its terms for gamma are no float32 together."""
    x = np.tile(np.float32([1, 1, -1, -1]), (4, 1, 1))
    dy = np.float32(2e38) * np.array([1, 1, -1, -1], np.float32)[:, None, None] * np.float32([1, -1, 1, -1])
    *_, dgamma, dbeta, _ = passes(
        way, "layer, last axis", (x, np.ones(4, np.float32), np.zeros(4, np.float32), dy), 0.0
    )
    assert not dgamma.any()
    assert not dbeta.any()


@ways
@pytest.mark.parametrize("kind", EXTREMES)
@pytest.mark.parametrize("name", ["layer", "layer, last axis", "rms", "group", "instance"])
def test_the_ends_of_a_type(way, name, kind):
    """What has a finite answer gets it."""
    arrays = extreme(name, kind)
    dtype = arrays[0].dtype
    x, gamma, beta, dy = arrays
    with use_backend(way), np.errstate(all="raise"):
        y, cache = BY_NAME[name].forward(x, gamma, beta, 0.0)
        results = y, *BY_NAME[name].backward(dy, cache)
    exact = truth(name, *arrays, eps=0.0)
    for ours, theirs, scale in zip(results, exact[:4], (None, None, *exact[4:]), strict=True):
        largest = np.max(np.abs(theirs) if scale is None else scale)
        held = largest < np.finfo(dtype).max
        if held and largest > np.finfo(dtype).tiny / np.finfo(dtype).eps:
            assert off(ours, theirs, dtype, scale) < UNITS
        elif held:
            assert np.max(np.abs(ours - theirs)) <= UNITS * np.finfo(dtype).tiny


@ways
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize(
    ("name", "shape"), [("layer", (20, 6)), ("group", (4, 4, 25)), ("instance", (4, 4, 5))], ids=str
)
def test_what_is_not_a_number_stays_with_those_that_share_its_mean(way, name, shape, value):
    x, gamma, beta, dy = typical(BY_NAME[name], shape)
    clean = passes(way, name, (x, gamma, beta, dy))
    x[1, 2] = value
    spoiled = passes(way, name, (x, gamma, beta, dy))
    others = np.ones(shape, bool)
    together = BY_NAME[name].split(shape)[2] if name == "group" else {"layer": 6, "instance": 1}[name]
    others[1, 2 // together * together : (2 // together + 1) * together] = False
    for before, after in zip(clean[:2], spoiled[:2], strict=True):
        assert np.array_equal(before[others], after[others])
        assert np.all(np.isnan(after[~others]))


def misaligned(a):
    view = np.empty(a.nbytes + 1, np.uint8)[1:].view(a.dtype).reshape(a.shape)
    view[...] = a
    return view


def read_only(a):
    a = a.copy()
    a.flags.writeable = False
    return a


@pytest.mark.needs("module:numba", package="numba (PyPI)")
@pytest.mark.parametrize("kind", [misaligned, read_only, np.asfortranarray, lambda a: np.repeat(a, 2, axis=0)[::2]])
@pytest.mark.parametrize(("name", "shape"), [("group", (4, 4, 5, 5)), ("layer, last axis", (6, 5, 7))], ids=str)
def test_an_unusual_array_is_computed_by_what_is_compiled_already(kind, name, shape):
    from bn_lib.backends import with_numba

    def signatures():
        return {name: f.signatures for name, f in vars(with_numba).items() if hasattr(f, "signatures")}

    arrays = typical(BY_NAME[name], shape)
    expected = passes("numba", name, arrays)
    compiled = signatures()
    found = passes("numba", name, [kind(a) for a in arrays])
    assert signatures() == compiled
    for ours, theirs in zip(found[:4], expected[:4], strict=True):
        assert np.array_equal(ours, theirs)
        assert ours.flags.writeable


@pytest.mark.needs("module:numba", package="numba (PyPI)")
def test_a_cache_can_be_read_where_its_backend_cannot_run(monkeypatch):
    arrays = typical(BY_NAME["group"], (4, 4, 5))
    *_, cache = passes("numba", "group", arrays)
    expected = bn_lib.group_norm_backward(arrays[3], cache)
    kept = pickle.dumps(cache)
    with monkeypatch.context() as patched:
        patched.setattr(bn_lib.backends, "_numba_if_it_works", lambda: None)
        there = pickle.loads(kept)
        found = bn_lib.group_norm_backward(arrays[3], there)
    for ours, theirs in zip(found, expected, strict=True):
        assert np.allclose(ours, theirs, rtol=1e-12, atol=1e-12)


# How gamma meets x


@pytest.mark.parametrize(
    ("meets", "run"),
    [((4, 1, 1), 30), ((5, 6), 1), ((1, 4, 1, 1), 30), ((3, 4, 1, 1), 30), ((1,), 360), ((), 360), ((3, 1, 1, 1), 120)],
)
def test_how_many_elements_a_value_of_gamma_is_for(meets, run):
    assert run_of(meets, (3, 4, 5, 6)) == run


@pytest.mark.parametrize("meets", [(3, 1, 5, 6), (4, 1, 6), (3, 1, 1, 6)])
def test_values_that_are_not_for_runs_one_after_the_other(meets):
    with pytest.raises(OutOfRange):
        run_of(meets, (3, 4, 5, 6))


@pytest.mark.parametrize(
    ("axes", "meets"),
    [
        *[((2, 3), (3, 4, 1, 1)), ((2, 3), (1,)), ((3,), (4, 5, 6)), ((1, 2, 3), (3, 4, 5, 6)), ((2, 3), (5, 6))],
        *[((2, 3), (3, 1, 1, 6)), ((3,), (3, 1, 1, 1)), ((1,), (4, 1, 1)), ((0, 2, 3), (4, 1, 1)), ((2, 3), (4, 5, 1))],
    ],
)  # fmt: skip
def test_any_gamma_that_broadcasts(axes, meets):
    """The loops, where they can: also for a gamma of each sample, and for one number. Otherwise the reference."""
    rng = np.random.default_rng(0)
    x, dy = (rng.normal(size=(3, 4, 5, 6)) for _ in range(2))
    gamma, beta = (rng.normal(size=meets) for _ in range(2))
    y, cache = _forward_groups(x, gamma, beta, axes, EPS, meets=meets)
    expected, reference = normalize_over(x, gamma, beta, axes, EPS, meets=meets)
    for ours, theirs in zip((y, *_backward(dy, cache)), (expected, *_backward(dy, reference)), strict=True):
        assert ours.shape == theirs.shape
        assert np.allclose(ours, theirs, rtol=1e-12, atol=1e-12)
