"""Exercise 1's notebook, run in this process: its numbers, what its checks say, and what they accept.

The notebook must run with NumPy alone, so it repeats numbers that `bn_exercises.problems` has too; these tests hold the
two together. The round through nbgrader is in tests/course.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bn_exercises import misconceptions
from bn_exercises.problems import BASIC_CALCULATION
from bn_exercises.sources import to_notebook

SOURCE = Path(__file__).parents[2] / "exercises" / "source" / "batch-norm" / "1-basic-calculation.md"
CELLS = {cell.id: cell for cell in to_notebook(SOURCE.read_text()).cells}
RIGHT = BASIC_CALCULATION.reference()
X = np.array(BASIC_CALCULATION.given["x"], dtype=float)
EPS = BASIC_CALCULATION.given["eps"]
PARTS = {"mean": "mean-check", "var": "var-check", "x_hat": "x-hat-check", "y": "y-check"}


def check(**answers: Any) -> dict[str, str]:
    """Run every part's check, hidden tests included, on these answers; return what each failing one says."""
    namespace: dict[str, Any] = {}
    exec(CELLS["batch"].source, namespace)
    exec(CELLS["look"].source, namespace)
    namespace |= answers
    says = {}
    for part, cell in PARTS.items():
        try:
            exec(CELLS[cell].source, namespace)
        except AssertionError as error:
            says[part] = str(error)
    return says


def rounded(array: Any, digits: int) -> Any:
    """Round to significant digits."""
    return np.vectorize(lambda v: float(f"{v:.{digits - 1}e}"))(array)


def test_notebook_states_the_problem() -> None:
    namespace: dict[str, Any] = {}
    exec(CELLS["batch"].source, namespace)
    np.testing.assert_array_equal(namespace["X"], X)
    assert namespace["X"].dtype == float
    for name in ("eps", "gamma", "beta"):
        assert namespace[name] == BASIC_CALCULATION.given[name]


def test_hidden_tests_use_the_same_numbers() -> None:
    # They have their own copy, because a learner's cell may change X in place.
    literal = "_X = np.array([[2, 4, 6], [4, 6, 8], [6, 8, 10], [8, 10, 12]], dtype=float)"
    for cell in PARTS.values():
        assert literal in CELLS[cell].source
    np.testing.assert_array_equal(eval(literal.removeprefix("_X = ")), X)


def test_points() -> None:
    points = {part: CELLS[cell].metadata.nbgrader.points for part, cell in PARTS.items()}
    assert points == BASIC_CALCULATION.points
    assert sum(points.values()) == 10


def test_solution_is_the_reference() -> None:
    namespace: dict[str, Any] = {}
    for name in ("batch", "mean", "var", "x-hat", "y"):
        exec(CELLS[name].source, namespace)
    for part, value in RIGHT.items():
        np.testing.assert_allclose(namespace[part], value, rtol=1e-12)
    assert check(**{part: namespace[part] for part in PARTS}) == {}


@pytest.mark.parametrize(
    "style",
    [
        np.asarray,
        np.ndarray.tolist,
        lambda a: tuple(map(tuple, a)) if a.ndim == 2 else tuple(a),
        lambda a: a.astype(np.float32),
        lambda a: a.reshape(-1, 1) if a.ndim == 1 else a,
        lambda a: a.reshape(1, -1) if a.ndim == 1 else a,
        lambda a: rounded(a, 3),
        lambda a: rounded(a, 4).tolist(),
        lambda a: rounded(a, 6),
        lambda a: a + 1e-17,
        lambda a: [str(v) for v in a] if a.ndim == 1 else a,
    ],
)
def test_harmless_differences_are_right(style: Any) -> None:
    assert check(**{part: style(value) for part, value in RIGHT.items()}) == {}


def test_rounding_on_the_way_is_right() -> None:
    root = rounded(np.sqrt(5.01), 3)
    x_hat = rounded((X - RIGHT["mean"]) / root, 3)
    assert check(mean=[5, 7, 9], var=[5, 5, 5], x_hat=x_hat, y=rounded(2 * x_hat + 1, 3)) == {}


@pytest.mark.parametrize(
    ("mean", "says"),
    [(X.sum(axis=0), "sums"), ([4, 6, 8], "averages of rows"), ([4.9, 7, 9], "average of its column")],
)
def test_wrong_means_are_told_apart(mean: Any, says: str) -> None:
    assert says in check(**RIGHT | {"mean": mean})["mean"]


@pytest.mark.parametrize(
    ("var", "says"),
    [
        (X.var(axis=0, ddof=1), "ddof=1"),
        (X.std(axis=0), "standard deviations"),
        (X.var(axis=0) * 4, "sums of squares"),
        ([4.9, 5, 5], "average of the squared deviations"),
    ],
)
def test_wrong_variances_are_told_apart(var: Any, says: str) -> None:
    assert says in check(**RIGHT | {"var": var})["var"]


@pytest.mark.parametrize(
    ("misconception", "says"),
    [
        (misconceptions.NO_EPS, "without eps"),
        (misconceptions.EPS_OUTSIDE, "after the square root"),
        (misconceptions.VARIANCE_FOR_DEVIATION, "divided by the variance"),
        (misconceptions.NOT_CENTRED, "the mean is still in"),
        (misconceptions.NOT_DIVIDED, "still to come"),
        (misconceptions.DDOF1, "subtract its feature's mean"),
        (misconceptions.OVER_ROWS, "subtract its feature's mean"),
        (misconceptions.OVER_EVERYTHING, "subtract its feature's mean"),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_wrong_normalized_values_are_told_apart(misconception: misconceptions.Misconception, says: str) -> None:
    x_hat = misconception.compute(X, EPS)
    assert says in check(**RIGHT | {"x_hat": x_hat})["x_hat"]
    # With 4 digits eps can be told from no eps; with 3 the right values are 1.34 and 0.447 either way.
    assert says in check(**RIGHT | {"x_hat": rounded(x_hat, 4)})["x_hat"]


@pytest.mark.parametrize(
    ("y", "says"),
    [
        (RIGHT["x_hat"] + 2, "wrong way round"),
        (2 * (RIGHT["x_hat"] + 1), "multiplied beta by gamma"),
        (2 * RIGHT["x_hat"], "Adding beta is still to come"),
        (RIGHT["x_hat"] + 1, "Multiplying by gamma comes before"),
        (RIGHT["x_hat"], "Multiply each normalized value"),
    ],
)
def test_wrong_outputs_are_told_apart(y: Any, says: str) -> None:
    assert says in check(**RIGHT | {"y": y})["y"]


def test_one_mistake_counts_once() -> None:
    # A wrong mean, and everything after it right for that mean.
    mean = np.array([5.5, 7, 9])
    var = ((X - mean) ** 2).mean(axis=0)
    x_hat = (X - mean) / np.sqrt(var + EPS)
    assert set(check(mean=mean, var=var, x_hat=x_hat, y=2 * x_hat + 1)) == {"mean"}
    # A mistake in (c), and (d) right for it.
    x_hat = misconceptions.NOT_CENTRED.compute(X, EPS)
    assert set(check(**RIGHT | {"x_hat": x_hat, "y": 2 * x_hat + 1})) == {"x_hat"}


def test_parts_are_independent() -> None:
    for part in PARTS:
        assert set(check(**{part: RIGHT[part]})) == set(PARTS) - {part}


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (None, "mean has no value yet"),
        ("five", "should be 3 numbers; it is 'five'"),
        ([1, [2, 3]], "should be 3 numbers"),
        (7.0, "yours has the shape ()"),
        ([4, 6, 8, 10], "yours has the shape (4,)"),
        ([5, 7, float("nan")], "not a number"),
        ([5, 7, float("inf")], "infinite"),
        ([5, 7, None], "not a number"),
        (5j, "should be 3 numbers"),
        ({5, 7, 9}, "should be 3 numbers"),
        (print, "should be 3 numbers"),
    ],
    ids=repr,
)
def test_the_visible_check_helps_and_reveals_nothing(answer: Any, says: str) -> None:
    released = CELLS["mean-check"].source.partition("### BEGIN HIDDEN TESTS")[0]
    namespace: dict[str, Any] = {}
    exec(CELLS["batch"].source, namespace)
    exec(CELLS["look"].source, namespace)
    namespace["mean"] = answer
    with pytest.raises(AssertionError) as failure:
        exec(released, namespace)
    assert says in str(failure.value)


def test_no_message_reveals_a_value() -> None:
    messages = [line for cell in PARTS.values() for line in CELLS[cell].source.splitlines() if "_advice = " in line]
    assert len(messages) >= 15
    for value in {f"{v:.3g}" for part in RIGHT.values() for v in np.ravel(part)}:
        for message in messages:
            assert f" {value} " not in message.replace(".", " ").replace(",", " ")
