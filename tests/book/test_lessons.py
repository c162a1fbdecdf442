"""The page for lessons: nothing is missing on it, its plans add up, and a new chapter is told what it needs."""

import re
from pathlib import Path

import matplotlib.pyplot as plt
import pytest

from bn_book.chapters import chapters
from bn_book.explorables import KINDS, Explorable, MiniBatch
from bn_book.explorables.find_the_bug import LETTERS, MISTAKES
from bn_book.lessons import about, effort, explorables, tables
from bn_book.lessons.about import ABOUT, DEMANDS, EXERCISES, difficulty, prerequisites
from bn_book.lessons.effort import Effort
from bn_book.lessons.figures import needs_in_words, needs_map
from bn_exercises.problems import TASKS

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "book" / "lessons.md").read_text(encoding="utf-8")


# What every chapter, exercise and explorable needs


def test_every_chapter_says_what_it_needs() -> None:
    assert not about.lacking(), "\n".join(about.lacking())


def test_every_explorable_has_something_to_project_and_to_ask() -> None:
    assert not explorables.lacking(), "\n".join(explorables.lacking())
    assert set(explorables.PROJECTIONS) == set(KINDS)


def test_every_exercise_says_what_it_asks_for() -> None:
    assert EXERCISES.keys() == TASKS.keys()
    for each in EXERCISES.values():
        assert set(each.asks) <= set(DEMANDS)
        assert set(each.needs) <= set(ABOUT)


def test_a_new_chapter_is_told_what_it_needs() -> None:
    (says,) = about.lacking((*chapters(), "a_new_one"))
    assert "'a_new_one' is in _toc.yml" in says
    assert "which chapters it needs, what it asks of a reader" in says
    # It is shown all the same.
    assert prerequisites((*chapters(), "a_new_one"))["a_new_one"] == ()


def test_a_new_explorable_is_told_what_it_needs() -> None:
    class Newest(Explorable):
        pass

    (says,) = explorables.lacking((*KINDS, Newest))
    assert "Newest has no entry" in says
    assert not explorables.stands_on(MiniBatch, "chapters/forward")


@pytest.mark.parametrize("later", ["medical", "frameworks"])
def test_an_entry_may_be_there_before_its_chapter(later: str) -> None:
    others = tuple(name for name in chapters() if name != later)
    assert later not in prerequisites(others)
    assert not about.lacking(others)
    assert not about.lacking((*others, later))
    assert prerequisites((*others, later))[later] == ABOUT[later].needs


def test_what_cannot_be_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    bad = about.About(("speed", "nowhere"), ("patience",), ())
    monkeypatch.setattr(about, "ABOUT", dict(ABOUT) | {"scale": bad})
    assert about.lacking() == [
        "'scale' needs 'speed', which comes after it in _toc.yml",
        "'scale' needs 'nowhere', and there is no such chapter",
        "'scale' asks for 'patience', which DEMANDS does not explain",
        "'scale' has 0 questions to discuss; expected two at least",
    ]


# Time and difficulty


def test_difficulty_counts_what_is_asked_for() -> None:
    some = tuple(DEMANDS)
    assert [difficulty(about.About((), some[:count], ())) for count in range(4)] == ["easy", "medium", "hard", "hard"]


def test_minutes_are_counted(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text(
        "---\nquestion: Why?\n---\n# A title\n\n" + "word " * 298 + "\n\n$$\nx = y\n$$\n\n"
        "```{code-cell} ipython3\nshow(one)\nflipbook(two)\nMiniBatch()\n"
        "check_yourself(questions.A, questions.B)\n# words that nobody reads\n```\n\n"
        "## Laboratory\n\nmany words, and\n\n$$\nmore\n$$\n\n## Next\n"
    )
    found = effort.of_chapter("a", tmp_path)
    assert found == Effort(words=301, formulas=1, figures=1, explorables=2, questions=2)
    # 301 / 150 + 1 + 0.5 + 6 + 4 = 13.5
    assert found.minutes == 15
    assert Effort().minutes == effort.STEP
    # 3 * 5 * 3 + 10 = 55
    assert Effort(answers=3, demands=2, texts=1).minutes == 55


def test_an_exercise_s_minutes_follow_from_its_notebook() -> None:
    found = effort.exercises()
    assert found.keys() == TASKS.keys()
    # Four parts of a number each; two parts and a text.
    assert (found["basic-calculation"].answers, found["basic-calculation"].texts) == (4, 0)
    assert (found["batch-size"].answers, found["batch-size"].texts) == (2, 1)


def test_every_chapter_has_minutes_and_every_explorable_was_counted() -> None:
    found = {name: effort.of_chapter(name) for name in chapters()}
    assert all(20 <= each.minutes <= 90 for each in found.values()), found
    shown = {each.page.rpartition("/")[2] for each in explorables.PROJECTIONS.values()} & found.keys()
    assert all(found[name].explorables for name in shown)


# The plans


def rows(section: str) -> list[list[str]]:
    """The rows of the table in a section of the page, without its heading."""
    text = PAGE.split(f"\n## {section}\n")[1].split("\n## ")[0]
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("| ").split("|")] for line in lines[1:] if "--" not in line]


@pytest.mark.parametrize("minutes", [45, 90])
def test_a_plan_takes_what_it_says(minutes: int) -> None:
    assert sum(int(row[0]) for row in rows(f"{minutes} minutes")) == minutes


def test_each_meeting_takes_ninety_minutes() -> None:
    text = PAGE.split("\n## Two weeks\n")[1].split("\n## ")[0]
    meetings = text.split("meeting.**")[1:]
    assert [sum(map(int, re.findall(r"^- (\d+) minutes:", each, re.MULTILINE))) for each in meetings] == [90] * 4


def test_the_suspect_of_the_plan_is_found_by_one_change() -> None:
    """Spread changes, and dividing by the variance shows; γ alone or β alone does not show who scales β."""
    assert MISTAKES[LETTERS.index(explorables.EASY_SUSPECT)]["id"] == "varianceForDeviation"


# What is shown


def test_the_map_has_an_arrow_for_each_need_and_says_so() -> None:
    needs = prerequisites()
    fig = needs_map(needs)
    try:
        (ax,) = fig.axes
        assert len(ax.patches) == sum(map(len, needs.values()))
        assert len(ax.texts) == len(needs)
    finally:
        plt.close(fig)
    says = needs_in_words({"scale": (), "forward": (), "conditioning": ("scale", "forward")})
    assert "On no other build: Why scale matters, The forward pass." in says
    assert "Does it condition the problem? on Why scale matters and The forward pass." in says


def test_the_lists_have_everything() -> None:
    times, discussions, projections = tables.times(), tables.discussions(), tables.projections()
    assert all(f"chapters/{name}`" in times for name in chapters())
    assert all(f"exercises/{name}>`" in times for name in TASKS)
    assert all(question in discussions for name in chapters() for question, _ in ABOUT[name].discuss)
    for kind in KINDS:
        shown = explorables.PROJECTIONS[kind]
        assert shown.project in projections
        assert shown.ask in projections
        assert all(says in projections and reply in projections for says, reply in shown.answers)


def test_the_site_offers_the_quiz(built_site: Path) -> None:
    page = (built_site / "book" / "lessons.html").read_text(encoding="utf-8")
    files = re.findall(r'href="\.\./_static/(batch-normalization-[^"]+)"', page)
    assert len(files) == 3
    for file in files:
        assert (built_site / "_static" / file).stat().st_size > 10_000
    for kind in KINDS:
        title = kind.title.default_value
        assert not title or title in page
