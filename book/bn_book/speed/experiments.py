"""How fast Batch Normalization can be: the forward pass in steps from the textbook to compiled loops, and their cost.

Each step is one small function that computes the same y, with an account of what it reads and writes. The steps are for
reading; what the library runs is in `bn_lib.backends`. Beside them: timing side by side, the machine's two limits, the
error of several formulas for the variance, and what travels between workers. Nothing that was timed is a claim.
"""

import math
import time
import tracemalloc
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from decimal import Context, Decimal
from functools import cache, partial, reduce
from typing import NamedTuple

import numpy as np
from threadpoolctl import threadpool_limits

from bn_lib._arrays import Array
from bn_lib.backends import use_backend
from bn_lib.backends.threads import threads
from bn_lib.moments import Moments
from bn_lib.normalizers import batch_norm, batch_norm_backward
from bn_lib.population import merge_pairwise
from bn_lib.sync import SyncBatchNorm

CHAPTER = "speed"

SHAPE = (32, 64, 56 * 56)  # an early layer of a ResNet, 25.7 MB: larger than a core's own cache
SIZE = math.prod(SHAPE)
SIDE = 1024  # of the square matrices whose product takes a machine to its peak
MATRIX_INTENSITY = 2 * SIDE**3 / (3 * 4 * SIDE**2)  # two are read and one is written, in float32

# The steps. x is (N, C, S), images with their positions in one row; gamma and beta are (C,).

CHANNEL = (0, 2)  # the axes that a channel's values lie along


def textbook(x: Array, gamma: Array, beta: Array, eps: float) -> Array:
    """The definition, line by line: seven passes, and a new array for each result."""
    mean = x.mean(CHANNEL, keepdims=True)
    deviation = x - mean
    square = deviation * deviation
    var = square.mean(CHANNEL, keepdims=True)
    x_hat = deviation / np.sqrt(var + eps)
    scaled = gamma[:, None] * x_hat
    return scaled + beta[:, None]


def in_place(x: Array, gamma: Array, beta: Array, eps: float) -> Array:
    """The same seven passes; results go into an array that is there already."""
    y = x - x.mean(CHANNEL, keepdims=True)
    var = (y * y).mean(CHANNEL, keepdims=True)
    np.divide(y, np.sqrt(var + eps), out=y)
    np.multiply(y, gamma[:, None], out=y)
    return np.add(y, beta[:, None], out=y)


def folded(x: Array, gamma: Array, beta: Array, eps: float) -> Array:
    """gamma and the divisor are one factor for each channel, computed before it meets the array."""
    y = x - x.mean(CHANNEL, keepdims=True)
    var = (y * y).mean(CHANNEL, keepdims=True)
    np.multiply(y, gamma[:, None] / np.sqrt(var + eps), out=y)
    return np.add(y, beta[:, None], out=y)


def products(x: Array, gamma: Array, beta: Array, eps: float, out: Array | None = None) -> Array:
    """Sums as products, with a vector of ones and of y with itself: the squares are added up and never written."""
    count = x.shape[0] * x.shape[2]
    ones = np.ones(x.shape[2], x.dtype)
    mean = (x @ ones).sum(axis=0) / count
    y = np.subtract(x, mean[:, None], out=out)
    var = np.vecdot(y, y).sum(axis=0) / count
    scale = gamma / np.sqrt(var + eps)
    np.multiply(y, scale[:, None], out=y)
    return np.add(y, beta[:, None], out=y)


def channel_by_channel(x: Array, gamma: Array, beta: Array, eps: float) -> Array:
    """All passes over one channel before the next: only the first of them finds its data in memory."""
    y = np.empty_like(x)
    for c in range(x.shape[1]):
        one = slice(c, c + 1)
        products(x[:, one], gamma[one], beta[one], eps, out=y[:, one])
    return y


def two_threads(x: Array, gamma: Array, beta: Array, eps: float) -> Array:
    """The same, with the channels shared between two threads.

    NumPy lets go of Python's lock while it computes, but not in products of at most 500 rows (`vecdot` and `@`, seen in
    NumPy 2.4). There the threads take turns.

    Raises:
        RuntimeError: if no thread can be started, as in a browser.
    """
    y = np.empty_like(x)

    def normalize(c: int) -> None:
        one = slice(c, c + 1)
        products(x[:, one], gamma[one], beta[one], eps, out=y[:, one])

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(normalize, range(x.shape[1])))
    return y


def compiled(x: Array, gamma: Array, beta: Array, eps: float) -> Array:
    """The library's loops compiled with Numba: a channel at a time, two passes.

    Raises:
        ImportError: if Numba is not installed.
    """
    with use_backend("numba"):
        return batch_norm(x, gamma, beta, eps=eps)[0]


class Pass(NamedTuple):
    """One run over all elements.

    Attributes:
        name: what is done.
        reads: the arrays of x's size that are read from memory.
        writes: those that are written to memory.
        near_reads: those that are read while the processor's cache still holds them.
        near_writes: those that are written and overwritten before they leave the cache.
        flops: additions, multiplications and divisions for each element.
    """

    name: str
    reads: str = ""
    writes: str = ""
    near_reads: str = ""
    near_writes: str = ""
    flops: int = 1


def transfers(passes: Sequence[Pass]) -> int:
    """How often an element is read from memory or written to it."""
    return sum(len(each.reads + each.writes) for each in passes)


@dataclass(frozen=True)
class Step:
    """A way to compute y, with an account of it.

    The account: each pass reads or writes every element of an array once, in memory or in the cache. Vectors with one
    value for each channel are not counted, nor is the line of memory that a processor may fetch before it writes there.

    Attributes:
        name: a few words.
        run: from x, gamma, beta and eps to y.
        passes: over the arrays x; d = x - mean; q = d * d; h = x_hat; g = gamma * x_hat; y. One letter each.
        arrays: how many of x's size are alive at the same time at most, y among them and x not.
    """

    name: str
    run: Callable[[Array, Array, Array, float], Array]
    passes: tuple[Pass, ...]
    arrays: int

    @property
    def transfers(self) -> int:
        """How often an element is read from memory or written to it."""
        return transfers(self.passes)

    @property
    def flops(self) -> int:
        """Additions, multiplications and divisions for each element."""
        return sum(each.flops for each in self.passes)

    def bytes(self, itemsize: int = 4) -> int:
        """Bytes moved for each element, which takes `itemsize` of them."""
        return itemsize * self.transfers

    def intensity(self, itemsize: int = 4) -> float:
        """Arithmetic intensity: flops for each byte moved."""
        return self.flops / self.bytes(itemsize)


_MEAN, _SUBTRACT, _SQUARES = (
    Pass("mean", "x", flops=2),
    Pass("subtract", "x", "y"),
    Pass("sum of squares", "y", flops=2),
)
_SCALE, _SHIFT = Pass("multiply", "y", "y"), Pass("add", "y", "y")
_BY_PRODUCTS = (_MEAN, _SUBTRACT, _SQUARES, _SCALE, _SHIFT)
_IN_CACHE = (
    _MEAN,
    Pass("subtract", near_reads="x", near_writes="y"),
    Pass("sum of squares", near_reads="y", flops=2),
    Pass("multiply", near_reads="y", near_writes="y"),
    Pass("add", "", "y", near_reads="y"),
)
_SQUARED = (Pass("mean", "x"), _SUBTRACT, Pass("square", "y", "q"), Pass("mean of squares", "q"))
_COMPILED = (Pass("sums", "x", flops=4), Pass("normalize", "", "y", near_reads="x", flops=3))

TEXTBOOK = Step(
    "textbook",
    textbook,
    (
        Pass("mean", "x"),
        Pass("subtract", "x", "d"),
        Pass("square", "d", "q"),
        Pass("mean of squares", "q"),
        Pass("divide", "d", "h"),
        Pass("multiply", "h", "g"),
        Pass("add", "g", "y"),
    ),
    5,
)
COMPILED = Step("compiled", compiled, _COMPILED, 1)
STEPS = (
    TEXTBOOK,
    Step("in place", in_place, (*_SQUARED, Pass("divide", "y", "y"), _SCALE, _SHIFT), 2),
    Step("folded", folded, (*_SQUARED, _SCALE, _SHIFT), 2),
    Step("products", products, _BY_PRODUCTS, 1),
    Step("by channel", channel_by_channel, _IN_CACHE, 1),
    COMPILED,
)
#: Beside the others and not one of them: it leads away from the least.
TWO_THREADS = Step("two threads", two_threads, _IN_CACHE, 1)


def steps() -> tuple[Step, ...]:
    """The steps that can run here: not "compiled" without Numba."""
    return tuple(step for step in STEPS if _runs(step))


def _runs(step: Step) -> bool:
    try:
        step.run(*batch((2, 2, 2)))
    except (ImportError, RuntimeError):  # no Numba; no thread
        return False
    return True


def batch(shape: tuple[int, int, int] = SHAPE, *, seed: int = 0) -> tuple[Array, Array, Array, float]:
    """What a step takes: x, normal with mean 1 and standard deviation 2, float32; gamma and beta; eps.

    Args:
        shape: (N, C, S).
        seed: of all values.
    """
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(shape, np.float32) * np.float32(2) + np.float32(1)
    gamma, beta = rng.uniform(0.5, 1.5, size=(2, shape[1])).astype(np.float32)
    return x, gamma, beta, 1e-5


# Time

ROUNDS = 9  # of all candidates, each one turn


class Timing(NamedTuple):
    """A time, as a multiple of that of a copy in the same round.

    Attributes:
        seconds: median.
        copies: median of the ratios.
        low, high: the quartiles of the ratios: half of them lie between.
    """

    seconds: float
    copies: float
    low: float
    high: float


def side_by_side(
    candidates: Mapping[str, Callable[[], object]], x: Array, *, rounds: int = ROUNDS, seed: int = 0
) -> dict[str, Timing]:
    """Time functions in one process, one turn each round, in a new order each round; and a copy of x among them.

    A machine that slows down for a while then slows all of them. Results are allocated within the time that is taken.
    BLAS has one thread.

    Args:
        candidates: what to call, by name. Each is called once before, so that nothing is compiled in its turn.
        x: what the copy is of.
        rounds: turns of each.
        seed: of the orders.
    """
    turns = {"copy": x.copy, **candidates}
    seconds: dict[str, list[float]] = {name: [] for name in turns}
    rng = np.random.default_rng(seed)
    with threadpool_limits(1, "blas"):
        for call in turns.values():
            call()
        for _ in range(rounds):
            for name in rng.permutation(list(turns)):
                start = time.perf_counter()
                turns[name]()
                seconds[name].append(time.perf_counter() - start)
    found = {}
    for name, times in seconds.items():
        ratios = np.divide(times, seconds["copy"])
        low, middle, high = np.quantile(ratios, [0.25, 0.5, 0.75])
        found[name] = Timing(float(np.median(times)), float(middle), float(low), float(high))
    return found


def time_steps(*, shape: tuple[int, int, int] = SHAPE, rounds: int = ROUNDS) -> dict[str, Timing]:
    """`side_by_side` for `steps()`, and for "two threads" where there can be two."""
    arguments = batch(shape)
    timed = [step for step in (*STEPS, TWO_THREADS) if _runs(step)]
    return side_by_side({step.name: partial(step.run, *arguments) for step in timed}, arguments[0], rounds=rounds)


def compiled_threads() -> int:
    """How many threads the compiled loops share the channels of a large batch among."""
    return threads()


class Limits(NamedTuple):
    """What a machine can do at most, as measured.

    Attributes:
        bandwidth: bytes moved a second, reads and writes, by the faster of a copy and a sum of two arrays.
        peak: float32 operations a second in a product of two matrices.
    """

    bandwidth: float
    peak: float

    @property
    def ridge(self) -> float:
        """The arithmetic intensity above which arithmetic is the limit and below which memory is."""
        return self.peak / self.bandwidth

    def roof(self, intensity: float) -> float:
        """The most operations a second at an intensity: min(peak, intensity * bandwidth)."""
        return min(self.peak, intensity * self.bandwidth)


def limits(*, size: int = SIZE, side: int = SIDE, rounds: int = 7) -> Limits:
    """Measure both, of one core; the best of several rounds, because a limit is what nothing gets beyond.

    Args:
        size: elements of each of the arrays that are copied and added, float32.
        side: of the square matrices.
        rounds: turns of each.

    Source: McCalpin (1995) for the kernels "copy" and "add", and for counting the bytes that they name.
    """
    a, b, c = np.ones((3, size), np.float32)
    m = np.random.default_rng(0).standard_normal((side, side), np.float32)
    calls: tuple[tuple[Callable[[], object], float], ...] = (
        (partial(np.copyto, c, a), 2 * a.nbytes),
        (partial(np.add, a, b, out=c), 3 * a.nbytes),
        (partial(np.matmul, m, m, out=m.copy()), 2 * side**3),
    )
    with threadpool_limits(1, "blas"):
        copy, add, product = (amount / _fastest(call, rounds) for call, amount in calls)
    return Limits(max(copy, add), product)


def _fastest(call: Callable[[], object], rounds: int) -> float:
    seconds = []
    for _ in range(rounds + 1):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return min(seconds[1:])


# Memory


class Memory(NamedTuple):
    """Arrays of x's size beside x.

    Attributes:
        peak: alive at the same time at most.
        kept: alive afterwards, what was returned among them.
    """

    peak: float
    kept: float


def memory(call: Callable[[], object], x: Array) -> Memory:
    """What a call allocates, in units of x; counted by NumPy and Python, so it is the same on every machine."""
    call()  # whatever is made only once is made here
    running = tracemalloc.is_tracing()
    if not running:
        tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        result = call()
        after, peak = tracemalloc.get_traced_memory()
        del result
    finally:
        if not running:
            tracemalloc.stop()
    return Memory((peak - before) / x.nbytes, (after - before) / x.nbytes)


def training_memory(backend: str, *, shape: tuple[int, int, int] = (16, 16, 4096)) -> tuple[Memory, Memory]:
    """Memory of the forward and of the backward pass of `batch_norm` with a backend, float32.

    Args:
        backend: its name, for `use_backend`.
        shape: of x.
    """
    x, gamma, beta, eps = batch(shape)
    dy = x[::-1].copy()
    with use_backend(backend):
        _, kept = batch_norm(x, gamma, beta, eps=eps)
        forward = memory(lambda: batch_norm(x, gamma, beta, eps=eps), x)
        backward = memory(lambda: batch_norm_backward(dy, kept), x)
    return forward, backward


def kept_less() -> float:
    """How many arrays of x's size the reference keeps for the backward pass that the NumPy backend does not."""
    return training_memory("reference")[0].kept - training_memory("numpy")[0].kept


# A ReLU behind it, alone and in the same loop


def relu_apart(x: Array, gamma: Array, beta: Array, eps: float) -> Array:
    """BN, channel by channel, and then a ReLU over the whole of y."""
    y = channel_by_channel(x, gamma, beta, eps)
    return np.maximum(y, 0, out=y)


def relu_fused(x: Array, gamma: Array, beta: Array, eps: float) -> Array:
    """The ReLU of each channel while the cache still holds it."""
    y = np.empty_like(x)
    for c in range(x.shape[1]):
        one = slice(c, c + 1)
        products(x[:, one], gamma[one], beta[one], eps, out=y[:, one])
        np.maximum(y[:, one], 0, out=y[:, one])
    return y


# Backward, and work that is fused


def textbook_backward(dy: Array, x_hat: Array, gamma: Array, inv_std: Array) -> tuple[Array, Array, Array]:
    """dx, dgamma and dbeta line by line, from an x_hat that was kept; gamma and inv_std are (C,)."""
    product = dy * x_hat
    dgamma = product.sum(CHANNEL)
    dbeta = dy.sum(CHANNEL)
    count = dy.shape[0] * dy.shape[2]
    centered = dy - (dbeta / count)[:, None]
    along = x_hat * (dgamma / count)[:, None]
    difference = centered - along
    return difference * (gamma * inv_std)[:, None], dgamma, dbeta


BACKWARD = (
    Pass("product", "gh", "p"),
    Pass("sum", "p"),
    Pass("sum", "g"),
    Pass("subtract", "g", "c"),
    Pass("multiply", "h", "a"),
    Pass("subtract", "ca", "d"),
    Pass("multiply", "d", "x"),
)


class Work(NamedTuple):
    """What a piece of work moves when each part is a function of its own, and when they are one.

    Attributes:
        name: of the work.
        apart: reads and writes of arrays of x's size.
        fused: the same.
    """

    name: str
    apart: int
    fused: int


#: Statistics and y need x twice, unless a channel stays in the cache; the counts are for one that does not.
FUSED = (
    Work("BN", TEXTBOOK.transfers, 3),
    Work("BN, ReLU", 3 + 2, 3),
    Work("BN, add, ReLU", 3 + 3 + 2, 4),
    Work("BN backward", transfers(BACKWARD), 5),
    Work("BN in inference", 2, 2),
    Work("BN folded into a convolution", 2, 0),
)


# The variance in one pass

Method = Callable[[Array, float], Array]


def by_one_pass(x: Array, eps: float) -> Array:
    """x_hat with var = mean(x**2) - mean(x)**2: both sums in one pass, and digits lost in the difference."""
    mean = x.mean(axis=0)
    var = (x * x).mean(axis=0) - mean * mean
    with np.errstate(invalid="ignore"):  # the root of a negative number
        return (x - mean) / np.sqrt(var + x.dtype.type(eps))


def by_two_passes(x: Array, eps: float) -> Array:
    """x_hat with var = mean((x - mean)**2), where the mean is off by what is rounded in a sum of m large values.

    Along axis 0 NumPy adds row to row, so that every one of the m additions rounds a sum that has grown large. (Along
    the last axis it adds in pairs, and loses less.)
    """
    deviation = x - x.mean(axis=0)
    return deviation / np.sqrt((deviation * deviation).mean(axis=0) + x.dtype.type(eps))


def by_corrected_two_passes(x: Array, eps: float) -> Array:
    """x_hat by two passes, the second of which also takes the mean of the deviations: what the first mean is off by.

    Source: Chan, Golub and LeVeque (1983), the corrected two-pass algorithm, for the variance; that x_hat takes the
    same correction is ours.
    """
    return _from_shifted(x - x.mean(axis=0), eps)


def by_shifted_pass(x: Array, eps: float) -> Array:
    """x_hat with both sums in one pass over d = x - k, where k is the first sample: near the mean, and d is exact.

    Source: Chan, Golub and LeVeque (1983), shifted data.
    """
    return _from_shifted(x - x[0], eps)


def _from_shifted(d: Array, eps: float) -> Array:
    """x_hat from d = x - k, whose mean is small: what is left of the mean is subtracted from d and from the squares."""
    left = d.mean(axis=0)
    var = (d * d).mean(axis=0) - left * left
    return (d - left) / np.sqrt(var + d.dtype.type(eps))


def by_bn_lib(x: Array, eps: float) -> Array:
    """x_hat as the library computes it."""
    ones = np.ones(x.shape[1], x.dtype)
    return batch_norm(x, ones, 0 * ones, eps=eps)[0]


METHODS: Mapping[str, Method] = {
    "one pass": by_one_pass,
    "two passes": by_two_passes,
    "two passes, corrected": by_corrected_two_passes,
    "one pass, shifted": by_shifted_pass,
    "bn_lib": by_bn_lib,
}

#: The means of the chapter's figure, in batches with a standard deviation of 0.01: from 1 to a million of those.
MEANS = tuple(10.0 ** (power / 2) for power in range(-4, 9))


class Damage(NamedTuple):
    """What a formula for the variance does to x_hat.

    Attributes:
        error: the largest error of any value that is a number; infinite if none is.
        typical: the median over channels of the largest error, where a value that is not a number counts as infinite.
        negative: the share of channels whose variance plus eps is negative, so that x_hat is not a number.
        ruined: the share of channels with an error above half a standard deviation, or with what is not a number.
    """

    error: float
    typical: float
    negative: float
    ruined: float


def damage(method: Method, mean: float, *, std: float = 1e-2, m: int = 1024, seed: int = 0) -> Damage:
    """Error of x_hat of float32 batches with a large mean, against extended precision.

    Args:
        method: from x and eps to x_hat.
        mean: of the values.
        std: their standard deviation.
        m: values in a batch; there are 64 channels.
        seed: of the values.
    """
    eps = 1e-5
    x = (mean + std * np.random.default_rng(seed).standard_normal((m, 64))).astype(np.float32)
    exact = x.astype(np.longdouble)
    deviation = exact - exact.mean(axis=0)
    truth = deviation / np.sqrt((deviation * deviation).mean(axis=0) + np.longdouble(eps))
    error = np.abs(method(x, eps) - truth).max(axis=0).astype(float)
    finite = np.isfinite(error)
    return Damage(
        float(error[finite].max()) if finite.any() else math.inf,
        float(np.median(np.where(finite, error, math.inf))),
        float(1 - finite.mean()),
        float(1 - (error <= 0.5).mean()),  # NaN is not <= anything
    )


@cache
def errors(means: tuple[float, ...], *, seeds: tuple[int, ...] = (0, 1, 2, 3)) -> dict[str, tuple[Damage, ...]]:
    """The worst `damage` of each method over seeds, for each mean."""

    def worst(method: Method, mean: float) -> Damage:
        runs = [damage(method, mean, seed=seed) for seed in seeds]
        return Damage(*(float(v) for v in np.max(runs, axis=0)))

    return {name: tuple(worst(method, mean) for mean in means) for name, method in METHODS.items()}


class Digits(NamedTuple):
    """The variance of a few numbers in one pass, each result rounded to so many decimal digits.

    Attributes:
        x: the numbers.
        squares: x * x.
        mean_of_squares: their sum over m.
        mean: of x.
        square_of_mean: mean * mean.
        difference: what one pass calls the variance.
        two_passes: the mean of (x - mean)**2, in the same arithmetic.
    """

    x: tuple[Decimal, ...]
    squares: tuple[Decimal, ...]
    mean_of_squares: Decimal
    mean: Decimal
    square_of_mean: Decimal
    difference: Decimal
    two_passes: Decimal


def by_hand(x: Sequence[str], digits: int) -> Digits:
    """Work the variance in decimal arithmetic.

    Args:
        x: the numbers as they are written.
        digits: significant digits to which every result is rounded, to even where it lies in the middle.
    """
    arithmetic = Context(prec=digits)
    values = tuple(Decimal(value) for value in x)
    m = Decimal(len(values))

    def mean(terms: Sequence[Decimal]) -> Decimal:
        return arithmetic.divide(reduce(arithmetic.add, terms), m)

    def square(value: Decimal) -> Decimal:
        return arithmetic.multiply(value, value)

    squares = tuple(map(square, values))
    center = mean(values)
    return Digits(
        values,
        squares,
        mean(squares),
        center,
        square(center),
        arithmetic.subtract(mean(squares), square(center)),
        mean([square(arithmetic.subtract(value, center)) for value in values]),
    )


#: The numbers that the chapter works by hand, with about as many digits as float32 has: 7.
BY_HAND = ("10006", "10007", "10011")
DIGITS = 7


# Across workers


def merged_in_pieces(x: Array, pieces: int) -> Moments:
    """Moments of the columns of x, from pieces of its rows merged two by two.

    Args:
        x: (N, C).
        pieces: how many.
    """
    merged = merge_pairwise(Moments.of(piece, axis=0) for piece in np.array_split(x, pieces))
    assert merged is not None  # there is at least one piece
    return merged


def merge_error(*, pieces: int = 64, seed: int = 0) -> float:
    """Largest relative difference of the variances of pieces merged and of the whole; mean 1e4 and std 1, float64."""
    x = 1e4 + np.random.default_rng(seed).standard_normal((4096, 16))
    whole, merged = Moments.of(x, axis=0), merged_in_pieces(x, pieces)
    return float(np.abs(merged.var() / whole.var() - 1).max())


def averaged_pieces_error(*, pieces: int = 64, seed: int = 0) -> float:
    """The same for the average of the pieces' variances, which leaves out how their means differ."""
    x = 1e4 + np.random.default_rng(seed).standard_normal((4096, 16))
    averaged = np.mean([piece.var(axis=0) for piece in np.array_split(x, pieces)], axis=0)
    return float(np.abs(averaged / x.var(axis=0) - 1).max())


class _Recorder:
    """A communicator of one worker that notes how much it is given to send."""

    rank, size = 0, 1

    def __init__(self) -> None:
        self.sent: list[int] = []

    def allgather(self, message: Array) -> list[Array]:
        self.sent.append(message.nbytes)
        return [message]


def bytes_sent(channels: int) -> tuple[int, int]:
    """The bytes of the numbers that a worker of `SyncBatchNorm` sends, forward and backward: they depend on C alone."""
    comm = _Recorder()
    layer = SyncBatchNorm(channels, comm=comm)
    x = batch((4, channels, 1))[0][:, :, 0]
    layer.forward(x)
    layer.backward(x)
    forward, backward = comm.sent
    return forward, backward
