"""Drift: what it shows was measured, and the moment can be moved in every way."""

import math

import numpy as np
import pytest
import traitlets
from shown import collisions, play_until, state, stop_the_clock, swipe, words

from bn_book.covariate_shift import experiments as shift
from bn_book.data import load_digits
from bn_book.explorables import Drift
from bn_book.networks import sigmoid_network
from bn_lib.network import Dense, softmax_cross_entropy

pytestmark = pytest.mark.needs("chromium", package="chromium (Debian)")

PHONE = {"width": 390, "height": 844}


@pytest.fixture(scope="module")
def small() -> shift.Recording:
    """One epoch at two learning rates."""
    return shift.record((0.1, 0.5), epochs=1, moments=12, images=60)


# The recording


def test_the_first_moment_is_the_untrained_network(small):
    x, labels = (part[:60] for part in load_digits().train)
    model = sigmoid_network(rng=np.random.default_rng(0))
    loss, _ = softmax_cross_entropy(model.forward(x), labels)
    np.testing.assert_allclose(small.loss[:, 0, 0], loss)
    first = next(layer for layer in model.stack if isinstance(layer, Dense))
    all_units = np.percentile(x @ first.weight + first.bias, shift.PERCENTILES, axis=0)
    shown = small.percentiles[0, 0, 0, 0]
    assert np.abs(all_units - shown[:, None]).max(axis=0).min() < 1e-5, "it is one of the layer's units"
    for other in small.medians[0, 0, 0, 0]:
        assert np.abs(all_units[3] - other).min() < 1e-5


def test_a_recording_watches_the_run_of_the_chapter():
    """The same weights, shuffles and images as `train`, so each unit shown is one of its units."""
    images = len(load_digits().train[0])
    recording = shift.record((0.5,), epochs=1, moments=3, images=images)
    assert recording.steps[[0, -1]].tolist() == [0, 23]
    for side, with_bn in enumerate((False, True)):
        run = shift.train(with_bn=with_bn, learning_rate=0.5, epochs=1, measure_every=23)
        for layer in range(3):
            shown = recording.percentiles[0, side, layer, -1, [1, 3, 5]]
            assert np.abs(run.percentiles[-1, layer] - shown[:, None]).max(axis=0).min() == 0


def test_a_recording_is_the_same_each_time(small):
    again = shift.record.__wrapped__((0.1, 0.5), epochs=1, moments=12, images=60)
    for ours, theirs in zip(small, again, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    other = shift.record((0.1,), epochs=1, moments=12, images=60, seed=1)
    assert not np.array_equal(other.loss[0], small.loss[0])


def test_a_run_that_diverges_ends_there_and_says_so(stage):
    recording = shift.record((1e38,), epochs=1, moments=12, images=60)
    assert np.isfinite(recording.loss[..., 0]).all()
    assert np.isnan(recording.loss[..., -1]).all()
    assert np.isnan(recording.percentiles[0, 0, :, -1]).all()
    figure = Drift(recording)
    assert figure.recording["runs"][0][0]["loss"][-1] is None
    page = stage(figure)
    page.get_by_role("slider", name="training step").press("End")
    assert "Without BN: diverged, the loss is no longer a finite number." in words(page)
    assert page.locator("svg").get_by_text("diverged").count() == 2
    drawing = page.locator("svg").inner_html()
    assert "NaN" not in drawing
    assert "Infinity" not in drawing


def test_at_least_one_learning_rate_is_needed():
    with pytest.raises(ValueError, match="learning_rates is empty"):
        shift.record(())


@pytest.fixture(scope="module")
def strayed() -> np.ndarray:
    """How far the median of each typical sigmoid, the thick line, gets from its start: `(rates, 2, layers)`."""
    medians = shift.record().percentiles[..., 3]
    return np.abs(medians - medians[..., :1]).max(axis=-1)


SLOW, MIDDLE, FAST = range(3)
WITHOUT, WITH = range(2)


def test_what_the_message_says_of_the_medians_was_measured(strayed):
    recording = shift.record()
    assert recording.learning_rates == (0.1, 0.5, 5.0)
    says = Drift(recording).message
    assert "At a learning rate of 0.5 they stray less with BN than without it, in all three layers" in says
    assert (strayed[MIDDLE, WITH] < 0.6 * strayed[MIDDLE, WITHOUT]).all()
    assert strayed[MIDDLE, WITH, 2] < strayed[MIDDLE, WITHOUT, 2] / 3
    assert "At 0.1 they stray further with BN in layers 1 and 2 and about as far in layer 3" in says
    assert (strayed[SLOW, WITH, :2] > 2 * strayed[SLOW, WITHOUT, :2]).all()
    assert abs(strayed[SLOW, WITH, 2] / strayed[SLOW, WITHOUT, 2] - 1) < 0.1
    assert "At 5 the median of layer 3 strays further with BN than at 0.5 without it" in says
    assert strayed[FAST, WITH, 2] > 2 * strayed[MIDDLE, WITHOUT, 2]
    assert "Whether it helps because inputs move less is disputed." in says


def test_what_the_message_says_of_the_loss_was_measured():
    recording = shift.record()
    says = Drift(recording).message
    without, with_bn = recording.loss.swapaxes(0, 1)
    assert "at 0.5 without it, and the network learns all the same" in says
    assert "the loss falls sooner" in says
    assert (with_bn[MIDDLE] < without[MIDDLE]).all(), "at every moment"
    assert "only the network with BN learns" in says
    assert without[SLOW].min() > 2.2, "log(10) is 2.3: it guesses"
    assert "BN helps at all three rates" in says
    assert (with_bn[:, -1] < 0.1).all()
    assert (with_bn[:, -1] < without[:, -1] / 10).all()


def test_it_shows_the_recording_to_a_hundredth(small):
    figure = Drift(small)
    runs = figure.recording["runs"]
    for rate in range(2):
        for side in range(2):
            inputs = np.array(runs[rate][side]["inputs"]) / 100
            np.testing.assert_allclose(inputs.swapaxes(1, 2), small.percentiles[rate, side], atol=0.0051)
            np.testing.assert_allclose(np.array(runs[rate][side]["loss"]) / 1000, small.loss[rate, side], atol=0.00051)


# The figure


def test_it_opens_before_the_first_step(stage, small):
    page = stage(Drift(small), scripts=False)
    assert words(page).startswith("Step 0 ")


def test_the_moment_follows_a_drag_on_the_picture_the_slider_and_keys(stage, small):
    page = stage(Drift(small, moment=len(small.steps) - 1))
    last = len(small.steps) - 1
    assert state(page, "moment") == last
    area = page.locator(".bn-scrub").nth(1)
    box = area.bounding_box()
    before = words(page)
    page.mouse.move(box["x"] + box["width"] - 4, box["y"] + 100)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 120, steps=4)
    page.mouse.up()
    middle = state(page, "moment")
    assert 0 < middle < last
    assert words(page) != before
    page.mouse.move(box["x"] + 3, box["y"] + 120)
    assert state(page, "moment") == middle, "let go"
    page.mouse.click(box["x"] + 3, box["y"] + 120)
    assert state(page, "moment") == 0
    slider = page.get_by_role("slider", name="training step")
    slider.press("ArrowRight")
    assert state(page, "moment") == 1
    assert slider.get_attribute("aria-valuetext") == str(small.steps[1])
    slider.press("End")
    assert state(page, "moment") == last


def test_a_finger_scrubs_and_still_scrolls_the_page(stage, small):
    page = stage(Drift(small, moment=len(small.steps) - 1), viewport=PHONE, touch=True)
    box = page.locator(".bn-scrub").first.bounding_box()
    last = len(small.steps) - 1
    swipe(page, (box["x"] + box["width"] - 10, box["y"] + 200), (0, -120))
    page.wait_for_function("scrollY > 50")
    assert state(page, "moment") >= last - 1
    box = page.locator(".bn-scrub").first.bounding_box()
    swipe(page, (box["x"] + box["width"] - 10, box["y"] + 250), (-80, 0))
    page.wait_for_function("m => document.querySelector('[data-explorable]').bnModel.get('moment') < m", arg=last - 1)


@pytest.mark.parametrize("sideways", [0, 4, -15])
def test_a_swipe_that_scrolls_the_page_leaves_the_moment(stage, small, sideways):
    page = stage(Drift(small, moment=len(small.steps) - 1), viewport=PHONE, touch=True)
    last = len(small.steps) - 1
    box = page.locator(".bn-scrub").first.bounding_box()
    swipe(page, (box["x"] + box["width"] / 2, box["y"] + 200), (sideways, -120))
    page.wait_for_function("scrollY > 50")
    assert state(page, "moment") == last


def test_a_tap_sets_the_moment(stage, small):
    page = stage(Drift(small, moment=len(small.steps) - 1), viewport=PHONE, touch=True)
    box = page.locator(".bn-scrub").first.bounding_box()
    swipe(page, (box["x"] + 3, box["y"] + 60), (0, 0))
    page.wait_for_function("document.querySelector('[data-explorable]').bnModel.get('moment') === 0")


def test_what_a_drag_that_is_taken_away_has_moved_goes_back(stage, small):
    page = stage(Drift(small, moment=len(small.steps) - 1))
    area = page.locator(".bn-scrub").first
    box = area.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 120)
    page.mouse.down()
    last = len(small.steps) - 1
    assert state(page, "moment") < last
    area.dispatch_event("pointercancel")
    assert state(page, "moment") == last


def test_the_names_of_the_panels_are_clear_of_the_curves(stage):
    for rate in (0.1, 0.5, 5.0):
        for moment in (0, 5, 62):
            page = stage(Drift(rate=rate, moment=moment), viewport=PHONE, theme="dark")
            marks = "[id*=-curves-] path, .bn-time, .bn-dot, .bn-flat, .bn-side-name, .bn-axis text"
            assert collisions(page, ".bn-panel-name", marks) == []


def test_learning_rate_and_layers(stage, small):
    page = stage(Drift(small))
    assert state(page, "rate") == 0.5
    page.get_by_role("radio", name="0.1").check()
    assert state(page, "rate") == 0.1
    assert "at learning rate 0.1" in words(page)
    for layer in (3, 2):
        page.get_by_role("checkbox", name=str(layer)).uncheck()
    assert state(page, "layers") == [1]
    assert "in layer 1" in words(page)
    page.get_by_role("checkbox", name="1").click()
    assert state(page, "layers") == [1]
    assert page.get_by_role("checkbox", name="1").is_checked(), "the last one stays"
    page.get_by_role("checkbox", name="3").press("Space")
    assert state(page, "layers") == [1, 3]
    assert page.locator("svg .bn-panel-name").all_text_contents() == ["layer 1", "layer 3", "loss"] * 2


def test_the_model_moves_the_picture(stage, small):
    page = stage(Drift(small, moment=len(small.steps) - 1))
    page.evaluate("document.querySelector('[data-explorable]').bnModel.set('moment', 0)")
    page.wait_for_function("document.querySelector('.bn-now').innerText.startsWith('Step 0 ')")
    assert page.get_by_role("slider", name="training step").input_value() == "0"
    assert page.locator(".bn-time").first.get_attribute("x1") == "34"


def test_play_runs_to_the_end_and_can_be_paused(stage, small):
    page = stage(Drift(small))
    stop_the_clock(page)
    page.get_by_role("button", name="Play").click()
    play_until(page, "moment", 3)
    page.get_by_role("button", name="Pause").click()
    paused = state(page, "moment")
    assert paused < 12
    page.clock.run_for(900)
    assert state(page, "moment") == paused
    page.get_by_role("button", name="Play").click()
    play_until(page, "moment", 12, frames=10)
    page.get_by_role("button", name="Play").wait_for()


def test_without_motion_the_button_steps(stage, small):
    page = stage(Drift(small), reduced_motion="reduce")
    stop_the_clock(page)
    page.get_by_role("button", name="Step").click()
    assert state(page, "moment") == 2
    page.clock.run_for(600)
    assert state(page, "moment") == 2


def test_python_sets_it_within_the_recording(small):
    figure = Drift(small, moment=3, rate=0.1, layers=[2])
    assert figure.state() == {"moment": 3, "rate": 0.1, "layers": [2]}
    figure.moment = 0
    figure.reset()
    assert figure.moment == 3
    for wrong, message in (
        ({"moment": len(small.steps)}, f"moment must be from 0 to {len(small.steps) - 1}, got {len(small.steps)}"),
        ({"rate": 0.3}, r"rate must be one of \[0.1, 0.5\], got 0.3"),
        ({"layers": []}, r"layers must be some of 1, 2 and 3, in this order, got \[\]"),
        ({"layers": [3, 1]}, r"in this order, got \[3, 1\]"),
        ({"layers": [0]}, r"in this order, got \[0\]"),
    ):
        with pytest.raises(traitlets.TraitError, match=message):
            Drift(small, **wrong)
    with pytest.raises(TypeError, match="recording is a dict; expected a Recording"):
        Drift({})
    assert math.isclose(figure.rate, 0.1)
