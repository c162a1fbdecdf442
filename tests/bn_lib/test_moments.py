"""Moments merge exactly: any split of the data, in any order, gives the moments of all of it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from normalizer_cases import steady

import bn_lib
from bn_lib import BatchNorm, Moments


def assert_same(a: Moments, b: Moments, spread: float, size: float) -> None:
    """Equal to rounding: means relative to the size of the values, variances to their spread."""
    u = 64 * np.finfo(float).eps
    assert a.count == b.count
    assert np.allclose(a.mean, b.mean, rtol=0, atol=u * size)
    # A mean that is off by u * size adds (u * size)**2 to a mean square, and 2 * u * size * spread to a product.
    assert np.allclose(a.var(), b.var(), rtol=0, atol=u * spread**2 + u * size * spread + (u * size) ** 2)


@st.composite
def values(draw):
    """(n, 3) values with a mean up to 1e8 times their spread, and that spread and size."""
    n = draw(st.integers(1, 30))
    x = draw(arrays(np.float64, (n, 3), elements=st.floats(-1, 1)))
    spread, offset = 10.0 ** draw(st.integers(-50, 50)), draw(st.sampled_from((0.0, 1.0, 1e8)))
    return (x + offset) * spread, spread, spread * (1 + offset)


def by_definition(x):
    wide = x.astype(np.longdouble)
    return wide.mean(axis=0), ((wide - wide.mean(axis=0)) ** 2).mean(axis=0)


@steady
@given(values())
def test_of_is_the_definition(case):
    x, spread, size = case
    moments = Moments.of(x, 0)
    mean, var = by_definition(x)
    assert moments.count == len(x)
    assert np.all(np.abs(moments.mean - mean) <= 4 * np.finfo(float).eps * size)
    assert np.all(np.abs(moments.var() - var) <= 64 * np.finfo(float).eps * spread**2)
    assert np.all(moments.var() >= 0)


@steady
@given(values(), st.data())
def test_any_split_merges_to_the_whole(case, data):
    x, spread, size = case
    cuts = sorted(data.draw(st.sets(st.integers(1, len(x) - 1), max_size=6))) if len(x) > 1 else []
    parts = data.draw(st.permutations([Moments.of(part, 0) for part in np.split(x, cuts)]))
    merged = parts[0]
    for part in parts[1:]:
        merged = merged.merge(part)
    assert_same(merged, Moments.of(x, 0), spread, size)


@steady
@given(values(), values(), values())
def test_merge_commutes_and_associates(one, two, three):
    a, b, c = (Moments.of(case[0], 0) for case in (one, two, three))
    size = max(np.abs(case[0]).max() for case in (one, two, three))
    assert_same(a.merge(b), b.merge(a), size, size)
    assert_same(a.merge(b).merge(c), a.merge(b.merge(c)), size, size)


def test_one_value_at_a_time_is_welfords_algorithm():
    x = 1e8 + np.random.default_rng(0).normal(size=(500, 2))
    merged = Moments.of(x[:1], 0)
    for i in range(1, len(x)):
        merged = merged.merge(Moments.of(x[i : i + 1], 0))
    assert_same(merged, Moments.of(x, 0), spread=1, size=1e8)
    assert np.allclose(merged.var(ddof=1), x.var(axis=0, ddof=1), rtol=1e-6)


def test_the_parts_may_differ_in_size_but_not_count_alike():
    """The mean of the parts' means is not the mean: the counts weigh."""
    small, large = Moments.of(np.array([[0.0], [0.0]]), 0), Moments.of(np.full((6, 1), 4.0), 0)
    merged = small.merge(large)
    assert (merged.count, merged.mean[0], merged.var()[0]) == (8, 3.0, 3.0)
    assert merged.var(ddof=1)[0] == 24 / 7
    assert (small.count, small.mean[0]) == (2, 0.0)  # and the parts are as they were


@pytest.mark.parametrize(
    ("axis", "shape"),
    [
        (0, (3, 5, 2)),
        (1, (4, 5, 2)),
        (-1, (4, 3, 5)),
        ((0, 2, 3), (3,)),
        ((3, 0, 2), (3,)),
        ((0, -1), (3, 5)),
        ([0, 2], (3, 2)),
        (np.int64(2), (4, 3, 2)),
        ((0, 1, 2, 3), ()),
        ((), (4, 3, 5, 2)),
    ],
    ids=str,
)
def test_axes(axis, shape):
    x = np.random.default_rng(0).normal(size=(4, 3, 5, 2))
    moments = Moments.of(x, axis)
    numpys = tuple(axis) if isinstance(axis, list) else axis
    assert moments.mean.shape == moments.m2.shape == shape
    assert moments.count == x.size // moments.mean.size
    assert np.allclose(moments.mean, x.mean(axis=numpys), rtol=0, atol=1e-15)
    assert np.allclose(moments.var(), x.var(axis=numpys), rtol=0, atol=1e-14)


@pytest.mark.parametrize("ddof", [0, 1, 3])
def test_ddof(ddof):
    x = np.random.default_rng(0).normal(size=(4, 3))
    assert np.allclose(Moments.of(x, 0).var(ddof=ddof), x.var(axis=0, ddof=ddof), rtol=1e-14)


@pytest.mark.parametrize(
    ("dtype", "statistics"), [(np.float16, np.float32), (np.float32, np.float64), (np.float64, np.float64)]
)
def test_statistics_are_kept_one_step_wider(dtype, statistics):
    moments = Moments.of(np.ones((4, 3), dtype), 0)
    assert moments.mean.dtype == moments.m2.dtype == statistics


def test_a_million_float32_values_keep_their_digits():
    x = np.full((1_000_000, 1), 0.1, np.float32)
    moments = Moments.of(x, 0)
    assert moments.mean[0] == np.float64(np.float32(0.1))
    assert moments.var()[0] == 0
    assert abs(float(np.sum(x[:, 0].cumsum(dtype=np.float32)[-1:])) / 1e6 - 0.1) > 1e-4  # a float32 sum would not


def test_moments_cannot_be_changed():
    with pytest.raises(AttributeError):
        Moments.of(np.ones((2, 2)), 0).count = 3


def test_the_moments_of_a_batch_are_those_that_normalized_it():
    x = np.random.default_rng(0).normal(5, 2, size=(6, 3, 4))
    _, cache = bn_lib.batch_norm(x, np.ones(3), np.zeros(3))
    assert cache.moments.count == 24
    assert np.allclose(cache.moments.mean.ravel(), x.mean(axis=(0, 2)), rtol=1e-14)
    assert np.allclose(cache.moments.var(ddof=1).ravel(), x.var(axis=(0, 2), ddof=1), rtol=1e-14)


# Running statistics: an average of batch statistics, which merging is not


def test_running_statistics_start_at_0_and_1_and_can_be_forgotten():
    layer = BatchNorm(2)
    fresh = {key: value.copy() for key, value in layer.state_dict().items()}
    layer.forward(np.random.default_rng(0).normal(5, 3, size=(8, 2)))
    assert int(layer.num_batches_tracked) == 1
    assert np.all(layer.running_mean != 0)
    layer.reset_running_statistics()
    for key, value in layer.state_dict().items():
        assert np.array_equal(value, fresh[key]), key


def test_inference_moves_nothing_and_treats_every_row_on_its_own():
    layer = BatchNorm(3)
    x = np.random.default_rng(0).normal(size=(6, 3))
    layer.forward(x + 4)
    before = {key: value.tobytes() for key, value in layer.state_dict().items()}
    y = layer.eval().forward(x)
    alone = np.concatenate([layer.forward(x[i : i + 1]) for i in range(6)])
    assert np.array_equal(y, alone)
    assert {key: value.tobytes() for key, value in layer.state_dict().items()} == before
    expected = (x - layer.running_mean) / np.sqrt(layer.running_var + layer.eps)
    assert np.allclose(y, expected, rtol=1e-14)


def test_with_a_long_memory_the_running_statistics_are_those_of_the_data():
    rng = np.random.default_rng(0)
    layer = BatchNorm(1, momentum=None)
    data = rng.normal(3, 2, size=(400, 50, 1))
    for batch in data:
        layer.forward(batch)
    assert np.allclose(layer.running_mean, data.mean(), rtol=1e-12)
    # The average over batches of unbiased variances: near the variance of all, and not the same thing.
    assert np.allclose(layer.running_var, np.mean([batch.var(ddof=1) for batch in data]), rtol=1e-12)
    assert layer.running_var[0] != Moments.of(data.reshape(-1, 1), 0).var()[0]


def test_moments_are_equal_if_all_their_numbers_are():
    x = np.random.default_rng(0).normal(size=(5, 3))
    one = Moments.of(x, 0)
    assert one == Moments.of(x.copy(), 0)
    assert one != Moments.of(x + 1, 0)
    assert one != Moments.of(np.concatenate([x, x]), 0)
    assert one != Moments.of(x[:, :1], 0)
    assert one != 5
    with pytest.raises(TypeError, match="unhashable"):
        hash(one)


def test_the_mean_of_numbers_whose_sum_is_none():
    moments = Moments.of(np.array([[1.7e308, 1e200], [1.5e308, -1e200]]), 0)
    assert np.array_equal(moments.mean, [1.6e308, 0])
    assert np.all(moments.m2 == np.inf)
