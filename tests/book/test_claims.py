"""The claims ledger: every claim of the book holds, has a source and a chapter, and is shown as it was measured."""

import math
import re
from itertools import groupby
from pathlib import Path

import pytest

from bn_book.chapters import chapters
from bn_book.claims import Claim, Measured, measure
from bn_book.ledger import FAILS, HOLDS, band, claims, ledger, number, plain

BOOK = Path(__file__).resolve().parents[2] / "book"
CLAIMS = claims()
SOURCES = set(re.findall(r"^@\w+\{([^,\s]+),", (BOOK / "references.bib").read_text(encoding="utf-8"), re.MULTILINE))


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.name)
def test_claim_holds(claim):
    result = measure(claim)
    assert result.holds, f"{claim.says} Measured {result.value:g} ({claim.unit}); the range is {claim.band}."


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.name)
def test_claim_has_a_source_and_a_chapter(claim):
    assert claim.source in SOURCES
    chapter = BOOK / "chapters" / f"{claim.chapter}.md"
    assert chapter.is_file()
    text = chapter.read_text(encoding="utf-8")
    assert claim.source in text, f"{chapter.name} does not cite {claim.source}"
    assert "claims>`" in text or "claims`" in text, f"{chapter.name} does not point to the ledger"


def test_names_are_unique_and_can_be_written():
    names = [claim.name for claim in CLAIMS]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name) for name in names)


def test_every_chapter_makes_claims_and_they_stand_together_in_its_order():
    in_order = [chapter for chapter, _ in groupby(CLAIMS, key=lambda claim: claim.chapter)]
    assert in_order == list(chapters())


def test_a_source_is_listed_once():
    keys = re.findall(r"^@\w+\{([^,\s]+),", (BOOK / "references.bib").read_text(encoding="utf-8"), re.MULTILINE)
    assert len(keys) == len(set(keys))


def _measured(value, *, low=0.0, high=1.0, **changes):
    said = {"name": "a", "chapter": "x", "says": "It is.", "source": "one1999", "run": "Once.", "unit": "share"}
    return Measured(Claim(**(said | changes), measure=lambda: value, band=(low, high)), value)


def test_a_card_tells_what_held_and_what_did_not():
    held, failed, nothing = (ledger([_measured(value)]) for value in (0.5, 2.0, math.nan))
    assert HOLDS in held
    assert FAILS not in held
    assert FAILS in failed
    assert FAILS in nothing
    for said in ("It is.", "{cite:t}`one1999`", "**0.500** share", "range: 0 to 1", "Run here: Once."):
        assert said in held


def test_a_chapter_is_named_once_above_its_cards():
    text = ledger([_measured(0.1), _measured(0.2), _measured(0.3, chapter="y")])
    assert re.findall(r"chapters/(\S+)`", text) == ["x", "y"]
    assert text.count("{card}") == 3


def test_text_of_a_claim_is_not_markup():
    assert plain("a * |x_1| < $5 and `b` [c] # d^2") == r"a \* \|x\_1\| \< \$5 and \`b\` \[c\] \# d\^2"
    assert r"sigma\^2" in ledger([_measured(0.5, says="It is sigma^2.")])


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.88128, "0.881"), (38.7037, "38.7"), (1441.2, "1441"), (-2.87037, "-2.87"), (3.7039e-7, "3.7e-07"), (0.0, "0")],
)
def test_numbers_have_three_digits(value, text):
    assert number(value) == text


def test_a_number_that_is_none_is_written_as_such():
    assert number(math.nan) == "nan"
    assert number(math.inf) == "inf"


@pytest.mark.parametrize(
    ("limits", "text"),
    [((0.85, 0.9), "0.85 to 0.9"), ((2, math.inf), "at least 2"), ((-math.inf, 5), "at most 5"),
     ((-math.inf, math.inf), "any number")],
)  # fmt: skip
def test_bands_are_written_in_words(limits, text):
    assert band(*limits) == text
