"""Two features, one step size: its mathematics beside bn_lib's, and the figure in the reader's hands."""

import numpy as np
import pytest
from shown import collisions, drag, first_words, play_until, state, stop_the_clock, words
from traitlets import TraitError

from bn_book.explorables import TwoFeatures
from bn_book.scale import experiments as scale
from bn_lib.standardize import standardize

pytestmark = pytest.mark.needs("chromium", package="chromium (Debian)")

PHONE = {"width": 390, "height": 844}
CLOSE = {"rtol": 1e-12, "atol": 1e-12}


@pytest.fixture(params=range(10))
def rows(request):
    rng = np.random.default_rng(request.param)
    return rng.normal(rng.uniform(-1, 1, 2), rng.uniform(0.5, 4, 2), (6, 2)) @ np.array([[1, 0.4], [0, 1]])


def matrix(three):
    return np.array([[three[0], three[1]], [three[1], three[2]]])


def test_the_hessian_and_its_eigenvalues_are_those_of_the_library(bn_js, rows):
    ours = bn_js("hessianOfTwo", rows.tolist())
    h = scale.hessian(rows)
    np.testing.assert_allclose(matrix(ours), h, **CLOSE)
    eigen = bn_js("eigenOfTwo", ours)
    np.testing.assert_allclose([eigen["smallest"], eigen["largest"]], scale.eigenvalues(h), **CLOSE)
    steep = np.array([np.cos(eigen["angle"]), np.sin(eigen["angle"])])
    np.testing.assert_allclose(h @ steep, eigen["largest"] * steep, **CLOSE)


def test_the_descent_and_the_loss_are_those_of_the_library(bn_js, rows):
    h = scale.hessian(rows)
    three = [h[0, 0], h[0, 1], h[1, 1]]
    start = [-5.0, 3.0]
    for rate in (0.1 * scale.best_rate(h), scale.best_rate(h), 1.9 / scale.eigenvalues(h)[-1]):
        path = bn_js("descentOfTwo", three, start, rate, 60)
        expected = scale.descend(h, np.zeros(2), np.array(start), rate, 60)
        np.testing.assert_allclose(path, expected, **CLOSE)
        losses = [bn_js("lossOfTwo", three, point) for point in path[::20]]
        np.testing.assert_allclose(losses, scale.loss_on(h, np.zeros(2), expected[::20]), **CLOSE)


def test_prepared_features_are_those_of_the_library(bn_js, rows):
    standardized = bn_js("standardizedTwo", rows.tolist())
    np.testing.assert_allclose(standardized, standardize(rows, (0,), eps=0.0).x_hat, **CLOSE)
    whitened, ours = scale.whiten(rows), np.array(bn_js("whitenedTwo", rows.tolist()))
    np.testing.assert_allclose(scale.hessian(ours), np.eye(2), **CLOSE)
    np.testing.assert_allclose(abs(ours[:, ::-1]), abs(whitened), **CLOSE)  # the library has the flattest axis first


def test_it_begins_with_the_problem_of_the_chapter():
    figure = TwoFeatures()
    problem = scale.hand_problem()
    assert figure.x == problem.x.tolist()
    assert figure.deviation == problem.x.std(axis=0)[1]
    assert figure.start == (-problem.weights).tolist()  # weights of 0
    assert figure.rate == float(scale.worked_descent().rate)


@pytest.mark.parametrize(
    ("bad", "named"),
    [
        ({"start": [9.0, 0.0]}, r"start must be within 8 and 6 of the best weights, got \[9.0, 0.0\]"),
        ({"start": [0.0, float("nan")]}, "start must be within"),
        ({"deviation": 0.5}, "deviation"),
        ({"rate": 4.0}, "rate"),
        ({"steps": 61}, "steps"),
        ({"preparation": "batch"}, "preparation"),
        ({"x": [[1.0, 2.0]]}, "x"),
    ],
)
def test_a_bad_value_is_named(bad, named):
    with pytest.raises(TraitError, match=named):
        TwoFeatures(**bad)


def put(page, patch):
    """Set values of the model, and wait until they are drawn."""
    page.locator("[data-explorable]").evaluate(
        """async (element, patch) => {
          Object.entries(patch).forEach(([key, value]) => element.bnModel.set(key, value));
          await new Promise(requestAnimationFrame);
        }""",
        patch,
    )


def test_the_words_are_the_chapters_numbers(stage):
    h = scale.hessian(scale.hand_problem().x)
    path = scale.descend(h, np.zeros(2), np.array([-5.0, -3.0]), 0.03, 20)
    left = scale.loss_on(h, np.zeros(2), path)
    said = first_words(TwoFeatures())
    assert "Deviations 2 and 7: condition number 52, rates below 0.0385 converge." in said
    assert f"After 20 steps the loss is {left[-1] / left[0]:.2g} of the first." in said
    assert "condition number 13, rates below 1.08 converge" in words(stage(TwoFeatures(preparation="standardize")))
    assert "condition number 1, rates below 2 converge" in words(stage(TwoFeatures(preparation="whiten")))


def test_by_mouse(stage):
    page = stage(TwoFeatures())
    assert "zigzags" in words(page)
    drag(page, page.get_by_role("slider", name="learning rate"), 60, 0)
    assert state(page, "rate") > 2 / 52
    assert "diverges" in words(page)
    drag(page, page.get_by_role("slider", name="learning rate"), -150, 0)
    assert "does not overshoot" in words(page)
    drag(page, page.get_by_role("slider", name="start of the descent"), 80, -40)
    assert state(page, "start")[0] > -3
    assert state(page, "start")[1] > -2.5
    drag(page, page.get_by_role("slider", name="standard deviation of feature 2"), 0, 20)
    assert state(page, "deviation") < 5
    drag(page, page.get_by_role("slider", name="steps shown"), 100, 0)
    assert state(page, "steps") > 30
    page.get_by_role("button", name="Reset").click()
    assert state(page, "deviation") == 7


def test_prepared_the_scale_no_longer_matters(stage):
    page = stage(TwoFeatures())
    limit = page.locator(".bn-limit")
    before = limit.get_attribute("x1")
    page.get_by_label("standardized").check()
    assert state(page, "preparation") == "standardize"
    assert float(limit.get_attribute("x1")) > float(before)
    said = words(page)
    contours = page.locator(".bn-contour").first.evaluate("(e) => e.parentElement.outerHTML")
    page.get_by_role("slider", name="standard deviation of feature 2").press("Home")
    assert state(page, "deviation") == 1
    assert words(page) == said
    assert page.locator(".bn-contour").first.evaluate("(e) => e.parentElement.outerHTML") == contours
    page.get_by_label("whitened").check()
    page.get_by_role("button", name="Best rate").click()
    assert state(page, "rate") == 1
    assert "no loss is left" in words(page)
    radii = page.locator(".bn-contour").evaluate_all("all => all.map((e) => e.rx.baseVal.value - e.ry.baseVal.value)")
    assert max(map(abs, radii)) < 0.01


def test_by_keyboard_across_the_limit(stage):
    page = stage(TwoFeatures())
    rate = page.get_by_role("slider", name="learning rate")
    while state(page, "rate") < 0.038:
        rate.press("ArrowRight")
    assert state(page, "rate") == 0.038
    assert "zigzags" in words(page)
    rate.press("ArrowRight")
    assert state(page, "rate") == 0.0398
    assert "diverges" in words(page)
    start = page.get_by_role("slider", name="start of the descent")
    start.press("ArrowUp")
    start.press("ArrowRight")
    assert state(page, "start") == [-4.75, -2.75]
    page.get_by_role("slider", name="steps shown").press("End")
    assert state(page, "steps") == 60


def test_by_touch(stage):
    page = stage(TwoFeatures(), viewport=PHONE, touch=True)
    page.get_by_label("whitened").tap()
    page.wait_for_function("document.querySelector('[data-explorable]').bnModel.get('preparation') === 'whiten'")
    touch = page.context.new_cdp_session(page)
    handle = page.get_by_role("slider", name="learning rate")
    handle.scroll_into_view_if_needed()
    box = handle.bounding_box()
    assert min(box["width"], box["height"]) >= 44
    x, y = box["x"] + 22, box["y"] + 22
    for kind, points in (("touchStart", [(x, y)]), ("touchMove", [(x + 40, y)]), ("touchEnd", [])):
        points = [{"x": a, "y": b} for a, b in points]
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    page.wait_for_function("document.querySelector('[data-explorable]').bnModel.get('rate') > 0.05")
    page.wait_for_function("!document.querySelector('.bn-now').textContent.includes('At 0.03 ')")


def test_it_runs_and_where_motion_is_not_wanted_it_jumps(stage):
    page = stage(TwoFeatures())
    stop_the_clock(page)
    page.get_by_role("button", name="Run").click()
    page.clock.run_for(17)
    play_until(page, "steps", 4)
    page.get_by_role("button", name="Stop").click()
    page.get_by_role("button", name="Run").wait_for()
    held = state(page, "steps")
    assert held < 60
    page.clock.run_for(200)
    assert state(page, "steps") == held
    calm = stage(TwoFeatures(), reduced_motion="reduce")
    calm.get_by_role("button", name="Run").click()
    assert state(calm, "steps") == 60
    assert calm.get_by_role("button", name="Stop").count() == 0


@pytest.mark.parametrize("steps", [6, 20], ids=["at another step", "at the step that is set"])
def test_a_reset_stops_the_run(stage, steps):
    page = stage(TwoFeatures())
    stop_the_clock(page)
    page.get_by_role("button", name="Run").click()
    page.clock.run_for(17)
    play_until(page, "steps", steps)
    page.get_by_role("button", name="Reset").click()
    page.clock.run_for(300)
    page.get_by_role("button", name="Run").wait_for()
    assert state(page, "steps") == 20


def test_whoever_sets_the_steps_stops_the_run(stage):
    page = stage(TwoFeatures())
    stop_the_clock(page)
    page.get_by_role("button", name="Run").click()
    page.clock.run_for(17)
    play_until(page, "steps", 4)
    page.evaluate("document.querySelector('[data-explorable]').bnModel.set('steps', 50)")
    page.clock.run_for(300)
    page.get_by_role("button", name="Run").wait_for()
    assert state(page, "steps") == 50


LIMITS = {"none": 2 / 52, "standardize": 2 / (1 + 6 / 7), "whiten": 2.0}


@pytest.mark.parametrize("preparation", LIMITS)
@pytest.mark.parametrize("deviation", [1.0, 3.3, 7.0, 10.0])
def test_at_the_limit_it_neither_diverges_nor_arrives(preparation, deviation):
    figure = TwoFeatures(preparation=preparation, deviation=deviation)
    given = scale.hand_problem().x * [1, deviation / 7]
    if preparation == "none":
        figure.rate = 2 / scale.eigenvalues(scale.hessian(given))[-1]
    else:
        figure.rate = LIMITS[preparation]
    said = first_words(figure)
    assert "it neither diverges nor arrives: a step only turns the " in said
    assert "multiplies" not in said
    for factor, expected in ((0.99, "bottom" if preparation == "whiten" else "zigzags"), (1.01, "diverges")):
        near = TwoFeatures(preparation=preparation, deviation=deviation, rate=figure.rate * factor)
        assert expected in first_words(near)


def test_just_beyond_the_limit_the_error_grows_in_words_too():
    assert "a step multiplies the steep error by −1.0020." in first_words(TwoFeatures(rate=0.0385))


@pytest.mark.parametrize(("rate", "takes"), [(1.05, "95.0"), (1.5, "50.0"), (1.91, "9.0")])
def test_a_round_bowl_has_no_valley(stage, rate, takes):
    page = stage(TwoFeatures(preparation="whiten", rate=rate), scripts=False)
    assert f"every step jumps over the bottom, and takes {takes} % off the error." in words(page)
    for word in ("valley", "flat", "steep"):
        assert word not in words(page)
        assert page.locator("svg").get_by_text(word).count() == 0
    slow = first_words(TwoFeatures(preparation="whiten", rate=0.1))
    assert "it does not overshoot, and a step takes 10.0 % off the error." in slow
    assert "multiplies the error by −1.40" in first_words(TwoFeatures(preparation="whiten", rate=2.4))


def test_whitening_makes_components_of_features(stage):
    page = stage(TwoFeatures())
    assert page.locator("svg").get_by_text("component").count() == 0
    page.get_by_label("whitened").check()
    texts = page.locator("svg text").all_text_contents()
    assert {"component 1, ± 2.4", "component 2", "feature 1, ± 16", "feature 2"} <= set(texts)
    assert {"weight of component 1 − best", "weight of component 2 − best"} <= set(texts)
    start = page.get_by_role("slider", name="start of the descent: weight of component 1 sideways")
    assert start.get_attribute("aria-valuetext").startswith("weight of component 1 off by")


def test_a_loss_that_has_grown_is_so_many_times_the_first(stage):
    growing = TwoFeatures(rate=0.0417, steps=0)
    page = stage(growing)
    said = []
    for steps in (0, 10, 30):
        put(page, {"steps": steps})
        said.append(words(page).split(" steps ")[1])
        assert said[-1].rstrip(".") in page.get_by_role("slider", name="steps shown").get_attribute("aria-valuetext")
    h = scale.hessian(scale.hand_problem().x)
    path = scale.descend(h, np.zeros(2), np.array([-5.0, -3.0]), 0.0417, 60)
    losses = scale.loss_on(h, np.zeros(2), path)
    assert said[0] == "the loss is as large as at the start."
    assert said[1:] == [f"the loss is {float(f'{losses[k] / losses[0]:.2g}'):g} times the first." for k in (10, 30)]
    nearly = first_words(TwoFeatures(preparation="whiten", rate=1.9999))
    assert nearly.endswith("the loss is about as large as at the start.")


@pytest.mark.parametrize("viewport", [PHONE, {"width": 1280, "height": 900}], ids=["phone", "desktop"])
def test_marks_do_not_cover_the_words(stage, viewport):
    page = stage(TwoFeatures(rate=0.2, steps=5), viewport=viewport)
    page.evaluate("""() => {
      const style = document.createElement('style'); // the ring is what is seen of a handle
      style.textContent = '.bn-handle { transform: scale(0.6) }';
      document.head.append(style);
    }""")
    for steps in range(0, 60, 5):
        put(page, {"steps": steps})
        assert collisions(page, "svg text:not(.bn-axis text)", ".bn-handle") == []
    for preparation in ("standardize", "whiten"):
        for deviation in (1, 3, 5, 7, 10):
            put(page, {"preparation": preparation, "deviation": deviation})
            assert collisions(page, ".bn-features text", ".bn-features circle") == []


@pytest.mark.parametrize("width", [320, 360, 390, 430, 640, 1280])
def test_its_height_stays_while_the_words_change(stage, width):
    page = stage(TwoFeatures(), viewport={"width": width, "height": 844})
    heights = page.locator("[data-explorable]").evaluate(
        """async (element) => {
          const heights = new Set();
          for (const preparation of ['none', 'standardize', 'whiten'])
            for (const deviation of [1, 9.9])
              for (const rate of [0.00126, 0.0251, 0.0417, 0.955, 1.07, 1.09, 1.91, 2, 2.95])
                for (const steps of [0, 20, 60]) {
                  const patch = { preparation, deviation, rate, steps };
                  Object.entries(patch).forEach(([key, value]) => element.bnModel.set(key, value));
                  await new Promise((done) => setTimeout(done, 0));
                  heights.add(Math.round(element.getBoundingClientRect().height));
                }
          return [...heights];
        }"""
    )
    assert len(heights) == 1


def test_at_the_bottom_of_the_bowl_there_is_nothing_to_do(stage):
    page = stage(TwoFeatures(start=[0.0, 0.0]))
    assert "no loss is left" in words(page)
    assert "NaN" not in page.locator("[data-explorable]").inner_html()
