"""What the chapter on speed writes: its worked example as TeX, code, tables. A browser needs no Matplotlib for it."""

import ast
import inspect
import textwrap
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from bn_book.speed.experiments import Digits, Step, Timing, Work
from bn_book.tex import aligned


def _number(value: Decimal) -> str:
    """With thin spaces between thousands; digits that rounding has lost are zeros."""
    return f"{value:,f}".replace(",", r"\,")


def worked_one_pass(hand: Digits) -> str:
    """The squares, their mean, the square of the mean, and the difference."""
    return aligned(
        r"x &= (" + r",\; ".join(map(_number, hand.x)) + r")",
        r"x^2 &\approx (" + r",\\ &\qquad ".join(map(_number, hand.squares)) + r")",
        rf"\overline{{x^2}} &\approx {_number(hand.mean_of_squares)}",
        rf"\bar x &= {_number(hand.mean)}",
        rf"\bar x^2 &\approx {_number(hand.square_of_mean)}",
        rf"\overline{{x^2}} - \bar x^2 &\approx {_number(hand.difference)}",
    )


def worked_shifted(hand: Digits, k: str) -> str:
    """The same of d = x - k, and the true variance that it gives.

    Args:
        hand: the arithmetic on the differences.
        k: what was subtracted, as it is written.
    """
    return aligned(
        rf"d = x - {_number(Decimal(k))} &= (" + r",\; ".join(map(_number, hand.x)) + r")",
        r"d^2 &= (" + r",\; ".join(map(_number, hand.squares)) + r")",
        rf"\overline{{d^2}} &\approx {_number(hand.mean_of_squares)}",
        rf"\bar d &= {_number(hand.mean)}",
        rf"\overline{{d^2}} - \bar d^2 &\approx {_number(hand.difference)}",
    )


def source(function: Callable[..., Any]) -> str:
    """The source of a function as Markdown, without types and docstring: a page shows what it runs, and is narrow."""
    (tree,) = ast.parse(textwrap.dedent(inspect.getsource(function))).body
    assert isinstance(tree, ast.FunctionDef)
    tree.returns = None
    for argument in tree.args.args:
        argument.annotation = None
    tree.body = tree.body[1:] if ast.get_docstring(tree) else tree.body
    return f"```python\n{ast.unparse(tree)}\n```"


def table_of_steps(steps: Sequence[Step], timings: Mapping[str, Timing]) -> str:
    """What each step moves, makes and takes, as a Markdown table."""
    lines = ["| | bytes | arrays | time |", "|---|---|---|---|"]
    lines += [f"| {s.name} | {s.bytes()} | {s.arrays} | {timings[s.name].copies:.1f} |" for s in steps]
    return "\n".join(lines)


def table_of_work(works: Sequence[Work], itemsize: int = 4) -> str:
    """Bytes for each element apart and fused, as a Markdown table."""
    lines = ["| | apart | fused |", "|---|---|---|"]
    lines += [f"| {work.name} | {itemsize * work.apart} | {itemsize * work.fused} |" for work in works]
    return "\n".join(lines)
