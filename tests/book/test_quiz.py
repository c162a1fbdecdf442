"""The questions for learning systems: what was written comes back, through readers that are not ours."""

import gzip
import json
import re
import subprocess
import sys
from base64 import b64decode
from dataclasses import replace
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET
from zipfile import ZipFile

import pytest
from bs4 import BeautifulSoup
from lxml import etree
from moodle_xml_parser.parser import parse_bytes

from bn_book.chapters import chapters
from bn_book.questions import of_chapters
from bn_book.quiz import Downloads, gift, moodle, qti
from bn_book.quiz.downloads import FOLDER, FORMATS
from bn_book.quiz.record import Answer, Record, record
from bn_exercises import questions
from bn_exercises.check_yourself.numeric import NumberQuestion
from bn_exercises.check_yourself.question import Choice
from bn_exercises.tolerance import DIGITS, round_to

ROOT = Path(__file__).parents[2]
QUESTIONS = {question.name: question for question in of_chapters()}
RECORDS = {name: record(question) for name, question in QUESTIONS.items()}
gift_pegjs = pytest.mark.needs("npm:gift-pegjs", package="gift-pegjs (npm)")
PNG = b"\x89PNG\r\n\x1a\n"
# What each format has a sign for, and HTML.
HARD = "a=b ~ {c} #d: 50% \\ <e> & \"f\" 'g' `x[0] = {1}` 1e-05"


@pytest.fixture(scope="module")
def downloads(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the three files, as a build makes them."""
    folder = tmp_path_factory.mktemp("quiz")
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv(FOLDER, str(folder))
        # The plots have been drawn.
        patched.setattr("bn_book.quiz.downloads.record", lambda question: RECORDS[question.name])
        made = Downloads()
    assert made.questions == len(RECORDS)
    assert made.in_gift == sum(gift.fits(each) for each in RECORDS.values())
    assert all(file in made._repr_html_() for file, _ in FORMATS.values())
    return folder


def text(html: str) -> str:
    """What a reader sees of HTML."""
    return BeautifulSoup(html, "html.parser").get_text()


def words(plain: str) -> str:
    """What a reader sees of a record's text."""
    return text(moodle.rich(plain))


def values(record: Record) -> list[list[tuple[float, float, int, str]]]:
    """Of each number that is asked for: the answers, how far one may be off, what they are worth, what is said."""
    return [
        [(float(each.text), each.within, 100 * each.right, words(each.says)) for each in field]
        for field in record.fields
    ]


def same(found: Any, expected: Any) -> None:
    assert found == pytest.approx(expected, rel=1e-5, abs=1e-12) if isinstance(expected, float) else found == expected


# The record


def test_it_has_every_question_of_every_chapter() -> None:
    assert {question.page.rpartition("/")[2] for question in QUESTIONS.values()} == set(chapters())
    assert len(RECORDS) == len(of_chapters()) > 3 * len(chapters())


@pytest.mark.parametrize("name", [name for name, each in QUESTIONS.items() if isinstance(each, Choice)])
def test_a_choice_keeps_what_is_said_to_each(name: str) -> None:
    question, found = QUESTIONS[name], RECORDS[name]
    assert isinstance(question, Choice)
    (answers,) = found.fields
    assert {each.text: each.says for each in answers} == {question.right: "Right."} | {
        wrong.text: wrong.says for wrong in question.wrong
    }
    assert [each.text for each in answers if each.right] == [question.right]
    assert [each.picture[:8] for each in answers] == [PNG if question.plots else b""] * len(answers)
    assert len({each.picture for each in answers}) == (len(answers) if question.plots else 1)


def judged(answers: tuple[Answer, ...], number: float) -> Answer | None:
    """What a learning system takes: the first whose interval has the number."""
    return next((each for each in answers if abs(float(each.text) - number) <= each.within), None)


@pytest.mark.parametrize("name", [name for name, each in QUESTIONS.items() if isinstance(each, NumberQuestion)])
def test_a_number_is_judged_as_on_the_page(name: str) -> None:
    question, found = QUESTIONS[name], RECORDS[name]
    assert isinstance(question, NumberQuestion)
    outcomes = question.problem.outcomes[0][question.part.name]
    for at, answers in enumerate(found.fields):
        for digits in range(DIGITS, 9):
            rounded = float(round_to(digits, outcomes.right[at : at + 1])[0])
            right = judged(answers, rounded)
            assert right is not None, (rounded, answers)
            assert right.right, (rounded, right)
        for mistake, wrong in zip(outcomes.mistakes, outcomes.wrong, strict=True):
            about = judged(answers, float(wrong[at]))
            if abs(wrong[at] - outcomes.right[at]) > outcomes.room[at]:
                assert about is not None
                assert not about.right
                assert mistake.says in about.says or question.hint in about.says, (mistake.name, about)


def test_what_no_interval_says_is_refused() -> None:
    several = questions.EXERCISES["conditional"][0]
    with pytest.raises(ValueError, match="can be read in several ways"):
        record(replace(several, page="chapters/forward"))
    with pytest.raises(TypeError, match="expected a Choice or a NumberQuestion"):
        record(super_question())


def super_question() -> Any:
    """One of a kind that has no record."""
    asked = QUESTIONS["order-of-steps"]
    kind = type(asked).__mro__[1]
    return kind(**{name: getattr(asked, name) for name in kind.__dataclass_fields__})


# Moodle XML


def test_moodle_s_file_comes_back(downloads: Path) -> None:
    content = (downloads / FORMATS["Moodle XML"][0]).read_bytes()
    read = parse_bytes(content)
    found = {each.name: each for kind in read.values() for each in kind}
    rest = {name for name, each in RECORDS.items() if each.numbers and len(each.fields) == 1}
    assert found.keys() == RECORDS.keys() - rest
    for name, each in found.items():
        expected = RECORDS[name]
        if each.type == "multichoice":
            assert text(each.text_pre_parse) == words(expected.prompt)
            assert text(each.general_feedback) == words(expected.because)
            assert (each.single, each.shuffle_answers, each.default_grade) == (True, True, 1.0)
            answers = [
                (BeautifulSoup(option.answer, "html.parser").img or {}).get("alt") or text(option.answer)
                for option in each.options
            ]
            assert answers == [words(answer.text) for answer in expected.fields[0]]
            assert [option.score_fraction for option in each.options] == [100 * a.right for a in expected.fields[0]]
            assert [text(option.feedback) for option in each.options] == [words(a.says) for a in expected.fields[0]]
        else:
            assert text(each.text_pre_parse).startswith(words(expected.prompt))
            assert [gap.sub_type for gap in each.gaps] == ["NUMERICAL"] * len(expected.fields)
            for gap, known in zip(each.gaps, values(expected), strict=True):
                for option, answer in zip(gap.options, known, strict=True):
                    value, within = map(float, option.answer.split(":"))
                    same((value, option.score, text(option.feedback)), (answer[0], answer[2], answer[3]))
                    same(within, answer[1])
    # The reader above knows no `numerical`; what the format says of it is short.
    questions = {
        each.findtext("name/text"): each for each in ET.fromstring(content).findall("question[@type='numerical']")
    }
    assert questions.keys() == rest
    for name, each in questions.items():
        expected = RECORDS[str(name)]
        assert text(each.findtext("questiontext/text", "")) == words(expected.prompt)
        assert text(each.findtext("generalfeedback/text", "")) == words(expected.because)
        *answers, otherwise = each.findall("answer")
        for element, answer in zip(answers, values(expected)[0], strict=True):
            same(float(element.findtext("text", "")), answer[0])
            same(float(element.findtext("tolerance", "")), answer[1])
            assert float(element.get("fraction", "")) == answer[2]
            assert text(element.findtext("feedback/text", "")) == answer[3]
        assert (otherwise.findtext("text"), otherwise.get("fraction")) == ("*", "0")
        assert text(otherwise.findtext("feedback/text", "")) == words(f"Not yet. {expected.otherwise}")


def test_moodle_s_file_has_its_plots_and_its_categories(downloads: Path) -> None:
    root = ET.fromstring((downloads / FORMATS["Moodle XML"][0]).read_bytes())
    for question in root.findall("question[@type='multichoice']"):
        expected = RECORDS[question.findtext("name/text", "")].fields[0]
        for element, answer in zip(question.findall("answer"), expected, strict=True):
            file = element.find("file")
            assert (file is not None) == bool(answer.picture)
            if file is not None:
                assert b64decode(file.text or "") == answer.picture
                assert f"@@PLUGINFILE@@/{file.get('name')}" in element.findtext("text", "")
    categories = [each.findtext("category/text", "") for each in root.findall("question[@type='category']")]
    assert categories == [f"{moodle.CATEGORY}/{title}" for title in dict.fromkeys(r.chapter for r in RECORDS.values())]
    assert len({each.findtext("idnumber") for each in root.findall("question")} - {None}) == len(RECORDS)


# GIFT, by gift-pegjs

READ = """
const { parse } = require(process.argv[1]);
let text = '';
process.stdin.on('data', (data) => (text += data)).on('end', () => process.stdout.write(JSON.stringify(parse(text))));
"""


def read_gift(content: bytes) -> list[dict[str, Any]]:
    node = Path(sys.executable).with_name("node")
    reader = ROOT / "tests" / "site" / "node_modules" / "gift-pegjs"
    done = subprocess.run([node, "-e", READ, str(reader)], input=content, capture_output=True, check=True)
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def check_gift(content: bytes, records: list[Record]) -> None:
    found = {each["title"]: each for each in read_gift(content) if each["type"] != "Category"}
    expected = {
        f"{each.name}-{number}" if len(each.fields) > 1 else each.name: (each, number - 1)
        for each in records
        for number in range(1, len(each.fields) + 1)
    }
    assert list(found) == list(expected)
    for title, (each, at) in expected.items():
        question = found[title]
        assert question["type"] == ("Numerical" if each.numbers else "MC")
        assert text(question["stem"]["text"]).startswith(words(each.prompt))
        assert text(question["globalFeedback"]["text"]) == words(each.because)
        assert [text(c["feedback"]["text"]) for c in question["choices"]] == [words(a.says) for a in each.fields[at]]
        for choice, answer in zip(question["choices"], each.fields[at], strict=True):
            if each.numbers:
                same(float(choice["text"]["number"]), float(answer.text))
                same(float(choice["text"]["range"]), answer.within)
                assert choice["weight"] == 100 * answer.right
            else:
                assert text(choice["text"]["text"]) == words(answer.text)
                assert choice["isCorrect"] == answer.right


@gift_pegjs
def test_gift_comes_back(downloads: Path) -> None:
    content = (downloads / FORMATS["GIFT"][0]).read_bytes()
    check_gift(content, [each for each in RECORDS.values() if gift.fits(each)])
    # As few are left out as can be.
    assert all(any(a.picture for a in each.fields[0]) for each in RECORDS.values() if not gift.fits(each))


# QTI 2.1, by its schema

#: What the schema takes from others, of which the quizzes use nothing.
ELSEWHERE = {
    "XInclude.xsd": ("http://www.w3.org/2001/XInclude", '<xs:element name="include"/>'),
    "mathml2.xsd": ("http://www.w3.org/1998/Math/MathML", '<xs:element name="math"/>'),
    "apipv1p0_qtiextv2p1_v1p0.xsd": (
        "http://www.imsglobal.org/xsd/apip/apipv1p0/imsapip_qtiv1p0",
        '<xs:element name="apipAccessibility"/>',
    ),
    "xml.xsd": (
        "http://www.w3.org/XML/1998/namespace",
        '<xs:attribute name="lang" type="xs:language"/><xs:attribute name="base" type="xs:anyURI"/>',
    ),
}


class Elsewhere(etree.Resolver):
    """Nothing is asked of another machine."""

    def resolve(self, url: str, public: object, context: Any) -> Any:
        namespace, says = ELSEWHERE[url.rpartition("/")[2]]
        head = f'<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" targetNamespace="{namespace}">'
        return self.resolve_string(f"{head}{says}</xs:schema>", context)


@cache
def schema() -> Any:
    parser = etree.XMLParser(no_network=True)
    parser.resolvers.add(Elsewhere())
    content = gzip.decompress((Path(__file__).parent / "qti" / "imsqti_v2p1.xsd.gz").read_bytes())
    return etree.XMLSchema(etree.fromstring(content, parser, base_url="qti/imsqti_v2p1.xsd"))


def valid(content: bytes) -> ET.Element:
    """The document, which the standard's schema accepts, with plain names."""
    document = etree.fromstring(content)
    assert schema().validate(document), schema().error_log
    return ET.fromstring(re.sub(rb' xmlns="[^"]*"', b"", content, count=1))


def check_item(content: bytes, expected: Record, files: dict[str, bytes]) -> None:
    item = valid(content)
    says = {each.get("identifier"): "".join(each.itertext()).strip() for each in item.findall("modalFeedback")}
    assert says.pop("BECAUSE") == words(expected.because)
    body = item.find("itemBody")
    assert body is not None
    assert "".join(body.find("p").itertext()) == words(expected.prompt)  # type: ignore[union-attr]
    correct = [each.text for each in item.findall("responseDeclaration/correctResponse/value")]
    if not expected.numbers:
        (answers,) = expected.fields
        choices = item.findall(".//simpleChoice")
        assert [says[each.get("identifier")] for each in choices] == [words(answer.says) for answer in answers]
        for each, answer in zip(choices, answers, strict=True):
            picture = each.find("img")
            assert (picture is None) == (not answer.picture)
            if picture is None:
                assert "".join(each.itertext()).strip() == words(answer.text)
            else:
                assert picture.get("alt") == answer.text
                assert files[picture.get("src", "")] == answer.picture
            assert (each.get("identifier") in correct) == answer.right
        return
    assert says.pop("OTHERWISE") == words(f"Not yet. {expected.otherwise}")
    conditions = item.findall("responseProcessing/responseCondition")
    for condition, answers in zip(conditions, values(expected), strict=True):
        *cases, _otherwise = list(condition)
        for case, answer in zip(cases, answers, strict=True):
            equal = case.find("equal")
            assert equal is not None
            same(float(equal.findtext("baseValue", "")), answer[0])
            same(float(equal.get("tolerance", "")), answer[1])
            told = case.findtext("setOutcomeValue[@identifier='FEEDBACK']/multiple/baseValue")
            assert says[told] == answer[3]
            score = case.findtext("setOutcomeValue[@identifier='SCORE']/sum/baseValue", "0")
            assert float(score) * len(expected.fields) == pytest.approx(answer[2] / 100, rel=1e-4)
    for value, field in zip(correct, expected.fields, strict=True):
        assert value in {each.text for each in field if each.right}


def test_the_package_comes_back(downloads: Path) -> None:
    with ZipFile(downloads / FORMATS["QTI 2.1"][0]) as package:
        files = {name: package.read(name) for name in package.namelist()}
    for name, each in RECORDS.items():
        check_item(files[f"{name}.xml"], each, files)
    test = valid(files["test.xml"])
    listed = {
        section.get("title"): [each.get("href") for each in section.findall("assessmentItemRef")]
        for section in test.iter("assessmentSection")
    }
    assert [file for of_chapter in listed.values() for file in of_chapter] == [f"{name}.xml" for name in RECORDS]
    assert list(listed) == list(dict.fromkeys(each.chapter for each in RECORDS.values()))


def test_the_manifest_names_every_file_and_nothing_else(downloads: Path) -> None:
    with ZipFile(downloads / FORMATS["QTI 2.1"][0]) as package:
        names = set(package.namelist())
        manifest = ET.fromstring(package.read("imsmanifest.xml"))
    where = {"": qti.PACKAGE}
    resources = manifest.findall("resources/resource", where)
    assert {each.get("href") for each in manifest.iter(f"{{{qti.PACKAGE}}}file")} == names - {"imsmanifest.xml"}
    assert [each.get("type") for each in resources] == ["imsqti_test_xmlv2p1"] + ["imsqti_item_xmlv2p1"] * len(RECORDS)
    identifiers = [each.get("identifier") for each in resources]
    assert len(set(identifiers)) == len(identifiers)
    assert {each.get("identifierref") for each in manifest.iter(f"{{{qti.PACKAGE}}}dependency")} == set(identifiers[1:])


# What is hard to write down


def hard(numbers: bool) -> Record:
    """A question with every sign that a format or HTML knows."""
    answers = (Answer("1.5" if numbers else HARD, True, HARD, 0.01), Answer("-0.25" if numbers else "b", False, HARD))
    return Record("hard", "A/B", HARD, HARD, HARD, numbers, (answers,))


@gift_pegjs
@pytest.mark.parametrize("numbers", [False, True])
def test_every_sign_comes_back(numbers: bool) -> None:
    each = hard(numbers)
    check_gift(gift.write([each]), [each])
    with ZipFile(BytesIO(qti.write([each]))) as package:
        check_item(package.read("hard.xml"), each, {})
    question = ET.fromstring(moodle.write([each])).findall("question")[1]
    assert text(question.findtext("questiontext/text", "")) == words(HARD)
    assert text(question.findtext("answer/feedback/text", "")) == words(HARD)
    category = ET.fromstring(moodle.write([each])).findtext("question/category/text", "")
    assert category.endswith("/A//B")


def test_the_schema_refuses_what_is_no_item() -> None:
    with ZipFile(BytesIO(qti.write([hard(True)]))) as package:
        content = package.read("hard.xml")
    for good, bad in ((b'toleranceMode="absolute"', b'toleranceMode="about"'), (b"<itemBody>", b"<itemBody><blink/>")):
        with pytest.raises(AssertionError):
            valid(content.replace(good, bad))


def test_the_same_questions_make_the_same_files() -> None:
    few = [RECORDS[name] for name in ("order-of-steps", "backward-pass")]
    for _, write in FORMATS.values():
        assert write(few) == write(few)
