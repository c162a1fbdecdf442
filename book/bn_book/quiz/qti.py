"""QTI 2.1 (https://www.imsglobal.org/question): a content package with a file for each question, and a test of all.

A package is a zip. Its manifest names each file, and which files a question needs.
"""

from collections.abc import Iterable
from io import BytesIO
from xml.etree import ElementTree as ET
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from bn_book.quiz.record import Record, by_chapter, shown
from bn_exercises.typography import as_html

QTI = "http://www.imsglobal.org/xsd/imsqti_v2p1"
PACKAGE = "http://www.imsglobal.org/xsd/imscp_v1p1"
XSI = "http://www.w3.org/2001/XMLSchema-instance"


def write(records: Iterable[Record]) -> bytes:
    """The package."""
    records = list(records)
    files: dict[str, bytes] = {}
    resources = [("test", "imsqti_test_xmlv2p1", "test.xml", [f"{each.name}.xml" for each in records])]
    for each in records:
        pictures = {_picture(each, at): answer.picture for at, answer in enumerate(each.fields[0]) if answer.picture}
        files |= {f"{each.name}.xml": _item(each), **pictures}
        resources.append((each.name, "imsqti_item_xmlv2p1", f"{each.name}.xml", list(pictures)))
    files = {"imsmanifest.xml": _manifest(resources), "test.xml": _test(records), **files}
    with BytesIO() as file:
        with ZipFile(file, "w", ZIP_DEFLATED) as package:
            for name, content in files.items():
                # The day of a build is none of the file's business: the same questions make the same package.
                package.writestr(ZipInfo(name), content, ZIP_DEFLATED)
        return file.getvalue()


def _item(record: Record) -> bytes:
    item = _root("assessmentItem", identifier=_id(record), title=record.name, adaptive="false", timeDependent="false")
    (_numbers if record.numbers else _choice)(item, record)
    for number, answers in enumerate(record.fields):
        for at, answer in enumerate(answers):
            _feedback(item, f"A{number}-{at}", answer.says)
    if record.numbers:
        _feedback(item, "OTHERWISE", f"Not yet. {record.otherwise}")
    _feedback(item, "BECAUSE", record.because)
    return _written(item)


def _choice(item: ET.Element, record: Record) -> None:
    (answers,) = record.fields
    right = next(at for at, answer in enumerate(answers) if answer.right)
    response = ET.SubElement(
        item, "responseDeclaration", identifier="RESPONSE", cardinality="single", baseType="identifier"
    )
    ET.SubElement(ET.SubElement(response, "correctResponse"), "value").text = f"A0-{right}"
    _outcomes(item)
    body = ET.SubElement(item, "itemBody")
    _paragraph(body, record.prompt)
    choose = ET.SubElement(body, "choiceInteraction", responseIdentifier="RESPONSE", shuffle="true", maxChoices="1")
    for at, answer in enumerate(answers):
        choice = ET.SubElement(choose, "simpleChoice", identifier=f"A0-{at}")
        if answer.picture:
            ET.SubElement(choice, "img", src=_picture(record, at), alt=answer.text)
        else:
            _paragraph(choice, answer.text)
    processing = ET.SubElement(item, "responseProcessing")
    condition = ET.SubElement(ET.SubElement(processing, "responseCondition"), "responseIf")
    match = ET.SubElement(condition, "match")
    ET.SubElement(match, "variable", identifier="RESPONSE")
    ET.SubElement(match, "correct", identifier="RESPONSE")
    _add(condition, "SCORE", "sum", "1")
    told = ET.SubElement(ET.SubElement(processing, "setOutcomeValue", identifier="FEEDBACK"), "multiple")
    ET.SubElement(told, "variable", identifier="RESPONSE")
    _value(told, "identifier", "BECAUSE")


def _numbers(item: ET.Element, record: Record) -> None:
    for number, answers in enumerate(record.fields):
        response = ET.SubElement(
            item, "responseDeclaration", identifier=f"RESPONSE{number}", cardinality="single", baseType="float"
        )
        right = next(answer for answer in answers if answer.right)
        ET.SubElement(ET.SubElement(response, "correctResponse"), "value").text = right.text
    _outcomes(item)
    body = ET.SubElement(item, "itemBody")
    _paragraph(body, record.prompt)
    gaps = ET.SubElement(body, "p")
    processing = ET.SubElement(item, "responseProcessing")
    for number, answers in enumerate(record.fields):
        ET.SubElement(gaps, "textEntryInteraction", responseIdentifier=f"RESPONSE{number}", expectedLength="12")
        condition = ET.SubElement(processing, "responseCondition")
        for at, answer in enumerate(answers):
            case = ET.SubElement(condition, "responseElseIf" if at else "responseIf")
            equal = ET.SubElement(case, "equal", toleranceMode="absolute", tolerance=shown(answer.within))
            # A tolerance holds around the first of the two.
            _value(equal, "float", answer.text)
            ET.SubElement(equal, "variable", identifier=f"RESPONSE{number}")
            if answer.right:
                _add(case, "SCORE", "sum", f"{1 / len(record.fields):.6g}")
            _add(case, "FEEDBACK", "multiple", f"A{number}-{at}")
        _add(ET.SubElement(condition, "responseElse"), "FEEDBACK", "multiple", "OTHERWISE")
    _add(processing, "FEEDBACK", "multiple", "BECAUSE")


def _outcomes(item: ET.Element) -> None:
    for name, start in (("SCORE", "0"), ("MAXSCORE", "1")):
        outcome = ET.SubElement(item, "outcomeDeclaration", identifier=name, cardinality="single", baseType="float")
        ET.SubElement(ET.SubElement(outcome, "defaultValue"), "value").text = start
    ET.SubElement(item, "outcomeDeclaration", identifier="FEEDBACK", cardinality="multiple", baseType="identifier")


def _add(rule: ET.Element, outcome: str, how: str, value: str) -> None:
    """Add a value to what an outcome holds already."""
    both = ET.SubElement(ET.SubElement(rule, "setOutcomeValue", identifier=outcome), how)
    ET.SubElement(both, "variable", identifier=outcome)
    _value(both, "float" if how == "sum" else "identifier", value)


def _value(parent: ET.Element, kind: str, value: str) -> None:
    ET.SubElement(parent, "baseValue", baseType=kind).text = value


def _feedback(item: ET.Element, identifier: str, says: str) -> None:
    shown = ET.SubElement(item, "modalFeedback", outcomeIdentifier="FEEDBACK", identifier=identifier, showHide="show")
    _paragraph(shown, says)


def _paragraph(parent: ET.Element, text: str) -> None:
    parent.append(ET.fromstring(f"<p>{as_html(text)}</p>"))


def _test(records: list[Record]) -> bytes:
    test = _root("assessmentTest", identifier="test", title="Batch Normalization")
    part = ET.SubElement(test, "testPart", identifier="all", navigationMode="nonlinear", submissionMode="individual")
    for number, (chapter, questions) in enumerate(by_chapter(records).items(), start=1):
        section = ET.SubElement(part, "assessmentSection", identifier=f"S{number}", title=chapter, visible="true")
        for each in questions:
            ET.SubElement(section, "assessmentItemRef", identifier=_id(each), href=f"{each.name}.xml")
    return _written(test)


def _manifest(resources: Iterable[tuple[str, str, str, list[str]]]) -> bytes:
    manifest = ET.Element("manifest", {"xmlns": PACKAGE, "identifier": "batch-normalization"})
    metadata = ET.SubElement(manifest, "metadata")
    ET.SubElement(metadata, "schema").text = "QTIv2.1 Package"
    ET.SubElement(metadata, "schemaversion").text = "1.0.0"
    ET.SubElement(manifest, "organizations")
    listed = ET.SubElement(manifest, "resources")
    for identifier, kind, href, needs in resources:
        resource = ET.SubElement(listed, "resource", identifier=f"R-{identifier}", type=kind, href=href)
        ET.SubElement(resource, "file", href=href)
        for name in needs:
            if name.endswith(".xml"):
                ET.SubElement(resource, "dependency", identifierref=f"R-{name.removesuffix('.xml')}")
            else:
                ET.SubElement(resource, "file", href=name)
    return _written(manifest)


def _root(name: str, **attributes: str) -> ET.Element:
    where = {"xmlns": QTI, "xmlns:xsi": XSI, "xsi:schemaLocation": f"{QTI} {QTI}.xsd"}
    return ET.Element(name, where | attributes)


def _id(record: Record) -> str:
    return f"Q-{record.name}"


def _picture(record: Record, at: int) -> str:
    return f"{record.name}-{at + 1}.png"


def _written(root: ET.Element) -> bytes:
    ET.indent(root)
    content: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return content
