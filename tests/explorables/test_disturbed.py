"""Disturbed: what it shows was measured, and the verdict comes before the book's."""

import numpy as np
import pytest
import traitlets
from shown import collisions, state, words

from bn_book.explorables import Disturbed
from bn_book.smoothness import experiments as smoothness

pytestmark = pytest.mark.needs("chromium", package="chromium (Debian)")

PHONE = {"width": 390, "height": 844}


def made_up(kind: smoothness.Kind, noise: float) -> smoothness.Watched:
    """A run with easy numbers: the middle unit of three moves by `noise` + 1 at each look."""
    units = np.array([0.1, 1.0, 5.0]) * (1 + noise)
    middle = np.arange(4)[:, np.newaxis] * units
    percentiles = np.stack([middle - 1, middle, middle + 1], axis=1)
    late = {"plain": 880, "standardized once": 50, "BN": 18}[kind]
    return smoothness.Watched(percentiles, np.array([0, 10, late]), np.array([0.1, 0.5, 0.95]), (), ())


@pytest.fixture
def runs() -> dict[tuple[smoothness.Kind, float], smoothness.Watched]:
    return {(kind, noise): made_up(kind, noise) for kind in smoothness.RECORDED for noise in smoothness.NOISES}


def test_it_shows_the_runs_to_a_hundredth(runs):
    recording = Disturbed(runs).recording
    assert recording["steps"] == [0, 10, 20, 30]
    noisy = next(run for run in recording["runs"] if run["normalized"] == "BN" and run["disturbed"])
    assert noisy["inputs"] == [[-100, 100, 300, 500], [0, 200, 400, 600], [100, 300, 500, 700]]
    assert noisy["right"] == [100, 500, 950]
    assert (noisy["path"], noisy["widths"]) == (6.0, 3.0)


def test_choosing_shows_another_run(stage, runs):
    page = stage(Disturbed(runs))
    assert words(page).startswith("Normalized: nothing; left alone. Step 0: the median of the input is 0.00")
    page.get_by_role("radio", name="every mini-batch").check()
    page.get_by_role("checkbox", name="at every step").check()
    page.get_by_role("slider", name="training step").press("End")
    assert (state(page, "normalized"), state(page, "disturbed"), state(page, "moment")) == ("BN", True, 3)
    assert words(page) == (
        "Normalized: every mini-batch; disturbed. Step 30: the median of the input is 6.00, the middle 70 % are 2.00 "
        "wide. 90 % of the test digits: after 18 steps."
    )


def test_a_drag_on_the_picture_moves_the_step(stage, runs):
    page = stage(Disturbed(runs))
    box = page.locator(".bn-scrub").bounding_box()
    page.mouse.click(box["x"] + box["width"] - 3, box["y"] + 60)
    assert state(page, "moment") == 3
    page.mouse.click(box["x"] + 3, box["y"] + 60)
    assert state(page, "moment") == 0


def test_the_books_verdict_comes_after_the_readers(stage, runs):
    page = stage(Disturbed(runs))
    figure = page.locator("[data-explorable]")
    assert "The book's verdict" not in figure.inner_text()
    assert page.locator("table").count() == 0
    page.get_by_role("radio", name="stable inputs").check()
    assert state(page, "verdict") == "stability"
    said = figure.inner_text()
    assert "BN moves 2 times as far as the network in which nothing is normalized" in said
    assert "needs 18 steps where that needs 50" in said
    assert page.locator("tbody tr").count() == 6
    page.get_by_role("button", name="Reset").click()
    assert "The book's verdict" not in figure.inner_text()


def test_what_the_book_says_of_the_recorded_runs_is_so():
    runs = smoothness.record()
    plain, once, noisy = runs["plain", 0.0], runs["standardized once", 0.0], runs["BN", 1.0]
    assert noisy.movement > 2 * plain.movement
    assert noisy.movement_in_widths < plain.movement_in_widths / 2
    assert noisy.movement > once.movement
    assert noisy.movement_in_widths > once.movement_in_widths
    assert noisy.steps < once.steps < plain.steps


def test_names_are_clear_of_curves_and_the_table_fits_a_phone(stage):
    page = stage(Disturbed(moment=20, normalized="BN", disturbed=True, verdict="cannot tell"), viewport=PHONE)
    assert collisions(page, ".bn-side-name", ".bn-curve, .bn-other, .bn-time, .bn-dot, .bn-axis text") == []
    table, figure = page.locator("table").bounding_box(), page.locator("[data-explorable]").bounding_box()
    assert table["x"] + table["width"] <= figure["x"] + figure["width"]


def test_python_sets_it_within_the_recording(runs):
    figure = Disturbed(runs, moment=2, normalized="BN", disturbed=True, verdict="cannot tell")
    assert figure.state() == {"moment": 2, "normalized": "BN", "disturbed": True, "verdict": "cannot tell"}
    with pytest.raises(traitlets.TraitError, match="moment must be from 0 to 3, got 4"):
        figure.moment = 4
    with pytest.raises(traitlets.TraitError):
        figure.normalized = "L1"
    with pytest.raises(traitlets.TraitError):
        figure.verdict = "yes"
    assert figure.moment == 2
