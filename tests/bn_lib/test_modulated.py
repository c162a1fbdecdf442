"""Where gamma and beta come from: against PyTorch's differentiation of the formula, and what each must equal."""

import copy
import pickle
from functools import partial

import numpy as np
import pytest
import torch
from agreement import assert_agrees, both_precisions
from differentiated import EPS, assert_is_differentiated, at_positions, data, leaf, modes, shapes, used
from gradient_check import BOUND, gradient_error
from normalizer_cases import MODULATED
from refusals import LABELS, ONE, X3, ZERO, X, assert_refused, other_kind, row
from torch.nn import functional

import bn_lib
from bn_lib import BatchNorm, ConditionalBatchNorm, Dense, ReLU, Sequential, given

each_layer = pytest.mark.parametrize("build", MODULATED.values(), ids=MODULATED)


# Functions


@both_precisions
@pytest.mark.parametrize("positions", [(4,), (2, 3)], ids=str)
def test_another_image_gives_its_mean_and_deviation(dtype, positions):
    x, dy = data((3, 2, 2, 5), dtype)
    style, _ = data((3, 2, *positions), dtype, seed=1)
    theirs, their_style = leaf(x), leaf(style)
    flat = their_style.reshape(3, 2, -1)
    gamma, beta = torch.sqrt(flat.var(2, unbiased=False) + EPS), flat.mean(2)
    y = at_positions(gamma, x) * functional.instance_norm(theirs, eps=EPS) + at_positions(beta, x)
    y.backward(torch.tensor(dy.astype(np.float64)))
    ours, cache = bn_lib.adaptive_instance_norm(x, style, eps=EPS)
    dx, dstyle = bn_lib.adaptive_instance_norm_backward(dy, cache)
    assert ours.dtype == dx.dtype == dstyle.dtype == dtype
    for mine, tensor in ((ours, y.detach()), (dx, theirs.grad), (dstyle, their_style.grad)):
        assert_agrees(mine, tensor.numpy(), dtype=dtype)


def test_the_gradients_of_a_style_against_differences():
    x, dy = data((2, 3, 4))
    style, _ = data((2, 3, 5), seed=1)
    dx, dstyle = bn_lib.adaptive_instance_norm_backward(dy, bn_lib.adaptive_instance_norm(x, style)[1])
    assert gradient_error(lambda v: bn_lib.adaptive_instance_norm(v, style)[0], x, dy, dx) < BOUND
    assert gradient_error(lambda v: bn_lib.adaptive_instance_norm(x, v)[0], style, dy, dstyle) < BOUND


def test_ones_own_style_changes_nothing_and_content_keeps_no_scale():
    x, _ = data((2, 3, 7))
    style, _ = data((2, 3, 5), seed=1)
    assert np.allclose(bn_lib.adaptive_instance_norm(x, x)[0], x, rtol=0, atol=1e-13)
    y = bn_lib.adaptive_instance_norm(x, style, eps=0.0)[0]
    assert np.allclose(bn_lib.adaptive_instance_norm(5 * x - 3, style, eps=0.0)[0], y, rtol=0, atol=1e-12)
    assert np.allclose(y.mean(axis=2), style.mean(axis=2), rtol=0, atol=1e-13)
    assert np.allclose(y.std(axis=2), style.std(axis=2), rtol=1e-13)


@pytest.mark.parametrize("shape", [(1, 3, 1), (1, 1, 4), (5, 3, 1), (1, 1, 1), (5, 1, 4)], ids=str)
def test_gradients_are_summed_over_all_that_shared_a_value(shape):
    x, dy = data((5, 3, 4))
    gamma, beta = (np.random.default_rng(i).normal(size=shape) for i in (1, 2))
    y, cache = bn_lib.modulated_norm(x, gamma, beta, axis=(0, 2))
    whole, whole_cache = bn_lib.modulated_norm(x, *(np.broadcast_to(p, x.shape) for p in (gamma, beta)), axis=(0, 2))
    assert np.array_equal(y, whole)
    dx, dgamma, dbeta = bn_lib.modulated_norm_backward(dy, cache)
    of_whole = bn_lib.modulated_norm_backward(dy, whole_cache)
    assert np.allclose(dx, of_whole[0], rtol=0, atol=1e-14)
    shared = tuple(axis for axis, size in enumerate(shape) if size == 1)
    for ours, each in zip((dgamma, dbeta), of_whole[1:], strict=True):
        assert np.allclose(ours, each.sum(axis=shared, keepdims=True), rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize(("axis", "name"), [((0, 2), "batch_norm"), ((1, 2), "layer_norm"), (2, "instance_norm")])
def test_with_one_value_per_channel_it_is_the_norm_of_these_axes(axis, name):
    x, dy = data((5, 3, 4))
    gamma, beta = np.array([1.0, -2.0, 0.5]), np.array([0.0, 1.0, 2.0])
    with bn_lib.use_backend("reference"):
        expected, theirs = getattr(bn_lib, name)(x, gamma, beta)
        y, cache = bn_lib.modulated_norm(x, gamma, beta, axis=axis)
        assert np.array_equal(y, expected)
        for ours, other in zip(
            bn_lib.modulated_norm_backward(dy, cache), getattr(bn_lib, f"{name}_backward")(dy, theirs), strict=True
        ):
            assert np.array_equal(ours, other)


def modulated(x=X3, gamma=ONE, beta=ZERO, axis=2, **options):
    return bn_lib.modulated_norm(x, gamma, beta, axis=axis, **options)


def restyled(x=X3, style=X3, **options):
    return bn_lib.adaptive_instance_norm(x, style, **options)


ROWS = np.ones((4, 3))


@pytest.mark.parametrize(
    ("name", "seen", "expected", "error", "call"),
    [
        row("gamma", "(4, 3)", "3 axes", ValueError, lambda: modulated(gamma=ROWS, beta=ROWS)),
        row("gamma", "(4, 3, 3)", "each as long as in x", ValueError, lambda: modulated(gamma=np.ones((4, 3, 3)))),
        row("gamma", "(5,)", "(3,)", ValueError, lambda: modulated(gamma=np.ones(5))),
        row("beta", "(3,)", "(4, 3, 1)", ValueError, lambda: modulated(gamma=np.ones((4, 3, 1)))),
        row("axis", "3", "between -3 and 2", ValueError, lambda: modulated(axis=3)),
        row("axis", "1.0", "a whole number", TypeError, lambda: modulated(axis=1.0)),
        row("axis", "()", "at least one", ValueError, lambda: modulated(axis=())),
        row("x", "one value per mean", "at least 2", ValueError, lambda: modulated(X3[:1], axis=0)),
        row("dy", "(4, 3)", "(4, 3, 2)", ValueError, lambda: bn_lib.modulated_norm_backward(X, modulated()[1])),
        row("x", "(4, 3)", "(N, C, *spatial)", ValueError, lambda: restyled(X)),
        row("style", "(4, 3)", "(N, C, *spatial)", ValueError, lambda: restyled(style=X)),
        row("style", "(3, 3, 2)", "(4, 3)", ValueError, lambda: restyled(style=X3[:3])),
        row("style", "(4, 3, 1)", "at least 2 positions", ValueError, lambda: restyled(style=X3[..., :1])),
        row("x", "(4, 3, 1)", "at least 2 positions", ValueError, lambda: restyled(X3[..., :1])),
        row("style", "list", "array", TypeError, lambda: restyled(style=X3.tolist())),
        row("style", "int64", "float64", TypeError, lambda: restyled(style=X3.astype(int))),
        row("style", "array_api_strict", "one kind", TypeError, lambda: restyled(style=other_kind(X3))),
        row("eps", "-1", ">= 0", ValueError, lambda: restyled(eps=-1)),
        row("dy", "(4, 3)", "(4, 3, 2)", ValueError, lambda: bn_lib.adaptive_instance_norm_backward(X, restyled()[1])),
        row("cache", "int", "beside y", TypeError, lambda: bn_lib.adaptive_instance_norm_backward(X3, 1)),
    ],
)
def test_what_the_functions_refuse(name, seen, expected, error, call):
    assert_refused(name, seen, expected, error, call)


# All layers


@each_layer
@modes
@shapes
def test_gradients_of_layers_against_differences(build, training, shape):
    def made():
        layer = used(build(eps=EPS))
        return layer.train() if training else layer.eval()

    layer, (x, dy) = made(), data(shape)
    layer.forward(x)
    assert gradient_error(lambda v: made().forward(v), x, dy, layer.backward(dy)) < BOUND
    for name in layer.parameter_names:

        def y(value, name=name):
            other = made()
            setattr(other, name, value)
            return other.forward(x)

        assert gradient_error(y, getattr(layer, name), dy, layer.grads[name]) < BOUND, name


@each_layer
def test_the_state_is_saved_copied_and_loaded(build, tmp_path):
    layer, (x, dy) = used(build()), data((6, 3, 2))
    layer.forward(x)
    buffers = ["running_mean", "running_var", "num_batches_tracked"]
    prefixes = [f"{domain}." for domain in range(len(layer.norms))] if "Domain" in type(layer).__name__ else [""]
    assert [*layer.state_dict()] == [*layer.parameter_names, *(p + name for p in prefixes for name in buffers)]
    layer.save(tmp_path / "layer.npz")
    loaded = build().load(tmp_path / "layer.npz")
    twins = [loaded, copy.deepcopy(layer), build().load_state_dict(layer.state_dict())]
    expected = layer.eval().forward(x), layer.backward(dy)
    for twin in twins:
        with pytest.raises(RuntimeError, match="before forward"):
            twin.backward(dy)
        assert np.array_equal(twin.eval().forward(x), expected[0])
        assert np.array_equal(twin.backward(dy), expected[1])
    twins[1].gamma += 1
    twins[1].train().forward(x)
    assert np.array_equal(layer.forward(x), expected[0])


@each_layer
def test_a_layer_in_inference_keeps_its_statistics_and_takes_one_row(build):
    layer, (x, _) = used(build()).eval(), data((6, 3))
    before = layer.state_dict()
    y = layer.forward(x)
    assert np.allclose(layer.forward(x[:1]), y[:1], rtol=0, atol=1e-14)
    assert all(np.array_equal(value, before[key]) for key, value in layer.state_dict().items())


@each_layer
@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_types_in_are_types_out(build, dtype):
    layer, (x, dy) = used(build(dtype=np.float32)), data((6, 3, 4), dtype)
    wide, exact = used(build()), [a.astype(np.float64) for a in (x, dy)]
    for name in layer.parameter_names:
        setattr(wide, name, getattr(layer, name).astype(np.float64))
    y, dx = layer.forward(x), layer.backward(dy)
    assert y.dtype == dx.dtype == dtype
    for ours, theirs in ((y, wide.forward(exact[0])), (dx, wide.backward(exact[1]))):
        assert np.abs(ours - theirs).max() <= 4 * np.finfo(dtype).eps * np.abs(theirs).max()
    assert all(layer.grads[name].dtype == np.float32 for name in layer.parameter_names)


@each_layer
@pytest.mark.parametrize("axis", [-1, 2])
def test_channels_may_be_elsewhere(build, axis):
    layer, plain, (x, dy) = used(build(channel_axis=axis)), used(build()), data((6, 3, 4))
    elsewhere = [np.moveaxis(a, 1, axis) for a in (x, dy)]
    assert np.array_equal(layer.forward(elsewhere[0]), np.moveaxis(plain.forward(x), 1, axis))
    assert_refused("dy", "(6, 3, 4)", str(elsewhere[0].shape), ValueError, lambda: layer.backward(dy))
    assert np.array_equal(layer.backward(elsewhere[1]), np.moveaxis(plain.backward(dy), 1, axis))
    for name in layer.parameter_names:
        assert np.array_equal(layer.grads[name], plain.grads[name])
    assert_refused("x", "(6, 3)", "axis 5", ValueError, lambda: build(channel_axis=5).forward(np.ones((6, 3))))


@each_layer
def test_a_frozen_layer_is_in_inference_and_is_not_trained(build):
    layer, expected, (x, dy) = used(build()).freeze().train(), used(build()).eval(), data((6, 3, 4))
    before = layer.state_dict()
    assert np.array_equal(layer.forward(x), expected.forward(x))
    assert np.array_equal(layer.backward(dy), expected.backward(dy))
    bn_lib.SGD(layer, 0.1).step()
    assert all(np.array_equal(value, before[key]) for key, value in layer.state_dict().items())
    layer.unfreeze().forward(x)
    assert layer.norm.num_batches_tracked == 1


@each_layer
def test_without_running_statistics_the_batch_counts_in_inference_too(build):
    layer, plain, (x, dy) = used(build(track_running_stats=False)), build(), data((6, 3, 4))
    for name in layer.parameter_names:
        setattr(plain, name, getattr(layer, name))
    assert [*layer.state_dict()] == [*layer.parameter_names]
    expected = plain.forward(x), plain.backward(dy)
    for each in (layer.train(), layer.eval()):
        assert np.array_equal(each.forward(x), expected[0])
        assert np.array_equal(each.backward(dy), expected[1])


BAD = {
    "a list": X.tolist(),
    "integers": X.astype(int),
    "rank 1": ONE,
    "channels": np.ones((4, 5)),
    "no row": X[:0],
    "one row": X[:1],
    "another kind": other_kind(X),
}


@each_layer
@pytest.mark.parametrize("bad", BAD)
def test_a_layer_that_refuses_is_as_before(build, bad):
    layer = used(build())
    layer.forward(X)
    before = layer.state_dict()
    with pytest.raises((TypeError, ValueError)):
        layer.forward(BAD[bad])
    assert all(np.array_equal(value, before[key]) for key, value in layer.state_dict().items())
    layer.backward(X)  # the good forward pass before it is still the last one


@each_layer
def test_a_parameter_of_another_shape_is_refused_by_name_before_statistics_move(build):
    for name in build().parameter_names:
        layer = build()
        shape = getattr(layer, name).shape
        for wrong in (np.ones((*shape, 2)), np.ones(tuple(n + 1 for n in shape)), [1.0]):
            setattr(layer, name, wrong)
            with pytest.raises((TypeError, ValueError), match=f"^{name} "):
                layer.forward(X)
            assert layer.norm.num_batches_tracked == 0


@each_layer
def test_running_statistics_are_recomputed_and_the_network_trains(build):
    x = data((40, 3))[0]
    model = Sequential(
        Dense(3, 3, rng=np.random.default_rng(0)), build(), ReLU(), Dense(3, 4, rng=np.random.default_rng(1))
    )
    labels = np.arange(40) % 4
    sgd = bn_lib.SGD(model, 0.1)
    losses = [bn_lib.train_step(model, sgd, x, labels) for _ in range(30)]
    assert losses[-1] < losses[0]
    batches = [x[:10], x[10:]]
    bn_lib.recompute_statistics(model, batches)
    norms = model.stack[1].norms
    of_norms = (
        [x]
        if len(norms) == 1
        else [np.concatenate(half) for half in zip(*(np.split(b, 2) for b in batches), strict=True)]
    )
    for norm, rows in zip(norms, of_norms, strict=False):  # the third domain has none
        hidden = model.stack[0].forward(rows)
        assert np.allclose(norm.running_mean, hidden.mean(axis=0), rtol=0, atol=1e-13)
        assert np.allclose(norm.running_var, hidden.var(axis=0), rtol=1e-12)
    if len(norms) > 1:
        assert [int(norm.num_batches_tracked) for norm in norms] == [2, 2, 0, 0]


@each_layer
@pytest.mark.parametrize("training", [True, False])
def test_the_same_numbers_from_arrays_of_the_standard(build, training):
    import array_api_strict as strict

    x, dy = data((6, 3, 4))
    results = []
    with bn_lib.use_backend("reference"):
        for xp in (strict, np):
            layer = build(xp=xp)
            state = used(build()).state_dict()
            layer.load_state_dict({key: xp.asarray(value) for key, value in state.items()})
            layer.train() if training else layer.eval()
            y, dx = layer.forward(xp.asarray(x)), layer.backward(xp.asarray(dy))
            results.append([np.asarray(a) for a in (y, dx, *(layer.grads[name] for name in layer.parameter_names))])
    for theirs, ours in zip(*results, strict=True):
        assert np.array_equal(theirs, ours)


# Conditional


@both_precisions
@modes
@shapes
def test_conditional_is_an_embedding_behind_bn(shape, training, dtype):
    layer = used(ConditionalBatchNorm(4, 3, eps=EPS, dtype=dtype))
    x, dy = data(shape, dtype)
    labels = np.array([2, 0, 2, 3, 0, 0])[: shape[0]]

    def formula(x_hat, x, p):
        gamma, beta = (at_positions(functional.embedding(torch.tensor(labels), p[k]), x) for k in ("gamma", "beta"))
        return gamma * x_hat + beta

    assert_is_differentiated(layer, x, dy, training, formula, lambda x: layer(x, labels))
    assert not layer.grads["gamma"][1].any()


@modes
@shapes
def test_one_class_for_all_is_bn(shape, training):
    layer, plain, (x, dy) = used(ConditionalBatchNorm(3, 3)), BatchNorm(3), data(shape)
    plain.gamma, plain.beta = layer.gamma[1], layer.beta[1]
    plain.running_mean, plain.running_var = layer.norm.running_mean, layer.norm.running_var
    labels = np.ones(shape[0], np.uint8)
    for each in (layer, plain):
        each.train() if training else each.eval()
    with bn_lib.use_backend("reference"):
        assert np.array_equal(layer.forward(x, labels), plain.forward(x))
        assert np.allclose(layer.backward(dy), plain.backward(dy), rtol=0, atol=1e-14)
    for name in ("gamma", "beta"):
        assert np.allclose(layer.grads[name][1], plain.grads[name], rtol=1e-13)
        assert not layer.grads[name][[0, 2]].any()
    for name in ("running_mean", "running_var", "num_batches_tracked"):
        assert np.array_equal(layer.state_dict()[name], plain.state_dict()[name])


@shapes
def test_in_training_it_is_the_function(shape):
    layer, (x, dy) = used(ConditionalBatchNorm(3, 3, eps=EPS)), data(shape)
    labels = np.arange(shape[0]) % 3
    y, cache = bn_lib.conditional_batch_norm(x, labels, layer.gamma, layer.beta, eps=EPS)
    assert_agrees(layer(x, labels), y)
    for ours, theirs in zip(
        (layer.backward(dy), *layer.grads.values()), bn_lib.conditional_batch_norm_backward(dy, cache), strict=True
    ):
        assert_agrees(ours, theirs)


# Attentive


def attentive(maps=2, **options):
    return bn_lib.AttentiveNorm(maps, 3, rng=np.random.default_rng(0), eps=EPS, **options)


@both_precisions
@modes
@shapes
@pytest.mark.parametrize("maps", [1, 2, 5])
def test_attentive_is_a_mixture_of_maps(shape, training, maps, dtype):
    def formula(x_hat, x, p):
        means = x_hat.reshape(*x.shape[:2], -1).mean(2)
        weights = functional.softmax(means @ p["attention"] + p["attention_bias"], dim=1)
        each = [
            at_positions(g[None], x) * x_hat + at_positions(b[None], x)
            for g, b in zip(p["gamma"], p["beta"], strict=True)
        ]
        return sum(at_positions(w[:, None], x) * y for w, y in zip(weights.T, each, strict=True))

    layer = used(attentive(maps, dtype=dtype))
    assert_is_differentiated(layer, *data(shape, dtype), training, formula)


@modes
@shapes
@pytest.mark.parametrize("maps", [1, 4])
def test_one_map_or_equal_ones_are_bn(shape, training, maps):
    layer, plain, (x, dy) = attentive(maps), BatchNorm(3, eps=EPS), data(shape)
    layer.attention, layer.attention_bias = 3 * layer.attention, np.linspace(0, 2, maps)
    plain.gamma, plain.beta = np.array([1.0, -2.0, 0.5]), np.array([0.0, 1.0, 2.0])
    layer.gamma, layer.beta = (np.tile(p, (maps, 1)) for p in (plain.gamma, plain.beta))
    with bn_lib.use_backend("reference"):
        for each in (layer, plain):
            each.forward(3 * x)
            each.train() if training else each.eval()
        y, dx, expected, plain_dx = layer.forward(x), layer.backward(dy), plain.forward(x), plain.backward(dy)
    if maps == 1:
        assert np.array_equal(y, expected)
        assert np.array_equal(dx, plain_dx)
    assert np.allclose(y, expected, rtol=0, atol=1e-14)
    assert np.allclose(dx, plain_dx, rtol=0, atol=1e-13)
    for name in ("gamma", "beta"):
        assert np.allclose(layer.grads[name].sum(axis=0), plain.grads[name], rtol=1e-12)
    assert np.allclose(layer.grads["attention"], 0, atol=1e-13)
    for name in ("running_mean", "running_var", "num_batches_tracked"):
        assert np.array_equal(layer.state_dict()[name], plain.state_dict()[name])


@shapes
def test_attention_is_to_what_bn_sees(shape):
    """Scale and shift of a channel are taken out before anything looks at it."""
    layer, (x, _) = used(attentive(4)), data(shape)
    layer.norm.eps = 0.0
    scale, shift = (at_positions(np.array([v]), x) for v in ([1e3, 0.5, 7.0], [-1e4, 0.0, 2.0]))
    y = layer.forward(x)
    assert np.allclose(layer.forward(scale * x + shift), y, rtol=0, atol=1e-8)
    layer.attention, layer.attention_bias = layer.attention * 1e6, layer.attention_bias * 1e6  # one map for each then
    chosen = layer.forward(x)
    assert np.all(np.isfinite(chosen))
    assert all(np.isfinite(g).all() for g in (layer.backward(x), *layer.grads.values()))


# Adaptive


@both_precisions
@modes
@shapes
def test_adaptive_is_the_formula_with_all_paths_of_the_mean(shape, training, dtype):
    def formula(x_hat, x, p):
        axes = [0, *range(2, x.ndim)]
        mu = x.mean(axes) if training else torch.tensor(layer.norm.running_mean)
        gamma = p["gamma"] + p["a"] * mu**2 / (1 + mu**2)
        beta = p["beta"] + p["b"] * mu / torch.sqrt(1 + mu**2)
        return at_positions(gamma[None], x) * x_hat + at_positions(beta[None], x)

    layer = used(bn_lib.AdaptiveBatchNorm(3, eps=EPS, dtype=dtype))
    assert_is_differentiated(layer, *data(shape, dtype), training, formula)


@modes
@shapes
def test_without_adaptation_it_is_bn_and_in_inference_always(shape, training):
    layer, plain, (x, dy) = bn_lib.AdaptiveBatchNorm(3), BatchNorm(3), data(shape)
    with bn_lib.use_backend("reference"):
        for each in (layer, plain):
            each.forward(x - 1)
            each.train() if training else each.eval()
        assert np.array_equal(layer.forward(x), plain.forward(x))
        assert np.array_equal(layer.backward(dy), plain.backward(dy))
        layer.a, layer.b = np.array([1.0, -3.0, 0.5]), np.array([0.0, 1.0, 2.0])
        t = layer.norm.running_mean / np.sqrt(1 + layer.norm.running_mean**2)
        plain.gamma, plain.beta = 1 + layer.a * t**2, layer.b * t
        same = np.allclose(layer.forward(x), plain.forward(x), rtol=0, atol=1e-13)
        assert same is not training


def test_the_mean_comes_back_in_the_output_but_never_further_than_b():
    layer, (x, dy) = bn_lib.AdaptiveBatchNorm(3), data((6, 3))
    layer.b = np.array([2.0, 2.0, 2.0])
    x -= x.mean(axis=0)
    for mean, expected in ((0.0, 0.0), (0.75, 1.2), (-0.75, -1.2), (1e6, 2.0), (-1e200, -2.0)):
        assert np.allclose(layer.forward(x * max(1, abs(mean)) + mean).mean(axis=0), expected, rtol=0, atol=1e-9)
    assert np.all(np.isfinite(layer.backward(dy)))
    plain = BatchNorm(3)
    plain.forward(x), layer.forward(x)
    assert np.allclose(plain.backward(dy).sum(axis=0), 0, atol=1e-13)
    assert np.allclose(layer.backward(dy).sum(axis=0), 2 * dy.sum(axis=0), rtol=1e-12)  # t'(0) = 1


# What a layer depends on beside x


def network():
    rng = np.random.default_rng(0)
    inner = Sequential(used(ConditionalBatchNorm(2, 3)), ReLU())
    return Sequential(Dense(3, 3, rng=rng), used(ConditionalBatchNorm(2, 3)), inner, Dense(3, 2, rng=rng))


def test_a_network_is_told_the_labels_of_all_its_layers():
    model, (x, dy) = network(), (X, np.ones((4, 2)))
    first, second = model.stack[1], model.stack[2].stack[0]
    with given(model, labels=LABELS):
        y = model.forward(x)
        assert np.array_equal(model.forward(x), y)
    model.backward(dy)
    assert first.labels is None
    assert second.labels is None
    other = network()
    other.stack[1].labels = other.stack[2].stack[0].labels = LABELS  # by hand, it stays
    assert np.array_equal(other.forward(x), y)
    assert np.array_equal(other.forward(x), y)
    with given(other, labels=1 - LABELS):
        assert not np.array_equal(other.forward(x), y)
        assert other.stack[1].labels[0] == 1
    assert other.stack[1].labels is LABELS


def test_labels_are_put_back_when_a_pass_raises():
    model = network()
    before = model.state_dict()
    with pytest.raises(ValueError, match="labels holds the class 2"), given(model, labels=LABELS + 1):
        model.forward(X)
    assert model.stack[1].labels is None
    assert all(np.array_equal(value, before[key]) for key, value in model.state_dict().items())


def test_labels_inside_count_before_those_of_a_network():
    layer = used(ConditionalBatchNorm(2, 3)).eval()
    with given(layer, labels=LABELS):
        assert np.array_equal(layer(X, 1 - LABELS), layer.forward(X, 1 - LABELS))
        assert not np.array_equal(layer(X, 1 - LABELS), layer(X))


def test_a_copy_and_a_pickle_are_made_inside():
    layer = used(ConditionalBatchNorm(2, 3))
    with given(layer, labels=LABELS):
        y = layer.eval()(X)
        assert np.array_equal(pickle.loads(pickle.dumps(layer))(X), y)


def conditional(x=X, labels=LABELS):
    return ConditionalBatchNorm(2, 3)(x, labels)


def inside(model, **values):
    with given(model, **values):
        pass


@pytest.mark.parametrize(
    ("name", "seen", "expected", "error", "call"),
    [
        row("labels", "missing", "forward(x, labels)", ValueError, lambda: ConditionalBatchNorm(2, 3)(X)),
        row(
            "labels", "missing", "with given(model, labels=labels)", ValueError, lambda: network().forward(X), id="net"
        ),
        row("labels", "class 2", "0 to 1", ValueError, lambda: conditional(labels=LABELS + 1)),
        row("labels", "class -1", "0 to 1", ValueError, lambda: conditional(labels=LABELS - 1)),
        row("labels", "(3,)", "(4,)", ValueError, lambda: conditional(labels=LABELS[:3])),
        row("labels", "float64", "integer", TypeError, lambda: conditional(labels=LABELS * 1.0)),
        row("labels", "list", "(4,)", TypeError, lambda: conditional(labels=LABELS.tolist())),
        row("labels", "array_api_strict", "numpy", TypeError, lambda: conditional(labels=other_kind(LABELS))),
        row("classes", "0", ">= 1", ValueError, lambda: ConditionalBatchNorm(0, 3)),
        row("classes", "2.5", "whole number", TypeError, lambda: ConditionalBatchNorm(2.5, 3)),
        row("maps", "0", ">= 1", ValueError, lambda: attentive(0)),
        row("rng", "0", "numpy.random.Generator", TypeError, lambda: bn_lib.AttentiveNorm(2, 3, rng=0)),
        row("channel_axis", "0", "mini-batch", ValueError, lambda: ConditionalBatchNorm(2, 3, channel_axis=0)),
        row("num_features", "0", ">= 1", ValueError, lambda: ConditionalBatchNorm(2, 0)),
        row("eps", "-1", ">= 0", ValueError, lambda: ConditionalBatchNorm(2, 3, eps=-1)),
        row("classes", "Dense", "depends on more than x", ValueError, lambda: inside(dense(), classes=LABELS)),
        row("label", "Sequential", "['labels', 'mask']", ValueError, lambda: inside(network(), label=LABELS)),
        row("model", "list", "a Layer", TypeError, lambda: inside([], labels=LABELS)),
    ],
)
def test_what_is_refused(name, seen, expected, error, call):
    assert_refused(name, seen, expected, error, call)


dense = partial(Dense, 3, 2, rng=np.random.default_rng(0))


@pytest.mark.parametrize("labels", [None, LABELS + 1, LABELS[:3], LABELS * 1.0])
def test_refused_labels_move_no_statistics(labels):
    layer = used(ConditionalBatchNorm(2, 3))
    layer(X, LABELS)
    before = layer.state_dict()
    with pytest.raises((TypeError, ValueError), match=r"^labels"):
        layer(X, labels)
    assert all(np.array_equal(value, before[key]) for key, value in layer.state_dict().items())
    layer.backward(X)
