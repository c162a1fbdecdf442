"""Every normalizer described once, so that a test is written once and runs for all of them.

(There is no `__init__.py` beside this file on purpose: it would make this folder a package named `bn_lib`.)
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import settings

import bn_lib
from bn_lib._arrays import namespace

# The same examples in every run: a red build is a defect, never luck. No deadline: the machine is shared.
steady = settings(derandomize=True, database=None, deadline=None, max_examples=40)

CLASSES = 4  # of the conditional normalizer; labels use three of them, so one class is always absent


def groups_for(channels: int) -> int:
    """As many groups as leave two channels in each."""
    return next(g for g in range(max(channels // 2, 1), 0, -1) if channels % g == 0)


def labels_for(x: Any) -> Any:
    xp = namespace(x)
    return xp.arange(x.shape[0], dtype=xp.int64) % (CLASSES - 1)


@dataclass(frozen=True)
class Normalizer:
    """One normalizer, with its extra arguments bound.

    Attributes:
        forward: (x, gamma, beta, eps) -> (y, cache).
        backward: (dy, cache) -> (dx, dgamma, dbeta).
        parameter_shape: shape of x -> shape of gamma and beta.
        per_element: whether gamma and beta have a value per element that shares a mean.
        split: shape of x -> the shape in which it is standardized.
        axes: rank of x -> the axes, in that shape, that share a mean.
        least_rank: the lowest rank of x.
        center: whether the mean is subtracted and a beta added. Without, `forward` leaves beta alone.
    """

    name: str
    forward: Callable[..., tuple[Any, Any]]
    backward: Callable[..., tuple[Any, Any, Any]]
    axes: Callable[[int], tuple[int, ...]]
    parameter_shape: Callable[[tuple[int, ...]], tuple[int, ...]] = lambda shape: (shape[1],)
    per_element: bool = False
    split: Callable[[tuple[int, ...]], tuple[int, ...]] = lambda shape: shape
    least_rank: int = 2
    center: bool = True

    def takes(self, shape: tuple[int, ...]) -> bool:
        """Whether a gamma of this shape can mean one thing only: see `layer_norm` on x of shape (N, D, D)."""
        return self.name not in ("layer", "rms") or len(shape) != 3 or not 1 < shape[1] == shape[2]

    def values_per_mean(self, shape: tuple[int, ...]) -> int:
        split = self.split(shape)
        return int(np.prod([split[a] for a in self.axes(len(shape))]))

    def deviation(self, x: np.ndarray, eps: float) -> np.ndarray:
        """sqrt(var + eps) of the values that each element of x is standardized with, in the shape of x."""
        split = x.reshape(self.split(x.shape))
        var = split.var if self.center else (split * split).mean
        std = np.sqrt(var(axis=self.axes(x.ndim), keepdims=True) + eps)
        return np.broadcast_to(std, split.shape).reshape(x.shape)

    def shared(self, x: np.ndarray, values: Callable[[tuple[int, ...]], np.ndarray]) -> np.ndarray:
        """One number per mean, `values(how many)`, spread to the shape of x."""
        split = self.split(x.shape)
        kept = tuple(1 if a in self.axes(x.ndim) else n for a, n in enumerate(split))
        return np.broadcast_to(values(kept), split).reshape(x.shape)

    def spread(self, parameter: np.ndarray, x: np.ndarray) -> np.ndarray:
        """gamma or beta as it meets x: the definition, in a line each, that `bn_lib` is held to."""
        if self.name == "conditional":
            return np.stack([parameter[k].reshape(-1, *[1] * (x.ndim - 2)) for k in labels_for(x)])
        return parameter if self.per_element else parameter.reshape(1, -1, *[1] * (x.ndim - 2))

    def shift(self, beta: np.ndarray, x: np.ndarray) -> np.ndarray:
        """What is added in the end."""
        return self.spread(beta if self.center else 0 * beta, x)


def _conditional(x: Any, gamma: Any, beta: Any, eps: float) -> tuple[Any, Any]:
    return bn_lib.conditional_batch_norm(x, labels_for(x), gamma, beta, eps=eps)


def _plain(function: Callable[..., Any], **options: Any) -> Callable[..., Any]:
    return lambda x, gamma, beta, eps: function(x, gamma, beta, eps=eps, **options)


def _group(x: Any, gamma: Any, beta: Any, eps: float) -> tuple[Any, Any]:
    return bn_lib.group_norm(x, gamma, beta, groups_for(x.shape[1]), eps=eps)


def _modulated(axes: Callable[[int], tuple[int, ...]]) -> Callable[..., Any]:
    return lambda x, gamma, beta, eps: bn_lib.modulated_norm(x, gamma, beta, axis=axes(x.ndim), eps=eps)


def _rms(x: Any, gamma: Any, beta: Any, eps: float) -> tuple[Any, Any]:
    return bn_lib.rms_norm(x, gamma, eps=eps)


def _rms_last(x: Any, gamma: Any, beta: Any, eps: float) -> tuple[Any, Any]:
    return bn_lib.rms_norm(x, gamma, axis=-1, eps=eps)


def _rms_backward(dy: Any, cache: Any) -> tuple[Any, Any, Any]:
    dx, dgamma = bn_lib.rms_norm_backward(dy, cache)
    return dx, dgamma, namespace(dgamma).zeros_like(dgamma)


def _batch_axes(rank: int) -> tuple[int, ...]:
    return (0, *range(2, rank))


def _instance_axes(rank: int) -> tuple[int, ...]:
    return tuple(range(2, rank))


def _layer_axes(rank: int) -> tuple[int, ...]:
    return tuple(range(1, rank))


NORMALIZERS = (
    Normalizer("batch", _plain(bn_lib.batch_norm), bn_lib.batch_norm_backward, _batch_axes),
    Normalizer("layer", _plain(bn_lib.layer_norm), bn_lib.layer_norm_backward, _layer_axes),
    Normalizer(
        "layer, per element",
        _plain(bn_lib.layer_norm),
        bn_lib.layer_norm_backward,
        _layer_axes,
        parameter_shape=lambda shape: shape[1:],
        per_element=True,
    ),
    Normalizer(
        "layer, last axis",
        _plain(bn_lib.layer_norm, axis=-1),
        bn_lib.layer_norm_backward,
        lambda rank: (rank - 1,),
        parameter_shape=lambda shape: shape[-1:],
        per_element=True,
    ),
    Normalizer(
        "layer, last two axes",
        _plain(bn_lib.layer_norm, axis=(-2, -1)),
        bn_lib.layer_norm_backward,
        lambda rank: (rank - 2, rank - 1),
        parameter_shape=lambda shape: shape[-2:],
        per_element=True,
        least_rank=3,
    ),
    Normalizer("rms", _rms, _rms_backward, _layer_axes, center=False),
    Normalizer(
        "rms, per element",
        _rms,
        _rms_backward,
        _layer_axes,
        parameter_shape=lambda shape: shape[1:],
        per_element=True,
        center=False,
    ),
    Normalizer(
        "rms, last axis",
        _rms_last,
        _rms_backward,
        lambda rank: (rank - 1,),
        parameter_shape=lambda shape: shape[-1:],
        per_element=True,
        center=False,
    ),
    Normalizer(
        "instance",
        _plain(bn_lib.instance_norm),
        bn_lib.instance_norm_backward,
        _instance_axes,
        least_rank=3,
    ),
    Normalizer(
        "group",
        _group,
        bn_lib.group_norm_backward,
        lambda rank: tuple(range(2, rank + 1)),
        split=lambda shape: (shape[0], g := groups_for(shape[1]), shape[1] // g, *shape[2:]),
    ),
    Normalizer(
        "conditional",
        _conditional,
        bn_lib.conditional_batch_norm_backward,
        _batch_axes,
        parameter_shape=lambda shape: (CLASSES, shape[1]),
    ),
    Normalizer(
        "modulated, per sample",
        _modulated(_instance_axes),
        bn_lib.modulated_norm_backward,
        _instance_axes,
        parameter_shape=lambda shape: (*shape[:2], *[1] * (len(shape) - 2)),
        per_element=True,
        least_rank=3,
    ),
    Normalizer(
        "modulated, per position",
        _modulated(_batch_axes),
        bn_lib.modulated_norm_backward,
        _batch_axes,
        parameter_shape=lambda shape: shape,
        per_element=True,
    ),
)

# The same as layers, of three channels. They take the options that all have.
LAYERS: dict[str, Callable[..., bn_lib.Layer]] = {
    "BatchNorm": lambda **options: bn_lib.BatchNorm(3, **options),
    "GhostBatchNorm": lambda **options: bn_lib.GhostBatchNorm(3, 2, **options),
    "BatchRenorm": lambda **options: bn_lib.BatchRenorm(
        3, r_max=1, d_max=0, **options
    ),  # elsewhere r and d move with x
    "LayerNorm": lambda **options: bn_lib.LayerNorm(3, **options),
    "RMSNorm": lambda **options: bn_lib.RMSNorm(3, **options),
    "InstanceNorm": lambda **options: bn_lib.InstanceNorm(3, **options),
    "GroupNorm": lambda **options: bn_lib.GroupNorm(1, 3, **options),
}


def domains_for(x: Any) -> Any:
    """The first half of the rows are of one domain, the others of another."""
    xp = namespace(x)
    return 2 * xp.arange(x.shape[0], dtype=xp.int64) // max(x.shape[0], 1)


def informed(kind: type[bn_lib.Layer], numbers_for: Callable[[Any], Any]) -> type[Any]:
    """The same layer, but that it finds the numbers of rows itself, so that it can be called as the others are."""

    class Informed(kind):
        def forward(self, x: Any, given: Any = None) -> Any:
            return super().forward(x, numbers_for(x) if given is None and hasattr(x, "ndim") and x.ndim else given)

    Informed.__name__ = kind.__name__
    return Informed


# Those that have a `BatchNorm` inside, or several, and gamma, beta or statistics from elsewhere.
MODULATED: dict[str, Callable[..., bn_lib.Layer]] = {
    "ConditionalBatchNorm": lambda **options: informed(bn_lib.ConditionalBatchNorm, labels_for)(CLASSES, 3, **options),
    "AttentiveNorm": lambda **options: bn_lib.AttentiveNorm(2, 3, rng=np.random.default_rng(0), **options),
    "AdaptiveBatchNorm": lambda **options: bn_lib.AdaptiveBatchNorm(3, **options),
    "DomainBatchNorm": lambda **options: informed(bn_lib.DomainBatchNorm, domains_for)(CLASSES, 3, **options),
    "SwitchableNorm": lambda **options: bn_lib.SwitchableNorm(3, kinds=("layer", "batch"), **options),
}

BY_NAME = {normalizer.name: normalizer for normalizer in NORMALIZERS}
each_normalizer = pytest.mark.parametrize("normalizer", NORMALIZERS, ids=lambda n: n.name)
each_that_centers = pytest.mark.parametrize("normalizer", [n for n in NORMALIZERS if n.center], ids=lambda n: n.name)


def typical(normalizer: Normalizer, shape: tuple[int, ...], dtype: Any = np.float64, seed: int = 0) -> tuple[Any, ...]:
    """x, gamma, beta, dy of ordinary size: channels of unlike means and scales, nothing degenerate."""
    rng = np.random.default_rng(seed)
    x = 3 + rng.normal(size=shape) * np.linspace(1, 2, shape[1]).reshape(1, -1, *[1] * (len(shape) - 2))
    parameter = normalizer.parameter_shape(shape)
    gamma, beta, dy = 1 + rng.random(parameter), rng.normal(size=parameter), rng.normal(size=shape)
    return tuple(a.astype(dtype) for a in (x, gamma, beta, dy))
