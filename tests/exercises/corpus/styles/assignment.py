"""The functions of a university's assignment, with `bn_param` and a momentum that keeps, adapted to this exercise."""

import numpy as np


def batchnorm_train(x, gamma, beta, bn_param):
    eps, keep = bn_param["eps"], bn_param.get("momentum", 0.9)
    sample_mean = np.mean(x, axis=0)
    sample_var = np.var(x, axis=0)
    x_norm = (x - sample_mean) / np.sqrt(sample_var + eps)
    out = gamma * x_norm + beta
    for name, sample in (("running_mean", sample_mean), ("running_var", sample_var)):
        if name in bn_param:
            bn_param[name] = keep * bn_param[name] + (1 - keep) * sample
    return out, (x, sample_mean, sample_var, x_norm, gamma, eps)


def batchnorm_backward(dout, cache):
    x, mean, var, x_norm, gamma, eps = cache
    N = x.shape[0]
    dgamma = np.sum(dout * x_norm, axis=0)
    dbeta = np.sum(dout, axis=0)
    dx_norm = dout * gamma
    dvar = np.sum(dx_norm * (x - mean) * -0.5 * (var + eps) ** -1.5, axis=0)
    dmean = np.sum(-dx_norm / np.sqrt(var + eps), axis=0) + dvar * np.sum(-2 * (x - mean), axis=0) / N
    dx = dx_norm / np.sqrt(var + eps) + dvar * 2 * (x - mean) / N + dmean / N
    return dx, dgamma, dbeta


def flat(x):
    if x.ndim == 2:
        return x
    N, C, H, W = x.shape
    return np.transpose(x, (0, 2, 3, 1)).reshape((N * H * W, C))


def spatial(y, x):
    if x.ndim == 2:
        return y
    N, C, H, W = x.shape
    return y.reshape((N, H, W, C)).transpose((0, 3, 1, 2))


def forward(x, gamma, beta, eps):
    out, _ = batchnorm_train(flat(x), gamma, beta, {"eps": eps})
    return spatial(out, x)


def backward(dy, x, gamma, eps, mean=None, var=None):
    if mean is not None:
        std = np.sqrt(var + eps)
        x_norm = (flat(x) - mean) / std
        dout = flat(dy)
        return spatial(dout * gamma / std, x), np.sum(dout * x_norm, axis=0), np.sum(dout, axis=0)
    _, cache = batchnorm_train(flat(x), gamma, 0, {"eps": eps})
    dx, dgamma, dbeta = batchnorm_backward(flat(dy), cache)
    return spatial(dx, x), dgamma, dbeta


def update_running(running_mean, running_var, x, momentum):
    bn_param = {"eps": 1e-5, "momentum": 1 - momentum, "running_mean": running_mean, "running_var": running_var}
    batchnorm_train(flat(x), 1, 0, bn_param)
    return bn_param["running_mean"], bn_param["running_var"]


def inference(x, gamma, beta, running_mean, running_var, eps):
    x_norm = (flat(x) - running_mean) / np.sqrt(running_var + eps)
    return spatial(gamma * x_norm + beta, x)
