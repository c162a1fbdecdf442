"""No NumPy but for the images' axes: lists, `sum` and `math`, one number after the other."""

import math

import numpy as np


def columns(x):
    """A list of numbers for each channel, and what puts such lists back."""
    x = np.asarray(x)
    last = np.moveaxis(x, 1, 0)

    def back(lists):
        return np.moveaxis(np.array(lists, dtype=float).reshape(last.shape), 0, 1)

    return [column.ravel().tolist() for column in last], back


def mean_and_var(values):
    mean = math.fsum(values) / len(values)
    return mean, math.fsum((v - mean) ** 2 for v in values) / len(values)


def forward(x, gamma, beta, eps):
    lists, back = columns(x)
    out = []
    for values, g, b in zip(lists, gamma, beta, strict=True):
        mean, var = mean_and_var(values)
        std = math.sqrt(var + eps)
        out.append([g * (v - mean) / std + b for v in values])
    return back(out)


def backward(dy, x, gamma, eps, mean=None, var=None):
    lists, back = columns(x)
    grads, _ = columns(dy)
    dx, dgamma, dbeta = [], [], []
    for c, (values, grad) in enumerate(zip(lists, grads, strict=True)):
        m, s2 = mean_and_var(values) if mean is None else (mean[c], var[c])
        std = math.sqrt(s2 + eps)
        hat = [(v - m) / std for v in values]
        dbeta.append(math.fsum(grad))
        dgamma.append(math.fsum(g * h for g, h in zip(grad, hat, strict=True)))
        share_b = dbeta[c] / len(values) if mean is None else 0.0
        share_g = dgamma[c] / len(values) if mean is None else 0.0
        dx.append([gamma[c] / std * (g - share_b - h * share_g) for g, h in zip(grad, hat, strict=True)])
    return back(dx), dgamma, dbeta


def update_running(running_mean, running_var, x, momentum):
    new_mean, new_var = [], []
    for old_mean, old_var, values in zip(running_mean, running_var, columns(x)[0], strict=True):
        mean, var = mean_and_var(values)
        new_mean.append(old_mean + momentum * (mean - old_mean))
        new_var.append(old_var + momentum * (var * len(values) / (len(values) - 1) - old_var))
    return new_mean, new_var


def inference(x, gamma, beta, running_mean, running_var, eps):
    lists, back = columns(x)
    out = []
    for c, values in enumerate(lists):
        std = math.sqrt(running_var[c] + eps)
        out.append([gamma[c] * (v - running_mean[c]) / std + beta[c] for v in values])
    return back(out)
