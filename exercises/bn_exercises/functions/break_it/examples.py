"""Examples to try the judge on: evidence that exposes nobody, with the reason, and good evidence in every style.

The inputs that hide a mistake are made here by hand, without `hiding`, so that the two can contradict each other.
"""

import json
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any, TypeAlias

import numpy as np

from bn_exercises.algorithm import batch_axes, per_channel
from bn_exercises.answers import from_plain, plain
from bn_exercises.functions.break_it.evidence import (
    INCOMPLETE,
    NO_RESULT,
    OUT_OF_RANGE,
    SHAPES,
    SIGNATURES,
    UNREADABLE,
    Evidence,
    after,
    call,
    inputs_of,
    is_alike,
    observed,
    rights,
    tried,
)
from bn_exercises.functions.break_it.exposure import (
    BY_ROUNDING,
    EXACT,
    FOR_EVERYTHING,
    NO_OUTPUT,
    NOT_SEPARATED,
    NOT_TRUE,
    TOO_WEAK,
)
from bn_exercises.functions.break_it.hiding import BATCHES, NUMBERS, Values, is_stored
from bn_exercises.functions.implementations import RIGHT
from bn_exercises.functions.slips import Function
from bn_exercises.tolerance import Array, round_to

Named: TypeAlias = Iterator[tuple[str, Evidence]]


def useless(function: str, wrong: Function, evidence: Evidence) -> Named:
    """Evidence that does not expose this wrong implementation, with the reason; made from evidence that does."""
    inputs = inputs_of(function, observed(evidence))  # type: ignore[arg-type]
    right, suspect = call(function, RIGHT[function], inputs), tried(function, wrong, inputs)
    given = {name: value for name, value in evidence.items() if name != "claim"}
    yield from _malformed(evidence, given)
    yield from _claims(function, right, suspect, evidence, given)
    yield from _numbers(function, right, suspect, given)
    yield from hidden(function, wrong, evidence)


def hidden(function: str, wrong: Function, evidence: Evidence) -> Named:
    """Inputs on which this implementation does nothing wrong, with what hides it; made from what exposes it."""
    inputs = inputs_of(function, observed(evidence))  # type: ignore[arg-type]
    for name, hide in _HIDDEN.items():
        changed = hide(inputs)
        right, suspect = call(function, RIGHT[function], changed), tried(function, wrong, changed)
        finite = all(np.isfinite(value).all() for value in right.values())
        if finite and suspect is not None and is_alike(right, suspect):
            yield name, {**changed, "expected": {name: right[name] for name in SIGNATURES[function].outputs}}


def _malformed(evidence: Evidence, given: Evidence) -> Named:
    claim = evidence["claim"]
    yield UNREADABLE.name, {**given, "claim": claim[:-1]}
    yield UNREADABLE.name, {**given, "claim": claim.replace("close(", "nearly(")}
    yield UNREADABLE.name, {**given, "claim": "x"}
    yield UNREADABLE.name, {**given, "claim": True}
    yield UNREADABLE.name, {**evidence, "x": "x"}
    yield UNREADABLE.name, {**evidence, "x": [[1.0, 2.0], [3.0]]}
    yield UNREADABLE.name, {**evidence, "N": 3}
    yield INCOMPLETE.name, given
    yield INCOMPLETE.name, {**evidence, "x": None}
    yield INCOMPLETE.name, {"x": evidence["x"], "claim": claim}
    yield SHAPES.name, {**evidence, "x": [1.0, 2.0, 6.0]}
    for name in ("gamma", "running_var", "dy"):
        if name in evidence:
            yield SHAPES.name, {**evidence, name: [1.0, 2.0, 3.0, 4.0, 5.0]}
    for name in ("eps", "momentum", "running_var"):
        if name in evidence:
            yield OUT_OF_RANGE.name, {**evidence, name: -1.0}


def _claims(function: str, right: Values, suspect: Values | None, evidence: Evidence, given: Evidence) -> Named:
    output = SIGNATURES[function].outputs[0]
    for inputs_only in ("close(x, x)", "close(x, x + 1)", "1 == 2"):
        yield NO_OUTPUT.name, {**given, "claim": inputs_only}
    if suspect is not None and np.isfinite(suspect[output]).all():  # else it fails these too
        yield FOR_EVERYTHING.name, {**given, "claim": f"all(isfinite({output}))"}
        yield FOR_EVERYTHING.name, {**given, "claim": f"all({output} == {output})"}
        yield TOO_WEAK.name, {**given, "claim": f"all(abs({output}) < 1e12)"}
    yield NOT_TRUE.name, {**given, "claim": f"not ({evidence['claim']})"}
    yield NOT_TRUE.name, {**given, "claim": f"close({output}, 7)"}
    yield EXACT.name, {**given, "claim": f"sum({output}) == {float(right[output].sum())!r}"}
    yield BY_ROUNDING.name, {**given, "claim": f"sum({output}) <= {float(right[output].sum())!r}"}
    if "eps" in given and not is_stored(right):
        yield NO_RESULT.name, {**evidence, "x": np.ones_like(right["x"]), "eps": 0.0}


def _numbers(function: str, right: Values, suspect: Values | None, given: Evidence) -> Named:
    outputs = SIGNATURES[function].outputs
    yield NOT_TRUE.name, {**given, "expected": {name: right[name] + np.abs(right[name]).max() for name in outputs}}
    if suspect is not None:
        own = {name: suspect[name] for name in outputs}
        like_right = all(np.isfinite(v).all() and v.shape == right[name].shape for name, v in own.items())
        if like_right and not is_alike({name: right[name] for name in outputs}, own):
            yield NOT_TRUE.name, {**given, "expected": own}


# Inputs that may hide a mistake, by the name of what hides it


def _with(**values: float) -> Callable[[Values], Values]:
    """These values in every feature, where there are such inputs."""
    return lambda v: v | {name: np.full_like(v[name], value) for name, value in values.items() if name in v}


def _batches(change: Callable[[Array], Array]) -> Callable[[Values], Values]:
    return lambda v: v | {name: change(v[name]) for name in BATCHES if name in v}


def _standardized(x: Array) -> Array:
    """nan where there is nothing to standardize: then there are no such inputs."""
    with np.errstate(invalid="ignore"):
        return (x - x.mean(axis=batch_axes(x), keepdims=True)) / x.std(axis=batch_axes(x), keepdims=True)


def _on_x(change: Callable[[Array], Array]) -> Callable[[Values], Values]:
    return lambda v: v | {"x": change(v["x"])}


def _dy_from_x(dy: Callable[[Array], Array]) -> Callable[[Values], Values]:
    return lambda v: v | ({"dy": dy(v["x"])} if "dy" in v else {})


def _first_feature(inputs: Values) -> Values:
    return {
        name: value if name in NUMBERS else value[:, :1] if name in BATCHES else value[:1]
        for name, value in inputs.items()
    }


def _stored_from_batch(inputs: Values) -> Values:
    x = inputs["x"]
    own = {"running_mean": x.mean(axis=batch_axes(x)), "running_var": x.var(axis=batch_axes(x))}
    return inputs | {name: value for name, value in own.items() if name in inputs}


def _without_stored(inputs: Values) -> Values:
    """`backward` does without."""
    if "dy" not in inputs:
        return inputs
    return {name: value for name, value in inputs.items() if not name.startswith("running")}


def _with_stored(inputs: Values) -> Values:
    """`backward` then has constants."""
    channels = np.arange(inputs["x"].shape[1])
    return inputs | ({"running_mean": channels + 2.0, "running_var": channels + 3.0} if "dy" in inputs else {})


def _skew(x: Array) -> Array:
    """As in the third power, but with no mean: a dy that goes back through the variance only."""
    cubes = _standardized(x) ** 3
    return cubes - cubes.mean(axis=batch_axes(x), keepdims=True)


def _across(x: Array) -> Array:
    """A dy that does not go back through the variance."""
    x_hat = _standardized(x)
    return x_hat**2 - x_hat * (x_hat**3).mean(axis=batch_axes(x), keepdims=True)


def _is_far(inputs: Values) -> bool:
    """Whether the mean is so large that rounding shows: a case by itself."""
    return bool(np.abs(inputs["x"]).max() > 1e6)


def _with_variance(var: float, eps: float) -> Callable[[Values], Values]:
    """This variance in every feature, of the batch or stored, around the mean that is there; and this ε."""

    def change(inputs: Values) -> Values:
        x = inputs["x"]
        if is_stored(inputs):
            mean, was = (per_channel(inputs[name], x) for name in ("running_mean", "running_var"))
        else:
            mean, was = (f(axis=batch_axes(x), keepdims=True) for f in (x.mean, x.var))
        return _with(running_var=var, eps=eps)(inputs | {"x": mean + (x - mean) * np.sqrt(var / was)})

    return change


def _much_variance(inputs: Values) -> Values:
    if _is_far(inputs):
        return inputs
    powers = {"x": 1, "running_mean": 1, "running_var": 2}
    return inputs | {name: 1e4**power * inputs[name] for name, power in powers.items() if name in inputs}


def _with_root_one(inputs: Values) -> Values:
    eps = float(inputs.get("eps", 0))
    return _with_variance(1 - eps, eps)(inputs) if eps < 0.5 else inputs


def _with_mean_zero(inputs: Values) -> Values:
    if is_stored(inputs):
        return _with(running_mean=0)(inputs)
    x = inputs["x"]
    return inputs if _is_far(inputs) else inputs | {"x": x - x.mean(axis=batch_axes(x), keepdims=True)}


def _two_samples(inputs: Values) -> Values:
    if _is_far(inputs) or inputs.get("eps", 0) > 0.5:  # such an ε is there to be seen
        return inputs
    return _with(eps=0)(_batches(lambda a: a[:2])(inputs))


def _at_running_mean(inputs: Values) -> Values:
    if "beta" not in inputs or "running_mean" not in inputs:
        return inputs
    x, mean = inputs["x"], inputs["running_mean"]
    return inputs | {"x": np.zeros_like(x) + per_channel(mean, x)}


_HIDDEN: dict[str, Callable[[Values], Values]] = {
    "gamma is 1": _with(gamma=1),
    "beta is 0": _with(beta=0),
    "gamma equals beta": lambda v: v | ({"beta": v["gamma"]} if "beta" in v else {}),
    "dy is 0": _dy_from_x(np.zeros_like),
    "dy all ones": _dy_from_x(np.ones_like),
    "dy sums to 0": _dy_from_x(_skew),
    "dy unrelated to x": _dy_from_x(_across),
    "a single feature": _first_feature,
    "features all alike": _batches(lambda a: np.repeat(a[:, :1], a.shape[1], axis=1)),
    "no images": _batches(lambda a: a[..., 0, 0] if a.ndim == 4 else a),
    NOT_SEPARATED.name: _batches(lambda a: a[..., :1, :1] if a.ndim == 4 else a),  # images of one position
    "batch too large for m − 1 to show": _batches(lambda a: np.concatenate([a] * (400 // a.size))),
    "a batch of two": _two_samples,
    "variance too large for ε to show": _much_variance,
    "ε is 0": _with(eps=0),
    "ε is 10⁻⁵": lambda v: _with_variance(1e-5, eps=1e-5)(v) if "eps" in v else v,
    "mean too small for rounding to show": _on_x(lambda x: x - x.mean(axis=batch_axes(x), keepdims=True) + 1),
    "the mean is 0": _with_mean_zero,
    "the variance is 1": _with_root_one,
    "stored statistics are the batch's own": _stored_from_batch,
    "stored statistics are 0": lambda v: _with(running_mean=0, running_var=0)(v) if "momentum" in v else v,
    "no stored statistics": _without_stored,
    "stored statistics given": _with_stored,
    "x is the running mean": _at_running_mean,
    "momentum is 0, ½ or 1": _with(momentum=0.5),
}


# Good evidence in every style


def _inputs(change: Callable[[Array], Any]) -> Callable[[str, Evidence], Evidence]:
    def write(function: str, evidence: Evidence) -> Evidence:
        return {name: value if name == "claim" else change(np.asarray(value)) for name, value in evidence.items()}

    return write


def _text(*pairs: tuple[str, str]) -> Callable[[str, Evidence], Evidence]:
    def write(function: str, evidence: Evidence) -> Evidence:
        claim = evidence["claim"]
        for old, new in pairs:
            claim = claim.replace(old, new)
        return {**evidence, "claim": claim}

    return write


def _expected(change: Callable[[Array], Any], convention: int = 0) -> Callable[[str, Evidence], Evidence]:
    """The numbers of all outputs in place of the claim, and of what the claim says was not changed."""

    def write(function: str, evidence: Evidence) -> Evidence:
        inputs = inputs_of(function, observed(evidence))  # type: ignore[arg-type]
        right = call(function, rights(function)[-convention], inputs)
        unchanged = tuple(name for name in map(after, inputs) if name in evidence["claim"])
        numbers = {name: change(right[name]) for name in (*SIGNATURES[function].outputs, *unchanged)}
        given = {name: value for name, value in evidence.items() if name != "claim"}
        return {**given, "expected": next(iter(numbers.values())) if list(numbers) == ["y"] else numbers}

    return write


def _as_float32(value: Array) -> Array:
    """In single precision, where that is enough for these numbers."""
    single = value.astype(np.float32)
    return single if (single == value).all() or np.abs(value).max() < 1e4 else value


def _as_fractions(value: Array) -> Any:
    return [_as_fractions(each) for each in value] if value.ndim else Fraction(float(value)).limit_denominator(10**6)


def _as_tuples(value: Array) -> Any:
    return tuple(map(_as_tuples, value)) if value.ndim else float(value)


def _as_json(function: str, evidence: Evidence) -> Evidence:
    """As it reaches the grader."""
    return from_plain(json.loads(json.dumps(plain(observed(evidence)))))  # type: ignore[no-any-return]


STYLES: dict[str, Callable[[str, Evidence], Evidence]] = {
    "lists and a claim": lambda function, evidence: evidence,
    "arrays": _inputs(np.array),
    "tuples": _inputs(_as_tuples),
    "columns": _inputs(lambda v: v.reshape(-1, 1) if v.ndim == 1 else v),
    "rows": _inputs(lambda v: v.reshape(1, -1) if v.ndim < 2 else v),
    "float32": _inputs(_as_float32),
    "longdouble": _inputs(lambda v: v.astype(np.longdouble)),
    "fractions": _inputs(_as_fractions),
    "object": _inputs(lambda v: v.astype(object)),
    "Fortran order": _inputs(np.asfortranarray),
    "whole numbers where they are whole": _inputs(lambda v: v.astype(int) if (v == v.astype(int)).all() else v),
    "as the grader gets it": _as_json,
    "None for what is not given": lambda function, evidence: {**evidence, "expected": None},
    "np. before names": _text(("close(", "np.allclose("), ("mean(", "np.mean("), ("sum(", "np.sum(")),
    "Greek": _text(("gamma", "γ"), ("beta", "β"), ("eps", "ε"), ("dγ", "dgamma"), ("dβ", "dbeta")),
    "over two lines, with a remark": _text((" + ", "\n  + "), ("close(", "close(  # a remark\n  ")),
    "and more that holds": lambda function, evidence: {
        **evidence,
        "claim": f"({evidence['claim']}) and all(isfinite(x))",
    },
    "numbers in all digits": _expected(np.array),
    "numbers in 6 digits": _expected(lambda v: round_to(6, v).tolist()),
    "numbers in 4 digits": _expected(lambda v: round_to(4, v)),
    "numbers in 3 digits": _expected(lambda v: round_to(3, v)),
    "numbers one after another": _expected(lambda v: v if v.ndim == 4 else v.reshape(-1, 1) if v.ndim == 1 else v),
    "numbers of the other convention": _expected(np.array, convention=1),
}
