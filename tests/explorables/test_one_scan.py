"""One scan: what the browser computes is what the networks say, and what is said of gain and window is so."""

import numpy as np
import pytest
import traitlets
from shown import collisions, drag, state, words

from bn_book.explorables import OneScan
from bn_book.medical import experiments as medical
from bn_book.medical import phantoms
from bn_lib import Conv2d, ReLU

pytestmark = pytest.mark.needs("chromium", package="chromium (Debian)")

PHONE = {"width": 390, "height": 844}


def scan(lesion=True, gain=1.0, offset=0.0, gamma=1.0):
    """The head in a scanner, `(1, 1, 16, 16)`, float64, by the formula of the chapter."""
    sent = medical.shipped()
    t, grain = np.array(sent.heads[lesion]) / 1000, np.array(sent.grain) / 1000
    return (gain * (np.maximum(t, 0) ** gamma + 0.05 * grain) + offset).reshape(1, 1, phantoms.SIDE, phantoms.SIDE)


def z_scores(x):
    return (x - x.mean()) / x.std()


def parts(name):
    """The rounded network as it is sent, in thousandths: weights, biases, output."""
    network = medical.shipped().networks[name]
    weights, biases = ([np.array(each) / 1000 for each in network[what]] for what in ("weights", "biases"))
    return weights, biases, np.array(network["output"]) / 1000


def score(name, x):
    """What the rounded network says, computed with the layers of bn_lib."""
    weights, biases, output = parts(name)
    for weight, bias in zip(weights, biases, strict=True):
        layer = Conv2d(*weight.shape[1::-1], 3, stride=2, padding=1, rng=np.random.default_rng(0))
        layer.weight, layer.bias = weight, bias
        x = ReLU().forward(layer.forward(x))
    return float(x.max(axis=(2, 3))[0] @ output[:-1] + output[-1])


@pytest.mark.parametrize("name", ["none", "z-score"])
def test_the_browser_computes_what_the_network_says(bn_js, name):
    weights, biases, output = parts(name)
    sent = {
        "weights": [each.tolist() for each in weights],
        "biases": [each.tolist() for each in biases],
        "output": output.tolist(),
    }
    x = scan(gain=1.7, gamma=0.9)
    found = bn_js("lesionScore", sent, x[0, 0].tolist())
    assert found == pytest.approx(score(name, x), abs=1e-10)
    exact = medical.detectors(name)
    assert found == pytest.approx(exact._replace(preparation="as it is").scores(x.astype(np.float32))[0], abs=0.15)


def test_the_browsers_scanner_is_the_chapters(bn_js):
    sent = medical.shipped()
    t, grain = (np.array(values) / 1000 for values in (sent.heads[1], sent.grain))
    x = bn_js("scanned", t.tolist(), grain.tolist(), {"gain": 0.6, "offset": -0.3, "gamma": 1.35, "noise": 0.05})
    np.testing.assert_allclose(x, scan(True, 0.6, -0.3, 1.35).ravel(), rtol=1e-12)


def test_what_the_message_says_of_the_gain_is_so():
    says = OneScan().message
    assert "at 3 it reports a lesion where there is none, at 0.3 it misses the one that is there" in says
    raw, z = (medical.shipped().thresholds[name] / 1000 for name in ("none", "z-score"))
    assert score("none", scan(True)) > raw > score("none", scan(False))
    assert score("none", scan(False, gain=3)) > raw > score("none", scan(True, gain=0.3))
    for gain in (0.3, 1, 3):
        assert score("z-score", z_scores(scan(True, gain))) > z > score("z-score", z_scores(scan(False, gain)))
    same = [score("z-score", z_scores(scan(True, gain, offset))) for gain, offset in ((1, 0), (0.3, -1), (3, 1))]
    assert np.ptp(same) < 1e-9
    moved = [score("z-score", z_scores(scan(True, gamma=gamma))) for gamma in (0.5, 1, 2)]
    assert np.ptp(moved) > 0.5


def test_it_opens_with_a_lesion_that_both_find(stage):
    page = stage(OneScan(), scripts=False)
    assert words(page).startswith("A head with a lesion at gain 1.00")
    assert words(page).count("above its threshold") == 2
    assert page.locator(".bn-reported").count() == 2


def test_an_edge_of_the_window_is_dragged_and_moves_no_score(stage):
    page = stage(OneScan())
    before, picture = words(page), page.locator(".bn-pixels").inner_html()
    handle = page.get_by_role("slider", name="upper edge of the window")
    drag(page, handle, 60, 0)
    assert state(page, "high") > 1.5
    assert page.locator(".bn-pixels").inner_html() != picture
    assert words(page).split("Score")[1] == before.split("Score")[1]
    handle.press("Home")
    assert state(page, "high") == pytest.approx(state(page, "low") + 0.1)
    page.get_by_role("slider", name="lower edge of the window").press("ArrowLeft")
    assert state(page, "low") == pytest.approx(-0.1)


def test_the_scanner_is_set_by_keyboard(stage):
    page = stage(OneScan())
    z = words(page).split("from z-scores: ")[1]
    for name, press, value in (("gain", "End", 3), ("offset", "Home", -1)):
        page.get_by_role("slider", name=name, exact=True).press(press)
        assert state(page, name) == value
    assert words(page).split("from z-scores: ")[1] == z
    page.get_by_role("slider", name="gamma", exact=True).press("End")
    assert words(page).split("from z-scores: ")[1] != z
    page.get_by_role("checkbox", name="a lesion").press("Space")
    assert state(page, "lesion") is False
    assert "without a lesion" in words(page)


@pytest.mark.parametrize("viewport", [PHONE, {"width": 1280, "height": 900}], ids=["phone", "desktop"])
def test_words_are_clear_of_what_is_drawn(stage, viewport):
    for figure in (OneScan(), OneScan(gain=3.0, offset=1.0), OneScan(gain=0.3, offset=-1.0, lesion=False, low=-2.0)):
        page = stage(figure, viewport=viewport)
        assert collisions(page, "svg text", ".bn-bars, .bn-window, .bn-said, .bn-pixels rect") == []


@pytest.mark.parametrize(
    ("bad", "named"), [({"gain": 0.1}, "gain"), ({"gamma": 3.0}, "gamma"), ({"low": 1.5}, "low must be below high")]
)
def test_a_bad_value_is_named(bad, named):
    with pytest.raises(traitlets.TraitError, match=named):
        OneScan(**bad)
