"""The interface of the exercises in other languages: nothing is missing or lost, and no score depends on it."""

import gettext
import io
import json
import re
import tomllib
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import pytest
from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.frontend import parse_mapping_cfg
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from bn_site.finish.correct import corrected
from bn_site.language import words
from bn_site.lite import button
from nbformat.v4 import new_code_cell, new_notebook
from traitlets import TraitError
from traitlets.config import Config

import bn_exercises
from bn_exercises import questions, translation
from bn_exercises.answers import ANSWERS, plain
from bn_exercises.check import Session, Solution
from bn_exercises.check_yourself.page import check_yourself
from bn_exercises.collect import collect, collect_marked
from bn_exercises.course.spoken import Language
from bn_exercises.functions.implementations import RIGHT
from bn_exercises.problem import Problem
from bn_exercises.problems import ADAPTIVE, ALL, BASIC_CALCULATION, BATCH_SIZE, CONDITIONAL, IMPLEMENT
from bn_exercises.translation import FOLDER, HOLE, said, speaking
from bn_grading import judge

ROOT = Path(__file__).parents[2]
OTHERS = bn_exercises.LANGUAGES[1:]
AGAIN = "run `make translations`"


@pytest.fixture(autouse=True)
def english(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a test chooses, the next one begins in English."""
    monkeypatch.setenv(bn_exercises.LANGUAGE, "en")


def template() -> Catalog:
    with (FOLDER / "bn_exercises.pot").open("rb") as file:
        return read_po(file)


def translated(code: str) -> Catalog:
    with (FOLDER / code / "LC_MESSAGES" / "bn_exercises.po").open("rb") as file:
        return read_po(file, locale=code)


# The catalogue


def test_the_catalogue_has_every_text_of_the_exercises_and_of_the_pages_buttons() -> None:
    with (ROOT / "babel.cfg").open() as file:
        methods, options = parse_mapping_cfg(file)
    found = {
        message
        for folder in ("exercises", "book/_ext", "book/_static")
        for _, _, message, *_ in extract_from_dir(ROOT / folder, method_map=methods, options_map=options)
    }
    known = {message.id for message in template() if message.id}
    assert found == known, AGAIN


def test_what_is_a_message() -> None:
    source = '''"""A docstring is none."""
TITLES = {"key with spaces": "A title", "other": "word"}
BUG = Misconception("sign", "The sign is wrong.", lambda x: close(x, 1), Link("A section's title", "here"))
def check(x, names):
    if not x.size:
        raise ValueError("this is for whoever calls it")
    _("Marked {here}.", here=1)
    return f"{', '.join(names)} {'is' if len(names) == 1 else 'are'} off by {x.max():g}." + "close(y, 1) == 0"
'''
    found = [message for _, _, message, _ in collect(io.BytesIO(source.encode()), (), (), {})]
    assert found == [
        "A title",
        "sign",
        "The sign is wrong.",
        "Marked {here}.",
        "{names} is off by {max}.",
        "{names} are off by {max}.",
    ]


def test_of_a_build_only_what_is_marked_is_a_message() -> None:
    source = """raise ExtensionError("the folder is not there")\nx = f"<h2>{_('Run it here')}</h2>\""""
    found = [message for _, _, message, _ in collect_marked(io.BytesIO(source.encode()), (), (), options={})]
    assert found == ["Run it here"]


def test_there_is_a_folder_for_each_language() -> None:
    assert {path.name for path in FOLDER.iterdir() if path.is_dir()} == set(OTHERS)


@pytest.mark.parametrize("code", OTHERS)
def test_no_translation_is_missing(code: str) -> None:
    theirs = {message.id: message for message in translated(code) if message.id}
    assert theirs.keys() == {message.id for message in template() if message.id}, AGAIN
    assert [id for id, message in theirs.items() if not message.string or not all(message.string)] == []
    assert [id for id, message in theirs.items() if message.fuzzy] == []


@pytest.mark.parametrize("code", OTHERS)
def test_what_is_put_into_a_text_is_put_into_its_translation(code: str) -> None:
    for message in translated(code):
        texts = message.string if message.pluralizable else (message.string,)
        ids = message.id if message.pluralizable else (message.id,)
        for text in texts if message.id else ():
            # One thing needs no number.
            asked = {hole for id in ids for hole in HOLE.findall(id)} - ({"n"} if message.pluralizable else set())
            assert set(HOLE.findall(text)) - {"n"} == asked - {"n"}, message.id
            assert re.findall("`[^`]*`", text) == re.findall("`[^`]*`", ids[0]), "code stays as it is"
            # A pattern could not tell two holes apart that touch.
            assert "}{" not in re.sub(r"\{[^a-z][^}]*\}", "", text)


@pytest.mark.parametrize("code", OTHERS)
def test_what_is_read_is_compiled_from_what_is_written(code: str) -> None:
    compiled = io.BytesIO()
    write_mo(compiled, translated(code))
    assert compiled.getvalue() == (FOLDER / code / "LC_MESSAGES" / "bn_exercises.mo").read_bytes(), AGAIN


def test_the_package_takes_its_languages_with_it() -> None:
    patterns = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"][
        "bn_exercises"
    ]
    taken = {path for pattern in patterns for path in FOLDER.parent.glob(pattern)}
    assert set(FOLDER.rglob("*.mo")) <= taken


# What is shown


def verdicts(problem: Problem) -> Iterator[tuple[Problem, dict[str, Any]]]:
    """Answers of all kinds: of functions, which take long to run, only some."""
    many = 3 if problem.asks_for == "functions" else 100
    for reading in range(len(problem.readings)):
        yield from ((problem, answers) for _, _, answers in islice(problem.mistaken(reading), many))
        yield from ((problem, answers) for _, answers in islice(problem.rightly(reading), 4))
    yield problem, {"foo": 1, "bar": 2}


def shown() -> Iterator[str]:
    """What a learner may get to see of all problems and questions."""
    for problem in ALL:
        for each, answers in verdicts(problem):
            yield repr(Session().judge(each, each.observe(answers)))
        for part in problem.points:
            yield from map(said, problem.hints(part))
        # The solutions in code are code.
        if problem.asks_for != "functions":
            yield repr(Solution(problem))
    for answers in UNREADABLE:
        yield repr(Session().judge(ADAPTIVE, ADAPTIVE.observe(answers)))
    for function in (lambda *_: None, lambda *_: 1 / 0, lambda: 1, 7, lambda x, *_: x[0], lambda x, *_: x.astype(int)):
        answers = {"forward": function, "backward": function, "inference": function}
        yield repr(Session().judge(IMPLEMENT, IMPLEMENT.observe(answers)))
    yield from (repr(Session().judge(CONDITIONAL, CONDITIONAL.observe({"y0": each}))) for each in MIXED)


UNREADABLE: tuple[dict[str, Any], ...] = (
    {"gamma": "1 +", "beta": "2 mu"},
    {"gamma": "a b c", "beta": "tanh mu", "parameters": {"lambda": 1}},
    {"gamma": "slope(mu)", "beta": "tanh(mu, mu)", "parameters": {"gut 1": 2}},
    {"gamma": "sqrt(-mu)", "beta": "1 / var", "parameters": {"a": 1}},
    {"gamma": "abs(mu - 1) + 1 / (var - 2)", "beta": "sign(mu)"},
    {"gamma": "1 + (mu > 1)", "beta": "b", "parameters": {"b": [1, 2]}},
)
MIXED = ([1, 2], "text", [[1, 2, 3], [1, 2, 3]], [-1.4613, -0.8783, 1.2247], None)

# Names in code, and what is the same in every language.
CODE = re.compile(
    r"`[^`]*`|\w*_\w+|[A-Z]\w+Error|Backpropagation|ddof|forward|backward|inference|eps|gamma|beta|momentum|mu|var|sigma|"
    r"d\w{0,5}|mean|std|sum|close|tanh|sqrt|parameters|plain|claim|expected|float\d*|np|async|[\w.]*\([^)]*\)|x²|[μσ]\S"
)
# Python's own words about what went wrong, in quotation marks.
QUOTED = re.compile("(: )“[^”]*”")
LISTED = re.compile(r": (?:\w+, ){2,}\w+(?=\.)")


def test_everything_that_is_shown_is_in_the_catalogue(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a language of dots, letters are left only where nothing is to be translated."""
    dots = {message.id: _in_dots(message.id) for message in template() if isinstance(message.id, str) and message.id}

    class Dots(gettext.NullTranslations):
        _catalog = dots

        def gettext(self, message: str) -> str:
            return dots.get(message, message)

    catalogue = translation.Catalogue(Dots())
    monkeypatch.setattr(translation, "_catalogue", lambda code: catalogue)
    monkeypatch.setenv(bn_exercises.LANGUAGE, "de")
    left = set()
    for text in shown():
        for line in text.splitlines():
            # Where to read: titles of the book, which is in English.
            if not re.match(r"\s*·+: “", line):
                words = re.findall(r"[^\W\d_]{2,}", CODE.sub("", LISTED.sub("", QUOTED.sub(r"\1", line))))
                left |= {f"{word}: {line.strip()}" for word in words}
    assert sorted(left) == []


def _in_dots(text: str) -> str:
    parts = HOLE.split(text)
    return "".join(f"{{{part}}}" if at % 2 else re.sub(r"[^\W\d_]", "·", part) for at, part in enumerate(parts))


def test_in_german() -> None:
    bn_exercises.language("de")
    checked = Session().check(BASIC_CALCULATION, mean=[20, 20], var=[[1, 2, 3]], what=1)
    assert repr(checked) == (
        "Grundrechnung: 0 von 10 Punkten\n"
        "  ✗ (a) der Mittelwert. Nicht in der verlangten Form. 0 von 2 Punkten.\n"
        "      Erwartet: 3 Zahlen. Ihre Angabe: 2 Zahlen.\n"
        "  ✗ (b) die Varianz. Noch nicht. 0 von 2 Punkten.\n"
        "      Nicht richtig, und kein Fehler, der hier bekannt ist. "
        "Wie weit liegen die Werte einer Spalte von ihrem Mittelwert?\n"
        "  · Anmerkung\n"
        "      Es gibt eine Antwort unter einem Namen, nach dem nicht gefragt war. Die Namen: mean, var, x_hat, y."
    )


def test_a_name_in_code_stays_where_it_is_also_a_mistake() -> None:
    bn_exercises.language("de")
    assert said("sign") == "Vorzeichen"
    assert said("`f` is not a function that is known here. Possible: abs, sign, tanh.").endswith(": abs, sign, tanh.")
    assert said("sign takes 1 argument, not 2.").startswith("sign ")


def test_a_text_of_several_is_translated_piece_by_piece() -> None:
    bn_exercises.language("de")
    text = "Two mistakes at once. In dx: You gave 0. The direct path is there, also where the statistics are constants."
    assert said(f"{text} And: Once is enough for nobody.") == (
        "Zwei Fehler auf einmal. In dx: Sie haben 0 angegeben. Den direkten Pfad gibt es auch dort, wo die Statistiken "
        "Konstanten sind. Und: Once is enough for nobody."
    )


@pytest.mark.parametrize("piece", ["a. ", "a, ", "Or: ", " and ", "In a: ", "{a} has the shape (a). "])
def test_a_text_made_to_be_taken_apart_stays_as_it_is(piece: str) -> None:
    """Students can put any sentence in the place of one of ours, of 500 characters at most."""
    bn_exercises.language("de")
    made = (piece * 500)[:500]
    assert said(made) == made


def test_what_is_missing_stays_in_english() -> None:
    bn_exercises.language("de")
    assert said("Nobody has translated this and that.") == "Nobody has translated this and that."
    assert translation._("Nor {this}.", this="that") == "Nor that."


# The choice


def test_english_is_what_is_written() -> None:
    text = "You divided by the variance. Divide by its square root: √(σ² + ε)."
    assert said(text) is text
    bn_exercises.language("de")
    assert said(text) != text
    bn_exercises.language("en")
    assert said(text) is text


def test_a_language_that_there_is_not() -> None:
    with pytest.raises(ValueError, match="no language 'fr'; expected one of en, de"):
        bn_exercises.language("fr")


def test_a_setting_that_names_no_language_is_english(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(bn_exercises.LANGUAGE, "xx")
    assert translation.spoken() == "en"


def test_a_language_inside_of_with_only() -> None:
    with speaking("de"):
        assert said("Right.") == "Richtig."
        with speaking(""):
            assert said("Right.") == "Richtig."
    assert said("Right.") == "Right."


def asking() -> Any:
    return new_notebook(cells=[new_code_cell("x = 1"), new_code_cell('problem = my_problem("implement")')])


def test_a_released_notebook_chooses_the_language_of_its_course() -> None:
    released, _ = Language(config=Config({"Language": {"code": "de"}})).preprocess(asking(), {})
    assert released.cells[1].source == (
        'import bn_exercises\n\nbn_exercises.language("de")\nproblem = my_problem("implement")'
    )
    assert released.cells[0].source == "x = 1"


def test_without_a_language_nothing_is_written() -> None:
    assert [cell.source for cell in Language().preprocess(asking(), {})[0].cells] == [
        cell.source for cell in asking().cells
    ]


def test_a_course_is_told_of_a_slip() -> None:
    with pytest.raises(TraitError, match="code"):
        Language(config=Config({"Language": {"code": "german"}}))


# Scores


@pytest.mark.parametrize("problem", [BASIC_CALCULATION, BATCH_SIZE, ADAPTIVE], ids=lambda problem: problem.name)
def test_no_verdict_depends_on_the_language(problem: Problem) -> None:
    for each, answers in islice(verdicts(problem), 40):
        kept = []
        for code in bn_exercises.LANGUAGES:
            bn_exercises.language(code)
            observed = each.observe(answers)
            kept.append((plain(observed), each.judge(observed).to_json()))
        assert kept[0] == kept[1]


def test_the_grader_judges_alike_and_answers_in_the_language() -> None:
    answers = IMPLEMENT.observe({**RIGHT, "forward": lambda x, *_: x})
    emitted = {"problem": "implement", "numbers": IMPLEMENT.fingerprint, "answers": plain(answers)}
    put_out = {0: [{"output_type": "display_data", "data": {ANSWERS: json.loads(json.dumps(emitted))}, "metadata": {}}]}
    (english, page), (german, seite) = (
        judge.look(put_out, [0], "implement", "", 1, "ada", code)[1][0] for code in ("", "de")
    )
    assert english.verdict == german.verdict
    assert 0 < english.verdict.score < english.verdict.max_score
    assert "Right." in page.data["text/html"]
    assert "Richtig." in seite.data["text/html"]
    assert "Right." not in seite.data["text/html"]
    assert said("Right.") == "Right."


# Questions


def test_a_question_brings_what_its_script_says() -> None:
    (question, *_) = questions.EXERCISES["basic-calculation"]
    english = check_yourself(question)._repr_html_()
    with speaking("de"):
        german = check_yourself(question)._repr_html_()
    assert "&quot;words&quot;" not in english
    assert " lang=" not in english
    assert ' lang="de"' in german
    for text in ("Prüfen", "Antwort zeigen", "Ihre Antwort (3 Zahlen", "Der Mittelwert jedes Merkmals."):
        assert text in german
    script = (FOLDER.parent / "check_yourself" / "page.js").read_text(encoding="utf-8")
    for message in re.findall(r"\b(?:_|ngettext)\(\s*(\"[^\"]*\")", script):
        assert message.replace('"', "&quot;") in german


# The book's pages


def run_it_here() -> tuple[dict[str, str], str]:
    """The button of a page, and its dialog."""
    context: dict[str, Any] = {"pathto": lambda name, *_: name, "header_buttons": [], "body": ""}
    app = MagicMock(spec_set=["builder", "env", "config", "add_js_file"])
    app.builder.name = "html"
    app.env.found_docs = ["book/exercises/basic-calculation"]
    app.config.lite_notebooks_url = ""
    button.add_button(app, "book/exercises/basic-calculation", "", context, MagicMock())
    return context["header_buttons"][0], context["body"]


def test_a_page_in_german_has_the_german_button() -> None:
    english, dialog = run_it_here()
    assert english["text"] == "Run it here"
    assert " lang=" not in dialog
    with speaking("de"):
        german, seite = run_it_here()
    assert (german["text"], german["url"]) == ("Hier ausführen", english["url"])
    assert '<dialog id="bn-run" class="bn-run" aria-labelledby="bn-run-title" lang="de">' in seite
    for text in ('<h2 id="bn-run-title">Hier ausführen</h2>', ">Notebook öffnen</a>", "<em>File</em>"):
        assert text in seite
    assert not [text for text in ("Not now", "your browser", "Download it") if text in seite]


def test_the_names_of_the_themes_buttons_that_are_ours() -> None:
    page = '<button title="Toggle primary sidebar"></button><button title="Print"></button>'
    assert 'title="Chapters"' in corrected(page)
    with speaking("de"):
        assert 'title="Kapitel"' in corrected(page)
        assert 'title="Print"' in corrected(page)


@pytest.mark.parametrize("script", ["_static/progress.js", "_static/run.js", "_ext/bn_site/lite/boot.js"])
def test_a_page_hands_its_scripts_what_they_say(script: str) -> None:
    path = ROOT / "book" / script
    assert words(path) == {}
    with speaking("de"):
        brought = words(path)
    asked = {json.loads(text) for text in re.findall(r"\b_\(\s*(\"[^\"]*\")", path.read_text(encoding="utf-8"))}
    assert brought.keys() == asked
    assert [text for text, german in brought.items() if text == german] == []
