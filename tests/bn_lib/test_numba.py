"""What only compiled loops can get wrong: when they are compiled, for which arrays, where a block or a piece ends.

That they give what the reference gives is tested for every backend in `test_backends`.
"""

import gc
import os
import subprocess
import sys
import threading
import time
import weakref
from functools import partial
from itertools import cycle
from pathlib import Path

import numpy as np
import pytest

import bn_lib

ROOT = Path(__file__).resolve().parents[2]
needs_numba = pytest.mark.needs("module:numba", package="numba (PyPI)")

# A forward and a backward pass for rows and for images, of both precisions, each large enough for threads.
BOTH_PASSES = """
import numpy as np
import bn_lib

def both_passes():
    from bn_lib.backends.with_numba import LARGE
    rng = np.random.default_rng(0)
    for shape in [(1580, 100), (880, 30, 2, 3), (11, 5, 50, 50)]:
        for dtype in (np.float32, np.float64):
            x, dy = (rng.normal(size=shape).astype(dtype) for _ in range(2))
            assert x.size >= LARGE
            gamma, beta = (rng.normal(size=shape[1]).astype(dtype) for _ in range(2))
            y, cache = bn_lib.batch_norm(x, gamma, beta)
            yield from (y, *bn_lib.batch_norm_backward(dy, cache), cache.moments.mean, cache.moments.m2)
            y, cache = bn_lib.layer_norm(x, gamma, beta)
            yield from (y, *bn_lib.layer_norm_backward(dy, cache), cache.moments.mean, cache.moments.m2)
"""


def run(script, *, python=(), **variables):
    """What `script` prints, in a process of its own."""
    process = subprocess.run(
        [sys.executable, "-W", "error", *python, "-c", script],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)} | variables,
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    return process.stdout.strip()


@pytest.fixture(scope="module")
def compiled_folder(tmp_path_factory):
    """A folder with everything that `BOTH_PASSES` compiles, and how much of it there was to compile."""
    folder = str(tmp_path_factory.mktemp("numba"))
    return folder, run(BOTH_PASSES + COUNTS, NUMBA_CACHE_DIR=folder)


COUNTS = """
from bn_lib.backends import with_numba
for _ in both_passes():
    pass
statistics = [f.stats for f in vars(with_numba).values() if hasattr(f, "stats")]
print(*(sum(sum(getattr(s, name).values()) for s in statistics) for name in ("cache_misses", "cache_hits")))
"""


# When it is compiled


def test_importing_the_library_imports_no_numba():
    assert run("import sys, bn_lib; print('numba' in sys.modules)") == "False"


@needs_numba
def test_a_second_process_compiles_nothing(compiled_folder):
    folder, first = compiled_folder
    compiled, _ = map(int, first.split())
    assert compiled > 0
    compiled, loaded = map(int, run(BOTH_PASSES + COUNTS, NUMBA_CACHE_DIR=folder).split())
    assert (compiled, loaded > 0) == (0, True)


@needs_numba
def test_without_a_folder_to_write_to_it_is_compiled_all_the_same():
    script = """
import numpy as np
from numba.core import caching
for name in ("_CacheImpl", "CacheImpl"):  # no place is found, as where neither home nor package can be written to
    if hasattr(caching, name):
        getattr(caching, name)._locator_classes = []
import bn_lib
y, _ = bn_lib.batch_norm(np.array([[1.0], [3.0]]), np.ones(1), np.zeros(1), eps=0.0)
print(bn_lib.backend(), *y.ravel())
from bn_lib.backends import with_numba
print(type(with_numba._forward_rows._cache).__name__)
"""
    assert run(script).split() == ["numba", "-1.0", "1.0", "NullCache"]


ONE_PASS = """
import numpy as np
import bn_lib
def both_passes():
    yield bn_lib.batch_norm(np.array([[1.0], [3.0]]), np.ones(1), np.zeros(1))
"""


@needs_numba
def test_files_that_were_cut_short_are_compiled_again(tmp_path):
    """A killed process or a full disk leaves them, and Numba alone would raise EOFError at every call.

    Of each function one is cut short: its index or its code, in the middle or at its beginning.
    """
    folder = str(tmp_path)
    compiled = run(ONE_PASS + COUNTS, NUMBA_CACHE_DIR=folder).split()[0]
    ways = [(kind, left) for kind in ("nbi", "nbc") for left in (0, 0.5)]
    functions = sorted(tmp_path.rglob("*.nbi"))
    assert len(functions) >= len(ways)
    for function, (kind, left) in zip(functions, cycle(ways), strict=False):
        for file in function.parent.glob(f"{function.stem}*.{kind}"):
            os.truncate(file, int(left * file.stat().st_size))
    assert run(ONE_PASS + COUNTS, NUMBA_CACHE_DIR=folder).split()[0] == compiled != "0"
    assert run(ONE_PASS + COUNTS, NUMBA_CACHE_DIR=folder).split()[0] == "0"


# What if Numba is not there


def test_without_numba_it_is_numpy():
    script = "import sys; sys.modules['numba'] = None\nimport bn_lib; print(bn_lib.backend())"
    assert run(script) == "numpy"


def test_a_numba_that_refuses_to_be_imported_is_named_once_and_done_without(tmp_path):
    (tmp_path / "numba.py").write_text("raise ImportError('Numba needs NumPy 1.2 or less')\n")
    script = """
import warnings, bn_lib
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    print(bn_lib.backend(), bn_lib.backend())
for warning in caught:
    print(warning.category.__name__, warning.message)
"""
    names, *warned = run(script, PYTHONPATH=f"{tmp_path}{os.pathsep}{ROOT}").splitlines()
    assert names == "numpy numpy"
    assert len(warned) == 1
    assert "RuntimeWarning" in warned[0]
    assert "Numba needs NumPy 1.2 or less" in warned[0]


def test_to_ask_for_it_by_name_where_it_is_missing_is_an_import_error():
    script = """
import sys; sys.modules["numba"] = None
import bn_lib
try:
    with bn_lib.use_backend("numba"):
        pass
except ImportError as error:
    print(error)
"""
    assert "numba" in run(script)


# Threads


@needs_numba
def test_results_do_not_depend_on_the_number_of_threads(compiled_folder):
    script = (
        BOTH_PASSES + "import hashlib; print(hashlib.sha256(b''.join(a.tobytes() for a in both_passes())).hexdigest())"
    )
    digests = {
        threads: run(script, NUMBA_CACHE_DIR=compiled_folder[0], OMP_NUM_THREADS=threads) for threads in ("1", "2", "5")
    }
    assert len(set(digests.values())) == 1, digests


@needs_numba
@pytest.mark.skipif(not hasattr(os, "fork"), reason="would run if installed: a system with fork")
def test_a_forked_child_computes_too(compiled_folder):
    """Its parent's threads do not exist in it, and it must not wait for them."""
    script = (
        BOTH_PASSES
        + """
import os, warnings
from bn_lib.backends.threads import threads
warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 advises against what is tested here
before = list(both_passes())
child = os.fork()
if not child:
    os._exit(0 if all(np.array_equal(a, b) for a, b in zip(before, both_passes(), strict=True)) else 1)
print(threads(), os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    )
    assert run(script, NUMBA_CACHE_DIR=compiled_folder[0], OMP_NUM_THREADS="2") == "2 0"


@pytest.fixture(params=[2, 3])
def team(request):
    """Where loops are shared, with that many threads."""
    pytest.importorskip("numba", reason="would run if installed: numba (PyPI)")
    from bn_lib.backends import team

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(team, "threads", lambda: request.param)
        yield team


def until_helped(share, loop):
    """Share `loop(helped, counters, number)`, which sets `helped` in a helper: again, because one may come too late."""
    for _ in range(1000):
        share(partial(loop, helped := threading.Event()))
        if helped.is_set():
            return
    raise AssertionError("no helper came")


@needs_numba
def test_each_piece_of_a_shared_loop_is_done_once(team):
    """By the caller, or by a helper that it waits for. Whoever comes with another loop's number gets nothing."""

    def loop(size, helped, counters, number):
        if number < 0:
            assert not list(team.taken(counters, number - 1, 2000))
        for i in team.taken(counters, number, size):
            done.append(i)
            if number < 0:
                helped.set()
            helped.wait(0.001)

    for size in (2, 63, 64, 65, 1001):
        done = []
        until_helped(team.share, partial(loop, size))
        assert sorted(done) == sorted([*range(size)] * (len(done) // size))
    team.share(partial(loop, 0, threading.Event()))


@needs_numba
def test_an_exception_in_a_shared_loop_is_raised_when_nobody_is_at_it(team):
    begun, ended = [], []

    def fail(fails_here, helped, counters, number):
        for _ in team.taken(counters, number, 3):
            if number > 0:
                if helped.wait(0.01) and fails_here:
                    raise ArithmeticError("here")
            else:
                begun.append(number)
                helped.set()
                time.sleep(0.01)
                ended.append(number)
                if not fails_here:
                    raise ArithmeticError("there")

    for fails_here, where in ((True, "here"), (False, "there")):
        with pytest.raises(ArithmeticError, match=where):
            until_helped(team.share, partial(fail, fails_here))
        assert begun
        assert ended == begun
    team.share(lambda counters, number: list(team.taken(counters, number, 1)))


@needs_numba
def test_a_shared_loop_needs_no_thread_and_leaves_nothing_behind(team, monkeypatch):
    def refuse(_):
        raise RuntimeError("can't start new thread")

    done = []

    def loop(counters, number):
        done.extend(team.taken(counters, number, 9))

    kept = weakref.ref(loop)
    team.share(loop)
    team._team.cache_clear()
    monkeypatch.setattr(threading.Thread, "start", refuse)
    team.share(loop)
    team._team.cache_clear()
    assert sorted(done) == sorted([*range(9)] * 2)
    del loop
    gc.collect()
    assert kept() is None


@needs_numba
def test_a_second_caller_does_not_wait_for_the_first(team):
    numbers = []

    def outer(counters, number):
        if number > 0:
            team.share(lambda _, number: numbers.append(number))

    team.share(outer)
    assert numbers == [0]


@needs_numba
def test_what_calls_into_another_file_is_compiled_where_that_was_found_on_disk(compiled_folder, tmp_path):
    """A generator that Numba has read from disk has no code to be called by what is compiled now."""
    one = ONE_PASS + "for _ in both_passes(): pass\n"
    run(one, NUMBA_CACHE_DIR=str(tmp_path))
    run(one.replace("3.0]]", "3.0]], np.float32"), NUMBA_CACHE_DIR=str(tmp_path))


# Which arrays


def passes(x, gamma, beta, dy):
    with bn_lib.use_backend("numba"):
        y, cache = bn_lib.batch_norm(x, gamma, beta)
        return (y, *bn_lib.batch_norm_backward(dy, cache), cache.moments.mean, cache.moments.m2)


def four(shape, dtype=np.float32):
    rng = np.random.default_rng(0)
    return [rng.normal(size=s).astype(dtype) for s in (shape, shape[1], shape[1], shape)]


def misaligned(a):
    memory = np.empty(a.nbytes + 1, np.uint8)
    view = memory[1:].view(a.dtype).reshape(a.shape)
    view[...] = a
    assert not view.flags.aligned
    return view


def read_only(a):
    a = a.copy()
    a.flags.writeable = False
    return a


@needs_numba
@pytest.mark.parametrize("kind", [read_only, misaligned])
@pytest.mark.parametrize("shape", [(20, 3), (4, 3, 5, 5)])
def test_an_unusual_array_is_computed_by_what_is_compiled_already(kind, shape):
    from bn_lib.backends import with_numba

    arrays = four(shape)
    expected = passes(*arrays)
    compiled = {name: f.signatures for name, f in vars(with_numba).items() if hasattr(f, "signatures")}
    unusual = [kind(a) for a in arrays]
    results = passes(*unusual)
    assert {name: f.signatures for name, f in vars(with_numba).items() if hasattr(f, "signatures")} == compiled
    assert any(compiled.values())
    for result, wanted, a, before in zip(
        results, expected, [*unusual, *unusual[:2]], [*arrays, *arrays[:2]], strict=True
    ):
        assert np.array_equal(result, wanted)
        assert result.flags.writeable
        assert np.array_equal(a, before)


# Where blocks end and centers are far off


@needs_numba
@pytest.mark.parametrize("n", [2, 3, 4, 255, 256, 257, 511, 513])
@pytest.mark.parametrize("positions", [(), (1,), (3,), (15,), (16,), (17,)])
def test_every_row_and_position_counts_once(n, positions):
    """Whole numbers whose mean is zero: nothing is lost to rounding, so a value left out would be seen."""
    rng = np.random.default_rng(n)
    shape = (n, 3, *positions)
    x, dy = (rng.integers(-8, 9, size=shape).astype(np.float64) for _ in range(2))
    x[0], x[1] = -x[2:].sum(0), 0  # a mean of exactly zero in each channel
    gamma, beta = np.ones(3), np.zeros(3)
    y, dx, dgamma, dbeta, mean, m2 = passes(x, gamma, beta, dy)
    axes = (0, *range(2, x.ndim))
    assert np.allclose(mean, 0, rtol=0, atol=1e-13)
    assert np.allclose(m2.ravel(), (x**2).sum(axes), rtol=1e-13, atol=0)
    assert np.array_equal(dbeta, dy.sum(axes))
    with bn_lib.use_backend("reference"):
        expected, cache = bn_lib.batch_norm(x, gamma, beta)
        for ours, theirs in zip((dx, dgamma), bn_lib.batch_norm_backward(dy, cache), strict=False):
            assert np.allclose(ours, theirs, rtol=1e-12, atol=1e-12 * np.abs(theirs).max())
    assert np.allclose(y, expected, rtol=1e-13, atol=1e-13)


@needs_numba
@pytest.mark.parametrize("shape", [(20000, 3), (5000, 3, 2, 2), (40, 3, 20, 25)])
def test_a_provisional_center_that_is_far_from_the_mean_is_replaced(shape):
    """An outlier where the center is looked for. Around that center the squares would lose three digits."""
    x, gamma, beta, dy = four(shape, np.float64)
    x[(0, 1, *(0 for _ in shape[2:]))] = 1e3
    m2 = passes(x, gamma, beta, dy)[-1]
    axes = (0, *range(2, x.ndim))
    wide = x.astype(np.longdouble)
    exact = ((wide - wide.mean(axes, keepdims=True)) ** 2).sum(axes)
    assert np.max(np.abs(m2.ravel() / exact - 1)) < 1e-14


@needs_numba
@pytest.mark.parametrize("shape", [(300, 4), (10, 4, 5, 5)])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("where", [0, 7])
def test_what_is_not_a_number_stays_in_its_channel(shape, value, where):
    x, gamma, beta, dy = four(shape)
    expected = passes(x, gamma, beta, dy)[0]
    x[where, 1] = value
    y, dx, dgamma, _, _, m2 = passes(x, gamma, beta, dy)
    others = [0, 2, 3]
    assert np.array_equal(y[:, others], expected[:, others])
    assert np.all(np.isnan(y[:, 1]))
    assert np.all(np.isnan(dx[:, 1]))
    assert np.isnan(dgamma[1])
    assert np.isnan(m2.ravel()[1])


@needs_numba
@pytest.mark.parametrize("shape", [(32000, 50), (25, 3, 150, 150)])
def test_moments_alone_are_those_of_the_forward_pass(shape):
    """A synchronized layer asks for the four loops one by one."""
    from bn_lib.backends.with_numba import LARGE, NumbaBackend

    x, gamma, beta, dy = four(shape)
    assert x.size >= LARGE
    flat, dy = (a.reshape(*shape[:2], -1) for a in (x, dy))
    loops = NumbaBackend()
    y, statistics = loops.forward(flat, gamma, beta, 1e-5)
    for alone, fused in zip(loops.moments(flat), statistics, strict=False):
        assert np.array_equal(alone, fused)
    assert np.array_equal(loops.normalize(flat, gamma, beta, statistics), y)
    dx, dgamma, dbeta = loops.backward(dy, flat, gamma, statistics)
    apart = super(NumbaBackend, loops).backward(dy, flat, gamma, statistics)
    for ours, theirs in zip((dx, dgamma, dbeta), apart, strict=True):
        assert np.allclose(ours, theirs, rtol=1e-6 if ours is dx else 1e-12, atol=1e-7 if ours is dx else 0)
