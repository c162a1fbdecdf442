"""A Python loop over the features, each worked out by itself."""

import numpy as np


def forward(x, gamma, beta, eps):
    y = np.empty_like(x)
    for c in range(x.shape[1]):
        feature = x[:, c]
        centre = feature.mean()
        spread = ((feature - centre) ** 2).mean()
        y[:, c] = gamma[c] * (feature - centre) / np.sqrt(spread + eps) + beta[c]
    return y


def backward(dy, x, gamma, eps, mean=None, var=None):
    dx = np.zeros_like(x)
    dgamma = np.zeros(x.shape[1])
    dbeta = np.zeros(x.shape[1])
    for c in range(x.shape[1]):
        feature, grad = x[:, c], dy[:, c]
        n = feature.size
        centre = feature.mean() if mean is None else mean[c]
        spread = feature.var() if var is None else var[c]
        std = np.sqrt(spread + eps)
        normal = (feature - centre) / std
        dgamma[c] = (grad * normal).sum()
        dbeta[c] = grad.sum()
        dx[:, c] = gamma[c] * grad / std
        if mean is None:
            d_spread = (gamma[c] * grad * (feature - centre)).sum() * -0.5 * std**-3
            d_centre = -(gamma[c] * grad).sum() / std
            dx[:, c] += d_spread * 2 * (feature - centre) / n + d_centre / n
    return dx, dgamma, dbeta


def update_running(running_mean, running_var, x, momentum):
    new_mean, new_var = running_mean.copy(), running_var.copy()
    for c in range(len(running_mean)):
        feature = x[:, c].ravel()
        new_mean[c] = (1 - momentum) * running_mean[c] + momentum * np.mean(feature)
        new_var[c] = (1 - momentum) * running_var[c] + momentum * np.var(feature)
    return new_mean, new_var


def inference(x, gamma, beta, running_mean, running_var, eps):
    y = np.empty_like(x)
    for c in range(x.shape[1]):
        y[:, c] = gamma[c] * (x[:, c] - running_mean[c]) / np.sqrt(running_var[c] + eps) + beta[c]
    return y
