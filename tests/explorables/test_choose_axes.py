"""Choose axes: its numbers are those of the chapter's experiments; hand, finger and keyboard reach every choice."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
import traitlets
from shown import as_in_the_book, height, state, words

from bn_book.axes.experiments import CHANGES, PARTS, Choice, normalize_over, unchanged
from bn_book.explorables import ChooseAxes

pytestmark = pytest.mark.needs("chromium", package="chromium (Debian)")

PHONE = {"width": 390, "height": 844}
CHOICES = [
    Choice("".join(axes), groups, center)
    for size in range(1, 5)
    for axes in combinations("NCHW", size)
    for groups in ((1, 2) if "C" in axes else (1,))
    for center in (True, False)
]


def test_the_numbers_are_those_of_the_chapter(bn_js):
    x = np.random.default_rng(0).normal(2, 3, (3, 4, 2, 3))
    for choice in CHOICES:
        got = bn_js("normalizeOver", x.tolist(), choice.axes, choice.groups, choice.center)
        np.testing.assert_allclose(got["y"], normalize_over(x, choice, eps=1e-12), rtol=0, atol=1e-12)
        owner = np.array(got["owner"])
        sizes = dict(zip("NCHW", x.shape, strict=True)) | {"C": 4 // choice.groups}
        assert set(np.bincount(owner.ravel())) == {np.prod([sizes[axis] for axis in choice.axes])}


@pytest.mark.parametrize("choice", CHOICES[::3], ids=str)
def test_what_leaves_no_trace_is_what_the_chapter_tried(bn_js, choice):
    x = ChooseAxes().x
    for part in PARTS:
        for change in CHANGES:
            got = bn_js("leavesNoTrace", x, choice.axes, choice.groups, choice.center, part, change)
            assert got is unchanged(choice, part, change), (part, change)


CENTRE = """([which, cell]) => {
  const box = document.querySelector(`.bn-axes-${which} [data-cell="${cell}"]`).getBoundingClientRect();
  return [box.x + box.width / 2, box.y + box.height / 2];
}"""
FRAMED = "which => [...document.querySelectorAll(`.bn-axes-${which} .bn-lit`)].map(cell => cell.dataset.cell)"


def test_a_touch_chooses_a_value_and_frames_those_that_share_its_mean(stage):
    page = stage(ChooseAxes(axes="HW"), viewport=PHONE, touch=True)
    for which, cell in (("in", "0201"), ("out", "2112")):
        page.locator(f".bn-axes-{which}").scroll_into_view_if_needed()
        page.touchscreen.tap(*page.evaluate(CENTRE, [which, cell]))
        assert [state(page, name) for name in ("sample", "channel", "row", "column")] == [int(index) for index in cell]
        for half in ("in", "out"):
            assert {place[:2] for place in page.evaluate(FRAMED, half)} == {cell[:2]}
            assert len(page.evaluate(FRAMED, half)) == 6
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]


def test_the_keyboard_does_it_all(stage):
    page = stage(ChooseAxes())
    assert "Batch Normalization. 4 pieces of 18 values" in words(page)
    page.get_by_role("checkbox", name="samples").focus()
    page.keyboard.press("Space")
    assert state(page, "axes") == "HW"
    assert "Instance Normalization" in words(page)
    page.get_by_role("checkbox", name="channels").focus()
    page.keyboard.press("Space")
    assert "Layer Normalization. 3 pieces of 24" in words(page)
    page.get_by_role("radio", name="2", exact=True).focus()
    page.keyboard.press("Space")
    assert "Group Normalization. 6 pieces of 12" in words(page)
    page.get_by_role("slider", name="column").focus()
    page.keyboard.press("ArrowRight")
    assert state(page, "column") == 2


@pytest.mark.parametrize(
    ("choice", "said"),
    [
        ({"axes": "C"}, "as in transformers"),
        ({"axes": "C", "center": False}, "RMSNorm of each position"),
        ({"axes": "C", "groups": 2}, "no name in common use"),
        ({"axes": "C", "groups": 4}, "of which nothing is left"),
        ({"axes": "CHW", "groups": 4}, "Instance Normalization"),
        ({"axes": "N"}, "each position a feature"),
        ({"axes": "NC"}, "no name in common use"),
        ({"axes": "CHW"}, "Neither a shift nor a factor leaves a trace on everything, one sample."),
        ({"axes": "HW", "center": False}, "leaves a trace wherever it is, a factor none on everything, one sample"),
        ({"axes": ""}, "no axis: each value by itself"),
        ({"axes": "NHW", "center": False}, "rows, columns, not subtracted: no name in common use"),
    ],
)
def test_a_choice_has_its_name_or_none(stage, choice, said):
    assert said in words(stage(ChooseAxes(**choice)))


@pytest.mark.parametrize("viewport", [{"width": 1280, "height": 900}, PHONE], ids=["desktop", "phone"])
def test_no_choice_moves_the_page(stage, stage_folder, viewport):
    page = stage(ChooseAxes(), viewport=viewport)
    as_in_the_book(page, stage_folder / "book.css")
    heights = set()
    for axes in ("NHW", "", "HW", "C", "NCHW"):
        for groups in (1, 4):
            page.evaluate(
                "([axes, groups]) => Object.entries({ axes, groups }).forEach(([name, value]) => "
                "document.querySelector('[data-explorable]').bnModel.set(name, value))",
                [axes, groups],
            )
            page.evaluate("() => new Promise(requestAnimationFrame)")
            heights.add(height(page))
    assert len(heights) == 1


def test_python_reads_and_sets_the_state():
    figure = ChooseAxes()
    figure.axes = "CHW"
    assert figure.state()["axes"] == "CHW"
    figure.reset()
    assert figure.axes == "NHW"


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({"axes": "HN"}, "axes is 'HN'; expected letters of 'NCHW' in that order"),
        ({"axes": "NN"}, "at most once"),
        ({"axes": "T"}, "letters of 'NCHW'"),
        ({"groups": 3}, "groups"),
        ({"sample": 3}, "sample"),
        ({"column": -1}, "column"),
        ({"center": "yes"}, "center"),
    ],
)
def test_bad_values_are_refused_by_name(state, message):
    with pytest.raises(traitlets.TraitError, match=message):
        ChooseAxes(**state)
