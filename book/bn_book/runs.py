"""Runs of experiments that several ask for: a page for its figure and, in another process, the ledger for a claim.

`cache` is `functools.cache`. While a book is built it also keeps what took some time, so that no other process of the
build, and no later build with the same code, runs it again.
"""

import functools
import hashlib
import inspect
import os
import pickle
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

#: The variable with the folder where runs are kept, each in a file that is named after the experiment and says with
#: what it was called. Whoever sets it names the folder after the code.
FOLDER = "BOOK_RUNS"
# Seconds from which on a run is worth a file.
LONG = 0.1


def cache(function: Callable[P, R]) -> Callable[P, R]:
    """`functools.cache`, in every process of a build.

    Kept are runs whose arguments are numbers, words, and tuples of them: what these are, their text says.

    Args:
        function: an experiment. What it returns depends on its arguments alone; what cannot be pickled is not kept.

    Examples:
        >>> double = cache(lambda value: 2 * value)
        >>> double(4)
        8
    """
    parameters = inspect.signature(function)

    @functools.wraps(function)
    def kept(*args: P.args, **kwargs: P.kwargs) -> R:
        folder = os.environ.get(FOLDER)
        asked = _asked(parameters, args, kwargs)
        if not folder or not _plain(tuple(asked.arguments.values())):
            return function(*args, **kwargs)
        which = hashlib.sha256(repr(asked.arguments).encode()).hexdigest()[:16]
        file = Path(folder, f"{function.__module__}.{function.__qualname__}-{which}.pickle")
        if file.is_file():
            result: R = pickle.loads(file.read_bytes())
            return result
        began = time.process_time()
        result = function(*args, **kwargs)
        if time.process_time() - began >= LONG:
            _write(file, result)
        return result

    return once(kept)


def once(function: Callable[P, R]) -> Callable[P, R]:
    """`functools.cache`, for which an argument left out and the same one given by name are one call and not two.

    Args:
        function: what it returns depends on its arguments alone.

    Examples:
        >>> drawn = once(lambda seed=0: object())
        >>> drawn() is drawn(0) is drawn(seed=0)
        True
    """
    parameters = inspect.signature(function)
    run = functools.cache(function)

    @functools.wraps(function)
    def asked_for(*args: P.args, **kwargs: P.kwargs) -> R:
        asked = _asked(parameters, args, kwargs)
        return run(*asked.args, **asked.kwargs)

    return asked_for


def _asked(parameters: inspect.Signature, args: tuple[Any, ...], kwargs: dict[str, Any]) -> inspect.BoundArguments:
    asked = parameters.bind(*args, **kwargs)
    asked.apply_defaults()
    return asked


def _plain(value: Any) -> bool:
    if isinstance(value, tuple):
        return all(map(_plain, value))
    return value is None or type(value) in (bool, int, float, str)


def _write(file: Path, result: object) -> None:
    """Write it, so that others find the whole file or none. A function made in a function cannot be written."""
    try:
        content = pickle.dumps(result)
    except (pickle.PicklingError, AttributeError, TypeError):
        return
    part = file.with_suffix(f".{os.getpid()}")
    file.parent.mkdir(parents=True, exist_ok=True)
    part.write_bytes(content)
    part.replace(file)
