"""The computation graph, one operation a line, with all ten values in a cache; images as a table of pixels."""

import numpy as np


def rows(a):
    return a if a.ndim == 2 else a.transpose(0, 2, 3, 1).reshape(-1, a.shape[1])


def unrows(a, like):
    if like.ndim == 2:
        return a
    n, c, h, w = like.shape
    return a.reshape(n, h, w, c).transpose(0, 3, 1, 2)


def graph(x, gamma, beta, eps, mean=None, var=None):
    m = x.shape[0]
    frozen = mean is not None
    if not frozen:
        mean = x.sum(axis=0) / m
    centred = x - mean
    squares = centred**2
    if not frozen:
        var = squares.sum(axis=0) / m
    shifted = var + eps
    root = np.sqrt(shifted)
    inverse = 1.0 / root
    x_hat = centred * inverse
    scaled = gamma * x_hat
    y = scaled + beta
    return y, (m, frozen, centred, squares, shifted, root, inverse, x_hat, gamma, scaled)


def forward(x, gamma, beta, eps):
    y, _ = graph(rows(x), gamma, beta, eps)
    return unrows(y, x)


def backward(dy, x, gamma, eps, mean=None, var=None):
    _, cache = graph(rows(x), gamma, 0.0, eps, mean, var)
    m, frozen, centred, squares, shifted, root, inverse, x_hat, gamma, _ = cache
    d_y = rows(dy)
    d_beta = d_y.sum(axis=0)
    d_scaled = d_y
    d_gamma = (d_scaled * x_hat).sum(axis=0)
    d_x_hat = d_scaled * gamma
    d_inverse = (d_x_hat * centred).sum(axis=0)
    d_centred = d_x_hat * inverse
    if frozen:
        return unrows(d_centred, x), d_gamma, d_beta
    d_root = -d_inverse / root**2
    d_shifted = d_root / (2 * np.sqrt(shifted))
    d_squares = np.ones_like(squares) * d_shifted / m
    d_centred = d_centred + 2 * centred * d_squares
    d_mean = -d_centred.sum(axis=0)
    d_x = d_centred + np.ones_like(centred) * d_mean / m
    return unrows(d_x, x), d_gamma, d_beta


def update_running(running_mean, running_var, x, momentum):
    x = rows(x)
    batch_mean = x.mean(axis=0)
    batch_var = x.var(axis=0)
    new_mean = (1 - momentum) * running_mean + momentum * batch_mean
    new_var = (1 - momentum) * running_var + momentum * batch_var
    return new_mean, new_var


def inference(x, gamma, beta, running_mean, running_var, eps):
    y, _ = graph(rows(x), gamma, beta, eps, running_mean, running_var)
    return unrows(y, x)
