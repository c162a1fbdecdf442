"""The small network that the chapters train: dense and convolutional layers, activations, dropout, and the loss.

Written to be read, in the spirit of the normalizers: a forward formula, its gradient, nothing hidden. Normalizing
layers are in `batchnorm`; the optimizer and the training loop in `training`.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, overload

import numpy as np

from bn_lib import _checks as check
from bn_lib._arrays import Array, Namespace, channel_shape, namespace, one_hot, statistics_dtype, work_dtype
from bn_lib.layer import Layer, Pass, Setting, distinct_layers, put_back, undone_if_it_raises

Watcher = Callable[[str, int, Layer, Array], None]


def initial_weights(
    shape: tuple[int, ...],
    fan_in: int,
    fan_out: int,
    init: str | float,
    rng: np.random.Generator,
    dtype: Any = None,
    xp: Namespace = np,
) -> Array:
    """Normally distributed weights with mean 0.

    Args:
        shape: of the result.
        fan_in: inputs that one output sums.
        fan_out: outputs that one input goes to.
        init: "he" for a standard deviation of sqrt(2 / fan_in) (He et al. 2015, eq. 10), "glorot" for
            sqrt(2 / (fan_in + fan_out)) (Glorot and Bengio 2010, eq. 12), or the standard deviation itself.
        rng: where the numbers come from.
        dtype: of the result; float64 by default.
        xp: the namespace of the result.

    Raises:
        TypeError: if `rng` is not a generator, or `dtype` not a floating-point type.
        ValueError: if `init` is none of these.
    """
    check.rng(rng)
    variances = {"he": 2 / fan_in, "glorot": 2 / (fan_in + fan_out)}
    if isinstance(init, str) and init not in variances:
        raise ValueError(f"init is {init!r}; expected 'he', 'glorot' or a standard deviation")
    std = math.sqrt(variances[init]) if isinstance(init, str) else check.number(init, "init", low=0.0)
    return xp.asarray(rng.normal(size=shape) * std, dtype=check.dtype(dtype, xp))


class Dense(Layer):
    """A fully connected layer: y = x @ weight + bias.

    Args:
        inputs: features of x.
        outputs: features of y.
        bias: whether to add one. Leave it out before Batch Normalization, which subtracts it again.
        init: see `initial_weights`; the bias starts at 0.
        rng: source of the initial weights; required, so that every run can be repeated.
        dtype: of weight and bias.
        xp: the namespace that the parameters live in.

    Attributes:
        weight: `(inputs, outputs)`.
        bias: `(outputs,)`, or None.

    Examples:
        >>> layer = bn_lib.Dense(2, 1, rng=np.random.default_rng(0))
        >>> layer.weight, layer.bias = np.array([[3.0], [4.0]]), np.array([0.5])
        >>> layer.forward(np.array([[1.0, 1.0], [0.0, 2.0]]))
        array([[7.5],
               [8.5]])
        >>> layer.backward(np.array([[1.0], [1.0]]))
        array([[3., 4.],
               [3., 4.]])
        >>> layer.grads["weight"], layer.grads["bias"]
        (array([[1.],
               [3.]]), array([2.]))
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        rng: np.random.Generator,
        bias: bool = True,
        init: str | float = "he",
        dtype: Any = np.float64,
        xp: Namespace = np,
    ) -> None:
        super().__init__()
        inputs, outputs = check.positive_int(inputs, "inputs"), check.positive_int(outputs, "outputs")
        self.weight = initial_weights((inputs, outputs), inputs, outputs, init, rng, dtype, xp)
        self.bias = xp.zeros((outputs,), dtype=self.weight.dtype) if bias else None
        self.parameter_names = ("weight", "bias") if bias else ("weight",)

    def forward(self, x: Array) -> Array:
        """Return `(N, outputs)` for x of shape `(N, inputs)`."""
        self._check_x(x)
        check.same_kind(x, self.weight, "weight")
        if self.weight.ndim != 2:
            raise ValueError(f"weight has shape {self.weight.shape}; expected (inputs, outputs)")
        inputs, outputs = self.weight.shape
        if x.ndim != 2 or x.shape[1] != inputs:
            raise ValueError(f"x has shape {x.shape}; expected (N, {inputs})")
        y = x @ self.weight
        if self.bias is not None:
            check.parameter(x, self.bias, "bias", (outputs,))
            y = y + self.bias
        self._keep((x, self.weight))
        return y

    def backward(self, dy: Array) -> Array:
        """dx = dy @ weight.T; dweight = x.T @ dy; dbias = sum(dy)."""
        return dy @ self._fill_grads(dy).T

    def fill_grads(self, dy: Array) -> None:
        """dweight = x.T @ dy; dbias = sum(dy)."""
        self._fill_grads(dy)

    def _fill_grads(self, dy: Array) -> Array:
        """Set `grads` and return the weight of the forward pass."""
        x, weight = self._last()
        check.gradient(dy, x, (x.shape[0], weight.shape[1]))
        self.grads["weight"] = x.T @ dy
        if self.bias is not None:
            self.grads["bias"] = namespace(dy).sum(dy, axis=0)
        self._went_back()
        return weight


class Conv2d(Layer):
    """A two-dimensional convolution (cross-correlation, as everywhere in deep learning) with zero padding.

        y[n, f, i, j] = bias[f] + sum over c, a, b of weight[f, c, a, b] * x[n, c, i*stride + a, j*stride + b]

    The windows are gathered into columns (im2col), so the sum is one matrix product. Inside, the mini-batch is the last
    axis, (C, H, W, N), so that what is copied lies together in pieces of N; y and dx are transposed views of that.

    Args:
        inputs: channels of x.
        outputs: channels of y.
        kernel_size: height and width of the window.
        stride: step from one window to the next.
        padding: zeros added on every side; kernel_size // 2 keeps the size for an odd window and stride 1.
        bias: whether to add one. Leave it out before Batch Normalization.
        init: see `initial_weights`; the bias starts at 0.
        rng: source of the initial weights; required, so that every run can be repeated.
        dtype: of weight and bias.
        xp: the namespace that the parameters live in.

    Attributes:
        weight: `(outputs, inputs, kernel_size, kernel_size)`.
        bias: `(outputs,)`, or None.

    Examples:
        A window of ones with zeros around the image counts the neighbours of a pixel, itself included.

        >>> layer = bn_lib.Conv2d(1, 1, 3, padding=1, rng=np.random.default_rng(0))
        >>> layer.weight = np.ones((1, 1, 3, 3))
        >>> layer.forward(np.ones((1, 1, 3, 3)))
        array([[[[4., 6., 4.],
                 [6., 9., 6.],
                 [4., 6., 4.]]]])
    """

    stride = Setting(check.positive_int)
    padding = Setting(partial(check.positive_int, low=0))

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel_size: int,
        *,
        rng: np.random.Generator,
        stride: int = 1,
        padding: int = 0,
        bias: bool = True,
        init: str | float = "he",
        dtype: Any = np.float64,
        xp: Namespace = np,
    ) -> None:
        super().__init__()
        inputs, outputs = check.positive_int(inputs, "inputs"), check.positive_int(outputs, "outputs")
        kernel_size = check.positive_int(kernel_size, "kernel_size")
        self.stride, self.padding = stride, padding
        window = kernel_size**2
        shape = (outputs, inputs, kernel_size, kernel_size)
        self.weight = initial_weights(shape, inputs * window, outputs * window, init, rng, dtype, xp)
        self.bias = xp.zeros((outputs,), dtype=self.weight.dtype) if bias else None
        self.parameter_names = ("weight", "bias") if bias else ("weight",)

    @property
    def kernel_size(self) -> int:
        """Height and width of the window."""
        return int(self.weight.shape[2])

    def forward(self, x: Array) -> Array:
        """Return `(N, outputs, H', W')` for x of shape `(N, inputs, H, W)`; H' = (H + 2*padding - kernel)//stride + 1.

        Raises:
            ValueError: if x has another shape or is smaller than the window.
        """
        self._check_x(x)
        check.same_kind(x, self.weight, "weight")
        if self.weight.ndim != 4 or self.weight.shape[2] != self.weight.shape[3]:
            raise ValueError(f"weight has shape {self.weight.shape}; expected (outputs, inputs, kernel, kernel)")
        outputs, inputs, _, _ = self.weight.shape
        if x.ndim != 4 or x.shape[1] != inputs:
            raise ValueError(f"x has shape {x.shape}; expected (N, {inputs}, H, W)")
        if min(x.shape[2:]) + 2 * self.padding < self.kernel_size:
            raise ValueError(
                f"x has shape {x.shape}; expected at least {self.kernel_size - 2 * self.padding} rows and columns "
                f"for a window of {self.kernel_size} with padding {self.padding}"
            )
        xp = namespace(x)
        columns, (height, width) = self._columns(x)
        y = xp.reshape(self.weight, (outputs, -1)) @ columns
        y = xp.permute_dims(xp.reshape(y, (outputs, height, width, x.shape[0])), (3, 0, 1, 2))
        if self.bias is not None:
            check.parameter(x, self.bias, "bias", (outputs,))
            y = y + xp.reshape(self.bias, channel_shape(4))
        self._keep((columns, self.weight, x.shape, y.shape))
        return y

    def backward(self, dy: Array) -> Array:
        """The transpose of `forward`: each window's gradient is added back to where the window was read."""
        flat, weight, x_shape, y_shape = self._fill_grads(dy)
        dcolumns = namespace(dy).reshape(weight, (weight.shape[0], -1)).T @ flat
        return self._add_back(dcolumns, x_shape, y_shape)

    def fill_grads(self, dy: Array) -> None:
        """dweight = dy @ columns.T; dbias = sum(dy)."""
        self._fill_grads(dy)

    def _fill_grads(self, dy: Array) -> tuple[Array, Array, tuple[int, ...], tuple[int, ...]]:
        """Set `grads`; return dy as `(outputs, H' * W' * N)`, the weight of the forward pass, the shapes of x and y."""
        columns, weight, x_shape, y_shape = self._last()
        check.gradient(dy, columns, y_shape)
        xp = namespace(dy)
        flat = xp.reshape(xp.permute_dims(dy, (1, 2, 3, 0)), (y_shape[1], columns.shape[1]))
        self.grads["weight"] = xp.reshape(flat @ columns.T, weight.shape)
        if self.bias is not None:
            self.grads["bias"] = xp.sum(flat, axis=1)
        self._went_back()
        return flat, weight, x_shape, y_shape

    def _columns(self, x: Array) -> tuple[Array, tuple[int, int]]:
        """All windows as columns, `(inputs * kernel * kernel, H' * W' * N)`, and H' and W'."""
        xp = namespace(x)
        n, channels, rows, cols = x.shape
        p, k = self.padding, self.kernel_size
        padded = xp.zeros((channels, rows + 2 * p, cols + 2 * p, n), dtype=x.dtype)
        padded[:, p : p + rows, p : p + cols, :] = xp.permute_dims(x, (1, 2, 3, 0))
        height, width = (rows + 2 * p - k) // self.stride + 1, (cols + 2 * p - k) // self.stride + 1
        columns = xp.empty((channels, k, k, height, width, n), dtype=x.dtype)
        for a, b, rows_read, cols_read in self._window(height, width):
            columns[:, a, b, ...] = padded[:, rows_read, cols_read, :]
        return xp.reshape(columns, (channels * k * k, height * width * n)), (height, width)

    def _add_back(self, dcolumns: Array, x_shape: tuple[int, ...], y_shape: tuple[int, ...]) -> Array:
        """The transpose of `_columns`: dx from the gradient with respect to the columns."""
        xp = namespace(dcolumns)
        (n, channels, rows, cols), (_, _, height, width) = x_shape, y_shape
        p, k = self.padding, self.kernel_size
        dcolumns = xp.reshape(dcolumns, (channels, k, k, height, width, n))
        dpadded = xp.zeros((channels, rows + 2 * p, cols + 2 * p, n), dtype=dcolumns.dtype)
        for a, b, rows_read, cols_read in self._window(height, width):
            dpadded[:, rows_read, cols_read, :] += dcolumns[:, a, b, ...]
        return xp.permute_dims(dpadded[:, p : p + rows, p : p + cols, :], (3, 0, 1, 2))

    def _window(self, height: int, width: int) -> Iterator[tuple[int, int, slice, slice]]:
        """Each place (a, b) in the window with the rows and columns it reads as the window moves."""
        for a in range(self.kernel_size):
            for b in range(self.kernel_size):
                rows = slice(a, a + self.stride * (height - 1) + 1, self.stride)
                yield a, b, rows, slice(b, b + self.stride * (width - 1) + 1, self.stride)


class ReLU(Layer):
    """y = max(x, 0); its gradient is dy * (x > 0): dy where x is positive, and 0 elsewhere.

    Examples:
        >>> layer = bn_lib.ReLU()
        >>> layer.forward(np.array([[-2.0, 0.0, 3.0]]))
        array([[0., 0., 3.]])
        >>> layer.backward(np.ones((1, 3)))
        array([[0., 0., 1.]])
    """

    def forward(self, x: Array) -> Array:
        """Return max(x, 0), of the shape of x."""
        self._check_x(x)
        self._keep(x > 0)
        return namespace(x).maximum(x, 0.0)

    def backward(self, dy: Array) -> Array:
        """Return dy * (x > 0)."""
        positive = self._last()
        check.gradient(dy, positive)
        self._went_back()
        # A product and not `where`, which branches at every element: at signs that nobody can predict, that is slow.
        return dy * namespace(dy).astype(positive, dy.dtype)


class Sigmoid(Layer):
    """y = 1 / (1 + exp(-x)); its gradient is dy * y * (1 - y).

    Examples:
        >>> layer = bn_lib.Sigmoid()
        >>> layer.forward(np.array([[-1000.0, 0.0]]))
        array([[0. , 0.5]])
        >>> layer.backward(np.ones((1, 2)))
        array([[0.  , 0.25]])
    """

    def forward(self, x: Array) -> Array:
        """Return the logistic function of x, of its shape; written with tanh so that no exponential overflows."""
        self._check_x(x)
        y = 0.5 * (1 + namespace(x).tanh(0.5 * x))
        self._keep(y)
        return y

    def backward(self, dy: Array) -> Array:
        """Return dy * y * (1 - y)."""
        y = self._last()
        check.gradient(dy, y)
        self._went_back()
        return dy * y * (1 - y)


class Tanh(Layer):
    """y = tanh(x); its gradient is dy * (1 - y**2).

    Examples:
        >>> layer = bn_lib.Tanh()
        >>> layer.forward(np.array([[0.0, 1000.0]]))
        array([[0., 1.]])
        >>> layer.backward(np.ones((1, 2)))
        array([[1., 0.]])
    """

    def forward(self, x: Array) -> Array:
        """Return tanh(x), of the shape of x."""
        self._check_x(x)
        y = namespace(x).tanh(x)
        self._keep(y)
        return y

    def backward(self, dy: Array) -> Array:
        """Return dy * (1 - y**2)."""
        y = self._last()
        check.gradient(dy, y)
        self._went_back()
        return dy * (1 - y * y)


class Flatten(Layer):
    """`(N, C, H, W)` -> `(N, C*H*W)`: what stands between convolutions and a dense layer.

    Where the order of memory allows it, y is a view of x: the same numbers under another shape.

    Examples:
        >>> layer = bn_lib.Flatten()
        >>> layer.forward(np.ones((2, 3, 4, 4))).shape
        (2, 48)
        >>> layer.backward(np.ones((2, 48))).shape
        (2, 3, 4, 4)
    """

    def forward(self, x: Array) -> Array:
        """Return x with everything but the first axis made one."""
        self._check_x(x)
        check.input(x, least=0)
        y = namespace(x).reshape(x, (x.shape[0], math.prod(x.shape[1:])))
        self._keep((x.shape, y))
        return y

    def backward(self, dy: Array) -> Array:
        """Return dy in the shape of x."""
        shape, y = self._last()
        check.gradient(dy, y)
        self._went_back()
        return namespace(dy).reshape(dy, shape)


class Dropout(Layer):
    """In training each element is kept with probability 1 - rate and divided by it; in inference nothing happens.

    Args:
        rate: probability of dropping an element, 0 <= rate < 1.
        rng: where the choice comes from; required, so that every run can be repeated.

    Examples:
        >>> layer = bn_lib.Dropout(0.5, rng=np.random.default_rng(0))
        >>> layer.forward(np.ones((1, 4)))
        array([[2., 0., 0., 0.]])
        >>> layer.eval().forward(np.ones((1, 4)))
        array([[1., 1., 1., 1.]])

    Source: Srivastava et al. (2014), in the "inverted" form that leaves inference alone.
    """

    rate = Setting(partial(check.below_one, otherwise="nothing would be left"))

    def __init__(self, rate: float, *, rng: np.random.Generator) -> None:
        super().__init__()
        self.rate = rate
        check.rng(rng)
        self._rng = rng

    def forward(self, x: Array) -> Array:
        """Return x with some elements dropped in training, and x itself in inference."""
        self._check_x(x)
        xp = namespace(x)
        if self.training:
            keep = xp.asarray(self._rng.random(x.shape) >= self.rate)
            factor = xp.astype(keep, x.dtype) / (1 - self.rate)
        else:
            factor = xp.ones_like(x)
        self._keep(factor)
        return x * factor

    def backward(self, dy: Array) -> Array:
        """Return dy where x was kept, with the same factor."""
        factor = self._last()
        check.gradient(dy, factor)
        self._went_back()
        return dy * factor


class Sequential(Layer):
    """Layers one after the other.

    The same layer may be in it more than once, also inside another `Sequential`, and several networks may share layers:
    each remembers the passes of its own. The gradients of a layer that is used more than once are added up. Two layers
    that were given the same array as a parameter share only its first values.

    It is read as a sequence: `len(model)`, `model[0]`, `for layer in model`, and `model[:-1]`, a network of the same
    layers without the last. Its state dict names every array by the layer's position: "0.weight", "1.gamma".

    Attributes:
        stack: the layers, first to last; a tuple.
        watchers: functions called as `watcher(kind, index, layer, array)` with every layer's output ("activation", on
            the way forward) and the gradient with respect to that output ("gradient", on the way back). They look on:
            the arrays are those that the layers go on with.

    Examples:
        A network with tied weights: the product of twice 3 has the derivative 2 * 3.

        >>> layer = bn_lib.Dense(1, 1, bias=False, rng=np.random.default_rng(0))
        >>> layer.weight = np.array([[3.0]])
        >>> model = bn_lib.Sequential(layer, layer)
        >>> model.forward(np.array([[1.0]]))
        array([[9.]])
        >>> model.backward(np.array([[1.0]]))
        array([[9.]])
        >>> layer.grads["weight"]
        array([[6.]])
    """

    def __init__(self, *layers: Layer) -> None:
        super().__init__()
        self.stack = layers
        self.watchers: list[Watcher] = []

    @property
    def stack(self) -> tuple[Layer, ...]:
        """The layers, first to last."""
        return self._stack

    @stack.setter
    def stack(self, layers: Iterable[Layer]) -> None:
        layers = tuple(layers)
        for i, layer in enumerate(layers):
            if not isinstance(layer, Layer):
                raise TypeError(f"layer {i} is a {type(layer).__name__}; expected a Layer")
            if any(inner is self for inner in layer.layers()):
                raise ValueError(f"layer {i} holds the Sequential that it would be in; expected another")
        self._stack = layers
        self.last_pass = Pass()

    def __len__(self) -> int:
        """How many layers there are; those of an inner container count as one."""
        return len(self.stack)

    def __iter__(self) -> Iterator[Layer]:
        """The layers, first to last."""
        return iter(self.stack)

    @overload
    def __getitem__(self, index: int) -> Layer: ...

    @overload
    def __getitem__(self, index: slice) -> "Sequential": ...

    def __getitem__(self, index: int | slice) -> "Layer | Sequential":
        """The layer at a position, or for a slice a `Sequential` of those layers, which both then hold."""
        return Sequential(*self.stack[index]) if isinstance(index, slice) else self.stack[index]

    def forward(self, x: Array) -> Array:
        """Return the last layer's output.

        If a layer raises, all running statistics are as they were, and there is no pass to go back from.
        """
        passes: list[list[tuple[Layer, Pass]]] = []
        with undone_if_it_raises(self):
            self._keep(passes)
            for i, layer in enumerate(self.stack):
                x = layer.forward(x)
                passes.append([(inner, inner.last_pass) for inner in layer.layers()])
                self._tell("activation", i, layer, x)
        return x

    def backward(self, dy: Array) -> Array:
        """Return the gradient with respect to the first layer's input; every layer's `grads` are set."""
        return self._go_back(dy, needs_dx=True)

    def fill_grads(self, dy: Array) -> None:
        """Set every layer's `grads`; the first layer's input is data, which has no use for a gradient."""
        self._go_back(dy, needs_dx=False)

    def _go_back(self, dy: Array, *, needs_dx: bool) -> Array:
        """Go back through the pass that was remembered; without one, through what each layer remembers itself."""
        remembered = self.last_pass.cache is not None or self.last_pass.skipped
        passes = self._last() if remembered else [()] * len(self.stack)
        places = [id(layer) for layer in self.layers()]
        shared = len(set(places)) < len(places)  # whether a layer is here more than once
        totals: dict[int, dict[str, Array]] = {}
        for i, layer in reversed(list(enumerate(self.stack))):
            self._tell("gradient", i, layer, dy)
            for inner, kept in passes[i]:
                inner.last_pass = kept
            if i > 0 or needs_dx:
                dy = layer.backward(dy)
            else:
                layer.fill_grads(dy)
            for inner in distinct_layers(layer) if shared else ():
                if earlier := totals.get(id(inner)):
                    inner.grads = {name: earlier[name] + gradient for name, gradient in inner.grads.items()}
                totals[id(inner)] = dict(inner.grads)
        self._went_back()
        return dy

    def _inner(self) -> tuple[Layer, ...]:
        return self.stack

    def named_state(self) -> Iterator[tuple[str, Layer, str]]:
        """Every stored array as ("position.name", its layer, its attribute)."""
        for i, layer in enumerate(self.stack):
            for key, owner, name in layer.named_state():
                yield f"{i}.{key}", owner, name

    def _tell(self, kind: str, index: int, layer: Layer, array: Array) -> None:
        for watcher in self.watchers:
            watcher(kind, index, layer, array)


class Residual(Sequential):
    """A residual block: y = x + F(x), where F is the layers one after the other; dx = dy + (dF/dx) dy.

    Nothing follows the sum. For the block of He et al. (2015), with a ReLU after it, put one behind it; their block of
    2016 begins with BN and ReLU. State dict, modes and watchers are those of a `Sequential` of the same layers.

    Args:
        layers: those of F, first to last; together they keep the shape of x.

    Examples:
        >>> block = bn_lib.Residual(bn_lib.ReLU())
        >>> block.forward(np.array([[-1.0, 3.0]]))
        array([[-1.,  6.]])
        >>> block.backward(np.ones((1, 2)))
        array([[1., 2.]])

    Raises:
        ValueError: in `forward`, if F(x) has another shape than x; running statistics are then as they were.

    Source: He et al. (2016), "Identity Mappings in Deep Residual Networks", eq. 1 with f the identity.
    """

    def forward(self, x: Array) -> Array:
        """Return x + F(x), of the shape of x."""
        self._check_x(x)
        with undone_if_it_raises(self):
            y = super().forward(x)
            if y.shape != x.shape:
                raise ValueError(f"x has shape {x.shape} and F(x) {y.shape}; expected layers that keep the shape")
        return x + y

    def backward(self, dy: Array) -> Array:
        """Return the gradient with respect to x; every layer's `grads` are set."""
        return dy + super().backward(dy)

    def fill_grads(self, dy: Array) -> None:
        """Set every layer's `grads`."""
        super().fill_grads(dy)


@contextmanager
def unwatched(model: Layer) -> Iterator[None]:
    """Tell no watcher of the passes inside: a `Recorder` would count them as steps."""
    watched = [layer for layer in distinct_layers(model) if isinstance(layer, Sequential)]
    with put_back((layer, "watchers") for layer in watched):
        for layer in watched:
            layer.watchers = []
        yield


@np.errstate(under="ignore")  # the exponential of a logit far below the largest is 0
def softmax_cross_entropy(logits: Array, labels: Array) -> tuple[float, Array]:
    """Mean cross-entropy of the softmax of `logits` against integer `labels`, and its gradient.

        loss = mean over n of (log(sum over k of exp(logits[n, k])) - logits[n, labels[n]])
        dlogits = (softmax(logits) - onehot(labels)) / N

    The largest logit of each row is subtracted first, so nothing overflows.

    Args:
        logits: `(N, classes)`, floating point.
        labels: `(N,)`, integers from 0 to classes - 1.

    Returns:
        The loss in nats, a Python float, and its gradient, of the shape and dtype of `logits`.

    Raises:
        TypeError, ValueError: if an argument is of another type or shape.

    Examples:
        Of two classes and no idea: the loss is log(2), and a step against the gradient raises the right logit.

        >>> loss, dlogits = bn_lib.softmax_cross_entropy(np.array([[0.0, 0.0]]), np.array([1]))
        >>> round(loss, 4)
        0.6931
        >>> dlogits
        array([[ 0.5, -0.5]])
    """
    check.floats(logits, "logits")
    if logits.ndim != 2 or 0 in logits.shape:
        raise ValueError(f"logits has shape {logits.shape}; expected (N, classes)")
    n, classes = logits.shape
    check.labels(labels, logits, classes)
    xp, dtype = namespace(logits), logits.dtype
    logits = xp.astype(logits, work_dtype(logits, xp), copy=False)  # a sum over classes does not fit in float16
    shifted = logits - xp.max(logits, axis=1, keepdims=True)
    exponentials = xp.exp(shifted)
    totals = xp.sum(exponentials, axis=1, keepdims=True)
    onehot = one_hot(labels, classes, logits.dtype)
    per_row = xp.log(totals[:, 0]) - xp.vecdot(shifted, onehot)
    loss = float(xp.sum(per_row, dtype=statistics_dtype(logits, xp))) / n
    return loss, xp.astype((exponentials / totals - onehot) / n, dtype, copy=False)
