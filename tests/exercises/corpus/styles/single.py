"""Results in float32, because a network's are; worked out in float64."""

import numpy as np


def sums(a):
    return a.reshape(*a.shape[:2], -1).sum(axis=(0, 2), dtype=np.float64)


def spread_out(v, x):
    return np.asarray(v, dtype=np.float64)[(slice(None),) + (None,) * (x.ndim - 2)]


def statistics(x):
    count = x.size / x.shape[1]
    mean = sums(x) / count
    return mean, sums((x - spread_out(mean, x)) ** 2) / count


def forward(x, gamma, beta, eps):
    mean, var = statistics(x)
    y = (x - spread_out(mean, x)) * spread_out(gamma / np.sqrt(var + eps), x) + spread_out(beta, x)
    return y.astype(np.float32)


def backward(dy, x, gamma, eps, mean=None, var=None):
    m, v = statistics(x) if mean is None else (mean, var)
    hat = (x - spread_out(m, x)) / spread_out(np.sqrt(v + eps), x)
    dgamma, dbeta = sums(dy * hat), sums(dy)
    dx = dy * spread_out(gamma, x)
    if mean is None:
        count = x.size / x.shape[1]
        dx = dx - spread_out(sums(dx) / count, x) - hat * spread_out(sums(dx * hat) / count, x)
    dx = dx / spread_out(np.sqrt(v + eps), x)
    return dx.astype(np.float32), dgamma.astype(np.float32), dbeta.astype(np.float32)


def update_running(running_mean, running_var, x, momentum):
    mean, var = statistics(x)
    both = (running_mean * (1 - momentum) + mean * momentum, running_var * (1 - momentum) + var * momentum)
    return np.stack(both)


def inference(x, gamma, beta, running_mean, running_var, eps):
    hat = (x - spread_out(running_mean, x)) / spread_out(np.sqrt(running_var + eps), x)
    return (spread_out(gamma, x) * hat + spread_out(beta, x)).astype(np.float32)
