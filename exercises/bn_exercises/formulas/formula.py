"""Formulas as text, "1 + a * tanh(mu)", read and evaluated over arrays: answers that can leave a sandbox as data.

Nothing of Python's own `eval` is used. A formula is parsed, every node of it is looked at, and what is not listed here
is refused with a sentence that says what is possible instead. What is left is built into NumPy calls: all numbers are
float64, so no power takes long; and no warning of NumPy escapes. It becomes a list of steps, in which each part of it
stands once, however often its value is needed: so many steps, and no more, are what one evaluation takes. How many
there are, how deep they are nested, and how many numbers they may make are bounded (`LONGEST`, `MOST_NODES`, `DEEPEST`,
`MOST_VALUES`, `MOST_WORK`), and whoever goes beyond is told which bound that is.

`parse` reads a formula whose value is a number. `parse_assertion` reads what is true or false, "close(mean(y, 0), 0)".

Names may be written as in mathematics: μ, σ, ε, π, x̂ are `mu`, `sigma`, `eps`, `pi`, `x_hat`; ², −, ·, ×, ÷, ≤, √( are
read as what they mean, and `^` as a power, with a power's precedence. `np.`, `numpy.` and `math.` may stand before a
name and change nothing.
"""

import ast
import re
import unicodedata
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import combinations, pairwise
from typing import Any, Literal, NoReturn, TypeAlias

import numpy as np

from bn_exercises.tolerance import Array

LONGEST = 400
MOST_NODES = 300
DEEPEST = 30
# How many numbers one intermediate result may hold (broadcasting multiplies sizes), and how many all of them together.
MOST_VALUES = 250_000
MOST_WORK = 5_000_000
# How far apart `close` lets two numbers be: room for rounding in float64, and for nothing else.
RTOL, ATOL = 1e-6, 1e-9
_LARGEST = float(np.finfo(float).max)
# The example that sentences about claims give.
_CLAIM = "close(mean(y, 0), 3)"

# A step takes the values of the names, and the values of the steps before it.
Step: TypeAlias = Callable[[Mapping[str, Array], Sequence[Array]], Array]
Suspects: TypeAlias = Callable[[Sequence[Array]], tuple[Array, ...]]
Trouble: TypeAlias = Literal["divide", "overflow", "invalid"]

# A word in NumPy's message, and what it tells of.
_TROUBLES: tuple[tuple[str, Trouble], ...] = (("divide", "divide"), ("overflow", "overflow"))


class FormulaError(ValueError):
    """A formula that cannot be read, or not be evaluated.

    Attributes:
        sentence: what is the matter and what is possible. Of what was written, it repeats names only.
        unknown: the name that is not known, if that is the matter.
    """

    def __init__(self, sentence: str, unknown: str = "") -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.unknown = unknown


@dataclass(frozen=True)
class Formula:
    """A formula that was read.

    Attributes:
        text: as it was written.
        names: the names that stand in it.
        is_truth: whether it is true or false, and not a number.
    """

    text: str
    names: frozenset[str]
    is_truth: bool
    _steps: tuple[Step, ...] = field(repr=False, compare=False)
    _suspects: tuple[Suspects, ...] = field(repr=False, compare=False)

    def __call__(self, /, **values: Any) -> Array:
        """The value of the formula for these values of its names: numbers, or arrays that broadcast.

        Where it is not defined it is nan, where it is too large inf.

        Raises:
            FormulaError: if arrays do not go together, if an axis or an index is not there, or if it makes more numbers
                than `MOST_VALUES` at once or `MOST_WORK` altogether.
        """
        with np.errstate(all="ignore"):
            return np.asarray(self._evaluated(values)[-1])

    def trouble(self, /, **values: Any) -> Trouble | None:
        """What happens first on the way to a value that is not finite; None if nothing does.

        "divide": something is divided by 0, or its logarithm is taken; "overflow": it is too large for a float64;
        "invalid": a root, a logarithm or a fractional power of what is negative, or a quotient such as 0 / 0.
        """
        seen: list[Trouble] = []

        def note(message: str, flag: int) -> None:
            seen.append(next((each for word, each in _TROUBLES if word in message), "invalid"))

        with np.errstate(divide="call", over="call", invalid="call", under="ignore", call=note):
            self._evaluated(values)
        return seen[0] if seen else None

    def suspects(self, /, **values: Any) -> list[Array]:
        """Quantities inside of the formula at whose zeros it may have a kink, a jump or a pole; elsewhere it has none.

        u for abs(u), relu(u), sign(u), sqrt(u), log(u) and powers of u; u - v for max(u, v); v for u / v; and so on.
        Everything else that a formula can be made of is analytic.
        """
        with np.errstate(all="ignore"):
            done = self._evaluated(values)
            return [np.asarray(each) for suspects in self._suspects for each in suspects(done)]

    def holds(self, /, **values: Any) -> bool:
        """Whether an assertion is true, everywhere if it is about arrays."""
        return bool(np.all(self(**values)))

    def _evaluated(self, values: Mapping[str, Any]) -> list[Array]:
        """The value of each step; that of the last one is the formula's."""
        arrays = {name: np.asarray(value) for name, value in values.items()}
        done: list[Array] = []
        left = MOST_WORK
        for step in self._steps:
            value = step(arrays, done)
            left -= np.size(value)
            if left < 0:
                raise FormulaError(f"This makes more than {MOST_WORK:,} numbers on the way. Take fewer values.")
            done.append(value)
        return done


def parse(text: str, names: Iterable[str], *, arrays: bool = False) -> Formula:
    """Read a formula whose value is a number.

    Numbers, `names`, pi and e, + − * / and powers, and the functions of `FUNCTIONS`.

    Args:
        text: the formula.
        names: the names that may stand in it.
        arrays: whether the names stand for arrays as such. Then there are also the functions of `ARRAY_FUNCTIONS`;
            comparisons, which may be chained; `and`, `or`, `not`, element by element; indices that are constants, such
            as y[0] or y[:, 1]; and lists of numbers. The second argument of sum, mean, var, std, all and any is an
            axis, or several in brackets; that of max and min is another array, as in Python, and an axis has its name:
            max(y, axis=0). Without `arrays`, every function goes element by element, so that a formula can be evaluated
            at many points at once.

    Raises:
        FormulaError: with the sentence for whoever wrote it.
    """
    formula = _parse(text, names, arrays)
    if formula.is_truth:
        raise FormulaError("This is true or false. Expected: a formula whose value is a number.")
    return formula


def parse_assertion(text: str, names: Iterable[str]) -> Formula:
    """Read an assertion over arrays: a formula, as of `parse(..., arrays=True)`, that is true or false.

    Raises:
        FormulaError: with the sentence for whoever wrote it.
    """
    formula = _parse(text, names, arrays=True)
    if not formula.is_truth:
        raise FormulaError(
            "This is a number, and an assertion is true or false. Compare it with something: "
            "close(a, b), a < b, a == b."
        )
    return formula


def spelled(name: str) -> str:
    """A name as formulas know it: `mu` for μ."""
    plain = unicodedata.normalize("NFKC", name)
    return _ALIASES.get(plain, plain)


# The functions


@dataclass(frozen=True)
class Function:
    """A function that may stand in a formula.

    Attributes:
        compute: over arrays of floats.
        least, most: how many arguments it takes.
        suspects: takes the arguments; quantities at whose zeros the function may not be smooth.
    """

    compute: Callable[..., Array]
    least: int = 1
    most: int = 1
    suspects: Callable[..., tuple[Array, ...]] = lambda *arguments: ()


def _itself(u: Array) -> tuple[Array, ...]:
    return (u,)


def _differences(*arguments: Array) -> tuple[Array, ...]:
    return tuple(u - v for u, v in combinations(arguments, 2))


def _largest(*arguments: Array) -> Array:
    return np.maximum.reduce(np.broadcast_arrays(*arguments))


def _smallest(*arguments: Array) -> Array:
    return np.minimum.reduce(np.broadcast_arrays(*arguments))


_MAX, _MIN = Function(_largest, 2, 8, _differences), Function(_smallest, 2, 8, _differences)
_CLIP = Function(np.clip, 3, 3, lambda u, low, high: (u - low, u - high))

FUNCTIONS: Mapping[str, Function] = {
    "abs": Function(np.abs, suspects=_itself),
    "sqrt": Function(np.sqrt, suspects=_itself),
    "exp": Function(np.exp),
    "expm1": Function(np.expm1),
    "log": Function(np.log, suspects=_itself),
    "log1p": Function(np.log1p, suspects=lambda u: (1 + u,)),
    "sin": Function(np.sin),
    "cos": Function(np.cos),
    "tan": Function(np.tan, suspects=lambda u: (np.cos(u),)),
    "sinh": Function(np.sinh),
    "cosh": Function(np.cosh),
    "tanh": Function(np.tanh),
    "arctan": Function(np.arctan),
    "arcsinh": Function(np.arcsinh),
    "square": Function(np.square),
    "sigmoid": Function(lambda u: np.exp(-np.logaddexp(0, -u))),
    "softplus": Function(lambda u: np.logaddexp(0, u)),
    "relu": Function(lambda u: np.maximum(u, 0), suspects=_itself),
    "sign": Function(np.sign, suspects=_itself),
    "min": _MIN,
    "max": _MAX,
    "minimum": _MIN,
    "maximum": _MAX,
    "clip": _CLIP,
}

# Of an array: all of it, or along an axis.
_REDUCTIONS: Mapping[str, Callable[..., Array]] = {
    "sum": np.sum,
    "mean": np.mean,
    "var": np.var,
    "std": np.std,
    "all": np.all,
    "any": np.any,
    "max": np.max,
    "min": np.min,
}


def close(a: Any, b: Any, rtol: float = RTOL, atol: float = ATOL) -> bool:
    """Whether a and b are equal everywhere, but for rounding: |a − b| ≤ atol + rtol · max(|a|, |b|). nan never is."""
    a, b = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    with np.errstate(all="ignore"):
        near = np.abs(a - b) <= atol + rtol * np.maximum(np.abs(a), np.abs(b))
        # Infinities: their difference is nan, and the room beside one is infinite.
        return bool(np.all(np.where(np.isfinite(a) & np.isfinite(b), near, a == b)))


_CONSTANTS = {"pi": np.pi, "e": np.e}
_ALIASES = {
    "μ": "mu",
    "σ": "sigma",
    "ε": "eps",
    "epsilon": "eps",
    "γ": "gamma",
    "β": "beta",
    "π": "pi",
    "x̂": "x_hat",
    "absolute": "abs",
    "fabs": "abs",
    "atan": "arctan",
    "asinh": "arcsinh",
    "ln": "log",
    "allclose": "close",
    "amin": "min",
    "amax": "max",
    "fmin": "min",
    "fmax": "max",
}
ARRAY_FUNCTIONS = (*_REDUCTIONS, "close", "isfinite")
# Names that a parameter may not have.
RESERVED = frozenset({*FUNCTIONS, *ARRAY_FUNCTIONS, *_CONSTANTS, *_ALIASES, "np", "numpy", "math"})
_PREFIXES = ("np", "numpy", "math")

_ARITHMETIC: Mapping[type[ast.operator], Callable[[Array, Array], Array]] = {
    ast.Add: np.add,
    ast.Sub: np.subtract,
    ast.Mult: np.multiply,
    ast.Div: np.divide,
    ast.Pow: np.power,
}
_COMPARISONS: Mapping[type[ast.cmpop], Callable[[Array, Array], Array]] = {
    ast.Lt: np.less,
    ast.LtE: np.less_equal,
    ast.Gt: np.greater,
    ast.GtE: np.greater_equal,
    ast.Eq: np.equal,
    ast.NotEq: np.not_equal,
}


# From text to a tree

_SIGNS = str.maketrans(
    {
        "^": "**",
        "\N{MINUS SIGN}": "-",
        "\N{EN DASH}": "-",
        "\N{HYPHEN}": "-",
        "\N{MIDDLE DOT}": "*",
        "\N{DOT OPERATOR}": "*",
        "\N{BULLET OPERATOR}": "*",
        "\N{ASTERISK OPERATOR}": "*",
        "\N{MULTIPLICATION SIGN}": "*",
        "\N{DIVISION SIGN}": "/",
        "\N{DIVISION SLASH}": "/",
        "\N{LESS-THAN OR EQUAL TO}": "<=",
        "\N{GREATER-THAN OR EQUAL TO}": ">=",
        "\N{NOT EQUAL TO}": "!=",
        "\N{VULGAR FRACTION ONE HALF}": "(1/2)",
        "\N{VULGAR FRACTION ONE QUARTER}": "(1/4)",
        "\N{SQUARE ROOT}": "sqrt",
    }
)
_RAISED = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻", "0123456789+-")


def _tree(text: str, arrays: bool) -> ast.expr:
    if len(text) > LONGEST:
        raise FormulaError(f"This formula is longer than {LONGEST} characters.")
    one_line = " ".join(line.partition("#")[0].strip() for line in text.splitlines()).strip()
    if not one_line:
        raise FormulaError(f"There is no {'claim' if arrays else 'formula'} yet.")
    if re.search(r"√(?!\s*\()", one_line):
        raise FormulaError("What stands under the root √ needs brackets: √(...), or sqrt(...).")
    plain = re.sub("[⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻]+", lambda run: f"**({run[0].translate(_RAISED)})", one_line).translate(_SIGNS)
    try:
        with warnings.catch_warnings():  # of Python's, about "1or 2"
            warnings.simplefilter("ignore")
            return ast.parse(plain, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError):
        raise FormulaError(f"This {'claim' if arrays else 'formula'} cannot be read{_why(plain, arrays)}") from None


def _why(text: str, arrays: bool) -> str:
    """The end of a sentence: why a text cannot be read, and what is written instead."""
    if text.count("(") != text.count(")"):
        more = "opened than closed" if text.count("(") > text.count(")") else "closed than opened"
        return f": more brackets are {more}."
    outside = _outside_of_brackets(text)
    if arrays and re.match(r"assert\b", text):
        return ". Leave out assert: give only what must hold."
    if arrays and ";" in text:
        return ". Between two claims write `and`, not a semicolon."
    if re.search(r"(?<![<>=!])=(?!=)", outside):
        if arrays:
            return ". A claim compares with ==, or better with close(a, b), which leaves room for rounding."
        return ". Give only what stands to the right of the equals sign."
    if "|" in text:
        return ". Write abs(...) for the absolute value |...|."
    if re.search(r"\blambda\b", text):
        return ". Python keeps the word lambda for itself. Call the parameter lam."
    functions = {*FUNCTIONS, *ARRAY_FUNCTIONS} if arrays else set(FUNCTIONS)
    words = re.findall(r"(\w+)\s+[\w.]", text)
    if function := next((word for word in words if spelled(word) in functions), None):
        return f". The argument of {function} needs brackets: {function}(...)."
    if re.search(r"\d\s*[^\W\d]|[\w)]\s+[\w(]|\)\s*\w", text):
        if arrays:
            return ". Perhaps a * is missing: write 2 * y, not 2 y. Between two claims write `and`."
        return ". Perhaps a * is missing: write 2 * mu, not 2 mu."
    return f". Write it as in Python, for example: {_CLAIM if arrays else '1 + a * tanh(mu)'}."


def _outside_of_brackets(text: str) -> str:
    """The text without what stands in brackets, where an equals sign names an argument."""
    inner = re.sub(r"\([^()]*\)", "", text)
    return inner if inner == text else _outside_of_brackets(inner)


def _parse(text: str, names: Iterable[str], arrays: bool) -> Formula:
    builder = _Builder(frozenset(names), arrays)
    try:
        node = builder.build(_tree(text, arrays))
    except RecursionError:
        raise FormulaError(_TOO_DEEP) from None
    return Formula(text, frozenset(builder.used), node.is_truth, tuple(builder.steps), tuple(builder.suspects))


# From the tree to NumPy


@dataclass(frozen=True)
class _Node:
    # The place of the step that computes it.
    place: int
    is_truth: bool = False
    # Its value, if it is a number that was written down.
    constant: float | None = None


class _Builder:
    """Looks at every node once, and adds the steps that evaluate it: the node's own is the last of them."""

    def __init__(self, names: frozenset[str], arrays: bool) -> None:
        self.names = names
        self.arrays = arrays
        self.used: set[str] = set()
        self.steps: list[Step] = []
        self.suspects: list[Suspects] = []
        self._left = MOST_NODES
        self._depth = 0

    def build(self, node: ast.AST) -> _Node:
        with self._counted():
            return self._build(node)

    @contextmanager
    def _counted(self) -> Iterator[None]:
        """One node more, one level deeper."""
        self._left -= 1
        self._depth += 1
        if self._left < 0:
            raise FormulaError(_TOO_LONG)
        if self._depth > DEEPEST:
            raise FormulaError(_TOO_DEEP)
        yield
        self._depth -= 1

    def _step(self, step: Step, is_truth: bool = False, constant: float | None = None) -> _Node:
        self.steps.append(step)
        return _Node(len(self.steps) - 1, is_truth, constant)

    def _constant(self, value: float) -> _Node:
        array = np.float64(value)
        return self._step(lambda values, done: array, constant=value)

    def _elementwise(
        self, function: Callable[..., Array], *nodes: _Node, is_truth: bool = False, kind: type = float
    ) -> _Node:
        """`function` of the nodes' values, as arrays of that kind, of bounded size."""

        def step(values: Mapping[str, Array], done: Sequence[Array]) -> Array:
            arrays: list[Array] = [np.asarray(done[node.place], dtype=kind) for node in nodes]
            _refuse_apart(arrays)
            return function(*arrays)

        return self._step(step, is_truth)

    def _joined(self, function: Callable[[Array, Array], Array], parts: list[_Node]) -> _Node:
        node = parts[0]
        for part in parts[1:]:
            node = self._elementwise(function, node, part, is_truth=True, kind=bool)
        return node

    def truth(self, node: ast.AST, where: str) -> _Node:
        built = self.build(node)
        if not built.is_truth:
            raise FormulaError(f"{where} takes what is true or false: a comparison, or close(a, b).")
        return built

    def _build(self, node: ast.AST) -> _Node:
        match node:
            case ast.Constant(value=int() | float() as value) if not isinstance(value, bool):
                return self._constant(_bounded(value))
            case ast.Name() | ast.Attribute():
                return self._name(_plain_name(node))
            case ast.UnaryOp(op=ast.UAdd(), operand=operand):
                return self.build(operand)
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                inner = self.build(operand)
                if inner.constant is not None:
                    return self._constant(-inner.constant)
                return self._elementwise(np.negative, inner)
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _ARITHMETIC:
                return self._arithmetic(type(op), self.build(left), self.build(right))
            case ast.Call():
                return self._call(node)
        return self._over_arrays(node) if self.arrays else _refuse(node, _REFUSED, _POSSIBLE)

    def _name(self, name: str) -> _Node:
        alias = spelled(name)
        if known := next((each for each in (name, alias) if each in self.names), None):
            self.used.add(known)
            return self._step(lambda values, done: values[known])
        if alias in _CONSTANTS:
            return self._constant(_CONSTANTS[alias])
        if alias in self._functions():
            raise FormulaError(f"{alias} is a function: it needs its argument in brackets.")
        names = ", ".join(sorted(self.names | set(_CONSTANTS)))
        raise FormulaError(f"{_quoted(name)} is not known here. Known names: {names}.", unknown=name)

    def _arithmetic(self, operator: type[ast.operator], left: _Node, right: _Node) -> _Node:
        if operator is ast.Div and right.constant is None:
            self.suspects.append(_each(_itself, right))
        if operator is ast.Pow:
            self.suspects += _suspects_of_power(left, right)
        return self._elementwise(_ARITHMETIC[operator], left, right)

    # Calls

    def _functions(self) -> set[str]:
        return {*FUNCTIONS, *ARRAY_FUNCTIONS} if self.arrays else set(FUNCTIONS)

    def _call(self, node: ast.Call) -> _Node:
        if not isinstance(node.func, ast.Name | ast.Attribute):
            example = "2 * (1 + y)" if self.arrays else "2 * (1 + mu)"
            raise FormulaError(f"Something before a bracket is no function. Perhaps a * is missing: write {example}.")
        name = _plain_name(node.func)
        alias = spelled(name)
        if name in self.names or alias in self.names:
            raise FormulaError(f"{_quoted(name)} is no function. Perhaps a * is missing before the bracket.")
        if alias not in self._functions():
            possible = ", ".join(sorted(self._functions()))
            raise FormulaError(f"{_quoted(name)} is not a function that is known here. Possible: {possible}.")
        if any(isinstance(argument, ast.Starred) for argument in node.args) or None in [k.arg for k in node.keywords]:
            raise FormulaError("A star before an argument is not possible. Write the arguments one by one.")
        if alias == "close" and self.arrays:
            return self._close(node)
        if alias == "isfinite" and self.arrays:
            (argument,) = self._arguments(alias, node, 1, 1)
            return self._elementwise(np.isfinite, argument, is_truth=True)
        if alias in _REDUCTIONS and self.arrays and (alias not in FUNCTIONS or len(node.args) == 1):
            return self._reduction(alias, node)
        return self._elementwise_call(alias, node)

    def _elementwise_call(self, name: str, node: ast.Call) -> _Node:
        function = FUNCTIONS[name]
        arguments = self._arguments(name, node, function.least, function.most)
        self.suspects.append(_each(function.suspects, *arguments))
        return self._elementwise(function.compute, *arguments)

    def _arguments(self, name: str, node: ast.Call, least: int, most: int) -> list[_Node]:
        if node.keywords:
            raise FormulaError(f"{name} takes no argument with a name.")
        if not least <= len(node.args) <= most:
            expected = f"{least}" if least == most else f"{least} to {most}"
            raise FormulaError(f"{name} takes {expected} argument{'s' if most > 1 else ''}, not {len(node.args)}.")
        return [self.build(argument) for argument in node.args]

    def _close(self, node: ast.Call) -> _Node:
        if len(node.args) != 2 or not {keyword.arg for keyword in node.keywords} <= {"rtol", "atol"}:
            raise FormulaError("close takes two arguments, and maybe rtol=... and atol=...: close(a, b).")
        a, b = (self.build(argument) for argument in node.args)
        room = {str(keyword.arg): self.build(keyword.value).constant for keyword in node.keywords}
        if not all(value is not None and value >= 0 for value in room.values()):
            raise FormulaError("rtol and atol of close are numbers, not below 0.")
        return self._elementwise(lambda u, v: np.bool_(close(u, v, **room)), a, b, is_truth=True)  # type: ignore[arg-type]

    def _reduction(self, name: str, node: ast.Call) -> _Node:
        keywords = {str(keyword.arg): keyword.value for keyword in node.keywords}
        if not 1 <= len(node.args) <= 2 or not set(keywords) <= {"axis", "keepdims"}:
            raise FormulaError(f"{name} takes an array and maybe an axis: {name}(y) or {name}(y, 0).")
        if len(node.args) == 2 and "axis" in keywords:
            raise FormulaError(f"{name} has two axes here. Give one, or several in brackets: {name}(y, (0, 2)).")
        of_truths = name in ("all", "any")
        array = self.truth(node.args[0], name) if of_truths else self.build(node.args[0])
        axis = _axis(node.args[1] if len(node.args) == 2 else keywords.get("axis"))
        keepdims = _flag(keywords.get("keepdims"))
        reduce = _REDUCTIONS[name]

        def step(values: Mapping[str, Array], done: Sequence[Array]) -> Array:
            value = np.asarray(done[array.place], dtype=bool if of_truths else float)
            if value.size == 0:
                raise FormulaError(f"{name} of an empty array.")
            try:
                return reduce(value, axis=axis, keepdims=keepdims)
            except ValueError:  # of which NumPy's AxisError is one
                raise FormulaError(f"{name} along an axis that an array of the shape {value.shape} has not.") from None

        return self._step(step, of_truths)

    # What only makes sense over arrays

    def _over_arrays(self, node: ast.AST) -> _Node:
        match node:
            case ast.Compare(left=left, ops=ops, comparators=others) if all(type(op) in _COMPARISONS for op in ops):
                sides = [self.build(side) for side in (left, *others)]
                parts = [
                    self._elementwise(_COMPARISONS[type(op)], a, b, is_truth=True)
                    for op, (a, b) in zip(ops, pairwise(sides), strict=True)
                ]
                return self._joined(np.logical_and, parts)
            case ast.BoolOp(op=ast.And(), values=operands):
                return self._joined(np.logical_and, [self.truth(operand, "and") for operand in operands])
            case ast.BoolOp(op=ast.Or(), values=operands):
                return self._joined(np.logical_or, [self.truth(operand, "or") for operand in operands])
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return self._elementwise(np.logical_not, self.truth(operand, "not"), is_truth=True, kind=bool)
            case ast.Subscript(value=array, slice=place):
                return self._item(self.build(array), _index(place))
            case ast.List():
                rows = _in_rows(self._numbers(node))
                return self._step(lambda values, done: rows)
        return _refuse(node, _REFUSED_IN_CLAIMS, _POSSIBLE_IN_CLAIMS)

    def _item(self, array: _Node, index: Any) -> _Node:
        def step(values: Mapping[str, Array], done: Sequence[Array]) -> Array:
            value = np.asarray(done[array.place])
            try:
                return value[index]
            except IndexError:
                raise FormulaError(f"An array of the shape {value.shape} has no such index.") from None

        return self._step(step, array.is_truth)

    def _numbers(self, node: ast.AST) -> Any:
        """A list of numbers, or of such lists."""
        if isinstance(node, ast.List):
            with self._counted():
                return [self._numbers(each) for each in node.elts]
        value = self.build(node).constant
        if value is None:
            raise FormulaError("A list holds numbers only: [1, 2, 3].")
        return value


def _bounded(value: int | float) -> float:
    if not abs(value) <= _LARGEST:
        raise FormulaError(f"A number in it is too large. The largest that a float64 can hold is {_LARGEST:.2g}.")
    return float(value)


def _in_rows(numbers: Any) -> Array:
    try:
        return np.asarray(numbers, dtype=float)
    except ValueError:
        raise FormulaError("The rows of a list have different lengths.") from None


def _refuse_apart(arrays: list[Array]) -> None:
    """Raise unless the arrays broadcast, to something of bounded size."""
    shapes = [array.shape for array in arrays]
    try:
        shape = np.broadcast_shapes(*shapes)
    except ValueError:
        raise FormulaError(
            f"Arrays of the shapes {' and '.join(map(str, dict.fromkeys(shapes)))} do not go together."
        ) from None
    if np.prod(shape, dtype=float) > MOST_VALUES:
        raise FormulaError(f"This makes an array of more than {MOST_VALUES:,} numbers.")


def _suspects_of_power(base: _Node, exponent: _Node) -> list[Suspects]:
    whole = exponent.constant is not None and exponent.constant >= 0 and exponent.constant == int(exponent.constant)
    if whole or (base.constant is not None and base.constant > 0):
        return []
    return [_each(_itself, base), _each(_itself, exponent)]


def _each(suspects: Callable[..., tuple[Array, ...]], *arguments: _Node) -> Suspects:
    return lambda done: suspects(*(np.asarray(done[node.place], dtype=float) for node in arguments))


def _plain_name(node: ast.AST) -> str:
    """A name, without the `np.` before it."""
    match node:
        case ast.Name(id=name):
            return name
        case ast.Attribute(value=ast.Name(id=prefix), attr=name) if prefix in _PREFIXES:
            return name
    raise FormulaError("A dot stands only in numbers and after np. Write f(x), not x.f().")


def _quoted(name: str) -> str:
    return f"`{name}`" if re.fullmatch(r"\w{1,30}", name) else "A name in it"


# Literal indices and axes


def _whole(node: ast.AST) -> int:
    match node:
        case ast.Constant(value=int() as value) if not isinstance(value, bool) and abs(value) <= MOST_VALUES:
            return value
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_whole(operand)
    raise FormulaError("An index, or an axis, is a whole number written as such: y[0], y[:, 1], mean(y, 0).")


def _axis(node: ast.AST | None) -> int | tuple[int, ...] | None:
    if node is None or (isinstance(node, ast.Constant) and node.value is None):
        return None
    return tuple(map(_whole, node.elts)) if isinstance(node, ast.Tuple) else _whole(node)


def _flag(node: ast.AST | None) -> bool:
    match node:
        case None:
            return False
        case ast.Constant(value=bool() as value):
            return value
    raise FormulaError("keepdims is True or False.")


def _index(node: ast.AST) -> Any:
    match node:
        case ast.Tuple(elts=elements):
            return tuple(map(_index, elements))
        case ast.Slice(lower=lower, upper=upper, step=step):
            if isinstance(step, ast.Constant) and step.value == 0:
                raise FormulaError("A slice with the step 0 goes nowhere.")
            return slice(*(None if bound is None else _whole(bound) for bound in (lower, upper, step)))
        case ast.Constant(value=value) if value is None or value is Ellipsis:
            return value
    return _whole(node)


_TOO_LONG = f"This formula is too long: it has more than {MOST_NODES} numbers, names and operations."
_TOO_DEEP = f"This formula is nested too deeply: one thing in another more than {DEEPEST} times."
_POSSIBLE = "Possible are numbers, names, + − * / **, brackets and functions such as tanh(mu)."
_POSSIBLE_IN_CLAIMS = (
    "Possible are numbers, names, + − * / **, brackets, comparisons, and functions such as mean(y, 0) and close(a, b)."
)
_REFUSED: Mapping[type[ast.AST], str] = {
    ast.IfExp: "if … else … is not possible in a formula.",
    ast.Lambda: "Give the formula itself, without lambda and its names.",
    ast.Compare: "A comparison is not possible here.",
    ast.BoolOp: "and, or are not possible here.",
    ast.Tuple: "A comma only parts the arguments of a function. In a decimal number stands a point: 0.5.",
    ast.List: "Lists are not possible here.",
    ast.Subscript: "Indices are not possible here.",
}
_REFUSED_IN_CLAIMS: Mapping[type[ast.AST], str] = {
    **_REFUSED,
    ast.IfExp: "if … else … is not possible in a claim.",
    ast.Lambda: "Give the claim itself, without lambda and its names.",
    ast.Compare: "`is` and `in` are not possible. Compare with <, <=, >, >=, ==, != or close(a, b).",
    ast.Tuple: "Between two claims write `and`, not a comma. In a decimal number stands a point: 0.5.",
}
_REFUSED_OPERATORS: Mapping[type[ast.AST], str] = {
    ast.Mod: "% is not possible.",
    ast.FloorDiv: "// is not possible. Divide with /.",
    ast.BitOr: "| is not possible. Write abs(...) for the absolute value |...|, and `or` between comparisons.",
    ast.BitAnd: "& is not possible. Between comparisons write `and`.",
    ast.MatMult: "@ is not possible.",
    ast.Not: "not is not possible here.",
    ast.Invert: "~ is not possible. Before a comparison write `not`.",
}


def _refuse(node: ast.AST, refused: Mapping[type[ast.AST], str], possible: str) -> NoReturn:
    if isinstance(node, ast.BinOp | ast.UnaryOp):
        says = _REFUSED_OPERATORS.get(type(node.op), "This operator is not possible.")
    elif isinstance(node, ast.Constant):
        says = (
            "Text, complex numbers and truth values are not possible."
            if node.value is not None
            else "None is no value."
        )
    else:
        says = refused.get(type(node), "Something in it is not possible.")
    raise FormulaError(f"{says} {possible}")
