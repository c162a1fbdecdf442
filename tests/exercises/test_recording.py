"""Whatever a learner hands in as a function, or as evidence: a clear finding, and nothing of theirs is lost by it."""

import functools
import sys
import types
import warnings
from collections import OrderedDict, namedtuple
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from bn_exercises.check import Session
from bn_exercises.functions.implementations import RIGHT
from bn_exercises.functions.recording import LONGEST_LINE
from bn_exercises.problems import BREAK_IT, IMPLEMENT
from bn_exercises.verdict import Finding

right, gradients, updated = (RIGHT[name] for name in ("forward", "backward", "update_running"))
Gradients = namedtuple("Gradients", ["dx", "dgamma", "dbeta"])


class Layer:
    """Some ways to be called."""

    def __init__(self, calls: int = 0) -> None:
        self.calls = calls

    def __call__(self, x: Any, gamma: Any, beta: Any, eps: float) -> Any:
        return right(x, gamma, beta, eps)

    def forward(self, x: Any, gamma: Any, beta: Any, eps: float) -> Any:
        self.calls += 1
        return right(x, gamma, beta, eps)

    @staticmethod
    def plain(x: Any, gamma: Any, beta: Any, eps: float) -> Any:
        return right(x, gamma, beta, eps)


def passed_on(function: Callable[..., Any]) -> Callable[..., Any]:
    """A decorator that changes how its function is called, as one for timing does."""

    @functools.wraps(function)
    def wrapper(*arguments: Any) -> Any:
        return function(arguments)

    return wrapper


@passed_on
def wrapped(arguments: Any) -> Any:
    return right(*arguments)


def as_generator(*arguments: Any) -> Iterator[Any]:
    yield right(*arguments)


async def as_coroutine(*arguments: Any) -> Any:
    return right(*arguments)


def read_only(*arguments: Any) -> Any:
    y = right(*arguments)
    y.flags.writeable = False
    return y


def in_one_buffer() -> Callable[..., Any]:
    buffer = np.zeros(1000)

    def function(*arguments: Any) -> Any:
        y = right(*arguments)
        buffer[: y.size] = y.ravel()
        return buffer[: y.size].reshape(y.shape)

    return function


def careless(*arguments: Any) -> Any:
    np.seterr(all="raise")
    np.set_printoptions(precision=1)
    warnings.simplefilter("error")
    print("to standard error", file=sys.stderr)
    return right(*arguments)


def talkative(*arguments: Any) -> Any:
    print("spam " * 2000)
    return right(*arguments)


def raises(*said: Any, kind: type[BaseException] = ValueError) -> Callable[..., Any]:
    def function(*arguments: Any) -> Any:
        raise kind(*said)

    return function


def returns(change: Callable[[Any], Any]) -> Callable[..., Any]:
    return lambda *arguments: change(right(*arguments))


CALLED = "It is called as forward(x, gamma, beta, eps), in this order and without names."

FORWARD: dict[str, tuple[Any, str]] = {
    # Right, however it looks
    "a lambda": (lambda x, g, b, e: right(x, g, b, e), ""),
    "a partial": (functools.partial(right), ""),
    "a method": (Layer().forward, ""),
    "a static method": (Layer.plain, ""),
    "an object that can be called": (Layer(), ""),
    "a decorated function": (wrapped, ""),
    "more arguments, with defaults": (lambda x, g, b, e, momentum=0.9, training=True: right(x, g, b, e), ""),
    "lists": (returns(np.ndarray.tolist), ""),
    "a tuple of one": (returns(lambda y: (y,)), ""),
    "read-only": (read_only, ""),
    "always the same buffer": (in_one_buffer(), ""),
    "an array of objects": (returns(lambda y: y.astype(object)), ""),
    "fractions": (returns(lambda y: [[Fraction(float(v)) for v in row] for row in y]), ""),
    "longdouble": (returns(lambda y: y.astype(np.longdouble)), ""),
    "masked, with nothing masked": (returns(np.ma.array), ""),
    "one axis more": (returns(lambda y: y[None]), ""),
    "settings": (careless, ""),
    "a lot of output": (talkative, ""),
    # Not in the form asked for
    "float16": (returns(lambda y: y.astype(np.float16)), "y: This is float16, which has three digits. Compute in"),
    "whole numbers": (returns(lambda y: y.astype(int)), "y: These are whole numbers (int64), so what stands after"),
    "a result and a cache": (returns(lambda y: (y, {})), "It returned 2 things. Expected: y."),
    "a generator": (as_generator, "only one by one: a generator, map or zip. Return arrays"),
    "a map": (returns(lambda y: map(list, y)), "only one by one: a generator, map or zip. Return arrays"),
    "a coroutine": (as_coroutine, "It is asynchronous, so a call of it computes nothing."),
    "arguments by name only": (lambda x, *, gamma, beta, eps: right(x, gamma, beta, eps), CALLED),
    "too few arguments": (lambda x, gamma, beta: right(x, gamma, beta, 1e-5), CALLED),
    "too many arguments": (lambda x, gamma, beta, eps, momentum: right(x, gamma, beta, eps), CALLED),
    "a method of no object": (Layer.forward, CALLED),
    "a builtin": (np.add, "It raised TypeError"),
    "a class": (Layer, "This is a class. Give a function, or a method of an object"),
    "a module": (np, "This is not a function."),
    "a bad cache": (functools.lru_cache(right), "It raised TypeError: “unhashable type: 'numpy.ndarray'”."),
    "a long message": (raises("spam " * 10**5), "It raised ValueError: “spam spam"),
    "a message of many lines": (raises("first\nsecond"), "It raised ValueError: “first”."),
    "a long name": (raises(kind=type("E" * 10**5, (Exception,), {})), "It raised EEEE"),
    "a group": (raises("several", [ValueError()], kind=ExceptionGroup), "It raised ExceptionGroup: “several (1 sub"),
    "no message": (raises(kind=AssertionError), "It raised AssertionError."),
    "StopIteration": (raises(kind=StopIteration), "It raised StopIteration."),
    "a transposed result": (returns(np.transpose), "y has the shape (4, 6). Expected: (6, 4)."),
    "one row": (returns(np.ravel), "y has the shape (24,). Expected: (6, 4)."),
    "a truth": (returns(lambda y: y > 0), "y: These are truth values"),
    "bytes": (returns(np.ndarray.tobytes), "y: This is text."),
    "a view of far too much": (lambda *a: np.broadcast_to(1.0, (10**6, 10**6)), "y: These are far more numbers"),
    "too much memory": (lambda *a: np.empty((10**9, 10**6)), "It raised MemoryError"),
    "a list in itself": (lambda *a: (lambda each: (each.append(each), each)[1])([]), "y: These lists are nested"),
}


def checked(**answers: Any) -> Finding:
    (finding, *_) = Session().check(IMPLEMENT, **answers).verdict.findings
    return finding


@pytest.mark.parametrize("name", FORWARD)
def test_any_forward_gets_a_clear_finding(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    function, says = FORWARD[name]
    settings, printed, filters = np.geterr(), np.get_printoptions(), list(warnings.filters)
    finding = checked(forward=function)
    assert finding.kind == ("form" if says else "right"), finding.sentence
    assert says in finding.sentence
    assert finding.sentence.endswith(".")
    assert len(finding.sentence) < 4 * LONGEST_LINE
    # Nothing is lost.
    assert (np.geterr(), np.get_printoptions(), list(warnings.filters)) == (settings, printed, filters)
    assert capsys.readouterr().err == ""


BACKWARD: dict[str, tuple[Any, str]] = {
    "a list": (lambda *a: list(gradients(*a)), ""),
    "a named tuple": (lambda *a: Gradients(*gradients(*a)), ""),
    "columns": (lambda *a: (gradients(*a)[0], *(each[:, None] for each in gradients(*a)[1:])), ""),
    "float16": (lambda *a: tuple(each.astype(np.float16) for each in gradients(*a)), "dx: This is float16"),
    "whole numbers in one": (lambda *a: (*gradients(*a)[:2], gradients(*a)[2].astype(int)), "dbeta: These are whole"),
    "two": (lambda *a: gradients(*a)[:2], "It returned 2 things. Expected: dx, dgamma, dbeta."),
    "four": (lambda *a: (*gradients(*a), 1), "It returned 4 things. Expected: dx, dgamma, dbeta."),
    "brackets in brackets": (lambda *a: (gradients(*a)[0], gradients(*a)[1:]), "It returned 2 things."),
    "dx alone": (lambda *a: gradients(*a)[0], "It returned one array. Expected: dx, dgamma, dbeta."),
    "an iterator": (lambda *a: iter(gradients(*a)), "only one by one"),
    "a zip": (lambda *a: zip(gradients(*a), strict=True), "only one by one"),
    "one gradient that is a generator": (lambda *a: (*gradients(*a)[:2], iter([1.0])), "dbeta: This gives its values"),
}


@pytest.mark.parametrize("name", BACKWARD)
def test_any_backward_gets_a_clear_finding(name: str) -> None:
    function, says = BACKWARD[name]
    finding = checked(backward=function)
    assert finding.kind == ("form" if says else "right"), finding.sentence
    assert says in finding.sentence


def test_without_given_statistics_it_is_said_how_backward_is_called() -> None:
    def function(dy: Any, x: Any, gamma: Any, eps: float) -> Any:
        return gradients(dy, x, gamma, eps)

    verdict = IMPLEMENT.judge(IMPLEMENT.observe({"backward": function}))
    assert verdict.of("backward").kind == "right"
    assert "It is called as backward(dy, x, gamma, eps, mean, var), in this order" in verdict.of("frozen").sentence


@pytest.mark.parametrize("where", ["inside", "of another's function"])
def test_a_type_error_of_its_own_is_not_said_to_come_from_the_call(where: str) -> None:
    def function(x: Any, gamma: Any, beta: Any, eps: float) -> Any:
        return right(x) if where == "inside" else (lambda: 1)(x)  # type: ignore[call-arg]

    finding = checked(forward=function)
    assert "It raised TypeError" in finding.sentence
    assert "It is called as" not in finding.sentence


@pytest.mark.parametrize("where", ["float32", "large"])
@pytest.mark.parametrize(
    ("instead", "says"),
    [
        (raises("no such numbers"), "It raised ValueError: “no such numbers”."),
        (lambda *a: None, "It returned None."),
        (lambda *a: "y", "y: This is text."),
        (returns(np.transpose), "y has the shape"),
    ],
    ids=["an exception", "None", "text", "another shape"],
)
def test_what_comes_out_nowhere_lost_no_digits(where: str, instead: Any, says: str) -> None:
    def function(x: Any, gamma: Any, beta: Any, eps: float) -> Any:
        there = x.dtype == np.float32 if where == "float32" else np.abs(x).max() > 1e7
        return (instead if there else right)(x, gamma, beta, eps)

    finding = checked(forward=function)
    assert not finding.misconceptions
    assert says in finding.sentence


def test_what_is_stored_is_lost_by_no_update() -> None:
    def function(running_mean: Any, running_var: Any, x: Any, momentum: float) -> Any:
        running_mean[:], running_var[:] = updated(running_mean, running_var, x, momentum)
        x[:] = 0
        return running_mean, running_var

    before = [np.copy(probe.arguments[0]) for probe in IMPLEMENT.probes if probe.function == "update_running"]
    finding = checked(update_running=function)
    assert finding.misconceptions == ("an argument changed in place",)
    after = [probe.arguments[0] for probe in IMPLEMENT.probes if probe.function == "update_running"]
    assert all(map(np.array_equal, before, after))


# Evidence

X = [[1.0, 10.0], [2.0, 40.0], [6.0, 40.0]]
EVIDENCE: dict[str, Any] = {
    "x": X,
    "gamma": [2.0, 3.0],
    "beta": [5.0, -1.0],
    "eps": 0.0,
    "claim": "close(var(y, 0), gamma**2)",
}
# Instead of an input, a claim or all of it: what else somebody writes, and what they are told. Nothing, if it is right.
OTHERWISE: dict[str, tuple[Any, str]] = {
    "an ordered dictionary": (OrderedDict(EVIDENCE), ""),
    "text of NumPy's": ({"claim": np.str_(EVIDENCE["claim"])}, ""),
    "integers": ({"x": [[1, 10], [2, 40], [6, 40]]}, ""),
    "float16": ({"x": np.array(X, np.float16)}, ""),
    "objects": ({"x": np.array(X, object)}, ""),
    "one gamma": ({"gamma": 2}, ""),
    "a row for gamma": ({"gamma": [[2, 3]]}, ""),
    "eps in a list": ({"eps": [0.0]}, ""),
    "a read-only view": ({"x": np.broadcast_to(np.array(X), (3, 2))}, ""),
    "a proxy": (types.MappingProxyType(EVIDENCE), "Give a dictionary"),
    "pairs": (list(EVIDENCE.items()), "Give a dictionary"),
    "a function": (lambda suspect: True, "Give a dictionary"),
    "the claim alone": ("close(y, 0)", "Give a dictionary"),
    "a claim that was evaluated": ({"claim": True}, "claim: Write it as text"),
    "a claim in bytes": ({"claim": b"close(y, 0)"}, "claim: Write it as text"),
    "a claim that is a function": ({"claim": lambda y: y > 0}, "claim: Write it as text"),
    "two claims in a list": ({"claim": ["y > 0", "y < 1"]}, "claim: Write it as text"),
    "no claim": ({"claim": ""}, "The claim: There is no claim yet."),
    "a method": ({"claim": "y.mean(axis=0) == beta"}, "Write f(x), not x.f()."),
    "a shape": ({"claim": "y.shape == x.shape"}, "A dot stands only in numbers"),
    "an assignment": ({"claim": "y = 3"}, "A claim compares with =="),
    "a name of the notebook": ({"claim": "close(A(x, gamma, beta, eps), 0)"}, "`A` is not a function that is known"),
    "an axis too many": ({"claim": "close(mean(y, axis=5), 0)"}, "mean along an axis"),
    "a generator": ({"x": (row for row in X)}, "x: This gives its values only one by one"),
    "a map": ({"x": map(list, X)}, "x: This gives its values only one by one"),
    "numbers as one text": ({"x": "[[1, 2]]"}, "x: This is text."),
    "one sample": ({"x": 3.0}, "x: expected a list of samples"),
    "brackets too many": ({"x": [X]}, "x: expected a list of samples"),
    "far too many": ({"x": np.broadcast_to(1.0, (10**6, 10**6))}, "x: These are far more numbers"),
    "eps as text": ({"eps": "1e-5"}, "eps: This is text."),
    "an eps below 0": ({"eps": -1}, "eps: expected a number at least 0."),
    "another name": ({"epsilon": 1}, "It has the name epsilon, which no function takes."),
    "a name that is no text": ({1: 2}, "It has a name that no function takes."),
    "an input of another function": ({"momentum": 0.1}, "There is no place for momentum"),
    "numbers and a claim": ({"expected": X}, 'either a "claim" or the "expected" numbers'),
    "numbers that are a generator": ({"claim": None, "expected": iter([1])}, "expected: This gives its values only"),
}


@pytest.mark.parametrize("name", OTHERWISE)
def test_any_evidence_gets_a_clear_finding(name: str) -> None:
    given, says = OTHERWISE[name]
    answer = EVIDENCE | given if type(given) is dict else given
    (finding, *_) = Session().check(BREAK_IT, A=answer).verdict.findings
    assert finding.kind == ("form" if says else "right"), finding.sentence
    assert says in finding.sentence
    # And the same where it is tried on a suspect.
    if not says:
        assert BREAK_IT.holds(answer, right)
    elif "generator" not in name and name != "a map":
        with pytest.raises(ValueError, match=r"."):
            BREAK_IT.holds(answer, right)
