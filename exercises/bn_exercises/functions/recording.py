"""What a learner's function did with an input, as data: what it returned, or why nothing can be read.

`record` runs functions of other people's making. It gives them copies, keeps what they write off standard error, and
turns whatever goes wrong into a sentence; only an interruption by the learner passes. What it returns can be stored
(`as_data`), read again by somebody who trusts nobody (`from_data`), and compared (`agree`).

The functions are those that the problems ask for, by the names in `ARGUMENTS`.
"""

import inspect
import logging
import re
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr
from types import FunctionType
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from bn_exercises.answers import LARGEST, MOST_NUMBERS, Unusable, read
from bn_exercises.tolerance import Array

ARGUMENTS = {
    "forward": ("x", "gamma", "beta", "eps"),
    "backward": ("dy", "x", "gamma", "eps", "mean", "var"),
    "update_running": ("running_mean", "running_var", "x", "momentum"),
    "inference": ("x", "gamma", "beta", "running_mean", "running_var", "eps"),
    "layer_norm": ("x", "gamma", "beta", "eps"),
    "layer_norm_backward": ("dy", "x", "gamma", "eps"),
    "group_norm": ("x", "gamma", "beta", "groups", "eps"),
    "group_norm_backward": ("dy", "x", "gamma", "groups", "eps"),
    "rms_norm": ("x", "gamma", "eps"),
    "rms_norm_backward": ("dy", "x", "gamma", "eps"),
}
RETURNS = {
    "forward": ("y",),
    "backward": ("dx", "dgamma", "dbeta"),
    "update_running": ("running_mean", "running_var"),
    "inference": ("y",),
    "layer_norm": ("y",),
    "layer_norm_backward": ("dx", "dgamma", "dbeta"),
    "group_norm": ("y",),
    "group_norm_backward": ("dx", "dgamma", "dbeta"),
    "rms_norm": ("y",),
    "rms_norm_backward": ("dx", "dgamma"),
}
# What a function is there to change: PyTorch's update is in place, too.
MAY_CHANGE = {"update_running": ("running_mean", "running_var")}

LONGEST_LINE = 120
# Among numbers of ordinary size this is what is left of 0 by subtraction.
ZERO = 1e-12


class Record(NamedTuple):
    """What a function did with an input.

    Attributes:
        outputs: what it returned, as float64 arrays.
        changed: the names of the arguments that it changed in place and should not.
    """

    outputs: tuple[Array, ...]
    changed: tuple[str, ...]


Recorded: TypeAlias = Record | Unusable


def record(function: Any, name: str, arguments: tuple[Any, ...]) -> Recorded:
    """Run what was answered as the function of that name. Raises nothing but KeyboardInterrupt.

    Args:
        function: what was answered, whatever it is.
        name: which of `ARGUMENTS` it is to be.
        arguments: as in `ARGUMENTS`; the x of `update_running` is a tuple of batches, one update after the other.
    """
    if function is None or function is Ellipsis or _is_unwritten(function):
        return Unusable("There is no answer yet.", missing=True)
    if not callable(function):
        return Unusable("This is not a function. Give the function itself: its name, without parentheses.")
    if issubclass(type(function), type):
        return Unusable("This is a class. Give a function, or a method of an object that you made of it.")
    passed = _copied(arguments)
    try:
        with quietly():
            outputs = _call(function, name, passed)
    except KeyboardInterrupt:
        raise
    except NotImplementedError:
        return Unusable("There is no answer yet.", missing=True)
    # SystemExit, too: a learner's exit() would otherwise end the notebook.
    except BaseException as error:
        return Unusable(_raised(error) + _misfit(function, name, arguments, error))
    if isinstance(outputs, Unusable):
        return outputs
    named = zip(ARGUMENTS[name], passed, arguments, strict=False)
    changed = tuple(argument for argument, after, before in named if not _equal(after, before))
    return Record(outputs, tuple(argument for argument in changed if argument not in MAY_CHANGE.get(name, ())))


def quickly(function: Callable[..., Any], name: str, arguments: tuple[Any, ...]) -> Recorded:
    """The same of a function of our own, in a fraction of the time; of one that fails or changes what it gets, too.

    Args:
        function: of a gallery.
        name: which of `ARGUMENTS` it is to be.
        arguments: as of `record`.
    """
    try:
        outputs = _of_ours(function, name, tuple(map(_read_only, arguments)))
    except Exception:
        return record(function, name, arguments)
    usual = all(
        type(each) is np.ndarray and each.dtype == np.float64 and 0 < each.size <= MOST_NUMBERS for each in outputs
    )
    # nan is not at most anything.
    if usual and all(bool(np.abs(each).max() <= LARGEST) for each in outputs):
        return Record(outputs, ())
    return record(function, name, arguments)


def _of_ours(function: Callable[..., Any], name: str, arguments: tuple[Any, ...]) -> tuple[Array, ...]:
    if name != "update_running":
        outputs = function(*arguments)
        return outputs if isinstance(outputs, tuple) else (outputs,)
    *statistics, batches, momentum = arguments
    for x in batches:
        statistics = function(*statistics, x, momentum)
    return tuple(statistics)


def _read_only(argument: Any) -> Any:
    if isinstance(argument, tuple):
        return tuple(map(_read_only, argument))
    if not isinstance(argument, np.ndarray):
        return argument
    view = argument.view()
    view.flags.writeable = False
    return view


def _is_unwritten(function: Any) -> bool:
    """Whether nothing stands in its body, but for what it is to do."""

    def documented() -> None:
        """Do nothing."""

    def bare() -> None: ...

    if type(function) is not FunctionType:
        return False
    code = function.__code__
    nothing = code.co_code in (documented.__code__.co_code, bare.__code__.co_code)
    return nothing and all(constant in (None, function.__doc__) for constant in code.co_consts)


def _call(function: Callable[..., Any], name: str, arguments: tuple[Any, ...]) -> tuple[Array, ...] | Unusable:
    if name != "update_running":
        return _outputs(function(*arguments), RETURNS[name])
    *statistics, batches, momentum = arguments
    for x in batches:
        outputs = _outputs(function(*statistics, x, momentum), RETURNS[name])
        if isinstance(outputs, Unusable):
            return outputs
        # In the shape that the learner gives them.
        statistics = [output.copy() for output in outputs]
    return outputs


def _outputs(value: Any, names: Sequence[str]) -> tuple[Array, ...] | Unusable:
    """What a function returned, as one array for each name."""
    if value is None:
        return Unusable("It returned None. Is there a return at the end?")
    if hasattr(type(value), "__await__"):
        return Unusable("It is asynchronous, so a call of it computes nothing. Leave out the word `async`.")
    if hasattr(type(value), "__next__"):
        return Unusable(
            "It returned what gives its values only one by one: a generator, map or zip. Return arrays: with `return` "
            "where `yield` stands, or with list(...) around it."
        )
    expected = f"Expected: {', '.join(names)}."
    # A list may be one array: its rows.
    one = len(names) == 1 and not issubclass(type(value), tuple)
    values = [value] if one else _several(value, len(names))
    if len(names) > 1 and issubclass(type(value), dict):
        return Unusable(f"It returned a dictionary. Return its values instead, in this order: {', '.join(names)}.")
    if len(values) == len(names) and all(each is None or each is Ellipsis for each in values):
        return Unusable("There is no answer yet.", missing=True)
    if len(values) != len(names):
        one_thing = "one array" if issubclass(type(value), np.ndarray) else "one thing"
        return Unusable(f"It returned {one_thing if len(values) == 1 else f'{len(values)} things'}. {expected}")
    arrays = [_cut_short(each) or read(each) for each in values]
    for name, array in zip(names, arrays, strict=True):
        if isinstance(array, Unusable):
            return Unusable(f"{name}: {array.sentence}")
    return tuple(arrays)


def _cut_short(value: Any) -> Unusable | None:
    """What is to be said of an array whose type does not hold the digits that are asked for."""
    if not issubclass(type(value), np.ndarray):
        return None
    if value.dtype == np.float16:
        return Unusable("This is float16, which has three digits. Compute in the type of x: float32 or float64.")
    if value.dtype.kind in "iu":
        return Unusable(
            f"These are whole numbers ({value.dtype}), so what stands after the point was lost. Make the array of "
            "floats, as np.zeros_like(x) does."
        )
    return None


def _several(value: Any, count: int) -> list[Any]:
    """What is in a value that may hold `count` outputs: the value itself, if it holds none."""
    # Two statistics may be stacked. Gradients differ in shape, so an array of numbers is one of them: the rows of dx,
    # where there are three samples, are not three gradients.
    stacked = (
        issubclass(type(value), np.ndarray)
        and value.shape[:1] == (count,)
        and (count == len(RETURNS["update_running"]) or value.dtype == object)
    )
    return list(value) if stacked or issubclass(type(value), (tuple, list)) else [value]


def _copied(arguments: Any) -> Any:
    if isinstance(arguments, tuple):
        return tuple(_copied(each) for each in arguments)
    return arguments.copy() if isinstance(arguments, np.ndarray) else arguments


def _equal(after: Any, before: Any) -> bool:
    if isinstance(before, tuple):
        return all(map(_equal, after, before))
    return np.array_equal(after, before) if isinstance(before, np.ndarray) else True


@contextmanager
def quietly() -> Iterator[None]:
    """No warnings, nothing on standard error (nbgrader would give 0 for it), and NumPy's settings as before afterwards.

    Nothing is logged either: a handler keeps the standard error that was there when it was made.
    """
    logged_above = logging.root.manager.disable
    with np.errstate(all="ignore"), np.printoptions(), warnings.catch_warnings(), redirect_stderr(sys.stdout):
        warnings.simplefilter("ignore")
        logging.disable(sys.maxsize)
        try:
            yield
        finally:
            logging.disable(logged_above)


def _misfit(function: Any, name: str, arguments: Sequence[Any], error: BaseException) -> str:
    """How it is called, if it raised because it cannot be called like that; nothing otherwise."""
    if not isinstance(error, TypeError):
        return ""
    try:
        # What a decorator passes on is its own affair.
        signature = inspect.signature(function, follow_wrapped=False)
    # A function of NumPy's has none, and an object of the learner's may say what it likes.
    except Exception:
        return ""
    try:
        signature.bind(*arguments)
    except TypeError:
        called = ", ".join(ARGUMENTS[name][: len(arguments)])
        return f" It is called as {name}({called}), in this order and without names."
    return ""


def _raised(error: BaseException) -> str:
    try:
        line = "".join(c for c in str(error).strip().partition("\n")[0] if c.isprintable())
    # The exception may be of the learner's own making.
    except BaseException:
        line = ""
    line = line if len(line) <= LONGEST_LINE else line[:LONGEST_LINE] + " …"
    name = type(error).__name__[:LONGEST_LINE]
    return f"It raised {name}: “{line}”." if line else f"It raised {name}."


def as_data(recorded: Recorded) -> Any:
    """As `answers.plain` can write it."""
    if isinstance(recorded, Unusable):
        return recorded
    return {"outputs": list(recorded.outputs), "changed": list(recorded.changed)}


def from_data(data: Any, function: str) -> Recorded:
    """A record that was plain data in between, and may have been tampered with."""
    if isinstance(data, Record | Unusable):
        return data
    outputs = data.get("outputs") if isinstance(data, Mapping) else None
    if not isinstance(outputs, (list, tuple)) or len(outputs) != len(RETURNS[function]):
        return Unusable("This cannot be read as what the function returned.")
    arrays = [read(output) for output in outputs]
    for array in arrays:
        if isinstance(array, Unusable):
            return array
    changed = data.get("changed")
    said = changed if isinstance(changed, (list, tuple)) else ()
    return Record(tuple(arrays), tuple(name for name in ARGUMENTS[function] if name in said))


def agree(own: Recorded, other: Recorded, room: float, zero: float = ZERO) -> bool:
    """Whether the numbers are the same; or the reasons why there are none.

    Args:
        own: what is looked at.
        other: what it is compared with.
        room: how far off a number may be, in units of the largest of its array.
        zero: how far off, if all of these are 0.
    """
    if isinstance(own, Unusable) or isinstance(other, Unusable):
        return isinstance(own, Unusable) and isinstance(other, Unusable) and _words(own) == _words(other)
    return all(_close(a, b, room, zero) for a, b in zip(own.outputs, other.outputs, strict=True))


def only(recorded: Recorded, output: int) -> Recorded:
    """A record of one of the outputs."""
    return recorded if isinstance(recorded, Unusable) else Record((recorded.outputs[output],), ())


def _words(unusable: Unusable) -> list[str]:
    # NumPy names the shapes that do not fit in the order in which the learner wrote a sum.
    return sorted(re.findall(r"\([\d,]*\)|\w+", unusable.sentence))


def _close(array: Array, value: Array, room: float, zero: float) -> bool:
    fitted = in_shape(array, value.shape)
    return fitted is not None and bool(np.abs(fitted - value).max() <= room * np.abs(value).max() + zero)


def in_shape(array: Array, shape: tuple[int, ...]) -> Array | None:
    """`array` in that shape, if it differs in lengths of 1 only: (1, C) for (C,)."""
    same = [n for n in array.shape if n != 1] == [n for n in shape if n != 1]
    return array.reshape(shape) if same else None
