"""The GPU's kernels, without a GPU: the same source, compiled for this processor and launched by the same Python code.

Three things are tested. What the kernels compute: `cuda_on_cpu` runs them for `bn_lib`'s public functions, beside
extended precision. How they are launched: arithmetic on shapes. And that NVIDIA's compiler takes the source, for real
architectures. Tests marked `gpu` do the first on a device.
"""

import ctypes
import importlib.util
import json
import re
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import test_backends
from agreement import assert_agrees
from cuda_on_cpu import cupy_on_cpu
from cuda_on_cpu.cupy_on_cpu import device_array

import bn_lib
from benchmarks import gpu
from bn_lib import backends, fast
from bn_lib.backends import launches
from bn_lib.backends.base import Statistics
from bn_lib.backends.with_numpy import NumPyBackend
from bn_lib.population import channel_moments

EPS = 1e-5
MULTIPROCESSORS = 132  # of the device that launches are planned for
FEW = 1  # of the one that is played here: each thread then goes a long way

SHAPES = [
    (16, 512),  # the shapes of the benchmark, smaller
    (96, 64),
    (3000, 32),
    (8, 3, 48, 48),
    (2, 16, 28, 28),
    (48, 3, 8, 8),
    (64, 8, 1, 1),
    (5, 3, 7, 7),  # runs that begin and end inside a word
    (300, 2, 7, 7),
    (3, 5, 9, 5),
    (2, 2, 1, 97),
    (33, 37),  # columns that do not fill a word, or a block
    (2, 3),
    (2000, 1),
    (9, 12, 2, 2),  # several columns to a channel
    (6, 5, 3),
    (1, 3, 40),  # one sample
    (1, 1, 2),
]
DTYPES = [np.float16, np.float32, np.float64]
each_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=lambda d: d.__name__)


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    return cupy_on_cpu.compile_kernels(tmp_path_factory.mktemp("kernels"))


@pytest.fixture
def launched(library, monkeypatch):
    """Put the twin in CuPy's place. The names of the kernels that are launched, in order."""
    cupy, log = cupy_on_cpu.fake_cupy(library, FEW)
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    real = sys.modules.pop("bn_lib.backends.with_cupy", None)
    backends._cupy.cache_clear()
    namespace = fast.namespace
    monkeypatch.setattr(fast, "namespace", lambda x: cupy if isinstance(x, cupy.ndarray) else namespace(x))
    yield log
    cupy_on_cpu.check_memory()
    backends._cupy.cache_clear()
    del sys.modules["bn_lib.backends.with_cupy"]
    if real is not None:
        sys.modules["bn_lib.backends.with_cupy"] = real


on_cpu = pytest.mark.needs("g++", package="g++ (Debian)")


# What is expected


def typical(shape, dtype, mean=2.0, std=3.0, seed=0):
    """x, gamma, beta and dy. Parameters in dtypes of their own, as in mixed precision."""
    rng = np.random.default_rng(seed)
    x, dy = (mean + std * rng.normal(size=shape)).astype(dtype), rng.normal(size=shape).astype(dtype)
    gamma = rng.uniform(0.5, 1.5, shape[1]) * rng.choice([-1, 1], shape[1])
    return x, gamma.astype(np.float32), rng.normal(size=shape[1]).astype(np.float64), dy


def in_extended_precision(x, gamma, beta, dy, eps=EPS, constants=None):
    """y, dx, dgamma, dbeta by the formulas, and how large the terms are that dx is the sum of."""
    x, gamma, beta, dy = (np.asarray(a).astype(np.longdouble) for a in (x, gamma, beta, dy))
    axes, each = (0, *range(2, x.ndim)), (1, -1) + (1,) * (x.ndim - 2)
    base = x[(0, slice(None), *(0,) * (x.ndim - 2))]  # so that sums are of small numbers
    x = x - base.reshape(each)
    mean = x.mean(axes) if constants is None else constants[0] - base
    deviation = x - mean.reshape(each)
    var = np.square(deviation).mean(axes) if constants is None else constants[1].astype(np.longdouble)
    inv_std = (1 / np.sqrt(var + eps)).reshape(each)
    x_hat = deviation * inv_std
    y = gamma.reshape(each) * x_hat + beta.reshape(each)
    dgamma, dbeta = (dy * x_hat).sum(axes), dy.sum(axes)
    rest = 0 if constants else dy.mean(axes).reshape(each) + x_hat * (dy * x_hat).mean(axes).reshape(each)
    scale = gamma.reshape(each) * inv_std
    return y, scale * (dy - rest), dgamma, dbeta, np.abs(scale * dy).max()


def assert_right(ours, expected, dtype):
    """To the tolerance of `agreement`; float16 results are float32 results rounded once."""
    *expected, terms = expected
    for name, mine, theirs in zip(("y", "dx", "dgamma", "dbeta"), ours, expected, strict=True):
        theirs, unit = theirs.astype(np.float64), max(1.0, float(terms)) if name == "dx" else 1.0
        if name in ("dgamma", "dbeta") or dtype != np.float16:
            in_float64 = dtype == mine.dtype == np.float64
            mine = np.asarray(mine, np.float64) / unit
            assert_agrees(mine, theirs / unit, name, dtype=np.float64 if in_float64 else np.float32)
        else:
            assert mine.dtype == np.float16
            rounding = np.maximum(np.abs(theirs) * 2.0**-11, 2.0**-25)
            allowed = rounding * (1 + 1e-3) + 1e-6 * max(unit, np.abs(theirs).max())
            assert np.all(np.abs(np.asarray(mine, np.float64) - theirs) <= allowed), name


def both_ways(x, gamma, beta, dy, eps=EPS, to_device=device_array):
    """y, dx, dgamma, dbeta by the public functions on the device."""
    y, cache = bn_lib.batch_norm(to_device(x), to_device(gamma), to_device(beta), eps=eps)
    return y, *bn_lib.batch_norm_backward(to_device(dy), cache)


# The kernels, through the public functions


@on_cpu
@each_dtype
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_forward_and_backward(launched, shape, dtype):
    arrays = typical(shape, dtype)
    results = both_ways(*arrays)
    assert [a.dtype for a in results] == [dtype, dtype, np.float32, np.float32]
    assert [a.shape for a in results] == [shape, shape, shape[1:2], shape[1:2]]
    assert_right(results, in_extended_precision(*arrays), dtype)
    assert launched == ["moments", "normalize", "gradient_sums", "combine"]


@on_cpu
@pytest.mark.parametrize("multiprocessors", [7, 132, 1000])
@pytest.mark.parametrize("shape", [(40, 3, 7, 7), (700, 37), (500, 4, 2, 2), (20, 2, 64, 8)], ids=str)
def test_results_do_not_depend_on_the_device(library, launched, monkeypatch, shape, multiprocessors):
    """Few or many blocks to a channel."""
    cupy, _ = cupy_on_cpu.fake_cupy(library, multiprocessors)
    monkeypatch.setattr(sys.modules["cupy"], "cuda", cupy.cuda)
    arrays = typical(shape, np.float32)
    assert_right(both_ways(*arrays), in_extended_precision(*arrays), np.float32)


@on_cpu
@each_dtype
@pytest.mark.parametrize("shape", [(6, 3, 5, 5), (6, 3, 8, 8), (31, 7)], ids=str)
def test_inference_and_its_gradient(launched, shape, dtype):
    x, gamma, beta, dy = typical(shape, dtype)
    mean, var = np.linspace(1, 3, shape[1]), np.linspace(4, 16, shape[1], dtype=np.float32)
    y = bn_lib.batch_norm_inference(*(device_array(a) for a in (x, gamma, beta, mean, var)))
    assert launched == ["constants", "normalize"]
    layer = layer_on_device(gamma, beta, mean, var).eval()
    assert np.array_equal(layer.forward(device_array(x)), y)
    dx = layer.backward(device_array(dy))
    expected = in_extended_precision(x, gamma, beta, dy, constants=(mean, var))
    assert_right((y, dx, layer.grads["gamma"], layer.grads["beta"]), expected, dtype)


def layer_on_device(gamma, beta, mean, var):
    layer = bn_lib.BatchNorm(len(gamma))
    layer.gamma, layer.beta, layer.running_mean, layer.running_var = (device_array(a) for a in (gamma, beta, mean, var))
    return layer


@on_cpu
def test_a_layer_in_training(launched):
    x, gamma, beta, dy = typical((6, 4, 5, 5), np.float32)
    start = np.zeros(4), np.ones(4)
    there, here = layer_on_device(gamma, beta, *start), bn_lib.BatchNorm(4)
    here.gamma, here.beta = gamma, beta
    with bn_lib.use_backend("reference"):
        expected = here.forward(x), here.backward(dy)
    assert_agrees(there.forward(device_array(x)), expected[0])
    assert_agrees(there.backward(device_array(dy)), expected[1])
    assert_agrees(there.running_mean, here.running_mean, dtype=np.float32)
    assert_agrees(there.running_var, here.running_var, dtype=np.float32)


@on_cpu
@pytest.mark.parametrize("shape", [(8, 3), (300, 3, 2), (5, 3, 700), (4, 3, 7, 7)], ids=str)
@pytest.mark.parametrize("case", [name for name, (dtype, *_) in test_backends.EXTREMES.items() if dtype != np.float64])
def test_the_ends_of_a_type(launched, case, shape):
    """Of float32 and float16: double has no wider type, and its squares must be numbers."""
    x, gamma, beta, dy, eps = test_backends.extreme(case, shape)
    *exact, dgamma_scale, dbeta_scale = test_backends.truth(x, gamma, beta, dy, eps)
    results = [np.asarray(a) for a in both_ways(x, gamma, beta, dy, eps)]
    for ours, theirs, scale in zip(results, exact, (None, None, dgamma_scale, dbeta_scale), strict=True):
        test_backends.assert_as_held(ours, theirs, test_backends.UNITS, scale)


@on_cpu
def test_nobody_waits_for_the_device(launched):
    arrays = [device_array(a) for a in typical((8, 4, 6, 6), np.float32)]
    before = cupy_on_cpu.ndarray.waited
    both_ways(*arrays, to_device=lambda a: a)
    assert cupy_on_cpu.ndarray.waited == before


# Accuracy


@on_cpu
@pytest.mark.parametrize("shape", [(3000, 8), (16, 2, 32, 32), (300, 2, 7, 7), (700, 4, 2, 2)], ids=str)
@pytest.mark.parametrize(
    ("dtype", "mean", "std", "allowed"),
    [(np.float32, 1e4, 1e-2, 1e-6), (np.float32, 1e6, 1, 1e-6), (np.float64, 1e8, 1, 1e-14)],
)
def test_a_mean_much_larger_than_the_deviation(launched, shape, dtype, mean, std, allowed):
    x, gamma, beta, dy = typical(shape, dtype, mean, std)
    gamma, beta = np.ones_like(gamma), np.zeros_like(beta)
    y, dx, _, _ = both_ways(x, gamma, beta, dy)
    expected_y, expected_dx, *_ = in_extended_precision(x, gamma, beta, dy)
    assert np.max(np.abs(y - expected_y)) <= allowed * np.max(np.abs(expected_y))
    assert np.max(np.abs(dx - expected_dx)) <= 2 * allowed * np.max(np.abs(expected_dx))


@on_cpu
@pytest.mark.parametrize("where", [0, 700, -1])
def test_one_value_far_from_all_others(launched, where):
    x, gamma, beta, dy = typical((6000, 3), np.float32, mean=0.0, std=1.0)
    x[where] = 1e5
    assert_right(both_ways(x, gamma, beta, dy), in_extended_precision(x, gamma, beta, dy), np.float32)


@on_cpu
def test_a_stored_mean_much_larger_than_the_deviation(launched):
    """What float32 cannot hold of the mean counts."""
    x, gamma, beta, dy = typical((64, 5), np.float32, mean=1e4, std=1e-2)
    mean, var = np.full(5, 1e4 + 1e-4), np.full(5, 1e-4)
    y = bn_lib.batch_norm_inference(*(device_array(a) for a in (x, gamma, beta, mean, var)), eps=0.0)
    expected = in_extended_precision(x, gamma, beta, dy, eps=0.0, constants=(mean, var))[0]
    assert_agrees(y, expected.astype(np.float64), dtype=np.float32)


@on_cpu
@pytest.mark.parametrize("shape", [(3000, 2), (4, 2, 48, 48)], ids=str)
@pytest.mark.parametrize("size", [1e-30, 1e30, 1e37])
def test_squares_that_float_cannot_hold(launched, shape, size):
    x, gamma, beta, dy = typical(shape, np.float32, mean=0.0, std=size)
    y, _, dgamma, _ = both_ways(x, gamma, beta, dy, eps=0.0)
    expected = in_extended_precision(x, gamma, beta, dy, eps=0.0)
    assert_agrees(y, expected[0].astype(np.float64), dtype=np.float32)
    assert_agrees(dgamma, expected[2].astype(np.float64), dtype=np.float32)


@on_cpu
@each_dtype
@pytest.mark.parametrize("value", [0.0, 0.1, -7777.0])
def test_a_constant_gives_beta_exactly(launched, dtype, value):
    _, gamma, beta, dy = typical((37, 3, 5, 3), dtype)
    beta = beta.astype(dtype)
    y, dx, _, _ = both_ways(np.full(dy.shape, value, dtype), gamma, beta, dy)
    assert np.array_equal(y, np.broadcast_to(beta[:, None, None], y.shape))
    assert np.all(np.isfinite(dx))


@on_cpu
@each_dtype
@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("shape", [(8, 5, 7, 7), (64, 12), (20, 4, 2, 2)], ids=str)
def test_a_bad_value_stays_in_its_channel(launched, shape, dtype, bad):
    """Neighbours share words with it, and it was read with theirs."""
    x, gamma, beta, dy = typical(shape, dtype)
    clean = both_ways(x, gamma, beta, dy)
    x[0, 2] = bad
    dirty = both_ways(x, gamma, beta, dy)
    others = np.arange(shape[1]) != 2
    for before, after in zip(clean[:2], dirty[:2], strict=True):
        assert np.array_equal(before[:, others], after[:, others])
        assert np.all(np.isnan(after[:, 2]))


# Memory


@on_cpu
@each_dtype
@pytest.mark.parametrize("shape", [(6, 3, 8, 8), (33, 16)], ids=str)
def test_arrays_that_begin_inside_a_word(launched, shape, dtype):
    arrays = typical(shape, dtype)
    expected = both_ways(*arrays)
    shifted = both_ways(*arrays, to_device=lambda a: device_array(a, offset=a.itemsize))
    for one, other in zip(expected, shifted, strict=True):
        assert_agrees(one, np.asarray(other), dtype=np.float32)
        assert other.shape == one.shape


@on_cpu
def test_a_gradient_wider_than_x_is_not_squeezed(launched):
    """float32 holds 1e6, float16 does not."""
    x, gamma, beta, dy = typical((6, 3, 4, 4), np.float16)
    wide = 1e6 * dy.astype(np.float32)
    _, dx, dgamma, dbeta = both_ways(x, 1e-6 * gamma, beta, wide)
    _, expected_dx, expected_dgamma, expected_dbeta, _ = in_extended_precision(x, 1e-6 * gamma, beta, wide)
    assert dx.dtype == np.float16
    assert np.allclose(dx, expected_dx.astype(float), rtol=2**-10, atol=1e-6)
    assert np.allclose(dgamma, expected_dgamma.astype(float), rtol=1e-6)
    assert np.allclose(dbeta, expected_dbeta.astype(float), rtol=1e-6)


@on_cpu
@pytest.mark.parametrize("elsewhere", ["x", "gamma", "beta", "dy"])
def test_an_array_on_another_device_is_refused(launched, elsewhere):
    """Its address means nothing here, and a kernel that follows it ends everything on the device."""
    arrays = {
        name: device_array(a) for name, a in zip(("x", "gamma", "beta", "dy"), typical((6, 3), np.float32), strict=True)
    }
    arrays[elsewhere].device_id = 1
    with pytest.raises(ValueError, match="is on device 1 but the current device is 0"):
        both_ways(*arrays.values(), to_device=lambda a: a)


# Other users of the loops


@on_cpu
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(9, 4, 49), (50, 6, 1), (7, 6, 4)], ids=str)
def test_the_four_loops(launched, shape, dtype):
    ours, numpys = backends.choose(device_array(0.0)), NumPyBackend()
    x, _, _, dy = typical(shape, dtype)
    rng = np.random.default_rng(1)
    center, *vectors = rng.normal(size=(4, shape[1])).astype(dtype)
    device = [device_array(a) for a in (dy, x, center, *vectors)]
    scale, offset = vectors[:2]

    mean, lost, m2 = ours.moments(device[1])
    their_mean, their_lost, their_m2 = numpys.moments(x)
    assert_agrees(mean + lost, (their_mean + their_lost).astype(np.float64), dtype=dtype)
    assert np.array_equal(mean, mean.astype(dtype))
    assert np.allclose(m2, their_m2, rtol=1e-6 if dtype == np.float32 else 1e-13)
    assert_agrees(
        ours.scale_and_shift(device[1], device[2], device[3], device[4]),
        numpys.scale_and_shift(x, center, scale, offset),
    )
    for mine, theirs in zip(ours.gradient_sums(*device[:3]), numpys.gradient_sums(dy, x, center), strict=True):
        assert mine.dtype == np.float64
        assert_agrees(mine, theirs, dtype=dtype)
    assert_agrees(ours.combine(*device), numpys.combine(dy, x, center, *vectors))


@on_cpu
def test_statistics_shared_with_other_workers(launched):
    """As SyncBatchNorm uses it: the parts of `backward`, with (C,) arithmetic of one's own between them."""
    x, gamma, beta, dy = (device_array(a) for a in typical((8, 4, 9), np.float32))
    backend = backends.choose(x)
    y, statistics = backend.forward(x, gamma, beta, EPS)
    dx, dgamma, dbeta = backend.backward(dy, x, gamma, statistics)
    narrow = Statistics(statistics.center.astype(np.float32), *statistics[1:])
    assert np.array_equal(backend.normalize(x, gamma, beta, narrow), y)
    own_dgamma, own_dbeta = backend.parameter_gradients(dy, x, narrow)
    assert own_dgamma.dtype == np.float64
    assert_agrees(dgamma, own_dgamma, dtype=np.float32)
    assert_agrees(dbeta, own_dbeta, dtype=np.float32)
    same = backend.input_gradient(dy, x, gamma, narrow, own_dbeta / 72, own_dgamma / 72)
    assert np.array_equal(same, dx)


@on_cpu
@each_dtype
def test_a_cache_and_population_moments(launched, dtype):
    x, gamma, beta, _ = typical((6, 3, 5), dtype)
    _, cache = bn_lib.batch_norm(device_array(x), device_array(gamma), device_array(beta))
    expected = in_extended_precision(x, np.ones(3), np.zeros(3), x)[0].astype(np.float64)
    assert_agrees(cache.x_hat, expected, dtype=np.float64 if dtype == np.float64 else np.float32)
    moments = channel_moments(device_array(x))
    assert moments.count == cache.moments.count == 30
    for found in (moments, cache.moments):
        mean, var = np.ravel(found.mean), np.ravel(found.var())
        assert_agrees(mean, x.astype(np.float64).mean((0, 2)), dtype=np.float32)
        assert_agrees(var, x.astype(np.float64).var((0, 2)), dtype=np.float32)


# Launches


@on_cpu
def test_python_and_the_kernels_agree_on_their_constants(library):
    def constant(name):
        return ctypes.c_int.in_dll(library, name).value

    assert (constant("threads"), constant("blocks")) == (launches.THREADS, launches.BLOCKS)
    assert launches.LAYOUT.itemsize == constant("layout")
    assert cupy_on_cpu.THREADS == launches.THREADS


REAL = [(64, 512), (1024, 1024), (8192, 256), (32, 64, 3136), (8, 256, 784), (128, 3, 1024), (256, 64, 1)]
LARGE = [(32, 64, 3136), (64, 256, 3136), (256, 256, 3136)]


@pytest.mark.parametrize("itemsize", [2, 4, 8])
@pytest.mark.parametrize("aligned", [True, False])
@pytest.mark.parametrize("shape", [(*s, 1)[:3] for s in REAL] + LARGE + [(3, 5, 49), (1, 1, 2), (2**24, 3, 1)], ids=str)
def test_a_plan_covers_everything_once(shape, itemsize, aligned):
    launch = launches.plan(shape, itemsize, aligned, MULTIPROCESSORS)
    rows, columns, width, words, chunk, across, positions = launch.layout[0].tolist()
    _, word, lanes, ragged = launch.template.split(", ")
    word, lanes = int(word), int(lanes)
    assert rows * columns * width == np.prod(shape)
    assert (columns, launch.columns) == (shape[1] * positions,) * 2
    assert (launch.splits - 1) * chunk < rows * words <= launch.splits * chunk
    assert (launch.groups - 1) * across * lanes < columns <= launch.groups * across * lanes
    assert columns % lanes == 0
    assert (across * lanes) & (across * lanes - 1) == 0
    assert across * lanes <= launches.THREADS
    assert word * itemsize <= (launches.WORD if aligned else itemsize)
    if lanes > 1:
        assert (word, words, ragged) == (lanes, 1, "false")
    elif ragged == "true":  # the run that begins at the last element of a word
        assert (word - 1 + width - 1) // word == words - 1
    else:
        assert words * word == width
    assert launch.splits <= launches.LARGEST_GRID


@pytest.mark.parametrize("itemsize", [2, 4])
@pytest.mark.parametrize("shape", LARGE, ids=str)
def test_large_images_fill_the_device(shape, itemsize):
    """The last round of blocks leaves at most a tenth of the multiprocessors idle."""
    launch = launches.plan(shape, itemsize, True, MULTIPROCESSORS)
    rounds = launch.groups * launch.splits / (MULTIPROCESSORS * launches.BLOCKS)
    assert rounds / np.ceil(rounds) >= 0.9
    assert f", {16 // itemsize}, 1, false" in launch.template


@pytest.mark.parametrize("itemsize", [2, 4])
@pytest.mark.parametrize(
    "shape", [(2**18, 32, 1), (2**20, 32, 1), (2**20, 64, 1), (100_000, 16, 4), (2**24, 3, 1)], ids=str
)
def test_long_columns_are_shared_by_the_whole_device(shape, itemsize):
    """However few there are."""
    launch = launches.plan(shape, itemsize, True, MULTIPROCESSORS)
    assert launch.groups * launch.splits >= MULTIPROCESSORS


# NVIDIA's compiler


def compiled(architecture, names):
    """What NVRTC says to the source: its log, and a machine program."""
    nvrtc = importlib.util.find_spec("nvidia.cuda_nvrtc")
    library = next(Path(nvrtc.submodule_search_locations[0], "lib").glob("libnvrtc.so*"))
    nvrtc, program, size = ctypes.CDLL(str(library)), ctypes.c_void_p(), ctypes.c_size_t()
    source = cupy_on_cpu.CUDA.read_bytes()
    assert nvrtc.nvrtcCreateProgram(ctypes.byref(program), source, b"batchnorm.cu", 0, None, None) == 0
    for name in names:
        assert nvrtc.nvrtcAddNameExpression(program, name.encode()) == 0
    options = [b"-std=c++17", b"-ftz=true", f"-arch={architecture}".encode(), b"--ptxas-options=-v"]  # as CuPy's
    failed = nvrtc.nvrtcCompileProgram(program, len(options), (ctypes.c_char_p * len(options))(*options))
    nvrtc.nvrtcGetProgramLogSize(program, ctypes.byref(size))
    log = ctypes.create_string_buffer(size.value)
    nvrtc.nvrtcGetProgramLog(program, log)
    assert not failed, log.value.decode()
    nvrtc.nvrtcGetCUBINSize(program, ctypes.byref(size))
    assert size.value > 0
    return log.value.decode()


@pytest.mark.needs("module:nvidia", package="nvidia-cuda-nvrtc-cu12 (in the extra [test])")
@pytest.mark.parametrize(("architecture", "kind"), [("sm_70", "float"), ("sm_80", "Half"), ("sm_90", "")])
def test_the_source_compiles_for_real_devices(architecture, kind):
    names = [name for name in cupy_on_cpu.expressions() if f"<{kind}" in name]
    log = compiled(architecture, names)
    assert log.count("Used ") == len(names)
    complaints = [line for line in log.splitlines() if "warning" in line]
    assert [line for line in complaints if "deprecated" not in line] == []  # sm_70 is, and CuPy still runs on it


@pytest.mark.needs("module:nvidia", package="nvidia-cuda-nvrtc-cu12 (in the extra [test])")
def test_kernels_for_images_keep_everything_in_registers():
    """What does not fit goes to memory, and memory is what they are short of."""
    names = [n for n in cupy_on_cpu.expressions() if n.endswith(("<float, 4, 1, false>", "<Half, 8, 1, false>"))]
    log = compiled("sm_90", names)
    spilled = [int(n) for n in re.findall(r"(\d+) bytes spill stores", log)]
    assert len(spilled) == len(names) == 8
    assert max(spilled) == 0


# The benchmark


def test_the_benchmark_says_what_it_lacks(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)
    with pytest.raises(SystemExit, match="needs CuPy"):
        gpu.main(["--quick"])

    class NoDevice(Exception):
        pass

    def count():
        raise NoDevice("no CUDA-capable device is detected")

    runtime = SimpleNamespace(getDeviceCount=count, CUDARuntimeError=NoDevice)
    monkeypatch.setitem(sys.modules, "cupy", SimpleNamespace(cuda=SimpleNamespace(runtime=runtime)))
    with pytest.raises(SystemExit, match=r"needs a GPU.* no CUDA-capable"):
        gpu.main(["--quick"])


@on_cpu
@pytest.mark.parametrize("dtype", gpu.DTYPES)
def test_the_benchmark_finds_what_is_wrong(launched, monkeypatch, dtype):
    cupy = sys.modules["cupy"]
    assert gpu.errors(cupy, (16, 40), dtype) == []
    assert gpu.errors(cupy, (4, 20, 6, 6), dtype) == []
    smaller = {"float32": 1 - 2e-5, "float16": 1 - 2e-3}[dtype]
    monkeypatch.setattr(cupy, "asnumpy", lambda a: (np.array(a) * smaller).astype(a.dtype))
    wrong = " ".join(gpu.errors(cupy, (16, 40), dtype))
    assert "y of channels 0 to 15" in wrong
    assert "dx of channels 32 to 39" in wrong


@on_cpu
def test_the_benchmark_runs_from_end_to_end(launched, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(gpu, "SHAPES", ((8, 4), (4, 2, 6, 6)))
    monkeypatch.setattr(gpu, "LARGE", ((4, 3, 8, 8), (5, 3, 8, 8)))
    monkeypatch.setattr(gpu, "SETTLED", 0.0)
    monkeypatch.setattr(gpu, "ROUNDS", 3)
    monkeypatch.setattr(gpu, "QUICK_ROUNDS", 2)
    monkeypatch.setattr(gpu, "PAGE", tmp_path / "gpu.md")
    gpu.main(["--quick", "--json", str(tmp_path / "gpu.json")])
    printed = capsys.readouterr().out
    assert "4×3×8×8 float16: agrees with float64 on the CPU" in printed
    results = json.loads((tmp_path / "gpu.json").read_text(encoding="utf-8"))
    assert [(tuple(r["shape"]), r["dtype"], r["direction"]) for r in results["rows"]] == [
        (shape, dtype, direction)
        for shape in (*gpu.SHAPES, gpu.LARGE[0])
        for dtype in gpu.DTYPES
        for direction in gpu.DIRECTIONS
    ]
    assert not gpu.PAGE.exists()
    gpu.main([])
    assert "| 5×3×8×8 | float16 | backward |" in gpu.PAGE.read_text(encoding="utf-8")


def test_the_benchmark_counts_the_bytes_that_must_move():
    cached, memory = 10 * 2**20, 64 * 256 * 56 * 56 * 4
    assert gpu.least_passes("forward", cached, 50 * 2**20) == 2
    assert gpu.least_passes("forward", 10 * cached, 50 * 2**20) == 2.5  # the cache holds half of what is read again
    assert gpu.least_passes("forward", 10 * cached, 0) == 3
    assert gpu.least_passes("backward", 2 * cached, 50 * 2**20) == 3
    assert gpu.least_passes("backward", 5 * cached, 50 * 2**20) == 4  # and here half of dy and x together
    assert gpu.least_passes("backward", 5 * cached, 0) == 5
    times = {"bn_lib": [150e-6] * 3, "copy": [100e-6] * 3, "torch": [300e-6] * 3}
    row = gpu.row_of((64, 256, 56, 56), "float32", "forward", times, 0)
    assert row.passes == 3
    assert row.bandwidth == pytest.approx(3 * memory / 150e-6 / 1e9)
    assert row.of_copy == pytest.approx((1, 1, 1))  # 3 passes in the time in which a copy makes 3
    assert row.of_torch == pytest.approx((0.5, 0.5, 0.5))


def test_the_benchmark_says_which_goals_are_missed():
    machine = {"device": "Device", "multiprocessors": 132, "l2_bytes": 50 * 2**20, "driver_cuda": 1, "runtime_cuda": 2}
    machine |= {"cupy": "14", "torch": "2", "cudnn": 9, "date": "2000-01-01"}
    times = {"bn_lib": [150e-6] * 3, "copy": [100e-6] * 3, "torch": [300e-6] * 3}
    good, last = (gpu.row_of(shape, "float32", "forward", times, 0) for shape in gpu.LARGE)
    slow = gpu.row_of(gpu.LARGE[1], "float16", "backward", times | {"bn_lib": [600e-6] * 3}, 0)
    assert "All goals are reached." in gpu.page(machine, [good, last])
    assert "- 256×256×56×56: not measured." in gpu.page(machine, [good])
    text = gpu.page(machine, [good, slow])
    assert "- 256×256×56×56 float16 backward: 0.42 of the copy's bandwidth." in text
    assert "- 256×256×56×56 float16 backward: 2.00 of PyTorch's time." in text
    alone = gpu.row_of(gpu.LARGE[0], "float32", "forward", {k: times[k] for k in ("bn_lib", "copy")}, 0)
    assert "PyTorch's time was not measured" in gpu.page(machine | {"torch": None}, [alone])


# On a device


@pytest.mark.gpu
@each_dtype
@pytest.mark.parametrize("shape", [*SHAPES, (32, 64, 56, 56), (8192, 256), (256, 512, 7, 7)], ids=str)
def test_on_a_device(shape, dtype):
    import cupy

    arrays = typical(shape, dtype)
    results = both_ways(*arrays, to_device=cupy.asarray)
    assert bn_lib.backend(results[0]) == "cupy"
    assert_right([cupy.asnumpy(a) for a in results], in_extended_precision(*arrays), dtype)


@pytest.mark.gpu
@pytest.mark.parametrize("multiple", [1, 4])
def test_more_elements_than_an_int_counts(multiple):
    """Offsets beyond 2^31: the last sample is computed from its own values."""
    import cupy

    shape = (2**17 * multiple + 1, 128, 128)
    x = cupy.zeros(shape, np.float16)
    x[-1] = 1
    mean, var = cupy.zeros(128), cupy.ones(128)
    y = bn_lib.batch_norm_inference(x, var, mean, mean, var, eps=0.0)
    assert bool((y[-1] == 1).all())
    assert not bool(y[:-1].any())
