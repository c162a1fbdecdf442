"""The normalizers as layers: parameters, running statistics, training and inference modes.

The mathematics is in `normalizers`; a layer decides *which* statistics are used and keeps them.
"""

import math
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import pairwise
from typing import Any, NamedTuple, Self

import numpy as np

from bn_lib import _checks as check
from bn_lib import normalizers
from bn_lib._arrays import Array, Namespace, namespace, silent
from bn_lib.convention import Convention
from bn_lib.layer import Layer, Setting, put_back
from bn_lib.moments import Moments
from bn_lib.normalizers import Cache, batch_axes, normalize_with


def _check_momentum(value: Any, name: str) -> float | None:
    return None if value is None else check.number(value, name, low=0.0, high=1.0)


def check_channel_axis(value: Any, name: str) -> int:
    """Return `value` as an int; raise if it is none, or 0."""
    axis = check.integer(value, name)
    if axis == 0:
        raise ValueError(f"{name} is 0; expected another: axis 0 is the mini-batch")
    return axis


class _Visit(NamedTuple):
    """A forward pass, as a normalizer remembers it.

    Attributes:
        cache: what the gradient needs, of x as `_Normalizer._inside` has it.
        shape: of x as the caller gave it.
        valid: which of its positions are valid, `(positions,)`; None where there was no mask.
    """

    cache: Any
    shape: tuple[int, ...]
    valid: Array | None


class _Normalizer(Layer):
    """Base of all normalizers: eps, a gamma and mostly a beta of one value per channel, the door, and the way back.

    A subclass says in `parameter_names` whether there is a beta. In its `forward`, x comes in by `_enter` and y goes
    out by `_leave`; in between, the channels are axis 1, and what a mask hides is not there.
    """

    parameter_names: tuple[str, ...] = ("gamma", "beta")
    eps = Setting(check.eps)
    channel_axis = Setting(check_channel_axis)

    def __init__(
        self,
        num_features: int,
        *,
        eps: float = 1e-5,
        affine: bool = True,
        channel_axis: int = 1,
        dtype: Any = None,
        xp: Namespace = np,
    ) -> None:
        super().__init__()
        channels, dtype = check.positive_int(num_features, "num_features"), check.dtype(dtype, xp)
        self.eps, self.channel_axis = eps, channel_axis
        self.gamma = xp.ones((channels,), dtype=dtype)
        if "beta" in self.parameter_names:
            self.beta = xp.zeros((channels,), dtype=dtype)
        if not check.boolean(affine, "affine"):
            self.parameter_names = ()  # gamma and beta are constants then

    @property
    def num_features(self) -> int:
        """C, the number of channels."""
        return int(self.gamma.shape[0])

    @property
    def affine(self) -> bool:
        """Whether gamma and beta are parameters."""
        return bool(self.parameter_names)

    def backward(self, dy: Array) -> Array:
        """Gradient with respect to the last x; `grads["gamma"]` and `grads["beta"]` are set where they are parameters.

        After a forward pass of `BatchNorm` in inference mode the statistics are constants, so only the direct path
        remains: dx = gamma * dy / sqrt(running_var + eps).
        """
        visit = self._last()
        dx, *gradients = self._gradients(self._enter_again(dy, visit), visit.cache)
        self.grads.update(zip(self.parameter_names, gradients, strict=False))
        self._went_back()
        return self._outside(dx, visit.shape, visit.valid)

    def _gradients(self, dy: Array, cache: Any) -> tuple[Array, Array, Array]:
        """dx, dgamma and dbeta."""
        return normalizers.batch_norm_backward(dy, cache)

    def _enter(self, x: Array, mask: Array | None = None) -> tuple[Array, Array | None]:
        """x as `_inside` has it, and which of its positions are valid."""
        if self.channel_axis == 1 and mask is None:
            return x, None
        check.floats(x)
        axis = self.channel_axis
        if not -x.ndim < axis < x.ndim or x.shape[axis] != self.num_features:
            raise ValueError(f"x has shape {x.shape}; expected {self.num_features} channels along axis {axis}")
        valid = None if mask is None else check.mask(mask, x, axis)
        return self._inside(x, valid), valid

    def _leave(self, y: Array, cache: Any, x: Array, valid: Array | None) -> Array:
        """Remember the pass; return y in the layout of x."""
        self._keep(_Visit(cache, x.shape, valid))
        return self._outside(y, x.shape, valid)

    def _enter_again(self, dy: Array, visit: _Visit) -> Array:
        """dy as `_inside` has it."""
        if self.channel_axis == 1 and visit.valid is None:
            return dy
        check.gradient(dy, self.gamma, visit.shape)
        return self._inside(dy, visit.valid)

    def _inside(self, x: Array, valid: Array | None) -> Array:
        """x with its channels on axis 1, a view; with a mask, only its M valid positions, as rows: `(M, C)`."""
        xp = namespace(x)
        if valid is None:
            return xp.moveaxis(x, self.channel_axis, 1)
        return xp.reshape(xp.moveaxis(x, self.channel_axis, -1), (-1, self.num_features))[valid]

    def _outside(self, y: Array, shape: tuple[int, ...], valid: Array | None) -> Array:
        """The reverse, for y and dx; where x was not valid, they are 0."""
        if valid is None:
            return y if self.channel_axis == 1 else namespace(y).moveaxis(y, 1, self.channel_axis)
        xp, (*positions,) = namespace(y), shape
        channels = positions.pop(self.channel_axis)
        everywhere = xp.zeros((valid.shape[0], channels), dtype=y.dtype)
        everywhere[valid] = y
        return xp.moveaxis(xp.reshape(everywhere, (*positions, channels)), -1, self.channel_axis)


class BatchNorm(_Normalizer):
    """Batch Normalization as a layer: this batch's statistics in training, running ones in inference.

    Training:   y = gamma * (x - mu_B) / sqrt(sigma2_B + eps) + beta, and the running statistics move towards the
                batch's: new = (1 - w) * old + w * batch with w = momentum
    Inference:  y = gamma * (x - running_mean) / sqrt(running_var + eps) + beta, and nothing moves

    Args:
        num_features: C, the number of channels.
        eps: added to the variance, inside the root; >= 0.
        momentum: w, the weight of the new batch (PyTorch's meaning; `in_convention` takes the others'). None gives
            the plain average over all batches since the statistics were last reset.
        unbiased_running_var: whether running_var averages the unbiased variance (PyTorch, the paper) or the biased
            one (Keras, Flax). The variance that normalizes a training batch is the biased one in any case.
        affine: whether gamma and beta are parameters. False leaves them at 1 and 0, out of `grads` and the state dict.
        track_running_stats: whether there are running statistics. Without, the batch's are used in inference too, and
            `running_mean`, `running_var` and `num_batches_tracked` are None.
        channel_axis: where the channels are: 1 for `(N, C, *spatial)`, -1 for `(N, T, C)` or `(N, H, W, C)`.
        dtype: of gamma and beta; float64 by default.
        xp: the namespace that the parameters live in: numpy, or cupy.

    Attributes:
        gamma, beta: scale and shift, `(C,)`; start at 1 and 0.
        running_mean, running_var: `(C,)`, float64; start at 0 and 1.
        num_batches_tracked: how many batches went into them, an integer array of shape `()`.

    Sequences of unlike length are padded to one, and a mask says what is no padding: `layer(x, mask=mask)`. Statistics,
    of this batch and running, are then those of the valid positions only. At the others y is 0, in training and in
    inference, and so is dx, whatever dy holds there. In a network, which hands on x alone, the mask comes from
    `with given(model, mask=mask):` around the passes.

    After `freeze()` the layer is in inference whatever its mode, and gamma and beta are not trained.

    A NaN or an infinity in a training batch makes the running statistics of its channel NaN, and no later batch mends
    them, as in PyTorch. Inference then refuses; `reset_running_statistics()` and some training batches bring them back.

    A layer keeps what `backward` needs of the last `forward`, so two threads must not use one layer at once: give each
    a `copy.deepcopy`.

    Example:
        >>> layer = BatchNorm(2, momentum=0.5)
        >>> y = layer(np.array([[1.0, 10.0], [3.0, 50.0]]))  # training: the statistics of these two rows
        >>> layer.running_mean
        array([ 1., 15.])
        >>> layer.eval()(np.array([[1.0, 15.0]]))  # inference: the running ones, so one row will do
        array([[0., 0.]])

    Raises:
        TypeError, ValueError: for an argument out of range; `forward` as `batch_norm` does. A call that raises leaves
            the layer as it was.

    Source: Ioffe and Szegedy (2015), Algorithms 1 and 2; running averages as in torch.nn.BatchNorm2d.
    """

    buffer_names: tuple[str, ...] = ("running_mean", "running_var", "num_batches_tracked")
    running_mean: Array
    running_var: Array
    num_batches_tracked: Array
    momentum = Setting(_check_momentum)
    unbiased_running_var = Setting(check.boolean)
    given_names: tuple[str, ...] = ("mask",)
    mask: Array | None = None
    _least_valid = 2

    def __init__(
        self,
        num_features: int,
        *,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        unbiased_running_var: bool = True,
        affine: bool = True,
        track_running_stats: bool = True,
        channel_axis: int = 1,
        dtype: Any = None,
        xp: Namespace = np,
    ) -> None:
        super().__init__(num_features, eps=eps, affine=affine, channel_axis=channel_axis, dtype=dtype, xp=xp)
        self.momentum = momentum
        self.unbiased_running_var = unbiased_running_var
        if not check.boolean(track_running_stats, "track_running_stats"):
            self.buffer_names = ()
        self.reset_running_statistics()

    @property
    def track_running_stats(self) -> bool:
        """Whether there are running statistics."""
        return bool(self.buffer_names)

    @property
    def _learns(self) -> bool:
        """Whether a pass is one of training."""
        return self.training and not self.frozen

    @property
    def of_batch(self) -> bool:
        """Whether a pass standardizes with the statistics of its batch, and not with constants."""
        return self._learns or not self.track_running_stats

    @classmethod
    def in_convention(cls, convention: str | Convention, num_features: int, **options: Any) -> Self:
        """A layer that follows another framework: its defaults, its meaning of momentum, its running variance.

        Args:
            convention: "pytorch", "keras", "flax" or "paper", or a `Convention`.
            num_features: C, the number of channels.
            options: as the constructor's; `momentum` is in the convention's own meaning.

        Example:
            >>> BatchNorm.in_convention("Keras", 3, momentum=0.9).momentum  # the new batch's weight
            0.1
        """
        convention = Convention.named(convention)
        momentum = convention.batch_weight(options.pop("momentum", convention.default_momentum))
        defaults = {"eps": convention.default_eps, "unbiased_running_var": convention.unbiased}
        return cls(num_features, momentum=momentum, **(defaults | options))

    def reset_running_statistics(self) -> None:
        """Forget all batches: mean 0, variance 1, no updates."""
        if not self.track_running_stats:
            self.running_mean = self.running_var = self.num_batches_tracked = None
            return
        xp = namespace(self.gamma)  # not kept: a layer that holds a module can be neither copied nor pickled
        self.running_mean = xp.zeros((self.num_features,), dtype=xp.float64)
        self.running_var = xp.ones((self.num_features,), dtype=xp.float64)
        self.num_batches_tracked = xp.asarray(0, dtype=xp.int64)

    def forward(self, x: Array, mask: Array | None = None) -> Array:
        """Normalize `x`, `(N, num_features)` or `(N, num_features, *spatial)`; in training also update the statistics.

        Args:
            x: the input, its channels on `channel_axis`.
            mask: which positions are valid (True) and which are padding: booleans of the shape of x without its
                channels, `(N, T)` for a sequence, or of one that broadcasts to it. None for that of `given`, if any.

        Raises:
            TypeError, ValueError: as `batch_norm` in training and `batch_norm_inference` in inference; also for a mask
                that is of another shape, not boolean, or in training leaves fewer than two positions.
        """
        inside, valid = self._enter(x, self.mask if mask is None else mask)
        if self.of_batch:
            if valid is not None and inside.shape[0] < self._least_valid:
                raise ValueError(
                    f"mask leaves {inside.shape[0]} positions of x, of shape {x.shape}; expected at least 2 to take "
                    "statistics of"
                )
            y, cache = self._normalize_batch(inside)
            if self._learns and self.track_running_stats:
                for name in ("running_mean", "running_var"):  # a sum would take other shapes too
                    check.parameter(inside, getattr(self, name), name)
                for moments in self._moments(cache):
                    self._update_running(moments)
        else:
            check.input(inside, least=0)
            self._check_stored(inside)
            y, cache = normalize_with(inside, self.gamma, self.beta, self.running_mean, self.running_var, self.eps)
        return self._leave(y, cache, x, valid)

    def check_meaning(self, name: str, value: Array, label: str) -> None:
        """Refuse statistics that no batches can have: a negative variance, a number that is not finite, a count < 0."""
        if name == "running_var":
            check.variance(value, label)
        if name in ("running_mean", "running_var") and not bool(namespace(value).all(namespace(value).isfinite(value))):
            raise ValueError(f"{label} holds a NaN or an infinity; expected finite numbers")
        if name == "num_batches_tracked" and int(value) < 0:
            raise ValueError(f"{label} is {int(value)}; expected a count >= 0")

    def _check_stored(self, x: Array) -> None:
        """Raise unless parameters and running statistics fit x, and are of some data."""
        for name in ("gamma", "beta", "running_mean", "running_var"):
            check.parameter(x, getattr(self, name), name)
        check.variance(self.running_var, "running_var", " (reset_running_statistics() forgets a batch with NaN)")

    def _normalize_batch(self, x: Array) -> tuple[Array, Any]:
        """y and a cache with the `moments` that normalized it: what a training pass does, but for what it remembers."""
        return normalizers.batch_norm(x, self.gamma, self.beta, eps=self.eps)

    def _moments(self, cache: Any) -> Iterable[Moments]:
        """What goes into the running statistics after a training pass, one after the other."""
        return (cache.moments,)

    def batch_moments(self) -> Moments:
        """Those that the last pass standardized with, if it was with the batch's."""
        moments: Moments = self._last().cache.moments
        return moments

    @silent
    def _update_running(self, moments: Moments) -> None:
        xp = namespace(self.running_mean)
        batches = self.num_batches_tracked + 1
        weight = 1 / float(batches) if self.momentum is None else self.momentum
        batch_mean = xp.reshape(moments.mean, (-1,))
        batch_var = xp.reshape(moments.var(ddof=int(self.unbiased_running_var)), (-1,))
        self.running_mean = (1 - weight) * self.running_mean + weight * batch_mean
        self.running_var = (1 - weight) * self.running_var + weight * batch_var
        self.num_batches_tracked = xp.asarray(batches)


class GhostBatchNorm(BatchNorm):
    """Ghost Batch Normalization: each `ghost_size` rows of a mini-batch are normalized for themselves.

        y = gamma * (x - mu_G) / sqrt(sigma2_G + eps) + beta,  with mu_G and sigma2_G over the rows of a ghost batch

    So a large mini-batch has the noisy statistics of small ones, and its gradient is still one of many rows. In
    inference the layer is `BatchNorm`.

    Ghost batches are consecutive rows. Rows left over join the last one, which then has up to 2 * ghost_size - 1: a
    smaller one of their own would be noisier than was asked for. A mini-batch of fewer rows is one ghost batch. Running
    statistics move once for each ghost batch, in their order, and `num_batches_tracked` counts ghost batches, so that
    `momentum` means what it means for `BatchNorm` on batches of that size.

    A mask is refused: ghost batches would hold unlike numbers of values.

    Args:
        num_features: C, the number of channels.
        ghost_size: rows of a ghost batch; >= 1, and at least 2 values per channel in each.
        options: as those of `BatchNorm`.

    Example:
        >>> layer = GhostBatchNorm(1, 2, eps=0.0)
        >>> layer(np.array([[1.0], [3.0], [10.0], [50.0]]))
        array([[-1.],
               [ 1.],
               [-1.],
               [ 1.]])

    Raises:
        TypeError, ValueError: as `BatchNorm`.

    Source: Hoffer, Hubara and Soudry (2017), Algorithm 1.
    """

    ghost_size = Setting(check.positive_int)

    def __init__(self, num_features: int, ghost_size: int, **options: Any) -> None:
        super().__init__(num_features, **options)
        self.ghost_size = ghost_size

    def _enter(self, x: Array, mask: Array | None = None) -> tuple[Array, Array | None]:
        if mask is not None:
            raise ValueError("mask is given; expected none: ghost batches would hold unlike numbers of values")
        return super()._enter(x)

    def _gradients(self, dy: Array, cache: Any) -> tuple[Array, Array, Array]:
        """Each ghost batch has its own means, and gamma and beta the sum of the gradients."""
        if not isinstance(cache, _Ghosts):
            return super()._gradients(dy, cache)
        check.gradient(dy, self.gamma, cache.shape)
        parts = zip(_cut(dy, cache.bounds), cache.parts, strict=True)
        dx, dgamma, dbeta = zip(*(normalizers.batch_norm_backward(*part) for part in parts), strict=True)
        return namespace(dy).concat(dx), sum(dgamma[1:], dgamma[0]), sum(dbeta[1:], dbeta[0])

    def _normalize_batch(self, x: Array) -> tuple[Array, Any]:
        check.input(x)
        check.parameters(x, gamma=self.gamma, beta=self.beta)
        rows, size = x.shape[0], self.ghost_size
        bounds = [*range(0, max(1, rows // size) * size, size), rows]
        check.enough(x, batch_axes(x.ndim), "channel of a ghost batch", (bounds[1], *x.shape[1:]))
        found = [normalizers.batch_norm(part, self.gamma, self.beta, eps=self.eps) for part in _cut(x, bounds)]
        ys, parts = zip(*found, strict=True)
        return namespace(x).concat(ys), _Ghosts(parts, bounds, tuple(x.shape))

    def _moments(self, cache: Any) -> Iterable[Moments]:
        return (part.moments for part in cache.parts)


class _Ghosts(NamedTuple):
    """What the backward pass of a `GhostBatchNorm` needs: the caches of its parts, where they begin, the shape of x."""

    parts: tuple[Cache, ...]
    bounds: list[int]
    shape: tuple[int, ...]


def _cut(x: Array, bounds: list[int]) -> list[Array]:
    return [x[start:stop, ...] for start, stop in pairwise(bounds)]


class BatchRenorm(BatchNorm):
    """Batch Renormalization: a training batch is brought near what inference would make of it.

        y = gamma * (r * (x - mu_B) / sigma_B + d) + beta
        r = sigma_B / sigma,        limited to [1 / r_max, r_max]
        d = (mu_B - mu) / sigma,    limited to [-d_max, d_max]

    with sigma_B = sqrt(sigma2_B + eps), mu = running_mean and sigma = sqrt(running_var + eps). Where no limit is
    reached, y = gamma * (x - mu) / sigma + beta: training and inference are the same. With r_max = 1 and d_max = 0 it
    is Batch Normalization to the last bit. In inference the layer is `BatchNorm`.

    In `backward` r and d are constants: the gradient goes through mu_B and sigma_B as in Batch Normalization, with
    gamma * r for gamma. It is therefore not the gradient of the loss as a function of x, in which r and d move too.

    r and d come from the running statistics as they were before the batch, so these must be near the data before the
    limits are wide: the paper trains with r_max = 1 and d_max = 0 first and widens both over some thousand steps. Both
    may be set between steps.

    Args:
        num_features: C, the number of channels.
        r_max: how far the scale is corrected; >= 1.
        d_max: how far the mean is corrected, in running standard deviations; >= 0.
        options: as those of `BatchNorm`.

    Example:
        >>> layer = BatchRenorm(1, r_max=3.0, d_max=5.0, eps=0.0)  # the running statistics start at 0 and 1
        >>> layer(np.array([[1.0], [3.0]]))  # mu_B = 2, sigma_B = 1, so r = 1 and d = 2
        array([[1.],
               [3.]])

    Raises:
        TypeError, ValueError: as `BatchNorm`; in training also if running_var is negative or not finite.

    Source: Ioffe (2017), Algorithm 1. There a running standard deviation is kept; here it is the root of running_var,
    so that the state is `BatchNorm`'s.
    """

    r_max = Setting(partial(check.number, low=1.0))
    d_max = Setting(partial(check.number, low=0.0))

    def __init__(self, num_features: int, *, r_max: float = 3.0, d_max: float = 5.0, **options: Any) -> None:
        super().__init__(num_features, **options)
        if not self.track_running_stats:
            raise ValueError("track_running_stats is False; expected True: r and d come from the running statistics")
        self.r_max, self.d_max = r_max, d_max

    @silent
    def _gradients(self, dy: Array, cache: Any) -> tuple[Array, Array, Array]:
        """Those of BN with gamma * r for gamma; dgamma = sum(dy * (r * x_hat + d))."""
        if not isinstance(cache, _Renormed):
            return super()._gradients(dy, cache)
        dx, dscale, dbeta = normalizers.batch_norm_backward(dy, cache.plain)
        xp, dtype = namespace(dy), self.gamma.dtype
        dgamma = cache.r * dscale + cache.d * dbeta
        return dx, xp.astype(dgamma, dtype, copy=False), xp.astype(dbeta, dtype, copy=False)

    @silent
    def _normalize_batch(self, x: Array) -> tuple[Array, Any]:
        check.input(x)
        self._check_stored(x)
        xp, moments = namespace(x), Moments.of(x, batch_axes(x.ndim))
        sigma = xp.sqrt(self.running_var + self.eps)
        r = xp.clip(xp.sqrt(moments.var() + self.eps) / sigma, 1 / self.r_max, self.r_max)
        d = xp.clip((moments.mean - self.running_mean) / sigma, -self.d_max, self.d_max)
        y, cache = normalizers.batch_norm(x, self.gamma * r, self.beta + self.gamma * d, eps=self.eps)
        return y, _Renormed(cache, r, d, cache.moments)


class _Renormed(NamedTuple):
    """What the backward pass of a `BatchRenorm` needs: the cache of a `batch_norm`, r, d, and the moments."""

    plain: Any
    r: Array
    d: Array
    moments: Moments | None


class _SampleNorm(_Normalizer):
    """Base of those that look at one sample at a time, so training and inference are the same."""

    def _normalize(self, x: Array) -> tuple[Array, Cache]:
        raise NotImplementedError

    def forward(self, x: Array) -> Array:
        """Normalize `x`, `(N, num_features)` or `(N, num_features, *spatial)`."""
        inside, valid = self._enter(x)
        return self._leave(*self._normalize(inside), x, valid)


class _ShapeNorm(_SampleNorm):
    """Base of those that may standardize over the last axes alone, with a gamma of their shape."""

    def __init__(
        self,
        num_features: int | tuple[int, ...],
        *,
        eps: float = 1e-5,
        affine: bool = True,
        channel_axis: int | None = None,
        dtype: Any = None,
        xp: Namespace = np,
    ) -> None:
        options: dict[str, Any] = {"eps": eps, "affine": affine, "dtype": dtype, "xp": xp}
        self.axis: tuple[int, ...] | None = None
        self._channels_are_said = channel_axis is not None
        if not isinstance(num_features, tuple | list):
            super().__init__(num_features, channel_axis=1 if channel_axis is None else channel_axis, **options)
            return
        if channel_axis is not None:
            raise ValueError("channel_axis is given with a shape, which stands for the last axes; expected one of them")
        shape = tuple(check.positive_int(n, f"num_features[{i}]") for i, n in enumerate(num_features))
        if not shape:
            raise ValueError("num_features is empty; expected the lengths of the last axes, such as (D,)")
        super().__init__(math.prod(shape), **options)
        self.axis = tuple(range(-len(shape), 0))
        for name in ("gamma", "beta"):
            if hasattr(self, name):
                setattr(self, name, xp.reshape(getattr(self, name), shape))

    @property
    def num_features(self) -> int:
        """C, the number of channels; of a shape, how many elements it has."""
        return math.prod(self.gamma.shape)

    def forward(self, x: Array) -> Array:
        """Normalize `x`: `(N, num_features)`, `(N, num_features, *spatial)`, or `(N, ..., *shape)` for a shape."""
        return super().forward(x)

    def _normalize(self, x: Array) -> tuple[Array, Cache]:
        beta = vars(self).get("beta")
        options = {"center": "beta" in vars(self), "certain": self._channels_are_said or self.channel_axis != 1}
        return normalizers.normalize_sample(x, self.gamma, beta, self.axis, self.eps, **options)


class LayerNorm(_ShapeNorm):
    """Layer Normalization as a layer: each sample over all its channels and positions, or over its last axes.

    `LayerNorm(C)` has channels on axis 1, as all layers here. `LayerNorm((D,))` is torch.nn.LayerNorm(D): every token
    of `(N, T, D)` is standardized for itself. For `(N, C)` the two are the same. See `layer_norm`.

    Args:
        num_features: C; gamma and beta have shape `(C,)`. Or a tuple, the lengths of the last axes, which is then the
            shape of gamma and beta: `(D,)`, or `(H, W)`.
        eps: added to the variance; >= 0.
        affine: whether gamma and beta are parameters.
        channel_axis: of a number, where the channels are: 1 (also if none is given) for `(N, C, *spatial)`, -1 for
            (N, H, W, C). Their mean is over all positions too.
        dtype: of gamma and beta; float64 by default.
        xp: the namespace that the parameters live in.

    Attributes:
        axis: the axes that a tuple stands for, counted from the last; None for a number.

    `LayerNorm(D)` refuses x of shape `(N, D, D)`, which would fit both: `LayerNorm((D,))` says that it is tokens,
    `LayerNorm(D, channel_axis=1)` that it is channels.

    Example:
        >>> LayerNorm(2, eps=0.0)(np.array([[1.0, 3.0], [10.0, 50.0]]))
        array([[-1.,  1.],
               [-1.,  1.]])
        >>> LayerNorm((2,), eps=0.0)(np.array([[[1.0, 3.0], [10.0, 50.0], [0.0, 4.0]]]))  # three tokens
        array([[[-1.,  1.],
                [-1.,  1.],
                [-1.,  1.]]])
    """


class RMSNorm(_ShapeNorm):
    """Root Mean Square Normalization as a layer: each sample over its root mean square. See `rms_norm`.

    Args:
        num_features: C; gamma has shape `(C,)`, and there is no beta. Or a tuple, the lengths of the last axes, as for
            `LayerNorm`: `RMSNorm((D,))` is torch.nn.RMSNorm(D).
        eps: added to the mean square; >= 0.
        affine: whether gamma is a parameter.
        channel_axis: of a number, where the channels are, as for `LayerNorm`.
        dtype: of gamma; float64 by default.
        xp: the namespace that gamma lives in.

    Example:
        >>> RMSNorm(2, eps=0.0)(np.array([[1.0, 7.0], [10.0, 70.0]]))
        array([[0.2, 1.4],
               [0.2, 1.4]])
    """

    parameter_names = ("gamma",)


class InstanceNorm(_SampleNorm):
    """Instance Normalization as a layer: each channel of each sample over its positions. See `instance_norm`.

    Args:
        num_features: C; gamma and beta have shape `(C,)`.
        eps: added to the variance; >= 0.
        affine: whether gamma and beta are parameters.
        channel_axis: where the channels are: 1 for `(N, C, *spatial)`, -1 for `(N, H, W, C)`.
        dtype: of gamma and beta; float64 by default.
        xp: the namespace that the parameters live in.

    Example:
        >>> InstanceNorm(2, eps=0.0)(np.array([[[1.0, 3.0], [10.0, 50.0]]]))
        array([[[-1.,  1.],
                [-1.,  1.]]])
    """

    def _normalize(self, x: Array) -> tuple[Array, Cache]:
        return normalizers.instance_norm(x, self.gamma, self.beta, eps=self.eps)


class GroupNorm(_SampleNorm):
    """Group Normalization as a layer: each group of channels of each sample. See `group_norm`.

    Args:
        groups: number of groups; divides `num_features`.
        num_features: C; gamma and beta have shape `(C,)`.
        options: eps, affine, channel_axis, dtype and xp, as those of `LayerNorm`.

    Example:
        >>> GroupNorm(2, 4, eps=0.0)(np.array([[1.0, 3.0, 10.0, 50.0]]))
        array([[-1.,  1., -1.,  1.]])
    """

    def __init__(self, groups: int, num_features: int, **options: Any) -> None:
        super().__init__(num_features, **options)
        self.groups = groups

    @property
    def groups(self) -> int:
        """How many groups there are."""
        return self._groups

    @groups.setter
    def groups(self, groups: int) -> None:
        groups = check.positive_int(groups, "groups")
        if self.num_features % groups:
            raise ValueError(f"groups is {groups}; expected a divisor of the {self.num_features} channels")
        self._groups = groups

    def _normalize(self, x: Array) -> tuple[Array, Cache]:
        return normalizers.group_norm(x, self.gamma, self.beta, self.groups, eps=self.eps)


class WeightStandardized(Layer):
    """A `Dense` or `Conv2d` that computes with its standardized weight: y = layer(x) with w_hat in place of w.

    What is trained, decayed and stored is the layer's own weight, under its own name; its gradient goes through the
    standardization. The layer itself is as before between two calls. See `weight_standardization`.

    Args:
        layer: a layer with a `weight`, such as `Dense` or `Conv2d`.
        eps: added to the variance of an output's weights; >= 0.

    Attributes:
        layer: the layer.

    Example:
        >>> dense = bn_lib.Dense(2, 1, rng=np.random.default_rng(0))
        >>> dense.weight = np.array([[3.0], [7.0]])  # standardized: -1 and 1
        >>> WeightStandardized(dense, eps=0.0)(np.array([[10.0, 15.0]]))
        array([[5.]])

    Raises:
        TypeError: if `layer` is none, or has no weight.
        ValueError: in `forward`, as `weight_standardization` and as the layer.

    Source: Qiao et al. (2019).
    """

    eps = Setting(check.eps)

    def __init__(self, layer: Layer, *, eps: float = 1e-5) -> None:
        super().__init__()
        if not isinstance(layer, Layer) or "weight" not in layer.parameter_names:
            raise TypeError(f"layer is a {type(layer).__name__}; expected a layer with a weight, as Dense or Conv2d")
        self.layer: Any = layer
        self.eps = eps

    def forward(self, x: Array) -> Array:
        """Return the layer's output for `x`, computed with its standardized weight."""
        with put_back([(self.layer, "weight")]):
            self.layer.weight, cache = normalizers.weight_standardization(self.layer.weight, eps=self.eps)
            y = self.layer.forward(x)
        self._keep(cache)
        return y

    def backward(self, dy: Array) -> Array:
        """Return the gradient with respect to the last x; `layer.grads["weight"]` is that of the layer's own weight."""
        cache = self._last()
        dx = self.layer.backward(dy)
        self._go_through(cache)
        return dx

    def fill_grads(self, dy: Array) -> None:
        """Set the layer's `grads`, without computing dx."""
        cache = self._last()
        self.layer.fill_grads(dy)
        self._go_through(cache)

    def _go_through(self, cache: Cache) -> None:
        gradients = self.layer.grads
        gradients["weight"] = normalizers.weight_standardization_backward(gradients["weight"], cache)
        self._went_back()

    def _inner(self) -> tuple[Layer, ...]:
        return (self.layer,)

    def named_state(self) -> Iterator[tuple[str, Layer, str]]:
        """What the layer stores, under the same names."""
        yield from self.layer.named_state()
