"""The benchmarks' machinery on a clock of our own, the goals, and the page. Nothing here looks at real time."""

import gc
import json
import math
import weakref
from collections import deque
from dataclasses import fields, replace
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from matplotlib.transforms import Bbox

import bn_lib
from benchmarks import __main__ as program
from benchmarks import _measure, accuracy, memory, speed
from benchmarks.goals import CNN, GOALS, MLP, Row, judge
from bn_book import benchmarks as report
from bn_exercises.typography import as_in_a_book

BACKENDS, _ = speed.usable()
TABLES = ("forward", "backward", "relatives", "memory", "accuracy", "networks", "growth", "neighbour")


# Timing


class Clock:
    """Stands still until a call moves it."""

    def __init__(self, monkeypatch):
        self.now = 0.0
        self.log = []
        fake = SimpleNamespace(perf_counter=lambda: self.now, perf_counter_ns=lambda: round(self.now * 1e9))
        monkeypatch.setattr(_measure, "time", fake)

    def call(self, name, seconds):
        """A function that takes a number of seconds, or as many as `seconds(log)` says."""

        def run():
            self.now += seconds(self.log) if callable(seconds) else seconds
            self.log.append(name)

        return run


@pytest.fixture
def clock(monkeypatch):
    return Clock(monkeypatch)


def test_every_candidate_has_one_value_a_round(clock):
    found = _measure.interleaved({"a": clock.call("a", 1.0), "b": clock.call("b", 3.0)}, 7, settle=0, block=0)
    assert found == {"a": [pytest.approx(1)] * 7, "b": [pytest.approx(3)] * 7}


def test_a_short_call_is_timed_many_at_once(clock):
    found = _measure.interleaved({"a": clock.call("a", 0.001)}, 1, settle=0, block=0.02)
    assert found["a"] == [pytest.approx(0.001)]
    assert clock.log.count("a") >= 20


def test_the_order_is_drawn_anew_each_round_and_again_the_same(clock):
    def orders(seed):
        clock.log.clear()
        _measure.interleaved({name: clock.call(name, 1.0) for name in "abc"}, 20, settle=0, block=0, seed=seed)
        turns = clock.log[9:]  # three calls each to warm up; then one to settle and one that is timed
        return ["".join(turns[i : i + 6 : 2]) for i in range(0, len(turns), 6)]

    first = orders(0)
    assert len(set(first)) > 3
    assert all(sorted(order) == ["a", "b", "c"] for order in first)
    assert orders(0) == first != orders(1)


def test_a_machine_that_slows_down_moves_no_ratio(clock):
    slower = lambda seconds: lambda log: seconds * (1 if len(log) < 30 else 5)  # noqa: E731
    found = _measure.interleaved(
        {"a": clock.call("a", slower(1.0)), "peer": clock.call("peer", slower(2.0))}, 15, settle=0, block=0
    )
    assert max(found["a"]) > 2 * min(found["a"])
    rounds = _measure.ratios(found, "a", "peer")
    assert sum(ratio == pytest.approx(0.5) for ratio in rounds) >= 14  # the round in which it happens is no one's fault


def test_a_neighbour_that_disturbs_is_outwaited(clock):
    def disturbed(log):
        return 5.0 if "noisy" in log[-3:] else 1.0

    candidates = {"quiet": clock.call("quiet", disturbed), "noisy": clock.call("noisy", 1.0)}
    assert max(_measure.interleaved(candidates, 9, settle=20, block=0)["quiet"]) == pytest.approx(1)
    assert _measure.undisturbed(*candidates.values(), 4, settle=20) == [pytest.approx(5)] * 4


def test_results_are_freed_before_the_next_call_and_no_garbage_is_collected_meanwhile():
    class Result:
        pass

    last, alive, collecting = deque(maxlen=1), [], []

    def call():
        alive.append(any(result() is not None for result in last))
        collecting.append(gc.isenabled())
        result = Result()
        last.append(weakref.ref(result))
        return result

    assert gc.isenabled()
    _measure.interleaved({"a": call}, 3, settle=0, block=0)
    assert not any(alive)
    assert not any(collecting[3:])
    assert gc.isenabled()


def test_the_spread_is_the_tenth_and_the_ninetieth_percentile():
    assert _measure.Spread.of(range(11)) == (5, 1, 9)


# What is compared


@pytest.mark.parametrize("direction", speed.DIRECTIONS)
@pytest.mark.parametrize("shape", [(6, 4), (3, 4, 2, 2)])
def test_every_candidate_is_there_and_runs(shape, direction):
    calls = speed.candidates(shape, direction, BACKENDS)
    assert set(calls) == {"torch", "copy", *BACKENDS}
    for call in calls.values():
        result = call()
        assert tuple((result[0] if isinstance(result, tuple) else result).shape) == shape


@pytest.mark.parametrize("name", BACKENDS)
def test_a_candidate_runs_on_its_own_backend(name):
    assert speed._context(name).run(bn_lib.backend) == name


@pytest.mark.parametrize("name", BACKENDS)
def test_errors_memory_and_networks_are_of_the_backend_that_is_named(monkeypatch, name):
    used = []
    right = bn_lib.batch_norm

    def watched(*given, **more):
        used.append(bn_lib.backend())
        return right(*given, **more)

    monkeypatch.setattr(bn_lib, "batch_norm", watched)
    monkeypatch.setattr(memory, "_extra", lambda call: call() and 0)
    accuracy._answers(np.ones((3, 2), np.float32), [name])
    for direction in memory.DIRECTIONS:
        memory._ours(name, direction, (3, 2))
    assert used == [name] * 3

    for train in ("mlp", "cnn"):
        monkeypatch.setattr(
            program.networks, train, lambda rounds: used.append(bn_lib.backend()) or {"ratios": [1.0], "ours": 1.0}
        )
    list(program.network_table([name], 1))
    assert used[3:] == ([] if name == "reference" else [name] * 2)


@pytest.mark.parametrize(("direction", "function"), [("forward", "batch_norm"), ("backward", "batch_norm_backward")])
def test_what_is_not_the_same_is_not_compared(monkeypatch, direction, function):
    right = getattr(bn_lib, function)
    monkeypatch.setattr(bn_lib, function, lambda *given: (right(*given)[0] + 0.01, *right(*given)[1:]))
    with pytest.raises(AssertionError, match=r"reference and PyTorch differ by up to 0\.0"):
        speed.candidates((6, 4), direction, ["reference"])


def test_a_backend_that_cannot_be_used_is_left_out_with_its_reason(monkeypatch):
    def refuse():
        raise ImportError("no compiler today")

    monkeypatch.setattr(bn_lib.backends, "_numba", refuse)
    assert speed.usable() == (["reference", "numpy"], {"numba": "no compiler today"})


@pytest.mark.parametrize("shape", [(500, 3), (20, 3, 5, 5)])
def test_exact_is_exact(shape):
    x = np.random.default_rng(0).normal(3, 2, shape)
    reference, _ = bn_lib.batch_norm(x, np.ones(3), np.zeros(3))
    assert np.abs(accuracy.exact(x) - reference).max() < 1e-14
    assert np.abs(accuracy.textbook(x) - reference).max() < 1e-12


def test_where_the_mean_is_large_ours_is_exact_and_the_textbook_is_not():
    rows, _ = judge(accuracy.accuracy_table(BACKENDS, 1))
    assert len(rows) == len(accuracy.CASES) * len(accuracy.LAYOUTS) * (len(BACKENDS) + 2)
    for row in rows:
        if row.candidate == "textbook":
            assert row.median is None or row.median > 0.1
        if row.candidate in BACKENDS:
            assert row.reached is True


@pytest.mark.skipif(bool(memory.why_not()), reason=f"memory cannot be measured here: {memory.why_not()}")
@pytest.mark.parametrize(("arrays", "kept"), [(1, 1), (3, 1), (2, 2)])
def test_memory_at_the_peak_counts_what_was_freed_again(arrays, kept):
    size = 16 * 2**20  # float32: 64 MiB, beyond what an allocator keeps

    def call():
        made = [np.ones(size, np.float32) for _ in range(arrays)]
        return made[:kept]

    assert memory._extra(call) / (4 * size) == pytest.approx(arrays, abs=0.05)


@pytest.mark.skipif(bool(memory.why_not()), reason=f"memory cannot be measured here: {memory.why_not()}")
@pytest.mark.parametrize("candidate", ["torch", "reference"])
def test_memory_is_measured_in_a_process_of_its_own(monkeypatch, candidate):
    monkeypatch.setattr(memory, "SHAPES", {"NCHW": (4, 8, 512, 512)})
    found = {row.direction: row.median for row in memory.memory_table([candidate], ["NCHW"])}
    assert found["forward"] == pytest.approx(1 if candidate == "torch" else 5, abs=0.5)
    assert set(found) == {"forward", "backward"}


# Goals


def row(table, candidate, against="torch", value=1.0, **more):
    return Row(table, more.pop("case", "here"), candidate, against, value, value, value, **more)


def all_rows(value=1.0):
    """Every row that the program can write that a goal might be about."""
    for shape in speed.SHAPES:
        for direction in speed.DIRECTIONS:
            yield row(direction, "torch", "second", value, shape=shape, case=speed.in_words(shape))
            for name in ("reference", "numpy", "numba", "copy"):
                for peer in {"torch", "copy"} - {name}:
                    yield row(direction, name, peer, value, shape=shape, case=speed.in_words(shape))
    for name in ("torch", "reference", "numpy", "numba"):
        for direction in speed.DIRECTIONS:
            yield row("memory", name, "input", value, direction=direction, shape=(9, 9, 9, 9))
        yield row("accuracy", name, "y", value, shape=(9, 9))
        yield row("growth", name, "second", value, direction="forward", shape=(4, 16, 512, 512))
        for direction in speed.DIRECTIONS:
            yield row("relatives", name, value=value, direction=direction, shape=(64, 512), case="layer, 64×512")
        yield row("neighbour", name, name, value, shape=(8, 256, 28, 28))
    for name in ("numpy", "numba"):
        yield row("networks", name, case=MLP, value=value)
        yield row("networks", name, case=CNN, value=value)


# As they were set, and to how many rows each applies.
@pytest.mark.parametrize(
    ("key", "limit", "rows"),
    [
        ("numba", 1, 12),
        ("numba-64-512", 0.6, 2),
        ("numba-256-64", 0.4, 2),
        ("numba-forward-copy", 1.5, 4),
        ("numba-backward-copy", 2, 4),
        ("numpy-forward-image", 0.8, 2),
        ("memory-forward", 1, 2),
        ("memory-backward", 1, 2),
        ("accuracy", 1e-6, 3),
        ("network-mlp", 0.6, 1),
        ("network-mlp-numpy", 1.3, 1),
        ("network-cnn", 2, 2),
    ],
)
def test_a_goal_applies_to_its_rows(key, limit, rows):
    assert {goal.key for goal in GOALS} == set(report.WHY)
    for factor, reached in ((1, rows), (1.06, 0)):
        judged, goals = judge(all_rows(limit * factor))
        (found,) = [goal for goal in goals if goal["key"] == key]
        assert (found["limit"], found["rows"], found["reached"]) == (limit, rows, reached)
        assert sum(row.goal == key for row in judged) == rows


def test_a_goal_is_judged_by_its_worst_row():
    rows = [row("networks", "numpy", case=CNN, value=1.9), row("networks", "numba", case=CNN, value=2.1)]
    _, goals = judge(rows)
    (found,) = [goal for goal in goals if goal["key"] == "network-cnn"]
    assert (found["reached"], found["rows"], found["worst"], found["where"]) == (1, 2, 2.1, f"{CNN}, numba")


def test_what_is_not_a_number_reaches_nothing():
    judged, goals = judge([row("accuracy", "numpy", "y", None, shape=(9, 9))])
    assert judged[0].reached is False
    (found,) = [goal for goal in goals if goal["key"] == "accuracy"]
    assert (found["reached"], found["worst"]) == (0, None)


def test_memory_counts_to_a_tenth_of_the_input_and_time_exactly():
    assert judge([row("memory", "numpy", "input", 1.04, direction="forward")])[0][0].reached is True
    assert judge([row("memory", "numpy", "input", 1.06, direction="forward")])[0][0].reached is False
    assert judge([row("networks", "numba", case=MLP, value=0.6001)])[0][0].reached is False


def test_two_goals_for_one_row_are_a_mistake():
    with pytest.raises(ValueError, match="expected one goal at most"):
        judge([row("networks", "numpy", case=MLP)], [GOALS[-2], replace(GOALS[-2], key="again")])


# The program, on inputs that take no time


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(speed, "SHAPES", ((6, 4), (3, 4, 2, 2)))
        patch.setattr(speed, "RELATIVES", [(words, one, (2, 8, 3)) for words, one, _ in speed.RELATIVES[::2]])
        patch.setattr(speed, "interleaved", partial(_measure.interleaved, settle=0, block=0))
        patch.setattr(speed, "undisturbed", partial(_measure.undisturbed, settle=0))
        patch.setattr(program, "SIDES", (4, 5, 6, 8, 8, 8, 48, 8, 8, 64))
        patch.setattr(memory, "SHAPES", {"(N, C)": (64, 8), "NCHW": (4, 8, 4, 4)})
        patch.setattr(memory, "peak", lambda *_: 1.0)
        patch.setattr(memory, "ProcessPoolExecutor", lambda *_, **__: _Here())
        for name in ("mlp", "cnn"):
            patch.setattr(program.networks, name, lambda rounds: {"ratios": [0.5] * rounds, "ours": 1.0})
        patch.setattr(memory, "why_not", lambda: "")
        out = tmp_path_factory.mktemp("results") / "cpu.json"
        threads = torch.get_num_threads()
        program.main(["--quick", "--out", str(out)])
        torch.set_num_threads(threads)
    return json.loads(out.read_text(encoding="utf-8"))


class _Here:
    """In place of fresh processes."""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    map = staticmethod(map)


def test_results_hold_the_machine_and_every_row_with_its_spread_and_goal(results):
    machine = results["machine"]
    assert machine["processor"]
    assert machine["versions"]["PyTorch"].startswith("2.13.0")
    assert machine["threads"]["PyTorch"] == 2
    assert set(TABLES) == {row["table"] for row in results["rows"]}
    for row in results["rows"]:
        assert set(row) == {field.name for field in fields(Row)}
        assert row["median"] is None or row["low"] <= row["median"] <= row["high"]
        assert (row["goal"] is None) == (row["limit"] is None) == (row["reached"] is None)
    assert [goal["key"] for goal in results["goals"]] == [goal.key for goal in GOALS]


@pytest.mark.skipif("numba" not in BACKENDS, reason="would run if installed: numba (PyPI)")
def test_the_relatives_are_beside_pytorch_both_ways(results):
    table = report.relatives(results)
    assert len(table.rows) == len({row["case"] for row in results["rows"] if row["table"] == "relatives"}) == 5
    assert table.header[1:3] == ["forward", "backward"]
    assert report.relatives({"rows": []}).rows == [["not measured yet", "", "", "", ""]]


def test_results_say_nothing_of_where_they_were_measured(results):
    assert str(program.RESULTS.parents[2]) not in json.dumps(results)


def test_the_terminals_tables_fit(results):
    text = report.in_text(results)
    assert max(map(len, text.splitlines())) <= 100
    for title in ("The machine", "Forward: time", "Backward: time", "Extra memory", "Largest error", "Goals"):
        assert title in text


TABLE_FUNCTIONS = (
    report.machine,
    report.goals,
    partial(report.times, direction="forward"),
    partial(report.times, direction="backward"),
    report.beside_a_copy,
    report.relatives,
    report.peak_memory,
    report.errors,
    report.networks,
    partial(report.growth, direction="forward"),
    partial(report.growth, direction="backward"),
    report.exponents,
    report.neighbour,
)


@pytest.mark.parametrize("function", TABLE_FUNCTIONS)
def test_a_table_is_whole(results, function):
    table = function(results)
    assert table.rows
    assert {len(cells) for cells in table.rows} == {len(table.header)}
    lines = report.in_markdown(table).splitlines()
    assert len(lines) == len(table.rows) + 2
    assert {line.replace("\\|", "").count("|") for line in lines} == {len(table.header) + 1}


def test_without_numba_there_are_tables_all_the_same(results):
    without = dict(results, rows=[row for row in results["rows"] if row["candidate"] != "numba"])
    without["left_out"] = {"numba": "not installed"}
    text = report.in_text(without)
    assert "numba: not installed" in text
    assert "Numba" not in report.times(without, "forward").header
    _, without["goals"] = judge(Row(**row | {"shape": tuple(row["shape"])}) for row in without["rows"])
    assert "not measured" in report.in_text(without)


def test_a_missed_goal_is_shown_with_its_reason_and_a_reached_one_is_not():
    judged, goals = judge([row("networks", "numba", case=MLP, value=0.9), row("networks", "numpy", case=CNN)])
    text = report.reasons({"goals": goals, "rows": [vars(one) for one in judged]})
    assert "0.90" in text
    assert report.WHY["network-mlp"][:40] in text
    assert report.WHY["network-cnn"][:40] not in text
    assert report.reasons({"goals": [], "rows": []}) == ""


def test_the_page_leads_with_what_is_reached_and_folds_the_rest():
    judged, goals = judge([row("networks", "numba", case=MLP, value=0.9), row("networks", "numpy", case=CNN)])
    text = report.goals_in_markdown({"goals": goals, "rows": [vars(one) for one in judged]})
    before, fold, folded = text.partition("````{dropdown}")
    assert fold
    assert f"**1 of {len(GOALS)} goals are reached.**" in before
    assert report.REACHED in before
    assert report.MISSED not in before
    assert report.WHY["network-mlp"][:40] in folded
    assert "not measured" in folded, "a goal without a measurement is not reached"
    assert report.MISSED in folded
    assert report.REACHED not in folded


def test_a_cell_shows_its_spread_its_mark_and_what_is_not_a_number():
    one = vars(row("networks", "numpy", case=MLP, value=0.5)) | {"low": 0.4, "high": 0.7}
    assert report._cell(one) == "0.50\n0.40–0.70"
    assert report._cell(one | {"reached": True}) == "0.50 ✓\n0.40–0.70"
    assert report._cell(one | {"reached": False, "high": 0.4}) == "0.50 ✗"
    assert report._cell(one | {"median": None, "low": None, "high": None}) == "NaN"


@pytest.mark.parametrize(
    ("value", "words"), [(0.2666, "0.27"), (2.0, "2.00"), (41.26, "41.3"), (1234.0, "1.23e+03"), (1.23e-7, "1.2e-7")]
)
def test_numbers_have_two_or_three_digits(value, words):
    assert report.number(value) == words


@pytest.mark.parametrize(("value", "words"), [(31.4e-6, "31.4 µs"), (0.014, "14 ms"), (2.5, "2.5 s")])
def test_times_have_units(value, words):
    assert report.seconds(value) == words


@pytest.mark.parametrize("draw", [report.time_against_size, report.time_an_element])
def test_the_plots_have_a_line_for_each_library_and_a_mark_for_each_cache_on_the_axis(results, draw):
    results = dict(results, machine=results["machine"] | {"caches": {"L1": 4 * 2000, "L9": 4 * 10**12}})
    figure = draw(results)
    compared = {"PyTorch", "copy", *(report.NAMES[name] for name in BACKENDS if name != "reference")}
    for axes in figure.axes:
        assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
        labelled = {line.get_label(): line for line in axes.lines if not line.get_label().startswith("_")}
        assert set(labelled) == compared
        elements = [math.prod((4, 16, side, side)) for side in (4, 8, 48, 64)]
        assert list(labelled["PyTorch"].get_xdata()) == elements  # quick takes every third side
        assert [line.get_xdata()[0] for line in axes.lines if line.get_label().startswith("_")] == [2000]
    assert [text.get_text() for text in figure.axes[0].texts] == ["L1"]
    figure.canvas.draw()
    first = figure.axes[0]
    assert not Bbox.intersection(first.get_legend().get_window_extent(), first.get_window_extent())


def test_the_power_of_the_elements_is_that_of_the_large_inputs():
    def one(side, seconds):
        return vars(row("growth", "copy", "second", seconds, shape=(4, 16, side, side), direction="forward"))

    rows = [one(4, 9.0), one(8, 9.0), *(one(side, side**3.0) for side in (50, 100, 200))]
    assert report._exponent({"rows": rows}, "copy", "forward") == pytest.approx(1.5)


# What the page shows


@pytest.fixture(scope="module")
def shown():
    return json.loads(program.RESULTS.read_text(encoding="utf-8"))


def test_the_page_shows_a_whole_run(shown):
    assert shown["quick"] is False
    assert shown["left_out"] == {}
    assert shown["machine"]["load"] <= program.IDLE, "measure again when nothing else runs"
    assert all(goal["rows"] for goal in shown["goals"])
    timed = {(row["table"], row["case"]) for row in shown["rows"]}
    assert {(d, speed.in_words(shape)) for d in speed.DIRECTIONS for shape in speed.SHAPES} <= timed


def test_the_page_judges_by_the_goals_of_today(shown):
    rows, goals = judge(Row(**row | {"shape": tuple(row["shape"])}) for row in shown["rows"])
    assert goals == shown["goals"]
    assert [row.reached for row in rows] == [row["reached"] for row in shown["rows"]]


def test_the_built_page_has_the_numbers_of_the_file(shown, built_site):
    page = (built_site / "book" / "benchmarks.html").read_text(encoding="utf-8")
    for goal in shown["goals"]:
        assert goal["says"] in page
        assert as_in_a_book(report.number(goal["worst"])) in page
    assert shown["machine"]["processor"].split("@")[0] in page
    assert page.count('class="bn-figure"') == 2
