"""What every layer of a network is: parameters with gradients, a training mode, a state that can be saved.

The layers themselves are in `batchnorm` (normalizers) and `network` (everything else).
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, Self, TypeVar
from zipfile import BadZipFile

import numpy as np

from bn_lib import _checks as check
from bn_lib._arrays import Array, is_array, namespace
from bn_lib.convention import OURS, Naming

T = TypeVar("T")


class Setting(Generic[T]):
    """An attribute that is checked whenever it is set, in the constructor and later: no layer has a momentum of 5.

    Args:
        check: called with the value and the attribute's name; returns what is stored, or raises.
    """

    def __init__(self, check: Callable[[Any, str], T]) -> None:
        self.check = check

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    if TYPE_CHECKING:  # without a `__get__` Python reads what `__set__` stored, as it reads any other attribute

        def __get__(self, holder: object, owner: type) -> T: ...

    def __set__(self, holder: object, value: Any) -> None:
        vars(holder)[self.name] = self.check(value, self.name)


class Pass(NamedTuple):
    """A forward pass, as its layer remembers it.

    Attributes:
        cache: what `backward` needs; None if there is nothing to go back from.
        skipped: whether `backward` was never called for the pass before it.
        gone_back: whether `backward` has been called for this one.
    """

    cache: Any = None
    skipped: bool = False
    gone_back: bool = False


class Layer:
    """Base of all layers: `forward(x)` keeps what `backward(dy)` needs; `backward` returns dx and fills `grads`.

    A layer remembers its last forward pass only, and gradients replace those of the backward pass before. `backward`
    may be called more than once for one pass. After two forward passes it is refused the second time: that call would
    be for the first of them, which is forgotten. `Sequential` remembers the passes of all its layers, so a layer may be
    in it more than once.

    Arrays are kept and not copied: between `forward` and `backward` nothing may be written into x, y or a parameter.
    (Assigning another array to a parameter does no harm.) A layer is not for two threads at once. Copies and pickles
    hold parameters, gradients and settings, and no forward pass.

    A subclass names its trained arrays in `parameter_names` and its other stored arrays in `buffer_names`. At the end
    of `forward` it keeps what `backward` needs with `self._keep(...)`; `backward` begins with `self._last()` and, when
    nothing more can go wrong, calls `self._went_back()`. A container says in `_inner` which layers are inside, and in
    `named_state` what their arrays are called, as `Sequential` does.

    Attributes:
        training: True after `.train()` (the start), False after `.eval()`.
        frozen: True after `.freeze()`, which no `train()` undoes, False after `.unfreeze()` (the start).
        grads: the gradient of each parameter after `backward`, by name.

    Examples:
        A layer of one's own: y = 2 * x.

        >>> class Double(bn_lib.Layer):
        ...     def forward(self, x):
        ...         return 2 * x
        ...     def backward(self, dy):
        ...         return 2 * dy
        >>> model = bn_lib.Sequential(Double(), bn_lib.ReLU())
        >>> model.forward(np.array([[-1.0, 3.0]]))
        array([[0., 6.]])
        >>> model.backward(np.ones((1, 2)))
        array([[0., 2.]])
    """

    parameter_names: tuple[str, ...] = ()
    buffer_names: tuple[str, ...] = ()
    given_names: tuple[str, ...] = ()  # attributes that `given` sets: what the output depends on beside x
    training = Setting(check.boolean)
    frozen = False  # on the class, and so for a layer that was pickled before there was such a thing

    last_pass = Pass()  # on the class, for a layer that has none yet: a copy starts from here

    def __init__(self) -> None:
        self.training = True
        self.grads: dict[str, Array] = {}

    def forward(self, x: Array) -> Array:
        """Return the output for `x`."""
        raise NotImplementedError

    def backward(self, dy: Array) -> Array:
        """Return the gradient with respect to the last input, given that with respect to the last output.

        Raises:
            RuntimeError: if there is no forward pass to go back from.
        """
        raise NotImplementedError

    def fill_grads(self, dy: Array) -> None:
        """Set `grads` as `backward` does, without computing dx, where that saves work.

        The first layer of a network needs no dx, because its input is data. That is a ninth of a training step of the
        784-100-100-100-10 network of the benchmarks.
        """
        self.backward(dy)

    def __init_subclass__(cls, **options: Any) -> None:
        """A class with a `backward` of its own does not inherit a `fill_grads` that knows nothing of it."""
        super().__init_subclass__(**options)
        if "backward" in vars(cls) and "fill_grads" not in vars(cls):
            setattr(cls, "fill_grads", Layer.fill_grads)  # noqa: B010 - mypy refuses the plain assignment

    def __call__(self, x: Array, *arguments: Any, **options: Any) -> Array:
        """Same as `forward`."""
        return self.forward(x, *arguments, **options)

    def train(self) -> Self:
        """Switch this layer, and all inside it, to training mode; return the layer."""
        for layer in self._inner():
            layer.train()
        self.training = True
        return self

    def eval(self) -> Self:
        """Switch this layer, and all inside it, to inference mode; return the layer."""
        for layer in self._inner():
            layer.eval()
        self.training = False
        return self

    def freeze(self) -> Self:
        """Keep this layer, and all inside it, as they are while others are trained; return the layer.

        `SGD` leaves parameters of a frozen layer alone, weight decay and momentum included. A frozen `BatchNorm`
        normalizes with its running statistics, which do not move, whatever the mode: gradients pass through it as in
        inference. Nothing else changes: `Dropout` drops in training mode, and `grads` are filled. `train()`, `eval()`
        and `fit` leave a frozen layer frozen, copies and pickles are too, and a state dict does not say.

        That is `trainable = False` of Keras. In PyTorch `requires_grad_(False)` holds the parameters only: statistics
        move on, until `eval()` after every `train()` holds them.
        """
        return self._set_frozen(True)

    def unfreeze(self) -> Self:
        """Undo `freeze`, for this layer and all inside it; return the layer."""
        return self._set_frozen(False)

    def _set_frozen(self, frozen: bool) -> Self:
        for layer in self.layers():
            layer.frozen = frozen
        return self

    def layers(self) -> Iterator["Layer"]:
        """This layer, and for a container every layer inside it, first to last, those of inner containers too."""
        yield self
        for layer in self._inner():
            yield from layer.layers()

    def _inner(self) -> Iterable["Layer"]:
        """The layers that a container is made of."""
        return ()

    def named_state(self) -> Iterator[tuple[str, "Layer", str]]:
        """Every stored array as (name in the state dict, its layer, its attribute)."""
        for name in (*self.parameter_names, *self.buffer_names):
            yield name, self, name

    def state_dict(self, names: str | None = None) -> dict[str, Any]:
        """Copies of all parameters and buffers, by name.

        With `names`, names and layouts are those of a framework, and what it does not keep is left out:

            ours                        "pytorch"             "keras"                 "flax"
            gamma                       weight                gamma                   scale
            beta                        bias                  beta                    bias
            running_mean                running_mean          moving_mean             mean
            running_var                 running_var           moving_variance         var
            num_batches_tracked         num_batches_tracked   -                       -
            weight of Dense             weight, transposed    kernel                  kernel
            weight of Conv2d            weight                kernel (H, W, in, out)  kernel (H, W, in, out)
            "0.beta" of a Sequential    "0.bias"              "0.beta"                "params" "layers_0" "bias"

        The values of "keras" are in the order of `get_weights()`. "flax" gives the variables of Linen: a dict with
        "params" and, for statistics, "batch_stats", each of dicts. Statistics are as they are stored: `Convention`
        says what their variance and momentum mean, and `BatchNorm.in_convention` makes a layer that goes on in the
        same way. Where channels are last, `Flatten` before a `Dense` has another order of features: its weight has to
        be permuted too.

        Args:
            names: "pytorch" (or "torch"), "keras" or "flax"; None for our own.
        """
        naming = OURS if names is None else Naming.of(names)
        return naming.pack(
            {key: _in_order(getattr(each, name), order) for key, each, name, order in self._slots(naming)}
        )

    def load_state_dict(self, state: Mapping[str, Any], names: str | None = None) -> Self:
        """Set all parameters and buffers from `state`; return the layer. Nothing changes if this raises.

        Values are rounded to the type that is stored. What the framework does not keep stays as it is.

        Args:
            state: what `state_dict` gives with the same `names`.
            names: whose names and layouts: None for our own, or see `state_dict`.

        Raises:
            TypeError: if `state` is not a dict, or a value not an array of the kind of number that is stored.
            ValueError: if a name is missing, unknown, or of another shape; if a number is too large for the stored
                type, or means nothing where it is (a negative variance, a count below 0); or if a layer that has two
                names in `state` has two values.
        """
        if not isinstance(state, Mapping):
            raise TypeError(f"state is a {type(state).__name__}; expected a dict of arrays, as state_dict gives")
        naming = OURS if names is None else Naming.of(names)
        state = naming.unpack(state) if naming.collections else state
        slots = {key: (layer, name, order) for key, layer, name, order in self._slots(naming)}
        missing, unknown = slots.keys() - state.keys(), state.keys() - slots.keys()
        if missing or unknown:
            raise ValueError(
                f"state lacks {sorted(missing) or 'nothing'} and has the unknown "
                f"{sorted(unknown, key=str) or 'nothing'}; "
                f"expected exactly {sorted(slots)}"
            )
        ready: dict[tuple[int, str], tuple[str, Array]] = {}
        for key, (layer, name, order) in slots.items():
            value = _replacement(state[key], _in_order(getattr(layer, name), order), f"state[{key!r}]")
            layer.check_meaning(name, value, f"state[{key!r}]")
            other, same = ready.setdefault((id(layer), name), (key, value))
            if not bool(namespace(value).all((value == same) | (value != value) & (same != same))):
                raise ValueError(f"state[{key!r}] differs from state[{other!r}]; expected one value for the same array")
        for layer, name, order in slots.values():
            back = tuple(order.index(axis) for axis in range(len(order)))
            setattr(layer, name, _in_order(ready[id(layer), name][1], back))
        return self

    def _slots(self, naming: Naming) -> Iterator[tuple[str, "Layer", str, tuple[int, ...]]]:
        """Every stored array as (their name, its layer, its attribute, our axes in their order)."""
        for key, layer, name in self.named_state():
            theirs = naming.key(key, name, kind=type(layer).__name__, trained=name in layer.parameter_names)
            if theirs is not None:
                yield theirs, layer, name, naming.order(name, getattr(layer, name).ndim)

    def check_meaning(self, name: str, value: Array, label: str) -> None:
        """Raise `ValueError` if `value` cannot be what the array `name` stands for, such as a negative variance.

        For layers whose arrays mean more than numbers; `load_state_dict` calls it. `label` is the name for messages.
        """

    def save(self, path: str | Path) -> None:
        """Write the state dict to `path` as a NumPy `.npz` file (the ending must be `.npz`)."""
        # Arrays of numbers, so nothing is pickled. (savez takes allow_pickle from NumPy 2.2 on; 2.1 would store it.)
        arrays: dict[str, Any] = {key: to_numpy(value) for key, value in self.state_dict().items()}
        np.savez(_npz(path), **arrays)

    def load(self, path: str | Path) -> Self:
        """Read a state dict that `save` wrote; return the layer. Nothing changes if this raises.

        Raises:
            FileNotFoundError: if there is no such file.
            ValueError: as `load_state_dict`; also if the file is not of that kind or holds pickled objects, which are
                never loaded.
        """
        path = _npz(path)
        try:
            with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
                state = dict(file)
        except (ValueError, TypeError, EOFError, BadZipFile) as error:
            raise ValueError(f"path is {path}; expected a file of plain arrays that save wrote ({error})") from error
        return self.load_state_dict(state)

    def __getstate__(self) -> dict[str, Any]:
        """What copies and pickles hold: everything but the last forward pass, which is as large as its mini-batch."""
        state = {name: value for name, value in vars(self).items() if name != "last_pass"}
        return {**state, "grads": dict(self.grads)}

    def _check_x(self, x: Array) -> None:
        """Raise unless `x` is an array of floats, and in training holds a row: there is nothing to learn from none."""
        check.floats(x)
        if self.training and x.shape[:1] == (0,):
            raise ValueError(f"x has shape {x.shape}; expected at least one element along every axis")

    def _keep(self, cache: Any) -> None:
        """Remember what `backward` needs of this forward pass; the one before is forgotten."""
        before = self.last_pass
        self.last_pass = Pass(cache, before.cache is not None and not before.gone_back)

    def _last(self) -> Any:
        """What the last `forward` kept for `backward`."""
        if self.last_pass.cache is not None:
            return self.last_pass.cache
        if self.last_pass.skipped:
            raise RuntimeError(
                f"{type(self).__name__}.backward was called twice after two forward passes, of which only the last is "
                "kept; call backward(dy) before the next forward(x)"
            )
        raise RuntimeError(f"{type(self).__name__}.backward was called before forward; call forward(x) first")

    def _went_back(self) -> None:
        """Note that `backward` was called for the last pass. If one was skipped before, a second call is for that."""
        cache, skipped, _ = self.last_pass
        self.last_pass = Pass(None if skipped else cache, skipped, True)


def distinct_layers(layer: Layer) -> list[Layer]:
    """All of `layer.layers()`, each once: a layer may be in a network in more than one place."""
    return list({id(each): each for each in layer.layers()}.values())


def parameters_with_gradients(layer: Layer, *, frozen: bool = True) -> list[tuple[Layer, str, Array, Array]]:
    """Every trained array of `layer`, each once: its layer, its name, its value, its gradient.

    Those of frozen layers are left out unless `frozen`.

    Raises:
        RuntimeError: if a gradient is missing because `backward` has not been called.
        ValueError: if a gradient that was put there by hand is no array of its parameter's shape.
    """
    found = []
    for each in distinct_layers(layer):
        for name in each.parameter_names if frozen or not each.frozen else ():
            if name not in each.grads:
                raise RuntimeError(f"{type(each).__name__} has no gradient of {name}; call backward(dy) first")
            parameter, g = getattr(each, name), each.grads[name]
            if getattr(g, "shape", None) != parameter.shape:
                seen = f"has shape {g.shape}" if is_array(g) else f"is a {type(g).__name__}"
                raise ValueError(
                    f"{type(each).__name__}.grads[{name!r}] {seen}; expected an array of shape {parameter.shape}, "
                    f"that of {name}"
                )
            found.append((each, name, parameter, g))
    return found


@contextmanager
def put_back(slots: Iterable[tuple[Any, str]]) -> Iterator[None]:
    """Put attributes, each an object and a name, back afterwards, whatever happens inside."""
    before = [(holder, name, getattr(holder, name)) for holder, name in slots]
    try:
        yield
    finally:
        for holder, name, value in before:
            setattr(holder, name, value)


def modes_kept(layer: Layer) -> AbstractContextManager[None]:
    """Put every layer's mode back afterwards, whatever happens inside."""
    return put_back((each, "training") for each in layer.layers())


@contextmanager
def only_looked_at(layer: Layer) -> Iterator[None]:
    """Put all that a layer holds back afterwards, whatever happens inside, even where its random numbers come from.

    That is its mode, parameters, running statistics, gradients and last forward pass, so a model can be tried out
    between a forward pass and its backward pass.
    """
    slots: list[tuple[Any, str]] = []
    for each in distinct_layers(layer):
        names = "training", "last_pass", "grads", *each.parameter_names, *each.buffer_names
        slots += [(each, name) for name in names]
        slots += [(g.bit_generator, "state") for g in vars(each).values() if isinstance(g, np.random.Generator)]
    with put_back(slots):
        for each in layer.layers():
            each.grads = {}
        yield


@contextmanager
def undone_if_it_raises(layer: Layer) -> Iterator[None]:
    """Undo the updates of running statistics if what runs inside raises: a later layer may refuse what an earlier took.

    Layers replace these arrays and never write into them, so the old arrays are the old state. The forward passes are
    forgotten: some are of this input, some of the one before.
    """
    before = [(each, name, getattr(each, name)) for each in layer.layers() for name in each.buffer_names]
    try:
        yield
    except BaseException:
        for each, name, value in before:
            setattr(each, name, value)
        for each in layer.layers():
            each.last_pass = Pass()
        raise


@contextmanager
def method_replaced(layers: Iterable[Layer], name: str, function: Callable[..., Any]) -> Iterator[None]:
    """Have `function(layer, ...)` do inside what the method `name` of these layers does."""
    layers = list(layers)
    for layer in layers:
        vars(layer)[name] = partial(function, layer)
    try:
        yield
    finally:
        for layer in layers:
            del vars(layer)[name]


def check_model(value: Any, name: str) -> Layer:
    """Return `value`; raise `TypeError` unless it is a layer."""
    if not isinstance(value, Layer):
        raise TypeError(f"{name} is a {type(value).__name__}; expected a Layer")
    return value


def to_numpy(x: Array) -> np.ndarray[Any, Any]:
    """Return `x` as a NumPy array, copied from the GPU if that is where it is."""
    return x.get() if hasattr(x, "get") else np.asarray(x)


def _in_order(value: Array, order: tuple[int, ...]) -> Array:
    """A copy with its axes in this order, in memory too."""
    xp = namespace(value)
    flat = xp.reshape(xp.permute_dims(value, order), (-1,))
    return xp.asarray(xp.reshape(flat, tuple(value.shape[axis] for axis in order)), copy=True)


def _replacement(value: Any, current: Array, name: str) -> Array:
    """A copy of `value` with the type of `current`, if nothing but rounding is lost."""
    if not is_array(value) or isinstance(value, np.ma.MaskedArray):
        raise TypeError(f"{name} is a {type(value).__name__}; expected an array of shape {current.shape}")
    xp = namespace(current)
    whole = xp.isdtype(current.dtype, "integral")
    if not namespace(value).isdtype(value.dtype, "integral" if whole else ("integral", "real floating")):
        raise TypeError(f"{name} has dtype {value.dtype}; expected {'an integer type' if whole else current.dtype}")
    if tuple(value.shape) != tuple(current.shape):
        raise ValueError(f"{name} has shape {value.shape}; expected {current.shape}")
    with np.errstate(all="ignore"):  # what does not fit is told below
        stored = xp.asarray(value, dtype=current.dtype, copy=True)
    source = xp.asarray(value)
    if whole:
        lost = (xp.astype(stored, source.dtype) != source) | ((stored < 0) != (source < 0))
    else:
        lost = xp.isinf(stored) & xp.isfinite(source)
    if bool(xp.any(lost)):
        raise ValueError(f"{name} holds {source[lost][0]}; expected numbers that fit in {current.dtype}")
    return stored


def _npz(path: str | Path) -> Path:
    path = Path(path)
    if path.suffix != ".npz":
        raise ValueError(f"path is {path}; expected a file name that ends in .npz")
    return path
