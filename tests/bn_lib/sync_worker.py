"""What each worker of `test_sync` does: `mpiexec -n 4 python sync_worker.py FOLDER TASK...`, one task after the other.

Every worker writes what it saw to FOLDER/TASK; what it should have seen is known to `test_sync`, which compares.
Inputs are made here, from seeds, so that both know them.
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

import bn_lib
from bn_lib import SGD, BatchNorm, Dense, ReLU, Sequential, Sigmoid, SyncBatchNorm, softmax_cross_entropy

CHANNELS = 5
ROWS = 12
SHAPES = {"rows": (ROWS, CHANNELS), "images": (ROWS, CHANNELS, 4, 3)}
VALUES = {
    "float64": (np.float64, 0, 1),
    "float64, mean 1e8": (np.float64, 1e8, 1),
    "float32": (np.float32, 0, 1),
    "float32, mean 1e4, std 1e-2": (np.float32, 1e4, 1e-2),
    "float32, mean 1e6": (np.float32, 1e6, 1),
    "float16": (np.float16, 0, 1),
    "float32, near the largest": (np.float32, 0, 7e37),
}
SPLITS = ("even", "unequal", "one has none")
CASES = [f"{values}; {shape}; {split}" for values in VALUES for shape in SHAPES for split in SPLITS]


def inputs(case: str) -> tuple[np.ndarray, ...]:
    """x, dy, gamma and beta of all workers together."""
    values, shape, _ = case.split("; ")
    dtype, mean, std = VALUES[values]
    rng = np.random.default_rng(CASES.index(case))
    x, dy = rng.normal(mean, std, size=SHAPES[shape]), rng.normal(size=SHAPES[shape])
    return x.astype(dtype), dy.astype(dtype), rng.normal(size=CHANNELS), rng.normal(size=CHANNELS)


def rows_of(rank: int, size: int, split: str) -> slice:
    """Which rows are a worker's: as many for each; or 0, or 1, 2, 3, ... and for the last what is left."""
    starts = [(ROWS // size if split == "even" else (r + 1) / 2) * r for r in range(size)] + [ROWS]
    if split == "one has none":
        starts[1] = 0
    return slice(int(starts[rank]), int(starts[rank + 1]))


def passes(layer: BatchNorm, case: str, rows: slice) -> dict[str, np.ndarray]:
    """One forward and one backward pass: everything that comes of them."""
    x, dy, layer.gamma, layer.beta = inputs(case)
    y = layer.forward(x[rows])
    dx = layer.backward(dy[rows])
    return {"y": y, "dx": dx, **{f"d{name}": value for name, value in layer.grads.items()}, **layer.state_dict()}


def each_case(comm, folder: Path) -> None:
    """Every case, by the backend that is chosen and by NumPy's."""
    for backend in sorted({bn_lib.backend(), "numpy"}):  # a set has another order in every process
        with bn_lib.use_backend(backend):
            for number, case in enumerate(CASES):
                rows = rows_of(comm.rank, comm.size, case.split("; ")[2])
                seen = passes(SyncBatchNorm(CHANNELS), case, rows)
                np.savez(folder / f"{backend}-{number}-{comm.rank}.npz", **seen)


def groups(comm, folder: Path) -> None:
    """Even ranks and odd ranks apart, each group with a mini-batch of its own."""
    group = comm.Split(comm.rank % 2, comm.rank)
    rows = rows_of(group.rank, group.size, "even")
    np.savez(folder / f"{comm.rank}.npz", **passes(SyncBatchNorm(CHANNELS, comm=group), CASES[comm.rank % 2], rows))
    group.Free()


def network(norm: Callable[[int], BatchNorm]) -> Sequential:
    rng = np.random.default_rng(0)
    return Sequential(
        Dense(4, 16, rng=rng), norm(16), ReLU(), Dense(16, 8, rng=rng), norm(8), Sigmoid(), Dense(8, 3, rng=rng)
    )


def train_on(model: Sequential, rank: int, size: int, average: Callable[[np.ndarray], np.ndarray]) -> Sequential:
    """20 steps of plain data parallelism: each worker has its rows, and gradients are averaged."""
    rng = np.random.default_rng(1)
    optimizer = SGD(model, 0.5, momentum=0.9)
    for _ in range(20):
        x, labels = rng.normal(1, 2, size=(ROWS, 4)), rng.integers(0, 3, size=ROWS)
        own = rows_of(rank, size, "even")
        _, dlogits = softmax_cross_entropy(model.forward(x[own]), labels[own])
        model.backward(dlogits)
        for layer in model.layers():
            for name in layer.parameter_names:
                layer.grads[name] = average(layer.grads[name])
        optimizer.step()
    return model


def train(comm, folder: Path) -> None:
    def average(gradient: np.ndarray) -> np.ndarray:
        total = np.empty_like(gradient)
        comm.Allreduce(gradient, total)
        return total / comm.size

    model = train_on(network(SyncBatchNorm), comm.rank, comm.size, average)
    model.save(folder / f"{comm.rank}.npz")


def refusals(comm, folder: Path) -> None:
    """One worker after the other is given something wrong; all of them say what they heard."""
    good, layer = np.random.default_rng(comm.rank).normal(size=(3, CHANNELS)), SyncBatchNorm(CHANNELS)
    heard = []

    def hear(call: Callable[[np.ndarray], np.ndarray], bad: np.ndarray, on: int) -> None:
        try:
            call(bad if comm.rank == on else good)
        except Exception as error:
            heard.append([type(error).__name__, str(error)])
        else:
            heard.append(["nothing", ""])

    last = comm.size - 1
    hear(layer.forward, good[:, :2], on=1)
    hear(layer.forward, good.astype(int), on=0)
    hear(layer.forward, good[:0, :, None][..., :0], on=last)
    before = {key: value.tobytes() for key, value in layer.state_dict().items()}
    fresh = {key: value.tobytes() for key, value in BatchNorm(CHANNELS).state_dict().items()}
    hear(layer.forward, good, on=0)
    hear(layer.backward, good[:1], on=1)
    hear(layer.backward, good, on=0)
    masked = SyncBatchNorm(CHANNELS, channel_axis=-1)
    mask = np.full(3, comm.rank > 0)  # for the first worker all is padding
    hear(lambda x: masked(x, mask), good[:, :2], on=1)
    hear(lambda x: masked(x, mask), good[:2], on=0)
    hear(lambda x: masked(x, mask), good, on=0)
    hear(masked.backward, good[:1], on=1)
    hear(masked.backward, good, on=0)
    if comm.rank == 0:  # inference is everyone's own business
        layer.eval()
        hear(layer.forward, good, on=0)
        hear(layer.backward, good, on=0)
    (folder / f"{comm.rank}.json").write_text(json.dumps({"heard": heard, "as it was": before == fresh}))


def other_channels(comm, folder: Path) -> None:
    """The last worker made its layer, and has rows, of one channel less."""
    channels = CHANNELS - (comm.rank == comm.size - 1)
    layer, x = SyncBatchNorm(channels), np.random.default_rng(comm.rank).normal(size=(3, channels))
    try:
        layer.forward(x)
    except Exception as error:
        heard = [type(error).__name__, str(error)]
    (folder / f"{comm.rank}.json").write_text(json.dumps([*heard, int(layer.num_batches_tracked)]))


def dies(comm, folder: Path) -> None:
    """A worker that fails on its own, outside of the layer, while the others wait for it."""
    if comm.rank == 1:
        raise OSError("the disk is gone")
    SyncBatchNorm(CHANNELS).forward(np.random.default_rng(0).normal(size=(3, CHANNELS)))


if __name__ == "__main__":
    from mpi4py import MPI

    tasks = {task.__name__: task for task in (each_case, groups, train, refusals, other_channels, dies)}
    for name in sys.argv[2:]:
        folder = Path(sys.argv[1], name)
        folder.mkdir(exist_ok=True)
        tasks[name](MPI.COMM_WORLD, folder)
