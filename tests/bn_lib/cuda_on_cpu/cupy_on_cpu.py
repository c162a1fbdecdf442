"""As much of CuPy as `bn_lib.backends.with_cupy` uses, on NumPy's memory, with kernels that g++ has compiled.

It is as strict as a GPU, or stricter: an argument that a kernel has no parameter of that size for is refused; memory is
NaN until it is written; a kernel that wrote outside of its arrays, or whose result depends on which thread is first, is
found out. What it cannot show: speed, and the arithmetic of the GPU where it rounds differently (fused multiply-add).
"""

import ctypes
import shutil
import subprocess
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np

HERE = Path(__file__).parent
CUDA = Path(__file__).parents[3] / "bn_lib" / "backends" / "batchnorm.cu"
TYPES = {"float": 4, "double": 2, "Half": 8}  # elements in 16 bytes
KERNELS = ("moments", "normalize", "gradient_sums", "combine")
GUARD = 512  # bytes on each side of an array
ALIGNED = 256  # bytes; CuPy's are 512
THREADS = 256

_memory = []  # (bytes, start, stop) of every array there is, to see what was written beside it


def expressions():
    """Every instance of every kernel that a launch can ask for."""
    found = []
    for name, word in TYPES.items():
        lanes = min(word, 4)
        templates = [(word, 1, "false"), (word, 1, "true"), (1, 1, "false"), (lanes, lanes, "false")]
        found += [f"{k}<{name}, {w}, {lanes}, {r}>" for k in KERNELS for w, lanes, r in templates]
        found.append(f"constants<{name}>")
    return found


def compile_kernels(folder):
    """batchnorm.cu as a library of this machine."""
    lines = [f'#include "{HERE / "cuda_shim.h"}"', f'#include "{CUDA}"']
    lines += [f"KERNEL({i}, {expression})" for i, expression in enumerate(expressions())]
    lines.append('extern "C" { int threads = THREADS, blocks = BLOCKS, layout = sizeof(Layout); }')
    source, library = folder / "kernels.cc", folder / "kernels.so"
    source.write_text("\n".join(lines) + "\n", encoding="utf-8")
    options = ["-std=c++17", "-O2", "-shared", "-fPIC"]
    done = subprocess.run(
        [shutil.which("g++"), *options, "-o", library, source], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return ctypes.CDLL(str(library))


class ndarray(np.ndarray):
    """Memory of the device."""

    __module__ = "cupy"
    waited = 0  # times that somebody wanted a number from the device

    def __array_finalize__(self, other):
        self.device_id = getattr(other, "device_id", 0)

    @property
    def __array_namespace__(self):
        raise AttributeError("CuPy's arrays have none")

    @property
    def data(self):
        return SimpleNamespace(ptr=self.ctypes.data, device_id=self.device_id)

    def __bool__(self):
        ndarray.waited += 1
        return bool(np.asarray(self))

    def __float__(self):
        ndarray.waited += 1
        return float(np.asarray(self))

    def __int__(self):
        ndarray.waited += 1
        return int(np.asarray(self))


def device_array(values, dtype=None, offset=0):
    """A copy on the device, which begins `offset` bytes behind an address that is aligned."""
    values = np.asarray(values, dtype)
    array = _allocate(values.shape, values.dtype, offset)
    array[...] = values
    return array


def _allocate(shape, dtype, offset=0):
    dtype = np.dtype(dtype)
    size = int(np.prod(shape)) * dtype.itemsize
    memory = np.full(size + 2 * GUARD + ALIGNED + offset, 0xFF, np.uint8)  # NaN in every floating-point type
    start = GUARD + -(memory.ctypes.data + GUARD) % ALIGNED + offset
    _memory.append((memory, start, start + size))
    return memory[start : start + size].view(dtype).reshape(shape).view(ndarray)


def check_memory():
    """Nothing was written beside an array. Forgets all arrays."""
    for memory, start, stop in _memory:
        assert np.all(memory[:start] == 0xFF), "written before the beginning of an array"
        assert np.all(memory[stop:] == 0xFF), "written behind the end of an array"
    _memory.clear()


class Kernel:
    """As cupy.RawKernel."""

    def __init__(self, library, number, log):
        self.name, self.log = expressions()[number], log
        self.launch = getattr(library, f"launch_{number}")
        self.launch.restype = ctypes.c_bool
        sizes = (ctypes.c_int * 64)()
        self.sizes = sizes[: getattr(library, f"parameters_{number}")(sizes)]

    def __call__(self, grid, block, arguments):
        assert block == (THREADS,)
        assert len(arguments) == len(self.sizes), (self.name, len(arguments), len(self.sizes))
        grid = (*grid, 1)[:2]
        assert 0 < grid[0] < 2**31
        assert 0 < grid[1] < 2**16
        self.log.append(self.name.partition("<")[0])
        values = [_value(a) for a in arguments]
        for i, (value, size) in enumerate(zip(values, self.sizes, strict=True)):
            assert ctypes.sizeof(value) == size, (self.name, i, size)
        pointers = (ctypes.c_void_p * len(values))(*(ctypes.addressof(v) for v in values))
        results = []
        for backwards in (True, False):
            done = self.launch((ctypes.c_uint * 2)(*grid), block[0], pointers, ctypes.c_bool(backwards))
            assert done, f"{self.name}: some threads wait at a barrier that others never come to"
            results.append([np.array(a).tobytes() for a in arguments if isinstance(a, ndarray)])
        assert results[0] == results[1], f"{self.name}: the result depends on which thread is first"


def _value(argument):
    if isinstance(argument, ndarray):
        assert argument.flags.c_contiguous
        return ctypes.c_void_p(argument.ctypes.data)
    if isinstance(argument, np.ndarray):  # by value, as CuPy passes it: a struct
        assert argument.dtype.names
        assert argument.size == 1
        return (ctypes.c_char * argument.nbytes).from_buffer_copy(argument.tobytes())
    if type(argument) is int:
        return ctypes.c_longlong(argument)
    if type(argument) is float:
        return ctypes.c_double(argument)
    raise TypeError(f"CuPy would pass a {type(argument).__name__} otherwise than is meant here")


def fake_cupy(library, multiprocessors):
    """A module to be put in place of CuPy, and the list of the kernels that were launched."""
    log = []

    class RawModule:
        def __init__(self, *, code, options, name_expressions):
            assert code == CUDA.read_text(encoding="utf-8")
            assert isinstance(options, tuple)
            self.names = name_expressions

        def get_function(self, name):
            assert name in self.names
            return Kernel(library, expressions().index(name), log)

    def full(shape, value, dtype):
        return device_array(np.full(shape, value, dtype))

    module = SimpleNamespace(
        ndarray=ndarray,
        RawModule=RawModule,
        asarray=device_array,
        asnumpy=np.array,
        empty=_allocate,
        full=full,
        zeros=lambda shape, dtype: full(shape, 0, dtype),
        ones=lambda shape, dtype: full(shape, 1, dtype),
        ascontiguousarray=lambda a, dtype=None: a if _is_so(a, dtype) else device_array(a, dtype),
        cuda=SimpleNamespace(
            runtime=SimpleNamespace(
                CUDARuntimeError=NotImplementedError,
                getDevice=lambda: 0,
                getDeviceCount=lambda: 1,
                getDeviceProperties=lambda device: {
                    "name": b"a processor that plays a device",
                    "multiProcessorCount": multiprocessors,
                    "l2CacheSize": 2**20,
                },
                driverGetVersion=lambda: 12090,
                runtimeGetVersion=lambda: 12090,
            ),
            Device=lambda device: SimpleNamespace(attributes={"MultiProcessorCount": multiprocessors}),
            Event=Event,
            get_elapsed_time=lambda start, stop: 1e3 * (stop.time - start.time),
        ),
        __version__="0",
    )
    return module, log


class Event:
    """As cupy.cuda.Event, by the clock: here a kernel has ended when its launch returns."""

    def record(self):
        self.time = time.perf_counter()

    def synchronize(self):
        pass


def _is_so(array, dtype):
    return isinstance(array, ndarray) and array.flags.c_contiguous and dtype in (None, array.dtype)
