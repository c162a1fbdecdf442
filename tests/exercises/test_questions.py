"""The book's questions: right values, wrong values that are told apart, and sentences that give nothing away."""

import json
import posixpath
import re
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from html.parser import HTMLParser
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sympy
from bs4 import BeautifulSoup

from bn_book.backward import experiments as backward
from bn_book.chapters import chapters
from bn_book.convolutions import experiments as convolutions
from bn_book.drawing import _show
from bn_book.questions import of_chapters
from bn_book.speed import experiments as speed
from bn_exercises import questions
from bn_exercises.check_yourself.numeric import NumberQuestion, WrongNumbers, from_part, from_values
from bn_exercises.check_yourself.page import check_yourself, to_html
from bn_exercises.check_yourself.question import Choice, Question, WrongChoice
from bn_exercises.misconceptions import NO_EPS, OVER_ROWS, PATHS
from bn_exercises.numbers.problem import NumberProblem
from bn_exercises.problem import verify
from bn_exercises.problems import BACKPROPAGATION, BASIC_CALCULATION, CONDITIONAL, TASKS
from bn_exercises.tolerance import round_to
from bn_exercises.typography import as_in_a_book
from bn_exercises.verdict import Link
from bn_lib import BatchNorm, batch_norm

BOOK = Path(__file__).parents[2] / "book"
OF_CHAPTERS = {question.name: question for question in of_chapters()}
ALL = (*OF_CHAPTERS.values(), *questions.ALL)
PROBLEMS = {name: task for name, task in TASKS.items() if isinstance(task, NumberProblem)}
NUMERIC = [question for question in ALL if isinstance(question, NumberQuestion)]
OF_EXERCISES = [
    (question, PROBLEMS[name], part)
    for name, asked in questions.EXERCISES.items()
    for question, part in zip(asked, PROBLEMS[name].points, strict=True)
]
# Which numbers the prompts ask for, where it is not all of them.
AT = {
    "basic-calculation-x-hat": np.s_[:, 0],
    "basic-calculation-y": np.s_[:, 0],
    "batch-size-one-batch": np.s_[:3],
    "batch-size-two-batches": 1,
}
ALL_DIGITS = 17
PLOTS = [question for question in ALL if isinstance(question, Choice) and question.plots]

each_question = pytest.mark.parametrize("question", ALL, ids=lambda question: question.name)
each_numeric = pytest.mark.parametrize("question", NUMERIC, ids=lambda question: question.name)
each_plots = pytest.mark.parametrize("question", PLOTS, ids=lambda question: question.name)
each_of_an_exercise = pytest.mark.parametrize(
    ("question", "problem", "part"), OF_EXERCISES, ids=[question.name for question, *_ in OF_EXERCISES]
)


def test_every_chapter_and_every_part_of_a_problem_has_a_question() -> None:
    in_order = [f"chapters/{chapter}" for chapter in chapters()]
    assert list(dict.fromkeys(question.page for question in of_chapters())) == in_order
    assert set(questions.EXERCISES) == set(PROBLEMS)


def test_the_steps_of_exercise_2_add_up_to_its_part_a() -> None:
    steps = questions.STEPS["backpropagation"]
    assert len(steps) == 3
    total = sum(np.broadcast_to(step.right, 3) for step in steps)
    np.testing.assert_allclose(total, questions.EXERCISES["backpropagation"][0].right, rtol=0, atol=1e-15)
    assert {step.page for step in steps} == {"exercises/backpropagation"}


@each_of_an_exercise
def test_question_of_an_exercise_is_asked_on_its_page(
    question: NumberQuestion, problem: NumberProblem, part: str
) -> None:
    assert question.page == f"exercises/{problem.name}"
    assert question.part.name == part
    label = problem.part(part).title.split()[0]
    assert question.prompt.startswith(f"{label} ")


def test_names_are_unique_and_plain() -> None:
    names = [question.name for question in ALL]
    assert len(set(names)) == len(names)
    for name in names:
        assert re.fullmatch(r"[a-z0-9-]+", name)


def shown(question: Question) -> list[str]:
    """What is said to a reader, but for the right answer and what follows it."""
    if isinstance(question, Choice):
        wrong = [text for each in question.wrong for text in (each.name, each.says)]
    else:
        assert isinstance(question, NumberQuestion)
        wrong = [text for mistake in question.part.mistakes for text in (mistake.name, mistake.says)]
    return [question.hint, *wrong]


def mistakes(question: NumberQuestion) -> Iterator[tuple[int, str, Any]]:
    """For each reading the mistakes: the reading, the name and the numbers. Not what gives the right numbers."""
    for reading, outcomes in enumerate(question.problem.outcomes):
        each = outcomes[question.part.name]
        for mistake, value in (*zip(each.mistakes, each.wrong, strict=True), *each.other_shapes):
            if value.shape != each.right.shape or not np.allclose(value, each.right, rtol=1e-6, atol=1e-12):
                yield reading, mistake.name, value


# What is right and what is wrong


@each_numeric
@pytest.mark.parametrize("digits", [3, 4, ALL_DIGITS])
def test_right_answer_is_right_under_every_reading(question: NumberQuestion, digits: int) -> None:
    for reference in question.problem.references:
        assert question.judge(round_to(digits, reference[question.part.name])).kind == "right"


@each_numeric
@pytest.mark.parametrize("digits", [3, 4, ALL_DIGITS])
def test_every_mistake_is_told(question: NumberQuestion, digits: int) -> None:
    every = list(mistakes(question))
    for _, name, value in every:
        finding = question.judge(round_to(digits, value))
        # Three digits can be those of the right answer.
        if digits > 3 or finding.kind != "right":
            # Under another reading another mistake can give the same numbers.
            same = {n for _, n, v in every if v.shape == value.shape and np.allclose(v, value, rtol=1e-4)}
            assert not same.isdisjoint(finding.misconceptions), name


@each_of_an_exercise
@pytest.mark.parametrize("digits", [3, 4, ALL_DIGITS])
def test_question_of_an_exercise_is_judged_as_the_problem_is(
    question: NumberQuestion, problem: NumberProblem, part: str, digits: int
) -> None:
    at = AT.get(question.name, ...)
    for reference, outcomes in zip(problem.references, problem.outcomes, strict=True):
        values = [reference[part], *outcomes[part].wrong, *(value for _, value in outcomes[part].other_shapes)]
        for value in values:
            whole = verify(problem, {part: round_to(digits, value)}).of(part)
            some = question.judge(np.ravel(round_to(digits, value[at])))
            assert (some.kind, some.misconceptions, some.see) == (whole.kind, whole.misconceptions, whole.see)


def test_eps_missing_is_told_where_four_digits_show_it_and_right_where_three_do_not() -> None:
    x_hat = questions.EXERCISES["basic-calculation"][2]
    assert x_hat.judge([-1.34, -0.447, 0.447, 1.34]).kind == "right"
    assert x_hat.judge([-1.342, -0.4472, 0.4472, 1.342]).misconceptions == (NO_EPS.name,)
    assert x_hat.judge([-1.340, -0.4468, 0.4468, 1.340]).kind == "right"


def test_another_count_of_numbers_can_be_a_mistake() -> None:
    mean = questions.EXERCISES["basic-calculation"][0]
    assert mean.judge([4, 6, 8, 10]).misconceptions == (OVER_ROWS.name,)
    assert mean.judge([4, 6, 8, 11]).kind == "form"


def test_conditional_is_right_under_six_readings() -> None:
    y0, y1 = questions.EXERCISES["conditional"]
    assert len(y0.problem.readings) == len(CONDITIONAL.readings) == 6
    assert y1.judge([-1.45, 1, 3.45]).kind == y1.judge([1.585, 2.754, 3.923]).kind == "right"
    assert y1.judge([-1.45, 2.754, 3.923]).kind != "right"


def test_numbers_that_hide_a_mistake_are_refused() -> None:
    # The middle one is 0 whatever it is multiplied by.
    with pytest.raises(ValueError, match="dx: the numbers asked for show 'only the direct path' as"):
        from_part(BACKPROPAGATION, "dx", at=1, page="p", prompt="?", see=PATHS)
    # In the first batch nothing shows whose statistics the second one got.
    with pytest.raises(ValueError, match='show "the first batch\'s statistics for both" as no mistake'):
        from_part(PROBLEMS["batch-size"], "two_batches", at=0, page="p", prompt="?", see=PATHS)


def test_a_mistake_that_is_none_on_these_numbers_is_not_asked_for() -> None:
    # γ = 1, so whether it was left out cannot be seen.
    given = {**BASIC_CALCULATION.given, "gamma": 1.0}
    question = from_part(replace(BASIC_CALCULATION, given=given), "y", page="p", prompt="?", see=PATHS)
    assert question.judge(question.right).kind == "right"
    assert "γ left out" not in {name for _, name, _ in mistakes(question)}


def test_an_unknown_part_is_refused() -> None:
    with pytest.raises(ValueError, match="batch-size has no part 'mean'; its parts: one_batch, two_batches"):
        from_part(PROBLEMS["batch-size"], "mean", page="p", prompt="?", see=PATHS)


def test_numbers_that_are_not_there_are_refused() -> None:
    with pytest.raises(
        ValueError, match="mean: not every way to answer 'mean' has numbers at 3: index 3 is out of bounds"
    ):
        from_part(BASIC_CALCULATION, "mean", at=3, page="p", prompt="?", see=PATHS)


def of_values(right: Any, *wrong: WrongNumbers) -> NumberQuestion:
    return from_values(
        name="q",
        page="p",
        prompt="`a<b` & <b>?",
        right=right,
        because="x < y.",
        wrong=wrong,
        hint="",
        see=Link("<i>", "a"),
    )


def test_mistakes_with_equal_values_are_both_named() -> None:
    question = of_values(
        1.0,
        WrongNumbers("one", 2.0, "One."),
        WrongNumbers("other", 2.0001, "Other."),
        WrongNumbers("third", 3.0, "Third."),
    )
    assert question.judge([2.0]).misconceptions == ("one", "other")
    assert question.judge([7.0]).kind == "wrong"


def test_wrong_answer_of_another_form_is_refused() -> None:
    with pytest.raises(ValueError, match=r"q: pair gives \(1.0, 2.0\); expected the form of \(1.0,\)"):
        of_values(1.0, WrongNumbers("pair", (1.0, 2.0), ""))


def test_wrong_answer_that_is_right_is_refused() -> None:
    with pytest.raises(ValueError, match=r"q: same gives 1.0, which cannot be told from \(1.0,\)"):
        of_values(1.0, WrongNumbers("same", 1.0, ""))
    with pytest.raises(ValueError, match="q: two of the choices are the same: a, a"):
        Choice(
            name="q",
            page="p",
            prompt="?",
            because="",
            hint="",
            see=PATHS,
            right="a",
            wrong=(WrongChoice("w", "a", ""),),
        )


def test_choices_do_not_give_the_right_one_away() -> None:
    question = OF_CHAPTERS["internal-covariate-shift"]
    assert isinstance(question, Choice)
    assert set(question.choices) == {question.right, *(wrong.text for wrong in question.wrong)}
    # The order depends on nothing but the texts: turn the question round, and it stays.
    first, *others = question.wrong
    turned = replace(question, right=first.text, wrong=(*others, WrongChoice("now wrong", question.right, "Wrong.")))
    assert turned.choices == question.choices
    assert question.choices.index(question.right) > 0


# What is said


@each_question
def test_nothing_gives_the_answer_away(question: Question) -> None:
    # Until the reader asks for it. Small whole numbers are in every formula.
    if isinstance(question, Choice):
        values = {question.right}
    else:
        assert isinstance(question, NumberQuestion)
        rights = np.concatenate([each[question.part.name] for each in question.problem.references])
        values = {f"{v:.3g}" for v in rights} - set("0123")
    for text in shown(question):
        for value in values:
            assert not re.search(rf"(?<![\w.]){re.escape(value)}(?![\w.])", text)


@each_question
def test_sentences_are_sentences(question: Question) -> None:
    names = {text for i, text in enumerate(shown(question)) if i % 2}
    for text in (question.prompt, question.because, *(text for text in shown(question) if text not in names)):
        assert text[0].isupper() or text.startswith(("dx", "y = ", "("))
        assert text.endswith((".", "?"))


@each_numeric
def test_no_number_is_so_large_that_a_comma_could_group_digits(question: NumberQuestion) -> None:
    # The page reads "1,5" as one and a half; it could not tell "1,500" from fifteen hundred.
    assert max(map(abs, question.right)) < 1000


# The values themselves, each worked out another way than in `questions`.


def test_learning_rate_is_where_gradient_descent_turns() -> None:
    (limit,) = OF_CHAPTERS["why-scale-matters"].right
    curvatures = np.array([1.0, 25.0])
    for rate, grows in [(0.99 * limit, False), (1.01 * limit, True)]:
        w = np.ones(2)
        for _ in range(1000):
            w = w - rate * curvatures * w
        assert (np.abs(w).max() > 1) == grows


def test_the_four_errors_are_those_of_a_run() -> None:
    error, run = 1.0, []
    for _ in range(4):
        run.append(error)
        error -= 0.45 * 4 * error
    assert OF_CHAPTERS["four-errors"].right == ", ".join(f"{e:.3g}".replace("-", "−") for e in run)


def test_condition_and_eigenvalue_by_computing_them() -> None:
    values = np.linalg.eigvalsh([[1, 0.6], [0.6, 1]])
    assert OF_CHAPTERS["standardized-pair"].right[0] == pytest.approx(values[1] / values[0])
    outputs = 0.5 + np.random.default_rng(0).normal(scale=0.01, size=(1000, 64))
    largest = np.linalg.eigvalsh(outputs.T @ outputs / 1000)[-1]
    assert OF_CHAPTERS["eigenvalue-of-the-mean"].right[0] == pytest.approx(largest, rel=0.01)


def test_the_calibrated_rate_by_a_small_step_of_it() -> None:
    rate, part = OF_CHAPTERS["calibrated-step"].right[0], 1e-6
    y = (3 - part * rate * 4) * (4 - part * rate * 3)
    assert 12 - y == pytest.approx(0.5 * part, rel=1e-5)


def test_thirty_layers_explode() -> None:
    step = 0.1 / (30 * 0.8**29)
    assert (0.8 + step) ** 30 - 0.8**30 > 1000
    assert step > 2 * 0.8


def test_mean_of_the_output_by_running_it() -> None:
    y, _ = batch_norm(np.array([[1.0], [4.0], [10.0]]), np.array([2.0]), np.array([7.0]))
    assert OF_CHAPTERS["mean-of-the-output"].right[0] == pytest.approx(y.mean())


def test_second_order_term_is_that_of_the_expanded_product() -> None:
    a, *weights = sympy.symbols("a w1 w2 w3 g1 g2 g3")
    w, g = weights[:3], weights[3:]
    product = sympy.expand(sympy.prod(w[i] - a * g[i] for i in range(3)))

    def read(text: str) -> sympy.Expr:
        text = text.translate(str.maketrans("₁₂₃−", "123-")).replace("a²", "a**2").replace("a³", "a**3")
        text = re.sub(r"(?<=[\d)a])\s*(?=[(wg])(?!\s*\+)", "*", text)
        return sympy.sympify(text)

    order = {n: product.coeff(a, n) * a**n for n in range(4)}
    by_name = {wrong.name: read(wrong.text) for wrong in OF_CHAPTERS["internal-covariate-shift"].wrong}
    assert sympy.expand(read(OF_CHAPTERS["internal-covariate-shift"].right) - order[2]) == 0
    assert sympy.expand(by_name["sign"] + order[2]) == 0
    assert sympy.expand(by_name["first order"] - order[1]) == 0
    assert sympy.expand(by_name["third order"] - order[3]) == 0


def test_normalized_value_by_hand() -> None:
    # mean 0.9 / 3 = 0.3; squares 0.04 + 0.01 + 0.09 = 0.14, so variance 0.14 / 3; (0.6 - 0.3) / sqrt(0.14 / 3 + 0.01)
    assert OF_CHAPTERS["forward-pass"].right[0] == pytest.approx(0.3 / (0.14 / 3 + 0.01) ** 0.5)


def test_gradient_by_central_differences() -> None:
    x, gamma, step = np.array([1.0, 2.0, 6.0]), 3.0, 1e-6

    def loss(x: np.ndarray) -> float:
        return float(gamma * (x[0] - x.mean()) / x.std())

    dx = [(loss(x + step * e) - loss(x - step * e)) / (2 * step) for e in np.eye(3)]
    np.testing.assert_allclose(OF_CHAPTERS["backward-pass"].right, dx, rtol=1e-7)


def test_running_mean_by_hand() -> None:
    assert OF_CHAPTERS["training-and-inference"].right[0] == pytest.approx(0.9 * (0.9 * 0 + 0.1 * 10) + 0.1 * 20)


def test_shape_of_y_is_that_of_a_shifted_and_stretched_exponential() -> None:
    """Which begins one standard deviation below its mean: at β − γ."""
    question = OF_CHAPTERS["shape-of-y"]
    assert question.right.startswith("A steep side at 0.5 ")
    _, standardized, scaled = question.wrong
    assert standardized.text.startswith("A steep side at -1.0 ")
    assert scaled.text.startswith("A steep side at 2.5 ")  # at γ · 3 + β


def test_a_mean_that_moves_is_followed_by_a_tenth_of_the_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_show, "_svg_of", lambda fig, **_: fig.axes[0].lines[0].get_ydata())
    followed = OF_CHAPTERS["mean-that-moves"].plot("", "")
    k = np.arange(16)
    np.testing.assert_allclose(followed[:16], 1 - 0.9**k)
    np.testing.assert_allclose(followed[15:], (1 - 0.9**15) * 0.9 ** np.arange(26))


def test_a_value_in_two_companies_by_hand() -> None:
    # Means 4 and 8; squares 1 + 1 + 4, so variance 2 in both; 6 is 2 above the one mean and 2 below the other.
    np.testing.assert_allclose(OF_CHAPTERS["company"].right, [2 / 2.25**0.5, -2 / 2.25**0.5])


def test_noise_of_the_mean_by_simulation() -> None:
    means = np.random.default_rng(0).normal(scale=2, size=(100_000, 16)).mean(axis=1)
    # The standard deviation of 100,000 values is known to 1 part in sqrt(200,000), 0.2 %.
    assert OF_CHAPTERS["batch-size"].right[0] == pytest.approx(means.std(), rel=0.01)


def test_gradient_of_scaled_weights_by_running_it() -> None:
    (right,) = OF_CHAPTERS["scaled-weights"].right
    assert backward.gradient_times_scale(4.0) / 4 * 8 == pytest.approx(right, rel=1e-3)  # with eps 1e-5


def test_largest_value_by_an_outlier() -> None:
    x = np.eye(10)[:, :1] * 1e6
    assert OF_CHAPTERS["largest-value"].right[0] == pytest.approx(
        batch_norm(x, np.ones(1), np.zeros(1), eps=0)[0].max()
    )


def test_worth_of_an_image_by_simulation() -> None:
    """Light with an eighth of the pixels' variance makes the correlation 1 / 9."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(20_000, 1, 8, 8)) + rng.normal(scale=np.sqrt(1 / 8), size=(20_000, 1, 1, 1))
    assert convolutions.values_per_image(x)[0] == pytest.approx(OF_CHAPTERS["worth"].right[0], rel=0.03)


def test_parameters_of_a_layer_by_counting() -> None:
    layer = BatchNorm(64)
    assert sum(getattr(layer, name).size for name in layer.parameter_names) == OF_CHAPTERS["learned-numbers"].right[0]


def test_bytes_fall_in_the_order_that_is_right() -> None:
    names = ("textbook", "folded", "products", "by channel")
    counts = [step.transfers for name in names for step in speed.STEPS if step.name == name]
    assert counts == sorted(set(counts), reverse=True)


def test_roof_is_the_chapters() -> None:
    assert speed.Limits(bandwidth=40, peak=800).roof(7 / 8) == OF_CHAPTERS["roof"].right[0]


def test_values_that_share_a_mean_by_counting() -> None:
    images = np.arange(8 * 3 * 5 * 4).reshape(8, 3, 5, 4)
    assert OF_CHAPTERS["convolutions"].right == (images[:, 0].size,)


def test_bytes_are_those_that_the_chapter_counts() -> None:
    work = next(work for work in speed.FUSED if work.name == "BN, ReLU")
    megabytes = np.empty(10_000_000, np.float32).nbytes / 1e6
    assert OF_CHAPTERS["making-it-fast"].right == (work.apart * megabytes, work.fused * megabytes)


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


def html_of(question: Question) -> str:
    """A question on its page, made once: plots take time to draw."""
    return _html_of(question.name)


@cache
def _html_of(name: str) -> str:
    return to_html(next(question for question in ALL if question.name == name))


@each_question
def test_page_is_closed_and_loads_nothing(question: Question) -> None:
    page = html_of(question)
    tags = _Tags()
    tags.feed(page)
    assert tags.open == []
    assert tags.loads == []
    assert "http" not in page
    assert "@import" not in page
    assert not re.search(r"url\((?!#)", page)  # a plot's parts are in the page


@each_question
def test_page_is_the_same_every_time(question: Question) -> None:
    assert html_of(question) in check_yourself(question)._repr_html_()


def test_page_in_a_terminal() -> None:
    assert repr(check_yourself(OF_CHAPTERS["convolutions"])).startswith("Question: Batch Normalization of feature")
    assert "  - +a² g₁g₂w₃" in repr(check_yourself(OF_CHAPTERS["internal-covariate-shift"]))


@each_plots
def test_plots_are_told_in_words_and_only_in_their_labels(question: Choice) -> None:
    page = BeautifulSoup(html_of(question), "html.parser")
    labels = page.select("label")
    assert [label.input["value"] for label in labels] == list(question.choices)
    assert [label.b.get_text() for label in labels] == list("ABCDEF"[: len(labels)])
    for label, choice in zip(labels, question.choices, strict=True):
        (drawing,) = label.select("svg[role=img]")
        assert drawing["aria-label"] == as_in_a_book(choice)
        assert not label.select("p, div, figure")  # HTML allows none of them in a label
    letter = "ABCDEF"[question.choices.index(question.right)]
    assert page.select_one("details").get_text().split("\n")[1] == f"Plot {letter}. {as_in_a_book(question.right)}"


@each_plots
def test_plots_share_their_axes_and_differ_in_what_they_show(question: Choice) -> None:
    axes, drawn = set(), set()
    for choice in question.choices:
        svg = BeautifulSoup(question.plots[choice](choice, "p-"), "html.parser").svg
        axes.add((svg["viewbox"], *(text.get_text() for text in svg.select("text"))))
        drawn.add("".join(path.get("d", "") for path in svg.select("path")))
    assert len(axes) == 1
    assert len(drawn) == len(question.choices)


def test_no_two_plots_of_a_page_share_an_id() -> None:
    page = "".join(map(html_of, PLOTS))
    ids = re.findall(r'\bid="([^"]*)"', page)
    assert ids
    assert len(set(ids)) == len(ids)


def test_a_plot_for_some_choices_only_is_refused() -> None:
    (question, *_) = PLOTS
    text = question.wrong[0].text
    with pytest.raises(ValueError, match=rf"a plot for each choice or for none; there is none for \['{text[:9]}"):
        replace(question, wrong=(replace(question.wrong[0], plot=None), *question.wrong[1:]))


def test_several_questions_in_one_cell() -> None:
    several = check_yourself(*questions.EXERCISES["batch-size"])
    assert repr(several).count("Question: ") == 2
    assert several._repr_html_().count('<div class="bn-question"') == 2


def test_text_is_escaped() -> None:
    page = to_html(of_values(1.0))
    assert "<code>a&lt;b</code> &amp; &lt;b&gt;?" in page
    assert "x &lt; y." in page
    assert "<b>" not in page
    assert "<i>" not in page


def test_answer_is_shown_for_every_reading() -> None:
    page = to_html(questions.EXERCISES["conditional"][0])
    for reading in CONDITIONAL.readings:
        assert f"<strong>With {as_in_a_book(' and '.join(reading.choices))}: " in page


# Where it stands in the book


class _Data(HTMLParser):
    """Collects what the page's script is given."""

    def __init__(self) -> None:
        super().__init__()
        self.data: dict[str, Any] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "form":
            self.data = json.loads(dict(attrs)["data-question"] or "")


def addresses(question: Question) -> set[tuple[str, str]]:
    """All links that the page may show: the address and the words."""
    parser = _Data()
    parser.feed(html_of(question))
    sentences = [mistake["says"] for mistake in parser.data["mistakes"]] + [parser.data.get("otherwise", "")]
    return {link for sentence in sentences for link in re.findall(r'<a href="([^"]*)">([^<]*)</a>', sentence)}


@each_question
def test_links_lead_to_sections_of_that_title(question: Question) -> None:
    found = addresses(question)
    assert found
    for address, words in found:
        place, anchor = address.split("#")
        page = posixpath.normpath(posixpath.join(posixpath.dirname(question.page), place)) if place else question.page
        text = (BOOK / page.removesuffix(".html")).with_suffix(".md").read_text()
        section = re.search(rf"^\({re.escape(anchor)}\)=\n(?:\(.*\)=\n)*#+ (.*)$", text, re.MULTILINE)
        assert section, address
        assert section[1] == words


def test_each_mistake_has_its_own_link_relative_to_the_page() -> None:
    (x_hat,) = (question for question in ALL if question.name == "basic-calculation-x-hat")
    assert ("../chapters/forward.html#sec-forward-eps", "Epsilon") in addresses(x_hat)
    assert ("#sec-forward-eps", "Epsilon") in addresses(OF_CHAPTERS["forward-pass"])
    assert ("convolutions.html#which-axes", "Which axes, and why") in addresses(OF_CHAPTERS["forward-pass"])


def test_pages_ask_the_questions_that_are_made_for_them() -> None:
    asked = []
    for path in BOOK.rglob("*.md"):
        page = path.relative_to(BOOK).with_suffix("").as_posix()
        calls = re.findall(r"^check_yourself\((.*?)\)$", path.read_text(), re.MULTILINE | re.DOTALL)
        room = import_module(f"bn_book.{path.stem}.questions") if path.parent.name == "chapters" else questions
        for question in (question for call in calls for question in eval(f"[{call}]", {"questions": room})):
            assert question.page == page
            asked.append(question)
    names = [question.name for question in asked]
    assert {question.name for question in of_chapters()} <= set(names)
    assert len(set(names)) == len(names)
