"""The claims ledger: every claim has a source and a chapter, and is shown as it was measured.

That each is as the book says, the ledger's page shows, which measures them: tests/site/test_pages.py reads it.
"""

import math
import re
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path

import claims as program  # book/tools
import pytest
from distributed import LocalCluster

from bn_book import ledger
from bn_book.benefits import BENEFITS, Benefit, what_we_know
from bn_book.chapters import chapters
from bn_book.claims import Claim, Measured, measure
from bn_book.ledger import FAILS, HOLDS, NOT_HERE, band, cards, claims, number, picture, place, plain, summary

BOOK = Path(__file__).resolve().parents[2] / "book"
OF_CHAPTER = claims()
CLAIMS = [claim for of_chapter in OF_CHAPTER.values() for claim in of_chapter]
SOURCES = set(re.findall(r"^@\w+\{([^,\s]+),", (BOOK / "references.bib").read_text(encoding="utf-8"), re.MULTILINE))


@pytest.mark.parametrize(
    ("chapter", "claim"), [(chapter, claim) for chapter in OF_CHAPTER for claim in OF_CHAPTER[chapter]]
)
def test_claim_has_a_source_that_its_chapter_cites(chapter, claim):
    assert claim.source in SOURCES
    text = (BOOK / "chapters" / f"{chapter}.md").read_text(encoding="utf-8")
    assert claim.source in text, f"{chapter} does not cite {claim.source}"
    assert "claims>`" in text or "claims`" in text, f"{chapter} does not point to the ledger"


def test_a_claim_depends_on_its_seed_and_on_nothing_else():
    """So that whoever runs the ledger with other seeds gets other numbers, and with the same seeds the same."""
    (claim,) = (claim for claim in CLAIMS if claim.name == "noise-depends-on-batch-size")
    first, second, again = measure(claim, (0, 7, 0)).values
    assert first == again != second


def test_names_are_unique_and_can_be_written():
    names = [claim.name for claim in CLAIMS]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name) for name in names)


def test_every_chapter_makes_claims_in_its_order():
    assert tuple(OF_CHAPTER) == chapters()
    assert all(OF_CHAPTER.values())


def test_there_are_three_kinds_and_some_that_did_not_reproduce():
    assert {claim.kind for claim in CLAIMS} == {"made by", "put to the test", "an identity"}
    assert any(not claim.reproduces for claim in CLAIMS)
    assert all(claim.reproduces for claim in CLAIMS if claim.kind == "an identity")


def test_a_source_is_listed_once():
    keys = re.findall(r"^@\w+\{([^,\s]+),", (BOOK / "references.bib").read_text(encoding="utf-8"), re.MULTILINE)
    assert len(keys) == len(set(keys))


def test_what_a_page_cites_is_in_the_bibliography():
    cited = {
        (key.strip(), page.name)
        for page in BOOK.rglob("*.md")
        for keys in re.findall(r"\{cite:?\w*\}`([^`]+)`", page.read_text(encoding="utf-8"))
        for key in keys.split(",")
    }
    assert {key for key, _ in cited} <= SOURCES, {(key, page) for key, page in cited if key not in SOURCES}


def test_authors_in_docstrings_are_in_the_bibliography():
    """Who is named as a source in the code, "Name (1999)" or "Name et al. (1999)", can be looked up by that name."""
    root = BOOK.parent
    entries = (BOOK / "references.bib").read_text(encoding="utf-8").split("\n@")
    heads = [
        ("".join(re.findall("[a-z ]", author[1].lower())), entry)  # "Rota Bul{\\`o}" is rota bulo
        for entry in entries
        if (author := re.search(r"author\s*= \{+([^,]+)", entry))
    ]
    named = {
        (name.lower(), year, path.name)
        for folder in (root / "bn_lib", BOOK / "bn_book")
        for path in folder.rglob("*.py")
        for name, year in re.findall(
            r"\b([A-Z][a-z]+)(?:,? (?:et al\.|and [A-Z][a-z]+|[A-Z][a-z]+ and [A-Z][a-z]+))? \((\d{4})\)",
            path.read_text(encoding="utf-8"),
        )
    }
    missing = {each for each in named if not any(head.endswith(each[0]) and each[1] in entry for head, entry in heads)}
    assert not missing


@pytest.fixture
def a_ledger(monkeypatch):
    """A ledger of two chapters: one claim that holds, with three seeds; one whose range 7 is not in, with one."""
    holds = _measured(0.5, measure=lambda seed: seed / 10, name="a").claim
    fails = _measured(0.5, measure=lambda _: 7.0, name="b", seeds=1).claim
    monkeypatch.setattr(ledger, "claims", lambda: {"x": (holds,), "y": (fails,)})


@pytest.mark.parametrize(("seeds", "first", "second"), [(None, (0.0, 0.1, 0.2), (7.0,)), (2, (0.0, 0.1), (7.0, 7.0))])
def test_the_ledger_measures_each_claim_with_its_seeds_or_with_as_many_as_are_asked_for(a_ledger, seeds, first, second):
    with ThreadPoolExecutor(2) as executor:
        (x,), (y,) = ledger.measured(seeds, each=executor.map).values()
    assert x.values == first
    assert y.values == second
    assert x.rejected == y.rejected == 2.0


def test_on_one_core_the_ledger_is_measured_in_this_process(monkeypatch):
    monkeypatch.setattr("os.cpu_count", lambda: 1)
    with ledger.all_cores() as each:
        assert each is map


def test_on_more_the_numbers_are_the_same(monkeypatch):
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    with ledger.all_cores() as each:
        ((numbers, wrong),) = each(ledger._with_seed, ["backward"], [0], [1])
    assert (numbers, wrong) == ledger._with_seed("backward", 0, 1)


def test_make_claims_on_a_cluster_prints_every_claim_and_fails_where_one_is_not_as_said(a_ledger, capsys):
    with LocalCluster(processes=False, dashboard_address=":0") as cluster:
        assert program.main(["--seeds", "2", "--scheduler", cluster.scheduler_address]) == 1
    printed = capsys.readouterr().out
    assert f"{HOLDS:28} a" in printed
    assert "0.0500 (0 to 0.100); range: 0 to 1" in printed
    assert f"{FAILS:28} b" in printed
    assert "2 claims: 1 hold" in printed


def test_make_claims_of_one_chapter_measures_no_other(a_ledger, monkeypatch, capsys):
    monkeypatch.setattr(program, "chapters", lambda: ("x", "y"))
    monkeypatch.setattr(ledger, "all_cores", lambda: nullcontext(map))
    assert program.main(["x"]) == 0
    assert "1 claims: 1 hold" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("asked", "says"),
    [(["--seeds", "0"], "--seeds is 0; expected at least 1"), (["scal"], "no chapter 'scal'; expected some of scale")],
)
def test_make_claims_refuses_what_is_not_there(capsys, asked, says):
    with pytest.raises(SystemExit):
        program.main(asked)
    assert says in capsys.readouterr().err


def _measured(*values, low=0.0, high=1.0, rejected=2.0, **changes):
    said = {"name": "a", "kind": "made by", "says": "It is.", "source": "one1999", "run": "Once.", "unit": "share"}
    wrong = {"measure": lambda _: values[0], "band": (low, high), "wrong": "a mistake", "gives": lambda: rejected}
    return Measured(Claim(**(said | wrong | changes)), values, rejected)


def test_a_card_tells_what_held_what_did_not_and_what_did_not_reproduce():
    held, failed, nothing = (cards({"x": [_measured(value)]}) for value in (0.5, 2.0, math.nan))
    assert HOLDS in held
    assert FAILS not in held
    assert FAILS in failed
    assert FAILS in nothing
    assert NOT_HERE in cards({"x": [_measured(2.0, reproduces=False)]})
    assert FAILS in cards({"x": [_measured(0.5, reproduces=False)]})  # then the book is wrong about it
    assert FAILS in cards({"x": [_measured(0.5, rejected=0.9)]})  # then its band tests nothing
    assert FAILS in cards({"x": [_measured(2.0, rejected=0.9, reproduces=False)]})
    for said in (
        "It is.",
        "made by {cite:t}`one1999`",
        "**0.500** share",
        "range: 0 to 1",
        "a mistake: 2.00",
        "here: Once.",
    ):
        assert said in held


def test_a_card_says_its_kind_and_every_seed():
    kinds = ("made by", "put to the test", "an identity")
    says = [cards({"x": [_measured(0.25, 0.75, kind=kind)]}).split("\n")[4] for kind in kinds]
    assert len(set(says)) == 3
    assert "mean of 2 seeds: 0.250, 0.750" in cards({"x": [_measured(0.25, 0.75)]})


def test_a_chapter_is_named_once_above_its_cards():
    text = cards({"x": [_measured(0.1), _measured(0.2)], "y": [_measured(0.3)]})
    assert re.findall(r"chapters/(\S+)`", text) == ["x", "y"]
    assert text.count("{dropdown}") == 3


def test_the_picture_has_a_row_for_each_claim_and_a_dot_for_each_seed():
    html = picture({"x": [_measured(0.1, 0.2), _measured(3.0, reproduces=False, name="b-c")]})
    assert html.count("<li") == 2
    assert html.count("<i ") == 3
    assert 'href="#claim-b-c"' in html
    assert "did not reproduce here: 3.00, where 0 to 1 is expected" in html


def test_the_summary_counts():
    text = summary({"x": [_measured(0.1), _measured(3.0, reproduces=False, kind="put to the test"), _measured(3.0)]})
    assert "3 claims: 1 hold, 1 did not reproduce here. 1 are not as the book says." in text
    assert "2 are made by the paper named, 1 put one to the test, 0 are identities" in text


@pytest.mark.parametrize("benefit", BENEFITS, ids=lambda benefit: benefit.name)
def test_a_verdict_rests_on_claims_of_the_ledger_and_names_both_sides(benefit):
    assert benefit.measured
    assert set(benefit.measured) <= {claim.name for claim in CLAIMS}
    assert benefit.claimed_by or benefit.disputed_by
    assert {*benefit.claimed_by, *benefit.disputed_by} <= SOURCES
    assert benefit.says.endswith(".")
    assert not re.search(r"\d", benefit.says), "its numbers are the ledger's"


def test_what_we_know_shows_each_number_with_its_seeds_its_range_and_its_card(monkeypatch):
    one = Benefit("Speed", "It is fast.", ("one1999", "two2000"), ("three2001",), ("a",))
    monkeypatch.setattr("bn_book.benefits.BENEFITS", (one,))
    text = what_we_know({"x": [_measured(0.25, 0.75, name="a")]})
    assert text.startswith("**Speed.** It is fast.")
    assert "Claimed by {cite:t}`one1999` and {cite:t}`two2000`." in text
    assert "[A](#claim-a): 0.500 share (2 seeds: 0.250 to 0.750); range: 0 to 1. ✓ holds" in text
    assert "Disputed by {cite:t}`three2001`." in text


@pytest.mark.parametrize("limits", [(0.85, 0.9), (2.0, math.inf), (-math.inf, 5.0), (0.0, 1e-12), (-3.0, -1.0)])
def test_places_are_in_order_and_the_band_ends_where_it_is_drawn(limits):
    low, high = limits
    unit = abs(high if math.isfinite(high) else low)
    places = [place(value, limits) for value in (-math.inf, *(unit * step / 7 for step in range(-30, 31)), math.inf)]
    assert places == sorted(places)
    assert min(places) >= 3  # a mark at an edge is whole
    assert max(places) <= 97
    if math.isfinite(low):
        assert place(low, limits) == pytest.approx(20)
    if math.isfinite(high):
        assert place(high, limits) == pytest.approx(80)


def test_text_of_a_claim_is_not_markup():
    assert plain("a * |x_1| < $5 and `b` [c] # d^2") == r"a \* \|x\_1\| \< \$5 and \`b\` \[c\] \# d\^2"
    assert r"sigma\^2" in cards({"x": [_measured(0.5, says="It is sigma^2.")]})


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
