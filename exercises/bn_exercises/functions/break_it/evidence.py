"""Evidence against an implementation, as data: inputs, and a claim about what comes out or the numbers expected.

Here it is read, and here functions are run on it; `exposure` judges it. Names in a claim are those of the inputs and of
the outputs, and x_after for what became of x in the call.
"""

import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from math import prod
from typing import Any, TypeAlias

import numpy as np

from bn_exercises.algorithm import batch_axes
from bn_exercises.answers import MOST_NUMBERS, Unusable, described, fit, read
from bn_exercises.formulas.formula import LONGEST, Formula, FormulaError, parse_assertion
from bn_exercises.functions.break_it.hiding import BATCHES, INPUTS, NUMBERS, PAGE, Values, is_stored, values_per_channel
from bn_exercises.functions.implementations import RIGHT
from bn_exercises.functions.slips import Function
from bn_exercises.tolerance import Array, distance
from bn_exercises.verdict import Link

Evidence: TypeAlias = dict[str, Any]

_CLAIM, _EXPECTED = "claim", "expected"
_LONGEST_SHOWN = 20


# The functions


@dataclass(frozen=True)
class Signature:
    """What goes into a function and what comes out.

    Attributes:
        inputs: in the order of the arguments.
        outputs: in the order in which they are returned.
        optional: inputs after those, all of them or none.
    """

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    optional: tuple[str, ...] = ()

    @property
    def every_input(self) -> tuple[str, ...]:
        """Those that must be there and those that may."""
        return self.inputs + self.optional


# `mean` and `var` are functions in a claim, so what `backward` may be given has the names that it has in inference.
SIGNATURES: dict[str, Signature] = {
    "forward": Signature(("x", "gamma", "beta", "eps"), ("y",)),
    "backward": Signature(("dy", "x", "gamma", "eps"), ("dx", "dgamma", "dbeta"), ("running_mean", "running_var")),
    "update_running": Signature(("running_mean", "running_var", "x", "momentum"), ("new_mean", "new_var")),
    "inference": Signature(("x", "gamma", "beta", "running_mean", "running_var", "eps"), ("y",)),
}
ALL_INPUTS = tuple(dict.fromkeys(name for each in SIGNATURES.values() for name in each.every_input))


def after(name: str) -> str:
    """What an array that went in is called when the call is over. It should be as it was."""
    return f"{name}_after"


def _update_biased(running_mean: Array, running_var: Array, x: Array, momentum: float) -> Array:
    new_mean, _ = RIGHT["update_running"](running_mean, running_var, x, momentum)
    return new_mean, (1 - momentum) * running_var + momentum * x.var(axis=batch_axes(x))


# Which variance of a batch the running one takes is a convention. Evidence may follow either.
CONVENTIONS = ("the unbiased one, divided by m − 1", "the biased one, divided by m")


def rights(function: str) -> tuple[Function, ...]:
    """The right implementations of a function, one for each convention."""
    return (RIGHT[function], _update_biased) if function == "update_running" else (RIGHT[function],)


def call(function: str, compute: Function, inputs: Values) -> Values:
    """The inputs, what comes out, and what became of the arrays that went in."""
    signature = SIGNATURES[function]
    own = {name: inputs[name].copy() for name in signature.every_input if name in inputs}
    arguments = [float(value) if name in NUMBERS else value for name, value in own.items()]
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        returned = compute(*arguments)
    outputs = returned if isinstance(returned, tuple) else (returned,)
    named = zip(signature.outputs, outputs, strict=True)
    values = {name: np.asarray(value, dtype=float) for name, value in named}
    return inputs | values | {after(name): value for name, value in own.items() if name not in NUMBERS}


def tried(function: str, compute: Function, inputs: Values) -> Values | None:
    """As `call`, or None if it raises: a wrong implementation may."""
    try:
        return call(function, compute, inputs)
    except Exception:
        return None


def run_right(function: str, right: Function, inputs: Values) -> Values | None:
    """As `call` of a right implementation, or None if it has no finite result."""
    values = tried(function, right, inputs)
    return values if values and all(np.isfinite(value).all() for value in values.values()) else None


# What can be wrong with a test

FORM = Link("What evidence is", "break-it-evidence", PAGE)
CLAIMS = Link("Claims that can fail", "break-it-claims", PAGE)


@dataclass(frozen=True)
class Fault:
    """A way in which a test fails to be one.

    Attributes:
        name: short, as in a table.
        says: what somebody who wrote it is told, and what to do instead.
        see: where in the book to read.
    """

    name: str
    says: str
    see: Link = CLAIMS


# With a sentence for each case, which names the input.
UNREADABLE = Fault("unreadable", "", FORM)
INCOMPLETE = Fault("something missing, or too much", "", FORM)
SHAPES = Fault("shapes that do not fit", "", FORM)
OUT_OF_RANGE = Fault("a value that cannot be", "", FORM)
NO_RESULT = Fault(
    "nothing to normalize",
    "On these inputs a right implementation has no finite result: a variance is 0, and ε is 0 too. "
    "Take inputs on which Batch Normalization is defined.",
    INPUTS,
)


class UnfitError(Exception):
    """Evidence that cannot be run."""

    def __init__(self, fault: Fault, sentence: str) -> None:
        super().__init__(sentence)
        self.fault = fault
        self.sentence = sentence


# From what a learner wrote to bounded data


def observed(value: Any) -> Evidence | Unusable:
    """Evidence as arrays and text, or what keeps it from being that. Never raises."""
    # `type(value)`, because isinstance asks the object for its `__class__`, and it may lie.
    kind = type(value)
    if kind is Unusable:
        return value  # type: ignore[no-any-return]
    if value is None or value is Ellipsis:
        return Unusable("There is no answer yet.", missing=True)
    if not issubclass(kind, dict):
        return Unusable('Give a dictionary: the inputs by name, and "claim" or "expected".')
    evidence: Evidence = {}
    # dict's own methods, whatever a subclass has.
    for name, each in dict.items(value):
        if type(name) is not str or name not in (*ALL_INPUTS, _CLAIM, _EXPECTED):
            return _unknown(name, (*ALL_INPUTS, _CLAIM, _EXPECTED), takes=True)
        if each is None:
            continue
        seen = _claim(each) if name == _CLAIM else _numbers(each) if name == _EXPECTED else _few_numbers(each)
        if isinstance(seen, Unusable):
            return Unusable(f"{name}: {seen.sentence}")
        evidence[name] = seen
    return evidence or Unusable("There is no answer yet.", missing=True)


def _unknown(name: Any, known: Iterable[str], *, takes: bool) -> Unusable:
    """That this is the name of nothing that a function takes or returns. A name of reasonable length is shown."""
    word = type(name) is str and len(name) <= _LONGEST_SHOWN and name.isidentifier()
    has = f"It has {f'the name {name}, which' if word else 'a name that'} no function {'takes' if takes else 'returns'}"
    return Unusable(f"{has}. The names: {', '.join(known)}.")


def _few_numbers(value: Any) -> Any:
    seen = read(value)
    if isinstance(seen, np.ndarray):
        # Lists count, too, as in `read`: the grader gets lists, and must come to the same.
        lists = sum(prod(seen.shape[:depth]) for depth in range(seen.ndim))
        if seen.size + lists > MOST_NUMBERS:
            return Unusable("These are far more numbers than it takes. A small batch shows more than a large one.")
    return seen


def _claim(value: Any) -> str | Unusable:
    if not issubclass(type(value), str):
        return Unusable('Write it as text, in quotation marks, for example "close(a, b)".')
    text = str.__str__(value)
    if len(text) > LONGEST:
        return Unusable(f"This is longer than {LONGEST} characters.")
    # Half a surrogate pair cannot be stored.
    return text.encode(errors="replace").decode()


def _numbers(value: Any) -> Any:
    """The numbers of the only output, or of several by name."""
    if not issubclass(type(value), dict):
        return _few_numbers(value)
    outputs = tuple(dict.fromkeys(name for each in SIGNATURES.values() for name in each.outputs))
    arrays = tuple(after(name) for name in ALL_INPUTS if name not in NUMBERS)
    numbers = {}
    for name, each in dict.items(value):
        if type(name) is not str or name not in (*outputs, *arrays):
            return _unknown(name, (*outputs, *arrays), takes=False)
        numbers[name] = _few_numbers(each)
        if isinstance(numbers[name], Unusable):
            return numbers[name]
    return numbers or Unusable("There are no numbers.")


# From data to inputs in the right shapes


def inputs_of(function: str, evidence: Evidence) -> Values:
    """The inputs in the shapes that the function takes.

    Raises:
        UnfitError: if they cannot be brought into these.
    """
    _refuse_other_names(function, evidence)
    x = evidence["x"]
    if x.ndim not in (2, 4):
        raise UnfitError(
            SHAPES,
            "x: expected a list of samples, each a list of its features: [[1], [2], [6]] are three samples with one "
            f"feature. Or images, (N, C, H, W). Yours has {x.ndim} dimension{'' if x.ndim == 1 else 's'}.",
        )
    inputs = {}
    for name in SIGNATURES[function].every_input:
        if name in evidence:
            shape = x.shape if name in BATCHES else () if name in NUMBERS else (x.shape[1],)
            inputs[name] = _in_shape(name, evidence[name], shape)
    _refuse_impossible(function, inputs)
    return inputs


def _in_shape(name: str, value: Array, shape: tuple[int, ...]) -> Array:
    """One number stands for all features."""
    if value.size == 1 and name not in BATCHES:
        return np.full(shape, value.reshape(()))
    fitted = fit(value, shape)
    if fitted is None:
        expected = "the shape of x" if name in BATCHES else described(shape)
        each = len(shape) == 1
        says = (
            f"{name}: expected {expected}{', one for each feature' if each else ''}. Yours: {described(value.shape)}."
        )
        raise UnfitError(SHAPES, says)
    return fitted.copy()


def _refuse_other_names(function: str, evidence: Evidence) -> None:
    signature = SIGNATURES[function]
    takes, optional = f"{function} takes {listed(signature.inputs)}", signature.optional
    if optional:
        takes = f"{function} takes {listed(signature.inputs)}, and maybe {listed(optional)}"
    if no_place := [name for name in evidence if name in ALL_INPUTS and name not in signature.every_input]:
        raise UnfitError(INCOMPLETE, f"There is no place for {listed(no_place)}: {takes}.")
    wanted = signature.every_input if any(name in evidence for name in signature.optional) else signature.inputs
    if missing := [name for name in wanted if name not in evidence]:
        raise UnfitError(INCOMPLETE, f"Still missing: {listed(missing)}. The function {takes}.")


def listed(names: Iterable[str]) -> str:
    """As in a sentence: "x, gamma and eps"."""
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last


def _refuse_impossible(function: str, inputs: Values) -> None:
    for name, says, low, high in (
        ("eps", "at least 0", 0, np.inf),
        ("momentum", "from 0 to 1", 0, 1),
        ("running_var", "at least 0, because it is a variance", 0, np.inf),
    ):
        if name in inputs and not np.all((inputs[name] >= low) & (inputs[name] <= high)):
            raise UnfitError(OUT_OF_RANGE, f"{name}: expected a number {says}.")
    if not is_stored(inputs) and values_per_channel(inputs["x"]) < 2:
        raise UnfitError(OUT_OF_RANGE, f"x: {function} needs two samples at least. One value has no variance.")


# What evidence says about what comes out


@dataclass(frozen=True)
class Claim:
    """A test that is a formula."""

    formula: Formula

    @property
    def names(self) -> frozenset[str]:
        """Of the inputs and outputs that it looks at."""
        return self.formula.names

    def holds(self, values: Values) -> bool:
        """Whether these inputs and outputs pass."""
        return self.formula.holds(**values)

    def where(self, right: Values) -> "Claim":
        """The same test on other inputs, on which these are the right outputs."""
        return self


@dataclass(frozen=True)
class Expected:
    """A test that compares with numbers, to three digits."""

    numbers: Values

    @property
    def names(self) -> frozenset[str]:
        """Of the inputs and outputs that it looks at."""
        return frozenset(self.numbers)

    def holds(self, values: Values) -> bool:
        """Whether these inputs and outputs pass."""
        return all(agrees(number, values[name]) for name, number in self.numbers.items())

    def where(self, right: Values) -> "Expected":
        """The same test on other inputs, on which these are the right outputs."""
        return Expected({name: right[name] for name in self.numbers})


Test: TypeAlias = Claim | Expected


def agrees(number: Array, value: Array, rooms: float = 1) -> bool:
    """Whether a number, however it is written, is this value to three digits; or is off by so many times that."""
    fitted = fit(number, value.shape)
    return fitted is not None and bool(np.isfinite(value).all()) and distance(fitted, value) <= rooms


def is_alike(right: Values, other: Values, rooms: float = 1) -> bool:
    """Whether all that comes out is the same, to three digits; or is off by so many times that."""
    return all(value.shape == other[name].shape and agrees(value, other[name], rooms) for name, value in right.items())


def test_of(function: str, evidence: Evidence, right: Values) -> Test:
    """What the evidence says, for inputs on which these are the right outputs.

    Raises:
        UnfitError: if it says nothing that can be evaluated.
    """
    if (_CLAIM in evidence) == (_EXPECTED in evidence):
        raise UnfitError(INCOMPLETE, 'Give the inputs, and either a "claim" or the "expected" numbers.')
    if _CLAIM in evidence:
        try:
            claim = Claim(parse_assertion(evidence[_CLAIM], right))
            claim.holds(right)
        except FormulaError as error:
            raise UnfitError(UNREADABLE, f"The claim: {error.sentence}") from None
        return claim
    numbers, outputs = evidence[_EXPECTED], SIGNATURES[function].outputs
    if not isinstance(numbers, dict):
        if len(outputs) > 1:
            raise UnfitError(INCOMPLETE, f"expected: give the numbers by name, of {listed(outputs)} or some of them.")
        numbers = {outputs[0]: numbers}
    if any(name not in right for name in numbers):
        raise UnfitError(INCOMPLETE, f"expected: {function} returns {listed(outputs)}.")
    for name, number in numbers.items():
        if fit(number, right[name].shape) is None:
            expected, yours = described(right[name].shape), described(number.shape)
            raise UnfitError(SHAPES, f"expected: {name} consists of {expected}. Yours: {yours}.")
    return Expected(numbers)


# In a notebook


def holds(evidence: Any, compute: Function) -> bool:
    """Whether a function passes the test that evidence is. Which of the four it is, the names of the inputs tell.

    Raises:
        ValueError: if this is no evidence; what the function raises is let through.
    """
    seen = observed(evidence)
    if isinstance(seen, Unusable):
        raise ValueError(seen.sentence)
    names = {name for name in seen if name in ALL_INPUTS}
    function = next((n for n, each in SIGNATURES.items() if set(each.inputs) <= names <= set(each.every_input)), None)
    if function is None:
        takes = "; ".join(f"{name} takes {listed(each.inputs)}" for name, each in SIGNATURES.items())
        raise ValueError(f"these are the inputs of none of the functions: {takes}")
    try:
        inputs = inputs_of(function, seen)
        right = run_right(function, RIGHT[function], inputs)
        if right is None:
            raise ValueError(NO_RESULT.says)
        test = test_of(function, seen, right)
    except UnfitError as error:
        raise ValueError(error.sentence) from None
    try:
        return test.holds(call(function, compute, inputs))
    except FormulaError:  # its outputs have another shape
        return False
