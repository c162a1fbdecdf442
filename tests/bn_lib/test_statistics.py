"""Where mean and variance come from: against PyTorch's differentiation of the formula, and what each must equal."""

import numpy as np
import pytest
import torch
from agreement import assert_agrees, both_precisions
from differentiated import EPS, assert_is_differentiated, at_positions, data, leaf, modes, shapes, used
from gradient_check import BOUND, gradient_error
from refusals import ONE, X3, X, assert_refused, other_kind, row
from torch.nn import functional

import bn_lib
from bn_lib import BatchNorm, DomainBatchNorm, HistogramPreservingNorm, Sequential, SwitchableNorm, match_histogram

# Domains

DOMAINS = np.array([2, 0, 2, 0, 0, 2])
affine = pytest.mark.parametrize("shared", [False, True], ids=["own", "shared"])


def domain_norm(shared, domains=3, **options):
    return used(DomainBatchNorm(domains, 3, shared_affine=shared, eps=EPS, **options))


@both_precisions
@modes
@shapes
@affine
def test_each_domain_has_a_bn_of_its_own(shape, training, shared, dtype):
    layer, (x, dy) = domain_norm(shared, dtype=dtype), data(shape, dtype)
    domains = DOMAINS[: shape[0]]
    before = layer.state_dict()
    layer.train() if training else layer.eval()
    theirs = leaf(x), leaf(layer.gamma), leaf(layer.beta)
    y, running = torch.zeros_like(theirs[0]), {}
    for domain in (0, 2):
        running[domain] = [torch.tensor(before[f"{domain}.{name}"]) for name in ("running_mean", "running_var")]
        rows = torch.tensor(domains == domain)
        gamma, beta = (p if shared else p[domain] for p in theirs[1:])
        of_domain = functional.batch_norm(theirs[0][rows], *running[domain], gamma, beta, training, 0.1, EPS)
        y = y.index_put((torch.nonzero(rows)[:, 0],), of_domain)
    y.backward(torch.tensor(dy.astype(np.float64)))
    assert_agrees(layer(x, domains), y.detach().numpy(), "y", dtype=dtype)
    assert_agrees(layer.backward(dy), theirs[0].grad.numpy(), "dx", dtype=dtype)
    for name, parameter in zip(("gamma", "beta"), theirs[1:], strict=True):
        assert_agrees(layer.grads[name], parameter.grad.numpy(), name, dtype=dtype)
    for domain, (mean, var) in running.items():
        assert_agrees(layer.norms[domain].running_mean, mean.numpy(), dtype=dtype)
        assert_agrees(layer.norms[domain].running_var, var.numpy(), dtype=dtype)
    for key in ("1.running_mean", "1.running_var", "1.num_batches_tracked"):  # a domain that is not there
        assert np.array_equal(layer.state_dict()[key], before[key])
    if not shared:
        assert not layer.grads["gamma"][1].any()


@modes
@shapes
@affine
def test_one_domain_is_bn(shape, training, shared):
    layer, plain, (x, dy) = domain_norm(shared, domains=1), BatchNorm(3, eps=EPS), data(shape)
    plain.gamma, plain.beta = (p.reshape(3) for p in (layer.gamma, layer.beta))
    plain.running_mean, plain.running_var = layer.norm.running_mean, layer.norm.running_var
    for each in (layer, plain):
        each.train() if training else each.eval()
    with bn_lib.use_backend("reference"):
        assert np.array_equal(layer(x, np.zeros(len(x), int)), plain.forward(x))
        assert np.allclose(layer.backward(dy), plain.backward(dy), rtol=0, atol=1e-14)
    assert np.array_equal(layer.norm.running_mean, plain.running_mean)
    assert np.array_equal(layer.norm.running_var, plain.running_var)
    for name in ("gamma", "beta"):
        assert np.allclose(layer.grads[name].reshape(3), plain.grads[name], rtol=1e-13)


@affine
def test_an_affine_map_of_a_domain_is_not_noticed(shared):
    """What another scanner does, if it is a scale and an offset: not under one BN for all."""
    layer, plain, (x, _) = domain_norm(shared), BatchNorm(3), data((6, 3, 4))
    layer.norms[2].eps = layer.norms[0].eps = 0.0
    moved = np.where(at_positions(DOMAINS[:, None], x) == 2, 7 * x - 30, x)
    assert np.allclose(layer(moved, DOMAINS), layer(x, DOMAINS), rtol=0, atol=1e-11)
    assert np.abs(plain(moved) - plain(x)).max() > 0.5


def test_domains_are_told_as_labels_are_and_both_at_once():
    model = Sequential(bn_lib.ConditionalBatchNorm(2, 3), DomainBatchNorm(3, 3), bn_lib.ReLU())
    x, _ = data((6, 3))
    with pytest.raises(ValueError, match="domains are missing"), bn_lib.given(model, labels=DOMAINS // 2):
        model.forward(x)
    assert int(model.stack[0].norm.num_batches_tracked) == 0
    with bn_lib.given(model, labels=DOMAINS // 2, domains=DOMAINS):
        y = model.forward(x)
    assert np.array_equal(y, np.maximum(model.stack[1](model.stack[0](x, DOMAINS // 2), DOMAINS), 0))
    assert model.stack[1].domains is None


def test_a_domain_with_one_value_is_refused_and_nothing_moved():
    layer = domain_norm(False)
    layer(X, np.array([0, 1, 1, 0]))
    before = layer.state_dict()
    alone = np.array([0, 0, 0, 2])
    assert_refused("domains", "the domain 2 once", "at least 2", ValueError, lambda: layer(X, alone))
    assert all(np.array_equal(value, before[key]) for key, value in layer.state_dict().items())
    layer.backward(X)
    layer(X3, alone)  # two positions
    layer.eval()(X, alone)


@modes
@affine
def test_a_domain_of_padding_alone_is_not_there(training, shared):
    layer, (x, dy) = domain_norm(shared), data((6, 3, 4))
    without, mask = domain_norm(shared), np.ones((6, 4), dtype=bool)
    domains, mask[[1, 4]] = np.array([0, 1, 0, 0, 2, 0]), False
    for each in (layer, without):
        each.train() if training else each.eval()
    rows = np.array([0, 2, 3, 5])
    y, dx = layer(x, domains, mask), layer.backward(np.where(mask[:, None], dy, np.nan))
    assert_agrees(y[rows], without(x[rows], domains[rows]))
    assert_agrees(dx[rows], without.backward(dy[rows]))
    assert not y[[1, 4]].any()
    assert not dx[[1, 4]].any()
    for name, gradient in without.grads.items():
        assert_agrees(layer.grads[name], gradient)
    for key, value in without.state_dict().items():
        assert_agrees(layer.state_dict()[key], value, key, dtype=np.float64)
    if training:
        assert_refused("mask", "0 positions", "at least 2", ValueError, lambda: layer(x, domains, 0 * mask > 0))


def test_a_domain_that_is_frozen_takes_a_single_row():
    layer, alone = domain_norm(False), np.array([0, 0, 0, 0, 0, 2])
    layer.norms[2].freeze()
    x = data((6, 3))[0]
    y, before = layer(x, alone), layer.state_dict()["2.running_mean"]
    assert_agrees(y[5:], domain_norm(False).eval()(x[5:], alone[5:]))
    assert np.array_equal(layer.state_dict()["2.running_mean"], before)


def test_a_failure_between_two_domains_is_undone():
    layer = domain_norm(False)
    layer.norms[2].running_var = np.ones(5)
    before = layer.state_dict()
    with pytest.raises(ValueError, match="running_var"):
        layer(X, np.array([0, 0, 2, 2]))
    assert all(np.array_equal(value, before[key]) for key, value in layer.state_dict().items())
    with pytest.raises(RuntimeError, match="before forward"):
        layer.backward(X)


# Switchable

KINDS = ("instance", "layer", "batch")
POSITIONS = [(6, 3, 4), (4, 3, 2, 5)]
with_positions = pytest.mark.parametrize("shape", POSITIONS, ids=str)


def switchable(kinds=KINDS, **options):
    return SwitchableNorm(3, kinds=kinds, eps=EPS, **options)


def mixture(layer, training):
    def formula(x_hat, x, p):
        found = []
        for kind in layer.kinds:
            axes = {"instance": [*range(2, x.ndim)], "layer": [*range(1, x.ndim)], "batch": [0, *range(2, x.ndim)]}[
                kind
            ]
            mean, var = x.mean(axes, keepdim=True), x.var(axes, unbiased=False, keepdim=True)
            if kind == "batch" and not training:
                mean, var = (
                    at_positions(torch.tensor(v)[None], x) for v in (layer.norm.running_mean, layer.norm.running_var)
                )
            found.append((mean, var))
        means, variances = zip(*found, strict=True)
        w, v = torch.softmax(p["mean_weight"], 0), torch.softmax(p["var_weight"], 0)
        mean = sum(a * b for a, b in zip(w, means, strict=True))
        var = sum(a * b for a, b in zip(v, variances, strict=True))
        gamma, beta = (at_positions(p[name][None], x) for name in ("gamma", "beta"))
        return gamma * (x - mean) / torch.sqrt(var + EPS) + beta

    return formula


@both_precisions
@modes
@with_positions
@pytest.mark.parametrize("kinds", [KINDS, ("layer", "batch"), ("batch", "instance"), ("layer",)], ids=str)
def test_switchable_is_differentiated_through_all_statistics(shape, training, kinds, dtype):
    layer = used(switchable(kinds, dtype=dtype))
    assert_is_differentiated(layer, *data(shape, dtype), training, mixture(layer, training))


@both_precisions
@modes
def test_switchable_of_rows(training, dtype):
    layer = used(switchable(("layer", "batch"), dtype=dtype))
    assert_is_differentiated(layer, *data((6, 3), dtype), training, mixture(layer, training))


@modes
@with_positions
@pytest.mark.parametrize("kind", KINDS)
def test_all_weight_on_one_is_that_normalizer(shape, training, kind):
    layer, (x, dy) = used(switchable()), data(shape)
    layer.mean_weight = layer.var_weight = np.where(np.array(KINDS) == kind, 800.0, 0.0)
    plain = {"instance": bn_lib.InstanceNorm, "layer": bn_lib.LayerNorm, "batch": BatchNorm}[kind](3, eps=EPS)
    plain.gamma, plain.beta = layer.gamma, layer.beta
    plain.running_mean, plain.running_var = layer.norm.running_mean, layer.norm.running_var
    for each in (layer, plain):
        each.train() if training else each.eval()
    assert np.allclose(layer.forward(x), plain.forward(x), rtol=0, atol=1e-13)
    assert np.allclose(layer.backward(dy), plain.backward(dy), rtol=0, atol=1e-13)
    for name in ("gamma", "beta"):
        assert np.allclose(layer.grads[name], plain.grads[name], rtol=0, atol=1e-12)
    for name in ("mean_weight", "var_weight"):  # as far from another mixture as can be
        assert np.array_equal(layer.grads[name], np.zeros(3))


def test_switchable_of_large_means_and_what_it_is_invariant_to():
    layer, (x, dy) = used(switchable()), data((4, 3, 6))
    y, dx = layer.forward(x), layer.backward(dy)
    assert np.allclose(layer.forward(x + 1e8), y, rtol=0, atol=1e-6)  # one shift for all: every mean takes it off
    assert np.allclose(layer.backward(dy), dx, rtol=0, atol=1e-6)
    layer.norm.eps = 0.0
    assert np.allclose(layer.forward(1e3 * x), layer.forward(x), rtol=0, atol=1e-12)
    each = at_positions(np.array([[1.0, 50.0, -3.0]]), x)
    assert np.abs(layer.forward(x + each) - layer.forward(x)).max() > 0.1  # one for each channel: not the layer's mean


# Histograms


@pytest.mark.parametrize("shape", [(2, 3, 7), (3, 1, 4, 5)], ids=str)
@both_precisions
def test_nothing_is_lost(shape, dtype):
    layer, (x, dy) = HistogramPreservingNorm(eps=EPS), data(shape, dtype)
    y = layer(x)
    n, channels, *spatial = shape
    assert (y.shape, y.dtype) == ((n, 3 * channels, *spatial), dtype)
    assert_agrees(layer.inverse(y), x)
    assert np.array_equal(y, layer.eval().forward(x))
    theirs = leaf(x)
    axes = [*range(2, len(shape))]
    mean, deviation = theirs.mean(axes, keepdim=True), torch.sqrt(theirs.var(axes, unbiased=False, keepdim=True) + EPS)
    planes = [(theirs - mean) / deviation, mean.expand(shape), deviation.expand(shape)]
    expected = torch.cat(planes, dim=1)
    dy = np.random.default_rng(3).normal(size=y.shape).astype(dtype)
    expected.backward(torch.tensor(dy.astype(np.float64)))
    assert_agrees(y, expected.detach().numpy(), dtype=dtype)
    dx = layer.backward(dy)
    assert dx.dtype == dtype
    assert_agrees(dx, theirs.grad.numpy(), dtype=dtype)


def test_its_gradient_against_differences():
    x, _ = data((2, 2, 5))
    layer, dy = HistogramPreservingNorm(), np.random.default_rng(3).normal(size=(2, 6, 5))
    layer(x)
    assert gradient_error(lambda v: HistogramPreservingNorm()(v), x, dy, layer.backward(dy)) < BOUND


def test_the_shape_of_the_histogram_stays_and_the_scanner_goes():
    layer, (x, _) = HistogramPreservingNorm(eps=0.0), data((2, 1, 50))
    x = np.exp(x / 3)  # skewed
    y, scanned = layer(x), layer(40 * x - 1000)
    assert np.allclose(scanned[:, 0], y[:, 0], rtol=0, atol=1e-10)
    assert np.allclose(scanned[:, 1], 40 * y[:, 1] - 1000, rtol=1e-12)
    assert np.allclose(scanned[:, 2], 40 * y[:, 2], rtol=1e-12)
    for one, other in zip(x[:, 0], y[:, 0], strict=True):
        assert np.array_equal(np.argsort(one), np.argsort(other))
        assert np.allclose(np.diff(np.sort(one)) / np.ptp(one), np.diff(np.sort(other)) / np.ptp(other), rtol=1e-9)
    assert np.allclose(layer.inverse(scanned), 40 * x - 1000, rtol=1e-12)
    matched = np.stack([match_histogram(scan, x[0]) for scan in x])  # the contrast: one shape for all
    assert np.allclose(np.sort(matched[1]), np.sort(x[0]), rtol=1e-12)
    assert np.array_equal(np.argsort(matched[1]), np.argsort(x[1]))


def test_a_constant_scan_keeps_its_level():
    x = np.full((1, 1, 4), 7.0)
    layer = HistogramPreservingNorm(eps=1e-4)
    assert np.array_equal(layer(x)[0, :, 0], [0.0, 7.0, 1e-2])
    assert np.array_equal(layer.inverse(layer(x)), x)
    assert np.all(np.isfinite(layer.backward(np.ones((1, 3, 4)))))


def test_its_state_is_empty_and_no_scan_gives_no_output():
    layer = HistogramPreservingNorm()
    assert layer.state_dict() == {}
    assert layer(X3[:0]).shape == (0, 9, 2)
    assert layer.backward(np.zeros((0, 9, 2))).shape == (0, 3, 2)
    assert layer.inverse(np.zeros((0, 9, 2))).shape == (0, 3, 2)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_match_has_the_values_of_the_reference_in_the_order_of_x(dtype):
    rng = np.random.default_rng(0)
    x, reference = rng.normal(size=(8, 5)).astype(dtype), rng.exponential(size=40).astype(dtype)
    y = match_histogram(x, reference)
    assert (y.shape, y.dtype) == (x.shape, dtype)
    assert np.allclose(np.sort(y, axis=None), np.sort(reference), rtol=1e-6 if dtype == np.float32 else 1e-14)
    assert np.array_equal(np.argsort(y, axis=None), np.argsort(x, axis=None))
    assert np.array_equal(match_histogram(x, x), x)
    assert np.array_equal(match_histogram(x, 3 * x + 1), 3 * x + 1)
    assert np.array_equal(match_histogram(np.exp(x), reference), y)  # whatever increases is not noticed


def test_equal_values_stay_equal_and_sizes_may_differ():
    x = np.array([1.0, 1.0, 2.0, 2.0, 2.0, 5.0, 5.0, 5.0])
    y = match_histogram(x, np.array([0.0, 10.0, 20.0, 30.0]))
    # A quarter, five eighths and all of x are at most 1, 2 and 5; 0, 10, 20 and 30 end the quarters of the reference.
    assert np.allclose(y, [0, 0, 15, 15, 15, 30, 30, 30])
    assert np.array_equal(match_histogram(np.ones(3), np.array([4.0, 6.0])), [6.0, 6.0, 6.0])


def domains_of(*numbers, x=X):
    return DomainBatchNorm(2, 3)(x, np.array(numbers))


@pytest.mark.parametrize(
    ("name", "seen", "expected", "error", "call"),
    [
        row("domains", "missing", "forward(x, domains)", ValueError, lambda: DomainBatchNorm(2, 3)(X)),
        row("domains", "class 2", "0 to 1", ValueError, lambda: domains_of(0, 2, 2, 0)),
        row("domains", "(3,)", "(4,)", ValueError, lambda: domains_of(0, 1, 1)),
        row("domains", "float64", "integer", TypeError, lambda: domains_of(0.0, 1, 1, 0)),
        row("domains", "0", ">= 1", ValueError, lambda: DomainBatchNorm(0, 3)),
        row("shared_affine", "1", "True or False", TypeError, lambda: DomainBatchNorm(2, 3, shared_affine=1)),
        row("kinds", "'group'", "('instance', 'layer', 'batch')", ValueError, lambda: switchable(("group",))),
        row("kinds", "3", "each once", ValueError, lambda: switchable(3)),
        row("kinds", "'layer'", "each once", ValueError, lambda: switchable("layer"), id="a word"),
        row("kinds", "[['layer']]", "each once", ValueError, lambda: switchable([["layer"]])),
        row("kinds", "()", "each once", ValueError, lambda: switchable(())),
        row("kinds", "'layer', 'layer'", "each once", ValueError, lambda: switchable(("layer", "layer"))),
        row("x", "one value per instance", "kinds without 'instance'", ValueError, lambda: switchable()(X)),
        row("x", "one value per channel", "at least 2", ValueError, lambda: switchable(("layer", "batch"))(X[:1])),
        row("x", "(4, 3)", "at least 2 positions", ValueError, lambda: HistogramPreservingNorm()(X)),
        row("x", "(4, 3, 1)", "at least 2 positions", ValueError, lambda: HistogramPreservingNorm()(X[..., None])),
        row("x", "list", "array", TypeError, lambda: HistogramPreservingNorm()(X3.tolist())),
        row("y", "(4, 4)", "(N, 3 * C", ValueError, lambda: HistogramPreservingNorm().inverse(np.ones((4, 4)))),
        row("eps", "-1", ">= 0", ValueError, lambda: HistogramPreservingNorm(eps=-1)),
        row("dy", "(4, 3, 2)", "(4, 9, 2)", ValueError, lambda: back_with(X3)),
        row("x", "list", "array", TypeError, lambda: match_histogram([1.0], ONE)),
        row("reference", "int64", "float64", TypeError, lambda: match_histogram(ONE, ONE.astype(int))),
        row("reference", "array_api_strict", "NumPy", TypeError, lambda: match_histogram(ONE, other_kind(ONE))),
        row("reference", "(0,)", "one value", ValueError, lambda: match_histogram(ONE, ONE[:0])),
        row("x", "NaN", "finite", ValueError, lambda: match_histogram(ONE * np.nan, ONE)),
    ],
)
def test_what_is_refused(name, seen, expected, error, call):
    assert_refused(name, seen, expected, error, call)


def back_with(dy):
    layer = HistogramPreservingNorm()
    layer(X3)
    return layer.backward(dy)


def test_a_switchable_that_refuses_is_as_before():
    layer = used(switchable())
    layer(X3)
    before = layer.state_dict()
    with pytest.raises(ValueError, match="one value per instance"):
        layer(X)
    assert all(np.array_equal(value, before[key]) for key, value in layer.state_dict().items())
    layer.backward(X3)
