"""Statistics of a whole data set, one batch at a time, on this machine or on a cluster: `Moments.merge` as a tree.

Nothing here computes statistics in a new way: the backends' first loop gives those of a batch, `Moments.merge` joins
them. What lives here is the order of merging and the traffic: only counts, means and sums of squares travel, a few
numbers per channel for each block of data. Dask moves them; it is imported when an array of its kind arrives.
"""

import operator
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from functools import reduce
from itertools import count
from typing import Any

import numpy as np

from bn_lib import _checks as check
from bn_lib import fast
from bn_lib._arrays import Array, Axes, as_axes, count_along, is_array, namespace, silent, statistics_dtype
from bn_lib._progress import progress_bar
from bn_lib.backends import choose
from bn_lib.batchnorm import BatchNorm
from bn_lib.layer import Layer, check_model, distinct_layers, method_replaced, only_looked_at
from bn_lib.moments import Moments
from bn_lib.network import unwatched
from bn_lib.normalizers import batch_axes


def population_moments(
    batches: Iterable[Array], axis: Axes | None = None, *, progress: bool = True, scheduler: Any = None
) -> Moments:
    """Moments of a data set that may be larger than memory: those of its batches, merged.

        Moments.of(batch, axis) for each batch, then Moments.merge, two by two

    The result is that of all the data at once, to rounding. Batches are merged as a binary tree, so rounding grows with
    the logarithm of their number. From an iterable one batch is in memory at a time, and it is read once. The blocks of
    a Dask array are reduced where they are, by the workers of a cluster, and only their moments travel.

    A NaN in a channel makes that channel's mean and variance NaN, as in `numpy.mean`; the others are not touched.

    Args:
        batches: an iterable of arrays (a list, a generator, a loader), `(N, C)` or `(N, C, *spatial)` where `axis` is
            None; N and the positions may differ from batch to batch. Or a Dask array, in blocks along any axes.
        axis: the axis, or axes, to average over; by default all but the channels': 0 for (N, C), (0, 2, 3) for images.
        progress: show a progress bar (if tqdm is installed), counting batches or blocks.
        scheduler: which Dask cluster computes a Dask array: the address of its scheduler (`"tcp://host:8786"`), a
            cluster, or a `distributed.Client`; it goes on running afterwards, and its workers need bn_lib. By default
            the client that is active, or else a `distributed.LocalCluster` of threads for the time of the call. For
            processes with a memory limit each, pass `LocalCluster(n_workers=4, memory_limit="2GB")`.

    Returns:
        Count, mean and m2 of the whole; `.var()` is the population's variance, `.var(ddof=1)` the unbiased estimate.

    Example:
        >>> batches = (np.array([[n], [n + 1.0]]) for n in range(0, 100, 2))  # 0 to 99, two at a time
        >>> found = population_moments(batches, progress=False)
        >>> found.count, found.mean, found.var()
        (100, array([49.5]), array([833.25]))

    Raises:
        TypeError: if a batch is not a floating-point array, or `batches` is one array and not several.
        ValueError: if there is no batch, a batch is empty or of the wrong rank, the channels are not those of the first
            batch (the message numbers the batch, from 0), or a scheduler is given and `batches` is not a Dask array.
        ImportError: if `batches` is a Dask array and the package distributed is not installed.

    Source: Chan, Golub and LeVeque (1979), the pairwise algorithm. Ioffe and Szegedy (2015), Algorithm 2, line 10, take
    the average of the batches' variances for inference; this is the variance of the data itself.
    """
    if type(batches).__module__.partition(".")[0] == "dask":
        return _of_dask_array(batches, axis, progress, scheduler)
    if scheduler is not None:
        raise ValueError(
            f"scheduler is given but batches is a {type(batches).__name__}, which is read here; expected a Dask array "
            "(dask.array.from_array, dask.array.from_delayed)"
        )
    _check_batches(batches, "arrays or a Dask array (for one array: Moments.of)")
    with progress_bar(operator.length_hint(batches, 0) or None, progress, "batch") as bar:
        merged = merge_pairwise(_of_each(batches, axis, bar))
    if merged is None:
        raise ValueError("batches is empty; expected at least one array")
    return merged


def recompute_statistics(model: Layer, batches: Iterable[Array]) -> None:
    """Replace the running statistics of every `BatchNorm` in `model` by those of a data set ("precise BN").

        running_mean = mean of all values,  running_var = variance of all values

    The model does not change while the batches pass through it, so unlike running averages these statistics are all of
    one and the same network, and every batch counts. In the pass each BN layer normalizes with the batch's own
    statistics, as in training, so the layers behind it see what they see in training; the moments of its input are
    merged over all batches (`Moments.merge`). For the first BN layer the result does not depend on how the data is cut
    into batches; for those behind it a little, through the statistics of the layers before. A frozen BN layer keeps its
    statistics, and normalizes with them. All other layers are in inference mode: what `Dropout` drops in training would
    add a variance that inference does not have.

    The variance is that of all values at once, divided by their number, whatever `unbiased_running_var` is: with a
    single batch, inference then gives what training on this batch gave. `num_batches_tracked` becomes the number of
    batches. Modes, parameters, gradients and last passes stay, and watchers are not told.

    Args:
        model: a network with at least one `BatchNorm`, or one of its relatives with running statistics.
        batches: an iterable of inputs of `model`, each of at least two rows. It is read once. Larger batches are closer
            to inference; of unequal ones each value counts the same.

    Example:
        >>> layer = bn_lib.BatchNorm(1)
        >>> bn_lib.recompute_statistics(layer, [np.array([[1.0], [2.0]]), np.array([[6.0], [7.0]])])
        >>> layer.running_mean, layer.running_var
        (array([4.]), array([6.5]))

    Raises:
        TypeError: if `model` is not a layer, or `batches` is one array and not several.
        ValueError: if there is no BN layer or no batch, or a layer's statistics are not finite; or as the model does.
            Nothing has changed then.

    Source: Wu and Johnson (2021), section 3, who weigh every batch the same: mean(mu_B) and
    mean(mu_B**2 + sigma_B**2) - mean(mu_B)**2. For batches of equal size that is the same.
    """
    norms = [
        layer
        for layer in distinct_layers(check_model(model, "model"))
        if isinstance(layer, BatchNorm) and layer.track_running_stats and not layer.frozen
    ]
    if not norms:
        raise ValueError(
            f"model is a {type(model).__name__} without a BatchNorm whose running statistics may move; expected at "
            "least one"
        )
    _check_batches(batches, "arrays")
    seen: dict[int, list[Moments]] = {id(norm): [] for norm in norms}

    def collect(norm: BatchNorm, moments: Moments) -> None:
        seen[id(norm)].append(moments)

    with only_looked_at(model), unwatched(model), method_replaced(norms, "_update_running", collect):
        model.eval()
        for norm in norms:
            norm.training = True
        passes = 0
        for x in batches:
            model.forward(x)
            passes += 1
    if not passes:
        raise ValueError("batches is empty; expected at least one array")
    found = []
    for norm in norms:
        merged = merge_pairwise(seen[id(norm)])
        if merged is None:  # a layer that the model does not use
            continue
        xp = namespace(norm.running_mean)
        mean, var = (xp.astype(xp.reshape(v, (-1,)), xp.float64) for v in (merged.mean, merged.var()))
        for name, value in (("running_mean", mean), ("running_var", var)):
            norm.check_meaning(name, value, f"the new {name} of a {type(norm).__name__}")
        found.append((norm, mean, var, xp.asarray(len(seen[id(norm)]), dtype=xp.int64)))
    for norm, mean, var, batches_seen in found:
        norm.running_mean, norm.running_var, norm.num_batches_tracked = mean, var, batches_seen


def _check_batches(batches: Any, expected: str) -> None:
    if is_array(batches):
        raise TypeError(f"batches is one array, a {type(batches).__name__}; expected an iterable of {expected}")
    if not isinstance(batches, Iterable):
        raise TypeError(f"batches is a {type(batches).__name__}; expected an iterable of {expected}")


def merge_pairwise(parts: Iterable[Moments]) -> Moments | None:
    """All of `parts` merged as a balanced binary tree, in their order; None if there are none.

    Those that wait are trees of 1, 2, 4, ... parts, at most one of each size, like the ones in a binary number.
    """
    waiting: list[Moments] = []
    for number, part in enumerate(parts, start=1):
        while number % 2 == 0:
            part = waiting.pop().merge(part)
            number //= 2
        waiting.append(part)
    return reduce(lambda later, earlier: earlier.merge(later), reversed(waiting)) if waiting else None


@silent
def channel_moments(x: Array) -> Moments:
    """`Moments.of(x, batch_axes(x.ndim))` for checked input, by the fastest loops there are for this kind of array."""
    axes = batch_axes(x.ndim)
    backend = choose(x)
    if backend is None:
        return Moments.of(x, axes)
    center, lost, m2 = backend.moments(fast.in_one_piece(x))
    wide = statistics_dtype(x, np)  # a dtype of CuPy is one of NumPy
    return Moments(count_along(x.shape, axes), (center + lost).astype(wide), m2.astype(wide))


def _of_each(batches: Iterable[Array], axis: Axes | None, bar: Any) -> Iterator[Moments]:
    first: Moments | None = None
    numbers = count()  # not enumerate, which holds on to a batch while the next one is made
    for batch in batches:
        name = f"batches[{next(numbers)}]"
        moments = _checked_moments(batch, axis, name)
        if first is None:
            first = moments
        check.same_kind(first.mean, moments.mean, name)
        if moments.mean.shape != first.mean.shape:
            raise ValueError(
                f"{name} has shape {batch.shape} and so means of shape {moments.mean.shape}; "
                f"expected {first.mean.shape}, as in batches[0]"
            )
        del batch
        bar.update()
        yield moments


def _checked_moments(x: Array, axis: Axes | None, name: str) -> Moments:
    if axis is None:
        check.input(x, name)
        return channel_moments(x)
    check.floats(x, name)
    if 0 in x.shape:
        raise ValueError(f"{name} has shape {x.shape}; expected at least one element along every axis")
    axes = as_axes(axis, x.ndim)
    return channel_moments(x) if x.ndim > 1 and axes == batch_axes(x.ndim) else Moments.of(x, axes)


# Dask


def _of_dask_array(x: Any, axis: Axes | None, progress: bool, scheduler: Any) -> Moments:
    axes = _checked_axes(x, axis)
    try:
        from distributed import as_completed, futures_of
    except ImportError as error:
        raise ImportError("a Dask array needs the package distributed: pip install 'bn-lib[cluster]'") from error
    import dask.array

    one_each = {"dtype": object, "meta": np.empty((0,) * x.ndim, object)}  # arrays that hold one `Moments` per block
    with _client(scheduler) as client:
        chunks = tuple((1,) * blocks for blocks in x.numblocks)
        leaves = client.persist(x.map_blocks(_block_moments, axes, chunks=chunks, **one_each))
        tree = dask.array.reduction(leaves, chunk=_merge, aggregate=_merge, axis=axes, **one_each)
        root = client.compute(tree)
        blocks = futures_of(leaves)
        with progress_bar(len(blocks), progress, "block") as bar:
            for _ in as_completed(blocks, loop=client.loop):
                bar.update()
        merged = root.result()
    return _joined(np.asarray(merged, dtype=object), x)


def _checked_axes(x: Any, axis: Axes | None) -> tuple[int, ...]:
    import dask.array

    if not isinstance(x, dask.array.Array):
        raise TypeError(f"batches is a {type(x).__name__} of Dask; expected a Dask array")
    if x.dtype.name not in check.FLOATS:
        raise TypeError(f"batches has dtype {x.dtype}; expected one of {', '.join(check.FLOATS)} (convert with astype)")
    if axis is None and x.ndim < 2:
        raise ValueError(f"batches has shape {x.shape}; expected (N, C) or (N, C, *spatial)")
    if 0 in x.shape:
        raise ValueError(f"batches has shape {x.shape}; expected at least one element along every axis")
    return batch_axes(x.ndim) if axis is None else as_axes(axis, x.ndim)


@contextmanager
def _client(scheduler: Any) -> Iterator[Any]:
    """A client of the cluster that is meant; closed afterwards only if it was opened here."""
    from distributed import Client, LocalCluster, default_client

    with ExitStack() as opened_here:
        if scheduler is None:
            try:
                scheduler = default_client()
            except ValueError:
                # Threads: processes would import the caller's script again. No limit: it would count what the caller
                # holds in this process too, and wait for ever for that to be freed. Status pages for this machine only.
                own = "127.0.0.1:0"
                scheduler = opened_here.enter_context(
                    LocalCluster(processes=False, memory_limit=0, dashboard_address=own, worker_dashboard_address=own)
                )
        if not isinstance(scheduler, Client):
            scheduler = opened_here.enter_context(Client(scheduler, set_as_default=False))
        yield scheduler


def _block_moments(block: Array, axes: tuple[int, ...]) -> np.ndarray[Any, Any]:
    """The moments of one block; None for one with nothing in it, which selecting rows leaves behind."""
    moments = np.empty((1,) * block.ndim, object)
    moments[...] = _checked_moments(block, axes, "a block of batches") if block.size else None
    return moments


def _merge(moments: np.ndarray[Any, Any], axis: Any, keepdims: bool) -> Any:
    return _merge_two.reduce(moments, axis=axis, keepdims=keepdims)


# identity=None says that the order does not matter: without it NumPy refuses to reduce over several axes at once.
_merge_two = np.frompyfunc(
    lambda one, other: one if other is None else other if one is None else one.merge(other), 2, 1, identity=None
)


def _joined(parts: np.ndarray[Any, Any], x: Any) -> Moments:
    """One `Moments` from an array of them, one for each block along the axes that were kept."""
    first = parts.flat[0]
    if first is None:
        raise ValueError(f"batches, of shape {x.shape}, holds nothing; expected at least one element along every axis")

    def side_by_side(field: str) -> Array:
        fields = np.empty(parts.shape, object)
        for where in np.ndindex(parts.shape):
            fields[where] = getattr(parts[where], field)
        return np.block(fields.tolist())

    return Moments(first.count, side_by_side("mean"), side_by_side("m2"))
