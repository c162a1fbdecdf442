"""Whatever a learner may pass: read as numbers, or answered with a sentence, and never at length."""

from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
import pytest

from bn_exercises.answers import LARGEST, MOST_NUMBERS, Unusable, described, fit, read
from bn_exercises.problem import verify
from bn_exercises.problems import NUMERIC


class Pair(NamedTuple):
    a: float
    b: float


class Tensor:
    """An object with `__array__`, as other libraries have."""

    def __init__(self, values: Any) -> None:
        self.values = np.asarray(values)
        self.shape = self.values.shape

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return self.values


class Explosive:
    """Raises wherever it is touched."""

    shape = (3,)

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        raise ZeroDivisionError("boom")

    def __getattribute__(self, name: str) -> Any:
        raise ZeroDivisionError("boom")

    def __len__(self) -> int:
        raise ZeroDivisionError("boom")

    def __iter__(self) -> Iterator[Any]:
        raise ZeroDivisionError("boom")

    def __float__(self) -> float:
        raise ZeroDivisionError("boom")

    def __eq__(self, other: object) -> bool:
        raise ZeroDivisionError("boom")

    def __repr__(self) -> str:
        raise ZeroDivisionError("boom")

    __hash__ = None  # type: ignore[assignment]


class RecordingTensor:
    """A torch tensor that records gradients, in what matters here."""

    shape = (3,)
    requires_grad = True

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        raise RuntimeError("Can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy() instead.")


class ExplosiveArray(np.ndarray[Any, Any]):
    """An array whose own methods raise."""

    @property
    def shape(self) -> Any:
        raise ZeroDivisionError("boom")

    def astype(self, *_: Any, **__: Any) -> Any:
        raise ZeroDivisionError("boom")

    def __array_ufunc__(self, *_: Any, **__: Any) -> Any:
        raise ZeroDivisionError("boom")


class EndlessList(list[Any]):
    """A list that says it is short and never ends."""

    def __len__(self) -> int:
        return 3

    def __iter__(self) -> Iterator[Any]:
        while True:
            yield 1.0


class Liar(float):
    def __float__(self) -> float:
        raise ZeroDivisionError("boom")


@pytest.mark.parametrize(
    "value",
    [
        [5, 7, 9],
        (5, 7, 9),
        [5.0, Fraction(7), Decimal(9)],
        np.array([5, 7, 9]),
        np.array([5, 7, 9], dtype=np.float32),
        np.array([5, 7, 9], dtype=np.float16),
        np.array([5, 7, 9], dtype=np.uint8),
        np.array([5, 7, 9], dtype=np.longdouble),
        np.array([5, Fraction(7), "9"], dtype=object),
        np.array(["5", "7", "9"]),
        np.ma.masked_array([5, 7, 9]),
        range(5, 10, 2),
        [np.float32(5), np.int64(7), np.array(9)],
        Tensor([5, 7, 9]),
        [Tensor(5), Tensor(7), Tensor(9)],
        ["5", " 7 ", "9e0"],
        np.array([5, 7, 9]).view(ExplosiveArray),
        EndlessList([5, 7, 9]),
    ],
    ids=lambda value: type(value).__name__,
)
def test_read_as_numbers(value: Any) -> None:
    array = read(value)
    assert type(array) is np.ndarray
    assert array.dtype == np.float64
    assert array.tolist() == [5, 7, 9]


def test_forms() -> None:
    assert read(5).shape == ()
    assert read(np.float32(5)).shape == ()
    assert read(np.array(5)).tolist() == 5
    assert read(Pair(1, 2)).tolist() == [1, 2]
    assert read([[1], [2]]).shape == (2, 1)
    assert read([np.array([1]), np.array([2])]).shape == (2, 1)
    assert read(np.array([[1, 2]]).view(np.matrix)).shape == (1, 2)


def test_what_was_read_is_a_copy() -> None:
    mine = np.array([1.0, 2.0])
    read(mine)[0] = 9
    assert mine.tolist() == [1, 2]


def _contains_itself() -> list[Any]:
    endless: list[Any] = []
    endless.append(endless)
    return endless


def _doubling(depth: int) -> list[Any]:
    value: list[Any] = [1.0]
    for _ in range(depth):
        value = [value, value]
    return value


HOSTILE: dict[str, tuple[Any, str]] = {
    "none": (None, "no answer yet"),
    "dots": (..., "no answer yet"),
    "text": ("five", "text"),
    "script": ("<script>alert(1)</script>", "text"),
    "bytes": (b"5", "text"),
    "words": (["five", "seven"], "text"),
    "long words": (["5" * 10**6], "text"),
    "nan": ([5, 7, float("nan")], "nan"),
    "nan as text": (["nan"], "nan"),
    "infinite": ([5, 7, float("inf")], "infinite"),
    "too large": ([1e300], "too large"),
    "huge integer": ([10**5000], "too large"),
    "huge fraction": ([Fraction(10**400)], "too large"),
    "hole": ([5, None, 9], "missing"),
    "ragged": ([[1, 2], [3]], "different lengths"),
    "ragged deeper": ([1, [2, 3]], "different lengths"),
    "complex": ([1j, 2], "complex"),
    "complex array": (np.array([1 + 0j]), "complex"),
    "truth": (True, "truth"),
    "truths": ([True, False], "truth"),
    "truth array": (np.array([True]), "truth"),
    "empty": ([], "no number"),
    "empty array": (np.empty((0, 3)), "no number"),
    "empty rows": ([[], []], "no number"),
    "masked": (np.ma.masked_array([1, 2], mask=[True, False]), "masked"),
    "set": ({5, 7, 9}, "no order"),
    "dictionary": ({"a": 5}, "dictionary"),
    "function": (print, "function"),
    "class": (Tensor, "function"),
    "generator": ((i for i in range(3)), "only one by one"),
    "tensor that records gradients": (RecordingTensor(), "`.detach()`"),
    "dates": (np.array(["2020-01-01"], dtype="datetime64[D]"), "does not hold numbers"),
    "structured": (np.zeros(3, dtype=[("a", float)]), "does not hold numbers"),
    "many": (np.broadcast_to(1.0, 10**8), "far more"),
    "many masked": (np.ma.masked_array(np.broadcast_to(1.0, 10**8)), "far more"),
    "many in a tensor": (Tensor(np.broadcast_to(1.0, 10**8)), "far more"),
    "many in a range": (range(10**12), "far more"),
    "long list": ([0.0] * 10**6, "far more"),
    "list of long lists": ([[0.0] * 900] * 900, "far more"),
    "list of large arrays": ([np.zeros(900)] * 900, "far more"),
    "doubling": (_doubling(200), "deeply|far more"),
    "contains itself": (_contains_itself(), "deeply"),
    "deep array": (np.ones((1,) * 20), "dimensions"),
    "explosive": (Explosive(), "cannot be read"),
    "list of explosives": ([Explosive()], "cannot be read"),
    "object array of explosives": (np.array([Explosive], dtype=object), "cannot be read|function"),
    "explosive number": (Liar(5), "cannot be read"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_anything_else_gets_a_sentence(name: str) -> None:
    value, says = HOSTILE[name]
    unusable = read(value)
    assert isinstance(unusable, Unusable)
    assert any(part in unusable.sentence for part in says.split("|")), unusable.sentence
    assert unusable.sentence.endswith((".", "?"))
    assert unusable.missing == (says in ("no answer yet", "no number"))


@pytest.mark.parametrize("name", HOSTILE)
def test_verify_gives_a_verdict_on_it(name: str) -> None:
    for problem in NUMERIC:
        for part in problem.parts:
            verdict = verify(problem, problem.reference() | {part.name: HOSTILE[name][0]})
            assert verdict.of(part.name).kind in ("form", "missing")
            # What follows is not lost with it.
            assert verdict.score == verdict.max_score - part.points
            assert "script" not in verdict.to_json()


def test_a_learner_can_interrupt() -> None:
    class Slow:
        def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        read(Slow())


def test_bounds() -> None:
    assert read([1.0] * (MOST_NUMBERS - 1)).size == MOST_NUMBERS - 1
    assert read(np.ones(MOST_NUMBERS)).size == MOST_NUMBERS
    assert read([LARGEST]).tolist() == [LARGEST]
    assert isinstance(read([1.001 * LARGEST]), Unusable)


@pytest.mark.parametrize(
    ("shape", "wanted", "fits"),
    [
        ((3,), (3,), True),
        ((3, 1), (3,), True),
        ((1, 3), (3,), True),
        ((1,), (), True),
        ((), (), True),
        ((1, 1), (), True),
        ((12,), (4, 3), True),
        ((1, 4, 3), (4, 3), True),
        ((6,), (2, 3), True),
        ((3, 4), (4, 3), False),
        ((2, 6), (4, 3), False),
        ((4,), (3,), False),
    ],
)
def test_fit(shape: tuple[int, ...], wanted: tuple[int, ...], fits: bool) -> None:
    values = np.arange(np.prod(shape, dtype=int), dtype=float).reshape(shape)
    fitted = fit(values, wanted)
    assert (fitted is not None) == fits
    if fitted is not None:
        assert fitted.shape == wanted
        assert fitted.ravel().tolist() == values.ravel().tolist()


def test_described() -> None:
    assert described(()) == described((1, 1)) == "one number"
    assert described((3,)) == described((3, 1)) == "3 numbers"
    assert described((4, 3)) == "4 rows of 3 numbers"
