"""How a complaint is checked, and what the tests of bad input share."""

import array_api_strict as strict
import numpy as np
import pytest

rng = np.random.default_rng(0)
X = rng.normal(size=(4, 3))
X3 = rng.normal(size=(4, 3, 2))
IMAGES = rng.normal(size=(2, 4, 3, 3))
LABELS = np.array([0, 1, 1, 0])
ONE, ZERO = np.ones(3), np.zeros(3)
ONES = np.ones((2, 3))  # gamma or beta of two classes


def other_kind(array):
    """The same numbers in arrays of another library: what a CuPy array is to a NumPy one, without a GPU."""
    return strict.asarray(array)


def row(name, seen, expected, error, call, *, id=None):
    """One row of a table of refusals. `call`: what to call, or its arguments; the other four: see `assert_refused`."""
    return pytest.param(name, seen, expected, error, call, id=id or f"{name}: {seen}")


def assert_refused(name, seen, expected, error, call):
    """The call raises exactly `error`, with a message that begins with the argument's name and says what was seen
    and what was expected."""
    with pytest.raises(error) as caught:
        call()
    assert type(caught.value) is error  # not a subclass that happened to be raised further in
    message = str(caught.value)
    assert message.startswith(name), message
    assert seen in message, message
    assert expected in message, message
