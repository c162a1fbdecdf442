"""`recompute_statistics` against statistics worked out by hand, and what it must leave alone."""

import numpy as np
import pytest
from refusals import X

from bn_lib import (
    BatchNorm,
    Conv2d,
    Dense,
    Dropout,
    Flatten,
    GhostBatchNorm,
    Moments,
    Recorder,
    ReLU,
    Residual,
    Sequential,
    Tanh,
    recompute_statistics,
)


def rng(seed=0):
    return np.random.default_rng(seed)


def rows(*shape):
    return 1 + 2 * rng(1).normal(size=shape)


def network(seed=0):
    r = rng(seed)
    shared = BatchNorm(4, momentum=0.3)
    return Sequential(
        Dense(3, 4, rng=r),
        Dropout(0.5, rng=r),
        BatchNorm(4),
        ReLU(),
        Residual(Dense(4, 4, rng=r), shared, Tanh(), Dropout(0.2, rng=r), shared),
        GhostBatchNorm(4, 3),
        Dense(4, 2, rng=r),
    )


def test_the_first_layer_gets_the_moments_of_all_values_however_they_are_cut():
    values = rows(24, 3, 2)
    whole = Moments.of(values, (0, 2))
    for cuts in ([12], [2, 4, 9, 22], []):
        layer = BatchNorm(3, momentum=0.7)
        layer.forward(values[:5] + 100)  # forgotten
        recompute_statistics(layer, np.split(values, cuts))
        assert np.allclose(layer.running_mean, whole.mean, rtol=1e-12)
        assert np.allclose(layer.running_var, whole.var(), rtol=1e-12)
        assert layer.num_batches_tracked == len(cuts) + 1


def test_batches_of_equal_size_give_the_formula_of_the_paper():
    batches = [rows(6, 3) * scale + scale for scale in (1.0, 3.0, -2.0)]
    layer = BatchNorm(3)
    recompute_statistics(layer, iter(batches))
    means, variances = (np.stack([f(b, axis=0) for b in batches]) for f in (np.mean, np.var))
    assert np.allclose(layer.running_mean, means.mean(axis=0), rtol=1e-12)
    expected = (means**2 + variances).mean(axis=0) - means.mean(axis=0) ** 2
    assert np.allclose(layer.running_var, expected, rtol=1e-12)


def test_layers_behind_see_what_batch_statistics_make():
    """By hand: every layer normalizes each batch with its own statistics, and nothing is dropped."""
    model = network()
    batches = [rows(6, 3), 2 + rows(9, 3) ** 2]
    inputs = [[], [], []]
    for x in batches:
        h = x @ model.stack[0].weight + model.stack[0].bias
        inputs[0].append(h)
        h = np.maximum((h - h.mean(axis=0)) / np.sqrt(h.var(axis=0) + 1e-5), 0)
        branch = model.stack[4].stack
        inner = h @ branch[0].weight + branch[0].bias
        inputs[1].append(inner)
        inner = np.tanh((inner - inner.mean(axis=0)) / np.sqrt(inner.var(axis=0) + 1e-5))
        inputs[1].append(inner)  # the layer that is there twice
        inputs[2].append(h + (inner - inner.mean(axis=0)) / np.sqrt(inner.var(axis=0) + 1e-5))
    recompute_statistics(model, batches)
    norms = model.stack[2], model.stack[4].stack[1], model.stack[5]
    for norm, seen, count in zip(norms, inputs, (2, 4, 5), strict=True):
        values = np.vstack(seen)
        assert np.allclose(norm.running_mean, values.mean(axis=0), rtol=1e-10)
        assert np.allclose(norm.running_var, values.var(axis=0), rtol=1e-10)
        assert norm.num_batches_tracked == count


@pytest.mark.parametrize("unbiased", [True, False])
def test_of_one_batch_inference_is_training(unbiased):
    r = rng()
    model = Sequential(
        Conv2d(1, 3, 2, rng=r),
        BatchNorm(3, unbiased_running_var=unbiased),
        ReLU(),
        Flatten(),
        Dense(12, 4, rng=r),
        BatchNorm(4),
    )
    x = r.normal(size=(8, 1, 3, 3))
    y = model.forward(x)
    recompute_statistics(model, [x])
    assert np.allclose(model.eval().forward(x), y, rtol=1e-10, atol=1e-12)


def rest(model):
    """Everything but the running statistics: modes, parameters, gradients, passes, generators."""
    layers = list(dict.fromkeys(model.layers()))
    return [
        (layer.training, layer.last_pass, id(layer.grads), [id(getattr(layer, name)) for name in layer.parameter_names])
        for layer in layers
    ] + [layer._rng.bit_generator.state for layer in layers if isinstance(layer, Dropout)]


def statistics(model):
    return {key: value.tolist() for key, value in model.state_dict().items()}


def test_nothing_but_the_statistics_changes():
    model = network()
    model.stack[2].eval()
    x = rows(8, 3)
    model.fill_grads(model.forward(x))
    before, state = rest(model), statistics(model)
    with Recorder(model) as recorder:
        recompute_statistics(model, [x])
    assert not recorder.steps
    assert rest(model) == before
    changed = {key for key, value in statistics(model).items() if value != state[key]}
    assert {key.rpartition(".")[2] for key in changed} <= {"running_mean", "running_var", "num_batches_tracked"}
    assert len([key for key in changed if key.endswith("running_mean")]) == 4  # with the shared one's two names


def fails_in_between():
    yield rows(6, 3)
    raise OSError("no more")


@pytest.mark.parametrize(
    ("batches", "error", "message"),
    [
        ([X, X[:, :2]], ValueError, "x has shape"),
        ([X, X[:1]], ValueError, "one value per channel"),
        (fails_in_between(), OSError, "no more"),
        ([X, X * np.nan], ValueError, "the new running_mean of a BatchNorm holds a NaN|the new running_var of a"),
        ([], ValueError, "batches is empty; expected at least one"),
        (X, TypeError, "batches is one array, a ndarray; expected an iterable of arrays"),
        (7, TypeError, "batches is a int; expected an iterable of arrays"),
    ],
    ids=["features", "one row", "reading", "NaN", "none", "one array", "a number"],
)
def test_nothing_changes_when_it_raises(batches, error, message):
    model = network()
    model.fill_grads(model.forward(rows(8, 3)))
    before = rest(model), statistics(model)
    with pytest.raises(error, match=message):
        recompute_statistics(model, batches)
    assert (rest(model), statistics(model)) == before


def test_a_model_without_running_statistics_is_refused():
    for model, seen in ((Sequential(ReLU()), "Sequential without a BatchNorm"), ("model", "str; expected a Layer")):
        with pytest.raises((TypeError, ValueError), match=seen):
            recompute_statistics(model, [X])
