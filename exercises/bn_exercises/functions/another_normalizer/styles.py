"""Right normalizers as different people write them: what `another_normalizer` must not mark wrong.

Each style differs from the functions of the gallery in something harmless: loops or einsum, another form of the
gradient, one normalizer made of another, another type, shape or memory layout.
"""

import numpy as np

from bn_exercises.functions.another_normalizer.gallery import RIGHT
from bn_exercises.functions.implement.styles import all_converted
from bn_exercises.functions.slips import Function
from bn_exercises.tolerance import Array
from bn_lib import batch_norm, batch_norm_backward
from bn_lib import normalizers as lib


def _gamma_for_all(gamma: Array, x: Array) -> Array:
    return np.broadcast_to(gamma.reshape((1, -1) + (1,) * (x.ndim - 2)), x.shape)


def _users(x: Array) -> tuple[int, ...]:
    return tuple(axis for axis in range(x.ndim) if axis != 1)


# With bn_lib


def _lib_layer(x: Array, gamma: Array, beta: Array, eps: float) -> Array:
    return lib.layer_norm(x, gamma, beta, eps=eps)[0]


def _lib_layer_backward(dy: Array, x: Array, gamma: Array, eps: float) -> Array:
    return lib.layer_norm_backward(dy, lib.layer_norm(x, gamma, 0 * gamma, eps=eps)[1])


def _lib_group(x: Array, gamma: Array, beta: Array, groups: int, eps: float) -> Array:
    return lib.group_norm(x, gamma, beta, groups, eps=eps)[0]


def _lib_group_backward(dy: Array, x: Array, gamma: Array, groups: int, eps: float) -> Array:
    return lib.group_norm_backward(dy, lib.group_norm(x, gamma, 0 * gamma, groups, eps=eps)[1])


def _lib_rms(x: Array, gamma: Array, eps: float) -> Array:
    return lib.rms_norm(x, gamma, eps=eps)[0]


def _lib_rms_backward(dy: Array, x: Array, gamma: Array, eps: float) -> Array:
    return lib.rms_norm_backward(dy, lib.rms_norm(x, gamma, eps=eps)[1])


# One group after another, with loops; layer normalization is one group


def _loop_group(x: Array, gamma: Array, beta: Array, groups: int, eps: float) -> Array:
    y = np.empty_like(x)
    size = x.shape[1] // groups
    for n in range(len(x)):
        for g in range(groups):
            channels = range(g * size, (g + 1) * size)
            values = [float(value) for c in channels for value in np.ravel(x[n, c])]
            mean = sum(values) / len(values)
            var = sum((value - mean) ** 2 for value in values) / len(values)
            for c in channels:
                y[n, c] = gamma[c] * (x[n, c] - mean) / (var + eps) ** 0.5 + beta[c]
    return y


def _loop_group_backward(dy: Array, x: Array, gamma: Array, groups: int, eps: float) -> Array:
    """As in the paper: the gradients of the variance and of the mean first."""
    dx, dgamma, dbeta = np.zeros_like(x), np.zeros(x.shape[1]), np.zeros(x.shape[1])
    size = x.shape[1] // groups
    for n in range(len(x)):
        for g in range(groups):
            own = slice(g * size, (g + 1) * size)
            d = x[n, own] - x[n, own].mean()
            var, m = (d * d).mean(), d.size
            dx_hat = np.stack([gamma[c] * dy[n, c] for c in range(own.start, own.stop)])
            dvar = np.sum(dx_hat * d) * -0.5 * (var + eps) ** -1.5
            dmean = -np.sum(dx_hat) / np.sqrt(var + eps) + dvar * np.mean(-2 * d)
            dx[n, own] = dx_hat / np.sqrt(var + eps) + dvar * 2 * d / m + dmean / m
            for c in range(own.start, own.stop):
                dgamma[c] += np.sum(dy[n, c] * d[c - own.start]) / np.sqrt(var + eps)
                dbeta[c] += np.sum(dy[n, c])
    return dx, dgamma, dbeta


def _loop_rms(x: Array, gamma: Array, eps: float) -> Array:
    y = np.empty_like(x)
    for n, sample in enumerate(x):
        root = (sum(float(value) ** 2 for value in np.ravel(sample)) / sample.size + eps) ** 0.5
        for c, channel in enumerate(sample):
            y[n, c] = channel / root * gamma[c]
    return y


# As Batch Normalization of a table with a column for each sample


def _turned(x: Array) -> Array:
    return x.reshape(len(x), -1).T


def _layer_by_batch(x: Array, gamma: Array, beta: Array, eps: float) -> Array:
    ones = np.ones(len(x), x.dtype)
    x_hat = batch_norm(_turned(x), ones, 0 * ones, eps=eps)[0].T.reshape(x.shape)
    return _gamma_for_all(gamma, x) * x_hat + _gamma_for_all(beta, x)


def _layer_by_batch_backward(dy: Array, x: Array, gamma: Array, eps: float) -> Array:
    ones = np.ones(len(x), x.dtype)
    x_hat, cache = batch_norm(_turned(x), ones, 0 * ones, eps=eps)
    dx, *_ = batch_norm_backward(np.ascontiguousarray(_turned(_gamma_for_all(gamma, x) * dy)), cache)
    return dx.T.reshape(x.shape), (dy * x_hat.T.reshape(x.shape)).sum(axis=_users(x)), dy.sum(axis=_users(x))


# One normalizer made of another: groups are the samples of layer normalization, the mean square is var + mean²


def _group_by_layer(x: Array, gamma: Array, beta: Array, groups: int, eps: float) -> Array:
    rows = x.reshape(len(x) * groups, -1)
    ones = np.ones(rows.shape[1], x.dtype)
    x_hat = RIGHT["layer_norm"](rows, ones, 0 * ones, eps).reshape(x.shape)
    return _gamma_for_all(gamma, x) * x_hat + _gamma_for_all(beta, x)


def _group_by_layer_backward(dy: Array, x: Array, gamma: Array, groups: int, eps: float) -> Array:
    rows = x.reshape(len(x) * groups, -1)
    dx_hat = (_gamma_for_all(gamma, x) * dy).reshape(rows.shape)
    ones = np.ones(rows.shape[1], x.dtype)
    dx = RIGHT["layer_norm_backward"](dx_hat, rows, ones, eps)[0].reshape(x.shape)
    x_hat = RIGHT["layer_norm"](rows, ones, 0 * ones, eps).reshape(x.shape)
    return dx, (dy * x_hat).sum(axis=_users(x)), dy.sum(axis=_users(x))


def _layer_by_group(x: Array, gamma: Array, beta: Array, eps: float) -> Array:
    return RIGHT["group_norm"](x, gamma, beta, 1, eps)


def _layer_by_group_backward(dy: Array, x: Array, gamma: Array, eps: float) -> Array:
    return RIGHT["group_norm_backward"](dy, x, gamma, 1, eps)


def _rms_by_norm(x: Array, gamma: Array, eps: float) -> Array:
    """By the length of a sample's vector, as torch.nn.functional.normalize has it, but that ε is under the root."""
    rows = x.reshape(len(x), -1)
    length = np.sqrt(np.linalg.norm(rows, axis=1, keepdims=True) ** 2 + eps * rows.shape[1])
    return _gamma_for_all(gamma, x) * (rows / length * np.sqrt(rows.shape[1])).reshape(x.shape)


def _rms_chain(dy: Array, x: Array, gamma: Array, eps: float) -> Array:
    """The gradient of the mean square first."""
    axes = tuple(range(1, x.ndim))
    m = x[0].size
    ms = np.sum(x * x, axis=axes, keepdims=True) / m + eps
    dx_hat = dy * _gamma_for_all(gamma, x)
    d_ms = np.sum(dx_hat * x, axis=axes, keepdims=True) * -0.5 * ms**-1.5
    return dx_hat * ms**-0.5 + d_ms * 2 * x / m, np.sum(dy * x * ms**-0.5, axis=_users(x))


# The compact form with sums, and with einsum


def _with_sums(dy: Array, x: Array, gamma: Array, eps: float) -> Array:
    axes, m = tuple(range(1, x.ndim)), x[0].size
    d = x - x.mean(axis=axes, keepdims=True)
    inv = 1 / np.sqrt((d**2).sum(axis=axes, keepdims=True) / m + eps)
    x_hat, dx_hat = d * inv, dy * _gamma_for_all(gamma, x)
    first, second = (each.sum(axis=axes, keepdims=True) for each in (dx_hat, dx_hat * x_hat))
    dx = inv / m * (m * dx_hat - first - x_hat * second)
    return dx, np.sum(dy * x_hat, axis=_users(x)), np.sum(dy, axis=_users(x))


def _einsum(x: Array, gamma: Array, beta: Array, eps: float) -> Array:
    rows = x.reshape(*x.shape[:2], -1)
    m = rows[0].size
    d = rows - (np.einsum("ncp->n", rows) / m)[:, None, None]
    inv = 1 / np.sqrt(np.einsum("ncp,ncp->n", d, d) / m + eps)
    return (np.einsum("ncp,n,c->ncp", d, inv, gamma) + beta[None, :, None]).reshape(x.shape)


def _jacobian(dy: Array, x: Array, gamma: Array, eps: float) -> Array:
    """Each sample's gradient as a matrix times a vector."""
    _, dgamma, dbeta = RIGHT["layer_norm_backward"](dy, x, gamma, eps)
    m, dx = x[0].size, np.empty_like(x)
    for n in range(len(x)):
        root = np.sqrt(x[n].var() + eps)
        x_hat = (x[n] - x[n].mean()).ravel() / root
        paths = np.eye(m) - (1 + np.outer(x_hat, x_hat)) / m
        dx[n] = (paths @ (_gamma_for_all(gamma, x)[n] * dy[n]).ravel() / root).reshape(x[n].shape)
    return dx, dgamma, dbeta


# With dimensions kept


def _kept(name: str) -> Function:
    def backward(dy: Array, x: Array, *others: Array) -> Array:
        dx, *gradients = RIGHT[name](dy, x, *others)
        return dx, *(each.reshape((1, -1) + (1,) * (x.ndim - 2)) for each in gradients)

    return backward


_BACKWARD = tuple(name for name in RIGHT if name.endswith("backward"))
STYLES: dict[str, dict[str, Function]] = {
    "as in the solution": RIGHT,
    "bn_lib": {
        "layer_norm": _lib_layer,
        "layer_norm_backward": _lib_layer_backward,
        "group_norm": _lib_group,
        "group_norm_backward": _lib_group_backward,
        "rms_norm": _lib_rms,
        "rms_norm_backward": _lib_rms_backward,
    },
    "loops": RIGHT
    | {"group_norm": _loop_group, "group_norm_backward": _loop_group_backward, "rms_norm": _loop_rms}
    | {"layer_norm": lambda x, gamma, beta, eps: _loop_group(x, gamma, beta, 1, eps)}
    | {"layer_norm_backward": lambda dy, x, gamma, eps: _loop_group_backward(dy, x, gamma, 1, eps)},
    "batch norm of a table": RIGHT | {"layer_norm": _layer_by_batch, "layer_norm_backward": _layer_by_batch_backward},
    "groups as samples": RIGHT | {"group_norm": _group_by_layer, "group_norm_backward": _group_by_layer_backward},
    "one group": RIGHT | {"layer_norm": _layer_by_group, "layer_norm_backward": _layer_by_group_backward},
    "a vector's length": RIGHT | {"rms_norm": _rms_by_norm, "rms_norm_backward": _rms_chain},
    "sums": RIGHT | {"layer_norm_backward": _with_sums},
    "einsum": RIGHT | {"layer_norm": _einsum},
    "a Jacobian": RIGHT | {"layer_norm_backward": _jacobian},
    "dimensions kept": RIGHT | {name: _kept(name) for name in _BACKWARD},
    "results in float32": all_converted(lambda v: v.astype(np.float32), RIGHT),
    "lists": all_converted(np.ndarray.tolist, RIGHT),
    "a list of arrays": RIGHT | {name: lambda *a, f=RIGHT[name]: list(f(*a)) for name in _BACKWARD},
    "Fortran order": all_converted(np.asfortranarray, RIGHT),
    "extended precision": all_converted(lambda v: v.astype(np.longdouble), RIGHT),
    "a little off": all_converted(lambda v: v * (1 + 4e-16) + 1e-17, RIGHT),
}
