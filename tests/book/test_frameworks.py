"""The chapter on PyTorch and Keras: the pitfalls in both, the record against a fresh run, the rest against theory."""

import ast
import io
import math
import re
import subprocess
import sys
import tomllib
import warnings
from pathlib import Path

import keras
import numpy as np
import onnx
import pytest
import torch
from drawn import covered

from bn_book.frameworks import experiments as exp
from bn_book.frameworks import figures as draw
from bn_book.frameworks import installed, pitfalls, side_by_side
from bn_lib import BatchNorm, Convention, softmax_cross_entropy, to_keras, to_torch

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "book" / "chapters" / "frameworks.md").read_text(encoding="utf-8")
RECORDED = installed.recorded()
SINGLE = "PyTorch, float32", "Keras, float32", "bn_lib, float32"


@pytest.fixture(scope="module")
def fresh():
    """Everything run anew, as the page does where both are installed."""
    return installed.results()


# Pitfalls


@pytest.mark.parametrize("pitfall", pitfalls.PITFALLS, ids=lambda pitfall: pitfall.name)
@pytest.mark.parametrize("framework", pitfalls.FRAMEWORKS)
def test_a_pitfall_happens_and_is_mended(pitfall, framework, fresh):
    pair = fresh.pitfalls[pitfall.name][framework]
    assert pitfalls.happens(pitfall, framework, pair), pair
    broken, cured = pair
    assert not pitfall.shows(cured, broken), "a predicate that takes both ways round shows nothing"


def test_pitfalls_are_complete():
    names = [each.name for each in pitfalls.PITFALLS]
    assert len(set(names)) == len(names)
    for each in pitfalls.PITFALLS:
        assert all(text.endswith(".") for text in (each.symptom, each.cause, each.check))
        assert each.reports
        for where in each.reports:
            assert re.fullmatch(r"https://github\.com/[\w.-]+/[\w.-]+/issues/\d+", where.url)
    table = draw.table_of_pitfalls()
    assert table.count("\n") == len(names) + 1
    assert all(where.url in table for each in pitfalls.PITFALLS for where in each.reports)


def test_the_table_has_what_people_report_most():
    assert {each.name for each in pitfalls.PITFALLS} >= {
        "softmax-twice", "gamma-decays", "eval-forgotten", "train-undoes-it", "no-gradients-but-statistics",
        "accumulation", "data-parallel", "last-batch-of-one", "half-precision", "wrong-axis", "export",
        "momentum-swapped",
    }  # fmt: skip


# Three libraries


@pytest.mark.parametrize("name", side_by_side.NETWORKS)
def test_the_libraries_agree_to_rounding(name, fresh):
    found = fresh.differences[name]
    assert set(found["Keras, float32"]) == set(side_by_side.QUANTITIES)
    assert max(found["PyTorch, float64"].values()) < 1e-12
    for way in SINGLE:
        assert max(value for what, value in found[way].items() if what != "as stored") < 3e-5, way
    assert found["Keras, float32"]["as stored"] > 100 * found["Keras, float32"]["inference"]


@pytest.mark.parametrize("name", side_by_side.NETWORKS)
def test_another_eps_is_no_rounding(name, fresh):
    assert fresh.steps[name][side_by_side.EPS_FORGOTTEN][0] > 1e-4
    assert all(max(fresh.steps[name][way]) < 3e-5 for way in SINGLE)
    assert all(len(series) == side_by_side.STEPS for series in fresh.steps[name].values())


# The record


def test_where_both_are_installed_they_are_run(fresh):
    assert installed.are_here()
    assert fresh.live
    assert "when this page was built" in fresh.where_from


def test_the_record_is_of_the_versions_that_are_pinned(fresh):
    tests = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]["test"]
    pinned = dict(line.split("==") for line in tests if line.startswith(("torch", "keras")))
    assert RECORDED.versions == fresh.versions == {"PyTorch": pinned["torch"], "Keras": pinned["keras"]}
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", RECORDED.date)


def test_the_record_agrees_with_a_fresh_run(fresh):
    """What is rounding may be other rounding; the rest is the same number.

    Far from zero the variance is nothing but rounding, which depends on the order in which a processor adds.
    """
    assert {*RECORDED.pitfalls} == {*fresh.pitfalls}
    for name, of_one in fresh.pitfalls.items():
        for framework, pair in of_one.items() if name != "far-from-zero" else ():
            np.testing.assert_allclose(RECORDED.pitfalls[name][framework], pair, rtol=0.02, atol=1e-4, err_msg=name)
    for name, ways in fresh.differences.items():
        for way, quantities in ways.items():
            for what, value in quantities.items():
                there = RECORDED.differences[name][way][what]
                np.testing.assert_allclose(there, value, rtol=0.05, atol=1e-12 if "64" in way else 3e-5)
        for way, series in fresh.steps[name].items():
            there = RECORDED.steps[name][way]
            np.testing.assert_allclose(there, series, rtol=0.05, atol=1e-12 if "64" in way else 3e-5)


def test_without_them_the_record_is_shown_and_says_so():
    code = """
import sys
class Neither:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "keras"):
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Neither())
from importlib import util
real = util.find_spec
util.find_spec = lambda name, *rest: None if name in ("torch", "keras") else real(name, *rest)
from bn_book.frameworks import claims, figures, installed, laboratory
found = installed.results()
assert not found.live
assert figures.table_of_reproductions(found).count("|")
print(found.where_from)
"""
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "not installed here" in done.stdout
    assert RECORDED.date in done.stdout


def test_importing_them_leaves_no_trace(monkeypatch, tmp_path):
    """Neither in the environment nor in a user's home, whose settings have no say."""
    monkeypatch.setenv("KERAS_BACKEND", "tensorflow")
    monkeypatch.delenv("KERAS_HOME", raising=False)
    with installed.frameworks():
        assert keras.backend.backend() == "torch"
    import os

    assert os.environ["KERAS_BACKEND"] == "tensorflow"
    assert "KERAS_HOME" not in os.environ


# Softmax


@pytest.mark.parametrize("classes", [2, 4, 10])
def test_no_logits_go_below_the_floor(classes):
    rng, label = np.random.default_rng(0), np.array([0])
    least = math.inf
    for scale in (0.1, 1, 10, 1000):
        for _ in range(50):
            logits = rng.normal(0, scale, (1, classes))
            least = min(least, softmax_cross_entropy(exp.Softmax()(logits), label)[0])
    assert least >= exp.floor(classes) - 1e-12
    assert exp.of_lead(1e3, classes).twice == pytest.approx(exp.floor(classes), abs=1e-12)
    assert exp.floor(4) == pytest.approx(0.74, abs=0.005)  # what the report found for four classes


def test_the_gradient_of_softmax_is_that_of_torch():
    rng = np.random.default_rng(0)
    x, dy = rng.normal(size=(3, 4)), rng.normal(size=(3, 4))
    theirs = torch.tensor(x, requires_grad=True)
    torch.softmax(theirs, 1).backward(torch.from_numpy(dy))
    layer = exp.Softmax()
    np.testing.assert_allclose(layer(x), torch.softmax(theirs, 1).detach(), atol=1e-12)
    np.testing.assert_allclose(layer.backward(dy), theirs.grad, atol=1e-12)


@pytest.mark.parametrize("classes", [2, 10])
def test_where_all_classes_are_alike_the_second_softmax_divides_the_gradient_by_their_number(classes):
    at = exp.of_lead(0.0, classes)
    assert at.slope_twice == pytest.approx(at.slope_once / classes, rel=1e-12)


# Conversion


def test_the_example_by_hand_is_what_the_frameworks_hold():
    hand = exp.by_hand()
    theirs = keras.layers.BatchNormalization(momentum=float(hand.momentum))
    torchs = torch.nn.BatchNorm1d(1, momentum=float(hand.weight))
    for batch in hand.batches:
        x = torch.tensor([[float(value)] for value in batch])
        theirs(x, training=True)
        torchs(x)
    assert theirs.moving_mean.value.item() == pytest.approx(float(hand.keras_mean), rel=1e-6)
    assert theirs.moving_variance.value.item() == pytest.approx(float(hand.keras_var), rel=1e-6)
    assert torchs.running_mean.item() == pytest.approx(float(hand.keras_mean), rel=1e-6)
    assert torchs.running_var.item() == pytest.approx(float(hand.torch_var), rel=1e-6)


def test_moved_with_every_conversion_it_holds_what_pytorch_would():
    """Two layers see the same batches, one in each convention; the one of Keras is moved."""
    rng, batch = np.random.default_rng(0), 5
    batches = rng.normal(1, 3, (12, batch, 64))
    theirs = BatchNorm.in_convention("keras", 64)
    ours = BatchNorm.in_convention("pytorch", 64, momentum=0.01, eps=1e-3)
    for x in batches:
        theirs(x), ours(x)
    model = exp.network(0, lambda _: theirs)
    (norm,) = (layer for layer in exp.moved_to_pytorch(model, "nothing", batch) if isinstance(layer, BatchNorm))
    np.testing.assert_allclose(norm.running_var, ours.running_var, rtol=1e-12)
    assert (norm.eps, norm.momentum, norm.unbiased_running_var) == (ours.eps, ours.momentum, True)
    for kind, name, value in (("eps", "eps", 1e-5), ("momentum", "momentum", 0.99)):
        (norm,) = (layer for layer in exp.moved_to_pytorch(model, kind, batch) if isinstance(layer, BatchNorm))
        assert getattr(norm, name) == value
    assert Convention.KERAS.default_momentum == 0.99


def test_moving_changes_nothing_that_is_trained():
    found = exp.moved("nothing")
    assert (found.apart == 0).all()
    assert exp.moved("momentum").apart[0] == 0


def test_the_accumulated_gradient_is_that_of_torch():
    rng = np.random.default_rng(0)
    x, labels = rng.normal(size=(12, 784)), rng.integers(0, 10, 12)
    model = side_by_side.dense_in_bn_lib(np.random.default_rng(1))
    module = side_by_side.dense_in_torch().double()
    module.load_state_dict({key: torch.from_numpy(value) for key, value in model.state_dict("pytorch").items()})
    for part, part_labels in zip(np.split(x, 3), np.split(labels, 3), strict=True):
        logits = module(torch.from_numpy(part))
        (torch.nn.functional.cross_entropy(logits, torch.from_numpy(part_labels)) / 3).backward()
    np.testing.assert_allclose(exp.gradient(model, x, labels, 3), module[0].weight.grad.T, atol=1e-12)


# What the page says


def exported(network, x):
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(network, (x,), file, dynamo=False)
    return {node.op_type for node in onnx.load_from_string(file.getvalue()).graph.node}


def test_pytorchs_exporter_folds_and_that_of_keras_does_not():
    module = side_by_side.cnn_in_torch().eval()
    operations = exported(module, torch.zeros(1, 1, 28, 28))
    assert "Conv" in operations
    assert "BatchNormalization" not in operations
    assert not operations & {"Mul", "Sub", "Add", "Div"}
    assert exported(side_by_side.cnn_in_keras().eval(), torch.zeros(1, 28, 28, 1)) >= {"Conv", "Mul", "Add"}


def test_the_lines_for_conversion_run():
    (block,) = re.findall(r"```python\n(from bn_lib import.*?)```", PAGE, re.DOTALL)
    module = side_by_side.cnn_in_torch().eval()
    names = {"torch_model": module}
    exec(block, names)
    x = torch.randn(3, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    np.testing.assert_allclose(names["module"].eval()(x).detach(), module(x).detach(), atol=1e-5)
    norms = [layer for layer in names["theirs"].layers if "batch_norm" in layer.name]
    assert [layer.momentum for layer in norms] == [0.9, 0.9]
    assert [layer.momentum for layer in names["again"] if isinstance(layer, BatchNorm)] == [0.1, 0.1]


def test_the_code_that_is_shown_is_the_code_that_runs():
    for make in (side_by_side.cnn_in_torch, side_by_side.cnn_in_keras, side_by_side.cnn_in_bn_lib):
        shown = draw.code(make).removeprefix("```python\n").removesuffix("\n```")
        (statement,) = ast.parse(shown).body
        assert isinstance(statement, ast.Expr)
        assert all(len(line) <= 66 for line in shown.splitlines())  # as wide as the column


def test_the_names_are_those_of_the_frameworks():
    table = draw.table_of_names(side_by_side.cnn_in_bn_lib(np.random.default_rng(0))[:2])
    for key in ("`1.running_var` 4", "`1.moving_variance` 4", "`0.kernel` 3 × 3 × 1 × 4", "`0.weight` 4 × 1 × 3 × 3"):
        assert key in table
    assert "`batch_stats / layers_1 / var` 4" in table


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (math.nan, "–"),
        (math.inf, "∞"),
        (0.0, "0"),
        (1.8379, "1.84"),
        (3e-7, r"$3 \times 10^{-7}$"),
        (65504.0, "65,504"),
    ],
)
def test_numbers_are_written_as_in_a_book(value, shown):
    assert draw.written(value) == shown


def figures():
    runs = [exp.with_softmax(1).losses], [exp.with_softmax(2).losses]
    yield draw.losses(*runs)
    yield from (draw.lead(value) for value in (0, 3, 12))
    yield draw.apart(RECORDED.steps["dense"])
    yield draw.moved({kind: exp.moved(kind) for kind in exp.FORGOTTEN[1:4]})


def test_no_words_lie_over_lines():
    assert [covered(figure) for figure in figures()] == [[]] * 6


@pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword")  # Keras on PyTorch
def test_the_doctor_finds_the_same_in_all_three():
    """The five models of the page, as modules of PyTorch and models of Keras."""
    (cell,) = (
        block for block in re.findall(r"```{code-cell} ipython3\n(.*?)```", PAGE, re.DOTALL) if "decaying" in block
    )
    names = {"np": np}
    exec(cell, names)
    checks = {"momentum": "momentum", "a bias": "bias", "dropout": "after dropout", "decay": "decay"}
    for name, model in names["models"].items():
        module, theirs = to_torch(model), to_keras(model, (64,))
        decay = {"weight_decay": 1e-4} if name == "decay" else {}
        optimizer = torch.optim.SGD(module.parameters(), 0.1, **decay)
        found = [finding.check for finding in names["doctor"](module, optimizer)]
        if name in checks:
            assert found == [checks[name]], name
            found = names["doctor"](theirs, keras.optimizers.SGD(0.1, **decay))
            assert [finding.check for finding in found] == [checks[name]], name
        else:
            assert "inference" in found  # Keras's layers have no mode
