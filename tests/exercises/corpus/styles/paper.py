"""Line by line as in the paper that introduced the layer, sums and all; rows by themselves, images as rows."""

import numpy as np


def as_rows(function):
    def both(x, *more):
        if x.ndim == 2:
            return function(x, *more)
        n, c, h, w = x.shape
        pixels = np.stack([x[:, k].reshape(-1) for k in range(c)], axis=1)
        return np.stack([column.reshape(n, h, w) for column in function(pixels, *more).T], axis=1)

    return both


@as_rows
def forward(x, gamma, beta, eps):
    m = len(x)
    mu_B = sum(x) / m
    sigma2_B = sum((x - mu_B) ** 2) / m
    x_hat = (x - mu_B) / np.sqrt(sigma2_B + eps)
    return gamma * x_hat + beta


def backward(dy, x, gamma, eps, mean=None, var=None):
    if x.ndim == 4:
        pixels = [np.stack([a[:, k].reshape(-1) for k in range(a.shape[1])], axis=1) for a in (dy, x)]
        dx, dgamma, dbeta = backward(*pixels, gamma, eps, mean, var)
        n, c, h, w = x.shape
        return np.stack([dx[:, k].reshape(n, h, w) for k in range(c)], axis=1), dgamma, dbeta
    m = len(x)
    mu_B = sum(x) / m if mean is None else mean
    sigma2_B = sum((x - mu_B) ** 2) / m if var is None else var
    x_hat = (x - mu_B) / np.sqrt(sigma2_B + eps)
    d_x_hat = dy * gamma
    d_x = d_x_hat / np.sqrt(sigma2_B + eps)
    if mean is None:
        d_sigma2 = sum(d_x_hat * (x - mu_B)) * -1 / 2 * (sigma2_B + eps) ** (-3 / 2)
        d_mu = sum(-d_x_hat / np.sqrt(sigma2_B + eps)) + d_sigma2 * sum(-2 * (x - mu_B)) / m
        d_x = d_x + d_sigma2 * 2 * (x - mu_B) / m + d_mu / m
    return d_x, sum(dy * x_hat), sum(dy)


def update_running(running_mean, running_var, x, momentum):
    axes = tuple(np.delete(np.arange(x.ndim), 1))
    m = x.size / x.shape[1]
    mu_B, sigma2_B = x.mean(axes), x.var(axes)
    return (1 - momentum) * running_mean + momentum * mu_B, (1 - momentum) * running_var + momentum * m / (
        m - 1
    ) * sigma2_B


@as_rows
def inference(x, gamma, beta, running_mean, running_var, eps):
    slope = gamma / np.sqrt(running_var + eps)
    return slope * x + (beta - slope * running_mean)
