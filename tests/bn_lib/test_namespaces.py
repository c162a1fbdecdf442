"""The same code on any array that follows the array API standard, with the same numbers.

`array_api_strict` is NumPy behind an interface that has the standard's functions and nothing else, so a function that
only NumPy has, a mixed type or an implicit conversion raises here as it would, or worse, on a GPU.

"The same numbers" means the same bits, so NumPy takes the readable reference here, as the strict arrays do: the faster
backends round elsewhere, and `test_backends` compares them with it.
"""

import sys

import array_api_strict as strict
import numpy as np
import pytest
from normalizer_cases import each_normalizer, typical

import bn_lib
from bn_lib import (
    SGD,
    BatchNorm,
    Conv2d,
    Dense,
    Dropout,
    Flatten,
    Moments,
    Recorder,
    ReLU,
    Residual,
    Sequential,
    Sigmoid,
    Tanh,
)


@pytest.fixture(autouse=True)
def _reference():
    with bn_lib.use_backend("reference"):
        yield


def assert_same(theirs, ours):
    """A strict array with exactly NumPy's values and dtype."""
    assert isinstance(theirs, type(strict.asarray(0.0)))
    theirs = np.asarray(theirs)
    assert theirs.dtype == ours.dtype
    assert np.array_equal(theirs, ours)


@each_normalizer
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(5, 4, 3), (2, 4, 3, 2)], ids=str)
def test_normalizers(normalizer, shape, dtype):
    arrays = typical(normalizer, shape, dtype)
    results = []
    for xp in (strict, np):
        x, gamma, beta, dy = (xp.asarray(a) for a in arrays)
        y, cache = normalizer.forward(x, gamma, beta, 1e-5)
        dx, dgamma, dbeta = normalizer.backward(dy, cache)
        results.append((y, dx, dgamma, dbeta, cache.moments.mean, cache.moments.var()))
    for theirs, ours in zip(*results, strict=True):
        assert_same(theirs, ours)


def test_inference_and_moments():
    x = np.random.default_rng(0).normal(size=(5, 3, 4))
    parameters = [np.linspace(1, 2, 3)] * 4
    y = bn_lib.batch_norm_inference(strict.asarray(x), *(strict.asarray(p) for p in parameters))
    assert_same(y, bn_lib.batch_norm_inference(x, *parameters))
    one, two = (
        Moments.of(xp.asarray(x[:2]), (0, 2)).merge(Moments.of(xp.asarray(x[2:]), (0, 2))) for xp in (strict, np)
    )
    assert_same(one.mean, two.mean)
    assert_same(one.var(ddof=1), two.var(ddof=1))


def test_softmax_cross_entropy():
    logits, labels = np.random.default_rng(0).normal(size=(5, 3)), np.array([0, 2, 1, 1, 0])
    for kind in (np.int64, np.int32, np.uint8, np.uint64):
        loss, dlogits = bn_lib.softmax_cross_entropy(strict.asarray(logits), strict.asarray(labels.astype(kind)))
        expected, gradient = bn_lib.softmax_cross_entropy(logits, labels)
        assert loss == expected
        assert_same(dlogits, gradient)


def network(xp, dtype=None):
    """Every layer there is."""
    rng = np.random.default_rng(0)
    options = {"xp": xp, "dtype": dtype}
    return Sequential(
        Conv2d(1, 4, 3, padding=1, bias=False, rng=rng, **options),
        BatchNorm(4, **options),
        ReLU(),
        bn_lib.WeightStandardized(Conv2d(4, 4, 2, stride=2, rng=rng, **options)),
        bn_lib.InstanceNorm(4, **options),
        Sigmoid(),
        bn_lib.GroupNorm(2, 4, **options),
        Flatten(),
        bn_lib.LayerNorm(16, **options),
        bn_lib.RMSNorm(16, **options),
        Dropout(0.3, rng=rng),
        Dense(16, 5, rng=rng, **options),
        BatchNorm.in_convention("paper", 5, **options),
        Residual(Tanh(), bn_lib.GhostBatchNorm(5, 2, **options), bn_lib.BatchRenorm(5, **options)),
        Dense(5, 3, bias=False, rng=rng, **options),
    )


@pytest.mark.parametrize("dtype", ["float32", None])
def test_a_network_trains_to_the_same_parameters(dtype):
    rng = np.random.default_rng(1)
    x, labels = rng.normal(size=(12, 1, 4, 4)), rng.integers(0, 3, size=12)
    x = x.astype(dtype or np.float64)
    results = []
    for xp in (strict, np):
        model = network(xp, getattr(xp, dtype) if dtype else None)
        data = xp.asarray(x), xp.asarray(labels)
        sgd = SGD(model, 0.1, momentum=0.9, weight_decay=0.01)
        with Recorder(model) as recorder:
            history = bn_lib.fit(
                model,
                sgd,
                *data,
                epochs=2,
                batch_size=5,
                rng=np.random.default_rng(2),
                validation=data,
                progress=False,
            )
        results.append((model.state_dict(), history, recorder))
    (state, history, recorder), (numpy_state, numpy_history, numpy_recorder) = results
    assert history == numpy_history
    assert len(history.loss) == 4
    for key, value in numpy_state.items():
        assert_same(state[key], value)
    for index, summaries in numpy_recorder.gradients.items():
        assert np.array_equal(recorder.gradients[index], summaries)


def test_curvature_and_statistics_of_a_network():
    rng = np.random.default_rng(1)
    x, labels = rng.normal(size=(12, 1, 4, 4)), rng.integers(0, 3, size=12)
    found = []
    for xp in (strict, np):
        model, data = network(xp), (xp.asarray(x), xp.asarray(labels))
        bn_lib.recompute_statistics(model, [xp.asarray(x[:7]), xp.asarray(x[7:])])
        theta = bn_lib.parameter_vector(model)
        loss, gradient = bn_lib.loss_and_gradient(model, *data)
        product = bn_lib.hessian_vector_product(model, *data, gradient)
        bn_lib.set_parameter_vector(model, theta - 0.1 * gradient)
        features = xp.asarray(x.reshape(12, 16)[:, :5])
        largest = bn_lib.hessian_eigenvalues(model.stack[-1], features, data[1])
        found.append((loss, largest, theta, gradient, product, model.state_dict()))
    (loss, largest, *theirs, state), (numpy_loss, numpy_largest, *ours, numpy_state) = found
    assert (loss, *largest) == (numpy_loss, *numpy_largest)
    for one, other in zip((*theirs, *state.values()), (*ours, *numpy_state.values()), strict=True):
        assert_same(one, other)


def test_state_goes_from_one_kind_to_the_other(tmp_path):
    """A model trained on a GPU is loaded on a laptop: the file holds NumPy arrays, the model takes them in its kind."""
    x = np.random.default_rng(0).normal(size=(4, 1, 4, 4))
    model, other = network(strict), network(np)
    model.forward(strict.asarray(x))
    model.save(tmp_path / "state.npz")
    other.load(tmp_path / "state.npz")
    y = model.eval().forward(strict.asarray(x))
    assert_same(y, other.eval().forward(x))
    back = network(strict).load(tmp_path / "state.npz").eval()
    assert_same(back.forward(strict.asarray(x)), np.asarray(y))


@pytest.mark.parametrize(
    "layer", [BatchNorm, bn_lib.LayerNorm, lambda n, **o: Dense(n, n, rng=np.random.default_rng(0), **o)]
)
def test_parameters_live_where_they_are_told(layer):
    for dtype in (None, strict.float32, np.float32, "float32"):
        built = layer(3, xp=strict, dtype=dtype)
        for name in built.parameter_names:
            parameter = getattr(built, name)
            assert isinstance(parameter, type(strict.asarray(0.0)))
            assert parameter.dtype == (strict.float64 if dtype is None else strict.float32)


@each_normalizer
def test_a_call_asks_for_the_namespace_once(normalizer, monkeypatch):
    """It is handed on from there: asking costs a small mini-batch as much as computing."""
    asked = []

    def counted(x):
        asked.append(x)
        return np

    for module in ("moments", "standardize", "normalizers"):
        monkeypatch.setattr(sys.modules[f"bn_lib.{module}"], "namespace", counted)
    x, gamma, beta, dy = typical(normalizer, (4, 4, 3))
    _, cache = normalizer.forward(x, gamma, beta, 1e-5)
    assert len(asked) == 1
    asked.clear()
    normalizer.backward(dy, cache)
    assert len(asked) <= 2  # the second is of `standardize_backward`, which users call too
