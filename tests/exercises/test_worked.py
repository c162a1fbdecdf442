"""The worked solution's formulas."""

import numpy as np
import pytest

from bn_exercises import worked
from bn_exercises.misconceptions import DDOF1
from bn_exercises.problems import BASIC_CALCULATION

X = np.array(BASIC_CALCULATION.given["x"], dtype=float)


@pytest.mark.parametrize(
    ("value", "text"), [(5.0, "5"), (0.01, "0.01"), (-1.34030, "-1.3403"), (20.0, "20"), (-1e-9, "0"), (100.0, "100")]
)
def test_decimal(value: float, text: str) -> None:
    assert worked.decimal(value) == text


def test_steps() -> None:
    # (2 + 4 + 6 + 8) / 4 = 5; (9 + 1 + 1 + 9) / 4 = 5; 3 / sqrt(5.01) = 1.3403; 2 * 1.3403 + 1 = 3.6806
    x_hat = BASIC_CALCULATION.reference()["x_hat"]
    assert r"\mu_1 &= \frac{2 + 4 + 6 + 8}{4} = \frac{20}{4} = 5" in worked.means(X)
    assert r"\sigma_3^2 &= \frac{(-3)^2 + (-1)^2 + (1)^2 + (3)^2}{4} = \frac{20}{4} = 5" in worked.variances(X)
    assert r"\hat{x}_{41} &= \frac{8 - 5}{2.2383} = 1.3403" in worked.normalized(X, 0.01, feature=0)
    assert r"y_{41} &= 2 \cdot (1.3403) + 1 = 3.6806" in worked.scaled(x_hat, 2, 1, feature=0)
    assert worked.matrix("A", np.eye(2)) == r"A = \begin{pmatrix} 1 & 0 \\ 0 & 1 \end{pmatrix}"


def test_table_of_mistakes() -> None:
    # 3 / sqrt(20 / 3 + 0.01) = 1.1610
    table = worked.mistakes(X, 0.01, BASIC_CALCULATION.reference()["x_hat"], [DDOF1])
    assert table.splitlines()[2] == "| right | -1.3403, -1.3403, -1.3403 |  |"
    assert table.splitlines()[3] == f"| ddof=1 | -1.161, -1.161, -1.161 | {DDOF1.says} |"
