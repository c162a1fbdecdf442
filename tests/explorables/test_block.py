"""The block: its numbers are those of bn_lib's four normalizers; mouse, finger and keyboard turn it and touch it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import traitlets
from playwright.sync_api import Page
from shown import as_in_the_book, height, state, words

from bn_book.explorables import Block
from bn_lib import batch_norm, group_norm, instance_norm, layer_norm

pytestmark = pytest.mark.needs("chromium", package="chromium (Debian)")

PHONE = {"width": 390, "height": 844}
CHOICES = [("batch", 1), ("layer", 1), ("instance", 1), ("group", 1), ("group", 2), ("group", 4)]


def with_bn_lib(x: np.ndarray, normalizer: str, groups: int) -> np.ndarray:
    ones, zeros = np.ones(x.shape[1]), np.zeros(x.shape[1])
    if normalizer == "group":
        return group_norm(x, ones, zeros, groups)[0]
    return {"batch": batch_norm, "layer": layer_norm, "instance": instance_norm}[normalizer](x, ones, zeros)[0]


@pytest.mark.parametrize(("normalizer", "groups"), CHOICES)
def test_the_numbers_are_bn_libs(bn_js, normalizer, groups):
    rng = np.random.default_rng(groups)
    for samples, positions in ((3, (2, 3)), (2, (1, 5)), (5, (2, 2))):
        x = rng.normal(rng.normal(0, 5), rng.uniform(0.5, 4), size=(samples, 4, *positions))
        flat = x.reshape(samples, 4, -1)
        got = bn_js("normalizeBlock", flat.tolist(), normalizer, groups, 1e-5)
        np.testing.assert_allclose(got["y"], with_bn_lib(x, normalizer, groups).reshape(flat.shape), rtol=0, atol=1e-12)
        # The pieces: every one of them counted once, with the moments of its values.
        owner = np.repeat(np.array(got["owner"])[..., None], flat.shape[-1], axis=-1)
        assert sorted(set(owner.ravel())) == list(range(len(got["pieces"])))
        for number, piece in enumerate(got["pieces"]):
            values = flat[owner == number]
            assert piece["count"] == values.size
            np.testing.assert_allclose([piece["mean"], piece["variance"]], [values.mean(), values.var()], atol=1e-12)


def in_its_place(page: Page) -> None:
    """Wait until the pieces have stopped moving."""
    page.evaluate("""async () => {
      const shape = () => [...document.querySelectorAll('.bn-face')].map(face => face.getAttribute('points')).join();
      let before;
      do {
        before = shape();
        for (let i = 0; i < 3; i++) await new Promise(requestAnimationFrame);
      } while (before !== shape());
    }""")


CENTRES = """which => {
  const faces = [...document.querySelectorAll('.bn-block-' + which + ' .bn-face-p')];
  return Object.fromEntries(faces.map(face => {
    const box = face.getBoundingClientRect();
    return [face.dataset.map, [box.x + box.width / 2, box.y + box.height / 2]];
  }));
}"""


def test_a_click_chooses_a_piece_and_says_so(stage):
    page = stage(Block())
    before = words(page)
    for which, place in (("in", "02"), ("out", "20")):
        page.mouse.click(*page.evaluate(CENTRES, which)[place])
        assert [state(page, "sample"), state(page, "channel")] == [int(number) for number in place]
        assert f"channel {int(place[1]) + 1}, has mean" in words(page)
    assert words(page) != before
    # All maps of the channel are marked, and no other.
    lit = page.evaluate("[...document.querySelectorAll('.bn-block-in .bn-lit')].map(face => face.dataset.map)")
    assert set(lit) == {"00", "10", "20"}


def test_a_drag_turns_it_and_chooses_nothing(stage):
    page = stage(Block())
    x, y = page.evaluate(CENTRES, "in")["02"]
    chosen = state(page, "channel")
    points = page.locator(".bn-face").first.get_attribute("points")
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 60, y + 20, steps=6)
    page.mouse.up()
    assert (state(page, "turn"), state(page, "tilt")) == (40 - 36, 28 + 8)
    assert state(page, "channel") == chosen
    assert page.locator(".bn-face").first.get_attribute("points") != points


def test_a_finger_turns_it_sideways_and_a_tap_chooses(stage):
    page = stage(Block(), viewport=PHONE, touch=True)
    page.touchscreen.tap(*page.evaluate(CENTRES, "in")["03"])
    assert (state(page, "sample"), state(page, "channel")) == (0, 3)
    x, y = page.evaluate(CENTRES, "in")["11"]
    touch = page.context.new_cdp_session(page)
    touch.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [{"x": x, "y": y}]})
    for step in range(1, 9):
        touch.send("Input.dispatchTouchEvent", {"type": "touchMove", "touchPoints": [{"x": x - 10 * step, "y": y}]})
    touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    assert state(page, "turn") > 60
    assert page.evaluate("getComputedStyle(document.querySelector('.bn-turntable')).touchAction") == "pan-y"
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]


def test_the_keyboard_does_it_all(stage):
    page = stage(Block())
    table = page.get_by_role("slider", name="turn the block")
    assert table.count() == 1
    table.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    assert (state(page, "turn"), state(page, "tilt")) == (30, 33)
    assert "30 degrees" in table.get_attribute("aria-valuetext")
    for _ in range(40):
        page.keyboard.press("ArrowLeft")
    assert -180 <= state(page, "turn") < 180
    for key, turn in (("Home", -180), ("PageUp", -135), ("End", 179), ("PageDown", 134)):
        page.keyboard.press(key)
        assert state(page, "turn") == turn
        assert table.get_attribute("aria-valuenow") == str(turn)

    page.get_by_role("slider", name="channel").focus()
    page.keyboard.press("ArrowRight")
    assert state(page, "channel") == 2
    page.get_by_role("radio", name="Batch").focus()
    for normalizer, pieces in (
        ("layer", "3 pieces of 24"),
        ("instance", "12 pieces of 6"),
        ("group", "6 pieces of 12"),
    ):
        page.keyboard.press("ArrowRight")
        assert state(page, "normalizer") == normalizer
        assert pieces in words(page)
    page.get_by_role("radio", name="4", exact=True).focus()
    page.keyboard.press("Space")
    assert state(page, "groups") == 4
    assert "which is Instance Normalization" in words(page)


def test_the_model_moves_it(stage):
    page = stage(Block())
    before = page.locator(".bn-block-in").inner_html()
    page.evaluate("document.querySelector('[data-explorable]').bnModel.set('normalizer', 'layer')")
    in_its_place(page)
    assert page.locator(".bn-block-in").inner_html() != before
    assert page.get_by_role("radio", name="Layer").is_checked()


@pytest.mark.parametrize(("normalizer", "groups"), CHOICES)
def test_pieces_stand_apart_and_nearer_faces_are_drawn_later(stage, normalizer, groups):
    """What is on top where the middle of a visible face is: that face. Seen from all four sides."""
    page = stage(Block(normalizer=normalizer, groups=groups, sample=0, channel=0), reduced_motion="reduce")
    for turn in (-150, -60, 30, 120):
        page.evaluate("turn => document.querySelector('[data-explorable]').bnModel.set('turn', turn)", turn)
        page.evaluate("() => new Promise(requestAnimationFrame)")
        # The tops of all columns but those behind the raised piece can be touched in a view from above.
        page.evaluate("() => document.querySelector('[data-explorable]').bnModel.set('tilt', 45)")
        page.evaluate("() => new Promise(requestAnimationFrame)")
        seen = page.evaluate(
            """places => Object.entries(places).filter(([place, [x, y]]) => {
          const face = document.elementsFromPoint(x, y).find(element => element.dataset.map);
          return face?.dataset.map === place;
        }).map(([place]) => place)""",
            page.evaluate(CENTRES, "in"),
        )
        assert len(seen) >= 10, f"{12 - len(seen)} of 12 tops are covered at {turn} degrees"


@pytest.mark.parametrize("viewport", [{"width": 1280, "height": 900}, PHONE], ids=["desktop", "phone"])
def test_no_choice_moves_the_page(stage, stage_folder, viewport):
    page = stage(Block(), viewport=viewport, reduced_motion="reduce")
    as_in_the_book(page, stage_folder / "book.css")
    heights = set()
    for normalizer, groups in CHOICES:
        page.get_by_role("radio", name=normalizer.title()).check()
        if normalizer == "group":
            page.get_by_role("radio", name=str(groups), exact=True).check()
        heights.add(height(page))
    assert len(heights) == 1


def test_two_channels_are_named_both_and_four_as_a_range(stage):
    assert "channels 1 and 2 of sample 2" in words(stage(Block(normalizer="group", groups=2)))
    assert "channels 1 to 4 of sample 2" in words(stage(Block(normalizer="group", groups=1)))


# What of the words beside the block lies over other words or under a face, from all around.
OVERLAPS = """async ([tilt, normalizer, groups]) => {
  const model = document.querySelector('[data-explorable]').bnModel;
  const block = document.querySelector('.bn-block-in');
  const letters = (text) => { // a line has room above and below what is printed
    const { x, y, width, height } = text.getBBox();
    return { words: text.textContent, left: x, right: x + width, top: y + 0.22 * height, bottom: y + 0.8 * height };
  };
  const over = (a, b) => a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
  const found = [];
  for (const [name, value] of Object.entries({ tilt, normalizer, groups })) model.set(name, value);
  for (let turn = -180; turn < 180; turn += 15) {
    model.set('turn', turn);
    await new Promise(requestAnimationFrame);
    const texts = [...block.querySelectorAll('text')].filter(text => !text.closest('.bn-axis')).map(letters);
    texts.forEach((a, i) => texts.slice(i + 1).forEach(b => over(a, b) && found.push([turn, a.words, b.words])));
    const faces = [...block.querySelectorAll('.bn-face')];
    for (const { words, left, right, top, bottom } of texts.filter(({ words }) => words !== 'μ')) {
      const corners = [[left, top], [right, top], [left, bottom], [right, bottom]].map(at => new DOMPoint(...at));
      if (corners.some(at => faces.some(face => face.isPointInFill(at)))) found.push([turn, words, 'a face']);
    }
  }
  return found;
}"""


@pytest.mark.parametrize("tilt", [10, 28, 45])
def test_words_beside_the_block_lie_over_nothing(stage, tilt):
    page = stage(Block(), reduced_motion="reduce")
    for normalizer, groups in (("batch", 2), ("instance", 2), ("group", 4)):
        assert page.evaluate(OVERLAPS, [tilt, normalizer, groups]) == []


def test_nothing_moves_by_itself_where_motion_is_reduced(stage):
    page = stage(Block(), reduced_motion="reduce")
    page.get_by_role("radio", name="Instance").check()
    shapes = page.evaluate("""async () => {
      const shape = () => document.querySelector('.bn-block-in').innerHTML;
      const seen = new Set();
      for (let i = 0; i < 12; i++) { await new Promise(requestAnimationFrame); seen.add(shape()); }
      return seen.size;
    }""")
    assert shapes == 1


def test_python_reads_and_sets_the_state():
    block = Block()
    assert np.shape(block.x) == (3, 4, 6)
    block.normalizer = "group"
    block.groups = 4
    assert block.state()["groups"] == 4
    block.reset()
    assert (block.normalizer, block.groups) == ("batch", 2)


def _block_with(value: float) -> list[list[list[float]]]:
    x = np.zeros((3, 4, 6))
    x[1, 2, 3] = value
    return x.tolist()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Block(x=[[1.0]]), r"shape \(3, 4, 6\), got \(1, 1\)"),
        (lambda: Block(x=_block_with(11)), "between -10 and 10, got 11.0"),
        (lambda: Block(x=_block_with(float("nan"))), "between -10 and 10, got nan"),
        (lambda: Block(x=["a"]), "x must be numbers"),
        (lambda: Block(normalizer="weight"), "normalizer"),
        (lambda: Block(groups=3), "groups"),
        (lambda: Block(sample=3), "sample"),
        (lambda: Block(channel=-1), "channel"),
        (lambda: Block(tilt=80), "tilt"),
    ],
)
def test_bad_values_are_refused_by_name(make: Callable[[], Block], message: str):
    with pytest.raises(traitlets.TraitError, match=message):
        make()
