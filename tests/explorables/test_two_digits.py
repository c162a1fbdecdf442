"""Between two digits: what the browser draws is what the generator draws, and what is said of the corners is so."""

import numpy as np
import pytest
import traitlets
from shown import collisions, drag, state, words

from bn_book.explorables import TwoDigits
from bn_book.modulation import experiments as modulation

pytestmark = pytest.mark.needs("chromium", package="chromium (Debian)")

PHONE = {"width": 390, "height": 844}


@pytest.fixture(scope="module")
def generator() -> dict:
    """The numbers that a page gets, as they are computed with."""

    def parts(record):
        return {name: np.array(values) / 100 for name, values in record.items()}

    shipped = modulation.shipped()
    return {
        "hidden": [parts(layer) for layer in shipped.hidden],
        "output": parts(shipped.output),
        "hands": np.array(shipped.hands) / 100,
        "reader": np.array(shipped.reader) / 1000,
    }


def drawn(generator, hand, start, end, gamma, beta):
    """The same by NumPy."""
    h = generator["hands"][hand]
    for layer in generator["hidden"]:
        g, b = (
            (1 - share) * layer[name][start] + share * layer[name][end]
            for name, share in (("gamma", gamma), ("beta", beta))
        )
        h = np.maximum(0, g * (h @ layer["weight"] + layer["bias"]) + b)
    return 1 / (1 + np.exp(-(h @ generator["output"]["weight"] + generator["output"]["bias"])))


def read(generator, image):
    return image @ generator["reader"][:-1] + generator["reader"][-1]


@pytest.mark.parametrize(("start", "end", "gamma", "beta"), [(3, 8, 0.0, 0.0), (1, 7, 1.0, 0.5), (0, 6, 0.3, 0.9)])
def test_the_browser_draws_what_numpy_draws(bn_js, generator, start, end, gamma, beta):
    sent = {
        "hidden": [{name: values.tolist() for name, values in layer.items()} for layer in generator["hidden"]],
        "output": {name: values.tolist() for name, values in generator["output"].items()},
    }
    maps = [
        {
            name: bn_js("onTheWay", layer[name][start], layer[name][end], share)
            for name, share in (("gamma", gamma), ("beta", beta))
        }
        for layer in sent["hidden"]
    ]
    image = bn_js("drawnDigit", sent, generator["hands"][1].tolist(), maps)
    expected = drawn(generator, 1, start, end, gamma, beta)
    np.testing.assert_allclose(image, expected, rtol=1e-12, atol=1e-12)
    scores = bn_js("dense", image, generator["reader"][:-1].tolist(), generator["reader"][-1].tolist())
    np.testing.assert_allclose(scores, read(generator, expected), rtol=1e-12, atol=1e-12)


def test_what_the_message_says_of_the_sides_of_the_square_is_so(generator):
    """Over all pairs and all rows of noise: along gamma most stay, along beta most become the other."""
    says = TwoDigits().message
    assert "Along γ, to the lower right, the first digit mostly stays what it is" in says
    assert "Along β, to the upper left, it mostly becomes the second" in says
    pairs = [(hand, a, b) for hand in range(5) for a in range(10) for b in range(10) if a != b]
    along_gamma, along_beta, both = (
        [read(generator, drawn(generator, *pair, *corner)).argmax() for pair in pairs]
        for corner in ((1, 0), (0, 1), (1, 1))
    )
    starts, ends = np.array([a for _, a, _ in pairs]), np.array([b for _, _, b in pairs])
    assert (along_gamma == starts).mean() > 0.5
    assert (along_beta == ends).mean() > 0.5
    assert (both == ends).mean() > 0.7
    neither = (along_gamma != starts) & (along_beta != ends)
    assert neither.any(), "the reader is asked to find one"


def test_it_opens_at_the_first_class(stage, generator):
    page = stage(TwoDigits(), scripts=False)
    seen = read(generator, drawn(generator, 0, 3, 8, 0, 0)).argmax()
    assert words(page).startswith(f"γ is 0 % of the way from 3 to 8, β 0 %. The linear reader sees a {seen} ")


def test_the_point_is_dragged_in_both_directions(stage):
    page = stage(TwoDigits())
    handle = page.get_by_role("slider", name="γ and β")
    before = page.locator(".bn-digit").last.inner_html()
    box = page.locator(".bn-plane").bounding_box()
    drag(page, handle, box["width"] / 2, -box["height"])
    assert state(page, "gamma") == pytest.approx(0.5, abs=0.03)
    assert state(page, "beta") == 1
    assert page.locator(".bn-digit").last.inner_html() != before
    assert "γ is 50 %" in words(page) or "γ is 48 %" in words(page) or "γ is 52 %" in words(page)
    handle.press("Home")
    assert state(page, "gamma") == 0
    handle.press("ArrowDown")
    assert state(page, "beta") == pytest.approx(0.98)
    handle.press("PageDown")
    assert (state(page, "gamma"), state(page, "beta")) == (0, pytest.approx(0.78))
    handle.press("PageUp")
    assert handle.get_attribute("aria-valuetext") == "γ 0 %, β 98 %"


def test_classes_and_noise_are_chosen(stage):
    page = stage(TwoDigits())
    for name, press, trait, value in (
        ("from class", "Home", "start", 0),
        ("to class", "End", "end", 9),
        ("noise", "End", "hand", 5),
        ("way of γ", "End", "gamma", 1),
        ("way of β", "ArrowRight", "beta", 0.02),
    ):
        page.get_by_role("slider", name=name, exact=True).press(press)
        assert state(page, trait) == pytest.approx(value), name
    assert "from 0 to 9" in words(page)
    corners = page.locator("svg").first.locator(".bn-corner").all_text_contents()
    assert corners == ["γ 0, β 0", "γ 0, β 9", "γ 9, β 0", "γ 9, β 9"]
    page.get_by_role("button", name="Reset").click()
    assert (state(page, "start"), state(page, "gamma")) == (3, 0)


@pytest.mark.parametrize("viewport", [PHONE, {"width": 1280, "height": 900}], ids=["phone", "desktop"])
def test_words_are_clear_of_what_is_drawn(stage, viewport):
    for figure in (TwoDigits(), TwoDigits(start=0, end=1, gamma=1.0, beta=1.0), TwoDigits(gamma=0.5, beta=0.5, hand=3)):
        page = stage(figure, viewport=viewport)
        assert collisions(page, "svg text", ".bn-digit rect, .bn-plane, .bn-here-now, .bn-read") == []


@pytest.mark.parametrize("bad", [{"start": 10}, {"end": -1}, {"gamma": 1.5}, {"beta": -0.1}, {"hand": 0}])
def test_a_bad_value_is_named(bad):
    with pytest.raises(traitlets.TraitError, match=next(iter(bad))):
        TwoDigits(**bad)
