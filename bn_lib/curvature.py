"""How a network's loss curves: all parameters as one vector, its gradient, and the Hessian's products and eigenvalues.

    H = the matrix of second derivatives of the loss with respect to theta, all parameters in one vector

H is never formed where it is large. Along a vector it is the derivative of the gradient, and the gradient is what the
layers compute. Training is not here but in `training`.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from itertools import cycle
from typing import Any

import numpy as np

from bn_lib import _checks as check
from bn_lib._arrays import Array, namespace
from bn_lib.layer import (
    Layer,
    check_model,
    distinct_layers,
    method_replaced,
    only_looked_at,
    parameters_with_gradients,
    to_numpy,
)
from bn_lib.network import ReLU, softmax_cross_entropy, unwatched

# A step moves no array of weights by more than this part of its norm. The difference of two gradients is off by
# STEP**2 / 6 third derivatives, and by a rounding of the gradient over STEP: about 1e-10 in both at this size.
STEP = float(np.finfo(np.float64).eps) ** (1 / 3)


def parameter_vector(model: Layer) -> Array:
    """Return all parameters of `model` in one vector: theta, of shape `(P,)`.

    They come layer after layer, in each in the order of its `parameter_names`, row by row. A layer that is in the model
    more than once comes once. Running statistics are no parameters. The vector is a copy; where the parameters are of
    more than one dtype, it has the widest.

    Args:
        model: any layer or container with at least one parameter.

    Example:
        >>> model = bn_lib.Sequential(bn_lib.BatchNorm(2), bn_lib.ReLU(), bn_lib.LayerNorm(1))
        >>> bn_lib.parameter_vector(model)
        array([1., 1., 0., 0., 1., 0.])

    Raises:
        TypeError: if `model` is not a layer.
        ValueError: if it has no parameters.
    """
    return _joined([getattr(layer, name) for layer, name in _parameters(model)])


def set_parameter_vector(model: Layer, vector: Array) -> None:
    """Set all parameters of `model` from one vector, laid out as `parameter_vector` gives it.

    The parameters become new arrays of the dtypes they have, so values are rounded to those. Gradients, running
    statistics and forward passes stay.

    Args:
        model: any layer or container with at least one parameter.
        vector: `(P,)`, floating point, of the kind of array that the parameters are.

    Example:
        >>> layer = bn_lib.LayerNorm(2)
        >>> bn_lib.set_parameter_vector(layer, np.array([1.0, 2.0, 3.0, 4.0]))
        >>> layer.gamma, layer.beta
        (array([1., 2.]), array([3., 4.]))

    Raises:
        TypeError, ValueError: if `model` is not a layer with parameters, or `vector` of another kind or shape. Nothing
            has changed then.
    """
    slots = _parameters(model)
    _check_vector(slots, vector)
    _set(slots, vector, [getattr(layer, name).dtype for layer, name in slots])


@np.errstate(under="ignore")
def loss_and_gradient(model: Layer, x: Array, labels: Array) -> tuple[float, Array]:
    """Return the softmax cross-entropy of `model` on a mini-batch, and its gradient, without taking a step.

    Every layer is in the mode it is in: in training mode the loss is a function of the batch's statistics, and the
    gradient goes through them; in inference mode they are constants. The model is left exactly as it was: parameters,
    running statistics, gradients, last passes and modes, and the generators of its `Dropout`, so a second call drops
    the same elements. Watchers are not told. To train, use `train_step`.

    Args:
        model: a network whose output is `(N, classes)`, or any layer of that kind.
        x: `(N, ...)`, floating point.
        labels: `(N,)`, integers from 0 to classes - 1.

    Returns:
        The loss in nats, a Python float, and its gradient, `(P,)`, laid out as `parameter_vector` lays them out. Its
        dtype is that of the layers' gradients, so a float32 model with float32 data gives float32.

    Example:
        Of two classes and no idea: the loss is log(2).

        >>> layer = bn_lib.Dense(1, 2, bias=False, init=0.0, rng=np.random.default_rng(0))
        >>> loss, gradient = bn_lib.loss_and_gradient(layer, np.array([[3.0]]), np.array([1]))
        >>> round(loss, 4), gradient
        (0.6931, array([ 1.5, -1.5]))

    Raises:
        TypeError, ValueError: as `model` and `softmax_cross_entropy` do, or if `model` has no parameters. Nothing has
            changed then.
    """
    _parameters(model)
    check.input(x)
    check.labels(labels, x, None)
    with only_looked_at(model), unwatched(model):
        loss, dlogits = softmax_cross_entropy(model.forward(x), labels)
        model.fill_grads(dlogits)
        return loss, _joined([gradient for *_, gradient in parameters_with_gradients(model)])


def hessian_vector_product(model: Layer, x: Array, labels: Array, vector: Array) -> Array:
    """Return the Hessian of the loss times a vector: how the gradient changes along it.

        H v = d/dh gradient(theta + h * v) at h = 0
            = (gradient(theta + h * v) - gradient(theta - h * v)) / (2 * h), as it is computed

    The model's mode says which function is differentiated, and everything is left as it was, as in
    `loss_and_gradient`. In training mode the path through the batch's statistics counts in the second derivative too.

    All is computed in float64: a float32 model is taken as the float64 model with the same parameters, because the
    difference of two float32 gradients would have two or three digits. h moves no array of weights by more than 6e-6 of
    its norm, and no bias, gamma or beta by more than 6e-6 of the larger of its norm and sqrt(its size), so that weights
    of any scale are differentiated at theirs. The result is then right to about 1e-9 of its norm.

    Each `ReLU` lets through, at theta + h*v and theta - h*v, the elements that it lets through at theta. So the result
    is the Hessian of the smooth piece that theta lies on, as automatic differentiation gives it: the kinks themselves,
    across which the gradient jumps, are not in it. A layer of one's own with a kink has no such care taken, and a step
    that happens to cross its kink adds the jump over 2*h. For a layer that treats something as a constant in `backward`
    although it depends on theta, the "gradient" is not that of the loss, and H need not be symmetric.

    Args:
        model: a network whose output is `(N, classes)`.
        x: `(N, ...)`, floating point.
        labels: `(N,)`, integers from 0 to classes - 1.
        vector: v, `(P,)`, floating point and finite, laid out as `parameter_vector` lays them out.

    Returns:
        H v, `(P,)`, float64.

    Example:
        One weight w for class 1, of a feature 2: the loss is log(1 + exp(-2*w)), its second derivative at 0 is 1.

        >>> layer = bn_lib.Dense(1, 2, bias=False, init=0.0, rng=np.random.default_rng(0))
        >>> x, labels = np.array([[2.0]]), np.array([1])
        >>> bn_lib.hessian_vector_product(layer, x, labels, np.array([0.0, 1.0])).round(6)
        array([-1.,  1.])

    Raises:
        TypeError, ValueError: as `loss_and_gradient`; also if `vector` is of another kind or shape, or not finite.

    Source: Pearlmutter (1994), "Fast exact multiplication by the Hessian", who begins with this difference and goes on
    to an exact way, which takes two more passes written for every kind of layer.
    """
    _check_vector(_parameters(model), vector)
    if not bool(namespace(vector).all(namespace(vector).isfinite(vector))):
        raise ValueError("vector holds a NaN or an infinity; expected finite numbers")
    with _hessian(model, x, labels) as times:
        return times(vector)


def hessian_eigenvalues(model: Layer, x: Array, labels: Array, k: int = 1) -> np.ndarray[Any, Any]:
    """Return the k largest eigenvalues of the Hessian of the loss, largest first.

        H u = lambda u

    A step of plain gradient descent is stable along u while its learning rate is below 2 / lambda. Mode, errors and
    precision are those of `hessian_vector_product`, and nothing of the model changes. Where P is small, or k near it,
    H is formed, P products for all P eigenvalues: `k=parameter_vector(model).size` is the whole spectrum. Otherwise
    the Lanczos iteration of SciPy takes a few dozen products, until each value is right to 1e-6 of itself; its start is
    the same in every call.

    Args:
        model: a network whose output is `(N, classes)`.
        x: `(N, ...)`, floating point.
        labels: `(N,)`, integers from 0 to classes - 1.
        k: how many; from 1 to P.

    Returns:
        `(k,)`, float64, a NumPy array: the algebraically largest, so negative ones come last.

    Example:
        >>> layer = bn_lib.Dense(1, 2, bias=False, init=0.0, rng=np.random.default_rng(0))
        >>> bn_lib.hessian_eigenvalues(layer, np.array([[2.0]]), np.array([1]), k=2).round(6)
        array([2., 0.])

    Raises:
        TypeError, ValueError: as `loss_and_gradient`; also if k is out of range, or H holds a NaN or an infinity.
        ImportError: if SciPy is needed and not installed.

    Source: Lanczos (1950); scipy.sparse.linalg.eigsh (ARPACK).
    """
    k, size = check.positive_int(k, "k"), int(parameter_vector(model).shape[0])
    if k > size:
        raise ValueError(f"k is {k}; expected at most the {size} parameters of the model")
    with _hessian(model, x, labels) as times:
        xp = namespace(x)

        def product(vector: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
            found = to_numpy(times(xp.asarray(vector.reshape(-1), dtype=xp.float64)))
            if not np.isfinite(found).all():
                raise ValueError("the Hessian holds a NaN or an infinity; expected a model whose gradient is finite")
            return found

        if size <= max(2 * k + 1, 20):  # as many products as Lanczos vectors
            h = np.stack([product(column) for column in np.eye(size)])
            return np.linalg.eigvalsh((h + h.T) / 2)[: -k - 1 : -1]
        try:
            # By its name, because a notebook in the browser fetches all that its modules say they import.
            sparse = import_module("scipy.sparse.linalg")
        except ImportError as error:
            raise ImportError("the largest eigenvalues of many need SciPy: pip install scipy") from error
        operator = sparse.LinearOperator((size, size), matvec=product, dtype=np.float64)
        start = np.random.default_rng(0).normal(size=size)
        largest = sparse.eigsh(operator, k=k, which="LA", v0=start, tol=1e-6, return_eigenvectors=False)
        return np.sort(largest)[::-1]


@contextmanager
def _hessian(model: Layer, x: Array, labels: Array) -> Iterator[Callable[[Array], Array]]:
    """Yield what multiplies a vector by the Hessian at the model's parameters, all in float64."""
    slots = _parameters(model)
    check.input(x)
    xp = namespace(x)
    x = xp.astype(x, xp.float64, copy=False)
    theta = xp.astype(parameter_vector(model), xp.float64)
    lengths = [_length(xp, getattr(layer, name)) for layer, name in slots]
    wide = [xp.float64] * len(slots)

    def gradient(at: Array) -> Array:
        _set(slots, at, wide)
        return loss_and_gradient(model, x, labels)[1]

    def times(vector: Array) -> Array:
        direction = xp.astype(vector, xp.float64, copy=False)
        unit = float(xp.max(xp.abs(direction)))  # the squares of very large or small numbers are none
        if unit == 0:
            return xp.zeros_like(direction)
        direction = direction / unit
        parts = _parts(slots, direction)
        speed = max(float(xp.linalg.vector_norm(part)) / length for part, length in zip(parts, lengths, strict=True))
        h = STEP / speed
        return (gradient(theta + h * direction) - gradient(theta - h * direction)) / (2 * h) * unit

    with only_looked_at(model), _relus_held(model) as hold:
        gradient(theta)
        hold()
        yield times


def _length(xp: Any, parameter: Array) -> float:
    """The length on which the loss may change with a parameter.

    A loss with a normalizer in it does not change with the scale of the weights before it, so for those it is their
    norm, however small. Biases, gamma and beta are in units of what they are added to or multiply: about 1 each.
    """
    norm, plain = float(xp.linalg.vector_norm(xp.astype(parameter, xp.float64))), parameter.size**0.5
    return max(norm, plain) if parameter.ndim < 2 or norm == 0 else norm


@contextmanager
def _relus_held(model: Layer) -> Iterator[Callable[[], None]]:
    """Yield a function; in passes after its call each ReLU lets through what it did in the one pass before it."""
    positive: list[Array] = []
    held: list[Iterator[Array]] = []

    def forward(relu: ReLU, x: Array) -> Array:
        if not held:
            y = ReLU.forward(relu, x)
            positive.append(relu.last_pass.cache)
            return y
        mask = next(held[0])
        relu._keep(mask)
        return x * namespace(x).astype(mask, x.dtype)

    relus = [layer for layer in distinct_layers(model) if type(layer) is ReLU]
    with method_replaced(relus, "forward", forward):
        yield lambda: held.append(cycle(positive))


def _parameters(model: Layer) -> list[tuple[Layer, str]]:
    """Every parameter once, as its layer and name."""
    found = [(layer, name) for layer in distinct_layers(check_model(model, "model")) for name in layer.parameter_names]
    if not found:
        raise ValueError(f"model is a {type(model).__name__} without parameters; expected at least one")
    return found


def _check_vector(slots: list[tuple[Layer, str]], vector: Array) -> None:
    parameters = [getattr(layer, name) for layer, name in slots]
    check.same_kind(parameters[0], vector, "vector")
    size = sum(parameter.size for parameter in parameters)
    if tuple(vector.shape) != (size,):
        raise ValueError(f"vector has shape {vector.shape}; expected ({size},), all parameters of the model")


def _joined(arrays: list[Array]) -> Array:
    xp = namespace(arrays[0])
    return xp.concat([xp.reshape(array, (-1,)) for array in arrays])


def _parts(slots: list[tuple[Layer, str]], vector: Array) -> list[Array]:
    """The part of `vector` that each parameter is, in its shape."""
    parts, start = [], 0
    for layer, name in slots:
        parameter = getattr(layer, name)
        parts.append(namespace(vector).reshape(vector[start : start + parameter.size], parameter.shape))
        start += parameter.size
    return parts


def _set(slots: list[tuple[Layer, str]], vector: Array, dtypes: list[Any]) -> None:
    """Set parameters from parts of `vector`, as copies."""
    for (layer, name), part, dtype in zip(slots, _parts(slots, vector), dtypes, strict=True):
        setattr(layer, name, namespace(part).astype(part, dtype))
