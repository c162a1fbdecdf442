"""When numbers count as the same."""

import numpy as np
import pytest

from bn_exercises.tolerance import (
    BY_HAND,
    Rounding,
    agree,
    digits_shown,
    distance,
    is_cut_short,
    is_rounded,
    overruled,
    ranges,
    rooms,
    round_to,
)

ONE = np.array([1.0, 2.0])


@pytest.mark.parametrize(
    ("answer", "counts"),
    [([1.0, 2.0], True), ([1.005, 2.01], True), ([1.007, 2.0], False), ([1.0, 2.02], False), ([1.0, -2.0], False)],
)
def test_agree(answer: list[float], counts: bool) -> None:
    assert agree(np.array(answer), ONE) is counts


def test_ranges_are_the_same_rule() -> None:
    for (low, high), value, room in zip(ranges((1.0, 2.0)), ONE, rooms(ONE), strict=True):
        assert low == pytest.approx(value - room)
        assert high == pytest.approx(value + room)


def test_a_zero_may_be_the_rest_of_a_subtraction() -> None:
    value = np.array([0.0, 3.0])
    assert agree(np.array([1e-17, 3.0]), value)
    assert agree(np.array([0.001, 3.0]), value)
    assert not agree(np.array([0.01, 3.0]), value)


def test_zero_throughout_leaves_no_room() -> None:
    assert agree(np.array([1e-17]), np.zeros(1))
    assert not agree(np.array([1e-6]), np.zeros(1))


def test_what_was_rounded_on_the_way_leaves_room_after_it_cancels() -> None:
    # 2 * 1.336 - 2.67 is 0.002; with 1.34 it is 0.01.
    near_zero = np.array([0.002])
    assert distance(np.array([0.01]), near_zero) > 1
    assert distance(np.array([0.01]), near_zero, rooms(near_zero, np.array([2.672]))) < 1


@pytest.mark.parametrize(
    ("answer", "is_it"),
    [
        (1.34, True),  # of 1.34030
        (1.3403, True),
        (1.341, False),
        (1.3402, False),
        (1.35, False),
        (1.0, False),  # Three digits at least, though one is shown.
        (8.207, False),
    ],
)
def test_is_rounded(answer: float, is_it: bool) -> None:
    assert is_rounded(np.array([answer]), np.array([1.3403011])) is is_it


@pytest.mark.parametrize(
    ("answer", "is_it"),
    [
        ([1.34, 0.45, 0], True),  # of 1.34030, 0.44677 and 0
        ([1.3, 0.4, 1e-17], True),
        ([1.3, 0.5, 0], False),
        ([1.0, 0.447, 0], True),
        ([2.0, 0.447, 0], False),
        ([1.34, 0, 0], False),
        ([1.34, 0.45, 0.01], False),
    ],
)
def test_is_cut_short(answer: list[float], is_it: bool) -> None:
    value, none = np.array([1.3403011, 0.446767, 0]), np.empty((0, 3))
    assert is_cut_short(np.array(answer), value, none) is is_it
    # Numbers of a mistake are that, however few digits they have.
    assert not is_cut_short(np.array(answer), value, np.array([[9.0, 9, 9], np.array(answer) * 1.0001]))


def test_digits_shown() -> None:
    assert [digits_shown(v) for v in (1.34, -0.0134, 1.30, 1e-17, 1200.0, 0.1 + 0.2)] == [3, 3, 2, 1, 2, 17]


def test_rounding_on_the_way() -> None:
    root = np.array(1.7107)
    assert Rounding(3)(root) == 1.71
    assert Rounding(3).divided(np.array(2.5), np.array(1.71)) == 2.5 / 1.71
    assert Rounding(3, reciprocal=True).divided(np.array(2.5), np.array(1.71)) == 2.5 * 0.585
    assert Rounding(3).divided(np.array(1.0), np.array(0.823), power=3) == 1 / 0.557
    assert Rounding(3, reciprocal=True).divided(np.array(1.0), np.array(0.823), power=3) == 1.82
    assert Rounding(3).of_mean(np.array(23 / 3)) == 23 / 3
    assert Rounding(3, mean=True).of_mean(np.array(23 / 3)) == 7.67
    assert len(set(BY_HAND)) == 12


def test_digits_are_those_that_were_typed() -> None:
    # In binary 8.207 is 8.20700000000000073896...
    assert is_rounded(np.array([8.207]), np.array([8.20714]))


def test_round_to() -> None:
    assert round_to(3, np.array([[1.3403, -0.00123456], [99999.0, 0.0]])).tolist() == [[1.34, -0.00123], [1e5, 0]]


def test_the_nearer_one_decides_unless_it_is_mere_rounding() -> None:
    right, mistake = np.array([1.34030]), np.array([[1.34164]])
    room = rooms(right)
    assert not overruled(np.array([1.3403]), right, mistake, room)
    assert not overruled(np.array([1.34]), right, mistake, room)
    assert overruled(np.array([1.34164]), right, mistake, room)
    assert overruled(np.array([1.3416]), right, mistake, room)
    # Half way, and nearer to the right one, and nearer to the mistake but not by much: in doubt, for the learner.
    for answer in (1.34097, 1.3405, 1.3411):
        assert not overruled(np.array([answer]), right, mistake, room)
    assert not overruled(np.array([1.34164]), right, mistake[:0], room)


def test_rounding_wins_where_it_leads_to_the_mistake() -> None:
    right, mistake = np.array([1.3451]), np.array([[1.3499]])
    assert not overruled(np.array([1.35]), right, mistake, rooms(right))
    assert overruled(np.array([1.3499]), right, mistake, rooms(right))
