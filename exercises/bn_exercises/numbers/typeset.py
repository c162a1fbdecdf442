"""The problems worked by hand, as LaTeX and Markdown whose every number is computed: for the solutions' pages.

Formulas come in lines that fit a phone. Where a function takes `of`, that is the subscript of the mean and the
variance; `samples` are the subscripts of the values, 1, 2, 3, ... if none are given.
"""

import re
from collections.abc import Iterable, Sequence

import numpy as np

from bn_exercises import algorithm
from bn_exercises.numbers.calculation import Outcomes
from bn_exercises.tolerance import Array
from bn_exercises.typography import DECIMALS, decimal

# So many squares fit on one line of a phone.
_IN_A_ROW = 4


# The forward pass


def means(x: Array) -> str:
    """The mean of each feature: its values, their sum, the division."""
    return _aligned(_mean(column, str(j), DECIMALS) for j, column in enumerate(x.T, start=1))


def variances(x: Array) -> str:
    """The variance of each feature: its deviations, their squares, the division."""
    return _aligned(line for j, column in enumerate(x.T, start=1) for line in _variance(column, str(j), DECIMALS))


def statistics(x: Array, *, of: str = "", places: int = DECIMALS) -> str:
    """The mean and the variance of one feature."""
    return _aligned([_mean(x, of, places), *_variance(x, of, places)])


def normalized(
    x: Array, eps: float, *, of: str = "", samples: Iterable[object] | None = None, places: int = DECIMALS
) -> str:
    """One feature's normalized values: the root first, then each deviation divided by it."""
    mean, var, root = (decimal(v, places) for v in (x.mean(), x.var(), algorithm.root(x, eps)))
    lines = [rf"\sqrt{{\sigma{_sub(of)}^2 + \epsilon}} &= \sqrt{{{var} + {decimal(eps, places)}}} = {root}"]
    for i, value, x_hat in zip(_numbered(x, samples), x, algorithm.normalized(x, eps), strict=True):
        lines.append(
            rf"\hat{{x}}{_sub(i)} &= \frac{{{decimal(value, places)} - {mean}}}{{{root}}} = {decimal(x_hat, places)}"
        )
    return _aligned(lines)


def scaled(x_hat: Array, gamma: float, beta: float, *, samples: Iterable[object] | None = None) -> str:
    """One feature's output: each normalized value times gamma, plus beta."""
    return _aligned(
        rf"y{_sub(i)} &= {decimal(gamma)} \cdot {_factor(value)}{_added(beta)} = {decimal(y)}"
        for i, value, y in zip(_numbered(x_hat, samples), x_hat, algorithm.output(x_hat, gamma, beta), strict=True)
    )


def matrix(name: str, values: Array) -> str:
    """A table of numbers with its name."""
    rows = r" \\ ".join(" & ".join(map(decimal, row)) for row in values)
    return rf"{name} = \begin{{pmatrix}} {rows} \end{{pmatrix}}"


# The gradients of one feature. Terms of theirs may nearly cancel: they are carried in more digits, and of a sum of
# rounded terms the last digit is not shown.

CARRIED = 6
_CANCELLED = CARRIED - 1


def gradient_of_mean(x: Array, dx_hat: Array, eps: float) -> str:
    """What comes back to the mean from all normalized values."""
    root, dmu = (decimal(step, CARRIED) for step in (algorithm.root(x, eps), algorithm.dmu(x, dx_hat, eps)))
    return _aligned(
        [
            rf"d\mu &= -\frac{{{_sum(dx_hat, CARRIED)}}}{{{root}}}",
            rf"&= -\frac{{{decimal(dx_hat.sum(), CARRIED)}}}{{{root}}} = {dmu}",
        ]
    )


def variance_by_mean(x: Array) -> str:
    """How the variance changes with the mean: not at all."""
    deviations = x - x.mean()
    return _aligned(
        [
            rf"\frac{{\partial \sigma^2}}{{\partial \mu}} &= -\frac{{2}}{{{len(x)}}} \sum_i (x_i - \mu)",
            rf"&= -\frac{{2}}{{{len(x)}}} \bigl({_sum(deviations, CARRIED)}\bigr)"
            rf" = {decimal(-2 * deviations.mean(), CARRIED)}",
        ]
    )


def gradient_of_variance(x: Array, dx_hat: Array, eps: float) -> str:
    """What comes back to the variance from all normalized values: the sum S first, then the power of the root."""
    deviations = x - x.mean()
    products = " + ".join(
        rf"{_factor(d, CARRIED)} \cdot {_factor(v, CARRIED)}" for d, v in zip(dx_hat, deviations, strict=True)
    )
    total, root = (dx_hat * deviations).sum(), algorithm.root(x, eps)
    return _aligned(
        [
            r"S &= \sum_i d\hat{x}_i\,(x_i - \mu)",
            rf"&= {products}",
            rf"&= {decimal(total, CARRIED)}",
            r"d\sigma^2 &= -\tfrac{1}{2}\, S \cdot (\sigma^2 + \epsilon)^{-3/2}",
            rf"&= -\tfrac{{1}}{{2}} \cdot {_factor(total, CARRIED)} \cdot {decimal(root, CARRIED)}^{{-3}}",
            rf"&= -\tfrac{{1}}{{2}} \cdot {_factor(total, CARRIED)} \cdot {decimal(root**-3, CARRIED)}",
            rf"&= {decimal(algorithm.dvar(x, dx_hat, eps), CARRIED)}",
        ]
    )


def gradient_of_x(x: Array, dx_hat: Array, eps: float) -> str:
    """For each sample the three paths, the three numbers, and their sum."""
    m, deviations, root = len(x), x - x.mean(), algorithm.root(x, eps)
    dmu, dvar = algorithm.dmu(x, dx_hat, eps), algorithm.dvar(x, dx_hat, eps)
    direct, by_variance = dx_hat / root, dvar * 2 * deviations / m
    dx = algorithm.dx(x, dx_hat, eps, dmu, dvar)
    lines = []
    for i in range(m):
        lines += [
            rf"dx_{{{i + 1}}} &= \frac{{{decimal(dx_hat[i], CARRIED)}}}{{{decimal(root, CARRIED)}}}"
            rf"{_added(dvar, CARRIED)} \cdot \frac{{2 \cdot {_factor(deviations[i], CARRIED)}}}{{{m}}}",
            rf"&\quad{{}}{_added(dmu, CARRIED, over=m)}",
            rf"&= {_sum_of([direct[i], by_variance[i], dmu / m], CARRIED)}",
            rf"&= {decimal(dx[i], _CANCELLED)}",
        ]
    return _aligned(lines)


def gradient_of_x_compact(x: Array, dx_hat: Array, eps: float) -> str:
    """The same in the compact form: two averages, then one line for each sample."""
    m, root, x_hat = len(x), decimal(algorithm.root(x, eps), CARRIED), algorithm.normalized(x, eps)
    mean, product = dx_hat.mean(), (dx_hat * x_hat).mean()
    total = (dx_hat * (x - x.mean())).sum()
    dx = algorithm.dx(x, dx_hat, eps, algorithm.dmu(x, dx_hat, eps), algorithm.dvar(x, dx_hat, eps))
    lines = [
        rf"\overline{{d\hat{{x}}}} &= \frac{{{decimal(dx_hat.sum(), CARRIED)}}}{{{m}}} = {decimal(mean, CARRIED)}",
        rf"\overline{{d\hat{{x}}\,\hat{{x}}}} &= \frac{{S}}{{{m} \sqrt{{\sigma^2 + \epsilon}}}}",
        rf"&= \frac{{{decimal(total, CARRIED)}}}{{{m} \cdot {root}}} = {decimal(product, CARRIED)}",
    ]
    for i in range(m):
        left = dx_hat[i] - mean - x_hat[i] * product
        lines += [
            rf"dx_{{{i + 1}}} &= \frac{{{decimal(dx_hat[i], CARRIED)}{_added(-mean, CARRIED)}"
            rf" - {_factor(x_hat[i], CARRIED)} \cdot {_factor(product, CARRIED)}}}{{{root}}}",
            rf"&= \frac{{{decimal(left, CARRIED)}}}{{{root}}} = {decimal(dx[i], _CANCELLED)}",
        ]
    return _aligned(lines)


def gradient_left_over(x: Array, dx_hat: Array, eps: float) -> str:
    """What epsilon leaves of the gradient of x where dx_hat is a straight line in x.

    Raises:
        ValueError: if it is not.
    """
    deviations, root = x - x.mean(), algorithm.root(x, eps)
    slope, share = (dx_hat * deviations).sum() / (deviations**2).sum(), eps / (x.var() + eps)
    if not np.allclose(dx_hat, dx_hat.mean() + slope * deviations, rtol=1e-9, atol=1e-12):
        raise ValueError(f"dx_hat = {dx_hat.tolist()} is no straight line in x = {x.tolist()}; expected one")
    total, squares = (decimal(v, CARRIED) for v in ((dx_hat * deviations).sum(), (deviations**2).sum()))
    lines = [
        rf"a &= \frac{{S}}{{\sum_i (x_i - \mu)^2}} = \frac{{{total}}}{{{squares}}} = {decimal(slope, CARRIED)}",
        rf"d\hat{{x}}_i &= {decimal(dx_hat.mean(), CARRIED)}{_added(slope, CARRIED)} \cdot (x_i - \mu)",
        rf"\frac{{\epsilon}}{{\sigma^2 + \epsilon}} &= \frac{{{decimal(eps, CARRIED)}}}"
        rf"{{{decimal(x.var() + eps, CARRIED)}}} = {decimal(share, CARRIED)}",
    ]
    for i, deviation in enumerate(deviations, start=1):
        lines += [
            rf"dx_{{{i}}} &= \frac{{{decimal(slope, CARRIED)} \cdot {_factor(deviation, CARRIED)}}}"
            rf"{{{decimal(root, CARRIED)}}} \cdot {decimal(share, CARRIED)}",
            rf"&= {decimal(slope * deviation / root * share, CARRIED)}",
        ]
    return _aligned(lines)


# Tables, in Markdown


def numbers(values: Array, places: int = DECIMALS) -> str:
    """Numbers for a table: with commas between them, with semicolons between rows."""
    if np.ndim(values) == 2:
        return "; ".join(numbers(row, places) for row in values)
    # No line of a narrow table may end between a minus sign and its number.
    return ", ".join(decimal(v, places).replace("-", "−") for v in np.ravel(values))


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of numbers: the first column aligned to the left, the others to the right."""
    lines = [headings, [":--"] + ["--:"] * (len(headings) - 1), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def mistakes(outcomes: Outcomes, *, rows: int | None = None, places: int = DECIMALS) -> str:
    """A table of what each mistake gives, what is to be said about it, and where to read on.

    Args:
        outcomes: of one part of a problem, from right answers to the parts before.
        rows: of an answer that is a table, show the first so many rows only.
        places: decimals at most.
    """

    def shown(value: Array) -> str:
        return numbers(value[:rows] if value.ndim == 2 else value, places)

    lines = ["| gives | what happened |", "|:--|:--|", f"| {shown(outcomes.right)} | **right** |"]
    named = set()
    for mistake, value in (*zip(outcomes.mistakes, outcomes.wrong, strict=True), *outcomes.other_shapes):
        hidden = value.shape == outcomes.right.shape and np.allclose(value, outcomes.right, rtol=1e-9, atol=1e-12)
        # One name may stand for several computations.
        if hidden or mistake.name in named:
            continue
        named.add(mistake.name)
        see = f"{{ref}}`{mistake.see.text} <{mistake.see.anchor}>`"
        lines.append(f"| {shown(value)} | **{_plain(mistake.name)}.** {_plain(mistake.says)} See {see}. |")
    return "\n".join(lines)


def _plain(text: str) -> str:
    """Text in which nothing means anything to Markdown."""
    return re.sub(r"([\\`*_{}\[\]<>|$~])", r"\\\1", text)


# Parts of formulas


def _mean(x: Array, of: str, places: int) -> str:
    total, mean = decimal(x.sum(), places), decimal(x.mean(), places)
    return rf"\mu{_sub(of)} &= \frac{{{_sum(x, places)}}}{{{len(x)}}} = \frac{{{total}}}{{{len(x)}}} = {mean}"


def _variance(x: Array, of: str, places: int) -> list[str]:
    m, deviations = len(x), x - x.mean()
    squares = [f"{_factor(d, places)}^2" for d in deviations]
    result = rf"= \frac{{{decimal((deviations**2).sum(), places)}}}{{{m}}} = {decimal(x.var(), places)}"
    name = rf"\sigma{_sub(of)}^2 &="
    if m <= _IN_A_ROW:
        return [rf"{name} \frac{{{' + '.join(squares)}}}{{{m}}} {result}"]
    first, *rest = (" + ".join(squares[i : i + 3]) for i in range(0, m, 3))
    broken = [rf"{name} \frac{{1}}{{{m}}} \bigl({first}", *(rf"&\quad{{}} + {terms}" for terms in rest)]
    return [*broken[:-1], broken[-1] + r"\bigr)", f"&{result}"]


def _numbered(values: Array, samples: Iterable[object] | None) -> list[object]:
    return list(range(1, len(values) + 1) if samples is None else samples)


def _sub(name: object) -> str:
    return f"_{{{name}}}" if name != "" else ""


def _factor(value: float, places: int = DECIMALS) -> str:
    """A number in a product or under a power: in brackets if below 0."""
    text = decimal(value, places)
    return f"({text})" if text.startswith("-") else text


def _sum(values: Array, places: int) -> str:
    """A sum of given numbers: those below 0 in brackets."""
    return " + ".join(_factor(v, places) for v in values)


def _sum_of(values: Iterable[float], places: int) -> str:
    """A sum of computed terms, in which a number below 0 is subtracted."""
    first, *rest = values
    return decimal(first, places) + "".join(_added(v, places) for v in rest)


def _added(value: float, places: int = DECIMALS, over: int | None = None) -> str:
    """A number as it goes on in a sum, maybe divided: " + 1", " - 1"."""
    text = decimal(abs(value), places)
    sign = "-" if value < 0 and text != "0" else "+"
    return f" {sign} " + (text if over is None else rf"\frac{{{text}}}{{{over}}}")


def _aligned(lines: Iterable[str]) -> str:
    return r"\begin{aligned}" + r" \\[0.4em] ".join(lines) + r"\end{aligned}"
