"""As short as it can be: lambdas, a partial, lists as results, (1, C) for (C,)."""

from functools import partial

import numpy as np

over = lambda x: (0, 2, 3)[: x.ndim - 1]  # noqa: E731
each = lambda v, x: np.asarray(v).reshape(1, -1, *[1] * (x.ndim - 2))  # noqa: E731
standard = lambda x, mean, var, eps: (x - each(mean, x)) / np.sqrt(each(var, x) + eps)  # noqa: E731


def scaled(x, gamma, beta, mean, var, eps):
    return each(gamma, x) * standard(x, mean, var, eps) + each(beta, x)


forward = lambda x, gamma, beta, eps: scaled(x, gamma, beta, x.mean(over(x)), x.var(over(x)), eps).tolist()  # noqa: E731


def gradients(over, dy, x, gamma, eps, mean=None, var=None):
    batch = mean is None
    x_hat = standard(x, x.mean(over(x)), x.var(over(x)), eps) if batch else standard(x, mean, var, eps)
    total = partial(np.sum, axis=over(x), keepdims=True)
    dx = dy
    if batch:
        dx = dy - (total(dy) + x_hat * total(dy * x_hat)) * x.shape[1] / x.size
    dx = dx * each(gamma, x) / np.sqrt(each(x.var(over(x)) if batch else var, x) + eps)
    return dx.tolist(), total(dy * x_hat).reshape(1, -1), total(dy).reshape(1, -1)


backward = partial(gradients, over)


def update_running(running_mean, running_var, x, momentum):
    mix = lambda old, new: [(1 - momentum) * o + momentum * n for o, n in zip(old, new, strict=True)]  # noqa: E731
    return [mix(running_mean, x.mean(over(x))), mix(running_var, x.var(over(x)))]


inference = lambda x, gamma, beta, mean, var, eps: scaled(x, gamma, beta, mean, var, eps)  # noqa: E731
