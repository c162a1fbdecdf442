"""Whatever a learner passed as an answer, as a plain array of finite floats, or the sentence that says why not.

This is the only place that touches what a learner passed. It looks at the type and the size before it looks at the
values, so it neither raises nor takes long. (One exception: `__array__` of a foreign object, say a tensor, is the
object's own code. In a graded run there are no foreign objects, because answers arrive as JSON.)
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np

from bn_exercises.tolerance import Array

# Where a cell's output holds the answers that were handed in, as plain data.
ANSWERS = "application/vnd.bn-exercises.answers+json"
# What a check shows while a submission is graded. It is read in the feedback, by who wrote the answers.
LATER = "What was found in your answers stands beside them, and all of it below the cell that hands in."
# More than any problem asks for, and few enough to look at each.
MOST_NUMBERS = 1000
DEEPEST = 8
LARGEST = 1e12
LONGEST_TEXT = 40
LONGEST_SENTENCE = 500
# What is said of nan, and of infinities.
NOT_A_NUMBER = "This holds a value that is not a number (nan). Was something divided by zero?"
TOO_LARGE = "This holds a value that is infinite, or too large to be meant."

_SEQUENCES = (list, tuple, range)
_PLAIN_NUMBERS = (int, float, Fraction, Decimal, np.integer, np.floating)


@dataclass(frozen=True)
class Unusable:
    """An answer that cannot be read as numbers.

    Attributes:
        missing: nothing was answered.
        sentence: what is the matter, for the learner. It repeats nothing of the answer.
    """

    sentence: str
    missing: bool = False


def read(value: object) -> Array | Unusable:
    """The numbers in `value` as a float64 array that shares no memory with it, or what keeps it from being one."""
    # It was read before, where the learner works.
    if type(value) is Unusable:
        return value
    try:
        return _read(value)
    except _UnusableError as error:
        return error.unusable
    # Not BaseException: a learner may interrupt. RecursionError, MemoryError and OverflowError are among these.
    except Exception:
        return Unusable("This cannot be read as numbers. Give a list, a tuple or an array.")


def plain(observed: Any) -> Any:
    """What was observed of answers, as JSON has it: arrays as lists, what cannot be read as {"unusable": sentence}."""
    if isinstance(observed, Unusable):
        return {"unusable": observed.sentence, "missing": observed.missing}
    if isinstance(observed, np.ndarray):
        return observed.tolist()
    if isinstance(observed, Mapping):
        return {str(name): plain(value) for name, value in observed.items()}
    if isinstance(observed, (list, tuple)):
        return [plain(value) for value in observed]
    return observed


def from_plain(data: Any) -> Any:
    """Back from `plain`, but for arrays, which stay lists: `read` takes those too."""
    if isinstance(data, dict):
        if set(data) == {"unusable", "missing"}:
            return Unusable(str(data["unusable"])[:LONGEST_SENTENCE], bool(data["missing"]))
        return {name: from_plain(value) for name, value in data.items()}
    if isinstance(data, list):
        return [from_plain(value) for value in data]
    return data


def fit(array: Array, shape: tuple[int, ...]) -> Array | None:
    """`array` in that shape, if it is only written another way: as a row, as a column, or one number after another.

    None for a table of another form, transposed for example: its numbers stand in another order.
    """
    if array.size != int(np.prod(shape)):
        return None
    if array.shape == shape:
        return array
    in_a_line = sum(n > 1 for n in array.shape) <= 1
    return array.reshape(shape) if in_a_line or _without_ones(array.shape) == _without_ones(shape) else None


def described(shape: tuple[int, ...]) -> str:
    """A shape in words: "3 numbers", "4 rows of 3 numbers"."""
    shape = _without_ones(shape)
    if not shape:
        return "one number"
    last = f"{shape[-1]} numbers"
    return last if len(shape) == 1 else f"{' × '.join(map(str, shape[:-1]))} rows of {last}"


def _without_ones(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(n for n in shape if n != 1)


class _UnusableError(Exception):
    def __init__(self, sentence: str, missing: bool = False) -> None:
        self.unusable = Unusable(sentence, missing)


def _read(value: Any) -> Array:
    # `type(value)`, because isinstance asks the object for its `__class__`, and it may lie.
    kind = type(value)
    if value is None or value is Ellipsis:
        raise _UnusableError("There is no answer yet.", missing=True)
    if issubclass(kind, np.ma.MaskedArray):
        _refuse_large(np.ndarray.size.__get__(value))
        if np.ma.getmaskarray(value).any():
            raise _UnusableError("Some of the numbers are masked, so they are not there.")
    if issubclass(kind, np.ndarray):
        return _array(np.ndarray.view(value, np.ndarray))
    if issubclass(kind, (str, bytes, bytearray)):
        raise _UnusableError("This is text. Give numbers, without quotation marks.")
    if issubclass(kind, _SEQUENCES):
        return _nested(value)
    if kind is bool or issubclass(kind, (np.bool_, complex, np.complexfloating, *_PLAIN_NUMBERS)):
        return np.array(_number(value))
    if issubclass(kind, (set, frozenset)):
        raise _UnusableError("A set has no order. Give a list.")
    if issubclass(kind, dict):
        raise _UnusableError("This is a dictionary. Give a list of its numbers, in order.")
    if kind is type or (callable(value) and not hasattr(kind, "__array__")):
        raise _UnusableError("This is a function. Give what it returns: call it, with parentheses.")
    if hasattr(kind, "__next__"):
        raise _UnusableError("This gives its values only one by one, as a generator does. Put list(...) around it.")
    if not hasattr(kind, "__array__"):
        raise _UnusableError("This cannot be read as numbers. Give a list, a tuple or an array.")
    return _foreign(value)


def _foreign(value: Any) -> Array:
    """A tensor, a pandas Series: ask for its shape before asking for its numbers."""
    size = 1
    for length in tuple(getattr(value, "shape", ()))[: DEEPEST + 1]:
        size *= int(length)
    _refuse_large(size)
    if getattr(value, "requires_grad", False) is True:
        raise _UnusableError("This tensor records gradients, so its numbers cannot be taken. Give `.detach()` of it.")
    array = np.asarray(value)
    return _array(array.view(np.ndarray))


def _array(array: Array) -> Array:
    _refuse_large(array.size)
    if array.ndim > DEEPEST:
        raise _UnusableError("This array has too many dimensions.")
    if array.dtype.kind == "b":
        raise _UnusableError("These are truth values (True, False), not numbers.")
    if array.dtype.kind == "c":
        raise _UnusableError("These numbers are complex. Everything here is real.")
    if array.dtype.kind in "iuf":
        with np.errstate(all="ignore"):
            return _checked(array.astype(np.float64))
    if array.dtype.kind in "OUST":
        return _checked(np.array([_number(v) for v in array.ravel().tolist()], dtype=float).reshape(array.shape))
    raise _UnusableError("This array does not hold numbers.")


def _nested(value: Any) -> Array:
    """Lists in lists. Counted while walking, so neither a huge list nor one that contains itself takes long."""
    left = [MOST_NUMBERS]

    def walk(item: Any, depth: int) -> Any:
        if not issubclass(type(item), _SEQUENCES):
            left[0] -= 1
            if left[0] < 0:
                _refuse_large(MOST_NUMBERS + 1)
            return _element(item)
        _refuse_large(_length(item))
        if depth > DEEPEST:
            raise _UnusableError("These lists are nested too deeply.")
        left[0] -= 1  # also an empty list costs something
        if left[0] < 0:
            _refuse_large(MOST_NUMBERS + 1)
        return [walk(each, depth + 1) for each in _items(item)]

    plain = walk(value, 1)
    try:
        array = np.array(plain, dtype=float)
    except ValueError:
        raise _UnusableError("The rows have different lengths.") from None
    _refuse_large(array.size)
    return _checked(array)


def _length(sequence: Any) -> int:
    """The true length, whatever a subclass says."""
    return next(base.__len__(sequence) for base in _SEQUENCES if issubclass(type(sequence), base))


def _items(sequence: Any) -> Any:
    return next(base.__iter__(sequence) for base in _SEQUENCES if issubclass(type(sequence), base))


def _element(item: Any) -> Any:
    """What stands in a list: a number, or a small array of them."""
    if item is None or item is Ellipsis:
        raise _UnusableError("One of the numbers is still missing.")
    if issubclass(type(item), np.ndarray) or (
        hasattr(type(item), "__array__") and not issubclass(type(item), np.generic)
    ):
        array = _read(item)
        # [array([5.]), array([7.])] is a column.
        return array.tolist()
    return _number(item)


def _number(item: Any) -> float:
    kind = type(item)
    if kind in (bool, np.bool_):
        raise _UnusableError("This holds a truth value (True or False), not a number.")
    if issubclass(kind, (complex, np.complexfloating)):
        raise _UnusableError("These numbers are complex. Everything here is real.")
    if issubclass(kind, (str, bytes)):
        if len(item) > LONGEST_TEXT:
            raise _UnusableError("This holds text, not numbers.")
        try:
            return _bounded(float(item))
        except ValueError:
            raise _UnusableError("This holds text, not numbers.") from None
    if issubclass(kind, _PLAIN_NUMBERS):
        try:
            return _bounded(float(item))
        except OverflowError:
            return _bounded(float("inf"))
    array = _read(item)
    if array.size != 1:
        raise _UnusableError("The rows have different lengths.")
    return float(array.reshape(()))


def _bounded(number: float) -> float:
    _checked(np.array(number))
    return number


def _checked(array: Array) -> Array:
    if array.size == 0:
        raise _UnusableError("This holds no number.", missing=True)
    if np.isnan(array).any():
        raise _UnusableError(NOT_A_NUMBER)
    if not (np.abs(array) <= LARGEST).all():
        raise _UnusableError(TOO_LARGE)
    return array


def _refuse_large(size: int) -> None:
    if size > MOST_NUMBERS:
        raise _UnusableError("These are far more numbers than were asked for.")
