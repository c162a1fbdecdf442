"""What a learner sees: the verdict as text and as HTML, hints that grow, a solution only when asked."""

from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest

from bn_exercises.check import Checked, Session, check, solution
from bn_exercises.numbers.problem import NumberProblem
from bn_exercises.problems import BASIC_CALCULATION, CONDITIONAL, NUMERIC
from bn_exercises.typography import as_in_a_book
from bn_exercises.verdict import Finding, Link, Verdict

X = np.array(BASIC_CALCULATION.given["x"], dtype=float)
RIGHT = BASIC_CALCULATION.reference()


class Html(HTMLParser):
    """Fails unless tags are closed in order; collects text, tags, links."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.links: list[str] = []
        self.text = ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open.append(tag)
        self.tags.add(tag)
        self.links += [value or "" for name, value in attrs if name in ("href", "src")]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.text += data


def hints(checked: Checked, part: str) -> int:
    return len(checked.hints.get(part, ()))


def test_verdict_as_text() -> None:
    shown = repr(Session().check(BASIC_CALCULATION, mean=[5, 7, 9], var=X.var(axis=0, ddof=1)))
    assert shown.splitlines() == [
        "Basic calculation: 2 of 10 points",
        "  ✓ (a) the mean. Right. 2 of 2 points.",
        "  ✗ (b) the variance. Not yet: ddof=1. 0 of 2 points.",
        "      You divided the sum of squares by m − 1. That estimates the variance of a population from a sample. "
        "Batch Normalization standardizes the batch itself, so it divides by m.",
        "      Read: “The variance divides by m”, in the chapter “The forward pass”.",
    ]


def test_what_was_said_is_not_said_again_beside_a_later_part() -> None:
    session = Session()
    wrong = X.var(axis=0, ddof=1)
    assert "Read:" in repr(session.check(BASIC_CALCULATION, var=wrong))
    later = session.check(BASIC_CALCULATION, mean=[5, 7, 9], var=wrong, x_hat=1.5 * X)
    assert later.told == {"var"}
    for shown in (repr(later), Html(later._repr_html_()).text):
        assert shown.count("Not yet: ddof=1. 0 of 2 points.") == 1
        assert "You divided the sum of squares" not in shown
        assert "The variance divides by m" not in shown
    # Asked about it once more, or with another answer, everything is said.
    assert "You divided" in repr(session.check(BASIC_CALCULATION, mean=[5, 7, 9], var=wrong))
    assert "sum of squares" not in repr(session.check(BASIC_CALCULATION, var=wrong, x_hat=1.6 * X))
    assert "added the squares" in repr(session.check(BASIC_CALCULATION, var=4 * X.var(axis=0), x_hat=1.7 * X))
    session.forget()
    assert "You divided" in repr(session.check(BASIC_CALCULATION, var=wrong, x_hat=1.5 * X))


def test_hints_grow_with_the_tries_of_each_part() -> None:
    session = Session()
    assert hints(session.check(BASIC_CALCULATION, var=[1, 2, 3]), "var") == 1
    assert hints(session.check(BASIC_CALCULATION, var=[1, 2, 4]), "var") == 2
    assert hints(session.check(BASIC_CALCULATION, var=[1, 2, 3]), "var") == 2  # the same answer is no new try
    both = session.check(BASIC_CALCULATION, var=[1, 2, 5], mean=[1, 2, 3])
    assert (hints(both, "var"), hints(both, "mean")) == (3, 1)
    assert "The step: The first feature" in repr(both)
    assert hints(session.check(BASIC_CALCULATION, var=[1, 2, 6]), "var") == 3
    session.forget()
    assert hints(session.check(BASIC_CALCULATION, var=[1, 2, 3]), "var") == 1


def test_a_mistake_with_a_name_says_itself_where_to_look() -> None:
    session = Session()
    first, second, third = (
        repr(session.check(BASIC_CALCULATION, var=factor * X.var(axis=0, ddof=1))) for factor in (1, 1.0001, 1.0002)
    )
    for shown in (first, second, third):
        assert "ddof=1" in shown
        assert "Where to look" not in shown
    assert ["The rule" in shown for shown in (first, second, third)] == [False, True, True]
    assert ["The step" in shown for shown in (first, second, third)] == [False, False, True]
    # The tries were counted: where no name is known, all three hints are there.
    unknown = repr(session.check(BASIC_CALCULATION, var=[1, 2, 3]))
    assert all(hint in unknown for hint in BASIC_CALCULATION.hints("var"))


def test_no_hint_for_what_is_right_or_missing_or_unreadable() -> None:
    checked = Session().check(BASIC_CALCULATION, mean=[5, 7, 9], var="text", x_hat=[1, 2])
    assert checked.hints == {}


def test_variants_have_their_own_tries() -> None:
    session = Session()
    session.check(BASIC_CALCULATION, mean=[1, 2, 3])
    assert hints(session.check(BASIC_CALCULATION.variant(1), mean=[1, 2, 3]), "mean") == 1


def test_check_uses_one_session() -> None:
    problem = BASIC_CALCULATION.variant(987)
    assert hints(check(problem, mean=[1, 2, 3]), "mean") == 1
    assert hints(check(problem, mean=[1, 2, 4]), "mean") == 2


def test_where_to_look_is_not_said_twice() -> None:
    shown = repr(Session().check(BASIC_CALCULATION, mean=[1, 2, 3.3]))
    assert shown.count("A feature is a column") == 1


def test_a_foreign_answer_is_asked_for_its_numbers_once() -> None:
    class Counting:
        shape = (3,)
        asked = 0

        def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
            self.asked += 1
            return np.array([5.0, 7, 9])

    answer = Counting()
    assert Session().check(BASIC_CALCULATION, mean=answer).verdict.score == 2
    assert answer.asked == 1


@pytest.mark.parametrize("problem", NUMERIC, ids=lambda problem: problem.name)
def test_html_says_what_the_text_says(problem: NumberProblem) -> None:
    answers = {part: value * 1.1 for part, value in problem.reference().items()}
    checked = Session().check(problem, **answers)
    page = Html(checked._repr_html_())
    for finding in checked.verdict.findings:
        assert finding.sentence in page.text
    assert page.links == []
    assert page.tags <= {"div", "style", "p", "ul", "li", "span", "strong"}


def test_links_lead_into_the_book_where_it_is_known() -> None:
    checked = Session(book="https://example.org/bn/").check(BASIC_CALCULATION, var=X.var(axis=0, ddof=1))
    assert Html(checked._repr_html_()).links == ["https://example.org/bn/chapters/forward.html#sec-forward-variance"]


@pytest.mark.parametrize(
    ("page", "place"),
    [
        ("chapters/forward", "“Epsilon”, in the chapter “The forward pass”."),
        ("exercises/break-it", "“Epsilon”, on this exercise's page in the book."),
        ("", "“Epsilon”."),
    ],
)
def test_without_a_link_the_place_is_named(page: str, place: str) -> None:
    see = Link("Epsilon", "eps", page)
    checked = Checked("t", Verdict("p", 0, 1, (Finding("p", "p", "wrong", "No.", (), see, 0, 1),)), {})
    assert f"Read: {place}" in repr(checked)
    assert f"Read: {place}" in Html(checked._repr_html_()).text


def test_everything_is_escaped() -> None:
    evil = '<script>alert("1")</script>&'
    finding = Finding("p", evil, "misconception", evil, (evil,), None, 0, 1)
    checked = Checked(evil, Verdict("p", 0, 1, (finding,)), {"p": ("where", evil + "hint")})
    page = Html(checked._repr_html_())
    assert "script" not in page.tags
    assert page.text.count(evil) == 5


def test_numbers_are_set_as_in_a_book_and_code_as_it_is_typed() -> None:
    """In what a learner reads in the notebook and in the feedback."""
    finding = Finding("p", "p", "wrong", "Off by 5e-06, or -2. Try `f(x, -1)`, or 1e-3 < x.", (), None, 0, 1)
    page = Checked("t", Verdict("p", 0, 1, (finding,)), {"p": ("", "At x = -3.")})._repr_html_()
    assert (
        "Off by 5\N{NO-BREAK SPACE}×\N{NO-BREAK SPACE}10⁻⁶, or −2. Try <code>f(x, -1)</code>, or 10⁻³ &lt; x." in page
    )
    assert "−3." in page
    assert as_in_a_book(finding.sentence).startswith("Off by 5")
    assert "`f(x, -1)`" in as_in_a_book(finding.sentence)


def test_colour_is_not_the_only_sign() -> None:
    page = Html(Session().check(BASIC_CALCULATION, mean=[5, 7, 9], var=[1, 2, 3])._repr_html_())
    assert "Right" in page.text
    assert "Not yet" in page.text


@pytest.mark.parametrize("problem", NUMERIC, ids=lambda problem: problem.name)
def test_solution_shows_every_number(problem: NumberProblem) -> None:
    shown = repr(solution(problem))
    page = Html(solution(problem)._repr_html_())
    for reference in problem.references:
        for value in reference.values():
            for number in np.ravel(value):
                # Four decimals, and more where all numbers of a part are small.
                text = f"{number:.{6 if np.abs(value).max() < 0.01 else 4}f}".rstrip("0").rstrip(".")
                assert ("0" if text == "-0" else text) in shown
                assert ("0" if text == "-0" else text) in page.text
    if problem is CONDITIONAL:
        assert shown.count("the statistics of each class and ε = 10⁻⁵: ") == 2
