"""Moodle XML (https://docs.moodle.org/en/Moodle_XML_format): everything, with the plots in the file.

One number is a question of the type `numerical`; several are a `cloze`, with a gap for each.
"""

import re
from base64 import b64encode
from collections.abc import Iterable
from xml.etree import ElementTree as ET

from bn_book.quiz.record import Answer, Record, by_chapter, shown
from bn_exercises.typography import as_html

#: The category that all questions come into, with one below for each chapter.
CATEGORY = "$course$/top/Batch Normalization"
_CLOZE = re.compile(r"([~#}\\])")


def rich(text: str) -> str:
    """Plain text as HTML, whose quotes need no escape between tags."""
    return as_html(text).replace("&#x27;", "'").replace("&quot;", '"')


def write(records: Iterable[Record]) -> bytes:
    """The file."""
    quiz = ET.Element("quiz")
    for chapter, questions in by_chapter(records).items():
        category = ET.SubElement(ET.SubElement(quiz, "question", type="category"), "category")
        _text(category, f"{CATEGORY}/{chapter.replace('/', '//')}")
        for each in questions:
            _question(quiz, each)
    ET.indent(quiz)
    content: bytes = ET.tostring(quiz, encoding="utf-8", xml_declaration=True)
    return content


def _question(quiz: ET.Element, record: Record) -> None:
    kind = "multichoice" if not record.numbers else "numerical" if len(record.fields) == 1 else "cloze"
    question = ET.SubElement(quiz, "question", type=kind)
    _text(ET.SubElement(question, "name"), record.name)
    gaps = "<br>".join(map(_gap, record.fields)) if kind == "cloze" else ""
    _html(question, "questiontext", f"<p>{rich(record.prompt)}</p>{f'<p>{gaps}</p>' if gaps else ''}")
    _html(question, "generalfeedback", rich(record.because))
    ET.SubElement(question, "penalty").text = "0.3333333"
    ET.SubElement(question, "hidden").text = "0"
    ET.SubElement(question, "idnumber").text = record.name
    if kind == "cloze":
        return
    ET.SubElement(question, "defaultgrade").text = "1"
    if kind == "multichoice":
        for name, value in (("single", "true"), ("shuffleanswers", "true"), ("answernumbering", "abc")):
            ET.SubElement(question, name).text = value
    for number, each in enumerate(record.fields[0], start=1):
        _answer(question, each, kind, f"{record.name}-{number}.png")
    if kind == "numerical":
        _answer(question, Answer("*", False, f"Not yet. {record.otherwise}"), kind)


def _answer(question: ET.Element, answer: Answer, kind: str, picture: str = "") -> None:
    element = ET.SubElement(question, "answer", fraction="100" if answer.right else "0")
    if answer.picture:
        element.set("format", "html")
        _text(element, f'<img src="@@PLUGINFILE@@/{picture}" alt="{as_html(answer.text)}">')
        ET.SubElement(element, "file", name=picture, path="/", encoding="base64").text = b64encode(
            answer.picture
        ).decode()
    elif kind == "multichoice":
        element.set("format", "html")
        _text(element, rich(answer.text))
    else:
        element.set("format", "moodle_auto_format")
        _text(element, answer.text)
        ET.SubElement(element, "tolerance").text = shown(answer.within)
    _html(element, "feedback", rich(answer.says))


def _gap(answers: tuple[Answer, ...]) -> str:
    return "{1:NUMERICAL:" + "~".join(map(_way, answers)) + "}"


def _way(answer: Answer) -> str:
    says = _CLOZE.sub(r"\\\1", rich(answer.says))
    return f"%{100 if answer.right else 0}%{answer.text}:{shown(answer.within)}#{says}"


def _html(parent: ET.Element, name: str, text: str) -> None:
    _text(ET.SubElement(parent, name, format="html"), text)


def _text(parent: ET.Element, text: str) -> None:
    ET.SubElement(parent, "text").text = text
