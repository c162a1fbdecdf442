"""The book's questions in a real browser, on a static page with no kernel and no network: typing gives the sentence."""

import html
import json
import re
from collections.abc import Iterable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from random import Random
from urllib.parse import urldefrag, urljoin

import numpy as np
import pytest
from playwright.sync_api import Browser, Page

from bn_book.questions import of_chapters
from bn_exercises import questions
from bn_exercises.check_yourself.numeric import NumberQuestion, WrongNumbers, from_part, from_values
from bn_exercises.check_yourself.page import check_yourself
from bn_exercises.check_yourself.question import Choice
from bn_exercises.misconceptions import NO_EPS, Misconception
from bn_exercises.numbers.calculation import AlsoRight, Part
from bn_exercises.numbers.judging import CUT_SHORT
from bn_exercises.numbers.problem import NumberProblem
from bn_exercises.problem import verify
from bn_exercises.tolerance import round_to
from bn_exercises.translation import speaking
from bn_exercises.typography import as_in_a_book
from bn_exercises.verdict import Link

pytestmark = pytest.mark.needs("chromium", package="chromium (Debian)")

# Two mistakes that give the same number, which none of the book's chapters has.
TWINS = from_values(
    name="twins",
    page="here",
    prompt="Two mistakes, one number?",
    right=4.0,
    because="Right is four.",
    wrong=(WrongNumbers("one", 2.0, "The first sentence."), WrongNumbers("other", 2.0, "The second sentence.")),
    hint="Count.",
    see=Link("Here", "here"),
)


def _edges() -> NumberQuestion:
    """What no problem of the book has all of: right answers that nearly are mistakes, in two readings and two ways."""
    base = np.array([1.3451, 2.123456, 3.3, 4.4, 5.5, 6.6, 7.7])

    def mistake(name: str, *changed: float) -> Misconception:
        changes = np.resize((*changed, *np.zeros(base.size)), base.size)
        return Misconception(
            name, f"A sentence about {name}.", lambda shift: base + shift + changes, Link("Here", "here")
        )

    part = Part(
        "numbers",
        "(a) numbers",
        1,
        lambda shift: base + shift,
        lambda given, earlier: (given["shift"],),
        (
            mistake("near", 0.0048),
            mistake("alike", 0.5, 0.5),
            # Told apart by four digits, and not by three.
            mistake("nearly alike", 0.5006, 0.5006),
            mistake("far", 1, 1, 1, 1, 1, 1),
            Misconception("too many", "One too many.", lambda shift: np.append(base, 1), Link("Here", "here")),
        ),
        lambda given: ("Look.", "A rule.", "A step."),
        also_right=(AlsoRight(lambda shift: base + shift + 0.006, "Right, in another way. This is how."),),
    )
    open_ways = ({"one thing": {"shift": 0.0}, "another": {"shift": 0.0065}},)
    problem = NumberProblem("edges", "Edges", {}, (part,), draw=lambda rng: {}, open=open_ways)
    return from_part(problem, "numbers", page="here", prompt="Seven numbers?", see=Link("Here", "here"))


EDGES = _edges()
OF_CHAPTERS = {question.name: question for question in of_chapters()}
ALL = (*OF_CHAPTERS.values(), *questions.ALL)
SHOWN = (*ALL, TWINS, EDGES)
NUMERIC = [question for question in SHOWN if isinstance(question, NumberQuestion)]
CHOICE = [question for question in SHOWN if isinstance(question, Choice)]
DIGITS = (1, 2, 3, 4, 6, 17)

each_numeric = pytest.mark.parametrize("question", NUMERIC, ids=lambda question: question.name)


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


def answer(page: Page, question: NumberQuestion, text: str) -> str:
    """Type `text` as a reader does, press Enter, and return what the page says."""
    box = page.locator(f'[data-name="{question.name}"]')
    field = box.get_by_role("textbox")
    field.fill("")
    field.press_sequentially(text)
    field.press("Enter")
    return box.get_by_role("status").inner_text()


# The same for many answers at once.
REPLIES = """([name, texts]) => {
  const box = document.querySelector(`[data-name="${name}"]`);
  const form = box.querySelector("form");
  return texts.map((text) => {
    form.elements.answer.value = text;
    form.requestSubmit();
    const verdict = box.querySelector(".bn-verdict");
    return [verdict.innerText, verdict.dataset.state];
  });
}"""


def typed(value: Iterable[float], form: str = "") -> str:
    return " ".join(format(v, form) for v in value)


def one_line(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip()


def expected(question: NumberQuestion, numbers: list[float]) -> str:
    """A pattern of what the page has to say, from what `verify` says."""
    verdict = verify(question.problem, {question.part.name: numbers})
    finding = verdict.of(question.part.name)
    unknown = re.escape(f"Not yet. {question.hint} See {question.see.text}.")
    match finding.kind:
        case "right":
            notes = [note.sentence.partition(" read with ")[2] for note in verdict.findings if note.kind == "note"]
            notes = [as_in_a_book(note) for note in notes]
            read = [f"This was read with {note}" for note in notes]
            return re.escape(" ".join([finding.sentence, *read, question.because]))
        case "misconception":
            names = finding.misconceptions
            says = {mistake.name: f"{mistake.says} See {mistake.see.text}." for mistake in question.part.mistakes}
            many = "More than one mistake gives these numbers. " if len(names) > 1 else ""
            return re.escape(f"Not yet: {' or '.join(names)}. {many}{' Or: '.join(says[name] for name in names)}")
        case "form" if finding.sentence == CUT_SHORT:
            return re.escape(f"Not yet. {CUT_SHORT}")
        case "form":
            return rf"This question wants {question.count} numbers?; you typed {len(numbers)}\."
        case "mixture":
            # The page does not say which sample follows which reading.
            return rf"{unknown}|Not yet\. Most of it is right\. .*"
        case _:
            most = finding.sentence.startswith("Most of it is right.")
            return re.escape(f"Not yet. {finding.sentence}") if most else unknown


def sample(question: NumberQuestion) -> Iterator[list[float]]:
    """Right answers, mistakes, what lies between them or is off in one place, and what has nothing to do with them."""
    rng = Random(question.name)
    for outcomes in (each[question.part.name] for each in question.problem.outcomes):
        right = outcomes.right
        ways = [right, *(value for _, value in outcomes.also_right), *outcomes.wrong]
        for value in (*ways, *(value for _, value in outcomes.other_shapes)):
            yield from (round_to(digits, value).tolist() for digits in DIGITS)
        for value in ways[1:]:
            yield round_to(6, right + rng.random() * (value - right)).tolist()
            yield round_to(5, value + 2 * (rng.random() - 0.5) * outcomes.room).tolist()
            for count in range(1, right.size):
                yield [*value[:count].tolist(), *right[count:].tolist()]
        yield from ((1.007 * value).tolist() for _, value in outcomes.other_shapes)
        for factor in (0, -3, 1.0049, 1.0051, 1 + rng.random() / 100):
            yield (factor * right).tolist()
    yield [rng.random() for _ in range(question.count)]
    yield [rng.random() for _ in range(question.count + 1)]


@each_numeric
def test_page_decides_as_verify_does(page: Page, question: NumberQuestion) -> None:
    answers = list(sample(question))
    replies = page.evaluate(REPLIES, [question.name, [typed(numbers) for numbers in answers]])
    for numbers, (said, state) in zip(answers, replies, strict=True):
        assert re.fullmatch(expected(question, numbers), one_line(said)), numbers
        assert state == ("right" if said.startswith("Right") else "wrong" if said.startswith("Not yet") else "")
    # The sample has everything: what is right, what has a name, what has none, and what is no answer.
    starts = {said.split(" ")[0] if state == "right" else " ".join(said.split()[:2]) for said, state in replies}
    assert starts >= {"Right.", "Not yet:", "Not yet.", "This question"}


@each_numeric
def test_right_answer(page: Page, question: NumberQuestion) -> None:
    for form in (".3g", ".6g", ".17g"):
        said = one_line(answer(page, question, typed(question.right, form)))
        assert said.startswith("Right.")
        assert said.endswith(question.because)


def test_a_mistake_has_its_name_its_sentence_and_its_own_link(page: Page) -> None:
    x_hat = questions.EXERCISES["basic-calculation"][2]
    said = one_line(answer(page, x_hat, "-1.342 -0.4472 0.4472 1.342"))
    assert said == f"Not yet: {NO_EPS.name}. {NO_EPS.says} See {NO_EPS.see.text}."
    link = page.locator(f'[data-name="{x_hat.name}"]').get_by_role("link", name=NO_EPS.see.text)
    assert link.get_attribute("href") == "../chapters/forward.html#sec-forward-eps"


def test_the_reading_is_named_as_far_as_the_digits_tell(page: Page) -> None:
    y0, _ = questions.EXERCISES["conditional"]
    batch, of_class = "the statistics of the whole batch", "the statistics of each class"
    assert f"This was read with {batch} and ε = 0.01. " in answer(page, y0, "-1.4613 -0.8768 -0.2923")
    assert f"This was read with {batch} and ε = 10⁻⁵ or ε = 0. " in answer(page, y0, "-1.4638 -0.8783 -0.2928")
    assert f"This was read with {of_class}. " in answer(page, y0, "-1.22 0 1.22")


def test_two_decimals_are_accused_of_nothing(page: Page) -> None:
    one_batch, _ = questions.EXERCISES["batch-size"]
    assert answer(page, one_batch, "-1.46 -0.88 -0.29") == f"Not yet. {CUT_SHORT}"
    # A mean and nothing more is a mistake that has so few digits.
    y1 = questions.EXERCISES["conditional"][1]
    said = one_line(answer(page, y1, "-1 1 3"))
    assert said.startswith("Not yet: not divided or ddof=1. More than one mistake gives these numbers. ")


def test_one_slip_among_right_numbers_is_pointed_at(page: Page) -> None:
    x_hat = questions.EXERCISES["basic-calculation"][2]
    assert answer(page, x_hat, "-1.34 -0.447 0.9 1.34") == "Not yet. Most of it is right. Look again at number 3."


def test_another_count_of_numbers_can_be_a_mistake(page: Page) -> None:
    mean = questions.EXERCISES["basic-calculation"][0]
    for text in ("4 6 8 10", "4, 6, 8, 10", "4,6,8,10"):
        assert answer(page, mean, text).startswith("Not yet: over rows. ")
    assert answer(page, mean, "4 6 8 11") == "This question wants 3 numbers; you typed 4."


def test_equal_mistakes_are_both_named(page: Page) -> None:
    assert one_line(answer(page, TWINS, "2")) == (
        "Not yet: one or other. More than one mistake gives these numbers. "
        "The first sentence. See Here. Or: The second sentence. See Here."
    )


def name_of(question: Choice, choice: str) -> str:
    """What a screen reader says of a choice: its text, or the letter of its plot and what that looks like."""
    letter = f"{'ABCDEF'[question.choices.index(choice)]} " if question.plots else ""
    return letter + as_in_a_book(choice)


@pytest.mark.parametrize("question", CHOICE, ids=lambda question: question.name)
def test_choices_by_mouse(page: Page, question: Choice) -> None:
    box = page.locator(f'[data-name="{question.name}"]')
    says = {question.right: f"Right. {question.because}"}
    says |= {w.text: f"Not yet: {w.name}. {w.says} See {question.see.text}." for w in question.wrong}
    assert len(says) == 1 + len(question.wrong)
    for choice, sentence in says.items():
        box.get_by_role("radio", name=name_of(question, choice), exact=True).check()
        box.get_by_role("button", name="Check").click()
        assert one_line(box.get_by_role("status").inner_text()) == sentence


def test_choices_by_keyboard(page: Page) -> None:
    for question in CHOICE:
        box = page.locator(f'[data-name="{question.name}"]')
        box.get_by_role("radio").first.focus()
        for _ in range(question.choices.index(question.right)):
            page.keyboard.press("ArrowDown")
        page.keyboard.press("Space")
        page.keyboard.press("Enter")
        assert box.get_by_role("status").inner_text().startswith("Right."), question.name


@pytest.mark.parametrize("width", [390, 1280])
def test_plots_are_chosen_by_a_click_on_them_and_stand_side_by_side(page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 844})
    for question in (question for question in CHOICE if question.plots):
        box = page.locator(f'[data-name="{question.name}"]')
        plots = box.get_by_role("img").all()
        for plot, choice in zip(plots, question.choices, strict=True):
            plot.click()
            assert box.locator("input:checked").input_value() == choice
        rows = {round(plot.bounding_box()["y"]) for plot in plots}
        assert len(rows) == (len(plots) + 1) // 2 if width < 768 else len(rows) == 1
    page.set_viewport_size({"width": 390, "height": 844})


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
        "0.5.",
        "½",
        "50 %",
        "50%",
        "2/16*4",
        "2 / 16 * 4",
        "2 ÷ 4",
        "2/√16",
        "2 / sqrt(16)",
        "2/(1+3)",
        "[2/(1+3)]",
        "2 · 0,25",
        "2 x 0.25",
        "1 − 0.5",
        "1-0.5",
        "-0.5+1",
        "2^-1",
        "2**-1",
        "4**0.5/4",
        "16^(-1/4)",
        "5 × 10⁻¹",
        "5·10^-1",
        "5 × 10^(-1)",
        "5E−1",
        "50e-2",
        "5000 × 10⁻⁴",
        "= 0.5",
        "≈ 0.5",
        "~0.5",
        "≈0,5",
        "σ/√m = 2/4 = 0.5",
        "2*0.25 = 0.5",
        "about 0.5",
        "standard deviation 0.5",
        "0.5\N{NO-BREAK SPACE}",
    ],
)
def test_one_number_typed_in_many_ways(page: Page, text: str) -> None:
    assert answer(page, OF_CHAPTERS["batch-size"], text).startswith("Right."), text


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
        "dx = 0.529, -0.661, 0.132",
        "dx = (0.529 -0.661 0.132)",
        "dx1 = 0.529; dx2 = −0.661; dx3 = 0.132",
        "≈0.529, ≈−0.661, ≈0.132",
        "52,9 %; −66,1 %; 13,2 %",
        "5.29 × 10⁻¹, −6.61 × 10⁻¹, 1.32 × 10⁻¹",
        "0.529 | -0.661 | 0.132",
    ],
)
def test_several_numbers_typed_in_many_ways(page: Page, text: str) -> None:
    assert answer(page, OF_CHAPTERS["backward-pass"], text).startswith("Right."), text


@pytest.mark.parametrize(
    "text",
    [
        "200 MB, 120 MB",
        "200MB 120MB",
        "200 MB and 120 MB",
        "200 MB; 120",
        "8*5*4+40, 3*40",
        "5 * 40, 3 * 40 MB",
        "= 200, = 120",
        "(200, 120)",
        "2e2 1,2e2",
        "2 × 10² and 1.2 × 10²",
        "200 million bytes, 120 million bytes",
    ],
)
def test_units_that_the_question_says_and_arithmetic(page: Page, text: str) -> None:
    assert answer(page, OF_CHAPTERS["making-it-fast"], text).startswith("Right."), text


def test_another_unit_is_not_taken_for_the_questions(page: Page) -> None:
    said = answer(page, OF_CHAPTERS["making-it-fast"], "0.2 GB 0.12 GB")
    assert said == "This question does not ask for “GB”. Type numbers alone, in the unit that it asks for."
    assert "“m”" in answer(page, OF_CHAPTERS["batch-size"], "0.5 m")


@pytest.mark.parametrize(
    "text",
    ["", "half", "1/0", "0.5.1", "--1", "NaN", "Infinity", "<b>1</b>", "1e999", "√(-1)", "2*", "3 ^", "()"],
)
def test_what_is_no_number_gets_an_example(page: Page, text: str) -> None:
    assert answer(page, OF_CHAPTERS["batch-size"], text) == "Type a number, such as 0.5, 1/2 or 0,5."


@pytest.mark.parametrize("text", ["1" * 1000 + "x", " " * 1000 + "x", "1 " * 501], ids=["digits", "spaces", "numbers"])
def test_a_text_too_long_to_be_an_answer_is_not_read(page: Page, text: str) -> None:
    ((says, state),) = page.evaluate(REPLIES, [NUMERIC[0].name, [text]])
    assert "longer than 1000 characters" in says
    assert "Type" in says
    assert not state


def test_too_few_and_too_many_numbers(page: Page) -> None:
    assert answer(page, OF_CHAPTERS["batch-size"], "1 2") == "This question wants 1 number; you typed 2."
    assert answer(page, OF_CHAPTERS["backward-pass"], "1 2") == "This question wants 3 numbers; you typed 2."
    assert answer(page, OF_CHAPTERS["backward-pass"], "x") == "Type 3 numbers, such as 0.5, 1/2 or 0,5."


def test_an_unknown_mistake_gets_the_hint(page: Page) -> None:
    question = OF_CHAPTERS["batch-size"]
    assert one_line(answer(page, question, "77")) == f"Not yet. {question.hint} See {question.see.text}."
    link = page.locator(f'[data-name="{question.name}"]').get_by_role("link", name=question.see.text)
    assert link.get_attribute("href") == f"#{question.see.anchor}"


def test_a_verdict_goes_when_the_answer_changes(page: Page) -> None:
    answer(page, OF_CHAPTERS["batch-size"], "0.5")
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


def test_button_stands_below_the_field_however_wide_the_page(page: Page) -> None:
    for width in (1280, 390):
        page.set_viewport_size({"width": width, "height": 844})
        for question in NUMERIC:
            box = page.locator(f'[data-name="{question.name}"]')
            field, button = box.get_by_role("textbox").bounding_box(), box.get_by_role("button").bounding_box()
            assert field is not None
            assert button is not None
            assert button["x"] == field["x"]
            assert button["y"] > field["y"] + field["height"]


def test_question_text_on_the_page_is_the_question(page: Page) -> None:
    for question in SHOWN:
        shown = one_line(html.unescape(page.locator(f'[data-name="{question.name}"] .bn-prompt').inner_text()))
        assert shown == f"Question {one_line(question.prompt)}"


class _Anchors(HTMLParser):
    """The places of a page, and the sentences of its questions."""

    def __init__(self) -> None:
        super().__init__()
        self.places: set[str] = set()
        self.sentences: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.places.add(given.get("id") or "")
        if data := given.get("data-question"):
            question = json.loads(data)
            self.sentences += [question.get("otherwise", ""), *(mistake["says"] for mistake in question["mistakes"])]


def test_links_of_the_book_lead_somewhere(built_site: Path) -> None:
    pages = {path.as_uri(): _Anchors() for path in built_site.rglob("*.html")}
    for path in built_site.rglob("*.html"):
        pages[path.as_uri()].feed(path.read_text())
    followed = 0
    for address, found in pages.items():
        for link in re.findall('href="([^"]*)"', " ".join(found.sentences)):
            target, anchor = urldefrag(urljoin(address, link))
            assert anchor in pages[target].places, f"{address}: {link}"
            followed += 1
    assert followed > len(OF_CHAPTERS)


# In another language


def test_a_page_answers_in_the_language_of_its_question(browser: Browser) -> None:
    mean, *_ = questions.EXERCISES["basic-calculation"]
    with speaking("de"):
        shown = check_yourself(mean, TWINS)._repr_html_()
    with browser.new_page() as page:
        page.set_content(f"<main>{shown}</main>")
        assert answer(page, mean, "").startswith("Geben Sie 3 Zahlen ein")
        assert answer(page, mean, "5").startswith("Diese Frage verlangt 3 Zahlen; eingegeben haben Sie 1.")
        assert answer(page, mean, "20 28 36").startswith("Noch nicht: nicht durch m geteilt. Sie haben die Werte")
        assert answer(page, mean, "5 7 9 GB").startswith("Nach „GB“ fragt diese Frage nicht.")
        assert answer(page, TWINS, "").startswith("Geben Sie eine Zahl ein")
        assert "Oder: The second sentence." in answer(page, TWINS, "2")
        right = mean.problem.reference()["mean"]
        assert answer(page, mean, " ".join(f"{value:g}" for value in right)).startswith("Richtig.")
        assert page.get_by_role("button", name="Prüfen").count() == 2
