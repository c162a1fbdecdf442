"""Right Batch Normalizations as different people write them: what `problems.implement` must not mark wrong.

The functions are those of `implementations`. Each style differs from the ones there in something harmless: loops or
einsum, another order of the same sums, another form of the gradient, another convention, type, shape or memory layout.
"""

from typing import Any

import numpy as np

from bn_exercises.algorithm import batch_axes, per_channel
from bn_exercises.functions.implementations import RIGHT
from bn_exercises.functions.slips import Function
from bn_exercises.tolerance import Array
from bn_lib import BatchNorm, batch_norm, batch_norm_backward, batch_norm_inference


def as_rows(x: Array) -> Array:
    """Images as rows: a row for each sample and position, a column for each channel."""
    return np.moveaxis(x, 1, -1).reshape(-1, x.shape[1])


def as_images(rows: Array, shape: tuple[int, ...]) -> Array:
    """Back from `as_rows`."""
    return np.moveaxis(rows.reshape(shape[0], *shape[2:], shape[1]), -1, 1)


def all_converted(convert: Function, functions: dict[str, Function]) -> dict[str, Function]:
    """These functions, with each thing they return converted."""

    def converted(function: Function) -> Function:
        def convert_all(*arguments: Any) -> Any:
            values = function(*arguments)
            return tuple(map(convert, values)) if isinstance(values, tuple) else convert(values)

        return convert_all

    return {name: converted(function) for name, function in functions.items()}


# With bn_lib


def _lib_forward(x: Array, gamma: Array, beta: Array, eps: float) -> Array:
    return batch_norm(x, gamma, beta, eps=eps)[0]


def _lib_backward(dy: Array, x: Array, gamma: Array, eps: float, mean: Array = None, var: Array = None) -> Array:
    if mean is None:
        return batch_norm_backward(dy, batch_norm(x, gamma, np.zeros_like(gamma), eps=eps)[1])
    layer = BatchNorm(len(gamma), eps=eps).eval()
    layer.gamma, layer.running_mean, layer.running_var = gamma, mean, var
    layer.forward(x)
    return layer.backward(dy), layer.grads["gamma"], layer.grads["beta"]


def _lib_update(running_mean: Array, running_var: Array, x: Array, momentum: float) -> Array:
    layer = BatchNorm(len(running_mean), momentum=momentum)
    layer.running_mean, layer.running_var = running_mean, running_var
    layer.forward(x)
    return layer.running_mean, layer.running_var


def _lib_inference(x: Array, gamma: Array, beta: Array, running_mean: Array, running_var: Array, eps: float) -> Array:
    return batch_norm_inference(x, gamma, beta, running_mean, running_var, eps=eps)


# One channel after another, with loops


def _loop_forward(x: Array, gamma: Array, beta: Array, eps: float) -> Array:
    y = np.empty_like(x)
    for c in range(x.shape[1]):
        channel = x[:, c]
        mean = sum(channel.ravel().tolist()) / channel.size
        var = sum((v - mean) ** 2 for v in channel.ravel().tolist()) / channel.size
        y[:, c] = gamma[c] * (channel - mean) / (var + eps) ** 0.5 + beta[c]
    return y


def _loop_backward(dy: Array, x: Array, gamma: Array, eps: float, mean: Array = None, var: Array = None) -> Array:
    dx, dgamma, dbeta = np.zeros_like(x), np.zeros(x.shape[1]), np.zeros(x.shape[1])
    for c in range(x.shape[1]):
        xc, dc = x[:, c], dy[:, c]
        m = xc.mean() if mean is None else mean[c]
        root = np.sqrt((xc.var() if var is None else var[c]) + eps)
        dgamma[c] = (dc * (xc - m) / root).sum()
        dbeta[c] = dc.sum()
        dx[:, c] = gamma[c] * dc / root
        if mean is None:
            dx[:, c] -= gamma[c] / (xc.size * root) * (dbeta[c] + dgamma[c] * (xc - m) / root)
    return dx, dgamma, dbeta


# As in the paper: the gradients of the variance and of the mean first


def _chain_rule(dy: Array, x: Array, gamma: Array, eps: float, mean: Array = None, var: Array = None) -> Array:
    if mean is not None:
        return RIGHT["backward"](dy, x, gamma, eps, mean, var)
    shape, x, dy = x.shape, as_rows(x), as_rows(dy)
    m, mean, var = len(x), x.mean(axis=0), x.var(axis=0)
    dx_hat = dy * gamma
    dvar = np.sum(dx_hat * (x - mean), axis=0) * -0.5 * (var + eps) ** -1.5
    dmean = np.sum(-dx_hat / np.sqrt(var + eps), axis=0) + dvar * np.mean(-2 * (x - mean), axis=0)
    dx = dx_hat / np.sqrt(var + eps) + dvar * 2 * (x - mean) / m + dmean / m
    return as_images(dx, shape), np.sum(dy * (x - mean) / np.sqrt(var + eps), axis=0), np.sum(dy, axis=0)


def _jacobian(dy: Array, x: Array, gamma: Array, eps: float, mean: Array = None, var: Array = None) -> Array:
    """Each channel's gradient as a matrix times a vector."""
    _, dgamma, dbeta = RIGHT["backward"](dy, x, gamma, eps, mean, var)
    shape, x, dy = x.shape, as_rows(x), as_rows(dy)
    m, dx = len(x), np.empty_like(x)
    for c in range(x.shape[1]):
        root = np.sqrt((x[:, c].var() if var is None else var[c]) + eps)
        x_hat = (x[:, c] - x[:, c].mean()) / root
        paths = np.eye(m) - (0 if mean is not None else (1 + np.outer(x_hat, x_hat)) / m)
        dx[:, c] = gamma[c] / root * paths @ dy[:, c]
    return as_images(dx, shape), dgamma, dbeta


# With einsum


def _einsum_forward(x: Array, gamma: Array, beta: Array, eps: float) -> Array:
    rows = as_rows(x)
    d = rows - np.einsum("nc->c", rows) / len(rows)
    scale = gamma / np.sqrt(np.einsum("nc,nc->c", d, d) / len(rows) + eps)
    return as_images(np.einsum("nc,c->nc", d, scale) + beta, x.shape)


def _einsum_backward(dy: Array, x: Array, gamma: Array, eps: float, mean: Array = None, var: Array = None) -> Array:
    rows, drows = as_rows(x), as_rows(dy)
    m = len(rows)
    d = rows - (np.einsum("nc->c", rows) / m if mean is None else mean)
    root = np.sqrt((np.einsum("nc,nc->c", d, d) / m if var is None else var) + eps)
    dgamma, dbeta = np.einsum("nc,nc,c->c", drows, d, 1 / root), np.einsum("nc->c", drows)
    rest = 0 if mean is not None else (dbeta + d * (dgamma / root)) / m
    return as_images((drows - rest) * (gamma / root), x.shape), dgamma, dbeta


# In other arithmetic


def _deviations_in_float32(x: Array, gamma: Array, beta: Array, eps: float) -> Array:
    deviation = (x - x.mean(axis=batch_axes(x), keepdims=True)).astype(np.float32)
    var = np.mean(deviation**2, axis=batch_axes(x), keepdims=True)
    y = per_channel(gamma.astype(np.float32), x) * deviation / np.sqrt(var + np.float32(eps))
    return y + per_channel(beta.astype(np.float32), x)


def _one_sample_at_a_time(x: Array, gamma: Array, beta: Array, eps: float) -> Array:
    """The mean and the variance by Welford's updates."""
    rows = as_rows(x)
    mean = squares = np.zeros(x.shape[1])
    for count, row in enumerate(rows, start=1):
        before = row - mean
        mean = mean + before / count
        squares = squares + before * (row - mean)
    scale = gamma * (squares / len(rows) + eps) ** -0.5
    return as_images((rows - mean) * scale + beta, x.shape)


def _folded(x: Array, gamma: Array, beta: Array, running_mean: Array, running_var: Array, eps: float) -> Array:
    """One multiplication and one addition, as in a network that is done with training."""
    scale = gamma / np.sqrt(running_var + eps)
    return x * per_channel(scale, x) + per_channel(beta - running_mean * scale, x)


# In other places of memory


def _on_a_copy(x: Array, gamma: Array, beta: Array, eps: float) -> Array:
    y = x.copy()
    y -= y.mean(axis=batch_axes(x), keepdims=True)
    y /= np.sqrt(np.mean(y * y, axis=batch_axes(x), keepdims=True) + eps)
    y *= per_channel(gamma, x)
    y += per_channel(beta, x)
    return y


def _update_in_place(running_mean: Array, running_var: Array, x: Array, momentum: float) -> Array:
    """As PyTorch does: what was passed is moved, and returned."""
    running_mean += momentum * (x.mean(axis=batch_axes(x)) - running_mean)
    running_var += momentum * (x.var(axis=batch_axes(x), ddof=1) - running_var)
    return running_mean, running_var


def _update_biased(running_mean: Array, running_var: Array, x: Array, momentum: float) -> Array:
    mean, var = as_rows(x).mean(axis=0), as_rows(x).var(axis=0)
    return running_mean * (1 - momentum) + mean * momentum, running_var * (1 - momentum) + var * momentum


# With dimensions kept


def _update_kept(running_mean: Array, running_var: Array, x: Array, momentum: float) -> Array:
    """Statistics of shape (1, C) or (1, C, 1, 1)."""
    shape = per_channel(running_mean.reshape(-1), x).shape
    old_mean, old_var = running_mean.reshape(shape), running_var.reshape(shape)
    mean = x.mean(axis=batch_axes(x), keepdims=True)
    var = x.var(axis=batch_axes(x), keepdims=True, ddof=1)
    return old_mean + momentum * (mean - old_mean), old_var + momentum * (var - old_var)


def _backward_kept(dy: Array, x: Array, gamma: Array, eps: float, mean: Array = None, var: Array = None) -> Array:
    dx, dgamma, dbeta = RIGHT["backward"](dy, x, gamma, eps, mean, var)
    return dx, per_channel(dgamma, x), dbeta.reshape(1, -1)


STYLES: dict[str, dict[str, Function]] = {
    "as in the solution": RIGHT,
    "bn_lib": {
        "forward": _lib_forward,
        "backward": _lib_backward,
        "update_running": _lib_update,
        "inference": _lib_inference,
    },
    "loops": RIGHT | {"forward": _loop_forward, "backward": _loop_backward},
    "the paper's gradients": RIGHT | {"backward": _chain_rule},
    "a Jacobian": RIGHT | {"backward": _jacobian},
    "einsum": RIGHT | {"forward": _einsum_forward, "backward": _einsum_backward},
    "deviations in float32": RIGHT | {"forward": _deviations_in_float32},
    "results in float32": all_converted(lambda v: v.astype(np.float32), RIGHT),
    "one sample at a time": RIGHT | {"forward": _one_sample_at_a_time},
    "folded": RIGHT | {"inference": _folded},
    "on a copy": RIGHT | {"forward": _on_a_copy},
    "running statistics in place": RIGHT | {"update_running": _update_in_place},
    "biased running variance": RIGHT | {"update_running": _update_biased},
    "dimensions kept": RIGHT | {"update_running": _update_kept, "backward": _backward_kept},
    "lists": all_converted(np.ndarray.tolist, RIGHT),
    "a list of arrays": RIGHT
    | {name: lambda *a, f=RIGHT[name]: list(f(*a)) for name in ("backward", "update_running")},
    "Fortran order": all_converted(np.asfortranarray, RIGHT),
    "extended precision": all_converted(lambda v: v.astype(np.longdouble), RIGHT),
    "a little off": all_converted(lambda v: v * (1 + 4e-16) + 1e-17, RIGHT),
}
