"""The moments of a data set are those of all of it at once, however it is cut and wherever the pieces are.

The truth is the definition in extended precision. Clusters here are of this machine: threads, processes with a memory
limit that the data does not fit in, and a scheduler that is known by its address alone.
"""

import itertools
import multiprocessing
import os
import sys
import tracemalloc

import numpy as np
import pytest

import bn_lib
from bn_lib import Moments, population_moments
from bn_lib.population import merge_pairwise

dask = pytest.importorskip("dask", reason="would run if installed: dask[array]")
da = pytest.importorskip("dask.array", reason="would run if installed: dask[array]")
distributed = pytest.importorskip("distributed", reason="would run if installed: distributed")

if np.finfo(np.longdouble).eps >= np.finfo(np.float64).eps:
    pytest.skip("this platform has no floating-point type wider than float64", allow_module_level=True)

DATA = [
    pytest.param(np.float64, 0, id="float64"),
    pytest.param(np.float64, 1e6, id="float64, mean 1e6"),
    pytest.param(np.float32, 0, id="float32"),
    pytest.param(np.float32, 1e6, id="float32, mean 1e6"),
    pytest.param(np.float16, 0, id="float16"),
    pytest.param(np.float16, 100, id="float16, mean 100"),
]


def images(dtype=np.float64, mean=0.0, shape=(40, 6, 5, 4)):
    return (mean + np.random.default_rng(0).normal(size=shape)).astype(dtype)


def quietly(batches, axis=None, **options):
    return population_moments(batches, axis, progress=False, **options)


def assert_truth(moments, x, axes, units=32):
    """Count, mean and variance by definition: as exact as `moments` can hold numbers of this size."""
    wide = x.astype(np.longdouble)
    mean = wide.mean(axis=axes)
    var = ((wide - wide.mean(axis=axes, keepdims=True)) ** 2).mean(axis=axes)
    eps = np.finfo(np.float32 if x.dtype == np.float16 else np.float64).eps
    own = np.finfo(np.float64 if x.dtype == np.float64 else np.float32).eps  # what x - mean is rounded to
    size, std = np.abs(wide).max(), np.sqrt(var.max())
    assert moments.count == x.size // mean.size
    assert moments.mean.dtype == moments.m2.dtype == (np.float32 if x.dtype == np.float16 else np.float64)
    assert moments.mean.shape == moments.m2.shape == mean.shape
    assert np.max(np.abs(moments.mean - mean)) <= units * eps * size + own * std
    assert np.max(np.abs(moments.var() - var)) <= units * eps * size * std + own * std**2


# Here, batch by batch


@pytest.mark.parametrize(("dtype", "mean"), DATA)
@pytest.mark.parametrize("shape", [(40, 6), (40, 6, 7), (40, 6, 5, 4)], ids=str)
def test_any_batches_give_the_moments_of_the_whole(dtype, mean, shape):
    x = images(dtype, mean, shape)
    axes = (0, *range(2, x.ndim))
    assert_truth(quietly([x]), x, axes)
    for cuts in ([20], [1, 2, 3], [13, 26, 39], range(1, 40)):
        batches = np.split(x, list(cuts))
        assert_truth(quietly(batches), x, axes)
        assert_truth(quietly(batches[::-1]), x, axes)
        assert_truth(quietly(batch for batch in batches), x, axes)


@pytest.mark.parametrize("axis", [0, (0, 2, 3), (0, -1), (0, 1, 2, 3), [0, 3]], ids=str)
def test_over_the_axes_that_are_asked_for(axis):
    x = images()
    assert_truth(quietly(np.split(x, 8), axis), x, tuple(np.atleast_1d(axis)))


def test_images_may_differ_in_size():
    small, large = images(shape=(3, 2, 4, 4)), images(shape=(5, 2, 9, 3)) + 7
    values = np.concatenate([batch.transpose(0, 2, 3, 1).reshape(-1, 2) for batch in (small, large)])
    assert_truth(quietly([small, large]), values, (0,))


@pytest.mark.parametrize("parts", [*range(1, 10), 100, 128])
def test_merging_pairwise_leaves_nothing_out_and_keeps_the_order(parts):
    """Moments that note where they come from, in place of numbers."""

    class Noted:
        def __init__(self, *numbers):
            self.numbers = numbers

        def merge(self, other):
            return Noted(*self.numbers, *other.numbers)

    assert merge_pairwise(Noted(i) for i in range(parts)).numbers == tuple(range(parts))


def test_rounding_does_not_grow_with_the_number_of_batches():
    """One after the other, each merge rounds the whole anew: four digits of float16's statistics, by the end."""
    x = (100 + np.random.default_rng(0).normal(size=(40_000, 2))).astype(np.float16)
    parts = [Moments.of(batch, 0) for batch in np.split(x, 20_000)]
    exact = x.astype(np.float64).mean(axis=0)
    in_a_row = parts[0]
    for part in parts[1:]:
        in_a_row = in_a_row.merge(part)
    assert np.max(np.abs(merge_pairwise(parts).mean - exact)) < 2e-5
    assert np.max(np.abs(in_a_row.mean - exact)) > 5e-5


def test_a_generator_is_read_once_and_one_batch_is_held_at_a_time():
    made = []

    def batches(count):
        for number in range(count):
            made.append(number)
            yield np.random.default_rng(number).normal(size=(4096, 64))  # 2 MB

    def peak(count):
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
        quietly(batches(count))
        return tracemalloc.get_traced_memory()[1] - before

    tracemalloc.start()
    try:
        peak(1)  # what is imported and compiled at first
        one, many = peak(1), peak(20)
    finally:
        tracemalloc.stop()
    assert made == [0, 0, *range(20)]
    assert one >= 4096 * 64 * 8
    assert many - one < 100_000


def test_a_file_larger_than_one_wants_to_load(tmp_path, monkeypatch):
    x = images(np.float32, 1e3, (1000, 8))
    x.tofile(tmp_path / "x")
    on_disk = np.memmap(tmp_path / "x", np.float32, "r", shape=x.shape)
    monkeypatch.setattr(Moments, "of", None)  # the reference: a file is to be read by a backend's loops
    moments = quietly(on_disk[i : i + 100] for i in range(0, 1000, 100))
    assert type(moments.mean) is np.ndarray
    assert_truth(moments, x, (0,))


def test_a_nan_stays_in_its_channel():
    x = images()
    x[17, 3, 2, 1] = np.nan
    for moments in (quietly(np.split(x, 8)), quietly(da.from_array(x, chunks=(5, 2, 5, 4)))):
        assert np.array_equal(np.isnan(moments.mean), np.arange(6) == 3)
        assert np.array_equal(np.isnan(moments.var()), np.arange(6) == 3)


def test_the_bar_counts_batches(capsys):
    pytest.importorskip("tqdm", reason="would run if installed: tqdm")
    x = images()
    population_moments(np.split(x, 8))
    assert "8/8" in capsys.readouterr().err
    population_moments(batch for batch in np.split(x, 8))
    assert "8batch" in capsys.readouterr().err
    population_moments(da.from_array(x, chunks=(10, 3, 5, 4)))
    assert "8/8" in capsys.readouterr().err
    quietly(np.split(x, 8))
    quietly(da.from_array(x, chunks=(10, 3, 5, 4)))
    assert capsys.readouterr() == ("", "")


GOOD = np.ones((4, 3))
REFUSED = [
    pytest.param([], ValueError, ["batches is empty", "at least one array"], id="nothing"),
    pytest.param(GOOD, TypeError, ["batches is one array", "Moments.of"], id="one array"),
    pytest.param(3, TypeError, ["batches is a int", "iterable of arrays"], id="not iterable"),
    pytest.param([GOOD, GOOD[:0]], ValueError, ["batches[1]", "(0, 3)", "at least one element"], id="empty batch"),
    pytest.param([GOOD, GOOD, GOOD[:, :2]], ValueError, ["batches[2]", "(4, 2)", "(3,)"], id="channels"),
    pytest.param([GOOD, GOOD.astype(int)], TypeError, ["batches[1]", "int64", "astype"], id="integers"),
    pytest.param([GOOD, (GOOD, [0])], TypeError, ["batches[1]", "tuple"], id="with labels"),
    pytest.param([GOOD[0]], ValueError, ["batches[0]", "(3,)", "(N, C)"], id="rank 1"),
    pytest.param(da.ones((4, 3), dtype=int), TypeError, ["batches", "int64", "astype"], id="Dask: integers"),
    pytest.param(da.ones((4,)), ValueError, ["batches", "(4,)", "(N, C)"], id="Dask: rank 1"),
    pytest.param(da.ones((0, 3)), ValueError, ["batches", "(0, 3)", "at least one element"], id="Dask: empty"),
]


@pytest.mark.parametrize(("batches", "error", "words"), REFUSED)
def test_refusals_say_which_batch(batches, error, words):
    with pytest.raises(error) as caught:
        quietly(batches)
    assert type(caught.value) is error
    assert str(caught.value).startswith("batches")
    for word in words:
        assert word in str(caught.value)


def test_axes_are_refused_too():
    for axis, error in ((5, ValueError), ((0, 0), ValueError), ("rows", TypeError)):
        for batches in ([GOOD], da.ones((4, 3))):
            with pytest.raises(error, match="axis"):
                quietly(batches, axis)
    with pytest.raises(ValueError, match=r"batches\[1\] has shape \(4, 0\)"):
        quietly([GOOD, GOOD[:, :0]], 0)


def test_a_cluster_is_for_dask_arrays():
    with pytest.raises(ValueError, match=r"scheduler is given but batches is a list.*from_delayed"):
        quietly([GOOD], scheduler="tcp://127.0.0.1:1")
    with pytest.raises(TypeError, match=r"batches is a Delayed of Dask; expected a Dask array"):
        quietly(da.ones((4, 3)).to_delayed()[0, 0])


# On a cluster


@pytest.fixture(scope="module")
def threads():
    """A scheduler with two workers that are threads of this process."""
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=False, dashboard_address=":0", memory_limit=0
    ) as cluster:
        yield cluster


@pytest.mark.parametrize(("dtype", "mean"), DATA)
@pytest.mark.parametrize(
    "chunks", [(7, 6, 5, 4), (40, 1, 5, 4), (40, 6, 2, 3), (9, 4, 3, 4), (4, 2, 5, 1)], ids=lambda chunks: f"{chunks}"
)
def test_blocks_along_any_axes_give_the_moments_of_the_whole(threads, dtype, mean, chunks):
    x = images(dtype, mean)
    assert_truth(quietly(da.from_array(x, chunks=chunks), scheduler=threads), x, (0, 2, 3))


@pytest.mark.parametrize("axis", [0, 1, (0, -1), (0, 1, 2, 3), ()], ids=str)
def test_dask_over_the_axes_that_are_asked_for(threads, axis):
    x = images()
    moments = quietly(da.from_array(x, chunks=(9, 4, 3, 4)), axis, scheduler=threads)
    assert_truth(moments, x, axis if isinstance(axis, tuple) else (axis,))


def test_many_blocks_make_a_tree(threads):
    x = images(np.float32, 1e3, (2000, 3))
    blocks = da.from_array(x, chunks=(7, 3))
    assert_truth(quietly(blocks, scheduler=threads), x, (0,))


def test_blocks_that_a_selection_left_empty(threads):
    x = images(shape=(400, 3))
    rows = da.from_array(x, chunks=(5, 3))
    assert_truth(quietly(rows[rows[:, 0] > 1.5], scheduler=threads), x[x[:, 0] > 1.5], (0,))
    with pytest.raises(ValueError, match="holds nothing"):
        quietly(rows[rows[:, 0] > 100], scheduler=threads)


def test_an_error_in_a_block_comes_back_as_it_was(threads):
    def unreadable(block):
        raise OSError("the disk is gone")

    broken = da.ones((40, 3), chunks=(10, 3)).map_blocks(unreadable, dtype=float, meta=np.empty((0, 0)))
    with pytest.raises(OSError, match="the disk is gone"):
        quietly(broken, scheduler=threads)


def test_the_active_client_is_used_and_left_open(threads):
    x = images()
    with distributed.Client(threads) as client:
        started = len(client.get_task_stream())
        assert_truth(quietly(da.from_array(x, chunks=(9, 4, 3, 4))), x, (0, 2, 3))
        assert client.status == "running"
        assert len(client.get_task_stream()) > started
        assert_truth(quietly(da.from_array(x, chunks=(9, 4, 3, 4)), scheduler=client), x, (0, 2, 3))
        assert client.status == "running"


def test_a_cluster_of_its_own_is_gone_afterwards():
    x, before = images(), set(distributed.Worker._instances)
    assert_truth(quietly(da.from_array(x, chunks=(9, 4, 3, 4))), x, (0, 2, 3))
    with pytest.raises(ValueError, match="No clients found"):
        distributed.default_client()
    (worker,) = set(distributed.Worker._instances) - before
    assert worker.status == distributed.Status.closed


def test_data_larger_than_the_workers_memory():
    """1.5 GB for two processes of 400 MB each, which end as they began: nothing written to disk, no worker replaced."""
    rows, channels, each, limit = 6_000_000, 64, 50_000, 400_000_000

    def block(block_id):
        rng = np.random.Generator(np.random.SFC64(block_id[0]))
        return 1e3 + rng.standard_normal((each, channels), np.float32)

    def state(dask_worker):
        return os.getpid(), tuple(dask_worker.data.spilled_total)

    others = multiprocessing.active_children()
    lazy = da.map_blocks(
        block, chunks=((each,) * (rows // each), channels), dtype=np.float32, meta=np.empty((0, 0), np.float32)
    )
    assert lazy.nbytes > 1.5 * 2 * limit
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, memory_limit=limit, dashboard_address=":0"
        ) as cluster,
        distributed.Client(cluster, set_as_default=False) as client,
    ):
        before = client.run(state)
        on_cluster = quietly(lazy, scheduler=cluster.scheduler_address)
        assert cluster.status == distributed.Status.running
        assert client.run(state) == before
        assert len(before) == 2
        assert all(spilled == (0, 0) and pid != os.getpid() for pid, spilled in before.values())
    assert {*multiprocessing.active_children()} <= {*others}

    here = quietly(block((number,)) for number in range(rows // each))
    assert on_cluster.count == here.count == rows
    assert np.allclose(on_cluster.mean, here.mean, rtol=1e-14, atol=0)
    assert np.allclose(on_cluster.m2, here.m2, rtol=1e-13, atol=0)


def test_no_scheduler_at_that_address():
    nowhere = "tcp://127.0.0.1:1"
    with dask.config.set({"distributed.comm.timeouts.connect": "200ms"}), pytest.raises(OSError, match=nowhere):
        quietly(da.ones((4, 3)), scheduler=nowhere)


def test_without_distributed_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ImportError, match=r"pip install 'bn-lib\[cluster\]'"):
        quietly(da.ones((4, 3)))


def test_what_inference_wants():
    """Population statistics in place of running ones: the whole data set comes out with mean 0 and variance 1."""
    x = images(mean=3.0)
    moments = quietly(np.split(x, 8))
    layer = bn_lib.BatchNorm(6, eps=0.0).eval()
    layer.running_mean, layer.running_var = moments.mean, moments.var()
    y = np.concatenate([layer(batch) for batch in np.split(x, 5)])
    for batches in itertools.permutations(np.split(y, 4)):
        of_y = quietly(batches)
        assert np.allclose(of_y.mean, 0, atol=1e-14)
        assert np.allclose(of_y.var(), 1, rtol=1e-14)
