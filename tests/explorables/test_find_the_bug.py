"""Find the bug: its right outputs are bn_lib's, its wrong ones and their words are those of the exercises."""

import re

import numpy as np
import pytest
import traitlets
from shown import as_in_the_book, collisions, drag, height, state, surprises, words

from bn_book.explorables import FindTheBug
from bn_book.explorables.find_the_bug import CLAIMS, LETTERS, MISTAKES
from bn_exercises.formulas.formula import parse_assertion
from bn_exercises.functions import implementations
from bn_lib import batch_norm

pytestmark = pytest.mark.needs("chromium", package="chromium (Debian)")

PHONE = {"width": 390, "height": 844}
THEIRS = {mistake.name: mistake for mistake in implementations.MISTAKES["forward"]}
EACH = pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake["id"])
ONE_CHANGE = {  # what exposes each, starting from the first input
    "ddof1": {"copies": 1},
    "onePass": {"far": 1e8},
    "epsOutside": {"eps": 1.0},
    "noEps": {"eps": 1.0},
    "varianceForDeviation": {"x": [[-2.68, 0.9], [0.9, 2.68], [2.68, -0.9], [-0.9, -2.68]]},
    "overEverything": {"x": [[-1.34, 2.45], [0.45, 3.34], [1.34, 1.55], [-0.45, 0.66]]},
    "gammaLeftOut": {"gamma": 2.0},
    "betaScaled": {"gamma": 0.5, "beta": 1.0},
}


def random_input(seed, far=0.0):
    rng = np.random.default_rng(seed)
    x = far + rng.normal(rng.normal(0, 3, 2), rng.uniform(0.1, 4, 2), size=(int(rng.integers(2, 60)), 2))
    return x, rng.uniform(-3, 3), rng.uniform(-3, 3), 10 ** rng.uniform(-5, 1)


def test_right_is_bn_libs(bn_js):
    for seed in range(20):
        x, gamma, beta, eps = random_input(seed)
        y, _ = batch_norm(x, np.full(2, gamma), np.full(2, beta), eps=eps)
        ours = bn_js("batchNormMistaken", x.tolist(), gamma, beta, eps, "")
        np.testing.assert_allclose(ours, y, rtol=1e-12, atol=1e-12)


@EACH
def test_wrong_is_the_exercises(bn_js, mistake):
    for seed in range(20):
        x, gamma, beta, eps = random_input(seed)
        theirs = THEIRS[mistake["name"]].compute(x, np.full(2, gamma), np.full(2, beta), eps)
        ours = bn_js("batchNormMistaken", x.tolist(), gamma, beta, eps, mistake["id"])
        np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-12)


def test_what_cancels_far_from_zero_is_the_exercises_too(bn_js):
    """The lost digits are the same ones: both add up in the same order."""
    for seed, far in enumerate((1e3, 1e6, 1e7, 1e8)):
        x, gamma, beta, eps = random_input(seed, far)
        with np.errstate(invalid="ignore"):  # the root of a variance below zero
            theirs = THEIRS["E[x²] − E[x]²"].compute(x, np.full(2, gamma), np.full(2, beta), eps)
        ours = bn_js("batchNormMistaken", x.tolist(), gamma, beta, eps, "onePass")
        np.testing.assert_allclose(np.array(ours, dtype=float), theirs, rtol=1e-12)


def replied(page, said):
    page.wait_for_function("said => document.querySelector('.bn-reply').innerText.includes(said)", arg=said)


def test_at_first_nobody_can_be_told_from_right(stage):
    page = stage(FindTheBug())
    for letter in LETTERS:
        page.get_by_role("radio", name=letter).check()
        assert state(page, "suspect") == letter
        replied(page, "as good as right")
        assert f"Suspect {letter} on 400 samples" in words(page)
    page.get_by_role("button", name="ddof=1").click()
    replied(page, "That would be a guess")
    assert state(page, "found") == []


@EACH
def test_one_change_tells_each_apart_and_its_name_is_taken(stage, mistake):
    letter = LETTERS[MISTAKES.index(mistake)]
    page = stage(FindTheBug(suspect=letter, **ONE_CHANGE[mistake["id"]]))
    replied(page, "Told apart")
    wrong = next(each["name"] for each in MISTAKES if each["id"] == ("noEps" if mistake["id"] == "ddof1" else "ddof1"))
    page.get_by_role("button", name=wrong, exact=True).click()
    replied(page, f"No. With “{wrong}”")
    assert state(page, "found") == []
    page.get_by_role("button", name=mistake["name"], exact=True).click()
    replied(page, f"Yes: “{mistake['name']}”. Its author would be told: “{mistake['says']}”")
    assert state(page, "found") == [letter]
    assert page.get_by_role("radio", name=f"{letter} ✓").is_checked()


def test_two_mistakes_that_look_the_same_here_are_said_to(stage):
    """With variance 1, σ + ε is σ² + ε."""
    letter = LETTERS[next(i for i, mistake in enumerate(MISTAKES) if mistake["id"] == "epsOutside")]
    page = stage(FindTheBug(suspect=letter, eps=1.0))
    page.get_by_role("button", name="variance for standard deviation").click()
    replied(page, "would look nearly the same here")
    half = [[0.5 * value for value in row] for row in FindTheBug().x]
    page.evaluate("x => document.querySelector('[data-explorable]').bnModel.set('x', x)", half)
    replied(page, "No. With “variance for standard deviation” value")


def test_show_me_returns_to_the_first_input(stage):
    letter = LETTERS[next(i for i, mistake in enumerate(MISTAKES) if mistake["id"] == "ddof1")]
    page = stage(FindTheBug(suspect=letter, x=[[0.1, 0.2], [0.3, 0.4], [0.5, 0.6], [0.7, 0.8]]))
    page.get_by_role("button", name="Show me").click()
    replied(page, "It is “ddof=1”")
    assert state(page, "x") == FindTheBug().x


def test_show_me_exposes_each_from_anywhere(stage):
    page = stage(FindTheBug(gamma=0.5, beta=-1.0, far=1e4, eps=0.3))
    for letter, mistake in zip(LETTERS, MISTAKES, strict=True):
        page.get_by_role("radio", name=letter).check()
        page.get_by_role("button", name="Show me").click()
        replied(page, f"It is “{mistake['name']}”")
        assert "told apart clearly" in words(page)
    assert state(page, "shown") == list(LETTERS)
    assert state(page, "found") == []


def test_a_value_is_dragged_by_mouse_and_by_keys_and_takes_the_guess_back(stage):
    page = stage(FindTheBug(suspect="C", answer="ddof=1"))
    handle = page.get_by_role("slider", name="value 3 of feature 2")
    # Gripped at its outer side, because another value is beside it.
    drag(page, handle, -60, 28, at=(12, 22))
    moved = state(page, "x")
    assert sum(a != b for a, b in zip(np.ravel(moved), np.ravel(FindTheBug().x), strict=True)) == 1
    assert moved[2][1] < -1
    assert state(page, "answer") == ""
    handle.press("End")
    assert state(page, "x")[2][1] == 4
    assert handle.get_attribute("aria-valuetext") == "4.00"
    replied(page, "Told apart")
    assert "over" not in page.locator(".bn-reply").inner_text()


def test_a_finger_moves_a_value_on_a_phone(stage):
    page = stage(FindTheBug(), viewport=PHONE, touch=True)
    box = page.get_by_role("slider", name="value 3 of feature 1").bounding_box()
    assert box["height"] >= 44
    # As wide as its neighbour leaves it; a target that another one covers is no target.
    beside = page.get_by_role("slider", name="value 2 of feature 1").bounding_box()
    assert 30 <= box["width"] <= box["x"] - beside["x"] + 0.01
    touch = page.context.new_cdp_session(page)
    at = {"x": box["x"] + 22, "y": box["y"] + 22}
    touch.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [at]})
    touch.send("Input.dispatchTouchEvent", {"type": "touchMove", "touchPoints": [{**at, "x": at["x"] + 70}]})
    touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    page.wait_for_function("document.querySelector('[data-explorable]').bnModel.get('x')[2][0] > 2.5")
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]


def test_sliders_set_the_rest_of_the_input(stage):
    page = stage(FindTheBug())
    for label, key, name, value in (
        ("m, samples", "Home", "copies", 1),
        ("added to x", "End", "far", 1e8),
        ("γ, the scale", "End", "gamma", 3),
        ("β, the shift", "Home", "beta", -3),
        ("ε", "End", "eps", 10),
    ):
        page.get_by_role("slider", name=label, exact=True).press(key)
        assert state(page, name) == value
    assert "on 4 samples" in words(page)


def test_outputs_that_are_no_numbers_are_told_apart(stage):
    letter = LETTERS[next(i for i, mistake in enumerate(MISTAKES) if mistake["id"] == "noEps")]
    page = stage(FindTheBug(suspect=letter, x=[[0, 1], [0, 1], [0, 1], [0, 1]]))
    assert "are no numbers, told apart clearly" in words(page)
    assert "becomes not a number" in words(page)
    assert "NaN" not in page.locator("[data-explorable] svg").nth(1).inner_html()
    page.get_by_role("button", name="over everything").click()
    replied(page, "No. With “over everything”")


MARKS = """() => {
  return [...document.querySelectorAll('.bn-suspect')].map(mark => {
    const line = mark.parentElement.querySelector('.bn-alike');
    const [x1, y1, x2, y2] = ['x1', 'y1', 'x2', 'y2'].map(name => Number(line.getAttribute(name)));
    const { x, y, width, height } = mark.getBBox();
    const alike = y1 + (x + width / 2 - x1) * (y2 - y1) / (x2 - x1);
    return { below: y + height / 2 - alike, floor: y1, y, beyond: mark.classList.contains('bn-beyond') };
  });
}"""


@pytest.mark.parametrize(("gamma", "beta"), [(2.0, 1.0), (2.0, -1.0), (3.0, 3.0), (-3.0, 3.0), (2.45, 0.3)])
def test_what_differs_beyond_the_axes_is_not_drawn_as_alike(stage, gamma, beta):
    """With gamma 2 and beta 1 the first row's outputs, 3.7 and 4.7, would both be at the corner."""
    page = stage(FindTheBug(suspect="A", gamma=gamma, beta=beta))
    unit = 154 / 6  # of the drawing, for 1
    difference = abs(gamma * beta - beta)
    marks = page.evaluate(MARKS)
    assert any(mark["beyond"] for mark in marks)
    for mark in marks:
        assert abs(mark["below"]) >= unit * min(difference, 0.5) - 0.2
        assert np.sign(-mark["below"]) == np.sign(gamma * beta - beta)


@pytest.mark.parametrize("viewport", [{"width": 1280, "height": 900}, PHONE], ids=["desktop", "phone"])
def test_no_two_marks_lie_on_each_other_at_first(stage, viewport):
    page = stage(FindTheBug(), viewport=viewport)
    for marks in (".bn-suspect", ".bn-in"):
        assert page.locator(marks).count() == 8
        assert collisions(page, marks, marks) == []


def test_what_is_alike_beyond_the_axes_is_drawn_as_alike(stage):
    page = stage(FindTheBug(suspect="D", gamma=3.0, beta=3.0))
    marks = page.evaluate(MARKS)
    assert any(mark["beyond"] for mark in marks)
    assert max(abs(mark["below"]) for mark in marks) < 1


def test_what_is_not_a_number_has_a_place_of_its_own(stage):
    page = stage(FindTheBug(suspect="F", x=[[-4.0, -4.0]] * 4, far=1e8, gamma=-3.0, beta=3.0))
    drawing = page.locator("[data-explorable] svg").nth(1)
    assert "infinitely far apart" in drawing.text_content()
    assert "apart by" not in drawing.text_content()
    assert "not a" in drawing.text_content()
    for mark in page.evaluate(MARKS):
        assert mark["y"] > mark["floor"] + 20, "below the axis and its numbers"
    assert "not a" not in stage(FindTheBug()).locator("[data-explorable] svg").nth(1).text_content()


def test_what_show_me_shows_lies_within_the_axes(stage):
    page = stage(FindTheBug())
    for letter in LETTERS:
        page.get_by_role("radio", name=letter).check()
        page.get_by_role("button", name="Show me").click()
        replied(page, "It is")
        assert page.locator(".bn-beyond").count() == 0, letter


@pytest.mark.parametrize("viewport", [{"width": 1280, "height": 900}, PHONE], ids=["desktop", "phone"])
def test_no_suspect_and_no_answer_moves_the_page(stage, stage_folder, viewport):
    page = stage(FindTheBug(), viewport=viewport)
    as_in_the_book(page, stage_folder / "book.css")
    heights = set()
    for letter in LETTERS:
        page.get_by_role("button", name="Reset").click()
        page.get_by_role("radio", name=letter).check()
        replied(page, "as good as right")
        heights.add(height(page))
        page.get_by_role("button", name="Show me").click()
        replied(page, "It is")
        heights.add(height(page))
    assert len(heights) == 1


def test_every_surprise_tells_its_suspect_apart(stage):
    page = stage(FindTheBug())
    seen = surprises(page, FindTheBug().state())
    assert {now["suspect"] for now, _, _ in seen} == set(LETTERS)
    for now, said, everything in seen:
        assert FindTheBug(**now).state() == now
        assert "told apart clearly" in said
        assert not re.search("NaN|undefined|Infinity", everything)


def test_python_reads_and_sets_it():
    figure = FindTheBug()
    figure.far = 1e7
    figure.suspect = "F"
    assert (figure.state()["far"], figure.state()["suspect"]) == (1e7, "F")
    assert "mistakes" not in figure.state()
    figure.reset()
    assert figure.far == 0


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"suspect": "I"}, "suspect"),
        ({"x": [[1.0, 2.0]]}, r"shape \(4, 2\), got \(1, 2\)"),
        ({"x": [["a", 2.0]] * 4}, "x must be 4 rows of 2 numbers"),
        ({"x": [[1.0, 5.0]] * 4}, "between -4 and 4, got 5.0"),
        ({"x": [[1.0, float("nan")]] * 4}, "between -4 and 4, got nan"),
        ({"copies": 0}, "copies"),
        ({"far": 1e9}, "far"),
        ({"eps": 0.0}, "eps"),
        ({"answer": "something"}, "answer"),
        ({"found": ["Z"]}, "found"),
    ],
)
def test_bad_values_are_refused_by_name(wrong, message):
    with pytest.raises(traitlets.TraitError, match=message):
        FindTheBug(**wrong)


# One suspect, and a claim that exposes it: the page of exercise 7.

ONE = {"suspect": "H", "alone": True}


def test_alone_it_is_one_suspect_and_asks_for_a_claim(stage):
    page = stage(FindTheBug(**ONE))
    assert page.get_by_role("radio").count() == 0
    assert page.get_by_role("button", name="γ left out").count() == 0
    replied(page, "no claim is a clear test")
    assert words(page).startswith("The suspect on 400 samples")
    for _ in range(3):
        page.get_by_role("button", name="Surprise me").click()
        assert state(page, "suspect") == "H"


def test_a_claim_is_worthless_in_three_ways_and_one_exposes(stage):
    page = stage(FindTheBug(**ONE, eps=1.0))
    for claim, said in zip(
        CLAIMS,
        ("what differs here is not what it looks at", "The claim is false", "holds for everything", "Exposed"),
        strict=True,
    ):
        page.get_by_role("button", name=claim, exact=True).click()
        assert state(page, "claim") == claim
        replied(page, said)
    # A change of the input keeps the claim, and takes the verdict back.
    page.get_by_role("slider", name="ε", exact=True).press("Home")
    assert state(page, "claim") == CLAIMS[-1]
    replied(page, "may differ by rounding")
    page.get_by_role("button", name="Show me").click()
    replied(page, "It is “ε outside the root”")


@EACH
def test_a_claim_holds_where_the_exercise_says_that_it_does(stage, mistake):
    """For the right implementation and for the suspect, on the input that exposes it."""
    letter = LETTERS[MISTAKES.index(mistake)]
    change = ONE_CHANGE[mistake["id"]]
    page = stage(FindTheBug(suspect=letter, alone=True, **change))
    given = FindTheBug(**change).state()
    x = np.tile(np.array(given["x"]) + given["far"], (given["copies"], 1))
    gamma, beta = np.full(2, given["gamma"]), np.full(2, given["beta"])
    with np.errstate(invalid="ignore"):
        outputs = [
            compute(x, gamma, beta, given["eps"])
            for compute in (implementations.RIGHT["forward"], THEIRS[mistake["name"]].compute)
        ]
    names = {"x": x, "gamma": gamma, "beta": beta, "eps": given["eps"]}
    for claim in CLAIMS:
        parsed = parse_assertion(claim, ("x", "gamma", "beta", "eps", "y"))
        holds, for_suspect = (parsed.holds(**names, y=y) for y in outputs)
        page.get_by_role("button", name=claim, exact=True).click()
        said = page.locator(".bn-reply").inner_text()
        assert ("The claim is false" in said) == (not holds), claim
        assert ("Exposed" in said) == (holds and not for_suspect), claim


def test_no_claim_moves_the_page(stage, stage_folder):
    for viewport in ({"width": 1280, "height": 900}, PHONE):
        page = stage(FindTheBug(**ONE, eps=1.0), viewport=viewport)
        as_in_the_book(page, stage_folder / "book.css")
        heights = set()
        for claim in CLAIMS:
            page.get_by_role("button", name=claim, exact=True).click()
            heights.add(height(page))
        page.get_by_role("button", name="Show me").click()
        replied(page, "It is")
        heights.add(height(page))
        assert len(heights) == 1
        assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"]
