"""What a normalizing layer may be asked for: no parameters, no running statistics, another channel axis, a mask."""

# ruff: noqa: E501 (one complaint, one line)

import copy

import array_api_strict as strict
import numpy as np
import pytest
import torch
from agreement import assert_agrees, both_precisions
from normalizer_cases import LAYERS
from refusals import assert_refused, other_kind, row

import bn_lib
from bn_lib import SGD, BatchNorm, BatchRenorm, GhostBatchNorm, Sequential

BATCH_LAYERS = {"BatchNorm": BatchNorm, "BatchRenorm": BatchRenorm}


def rng(seed=0):
    return np.random.default_rng(seed)


def data(shape, dtype=np.float64):
    return (1 + 2 * rng(1).normal(size=shape)).astype(dtype), rng(2).normal(size=shape).astype(dtype)


def used(layer):
    """The layer with parameters and running statistics that are not the initial ones."""
    r = rng(5)
    for _, owner, name in layer.named_state():
        if name != "num_batches_tracked":
            setattr(owner, name, (0.5 + r.random(getattr(owner, name).shape)).astype(getattr(owner, name).dtype))
    return layer


# affine, track_running_stats


@both_precisions
@pytest.mark.parametrize("shape", [(6, 3), (4, 3, 2, 5)], ids=str)
@pytest.mark.parametrize("options", [{"affine": False}, {"track_running_stats": False}, {"affine": False, "track_running_stats": False}], ids=str)  # fmt: skip
def test_what_pytorch_calls_by_the_same_name(options, shape, dtype):
    ours = BatchNorm(3, dtype=dtype, **options)
    kind = torch.nn.BatchNorm1d if len(shape) == 2 else torch.nn.BatchNorm2d
    theirs = kind(3, dtype=torch.tensor(np.zeros(0, dtype)).dtype, **options)
    names = {"weight": "gamma", "bias": "beta"}
    assert [names.get(name, name) for name in theirs.state_dict()] == list(ours.state_dict())
    for step in range(4):
        if step == 2:
            ours.eval(), theirs.eval()
        x, dy = (rng(10 * step + i).normal(1, 2, size=shape).astype(dtype) for i in range(2))
        their_x = torch.tensor(x, requires_grad=True)
        their_y = theirs(their_x)
        their_y.backward(torch.tensor(dy))
        assert_agrees(ours(x), their_y.detach(), f"y of step {step}")
        assert_agrees(ours.backward(dy), their_x.grad, f"dx of step {step}")
        for name in ("running_mean", "running_var", "num_batches_tracked"):
            if getattr(theirs, name) is None:
                assert getattr(ours, name) is None
            else:
                assert_agrees(getattr(ours, name), getattr(theirs, name), name, dtype=dtype)
    assert ours.grads.keys() == ({"gamma", "beta"} if ours.affine else set())


@pytest.mark.parametrize("name", LAYERS)
def test_without_parameters_nothing_is_trained(name):
    x, dy = data((4, 3, 2))
    layer, plain = LAYERS[name](affine=False), LAYERS[name]()
    assert np.array_equal(layer(x), plain(x))
    assert np.array_equal(layer.backward(dy), plain.backward(dy))
    SGD(layer, 0.1, weight_decay=0.1).step()
    assert layer.grads == {}
    assert (layer.affine, plain.affine) == (False, True)
    assert np.all(layer.gamma == 1)
    assert not {"gamma", "beta"} & layer.state_dict().keys()
    twin = copy.deepcopy(layer)
    assert not twin.affine
    assert twin.load_state_dict(layer.state_dict()) is twin


@pytest.mark.parametrize("kind", [bn_lib.LayerNorm, bn_lib.RMSNorm])
def test_a_shape_without_parameters(kind):
    layer, plain = (kind((3, 2), affine=affine) for affine in (False, True))
    x, _ = data((4, 5, 3, 2))
    assert np.array_equal(layer(x), plain(x))
    assert layer.state_dict() == layer.grads == {}


def test_without_running_statistics_there_are_none_to_reset_or_recompute():
    layer = BatchNorm(3, track_running_stats=False)
    assert not layer.track_running_stats
    layer.reset_running_statistics()
    assert layer.running_mean is None
    assert_refused(
        "model", "BatchNorm", "running statistics", ValueError, lambda: bn_lib.recompute_statistics(layer, [])
    )
    model = Sequential(layer, BatchNorm(3))
    x, _ = data((6, 3))
    bn_lib.recompute_statistics(model, [x])
    assert np.allclose(model[1].running_mean, 0, atol=1e-12)  # of what the first makes of its batch
    assert layer.running_mean is None


# channel_axis


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(("axis", "shape"), [(-1, (4, 5, 3)), (2, (4, 5, 3)), (-1, (4, 2, 5, 3)), (2, (4, 2, 3, 5)), (-2, (4, 3, 5))], ids=str)  # fmt: skip
@pytest.mark.parametrize("name", LAYERS)
def test_another_channel_axis_is_the_same_on_a_view(name, axis, shape, training):
    layer, plain = (used(LAYERS[name](channel_axis=a)) for a in (axis, 1))
    for each in (layer, plain):
        each.train() if training else each.eval()
    x, dy = data(shape)
    for ours, theirs in (
        (layer(x), plain(np.moveaxis(x, axis, 1))),
        (layer.backward(dy), plain.backward(np.moveaxis(dy, axis, 1))),
    ):
        assert ours.shape == shape
        assert np.array_equal(ours, np.moveaxis(theirs, 1, axis))
    for key, value in plain.state_dict().items():
        assert np.array_equal(layer.state_dict()[key], value), key
    assert all(np.array_equal(layer.grads[key], plain.grads[key]) for key in plain.grads)


# mask

MASKS = {
    "(N, T)": np.array([[1, 1, 1, 1], [1, 1, 0, 0], [1, 0, 0, 0]], bool),
    "(N, 1, T)": np.array([[[1, 1, 1, 1]], [[1, 1, 0, 0]], [[1, 0, 0, 0]]], bool),
    "(N, 1)": np.array([[True], [False], [True]]),
    "(1, T)": np.array([[True, True, False, True]]),
}


@both_precisions
@pytest.mark.parametrize("axis", [1, -1])
@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("kind", BATCH_LAYERS)
def test_masked_is_as_if_only_the_valid_positions_were_there(kind, mask, axis, dtype):
    """The padding holds numbers that would ruin everything: NaN in x and in dy."""
    x, dy = data((3, 2, 4), dtype)
    mask = MASKS[mask]
    valid = np.broadcast_to(mask.reshape(mask.shape[0], -1), (3, 4))
    layer, plain = (used(BATCH_LAYERS[kind](2, dtype=dtype, channel_axis=a)) for a in (axis, 1))
    for training in (True, False):
        for each in (layer, plain):
            each.train() if training else each.eval()
        rows, drows = (np.moveaxis(array, 1, -1)[valid] for array in (x, dy))
        spoilt_x, spoilt_dy = (np.where(valid[:, None], array, np.nan).astype(dtype) for array in (x, dy))
        if axis == -1:
            spoilt_x, spoilt_dy = (np.moveaxis(array, 1, -1) for array in (spoilt_x, spoilt_dy))
            mask = mask.reshape(mask.shape[0], -1, 1) if mask.ndim == 3 else mask
        for ours, theirs in (
            (layer(spoilt_x, mask=mask), plain(rows)),
            (layer.backward(spoilt_dy), plain.backward(drows)),
        ):
            assert ours.dtype == dtype
            last = np.moveaxis(ours, axis, -1)
            assert np.array_equal(last[valid], theirs)
            assert np.all(last[~valid] == 0)
        assert all(np.array_equal(layer.grads[name], plain.grads[name]) for name in plain.grads)
        assert all(np.array_equal(value, plain.state_dict()[key]) for key, value in layer.state_dict().items())


def test_a_mask_of_all_positions_is_none():
    x, dy = data((3, 2, 4))
    layer, plain = BatchNorm(2), BatchNorm(2)
    assert_agrees(layer(x, np.ones((3, 4), bool)), plain(x))
    assert_agrees(layer.backward(dy), plain.backward(dy))
    assert_agrees(layer.running_var, plain.running_var)


def test_a_layer_used_twice_remembers_each_mask():
    x, dy = data((3, 2, 4))
    mask = MASKS["(N, T)"]

    masks = [mask, ~mask]

    class Masked(BatchNorm):
        def forward(self, x, mask=None):
            return super().forward(x, mask=masks.pop(0))

    layer = Masked(2)
    model = Sequential(layer, layer)
    y = model(x)
    assert np.all(np.moveaxis(y, 1, -1)[mask] == 0)
    assert np.all(model.backward(dy) == 0)  # what the first let through, the second did not


def test_in_a_network_the_mask_is_given_to_all():
    x, dy = data((3, 4, 2))
    mask = MASKS["(N, T)"]
    one, other = (Sequential(BatchNorm(2, channel_axis=-1), bn_lib.Tanh(), BatchNorm(2, channel_axis=-1)) for _ in range(2))  # fmt: skip
    with bn_lib.given(one, mask=mask):
        y = one(x)
    assert np.array_equal(y, other[2](np.tanh(other[0](x, mask)), mask))
    other[1](other[0](x, mask))
    assert np.array_equal(one.backward(dy), other[0].backward(other[1].backward(other[2].backward(dy))))
    assert not np.any(one.backward(dy)[~mask])
    assert np.all(one(x)[~mask] != 0)  # outside there is none
    with bn_lib.given(one, mask=NO), pytest.raises(ValueError, match="mask leaves 0 positions"):
        one(x)
    with (
        pytest.raises(ValueError, match="mask is for no layer"),
        bn_lib.given(Sequential(bn_lib.LayerNorm(2)), mask=mask),
    ):
        pass


HOLDERS = {
    "conditional": lambda **o: bn_lib.ConditionalBatchNorm(3, 2, **o),
    "domains": lambda **o: bn_lib.DomainBatchNorm(2, 2, **o),
    "domains, shared": lambda **o: bn_lib.DomainBatchNorm(2, 2, shared_affine=True, **o),
    "adaptive": lambda **o: bn_lib.AdaptiveBatchNorm(2, **o),
    "attentive": lambda **o: bn_lib.AttentiveNorm(3, 2, rng=rng(), **o),
}
ROWS = np.array([0, 1, 1])  # the class, or the domain, of each sample


@pytest.mark.parametrize("kind", HOLDERS)
def test_gamma_and_beta_from_elsewhere_cannot_be_left_out(kind):
    with pytest.raises(TypeError, match=r"^affine is given; expected none: .*Norm is about its gamma and beta"):
        HOLDERS[kind](affine=False)


def passed(layer, x, mask=None, rows=ROWS):
    return layer(x, *((rows,) if isinstance(layer, bn_lib.modulation.Given) else ()), mask=mask)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("axis", [1, -1])
@pytest.mark.parametrize("kind", [name for name in HOLDERS if name != "attentive"])
def test_masked_where_gamma_and_beta_come_from_elsewhere(kind, axis, training):
    """As if each valid position were a row: the layers look at no position beside it."""
    x, dy = data((3, 2, 4))
    mask = MASKS["(N, T)"]
    layer, plain = (used(HOLDERS[kind](channel_axis=a)) for a in (axis, 1))
    for each in (layer, plain):
        each.train() if training else each.eval()
    spoilt_x, spoilt_dy = (np.moveaxis(np.where(mask[:, None], a, np.nan), 1, axis) for a in (x, dy))
    rows, drows = (np.moveaxis(array, 1, -1)[mask] for array in (x, dy))
    pairs = (
        (passed(layer, spoilt_x, mask), passed(plain, rows, rows=np.repeat(ROWS, mask.sum(axis=1)))),
        (layer.backward(spoilt_dy), plain.backward(drows)),
    )
    for ours, theirs in pairs:
        last = np.moveaxis(ours, axis, -1)
        assert_agrees(last[mask], theirs)
        assert np.all(last[~mask] == 0)
    for name, gradient in plain.grads.items():
        assert_agrees(layer.grads[name], gradient, name)
    for name, value in plain.state_dict().items():
        assert_agrees(layer.state_dict()[name], value, name, dtype=np.float64)


@pytest.mark.parametrize("training", [True, False])
def test_attention_looks_at_the_valid_positions_of_a_sample(training):
    """Each sample alone, cut to its length, in inference; in training all have the same length, so that they can be cut."""
    x, dy = data((3, 2, 4))
    mask = MASKS["(1, T)"] if training else MASKS["(N, T)"]
    everywhere = np.broadcast_to(mask, (3, 4))
    layer, plain = (used(HOLDERS["attentive"]()) for _ in range(2))
    for each in (layer, plain):
        each.train() if training else each.eval()
    y = layer(np.where(mask[:, None], x, np.nan), mask)
    dx = layer.backward(np.where(mask[:, None], dy, np.nan))
    assert np.all(y[~np.broadcast_to(mask[:, None], y.shape)] == 0)
    assert np.all(dx[~np.broadcast_to(mask[:, None], y.shape)] == 0)
    together = [slice(None)] if training else [slice(n, n + 1) for n in range(3)]
    for samples in together:
        valid = everywhere[samples][0]
        assert_agrees(y[samples][..., valid], plain(x[samples][..., valid]))
        assert_agrees(dx[samples][..., valid], plain.backward(dy[samples][..., valid]))


@pytest.mark.parametrize("kind", HOLDERS)
def test_a_mask_reaches_what_is_inside_through_given(kind):
    x, _ = data((3, 2, 4))
    mask = MASKS["(N, T)"]
    layer, plain = (used(HOLDERS[kind]()) for _ in range(2))
    model = Sequential(layer, BatchNorm(2))
    name = layer.given_names[0]
    with bn_lib.given(model, mask=mask, **({} if name == "mask" else {name: ROWS})):
        y = model(x)
    assert_agrees(y, BatchNorm(2)(passed(plain, x, mask), mask))
    assert layer.mask is None
    with pytest.raises(ValueError, match="mask has shape"):
        passed(layer, x, mask[:, :2])
    with pytest.raises(ValueError, match="mask leaves 0 positions"):
        passed(layer, x, np.zeros((3, 4), bool))


def test_one_domain_has_its_number_in_the_state_dict_as_several_have():
    assert "0.running_mean" in bn_lib.DomainBatchNorm(1, 2).state_dict()
    x, mask = np.ones(3), np.ones(3, bool)
    with pytest.raises(ValueError, match=r"expected \(N, C\)"):
        bn_lib.AdaptiveBatchNorm(2)(x, mask)


def test_switchable_norm_refuses_a_mask():
    x, _ = data((3, 2, 4))
    layer = bn_lib.SwitchableNorm(2)
    before = layer.state_dict()
    with pytest.raises(ValueError, match="mask is given; expected none"):
        layer(x, MASKS["(N, T)"])
    model = Sequential(layer, BatchNorm(2))
    with bn_lib.given(model, mask=MASKS["(N, T)"]), pytest.raises(ValueError, match="mask is given; expected none"):
        model(x)
    assert all(np.array_equal(before[name], value) for name, value in layer.state_dict().items())


def test_masks_of_any_kind_of_array():
    x, dy = data((3, 2, 4))
    found = []
    with bn_lib.use_backend("reference"):
        for xp in (strict, np):
            layer = BatchNorm(2, xp=xp)
            y = layer(xp.asarray(x), mask=xp.asarray(MASKS["(N, T)"]))
            found.append((y, layer.backward(xp.asarray(dy)), layer.running_mean))
    for theirs, ours in zip(*found, strict=True):
        assert np.array_equal(np.asarray(theirs), ours)


@pytest.mark.parametrize("axis", [1, -1])
@pytest.mark.parametrize("build", [bn_lib.LayerNorm, bn_lib.RMSNorm])
def test_channels_that_are_said_are_not_taken_for_tokens(build, axis):
    """As many positions as channels: `test_bad_input_normalizers` has the refusal where nothing is said."""
    x, dy = data((3, 4, 4))
    layer, images = build(4, channel_axis=axis), build(4)
    layer.gamma = images.gamma = np.arange(4.0)
    y, dx = layer.forward(x), layer.backward(dy)
    x, dy = (np.moveaxis(a, axis, 1)[..., None] for a in (x, dy))
    assert np.allclose(y, np.moveaxis(images.forward(x)[..., 0], 1, axis), rtol=1e-12)
    assert np.allclose(dx, np.moveaxis(images.backward(dy)[..., 0], 1, axis), rtol=1e-12, atol=1e-12)


X = np.ones((3, 2, 4))
NO = np.zeros((3, 4), bool)
ONE = np.arange(12).reshape(3, 4) == 5


@pytest.mark.parametrize(
    ("name", "seen", "expected", "error", "call"),
    [
        row("affine", "'no'", "True or False", TypeError, lambda: BatchNorm(3, affine="no")),
        row("track_running_stats", "None", "True or False", TypeError, lambda: BatchNorm(3, track_running_stats=None)),
        row("track_running_stats", "False", "True", ValueError, lambda: BatchRenorm(3, track_running_stats=False)),
        row("channel_axis", "0", "the mini-batch", ValueError, lambda: BatchNorm(3, channel_axis=0)),
        row("channel_axis", "'last'", "a whole number", TypeError, lambda: bn_lib.LayerNorm(3, channel_axis="last")),
        row("channel_axis", "given with a shape", "one of them", ValueError, lambda: bn_lib.LayerNorm((4,), channel_axis=-1)),
        row("x", "(3, 2, 4)", "2 channels along axis -1", ValueError, lambda: BatchNorm(2, channel_axis=-1)(X)),
        row("x", "(3, 2, 4)", "2 channels along axis 3", ValueError, lambda: BatchNorm(2, channel_axis=3)(X)),
        row("x", "(3, 2, 4)", "3 channels along axis -3", ValueError, lambda: BatchNorm(3, channel_axis=-3)(X), id="the batch axis"),
        row("x", "list", "array", TypeError, lambda: BatchNorm(2, channel_axis=-1)(X.tolist())),
        row("mask", "list", "a boolean array", TypeError, lambda: BatchNorm(2)(X, NO.tolist())),
        row("mask", "int64", "booleans", TypeError, lambda: BatchNorm(2)(X, NO.astype(int))),
        row("mask", "array_api_strict", "numpy", TypeError, lambda: BatchNorm(2)(X, other_kind(NO))),
        row("mask", "(4, 3)", "expected (3, 4)", ValueError, lambda: BatchNorm(2)(X, NO.T)),
        row("mask", "(3, 2, 4)", "expected (3, 4)", ValueError, lambda: BatchNorm(2)(X, X > 0)),
        row("mask", "(4,)", "expected (3, 4)", ValueError, lambda: BatchNorm(2)(X, NO[0])),
        row("mask", "0 positions of x, of shape (3, 2, 4)", "at least 2", ValueError, lambda: BatchNorm(2)(X, NO)),
        row("mask", "1 positions", "at least 2", ValueError, lambda: BatchNorm(2)(X, ONE)),
        row("mask", "1 positions", "at least 2", ValueError, lambda: BatchNorm(2, track_running_stats=False).eval()(X, ONE), id="in inference too"),
        row("mask", "given", "none", ValueError, lambda: GhostBatchNorm(2, 2)(X, ~NO)),
    ],
)  # fmt: skip
def test_refusals(name, seen, expected, error, call):
    assert_refused(name, seen, expected, error, call)


@pytest.mark.parametrize("axis", [1, -1])
def test_a_refused_mask_or_gradient_changes_nothing(axis):
    layer = BatchNorm(2, channel_axis=axis)
    x = np.moveaxis(data((3, 2, 4))[0], 1, axis)
    y = layer(x, ~NO)
    before = layer.state_dict()
    for mask in (NO, NO.T, ONE):
        with pytest.raises(ValueError, match="mask"):
            layer(x, mask)
    for shape in ((12, 2), (3, 8), (1, *x.shape[1:])):
        assert_refused("dy", str(shape), str(x.shape), ValueError, lambda s=shape: layer.backward(np.ones(s)))
    assert layer.grads == {}
    assert all(np.array_equal(value, before[key]) for key, value in layer.state_dict().items())
    layer.backward(y)  # the pass before is still the last one


def test_in_inference_a_mask_may_hide_everything():
    assert np.all(BatchNorm(2).eval()(X, NO) == 0)
