"""The experiments and figures of the chapter on speed, against the reference, independent counts and exact arithmetic.

Nothing here depends on how long anything takes.
"""

import math
import threading
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest

from bn_book.drawing import show
from bn_book.speed import experiments as speed
from bn_book.speed import figures as draw
from bn_book.speed import written
from bn_book.speed.claims import CLAIMS
from bn_book.speed.experiments import STEPS, Limits, Step, Timing
from bn_lib import Moments, batch_norm, batch_norm_backward, use_backend

BY_NAME = {step.name: step for step in STEPS}

each_step = pytest.mark.parametrize(
    "step",
    [
        pytest.param(step, marks=pytest.mark.needs("module:numba", package="numba") if step is speed.COMPILED else ())
        for step in STEPS
    ],
    ids=lambda step: step.name,
)


class Counted(np.ndarray):
    """An array that counts how many elements of large arrays are read and written by the functions applied to it."""

    large, reads, writes = 0, 0, 0

    def __array_ufunc__(self, ufunc, method, *inputs, out=(), **options):
        read = [np.asarray(x) for x in inputs]
        result = getattr(ufunc, method)(*read, out=tuple(map(np.asarray, out)) or None, **options)
        different = {(x.ctypes.data, x.strides): x.size for x in read if x.size >= Counted.large}  # d * d reads d once
        Counted.reads += sum(different.values())
        Counted.writes += result.size if np.size(result) >= Counted.large else 0
        return out[0] if out else np.asarray(result).view(Counted)


def counted(call, *arguments):
    """Reads and writes of arrays of the size of the first argument, in units of it."""
    first = arguments[0]
    Counted.large, Counted.reads, Counted.writes = first.size, 0, 0
    call(*(a.view(Counted) if np.size(a) >= first.size else a for a in arguments))
    return Counted.reads / first.size, Counted.writes / first.size


# The steps


@each_step
@pytest.mark.parametrize("shape", [(8, 6, 4000), (3, 5, 7), (2, 1, 64)])
def test_every_step_is_batch_norm(step, shape):
    x, gamma, beta, eps = speed.batch(shape, seed=3)
    with use_backend("reference"):
        expected, _ = batch_norm(x.astype(float), gamma.astype(float), beta.astype(float), eps=eps)
    y = step.run(x.copy(), gamma, beta, eps)
    assert y.dtype == np.float32
    np.testing.assert_allclose(y, expected, atol=3e-6)


@each_step
def test_no_step_touches_its_input(step):
    x, gamma, beta, eps = speed.batch((4, 3, 50))
    before = x.copy()
    step.run(x, gamma, beta, eps)
    np.testing.assert_array_equal(x, before)


@pytest.mark.parametrize("name", ["textbook", "in place", "folded", "products"])
def test_the_account_is_what_numpy_is_asked_to_do(name):
    step = BY_NAME[name]
    reads, writes = counted(step.run, *speed.batch((4, 3, 50)))
    assert reads == sum(len(each.reads) for each in step.passes)
    assert writes == sum(len(each.writes) for each in step.passes)
    assert reads + writes == step.transfers


def test_in_the_cache_a_channel_makes_the_passes_of_the_whole():
    x, gamma, beta, eps = speed.batch((4, 3, 50))
    one = slice(1, 2)
    reads, writes = counted(speed.products, x[:, one].copy(), gamma[one], beta[one], eps)
    passes = BY_NAME["by channel"].passes
    assert reads == sum(len(each.reads + each.near_reads) for each in passes)
    assert writes == sum(len(each.writes + each.near_writes) for each in passes)
    assert BY_NAME["by channel"].transfers == 2  # x once, y once


@each_step
def test_no_more_arrays_are_alive_than_the_account_says(step):
    arguments = speed.batch((16, 16, 4096))
    used = speed.memory(lambda: step.run(*arguments), arguments[0])
    assert used.peak == pytest.approx(step.arrays, abs=0.15)
    assert used.kept == pytest.approx(1, abs=0.05)


def test_the_steps_go_down():
    transfers = [step.transfers for step in STEPS]
    assert transfers == sorted(transfers, reverse=True)
    assert [step.arrays for step in STEPS] == sorted((step.arrays for step in STEPS), reverse=True)
    assert (transfers[0], transfers[-1]) == (12, 2)
    assert STEPS[0].bytes(8) == 2 * STEPS[0].bytes()


def test_the_backward_pass_line_by_line_is_the_librarys_and_moves_what_is_counted():
    x, gamma, beta, eps = speed.batch((4, 3, 50))
    dy = x[::-1].copy()
    with use_backend("reference"):
        _, cache = batch_norm(x, gamma, beta, eps=eps)
        expected = batch_norm_backward(dy, cache)
    inv_std = cache.inv_std.reshape(-1)
    for found, right in zip(speed.textbook_backward(dy, cache.x_hat, gamma, inv_std), expected, strict=True):
        np.testing.assert_allclose(found, right, rtol=1e-4, atol=1e-5)
    moved = sum(counted(speed.textbook_backward, dy, cache.x_hat, gamma, inv_std))
    assert moved == speed.transfers(speed.BACKWARD)


def test_without_numba_the_other_steps_are_there(monkeypatch):
    def missing(name):
        raise ImportError(name)

    monkeypatch.setattr(speed, "use_backend", missing)
    assert speed.steps() == STEPS[:-1]
    assert STEPS[-1] is speed.COMPILED


def test_without_threads_the_other_steps_are_there(monkeypatch):
    def refuse(_):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    assert speed.steps() == STEPS
    assert "two threads" not in speed.time_steps(shape=(2, 2, 8), rounds=1)


def test_two_threads_give_the_same_and_are_timed_beside_the_steps():
    arguments = speed.batch((4, 3, 50))
    np.testing.assert_array_equal(speed.two_threads(*arguments), speed.channel_by_channel(*arguments))
    assert {"copy", "two threads"} < speed.time_steps(shape=(2, 2, 8), rounds=1).keys()


def test_row_by_row_is_what_two_passes_lose_and_the_correction_finds():
    """The same values as rows of a transposed array are added in pairs; what is left over shows in the deviations."""
    x = (1e3 + 1e-2 * np.random.default_rng(0).standard_normal((1024, 8))).astype(np.float32)
    exact = x.astype(np.float64).mean(axis=0)
    by_rows, in_pairs = x.mean(axis=0), np.ascontiguousarray(x.T).mean(axis=1)
    assert np.abs(by_rows - exact).max() > 3 * np.abs(in_pairs - exact).max()
    found = by_rows + (x - by_rows).mean(axis=0, dtype=np.float64)
    assert np.abs(found - exact).max() < 1e-6
    worst = {name: max(each.error for each in damages) for name, damages in speed.errors(speed.MEANS).items()}
    assert worst["bn_lib"] < worst["two passes, corrected"] < worst["one pass, shifted"] < worst["two passes"] / 1e4


def test_a_fused_relu_gives_the_same():
    arguments = speed.batch((4, 3, 50))
    fused = speed.relu_fused(*arguments)
    np.testing.assert_array_equal(fused, speed.relu_apart(*arguments))
    np.testing.assert_array_equal(fused, np.maximum(speed.channel_by_channel(*arguments), 0))
    assert fused.min() == 0


def test_fusing_never_moves_more():
    assert all(work.fused <= work.apart for work in speed.FUSED)


# Time and its limits


def test_every_candidate_has_as_many_turns_as_the_copy():
    x, calls = np.ones(10), []
    found = speed.side_by_side({"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, x, rounds=5)
    assert list(found) == ["copy", "a", "b"]
    assert calls.count("a") == calls.count("b") == 1 + 5
    assert calls[2:] != ["a", "b"] * 5  # not always in the same order
    assert found["copy"][1:] == (1, 1, 1)
    assert all(t.low <= t.copies <= t.high and t.seconds > 0 for t in found.values())


def test_the_roof():
    limits = Limits(bandwidth=10.0, peak=200.0)
    assert limits.ridge == 20
    assert limits.roof(2) == 20
    assert limits.roof(limits.ridge) == limits.roof(1000) == 200


def test_limits_are_positive_numbers():
    found = speed.limits(size=1000, side=16, rounds=2)
    assert 0 < found.bandwidth < math.inf
    assert 0 < found.peak < math.inf


def test_bn_does_less_than_one_operation_a_byte():
    assert max(step.intensity() for step in STEPS) < 1
    assert speed.MATRIX_INTENSITY > 100


def test_memory_is_that_of_the_arrays():
    x = np.ones(100_000)

    def call():
        temporary = np.ones(3 * x.size)
        return temporary[: 2 * x.size].copy()

    found = speed.memory(call, x)
    assert found.peak == pytest.approx(5, abs=0.01)
    assert found.kept == pytest.approx(2, abs=0.01)


# The variance


@pytest.mark.parametrize("method", speed.METHODS.values(), ids=speed.METHODS)
def test_every_method_is_right_where_the_mean_is_small(method):
    x = np.random.default_rng(0).normal(0.1, 1, size=(256, 8)).astype(np.float32)
    exact = x.astype(float)
    expected = (exact - exact.mean(axis=0)) / np.sqrt(exact.var(axis=0) + 1e-5)
    np.testing.assert_allclose(method(x, 1e-5), expected, atol=1e-5)


@pytest.mark.parametrize("seed", range(4))
def test_only_shifted_sums_survive_a_large_mean(seed):
    found = {name: speed.damage(method, 1e4, seed=seed) for name, method in speed.METHODS.items()}
    assert found["one pass"].ruined > 0.9
    assert found["one pass"].negative > 0.5
    assert 1e-3 < found["two passes"].typical < 1
    assert found["one pass, shifted"].error < 1e-5
    assert found["bn_lib"].error < 1e-6
    assert found["bn_lib"].negative == 0


def test_the_error_of_one_pass_grows_with_the_square_of_the_mean():
    small, large = (speed.damage(speed.by_one_pass, mean).typical for mean in (0.1, 1.0))
    assert 30 < large / small < 300


def test_damage_counts_what_is_not_a_number():
    def broken(x, eps):
        y = np.zeros_like(x)
        y[0, :16] = np.nan
        return y

    found = speed.damage(broken, 0.0)
    assert found.negative == 0.25
    assert 3 < found.error < 6  # the largest of 65,536 normal values, taken for 0
    all_broken = speed.damage(lambda x, eps: x * np.nan, 0.0)
    assert all_broken == (math.inf, math.inf, 1, 1)
    assert found.ruined == 1  # 0 is far from the largest value of each channel
    shifted = speed.damage(lambda x, eps: speed.by_bn_lib(x, eps) + np.float32(0.4), 0.0)
    assert shifted.ruined == 0
    assert shifted.error == pytest.approx(0.4, abs=1e-5)


def test_the_numbers_by_hand():
    hand = speed.by_hand(speed.BY_HAND, speed.DIGITS)
    assert hand.squares == tuple(map(Decimal, ("100120000", "100140000", "100220100")))
    assert hand.mean_of_squares == 100160000
    assert hand.mean == 10008
    assert hand.square_of_mean == 100160100
    assert hand.difference == -100
    values = [Fraction(x) for x in speed.BY_HAND]
    exact = sum((x - 10008) ** 2 for x in values) / 3
    assert exact == Fraction(14, 3)
    assert abs(Fraction(hand.two_passes) - exact) < Fraction(1, 10**6)
    enough = speed.by_hand(speed.BY_HAND, 30)
    assert abs(Fraction(enough.difference) - exact) < Fraction(1, 10**15)


def test_seven_digits_are_about_those_of_float32():
    assert math.floor(24 * math.log10(2)) == speed.DIGITS


def test_worked_lines_hold_the_numbers():
    hand = speed.by_hand(speed.BY_HAND, speed.DIGITS)
    lines = written.worked_one_pass(hand)
    assert r"100\,120\,000" in lines
    assert r"\approx -100" in lines
    assert r"&= 10\,008" in lines
    shifted = written.worked_shifted(speed.by_hand(["0", "1", "5"], 7), "10006")
    assert r"d = x - 10\,006 &= (0,\; 1,\; 5)" in shifted
    assert r"- \bar d^2 &\approx 4.666667" in shifted


# Across workers


@pytest.mark.parametrize("pieces", [1, 2, 7, 64])
def test_pieces_merged_are_the_whole(pieces):
    x = np.random.default_rng(0).normal(1e4, 1, size=(640, 5))
    whole, merged = Moments.of(x, 0), speed.merged_in_pieces(x, pieces)
    assert merged.count == 640
    np.testing.assert_allclose(merged.mean, whole.mean, rtol=1e-14)
    np.testing.assert_allclose(merged.m2, whole.m2, rtol=1e-11)


@pytest.mark.parametrize("channels", [1, 64])
def test_what_is_sent_grows_with_the_channels_alone(channels):
    assert speed.bytes_sent(channels) == (8 * (3 * channels + 1), 8 * 2 * channels)


def test_no_claim_is_a_time():
    assert not [claim.name for claim in CLAIMS if "second" in claim.unit or "cop" in claim.unit.split()]


# Figures

TIMINGS = {step.name: Timing(1e-3 * (9 - i), 9.0 - i, 8.5 - i, 9.5 - i) for i, step in enumerate(STEPS)}


def marks(ax):
    """Places of the marks in the rows of the passes, and whether they are filled."""
    found = []
    for line in ax.get_lines():
        if line.get_marker() in ("o", "s") and line.get_ydata()[0] > -draw.ROWS:
            filled = line.get_markerfacecolor() == line.get_markeredgecolor()
            found.append((line.get_marker(), filled))
    return found


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.name)
def test_every_transfer_is_a_filled_mark(step):
    (ax,) = draw.traffic(step, TIMINGS[step.name]).axes
    drawn = marks(ax)
    assert sum(filled for _, filled in drawn) == step.transfers
    assert drawn.count(("o", True)) == sum(len(each.reads) for each in step.passes)
    assert drawn.count(("s", False)) == sum(len(each.near_writes) for each in step.passes)
    title = ax.get_title(loc="left")
    assert title.startswith(f"{step.name}: {step.transfers} transfers, {step.bytes()} bytes")
    assert title.endswith(f"as long as {TIMINGS[step.name].copies:.1f} copies")


def test_words_tell_the_account():
    words = draw.traffic_in_words(BY_NAME["by channel"], TIMINGS["by channel"])
    assert "5 passes" in words
    assert "3 of them find everything in the cache" in words
    assert "read once and written once, 8 bytes" in words
    plain = draw.traffic_in_words(BY_NAME["textbook"], TIMINGS["textbook"])
    assert "cache" not in plain
    assert "read 7 times and written 5 times, 48 bytes" in plain


def test_frames_keep_their_axes_and_are_light():
    book = [draw.traffic(step, TIMINGS[step.name]) for step in STEPS]
    limits = [[(ax.get_xlim(), ax.get_ylim()) for ax in fig.axes] for fig in book]
    assert all(limit == limits[0] for limit in limits)
    assert len({fig.axes[0].get_title(loc="left") for fig in book}) == len(book)
    assert sum(len(show(fig, alt="a frame").html) for fig in book) < 300_000


def test_the_ladder_draws_times_and_bytes():
    (ax,) = draw.ladder(STEPS, TIMINGS).axes
    assert [bar.get_width() for bar in ax.patches] == [TIMINGS[step.name].copies for step in STEPS]
    assert list(ax.get_lines()[0].get_xdata()) == [step.transfers / 2 for step in STEPS]
    assert [label.get_text() for label in ax.get_yticklabels()] == [step.name for step in STEPS]


def test_the_roof_is_drawn_over_its_points():
    limits = Limits(bandwidth=10e9, peak=100e9)
    (ax,) = draw.roofline(limits, {"low": (0.2, 1e9), "high": (100.0, 90e9)}).axes
    roof, *_ = ax.get_lines()
    assert list(roof.get_xdata())[1] == limits.ridge == 10
    np.testing.assert_allclose(roof.get_ydata(), [0.6, 100, 100])
    places = [(line.get_xdata()[0], line.get_ydata()[0]) for line in ax.get_lines()[1:3]]
    assert places == [(0.2, 1.0), (100.0, 90.0)]
    assert {"low", "high"} <= {text.get_text() for text in ax.texts}


def test_errors_are_drawn_and_what_is_no_number_is_crossed():
    damages = (speed.Damage(1e-3, 1e-3, 0.0, 0.0), speed.Damage(math.inf, math.inf, 1.0, 1.0))
    fig = draw.error_of_x_hat([1.0, 1e6], dict.fromkeys(speed.METHODS, damages))
    curve, crosses, *_ = fig.axes[0].get_lines()
    assert curve.get_ydata()[0] == 1e-3
    assert math.isnan(curve.get_ydata()[1])
    assert list(crosses.get_xdata()) == [1e6]


def test_tables_hold_every_row():
    table = written.table_of_steps(STEPS, TIMINGS).splitlines()
    assert len(table) == 2 + len(STEPS)
    assert table[2] == "| textbook | 48 | 5 | 9.0 |"
    work = written.table_of_work(speed.FUSED).splitlines()
    assert work[3] == "| BN, ReLU | 20 | 12 |"


def test_a_page_shows_what_is_run():
    shown = written.source(speed.products)
    assert shown.startswith("```python\ndef products(x, gamma, beta, eps, out=None):\n    count = ")
    namespace = {"np": np}
    exec(shown.removeprefix("```python\n").removesuffix("```"), namespace)
    arguments = speed.batch((4, 3, 50))
    np.testing.assert_array_equal(namespace["products"](*arguments), speed.products(*arguments))


def test_a_step_is_judged_by_memory_alone():
    step = Step("s", speed.textbook, (speed.Pass("p", "x", "", near_reads="yd", near_writes="y", flops=6),), 1)
    assert step.transfers == 1
    assert step.intensity() == 1.5
