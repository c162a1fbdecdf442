"""Figures in the page: the smallest letters on a phone and on a wide screen, and the face they are set in."""

from __future__ import annotations

from pathlib import Path

from built import chromium
from tour import Tour

pytestmark = chromium

SMALLEST = 11  # CSS pixels


def test_the_words_of_every_figure_were_seen(tour: Tour, built_site: Path) -> None:
    for seen in tour.seen:
        drawn = 'class="bn-figure' in (built_site / seen.page).read_text(encoding="utf-8")
        assert bool(seen.texts) == drawn, f"{seen.page}, {seen.screen}"


def test_figures_can_be_read_and_take_the_full_measure(tour: Tour) -> None:
    assert tour.found(lambda seen: [text for text in seen.texts if text["size"] < SMALLEST]) == []
    assert tour.found(lambda seen: {text["face"] for text in seen.texts} - {'"Book Sans"'}) == []
    assert tour.found(lambda seen: seen.short) == []
