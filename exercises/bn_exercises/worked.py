"""The basic calculation written out by hand, as LaTeX whose every number is computed: for the solution's page."""

from collections.abc import Iterable

import numpy as np

from bn_exercises.misconceptions import Misconception
from bn_exercises.tolerance import Array

DECIMALS = 4


def decimal(value: float) -> str:
    """A number as one would write it: 5, 0.01, -1.3403; four decimals at most."""
    text = f"{value:.{DECIMALS}f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def means(x: Array) -> str:
    """The mean of each feature: its values, their sum, the division."""
    return _aligned(
        rf"\mu_{j} &= \frac{{{' + '.join(map(decimal, column))}}}{{{len(x)}}}"
        rf" = \frac{{{decimal(column.sum())}}}{{{len(x)}}} = {decimal(column.mean())}"
        for j, column in enumerate(x.T, start=1)
    )


def variances(x: Array) -> str:
    """The variance of each feature: its deviations, their squares, the division."""
    lines = []
    for j, column in enumerate(x.T, start=1):
        deviations = column - column.mean()
        squares = " + ".join(f"({decimal(d)})^2" for d in deviations)
        lines.append(
            rf"\sigma_{j}^2 &= \frac{{{squares}}}{{{len(x)}}}"
            rf" = \frac{{{decimal((deviations**2).sum())}}}{{{len(x)}}} = {decimal(column.var())}"
        )
    return _aligned(lines)


def normalized(x: Array, eps: float, feature: int) -> str:
    """One feature's normalized values: the root first, then each deviation divided by it."""
    column = x[:, feature]
    mean, var = column.mean(), column.var()
    root = np.sqrt(var + eps)
    j = feature + 1
    lines = [rf"\sqrt{{\sigma_{j}^2 + \epsilon}} &= \sqrt{{{decimal(var)} + {decimal(eps)}}} = {decimal(root)}"]
    for i, value in enumerate(column, start=1):
        lines.append(
            rf"\hat{{x}}_{{{i}{j}}} &= \frac{{{decimal(value)} - {decimal(mean)}}}{{{decimal(root)}}}"
            rf" = {decimal((value - mean) / root)}"
        )
    return _aligned(lines)


def scaled(x_hat: Array, gamma: float, beta: float, feature: int) -> str:
    """One feature's output: each normalized value times gamma, plus beta."""
    j = feature + 1
    lines = []
    for i, value in enumerate(x_hat[:, feature], start=1):
        y = decimal(gamma * value + beta)
        lines.append(rf"y_{{{i}{j}}} &= {decimal(gamma)} \cdot ({decimal(value)}) + {decimal(beta)} = {y}")
    return _aligned(lines)


def matrix(name: str, values: Array) -> str:
    """A table of numbers with its name."""
    rows = r" \\ ".join(" & ".join(map(decimal, row)) for row in values)
    return rf"{name} = \begin{{pmatrix}} {rows} \end{{pmatrix}}"


def mistakes(x: Array, eps: float, right: Array, misconceptions: Iterable[Misconception]) -> str:
    """A Markdown table: what each mistake makes of the first sample, and what is to be said about it."""
    rows = [("right", right, "")]
    rows += [(m.name, m.compute(x, eps), m.says) for m in misconceptions]
    lines = ["| | the first row of x̂ | what happened |", "|:--|:--|:--|"]
    lines += [f"| {name} | {', '.join(map(decimal, x_hat[0]))} | {says} |" for name, x_hat, says in rows]
    return "\n".join(lines)


def _aligned(lines: Iterable[str]) -> str:
    return r"\begin{aligned}" + r" \\[0.4em] ".join(lines) + r"\end{aligned}"
