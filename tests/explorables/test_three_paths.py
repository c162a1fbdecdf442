"""Three paths back: its mathematics beside bn_lib's, and the figure in the reader's hands."""

import numpy as np
import pytest
from shown import drag, state, words
from traitlets import TraitError

from bn_book.backward.experiments import BATCH_BACKWARD, PATHS, backward_along, path_terms
from bn_book.explorables import ThreePaths
from bn_lib import batch_norm, batch_norm_backward

pytestmark = pytest.mark.needs("chromium", package="chromium (Debian)")

PHONE = {"width": 390, "height": 844}
EPS = 1e-5


def column(values):
    return np.array(values)[:, None]


def backward(dy, x, gamma, eps=EPS):
    cache = batch_norm(column(x), np.array([gamma]), np.zeros(1), eps=eps)[1]
    return column(dy), cache


@pytest.mark.parametrize("seed", range(10))
def test_the_paths_and_the_gradient_are_those_of_the_library(bn_js, seed):
    rng = np.random.default_rng(seed)
    x, dy = rng.normal(1, 2, size=(2, 5)).tolist()
    gamma, eps = float(rng.normal()), float(10 ** rng.uniform(-5, 0))
    ours = bn_js("batchNormBackward", dy, x, gamma, eps)
    gradient, cache = backward(dy, x, gamma, eps)
    dx, dgamma, dbeta = batch_norm_backward(gradient, cache)
    np.testing.assert_allclose(ours["dx"], dx[:, 0], rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose([ours["dgamma"], ours["dbeta"]], [dgamma[0], dbeta[0]], rtol=1e-12, atol=1e-12)
    for path, term in path_terms(gradient, cache).items():
        np.testing.assert_allclose(ours["paths"][path], term[:, 0], rtol=1e-12, atol=1e-12)
    for taken in (["direct"], ["direct", "mean"], ["mean", "variance"], list(PATHS)):
        some = backward_along(taken, gradient, cache)
        np.testing.assert_allclose(bn_js("alongPaths", ours["paths"], taken), some[:, 0], rtol=1e-12, atol=1e-12)
    assert bn_js("alongPaths", ours["paths"], []) == [0] * 5


@pytest.mark.parametrize("seed", range(5))
def test_the_true_gradient_is_a_central_difference(bn_js, seed):
    rng = np.random.default_rng(seed)
    x, dy = rng.normal(size=(2, 5))
    step = 0.125  # so large that rounding, which is divided by it, stays below 1e-12

    def loss(values):
        return float((column(dy) * batch_norm(column(values), np.array([1.5]), np.zeros(1), eps=0.1)[0]).sum())

    moves = step * np.eye(5)
    expected = [(loss(x + move) - loss(x - move)) / (2 * step) for move in moves]
    ours = bn_js("gradientByDifferences", dy.tolist(), x.tolist(), 1.5, 0.1, step)
    np.testing.assert_allclose(ours, expected, rtol=1e-12, atol=1e-12)
    # With the step that the figure takes it is the gradient, to many more digits than are shown.
    dx = batch_norm_backward(*backward(dy, x, 1.5, 0.1))[0]
    np.testing.assert_allclose(bn_js("gradientByDifferences", dy.tolist(), x.tolist(), 1.5, 0.1), dx[:, 0], atol=1e-8)


def test_it_begins_with_the_batch_of_the_chapter():
    figure = ThreePaths()
    assert figure.x == [float(value) for value in BATCH_BACKWARD.forward.x]
    assert figure.dy == [float(value) for value in BATCH_BACKWARD.dy]
    assert figure.gamma == float(BATCH_BACKWARD.forward.gamma)


@pytest.mark.parametrize(
    ("bad", "named"),
    [
        ({"x": [0.0, 0.0, 0.0, 0.0, 3.0]}, "x must be values between 0 and 2, got 3.0"),
        ({"dy": [0.0, 0.0, 0.0, 0.0, float("nan")]}, "dy must be values between -1 and 1, got nan"),
        ({"x": [1.0]}, "x"),
        ({"gamma": 5}, "gamma"),
        ({"eps": 0.0}, "eps"),
        ({"mean": "yes"}, "mean"),
    ],
)
def test_a_bad_value_is_named(bad, named):
    with pytest.raises(TraitError, match=named):
        ThreePaths(**bad)
    figure = ThreePaths()
    before = figure.state()
    (name, value), *_ = bad.items()
    with pytest.raises(TraitError, match=named):
        setattr(figure, name, value)
    assert figure.state() == before


def test_the_first_view_says_what_it_shows(stage):
    page = stage(ThreePaths(mean=False), scripts=False)
    assert "Without the path through the mean the sum of dx is 3.06 and should be 0." in words(page)


def test_by_mouse(stage):
    page = stage(ThreePaths())
    drag(page, page.get_by_role("slider", name="sample 1:"), 20, -20)
    assert state(page, "x")[0] > 1.25
    assert state(page, "dy")[0] > 0.55
    before = words(page)
    page.get_by_role("switch", name="variance").click()
    assert state(page, "variance") is False
    assert words(page) != before
    assert "the sum of dx · x̂ is" in words(page)
    assert page.locator(".bn-broken th").all_inner_texts() == ["Σ dx · x̂", "largest error"]
    page.get_by_role("button", name="Reset").click()
    assert state(page, "variance") is True
    assert state(page, "x")[0] == 1.2
    assert page.locator(".bn-broken").count() == 0


def test_by_keyboard(stage):
    page = stage(ThreePaths())
    page.get_by_role("slider", name="sample 2:").focus()
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Shift+ArrowRight")
    assert state(page, "dy")[1] == -0.28
    assert state(page, "x")[1] == 0.6
    page.get_by_role("switch", name="mean").focus()
    page.keyboard.press("Space")
    assert state(page, "mean") is False
    assert page.get_by_role("switch", name="mean").get_attribute("aria-checked") == "false"
    page.get_by_label("γ, the scale").focus()
    page.keyboard.press("ArrowLeft")
    assert state(page, "gamma") == pytest.approx(2.95)


def test_by_touch(stage):
    page = stage(ThreePaths(), viewport=PHONE, touch=True)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.get_by_role("switch", name="mean").tap()
    assert state(page, "mean") is False
    touch = page.context.new_cdp_session(page)
    box = page.get_by_role("slider", name="sample 3:").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    for kind, points in (("touchStart", [(x, y)]), ("touchMove", [(x - 30, y - 20)]), ("touchEnd", [])):
        points = [{"x": a, "y": b} for a, b in points]
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    page.wait_for_function("document.querySelector('[data-explorable]').bnModel.get('dy')[2] > 0.3")
    assert state(page, "x")[2] < 1.75
    for target in page.locator(".bn-handle, .bn-press").all():
        box = target.bounding_box()
        assert min(box["width"], box["height"]) >= 44


@pytest.mark.parametrize(
    ("button", "said"),
    [
        ("dy all 1", "dx is 0 everywhere"),
        ("dy = x̂/2", "dx is 0 everywhere"),
        ("a single 1", "All three paths: dx is"),
    ],
)
def test_the_cases_worth_seeing_are_one_press_away(stage, button, said):
    page = stage(ThreePaths())
    page.get_by_role("button", name=button).click()
    assert said in words(page)


def test_a_path_that_brings_nothing_is_not_missed(stage):
    page = stage(ThreePaths(dy=[1.0] * 5, variance=False))
    assert "that is right" in words(page)
    assert page.locator(".bn-broken").count() == 0


def test_a_small_gamma_does_not_put_dy_on_a_straight_line(stage):
    """Point 5 is visibly off the line, and bars of dx are not 0."""
    page = stage(ThreePaths(x=[2.0, 0.0, 2.0, 0.0, 1.0], dy=[0.5, -0.5, 0.5, -0.5, 0.1], gamma=0.05))
    assert "straight line" not in words(page)
    assert "everywhere" not in words(page)
    assert "dx is small, at most 0.0045." in words(page)


def test_what_a_small_gamma_hides_is_not_said_to_be_nothing(stage):
    page = stage(ThreePaths(dy=[0.1, 0.1, 0.0, 0.0, 0.0], gamma=0.05, mean=False))
    assert "dx is right to two decimals: what is missing is at most 0.0041." in words(page)
    assert "nothing" not in words(page)


@pytest.mark.parametrize("off", [["mean"], ["direct", "mean", "variance"]])
def test_a_gamma_of_0_is_what_hides_a_missing_path(stage, off):
    page = stage(ThreePaths(gamma=0.0, **dict.fromkeys(off, False)))
    assert "dx is 0, and that is right: γ is 0 and no x acts on any y." in words(page)
    assert "this dy" not in words(page)


@pytest.mark.parametrize(
    ("dy", "off", "said"),
    [
        ([1.0] * 5, ["variance"], "the missing path brings nothing"),
        ([0.0] * 5, ["mean", "variance"], "the missing paths bring nothing"),
        ([1.0] * 5, ["direct", "mean"], "the missing paths together bring nothing"),
        ([0.5, -0.5, 0.5, -0.5, 0.0], ["direct", "mean", "variance"], "the missing paths together bring nothing"),
    ],
)
def test_paths_that_cancel_bring_nothing_only_together(stage, dy, off, said):
    page = stage(ThreePaths(x=[2.0, 0.0, 2.0, 0.0, 1.0], dy=dy, **dict.fromkeys(off, False)))
    assert said in words(page)


@pytest.mark.parametrize(
    ("off", "broken"),
    [
        (["mean"], ["Σ dx"]),
        (["variance"], ["Σ dx · x̂"]),
        (["mean", "variance"], ["Σ dx", "Σ dx · x̂"]),
        (["direct"], ["Σ dx", "Σ dx · x̂"]),
        (["direct", "mean", "variance"], []),
    ],
)
def test_the_sums_tell_which_path_is_off(stage, off, broken):
    page = stage(ThreePaths())
    page.locator("[data-explorable]").evaluate(
        "(element, off) => off.forEach((p) => element.bnModel.set(p, false))", off
    )
    page.wait_for_function("document.querySelector('.bn-broken') !== null")
    assert page.locator(".bn-broken th").all_inner_texts() == [*broken, "largest error"]
    for name in ("Σ dx", "Σ dx · x̂"):
        spoken = name.replace("Σ dx", "the sum of dx") + " is"
        assert (spoken in words(page)) == (name in broken)
    gradient, cache = backward(ThreePaths().dy, ThreePaths().x, 3.0)
    taken = [path for path in PATHS if path not in off]
    dx = backward_along(taken, gradient, cache) if taken else np.zeros((5, 1))
    error = abs(dx - batch_norm_backward(gradient, cache)[0]).max()
    assert f"{error:.2f}" in page.locator(".bn-sums tr").last.inner_text()


def test_epsilon_is_named_where_it_lets_something_through(stage):
    page = stage(ThreePaths(eps=0.01))
    assert "but for 0.21, which ε lets through" in words(page)
    by_hand = ", ".join(f"{float(value):.2f}".replace("-", "−") for value in BATCH_BACKWARD.dx)
    assert f"dx is {by_hand}." in words(page)


@pytest.mark.parametrize("viewport", [{"width": 1280, "height": 900}, PHONE], ids=["desktop", "phone"])
def test_no_point_reaches_the_title_of_its_axis(stage, viewport):
    page = stage(ThreePaths(x=[0.0, 0.2, 0.5, 1.0, 2.0], dy=[1.0] * 5), viewport=viewport)
    title = page.get_by_text("dy, the gradient that arrives").bounding_box()
    rings = [handle.bounding_box() for handle in page.locator(".bn-handle").all()]
    assert min(ring["y"] + 12 for ring in rings) > title["y"] + title["height"]


def test_values_that_are_all_equal_are_drawn(stage):
    page = stage(ThreePaths(x=[1.0] * 5))
    assert "NaN" not in page.locator("[data-explorable]").inner_html()
    assert "Infinity" not in page.locator("[data-explorable]").inner_html()
