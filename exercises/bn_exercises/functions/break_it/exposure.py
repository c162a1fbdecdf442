"""The judge of evidence against an implementation: does it expose, and if not, what is wrong with it as a test?

Evidence exposes a suspect if it holds for a right implementation, run on its inputs, and not for the suspect. Where it
does not, the reason is found by running too: other outputs are put in place of the right ones (does the claim notice?),
and the inputs are changed in one respect at a time (does the suspect show then? see `hiding`).
"""

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from bn_exercises.algorithm import per_channel
from bn_exercises.answers import Unusable, fit
from bn_exercises.formulas.formula import Formula, FormulaError, parse, parse_assertion
from bn_exercises.functions.break_it.evidence import (
    ALL_INPUTS,
    CONVENTIONS,
    NO_RESULT,
    SIGNATURES,
    UNREADABLE,
    Claim,
    Evidence,
    Expected,
    Fault,
    Test,
    UnfitError,
    agrees,
    call,
    inputs_of,
    is_alike,
    rights,
    run_right,
    test_of,
    tried,
)
from bn_exercises.functions.break_it.hiding import HIDES, INPUTS, Hides, Values, waves
from bn_exercises.functions.slips import Function
from bn_exercises.tolerance import Array, rooms
from bn_exercises.verdict import Kind

# Rounding in float64, some twenty units in the last place.
_ROUNDING = 5e-15
# In units of the room that three digits leave.
_CLEARLY = 3

NOT_TRUE = Fault(
    "not true of Batch Normalization",
    "A right implementation fails this test too, so it exposes nobody.",
)
NO_OUTPUT = Fault(
    "nothing that comes out",
    "So it is true or false whatever the function does. Claim something of what comes out.",
)
EXACT = Fault(
    "floating-point numbers compared with ==",
    "Two computations of the same number differ in the last bits, and == asks for equality to the last bit. Use "
    "close(a, b).",
)
BY_ROUNDING = Fault(
    "decided by rounding",
    "A right implementation passes, and another one that rounds differently in the last bits does not. Leave room: "
    "close(a, b), or a bound that is not reached.",
)
FOR_EVERYTHING = Fault(
    "holds for everything",
    "The suspect passes, as everybody would: your claim also holds with other numbers in place of the outputs. "
    "Claim something that a wrong output breaks.",
)
TOO_WEAK = Fault(
    "too weak",
    "The suspect passes, though on these inputs it does not do what a right implementation does. Your test looks at "
    "something else, or forgives too much. Look at all that comes out: the spread as well as the mean, every feature, "
    "every output.",
)
NOT_SEPARATED = Fault(
    "inputs that do not separate",
    "The suspect passes, and no test could stop it: on these inputs it does what a right implementation does, to three "
    "digits. Vary the inputs: shape, size and spread of the batch, and each of the others.",
    INPUTS,
)


@dataclass(frozen=True)
class Judged:
    """What is to be said of evidence.

    Attributes:
        kind: "right" if it exposes the suspect.
        sentence: for the learner.
        faults: what is wrong with it; two, where they work together.
        note: what is to be added when all is said.
    """

    kind: Kind
    sentence: str
    faults: tuple[Fault | Hides, ...] = ()
    note: str = ""


def _fault(fault: Fault, says: str = "") -> Judged:
    return Judged("misconception", says or fault.says, (fault,))


# The judge


def judge(function: str, wrongs: tuple[Function, ...], evidence: Evidence | Unusable) -> Judged:
    """What is to be said of evidence against a wrong implementation of a function. Never raises.

    Args:
        function: the name of the function.
        wrongs: the wrong implementation, under each convention: as many as `rights(function)`.
        evidence: what `observed` made of it.
    """
    if isinstance(evidence, Unusable):
        if evidence.missing:
            return Judged("missing", evidence.sentence)
        return Judged("form", evidence.sentence, (UNREADABLE,))
    try:
        inputs = inputs_of(function, evidence)
        known = [each for right in rights(function) if (each := run_right(function, right, inputs))]
        if len(known) < len(rights(function)):
            return _fault(NO_RESULT)
        test = test_of(function, evidence, known[0])
    except UnfitError as error:
        return Judged("form", error.sentence, (error.fault,))
    if test.names <= inputs.keys():
        outputs = ", ".join(SIGNATURES[function].outputs)
        return _fault(NO_OUTPUT, f"Nothing that comes out stands in your claim: {outputs}. {NO_OUTPUT.says}")
    follows = [number for number, right in enumerate(known) if test.holds(right)]
    if not follows:
        return _not_true(function, wrongs[0], known[0], test)
    taken = follows[0]
    trial = _Trial(function, rights(function)[taken], wrongs[taken], inputs, test)
    judged = _judge_true(trial, known[taken])
    if judged.kind != "right" or len(follows) == len(known):
        return judged
    return replace(
        judged, note=f" You take the running variance to be {CONVENTIONS[taken]}. The other one is in use too."
    )


@dataclass(frozen=True)
class _Trial:
    """A test of a suspect, and the right implementation of the convention that the test follows."""

    function: str
    right: Function
    wrong: Function
    inputs: Values
    test: Test

    def separates(self, inputs: Values, rooms: float = 1) -> bool:
        """Whether the suspect does something else on these inputs, in three digits; or is off by so many times that."""
        right, wrong = self._both(inputs)
        return right is not None and (wrong is None or not is_alike(right, wrong, rooms))

    def separates_clearly(self, inputs: Values) -> bool:
        """The same by a margin: a change of inputs that tips the balance only has not taken away what hides."""
        return self.separates(inputs, _CLEARLY)

    def exposes(self, inputs: Values) -> bool:
        """Whether the test, made on these inputs, would expose the suspect."""
        right, wrong = self._both(inputs)
        if right is None or not self.test.names <= right.keys():
            return False
        test = self.test.where(right)
        try:
            return test.holds(right) and not _passes(test, right, wrong)
        except FormulaError:  # these inputs have another shape
            return False

    def _both(self, inputs: Values) -> tuple[Values | None, Values | None]:
        return run_right(self.function, self.right, inputs), tried(self.function, self.wrong, inputs)


def _passes(test: Test, right: Values, wrong: Values | None) -> bool:
    """Whether a suspect passes a test that holds for a right implementation. Who raises does not."""
    if wrong is None:
        return False
    try:
        passes = test.holds(wrong)
    except FormulaError:  # its outputs have another shape
        return False
    # Numbers that are a little off are no evidence against a suspect that is right to three digits.
    return passes or (isinstance(test, Expected) and is_alike({name: right[name] for name in test.numbers}, wrong))


def _judge_true(trial: _Trial, right: Values) -> Judged:
    """Judge a test that holds for a right implementation."""
    test, wrong = trial.test, tried(trial.function, trial.wrong, trial.inputs)
    passes = _passes(test, right, wrong)
    separates = not passes or trial.separates(trial.inputs)
    # How a claim is written matters only on inputs on which some claim could tell the two apart.
    if separates and isinstance(test, Claim) and not all(map(test.holds, _rounded_otherwise(trial.function, right))):
        return _fault(EXACT if _holds_with_close(test.formula, right) else BY_ROUNDING)
    if not passes:
        return Judged("right", "It falls." if wrong else "It falls: it raises where a right implementation does not.")
    if isinstance(test, Claim) and _holds_for_everything(test, right):
        return _fault(FOR_EVERYTHING)
    # Pairs of reasons are many, so they are tried only where no claim is evaluated for each.
    hides = _hiding(trial.inputs, trial.exposes, 1) if separates else _hiding(trial.inputs, trial.separates_clearly, 2)
    if not hides:
        return _fault(TOO_WEAK if separates else NOT_SEPARATED)
    return Judged("misconception", f"The suspect passes. {' And: '.join(each.says for each in hides)}", hides)


def _rounded_otherwise(function: str, right: Values) -> Iterator[Values]:
    """What comes out of right implementations that round in another way."""
    # In inference a row that is the running mean has x̂ = 0, without rounding, and comes out as beta.
    exact = per_channel(right["beta"], right["y"]) if function == "inference" else 0.0
    for sign in (1, -1):
        off = {name: sign * _ROUNDING * waves(right[name].shape) for name in SIGNATURES[function].outputs}
        yield right | {name: right[name] + (right[name] - exact) * each for name, each in off.items()}
    if function == "inference":
        yield call(function, _folded, {name: right[name] for name in SIGNATURES[function].inputs})


def _folded(x: Array, gamma: Array, beta: Array, running_mean: Array, running_var: Array, eps: float) -> Array:
    """Inference as one scale and one shift: beta is not exact there, unless its digits happen to be few."""
    scale = gamma / np.sqrt(running_var + eps)
    return per_channel(scale, x) * x + per_channel(beta - scale * running_mean, x)


def _holds_for_everything(claim: Claim, right: Values) -> bool:
    """Whether a claim also holds with other numbers in place of everything that comes out."""
    come_out = [name for name in right if name not in ALL_INPUTS]
    others: tuple[Callable[[Array], Array], ...] = (
        np.zeros_like,
        np.negative,
        lambda value: 3 * value + 5,
        lambda value: 1e3 * waves(value.shape),
        lambda value: 1e15 * waves(value.shape),
    )
    return all(claim.holds(right | {name: other(right[name]) for name in come_out}) for other in others)


def _hiding(inputs: Values, shows: Callable[[Values], bool], most: int) -> tuple[Hides, ...]:
    """What hides a suspect: something by itself or, if need be, so many things together."""
    present = [each for each in HIDES if each.shows(inputs)]
    for count in range(1, most + 1):
        for hides in combinations(present, count):
            changed = inputs
            for each in hides:
                changed = each.change(changed)
            if shows(changed):
                return hides
    return ()


# A test that a right implementation fails


def _not_true(function: str, wrong: Function, right: Values, test: Test) -> Judged:
    if isinstance(test, Claim):
        if _holds_with_close(test.formula, right):
            return _fault(EXACT)
        return _fault(NOT_TRUE, NOT_TRUE.says + _sides(test.formula, right))
    own = tried(function, wrong, {name: right[name] for name in right if name in ALL_INPUTS})
    if own and test.holds(own):
        return _fault(NOT_TRUE, f"{NOT_TRUE.says} What you expect is what the suspect gives.")
    return _fault(NOT_TRUE, f"{NOT_TRUE.says} {next(_places(test, right))}")


def _places(test: Expected, right: Values) -> Iterator[str]:
    """Where expected numbers are furthest off, for each output for which they are."""
    for name, number in test.numbers.items():
        if not agrees(number, right[name]):
            gap = (fit(number, right[name].shape) - right[name]) / rooms(right[name])
            where = np.unravel_index(int(np.abs(gap).argmax()), gap.shape)
            yield f"You expect too {'much' if gap[where] > 0 else 'little'} in {name}[{', '.join(map(str, where))}]."


def _sides(formula: Formula, right: Values) -> str:
    """Which side of a comparison is the larger one, if one is throughout."""
    tree = _tree(formula)
    match tree:
        case ast.Call(func=ast.Name(id="all"), args=[inside]):
            tree = inside
    match tree:
        case ast.Compare(left=a, comparators=[b]) | ast.Call(func=ast.Name(id="close"), args=[a, b]):
            try:
                left, other = (parse(ast.unparse(side), right, arrays=True)(**right) for side in (a, b))
                gap = left - other
            except (FormulaError, ValueError):  # a side is no number, or they do not go together
                return ""
            if (gap > 0).all():
                return " With its outputs the left side is larger than the right one."
            if (gap < 0).all():
                return " With its outputs the left side is smaller than the right one."
    return ""


def _tree(formula: Formula) -> ast.expr | None:
    """The formula as Python reads it, if it has no signs of mathematics in it."""
    try:
        return ast.parse(formula.text.strip(), mode="eval").body
    except (SyntaxError, ValueError):
        return None


class _ToClose(ast.NodeTransformer):
    """From a == b to close(a, b)."""

    def visit_Compare(self, node: ast.Compare) -> ast.AST:
        self.generic_visit(node)
        if [type(op) for op in node.ops] != [ast.Eq]:
            return node
        return ast.Call(ast.Name("close", ast.Load()), [node.left, *node.comparators], [])


def _holds_with_close(formula: Formula, right: Values) -> bool:
    """Whether it has an == in it, and holds for a right implementation if that is taken for close."""
    tree = _tree(formula)
    if tree is None or not any(isinstance(node, ast.Eq) for node in ast.walk(tree)):
        return False
    try:
        return parse_assertion(ast.unparse(_ToClose().visit(tree)), right).holds(**right)
    except FormulaError:
        return False
