"""The three files, and the links to them on a page."""

import os
from html import escape
from pathlib import Path

from bn_book.questions import of_chapters
from bn_book.quiz import gift, moodle, qti
from bn_book.quiz.record import record

#: What a build puts on the site beside its pages lies here, in a folder that this variable names.
FOLDER = "BOOK_DOWNLOADS"
FORMATS = {
    "Moodle XML": ("batch-normalization-moodle.xml", moodle.write),
    "QTI 2.1": ("batch-normalization-qti21.zip", qti.write),
    "GIFT": ("batch-normalization-gift.txt", gift.write),
}


class Downloads:
    """All questions of all chapters in three formats: written where a build wants them, and links to them.

    Attributes:
        questions: how many there are.
        in_gift: how many of them are in the GIFT file.
        files: the files, by the name of the format.
    """

    def __init__(self) -> None:
        records = [record(question) for question in of_chapters()]
        self.questions = len(records)
        self.in_gift = sum(gift.fits(each) for each in records)
        self.files = {name: write(records) for name, (_, write) in FORMATS.items()}
        if folder := os.environ.get(FOLDER):
            Path(folder).mkdir(parents=True, exist_ok=True)
            for name, content in self.files.items():
                Path(folder, FORMATS[name][0]).write_bytes(content)

    def _repr_html_(self) -> str:
        items = "".join(
            f'<li><a href="../_static/{file}" download>{escape(name)}</a> '
            f"({len(self.files[name]) / 1000:.0f}&nbsp;kB)</li>"
            for name, (file, _) in FORMATS.items()
        )
        return f"<ul>{items}</ul>"
