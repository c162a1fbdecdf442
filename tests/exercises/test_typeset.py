"""The worked solutions: every equation holds and ends in the number that NumPy gives; the pages fit the notebooks."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from bn_exercises import algorithm, misconceptions
from bn_exercises.numbers import typeset
from bn_exercises.numbers.problem import NumberProblem
from bn_exercises.problems import BACKPROPAGATION, BASIC_CALCULATION, BATCH_SIZE, CONDITIONAL, NUMERIC
from bn_lib import batch_norm, batch_norm_backward

ROOT = Path(__file__).parents[2]
X = np.array(BASIC_CALCULATION.given["x"], dtype=float)
# Inputs are rounded to 4 or to 6 decimals, and a result may be a few of them times two or so.
IN_FOUR, IN_SIX = 2e-4, 5e-6


@pytest.mark.parametrize(
    ("value", "text"), [(5.0, "5"), (0.01, "0.01"), (-1.34030, "-1.3403"), (20.0, "20"), (-1e-9, "0"), (100.0, "100")]
)
def test_decimal(value: float, text: str) -> None:
    assert typeset.decimal(value) == text


def test_decimals_asked_for() -> None:
    assert typeset.decimal(-0.00179654, 6) == "-0.001797"
    assert typeset.decimal(120.4, 0) == "120"


# Reading the formulas again. A statement is a name and its equations, over several lines: "dx_{1} &= ... \\ &= ...".


def statements(tex: str) -> dict[str, list[str]]:
    """For each name on the left, what it is said to equal."""
    body = re.fullmatch(r"\\begin\{aligned\}(.*)\\end\{aligned\}", tex, re.DOTALL)
    assert body, tex
    said: dict[str, str] = {}
    for line in body[1].split(r" \\[0.4em] "):
        name, mark, rest = line.partition("&")
        assert mark, line
        if name:
            assert name.strip() not in said, name
            said[name.strip()] = rest
        else:
            said[list(said)[-1]] += rest
    return {name: [side.strip() for side in text.split("=") if side.strip()] for name, text in said.items()}


def evaluated(side: str) -> float | None:
    """The value of one side of an equation; None, if it has letters in it."""
    python = re.sub(r"\\bigr|\\quad|\{\}", "", side).replace("^2", "**2")
    # A large bracket follows what it is multiplied by.
    python = python.replace(r"\cdot", "*").replace(r"\bigl", "*")
    innermost = {
        r"\\t?frac\{([^{}]*)\}\{([^{}]*)\}": r"((\1)/(\2))",
        r"\\sqrt\{([^{}]*)\}": r"((\1)**0.5)",
        r"\^\{([^{}]*)\}": r"**(\1)",
    }
    before = ""
    while before != python:
        before = python
        for pattern, replacement in innermost.items():
            python = re.sub(pattern, replacement, python)
    return None if re.search(r"[A-Za-z\\]", python) else float(eval(python))


def check(tex: str, expected: dict[str, float], room: float) -> None:
    """All numbers of a statement agree but for rounding, and the last is the expected one, rounded."""
    said = statements(tex)
    assert list(said) == list(expected)
    for name, sides in said.items():
        values = [value for side in sides if (value := evaluated(side)) is not None]
        assert values, name
        np.testing.assert_allclose(values, expected[name], rtol=0, atol=room, err_msg=f"{name}: {sides}")
        last = sides[-1]
        assert re.fullmatch(r"-?\d+(\.\d+)?", last), f"{name} ends in {last}"
        places = max(len(last.partition(".")[2]), 4)
        assert abs(float(last) - expected[name]) <= 0.5000001 * 10.0**-places, name


def test_the_reader_notices_a_wrong_number() -> None:
    line = r"\begin{aligned}a &= \frac{1 + 2}{2} = 1.5\end{aligned}"
    check(line, {"a": 1.5}, IN_FOUR)
    with pytest.raises(AssertionError):
        check(line.replace("1 +", "2 +"), {"a": 1.5}, IN_FOUR)
    with pytest.raises(AssertionError):
        check(line.replace("1.5", "1.6"), {"a": 1.5}, IN_FOUR)
    with pytest.raises(AssertionError):
        check(line, {"a": 1.51}, IN_FOUR)


def variants(problem: NumberProblem) -> list[NumberProblem]:
    return [problem, *(problem.variant(seed) for seed in range(5))]


def case(problem: NumberProblem) -> str:
    return repr(dict(problem.given))


# The forward pass


@pytest.mark.parametrize("problem", variants(BASIC_CALCULATION), ids=case)
def test_basic_calculation(problem: NumberProblem) -> None:
    x, right = np.array(problem.given["x"], dtype=float), problem.reference()
    gamma, beta, eps = (problem.given[name] for name in ("gamma", "beta", "eps"))
    features = range(1, 1 + x.shape[1])
    check(typeset.means(x), {rf"\mu_{{{j}}}": right["mean"][j - 1] for j in features}, IN_FOUR)
    check(typeset.variances(x), {rf"\sigma_{{{j}}}^2": right["var"][j - 1] for j in features}, IN_FOUR)
    for j in features:
        names = [f"{i}{j}" for i in range(1, 1 + len(x))]
        root = {rf"\sqrt{{\sigma_{{{j}}}^2 + \epsilon}}": algorithm.root(x[:, j - 1], eps)}
        x_hat = {rf"\hat{{x}}_{{{name}}}": v for name, v in zip(names, right["x_hat"][:, j - 1], strict=True)}
        y = {f"y_{{{name}}}": v for name, v in zip(names, right["y"][:, j - 1], strict=True)}
        check(typeset.normalized(x[:, j - 1], eps, of=str(j), samples=names), root | x_hat, IN_FOUR)
        check(typeset.scaled(right["x_hat"][:, j - 1], gamma, beta, samples=names), y, IN_FOUR)


def test_steps_as_they_are_written() -> None:
    # (2 + 4 + 6 + 8) / 4 = 5; (9 + 1 + 1 + 9) / 4 = 5; 3 / sqrt(5.01) = 1.3403; 2 * 1.3403 + 1 = 3.6806
    assert r"\mu_{1} &= \frac{2 + 4 + 6 + 8}{4} = \frac{20}{4} = 5" in typeset.means(X)
    assert r"\sigma_{3}^2 &= \frac{(-3)^2 + (-1)^2 + 1^2 + 3^2}{4} = \frac{20}{4} = 5" in typeset.variances(X)
    assert r"\hat{x}_{4} &= \frac{8 - 5}{2.2383} = 1.3403" in typeset.normalized(X[:, 0], 0.01)
    assert r"y_{2} &= 2 \cdot (-1.3403) - 1 = -3.6806" in typeset.scaled(np.array([0, -1.3403]), 2, -1)
    assert typeset.matrix("A", np.eye(2)) == r"A = \begin{pmatrix} 1 & 0 \\ 0 & 1 \end{pmatrix}"


@pytest.mark.parametrize("problem", [*variants(BATCH_SIZE), *variants(CONDITIONAL)], ids=case)
def test_statistics_of_many_values_break_into_lines(problem: NumberProblem) -> None:
    x = np.ravel(problem.given["x"]).astype(float)
    assert len(x) == 6
    check(typeset.statistics(x), {r"\mu": x.mean(), r"\sigma^2": x.var()}, IN_FOUR)
    check(typeset.statistics(x[:3], of="1"), {r"\mu_{1}": x[:3].mean(), r"\sigma_{1}^2": x[:3].var()}, IN_FOUR)
    # Three squares, such as (-2.5)^2, are as many as a line of a phone holds.
    assert max(line.count("^2") for line in typeset.statistics(x).partition("sigma^2")[2].split(r"\\")) == 3


# The gradients


@pytest.mark.parametrize("problem", variants(BACKPROPAGATION), ids=case)
def test_gradients(problem: NumberProblem) -> None:
    x, dx_hat, eps = np.array(problem.given["x"], dtype=float), np.array(problem.given["dx_hat"]), problem.given["eps"]
    right, sum_of_products = problem.reference(), (dx_hat * (x - x.mean())).sum()
    _, cache = batch_norm(x[:, None], np.ones(1), np.zeros(1), eps=eps)
    by_library = batch_norm_backward(dx_hat[:, None], cache)[0][:, 0]
    dx = {f"dx_{{{i}}}": float(v) for i, v in enumerate(by_library, start=1)}
    averages = {
        r"\overline{d\hat{x}}": dx_hat.mean(),
        r"\overline{d\hat{x}\,\hat{x}}": (dx_hat * cache.x_hat[:, 0]).mean(),
    }
    check(typeset.gradient_of_mean(x, dx_hat, eps), {r"d\mu": float(right["dmu"])}, IN_SIX)
    check(typeset.variance_by_mean(x), {r"\frac{\partial \sigma^2}{\partial \mu}": 0}, IN_SIX)
    expected = {"S": sum_of_products, r"d\sigma^2": float(right["dvar"])}
    check(typeset.gradient_of_variance(x, dx_hat, eps), expected, IN_SIX)
    check(typeset.gradient_of_x(x, dx_hat, eps), dx, IN_SIX)
    check(typeset.gradient_of_x_compact(x, dx_hat, eps), averages | dx, IN_SIX)


@pytest.mark.parametrize("formula", [typeset.gradient_of_x, typeset.gradient_of_x_compact])
def test_what_is_shown_comes_to_what_is_shown(formula: Callable[..., str]) -> None:
    given = BACKPROPAGATION.given
    said = statements(formula(np.array(given["x"], dtype=float), np.array(given["dx_hat"]), given["eps"]))
    for name in ("dx_{1}", "dx_{2}", "dx_{3}"):
        *_, terms, result = said[name]
        assert typeset.decimal(evaluated(terms), 5) == result, name


def test_what_is_left_of_a_straight_line() -> None:
    x, dx_hat, eps = np.array([1.0, 2.0, 3.0]), np.array([0.1, 0.2, 0.3]), 0.01
    expected = {"a": 0.1, r"\frac{\epsilon}{\sigma^2 + \epsilon}": 0.01 / (2 / 3 + 0.01)}
    expected |= {f"dx_{{{i}}}": float(v) for i, v in enumerate(BACKPROPAGATION.reference()["dx"], start=1)}
    line = r"d\hat{x}_i &= 0.2 + 0.1 \cdot (x_i - \mu) \\[0.4em] "
    tex = typeset.gradient_left_over(x, dx_hat, eps)
    assert line in tex
    check(tex.replace(line, ""), expected, IN_SIX)
    with pytest.raises(ValueError, match=r"dx_hat = \[0.1, 0.2, 0.4\] is no straight line in x = \[1.0, 2.0, 3.0\]"):
        typeset.gradient_left_over(x, np.array([0.1, 0.2, 0.4]), eps)


# Tables


def rows(table: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in table.splitlines()]


def test_numbers() -> None:
    assert typeset.numbers(np.array([-0.5, 1.23456, 0])) == "−0.5, 1.2346, 0"
    assert typeset.numbers(np.array([[1, 2], [3, 4]])) == "1, 2; 3, 4"
    assert typeset.numbers(-0.0000012, 7) == "−0.0000012"


def test_table() -> None:
    assert typeset.table(("a", "b"), [("1", "2"), ("3", "4")]) == "| a | b |\n| :-- | --: |\n| 1 | 2 |\n| 3 | 4 |"


@pytest.mark.parametrize("problem", NUMERIC, ids=lambda problem: problem.name)
def test_table_of_mistakes_has_each_that_shows_once(problem: NumberProblem) -> None:
    for name, outcomes in problem.outcomes[0].items():
        _, _, right, *wrong = rows(typeset.mistakes(outcomes))
        assert right == [typeset.numbers(outcomes.right), "**right**"]
        assert all(numbers != right[0] for numbers, _ in wrong), name
        known = {m.name for m in problem.part(name).mistakes}
        shown = [re.match(r"\*\*(.+?)\.\*\*", says)[1] for _, says in wrong]
        assert len(shown) == len(set(shown))
        hidden = {
            m.name
            for m, value in zip(outcomes.mistakes, outcomes.wrong, strict=True)
            if np.allclose(value, outcomes.right)
        }
        assert {*shown, *hidden} == known, name
        assert hidden.isdisjoint(shown)


def test_table_of_mistakes_as_it_is_written() -> None:
    # 3 / sqrt(20 / 3 + 0.01) = 1.1610
    table = typeset.mistakes(BASIC_CALCULATION.outcomes[0]["x_hat"], rows=1)
    assert table.splitlines()[2] == "| −1.3403, −1.3403, −1.3403 | **right** |"
    assert table.splitlines()[3] == (
        f"| −1.161, −1.161, −1.161 | **ddof=1.** {misconceptions.DDOF1.says} "
        "See {ref}`The variance divides by m <sec-forward-variance>`. |"
    )


def test_first_rows_are_those_of_tables_only() -> None:
    table = typeset.mistakes(BASIC_CALCULATION.outcomes[0]["mean"], rows=1)
    assert table.splitlines()[2] == "| 5, 7, 9 | **right** |"
    assert table.splitlines()[-1].startswith("| 4, 6, 8, 10 | **over rows.**")


# The pages


def page(problem: NumberProblem) -> str:
    return (ROOT / "book" / "exercises" / f"{problem.name}.md").read_text(encoding="utf-8")


def notebook(problem: NumberProblem) -> str:
    number = 1 + NUMERIC.index(problem)
    return (ROOT / "exercises" / "source" / "batch-norm" / f"{number}-{problem.name}.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("problem", NUMERIC, ids=lambda problem: problem.name)
def test_page_and_notebook_have_one_title(problem: NumberProblem) -> None:
    titles = [re.findall(r"^# Exercise .+$", text, re.MULTILINE) for text in (page(problem), notebook(problem))]
    assert len(titles[0]) == 1
    assert titles[0] == titles[1]
    assert f"`{1 + NUMERIC.index(problem)}-{problem.name}`" in page(problem)


@pytest.mark.parametrize("problem", NUMERIC, ids=lambda problem: problem.name)
def test_solution_is_folded(problem: NumberProblem) -> None:
    text = re.sub(r"^````\{dropdown\}.*?^````$", "", page(problem), flags=re.DOTALL | re.MULTILINE)
    given = {"X", "x", "dx_hat"}
    assert set(re.findall(r"\{glue:(?:math|md)\} (\w+)", text)) <= given
    cells = re.findall(r"^```\{code-cell\}.*?^```$", text, re.DOTALL | re.MULTILINE)
    assert cells
    assert all(re.search(r"tags: \[(remove-cell|remove-input|hide-cell)\]", cell) for cell in cells)


def test_criteria_of_the_question_in_words_are_those_of_the_notebook() -> None:
    graded = page(BATCH_SIZE).partition("Show how (c) is graded")[2].partition("````")[0]
    rubric = notebook(BATCH_SIZE).partition("Rubric, 1 point each")[2].partition("### END SOLUTION")[0]
    criterion = re.compile(r"^- \*\*(.+?)\.\*\*", re.MULTILINE)
    assert criterion.findall(graded) == criterion.findall(rubric) == ["Company", "Noise", "What is lost", "Inference"]
    assert '"grade_id": "in-words", "locked": false, "points": 4,' in notebook(BATCH_SIZE)
