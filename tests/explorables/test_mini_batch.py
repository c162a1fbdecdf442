"""The mini-batch: its numbers are bn_lib's, and each of its parts can be moved."""

import numpy as np
import pytest
import traitlets
from shown import collisions, drag, state, swipe, words

from bn_book.explorables import MiniBatch
from bn_lib import BatchNorm, batch_norm, batch_norm_backward, batch_norm_inference

pytestmark = pytest.mark.needs("chromium", package="chromium (Debian)")

PHONE = {"width": 390, "height": 844}
CLOSE = {"rtol": 1e-12, "atol": 1e-12}


@pytest.fixture(params=range(20))
def case(request):
    rng = np.random.default_rng(request.param)
    m = int(rng.integers(2, 40))
    return {
        "x": rng.normal(rng.uniform(-5, 5), rng.uniform(0.1, 5), m),
        "dy": rng.normal(size=m),
        "gamma": rng.uniform(-3, 3),
        "beta": rng.uniform(-3, 3),
        "eps": 10 ** rng.uniform(-5, 1),
    }


def test_forward_is_bn_libs(bn_js, case):
    x, gamma, beta, eps = (case[name] for name in ("x", "gamma", "beta", "eps"))
    ours = bn_js("batchNorm", x.tolist(), gamma, beta, eps)
    y, _ = batch_norm(x[:, None], np.array([gamma]), np.array([beta]), eps=eps)
    x_hat, _ = batch_norm(x[:, None], np.ones(1), np.zeros(1), eps=eps)
    np.testing.assert_allclose(ours["mean"], x.mean(), **CLOSE)
    np.testing.assert_allclose(ours["variance"], x.var(), **CLOSE)
    np.testing.assert_allclose(ours["y"], y[:, 0], **CLOSE)
    np.testing.assert_allclose(ours["xHat"], x_hat[:, 0], **CLOSE)


def test_backward_is_bn_libs_and_its_paths_add_up(bn_js, case):
    x, dy, gamma, eps = (case[name] for name in ("x", "dy", "gamma", "eps"))
    ours = bn_js("batchNormBackward", dy.tolist(), x.tolist(), gamma, eps)
    _, cache = batch_norm(x[:, None], np.array([gamma]), np.zeros(1), eps=eps)
    dx, dgamma, dbeta = batch_norm_backward(dy[:, None], cache)
    np.testing.assert_allclose(ours["dx"], dx[:, 0], **CLOSE)
    np.testing.assert_allclose(ours["dgamma"], dgamma[0], **CLOSE)
    np.testing.assert_allclose(ours["dbeta"], dbeta[0], **CLOSE)
    np.testing.assert_allclose(np.sum(list(ours["paths"].values()), axis=0), dx[:, 0], **CLOSE)


def test_inference_and_running_statistics_are_bn_libs(bn_js, case):
    x, gamma, beta, eps = (case[name] for name in ("x", "gamma", "beta", "eps"))
    given = {"mean": 0.5, "variance": 2.0}
    ours = bn_js("scaleAndShift", x.tolist(), given, gamma, beta, eps)["y"]
    y = batch_norm_inference(x[:, None], np.array([gamma]), np.array([beta]), np.array([0.5]), np.array([2.0]), eps=eps)
    np.testing.assert_allclose(ours, y[:, 0], **CLOSE)
    layer = BatchNorm(1, momentum=0.3)
    layer.forward(x[:, None])
    np.testing.assert_allclose(bn_js("updated", 0, x.mean(), 0.3), layer.running_mean[0], **CLOSE)


def test_a_value_can_be_dragged_and_moved_by_keys(stage):
    page = stage(MiniBatch(x=[1, 2, 4, 5, 8]))
    handle = page.get_by_role("slider", name="value 5 of the batch")
    drag(page, handle, -100, 38)
    [*others, moved] = state(page, "x")
    assert others == [1, 2, 4, 5]
    assert moved < 6
    assert page.locator(".bn-worked td").all_inner_texts()[16] == f"{moved:.1f}".replace("-", "−")
    keys = {"ArrowLeft": -0.1, "ArrowUp": 0.1, "Shift+ArrowRight": 1.0, "PageDown": -1.0, "PageUp": 1.0}
    for key, difference in keys.items():
        before = state(page, "x")[-1]
        handle.press(key)
        assert state(page, "x")[-1] == pytest.approx(before + difference)
    handle.press("End")
    assert state(page, "x")[-1] == 10
    assert handle.get_attribute("aria-valuetext").startswith("x 10.0, normalized")


MEAN = "the mean of the batch, with all its values"
END = "the {} end of the deviation, with all values"


def outputs(page):
    """The column y, as numbers."""
    return [float(text.replace("−", "-")) for text in page.locator(".bn-worked td:last-child").all_inner_texts()]


def test_the_mean_takes_all_values_along_and_nothing_comes_out_otherwise(stage):
    page = stage(MiniBatch(x=[1, 2, 4, 5, 8]))
    before, handle = outputs(page), page.get_by_role("slider", name=MEAN)
    drag(page, handle, -150, 0)
    moved = np.array(state(page, "x"))
    np.testing.assert_allclose(np.diff(moved), [1, 2, 1, 3], atol=1e-6)
    assert moved[0] < -1
    assert outputs(page) == before
    handle.press("ArrowRight")
    np.testing.assert_allclose(state(page, "x"), moved + 0.1, atol=1e-6)
    for key, held, at in (("End", 4, 10), ("Home", 0, -10)):
        handle.press(key)
        assert state(page, "x")[held] == at
        assert outputs(page) == before
    assert handle.get_attribute("aria-valuetext").startswith("mean −7")


@pytest.mark.parametrize(("side", "out", "key"), [("right", 90, "ArrowRight"), ("left", -90, "ArrowLeft")])
def test_an_end_of_the_bar_stretches_all_values_and_nothing_comes_out_otherwise(stage, side, out, key):
    page = stage(MiniBatch(x=[-2, -1, 0.5, 1, 1.5]))
    before, handle = outputs(page), page.get_by_role("slider", name=END.format(side))
    drag(page, handle, out, 0)
    wide = np.array(state(page, "x"))
    factors = (wide - wide.mean()) / np.array([-2, -1, 0.5, 1, 1.5])
    np.testing.assert_allclose(factors, factors[0], rtol=1e-5)
    assert factors[0] > 1.5
    np.testing.assert_allclose(outputs(page), before, atol=0.011)
    handle.press(key)
    assert np.std(state(page, "x")) == pytest.approx(np.std(wide) + 0.1, abs=0.051)
    # as narrow as it gets, the pattern is kept
    handle.press("Home" if side == "right" else "End")
    assert np.std(state(page, "x")) == pytest.approx(0.2, abs=1e-5)
    np.testing.assert_allclose(outputs(page), before, atol=0.011)
    handle.press("End" if side == "right" else "Home")
    assert max(np.abs(state(page, "x"))) == pytest.approx(10, abs=0.3)


def test_a_finger_takes_the_mean_along(stage):
    page = stage(MiniBatch(x=[1, 2, 4, 5, 8]), viewport=PHONE, touch=True)
    box = page.get_by_role("slider", name=MEAN).bounding_box()
    assert min(box["width"], box["height"]) >= 44
    touch = page.context.new_cdp_session(page)
    at = {"x": box["x"] + 22, "y": box["y"] + 18}
    touch.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [at]})
    to = {"x": at["x"] - 60, "y": at["y"]}
    touch.send("Input.dispatchTouchEvent", {"type": "touchMove", "touchPoints": [to]})
    touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    page.wait_for_function("document.querySelector('[data-explorable]').bnModel.get('x')[0] < -1")
    np.testing.assert_allclose(np.diff(state(page, "x")), [1, 2, 1, 3], atol=1e-6)


def test_equal_values_have_no_bar_to_stretch(stage):
    page = stage(MiniBatch(x=[3.0] * 4))
    assert page.get_by_role("slider", name=END.format("left")).count() == 0
    page.get_by_role("slider", name=MEAN).press("End")
    assert state(page, "x") == [10.0] * 4
    # an end that is beyond the axis cannot be gripped
    beyond = stage(MiniBatch(x=[-10.0, -10.0, -10.0, -10.0, 10.0]))
    assert beyond.get_by_role("slider", name=END.format("left")).count() == 0
    assert beyond.get_by_role("slider", name=END.format("right")).count() == 1


@pytest.mark.parametrize(("grip", "held"), [(16, 0), (36, 1)], ids=["its own", "where a neighbour is nearer"])
def test_a_finger_moves_the_nearest_value_from_where_it_is_gripped(stage, grip, held):
    page = stage(MiniBatch(x=[1, 2, 4, 5, 8]), viewport=PHONE, touch=True)
    box = page.get_by_role("slider", name="value 1 of the batch").bounding_box()
    assert min(box["width"], box["height"]) >= 44
    touch = page.context.new_cdp_session(page)
    at = {"x": box["x"] + grip, "y": box["y"] + 15}
    touch.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [at]})
    assert state(page, "x") == [1, 2, 4, 5, 8], "a grip moves nothing"
    to = {"x": at["x"] - 60, "y": at["y"]}
    touch.send("Input.dispatchTouchEvent", {"type": "touchMove", "touchPoints": [to]})
    touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    page.wait_for_function("i => document.querySelector('[data-explorable]').bnModel.get('x')[i] < -1", arg=held)
    assert [i for i, (a, b) in enumerate(zip(state(page, "x"), [1, 2, 4, 5, 8], strict=True)) if a != b] == [held]


def test_a_swipe_that_scrolls_the_page_moves_no_value(stage):
    page = stage(MiniBatch(x=[1, 2, 4, 5, 8]), MiniBatch(), MiniBatch(), viewport=PHONE, touch=True)
    page.evaluate("scrollTo(0, 0)")
    box = page.get_by_role("slider", name="value 5 of the batch").first.bounding_box()
    swipe(page, (box["x"] + 22, box["y"] + 22), (4, -80))
    page.wait_for_function("scrollY > 20")
    assert page.locator("[data-explorable]").first.evaluate("e => e.bnModel.get('x')") == [1, 2, 4, 5, 8]


def test_what_a_drag_that_is_taken_away_has_moved_goes_back(stage):
    page = stage(MiniBatch(x=[1, 2, 4, 5, 8]))
    box = page.get_by_role("slider", name="value 5 of the batch").bounding_box()
    page.mouse.move(box["x"] + 22, box["y"] + 22)
    page.mouse.down()
    page.mouse.move(box["x"] - 50, box["y"] + 22)
    assert state(page, "x")[4] < 7
    page.get_by_role("slider", name="value 5 of the batch").dispatch_event("pointercancel")
    assert state(page, "x") == [1, 2, 4, 5, 8]


@pytest.mark.parametrize("viewport", [PHONE, {"width": 1280, "height": 900}], ids=["phone", "desktop"])
@pytest.mark.parametrize(
    "extreme",
    [
        {"x": [-10.0, -10.0, -10.0, -10.0, 10.0], "gamma": 3.0, "beta": 3.0},
        {"x": [10.0, 10.0, 10.0, 10.0, -10.0], "gamma": 3.0, "beta": -3.0},
        {"x": [10.0] * 7 + [-10.0], "gamma": -3.0, "beta": 3.0},
        {"x": [-10.0] * 5},
        {"x": [10.0] * 5},
    ],
)
def test_nothing_sticks_out_at_the_extremes(stage, extreme, viewport):
    page = stage(MiniBatch(**extreme), viewport=viewport)
    svg = page.locator("svg").bounding_box()
    for part in page.locator("svg :is(line, path, circle, text)").all():
        box = part.bounding_box()
        assert box["x"] >= svg["x"] - 0.1
        assert box["x"] + box["width"] <= svg["x"] + svg["width"] + 0.1
        assert box["y"] + box["height"] <= svg["y"] + svg["height"] + 0.1
    assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"]
    assert collisions(page, ".bn-row", ".bn-accent-text, .bn-mean, .bn-band, .bn-in") == []


def test_what_is_beyond_an_axis_is_marked(stage):
    page = stage(MiniBatch(x=[-10.0, -10.0, -10.0, -10.0, 10.0], gamma=3.0, beta=3.0))
    assert page.locator(".bn-out").count() == 5
    hollow = page.locator(".bn-out.bn-beyond")
    assert hollow.count() == 1
    assert hollow.evaluate("e => getComputedStyle(e).fill") != page.locator(".bn-out").first.evaluate(
        "e => getComputedStyle(e).fill"
    )
    assert page.locator("svg").get_by_text("hollow: beyond the axis").count() == 1
    assert page.locator(".bn-goes-on").count() == 1, "the band goes on to the left"
    at_home = stage(MiniBatch())
    assert at_home.locator(".bn-beyond, .bn-goes-on").count() == 0
    assert at_home.locator("svg").get_by_text("hollow").count() == 0


def test_sliders_set_scale_shift_and_eps(stage):
    page = stage(MiniBatch())
    for label, name in (("γ, the scale", "gamma"), ("β, the shift", "beta"), ("ε", "eps")):
        before = words(page), state(page, name)
        page.get_by_label(label).press("End")
        assert state(page, name) > before[1]
        page.wait_for_function("words => document.querySelector('.bn-now').innerText !== words", arg=before[0])


def test_the_words_are_said_once_they_rest(stage):
    page = stage(MiniBatch())
    assert page.get_by_role("status").inner_text() == ""
    page.get_by_label("β, the shift").press("End")
    page.wait_for_function("document.querySelector('[role=status]').innerText.includes('become')")


def test_python_sets_it_within_its_range():
    figure = MiniBatch(x=[0, 3], gamma=2)
    figure.eps = 0.5
    assert figure.state() == {"x": [0, 3], "gamma": 2, "beta": 0, "eps": 0.5}
    figure.reset()
    assert figure.eps == 1e-5
    for wrong, message in (
        ({"x": [1.0, 11.0]}, "x must be values between -10 and 10, got 11.0"),
        ({"x": [1.0]}, "of length 2 <= L <= 8"),
        ({"eps": 0.0}, "1e-05|0.00001"),
        ({"gamma": "big"}, "gamma"),
    ):
        with pytest.raises(traitlets.TraitError, match=message):
            MiniBatch(**wrong)
    assert "MiniBatch(beta=0.0" in repr(figure)
