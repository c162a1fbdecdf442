"""Batch Normalization of a mini-batch that is spread over workers: the statistics are those of all its parts together.

The loops over x and dy are the backends', on each worker's own part; `Moments.merge` joins the statistics. What lives
here is what travels between them: one exchange of a few numbers per channel in each direction, by mpi4py, which is
imported when a layer is made. How gradients of parameters are averaged over workers is not here; they are local.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import copy, deepcopy
from functools import partial
from typing import Any, Self, TypeAlias, TypeVar

import numpy as np

from bn_lib import _checks as check
from bn_lib import fast
from bn_lib._arrays import LIMITS, Array, namespace, silent
from bn_lib.backends import choose
from bn_lib.backends.base import Backend, OutOfRange, Statistics, check_backward, check_forward, scale_and_offset
from bn_lib.batchnorm import BatchNorm
from bn_lib.layer import to_numpy
from bn_lib.moments import Moments
from bn_lib.normalizers import normalize_with
from bn_lib.population import merge_pairwise
from bn_lib.standardize import standardize_with


class SyncBatchNorm(BatchNorm):
    """Batch Normalization over all workers' mini-batches, as if they were one.

        forward    y  = gamma * (x - mu) / sqrt(sigma2 + eps) + beta
        backward   dx = gamma / sqrt(sigma2 + eps) * (dy - mean(dy) - x_hat * mean(dy * x_hat))

    with mu, sigma2 and both means over the rows of all workers. In inference it is `BatchNorm`: workers do not talk,
    also where there are no running statistics. With masks, a worker's positions may all be padding.

    Every worker makes the layer with the same parameters and calls it for its own part of the mini-batch. The parts
    may have different numbers of rows, one row or none included. All workers get the same statistics to the last bit,
    so their running statistics never drift apart; a state dict is `BatchNorm`'s and loads into either.

    As for any other layer, `grads` is the worker's own sum, over its rows; add the gradients of all workers up, or
    average them, before the update (`comm.Allreduce`). dx is the gradient of the sum of all workers' losses. So where
    each worker's loss is the mean over its rows and the parts are of equal size, averaging all gradients gives those of
    the mean over all rows.

    Each pass exchanges one message, of 3 C + 1 numbers per worker forward and 2 C backward, by allgather. Every
    worker then merges all of them, in the order of ranks. A reduction with Chan's merge as its operator would move less
    with very many workers, but MPI leaves the order in which a reduction adds up open, and so the last digits.

    An array that one worker refuses raises on all of them: there the complaint, elsewhere a RuntimeError that names the
    rank. So do layers with unlike numbers of channels: a ValueError on each. Other failures of one worker leave the
    others waiting, as in any MPI program; started with `mpiexec -n 4 python -m mpi4py train.py`, they are ended
    instead. All workers must be in the same mode.

    Args:
        num_features: C, the number of channels.
        comm: the mpi4py communicator of the workers; by default `MPI.COMM_WORLD`, everyone whom mpiexec started.
        options: as those of `BatchNorm`.

    Example:
        >>> from mpi4py import MPI
        >>> layer = SyncBatchNorm(1, eps=0.0, comm=MPI.COMM_WORLD)  # started alone: one worker
        >>> layer(np.array([[1.0], [3.0]]))
        array([[-1.],
               [ 1.]])

    Raises:
        ImportError: if no communicator is given and the package mpi4py is not installed.
        TypeError, ValueError: as `BatchNorm`, on all workers; in training only for arrays that a backend has loops for
            (NumPy and CuPy, not inside `use_backend("reference")`), and whose squares are float64 numbers.

    Source: Peng et al. (2018), "MegDet", section 3.3, Cross-GPU Batch Normalization; torch.nn.SyncBatchNorm, which
    keeps the gradients of parameters local too; the merge is that of Chan, Golub and LeVeque (1979).
    """

    _least_valid = 0  # what counts is how many there are on all workers

    def __init__(self, num_features: int, *, comm: Any = None, **options: Any) -> None:
        super().__init__(num_features, **options)
        self.comm = _world() if comm is None else comm
        if not hasattr(self.comm, "allgather"):
            raise TypeError(f"comm is a {type(comm).__name__}; expected a communicator of mpi4py (MPI.COMM_WORLD)")

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """A copy has arrays of its own and the same workers; a communicator cannot be copied, and need not be."""
        memo[id(self.comm)] = self.comm
        twin = copy(self)
        memo[id(self)] = twin
        vars(twin).update(deepcopy(self.__getstate__(), memo))
        return twin

    def _enter(self, x: Array, mask: Array | None = None) -> tuple[Array, Array | None]:
        with self._told("forward", together=self._learns):
            return super()._enter(x, mask)

    def _enter_again(self, dy: Array, visit: Any) -> Array:
        with self._told("backward", together=getattr(visit.cache, "shared", None) is not None):
            return super()._enter_again(dy, visit)

    @contextmanager
    def _told(self, name: str, *, together: bool) -> Iterator[None]:
        """Tell the others of what is refused at the door: they wait for this worker's part."""
        try:
            yield
        except (TypeError, ValueError) as refused:
            if together:
                _exchange(self.comm, name, partial(_raise, refused))
            raise

    @silent
    def _gradients(self, dy: Array, cache: Any) -> tuple[Array, Array, Array]:
        if not isinstance(cache, fast.BatchCache) or cache.shared is None:
            return super()._gradients(dy, cache)
        x, gamma, statistics, backend = cache.x, cache.gamma, cache.statistics, cache.backend
        moments = cache.shared

        def own_part() -> tuple[tuple[Array, ...], Array]:
            check.gradient(dy, x, cache.shape)
            flat = fast.in_one_piece(dy.astype(x.dtype, copy=False))
            return backend.parameter_gradients(flat, x, statistics) if x.size else (np.zeros(2 * x.shape[1]),), flat

        sums, flat = _exchange(self.comm, "backward", own_part)
        xp = namespace(x)
        mean_dy_x_hat, mean_dy = xp.asarray(np.sum(sums, axis=0).reshape(2, -1) / moments.count)
        dgamma, dbeta = xp.asarray(sums[self.comm.rank].reshape(2, -1)).astype(gamma.dtype)
        dx = flat
        if x.size:
            try:
                check_forward(x, gamma, statistics, *scale_and_offset(gamma, 0.0, statistics))
                check_backward(flat, x, statistics, mean_dy_x_hat, mean_dy)
                dx = backend.input_gradient(flat, x, gamma, statistics, mean_dy, mean_dy_x_hat)
            except OutOfRange:
                inv_std = statistics.inv_std
                mean, inv_std, scale, mean_dy, mean_dy_x_hat = (
                    v.reshape(1, -1, 1) for v in (moments.mean, inv_std, gamma * inv_std, mean_dy, mean_dy_x_hat)
                )
                x_hat, _ = standardize_with(xp, x, mean, inv_std)
                dx = scale * (flat - mean_dy - x_hat * mean_dy_x_hat)
        return dx.reshape(cache.shape).astype(cache.dtype, copy=False), dgamma, dbeta

    @silent
    def _normalize_batch(self, x: Array) -> tuple[Array, Any]:
        if not self._learns:
            return super()._normalize_batch(x)

        def own_part() -> tuple[tuple[Array, ...], tuple[Backend, Array]]:
            check.input(x, least=0)
            check.parameters(x, gamma=self.gamma, beta=self.beta)
            backend = choose(x)
            if backend is None:
                raise TypeError(
                    f"x is a {type(x).__name__} to be computed by the reference; expected a NumPy or CuPy array, "
                    'not inside use_backend("reference")'
                )
            flat = fast.in_one_piece(x)
            if not x.size:
                return (np.zeros(1 + 3 * x.shape[1]),), (backend, flat)
            center, lost, m2 = backend.moments(flat)
            unsuited = x[:0]
            if bool((m2 == np.inf).any()) and bool(np.isfinite(x).all()):
                unsuited = abs(x).max(keepdims=True)
            elif self.eps == 0:
                largest = abs(flat).max(axis=(0, 2))
                unsuited = largest[(largest > 0) & (largest < LIMITS[64].least)]
            if unsuited.size:
                raise ValueError(
                    f"x holds {float(unsuited.max()):g}; expected numbers whose squares are float64: they travel"
                )
            return (np.asarray(x.size // x.shape[1]), center, lost, m2), (backend, flat)

        rows, (backend, flat) = _exchange(self.comm, "forward", own_part)
        count = int(rows[:, 0].sum())
        if count < 2:
            raise ValueError(
                f"x has shape {x.shape}: {'one value' if count else 'no value'} per channel over all workers, so every "
                "output would be beta; expected at least 2 values per channel"
            )
        base, moments = _merged(rows[rows[:, 0] > 0])
        xp = namespace(flat)
        base, rest, m2 = (xp.asarray(values) for values in (base, moments.mean, moments.m2))
        center = (base + rest).astype(flat.dtype)
        statistics = Statistics(center, (base - center) + rest, m2, 1 / xp.sqrt(m2 / moments.count + self.eps))
        shared = Moments(moments.count, base + rest, m2)
        try:
            y = backend.normalize_if_held(flat, self.gamma, self.beta, statistics) if x.size else flat
        except OutOfRange:
            y, _ = normalize_with(x, self.gamma, self.beta, shared.mean, shared.var(), self.eps)
        cache = fast.BatchCache(flat, self.gamma, statistics, backend, x.shape, x.dtype, shared)
        return y.reshape(x.shape).astype(x.dtype, copy=not x.size), cache


_Kept = TypeVar("_Kept")
_Rows: TypeAlias = np.ndarray[Any, np.dtype[np.float64]]


def _exchange(comm: Any, name: str, own_part: Callable[[], tuple[tuple[Array, ...], _Kept]]) -> tuple[_Rows, _Kept]:
    """Do one's own part and tell all workers its numbers: `(workers, numbers)`, and what else the part came to.

    Every worker takes part whatever happens to it: one that raised at once would leave the others waiting for it. Its
    message is None then. Messages are Python objects, because MPI ends the program if arrays are not of equal length.
    """
    message: _Rows | None = None
    error: Exception | None = None
    try:
        numbers, kept = own_part()
        message = np.concatenate([np.ravel(to_numpy(part)).astype(np.float64) for part in numbers])
    except Exception as raised:
        error = raised
    messages: list[_Rows | None] = comm.allgather(message)
    if error is not None:
        raise error
    failed = [rank for rank, numbers in enumerate(messages) if numbers is None]
    if failed:
        raise RuntimeError(
            f"{name} was refused on rank {', '.join(map(str, failed))} of {comm.size}, where the complaint is; "
            "expected input that every worker can take"
        )
    sizes = [len(numbers) for numbers in messages if numbers is not None]
    if len(set(sizes)) > 1:
        raise ValueError(f"{name} met messages of {sizes} numbers, by rank; expected layers of one number of channels")
    return np.array(messages), kept


def _merged(rows: _Rows) -> tuple[_Rows, Moments]:
    """The moments of all rows together, less a base near their mean, and that base.

    A mean of 1e8 takes float64 down to 1e-8. So a worker's mean comes as the two parts that its backend made, and what
    is merged are the small differences from a base common to all.
    """
    counts = rows[:, 0].astype(int)
    centers, losts, m2s = np.moveaxis(rows[:, 1:].reshape(len(rows), 3, -1), 1, 0)
    base = centers.mean(axis=0)
    parts = zip(counts.tolist(), (centers - base) + losts, m2s, strict=True)
    merged = merge_pairwise(Moments(*part) for part in parts)
    assert merged is not None  # there is always one worker
    return base, merged


def _raise(error: Exception) -> Any:
    raise error


def _world() -> Any:
    try:
        from mpi4py import MPI
    except ImportError as error:
        raise ImportError("SyncBatchNorm needs the package mpi4py: pip install 'bn-lib[mpi]'") from error
    return MPI.COMM_WORLD
