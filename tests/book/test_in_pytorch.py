"""What the book shows as "The same in PyTorch": its lines give the output printed below them, and our numbers."""

import io
import re
from collections.abc import Callable, Iterable
from contextlib import redirect_stdout
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch

from bn_book.backward.experiments import BATCH_BACKWARD
from bn_lib import BatchNorm, batch_norm, batch_norm_backward

CHAPTERS = Path(__file__).parents[2] / "book" / "chapters"
BLOCK = re.compile(
    r"^:::\{dropdown\} The same in PyTorch\n```python\n(.*?)```\n\n```text\n(.*?)```\n(.*?)^:::$",
    re.DOTALL | re.MULTILINE,
)
# By chapter: the code, its output, and what is said below.
SHOWN = {
    path.stem: found[0]
    for path in sorted(CHAPTERS.glob("*.md"))
    if (found := BLOCK.findall(path.read_text(encoding="utf-8")))
}


def numbers(text: str) -> np.ndarray:
    """The decimal numbers of an output, in their order."""
    return np.array(re.findall(r"-?\d+\.\d+", text), dtype=float)


def floats(values: Iterable[Fraction]) -> np.ndarray:
    return np.array([float(value) for value in values])


# What `bn_lib` says of the same, in the order in which PyTorch's numbers are printed


def by_hand() -> tuple[np.ndarray, object]:
    hand = BATCH_BACKWARD.forward
    return batch_norm(floats(hand.x)[:, None], floats([hand.gamma]), floats([hand.beta]), eps=float(hand.eps))


def forward() -> np.ndarray:
    return by_hand()[0]


def backward() -> np.ndarray:
    _, cache = by_hand()
    return np.concatenate([each.ravel() for each in batch_norm_backward(floats(BATCH_BACKWARD.dy)[:, None], cache)])


def inference() -> np.ndarray:
    layer, seen = BatchNorm(1, momentum=0.1), []
    for pair in ((4.0, 6.0), (7.0, 9.0), (10.0, 14.0)):
        layer.forward(np.array(pair)[:, None])
        seen += [layer.running_mean[0], layer.running_var[0]]
    return np.array(seen)


def batch_size() -> np.ndarray:
    layer, pairs = BatchNorm(1), [np.array([[4.0], [other]]) for other in (1.0, 9.0)]
    training = [layer.forward(pair)[0, 0] for pair in pairs]
    layer.eval()
    return np.array(training + [layer.forward(pair)[0, 0] for pair in pairs])


def convolutions() -> np.ndarray:
    x = np.array([[[[7.0, 15.0]], [[10.0, 2.0]]], [[[9.0, 1.0]], [[4.0, 4.0]]]])
    return batch_norm(x, np.array([10.0, 3.0]), np.array([1.0, 5.0]), eps=1e-12)[0].swapaxes(0, 1)


OURS: dict[str, Callable[[], np.ndarray]] = {
    "forward": forward,
    "backward": backward,
    "inference": inference,
    "batch_size": batch_size,
    "convolutions": convolutions,
}


def test_these_chapters_show_it() -> None:
    assert set(SHOWN) == set(OURS)


@pytest.mark.parametrize("name", OURS)
def test_the_lines_give_the_output_shown_and_our_numbers(name: str) -> None:
    code, output, rest = SHOWN[name]
    said = io.StringIO()
    with redirect_stdout(said):
        exec(code, {})
    assert said.getvalue() == output
    np.testing.assert_allclose(numbers(output), OURS[name]().ravel(), rtol=0, atol=5.1e-5)  # four decimals are shown
    assert f"Recorded with PyTorch {'.'.join(torch.__version__.split('.')[:2])}." in rest


def test_it_is_as_short_as_it_says() -> None:
    for name, (code, *_) in SHOWN.items():
        lines = [line for line in code.splitlines() if line.strip()]
        assert len(lines) <= 8, name
        assert max(map(len, lines)) <= 90
