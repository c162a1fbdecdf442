"""The four loops compiled with Numba, in the two orders in which memory wants to be read.

Images, `(N, C, S)` with runs of S values: channel by channel. A channel that fits in the processor's cache is summed
and, while it is still there, normalized, so x is read from memory once and y written once, which is all that has to
move. Threads share the channels.

Rows, `(N, C)`: a channel is a column, with one value in each line of memory, so whole rows are read and all channels
summed side by side, in blocks of rows that threads share. The second loop goes from the last row to the first: the last
ones are still in the cache. Images of a few positions only are taken as rows too.

Groups, values that lie together and share a mean, are images of one sample: each is a channel, `(1, R, L)`. What
differs is gamma, which changes inside a group: for each run of positions, or for each element, as in a token.

A channel, and a block of rows, is summed in one order by one thread; no result depends on how many threads there are.

Sums are kept in float64, whatever x is. Converting on the way costs little where memory is the limit, and buys three
things: a float32 batch keeps its digits, the square of 1e37 is a number, and one pass is enough. That pass is over
x - center, with a center taken from a few values. How far off it was is known afterwards, and costs digits only if it
is large against the deviation, in which case the sum is taken again (Chan, Golub and LeVeque, 1983, "Algorithms for
computing the sample variance", on shifted data).

The one exception are gradients of gamma and beta that rows add to element by element: a few terms at a time.

Nothing is compiled at import; each function is on its first call, once for float32 and once for float64, and kept on
disk for the next process. What is compiled runs in one thread, without Python's lock; see `threads`.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from bn_lib._arrays import LIMITS, Array
from bn_lib.backends.base import Backend, OutOfRange, Statistics, check_backward, check_forward
from bn_lib.backends.compiling import compiled
from bn_lib.backends.team import ALONE, share, taken

LARGE = 1 << 17  # elements; below, sharing a loop with another thread takes about as long as it saves
NARROW = 16  # positions; below, a run is too short for a loop of its own
SHORT = 32  # the same for the runs inside a group, whose sums backward are a loop each
BLOCK = 256  # rows that are summed as one, so at most so many pieces for threads
ROWS, GRADIENT_ROWS = 8, 4  # that are added at once: so many times less often from and to the sums
LEAST_PERIODS = 16  # times that all of gamma is used before its gradient goes on in another block, or into float64
MOST_BLOCKS = 16  # of such gradients, and so pieces for threads
NEAR = 1 << 9  # elements of groups that are summed before the first is normalized: they are in a core's nearest cache
PROBES = 4  # values that a provisional center is the mean of
ATTEMPTS = 3  # at a sum around a center near the mean; the second is around the mean itself, but for its rounding

# What passes between the loops: a float64 table with a row per quantity and a column per channel.
QUANTITIES = 11
GAMMA, BETA, CENTER, LOST, M2, INV_STD, FIRST, SECOND, SCALE, SLOPE, SHIFT = range(QUANTITIES)


class NumbaBackend(Backend):
    """NumPy arrays, with compiled loops."""

    name = "numba"

    def moments(self, x: Array) -> tuple[Array, Array, Array]:
        table = _table(x)
        if _is_images(x):
            _share(_moments_of_images, _plain(x), table)
        else:
            _moments(_rows(x), table)
        return table[CENTER].astype(x.dtype), table[LOST], table[M2]

    def scale_and_shift(self, x: Array, center: Array, scale: Array, offset: Array) -> Array:
        y, table = np.empty(x.shape, x.dtype), _table(x)
        table[CENTER], table[SCALE], table[SHIFT] = center, scale, offset
        self._scale_and_shift(x, y, table)
        return y

    def _scale_and_shift(self, x: Array, y: Array, table: Array) -> None:
        if _is_images(x):
            _share(_scale_and_shift_images, _plain(x), y, table)
        else:
            _share(_scale_and_shift_rows, _rows(x), _rows(y), table)

    def gradient_sums(self, dy: Array, x: Array, center: Array) -> tuple[Array, Array]:
        table = _table(x)
        table[CENTER] = center
        if _is_images(x):
            _share(_gradient_sums_of_images, _plain(dy), _plain(x), table)
        else:
            _gradient_sums(_rows(dy), _rows(x), table)
        return table[FIRST], table[SECOND]

    def combine(self, dy: Array, x: Array, center: Array, scale: Array, slope: Array, shift: Array) -> Array:
        dx, table = np.empty(x.shape, x.dtype), _table(x)
        table[CENTER], table[SCALE], table[SLOPE], table[SHIFT] = center, scale, slope, shift
        if _is_images(x):
            _share(_combine_images, _plain(dy), _plain(x), dx, table)
        else:
            _share(_combine_rows, _rows(dy), _rows(x), _rows(dx), table)
        return dx

    def forward(self, x: Array, gamma: Array, beta: Array, eps: float) -> tuple[Array, Statistics]:
        """As `Backend.forward`, in one call for images and for little; what is between the loops is compiled too."""
        y, table = np.empty(x.shape, x.dtype), _table(x)
        table[GAMMA], table[BETA] = gamma, beta
        if _is_images(x):
            _share(_forward_images, _plain(x), y, table, eps)
        elif x.size < LARGE:
            _share(_forward_rows, _rows(x), _rows(y), table, eps)
        else:
            rows, count = _rows(x), x.size // x.shape[1]
            _moments(rows, table)
            _between_forward(table, count, eps)
            _share(_scale_and_shift_rows, rows, _rows(y), table)
        statistics = Statistics(table[CENTER].astype(x.dtype), table[LOST], table[M2], table[INV_STD])
        if not _forward_held(table, *LIMITS[8 * x.itemsize]):
            check_forward(x, gamma, statistics, table[SCALE], table[SHIFT])
        return y, statistics

    def forward_with(
        self, x: Array, gamma: Array, beta: Array, mean: Array, var: Array, eps: float
    ) -> tuple[Array, Statistics]:
        """As `Backend.forward_with`, with what stands before the loop compiled too."""
        y, table = np.empty(x.shape, x.dtype), _table(x)
        table[GAMMA], table[BETA], table[CENTER], table[M2] = gamma, beta, mean, var
        _constants(y, table, eps)
        statistics = Statistics(table[CENTER].astype(x.dtype), table[LOST], None, table[INV_STD])
        if not _forward_held(table, *LIMITS[8 * x.itemsize]):
            check_forward(x, gamma, statistics, table[SCALE], table[SHIFT])
        self._scale_and_shift(x, y, table)
        return y, statistics

    def backward(self, dy: Array, x: Array, gamma: Array, statistics: Statistics) -> tuple[Array, Array, Array]:
        """As `Backend.backward`, in one call for images and for little."""
        center, lost, m2, inv_std = statistics
        if m2 is None:
            return super().backward(dy, x, gamma, statistics)
        dx, table = np.empty(x.shape, x.dtype), _table(x)
        table[GAMMA], table[CENTER], table[LOST], table[INV_STD] = gamma, center, lost, inv_std
        if _is_images(x):
            _share(_backward_images, _plain(dy), _plain(x), dx, table)
        elif x.size < LARGE:
            _share(_backward_rows, _rows(dy), _rows(x), _rows(dx), table)
        else:
            gradients, rows, count = _rows(dy), _rows(x), x.size // x.shape[1]
            _gradient_sums(gradients, rows, table)
            _between_backward(table, count)
            _share(_combine_rows, gradients, rows, _rows(dx), table)
        if not _backward_held(table, *LIMITS[8 * x.itemsize]):
            check_backward(dy, x, statistics, table[SECOND], table[FIRST])
        return dx, table[SECOND], table[FIRST]

    takes_groups = True

    def forward_groups(
        self, x: Array, gamma: Array, beta: Array | None, run: int, eps: float, *, center: bool
    ) -> tuple[Array, Statistics]:
        y, rows = np.empty(x.shape, x.dtype), x.shape[1]
        statistics = Statistics(np.empty(rows, x.dtype), *np.empty((3, rows)))
        gamma = _for_columns(gamma, x, run)
        beta = np.zeros_like(gamma) if beta is None else _for_columns(beta, x, run)
        least, most, negligible = LIMITS[8 * x.itemsize]
        if not (_within(gamma, 0.0, most) and _within(beta, 0.0, negligible)):
            raise OutOfRange
        _share(_forward_groups, _plain(x), y, *statistics, gamma, beta, _wide(run), eps, center)
        middle, lost, _, inv_std = statistics
        if not (_within(middle, 0.0, negligible) and _within(inv_std, least, most)):
            check_forward(x, np.ones(rows), statistics, inv_std, -lost * inv_std)
        return y, statistics

    def backward_groups(
        self, dy: Array, x: Array, gamma: Array, run: int, statistics: Statistics, *, center: bool
    ) -> tuple[Array, Array, Array]:
        dx, values, (middle, lost, _, inv_std) = np.empty(x.shape, x.dtype), gamma.size, statistics
        dbeta, dgamma = of_rows = np.empty((2, x.shape[1]))  # of dx_hat
        gamma, arrays = _for_columns(gamma, x, run), [_plain(dy), _plain(x), dx]
        if _wide(run) > 1:
            sums, loop = np.empty((1, 2, x.size // run)), _backward_runs
            arrays = [a.reshape(1, -1, run) for a in arrays]
        else:
            blocks = max(1, min(x.size // gamma.size // LEAST_PERIODS, MOST_BLOCKS))
            sums, loop = np.empty((blocks, 2, gamma.size)), _backward_columns
        _share(loop, *arrays, middle, lost, inv_std, of_rows, sums, gamma, center)
        least, most, negligible = LIMITS[8 * x.itemsize]
        if not (_within(inv_std, least, most) and _within(of_rows.reshape(-1), 0.0, negligible)):
            check_backward(dy, x, statistics, dgamma, dbeta)
        if _wide(run) > 1:
            sums = sums.reshape(2, -1, values).sum(axis=1)
        else:
            sums = sums.sum(axis=0).reshape(2, values, run).sum(axis=2)
        if not np.isfinite(sums).all() and np.isfinite(dy).all() and np.isfinite(x).all():
            raise OutOfRange  # in a sum of few rows, which has the precision of x
        dbeta, dgamma = sums
        return dx, dgamma, dbeta


def _wide(run: int) -> int:
    """The run that loops are given: one that is too short for a loop of its own is columns with a gamma for each."""
    return run if run >= SHORT else 1


def _for_columns(parameter: Array, x: Array, run: int) -> Array:
    """A copy in the precision of x, with a value for each `_wide(run)` elements."""
    values = parameter.astype(x.dtype)
    return values if run == _wide(run) else values.repeat(run)


def _table(x: Array) -> Array:
    return np.empty((QUANTITIES, x.shape[1]))


def _is_images(x: Array) -> bool:
    return bool(x.shape[2] >= NARROW)


def _rows(x: Array) -> Array:
    n, channels, size = x.shape
    return _plain(x).reshape(n, channels * size)


def _plain(x: Array) -> Array:
    """The same memory as an array that may be written to, if it lies as it should; otherwise a copy that does.

    To Numba a read-only array is another type, for which it would compile everything again. Nothing here writes to it.
    """
    if x.flags.behaved:
        return x
    return np.asarray(_Memory(x)) if x.flags.aligned else x.copy()


class _Memory:
    def __init__(self, x: Array) -> None:
        self.owner = x
        self.__array_interface__ = x.__array_interface__ | {"data": (x.ctypes.data, False)}


def _share(loop: Callable[..., None], x: Array, *arguments: Any) -> None:
    """Call `loop(x, *arguments)`, in threads if there is enough to do."""
    if x.size < LARGE:
        loop(x, *arguments, ALONE, 0)
    else:
        share(loop, x, *arguments)


def _moments(x: Array, table: Array) -> None:
    """As `_moments_of_images`, for rows, with the sums in threads."""
    sums = np.empty((_blocks(x), 2, x.shape[1]))
    _probe_rows(x, table)
    for _ in range(ATTEMPTS):
        _share(_sum_rows, x, table, sums)
        if _settle_rows(x, table, sums):
            break


def _gradient_sums(dy: Array, x: Array, table: Array) -> None:
    """As `_gradient_sums_of_images`, for rows, with the sums in threads."""
    sums = np.empty((_blocks(x), 2, x.shape[1]))
    _share(_sum_gradient_rows, dy, x, table, sums)
    _gather(table, sums)


# The arithmetic of one channel


@compiled(forceinline=True)
def _settle(before: float, first: float, second: float, count: int, number: Any) -> tuple[float, float, float, bool]:
    """Center, lost, m2 from sums around the center `before`, and whether that was near the mean."""
    lost = first / count
    m2 = second - first * lost
    center = np.float64(number(before + lost))
    far = first * lost > 9 * m2  # three standard deviations; False for a NaN, which stays one
    return center, (before - center) + lost, 0.0 if m2 < 0 else m2, not far


@compiled()
def _forward_channel(table: Array, c: int, count: int, eps: float) -> None:
    """INV_STD, SCALE and SHIFT from GAMMA, BETA, LOST and M2."""
    inv_std = 1 / np.sqrt(table[M2, c] / count + eps)
    scale = table[GAMMA, c] * inv_std
    table[INV_STD, c], table[SCALE, c], table[SHIFT, c] = inv_std, scale, table[BETA, c] - table[LOST, c] * scale


@compiled()
def _backward_channel(table: Array, c: int, count: int) -> None:
    """Dgamma in SECOND, dbeta in FIRST; SCALE, SLOPE and SHIFT. See `Backend.input_gradient`."""
    inv_std, lost, dbeta = table[INV_STD, c], table[LOST, c], table[FIRST, c]
    dgamma = (table[SECOND, c] - lost * dbeta) * inv_std
    slope = -inv_std * (dgamma / count)
    shift = -dbeta / count - slope * lost
    table[SECOND, c], table[SCALE, c] = dgamma, table[GAMMA, c] * inv_std
    table[SLOPE, c], table[SHIFT, c] = slope, shift


@compiled()
def _constants(y: Array, table: Array, eps: float) -> None:
    """As `_forward_channel`, for a mean in CENTER and a variance in M2 that come from elsewhere."""
    for c in range(table.shape[1]):
        mean = table[CENTER, c]
        table[CENTER, c] = y.dtype.type(mean)
        table[LOST, c] = mean - table[CENTER, c]
        _forward_channel(table, c, 1, eps)


@compiled()
def _forward_held(table: Array, least: float, most: float, negligible: float) -> bool:
    """Whether all is well in `check_forward`; what is not is looked at there."""
    held = True
    for c in range(table.shape[1]):
        size = abs(table[SCALE, c])
        held &= (least <= size) & (size <= most)
        held &= (abs(table[CENTER, c]) <= negligible) & (abs(table[SHIFT, c]) <= negligible)
    return held


@compiled()
def _within(values: Array, least: float, most: float) -> bool:
    """Whether the size of each is in [least, most]; False for a NaN."""
    within = True
    for value in values:
        within &= (abs(value) >= least) & (abs(value) <= most)
    return within


@compiled()
def _backward_held(table: Array, least: float, most: float, negligible: float) -> bool:
    """The same for `check_backward`."""
    held = True
    for c in range(table.shape[1]):
        held &= (least <= table[INV_STD, c]) & (table[INV_STD, c] <= most)
        held &= (abs(table[FIRST, c]) <= negligible) & (abs(table[SECOND, c]) <= negligible)
    return held


# Images


@compiled()
def _forward_images(x: Array, y: Array, table: Array, eps: float, counters: Array, number: int) -> None:
    for c in taken(counters, number, x.shape[1]):
        table[CENTER, c], table[LOST, c], table[M2, c] = _moments_of_channel(x, c)
        _forward_channel(table, c, x.shape[0] * x.shape[2], eps)
        _scale_and_shift_channel(x, y, table, c)


@compiled()
def _backward_images(dy: Array, x: Array, dx: Array, table: Array, counters: Array, number: int) -> None:
    for c in taken(counters, number, x.shape[1]):
        table[FIRST, c], table[SECOND, c] = _sum_gradient_channel(dy, x, c, table[CENTER, c])
        _backward_channel(table, c, x.shape[0] * x.shape[2])
        _combine_channel(dy, x, dx, table, c)


@compiled()
def _moments_of_images(x: Array, table: Array, counters: Array, number: int) -> None:
    for c in taken(counters, number, x.shape[1]):
        table[CENTER, c], table[LOST, c], table[M2, c] = _moments_of_channel(x, c)


@compiled()
def _scale_and_shift_images(x: Array, y: Array, table: Array, counters: Array, number: int) -> None:
    for c in taken(counters, number, x.shape[1]):
        _scale_and_shift_channel(x, y, table, c)


@compiled()
def _gradient_sums_of_images(dy: Array, x: Array, table: Array, counters: Array, number: int) -> None:
    for c in taken(counters, number, x.shape[1]):
        table[FIRST, c], table[SECOND, c] = _sum_gradient_channel(dy, x, c, table[CENTER, c])


@compiled()
def _combine_images(dy: Array, x: Array, dx: Array, table: Array, counters: Array, number: int) -> None:
    for c in taken(counters, number, x.shape[1]):
        _combine_channel(dy, x, dx, table, c)


@compiled(forceinline=True)
def _moments_of_channel(x: Array, c: int) -> tuple[float, float, float]:
    """Center, lost and m2."""
    center, lost, m2 = _probe_channel(x, c), 0.0, 0.0
    for _ in range(ATTEMPTS):
        first, second = _sum_channel(x, c, center)
        center, lost, m2, near = _settle(center, first, second, x.shape[0] * x.shape[2], x.dtype.type)
        if near:
            break
    return center, lost, m2


@compiled(forceinline=True)
def _probe_channel(x: Array, c: int) -> float:
    """The mean of a few values, and exactly their value where they are all the same."""
    value = np.float64(x[0, c, 0])
    total = 0.0
    for i in range(1, PROBES):
        total += np.float64(x[i * x.shape[0] // PROBES, c, i * x.shape[2] // PROBES]) - value
    return np.float64(x.dtype.type(value + total / PROBES))


@compiled("contract", "reassoc", forceinline=True)
def _sum_channel(x: Array, c: int, center: float) -> tuple[float, float]:
    first = second = 0.0
    for n in range(x.shape[0]):
        run = x[n, c]
        for s in range(run.size):
            deviation = np.float64(run[s]) - center
            first += deviation
            second += deviation * deviation
    return first, second


@compiled("contract")
def _scale_and_shift_channel(x: Array, y: Array, table: Array, c: int) -> None:
    number = x.dtype.type
    center, scale, shift = number(table[CENTER, c]), number(table[SCALE, c]), number(table[SHIFT, c])
    for n in range(x.shape[0]):
        run, out = x[n, c], y[n, c]
        for s in range(run.size):
            out[s] = scale * (run[s] - center) + shift


@compiled("contract", "reassoc", forceinline=True)
def _sum_gradient_channel(dy: Array, x: Array, c: int, center: float) -> tuple[float, float]:
    first = second = 0.0
    for n in range(x.shape[0]):
        run, gradients = x[n, c], dy[n, c]
        for s in range(run.size):
            gradient = np.float64(gradients[s])
            first += gradient
            second += gradient * (np.float64(run[s]) - center)
    return first, second


@compiled("contract")
def _combine_channel(dy: Array, x: Array, dx: Array, table: Array, c: int) -> None:
    number = x.dtype.type
    center, scale = number(table[CENTER, c]), number(table[SCALE, c])
    slope, shift = number(table[SLOPE, c]), number(table[SHIFT, c])
    for n in range(x.shape[0]):
        run, gradients, out = x[n, c], dy[n, c], dx[n, c]
        for s in range(run.size):
            out[s] = scale * (gradients[s] + slope * (run[s] - center) + shift)


# Values that lie together share a mean: as images of one sample, whose channels they are


@compiled("contract")
def _forward_groups(
    x: Array,
    y: Array,
    centers: Array,
    losts: Array,
    squares: Array,
    inv_stds: Array,
    gamma: Array,
    beta: Array,
    run: int,
    eps: float,
    center: bool,
    counters: Array,
    number: int,
) -> None:
    kind, length, values, rows = x.dtype.type, x.shape[2], x.shape[2] // run, x.shape[1]
    few = max(1, NEAR // length)
    for part in taken(counters, number, -(-rows // few)):
        begin, end = part * few, min((part + 1) * few, rows)
        for r in range(begin, end):
            if center:
                centers[r], losts[r], squares[r] = _moments_of_channel(x, r)
            else:
                centers[r], losts[r], squares[r] = 0, 0, _sum_channel(x, r, 0.0)[1]
        for r in range(begin, end):
            inv_stds[r] = 1 / np.sqrt(squares[r] / length + eps)
        for r in range(begin, end):
            middle, scale, shift = centers[r], kind(inv_stds[r]), kind(-losts[r] * inv_stds[r])
            row, out, own = x[0, r], y[0, r], _own(gamma, r, values)
            weights, shifts = gamma[own], beta[own]
            if run == 1:
                for j in range(length):
                    out[j] = weights[j] * (scale * (row[j] - middle) + shift) + shifts[j]
            else:
                for k in range(values):
                    near, results = row[k * run : (k + 1) * run], out[k * run : (k + 1) * run]
                    for s in range(run):
                        results[s] = weights[k] * (scale * (near[s] - middle) + shift) + shifts[k]


@compiled("contract")
def _backward_runs(
    dy: Array,
    x: Array,
    dx: Array,
    centers: Array,
    losts: Array,
    inv_stds: Array,
    of_rows: Array,
    sums: Array,
    gamma: Array,
    center: bool,
    counters: Array,
    number: int,
) -> None:
    """dbeta and dgamma of each run in `sums`."""
    kind, runs, values = x.dtype.type, x.shape[1] // centers.size, gamma.size
    for r in taken(counters, number, centers.size):
        middle, lost, inv_std, first, second = centers[r], losts[r], inv_stds[r], 0.0, 0.0
        for c in range(r * runs, (r + 1) * runs):
            dbeta, weighted = _sum_gradient_channel(dy, x, c, np.float64(middle))
            sums[0, 0, c], sums[0, 1, c] = dbeta, (weighted - lost * dbeta) * inv_std
            first += gamma[c % values] * sums[0, 0, c]
            second += gamma[c % values] * sums[0, 1, c]
        of_rows[0, r], of_rows[1, r] = first, second
        scale, slope, shift = _back(first, second, lost, inv_std, runs * x.shape[2], center, kind)
        for c in range(r * runs, (r + 1) * runs):
            run, gradients, out, weight = x[0, c], dy[0, c], dx[0, c], gamma[c % values]
            for s in range(run.size):
                out[s] = scale * (weight * gradients[s] + slope * (run[s] - middle) + shift)


@compiled(forceinline=True)
def _back(first: float, second: float, lost: float, inv_std: float, count: int, center: bool, number: Any) -> Any:
    """Scale, slope and shift of `Backend.combine`, from sum(dx_hat) and sum(dx_hat * x_hat)."""
    slope = -inv_std * (second / count)
    shift = -first / count - slope * lost if center else 0.0
    return number(inv_std), number(slope), number(shift)


@compiled("contract")
def _backward_columns(
    dy: Array,
    x: Array,
    dx: Array,
    centers: Array,
    losts: Array,
    inv_stds: Array,
    of_rows: Array,
    sums: Array,
    gamma: Array,
    center: bool,
    counters: Array,
    number: int,
) -> None:
    """dbeta and dgamma of each block in `sums`. A block ends where the values of gamma do.

    They are first summed in the precision of x, over a few periods of gamma: half the memory beside a row in the cache.
    """
    kind, length = x.dtype.type, x.shape[2]
    rows, blocks = gamma.size // length, sums.shape[0]
    periods, few = x.shape[1] // rows, max(1, NEAR // length)
    partial = np.empty((2, gamma.size), x.dtype)
    for block in taken(counters, number, blocks):
        sums[block] = 0
        last = (block + 1) * periods // blocks * rows
        for part in range(block * periods // blocks * rows, last, LEAST_PERIODS * rows):
            partial[:] = 0
            part_end = min(part + LEAST_PERIODS * rows, last)
            for begin in range(part, part_end, few):
                end = min(begin + few, part_end)
                for r in range(begin, end):
                    own, middle, lost, inv_std = _own(gamma, r, length), centers[r], losts[r], inv_stds[r]
                    scale, shift = kind(inv_std), kind(-lost * inv_std)  # of x_hat
                    dbeta, dgamma = partial[0, own], partial[1, own]
                    first, second = _sum_weighted(dy[0, r], x[0, r], gamma[own], middle, scale, shift, dbeta, dgamma)
                    of_rows[0, r], of_rows[1, r] = first, (second - lost * first) * inv_std
                for r in range(begin, end):
                    scale, slope, shift = _back(
                        of_rows[0, r], of_rows[1, r], losts[r], inv_stds[r], length, center, kind
                    )
                    row, gradients, out, weights = x[0, r], dy[0, r], dx[0, r], gamma[_own(gamma, r, length)]
                    middle = centers[r]
                    for j in range(length):
                        out[j] = scale * (weights[j] * gradients[j] + slope * (row[j] - middle) + shift)
            for j in range(gamma.size):
                sums[block, 0, j] += np.float64(partial[0, j])
                sums[block, 1, j] += np.float64(partial[1, j])


@compiled("contract", "reassoc", forceinline=True)
def _sum_weighted(
    dy: Array, x: Array, weights: Array, center: Any, scale: Any, shift: Any, dbeta: Array, dgamma: Array
) -> tuple[float, float]:
    """Sums of dx_hat = gamma * dy and of dx_hat * (x - center) of a row, which adds its terms to dbeta and dgamma."""
    first = second = 0.0
    for j in range(x.size):
        gradient, deviation = weights[j] * dy[j], x[j] - center
        first += gradient
        second += np.float64(gradient) * np.float64(deviation)
        dbeta[j] += dy[j]
        dgamma[j] += dy[j] * (scale * deviation + shift)
    return first, second


@compiled(forceinline=True)
def _own(gamma: Array, r: int, values: int) -> Any:
    """Where the `values` of gamma are that a row is scaled with."""
    first = 0 if values == gamma.size else r * values % gamma.size
    return slice(first, first + values)


# Rows, by blocks of them. Channel c is columns c * size to (c + 1) * size.


@compiled()
def _forward_rows(x: Array, y: Array, table: Array, eps: float, counters: Array, number: int) -> None:
    sums = np.empty((_blocks(x), 2, x.shape[1]))
    _probe_rows(x, table)
    for _ in range(ATTEMPTS):
        _sum_rows(x, table, sums, counters, number)
        if _settle_rows(x, table, sums):
            break
    _between_forward(table, x.size // table.shape[1], eps)
    _scale_and_shift_rows(x, y, table, counters, number)


@compiled()
def _backward_rows(dy: Array, x: Array, dx: Array, table: Array, counters: Array, number: int) -> None:
    sums = np.empty((_blocks(x), 2, x.shape[1]))
    _sum_gradient_rows(dy, x, table, sums, counters, number)
    _gather(table, sums)
    _between_backward(table, x.size // table.shape[1])
    _combine_rows(dy, x, dx, table, counters, number)


@compiled()
def _between_forward(table: Array, count: int, eps: float) -> None:
    for c in range(table.shape[1]):
        _forward_channel(table, c, count, eps)


@compiled()
def _between_backward(table: Array, count: int) -> None:
    for c in range(table.shape[1]):
        _backward_channel(table, c, count)


@compiled()
def _probe_rows(x: Array, table: Array) -> None:
    """A provisional CENTER, as `_probe_channel`."""
    center, off = table[CENTER], np.zeros(x.shape[1])
    size = off.size // center.size
    for c in range(center.size):
        center[c] = x[0, c * size]
    value = center.repeat(size)
    for i in range(PROBES):
        row = x[i * x.shape[0] // PROBES]
        for j in range(off.size):
            off[j] += np.float64(row[j]) - value[j]
    weight = 1 / (PROBES * size)
    for c in range(center.size):
        for s in range(size):
            center[c] += off[c * size + s] * weight
        center[c] = x.dtype.type(center[c])


@compiled()
def _settle_rows(x: Array, table: Array, sums: Array) -> bool:
    """CENTER, LOST and M2; whether the provisional centers were all near the mean."""
    _gather(table, sums)
    count = x.size // table.shape[1]
    all_near = True
    for c in range(table.shape[1]):
        table[CENTER, c], table[LOST, c], table[M2, c], near = _settle(
            table[CENTER, c], table[FIRST, c], table[SECOND, c], count, x.dtype.type
        )
        all_near = all_near and near
    return all_near


@compiled()
def _sum_rows(x: Array, table: Array, sums: Array, counters: Array, number: int) -> None:
    center = _spread(sums[0], table, CENTER)
    for block in taken(counters, number, _blocks(x)):
        first, second = sums[block, 0], sums[block, 1]
        first[:] = 0
        second[:] = 0
        begin, end = block * BLOCK, min((block + 1) * BLOCK, x.shape[0])
        rest = end - (end - begin) % ROWS
        for n in range(begin, rest, ROWS):
            _add_rows(x, n, ROWS, center, first, second)
        for n in range(rest, end):
            _add_rows(x, n, 1, center, first, second)


@compiled("contract", forceinline=True)
def _add_rows(x: Array, n: int, rows: int, center: Array, first: Array, second: Array) -> None:
    for j in range(center.size):
        deviations = squares = 0.0
        for k in range(rows):
            deviation = np.float64(x[n + k, j]) - center[j]
            deviations += deviation
            squares += deviation * deviation
        first[j] += deviations
        second[j] += squares


@compiled()
def _sum_gradient_rows(dy: Array, x: Array, table: Array, sums: Array, counters: Array, number: int) -> None:
    center = _spread(sums[0], table, CENTER)
    for block in taken(counters, number, _blocks(x)):
        first, second = sums[block, 0], sums[block, 1]
        first[:] = 0
        second[:] = 0
        begin, end = block * BLOCK, min((block + 1) * BLOCK, x.shape[0])
        rest = end - (end - begin) % GRADIENT_ROWS
        for n in range(begin, rest, GRADIENT_ROWS):
            _add_gradient_rows(dy, x, n, GRADIENT_ROWS, center, first, second)
        for n in range(rest, end):
            _add_gradient_rows(dy, x, n, 1, center, first, second)


@compiled("contract", forceinline=True)
def _add_gradient_rows(dy: Array, x: Array, n: int, rows: int, center: Array, first: Array, second: Array) -> None:
    for j in range(center.size):
        gradients = products = 0.0
        for k in range(rows):
            gradient = np.float64(dy[n + k, j])
            gradients += gradient
            products += gradient * (np.float64(x[n + k, j]) - center[j])
        first[j] += gradients
        second[j] += products


@compiled("contract")
def _scale_and_shift_rows(x: Array, y: Array, table: Array, counters: Array, number: int) -> None:
    center, scale, shift = _spread(x, table, CENTER), _spread(x, table, SCALE), _spread(x, table, SHIFT)
    blocks = _blocks(x)
    for taken_block in taken(counters, number, blocks):
        block = blocks - 1 - taken_block
        for n in range(block * BLOCK, min((block + 1) * BLOCK, x.shape[0])):
            row, out = x[n], y[n]
            for j in range(center.size):
                out[j] = scale[j] * (row[j] - center[j]) + shift[j]


@compiled("contract")
def _combine_rows(dy: Array, x: Array, dx: Array, table: Array, counters: Array, number: int) -> None:
    center, scale = _spread(x, table, CENTER), _spread(x, table, SCALE)
    slope, shift = _spread(x, table, SLOPE), _spread(x, table, SHIFT)
    blocks = _blocks(x)
    for taken_block in taken(counters, number, blocks):
        block = blocks - 1 - taken_block
        for n in range(block * BLOCK, min((block + 1) * BLOCK, x.shape[0])):
            row, gradients, out = x[n], dy[n], dx[n]
            for j in range(center.size):
                out[j] = scale[j] * (gradients[j] + slope[j] * (row[j] - center[j]) + shift[j])


@compiled(forceinline=True)
def _blocks(x: Array) -> int:
    blocks: int = (x.shape[0] + BLOCK - 1) // BLOCK
    return blocks


@compiled()
def _spread(x: Array, table: Array, quantity: int) -> Array:
    """A row of the table with a value for each column of x, in its precision."""
    values, columns = table[quantity], np.empty(x.shape[1], x.dtype)
    size = columns.size // values.size
    for s in range(size):
        for c in range(values.size):
            columns[c * size + s] = values[c]
    return columns


@compiled()
def _gather(table: Array, sums: Array) -> None:
    """FIRST and SECOND from the sums of blocks: over blocks, and over the columns of a channel."""
    first, second = table[FIRST], table[SECOND]
    first[:] = 0
    second[:] = 0
    size = sums.shape[2] // first.size
    for block in range(sums.shape[0]):
        for s in range(size):
            for c in range(first.size):
                first[c] += sums[block, 0, c * size + s]
                second[c] += sums[block, 1, c * size + s]
