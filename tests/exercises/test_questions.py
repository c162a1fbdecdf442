"""The book's questions: right values, wrong values that are told apart, and sentences that give nothing away."""

import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import sympy

from bn_exercises import questions
from bn_exercises.page import check_yourself, to_html
from bn_exercises.question import Link, Question, Wrong
from bn_exercises.tolerance import ranges

CHAPTERS = Path(__file__).parents[2] / "book"
NUMERIC = [question for question in questions.ALL if not question.is_choice]
WRONG = [(question, wrong) for question in questions.ALL for wrong in question.wrong]

each_question = pytest.mark.parametrize("question", questions.ALL, ids=lambda question: question.name)
each_wrong = pytest.mark.parametrize(
    ("question", "wrong"), WRONG, ids=[f"{question.name}: {wrong.name}" for question, wrong in WRONG]
)


def test_there_are_seven_with_different_names() -> None:
    assert len({question.name for question in questions.ALL}) == len(questions.ALL) == 7


@each_question
def test_right_answer_is_right(question: Question) -> None:
    assert question.matches(question.right) is None


@pytest.mark.parametrize("question", NUMERIC, ids=lambda question: question.name)
@pytest.mark.parametrize("digits", [3, 4, 8])
def test_rounded_right_answer_is_right(question: Question, digits: int) -> None:
    assert question.matches(tuple(float(f"{v:.{digits}g}") for v in question.right)) is None


@each_wrong
def test_wrong_answer_is_recognised_as_its_mistake_and_no_other(question: Question, wrong: Wrong) -> None:
    assert question.matches(wrong.value) == (wrong,)


@each_wrong
def test_no_answer_is_both_right_and_wrong(question: Question, wrong: Wrong) -> None:
    # Stronger than comparing values: no number at all lies in both ranges, for at least one of the numbers asked.
    if question.is_choice:
        assert wrong.value != question.right
        return
    pairs = zip(ranges(question.right), ranges(wrong.value), strict=True)
    assert any(right_high < low or high < right_low for (right_low, right_high), (low, high) in pairs)


def test_mistakes_with_equal_values_are_both_named() -> None:
    mistakes = (Wrong("one", (2.0,), "One."), Wrong("other", (2.001,), "Other."), Wrong("third", (3.0,), "Third."))
    question = Question("q", "?", (1.0,), "", mistakes, "", Link("", ""))
    assert question.matches((2.0,)) == mistakes[:2]
    assert question.matches((7.0,)) == ()


def test_wrong_answer_of_another_form_is_refused() -> None:
    with pytest.raises(ValueError, match=r"q: pair gives \(1.0, 2.0\); expected the form of \(1.0,\)"):
        Question("q", "?", (1.0,), "", (Wrong("pair", (1.0, 2.0), ""),), "", Link("", ""))
    with pytest.raises(ValueError, match="q: text gives a; expected the form"):
        Question("q", "?", (1.0,), "", (Wrong("text", "a", ""),), "", Link("", ""))


@each_question
def test_nothing_gives_the_answer_away(question: Question) -> None:
    # Until the reader asks for it. Whole numbers that the prompt states anyway are no secret.
    shown = [question.right] if isinstance(question.right, str) else [f"{v:.3g}" for v in question.right]
    for text in (question.hint, *(wrong.says for wrong in question.wrong), *(wrong.name for wrong in question.wrong)):
        for value in shown:
            assert not re.search(rf"(?<![\w.]){re.escape(value)}(?![\w.])", text)


@each_question
def test_sentences_are_sentences(question: Question) -> None:
    for text in (question.because, question.hint, *(wrong.says for wrong in question.wrong)):
        assert text[0].isupper() or text.startswith("dx")
        assert text.endswith((".", "?"))


@pytest.mark.parametrize("question", NUMERIC, ids=lambda question: question.name)
def test_no_number_is_so_large_that_a_comma_could_group_digits(question: Question) -> None:
    # The page reads "1,5" as one and a half; it could not tell "1,500" from fifteen hundred.
    assert max(map(abs, question.right)) < 1000


# The values themselves, each worked out another way than in `questions`.


def test_learning_rate_is_where_gradient_descent_turns() -> None:
    (limit,) = questions.WHY_SCALE_MATTERS.right
    curvatures = np.array([1.0, 25.0])
    for rate, grows in [(0.99 * limit, False), (1.01 * limit, True)]:
        w = np.ones(2)
        for _ in range(1000):
            w = w - rate * curvatures * w
        assert (np.abs(w).max() > 1) == grows


def test_second_order_term_is_that_of_the_expanded_product() -> None:
    a, *weights = sympy.symbols("a w1 w2 w3 g1 g2 g3")
    w, g = weights[:3], weights[3:]
    product = sympy.expand(sympy.prod(w[i] - a * g[i] for i in range(3)))

    def read(text: str) -> sympy.Expr:
        text = text.translate(str.maketrans("₁₂₃−", "123-")).replace("a²", "a**2").replace("a³", "a**3")
        text = re.sub(r"(?<=[\d)a])\s*(?=[(wg])(?!\s*\+)", "*", text)
        return sympy.sympify(text)

    order = {n: product.coeff(a, n) * a**n for n in range(4)}
    by_name = {wrong.name: read(str(wrong.value)) for wrong in questions.INTERNAL_COVARIATE_SHIFT.wrong}
    assert sympy.expand(read(str(questions.INTERNAL_COVARIATE_SHIFT.right)) - order[2]) == 0
    assert sympy.expand(by_name["sign"] + order[2]) == 0
    assert sympy.expand(by_name["first order"] - order[1]) == 0
    assert sympy.expand(by_name["third order"] - order[3]) == 0


def test_normalized_value_by_hand() -> None:
    # mean 0.9 / 3 = 0.3; squares 0.04 + 0.01 + 0.09 = 0.14, so variance 0.14 / 3; (0.6 - 0.3) / sqrt(0.14 / 3 + 0.01)
    assert questions.FORWARD_PASS.right[0] == pytest.approx(0.3 / (0.14 / 3 + 0.01) ** 0.5)


def test_gradient_by_central_differences() -> None:
    x, gamma, step = np.array([1.0, 2.0, 6.0]), 3.0, 1e-6

    def loss(x: np.ndarray) -> float:
        return float(gamma * (x[0] - x.mean()) / x.std())

    dx = [(loss(x + step * e) - loss(x - step * e)) / (2 * step) for e in np.eye(3)]
    np.testing.assert_allclose(questions.BACKWARD_PASS.right, dx, rtol=1e-7)


def test_running_mean_by_hand() -> None:
    assert questions.TRAINING_AND_INFERENCE.right[0] == pytest.approx(0.9 * (0.9 * 0 + 0.1 * 10) + 0.1 * 20)


def test_noise_of_the_mean_by_simulation() -> None:
    means = np.random.default_rng(0).normal(scale=2, size=(100_000, 16)).mean(axis=1)
    # The standard deviation of 100,000 values is known to 1 part in sqrt(200,000), 0.2 %.
    assert questions.BATCH_SIZE.right[0] == pytest.approx(means.std(), rel=0.01)


def test_values_that_share_a_mean_by_counting() -> None:
    images = np.arange(8 * 3 * 5 * 4).reshape(8, 3, 5, 4)
    assert questions.CONVOLUTIONS.right == (images[:, 0].size,)


# The page


class _Tags(HTMLParser):
    """Fails unless every tag is closed in order; collects what is loaded."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.loads: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.loads += [
            value or "" for name, value in attrs if name in ("src", "srcset") or (tag, name) == ("link", "href")
        ]
        if tag != "input":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@each_question
def test_page_is_closed_and_loads_nothing(question: Question) -> None:
    page = to_html(question)
    tags = _Tags()
    tags.feed(page)
    assert tags.open == []
    assert tags.loads == []
    assert "http" not in page
    assert "@import" not in page
    assert "url(" not in page


@each_question
def test_page_is_the_same_every_time(question: Question) -> None:
    assert check_yourself(question)._repr_html_() == check_yourself(question)._repr_html_()


def test_page_in_a_terminal() -> None:
    assert repr(check_yourself(questions.CONVOLUTIONS)).startswith("Check yourself: Batch Normalization of feature")
    assert "  - +a² g₁g₂w₃" in repr(check_yourself(questions.INTERNAL_COVARIATE_SHIFT))


def test_text_is_escaped() -> None:
    question = Question("q", "`a<b` & <b>?", (1.0,), "x < y.", (), "", Link("<i>", "here"))
    page = to_html(question)
    assert "<code>a&lt;b</code> &amp; &lt;b&gt;?" in page
    assert "x &lt; y." in page
    assert "<b>" not in page
    assert "<i>" not in page


def test_chapters_have_the_sections_that_their_questions_link_to() -> None:
    for path in CHAPTERS.rglob("*.md"):
        text = path.read_text()
        for constant in re.findall(r"check_yourself\((?:questions\.)?([A-Z_]+)\)", text):
            question: Question = getattr(questions, constant)
            assert f"({question.see.anchor})=" in text, f"{path.name} asks {constant}; it needs the label it links to"
