"""In place, on copies of one's own: no array that was given is touched, but for the running statistics."""

import numpy as np


def reduce_axes(x):
    return tuple(i for i in range(x.ndim) if i != 1)


def lined_up(v, x):
    return np.reshape(v, [-1 if i == 1 else 1 for i in range(x.ndim)])


def forward(x, gamma, beta, eps):
    out = x.copy()
    out -= out.mean(axis=reduce_axes(x), keepdims=True)
    var = np.square(out).mean(axis=reduce_axes(x), keepdims=True)
    var += eps
    out /= np.sqrt(var, out=var)
    out *= lined_up(gamma, x)
    out += lined_up(beta, x)
    return out


def backward(dy, x, gamma, eps, mean=None, var=None):
    axes = reduce_axes(x)
    training = mean is None
    hat = x.copy()
    hat -= hat.mean(axis=axes, keepdims=True) if training else lined_up(mean, x)
    std = np.sqrt((np.square(hat).mean(axis=axes, keepdims=True) if training else lined_up(var, x)) + eps)
    hat /= std
    dgamma = np.sum(dy * hat, axis=axes)
    dbeta = np.sum(dy, axis=axes)
    dx = dy.copy()
    if training:
        hat *= lined_up(dgamma, x)
        hat += lined_up(dbeta, x)
        hat /= x.size / x.shape[1]
        dx -= hat
    dx *= lined_up(gamma, x)
    dx /= std
    return dx, dgamma, dbeta


def update_running(running_mean, running_var, x, momentum):
    axes = reduce_axes(x)
    count = x.size / x.shape[1]
    running_mean *= 1 - momentum
    running_mean += momentum * x.mean(axis=axes)
    running_var *= 1 - momentum
    running_var += momentum * x.var(axis=axes) * (count / (count - 1))
    return running_mean, running_var


def inference(x, gamma, beta, running_mean, running_var, eps):
    out = x - lined_up(running_mean, x)
    out /= np.sqrt(lined_up(running_var, x) + eps)
    out *= lined_up(gamma, x)
    out += lined_up(beta, x)
    return out
