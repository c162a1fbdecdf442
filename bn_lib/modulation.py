"""Where gamma and beta come from, if not from one trained number per channel: y = gamma * x_hat + beta all the same.

| normalizer                | gamma and beta come from                           | one value for                   |
|---------------------------|----------------------------------------------------|---------------------------------|
| `modulated_norm`          | whoever calls it: another network, a map           | whatever broadcasts against x   |
| `adaptive_instance_norm`  | another image: its deviation and its mean          | a channel of a sample           |
| `ConditionalBatchNorm`    | a table, by the sample's class                     | a channel of a class            |
| `AttentiveNorm`           | a few maps, mixed by attention to the sample       | a channel of a sample           |
| `AdaptiveBatchNorm`       | the mean of the batch that was just subtracted     | a channel                       |

The layers standardize with a `BatchNorm` inside, `layer.norm`, that has no gamma and beta of its own: what that can do
with statistics, they can. How x_hat is made is in `standardize`, and which axes share a mean in `normalizers`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from bn_lib import _checks as check
from bn_lib._arrays import Array, Axes, as_axes, count_along, namespace, one_hot, silent, work_dtype
from bn_lib.batchnorm import BatchNorm, check_channel_axis
from bn_lib.layer import Layer, Setting, check_model, distinct_layers, put_back
from bn_lib.network import initial_weights
from bn_lib.normalizers import NormCache, batch_axes, batch_norm_backward, normalize_over
from bn_lib.standardize import Standardized, standardize_over

# Functions


def modulated_norm(x: Array, gamma: Array, beta: Array, *, axis: Axes, eps: float = 1e-5) -> tuple[Array, NormCache]:
    """Standardize over any axes, then scale and shift by arrays that broadcast against x.

        x_hat = (x - mean) / sqrt(var + eps)        over `axis`
        y = gamma * x_hat + beta                    element by element

    With positions as axes and gamma and beta of shape (N, C, 1, 1) it is adaptive instance normalization, with the axes
    of a batch and (N, C, H, W) spatially-adaptive (de)normalization, SPADE. Whatever predicts gamma and beta gets their
    gradients back.

    Args:
        x: `(N, C)` or `(N, C, *spatial)`, floating point; N may be 0 if the mean is not over samples.
        gamma: scale: `(C,)`, or the shape of x with 1 along the axes that share a value, such as `(N, C, 1, 1)`.
        beta: shift, of the shape of gamma.
        axis: the axis, or axes, that share a mean: (0, 2, 3) for that of a batch of images, (2, 3) for each channel of
            each image.
        eps: added to the variance, in the units of x squared; >= 0.

    Returns:
        `y`, of the shape and dtype of x, and a cache for `modulated_norm_backward`.

    Example:
        >>> x = np.array([[[1.0, 3.0]], [[10.0, 50.0]]])  # two samples of one channel
        >>> gamma, beta = np.array([[[1.0]], [[2.0]]]), np.array([[[0.0]], [[100.0]]])  # one of each for each sample
        >>> modulated_norm(x, gamma, beta, axis=2, eps=0.0)[0]
        array([[[ -1.,   1.]],
        <BLANKLINE>
               [[ 98., 102.]]])

    Raises:
        TypeError: not a floating-point array, arrays of different kinds, or an axis that is no whole number.
        ValueError: wrong rank, no channels or positions, one value per mean, an axis that does not exist, a bad eps, or
            gamma or beta that do not broadcast against x. An array of fewer axes than x is none that does, but for
            `(C,)`: NumPy would take its axes for the last of x.

    Source: Park et al. (2019), eq. 1, for gamma and beta of every position; Huang and Belongie (2017), eq. 8, for those
    of a sample and channel.
    """
    check.input(x, least=0)
    _check_broadcast(x, gamma, "gamma")
    check.parameter(x, beta, "beta", tuple(gamma.shape))
    axes = as_axes(axis, x.ndim)
    if not axes:
        raise ValueError(f"axis is {axis}; expected at least one")
    check.enough(x, axes, "mean")
    return normalize_over(x, gamma, beta, axes, check.eps(eps))


def modulated_norm_backward(dy: Array, cache: NormCache) -> tuple[Array, Array, Array]:
    """Gradients of `modulated_norm` with respect to x, gamma and beta; arguments and errors as `batch_norm_backward`.

    dx is that of `layer_norm` over its axes, with gamma inside the means. `dgamma = sum(dy * x_hat)` and
    `dbeta = sum(dy)` are summed over all that shared a value, and have the shape of gamma.

    Example:
        >>> x, gamma = np.array([[[1.0, 3.0]], [[10.0, 50.0]]]), np.ones((2, 1, 1))
        >>> y, cache = modulated_norm(x, gamma, 0 * gamma, axis=2)
        >>> dx, dgamma, dbeta = modulated_norm_backward(np.ones((2, 1, 2)), cache)
        >>> dbeta.shape, dbeta.ravel()
        ((2, 1, 1), array([2., 2.]))
    """
    return batch_norm_backward(dy, cache)


class StyleCache(NamedTuple):
    """What the backward pass of `adaptive_instance_norm` needs.

    Attributes:
        content: the cache of a `modulated_norm` whose gamma and beta are the style's deviation and mean.
        style: the style, standardized.
        dtype: that of the style, which dstyle gets.
    """

    content: NormCache
    style: Standardized
    dtype: Any


def adaptive_instance_norm(x: Array, style: Array, *, eps: float = 1e-5) -> tuple[Array, StyleCache]:
    """Adaptive Instance Normalization: each channel of each sample gets the mean and the deviation of another image.

        y = sigma(style) * (x - mu(x)) / sigma(x) + mu(style)        sigma = sqrt(var + eps), over positions

    Args:
        x: the content, `(N, C, *spatial)`, floating point; N may be 0.
        style: one image per sample, with the same channels and any number of positions: `(N, C, *spatial)`.
        eps: added to both variances, in the units of x squared; >= 0.

    Returns:
        `y`, of the shape and dtype of x, and a cache for `adaptive_instance_norm_backward`.

    Example:
        >>> x, style = np.array([[[1.0, 3.0]]]), np.array([[[10.0, 20.0, 50.0, 60.0]]])  # the style's mean is 35
        >>> adaptive_instance_norm(x, style, eps=0.0)[0].round(1)
        array([[[14.4, 55.6]]])

    Raises:
        TypeError: not a floating-point array, or arrays of different kinds.
        ValueError: no positions or only one, a style of other samples or channels, or a bad eps.

    Source: Huang and Belongie (2017), eq. 8.
    """
    for name, image in (("x", x), ("style", style)):
        check.input(image, name, least=0)
        if image.ndim < 3:
            raise ValueError(f"{name} has shape {image.shape}; expected (N, C, *spatial)")
    check.same_kind(x, style, "style")
    if x.shape[:2] != style.shape[:2]:
        raise ValueError(
            f"style has shape {style.shape}; expected {x.shape[:2]} and positions, as x of shape {x.shape}"
        )
    for name, image in (("x", x), ("style", style)):
        if count_along(image.shape, tuple(range(2, image.ndim))) < 2:
            raise ValueError(f"{name} has shape {image.shape}; expected at least 2 positions")
    xp, eps = namespace(x), check.eps(eps)
    found = standardize_over(xp, style, tuple(range(2, style.ndim)), eps)
    per_channel = (*x.shape[:2], *(1,) * (x.ndim - 2))
    mean, deviation = found.moments.mean, xp.sqrt(found.moments.var() + eps)
    gamma, beta = (xp.astype(xp.reshape(v, per_channel), work_dtype(x, xp)) for v in (deviation, mean))
    y, cache = normalize_over(x, gamma, beta, tuple(range(2, x.ndim)), eps)
    return y, StyleCache(cache, found, style.dtype)


def adaptive_instance_norm_backward(dy: Array, cache: StyleCache) -> tuple[Array, Array]:
    """Gradients of `adaptive_instance_norm` with respect to x and to the style, in this order.

        dstyle = (dbeta + dgamma * style_hat) / positions of the style

    with dgamma and dbeta the gradients of its deviation and its mean. Errors as `batch_norm_backward`.

    Example:
        >>> y, cache = adaptive_instance_norm(np.array([[[1.0, 3.0]]]), np.array([[[10.0, 20.0, 50.0, 60.0]]]))
        >>> dx, dstyle = adaptive_instance_norm_backward(np.ones((1, 1, 2)), cache)  # a shift of y is one of the style
        >>> dstyle
        array([[[0.5, 0.5, 0.5, 0.5]]])
    """
    if not isinstance(cache, StyleCache):
        raise TypeError(f"cache is a {type(cache).__name__}; expected what the forward function returned beside y")
    dx, dgamma, dbeta = batch_norm_backward(dy, cache.content)
    style, xp = cache.style.x_hat, namespace(dy)
    dgamma, dbeta = (xp.reshape(d, cache.style.inv_std.shape) for d in (dgamma, dbeta))
    dstyle = (dbeta + dgamma * style) / cache.style.moments.count
    return dx, xp.astype(dstyle, cache.dtype, copy=False)


def _check_broadcast(x: Array, parameter: Array, name: str) -> None:
    check.same_kind(x, parameter, name)
    shape = tuple(parameter.shape)
    if len(shape) == 1:
        return check.parameter(x, parameter, name)
    if len(shape) != x.ndim or any(n not in (1, whole) for n, whole in zip(shape, x.shape, strict=True)):
        raise ValueError(
            f"{name} has shape {shape}; expected ({x.shape[1]},), or {x.ndim} axes, each as long as in x, of shape "
            f"{tuple(x.shape)}, or of length 1"
        )


# What a layer depends on beside x


@contextmanager
def given(model: Layer, **values: Array) -> Iterator[None]:
    """Tell the layers of a network what they depend on beside x, for all passes inside.

        with given(model, labels=labels):
            y = model.forward(x)

    A `Sequential` hands x alone from layer to layer. So a layer that wants the class of each row finds it in its
    attribute `labels`, one that wants the domain in `domains`, and one that takes statistics of the batch the mask of
    padded sequences, if there is one, in `mask`. This sets those of all layers of the model that have one, and puts
    back what was there when it ends. Outside, a layer that wants labels or domains refuses: no pass is made with those
    of another mini-batch by mistake. `backward` may be called outside. `fit` draws mini-batches of its own, whose rows
    nobody knows outside; a loop of one's own does here:

        with given(model, labels=labels[rows]):
            train_step(model, sgd, x[rows], targets[rows])

    Args:
        model: a layer, or a network with such layers in it.
        values: by name. `labels` or `domains`: one whole number per row of what reaches the layer, `(N,)`. `mask`: as
            `BatchNorm.forward` takes it; layers that look at each sample alone, such as `LayerNorm`, take none, and
            where they average over positions, padding is among these.

    Returns:
        A context manager.

    Example:
        >>> model = bn_lib.Sequential(bn_lib.ConditionalBatchNorm(2, 1, eps=0.0), bn_lib.ReLU())
        >>> with given(model, labels=np.array([0, 1])):
        ...     model.forward(np.array([[1.0], [3.0]]))
        array([[0.],
               [1.]])

    Raises:
        TypeError: `model` is not a layer.
        ValueError: no layer of the model depends on that.
    """
    wanting = [(layer, name) for layer in distinct_layers(check_model(model, "model")) for name in layer.given_names]
    names = {name for _, name in wanting}
    for name in values:
        if name not in names:
            expected = f"one of {sorted(names)}" if names else "a model with a layer that depends on more than x"
            raise ValueError(f"{name} is for no layer of the model, a {type(model).__name__}; expected {expected}")
    with put_back(wanting):
        for layer, name in wanting:
            if name in values:
                setattr(layer, name, values[name])
        yield


# Layers


def per_channel(values: Array) -> Array:
    """The sum over positions, `(N, C)`, in float64."""
    xp = namespace(values)
    flat = (*values.shape[:2], count_along(values.shape, tuple(range(2, values.ndim))))
    return xp.sum(xp.reshape(values, flat), axis=2, dtype=xp.float64)


def at_positions(values: Array, like: Array) -> Array:
    """`(N, C)` as it broadcasts against `like`, in its precision."""
    xp = namespace(like)
    return xp.astype(xp.reshape(values, (*values.shape, *(1,) * (like.ndim - 2))), like.dtype, copy=False)


def only_at(valid: Array | None, values: Array) -> Array:
    """The values where they are valid, and 0 elsewhere, even for a NaN."""
    return values if valid is None else namespace(values).where(valid, values, namespace(values).zeros_like(values))


def count_valid(x: Array, valid: Array | None, axes: tuple[int, ...]) -> Array | int:
    """How many valid positions x has along these axes, as a number or as it broadcasts against `(N, C)`; at least 1."""
    if valid is None:
        return count_along(x.shape, axes)
    xp = namespace(x)
    return xp.maximum(xp.sum(xp.astype(valid, xp.float64), axis=axes), 1.0)


class Gradients(NamedTuple):
    """What gamma and beta of each sample came from, and so where their gradients go.

    Attributes:
        of_parameters: by name.
        of_means: of the means of x_hat over positions, `(N, C)`, if they came from those.
        of_mu: of the means of x over the batch, `(C,)`, if they came from those.
    """

    of_parameters: dict[str, Array]
    of_means: Array | None = None
    of_mu: Array | None = None


class Holder(Layer):
    """Base of the layers that have a `BatchNorm` inside, or several, without parameters of its own.

    A subclass says in `_shapes` what its parameters must look like, and calls `_start` when it knows. Inside, between
    `_enter` and `_leave`, channels are axis 1. A mask goes on to the `BatchNorm`; here it makes y 0 where it is False.
    """

    parameter_names: tuple[str, ...] = ("gamma", "beta")
    given_names: tuple[str, ...] = ("mask",)
    mask: Array | None = None
    _numbered = False  # whether there may be several
    channel_axis = Setting(check_channel_axis)
    gamma: Array
    beta: Array

    def __init__(self, num_features: int, *, norms: int = 1, channel_axis: int = 1, **options: Any) -> None:
        super().__init__()
        if "affine" in options:
            raise TypeError(f"affine is given; expected none: {type(self).__name__} is about its gamma and beta")
        self.channel_axis = channel_axis
        self.norms = tuple(BatchNorm(num_features, affine=False, **options) for _ in range(norms))
        for norm in self.norms:
            norm.given_names = ()  # the mask comes from this layer

    def _start(self) -> None:
        """Make the parameters, of the dtype and kind that the options ask for: gamma of ones, all others of zeros."""
        like = self.norm.gamma
        for name, shape in self._shapes(self.num_features).items():
            setattr(self, name, namespace(like).full(shape, float(name == "gamma"), dtype=like.dtype))

    @property
    def norm(self) -> BatchNorm:
        """The `BatchNorm` inside, or the first of them."""
        return self.norms[0]

    @property
    def num_features(self) -> int:
        """C, the number of channels."""
        return self.norm.num_features

    def _inner(self) -> tuple[Layer, ...]:
        return self.norms

    def named_state(self) -> Iterator[tuple[str, Layer, str]]:
        """The parameters, then the running statistics under a `BatchNorm`'s names, or numbered as "number.name"."""
        yield from super().named_state()
        for i, norm in enumerate(self.norms):
            for key, owner, name in norm.named_state():
                yield (f"{i}.{key}" if self._numbered else key), owner, name

    def _shapes(self, channels: int) -> dict[str, tuple[int, ...]]:
        """The shape of every parameter, for x with so many channels."""
        raise NotImplementedError

    def _enter(self, x: Array, mask: Array | None = None) -> tuple[Array, Array | None]:
        """x with its channels on axis 1, and which of its positions are valid, as that broadcasts against it.

        Statistics have not moved yet: what x, the parameters or the mask are refused for leaves the layer as it was.
        """
        check.floats(x)
        axis, mask = self.channel_axis, self.mask if mask is None else mask
        if axis != 1 and not -x.ndim < axis < x.ndim:
            raise ValueError(f"x has shape {x.shape}; expected channels along axis {axis}")
        given, x = x, x if axis == 1 else namespace(x).moveaxis(x, axis, 1)
        check.input(x, least=0)
        valid = None if mask is None else check.mask(mask, given, axis)
        for name, shape in self._shapes(x.shape[1]).items():
            check.parameter(x, getattr(self, name), name, shape)
        return x, None if valid is None else namespace(x).reshape(valid, (x.shape[0], 1, *x.shape[2:]))

    def _enter_again(self, dy: Array, x_hat: Array, valid: Array | None) -> Array:
        """dy as `_enter` has x, in the precision of x_hat; 0 at padding, whatever it was."""
        check.gradient(dy, x_hat, self._leave(x_hat).shape)
        xp = namespace(dy)
        dy = dy if self.channel_axis == 1 else xp.moveaxis(dy, self.channel_axis, 1)
        return only_at(valid, xp.astype(dy, x_hat.dtype, copy=False))

    def _leave(self, y: Array, dtype: Any = None) -> Array:
        """y or dx in the layout and type of x."""
        xp = namespace(y)
        y = y if dtype is None else xp.astype(y, dtype, copy=False)
        return y if self.channel_axis == 1 else xp.moveaxis(y, 1, self.channel_axis)

    def _fill(self, gradients: dict[str, Array]) -> None:
        """Set `grads`, each in the type of its parameter, and note that this pass was gone back from."""
        for name, gradient in gradients.items():
            self.grads[name] = namespace(gradient).astype(gradient, getattr(self, name).dtype, copy=False)
        self._went_back()


class Modulated(Holder):
    """Base of those that scale and shift, by gamma and beta of each sample, what is standardized.

    If a subclass says nothing else, it standardizes as the `BatchNorm` inside, and gamma and beta are `(C,)`. Another
    finds them on the way forward, `(N, C)` or `(1, C)`, and takes their gradients on the way back.
    """

    def _gamma_and_beta(self, x_hat: Array, valid: Array | None, kept: Any) -> tuple[Array, Array, Any]:
        """Scale and shift of each sample, and what `_gradients` needs; `kept` is what `_standardize` returned."""
        xp = namespace(x_hat)
        return xp.reshape(self.gamma, (1, -1)), xp.reshape(self.beta, (1, -1)), None

    def _gradients(self, dgamma: Array, dbeta: Array, source: Any) -> "Gradients":
        """What comes back from gamma and beta of each sample; all in float64."""
        xp = namespace(dgamma)
        return Gradients({"gamma": xp.sum(dgamma, axis=0), "beta": xp.sum(dbeta, axis=0)})

    def _standardize(self, x: Array, valid: Array | None, given: Any) -> tuple[Array, Any]:
        """x_hat, and what `_gamma_and_beta` and `_destandardize` need."""
        return self.norm.forward(x, valid), given

    def _destandardize(self, dx_hat: Array, kept: Any) -> Array:
        """dx by way of x_hat."""
        return self.norm.backward(dx_hat)

    @silent
    def _modulate(self, x: Array, valid: Array | None, given: Any = None) -> Array:
        """Standardize checked x, then scale and shift."""
        xp = namespace(x)
        x_hat, kept = self._standardize(xp.astype(x, work_dtype(x, xp), copy=False), valid, given)
        gamma, beta, source = self._gamma_and_beta(x_hat, valid, kept)
        gamma, beta = (at_positions(v, x_hat) for v in (gamma, beta))
        self._keep((x_hat, gamma, valid, kept, source, x.dtype))
        return self._leave(only_at(valid, gamma * x_hat + beta), x.dtype)

    @silent
    def backward(self, dy: Array) -> Array:
        """Gradient with respect to the last x; `grads` has those of the parameters."""
        x_hat, gamma, valid, kept, source, dtype = self._last()
        dy = self._enter_again(dy, x_hat, valid)
        found = self._gradients(per_channel(dy * x_hat), per_channel(dy), source)
        dx_hat = gamma * dy
        if found.of_means is not None:
            positions = count_valid(dy, valid, tuple(range(2, dy.ndim)))
            dx_hat = dx_hat + at_positions(found.of_means / positions, dy)
        dx = self._destandardize(dx_hat, kept)
        if found.of_mu is not None:
            share = namespace(dy).reshape(found.of_mu / count_valid(dy, valid, batch_axes(dy.ndim)), (1, -1))
            dx = only_at(valid, dx + at_positions(share, dy))
        self._fill(found.of_parameters)
        return self._leave(dx, dtype)


class Given(Modulated):
    """Base of those that look gamma and beta up in a table, `(K, C)`, by one whole number per row of x.

    What the number is called is the first of `given_names`. Where gamma and beta are `(C,)`, they are the same for all.
    """

    def _given(self, x: Array, given: Array | None, count: int) -> Array:
        """What this pass depends on: what it was called with, or else what the layer holds."""
        name = self.given_names[0]
        given = getattr(self, name) if given is None else given
        if given is None:
            raise ValueError(
                f"{name} are missing; expected one for each row of x: forward(x, {name}), or the pass inside "
                f"`with given(model, {name}={name}):`"
            )
        check.labels(given, x, count, name)
        return given

    def _gamma_and_beta(self, x_hat: Array, valid: Array | None, given: Array) -> tuple[Array, Array, Array]:
        if self.gamma.ndim == 1:
            return super()._gamma_and_beta(x_hat, valid, given)
        gamma, beta = (namespace(x_hat).take(table, given, axis=0) for table in (self.gamma, self.beta))
        return gamma, beta, given

    def _gradients(self, dgamma: Array, dbeta: Array, given: Array) -> Gradients:
        if self.gamma.ndim == 1:
            return super()._gradients(dgamma, dbeta, given)
        of_row = one_hot(given, self.gamma.shape[0], dgamma.dtype).T
        return Gradients({"gamma": of_row @ dgamma, "beta": of_row @ dbeta})


class ConditionalBatchNorm(Given):
    """Conditional Batch Normalization as a layer: one gamma and one beta for each class, one mean for all of them.

    Training:   y[i] = gamma[labels[i]] * (x[i] - mu_B) / sqrt(sigma2_B + eps) + beta[labels[i]]
    Inference:  the same with running_mean and running_var

    The labels come with x, `layer(x, labels)`; in a network, which hands on x alone, they come from
    `with given(model, labels=labels):` around the passes. See `conditional_batch_norm`. A mask is `BatchNorm`'s:
    `layer(x, labels, mask=mask)`; so it is in the other layers here.

    Args:
        classes: how many rows gamma and beta have.
        num_features: C, the number of channels.
        options: as those of `BatchNorm`, but for `affine`.

    Attributes:
        gamma, beta: `(classes, C)`; start at 1 and 0.
        labels: what `given` set: the class of each row, `(N,)`, whole numbers from 0 to classes - 1; otherwise None.
        norm: the `BatchNorm` that standardizes; the running statistics are its own.

    Example:
        >>> layer = ConditionalBatchNorm(2, 1, eps=0.0)
        >>> layer.beta[1] = 100.0
        >>> layer(np.array([[1.0], [3.0]]), np.array([0, 1]))
        array([[ -1.],
               [101.]])

    Raises:
        TypeError, ValueError: as `conditional_batch_norm`, also if labels are missing. A call that raises leaves the
            layer as it was.

    Source: Dumoulin et al. (2017), eq. 5; in generators Miyato and Koyama (2018).
    """

    given_names = ("labels", "mask")
    classes = Setting(check.positive_int)

    def __init__(self, classes: int, num_features: int, **options: Any) -> None:
        super().__init__(num_features, **options)
        self.classes = classes
        self._start()
        self.labels: Array | None = None

    def forward(self, x: Array, labels: Array | None = None, mask: Array | None = None) -> Array:
        """Normalize `x`, `(N, C)` or `(N, C, *spatial)`, whose rows have these labels; None for what `given` set."""
        x, valid = self._enter(x, mask)
        return self._modulate(x, valid, self._given(x, labels, self.classes))

    def _shapes(self, channels: int) -> dict[str, tuple[int, ...]]:
        return dict.fromkeys(self.parameter_names, (self.classes, channels))


class AttentiveNorm(Modulated):
    """Attentive Normalization: K pairs of gamma and beta, mixed for each sample by attention to its channels.

        x_hat = (x - mu) / sqrt(sigma2 + eps)                       as in `BatchNorm`, batch or running statistics
        w[n] = softmax(mean(x_hat[n]) @ attention + attention_bias)      mean over positions; w: (N, K)
        y[n] = (w[n] @ gamma) * x_hat[n] + w[n] @ beta

    The weights of a sample add up to 1. So one map (K = 1) is Batch Normalization exactly, whatever the attention, and
    so are K equal ones, which is how the layer starts.

    Args:
        maps: K, how many pairs of gamma and beta there are.
        num_features: C, the number of channels.
        rng: source of the initial attention; required, so that every run can be repeated.
        options: as those of `BatchNorm`, but for `affine`.

    Attributes:
        gamma, beta: `(K, C)`; start at 1 and 0.
        attention, attention_bias: `(C, K)`, normally distributed, see `initial_weights`; and `(K,)`, 0.
        norm: the `BatchNorm` that standardizes; the running statistics are its own.

    Example:
        >>> layer = AttentiveNorm(2, 1, rng=np.random.default_rng(0), eps=0.0)
        >>> layer.attention, layer.gamma = np.array([[-9.0, 9.0]]), np.array([[1.0], [3.0]])
        >>> layer(np.array([[1.0], [3.0]])).round(6)  # the second map, three times as steep, is for positive samples
        array([[-1.],
               [ 3.]])

    Raises:
        TypeError, ValueError: as `BatchNorm`.

    Source: Li, Sun and Wu (2020). There the weights come from a BN and a hard sigmoid, and need not add up to 1; a
    sample's means are divided by its own deviations, where here x_hat has those of the batch. A softmax is among the
    variants of their code.
    """

    parameter_names = ("gamma", "beta", "attention", "attention_bias")
    attention_bias: Array
    maps = Setting(check.positive_int)

    def __init__(self, maps: int, num_features: int, *, rng: np.random.Generator, **options: Any) -> None:
        super().__init__(num_features, **options)
        self.maps = maps
        self._start()
        xp, shape = namespace(self.gamma), (self.num_features, self.maps)
        self.attention = xp.astype(initial_weights(shape, *shape, "glorot", rng, xp=xp), self.gamma.dtype)

    def forward(self, x: Array, mask: Array | None = None) -> Array:
        """Normalize `x`, `(N, num_features)` or `(N, num_features, *spatial)`; a mask as `BatchNorm.forward` has it."""
        return self._modulate(*self._enter(x, mask))

    def _shapes(self, channels: int) -> dict[str, tuple[int, ...]]:
        k = self.maps
        return {"gamma": (k, channels), "beta": (k, channels), "attention": (channels, k), "attention_bias": (k,)}

    def _gamma_and_beta(self, x_hat: Array, valid: Array | None, kept: Any) -> tuple[Array, Array, Any]:
        xp, means = namespace(x_hat), per_channel(x_hat) / count_valid(x_hat, valid, tuple(range(2, x_hat.ndim)))
        gamma, beta, attention, bias = (
            xp.astype(getattr(self, name), means.dtype, copy=False) for name in self.parameter_names
        )
        logits = means @ attention + bias
        weights = xp.exp(logits - xp.max(logits, axis=1, keepdims=True))
        weights = weights / xp.sum(weights, axis=1, keepdims=True)
        return weights @ gamma, weights @ beta, (means, weights, gamma, beta, attention)

    def _gradients(self, dgamma: Array, dbeta: Array, source: Any) -> Gradients:
        means, weights, gamma, beta, attention = source
        xp = namespace(means)
        dweights = dgamma @ gamma.T + dbeta @ beta.T
        dlogits = weights * (dweights - xp.sum(weights * dweights, axis=1, keepdims=True))
        gradients = {
            "gamma": weights.T @ dgamma,
            "beta": weights.T @ dbeta,
            "attention": means.T @ dlogits,
            "attention_bias": xp.sum(dlogits, axis=0),
        }
        return Gradients(gradients, of_means=dlogits @ attention.T)


class AdaptiveBatchNorm(Modulated):
    """Batch Normalization whose gamma and beta depend on the mean that it subtracts.

        t(mu) = mu / sqrt(1 + mu**2)                                between -1 and 1
        y = (gamma + a * t(mu)**2) * (x - mu) / sqrt(sigma2 + eps) + beta + b * t(mu)

    So the output keeps something of the level of the batch, but never more than b, and a batch far from 0 may be spread
    out more. With a = b = 0, where it starts, it is Batch Normalization. In training mu is the mean of the batch, and
    gradients go back through t(mu) as well. In inference mu is the running mean: gamma and beta are constants then, and
    nothing adapts any more.

    Args:
        num_features: C, the number of channels.
        options: as those of `BatchNorm`, but for `affine`.

    Attributes:
        gamma, beta: scale and shift at mu = 0, `(C,)`; start at 1 and 0.
        a, b: how much of t(mu)**2 and of t(mu) is added to them, `(C,)`; start at 0.
        norm: the `BatchNorm` that standardizes; the running statistics are its own.

    The 1 below the root is in the units of x: mu is large where it is large compared with 1.

    Example:
        >>> layer = AdaptiveBatchNorm(1, eps=0.0)
        >>> layer.a, layer.b = np.array([0.5]), np.array([10.0])
        >>> layer(np.array([[-1.0], [2.5]]))  # mu = 0.75, so t = 0.6: gamma is 1.18 and beta 6
        array([[4.82],
               [7.18]])

    Raises:
        TypeError, ValueError: as `BatchNorm`.

    Source: ours, the design that exercise 5 of the book shows as one of many; its base is Ioffe and Szegedy (2015),
    Algorithm 1.
    """

    parameter_names = ("gamma", "beta", "a", "b")
    a: Array
    b: Array

    def __init__(self, num_features: int, **options: Any) -> None:
        super().__init__(num_features, **options)
        self._start()

    def forward(self, x: Array, mask: Array | None = None) -> Array:
        """Normalize `x`, `(N, num_features)` or `(N, num_features, *spatial)`; a mask as `BatchNorm.forward` has it."""
        return self._modulate(*self._enter(x, mask))

    def _standardize(self, x: Array, valid: Array | None, given: Any) -> tuple[Array, Any]:
        x_hat, of_batch, xp = self.norm.forward(x, valid), self.norm.of_batch, namespace(x)
        mu = self.norm.batch_moments().mean if of_batch else self.norm.running_mean
        return x_hat, (xp.reshape(xp.astype(mu, xp.float64, copy=False), (-1,)), of_batch)

    def _shapes(self, channels: int) -> dict[str, tuple[int, ...]]:
        return dict.fromkeys(self.parameter_names, (channels,))

    def _gamma_and_beta(self, x_hat: Array, valid: Array | None, kept: Any) -> tuple[Array, Array, Any]:
        mu, of_batch = kept
        xp = namespace(mu)
        root = xp.hypot(xp.ones_like(mu), mu)  # a square of mu may be no number
        t, slope = mu / root, (1 / root) ** 3
        gamma, beta = self.gamma + self.a * t * t, self.beta + self.b * t
        return xp.reshape(gamma, (1, -1)), xp.reshape(beta, (1, -1)), (t, slope, self.a, self.b, of_batch)

    def _gradients(self, dgamma: Array, dbeta: Array, source: Any) -> Gradients:
        xp, (t, slope, a, b, of_batch) = namespace(dgamma), source
        dgamma, dbeta = xp.sum(dgamma, axis=0), xp.sum(dbeta, axis=0)
        of_parameters = {"gamma": dgamma, "beta": dbeta, "a": dgamma * t * t, "b": dbeta * t}
        return Gradients(of_parameters, of_mu=slope * (2 * a * t * dgamma + b * dbeta) if of_batch else None)
