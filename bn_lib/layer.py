"""What every layer of a network is: parameters with gradients, a training mode, a state that can be saved.

The layers themselves are in `batchnorm` (normalizers) and `network` (everything else).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self
from zipfile import BadZipFile

import numpy as np

from bn_lib._arrays import Array, is_array, namespace


class Layer:
    """Base of all layers: `forward(x)` keeps what `backward(dy)` needs; `backward` returns dx and fills `grads`.

    A subclass names its trained arrays in `parameter_names` and its other stored arrays in `buffer_names`.

    Attributes:
        training: True after `.train()` (the start), False after `.eval()`.
        grads: the gradient of each parameter after `backward`, by name.
    """

    parameter_names: tuple[str, ...] = ()
    buffer_names: tuple[str, ...] = ()

    def __init__(self) -> None:
        self.training = True
        self.grads: dict[str, Array] = {}
        self._cache: Any = None

    def forward(self, x: Array) -> Array:
        """Return the output for `x`."""
        raise NotImplementedError

    def backward(self, dy: Array) -> Array:
        """Return the gradient with respect to the last input, given that with respect to the last output."""
        raise NotImplementedError

    def fill_grads(self, dy: Array) -> None:
        """Set `grads` as `backward` does, without computing what it returns, where that saves work.

        The first layer of a network needs no more: its input is data.
        """
        self.backward(dy)

    def __init_subclass__(cls, **options: Any) -> None:
        """A class with a `backward` of its own does not inherit a `fill_grads` that knows nothing of it."""
        super().__init_subclass__(**options)
        if "backward" in vars(cls) and "fill_grads" not in vars(cls):
            setattr(cls, "fill_grads", Layer.fill_grads)  # noqa: B010 - mypy refuses the plain assignment

    def __call__(self, x: Array) -> Array:
        """Same as `forward`."""
        return self.forward(x)

    def train(self) -> Self:
        """Switch to training mode; return the layer."""
        self.training = True
        return self

    def eval(self) -> Self:
        """Switch to inference mode; return the layer."""
        self.training = False
        return self

    def layers(self) -> Iterator["Layer"]:
        """This layer, and for a container every layer inside it."""
        yield self

    def named_state(self) -> Iterator[tuple[str, "Layer", str]]:
        """Every stored array as (name in the state dict, its layer, its attribute)."""
        for name in (*self.parameter_names, *self.buffer_names):
            yield name, self, name

    def state_dict(self) -> dict[str, Array]:
        """Copies of all parameters and buffers, by name."""
        state = {}
        for key, layer, name in self.named_state():
            value = getattr(layer, name)
            state[key] = namespace(value).asarray(value, copy=True)
        return state

    def load_state_dict(self, state: dict[str, Array]) -> Self:
        """Set all parameters and buffers from `state`; return the layer. Nothing changes if this raises.

        Raises:
            TypeError: if a value is not an array of numbers that the stored type can hold.
            ValueError: if a name is missing, unknown, or of another shape.
        """
        slots = {key: (layer, name) for key, layer, name in self.named_state()}
        missing, unknown = slots.keys() - state.keys(), state.keys() - slots.keys()
        if missing or unknown:
            raise ValueError(
                f"state lacks {sorted(missing) or 'nothing'} and has the unknown {sorted(unknown) or 'nothing'}; "
                f"expected exactly {sorted(slots)}"
            )
        ready = {}
        for key, (layer, name) in slots.items():
            ready[key] = _replacement(state[key], getattr(layer, name), f"state[{key!r}]")
        for key, (layer, name) in slots.items():
            setattr(layer, name, ready[key])
        return self

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

    def _last(self) -> Any:
        """What the last `forward` kept for `backward`."""
        if self._cache is None:
            raise RuntimeError(f"{type(self).__name__}.backward was called before forward; call forward(x) first")
        return self._cache


@contextmanager
def buffers_back_if_it_raises(layer: Layer) -> Iterator[None]:
    """Undo the updates of running statistics if what runs inside raises: a later layer may refuse what an earlier took.

    Layers replace their buffers and never write into them, so the old arrays are the old state.
    """
    before = [(owner, name, getattr(owner, name)) for owner in layer.layers() for name in owner.buffer_names]
    try:
        yield
    except BaseException:
        for owner, name, value in before:
            setattr(owner, name, value)
        raise


def to_numpy(x: Array) -> np.ndarray[Any, Any]:
    """Return `x` as a NumPy array, copied from the GPU if that is where it is."""
    return x.get() if hasattr(x, "get") else np.asarray(x)


def _replacement(value: Any, current: Array, name: str) -> Array:
    """A copy of `value` with the type of `current`, if nothing but rounding is lost."""
    if not is_array(value):
        raise TypeError(f"{name} is a {type(value).__name__}; expected an array of shape {current.shape}")
    xp = namespace(current)
    whole = xp.isdtype(current.dtype, "integral")
    if not namespace(value).isdtype(value.dtype, "integral" if whole else ("integral", "real floating")):
        raise TypeError(f"{name} has dtype {value.dtype}; expected {'an integer type' if whole else current.dtype}")
    if tuple(value.shape) != tuple(current.shape):
        raise ValueError(f"{name} has shape {value.shape}; expected {current.shape}")
    return xp.asarray(value, dtype=current.dtype, copy=True)


def _npz(path: str | Path) -> Path:
    path = Path(path)
    if path.suffix != ".npz":
        raise ValueError(f"path is {path}; expected a file name that ends in .npz")
    return path
