"""Own formulas: what is typed is drawn, and means what the exercise's reader of formulas says that it means."""

import numpy as np
import pytest
import traitlets
from shown import as_in_the_book, height, state, surprises, words

from bn_book.explorables import OwnFormulas
from bn_exercises.formulas.formula import FUNCTIONS, parse
from bn_exercises.problems import ADAPTIVE

pytestmark = pytest.mark.needs("chromium", package="chromium (Debian)")

PHONE = {"width": 390, "height": 844}
PARAMETERS = ("a", "b", "c", "d")
# As the exercise allows them to be written.
WRITTEN = (
    "2 - c * cos(mu)",
    "d * arctan(mu)",
    "-mu**2",
    "2**-mu**2",
    "1 + a*mu^2/(1 + mu^2)",
    "1 + a·tanh(μ)",
    "b × μ / √(1 + µ²)",
    "1 − a * np.tanh(mu) / math.sqrt(var + eps)",
    "b * sigmoid(3 * mu) + softplus(-mu) - relu(mu)",
    "clip(mu, -1, 1) + max(mu, 0.5) + min(mu, 1, 2) + sign(mu)",
    "a * tanh(mu / σ) + σ² + ε + pi",
    "expm1(mu / 9) + log1p(mu**2) + square(mu) + arcsinh(mu) + 1e-3 * sinh(mu) + .5",
)


@pytest.fixture(scope="module")
def in_browser(browser):
    """The value of a formula there, for these names; or what is said of it."""
    from bn_book.explorables._bundle import joined

    page = browser.new_context().new_page()
    script = joined("own_formulas").replace("export default ", "const shown = ")
    page.evaluate("script => { window.read = new Function(`${script}; return read;`)(); }", script)
    yield lambda text, names: page.evaluate(
        "([text, names]) => { const formula = read(text); return formula.trouble ?? formula.at(names); }", [text, names]
    )
    page.context.close()


@pytest.mark.parametrize("text", WRITTEN)
def test_a_formula_means_what_the_exercise_takes_it_to_mean(in_browser, text):
    ours = parse(text, ("mu", "var", "sigma", "eps", *PARAMETERS))
    for mean in (-2.5, 0.3, 3.0):
        names = {"mu": mean, "var": 0.64, "sigma": 0.8, "eps": 0.01, "a": 0.5, "b": -1.5, "c": 0.3, "d": 1.0}
        assert in_browser(text, names) == pytest.approx(float(ours(**names)), rel=1e-12, abs=1e-12)


def test_every_function_of_the_exercise_is_there(in_browser):
    for name, function in FUNCTIONS.items():
        text = f"{name}({', '.join(['0.3', '0.1', '0.6'][: function.least])})"
        assert in_browser(text, {}) == pytest.approx(float(parse(text, ())()), rel=1e-12), name


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no formula yet"),
        ("1 +", "cannot be read"),
        ("2 mu", "cannot be read"),
        ("tanh mu", "cannot be read"),
        ("foo(mu)", "no function foo"),
        ("constructor(mu)", "no function constructor"),
        ("mu.constructor", "cannot be read"),
        ("mu = 3", "cannot be read"),
        ("(mu)(2)", "cannot be read"),
        ("x + mu", "no x here"),
        ("mu > 0", "cannot be read"),
        ("tanh", "cannot be read"),
        ('"mu"', "cannot be read"),
    ],
)
def test_what_is_no_formula_is_told(in_browser, text, said):
    assert said in str(in_browser(text, {"mu": 1.0}))


def lines(page):
    return page.eval_on_selector_all(".bn-formula-line", "lines => lines.map(line => line.getAttribute('d'))")


def test_a_line_follows_the_typing(stage):
    page = stage(OwnFormulas())
    before = lines(page)
    field = page.get_by_role("textbox", name="γ(μ) =")
    field.fill("1 + a * tanh(mu)")
    page.wait_for_function("d => document.querySelector('.bn-formula-line').getAttribute('d') !== d", arg=before[0])
    assert state(page, "gamma") == "1 + a * tanh(mu)"
    assert lines(page)[1] == before[1]
    assert "γ is 1.48 and β is 1.11" in words(page)
    # Half typed: said beside the field, and the other line stays.
    field.fill("1 + a * tanh(mu")
    page.get_by_text("This cannot be read yet").wait_for()
    assert field.get_attribute("aria-invalid") == "true"
    assert lines(page) == ["", before[1]]
    assert "γ cannot be read" in words(page)


def test_a_parameter_is_set_by_its_slider(stage):
    page = stage(OwnFormulas(gamma="1 + a * mu", beta="0"))
    page.get_by_role("slider", name="a", exact=True).press("End")
    assert state(page, "a") == 2
    assert "γ is 5" in words(page)


def test_a_pole_is_a_gap_and_a_corner_jumps_in_the_slope(stage):
    page = stage(OwnFormulas(gamma="1 / mu", beta="abs(mu)"))
    assert "γ has no value for 1 of 401 means" in words(page)
    assert lines(page)[0].count("M") == 2
    slope = page.locator(".bn-slope").nth(1).get_attribute("d")
    heights = [float(point.split()[1]) for point in slope.replace("M", "L").split("L")[1:]]
    # At 0 itself the two sides average.
    assert sum(abs(np.diff(heights)) > 1) <= 2
    assert max(heights) - min(heights) > 5


def test_the_output_has_the_mean_beta_and_the_batch_moves(stage):
    page = stage(OwnFormulas())
    handle = page.get_by_role("slider", name="mean of the batch")
    handle.press("Home")
    assert state(page, "mean") == -10
    centres = page.eval_on_selector_all(".bn-out", "dots => dots.map(dot => Number(dot.getAttribute('cx')))")
    assert len(centres) == 3
    assert centres[1] == pytest.approx(np.mean(centres), abs=0.1)


def test_no_letter_moves_the_page(stage, stage_folder):
    for viewport in ({"width": 1280, "height": 900}, PHONE):
        page = stage(OwnFormulas(), viewport=viewport)
        as_in_the_book(page, stage_folder / "book.css")
        before = height(page)
        for text in ("2 - c * cos(mu", "x", "", "1 + c / (mu - 4)"):
            page.get_by_role("textbox", name="γ(μ) =").fill(text)
            assert state(page, "gamma") == text
            assert height(page) == before, text
        assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"]


def test_every_surprise_can_be_read_and_breaks_a_rule(stage):
    page = stage(OwnFormulas())
    names = OwnFormulas().state()
    seen = {(now["gamma"], now["beta"]): now for now, _, _ in surprises(page, names)}
    assert len(seen) > 5
    for now in seen.values():
        assert OwnFormulas(**now).state() == now
        values = {name: now[name] for name in PARAMETERS}
        design = ADAPTIVE.answers(now["gamma"], now["beta"], values)
        verdict = ADAPTIVE.judge(ADAPTIVE.observe(design))
        found = {part: verdict.of(part).kind for part in ("finite", "smooth", "stable", "special_case")}
        assert set(found.values()) != {"right"}, (now["gamma"], now["beta"])


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"gamma": "1" * 401}, "gamma must be at most 400 characters, got 401"),
        ({"beta": 3}, "beta"),
        ({"mean": 11.0}, "mean"),
        ({"var": 0.0}, "var"),
        ({"a": float("nan")}, "a must be a number, got nan"),
    ],
)
def test_bad_values_are_refused_by_name(wrong, message):
    with pytest.raises(traitlets.TraitError, match=message):
        OwnFormulas(**wrong)
