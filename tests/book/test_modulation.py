"""The chapter on where gamma and beta come from: its generators, their adversary and their judge."""

import copy

import numpy as np
import pytest
import sympy
from drawn import covered

from bn_book.data import load_digits
from bn_book.modulation import adversary as duel
from bn_book.modulation import experiments as exp
from bn_book.modulation import figures as draw
from bn_book.modulation import generator as gen
from bn_book.modulation.attention import Lesson, attention_weights
from bn_book.networks import parts_of
from bn_lib import AttentiveNorm, BatchNorm, conditional_batch_norm, conditional_batch_norm_backward

F = exp.Fraction
EXAMPLE = exp.Conditional(
    (F(1), F(9), F(7), F(15)), (0, 0, 1, 1), (F(2), F(1, 2)), (F(0), F(3)), (F(0), F(0), F(1), F(0))
)


@pytest.fixture
def float64(monkeypatch):
    """All of the room's layers in double precision, in which differences show a gradient."""
    for module in (gen, duel):
        monkeypatch.setattr(module, "F32", np.float64)


def differences(function, x, step=1e-6):
    """The gradient of a number by central differences."""
    found = np.zeros_like(x)
    for at in np.ndindex(*x.shape):
        moved = np.zeros_like(x)
        moved[at] = step
        found[at] = (function(x + moved) - function(x - moved)) / (2 * step)
    return found


def check_layer(layer, x, dy):
    """Every gradient of a layer against central differences."""
    layer.forward(x)
    dx, grads = layer.backward(dy), dict(layer.grads)
    assert np.allclose(dx, differences(lambda x: (layer.forward(x) * dy).sum(), x), atol=1e-7)
    for name in layer.parameter_names:
        value = getattr(layer, name)

        def with_value(changed, name=name):
            setattr(layer, name, changed)
            return (layer.forward(x) * dy).sum()

        assert np.allclose(grads[name], differences(with_value, value), atol=1e-7), name
        setattr(layer, name, value)


# By hand


def test_the_way_back_by_hand_is_that_of_the_formula():
    """Differentiated by SymPy, mean and variance of all four values written out."""
    x, gamma, beta = (sympy.symbols(f"{name}:{count}", real=True) for name, count in (("x", 4), ("g", 2), ("b", 2)))
    mean = sum(x) / 4
    deviation = sympy.sqrt(sum((each - mean) ** 2 for each in x) / 4)
    y = [gamma[c] * (each - mean) / deviation + beta[c] for each, c in zip(x, EXAMPLE.labels, strict=True)]
    loss = sum(sympy.Rational(str(dy)) * each for dy, each in zip(EXAMPLE.dy, y, strict=True))
    values = (*EXAMPLE.x, *EXAMPLE.gamma, *EXAMPLE.beta)
    at = dict(zip((*x, *gamma, *beta), (sympy.Rational(str(value)) for value in values), strict=True))
    assert [each.subs(at) for each in y] == [sympy.Rational(str(value)) for value in EXAMPLE.y]
    found = [sympy.nsimplify(sympy.diff(loss, by).subs(at)) for by in (*x, *gamma, *beta)]
    assert found == [sympy.Rational(str(v)) for v in (*EXAMPLE.dx, *EXAMPLE.dgamma, *EXAMPLE.dbeta)]


def test_a_deviation_that_is_no_fraction_is_refused():
    with pytest.raises(ValueError, match="expected the square of a fraction"):
        _ = EXAMPLE._replace(x=(F(0), F(1), F(2), F(4))).x_hat


def test_the_worked_lines_hold_the_exact_numbers():
    forward, back = draw.worked_forward(EXAMPLE), draw.worked_back(EXAMPLE)
    assert r"y_4 &= 0.5 \cdot 1.4 + 3 = 3.7" in forward
    assert r"dx &= (-0.032,\; -0.024,\; 0.074,\; -0.018)" in back


def test_a_style_gives_its_contrast_and_leaves_the_order_of_pixels():
    content, style = exp.two_contrasts()
    result = exp.styled_as(content, style)
    assert result.std() == pytest.approx(style.std())
    assert np.corrcoef(result, content)[0, 1] == pytest.approx(1)


# Layers


@pytest.mark.parametrize("own", [("gamma", "beta"), ("gamma",), ("beta",), ()])
@pytest.mark.usefixtures("float64")
def test_rows_have_the_right_gradients(own):
    rng = np.random.default_rng(0)
    rows = gen.Rows(3, own, rng)
    rows.mixture = rng.dirichlet(np.ones(10), size=5)
    check_layer(rows, *rng.normal(size=(2, 5, 3)))


@pytest.mark.usefixtures("float64")
def test_bn_and_rows_are_conditional_bn():
    rng = np.random.default_rng(0)
    x, dy = rng.normal(size=(2, 12, 4))
    labels = rng.integers(0, 10, 12)
    rows, bn = gen.Rows(4, ("gamma", "beta"), rng), BatchNorm(4)
    rows.mixture = gen.one_hot(labels)
    y, cache = conditional_batch_norm(x, labels, rows.gamma, rows.beta)
    assert np.allclose(rows.forward(bn.forward(x)), y, atol=1e-12)
    dx, dgamma, dbeta = conditional_batch_norm_backward(dy, cache)
    assert np.allclose(bn.backward(rows.backward(dy)), dx, atol=1e-12)
    assert np.allclose(rows.grads["gamma"], dgamma)
    assert np.allclose(rows.grads["beta"], dbeta)


@pytest.mark.usefixtures("float64")
def test_the_discriminators_layers_have_the_right_gradients():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(5, 3))
    check_layer(duel.LeakyReLU(), x, rng.normal(size=(5, 3)))
    projection = duel.Projection(3, rng)
    projection.mixture = gen.one_hot(np.array([0, 3, 3, 9, 1]))
    check_layer(projection, x, rng.normal(size=(5, 1)))


def test_mistrust_is_the_gradient_of_the_loss():
    """-log(p) of a real image has the gradient -(1 - p), and -log(1 - p) of a drawn one p, with p the answer's."""
    answers = np.linspace(-5, 5, 7)
    doubt = duel.mistrust(answers)
    assert np.allclose(-doubt, differences(lambda a: np.log1p(np.exp(-a)).sum(), answers), atol=1e-8)
    assert np.allclose(1 - doubt, differences(lambda a: np.log1p(np.exp(a)).sum(), answers), atol=1e-8)


def test_attention_is_what_the_layer_mixes_by():
    rng = np.random.default_rng(0)
    layer = AttentiveNorm(3, 4, rng=rng)
    layer.gamma, layer.beta = rng.normal(size=(2, 3, 4))
    x = rng.normal(size=(9, 4))
    x_hat = (x - x.mean(axis=0)) / np.sqrt(x.var(axis=0) + layer.norm.eps)
    weights = attention_weights(copy.deepcopy(layer), x)
    assert np.allclose(layer.forward(x), (weights @ layer.gamma) * x_hat + weights @ layer.beta, atol=1e-12)


def test_sorted_counts_pairs_in_either_direction():
    assert Lesson(0.0, np.array([[0.1, 0.2], [0.8, 0.9]])).sorted == 1
    assert Lesson(0.0, np.array([[0.8, 0.9], [0.1, 0.2]])).sorted == 1
    assert Lesson(0.0, np.array([[0.1, 0.3], [0.2, 0.4]])).sorted == 0.75
    assert Lesson(0.0, np.ones((2, 3))).sorted == 0.5


# The loss, the optimizer, the judge


def test_the_discrepancy_is_that_of_the_definition():
    rng = np.random.default_rng(0)
    drawn, real = rng.random((2, 4, 6)), rng.random((2, 3, 6))

    def k(a, b):
        return sum(np.exp(-((a - b) ** 2).sum() / (2 * s)) for s in gen.BANDWIDTHS)

    by_pairs = np.mean(
        [
            np.mean([[k(a, b) for b in of_class] for a in of_class])
            - 2 * np.mean([[k(a, b) for b in theirs] for a in of_class])
            for of_class, theirs in zip(drawn, real, strict=True)
        ]
    )
    found = gen.discrepancy(drawn, real)
    assert found.loss == pytest.approx(by_pairs, rel=1e-12)
    assert np.allclose(found.gradient, differences(lambda x: gen.discrepancy(x, real).loss, drawn), atol=1e-8)


def test_the_rate_falls_in_a_line():
    rates = list(gen.falling(1.0, 4))
    assert rates == pytest.approx([1.0, 0.75, 0.5, 0.25], abs=2e-5)


def test_the_judge_reads_real_digits_and_the_linear_reader_most_of_them():
    images, labels = load_digits().test
    assert (exp.judge()(images) == labels).mean() > 0.98
    reader = exp.linear_reader()
    assert 0.9 < ((images @ reader[:-1] + reader[-1]).argmax(axis=1) == labels).mean() < 0.98


def test_the_judge_agrees_with_nearest_neighbours():
    """So what it says of drawn images does not hang on its kernel. Neighbours know only distances to real images."""
    images, labels = load_digits().train
    drawn = exp.train("γ and β", with_bn=True).sample(exp.asked(20), seed=3)
    nearest = labels[((drawn[:, np.newaxis] - images) ** 2).sum(axis=-1).argmin(axis=1)]
    assert (exp.judge()(drawn) == nearest).mean() > 0.9


def test_the_spread_is_the_mean_distance_of_two():
    images = np.random.default_rng(0).random((5, 4))
    pairs = [np.linalg.norm(a - b) for i, a in enumerate(images) for b in images[:i]]
    assert gen.spread(images) == pytest.approx(np.mean(pairs), rel=1e-6)


# Experiments


def test_a_generator_is_as_large_as_is_said():
    for where, with_bn in exp.WAYS:
        model, _ = exp.untrained(where, with_bn=with_bn, seed=0)
        images = model.draw(gen.noise(20, np.random.default_rng(0)), exp.asked(2))
        assert images.shape == (20, 64)
        assert images.dtype == np.float32
        assert ((images > 0) & (images < 1)).all()
        rows = {len(table) for layer in model.rows for table in (layer.gamma, layer.beta)}
        assert rows == ({10} if where == "γ and β" else {1} if with_bn else set())


def test_training_is_the_same_each_time_and_with_another_seed_another():
    runs = [exp.train.__wrapped__("γ and β", with_bn=True, seed=seed, steps=3) for seed in (7, 7, 8)]
    first, again, other = (run.sample(exp.asked(2), seed=0) for run in runs)
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_sampling_changes_nothing():
    model = exp.train("γ and β", with_bn=True, seed=7, steps=3)
    before = model.model.state_dict()
    model.sample(exp.asked(1), seed=0)
    exp.draw_with(model, "of one class")
    assert model.model.training
    for name, value in model.model.state_dict().items():
        assert np.array_equal(value, before[name]), name


def test_a_class_that_was_left_out_is_not_learned():
    run = exp.learn_new_class("its row")
    assert run.new[0] < 0.1
    assert run.numbers == 2 * sum(gen.HIDDEN)


def test_a_new_class_by_its_row_changes_two_rows_of_each_table():
    """And training everything changes all of them."""
    before = exp.train("γ and β", with_bn=True, without=exp.NEW[0])
    for layer in before.rows:
        assert layer.gamma.shape == (10, 64)
    everything = exp.learn_new_class("everything")
    assert everything.numbers == sum(part.size for part in parts_of(before.model))
    assert everything.moved > 0.5
    assert exp.learn_new_class("its row").moved == 0


def test_pure_and_mixed_batches_see_as_many_images():
    sizes = []

    class Spy(duel.Discriminator):
        def answer(self, images, labels):
            sizes.append(len(images))
            return super().answer(images, labels)

    for batches in ("pure", "mixed", "mismatch", "no BN"):
        sizes.clear()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(duel, "Discriminator", Spy)
            duel.dueled.__wrapped__(batches, steps=1)
        n = duel.IMAGES
        assert sizes == {"mixed": [2 * n, 2 * n], "mismatch": [2 * n, n]}.get(batches, [n, n, n]), batches


def test_what_a_page_gets_draws_what_the_generator_does():
    """Rounded to hundredths, computed without the layers: the images differ by less than a step of gray."""
    shipped = exp.shipped()
    model, labels = exp.train("γ and β", with_bn=True), exp.asked(1)
    for hand in np.array(shipped.hands) / 100:
        h = np.tile(hand, (10, 1))
        for layer in shipped.hidden:
            weight, bias, gamma, beta = (np.array(layer[name]) / 100 for name in ("weight", "bias", "gamma", "beta"))
            h = np.maximum(0, gamma * (h @ weight + bias) + beta)
        images = 1 / (1 + np.exp(-(h @ np.array(shipped.output["weight"]) + np.array(shipped.output["bias"])) / 100))
        model.model.eval()
        exact = model.draw(np.tile(hand, (10, 1)).astype(np.float32), labels)
        model.model.train()
        assert np.abs(images - exact).mean() < 1 / 64
        assert np.abs(images - exact).max() < 1 / 4


# Figures


def test_images_are_drawn_where_they_belong():
    """One black pixel, of the first row and second column of the second image."""
    images = np.zeros((1, 2, 64))
    images[0, 1, 1] = 1
    fig = draw.pictures({"two": images[0]})
    (ax,) = fig.axes
    black = [patch for patch in ax.patches if patch.get_alpha() == 1]
    corners = black[0].get_path().vertices
    assert corners.min(axis=0).tolist() == [8 + draw.APART + 1, 7]
    assert corners.max(axis=0).tolist() == [8 + draw.APART + 2, 8]


def test_shares_are_drawn_seed_by_seed():
    runs = [exp.Drawn(0.2, 1.0), exp.Drawn(0.4, 1.0)]
    fig = draw.shares({"with BN": {"input": runs}, "": {"two kinds": runs[:1]}})
    (ax,) = fig.axes
    assert [line.get_xdata().tolist() for line in ax.lines] == [[0.2, 0.4], [0.2]]
    assert [text.get_text() for text in ax.get_yticklabels()] == ["input", "two kinds"]
    assert covered(fig) == []


def test_a_new_class_is_drawn_in_lines_and_bands():
    looks = len(exp.LOOKS)
    runs = [exp.NewClass(np.full(looks, share), np.full(looks, 1 - share), 0.0, 256) for share in (0.2, 0.4, 0.9)]
    fig = draw.new_class({learned: runs for learned in draw.LOOK_OF})
    assert [[line.get_ydata()[0] for line in ax.lines] for ax in fig.axes] == [[0.4] * 3, [pytest.approx(0.6)] * 3]
    assert covered(fig) == []


def test_attention_is_drawn_for_both_kinds():
    fig = draw.attention(np.array([[0.1, 0.1, 0.9], [0.9, 0.9, 0.9]]))
    assert [max(patch.get_height() for patch in ax.patches) for ax in fig.axes] == [2, 3]
    assert covered(fig) == []


def test_a_contrast_is_written_above_its_image():
    content, style = exp.two_contrasts()
    fig = draw.given_contrast(content, style, exp.styled_as(content, style))
    assert [ax.get_title(loc="left").split("\n")[1] for ax in fig.axes][1:] == [f"mean {style.mean():.2f}"] * 2
