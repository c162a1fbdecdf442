"""The four loops in NumPy.

NumPy goes through its operands once per operation, so three things keep the operations few and the operands near:

- *Blocks.* All operations of a loop run on one block of x before the next, so only the first of them finds its data in
  memory and the others in the cache. Threads share the blocks. Their bounds depend on nothing but the shape, and
  partial sums are added in their order, so the result does not depend on the number of threads.
- *Long rows.* An operation goes along the inner axis, and starting anew costs as much as a hundred elements. Where the
  positions S are few, several samples form a row, with the coefficients of the channels repeated along it.
- *A provisional center.* sum(d) and sum(d * d) of d = x - center come from one pass, and the sum of squares about the
  mean is sum(d * d) - sum(d)**2 / M. That costs no digits while the center is within a standard deviation of the mean.
  Zero often is, and need not be subtracted; otherwise the mean of a few values may be. Where neither is, the mean just
  found is the next center.

Little is none of this: what fits in the cache whole is computed in float64, in two passes, by the formulas as they
stand. So are the channels for which neither three centers nor the precision of x are enough.

Source of the last: Chan, Golub and LeVeque (1983), "Algorithms for computing the sample variance".
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from itertools import product
from typing import Any

import numpy as np

from bn_lib._arrays import Array
from bn_lib.backends.base import Backend
from bn_lib.backends.threads import in_pieces

BLOCK = 1 << 17  # elements of a block: with its result it fits in a core's own cache
LITTLE = 1 << 14  # elements; up to here cutting costs more than it saves
LEAST_ROWS = 2  # rows of blocks; fewer are not worth another thread
WIDTH = 4096  # elements of a row that several samples form
DOWN = 32  # rows that are added up in the precision of x; along a row NumPy adds pairwise, which loses less
LONG = 512  # positions that are a row of their own
# Where the mean of products is at least this, losing those below the smallest normal number does not change it.
LEAST = {np.dtype(t): float(np.finfo(t).tiny) / float(np.finfo(t).eps) for t in (np.float32, np.float64)}
FEW = 6  # the root of how many values of a channel the first center comes from
CENTERS = 3  # are tried before the channels that still need it are summed in float64


class NumPyBackend(Backend):
    """NumPy arrays, with NumPy and nothing else."""

    name = "numpy"

    def moments(self, x: Array) -> tuple[Array, Array, Array]:
        count = x.size // x.shape[1]
        with np.errstate(over="ignore", invalid="ignore"):
            if x.size <= LITTLE:
                return _wide_moments(x)
            center = _first_center(x)
            for tried in range(1, CENTERS + 1):
                total, squares = _sums(x, center)
                lost = total / count
                correction = total * lost
                m2 = squares - correction
                exact = (m2 >= correction) & _kept(squares, count, x.dtype)
                if exact.all():
                    return center, lost, m2
                if tried == CENTERS or not (m2 < correction).any():
                    break
                center = (center + lost).astype(x.dtype)
            for few in _few_at_a_time(~exact, count):
                center[few], lost[few], m2[few] = _wide_moments(x[:, few])
        return center, lost, m2

    def scale_and_shift(self, x: Array, center: Array, scale: Array, offset: Array) -> Array:
        def loop(y: Array, x: Array, scale: Array, offset: Array, center: Array | None = None) -> None:
            if center is not None:
                x = np.subtract(x, center, out=y)
            np.multiply(x, scale, out=y)
            np.add(y, offset, out=y)

        y = np.empty_like(x)
        _in_blocks(loop, (y, x), (scale, offset, center) if center.any() else (scale, offset))
        return y

    def gradient_sums(self, dy: Array, x: Array, center: Array) -> tuple[Array, Array]:
        with np.errstate(over="ignore", invalid="ignore"):
            if x.size <= LITTLE:
                return _wide_gradient_sums(dy, x, center)
            count = x.size // x.shape[1]
            sum_dy, products = _sums(x, center, dy)
            kept = np.isfinite(sum_dy) & _kept(np.abs(products), count, x.dtype)
            for few in _few_at_a_time(~kept, count):
                sum_dy[few], products[few] = _wide_gradient_sums(dy[:, few], x[:, few], center[few])
        return sum_dy, products

    def combine(self, dy: Array, x: Array, center: Array, scale: Array, slope: Array, shift: Array) -> Array:
        def loop(
            dx: Array, dy: Array, x: Array, scale: Array, slope: Array, shift: Array, center: Array | None = None
        ) -> None:
            if center is not None:
                x = np.subtract(x, center, out=dx)
            np.multiply(x, slope, out=dx)
            np.add(dx, dy, out=dx)
            np.add(dx, shift, out=dx)
            np.multiply(dx, scale, out=dx)

        dx = np.empty_like(x)
        _in_blocks(loop, (dx, dy, x), (scale, slope, shift, center) if center.any() else (scale, slope, shift))
        return dx


# Sums


def _first_center(x: Array) -> Array:
    """Zero, but for channels that a few values show to be more than a deviation away from it: the mean of those."""
    n, channels, size = x.shape
    positions = min(size, FEW)
    samples = FEW * FEW // positions
    few = x[:: -(-n // samples), :, :: -(-size // positions)]
    total, squares, count = np.einsum("ncs->c", few), np.einsum("ncs,ncs->c", few, few), few.size // channels
    return np.where(2 * total * total > count * squares, total / count, 0).astype(x.dtype)  # mean**2 > var


def _sums(x: Array, center: Array, dy: Array | None = None) -> Array:
    """sum(dy) and sum(dy * d) of each channel, wide, where d = x - center; without a dy, sum(d) and sum(d * d)."""
    _, channels, size = x.shape
    spread = _spread((center,), x)[0] if center.any() else None
    sums = np.zeros((2, channels))
    for sheet, dy_sheet in zip(_sheets(x), _sheets(x if dy is None else dy), strict=True):
        parts = _partial_sums(sheet, None if dy is None else dy_sheet, spread, along=int(size >= LONG))
        each = parts.shape[2] if size >= LONG else size
        sums += parts.reshape(2, -1, channels, each).sum(axis=(1, 3), dtype=np.float64)
    return sums


def _partial_sums(sheet: Array, dy: Array | None, center: Array | None, along: int) -> Array:
    """Both sums of `_sums` of each block, down its columns (`along` is 0) or along its rows (1)."""
    rows, columns = _cuts(sheet, BLOCK if along else DOWN * sheet.shape[1])
    height, width = sheet.shape
    parts = np.empty((2, height, len(columns)) if along else (2, len(rows), width), sheet.dtype)

    def work(start: int, stop: int) -> None:
        moved, products = np.empty((2, BLOCK), sheet.dtype)  # each stays in the cache
        for i, j in product(range(start, stop), range(len(columns))):
            block = rows[i], columns[j]
            d = sheet[block]
            if center is not None:
                near = center[rows[i]] if along else center[:, columns[j]]
                d = np.subtract(d, near, out=moved[: d.size].reshape(d.shape))
            weight = d if dy is None else dy[block]
            into = parts[:, rows[i], j] if along else parts[:, i, columns[j]]
            np.add.reduce(weight, axis=along, out=into[0])
            d = np.multiply(weight, d, out=products[: d.size].reshape(d.shape))
            np.add.reduce(d, axis=along, out=into[1])

    with nullcontext() if center is None else _no_copies():
        in_pieces(work, len(rows), least=LEAST_ROWS)
    return parts


def _kept(sums: Array, count: int, dtype: Any) -> Array:
    """Whether sums of `count` products neither overflowed nor lost digits below the smallest normal number."""
    return (sums >= count * LEAST[dtype]) & (sums < np.inf)


def _few_at_a_time(which: Array, count: int) -> Iterator[Array]:
    """The channels that need the long way, as many at a time as fill a block; a network may have hundreds of them."""
    channels = np.flatnonzero(which)
    step = max(1, BLOCK // count)
    for start in range(0, len(channels), step):
        yield channels[start : start + step]


def _wide_moments(x: Array) -> tuple[Array, Array, Array]:
    """center, lost and m2 in two passes, all in float64."""
    wide, count = x.astype(np.float64), x.size // x.shape[1]
    mean = wide.sum(axis=(0, 2)) / count
    wide -= mean[:, None]
    rest = wide.sum(axis=(0, 2)) / count
    wide -= rest[:, None]
    center = (mean + rest).astype(x.dtype)  # of a constant: that constant
    return center, (mean - center) + rest, np.einsum("ncs,ncs->c", wide, wide)


def _wide_gradient_sums(dy: Array, x: Array, center: Array) -> tuple[Array, Array]:
    """sum(dy) and sum(dy * (x - center)), all in float64."""
    wide = dy.astype(np.float64)
    return wide.sum(axis=(0, 2)), np.einsum("ncs,ncs->c", wide, x - center[:, None].astype(np.float64))


# Blocks


def _in_blocks(loop: Callable[..., None], arrays: tuple[Array, ...], vectors: tuple[Array, ...]) -> None:
    """Call `loop` on every block of the arrays, with the vectors spread along it."""
    if arrays[0].size <= LITTLE:
        loop(*arrays, *(v[:, None] for v in vectors))
        return
    spread = _spread(vectors, arrays[0])
    for sheets in zip(*(_sheets(a) for a in arrays), strict=True):
        _in_blocks_of(loop, sheets, spread)


def _in_blocks_of(loop: Callable[..., None], sheets: tuple[Array, ...], spread: Array) -> None:
    rows, columns = _cuts(sheets[0])
    one_per_row = spread.shape[2] == 1

    def work(start: int, stop: int) -> None:
        for row in rows[start:stop]:
            for column in columns:
                near = spread[:, row] if one_per_row else spread[..., column]
                loop(*(sheet[row, column] for sheet in sheets), *near)

    with _no_copies():
        in_pieces(work, len(rows), least=LEAST_ROWS)


def _sheets(x: Array) -> list[Array]:
    """x as a matrix with long rows; a second one holds the samples that do not fill a row of the first."""
    n, _, size = x.shape
    if size >= LONG:
        return [x.reshape(-1, size)]
    samples = _samples_in_a_row(x)
    rest = n % samples
    sheet = x[: n - rest].reshape(n // samples, -1)
    return [sheet, x[n - rest :].reshape(1, -1)] if rest else [sheet]


def _spread(vectors: Sequence[Array], x: Array) -> Array:
    """One value per channel, repeated so that it meets the rows, or the columns, of `_sheets(x)`."""
    n, channels, size = x.shape
    stack = np.array(vectors)
    if size >= LONG:
        return stack[:, None].repeat(n, axis=1).reshape(len(stack), -1, 1)
    spread = np.empty((len(stack), _samples_in_a_row(x), channels, size), x.dtype)
    spread[:] = stack[:, None, :, None]
    return spread.reshape(len(stack), 1, -1)


def _samples_in_a_row(x: Array) -> int:
    n, channels, size = x.shape
    samples: int = max(1, min(n, WIDTH // (channels * size)))
    return samples


def _cuts(sheet: Array, most: int = BLOCK) -> tuple[list[slice], list[slice]]:
    """The rows and the columns of the blocks of a matrix, of at most BLOCK and about `most` elements."""
    rows, width = sheet.shape
    if width > 2 * WIDTH:
        width = WIDTH
    return _slices(rows, min(BLOCK, most) // width), _slices(sheet.shape[1], width)


def _slices(size: int, step: int) -> list[slice]:
    return [slice(i, min(i + step, size)) for i in range(0, size, step)]


@contextmanager
def _no_copies() -> Iterator[None]:
    """NumPy copies a broadcast operand through a buffer, which takes longer than the operation, if it fits in one."""
    before = np.setbufsize(16)
    try:
        yield
    finally:
        np.setbufsize(before)
