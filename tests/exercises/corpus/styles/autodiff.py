"""A little tape: each operation leaves behind what turns its gradient back, as in a first framework of one's own."""

import numpy as np


class Tensor:
    def __init__(self, data, parents=()):
        self.data, self.parents, self.grad = data, parents, 0.0

    def __add__(self, other):
        return Tensor(self.data + other.data, ((self, lambda g: g), (other, lambda g: g)))

    def __mul__(self, other):
        return Tensor(self.data * other.data, ((self, lambda g: g * other.data), (other, lambda g: g * self.data)))

    def power(self, p):
        return Tensor(self.data**p, ((self, lambda g: g * p * self.data ** (p - 1)),))

    def average(self, axes):
        count = self.data.size / np.mean(self.data, axes).size
        return Tensor(self.data.mean(axes, keepdims=True), ((self, lambda g: np.ones_like(self.data) * g / count),))

    def backpropagate(self, grad):
        # Broadcasting is turned back by a sum.
        over = tuple(i for i, n in enumerate(np.shape(self.data)) if n == 1 and grad.shape[i] > 1)
        grad = grad.sum(over, keepdims=True) if over else grad
        self.grad = self.grad + grad
        for parent, back in self.parents:
            parent.backpropagate(back(grad))


def layer(x, gamma, beta, eps, mean=None, var=None):
    axes = tuple(i for i in range(x.data.ndim) if i != 1)
    mean = x.average(axes) if mean is None else mean
    centred = x + mean * Tensor(np.array(-1.0).reshape((1,) * x.data.ndim))
    var = (centred * centred).average(axes) if var is None else var
    return centred * (var + eps).power(-0.5) * gamma + beta


def tensor(v, ndim):
    return Tensor(np.asarray(v, dtype=float).reshape(1, -1, *(1,) * (ndim - 2)))


def forward(x, gamma, beta, eps):
    return layer(Tensor(x), *(tensor(v, x.ndim) for v in (gamma, beta, eps))).data


def backward(dy, x, gamma, eps, mean=None, var=None):
    inputs = Tensor(x), tensor(gamma, x.ndim), tensor(np.zeros_like(gamma), x.ndim)
    given = () if mean is None else (tensor(mean, x.ndim), tensor(var, x.ndim))
    layer(*inputs, tensor(eps, x.ndim), *given).backpropagate(dy)
    dx, dgamma, dbeta = (each.grad for each in inputs)
    return dx, dgamma.ravel(), dbeta.ravel()


def update_running(running_mean, running_var, x, momentum):
    axes = tuple(i for i in range(x.ndim) if i != 1)
    return (
        np.average([running_mean, x.mean(axes)], axis=0, weights=[1 - momentum, momentum]),
        np.average([running_var, x.var(axes)], axis=0, weights=[1 - momentum, momentum]),
    )


def inference(x, gamma, beta, running_mean, running_var, eps):
    return layer(Tensor(x), *(tensor(v, x.ndim) for v in (gamma, beta, eps, running_mean, running_var))).data
