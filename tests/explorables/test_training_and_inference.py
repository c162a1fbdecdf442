"""Training and inference: its running statistics are bn_lib's, and the switch can be moved in every way."""

import numpy as np
import pytest
import traitlets
from shown import drag, state, surprises, words

from bn_book.explorables import TrainingAndInference
from bn_lib import BatchNorm, batch_norm_inference

pytestmark = pytest.mark.needs("chromium", package="chromium (Debian)")

CLOSE = {"rtol": 1e-12, "atol": 1e-12}
PHONE = {"width": 390, "height": 844}


def _running(page):
    """The numbers of the column "running": mean, variance, error of y."""
    return [float(text) for text in page.locator(".bn-worked td:nth-child(3)").all_inner_texts()]


# The mathematics


@pytest.mark.parametrize("seed", range(12))
def test_running_statistics_are_those_of_the_layer_on_the_same_batches(bn_js, seed):
    rng = np.random.default_rng(seed)
    size, momentum = int(rng.integers(2, 40)), float(rng.uniform(0.001, 1))
    center, deviation = rng.uniform(-5, 12), rng.uniform(0.1, 4)
    standard = np.array(bn_js("standardBatches", seed, size, 20))
    of_batches = [
        bn_js("movedMoments", moments, center, deviation) for moments in bn_js("momentsOfBatches", standard.tolist())
    ]
    ours = bn_js("runningStatistics", of_batches, momentum)
    layer = BatchNorm(1, momentum=momentum)
    assert ours[0] == {"mean": layer.running_mean[0], "variance": layer.running_var[0]}
    for values, moments, running in zip(center + deviation * standard, of_batches, ours[1:], strict=True):
        layer.forward(values[:, None])
        np.testing.assert_allclose(running["mean"], layer.running_mean[0], **CLOSE)
        np.testing.assert_allclose(running["variance"], layer.running_var[0], **CLOSE)
        np.testing.assert_allclose(moments["mean"], values.mean(), **CLOSE)
        np.testing.assert_allclose(moments["biased"], values.var(), **CLOSE)


@pytest.mark.parametrize("seed", range(12))
def test_the_error_of_y_is_that_of_inference_over_the_population(bn_js, seed):
    rng = np.random.default_rng(seed)
    stored = {"mean": rng.uniform(-5, 5), "variance": rng.uniform(0.1, 9)}
    population = {"mean": rng.uniform(-5, 5), "variance": rng.uniform(0.1, 9)}
    eps = 10 ** rng.uniform(-5, 0)
    nodes, weights = np.polynomial.hermite_e.hermegauss(4)  # exact for the square of a linear function
    x = population["mean"] + np.sqrt(population["variance"]) * nodes[:, None]
    y, right = (
        batch_norm_inference(x, np.ones(1), np.zeros(1), np.array([s["mean"]]), np.array([s["variance"]]), eps=eps)
        for s in (stored, population)
    )
    expected = np.sqrt(weights @ (y - right)[:, 0] ** 2 / weights.sum())
    np.testing.assert_allclose(bn_js("errorOfY", stored, population, eps), expected, **CLOSE)
    assert bn_js("errorOfY", population, population, eps) == 0


def test_batches_are_normal_independent_and_the_same_for_a_seed(bn_js):
    batches = np.array(bn_js("standardBatches", 5, 64, 150))
    np.testing.assert_array_equal(batches, bn_js("standardBatches", 5, 64, 150))
    np.testing.assert_array_equal(batches[:, :7], bn_js("standardBatches", 5, 7, 150))
    assert not np.array_equal(batches, bn_js("standardBatches", 6, 64, 150))
    n = batches.size
    assert abs(batches.mean()) < 4 / np.sqrt(n)
    assert abs(batches.var() - 1) < 4 * np.sqrt(2 / n)
    assert abs(np.mean(np.abs(batches) < 1) - 0.6827) < 4 * np.sqrt(0.22 / n)
    means = batches.mean(axis=1)
    assert abs(means.var() * 64 - 1) < 4 * np.sqrt(2 / 150), "the spread that the table gives for the mean"
    assert abs(np.corrcoef(means[:-1], means[1:])[0, 1]) < 4 / np.sqrt(149)
    assert abs(batches.var(axis=1, ddof=1).std() - np.sqrt(2 / 63)) < 0.06, "and for the variance"


# The figure


def test_it_shows_what_the_layer_would_store(stage, bn_js):
    figure = TrainingAndInference(momentum=0.2, batch_size=8, updates=40, moved_at=30, moved_to=2.0, seed=7)
    page = stage(figure)
    layer = BatchNorm(1, momentum=0.2)
    for k, values in enumerate(np.array(bn_js("standardBatches", 7, 8, 40))):
        layer.forward(((6 if k < 30 else 2) + 2 * values)[:, None])
    mean, variance, error = _running(page)
    assert mean == pytest.approx(layer.running_mean[0], abs=0.005001)
    assert variance == pytest.approx(layer.running_var[0], abs=0.005001)
    layer.eval()
    y = layer.forward(np.array([[2.0 + 2.0]]))[0, 0]
    assert f"gives y = {y:.2f} instead of 1.00; over all inputs y is off by {error:.2f}." in words(page)


def test_the_switch_follows_mouse_slider_and_keys(stage):
    page = stage(TrainingAndInference(updates=100, moved_to=9.0))
    handle = page.get_by_role("slider", name="the switch to inference")
    before = words(page)
    drag(page, handle, -172, 18)
    assert 20 < state(page, "updates") < 80
    assert words(page) != before
    for key, updates in (("Home", 0), ("ArrowRight", 1), ("Shift+ArrowRight", 11), ("End", 150)):
        handle.press(key)
        assert state(page, "updates") == updates
        assert handle.get_attribute("aria-valuenow") == str(updates)
    slider = page.get_by_role("slider", name="updates", exact=True)
    slider.press("Home")
    assert state(page, "updates") == 0
    assert _running(page)[:2] == [0, 1], "the start values"


def test_a_finger_moves_the_population(stage):
    page = stage(TrainingAndInference(updates=100, moved_to=9.0), viewport=PHONE, touch=True)
    box = page.get_by_role("slider", name="where the population's mean moves").bounding_box()
    assert min(box["width"], box["height"]) >= 44
    touch = page.context.new_cdp_session(page)
    at = {"x": box["x"] + 18, "y": box["y"] + 22}
    touch.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [at]})
    to = {"x": at["x"] - 90, "y": at["y"] + 60}
    touch.send("Input.dispatchTouchEvent", {"type": "touchMove", "touchPoints": [to]})
    touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    page.wait_for_function("document.querySelector('[data-explorable]').bnModel.get('moved_at') < 70")
    assert state(page, "moved_to") < 6
    assert state(page, "updates") == 100


def test_the_population_by_keys_and_what_it_costs_later(stage):
    page = stage(TrainingAndInference(updates=60, moved_to=6.0))
    assert "has moved" not in words(page)
    handle = page.get_by_role("slider", name="where the population's mean moves")
    handle.press("Shift+ArrowUp")
    assert state(page, "moved_to") == 7
    assert "When the population has moved, it is off by 0." in words(page)
    handle.press("ArrowLeft")
    assert state(page, "moved_at") == 89


def test_momentum_and_batch_size(stage):
    page = stage(TrainingAndInference())
    page.get_by_role("slider", name="momentum").press("End")
    assert state(page, "momentum") == 1
    assert "A new batch counts 100 %, all before it 0 %" in page.locator(".bn-convention").inner_text()
    page.get_by_role("slider", name="batch size").press("End")
    assert state(page, "batch_size") == 128
    assert "momentum 1 and batches of 128" in words(page)
    page.get_by_role("slider", name="batch size").press("Home")
    assert state(page, "batch_size") == 2


def test_the_model_moves_the_picture(stage):
    page = stage(TrainingAndInference())
    page.evaluate("document.querySelector('[data-explorable]').bnModel.set('updates', 0)")
    page.wait_for_function("document.querySelector('.bn-now').innerText.startsWith('After 0 updates')")
    assert page.locator(".bn-time").first.get_attribute("x1") == "34"


def test_play_streams_batches_in(stage):
    page = stage(TrainingAndInference(updates=140))
    page.get_by_role("button", name="Play").click()
    page.wait_for_function("document.querySelector('[data-explorable]').bnModel.get('updates') === 150")
    page.get_by_role("button", name="Play").wait_for()


def test_while_it_plays_the_momentum_can_be_moved(stage):
    page = stage(TrainingAndInference(updates=0))
    page.get_by_role("button", name="Play").click()
    page.get_by_role("slider", name="momentum").press("ArrowRight")
    seen = state(page, "updates")
    page.wait_for_function("n => document.querySelector('[data-explorable]').bnModel.get('updates') > n + 3", arg=seen)
    assert page.get_by_role("button", name="Pause").is_visible()


def test_without_motion_the_button_steps(stage):
    page = stage(TrainingAndInference(updates=0), reduced_motion="reduce")
    page.get_by_role("button", name="Step").click()
    assert state(page, "updates") == 15


def test_every_surprise_is_a_state_of_its_own_and_can_be_said(stage):
    page = stage(TrainingAndInference())
    seen = surprises(page, TrainingAndInference().state())
    seeds = set()
    for now, said, _ in seen:
        assert said.startswith("After ")
        assert said.endswith(".")
        assert "NaN" not in said
        seeds.add(TrainingAndInference(**now).seed)
    assert len(seeds) > 45


@pytest.mark.parametrize("extreme", [{"updates": 0}, {"updates": 150}, {"moved_at": 0, "moved_to": 0.0}])
def test_nothing_is_wider_than_a_phone_nor_undefined(stage, extreme):
    figure = TrainingAndInference(**({"momentum": 0.001, "batch_size": 2, "deviation": 4.0, "mean": 12.0} | extreme))
    page = stage(figure, viewport=PHONE)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert "NaN" not in page.locator("[data-explorable]").inner_html()


def test_python_sets_it_within_its_range():
    figure = TrainingAndInference(updates=10, momentum=0.5)
    figure.updates = 20
    figure.reset()
    assert figure.updates == 10
    for wrong, message in (
        ({"momentum": 0.0}, "momentum"),
        ({"momentum": 1.1}, "momentum"),
        ({"batch_size": 1}, "batch_size"),
        ({"batch_size": 8.5}, "batch_size"),
        ({"updates": 151}, "updates"),
        ({"moved_at": -1}, "moved_at"),
        ({"moved_to": 13.0}, "moved_to"),
        ({"mean": -1.0}, "mean"),
        ({"deviation": 0.0}, "deviation"),
        ({"seed": -1}, "seed"),
    ):
        with pytest.raises(traitlets.TraitError, match=message):
            TrainingAndInference(**wrong)
