"""One line for each result, and the gradient of x with N in front, as many solutions of a course's exercise have it."""

import numpy as np


def axes_of(x):
    return (0,) if x.ndim == 2 else (0, 2, 3)


def wide(v, x):
    return v if x.ndim == 2 else v[None, :, None, None]


def forward(x, gamma, beta, eps):
    ax = axes_of(x)
    mu, var = x.mean(ax, keepdims=True), x.var(ax, keepdims=True)
    return wide(gamma, x) * (x - mu) / np.sqrt(var + eps) + wide(beta, x)


def backward(dy, x, gamma, eps, mean=None, var=None):
    ax = axes_of(x)
    N = x.size // x.shape[1]
    if mean is None:
        mu, sigma2 = x.mean(ax, keepdims=True), x.var(ax, keepdims=True)
    else:
        mu, sigma2 = wide(mean, x), wide(var, x)
    std = np.sqrt(sigma2 + eps)
    x_hat = (x - mu) / std
    dbeta, dgamma = dy.sum(ax), (dy * x_hat).sum(ax)
    if mean is not None:
        return wide(gamma, x) * dy / std, dgamma, dbeta
    dx = wide(gamma, x) / (N * std) * (N * dy - wide(dbeta, x) - x_hat * wide(dgamma, x))
    return dx, dgamma, dbeta


def update_running(running_mean, running_var, x, momentum):
    ax = axes_of(x)
    keep = 1 - momentum
    return keep * running_mean + momentum * x.mean(ax), keep * running_var + momentum * x.var(ax, ddof=1)


def inference(x, gamma, beta, running_mean, running_var, eps):
    x_hat = (x - wide(running_mean, x)) / np.sqrt(wide(running_var, x) + eps)
    return wide(gamma, x) * x_hat + wide(beta, x)
