"""Batch Normalization on a GPU beside a copy of the same size and, where PyTorch sees the GPU, cuDNN's.

    python benchmarks/gpu.py [--quick] [--json FILE]

Results are compared with float64 on the CPU first, at every shape and dtype; nothing is timed if one is wrong. Then
each candidate has one turn a round, in random order: some calls in a row between two device events, outputs freshly
allocated, so a processor that cannot launch as fast as the device computes shows. Ratios are of the same round.
Without `--quick` the page `results/gpu.md` is written too.
"""

import argparse
import json
import random
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from math import prod, sqrt
from pathlib import Path
from typing import Any

import numpy as np

import bn_lib

SHAPES = ((64, 512), (1024, 1024), (8192, 256), (32, 64, 56, 56), (8, 256, 28, 28), (128, 3, 32, 32), (256, 64, 1, 1))
LARGE = ((64, 256, 56, 56), (256, 256, 56, 56))
DTYPES = ("float32", "float16")
DIRECTIONS = ("forward", "backward")
EPS = 1e-5

ROUNDS, QUICK_ROUNDS = 25, 7
GOAL = 0.85  # of the copy's bandwidth, on the large shapes
SETTLED = 0.005  # seconds of calls in one timing, at least
CHANNELS = 16  # that are compared at once, so that float64 copies of a large batch are never all there
PAGE = Path(__file__).parent / "results" / "gpu.md"

Call = Callable[[], object]


@dataclass(frozen=True)
class Row:
    """One direction at one shape and dtype. Spreads are the median, and the tenth and ninetieth percentile.

    Attributes:
        shape: of x.
        dtype: of x.
        direction: "forward" or "backward".
        microseconds: a call of ours.
        passes: how many times memory as large as x must be read or written at least; part of one may be cached.
        bandwidth: bytes of so many passes over our time, in GB/s.
        of_copy: that bandwidth over the copy's.
        of_torch: our time over PyTorch's; None where PyTorch does not see the device.
    """

    shape: tuple[int, ...]
    dtype: str
    direction: str
    microseconds: tuple[float, float, float]
    passes: float
    bandwidth: float
    of_copy: tuple[float, float, float]
    of_torch: tuple[float, float, float] | None


def main(arguments: Sequence[str] | None = None) -> None:
    """Check, measure, print, write."""
    parser = argparse.ArgumentParser(prog="benchmarks/gpu.py", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="fewer rounds, without the largest batch")
    parser.add_argument("--json", type=Path, help="write the results here too")
    options = parser.parse_args(arguments)
    cupy, torch = device_or_exit(), torch_on_the_device()
    shapes, rounds = SHAPES + LARGE[: 1 if options.quick else 2], QUICK_ROUNDS if options.quick else ROUNDS

    for shape in shapes:
        for dtype in DTYPES:
            wrong = errors(cupy, shape, dtype)
            if wrong:
                sys.exit(f"{in_words(shape)} {dtype}: not timed, because it is wrong. " + "; ".join(wrong))
            print(f"{in_words(shape)} {dtype}: agrees with float64 on the CPU", flush=True)
    machine = describe(cupy, torch)
    rows = []
    for shape in shapes:
        for dtype in DTYPES:
            for direction in DIRECTIONS:
                seconds = measure(cupy, candidates(cupy, torch, shape, dtype, direction), rounds)
                rows.append(row_of(shape, dtype, direction, seconds, machine["l2_bytes"]))
    text = page(machine, rows)
    print(text)
    if options.json:
        results = {"machine": machine, "rows": [asdict(row) for row in rows]}
        options.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    if not options.quick:
        PAGE.write_text(text, encoding="utf-8")


def device_or_exit() -> Any:
    """CuPy; without it or without a device, the end of the program and the reason."""
    try:
        import cupy
    except ImportError:
        sys.exit("benchmarks/gpu.py needs CuPy: pip install 'bn-lib[gpu]'")
    try:
        devices = cupy.cuda.runtime.getDeviceCount()
    except cupy.cuda.runtime.CUDARuntimeError as error:
        sys.exit(f"benchmarks/gpu.py needs a GPU, and CuPy finds none: {error}")
    if not devices:
        sys.exit("benchmarks/gpu.py needs a GPU, and CuPy finds none")
    return cupy


def torch_on_the_device() -> Any:
    """PyTorch, or None where it is not installed or was built without CUDA."""
    try:
        import torch
    except ImportError:
        return None
    return torch if torch.cuda.is_available() else None


# Correctness


def inputs(shape: tuple[int, ...], dtype: str) -> tuple[Any, ...]:
    """x, gamma, beta and dy, on the CPU."""
    rng = np.random.default_rng(0)
    x, dy = (rng.standard_normal(shape, dtype=np.float32).astype(dtype) for _ in range(2))
    gamma, beta = (rng.uniform(0.5, 1.5, shape[1]).astype(np.float32) for _ in range(2))
    return x, gamma, beta, dy


def errors(cupy: Any, shape: tuple[int, ...], dtype: str) -> list[str]:
    """In what our results differ from float64 on the CPU by more than rounding."""
    arrays = inputs(shape, dtype)
    x, gamma, beta, dy = (cupy.asarray(a) for a in arrays)
    y, cache = bn_lib.batch_norm(x, gamma, beta, eps=EPS)
    found = [cupy.asnumpy(a) for a in (y, *bn_lib.batch_norm_backward(dy, cache))]
    wrong = []
    for start in range(0, shape[1], CHANNELS):
        own = slice(start, start + CHANNELS)
        x, gamma, beta, dy = (a[own] if a.ndim == 1 else a[:, own] for a in arrays)
        wide = [np.ascontiguousarray(a, dtype=np.float64) for a in (x, gamma, beta, dy)]
        y, cache = bn_lib.batch_norm(*wide[:3], eps=EPS)
        expected = (y, *bn_lib.batch_norm_backward(wide[3], cache))
        for name, ours, theirs in zip(("y", "dx", "dgamma", "dbeta"), found, expected, strict=True):
            mine = (ours[own] if ours.ndim == 1 else ours[:, own]).astype(np.float64)
            gap = np.abs(mine - theirs) - allowed(name, theirs, dtype, prod(shape) // shape[1])
            if not np.all(gap <= 0):
                wrong.append(f"{name} of channels {start} to {start + gamma.size - 1} by {np.nanmax(gap):.1e} too much")
    return wrong


def allowed(name: str, expected: Any, dtype: str, count: int) -> Any:
    """The rounding of float32 in what is summed, and where the result is float16, its own."""
    if name.startswith("d") and name != "dx":
        return 2e-6 * sqrt(count)
    computed = 2e-6 * max(1.0, float(np.abs(expected).max()))
    rounded = np.maximum(np.abs(expected) * 2.0**-11, 2.0**-25) if dtype == "float16" else 0.0
    return 1.001 * rounded + computed


# Time


def candidates(cupy: Any, torch: Any, shape: tuple[int, ...], dtype: str, direction: str) -> dict[str, Call]:
    """What is timed, by name, on the same memory."""
    x, gamma, beta, dy = (cupy.asarray(a) for a in inputs(shape, dtype))
    calls: dict[str, Call] = {"copy": x.copy}
    if direction == "forward":
        calls["bn_lib"] = lambda: bn_lib.batch_norm(x, gamma, beta, eps=EPS)
    else:
        _, cache = bn_lib.batch_norm(x, gamma, beta, eps=EPS)
        calls["bn_lib"] = lambda: bn_lib.batch_norm_backward(dy, cache)
    if torch is not None:
        torch.backends.cudnn.enabled = True
        theirs = [torch.from_dlpack(a).requires_grad_() for a in (x, gamma, beta)]
        norm = torch.nn.functional.batch_norm
        if direction == "forward":
            calls["torch"] = lambda: norm(theirs[0], None, None, theirs[1], theirs[2], True, 0.1, EPS)
        else:
            y, gradient = norm(theirs[0], None, None, theirs[1], theirs[2], True, 0.1, EPS), torch.from_dlpack(dy)
            calls["torch"] = lambda: torch.autograd.grad(y, theirs, gradient, retain_graph=True)
    return calls


def measure(cupy: Any, calls: dict[str, Call], rounds: int) -> dict[str, list[float]]:
    """Seconds a call, one value a round, for each name."""
    repeats = {}
    for name, call in calls.items():
        for _ in range(3):  # compiles, fills the memory pools, loads the inputs
            once = seconds(cupy, call, 1)
        repeats[name] = max(1, round(SETTLED / once))
    order = random.Random(0)
    found: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name in order.sample(list(calls), len(calls)):
            calls[name]()  # its data are where its own calls leave them
            found[name].append(seconds(cupy, calls[name], repeats[name]))
    return found


def seconds(cupy: Any, call: Call, repeats: int) -> float:
    """Time on the device from the first call to the end of the last, per call."""
    start, stop = cupy.cuda.Event(), cupy.cuda.Event()
    start.record()
    for _ in range(repeats):
        call()
    stop.record()
    stop.synchronize()
    return float(cupy.cuda.get_elapsed_time(start, stop)) / 1e3 / repeats


# Results


def row_of(shape: tuple[int, ...], dtype: str, direction: str, times: dict[str, list[float]], l2_bytes: int) -> Row:
    """What the times of one shape come to."""
    size = prod(shape) * np.dtype(dtype).itemsize
    passes = least_passes(direction, size, l2_bytes)
    pairs = list(zip(times["bn_lib"], times["copy"], strict=True))
    ours = spread(times["bn_lib"])
    return Row(
        shape=shape,
        dtype=dtype,
        direction=direction,
        microseconds=tuple(1e6 * t for t in ours),  # type: ignore[arg-type]
        passes=passes,
        bandwidth=passes * size / ours[0] / 1e9,
        of_copy=spread([(passes / mine) / (2 / copy) for mine, copy in pairs]),
        of_torch=(
            spread([mine / theirs for mine, theirs in zip(times["bn_lib"], times["torch"], strict=True)])
            if "torch" in times
            else None
        ),
    )


def least_passes(direction: str, size: int, l2_bytes: int) -> float:
    """How many times memory as large as x must move, at least.

    No y is known before all of its channel was read, so x is read twice and y written once: 3. Backward, dx needs the
    sums over dy and x, so both are read twice: 5. What the L2 cache holds of it costs no memory traffic the second
    time: so much is taken off, as if the cache held nothing else.
    """
    once, again = (2, 1) if direction == "forward" else (3, 2)
    return once + max(0, again * size - l2_bytes) / size


def spread(values: Sequence[float]) -> tuple[float, float, float]:
    """The median, and the tenth and ninetieth percentile."""
    low, median, high = np.quantile(values, [0.1, 0.5, 0.9])
    return float(median), float(low), float(high)


def describe(cupy: Any, torch: Any) -> dict[str, Any]:
    """The device and the versions."""
    device = cupy.cuda.runtime.getDeviceProperties(cupy.cuda.runtime.getDevice())
    return {
        "device": device["name"].decode(),
        "multiprocessors": int(device["multiProcessorCount"]),
        "l2_bytes": int(device["l2CacheSize"]),
        "driver_cuda": cupy.cuda.runtime.driverGetVersion(),
        "runtime_cuda": cupy.cuda.runtime.runtimeGetVersion(),
        "cupy": cupy.__version__,
        "torch": None if torch is None else torch.__version__,
        "cudnn": None if torch is None else torch.backends.cudnn.version(),
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
    }


def page(machine: dict[str, Any], rows: Sequence[Row]) -> str:
    """The results as Markdown."""
    peer = f"PyTorch {machine['torch']}, cuDNN {machine['cudnn']}" if machine["torch"] else "PyTorch did not see it"
    lines = [
        "# On a GPU",
        "",
        f"{machine['device']}: {machine['multiprocessors']} multiprocessors, L2 cache of "
        f"{machine['l2_bytes'] / 2**20:.0f} MiB. CUDA {machine['runtime_cuda']} (driver {machine['driver_cuda']}), "
        f"CuPy {machine['cupy']}; {peer}. Measured on {machine['date']} with `python benchmarks/gpu.py`.",
        "",
        "A value is a median, and in brackets the tenth and ninetieth percentile. Passes: how many times memory as "
        "large as x must move at least; what the L2 cache can hold is not counted again. Of the copy: bandwidth "
        f"on so many passes over that of a copy of x; at least {GOAL} is the goal for large images. Of PyTorch: time "
        "over its time; below 1 is the goal there.",
        "",
        "| shape | dtype | direction | microseconds | passes | GB/s | of the copy | of PyTorch |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        torch = "not measured" if row.of_torch is None else in_brackets(row.of_torch, 2)
        lines.append(
            f"| {in_words(row.shape)} | {row.dtype} | {row.direction} | {in_brackets(row.microseconds, 1)} "
            f"| {row.passes:.2f} | {row.bandwidth:.0f} | {in_brackets(row.of_copy, 2)} | {torch} |"
        )
    return "\n".join([*lines, "", *verdict(rows), ""])


def verdict(rows: Sequence[Row]) -> list[str]:
    """Which goals the large shapes do not reach, each with its number."""
    missed = []
    for row in rows:
        if row.shape in LARGE:
            name = f"{in_words(row.shape)} {row.dtype} {row.direction}"
            if row.of_copy[0] < GOAL:
                missed.append(f"- {name}: {row.of_copy[0]:.2f} of the copy's bandwidth.")
            if row.of_torch is not None and row.of_torch[0] >= 1:
                missed.append(f"- {name}: {row.of_torch[0]:.2f} of PyTorch's time.")
    measured = {row.shape for row in rows}
    missed += [f"- {in_words(shape)}: not measured." for shape in LARGE if shape not in measured]
    if any(row.of_torch is None for row in rows):
        missed.append("- PyTorch's time was not measured.")
    return ["Goals that are not shown to be reached:", "", *missed] if missed else ["All goals are reached."]


def in_words(shape: tuple[int, ...]) -> str:
    """A shape as people write it: `32×64×56×56`."""
    return "×".join(map(str, shape))


def in_brackets(values: tuple[float, float, float], digits: int) -> str:
    """`median (low to high)`."""
    median, low, high = (f"{value:.{digits}f}" for value in values)
    return f"{median} ({low} to {high})"


if __name__ == "__main__":
    main()
