"""A mini-batch that is spread over workers is normalized as if one worker had all of it.

The workers are real: `mpiexec` starts `sync_worker.py`, and what each of them saw is compared here with `BatchNorm`
on the rows of all. A worker that waits for another that never comes is ended by `mpiexec` after a minute.
"""

import copy
import functools
import json
import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from agreement import assert_agrees
from sync_worker import CASES, CHANNELS, inputs, network, passes, rows_of, train_on

import bn_lib
from bn_lib import BatchNorm, SyncBatchNorm

MPI = pytest.importorskip("mpi4py.MPI", reason="would run if installed: mpi4py", exc_type=ImportError)

WORKER = Path(__file__).with_name("sync_worker.py")
MINUTE = 60
PER_ROW = ("y", "dx")
SUMMED = ("dgamma", "dbeta")
STATE = ("gamma", "beta", "running_mean", "running_var", "num_batches_tracked")

on_two_and_on_four = pytest.mark.parametrize("workers", [2, 4])


def start(workers, *arguments):
    """Run `sync_worker.py` on so many workers; return what mpiexec said."""
    beside_python = Path(sys.executable).parent
    mpiexec = shutil.which("mpiexec", path=os.pathsep.join([str(beside_python), os.environ.get("PATH", "")]))
    if mpiexec is None:
        pytest.skip("would run if installed: mpich (PyPI)")
    return subprocess.run(
        [mpiexec, "-n", str(workers), sys.executable, "-W", "error", *map(str, arguments)],
        env=os.environ | {"MPIEXEC_TIMEOUT": str(MINUTE)},
        cwd=WORKER.parents[2],
        capture_output=True,
        text=True,
        timeout=2 * MINUTE,
        check=False,
    )


@pytest.fixture(scope="module")
def together(tmp_path_factory):
    """The folder of what so many workers wrote in all tasks; each number is started once, for that takes the time."""

    @functools.cache
    def folder_of(workers):
        folder = tmp_path_factory.mktemp(f"on_{workers}")
        groups = ("groups",) if workers == 4 else ()
        done = start(workers, WORKER, folder, "each_case", "train", "refusals", "other_channels", *groups)
        assert done.returncode == 0, done.stdout + done.stderr
        return folder

    return folder_of


@pytest.fixture(scope="module")
def seen(together):
    """What each worker saw in a case."""

    def load(workers, backend, case):
        folder = together(workers) / "each_case"
        return [dict(np.load(folder / f"{backend}-{CASES.index(case)}-{rank}.npz")) for rank in range(workers)]

    return load


def alone(case):
    return passes(BatchNorm(CHANNELS), case, slice(None))


def joined(parts):
    """The workers' results as one: rows one after the other, gradients of parameters added up."""
    whole = {name: np.concatenate([part[name] for part in parts]) for name in PER_ROW}
    return whole | {name: np.sum([part[name] for part in parts], axis=0) for name in SUMMED}


@on_two_and_on_four
@pytest.mark.parametrize("backend", sorted({bn_lib.backend(), "numpy"}))
@pytest.mark.parametrize("case", CASES)
def test_it_is_batch_norm_of_all_rows(seen, workers, backend, case):
    parts, whole = seen(workers, backend, case), alone(case)
    assert [len(part["y"]) for part in parts] == [
        rows.stop - rows.start for rows in (rows_of(rank, workers, case.split("; ")[2]) for rank in range(workers))
    ]
    work = np.float64 if case.startswith("float64") else np.float32
    ours = joined(parts) | {name: parts[0][name] for name in STATE}
    assert ours.keys() == whole.keys()
    for name, value in whole.items():
        assert ours[name].dtype == value.dtype
        if value.dtype == np.float16:  # the last bit of float16 is all that float32's rounding can change
            assert np.allclose(ours[name], value, rtol=np.finfo(np.float16).eps, atol=1e-6), name
        else:
            assert_agrees(ours[name], value, name, dtype=work)


@on_two_and_on_four
@pytest.mark.parametrize("case", CASES)
def test_workers_never_drift_apart(seen, workers, case):
    """Not to rounding but to the last bit: their parameters are meant to stay equal over many steps."""
    first, *others = seen(workers, bn_lib.backend(), case)
    for other in others:
        for name in STATE:
            assert np.array_equal(first[name], other[name]), name


@on_two_and_on_four
def test_statistics_of_one_worker_alone_would_not_do(seen, workers):
    """The comparison above can fail: each worker's own rows give something else."""
    case = CASES[0]
    (part, *_), rows = seen(workers, bn_lib.backend(), case), rows_of(0, workers, "even")
    own = passes(BatchNorm(CHANNELS), case, rows)
    for name in ("y", "dx", "running_mean", "running_var"):
        assert np.max(np.abs(part[name] - own[name])) > 0.01


def test_a_communicator_of_ones_own(together):
    """Even and odd ranks: two mini-batches that know nothing of each other."""
    parts = [dict(np.load(together(4) / "groups" / f"{rank}.npz")) for rank in range(4)]
    for colour in (0, 1):
        whole, group = alone(CASES[colour]), parts[colour::2]
        for name, value in (joined(group) | {name: group[0][name] for name in STATE}).items():
            assert_agrees(value, whole[name], name, dtype=np.float64)


@on_two_and_on_four
def test_a_network_trains_as_on_one_machine(together, workers):
    one = train_on(network(BatchNorm), 0, 1, lambda gradient: gradient).state_dict()
    untrained = network(BatchNorm).state_dict()
    for rank in range(workers):
        state = dict(np.load(together(workers) / "train" / f"{rank}.npz"))
        assert state.keys() == one.keys()
        for name, value in one.items():
            assert np.allclose(state[name], value, rtol=1e-9, atol=1e-11), name
            # A bias that a normalizer follows has no gradient: its mean is taken off again.
            assert name in ("0.bias", "3.bias") or not np.allclose(untrained[name], value, rtol=1e-3), name


@on_two_and_on_four
def test_what_one_worker_refuses_raises_on_all(together, workers):
    said = [json.loads((together(workers) / "refusals" / f"{rank}.json").read_text()) for rank in range(workers)]
    assert all(each["as it was"] for each in said)
    last = workers - 1
    expected = [
        ("forward", 1, "ValueError", "gamma has shape (5,); expected (2,)"),
        ("forward", 0, "TypeError", "x has dtype int64"),
        ("forward", last, "ValueError", "x has shape (0, 5, 0)"),
        (None, None, "nothing", ""),
        ("backward", 1, "ValueError", "dy has shape (1, 5)"),
        (None, None, "nothing", ""),  # nobody is out of step: the next pass is an ordinary one
        ("forward", 1, "ValueError", "x has shape (3, 2); expected 5 channels along axis -1"),
        ("forward", 0, "ValueError", "mask has shape (3,); expected (2,)"),
        (None, None, "nothing", ""),
        ("backward", 1, "ValueError", "dy has shape (1, 5)"),
        (None, None, "nothing", ""),
    ]
    for rank, each in enumerate(said):
        heard = each["heard"]
        assert len(heard) == len(expected) + 2 * (rank == 0)
        for (name, culprit, error, message), (kind, text) in zip(expected, heard, strict=False):
            if culprit in (None, rank):
                assert (kind, text[: len(message)]) == (error, message)
            else:
                assert (kind, text.partition(";")[0]) == (
                    "RuntimeError",
                    f"{name} was refused on rank {culprit} of {workers}, where the complaint is",
                )
    assert said[0]["heard"][-2:] == [["nothing", ""]] * 2  # rank 0 alone, in inference


@on_two_and_on_four
def test_a_layer_of_other_channels_is_named_on_all(together, workers):
    sizes = [1 + 3 * 5] * (workers - 1) + [1 + 3 * 4]
    for rank in range(workers):
        error, message, batches = json.loads((together(workers) / "other_channels" / f"{rank}.json").read_text())
        assert error == "ValueError"
        assert message == (
            f"forward met messages of {sizes} numbers, by rank; expected layers of one number of channels"
        )
        assert batches == 0


def test_no_row_on_any_worker():
    with pytest.raises(ValueError, match=r"x has shape \(0, 3\): no value per channel over all workers"):
        SyncBatchNorm(3).forward(np.ones((0, 3)))


def test_squares_that_are_no_numbers_are_refused():
    with pytest.raises(ValueError, match=r"x holds 1e\+200; expected numbers whose squares are float64"):
        SyncBatchNorm(3).forward(np.array([[1e200] * 3, [-1e200] * 3]))
    tiny = np.array([[1.0, 0, 1e-200], [-1.0, 1, -1e-200]])
    with pytest.raises(ValueError, match=r"x holds 1e-200; expected numbers whose squares are float64"):
        SyncBatchNorm(3, eps=0.0).forward(tiny)
    assert abs(SyncBatchNorm(3).forward(tiny)[:, 2]).max() < 1e-190  # beside an eps they are next to nothing


def test_a_worker_that_dies_ends_all_of_them(tmp_path):
    """With `-m mpi4py`, as the docstring says; otherwise they would wait until mpiexec ends them."""
    done = start(2, "-m", "mpi4py", WORKER, tmp_path, "dies")
    assert done.returncode != 0
    assert "the disk is gone" in done.stderr
    assert "timed out" not in (done.stdout + done.stderr).lower()


# One worker


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("comm", [None, MPI.COMM_SELF], ids=["world", "self"])
def test_one_worker_is_batch_norm(case, comm):
    ours, whole = passes(SyncBatchNorm(CHANNELS, comm=comm), case, slice(None)), alone(case)
    work = np.float64 if case.startswith("float64") else np.float32
    for name, value in whole.items():
        assert ours[name].dtype == value.dtype
        if value.dtype == np.float16:
            assert np.array_equal(ours[name], value), name
        else:
            assert_agrees(ours[name], value, name, dtype=work)


def test_options_are_batch_norms():
    case = CASES[0]
    options = {"eps": 1e-3, "momentum": None, "unbiased_running_var": False}
    ours, theirs = (passes(kind(CHANNELS, **options), case, slice(None)) for kind in (SyncBatchNorm, BatchNorm))
    for name, value in theirs.items():
        assert_agrees(ours[name], value, name, dtype=np.float64)
    assert SyncBatchNorm.in_convention("keras", 3).momentum == BatchNorm.in_convention("keras", 3).momentum
    assert SyncBatchNorm(3, dtype=np.float32).gamma.dtype == np.float32


def test_a_mask_and_no_running_statistics_are_batch_norms_too():
    x, dy = np.random.default_rng(0).normal(size=(2, 4, 6, 3))
    mask = np.arange(6) < np.array([[6], [4], [0], [1]])
    ours, theirs = (kind(3, channel_axis=-1, track_running_stats=False) for kind in (SyncBatchNorm, BatchNorm))
    for each in (ours, theirs):
        each.results = each(x, mask), each.backward(dy), *each.grads.values(), each.eval()(x, mask), each.backward(dy)
    for a, b in zip(ours.results, theirs.results, strict=True):
        assert_agrees(a, b)
    with pytest.raises(ValueError, match="no value per channel over all workers"):
        ours.train()(x, np.zeros((4, 6), bool))


def test_its_state_is_batch_norms(tmp_path):
    layer = SyncBatchNorm(CHANNELS)
    passes(layer, CASES[0], slice(None))
    layer.save(tmp_path / "state.npz")
    for other in (BatchNorm(CHANNELS).load(tmp_path / "state.npz"), SyncBatchNorm(CHANNELS)):
        other.load_state_dict(layer.state_dict())
        x, dy, *_ = inputs(CASES[0])
        assert np.array_equal(other.eval()(x), layer.eval()(x))
        assert np.array_equal(other.backward(dy), layer.backward(dy))


def test_it_can_be_copied_and_pickled():
    layer = SyncBatchNorm(CHANNELS)
    layer.forward(inputs(CASES[0])[0])
    for twin in (copy.deepcopy(layer), pickle.loads(pickle.dumps(SyncBatchNorm(CHANNELS)))):
        assert twin.comm == layer.comm
        twin.forward(inputs(CASES[0])[0])


def test_a_copy_shares_a_communicator_of_ones_own():
    """mpi4py copies none but its own two, so a copy of the weights, to average or to keep the best, would fail."""
    layer = SyncBatchNorm(CHANNELS, comm=MPI.COMM_WORLD.Dup())
    x = inputs(CASES[0])[0]
    layer.forward(x)
    one, other = copy.deepcopy([layer, layer])
    assert one is other
    assert one.comm is layer.comm
    one.forward(x)
    assert one.num_batches_tracked == 2
    assert layer.num_batches_tracked == 1
    assert not np.shares_memory(one.gamma, layer.gamma)
    layer.comm.Free()


def test_refusals_of_one_worker():
    layer = SyncBatchNorm(3)
    with pytest.raises(ValueError, match=r"x has shape \(1, 3\): one value per channel over all workers"):
        layer.forward(np.ones((1, 3)))
    with pytest.raises(RuntimeError, match=r"SyncBatchNorm\.backward was called before forward"):
        layer.backward(np.ones((1, 3)))
    with bn_lib.use_backend("reference"), pytest.raises(TypeError, match="x is a ndarray to be computed by the refer"):
        layer.forward(np.ones((2, 3)))
    with pytest.raises(TypeError, match="comm is a int; expected a communicator of mpi4py"):
        SyncBatchNorm(3, comm=2)
    assert int(layer.num_batches_tracked) == 0
    layer.forward(np.arange(6.0).reshape(2, 3))
    dx = layer.backward(np.ones((2, 3)))
    assert np.allclose(dx, 0)


def test_without_mpi4py_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "mpi4py", None)
    with pytest.raises(ImportError, match=r"pip install 'bn-lib\[mpi\]'"):
        SyncBatchNorm(3)
