"""BN in inference made part of the layer beside it: two affine maps in a row are one.

With stored statistics BN is y = scale * x + offset for each channel, and `Dense` and `Conv2d` are affine too. What is
made is exact to rounding; where it would not be, the layers stay as they are.
"""

from copy import copy, deepcopy
from typing import overload

from bn_lib import _checks as check
from bn_lib._arrays import Array, namespace
from bn_lib.batchnorm import BatchNorm
from bn_lib.layer import Layer
from bn_lib.network import Conv2d, Dense, Sequential


@overload
def fold_batch_norm(first: Sequential) -> Sequential: ...


@overload
def fold_batch_norm(first: Layer, second: Layer) -> Dense | Conv2d: ...


def fold_batch_norm(first: Layer, second: Layer | None = None) -> Layer:
    """Fold BN into the `Dense` or `Conv2d` before it, or after it: in a whole network, or of two layers.

        scale  = gamma / sqrt(running_var + eps)             offset = beta - running_mean * scale
        BN after:    weight' = scale * weight                bias' = scale * bias + offset      scale per output
        BN before:   weight' = weight * scale                bias' = bias + weight * offset     scale per input

    The result computes in inference what the layers did, to rounding, and it is in inference mode. It has layers of its
    own: what is given is not changed. In a network, BN that has no such neighbour stays, and so it does where folding
    would not be exact: before a `Conv2d` that pads, because its zeros are added after BN, and as zeros of the channels
    they are no zeros of the input; without running statistics; and where either layer is of a kind with a `forward` of
    its own.

    Args:
        first: a network, a `Sequential` with others in it perhaps. Or one of the two layers, in their order.
        second: the other of the two layers, of which one is the BN layer.

    Returns:
        A network without the BN layers that could be folded; of two layers, one, of the kind and dtype of the `Dense`
        or `Conv2d`, with a bias. Scale and bias are computed in float64 and rounded once.

    Example:
        >>> dense, norm = bn_lib.Dense(2, 1, rng=np.random.default_rng(0)), bn_lib.BatchNorm(1, eps=0.0)
        >>> dense.weight, norm.running_var = np.array([[3.0], [4.0]]), np.array([4.0])
        >>> fold_batch_norm(dense, norm).weight
        array([[1.5],
               [2. ]])

    Raises:
        TypeError: if `first`, alone, is not a `Sequential`, or two are not a BN layer and a `Dense` or `Conv2d`.
        ValueError: if these two do not fold, or the statistics are not those of any data.

    Source: Jacob et al. (2018), section 3.2, eq. 14; Ioffe and Szegedy (2015), section 3.1, that it is affine.
    """
    if second is None:
        if not isinstance(first, Sequential):
            raise TypeError(f"first is a {type(first).__name__}, alone; expected a Sequential, or the second layer too")
        return _folded(first).eval()
    if obstacle := _obstacle(first, second):
        raise obstacle
    return _fold(first, second).eval()


def _folded(model: Sequential) -> Sequential:
    """A copy of the network in which each BN that can be is folded into the layer before it, or else after it."""
    layers: list[Layer] = []
    for layer in model:
        new = _folded(layer) if isinstance(layer, Sequential) else deepcopy(layer)
        if layers and not _obstacle(layers[-1], new):
            new = _fold(layers.pop(), new)
        layers.append(new)
    small = copy(model)
    small.stack, small.watchers = tuple(layers), []
    return small


def _obstacle(first: Layer, second: Layer) -> Exception | None:
    """Why the two cannot be folded; None if they can."""
    affine, norm = (first, second) if isinstance(second, BatchNorm) else (second, first)
    if not isinstance(affine, Dense | Conv2d) or not isinstance(norm, BatchNorm):
        names = f"{type(first).__name__} and {type(second).__name__}"
        return TypeError(f"the layers are {names}; expected a BatchNorm and a Dense or Conv2d, in either order")
    for layer, kind in ((norm, BatchNorm), (affine, Dense if isinstance(affine, Dense) else Conv2d)):
        if type(layer).forward is not kind.forward:
            name = type(layer).__name__
            return ValueError(f"{name} has a forward of its own; expected {kind.__name__}'s, affine in inference")
    if not norm.track_running_stats:
        return ValueError("the BatchNorm has no running statistics; expected some: a batch's are not known beforehand")
    if norm is first and isinstance(affine, Conv2d) and affine.padding:
        return ValueError(
            f"the Conv2d after the BatchNorm has padding {affine.padding}; expected 0: its zeros are added after BN, "
            "and would have to be the input that BN maps to 0"
        )
    dense = isinstance(affine, Dense)
    inputs, outputs = affine.weight.shape if dense else (affine.weight.shape[1], affine.weight.shape[0])
    channels, shared = norm.num_features, outputs if norm is second else inputs
    if channels != shared or norm.channel_axis not in (1, -1 if dense else -3):
        return ValueError(
            f"the BatchNorm has {channels} channels on axis {norm.channel_axis}; expected {shared} on axis 1, the "
            f"{'outputs' if norm is second else 'inputs'} of the {type(affine).__name__}"
        )
    return None


def _fold(first: Layer, second: Layer) -> Dense | Conv2d:
    """One layer for two between which there is no obstacle."""
    affine, norm = (first, second) if isinstance(second, BatchNorm) else (second, first)
    assert isinstance(affine, Dense | Conv2d)
    assert isinstance(norm, BatchNorm)
    check.variance(norm.running_var, "running_var", " (reset_running_statistics() forgets a batch with NaN)")
    xp = namespace(affine.weight)
    weight, gamma, beta = (xp.astype(v, xp.float64) for v in (affine.weight, norm.gamma, norm.beta))
    bias = 0.0 if affine.bias is None else xp.astype(affine.bias, xp.float64)
    scale = gamma / xp.sqrt(norm.running_var + norm.eps)
    offset = beta - norm.running_mean * scale
    axis = int(isinstance(affine, Dense))  # of the outputs; the inputs are the other of the first two

    def along(values: Array, axis: int) -> Array:
        return xp.reshape(values, tuple(-1 if a == axis else 1 for a in range(weight.ndim)))

    folded, dtype = deepcopy(affine), affine.weight.dtype
    if norm is second:
        weight, bias = weight * along(scale, axis), bias * scale + offset
    else:
        others = tuple(a for a in range(weight.ndim) if a != axis)
        bias = bias + xp.sum(weight * along(offset, 1 - axis), axis=others)
        weight = weight * along(scale, 1 - axis)
    folded.weight, folded.bias = (xp.astype(v, dtype, copy=False) for v in (weight, bias))
    folded.parameter_names = ("weight", "bias")
    folded.grads = {}
    return folded
