"""GIFT (https://docs.moodle.org/en/GIFT_format): text that one can read and change.

It has no pictures, so questions that show plots are left out. It has no gaps for numbers either: where a question asks
for several, each is asked for by itself.
"""

import re
from collections.abc import Iterable, Iterator

from bn_book.quiz.moodle import rich
from bn_book.quiz.record import Answer, Record, by_chapter, shown

_SPECIAL = re.compile(r"([~=#{}:\\])")


def fits(record: Record) -> bool:
    """Whether the format can say it."""
    return not any(answer.picture for field in record.fields for answer in field)


def write(records: Iterable[Record]) -> bytes:
    """The file."""
    blocks = ["// Questions of a book on Batch Normalization, for import as GIFT. The text is UTF-8."]
    for chapter, questions in by_chapter(each for each in records if fits(each)).items():
        blocks.append(f"$CATEGORY: Batch Normalization/{chapter.replace('/', '//')}")
        blocks += [block for each in questions for block in _questions(each)]
    return ("\n\n".join(blocks) + "\n").encode()


def _questions(record: Record) -> Iterator[str]:
    for number, answers in enumerate(record.fields, start=1):
        name, prompt = record.name, rich(record.prompt)
        if len(record.fields) > 1:
            name, prompt = f"{name}-{number}", f"{prompt} <b>Number {number} of {len(record.fields)}:</b>"
        lines = [_number(each) if record.numbers else _choice(each) for each in answers]
        begins = "{#" if record.numbers else "{"
        yield "\n".join(
            [f"::{_plain(name)}::[html]{_plain(prompt)}{begins}", *lines, f"####{_plain(rich(record.because))}", "}"]
        )


def _choice(answer: Answer) -> str:
    return f"{'=' if answer.right else '~'}{_plain(rich(answer.text))}#{_plain(rich(answer.says))}"


def _number(answer: Answer) -> str:
    return f"=%{100 if answer.right else 0}%{answer.text}:{shown(answer.within)}#{_plain(rich(answer.says))}"


def _plain(text: str) -> str:
    return _SPECIAL.sub(r"\\\1", text)
