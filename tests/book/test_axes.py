"""The chapter on axes: its layers, experiments and figures, against theory and other computations."""

import math
from itertools import combinations

import numpy as np
import pytest
import torch
from drawn import covered

from bn_book.axes import experiments as exp
from bn_book.axes import figures as draw
from bn_book.axes import sequences as seq
from bn_lib import batch_norm, group_norm, instance_norm, layer_norm, rms_norm
from bn_lib.layer import parameters_with_gradients

NORMS = ("BN", "BN, masked", "LN", "LN over time", "RMS", "DyT", "SkipInit", "none")


# Layers


def small(norm, place="pre", **options):
    model = seq.Transformer(
        norm, place, width=4, tokens=5, outputs=3, positions=6, seed=1, dtype=np.float64, **{"depth": 1, **options}
    )
    rng = np.random.default_rng(0)
    for layer in model.layers():  # away from 0 and 1, where a mistake would not show
        for name in set(layer.parameter_names) & {"factor", "gamma", "beta", "bias"}:
            setattr(layer, name, getattr(layer, name) + rng.normal(0, 0.3, getattr(layer, name).shape))
    return model


def batch():
    rng = np.random.default_rng(2)
    return rng.integers(0, 5, (3, 6)), rng.integers(0, 3, (3, 6)), np.arange(6) < np.array([[6], [3], [4]])


def by_differences(layer, name, at, loss, step=1e-6):
    """The derivative of loss() with respect to one number of a parameter."""
    value = getattr(layer, name)
    found = []
    for moved in (step, -step):
        other = value.copy()
        other[at] += moved
        setattr(layer, name, other)
        found.append(loss())
    setattr(layer, name, value)
    return (found[0] - found[1]) / (2 * step)


@pytest.mark.parametrize("place", ["pre", "post"])
@pytest.mark.parametrize("norm", NORMS)
def test_the_gradients_of_a_transformer_are_those_of_its_loss(norm, place):
    model, lesson = small(norm, place), batch()
    model.loss_and_gradients(*lesson)
    slots = [(layer, name, g.copy()) for layer, name, _, g in parameters_with_gradients(model)]
    rng = np.random.default_rng(3)
    for layer, name, g in slots:
        at = tuple(rng.integers(size) for size in g.shape)
        numeric = by_differences(layer, name, at, lambda: model.loss_and_gradients(*lesson))
        assert g[at] == pytest.approx(numeric, abs=2e-9), (type(layer).__name__, name)


@pytest.mark.parametrize("causal", [False, True])
def test_attention_is_that_of_torch(causal):
    padded = seq.Padded()
    padded.valid = np.arange(5) < np.array([[5], [3]])
    layer = seq.Attention(4, padded, causal=causal, rng=np.random.default_rng(0), dtype=np.float64)
    x = np.random.default_rng(1).normal(size=(10, 4))
    each = torch.from_numpy(x.reshape(2, 5, 4))
    w = {name: torch.from_numpy(getattr(layer, name)) for name in layer.parameter_names}
    seen = torch.from_numpy(padded.valid)[:, None, :].expand(2, 5, 5)
    if causal:
        seen = seen & torch.ones(5, 5, dtype=torch.bool).tril()
    mixed = torch.nn.functional.scaled_dot_product_attention(
        each @ w["w_q"], each @ w["w_k"], each @ w["w_v"], attn_mask=seen
    )
    np.testing.assert_allclose(layer.forward(x), (mixed @ w["w_o"]).reshape(10, 4).numpy(), atol=1e-12)


def test_masked_bn_is_bn_of_the_valid_rows():
    padded = seq.Padded()
    padded.valid = np.arange(4) < np.array([[4], [2], [1]])
    layer = seq.MaskedBatchNorm(3, padded)
    x = np.random.default_rng(0).normal(2, 3, (12, 3))
    y = layer.forward(x)
    valid = padded.valid.ravel()
    np.testing.assert_allclose(y[valid], batch_norm(x[valid], np.ones(3), np.zeros(3))[0], atol=1e-12)
    assert (y[~valid] == 0).all()
    assert layer.running_mean == pytest.approx(0.1 * x[valid].mean(axis=0))


@pytest.mark.parametrize("length", [5, 3])  # with as many positions as features, too
def test_layer_norm_over_time_is_that_of_images(length):
    padded = seq.Padded()
    padded.valid = np.ones((2, length), bool)
    x = np.random.default_rng(0).normal(2, 3, (2, length, 3))
    y = seq.LayerNormOverTime(3, padded).forward(x.reshape(-1, 3)).reshape(x.shape)
    as_images = x.transpose(0, 2, 1)[..., np.newaxis]
    expected = layer_norm(as_images, np.ones(3), np.zeros(3))[0][..., 0].transpose(0, 2, 1)
    np.testing.assert_allclose(y, expected, atol=1e-12)


def test_a_factor_of_0_makes_every_block_the_identity():
    rows = batch()[0]
    deep = small("SkipInit", depth=3)
    for layer in deep.layers():
        if isinstance(layer, seq.Factor):
            layer.factor = np.zeros(1)
    embedding, last = deep.stack[0], deep.stack[-1]
    deep.scores(rows)
    assert np.array_equal(deep.forward(rows), last.forward(embedding.forward(rows)))


def recurrent(norm):
    layer = seq.Recurrent(norm, 2, 3, 4, rng=np.random.default_rng(0), dtype=np.float64)
    layer.gamma, layer.beta = np.random.default_rng(1).normal(1, 0.3, (2, 3))
    return layer


@pytest.mark.parametrize("norm", ["BN", "LN", "none"])
def test_the_gradients_of_the_recurrent_layer_are_right(norm):
    layer = recurrent(norm)
    x, dy = np.random.default_rng(2).normal(size=(5, 4, 2)), np.random.default_rng(3).normal(size=(5, 3))
    layer.forward(x)
    dx = layer.backward(dy)
    grads = dict(layer.grads)
    for name in layer.parameter_names:
        for at in np.ndindex(*grads[name].shape):
            numeric = by_differences(layer, name, at, lambda: (layer.forward(x) * dy).sum())
            assert grads[name][at] == pytest.approx(numeric, abs=2e-8), name
    step = 1e-6 * np.random.default_rng(4).normal(size=x.shape)
    numeric = ((layer.forward(x + step) - layer.forward(x - step)) * dy).sum() / 2
    assert (dx * step).sum() == pytest.approx(numeric, rel=1e-5)


def test_statistics_per_step_give_in_use_what_training_gave():
    """A batch that was seen often enough: its own statistics, but for Bessel's factor."""
    layer = recurrent("BN")
    x = np.random.default_rng(2).normal(size=(2000, 4, 2))
    for _ in range(200):
        trained = layer.forward(x)
    layer.eval()
    np.testing.assert_allclose(layer.forward(x), trained, atol=2e-3)
    layer.shared = True
    assert np.abs(layer.forward(x) - trained).max() > 0.05
    assert layer.mean_per_step.shape == (4, 3)
    assert np.ptp(layer.mean_per_step[0] - layer.mean_per_step[1]) > 0


# Any axes


@pytest.mark.parametrize(
    ("name", "normalize"),
    [
        ("BN", lambda x, one, zero: batch_norm(x, one, zero, eps=0)),
        ("LN", lambda x, one, zero: layer_norm(x, one, zero, eps=0)),
        ("IN", lambda x, one, zero: instance_norm(x, one, zero, eps=0)),
        ("GN", lambda x, one, zero: group_norm(x, one, zero, 2, eps=0)),
    ],
)
def test_a_choice_of_axes_is_the_normalizer_of_that_name(name, normalize):
    x = np.random.default_rng(0).normal(2, 3, (3, 4, 2, 3))
    expected = normalize(x, np.ones(4), np.zeros(4))[0]
    np.testing.assert_allclose(exp.normalize_over(x, exp.NAMED[name]), expected, atol=1e-12)


@pytest.mark.parametrize("center", [True, False])
def test_each_position_by_itself_is_a_row_of_its_own(center):
    x = np.random.default_rng(0).normal(2, 3, (3, 4, 2, 3))
    rows = x.transpose(0, 2, 3, 1).reshape(-1, 4)
    y = layer_norm(rows, np.ones(4), np.zeros(4), eps=0)[0] if center else rms_norm(rows, np.ones(4), eps=0)[0]
    expected = y.reshape(3, 2, 3, 4).transpose(0, 3, 1, 2)
    np.testing.assert_allclose(exp.normalize_over(x, exp.Choice("C", center=center)), expected, atol=1e-12)


ALL = [
    exp.Choice("".join(axes), groups, center)
    for size in range(1, 5)
    for axes in combinations("NCHW", size)
    for groups in ((1, 2, 4) if "C" in axes else (1,))
    for center in (True, False)
    if (groups, axes) != (4, ("C",))  # each value alone
]


@pytest.mark.parametrize("choice", ALL, ids=str)
def test_what_leaves_no_trace_is_what_consists_of_whole_pieces(choice):
    """A shift, or a factor, is taken out if the part that gets it holds each piece wholly or not at all."""
    places = np.indices((3, 4, 2, 3))
    own = [places[at] for at, axis in enumerate("NCHW") if axis not in choice.axes]
    own += [places[1] // (4 // choice.groups)] if "C" in choice.axes else []
    names = [tuple(index.ravel()[i] for index in own) for i in range(places[0].size)]
    for part, index in exp.PARTS.items():
        inside = np.zeros((3, 4, 2, 3), bool)
        inside[index] = True
        held = {name: set() for name in names}
        for name, is_in in zip(names, inside.ravel().tolist(), strict=True):
            held[name].add(is_in)
        whole = all(len(each) == 1 for each in held.values())
        assert exp.unchanged(choice, part, "×") is whole, part
        assert exp.unchanged(choice, part, "+") is (whole and choice.center), part
    if choice.center and len(held) == 36:
        return  # of two values it only matters which is the larger one
    for axis, name in enumerate("NCHW"):
        assert exp.hears(choice, axis) is (name in choice.axes and not (name == "C" and choice.groups == 4)), name


def test_groups_need_channels():
    with pytest.raises(ValueError, match="2 groups over the axes 'NH'; expected C among them"):
        exp.normalize_over(np.ones((3, 4, 2, 3)), exp.Choice("NH", groups=2))


@pytest.mark.parametrize("axes", ["NT", "CT", "T"])
def test_the_example_by_hand_is_exact(axes):
    block = np.array(exp.block_by_hand(), float)
    over = tuple("NCT".index(axis) for axis in axes)
    y = (block - block.mean(axis=over, keepdims=True)) / block.std(axis=over, keepdims=True)
    rest = [at for at in range(3) if at not in over]
    expected = y.transpose(*rest, *over).reshape(-1, np.prod([2] * len(over)))
    found = [[float(value) for value in piece.out] for piece in exp.pieces_by_hand(axes)]
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_a_root_that_is_no_fraction_is_refused():
    with pytest.raises(ValueError, match="expected the square of a fraction"):
        exp.pieces_by_hand("NC")


def test_the_worked_lines_hold_the_exact_numbers():
    first = draw.worked_piece("1", exp.pieces_by_hand("NT")[0])
    assert r"\mu &= \tfrac{1}{4}(12 - 6 + 10 + 4) = 5" in first
    assert r"(49 + 121 + 25 + 1) = 49" in first
    assert r"{-\tfrac{11}{7}}" in first


# Dice


def test_a_row_has_seen_the_throws_before_the_one_it_predicts():
    x, faces = exp.throws(3, np.random.default_rng(0))
    past = x.reshape(3, 8, 8, 6)
    for series in range(3):
        for row in range(8):
            assert (past[series, row, : row + 1].sum(axis=1) == 1).all()
            assert past[series, row, row + 1 :].sum() == 0
            if row:
                assert past[series, row, row].argmax() == faces.reshape(3, 8)[series, row - 1], "the last label"


def test_dice_are_fair_and_a_network_that_learns_nothing_guesses():
    _, faces = exp.throws(2000, np.random.default_rng(0))
    assert np.bincount(faces) / faces.size == pytest.approx(1 / 6, abs=0.01)
    assert pytest.approx(-math.log(1 / 6)) == exp.GUESSING


def test_a_run_is_made_once_and_leaves_no_mode_behind():
    first = exp.dice("BN", 2, steps=20, seed=5)
    assert exp.dice("BN", 2, steps=20, seed=5) is first
    assert len(first.losses) == 20
    assert first.training == pytest.approx(first.losses[-2:].mean())


# Who hears whom


@pytest.mark.parametrize("norm", ["LN", "RMS", "DyT", "none"])
def test_position_by_position_nothing_later_is_heard(norm):
    found = exp.influence(norm)
    assert np.triu(found[:, 0], 1).max() == found[:, 1].max() == 0
    assert np.tril(found[:, 0]).min() >= 0
    assert (np.diag(found[:, 0]) > 0).all()
    assert found[-1, 0, -1] == 1


def test_bn_hears_all_and_in_use_no_one():
    assert exp.influence("BN").min() > 0
    in_use = exp.influence("BN", training=False)
    assert np.triu(in_use[:, 0], 1).max() == in_use[:, 1].max() == 0


def test_layer_norm_over_time_hears_its_own_future_only():
    found = exp.influence("LN over time")
    assert found[:, 0].min() > 0
    assert found[:, 1].max() == 0


# Sorting


def test_a_lesson_is_padded_and_sorted():
    tokens, targets, valid = exp.to_sort(np.array([2, 5]), 7, np.random.default_rng(0))
    assert valid.sum(axis=1).tolist() == [2, 5]
    assert (tokens[~valid] == exp.PAD).all()
    for sequence, sorted_, is_valid in zip(tokens, targets, valid, strict=True):
        assert sorted_[is_valid].tolist() == sorted(sequence[is_valid].tolist())


def test_the_formula_for_padding_is_the_mean_and_variance_of_all():
    rng = np.random.default_rng(0)
    values, pad = rng.normal(4, 1, 30), np.full(10, -2.0)
    both, p = np.concatenate([values, pad]), 0.25
    assert both.mean() == pytest.approx((1 - p) * values.mean() + p * pad[0])
    spread = (1 - p) * values.var() + p * (1 - p) * (pad[0] - values.mean()) ** 2
    assert both.var() == pytest.approx(spread)


def test_trying_a_sorter_leaves_it_as_it_was():
    model, _ = exp.sorter("BN", seed=0)
    before = model.state_dict()
    exp.wrong_digits("BN", statistics="batch")
    found = exp.padded("BN")
    assert found.changed[0] == 0
    assert found.columns == (4, 6, 8, 10, 12)
    assert exp.one_at_a_time("BN") < 1e-4, "with running statistics alone or in company"
    for name, value in model.state_dict().items():
        assert np.array_equal(value, before[name]), name


# Depth


def test_the_stream_of_a_network_with_pre_norm_grows_and_that_with_post_norm_does_not():
    """The theory: each branch adds the same variance, so 16 blocks have about four times what 4 add."""
    added = {}
    for place in ("pre", "post"):
        for depth in (4, 16):
            model = seq.Transformer(
                "LN", place, depth=depth, width=64, tokens=10, outputs=10, positions=8, causal=True, seed=0
            )
            x = np.random.default_rng(0).integers(0, 10, (16, 8))
            model.padded.valid = np.ones(x.shape, bool)
            stream = model.stack[0].forward(x)
            start = stream.var()
            for layer in model.stack[1 : -2 if place == "pre" else -1]:
                stream = layer.forward(stream)
            added[place, depth] = stream.var() - (start if place == "pre" else 0)
    assert 2.5 < added["pre", 16] / added["pre", 4] < 6
    assert added["post", 16] == pytest.approx(1, rel=0.01)
    assert added["post", 4] == pytest.approx(1, rel=0.01)


def test_a_gradient_for_each_block():
    found = exp.gradients("LN", "post", 3, seed=4)
    assert found.shape == (3,)
    assert (found > 0).all()
    assert exp.gradients("LN", "post", 3, seed=4) is found


def test_a_warm_up_begins_small():
    warm, cold = (exp.deep("LN", warm_up=w, depth=1, steps=3, seed=0) for w in (1000, 0))
    assert warm[0] == cold[0], "the same network, the same digits"
    assert abs(warm[1] - cold[1]) > 1e-3
    assert exp.final(np.arange(20.0)) == 14.5


# Figures

DICE = {
    name: [exp.Dice(loss, 2.0, 0.5, np.linspace(1.9, loss, 1000))]
    for name, loss in (("BN", 0.55), ("BN, rows mixed", 1.79), ("LN", 1.8))
}


def test_the_losses_of_dice_are_drawn():
    fig = draw.dice_losses(DICE)
    (ax,) = fig.axes
    assert [line.get_ydata()[-1] for line in ax.lines[1:]] == pytest.approx([0.55, 1.79, 1.8], abs=0.05)
    assert covered(fig) == []


def test_influences_have_a_square_for_each_pair_that_is_heard():
    found = {norm: exp.influence(norm) for norm in ("LN", "BN")}
    fig = draw.influences(found)
    assert [len(ax.patches) for ax in fig.axes] == [21, 36]
    assert covered(fig) == []


def test_padding_is_drawn_in_medians_and_bands():
    wrong = np.array([0.2, 0.17, 0.12, 0.14, 0.2])
    seeds = [exp.Padding((4, 6, 8, 10, 12), wrong, wrong * scale) for scale in (0.9, 1, 1.1)]
    fig = draw.padding({"BN": seeds, "LN": [exp.Padding((4, 6, 8, 10, 12), wrong, 0 * wrong + 0.02)]})
    assert fig.axes[0].lines[0].get_ydata() == pytest.approx(100 * wrong)
    assert covered(fig) == []


def test_depth_has_two_panels():
    last = {
        "pre": {2: [1.0, 0.8], 32: [0.25, 0.2]},
        "post": {2: [1.0, 1.2], 32: [1.5, 1.4]},
    }
    profiles = {"pre": [np.geomspace(1.2, 0.22, 32)] * 2, "post": [np.geomspace(0.5, 1.5, 32)] * 2}
    fig = draw.by_depth(last, profiles)
    above, below = fig.axes
    assert above.lines[0].get_ydata() == pytest.approx([0.9, 0.225])
    assert len(below.lines[0].get_ydata()) == 32
    assert above.lines[-1].get_ydata() == pytest.approx([0.9, 0.225]), "one over the root of sixteen"
    assert covered(fig) == []


def test_learning_is_smoothed_over_ten_steps():
    far = np.concatenate([np.geomspace(90.0, 2.7, 90), np.full(70, 2.7)])
    runs = {"pre-LN": [np.linspace(2.6, 0.4, 160)], "tanh": [np.full(160, 1.0)], "nothing": [far]}
    fig = draw.learning(runs, {"pre-LN": "pre", "tanh": "DyT", "nothing": "none"}, top=6.5)
    (ax,) = fig.axes
    assert ax.lines[1].get_ydata()[0] == pytest.approx(runs["pre-LN"][0][:10].mean())
    assert ax.lines[1].get_xdata()[0] == 10
    assert covered(fig) == []


def test_the_means_of_steps_are_drawn_unit_by_unit():
    fig = draw.means_per_step(np.zeros((16, 5)))
    assert len(fig.axes[0].lines) == 6
    assert covered(fig) == []


def test_the_tables():
    table = draw.table_of_invariances().splitlines()
    assert len(table) == 2 + len(exp.PARTS) + 1
    assert "| one channel | + × | – | – | + × | – | – |" in table
    assert "| one position | – | – | – | – | + × | × |" in table
    sorters = draw.table_of_sorters({"LN": {"running": [0.02, 0.03, 0.04], "batch": [0.02, 0.03, 0.04]}}, {"LN": "LN"})
    assert sorters.splitlines()[-1] == "| LN | 3.0 (2.0 to 4.0) | 3.0 (2.0 to 4.0) |"
    assert draw.span([0.5, 0.52]) == "0.50 to 0.52"
    assert draw.span([0.5]) == "0.50"
