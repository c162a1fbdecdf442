"""A vector that can only turn: its mathematics beside bn_lib's, and the figure in the reader's hands."""

import re

import numpy as np
import pytest
from shown import collisions, first_words, play_until, state, stop_the_clock, words
from traitlets import TraitError

from bn_book.explorables import Turning
from bn_book.length import experiments as length
from bn_lib import SGD, BatchNorm, Dense, Sequential

pytestmark = pytest.mark.needs("chromium", package="chromium (Debian)")

CLOSE = {"rtol": 1e-12, "atol": 1e-12}
PHONE = {"width": 390, "height": 844}


def batches(steps):
    found = length.turns(steps=steps)
    return [(found.x[rows], found.targets[rows]) for rows in found.batches]


def of_the_library(start, rate, decay, steps):
    """The same descent by the layers and the optimizer of bn_lib: weights, and the gradient of each step."""
    dense, bn = Dense(2, 1, bias=False, rng=np.random.default_rng(0)), BatchNorm(1, eps=0.0)
    dense.weight, bn.parameter_names = np.array(start)[:, None], ()
    model = Sequential(dense, bn)
    sgd = SGD(model, rate, weight_decay=decay)
    visited, gradients = [dense.weight.ravel()], []
    for x, targets in batches(steps):
        y = model.forward(x)
        model.fill_grads((y - targets[:, None]) / len(x))  # of half the mean squared error
        gradients.append(dense.grads["weight"].ravel())
        sgd.step()
        visited.append(dense.weight.ravel())
    return np.array(visited), np.array(gradients)


@pytest.mark.parametrize(("start", "rate", "decay"), [([-0.6, 0.8], 1.0, 0.0), ([3.0, 4.0], 0.05, 0.1)])
def test_the_descent_is_that_of_the_librarys_layers(bn_js, start, rate, decay):
    given = [{"rows": x.tolist(), "targets": targets.tolist()} for x, targets in batches(40)]
    ours = bn_js("descentOfUnit", start, given, rate, decay)
    visited, gradients = of_the_library(start, rate, decay, 40)
    np.testing.assert_allclose(ours["visited"], visited, **CLOSE)
    np.testing.assert_allclose(ours["gradients"], gradients, **CLOSE)
    across = np.sum(visited[:-1] * np.array(ours["gradients"]), axis=1)
    np.testing.assert_allclose(across, 0, atol=1e-12)


def test_the_angle_between_two_vectors(bn_js):
    rng = np.random.default_rng(0)
    for a, b in rng.normal(size=(10, 2, 2)):
        cosine = a @ b / np.linalg.norm(a) / np.linalg.norm(b)
        assert bn_js("angleBetween", a.tolist(), b.tolist()) == pytest.approx(np.arccos(cosine), rel=1e-9)
    assert bn_js("angleBetween", [1, 0], [-2, 0]) == pytest.approx(np.pi)


@pytest.mark.parametrize(("rate", "decay"), [(0.1, 0.05), (2.0, 0.2)])
def test_in_balance_a_step_leaves_the_length(bn_js, rate, decay):
    found = bn_js("balanceOfUnit", rate, decay, 0.3)
    w = np.array([found["length"], 0.0])
    gradient = np.array([0.0, np.sqrt(0.3) / found["length"]])
    v = (1 - rate * decay) * w - rate * gradient
    assert np.linalg.norm(v) == pytest.approx(found["length"], rel=1e-12)
    assert np.arccos(v[0] / np.linalg.norm(v)) == pytest.approx(found["angle"], rel=1e-9)


def test_its_words_are_the_runs_numbers():
    visited, _ = of_the_library([-0.6, 0.8], 1.0, 0.05, 200)
    said = first_words(Turning(decay=0.05, steps=200))
    assert f"the vector is {np.linalg.norm(visited[-1]):.3g} long, and was 1." in said
    cosine = np.sum(visited[:-1] * visited[1:], axis=1)
    cosine /= np.linalg.norm(visited[:-1], axis=1) * np.linalg.norm(visited[1:], axis=1)
    late = np.degrees(np.sqrt(np.mean(np.arccos(cosine[-50:]) ** 2)))
    assert f"The last 50 steps turned it by {late:.2g}° each" in said
    assert f"In balance a step turns it by {np.degrees(np.arccos(0.95)):.2g}°." in said


def test_what_the_message_promises():
    """Angles come to the line from any length; the same product gives the same angle at other lengths."""

    def late(start, rate, decay):
        visited, gradients = of_the_library(np.array([-0.6, 0.8]) * start, rate, decay, 200)
        turn = np.arctan2(
            rate * np.linalg.norm(gradients, axis=1), (1 - rate * decay) * np.linalg.norm(visited[:-1], axis=1)
        )
        return np.sqrt(np.mean(turn[-50:] ** 2)), np.mean(np.linalg.norm(visited[-50:], axis=1))

    balance = np.arccos(1 - 0.05)
    for start in (0.1, 1.0, 10.0):
        assert late(start, 0.5, 0.1)[0] == pytest.approx(balance, rel=0.15)
    (one, short), (other, long) = late(1.0, 0.5, 0.1), late(1.0, 1.0, 0.05)
    assert one == pytest.approx(other, rel=0.1)
    assert long > 1.3 * short
    slow, fast = (late(1.0, rate, 0.0) for rate in (0.01, 3.0))
    assert fast[1] > 4 > 1.1 > slow[1]
    assert fast[0] < np.radians(5)
    says = Turning().message
    assert "The vector grows until its steps are small turns, by itself." in says
    assert "the circles differ, and the angle is the same" in says


def test_sliders_and_time(stage):
    page = stage(Turning())
    assert words(page).endswith("Without decay nothing makes it shorter.")
    assert page.locator(".bn-balance").count() == 0
    page.get_by_role("slider", name="weight decay").press("ArrowRight")
    assert state(page, "decay") == pytest.approx(0.005)
    assert page.locator(".bn-balance").count() == 3, "a circle and two lines"
    page.get_by_role("slider", name="learning rate").press("Home")
    assert state(page, "rate") == 0.01
    page.get_by_role("slider", name="first length").press("End")
    assert state(page, "length") == 10
    page.get_by_role("slider", name="steps").press("End")
    assert state(page, "steps") == 200
    assert "200 steps" in words(page)
    assert page.locator(".bn-turn path").count() == 0, "there is no next step"


def test_play_runs_to_the_end(stage):
    page = stage(Turning())
    stop_the_clock(page)
    page.get_by_role("button", name="Play").click()
    play_until(page, "steps", 10)
    page.get_by_role("button", name="Pause").click()
    assert state(page, "steps") < 30


@pytest.mark.parametrize(
    ("bad", "named"),
    [({"rate": 4.0}, "rate"), ({"decay": -0.1}, "decay"), ({"steps": 201}, "steps"), ({"length": 0.0}, "length")],
)
def test_a_bad_value_is_named(bad, named):
    with pytest.raises(TraitError, match=named):
        Turning(**bad)


@pytest.mark.parametrize("viewport", [PHONE, {"width": 1280, "height": 900}], ids=["phone", "desktop"])
def test_words_are_clear_of_what_is_drawn(stage, viewport):
    for figure in (Turning(), Turning(rate=3.0, steps=200), Turning(decay=0.2, length=10.0, steps=200)):
        page = stage(figure, viewport=viewport)
        assert (
            collisions(page, "svg text:not(.bn-axis text:not(.bn-axis-label))", ".bn-here, .bn-tips, .bn-weight") == []
        )
        assert "NaN" not in page.locator("[data-explorable]").inner_html()


@pytest.mark.parametrize("width", [320, 390, 640, 1280])
def test_its_height_stays_while_the_words_change(stage, width):
    page = stage(Turning(), viewport={"width": width, "height": 844})
    heights = page.locator("[data-explorable]").evaluate(
        """async (element) => {
          const heights = new Set();
          for (const rate of [0.01, 0.95, 3]) for (const decay of [0, 0.005, 0.2]) for (const length of [0.1, 10])
            for (const steps of [0, 1, 2, 60, 200]) {
              Object.entries({ rate, decay, length, steps }).forEach(([key, value]) => element.bnModel.set(key, value));
              await new Promise((done) => setTimeout(done, 0));
              heights.add(Math.round(element.getBoundingClientRect().height));
            }
          return [...heights];
        }"""
    )
    assert len(heights) == 1


def test_arrows_are_drawn_from_the_middle_to_the_tip_and_on(stage):
    page = stage(Turning(rate=1.0, decay=0.1, length=5.0))
    starts = [
        tuple(
            map(
                float,
                re.match(r"M([\d.-]+) ([\d.-]+)", page.locator(f".{kind} path").first.get_attribute("d")).groups(),
            )
        )
        for kind in ("bn-weight", "bn-turn", "bn-decay")
    ]
    assert len(set(starts)) == 3
