"""A call that raises changes nothing: parameters, running statistics, counters and modes are bitwise as before."""

from types import SimpleNamespace

import numpy as np
import pytest
from refusals import LABELS, ONE, X, assert_refused, other_kind, row

import bn_lib
from bn_lib import SGD, BatchNorm, Dense, Sequential

RNG = np.random.default_rng(0)


def used_layer():
    """A BatchNorm with a history, so that a change shows."""
    layer = BatchNorm(3)
    layer.gamma, layer.beta = ONE * 2, ONE * 3
    layer.forward(X)
    return layer


def used_network():
    model = Sequential(
        Dense(3, 3, rng=np.random.default_rng(0)), used_layer(), Sequential(used_layer().eval()), Dense(3, 2, rng=RNG)
    )
    model.stack[1].train()
    return model


def snapshot(model):
    state = {key: (value.tobytes(), value.dtype, value.shape) for key, value in model.state_dict().items()}
    return state, [layer.training for layer in model.layers()]


# A call that raises leaves everything as it was

BAD_X = {
    "a list": X.tolist(),
    "integers": X.astype(int),
    "rank 1": ONE,
    "channels": np.ones((4, 5)),
    "empty": X[:0],
    "one row": X[:1],
    "another kind": other_kind(X),
}


@pytest.mark.parametrize("bad", BAD_X)
def test_a_layer_that_refuses_x_is_as_before(bad):
    layer = used_layer()
    before = snapshot(layer)
    with pytest.raises((TypeError, ValueError)):
        layer.forward(BAD_X[bad])
    assert snapshot(layer) == before
    layer.backward(X)  # the good forward pass before it is still the last one


def test_a_layer_that_refuses_dy_is_as_before():
    layer = used_layer()
    before = snapshot(layer)
    with pytest.raises(ValueError, match="dy"):
        layer.backward(X[:2])
    assert snapshot(layer) == before
    assert layer.grads == {}


def refused_by_a_later_layer():
    model = used_network()
    model.stack += (Dense(7, 2, rng=np.random.default_rng(0)),)  # takes 7 features and gets 2
    return model, lambda: model.forward(X)


def unknown_class():
    model = used_network()
    return model, lambda: bn_lib.train_step(model, SGD(model, 0.1), X, LABELS + 1)


def unknown_class_in_the_second_part():
    model = used_network()
    labels = np.array([0, 1, 1, 2])
    return model, lambda: bn_lib.train_step(model, SGD(model, 0.1), X, labels, accumulate=2)


def no_forward_for_this_gradient():
    model = used_network()
    model.forward(X)
    return model, lambda: model.backward(np.ones((4, 3)))


def step_before_backward():
    model = used_network()
    return model, SGD(model, 0.1).step


def step_after_half_a_backward():
    model = used_network()
    model.forward(X)
    model.stack[3].backward(np.ones((4, 2)))  # only the last layer has gradients
    return model, SGD(model, 0.1).step


def accuracy_of_what_the_model_refuses():
    model = used_network()
    return model, lambda: bn_lib.accuracy(model, np.ones((4, 9)), LABELS)


def fit_with_bad_validation():
    model = used_network()
    return model, lambda: bn_lib.fit(
        model, SGD(model, 0.1), X, LABELS, epochs=1, batch_size=2, rng=RNG, validation=(X, LABELS[:1]), progress=False
    )


def fit_with_a_batch_that_is_too_large():
    model = used_network()
    return model, lambda: bn_lib.fit(model, SGD(model, 0.1), X, LABELS, epochs=1, batch_size=5, rng=RNG)


def a_state_with_one_bad_entry():
    model = used_network()
    state = {key: value + 1 for key, value in model.state_dict().items()}
    state["3.weight"] = np.ones((9, 9))
    return model, lambda: model.load_state_dict(state)


@pytest.mark.parametrize(
    "case",
    [
        refused_by_a_later_layer,
        unknown_class,
        unknown_class_in_the_second_part,
        no_forward_for_this_gradient,
        step_before_backward,
        step_after_half_a_backward,
        accuracy_of_what_the_model_refuses,
        fit_with_bad_validation,
        fit_with_a_batch_that_is_too_large,
        a_state_with_one_bad_entry,
    ],
    ids=lambda case: case.__name__,
)
def test_a_network_is_as_before_when_a_call_raises(case):
    model, call = case()
    before = snapshot(model)
    with pytest.raises((ValueError, RuntimeError)):
        call()
    assert snapshot(model) == before


def test_the_snapshot_would_notice():
    """The tests above compare snapshots: a forward pass in training, a step and a mode must each change one."""
    for change in (
        lambda m: m.forward(X),
        lambda m: m.stack[2].train(),
        lambda m: setattr(m.stack[0], "weight", m.stack[0].weight * 1.0000001),
    ):
        model = used_network()
        before = snapshot(model)
        change(model)
        assert snapshot(model) != before


# State


def state(**changes):
    """A good state of BatchNorm(3), changed; None takes an entry away."""
    new = {**BatchNorm(3).state_dict(), **changes}
    return {key: value for key, value in new.items() if value is not None}


STATES = [
    row("state lacks ['beta']", "nothing", "expected exactly ['beta', 'gamma'", ValueError, state(beta=None)),
    row("state lacks nothing", "unknown ['bias']", "expected exactly", ValueError, state(bias=ONE)),
    row("state lacks ['gamma']", "unknown ['weight']", "expected", ValueError, state(gamma=None, weight=ONE)),
    row("state['gamma']", "shape (4,)", "(3,)", ValueError, state(gamma=np.ones(4))),
    row("state['running_var']", "shape (3, 1)", "(3,)", ValueError, state(running_var=np.ones((3, 1)))),
    row("state['num_batches_tracked']", "shape (1,)", "()", ValueError, state(num_batches_tracked=np.array([1]))),
    row("state['num_batches_tracked']", "float64", "integer", TypeError, state(num_batches_tracked=np.array(1.5))),
    row("state['gamma']", "list", "array of shape (3,)", TypeError, state(gamma=[1.0, 1, 1])),
    row("state['gamma']", "bool", "float64", TypeError, state(gamma=ONE > 0)),
    row("state['gamma']", "complex128", "float64", TypeError, state(gamma=ONE + 0j)),
    row("state['running_mean']", "<U1", "float64", TypeError, state(running_mean=np.array(list("abc")))),
    row("state['running_mean']", "a NaN or an infinity", "finite", ValueError, state(running_mean=ONE * np.nan)),
    row("state['running_var']", "holds -1", "variances >= 0", ValueError, state(running_var=-ONE)),
    row("state['running_var']", "holds nan", "variances >= 0", ValueError, state(running_var=ONE * np.nan)),
    row("state['running_var']", "inf", "finite", ValueError, state(running_var=ONE * np.inf)),
    row("state['num_batches_tracked']", "is -1", "a count >= 0", ValueError, state(num_batches_tracked=np.array(-1))),
    row(
        "state['num_batches_tracked']", f"holds {2**63}", "fit in int64", ValueError,
        state(num_batches_tracked=np.array(2**63, np.uint64)),
    ),
]  # fmt: skip


@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize("value", [1e5, -1e5, 65_520.0, 10**6])
def test_a_number_too_large_for_the_type_is_refused_and_changes_nothing(value, nested):
    layer = BatchNorm(3, dtype=np.float16)
    model = Sequential(Dense(3, 3, rng=RNG), Sequential(layer)) if nested else layer
    prefix = "1.0." if nested else ""
    before = snapshot(model)
    new = {key: value + 1 for key, value in model.state_dict().items()}
    new[f"{prefix}beta"] = np.array([0, value, 0])
    assert_refused(
        f"state['{prefix}beta']", f"holds {value}", "fit in float16", ValueError, lambda: model.load_state_dict(new)
    )
    assert snapshot(model) == before


@pytest.mark.parametrize("kind", [bn_lib.SyncBatchNorm, BatchNorm])
def test_a_state_that_means_nothing_is_refused_wherever_it_is_nested(kind):
    alone = SimpleNamespace(rank=0, size=1, Allgather=None, allgather=None)  # not asked
    layer = kind(3, comm=alone) if kind is bn_lib.SyncBatchNorm else kind(3)
    model = Sequential(Sequential(layer), Dense(3, 3, rng=RNG))
    before = snapshot(model)
    new = {key: value + 1 for key, value in model.state_dict().items()}
    new["0.0.running_var"] = np.array([1, -1e-9, 1])
    with pytest.raises(ValueError, match=r"state\['0.0.running_var'\] holds -1e-09"):
        model.load_state_dict(new)
    assert snapshot(model) == before


@pytest.mark.parametrize(("name", "seen", "expected", "error", "state"), STATES)
def test_a_bad_state_is_refused_and_changes_nothing(name, seen, expected, error, state, tmp_path):
    layer = used_layer()
    before = snapshot(layer)
    assert_refused(name, seen, expected, error, lambda: layer.load_state_dict(state))
    assert snapshot(layer) == before
    if "list" not in seen:  # np.savez would make an array of it
        np.savez(tmp_path / "state.npz", **state)
        assert_refused(name, seen, expected, error, lambda: layer.load(tmp_path / "state.npz"))
        assert snapshot(layer) == before


def test_files_that_are_not_states(tmp_path):
    layer = used_layer()
    before = snapshot(layer)

    pickled = tmp_path / "pickled.npz"
    np.savez(pickled, **state(gamma=np.array([{"a": "dict"}, None, 1], dtype=object)))
    assert_refused("path", str(pickled), "plain arrays", ValueError, lambda: layer.load(pickled))

    not_a_zip, npy, empty = tmp_path / "text.npz", tmp_path / "one.npz", tmp_path / "empty.npz"
    not_a_zip.write_text("gamma = 1")
    with npy.open("wb") as file:
        np.save(file, ONE)
    empty.touch()
    cut = tmp_path / "cut.npz"
    layer.save(cut)
    cut.write_bytes(cut.read_bytes()[:-30])
    for path in (not_a_zip, npy, empty, cut):
        assert_refused("path", str(path), "plain arrays", ValueError, lambda p=path: layer.load(p))

    with pytest.raises(FileNotFoundError, match=r"nowhere\.npz"):
        layer.load(tmp_path / "nowhere.npz")
    for method in (layer.save, layer.load):
        assert_refused("path", "state.npy", "ends in .npz", ValueError, lambda m=method: m(tmp_path / "state.npy"))
        assert_refused("path", "state", "ends in .npz", ValueError, lambda m=method: m(str(tmp_path / "state")))
    assert snapshot(layer) == before
