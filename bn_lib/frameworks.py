"""Networks of PyTorch and Keras as networks of this library, and back: the same layers, settings and numbers.

`Layer.state_dict` moves arrays between two networks that exist. What is here makes the other network too, and sets what
no state dict holds: eps, momentum in the other meaning, padding, modes. A framework is imported when it is asked for.

Statistics are copied as they are stored, so all networks compute the same in inference. They also go on in the same
way, with one exception: neither framework lets a layer choose between the biased and the unbiased running variance. So
what new batches add to `running_var` differs by the factor m / (m - 1), m values per channel in each.
`Convention.convert_running_var` has that arithmetic.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from bn_lib._arrays import Array
from bn_lib.batchnorm import BatchNorm
from bn_lib.convention import Convention
from bn_lib.layer import Layer, check_model, to_numpy
from bn_lib.network import Conv2d, Dense, Dropout, Flatten, ReLU, Sequential, Sigmoid, Tanh

_ACTIVATIONS: dict[str, type[Layer]] = {"relu": ReLU, "sigmoid": Sigmoid, "tanh": Tanh}
_SETTINGS = "eps", "momentum", "affine", "track_running_stats"  # of BN, which PyTorch calls by the same names


def to_torch(model: Layer) -> Any:
    """Return a `torch.nn.Module` that computes what `model` does, in training and in inference.

    Args:
        model: a `Sequential`, with others in it perhaps, or a layer: `Dense`, `Conv2d`, `BatchNorm`, `ReLU`, `Sigmoid`,
            `Tanh`, `Flatten`, `Dropout`.

    Returns:
        A `torch.nn.Sequential` or one module, with copies of the arrays, of their type, on the CPU, each layer in its
        mode, and one layer in two places one module. What is frozen does not require gradients, and frozen BN is in
        inference mode, which `train()` undoes. BN with nothing around it that wants images is a `BatchNorm1d`.

    Raises:
        TypeError: if `model` is no layer, or holds one that has no counterpart.
        ValueError: if a BN layer has its channels on another axis than 1.
        ModuleNotFoundError: without PyTorch.

    Example:
        >>> bn_lib.to_torch(bn_lib.Sequential(bn_lib.Flatten(), bn_lib.ReLU()))
        Sequential(
          (0): Flatten(start_dim=1, end_dim=-1)
          (1): ReLU()
        )
    """
    import torch

    model = check_model(model, "model")
    first = next((each for each in model.layers() if isinstance(each, Conv2d | Flatten | Dense)), None)
    module, _ = _as_torch(model, isinstance(first, Conv2d | Flatten), {})  # BN alone is taken for one of features
    state = {name: torch.from_numpy(np.array(to_numpy(value))) for name, value in model.state_dict("pytorch").items()}
    module.load_state_dict(state)
    return module


def from_torch(module: Any) -> Layer:
    """Return a network of this library that computes what a `torch.nn.Module` does, in training and in inference.

    Args:
        module: a `torch.nn.Sequential`, with others in it perhaps, or one of `Linear`, `Conv2d`, `BatchNorm1d` to
            `BatchNorm3d`, `ReLU`, `Sigmoid`, `Tanh`, `Flatten`, `Dropout`.

    Returns:
        A `Sequential` or a layer, with copies of the arrays, of their type, each layer in its mode, and one module in
        two places one layer. Names that a `Sequential` gives are not kept. A `Dropout` draws from a generator of seed
        0. `requires_grad` is not looked at: without gradients PyTorch's statistics still move, which `freeze()` would
        not do.

    Raises:
        TypeError: if a module has no counterpart, as softmax, which belongs to the loss here.
        ValueError: if one has a setting that ours lack, such as a dilation, or arrays without numbers (device "meta").
        ModuleNotFoundError: without PyTorch.

    Example:
        >>> import torch
        >>> bn_lib.from_torch(torch.nn.BatchNorm1d(3, momentum=0.2)).momentum
        0.2
    """
    return _as_ours(module, np.random.default_rng(0), {})


def to_keras(model: Layer, shape: Sequence[int]) -> Any:
    """Return a `keras.Sequential`, channels last, that computes what `model` does, in training and in inference.

    An input of shape `(N, C, H, W)` is `(N, H, W, C)` there. After a `Flatten` BN has its features, and the first
    `Dense` its rows, in the order in which Keras flattens.

    Args:
        model: as for `to_torch`; each inner `Sequential` is laid out flat.
        shape: of one input here: `(features,)` or `(C, H, W)`.

    Returns:
        A built model, of the type of the first parameter; on PyTorch Keras computes what is float64 in float32. What
        is frozen is not trainable. Keras has no modes: it is told with each call, `model(x, training=True)`.

    Raises:
        TypeError: if `model` is no layer, or holds one that has no counterpart.
        ValueError: if `shape` does not fit, a layer with arrays is in two places, or a BN layer has its channels on
            another axis than 1, no running statistics, or a plain average for them, which Keras does not have.
        ModuleNotFoundError: without Keras.

    Example:
        >>> model = bn_lib.BatchNorm(3, momentum=0.01, eps=1e-3)
        >>> bn_lib.to_keras(model, (3,)).layers[0].momentum
        0.99
    """
    import keras

    model = check_model(model, "model")
    shape = tuple(int(size) for size in shape)
    if len(shape) not in (1, 3):
        raise ValueError(f"shape is {shape}; expected that of one input, (features,) or (C, H, W)")
    weights = (getattr(each, name) for each in model.layers() for name in each.parameter_names)
    dtype = next((str(array.dtype) for array in weights), "float64")
    there = (*shape[1:], shape[0])
    theirs = keras.Sequential([keras.Input(there, dtype=dtype)])
    flattened: tuple[int, ...] | None = None  # (C, H, W) of what a Dense is to get, if it was an image
    before: set[int] = set()
    for ours in (layer for layer in model.layers() if type(layer) is not Sequential):
        if isinstance(ours, Flatten) and len(there) == 3:
            flattened = (there[2], *there[:2])
        if id(ours) in before:
            raise ValueError(f"one {type(ours).__name__} is in two places; expected a layer for each")
        if ours.parameter_names or isinstance(ours, BatchNorm):
            before.add(id(ours))
        for layer in _as_keras(ours, dtype):
            theirs.add(layer)
            if layer.weights:
                arrays = [to_numpy(value) for value in ours.state_dict("keras").values()]
                layer.set_weights(_reordered(ours, arrays, flattened, (1, 2, 0)))
            layer.trainable = not ours.frozen
            there = theirs.output_shape[1:]
        flattened = None if isinstance(ours, Dense) else flattened
    return theirs


def from_keras(model: Any) -> Layer:
    """Return a network of this library that computes what a Keras model does, in training and in inference.

    An input of shape `(N, H, W, C)` is `(N, C, H, W)` here. After a `Flatten` BN has its features, and the first
    `Dense` its rows, in the order in which ours flattens.

    Args:
        model: a built `keras.Sequential`, with others in it perhaps, of `Dense`, `Conv2D`, `ZeroPadding2D` before one,
            `BatchNormalization`, `ReLU`, `Activation`, `Flatten`, `Dropout`.

    Returns:
        A `Sequential` with copies of the arrays, of their type, in training mode. An activation inside a layer becomes
        a layer behind it. What is not trainable is frozen.

    Raises:
        TypeError: if a layer has no counterpart, as softmax, which belongs to the loss here.
        ValueError: if one has a setting that ours lack, has not been built, or gets neither features nor images.

    Example:
        `bn_lib.from_keras(keras_model).state_dict()`, and from then on without Keras:

        >>> import keras
        >>> theirs = keras.Sequential([keras.Input((3,)), keras.layers.BatchNormalization()])
        >>> ours = bn_lib.from_keras(theirs)[0]
        >>> ours.momentum, ours.eps, ours.unbiased_running_var
        (0.01, 0.001, False)
    """
    layers: list[Layer] = []
    padding, rng = 0, np.random.default_rng(0)
    flattened: tuple[int, ...] | None = None
    for theirs in _keras_layers(model):
        kind = type(theirs).__name__
        if not hasattr(theirs, "built"):
            raise _no_counterpart(theirs, "this library")
        if not theirs.built:
            raise ValueError(f"layer {theirs.name!r} has not been built; expected a model that knows its input's shape")
        if kind in ("Dense", "Flatten", "BatchNormalization") and len(theirs.input.shape) not in (2, 4):
            raise ValueError(
                f"layer {theirs.name!r} gets {theirs.input.shape}; expected (N, features) or images, (N, H, W, C)"
            )
        if kind == "ZeroPadding2D":
            padding = _one(theirs.padding, "padding", theirs)
            continue
        if kind == "Flatten" and len(theirs.input.shape) == 4:
            flattened = theirs.input.shape[1:]
        made = _from_keras_layer(theirs, padding, rng)
        padding = 0
        if theirs.weights:
            arrays = _reordered(made[0], [_values(variable) for variable in theirs.weights], flattened, (2, 0, 1))
            made[0].load_state_dict(dict(zip(made[0].state_dict("keras"), arrays, strict=True)), "keras")
        flattened = None if kind == "Dense" else flattened
        layers += made if theirs.trainable else [ours.freeze() for ours in made]
    return Sequential(*layers)


# PyTorch


def _as_torch(layer: Layer, images: bool, made: dict[int, Any]) -> tuple[Any, bool]:
    """The module for a layer, without its arrays, and whether images come out of it if they came in.

    `made` has the modules by the layer's id, so that a layer in two places stays one.
    """
    import torch
    from torch import nn

    module: Any
    options: dict[str, Any]
    if id(layer) in made:
        return made[id(layer)], images and not isinstance(layer, Flatten)
    if type(layer) is Sequential:
        modules = []
        for inner in layer:
            module, images = _as_torch(inner, images, made)
            modules.append(module)
        module = nn.Sequential(*modules)
        module.training = layer.training
        return module, images
    if isinstance(layer, Dense | Conv2d):
        options = {"bias": layer.bias is not None, "dtype": getattr(torch, str(layer.weight.dtype))}
    if isinstance(layer, Dense):
        module = nn.Linear(*layer.weight.shape, **options)
    elif isinstance(layer, Conv2d):
        outputs, inputs, size, _ = layer.weight.shape
        module = nn.Conv2d(inputs, outputs, size, stride=layer.stride, padding=layer.padding, **options)
    elif type(layer) is BatchNorm:
        _check_axis(layer)
        kind = nn.BatchNorm2d if images else nn.BatchNorm1d
        options = {name: getattr(layer, name) for name in _SETTINGS}
        module = kind(layer.num_features, dtype=getattr(torch, str(layer.gamma.dtype)), **options)
    elif isinstance(layer, Dropout):
        module = nn.Dropout(layer.rate)
    elif type(layer) in (*_ACTIVATIONS.values(), Flatten):
        module = getattr(nn, type(layer).__name__)()
    else:
        raise _no_counterpart(layer, "PyTorch")
    if layer.frozen:
        module.requires_grad_(False)
    module.training = layer.training and not (layer.frozen and isinstance(layer, BatchNorm))
    made[id(layer)] = module
    return module, images and not isinstance(layer, Flatten)


def _as_ours(module: Any, rng: np.random.Generator, made: dict[int, Layer]) -> Layer:
    """The layer for a module; `made` has those of other places."""
    from torch import nn

    ours: Layer
    options: dict[str, Any]
    if id(module) in made:
        return made[id(module)]
    if type(module) is nn.Sequential:
        ours = Sequential(*(_as_ours(inner, rng, made) for inner in module))
        vars(ours)["training"] = module.training
        return ours
    state = module.state_dict() if isinstance(module, nn.Module) else {}
    if any(value.is_meta for value in state.values()):
        raise ValueError(f"{module} is on the device meta; expected arrays with numbers")
    dtype = next((str(value.dtype).removeprefix("torch.") for value in state.values()), None)
    if type(module) is nn.Linear:
        ours = Dense(module.in_features, module.out_features, bias=module.bias is not None, rng=rng, dtype=dtype)
    elif type(module) is nn.Conv2d:
        _plain(module, dilation=(1, 1), groups=1, padding_mode="zeros")
        size = _one(module.kernel_size, "kernel_size", module)
        if module.padding == "same" and size % 2 == 0:
            raise ValueError(f"{module} pads an even window to the same size; expected padding that is a number")
        padding = {"same": size // 2, "valid": 0}[module.padding] if isinstance(module.padding, str) else module.padding
        stride, padding = _one(module.stride, "stride", module), _one(padding, "padding", module)
        options = {"stride": stride, "padding": padding, "bias": module.bias is not None, "dtype": dtype}
        ours = Conv2d(module.in_channels, module.out_channels, size, rng=rng, **options)
    elif type(module) in (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d):
        if (module.weight is None) != (module.bias is None):
            raise ValueError(f"{module} has a weight and no bias; expected both or none")
        options = {name: getattr(module, name) for name in _SETTINGS}
        ours = BatchNorm(module.num_features, dtype=dtype, **options)
    elif type(module) is nn.Dropout:
        ours = Dropout(module.p, rng=rng)
    elif type(module) is nn.Flatten:
        _plain(module, start_dim=1, end_dim=-1)
        ours = Flatten()
    elif type(module) in (nn.ReLU, nn.Sigmoid, nn.Tanh):
        ours = _ACTIVATIONS[type(module).__name__.lower()]()
    else:
        raise _no_counterpart(module, "this library")
    ours.training = module.training
    made[id(module)] = ours.load_state_dict({name: value.cpu().numpy() for name, value in state.items()}, "pytorch")
    return ours


# Keras


def _keras_layers(model: Any) -> Iterator[Any]:
    """The layers, those of inner models in their place."""
    if type(model).__name__ == "Sequential":
        for layer in model.layers:
            yield from _keras_layers(layer)
    else:
        yield model


def _as_keras(layer: Layer, dtype: str) -> list[Any]:
    """The layers for one of ours, without their arrays."""
    from keras import layers

    options = {"data_format": "channels_last", "dtype": dtype}
    if isinstance(layer, Dense):
        return [layers.Dense(layer.weight.shape[1], use_bias=layer.bias is not None, dtype=dtype)]
    if isinstance(layer, Conv2d):
        outputs, _, size, _ = layer.weight.shape
        conv = layers.Conv2D(outputs, size, strides=layer.stride, use_bias=layer.bias is not None, **options)
        return [layers.ZeroPadding2D(layer.padding, **options), conv] if layer.padding else [conv]
    if type(layer) is BatchNorm:
        _check_axis(layer)
        if not layer.track_running_stats:
            raise ValueError("a BatchNorm has no running statistics; expected some: Keras always keeps them")
        momentum = Convention.PYTORCH.convert_momentum(layer.momentum, "keras")
        affine = {"center": layer.affine, "scale": layer.affine}
        return [layers.BatchNormalization(axis=-1, momentum=momentum, epsilon=layer.eps, dtype=dtype, **affine)]
    if isinstance(layer, Dropout):
        return [layers.Dropout(layer.rate, dtype=dtype)]
    if type(layer) is Flatten:
        return [layers.Flatten(**options)]
    if type(layer) in _ACTIVATIONS.values():
        return [layers.Activation(type(layer).__name__.lower(), dtype=dtype)]
    raise _no_counterpart(layer, "Keras")


def _values(variable: Any) -> Array:
    """A copy of the array in a variable of Keras, whatever Keras runs on; `get_weights` warns on PyTorch."""
    value = variable.value
    value = value.detach().cpu() if hasattr(value, "detach") else value
    return np.array(value.numpy() if hasattr(value, "numpy") else value)


def _from_keras_layer(theirs: Any, padding: int, rng: np.random.Generator) -> list[Layer]:
    """The layer for one of Keras, without its arrays, and the activation behind it, as far as there is one."""
    kind, dtype = type(theirs).__name__, theirs.variable_dtype
    name = getattr(getattr(theirs, "activation", None), "__name__", "linear")
    if name != "linear" and name not in _ACTIVATIONS:
        raise TypeError(
            f"layer {theirs.name!r} has the activation {name!r}; expected one of linear, {', '.join(_ACTIVATIONS)}"
            + (" (softmax belongs to the loss)" if name == "softmax" else "")
        )
    activation = [] if name == "linear" else [_ACTIVATIONS[name]()]
    if padding and kind != "Conv2D":
        raise ValueError(f"a ZeroPadding2D stands before {theirs.name!r}; expected a Conv2D behind it")
    if kind == "Dense":
        inputs, outputs = theirs.kernel.shape
        return [Dense(inputs, outputs, bias=theirs.use_bias, rng=rng, dtype=dtype), *activation]
    if kind == "Conv2D":
        _plain(theirs, data_format="channels_last", dilation_rate=(1, 1), groups=1)
        size, stride = _one(theirs.kernel_size, "kernel_size", theirs), _one(theirs.strides, "strides", theirs)
        if theirs.padding == "same":
            if size % 2 == 0 or stride != 1:
                raise ValueError(
                    f"layer {theirs.name!r} pads a window of {size} with strides {stride} to the same size, one side "
                    "more than the other; expected an odd window and strides 1, or a ZeroPadding2D"
                )
            padding += size // 2
        inputs, outputs = theirs.kernel.shape[2:]
        options = {"stride": stride, "padding": padding, "bias": theirs.use_bias, "dtype": dtype}
        return [Conv2d(inputs, outputs, size, rng=rng, **options), *activation]
    if kind == "BatchNormalization":
        if theirs.axis not in (-1, len(theirs.input.shape) - 1):
            raise ValueError(f"layer {theirs.name!r} has axis={theirs.axis}; expected the last one")
        if theirs.center != theirs.scale:
            raise ValueError(
                f"layer {theirs.name!r} has center={theirs.center} and scale={theirs.scale}; expected both or none"
            )
        if getattr(theirs, "renorm", False):
            raise ValueError(f"layer {theirs.name!r} has renorm=True; expected plain Batch Normalization")
        channels = theirs.moving_mean.shape[0]
        options = {"momentum": theirs.momentum, "eps": theirs.epsilon, "affine": theirs.scale, "dtype": dtype}
        return [BatchNorm.in_convention("keras", channels, **options)]
    if kind == "Dropout":
        return [Dropout(theirs.rate, rng=rng)]
    if kind == "Flatten":
        return [Flatten()]
    if kind == "ReLU":
        _plain(theirs, max_value=None, negative_slope=0.0, threshold=0.0)
        return [ReLU()]
    if kind == "Activation":
        return activation
    raise _no_counterpart(theirs, "this library")


# Both


def _reordered(
    layer: Layer, arrays: list[Array], flattened: tuple[int, ...] | None, order: tuple[int, ...]
) -> list[Array]:
    """The arrays of a layer for the features in the other framework's order, if they were flattened."""
    if flattened is None or not isinstance(layer, Dense | BatchNorm):
        return arrays
    by_feature = 1 if isinstance(layer, Dense) else len(arrays)
    return [_rows(array, flattened, order) for array in arrays[:by_feature]] + arrays[by_feature:]


def _rows(weight: Array, shape: tuple[int, ...], order: tuple[int, ...]) -> Array:
    """The rows of an array, for features that were flattened from `shape`, as for the axes in another order."""
    return weight.reshape(*shape, -1).transpose(*order, 3).reshape(weight.shape)


def _one(values: Any, name: str, layer: Any) -> int:
    """The one number that a setting has for all axes and sides."""
    found = {int(value) for value in np.ravel(values)}
    if len(found) > 1:
        raise ValueError(f"{layer} has {name} {values}; expected the same along both axes")
    return found.pop()


def _plain(layer: Any, **settings: Any) -> None:
    """Raise unless these settings are those that ours cannot change."""
    for name, value in settings.items():
        if (seen := getattr(layer, name)) != value:
            raise ValueError(f"{layer} has {name}={seen!r}; expected {value!r}, because ours has no other")


def _check_axis(layer: BatchNorm) -> None:
    if layer.channel_axis != 1:
        raise ValueError(f"a BatchNorm has channel_axis {layer.channel_axis}; expected 1")


def _no_counterpart(layer: Any, where: str) -> TypeError:
    return TypeError(f"a {type(layer).__name__} has no counterpart in {where}; expected layers that both have")
