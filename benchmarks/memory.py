"""The most memory that a call needs beside what was there before it, in units of its input.

Measured from outside, because no library sees the other's allocator: each call in a fresh process, the growth of the
resident set to its highest mark, as Linux counts it (`VmHWM` in /proc/self/status). The input is so large that its
pages come from the system and return to it, and that nothing else counts.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.goals import Row

SHAPES = {"(N, C)": (131072, 256), "NCHW": (32, 64, 128, 128)}
DIRECTIONS = ("forward", "backward")

Array = np.ndarray[Any, Any]

_STATUS, _REFERENCES = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def why_not() -> str:
    """Why memory cannot be measured here; empty where it can."""
    if not _STATUS.is_file() or "VmHWM" not in _STATUS.read_text():
        return "the system does not tell a process the highest mark of its memory; Linux does"
    try:
        _forget_the_mark()
    except OSError as error:
        return f"the highest mark of a process's memory cannot be reset: {error.strerror}"
    return ""


def memory_table(candidates: Sequence[str], layouts: Sequence[str] = tuple(SHAPES)) -> Iterator[Row]:
    """Every candidate ("torch" or one of our backends), direction and layout, each in a process of its own."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn"), max_tasks_per_child=1) as fresh:
        for layout in layouts:
            shape = SHAPES[layout]
            for direction in DIRECTIONS:
                peaks = fresh.map(peak, *zip(*((name, direction, shape) for name in candidates), strict=True))
                for name, inputs in zip(candidates, peaks, strict=True):
                    yield Row("memory", layout, name, "input", inputs, inputs, inputs, shape, direction)


def peak(candidate: str, direction: str, shape: tuple[int, ...]) -> float:
    """Extra memory of one call at its peak, over the memory of a float32 input of that shape."""
    run = _torch if candidate == "torch" else _ours
    small = (4, shape[1], *(2 for _ in shape[2:]))
    run(candidate, direction, small)  # imports, compiles and starts threads
    extra = run(candidate, direction, shape)
    return extra / (4 * math.prod(shape))


def _ours(candidate: str, direction: str, shape: tuple[int, ...]) -> int:
    import bn_lib

    x, gamma, beta = _inputs(shape)
    with bn_lib.use_backend(candidate):
        if direction == "forward":
            return _extra(lambda: bn_lib.batch_norm(x, gamma, beta))
        y, cache = bn_lib.batch_norm(x, gamma, beta)
        dy = np.full_like(y, 1.0)
        return _extra(lambda: bn_lib.batch_norm_backward(dy, cache))


def _torch(_: str, direction: str, shape: tuple[int, ...]) -> int:
    import torch

    from benchmarks import THREADS

    torch.set_num_threads(THREADS)
    inputs = x, gamma, beta = [torch.from_numpy(array).requires_grad_() for array in _inputs(shape)]
    forward = partial(torch.nn.functional.batch_norm, x, None, None, gamma, beta, True)
    if direction == "forward":
        return _extra(forward)
    y = forward()
    dy = torch.full_like(y, 1.0)
    return _extra(lambda: torch.autograd.grad(y, inputs, dy))


def _extra(call: Callable[[], object]) -> int:
    """Bytes by which the resident set grows while `call` runs, its result included."""
    _forget_the_mark()
    before = _status("VmRSS")
    kept = call()
    highest = _status("VmHWM")
    del kept
    return highest - before


def _inputs(shape: tuple[int, ...]) -> tuple[Array, Array, Array]:
    x = np.empty(shape, np.float32)
    np.random.default_rng(0).standard_normal(out=x, dtype=np.float32)
    return x, np.ones(shape[1], np.float32), np.zeros(shape[1], np.float32)


def _forget_the_mark() -> None:
    _REFERENCES.write_text("5")  # proc(5): "reset the peak resident set size to the process's current" one


def _status(field: str) -> int:
    lines = dict(line.split(":", 1) for line in _STATUS.read_text().splitlines())
    return int(lines[field].split()[0]) * 1024
