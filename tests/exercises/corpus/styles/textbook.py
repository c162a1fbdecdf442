"""One function for training and inference, as a textbook has it, with a case for rows and one for images."""

import numpy as np


def batch_norm(is_training, X, gamma, beta, moving_mean, moving_var, eps, momentum):
    assert len(X.shape) in (2, 4)
    if len(X.shape) == 4:
        shape = (1, X.shape[1], 1, 1)
        gamma, beta = gamma.reshape(shape), beta.reshape(shape)
        moving_mean, moving_var = moving_mean.reshape(shape), moving_var.reshape(shape)
    if not is_training:
        X_hat = (X - moving_mean) / np.sqrt(moving_var + eps)
    else:
        if len(X.shape) == 2:
            mean = X.mean(axis=0)
            var = ((X - mean) ** 2).mean(axis=0)
        else:
            mean = X.mean(axis=(0, 2, 3), keepdims=True)
            var = ((X - mean) ** 2).mean(axis=(0, 2, 3), keepdims=True)
        X_hat = (X - mean) / np.sqrt(var + eps)
        moving_mean = (1.0 - momentum) * moving_mean + momentum * mean
        moving_var = (1.0 - momentum) * moving_var + momentum * var
    Y = gamma * X_hat + beta
    return Y, X_hat, moving_mean, moving_var


def forward(x, gamma, beta, eps):
    nothing = np.zeros_like(gamma)
    return batch_norm(True, x, gamma, beta, nothing, nothing, eps, 0.1)[0]


def backward(dy, x, gamma, eps, mean=None, var=None):
    axis = 0 if x.ndim == 2 else (0, 2, 3)
    nothing = np.zeros_like(gamma)
    if mean is None:
        _, X_hat, _, batch_var = batch_norm(True, x, gamma, nothing, nothing, nothing, eps, 1.0)
    else:
        _, X_hat, _, batch_var = batch_norm(False, x, gamma, nothing, mean, var, eps, 1.0)
    if x.ndim == 4:
        gamma = gamma.reshape(1, -1, 1, 1)
    dX_hat = dy * gamma
    dgamma, dbeta = (dy * X_hat).sum(axis=axis), dy.sum(axis=axis)
    if mean is not None:
        return dX_hat / np.sqrt(batch_var + eps), dgamma, dbeta
    m = x.size / x.shape[1]
    inner = m * dX_hat - dX_hat.sum(axis=axis, keepdims=True) - X_hat * (dX_hat * X_hat).sum(axis=axis, keepdims=True)
    return inner / (m * np.sqrt(batch_var + eps)), dgamma, dbeta


def update_running(running_mean, running_var, x, momentum):
    nothing = np.zeros_like(running_mean)
    *_, mean, var = batch_norm(True, x, nothing, nothing, running_mean, running_var, 1e-5, momentum)
    return mean, var


def inference(x, gamma, beta, running_mean, running_var, eps):
    return batch_norm(False, x, gamma, beta, running_mean, running_var, eps, 0.1)[0]
