"""The book's questions in a real browser, on a static page with no kernel and no network: typing gives the sentence."""

import html
import re
from collections.abc import Iterator
from shutil import which

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from bn_exercises import questions
from bn_exercises.page import check_yourself
from bn_exercises.question import Link, Question, Wrong

pytestmark = pytest.mark.needs("chromium", package="chromium (Debian)")

# Two mistakes that give the same number, which none of the book's questions has.
TWINS = Question(
    name="twins",
    prompt="Two mistakes, one number?",
    right=(4.0,),
    because="Right is four.",
    wrong=(Wrong("one", (2.0,), "The first sentence."), Wrong("other", (2.0,), "The second sentence.")),
    hint="Count.",
    see=Link("Here", "here"),
)
SHOWN = (*questions.ALL, TWINS)
NUMERIC = [question for question in SHOWN if not question.is_choice]
CHOICE = [question for question in SHOWN if question.is_choice]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=which("chromium"))
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def page(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """All questions on one page, each wrapped as myst-nb wraps a cell's output, at phone width."""
    outputs = "\n".join(
        f'<div class="output text_html">{check_yourself(question)._repr_html_()}</div>' for question in SHOWN
    )
    file = tmp_path_factory.mktemp("page") / "index.html"
    file.write_text(
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Questions</title>'
        '<meta name="viewport" content="width=device-width"></head>'
        f'<body><main>{outputs}<p id="after">After the questions.</p></main></body></html>',
        encoding="utf-8",
    )
    context = browser.new_context(viewport={"width": 390, "height": 844}, offline=True)
    page = context.new_page()
    trouble: list[str] = []
    page.on("pageerror", lambda error: trouble.append(f"error: {error}"))
    page.on("console", lambda message: trouble.append(f"console: {message.text}"))
    page.on("request", lambda request: trouble.append(request.url) if request.url != file.as_uri() else None)
    page.goto(file.as_uri())
    yield page
    context.close()
    assert trouble == []


def answer(page: Page, question: Question, text: str) -> str:
    """Type `text` as a reader does, press Enter, and return what the page says."""
    box = page.locator(f'[data-name="{question.name}"]')
    field = box.get_by_role("textbox")
    field.fill("")
    field.press_sequentially(text)
    field.press("Enter")
    return box.get_by_role("status").inner_text()


def typed(value: tuple[float, ...], form: str = ".6g") -> str:
    return " ".join(format(v, form) for v in value)


def one_line(text: str) -> str:
    return re.sub(r"\s+", " ", text)


@pytest.mark.parametrize("question", NUMERIC, ids=lambda question: question.name)
def test_right_answer(page: Page, question: Question) -> None:
    for form in (".3g", ".6g", ".17g"):
        assert one_line(answer(page, question, typed(question.right, form))) == f"Right. {question.because}"


@pytest.mark.parametrize("question", NUMERIC, ids=lambda question: question.name)
def test_every_mistake_gets_its_sentence(page: Page, question: Question) -> None:
    for wrong in question.wrong:
        said = one_line(answer(page, question, typed(wrong.value)))
        expected = [
            f"Not yet: {mistake.name}. {mistake.says} See {question.see.text}."
            for mistake in question.matches(wrong.value) or ()
        ]
        assert said == " ".join(expected), wrong.name
        assert wrong.says in said


def test_equal_mistakes_are_both_named(page: Page) -> None:
    said = answer(page, TWINS, "2")
    assert "The first sentence." in said
    assert "The second sentence." in said


@pytest.mark.parametrize("question", CHOICE, ids=lambda question: question.name)
def test_choices_by_mouse(page: Page, question: Question) -> None:
    box = page.locator(f'[data-name="{question.name}"]')
    says = {question.right: f"Right. {question.because}"}
    says |= {w.value: f"Not yet: {w.name}. {w.says} See {question.see.text}." for w in question.wrong}
    assert len(says) == 1 + len(question.wrong)
    for choice, expected in says.items():
        box.get_by_label(str(choice), exact=True).check()
        box.get_by_role("button", name="Check").click()
        assert one_line(box.get_by_role("status").inner_text()) == expected


def test_choices_by_keyboard(page: Page) -> None:
    (question,) = CHOICE
    box = page.locator(f'[data-name="{question.name}"]')
    box.get_by_role("radio").first.focus()
    for _ in range(question.choices.index(str(question.right))):
        page.keyboard.press("ArrowDown")
    page.keyboard.press("Space")
    page.keyboard.press("Enter")
    assert box.get_by_role("status").inner_text().startswith("Right.")


def test_nothing_chosen(page: Page) -> None:
    page.reload()
    box = page.locator(f'[data-name="{CHOICE[0].name}"]')
    box.get_by_role("button", name="Check").click()
    assert box.get_by_role("status").inner_text() == "Choose one."


@pytest.mark.parametrize(
    "text",
    [
        "0.5",
        "0,5",
        ".5",
        ",5",
        "1/2",
        " 1 / 2 ",
        "+0.5",
        "5e-1",
        "5E-1",
        "0.500",
        "[0.5]",
        "(0,5)",
        "2/4",
        "0.4990",
        "0.5;",
    ],
)
def test_one_number_typed_in_many_ways(page: Page, text: str) -> None:
    assert answer(page, questions.BATCH_SIZE, text).startswith("Right."), text


@pytest.mark.parametrize(
    "text",
    [
        "0.529 -0.661 0.132",
        "0.529, -0.661, 0.132",
        "0.529,-0.661,0.132",
        "0,529 -0,661 0,132",
        "0,529; -0,661; 0,132",
        "0,529, -0,661, 0,132",
        "[0.529, -0.661, 0.132]",
        "(0.529  −0.661  0.132)",
        "0.529 - 0.661 0.132",
        "[[0.529], [–0.661], [0.132]]",
    ],
)
def test_several_numbers_typed_in_many_ways(page: Page, text: str) -> None:
    assert answer(page, questions.BACKWARD_PASS, text).startswith("Right."), text


@pytest.mark.parametrize("text", ["", "half", "1/0", "0.5 m", "0.5.1", "--1", "NaN", "Infinity", "<b>1</b>", "1e999"])
def test_what_is_no_number_gets_an_example(page: Page, text: str) -> None:
    assert answer(page, questions.BATCH_SIZE, text) == "Type a number, such as 0.5, 1/2 or 0,5."


def test_too_few_and_too_many_numbers(page: Page) -> None:
    assert answer(page, questions.BATCH_SIZE, "1 2") == "This question wants 1 number; you typed 2."
    assert answer(page, questions.BACKWARD_PASS, "1 2") == "This question wants 3 numbers; you typed 2."
    assert answer(page, questions.BACKWARD_PASS, "x") == "Type 3 numbers, such as 0.5, 1/2 or 0,5."


def test_an_unknown_mistake_gets_the_hint(page: Page) -> None:
    question = questions.BATCH_SIZE
    assert one_line(answer(page, question, "77")) == f"Not yet. {question.hint} See {question.see.text}."
    link = page.locator(f'[data-name="{question.name}"]').get_by_role("link", name=question.see.text)
    assert link.get_attribute("href") == f"#{question.see.anchor}"


def test_a_verdict_goes_when_the_answer_changes(page: Page) -> None:
    answer(page, questions.BATCH_SIZE, "0.5")
    box = page.locator('[data-name="batch-size"]')
    box.get_by_role("textbox").press("Backspace")
    assert box.get_by_role("status").inner_text() == ""
    assert box.get_by_role("textbox").input_value() == "0."


def test_pasting_works(page: Page) -> None:
    box = page.locator('[data-name="batch-size"]')
    field = box.get_by_role("textbox")
    field.fill("0.5")
    field.press("ControlOrMeta+a")
    field.press("ControlOrMeta+x")
    field.press("ControlOrMeta+v")
    box.get_by_role("button", name="Check").click()
    assert box.get_by_role("status").inner_text().startswith("Right.")


def test_field_has_the_question_as_its_name(page: Page) -> None:
    for question in NUMERIC:
        field = page.locator(f'[data-name="{question.name}"]').get_by_role("textbox")
        label = one_line(field.evaluate("field => field.labels[0].innerText"))
        assert one_line(question.prompt) in label


def test_answer_is_folded_until_asked_for(page: Page) -> None:
    for question in SHOWN:
        box = page.locator(f'[data-name="{question.name}"]')
        explanation = box.locator("details").get_by_text(question.because)
        assert not explanation.is_visible()
        box.get_by_text("Show the answer").click()
        assert explanation.is_visible()


def test_page_after_a_question_is_outside_it_and_fits_a_phone(page: Page) -> None:
    assert page.locator(".bn-question #after").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_question_text_on_the_page_is_the_question(page: Page) -> None:
    for question in SHOWN:
        shown = one_line(html.unescape(page.locator(f'[data-name="{question.name}"] .bn-prompt').inner_text()))
        assert shown == f"Check yourself {one_line(question.prompt)}"
