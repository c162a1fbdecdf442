"""Problem 5, Adaptive normalization: the learner designs gamma(mu) and beta(mu) for one feature.

There is no one right answer. The design is data: two formulas as text, the values of their parameters, the values at
which the layer is plain Batch Normalization, and the output of the design on a small batch, worked out by hand. What
must hold for any design is judged one property at a time (`design`); the output is judged as every number in this
course is, by `verify`, on the learner's own formulas. The reasoning is read by a person.
"""

import hashlib
import json
import keyword
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from random import Random
from typing import Any, ClassVar, Self, TypeAlias

import numpy as np

from bn_exercises import algorithm
from bn_exercises import misconceptions as wrong
from bn_exercises.answers import Unusable, read
from bn_exercises.answers import plain as plain_data
from bn_exercises.formulas.design import OF_THE_BATCH, PAGE, PROPERTIES, Coefficient, Design, Fault, changing
from bn_exercises.formulas.examples import FAILING, GOOD, STEEP, SUCCEEDING, WORKED
from bn_exercises.formulas.formula import LONGEST, RESERVED, FormulaError, parse, spelled
from bn_exercises.misconceptions import Misconception
from bn_exercises.numbers import rounded
from bn_exercises.numbers.calculation import AlsoRight, Part
from bn_exercises.numbers.problem import NumberProblem
from bn_exercises.numbers.shared import SIX, TWO, column, joined
from bn_exercises.numbers.typeset import numbers
from bn_exercises.problem import Answers, Given, Problem, Solved, choose, random_for, shuffled, verify
from bn_exercises.tolerance import Array, round_to
from bn_exercises.translation import N_
from bn_exercises.verdict import Finding, Kind, Link, Verdict, unknown_names

# The names of what is answered. The parts that are judged are properties of it, and have other names.
ASKED = ("gamma", "beta", "parameters", "plain", "y")
MOST_PARAMETERS = 10
LONGEST_NAME = 20

Parameters: TypeAlias = Mapping[str, float]

_POINTS = {"finite": 2, "adapts": 1, "smooth": 2, "stable": 2, "special_case": 1, "example": 2}
_TITLES = {
    "finite": "(a) finite for any batch",
    "adapts": "(b) depends on the mean",
    "smooth": "(c) differentiable",
    "stable": "(d) stable for tiny variance",
    "special_case": "(e) plain BN is a special case",
    "example": "(f) the output of your design",
}
# For each part the answers that it depends on. Without the last of them it was not answered.
_DESIGN = ("parameters", "gamma", "beta")
_JUDGED_ON: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(_POINTS, _DESIGN),
    "special_case": (*_DESIGN, "plain"),
    "example": (*_DESIGN, "y"),
}


@dataclass(frozen=True)
class AdaptiveNormalization(Problem):
    """The problem. Given are the batch x of the example, and eps."""

    asks_for: ClassVar[str] = "formulas"

    @property
    def points(self) -> dict[str, int]:
        return dict(_POINTS)

    def variant(self, seed: int, edition: int = 1) -> Self:
        return replace(self, given=_draw(random_for(self.name, seed)))

    def observe(self, answers: Answers) -> dict[str, Any]:
        """Formulas as text, parameters as numbers, the output as an array; or what keeps them from being that.

        And for each part answered a fingerprint of what it depends on, which tells one try from another. It is made
        here, whatever stands in its place, and nothing is judged by it.
        """
        observed = {
            name: _READ.get(name, read)(value)
            for name, value in answers.items()
            if isinstance(name, str) and name not in _POINTS
        }
        return observed | {part: _fingerprint(observed, on) for part, on in _JUDGED_ON.items() if on[-1] in observed}

    def judge(self, observed: Answers) -> Verdict:
        """The verdict: each property of the design by itself, then its output, then what it does to the mean."""
        answers = self.observe(observed)
        design = _design(answers, self.given["eps"])
        with np.errstate(all="ignore"):
            findings = _unread(design) if isinstance(design, Unusable) else self._findings(design, answers)
        return self.verdict((*findings, *unknown_names([name for name in answers if name not in _POINTS], ASKED)))

    def _findings(self, design: Design, answers: Answers) -> list[Finding]:
        findings = [_property(part, design, answers.get("plain")) for part in PROPERTIES]
        findings.append(self._example(design, answers.get("y")))
        if findings[0].kind == "right":  # of what is finite one can say what it does
            findings += [Finding("", "", "note", sentence) for sentence in design.effects]
        return findings

    def _example(self, design: Design, y: Any) -> Finding:
        if not np.isfinite(_output(*_arguments(self.given, design))).all():
            sentence = "On the given batch your γ or β is not finite, so there is no output to compare with: see (a)."
            return _finding("example", "wrong", sentence)
        return verify(self.by_hand(design), {"example": y}).of("example")

    def by_hand(self, design: Design) -> NumberProblem:
        """What is asked by hand: the output of a design on the given batch, as a problem by itself."""
        part = Part(
            "example",
            _TITLES["example"],
            _POINTS["example"],
            _output,
            lambda given, _: _arguments(given, given["design"]),
            OUTPUT_MISTAKES,
            lambda given: _example_hints(*column(given)),
            also_right=tuple(AlsoRight(_output_by_hand(digits)) for digits in rounded.ROUNDED),
            carried=lambda x, eps, gamma, beta, design: gamma * algorithm.normalized(x, eps),
        )
        return NumberProblem(self.name, self.title, {**self.given, "design": design}, (part,), _draw)

    def hints(self, part: str) -> tuple[str, ...]:
        return _example_hints(*column(self.given)) if part == "example" else _HINTS[part]

    def answers(
        self, gamma: str, beta: str, parameters: Parameters | None = None, plain: Parameters | None = None
    ) -> dict[str, Any]:
        """A design as somebody would answer it, with its output on the given batch."""
        answers: dict[str, Any] = {"gamma": gamma, "beta": beta, "parameters": parameters, "plain": plain}
        answers = {name: value for name, value in answers.items() if value is not None}
        return answers | {"y": self.output(answers)}

    def output(self, answers: Answers) -> Array:
        """The output of a design that can be read, on the given batch."""
        return _output(*_arguments(self.given, self.design(answers)))

    def design(self, answers: Answers) -> Design:
        """A design to look at.

        Raises:
            ValueError: with the sentence for whoever wrote it, if it cannot be read.
        """
        design = _design(self.observe(answers), self.given["eps"])
        if isinstance(design, Unusable):
            raise ValueError(design.sentence)
        return design

    def solved(self) -> Solved:
        """One design of many, and why it has each property."""
        design = self.design(WORKED)
        x, eps, gamma, beta, _ = _arguments(self.given, design)
        formulas = ", ".join(f"{c.symbol} = {c.formula.text}" for c in design)
        values = ", ".join(f"{name} = {value:g}" for name, value in WORKED["parameters"].items())
        plain = [f"{c.symbol} = {numbers(c(0.0))}" for c in design.plain or ()]
        steps_of: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
            "finite": (
                ("One design of many. No denominator vanishes, and nothing grows faster than what it is divided by.",),
                (
                    f"{formulas}, with {values}",
                    *(f"{c.symbol} from {numbers(c.values.min())} to {numbers(c.values.max())}" for c in design),
                ),
            ),
            "adapts": (
                ("γ depends on the size of the mean, β on its sign too.",),
                tuple(f"{c.symbol} at μ = −1, 0, 1: {numbers(c(np.array([-1.0, 0, 1])))}" for c in design),
            ),
            "smooth": (("Powers, and a root of what is at least 1: there is a derivative everywhere.",), ()),
            "stable": (("The variance stands in neither formula. Only √(σ² + ε) divides by it, as in plain BN.",), ()),
            "special_case": (
                ("Whoever starts training there starts with plain BN.",),
                (f"plain = {WORKED['plain']}: {', '.join(plain)}",),
            ),
            "example": (
                (self.hints("example")[1],),
                (
                    f"μ = {numbers(x.mean())}, σ² = {numbers(x.var())}",
                    f"γ(μ) = {numbers(gamma)}, β(μ) = {numbers(beta)}",
                    f"x̂ = {numbers(algorithm.normalized(x, eps))}",
                    f"y = {numbers(self.output(WORKED))}",
                ),
            ),
        }
        return [(_TITLES[part], *said) for part, said in steps_of.items()]

    def mistaken(self, reading: int = 0) -> Iterator[tuple[str, str, Answers]]:
        """Designs that fail in one part, and wrong outputs of a right one: the part, the mistake, the answers."""
        for part, mistake, changes in FAILING:
            yield part, mistake, self.answers(**{**GOOD, **changes})
        right = self.answers(**STEEP)
        outcomes = self.by_hand(self.design(right)).outcomes[0]["example"]
        for misconception, y in zip(outcomes.mistakes, outcomes.wrong, strict=True):
            yield "example", misconception.name, {**right, "y": y}
            yield "example", misconception.name, {**right, "y": round_to(4, y)}

    def rightly(self, reading: int = 0) -> Iterator[tuple[str, Answers]]:
        for style, changes in SUCCEEDING.items():
            yield style, self.answers(**{**GOOD, **changes})
        for style, write in _STYLES.items():
            yield style, {**self.answers(**GOOD), "y": write(self.answers(**GOOD)["y"])}
        for digits in rounded.ROUNDED:
            yield f"every step in {digits} digits", self.answers(**STEEP) | {"y": self._rounding(digits)}
        yield "formulas that are numbers", self.answers("1 + a * tanh(mu)", "0", {"a": 1}, {"a": 0}) | {"beta": 0}
        yield (
            "parameters of NumPy's",
            self.answers(**GOOD) | {"parameters": {"a": np.float32(0.5), "b": np.array([0.5])}},
        )

    def _rounding(self, digits: int) -> Array:
        """The output of somebody who rounds after every step. It does not use the engine's own roundings."""
        x, eps, gamma, beta, _ = _arguments(self.given, self.design(STEEP))
        root = round_to(digits, np.sqrt(round_to(digits, x.var()) + eps))
        x_hat = round_to(digits, (x - x.mean()) / root)
        return round_to(digits, round_to(digits, round_to(digits, gamma) * x_hat) + round_to(digits, beta))


# The output on a batch: (x, eps, gamma, beta, design). gamma and beta are those of the design at the mean of x.


def _arguments(given: Given, design: Design) -> tuple[Array, float, float, float, Design]:
    x, eps = column(given)
    gamma, beta = (float(c(x.mean(), x.var())) for c in design)
    return x, eps, gamma, beta, design


def _output(x: Array, eps: float, gamma: float, beta: float, design: Design) -> Array:
    return algorithm.output(algorithm.normalized(x, eps), gamma, beta)


def _output_by_hand(digits: int) -> Callable[..., Array]:
    normalized = rounded.normalized(digits)

    def compute(x: Array, eps: float, gamma: float, beta: float, design: Design) -> Array:
        return algorithm.output(round_to(digits, normalized(x, eps)), round_to(digits, gamma), round_to(digits, beta))

    return compute


def _then_scaled(m: Misconception) -> Misconception:
    """A mistake in normalizing, with the design's γ and β after it."""
    return m.at(lambda x, eps, gamma, beta, design: algorithm.output(m.compute(x, eps), gamma, beta))


def _after_normalizing(m: Misconception) -> Misconception:
    """A mistake in scaling and shifting, after right normalized values."""
    return m.at(lambda x, eps, gamma, beta, design: m.compute(algorithm.normalized(x, eps), gamma, beta))


def _at(mean: Callable[[Array], Any]) -> Callable[..., Array]:
    """The output with γ and β taken at something other than the mean of the batch."""

    def compute(x: Array, eps: float, gamma: float, beta: float, design: Design) -> Array:
        return algorithm.output(algorithm.normalized(x, eps), *(c(mean(x), x.var()) for c in design))

    return compute


AT_EACH_VALUE = Misconception(
    "γ and β at each value",
    "You put each value into γ and β. They depend on the mean of the batch: one γ and one β for all of it.",
    _at(lambda x: x),
    Link("The output, by hand", "adaptive-example", PAGE),
)
AT_MEAN_OF_X_HAT = Misconception(
    "γ and β at the mean of x̂",
    "You put 0 into γ and β, the mean after normalizing. They depend on the mean that is subtracted.",
    _at(lambda x: 0.0),
    AT_EACH_VALUE.see,
)
AT_SUM = Misconception(
    "γ and β at the sum",
    "You put the sum of the values into γ and β. Divide it by how many there are.",
    _at(lambda x: x.sum()),
    AT_EACH_VALUE.see,
)
OUTPUT_MISTAKES = (
    *map(_then_scaled, wrong.NORMALIZED_ONE_FEATURE),
    *map(_after_normalizing, wrong.OUTPUT),
    AT_EACH_VALUE,
    AT_MEAN_OF_X_HAT,
    AT_SUM,
)


def _draw(rng: Random) -> Given:
    mean = choose(rng, range(3, 10))
    deviations = shuffled(rng, choose(rng, (*TWO, *SIX)))
    return {"x": tuple(mean + d for d in deviations), "eps": 0.25}


# Reading an answer


def _read_formula(value: Any) -> str | Unusable:
    kind = type(value)
    if kind is Unusable:
        return value  # type: ignore[no-any-return]
    if value is None or value is Ellipsis:
        return Unusable("There is no formula yet.", missing=True)
    if issubclass(kind, str):
        text = str.__str__(value)
        return text if len(text) <= LONGEST else Unusable(f"This formula is longer than {LONGEST} characters.")
    number = read(value)
    if not isinstance(number, Unusable) and number.ndim == 0:
        return repr(float(number))
    what = "not as a function" if callable(value) else "between quotation marks"
    return Unusable(f'Give the formula as text, {what}: "1 + a * tanh(mu)".')


def _read_parameters(value: Any) -> dict[str, float] | Unusable:
    kind = type(value)
    if kind is Unusable:
        return value  # type: ignore[no-any-return]
    if value is None or value is Ellipsis:
        return Unusable("There are no values yet.", missing=True)
    if not issubclass(kind, dict):
        return Unusable('Give names and their values, as a dictionary: {"a": 0.1}.')
    if dict.__len__(value) > MOST_PARAMETERS:
        return Unusable(f"More than {MOST_PARAMETERS} parameters are too many to reason about.")
    parameters = {}
    for key, number in dict.items(value):
        name = _parameter(key)
        if isinstance(name, Unusable):
            return name
        array = read(number)
        if isinstance(array, Unusable) or array.size != 1:
            return Unusable(f'The value of every parameter is one number: {{"a": 0.1}}. That of `{name}` is not.')
        parameters[name] = float(array.reshape(()))
    return parameters


def _parameter(key: Any) -> str | Unusable:
    if not issubclass(type(key), str):
        return Unusable('The name of a parameter is text: {"a": 0.1}.')
    name = spelled(str.__str__(key)[: LONGEST_NAME + 1].strip())
    if keyword.iskeyword(name):
        other = "lam" if name == "lambda" else f"{name}_"
        return Unusable(f"Python keeps the word `{name}` for itself. Call the parameter `{other}`.")
    if not name.isidentifier() or len(name) > LONGEST_NAME:
        return Unusable(f"The name of a parameter is one word of at most {LONGEST_NAME} letters, such as a or slope.")
    if name in RESERVED or name in OF_THE_BATCH:
        return Unusable(f"A parameter cannot be called `{name}`: in a formula that name means something else.")
    return name


_READ: Mapping[str, Callable[[Any], Any]] = {
    "gamma": _read_formula,
    "beta": _read_formula,
    "parameters": _read_parameters,
    "plain": _read_parameters,
}


def _fingerprint(observed: Answers, names: Iterable[str]) -> str:
    answered = json.dumps(plain_data({name: observed.get(name) for name in names}), sort_keys=True)
    return hashlib.sha256(answered.encode()).hexdigest()[:8]


def _design(answers: Answers, eps: float) -> Design | Unusable:
    """The design in answers that were observed, or why there is none."""
    gamma, beta = (answers.get(name, _read_formula(None)) for name in ("gamma", "beta"))
    parameters, plain = (answers.get(name, {}) for name in ("parameters", "plain"))
    of_parameters = N_("The parameters")
    unread = {"γ": gamma, "β": beta, of_parameters: parameters}
    why = {name: each for name, each in unread.items() if isinstance(each, Unusable)}
    if isinstance(parameters, Unusable) and parameters.missing:
        parameters = {}
        del why[of_parameters]
    if why:
        says = " ".join(f"{name}: {each.sentence}" for name, each in why.items())
        nothing = len(why) == 2 and all(each.missing for each in why.values())
        return Unusable(says, missing=nothing)
    named = () if isinstance(plain, Unusable) else tuple(plain.items())
    return _built(gamma, beta, tuple(parameters.items()), named, eps)


# Looking at a design takes 20 ms, and the same one is looked at with every check of its output.
@lru_cache(maxsize=128)
def _built(
    gamma: str, beta: str, parameters: tuple[tuple[str, float], ...], plain: tuple[tuple[str, float], ...], eps: float
) -> Design | Unusable:
    coefficients, says = [], []
    for symbol, text in (("γ", gamma), ("β", beta)):
        try:
            formula = parse(text, (*OF_THE_BATCH, *dict(parameters)))
            coefficients.append(Coefficient(symbol, formula, dict(parameters), eps))
        except FormulaError as error:
            says.append(f"{symbol}: {error.sentence}{_of_unknown(error.unknown)}")
    if says:
        return Unusable(" ".join(says))
    scale, shift = coefficients
    other = {**dict(parameters), **dict(plain)}
    at_plain = (replace(scale, parameters=other), replace(shift, parameters=other)) if plain else None
    return Design(scale, shift, at_plain)


def _of_unknown(name: str) -> str:
    if spelled(name) in ("x", "x_hat"):
        return " γ and β know the batch only by its statistics: mu, var, sigma."
    return ' A name of your own needs a value in `parameters`, for example {"a": 0.1}.' if name else ""


# Findings


def _property(part: str, design: Design, plain: Any) -> Finding:
    if part == "special_case" and isinstance(plain, Unusable) and not plain.missing:
        return _finding(part, "form", plain.sentence)
    faults = design.faults[part]
    if faults and part == "special_case" and design.plain is None and design.parameters:
        return _finding(part, "missing", "Give, in `plain`, values of the parameters that make the layer plain BN.")
    if faults:
        return _finding(part, "misconception", _said(faults), faults)
    if part == "adapts":
        symbols = [c.symbol for c in changing(design)]
        return _finding(
            part, "right", f"{' and '.join(symbols)} {'changes' if len(symbols) == 1 else 'change'} with the mean."
        )
    return _finding(part, "right", "Right.")


def _said(faults: list[Fault]) -> str:
    """What is wrong where, and of each kind of mistake once what to do."""
    sentences = []
    for mistake in dict.fromkeys(fault.mistake for fault in faults):
        sentences += [fault.where for fault in faults if fault.mistake is mistake]
        sentences.append(mistake.says)
    return " ".join(sentences)


def _unread(why: Unusable) -> list[Finding]:
    """Without a design nothing can be judged. The first part says why, once."""
    first, *others = _POINTS
    waits = "This waits for formulas that can be read."
    findings = [_finding(first, "missing" if why.missing else "form", why.sentence)]
    return findings + [_finding(part, "missing", waits) for part in others]


def _finding(part: str, kind: Kind, sentence: str, faults: list[Fault] | None = None) -> Finding:
    faults = faults or []
    return Finding(
        part,
        _TITLES[part],
        kind,
        sentence,
        tuple(dict.fromkeys(fault.mistake.name for fault in faults)),
        faults[0].mistake.see if faults else None,
        _POINTS[part] if kind == "right" else 0,
        _POINTS[part],
    )


# Hints


def _example_hints(x: Array, eps: float) -> tuple[str, str, str]:
    return (
        "For one batch γ and β are two numbers, the same for all its values.",
        "First μ and σ², then γ(μ) and β(μ), then for each value γ(μ) · (x − μ) / √(σ² + ε) + β(μ).",
        f"μ = ({joined(x, ' + ')}) / {len(x)}. Put it into your formulas. The first value: "
        f"γ(μ) · ({x[0]:g} − μ) / √(σ² + {eps:g}) + β(μ).",
    )


_HINTS: Mapping[str, tuple[str, str, str]] = {
    "finite": (
        "Which means can a batch have? Try 0, a negative one, and a very large one.",
        "Nothing may be divided by what can be 0; no root and no logarithm may be taken of what can be negative; and "
        "nothing may overflow.",
        "Look at every division, root, logarithm and exponential in your formulas, and put `mu` = 0, -1, 1000 into it. "
        "Denominators such as `1 + mu**2` and functions such as `tanh` are harmless.",
    ),
    "adapts": (
        "Put two different means into your formulas.",
        "For different means γ(μ) or β(μ) must give different numbers.",
        "Let mu stand in at least one formula, and look at the values in `parameters`: a factor 0 switches it off.",
    ),
    "smooth": (
        "Draw your formulas as the mean goes from below 0 to above 0. Can you draw them without a corner?",
        "The gradient flows through γ(μ) and β(μ) too. abs, relu, sign, min, max and clip have corners or jumps, and a "
        "root has an infinite slope where its argument is 0.",
        "Replace the corner: `abs(mu)` by `sqrt(mu**2 + c)`, `relu(mu)` by `softplus(mu)`, `sign(mu)` by "
        "`tanh(c * mu)`, `clip(mu, -1, 1)` by `tanh(mu)`.",
    ),
    "stable": (
        "What if all values of the batch are nearly equal?",
        "The variance may be as near to 0 as you like, and 0 itself. γ and β must stay bounded.",
        "Look at every place where var or sigma stands. Where something is divided by it, write sqrt(var + eps).",
    ),
    "special_case": (
        "For which values of your parameters do γ and β no longer change with the mean?",
        "Then γ is a constant other than 0, and β is a constant.",
        "Write each formula as a constant plus a parameter times what changes with the mean, and let `plain` give 0 to "
        "these parameters.",
    ),
}

# How an output is written.
_STYLES: Mapping[str, Callable[[Array], Any]] = {
    "a list": np.ndarray.tolist,
    "a column": lambda y: y.reshape(-1, 1),
    "3 digits": lambda y: round_to(3, y),
    "4 digits": lambda y: round_to(4, y).tolist(),
    "float32": lambda y: y.astype(np.float32),
    "off in the last bits": lambda y: y * (1 + 4e-16),
}

ADAPTIVE = AdaptiveNormalization("adaptive", "Adaptive normalization", {"x": (1, 2, 3), "eps": 0.01})
