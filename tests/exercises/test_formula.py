"""Formulas as text: what they come to, what is refused and with which words, and that nothing else ever happens."""

import math
import re
import warnings
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bn_exercises.formulas import formula
from bn_exercises.formulas.formula import (
    ARRAY_FUNCTIONS,
    ATOL,
    DEEPEST,
    FUNCTIONS,
    LONGEST,
    MOST_NODES,
    MOST_VALUES,
    MOST_WORK,
    RESERVED,
    RTOL,
    FormulaError,
    close,
    parse,
    parse_assertion,
    spelled,
)

MU = np.array([-2.0, -0.5, 0.0, 0.5, 3.0])
NAMES = ("mu", "var", "sigma", "eps", "a")
VALUES: dict[str, Any] = {"mu": MU, "var": 4.0, "sigma": 2.0, "eps": 0.01, "a": 0.1}
Y = np.arange(6.0).reshape(2, 3)


def value(text: str) -> Any:
    return parse(text, NAMES)(**VALUES)


def refusal(text: Any) -> str:
    with pytest.raises(FormulaError) as refused:
        parse(text, NAMES)
    return refused.value.sentence


def holds(text: str, **values: Any) -> bool:
    values = {"y": Y, "dx": Y - Y.mean(), "beta": np.array([1.5, 2.5, 3.5])} | values
    return parse_assertion(text, values).holds(**values)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1 + a * tanh(mu)", 1 + 0.1 * np.tanh(MU)),
        ("2 - 3 * mu / 4", 2 - 3 * MU / 4),
        ("-mu**2", -(MU**2)),
        ("2**-1", 0.5),
        ("2**3**2", 512),
        ("+mu - -mu", 2 * MU),
        ("exp(-mu**2) + expm1(a)", np.exp(-(MU**2)) + math.expm1(0.1)),
        ("sin(pi * mu) + cos(mu) + tan(a)", np.sin(np.pi * MU) + np.cos(MU) + math.tan(0.1)),
        ("e**mu", np.exp(MU)),
        ("abs(mu) + sign(mu) + relu(mu)", np.abs(MU) + np.sign(MU) + np.maximum(MU, 0)),
        ("min(mu, 1) + max(0, mu, a)", np.minimum(MU, 1) + np.maximum(MU, 0.1)),
        ("minimum(mu, 1) + maximum(0, mu)", np.minimum(MU, 1) + np.maximum(MU, 0)),
        ("clip(mu, -1, 1)", np.clip(MU, -1, 1)),
        ("sigmoid(mu)", 1 / (1 + np.exp(-MU))),
        ("softplus(mu)", np.log1p(np.exp(MU))),
        ("log(var) + log1p(a) + sqrt(var)", math.log(4) + math.log1p(0.1) + 2),
        ("arctan(mu) + arcsinh(mu) + sinh(mu) + cosh(mu)", np.arctan(MU) + np.arcsinh(MU) + np.sinh(MU) + np.cosh(MU)),
        ("square(mu)", MU**2),
        ("1_000 + 1e-3 + .5", 1000.501),
    ],
)
def test_values(text: str, expected: Any) -> None:
    np.testing.assert_allclose(value(text), np.asarray(expected), rtol=1e-14)


@pytest.mark.parametrize(
    ("written", "plain"),
    [
        ("1 + a·tanh(μ)", "1 + a * tanh(mu)"),
        ("1 + a × tanh(µ)", "1 + a * tanh(mu)"),
        ("−μ² ÷ 2", "-mu**2 / 2"),
        ("μ³ + μ⁻²", "mu**3 + mu**-2"),
        ("mu^2 - 2^-a", "mu**2 - 2**-a"),
        ("√(σ² + ε)", "sqrt(sigma**2 + eps)"),
        ("½ · π", "pi / 2"),
        ("np.exp(-mu) + math.pi + numpy.tanh(mu)", "exp(-mu) + pi + tanh(mu)"),
        ("np.absolute(mu) + atan(mu) + ln(var)", "abs(mu) + arctan(mu) + log(var)"),
        ("1 +\n a * mu  # bounded\n", "1 + a * mu"),
        ("ｍｕ + 1", "mu + 1"),
    ],
)
def test_mathematics_own_spelling(written: str, plain: str) -> None:
    np.testing.assert_array_equal(value(written), value(plain))
    assert parse(written, NAMES).names == parse(plain, NAMES).names


def test_a_caret_is_a_power_also_in_precedence() -> None:
    assert value("2 + 3^2") == 11
    assert value("-3^2") == -9


def test_a_name_given_goes_before_one_built_in() -> None:
    assert parse("e + x̂", ["e", "x_hat"])(e=1.0, x_hat=2.0) == 3
    assert spelled("µ") == "mu"
    assert spelled("alpha") == "alpha"


def test_a_formula_knows_its_names_and_its_text() -> None:
    formula = parse("1 + a*tanh(μ)", NAMES)
    assert formula.names == {"a", "mu"}
    assert formula.text == "1 + a*tanh(μ)"
    assert not formula.is_truth


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1 / mu", [math.inf]),
        ("log(mu)", [-math.inf]),
        ("sqrt(mu - 1)", [math.nan]),
        ("(mu - 1)**0.5", [math.nan]),
        ("exp(exp(exp(mu + 9)))", [math.inf]),
        ("9**9**9**9", math.inf),
        ("10**400", math.inf),
        ("0 / mu", [math.nan]),
        ("sigmoid(-1000 + mu)", [0]),
        ("softplus(1000 + mu)", [1000]),
    ],
)
def test_what_is_undefined_or_too_large_warns_nobody(text: str, expected: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_array_equal(parse(text, NAMES)(mu=np.zeros(1)), expected)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no formula yet"),
        ("  # nothing", "no formula yet"),
        ("2mu", "a * is missing"),
        ("2 mu", "a * is missing"),
        ("2(1 + mu)", "a * is missing"),
        ("a(1 + mu)", "`a` is no function. Perhaps a * is missing"),
        ("tanh mu", "tanh needs brackets: tanh(...)"),
        ("tanh", "tanh is a function: it needs its argument in brackets"),
        ("tanhh(mu)", "`tanhh` is not a function that is known here. Possible: abs"),
        ("m", "`m` is not known here. Known names: a, e, eps, mu, pi, sigma, var."),
        ("tanh(mu, 2)", "tanh takes 1 argument, not 2"),
        ("clip(mu)", "clip takes 3 arguments, not 1"),
        ("max(mu)", "max takes 2 to 8 arguments, not 1"),
        ("tanh(x=mu)", "tanh takes no argument with a name"),
        ("tanh(*mu)", "one by one"),
        ("gamma = 1 + mu", "to the right of the equals sign"),
        ("lambda mu: 1 + mu", "without lambda"),
        ("1 + lambda * mu", "Python keeps the word lambda for itself. Call the parameter lam."),
        ("1e400 * mu", "too large. The largest that a float64 can hold is 1.8e+308"),
        ("9" * 350, "too large"),
        ("tanh(x=mu) 2", "a * is missing"),
        ("0,5 * mu", "0.5"),
        ("|mu|", "abs(...)"),
        ("√σ", "√(...)"),
        ("abs(mu", "more brackets are opened than closed"),
        ("abs(mu))", "more brackets are closed than opened"),
        ("1 if mu > 0 else 2", "if … else …"),
        ("(mu > 0) * mu", "A comparison is not possible"),
        ("mu and a", "and, or are not possible"),
        ("not mu", "not is not possible"),
        ("mu % 2", "% is not possible"),
        ("mu // 2", "Divide with /"),
        ("mu | a", "abs(...)"),
        ("'mu'", "Text"),
        ("True", "truth values"),
        ("1j", "complex"),
        ("None", "None is no value"),
        ("[1, 2]", "Lists are not possible"),
        ("mu[0]", "Indices are not possible"),
        ("mean(mu)", "`mean` is not a function"),
        ("close(mu, 1)", "`close` is not a function"),
        ("mu.max()", "A dot stands only"),
        ("np.linalg.norm(mu)", "A dot stands only"),
        ("mu.__class__", "A dot stands only"),
        ("__import__('os')", "`__import__` is not a function"),
        ("(mu := 3)", "not possible"),
        ("f'{mu}'", "not possible"),
        ("[m for m in mu]", "not possible"),
        ("1 + " * 90 + "1", "nested too deeply"),
        ("1" * (LONGEST + 1), f"longer than {LONGEST} characters"),
        ("1" * 10**7, f"longer than {LONGEST} characters"),
        ("-" * 300 + "1", "nested too deeply"),
        ("(" * 199 + "1" + ")" * 200, "closed than opened"),
        ("\x00", "cannot be read"),
        ("\ud800", "cannot be read"),
        ("1or 2", "and, or are not possible"),
        ("σ σ", "cannot be read"),
    ],
    ids=lambda text: text[:30].encode("unicode_escape").decode(),
)
def test_refusals_say_what_is_wrong(text: str, says: str) -> None:
    sentence = refusal(text)
    assert says in sentence
    assert sentence.endswith((".", ")"))
    assert len(sentence) < 300


def test_an_unknown_name_is_told() -> None:
    with pytest.raises(FormulaError) as refused:
        parse("1 + b * mu", NAMES)
    assert refused.value.unknown == "b"
    # Only names are repeated, and none that is long: nobody writes a message into a gradebook.
    assert "zzzz" not in refusal("z" * 31)


@given(st.text(max_size=60))
def test_any_text_is_a_formula_or_is_refused(text: str) -> None:
    for read in (parse, parse_assertion):
        with suppress(FormulaError):
            read(text, NAMES)(**VALUES)


PIECES = ["mu", "a", "1", "2.5", "(", ")", "+", "-", "*", "/", "**", "tanh(", "max(", "mean(", "[", "]", ",", ":", ">"]
PIECES += [
    "and",
    "not",
    "close(",
    "None",
    "axis=",
    "0",
    "==",
    "sum(",
    "np.",
    "μ",
    "²",
    " ",
    "isfinite(",
    "keepdims=True",
]


@given(st.lists(st.sampled_from(PIECES), max_size=25).map("".join))
def test_whatever_is_put_together_from_a_formulas_pieces(text: str) -> None:
    for read in (parse, parse_assertion):
        with suppress(FormulaError):
            formula = read(text, NAMES)
            formula(**VALUES)
            formula.suspects(**VALUES)


@given(st.floats(-50, 50), st.floats(-50, 50), st.floats(0.1, 50))
def test_arithmetic_is_pythons(x: float, y: float, z: float) -> None:
    text = "x + y * z - (x - y) / z + z ** 2 * -x"
    assert parse(text, "xyz")(x=x, y=y, z=z) == pytest.approx(eval(text), rel=1e-12, abs=1e-9)


def test_no_power_takes_long() -> None:
    # Hours, if these were Python's integers: pytest's time limit would end it.
    assert np.isinf(value("**".join(["9"] * 25)))
    assert np.isfinite(value("tanh(" * 25 + "mu" + ")" * 25)).all()


# Where it may not be smooth


@pytest.mark.parametrize(
    ("text", "zeros"),
    [
        ("abs(mu - 1)", [1]),
        ("relu(mu) + sign(mu + 2)", [0, -2]),
        ("max(mu, 2) + min(1, mu)", [2, 1]),
        ("clip(mu, -1, 1)", [-1, 1]),
        ("1 / (mu - 3)", [3]),
        ("(mu + 1)**-1", [-1]),
        ("(mu + 1)**0.5", [-1]),
        ("sqrt(mu - 2) * log(mu)", [2, 0]),
        ("log1p(mu)", [-1]),
        ("tan(mu)", [np.pi / 2]),
        ("max(mu, 1, -1)", [1, -1]),
        ("exp(abs(tanh(mu)))", [0]),
        ("(mu - 2)**a", [2]),
    ],
)
def test_suspects_vanish_where_a_formula_may_break(text: str, zeros: list[float]) -> None:
    formula = parse(text, NAMES)
    for zero in zeros:
        assert min(abs(float(each)) for each in formula.suspects(mu=zero, a=0.5)) < 1e-12
    assert min(abs(float(each)) for each in formula.suspects(mu=0.3, a=0.5)) > 0.1


@pytest.mark.parametrize(
    ("text", "trouble"),
    [
        ("1 / 0", "divide"),
        ("log(mu - 2)", "divide"),
        ("9**9**9**9", "overflow"),
        ("exp(500 * mu) / exp(500 * mu)", "overflow"),
        ("sqrt(-mu)", "invalid"),
        ("(mu - 2) / (mu - 2)", "invalid"),
        ("exp(-1000 * mu) + tanh(mu)", None),
    ],
)
def test_what_happens_first_where_there_is_no_value(text: str, trouble: str | None) -> None:
    assert parse(text, NAMES).trouble(mu=2.0) == trouble


def test_a_power_of_zero_may_break_where_its_exponent_vanishes() -> None:
    assert 0 in parse("0**(mu - 3)", NAMES).suspects(mu=3)[1:]


@pytest.mark.parametrize(
    "text",
    ["1 + a*mu", "mu**3 / 2", "mu²", "tanh(20*mu)", "exp(-mu**2)", "e**mu", "2**mu", "sigmoid(mu)*softplus(mu)", "3"],
)
def test_what_is_analytic_has_no_suspects(text: str) -> None:
    assert parse(text, NAMES).suspects(**VALUES) == []


# Assertions


@pytest.mark.parametrize(
    "text",
    [
        "close(mean(y, 0), beta)",
        "close(mean(y, axis=0), beta)",
        "close(sum(dx), 0)",
        "0 <= y < 6",
        "not (y < 0)",
        "y[:, 1] > 0 and y[0, 0] == 0",
        "y[-1, ::2] > 2",
        "y[0][1] == 1",
        "all(y >= 0) and any(y > 4)",
        "any(y > 9) or any(y < 1)",
        "close(y, [[0, 1, 2], [3, 4, 5]])",
        "max(y) == 5 and min(y) == 0",
        "max(y, axis=0) >= 3",
        "max(y, 3) >= 3",
        "close(mean(y, (0, 1), keepdims=True), 2.5)",
        "close(var(y, 0), std(y, 0)**2)",
        "np.allclose(y, y) and isfinite(y)",
        "sum(y > 2) == 3",
        "close(y[:, None] - y[None, :, ...], y[:, None] - y)",
        "close(y, y + 0.5, atol=1)",
        "y != 7",
        "mean(y, None) == 2.5",
    ],
)
def test_assertions_that_hold(text: str) -> None:
    assert holds(text)
    assert not holds(f"not ({text})")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("mean(y)", "an assertion is true or false. Compare it"),
        ("y.mean() > 0", "A dot stands only"),
        ("(y > 0) & (y < 9)", "write `and`"),
        ("y > 0 and 1", "and takes what is true or false"),
        ("all(y)", "all takes what is true or false"),
        ("close(y)", "close takes two arguments"),
        ("close(y, y, rtol=-1)", "not below 0"),
        ("close(y, y, rtol=y)", "not below 0"),
        ("mean(y, 0, 1) > 0", "mean(y, 0)"),
        ("mean(y, 0, axis=1) > 0", "two axes"),
        ("mean(y, 0.5) > 0", "a whole number"),
        ("mean(y, axis=0, keepdims=1) > 0", "keepdims is True or False"),
        ("y[beta] > 0", "a whole number written as such"),
        ("y[True] > 0", "a whole number"),
        ("y[::0] > 0", "the step 0"),
        ("[1, y] > 0", "A list holds numbers only"),
        ("[1, [2]] > 0", "different lengths"),
        ("1 in y", "not possible"),
        ("y is y", "not possible"),
        ("sum(v for v in y) > 0", "not possible"),
        ("mean(y, 0) = beta", "A claim compares with ==, or better with close(a, b)"),
        ("mean(y, axis=0) = beta", "A claim compares with =="),
        ("assert close(mean(y, 0), beta)", "Leave out assert"),
        ("y > 0; y < 9", "Between two claims write `and`"),
        ("y > 0, y < 9", "Between two claims write `and`"),
        ("y > 0\ny < 9", "Between two claims write `and`"),
        ("mean(y, axis=0) > 2 y", "Perhaps a * is missing: write 2 * y"),
        ("mean y > 0", "mean needs brackets: mean(...)"),
        ("2(y) > 0", "write 2 * (1 + y)"),
        ("y >", "for example: close(mean(y, 0), 3)"),
        ("y > 0 if y else 1", "not possible in a claim"),
    ],
)
def test_assertions_refused(text: str, says: str) -> None:
    with pytest.raises(FormulaError) as refused:
        parse_assertion(text, ["y", "dx", "beta"])
    assert says in refused.value.sentence
    # Its examples are of claims.
    assert not re.search(r"\bmu\b", refused.value.sentence)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("close(y, [1, 2])", "(2, 3) and (2,) do not go together"),
        ("y[5] > 0", "no such index"),
        ("y[0, 0, 0] > 0", "no such index"),
        ("mean(y, 2) > 0", "mean along an axis"),
        ("max(y[0:0]) > 0", "max of an empty array"),
        ("y[" + "None," * 70 + ":] > 0", "no such index"),
        ("wide[:, None] + wide > 0", "more than"),
    ],
)
def test_arrays_that_do_not_go_together(text: str, says: str) -> None:
    with pytest.raises(FormulaError) as refused:
        holds(text, wide=np.zeros(2000))
    assert says in refused.value.sentence


def test_an_assertion_is_no_formula() -> None:
    with pytest.raises(FormulaError, match="true or false"):
        parse("y > 0", ["y"], arrays=True)
    assert parse("mean(y) + sum(y > 2)", ["y"], arrays=True)(y=Y) == 5.5


def test_close_leaves_room_for_rounding_only() -> None:
    assert close(1, 1 + 0.9 * RTOL)
    assert not close(1, 1 + 1.2 * RTOL)
    assert close(0, 0.9 * ATOL)
    assert not close(0, 1.1 * ATOL)
    assert close([1e8, 1e-3], [1e8 + 50, 1e-3])
    assert not close([1e8, 1e-3], [1e8, 1.01e-3])
    assert close(math.inf, math.inf)
    assert not any([close(math.inf, -math.inf), close(math.inf, 1e300), close(math.nan, math.nan), close(1, math.nan)])


def test_every_listed_function_can_be_called() -> None:
    for name, function in FUNCTIONS.items():
        arguments = ", ".join(["0.5"] * function.least)
        assert np.isfinite(parse(f"{name}({arguments})", ())())
        assert name in RESERVED
    for name in ARRAY_FUNCTIONS:
        argument = {"close": "y, y", "all": "y >= 0", "any": "y > 0"}.get(name, "y")
        parse(f"0 + {name}({argument})", ["y"], arrays=True)(y=Y)


# What takes long


class Counted:
    """How often arithmetic, comparisons and functions are computed for formulas, and how many numbers come out."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.calls = 0
        self.numbers = 0
        for table in (formula._ARITHMETIC, formula._COMPARISONS, formula._REDUCTIONS):
            for name, compute in table.items():
                patch.setitem(table, name, self._counting(compute))
        for name, function in FUNCTIONS.items():
            patch.setitem(formula.FUNCTIONS, name, replace(function, compute=self._counting(function.compute)))

    def _counting(self, compute: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any, **options: Any) -> Any:
            self.calls += 1
            # At once, because what this is about never ends.
            assert self.calls <= 2 * MOST_NODES, "more operations than the formula has parts"
            value = compute(*arguments, **options)
            self.numbers += np.size(value)
            return value

        return counted


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Counted:
    return Counted(monkeypatch)


def nested(before: str, inside: str, after: str, times: int) -> str:
    return before * times + inside + after * times


MANY = np.linspace(0, 1, 1000).reshape(1000, 1)


@pytest.mark.parametrize(
    ("text", "most"),
    [
        (nested("1<(", "y", ")<1", 24), 2 * 24),  # 145 characters; once 2^24 comparisons
        (nested("1<(", "y", ")<1", 29), 2 * 29),
        (nested("0<(", "y", ")<1<2<3<4", 24), 5 * 24),
        (nested("(", "y", ")<(y)<(y)", 12), 2 * 12),
        (nested("1==(", "y", ")==1", 29), 2 * 29),
        (nested("not (0<(", "y", ")<1)", 14), 2 * 14),
        (nested("y<max(", "y", ",y)<y", 14), 3 * 14),
        (nested("0<(1<(", "y", ")<1 and 2>1)<1", 9), 5 * 9),
        ("0<" + nested("sum(", "0<y<1", ")", 27), 3 + 27),
        (nested("close(", "y", ",y)", 28), 0),
        ("<".join("y" * 199), 198),
        (" and ".join(["y>0"] * 44), 44),
        (" or ".join(["0<y<1"] * 29), 2 * 29),
        ("-" * 28 + "y>0", 1),
        ("not " * 28 + "(y>0)", 1),
        ("**".join("9" * 27) + ">y", 27),
        ("y" + "**y" * 27 + ">0", 28),
        ("(" * 190 + "y>0" + ")" * 190, 1),
        ("+".join(["sum(y)"] * 28) + ">0", 28 * 2),
        ("max(" * 25 + "y" + ",y,y)" * 25 + ">0", 26),
        ("[" + "1," * 180 + "1]>0", 1),
        ("9" * 300 + ">y", 1),
        ("y" + "[:, :1]" * 27 + ">0", 1),
    ],
    ids=lambda each: each[:24] if isinstance(each, str) else None,
)
def test_each_part_of_a_claim_is_evaluated_once(counted: Counted, text: str, most: int) -> None:
    claim = parse_assertion(text, ["y"])
    claim.holds(y=MANY)
    assert counted.calls <= most
    assert counted.numbers <= most * MANY.size


@pytest.mark.parametrize(
    "text",
    [
        nested("sqrt(", "mu", ")", 29),
        nested("abs(sin(", "mu", "))", 14),
        nested("max(", "mu", ",0,1,2,3,4,5,6)", 20),
        nested("clip(", "mu", ",-1,1)", 27),
        nested("1/(1+", "mu", ")", 14),
        nested("(", "mu", ")**.5", 29),
        "+".join(f"abs(mu-{i})" for i in range(28)),
    ],
    ids=lambda text: text[:24],
)
def test_where_it_may_break_each_part_is_evaluated_once(counted: Counted, text: str) -> None:
    parse(text, NAMES).suspects(mu=MU)
    assert 0 < counted.calls <= MOST_NODES
    once = counted.calls
    parse(text, NAMES).trouble(mu=MU)
    assert counted.calls == 2 * once


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (nested("1<(", "y", ")<1", 30), f"more than {DEEPEST} times"),
        ("-" * 399 + "1", f"more than {DEEPEST} times"),
        ("not " * 90 + "(y>0)", f"more than {DEEPEST} times"),
        ("y" + "+y" * 40 + ">0", f"more than {DEEPEST} times"),
        ("y" + "**y" * 40 + ">0", f"more than {DEEPEST} times"),
        ("[" * 90 + "1" + "]" * 90 + ">0", f"more than {DEEPEST} times"),
        ("y" + "[0]" * 90 + ">0", f"more than {DEEPEST} times"),
        ("max(" + ",".join(["max(y,1,2,3,4,5,6,7)"] * 8) + ")<max(" + ",".join(["max(y,1,2,3,4,5,6,7)"] * 8) + ")", ""),
        ("[" + ",".join(["[]"] * 125) + "]>0", ""),
        ("[" + "-1," * 130 + "1]>0", ""),
        ("[[" + "],[".join(["1"] * 95) + "]]>0", ""),
        ("0<y<" + "1<" * 190 + "2", ""),
        ("y<" * 200 + "y", f"longer than {LONGEST} characters"),
        ("y[" + "-" * 90 + "1]>0", ""),
        ("1e309>y", "float64"),
        ("9" * 390 + ">y", "float64"),
        ("0x" + "f" * 390 + ">y", "float64"),
        ("10**400>y", ""),
    ],
    ids=lambda each: each[:24],
)
def test_a_claim_beyond_a_bound_is_told_which(counted: Counted, text: str, says: str) -> None:
    if says:
        with pytest.raises(FormulaError, match=says):
            parse_assertion(text, ["y"]).holds(y=np.ones(3))
    else:  # read, or refused for what it says
        with suppress(FormulaError):
            parse_assertion(text, ["y"]).holds(y=np.ones(3))
    assert counted.calls <= 2 * MOST_NODES


def test_a_formula_of_too_many_parts_is_told_how_many_there_may_be() -> None:
    with pytest.raises(FormulaError, match=f"more than {MOST_NODES} numbers, names and operations"):
        parse_assertion("<".join(["---y"] * 80), ["y"])


@pytest.mark.parametrize(
    ("text", "bound"),
    [
        ("y[:, None] * y > 0", MOST_VALUES),
        ("y[:, 0] - y > 0", MOST_VALUES),
        ("max(y, y[:, 0]) > 0", MOST_VALUES),
        ("close(y, y[:, 0])", MOST_VALUES),
        ("0 < y[:300] <= y[:900, 0]", MOST_VALUES),
        ("y > 0 and y[:, 0] > 0", MOST_VALUES),
        ("(y[:60] + y[:60, 0])[:, :, None] * y[:99, 0] > 0", MOST_VALUES),
        ("sum(y[:, None, None] * y[:30, None] * y[:30]) > 0", MOST_VALUES),
        ("<".join(["y[:490]", "y[:490,0]"] * 12), MOST_WORK),
        ("+".join(["y[:490]*y[:490,0]"] * 15) + ">0", MOST_WORK),
        ("-" * 24 + "(y[:490]*y[:490,0])>0", MOST_WORK),
        ("y[:490]*y[:490,0]" + "*2" * 25 + ">0", MOST_WORK),
    ],
)
def test_arrays_that_grow_are_refused_before_they_do(counted: Counted, text: str, bound: int) -> None:
    claim = parse_assertion(text, ["y"])
    with pytest.raises(FormulaError, match=f"more than {bound:,} numbers"):
        claim.holds(y=MANY)
    assert counted.numbers <= MOST_WORK + MOST_VALUES


def test_whatever_the_names_stand_for_no_more_than_so_many_numbers_are_made() -> None:
    long = np.zeros(MOST_WORK // 4 + 1)
    with pytest.raises(FormulaError, match="more than"):
        parse("mu[:1] + sum(mu) + sum(mu) + sum(mu)", ["mu"], arrays=True)(mu=long)
    with pytest.raises(FormulaError, match=f"more than {MOST_VALUES:,} numbers"):
        parse("mu + 1", NAMES)(mu=long)
